import math

import numpy as np
import pytest

from drivers.values import Converter, ValueOptions
from gateway.core.errors import ConfigError
from gateway.core.model import Channel, Quality

CHANNEL = Channel(0, "gd.co", "gd", "co", range_low=0, range_high=500)


def converter(**options: object) -> Converter:
    return Converter(ValueOptions.model_validate(options), CHANNEL)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (100.0, (100.0, Quality.GOOD)),
        (100.1, (100.1, Quality.OVER_RANGE)),
        ("250", (250.0, Quality.OVER_RANGE)),
        (-9.9, (-9.9, Quality.GOOD)),
        (-50, None),
        ("-1e2", None),
    ],
)
def test_a_value_beyond_the_range_is_marked_and_one_far_below_it_is_none(
    raw: object, expected: tuple[float, Quality] | None
) -> None:
    channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", unit="%LEL", range_low=0, range_high=100)
    value, quality = Converter(ValueOptions(), channel)(raw)
    if expected is None:
        assert math.isnan(value)
        assert quality == Quality.UNDER_RANGE
    else:
        assert (value, quality) == expected
    column = Converter(ValueOptions(), channel).column(np.array([1.0, float(str(raw)), 2.0]))
    assert (column is None) is (quality != Quality.GOOD), "a column with such a value is looked at one by one"


def test_a_listed_number_outranks_the_range() -> None:
    channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", unit="%LEL", range_low=0, range_high=100)
    read = Converter(ValueOptions.model_validate({"special": {"-50": "warm_up"}, "words": {"900": 12}}), channel)
    assert read(-50)[1] == Quality.WARM_UP
    assert read(900) == (12.0, Quality.GOOD)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (1, 1.0),
        (2.5, 2.5),
        (-0.0, 0.0),
        ("12.50", 12.5),
        (" 7 \n", 7.0),
        ("1e1", 10.0),
        (".5", 0.5),
        ("5.", 5.0),
        (True, 1.0),
        (False, 0.0),
        ("ON", 1.0),
        ("off", 0.0),
        ("True", 1.0),
    ],
)
def test_numbers_booleans_and_switch_words_are_values(raw: object, value: float) -> None:
    assert converter()(raw) == (value, Quality.GOOD)


@pytest.mark.parametrize(
    "raw",
    [
        *("", "nan", "NaN", "inf", "-Infinity", "1_0", "１２", "12 ppm", "0x10", "1e999", "9" * 65),
        *(None, [], {}, [1.0], b"1", math.nan, math.inf, 10**400),
    ],
)
def test_what_is_no_finite_number_is_unreadable(raw: object) -> None:
    value, quality = converter()(raw)
    assert math.isnan(value)
    assert quality == Quality.UNREADABLE


def test_a_value_that_scaling_makes_infinite_is_unreadable() -> None:
    assert converter(scale=1e10)(1e308)[1] == Quality.UNREADABLE


def test_scale_and_offset_apply_to_numbers_and_not_to_words() -> None:
    convert = converter(scale=0.1, offset=-40, words={"mild": 10})
    assert convert(500) == (10.0, Quality.GOOD)
    assert convert("500") == (10.0, Quality.GOOD)
    assert convert("Mild") == (10.0, Quality.GOOD)


def test_a_special_number_is_compared_before_scaling() -> None:
    convert = converter(scale=0.1, special={-1: "sensor_fault", "65535": "comms_lost"})
    assert convert(-1)[1] == Quality.SENSOR_FAULT
    assert convert("-1")[1] == Quality.SENSOR_FAULT
    assert math.isnan(convert(65535.0)[0])
    assert convert(-10) == (-1.0, Quality.GOOD)


def test_a_special_text_has_its_quality_in_any_case() -> None:
    value, quality = converter(special={"WarmUp": "warm_up"})(" warmup ")
    assert (math.isnan(value), quality) == (True, Quality.WARM_UP)


def test_a_yaml_key_that_is_a_boolean_stands_for_its_text() -> None:
    assert converter(special={True: "inhibited"})(True)[1] == Quality.INHIBITED


def test_an_uncertain_special_number_keeps_its_value() -> None:
    assert converter(scale=2, special={7: "test"})(7) == (14.0, Quality.TEST)


def test_an_over_range_text_counts_as_the_end_of_the_range() -> None:
    assert converter(special={"OL": "over_range"})("OL") == (500.0, Quality.OVER_RANGE)


def test_an_uncertain_text_without_a_number_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="maintenance needs a number") as caught:
        converter(special={"service": "maintenance"})
    assert caught.value.path == ("special", "service")


def test_an_unknown_quality_is_named_with_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="'broken' is no quality; allowed are uncertain"):
        ValueOptions.model_validate({"special": {"x": "broken"}})
