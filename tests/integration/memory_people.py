"""People of a gateway under test: the true tables and rules, in memory, with passwords that are hashed quickly."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.core.alarm import AlarmEvent
from gateway.core.clock import Clock
from gateway.core.errors import StorageError
from gateway.people.passwords import Passwords
from gateway.people.people import People
from gateway.store.database import transaction
from gateway.store.disk import Problems
from gateway.store.ledger import LEDGER_SCHEMA, Ledger
from gateway.store.people import PeopleStore

QUICK = Passwords(memory_kib=64, passes=1)


class MemoryDatabase:
    """The journal's side tables without a file; `refuses` makes writes fail, `broken` everything."""

    path = Path("memory")

    def __init__(self) -> None:
        self.refuses = self.broken = False
        self._lock = threading.RLock()
        self._made: sqlite3.Connection | None = None

    def _connection(self) -> sqlite3.Connection:
        if self._made is None:
            self._made = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._made.executescript(LEDGER_SCHEMA)
        return self._made

    @contextmanager
    def write(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self.refuses or self.broken:
                raise StorageError(f"{doing}: the disk refuses")
            with transaction(self._connection()):
                yield self._connection()

    @contextmanager
    def read(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self.broken:
                raise StorageError(f"{doing}: the disk refuses")
            yield self._connection()

    def __del__(self) -> None:
        if self._made is not None:
            self._made.close()


class MemoryPeople(People):
    """People with their tables at hand."""

    def __init__(
        self,
        clock: Clock,
        tell: Callable[[AlarmEvent], object] = lambda _event: None,
        announce: Callable[[str], None] | None = None,
    ) -> None:
        self.database = MemoryDatabase()
        self.store = PeopleStore(self.database)
        self.ledger = Ledger(self.database, Problems())  # type: ignore[arg-type]  # satisfies all that it asks of it
        super().__init__(
            self.store, self.ledger, clock, tell=lambda e: (tell(e), None)[1], announce=announce, passwords=QUICK
        )
