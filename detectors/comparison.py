"""Lost comparison: after a calibration or a repair a channel no longer agrees with what it showed before.

Work on an instrument ends with a reading that is GOOD again. Some time later, when it has settled, its distance from
the median of its neighbours is compared with the distance before the work; with too few neighbours, its own values are
compared. An instrument set to the wrong gas, a wrong unit, a head put back in the wrong place show there, and nowhere
else. Both figures are medians of five readings spread over `settle_s`, so that one odd reading counts for nothing.

A fault ends with the next work on the instrument, or when the comparison agrees again. Neighbours count while they tell
something, as for `neighbours`. Work is what MAINTENANCE, TEST, CALIBRATION and WARM_UP mark.

    >>> from gateway.core.model import Batch, Channel, Level, Quality, Rule
    >>> channels = tuple(Channel(k, f"g{k}", f"g{k}", "o2", "%vol", 0.0, 25.0, 1, period_s=60) for k in range(3))
    >>> detector = create([Rule(0, "same", "comparison", channels, Options(settle_s=600, tolerance=0.5))])
    >>> for minute in range(60):
    ...     working = 20 <= minute < 30
    ...     own = 20.9 if minute < 30 else 18.1
    ...     quality = [Quality.MAINTENANCE if working else Quality.GOOD, Quality.GOOD, Quality.GOOD]
    ...     verdicts = detector.update(Batch.of([0, 1, 2], minute * 60_000_000_000, [own, 20.8, 21.0], quality))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(minute, Level(level).name, reason.en)
    40 FAULT since the work on it, -2.8 %vol from 2 neighbours; 0.0 %vol before

References:
    IEC 60079-29-2: checks after calibration and repair.
    B. de Bruijn et al., Benchmark Datasets for Fault Detection and Classification in Sensor Data, SENSORNETS 2016.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from detectors.neighbours import Newest, median_of
from detectors.parts.bank import FAULT, NORMAL, Judge, Mask, Share, Slots, durations, figures, nanoseconds
from detectors.parts.groups import amount
from detectors.parts.habits import Cells, looked_at
from gateway.core.errors import ConfigError
from gateway.core.model import (
    NO_VERDICTS,
    Batch,
    Channel,
    Float64,
    Level,
    Quality,
    Reason,
    Rule,
    UInt8,
    Verdicts,
)
from gateway.core.plugin import Binding, Detector, PluginOptions

BINDING: Final = Binding.PEERS
LEVELS: Final = (Level.FAULT,)

SAMPLES: Final = 5
"""Readings whose median is compared, spread over `settle_s`."""

_TOLERANCE_SHARE: Final = 0.05


def _working() -> NDArray[np.bool_]:
    kinds = np.zeros(256, np.bool_)
    kinds[[Quality.TEST, Quality.MAINTENANCE, Quality.CALIBRATION, Quality.WARM_UP]] = True
    return kinds


_WORKING: Final = _working()
_WORK: Final = tuple(np.flatnonzero(_WORKING).tolist())


class Options(PluginOptions):
    """How far a channel may be from where it was before work on it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"settle_s": 600.0, "tolerance": 2.0}, {"settle_s": 1200.0, "peers_min": 3}]}
    )

    settle_s: float = Field(
        default=1800.0,
        ge=10.0,
        le=604_800.0,
        description="How long the instrument is left to settle after the work, in seconds; as long a time before the "
        "work is compared with it. At least five readings.",
        examples=[1800.0],
    )
    tolerance: float | None = Field(
        default=None,
        gt=0.0,
        description="How far it may then be from where it was, in the channel's unit; a twentieth of the instrument's "
        "range by default.",
        examples=[2.0],
    )
    peers_min: int = Field(
        default=2,
        ge=1,
        le=15,
        description="Fewest neighbours with a value; with fewer of them the channel is compared with itself, a count "
        "without a unit.",
        examples=[2],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def _cell_s(rule: Rule) -> float:
    return max(_options(rule).settle_s / SAMPLES, rule.channel.period_s)


def _tolerance(rule: Rule) -> float:
    tolerance, channel = _options(rule).tolerance, rule.channel
    return _TOLERANCE_SHARE * (channel.range_high - channel.range_low) if tolerance is None else tolerance


class Comparison(Judge):
    """All rules of this type at once; satisfies `Detector`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        size = self._bank.size
        self._channels = tuple(rule.channel for rule in rules)
        self._newest = Newest(rules)
        self._cells = Cells(durations(rules, _cell_s, spare=nanoseconds(1.0)))
        self._tolerance = figures(rules, _tolerance, spare=np.inf)
        self._peers_min = figures(rules, lambda rule: _options(rule).peers_min, spare=1.0)
        self._own: Float64 = np.full((size + 1, SAMPLES), np.nan)
        self._apart: Float64 = np.full((size + 1, SAMPLES), np.nan)
        self._own_before: Float64 = np.full(size + 1, np.nan)
        self._apart_before: Float64 = np.full(size + 1, np.nan)
        self._working: Mask = np.zeros(size + 1, np.bool_)
        self._waiting: Mask = np.zeros(size + 1, np.bool_)
        self.columns |= {
            "cell_end_ns": self._cells.end_ns,
            "own": self._own,
            "apart": self._apart,
            "own_before": self._own_before,
            "apart_before": self._apart_before,
            "working": self._working,
            "waiting": self._waiting,
        }

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        share = self._bank.share(batch)
        telling, aside = share, None
        if share.worst:
            self._note_work(share)
            telling, aside = looked_at(share)
        closing = self._cells.over(telling, aside)
        verdicts = NO_VERDICTS if closing is None else self._sample(batch, telling, closing)
        self._newest.take(batch, share, aside)
        return verdicts

    def _note_work(self, share: Share) -> None:
        """Where work begins, keep what was before it; what was gathered since earlier work and not judged is none."""
        if not any(mark in share.marks for mark in _WORK):
            return
        working = _WORKING[share.quality]
        _, slots = share.pick(np.flatnonzero(working))
        begins = slots[~self._working[slots]]
        known = begins[~self._waiting[begins]]
        self._own_before[known] = median_of(self._own[known])[0]
        self._apart_before[known] = median_of(self._apart[known])[0]
        self._own[begins] = self._apart[begins] = np.nan
        self._working[slots] = self._waiting[slots] = True

    def _sample(self, batch: Batch, share: Share, closing: Slots) -> Verdicts:
        at, slots = share.pick(closing)
        self._cells.begin(slots, share.time_ns[closing])
        ended = self._working[slots]
        # The reading with which work ends is the first of the time in which the instrument settles.
        self._working[slots] = False
        at, slots = at[~ended], slots[~ended]
        middle, count = self._newest.around(batch, at, slots)
        with np.errstate(over="ignore", invalid="ignore"):
            apart = np.where(count >= self._peers_min[slots], batch.value[at] - middle, np.nan)
        self._own[slots] = np.column_stack([self._own[slots, 1:], batch.value[at]])
        self._apart[slots] = np.column_stack([self._apart[slots, 1:], apart])
        due = np.flatnonzero(self._waiting[slots] & ~np.isnan(self._own[slots]).any(axis=1))
        return self._compare(batch, at[due], slots[due], count[due]) if len(due) else NO_VERDICTS

    def _compare(self, batch: Batch, at: Slots, slots: Slots, count: NDArray[np.intp]) -> Verdicts:
        own, _ = median_of(self._own[slots])
        apart, known = median_of(self._apart[slots])
        near = (known == SAMPLES) & ~np.isnan(self._apart_before[slots])
        now = np.where(near, apart, own)
        before = np.where(near, self._apart_before[slots], self._own_before[slots])
        with np.errstate(over="ignore"):
            off = np.abs(now - before)
        lost = off > self._tolerance[slots]
        # Nothing is known from before the first work: what is there now is what later work is compared with.
        agreed = slots[~lost]
        self._waiting[agreed] = False
        after = np.where(lost, FAULT, NORMAL)
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        reason = tuple(
            self._reason(self._channels[slots[k]], float(now[k]), float(before[k]), int(count[k]) if near[k] else 0)
            if lost[k]
            else Reason("agrees again with what it showed before", "与此前一致")
            for k in changed
        )
        at, slots, after = at[changed], slots[changed], after[changed]
        judged = (now[changed], before[changed], (off[changed] / self._tolerance[slots]).astype(np.float32))
        quality: UInt8 = np.where(after == FAULT, np.uint8(Quality.SENSOR_FAULT), batch.quality[at])
        return self._bank.report(batch, at, slots, after, judged=judged, quality=quality, reason=reason)

    def _reason(self, channel: Channel, now: float, before: float, count: int) -> Reason:
        if count:
            found = amount(channel, now, signed=True, change=True)
            known = amount(channel, before + 0.0, change=True)
            return Reason(
                f"since the work on it, {found} from {count} neighbours; {known} before",
                f"检修后与 {count} 个邻近测点相差 {found}；此前相差 {known}",
            )
        found, known = amount(channel, now), amount(channel, before)
        return Reason(f"since the work on it, {found}; {known} before", f"检修后为 {found}；此前为 {known}")

    def save(self) -> dict[str, NDArray[np.generic]]:
        """Return all state; of each rule also what it knows of its neighbours."""
        return super().save() | self._newest.save()

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over what `save` returned. Raises ValueError where it was saved for other rules."""
        super().restore(state)
        self._newest.restore(state)

    def _restored(self) -> None:
        self._cells.restored()


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: Nothing says how far the channel may be from where it was.
    """
    for rule in rules:
        if not np.isfinite(_tolerance(rule)):
            problem = f"{rule.channel.id} has no range, so that the tolerance must be given"
            raise ConfigError(("options", "tolerance"), problem).under(*rule.path)
    return Comparison(rules)
