"""A value that is unusual for this time of the day: against what this hour usually shows, by workday and weekend.

In the first half of the time of learning each hour's mean is taken, of workdays apart from weekends; in the second half
how far readings lie from it. What is judged is how far a cell lies beyond that, in scatters. An hour that was never
seen is not judged, and is learned when it first comes. Within half an hour of the next or the last hour, what is usual
there is usual too.

A detector knows no calendar of the site: `utc_offset_h` says where its days begin. A wrong one moves all hours alike,
which matters only where workdays meet weekends, and summer time likewise moves them by one; both widen the scatter and
are no error.

    >>> import numpy as np
    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(0, "ft-01.flow", "ft-01", "flow", "m³/h", 0.0, 100.0, decimals=1, period_s=300)
    >>> options = Options(learn_s=14 * 86_400, cell_s=600, utc_offset_h=8)
    >>> detector = create([Rule(0, "night", "seasonal", (channel,), options)])
    >>> random = np.random.default_rng(1)
    >>> for k in range(21 * 288):
    ...     busy = 1.0 if 8 <= (k / 12 + 8) % 24 < 18 else 0.0
    ...     value = 5.0 + 60.0 * busy + random.standard_normal() + (20.0 if k == 20 * 288 + 200 else 0.0)
    ...     verdicts = detector.update(Batch.of([0], k * 300 * 1_000_000_000, [value]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(k, Level(level).name, reason.en)
    5961 WARNING 14.8 m³/h: +9.7 m³/h from 5.1 m³/h, its mean from 00:00 on workdays, scatter 0.7 m³/h
    5965 NORMAL 4.5 m³/h; as usual here again

References:
    R. J. Hyndman, G. Athanasopoulos, Forecasting: Principles and Practice: seasonal means and what remains.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from detectors.parts.bank import Mask, Slots, Where, figures, nanoseconds
from detectors.parts.learner import CellOptions, Learner, baseline_of, check, told
from detectors.parts.means import Closed
from gateway.core.clock import NS_PER_S
from gateway.core.model import Float32, Float64, Int64, Level, Reason, Rule
from gateway.core.plugin import Detector

LEVELS: Final = (Level.WARNING,)

HOURS: Final = 24
_NS_PER_HOUR: Final = 3600 * NS_PER_S
_NEAR_NS: Final = 1800 * NS_PER_S
_SATURDAY: Final = 5
_THURSDAY: Final = 3
"""The weekday of 1 January 1970, from Monday as 0."""

PROFILE_SHARE: Final = 0.5
"""The part of the time of learning in which the hours' means are taken."""


