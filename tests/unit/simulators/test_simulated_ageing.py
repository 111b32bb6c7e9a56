"""Heads that lose sensitivity and zero with their time in service."""

import numpy as np
import pytest

from simulators.instruments import Heads, HeadSpec

YEAR_S = 365.25 * 86_400.0


def heads(**ageing: float) -> Heads:
    spec = HeadSpec(owner=0, low=-10.0, high=100.0, t90_s=1.0, noise=0.0, resolution=0.0, **ageing)
    return Heads([spec], [0.0], np.random.default_rng(1))


def shown(aged: Heads, felt: float, seconds: float, wear: float | None = None) -> float:
    times = None if wear is None else np.array([wear])
    for _ in range(10):
        aged.step(np.array([felt]), np.ones(1), 0.0, seconds / 10.0, wear=times)
    return float(aged.shown[0])


def test_after_a_year_a_head_shows_what_its_fade_leaves_and_its_zero_has_moved():
    aged = heads(fade_per_year=0.1, zero_per_year=0.5)
    aged.settle(np.zeros(1))
    assert shown(aged, 50.0, YEAR_S) == pytest.approx(0.9 * 50.0 + 0.5, rel=1e-6)
    assert shown(aged, 0.0, YEAR_S) == pytest.approx(1.0, rel=1e-6)
    assert shown(aged, 50.0, YEAR_S) == pytest.approx(0.9**3 * 50.0 + 1.5, rel=1e-6)


def test_a_head_that_has_served_three_years_begins_with_their_loss():
    aged = heads(fade_per_year=0.1, zero_per_year=0.5, years=3.0)
    aged.settle(np.array([50.0]))
    assert aged.shown[0] == pytest.approx(0.9**3 * 50.0 + 1.5)
    assert shown(aged, 50.0, 60.0) == pytest.approx(0.9**3 * 50.0 + 1.5, rel=1e-5)


def test_poison_ages_a_head_as_many_times_faster():
    clean, poisoned = heads(fade_per_year=0.1, zero_per_year=0.5), heads(fade_per_year=0.1, zero_per_year=0.5)
    for aged in (clean, poisoned):
        aged.settle(np.zeros(1))
    slow = shown(clean, 50.0, 10.0 * YEAR_S / 365.25)
    fast = shown(poisoned, 50.0, YEAR_S / 365.25, wear=10.0)
    assert fast == pytest.approx(slow, rel=1e-9)


def test_a_new_head_in_an_old_ones_place_is_as_good_as_new():
    aged = heads(fade_per_year=0.3, zero_per_year=1.0, years=5.0)
    aged.settle(np.zeros(1))
    aged.unfault(np.array([0], np.intp))
    assert shown(aged, 50.0, 60.0) == pytest.approx(50.0, rel=1e-5)


def test_a_head_without_ageing_never_changes():
    ageless = heads(years=50.0)
    ageless.settle(np.zeros(1))
    assert shown(ageless, 50.0, 10.0 * YEAR_S, wear=1000.0) == 50.0
