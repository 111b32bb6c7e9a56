"""What learns is judged last, learns nothing in alarm, is made to forget, and may not cry wolf unheard."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import deviation, fault, residual, threshold
from gateway.alarms.book import AlarmBook
from gateway.core.alarm import AlarmEvent, Command, EventKind, Verb
from gateway.core.errors import CommandRefusedError, UnknownAlarmError
from gateway.core.model import NO_VERDICTS, Batch, Channel, Level, Quality, Reason, Rule, Verdicts
from gateway.core.plugin import PluginOptions
from gateway.flow.bench import Bench, arrange
from gateway.flow.budget import KEPT, WEEK_NS, Budgets
from gateway.flow.pipeline import Moves, Pipeline

S = 1_000_000_000
CHANNELS = tuple(
    Channel(row=k, id=f"gd-{k}.ch4", instrument=f"gd-{k}", quantity="ch4", unit="%LEL", range_low=0, range_high=100)
    for k in range(3)
)
MODULES = {"threshold": threshold, "fault": fault, "deviation": deviation, "residual": residual}
LEARN_S = 120


def rules() -> list[Rule]:
    limits, faults = threshold.Options(low=10, high=25), fault.Options(delay_s=0)
    habits = deviation.Options(learn_s=60, cell_s=1, smooth_s=0, limit=6, off_delay_s=5)
    found: list[Rule] = []
    for kind, options, levels in (
        ("deviation", habits, deviation.LEVELS),
        ("threshold", limits, (Level.LOW, Level.HIGH)),
        ("fault", faults, fault.LEVELS),
    ):
        for channel in CHANNELS:
            index = len(found)
            found.append(Rule(index, f"{kind}:{channel.id}", kind, (channel,), options, levels=levels))
    return found


def pipeline(members: Sequence[Rule] | None = None) -> Pipeline:
    members = members or rules()
    benches = [Bench(name, tuple(part), MODULES[part[0].type].create(part)) for name, part in arrange(members)]
    return Pipeline(CHANNELS, benches, AlarmBook(members))


def calm(seconds: int, start_s: int = 0) -> list[Batch]:
    random = np.random.default_rng(start_s)
    values = 1.0 + random.normal(0, 0.1, (seconds, 3))
    return [Batch.of([0, 1, 2], (start_s + k) * S, row) for k, row in enumerate(values)]


def live(line: Pipeline, batches: Sequence[Batch]) -> list[AlarmEvent]:
    return [event for batch in batches for event in line.process(batch)]


def holds(line: Pipeline, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Return a list that grows by the rows held, each time the learning detector is told."""
    (bench,) = line.benches[-1:]
    told: list[list[int]] = []
    hold = bench.detector.hold  # type: ignore[attr-defined]  # it learns

    def noted(held: NDArray[np.bool_]) -> None:
        told.append(np.flatnonzero(held).tolist())
        hold(held)

    monkeypatch.setattr(bench.detector, "hold", noted)
    return told


def test_what_learns_is_judged_after_all_others_wherever_it_stands_in_the_site_file() -> None:
    assert [bench.rules[0].type for bench in pipeline().benches] == ["threshold", "fault", "deviation"]


def test_channels_in_alarm_or_fault_are_held_and_told_only_when_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    line = pipeline()
    told = holds(line, monkeypatch)
    live(line, calm(3))
    assert told == [[]]
    live(line, [Batch.of([0, 1, 2], 4 * S, [12.0, 1.0, np.nan], [0, 0, Quality.SENSOR_FAULT])])
    assert told == [[], [0, 2]]
    live(line, [Batch.of([0, 1, 2], k * S, [30.0, 1.0, np.nan], [0, 0, Quality.SENSOR_FAULT]) for k in (5, 6)])
    assert told == [[], [0, 2]]
    live(line, calm(2, 7))
    assert told == [[], [0, 2], []]


def test_a_warning_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    line = pipeline()
    live(line, calm(LEARN_S))
    told = holds(line, monkeypatch)
    events = live(line, [Batch.of([0], (LEARN_S + k) * S, [6.0]) for k in range(5)])
    assert [(event.alarm, event.level) for event in events] == [("deviation:gd-0.ch4", "warning")]
    assert events[0].why_zh.startswith("甲烷 6 %LEL，预警：")
    assert (line.warnings, told) == (1, [])


