"""Time-weighted limits: what a gas does to people, by how much of it for how long.

By `table`, each concentration has a time after which it is an alarm, and times in different concentrations add up as
shares of theirs: the table `en50291` is that of carbon monoxide in dwellings. By `stel` and `twa`, the mean over 15
minutes and over 8 hours is judged in two steps.

Readings count by the time they stand for, in means of half a minute. What nobody measured is unknown, and never clean
air: a sum stands still, and a mean is that of the known part, as if the rest had been alike. Before the first reading,
and before a gap longer than the window, nothing was breathed here; but that ends no alarm: it is over only when the
mean of what has been measured since is below.

    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(0, "gd-01.co", "gd-01", "co", "ppm", 0.0, 1000.0, decimals=0)
    >>> detector = create([Rule(0, "co", "exposure", (channel,), Options(table="en50291", stel={"low": 90}))])
    >>> for second in range(0, 3600):
    ...     verdicts = detector.update(Batch.of([0], second * 1_000_000_000, [100.0 if second >= 600 else 0.0]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(second // 60, Level(level).name, reason.en)
    23 LOW mean of 15 min 90 ppm, now 100 ppm
    34 HIGH 100 ppm; for 25 min at 30 ppm and more, as long as the table allows

References:
    EN 50291-1: no alarm before 120 min at 30 ppm; at 50 ppm between 60 and 90 min, at 100 ppm between 10 and 40 min, at
    300 ppm within 3 min.
    GBZ 2.1-2019: permissible concentrations, PC-STEL over 15 min and PC-TWA over 8 h.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Annotated, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, model_validator

from detectors.parts.bank import Judge, Ladder, Mask, Slots, Where, durations, figures, margin, shared
from detectors.parts.learner import span, told
from detectors.parts.means import Closed, Means
from gateway.core.clock import NS_PER_S
from gateway.core.errors import ConfigError
from gateway.core.model import NO_VERDICTS, Batch, Float32, Float64, Int64, Level, Reason, Rule, Verdicts
from gateway.core.plugin import Detector, PluginOptions

LEVELS: Final = (Level.LOW, Level.HIGH)

CELL_S: Final = 30.0
STEL_S: Final = 900.0
TWA_S: Final = 28_800.0
CELLS: Final = 30
"""Cells of a window, of which the one that is being filled takes the place of the oldest."""

EN_50291: Final = ((30.0, 180.0), (50.0, 75.0), (100.0, 25.0), (300.0, 2.0))
"""Concentration of carbon monoxide in ppm, and the minutes after which it is an alarm: in the middle of what EN 50291-1
allows, and at its ends well within."""

POINTS_MAX: Final = 12
DOSE_MAX: Final = 1.5
"""Where a sum stops, in parts of an alarm."""

DOSE_OVER: Final = 0.75
"""Below this part of it, and below the table's first concentration, an alarm is over."""

NEVER: Final = np.int64(-(1 << 62))
_NO_CELL: Final = -1000
"""The number of the cell before the first one: more than a window before any other."""

_MOST: Final = 1e30
_ROUNDING: Final = 1.0 - 1e-5
"""Sums are kept in 32 bits: a constant concentration at its set point must reach it."""

_STEPS: Final[tuple[Literal["low", "high"], ...]] = ("low", "high")

Point = Annotated[tuple[float, float], Field(description="Concentration and minutes.")]


