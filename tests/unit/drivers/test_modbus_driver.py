"""The schedule on a clock that moves by itself, over a link whose answers each test writes down."""

import asyncio
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drivers.modbus.driver import ModbusDriver
from drivers.modbus.frames import Refused, Request
from drivers.modbus.link import Answer, Done, Fault, Miss, nobody
from drivers.modbus.options import ChannelOptions, InstrumentOptions
from drivers.modbus.plan import Place, blocks
from drivers.modbus.polls import Backoff, Job, Poll, Unit
from drivers.modbus.status import InstrumentState
from gateway.core.clock import ManualClock
from gateway.core.errors import NotConnectedError
from gateway.core.model import Batch, Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan

SILENCE = Miss(Fault.SILENT, "no reply")


class HoldingClock(ManualClock):
    """Keeps what was read beyond the end of one `read_for` for the next."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[tuple[float, Batch]] = []


class ScriptedLink:
    """Answers as a function says; a silence takes the time-out, as it would on a wire."""

    def __init__(self, answer: Callable[[Request], Answer], clock: HoldingClock, timeout_s: float = 0.1) -> None:
        self.answer = answer
        self.clock = clock
        self.timeout_s = timeout_s
        self.asked: list[Request] = []
        self.opened = 0
        self.is_open = False
        self.refuse_open = False
        self.took_s = 0.25
        self.on_lost = nobody
        self.on_the_way = self.most_on_the_way = 0
        self.done: Done[Job]

    async def open(self) -> None:
        if self.refuse_open:
            raise NotConnectedError("scripted", "refused")
        self.opened += 1
        self.is_open = True

    def send(self, *asks: Job) -> None:
        for ask in asks:
            self.asked.append(ask.request)
            self.on_the_way += 1
            self.most_on_the_way = max(self.most_on_the_way, self.on_the_way)
            asyncio.get_running_loop().call_soon(self._finish, ask)

    def recall(self) -> Job | None:
        return None

    def _finish(self, ask: Job) -> None:
        answer = self.answer(ask.request)
        self.on_the_way -= 1
        if isinstance(answer, Miss):
            self.clock.advance(self.timeout_s if answer.fault is Fault.SILENT else 0)
            self.is_open = False
        self.done(ask, answer)

    async def close(self) -> None:
        self.is_open = False


def holding(request: Request) -> Answer:
    """Every register holds its own address."""
    return struct.pack(f">{request.count}H", *range(request.address, request.address + request.count))


def poll_of(unit: Unit, addresses: list[int], period_s: float, *, urgent: bool = True, replan: bool = False) -> Poll:
    """Return a poll of a unit's holding registers; the row is unit * 1000 + address."""
    name = f"u{unit.address}"
    channels = [
        Channel(unit.address * 1000 + a, f"{name}.r{a}", name, "t", range_low=0, range_high=60000, period_s=period_s)
        for a in addresses
    ]
    options = InstrumentOptions(unit=unit.address)
    plans = tuple(ChannelPlan(c, ChannelOptions(address=a)) for c, a in zip(channels, addresses, strict=True))
    places = [
        Place(c, "holding", a, period_s=period_s, urgent=urgent) for c, a in zip(channels, addresses, strict=True)
    ]
    state = InstrumentState(InstrumentPlan(name, period_s, options, plans))
    again = (lambda block, refused: blocks(unit.address, block.places, 125, 0, refused)) if replan else None
    return Poll(name, unit, blocks(unit.address, places, 125, 0), state, replan=again, stale_after_s=10.0)


def make(
    answer: Callable[[Request], Answer], polls: list[tuple[int, list[int], float]], **options: Any
) -> tuple[ModbusDriver, ScriptedLink, HoldingClock]:
    """Make a driver of instruments given as (unit, addresses, period); the row is unit * 1000 + address."""
    clock = HoldingClock()
    link = ScriptedLink(answer, clock)
    turnaround_s, each = options.pop("turnaround_s", 0.0), options.pop("each", 1)
    made = [
        poll_of(Unit(unit, f"u{unit}", turnaround_s, each), addresses, period_s) for unit, addresses, period_s in polls
    ]

    def make_link(done: Done[Job]) -> ScriptedLink:
        link.done = done
        return link

    return ModbusDriver("scripted", make_link, made, clock, **options), link, clock


