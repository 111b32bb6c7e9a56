"""Levels, priorities, sentences."""

import itertools

import pytest

from gateway.alarms.level import default_priorities, is_covered, level_after, trigger_of
from gateway.alarms.state import Trigger
from gateway.alarms.words import Words, one_line, spoken
from gateway.core.alarm import AlarmState
from gateway.core.model import Judged, Level, Priority, Quality, Reason

NAN = float("nan")
CHANGES = [(a, b) for a, b in itertools.product(Level, Level) if a is not b]


def test_every_change_for_the_worse_or_into_the_unknown_is_an_escalation():
    found = {change: trigger_of(*change) for change in CHANGES}
    assert {k for k, v in found.items() if v is Trigger.RETURN} == {(k, Level.NORMAL) for k in Level if k}
    assert {k for k, v in found.items() if v is Trigger.RAISE} == {(Level.NORMAL, k) for k in Level if k}
    less = {(Level.HIGH, Level.LOW), *((k, Level.WARNING) for k in (Level.FAULT, Level.LOW, Level.HIGH))}
    assert {k for k, v in found.items() if v is Trigger.DE_ESCALATE} == less
    assert sum(v is Trigger.ESCALATE for v in found.values()) == 8


@pytest.mark.parametrize(
    ("shelved", "quiet"),
    [
        (Level.NORMAL, {Level.NORMAL, Level.WARNING, Level.FAULT, Level.LOW}),
        (Level.WARNING, {Level.NORMAL, Level.WARNING}),
        (Level.FAULT, {Level.NORMAL, Level.WARNING, Level.FAULT}),
        (Level.LOW, {Level.NORMAL, Level.WARNING, Level.FAULT, Level.LOW}),
        (Level.HIGH, set(Level)),
    ],
)
def test_a_shelving_covers_what_was_shelved_and_never_more(shelved: Level, quiet: set[Level]):
    assert {level for level in Level if is_covered(shelved, level)} == quiet


def test_a_latching_alarm_never_falls_below_its_peak():
    for before, now in CHANGES:
        for old in (AlarmState.UNACKED, AlarmState.ACKED, AlarmState.LATCHED_ACKED):
            after = level_after(before, now, old, AlarmState.UNACKED, latching=True)
            assert after in {before, now}
            if before is Level.HIGH:
                assert after is Level.HIGH
            if {before, now} & {Level.LOW, Level.HIGH}:
                assert after in {Level.LOW, Level.HIGH}


def test_faults_and_warnings_are_never_latched():
    for before, now in itertools.permutations((Level.FAULT, Level.WARNING)):
        assert level_after(before, now, AlarmState.UNACKED, AlarmState.UNACKED, latching=True) is now


def test_a_new_occurrence_of_a_process_alarm_takes_its_own_level():
    raised = level_after(Level.HIGH, Level.FAULT, AlarmState.RETURNED, AlarmState.UNACKED, latching=False)
    assert raised is Level.FAULT


def test_gas_and_fire_are_red_and_everything_has_a_priority():
    assert default_priorities(hazardous=True) == {
        Level.HIGH: Priority.RED,
        Level.LOW: Priority.ORANGE,
        Level.FAULT: Priority.YELLOW,
        Level.WARNING: Priority.BLUE,
    }
    assert default_priorities(hazardous=False) == {
        Level.HIGH: Priority.ORANGE,
        Level.LOW: Priority.YELLOW,
        Level.FAULT: Priority.YELLOW,
        Level.WARNING: Priority.BLUE,
    }


@pytest.mark.parametrize(
    ("quantity", "name"),
    [
        ("o2", "O2"),
        ("co", "CO"),
        ("h2s", "H2S"),
        ("c2h5oh", "C2H5OH"),
        ("cl2", "Cl2"),
        ("hcl", "HCl"),
        ("temperature", "Temperature"),
        ("smoke", "Smoke"),
        ("level", "Level"),
    ],
)
def test_quantities_are_named_as_people_write_them(quantity: str, name: str):
    assert spoken(quantity) == name


@pytest.mark.parametrize(
    ("before", "now", "value", "limit", "quality", "sentence"),
    [
        (Level.NORMAL, Level.HIGH, 61.25, 50.0, Quality.GOOD, "CH4 at 61.25 %LEL reached HIGH limit 50"),
        (Level.NORMAL, Level.LOW, 61.25, NAN, Quality.GOOD, "CH4 at 61.25 %LEL reached LOW"),
        (Level.NORMAL, Level.LOW, 12.0, 0.305, Quality.GOOD, "CH4 at 12 %LEL reached LOW limit 0.305"),
        (Level.NORMAL, Level.FAULT, NAN, NAN, Quality.SENSOR_FAULT, "CH4 fault: sensor fault"),
        (Level.LOW, Level.FAULT, NAN, NAN, Quality.FROZEN, "CH4 fault while LOW: frozen"),
        (Level.HIGH, Level.LOW, 30.0, 50.0, Quality.GOOD, "CH4 at 30 %LEL went from HIGH to LOW"),
        (Level.NORMAL, Level.WARNING, 3.0, 25.0, Quality.GOOD, "CH4 at 3 %LEL gives a warning"),
        (Level.FAULT, Level.WARNING, 3.0, NAN, Quality.GOOD, "CH4 at 3 %LEL gives a warning"),
        (Level.LOW, Level.WARNING, 3.0, 25.0, Quality.GOOD, "CH4 at 3 %LEL went from LOW to WARNING"),
        (Level.WARNING, Level.LOW, 12.0, 10.0, Quality.GOOD, "CH4 at 12 %LEL reached LOW limit 10"),
        (Level.WARNING, Level.FAULT, NAN, NAN, Quality.FROZEN, "CH4 fault: frozen"),
        (Level.LOW, Level.NORMAL, -0.001, 10.0, Quality.GOOD, "CH4 at 0 %LEL is back to normal"),
        (Level.FAULT, Level.NORMAL, NAN, NAN, Quality.GOOD, "CH4 is back to normal"),
    ],
)
def test_a_change_is_told_in_one_plain_line(
    before: Level, now: Level, value: float, limit: float, quality: int, sentence: str
):
    assert Words("ch4", "%LEL", 2).changed(before, now, value, limit, quality).en == sentence


def test_a_persons_words_stay_on_one_line_and_have_an_end():
    assert one_line(" valve \n  open\t") == "valve open"
    assert len(one_line("x" * 9000)) == 500


def test_a_warning_leaves_figures_that_are_not_the_reading_to_the_detectors_reason():
    words = Words("temperature", "°C", 1, Judged(en="time to limit", zh="到达限值的时间"))
    said = words.changed(Level.NORMAL, Level.WARNING, 4.0, 10.0, Quality.GOOD, explained=True)
    assert said == Reason("Temperature gives a warning", "温度预警")


def test_a_group_of_several_quantities_is_called_by_its_rule_and_shows_no_number():
    words = Words("", "", 1, Judged(en="criteria met", zh="判据成立数"), group="fire")
    raised = words.changed(Level.NORMAL, Level.HIGH, 2.0, 2.0, Quality.GOOD, explained=True)
    assert raised == Reason("fire reached HIGH", "fire 达到高限")
    assert words.changed(Level.HIGH, Level.NORMAL, 0.0, 2.0, Quality.GOOD).en == "fire is back to normal"
    assert words.still(Level.HIGH, 2.0, 2.0).en == "fire is still HIGH after the reset"
