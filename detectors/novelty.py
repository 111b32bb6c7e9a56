"""What a channel has never shown before: values, and departures from what is usual at that time of day.

For each channel it keeps the values it has shown, and how far they lay from the mean of that time of day. A reading
is a surprise by as much as it lies from the nearest of them, in parts of the channel's own scatter; and a warning is
raised when it beats the channel's own record of surprises by a good part (`detectors/parts/record.py`). So the same set
points serve any channel, quiet or wild, and an event makes one warning.

It says that something is unlike anything before, not that it is dangerous: what has happened once is known, and a slow
leak is never far from what was a moment ago. It stands beside limits, rates and leak detection, and replaces none.

Nothing is learned from readings that are not GOOD, nor while the channel is in alarm or fault. While the rule's own
warning lasts, means and scatter are not learned; the values are known again, so that the same thing is told once.

    >>> from gateway.core.model import Batch
    >>> channel = Channel(0, "t-01.temperature", "t-01", "temperature", "°C", decimals=1)
    >>> detector = create([Rule(0, "odd", "novelty", (channel,), Options(learn_s=6000.0, floor=0.1))])
    >>> for minute in range(300):
    ...     value = 20.0 + (minute % 15) / 10 + (6.0 if minute == 250 else 0.0)
    ...     verdicts = detector.update(Batch.of([0], minute * 60 * 10**9, [value]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(minute, Level(level).name)
    ...         print(reason.en)
    250 WARNING
    27.0 °C never seen, the nearest was 21.4 °C; usual at this hour 20.5 °C; 18.7 × its greatest surprise so far

References:
    V. Chandola, A. Banerjee, V. Kumar, Anomaly detection: a survey, ACM Computing Surveys 41 (2009), 15: distance to
    the nearest neighbour as a score.
    A. Lavin, S. Ahmad, Evaluating Real-Time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark, ICMLA 2015.
"""

from collections.abc import Sequence
from math import nan
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from detectors.parts.bank import Judge, Share, Slots, State, Switch, Where, time_column
from detectors.parts.familiar import Familiar, empty
from detectors.parts.groups import amount
from gateway.core.model import (
    BAD_FROM,
    NO_VERDICTS,
    UNCERTAIN_FROM,
    Batch,
    Channel,
    Float64,
    Level,
    Reason,
    Rule,
    Verdicts,
)
from gateway.core.plugin import Detector, PluginOptions

LEVELS: Final = (Level.WARNING,)

Why = tuple[float, Reason]
"""The nearest value known, and what is unusual, for people."""

READINGS_MIN: Final = 150
"""Fewest readings to learn from, however slow the channel."""
_SHARE_OF_RANGE: Final = 200.0
_SPANS: Final = 1.0
"""How far beyond its range a value is believed, in ranges: one wild reading must not make all others look alike."""
_TAME: Final = 1e100
_BAD_FROM: Final = int(BAD_FROM)
_UNCERTAIN_FROM: Final = int(UNCERTAIN_FROM)
_STILL: Final = (nan, Reason("", ""))
"""A surprise in the midst of a warning, which needs no reason of its own."""


