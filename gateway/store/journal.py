"""The journal: every alarm event, numbered, chained by hashes, on disk before anyone is told of it."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.errors import StorageError
from gateway.store.chain import ROOT, Link, Row, event_of, row_of
from gateway.store.database import Database, is_damage, open_database, salvage
from gateway.store.disk import Problems, free_bytes, storage_errors
from gateway.store.identity import Identity
from gateway.store.ledger import LEDGER_SCHEMA, Ledger
from gateway.store.proof import verify_journal
from gateway.store.search import FILED_AFTER, FILED_SCHEMA, Past, names_of

EVENTS_MIN: Final = 999
"""Events that are kept whatever the limit: GB 4717-2024 annex B asks for so many."""

WAL_BYTES_MAX: Final = 1 << 20
TRIM_EVENTS: Final = 1_000
RESERVE_BYTES: Final = 1 << 20
LATEST_MAX: Final = 100_000
BEHIND_DAMAGE_MAX: Final = 50_000
"""Newest events that are looked for behind a damaged place; so many fit the memory of a small machine."""

_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, alarm TEXT NOT NULL, kind TEXT NOT NULL,
    body BLOB NOT NULL, digest BLOB NOT NULL, code INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS events_time ON events (time_ns);
CREATE INDEX IF NOT EXISTS events_alarm ON events (alarm);
CREATE INDEX IF NOT EXISTS events_kind ON events (kind);
CREATE TABLE IF NOT EXISTS latest (
    key TEXT PRIMARY KEY, seq INTEGER NOT NULL, body BLOB NOT NULL, code INTEGER NOT NULL, normal INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS links (
    name TEXT PRIMARY KEY, seq INTEGER NOT NULL, digest BLOB NOT NULL, events INTEGER NOT NULL);
{FILED_SCHEMA};
{LEDGER_SCHEMA}
"""  # a schema of our own, nothing from outside
_TABLES: Final = ("events", "latest", "links", "cursors", "dead", "tokens", "accounts", "meta")
_SILENCED: Final = "\0silenced"
_CASE: Final = "\0case/"
"""How the key of a case begins that is open, or closed while its alarm stands; what is archived is kept no longer."""


