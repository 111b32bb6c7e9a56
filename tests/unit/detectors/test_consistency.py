from typing import Any

import numpy as np
import pytest

from detectors.consistency import Options, create
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule, Verdicts, quality_name
from gateway.core.plugin import Detector

SECOND = 1_000_000_000
NAN = float("nan")


def heads(count: int) -> tuple[Channel, ...]:
    return tuple(
        Channel(k, f"gd-{k + 1}.ch4", f"gd-{k + 1}", "ch4", "%LEL", range_high=100.0, decimals=0) for k in range(count)
    )


def same(count: int, **options: Any) -> Detector:
    return create([Rule(3, "same", "consistency", heads(count), Options(**{"band": 5, **options}), group=True)])


def read(detector: Detector, second: float, *values: float, quality: int = 0) -> Verdicts:
    codes = [Quality.COMMS_LOST if np.isnan(value) else quality for value in values]
    return detector.update(Batch.of(np.arange(len(values)), round(second * SECOND), list(values), codes))


def say(detector: Detector, second: float, *values: float, quality: int = 0) -> list[str]:
    found = read(detector, second, *values, quality=quality)
    return [f"{Level(int(level)).name}: {reason.en}" for level, reason in zip(found.level, found.reason, strict=True)]


def test_of_three_the_odd_one_is_named_after_the_delay() -> None:
    detector = same(3, delay_s=20)
    assert say(detector, 0, 3, 12, 4) == []
    assert say(detector, 10, 3, 12, 4) == []
    assert say(detector, 20, 3, 12, 4) == ["FAULT: gd-2.ch4 12 %LEL; median of 3 is 4 %LEL, band 5 %LEL"]
    assert say(detector, 30, 3, 5, 4) == ["NORMAL: 3 agree within 1 %LEL; band 5 %LEL"]


def test_of_two_nobody_can_say_which() -> None:
    detector = same(2, delay_s=0)
    assert say(detector, 0, 3, 8) == []
    assert say(detector, 1, 3, 9) == ["FAULT: gd-1.ch4 3 %LEL and gd-2.ch4 9 %LEL differ by 6 %LEL, band 5 %LEL"]


def test_the_fault_is_of_the_sensor_and_both_languages_say_who() -> None:
    detector = same(3, delay_s=5)
    read(detector, 0, 3, 12, 4)
    found = read(detector, 5, 3, 12, 4)
    assert quality_name(int(found.quality[0])) == "sensor_fault"
    assert found.reason[0].zh == "gd-2.ch4 12 %LEL;3个的中位数4 %LEL,允许5 %LEL"
    assert (found.value.tolist(), found.limit.tolist()) == ([8.0], [5.0])


def test_a_cloud_that_reaches_one_head_first_is_no_fault() -> None:
    detector = same(2, delay_s=60)
    for second in range(0, 40, 2):
        assert say(detector, second, 50, 3) == []
    for second in range(40, 200, 2):
        assert say(detector, second, 50, 48) == []


def test_a_share_of_the_value_widens_the_band() -> None:
    detector = same(2, delay_s=0, share=0.2)
    assert say(detector, 0, 60, 50) == []
    assert len(say(detector, 1, 60, 45)) == 1


def test_bad_and_tested_members_are_left_out() -> None:
    detector = same(3, delay_s=0)
    assert say(detector, 0, 3, NAN, 4) == []
    assert say(detector, 1, 3, NAN, NAN) == []
    tested = same(2, delay_s=0)
    assert say(tested, 0, 3, 3) == []
    for quality in (Quality.TEST, Quality.MAINTENANCE):
        assert tested.update(Batch.of([1], SECOND, [50.0], quality)).level.tolist() == []


def test_a_fault_stands_until_two_agree_again() -> None:
    detector = same(2, delay_s=0)
    say(detector, 0, 3, 12)
    for second in range(1, 100):
        assert say(detector, second, 3, NAN) == []
    assert detector.level[0] == Level.FAULT
    assert say(detector, 100, 3, 4) == ["NORMAL: 2 agree within 1 %LEL; band 5 %LEL"]


def test_a_difference_must_fall_below_the_deadband_to_be_over() -> None:
    detector = same(2, delay_s=0, deadband=0.2)
    say(detector, 0, 3, 12)
    assert say(detector, 1, 3, 7.5) == []
    assert len(say(detector, 2, 3, 6.9)) == 1


def test_over_range_counts_as_the_end_of_the_range() -> None:
    detector = same(2, delay_s=0)
    say(detector, 0, 97, 97)
    assert detector.update(Batch.of([0], SECOND, [40.0], Quality.OVER_RANGE)).level.tolist() == []
    say(detector, 2, 40, 40)
    assert detector.update(Batch.of([0], 3 * SECOND, [40.0], Quality.OVER_RANGE)).level.tolist() == [Level.FAULT]


def test_values_that_never_stood_side_by_side_are_not_compared() -> None:
    """Both heads step in one batch; whichever is told first stands beside the other's old value for no time."""
    detector = same(2, delay_s=5)
    say(detector, 0, 3, 3)
    assert say(detector, 10, 50, 50) == []
    assert say(detector, 100, 50, 50) == []


def test_members_must_measure_the_same_and_be_several() -> None:
    with pytest.raises(ConfigError, match=r"gd-1\.ch4 has nobody to be compared with"):
        same(1)
    mixed = (*heads(1), Channel(1, "t.t", "t", "temperature", "°C"))
    with pytest.raises(ConfigError, match="members measure ch4 in %LEL, temperature in °C"):
        create([Rule(0, "same", "consistency", mixed, Options(band=5), group=True)])
