"""Rate of rise or fall: the slope of the readings of a window, judged in two steps of units per minute.

The slope is that of least squares, so that one odd reading counts little and readings need not be evenly spaced. A
rule keeps 40 cells of time a window, each with the first reading that fell into it (`parts.window`). BAD readings
leave no trace but a gap; a slope is judged only while the readings of the window are enough and span half of it, and
until then nothing raises or clears.

    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(row=0, id="ht-01.temperature", instrument="ht-01", quantity="temperature", unit="°C")
    >>> rule = Rule(index=0, id="rise", type="rate", channels=(channel,), options=Options(high=8.3, window_s=30))
    >>> detector = create([rule])
    >>> for second in range(0, 60, 5):
    ...     value = 21.0 if second < 20 else 21.0 + 0.2 * (second - 20)
    ...     verdicts = detector.update(Batch.of([0], second * 1_000_000_000, [value]))
    ...     for level, slope in zip(verdicts.level, verdicts.value):
    ...         print(second, Level(level).name, round(slope, 1), "K/min")
    40 HIGH 8.6 K/min

References:
    EN 54-5 and UL 521 define heat detectors by their rate of rise; 8.3 K/min is 15 °F/min.
    R. W. Bukowski et al., Performance of Home Smoke Alarms, NIST TN 1455-1 (2008): temperatures of real rooms.
"""

from collections.abc import Sequence
from typing import Final, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from detectors.parts.bank import (
    OVER_RANGE,
    Judge,
    Ladder,
    Mask,
    Share,
    Slots,
    Where,
    durations,
    figures,
    is_over_range,
    margin,
    shared,
    shared_ns,
)
from detectors.parts.window import CELLS, NEVER, NS_PER_MINUTE, Window
from gateway.core.clock import NS_PER_S
from gateway.core.errors import ConfigError
from gateway.core.model import BAD_FROM, NO_VERDICTS, Batch, Float64, Int8, Int64, Judged, Rule, UInt8, Verdicts
from gateway.core.plugin import Detector, PluginOptions

JUDGED: Final = Judged("{}/min", "change", "变化")

_SLOPE_SPARSE: Final = 2.0 * np.sqrt((CELLS + 1) / 2.0) * 1.001
"""The steepest slope of readings that lie within R of one another in a window W, in R / W, whatever their times.

For n readings of span T, |slope| <= R * sum|x - mean| / (2 * sum(x - mean)^2), which is at most R * sqrt(n / 2) / T, as
sum|d| <= sqrt(n * sum(d^2)) and the two ends alone make sum(d^2) >= T^2 / 2; and T is at least half of W.
"""

_SLOPE_DENSE: Final = 3.4
"""The same where no two readings that follow one another lie further apart than an eighth of the window.

Then eight of them lie one in each eighth. With u = sum|d| / sum(d^2), no reading can have |d| - u * d^2 add up to more
than nothing over all: those eight give at most 12 / 8 - u * 28 / 64 (in units of W, each as near to the middle as its
eighth allows), the others 1 / (4 u) each, so that u <= 6.4, and a slope is at most R * u / 2.
"""

_GAP_SHARE: Final = 1.0 / 8.0

_BAND_SHARE: Final = 0.31
"""A third, less something: then a value may leave its band once in a window, and both bands still make no slope."""


