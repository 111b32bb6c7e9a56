"""The outbox against a log in memory, a peer that follows a script, and a clock that moves when told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from gateway.core.clock import ManualClock
from gateway.core.errors import RejectedError, StorageError, UnavailableError
from gateway.outbox import EVENT_PACE, READING_PACE, Outbox, Pace
from gateway.store.backlog import head_of
from gateway.store.logs import DeadLetter, Slice

OK: list[int] = []


class MemoryLog:
    """Items are their own numbers; `held` is the lowest one not dropped."""

    def __init__(self, count: int = 0) -> None:
        self.count = count
        self.held = 0
        self.unreadable: set[int] = set()

    async def first(self) -> int:
        return self.held

    def end(self) -> int:
        return self.count

    async def read(self, start: int, limit: int) -> Slice[Sequence[int]]:
        await asyncio.sleep(0)
        numbers = range(max(start, self.held), min(self.count, max(start, self.held) + limit))
        items = [number for number in numbers if number not in self.unreadable]
        return Slice(items, len(items), numbers.stop, self.held, 1_000 + numbers.start)

    def dead_letters(self, part: Slice[Sequence[int]], reasons: Mapping[int, str]) -> list[DeadLetter]:
        return [DeadLetter(str(part.items[index]), "{}", reason, 0) for index, reason in reasons.items()]


class MemoryLedger:
    def __init__(self) -> None:
        self.cursors: dict[str, str] = {}
        self.dead: list[tuple[str, str]] = []
        self.writes = 0
        self.broken = False

    async def cursor(self, name: str) -> str | None:
        return self.cursors.get(name)

    async def set_cursor(self, name: str, text: str) -> None:
        if self.broken:
            raise StorageError("no space left on device")
        self.writes += 1
        self.cursors[name] = text

    async def dead_letter(self, sink: str, key: str, payload: str, reason: str, time_ns: int) -> None:
        self.dead.append((key, reason))


class ScriptedSink:
    """Takes everything, except where `script` has an error for the next write."""

    def __init__(self) -> None:
        self.script: list[Exception | None] = []
        self.taken: list[int] = []
        self.writes: list[list[int]] = []
        self.closed = 0
        self.on_write: Callable[[], None] = lambda: None

    async def write(self, items: Sequence[int]) -> None:
        self.on_write()
        self.writes.append(list(items))
        error = self.script.pop(0) if self.script else None
        if isinstance(error, RejectedError):
            self.taken += [item for index, item in enumerate(items) if index not in error.reasons]
        if error is not None:
            raise error
        self.taken += items
        await asyncio.sleep(0)

    async def close(self) -> None:
        self.closed += 1


class Bench:
    """An outbox with everything around it in sight."""

    def __init__(self, pace: Pace = EVENT_PACE, count: int = 0, ledger: MemoryLedger | None = None) -> None:
        self.clock = ManualClock()
        self.source = MemoryLog(count)
        self.sink = ScriptedSink()
        self.ledger = ledger or MemoryLedger()
        self.changes: list[tuple[bool, str, float]] = []
        self.lost: list[int] = []
        self.outbox = Outbox(
            "influx",
            kind="store",
            type_="influxdb",
            source=self.source,
            sink=self.sink,
            ledger=self.ledger,
            clock=self.clock,
            pace=pace,
            on_change=lambda up, why: self.changes.append((up, why, self.clock.monotonic_s())),
            on_lost=self.lost.append,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.outbox.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def append(self, count: int) -> None:
        self.source.count += count
        self.outbox.notify()
        await self.settled()

    async def settled(self) -> None:
        """Let everything run until nothing waits to be delivered."""
        for _ in range(20_000):
            await asyncio.sleep(0)
            if self.outbox._backlog is not None and not self.outbox.status().waiting and self.outbox.status().up:
                break
        else:
            raise AssertionError(f"still waiting: {self.outbox.status()}")
        for _ in range(10):
            await asyncio.sleep(0)


async def until(condition: Callable[[], bool], step_s: float = 0.0) -> None:
    for _ in range(20_000):
        if condition():
            return
        await asyncio.sleep(step_s)
    raise AssertionError("it did not come about")


async def test_everything_is_delivered_in_order() -> None:
    bench = Bench(count=250)
    async with bench.running():
        await bench.settled()
        await bench.append(3)
    assert bench.sink.taken == list(range(253))
    assert bench.outbox.status().delivered == 253
    assert max(map(len, bench.sink.writes)) == EVENT_PACE.slice_max


async def test_a_restart_goes_on_after_the_last_acknowledged_item() -> None:
    first = Bench(count=10)
    async with first.running():
        await first.settled()
    second = Bench(count=12, ledger=first.ledger)
    async with second.running():
        await second.settled()
    assert second.sink.taken == [10, 11]


async def test_the_cursor_of_events_is_kept_after_each_write() -> None:
    bench = Bench(count=2)
    async with bench.running():
        await bench.settled()
        assert head_of(bench.ledger.cursors["influx"]) == 2


async def test_the_cursor_of_readings_is_kept_once_a_second_at_most() -> None:
    bench = Bench(replace(READING_PACE, rewind_s=0.0), count=100_000)
    async with bench.running():
        await bench.settled()
        writes = bench.ledger.writes
    assert len(bench.sink.writes) >= 20
    assert writes <= 1
    assert head_of(bench.ledger.cursors["influx"]) == 100_000


async def test_an_unavailable_peer_gets_the_same_items_again() -> None:
    bench = Bench(count=5)
    bench.sink.script = [UnavailableError("refused"), UnavailableError("refused")]
    async with bench.running():
        await bench.settled()
    assert bench.sink.taken == [0, 1, 2, 3, 4]
    assert bench.outbox.status().up


async def test_waits_double_to_their_ceiling_with_jitter() -> None:
    bench = Bench(count=1)
    bench.sink.script = [UnavailableError("refused")] * 12
    times: list[float] = []
    bench.sink.on_write = lambda: times.append(bench.clock.monotonic_s())
    async with bench.running():
        await bench.settled()
    waits = [after - before for before, after in pairwise(times)]
    for attempt, wait in enumerate(waits):
        longest = min(30.0, 1.5 * 2.0**attempt)
        assert longest / 3 - 1e-6 <= wait <= longest + 1e-6
    assert len({round(wait, 3) for wait in waits}) == 12


@pytest.mark.parametrize(("asked", "kept"), [(7.0, 7.0), (86_400.0, 300.0)])
async def test_a_peer_that_asks_for_time_gets_it_up_to_a_limit(asked: float, kept: float) -> None:
    bench = Bench(count=1)
    bench.sink.script = [UnavailableError("busy", retry_after_s=asked)]
    times: list[float] = []
    bench.sink.on_write = lambda: times.append(bench.clock.monotonic_s())
    async with bench.running():
        await bench.settled()
    assert times[1] - times[0] == pytest.approx(kept)


async def test_a_refused_item_goes_to_dead_letters_and_not_its_neighbours() -> None:
    bench = Bench(count=4)
    bench.sink.script = [RejectedError({2: "unknown channel"})]
    async with bench.running():
        await bench.settled()
    assert bench.sink.taken == [0, 1, 3]
    assert bench.ledger.dead == [("2", "unknown channel")]
    status = bench.outbox.status()
    assert (status.delivered, status.dead, status.waiting) == (3, 1, 0)


async def test_after_a_failure_slices_begin_with_one_and_double() -> None:
    bench = Bench(count=200)
    bench.sink.script = [UnavailableError("reset")]
    async with bench.running():
        await bench.settled()
    assert [len(write) for write in bench.sink.writes] == [100, 1, 2, 4, 8, 16, 32, 64, 73]


async def test_an_unacknowledged_uplink_raises_its_alarm_once_and_clears_it_once() -> None:
    bench = Bench(count=1)
    bench.sink.script = [UnavailableError("refused")] * 9
    async with bench.running():
        await bench.settled()
    assert [(up, why) for up, why, _ in bench.changes] == [(False, "refused"), (True, "")]
    assert bench.changes[0][2] == pytest.approx(EVENT_PACE.alarm_after_s)


async def test_the_alarm_does_not_wait_for_the_end_of_a_long_wait() -> None:
    bench = Bench(count=1)
    bench.sink.script = [UnavailableError("busy", retry_after_s=300.0)]
    async with bench.running():
        await bench.settled()
    assert bench.changes[0][2] == pytest.approx(EVENT_PACE.alarm_after_s)


async def test_a_short_outage_raises_no_alarm() -> None:
    bench = Bench(count=1)
    bench.sink.script = [UnavailableError("refused")] * 2
    async with bench.running():
        await bench.settled()
    assert bench.changes == []


async def test_a_peer_that_never_answers_is_unavailable() -> None:
    bench = Bench(replace(EVENT_PACE, write_timeout_s=0.01), count=1)
    seen = asyncio.Event()

    async def write(_items: Sequence[int]) -> None:
        if not seen.is_set():
            await asyncio.Event().wait()

    bench.sink.write = write  # type: ignore[method-assign] # this peer alone is a black hole
    async with bench.running():
        await until(lambda: bool(bench.outbox._reason), step_s=0.001)
        assert bench.outbox.status().reason == "no acknowledgement within 0.01 s"
        seen.set()
        await bench.settled()
    assert bench.outbox.status().delivered == 1


async def test_any_other_error_is_a_bug_and_ends_the_task() -> None:
    bench = Bench(count=1)
    bench.sink.script = [KeyError("bug")]
    with pytest.raises(KeyError):
        await bench.outbox.run()
    assert head_of(bench.ledger.cursors["influx"]) == 0


async def test_closing_closes_the_sink() -> None:
    bench = Bench()
    await bench.outbox.close()
    assert bench.sink.closed == 1


async def test_after_an_outage_the_newest_readings_go_first_and_none_is_missing() -> None:
    bench = Bench(replace(READING_PACE, rewind_s=0.0), count=60_000)
    async with bench.running():
        await bench.settled()
    assert bench.sink.writes[0][0] == 55_000
    assert sorted(bench.sink.taken) == list(range(60_000))
    assert bench.outbox.status().delivered == 60_000


async def test_live_readings_wait_for_one_slice_of_back_fill_at_most() -> None:
    bench = Bench(replace(READING_PACE, rewind_s=0.0), count=200_000)

    def grow() -> None:
        bench.source.count += 100
        bench.clock.advance(0.1)

    bench.sink.on_write = grow
    async with bench.running():
        for _ in range(2_000):
            await asyncio.sleep(0)
            if len(bench.sink.writes) >= 60:
                break
    live = [index for index, write in enumerate(bench.sink.writes) if write[0] >= 195_000]
    backfill = [index for index, write in enumerate(bench.sink.writes) if write[0] < 195_000]
    assert max(after - before for before, after in pairwise(live)) <= 2
    assert len(backfill) >= 25
    starts = [bench.sink.writes[index][0] for index in backfill]
    assert starts == sorted(starts), "the back-fill goes from the oldest on"


async def test_a_short_backlog_is_delivered_in_order() -> None:
    bench = Bench(READING_PACE, count=3_000)
    async with bench.running():
        await bench.settled()
    assert bench.sink.taken == list(range(3_000))


async def test_a_lost_connection_has_the_last_seconds_written_again_and_counted_once() -> None:
    bench = Bench(READING_PACE)
    times: list[float] = []
    bench.sink.on_write = lambda: times.append(bench.clock.monotonic_s())
    async with bench.running():
        for _ in range(100):
            await bench.append(10)
            bench.clock.advance(1.0)
        bench.sink.script = [UnavailableError("connection refused")]
        await bench.append(10)
        status = bench.outbox.status()
    again = len(bench.sink.taken) - 1_010
    owed = 10 * sum(time >= times[99] - READING_PACE.rewind_s for time in times[:100])
    assert 100 < owed <= again <= owed + 20
    assert set(bench.sink.taken) == set(range(1_010))
    assert min(bench.sink.taken[1_000:]) == 1_000 - again
    assert status.delivered == 1_010


async def test_a_peer_that_asks_for_time_is_alive_and_gets_nothing_twice() -> None:
    bench = Bench(READING_PACE)
    async with bench.running():
        await bench.append(10)
        bench.sink.script = [UnavailableError("busy", retry_after_s=5.0)]
        await bench.append(10)
    assert bench.sink.taken == list(range(20))


async def test_a_start_counts_as_a_lost_connection() -> None:
    first = Bench(READING_PACE, count=10)
    async with first.running():
        await first.settled()
    second = Bench(READING_PACE, count=10, ledger=first.ledger)
    async with second.running():
        await second.settled()
    assert second.sink.taken == list(range(10))
    assert second.outbox.status().delivered == 0


async def test_a_peer_that_fails_after_every_write_still_gets_everything() -> None:
    bench = Bench(READING_PACE, count=20_000)
    bench.sink.script = [None, UnavailableError("reset")] * 400
    async with bench.running():
        await bench.settled()
    assert set(bench.sink.taken) == set(range(20_000))
    assert bench.outbox.status().delivered == 20_000


async def test_readings_dropped_by_the_log_are_counted_and_told_once() -> None:
    bench = Bench(READING_PACE, count=4_000)
    bench.sink.script = [UnavailableError("refused")] * 3

    def drop() -> None:
        if len(bench.sink.writes) == 2:
            bench.source.held = 1_500

    bench.sink.on_write = drop
    async with bench.running():
        await bench.settled()
    assert bench.lost == [1_500]
    assert bench.outbox.lost == 1_500
    assert bench.sink.taken == list(range(1_500, 4_000))
    assert bench.outbox.status().delivered == 2_500


async def test_a_new_sink_owes_nothing_of_what_was_dropped_before() -> None:
    bench = Bench(READING_PACE, count=100)
    bench.source.held = 40
    async with bench.running():
        await bench.settled()
    assert bench.lost == []
    assert bench.sink.taken == list(range(40, 100))


async def test_unreadable_items_are_passed_over_and_counted() -> None:
    bench = Bench(count=10)
    bench.source.unreadable = {3, 4}
    async with bench.running():
        await bench.settled()
    assert bench.sink.taken == [0, 1, 2, 5, 6, 7, 8, 9]
    assert (bench.outbox.passed_over, bench.outbox.status().delivered) == (2, 8)


async def test_a_slice_without_any_readable_item_is_not_written() -> None:
    bench = Bench(count=5)
    bench.source.unreadable = set(range(5))
    async with bench.running():
        await bench.settled()
    assert bench.sink.writes == []
    assert bench.outbox.status().last_ns == 0


@pytest.mark.parametrize("text", ["not json", '{"head": 99}'])
async def test_a_cursor_that_cannot_be_true_delivers_all_that_is_held(text: str) -> None:
    bench = Bench(count=5)
    bench.ledger.cursors["influx"] = text
    async with bench.running():
        await bench.settled()
    assert bench.sink.taken == [0, 1, 2, 3, 4]


async def test_a_disk_that_refuses_the_cursor_stops_no_delivery() -> None:
    bench = Bench(count=5)
    bench.ledger.broken = True
    async with bench.running():
        await bench.settled()
        await bench.append(5)
    assert bench.sink.taken == list(range(10))


async def test_a_new_event_ends_a_wait_early_but_not_at_once() -> None:
    bench = Bench(count=1)
    bench.sink.script = [UnavailableError("refused")] * 6
    times: list[float] = []

    def write() -> None:
        times.append(bench.clock.monotonic_s())
        if len(times) == 6:
            bench.outbox.notify()

    bench.sink.on_write = write
    async with bench.running():
        await bench.settled()
    assert times[5] - times[4] > 7.0
    assert times[6] - times[5] == pytest.approx(EVENT_PACE.backoff_min_s)


async def test_a_new_event_does_not_end_a_wait_that_the_peer_asked_for() -> None:
    bench = Bench(count=1)
    bench.sink.script = [UnavailableError("busy", retry_after_s=20.0)]
    times: list[float] = []

    def write() -> None:
        times.append(bench.clock.monotonic_s())
        bench.outbox.notify()

    bench.sink.on_write = write
    async with bench.running():
        await bench.settled()
    assert times[1] - times[0] == pytest.approx(20.0)


class CheckedSink(ScriptedSink):
    def __init__(self) -> None:
        super().__init__()
        self.checks: list[float] = []
        self.alive = True
        self.clock = ManualClock()

    async def check(self) -> None:
        self.checks.append(self.clock.monotonic_s())
        if not self.alive:
            raise UnavailableError("no answer")


async def test_a_quiet_peer_is_asked_for_a_sign_of_life_and_its_silence_is_an_alarm() -> None:
    bench = Bench()
    sink = CheckedSink()
    sink.clock = bench.clock
    outbox = Outbox(
        "platform", kind="uplink", type_="webhook", source=bench.source, sink=sink, ledger=bench.ledger,
        clock=bench.clock, pace=EVENT_PACE, on_change=lambda up, why: bench.changes.append((up, why, 0.0)),
    )  # fmt: skip
    task = asyncio.create_task(outbox.run())
    await until(lambda: len(sink.checks) >= 3)
    assert [round(at) for at in sink.checks] == [60, 120, 180]
    sink.alive = False
    await until(lambda: bool(bench.changes))
    assert not outbox.status().up
    sink.alive = True
    await until(lambda: len(bench.changes) == 2)
    assert [(up, why) for up, why, _ in bench.changes] == [(False, "no answer"), (True, "")]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_status_names_what_waits_and_why() -> None:
    bench = Bench(count=4)
    bench.sink.script = [UnavailableError("refused")] * 100
    async with bench.running():
        await until(lambda: bool(bench.changes))
        status = bench.outbox.status()
    assert (status.up, status.waiting, status.reason, status.oldest_ns) == (False, 4, "refused", 1_000)
    assert (status.id, status.kind, status.type) == ("influx", "store", "influxdb")
