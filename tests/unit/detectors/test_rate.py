from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from detectors.rate import CELLS, Options, create
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule
from gateway.core.plugin import Detector

SECOND = 1_000_000_000
NAN = float("nan")


def make(**given: Any) -> Detector:
    channel = Channel(0, "ht-01.temperature", "ht-01", "temperature", "°C", -40.0, 125.0)
    return create([Rule(4, "r", "rate", (channel,), Options(**given), path=("rules", 2))])


def ramp(per_minute: float, seconds: Iterable[float], start: float = 20.0) -> list[tuple[float, float]]:
    return [(second, start + per_minute * second / 60.0) for second in seconds]


def first(detector: Detector, readings: Iterable[tuple[float, float]], quality: int = 0) -> tuple[float, int] | None:
    """Return when a level first changes, and to which."""
    for second, value in readings:
        found = detector.update(Batch.of([0], round(second * SECOND), [value], quality))
        if len(found):
            return second, int(found.level[0])
    return None


def test_a_slope_at_the_limit_raises_as_soon_as_half_the_window_is_seen() -> None:
    assert first(make(low=5.9, window_s=30), ramp(6.0, range(100))) == (15, Level.LOW)


def test_a_slope_below_the_limit_never_raises() -> None:
    assert first(make(low=6.1, window_s=30), ramp(6.0, range(300))) is None


def test_the_higher_limit_is_the_second_step() -> None:
    detector = make(low=5, high=8, window_s=10)
    assert first(detector, ramp(9.0, range(30))) == (5, Level.HIGH)


def test_the_verdict_tells_the_slope_and_the_limit() -> None:
    detector = make(low=5, window_s=10)
    found = [detector.update(Batch.of([0], second * SECOND, [value])) for second, value in ramp(6.0, range(6))][-1]
    assert found.value.tolist() == [pytest.approx(6.0)]
    assert found.limit.tolist() == [5.0]
    assert found.score.tolist() == [pytest.approx(0.2)]


def test_the_slope_is_that_of_least_squares() -> None:
    random = np.random.default_rng(3)
    seconds = np.cumsum(random.uniform(1.1, 2.0, 25))
    values = 20 + random.normal(0, 5, 25)
    detector = make(direction="both", low=1e-9, window_s=40, readings_min=14)
    for second, value in zip(seconds, values, strict=True):
        found = detector.update(Batch.of([0], round(second * SECOND), [value]))
        if len(found):
            seen = (seconds <= second) & (seconds >= second - 40)
            expected = np.polyfit(seconds[seen] / 60.0, values[seen], 1)[0]
            assert found.value[0] == pytest.approx(expected, rel=1e-6)
            return
    pytest.fail("nothing was judged")


def test_a_fall_is_judged_only_where_asked_for() -> None:
    assert first(make(low=5, window_s=10), ramp(-9.0, range(60))) is None
    assert first(make(low=5, window_s=10, direction="fall"), ramp(9.0, range(60))) is None
    assert first(make(low=5, window_s=10, direction="fall"), ramp(-9.0, range(60))) == (5, Level.LOW)
    assert first(make(low=5, window_s=10, direction="both"), ramp(-9.0, range(60))) == (5, Level.LOW)


def test_uneven_readings_give_the_same_slope() -> None:
    seconds = np.cumsum(np.random.default_rng(1).uniform(0.2, 3.0, 60))
    assert first(make(low=6.1, window_s=30), ramp(6.0, seconds)) is None
    assert first(make(low=5.9, window_s=30), ramp(6.0, seconds)) is not None


def test_a_burst_does_not_push_the_windows_beginning_out() -> None:
    detector = make(low=5.9, window_s=30)
    assert first(detector, ramp(6.0, np.arange(0, 14.9, 0.01))) is None
    assert first(detector, ramp(6.0, np.arange(15.0, 40, 0.01))) is not None


def test_readings_on_both_sides_of_a_gap_make_no_slope() -> None:
    detector = make(low=5, window_s=30)
    assert first(detector, [(second, 20.0) for second in range(40)]) is None
    assert first(detector, [(second, 60.0) for second in range(100, 140)]) is None


