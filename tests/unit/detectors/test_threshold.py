from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from detectors.threshold import Options, create
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule
from gateway.core.plugin import Detector

SECOND = 1_000_000_000
NAN = float("nan")


def rule(options: Options, quantity: str = "level", unit: str = "u", low: float = 0.0, high: float = 100.0) -> Rule:
    channel = Channel(0, f"gd-01.{quantity}", "gd-01", quantity, unit, low, high)
    return Rule(4, "r", "threshold", (channel,), options, path=("rules", 2))


def levels(
    detector: Detector, values: Sequence[float], quality: Sequence[int] | None = None, times: Sequence[float] = ()
) -> str:
    """Return the level after each reading as N, L or H; readings come once a second unless `times` says otherwise."""
    text = ""
    for i, value in enumerate(values):
        time_ns = round((times[i] if times else i) * SECOND)
        detector.update(Batch.of([0], time_ns, [value], [quality[i] if quality else 0]))
        text += Level(int(detector.level[0])).name[0]
    return text


def judged(
    values: Sequence[float], quality: Sequence[int] | None = None, times: Sequence[float] = (), **given: Any
) -> str:
    return levels(create([rule(Options(**given))]), values, quality, times)


def test_a_value_at_the_set_point_raises() -> None:
    assert judged([24.999999, 25.0, 49.9, 50.0, 49.9, 25.0, 24.9], low=25, high=50) == "NLLHLLN"


def test_below_a_value_at_the_set_point_raises() -> None:
    assert judged([15.1, 15.0, 10.0, 10.1, 15.1], side="below", low=15, high=10) == "NLHLN"


def test_one_step_alone_is_enough() -> None:
    assert judged([60, 40], low=50) == "LN"
    assert judged([60, 40], high=50) == "HN"


def test_oxygen_is_dangerous_on_both_sides() -> None:
    found = judged(
        [20.9, 19.5, 18.0, 19.0, 20.9, 23.5, 26.0, 17.0, 20.9],
        below={"low": 19.5, "high": 18.0},
        above={"low": 23.5, "high": 25.0},
    )
    assert found == "NLHLNLHHN"


def test_values_are_compared_as_they_are() -> None:
    assert judged([0.1 + 0.2, 0.3], low=0.1 + 0.2) == "LN"


def test_a_step_ends_only_beyond_the_deadband() -> None:
    assert judged([50, 48, 47.9, 23, 22.9], low=25, high=50, deadband=2) == "HHLLN"


def test_the_deadband_serves_both_sides() -> None:
    options = {"below": {"low": 19.5}, "above": {"low": 23.5}, "deadband": 0.2}
    assert judged([19.5, 19.7, 19.8, 23.5, 23.3, 23.2], **options) == "LLNLLN"


def test_each_step_has_its_own_delay() -> None:
    assert judged([30, 30, 60, 60, 60, 60], low=25, high=50, on_delay_s=2) == "NNLLHH"


def test_an_on_delay_starts_again_after_a_normal_reading() -> None:
    assert judged([30, 30, 3, 30, 30, 30], low=25, on_delay_s=2) == "NNNNNL"


def test_an_on_delay_counts_on_over_bad_readings_and_ends_with_a_good_one() -> None:
    bad = Quality.COMMS_LOST
    assert judged([30, NAN, NAN, NAN, 30], [0, bad, bad, bad, 0], low=25, on_delay_s=2) == "NNNNL"
    assert judged([30, NAN, NAN, NAN, 3, 30], [0, bad, bad, bad, 0, 0], low=25, on_delay_s=2) == "NNNNNN"


def test_an_off_delay_starts_again_after_a_bad_reading() -> None:
    bad = Quality.SENSOR_FAULT
    assert judged([30, 3, 3, NAN, 3, 3, 3], [0, 0, 0, bad, 0, 0, 0], low=25, off_delay_s=2) == "LLLLLLN"


def test_an_off_delay_starts_again_when_the_value_is_back() -> None:
    assert judged([30, 3, 30, 3, 3, 3], low=25, off_delay_s=2) == "LLLLLN"


def test_a_high_step_may_end_straight_into_normal() -> None:
    assert judged([60, 3, 3, 3], low=25, high=50, off_delay_s=2) == "HHHN"


@pytest.mark.parametrize("quality", [quality for quality in Quality if quality >= Quality.BAD])
def test_bad_quality_never_raises_and_never_clears_an_alarm(quality: Quality) -> None:
    assert judged([60, NAN, NAN, NAN], [0, *[quality] * 3], low=25, high=50) == "HHHH"
    assert judged([3, NAN, NAN, NAN], [0, *[quality] * 3], low=25, high=50) == "NNNN"


