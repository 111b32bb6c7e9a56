"""Novelty: what is told, once, with reasons; what is learned and what is not; the benchmark where it is at hand."""

import os
from collections.abc import Callable
from math import pi, sin
from pathlib import Path

import numpy as np
import pytest

from detectors.novelty import Novelty, Options, create
from gateway.core.model import Batch, Channel, Level, Quality, Rule, Verdicts

STEP = 5 * 60 * 10**9
DAY = 288
"""Readings a day."""
START = 1_700_006_400 * 10**9
"""Midnight in Greenwich."""


def channel(row: int = 0, **given: object) -> Channel:
    return Channel(row, f"t-{row}.t", f"t-{row}", "temperature", "°C", decimals=1, **given)  # type: ignore[arg-type]


def made(channels: int = 1, **given: float) -> Novelty:
    rules = [Rule(k, f"r{k}", "novelty", (channel(k),), Options(**given)) for k in range(channels)]
    found = create(rules)
    assert isinstance(found, Novelty)
    return found


def usual(step: int) -> float:
    """A room: warmer by day, a little restless."""
    return 20.0 + 3.0 * sin(2 * pi * (step % DAY) / DAY) + 0.3 * sin(step * 1.7) + 0.2 * sin(step * 0.31)


def told(
    detector: Novelty,
    steps: range,
    value: Callable[[int], float] = usual,
    quality: Quality = Quality.GOOD,
) -> list[tuple[int, str, str]]:
    """Return what is told of a channel: the step, the level, and why."""
    found = []
    for step in steps:
        verdicts = detector.update(Batch.of([0], START + step * STEP, [value(step)], [quality]))
        found += [(step, *one) for one in entries(verdicts)]
    return found


def entries(verdicts: Verdicts) -> list[tuple[str, str]]:
    pairs = zip(verdicts.level, verdicts.reason, strict=True)
    return [(Level(int(level)).name, reason.en) for level, reason in pairs]


def taught(days: int = 4) -> Novelty:
    detector = made()
    assert told(detector, range(days * DAY)) == []
    assert detector.ready.all()
    return detector


def test_it_learns_for_two_days_and_says_so() -> None:
    detector = made()
    told(detector, range(2 * DAY))
    assert not detector.ready.any()
    assert np.isnan(detector.score).all()
    told(detector, range(2 * DAY, 2 * DAY + 2))
    assert detector.ready.all()
    assert not np.isnan(detector.score).any()


def test_a_value_never_seen_is_told_once_with_what_was_nearest() -> None:
    detector = taught()
    fire = told(detector, range(4 * DAY, 4 * DAY + 6), lambda step: usual(step) + 8.0)
    assert [(step, level) for step, level, _ in fire] == [(4 * DAY, "WARNING")]
    assert fire[0][2].startswith("27.6 °C never seen, the nearest was 23.")
    assert "usual at this hour 20." in fire[0][2]


def test_scores_are_calibrated_on_the_channel_s_own_past() -> None:
    detector = taught(12)
    scores = []
    for step in range(12 * DAY, 24 * DAY):
        detector.update(Batch.of([0], START + step * STEP, [usual(step)]))
        scores.append(detector.score[0])
    assert np.mean(np.array(scores) >= 0.99) < 0.02
    assert np.mean(np.array(scores) >= 0.999) < 0.002
    detector.update(Batch.of([0], START + 24 * DAY * STEP, [35.0]))
    assert 0.9999 < detector.score[0] < 1.0


def test_it_is_over_when_nothing_was_unusual_for_the_delay() -> None:
    detector = taught()
    told(detector, range(4 * DAY, 4 * DAY + 1), lambda _: 40.0)
    after = told(detector, range(4 * DAY + 1, 5 * DAY))
    assert [(step - 4 * DAY, level) for step, level, _ in after] == [(73, "NORMAL")]
    assert after[0][2].endswith("°C, as it has been before")


def test_a_known_value_at_an_hour_at_which_it_never_was_is_unusual() -> None:
    detector = taught(6)
    # The warmest of noon, at six in the evening where it is coldest.
    odd = told(detector, range(6 * DAY + 216, 6 * DAY + 217), lambda _: usual(72))
    assert [level for _, level, _ in odd] == ["WARNING"]
    assert "when 17." in odd[0][2]
    assert "is usual at this hour" in odd[0][2]


