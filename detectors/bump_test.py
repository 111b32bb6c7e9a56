"""Test gas and what the instrument made of it: span loss, a slow response, a zero that has drifted.

Nothing on the bus shows that a catalytic head is poisoned: it reads 0 %LEL in clean air and in gas. Only gas shows it.
While gas is applied, the instrument marks its readings as TEST (or MAINTENANCE, where `marks` says so), and this rule
looks at them: the highest reading beside the one expected is the gain, and from where the reading has left its zero to
where it reaches nine tenths of its own end is the response time. Afterwards, when the gas has gone, the zero is
looked at.

A fault found by a test ends with the next test that is passed, and not by itself. Where gas is not expected with each
mark (a technician may only wipe the head), a mark without any response is no test, unless `silent` says that it is a
failure. Readings of quality CALIBRATION have no value and tell nothing.

    >>> from gateway.core.model import Batch, Channel, Level, Quality, Rule
    >>> channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", "%LEL", 0.0, 100.0, decimals=0)
    >>> rule = Rule(0, "bump", "bump_test", (channel,), Options(gas=50))
    >>> detector = create([rule])
    >>> for second in range(0, 300, 5):
    ...     testing = 20 <= second < 120
    ...     quality = Quality.TEST if testing else Quality.GOOD
    ...     value = min(31.0, 2.0 * (second - 20)) if testing else 0.0
    ...     verdicts = detector.update(Batch.of([0], second * 1_000_000_000, [value], quality))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(second, Level(level).name, reason.en)
    120 FAULT bump test: gain 62 % of the 50 %LEL expected

References:
    IEC 60079-29-1: t90 of at most 60 s, deviation of the indication.
    IEC 60079-29-2: inspection and response checks with gas.
    ISEA statement on the validation of operation for direct reading portable gas monitors: adjust beyond 10 %.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from pydantic import ConfigDict, Field

from detectors.parts.bank import (
    FAULT,
    IDLE,
    NORMAL,
    Judge,
    Mask,
    Share,
    Slots,
    durations,
    figures,
    nanoseconds,
    shared,
)
from detectors.parts.groups import amount
from gateway.core.errors import ConfigError
from gateway.core.model import (
    NO_VERDICTS,
    Batch,
    Float64,
    Int8,
    Int64,
    Level,
    Quality,
    Reason,
    Rule,
    Verdicts,
)
from gateway.core.plugin import Detector, PluginOptions

LEVELS: Final = (Level.FAULT,)

_MARKS: Final = Quality.TEST, Quality.MAINTENANCE
_STARTED: Final = 0.1
"""The part of the expected response from which the instrument is seen to respond."""
_T90: Final = 0.9

_NONE, _SPAN, _SLOW, _ZERO, _DUMB = (np.int8(k) for k in range(5))
"""What is wrong."""


class Options(PluginOptions):
    """What is applied, and what is expected of the instrument."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"gas": 50.0},
                {"gas": 50.0, "tolerance": 0.1, "zero": 3.0, "marks": "both", "silent": "failure"},
            ]
        }
    )

    gas: float = Field(
        gt=0.0,
        description="What the instrument should show above its zero when the test gas is applied, in the channel's "
        "unit.",
        examples=[50.0],
    )
    tolerance: float = Field(
        default=0.2,
        gt=0.0,
        lt=1.0,
        description="What part of the expected response may be missing, without a unit.",
        examples=[0.2],
    )
    t90_s: float = Field(
        default=60.0,
        gt=0.0,
        le=3600.0,
        description="Longest time from the first tenth to nine tenths of the response, in seconds; readings must come "
        "often enough to tell.",
        examples=[60.0],
    )
    zero: float | None = Field(
        default=None,
        gt=0.0,
        description="How far from the zero before the test the reading may settle after it, in the channel's unit; a "
        "tenth of `gas` by default.",
        examples=[3.0],
    )
    zero_after_s: float = Field(
        default=600.0,
        gt=0.0,
        le=86_400.0,
        description="How long after the test the zero is looked at, in seconds: the gas must have gone.",
        examples=[600.0],
    )
    marks: Literal["test", "maintenance", "both"] = Field(
        default="test",
        description="The qualities that mark an application of gas: `test`, `maintenance` or `both`.",
        examples=["test"],
    )
    silent: Literal["ignore", "failure"] = Field(
        default="ignore",
        description="What a mark without any response is: no test at all, or a test that failed.",
        examples=["failure"],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def _zero(rule: Rule) -> float:
    options = _options(rule)
    return options.gas / 10.0 if options.zero is None else options.zero


class BumpTest(Judge):
    """All rules of this type at once; satisfies `Detector`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        size = self._bank.size
        self._channels = tuple(rule.channel for rule in rules)
        self._gas = figures(rules, lambda rule: _options(rule).gas, spare=np.inf)
        self._least = shared(self._gas * (1.0 - figures(rules, lambda rule: _options(rule).tolerance, spare=0.0)))
        self._t90_ns = durations(rules, lambda rule: _options(rule).t90_s)
        self._zero_max = figures(rules, _zero, spare=np.inf)
        self._zero_after_ns = durations(rules, lambda rule: _options(rule).zero_after_s)
        self._by_test = figures(rules, lambda rule: _options(rule).marks != "maintenance", spare=0.0) == 1.0
        self._by_work = figures(rules, lambda rule: _options(rule).marks != "test", spare=0.0) == 1.0
        self._silent = figures(rules, lambda rule: _options(rule).silent == "failure", spare=0.0) == 1.0
        self._testing: Mask = np.zeros(size + 1, np.bool_)
        self._base: Float64 = np.zeros(size + 1)
        self._last: Float64 = np.full(size + 1, np.nan)
        self._top: Float64 = np.zeros(size + 1)
        self._mark: Float64 = np.zeros(size + 1)
        self._began_ns: Int64 = np.full(size + 1, IDLE, np.int64)
        self._rise_ns: Int64 = np.zeros(size + 1, np.int64)
        self._ended_ns: Int64 = np.full(size + 1, IDLE, np.int64)
        self._wrong: Int8 = np.zeros(size + 1, np.int8)
        self.columns |= {
            "testing": self._testing,
            "base": self._base,
            "last": self._last,
            "top": self._top,
            "mark": self._mark,
            "began_ns": self._began_ns,
            "rise_ns": self._rise_ns,
            "ended_ns": self._ended_ns,
            "wrong": self._wrong,
        }
        self._open = False

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        share = self._bank.share(batch)
        if not self._open and not any(mark in share.marks for mark in _MARKS) and isinstance(share.slots, slice):
            np.copyto(self._last[share.slots], share.value, where=True if (good := share.good()) is None else good)
            return NO_VERDICTS
        share = share.with_value()
        slots = share.slots
        marked = self._marked(share) if share.worst else None
        verdicts = NO_VERDICTS
        if self._open or marked is not None:
            found = self._testing[slots] | (self._ended_ns[slots] != IDLE)
            if marked is not None:
                found |= marked
            awake = np.flatnonzero(found)
            if len(awake):
                verdicts = self._follow(batch, share, awake, marked)
        calm = share if marked is None else share.only(~marked)
        self._last[calm.slots] = calm.value
        return verdicts

    def _marked(self, share: Share) -> Mask | None:
        """Return which readings are marked as taken in gas; None where none is."""
        test = (share.quality == Quality.TEST) & self._by_test[share.slots]
        marked: Mask = test | ((share.quality == Quality.MAINTENANCE) & self._by_work[share.slots])
        return marked if np.count_nonzero(marked) else None

    def _follow(self, batch: Batch, share: Share, awake: Slots, marked: Mask | None) -> Verdicts:
        at, slots = share.pick(awake)
        value, time_ns = share.value[awake], share.time_ns[awake]
        gas = np.zeros(len(awake), np.bool_) if marked is None else marked[awake]
        begins = gas & ~self._testing[slots]
        ends = ~gas & self._testing[slots] & (share.quality[awake] == Quality.GOOD)
        self._begin(slots[begins], value[begins])
        self._apply(slots[gas], value[gas], time_ns[gas])
        told = self._end(slots[ends], time_ns[ends])
        zero = ~gas & ~ends & (time_ns - self._ended_ns[slots] >= self._zero_after_ns[slots])
        self._look_at_zero(slots[zero], value[zero])
        self._open = bool((self._testing | (self._ended_ns != IDLE)).any())
        judged = np.zeros(len(awake), np.bool_)
        judged[np.flatnonzero(ends)[told]] = True
        judged |= zero
        return self._report(batch, at[judged], slots[judged])

    def _begin(self, slots: Slots, value: Float64) -> None:
        self._testing[slots] = True
        # What the instrument showed before is its zero; where nothing is known, its first reading in the test is.
        last = self._last[slots]
        self._base[slots] = np.where(np.isnan(last), value, last)
        self._top[slots] = self._mark[slots] = 0.0
        self._rise_ns[slots] = 0
        self._began_ns[slots] = self._ended_ns[slots] = IDLE

    def _apply(self, slots: Slots, value: Float64, time_ns: Int64) -> None:
        """Follow the response: when it began, how far it has come, and when it was nine tenths there."""
        with np.errstate(over="ignore"):
            response = value - self._base[slots]
        seen = response >= _STARTED * self._gas[slots]
        began = np.where(seen, np.minimum(self._began_ns[slots], time_ns), self._began_ns[slots])
        self._began_ns[slots] = began
        # Nine tenths of an end that is not known yet: each mark lies more than a tenth beyond the one before, so that
        # the last one is at least nine tenths of whatever the end will have been.
        further = seen & (response * _T90 > self._mark[slots])
        self._mark[slots] = np.where(further, response, self._mark[slots])
        self._rise_ns[slots] = np.where(further, time_ns - began, self._rise_ns[slots])
        self._top[slots] = np.maximum(self._top[slots], response)

    def _end(self, slots: Slots, time_ns: Int64) -> Slots:
        """Judge tests that are over, and return which of them were tests."""
        self._testing[slots] = False
        top = self._top[slots]
        dumb = self._began_ns[slots] == IDLE
        wrong = np.where(self._rise_ns[slots] > self._t90_ns[slots], _SLOW, _NONE)
        wrong = np.where(top < self._least[slots], _SPAN, wrong)
        wrong = np.where(dumb, _DUMB, wrong)
        told = ~dumb | self._silent[slots]
        slots = slots[told]
        self._wrong[slots] = wrong[told]
        self._ended_ns[slots] = time_ns[told]
        found: Slots = np.flatnonzero(told)
        return found

    def _look_at_zero(self, slots: Slots, value: Float64) -> None:
        self._ended_ns[slots] = IDLE
        with np.errstate(over="ignore"):
            off = np.abs(value - self._base[slots]) > self._zero_max[slots]
        drifted = slots[off & (self._wrong[slots] == _NONE)]
        self._wrong[drifted] = _ZERO

    def _report(self, batch: Batch, at: Slots, slots: Slots) -> Verdicts:
        after = np.where(self._wrong[slots] == _NONE, NORMAL, FAULT)
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        at, slots, after = at[changed], slots[changed], after[changed]
        reason = tuple(
            self._reason(int(slot), float(value)) for slot, value in zip(slots, batch.value[at], strict=True)
        )
        found = np.where(after == FAULT, np.uint8(Quality.SENSOR_FAULT), batch.quality[at])
        zero = self._wrong[slots] == _ZERO
        value = np.where(zero, batch.value[at], self._top[slots])
        limit = np.where(zero, self._zero_max[slots], self._least[slots])
        with np.errstate(over="ignore"):
            score = (self._top[slots] / self._gas[slots]).astype(np.float32)
        return self._bank.report(batch, at, slots, after, judged=(value, limit, score), quality=found, reason=reason)

    def _reason(self, slot: int, value: float) -> Reason:
        channel = self._channels[slot]
        gain, gas = 100.0 * float(self._top[slot]) / float(self._gas[slot]), amount(channel, float(self._gas[slot]))
        wrong = self._wrong[slot]
        if wrong == _DUMB:
            return Reason(f"bump test: no response to {gas}", f"功能测试：对 {gas} 无响应")
        if wrong == _SPAN:
            return Reason(
                f"bump test: gain {gain:.0f} % of the {gas} expected", f"功能测试：响应仅为应有 {gas} 的 {gain:.0f} %"
            )
        if wrong == _SLOW:
            took, most = self._rise_ns[slot] / nanoseconds(1.0), self._t90_ns[slot] / nanoseconds(1.0)
            return Reason(
                f"bump test: t90 {took:.0f} s, at most {most:.0f} s allowed",
                f"功能测试：t90 为 {took:.0f} 秒，允许至多 {most:.0f} 秒",
            )
        if wrong == _ZERO:
            zero = amount(channel, value - float(self._base[slot]), signed=True, change=True)
            return Reason(f"zero has drifted by {zero} over the bump test", f"功能测试前后零点漂移 {zero}")
        return Reason(f"bump test passed: gain {gain:.0f} % of {gas}", f"功能测试合格：响应为 {gas} 的 {gain:.0f} %")

    def _restored(self) -> None:
        self._open = bool((self._testing | (self._ended_ns != IDLE)).any())


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: The test gas lies beyond the instrument's range.
    """
    for rule in rules:
        channel, gas = rule.channel, _options(rule).gas
        if channel.range_low + gas > channel.range_high:
            problem = f"{gas:g} {channel.unit} of gas lie beyond the {channel.range_high:g} that {channel.id} can show"
            raise ConfigError(("options", "gas"), problem).under(*rule.path)
    return BumpTest(rules)