class Mean(PluginOptions):
    """The two steps of a mean."""

    low: float | None = Field(
        default=None, gt=0.0, description="First set point (level LOW), in the channel's unit.", examples=[20.0]
    )
    high: float | None = Field(
        default=None, gt=0.0, description="Second set point (level HIGH), in the channel's unit.", examples=[40.0]
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("low or high must be given")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        return self


class Options(PluginOptions):
    """A table, set points of the means over 15 minutes and 8 hours, or several of them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"table": [[40.0, 1.0], [60.0, 0.5]], "recovery_s": 60.0},
                {"stel": {"low": 22.0, "high": 30.0}},
                {"table": "en50291", "twa": {"low": 30.0}, "stel": {"high": 50.0}},
            ]
        }
    )

    table: Literal["en50291"] | tuple[Point, ...] | None = Field(
        default=None,
        description="Concentrations, in the channel's unit, each with the minutes after which it is an alarm (level "
        "HIGH), rising; or `en50291` for carbon monoxide in ppm. Below the first one nothing adds up.",
        examples=["en50291"],
    )
    recovery_s: float = Field(
        default=3600.0,
        gt=0.0,
        le=604_800.0,
        description="How long a full sum takes to go back to nothing below the table's first concentration, in "
        "seconds.",
        examples=[3600.0],
    )
    stel: Mean | None = Field(
        default=None,
        description="Set points of the mean over 15 minutes, in the channel's unit.",
        examples=[{"low": 30.0}],
    )
    twa: Mean | None = Field(
        default=None,
        description="Set points of the mean over 8 hours, in the channel's unit.",
        examples=[{"low": 20.0, "high": 40.0}],
    )
    deadband: float = Field(
        default=0.05,
        ge=0.0,
        lt=1.0,
        description="How far a mean must fall below a set point before the step is over, as a share of it, without a "
        "unit.",
        examples=[0.05],
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.table is None and self.stel is None and self.twa is None:
            raise ValueError("table, stel or twa must be given")
        points = self.points
        if self.table is not None and not 1 <= len(points) <= POINTS_MAX:
            raise ValueError(f"a table has 1 to {POINTS_MAX} points, not {len(points)}")
        for (low, longer), (high, shorter) in pairwise(points):
            if not (low < high and longer > shorter):
                raise ValueError(f"after {low:g} for {longer:g} min, {high:g} for {shorter:g} min is no step up")
        if any(minutes <= 0.0 for _, minutes in points):
            raise ValueError("minutes must be more than 0")
        return self

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """The table's points; empty where there is none."""
        return EN_50291 if self.table == "en50291" else tuple(self.table or ())


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def _stel(rule: Rule) -> Mean | None:
    return _options(rule).stel


def _twa(rule: Rule) -> Mean | None:
    return _options(rule).twa


def _set_point(mean: Callable[[Rule], Mean | None], step: Literal["low", "high"], rule: Rule) -> float | None:
    found = mean(rule)
    return None if found is None else found.low if step == "low" else found.high


class Table:
    """Sums of time, each as a share of how long its concentration takes to be an alarm.

    Args:
        rules: The rules; those without a table never sum.

    Attributes:
        dose: float64[size + 1], the sum in parts of an alarm.
        first: float64[size + 1], the first concentration that counts; NaN without a table.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        n = len(rules) + 1
        self._value = np.full((n, POINTS_MAX), np.inf)
        self._per_s = np.zeros((n, POINTS_MAX))
        for slot, rule in enumerate(rules):
            for k, (value, minutes) in enumerate(_options(rule).points):
                self._value[slot, k], self._per_s[slot, k] = value, 1.0 / (60.0 * minutes)
        self._value, self._per_s = shared(self._value.T).T, shared(self._per_s.T).T
        self.first: Float64 = shared(np.where(np.isfinite(self._value[:, 0]), self._value[:, 0], np.nan))
        self._last = np.maximum(np.count_nonzero(np.isfinite(self._value), axis=1) - 1, 0)
        self._recovery_s = figures(rules, lambda rule: _options(rule).recovery_s, spare=1.0)
        self.dose: Float64 = np.zeros(n)
        self.since_ns: Int64 = np.full(n, NEVER, np.int64)
        self._least = float(np.nanmin(np.append(self.first, np.inf)))
        self._any_dose = False

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the state, for `Judge.columns`."""
        return {"dose": self.dose, "dose_since_ns": self.since_ns}

    def rests(self, value: Float64) -> bool:
        """Return whether nothing adds up anywhere and these concentrations add nothing, at little cost."""
        return not self._any_dose and not np.count_nonzero(value >= self._least)

    def restored(self) -> None:
        """Take note of what has been filled in."""
        self._any_dose = bool(self.dose.any())

    def add(self, slots: Slots, value: Float64, elapsed_s: Float64, time_ns: Int64) -> None:
        """Add what these concentrations have done in their times."""
        step = np.where(value >= self.first[slots], self._rate(slots, value), -1.0 / self._recovery_s[slots])
        before = self.dose[slots]
        self.dose[slots] = after = np.clip(before + step * elapsed_s, 0.0, DOSE_MAX)
        begun_ns = time_ns - (elapsed_s * NS_PER_S).astype(np.int64)
        self.since_ns[slots] = np.where((before == 0.0) & (after > 0.0), begun_ns, self.since_ns[slots])
        self._any_dose = bool(self.dose.any())

    def _rate(self, slots: Slots, value: Float64) -> Float64:
        """Return parts of an alarm a second: between two points straight, beyond the last one as steep as to it."""
        points, per_s = self._value[slots], self._per_s[slots]
        every, last = np.arange(len(slots)), self._last[slots]
        upper = np.clip(np.count_nonzero(points <= value[:, None], axis=1), np.minimum(1, last), last)
        lower = np.maximum(upper - 1, 0)
        low, high = points[every, lower], points[every, upper]
        with np.errstate(invalid="ignore", divide="ignore"):
            part = np.where(high > low, (value - low) / (high - low), 0.0)
            # A table of one point has no slope: twice the concentration takes half the time.
            rate = np.where(last > 0, per_s[every, lower] + part * (per_s[every, upper] - per_s[every, lower]), 0.0)
            single = per_s[:, 0] * value / points[:, 0]
        return np.where(last > 0, rate, single)


class Average:
    """The mean of each rule over a window.

    Args:
        size: Number of rules.
        window_s: The window, in seconds.
    """

    def __init__(self, size: int, window_s: float) -> None:
        self._window_s = window_s
        self._cell_ns = round(window_s * NS_PER_S) // CELLS
        # Cells first: rules that go on to the next cell together write one run each.
        self._amount: Float32 = np.zeros((CELLS, size + 1), np.float32)
        self._known_s: Float32 = np.zeros((CELLS, size + 1), np.float32)
        self._open_amount: Float64 = np.zeros(size + 1)
        self._open_s: Float64 = np.zeros(size + 1)
        self._cell: Int64 = np.full(size + 1, _NO_CELL, np.int64)
        self._began_ns: Int64 = np.full(size + 1, NEVER, np.int64)
        # What the complete cells sum to, anew whenever one becomes complete.
        self._past_amount: Float64 = np.zeros(size + 1)
        self._past_s: Float64 = np.zeros(size + 1)
        self.value: Float64 = np.zeros(size + 1)
        self.known: Float64 = np.zeros(size + 1)

    def columns(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Return the state, for `Judge.columns`."""
        own: dict[str, NDArray[np.generic]] = {
            "amount": self._amount.T,
            "known_s": self._known_s.T,
            "open_amount": self._open_amount,
            "open_s": self._open_s,
            "cell": self._cell,
            "began_ns": self._began_ns,
            "past_amount": self._past_amount,
            "past_s": self._past_s,
            "value": self.value,
        }
        return {f"{name}_{key}": column for key, column in own.items()}

    def add(self, slots: Where, value: Float64, elapsed_s: Float64, time_ns: Int64) -> None:
        """Take in concentrations and how long each stood, and set `value` to the means up to now.

        Also `known`, the means of what was measured, as if a window that has just begun had always been so.
        """
        # As the number of a cell by a division would cost more than all that follows.
        inside = time_ns - self._cell[slots] * self._cell_ns
        moved = (inside < 0) | (inside >= self._cell_ns)
        several = np.count_nonzero(moved)
        if several == len(moved) and isinstance(slots, slice) and self._all_next(slots, inside):
            self._begin_next(slots)
        elif several:
            places = np.arange(len(self._cell))[slots][moved]
            since_ns = time_ns[moved] - (elapsed_s[moved] * NS_PER_S).astype(np.int64)
            self._begin(places, time_ns[moved] // self._cell_ns, since_ns)
        self._open_amount[slots] += value * elapsed_s
        self._open_s[slots] += elapsed_s
        amount = self._past_amount[slots] + self._open_amount[slots]
        known_s = self._past_s[slots] + self._open_s[slots]
        lasted_s = np.minimum((time_ns - self._began_ns[slots]) / NS_PER_S, self._window_s)
        self.known[slots] = known = amount / known_s
        self.value[slots] = known * (lasted_s / self._window_s)

    def _all_next(self, slots: slice, inside: Int64) -> bool:
        """Return whether rules go on from one cell to the next one together."""
        length_ns, before = self._cell_ns, self._cell[slots]
        return bool(inside.min() >= length_ns and inside.max() < 2 * length_ns and (before == before[0]).all())

    def _begin_next(self, slots: slice) -> None:
        """Do what `_begin` does for rules that go on from one cell to the next one together."""
        before = int(self._cell[slots.start])
        sums = self._open_amount[slots], self._open_s[slots]
        for cells, total in zip((self._amount, self._known_s), sums, strict=True):
            cells[before % CELLS, slots] = total
            cells[(before + 1) % CELLS, slots] = 0.0
            total[:] = 0.0
        self._past_amount[slots], self._past_s[slots] = _sum(self._amount[:, slots]), _sum(self._known_s[:, slots])
        self._cell[slots] += 1

    def _begin(self, slots: Slots, cell: Int64, since_ns: Int64) -> None:
        """Complete the open cells and begin these; what lies a window and more behind leaves."""
        before = self._cell[slots]
        ahead = cell - before
        anew = (ahead > CELLS) | (ahead < 0)
        self._began_ns[slots] = np.where(anew, since_ns, self._began_ns[slots])
        self._amount[:, slots[anew]], self._known_s[:, slots[anew]] = 0.0, 0.0
        goes_on = slots[~anew]
        place = before[~anew] % CELLS
        self._amount[place, goes_on] = self._open_amount[goes_on]
        self._known_s[place, goes_on] = self._open_s[goes_on]
        # Cells passed over, where nothing was read, and the one whose place the new cell takes.
        passed = np.arange(1, CELLS + 1) <= ahead[~anew][:, None]
        rows = np.broadcast_to(goes_on[:, None], passed.shape)[passed]
        places = (before[~anew][:, None] + np.arange(1, CELLS + 1))[passed] % CELLS
        self._amount[places, rows] = self._known_s[places, rows] = 0.0
        self._open_amount[slots] = self._open_s[slots] = 0.0
        self._past_amount[slots], self._past_s[slots] = _sum(self._amount[:, slots]), _sum(self._known_s[:, slots])
        self._cell[slots] = cell


def _sum(cells: Float32) -> Float64:
    """Return the sums over cells, one after the other: numpy's own order depends on how many rules there are."""
    total: Float64 = np.zeros(cells.shape[1])
    for cell in cells:
        total += cell
    return total


class Exposure(Judge):
    """All exposure rules at once; satisfies `Detector`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        size = len(rules)
        self._channels = tuple(rule.channel for rule in rules)
        self._means = Means(rules, lambda _: CELL_S)
        none = durations(rules, lambda _: 0.0)
        self._ladder = Ladder(self._bank, none, none)
        self._table = Table(rules)
        self._averages = (Average(size, STEL_S), Average(size, TWA_S))
        means: tuple[Callable[[Rule], Mean | None], ...] = (_stel, _twa)
        self._limit: Float64 = shared(
            np.stack([figures(rules, partial(_set_point, mean, step)) for mean in means for step in _STEPS]).reshape(
                2, 2, size + 1
            )
        )
        self._any_average = tuple(bool(np.isfinite(limits).any()) for limits in self._limit)
        self._any_table = bool(np.isfinite(self._table.first).any())
        self._clear = shared(self._limit * (1.0 - figures(rules, lambda rule: _options(rule).deadband, spare=0.0)))
        self._now: Float64 = np.full(size + 1, np.nan)
        self.columns |= {
            "now": self._now,
            **self._means.columns(),
            **self._ladder.columns(),
            **self._table.columns(),
            **self._averages[0].columns("stel"),
            **self._averages[1].columns("twa"),
        }

    def save(self) -> dict[str, NDArray[np.generic]]:
        """Return all state but the spare slot's."""
        self._means.settle()
        return super().save()

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        closed = self._means.take(self._bank.share(batch))
        if closed is None:
            return NO_VERDICTS
        slots = closed.slots
        # No instrument measures less than nothing: its zero may.
        value = np.clip(closed.mean, 0.0, _MOST)
        self._now[slots] = closed.mean
        if self._any_table and not self._table.rests(value):
            self._table.add(np.arange(len(self._now))[slots], value, closed.elapsed_s, closed.time_ns)
        for average, needed in zip(self._averages, self._any_average, strict=True):
            if needed:
                average.add(slots, value, closed.elapsed_s, closed.time_ns)
        over, under = self._steps(slots, value)
        awake = over[0] | over[1]
        if self._ladder.any_awake():
            awake |= self._ladder.awake(slots)
        chosen = np.flatnonzero(awake)
        if not len(chosen):
            return NO_VERDICTS
        return self._judge(batch, closed, chosen, (over[:, chosen], under[:, chosen]))

    def _steps(self, slots: Where, value: Float64) -> tuple[Mask, Mask]:
        """Return bool[2, n] each: where a step's condition holds, and where it is gone."""
        over, still = np.zeros((2, len(value)), np.bool_), np.zeros((2, len(value)), np.bool_)
        if self._any_table:
            dose = self._table.dose[slots]
            over[1] |= dose >= 1.0
            still[1] |= (dose >= DOSE_OVER) | (value >= self._table.first[slots])
        for k, (average, needed) in enumerate(zip(self._averages, self._any_average, strict=True)):
            if needed:
                over |= average.value[slots] >= self._limit[k][:, slots] * _ROUNDING
                still |= average.known[slots] >= self._clear[k][:, slots]
        return over, ~still

    def _judge(self, batch: Batch, closed: Closed, chosen: Slots, steps: tuple[Mask, Mask]) -> Verdicts:
        over, under = steps
        # What holds the second step holds the first one.
        under[0] &= under[1]
        at, slots = closed.pick(chosen)
        hold = np.zeros(len(slots), np.bool_)
        after = self._ladder.step(slots, closed.time_ns[chosen], (over[0], over[1]), (under[0], under[1]), hold)
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        at, slots, after = at[changed], slots[changed], after[changed]
        found = [
            self._about(int(slot), int(level), int(time_ns))
            for slot, level, time_ns in zip(slots, after, closed.time_ns[chosen[changed]], strict=True)
        ]
        value, limit = np.array([entry[0] for entry in found]), np.array([entry[1] for entry in found])
        reason = tuple(entry[2] for entry in found)
        return self._bank.report(batch, at, slots, after, judged=(value, limit, margin(value, limit)), reason=reason)

    def _about(self, slot: int, level: int, time_ns: int) -> tuple[float, float, Reason]:
        """Return what was judged, what it was compared with, and why, of a new level."""
        channel, now = self._channels[slot], told(self._channels[slot], self._now[slot])
        dose = self._table.dose[slot]
        if level == Level.HIGH and dose >= 1.0:
            first, lasted = told(channel, self._table.first[slot]), span(self._lasted_s(slot, time_ns))
            reason = Reason(
                f"{now}; for {lasted.en} at {first} and more, as long as the table allows",
                f"{now}；{first} 及以上已 {lasted.zh}，达到暴露时间表的限值",
            )
            return float(self._now[slot]), float(self._table.first[slot]), reason
        for k, en, zh in ((1, "8 h", "8 小时"), (0, "15 min", "15 分钟")):
            limit = float(self._limit[k, max(level, 1) - 1, slot])
            mean = float(self._averages[k].value[slot])
            if not np.isnan(limit) and (mean >= limit * _ROUNDING or not level):
                at = told(channel, mean)
                return mean, limit, Reason(f"mean of {en} {at}, now {now}", f"{zh}均值 {at}，现为 {now}")
        reason = Reason(f"{now}; exposure {dose:.0%} of an alarm", f"{now}；暴露量为报警值的 {dose:.0%}")
        return float(self._now[slot]), float(self._table.first[slot]), reason

    def _lasted_s(self, slot: int, time_ns: int) -> float:
        return max(time_ns - int(self._table.since_ns[slot]), 0) / NS_PER_S

    def _restored(self) -> None:
        self._means.restored()
        self._ladder.restored()
        self._table.restored()


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: The built-in table is for carbon monoxide in ppm, and the channel measures something else.
    """
    for rule in rules:
        channel = rule.channel
        if _options(rule).table == "en50291" and (channel.quantity, channel.unit) != ("co", "ppm"):
            raise ConfigError(
                ("options", "table"),
                f"en50291 is for co in ppm, but {channel.id} measures {channel.quantity} in "
                f"{channel.unit or 'no unit'}",
            ).under(*rule.path)
    return Exposure(rules)
