"""`hazgate run SITE.yaml`: the gateway, until it is told to stop."""

import asyncio
import gc
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli import logs

if TYPE_CHECKING:
    from gateway.app import App


@click.command()
@click.argument("site", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="Data folder; the user's state directory if not given.")
@click.option("--bind", help="Address and port of the API and console, in place of the site file's.")
@click.option("--json-logs", is_flag=True, help="Log one JSON object a line.")
def command(site: Path, data: Path | None, bind: str | None, json_logs: bool) -> None:
    """Run the gateway of a site until Ctrl-C or SIGTERM."""
    logs.set_up(as_json=json_logs)
    from gateway.app import App  # noqa: PLC0415 - `--help` loads nothing heavy
    from gateway.core.clock import SystemClock  # noqa: PLC0415
    from gateway.site.load import load_site  # noqa: PLC0415

    def made() -> App:
        # In a function of its own: what only the start needs is not kept for the years that follow.
        loaded = load_site(site)
        return App(loaded, data or state_folder(loaded.file.site.id), SystemClock(), bind=bind)

    # The start makes hundreds of thousands of objects and no rubbish in circles: the collector would only look on.
    gc.disable()
    asyncio.run(_until_told(made()))


async def _until_told(app: "App") -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    settling = asyncio.create_task(_settle(app), name="settle")
    try:
        await app.run(stop)
    finally:
        settling.cancel()


async def _settle(app: "App") -> None:
    """Freeze what the start has made: a full collection of it would stop alarms for a fifth of a second each time."""
    await app.started.wait()
    gc.collect()
    gc.freeze()
    gc.enable()


def state_folder(site_id: str) -> Path:
    """Return where a site's data goes when nobody says: the user's state directory."""
    root = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(root) / "hazgate" / site_id
