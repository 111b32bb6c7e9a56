"""Excess noise, spikes, and a signal that has become too quiet: an instrument that fails before it is blind.

What is measured is the bounce: by how much a reading goes one way and the next one comes back. A ramp, a step and
a daily rhythm have none, whatever their size; noise has it all the time, and a spike has a large one. Its moving mean
is compared with the most that this channel has shown before, so that each calibrates itself. One spike warns of
nothing, unless it is beyond all reason; several close together do. A reading that is BAD, over its range, or marked as
test or maintenance is left out; a gap is no bounce.

Too quiet is a signal whose noise has fallen far below the least it used to have, for hours: a poisoned or blocked
sensing element hisses no more. A channel whose noise is no more than its resolution is never called too quiet.

Nothing is learned while the rule is raised or the channel is held, and a record fades only slowly: noise that grows is
compared with what it was weeks ago.

    >>> import numpy as np
    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(0, "ht-01.temperature", "ht-01", "temperature", "°C", decimals=1)
    >>> rule = Rule(index=0, id="noise", type="noise", channels=(channel,), options=Options(window_s=30, settle_s=300))
    >>> detector = create([rule])
    >>> random = np.random.default_rng(1)
    >>> for second in range(1200):
    ...     noise = random.normal(0, 0.05 if second < 1000 else 5.0)
    ...     verdicts = detector.update(Batch.of([0], second * 1_000_000_000, [20.0 + noise]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(second, Level(level).name, reason.en)
    1003 WARNING noise 0.3 K, at most 0.2 K here before

References:
    A. B. Sharma, L. Golubchik, R. Govindan, Sensor Faults: Detection Methods and Prevalence in Real-World Datasets, ACM
    TOSN 6(3), 2010: noise and short faults, and how often real instruments have them.
    B. de Bruijn et al., Benchmark Datasets for Fault Detection and Classification in Sensor Data, SENSORNETS 2016.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from detectors.parts.bank import (
    NORMAL,
    Judge,
    Mask,
    Share,
    Slots,
    Switch,
    durations,
    figures,
    margin,
    nanoseconds,
)
from detectors.parts.groups import amount
from detectors.parts.habits import ENOUGH, Aside, Cells, Habits, set_aside
from gateway.core.errors import ConfigError
from gateway.core.model import (
    NO_VERDICTS,
    Batch,
    Channel,
    Float64,
    Int64,
    Judged,
    Level,
    Reason,
    Rule,
    Verdicts,
)
from gateway.core.plugin import Detector, PluginOptions

LEVELS: Final = (Level.WARNING,)
JUDGED: Final = Judged("{}", "noise", "噪声")

SHARE_MAX: Final = 1.0 / 8.0
"""The most that one reading counts in the moving mean: however seldom an instrument is read, eight make a mean."""

_SPIKE_MAX: Final = 0.75
"""A single bounce lifts the mean to at most this part of its limit: one spike is none, two close together are some."""
_ALONE: Final = 12.0
"""A spike of so many times the limit of the mean warns alone: nothing real comes and goes between two readings."""
_ALONE_MAX: Final = 1.25
"""What part of its limit such a spike lifts the mean to at least."""

_NEVER: Final = np.int64(1 << 62)
_WINDOWS: Final = 2.0
"""Windows in a cell that is learned from."""
_STEP_MAX: Final = 2.0
"""How much a record may grow by one cell or one episode."""
_LITTLE: Final = 2.0
"""How many times its limit an episode may reach and be taken for a habit."""
_EPISODES: Final = 4.0
"""How many such episodes make a habit."""
_YOUNG: Final = 0.5
"""How much wider a limit is drawn when a channel has just been learned, in parts of itself; less and less after."""


class Options(PluginOptions):
    """How much noise is too much, and how little too little."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"window_s": 20.0, "settle_s": 120.0, "ratio": 2.0, "floor": 0.5},
                {"window_s": 300.0, "ratio": 3.0, "quiet": 0.25, "quiet_s": 3600.0, "settle_s": 3600.0},
            ]
        }
    )

    window_s: float = Field(
        default=300.0,
        gt=0.0,
        le=86_400.0,
        description="Time over which noise is averaged, in seconds; at least 8 readings.",
        examples=[300.0],
    )
    ratio: float = Field(
        default=2.5,
        gt=1.0,
        le=1000.0,
        description="How many times the most that the channel has shown before is too much, without a unit.",
        examples=[2.5],
    )
    floor: float | None = Field(
        default=None,
        gt=0.0,
        description="Noise below this is never too much, in the channel's unit; by default a thousandth of the "
        "instrument's range, or twice the last digit that means something where that is more or the range is unknown.",
        examples=[0.2],
    )
    quiet: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="What part of the least noise that the channel used to have is too little; 0 for never.",
        examples=[0.25],
    )
    quiet_s: float = Field(
        default=21_600.0,
        gt=0.0,
        le=2_678_400.0,
        description="How long noise must be too little, in seconds.",
        examples=[21600.0],
    )
    settle_s: float = Field(
        default=86_400.0,
        gt=0.0,
        le=2_678_400.0,
        description="How long a channel is commissioned, in seconds of readings: it learns at once what it shows, and "
        "its limit is drawn up to a half wider; after that it learns slowly.",
        examples=[86400.0],
    )
    memory_s: float = Field(
        default=2_419_200.0,
        gt=0.0,
        le=31_622_400.0,
        description="How long what was shown before is remembered, in seconds; older records fade.",
        examples=[2419200.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def least_noise(channel: Channel) -> float:
    """Return what is no noise worth speaking of, in the channel's unit.

    >>> least_noise(Channel(0, "t", "i", "temperature", "°C", -40.0, 160.0, decimals=2))
    0.2
    """
    span = channel.range_high - channel.range_low
    return max(span / 1000.0 if span > 0 else 0.0, 2.0 * 10.0**-channel.decimals)


class Noise(Judge):
    """All noise rules at once; satisfies `Detector` and `Learning`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        size = self._bank.size
        self._channels = tuple(rule.channel for rule in rules)
        window_ns = durations(rules, lambda rule: _options(rule).window_s, spare=nanoseconds(1.0))
        self._switch = Switch(self._bank, Level.WARNING, np.zeros(size + 1, np.int64), window_ns)
        cell_ns = durations(rules, _cell_s, spare=nanoseconds(1.0))
        self._cells = Cells(cell_ns)
        self._floor = figures(rules, lambda rule: _options(rule).floor or least_noise(rule.channel), spare=1.0)
        self._ratio = figures(rules, lambda rule: _options(rule).ratio, spare=1.0)
        self._settle = figures(rules, lambda rule: _options(rule).settle_s / _cell_s(rule), spare=1.0)
        self._quiet = figures(rules, lambda rule: _options(rule).quiet, spare=0.0)
        self._quiet_ns = durations(rules, lambda rule: _options(rule).quiet_s)
        self._resolution = figures(rules, lambda rule: 10.0**-rule.channel.decimals, spare=1.0)
        memory = figures(rules, lambda rule: _options(rule).memory_s / _cell_s(rule), spare=2.0)
        self._habits = Habits(size, self._floor / 64.0, memory)
        self._part = figures(rules, _part, spare=1.0)
        self._last: Float64 = np.full(size + 1, np.nan)
        self._back: Float64 = np.zeros(size + 1)
        self._noise: Float64 = np.zeros(size + 1)
        self._peak: Float64 = np.zeros(size + 1)
        self._worst: Float64 = np.zeros(size + 1)
        self._spike: Float64 = np.zeros(size + 1)
        self._waiting: Float64 = np.full(size + 1, -1.0)
        self._age: Float64 = np.zeros(size + 1)
        self._spoiled: Mask = np.zeros(size + 1, np.bool_)
        self._quiet_since_ns: Int64 = np.full(size + 1, _NEVER, np.int64)
        self._hushed: Mask = np.zeros(size + 1, np.bool_)
        self._held: Mask = np.zeros(size + 1, np.bool_)
        self._any_new = True
        self._met: bytes | None = None
        self._record: Float64 = np.zeros(size + 1)
        self._limit: Float64 = np.zeros(size + 1)
        self._cap: Float64 = np.zeros(size + 1)
        self._ready: Mask = np.zeros(size + 1, np.bool_)
        self.columns |= {
            "last": self._last,
            "back": self._back,
            "noise": self._noise,
            "peak": self._peak,
            "worst": self._worst,
            "spike": self._spike,
            "waiting": self._waiting,
            "age": self._age,
            "spoiled": self._spoiled,
            "quiet_since_ns": self._quiet_since_ns,
            "hushed": self._hushed,
            "cell_end_ns": self._cells.end_ns,
            "counts": self._habits.counts,
            **self._switch.columns(),
        }
        self._restored()

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        share = self._bank.share(batch)
        aside = None
        if share.worst:
            share, aside = set_aside(share, self._spoiled)
        closing = self._cells.over(share, aside)
        if closing is not None:
            self._close(share, closing)
        slots = share.slots
        with np.errstate(over="ignore", invalid="ignore"):
            noise = self._measure(share) if aside is None else self._measure_others(share, aside)
            awake = noise > self._limit[slots]
        if closing is not None:
            awake |= self._hushed[slots]
        if self._switch.any_awake():
            awake |= self._switch.awake(slots)
        if aside is not None:
            awake[aside.unfit] = False
        found = share.awake(awake)
        return NO_VERDICTS if found is None else self._judge(batch, *found)

    def _measure_others(self, share: Share, aside: Aside) -> Float64:
        """Do the same as `_measure`, but leave channels alone that show nothing."""
        columns = [column[share.slots] for column in (self._last, self._back, self._noise, self._peak)]
        before = [column[aside.unfit] for column in columns]
        noise = self._measure(share)
        for column, values in zip(columns, before, strict=True):
            column[aside.unfit] = values
        return noise

    def _measure(self, share: Share) -> Float64:
        """Take in these readings' bounces and return the moving means.

        In place wherever columns are views: with a thousand channels, each new array costs as much as what is done.
        """
        slots, value = share.slots, share.value
        if self._any_new and share.marks != self._met:
            self._meet(share)
        last, back, noise, peak = self._last[slots], self._back[slots], self._noise[slots], self._peak[slots]
        step = value - last
        # A step and the return of the one before: the lesser of both where they go opposite ways, else nothing.
        bounce = np.maximum(step, back)
        np.negative(bounce, out=bounce)
        np.maximum(bounce, np.minimum(step, back), out=bounce)
        np.maximum(bounce, 0.0, out=bounce)
        large = bounce > self._cap[slots]
        if np.count_nonzero(large):
            self._cut(share, bounce, np.flatnonzero(large))
        bounce -= noise
        bounce *= self._part[slots]
        noise += bounce
        np.maximum(peak, noise, out=peak)
        np.negative(step, out=back)
        self._last[slots] = value
        if not isinstance(slots, slice):
            self._back[slots], self._noise[slots], self._peak[slots] = back, noise, peak
        return noise

    def _meet(self, share: Share) -> None:
        """Let channels that are read for the first time begin where they are."""
        new = np.flatnonzero(np.isnan(self._last[share.slots]))
        _, slots = share.pick(new)
        self._last[slots] = share.value[new]
        self._any_new = bool(np.isnan(self._last[:-1]).any())
        # Nobody else will be met while the same ones are silent in batches of the same rows.
        regular = isinstance(share.slots, slice) and len(share) == self._bank.size
        self._met = share.marks if regular else None

    def _cut(self, share: Share, bounce: Float64, spiky: Slots) -> None:
        """Cut spikes to what one of them may count, and remember how large they were."""
        _, slots = share.pick(spiky)
        self._spike[slots] = np.maximum(self._spike[slots], bounce[spiky])
        alone = bounce[spiky] > _ALONE * self._limit[slots]
        bounce[spiky] = self._cap[slots] * np.where(alone, _ALONE_MAX / _SPIKE_MAX, 1.0)

    def _close(self, share: Share, closing: Slots) -> None:
        """Learn from the cells that are over, and begin the next ones."""
        time_ns = share.time_ns[closing]
        _, slots = share.pick(closing)
        peak = self._peak[slots]
        known = self._cells.end_ns[slots] > 0
        self._note_quiet(slots[known], peak[known], time_ns[known])
        told = known & ~self._spoiled[slots] & ~self._held[slots]
        # A level that was restored without what was learned may not keep the rule from learning.
        quiet = (self._bank.levels[slots] == NORMAL) | ~self._ready[slots]
        sound = told & quiet
        # Learned with a cell's delay: what turns out to be the beginning of a fault is not.
        waiting = self._waiting[slots]
        # A channel that may be falling silent is not learned either, or its silence would soon be usual.
        learned = sound & (waiting >= 0.0) & (self._quiet_since_ns[slots] == _NEVER)
        self._learn(slots[learned], waiting[learned])
        self._waiting[slots] = np.where(sound, peak, -1.0)
        self._peak[slots] = self._noise[slots]
        self._spike[slots[quiet]] = 0.0
        self._spoiled[slots] = False
        self._cells.begin(slots, time_ns)
        self._set_limit(slots)

    def _learn(self, slots: Slots, peak: Float64, times: float = 1.0) -> None:
        """Take in what was shown, but no more at once than widens the record twice; a young channel learns at once."""
        least = self._floor[slots] / self._ratio[slots]
        most = _STEP_MAX * np.maximum(self._record[slots], least)
        young = self._age[slots] < self._settle[slots]
        peak = np.where(self._ready[slots], np.minimum(peak, most), peak)
        self._habits.learn(slots, peak, np.where(young, ENOUGH, times))
        self._age[slots] += 1.0

    def _learn_episode(self, slots: Slots) -> None:
        """Take an episode that is over and went little beyond its limit for a habit, when it has come a few times."""
        worst = self._worst[slots]
        habit = slots[(worst <= _LITTLE * self._limit[slots]) & ~self._held[slots]]
        self._learn(habit, self._worst[habit], ENOUGH / _EPISODES)
        self._worst[slots] = self._spike[slots] = 0.0
        self._set_limit(habit)

    def _note_quiet(self, slots: Slots, peak: Float64, time_ns: Int64) -> None:
        if not self._quiet[slots].any():
            return
        least = self._habits.least(slots) * self._quiet[slots]
        low = (peak < least) & (least > self._resolution[slots]) & self._ready[slots]
        since = np.where(low, np.minimum(self._quiet_since_ns[slots], time_ns), _NEVER)
        self._quiet_since_ns[slots] = since
        self._hushed[slots] = time_ns - since >= self._quiet_ns[slots]

    def _set_limit(self, slots: Slots) -> None:
        left = np.maximum(0.0, 1.0 - self._age[slots] / self._settle[slots])
        self._record[slots] = record = self._habits.record(slots)
        most = np.maximum(self._ratio[slots] * record, self._floor[slots])
        self._limit[slots] = (1.0 + _YOUNG * left) * most
        self._cap[slots] = _SPIKE_MAX / self._part[slots] * self._limit[slots]
        self._ready[slots] = self._age[slots] >= 1.0

    def _judge(self, batch: Batch, at: Slots, slots: Slots) -> Verdicts:
        noise, limit, hushed = self._noise[slots], self._limit[slots], self._hushed[slots]
        over = ((noise > limit) & self._ready[slots]) | hushed
        under = (noise < 0.5 * limit) & ~hushed
        after = self._switch.step(slots, batch.time_ns[at], over, under, np.zeros(len(at), np.bool_))
        mean = np.maximum(noise, self._spike[slots] * self._part[slots])
        worst = np.where(after != NORMAL, np.fmax(self._worst[slots], mean), self._worst[slots])
        self._worst[slots] = worst
        self._spoiled[slots] |= (after != NORMAL) & self._ready[slots]
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        over = after[changed] == NORMAL
        self._learn_episode(slots[changed[over]])
        at, slots, after, noise, limit = at[changed], slots[changed], after[changed], noise[changed], limit[changed]
        reason = tuple(self._reason(int(slot)) for slot in slots)
        return self._bank.report(batch, at, slots, after, judged=(noise, limit, margin(noise, limit)), reason=reason)

    def _reason(self, slot: int) -> Reason:
        channel = self._channels[slot]
        one = np.array([slot])
        noise = amount(channel, float(self._noise[slot]), change=True)
        if self._hushed[slot]:
            least = amount(channel, float(self._habits.least(one)[0]), change=True)
            hours = self._quiet_ns[slot] / nanoseconds(3600.0)
            return Reason(
                f"noise only {noise} for {hours:.3g} h, at least {least} here before",
                f"噪声仅 {noise}，已持续 {hours:.3g} 小时；此处以往至少 {least}",
            )
        most = amount(channel, float(max(self._record[slot], self._floor[slot])), change=True)
        if self._spike[slot] > 0.0:
            jump = amount(channel, float(self._spike[slot]), change=True)
            return Reason(
                f"noise {noise} with jumps of up to {jump}, at most {most} here before",
                f"噪声 {noise}，跳变达 {jump}；此处以往至多 {most}",
            )
        return Reason(f"noise {noise}, at most {most} here before", f"噪声 {noise}；此处以往至多 {most}")

    @property
    def score(self) -> Float64:
        """float64[rules], what share of its past noise each channel's noise now exceeds; NaN before it has learned."""
        every = np.arange(self._bank.size)
        share = self._habits.share_below(every, self._noise[:-1])
        return np.where(self._ready[:-1], share, np.nan)

    @property
    def ready(self) -> NDArray[np.bool_]:
        """bool[rules], whether each channel has been learned for long enough."""
        return self._ready[:-1]

    def hold(self, held: NDArray[np.bool_]) -> None:
        """Learn nothing from these channels until told otherwise."""
        self._held = self._bank.by_slot(held)

    def relearn(self, rules: NDArray[np.intp]) -> None:
        """Forget what was learned of these rules."""
        self._habits.forget(rules)
        self._noise[rules] = self._peak[rules] = self._age[rules] = self._worst[rules] = self._spike[rules] = 0.0
        self._waiting[rules] = -1.0
        self._hushed[rules] = False
        self._quiet_since_ns[rules] = _NEVER
        self._set_limit(rules)

    def _restored(self) -> None:
        self._switch.restored()
        self._cells.restored()
        self._any_new, self._met = bool(np.isnan(self._last[:-1]).any()), None
        self._set_limit(np.arange(self._bank.size + 1))


def _part(rule: Rule) -> float:
    """Return what part of the moving mean one reading is."""
    return min(SHARE_MAX, rule.channel.period_s / _options(rule).window_s)


def _cell_s(rule: Rule) -> float:
    """Return how long the cells are that habits are learned from: long enough for a fault to be found within one."""
    return _WINDOWS * max(_options(rule).window_s, rule.channel.period_s / SHARE_MAX)


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A rule would be judged before it has learned anything.
    """
    for rule in rules:
        options = _options(rule)
        if options.settle_s < options.window_s:
            problem = f"{options.settle_s:g} s of learning hold no window of {options.window_s:g} s"
            raise ConfigError(("options", "settle_s"), problem).under(*rule.path)
    return Noise(rules)
