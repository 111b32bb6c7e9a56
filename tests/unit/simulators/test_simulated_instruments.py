"""What instruments make of the truth, as whole columns."""

import numpy as np
import pytest
from numpy.typing import ArrayLike

from simulators.instruments import Heads, HeadSpec

IDEAL = {"owner": 0, "low": -10.0, "high": 100.0, "t90_s": 0.0, "noise": 0.0, "resolution": 0.0}


def heads(*specs: dict[str, float], warm_up_s: tuple[float, ...] = (0.0,), seed: int = 1):
    made = Heads([HeadSpec(**{**IDEAL, **spec}) for spec in specs], list(warm_up_s), np.random.default_rng(seed))
    made.settle(np.zeros(len(specs)))
    return made


def advance(made: Heads, felt: ArrayLike, seconds: float, dt_s: float = 0.1, speed: float = 1.0):
    felt = np.asarray(felt, float)
    shown = []
    for _ in range(round(seconds / dt_s)):
        made.step(felt, np.full(len(felt), speed), 0.0, dt_s)
        shown.append(made.shown.copy())
    return np.array(shown)


def test_a_head_shows_90_percent_of_a_step_after_its_t90():
    made = heads({"t90_s": 10.0}, {"t90_s": 20.0}, {"t90_s": 0.0})
    shown = advance(made, [50, 50, 50], 10.0)[-1]
    assert shown == pytest.approx([45.0, 50 * (1 - 0.1**0.5), 50.0], rel=1e-6)


def test_the_lag_of_smoke_and_heat_heads_depends_on_the_air_speed():
    calm = advance(heads({"length_m": 2.0}, {"rti": 30.0}), [50, 50], 4.0, speed=0.25)[-1]
    windy = advance(heads({"length_m": 2.0}, {"rti": 30.0}), [50, 50], 4.0, speed=4.0)[-1]
    assert calm == pytest.approx([50 * (1 - np.exp(-4 / 8)), 50 * (1 - np.exp(-4 / 60))], rel=1e-6)
    assert windy == pytest.approx([50 * (1 - np.exp(-4 / 0.5)), 50 * (1 - np.exp(-4 / 15))], rel=1e-6)


def test_noise_has_its_standard_deviation_and_no_mean():
    shown = advance(heads({"noise": 0.5}), [20], 400.0)[:, 0]
    assert shown.std() == pytest.approx(0.5, rel=0.05)
    assert shown.mean() == pytest.approx(20, abs=0.05)


def test_zero_drift_is_a_random_walk_of_its_size_an_hour():
    specs = [{"walk_per_h": 2.0}] * 400
    made = heads(*specs)
    for _ in range(60):
        made.step(np.full(400, 20.0), np.ones(400), 0.0, 60.0)
    assert made.shown.std() == pytest.approx(2.0, rel=0.12)


def test_values_come_in_steps_of_the_resolution_and_end_at_the_range():
    made = heads({"resolution": 0.5, "low": 0.0}, {"resolution": 0.5, "low": 0.0}, {"low": 0.0})
    shown = advance(made, [20.3, 240.0, -5.0], 0.1)[-1]
    assert shown.tolist() == [20.5, 100.0, 0.0]
    assert made.over_range.tolist() == [False, True, False]


def test_a_stuck_head_stands_still_and_comes_back():
    made = heads({}, {})
    advance(made, [10, 10], 1)
    made.stuck[0] = True
    assert advance(made, [60, 60], 1)[-1].tolist() == [10.0, 60.0]
    made.stuck[0] = False
    assert advance(made, [60, 60], 1)[-1].tolist() == [60.0, 60.0]


def test_a_poisoned_head_loses_half_its_sensitivity_each_half_life_down_to_what_is_left():
    made = heads({})
    made.poison_per_s[0], made.poison_floor[0] = np.log(2) / 60, 0.2
    assert advance(made, [40], 60)[-1][0] == pytest.approx(20, rel=1e-6)
    assert advance(made, [40], 600)[-1][0] == pytest.approx(8, rel=1e-6)
    made.unfault(np.array([0]))
    assert advance(made, [40], 1)[-1][0] == pytest.approx(40)


def test_bias_and_drift_add_up():
    made = heads({})
    made.bias[0], made.drift_per_h[0] = 2.0, 36.0
    assert advance(made, [10], 100)[-1][0] == pytest.approx(13.0)


def test_a_cold_head_reads_too_high_and_says_so_until_it_is_warm():
    made = heads({}, warm_up_s=(30.0,))
    assert advance(made, [10], 1)[-1][0] > 20
    assert made.warming_up.tolist() == [True]
    assert advance(made, [10], 30)[-1][0] == pytest.approx(10)
    assert made.warming_up.tolist() == [False]
    made.restart(0)
    assert made.warming_up.tolist() == [True]


def test_an_inhibited_instrument_holds_all_its_values_and_its_neighbour_does_not():
    made = heads({"owner": 0}, {"owner": 0}, {"owner": 1}, warm_up_s=(0.0, 0.0))
    made.inhibited[0] = True
    assert advance(made, [50, 50, 50], 1)[-1].tolist() == [0.0, 0.0, 50.0]


def test_the_heartbeat_counts_seconds_and_stops_when_the_processor_hangs():
    made = heads({})
    advance(made, [0], 5)
    assert int(made.beats_s(0)) == 5
    made.hung[0] = True
    advance(made, [0], 5)
    assert int(made.beats_s(0)) == 5


def test_the_same_seed_gives_the_same_columns():
    specs = [{"noise": 1.0, "walk_per_h": 1.0}] * 5
    first, again, other = (advance(heads(*specs, seed=seed), [10] * 5, 5) for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()
