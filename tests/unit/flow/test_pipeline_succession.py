"""A pipeline that takes the place of another one when the site file has changed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from detectors import fault, rate, threshold
from gateway.alarms.book import AlarmBook
from gateway.core.alarm import AlarmEvent, Command, Verb
from gateway.core.model import Batch, Channel, Quality, Rule
from gateway.flow.bench import Bench, arrange
from gateway.flow.pipeline import Moves, Pipeline

S = 1_000_000_000
MODULES = {"threshold": threshold, "fault": fault, "rate": rate}
NAMES = [f"gd-{k}" for k in range(5)]


def table(names: Sequence[str], **changed: str) -> list[Channel]:
    channels = [
        Channel(row=k, id=f"{n}.ch4", instrument=n, quantity="ch4", unit="%LEL", range_low=0, range_high=100)
        for k, n in enumerate(names)
    ]
    return [replace(c, unit=changed.get(c.instrument, c.unit)) for c in channels]


def rules(channels: Sequence[Channel], low: float = 10, on_delay_s: float = 3) -> list[Rule]:
    limits = threshold.Options.model_validate({"low": low, "high": 25, "on_delay_s": on_delay_s, "off_delay_s": 5})
    slope = rate.Options.model_validate({"high": 30, "window_s": 20})
    found: list[Rule] = []
    for kind, options in (("threshold", limits), ("rate", slope), ("fault", fault.Options(delay_s=5))):
        for channel in channels:
            found.append(Rule(len(found), f"{kind}:{channel.id}", kind, (channel,), options, latching=True))
    return found


def pipeline(channels: Sequence[Channel], members: Sequence[Rule]) -> Pipeline:
    benches = [Bench(name, tuple(part), MODULES[part[0].type].create(part)) for name, part in arrange(members)]
    return Pipeline(channels, benches, AlarmBook(members))


def succeed(before: Pipeline, after: Pipeline, now_ns: int) -> list[AlarmEvent]:
    after.succeed(before, Moves.between(before, after))
    after.book.succeed(before.book)
    return [*after.reconcile(now_ns), *after.book.orphans(now_ns)]


def a_day(seed: int, batches: int = 240) -> list[Batch]:
    """Readings of all channels, with leaks, slopes and lost links."""
    random = np.random.default_rng(seed)
    value, day = np.zeros(len(NAMES)), []
    for k in range(batches):
        value = np.clip(value + random.choice([0, 0, 0, 15, -15, 1], len(NAMES)), 0, 40)
        quality = np.where(random.random(len(NAMES)) < 0.1, Quality.COMMS_LOST, 0)
        day.append(Batch.of(np.arange(len(NAMES)), k * S, value, quality))
    return day


def told(events: Sequence[AlarmEvent], names: Sequence[str]) -> list[tuple[object, ...]]:
    return [
        (e.time_ns, e.kind, e.alarm, e.state, e.level, e.value, e.occurrence) for e in events if e.instrument in names
    ]


@pytest.mark.parametrize("seed", range(4))
def test_rules_that_stay_go_on_as_if_nothing_had_happened(seed: int) -> None:
    day, now = a_day(seed), table(NAMES)
    whole = pipeline(now, rules(now))
    expected = [e for batch in day for e in whole.process(batch)]
    line, present = pipeline(now, rules(now)), now
    random, events = np.random.default_rng(seed + 100), []
    stays = ["gd-1", "gd-4"]
    for k, batch in enumerate(day):
        if k % 20 == 19:
            others = [n for n in ("gd-0", "gd-2", "gd-3", "new-1", "new-2") if random.random() < 0.5]
            present = table(random.permutation([*stays, *others]).tolist())
            after = pipeline(present, rules(present))
            found = succeed(line, after, k * S)
            assert not told(found, stays), "what stays makes no event"
            line = after
        rows = {c.instrument: c.row for c in present}
        there = np.array([n in rows for n in NAMES])
        moved = np.array([rows.get(n, 0) for n in NAMES], np.int32)
        part = Batch(moved, batch.time_ns, batch.value, batch.quality).take(there)
        events += line.process(part)
    assert told(events, stays) == told(expected, stays)
    assert len(told(expected, stays)) > 20


def test_a_changed_rule_begins_afresh_and_keeps_its_alarm_to_the_side_of_danger() -> None:
    now = table(NAMES)
    before = pipeline(now, rules(now, low=10, on_delay_s=0))
    before.process(Batch.of([2], S, [12.0]))
    after = pipeline(now, rules(now, low=20, on_delay_s=0))
    assert succeed(before, after, 2 * S) == [], "the book says more than the fresh detector and is believed"
    assert [a.id for a in after.book.alarms()] == ["threshold:gd-2.ch4"]
    for second in range(3, 10):
        events = after.process(Batch.of([2], second * S, [12.0]))
        if events:
            break
    assert [(e.kind, e.state) for e in events] == [("returned", "latched_unacked")], "the new limit says it is over"


def test_the_alarm_of_a_removed_channel_ends_with_an_event_that_says_so() -> None:
    now = table(NAMES)
    before = pipeline(now, rules(now, on_delay_s=0))
    raised = before.process(Batch.of([2, 3], S, [12.0, 30.0]))
    before.command(Command(verb=Verb.ACKNOWLEDGE, alarm="threshold:gd-3.ch4", who="li"), 2 * S)
    rest = table(["gd-3", "gd-0"])
    after = pipeline(rest, rules(rest, on_delay_s=0))
    (ended,) = succeed(before, after, 3 * S)
    assert (ended.alarm, ended.state, ended.kind) == ("threshold:gd-2.ch4", "normal", "cleared")
    assert "no longer in the site file" in ended.why
    assert ended.seq == raised[-1].seq + 2, "numbers go on"
    (left,) = after.book.alarms()
    assert (left.id, left.event.state, left.event.acked_by) == ("threshold:gd-3.ch4", "acked", "li")
    assert after.latest.value[0] == 30.0


def test_a_channel_that_measures_something_else_now_has_no_reading_yet() -> None:
    now = table(NAMES)
    before = pipeline(now, rules(now))
    before.process(Batch.of([0, 1], S, [5.0, 6.0]))
    other = table(NAMES, **{"gd-0": "mV"})
    after = pipeline(other, rules(other))
    succeed(before, after, 2 * S)
    assert np.isnan(after.latest.value[0])
    assert after.latest.quality[0] == Quality.BAD
    assert after.latest.value[1] == 6.0
    assert (int(after.latest.count.sum()), after.latest.left) == (1, 1)


class Failing:
    """A threshold detector with a mistake that shows at one row."""

    def __init__(self, inner: object, row: int) -> None:
        self.inner, self.row = inner, row

    def update(self, batch: Batch) -> object:
        if (batch.row == self.row).any():
            raise ZeroDivisionError("a mistake in a rule")
        return self.inner.update(batch)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


def test_a_rule_out_of_service_stays_so_where_it_is_the_same_and_gets_a_chance_where_it_changed() -> None:
    now = table(NAMES)
    before = pipeline(now, rules(now))
    before.benches[0].detector = Failing(before.benches[0].detector, 2)  # type: ignore[assignment]
    before.process(Batch.of([2], S, [1.0]))
    assert before.benches[0].quarantined is not None
    same, changed = table(["gd-2", "gd-1"]), table(["gd-2", "gd-1"])
    after = pipeline(same, rules(same))
    succeed(before, after, 2 * S)
    assert after.benches[0].quarantined is not None
    assert after.benches[0].quarantined.tolist() == [True, False]
    after = pipeline(changed, rules(changed, low=12))
    succeed(before, after, 2 * S)
    assert after.benches[0].quarantined is None
    assert not any(bench.quarantined is not None for bench in after.benches)


def test_a_restart_with_a_changed_site_file_finds_the_rules_that_stayed() -> None:
    now = table(NAMES)
    before = pipeline(now, rules(now, on_delay_s=10))
    before.process(Batch.of([1, 2], S, [12.0, 12.0]))
    other = table(["new", "gd-2"])
    after = pipeline(other, rules(other, on_delay_s=10))
    after.restore(before.save())
    assert [e.alarm for e in after.process(Batch.of([0, 1], 12 * S, [12.0, 12.0]))] == ["threshold:gd-2.ch4"]


def test_a_saved_state_of_another_shape_starts_its_rules_afresh_and_no_others() -> None:
    now = table(NAMES)
    before = pipeline(now, rules(now, on_delay_s=10))
    before.process(Batch.of([2], S, [12.0]))
    state = before.save()
    wide = next(name for name, column in state.items() if name.startswith("rate-0/") and column.ndim > 1)
    state[wide] = state[wide][:, :-1]
    after = pipeline(now, rules(now, on_delay_s=10))
    after.restore(state)
    assert [e.alarm for e in after.process(Batch.of([2], 12 * S, [12.0]))] == ["threshold:gd-2.ch4"]


def test_an_old_value_is_never_told_in_a_new_unit() -> None:
    was, now = table(NAMES), table(NAMES, **{"gd-1": "ppm"})
    before, after = pipeline(was, rules(was, on_delay_s=0)), pipeline(now, rules(now, on_delay_s=0))
    before.process(Batch.of([1, 2], S, [40.0, 40.0], 0))
    succeed(before, after, 2 * S)
    for name, unit, value in (("gd-1", "ppm", None), ("gd-2", "%LEL", 40.0)):
        (event,) = after.command(Command(verb=Verb.ACKNOWLEDGE, alarm=f"threshold:{name}.ch4", who="wang"), 3 * S)
        assert (event.level, event.condition, event.unit, event.value) == ("high", "high", unit, value)
        shown = after.book.alarm(event.alarm)
        assert shown is not None
        assert (shown.event.unit, shown.event.value) == (unit, value)


def test_an_alarm_that_stands_goes_with_its_instrument_to_another_area() -> None:
    was = table(NAMES)
    now = [replace(c, area="hall") for c in was]
    moved = [replace(rule, area="hall") for rule in rules(now, on_delay_s=0)]
    before, after = pipeline(was, rules(was, on_delay_s=0)), pipeline(now, moved)
    before.process(Batch.of([1], S, [40.0], 0))
    succeed(before, after, 2 * S)
    assert [event.area for event in after.book.last_events()] == ["hall"]
    assert [alarm.event.area for alarm in after.book.alarms()] == ["hall"], (
        "its sounder is that of the hall from now on"
    )


def test_an_alarm_whose_rule_judges_another_channel_now_stays_where_it_was_raised_and_lends_it_no_value() -> None:
    channels = table(NAMES)
    was = [replace(rule, id="gas") for rule in rules(channels[:1], on_delay_s=0)[:1]]
    now = [replace(rule, id="gas", channels=(channels[1],)) for rule in was]
    before, after = pipeline(channels, was), pipeline(channels, now)
    before.process(Batch.of([0], S, [40.0], 0))
    succeed(before, after, 2 * S)
    (shown,) = after.book.alarms()
    assert shown.event.channel == "gd-0.ch4"
    (event,) = after.command(Command(verb=Verb.ACKNOWLEDGE, alarm="gas", who="wang"), 3 * S)
    assert (event.channel, event.value) == ("gd-1.ch4", None)
