"""Count in window: so many readings beyond a set point within a time raise, and single ones are let pass."""

import numpy as np
import pytest
from pydantic import ValidationError

from detectors.threshold import Options, create
from gateway.alarms.book import AlarmBook
from gateway.core.model import Batch, Channel, Level, Quality, Rule
from gateway.flow.bench import Bench, arrange
from gateway.flow.pipeline import Moves, Pipeline

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
COUNTED = Options(low=60.0, high=80.0, deadband=2.0, count=3, window_s=10.0)


def rules(*options: Options) -> list[Rule]:
    return [
        Rule(k, f"r{k}", "threshold", (Channel(row=k, id=f"t-{k}.t", instrument=f"t-{k}", quantity="level"),), one)
        for k, one in enumerate(options)
    ]


def told(*readings: tuple[float, float], quality: int = 0, options: Options = COUNTED) -> list[str]:
    """What a detector says, from pairs of second and value."""
    detector = create(rules(options))
    said = []
    for second, value in readings:
        batch = Batch.of([0], T0 + round(second * SECOND), [value], [quality])
        said += [f"{second:g} {Level(level).name}" for level in detector.update(batch).level]
    return said


def test_three_readings_within_the_window_raise_whatever_lies_between() -> None:
    assert told((0, 61), (1, 3), (2, 61), (3, 3), (4, 61), (5, 3)) == ["4 LOW", "5 NORMAL"]


def test_readings_that_are_too_far_apart_raise_nothing() -> None:
    assert told(*((6.0 * k, 61.0) for k in range(20))) == []
    assert told((0, 61), (5, 61), (10, 61)) == ["10 LOW"], "the window's end belongs to it"
    assert told((0, 61), (5, 61), (10.001, 61)) == []


def test_each_step_counts_its_own() -> None:
    assert told((0, 61), (1, 85), (2, 85), (3, 85)) == ["2 LOW", "3 HIGH"]


def test_a_raised_step_stays_until_the_value_is_clear_of_it() -> None:
    assert told((0, 61), (1, 61), (2, 61), (30, 61), (60, 59), (61, 57)) == ["2 LOW", "61 NORMAL"]


def test_what_has_no_value_is_not_counted_and_forgets_nothing() -> None:
    nan = float("nan")
    assert told((0, 61), (1, nan), (2, 61), (3, nan), (4, 61)) == ["4 LOW"]


def test_what_is_beyond_the_range_is_counted() -> None:
    assert told((0, 50), (1, 50), (2, 50), quality=Quality.OVER_RANGE) == ["2 HIGH"]


def test_a_clock_set_back_counts_on() -> None:
    assert told((100, 61), (101, 61), (50, 61)) == ["50 LOW"]
    assert told((100, 61), (50, 61), (101, 61)) == []


@pytest.mark.parametrize(
    "options",
    [{"count": 3}, {"window_s": 5.0}, {"count": 3, "window_s": 5.0, "on_delay_s": 2.0}, {"count": 21, "window_s": 5.0}],
)
def test_what_makes_no_sense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Options(low=1.0, **options)  # type: ignore[arg-type]


def test_rules_that_count_differently_are_judged_apart_and_keep_their_counts_over_a_change() -> None:
    plain, five = Options(low=60.0), Options(low=60.0, count=5, window_s=60.0)

    def pipeline(*options: Options) -> Pipeline:
        made = rules(*options)
        benches = [Bench(name, tuple(part), create(part)) for name, part in arrange(made)]
        return Pipeline([rule.channel for rule in made], benches, AlarmBook(made))

    before = pipeline(COUNTED, plain)
    assert len(before.benches) == 2
    for second in (0, 1):
        before.process(Batch.of([0], T0 + second * SECOND, [61.0]))
    after = pipeline(COUNTED, plain, five)
    assert len(after.benches) == 3
    after.succeed(before, Moves.between(before, after))
    after.book.succeed(before.book)
    (event,) = after.process(Batch.of([0], T0 + 2 * SECOND, [61.0]))
    assert (event.alarm, event.level) == ("r0", "low")


def test_a_rule_that_counts_says_that_it_waits() -> None:
    made = rules(COUNTED, Options(low=60.0), Options(low=60.0, on_delay_s=5.0))
    book = AlarmBook(made)
    detector = create(made[1:2])
    book.judge(detector.update(Batch.of([1], T0, [61.0])))
    shown = {k: book._sources[f"r{k}"].delayed for k in range(3)}
    assert shown == {0: True, 1: False, 2: True}


def test_the_counts_survive_being_saved() -> None:
    detector, other = create(rules(COUNTED)), create(rules(COUNTED))
    for second in (0, 1):
        detector.update(Batch.of([0], T0 + second * SECOND, [61.0]))
    other.restore(detector.save())
    assert other.update(Batch.of([0], T0 + 2 * SECOND, [61.0])).level.tolist() == [Level.LOW]
    assert detector.save()["times_ns"].shape == (1, 2, 3)
    assert detector.save()["times_ns"].dtype == np.int64
