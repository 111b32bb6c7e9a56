from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from detectors.noise import Noise, Options, create
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule, Verdicts

SECOND = 1_000_000_000
HOUR = 3600
PERIOD = 60


def make(period_s: float = PERIOD, **given: Any) -> Noise:
    channel = Channel(0, "ht-01.t", "ht-01", "temperature", "°C", 0.0, 100.0, 2, period_s)
    options = Options(**{"window_s": 480.0, "settle_s": 4 * HOUR, "floor": 0.1, **given})
    detector = create([Rule(4, "r", "noise", (channel,), options, path=("rules", 2))])
    assert isinstance(detector, Noise)
    return detector


def run(
    detector: Noise, hours: tuple[float, float], value: Callable[[float, np.random.Generator], float], quality: int = 0
) -> list[tuple[int, Verdicts]]:
    random, found = np.random.default_rng(3), []
    for second in range(round(hours[0] * HOUR), round(hours[1] * HOUR), PERIOD):
        verdicts = detector.update(Batch.of([0], second * SECOND, [value(second, random)], quality))
        if len(verdicts):
            found.append((second, verdicts))
    return found


def hiss(size: float) -> Callable[[float, np.random.Generator], float]:
    return lambda _, random: 20.0 + random.normal(0, size)


def spiky(*at: int, size: float = 30.0) -> Callable[[float, np.random.Generator], float]:
    return lambda second, random: 20.0 + random.normal(0, 0.05) + (size if second in at else 0.0)


def test_noise_far_beyond_its_own_record_warns_and_ends() -> None:
    detector = make()
    assert run(detector, (0, 12), hiss(0.05)) == []
    (begun, verdicts), *more = run(detector, (12, 13), hiss(0.6))
    assert more == []
    assert verdicts.level.tolist() == [Level.WARNING]
    assert begun < 12 * HOUR + 600
    assert verdicts.reason[0].en.endswith("K here before")
    assert verdicts.value[0] > verdicts.limit[0]
    (_, verdicts), *more = run(detector, (13, 16), hiss(0.05))
    assert verdicts.level.tolist() == [Level.NORMAL]
    assert more == []


def test_the_same_noise_is_usual_for_a_channel_that_always_had_it() -> None:
    detector = make()
    assert run(detector, (0, 24), hiss(2.0)) == []


@pytest.mark.parametrize("slope", [0.0001, 0.001, 0.01])
def test_a_ramp_and_a_step_are_no_noise(slope: float) -> None:
    detector = make()
    run(detector, (0, 12), hiss(0.02))
    assert run(detector, (12, 14), lambda second, _: 20.0 + slope * (second - 12 * HOUR)) == []
    assert run(detector, (14, 16), lambda _, random: 90.0 + random.normal(0, 0.02)) == []


def test_one_spike_of_some_size_warns_of_nothing_and_two_close_together_do() -> None:
    detector = make()
    run(detector, (0, 48), hiss(0.05))
    assert run(detector, (48, 52), spiky(50 * HOUR, size=1.8)) == []
    (begun, verdicts), *_ = run(detector, (52, 54), spiky(53 * HOUR, 53 * HOUR + 180, size=1.8))
    assert begun == 53 * HOUR + 240
    assert verdicts.reason[0].zh.startswith("噪声")


def test_a_spike_beyond_all_reason_warns_alone_when_it_comes_back() -> None:
    detector = make()
    run(detector, (0, 48), hiss(0.05))
    (begun, verdicts), *_ = run(detector, (48, 50), spiky(49 * HOUR, size=40.0))
    assert begun == 49 * HOUR + 60
    assert "with jumps of up to 40." in verdicts.reason[0].en or "with jumps of up to 39." in verdicts.reason[0].en
    assert "跳变达" in verdicts.reason[0].zh


def test_noise_that_was_told_as_a_fault_is_not_learned_and_warns_again() -> None:
    detector = make()
    run(detector, (0, 24), hiss(0.05))
    for hour in range(24, 48, 6):
        assert len(run(detector, (hour, hour + 4), hiss(3.0))) == 1
        assert len(run(detector, (hour + 4, hour + 6), hiss(0.05))) == 1


def test_noise_little_beyond_is_told_some_times_and_becomes_a_habit() -> None:
    detector = make()
    run(detector, (0, 24), hiss(0.2))
    limit = detector._limit[0]
    told = [len(run(detector, (24 + 4 * k, 28 + 4 * k), hiss(0.8 if k % 2 else 0.2))) for k in range(40)]
    assert any(told[:8])
    assert not any(told[-4:])
    assert limit < detector._limit[0] <= 4 * limit


def test_a_signal_that_hisses_no_more_is_too_quiet_after_hours() -> None:
    detector = make(quiet=0.3, quiet_s=6 * HOUR)
    run(detector, (0, 30), hiss(0.5))
    (begun, verdicts), *_ = run(detector, (30, 45), hiss(0.02))
    assert 36 * HOUR <= begun <= 37 * HOUR
    assert verdicts.reason[0].en.startswith("noise only 0.0")
    (_, verdicts), *_ = run(detector, (45, 46), hiss(0.5))
    assert verdicts.level.tolist() == [Level.NORMAL]


def test_a_channel_without_noise_is_never_too_quiet() -> None:
    detector = make(quiet=0.3, quiet_s=HOUR)
    run(detector, (0, 30), hiss(0.003))
    assert run(detector, (30, 40), lambda _s, _r: 20.0) == []


def test_test_gas_and_gaps_are_no_noise() -> None:
    detector = make()
    run(detector, (0, 24), hiss(0.05))
    assert run(detector, (24, 25), hiss(20.0), Quality.TEST) == []
    assert run(detector, (25, 26), lambda _s, _r: float("nan"), Quality.COMMS_LOST) == []
    assert run(detector, (40, 42), hiss(0.05)) == []


def test_slow_instruments_are_judged_over_eight_readings() -> None:
    detector = make(period_s=900.0)
    random = np.random.default_rng(1)
    levels = []
    for k in range(600):
        size = 0.05 if k < 500 else 3.0
        detector.update(Batch.of([0], k * 900 * SECOND, [20.0 + random.normal(0, size)]))
        levels.append(int(detector.level[0]))
    assert not any(levels[:500])
    assert 501 <= levels.index(Level.WARNING) <= 516


def test_the_score_is_the_share_of_the_past_that_was_quieter() -> None:
    detector = make()
    run(detector, (0, 24), hiss(0.5))
    usual = detector.score[0]
    run(detector, (24, 24.2), hiss(5.0))
    assert usual < 1.0
    assert detector.score[0] > max(usual, 0.99)


def test_learning_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(ConfigError, match="60 s of learning hold no window of 480 s") as told:
        make(settle_s=60.0)
    assert told.value.path == ("rules", 2, "options", "settle_s")