def test_reasons_are_given_in_chinese_too() -> None:
    verdicts = taught().update(Batch.of([0], START + 4 * DAY * STEP, [50.0]))
    (reason,) = verdicts.reason
    assert "50.0 °C 从未出现过" in reason.zh
    assert verdicts.limit[0] < 24.0 < verdicts.value[0] == 50.0


def test_the_same_thing_again_is_no_news() -> None:
    detector = taught()
    spike = 4 * DAY + 100
    assert len(told(detector, range(4 * DAY, 5 * DAY), lambda m: 40.0 if m == spike else usual(m))) == 2
    again = spike + 5 * DAY
    assert told(detector, range(5 * DAY, 10 * DAY), lambda m: 40.0 if m == again else usual(m)) == []


def test_what_is_usual_is_not_learned_from_what_is_told() -> None:
    detector, other = taught(), taught()
    told(detector, range(4 * DAY, 4 * DAY + 48), lambda step: usual(step) + 8.0)
    told(other, range(4 * DAY, 4 * DAY + 48))
    before, after = other.save(), detector.save()
    assert np.abs(after["usual"] - taught().save()["usual"]).max() == 0.0
    assert (after["figures"][:, 3] == taught().save()["figures"][:, 3]).all()
    assert before["figures"][0, 3] > after["figures"][0, 3]


@pytest.mark.parametrize("quality", [Quality.MAINTENANCE, Quality.TEST, Quality.CLOCK_DOUBTFUL, Quality.UNCERTAIN])
def test_nothing_is_learned_from_readings_that_are_not_good(quality: Quality) -> None:
    detector = made(learn_s=6000.0)
    told(detector, range(2 * DAY), quality=quality)
    assert not detector.ready.any()


def test_a_steady_channel_may_flicker_by_its_floor() -> None:
    detector = create([Rule(0, "r", "novelty", (channel(range_low=0.0, range_high=100.0),), Options())])
    steady = [Batch.of([0], START + step * STEP, [20.0]) for step in range(3 * DAY)]
    assert sum(len(detector.update(batch)) for batch in steady) == 0
    assert len(detector.update(Batch.of([0], START + 3 * DAY * STEP, [20.7]))) == 0
    assert len(detector.update(Batch.of([0], START + (3 * DAY + 1) * STEP, [22.5]))) == 1


def test_a_wild_value_in_the_days_of_learning_does_not_make_it_blind() -> None:
    detector = create([Rule(0, "r", "novelty", (channel(range_low=0.0, range_high=100.0),), Options())])
    for step in range(4 * DAY):
        detector.update(Batch.of([0], START + step * STEP, [1e300 if step == 100 else usual(step)]))
    found = detector.update(Batch.of([0], START + 4 * DAY * STEP, [60.0]))
    assert [level for level, _ in entries(found)] == ["WARNING"]


def test_a_slow_drift_is_no_novelty_and_is_left_to_others() -> None:
    """Said in its page: who relies on novelty for leaks relies on nothing."""
    detector = taught()
    assert told(detector, range(4 * DAY, 9 * DAY), lambda step: usual(step) + (step - 4 * DAY) * 0.0005) == []


def test_state_is_small_whatever_is_shown() -> None:
    detector = made(3, learn_s=600.0)
    random = np.random.default_rng(1)
    for step in range(2000):
        detector.update(Batch.of([0, 1, 2], START + step * STEP, random.standard_t(1.5, 3) * 1000))
    assert sum(column.nbytes for column in detector.save().values()) <= 3 * 10_000
    assert all(len(view.known.values) <= 512 for one in detector._familiar for view in one.views)


@pytest.mark.skipif("HAZGATE_RECORDINGS" not in os.environ, reason="HAZGATE_RECORDINGS names no recordings")
def test_the_numenta_benchmark_is_met() -> None:
    from benchmarks import detection_nab  # noqa: PLC0415  # needs the recordings

    folder = Path(os.environ["HAZGATE_RECORDINGS"], "nab")
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    corpus = detection_nab.corpus(folder)
    scores, _, size = detection_nab.judged(list(corpus.recordings.values()), 10**9)
    ours = {name: np.nan_to_num(score) for name, score in zip(corpus.recordings, scores, strict=True)}
    row = detection_nab.Row.of(ours, corpus.windows)
    assert row.standard >= detection_nab.FLOOR
    assert min(row.categories, row.folds) >= detection_nab.FLOOR
    assert size <= detection_nab.BYTES_GOAL
