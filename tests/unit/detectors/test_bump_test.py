from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from detectors.bump_test import Options, create
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule
from gateway.core.plugin import Detector

SECOND = 1_000_000_000
AIR = Quality.GOOD
GAS = Quality.TEST


def make(**given: Any) -> Detector:
    channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", "%LEL", 0.0, 100.0, 1)
    return create([Rule(4, "r", "bump_test", (channel,), Options(**{"gas": 50.0, **given}), path=("rules", 2))])


def head(gain: float = 1.0, tau_s: float = 8.0, zero: float = 0.0) -> Callable[[float], float]:
    """Return what a head shows so long after gas was applied."""
    return lambda second: zero + 50.0 * gain * (1.0 - float(np.exp(-second / tau_s)))


class Bench:
    def __init__(self, detector: Detector) -> None:
        self.detector, self.second = detector, 0
        self.told: list[tuple[int, int, str]] = []

    def read(self, value: float, quality: int) -> None:
        verdicts = self.detector.update(Batch.of([0], self.second * SECOND, [value], quality))
        self.told += [
            (self.second, int(level), why.en) for level, why in zip(verdicts.level, verdicts.reason, strict=True)
        ]
        self.second += 2

    def test(self, shows: Callable[[float], float], quality: int = GAS, zero_after: float = 0.0) -> None:
        for _ in range(30):
            self.read(0.0, AIR)
        for k in range(60):
            self.read(shows(2.0 * k), quality)
        for k in range(400):
            self.read(zero_after + shows(118) * float(np.exp(-k / 5.0)), AIR)


def test_a_sound_head_passes_without_a_word() -> None:
    bench = Bench(make())
    bench.test(head())
    assert bench.told == []


def test_span_loss_is_told_when_the_gas_has_gone_and_ends_with_a_passed_test() -> None:
    bench = Bench(make())
    bench.test(head(gain=0.62))
    ((second, level, why),) = bench.told
    assert (second, level) == (180, Level.FAULT)
    assert why == "bump test: gain 62 % of the 50.0 %LEL expected"
    bench.test(head(gain=0.95))
    assert bench.told[1][1:] == (Level.NORMAL, "bump test passed: gain 95 % of 50.0 %LEL")


def test_a_slow_response_is_a_fault_though_the_gain_is_right() -> None:
    bench = Bench(make(t90_s=40.0))
    bench.test(head(tau_s=30.0))
    assert bench.told[0][1] == Level.FAULT
    took = float(bench.told[0][2].split()[3])
    # From a tenth to nine tenths: tau * ln 9, less what the two minutes of gas are short of the end.
    assert took == pytest.approx(30.0 * np.log(9.0), abs=8.0)
    quick = Bench(make(t90_s=40.0))
    quick.test(head(tau_s=12.0))
    assert quick.told == []


def test_a_zero_that_stays_away_is_told_once_the_gas_has_gone() -> None:
    bench = Bench(make(zero=3.0, zero_after_s=300.0))
    bench.test(head(), zero_after=4.0)
    ((second, level, why),) = bench.told
    assert level == Level.FAULT
    assert 480 <= second <= 484
    assert why == "zero has drifted by +4.0 K over the bump test".replace(" K ", " %LEL ")


@pytest.mark.parametrize(("silent", "count"), [("ignore", 0), ("failure", 1)])
def test_a_mark_without_any_response_is_no_test_unless_gas_always_comes_with_it(silent: str, count: int) -> None:
    bench = Bench(make(silent=silent))
    bench.test(head(gain=0.0))
    assert len(bench.told) == count
    assert all(why == "bump test: no response to 50.0 %LEL" for _, _, why in bench.told)


def test_only_the_marks_asked_for_are_tests() -> None:
    for marks, count in (("test", 0), ("maintenance", 1), ("both", 1)):
        bench = Bench(make(marks=marks))
        bench.test(head(gain=0.5), Quality.MAINTENANCE)
        assert len(bench.told) == count, marks


def test_silence_in_the_midst_of_a_test_decides_nothing() -> None:
    bench = Bench(make())
    for k in range(60):
        bench.read(head()(2.0 * k), GAS)
    for _ in range(60):
        bench.read(float("nan"), Quality.COMMS_LOST)
    assert bench.told == []
    for _ in range(60):
        bench.read(50.0, GAS)
    bench.read(0.0, AIR)
    assert bench.told == []


def test_a_failed_test_is_remembered_by_whoever_goes_on() -> None:
    bench = Bench(make())
    bench.test(head(gain=0.3))
    other = make()
    other.restore(bench.detector.save())
    again = Bench(other)
    again.second = bench.second
    again.test(head(gain=0.4))
    assert again.told == []
    again.test(head())
    assert [level for _, level, _ in again.told] == [Level.NORMAL]


def test_gas_that_the_instrument_cannot_show_is_refused() -> None:
    with pytest.raises(ConfigError, match="120 %LEL of gas lie beyond the 100") as problem:
        make(gas=120.0)
    assert problem.value.path == ("rules", 2, "options", "gas")
