"""Redundant instruments that disagree: several channels of one quantity that should show the same, and do not.

A rule's members are compared by their last values. Of three or more, those are named that lie further from the median
of all than `band` or `share` of it, whichever is more; of two, it is their difference that counts, and nobody can say
which is wrong. Who disagrees for `delay_s` is a fault: a cloud that reaches one head before the other is none.

A member that reads BAD, or is being tested or maintained, is left out; of fewer than two that are left nothing is
said, and a fault that stands goes on until two of them agree. OVER_RANGE counts as the end of the range at least.

    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> heads = tuple(Channel(k, f"gd-0{k + 1}.ch4", f"gd-0{k + 1}", "ch4", "%LEL", decimals=0) for k in range(3))
    >>> detector = create([Rule(0, "same", "consistency", heads, Options(band=5, delay_s=20), group=True)])
    >>> for second in range(0, 60, 10):
    ...     found = detector.update(Batch.of([0, 1, 2], second * 1_000_000_000, [3, 4, 3 if second < 20 else 12]))
    ...     for level, reason in zip(found.level, found.reason):
    ...         print(second, Level(level).name, reason.en)
    40 FAULT gd-03.ch4 12 %LEL; median of 3 is 4 %LEL, band 5 %LEL

References:
    IEC 61511-1: comparison of redundant sensors as a diagnostic measure.
    A. B. Sharma, L. Golubchik, R. Govindan, Sensor faults: detection methods and prevalence in real-world datasets,
    ACM Transactions on Sensor Networks 6 (2010).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from pydantic import ConfigDict, Field

from detectors.parts.bank import FAULT, Mask, Slots, Switch, float_column, is_bad, is_over_range, margin, time_column
from detectors.parts.groups import RoundJudge, amount, listed, member_figures, named
from gateway.core.errors import ConfigError
from gateway.core.model import (
    NO_VERDICTS,
    Batch,
    Channel,
    Float64,
    Int8,
    Judged,
    Level,
    Quality,
    Reason,
    Rule,
    UInt8,
    Verdicts,
)
from gateway.core.plugin import Binding, Detector, PluginOptions

BINDING: Final = Binding.GROUP
LEVELS: Final = (Level.FAULT,)
JUDGED: Final = Judged("{}", "difference", "差异")

_NAMED_MAX: Final = 4
_HANDLED: Final = (Quality.TEST, Quality.MAINTENANCE)


class Options(PluginOptions):
    """How far redundant members may lie apart, and for how long."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"band": 5.0},
                {"band": 0.5, "share": 0.1, "delay_s": 120.0, "off_delay_s": 30.0},
            ]
        }
    )

    band: float = Field(
        gt=0.0, description="How far a member may lie from the others, in the channels' unit.", examples=[5.0]
    )
    share: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="The same as a share of the members' median; the wider of the two counts, without a unit.",
        examples=[0.1],
    )
    delay_s: float = Field(
        default=60.0,
        ge=0.0,
        le=86_400.0,
        description="How long members must disagree before that is a fault, in seconds.",
        examples=[60.0],
    )
    off_delay_s: float = Field(
        default=0.0,
        ge=0.0,
        le=86_400.0,
        description="How long they must agree again before the fault is over, in seconds.",
        examples=[30.0],
    )
    deadband: float = Field(
        default=0.2,
        ge=0.0,
        lt=1.0,
        description="How much nearer than the band they must come to agree again, as a share of it, without a unit.",
        examples=[0.2],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


class Consistency(RoundJudge):
    """All rules on redundant members at once; satisfies `Detector`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self._rules = tuple(rules)
        self._switch = Switch(
            self._bank,
            Level.FAULT,
            time_column(rules, lambda rule: _options(rule).delay_s),
            time_column(rules, lambda rule: _options(rule).off_delay_s),
        )
        self._band = float_column(rules, lambda rule: _options(rule).band, np.inf)
        self._share = float_column(rules, lambda rule: _options(rule).share, 0.0)
        self._near = 1.0 - float_column(rules, lambda rule: _options(rule).deadband, 0.0)
        self._top = member_figures(rules, lambda _, channel: channel.range_high, np.nan)
        self._value = self.member_column("value", np.nan, np.float64)
        self.columns |= self._switch.columns()

    def _values(self, batch: Batch, at: Slots, slots: Slots, places: Slots) -> Float64:
        """Return the values to compare; NaN where a member is left out."""
        quality, value = batch.quality[at], batch.value[at]
        value = np.where(is_over_range(quality), np.fmax(value, self._top[slots, places]), value)
        return np.where(np.isin(quality, _HANDLED), np.nan, value)

    def _calm(self, batch: Batch, mine: Slots, slots: Slots, places: Slots) -> Mask:
        """Take over the readings of rules that cannot disagree, in whatever order they came; return the others."""
        value = self._values(batch, mine, slots, places)
        every = np.arange(self.members.size + 1)
        stirred = self._switch.awake(every)
        # Before and after together span all that any order of these readings can have stood side by side.
        low, high = _extremes(self._value)
        np.fmin.at(low, slots, value)
        np.fmax.at(high, slots, value)
        with np.errstate(over="ignore", invalid="ignore"):
            stirred |= high - low > self._band
        stirred[-1] = False
        calm = ~stirred[slots]
        self._value[slots[calm], places[calm]] = value[calm]
        return stirred

    def _round(self, batch: Batch, at: Slots, slots: Slots, places: Slots) -> Verdicts:
        """Judge at most one reading of each rule."""
        self._value[slots, places] = self._values(batch, at, slots, places)
        median, worst = self._compare(slots)
        band = self._bands(slots, median)
        mute = self._mute(batch.quality[at], worst)
        after = self._switch.step(slots, batch.time_ns[at], worst > band, worst < band * self._near[slots], mute)
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        return self._report(batch, at[changed], slots[changed], after[changed], (median[changed], worst[changed]))

    @staticmethod
    def _mute(quality: UInt8, worst: Float64) -> Mask:
        """Return which readings clear nothing: those left out, and those with nobody to agree with."""
        return is_bad(quality) | is_over_range(quality) | np.isin(quality, _HANDLED) | np.isnan(worst)

    def _compare(self, slots: Slots) -> tuple[Float64, Float64]:
        """Return the median of each rule's members, and how far the furthest lies from it; NaN for fewer than two.

        Of two members, it is how far they lie apart.
        """
        values = np.sort(self._value[slots], axis=1)  # NaN comes last
        count = (~np.isnan(values)).sum(axis=1)
        rows, some = np.arange(len(slots)), np.maximum(count, 1)
        with np.errstate(over="ignore", invalid="ignore"):
            median = values[rows, (some - 1) // 2] / 2.0 + values[rows, some // 2] / 2.0
            worst = np.fmax(median - values[:, 0], values[rows, some - 1] - median)
            worst = np.where(count == 2, values[rows, some - 1] - values[:, 0], worst)
        return median, np.where(count < 2, np.nan, worst)

    def _bands(self, slots: Slots, median: Float64) -> Float64:
        return np.fmax(self._band[slots], self._share[slots] * np.abs(median))

    def _report(self, batch: Batch, at: Slots, slots: Slots, after: Int8, found: tuple[Float64, Float64]) -> Verdicts:
        median, worst = found
        band = self._bands(slots, median)
        reasons = tuple(
            self._reason(slot, *figures, raised=level == FAULT)
            for slot, level, *figures in zip(
                slots.tolist(), after.tolist(), median.tolist(), worst.tolist(), band.tolist(), strict=True
            )
        )
        quality = np.where(after == FAULT, np.uint8(Quality.SENSOR_FAULT), batch.quality[at])
        judged = (worst, band, margin(worst, band))
        return self._bank.report(batch, at, slots, after, judged=judged, quality=quality, reason=reasons)

    def _reason(self, slot: int, median: float, worst: float, band: float, *, raised: bool) -> Reason:
        channels = self._rules[slot].channels
        first, values = channels[0], self._value[slot]
        count = int((~np.isnan(values)).sum())
        limit, apart = amount(first, band, change=True), amount(first, worst, change=True)
        if not raised:
            return Reason(f"{count} agree within {apart}; band {limit}", f"{count}个一致,相差{apart};允许{limit}")
        if count == 2:
            both = listed([_shown(channels[k], values[k]) for k in np.flatnonzero(~np.isnan(values))])
            return Reason(f"{both.en} differ by {apart}, band {limit}", f"{both.zh}相差{apart},允许{limit}")
        odd = np.flatnonzero(np.abs(values - median) > band)[:_NAMED_MAX]
        who, middle = listed([_shown(channels[k], values[k]) for k in odd]), amount(first, median)
        return Reason(
            f"{who.en}; median of {count} is {middle}, band {limit}", f"{who.zh};{count}个的中位数{middle},允许{limit}"
        )

    def _restored(self) -> None:
        self._switch.restored()


def _extremes(values: Float64) -> tuple[Float64, Float64]:
    """Return the least and the greatest value of each row, NaN where it has none."""
    return np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)


def _shown(channel: Channel, value: float) -> Reason:
    name, shown = named(channel), amount(channel, float(value))
    return Reason(f"{name.en} {shown}", f"{name.zh} {shown}")


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: The members measure different things, or there is only one.
    """
    for rule in rules:
        kinds = {(channel.quantity, channel.unit) for channel in rule.channels}
        if len(kinds) > 1:
            both = ", ".join(sorted(f"{quantity} in {unit or 'no unit'}" for quantity, unit in kinds))
            raise ConfigError(("channels",), f"members measure {both}; redundant ones measure the same").under(
                *rule.path
            )
        if len(rule.channels) < 2:
            raise ConfigError(("channels",), f"{rule.channel.id} has nobody to be compared with").under(*rule.path)
    return Consistency(rules)
