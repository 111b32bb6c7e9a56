"""Who is told of what and when: windows over midnight and changes of the clocks, escalation, repeats."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarms.routing import WEEKDAYS, Route, Window, gaps, next_due, routes_to
from gateway.core.alarm import AlarmEvent, AlarmState, EventKind
from gateway.core.clock import NS_PER_S
from gateway.site.operation import RouteSection

SHANGHAI, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")
MINUTE = 60 * NS_PER_S
ALL_DAYS = frozenset(range(7))


def at(text: str, zone: ZoneInfo = SHANGHAI) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * NS_PER_S


def route(**fields: object) -> Route:
    return Route.of(RouteSection.model_validate({"to": ["duty"], **fields}))


def event(alarm: str = "gas:gd-01.ch4", area: str = "boiler", priority: int = 1) -> AlarmEvent:
    return AlarmEvent(
        seq=1, time_ns=0, kind=EventKind.RAISED, alarm=alarm, state=AlarmState.UNACKED, area=area, priority=priority
    )


@pytest.mark.parametrize(
    ("fields", "taken"),
    [
        ({}, True),
        ({"areas": ["boiler"]}, True),
        ({"areas": ["tank"]}, False),
        ({"priorities": [1]}, True),
        ({"priorities": [2, 3]}, False),
        ({"alarms": ["gas:*"]}, True),
        ({"alarms": ["gas:gd-0?.ch4"]}, True),
        ({"alarms": ["gas"]}, False),
        ({"alarms": ["heat:*", "system/*"]}, False),
        ({"areas": ["boiler"], "priorities": [2]}, False),
    ],
)
def test_a_route_takes_what_its_areas_priorities_and_patterns_all_name(fields: dict[str, object], taken: bool) -> None:
    assert route(**fields).takes("gas:gd-01.ch4", "boiler", 1) is taken


def test_a_route_of_an_area_takes_no_system_alarm_that_has_none() -> None:
    assert not route(areas=["boiler"]).takes("system/disk/journal", "", 3)
    assert route(alarms=["system/*"]).takes("system/disk/journal", "", 3)


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    friday_night = route(days=["fri"], **{"from": "22:00", "until": "06:00"}).window
    assert friday_night.open_at(at("2026-11-20T22:00"), SHANGHAI)  # a Friday
    assert friday_night.open_at(at("2026-11-21T05:59"), SHANGHAI)
    assert not friday_night.open_at(at("2026-11-21T06:00"), SHANGHAI)
    assert not friday_night.open_at(at("2026-11-20T05:00"), SHANGHAI)
    assert not friday_night.open_at(at("2026-11-21T22:00"), SHANGHAI)


def test_an_alarm_that_still_waits_when_a_shift_begins_is_told_to_it() -> None:
    night = route(**{"from": "18:00", "until": "08:00"})
    raised = at("2026-11-20T17:59")
    assert night.due_ns(raised, 0, SHANGHAI) == at("2026-11-20T18:00")
    assert night.due_ns(at("2026-11-20T19:00"), 0, SHANGHAI) == at("2026-11-20T19:00")


def test_an_escalation_counts_from_the_alarm_and_is_told_once() -> None:
    boss = route(after_s=300)
    raised = at("2026-11-20T10:00")
    due = boss.due_ns(raised, 0, SHANGHAI)
    assert due == raised + 5 * MINUTE
    assert boss.due_ns(raised, raised, SHANGHAI) == due, "that somebody else was told at once changes nothing"
    assert boss.due_ns(raised, due, SHANGHAI) is None


def test_repeats_go_on_at_their_own_pace_until_somebody_acknowledges() -> None:
    again = route(repeat_s=600)
    raised = at("2026-11-20T10:00")
    told, times = 0, []
    for _ in range(4):
        due = again.due_ns(raised, told, SHANGHAI)
        assert due is not None
        times.append((due - raised) // MINUTE)
        told = due + NS_PER_S
    assert times == [0, 10, 20, 30]


def test_repeats_do_not_pile_up_while_nobody_could_be_told() -> None:
    again = route(repeat_s=600)
    raised = at("2026-11-20T10:00")
    assert again.due_ns(raised, raised + 65 * MINUTE, SHANGHAI) == raised + 70 * MINUTE


def test_the_earliest_route_decides() -> None:
    routes = routes_to(
        "duty",
        [
            RouteSection(to=("duty",), after_s=600),
            RouteSection(to=("boss", "duty"), after_s=60),
            RouteSection(to=("boss",)),
        ],
    )
    assert len(routes) == 2
    assert next_due(routes, event(), 0, 0, SHANGHAI) == MINUTE
    assert next_due(routes, event(), 0, MINUTE, SHANGHAI) == 10 * MINUTE
    assert next_due(routes, event(), 0, 10 * MINUTE, SHANGHAI) is None
    assert next_due((), event(), 0, 0, SHANGHAI) is None


def test_a_window_in_the_hour_that_summer_time_leaves_out_opens_right_after_it() -> None:
    window = route(**{"from": "02:30", "until": "04:00"}).window
    before = at("2026-03-08T01:00", NEW_YORK)  # the clocks go from 02:00 to 03:00
    assert window.opens(before, NEW_YORK) == round(datetime(2026, 3, 8, 7, 0, tzinfo=UTC).timestamp()) * NS_PER_S


def test_a_window_in_the_hour_that_comes_twice_is_open_both_times() -> None:
    window = route(**{"from": "01:15", "until": "01:45"}).window
    for hour in (5, 6):  # 01:30 EDT and 01:30 EST
        assert window.open_at(round(datetime(2026, 11, 1, hour, 30, tzinfo=UTC).timestamp()) * NS_PER_S, NEW_YORK)
    between = round(datetime(2026, 11, 1, 6, 5, tzinfo=UTC).timestamp()) * NS_PER_S
    assert not window.open_at(between, NEW_YORK)
    assert window.opens(between, NEW_YORK) == between + 10 * MINUTE


def test_hours_in_which_nobody_is_told_are_found() -> None:
    monday = datetime(2026, 11, 16, tzinfo=SHANGHAI)
    day = route(days=["mon", "tue", "wed", "thu", "fri"], **{"from": "08:00", "until": "18:00"})
    night = route(**{"from": "18:00", "until": "08:00"}, after_s=300)
    alone = gaps([day], SHANGHAI, monday)
    assert 3 in alone
    assert 9 not in alone
    both = gaps([day, night], SHANGHAI, monday)
    assert both == [24 * d + h for d in (5, 6) for h in range(8, 18)], "the days of the weekend"
    assert gaps([route()], SHANGHAI, monday) == []


windows = st.builds(
    Window,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.integers(0, 24 * 60 - 1),
    st.integers(0, 24 * 60 - 1),
)
times = st.integers(at("2026-01-01T00:00") // MINUTE, at("2027-12-31T00:00") // MINUTE).map(lambda m: m * MINUTE)
zones = st.sampled_from([SHANGHAI, NEW_YORK, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("UTC")])


@given(windows, times, zones)
def test_a_window_opens_at_the_first_open_moment(window: Window, time_ns: int, zone: ZoneInfo) -> None:
    opens = window.opens(time_ns, zone)
    assert opens >= time_ns
    assert window.open_at(opens, zone)
    earliest = max(time_ns, opens - 3 * 60 * MINUTE)
    assert not any(window.open_at(moment, zone) for moment in range(earliest, opens, MINUTE))


@given(windows, times, zones)
def test_what_a_window_says_follows_the_clock_on_the_wall(window: Window, time_ns: int, zone: ZoneInfo) -> None:
    local = datetime.fromtimestamp(time_ns // NS_PER_S, zone)
    began = [
        local.replace(tzinfo=None).replace(hour=0, minute=0) - timedelta(days=back) + timedelta(minutes=window.begins)
        for back in (0, 1)
    ]
    length = timedelta(minutes=(window.ends - window.begins) % 1440 or 1440)
    wall = local.replace(tzinfo=None)
    expected = any(b.weekday() in window.days and b <= wall < b + length for b in began)
    assert window.open_at(time_ns, zone) is expected


@given(times, st.integers(0, 86_400), st.none() | st.integers(60, 86_400), st.integers(0, 10**6), zones)
def test_nobody_is_told_twice_at_once(
    since: int, after_s: int, repeat_s: int | None, later_s: int, zone: ZoneInfo
) -> None:
    one = route(after_s=after_s, repeat_s=repeat_s)
    first = one.due_ns(since, 0, zone)
    assert first == since + after_s * NS_PER_S
    told = first + later_s * NS_PER_S
    again = one.due_ns(since, told, zone)
    assert (again is None) == (repeat_s is None)
    assert again is None or told < again <= told + (repeat_s or 0) * NS_PER_S


def test_every_day_has_its_name() -> None:
    assert [WEEKDAYS[datetime(2026, 11, 16 + day, tzinfo=UTC).weekday()] for day in range(7)] == list(WEEKDAYS)