async def read_for(driver: ModbusDriver, clock: HoldingClock, seconds: float) -> list[tuple[float, Batch]]:
    """Return what is read before `seconds` have passed, each batch with its time."""
    end_s = (clock.held[0][0] if clock.held else clock.monotonic_s()) + seconds
    found, clock.held = clock.held, []
    while True:
        batch = await driver.read()
        if clock.monotonic_s() >= end_s:
            clock.held = [(clock.monotonic_s(), batch)]
            return found
        found.append((clock.monotonic_s(), batch))


def readings(found: list[tuple[float, Batch]], row: int) -> list[tuple[float, float, int]]:
    return [
        (round(at, 6), float(batch.value[i]), int(batch.quality[i]))
        for at, batch in found
        for i in np.flatnonzero(batch.row == row)
    ]


async def test_each_instrument_is_read_on_its_own_grid_without_drift() -> None:
    driver, _, clock = make(holding, [(1, [10, 11], 0.5), (2, [20], 2.0)])
    await driver.connect()
    found = await read_for(driver, clock, 9.9)
    assert [at for at, _, _ in readings(found, 1011)] == [0.5 * k for k in range(20)]
    assert [at for at, _, _ in readings(found, 2020)] == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert {value for _, value, _ in readings(found, 1011)} == {11.0}


async def test_readings_carry_the_time_of_arrival() -> None:
    driver, _, clock = make(holding, [(1, [1], 1.0)])
    await driver.connect()
    clock.step(3600)
    assert (await driver.read()).time_ns[0] == clock.now_ns()


async def test_periods_that_have_passed_are_left_out_and_not_caught_up() -> None:
    driver, link, clock = make(holding, [(1, [1], 1.0)])
    await driver.connect()
    await driver.read()
    clock.advance(10.4)
    found = await read_for(driver, clock, 3.0)
    assert [at for at, _, _ in readings(found, 1001)] == [10.4, 11.0, 12.0, 13.0]
    assert len(link.asked) == 6  # one before, four, and the one that ended the watch


async def test_a_dead_instrument_is_left_alone_for_longer_and_longer_and_never_falls_silent() -> None:
    driver, link, clock = make(lambda r: SILENCE if r.unit == 2 else holding(r), [(1, [1], 1.0), (2, [2], 1.0)])
    await driver.connect()
    found = await read_for(driver, clock, 300.0)
    dead = readings(found, 2002)
    assert len(dead) == pytest.approx(300, abs=3)
    assert {quality for _, _, quality in dead} == {Quality.COMMS_LOST}
    assert np.isnan([value for _, value, _ in dead]).all()
    # 2 at once, then after 1, 2, 4, … 60 s: within 300 s no more than a dozen time-outs.
    assert 8 <= sum(request.unit == 2 for request in link.asked) <= 12
    healthy = readings(found, 1001)
    assert len(healthy) >= 297
    assert {quality for _, _, quality in healthy} == {Quality.GOOD}


async def test_an_instrument_that_comes_back_is_read_at_its_period_again() -> None:
    dead = True
    driver, _, clock = make(lambda r: SILENCE if dead else holding(r), [(1, [1], 1.0)])
    await driver.connect()
    await read_for(driver, clock, 30.0)
    dead = False
    await read_for(driver, clock, 25.0)  # the longest pause that can be running
    found = await read_for(driver, clock, 10.0)
    assert len(readings(found, 1001)) >= 10
    assert {quality for _, _, quality in readings(found, 1001)} == {Quality.GOOD}


