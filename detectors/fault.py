"""Faults of instruments: no value, an impossible value, a value that does not move, a value that is no evidence.

A fault is neither an alarm nor normal (GB 4717-2024 5.4.3), so its level is FAULT, and the verdict's quality says what
is wrong. What counts:

- BAD readings, whatever the reason: silence, sensor fault, warm-up, calibration, inhibition. An instrument that is
  warming up or inhibited sees no gas, and some hold their last value meanwhile; it must not look normal.
- MAINTENANCE, though there is a value: it may be test gas.
- A value below `range`: only a broken instrument reads far below zero. Above its range an instrument is in danger, not
  broken, so by default there is no upper end, and OVER_RANGE is no fault.
- A value that has not left `frozen_band` for `frozen_s`, where those are given: clean air is rightly 0 for weeks.

Readings that are GOOD, CLOCK_DOUBTFUL, TEST or OVER_RANGE come from a live instrument and clear; UNCERTAIN ones neither
raise nor clear. For this detector alone, BAD raises.

    >>> from gateway.core.model import Batch, Channel, Level, Quality, Rule, quality_name
    >>> channel = Channel(row=0, id="gd-01.ch4", instrument="gd-01", quantity="ch4", unit="%LEL")
    >>> rule = Rule(index=0, id="fault", type="fault", channels=(channel,), options=Options(delay_s=2.0))
    >>> detector = create([rule])
    >>> for second, quality in enumerate([0, 129, 129, 129, 0]):
    ...     verdicts = detector.update(Batch.of([0], second * 1_000_000_000, [1.5], quality))
    ...     for level, reason in zip(verdicts.level, verdicts.quality):
    ...         print(second, Level(level).name, quality_name(reason))
    3 FAULT comms_lost
    4 NORMAL good

References:
    GB 4717-2024 5.4.3.2 and GB/T 45839-2025: faults follow their source and are shown within 100 s.
    B. de Bruijn et al., Benchmark Datasets for Fault Detection and Classification in Sensor Data, SENSORNETS 2016:
    values that stand still, jump and drift in real instruments.
"""

from collections.abc import Sequence
from typing import Final, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from detectors.parts.bank import (
    FAULT,
    IDLE,
    NORMAL,
    Delay,
    Judge,
    Mask,
    Share,
    Slots,
    Where,
    durations,
    figures,
    is_bad,
    is_over_range,
    shared_ns,
    time_column,
)
from gateway.core.errors import ConfigError
from gateway.core.model import (
    BAD_FROM,
    NO_VERDICTS,
    Batch,
    Channel,
    Float64,
    Int64,
    Level,
    Quality,
    Rule,
    UInt8,
    Verdicts,
)
from gateway.core.plugin import Detector, PluginOptions

UNDER_RANGE_SHARE: Final = 0.1
"""How far below its range a value may drift and still be believed, as a share of the range."""

LEVELS: Final = (Level.FAULT,)
_LIVE, _SAYS_NOTHING, _FAULTY = 0, 1, 2


def _kinds() -> UInt8:
    """Return what each quality code means to a fault rule; codes yet unknown never clear."""
    kinds = np.full(256, _FAULTY, np.uint8)
    kinds[Quality.UNCERTAIN : Quality.BAD] = _SAYS_NOTHING
    kinds[[Quality.GOOD, Quality.CLOCK_DOUBTFUL, Quality.OVER_RANGE, Quality.TEST]] = _LIVE
    kinds[Quality.MAINTENANCE] = _FAULTY
    kinds[Quality.GOOD + 1 : Quality.UNCERTAIN] = _SAYS_NOTHING
    return kinds


_KINDS: Final = _kinds()


