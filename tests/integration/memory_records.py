"""A journal's file behind a gateway whose journal is a list: searches, exports and reports are the true ones."""

import atexit
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from gateway.alarms.book import AlarmBook
from gateway.cases import Cases
from gateway.core.alarm import AlarmEvent
from gateway.core.clock import Clock
from gateway.records import Records
from gateway.reports.gather import Present
from gateway.reports.place import place_of
from gateway.site.schema import SiteFile
from gateway.store.journal import Journal
from gateway.store.search import Past


class Remembering(Protocol):
    """What of a gateway in memory its records need."""

    clock: Clock
    site_file: SiteFile
    book: AlarmBook
    journal: list[AlarmEvent]
    cases: Cases

    async def record(self, event: AlarmEvent) -> AlarmEvent: ...


class MemoryPast(Past):
    """Writes what the list has and the file has not, then reads the file."""

    def __init__(self, events: Sequence[AlarmEvent]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hazgate-records-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        super().__init__(self.folder / "journal.db")
        self._events = events
        self._written = -1
        self._one_writes = threading.Lock()

    @contextmanager
    def read(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._one_writes:
            self._write_the_rest()
        with super().read(doing) as connection:
            yield connection

    def _write_the_rest(self) -> None:
        if self._written == len(self._events):
            return
        journal = Journal.open(self.path, "gw-1")
        try:
            journal.append([event for event in self._events if event.seq > journal.last_seq])
        finally:
            journal.close()
        self._written = len(self._events)


def records_of(gateway: Remembering) -> Records:
    """Return the records of a gateway in memory; its files go when the tests end."""
    past = MemoryPast(gateway.journal)
    return Records(
        past.folder,
        gateway.clock,
        past,
        place=lambda: place_of(gateway.site_file),
        present=lambda: Present(alarms=tuple(gateway.book.alarms()), cases=tuple(gateway.cases.open())),
        record=gateway.record,
    )
