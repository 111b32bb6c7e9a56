"""Outputs with a relay in memory and time that the tests move by hand."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway.outputs
from gateway.alarms.book import AlarmBook
from gateway.core.alarm import AlarmEvent, Command, Verb
from gateway.core.clock import ManualClock
from gateway.core.errors import CommandRefusedError, ConfigError, OutputError
from gateway.core.model import Channel, Level, Priority, Quality, Rule, Verdicts
from gateway.core.plugin import PluginOptions, Switching
from gateway.outputs import Outputs
from gateway.site.plans import Output
from gateway.site.schema import OutputSection

GAS, GAS2 = "gas:gd-1.ch4", "gas:gd-2.ch4"
TURNS = 12
"""Turns of the loop that everything which follows from one step takes at most."""


class HandClock(ManualClock):
    """Sleepers wake in their order when a test lets time pass, and not before."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self.monotonic_s() + seconds, self._count, woken))
        await woken

    async def go(self, seconds: float) -> None:
        end_s = self.monotonic_s() + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end_s + 1e-9:
            due_s, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                self.advance(due_s - self.monotonic_s())
                woken.set_result(None)
                await settle()
        self.advance(end_s - self.monotonic_s())


async def settle() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


@dataclass
class Board:
    """A relay board: what was written when, and how it misbehaves."""

    clock: ManualClock
    coils: dict[str, bool] = field(default_factory=dict)
    writes: list[tuple[float, str, bool]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    hung: set[str] = field(default_factory=set)
    wanted: Callable[[str], bool] | None = None

    async def switch(self, output: str, *, on: bool) -> None:
        assert self.wanted is None or on is self.wanted(output), "nothing but what the alarms ask for is ever written"
        self.writes.append((round(self.clock.monotonic_s(), 3), output, on))
        if output in self.hung:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        if output in self.broken:
            raise OutputError(output, "no reply")
        self.coils[output] = on

    def times(self, output: str) -> list[float]:
        return [at_s for at_s, name, _ in self.writes if name == output]


class Site:
    """An alarm book, its outputs and the alarms that these made."""

    def __init__(self, *sections: OutputSection, drivers: dict[str, object] | None = None, lines: int = 1) -> None:
        self.clock = HandClock()
        self.board = Board(self.clock)
        self.book = AlarmBook(rules())
        self.sections = sections
        self.drivers = drivers or {f"line{k + 1}": self.board for k in range(lines)}
        self.problems: list[tuple[str, str, Priority]] = []
        self.notes: list[str] = []
        self.outputs = self.made()

    def made(self) -> Outputs:
        outputs = [Output(each.id, each.connection, each, ("outputs", k)) for k, each in enumerate(self.sections)]
        return Outputs(outputs, self.drivers, self.clock, self.problem)

    def problem(self, alarm: str, why: str, priority: Priority) -> None:
        self.problems.append((alarm, why, priority))
        self.happen(self.book.system(alarm, bool(why), why or "well again", self.clock.now_ns(), priority=priority))

    def happen(self, events: Sequence[AlarmEvent]) -> None:
        self.outputs.take(events)

    def gas(self, level: Level, index: int = 0) -> None:
        self.happen(self.book.judge(verdict(index, level)))

    def order(self, verb: Verb, alarm: str = "") -> None:
        self.happen(self.book.command(Command(verb=verb, alarm=alarm, who="wang"), self.clock.now_ns()))

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Site"]:
        self.outputs.restore(self.book)
        task = asyncio.create_task(self.outputs.run(self.notes.append))
        await settle()
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await settle()

    def wanted(self, output: str) -> bool:
        return next(status.wanted for status in self.outputs.status() if status.id == output)

    def open_alarms(self) -> dict[str, int]:
        return {alarm.id: alarm.event.priority for alarm in self.book.alarms() if alarm.event.condition != "normal"}


def rules() -> list[Rule]:
    return [
        Rule(
            index=k,
            id=name,
            type="threshold",
            channels=(Channel(row=k, id=name[4:], instrument=name[4:8], quantity="ch4"),),
            options=PluginOptions(),
            latching=True,
        )
        for k, name in enumerate((GAS, GAS2))
    ]


def verdict(index: int, level: Level) -> Verdicts:
    return Verdicts(
        np.array([index], np.int32),
        np.array([level], np.int8),
        np.zeros(1, np.float32),
        np.array([1_700_000_000_000_000_000]),
        np.array([17.2]),
        np.array([10.0]),
        np.array([Quality.GOOD], np.uint8),
    )


def section(name: str = "sounder", **given: object) -> OutputSection:
    return OutputSection.model_validate({"id": name, "connection": "line1"} | given)


async def test_gas_switches_the_sounder_on_at_once_and_a_silence_off() -> None:
    async with Site(section(), section("beacon", release="reset")).running() as site:
        assert site.board.coils == {"sounder": False, "beacon": False}
        site.gas(Level.LOW)
        await settle()
        assert site.board.coils == {"sounder": True, "beacon": True}
        site.order(Verb.SILENCE)
        await settle()
        assert site.board.coils == {"sounder": False, "beacon": True}
        site.gas(Level.LOW, index=1)
        await settle()
        assert site.board.coils == {"sounder": True, "beacon": True}
        assert site.clock.monotonic_s() == 0


async def test_what_went_on_and_off_is_noted_once_each_and_a_quiet_start_is_no_news() -> None:
    async with Site(section(repeat_s=2)).running() as site:
        await site.clock.go(10)
        assert site.notes == []
        site.gas(Level.LOW)
        site.gas(Level.HIGH, index=1)
        await site.clock.go(10)
        site.board.broken.add("sounder")
        await site.clock.go(10)
        site.board.broken.clear()
        await site.clock.go(10)
        site.order(Verb.SILENCE)
        await site.clock.go(10)
        on, off = site.notes
        assert on == f"output sounder is on: {GAS} and 1 more"
        assert off == "output sounder is off"


async def test_the_state_is_written_again_every_repetition() -> None:
    async with Site(section(repeat_s=10), section("beacon", repeat_s=3)).running() as site:
        await site.clock.go(30)
        assert site.board.times("sounder") == [0, 10, 20, 30]
        assert site.board.times("beacon") == [*range(0, 31, 3)]


async def test_what_somebody_else_switched_off_comes_on_again_within_a_repetition() -> None:
    async with Site(section(repeat_s=5)).running() as site:
        site.gas(Level.HIGH)
        await settle()
        site.board.coils["sounder"] = False
        await site.clock.go(5)
        assert site.board.coils["sounder"]


async def test_a_restart_during_an_alarm_writes_nothing_but_on() -> None:
    site = Site(section(), section("beacon", release="reset"))
    async with site.running():
        site.gas(Level.LOW)
        await settle()
    assert site.board.coils == {"sounder": True, "beacon": True}, "an ending gateway switches nothing off"
    site.board.writes.clear()
    site.outputs = site.made()
    async with site.running():
        await site.clock.go(60)
    assert {on for _, _, on in site.board.writes} == {True}


async def test_before_the_alarms_are_known_nothing_is_switched() -> None:
    site = Site(section())
    with pytest.raises(AssertionError, match="before the alarms are known"):
        await site.outputs.run()
    assert not site.board.writes


async def test_a_sounder_that_does_not_sound_is_a_red_alarm_and_is_tried_ever_more_slowly() -> None:
    async with Site(section(repeat_s=8)).running() as site:
        await site.clock.go(10)
        site.board.broken.add("sounder")
        site.gas(Level.LOW)
        await settle()
        began_s = site.clock.monotonic_s()
        await site.clock.go(40)
        tried = np.array(site.board.times("sounder"))
        waits = np.diff(tried[tried >= began_s])
        assert waits.tolist() == [0.5, 1, 2, 4, 8, 8, 8, 8]
        assert site.open_alarms() == {GAS: Priority.ORANGE, "system/output/sounder": Priority.RED}
        (status,) = site.outputs.status()
        assert (status.wanted, status.shown, status.alarms) == (True, None, 1)
        assert status.reason == "no reply"
        site.board.broken.clear()
        await site.clock.go(8)
        assert "system/output/sounder" not in site.open_alarms()
        assert site.board.coils["sounder"]
        assert site.outputs.status()[0].shown is True
        assert site.problems[-1][:2] == ("system/output/sounder", "")


async def test_a_failing_output_is_tried_every_ten_seconds_however_seldom_it_is_repeated() -> None:
    async with Site(section(repeat_s=3600)).running() as site:
        site.board.broken.add("sounder")
        site.gas(Level.LOW)
        await site.clock.go(60)
        assert max(np.diff(site.board.times("sounder"))) == 10


async def test_what_a_connection_carries_is_written_as_soon_as_it_is_back() -> None:
    async with Site(section(repeat_s=30), section("beacon", connection="line2"), lines=2).running() as site:
        site.gas(Level.LOW)
        await settle()
        site.happen(site.book.system("system/connection/line1", True, "unplugged", 1))
        site.board.broken.add("sounder")
        await site.clock.go(50)
        site.board.broken.clear()
        site.board.coils["sounder"] = False
        written = len(site.board.times("beacon"))
        site.happen(site.book.system("system/connection/line1", False, "back", 2))
        await settle()
        assert site.board.coils["sounder"]
        assert site.clock.monotonic_s() == 50
        assert len(site.board.times("beacon")) == written


async def test_one_disturbed_frame_makes_no_alarm() -> None:
    async with Site(section(repeat_s=60)).running() as site:
        await site.clock.go(10)
        site.board.broken.add("sounder")
        site.gas(Level.LOW)
        await settle()
        site.board.broken.clear()
        await site.clock.go(0.5)
        assert site.board.coils["sounder"]
        site.board.broken.add("sounder")
        await site.clock.go(60)
        site.board.broken.clear()
        await site.clock.go(0.5)
        assert site.board.times("sounder") == [0, 10, 10.5, 70.5, 71]
        assert site.open_alarms() == {GAS: Priority.ORANGE}


async def test_an_output_found_dead_while_nothing_is_wrong_is_less_urgent_until_it_is_needed() -> None:
    async with Site(section(repeat_s=10)).running() as site:
        site.board.broken.add("sounder")
        await site.clock.go(20)
        assert site.open_alarms() == {"system/output/sounder": Priority.ORANGE}
        site.gas(Level.LOW)
        await settle()
        assert site.open_alarms()["system/output/sounder"] == Priority.RED


async def test_a_connection_that_is_still_being_made_is_no_alarm_at_the_start() -> None:
    site = Site(section(repeat_s=10))
    site.board.broken.add("sounder")
    async with site.running():
        await site.clock.go(gateway.outputs.START_S - 1)
        assert not site.problems
        await site.clock.go(10)
        assert site.open_alarms() == {"system/output/sounder": Priority.ORANGE}


async def test_an_output_that_works_again_ends_the_alarm_that_an_earlier_run_left_open() -> None:
    site = Site(section())
    site.happen(site.book.system("system/output/sounder", True, "no reply", 1, priority=Priority.RED))
    async with site.running():
        assert not site.open_alarms()


async def test_a_dead_relay_holds_up_no_other() -> None:
    site = Site(section("dead"), section("hung"), section())
    site.board.broken.add("dead")
    site.board.hung.add("hung")
    async with site.running():
        site.gas(Level.HIGH)
        await settle()
        assert site.board.coils == {"sounder": True}


async def test_a_driver_that_hangs_counts_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.outputs, "SWITCH_TIMEOUT_S", 0.001)
    site = Site(section(repeat_s=1))
    site.board.hung.add("sounder")
    async with site.running():
        while not site.problems:
            await site.clock.go(1)
            await asyncio.sleep(0.002)
    assert site.problems[0][1] == "sounder cannot be switched off: not switched within 0.001 s"


