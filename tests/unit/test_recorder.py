import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.clock import SystemClock
from gateway.core.errors import StorageError
from gateway.core.model import Batch
from gateway.recorder import Recorder


def event(seq: int) -> AlarmEvent:
    return AlarmEvent(seq=seq, time_ns=seq, kind=EventKind.NOTE)


class Journal:
    """Events in a list; refuses while `broken`."""

    def __init__(self) -> None:
        self.events: list[AlarmEvent] = []
        self.broken = False
        self.commits = 0

    @property
    def last_seq(self) -> int:
        return self.events[-1].seq if self.events else 0

    def append(self, events: Sequence[AlarmEvent]) -> None:
        if self.broken:
            raise StorageError("journal.db: no space left on device")
        assert events[0].seq == self.last_seq + 1, "numbers follow without gaps"
        self.events += events
        self.commits += 1

    def read(
        self, after: int, limit: int, *, alarm: str = "", kind: str = "", newest_first: bool = False
    ) -> list[AlarmEvent]:
        return [e for e in self.events if e.seq > after][:limit]


class Spool:
    def __init__(self) -> None:
        self.taken = 0
        self.flushed = 0
        self.broken = False

    def append(self, batch: Batch) -> None:
        self.taken += len(batch)

    def flush(self) -> int:
        if self.broken:
            raise StorageError("spool: read-only file system")
        self.flushed = self.taken
        return self.flushed


class History:
    def add(self, batch: Batch) -> None:
        pass

    def flush(self, now_ns: int) -> None:
        pass


class Waiting:
    """A driver whose broker waits for acknowledgements."""

    def __init__(self) -> None:
        self.count = 0
        self.told: list[int] = []

    def returned(self) -> int:
        return self.count

    async def stored(self, returned: int) -> None:
        self.told.append(returned)


@asynccontextmanager
async def running(recorder: Recorder) -> AsyncIterator[None]:
    task = asyncio.create_task(recorder.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def recorder_on(journal: Journal, spool: Spool, said: list[tuple[str, str]] | None = None) -> Recorder:
    told = said if said is not None else []
    return Recorder(
        journal, spool, History(), SystemClock(), flush_s=0.01, on_problem=lambda part, why: told.append((part, why))
    )


async def test_an_event_is_published_only_when_it_is_in_the_journal() -> None:
    journal = Journal()
    recorder = recorder_on(journal, Spool())
    async with running(recorder):
        recorder.take(None, [event(1), event(2)])
        assert recorder.published == 0
        await recorder.committed(2)
        assert [e.seq for e in journal.events] == [1, 2]


async def test_a_broken_disk_holds_no_alarm_back_and_is_said_and_made_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.recorder.RETRY_S", 0.2)
    journal, said = Journal(), list[tuple[str, str]]()
    recorder = recorder_on(journal, Spool(), said)
    async with running(recorder):
        journal.broken = True
        recorder.take(None, [event(1)])
        await recorder.committed(1)
        assert recorder.unsaved == 1
        assert [e.seq for e in await recorder.read(0, 10)] == [1]
        recorder.take(None, [event(2)])
        await recorder.committed(2)
        assert recorder.unsaved == 2, "the second did not wait for the next attempt"
        journal.broken = False
        while recorder.unsaved:
            await asyncio.sleep(0.01)
    assert [e.seq for e in journal.events] == [1, 2]
    assert [part for part, _ in said] == ["journal", "journal"]
    assert "no space left" in said[0][1]
    assert said[1] == ("journal", "")


async def test_a_follower_misses_nothing_however_late_it_comes() -> None:
    recorder = recorder_on(Journal(), Spool())
    async with running(recorder):
        recorder.take(None, [event(k) for k in range(1, 4001)])
        await recorder.committed(4000)
        seen: list[int] = []
        async for found in recorder.follow(10):
            if found is None:
                break
            seen.append(found.seq)
            if found.seq == 4000:
                recorder.take(None, [event(4001)])
        assert seen == list(range(11, 4002))


async def test_a_driver_is_told_only_of_what_was_read_before_the_flush() -> None:
    spool, driver = Spool(), Waiting()
    recorder = recorder_on(Journal(), spool)
    drained: list[int] = []
    recorder.acknowledge_through([driver], lambda: drained.append(spool.taken))
    async with running(recorder):
        recorder.take(Batch.of([0], 1, [1.0]), [])
        driver.count = 1
        while 1 not in driver.told:
            await asyncio.sleep(0.005)
        assert drained
        spool.broken = True
        driver.count = 2
        recorder.take(Batch.of([0], 2, [1.0]), [])
        await asyncio.sleep(0.05)
        assert 2 not in driver.told, "what is not on disk is not acknowledged"
        spool.broken = False


async def test_what_waits_at_the_end_is_still_written() -> None:
    journal, spool = Journal(), Spool()
    recorder = recorder_on(journal, spool)
    async with running(recorder):
        await asyncio.sleep(0)
        recorder.take(Batch.of([0, 1], 1, [1.0, 2.0]), [event(1)])
    assert journal.last_seq == 1
    assert spool.flushed == 2


async def test_a_reader_behind_gets_also_what_a_broken_disk_has_not_taken() -> None:
    journal = Journal()
    journal.events = [event(seq) for seq in range(1, 6)]
    recorder = Recorder(journal, Spool(), History(), SystemClock())
    async with running(recorder):
        journal.broken = True
        recorder.take(None, [event(6), event(7)])
        await recorder.committed(7)
        assert [e.seq for e in await recorder.read(3, 100)] == [4, 5, 6, 7]
        assert [e.seq for e in await recorder.read(3, 3)] == [4, 5, 6]
        assert [e.seq for e in await recorder.read(3, 100, kind="note")] == [4, 5, 6, 7]
        assert [e.seq for e in await recorder.read(3, 100, kind="raised") if e.seq > 5] == []
        journal.broken = False


async def test_an_end_in_the_middle_of_a_write_loses_no_event() -> None:
    journal, held = Journal(), threading.Event()
    recorder = Recorder(journal, Spool(), History(), SystemClock())
    async with running(recorder):
        # A long read holds the journal's thread, and the write waits behind it.
        recorder.journal_thread.submit(held.wait)
        recorder.take(None, [event(1)])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.02, held.set)
    assert [e.seq for e in journal.events] == [1]
    assert recorder.published == 1
