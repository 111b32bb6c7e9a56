"""Figures of small journals, each computed by hand beside it, and laws that hold for any journal."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarms.advice import LINES_MAX, advice
from gateway.alarms.flood import FloodWatch
from gateway.alarms.statistics import AlarmFigures, Tally, _floods
from gateway.core.alarm import AlarmEvent, AlarmState, Case, EventKind
from gateway.core.clock import NS_PER_S

START_NS = 1_700_000_400 * NS_PER_S  # one of the clock's ten minutes begins here
DAY = 86_400
S = AlarmState


def at(seconds: float) -> int:
    return START_NS + round(seconds * NS_PER_S)


def event(kind: EventKind, seconds: float, alarm: str = "gas:a", **more: Any) -> AlarmEvent:
    about: dict[str, Any] = {"state": S.UNACKED, "level": "low", "condition": "low", "priority": 2, "occurrence": 1}
    about |= {"area": "tank", "annunciate": kind is EventKind.RAISED, "raised_ns": at(seconds)}
    return AlarmEvent(seq=0, time_ns=at(seconds), kind=kind, alarm=alarm, **{**about, **more})


def raised(seconds: float, alarm: str = "gas:a", **more: Any) -> AlarmEvent:
    return event(EventKind.RAISED, seconds, alarm, **more)


def gone(seconds: float, alarm: str = "gas:a", **more: Any) -> AlarmEvent:
    return event(EventKind.RETURNED, seconds, alarm, **{"state": S.RETURNED, "condition": "normal", **more})


def acked(seconds: float, alarm: str = "gas:a", **more: Any) -> AlarmEvent:
    return event(EventKind.ACKNOWLEDGED, seconds, alarm, **{"state": S.ACKED, "who": "wang", **more})


def figures(events: list[AlarmEvent], hours: float = 1, before: list[AlarmEvent] | None = None) -> AlarmFigures:
    tally = Tally(at(0), at(hours * 3600), before or [])
    for each in events:
        tally.take(each)
    return tally.figures()


def test_an_empty_span_has_no_figures_but_its_windows() -> None:
    f = figures([])
    assert (f.raised, f.peak_10_min, f.per_hour, f.in_flood_percent, f.acknowledge_median_s) == (0, 0, 0, 0, None)
    assert f.per_10_min == [(at(600 * k), 0) for k in range(6)]
    assert advice(f) == []


def test_what_counts_and_what_does_not() -> None:
    f = figures(
        [
            raised(1),
            raised(2, "system/disk", priority=3, level="fault"),
            raised(3, "gas:w", level="warning", annunciate=False),
            raised(4, "gas:t", test=True),
            event(EventKind.ESCALATED, 5, annunciate=True, priority=1, level="high"),
            raised(3600, "gas:later"),
        ]
    )
    assert f.raised == 2
    assert f.by_priority == {1: 0, 2: 1, 3: 1, 4: 0}
    assert f.by_level == {"fault": 1, "low": 1}
    assert f.per_hour == 2
    assert [(each.alarm, each.raised, each.share_percent) for each in f.top] == [
        ("gas:a", 1, 50.0),
        ("system/disk", 1, 50.0),
    ]


def test_windows_follow_the_clock_and_the_peak_does_not() -> None:
    f = figures([raised(590 + 5 * k, f"gas:{k}") for k in range(4)])  # 590, 595 | 600, 605
    assert [count for _, count in f.per_10_min] == [2, 2, 0, 0, 0, 0]
    assert f.peak_10_min == 4


def test_a_flood_begins_above_ten_and_ends_below_five() -> None:
    # Eleven, one each 10 s from 0 to 100: the eleventh begins it. Ten minutes later they leave one by one; when the
    # seventh (60 s) leaves, four are left.
    f = figures([raised(10 * k, f"gas:{k}") for k in range(11)])
    assert f.floods == [(at(100), at(660), 11)]
    assert f.in_flood_percent == round(100 * 560 / 3600, 2)


def test_ten_in_ten_minutes_are_no_flood() -> None:
    assert figures([raised(10 * k, f"gas:{k}") for k in range(10)]).floods == []


def test_a_flood_that_began_before_the_span_or_goes_on_after_it_is_cut() -> None:
    early = [raised(-300 + 10 * k, f"gas:{k}") for k in range(11)]
    f = figures(early, hours=1)
    assert (f.raised, f.floods) == (0, [(at(-200), at(360), 11)])
    assert f.in_flood_percent == 10.0
    late = figures([raised(3500 + k, f"gas:{k}") for k in range(11)])
    assert late.floods == [(at(3510), 0, 11)]
    assert late.in_flood_percent == round(100 * 90 / 3600, 2)


def test_chattering_is_three_in_a_minute() -> None:
    f = figures([raised(t) for t in (0, 30, 59)] + [raised(t, "gas:b") for t in (0, 30, 60)])
    assert f.chattering == [("gas:a", 3, 3)]


def test_fleeting_goes_within_ten_seconds_unacknowledged() -> None:
    events = [
        *(raised(0), gone(10)),  # fleeting
        *(raised(100, occurrence=2), gone(110.1)),  # took too long
        *(raised(200, occurrence=3), acked(203, occurrence=3), gone(205)),  # somebody was there
        *(raised(300, occurrence=4), gone(301, state=S.LATCHED_UNACKED)),  # held, and fleeting all the same
    ]
    assert figures(events).fleeting == [("gas:a", 2, 4)]


def test_stale_stands_for_more_than_a_day_at_the_end() -> None:
    before = [
        event(EventKind.RAISED, -DAY, "gas:old"),
        event(EventKind.RAISED, -DAY + 3600, "gas:just"),
        event(EventKind.SHELVED, -2 * DAY, "gas:aside", state=S.SHELVED),
        event(EventKind.RAISED, -2 * DAY, "gas:warn", level="warning"),
        event(EventKind.RAISED, -3 * DAY, "gas:over"),
    ]
    f = figures([event(EventKind.CLEARED, 5, "gas:over", state=S.NORMAL, condition="normal")], before=before)
    assert f.stale == [("gas:old", at(-DAY))]


def test_acknowledgement_is_timed_from_the_raising() -> None:
    waits = [5, 15, 25, 35, 45, 55, 65, 75, 85, 1000]
    events = [raised(10 * k, f"gas:{k}") for k in range(10)]
    events += [acked(10 * k + wait, f"gas:{k}") for k, wait in enumerate(waits)]
    events += [acked(2000, "gas:9"), raised(2100, "gas:waits")]
    f = figures(sorted(events, key=lambda e: e.time_ns))
    assert (f.acknowledge_median_s, f.acknowledge_p90_s, f.unacknowledged) == (50, 85, 1)


def test_time_put_aside_is_cut_to_the_span() -> None:
    before = [event(EventKind.SHELVED, -600, "gas:a", state=S.SHELVED)]
    events = [
        event(EventKind.UNSHELVED, 900, "gas:a"),
        event(EventKind.SHELVED, 1800, "gas:a", state=S.SHELVED),
        event(EventKind.SUPPRESSED, 3000, "gas:b", state=S.SUPPRESSED),
        event(EventKind.OUT_OF_SERVICE, 3000, "gas:c", state=S.OUT_OF_SERVICE),
        event(EventKind.RETURNED_TO_SERVICE, 3060, "gas:c"),
        event(EventKind.OUT_OF_SERVICE, 3540, "gas:c", state=S.OUT_OF_SERVICE),
    ]
    f = figures(events, before=before)
    assert f.shelved == [("gas:a", 900 + 1800, 2)]
    assert f.suppressed == [("gas:b", 600, 1)]
    assert f.out_of_service == [("gas:c", 120, 2)]


def case(number: int, opened: float, closed: float | None = None, **more: Any) -> AlarmEvent:
    whole = Case(id=f"gas:a#{number}", opened_ns=at(opened), closed_ns=at(closed) if closed is not None else 0, **more)
    return AlarmEvent(seq=0, time_ns=max(whole.opened_ns, whole.closed_ns), kind=EventKind.CASE, case=whole)


def test_cases_are_counted_once_by_how_they_ended() -> None:
    events = [
        case(1, -500, 10, outcome="real"),
        case(2, 20),
        case(2, 20, 30, outcome="false"),
        case(3, 40, overdue=("arrive",)),
        case(4, 50, 60),
    ]
    f = figures(events)
    assert (f.cases_opened, f.cases_closed, f.cases_overdue) == (3, 3, 1)
    assert f.outcomes == {"false": 1, "real": 1, "unattended": 1}


def test_advice_names_the_alarm_and_the_number_in_both_languages() -> None:
    events = [raised(10 * k, "gas:gd-07.ch4") for k in range(30)]
    events += [raised(1000 + 100 * k, f"gas:{k}") for k in range(20)]
    lines = {each.alarm: each.text for each in advice(figures(events))}
    assert lines["gas:gd-07.ch4"].en.startswith("gas:gd-07.ch4 raised 30 times (60 %), up to 6 in a minute: widen")
    assert lines["gas:gd-07.ch4"].zh.startswith("gas:gd-07.ch4 报警 30 次（60%），一分钟内最多 6 次")
    assert lines[""].en.startswith("100 % of the alarms had priority 1 or 2") or "an hour" in lines[""].en


def test_advice_has_an_end() -> None:
    events = [raised(60 * k + s, f"gas:{k}") for k in range(50) for s in (0, 1, 2)]
    assert len(advice(figures(events))) == LINES_MAX


@pytest.mark.parametrize(
    ("events", "before", "words"),
    [
        ([e for k in range(3) for e in (raised(100 * k), gone(100 * k + 5))], [], "went by itself within 10 s 3 of 3"),
        ([raised(100 * k) for k in range(12)], [], "raised 12 times, 100 % of all"),
        ([], [event(EventKind.RAISED, -2 * DAY)], "has stood for 2.04 days"),
        ([], [event(EventKind.SHELVED, -2 * DAY, state=S.SHELVED)], ""),
        ([raised(0), acked(1800)], [], "more than 30 min"),
        ([case(1, 5, overdue=("arrive",))], [], "1 of 1 responses missed"),
    ],
)
def test_each_ill_has_its_line(events: list[AlarmEvent], before: list[AlarmEvent], words: str) -> None:
    lines = [each.text.en for each in advice(figures(events, before=before))]
    assert any(words in line for line in lines) if words else not lines


moments = st.lists(st.tuples(st.integers(0, 3599), st.sampled_from("abc"), st.integers(1, 4)), max_size=80)


@given(moments, st.randoms())
def test_sums_agree_and_equal_times_have_no_order(lines: list[tuple[int, str, int]], random: Any) -> None:
    events = [raised(t, f"gas:{name}", priority=p) for t, name, p in sorted(lines, key=lambda line: line[0])]
    shuffled = [*events]
    random.shuffle(shuffled)
    shuffled.sort(key=lambda e: e.time_ns)
    f, again = figures(events), figures(shuffled)
    assert f == again
    assert f.raised == sum(f.by_priority.values()) == sum(f.by_level.values()) == len(lines)
    assert f.raised == sum(count for _, count in f.per_10_min) == sum(each.raised for each in f.top)
    assert f.peak_10_min >= max(count for _, count in f.per_10_min)
    assert 0 <= f.in_flood_percent <= 100


@given(st.lists(st.integers(0, 400), max_size=120), st.integers(2, 12), st.integers(1, 12))
def test_the_running_watch_finds_the_floods_of_the_figures(steps: list[int], begins: int, ends: int) -> None:
    ends = min(begins, ends)
    watch, seconds, told = FloodWatch(begins, ends), 0, []
    times = []
    for step in sorted(steps, reverse=True)[len(steps) // 2 :] + sorted(steps)[: len(steps) // 2]:
        seconds += step // 10
        times.append(at(seconds))
        told += [(times[-1], note.en) for note in watch.take([raised(seconds)])]
    told += [(0, note.en) for note in watch.advance(at(seconds + 700))]
    floods = _floods(times, begins, ends)
    starts = [time_ns for time_ns, words in told if "begins" in words]
    counts = [int(words.split(": ")[1].split()[0]) for _, words in told if "over" in words]
    assert starts == [flood.start_ns for flood in floods]
    assert counts == [flood.raised for flood in floods]
    assert not watch.active
    assert watch.now().count == 0


def test_the_watch_names_each_area_and_its_first_alarm_until_the_flood_is_over() -> None:
    watch = FloodWatch(begins=3, ends=2)
    watch.take([raised(0, "gas:a", area="tank"), raised(1, "gas:b", area="hall", priority=1, level="high")])
    assert watch.take([raised(2, "gas:c", area="tank")]) == []
    (note,) = watch.take([raised(3, "gas:d", area="tank", level="fault", priority=3)])
    assert note.en == "an alarm flood begins: 4 alarms in 10 minutes"
    flood = watch.now()
    assert (flood.active, flood.count, flood.since_ns) == (True, 4, at(3))
    assert [(a.area, a.count, a.priority, a.level, a.first) for a in flood.areas] == [
        ("hall", 1, 1, "high", "gas:b"),
        ("tank", 3, 2, "low", "gas:a"),
    ]
    watch.advance(at(600.5))  # gas:a has left the ten minutes, and is still what came first
    assert [(a.area, a.first) for a in watch.now().areas] == [("hall", "gas:b"), ("tank", "gas:a")]
    (over,) = watch.advance(at(602.5))
    assert over.en == "the alarm flood is over: 4 alarms in 10 min"
    assert [(a.area, a.first) for a in watch.now().areas] == [("tank", "gas:d")]


def test_a_watch_remembers_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.alarms.flood.KEPT_MAX", 20)
    watch = FloodWatch()
    watch.take([raised(0.001 * k, f"gas:{k}") for k in range(100)])
    assert (watch.active, watch.now().count) == (True, 20)


def test_late_readings_count_when_they_come() -> None:
    watch = FloodWatch()
    watch.advance(at(1000))
    watch.take([raised(0)])
    assert watch.now().count == 1


@pytest.mark.parametrize("back", [3600, 365 * DAY])
def test_a_flood_ends_on_time_though_the_clock_was_set_back(back: int) -> None:
    watch = FloodWatch(begins=3, ends=2)
    watch.take([raised(10 * k, f"gas:{k}") for k in range(6)])
    assert watch.advance(at(60 - back)) == []
    now = watch.now()
    assert (now.active, now.count, now.since_ns) == (True, 6, at(40 - back)), "twenty seconds ago, by either clock"
    assert watch.now().areas[0].first_ns == at(10 - back)
    assert watch.advance(at(500 - back)) == []
    assert len(watch.advance(at(670 - back))) == 1
    assert watch.now().count == 0
    assert watch.take([raised(700 - back)]) == []
    assert watch.now().count == 1


def test_readings_that_come_late_move_no_clock() -> None:
    watch = FloodWatch(begins=3, ends=2)
    watch.take([raised(100 + k, f"gas:{k}") for k in range(6)])
    watch.advance(at(60))
    assert watch.now().since_ns == at(103)
