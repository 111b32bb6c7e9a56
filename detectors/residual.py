"""A machine or a room that is not as it was when all was well: the channels of a group, each beside its own quiet time.

What is normal is learned once, from GOOD readings outside alarms, and frozen: a slow leak is never learned, however
long it lasts. A warning is raised when any channel strays `warn_at` times as far as it ever did while learned, and it
names those that did. It is one warning an event: it is over when the channels that raised it have come back by most of
their way, though others (a temperature) may take hours to follow; those must stray twice as far to warn again, or come
back first.

Channels may report at any time and period. A channel that is BAD is left out, but one that has helped to raise a
warning must be seen to have come back before that is over. Channels not yet learned are left out too.

    >>> from gateway.core.model import Batch, Level
    >>> flow, vibration = (
    ...     Channel(row, f"pump.{name}", "pump", name, unit, decimals=1, label=name.title())
    ...     for row, (name, unit) in enumerate((("flow", "L/min"), ("vibration", "g")))
    ... )
    >>> rule = Rule(0, "pump", "residual", (flow, vibration), Options(learn_s=60.0, smooth_s=2.0), group=True)
    >>> detector = create([rule])
    >>> for second in range(100):
    ...     low = 6.0 if second in range(80, 90) else 0.0
    ...     verdicts = detector.update(Batch.of([0, 1], second * 10**9, [32.0 + second % 2 - low, 0.1]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(second, Level(level).name, reason.en)
    82 WARNING Flow -4.7 L/min from its usual 32.5 (usual ±0.2)
    97 NORMAL back to usual: Flow 32.5 L/min (usual 32.5 ±0.2)

References:
    J. E. Jackson, G. S. Mudholkar, Control procedures for residuals associated with principal component analysis,
    Technometrics 21 (1979): residuals of several channels against a model of calm running. Here each channel is its
    own model: whitening by principal components brought nothing on the recordings of the next reference.
    I. D. Katser, V. O. Kozitsin, Skoltech Anomaly Benchmark, 2020.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from detectors.parts.bank import NORMAL, WARNING, Mask, Slots, Switch, is_bad, margin, time_column
from detectors.parts.groups import Round, amount, joined, member_figures, named
from detectors.parts.quiet import READINGS_MIN, At, QuietJudge
from gateway.core.errors import ConfigError
from gateway.core.model import NO_VERDICTS, Batch, Channel, Float64, Judged, Level, Reason, Rule, UInt8, Verdicts
from gateway.core.plugin import Binding, Detector, PluginOptions

BINDING: Final = Binding.GROUP
LEVELS: Final = (Level.WARNING,)
JUDGED: Final = Judged("×", "beyond its usual band", "超出平时波动")

COMES_BACK_SMOOTHED: Final = 2.0
"""Coming back is judged on values smoothed for so many times longer: an event has quiet moments."""
SUBSIDED: Final = 1.0
"""Ratio below which a channel is as it always was."""
_NAMED_MOST: Final = 3
_LONG: Final = 150


class Options(PluginOptions):
    """How long a group is watched before it is judged, and how far from that is unusual."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"learn_s": 3600.0}, {"learn_s": 1800.0, "smooth_s": 30.0, "warn_at": 4.0}]}
    )

    learn_s: float = Field(
        default=86_400.0,
        gt=0.0,
        le=31_536_000.0,
        description="How long the group is learned, in seconds of good readings outside alarms; then it is frozen. A "
        "day shows day and night; a machine that always runs alike needs less.",
        examples=[3600.0],
    )
    smooth_s: float = Field(
        default=10.0,
        gt=0.0,
        le=86_400.0,
        description="Over how long values are smoothed before they are judged, in seconds.",
        examples=[10.0],
    )
    warn_at: float = Field(
        default=2.75,
        ge=1.2,
        le=100.0,
        description="How far a channel must stray for a warning, as a multiple of the farthest it strayed while it was "
        "learned.",
        examples=[2.75],
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
        description="How long a channel must stray before it is a warning, in seconds.",
        examples=[2.0],
    )
    off_delay_s: float = Field(
        default=5.0,
        ge=0.0,
        le=86_400.0,
        description="How long the channels must have been back before the warning is over, in seconds.",
        examples=[5.0],
    )
    back_share: float = Field(
        default=0.5,
        ge=0.0,
        lt=1.0,
        description="A channel is back when no more than this share of its farthest straying in this event is left, or "
        "it is within its usual band.",
        examples=[0.5],
    )
    joins_s: float = Field(
        default=120.0,
        ge=0.0,
        le=86_400.0,
        description="For how long after a warning further channels count as part of what raised it, in seconds; those "
        "that follow later need not come back for it to be over.",
        examples=[120.0],
    )
    again_at: float = Field(
        default=2.0,
        ge=1.0,
        le=100.0,
        description="A channel that is still off when a warning is over warns again only at this multiple of where it "
        "was then, until it has come back.",
        examples=[2.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


class Residual(QuietJudge):
    """All residual rules of groups of one size; satisfies `Detector` and `Learning`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(
            rules,
            smooth_s=lambda rule: _options(rule).smooth_s,
            learn_s=lambda rule: _options(rule).learn_s,
            wander=lambda rule: _options(rule).wander,
        )
        self._switch = Switch(
            self._bank,
            Level.WARNING,
            time_column(rules, lambda rule: _options(rule).on_delay_s),
            time_column(rules, lambda rule: _options(rule).off_delay_s),
        )
        self.columns |= self._switch.columns()
        self._late_s = member_figures(rules, lambda rule, _: COMES_BACK_SMOOTHED * _options(rule).smooth_s, 1.0)
        self._warn_at = member_figures(rules, lambda rule, _: _options(rule).warn_at, np.inf)
        self._back_share = member_figures(rules, lambda rule, _: _options(rule).back_share, 0.0)
        self._again_at = member_figures(rules, lambda rule, _: _options(rule).again_at, 1.0)
        self._joins_ns = time_column(rules, lambda rule: _options(rule).joins_s)
        float64 = np.float64
        self._late = self.member_column("late", np.nan, float64)
        self._ratio = self.member_column("ratio", 0.0, float64)
        self._late_ratio = self.member_column("late_ratio", 0.0, float64)
        self._peak = self.member_column("peak", 0.0, float64)
        self._left = self.member_column("left", 0.0, float64)
        self._cause = self.member_column("cause", 0, np.bool_)
        self._raised_ns = self.rule_column("raised_ns", 0, np.int64)
        self._keep_fresh()

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        slots, places = self.members.find(batch.row)
        mine = slots < self.members.size
        bad = is_bad(batch.quality) | np.isnan(batch.value)
        at = np.flatnonzero(mine & ~bad)
        ratio, late = np.zeros(len(batch)), np.zeros(len(batch))
        if len(at):
            k = slots[at], places[at]
            ratio[at], late[at] = self._follow(k, batch.time_ns[at], batch.value[at], batch.quality[at])
        if not (ratio[at] > self._warn_at[slots[at], places[at]]).any() and not self._switch.any_awake():
            # Nothing strays and nothing is raised: no order of readings matters.
            k = slots[mine], places[mine]
            self._blind[k] = bad[mine]
            self._ratio[k], self._late_ratio[k] = ratio[mine], late[mine]
            self._left[k] = np.where((ratio[mine] < SUBSIDED) & ~bad[mine], 0.0, self._left[k])
            return NO_VERDICTS
        return joined([self._judge(batch, each, bad, ratio, late) for each in self.members.rounds(batch.row)])

    def _follow(self, k: At, time_ns: NDArray[np.int64], value: Float64, quality: UInt8) -> tuple[Float64, Float64]:
        """Return how far the members stray, in widths, quickly and lately; 0 for those not yet learned."""
        taken = self._quiet.take(k, time_ns, value)
        late = self._late[k]
        late = np.where(np.isnan(late), taken.value, late)
        late += (1.0 - np.exp(-taken.elapsed_s / self._late_s[k])) * (taken.value - late)
        self._late[k] = late
        clean = self._clean(k, quality)
        self._quiet.learn(k, taken, taken.smooth, clean)
        centre, width = self._quiet.centre[k], self._quiet.width[k]
        known = ~np.isnan(width)
        ratio = np.where(known, np.abs(taken.smooth - centre) / width, 0.0)
        self._remember(k, ratio, known, clean)
        return ratio, np.where(known, np.abs(late - centre) / width, 0.0)

    def _remember(self, k: At, ratio: Float64, known: Mask, clean: Mask) -> None:
        self._last[k[0][known]] = ratio[known]
        # What is far out is no part of what is usual, so that its rank stays what it was.
        counted = known & clean & (ratio <= self._warn_at[k])
        self._past.note(k[0][counted], ratio[counted])

    def _judge(self, batch: Batch, each: Round, bad: Mask, ratio: Float64, late: Float64) -> Verdicts:
        at, slots, places = each
        k = slots, places
        self._blind[k] = bad[at]
        seen = ~bad[at]
        at, slots, places = at[seen], slots[seen], places[seen]
        k = slots, places
        self._ratio[k], self._late_ratio[k] = ratio[at], late[at]
        self._left[k] = np.where(ratio[at] < SUBSIDED, 0.0, self._left[k])
        before = self._bank.levels[slots]
        astray = self._astray(slots)
        raised = before != NORMAL
        self._gather(slots, astray, raised, batch.time_ns[at])
        # What strays as an after-effect does not keep a warning up whose causes have come back.
        over, nothing = astray.any(axis=1) & ~raised, np.zeros(len(at), np.bool_)
        after = self._switch.step(slots, batch.time_ns[at], over, self._back(slots), nothing)
        changed = np.flatnonzero(after != before)
        if not len(changed):
            return NO_VERDICTS
        self._turn(slots[changed], after[changed] == WARNING, astray[changed], batch.time_ns[at[changed]])
        return self._report(batch, at[changed], slots[changed], after[changed])

    def _astray(self, slots: Slots) -> Mask:
        """Return bool[n, width]: the members that stray far enough for a warning."""
        limit = np.maximum(self._warn_at[slots], self._left[slots] * self._again_at[slots])
        astray: Mask = (self._ratio[slots] > limit) & ~self._blind[slots]
        return astray

    def _gather(self, slots: Slots, astray: Mask, raised: Mask, time_ns: NDArray[np.int64]) -> None:
        """While a warning is young, take in what else strays; note how far each has strayed."""
        young = raised & (time_ns - self._raised_ns[slots] <= self._joins_ns[slots])
        self._cause[slots] |= astray & young[:, None]
        self._peak[slots] = np.where(raised[:, None], np.maximum(self._peak[slots], self._ratio[slots]), 0.0)

    def _back(self, slots: Slots) -> Mask:
        """Return bool[n]: the rules whose causes have all been seen to come back."""
        enough = np.maximum(SUBSIDED, self._back_share[slots] * self._peak[slots])
        back = (self._late_ratio[slots] < enough) & ~self._blind[slots]
        noted: Mask = self._cause[slots]
        # A warning taken over from the journal has no causes noted: then all must be as usual.
        cause: Mask = np.where(np.any(noted, axis=1, keepdims=True), noted, self.members.there[slots])
        # What has never shown a value could not have raised it.
        cause &= ~np.isnan(self._quiet.smooth[slots])
        found: Mask = np.logical_and((back | ~cause).all(axis=1), cause.any(axis=1))
        return found

    def _turn(self, slots: Slots, up: Mask, astray: Mask, time_ns: NDArray[np.int64]) -> None:
        """Begin or end events."""
        begun, ended = slots[up], slots[~up]
        self._cause[begun] = astray[up]
        self._peak[begun] = self._ratio[begun]
        self._raised_ns[begun] = time_ns[up]
        left = np.where(self._ratio[ended] > SUBSIDED, self._ratio[ended], 0.0)
        self._left[ended] = left

    def _report(self, batch: Batch, at: Slots, slots: Slots, after: NDArray[np.int8]) -> Verdicts:
        ratio = self._ratio[slots]
        worst = np.max(np.where(self._cause[slots] | (after != WARNING)[:, None], ratio, 0.0), axis=1)
        limit = self._warn_at[slots, 0]
        reason = tuple(
            self._reason(int(slot), raised=bool(level == WARNING)) for slot, level in zip(slots, after, strict=True)
        )
        ended = slots[after != WARNING]
        self._cause[ended], self._peak[ended] = False, 0.0
        return self._bank.report(batch, at, slots, after, judged=(worst, limit, margin(worst, limit)), reason=reason)

    def _reason(self, slot: int, *, raised: bool) -> Reason:
        channels = self._rules[slot].channels
        causes = np.flatnonzero(self._cause[slot])
        causes = causes[np.argsort(-self._peak[slot, causes], kind="stable")]
        facts = [
            (channels[j], self._quiet.smooth[slot, j], self._quiet.centre[slot, j], self._quiet.width[slot, j])
            for j in causes.tolist()
        ]
        parts = [_strayed(*fact) if raised else _returned(*fact) for fact in facts]
        told = told_briefly(parts)
        if raised:
            return told
        return Reason(f"back to usual: {told.en}", f"恢复如常：{told.zh}") if parts else _ALL_USUAL

    def _restored(self) -> None:
        self._switch.restored()


_ALL_USUAL: Final = Reason("all channels as usual", "各通道均如平时")


def _strayed(channel: Channel, value: float, centre: float, width: float) -> Reason:
    name, off = named(channel), amount(channel, value - centre, signed=True, change=True)
    usual, band = f"{centre:.{channel.decimals}f}", f"{width:.{channel.decimals}f}"
    return Reason(
        f"{name.en} {off} from its usual {usual} (usual ±{band})", f"{name.zh}较平时{usual}偏{off}（平时±{band}）"
    )


def _returned(channel: Channel, value: float, centre: float, width: float) -> Reason:
    name, now = named(channel), amount(channel, value)
    usual, band = f"{centre:.{channel.decimals}f}", f"{width:.{channel.decimals}f}"
    return Reason(f"{name.en} {now} (usual {usual} ±{band})", f"{name.zh} {now}（平时{usual}±{band}）")


def told_briefly(parts: Sequence[Reason]) -> Reason:
    """Return the first few of some facts as one, and how many more there are, short enough for a screen's line."""
    some = list(parts[:1])
    for part in parts[1:_NAMED_MOST]:
        if sum(len(each.en) for each in some) + len(part.en) <= _LONG:
            some.append(part)
    more = len(parts) - len(some)
    en, zh = "; ".join(part.en for part in some), "；".join(part.zh for part in some)
    return Reason(f"{en}; and {more} more", f"{zh}；另有{more}项") if more else Reason(en, zh)


def check_group(rule: Rule, learn_s: float) -> None:
    """Refuse a learning time that holds too few readings. Raises ConfigError."""
    for channel in rule.channels:
        if channel.period_s * READINGS_MIN > learn_s:
            raise ConfigError(
                ("options", "learn_s"),
                f"{learn_s:g} s hold fewer than {READINGS_MIN} readings of {channel.id}, which comes every "
                f"{channel.period_s:g} s",
            ).under(*rule.path)


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A channel is read too seldom to be learned in the time given.
    """
    for rule in rules:
        check_group(rule, _options(rule).learn_s)
    return Residual(rules)
