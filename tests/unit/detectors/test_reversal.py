from typing import Any

import pytest

from detectors.reversal import Options, create
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule
from gateway.core.plugin import Detector

MINUTE = 60 * 1_000_000_000
NAN = float("nan")


def make(high: float = 100.0, **given: Any) -> Detector:
    channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", "%LEL", 0.0, high, 0)
    return create([Rule(4, "r", "reversal", (channel,), Options(**given), path=("rules", 2))])


def levels(detector: Detector, *readings: tuple[float, float, int]) -> list[tuple[float, int]]:
    found = []
    for minute, value, quality in readings:
        verdicts = detector.update(Batch.of([0], round(minute * MINUTE), [value], quality))
        found += [(minute, int(level)) for level in verdicts.level]
    return found


@pytest.mark.parametrize("falls", [[0.0], [80.0, 60.0, 40.0, 20.0, 0.0]])
def test_a_reading_that_comes_back_is_not_believed_however_it_falls(falls: list[float]) -> None:
    down = [(2 + k, value, 0) for k, value in enumerate(falls)]
    days = [(10 + 60 * k, 0.0, 0) for k in range(24 * 7)]
    assert levels(make(), (0, 30.0, 0), (1, 100.0, 0), *down, *days) == [(1, Level.FAULT)]


def test_over_range_counts_whatever_the_figure() -> None:
    assert levels(make(), (0, 30.0, Quality.OVER_RANGE)) == [(0, Level.FAULT)]


def test_below_the_end_of_the_range_nothing_is_said() -> None:
    assert levels(make(), *((k, 99.0, 0) for k in range(60))) == []


@pytest.mark.parametrize("quality", [Quality.TEST, Quality.MAINTENANCE, Quality.CALIBRATION])
def test_it_ends_when_someone_was_there_and_the_air_stays_clear(quality: Quality) -> None:
    detector = make(hold_s=300)
    assert levels(detector, (0, 100.0, 0), (1, 0.0, 0), (60, 0.0, quality)) == [(0, Level.FAULT)]
    assert levels(detector, (61, 0.0, 0), (62, 30.0, 0), (63, 0.0, 0), (67, 0.0, 0)) == []
    assert levels(detector, (68, 0.0, 0)) == [(68, Level.NORMAL)]


def test_silence_does_not_end_it_and_begins_the_wait_anew() -> None:
    detector = make(hold_s=300)
    levels(detector, (0, 100.0, 0), (60, 0.0, Quality.MAINTENANCE))
    silence = [(62 + k, NAN, Quality.COMMS_LOST) for k in range(60)]
    assert levels(detector, (61, 0.0, 0), *silence, (123, 0.0, 0), (127, 0.0, 0)) == []
    assert levels(detector, (128, 0.0, 0)) == [(128, Level.NORMAL)]


def test_a_power_failure_in_rich_gas_is_nobody_who_was_there() -> None:
    detector = make(hold_s=60)
    levels(detector, (0, 100.0, 0), (1, NAN, Quality.COMMS_LOST), (2, NAN, Quality.WARM_UP))
    assert levels(detector, *((3 + k, 0.0, 0) for k in range(600))) == []


def test_gas_that_comes_back_asks_for_someone_again() -> None:
    detector = make(hold_s=60)
    levels(detector, (0, 100.0, 0), (10, 0.0, Quality.MAINTENANCE), (11, 100.0, 0))
    assert levels(detector, *((12 + k, 0.0, 0) for k in range(600))) == []


def test_test_gas_of_a_hundred_per_cent_is_no_leak() -> None:
    assert levels(make(), (0, 100.0, Quality.TEST), (1, 0.0, 0)) == []


def test_an_engineer_may_let_it_end_by_itself() -> None:
    detector = make(alone_s=3600)
    assert levels(detector, (0, 100.0, 0), *((1 + k, 0.0, 0) for k in range(90))) == [
        (0, Level.FAULT),
        (61, Level.NORMAL),
    ]


def test_what_could_never_be_clear_is_refused() -> None:
    with pytest.raises(ConfigError, match="100 %LEL is not below 90 %LEL"):
        make(full=90.0, clear=100.0)
    with pytest.raises(ConfigError, match="has no range"):
        make(high=NAN)
