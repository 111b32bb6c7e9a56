"""The journal and the spool as an outbox sees them: items by number, and what to keep of those a peer refuses."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec

from gateway.core.alarm import AlarmEvent
from gateway.core.clock import rfc3339
from gateway.core.model import Batch, Channel, quality_name
from gateway.store.table import Table

ItemsT = TypeVar("ItemsT")
T = TypeVar("T")

REASONS_MAX = 20
"""Different refusals of one write that are kept apart; all others share one dead letter."""


@dataclass(frozen=True, slots=True)
class Slice(Generic[ItemsT]):
    """Consecutive items of a log.

    Attributes:
        items: What the sink is given.
        count: How many items that are.
        next: The number to go on from. It is higher than the number asked for plus `count` where the log passes over
            what it cannot read or what belongs to channels that are gone.
        first: The lowest number that the log holds; higher than the number asked for where that was dropped.
        oldest_ns: Time of the first of them.
    """

    items: ItemsT
    count: int
    next: int
    first: int
    oldest_ns: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Items that a peer refuses for ever, as they are kept for people: key, content as JSON, the peer's words."""

    key: str
    payload: str
    reason: str
    time_ns: int


class Log(Protocol[ItemsT]):
    """A log as an outbox sees it."""

    async def first(self) -> int:
        """Return the lowest number that is still held."""
        ...

    def end(self) -> int:
        """Return the number after the newest item that may go out; never waits."""
        ...

    async def read(self, start: int, limit: int) -> Slice[ItemsT]:
        """Return up to `limit` items from `start` on; `next` is beyond `start` where `start < end()`."""
        ...

    def dead_letters(self, part: Slice[ItemsT], reasons: Mapping[int, str]) -> Sequence[DeadLetter]:
        """Return what to keep of refused items; `reasons` has their indexes and the peer's words."""
        ...


class Events(Protocol):
    """What is asked of the journal; `read` blocks and is called in a worker thread."""

    @property
    def first_seq(self) -> int:
        """Number of the oldest event kept."""
        ...

    @property
    def last_seq(self) -> int:
        """Number of the newest event that may be sent, 0 before the first."""
        ...

    def key(self, seq: int) -> str:
        """Return an event's key, `gateway:epoch:number`."""
        ...

    def read(self, after: int, limit: int) -> Sequence[AlarmEvent]:
        """Return up to `limit` events with `seq > after`, lowest first, damaged ones left out."""
        ...


class Letters(Protocol):
    """What is asked of the journal's side tables; all of it blocks and is called in a worker thread."""

    def cursor(self, name: str) -> str | None:
        """Return a cursor, or None where there is none."""
        ...

    def set_cursor(self, name: str, value: str) -> None:
        """Keep a cursor."""
        ...

    def dead_letter(self, sink: str, key: str, payload: str, reason: str, time_ns: int) -> None:
        """Keep what a sink refused for ever."""
        ...


class Readings(Protocol):
    """What is asked of the spool; all but `durable` blocks and is called in a worker thread."""

    @property
    def first_number(self) -> int:
        """The lowest number that is still held."""
        ...

    @property
    def durable(self) -> int:
        """The number after the newest reading that is on disk."""
        ...

    def read(self, start: int, limit: int, table: Table | None = None) -> tuple[Batch, int]:
        """Return up to `limit` readings from `start` (or the first held, if that is higher), and the next number."""
        ...


class InThread(Protocol):
    """Runs a function that blocks in the log's worker thread."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Return the function's result to come."""
        ...


class EventLog:
    """The journal's events, strictly in order.

    Args:
        journal: Where they are.
        in_thread: Runs the journal's blocking `read`.
    """

    def __init__(self, journal: Events, in_thread: InThread) -> None:
        self._journal = journal
        self._in_thread = in_thread

    async def first(self) -> int:
        """Return the number of the oldest event that the journal holds."""
        return self._journal.first_seq

    def end(self) -> int:
        """Return the number after the newest event."""
        return self._journal.last_seq + 1

    async def read(self, start: int, limit: int) -> Slice[Sequence[AlarmEvent]]:
        """Return up to `limit` events from `start` on."""
        return await self._in_thread(lambda: self._read(start, limit))

    def _read(self, start: int, limit: int) -> Slice[Sequence[AlarmEvent]]:
        end = self.end()
        events = self._journal.read(start - 1, limit)
        # Fewer than asked for: what lies between them and the end is damaged.
        following = events[-1].seq + 1 if len(events) >= limit else max(end, start)
        return Slice(events, len(events), following, self._journal.first_seq, events[0].time_ns if events else 0)

    def dead_letters(self, part: Slice[Sequence[AlarmEvent]], reasons: Mapping[int, str]) -> list[DeadLetter]:
        """Return one dead letter for each refused event."""
        return [
            DeadLetter(
                key=self._journal.key(part.items[index].seq),
                payload=msgspec.json.encode(part.items[index]).decode(),
                reason=reason,
                time_ns=part.items[index].time_ns,
            )
            for index, reason in sorted(reasons.items())
        ]