def test_a_value_that_contradicts_its_bad_quality_is_not_judged() -> None:
    columns = (np.zeros(1, np.int32), np.zeros(1, np.int64), np.array([99.0]), np.array([129], np.uint8))
    detector = create([rule(Options(low=25))])
    detector.update(Batch(*columns))
    assert detector.level.tolist() == [0]


@pytest.mark.parametrize("quality", [Quality.UNCERTAIN, Quality.CLOCK_DOUBTFUL, Quality.TEST, Quality.MAINTENANCE])
def test_doubtful_readings_are_judged(quality: Quality) -> None:
    assert judged([60, 3], [quality, quality], low=25, high=50) == "HN"


def test_over_range_counts_as_the_end_of_the_range_and_never_clears() -> None:
    over = Quality.OVER_RANGE
    assert judged([3, 3, 3], [0, over, 0], low=25, high=50) == "NHN"
    assert judged([3, 100.0], [0, over], low=100) == "NL"


def test_over_range_of_an_unknown_range_is_beyond_every_set_point() -> None:
    detector = create([rule(Options(low=25, high=5000), low=NAN, high=NAN)])
    assert levels(detector, [3, 3], [0, Quality.OVER_RANGE]) == "NH"


def test_over_range_says_nothing_against_a_fall() -> None:
    over = Quality.OVER_RANGE
    options = {"side": "below", "low": 19.5}
    assert judged([20.9, 10.0, 19.0, 99.0, 20.9], [0, over, 0, over, 0], **options) == "NNLLN"
    assert judged([19.0, 99.0, 19.0], [0, over, 0], on_delay_s=2, **options) == "NNL"


def test_a_clock_set_back_restarts_the_delay_at_the_earlier_time() -> None:
    assert judged([30, 30, 30, 30, 30], times=[100, 101, 50, 51, 52], low=25, on_delay_s=2) == "NNNNL"
    assert judged([30, 3, 3, 3, 3], times=[100, 101, 50, 51, 52], low=25, off_delay_s=2) == "LLLLN"


def test_delays_count_the_time_of_readings() -> None:
    assert judged([30, 30], times=[0, 3600], low=25, on_delay_s=600) == "NL"


def test_a_verdict_tells_value_limit_margin_and_time() -> None:
    detector = create([rule(Options(low=25, high=50))])
    found = detector.update(Batch.of([0], 7, [30.0], Quality.TEST))
    assert (found.rule.tolist(), found.level.tolist(), found.time_ns.tolist()) == ([4], [1], [7])
    assert (found.value.tolist(), found.limit.tolist(), found.quality.tolist()) == ([30.0], [25.0], [Quality.TEST])
    assert found.score.tolist() == [pytest.approx(0.2)]


@pytest.mark.parametrize(
    ("values", "limit"), [([60], 50), ([30, 60], 50), ([60, 30], 50), ([60, 3], 25), ([30, 3], 25), ([30], 25)]
)
def test_the_limit_is_the_set_point_that_was_crossed(values: list[float], limit: float) -> None:
    detector = create([rule(Options(low=25, high=50))])
    found = [detector.update(Batch.of([0], i, [value])) for i, value in enumerate(values)]
    assert found[-1].limit.tolist() == [limit]


def test_the_limit_of_two_sides_is_the_nearer_one() -> None:
    detector = create([rule(Options(below={"low": 19.5}, above={"low": 23.5}))])
    found = [
        detector.update(Batch.of([0], i, [value])).limit.tolist() for i, value in enumerate([19.0, 20.0, 24.0, 23.0])
    ]
    assert found == [[19.5], [19.5], [23.5], [23.5]]


def test_an_over_range_reading_is_reported_as_it_was_read() -> None:
    found = create([rule(Options(low=25), low=NAN, high=NAN)]).update(Batch.of([0], 0, [3.0], Quality.OVER_RANGE))
    assert (found.value.tolist(), found.limit.tolist()) == ([3.0], [25.0])
    assert np.isnan(found.score).all()


def test_a_set_point_of_zero_has_a_margin_too() -> None:
    found = create([rule(Options(low=0.0), low=-50.0)]).update(Batch.of([0], 0, [1.5]))
    assert found.score.tolist() == [1.5]


