import numpy as np
import pytest

from detectors.parts.baseline import BLOCKS, Baseline, default_floor
from gateway.core.model import Channel

ONE = np.array([0])
DAY = 86_400.0


def baseline(*, learn_s: float = DAY, floor: float = 0.01, adapt_per_day: float = 0.0) -> Baseline:
    return Baseline(np.array([learn_s, learn_s]), np.array([floor, floor]), np.array([adapt_per_day, 0.0]))


def learn(found: Baseline, values: np.ndarray, elapsed_s: float = 60.0) -> None:
    for value in values:
        found.learn(ONE, np.array([value]), np.array([elapsed_s]))


def day(seed: int = 1, *, noise: float = 0.5, swing: float = 2.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return 20 + swing * np.sin(2 * np.pi * np.arange(1440) / 1440) + random.normal(0, noise, 1440)


def test_the_band_is_where_the_level_has_been_and_the_noise_what_scatters_about_it() -> None:
    found = baseline()
    learn(found, day())
    assert found.ready.tolist() == [True]
    assert 17.8 < found.low[0] < 18.7
    assert 21.3 < found.high[0] < 22.2
    assert found.noise[0] == pytest.approx(0.5, rel=0.5)


def test_nothing_is_known_before_all_of_the_time_has_been_learned() -> None:
    found = baseline()
    learn(found, day()[:-1])
    assert not found.ready[0]
    assert np.isnan(found.excess(ONE, np.array([99.0])))[0]


def test_one_odd_block_is_not_learned() -> None:
    values = day(swing=0.0)
    values[300:420] += 30.0
    found = baseline()
    learn(found, values)
    assert found.high[0] < 24.0
    assert found.noise[0] < 1.0


def test_a_still_signal_has_the_floor_as_its_noise() -> None:
    found = baseline(floor=0.1)
    learn(found, np.zeros(1440))
    assert (found.low[0], found.high[0], found.noise[0]) == (0.0, 0.0, 0.1)


def test_once_learned_it_stands_still() -> None:
    found = baseline()
    learn(found, day())
    before = found.low[0], found.high[0], found.noise[0]
    learn(found, np.full(5000, 60.0))
    assert (found.low[0], found.high[0], found.noise[0]) == before
    assert not found.idle or found.ready.all()


def test_what_adapts_moves_by_no_more_than_its_share_a_day_so_that_a_slow_leak_is_not_learned() -> None:
    found = baseline(adapt_per_day=0.5)
    learn(found, day(swing=0.0))
    high, noise = found.high[0], found.noise[0]
    learn(found, np.full(1440, 60.0))
    assert found.high[0] - high == pytest.approx(0.5 * noise, rel=0.01)


def test_what_is_forgotten_is_learned_anew() -> None:
    found = baseline()
    learn(found, day())
    found.forget(ONE)
    assert not found.ready[0]
    learn(found, day() + 40.0)
    assert found.low[0] > 55.0


def test_rules_learn_each_for_themselves_in_any_order() -> None:
    both, one = (Baseline(np.full(3, 120.0), np.full(3, 0.01)) for _ in range(2))
    random = np.random.default_rng(3)
    for _ in range(130):
        values = random.normal([5.0, 50.0], [0.1, 2.0])
        both.learn(np.array([1, 0]), values[::-1], np.ones(2))
        one.learn(np.array([0]), values[:1], np.ones(1))
    assert (both.low[0], both.high[0], both.noise[0]) == (one.low[0], one.high[0], one.noise[0])


def test_few_figures_make_a_noise_from_how_far_they_lie_apart() -> None:
    found = baseline(learn_s=900.0 * BLOCKS)
    learn(found, np.random.default_rng(1).normal(10, 1.0, BLOCKS), 900.0)
    assert found.ready[0]
    assert 0.3 < found.noise[0] < 2.5


@pytest.mark.parametrize(("ends", "decimals", "floor"), [((0, 100), 1, 0.1), ((0, 100), 0, 1.0), ((0, 9000), 0, 9.0)])
def test_the_floor_is_a_last_digit_and_a_thousandth_of_the_range(
    ends: tuple[float, float], decimals: int, floor: float
) -> None:
    assert default_floor(Channel(0, "c", "i", "x", "u", *ends, decimals=decimals)) == floor
    assert default_floor(Channel(0, "c", "i", "x", "u", decimals=2)) == 0.01