async def test_one_lost_frame_costs_one_reading() -> None:
    answers = iter([False, True, False, False])
    driver, link, clock = make(lambda r: SILENCE if next(answers, False) else holding(r), [(1, [1], 1.0)])
    await driver.connect()
    found = await read_for(driver, clock, 3.5)
    assert [quality for _, _, quality in readings(found, 1001)] == [0, Quality.COMMS_LOST, 0, 0]
    assert link.opened == 2


async def test_the_pause_differs_between_instruments_and_has_a_ceiling() -> None:
    ends = set()
    for name in ("a", "b", "c"):
        unit = Unit(1, name)
        for _ in range(40):
            unit.fail(0.0, Backoff(1.0, 60.0))
        ends.add(unit.retry_s)
        assert 45.0 <= unit.retry_s <= 75.0
    assert len(ends) == 3


async def test_only_the_first_request_to_a_dead_instrument_is_sent() -> None:
    driver, link, _ = make(lambda r: SILENCE, [(1, [0, 10, 20, 30], 1.0)])
    await driver.connect()
    batch = await driver.read()
    assert sorted(batch.row.tolist()) == [1000, 1010, 1020, 1030]
    assert len(link.asked) == 1


async def test_a_refused_register_spoils_its_own_channel_only_and_from_the_first_poll() -> None:
    def answer(request: Request) -> Answer:
        bad = range(request.address, request.address + request.count)
        return Refused(2) if 7 in bad else holding(request)

    driver, link, clock = make(answer, [(1, list(range(16)), 1.0)])
    await driver.connect()
    found = await read_for(driver, clock, 50.0)
    for a in range(16):
        qualities = {quality for _, _, quality in readings(found, 1000 + a)}
        assert qualities == ({Quality.REFUSED} if a == 7 else {Quality.GOOD}), a
        assert len(readings(found, 1000 + a)) == 50
        assert a == 7 or {value for _, value, _ in readings(found, 1000 + a)} == {float(a)}
    later = link.asked[-8:]
    assert not any(r.address <= 7 < r.address + r.count for r in later)


async def test_a_refused_block_is_asked_again_after_a_minute_and_read_whole_once_it_answers() -> None:
    refuse = True

    def answer(request: Request) -> Answer:
        return Refused(2) if refuse and request.address <= 2 < request.address + request.count else holding(request)

    driver, link, clock = make(answer, [(1, [0, 1, 2, 3], 1.0)])
    await driver.connect()
    await read_for(driver, clock, 130.0)
    assert sum(r.count == 4 for r in link.asked) == 3  # at the start, after one minute and after two
    refuse = False
    await read_for(driver, clock, 61.0)
    link.asked.clear()
    found = await read_for(driver, clock, 5.0)
    assert {quality for _, _, quality in readings(found, 1002)} == {Quality.GOOD}
    assert {r.count for r in link.asked} == {4}


async def test_an_instrument_that_refuses_everything_cannot_keep_the_line_busy() -> None:
    driver, link, clock = make(lambda r: Refused(1), [(1, list(range(125)), 1.0), (2, [0], 1.0)])
    await driver.connect()
    found = await read_for(driver, clock, 0.9)
    assert len(link.asked) <= 40
    rows = np.concatenate([batch.row for _, batch in found])
    assert len(rows) == len(set(rows.tolist())) == 126
    later = await read_for(driver, clock, 30.0)
    link.asked.clear()
    assert {int(q) for _, batch in later for q in batch.quality} == {Quality.REFUSED}
    await read_for(driver, clock, 10.0)
    assert not link.asked


async def test_a_busy_instrument_is_asked_again_at_its_next_poll_and_not_cut_up() -> None:
    answers = iter([Refused(6), Refused(5)])
    driver, link, clock = make(lambda r: next(answers, None) or holding(r), [(1, [0, 1], 1.0)])
    await driver.connect()
    found = await read_for(driver, clock, 3.5)
    assert [quality for _, _, quality in readings(found, 1000)] == [Quality.REFUSED, Quality.REFUSED, 0, 0]
    assert {r.count for r in link.asked} == {2}