def test_readings_judged_again_after_a_restart_hold_as_they_did(monkeypatch: pytest.MonkeyPatch) -> None:
    line = pipeline()
    told = holds(line, monkeypatch)
    line.catch_up(Batch.of([1], 0, [30.0]))
    assert told == [[1]]
    line.reconcile(S)
    live(line, [Batch.of([1], S, [30.0])])
    assert told == [[1], [1]]


def test_a_restart_and_a_changed_site_file_keep_what_was_learned() -> None:
    before = pipeline()
    live(before, calm(LEARN_S))
    assert before.learning == 0
    again = pipeline()
    again.restore(before.save())
    assert again.learning == 0
    fewer = pipeline([Rule(k, r.id, r.type, r.channels, r.options) for k, r in enumerate(rules()[1:])])
    fewer.succeed(before, Moves.between(before, fewer))
    assert fewer.learning == 0
    states = {state.id: state for state in fewer.rules_of(CHANNELS[1])}
    assert list(states) == ["deviation:gd-1.ch4", "threshold:gd-1.ch4", "fault:gd-1.ch4"]
    assert states["deviation:gd-1.ch4"].learns
    assert states["deviation:gd-1.ch4"].ready
    assert 0.0 <= (states["deviation:gd-1.ch4"].score or 0.0) < 1.0
    assert states["threshold:gd-1.ch4"].score is None


def relearn(channel: str, why: str = "new head fitted") -> Command:
    return Command(verb=Verb.RELEARN, channel=channel, who="li", why=why)


def test_a_person_has_a_channel_learned_anew_and_the_journal_says_who_and_why() -> None:
    line = pipeline()
    live(line, calm(LEARN_S))
    (event,) = line.command(relearn("gd-1.ch4"), 200 * S)
    assert (event.kind, event.alarm, event.channel, event.who, event.why) == (
        EventKind.RELEARNT,
        "",
        "gd-1.ch4",
        "li",
        "new head fitted",
    )
    assert [line.rules_of(each)[0].ready for each in CHANNELS] == [True, False, True]
    assert line.learning == 1
    live(line, calm(LEARN_S, 200))
    assert line.learning == 0


def test_relearning_is_refused_without_a_reason_a_channel_or_a_rule_that_learns() -> None:
    line = pipeline()
    with pytest.raises(CommandRefusedError, match="needs a name and a reason"):
        line.command(relearn("gd-1.ch4", " "), S)
    with pytest.raises(UnknownAlarmError, match="no channel named 'nosuch'"):
        line.command(relearn("nosuch"), S)
    plain = pipeline([Rule(k, r.id, r.type, r.channels, r.options) for k, r in enumerate(rules()[3:])])
    with pytest.raises(CommandRefusedError, match=r"no rule learns what is normal of gd-1\.ch4"):
        plain.command(relearn("gd-1.ch4"), S)
    with pytest.raises(CommandRefusedError, match="is no order about an alarm"):
        plain.book.command(relearn("gd-1.ch4"), S)