class Options(CellOptions):
    """Which rhythm the channel has, and how far from it is too far."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"learn_s": 200.0, "cell_s": 1.0, "limit": 3.0, "days": "alike", "off_delay_s": 5.0},
                {"learn_s": 200.0, "cell_s": 2.0, "limit": 4.0, "direction": "rise", "utc_offset_h": 8.0},
            ]
        }
    )

    learn_s: float = Field(
        default=1_209_600.0,
        gt=0.0,
        le=7_776_000.0,
        description="How long to learn, in seconds of calm: the hours' means in the first half, the scatter about them "
        "in the second. Two weeks, by default, so that each half has a weekend.",
        examples=[1_209_600.0],
    )
    cell_s: float = Field(
        default=600.0,
        gt=0.0,
        le=3600.0,
        description="How long readings are averaged before they are judged, in seconds; at least the channel's period.",
        examples=[600.0],
    )
    days: Literal["weekend", "alike"] = Field(
        default="weekend",
        description="Whether Saturday and Sunday have hours of their own: `weekend`, or all days are `alike`; a word "
        "without a unit.",
        examples=["weekend"],
    )
    utc_offset_h: float = Field(
        default=0.0,
        ge=-12.0,
        le=14.0,
        description="How far the site's clock is ahead of UTC, in hours: 8 in China.",
        examples=[8.0],
    )
    limit: float = Field(
        default=6.0,
        gt=0.0,
        le=1000.0,
        description="How far beyond what is usual at this hour is worth a warning, in scatters, without a unit.",
        examples=[6.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


class Seasonal(Learner):
    """All seasonal rules at once; satisfies `Detector` and `Learning`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules, lambda rule: _options(rule).limit)
        n = len(rules) + 1
        self._normal = baseline_of(rules, learn_share=1.0 - PROFILE_SHARE)
        self._profile_s = figures(rules, lambda rule: _options(rule).learn_s * PROFILE_SHARE)
        self._offset_ns: Int64 = np.array(
            [nanoseconds(3600.0 * _options(rule).utc_offset_h) for rule in rules] + [0], np.int64
        )
        self._weekend: Mask = np.array([_options(rule).days == "weekend" for rule in rules] + [False])
        # Workdays' hours first, then weekends'.
        self._sums: Float32 = np.zeros((n, 2 * HOURS), np.float32)
        self._seconds: Float32 = np.zeros((n, 2 * HOURS), np.float32)
        self._origin: Float64 = np.full(n, np.nan)
        self._learned_s: Float64 = np.zeros(n)
        self._usual: Float64 = np.full(n, np.nan)
        self.columns |= {
            "hour_sums": self._sums,
            "hour_seconds": self._seconds,
            "origin": self._origin,
            "profile_s": self._learned_s,
            "usual": self._usual,
            **self._normal.columns(),
        }

    @property
    def ready(self) -> Mask:
        """bool[len(rules)], which rules have learned what is normal."""
        return self._normal.ready

    def _hour(self, slots: Where, time_ns: Int64) -> NDArray[np.intp]:
        hours = (time_ns + self._offset_ns[slots]) // _NS_PER_HOUR
        weekend = (hours // HOURS + _THURSDAY) % 7 >= _SATURDAY
        place: NDArray[np.intp] = (hours % HOURS + HOURS * (weekend & self._weekend[slots])).astype(np.intp)
        return place

    def _means_of(self, slots: Where, time_ns: Int64) -> Float64:
        rows, hour = np.arange(len(self._usual))[slots], self._hour(slots, time_ns)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean: Float64 = self._origin[slots] + self._sums[rows, hour] / self._seconds[rows, hour].astype(np.float64)
        return mean

    def _figure(self, closed: Closed) -> Float64:
        slots, time_ns = closed.slots, closed.time_ns
        self._level[slots] = closed.mean
        # Work begins somewhat early, or late: near the full hour both hours are usual, and what lies between them.
        now = self._means_of(slots, time_ns)
        before, after = self._means_of(slots, time_ns - _NEAR_NS), self._means_of(slots, time_ns + _NEAR_NS)
        low, high = np.fmin(np.fmin(before, after), now), np.fmax(np.fmax(before, after), now)
        usual = np.where(np.isnan(now), np.nan, np.minimum(np.maximum(closed.mean, low), high))
        self._usual[slots] = usual
        figure: Float64 = self._normal.excess(slots, closed.mean - usual) / self._normal.noise[slots]
        return figure

    def _learn(self, closed: Closed, chosen: Slots, slots: Slots) -> None:
        mean, elapsed_s = closed.mean[chosen], closed.elapsed_s[chosen]
        usual = self._usual[slots]
        early = self._learned_s[slots] < self._profile_s[slots]
        # An hour seen for the first time is learned whenever that is.
        profile = np.flatnonzero(early | np.isnan(usual))
        if len(profile):
            hour = self._hour(slots[profile], closed.time_ns[chosen][profile])
            self._learn_hours(slots[profile], hour, mean[profile], elapsed_s[profile])
        rest = np.flatnonzero(~early & ~np.isnan(usual))
        if len(rest) and not self._normal.idle:
            self._normal.learn(slots[rest], (mean - usual)[rest], elapsed_s[rest])

    def _learn_hours(self, slots: Slots, hour: NDArray[np.intp], mean: Float64, elapsed_s: Float64) -> None:
        first = np.isnan(self._origin[slots])
        self._origin[slots[first]] = mean[first]
        off = np.clip(mean - self._origin[slots], -1e18, 1e18)
        self._sums[slots, hour] += (off * elapsed_s).astype(np.float32)
        self._seconds[slots, hour] += elapsed_s.astype(np.float32)
        self._learned_s[slots] += elapsed_s

    def _learning(self) -> bool:
        return True

    def _forget(self, slots: Slots) -> None:
        self._normal.forget(slots)
        self._sums[slots] = self._seconds[slots] = 0.0
        self._origin[slots] = self._usual[slots] = np.nan
        self._learned_s[slots] = 0.0

    def _judged(self, slots: Slots) -> tuple[Float64, Float64]:
        level, usual = self._level[slots], self._usual[slots]
        return level, usual + self._normal.edge(slots, level - usual, self._limit[slots])

    def _reason(self, slot: int, time_ns: int) -> Reason:
        channel, usual = self._channels[slot], self._usual[slot]
        hour = int(self._hour(np.array([slot]), np.array([time_ns], np.int64))[0])
        off = told(channel, self._level[slot] - usual, signed=True, change=True)
        now, mean = told(channel, self._level[slot]), told(channel, usual)
        noise = told(channel, self._normal.noise[slot], change=True)
        at, days, days_zh = f"{hour % HOURS:02d}:00", "", ""
        if self._weekend[slot]:
            days, days_zh = (" at weekends", "周末") if hour >= HOURS else (" on workdays", "工作日")
        return Reason(
            f"{now}: {off} from {mean}, its mean from {at}{days}, scatter {noise}",
            f"{now}：偏离{days_zh} {at} 时段均值 {mean} 达 {off}，平时波动 {noise}",
        )


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A rule has too few cells to learn from.
    """
    check(rules)
    return Seasonal(rules)
