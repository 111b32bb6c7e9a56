"""A catalytic reading that comes back from beyond its range: in rich gas the bead lacks air, and reads low.

A catalytic instrument burns the gas. Above some 100 %LEL there is too little oxygen left, and its reading falls again,
down to nothing in pure gas, while the danger grows. A reading that has reached the end of the range is therefore no
evidence of safety when it comes down, however gently: what a ventilated room looks like and what a room filling up
looks like are the same curve. From the moment it reaches `full`, or is marked OVER_RANGE, this rule holds FAULT, which
says that the true value may be above the range. It is over only when

- someone has been there: the instrument was in test, maintenance or calibration since, and reads below `clear` after
  that, for `hold_s` without a break; or
- readings have stayed below `clear` for `alone_s`, where an engineer allows that (not by default).

BAD readings do not end it, nor does a warm-up: the power may have failed, and in pure gas the instrument comes back
with nothing. Beside it the limit alarm, latched as gas alarms are, stays as it is. An instrument of another principle
(infrared) needs no such rule.

    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", "%LEL", 0.0, 100.0, decimals=0)
    >>> rule = Rule(0, "rich", "reversal", (channel,), Options(hold_s=60))
    >>> detector = create([rule])
    >>> told = [(0, 40, 0), (1, 100, 0), (2, 12, 0), (30, 0, 0), (31, 0, 68), (32, 0, 0), (33, 0, 0)]
    >>> for minute, value, quality in told:
    ...     verdicts = detector.update(Batch.of([0], minute * 60_000_000_000, [value], quality))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(minute, Level(level).name, reason.en)
    1 FAULT reached 100 %LEL: it may be above its range, and a lower reading is no evidence
    33 NORMAL attended since, and below 5 %LEL again

References:
    IEC 60079-29-1 and IEC 60079-29-2: readings above the range of catalytic instruments are ambiguous and must latch.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from detectors.parts.bank import (
    FAULT,
    IDLE,
    NORMAL,
    Judge,
    Mask,
    Slots,
    float_column,
    is_over_range,
    time_column,
)
from detectors.parts.groups import amount
from gateway.core.errors import ConfigError
from gateway.core.model import NO_VERDICTS, Batch, Channel, Int64, Level, Quality, Reason, Rule, Verdicts
from gateway.core.plugin import Detector, PluginOptions

LEVELS: Final = (Level.FAULT,)

_CLEAR_SHARE: Final = 0.05
_ATTENDING: Final = (Quality.TEST, Quality.MAINTENANCE, Quality.CALIBRATION)


def _attended() -> NDArray[np.bool_]:
    kinds = np.zeros(256, np.bool_)
    kinds[list(_ATTENDING)] = True
    return kinds


_ATTENDED: Final = _attended()


class Options(PluginOptions):
    """From where a reading is not believed any more, and what makes it believable again."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"full": 100.0, "clear": 30.0, "hold_s": 60.0, "alone_s": 600.0}]}
    )

    full: float | None = Field(
        default=None,
        description="From this value on the reading is ambiguous, in the channel's unit; the end of the instrument's "
        "range by default.",
        examples=[100.0],
    )
    clear: float | None = Field(
        default=None,
        description="Below this value the air counts as clear, in the channel's unit; a twentieth of the range by "
        "default.",
        examples=[5.0],
    )
    hold_s: float = Field(
        default=300.0,
        ge=0.0,
        le=86_400.0,
        description="How long readings must stay clear once someone has attended to the instrument, in seconds.",
        examples=[300.0],
    )
    alone_s: float | None = Field(
        default=None,
        ge=60.0,
        le=2_678_400.0,
        description="How long readings must stay clear to be believed though nobody was there, in seconds; never "
        "without it.",
        examples=[86400.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def _full(rule: Rule) -> float:
    full = _options(rule).full
    return rule.channel.range_high if full is None else full


def _clear(rule: Rule) -> float:
    clear, channel = _options(rule).clear, rule.channel
    return channel.range_low + _CLEAR_SHARE * (channel.range_high - channel.range_low) if clear is None else clear


class Reversal(Judge):
    """All rules of this type at once; satisfies `Detector`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        size = self._bank.size
        self._rules = rules
        self._full = float_column(rules, _full, spare=np.inf)
        self._clear = float_column(rules, _clear, spare=-np.inf)
        self._hold_ns = time_column(rules, lambda rule: _options(rule).hold_s)
        self._alone_ns = time_column(rules, lambda rule: _options(rule).alone_s or 0.0)
        self._alone_ns[self._alone_ns == 0] = IDLE
        self._attended: Mask = np.zeros(size + 1, np.bool_)
        self._clear_since_ns: Int64 = np.full(size + 1, IDLE, np.int64)
        self.columns |= {"attended": self._attended, "clear_since_ns": self._clear_since_ns}

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        share = self._bank.share(batch)
        slots = share.slots
        awake = share.value >= self._full[slots]
        if share.worst:
            awake |= is_over_range(share.quality)
        if self._bank.any_raised():
            awake |= self._bank.levels[slots] != NORMAL
        found = share.awake(awake)
        return NO_VERDICTS if found is None else self._judge(batch, *found)

    def _judge(self, batch: Batch, at: Slots, slots: Slots) -> Verdicts:
        value, quality, time_ns = batch.value[at], batch.quality[at], batch.time_ns[at]
        # Test gas of a hundred per cent is no leak.
        attending = _ATTENDED[quality]
        rich = ((value >= self._full[slots]) | is_over_range(quality)) & ~attending
        self._attended[slots] = (self._attended[slots] | attending) & ~rich
        clear = (value < self._clear[slots]) & ~attending
        # A BAD reading, and one that is not clear, begin the wait anew.
        since = np.where(clear, np.minimum(self._clear_since_ns[slots], time_ns), IDLE)
        self._clear_since_ns[slots] = since
        attended = self._attended[slots]
        wait_ns = np.where(attended, np.minimum(self._hold_ns[slots], self._alone_ns[slots]), self._alone_ns[slots])
        over = clear & (time_ns - since >= wait_ns)
        after = np.where(rich, FAULT, np.where(over, NORMAL, self._bank.levels[slots]))
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        reason = tuple(
            self._reason(self._rules[slots[k]], bool(attended[k]), raised=after[k] == FAULT) for k in changed
        )
        at, slots, after = at[changed], slots[changed], after[changed]
        ended = slots[after == NORMAL]
        self._attended[ended], self._clear_since_ns[ended] = False, IDLE
        limit = np.where(after == FAULT, self._full[slots], self._clear[slots])
        found = np.where(after == FAULT, np.uint8(Quality.OVER_RANGE), quality[changed])
        judged = (value[changed], limit, np.full(len(at), np.nan, np.float32))
        return self._bank.report(batch, at, slots, after, judged=judged, quality=found, reason=reason)

    def _reason(self, rule: Rule, attended: bool, *, raised: bool) -> Reason:  # noqa: FBT001 - one of two ways back
        channel = rule.channel
        if raised:
            full = amount(channel, _full(rule))
            return Reason(
                f"reached {full}: it may be above its range, and a lower reading is no evidence",
                f"曾达到 {full}，实际值可能超出量程，读数回落不代表安全",
            )
        clear = amount(channel, _clear(rule))
        if attended:
            return Reason(f"attended since, and below {clear} again", f"已有人处理，读数回到 {clear} 以下")
        hours = (_options(rule).alone_s or 0.0) / 3600.0
        return Reason(f"below {clear} for {hours:.3g} h", f"低于 {clear} 已 {hours:.3g} 小时")


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: There is no value from which the reading is ambiguous, or it would never be clear.
    """
    for rule in rules:
        _check_rule(rule, rule.channel)
    return Reversal(rules)


def _check_rule(rule: Rule, channel: Channel) -> None:
    full, clear = _full(rule), _clear(rule)
    if np.isnan(full) or np.isnan(clear):
        problem = f"{channel.id} has no range, so that full and clear must be given"
        raise ConfigError(("options", "full"), problem).under(*rule.path)
    if not clear < full:
        problem = f"{clear:g} {channel.unit} is not below {full:g} {channel.unit}, where the reading becomes ambiguous"
        raise ConfigError(("options", "clear"), problem).under(*rule.path)
