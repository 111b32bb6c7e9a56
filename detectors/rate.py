"""Rate of rise or fall: the slope of the readings of a window, judged in two steps of units per minute.

The slope is that of least squares, so that one odd reading counts little and readings need not be evenly spaced. A
rule keeps 40 cells of time a window, each with the last reading that fell into it: memory is bounded whatever an
instrument sends, and a burst does not push the window's beginning out. BAD readings leave no trace but a gap; a slope
is judged only while the readings of the window are enough and span half of it, and until then nothing raises or clears.

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

from detectors.bank import (
    Judge,
    Ladder,
    Mask,
    Slots,
    float_column,
    is_bad,
    is_over_range,
    margin,
    time_column,
)
from gateway.core.clock import NS_PER_S
from gateway.core.errors import ConfigError
from gateway.core.model import BAD_FROM, NO_VERDICTS, Batch, Float64, Int8, Int64, Judged, Rule, Verdicts
from gateway.core.plugin import Detector, PluginOptions

CELLS: Final = 40
"""Cells of time a window: one for each reading of the usual 30 s at 1 Hz, with some to spare for uneven ones."""

NEVER: Final = np.int64(-(1 << 62))
"""The time of an empty cell: outside every window, and far enough from both ends to subtract."""

JUDGED: Final = Judged("{}/min", "change", "变化")

_NS_PER_MINUTE: Final = 60.0 * NS_PER_S

_QUIET_SHARE: Final = 0.5 / np.sqrt(2.0 * CELLS)
"""How far readings may lie from a reference, in parts of limit times window, when no slope can reach the limit.