class ReadingLog:
    """The spool's readings.

    Args:
        spool: Where they are.
        in_thread: Runs the spool's blocking `read`.
        channels: The channel table, to name channels in dead letters.
        table: The same for the spool: readings come with its rows also when the site's table changes meanwhile. None
            follows the spool.
    """

    def __init__(
        self, spool: Readings, in_thread: InThread, channels: Sequence[Channel], table: Table | None = None
    ) -> None:
        self._spool = spool
        self._in_thread = in_thread
        self._channels = channels
        self._table = table

    async def first(self) -> int:
        """Return the lowest number that the spool still holds."""
        return await self._in_thread(lambda: self._spool.first_number)

    def end(self) -> int:
        """Return the number after the newest reading on disk."""
        return self._spool.durable

    async def read(self, start: int, limit: int) -> Slice[Batch]:
        """Return up to `limit` readings from `start` on."""
        return await self._in_thread(lambda: self._read(start, limit))

    def _read(self, start: int, limit: int) -> Slice[Batch]:
        batch, following = self._spool.read(start, limit, self._table)
        # Asked after reading: what was dropped before or meanwhile is noticed now, not as a hole.
        first = self._spool.first_number
        return Slice(batch, len(batch), following, first, int(batch.time_ns[0]) if len(batch) else 0)

    def dead_letters(self, part: Slice[Batch], reasons: Mapping[int, str]) -> list[DeadLetter]:
        """Return one dead letter for each reason: a refused channel is refused a thousand times in the same words."""
        by_reason: dict[str, list[int]] = {}
        for index, reason in sorted(reasons.items()):
            kept = reason if reason in by_reason or len(by_reason) < REASONS_MAX else f"{REASONS_MAX} reasons and more"
            by_reason.setdefault(kept, []).append(index)
        start = part.next - part.count
        return [
            DeadLetter(
                key=f"reading:{start + indexes[0]}",
                payload=msgspec.json.encode([self._described(part.items, index) for index in indexes]).decode(),
                reason=reason,
                time_ns=int(part.items.time_ns[indexes[0]]),
            )
            for reason, indexes in by_reason.items()
        ]

    def _described(self, batch: Batch, index: int) -> dict[str, object]:
        row, value = int(batch.row[index]), float(batch.value[index])
        return {
            "channel": self._channels[row].id if row < len(self._channels) else f"row {row}",
            "time": rfc3339(int(batch.time_ns[index]), digits=9),
            "value": None if value != value else value,  # noqa: PLR0124 - true of NaN alone
            "quality": quality_name(int(batch.quality[index])),
        }


class ThreadLedger:
    """Cursors and dead letters of the journal, kept in its worker thread.

    Args:
        journal: Where they are.
        in_thread: Runs the journal's blocking methods.
    """

    def __init__(self, journal: Letters, in_thread: InThread) -> None:
        self._journal = journal
        self._in_thread = in_thread

    async def cursor(self, name: str) -> str | None:
        """Return what `set_cursor` was last given for the name, or None."""
        return await self._in_thread(lambda: self._journal.cursor(name))

    async def set_cursor(self, name: str, text: str) -> None:
        """Keep a cursor. Raises StorageError."""
        await self._in_thread(lambda: self._journal.set_cursor(name, text))

    async def dead_letter(self, sink: str, key: str, payload: str, reason: str, time_ns: int) -> None:
        """Keep what a sink refused for ever. Raises StorageError."""
        await self._in_thread(lambda: self._journal.dead_letter(sink, key, payload, reason, time_ns))
