"""The data folder: everything the gateway keeps on its machine, opened together and used by one gateway only."""

import asyncio
import fcntl
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from gateway.core.alarm import AlarmEvent
from gateway.core.errors import StorageError
from gateway.recorder import Recorder
from gateway.site.load import Site
from gateway.store.history import History
from gateway.store.journal import Journal
from gateway.store.spool import Spool


class FolderLock:
    """Keeps a second gateway out of a data folder; the system lets go of it when the process ends, however it ends.

    Args:
        folder: The data folder; made where it does not exist.

    Raises:
        StorageError: The folder cannot be made, or another gateway holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._handle = -1
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise StorageError(f"{folder} is in use by another gateway") from error
        except OSError as error:
            raise StorageError(f"{folder} cannot be used: {error.strerror}") from error

    def release(self) -> None:
        """Let go; may be called twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


@dataclass(slots=True)
class Disk:
    """The files of the data folder."""

    journal: Journal
    spool: Spool
    history: History
    checkpoint: Path

    @classmethod
    def open(cls, folder: Path, site: Site) -> "Disk":
        """Open or make the files. Raises StorageError only where the folder itself cannot be used."""
        ids = [channel.id for channel in site.channels]
        limits = site.file.storage
        return cls(
            Journal.open(folder / "journal.db", site.file.site.gateway),
            Spool.open(folder / "spool", ids, bytes_max=limits.spool_bytes_max),
            History.open(folder / "history.db", ids, days=limits.history_days, bytes_max=limits.history_bytes_max),
            folder / "spool" / "detectors.npz",
        )

    def problems(self) -> list[str]:
        """Return what was found wrong on opening, one line each."""
        return [*self.journal.problems, *self.spool.problems, *self.history.problems]

    def close(self) -> None:
        """Close all files."""
        self.journal.close()
        self.spool.close()
        self.history.close()


class JournalLedger:
    """The journal as outboxes write to it: cursors and dead letters, in the journal's own thread."""

    def __init__(self, journal: Journal, thread: Executor) -> None:
        self._journal = journal
        self._thread = thread

    async def cursor(self, name: str) -> str | None:
        """Return what `set_cursor` was last given for the name, or None."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._journal.cursor, name)

    async def set_cursor(self, name: str, text: str) -> None:
        """Keep a cursor."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._journal.set_cursor, name, text)

    async def dead_letter(self, sink: str, key: str, payload: str, reason: str, time_ns: int) -> None:
        """Keep what a sink refused for ever."""
        await asyncio.get_running_loop().run_in_executor(
            self._thread, self._journal.dead_letter, sink, key, payload.encode(), reason, time_ns
        )


class JournalReader:
    """Published events as outboxes read them."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def read(self, after: int, limit: int) -> Sequence[AlarmEvent]:
        """Return up to `limit` events with `seq > after`, lowest first."""
        return await self._recorder.read(after, limit)
