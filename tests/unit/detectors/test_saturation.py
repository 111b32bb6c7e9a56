from typing import Any

import pytest

from detectors.saturation import Options, create
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule
from gateway.core.plugin import Detector

SECOND = 1_000_000_000
NAN = float("nan")


def make(low: float = 0.0, high: float = 25.0, **given: Any) -> Detector:
    channel = Channel(0, "gd-01.o2", "gd-01", "o2", "%vol", low, high, 1)
    return create([Rule(4, "r", "saturation", (channel,), Options(**given), path=("rules", 2))])


def told(detector: Detector, *readings: tuple[float, float, int]) -> list[tuple[float, int, int, str]]:
    found = []
    for second, value, quality in readings:
        verdicts = detector.update(Batch.of([0], round(second * SECOND), [value], quality))
        found += [
            (second, int(level), int(why), reason.en)
            for level, why, reason in zip(verdicts.level, verdicts.quality, verdicts.reason, strict=True)
        ]
    return found


def test_a_value_at_the_upper_end_is_a_fault_after_the_delay() -> None:
    found = told(make(delay_s=30), *((s, 25.0, 0) for s in range(0, 60, 10)), (60, 20.9, 0))
    assert [(at, level, why) for at, level, why, _ in found] == [
        (30, Level.FAULT, Quality.OVER_RANGE),
        (60, Level.NORMAL, Quality.GOOD),
    ]
    assert found[0][3] == "at the upper end of its range, 25.0 %vol, for 0.5 min: it may be more"


def test_the_lower_end_counts_only_where_it_is_asked_for() -> None:
    at_zero = [(s, 0.0, 0) for s in range(0, 120, 10)]
    assert told(make(), *at_zero) == []
    found = told(make(ends="both"), *at_zero)
    assert [(at, level, why) for at, level, why, _ in found] == [(60, Level.FAULT, Quality.SENSOR_FAULT)]
    assert "lower end" in found[0][3]


def test_an_instrument_that_says_over_range_is_at_its_end_whatever_it_reads() -> None:
    assert told(make(delay_s=0), (0, 3.0, Quality.OVER_RANGE))[0][1] == Level.FAULT
    assert told(make(delay_s=0, ends="lower"), (0, 3.0, Quality.OVER_RANGE)) == []


def test_a_reading_that_is_bad_neither_raises_nor_clears() -> None:
    bad = (10, NAN, Quality.COMMS_LOST)
    assert told(make(delay_s=20), (0, 25.0, 0), bad, (30, 25.0, 0))[0][0] == 30
    assert len(told(make(delay_s=0), (0, 25.0, 0), bad)) == 1


def test_a_channel_without_a_range_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"gd-01.o2 has no range") as problem:
        make(low=NAN)
    assert problem.value.path == ("rules", 2)
