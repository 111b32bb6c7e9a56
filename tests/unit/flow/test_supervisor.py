import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from gateway.core.clock import ManualClock
from gateway.core.errors import EndOfRecordingError, NotConnectedError
from gateway.core.model import Batch, Channel, Quality
from gateway.flow.supervisor import RETRY_MIN_S, SWITCHING_BACKOFF_MAX_S, Supervisor

CHANNELS = [
    Channel(row=0, id="a.x", instrument="a", quantity="ch4", period_s=1.0, stale_after_s=3.0),
    Channel(row=1, id="a.y", instrument="a", quantity="co", period_s=5.0, stale_after_s=15.0),
]


class Script:
    """A driver that does what its lines say: a batch, an error to raise, or None to wait for ever."""

    def __init__(self, lines: Sequence[Batch | Exception | None], refusals: int = 0) -> None:
        self.lines = list(lines)
        self.refusals = refusals
        self.connects = 0
        self.closed = 0

    async def connect(self) -> None:
        self.connects += 1
        if self.refusals:
            self.refusals -= 1
            raise NotConnectedError("tcp://nowhere", "refused")

    async def read(self) -> Batch:
        await asyncio.sleep(0)
        line = self.lines.pop(0) if self.lines else None
        if isinstance(line, Exception):
            raise line
        if line is None:
            await asyncio.Event().wait()
        assert isinstance(line, Batch)
        return line

    async def close(self) -> None:
        self.closed += 1


async def run_for(supervisor: Supervisor, clock: ManualClock, seconds: float) -> None:
    task = asyncio.create_task(supervisor.run())
    end = clock.monotonic_s() + seconds
    while clock.monotonic_s() < end and not task.done():
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def qualities(taken: Sequence[Batch], row: int) -> list[int]:
    return [int(q) for batch in taken for r, q in zip(batch.row, batch.quality, strict=True) if r == row]


async def test_a_connection_that_cannot_be_made_gives_bad_readings_at_each_channels_own_period() -> None:
    taken: list[Batch] = []
    clock = ManualClock()
    await run_for(Supervisor("c", Script([], refusals=10**6), CHANNELS, taken.append, clock), clock, 300)
    fast, slow = qualities(taken, 0), qualities(taken, 1)
    assert set(fast) == set(slow) == {Quality.COMMS_LOST}
    assert len(slow) < len(fast)
    assert len(slow) >= 3


async def test_a_lost_connection_is_said_once_and_its_channels_go_bad_at_once() -> None:
    taken: list[Batch] = []
    said: list[str] = []
    clock = ManualClock()
    lost = NotConnectedError("tcp://x", "reset")
    script = Script([Batch.of([0, 1], 1, [1.0, 2.0]), lost, Batch.of([0, 1], 2, [1.0, 2.0])])
    await run_for(Supervisor("c", script, CHANNELS, taken.append, clock, on_change=said.append), clock, 10)
    assert said[:3] == ["", "tcp://x: reset", ""]
    assert qualities(taken, 1)[:2] == [0, Quality.COMMS_LOST]
    assert script.connects == 2


async def test_a_quiet_instrument_turns_stale_though_the_connection_stands() -> None:
    taken: list[Batch] = []
    clock = ManualClock()
    script = Script([Batch.of([0, 1], 1, [1.0, 2.0])])
    await run_for(Supervisor("c", script, CHANNELS, taken.append, clock), clock, 14)
    assert Quality.STALE in qualities(taken, 0)
    assert Quality.STALE not in qualities(taken, 1)


async def test_readings_of_the_past_do_not_keep_a_quiet_channel_from_going_stale() -> None:
    taken: list[Batch] = []
    clock = ManualClock()
    past = Batch.of([0], 1, [1.0], Quality.BACKFILLED)

    class Remembering(Script):
        async def read(self) -> Batch:
            await clock.sleep(0.5)
            return past

    await run_for(Supervisor("c", Remembering([]), CHANNELS, taken.append, clock), clock, 20)
    assert Quality.STALE in qualities(taken, 0)


async def test_a_peer_that_accepts_and_closes_at_once_is_tried_less_and_less_often() -> None:
    class Closing(Script):
        async def read(self) -> Batch:
            await asyncio.sleep(0)
            raise NotConnectedError("tcp://x", "closed")

    clock, script = ManualClock(), Closing([])
    await run_for(Supervisor("c", script, CHANNELS, lambda _batch: None, clock), clock, 600)
    assert 15 < script.connects < 40


async def test_a_connection_that_was_one_is_tried_again_at_once() -> None:
    clock = ManualClock()
    lost = NotConnectedError("tcp://x", "reset")
    script = Script([line for _ in range(20) for line in (Batch.of([0, 1], 1, [1.0, 2.0]), lost)])
    await run_for(Supervisor("c", script, CHANNELS, lambda _batch: None, clock), clock, 90)
    assert script.connects >= 20, "each time it had brought a reading"