@pytest.mark.parametrize("code", [0x0A, 0x0B])
async def test_a_gateway_that_says_the_unit_is_absent_is_believed(code: int) -> None:
    driver, link, clock = make(
        lambda r: Refused(code) if r.unit == 2 else holding(r), [(1, [1], 1.0), (2, [2, 3], 1.0)]
    )
    await driver.connect()
    found = await read_for(driver, clock, 60.0)
    assert {quality for _, _, quality in readings(found, 2003)} == {Quality.COMMS_LOST}
    assert len(readings(found, 2003)) == 60
    assert sum(r.unit == 2 for r in link.asked) < 10
    assert link.opened == 1


async def test_a_connection_that_closes_under_a_request_is_tried_once_more() -> None:
    answers = iter([Miss(Fault.CLOSED, "closed")])
    driver, link, _ = make(lambda r: next(answers, None) or holding(r), [(1, [1], 1.0)])
    await driver.connect()
    batch = await driver.read()
    assert (batch.value[0], batch.quality[0], link.opened) == (1.0, 0, 2)


async def test_an_instrument_on_whose_requests_the_connection_always_closes_is_silent() -> None:
    closed = Miss(Fault.CLOSED, "closed")
    driver, _, clock = make(lambda r: closed if r.unit == 2 else holding(r), [(1, [1], 1.0), (2, [2], 1.0)])
    await driver.connect()
    found = await read_for(driver, clock, 20.0)
    assert {quality for _, _, quality in readings(found, 2002)} == {Quality.COMMS_LOST}
    assert {quality for _, _, quality in readings(found, 1001)} == {Quality.GOOD}
    assert len(readings(found, 1001)) == 20


async def test_an_endpoint_that_cannot_be_opened_again_is_lost() -> None:
    driver, link, _ = make(lambda r: SILENCE, [(1, [1], 1.0)])
    await driver.connect()
    link.refuse_open = True
    assert (await driver.read()).quality[0] == Quality.COMMS_LOST
    with pytest.raises(NotConnectedError):
        await driver.read()


async def test_a_driver_that_is_not_connected_says_so() -> None:
    driver, _, _ = make(holding, [(1, [1], 1.0)])
    with pytest.raises(NotConnectedError):
        await driver.read()
    await driver.close()
    await driver.close()


async def test_an_instrument_gets_the_pause_it_needs() -> None:
    driver, link, clock = make(holding, [(1, [0, 10, 20], 1.0)], turnaround_s=0.2)
    times: list[float] = []
    link.answer = lambda r: (times.append(round(clock.monotonic_s(), 3)), holding(r))[1]
    await driver.connect()
    await read_for(driver, clock, 0.9)
    assert times[:3] == [0.0, 0.2, 0.4]


@pytest.mark.parametrize("in_flight", [1, 4])
async def test_no_more_requests_are_on_the_way_than_allowed(in_flight: int) -> None:
    driver, link, clock = make(holding, [(u, [0], 1.0) for u in range(10)], in_flight=in_flight)
    await driver.connect()
    await read_for(driver, clock, 2.0)
    assert link.most_on_the_way == in_flight


async def test_a_cancelled_read_loses_nothing() -> None:
    driver, _, clock = make(holding, [(1, [1], 1.0)])
    await driver.connect()
    task = asyncio.create_task(driver.read())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await driver.read()).value[0] == 1.0
    assert clock.monotonic_s() == 0.0


# --- several periods, urgency, units, and lines that are too slow ------------------------------------------------


async def test_waiting_for_the_next_poll_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    driver, _, clock = make(holding, [(1, [0], 5.0)], in_flight=2, each=2)
    sleeps: list[float] = []

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        await asyncio.Event().wait()

    monkeypatch.setattr(clock, "sleep", sleep)
    await driver.connect()
    await driver.read()
    waiting = asyncio.create_task(driver.read())
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(sleeps) <= 3, "it looks again when something has happened, and else sleeps until the poll is due"
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await driver.close()


