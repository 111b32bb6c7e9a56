"""A value that stands still for longer than its channel ever does: an instrument that repeats itself.

How long is too long is learned from the channel: a temperature that has never stood still for ten minutes is frozen
after thirty, while a gas head may rightly show the same zero for weeks. So each channel has a resting value, the one at
which it has stood longest; stillness there is compared with the longest rest, stillness anywhere else with the
longest one anywhere else. A gas head that stands still at 12 %LEL is found within the hour, one that is frozen at its
own zero is not: there only a bump test tells (`bump_test`). At the lower end of its range a value may stand for ever:
clean air shows nothing else. What moves by no more than the last digit that means something stands still.

A channel that has not yet moved is not judged. BAD readings are neither still nor moving. Once found, only a value that
moves shows that the instrument is alive; then the record grows by half at most, so that a fault is not learned.

The verdict's value is the value that stands still, its quality is FROZEN. Fixed times for all are what
`fault` has, as `frozen_s`.

    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(0, "ht-01.temperature", "ht-01", "temperature", "°C", decimals=1, period_s=60.0)
    >>> rule = Rule(0, "frozen", "frozen", (channel,), Options(least_s=600, settle_s=600))
    >>> detector = create([rule])
    >>> for minute in range(200):
    ...     value = 20.0 + 0.5 * (minute % 7) if minute < 120 else 21.5
    ...     verdicts = detector.update(Batch.of([0], minute * 60_000_000_000, [value]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(minute, Level(level).name, reason.en)
    131 FAULT stands still at 21.5 °C for 10 min; never longer than 0 min before

References:
    A. B. Sharma, L. Golubchik, R. Govindan, Sensor Faults: Detection Methods and Prevalence in Real-World Datasets, ACM
    TOSN 6(3), 2010: constant faults.
    B. de Bruijn et al., Benchmark Datasets for Fault Detection and Classification in Sensor Data, SENSORNETS 2016.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from detectors.parts.bank import (
    FAULT,
    IDLE,
    NORMAL,
    Judge,
    Mask,
    Share,
    Slots,
    durations,
    figures,
    nanoseconds,
)
from detectors.parts.groups import amount
from detectors.parts.habits import Cells, set_aside
from gateway.core.model import (
    NO_VERDICTS,
    Batch,
    Float64,
    Int64,
    Level,
    Quality,
    Reason,
    Rule,
    Verdicts,
)
from gateway.core.plugin import Detector, PluginOptions

LEVELS: Final = (Level.FAULT,)

_CELLS: Final = 10.0
"""Parts of the shortest stillness that counts: a stillness is measured to one of them."""

_YOUNG: Final = 4.0
"""How much longer a stillness must last on a channel that has just begun to be learned, in parts of the usual limit."""

_GROWTH_MAX: Final = 1.5
"""How much a record grows by a stillness that was found to be too long."""

_LITTLE: Final = 2.0
"""How many times its limit a stillness may last and be taken for a habit."""


class Options(PluginOptions):
    """For how long a value must stand still, beside what the channel has shown before."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"least_s": 120.0, "settle_s": 600.0, "ratio": 2.0}, {"least_s": 1800.0, "settle_s": 3600.0}]
        }
    )

    least_s: float = Field(
        default=1800.0,
        ge=10.0,
        le=2_678_400.0,
        description="A stillness shorter than this is no fault, in seconds; at least ten readings.",
        examples=[1800.0],
    )
    ratio: float = Field(
        default=3.0,
        gt=1.0,
        le=1000.0,
        description="How many times the longest stillness of the channel is too long, without a unit.",
        examples=[3.0],
    )
    band: float | None = Field(
        default=None,
        ge=0.0,
        description="How far a value must move to count as moved, in the channel's unit; by default half of the last "
        "digit that means something.",
        examples=[0.05],
    )
    settle_s: float = Field(
        default=86_400.0,
        gt=0.0,
        le=2_678_400.0,
        description="How long a channel is learned, in seconds; until then a stillness must last longer.",
        examples=[86400.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def _least_s(rule: Rule) -> float:
    return max(_options(rule).least_s, _CELLS * rule.channel.period_s)


def _band(rule: Rule) -> float:
    band = _options(rule).band
    return 0.5 * 10.0**-rule.channel.decimals if band is None else band


class Frozen(Judge):
    """All rules of this type at once; satisfies `Detector` and `Learning`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        size = self._bank.size
        self._channels = tuple(rule.channel for rule in rules)
        self._least_ns = durations(rules, _least_s, spare=nanoseconds(1.0))
        self._cells = Cells(durations(rules, lambda rule: _least_s(rule) / _CELLS, spare=nanoseconds(1.0)))
        self._ratio = figures(rules, lambda rule: _options(rule).ratio, spare=1.0)
        self._band = figures(rules, _band, spare=np.inf)
        # A NaN or infinite end of the range excepts nothing.
        self._lowest = figures(rules, lambda rule: rule.channel.range_low + _band(rule), spare=-np.inf)
        self._settle_ns = durations(rules, lambda rule: _options(rule).settle_s, spare=1)
        self._gap_ns = durations(
            rules, lambda rule: max(3.0 * _least_s(rule) / _CELLS, 2.0 * rule.channel.stale_after_s)
        )
        self._low: Float64 = np.full(size + 1, np.inf)
        self._high: Float64 = np.full(size + 1, -np.inf)
        self._gap: Mask = np.zeros(size + 1, np.bool_)
        self._anchor: Float64 = np.full(size + 1, np.nan)
        self._since_ns: Int64 = np.full(size + 1, IDLE, np.int64)
        self._moved: Mask = np.zeros(size + 1, np.bool_)
        self._found: Mask = np.zeros(size + 1, np.bool_)
        self._rest: Float64 = np.full(size + 1, np.nan)
        self._at_rest_ns: Int64 = np.zeros(size + 1, np.int64)
        self._away_ns: Int64 = np.zeros(size + 1, np.int64)
        self._age_ns: Int64 = np.zeros(size + 1, np.int64)
        self._held: Mask = np.zeros(size + 1, np.bool_)
        self.columns |= {
            "cell_end_ns": self._cells.end_ns,
            "low": self._low,
            "high": self._high,
            "gap": self._gap,
            "anchor": self._anchor,
            "since_ns": self._since_ns,
            "moved": self._moved,
            "found": self._found,
            "rest": self._rest,
            "at_rest_ns": self._at_rest_ns,
            "away_ns": self._away_ns,
            "age_ns": self._age_ns,
        }

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        share = self._bank.share(batch)
        aside = None
        if share.worst:
            share, aside = set_aside(share, self._gap)
        closing = self._cells.over(share, aside)
        verdicts = NO_VERDICTS if closing is None else self._close(batch, share, closing)
        slots, value = share.slots, share.value
        # What is set aside has no value, and says nothing of either.
        self._low[slots] = np.fmin(self._low[slots], value)
        self._high[slots] = np.fmax(self._high[slots], value)
        return verdicts

    def _close(self, batch: Batch, share: Share, closing: Slots) -> Verdicts:
        at, slots = share.pick(closing)
        time_ns = share.time_ns[closing]
        self._judge_cells(slots, time_ns)
        self._low[slots], self._high[slots], self._gap[slots] = np.inf, -np.inf, False
        self._cells.begin(slots, time_ns)
        after = np.where(self._found[slots], FAULT, NORMAL)
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        at, slots, after = at[changed], slots[changed], after[changed]
        reason = tuple(self._reason(int(slot), int(now)) for slot, now in zip(slots, time_ns[changed], strict=True))
        value = np.where(after == FAULT, self._anchor[slots], batch.value[at])
        score = np.full(len(at), np.nan, np.float32)
        quality = np.where(after == FAULT, np.uint8(Quality.FROZEN), batch.quality[at])
        limit = np.full(len(at), np.nan)
        return self._bank.report(batch, at, slots, after, judged=(value, limit, score), quality=quality, reason=reason)

    def _judge_cells(self, slots: Slots, time_ns: Int64) -> None:
        """Take the cells that are over into the stillness that they go on with, or end it."""
        low, high, end_ns = self._low[slots], self._high[slots], self._cells.end_ns[slots]
        anchor, band = self._anchor[slots], self._band[slots]
        read = low <= high
        # Several cells without a reading, or a clock that was set: nobody knows what the value did meanwhile.
        whole = np.abs(time_ns - end_ns) <= self._gap_ns[slots]
        with np.errstate(over="ignore", invalid="ignore"):
            still = read & (high - low <= band)
            same = still & (np.maximum(high - anchor, anchor - low) <= band)
        moved = read & ~same
        unknown = ~read | ~whole | self._gap[slots]
        # A gap ends a stillness, but proves no instrument alive that has been found frozen.
        over = moved | (unknown & ~self._found[slots])
        self._end(slots[over], end_ns[over], moved[over])
        # The last moving cell may have touched the value that now stands still: then nothing is over, but this begins.
        begins = still & ~unknown & (over | (self._since_ns[slots] == IDLE))
        self._anchor[slots[begins]] = low[begins]
        self._since_ns[slots[begins]] = end_ns[begins]
        self._moved[slots] |= moved & np.isfinite(anchor)
        self._age_ns[slots] += np.where(whole & ~self._held[slots], self._cells.length_ns[slots], 0)
        judged = self._moved[slots] & ~(self._anchor[slots] <= self._lowest[slots])
        self._found[slots] |= judged & (time_ns - self._since_ns[slots] >= self._limit_ns(slots))

    def _end(self, slots: Slots, end_ns: Int64, moved: Mask) -> None:
        """End stillnesses, and learn how long they were."""
        since, found = self._since_ns[slots], self._found[slots]
        lasted = np.where(since == IDLE, 0, end_ns - self._cells.length_ns[slots] - since)
        rests = self._rests(slots)
        known = np.where(rests, self._at_rest_ns[slots], self._away_ns[slots])
        limit = self._limit_ns(slots)
        # One that went far beyond was a fault, one that went little beyond a habit not known before.
        lasted = np.where(found & (lasted > _LITTLE * limit), 0, lasted)
        most = (_GROWTH_MAX * np.maximum(known, self._least_ns[slots] / self._ratio[slots])).astype(np.int64)
        lasted = np.where(found, np.minimum(lasted, most), lasted)
        lasted[self._held[slots] | ~moved] = 0
        # The longest stillness of all is the rest; what was the rest before was a stillness elsewhere.
        new = ~rests & (lasted > self._at_rest_ns[slots]) & ~found
        away = np.where(new, self._at_rest_ns[slots], np.where(rests, 0, lasted))
        self._away_ns[slots] = np.maximum(self._away_ns[slots], away)
        self._rest[slots] = np.where(new, self._anchor[slots], self._rest[slots])
        self._at_rest_ns[slots] = np.where(
            new | rests, np.maximum(self._at_rest_ns[slots], lasted), self._at_rest_ns[slots]
        )
        self._anchor[slots] = np.nan
        # Not NaN where it moved: the next still cell must know that there was something before.
        self._anchor[slots[moved]] = self._low[slots[moved]]
        self._since_ns[slots] = IDLE
        self._found[slots] = False

    def _rests(self, slots: Slots) -> Mask:
        with np.errstate(invalid="ignore"):
            rests: Mask = np.abs(self._anchor[slots] - self._rest[slots]) <= self._band[slots]
        return rests

    def _limit_ns(self, slots: Slots) -> Int64:
        """Return how long the stillness in progress may last."""
        left = np.maximum(0.0, 1.0 - self._age_ns[slots] / self._settle_ns[slots])
        known = np.where(self._rests(slots), self._at_rest_ns[slots], self._away_ns[slots])
        # A shorter stillness than the least one is no measure of anything.
        longest = np.maximum(known * self._ratio[slots], self._least_ns[slots])
        limit: Int64 = (longest * (1.0 + _YOUNG * left)).astype(np.int64)
        return limit

    def _reason(self, slot: int, now_ns: int) -> Reason:
        channel = self._channels[slot]
        if not self._found[slot]:
            return Reason("moves again", "数值恢复变化")
        one = np.array([slot])
        lasted = _minutes(now_ns - int(self._since_ns[slot]))
        known = self._at_rest_ns if self._rests(one)[0] else self._away_ns
        longest = _minutes(int(known[slot]))
        value = amount(channel, float(self._anchor[slot]))
        return Reason(
            f"stands still at {value} for {lasted} min; never longer than {longest} min before",
            f"停在 {value} 已 {lasted} 分钟；以往最长 {longest} 分钟",
        )

    @property
    def score(self) -> Float64:
        """float64[rules], how long each value has stood still, as a share of its limit; NaN before it is ready."""
        every = np.arange(self._bank.size)
        since = self._since_ns[:-1]
        lasted = np.where(since == IDLE, 0, self._cells.end_ns[:-1] - since)
        share = np.minimum(np.maximum(lasted, 0) / self._limit_ns(every), 1.0)
        return np.where(self.ready, share, np.nan)

    @property
    def ready(self) -> NDArray[np.bool_]:
        """bool[rules], whether each channel has moved, and been learned for long enough."""
        ready: Mask = self._moved[:-1] & (self._age_ns[:-1] >= self._settle_ns[:-1])
        return ready

    def hold(self, held: NDArray[np.bool_]) -> None:
        """Learn nothing from these channels until told otherwise."""
        self._held = self._bank.by_slot(held)

    def relearn(self, rules: NDArray[np.intp]) -> None:
        """Forget what was learned of these rules."""
        self._rest[rules] = np.nan
        self._at_rest_ns[rules] = self._away_ns[rules] = self._age_ns[rules] = 0
        self._moved[rules] = False

    def _restored(self) -> None:
        self._cells.restored()


def _minutes(span_ns: int) -> int:
    return round(span_ns / nanoseconds(60.0))


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules."""
    return Frozen(rules)
