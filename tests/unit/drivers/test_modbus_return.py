"""What is known of an instrument's words when it comes back: it may have been started anew meanwhile."""

import asyncio
import struct
from collections.abc import Callable
from typing import Any

from drivers.modbus.driver import ModbusDriver
from drivers.modbus.frames import Refused, Request
from drivers.modbus.link import Answer, Done, Fault, Miss, nobody
from drivers.modbus.options import ChannelOptions, InstrumentOptions, Options
from drivers.modbus.polls import Job
from drivers.modbus.wiring import create
from gateway.core.clock import ManualClock
from gateway.core.errors import NotConnectedError
from gateway.core.model import Batch, Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan

SILENCE = Miss(Fault.SILENT, "no reply")


class Wire:
    """A link to instruments whose holding registers each test sets; one that is cut does not even open."""

    def __init__(self, clock: ManualClock, done: Done[Job]) -> None:
        self.registers: dict[int, int] = {}
        self.refused: set[int] = set()
        self.code = 2
        self.silent = self.cut = self.is_open = False
        self.asked: list[tuple[float, Request]] = []
        self.took_s = 0.0
        self.on_lost = nobody
        self._clock, self._done = clock, done

    async def open(self) -> None:
        if self.cut:
            raise NotConnectedError("wire", "cut")
        self.is_open = True

    def send(self, *asks: Job) -> None:
        for ask in asks:
            self.asked.append((self._clock.monotonic_s(), ask.request))
            asyncio.get_running_loop().call_soon(self._finish, ask)

    def recall(self) -> Job | None:
        return None

    def _finish(self, ask: Job) -> None:
        answer = self._answer(ask.request)
        if isinstance(answer, Miss):
            self._clock.advance(0.1)
        self._done(ask, answer)

    def _answer(self, request: Request) -> Answer:
        if self.silent:
            return SILENCE
        at = range(request.address, request.address + request.count)
        if not self.refused.isdisjoint(at):
            return Refused(self.code)
        return struct.pack(f">{request.count}H", *(self.registers.get(a, 0) for a in at))

    async def close(self) -> None:
        self.is_open = False


class Rig:
    """One instrument, its row being the position of the channel."""

    def __init__(self, channels: list[tuple[dict[str, Any], float]], **options: Any) -> None:
        self.clock = ManualClock()
        plans = tuple(
            ChannelPlan(
                Channel(i, f"gd.c{i}", "gd", "co", period_s=period_s, stale_after_s=60.0),
                ChannelOptions.model_validate(given),
            )
            for i, (given, period_s) in enumerate(channels)
        )
        made = create(
            Options(endpoint="tcp://127.0.0.1:1", read_through=0),
            [InstrumentPlan("gd", 1.0, InstrumentOptions.model_validate(options), plans)],
            self.clock,
        )
        assert isinstance(made, ModbusDriver)
        self.driver = made
        self.wire = Wire(self.clock, made._done)
        made._link = self.wire

    async def until(self, true: Callable[[Batch], bool]) -> list[tuple[float, int, Quality]]:
        """Read until a batch is as wished, and return (time, row, quality) of everything up to it."""
        found = []
        while True:
            batch = await self.driver.read()
            at = self.clock.monotonic_s()
            found += [(at, int(r), Quality(int(q))) for r, q in zip(batch.row, batch.quality, strict=True)]
            if true(batch):
                return found

    async def seconds(self, seconds: float) -> list[tuple[float, int, Quality]]:
        end_s = self.clock.monotonic_s() + seconds
        return await self.until(lambda _: self.clock.monotonic_s() >= end_s)


def of(found: list[tuple[float, int, Quality]], row: int = 0) -> set[Quality]:
    return {quality for _, r, quality in found if r == row}


STATUS = {"address": 50, "values": {2: "warm_up"}, "period_s": 60.0}


