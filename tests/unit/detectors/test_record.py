"""The record of surprises: it calibrates itself, one event makes one alert, scores say how rare."""

import numpy as np
import pytest

from detectors.parts.record import GROWS_MAX, RARE, Record

MINUTE = 60 * 10**9
DAY = 1440


def taught(surprises: list[float]) -> Record:
    record = Record()
    for minute, surprise in enumerate(surprises):
        record.take(surprise, minute * MINUTE, learned=minute > 150)
    return record


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_ratios_do_not_depend_on_the_unit_of_surprises(unit: float) -> None:
    surprises = np.random.default_rng(1).exponential(size=500)
    record = taught((surprises * unit).tolist())
    assert record.ratio(20.0 * unit, DAY * MINUTE) == pytest.approx(
        taught(surprises.tolist()).ratio(20.0, DAY * MINUTE)
    )


def test_no_surprise_is_none_and_a_first_one_is_beyond_all_measure() -> None:
    assert Record().ratio(0.0, 0) == 0.0
    assert Record().ratio(1e-12, 0) == float("inf")
    assert Record().ratio(3.0, 0, floor=2.0) == 1.5


def test_an_event_makes_one_alert() -> None:
    record = taught([1.0] * 1000)
    at = 1000 * MINUTE
    assert record.ratio(10.0, at) > 5.0
    record.take(10.0, at, learned=True)
    later = [record.ratio(10.0, at + hours * 60 * MINUTE) for hours in (0, 1, 6, 48)]
    assert later[0] == 1.0
    assert later == sorted(later)
    assert later[1] < 1.5 < later[2]


def test_one_wild_reading_does_not_make_a_channel_deaf() -> None:
    record = taught([1.0] * 1000)
    before = record.most
    record.take(1e12, 1000 * MINUTE, learned=True)
    assert record.most <= GROWS_MAX * before
    assert record.ratio(3.0, (1000 + 30 * DAY) * MINUTE) > 1.5


def test_while_learning_the_record_grows_as_it_must() -> None:
    record = Record()
    record.take(1.0, 0, learned=False)
    record.take(50.0, MINUTE, learned=False)
    assert record.most == 50.0


def test_the_record_fades_with_the_square_of_the_readings() -> None:
    record = taught([1.0] + [0.0] * 999)
    half = record.most
    for minute in range(1000, 2000):
        record.take(0.0, minute * MINUTE, learned=True)
    assert record.most / half == pytest.approx(0.25, rel=0.02)


def test_scores_say_what_share_of_past_readings_was_less_of_a_surprise() -> None:
    record = Record()
    for ratio in np.random.default_rng(2).random(20_000):
        record.count(float(ratio) ** 4)
    for share in (0.5, 0.9, 0.99):
        # Ratios are the fourth power of even shares; counts are by half octaves, so a score may lag by one.
        assert record.score(share**4) <= share <= record.score(min(share**4 * 2**0.5, 1.0)) + 0.01
    assert record.score(0.0) == 0.0


def test_beyond_the_record_scores_rise_without_end_and_never_reach_one() -> None:
    record = Record()
    scores = [record.score(ratio) for ratio in (0.999, 1.0, 1.5, 3.0, 100.0, 1e6)]
    assert scores == sorted(set(scores))
    assert scores[1] == 1.0 - RARE
    assert scores[-1] < 1.0
    assert np.float32(record.score(1.50)) < np.float32(record.score(1.51))


def test_time_that_steps_back_makes_no_event_greater() -> None:
    record = taught([1.0] * 10)
    record.take(5.0, 1000 * MINUTE, learned=True)
    assert record.ratio(5.0, 0) <= record.ratio(5.0, 1000 * MINUTE) == 1.0
