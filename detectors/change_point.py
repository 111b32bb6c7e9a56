"""A level that has changed at once: the median after against the median before, beside what is usual here.

Two windows follow one another, each of five cells, and what is judged is by how much their medians differ; so one or
two wild cells mean nothing. How much they differ as a rule, by the channel's daily rhythm and its noise, is learned in
calm: a change counts by how far it goes beyond that.

    >>> import numpy as np
    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(0, "tt-01.temperature", "tt-01", "temperature", "°C", -40.0, 125.0, decimals=1)
    >>> detector = create([Rule(0, "step", "change_point", (channel,), Options(learn_s=3600, window_s=100))])
    >>> random = np.random.default_rng(1)
    >>> for second in range(5400):
    ...     value = 21.0 + np.sin(second / 1000) + 0.2 * random.standard_normal() + (3.0 if second >= 4800 else 0.0)
    ...     verdicts = detector.update(Batch.of([0], second * 1_000_000_000, [value]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(second, Level(level).name, reason.en)
    4859 WARNING +3.0 K from one 100 s to the next, usually -0.1 to 0.1 K, scatter 0.2 K

References:
    M. Basseville, I. V. Nikiforov, Detection of Abrupt Changes: Theory and Application (1993).
    P. J. Huber, Robust Statistics (1981): the median, and what it forgives.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from pydantic import ConfigDict, Field

from detectors.parts.bank import Mask, Slots, figures
from detectors.parts.learner import Learner, LearnerOptions, band, baseline_of, check, span, told
from detectors.parts.means import Closed
from gateway.core.model import Float64, Judged, Level, Reason, Rule
from gateway.core.plugin import Detector

LEVELS: Final = (Level.WARNING,)
JUDGED: Final = Judged("{}", "step", "突变")

CELLS: Final = 5
"""Cells of each window."""


class Options(LearnerOptions):
    """How long before and after are, and how large a change is worth a warning."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"learn_s": 60.0, "window_s": 5.0, "limit": 4.0, "off_delay_s": 0.0},
                {"learn_s": 60.0, "window_s": 10.0, "limit": 5.0, "direction": "rise"},
            ]
        }
    )

    window_s: float = Field(
        default=600.0,
        gt=0.0,
        le=86_400.0,
        description="How long the times before and after the change are, each, in seconds; at least five of the "
        "channel's periods.",
        examples=[600.0],
    )
    limit: float = Field(
        default=5.0,
        gt=0.0,
        le=1000.0,
        description="How far beyond the usual change is worth a warning, in scatters of it, without a unit.",
        examples=[5.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def _cell_s(rule: Rule) -> float:
    return _options(rule).window_s / CELLS


class ChangePoint(Learner):
    """All rules of changes at once; satisfies `Detector` and `Learning`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules, lambda rule: _options(rule).limit, cell_s=_cell_s)
        self._normal = baseline_of(rules)
        self._window_s = figures(rules, lambda rule: max(_options(rule).window_s, CELLS * rule.channel.period_s))
        self._recent: Float64 = np.full((len(rules) + 1, 2 * CELLS), np.nan)
        self.columns |= {"recent": self._recent, **self._normal.columns()}

    @property
    def ready(self) -> Mask:
        """bool[len(rules)], which rules have learned what is normal."""
        return self._normal.ready

    def _figure(self, closed: Closed) -> Float64:
        slots = closed.slots
        recent = self._recent[slots].copy()
        if np.count_nonzero(closed.apart):
            recent[closed.apart] = np.nan
        recent[:, :-1] = recent[:, 1:].copy()
        recent[:, -1] = closed.mean
        self._recent[slots] = recent
        # Until both windows are full the oldest cell is NaN, and a sort would put that behind: it must not count.
        ordered = np.sort(recent.reshape(-1, 2, CELLS), axis=2)[:, :, CELLS // 2]
        change = np.where(np.isnan(recent[:, 0]), np.nan, ordered[:, 1] - ordered[:, 0])
        self._level[slots] = change
        figure: Float64 = self._normal.excess(slots, change) / self._normal.noise[slots]
        return figure

    def _learn(self, closed: Closed, chosen: Slots, slots: Slots) -> None:
        change = self._level[slots]
        known = ~np.isnan(change)
        self._normal.learn(slots[known], change[known], closed.elapsed_s[chosen][known])

    def _learning(self) -> bool:
        return not self._normal.idle

    def _forget(self, slots: Slots) -> None:
        self._normal.forget(slots)
        self._recent[slots] = np.nan

    def _judged(self, slots: Slots) -> tuple[Float64, Float64]:
        change = self._level[slots]
        return change, self._normal.edge(slots, change, self._limit[slots])

    def _reason(self, slot: int, time_ns: int) -> Reason:  # noqa: ARG002  # others tell how long it has lasted
        channel, normal, lasted = self._channels[slot], self._normal, span(float(self._window_s[slot]))
        by = told(channel, self._level[slot], signed=True, change=True)
        usual = band(channel, normal.low[slot], normal.high[slot], change=True)
        noise = told(channel, normal.noise[slot], change=True)
        return Reason(
            f"{by} from one {lasted.en} to the next, usually {usual.en}, scatter {noise}",
            f"相邻两个 {lasted.zh}之间变化 {by}，平时 {usual.zh}，波动 {noise}",
        )


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A rule has too few cells to learn from.
    """
    check(rules, _cell_s)
    return ChangePoint(rules)
