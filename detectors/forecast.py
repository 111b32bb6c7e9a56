"""Time to a limit: a trend that stands out of the noise and will reach a given value soon.

Slopes over one, five and fifteen minutes are taken robustly from means of ten seconds, so that a few odd readings make
none. Where one of them is several times its own uncertainty, and the readings of its window have moved by more than
the resolution, it says when the limit will be reached if things go on like this; sooner than `within_s` is a warning. A
fast rise is seen in the short window, a slow one in the long. Nothing is learned; BAD readings leave gaps.

    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", "%LEL", 0.0, 100.0, decimals=1)
    >>> detector = create([Rule(0, "soon", "forecast", (channel,), Options(above=25, within_s=600))])
    >>> for second in range(0, 1200):
    ...     value = 1.0 + 0.03 * max(0, second - 600) + 0.1 * (second % 3)
    ...     verdicts = detector.update(Batch.of([0], second * 1_000_000_000, [value]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(second, Level(level).name, reason.en)
    819 WARNING +1.8 %LEL in 60 s, now 7.5 %LEL; reaches 25.0 %LEL in about 10 min

References:
    H. Theil (1950), P. K. Sen (1968): slopes that outliers do not move.
    ISA-18.2 / IEC 62682: an alarm must come early enough for a person to act.
"""

from collections.abc import Sequence
from typing import Final, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from detectors.parts.bank import Judge, Mask, Slots, Switch, durations, figures, shared
from detectors.parts.baseline import default_floor
from detectors.parts.learner import span, told
from detectors.parts.means import Closed, Means
from detectors.parts.window import NEVER, Window
from gateway.core.clock import NS_PER_S
from gateway.core.errors import ConfigError
from gateway.core.model import NO_VERDICTS, Batch, Float64, Int64, Judged, Level, Reason, Rule, Verdicts
from gateway.core.plugin import Detector, PluginOptions

LEVELS: Final = (Level.WARNING,)
JUDGED: Final = Judged("min", "time to limit", "到达限值的时间")

WINDOWS_S: Final = (60.0, 300.0, 900.0)
"""How far back slopes look; each at least so far that it holds six readings."""

CELL_S: Final = 10.0
READINGS_MIN: Final = 5

_SHORT_CELLS, _LONG_CELLS = 9, 32

_QUIET_SHARE: Final = 1.0 / 8.0
"""How far apart means of a window may lie, in parts of the distance to the limit times window over `within_s`.

For means within R of one another, slopes between readings at least a quarter of a window W apart, as evenly spaced ones
are, are at most 4 R / W. So with R below this share none reaches the limit in time, and a factor of two is left for
what comes between two looks and for uneven readings.
"""

_BAND_SHARE: Final = 0.31
"""A third, less something: then a mean may leave its band once in a window, and both bands still make no slope."""

_EASED: Final = 1.5
"""How much later than `within_s` the limit must come before a warning is over."""


