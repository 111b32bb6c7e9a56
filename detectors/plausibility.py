"""Readings that cannot be true together: each of them believable, all of them not.

An engineer says what cannot be: temperature below the dew point, oxygen above that of air while carbon monoxide rises,
a cold room with a hot duct. A check is a list of conditions on the members of a group; while all of them hold, for
`delay_s`, something is wrong with one of the instruments, and nobody can say which one. A condition looks at the
newest reading of a member that is not older than the channel allows; of several members of a quantity, at any of them.
A member without a value neither raises nor clears.

    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channels = tuple(Channel(k, f"a.{x}", "a", x, "°C") for k, x in enumerate(["temperature", "dew_point"]))
    >>> when = [{"of": "temperature", "below_of": "dew_point", "by": 1.0}]
    >>> check = {"says": "colder than its dew point", "when": when}
    >>> options = Options.model_validate({"checks": [check], "delay_s": 10})
    >>> detector = create([Rule(0, "dew", "plausibility", channels, options, group=True)])
    >>> for second, values in enumerate([(20.0, 8.0), (6.0, 8.0), (6.0, 8.1), (9.0, 8.1)]):
    ...     verdicts = detector.update(Batch.of([0, 1], second * 10_000_000_000, values))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(second, Level(level).name, reason.en)
    2 FAULT colder than its dew point: a.temperature 6.00 °C and a.dew_point 8.00 °C
    3 NORMAL plausible again

References:
    A. B. Sharma, L. Golubchik, R. Govindan, Sensor Faults: Detection Methods and Prevalence in Real-World Datasets, ACM
    TOSN 6(3), 2010: rules from knowledge of the field.
    WMO-No. 8, Guide to Instruments and Methods of Observation: checks of internal consistency.
"""

from collections.abc import Sequence
from typing import Final, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from detectors.parts.bank import FAULT, IDLE, NORMAL, Slots, nanoseconds
from detectors.parts.groups import GroupJudge, amount, joined, listed, named
from detectors.parts.habits import FIT
from gateway.core.errors import ConfigError
from gateway.core.model import (
    NO_VERDICTS,
    Batch,
    Channel,
    Float64,
    Int64,
    Judged,
    Level,
    Quality,
    Reason,
    Rule,
    Verdicts,
)
from gateway.core.plugin import Binding, Detector, PluginOptions

BINDING: Final = Binding.GROUP
LEVELS: Final = (Level.FAULT,)
JUDGED: Final = Judged("", "check", "校核")

CHECKS_MAX: Final = 8

_NOTHING: Final = -1
"""No check holds."""
_UNKNOWN: Final = -2
"""A check cannot be judged, or has not held for long enough."""
_NAMED_MAX: Final = 3
_REASON_MAX: Final = 200


