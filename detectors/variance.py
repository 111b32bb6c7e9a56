"""More or less noise than usual: the scatter from one reading to the next, over some minutes, against what was learned.

A trend, a step and a slow rhythm do not count, as only differences between readings that follow one another do. More
noise is turbulence, boiling, a loose contact; much less than ever before may be an instrument that has gone deaf, and
counts only where there was noise above the resolution to begin with.

    >>> import numpy as np
    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(0, "pt-01.pressure", "pt-01", "pressure", "kPa", 0.0, 600.0, decimals=1)
    >>> detector = create([Rule(0, "rough", "variance", (channel,), Options(learn_s=3600, window_s=60))])
    >>> random = np.random.default_rng(1)
    >>> for second in range(5400):
    ...     value = 300.0 + second / 100 + (1.0 if second < 4800 else 6.0) * random.standard_normal()
    ...     verdicts = detector.update(Batch.of([0], second * 1_000_000_000, [value]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(second, Level(level).name, reason.en)
    4859 WARNING noise 4.5 kPa over 60 s, 4.29 times the most usual here, 1.1 kPa

References:
    J. von Neumann, Distribution of the ratio of the mean square successive difference to the variance, Annals of
    Mathematical Statistics 12, 1941.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from pydantic import ConfigDict, Field

from detectors.parts.bank import Mask, Slots, figures
from detectors.parts.learner import Learner, LearnerOptions, baseline_of, check, floor_of, span, told
from detectors.parts.means import Closed
from gateway.core.model import Float64, Judged, Level, Reason, Rule
from gateway.core.plugin import Detector

LEVELS: Final = (Level.WARNING,)
JUDGED: Final = Judged("{}", "noise", "噪声")

READINGS: Final = 20
"""Fewest readings that make a scatter: it is known to a sixth of itself then."""

_TINY: Final = 1e-12


class Options(LearnerOptions):
    """Over how long, and how many times more or less is worth a warning."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"learn_s": 500.0, "window_s": 20.0, "limit": 3.0, "off_delay_s": 5.0},
                {"learn_s": 500.0, "window_s": 20.0, "limit": 2.5, "direction": "rise", "off_delay_s": 0.0},
            ]
        }
    )

    window_s: float = Field(
        default=600.0,
        gt=0.0,
        le=86_400.0,
        description="Over how long the noise is measured, in seconds; at least twenty of the channel's periods.",
        examples=[600.0],
    )
    limit: float = Field(
        default=3.0,
        gt=1.0,
        le=1000.0,
        description="How many times the most, or the least, of what is usual is worth a warning, without a unit.",
        examples=[3.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def _window_s(rule: Rule) -> float:
    return max(_options(rule).window_s, READINGS * rule.channel.period_s)


class Variance(Learner):
    """All variance rules at once; satisfies `Detector` and `Learning`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules, lambda rule: _options(rule).limit, cell_s=_window_s, scatter=True)
        self._normal = baseline_of(rules, floor=lambda _: _TINY)
        self._floor = figures(rules, floor_of, spare=1.0)
        self._window_s = figures(rules, _window_s)
        self.columns |= self._normal.columns()

    @property
    def ready(self) -> Mask:
        """bool[len(rules)], which rules have learned what is normal."""
        return self._normal.ready

    def _figure(self, closed: Closed) -> Float64:
        slots, noise = closed.slots, closed.scatter
        self._level[slots] = noise
        low, floor = self._normal.low[slots], self._floor[slots]
        more = noise / np.maximum(self._normal.high[slots], floor)
        # What was never more than the resolution cannot become too quiet.
        less = np.where(low > floor, low, 0.0) / np.maximum(noise, _TINY)
        return np.where(more >= less, more, np.where(np.isnan(more), np.nan, -less))

    def _learn(self, closed: Closed, chosen: Slots, slots: Slots) -> None:
        noise = closed.scatter[chosen]
        known = ~np.isnan(noise)
        self._normal.learn(slots[known], noise[known], closed.elapsed_s[chosen][known])

    def _learning(self) -> bool:
        return not self._normal.idle

    def _forget(self, slots: Slots) -> None:
        self._normal.forget(slots)

    def _judged(self, slots: Slots) -> tuple[Float64, Float64]:
        noise = self._level[slots]
        most, least = np.maximum(self._normal.high[slots], self._floor[slots]), self._normal.low[slots]
        return noise, np.where(noise >= most, most * self._limit[slots], least / self._limit[slots])

    def _reason(self, slot: int, time_ns: int) -> Reason:  # noqa: ARG002  # others tell how long it has lasted
        channel, normal = self._channels[slot], self._normal
        now = told(channel, self._level[slot], change=True)
        high = max(float(normal.high[slot]), float(self._floor[slot]))
        low, lasted = float(normal.low[slot]), span(float(self._window_s[slot]))
        if self._level[slot] >= high:
            most, times = told(channel, high, change=True), self._level[slot] / high
            return Reason(
                f"noise {now} over {lasted.en}, {times:.3g} times the most usual here, {most}",
                f"{lasted.zh}内噪声 {now}，为此处平时最大值 {most} 的 {times:.3g} 倍",
            )
        least = told(channel, low, change=True)
        return Reason(
            f"noise {now} over {lasted.en}, usually at least {least}: has it gone deaf?",
            f"{lasted.zh}内噪声 {now}，平时至少 {least}：可能已失去响应",
        )


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A rule has too few windows to learn from.
    """
    check(rules, _window_s)
    return Variance(rules)