async def test_a_status_from_before_a_silence_vouches_for_nothing() -> None:
    rig = Rig([({"address": 0}, 1.0)], status=[STATUS])
    await rig.driver.connect()
    assert of(await rig.seconds(10.0)) == {Quality.GOOD}
    rig.wire.silent = True
    await rig.seconds(10.0)
    rig.wire.silent, rig.wire.registers[50] = False, 2  # its supply was away
    found = await rig.seconds(30.0)
    assert Quality.GOOD not in of(found)
    assert of(found[-3:]) == {Quality.WARM_UP}


async def test_what_words_hold_is_asked_as_soon_as_an_instrument_is_back() -> None:
    rig = Rig(
        [({"address": 0, "scale_from": {"address": 40, "values": {1: 0.1}, "period_s": 60.0}}, 1.0)], status=[STATUS]
    )
    rig.wire.registers = {0: 5, 40: 1}
    await rig.driver.connect()
    await rig.seconds(5.0)
    rig.wire.silent = True
    await rig.seconds(20.0)
    rig.wire.silent = False
    found = await rig.until(lambda b: bool((b.quality == Quality.GOOD).any()))
    back_s = next(at for at, _, quality in found if quality is not Quality.COMMS_LOST)
    assert found[-1][0] - back_s < 2.5, "and not at the next of the word's own periods"


async def test_one_lost_frame_forgets_no_word() -> None:
    rig = Rig([({"address": 0}, 1.0)], status=[STATUS])
    await rig.driver.connect()
    await rig.seconds(5.0)
    rig.wire.silent = True
    await rig.until(lambda b: bool((b.quality == Quality.COMMS_LOST).any()))
    rig.wire.silent = False
    assert of(await rig.seconds(5.0)) == {Quality.GOOD}


async def test_after_a_lost_connection_words_are_asked_before_the_values_they_speak_of() -> None:
    # A word of the value's own period stands first in the plan, and takes the value's poll with it.
    quick = {"address": 40, "values": {9: "sensor_fault"}}
    rig = Rig([({"address": 0}, 1.0)], status=[quick, STATUS])
    await rig.driver.connect()
    assert of(await rig.seconds(10.0)) == {Quality.GOOD}
    rig.wire.cut = True
    await rig.driver.close()
    rig.clock.advance(15.0)
    rig.wire.cut, rig.wire.registers[50] = False, 2
    await rig.driver.connect()
    assert of(await rig.seconds(5.0)) == {Quality.WARM_UP}


async def test_a_word_is_asked_before_its_values_also_where_their_block_was_cut_up() -> None:
    rig = Rig(
        [({"address": a}, 1.0) for a in range(3)],
        status=[{"address": 3, "values": {2: "inhibited"}, "channels": ["c0"]}],
    )
    rig.wire.refused = {1}
    await rig.driver.connect()
    await rig.seconds(5.0)
    rounds: dict[float, list[int]] = {}
    for at, request in rig.wire.asked:
        rounds.setdefault(at, []).append(request.address)
    assert rounds[2.0] == rounds[3.0] == [2, 0]


async def test_an_instrument_that_fails_for_a_moment_is_read_again_soon() -> None:
    rig = Rig([({"address": a}, 1.0) for a in range(4)])
    await rig.driver.connect()
    await rig.seconds(3.0)
    rig.wire.refused, rig.wire.code = set(range(4)), 4
    await rig.seconds(3.0)
    rig.wire.refused = set()
    asked = len(rig.wire.asked)
    found = await rig.seconds(20.0)
    assert len([at for at, row, quality in found if row == 0 and quality is Quality.REFUSED]) <= 6
    assert of(found[-8:]) == {Quality.GOOD}
    assert len(rig.wire.asked) - asked <= 22


async def test_one_that_fails_for_good_costs_a_request_every_few_seconds() -> None:
    rig = Rig([({"address": a}, 1.0) for a in range(4)])
    rig.wire.refused, rig.wire.code = set(range(4)), 4
    await rig.driver.connect()
    await rig.seconds(10.0)
    before = len(rig.wire.asked)
    found = await rig.seconds(40.0)
    assert len(rig.wire.asked) - before <= 9
    assert all(sum(row == r for _, row, _ in found) >= 39 for r in range(4)), "and is told every period"
    assert {quality for _, _, quality in found} == {Quality.REFUSED}