For n readings of span T and values within R of one another, |slope| <= R * sum|x - mean| / (2 * sum(x - mean)^2),
which is at most R * sqrt(n / 2) / T, as sum|d| <= sqrt(n * sum(d^2)) and the two ends alone make sum(d^2) >= T^2 / 2.
With T at least half the window and R twice the distance from the reference: distance < limit * window * this.
"""


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
            time_column(rules, lambda rule: _options(rule).on_delay_s),
            time_column(rules, lambda rule: _options(rule).off_delay_s),
        )
        self._limit: Float64 = np.stack(
            [
                float_column(rules, lambda rule: _options(rule).low),
                float_column(rules, lambda rule: _options(rule).high),
            ]
        )
        self._clear = self._limit * (1.0 - float_column(rules, lambda rule: _options(rule).deadband))
        self._window_ns = time_column(rules, lambda rule: _options(rule).window_s, spare=NS_PER_S)
        self._cell_ns = self._window_ns // (CELLS - 1) + 1
        self._readings_min = float_column(rules, lambda rule: _options(rule).readings_min)
        self._floor = np.nan_to_num(float_column(rules, lambda rule: _options(rule).above), nan=-np.inf)
        self._hold_ns = time_column(rules, lambda rule: _options(rule).hold_s)
        self._rises = float_column(rules, lambda rule: _options(rule).direction in ("rise", "both")) == 1.0
        self._falls = float_column(rules, lambda rule: _options(rule).direction in ("fall", "both")) == 1.0
        self._range_high = float_column(rules, lambda rule: rule.channel.range_high)
        self._trip = np.fmin(*self._limit)
        window_min = self._window_ns / _NS_PER_MINUTE
        # The spare slot's band is endless: nothing ever wakes it.
        self._quiet_band = np.nan_to_num(self._trip * window_min * _QUIET_SHARE, nan=np.inf)
        self._time_ns: Int64 = np.full((bank.size + 1, CELLS), NEVER, np.int64)
        self._value: Float64 = np.zeros((bank.size + 1, CELLS))
        self._last_ns: Int64 = np.full(bank.size + 1, NEVER, np.int64)
        self._raised_ns: Int64 = np.full(bank.size + 1, NEVER, np.int64)
        self._reference: Float64 = np.full(bank.size + 1, np.nan)
        self._quiet_since_ns: Int64 = np.full(bank.size + 1, NEVER, np.int64)
        self._reference[-1] = 0.0
        self.columns |= {
            "time_ns": self._time_ns,
            "value": self._value,
            "last_ns": self._last_ns,
            "raised_ns": self._raised_ns,
            "reference": self._reference,
            "quiet_since_ns": self._quiet_since_ns,
            **self._ladder.columns(),
        }

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        if not len(batch):
            return NO_VERDICTS
        slots = self._bank.slots(batch.row)
        awake = self._ladder.awake(slots)
        if batch.quality.max() >= BAD_FROM:
            good = np.flatnonzero(~is_bad(batch.quality))
            awake[good] |= self._keep(batch.take(good), slots[good])
        else:
            awake |= self._keep(batch, slots)
        if not awake.any():
            return NO_VERDICTS
        at = np.flatnonzero(awake & (slots < self._bank.size))
        return self._judge(batch, at, slots[at])

    def _keep(self, batch: Batch, slots: Slots) -> Mask:
        """Keep these readings, none BAD, and return where a slope might reach its limit."""
        time_ns, value = batch.time_ns, batch.value
        over_range = is_over_range(batch.quality)
        if over_range.any():
            value = np.where(over_range, np.fmax(value, self._range_high.take(slots)), value)
        back = time_ns < self._last_ns.take(slots)
        if back.any():
            self._forget(slots[back])
        self._last_ns[slots] = time_ns
        cell = slots * CELLS + time_ns // self._cell_ns.take(slots) % CELLS
        self._time_ns.reshape(-1)[cell] = time_ns
        self._value.reshape(-1)[cell] = value
        with np.errstate(over="ignore"):
            quiet = np.abs(value - self._reference.take(slots)) < self._quiet_band.take(slots)
        if not quiet.all():
            moved = np.flatnonzero(~quiet)
            self._reference[slots[moved]] = value[moved]
            self._quiet_since_ns[slots[moved]] = time_ns[moved]
        return time_ns - self._quiet_since_ns.take(slots) < self._window_ns.take(slots)

    def _forget(self, slots: Slots) -> None:
        """Begin anew where time stepped back: what was read later than now makes no slope with what comes."""
        self._time_ns[slots] = NEVER
        self._reference[slots[slots < self._bank.size]] = np.nan

    def _judge(self, batch: Batch, at: Slots, slots: Slots) -> Verdicts:
        # A BAD reading's value is NaN, and so is its slope.
        slope = self._slopes(slots, batch.time_ns[at], batch.value[at])
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

    def _slopes(self, slots: Slots, now_ns: Int64, now: Float64) -> Float64:
        """Return each rule's slope in units per minute; NaN where its readings make none."""
        window_ns = self._window_ns[slots]
        age_ns = self._time_ns.take(slots, axis=0)
        np.subtract(now_ns[:, None], age_ns, out=age_ns)
        inside = (age_ns <= window_ns[:, None]).astype(np.float64)
        x = inside * age_ns
        y = self._value.take(slots, axis=0)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            # Relative to the newest value, so that a slope of 0.1 at 100,000 does not drown in rounding. einsum, as its
            # sums, unlike BLAS, do not depend on how many rows there are: a batch split in two must judge the same.
            y -= now[:, None]
            count = np.einsum("ij->i", inside)
            x_mean = np.einsum("ij->i", x) / count
            covariance = np.einsum("ij,ij->i", x, y) - x_mean * np.einsum("ij,ij->i", inside, y)
            slope: Float64 = covariance / (np.einsum("ij,ij->i", x, x) - count * x_mean * x_mean) * -_NS_PER_MINUTE
        enough = (count >= self._readings_min[slots]) & (x.max(axis=1) * 2.0 >= window_ns)
        return np.where(enough, slope, np.nan)

    def _restored(self) -> None:
        self._ladder.restored()


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
