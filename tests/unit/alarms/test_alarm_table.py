"""The table itself: complete, and true to the rules of the trade."""

import itertools
from pathlib import Path

import pytest

from gateway.alarms.page import page
from gateway.alarms.state import (
    ACKNOWLEDGED,
    ASIDE,
    TABLE,
    UNACKNOWLEDGED,
    Ignored,
    Refused,
    Row,
    Step,
    Trigger,
    outcome,
)
from gateway.core.alarm import AlarmState, EventKind

EVERY = list(itertools.product(AlarmState, Trigger, (False, True), (False, True), (False, True)))
BY_RULE = {Trigger.RAISE, Trigger.ESCALATE, Trigger.DE_ESCALATE, Trigger.RETURN}
BY_PERSON = {
    Trigger.ACKNOWLEDGE,
    Trigger.RESET,
    Trigger.SHELVE,
    Trigger.UNSHELVE,
    Trigger.TAKE_OUT,
    Trigger.PUT_BACK,
}
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "alarm-states.md"


def test_every_state_and_trigger_has_exactly_one_outcome_in_all_circumstances():
    assert len(EVERY) == 9 * 15 * 8
    for state, trigger, active, held, inhibited in EVERY:
        matching = [
            row.outcome
            for row in TABLE
            if (row.state, row.trigger) == (state, trigger)
            and row.matches(active=active, held=held, inhibited=inhibited)
        ]
        assert matching == [outcome(state, trigger, active=active, held=held, inhibited=inhibited)]


@pytest.mark.parametrize(
    "row", TABLE, ids=lambda row: f"{row.state}-{row.trigger}-{row.active}-{row.held}-{row.inhibited}"
)
def test_a_row_without_an_event_says_why(row: Row):
    if isinstance(row.outcome, Ignored):
        assert row.outcome.reason.endswith(".")
        assert row.trigger not in BY_PERSON or row.trigger is Trigger.ACKNOWLEDGE
    if isinstance(row.outcome, Refused):
        assert row.trigger in BY_PERSON
        assert len(row.outcome.reason.split()) >= 4


def test_only_a_reset_or_a_removal_ends_what_the_latch_holds():
    for state, trigger, active, _, inhibited in EVERY:
        found = outcome(state, trigger, active=active, held=True, inhibited=inhibited)
        if isinstance(found, Step) and found.state is AlarmState.NORMAL and state is not AlarmState.NORMAL:
            # RETURNED is never held: a held alarm goes to a latched state instead.
            assert trigger in {Trigger.RESET, Trigger.REMOVE} or state is AlarmState.RETURNED


def test_no_reset_without_an_acknowledgement_before():
    for state, _, active, held, _ in EVERY:
        if state not in ACKNOWLEDGED:
            assert isinstance(outcome(state, Trigger.RESET, active=active, held=held), Refused)


def test_whatever_comes_to_wait_for_a_person_sounds_except_where_it_waited_before():
    for state, trigger, active, held, inhibited in EVERY:
        found = outcome(state, trigger, active=active, held=held, inhibited=inhibited)
        if isinstance(found, Step) and found.state in UNACKNOWLEDGED and state not in UNACKNOWLEDGED:
            assert found.annunciate, (state, trigger)


def test_nothing_that_is_put_aside_sounds_and_no_rule_brings_it_back_but_by_exceeding():
    for state, trigger, active, held, inhibited in EVERY:
        found = outcome(state, trigger, active=active, held=held, inhibited=inhibited)
        if isinstance(found, Step) and found.state in ASIDE:
            assert not found.annunciate
        if state in ASIDE and trigger in BY_RULE:
            assert isinstance(found, Step)
            assert found.state is state


def test_a_condition_that_comes_or_gets_worse_is_never_ignored_outside_a_present_alarm():
    for state, _, active, held, inhibited in EVERY:
        found = outcome(state, Trigger.RAISE, active=active, held=held, inhibited=inhibited)
        if state not in {AlarmState.UNACKED, AlarmState.ACKED}:
            assert isinstance(found, Step)
            assert found.kind is EventKind.RAISED


def test_out_of_service_ends_only_by_a_person_or_with_its_rule():
    for _, trigger, active, held, inhibited in EVERY:
        found = outcome(AlarmState.OUT_OF_SERVICE, trigger, active=active, held=held, inhibited=inhibited)
        if isinstance(found, Step) and found.state is not AlarmState.OUT_OF_SERVICE:
            assert trigger in {Trigger.PUT_BACK, Trigger.REMOVE}


def test_nothing_that_is_held_down_comes_on_the_list_but_what_a_latch_holds():
    for state, trigger, active, held in itertools.product(AlarmState, Trigger, (False, True), (False, True)):
        found = outcome(state, trigger, active=active, held=held, inhibited=True)
        if isinstance(found, Step) and found.annunciate:
            # Whoever ends a suppression has asked before; a latched alarm is never a consequence.
            assert trigger is Trigger.UNSUPPRESS or state in {AlarmState.LATCHED_UNACKED, AlarmState.LATCHED_ACKED}


def test_a_permit_can_be_prolonged_without_a_moment_in_service():
    found = outcome(AlarmState.OUT_OF_SERVICE, Trigger.TAKE_OUT, active=True, held=False)
    assert found == Step(AlarmState.OUT_OF_SERVICE, EventKind.OUT_OF_SERVICE)


def test_the_reference_page_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run: python -m gateway.alarms.page > docs/reference/alarm-states.md"
    )


def test_the_reference_page_has_every_row():
    text = page()
    for row in TABLE:
        assert f"| `{row.trigger}` |" in text
    assert text.count("\n| `") == len(TABLE) + len(AlarmState) + len(Trigger)
