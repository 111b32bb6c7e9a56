"""`hazgate token`: make, list and revoke access tokens of a gateway's API."""

from pathlib import Path

import click

from gateway.cli import data_folder
from gateway.cli.data_folder import leave_note, now_ns

ROLES = ("viewer", "operator", "engineer")


@click.group()
@data_folder.options
@click.pass_context
def command(ctx: click.Context, data: Path | None, site_id: str | None) -> None:
    """Make, list and revoke access tokens."""
    ctx.obj = data_folder.chosen(data, site_id)


@command.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True)
@click.pass_obj
def add(folder: Path, name: str, role: str) -> None:
    """Make a token for NAME and print it; it is shown this once and kept only as a hash."""
    from gateway.api.access import new_token  # noqa: PLC0415 - only when one is made
    from gateway.people import words  # noqa: PLC0415
    from gateway.people.names import checked_name, key_of  # noqa: PLC0415
    from gateway.people.people import check_not_a_token  # noqa: PLC0415
    from gateway.store.people import NameTakenError, open_people  # noqa: PLC0415

    token, digest = new_token()
    try:
        name = checked_name(name)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    with open_people(folder / "journal.db") as (store, tokens):
        check_not_a_token(tokens, name)
        if store.account(key_of(name)) is not None:
            raise NameTakenError(f"an account named {name!r} is there already")
        tokens.add_token(name, role, digest, now_ns())
        leave_note(store, words.token_made(name, role))
    click.echo(token)


@command.command("list")
@click.pass_obj
def show(folder: Path) -> None:
    """List the names and roles."""
    from gateway.core.clock import rfc3339  # noqa: PLC0415
    from gateway.store.people import open_people  # noqa: PLC0415

    with open_people(folder / "journal.db") as (_, tokens):
        for token in tokens.tokens():
            click.echo(f"{token.name:<24} {token.role:<10} {rfc3339(token.created_ns, digits=0)}")


@command.command("revoke")
@click.argument("name")
@click.pass_obj
def revoke(folder: Path, name: str) -> None:
    """Revoke the token of NAME; it is refused within seconds."""
    from gateway.people import words  # noqa: PLC0415
    from gateway.store.people import open_people  # noqa: PLC0415

    with open_people(folder / "journal.db") as (store, tokens):
        if not tokens.revoke_token(name):
            raise click.ClickException(f"no token is called {name!r}")
        leave_note(store, words.token_revoked(name))
