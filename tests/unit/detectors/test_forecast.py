from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from detectors.forecast import Options, create
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Rule
from gateway.core.plugin import Detector

SECOND = 1_000_000_000
START = 1_700_000_000


def make(period_s: float = 1.0, **given: Any) -> Detector:
    channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", "%LEL", 0.0, 100.0, decimals=1, period_s=period_s)
    return create([Rule(4, "r", "forecast", (channel,), Options(**given), path=("rules", 2))])


def run(
    detector: Detector, seconds: range, value: Callable[[int], float], *, noise: float = 0.1, seed: int = 1
) -> list[Any]:
    random = np.random.default_rng(seed)
    found = []
    for second in seconds:
        reading = round(value(second) + random.normal(0, noise), 1)
        verdicts = detector.update(Batch.of([0], (START + second) * SECOND, [reading]))
        found += [
            (second, int(level), float(v), r)
            for level, v, r in zip(verdicts.level, verdicts.value, verdicts.reason, strict=True)
        ]
    return found


@pytest.mark.parametrize("per_min", [0.5, 1.5, 6.0])
def test_a_ramp_warns_in_time_and_says_when_the_limit_comes(per_min: float) -> None:
    begin, limit_min = 2000, 24.0 / per_min
    found = run(make(above=25), range(begin + round(60 * limit_min)), lambda s: 1.0 + max(0, s - begin) / 60 * per_min)
    second, level, due_min, reason = found[0]
    assert level == Level.WARNING
    left_min = limit_min - (second - begin) / 60
    assert 0.5 * min(10.0, limit_min) < left_min < 11.0
    assert due_min == pytest.approx(left_min, rel=0.2, abs=0.5)
    assert "reaches 25.0 %LEL in about" in reason.en
    assert "到达 25.0 %LEL" in reason.zh


def test_a_fall_is_judged_by_the_limit_below() -> None:
    detector = make(below=19.5, above=23.0, within_s=600)
    found = run(detector, range(1400), lambda s: 20.9 - max(0, s - 1000) / 60 * 0.3, noise=0.02)
    assert found[0][1] == Level.WARNING
    assert "reaches 19.5" in found[0][3].en


def test_noise_and_a_daily_rhythm_reach_no_limit() -> None:
    assert run(make(above=25), range(0, 3 * 3600, 2), lambda s: 5 + 3 * np.sin(s / 13_750), noise=0.5) == []


def test_noise_close_below_the_limit_is_no_trend() -> None:
    assert run(make(above=25), range(3 * 3600), lambda _: 23.5, noise=0.3) == []


def test_a_trend_that_ends_ends_the_warning_once() -> None:
    found = run(make(above=25), range(5000), lambda s: 1.0 + min(max(0, s - 1000), 500) * 0.03)
    assert [level for _, level, *_ in found] == [Level.WARNING, Level.NORMAL]
    assert "any more" in found[1][3].en


def test_a_channel_read_every_five_minutes_is_judged_too() -> None:
    detector = make(300.0, above=25, within_s=3600, on_delay_s=0)
    found = run(detector, range(0, 20_000, 300), lambda s: 1.0 + max(0, s - 6000) / 3600 * 10.0)
    assert found
    assert found[0][1] == Level.WARNING


def test_what_makes_no_sense_is_refused() -> None:
    for given in ({}, {"above": 1.0, "below": 2.0}, {"above": 1.0, "within_s": 1.0}):
        with pytest.raises(ValidationError):
            Options(**given)
    with pytest.raises(ConfigError, match="outside the range"):
        make(above=250)
