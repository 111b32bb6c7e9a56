"""`hazgate token`: make, list and revoke access tokens of a gateway's API."""

from pathlib import Path

import click

from gateway.cli import logs
from gateway.cli.run import state_folder

ROLES = ("viewer", "operator", "engineer")


@click.group()
@click.option("--data", type=click.Path(path_type=Path), help="Data folder of the gateway.")
@click.option("--site", "site_id", help="Site id, to find the data folder in the user's state directory.")
@click.pass_context
def command(ctx: click.Context, data: Path | None, site_id: str | None) -> None:
    """Make, list and revoke access tokens."""
    logs.set_up(as_json=False, quiet=True)
    if data is None and site_id is None:
        raise click.UsageError("say which gateway: --data DIR or --site ID")
    ctx.obj = data or state_folder(site_id or "")


@command.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True)
@click.pass_obj
def add(folder: Path, name: str, role: str) -> None:
    """Make a token for NAME and print it; it is shown this once and kept only as a hash."""
    from gateway.api.access import new_token  # noqa: PLC0415 - only when one is made
    from gateway.core.clock import SystemClock  # noqa: PLC0415
    from gateway.store.tokens import open_tokens  # noqa: PLC0415

    token, digest = new_token()
    with open_tokens(folder / "journal.db") as tokens:
        tokens.add_token(name, role, digest, SystemClock().now_ns())
    click.echo(token)


@command.command("list")
@click.pass_obj
def show(folder: Path) -> None:
    """List the names and roles."""
    from gateway.core.clock import rfc3339  # noqa: PLC0415
    from gateway.store.tokens import open_tokens  # noqa: PLC0415

    with open_tokens(folder / "journal.db") as tokens:
        for token in tokens.tokens():
            click.echo(f"{token.name:<24} {token.role:<10} {rfc3339(token.created_ns, digits=0)}")


@command.command("revoke")
@click.argument("name")
@click.pass_obj
def revoke(folder: Path, name: str) -> None:
    """Revoke the token of NAME; it is refused within seconds."""
    from gateway.store.tokens import open_tokens  # noqa: PLC0415

    with open_tokens(folder / "journal.db") as tokens:
        if not tokens.revoke_token(name):
            raise click.ClickException(f"no token is called {name!r}")