def drive(polls: list[Poll], answer: Callable[[Request], Answer], **options: Any) -> tuple[ModbusDriver, ScriptedLink]:
    clock = HoldingClock()
    link = ScriptedLink(answer, clock)

    def make_link(done: Done[Job]) -> ScriptedLink:
        link.done = done
        return link

    return ModbusDriver("scripted", make_link, polls, clock, **options), link


def slow(link: ScriptedLink, seconds: float) -> None:
    """Let each request take that long."""
    inner = link.answer

    def answer(request: Request) -> Answer:
        link.clock.advance(seconds)
        return inner(request)

    link.answer = answer


async def test_channels_of_one_instrument_have_periods_of_their_own() -> None:
    unit = Unit(1, "u1")
    driver, link = drive([poll_of(unit, [1], 0.5), poll_of(unit, [50], 5.0, urgent=False)], holding)
    await driver.connect()
    found = await read_for(driver, link.clock, 9.9)
    assert [at for at, _, _ in readings(found, 1001)] == [0.5 * k for k in range(20)]
    assert [at for at, _, _ in readings(found, 1050)] == [0.0, 5.0]


async def test_on_a_line_too_slow_for_everything_urgent_channels_keep_their_period_and_the_rest_comes_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Each request takes 0.1 s; the urgent ones need 0.6 s of every second, the others would need 2.0 s.
    urgent = [poll_of(Unit(u, f"u{u}"), [1], 1.0) for u in range(1, 7)]
    rest = [poll_of(Unit(u, f"u{u}"), [1], 1.0, urgent=False) for u in range(11, 31)]
    driver, link = drive([*rest, *urgent], holding, load=2.6)
    slow(link, 0.1)
    await driver.connect()
    found = await read_for(driver, link.clock, 60.0)
    for u in range(1, 7):
        assert len(readings(found, u * 1000 + 1)) >= 59, u
    for u in range(11, 31):
        count = len(readings(found, u * 1000 + 1))
        assert 6 <= count <= 60, (u, count)
    said = capsys.readouterr().out
    assert said.count("periods are not kept") == 1
    assert "2.60 s of every second" in said


async def test_urgent_channels_that_need_the_whole_line_do_not_silence_the_rest() -> None:
    urgent = [poll_of(Unit(u, f"u{u}"), [1], 0.1) for u in range(1, 4)]
    rest = [poll_of(Unit(9, "u9"), [1], 1.0, urgent=False)]
    driver, link = drive([*rest, *urgent], holding)
    slow(link, 0.1)
    await driver.connect()
    found = await read_for(driver, link.clock, 120.0)
    assert len(readings(found, 9001)) >= 8  # its patience is ten periods
    assert min(len(readings(found, u * 1000 + 1)) for u in range(1, 4)) >= 300


async def test_instruments_behind_one_unit_share_its_silence() -> None:
    unit = Unit(3, "a")
    polls = [poll_of(unit, [1], 1.0), poll_of(unit, [40], 1.0)]
    driver, link = drive(polls, lambda r: SILENCE)
    await driver.connect()
    batch = await driver.read()
    assert sorted(batch.row.tolist()) == [3001, 3040]
    assert len(link.asked) == 1  # one time-out for both
    found = await read_for(driver, link.clock, 30.0)
    assert len(link.asked) <= 7
    assert {quality for row in (3001, 3040) for _, _, quality in readings(found, row)} == {Quality.COMMS_LOST}
    assert len(readings(found, 3040)) >= 29


async def test_a_silent_instrument_with_many_requests_in_flight_is_probed_with_one() -> None:
    driver, link, clock = make(lambda r: SILENCE, [(1, [0, 10, 20, 30], 1.0)], in_flight=4, each=4)
    await driver.connect()
    await read_for(driver, clock, 30.0)
    # Four at first; then one at each probe, after 1, 1, 2, 4, 8, 16 s.
    assert len(link.asked) <= 4 + 7


