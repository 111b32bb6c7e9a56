from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import fault, threshold
from gateway.alarms.book import AlarmBook
from gateway.core.alarm import AlarmEvent, AlarmState, Command, EventKind, Verb
from gateway.core.model import NO_VERDICTS, Batch, Channel, Quality, Rule, Verdicts
from gateway.flow.bench import Bench, arrange
from gateway.flow.pipeline import Pipeline

S = 1_000_000_000
CHANNELS = [
    Channel(row=k, id=f"gd-{k}.ch4", instrument=f"gd-{k}", quantity="ch4", unit="%LEL", range_low=0, range_high=100)
    for k in range(4)
]


def rules(**options: float) -> list[Rule]:
    found: list[Rule] = []
    for channel in CHANNELS:
        limits = threshold.Options.model_validate({"low": 10, "high": 25, **options})
        found.append(Rule(len(found), f"gas:{channel.id}", "threshold", (channel,), limits, latching=True))
    for channel in CHANNELS:
        found.append(Rule(len(found), f"fault:{channel.id}", "fault", (channel,), fault.Options(delay_s=5)))
    return found


def pipeline(members: Sequence[Rule], book: AlarmBook | None = None) -> Pipeline:
    modules = {"threshold": threshold, "fault": fault}
    benches = [Bench(name, tuple(part), modules[part[0].type].create(part)) for name, part in arrange(members)]
    return Pipeline(CHANNELS, benches, book or AlarmBook(members))


def kinds(events: Sequence[AlarmEvent]) -> list[tuple[str, str]]:
    return [(event.kind.value, event.alarm) for event in events]


def a_day(seed: int, batches: int = 300) -> list[Batch]:
    random = np.random.default_rng(seed)
    day: list[Batch] = []
    for k in range(batches):
        n = int(random.integers(1, 9))
        rows = random.integers(0, 4, n)
        values = random.choice([0.0, 5.0, 12.0, 30.0], n)
        quality = random.choice([0, 0, 0, 0, int(Quality.COMMS_LOST), int(Quality.WARM_UP)], n)
        day.append(Batch.of(rows, k * S, values, quality))
    return day


def test_a_leak_raises_low_then_high_and_is_held_after_it_is_gone() -> None:
    line = pipeline(rules())
    events = [e for k, v in enumerate([1.0, 11.0, 26.0, 2.0]) for e in line.process(Batch.of([0], k * S, [v]))]
    assert kinds(events) == [
        ("raised", "gas:gd-0.ch4"),
        ("escalated", "gas:gd-0.ch4"),
        ("returned", "gas:gd-0.ch4"),
    ]
    assert events[-1].state is AlarmState.LATCHED_UNACKED
    assert events[-1].level == "high"


def test_the_same_day_gives_the_same_bytes() -> None:
    def run() -> bytes:
        line = pipeline(rules())
        return b"\n".join(msgspec.json.encode(event) for batch in a_day(7) for event in line.process(batch))

    first = run()
    assert first == run()
    assert first.count(b'"raised"') > 10


def test_readings_of_one_channel_in_one_batch_are_judged_one_after_the_other() -> None:
    batch = Batch.of([1, 0, 1, 1], [1, 1, 2, 3], [11.0, 0.0, 30.0, 0.0])
    assert [kind for kind, _ in kinds(pipeline(rules()).process(batch))] == ["raised", "escalated", "returned"]


def test_a_reset_alarm_is_back_within_one_evaluation_while_the_gas_is_there() -> None:
    line = pipeline(rules())
    line.process(Batch.of([0], S, [30.0]))
    line.command(Command(verb=Verb.ACKNOWLEDGE, alarm="gas:gd-0.ch4", who="li"), 2 * S)
    reset = line.command(Command(verb=Verb.RESET, alarm="gas:gd-0.ch4", who="li"), 3 * S)
    assert reset[0].kind is EventKind.RESET
    assert line.process(Batch.of([1], 4 * S, [0.0])) == [], "another channel is no evaluation of this rule"
    back = line.process(Batch.of([0], 5 * S, [30.0]))
    assert [(e.kind, e.state) for e in back] == [(EventKind.RAISED, AlarmState.UNACKED)]


def test_a_reset_alarm_comes_back_even_when_the_next_reading_is_bad() -> None:
    line = pipeline(rules())
    line.process(Batch.of([0], S, [30.0]))
    line.command(Command(verb=Verb.ACKNOWLEDGE, alarm="gas:gd-0.ch4", who="li"), 2 * S)
    line.command(Command(verb=Verb.RESET, alarm="gas:gd-0.ch4", who="li"), 3 * S)
    back = line.process(Batch.of([0], 5 * S, [0.0], Quality.COMMS_LOST))
    assert kinds(back) == [("raised", "gas:gd-0.ch4")]


