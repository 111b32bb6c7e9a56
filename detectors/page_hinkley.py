"""A shift away from a moving mean, in the channel's own units: for those who know what is too much here.

The test of Page and Hinkley: what lies beyond the mean by more than a tolerance adds up over time, and so many units
times minutes of it are a warning. The mean follows the channel slowly, by the tolerance at most in the time that it
remembers, and only in calm; so a season is followed, and a leak is not.

    >>> import numpy as np
    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(0, "tk-01.level", "tk-01", "level", "mm", 0.0, 9000.0, decimals=0)
    >>> options = Options(learn_s=3600, tolerance=5, limit=60)
    >>> detector = create([Rule(0, "shift", "page_hinkley", (channel,), options)])
    >>> random = np.random.default_rng(1)
    >>> for second in range(0, 7200, 5):
    ...     value = 4000.0 + random.standard_normal() - (12.0 if second >= 5400 else 0.0)
    ...     verdicts = detector.update(Batch.of([0], second * 1_000_000_000, [value]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(second, Level(level).name, reason.en)
    5940 WARNING 3988 mm: -12 mm from its mean of 4000 mm, beyond ±5 mm for 9 min

References:
    D. V. Hinkley, Inference about the change-point from cumulative sum tests, Biometrika 58, 1971.
    E. S. Page, Continuous Inspection Schemes, Biometrika 41, 1954.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from pydantic import ConfigDict, Field

from detectors.parts.bank import Mask, Slots, figures
from detectors.parts.baseline import default_floor
from detectors.parts.learner import CellOptions, Learner, check, span, told
from detectors.parts.means import Closed
from detectors.parts.sums import Sums
from gateway.core.model import Float64, Level, Reason, Rule
from gateway.core.plugin import Detector

LEVELS: Final = (Level.WARNING,)

SCATTERS: Final = 3.0
"""How many mean distances from the mean are tolerated at least, so that the daily rhythm adds up to nothing."""

FLOORS: Final = 10.0
"""The tolerance where none is given, in floors: ten units of the last digit, or a hundredth of the range."""

MINUTES: Final = 30.0
"""For how long a value that lies a tolerance beyond the tolerance must do so, where no limit is given."""


class Options(CellOptions):
    """What is tolerated, and how much beyond that is a warning."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"learn_s": 60.0, "cell_s": 1.0, "tolerance": 1.0, "limit": 0.5, "off_delay_s": 5.0},
                {"learn_s": 60.0, "cell_s": 2.0, "direction": "fall", "memory_s": 3600.0, "limit": 1.0},
            ]
        }
    )

    tolerance: float | None = Field(
        default=None,
        gt=0.0,
        description="How far from the mean counts for nothing, in the channel's unit; by default a hundredth of the "
        "range. Where the channel is used to more than that, three times its mean distance from the mean.",
        examples=[1.0],
    )
    limit: float | None = Field(
        default=None,
        gt=0.0,
        description="How much beyond the tolerance is a warning, in the channel's unit times minutes; by default 30 "
        "minutes of once more the tolerance.",
        examples=[30.0],
    )
    memory_s: float = Field(
        default=86_400.0,
        gt=0.0,
        le=31_536_000.0,
        description="How long the mean remembers, in seconds.",
        examples=[86_400.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def _tolerance(rule: Rule) -> float:
    given = _options(rule).tolerance
    return FLOORS * default_floor(rule.channel) if given is None else given


class PageHinkley(Learner):
    """All rules of Page and Hinkley at once; satisfies `Detector` and `Learning`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules, lambda _: 1.0)
        size = len(rules)
        self._learn_s = figures(rules, lambda rule: _options(rule).learn_s, spare=np.inf)
        self._memory_s = figures(rules, lambda rule: _options(rule).memory_s, spare=1.0)
        self._least = figures(rules, _tolerance)
        self._limit_min = figures(rules, lambda rule: _options(rule).limit)
        self._mean: Float64 = np.full(size + 1, np.nan)
        self._distance: Float64 = np.zeros(size + 1)
        self._learned_s: Float64 = np.zeros(size + 1)
        self._sums = Sums(size)
        self.columns |= {
            "mean": self._mean,
            "distance": self._distance,
            "learned_s": self._learned_s,
            **self._sums.columns(),
        }

    @property
    def ready(self) -> Mask:
        """bool[len(rules)], which rules have learned what is normal."""
        ready: Mask = (self._learned_s >= self._learn_s)[:-1]
        return ready

    def _tolerated(self, slots: Slots) -> Float64:
        return np.maximum(self._least[slots], SCATTERS * self._distance[slots])

    def _figure(self, closed: Closed) -> Float64:
        slots = closed.slots
        self._level[slots] = closed.mean
        known = self._learned_s[slots] >= self._learn_s[slots]
        tolerated = np.maximum(self._least[slots], SCATTERS * self._distance[slots])
        off = closed.mean - self._mean[slots]
        limit = self._limit_min[slots]
        limit = np.where(np.isnan(limit), MINUTES * tolerated, limit)
        weight = np.where(known, closed.elapsed_s / 60.0 / limit, np.nan)
        # One cell alone is no shift, whatever it shows.
        off = np.clip(off * weight, -0.5, 0.5)
        return np.where(
            known, self._sums.add(slots, off - tolerated * weight, -off - tolerated * weight, closed.time_ns), np.nan
        )

    def _learn(self, closed: Closed, chosen: Slots, slots: Slots) -> None:
        mean, elapsed_s = closed.mean[chosen], closed.elapsed_s[chosen]
        before = self._learned_s[slots]
        self._mean[slots] = np.where(before == 0.0, mean, self._mean[slots])
        after = before + elapsed_s
        learning = before < self._learn_s[slots]
        off = mean - self._mean[slots]
        share = elapsed_s / np.where(learning, after, self._memory_s[slots] + elapsed_s)
        # Once learned, the mean goes by a tolerance at most in its memory, and what is tolerated stays.
        most = np.where(learning, np.inf, self._tolerated(slots))
        self._mean[slots] += np.clip(off, -most, most) * share
        self._distance[slots] += np.where(learning, (np.abs(off) - self._distance[slots]) * share, 0.0)
        self._learned_s[slots] = np.where(learning, after, before)

    def _learning(self) -> bool:
        return True

    def _forget(self, slots: Slots) -> None:
        self._mean[slots] = np.nan
        self._distance[slots] = self._learned_s[slots] = 0.0
        self._sums.forget(slots)

    def _judged(self, slots: Slots) -> tuple[Float64, Float64]:
        level, tolerated = self._level[slots], self._tolerated(slots)
        return level, self._mean[slots] + np.where(level >= self._mean[slots], tolerated, -tolerated)

    def _reason(self, slot: int, time_ns: int) -> Reason:
        channel, lasted = self._channels[slot], span(max(self._sums.lasted_s(slot, time_ns), 1.0))
        now, mean = told(channel, self._level[slot]), told(channel, self._mean[slot])
        off = told(channel, self._level[slot] - self._mean[slot], signed=True, change=True)
        tolerated = told(channel, self._tolerated(np.array([slot]))[0], change=True)
        return Reason(
            f"{now}: {off} from its mean of {mean}, beyond ±{tolerated} for {lasted.en}",
            f"{now}：偏离均值 {mean} 达 {off}，超出 ±{tolerated} 已 {lasted.zh}",
        )


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A rule has too few cells to learn from.
    """
    check(rules)
    return PageHinkley(rules)
