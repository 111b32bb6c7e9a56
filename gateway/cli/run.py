"""`hazgate run SITE.yaml`: the gateway, until it is told to stop."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import structlog

from gateway.cli import logs
from gateway.core.errors import CommandRefusedError

if TYPE_CHECKING:
    from gateway.app import App

log = structlog.get_logger()


@click.command()
@click.argument("site", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="Data folder; the user's state directory if not given.")
@click.option("--bind", help="Address and port of the API and console, in place of the site file's.")
@click.option("--json-logs", is_flag=True, help="Log one JSON object a line.")
def command(site: Path, data: Path | None, bind: str | None, json_logs: bool) -> None:
    """Run the gateway of a site until Ctrl-C or SIGTERM; SIGHUP has it read a changed site file."""
    # Until there is somebody to take it: by default the signal would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logs.set_up(as_json=json_logs)
    from gateway.app import App  # noqa: PLC0415 - `--help` loads nothing heavy
    from gateway.core.clock import SystemClock  # noqa: PLC0415
    from gateway.site.load import load_site  # noqa: PLC0415

    def made() -> tuple[App, Path]:
        # In a function of its own: what only the start needs is not kept for the years that follow.
        loaded = load_site(site)
        folder = data or state_folder(loaded.file.site.id)
        source = partial(load_site, site)
        app = App(loaded, folder, SystemClock(), bind=bind, source=source, around_reload=_settled_after)
        return app, folder

    # The start makes hundreds of thousands of objects and no rubbish in circles: the collector would only look on.
    gc.disable()
    asyncio.run(_until_told(*made(), site))


async def _until_told(app: "App", folder: Path, site: Path) -> None:
    stop, hangup = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    beside = asyncio.create_task(_listen(app, folder, site, hangup), name="signals")
    try:
        await app.run(stop)
    finally:
        beside.cancel()


async def _listen(app: "App", folder: Path, site: Path, hangup: asyncio.Event) -> None:
    """Let others know how to reach this process, and reload whenever they ask."""
    from gateway import notice  # noqa: PLC0415 - `--help` loads nothing heavy

    await app.started.wait()
    _settle()
    await _kept(notice.announce, folder, site)
    while True:
        await hangup.wait()
        hangup.clear()
        began_s = app.clock.monotonic_s()
        try:
            done = await app.reload("signal")
            found = notice.Outcome(began_s, done.applied, done.what, done.problems)
        except CommandRefusedError as error:
            found = notice.Outcome(began_s, applied=False, what="", problems=(str(error),))
        await _kept(notice.tell, folder, found)


async def _kept(put: Callable[[Path, Any], None], folder: Path, what: object) -> None:
    """Leave a notice; a disk that refuses costs the notice and nothing else."""
    try:
        await asyncio.to_thread(put, folder, what)
    except OSError as error:
        log.warning("notice not left", folder=str(folder), why=str(error))


def _settle() -> None:
    """Freeze what the start has made: a full collection of it would stop alarms for a fifth of a second each time."""
    gc.collect()
    gc.freeze()
    gc.enable()


@contextmanager
def _settled_after() -> Iterator[None]:
    """Keep the collector out of a reload, which makes as much as a start, then let go of what it replaced."""
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        _settle()


def state_folder(site_id: str) -> Path:
    """Return where a site's data goes when nobody says: the user's state directory."""
    root = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(root) / "hazgate" / site_id
