"""The book of cases: what opens one, what joins it, who goes which step, what is overdue, and restarts."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarms import response, steps
from gateway.alarms.case import ACTIONS_MAX, Policy
from gateway.alarms.response import JOIN_S, OVERDUE_ALARM, TOLD_MAX, CaseBook, UnknownCaseError
from gateway.core.alarm import AlarmEvent, AlarmState, Case, EventKind
from gateway.core.clock import NS_PER_S
from gateway.core.errors import CommandRefusedError
from gateway.core.model import Priority

START_NS = 1_700_000_000 * NS_PER_S
LIMITS = {"acknowledge": 60.0, "dispatch": 120.0, "arrive": 180.0, "close": 3600.0}


def at(seconds: float) -> int:
    return START_NS + round(seconds * NS_PER_S)


def event(kind: EventKind, alarm: str = "gas:a", seconds: float = 0, **more: Any) -> AlarmEvent:
    """An event of an alarm as the alarm book makes it; active, unacknowledged and of priority 2 where not said."""
    about: dict[str, Any] = {"state": AlarmState.UNACKED, "level": "low", "condition": "low", "priority": 2}
    about |= {"occurrence": 1, "raised_ns": at(seconds), "area": "tank", "why": "CH4 at 17 %LEL"}
    return AlarmEvent(seq=0, time_ns=at(seconds), kind=kind, alarm=alarm, **{**about, **more})


def raised(alarm: str = "gas:a", seconds: float = 0, occurrence: int = 1, **more: Any) -> AlarmEvent:
    return event(EventKind.RAISED, alarm, seconds, occurrence=occurrence, **more)


def ended(alarm: str = "gas:a", seconds: float = 0, occurrence: int = 1, who: str = "") -> AlarmEvent:
    return event(
        EventKind.CLEARED, alarm, seconds, state=AlarmState.NORMAL, condition="normal", occurrence=occurrence, who=who
    )


def book(**limits: float) -> CaseBook:
    return CaseBook(Policy(limits_s=limits))


def cases_of(events: list[AlarmEvent]) -> list[Case]:
    assert all(e.kind is EventKind.CASE and e.seq == 0 and not e.alarm for e in events)
    return [e.case for e in events if e.case is not None]


def test_an_urgent_alarm_opens_a_case_with_its_words_and_place() -> None:
    (case,) = cases_of(book().follow([raised(seconds=5)]))
    assert (case.id, case.alarm, case.area, case.title) == ("gas:a#1", "gas:a", "tank", "CH4 at 17 %LEL")
    assert (case.priority, case.opened_ns, case.over, case.received_by) == (2, at(5), False, "")


@pytest.mark.parametrize(
    "event_",
    [
        raised(priority=3),
        raised(test=True),
        raised(level="warning", condition="warning"),
        raised(OVERDUE_ALARM),
        raised(state=AlarmState.SUPPRESSED),
        event(EventKind.ACKNOWLEDGED, state=AlarmState.ACKED),
        event(EventKind.NOTE, alarm=""),
    ],
    ids=["not urgent", "a test", "a warning", "about responses", "suppressed", "acknowledged only", "a note"],
)
def test_what_asks_for_no_response_opens_none(event_: AlarmEvent) -> None:
    assert book().follow([event_]) == []


def test_a_site_that_only_acknowledges_opens_no_cases_but_takes_problems() -> None:
    plain = CaseBook(Policy(enabled=False, limits_s=LIMITS))
    assert plain.follow([raised()]) == []
    (case,) = cases_of(plain.report(Case(id="problem#1", title="hose", opened_by="li"), at(0)))
    assert (case.over, case.due_ns, case.priority) == (True, {}, Priority.YELLOW)


def test_what_rises_above_the_bar_later_opens_a_case_then() -> None:
    told = book()
    assert told.follow([raised(priority=3)]) == []
    (case,) = cases_of(told.follow([event(EventKind.ESCALATED, seconds=9, priority=1, raised_ns=at(0))]))
    assert (case.priority, case.opened_ns) == (1, at(0))


def test_a_rise_is_the_priority_of_the_open_case_and_a_fall_is_not() -> None:
    told = book()
    told.follow([raised()])
    (case,) = cases_of(told.follow([event(EventKind.ESCALATED, priority=1)]))
    assert case.priority == 1
    assert told.follow([event(EventKind.DE_ESCALATED, priority=2)]) == []


def test_whoever_acknowledges_first_has_received_it() -> None:
    told = book()
    told.follow([raised()])
    acked = event(EventKind.ACKNOWLEDGED, seconds=7, state=AlarmState.ACKED, who="wang")
    (case,) = cases_of(told.follow([acked]))
    assert (case.received_by, case.received_ns) == ("wang", at(7))
    assert told.follow([msgspec.structs.replace(acked, who="li")]) == []


def test_forty_times_chattering_is_one_case_with_one_line_about_it() -> None:
    told = book()
    for number in range(1, 41):
        told.follow([raised(seconds=20 * number, occurrence=number), ended(seconds=20 * number + 5, occurrence=number)])
    (case,) = told.cases()
    assert (case.id, case.occurrence, case.over) == ("gas:a#1", 40, True)
    assert [action.text for action in case.actions] == ["raised again ×39 / 再次报警"]


def test_what_comes_again_long_after_its_end_is_another_case() -> None:
    told = book()
    told.follow([raised(), ended(seconds=10)])
    told.order("gas:a#1", steps.arrive(), "li", at(20))
    told.follow([raised(seconds=11 + JOIN_S, occurrence=2)])
    assert [(case.id, case.arrived_ns > 0) for case in told.cases()] == [("gas:a#1", True), ("gas:a#2", False)]
    assert told.open_case_of("gas:a") == "gas:a#2"


def test_a_full_case_still_follows_its_alarm() -> None:
    told = book()
    told.follow([raised()])
    for number in range(ACTIONS_MAX):
        told.order("gas:a#1", steps.act(f"step {number}"), "li", at(number))
    with pytest.raises(CommandRefusedError, match="100 actions"):
        told.order("gas:a#1", steps.act("one more"), "li", at(200))
    (case,) = cases_of(told.follow([raised(seconds=201, occurrence=2)]))
    assert (case.occurrence, len(case.actions)) == (2, ACTIONS_MAX)


def test_steps_name_who_and_when_and_doing_them_twice_changes_nothing() -> None:
    told = book()
    told.follow([raised()])
    (case,) = cases_of(told.order("gas:a#1", steps.dispatch("li", "138"), "wang", at(30)))
    assert (case.received_by, case.assignee, case.phone, case.dispatched_by) == ("wang", "li", "138", "wang")
    assert told.order("gas:a#1", steps.dispatch("li", "138"), "wang", at(31)) == []
    (case,) = cases_of(told.order("gas:a#1", steps.dispatch("zhao", note="bring a mask"), "wang", at(32)))
    assert [action.text for action in case.actions] == ["instead of li 138 / 原派：li 138", "bring a mask"]
    (case,) = cases_of(told.order("gas:a#1", steps.arrive(), "zhao", at(90)))
    assert case.arrived_ns == at(90)
    assert told.order("gas:a#1", steps.arrive(), "zhao", at(91)) == []


def test_who_was_never_sent_has_sent_himself() -> None:
    told = book()
    told.follow([raised()])
    (case,) = cases_of(told.order("gas:a#1", steps.arrive(), "li", at(9)))
    assert (case.assignee, case.dispatched_by, case.dispatched_ns, case.received_by) == ("li", "li", at(9), "li")


@pytest.mark.parametrize(
    ("outcome", "note", "problem"),
    [("real", "done", "cannot be closed as real"), ("false", "", "needs a note"), ("odd", "x", "is no outcome")],
)
def test_while_the_alarm_stands_a_case_is_not_closed_lightly(outcome: str, note: str, problem: str) -> None:
    told = book()
    told.follow([raised()])
    with pytest.raises(CommandRefusedError, match=problem):
        told.order("gas:a#1", steps.close(outcome, note), "wang", at(1))
    assert told.open_count == 1


def test_what_is_put_aside_may_be_closed_as_real() -> None:
    told = book()
    told.follow([raised(), event(EventKind.OUT_OF_SERVICE, state=AlarmState.OUT_OF_SERVICE, who="wang")])
    (case,) = cases_of(told.order("gas:a#1", steps.close("real", "head destroyed"), "wang", at(9)))
    assert case.outcome == "real"


def test_a_case_closed_while_its_alarm_stands_opens_again_when_that_rises() -> None:
    told = book()
    told.follow([raised()])
    told.order("gas:a#1", steps.close("false", "steam"), "wang", at(9))
    assert told.open_case_of("gas:a") == ""
    (case,) = cases_of(told.follow([event(EventKind.ESCALATED, seconds=10, priority=1)]))
    assert (case.id, case.closed_ns, case.outcome) == ("gas:a#1", 0, "")
    assert "was closed by wang as false: steam" in case.actions[-1].text


def test_a_closed_case_is_archived_with_the_end_of_its_alarm() -> None:
    told = book()
    told.follow([raised()])
    told.order("gas:a#1", steps.close("false", "steam"), "wang", at(9))
    (case,) = cases_of(told.follow([ended(seconds=20)]))
    assert case.over
    assert told.case("gas:a#1") is None
    with pytest.raises(UnknownCaseError):
        told.order("gas:a#1", steps.act("late"), "li", at(30))


def test_raised_anew_after_closing_is_another_case() -> None:
    told = book()
    told.follow([raised()])
    told.order("gas:a#1", steps.close("false", "steam"), "wang", at(9))
    before, after = cases_of(told.follow([raised(seconds=10, occurrence=2)]))
    assert (before.id, before.over, after.id, after.closed_ns) == ("gas:a#1", True, "gas:a#2", 0)


def test_what_is_not_done_in_time_is_said_once_and_stays_written() -> None:
    told = book(**LIMITS)
    told.follow([raised()])
    assert told.advance(at(60)) == []
    (case,) = cases_of(told.advance(at(60.1)))
    assert (case.overdue, told.late()) == (("acknowledge",), 1)
    assert told.advance(at(61)) == []
    (case,) = cases_of(told.follow([event(EventKind.ACKNOWLEDGED, seconds=70, state=AlarmState.ACKED, who="wang")]))
    assert (case.overdue, told.late(), told.overdue()) == (("acknowledge",), 0, None)


def test_what_is_done_in_time_is_never_overdue() -> None:
    told = book(**LIMITS)
    told.follow([raised()])
    told.order("gas:a#1", steps.dispatch("li"), "wang", at(50))
    told.order("gas:a#1", steps.arrive(), "li", at(179))
    told.follow([ended(seconds=200)])
    (case,) = cases_of(told.order("gas:a#1", steps.close("real"), "wang", at(300)))
    assert case.overdue == ()
    assert told.advance(at(99_999)) == []


def test_the_words_count_and_name_the_most_urgent() -> None:
    told = book(arrive=180)
    told.follow([raised("gas:a"), raised("gas:b", priority=1), raised("gas:c", seconds=200)])
    told.advance(at(181))
    found = told.overdue()
    assert found is not None
    assert found[0].en == "2 responses are overdue; first gas:b (tank), overdue: arrive"
    assert found[0].zh == "2 项处置超时；首先 gas:b，超时：到场"
    assert found[1] is Priority.RED


def test_a_flood_of_missed_limits_is_told_bit_by_bit_but_known_at_once() -> None:
    told = book(acknowledge=60)
    told.follow([raised(f"gas:{n}") for n in range(3 * TOLD_MAX)])
    parts = [len(told.advance(at(61 + n))) for n in range(4)]
    assert parts == [TOLD_MAX, TOLD_MAX, TOLD_MAX, 0]
    assert told.late() == 3 * TOLD_MAX


def test_other_limits_hold_for_what_is_open_already() -> None:
    told = book(acknowledge=60)
    told.follow([raised()])
    told.change(Policy(limits_s={"acknowledge": 10.0}))
    assert told.cases()[0].due_ns == {"acknowledge": at(10)}
    assert len(told.advance(at(11))) == 1
    told.change(Policy())
    assert (told.late(), told.overdue()) == (0, None)


def test_a_problem_has_only_the_limit_of_closing() -> None:
    told = book(**LIMITS)
    (case,) = cases_of(told.report(Case(id="problem#9", title="hose", opened_by="li", area="tank"), at(0)))
    assert case.due_ns == {"close": at(3600)}
    told.order("problem#9", steps.close("real"), "wang", at(10))
    assert told.open_count == 0


def test_at_the_limit_the_least_urgent_that_nobody_touches_makes_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "OPEN_MAX", 3)
    told = book()
    told.follow([raised("gas:a", priority=1), raised("gas:b"), raised("gas:c")])
    told.order("gas:b#1", steps.act("looking"), "li", at(1))
    closed, opened = cases_of(told.follow([raised("gas:d", seconds=2)]))
    assert (closed.id, closed.closed_by, closed.outcome) == ("gas:c#1", "gateway", "")
    assert "unattended" in closed.note
    assert (opened.id, told.open_count, told.unattended) == ("gas:d#1", 3, 1)


def test_opening_again_needs_a_closed_case_and_a_reason() -> None:
    told = book()
    told.follow([raised(), ended(seconds=1)])
    with pytest.raises(CommandRefusedError, match="is open"):
        told.reopen(told.cases()[0], "wang", at(2), "why not")
    (case,) = cases_of(told.order("gas:a#1", steps.close("test"), "wang", at(3)))
    with pytest.raises(CommandRefusedError, match="needs a reason"):
        told.reopen(case, "wang", at(4), " ")
    (case,) = cases_of(told.reopen(case, "wang", at(4), "it smells"))
    assert (case.closed_ns, told.open_case_of("gas:a")) == (0, "gas:a#1")


def test_alarms_without_their_case_get_one_at_the_start_and_cases_without_their_alarm_are_over() -> None:
    told = book()
    told.follow([raised("gas:gone")])
    standing = event(EventKind.ACKNOWLEDGED, "gas:b", 5, state=AlarmState.ACKED, acked_by="wang", acked_ns=at(5))
    over, opened = cases_of(told.reconcile([standing], at(9)))
    assert (over.id, over.over) == ("gas:gone#1", True)
    assert (opened.id, opened.received_by, opened.received_ns) == ("gas:b#1", "wang", at(5))
    assert told.reconcile([standing], at(10)) == []


ALARMS = ("gas:a", "gas:b")
ACTS = st.sampled_from(["raise", "escalate", "end", "ack", "out", "dispatch", "arrive", "act", "false", "real"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ACTS, st.sampled_from(ALARMS), st.integers(1, 900)), max_size=40))
def test_a_restart_at_any_moment_changes_nothing(acts: list[tuple[str, str, int]]) -> None:
    """The last event of each case restores the book: both go on alike, whatever comes."""
    told = book(**LIMITS)
    journal: dict[str, AlarmEvent] = {}
    occurrence, now, seq = dict.fromkeys(ALARMS, 0), 0, 0
    for act, alarm, pause in acts:
        now += pause
        kept = [e for e in journal.values() if e.case is not None and not (e.case.closed_ns and e.case.over)]
        again = book(**LIMITS)
        again.restore(kept)
        again._aside = set(told._aside)
        passed = told.advance(at(now))
        again.advance(at(now))
        assert msgspec.json.encode(told.cases()) == msgspec.json.encode(again.cases())
        assert (told.late(), told.open_count) == (again.late(), again.open_count)
        occurrence[alarm] += act == "raise"
        made = [carry_out(each, act, alarm, now, occurrence[alarm]) for each in (told, again)]
        assert [e.case for e in made[0]] == [e.case for e in made[1]]
        for done in [*passed, *made[0]]:
            assert done.case is not None
            seq += 1
            journal[done.case.id] = msgspec.structs.replace(done, seq=seq)
        check_invariants(told)


def carry_out(told: CaseBook, act: str, alarm: str, now: int, occurrence: int) -> list[AlarmEvent]:
    followed = {
        "raise": raised(alarm, now, occurrence),
        "escalate": event(EventKind.ESCALATED, alarm, now, priority=1, occurrence=occurrence),
        "end": ended(alarm, now, occurrence),
        "ack": event(EventKind.ACKNOWLEDGED, alarm, now, state=AlarmState.ACKED, who="wang", occurrence=occurrence),
        "out": event(
            EventKind.OUT_OF_SERVICE, alarm, now, state=AlarmState.OUT_OF_SERVICE, who="wang", occurrence=occurrence
        ),
    }
    if act in followed:
        # What has never been raised neither rises nor ends.
        return told.follow([followed[act]]) if occurrence else []
    ordered = {
        "dispatch": steps.dispatch("li"),
        "arrive": steps.arrive(),
        "act": steps.act("looked"),
        "false": steps.close("false", "steam"),
        "real": steps.close("real"),
    }
    try:
        return told.order(told.open_case_of(alarm), ordered[act], "wang", at(now))
    except CommandRefusedError:
        return []


def check_invariants(told: CaseBook) -> None:
    open_ = told.cases()
    assert len({case.id for case in open_}) == len(open_) == told.open_count
    assert all(not case.closed_ns for case in open_)
    assert told.late() <= told.open_count