async def test_what_the_alarms_ask_for_while_a_write_is_under_way_is_written_next() -> None:
    async with Site(section()).running() as site:
        site.gas(Level.LOW)
        await asyncio.sleep(0)
        site.order(Verb.SILENCE)
        site.gas(Level.HIGH)
        site.order(Verb.SILENCE)
        await settle()
        assert site.board.coils == {"sounder": False}
        assert site.clock.monotonic_s() == 0


async def test_a_site_without_outputs_runs_nothing() -> None:
    site = Site()
    site.outputs.restore(site.book)
    site.gas(Level.HIGH)
    await site.outputs.run()
    assert site.outputs.status() == []
    assert not site.board.writes


def test_a_connection_that_cannot_switch_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"outputs\[0\]\.connection: line1 switches nothing"):
        Site(section(), drivers={"line1": object()})
    with pytest.raises(ConfigError, match="line9 switches nothing"):
        Site(section(connection="line9"))


def test_the_board_of_these_tests_is_what_a_driver_is() -> None:
    board: Switching = Board(ManualClock())
    assert isinstance(board, Switching)


@pytest.mark.parametrize("act", [lambda site: site.gas(Level.LOW), lambda site: site.order(Verb.SILENCE)])
async def test_events_that_change_nothing_write_nothing(act: Callable[[Site], None]) -> None:
    async with Site(section(alarms=["smoke:*"])).running() as site:
        written = len(site.board.writes)
        act(site)
        await settle()
        assert len(site.board.writes) == written


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("gas"), st.integers(0, 1), st.sampled_from(Level)),
        st.tuples(st.just("order"), st.sampled_from([Verb.SILENCE, Verb.ACKNOWLEDGE, Verb.RESET])),
        st.tuples(st.just("break"), st.sampled_from(["sounder", "beacon"])),
        st.tuples(st.just("mend")),
        st.tuples(st.just("meddle"), st.sampled_from(["sounder", "beacon"])),
        st.tuples(st.just("pass"), st.sampled_from([0.0, 0.3, 2.0, 7.0])),
        st.tuples(st.just("restart")),
    ),
    max_size=25,
)


