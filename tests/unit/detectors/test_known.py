"""Values that are known again: gaps, bounds, what is kept when they become too many."""

from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.parts.known import VALUES_MAX, Known


def taught(values: list[float]) -> Known:
    known = Known()
    for value in values:
        if known.gap(value) > 0.0:
            known.add(value)
    return known


def test_a_gap_is_the_distance_to_the_nearest_on_either_side() -> None:
    known = taught([1.0, 5.0, 2.0])
    assert [known.gap(value) for value in (0.0, 1.0, 3.0, 4.5, 9.0)] == [1.0, 0.0, 1.0, 0.5, 4.0]
    assert known.nearest(4.5) == 5.0
    assert known.nearest(-9.0) == 1.0


def test_nothing_is_known_to_begin_with() -> None:
    assert Known().gap(3.0) == inf
    assert isnan(Known().nearest(3.0))


@given(st.lists(st.floats(-1e100, 1e100), min_size=1, max_size=40))
def test_gaps_are_those_of_a_plain_search(values: list[float]) -> None:
    known = taught(values[1:])
    expected = min((abs(values[0] - value) for value in values[1:]), default=inf)
    assert known.gap(values[0]) == pytest.approx(expected)


@pytest.mark.parametrize("spread", [1.0, 1e-9, 1e9])
def test_memory_is_bounded_and_what_was_seen_stays_known(spread: float) -> None:
    values = (np.random.default_rng(1).standard_t(2, 20_000) * spread).tolist()
    known = taught(values)
    assert len(known.values) < VALUES_MAX
    assert list(known.values) == sorted(known.values)
    assert known.resolution <= (max(values) - min(values)) / 10
    assert all(known.gap(value) == 0.0 for value in values[:-1000:7])
    assert known.gap(max(values) + 3 * known.resolution) > 0.0


def test_extremes_are_kept_when_values_are_thinned() -> None:
    known = taught([-1000.0, 1000.0, *np.linspace(0, 1, 3 * VALUES_MAX).tolist()])
    assert (known.values[0], known.values[-1]) == (-1000.0, 1000.0)


def test_what_is_saved_comes_back() -> None:
    known, other = taught([3.0, 1.0, 2.5]), Known()
    column = np.zeros(VALUES_MAX)
    known.save(column)
    other.restore(column, known.resolution)
    assert list(other.values) == [1.0, 2.5, 3.0]
    assert other.gap(2.0) == known.gap(2.0) == 0.5
