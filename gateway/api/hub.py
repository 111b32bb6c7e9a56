"""The live stream's heart: encodes each event and each second's values once, and lets any number of readers take them.

A reader is a cursor, not a queue: it says which event and which second it had last. So a slow reader costs nothing but
its own delay, gets every event it missed from the journal, and skips values it missed without ever showing an old one.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np
import structlog

from gateway.alarms.flood import Flood
from gateway.api.access import Caller
from gateway.api.alarm_statistics import FloodNow, flood_view
from gateway.api.face import Gateway
from gateway.api.payloads import (
    KNOWN_QUALITIES,
    UNKNOWN,
    AlarmView,
    Fixed,
    Values,
    View,
    alarm_view,
    decimals_of,
    numbers,
    rounded,
    stream_event_view,
)
from gateway.core.alarm import AlarmEvent, AlarmState
from gateway.core.clock import rfc3339
from gateway.core.model import Int32, Int64

log = structlog.get_logger()

RECENT_EVENTS = 2000
PAGE_EVENTS = 200
FIXED_MAX = 50_000
SECOND_S = 0.95
"""A tick may come this much after the last one: the source's own second is never exact."""


class Frame(View):
    """Once a second: the values that changed, and enough to notice that the reader's list of alarms is wrong."""

    time: str
    audible: bool
    alarms: int
    flood: FloodNow
    values: Values


class TableChanged(View):
    """The last message of a stream: its rows mean other channels from now on. Fetch the channels and connect anew."""

    table: int
    channels: int


class Snapshot(View):
    """The first message: everything as it is now. Events up to `seq` are in it already.

    `table` is the number of the channel table that `values` counts its rows by, as in the list of channels.
    """

    time: str
    site: str
    name: str
    epoch: str
    table: int
    seq: int
    caller: str
    role: str
    qualities: dict[str, str]
    audible: bool
    alarms: list[AlarmView]
    flood: FloodNow
    values: Values


@dataclass(slots=True)
class Cursor:
    """How far a reader is.

    Attributes:
        seq: The last event it has; -1 for a reader that has none and wants only new ones.
        tick: The last second whose values it has; 0 for none.
        rows: The channel rows it wants, ascending; None for all.
        table: The channel table that these are rows of; 0 takes the present one.
    """

    seq: int = -1
    tick: int = 0
    rows: Int32 | None = None
    table: int = 0
    key: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.key = b"all" if self.rows is None else self.rows.tobytes()