class Condition(PluginOptions):
    """One condition on one quantity, or on one channel."""

    of: str = Field(
        min_length=1, description="A quantity of the group's channels, or the id of one of them.", examples=["o2"]
    )
    above: float | None = Field(default=None, description="Holds above this, in the channel's unit.", examples=[21.5])
    below: float | None = Field(default=None, description="Holds below this, in the channel's unit.", examples=[15.0])
    above_of: str | None = Field(
        default=None,
        description="Holds above the value of this quantity or channel, by more than `by`.",
        examples=["temperature"],
    )
    below_of: str | None = Field(
        default=None,
        description="Holds below the value of this quantity or channel, by more than `by`.",
        examples=["dew_point"],
    )
    by: float = Field(
        default=0.0, ge=0.0, description="How far above or below the other one, in the channel's unit.", examples=[1.0]
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if all(limit is None for limit in (self.above, self.below, self.above_of, self.below_of)):
            raise ValueError("one of above, below, above_of and below_of must be given")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """What it looks at."""
        return tuple(name for name in (self.of, self.above_of, self.below_of) if name is not None)

    def holds(self, value: float, others: dict[str, list[float]]) -> bool:
        """Return whether it holds for a value, given the values of the other names."""
        return (
            (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and (self.above_of is None or any(value > other + self.by for other in others[self.above_of]))
            and (self.below_of is None or any(value < other - self.by for other in others[self.below_of]))
        )


class Check(PluginOptions):
    """What cannot be true together."""

    says: str = Field(
        min_length=1,
        max_length=80,
        description="What is wrong then, in English.",
        examples=["colder than its dew point"],
    )
    says_zh: str = Field(default="", max_length=80, description="The same in Chinese.", examples=["温度低于露点"])
    when: tuple[Condition, ...] = Field(
        min_length=1,
        max_length=8,
        description="The conditions that are not plausible while all of them hold.",
        examples=[[{"of": "temperature", "below_of": "dew_point", "by": 1.0}]],
    )


class Options(PluginOptions):
    """What cannot be, and for how long it must seem so."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "checks": [
                        {
                            "says": "hot without smoke or carbon monoxide",
                            "says_zh": "高温而无烟无一氧化碳",
                            "when": [{"of": "temperature", "above": 60.0}, {"of": "co", "below": 20.0}],
                        }
                    ],
                    "delay_s": 2.0,
                },
                {
                    "checks": [
                        {
                            "says": "carbon monoxide without warmth",
                            "says_zh": "有一氧化碳而无升温",
                            "when": [{"of": "co", "above_of": "temperature", "by": 40.0}],
                        }
                    ]
                },
            ]
        }
    )

    checks: tuple[Check, ...] = Field(
        min_length=1,
        max_length=CHECKS_MAX,
        description="What cannot be true together; the first one that holds is told.",
        examples=[
            [{"says": "colder than its dew point", "when": [{"of": "temperature", "below_of": "dew_point", "by": 1.0}]}]
        ],
    )
    delay_s: float = Field(
        default=60.0,
        ge=0.0,
        le=86_400.0,
        description="How long a check must hold before it is told, in seconds.",
        examples=[60.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def places(rule: Rule, name: str) -> list[int]:
    """Return which of a rule's channels a name means: those of that quantity, or the one of that id."""
    return [k for k, channel in enumerate(rule.channels) if name in (channel.quantity, channel.id)]


class Plausibility(GroupJudge):
    """All rules of this type; satisfies `Detector`. It thinks of one rule at a time, as the checks of all differ."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self._rules = rules
        self._where = [
            {name: places(rule, name) for check in _options(rule).checks for one in check.when for name in one.names}
            for rule in rules
        ]
        self._value: Float64 = self.member_column("value", np.nan, np.float64)
        self._time_ns: Int64 = self.member_column("time_ns", 0, np.int64)
        self._since_ns: Int64 = np.full((len(rules) + 1, CHECKS_MAX), IDLE, np.int64)
        self.columns["since_ns"] = self._since_ns

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        parts: list[Verdicts] = []
        for at, slots, members in self.members.rounds(batch.row):
            telling = FIT[batch.quality[at]]
            self._value[slots, members] = np.where(telling, batch.value[at], np.nan)
            self._time_ns[slots, members] = batch.time_ns[at]
            # A reading that tells nothing takes its value away, and is no occasion to judge.
            parts.append(self._judge(batch, at[telling], slots[telling]))
        return joined(parts)

    def _judge(self, batch: Batch, at: Slots, slots: Slots) -> Verdicts:
        found = [self._check(int(slot), int(now)) for slot, now in zip(slots, batch.time_ns[at], strict=True)]
        before = self._bank.levels[slots]
        after = np.array(
            [
                FAULT if one >= 0 else NORMAL if one == _NOTHING else level
                for one, level in zip(found, before, strict=True)
            ],
            np.int8,
        )
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        reason = tuple(self._reason(int(slots[k]), found[k]) for k in changed)
        at, slots, after = at[changed], slots[changed], after[changed]
        quality = np.where(after == FAULT, np.uint8(Quality.SENSOR_FAULT), batch.quality[at])
        which = np.array([found[k] + 1.0 if found[k] >= 0 else np.nan for k in changed])
        nothing = np.full(len(at), np.nan)
        judged = (which, nothing, nothing.astype(np.float32))
        return self._bank.report(batch, at, slots, after, judged=judged, quality=quality, reason=reason)

    def _check(self, slot: int, now_ns: int) -> int:
        """Return the first check that has held for long enough, that none holds, or that nobody can tell."""
        rule = self._rules[slot]
        options, delay_ns = _options(rule), nanoseconds(_options(rule).delay_s)
        known = {name: self._known(slot, name, now_ns) for name in self._where[slot]}
        found = _NOTHING
        for k, check in enumerate(options.checks):
            if not all(known[name] for one in check.when for name in one.names):
                found = _UNKNOWN if found == _NOTHING else found
                continue
            holds = all(any(one.holds(value, known) for value in known[one.of]) for one in check.when)
            since = min(int(self._since_ns[slot, k]), now_ns) if holds else int(IDLE)
            self._since_ns[slot, k] = since
            if holds and now_ns - since >= delay_ns and found < 0:
                found = k
            elif holds and found == _NOTHING:
                found = _UNKNOWN
        return found

    def _known(self, slot: int, name: str, now_ns: int) -> list[float]:
        rule = self._rules[slot]
        return [
            float(self._value[slot, k])
            for k in self._where[slot][name]
            if self._value[slot, k] == self._value[slot, k]
            and abs(now_ns - int(self._time_ns[slot, k])) <= nanoseconds(_stale_s(rule.channels[k]))
        ]

    def _reason(self, slot: int, found: int) -> Reason:
        if found < 0:
            return Reason("plausible again", "恢复合理")
        rule = self._rules[slot]
        check = _options(rule).checks[found]
        seen = sorted({k for one in check.when for name in one.names for k in places(rule, name)})
        parts = [
            Reason(
                *(f"{name} {amount(rule.channels[k], float(self._value[slot, k]))}" for name in named(rule.channels[k]))
            )
            for k in seen[:_NAMED_MAX]
        ]
        shown = listed(parts)
        return Reason(
            f"{check.says}: {shown.en}"[:_REASON_MAX], f"{check.says_zh or '读数相互矛盾'}：{shown.zh}"[:_REASON_MAX]
        )


def _stale_s(channel: Channel) -> float:
    return max(channel.stale_after_s, 3.0 * channel.period_s)


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A check names what no channel of the group is.
    """
    for rule in rules:
        for i, check in enumerate(_options(rule).checks):
            for j, condition in enumerate(check.when):
                for name in condition.names:
                    if not places(rule, name):
                        there = ", ".join(dict.fromkeys(channel.quantity for channel in rule.channels))
                        raise ConfigError(
                            ("options", "checks", i, "when", j),
                            f"no channel of the group is or measures {name!r}; there are {there}",
                        ).under(*rule.path)
    return Plausibility(rules)
