"""A small shift that lasts: sums of how far cells lie beyond the usual level, in both directions.

Each cell adds how far it lies beyond where the level has been, in scatters and less an allowance, times the time that
it stands for; below zero a sum does not go. A shift that no single reading shows so grows into a warning, and the
smaller it is the longer that takes. One cell counts for four scatters at most, and a sum stops at twice its limit, so
that it comes back.

    >>> import numpy as np
    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", "%LEL", 0.0, 100.0, decimals=1)
    >>> detector = create([Rule(0, "shift", "cusum", (channel,), Options(learn_s=1200, cell_s=10))])
    >>> random = np.random.default_rng(1)
    >>> for second in range(2400):
    ...     value = 1.0 + 0.5 * random.standard_normal() + (0.4 if second >= 2000 else 0.0)
    ...     verdicts = detector.update(Batch.of([0], second * 1_000_000_000, [round(value, 1)]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(second, Level(level).name, reason.en)
    2089 WARNING on average +0.4 %LEL beyond its usual 0.9 to 1.0 %LEL for 90 s

References:
    E. S. Page, Continuous Inspection Schemes, Biometrika 41, 1954.
    D. C. Montgomery, Introduction to Statistical Quality Control: half a scatter as allowance, and sums with a limit.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from pydantic import ConfigDict, Field

from detectors.parts.bank import Mask, Slots, figures
from detectors.parts.learner import CellOptions, Learner, band, baseline_of, cell_of, check, span, told
from detectors.parts.means import Closed
from detectors.parts.sums import Sums
from gateway.core.model import Float64, Level, Reason, Rule
from gateway.core.plugin import Detector

LEVELS: Final = (Level.WARNING,)

STEP_MAX: Final = 4.0
"""The most that one cell counts, in scatters: no cell warns by itself."""

CELLS_MIN: Final = 8.0
"""Fewest cells of one scatter beyond the allowance that make a warning, however seldom an instrument is read."""


class Options(CellOptions):
    """What is allowed, and for how long a shift must last."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"learn_s": 60.0, "cell_s": 1.0, "allowance": 0.2, "patience_s": 2.0, "off_delay_s": 5.0},
                {"learn_s": 60.0, "cell_s": 2.0, "direction": "rise", "floor": 0.2},
            ]
        }
    )

    cell_s: float = Field(
        default=20.0,
        gt=0.0,
        le=3600.0,
        description="How long readings are averaged before they are judged, in seconds; at least the channel's period.",
        examples=[2.0],
    )
    allowance: float = Field(
        default=1.0,
        ge=0.0,
        le=10.0,
        description="How far beyond the usual level counts for nothing, in scatters, without a unit.",
        examples=[0.5],
    )
    patience_s: float = Field(
        default=160.0,
        gt=0.0,
        le=604_800.0,
        description="How long a level one scatter beyond the allowance must last to be a warning, in seconds; "
        "one of four scatters takes a quarter of it. At least eight cells.",
        examples=[120.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


class Cusum(Learner):
    """All cusum rules at once; satisfies `Detector` and `Learning`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules, lambda _: 1.0)
        self._normal = baseline_of(rules)
        self._allowance = figures(rules, lambda rule: _options(rule).allowance)
        self._full = figures(rules, _full)
        self._sums = Sums(len(rules))
        self.columns |= {**self._sums.columns(), **self._normal.columns()}

    @property
    def ready(self) -> Mask:
        """bool[len(rules)], which rules have learned what is normal."""
        return self._normal.ready

    def _figure(self, closed: Closed) -> Float64:
        slots, normal, mean = closed.slots, self._normal, closed.mean
        self._level[slots] = mean
        noise = normal.noise[slots]
        weight = closed.elapsed_s / self._full[slots]
        allowance = self._allowance[slots]
        up = np.minimum((mean - normal.high[slots]) / noise, STEP_MAX) - allowance
        down = np.minimum((normal.low[slots] - mean) / noise, STEP_MAX) - allowance
        return np.where(np.isnan(noise), np.nan, self._sums.add(slots, up * weight, down * weight, closed.time_ns))

    def _learn(self, closed: Closed, chosen: Slots, slots: Slots) -> None:
        self._normal.learn(slots, closed.mean[chosen], closed.elapsed_s[chosen])

    def _learning(self) -> bool:
        return not self._normal.idle

    def _forget(self, slots: Slots) -> None:
        self._normal.forget(slots)
        self._sums.forget(slots)

    def _judged(self, slots: Slots) -> tuple[Float64, Float64]:
        level = self._level[slots]
        return level, self._normal.edge(slots, level, self._allowance[slots])

    def _reason(self, slot: int, time_ns: int) -> Reason:
        channel, normal = self._channels[slot], self._normal
        sums, lasted_s = self._sums, max(self._sums.lasted_s(slot, time_ns), 1.0)
        # The mean shift of a sum is its allowance and what it has grown by in its time.
        size = self._allowance[slot] + max(sums.up[slot], sums.down[slot]) * self._full[slot] / lasted_s
        shift = size * normal.noise[slot] * (1.0 if sums.up[slot] >= sums.down[slot] else -1.0)
        by = told(channel, shift, signed=True, change=True)
        usual, lasted = band(channel, normal.low[slot], normal.high[slot]), span(lasted_s)
        return Reason(
            f"on average {by} beyond its usual {usual.en} for {lasted.en}",
            f"{lasted.zh}内平均超出平时的 {usual.zh} 达 {by}",
        )


def _full(rule: Rule) -> float:
    return max(_options(rule).patience_s, CELLS_MIN * max(cell_of(rule), rule.channel.period_s))


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A rule has too few cells to learn from.
    """
    check(rules)
    return Cusum(rules)
