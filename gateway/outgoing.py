"""Everything that leaves the gateway: an outbox for each store and uplink, started and stopped while the others run."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from gateway.core.clock import Clock
from gateway.core.model import Channel
from gateway.core.plugin import Sink
from gateway.core.status import UplinkStatus
from gateway.disk import Disk, PublishedEvents
from gateway.outbox import EVENT_PACE, READING_PACE, Outbox
from gateway.recorder import Recorder
from gateway.site.plans import Destination
from gateway.store.logs import ReadingLog, ThreadLedger
from gateway.store.table import Table

log = structlog.get_logger()

T = TypeVar("T")

STORE, UPLINK = "store", "uplink"
Name = tuple[str, str]
"""Kind and id: a store and an uplink may have the same id."""
STOP_S = 3.0
"""How long an outbox that is stopped may take to keep its cursor and to close its sink."""


@dataclass(slots=True)
class _Line:
    outbox: Outbox[Any]
    task: asyncio.Task[None] | None = None


class Outgoing:
    """Runs the outboxes of a site.

    Args:
        disk: The journal and the spool.
        recorder: Which knows what is published, and has the threads of both.
        clock: Time.
        seed: Of the outboxes' jitter.
        on_change: Told the id of a store or uplink and why nothing is delivered, empty when it is delivered again.
        on_lost: Told the id, and how many items the log had to drop before they could be delivered.

    Attributes:
        ledger: Keeps cursors and what peers refuse for ever.
    """

    def __init__(
        self,
        disk: Disk,
        recorder: Recorder,
        clock: Clock,
        seed: str,
        *,
        on_change: Callable[[str, str], None],
        on_lost: Callable[[str, int], None],
    ) -> None:
        self._disk = disk
        self._recorder = recorder
        self._clock = clock
        self._seed = seed
        self._on_change = on_change
        self._on_lost = on_lost
        self.ledger = ThreadLedger(disk.journal, self._in_journal_thread)
        self._lines: dict[Name, _Line] = {}
        self._group: asyncio.TaskGroup | None = None

    def start_store(
        self,
        destination: Destination,
        sink: Sink[Any],
        channels: Sequence[Channel],
        table: Table,
        *,
        alarmed: bool = False,
    ) -> None:
        """Begin to deliver readings to a store, by a channel table that stays its own until it is stopped."""
        source = ReadingLog(self._disk.spool, self._in_spool_thread, channels, table)
        self._start((STORE, destination.id), destination, sink, source=source, pace=READING_PACE, alarmed=alarmed)

    def start_uplink(self, destination: Destination, sink: Sink[Any], *, alarmed: bool = False) -> None:
        """Begin to deliver events to an uplink."""
        source = PublishedEvents(self._disk.journal, self._recorder, self._in_journal_thread)
        self._start((UPLINK, destination.id), destination, sink, source=source, pace=EVENT_PACE, alarmed=alarmed)

    def _start(self, name: Name, destination: Destination, sink: Sink[Any], **more: Any) -> None:
        outbox: Outbox[Any] = Outbox(
            destination.id,
            kind=name[0],
            type_=destination.type,
            sink=sink,
            ledger=self.ledger,
            clock=self._clock,
            seed=self._seed,
            on_change=lambda up, reason: self._on_change(destination.id, "" if up else reason),
            on_lost=lambda count: self._on_lost(destination.id, count),
            **more,
        )
        line = self._lines[name] = _Line(outbox)
        if self._group is not None:
            self._begin(self._group, name, line)

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            for name, line in self._lines.items():
                self._begin(self._group, name, line)
            self._group.create_task(self._wake(UPLINK), name="wake uplinks")
            self._group.create_task(self._wake(STORE), name="wake stores")

    def _begin(self, group: asyncio.TaskGroup, name: Name, line: _Line) -> None:
        line.task = group.create_task(line.outbox.run(), name=f"outbox {name[1]}")

    async def stop(self, names: Iterable[Name]) -> None:
        """End outboxes, their cursors kept and their sinks closed; those that do not run are passed over."""
        lines = [line for name in names if (line := self._lines.pop(name, None)) is not None]
        if lines:
            endings = [asyncio.ensure_future(_end(line)) for line in lines]
            _, late = await asyncio.wait(endings, timeout=STOP_S)
            for ending in late:
                ending.cancel()
            if late:
                log.warning("outboxes do not end", count=len(late), after_s=STOP_S)

    async def close(self) -> None:
        """Let go of all sinks; their outboxes run no more."""
        for line in self._lines.values():
            await line.outbox.close()

    def status(self) -> list[UplinkStatus]:
        """Return the state of every store and uplink."""
        return [line.outbox.status() for line in self._lines.values()]

    async def _wake(self, kind: str) -> None:
        """Tell the outboxes when something new is on disk: events at once, readings after each flush."""
        signal = self._recorder.published_signal if kind == UPLINK else self._recorder.flushed_signal
        while True:
            await signal.wait()
            for name, line in self._lines.items():
                if name[0] == kind:
                    line.outbox.notify()

    async def _in_journal_thread(self, call: Callable[[], T]) -> T:
        return await _in(self._recorder.journal_thread, call)

    async def _in_spool_thread(self, call: Callable[[], T]) -> T:
        return await _in(self._recorder.spool_thread, call)


async def _in(thread: Executor, call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(thread, call)


async def _end(line: _Line) -> None:
    if line.task is not None:
        line.task.cancel()
        await asyncio.wait((line.task,))
    await line.outbox.close()
