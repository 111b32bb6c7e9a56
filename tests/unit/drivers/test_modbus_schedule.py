"""Whose turn it is, and what a line can carry."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus import load
from drivers.modbus.frames import Request
from drivers.modbus.options import ChannelOptions, InstrumentOptions, Options
from drivers.modbus.polls import Job, Unit
from drivers.modbus.schedule import REST, SWITCHING, URGENT, Waiting
from gateway.core.model import Channel
from gateway.core.plugin import ChannelPlan, InstrumentPlan


def job(unit: Unit, rank: int, deadline_s: float, patience_s: float = math.inf) -> Job:
    return Job(unit, Request(unit.address, 3, 0, 1), rank, deadline_s, patience_s)


def order(waiting: Waiting, now_s: float = 0.0) -> list[Job]:
    found = []
    while (taken := waiting.take(now_s)) is not None:
        found.append(taken)
    return found


def test_outputs_come_first_then_what_alarms_depend_on_then_the_rest_each_by_deadline() -> None:
    units = [Unit(address, f"u{address}") for address in range(5)]
    jobs = [
        job(units[0], REST, 1.0),
        job(units[1], URGENT, 9.0),
        job(units[2], URGENT, 2.0),
        job(units[3], SWITCHING, 50.0),
        job(units[4], REST, 0.5),
    ]
    waiting = Waiting()
    for each in jobs:
        waiting.add(each)
    assert order(waiting) == [jobs[3], jobs[2], jobs[1], jobs[4], jobs[0]]
    assert not len(waiting)


def test_a_unit_has_no_more_requests_on_the_way_than_it_allows_and_one_while_it_does_not_answer() -> None:
    unit = Unit(1, "u1", in_flight=2)
    waiting = Waiting()
    for k in range(3):
        waiting.add(job(unit, URGENT, float(k)))
    for _ in range(2):
        assert waiting.take(0.0) is not None
        unit.flying += 1
    assert waiting.take(0.0) is None
    unit.flying = 1
    unit.failures = 1
    assert waiting.take(0.0) is None


def test_a_unit_that_needs_its_pause_is_passed_over_until_then() -> None:
    one, other = Unit(1, "u1"), Unit(2, "u2")
    one.free_s = 5.0
    first, second = job(one, URGENT, 0.0), job(other, URGENT, 1.0)
    waiting = Waiting()
    waiting.add(first)
    waiting.add(second)
    assert waiting.take(1.0) is second
    assert waiting.take(1.0) is None
    assert waiting.free_s(1.0) == 5.0
    assert waiting.take(5.0) is first


def test_what_has_waited_beyond_its_patience_gets_every_second_turn_and_no_more() -> None:
    urgent, rest = Unit(1, "u1", in_flight=99), Unit(2, "u2", in_flight=99)
    waiting = Waiting()
    for k in range(4):
        waiting.add(job(urgent, URGENT, float(k)))
        waiting.add(job(rest, REST, float(k), patience_s=10.0))
    assert [taken.rank for taken in order(waiting, 9.0)] == [URGENT] * 4 + [REST] * 4
    for k in range(4):
        waiting.add(job(urgent, URGENT, float(k)))
        waiting.add(job(rest, REST, float(k), patience_s=10.0))
    assert [taken.rank for taken in order(waiting, 10.0)] == [REST, URGENT] * 4


def test_parts_of_a_refused_block_go_before_its_other_blocks() -> None:
    unit = Unit(1, "u1")
    later, part, second_part = (job(unit, URGENT, 1.0) for _ in range(3))
    waiting = Waiting()
    waiting.add(later)
    for each in (second_part, part):
        waiting.add(each, front=True)
    assert order(waiting) == [part, second_part, later]


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([SWITCHING, URGENT, REST]), st.floats(0, 9), st.floats(0, 9)),
        max_size=40,
    ),
    st.data(),
)
def test_nothing_that_waits_is_lost_or_sent_twice(given_jobs: list[Any], data: Any) -> None:
    units = [Unit(address, f"u{address}", in_flight=99) for address in range(6)]
    jobs = [job(units[u], rank, deadline_s, patience_s) for u, rank, deadline_s, patience_s in given_jobs]
    waiting = Waiting()
    for each in jobs:
        waiting.add(each, front=data.draw(st.booleans()))
    removed = [each for each in jobs if data.draw(st.booleans()) and waiting.remove(each)]
    assert len(waiting) == len(jobs) - len(removed)
    taken = order(waiting, data.draw(st.floats(0, 9)))
    assert sorted(map(id, [*taken, *removed])) == sorted(map(id, jobs))
    switching = [each for each in taken if each.rank == SWITCHING]
    assert taken[: len(switching)] == switching


# --- what a line can carry ---------------------------------------------------------------------------------------


def plan(unit: int, registers: int, period_s: float, **options: Any) -> InstrumentPlan:
    channels = tuple(
        ChannelPlan(
            Channel(100 * unit + a, f"u{unit}.r{a}", f"u{unit}", "t", period_s=period_s), ChannelOptions(address=a)
        )
        for a in range(registers)
    )
    return InstrumentPlan(f"u{unit}", period_s, InstrumentOptions(unit=unit, **options), channels)


def line(**options: Any) -> Options:
    return Options.model_validate({"endpoint": "rtu:///dev/ttyUSB0", "parity": "E", **options})


@pytest.mark.parametrize(
    ("baud", "units", "registers", "seconds"),
    # The table of cycle times: characters of 11 bits, (13 + 2 n) of them and two silences.
    [(9600, 1, 10, 0.0458), (9600, 32, 10, 1.47), (19200, 32, 10, 0.73), (38400, 1, 1, 0.0078), (115200, 32, 10, 0.21)],
)
def test_the_load_of_a_line_is_what_its_requests_take(baud: int, units: int, registers: int, seconds: float) -> None:
    found = load(line(baud=baud), [plan(unit, registers, 2.0) for unit in range(1, units + 1)])
    assert found == pytest.approx(seconds / 2.0, rel=0.02)


def test_a_pause_that_an_instrument_needs_counts_and_tcp_has_no_load() -> None:
    assert load(line(), [plan(1, 10, 1.0, turnaround_s=0.1)]) == pytest.approx(0.1458, rel=0.02)
    assert load(Options(endpoint="tcp://10.0.0.1"), [plan(1, 10, 1.0)]) is None