class Options(PluginOptions):
    """Which limit, how soon, and how sure."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"above": 90.0, "within_s": 600.0, "on_delay_s": 0.0, "off_delay_s": 10.0},
                {"below": 5.0, "within_s": 3600.0, "certainty": 2.0, "on_delay_s": 0.0},
            ]
        }
    )

    above: float | None = Field(
        default=None,
        description="The limit that a rising value must not reach, in the channel's unit.",
        examples=[25.0],
    )
    below: float | None = Field(
        default=None,
        description="The limit that a falling value must not reach, in the channel's unit.",
        examples=[19.5],
    )
    within_s: float = Field(
        default=600.0,
        ge=60.0,
        le=86_400.0,
        description="How soon the limit must come to be worth a warning, in seconds.",
        examples=[600.0],
    )
    certainty: float = Field(
        default=4.0,
        ge=1.0,
        le=100.0,
        description="How many times its own uncertainty a slope must be, without a unit.",
        examples=[4.0],
    )
    floor: float | None = Field(
        default=None,
        gt=0.0,
        description="The least change in a window that is believed, in the channel's unit; by default five units of "
        "the last digit, and at least half a hundredth of the range.",
        examples=[0.5],
    )
    on_delay_s: float = Field(
        default=20.0,
        ge=0.0,
        le=3600.0,
        description="How long the trend must hold before it is a warning, in seconds.",
        examples=[20.0],
    )
    off_delay_s: float = Field(
        default=120.0,
        ge=0.0,
        le=86_400.0,
        description="How long it must be gone before a warning is over, in seconds.",
        examples=[120.0],
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("above or below must be given")
        if self.above is not None and self.below is not None and not self.below < self.above:
            raise ValueError(f"below ({self.below}) must be less than above ({self.above})")
        return self


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def _floor(rule: Rule) -> float:
    given = _options(rule).floor
    return 5.0 * default_floor(rule.channel) if given is None else given


def _windows(rules: Sequence[Rule], window_s: float) -> Int64:
    return durations(rules, lambda rule: max(window_s, 6.0 * rule.channel.period_s), spare=NS_PER_S)


class Forecast(Judge):
    """All forecasts at once; satisfies `Detector`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        size = len(rules)
        self._channels = tuple(rule.channel for rule in rules)
        self._means = Means(rules, lambda _: CELL_S)
        self._switch = Switch(
            self._bank,
            Level.WARNING,
            durations(rules, lambda rule: _options(rule).on_delay_s),
            durations(rules, lambda rule: _options(rule).off_delay_s),
        )
        self._lengths_ns = tuple(_windows(rules, window_s) for window_s in WINDOWS_S)
        # A window is judged when it is half full of what it spans: the cells of the long one serve the middle one too.
        self._short = Window(self._lengths_ns[0], _SHORT_CELLS)
        self._long = Window(self._lengths_ns[-1], _LONG_CELLS)
        self._above = figures(rules, lambda rule: _options(rule).above)
        self._below = figures(rules, lambda rule: _options(rule).below)
        self._within_min = figures(rules, lambda rule: _options(rule).within_s / 60.0)
        self._certainty = figures(rules, lambda rule: _options(rule).certainty)
        self._floor = figures(rules, _floor)
        windows, within_ns = np.stack(self._lengths_ns), self._within_min * 60.0 * NS_PER_S
        self._band = shared(_QUIET_SHARE * windows / within_ns)
        # For each window: means between these two have been quiet ever since then.
        self._quiet_low: Float64 = np.full((len(WINDOWS_S), size + 1), np.inf)
        self._quiet_high: Float64 = np.full((len(WINDOWS_S), size + 1), -np.inf)
        self._quiet_since_ns: Int64 = np.full((len(WINDOWS_S), size + 1), NEVER, np.int64)
        self._restless_ns: Int64 = np.full((len(WINDOWS_S), size + 1), NEVER, np.int64)
        self._longest_ns = [int(lengths_ns.max()) for lengths_ns in self._lengths_ns]
        self._moved_ns = [int(NEVER)] * len(WINDOWS_S)
        self.columns |= {
            "quiet_low": self._quiet_low.T,
            "quiet_high": self._quiet_high.T,
            "quiet_since_ns": self._quiet_since_ns.T,
            "restless_ns": self._restless_ns.T,
            **self._means.columns(),
            **self._short.columns("short"),
            **self._long.columns("long"),
            **self._switch.columns(),
        }

    def save(self) -> dict[str, np.ndarray]:
        """Return all state but the spare slot's."""
        self._means.settle()
        return super().save()

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        closed = self._means.take(self._bank.share(batch))
        if closed is None:
            return NO_VERDICTS
        self._short.keep(closed)
        back = self._long.keep(closed)
        if back is not None:
            self._quiet_low[:, back], self._quiet_high[:, back] = np.inf, -np.inf
        restless = self._restless(closed)
        if self._switch.any_awake():
            restless |= self._switch.awake(closed.slots)
        if not np.count_nonzero(restless):
            return NO_VERDICTS
        awake = np.flatnonzero(restless.any(axis=0))
        return self._judge(batch, closed, awake, restless[:, awake])

    def _restless(self, closed: Closed) -> Mask:
        """Return bool[windows, n]: where means have moved so far that a slope may reach the limit in time."""
        slots, mean = closed.slots, closed.mean
        moved = mean < self._quiet_low[0][slots]
        moved |= mean > self._quiet_high[0][slots]
        if np.count_nonzero(moved):
            self._move(closed, np.flatnonzero(moved))
        restless = np.zeros((len(WINDOWS_S), len(closed)), np.bool_)
        for k, since_ns in enumerate(self._restless_ns):
            if closed.first_ns - self._moved_ns[k] < self._longest_ns[k]:
                restless[k] = closed.time_ns - since_ns[slots] < self._lengths_ns[k][slots]
        return restless

    def _move(self, closed: Closed, chosen: Slots) -> None:
        """Take new references where a mean has left the first window's band; longer windows' bands are wider.

        Between two such moves a mean stays within the first band, so that the wider ones need no look in between.
        """
        _, slots = closed.pick(chosen)
        value, time_ns = closed.mean[chosen], closed.time_ns[chosen]
        distance = np.fmin(np.abs(self._above[slots] - value), np.abs(value - self._below[slots]))
        for k, (low, high) in enumerate(zip(self._quiet_low, self._quiet_high, strict=True)):
            moved = (value < low[slots]) | (value > high[slots])
            if np.count_nonzero(moved):
                self._move_one(k, slots[moved], value[moved], distance[moved], time_ns[moved])

    def _move_one(  # columns of one thing
        self, k: int, slots: Slots, value: Float64, distance: Float64, time_ns: Int64
    ) -> None:
        low, high = self._quiet_low[k], self._quiet_high[k]
        # What moves by less than the floor is not believed in any case.
        apart = np.maximum(self._band[k, slots] * distance, self._floor[slots] / 4.0)
        band = apart * _BAND_SHARE
        span_low, span_high = np.minimum(low[slots], value - band), np.maximum(high[slots], value + band)
        # A first move in a window, and not far: all of the window still lies too close together for a slope.
        near = (span_high - span_low <= apart) & np.isfinite(low[slots])
        near &= time_ns - self._quiet_since_ns[k, slots] >= self._lengths_ns[k][slots]
        low[slots], high[slots] = value - band, value + band
        self._quiet_since_ns[k, slots] = time_ns
        far = ~near
        if np.count_nonzero(far):
            self._restless_ns[k, slots[far]] = time_ns[far]
            self._moved_ns[k] = max(self._moved_ns[k], int(time_ns[far].max()))

    def _judge(self, batch: Batch, closed: Closed, awake: Slots, restless: Mask) -> Verdicts:
        at, slots = closed.pick(awake)
        time_ns, now = closed.time_ns[awake], closed.mean[awake]
        trends = self._trends(slots, time_ns, now, restless)
        due_min, slope, window_s = self._soonest(slots, now, trends, self._certainty[slots])
        over = due_min <= self._within_min[slots]
        if not np.count_nonzero(over) and not self._switch.any_awake():
            return NO_VERDICTS
        # A warning that stands goes on while half the certainty says so, and somewhat later.
        eased_min = self._soonest(slots, now, trends, self._certainty[slots] / 2.0)[0]
        under = eased_min > self._within_min[slots] * _EASED
        hold = np.zeros(len(slots), np.bool_)
        after = self._switch.step(slots, time_ns, over, under, hold)
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        reason = tuple(
            self._why(int(slots[k]), float(now[k]), float(slope[k]), float(window_s[k]), float(due_min[k]))
            if after[k]
            else self._over(int(slots[k]), float(now[k]))
            for k in changed
        )
        due_min, limit = due_min[changed], self._within_min[slots[changed]]
        score = (1.0 - np.minimum(due_min, 2.0 * limit) / limit).astype(np.float32)
        value = np.where(np.isfinite(due_min), due_min, np.nan)
        return self._bank.report(
            batch, at[changed], slots[changed], after[changed], judged=(value, limit, score), reason=reason
        )

    def _trends(self, slots: Slots, time_ns: Int64, now: Float64, restless: Mask) -> list[tuple[Float64, Float64]]:
        """Return for each window the slopes and their errors; NaN where it is quiet."""
        found = []
        for k, window in enumerate((self._short, self._long, self._long)):
            slope, error = np.full(len(slots), np.nan), np.full(len(slots), np.nan)
            some = np.flatnonzero(restless[k])
            if len(some):
                length_ns = self._lengths_ns[k][slots[some]]
                slope[some], error[some] = window.robust(slots[some], time_ns[some], now[some], length_ns, READINGS_MIN)
            found.append((slope, error))
        return found

    def _soonest(
        self, slots: Slots, now: Float64, trends: Sequence[tuple[Float64, Float64]], certainty: Float64
    ) -> tuple[Float64, Float64, Float64]:
        """Return in how many minutes a limit is reached by the steepest sure slope, that slope, and its window.

        Infinite where no slope is sure or none leads to a limit; 0 where the value is there already.
        """
        best = np.full(len(slots), np.inf)
        best_slope, best_window_s = np.zeros(len(slots)), np.zeros(len(slots))
        for length_ns, (slope, error) in zip(self._lengths_ns, trends, strict=True):
            minutes = length_ns[slots] / (60.0 * NS_PER_S)
            sure = (np.abs(slope) >= certainty * error) & (np.abs(slope) * minutes >= self._floor[slots])
            distance = np.where(slope > 0, self._above[slots] - now, now - self._below[slots])
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                due_min = np.maximum(distance, 0.0) / np.abs(slope)
            sooner = sure & (due_min < best)
            best = np.where(sooner, due_min, best)
            best_slope = np.where(sooner, slope, best_slope)
            best_window_s = np.where(sooner, minutes * 60.0, best_window_s)
        return best, best_slope, best_window_s

    def _why(self, slot: int, now: float, slope: float, window_s: float, due_min: float) -> Reason:
        channel, over = self._channels[slot], span(window_s)
        limit = told(channel, self._above[slot] if slope > 0 else self._below[slot])
        by, here = told(channel, slope * window_s / 60.0, signed=True, change=True), told(channel, now)
        if due_min <= 0.0:
            return Reason(f"{by} in {over.en}; {here} is past {limit}", f"{over.zh}内变化 {by}；{here} 已越过 {limit}")
        due = span(60.0 * due_min)
        return Reason(
            f"{by} in {over.en}, now {here}; reaches {limit} in about {due.en}",
            f"{over.zh}内变化 {by}，现为 {here}；约 {due.zh}后到达 {limit}",
        )

    def _over(self, slot: int, now: float) -> Reason:
        here, within = told(self._channels[slot], now), span(60.0 * float(self._within_min[slot]))
        return Reason(
            f"{here}; no trend reaches the limit within {within.en} any more",
            f"{here}；按当前趋势 {within.zh}内不再到达限值",
        )

    def _restored(self) -> None:
        self._means.restored()
        self._short.restored()
        self._long.restored()
        self._switch.restored()
        self._moved_ns = [int(since_ns.max()) for since_ns in self._restless_ns]


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A limit lies outside the instrument's range.
    """
    for rule in rules:
        channel = rule.channel
        for side in ("above", "below"):
            value = getattr(_options(rule), side)
            if value is not None and (value > channel.range_high or value < channel.range_low):
                raise ConfigError(
                    ("options", side),
                    f"{value:g} {channel.unit} lies outside the range of {channel.id}, {channel.range_low:g} to "
                    f"{channel.range_high:g} {channel.unit}",
                ).under(*rule.path)
    return Forecast(rules)