class Options(PluginOptions):
    """How long to learn, and how unusual is worth a warning."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"learn_s": 1800.0, "warn_at": 0.9996, "off_delay_s": 60.0},
                {"learn_s": 1800.0, "warn_at": 0.9999, "off_delay_s": 120.0, "floor": 2.0},
            ]
        }
    )

    learn_s: float = Field(
        default=172_800.0,
        ge=60.0,
        le=5_184_000.0,
        description="How long to learn before anything is judged, in seconds of good readings. Two days, by default, "
        "so that the second one shows how days differ.",
        examples=[1800.0],
    )
    warn_at: float = Field(
        default=0.9996,
        gt=0.9,
        lt=1.0,
        description="How unusual a reading must be: 0.999 is as great a surprise as the channel's own record, 0.9996 "
        "one and a half times that, 0.9999 three times; a share without a unit.",
        examples=[0.9996],
    )
    floor: float | None = Field(
        default=None,
        gt=0.0,
        description="A surprise is told in parts of at least this change, in the channel's unit, so that the first "
        "flicker of a steady channel is none; by default a 200th of its range, and at least a unit of its last digit.",
        examples=[0.5],
    )
    off_delay_s: float = Field(
        default=21_600.0,
        ge=0.0,
        le=604_800.0,
        description="How long readings must be no surprise before the warning is over, in seconds.",
        examples=[60.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def _floor(rule: Rule) -> float:
    given, channel = _options(rule).floor, rule.channel
    if given is not None:
        return given
    span = channel.range_high - channel.range_low
    return max(10.0**-channel.decimals, span / _SHARE_OF_RANGE if np.isfinite(span) else 0.0)


def _believed(channel: Channel) -> tuple[float, float]:
    span = (channel.range_high - channel.range_low) * _SPANS
    if not np.isfinite(span):
        return -_TAME, _TAME
    return channel.range_low - span, channel.range_high + span


def _listed(where: Where) -> Sequence[int]:
    found: list[int] | range = range(where.start, where.stop) if isinstance(where, slice) else where.tolist()
    return found


class Novelty(Judge):
    """All novelty rules at once; satisfies `Learning`.

    Channels are judged one by one in Python: a search in a sorted list costs a few microseconds, and numpy is quicker
    only where some dozens of channels answer at the same moment.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        size = self._bank.size
        self._channels = [rule.channel for rule in rules]
        self._floors = [_floor(rule) for rule in rules]
        self._believed = [_believed(rule.channel) for rule in rules]
        self._learn_s = [_options(rule).learn_s for rule in rules]
        self._warn_at = [_options(rule).warn_at for rule in rules]
        self._familiar = [Familiar(floor) for floor in self._floors]
        self._ready: NDArray[np.bool_] = np.zeros(size + 1, np.bool_)
        self._held = [False] * size
        self._score: Float64 = np.full(size + 1, np.nan)
        self._switch = Switch(
            self._bank,
            Level.WARNING,
            time_column(rules, lambda _: 0.0),
            time_column(rules, lambda rule: _options(rule).off_delay_s),
        )
        self.columns |= {"score": self._score, "ready": self._ready, **self._switch.columns()}

    @property
    def score(self) -> Float64:
        """float64[len(rules)], how unusual each rule's last reading was; NaN before it has learned."""
        return self._score[:-1]

    @property
    def ready(self) -> NDArray[np.bool_]:
        """bool[len(rules)], which have learned enough."""
        return self._ready[:-1]

    def hold(self, held: NDArray[np.bool_]) -> None:
        """Learn nothing from channels in alarm or fault, from the next batch on."""
        self._held = self._bank.by_slot(held)[:-1].tolist()

    def relearn(self, rules: NDArray[np.intp]) -> None:
        """Forget what these rules have learned."""
        for k in rules.tolist():
            self._familiar[k] = Familiar(self._floors[k])
        self._ready[rules] = False
        self._score[rules] = np.nan

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        if not len(batch):
            return NO_VERDICTS
        share = self._bank.share(batch)
        slots = _listed(share.slots)
        why: dict[int, Why] = {}
        told = zip(slots, share.time_ns.tolist(), share.value.tolist(), share.quality.tolist(), strict=True)
        for k, (slot, time_ns, value, quality) in enumerate(told):
            if quality >= _BAD_FROM:
                self._familiar[slot].last_ns = time_ns
                continue
            found = self._take(slot, time_ns, value, quality)
            if found is not None:
                why[k] = found
        if not why and not self._bank.any_raised():
            return NO_VERDICTS
        return self._step(batch, share, np.array(slots, np.intp), why)

    def _take(self, slot: int, time_ns: int, value: float, quality: int) -> Why | None:
        """Judge a reading, learn from it where it may be, and return why it is worth a warning."""
        one = self._familiar[slot]
        low, high = self._believed[slot]
        if not low < value < high:
            value = low if value <= low else high
        surprise, least = one.surprise(value, time_ns)
        record = one.record
        ratio, score = 0.0, nan
        if ready := one.ready:
            if surprise > 0.0:
                ratio = record.ratio(surprise, time_ns, least)
            self._score[slot] = score = record.score(ratio) if ratio > 0.0 else 0.0
        over = score >= self._warn_at[slot]
        raised = bool(self._bank.levels[slot])
        why = one.why(self._channels[slot], value, time_ns, ratio) if over and not raised else _STILL
        if quality < _UNCERTAIN_FROM and not self._held[slot]:
            record.take(surprise, time_ns, learned=ready)
            if ready:
                record.count(ratio)
            if raised or over:
                one.remember(value, time_ns)
            else:
                one.learn(value, time_ns)
                if not ready and one.learned_s >= self._learn_s[slot] and record.readings >= READINGS_MIN:
                    self._ready[slot] = one.ready = True
        one.last_ns = time_ns
        return why if over else None

    def _step(self, batch: Batch, share: Share, slots: Slots, why: dict[int, Why]) -> Verdicts:
        """Raise and clear, as the readings in `why` are over the set point and the others are not."""
        bad, over = share.quality >= BAD_FROM, np.zeros(len(share), np.bool_)
        over[list(why)] = True
        after = self._switch.step(slots, share.time_ns, over, ~over & ~bad, bad)
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        at, _ = share.pick(changed)
        told = [self._told(slots[k], share.value[k], why.get(k)) for k in changed.tolist()]
        limit = np.array([nearest for nearest, _ in told])
        score = self._score[slots[changed]].astype(np.float32)
        return self._bank.report(
            batch,
            at,
            slots[changed],
            after[changed],
            judged=(share.value[changed], limit, score),
            reason=tuple(reason for _, reason in told),
        )

    def _told(self, slot: int, value: float, why: Why | None) -> Why:
        if why is not None:
            return why
        now = amount(self._channels[slot], value)
        return nan, Reason(f"{now}, as it has been before", f"{now}，与以往相同")

    def save(self) -> dict[str, NDArray[np.generic]]:
        """Return all state."""
        saved = super().save() | empty(self._bank.size)
        for k, one in enumerate(self._familiar):
            one.save(saved, k)
        return saved

    def restore(self, state: State) -> None:
        """Take over what `save` returned. Raises ValueError where it was saved for other rules."""
        like = empty(self._bank.size)
        for name, column in like.items():
            saved = state[name]
            if saved.shape != column.shape or saved.dtype != column.dtype:
                raise ValueError(f"saved {name} is {saved.dtype}{list(saved.shape)}, not of {len(column)} rules")
            column[:] = saved
        super().restore(state)
        for k, one in enumerate(self._familiar):
            one.restore(like, k)
            one.ready = bool(self._ready[k])

    def _restored(self) -> None:
        self._switch.restored()


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules."""
    return Novelty(rules)