class Options(PluginOptions):
    """What counts as a fault, and for how long it must last."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"delay_s": 5.0},
                {"delay_s": 0.0, "off_delay_s": 10.0, "range": [-5.0, 110.0]},
                {"frozen_s": 3600.0, "frozen_band": 0.1},
            ]
        }
    )

    delay_s: float = Field(
        default=5.0,
        ge=0.0,
        le=100.0,
        description="How long a fault must last before it is reported, in seconds; 0 at once, and 100 s is the longest "
        "that GB 4717-2024 and GB/T 45839-2025 allow.",
        examples=[5.0],
    )
    off_delay_s: float = Field(
        default=0.0,
        ge=0.0,
        le=3600.0,
        description="How long sound readings must come before the fault is over, in seconds.",
        examples=[10.0],
    )
    range: tuple[float, float] | None = Field(
        default=None,
        description="Lowest and highest value that can be believed, in the channel's unit; by default from a tenth of "
        "the range below the instrument's range, without an upper end, as a value above it is danger and no fault.",
        examples=[[-10.0, 120.0]],
    )
    frozen_s: float | None = Field(
        default=None,
        gt=0.0,
        le=2_678_400.0,
        description="A value that stays within `frozen_band` for this long is frozen, in seconds; without it a still "
        "value is believed.",
        examples=[3600.0],
    )
    frozen_band: float = Field(
        default=0.0,
        ge=0.0,
        description="How far a value must move to count as alive, in the channel's unit; only with `frozen_s`.",
        examples=[0.1],
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"range begins at {self.range[0]} and ends at {self.range[1]}")
        if self.frozen_band and self.frozen_s is None:
            raise ValueError("frozen_band needs frozen_s")
        return self


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def believable(channel: Channel, options: Options) -> tuple[float, float]:
    """Return the lowest and highest value that is no fault; infinite where there is no end.

    >>> believable(Channel(0, "t", "i", "ch4", range_low=0.0, range_high=100.0), Options())
    (-10.0, inf)
    """
    if options.range is not None:
        return options.range
    low = channel.range_low - UNDER_RANGE_SHARE * (channel.range_high - channel.range_low)
    return (low if np.isfinite(low) else -np.inf), np.inf


class Fault(Judge):
    """All fault rules at once; satisfies `Detector`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        bank = self._bank
        self._on = Delay(durations(rules, lambda rule: _options(rule).delay_s))
        self._off = Delay(durations(rules, lambda rule: _options(rule).off_delay_s))
        self._any_on = False
        self._standing: tuple[Where, bytes, bytes] | None = None
        self._low = figures(rules, lambda rule: believable(rule.channel, _options(rule))[0], spare=-np.inf)
        self._high = figures(rules, lambda rule: believable(rule.channel, _options(rule))[1], spare=np.inf)
        self._any_high = bool(np.isfinite(self._high).any())
        frozen_ns = time_column(rules, lambda rule: _options(rule).frozen_s or 0.0)
        self._frozen_ns = shared_ns(np.where(frozen_ns == 0, IDLE, frozen_ns))
        self._frozen_band = figures(rules, lambda rule: _options(rule).frozen_band, spare=np.inf)
        self._any_frozen = bool((self._frozen_ns != IDLE).any())
        self._anchor: Float64 = np.full(bank.size + 1, np.nan)
        self._still_since_ns: Int64 = np.full(bank.size + 1, IDLE, np.int64)
        self._seen_ns: Int64 = np.full(bank.size + 1, IDLE, np.int64)
        self._gap_ns = durations(rules, lambda rule: max(rule.channel.stale_after_s, 3.0 * rule.channel.period_s))
        self._frozen: Mask = np.zeros(bank.size + 1, np.bool_)
        self.columns |= {
            "on_ns": self._on.since_ns,
            "off_ns": self._off.since_ns,
            "anchor": self._anchor,
            "still_since_ns": self._still_since_ns,
            "seen_ns": self._seen_ns,
            "frozen": self._frozen,
        }

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        share = self._bank.share(batch)
        slots = share.slots
        awake = share.value < self._low[slots]
        if self._stands(share) and not np.count_nonzero(awake):
            return NO_VERDICTS
        if share.worst:
            awake |= _KINDS.take(share.quality) != _LIVE
        if self._bank.any_raised():
            awake |= self._bank.levels[slots] != NORMAL
        if self._any_high:
            awake |= share.value > self._high[slots]
        if self._any_frozen:
            awake |= self._watch(share)
        if self._any_on:
            awake |= self._on.since_ns[slots] != IDLE
        found = share.awake(awake)
        if found is None:
            return NO_VERDICTS
        verdicts = self._judge(batch, *found)
        self._note_standing(share, *found)
        return verdicts

    def _stands(self, share: Share) -> bool:
        """Return whether a batch like the last one can say nothing new but by its values: the same ones are silent."""
        standing = self._standing
        return (
            standing is not None
            and share.slots is standing[0]
            and share.marks == standing[1]
            and self._bank.levels.tobytes() == standing[2]
        )

    def _note_standing(self, share: Share, at: Slots, slots: Slots) -> None:
        """Remember a batch of which all that woke anybody are readings that are a fault by themselves, told already."""
        self._standing = None
        if self._any_high or self._any_frozen or not isinstance(share.slots, slice):
            return
        quality = _KINDS[share.quality[at - share.at.start] if isinstance(share.at, slice) else share.quality[:0]]
        if len(quality) and (quality == _FAULTY).all() and (self._bank.levels[slots] == FAULT).all():
            self._standing = share.slots, share.marks, self._bank.levels.tobytes()

    def _watch(self, share: Share) -> Mask:
        """Note how long each value has stood still, and return where for too long.

        A BAD reading and a gap end the stillness, as nobody knows what the value did meanwhile, but not that of an
        instrument already found frozen: only a value that moves proves it alive.
        """
        slots, time_ns, value = share.slots, share.time_ns, share.value
        was_frozen = self._frozen[slots].copy()
        with np.errstate(over="ignore"):
            still = np.abs(value - self._anchor[slots]) <= self._frozen_band[slots]
        still &= was_frozen | (time_ns - self._seen_ns[slots] <= self._gap_ns[slots])
        if share.worst >= BAD_FROM:
            still |= was_frozen & is_bad(share.quality)
        self._seen_ns[slots] = time_ns
        if not still.all():
            moved = np.flatnonzero(~still)
            _, there = share.pick(moved)
            self._anchor[there] = value[moved]
            self._still_since_ns[there] = IDLE
        since = np.minimum(self._still_since_ns[slots], time_ns)
        self._still_since_ns[slots] = since
        frozen: Mask = time_ns - since >= self._frozen_ns[slots]
        # A clock set back must not free it either.
        frozen |= still & was_frozen
        self._frozen[slots] = frozen
        return frozen

    def _judge(self, batch: Batch, at: Slots, slots: Slots) -> Verdicts:
        time_ns, value, quality = batch.time_ns[at], batch.value[at], batch.quality[at]
        before = self._bank.levels[slots]
        found = self._find(slots, value, quality)
        frozen = self._frozen[slots]
        faulty = _KINDS[found] == _FAULTY
        nothing = _KINDS[quality] == _SAYS_NOTHING
        on = self._on.due(slots, time_ns, faulty, nothing) | (frozen & faulty)
        off = self._off.due(slots, time_ns, ~faulty & ~nothing & (before != NORMAL))
        self._any_on = bool(self._on.running().any())
        after = np.where(on, FAULT, np.where(off, NORMAL, before))
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        at, slots, after, found, value = at[changed], slots[changed], after[changed], found[changed], value[changed]
        limit = np.where(value < self._low[slots], self._low[slots], np.nan)
        limit = np.where(value > self._high[slots], self._high[slots], limit)
        score = np.full(len(at), np.nan, np.float32)
        return self._bank.report(batch, at, slots, after, judged=(value, limit, score), quality=found)

    def _find(self, slots: Slots, value: Float64, quality: UInt8) -> UInt8:
        """Return what is wrong with each reading, as a quality; its own where it says so itself or nothing is wrong."""
        own = _KINDS[quality] == _FAULTY
        found = np.where(self._frozen[slots], np.uint8(Quality.FROZEN), quality)
        too_high = (value > self._high[slots]) & ~is_over_range(quality)
        found = np.where(too_high, np.uint8(Quality.SENSOR_FAULT), found)
        found = np.where(value < self._low[slots], np.uint8(Quality.UNDER_RANGE), found)
        return np.where(own, quality, found)

    def _restored(self) -> None:
        self._standing = None
        self._any_on = bool(self._on.running().any())


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A value would be called frozen between two readings.
    """
    for rule in rules:
        try:
            _check_rule(rule.channel, _options(rule))
        except ConfigError as error:
            raise error.under(*rule.path) from None
    return Fault(rules)


def _check_rule(channel: Channel, options: Options) -> None:
    if options.frozen_s is not None and options.frozen_s <= channel.period_s:
        raise ConfigError(
            ("options", "frozen_s"),
            f"{options.frozen_s:g} s is no longer than the {channel.period_s:g} s between readings of {channel.id}",
        )