def test_too_few_readings_make_no_slope() -> None:
    assert first(make(low=5, window_s=30, readings_min=5), ramp(60.0, range(0, 300, 10))) is None
    assert first(make(low=5, window_s=30, readings_min=4), ramp(60.0, range(0, 300, 10))) == (30, Level.LOW)


def test_one_odd_reading_counts_little() -> None:
    readings = [(second, 20.0 + (2.0 if second == 50 else 0.0)) for second in range(120)]
    assert first(make(low=4.0, window_s=30), readings) is None


def test_a_step_of_the_value_raises() -> None:
    readings = [(second, 20.0 if second < 60 else 30.0) for second in range(120)]
    assert first(make(low=5.0, window_s=30), readings) is not None


def test_a_rise_out_of_long_quiet_is_found_as_if_there_had_been_none() -> None:
    fresh, rested = make(low=5, window_s=30), make(low=5, window_s=30)
    assert first(rested, [(second, 20.0) for second in range(-1000, -30)]) is None
    flat = [(second, 20.0) for second in range(-30, 0)]
    found = first(fresh, flat + ramp(9.0, range(60)))
    assert found is not None
    assert found == first(rested, flat + ramp(9.0, range(60)))


def test_a_rise_around_the_resting_value_in_few_readings_is_found() -> None:
    detector = make(low=6, window_s=30)
    assert first(detector, [(second, 20.0) for second in range(60)]) is None
    assert first(detector, [(100, 19.2), (101, 19.2), (115, 20.8)]) == (115, Level.LOW)


@pytest.mark.parametrize("quality", [quality for quality in Quality if quality >= Quality.BAD])
def test_bad_readings_neither_raise_nor_clear(quality: Quality) -> None:
    detector = make(low=5, window_s=10)
    assert first(detector, ramp(9.0, range(10))) == (5, Level.LOW)
    assert first(detector, [(second, NAN) for second in range(10, 100)], quality) is None
    assert detector.level.tolist() == [Level.LOW]


def test_bad_readings_leave_only_a_gap() -> None:
    detector = make(low=5.9, window_s=30)
    for second, value in ramp(6.0, range(40)):
        bad = second % 3 == 1
        detector.update(Batch.of([0], second * SECOND, [NAN if bad else value], 129 if bad else 0))
    assert detector.level.tolist() == [Level.LOW]


def test_an_alarm_ends_only_after_slopes_below_the_deadband() -> None:
    detector = make(low=5, deadband=0.2, window_s=10)
    assert first(detector, ramp(6.0, range(60))) == (5, Level.LOW)
    assert first(detector, ramp(4.5, range(60, 160), 21.5)) is None
    assert first(detector, [(second, 30.0) for second in range(160, 200)]) is not None
    assert detector.level.tolist() == [Level.NORMAL]


def test_an_alarm_outlasts_a_gap_until_a_slope_says_otherwise() -> None:
    detector = make(low=5, window_s=10)
    assert first(detector, ramp(9.0, range(10))) == (5, Level.LOW)
    assert first(detector, [(second, 20.0) for second in (1000, 1001, 1002)]) is None
    assert first(detector, [(second, 20.0) for second in (1003, 1004, 1005)]) == (1005, Level.NORMAL)


def test_delays_hold_the_step_back_and_keep_it() -> None:
    assert first(make(low=5, window_s=10, on_delay_s=3), ramp(9.0, range(60))) == (8, Level.LOW)
    detector = make(low=5, window_s=10, hold_s=50)
    assert first(detector, ramp(9.0, range(10))) == (5, Level.LOW)
    assert first(detector, [(second, 21.5) for second in range(10, 100)]) == (55, Level.NORMAL)


def test_a_clock_set_back_does_not_prolong_the_hold_by_the_step() -> None:
    detector = make(low=5, window_s=10, hold_s=20)
    assert first(detector, ramp(9.0, range(3600, 3610), -520)) == (3605, Level.LOW)
    assert first(detector, [(second, 20.0) for second in range(100)]) == (20, Level.NORMAL)


def test_below_the_floor_a_rise_is_no_alarm() -> None:
    assert first(make(low=5, window_s=10, above=30), ramp(6.0, range(200))) == (100, Level.LOW)