class Options(PluginOptions):
    """How fast is too fast, and over which window."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"low": 5.0, "high": 8.3, "window_s": 30.0},
                {"direction": "both", "low": 2.0, "window_s": 60.0, "on_delay_s": 5.0, "off_delay_s": 10.0},
                {"direction": "fall", "high": 1.5, "window_s": 20.0, "hold_s": 30.0},
            ]
        }
    )

    low: float | None = Field(
        default=None,
        gt=0.0,
        description="First limit (level LOW), in the channel's unit per minute.",
        examples=[5.0],
    )
    high: float | None = Field(
        default=None,
        gt=0.0,
        description="Second limit (level HIGH), in the channel's unit per minute.",
        examples=[8.3],
    )
    direction: Literal["rise", "fall", "both"] = Field(
        default="rise",
        description="Which change is dangerous: `rise`, `fall` or `both`; a word without a unit.",
        examples=["rise"],
    )
    window_s: float = Field(
        default=30.0,
        ge=1.0,
        le=3600.0,
        description="How far back the slope looks, in seconds.",
        examples=[30.0],
    )
    readings_min: int = Field(
        default=3,
        ge=3,
        le=CELLS // 2,
        description="Fewest readings of the window that make a slope, a count without a unit.",
        examples=[3],
    )
    above: float | None = Field(
        default=None,
        description="The rate raises only while the value is at least this, in the channel's unit, so that warming up "
        "from a cold start is no alarm.",
        examples=[30.0],
    )
    on_delay_s: float = Field(
        default=0.0,
        ge=0.0,
        le=3600.0,
        description="How long the rate must stand at or above a limit before the step is raised, in seconds.",
        examples=[0.0],
    )
    off_delay_s: float = Field(
        default=0.0,
        ge=0.0,
        le=3600.0,
        description="How long the rate must stand below a limit, deadband included, before the step is over, in "
        "seconds.",
        examples=[10.0],
    )
    deadband: float = Field(
        default=0.2,
        ge=0.0,
        lt=1.0,
        description="How far the rate must fall below a limit before the step is over, as a share of that limit, "
        "without a unit.",
        examples=[0.2],
    )
    hold_s: float = Field(
        default=0.0,
        ge=0.0,
        le=3600.0,
        description="How long a step stays at least, once raised, in seconds.",
        examples=[30.0],
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("low or high must be given")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        return self


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


class Rate(Judge):
    """All rate rules at once; satisfies `Detector`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        bank = self._bank
        self._ladder = Ladder(
            bank,
            durations(rules, lambda rule: _options(rule).on_delay_s),
            durations(rules, lambda rule: _options(rule).off_delay_s),
        )
        self._limit: Float64 = shared(
            np.stack(
                [
                    figures(rules, lambda rule: _options(rule).low),
                    figures(rules, lambda rule: _options(rule).high),
                ]
            )
        )
        self._clear = shared(self._limit * (1.0 - figures(rules, lambda rule: _options(rule).deadband)))
        self._window_ns = durations(rules, lambda rule: _options(rule).window_s, spare=NS_PER_S)
        self._window = Window(self._window_ns)
        self._longest_ns = int(self._window_ns.max())
        self._readings_min = figures(rules, lambda rule: _options(rule).readings_min)
        self._floor = shared(np.nan_to_num(figures(rules, lambda rule: _options(rule).above), nan=-np.inf))
        self._hold_ns = durations(rules, lambda rule: _options(rule).hold_s)
        self._rises = figures(rules, lambda rule: _options(rule).direction in ("rise", "both")) == 1.0
        self._falls = figures(rules, lambda rule: _options(rule).direction in ("fall", "both")) == 1.0
        self._range_high = figures(rules, lambda rule: rule.channel.range_high)
        self._trip = shared(np.fmin(*self._limit))
        # Where readings come often enough, and only while they do, much more noise is known to make no slope.
        self._gap_ns = shared_ns((self._window_ns * _GAP_SHARE).astype(np.int64))
        self._dense = durations(rules, lambda rule: 1.5 * rule.channel.period_s) <= self._gap_ns
        self._gap_min_ns = int(self._gap_ns[:-1][self._dense[:-1]].min(initial=-NEVER))
        steepest = np.where(self._dense, _SLOPE_DENSE, _SLOPE_SPARSE)
        # How far readings of a window may lie apart, and from a reference so that two references fit in one window.
        self._apart = shared(self._trip * (self._window_ns / NS_PER_MINUTE) / steepest)
        self._quiet_band = shared(self._apart * _BAND_SHARE)
        self._before: Share | None = None
        self._raised_ns: Int64 = np.full(bank.size + 1, NEVER, np.int64)
        # Readings between these two have been quiet ever since `quiet_since_ns`; at first none is.
        self._quiet_low: Float64 = np.full(bank.size + 1, np.inf)
        self._quiet_high: Float64 = np.full(bank.size + 1, -np.inf)
        self._quiet_since_ns: Int64 = np.full(bank.size + 1, NEVER, np.int64)
        self._restless_ns: Int64 = np.full(bank.size + 1, NEVER, np.int64)
        self._moved_ns = int(NEVER)
        self.columns |= {
            "raised_ns": self._raised_ns,
            "quiet_low": self._quiet_low,
            "quiet_high": self._quiet_high,
            "quiet_since_ns": self._quiet_since_ns,
            "restless_ns": self._restless_ns,
            **self._window.columns(),
            **self._ladder.columns(),
        }

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        share = self._bank.share(batch)
        good = share.good()
        if good is not None and not isinstance(share.slots, slice):
            kept = share.with_value()
            if len(kept):
                self._keep(kept, None)
        else:
            self._keep(share, good)
        # Whoever moved within the longest window before the earliest reading here may have a slope.
        restless = share.first_ns - self._moved_ns < self._longest_ns
        if not restless and not self._ladder.any_awake():
            return NO_VERDICTS
        awake = self._ladder.awake(share.slots)
        if restless:
            awake |= share.time_ns - self._restless_ns[share.slots] < self._window_ns[share.slots]
        found = share.awake(awake)
        return NO_VERDICTS if found is None else self._judge(batch, *found)

    def _keep(self, share: Share, good: Mask | None) -> None:
        """Keep these readings, those that are `good`, and note which are not as quiet as those before."""
        value = share.value
        if share.worst >= OVER_RANGE:
            value = self._counted(share.slots, value, share.quality)
        gaps = self._gaps(share)
        if gaps is not None and good is not None:
            gaps &= good
        back = self._window.keep(share, value, None if good is None else (good, share.marks))
        if back is not None:
            self._quiet_low[back], self._quiet_high[back] = np.inf, -np.inf
        # A BAD reading is NaN, and lies beyond nothing.
        restless = value < self._quiet_low[share.slots]
        restless |= value > self._quiet_high[share.slots]
        if gaps is not None:
            # Such a gap is no move, but what is known of dense readings does not hold around it.
            restless |= gaps
            self._quiet_low[share.pick(np.flatnonzero(gaps))[1]] = np.inf
        if np.count_nonzero(restless):
            self._move(share, np.flatnonzero(restless), value)

    def _gaps(self, share: Share) -> Mask | None:
        """Return where readings are too far from those before for what is known of dense ones; None for nowhere."""
        before, self._before = self._before, share
        if (
            before is not None
            and before.slots is share.slots
            and isinstance(share.slots, slice)
            # Whoever was silent has a gap behind him.
            and (before.worst < BAD_FROM or before.marks == share.marks)
            and share.last_ns - before.first_ns <= self._gap_min_ns
        ):
            return None
        gaps = self._window.since_last(share) > self._gap_ns[share.slots]
        return gaps & self._dense[share.slots]

    def _counted(self, slots: Where, value: Float64, quality: UInt8) -> Float64:
        """Return the values, beyond the range at least the range's end."""
        return np.where(is_over_range(quality), np.fmax(value, self._range_high[slots]), value)

    def _move(self, share: Share, moved: Slots, value: Float64) -> None:
        _, slots = share.pick(moved)
        band, here, time_ns = self._quiet_band[slots], value[moved], share.time_ns[moved]
        with np.errstate(over="ignore", invalid="ignore"):
            low, high = (
                np.minimum(self._quiet_low[slots], here - band),
                np.maximum(self._quiet_high[slots], here + band),
            )
            # A first move in a window, and not far: all of the window still lies too close together for a slope.
            near = (high - low <= self._apart[slots]) & np.isfinite(self._quiet_low[slots])
            near &= time_ns - self._quiet_since_ns[slots] >= self._window_ns[slots]
            self._quiet_low[slots], self._quiet_high[slots] = here - band, here + band
        self._quiet_since_ns[slots] = time_ns
        far = ~near
        if np.count_nonzero(far):
            self._restless_ns[slots[far]] = time_ns[far]
            self._moved_ns = max(self._moved_ns, int(time_ns[far].max()))

    def _judge(self, batch: Batch, at: Slots, slots: Slots) -> Verdicts:
        # A BAD reading's value is NaN, and so is its slope.
        now = self._counted(slots, batch.value[at], batch.quality[at])
        slope = self._window.slopes(slots, batch.time_ns[at], now, self._readings_min[slots])
        rise, fall = np.where(self._rises[slots], slope, np.nan), np.where(self._falls[slots], -slope, np.nan)
        speed = np.fmax(rise, fall)
        hot = np.flatnonzero((speed >= self._trip[slots]) | self._ladder.awake(slots))
        if not len(hot):
            return NO_VERDICTS
        return self._climb(batch, at[hot], slots[hot], slope[hot], speed[hot])

    def _climb(self, batch: Batch, at: Slots, slots: Slots, slope: Float64, speed: Float64) -> Verdicts:
        time_ns, over_range = batch.time_ns[at], is_over_range(batch.quality[at])
        over = (speed >= self._limit[:, slots]) & ((batch.value[at] >= self._floor[slots]) | over_range)
        under = ~((speed >= self._clear[:, slots]) | self._held(slots, time_ns))
        hold = np.isnan(speed) | over_range
        after = self._ladder.step(slots, time_ns, (over[0], over[1]), (under[0], under[1]), hold)
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        at, slots, after, slope, speed = at[changed], slots[changed], after[changed], slope[changed], speed[changed]
        raised = after > self._bank.levels[slots]
        self._raised_ns[slots[raised]] = batch.time_ns[at[raised]]
        limit = self._compared(slots, np.where(raised, after, after + 1) - 1)
        return self._bank.report(batch, at, slots, after, judged=(slope, limit, margin(speed, limit)))

    def _held(self, slots: Slots, time_ns: Int64) -> Mask:
        """Return where a step was raised too short a time ago to end."""
        raised_ns = np.minimum(self._raised_ns[slots], time_ns)
        self._raised_ns[slots] = raised_ns
        held: Mask = time_ns - raised_ns < self._hold_ns[slots]
        return held

    def _compared(self, slots: Slots, step: Int8) -> Float64:
        limit = self._limit[step, slots]
        return np.where(np.isnan(limit), self._limit[1 - step, slots], limit)

    def _restored(self) -> None:
        self._ladder.restored()
        self._window.restored()
        self._moved_ns = int(self._restless_ns.max())
        self._before = None


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: The channel is read too seldom for the window, so that the rule could never judge.
    """
    for rule in rules:
        options, period_s = _options(rule), rule.channel.period_s
        if period_s * (options.readings_min - 1) > options.window_s:
            raise ConfigError(
                ("options", "window_s"),
                f"{options.window_s:g} s hold fewer than {options.readings_min} readings of {rule.channel.id}, which "
                f"comes every {period_s:g} s; the rate could never be judged",
            ).under(*rule.path)
    return Rate(rules)