async def test_a_driver_that_hangs_in_connect_is_given_up() -> None:
    class Hanging(Script):
        async def connect(self) -> None:
            self.connects += 1
            await asyncio.Event().wait()

    taken: list[Batch] = []
    clock = ManualClock()
    supervisor = Supervisor("c", Hanging([]), CHANNELS, taken.append, clock)
    await run_for(supervisor, clock, 12)
    assert set(qualities(taken, 0)) == {Quality.STALE} or set(qualities(taken, 0)) == {Quality.COMMS_LOST}


async def test_a_recording_that_ended_goes_stale_and_is_not_read_again() -> None:
    taken: list[Batch] = []
    clock = ManualClock()
    script = Script([Batch.of([0, 1], 1, [1.0, 2.0]), EndOfRecordingError("done")])
    await run_for(Supervisor("c", script, CHANNELS, taken.append, clock), clock, 40)
    assert script.connects == 1
    assert qualities(taken, 0)[-1] == Quality.STALE


async def test_a_mistake_in_a_driver_leaves_and_the_driver_is_closed() -> None:
    clock = ManualClock()
    script = Script([ValueError("a mistake")])
    supervisor = Supervisor("c", script, CHANNELS, lambda _batch: None, clock)
    result = (await asyncio.gather(supervisor.run(), return_exceptions=True))[0]
    assert isinstance(result, ValueError)
    assert script.closed == 1


def test_backoff_doubles_to_its_ceiling_and_differs_between_connections() -> None:
    clock = ManualClock()
    waits = [
        [Supervisor(name, Script([]), CHANNELS, lambda _b: None, clock)._backoff_s(k) for k in range(12)]
        for name in ("line1", "line2")
    ]
    assert all(np.diff(waits[0][:6]) > 0)
    assert max(waits[0]) <= 30
    assert waits[0] != waits[1]
    switching = Supervisor("line1", Script([]), CHANNELS, lambda _b: None, clock, backoff_max_s=SWITCHING_BACKOFF_MAX_S)
    assert max(switching._backoff_s(k) for k in range(12)) <= SWITCHING_BACKOFF_MAX_S


@pytest.mark.parametrize(("asked_s", "longest_s"), [(None, 30.0), (1.0, 1.0), (0.0, RETRY_MIN_S), (1e9, 30.0)])
async def test_a_driver_may_shorten_the_wait_and_never_lengthen_it(asked_s: float | None, longest_s: float) -> None:
    class Unplugged(Script):
        def __init__(self) -> None:
            super().__init__([])
            self.tried_s: list[float] = []

        async def connect(self) -> None:
            self.tried_s.append(clock.monotonic_s())
            raise NotConnectedError("/dev/serial/by-id/adapter", "no such file", retry_s=asked_s)

    class OneSleeper(ManualClock):
        """Only the supervisor's own waits count; its watch over silences would move the time too."""

        async def sleep(self, seconds: float) -> None:
            if (task := asyncio.current_task()) is not None and task.get_name().startswith("silence"):
                await asyncio.Event().wait()
            await super().sleep(seconds)

    clock = OneSleeper()
    script = Unplugged()
    await run_for(Supervisor("c", script, CHANNELS, lambda _batch: None, clock), clock, 200)
    waits = np.diff(script.tried_s)
    assert waits.max() <= longest_s + 1e-9
    assert waits.max() > 0.7 * longest_s
    assert waits.min() >= RETRY_MIN_S - 1e-9


async def test_after_a_change_of_rows_readings_and_silence_come_under_the_new_ones_and_the_driver_keeps_its_own() -> (
    None
):
    taken: list[Batch] = []
    clock = ManualClock()
    first, second = Batch.of([0, 1], clock.now_ns(), [1.0, 2.0]), Batch.of([1, 0], clock.now_ns(), [3.0, 4.0])
    supervisor = Supervisor("a", Script([first, second, None]), CHANNELS, taken.append, clock)
    task = asyncio.create_task(supervisor.run())
    while not taken:
        await asyncio.sleep(0)
    supervisor.renumber([replace(CHANNELS[0], row=7), replace(CHANNELS[1], row=3)])
    while len(taken) < 3:
        await asyncio.sleep(0)
    assert [batch.row.tolist() for batch in taken[:2]] == [[0, 1], [3, 7]]
    assert taken[1].value.tolist() == [3.0, 4.0]
    assert taken[2].row.tolist() == [7], "the silence of the quicker channel comes first"
    assert taken[2].quality.tolist() == [Quality.STALE]
    supervisor.renumber(CHANNELS)
    count = len(taken)
    while len(taken) == count:
        await asyncio.sleep(0)
    assert set(taken[-1].row.tolist()) <= {0, 1}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
