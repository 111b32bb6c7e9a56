"""A machine or a room that changes over to another state: the moment at which its channels leave where they were.

A reference follows each channel while nothing happens. When any channel leaves it by `warn_at` times as far as it ever
did while it was learned, that is a change: a warning tells it, the group is given `settle_s` to come to its new state,
and from there the next change is told. So a valve that closes, stands and opens is told when it begins to close, when
it has closed, and when it opens. What is normal is no part of this: `residual` tells for how long something is off.

How far a channel usually leaves its reference is learned once from GOOD readings outside alarms and frozen; the
reference follows slowly, so that only what is quicker than `reference_s` is a change. BAD channels are left out.

    >>> from gateway.core.model import Batch, Level
    >>> flow = Channel(0, "pump.flow", "pump", "flow", "L/min", decimals=1, label="Flow")
    >>> rule = Rule(0, "pump", "shift", (flow,), Options(learn_s=60.0, settle_s=10.0), group=True)
    >>> detector = create([rule])
    >>> for second in range(130):
    ...     value = 32.0 + second % 2 - (6.0 if second >= 80 else 0.0)
    ...     verdicts = detector.update(Batch.of([0], second * 10**9, [value]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(second, Level(level).name, reason.en)
    83 WARNING Flow -3.0 L/min from where it stood, 32.2 (usual ±0.5)
    94 NORMAL watched from its new state on

References:
    M. Basseville, I. V. Nikiforov, Detection of Abrupt Changes, Prentice-Hall 1993, chapter 2: a test against a
    reference that is set anew after each change.
    I. D. Katser, V. O. Kozitsin, Skoltech Anomaly Benchmark, 2020.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from detectors.parts.bank import NORMAL, WARNING, Mask, Slots, Switch, is_bad, margin, time_column
from detectors.parts.groups import Round, amount, joined, member_figures, named
from detectors.parts.quiet import At, QuietJudge, Taken
from detectors.residual import check_group, told_briefly
from gateway.core.model import NO_VERDICTS, Batch, Channel, Float64, Judged, Level, Reason, Rule, UInt8, Verdicts
from gateway.core.plugin import Binding, Detector, PluginOptions

BINDING: Final = Binding.GROUP
LEVELS: Final = (Level.WARNING,)
JUDGED: Final = Judged("×", "change beyond its usual one", "变化超出平时")


class Options(PluginOptions):
    """How quick and how large a change must be to be told."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"learn_s": 3600.0}, {"learn_s": 1800.0, "settle_s": 60.0, "warn_at": 3.0}]}
    )

    learn_s: float = Field(
        default=86_400.0,
        gt=0.0,
        le=31_536_000.0,
        description="How long the group is learned, in seconds of good readings outside alarms; then it is frozen.",
        examples=[3600.0],
    )
    smooth_s: float = Field(
        default=5.0,
        gt=0.0,
        le=86_400.0,
        description="Over how long values are smoothed before they are judged, in seconds.",
        examples=[5.0],
    )
    reference_s: float = Field(
        default=120.0,
        gt=0.0,
        le=604_800.0,
        description="How slowly the reference follows, in seconds: changes slower than that are not told.",
        examples=[120.0],
    )
    settle_s: float = Field(
        default=30.0,
        gt=0.0,
        le=86_400.0,
        description="How long the group has to come to its new state after a change, in seconds; nothing is judged "
        "meanwhile.",
        examples=[30.0],
    )
    warn_at: float = Field(
        default=2.0,
        ge=1.0,
        le=100.0,
        description="How far a channel must leave its reference, as a multiple of the farthest it did while learned.",
        examples=[2.0],
    )
    wander: float = Field(
        default=1.0,
        ge=0.0,
        le=100.0,
        description="How much wider the band of a channel becomes that wandered while it was learned, for each "
        "standard deviation that it did; 0 trusts every channel alike.",
        examples=[1.0],
    )
    on_delay_s: float = Field(
        default=2.0,
        ge=0.0,
        le=3600.0,
        description="How long a channel must be away from its reference before it is a change, in seconds.",
        examples=[2.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


class Shift(QuietJudge):
    """All shift rules of groups of one size; satisfies `Detector` and `Learning`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(
            rules,
            smooth_s=lambda rule: _options(rule).smooth_s,
            learn_s=lambda rule: _options(rule).learn_s,
            wander=lambda rule: _options(rule).wander,
            centred=False,
        )
        settle_ns = time_column(rules, lambda rule: _options(rule).settle_s)
        on_delay_ns = time_column(rules, lambda rule: _options(rule).on_delay_s)
        self._switch = Switch(self._bank, Level.WARNING, on_delay_ns, settle_ns)
        self.columns |= self._switch.columns()
        self._reference_s = member_figures(rules, lambda rule, _: _options(rule).reference_s, 1.0)
        self._settle_s = member_figures(rules, lambda rule, _: _options(rule).settle_s, 1.0)
        self._warn_at = member_figures(rules, lambda rule, _: _options(rule).warn_at, np.inf)
        self._reference = self.member_column("reference", np.nan, np.float64)
        self._since_s = self.member_column("since_s", np.inf, np.float64)
        self._away = self.member_column("away", 0.0, np.float64)
        self._keep_fresh()

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        slots, places = self.members.find(batch.row)
        mine = slots < self.members.size
        bad = is_bad(batch.quality) | np.isnan(batch.value)
        at = np.flatnonzero(mine & ~bad)
        k = slots[at], places[at]
        taken = self._quiet.take(k, batch.time_ns[at], batch.value[at])
        if not self._switch.any_awake() and not (self._distance(k, taken) > self._warn_at[k]).any():
            # Nothing leaves its reference and no change goes on: no order of readings matters.
            self._blind[slots[mine], places[mine]] = bad[mine]
            self._follow(k, taken, batch.quality[at])
            return NO_VERDICTS
        whole = Taken(*(np.zeros(len(batch)) for _ in taken))
        for column, values in zip(whole, taken, strict=True):
            column[at] = values
        return joined([self._judge(batch, each, bad, whole) for each in self.members.rounds(batch.row)])

    def _judge(self, batch: Batch, each: Round, bad: Mask, whole: Taken) -> Verdicts:
        at, slots, places = each
        self._blind[slots, places] = bad[at]
        seen = ~bad[at]
        at, slots, places = at[seen], slots[seen], places[seen]
        if not len(at):
            return NO_VERDICTS
        time_ns = batch.time_ns[at]
        self._follow((slots, places), Taken(*(column[at] for column in whole)), batch.quality[at])
        away = (self._away[slots] > self._warn_at[slots]) & ~self._blind[slots]
        before = self._bank.levels[slots]
        over = away.any(axis=1)
        # A change is over when the group has had its time to settle, wherever it has come to.
        after = self._switch.step(slots, time_ns, over & (before == NORMAL), before == WARNING, np.zeros_like(over))
        changed = np.flatnonzero(after != before)
        if not len(changed):
            return NO_VERDICTS
        return self._report(batch, at[changed], slots[changed], after[changed])

    def _distance(self, k: At, taken: Taken) -> Float64:
        """Return how far members have left their references, in widths; 0 for those not yet learned, and settling."""
        reference, width = self._reference[k], self._quiet.width[k]
        known = ~np.isnan(width) & ~np.isnan(reference) & (self._since_s[k] >= self._settle_s[k])
        return np.where(known, np.abs(taken.smooth - reference) / width, 0.0)

    def _follow(self, k: At, taken: Taken, quality: UInt8) -> None:
        """Note how far the members are from their references, and let these follow."""
        before, since_s = self._reference[k], self._since_s[k]
        before = np.where(np.isnan(before), taken.smooth, before)
        clean = self._clean(k, quality)
        self._quiet.learn(k, taken, taken.smooth - before, clean)
        settling = since_s < self._settle_s[k]
        known = self._quiet.knows(k)
        away = self._distance(k, taken)
        self._away[k] = away
        # While it settles: at first wherever it goes, then the mean of where it has been; afterwards slowly, and not at
        # all while it is away.
        spent = since_s + taken.elapsed_s
        stood = spent - self._settle_s[k] / 2
        share = np.divide(taken.elapsed_s, stood, out=np.ones_like(spent), where=stood > taken.elapsed_s)
        slow = np.where(away <= self._warn_at[k], 1.0 - np.exp(-taken.elapsed_s / self._reference_s[k]), 0.0)
        self._reference[k] = before + np.where(settling, share, slow) * (taken.smooth - before)
        self._since_s[k] = spent
        self._last[k[0][known]] = away[known]
        counted = known & clean & ~settling & (away <= self._warn_at[k])
        self._past.note(k[0][counted], away[counted])

    def _report(self, batch: Batch, at: Slots, slots: Slots, after: NDArray[np.int8]) -> Verdicts:
        worst, limit = self._away[slots].max(axis=1), self._warn_at[slots, 0]
        reason = tuple(self._reason(int(slot)) if level == WARNING else _SETTLED
                       for slot, level in zip(slots, after, strict=True))  # fmt: skip
        begun = slots[after == WARNING]
        self._since_s[begun], self._away[begun] = 0.0, 0.0
        return self._bank.report(batch, at, slots, after, judged=(worst, limit, margin(worst, limit)), reason=reason)

    def _reason(self, slot: int) -> Reason:
        away = self._away[slot]
        gone = np.flatnonzero((away > self._warn_at[slot]) & ~self._blind[slot])
        gone = gone[np.argsort(-away[gone], kind="stable")]
        quiet, channels = self._quiet, self._rules[slot].channels
        return told_briefly(
            [
                _left(channels[j], quiet.smooth[slot, j], self._reference[slot, j], quiet.width[slot, j])
                for j in gone.tolist()
            ]
        )

    def _restored(self) -> None:
        self._switch.restored()


_SETTLED: Final = Reason("watched from its new state on", "自新状态起继续监视")


def _left(channel: Channel, value: float, reference: float, width: float) -> Reason:
    name, off = named(channel), amount(channel, value - reference, signed=True, change=True)
    stood, usual = f"{reference:.{channel.decimals}f}", f"{width:.{channel.decimals}f}"
    return Reason(
        f"{name.en} {off} from where it stood, {stood} (usual ±{usual})",
        f"{name.zh}较原先{stood}变化{off}（平时±{usual}）",
    )


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A channel is read too seldom to be learned in the time given.
    """
    for rule in rules:
        check_group(rule, _options(rule).learn_s)
    return Shift(rules)
