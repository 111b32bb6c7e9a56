"""What all local stores share towards the machine's disk: errors by name, free space, and putting damage aside."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.core.errors import StorageError

PROBLEMS_MAX = 100
ASIDE_MAX = 4


class Problems(list[str]):
    """What was found damaged or given up, in words; bounded, so that a rotten disk cannot fill the memory."""

    def tell(self, problem: str) -> None:
        """Add a problem unless it is known already; beyond the limit the oldest half is forgotten."""
        if problem in self:
            return
        if len(self) >= PROBLEMS_MAX:
            del self[: PROBLEMS_MAX // 2]
        self.append(problem)


@contextmanager
def storage_errors(path: Path, doing: str) -> Iterator[None]:
    """Translate every error of the disk or of SQLite inside the block.

    Raises:
        StorageError: Names the file, what was being done, and the reason.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path}: {doing}: {reason(error)}") from error


def reason(error: OSError | sqlite3.Error) -> str:
    """Return an error's reason in words, without the file name that the message already holds."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on disk: a file made, renamed or deleted is only then certain after a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file so that it is there whole or not at all, also after a power cut. Raises StorageError.

    Args:
        path: The file; its folder is made where it is absent.
        content: What is in it.
        mode: Who may do what with it from then on.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"{path}: writing: {error.strerror}") from error


def make_folder(folder: Path) -> None:
    """Make a folder with its parents, unreadable for others.

    Raises:
        StorageError: It cannot be made, or something else has its name.
    """
    with storage_errors(folder, "making the folder"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def free_bytes(folder: Path) -> int:
    """Return the bytes that an ordinary user may still write on the folder's file system."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


def set_aside(path: Path) -> Path:
    """Rename a damaged file to `<name>.damaged-<n>` in its folder, keeping the newest few and deleting older ones.

    Damage is kept for a person to look at, and kept within limits: nobody may ever look.
    """
    taken = sorted(path.parent.glob(f"{path.name}.damaged-*"), key=lambda p: int(p.name.rpartition("-")[2]))
    for old in taken[: max(0, len(taken) - ASIDE_MAX + 1)]:
        old.unlink(missing_ok=True)
    number = int(taken[-1].name.rpartition("-")[2]) + 1 if taken else 1
    aside = path.with_name(f"{path.name}.damaged-{number}")
    path.rename(aside)
    with suppress(OSError):
        sync_folder(path.parent)
    return aside
