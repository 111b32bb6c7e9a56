"""Puts on disk what the pipeline made, and tells the world only afterwards."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

import structlog

from gateway.core.alarm import AlarmEvent
from gateway.core.clock import Clock
from gateway.core.errors import StorageError
from gateway.core.model import Batch
from gateway.core.plugin import Acknowledging

log = structlog.get_logger()

UNSAVED_MAX = 10_000
RECENT_MAX = 2_000
RETRY_S = 5.0
HISTORY_FLUSH_S = 20.0


class EventLog(Protocol):
    """Where events go to stay: `gateway.store.journal.Journal`."""

    @property
    def last_seq(self) -> int:
        """Number of the newest stored event, 0 before the first."""
        ...

    def append(self, events: Sequence[AlarmEvent]) -> None:
        """Write in one commit; raises StorageError."""
        ...

    def read(
        self, after: int, limit: int, *, alarm: str = "", kind: str = "", newest_first: bool = False
    ) -> list[AlarmEvent]:
        """Return stored events."""
        ...


class ReadingLog(Protocol):
    """Where readings go to stay: `gateway.store.spool.Spool`."""

    def append(self, batch: Batch) -> None:
        """Take readings into memory."""
        ...

    def flush(self) -> int:
        """Write what was taken; raises StorageError."""
        ...


class TrendLog(Protocol):
    """Where one-minute values go to stay: `gateway.store.history.History`."""

    def add(self, batch: Batch) -> None:
        """Take readings into the present minutes."""
        ...

    def flush(self, now_ns: int) -> None:
        """Write the minutes that are over; raises StorageError."""
        ...


class Signal:
    """Wakes all who wait, each time it is given; nothing is missed by who looks before waiting."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def give(self) -> None:
        """Wake everyone who waits now."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Wait for the next `give`, or that long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._event.wait()


class Recorder:
    """Writes events and readings to disk in threads of their own, events first and at once.

    An event is published (to the console, to platforms) only after its commit. If the disk refuses, events go on from
    memory: they are published, counted in `unsaved`, said by a system alarm, and written when the disk takes them
    again. An alarm never waits for a broken card.

    Args:
        journal: Events.
        spool: Readings.
        history: One-minute values.
        clock: Time.
        flush_s: Seconds between flushes of readings.
        on_problem: Told `(part, why)` when a part of the disk refuses, and `(part, "")` when it is well again.
    """

    def __init__(
        self,
        journal: EventLog,
        spool: ReadingLog,
        history: TrendLog,
        clock: Clock,
        *,
        flush_s: float = 1.0,
        on_problem: Callable[[str, str], None] = lambda _part, _why: None,
    ) -> None:
        self.published = journal.last_seq
        self.published_signal = Signal()
        self.flushed_signal = Signal()
        self._journal = journal
        self._spool = spool
        self._history = history
        self._clock = clock
        self._flush_s = flush_s
        self._on_problem = on_problem
        self._queue: deque[AlarmEvent] = deque()
        self._unsaved: deque[AlarmEvent] = deque()
        self._recent: deque[AlarmEvent] = deque(maxlen=RECENT_MAX)
        self._work = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._broken: dict[str, str] = {}
        self._retry_s = 0.0
        self._acknowledging: list[Acknowledging] = []
        self._before_flush: Callable[[], None] = lambda: None
        self.journal_thread = ThreadPoolExecutor(1, "journal")
        self.spool_thread = ThreadPoolExecutor(1, "spool")
        self.history_thread = ThreadPoolExecutor(1, "history")

    @property
    def unsaved(self) -> int:
        """Events that were published but are not on disk."""
        return len(self._unsaved)

    def unsaved_events(self) -> list[AlarmEvent]:
        """Return published events that are not on disk, the oldest first."""
        return [event for event in self._unsaved if event.seq <= self.published]

    def take(self, batch: Batch | None, events: Sequence[AlarmEvent]) -> None:
        """Take what a pipeline pass read and made; call it in the event loop."""
        if batch is not None:
            self._spool.append(batch)
            self._history.add(batch)
        if events:
            self._queue.extend(events)
            self._work.set()

    def acknowledge_through(self, drivers: Sequence[Acknowledging], drain: Callable[[], None]) -> None:
        """Have drivers told what is on disk; these and no others, from now on.

        Args:
            drivers: Those whose peers wait for it.
            drain: Hands on everything that has been read but not taken yet; called before each flush.
        """
        self._acknowledging = list(drivers)
        self._before_flush = drain

    async def run(self) -> None:
        """Write until cancelled, then write what is left."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write_events(), name="journal")
                group.create_task(self._flush_readings(), name="spool")
                group.create_task(self._flush_history(), name="history")
        finally:
            await self._finish()

    async def committed(self, seq: int) -> None:
        """Wait until the event of that number has been published."""
        while self.published < seq:
            await self.published_signal.wait(1.0)

    async def read(
        self, after: int, limit: int, *, alarm: str = "", kind: str = "", newest_first: bool = False
    ) -> list[AlarmEvent]:
        """Return published events, from memory where it reaches, else from the journal and what it has not taken yet.

        Raises:
            StorageError: The journal cannot be read.
        """
        plain = not (alarm or kind or newest_first)
        if plain and self._recent and self._recent[0].seq <= after + 1:
            return [event for event in self._recent if event.seq > after][:limit]
        unsaved = list(self._unsaved)
        found = await asyncio.get_running_loop().run_in_executor(
            self.journal_thread,
            lambda: self._journal.read(after, limit, alarm=alarm, kind=kind, newest_first=newest_first),
        )
        if unsaved:
            # What the disk refused is the newest: without it, a reader behind would take it for damaged and go on.
            stored = {event.seq for event in found}
            unsaved = [e for e in unsaved if e.seq not in stored and _is(e, alarm, kind)]
            unsaved = [e for e in unsaved if (not after or e.seq < after if newest_first else e.seq > after)]
            found = [*reversed(unsaved), *found] if newest_first else [*found, *unsaved]
        return [event for event in found if event.seq <= self.published][:limit]

    async def follow(self, after: int | None) -> AsyncIterator[AlarmEvent | None]:
        """Yield published events after a number, then new ones; None at least once a second."""
        position = self.published if after is None else after
        while True:
            if position < self.published:
                for event in await self.read(position, 500):
                    yield event
                    position = event.seq
                continue
            await self.published_signal.wait(1.0)
            if position >= self.published:
                yield None

    async def _write_events(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S if self._unsaved else None):
                    await self._work.wait()
            self._work.clear()
            # Shielded: an end that meets a write must neither lose its events nor leave them unpublished.
            self._writing = asyncio.create_task(self._write_waiting(), name="journal write")
            await asyncio.shield(self._writing)

    async def _write_waiting(self) -> None:
        events = list(self._queue)
        self._queue.clear()
        if self._unsaved and self._clock.monotonic_s() < self._retry_s:
            # The disk refused a moment ago: new events go out at once and wait for the next attempt together.
            self._keep(events)
        elif events or self._unsaved:
            await self._write([*self._unsaved, *events], events)
        self._publish(events)

    async def _write(self, waiting: Sequence[AlarmEvent], events: Sequence[AlarmEvent]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self.journal_thread, self._journal.append, waiting)
        except StorageError as error:
            self._retry_s = self._clock.monotonic_s() + RETRY_S
            self._keep(events)
            self._say("journal", f"events are not on disk: {error}")
        else:
            self._unsaved.clear()
            self._say("journal", "")

    def _keep(self, events: Sequence[AlarmEvent]) -> None:
        self._unsaved.extend(events)
        if len(self._unsaved) > UNSAVED_MAX:
            log.error("events lost", count=len(self._unsaved) - UNSAVED_MAX)
            while len(self._unsaved) > UNSAVED_MAX:
                self._unsaved.popleft()

    def _publish(self, events: Sequence[AlarmEvent]) -> None:
        if events:
            self._recent.extend(events)
            self.published = events[-1].seq
            self.published_signal.give()

    async def _flush_readings(self) -> None:
        while True:
            await self._clock.sleep(self._flush_s)
            await self._flush_once()

    async def _flush_once(self) -> None:
        self._before_flush()
        returned = [(driver, driver.returned()) for driver in self._acknowledging]
        try:
            await asyncio.get_running_loop().run_in_executor(self.spool_thread, self._spool.flush)
        except StorageError as error:
            self._say("spool", f"readings are not on disk: {error}")
            return
        self._say("spool", "")
        self.flushed_signal.give()
        for driver, count in returned:
            # One that was stopped meanwhile has no peer left to tell; what it had not acknowledged comes again.
            if driver in self._acknowledging:
                await driver.stored(count)

    async def _flush_history(self) -> None:
        while True:
            await self._clock.sleep(HISTORY_FLUSH_S)
            await self._flush_minutes()

    async def _flush_minutes(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self.history_thread, self._history.flush, self._clock.now_ns())
        except StorageError as error:
            self._say("history", f"one-minute values are not on disk: {error}")
        else:
            self._say("history", "")

    def _say(self, part: str, why: str) -> None:
        if self._broken.get(part, "") and not why:
            log.info("disk is well again", part=part)
        if why and not self._broken.get(part, ""):
            log.error("disk refuses", part=part, why=why)
        if bool(why) != bool(self._broken.get(part, "")):
            self._broken[part] = why
            self._on_problem(part, why)

    async def _finish(self) -> None:
        self._retry_s = 0.0
        if self._writing:
            await self._writing
        await self._write_waiting()
        await self._flush_once()
        await self._flush_minutes()
        for thread in (self.journal_thread, self.spool_thread, self.history_thread):
            thread.shutdown()


def _is(event: AlarmEvent, alarm: str, kind: str) -> bool:
    return (not alarm or event.alarm == alarm) and (not kind or event.kind == kind)
