"""From what an instrument writes, as text or JSON, to a value and its quality."""

import math
import re
import sys
from typing import Annotated, Any
from zoneinfo import available_timezones

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from gateway.core.clock import NS_PER_S
from gateway.core.errors import ConfigError
from gateway.core.model import BAD_FROM, Channel, Float64, Quality, quality_name
from gateway.core.plugin import PluginOptions

TEXT_MAX = 64
"""Characters of a text that is read as a value; no instrument writes a longer number."""
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
"""A decimal number. `float` alone also takes `nan`, `inf`, `1_0` and digits of other scripts."""
WORDS = {"true": 1.0, "false": 0.0, "on": 1.0, "off": 0.0}
SPECIAL_NAMES = [quality_name(quality) for quality in Quality if quality >= Quality.UNCERTAIN]

GOOD = int(Quality.GOOD)
UNREADABLE = (math.nan, int(Quality.UNREADABLE))
UNDER_RANGE = (math.nan, int(Quality.UNDER_RANGE))
OVER_RANGE = int(Quality.OVER_RANGE)


NS_PER_UNIT = {"s": NS_PER_S, "ms": 1_000_000, "us": 1_000, "ns": 1}


UNDER_RANGE_PART = 0.1
"""Below the range by more than this part of its span, a value is a fault and not a small negative drift."""
ROUNDING = 1e-9
"""3 × 0.1 is more than 0.3 in binary: so much of the range's end is rounding and not over-range."""
NO_LIMIT = sys.float_info.max
"""Stands for an unknown end of range; infinity is still beyond it."""


def limits(channel: Channel) -> tuple[float, float]:
    """Return below what a channel's value is UNDER_RANGE, and above what it is OVER_RANGE.

    >>> limits(Channel(0, "gd-01.ch4", "gd-01", "ch4", range_low=0, range_high=100))
    (-10.0, 100.0000001)
    """
    low, high = channel.range_low, channel.range_high
    span = high - low
    floor = low - UNDER_RANGE_PART * span if math.isfinite(span) else -NO_LIMIT
    if not math.isfinite(high):
        return floor, NO_LIMIT
    return floor, high + ROUNDING * max(abs(high), abs(span) if math.isfinite(span) else 0.0)


def _zone(name: str | None) -> str | None:
    if name is not None and name not in available_timezones():
        raise ValueError(f"unknown time zone {name!r}; IANA names such as Asia/Shanghai are allowed")
    return name


Zone = Annotated[str | None, AfterValidator(_zone)]
"""IANA name of a time zone, in options."""


def as_text(key: object) -> str:
    """Return a YAML key as an instrument writes it: `true` and -1 are no strings in YAML."""
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key).strip().lower()


def _texts(value: Any) -> Any:
    return {as_text(key): item for key, item in value.items()} if isinstance(value, dict) else value


def _quality(value: Any) -> Any:
    if isinstance(value, str) and value in SPECIAL_NAMES:
        return Quality[value.upper()]
    if isinstance(value, Quality):
        return value
    raise ValueError(f"{value!r} is no quality; allowed are {', '.join(SPECIAL_NAMES)}")


SpecialQuality = Annotated[
    Quality, BeforeValidator(_quality), WithJsonSchema({"type": "string", "enum": SPECIAL_NAMES})
]


class ValueOptions(PluginOptions):
    """How a channel's value is read from what arrives."""

    scale: float = Field(1.0, description="What the number is multiplied by.", examples=[0.1])
    offset: float = Field(0.0, description="What is added after scaling, in the channel's unit.", examples=[-40.0])
    special: Annotated[dict[str, SpecialQuality], BeforeValidator(_texts)] = Field(
        default_factory=dict,
        max_length=256,
        description="Numbers (before scaling) and texts that are no values, and the quality each stands for.",
        examples=[{"-1": "sensor_fault", "warmup": "warm_up"}],
    )
    words: Annotated[dict[str, float], BeforeValidator(_texts)] = Field(
        default_factory=dict,
        max_length=256,
        description="Texts and numbers (before scaling) that stand for values in the channel's unit; true and on are "
        "1, false and off 0 anyway.",
        examples=[{"none": 0, "mild": 10, "heavy": 25}],
    )
    listed_only: bool = Field(
        default=False,
        description="What neither `words` nor `special` lists is UNREADABLE: for codes, of which an unknown one is no "
        "value.",
    )


