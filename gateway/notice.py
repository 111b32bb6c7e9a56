"""What a running gateway leaves in its data folder for other commands: who it is, and what became of a reload."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from gateway.core.errors import HazgateError

RUNNING = "running.json"
RELOADED = "reload.json"


class Running(msgspec.Struct, frozen=True):
    """The gateway that uses a data folder.

    Attributes:
        pid: Its process.
        site: Its site file, absolute.
    """

    pid: int
    site: str


class Outcome(msgspec.Struct, frozen=True):
    """What became of a reload that a signal asked for.

    Attributes:
        began_s: When the file was begun to be read, by the machine's monotonic clock, which all processes share.
        applied: The gateway runs what the file says.
        what: What changed.
        problems: Why it was refused.
    """

    began_s: float
    applied: bool
    what: str
    problems: tuple[str, ...] = ()


def announce(folder: Path, site: Path) -> None:
    """Say that this process runs a site from a data folder that it holds; blocks. Raises OSError."""
    _put(folder / RUNNING, Running(os.getpid(), str(site.resolve())))


def tell(folder: Path, outcome: Outcome) -> None:
    """Leave what became of a reload; blocks. Raises OSError."""
    _put(folder / RELOADED, outcome)


def withdraw(folder: Path) -> None:
    """Take away what an earlier process has left: its number may be another program's by now."""
    for name in (RUNNING, RELOADED):
        with suppress(OSError):
            (folder / name).unlink()


def running(folder: Path) -> Running:
    """Return who uses a data folder.

    Raises:
        HazgateError: Nobody does, it is starting, or this user may not look.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise HazgateError(f"no gateway runs with the data folder {folder}: it does not exist") from error
    except OSError as error:
        raise HazgateError(f"{folder}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        raise HazgateError(f"no gateway runs with the data folder {folder}")
    finally:
        os.close(handle)
    try:
        return msgspec.json.decode((folder / RUNNING).read_bytes(), type=Running)
    except FileNotFoundError as error:
        raise HazgateError(f"the gateway of {folder} is starting, or is none that reads its site file again") from error
    except (OSError, msgspec.MsgspecError) as error:
        raise HazgateError(f"{folder / RUNNING}: {error}") from error


def outcome(folder: Path) -> Outcome | None:
    """Return what became of the last reload that a signal asked for, or None."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((folder / RELOADED).read_bytes(), type=Outcome)
    return None


def _put(file: Path, content: msgspec.Struct) -> None:
    """Write a file whole or not at all."""
    fresh = file.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(content))
    fresh.replace(file)
