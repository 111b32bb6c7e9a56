"""Finding events of the journal by time, alarm, kind, area, person and words: questions that may take a while.

Each question has a connection of its own, read-only: neither a writer nor a reader of new events ever waits for one.
"""

import heapq
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.errors import StorageError
from gateway.store.chain import ROOT, Link, event_of
from gateway.store.disk import storage_errors

SEARCHED_MAX: Final = 50_000
"""Events looked at for one question; where more may match, the answer says from where to go on."""
BUSY_S: Final = 5.0
FILED_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS filed (name TEXT, seq INTEGER, PRIMARY KEY (name, seq)) WITHOUT ROWID"
"""Events by name: `area:…`, `who:…`, `case:…` of a case, `closed:` of all closed cases, `closed:…` of an alarm's."""
FILED_AFTER: Final = "filed_after"
"""Name in `meta` of the number after which every event is filed; those up to it are older than the table."""
_SEQ_END: Final = 2**63 - 1


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are wanted; what is empty or 0 does not narrow.

    Attributes:
        after: Events behind this number; with `newest_first` those before it, or all where it is 0.
        limit: At most so many.
        newest_first: The newest come first.
        start_ns: Not before this time.
        end_ns: Before this time.
        alarm: Only this alarm's.
        kinds: Only of these kinds.
        area: Only of this area.
        who: Only what this person, platform or part did.
        text: Only where this stands, in either language, in whatever case, in what people read of an event.
    """

    after: int = 0
    limit: int = 100
    newest_first: bool = True
    start_ns: int = 0
    end_ns: int = 0
    alarm: str = ""
    kinds: tuple[str, ...] = ()
    area: str = ""
    who: str = ""
    text: str = ""

    def matches(self, event: AlarmEvent) -> bool:
        """Whether an event is wanted, wherever it stands and however many are."""
        if event.time_ns < self.start_ns or (self.end_ns and event.time_ns >= self.end_ns):
            return False
        if (self.kinds and event.kind not in self.kinds) or (self.alarm and event.alarm != self.alarm):
            return False
        if (self.area and event.area != self.area) or (self.who and event.who != self.who):
            return False
        return not self.text or self.text.casefold() in words_of(event).casefold()

    def follows(self, seq: int) -> bool:
        """Whether an event of that number lies behind `after`."""
        return (not self.after or seq < self.after) if self.newest_first else seq > self.after


class Found(NamedTuple):
    """Events in the wanted order; `next` is the `after` with which to go on, None where nothing more is kept."""

    events: list[AlarmEvent]
    next: int | None


def words_of(event: AlarmEvent) -> str:
    """Return what people read of an event, in which words are looked for."""
    own = (event.alarm, event.channel, event.instrument, event.area, event.quantity, event.who, event.why, event.why_zh)
    more: tuple[str, ...] = (event.acked_by, event.permit, event.suppressed_by, event.quality)
    if event.case is not None:
        case = event.case
        more += (case.id, case.title, case.title_zh, case.assignee, case.phone, case.note, case.outcome)
        more += tuple(action.text for action in case.actions)
    return "\n".join(filter(None, own + more))


def names_of(event: AlarmEvent) -> tuple[str, ...]:
    """Return the names under which an event is filed."""
    names = tuple(f"{what}:{name}" for what, name in (("area", event.area), ("who", event.who)) if name)
    if event.case is None:
        return names
    closed = ("closed:", f"closed:{event.case.alarm}") if event.case.closed_ns else ()
    return (*names, f"case:{event.case.id}", *dict.fromkeys(closed))


class Past:
    """A journal's file, to be asked about its past; also while a gateway writes it, also where none runs.

    All methods block and may be called from any thread, several at a time.

    Args:
        path: The `journal.db`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def read(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Give a connection that cannot write. Raises StorageError."""
        with storage_errors(self.path, doing):
            if not self.path.is_file():
                raise StorageError(f"{self.path}: {doing}: there is no such file")
            with closing(self._open()) as connection:
                yield connection

    def _open(self) -> sqlite3.Connection:
        place = f"file:{quote(str(self.path.absolute()))}?mode=ro"
        try:
            return _opened(place)
        except sqlite3.OperationalError:
            if self.path.with_name(f"{self.path.name}-wal").exists():
                raise
            # On a medium that nobody may write there can be no other writer either.
            return _opened(f"{place}&immutable=1")

    def search(self, query: Query) -> Found:
        """Return events that match. Raises StorageError."""
        with self.read("searching events") as connection:
            low, high = _bounds(connection, query)
            low, high, beyond = _window(connection, query, low, high)
            events: list[AlarmEvent] = []
            for looked, (seq, body, code) in enumerate(_rows(connection, query, low, high), start=1):
                event = event_of(seq, body, code)
                if event is not None and query.matches(event):
                    events.append(event)
                if len(events) >= query.limit or looked >= SEARCHED_MAX:
                    return Found(events, seq)
            return Found(events, beyond)

    def span(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """Return the lowest and highest number of the events in `[start_ns, end_ns)`; (1, 0) where there is none.

        Raises:
            StorageError: The disk refuses.
        """
        with self.read("looking for a time") as connection:
            return _span(connection, start_ns, end_ns)

    def links(self) -> tuple[Link, Link]:
        """Return what the oldest kept event hangs on, and the newest event. Raises StorageError."""
        with self.read("reading the head") as connection:
            links = {name: Link(*link) for name, *link in connection.execute("SELECT * FROM links")}
        anchor = links.get("anchor", Link(0, ROOT, 0))
        return anchor, links.get("head", anchor)

    def meta(self) -> dict[str, str]:
        """Return what the journal says of itself, such as its epoch. Raises StorageError."""
        with self.read("reading the epoch") as connection:
            return dict(connection.execute("SELECT name, value FROM meta").fetchall())

    def at(self, time_ns: int) -> list[AlarmEvent]:
        """Return the last event of every alarm, and the last `SILENCED` one, as they were at a time.

        The journal is folded up to the first event that is later than all of that time: what came afterwards, even
        with an earlier time, such as readings that a head had stored, was not known then. Work grows with the number
        of alarms, not of events.

        Raises:
            StorageError: The disk refuses.
        """
        with self.read("reading a past state") as connection:
            newest = connection.execute(
                "SELECT seq FROM events WHERE time_ns <= ? ORDER BY time_ns DESC, seq DESC LIMIT 1", (time_ns,)
            ).fetchone()
            if newest is None:
                return []
            later = connection.execute(
                "SELECT seq FROM events WHERE seq > ? AND +time_ns > ? ORDER BY seq LIMIT 1", (newest[0], time_ns)
            ).fetchone()
            return list(_state(connection, later[0] - 1 if later else _SEQ_END))

    def latest(self) -> list[AlarmEvent]:
        """Return the last event of every alarm, and the last `SILENCED` one. Raises StorageError."""
        with self.read("reading the present state") as connection:
            return list(_state(connection, _SEQ_END))

    def kept(self, kind: EventKind) -> list[AlarmEvent]:
        """Return what is kept of one kind as the last word on something, such as every open case, in no order.

        Raises:
            StorageError: The disk refuses.
        """
        with self.read("reading the present state") as connection:
            rows = connection.execute("SELECT seq, body, code FROM latest").fetchall()
        events = (event_of(*row) for row in rows)
        return [event for event in events if event is not None and event.kind is kind]

    def rows(self, after: int, last: int, limit: int) -> list[tuple[int, bytes, bytes]]:
        """Return number, bytes and hash of stored events in order, `after < number <= last`. Raises StorageError."""
        with self.read("reading events") as connection:
            return connection.execute(
                "SELECT seq, body, digest FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
                (after, last, limit),
            ).fetchall()

    def case(self, case_id: str) -> AlarmEvent | None:
        """Return the last event of a case, whole and readable; None where none is kept. Raises StorageError."""
        with self.read("looking for a case") as connection:
            return _last_of_case(connection, case_id)

    def closed_cases(self, after: int, limit: int, alarm: str = "") -> Found:
        """Return the last events of cases that are closed, the one that changed last first.

        Args:
            after: Only those whose last event has a number below this; all where it is 0.
            limit: At most so many.
            alarm: Only those of this alarm.

        Raises:
            StorageError: The disk refuses.
        """
        found: list[AlarmEvent] = []
        seq = after or _SEQ_END
        with self.read("looking for closed cases") as connection:
            rows = connection.execute(
                "SELECT events.seq, body, code FROM filed CROSS JOIN events ON events.seq = filed.seq "
                "WHERE filed.name = ? AND filed.seq < ? ORDER BY filed.seq DESC",
                (f"closed:{alarm}", seq),
            )
            for seq, body, code in rows:
                event = event_of(seq, body, code)
                if event is None or event.case is None:
                    continue
                # A case that was opened again, or closed again, is found where it stands now.
                last = _last_of_case(connection, event.case.id)
                if last is not None and last.seq == seq:
                    found.append(event)
                if len(found) >= limit:
                    return Found(found, seq)
        return Found(found, None)

    def events(self, query: Query) -> Iterator[AlarmEvent]:
        """Yield all that match, part by part, however many. Raises StorageError."""
        while True:
            part = self.search(query)
            yield from part.events
            if part.next is None:
                return
            query = msgspec.structs.replace(query, after=part.next)


def _last_of_case(connection: sqlite3.Connection, case_id: str) -> AlarmEvent | None:
    rows = connection.execute(
        "SELECT events.seq, body, code FROM filed CROSS JOIN events ON events.seq = filed.seq "
        "WHERE filed.name = ? ORDER BY filed.seq DESC",
        (f"case:{case_id}",),
    )
    return next(filter(None, (event_of(*row) for row in rows)), None)


def _opened(place: str) -> sqlite3.Connection:
    connection = sqlite3.connect(place, timeout=BUSY_S, isolation_level=None, uri=True)
    try:
        connection.execute("PRAGMA cache_size=-4096")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _span(connection: sqlite3.Connection, start_ns: int, end_ns: int) -> tuple[int, int]:
    # Numbers rise with time but for late readings and set clocks; the index alone answers.
    low, high = connection.execute(
        "SELECT min(seq), max(seq) FROM events INDEXED BY events_time WHERE time_ns >= ? AND time_ns < ?",
        (start_ns, end_ns or _SEQ_END),
    ).fetchone()
    return (1, 0) if low is None else (low, high)


def _bounds(connection: sqlite3.Connection, query: Query) -> tuple[int, int]:
    """Return the lowest and highest number to look at."""
    low, high = (0, _SEQ_END) if query.newest_first else (query.after + 1, _SEQ_END)
    if query.newest_first and query.after:
        high = query.after - 1
    if query.start_ns or query.end_ns:
        first, last = _span(connection, query.start_ns, query.end_ns)
        low, high = max(low, first), min(high, last)
    return low, high


def _window(connection: sqlite3.Connection, query: Query, low: int, high: int) -> tuple[int, int, int | None]:
    """Return the part of the numbers that one question may read through for words, and where the next one begins."""
    if not query.text or query.alarm or query.who or query.area:
        return low, high, None
    first, last = connection.execute("SELECT min(seq), max(seq) FROM events").fetchone()
    low, high = max(low, first or 0), min(high, last or 0)
    if high - low < SEARCHED_MAX:
        return low, high, None
    if query.newest_first:
        return high - SEARCHED_MAX + 1, high, high - SEARCHED_MAX + 1
    return low, low + SEARCHED_MAX - 1, low + SEARCHED_MAX - 1


_StoredRow = tuple[int, object, object]


def _rows(connection: sqlite3.Connection, query: Query, low: int, high: int) -> Iterator[_StoredRow]:
    """Yield rows that may match, in order, from the index that narrows most."""
    name = f"who:{query.who}" if query.who else f"area:{query.area}" if query.area else ""
    if query.alarm:
        yield from _select(connection, query, low, high, column="alarm", value=query.alarm)
    elif name:
        # Events from before the table was kept are not filed: they are looked at one by one.
        unfiled = min(_filed_after(connection), high)
        parts = [(name, max(low, unfiled + 1), high), ("", low, unfiled)]
        for filed, first, last in parts if query.newest_first else reversed(parts):
            if first <= last:
                yield from _select(connection, query, first, last, filed=filed)
    elif query.kinds:
        each = [_select(connection, query, low, high, column="kind", value=kind) for kind in dict.fromkeys(query.kinds)]
        yield from heapq.merge(*each, key=lambda row: row[0], reverse=query.newest_first)
    else:
        yield from _select(connection, query, low, high)


def _filed_after(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (FILED_AFTER,)).fetchone()
    return int(row[0]) if row else _SEQ_END


def _select(
    connection: sqlite3.Connection,
    query: Query,
    low: int,
    high: int,
    *,
    column: str = "",
    value: str = "",
    filed: str = "",
) -> Iterator[_StoredRow]:
    """Yield rows of one index in order: of a column's value, of what is filed under a name, or of all."""
    source, seq = "events", "events.seq"
    conditions: list[str] = [f"{column} = ?"] if column else []
    bound: list[object] = [value] if column else []
    if filed:
        source, seq = "filed CROSS JOIN events ON events.seq = filed.seq", "filed.seq"
        conditions, bound = ["filed.name = ?"], [filed]
    conditions += [f"{seq} >= ?", f"{seq} <= ?"]
    bound += [low, high]
    # The plus keeps SQLite from taking another index: the one chosen here is in the wanted order.
    if query.start_ns or query.end_ns:
        conditions.append("+time_ns >= ? AND +time_ns < ?")
        bound += [query.start_ns, query.end_ns or _SEQ_END]
    if query.kinds and column != "kind":
        conditions.append(f"+kind IN ({', '.join('?' * len(query.kinds))})")
        bound += query.kinds
    if query.text and all(letter.isascii() or letter.lower() == letter.upper() for letter in query.text):
        # Most events are passed over without being decoded; SQLite knows the two cases of ASCII letters only.
        conditions.append("CAST(body AS TEXT) LIKE ? ESCAPE '!'")
        bound.append(_pattern(query.text))
    order = "DESC" if query.newest_first else "ASC"
    statement = f"SELECT events.seq, body, code FROM {source} WHERE {' AND '.join(conditions)}"  # noqa: S608  # our names
    yield from connection.execute(f"{statement} ORDER BY {seq} {order}", bound)


def _pattern(text: str) -> str:
    """Return what SQLite's LIKE finds a text by within JSON."""
    written = msgspec.json.encode(text).decode()[1:-1]
    for special in "!%_":
        written = written.replace(special, f"!{special}")
    return f"%{written}%"


def _state(connection: sqlite3.Connection, last: int) -> Iterator[AlarmEvent]:
    """Yield the last whole event of each alarm up to a number, and the last that silenced."""
    names = sorted(name for (name,) in connection.execute("SELECT key FROM latest") if not name.startswith("\0"))
    for column, values in (("alarm", names), ("kind", [str(EventKind.SILENCED)])):
        query = f"SELECT seq, body, code FROM events WHERE {column} = ? AND seq <= ? ORDER BY seq DESC"  # noqa: S608  # two names
        for value in values:
            events = (event_of(*row) for row in connection.execute(query, (value, last)))
            # Where the last one is damaged, the one before it is nearer to the truth than nothing.
            yield from islice(filter(None, events), 1)