class Hub:
    """Follows the journal and the values, for all streams at once.

    Args:
        gateway: What is followed.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._table = 0
        self._decimals: Int64 = np.empty(0, np.int64)
        self._task: asyncio.Task[None] | None = None
        self._started = asyncio.Event()
        self._wake = asyncio.Event()
        self._seqs: list[int] = []
        self._messages: list[bytes] = []
        self._floor = 0
        self._fixed: dict[str, Fixed] = {}
        self._tick = 0
        self._ticked_s = float("-inf")
        self._value = np.empty(0)
        self._quality = np.empty(0, np.uint8)
        self._changed: Int64 = np.empty(0, np.int64)
        self._counts = (False, 0)
        self._flood = flood_view(Flood())
        self._frames: dict[tuple[int, bytes], bytes] = {}
        self.readers = 0
        self.closed = False

    async def open(self) -> None:
        """Begin to follow, where that has not happened; returns when the first values are there."""
        if self._task is None or self._task.done():
            self._started = asyncio.Event()
            self._task = asyncio.create_task(self._follow(), name="live stream")
            self._task.add_done_callback(self._ended)
        started = asyncio.create_task(self._started.wait())
        await asyncio.wait((started, self._task), return_when=asyncio.FIRST_COMPLETED)
        started.cancel()

    def close(self) -> None:
        """End all streams, and follow no more."""
        self.closed = True
        if self._task:
            self._task.cancel()
        self._notify()

    @property
    def running(self) -> bool:
        """Whether the journal is being followed; readers of a hub that is not must end."""
        return not self.closed and self._task is not None and not self._task.done()

    def _ended(self, task: asyncio.Task[None]) -> None:
        # Readers see `running` and hang up: the next one to connect starts the hub anew, and nobody shows old values.
        if not task.cancelled() and (error := task.exception()):
            log.error("the live stream ended; readers must connect again", exc_info=error)
        self._notify()

    def _notify(self) -> None:
        self._wake.set()
        self._wake = asyncio.Event()

    # Following

    async def _follow(self) -> None:
        self._seqs.clear()
        self._messages.clear()
        newest = await self._gateway.events(0, 1, newest_first=True)
        self._floor = newest[0].seq if newest else 0
        self._look()
        self._started.set()
        async for event in self._gateway.follow(self._floor):
            if event is not None:
                self._keep(event)
            due_s = SECOND_S if event is not None else SECOND_S / 2
            if self._gateway.clock.monotonic_s() - self._ticked_s >= due_s:
                self._look()
            self._notify()

    def _keep(self, event: AlarmEvent) -> None:
        if event.state is not AlarmState.NORMAL and event.alarm not in self._fixed:
            self._learn()
        self._seqs.append(event.seq)
        self._messages.append(self._encode(event))
        if len(self._seqs) > 2 * RECENT_EVENTS:
            self._floor = self._seqs[RECENT_EVENTS - 1]
            del self._seqs[:RECENT_EVENTS], self._messages[:RECENT_EVENTS]

    def _encode(self, event: AlarmEvent) -> bytes:
        case = self._gateway.cases.open_case_of(event.alarm)
        return message("alarm", stream_event_view(event, self._fixed.get(event.alarm, UNKNOWN), case), event.seq)

    def _learn(self) -> None:
        if len(self._fixed) > FIXED_MAX:
            self._fixed.clear()
        self._fixed.update((a.id, Fixed(*(getattr(a, name) for name in Fixed._fields))) for a in self._gateway.alarms())

    def _look(self) -> None:
        """Take the newest values and mark what changed; nobody sees it but through `take`."""
        if not self.readers and self._tick:
            return
        self._ticked_s = self._gateway.clock.monotonic_s()
        self._tick += 1
        self._frames.clear()
        latest = self._gateway.latest()
        fresh = self._table != self._gateway.table
        if fresh:
            self._renew()
        value = rounded(latest.value, self._decimals)
        if fresh:
            self._changed = np.full(len(value), self._tick, np.int64)
        else:
            same = (value == self._value) | (np.isnan(value) & np.isnan(self._value))
            self._changed[~same | (latest.quality != self._quality)] = self._tick
        self._value, self._quality = value, latest.quality
        self._counts = (self._gateway.audible(), len(self._gateway.alarms()))
        self._flood = flood_view(self._gateway.figures.flood())

    def _renew(self) -> None:
        """Forget what was known of the channels and alarms of an earlier table."""
        self._table = self._gateway.table
        self._decimals = decimals_of(self._gateway.channels)
        self._fixed.clear()

    # Reading

    def over(self, cursor: Cursor) -> bool:
        """Whether a reader's rows belong to an earlier channel table: it gets `farewell` and has to come again."""
        return cursor.table not in (0, self._table)

    def farewell(self) -> bytes:
        """Return the last message for such a reader."""
        return message("table", TableChanged(table=self._gateway.table, channels=len(self._gateway.channels)))

    async def join(self, cursor: Cursor, caller: Caller) -> bytes:
        """Return the snapshot message for a new reader, or `farewell` where its channel table is gone already.

        Args:
            cursor: Where the reader stands. One that comes back keeps its place, and its snapshot has no `id`: it
                must not forget what it missed if the link breaks again now. A new one is put after the snapshot.
            caller: Who reads.
        """
        newest = await self._gateway.events(0, 1, newest_first=True)
        alarms = self._gateway.alarms()
        seq = max([newest[0].seq if newest else 0, *(alarm.event.seq for alarm in alarms)])
        late = self._gateway.clock.monotonic_s() - self._ticked_s >= SECOND_S
        if late or self._table != self._gateway.table:
            self._look()
        if self.over(cursor):
            return self.farewell()
        snapshot = Snapshot(
            time=rfc3339(self._gateway.clock.now_ns()),
            site=self._gateway.site_id,
            name=self._gateway.site_name,
            epoch=self._gateway.epoch,
            table=self._table,
            seq=seq,
            caller=caller.name,
            role=caller.role.name.lower(),
            qualities=KNOWN_QUALITIES,
            audible=self._gateway.audible(),
            alarms=[alarm_view(alarm, self._gateway.cases.open_case_of(alarm.id)) for alarm in alarms],
            flood=flood_view(self._gateway.figures.flood()),
            values=self._values(0, cursor.rows),
        )
        cursor.tick, cursor.table = self._tick, self._table
        if 0 <= cursor.seq <= seq:
            return message("snapshot", snapshot)
        cursor.seq = seq
        return message("snapshot", snapshot, seq)

    async def take(self, cursor: Cursor) -> bytes:
        """Return all that a reader has not had and move its cursor; empty where there is nothing."""
        parts = [await self._missed(cursor)] if cursor.seq < self._floor else []
        if cursor.seq >= self._floor:
            at = bisect_right(self._seqs, cursor.seq)
            parts += self._messages[at:]
            cursor.seq = self._seqs[-1] if at < len(self._seqs) else cursor.seq
        if cursor.tick < self._tick:
            parts.append(self._frame(cursor))
            cursor.tick = self._tick
        return b"".join(parts)

    async def _missed(self, cursor: Cursor) -> bytes:
        """Return the next events from the journal, for a reader that is further behind than memory goes."""
        events = await self._gateway.events(cursor.seq, PAGE_EVENTS)
        cursor.seq = events[-1].seq if events else self._floor
        return b"".join(self._encode(event) for event in events)

    def news(self) -> Callable[[], Awaitable[object]]:
        """Return what to call and await for the next news; take it before `take`, so that none is missed."""
        return self._wake.wait

    def _frame(self, cursor: Cursor) -> bytes:
        key = (cursor.tick, cursor.key)
        if key not in self._frames:
            audible, alarms = self._counts
            now = rfc3339(self._gateway.clock.now_ns())
            values = self._values(cursor.tick, cursor.rows)
            frame = Frame(time=now, audible=audible, alarms=alarms, flood=self._flood, values=values)
            self._frames[key] = message("values", frame)
        return self._frames[key]

    def _values(self, since: int, wanted: Int32 | None) -> Values:
        """Return the rows that changed after a second."""
        rows = np.flatnonzero(self._changed > since)
        if wanted is not None:
            rows = np.intersect1d(rows, wanted, assume_unique=True)
        value, quality = self._value[rows], self._quality[rows]
        return Values(rows=rows.tolist(), value=numbers(value), quality=quality.tolist())


def message(event: str, data: View, seq: int | None = None) -> bytes:
    r"""Return a server-sent event.

    >>> message("x", Values(rows=[1], value=[None], quality=[129]), 7)
    b'id: 7\nevent: x\ndata: {"rows":[1],"value":[null],"quality":[129]}\n\n'
    """
    mark = b"id: %d\n" % seq if seq is not None else b""
    return mark + b"event: " + event.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"
