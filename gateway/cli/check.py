"""`hazgate check SITE.yaml`: validate a site file, tell every mistake with its line."""

from pathlib import Path

import click

from gateway.cli import logs


@click.command()
@click.argument("site", type=click.Path(path_type=Path))
def command(site: Path) -> None:
    """Validate a site file and say what it holds."""
    logs.set_up(as_json=False, quiet=True)
    from gateway import assembly  # noqa: PLC0415 - `--help` loads nothing heavy
    from gateway.core.clock import SystemClock  # noqa: PLC0415
    from gateway.site.load import load_site  # noqa: PLC0415

    loaded = load_site(site)
    assembly.check(loaded, SystemClock())
    instruments = sum(len(connection.instruments) for connection in loaded.connections)
    click.echo(
        f"{site}: {len(loaded.connections)} connections, {instruments} instruments, {len(loaded.channels)} channels, "
        f"{len(loaded.rules)} rules, {len(loaded.stores)} stores, {len(loaded.uplinks)} uplinks: all right"
    )
