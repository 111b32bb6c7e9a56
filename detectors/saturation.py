"""A value that stands at the end of its range: the instrument has no more to show.

At the upper end the true value may be anything above, which the limits have long said is danger; this says beside them
that the figure on the screen is only the least it can be. At the lower end most instruments rightly rest (clean air is
0 %LEL), so that end counts only where it is asked for: an oxygen head at 0 %vol, a tank gauge whose cable is broken.
OVER_RANGE counts as the upper end, UNDER_RANGE is `fault`'s. BAD readings neither raise nor clear.

    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", "%LEL", 0.0, 100.0, decimals=0)
    >>> rule = Rule(0, "end", "saturation", (channel,), Options(delay_s=60))
    >>> detector = create([rule])
    >>> for minute, value in enumerate([3, 100, 100, 100, 40]):
    ...     verdicts = detector.update(Batch.of([0], minute * 60_000_000_000, [value]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(minute, Level(level).name, reason.en)
    2 FAULT at the upper end of its range, 100 %LEL, for 1 min: it may be more
    4 NORMAL back within its range

References:
    IEC 60079-29-1: a reading above the measuring range must stay recognisable as such.
    ISA-18.2 / IEC 62682: on-delay and off-delay.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from pydantic import ConfigDict, Field

from detectors.parts.bank import (
    FAULT,
    NORMAL,
    OVER_RANGE,
    Judge,
    Mask,
    Slots,
    Switch,
    durations,
    figures,
    is_bad,
    is_over_range,
)
from detectors.parts.groups import amount
from gateway.core.errors import ConfigError
from gateway.core.model import NO_VERDICTS, Batch, Float64, Level, Quality, Reason, Rule, Verdicts
from gateway.core.plugin import Detector, PluginOptions

LEVELS: Final = (Level.FAULT,)


class Options(PluginOptions):
    """Which end of the range counts, and for how long."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"delay_s": 5.0}, {"ends": "both", "delay_s": 60.0, "margin": 0.01}]}
    )

    ends: Literal["upper", "lower", "both"] = Field(
        default="upper",
        description="The ends of the range that count: `upper`, `lower` or `both`.",
        examples=["upper"],
    )
    margin: float = Field(
        default=0.002,
        ge=0.0,
        lt=0.5,
        description="How near to the end counts as the end, as a share of the range, without a unit.",
        examples=[0.002],
    )
    delay_s: float = Field(
        default=60.0,
        ge=0.0,
        le=86_400.0,
        description="How long the value must stand at the end, in seconds.",
        examples=[60.0],
    )
    off_delay_s: float = Field(
        default=0.0,
        ge=0.0,
        le=3600.0,
        description="How long the value must be away from the end before the fault is over, in seconds.",
        examples=[10.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def _upper(rule: Rule) -> float:
    channel, options = rule.channel, _options(rule)
    if options.ends == "lower":
        return np.inf
    return channel.range_high - options.margin * (channel.range_high - channel.range_low)


def _lower(rule: Rule) -> float:
    channel, options = rule.channel, _options(rule)
    if options.ends == "upper":
        return -np.inf
    return channel.range_low + options.margin * (channel.range_high - channel.range_low)


class Saturation(Judge):
    """All rules of this type at once; satisfies `Detector`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self._channels = tuple(rule.channel for rule in rules)
        self._switch = Switch(
            self._bank,
            Level.FAULT,
            durations(rules, lambda rule: _options(rule).delay_s),
            durations(rules, lambda rule: _options(rule).off_delay_s),
        )
        self.columns |= self._switch.columns()
        self._upper = figures(rules, _upper, spare=np.inf)
        self._lower = figures(rules, _lower, spare=-np.inf)
        self._delay_min = figures(rules, lambda rule: _options(rule).delay_s / 60.0)
        self._any_lower = bool((self._lower > -np.inf).any())

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        share = self._bank.share(batch)
        slots = share.slots
        awake = share.value >= self._upper[slots]
        if self._any_lower:
            awake |= share.value <= self._lower[slots]
        if OVER_RANGE in share.marks:
            awake |= is_over_range(share.quality)
        if self._switch.any_awake():
            awake |= self._switch.awake(slots)
        found = share.awake(awake)
        return NO_VERDICTS if found is None else self._judge(batch, *found)

    def _judge(self, batch: Batch, at: Slots, slots: Slots) -> Verdicts:
        value, quality, time_ns = batch.value[at], batch.quality[at], batch.time_ns[at]
        bad = is_bad(quality)
        above, below = self._at_end(slots, value)
        above |= is_over_range(quality) & (self._upper[slots] < np.inf)
        out = (above | below) & ~bad
        after = self._switch.step(slots, time_ns, out, ~out & ~bad, bad)
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        reason = tuple(self._reason(int(slots[k]), bool(above[k]), raised=after[k] == FAULT) for k in changed)
        at, slots, after, above = at[changed], slots[changed], after[changed], above[changed]
        limit = np.where(above, self._upper[slots], np.where(below[changed], self._lower[slots], np.nan))
        found = np.where(above, np.uint8(Quality.OVER_RANGE), np.uint8(Quality.SENSOR_FAULT))
        found = np.where(after == NORMAL, quality[changed], found)
        score = np.full(len(at), np.nan, np.float32)
        judged = (value[changed], limit, score)
        return self._bank.report(batch, at, slots, after, judged=judged, quality=found, reason=reason)

    def _at_end(self, slots: Slots, value: Float64) -> tuple[Mask, Mask]:
        return value >= self._upper[slots], value <= self._lower[slots]

    def _reason(self, slot: int, above: bool, *, raised: bool) -> Reason:  # noqa: FBT001 - one of two ends
        if not raised:
            return Reason("back within its range", "已回到量程之内")
        channel, minutes = self._channels[slot], self._delay_min[slot]
        if above:
            end = amount(channel, channel.range_high)
            return Reason(
                f"at the upper end of its range, {end}, for {minutes:.3g} min: it may be more",
                f"停在量程上限 {end} 已 {minutes:.3g} 分钟，实际值可能更高",
            )
        end = amount(channel, channel.range_low)
        return Reason(
            f"at the lower end of its range, {end}, for {minutes:.3g} min: it may be broken",
            f"停在量程下限 {end} 已 {minutes:.3g} 分钟，可能已损坏",
        )

    def _restored(self) -> None:
        self._switch.restored()


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: The channel's range is not known.
    """
    for rule in rules:
        channel = rule.channel
        if not channel.range_high > channel.range_low:
            raise ConfigError((), f"{channel.id} has no range whose end it could stand at").under(*rule.path)
    return Saturation(rules)