async def test_an_instrument_that_allows_it_has_several_requests_on_the_way() -> None:
    driver, link, clock = make(holding, [(1, [0, 10, 20, 30], 1.0), (2, [0, 10], 1.0)], in_flight=4, each=3)
    await driver.connect()
    await read_for(driver, clock, 0.5)
    assert link.most_on_the_way == 4


async def test_the_latency_of_a_channel_is_that_of_its_last_request() -> None:
    driver, _, _ = make(holding, [(1, [1], 1.0)])
    assert driver.latency_s(1001) is None
    await driver.connect()
    await driver.read()
    assert driver.latency_s(1001) == 0.25
    assert driver.latency_s(7) is None


async def test_a_link_that_is_lost_while_nothing_is_asked_is_noticed_at_once() -> None:
    driver, link, clock = make(holding, [(1, [1], 3600.0)])
    await driver.connect()
    await driver.read()
    clock.sleep = lambda _: asyncio.Event().wait()  # type: ignore[method-assign] - time stands still
    task = asyncio.create_task(driver.read())
    await asyncio.sleep(0.01)
    link.is_open, link.refuse_open = False, True
    link.on_lost()
    with pytest.raises(NotConnectedError):
        await asyncio.wait_for(task, 1.0)


async def test_what_lies_on_both_sides_of_a_bad_register_is_read_with_two_requests_again() -> None:
    def answer(request: Request) -> Answer:
        return Refused(2) if request.address <= 7 < request.address + request.count else holding(request)

    unit = Unit(1, "u1")
    poll = poll_of(unit, list(range(32)), 1.0, replan=True)
    driver, link = drive([poll], answer)
    await driver.connect()
    await read_for(driver, link.clock, 5.0)
    link.asked.clear()
    found = await read_for(driver, link.clock, 3.0)
    assert sorted((r.address, r.count) for r in link.asked[:2]) == [(0, 7), (8, 24)]
    assert len(link.asked) <= 8
    for a in range(32):
        qualities = {quality for _, _, quality in readings(found, 1000 + a)}
        assert qualities == ({Quality.REFUSED} if a == 7 else {Quality.GOOD}), a


class HoldingLink(ScriptedLink):
    """Has one request waiting beside the one on the line, as a line's thread does."""

    def __init__(self, clock: HoldingClock) -> None:
        super().__init__(holding, clock)
        self.queue: list[Job] = []

    def send(self, *asks: Job) -> None:
        self.queue.extend(asks)

    def recall(self) -> Job | None:
        return self.queue.pop() if len(self.queue) > 1 else None

    def finish(self) -> None:
        ask = self.queue.pop(0)
        self.asked.append(ask.request)
        self.done(ask, holding(ask.request))


async def test_something_more_urgent_takes_the_place_of_what_waits_for_the_line() -> None:
    clock = HoldingClock()
    link = HoldingLink(clock)

    def make_link(done: Done[Job]) -> HoldingLink:
        link.done = done
        return link

    polls = [poll_of(Unit(u, f"u{u}"), [1], 1.0, urgent=False) for u in (1, 2, 3)]
    driver = ModbusDriver("scripted", make_link, polls, clock, ahead=1)
    await driver.connect()
    reading = asyncio.create_task(driver.read())
    await asyncio.sleep(0)
    assert [job.request.unit for job in link.queue] == [1, 2]
    polls[1].unit.begin()
    question = asyncio.create_task(driver._question(Request(9, 1, 0, 1), 0, None))
    await asyncio.sleep(0.01)
    assert [job.request.unit for job in link.queue] == [1, 9]
    while not (reading.done() and question.done()):
        link.finish()
        await asyncio.sleep(0.01)
    assert [request.unit for request in link.asked[:2]] == [1, 9]
    reading.cancel()
    await driver.close()
