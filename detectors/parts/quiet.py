"""What the channels of a group do while all is quiet: the centre and the width of each, learned once and then frozen.

Each channel is smoothed over some seconds, and learned for a time that counts only its GOOD readings while nothing is
in alarm. The width is the farthest that the smoothed value has strayed. A channel whose level wandered meanwhile (a
temperature that creeps while pressures stand) will wander on, so its band is the wider for it; otherwise such channels
would give all the false warnings. A single wild reading is no reading to learn a width from: while learning, none
counts for more than ten times the usual step.

    >>> from detectors.parts.groups import GroupJudge
    >>> from gateway.core.model import Channel, Rule
    >>> from gateway.core.plugin import PluginOptions
    >>> channel = Channel(0, "pump.flow", "pump", "flow", "L/min", decimals=1)
    >>> rules = [Rule(0, "r", "x", (channel,), PluginOptions())]
    >>> quiet = Quiet(GroupJudge(rules), rules, smooth_s=lambda rule: 5.0, learn_s=lambda rule: 80.0)
    >>> k, clean = (np.array([0]), np.array([0])), np.array([True])
    >>> for second in range(100):
    ...     taken = quiet.take(k, np.array([second * 10**9]), np.array([32.0 + second % 2]))
    ...     quiet.learn(k, taken, taken.smooth, clean)
    >>> quiet.centre[0].round(1).tolist(), quiet.width[0].round(1).tolist()
    ([32.5], [0.1])

References:
    I. D. Katser, V. O. Kozitsin, Skoltech Anomaly Benchmark, 2020: recordings of a pump's loop, on which the widening
    for channels that wander was found to halve the false alarms.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from detectors.parts.bank import Mask, Slots
from detectors.parts.groups import GroupJudge, member_figures
from detectors.parts.past import Past
from gateway.core.clock import NS_PER_S
from gateway.core.model import Channel, Float64, Int64, Rule, UInt8

QUARTERS: Final = 4
READINGS_MIN: Final = 40
"""Fewer readings say nothing of how far a channel strays."""
WANDER_FREE: Final = 0.8
"""Ranges of the quarters' means that noise alone makes, in standard deviations."""
STEP_MOST: Final = 10.0
"""The most that a reading counts for while learning, in usual steps."""
FAR_MOST: Final = 1000.0
"""The farthest that a reading counts for when judged, in widths: smoothing must not take for ever to forget it."""
HUGE: Final = 1e15
_NEVER: Final = np.int64(-(1 << 62))
_GOOD_TO_LEARN: Final = 64

At = tuple[Slots, Slots]
"""Slots and places of members."""


class Taken(NamedTuple):
    """What has become of readings.

    Attributes:
        elapsed_s: float64[n], the time that each stands for; 0 for a channel's first.
        value: float64[n], without what no channel can show.
        smooth: float64[n], smoothed with those before.
    """

    elapsed_s: Float64
    value: Float64
    smooth: Float64


