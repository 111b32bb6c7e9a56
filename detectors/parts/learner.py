"""What detectors of change share: learned in calm, judged by the cell, one warning an event, told in two languages.

A detector says of each complete cell how far it lies from what it has learned, in its own terms; here that becomes
warnings. Nothing is learned from a cell with a reading that is not GOOD, of a channel in alarm or fault, while the
rule's own warning lasts, or from a figure that is itself beyond the limit.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from detectors.parts.bank import NORMAL, Judge, Mask, Slots, Switch, Where, durations, figures, shared
from detectors.parts.baseline import Baseline, default_floor
from detectors.parts.groups import amount
from detectors.parts.means import Closed, Means
from gateway.core.clock import NS_PER_S
from gateway.core.errors import ConfigError
from gateway.core.model import NO_VERDICTS, Batch, Channel, Float64, Level, Reason, Rule, Verdicts
from gateway.core.plugin import PluginOptions

BINS: Final = 32
"""Half octaves, from 1/16 to 2,896: how large a channel's figures have been."""

_FIRST_BIN: Final = -6
_FULL: Final = 60_000
_NOWHERE: Final = np.zeros(0, np.bool_)

THINNED: Final = 8
SHORT_NS: Final = np.int64(60 * NS_PER_S)
"""Of cells up to a minute, every eighth goes into the record: neighbours tell the same, and a score needs no more."""
_PRINTED_MAX: Final = 1e9
CELLS_MIN: Final = 24
"""Fewest cells that can be learned from: two for each block of a baseline."""


class LearnerOptions(PluginOptions):
    """How long to learn, what to judge, and when a warning ends."""

    direction: Literal["rise", "fall", "both"] = Field(
        default="both",
        description="Which change is worth a warning: `rise`, `fall` or `both`; a word without a unit.",
        examples=["rise"],
    )
    learn_s: float = Field(
        default=86_400.0,
        gt=0.0,
        le=2_678_400.0,
        description="How long to learn what is normal, in seconds of calm: alarms, faults and tests do not count. A "
        "day, by default, so that its rhythm is part of it.",
        examples=[60.0],
    )
    floor: float | None = Field(
        default=None,
        gt=0.0,
        description="The least scatter that is believed, in the channel's unit; by default a unit of the last digit, "
        "and at least a thousandth of the range.",
        examples=[0.5],
    )
    adapt_per_day: float = Field(
        default=0.0,
        ge=0.0,
        le=10.0,
        description="By how many scatters what is normal may move a day after it has been learned; 0 keeps it for "
        "good, as is right where something slow is a hazard. A factor without a unit.",
        examples=[0.5],
    )
    deadband: float = Field(
        default=0.5,
        ge=0.0,
        lt=1.0,
        description="How far it must fall below the limit before a warning is over, as a share of it, without a unit.",
        examples=[0.5],
    )
    on_delay_s: float = Field(
        default=0.0,
        ge=0.0,
        le=86_400.0,
        description="How long it must last before it is a warning, in seconds.",
        examples=[0.0],
    )
    off_delay_s: float = Field(
        default=600.0,
        ge=0.0,
        le=86_400.0,
        description="How long it must be gone before a warning is over, in seconds: one event is one warning.",
        examples=[10.0],
    )


class CellOptions(LearnerOptions):
    """The same, where cells have a length of their own."""

    cell_s: float = Field(
        default=60.0,
        gt=0.0,
        le=3600.0,
        description="How long readings are averaged before they are judged, in seconds; at least the channel's period.",
        examples=[2.0],
    )


def cell_of(rule: Rule) -> float:
    """Return how long a rule's cells are, in seconds."""
    assert isinstance(rule.options, CellOptions), f"{rule.id}: options of another type"
    return rule.options.cell_s


def floor_of(rule: Rule) -> float:
    """Return the least scatter that is believed of a rule's channel."""
    floor = _options(rule).floor
    return default_floor(rule.channel) if floor is None else floor


def _options(rule: Rule) -> LearnerOptions:
    assert isinstance(rule.options, LearnerOptions), f"{rule.id}: options of another type"
    return rule.options


