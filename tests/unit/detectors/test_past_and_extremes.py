import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.parts.extremes import PLACES, Extremes
from detectors.parts.past import Past

FIGURES = np.random.default_rng(6).exponential(1.0, 60_000)


def test_a_rank_in_the_past_is_right_to_its_bins() -> None:
    past = Past(2)
    past.note(np.ones(len(FIGURES), np.intp), FIGURES)
    asked = np.quantile(FIGURES, [0.1, 0.5, 0.9, 0.999])
    assert past.rank(np.ones(4, np.intp), asked) == pytest.approx([0.1, 0.5, 0.9, 0.999], abs=0.01)
    assert np.isnan(past.rank(np.array([0]), np.array([1.0]))).all()


def test_nothing_in_the_past_is_certain() -> None:
    past = Past(1)
    past.note(np.zeros(9, np.intp), np.arange(9.0))
    assert past.rank(np.array([0]), np.array([1e300])).tolist() == [0.9]


def test_a_full_past_is_halved_and_keeps_its_ranks() -> None:
    past = Past(1)
    past.note(np.zeros(1000, np.intp), FIGURES[:1000])
    before = past.rank(np.array([0]), np.array([1.0]))
    past.counts[0] *= np.iinfo(np.int32).max // past.counts.max() - 1
    past.note(np.zeros(200_000, np.intp), np.full(200_000, np.median(FIGURES)))
    assert (past.counts >= 0).all()
    assert before > 0


@pytest.mark.parametrize("count", [10, PLACES, 4 * PLACES + 7, 40_000])
def test_the_tail_of_extremes_is_exact_however_long_the_past(count: int) -> None:
    extremes, scores = Extremes(1), FIGURES[:count].astype(np.float32)
    for score in scores.tolist():
        extremes.note(0, score)
    highest = float(scores.max())
    assert extremes.quantile(0, 1.0 - 1e-12) == highest
    assert count <= extremes.count(0) <= count + extremes.shape[0, 1]
    for share in (0.99, 0.999):
        if count * (1 - share) >= 4:
            asked = float(np.quantile(scores, share))
            assert extremes.rank(0, asked) == pytest.approx(share, abs=0.5 * (1 - share))
            assert extremes.quantile(0, share) == pytest.approx(asked, rel=0.1)


@given(st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=60))
def test_a_rank_never_falls_with_the_score(scores: list[float]) -> None:
    extremes = Extremes(1)
    for score in scores:
        extremes.note(0, score)
    ranks = [extremes.rank(0, score) for score in sorted(scores)]
    assert ranks == sorted(ranks)
    assert 0.0 <= ranks[0] <= ranks[-1] < 1.0


def test_extremes_without_a_past_say_nothing() -> None:
    extremes = Extremes(1)
    assert math.isnan(extremes.rank(0, 1.0))
    assert math.isnan(extremes.quantile(0, 0.9))