class Quiet:
    """Smoothing and learning of all members; its columns are saved with the judge's.

    Args:
        judge: The detector; gets the columns.
        rules: Its rules.
        smooth_s: Returns a rule's smoothing time in seconds.
        learn_s: Returns how long a rule learns, in seconds.
        wander: How much wider a band becomes for each standard deviation that the channel wandered while learned.
        centred: The width is measured from the channel's mean; otherwise from 0, for figures that are differences.

    Attributes:
        centre: float64[rules + 1, width], each member's mean while it was learned; NaN until then.
        width: float64[rules + 1, width], how far it strayed, never less than its last digit; NaN until learned.
        smooth: float64[rules + 1, width], the smoothed value; NaN before the first.
    """

    def __init__(
        self,
        judge: GroupJudge,
        rules: Sequence[Rule],
        *,
        smooth_s: Callable[[Rule], float],
        learn_s: Callable[[Rule], float],
        wander: Callable[[Rule], float] = lambda _: 2.0,
        centred: bool = True,
    ) -> None:
        figure = self._figures(rules)
        self._smooth_s, self._learn_s, self._wander = figure(smooth_s), figure(learn_s), figure(wander)
        self._period_s = member_figures(rules, lambda _, channel: channel.period_s, 1.0)
        self._gap_s = member_figures(rules, lambda _, channel: gap_s(channel), 1.0)
        self._digit = member_figures(rules, lambda _, channel: 10.0**-channel.decimals, 1.0)
        self._centred = centred
        float64, count = np.float64, judge.members.size + 1
        self.centre = judge.member_column("centre", np.nan, float64)
        self.width = judge.member_column("width", np.nan, float64)
        self.smooth = judge.member_column("smooth", np.nan, float64)
        self._last_ns = judge.member_column("last_ns", float(_NEVER), np.int64)
        self._step = judge.member_column("step", 0.0, float64)
        self._learned_s = judge.member_column("learned_s", 0.0, float64)
        self._origin = judge.member_column("origin", np.nan, float64)
        self._lowest = judge.member_column("lowest", np.inf, float64)
        self._highest = judge.member_column("highest", -np.inf, float64)
        shape = (count, judge.members.width, QUARTERS)
        self._count, self._sum, self._square = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        judge.columns |= {"count": self._count, "sum": self._sum, "square": self._square}

    @staticmethod
    def _figures(rules: Sequence[Rule]) -> Callable[[Callable[[Rule], float]], Float64]:
        return lambda take: member_figures(rules, lambda rule, _: take(rule), 1.0)

    def knows(self, k: At) -> Mask:
        """Return which members have been learned."""
        known: Mask = ~np.isnan(self.width[k])
        return known

    def take(self, k: At, time_ns: Int64, value: Float64) -> Taken:
        """Take readings that are not BAD; no member occurs twice."""
        period_s, last_ns = self._period_s[k], self._last_ns[k]
        elapsed_s = np.where(last_ns == _NEVER, 0.0, (time_ns - np.maximum(last_ns, 0)) / NS_PER_S)
        # A clock set back says nothing of the time that has gone by; neither does a gap say what was in it.
        elapsed_s = np.where(elapsed_s < 0, period_s, np.minimum(elapsed_s, self._gap_s[k]))
        self._last_ns[k] = time_ns
        before = self.smooth[k]
        before = np.where(np.isnan(before), np.clip(value, -HUGE, HUGE), before)
        value = self._bounded(k, value, before)
        smooth = before + (1.0 - np.exp(-elapsed_s / self._smooth_s[k])) * (value - before)
        self.smooth[k] = smooth
        return Taken(elapsed_s, value, smooth)

    def _bounded(self, k: At, value: Float64, before: Float64) -> Float64:
        """Return values without what no channel can show; changes the usual step of members that are being learned."""
        learning = ~self.knows(k)
        centre, width, step = self.centre[k], self.width[k], self._step[k]
        # Only while it learns does a reading count for so little: a real jump must be seen when it is judged.
        reach = np.where(learning, STEP_MOST * step + self._digit[k], FAR_MOST * width)
        middle = np.where(learning, before, np.where(np.isnan(centre), 0.0, centre))
        bounded: Float64 = np.clip(value, middle - reach, middle + reach)
        self._step[k] = np.where(learning, 0.9 * step + 0.1 * np.abs(bounded - before), step)
        return bounded

    def learn(self, k: At, taken: Taken, strayed: Float64, clean: Mask) -> None:
        """Learn from readings just taken.

        Args:
            k: The members; those already learned are left alone.
            taken: What `take` returned for them.
            strayed: float64[n], the figure whose farthest is the width.
            clean: bool[n], which readings may be learned from.
        """
        now = np.flatnonzero(clean & ~self.knows(k))
        if not len(now):
            return
        k = k[0][now], k[1][now]
        learned_s = self._learned_s[k] + taken.elapsed_s[now]
        self._learned_s[k] = learned_s
        share = learned_s / self._learn_s[k]
        self._add(k, np.minimum((share * QUARTERS).astype(np.intp), QUARTERS - 1), taken.value[now])
        # Smoothing has no past at first: how far it strays counts from the second quarter on.
        settled = share * QUARTERS >= 1.0
        self._lowest[k] = np.where(settled, np.minimum(self._lowest[k], strayed[now]), self._lowest[k])
        self._highest[k] = np.where(settled, np.maximum(self._highest[k], strayed[now]), self._highest[k])
        done = np.flatnonzero((share >= 1.0) & (self._count[k].sum(axis=1) >= READINGS_MIN))
        if len(done):
            self._freeze((k[0][done], k[1][done]))

    def _add(self, k: At, quarter: Slots, value: Float64) -> None:
        # From the first value on, so that squares do not drown in rounding.
        origin = np.where(np.isnan(self._origin[k]), value, self._origin[k])
        self._origin[k] = origin
        self._count[(*k, quarter)] += 1.0
        self._sum[(*k, quarter)] += value - origin
        self._square[(*k, quarter)] += (value - origin) ** 2

    def _freeze(self, k: At) -> None:
        count = self._count[k]
        total = count.sum(axis=1)
        mean = self._sum[k].sum(axis=1) / total
        deviation = np.sqrt(np.maximum(self._square[k].sum(axis=1) / total - mean**2, 0.0))
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(count > 0, self._sum[k] / count, mean[:, None])
            wandered = np.nan_to_num(np.ptp(means, axis=1) / deviation, posinf=0.0)
        centre = self._origin[k] + mean
        middle = centre if self._centred else 0.0
        strayed = np.maximum(self._highest[k] - middle, middle - self._lowest[k])
        wider = 1.0 + self._wander[k] * np.maximum(wandered - WANDER_FREE, 0.0)
        self.centre[k] = centre
        self.width[k] = np.maximum(strayed * wider, self._digit[k])