class Journal(Ledger):
    """The list of all alarm events in `journal.db`, and what belongs to it.

    All methods block and may be called from any thread; the application has one thread for them. One `append` is one
    commit and is on disk (fsync) when it returns. A damaged row is told in `problems` and passed over.

    Attributes:
        epoch: Random; new whenever this journal cannot be sure of being the only one with its past: it was copied,
            restored, cloned, or has lost events. Numbers go on, keys (`gateway:epoch:number`) do not repeat.
        epoch_reason: Why the epoch is new, or empty where it is not or where the journal is.
        last_seq: Number of the newest event, 0 before the first.
        first_seq: Number of the oldest event kept, `last_seq + 1` where none is.
        problems: What was found damaged, in words.
    """

    def __init__(self, database: Database, problems: Problems, gateway: str, events_max: int) -> None:
        super().__init__(database, problems)
        self.path = database.path
        self.epoch = ""
        self.epoch_reason = ""
        self._gateway = gateway
        self._events_max = max(events_max, EVENTS_MIN + 1)
        self._unsaved_meta: dict[str, str] = {}
        self._identity = Identity(database.path)
        self._reserve = database.path.with_suffix(".reserve")
        self._head = self._anchor = Link(0, ROOT, 0)

    @classmethod
    def open(cls, path: Path, gateway: str, *, events_max: int = 2_000_000) -> "Journal":
        """Open a gateway's journal, or a new one; what can be read of a damaged one is taken over.

        Args:
            path: The database; its companions `.id`, `.mark` and `.reserve` are beside it.
            gateway: The gateway's id, the first part of its events' keys.
            events_max: Events kept; beyond it the oldest go, but never the last 999.

        Raises:
            StorageError: The folder cannot be used.
        """
        problems = Problems()
        database, aside = open_database(
            path, _SCHEMA, problems, synchronous="FULL", wal_bytes_max=WAL_BYTES_MAX, tables=_TABLES
        )
        journal = cls(database, problems, gateway, events_max)
        try:
            if aside is not None:
                journal._take_over(aside)
            with database.read("reading the head") as connection:
                journal._load_links(connection)
            journal._settle_identity(new_file=aside is not None)
            journal._settle_filing(new_file=aside is not None)
        except BaseException:
            journal.close()
            raise
        with suppress(OSError):
            journal._fill_reserve()
        return journal

    @property
    def last_seq(self) -> int:
        """Number of the newest event, 0 before the first."""
        return self._head.seq

    @property
    def first_seq(self) -> int:
        """Number after the newest event that made way; the oldest kept has it."""
        return self._anchor.seq + 1

    @property
    def head(self) -> tuple[int, str]:
        """Number and hash of the newest event: sent elsewhere, it proves that nobody has rewritten the past."""
        return self._head.seq, self._head.digest.hex()

    def key(self, seq: int) -> str:
        """Return an event's key, by which whoever gets it twice knows it."""
        return f"{self._gateway}:{self.epoch}:{seq}"

    def close(self) -> None:
        """Let go of the files; may be called twice."""
        self._identity.close()
        self._database.close()

    # --- identity ---

    def _load_links(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute("SELECT name, seq, digest, events FROM links").fetchall()
        links = {name: Link(seq, digest, events) for name, seq, digest, events in rows}
        self._anchor = links.get("anchor", Link(0, ROOT, 0))
        self._head = links.get("head", self._anchor)
        row = connection.execute("SELECT seq, digest FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        if row is not None and row[0] > self._head.seq:
            # Only tampering or rot does this. Numbers must not repeat; `verify` goes on saying what is wrong.
            self.problems.tell(f"{self.path}: event {row[0]} stands beyond the head {self._head.seq}")
            self._head = Link(row[0], row[1], self._head.events)

    def _settle_identity(self, *, new_file: bool) -> None:
        """Keep the epoch where this is surely the journal it was, else begin a new one."""
        with self._database.read("reading the epoch") as connection:
            meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
        binding = self._identity.binding()
        why = ""
        if new_file:
            why = "the file was damaged and what could be read was taken over"
        elif self._identity.mark > self.last_seq:
            why = f"the file ends at event {self.last_seq}, but event {self._identity.mark} was given out already"
        elif "epoch" in meta and (not binding or meta.get("binding") != binding):
            why = "the folder was copied, restored or moved"
        if why or "epoch" not in meta:
            self.epoch, binding = self._identity.renew()
            self._unsaved_meta = {"epoch": self.epoch, "binding": binding}
            if why:
                self.epoch_reason = why
                self.problems.tell(f"{self.path}: new epoch {self.epoch}: {why}")
        else:
            self.epoch = meta["epoch"]
        # On a full disk the epoch lives in memory, and goes to disk with the first event that does.
        with suppress(StorageError):
            self._save_meta()
        if self._identity.mark != self.last_seq:
            self._identity.set_mark(self.last_seq, now=True)

    def _settle_filing(self, *, new_file: bool) -> None:
        """Remember from which event on all are filed by area and person; where that fails, fewer count as filed."""
        after = 0 if new_file else self._head.seq
        with suppress(StorageError), self._database.write("filing events") as connection:
            connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (FILED_AFTER, str(after)))

    def _save_meta(self) -> None:
        if self._unsaved_meta:
            with self._database.write("keeping the epoch") as connection:
                self._write_meta(connection)
            self._unsaved_meta = {}

    def _write_meta(self, connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", self._unsaved_meta.items())

    def _take_over(self, aside: Path) -> None:
        """Take all that can be read from a damaged file, chain it anew and keep cursors, tokens and accounts."""
        with suppress(StorageError), self._database.write("taking over cursors and tokens") as connection:
            for table, columns in (("cursors", 3), ("tokens", 4), ("accounts", 9), ("latest", 5)):
                marks = ", ".join("?" * columns)
                query = f"INSERT OR IGNORE INTO {table} VALUES ({marks})"  # noqa: S608  # our own names
                connection.executemany(query, salvage(aside, table, "*"))
        try:
            self._adopt(salvage(aside, "events", "seq, body, code"))
            behind = islice(salvage(aside, "events", "seq, body, code", newest_first=True), BEHIND_DAMAGE_MAX)
            self._adopt(reversed(list(behind)))
        except StorageError as error:
            self.problems.tell(str(error))
        self.problems.tell(f"{self.path}: {self._head.events} events were taken over from {aside.name}")

    def _adopt(self, rows: Iterable[tuple[object, ...]]) -> None:
        """Append those rows of a damaged file that are whole and newer than what is here."""
        rows = iter(rows)
        while part := list(islice(rows, TRIM_EVENTS)):
            events = [event for event in (event_of(*row) for row in part) if event and event.seq > self._head.seq]
            if not events:
                continue
            if not self._head.events:
                self._anchor = self._head = Link(events[0].seq - 1, ROOT, 0)
            self._head, self._anchor = self._write_events(events)

    # --- writing ---

    def append(self, events: Sequence[AlarmEvent]) -> None:
        """Write events in one commit that is on disk when this returns.

        Numbers grow; where some were given up before they could be written, the gap is told in `problems`. Events
        that a failed commit has written after all are known by their number and passed over.

        Raises:
            StorageError: None of the events is on disk for certain; write the same ones again.
            ValueError: A number is not higher than the one before it.
        """
        if not events:
            return
        with self._database.writing:
            if self._database.in_doubt:
                self._reload(events)
                events = [event for event in events if event.seq > self.last_seq]
                if not events:
                    return
            self._check_numbers(events)
            try:
                self._make_room(refuse=True)
                head, anchor = self._write_events(events)
            except StorageError:
                # These numbers may be sent from memory: if the process ends now, they must not be used again.
                self._identity.set_mark(max(self._identity.mark, events[-1].seq), now=True)
                raise
            self._head, self._anchor = head, anchor
            self._unsaved_meta = {}
            self._identity.set_mark(max(self._identity.mark, head.seq))

    def _check_numbers(self, events: Sequence[AlarmEvent]) -> None:
        previous = self.last_seq
        for event in events:
            if event.seq <= previous:
                raise ValueError(f"event {event.seq} comes after event {previous}")
            if event.seq > previous + 1 and self._head.events:
                self.problems.tell(f"{self.path}: events {previous + 1} to {event.seq - 1} were never written")
            previous = event.seq

    def _reload(self, events: Sequence[AlarmEvent]) -> None:
        """Find out what a failed commit has left."""
        try:
            with self._database.write("opening again") as connection:
                self._load_links(connection)
        except StorageError:
            self._identity.set_mark(max(self._identity.mark, events[-1].seq), now=True)
            raise

    def _write_events(self, events: Sequence[AlarmEvent]) -> tuple[Link, Link]:
        with self._database.write(f"writing event {events[-1].seq}") as connection:
            head = self._insert(connection, events)
            anchor = self._trim(connection, head)
            connection.executemany(
                "INSERT OR REPLACE INTO links VALUES (?, ?, ?, ?)", [("head", *head), ("anchor", *anchor)]
            )
            if self._unsaved_meta:
                self._write_meta(connection)
        return head, anchor

    def _insert(self, connection: sqlite3.Connection, events: Sequence[AlarmEvent]) -> Link:
        """Insert events behind the head and return the new one."""
        rows: list[Row] = []
        digest = self._head.digest
        newest: dict[str, tuple[int, bytes, int, bool]] = {}
        for event in events:
            row = row_of(event, digest)
            digest = row.digest
            rows.append(row)
            for key in _keys(event):
                newest[key] = (row.seq, row.body, row.code, _is_at_rest(event))
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        connection.executemany(
            "INSERT OR REPLACE INTO filed VALUES (?, ?)", [(name, e.seq) for e in events for name in names_of(e)]
        )
        connection.executemany(
            "INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?, ?)", [(key, *kept) for key, kept in newest.items()]
        )
        archived = [(key,) for key, (*_, at_rest) in newest.items() if at_rest and key.startswith(_CASE)]
        connection.executemany("DELETE FROM latest WHERE key = ?", archived)
        if not rows:
            return self._head
        return Link(rows[-1].seq, digest, self._head.events + len(rows))

    def _trim(self, connection: sqlite3.Connection, head: Link) -> Link:
        """Delete a block of the oldest events beyond the limit; returns the link that the rest hangs on."""
        anchor = self._anchor
        excess = head.events - anchor.events - self._events_max
        if excess <= 0:
            return anchor
        # A block now and then instead of one row each time, and never one of the last 999.
        count = min(max(excess, TRIM_EVENTS), head.events - anchor.events - EVENTS_MIN)
        row = connection.execute(
            "SELECT seq, digest FROM events ORDER BY seq LIMIT 1 OFFSET ?", (max(count, 1) - 1,)
        ).fetchone()
        _unfile(connection, row[0])
        connection.execute("DELETE FROM events WHERE seq <= ?", (row[0],))
        connection.execute(
            "DELETE FROM latest WHERE key IN (SELECT key FROM latest WHERE normal ORDER BY seq DESC LIMIT -1 OFFSET ?)",
            (LATEST_MAX,),
        )
        return Link(row[0], row[1], anchor.events + max(count, 1))

    # --- room on the disk ---

    def _make_room(self, *, refuse: bool = False) -> None:
        """Let go of the reserve when the disk is full, and take it back when there is room again.

        Args:
            refuse: Raise where even that is used up: the rest is for cursors, so that what was delivered can be
                remembered on a full disk.

        Raises:
            StorageError: See `refuse`.
        """
        with storage_errors(self.path, "asking for free space"):
            free = free_bytes(self.path.parent)
        if free < RESERVE_BYTES // 4 and self._reserve.exists():
            self._reserve.unlink(missing_ok=True)
            self.problems.tell(f"{self.path}: the disk is full; the journal lives on its reserve")
            free = free_bytes(self.path.parent)
        if refuse and free < RESERVE_BYTES // 8:
            raise StorageError(f"{self.path}: the disk is full: {free} bytes are free")
        if free > 8 * RESERVE_BYTES and not self._reserve.exists():
            with suppress(OSError):
                self._fill_reserve()

    def _fill_reserve(self) -> None:
        """Hold a piece of the disk, to be let go of when alarms need it."""
        if self._reserve.exists() or free_bytes(self.path.parent) < 4 * RESERVE_BYTES:
            return
        try:
            self._reserve.write_bytes(bytes(RESERVE_BYTES))
        except OSError:
            self._reserve.unlink(missing_ok=True)
            raise

    # --- reading ---

    def read(
        self, after: int, limit: int, *, alarm: str = "", kind: str = "", newest_first: bool = False
    ) -> list[AlarmEvent]:
        """Return events with `seq > after` in order, damaged ones left out.

        Args:
            after: A number; with `newest_first`, those below it are returned, or all where it is 0.
            limit: At most so many.
            alarm: Only this alarm's.
            kind: Only of this kind.
            newest_first: The newest come first.

        Raises:
            StorageError: The disk refuses.
        """
        found: list[AlarmEvent] = []
        while len(found) < limit:
            rows = self._rows(after, limit - len(found), alarm, kind, newest_first=newest_first)
            if not rows:
                break
            for row in rows:
                event = event_of(*row)
                if event is None:
                    self.problems.tell(f"{self.path}: event {row[0]} is damaged and is passed over")
                elif (not alarm or event.alarm == alarm) and (not kind or event.kind == kind):
                    found.append(event)
            after = int(str(rows[-1][0]))
            if newest_first and after <= 1:
                break
        return found

    def _rows(
        self, after: int, limit: int, alarm: str, kind: str, *, newest_first: bool
    ) -> list[tuple[object, object, object]]:
        """Return (number, body, code) of the next rows; one by one where the file is damaged."""
        query = "SELECT seq, body, code FROM events"
        query += " WHERE seq < ?" if newest_first else " WHERE seq > ?"
        # The plus keeps SQLite from searching by kind: an alarm has far fewer events than a kind.
        query += (" AND alarm = ?" if alarm else "") + (" AND +kind = ?" if kind and alarm else "")
        query += " AND kind = ?" if kind and not alarm else ""
        query += " ORDER BY seq" + (" DESC" if newest_first else "") + " LIMIT ?"
        from_ = after if after or not newest_first else self.last_seq + 1
        values = [from_, *filter(None, (alarm, kind)), limit]
        with self._database.read("reading events") as connection:
            try:
                return connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                self.problems.tell(f"{self.path}: a part of the file cannot be read ({error}); its events are left out")
                return list(self._rows_singly(connection, from_, limit, newest_first=newest_first))

    def _rows_singly(
        self, connection: sqlite3.Connection, after: int, limit: int, *, newest_first: bool
    ) -> Iterator[tuple[object, object, object]]:
        """Yield the next rows that can be read, whatever their alarm: one bad page must not hide those behind it."""
        step, end = (-1, self._anchor.seq) if newest_first else (1, self.last_seq + 1)
        start = after - 1 if newest_first else max(after, self._anchor.seq) + 1
        found = 0
        for seq in range(start, end, step):
            with suppress(sqlite3.DatabaseError):
                row = connection.execute("SELECT seq, body, code FROM events WHERE seq = ?", (seq,)).fetchone()
                if row is not None:
                    yield row
                    found += 1
            if found >= limit:
                return

    def latest(self) -> list[AlarmEvent]:
        """Return the last event of every alarm, and the last `SILENCED` one, in order of their numbers.

        That restores the alarm book whole: states, and how often each alarm was raised. Quick however long the
        journal is; a damaged row is looked up among the events.
        """
        with self._database.read("reading the present state") as connection:
            rows = connection.execute("SELECT key, seq, body, code FROM latest").fetchall()
        found: dict[int, AlarmEvent] = {}
        for key, *row in rows:
            event = event_of(*row)
            if event is None or key not in _keys(event):
                self.problems.tell(f"{self.path}: the state of {key!r} is damaged and was looked up again")
                found.update((event.seq, event) for event in self._again(key))
            else:
                found[event.seq] = event
        return [found[seq] for seq in sorted(found)]

    def _again(self, key: str) -> list[AlarmEvent]:
        """Return the last whole event that belongs to a key of the present state."""
        if key.startswith(_CASE):
            last = Past(self.path).case(key.removeprefix(_CASE))
            return [] if last is None else [last]
        if key == _SILENCED:
            return self.read(0, 1, kind=EventKind.SILENCED, newest_first=True)
        return self.read(0, 1, alarm=key, newest_first=True)

    # --- proof ---

    def verify(self) -> tuple[int, str]:
        """Check that no event was edited, deleted, inserted, reordered or cut off.

        Returns:
            How many events were checked, and what is wrong, or empty.
        """
        proof = verify_journal(self._database.read)
        return proof.events, proof.problem


def _unfile(connection: sqlite3.Connection, last: int) -> None:
    """Take events up to a number off the files of areas and people."""
    rows = connection.execute("SELECT seq, body, code FROM events WHERE seq <= ?", (last,)).fetchall()
    events = [event for event in (event_of(*row) for row in rows) if event is not None]
    connection.executemany(
        "DELETE FROM filed WHERE name = ? AND seq = ?", [(name, e.seq) for e in events for name in names_of(e)]
    )


def _is_at_rest(event: AlarmEvent) -> bool:
    """Return whether an event's alarm is normal, its case archived."""
    if event.case is not None:
        return bool(event.case.closed_ns) and event.case.over
    return event.state == "normal"


def _keys(event: AlarmEvent) -> tuple[str, ...]:
    """Return under which names an event is kept as the latest of its kind."""
    keys = (event.alarm,) if event.alarm else ()
    if event.case is not None:
        keys = (*keys, _CASE + event.case.id)
    if event.calibration is not None:
        # The last test of each kind, and the last that was passed: the duty of calibration outlives the oldest events.
        last = f"\0calibrated/{event.calibration.kind}/{event.instrument}"
        keys = (*keys, last, f"{last}/passed") if event.calibration.passed else (*keys, last)
    return (*keys, _SILENCED) if event.kind == EventKind.SILENCED else keys
