"""Voting, k out of n: an alarm when several members of a group are beyond their set points within a while.

A member's vote counts from the reading that reaches the set point, and until `within_s` after the last reading beyond
it; it ends earlier only by time, so that two heads that see a cloud one after the other agree. Each set point (`low`,
`high`) has a vote of its own, each with delays; a member that reads UNCERTAIN or TEST votes as it reads.

A BAD member has no say. With `bad: leave_out` (the default) it neither votes nor counts: of the members left, as many
must agree as before, or all of them where fewer are left, so that of two heads of which one has failed the other one
decides alone. With `bad: keep` the vote stays as strict as it was, and where too few members are left it can be reached
no more: their fault alarms must be attended to. A member that was beyond when it lost its value stays so until it has
one again.

    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> heads = tuple(Channel(k, f"gd-0{k + 1}.ch4", f"gd-0{k + 1}", "ch4", "%LEL", decimals=0) for k in range(3))
    >>> detector = create([Rule(0, "trip", "vote", heads, Options(high=40, votes=2), group=True)])
    >>> for second, values in enumerate([[3, 41, 5], [4, 38, 6], [44, 37, 8]]):
    ...     found = detector.update(Batch.of([0, 1, 2], second * 1_000_000_000, values))
    ...     for level, reason in zip(found.level, found.reason):
    ...         print(second, Level(level).name, reason.en)
    2 HIGH 2 of 3 beyond 40 %LEL within 10 s: gd-01.ch4 44 %LEL and gd-02.ch4 38 %LEL

References:
    IEC 61511-1: voting of redundant sensors; ISA-TR84.00.07: voting of fire and gas detectors.
"""

from collections.abc import Sequence
from typing import Final, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from detectors.parts.bank import HIGH, Ladder, Mask, Slots, float_column, is_bad, is_over_range, time_column
from detectors.parts.criteria import NEVER
from detectors.parts.groups import RoundJudge, amount, listed, member_figures, named
from gateway.core.clock import NS_PER_S
from gateway.core.errors import ConfigError
from gateway.core.model import (
    NO_VERDICTS,
    Batch,
    Float32,
    Float64,
    Int8,
    Int64,
    Judged,
    Level,
    Reason,
    Rule,
    Verdicts,
)
from gateway.core.plugin import Binding, Detector, PluginOptions
from gateway.core.status import SetPoint

BINDING: Final = Binding.GROUP
LEVELS: Final = (Level.LOW, Level.HIGH)
JUDGED: Final = Judged("", "members beyond", "超限个数")

_NAMED_MAX: Final = 4
"""Members that a reason names; of more, the first."""