def told(events: Sequence[AlarmEvent], kinds: tuple[str, ...]) -> list[tuple[object, ...]]:
    fields = ("time_ns", "kind", "alarm", "state", "level", "condition", "first", "annunciate", "value", "why")
    return [tuple(getattr(event, name) for name in fields) for event in events if event.alarm.startswith(kinds)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_learns_never_raises_delays_masks_or_clears_what_the_limits_say(seed: int) -> None:
    """The same plant with and without rules that learn: every event of the limits is the same, to the byte."""
    random = np.random.default_rng(seed)
    limits = [replace(rule, index=k) for k, rule in enumerate(rules()[3:])]
    learners = [
        Rule(len(limits), "pump", "residual", CHANNELS, residual.Options(learn_s=60, smooth_s=1), group=True),
        *(replace(rule, index=len(limits) + 1 + k) for k, rule in enumerate(rules()[:3])),
    ]
    learners = [replace(rule, levels=(Level.WARNING,), budget_per_week=1.0) for rule in learners]
    alone, together = pipeline(limits), pipeline([*limits, *learners])
    values = np.ones(3)
    plant = calm(LEARN_S)
    for k in range(300):
        values = np.clip(values + random.normal(0, 0.3, 3) + random.choice([0, 0, 0, 0, 12, -12], 3), 0, 60)
        quality = np.where(random.random(3) < 0.05, Quality.SENSOR_FAULT, 0)
        plant.append(Batch.of([0, 1, 2], (LEARN_S + k) * S, values, quality))
    without, both = live(alone, plant), live(together, plant)
    kinds = ("threshold:", "fault:")
    assert told(without, kinds) == told(both, kinds) != []
    others = [event for event in both if not event.alarm.startswith(kinds)]
    assert {event.alarm.partition(":")[0] for event in others} >= {"deviation", "pump"}
    assert {event.level for event in others} <= {"warning", "normal"}
    assert not any(event.annunciate or event.first for event in others)


# Budgets


def raised(time_ns: int, alarm: str = "odd", *, test: bool = False) -> AlarmEvent:
    return AlarmEvent(seq=1, time_ns=time_ns, kind=EventKind.RAISED, alarm=alarm, level="warning", test=test)


def budget(per_week: float) -> Budgets:
    return Budgets([Rule(0, "odd", "deviation", CHANNELS[:1], PluginOptions(), budget_per_week=per_week)])


DAY = 86_400 * S


def test_a_budget_is_exceeded_by_one_too_many_in_a_week_and_ends_by_itself() -> None:
    counted = budget(2)
    assert counted.count([raised(0), raised(DAY)]) == []
    (found,) = counted.count([raised(2 * DAY)])
    assert found.active
    assert found.why.en.startswith("odd was raised 3 times in 7 days, 2 a week are allowed")
    assert counted.count([raised(3 * DAY)]) == []
    assert counted.over == {"odd"}
    assert counted.look(8 * DAY) == []
    (found,) = counted.look(9 * DAY + 1)
    assert not found.active
    assert counted.over == frozenset()


def test_less_than_one_a_week_is_counted_over_longer() -> None:
    counted = budget(0.25)
    assert counted.span_ns == 4 * WEEK_NS
    assert counted.count([raised(0)]) == []
    (found,) = counted.count([raised(27 * DAY)])
    assert "2 times in 28 days, 0.25 a week" in found.why.en


def test_tests_and_other_events_cost_nothing_and_memory_is_bounded() -> None:
    counted = budget(1)
    returned = AlarmEvent(seq=1, time_ns=0, kind=EventKind.RETURNED, alarm="odd")
    assert counted.count([raised(0, test=True), raised(0, test=True), returned, raised(0, "other"), raised(0)]) == []
    for second in range(1000):
        counted.count([raised(second * S)])
    assert f"{KEPT} times" in counted.exceeded()[0].why.en


def test_a_large_budget_can_be_exceeded_too() -> None:
    counted = budget(2 * KEPT)
    assert counted.count([raised(second * S) for second in range(2 * KEPT)]) == []
    (found,) = counted.count([raised(DAY)])
    assert f"{2 * KEPT + 1} times" in found.why.en


def cried(line: Pipeline, times: int, start_s: int) -> list[AlarmEvent]:
    events: list[AlarmEvent] = []
    for k in range(times):
        begin = start_s + 100 * k
        events += live(line, [Batch.of([0], (begin + j) * S, [6.0]) for j in range(5)])
        events += live(line, [Batch.of([0], (begin + 10 + j) * S, [1.0]) for j in range(30)])
    return events


def with_budget() -> list[Rule]:
    return [replace(rule, budget_per_week=1.0 if rule.type == "deviation" else None) for rule in rules()]


def test_a_rule_that_cries_wolf_is_told_of_by_a_calm_system_alarm_until_a_quiet_week_has_passed() -> None:
    line = pipeline(with_budget())
    live(line, calm(LEARN_S))
    assert {event.alarm for event in cried(line, 1, 200)} == {"deviation:gd-0.ch4"}
    told = [event for event in cried(line, 1, 1000) if event.alarm.startswith("system/")]
    assert [(e.alarm, e.level, e.priority, e.annunciate) for e in told] == [
        ("system/budget/deviation:gd-0.ch4", "warning", 4, False)
    ]
    assert "2 times in 7 days" in told[0].why
    assert "2 次" in told[0].why_zh
    assert line.advance(2 * DAY) == []
    (over,) = line.advance(8 * DAY)
    assert (over.kind, over.condition) == (EventKind.RETURNED, "normal")


def test_a_restart_knows_from_the_journal_how_often_a_rule_was_raised() -> None:
    line = pipeline(with_budget())
    live(line, calm(LEARN_S))
    journal = cried(line, 3, 200)
    again = pipeline(with_budget())
    again.book.restore(journal)
    alarms = again.recall([e for e in journal if e.kind is EventKind.RAISED], 2000 * S)
    assert alarms == [], "the restored book has that alarm already"
    assert again.budgets.over == {"deviation:gd-0.ch4"}
    assert pipeline(with_budget()).recall(journal, 10 * DAY) == []


def test_a_changed_site_file_goes_on_counting_for_the_rules_that_stay() -> None:
    before, after = pipeline(with_budget()), pipeline(with_budget())
    live(before, calm(LEARN_S))
    cried(before, 2, 200)
    after.succeed(before, Moves.between(before, after))
    after.book.succeed(before.book)
    assert after.budgets.over == {"deviation:gd-0.ch4"}
    assert after.warnings == before.warnings == 2


# Rules of several channels


class Together:
    """Judges groups: the highest value of each; fails at 13."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.level = np.zeros(len(rules), np.int8)

    def update(self, batch: Batch) -> Verdicts:
        found = []
        for row, time_ns, value in zip(batch.row, batch.time_ns, batch.value, strict=True):
            if value == 13:
                raise ValueError("13")
            for k, rule in enumerate(self.rules):
                if any(c.row == row for c in rule.channels) and self.level[k] != (level := 2 if value > 10 else 0):
                    self.level[k] = level
                    found.append((rule.index, level, time_ns, value))
        if not found:
            return NO_VERDICTS
        index, level, time_ns, value = (np.array(column) for column in zip(*found, strict=True))
        n = len(found)
        return Verdicts(
            index.astype(np.int32),
            level.astype(np.int8),
            np.zeros(n, np.float32),
            time_ns,
            value.astype(float),
            np.full(n, 10.0),
            np.zeros(n, np.uint8),
            tuple(Reason("highest of all", "全组最高") for _ in found),
        )

    def save(self) -> dict[str, NDArray[np.generic]]:
        return {"level": self.level.copy()}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        self.level[:] = state["level"]


def together() -> Pipeline:
    group = Rule(0, "pair", "together", CHANNELS[:2], PluginOptions(), latching=True, group=True)
    other = Rule(1, "one", "together", CHANNELS[2:], PluginOptions(), group=True)
    benches = [Bench(name, tuple(part), Together(part)) for name, part in arrange([group, other])]
    return Pipeline(CHANNELS, benches, AlarmBook([group, other]))


def test_a_group_that_fails_is_out_of_service_with_all_its_channels_and_is_told_once() -> None:
    line = together()
    events = live(line, [Batch.of([1, 0, 2], S, [13.0, 13.0, 30.0]), Batch.of([0, 1, 2], 2 * S, [40.0, 13.0, 1.0])])
    assert [(event.kind.value, event.alarm) for event in events] == [
        ("raised", "system/rule/pair"),
        ("raised", "one"),
        ("returned", "one"),
    ]
    assert events[0].why == "rule pair failed and judges its 2 channels no more"
    assert not line.rules_of(CHANNELS[1])[0].in_service


def test_a_reset_alarm_of_a_group_is_back_with_the_next_reading_of_any_of_its_channels() -> None:
    line = together()
    live(line, [Batch.of([1], S, [30.0])])
    for verb in (Verb.ACKNOWLEDGE, Verb.RESET):
        line.command(Command(verb=verb, alarm="pair", who="li"), 2 * S)
    assert live(line, [Batch.of([2], 3 * S, [1.0])]) == []
    (event,) = live(line, [Batch.of([1], 4 * S, [31.0])])
    assert (event.kind, event.alarm, event.channel, event.occurrence) == (EventKind.RAISED, "pair", "", 2)


def test_a_level_that_the_journal_lost_is_told_without_lending_the_group_its_first_channels_value() -> None:
    line = together()
    line.catch_up(Batch.of([0, 1], S, [30.0, 40.0]))
    (event,) = line.reconcile(2 * S)
    assert (event.alarm, event.level, event.value) == ("pair", "high", None)


def test_while_learning_rests_limits_are_judged_as_ever_and_it_goes_on_where_it_was() -> None:
    line = pipeline()
    live(line, calm(LEARN_S))
    line.resting = True
    raised = [event.alarm for event in live(line, [Batch.of([0, 1, 2], LEARN_S * S, [30.0, 1.0, 8.0])])]
    assert raised == ["threshold:gd-0.ch4"]
    line.resting = False
    live(line, calm(60, LEARN_S + 1))
    after = live(line, [Batch.of([2], (LEARN_S + 61 + k) * S, [8.0]) for k in range(5)])
    assert ("raised", "deviation:gd-2.ch4") in [(event.kind, event.alarm) for event in after]
