from typing import Any

import pytest
from pydantic import ValidationError

from detectors.plausibility import Options, create, places
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule
from gateway.core.plugin import Detector

SECOND = 1_000_000_000
NAN = float("nan")
ROWS = ("temperature", "dew_point", "o2", "co")
UNITS = {"temperature": "°C", "dew_point": "°C", "o2": "%vol", "co": "ppm"}
DEW = {
    "says": "colder than its dew point",
    "says_zh": "低于露点",
    "when": [{"of": "temperature", "below_of": "dew_point"}],
}
RICH = {"says": "too much oxygen beside CO", "when": [{"of": "o2", "above": 22.0}, {"of": "co", "above": 50.0}]}


def rule(*checks: dict[str, Any], **given: Any) -> Rule:
    channels = tuple(Channel(k, f"a.{name}", "a", name, UNITS[name], period_s=10.0) for k, name in enumerate(ROWS))
    options = Options.model_validate({"checks": checks, "delay_s": 0.0, **given})
    return Rule(0, "r", "plausibility", channels, options, group=True, path=("rules", 1))


def told(detector: Detector, second: float, quality: int = 0, **values: float) -> list[tuple[int, str]]:
    rows = [ROWS.index(name) for name in values]
    found = detector.update(Batch.of(rows, round(second * SECOND), list(values.values()), quality))
    return [(int(level), why.en) for level, why in zip(found.level, found.reason, strict=True)]


def test_what_cannot_be_is_a_fault_until_it_can() -> None:
    detector = create([rule(DEW)])
    assert told(detector, 0, temperature=20.0, dew_point=8.0) == []
    why = "colder than its dew point: a.temperature 6.00 °C and a.dew_point 8.00 °C"
    assert told(detector, 10, temperature=6.0, dew_point=8.0) == [(Level.FAULT, why)]
    assert told(detector, 20, temperature=9.0) == [(Level.NORMAL, "plausible again")]


def test_all_conditions_of_a_check_must_hold() -> None:
    detector = create([rule(DEW, RICH)])
    assert told(detector, 0, o2=23.0, co=3.0, temperature=20.0, dew_point=1.0) == []
    assert told(detector, 10, o2=20.9, co=80.0, temperature=20.0, dew_point=1.0) == []
    assert told(detector, 20, o2=23.0, co=80.0)[0][0] == Level.FAULT


def test_it_must_seem_so_for_the_delay() -> None:
    detector = create([rule(DEW, delay_s=60.0)])
    for second in range(0, 60, 10):
        assert told(detector, second, temperature=2.0, dew_point=8.0) == []
    assert told(detector, 60, temperature=2.0, dew_point=8.0)[0][0] == Level.FAULT


def test_a_margin_counts() -> None:
    check = {"says": "x", "when": [{"of": "temperature", "above_of": "dew_point", "by": 30.0}]}
    detector = create([rule(check)])
    assert told(detector, 0, temperature=30.0, dew_point=0.0) == []
    assert len(told(detector, 10, temperature=31.0, dew_point=0.0)) == 1


@pytest.mark.parametrize("quality", [Quality.COMMS_LOST, Quality.MAINTENANCE, Quality.TEST, Quality.OVER_RANGE])
def test_a_reading_that_tells_nothing_neither_raises_nor_clears(quality: Quality) -> None:
    detector = create([rule(DEW)])
    value = NAN if quality >= Quality.BAD else 2.0
    assert told(detector, 0, dew_point=8.0) == []
    assert told(detector, 1, quality, temperature=value) == []
    assert told(detector, 2, temperature=2.0)[0][0] == Level.FAULT
    assert told(detector, 3, quality, temperature=30.0 if value == value else NAN) == []
    assert told(detector, 4, dew_point=8.0) == []


def test_a_reading_that_is_stale_does_not_count() -> None:
    detector = create([rule(DEW)])
    told(detector, 0, dew_point=8.0)
    assert told(detector, 40, temperature=2.0) == []


def test_a_name_is_a_quantity_or_a_channel() -> None:
    one = rule(DEW)
    assert places(one, "o2") == places(one, "a.o2") == [2]
    assert places(one, "ch4") == []


def test_a_name_that_nothing_bears_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError, match="no channel of the group is or measures 'ch4'; there are temperature") as why:
        create([rule(DEW, {"says": "x", "when": [{"of": "co", "above": 1.0}, {"of": "ch4", "above": 1.0}]})])
    assert why.value.path == ("rules", 1, "options", "checks", 1, "when", 1)


def test_a_condition_that_says_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="one of above, below, above_of and below_of must be given"):
        rule({"says": "x", "when": [{"of": "co"}]})