class Options(PluginOptions):
    """Set points, and how many must agree."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"low": 35.0, "high": 45.0, "votes": 2, "within_s": 30.0, "on_delay_s": 1.0},
                {"side": "below", "high": 18.0, "votes": 2, "bad": "keep", "off_delay_s": 10.0},
            ]
        }
    )

    low: float | None = Field(
        default=None, description="First set point (level LOW), in the channels' unit.", examples=[25.0]
    )
    high: float | None = Field(
        default=None, description="Second set point (level HIGH), in the channels' unit.", examples=[50.0]
    )
    side: Literal["above", "below"] = Field(
        default="above",
        description="Which side is dangerous: `above` votes at or above the set points, `below` at or below them; a "
        "word without a unit.",
        examples=["above"],
    )
    votes: int = Field(
        default=2, ge=1, le=1000, description="How many members must agree, a count without a unit.", examples=[2]
    )
    within_s: float = Field(
        default=10.0,
        ge=0.0,
        le=3600.0,
        description="How long a vote counts after the last reading beyond the set point, in seconds.",
        examples=[10.0],
    )
    deadband: float = Field(
        default=0.0,
        ge=0.0,
        description="How far a member must come back from a set point before its vote runs out, in the channels' unit.",
        examples=[2.0],
    )
    bad: Literal["leave_out", "keep"] = Field(
        default="leave_out",
        description="What a member without a value is, a word without a unit: `leave_out` counts neither for nor "
        "against, and fewer are enough where too few are left; `keep` leaves the vote as strict as it was.",
        examples=["leave_out"],
    )
    on_delay_s: float = Field(
        default=0.0,
        ge=0.0,
        le=3600.0,
        description="How long the vote must stand before the step is raised, in seconds.",
        examples=[0.0],
    )
    off_delay_s: float = Field(
        default=0.0,
        ge=0.0,
        le=3600.0,
        description="How long the vote must be gone before the step is over, in seconds.",
        examples=[10.0],
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("low or high must be given")
        if self.low is not None and self.high is not None and self.low != self.high:
            order = (self.low < self.high) if self.side == "above" else (self.low > self.high)
            if not order:
                raise ValueError(f"low ({self.low}) must be reached before high ({self.high}) on the side {self.side}")
        return self

    @property
    def set_points(self) -> tuple[SetPoint, ...]:
        """The set points that each member is compared with, as trends draw them."""
        both = (("low", self.low), ("high", self.high))
        return tuple(SetPoint(level=name, side=self.side, value=at) for name, at in both if at is not None)


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


class Vote(RoundJudge):
    """All voting rules at once; satisfies `Detector`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self._rules = tuple(rules)
        self._ladder = Ladder(
            self._bank,
            time_column(rules, lambda rule: _options(rule).on_delay_s),
            time_column(rules, lambda rule: _options(rule).off_delay_s),
        )
        # Below is above with the sign turned: one comparison serves both.
        self._sign = float_column(rules, lambda rule: 1.0 if _options(rule).side == "above" else -1.0, 1.0)
        self._limit: Float64 = np.stack(
            [
                float_column(rules, lambda rule: _options(rule).low),
                float_column(rules, lambda rule: _options(rule).high),
            ]
        )
        self._deadband = float_column(rules, lambda rule: _options(rule).deadband, 0.0)
        self._within_ns = time_column(rules, lambda rule: _options(rule).within_s)
        self._votes = np.array([_options(rule).votes for rule in rules] + [1], np.intp)
        self._strict: Mask = np.array([_options(rule).bad == "keep" for rule in rules] + [False], np.bool_)
        self._top = member_figures(rules, lambda _, channel: channel.range_high, np.nan)
        self._value = self.member_column("value", np.nan, np.float64)
        self._gone = self.member_column("gone", 0, np.bool_)
        self._beyond_ns = [self.member_column(f"{step}_beyond_ns", int(NEVER), np.int64) for step in ("low", "high")]
        self._beyond = [self.member_column(f"{step}_beyond", 0, np.bool_) for step in ("low", "high")]
        delays = self._ladder.columns()
        self._off_ns = delays["low_off_ns"], delays["high_off_ns"]
        self.columns |= delays
        self._awake: Mask = np.zeros(len(rules) + 1, np.bool_)

    def _calm(self, batch: Batch, mine: Slots, slots: Slots, places: Slots) -> Mask:
        """Take over the readings of rules in which nobody votes; return the others."""
        quality, value = batch.quality[mine], batch.value[mine]
        bad, over_range = is_bad(quality), is_over_range(quality)
        sign = self._sign[slots]
        near = (value * sign >= self._limit[:, slots] * sign).any(axis=0) | over_range
        stirred: Mask = self._awake | (self._bank.levels != 0)
        stirred[slots[near]] = True
        stirred[-1] = False
        calm = ~stirred[slots]
        self._value[slots[calm], places[calm]] = value[calm]
        self._gone[slots[calm], places[calm]] = bad[calm]
        return stirred

    def _round(self, batch: Batch, at: Slots, slots: Slots, places: Slots) -> Verdicts:
        """Judge at most one reading of each rule."""
        time_ns, bad, over_range = batch.time_ns[at], is_bad(batch.quality[at]), is_over_range(batch.quality[at])
        value = np.where(over_range, np.fmax(batch.value[at], self._top[slots, places]), batch.value[at])
        self._value[slots, places] = value
        self._gone[slots, places] = bad
        counts = []
        for step in (0, 1):
            self._cast(step, (slots, places), batch.take(at))
            counts.append(self._live(step, slots, time_ns).sum(axis=1))
        needed = self._needed(slots)
        asked = ~np.isnan(self._limit[:, slots])
        over = (counts[0] >= needed) & asked[0], (counts[1] >= needed) & asked[1]
        after = self._step(slots, time_ns, over, bad, over_range)
        self._awake[slots] = (after != 0) | (counts[0] + counts[1] > 0) | self._ladder.awake(slots)
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        return self._report(batch, at[changed], slots[changed], after[changed])

    def _step(self, slots: Slots, time_ns: Int64, over: tuple[Mask, Mask], bad: Mask, over_range: Mask) -> Int8:
        """Return the levels; a member without a value says nothing of the others, whose way down goes on."""
        going = [column[slots] for column in self._off_ns]
        after = self._ladder.step(slots, time_ns, over, (~over[0], ~over[1]), bad | over_range)
        others = bad & (self._left(slots) > 0)
        for column, since_ns, beyond in zip(self._off_ns, going, over, strict=True):
            stays = others & ~beyond
            column[slots[stays]] = since_ns[stays]
        return after

    def _cast(self, step: int, at: tuple[Slots, Slots], readings: Batch) -> None:
        """Take note of who is beyond a set point now, one reading of a rule."""
        beyond, beyond_ns = self._beyond[step], self._beyond_ns[step]
        sign, was = self._sign[at[0]], beyond[at]
        height, limit = self._value[at] * sign, self._limit[step, at[0]] * sign
        stays = is_bad(readings.quality) | is_over_range(readings.quality) | (height > limit - self._deadband[at[0]])
        beyond[at] = now = (height >= limit) | (was & stays)
        beyond_ns[at] = np.where(now, readings.time_ns, np.minimum(beyond_ns[at], readings.time_ns))

    def _live(self, step: int, slots: Slots, time_ns: Int64) -> Mask:
        """Return bool[n, members]: whose vote counts at these times."""
        beyond_ns = self._beyond_ns[step]
        # What lies ahead of now was read before a clock was set back, and counts from now. What has run out is
        # forgotten, so that no clock set back brings it to life again.
        since = np.minimum(beyond_ns[slots], time_ns[:, None])
        recent = (time_ns[:, None] - since <= self._within_ns[slots][:, None]) & (since != NEVER)
        live: Mask = self._beyond[step][slots] | recent
        beyond_ns[slots] = np.where(live, since, NEVER)
        return live

    def _left(self, slots: Slots) -> Slots:
        """Return how many members of each rule have a value."""
        left: Slots = (self.members.there[slots] & ~self._gone[slots]).sum(axis=1)
        return left

    def _needed(self, slots: Slots) -> Slots:
        """Return how many must agree: fewer than wished where fewer are left, but never none."""
        wished = self._votes[slots]
        return np.where(self._strict[slots], wished, np.clip(self._left(slots), 1, wished))

    def _report(self, batch: Batch, at: Slots, slots: Slots, after: Int8) -> Verdicts:
        time_ns, before = batch.time_ns[at], self._bank.levels[slots]
        # What was reached, or what is left: the step above the lower of the two levels.
        step = np.where(after > before, after, np.minimum(after + 1, HIGH)) - 1
        step = np.where(np.isnan(self._limit[step, slots]), 1 - step, step)
        live = [self._live(int(k), slots[i : i + 1], time_ns[i : i + 1])[0] for i, k in enumerate(step)]
        count = np.array([mask.sum() for mask in live], np.float64)
        needed = self._needed(slots).astype(np.float64)
        reasons = tuple(
            self._reason(slot, int(k), mask, raised=bool(up))
            for slot, k, mask, up in zip(slots.tolist(), step, live, after > before, strict=True)
        )
        judged: tuple[Float64, Float64, Float32] = (count, needed, (count / needed).astype(np.float32))
        return self._bank.report(batch, at, slots, after, judged=judged, reason=reasons)

    def _reason(self, slot: int, step: int, live: Mask, *, raised: bool) -> Reason:
        rule = self._rules[slot]
        limit = amount(rule.channel, float(self._limit[step, slot]))
        count, size = int(live.sum()), len(rule.channels)
        en, zh = f"{count} of {size} beyond {limit}", f"{size}个中{count}个越过{limit}"
        if raised:
            en += f" within {self._within_ns[slot] / NS_PER_S:g} s: {self._who(slot, live).en}"
            zh += f"({self._within_ns[slot] / NS_PER_S:g}秒内):{self._who(slot, live).zh}"
        gone = size - int(self._left(np.array([slot]))[0])
        return Reason(en + f"; {gone} without a value", zh + f";{gone}个无数值") if gone else Reason(en, zh)

    def _who(self, slot: int, live: Mask) -> Reason:
        parts = []
        for place in np.flatnonzero(live)[:_NAMED_MAX].tolist():
            channel, value = self._rules[slot].channels[place], float(self._value[slot, place])
            name = named(channel)
            shown = Reason("no value", "无数值") if np.isnan(value) else Reason(*[amount(channel, value)] * 2)
            parts.append(Reason(f"{name.en} {shown.en}", f"{name.zh} {shown.zh}"))
        return listed(parts)

    def _restored(self) -> None:
        # Whatever was under way is looked at in full once; what is calm falls asleep again.
        self._ladder.restored()
        self._awake[:-1] = True


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: More votes are wished than there are members, the members measure in different units, or a set
            point lies beyond what a member can show.
    """
    for rule in rules:
        units = {channel.unit for channel in rule.channels}
        if len(units) > 1:
            problem = f"one set point for members in {', '.join(sorted(units))}; name channels of one unit"
            raise ConfigError(("channels",), problem).under(*rule.path)
        if len(rule.channels) < _options(rule).votes:
            names = ", ".join(channel.id for channel in rule.channels[:_NAMED_MAX])
            problem = f"{_options(rule).votes} votes of {len(rule.channels)} members ({names}) can never be reached"
            raise ConfigError(("options", "votes"), problem).under(*rule.path)
        _check_ranges(rule)
    return Vote(rules)


def _check_ranges(rule: Rule) -> None:
    """Refuse a set point that a member can never reach: its vote would be missing, and nobody would know."""
    for step in ("low", "high"):
        value = getattr(_options(rule), step)
        for channel in rule.channels:
            if value is not None and (value > channel.range_high or value < channel.range_low):
                problem = (
                    f"{value:g} {channel.unit} lies outside the range of {channel.id}, {channel.range_low:g} to "
                    f"{channel.range_high:g} {channel.unit}"
                )
                raise ConfigError(("options", step), problem).under(*rule.path)