class Fragile:
    """A detector that fails on one row, for ever."""

    def __init__(self, inner: object, row: int) -> None:
        self.inner = inner
        self.row = row
        self.level = inner.level  # type: ignore[attr-defined]

    def update(self, batch: Batch) -> Verdicts:
        if (batch.row == self.row).any():
            raise ZeroDivisionError("a mistake in a rule")
        return self.inner.update(batch) if len(batch) else NO_VERDICTS  # type: ignore[attr-defined,no-any-return]

    def save(self) -> dict[str, NDArray[np.generic]]:
        return {}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        pass


def test_a_rule_that_fails_is_taken_out_and_said_and_all_others_go_on() -> None:
    line = pipeline(rules())
    line.benches[0].detector = Fragile(line.benches[0].detector, row=2)
    events = line.process(Batch.of([0, 1, 2, 3], S, [30.0, 0.0, 30.0, 12.0]))
    assert ("raised", "system/rule/gas:gd-2.ch4") in kinds(events)
    assert ("raised", "gas:gd-0.ch4") in kinds(events)
    assert ("raised", "gas:gd-3.ch4") in kinds(events)
    again = line.process(Batch.of([2, 1], 2 * S, [30.0, 30.0]))
    assert kinds(again) == [("raised", "gas:gd-1.ch4")]
    lost = [line.process(Batch.of([2], k * S, [0.0], Quality.COMMS_LOST)) for k in range(3, 10)]
    assert ("raised", "fault:gd-2.ch4") in kinds([e for part in lost for e in part]), "its fault rule still judges"


@pytest.mark.parametrize("cut", [1, 50, 133, 299])
def test_a_restart_at_any_moment_changes_no_later_event(cut: int) -> None:
    day = a_day(11)
    members = rules(on_delay_s=3)
    whole = pipeline(members)
    last: dict[str, AlarmEvent] = {}
    expected: list[AlarmEvent] = []
    for k, batch in enumerate(day):
        events = whole.process(batch)
        expected += events if k >= cut else []
        if k < cut:
            last.update((event.alarm, event) for event in events)
    first = pipeline(members)
    for batch in day[: cut // 2]:
        first.process(batch)
    book = AlarmBook(members, max((e.seq for e in last.values()), default=0) + 1)
    book.restore(sorted(last.values(), key=lambda event: event.seq))
    second = pipeline(members, book)
    second.restore(first.save())
    for batch in day[cut // 2 : cut]:
        second.catch_up(batch)
    assert second.reconcile(cut * S) == []
    assert [e for batch in day[cut:] for e in second.process(batch)] == expected


def test_what_the_journal_knew_and_the_spool_lost_is_not_forgotten() -> None:
    members = rules()
    before = pipeline(members)
    events = before.process(Batch.of([0], S, [30.0]))
    book = AlarmBook(members, events[-1].seq + 1)
    book.restore(events)
    after = pipeline(members, book)
    assert after.reconcile(2 * S) == []
    assert [a.id for a in book.alarms()] == ["gas:gd-0.ch4"]
    assert kinds(after.process(Batch.of([0], 3 * S, [0.0]))) == [("returned", "gas:gd-0.ch4")]


def test_what_the_spool_knew_and_the_journal_lost_is_raised_at_the_start() -> None:
    after = pipeline(rules())
    after.catch_up(Batch.of([0], S, [30.0]))
    events = after.reconcile(2 * S)
    assert kinds(events) == [("raised", "gas:gd-0.ch4")]
    assert events[0].time_ns == S


def test_a_changed_set_of_rules_starts_afresh() -> None:
    old = pipeline(rules(on_delay_s=10))
    old.process(Batch.of([0], S, [30.0]))
    same, changed = pipeline(rules(on_delay_s=10)), pipeline(rules(on_delay_s=9))
    same.restore(old.save())
    changed.restore(old.save())
    assert kinds(same.process(Batch.of([0], 11 * S, [30.0]))) == [("raised", "gas:gd-0.ch4")]
    assert changed.process(Batch.of([0], 11 * S, [30.0])) == []


def test_what_an_instrument_tells_of_its_past_is_neither_judged_nor_the_newest_reading() -> None:
    line = pipeline(rules())
    line.process(Batch.of([0, 1], 100 * S, [1.0, 2.0]))
    past = Batch.of([0, 1, 0], [10 * S, 200 * S, 20 * S], [90.0, 80.0, 70.0], Quality.BACKFILLED)
    assert line.process(past) == []
    assert line.process(Batch.concat([past, Batch.of([2], 101 * S, [30.0])])) != []
    line.catch_up(past)
    assert line.reconcile(300 * S) == []
    assert line.latest.value[:3].tolist() == [1.0, 2.0, 30.0]
    assert line.latest.time_ns[:2].tolist() == [100 * S, 100 * S]