def test_a_level_set_from_outside_is_judged_on() -> None:
    detector = create([rule(Options(low=25, high=50, off_delay_s=1))])
    detector.level = np.array([2], np.int8)
    assert levels(detector, [3, 3]) == "HN"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "must be given"),
        ({"above": {}}, "must be given"),
        ({"low": 50, "high": 25}, "must be below"),
        ({"low": 50, "high": 50}, "must be below"),
        ({"side": "below", "low": 18, "high": 19}, "must be above"),
        ({"side": "both", "low": 18}, "either low and high"),
        ({"low": 18, "below": {"low": 3}}, "either low and high"),
        ({"side": "both", "above": {"low": 18}}, "needs the blocks"),
        ({"side": "below", "above": {"low": 18}}, "takes low and high"),
        ({"above": {"low": 19}, "below": {"low": 20}}, "no value is normal"),
        ({"above": {"low": 20}, "below": {"low": 19}, "deadband": 0.5}, "no value is normal"),
        ({"low": 5, "above_ceiling_because": "  "}, "at least 1 character"),
        ({"low": NAN}, "finite"),
        ({"low": 5, "deadband": -1}, "greater than or equal to 0"),
        ({"low": 5, "on_delay_s": 1e9}, "less than or equal to 3600"),
        ({"low": 5, "hihg": 7}, "Extra inputs"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Options.model_validate(given)


@pytest.mark.parametrize(
    ("quantity", "unit", "given", "path", "told"),
    [
        ("ch4", "%LEL", {"low": 30}, ("low",), "25 %LEL"),
        ("ch4", "%LEL", {"low": 20, "high": 60}, ("high",), "50 %LEL"),
        ("ch4", "%VOL", {"low": 2}, ("low",), "1.25 %VOL"),
        ("ch4", "ppm", {"low": 13}, None, ""),
        ("h2s", "ppm", {"low": 10}, ("low",), "7.058 ppm"),
        ("h2s", "mg/m3", {"low": 10, "high": 21}, ("high",), "20 mg/m³"),
        ("o2", "%VOL", {"side": "below", "low": 18}, ("low",), "at least 19.5"),
        ("o2", "%VOL", {"side": "below", "high": 18}, ("high",), "at least 19.5"),
        ("o2", "%VOL", {"above": {"low": 24}, "below": {"low": 19.5}}, ("above", "low"), "23.5"),
        ("o2", "%VOL", {"above": {"high": 24}}, ("above", "high"), "23.5"),
        ("o2", "%VOL", {"above": {"low": 23.5}, "below": {"low": 19}}, ("below", "low"), "19.5"),
        ("o2", "%VOL", {"above": {"low": 23.5, "high": 25}, "below": {"low": 19.5, "high": 18}}, None, ""),
        ("ch4", "LEL·m", {"low": 1, "high": 2.5}, ("high",), "2 LEL·m"),
        ("h2s", "ppm", {"low": 7.058, "high": 14}, None, ""),
        ("ch4", "%LEL", {"low": 25, "high": 50}, None, ""),
        ("ch4", "%LEL", {"side": "below", "low": 90}, None, ""),
        ("temperature", "°C", {"low": 57, "high": 80}, None, ""),
    ],
)
def test_set_points_beyond_the_clause_are_refused(
    quantity: str, unit: str, given: dict[str, Any], path: tuple[str, ...] | None, told: str
) -> None:
    if path is None:
        assert len(create([rule(Options(**given), quantity, unit)]).level) == 1
        return
    with pytest.raises(ConfigError) as caught:
        create([rule(Options(**given), quantity, unit)])
    assert caught.value.path == ("rules", 2, "options", *path)
    assert "GB/T 50493-2019 5.5.2" in caught.value.problem
    assert told in caught.value.problem
    because = Options(**given, above_ceiling_because="hot work plan 7")
    assert len(create([rule(because, quantity, unit)]).level) == 1


def test_the_idlh_way_out_is_told() -> None:
    with pytest.raises(ConfigError, match=r"0\.4 mg/m³"):
        create([rule(Options(low=0.6), "cocl2", "mg/m³")])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"low": 120}, "outside the range"),
        ({"side": "below", "low": -1}, "outside the range"),
        ({"low": 5, "deadband": 5}, "never clear"),
        ({"side": "below", "low": 98, "deadband": 3}, "never clear"),
    ],
)
def test_set_points_that_the_instrument_cannot_serve_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        create([rule(Options(**given))])


def test_no_rules_make_a_detector_that_is_silent() -> None:
    assert len(create([]).update(Batch.of([0, 5], 0, [1e9, NAN]))) == 0
