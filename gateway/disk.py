"""The data folder: everything the gateway keeps on its machine, opened together and used by one gateway only."""

import fcntl
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway.core.alarm import AlarmEvent
from gateway.core.errors import StorageError
from gateway.notice import withdraw
from gateway.recorder import Recorder
from gateway.site.load import Site
from gateway.store.backlog import head_of
from gateway.store.history import History
from gateway.store.journal import Journal
from gateway.store.logs import EventLog, InThread, Slice
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
            withdraw(folder)
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
        journal = Journal.open(folder / "journal.db", site.file.site.gateway)
        # No reading may get a number that a store has already acknowledged for another one.
        floor = max((head_of(journal.cursor(store.id)) for store in site.stores), default=0)
        return cls(
            journal,
            Spool.open(folder / "spool", ids, bytes_max=limits.spool_bytes_max, floor=floor),
            History.open(folder / "history.db", ids, days=limits.history_days, bytes_max=limits.history_bytes_max),
            folder / "spool" / "detectors.npz",
        )

    def problems(self) -> list[str]:
        """Return what was found wrong on opening, one line each."""
        return [*self.journal.problems, *self.spool.problems, *self.history.problems]

    def close(self) -> None:
        """Close all files, each whatever becomes of the others. Raises StorageError for the last that refused."""
        with ExitStack() as stack:
            for store in (self.history, self.spool, self.journal):
                stack.callback(store.close)


class PublishedEvents(EventLog):
    """What an uplink may send: events that were published, also those that a broken disk has not taken yet.

    Args:
        journal: Where published events are kept.
        recorder: Which knows what is published and holds the newest in memory.
        in_thread: Runs the journal's blocking methods.
    """

    def __init__(self, journal: Journal, recorder: Recorder, in_thread: InThread) -> None:
        super().__init__(journal, in_thread)
        self._recorder = recorder

    def end(self) -> int:
        """Return the number after the newest published event."""
        return self._recorder.published + 1

    async def read(self, start: int, limit: int) -> Slice[Sequence[AlarmEvent]]:
        """Return up to `limit` events from `start` on."""
        end = self.end()
        events = await self._recorder.read(start - 1, limit)
        # Fewer than asked for: what lies between them and the end is damaged.
        following = events[-1].seq + 1 if len(events) >= limit else max(end, start)
        return Slice(events, len(events), following, await self.first(), events[0].time_ns if events else 0)
