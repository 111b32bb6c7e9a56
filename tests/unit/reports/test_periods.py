"""Shifts, days and months by the clocks on the site's walls, also on the days on which they are set."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.clock import NS_PER_S, parse_rfc3339
from gateway.core.errors import HazgateError
from gateway.reports.periods import Period, day, days_of, month, rolling, shifts_around
from gateway.reports.place import Named, Place, ShiftRule

HOUR = 3600
THREE = tuple(ShiftRule(Named(name), begins) for name, begins in (("a", "06:00"), ("b", "14:00"), ("c", "22:00")))


def running(text: str, zone: str, shifts: tuple[ShiftRule, ...] = THREE) -> Period:
    return shifts_around(shifts, ZoneInfo(zone), parse_rfc3339(text))[1]


@pytest.mark.parametrize(
    ("now", "name", "start", "end"),
    [
        ("2026-11-22T05:59:59+08:00", "c", "2026-11-21T22:00:00+08:00", "2026-11-22T06:00:00+08:00"),
        ("2026-11-22T06:00:00+08:00", "a", "2026-11-22T06:00:00+08:00", "2026-11-22T14:00:00+08:00"),
        ("2026-11-22T23:00:00+08:00", "c", "2026-11-22T22:00:00+08:00", "2026-11-23T06:00:00+08:00"),
    ],
)
def test_a_shift_runs_from_its_bell_to_the_next(now: str, name: str, start: str, end: str) -> None:
    found = running(now, "Asia/Shanghai")
    assert (found.name.en, found.start_ns, found.end_ns) == (name, parse_rfc3339(start), parse_rfc3339(end))


def test_a_night_in_which_clocks_are_set_is_as_long_as_it_is() -> None:
    assert running("2026-03-29T05:00:00+02:00", "Europe/Berlin").seconds == 7 * HOUR
    assert running("2026-10-25T05:00:00+01:00", "Europe/Berlin").seconds == 9 * HOUR
    assert day(Place(timezone="Europe/Berlin"), "2026-03-29", 0).seconds == 23 * HOUR
    assert day(Place(timezone="Europe/Berlin"), "2026-10-25", 0).seconds == 25 * HOUR


def test_a_shift_whose_bell_the_clocks_leave_out_begins_when_they_are_set() -> None:
    shifts = (ShiftRule(Named("a"), "02:30"), ShiftRule(Named("b"), "14:00"))
    found = running("2026-03-29T12:00:00+02:00", "Europe/Berlin", shifts)
    assert found.start_ns == parse_rfc3339("2026-03-29T01:00:00Z")


def test_a_single_shift_lasts_a_day() -> None:
    found = running("2026-11-22T03:00:00Z", "UTC", THREE[:1])
    assert (found.start_ns, found.seconds) == (parse_rfc3339("2026-11-21T06:00:00Z"), 24 * HOUR)


@given(st.integers(0, 4_000_000_000), st.sampled_from(["UTC", "Asia/Shanghai", "Europe/Berlin", "America/St_Johns"]))
def test_every_moment_lies_in_its_shift_and_shifts_follow_one_another(now_s: int, zone: str) -> None:
    now_ns = now_s * NS_PER_S
    before, now = shifts_around(THREE, ZoneInfo(zone), now_ns)
    assert now.start_ns <= now_ns < now.end_ns
    assert before.end_ns == now.start_ns
    assert 6 * HOUR <= now.seconds <= 10 * HOUR


def test_days_and_months_are_the_last_whole_ones_where_nobody_says() -> None:
    place, now_ns = Place(timezone="Asia/Shanghai"), parse_rfc3339("2026-03-01T00:30:00+08:00")
    assert day(place, "", now_ns) == Period(
        start_ns=parse_rfc3339("2026-02-28T00:00:00+08:00"), end_ns=parse_rfc3339("2026-03-01T00:00:00+08:00")
    )
    february = month(place, "", now_ns)
    assert february == month(place, "2026-02", now_ns)
    assert [date for date, _, _ in days_of(place, february)] == [f"2026-02-{n:02d}" for n in range(1, 29)]
    assert month(place, "2026-12", now_ns).end_ns == parse_rfc3339("2027-01-01T00:00:00+08:00")
    assert rolling(now_ns).seconds == 8 * HOUR


@pytest.mark.parametrize("text", ["today", "2026-02-30", "2026", "2026-02-01T00:00", "0001-01-01", "9999-12-31"])
def test_a_day_that_is_none_is_named(text: str) -> None:
    with pytest.raises(HazgateError, match="is no day"):
        day(Place(), text, 0)
    with pytest.raises(HazgateError, match="is no month"):
        month(Place(), text, 0)
