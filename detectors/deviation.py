"""A level that is not this channel's usual one: the smoothed reading against what was learned in calm.

What is normal is where the level has been during the time of learning, and how much it scatters there. The figure is
how far the smoothed reading lies beyond that, in scatters. By `ewma` readings are smoothed by a moving mean that
forgets; by `robust` by the median of five cells, to which two wild cells mean nothing.

    >>> import numpy as np
    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", "%LEL", 0.0, 100.0, decimals=1)
    >>> options = Options(learn_s=600, cell_s=10, smooth_s=30)
    >>> detector = create([Rule(0, "odd", "deviation", (channel,), options)])
    >>> random = np.random.default_rng(1)
    >>> for second in range(1200):
    ...     value = 1.0 + 0.2 * random.standard_normal() + max(0.0, second - 1000) * 0.02
    ...     verdicts = detector.update(Batch.of([0], second * 1_000_000_000, [round(value, 1)]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(second, Level(level).name, reason.en)
    1059 WARNING 1.6 %LEL: +0.5 %LEL beyond its usual 1.0 to 1.0 %LEL, scatter 0.1 %LEL

References:
    S. W. Roberts, Control Chart Tests Based on Geometric Moving Averages, Technometrics 1(3), 1959.
    P. J. Huber, Robust Statistics (1981): the median, and what it forgives.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from pydantic import ConfigDict, Field

from detectors.parts.bank import Mask, Slots, figures
from detectors.parts.learner import CellOptions, Learner, baseline_of, beyond, check
from detectors.parts.means import Closed
from detectors.parts.window import median
from gateway.core.model import Float64, Level, Reason, Rule
from gateway.core.plugin import Detector

LEVELS: Final = (Level.WARNING,)

CELLS: Final = 5
"""Cells whose median is judged by `robust`."""


class Options(CellOptions):
    """How the level is smoothed, and how far from the usual is too far."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"learn_s": 60.0, "cell_s": 1.0, "limit": 3.0, "smooth_s": 2.0, "off_delay_s": 5.0},
                {"method": "robust", "learn_s": 60.0, "cell_s": 1.0, "limit": 2.0, "direction": "rise"},
            ]
        }
    )

    method: Literal["ewma", "robust"] = Field(
        default="ewma",
        description="How readings are smoothed: `ewma`, a moving mean that forgets, or `robust`, the median of five "
        "cells; a word without a unit.",
        examples=["ewma"],
    )
    smooth_s: float = Field(
        default=120.0,
        ge=0.0,
        le=86_400.0,
        description="Time constant of the moving mean, in seconds; only by `ewma`.",
        examples=[2.0],
    )
    limit: float = Field(
        default=5.0,
        gt=0.0,
        le=1000.0,
        description="How far beyond the usual level is worth a warning, in scatters, without a unit.",
        examples=[3.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


class Deviation(Learner):
    """All deviation rules at once; satisfies `Detector` and `Learning`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules, lambda rule: _options(rule).limit)
        size = len(rules)
        self._normal = baseline_of(rules)
        self._smooth_s = figures(rules, lambda rule: _options(rule).smooth_s, spare=0.0)
        self._robust = figures(rules, lambda rule: _options(rule).method == "robust", spare=0.0) == 1.0
        self._any_robust = bool(self._robust.any())
        self._any_ewma = not self._robust[:size].all()
        # There also where no rule is robust: a rule's state has one shape, whatever rules stand beside it.
        self._recent: Float64 = np.full((size + 1, CELLS), np.nan)
        self.columns |= {"recent": self._recent, **self._normal.columns()}

    @property
    def ready(self) -> Mask:
        """bool[len(rules)], which rules have learned what is normal."""
        return self._normal.ready

    def _figure(self, closed: Closed) -> Float64:
        slots = closed.slots
        level = self._ewma(closed) if self._any_ewma else closed.mean
        if self._any_robust:
            level = np.where(self._robust[slots], self._median(closed), level)
        self._level[slots] = level
        figure: Float64 = self._normal.excess(slots, level) / self._normal.noise[slots]
        return figure

    def _ewma(self, closed: Closed) -> Float64:
        slots = closed.slots
        before = self._level[slots]
        level = before + (closed.mean - before) * (closed.elapsed_s / (closed.elapsed_s + self._smooth_s[slots]))
        # What lies before a gap is forgotten.
        anew = np.isnan(before) if closed.whole else closed.apart | np.isnan(before)
        return np.where(anew, closed.mean, level) if np.count_nonzero(anew) else level

    def _median(self, closed: Closed) -> Float64:
        slots = closed.slots
        recent = self._recent[slots].copy()
        recent[closed.apart] = np.nan
        recent[:, :-1] = recent[:, 1:].copy()
        recent[:, -1] = closed.mean
        self._recent[slots] = recent
        return median(recent, np.count_nonzero(~np.isnan(recent), axis=1))

    def _learn(self, closed: Closed, chosen: Slots, slots: Slots) -> None:
        self._normal.learn(slots, closed.mean[chosen], closed.elapsed_s[chosen])

    def _learning(self) -> bool:
        return not self._normal.idle

    def _forget(self, slots: Slots) -> None:
        self._normal.forget(slots)
        self._recent[slots] = np.nan

    def _judged(self, slots: Slots) -> tuple[Float64, Float64]:
        level = self._level[slots]
        return level, self._normal.edge(slots, level, self._limit[slots])

    def _reason(self, slot: int, time_ns: int) -> Reason:  # noqa: ARG002  # others tell how long it has lasted
        return beyond(self._channels[slot], self._level[slot], self._normal, slot)


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A rule has too few cells to learn from.
    """
    check(rules)
    return Deviation(rules)