async def live(site: Site, steps: Sequence[tuple[Any, ...]]) -> None:
    """Go through the steps; whatever happened, once the board is well the relays are right within a repetition."""
    while True:
        async with site.running():
            while steps:
                (what, *how), steps = steps[0], steps[1:]
                if what == "restart":
                    site.outputs = site.made()
                    break
                await step(site, what, *how)
            else:
                site.board.broken.clear()
                await site.clock.go(5)
                asked = {name: site.wanted(name) for name in ("sounder", "beacon")}
                assert site.board.coils == asked
                assert not [name for name in site.open_alarms() if name.startswith("system/output")]
                return


async def step(site: Site, what: str, *how: Any) -> None:
    if what == "gas":
        site.gas(how[1], how[0])
    elif what == "order":
        with suppress(CommandRefusedError):
            site.order(how[0], "" if how[0] is Verb.SILENCE else GAS)
    elif what == "break":
        site.board.broken.add(how[0])
    elif what == "mend":
        site.board.broken.clear()
    elif what == "meddle":
        site.board.coils[how[0]] = not site.board.coils.get(how[0], False)
    else:
        await site.clock.go(how[0])


@given(STEPS)
def test_whatever_happens_the_relays_are_right_within_a_repetition(steps: list[tuple[Any, ...]]) -> None:
    site = Site(section(repeat_s=5), section("beacon", repeat_s=3, release="reset"))
    site.board.wanted = site.wanted
    asyncio.run(live(site, steps))
