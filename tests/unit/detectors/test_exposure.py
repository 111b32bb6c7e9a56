from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from detectors.exposure import Options, create
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule
from gateway.core.plugin import Detector

SECOND = 1_000_000_000
START = 1_700_000_040 * SECOND


def make(**given: Any) -> Detector:
    channel = Channel(0, "gd-01.co", "gd-01", "co", "ppm", 0.0, 1000.0, decimals=0, period_s=10.0)
    return create([Rule(4, "r", "exposure", (channel,), Options(**given), path=("rules", 2))])


def first(detector: Detector, minutes: float, ppm: float, *, quality: int = 0, begin: float = 0.0) -> Any:
    """Return after how many minutes of a constant concentration a level first changes, and to which."""
    for second in range(0, round(minutes * 60), 10):
        time_ns = START + round((begin * 60 + second) * SECOND)
        found = detector.update(Batch.of([0], time_ns, [ppm], quality))
        if len(found):
            return second / 60, int(found.level[0])
    return None


@pytest.mark.parametrize(
    ("ppm", "earliest", "latest"),
    [(50.0, 60.0, 90.0), (100.0, 10.0, 40.0), (300.0, 0.0, 3.0), (350.0, 0.0, 3.0), (75.0, 10.0, 90.0)],
)
def test_carbon_monoxide_alarms_when_en_50291_says(ppm: float, earliest: float, latest: float) -> None:
    found = first(make(table="en50291"), 200, ppm)
    assert found is not None
    assert earliest <= found[0] < latest
    assert found[1] == Level.HIGH


def test_at_30_ppm_there_is_no_alarm_before_120_minutes_and_below_none_ever() -> None:
    found = first(make(table="en50291"), 400, 30.0)
    assert found is None or found[0] >= 120.0
    assert first(make(table="en50291"), 1000, 29.0) is None


def test_silence_is_no_clean_air_and_no_exposure() -> None:
    detector = make(table="en50291")
    assert first(detector, 20, 100.0) is None
    assert first(detector, 60, 0.0, quality=Quality.COMMS_LOST, begin=20) is None
    found = first(detector, 20, 100.0, begin=80)
    assert found is not None
    assert found[0] == pytest.approx(5, abs=1)


def test_clean_air_takes_an_exposure_back() -> None:
    detector = make(table="en50291", recovery_s=600.0)
    assert first(detector, 20, 100.0) is None
    assert first(detector, 12, 0.0, begin=20) is None
    assert first(detector, 24, 100.0, begin=32) is None


def test_beyond_the_range_counts_as_at_least_its_end() -> None:
    found = first(make(table="en50291"), 10, 40.0, quality=Quality.OVER_RANGE)
    assert found is not None
    assert found[0] < 1.0


def test_an_alarm_of_the_table_ends_only_in_clean_air() -> None:
    detector = make(table="en50291", recovery_s=600.0)
    assert first(detector, 60, 100.0) is not None
    assert first(detector, 60, 40.0, begin=60) is None
    assert first(detector, 60, 5.0, begin=120) == (pytest.approx(7.5, abs=1), Level.NORMAL)


@pytest.mark.parametrize(("name", "minutes"), [("stel", 15.0), ("twa", 480.0)])
@pytest.mark.parametrize("times", [1.0, 2.0, 5.0])
def test_a_mean_reaches_its_set_point_when_arithmetic_says(name: str, minutes: float, times: float) -> None:
    found = first(make(**{name: {"low": 20.0, "high": 900.0}}), 2 * minutes, 20.0 * times)
    assert found is not None
    assert found[0] == pytest.approx(minutes / times, abs=0.6)
    assert found[1] == Level.LOW


def test_a_mean_just_below_its_set_point_never_raises() -> None:
    assert first(make(stel={"low": 20.0}), 100, 19.9) is None


def test_a_mean_follows_what_leaves_its_window() -> None:
    detector = make(stel={"low": 20.0}, deadband=0.05)
    assert first(detector, 8, 40.0) == (pytest.approx(7.5, abs=0.6), Level.LOW)
    assert first(detector, 8, 40.0, begin=8) is None
    # 40 ppm all the window long, then clean air: below 19 ppm when more than half of the window is clean.
    assert first(detector, 20, 0.0, begin=16) == (pytest.approx(7.9, abs=1.1), Level.NORMAL)


def test_a_gap_counts_as_the_known_part_of_the_window() -> None:
    detector = make(stel={"low": 20.0})
    assert first(detector, 5, 30.0) is None
    found = first(detector, 10, 30.0, begin=10)
    assert found is not None
    assert found[0] <= 0.6


@pytest.mark.parametrize("begin", [50.0, 3000.0, -60.0], ids=["silence", "days of silence", "a clock set back"])
@pytest.mark.parametrize("mean", ["stel", "twa"])
def test_a_window_that_begins_anew_ends_no_alarm_while_the_gas_is_there(mean: str, begin: float) -> None:
    detector = make(**{mean: {"low": 20.0}})
    assert first(detector, 30, 700.0) is not None
    assert first(detector, 15, 0.0, quality=Quality.COMMS_LOST, begin=30) is None
    assert first(detector, 30, 700.0, begin=begin) is None
    assert detector.level.tolist() == [Level.LOW]
    assert first(detector, 1000, 0.0, begin=begin + 30) is not None
    assert detector.level.tolist() == [Level.NORMAL]


def test_the_reason_tells_the_mean_in_both_languages() -> None:
    detector = make(stel={"low": 20.0})
    for second in range(0, 1200, 10):
        found = detector.update(Batch.of([0], START + second * SECOND, [40.0]))
        if len(found):
            break
    assert found.reason[0].en == "mean of 15 min 20 ppm, now 40 ppm"
    assert found.reason[0].zh == "15 分钟均值 20 ppm，现为 40 ppm"
    assert (round(float(found.value[0])), float(found.limit[0])) == (20, 20.0)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"table": ()},
        {"table": [[30, 10], [20, 5]]},
        {"table": [[30, 10], [40, 20]]},
        {"table": [[30, 0]]},
        {"stel": {}},
        {"stel": {"low": 30, "high": 20}},
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Options(**given)


def test_the_built_in_table_is_for_carbon_monoxide_alone() -> None:
    channel = Channel(0, "gd-01.h2s", "gd-01", "h2s", "ppm")
    with pytest.raises(ConfigError, match="measures h2s"):
        create([Rule(0, "r", "exposure", (channel,), Options(table="en50291"))])


def test_many_rules_are_judged_each_by_their_own_table() -> None:
    channels = [Channel(row, f"c{row}", "i", "co", "ppm", 0, 1000, decimals=0, period_s=10.0) for row in range(3)]
    tables: list[Any] = [[[30, 10]], [[30, 20], [60, 5]], [[90, 1]]]
    options = [Options(table=table) for table in tables]
    detector = create(
        [Rule(k, f"r{k}", "exposure", (c,), o) for k, (c, o) in enumerate(zip(channels, options, strict=True))]
    )
    raised = {}
    for second in range(0, 3600, 10):
        found = detector.update(Batch.of(np.arange(3), START + second * SECOND, [30.0, 60.0, 80.0]))
        raised |= {int(rule): second / 60 for rule in found.rule}
    assert raised == {0: pytest.approx(10, abs=0.6), 1: pytest.approx(5, abs=0.6)}