class QuietJudge(GroupJudge):
    """Groups that are judged beside what they do while all is quiet: what their detectors share of `Learning`.

    Columns that a detector adds are forgotten by `relearn` if they are there when it calls `_keep_fresh`.

    Args:
        rules: The rules, all with as many channels.
        smooth_s, learn_s, wander, centred: As with `Quiet`.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        smooth_s: Callable[[Rule], float],
        learn_s: Callable[[Rule], float],
        wander: Callable[[Rule], float],
        centred: bool = True,
    ) -> None:
        super().__init__(rules)
        self._rules = tuple(rules)
        self._quiet = Quiet(self, rules, smooth_s=smooth_s, learn_s=learn_s, wander=wander, centred=centred)
        self._blind = self.member_column("blind", 0, np.bool_)
        self._last = self.rule_column("last", np.nan, np.float64)
        self._past = Past(self.members.size)
        self.columns["past"] = self._past.counts
        self._held: Mask = np.zeros_like(self.members.there)
        self._fresh: dict[str, Any] = {}

    def _keep_fresh(self) -> None:
        self._fresh = {name: column[-1:].copy() for name, column in self.columns.items() if name != "level"}

    @property
    def score(self) -> Float64:
        """float64[rules], the rank of each rule's last reading among its own past; NaN before it has learned."""
        return self._past.rank(np.arange(self.members.size), self._last[:-1])

    @property
    def ready(self) -> Mask:
        """bool[rules], whether all channels have been learned that have shown any value."""
        known = ~np.isnan(self._quiet.width)
        waiting = ~known & ~np.isnan(self._quiet.smooth)
        found: Mask = np.logical_and(known.any(axis=1), ~waiting.any(axis=1))
        return found[:-1]

    def hold(self, held: Mask) -> None:
        """Learn nothing from these channels until told otherwise."""
        self._held = self.members.by_member(held)

    def relearn(self, rules: Slots) -> None:
        """Forget what was learned of these rules."""
        for name, fresh in self._fresh.items():
            self.columns[name][rules] = fresh
        self._restored()

    def _clean(self, k: At, quality: UInt8) -> Mask:
        """Return which readings may be learned from."""
        clean: Mask = (quality < _GOOD_TO_LEARN) & ~self._held[k]
        return clean


def gap_s(channel: Channel) -> float:
    """Return the longest time that one reading of a channel stands for."""
    return max(channel.stale_after_s, 3.0 * channel.period_s)