class Converter:
    """Turns one raw value (text, number or boolean) into a value in the channel's unit and a quality code.

    What cannot be read is (NaN, UNREADABLE); beyond the channel's range a value is OVER_RANGE, and so far below it that
    only a fault explains it, it is (NaN, UNDER_RANGE). A special number or a word outranks the range. A special number
    or text gets its quality; where that quality is UNCERTAIN the value is kept, and a text such as `OL` with
    `over_range` counts as the end of the channel's range.

    Raises:
        ConfigError: A special text with an UNCERTAIN quality stands for no number; the path starts at the options.
    """

    __slots__ = ("_listed_only", "_numbers", "_texts", "ceiling", "floor", "offset", "plain", "scale")

    def __init__(self, options: ValueOptions, channel: Channel) -> None:
        self.scale = options.scale
        self.offset = options.offset
        self.floor, self.ceiling = limits(channel)
        self._listed_only = options.listed_only
        self._texts: dict[str, tuple[float, int]] = {text: (value, GOOD) for text, value in WORDS.items()}
        self._texts |= {text: (value, GOOD) for text, value in options.words.items()}
        self._numbers: dict[float, tuple[float, int]] = {
            float(text): (value, GOOD) for text, value in options.words.items() if NUMBER.fullmatch(text)
        }
        for text, quality in options.special.items():
            if NUMBER.fullmatch(text):
                number = float(text)
                self._numbers[number] = self._value(number * self.scale + self.offset, quality)
            else:
                self._texts[text] = self._value(self._meaning(text, quality, channel), quality)
        self.plain = not self._numbers and not self._listed_only
        """No number is special: a column of numbers needs no look-up."""

    @staticmethod
    def _value(value: float, quality: Quality) -> tuple[float, int]:
        return (math.nan if quality >= BAD_FROM else value, int(quality))

    def _meaning(self, text: str, quality: Quality, channel: Channel) -> float:
        value = self._texts.get(text, UNREADABLE)[0]
        if quality is Quality.OVER_RANGE and math.isnan(value):
            value = channel.range_high
        if quality < BAD_FROM and math.isnan(value):
            raise ConfigError(
                ("special", text),
                f"{quality_name(quality)} needs a number: give {text!r} one in words"
                + (", or the channel a range" if quality is Quality.OVER_RANGE else ""),
            )
        return value

    def __call__(self, raw: object) -> tuple[float, int]:
        """Return the value and its quality code; never raises, whatever `raw` is."""
        kind = type(raw)
        if kind is float or kind is int:
            return self.number(raw)  # type: ignore[arg-type]  # mypy does not narrow by `type(...) is`
        if kind is str:
            return self.text(raw)  # type: ignore[arg-type]  # as above
        if kind is bool:
            return self._texts["true" if raw else "false"]
        return UNREADABLE

    def number(self, raw: float) -> tuple[float, int]:
        """Return a number's value and quality code."""
        special = self._numbers.get(raw)
        if special is not None:
            return special
        if self._listed_only:
            return UNREADABLE
        try:
            value = raw * self.scale + self.offset
        except OverflowError:  # an integer beyond what a double holds
            return UNREADABLE
        if self.floor <= value <= self.ceiling:
            return value, GOOD
        if not math.isfinite(value):
            return UNREADABLE
        return (value, OVER_RANGE) if value > self.ceiling else UNDER_RANGE

    def column(self, raw: Float64) -> Float64 | None:
        """Return a column of finite numbers in the channel's unit, or None where one needs to be looked at by itself.

        One that is beyond the range does, and so does one that is no number when scaled.

        Only for a `plain` converter. The column is changed in place.
        """
        if self.scale != 1.0 or self.offset != 0.0:
            with np.errstate(over="ignore"):
                raw *= self.scale
                raw += self.offset
        # NaN and infinity compare false with every limit.
        return raw if not len(raw) or (self.floor <= raw.min() and raw.max() <= self.ceiling) else None

    def text(self, raw: str) -> tuple[float, int]:
        """Return a text's value and quality code; blanks around it do not matter."""
        if len(raw) > TEXT_MAX:
            return UNREADABLE
        text = raw.strip()
        if NUMBER.fullmatch(text):
            return self.number(float(text))
        return self._texts.get(text.lower(), UNREADABLE)