def check(rules: Sequence[Rule], cell_s: Callable[[Rule], float] = cell_of) -> None:
    """Raise ConfigError where a rule has too few cells to learn from."""
    for rule in rules:
        learn_s, length_s = _options(rule).learn_s, max(cell_s(rule), rule.channel.period_s)
        if learn_s < CELLS_MIN * length_s:
            raise ConfigError(
                ("options", "learn_s"),
                f"{learn_s:g} s of {rule.channel.id} make fewer than {CELLS_MIN} cells of {length_s:g} s to learn from",
            ).under(*rule.path)


def baseline_of(
    rules: Sequence[Rule],
    *,
    learn_share: float = 1.0,
    floor: Callable[[Rule], float] = floor_of,
) -> Baseline:
    """Return the baseline that the options of these rules ask for.

    Args:
        rules: The rules.
        learn_share: The part of the time of learning that it takes.
        floor: Returns the least scatter of a rule.
    """
    return Baseline(
        figures(rules, lambda rule: _options(rule).learn_s * learn_share),
        figures(rules, floor),
        figures(rules, lambda rule: _options(rule).adapt_per_day, spare=0.0),
    )


class Record:
    """How large each rule's figures have been in calm, counted in half octaves: what a score is calibrated by.

    Args:
        size: Number of rules.

    Attributes:
        counts: uint16[size + 1, 32], state; halved when full.
    """

    def __init__(self, size: int) -> None:
        self.counts: NDArray[np.uint16] = np.zeros((size + 1, BINS), np.uint16)

    def learn(self, slots: Slots, figure: Float64) -> None:
        """Take in one figure of each of these rules, of which none occurs twice; none is negative or NaN."""
        place = _bin(figure)
        self.counts[slots, place] += np.uint16(1)
        full = self.counts[slots, place] >= _FULL
        if np.count_nonzero(full):
            self.counts[slots[full]] //= np.uint16(2)

    def score(self, figure: Float64) -> Float64:
        """Return the share of each rule's figures that are smaller; NaN without any, or where the figure is NaN.

        Args:
            figure: float64[size], of all rules.
        """
        counts = self.counts[:-1].astype(np.float64)
        place = _bin(np.nan_to_num(figure, nan=0.0))
        low = 2.0 ** ((place + _FIRST_BIN - 2) / 2.0)
        low[place == 0] = 0.0
        high = 2.0 ** ((place + _FIRST_BIN - 1) / 2.0)
        part = np.clip((np.minimum(figure, high) - low) / (high - low), 0.0, 1.0)
        below = np.arange(BINS)[None, :] < place[:, None]
        own = np.take_along_axis(counts, place[:, None], axis=1)[:, 0]
        total = counts.sum(axis=1)
        score: Float64 = ((counts * below).sum(axis=1) + own * part) / np.maximum(total + 1.0, 1.0)
        return np.where((total > 0) & ~np.isnan(figure), score, np.nan)


def _bin(figure: Float64) -> Slots:
    """Return the half octave of figures; by the bits of the number, so that no rounding of a logarithm decides."""
    part, exponent = np.frexp(np.minimum(figure, 1e6))
    place: Slots = np.clip(2 * exponent + (part >= np.sqrt(0.5)) - _FIRST_BIN, 0, BINS - 1).astype(np.intp)
    return place


