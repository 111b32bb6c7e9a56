"""`hazgate reload SITE.yaml`: has a running gateway read its site file again, and tells what became of it."""

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli import logs
from gateway.cli.run import state_folder

if TYPE_CHECKING:
    from gateway.notice import Outcome

POLL_S = 0.05


@click.command()
@click.argument("site", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="Data folder of the gateway, where `run` was given one.")
@click.option("--timeout", "timeout_s", default=60.0, show_default=True, help="Seconds to wait for what becomes of it.")
def command(site: Path, data: Path | None, timeout_s: float) -> None:
    """Apply a changed site file to the gateway that runs it.

    What has not changed goes on untouched. A file with mistakes changes nothing: they are printed, and the exit code
    is 78.
    """
    logs.set_up(as_json=False, quiet=True)
    from gateway.core.errors import SiteFileError  # noqa: PLC0415 - `--help` loads nothing heavy

    found = _asked(site, _running(site, data), timeout_s)
    if not found.applied:
        raise SiteFileError(found.problems)
    click.echo(found.what)


def _running(site: Path, data: Path | None) -> Path:
    """Return the folder of the gateway that is meant. Raises HazgateError where none runs with it."""
    from gateway.core.errors import HazgateError  # noqa: PLC0415
    from gateway.notice import running  # noqa: PLC0415

    folder = data or _folder_of(site)
    try:
        running(folder)
    except HazgateError as error:
        hint = "" if data else "; give the --data that `hazgate run` was given"
        raise HazgateError(f"{error}{hint}") from error
    return folder


def _asked(site: Path, folder: Path, timeout_s: float) -> "Outcome":
    """Send the signal and wait for the answer. Raises HazgateError."""
    from gateway.core.errors import HazgateError  # noqa: PLC0415
    from gateway.notice import outcome, running  # noqa: PLC0415

    gateway = running(folder)
    if Path(gateway.site) != site.resolve():
        raise HazgateError(f"the gateway of {folder} runs {gateway.site}, not {site.resolve()}")
    asked_s = time.monotonic()
    try:
        os.kill(gateway.pid, signal.SIGHUP)
    except OSError as error:
        raise HazgateError(f"the gateway, process {gateway.pid}, cannot be told: {error.strerror}") from error
    while time.monotonic() - asked_s < timeout_s:
        found = outcome(folder)
        # An earlier reload may have read the file before it was changed; only one that began later has seen it.
        if found is not None and found.began_s >= asked_s:
            return found
        time.sleep(POLL_S)
    raise HazgateError(f"nothing was heard of the reload within {timeout_s:g} s; the gateway's log says more")


def _folder_of(site: Path) -> Path:
    """Return the data folder that `run` takes where it is given none. Raises SiteFileError."""
    from gateway.core.errors import HazgateError  # noqa: PLC0415
    from gateway.site.document import parse  # noqa: PLC0415

    section = parse(site).data.get("site")
    name = section.get("id") if isinstance(section, dict) else None
    if not isinstance(name, str):
        raise HazgateError(f"{site}: has no site.id to find the data folder by; give --data")
    return state_folder(name)