def test_readings_from_before_a_clock_set_back_make_no_slope_with_those_after() -> None:
    detector = make(low=5, window_s=30)
    assert first(detector, [(second, 80.0) for second in range(100, 140)]) is None
    assert first(detector, [(second, 20.0) for second in range(125, 200)]) is None


def test_over_range_may_raise_and_never_clears() -> None:
    detector = make(low=5, window_s=10)
    assert first(detector, [(second, 20.0) for second in range(20)]) is None
    assert first(detector, [(20, 3.0)], Quality.OVER_RANGE) == (20, Level.LOW)
    assert first(detector, [(second, 3.0) for second in range(21, 100)], Quality.OVER_RANGE) is None


def test_a_large_offset_does_not_drown_the_slope() -> None:
    assert first(make(low=0.59, window_s=30), ramp(0.6, range(60), 1e9)) == (15, Level.LOW)
    assert first(make(low=0.61, window_s=30), ramp(0.6, range(60), 1e9)) is None


def test_monstrous_values_end_in_no_warning_and_pass() -> None:
    detector = make(low=5, window_s=10)
    first(detector, [(0, 1e308), (1, -1e308), (2, 1e308), (6, 20.0), (7, 20.0)])
    assert first(detector, [(second, 20.0) for second in range(20, 60)]) in (None, (25, Level.NORMAL))
    assert detector.level.tolist() == [0]


def test_a_large_batch_judges_as_single_readings_do() -> None:
    rules = [
        Rule(i, f"r{i}", "rate", (Channel(i, f"c{i}", "i", "t"),), Options(direction="both", low=3, window_s=20))
        for i in range(500)
    ]
    whole, single, random = create(rules), create(rules), np.random.default_rng(5)
    for second in range(60):
        batch = Batch.of(np.arange(500), second * SECOND, 20 + random.normal(0, 0.5, 500))
        together = whole.update(batch)
        apart = [single.update(batch.take(slice(i, i + 1))) for i in range(500)]
        assert together.value.tolist() == [value for found in apart for value in found.value.tolist()]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "must be given"),
        ({"low": 8, "high": 5}, "must be below"),
        ({"low": 0}, "greater than 0"),
        ({"low": 5, "window_s": 0.5}, "greater than or equal to 1"),
        ({"low": 5, "readings_min": CELLS}, "less than or equal"),
        ({"low": 5, "deadband": 1.0}, "less than 1"),
        ({"low": 5, "direction": "up"}, "rise"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Options.model_validate(given)


def test_a_window_that_could_never_be_judged_is_refused() -> None:
    channel = Channel(0, "ht-01.t", "ht-01", "temperature", "°C", period_s=20.0)
    with pytest.raises(ConfigError, match=r"rules\[2\]\.options\.window_s: 30 s hold fewer than 3 readings"):
        create([Rule(0, "r", "rate", (channel,), Options(low=5), path=("rules", 2))])


@pytest.mark.parametrize("seed", range(3))
def test_what_rests_is_found_at_the_same_reading_as_if_it_never_rested(seed: int) -> None:
    """Nothing that a cheap look lets pass would have been found by a thorough one."""
    random = np.random.default_rng(seed)
    rested, restless = (make(low=2.0, high=6.0, window_s=30, direction="both") for _ in range(2))
    restless._quiet_band = np.full_like(restless._quiet_band, -1.0)
    second, level, told = 0.0, 20.0, []
    for _ in range(1500):
        second += float(
            random.choice([1.0, 1.0, 1.0, 1.0, 0.2, 3.0, 6.0, 20.0], p=[0.7, 0.1, 0.1, 0.05, 0.02, 0.01, 0.01, 0.01])
        )
        level += float(random.choice([0.0, 0.03, -0.03, 0.3, 1.0, -1.0], p=[0.6, 0.15, 0.15, 0.08, 0.01, 0.01]))
        batch = Batch.of([0], round(second * SECOND), [level + random.normal(0, 0.1)])
        found = [one.update(batch) for one in (rested, restless)]
        assert found[0].level.tolist() == found[1].level.tolist()
        assert found[0].value.tolist() == found[1].value.tolist()
        told += found[0].level.tolist()
    assert told