class Learner(Judge, ABC):
    """Warns of cells far from what was learned; satisfies `Detector` and `Learning`.

    A detector of change says in `_figure` how far each cell lies off, takes in calm ones in `_learn`, and explains
    itself in `_reason`. What it shows people as the value goes to `_level`.

    Args:
        rules: The rules, with options made of `LearnerOptions`.
        limit: Returns the figure from which on a rule warns.
        cell_s: Returns how long a rule's cells are, in seconds.
        scatter: Cells also measure how much readings differ from one to the next.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        limit: Callable[[Rule], float],
        *,
        cell_s: Callable[[Rule], float] = cell_of,
        scatter: bool = False,
    ) -> None:
        super().__init__(rules)
        size = len(rules)
        self._means = Means(rules, cell_s, scatter=scatter)
        self._switch = Switch(
            self._bank,
            Level.WARNING,
            durations(rules, lambda rule: _options(rule).on_delay_s),
            durations(rules, lambda rule: _options(rule).off_delay_s),
        )
        self._limit = figures(rules, limit, spare=np.inf)
        self._clear = shared(self._limit * (1.0 - figures(rules, lambda rule: _options(rule).deadband, spare=0.0)))
        self._rises = figures(rules, lambda rule: _options(rule).direction != "fall") == 1.0
        self._falls = figures(rules, lambda rule: _options(rule).direction != "rise") == 1.0
        self._both = bool((self._rises & self._falls)[:size].all())
        self._channels = tuple(rule.channel for rule in rules)
        self._held: Mask = np.zeros(size + 1, np.bool_)
        self._any_held = False
        self._record = Record(size)
        lengths_ns = self._means.length_ns[:size]
        common = size and lengths_ns[0] <= SHORT_NS and (lengths_ns == lengths_ns[0]).all()
        self._thinned_ns = int(lengths_ns[0]) if common else 0
        self._last: Float64 = np.full(size + 1, np.nan)
        self._level: Float64 = np.full(size + 1, np.nan)
        self.columns |= {
            "record": self._record.counts,
            "figure": self._last,
            "level_judged": self._level,
            **self._means.columns(),
            **self._switch.columns(),
        }

    @property
    def score(self) -> Float64:
        """float64[len(rules)], the share of each rule's figures in calm that its last one exceeds; NaN at first."""
        return self._record.score(self._last[:-1])

    @property
    @abstractmethod
    def ready(self) -> Mask:
        """bool[len(rules)], which rules have learned what is normal."""

    def hold(self, held: Mask) -> None:
        """Learn nothing from these channels, by row, until told otherwise."""
        self._held = self._bank.by_slot(held)
        self._any_held = bool(self._held.any())

    def relearn(self, rules: Slots) -> None:
        """Forget what was learned of these rules."""
        self._means.forget(rules)
        self._record.counts[rules] = 0
        self._last[rules] = self._level[rules] = np.nan
        self._forget(rules)

    def save(self) -> dict[str, NDArray[np.generic]]:
        """Return all state but the spare slot's."""
        self._means.settle()
        return super().save()

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        closed = self._means.take(self._bank.share(batch))
        return NO_VERDICTS if closed is None else self._weigh(batch, closed)

    def _weigh(self, batch: Batch, closed: Closed) -> Verdicts:
        slots = closed.slots
        figure = self._figure(closed)
        size = np.abs(figure) if self._both else self._one_sided(slots, figure)
        self._last[slots] = size
        over = size >= self._limit[slots]
        calm = closed.clean & ~over
        if self._any_held:
            calm &= ~self._held[slots]
        verdicts = NO_VERDICTS
        if self._switch.any_awake() or np.count_nonzero(over):
            calm &= self._bank.levels[slots] == NORMAL
            awake = np.flatnonzero(over | self._switch.awake(slots))
            if len(awake):
                verdicts = self._judge(batch, closed, awake, size[awake])
        recorded = self._recorded(closed)
        learning = self._learning()
        if learning or recorded is None or np.count_nonzero(recorded):
            self._take_in(closed, calm, size, recorded, learning=learning)
        return verdicts

    @abstractmethod
    def _learning(self) -> bool:
        """Return whether `_learn` would do anything."""

    def _recorded(self, closed: Closed) -> Mask | None:
        """Return which cells' figures go into the record, None for all: of short ones every eighth of the grid."""
        if self._thinned_ns:
            first, last = closed.first_ns // self._thinned_ns, closed.last_ns // self._thinned_ns
            if first == last:
                return None if first % THINNED == 0 else _NOWHERE
        length_ns = self._means.length_ns[closed.slots]
        recorded: Mask = (closed.time_ns // length_ns % THINNED == 0) | (length_ns > SHORT_NS)
        return recorded

    def _one_sided(self, slots: Where, figure: Float64) -> Float64:
        rise = np.where(self._rises[slots], figure, -np.inf)
        fall = np.where(self._falls[slots], -figure, -np.inf)
        return np.where(np.isnan(figure), np.nan, np.maximum(np.maximum(rise, fall), 0.0))

    def _take_in(self, closed: Closed, calm: Mask, size: Float64, recorded: Mask | None, *, learning: bool) -> None:
        if recorded is None or len(recorded):
            chosen = np.flatnonzero(calm & ~np.isnan(size) & (True if recorded is None else recorded))
            if len(chosen):
                self._record.learn(closed.pick(chosen)[1], size[chosen])
        chosen = np.flatnonzero(calm)
        if learning and len(chosen):
            self._learn(closed, chosen, closed.pick(chosen)[1])

    def _judge(self, batch: Batch, closed: Closed, awake: Slots, size: Float64) -> Verdicts:
        at, slots = closed.pick(awake)
        # What is not learned yet, or not any more, is no reason to go on warning.
        under = ~(size >= self._clear[slots])
        hold = np.zeros(len(slots), np.bool_)
        after = self._switch.step(slots, closed.time_ns[awake], size >= self._limit[slots], under, hold)
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        at, slots, after = at[changed], slots[changed], after[changed]
        value, limit = self._judged(slots)
        score = self.score[slots].astype(np.float32)
        reason = tuple(
            self._reason(int(slot), int(time_ns)) if level else self._over(int(slot))
            for slot, level, time_ns in zip(slots, after, batch.time_ns[at], strict=True)
        )
        return self._bank.report(batch, at, slots, after, judged=(value, limit, score), reason=reason)

    def _over(self, slot: int) -> Reason:
        """Return what is said when a warning ends."""
        now = told(self._channels[slot], self._level[slot])
        if np.isnan(self._last[slot]):
            return Reason(f"{now}; what is normal here is being learned", f"{now}；正在学习此处的正常状态")
        return Reason(f"{now}; as usual here again", f"{now}；已恢复此处的正常状态")

    @abstractmethod
    def _figure(self, closed: Closed) -> Float64:
        """Return how far each cell lies off, signed, NaN where that is not known; and take it into the state."""

    @abstractmethod
    def _learn(self, closed: Closed, chosen: Slots, slots: Slots) -> None:
        """Learn from calm cells: their places in `closed`, and their slots."""

    @abstractmethod
    def _forget(self, slots: Slots) -> None:
        """Learn these rules anew."""

    @abstractmethod
    def _judged(self, slots: Slots) -> tuple[Float64, Float64]:
        """Return the values judged and what they were compared with."""

    @abstractmethod
    def _reason(self, slot: int, time_ns: int) -> Reason:
        """Return why a warning is raised now."""

    def _restored(self) -> None:
        self._means.restored()
        self._switch.restored()


def told(channel: Channel, value: np.float64 | float, *, signed: bool = False, change: bool = False) -> str:
    """Return a value for people as `amount` does; one that no instrument measures, in few digits.

    >>> told(Channel(0, "t", "i", "ch4", "%LEL", decimals=1), 1e300)
    '1e+300 %LEL'
    """
    if abs(value) < _PRINTED_MAX:
        return amount(channel, float(value), signed=signed, change=change)
    return f"{value:.3g} {channel.unit}".rstrip()


def band(channel: Channel, low: np.float64 | float, high: np.float64 | float, *, change: bool = False) -> Reason:
    """Return a range of values for people.

    >>> band(Channel(0, "t", "i", "temperature", "°C", decimals=1), 20.83, 22.4).en
    '20.8 to 22.4 °C'
    """
    ends = told(channel, low, change=change).partition(" ")[0], told(channel, high, change=change)
    return Reason(" to ".join(ends), " 至 ".join(ends))


def beyond(channel: Channel, level: np.float64 | float, normal: Baseline, slot: int) -> Reason:
    """Return in what way a level is not what is normal for a rule."""
    excess = told(channel, normal.excess(np.array([slot]), np.array([level]))[0], signed=True, change=True)
    usual = band(channel, normal.low[slot], normal.high[slot])
    now, noise = told(channel, level), told(channel, normal.noise[slot], change=True)
    return Reason(
        f"{now}: {excess} beyond its usual {usual.en}, scatter {noise}",
        f"{now}：超出平时的 {usual.zh}，超出 {excess}，平时波动 {noise}",
    )


def span(seconds: float) -> Reason:
    """Return a duration for people, in the unit that suits it.

    >>> span(45), span(300).en, span(7200).en
    (Reason(en='45 s', zh='45 秒'), '5 min', '2 h')
    """
    for length, en, zh in ((3600.0, "h", "小时"), (60.0, "min", "分钟")):
        if seconds >= 2 * length:
            return Reason(f"{seconds / length:.0f} {en}", f"{seconds / length:.0f} {zh}")
    return Reason(f"{seconds:.0f} s", f"{seconds:.0f} 秒")
