"""Leaks long before a limit: heads of one area that rise out of their own noise, and which of them is the nearest.

Readings are kept as means of cells of time. What medians over the last half minute, one, two and five minutes and the
last quarter of an hour show is compared with the time before, less what the area's temperature, humidity and wind
explain, and measured by the head's own past (`parts.rises`, `influence`, `usual`). One head far out of its habits
warns, or two of the area less far at once; so does a level that has crept far above what was commissioned. The reason
names the head that has risen most.

Learned as harmless is only what is over: an episode that ends within the hour, with the head where it was, widens that
head's limits by half, at most to four times; that fades within weeks. Whatever stays is never learned, nor is anything
while the rule is raised or the channel is held. The commissioned level follows by a small stated amount a day at most.
After a calibration or a warm-up a head's past begins anew; what it was commissioned at stays.

Until a head is learned it warns of rises of `start_percent` of its range.

    >>> import numpy as np
    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channels = tuple(
    ...     Channel(k, f"gd-0{k}.ch4", f"gd-0{k}", "ch4", "%LEL", range_low=0, range_high=100, decimals=1)
    ...     for k in (0, 1)
    ... )
    >>> detector = create([Rule(0, "leak", "leak", channels, Options(learn_s=3600), group=True)])
    >>> random = np.random.default_rng(1)
    >>> for second in range(0, 8100, 5):
    ...     gas = max(second - 8000, 0) / 60 * np.array([0.1, 0.4])
    ...     batch = Batch.of([0, 1], second * 1_000_000_000, (gas + random.normal(0, 0.1, 2)).round(1))
    ...     for level, reason in zip((found := detector.update(batch)).level, found.reason):
    ...         print(second, Level(level).name, reason.en)
    8060 WARNING +0.3 %LEL in 2 min at gd-01; normal here ±0.1; reaches 25.0 %LEL in about 2.3 h

References:
    GB/T 50493-2019: set points of combustible and toxic gas, and how far apart heads stand.
    Sensors 22 (2022) 3301: temperature and humidity move the zero of a gas head about linearly.
    A. Wald, Sequential Analysis (1947), and E. S. Page, Continuous inspection schemes, Biometrika 41 (1954): why
    several spans of time beside one another find small and large leaks early.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from detectors.parts.bank import NORMAL, WARNING, Mask, Slots, is_bad, is_over_range, nanoseconds
from detectors.parts.groups import GroupJudge, joined, member_figures
from detectors.parts.habits import Habits
from detectors.parts.influence import Influence
from detectors.parts.leak_words import Rise, Words
from detectors.parts.rises import FAST, FEATURES, MIDDLE, REACH, SLOW, SPANS, Look, Rises
from detectors.parts.usual import Usual
from gateway.core.clock import NS_PER_S
from gateway.core.errors import ConfigError
from gateway.core.model import NO_VERDICTS, Batch, Float64, Int64, Judged, Level, Quality, Reason, Rule, UInt8, Verdicts
from gateway.core.plugin import Binding, Detector, PluginOptions

BINDING: Final = Binding.GROUP
LEVELS: Final = (Level.WARNING,)
JUDGED: Final = Judged("{}", "rise", "上升")

_MEMORY: Final = 60_000
"""Cells over which the climate's influence and the habits fade: a week of 10 s."""
_LEVEL_DEVIATIONS: Final = 6.0
_WIDENED: Final = 1.5
_WIDEST: Final = 4.0
_HARMLESS_NS: Final = 3600 * NS_PER_S
_FADES_S: Final = 14 * 86_400.0
_FRESH: Final = 2
"""How many cells old another head's last look may be."""
_LEFT: Final = 0.35
"""An episode ends when no more than this part of its rise is left."""
_TIMES: Final = 2
"""A span is judged once what was learned is so many times as long."""
_DIGITS: Final = 1.2
"""A rise of not much more than the smallest step that an instrument shows is none."""
_VALUE_MAX: Final = 1e30
_CLIMATE_MAX: Final = 1e4
"""Beyond any temperature, humidity or wind in any unit: wilder readings count as this."""
_HANDS_ON: Final = np.array([Quality.CALIBRATION, Quality.WARM_UP], np.uint8)
_NO_CELL: Final = -(1 << 40)


class Options(PluginOptions):
    """How far out of its habits a head must rise, and what of its surroundings explains it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"cell_s": 60.0, "learn_s": 1800.0, "compensate": ["temperature", "humidity"], "limit": 20.0},
            ]
        }
    )

    compensate: tuple[str, ...] = Field(
        default=("temperature", "humidity", "wind_speed"),
        max_length=3,
        description="Quantities of the area's climate: they are not judged, and what they explain of a rise is taken "
        "off it. Names of quantities, at most three.",
        examples=[["temperature", "humidity"]],
    )
    deviations: float = Field(
        default=5.5,
        ge=3.0,
        le=50.0,
        description="How many standard deviations of its own rises are too far for one head, without a unit.",
        examples=[5.5],
    )
    together: float = Field(
        default=0.75,
        gt=0.3,
        le=1.0,
        description="What part of that is too far for two heads of the area at once; 1 asks for no second head. "
        "Without a unit.",
        examples=[0.75],
    )
    rise_percent: float = Field(
        default=0.15,
        gt=0.0,
        le=50.0,
        description="Rises below this are none, in percent of the head's measuring range.",
        examples=[0.15],
    )
    level_percent: float = Field(
        default=3.0,
        gt=0.0,
        le=50.0,
        description="How far above its commissioned level a head warns at the least, in percent of its measuring "
        "range.",
        examples=[3.0],
    )
    drift_percent: float = Field(
        default=0.05,
        ge=0.0,
        le=1.0,
        description="How far the commissioned level may follow in a day, in percent of the measuring range.",
        examples=[0.05],
    )
    start_percent: float = Field(
        default=2.0,
        gt=0.0,
        le=100.0,
        description="Rises that warn before a head has been learned, in percent of its measuring range.",
        examples=[2.0],
    )
    limit: float | None = Field(
        default=None,
        description="The level that the reason forecasts, in the channel's unit; by default a quarter of the measuring "
        "range.",
        examples=[25.0],
    )
    learn_s: float = Field(
        default=86_400.0,
        ge=1800.0,
        le=2_678_400.0,
        description="Calm time after which a head is learned, in seconds; a day, so that the day's course is in it.",
        examples=[86400.0],
    )
    cell_s: float = Field(
        default=10.0,
        ge=1.0,
        le=3600.0,
        description="The finest time that counts, in seconds; spans reach from 6 to 180 of it, and a slow one over "
        "1080. Where an instrument is read more seldom, its period.",
        examples=[10.0],
    )
    off_delay_s: float = Field(
        default=60.0,
        ge=0.0,
        le=3600.0,
        description="How long a head must be back before its episode is over, in seconds.",
        examples=[60.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def _cell_s(rule: Rule) -> float:
    return max(_options(rule).cell_s, *(channel.period_s for channel in rule.channels))


class Leak(GroupJudge):
    """All leak rules at once; satisfies `Detector` and `Learning`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        size, width = self.members.size, self.members.width
        cell_s = np.array([_cell_s(rule) for rule in rules] + [1.0])
        self._cell_ns: Int64 = np.array([nanoseconds(each) for each in cell_s], np.int64)
        self._rises = Rises(rules, self._cell_ns, [_options(rule).compensate for rule in rules])
        self._set_limits(rules, cell_s)
        learned = np.array([_options(rule).learn_s for rule in rules] + [1.0]) / cell_s
        percent = member_figures(rules, lambda rule, _: _options(rule).drift_percent, 0.0)
        drift = np.nan_to_num(self._span) * percent / 100.0 * (cell_s / 86_400.0)[:, None]
        self._usual = Usual(size, width, SPANS, np.ceil(learned).astype(np.int64), drift)
        self._influence = Influence(size, width, FEATURES, _MEMORY)
        heads = (size + 1) * width
        self._habits = Habits(heads - 1, np.full(heads, 0.01), np.full(heads, float(_MEMORY)))
        self._words = Words(rules, [_options(rule).limit for rule in rules], cell_s)
        self._held: Mask = np.zeros((size + 1, width), np.bool_)
        self._make_columns()

    def _set_limits(self, rules: Sequence[Rule], cell_s: Float64) -> None:
        self._span = member_figures(rules, lambda _, channel: channel.range_high - channel.range_low, np.nan)
        self._range_high = member_figures(rules, lambda _, channel: channel.range_high, np.nan)
        self._digit_known = member_figures(rules, lambda _, channel: 10.0**-channel.decimals, 1.0)
        share = self._span / 100.0
        self._rise_min = share * member_figures(rules, lambda rule, _: _options(rule).rise_percent, 1.0)
        self._level_min = share * member_figures(rules, lambda rule, _: _options(rule).level_percent, 1.0)
        self._start = share * member_figures(rules, lambda rule, _: _options(rule).start_percent, 1.0)
        self._deviations = np.array([_options(rule).deviations for rule in rules] + [1.0])
        self._together = np.array([_options(rule).together for rule in rules] + [1.0])
        self._off_ns = np.array([nanoseconds(_options(rule).off_delay_s) for rule in rules] + [0], np.int64)
        self._fade = 0.5 ** (cell_s / _FADES_S)

    def _make_columns(self) -> None:
        self.columns |= self._rises.columns() | self._usual.columns() | self._influence.columns()
        self.columns["habits"] = self._habits.counts.reshape(self.members.size + 1, -1)
        # Of the last look: which cell, how strong the rise of each span was, and how far the head is above the past.
        self._looked = self.member_column("looked", _NO_CELL, np.int64)
        self._lead = self.member_column("lead", 0.0, np.float64)
        self._now = self.member_column("now", np.nan, np.float64)
        self._crept = self.member_column("crept", 0.0, np.float64)
        self._strength: Float64 = np.zeros((*self._lead.shape, SPANS))
        # Of an episode: since when, from which level and climate, how far at most, and since when it is back.
        self._up = self.member_column("up", 0, np.bool_)
        self._since = self.member_column("since_ns", 0, np.int64)
        self._before = self.member_column("before", np.nan, np.float64)
        self._climate: Float64 = np.zeros((*self._lead.shape, FEATURES))
        self._peak = self.member_column("peak", 0.0, np.float64)
        self._back = self.member_column("back_ns", 0, np.int64)
        # How much wider than usual the limits are, the smallest step seen, and the reading it is found with.
        self._wider = self.member_column("wider", 1.0, np.float64)
        self._digit = self.member_column("digit", np.inf, np.float64)
        self._last = self.member_column("last", np.nan, np.float64)
        self.columns |= {"strength": self._strength, "climate": self._climate}

    @property
    def score(self) -> Float64:
        """float64[rules], how unusual the strongest present rise of each rule is; NaN before it has learned."""
        strength = np.fmax(self._strength.max(axis=2), 0.0).ravel()
        share = self._habits.share_below(np.arange(len(strength)), strength).reshape(self._up.shape)
        share = np.where(np.isnan(share), -1.0, share).max(axis=1)[:-1]
        return np.where(share >= 0.0, share, np.nan)

    @property
    def ready(self) -> NDArray[np.bool_]:
        """bool[rules], whether any of its heads has been learned; each one is judged by its own habits once it is."""
        slots, places = np.nonzero(self._rises.head)
        ready = np.zeros(self.members.size + 1, np.bool_)
        ready[slots[self._usual.learned(slots, places)]] = True
        return ready[:-1]

    def hold(self, held: NDArray[np.bool_]) -> None:
        """Learn nothing from channels in alarm or fault."""
        self._held = self.members.by_member(held)

    def relearn(self, rules: NDArray[np.intp]) -> None:
        """Forget all of these rules; one that is raised is over with its next calm cells."""
        self._usual.forget(rules)
        self._influence.forget(rules)
        slots, places = (each.ravel() for each in np.meshgrid(rules, np.arange(self.members.width), indexing="ij"))
        self._habits.forget(slots * self.members.width + places)
        self._rises.begin_anew(slots, places)
        self._wider[rules] = 1.0
        self._digit[rules], self._last[rules] = np.inf, np.nan
        self._up[rules], self._strength[rules] = False, 0.0

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        slots, places = self.members.find(batch.row)
        good = (slots < self.members.size) & ~is_bad(batch.quality)
        hands_on = (slots < self.members.size) & np.isin(batch.quality, _HANDS_ON)
        if hands_on.any():
            self._rises.begin_anew(slots[hands_on], places[hands_on])
        at = np.flatnonzero(good)
        if not len(at):
            return NO_VERDICTS
        slots, places = slots[at], places[at]
        most = np.where(self._rises.head[slots, places], _VALUE_MAX, _CLIMATE_MAX)
        value = np.clip(batch.value[at], -most, most)
        over_range = is_over_range(batch.quality[at])
        value = np.where(over_range, np.fmax(value, self._range_high[slots, places]), value)
        closing = self._rises.fine.add(slots, places, batch.time_ns[at], value)
        if not len(closing):
            return NO_VERDICTS
        return self._close(batch, at[closing], slots[closing], places[closing], value[closing])

    def _close(self, batch: Batch, at: Slots, slots: Slots, places: Slots, value: Float64) -> Verdicts:
        """Judge the readings that close a cell: few, as a cell holds many."""
        known = self._rises.close(slots, places, batch.time_ns[at], value)
        self._see_digit(slots, places, value)
        heads = np.flatnonzero(known & self._rises.head[slots, places])
        if not len(heads):
            return NO_VERDICTS
        at, slots, places = at[heads], slots[heads], places[heads]
        look = self._rises.look(slots, places)
        left, strength = self._weigh(slots, places, look)
        quiet = self._quiet(slots, places, look, strength)
        parts = []
        if quiet.any():
            some = look.of(quiet)
            self._keep(slots[quiet], places[quiet], some, strength[quiet])
            self._learn(batch.quality[at[quiet]], slots[quiet], places[quiet], some, left[quiet])
        # Where something stirs, a rule's heads are judged one after the other, in the order of their readings.
        loud = np.flatnonzero(~quiet)
        for now, slot, place in self.members.rounds(batch.row[at[loud]]):
            k = loud[now]
            some = look.of(k)
            self._keep(slot, place, some, strength[k])
            self._follow(slot, place, batch.time_ns[at[k]], some, strength[k])
            self._learn(batch.quality[at[k]], slot, place, some, left[k])
            parts.append(self._report(batch, at[k], slot, place, some))
        return joined(parts)

    def _quiet(self, slots: Slots, places: Slots, look: Look, strength: Float64) -> Mask:
        """Return where nothing stirs in the whole rule, so that the order of its heads does not matter."""
        above, limit = self._creeping(slots, places, look)
        stirs = (strength >= self._together[slots, None]).any(axis=1) | (above >= limit)
        stirs |= (self._bank.levels[slots] != NORMAL) | self._up[slots].any(axis=1)
        by_rule = np.zeros(self.members.size + 1, np.bool_)
        by_rule[slots[stirs]] = True
        return ~by_rule[slots]

    def _creeping(self, slots: Slots, places: Slots, look: Look) -> tuple[Float64, Float64]:
        """Return how far these heads are above what was commissioned, and how far is too far."""
        at = slots, places
        above, scatter = self._usual.above(slots, places, look.level)
        # Where the range is unknown, some of the steps that the head shows stand in for the part of it.
        least = np.where(np.isnan(self._level_min[at]), _DIGITS * self._step(at), self._level_min[at])
        limit = np.fmax(least, _LEVEL_DEVIATIONS * scatter) * self._wider[at]
        learned = self._usual.learned(slots, places)
        return np.where(learned, np.nan_to_num(above), 0.0), np.where(learned, limit, np.inf)

    def _step(self, at: tuple[Slots, Slots]) -> Float64:
        """Return the smallest step that these heads have shown; before the first one, their last digit."""
        return np.where(np.isinf(self._digit[at]), self._digit_known[at], self._digit[at])

    def _see_digit(self, slots: Slots, places: Slots, value: Float64) -> None:
        """Find the smallest step that each instrument shows."""
        with np.errstate(invalid="ignore"):
            step = np.abs(value - self._last[slots, places])
            real = step > 1e-6 * np.abs(value)
        self._digit[slots, places] = np.fmin(self._digit[slots, places], np.where(real, step, np.inf))
        self._last[slots, places] = value

    def _weigh(self, slots: Slots, places: Slots, look: Look) -> tuple[Float64, Float64]:
        """Return what the climate does not explain of each rise, and how far that is, in parts of its limit."""
        left = look.rise - self._explained(slots, places, look.climate_rise)
        known = ~np.isnan(left)
        limit = self._limits(slots, places, known)
        with np.errstate(invalid="ignore"):
            strength = np.where(known, left, look.rise) / limit
        return left, np.nan_to_num(strength, nan=0.0)

    def _explained(self, slots: Slots, places: Slots, change: Float64) -> Float64:
        """Return what the climate explains of rises, float64[n, spans]: never so much that it could hide a leak."""
        most = np.nan_to_num(self._level_min[slots, places], nan=np.inf)[:, None]
        return np.clip(self._influence.explained(slots, places, change), -most, most)

    def _limits(self, slots: Slots, places: Slots, known: Mask) -> Float64:
        """Return float64[n, SPANS]: the rise that is too far for each head."""
        at = slots, places
        least = np.fmax(self._rise_min[at], _DIGITS * self._step(at))
        usual = self._deviations[slots, None] * self._usual.deviation(slots, places, known)
        limit = np.fmax(usual, least[:, None]) * self._wider[at][:, None]
        # Where the range is unknown there is no first limit, and nothing warns before it is learned.
        start = np.nan_to_num(self._start[at], nan=np.inf)
        # A span is judged by what was learned once that is several times as long as the span itself.
        enough = self._usual.learned(*at)[:, None] & (self._usual.seen[at][:, None] >= _TIMES * REACH)
        return np.where(enough, limit, np.fmax(np.fmax(start, least)[:, None], limit))

    def _keep(self, slots: Slots, places: Slots, look: Look, strength: Float64) -> None:
        """Keep what the other heads of the area are compared with."""
        at = slots, places
        self._looked[at], self._strength[at], self._now[at] = look.number, strength, look.now
        base, climate = look.before[:, MIDDLE], look.climate_before[:, MIDDLE]
        young = np.isnan(base)
        base = np.where(young, look.before[:, FAST], base)
        climate = np.where(young[:, None], look.climate_before[:, FAST], climate)
        explained = self._explained(slots, places, (look.climate_now - climate)[:, None])[:, 0]
        self._lead[at] = np.nan_to_num(look.now - base - np.nan_to_num(explained))

    def _follow(self, slots: Slots, places: Slots, time_ns: Int64, look: Look, strength: Float64) -> None:
        """Begin and end the episodes of these heads."""
        up = self._up[slots, places]
        self._begin(slots, places, time_ns, look, strength, ~up)
        if up.any():
            self._end(slots[up], places[up], time_ns[up], look.of(up))

    def _begin(  # noqa: PLR0917 - what a head shows goes together
        self, slots: Slots, places: Slots, time_ns: Int64, look: Look, strength: Float64, calm: Mask
    ) -> None:
        fresh = (look.number[:, None] - self._looked[slots]) <= _FRESH
        together = (self._strength[slots] >= self._together[slots, None, None]) & fresh[:, :, None]
        # Two heads at once count over the longer spans only: a door moves all heads for a moment.
        two = (together.sum(axis=1) >= 2) & (strength >= self._together[slots, None])
        two[:, :MIDDLE] = False
        above, limit = self._creeping(slots, places, look)
        self._crept[slots, places] = above
        crept = above >= limit
        begins = np.flatnonzero(calm & ((strength >= 1.0).any(axis=1) | two.any(axis=1) | crept))
        if not len(begins):
            return
        slots, places = slots[begins], places[begins]
        span = np.argmax(strength[begins], axis=1)
        level = (look.now - above)[begins]
        slowly = crept[begins] & (strength[begins].max(axis=1) < self._together[slots])
        before = look.before[begins, span]
        self._up[slots, places] = True
        self._since[slots, places] = time_ns[begins]
        self._before[slots, places] = np.where(slowly | np.isnan(before), level, before)
        self._climate[slots, places] = look.climate_before[begins, span]
        self._peak[slots, places] = 0.0
        self._back[slots, places] = 0

    def _end(self, slots: Slots, places: Slots, time_ns: Int64, look: Look) -> None:
        at = slots, places
        explained = self._explained(slots, places, (look.climate_now - self._climate[at])[:, None])[:, 0]
        risen_by = look.now - self._before[at] - np.nan_to_num(explained)
        with np.errstate(invalid="ignore"):
            self._peak[at] = np.fmax(self._peak[at], risen_by)
            back = risen_by <= _LEFT * self._peak[at]
        since = np.where(self._back[at] == 0, time_ns, np.minimum(self._back[at], time_ns))
        self._back[at] = np.where(back, since, 0)
        over_now = np.flatnonzero(back & (time_ns - since >= self._off_ns[slots]))
        for k in over_now:
            slot, place = int(slots[k]), int(places[k])
            first = int(self._since[slot, place] // self._cell_ns[slot])
            self._rises.forget(slot, place, first, int(look.number[k]))
            self._up[slot, place] = False
            self._strength[slot, place] = 0.0
            if time_ns[k] - self._since[slot, place] <= _HARMLESS_NS:
                self._wider[slot, place] = min(self._wider[slot, place] * _WIDENED, _WIDEST)

    def _learn(self, quality: UInt8, slots: Slots, places: Slots, look: Look, left: Float64) -> None:
        """Learn from the heads whose rule is calm, from good readings only."""
        calm = (quality == Quality.GOOD) & ~self._up[slots].any(axis=1) & ~self._held[slots].any(axis=1)
        calm &= (self._bank.levels[slots] == NORMAL) & ~np.isnan(look.rise[:, SLOW])
        at = np.flatnonzero(calm)
        if not len(at):
            return
        slots, places = slots[at], places[at]
        change = look.climate_rise[at, SLOW]
        whole = ~np.isnan(change).any(axis=1)
        self._influence.learn(slots[whole], places[whole], change[whole], look.rise[at, SLOW][whole])
        self._usual.learn(slots, places, left[at], look.rise[at], look.level[at])
        self._wider[slots, places] = 1.0 + (self._wider[slots, places] - 1.0) * self._fade[slots]
        learned = self._usual.learned(slots, places)
        slots, places = slots[learned], places[learned]
        unusual = np.fmax(self._strength[slots, places].max(axis=1), 0.0)
        self._habits.learn(slots * self.members.width + places, unusual)

    def _report(self, batch: Batch, at: Slots, slots: Slots, places: Slots, look: Look) -> Verdicts:
        before = self._bank.levels[slots]
        up = self._up[slots].any(axis=1)
        # What was restored without its readings is over once the head is seen to be calm.
        seen = (before == NORMAL) | ~np.isnan(look.rise[:, FAST])
        raised = up & (self._compared(slots, look.number) | (before != NORMAL))
        after = np.where(raised, WARNING, np.where(seen & ~up, NORMAL, before))
        changed = np.flatnonzero(after != before)
        if not len(changed):
            return NO_VERDICTS
        return self._tell(batch, at[changed], slots[changed], places[changed], after[changed])

    def _compared(self, slots: Slots, number: Int64) -> Mask:
        """Return where all heads of an area have been looked at, so that it can be told which one is the nearest.

        A head that is late is not waited for beyond its cell.
        """
        looked = self._looked[slots]
        late = self._rises.head[slots] & (looked == number[:, None] - 1)
        begun = np.where(self._up[slots], self._since[slots] // self._cell_ns[slots, None], number[:, None])
        return np.asarray(~late.any(axis=1) | (begun < number[:, None]).any(axis=1), np.bool_)

    def _tell(self, batch: Batch, at: Slots, slots: Slots, places: Slots, level: NDArray[np.int8]) -> Verdicts:
        """Return verdicts with their reasons; rare, so one rule after the other."""
        values, limits, reasons = [], [], []
        for slot, place, new in zip(slots.tolist(), places.tolist(), level.tolist(), strict=True):
            nearest = self._nearest(slot, place)
            span = int(np.argmax(self._strength[slot, nearest]))
            one = np.array([slot]), np.array([nearest])
            limits.append(float(self._limits(*one, np.ones((1, SPANS), np.bool_))[0, span]))
            values.append(float(self._lead[slot, nearest]))
            reasons.append(self._why(slot, nearest, span) if new == WARNING else self._words.over(slot, nearest))
        judged = np.array(values), np.array(limits), self.score[slots].astype(np.float32)
        return self._bank.report(batch, at, slots, level, judged=judged, reason=tuple(reasons))

    def _nearest(self, slot: int, place: int) -> int:
        """Return the head that has risen most, of those that were looked at lately."""
        fresh = self._rises.head[slot] & (self._looked[slot] >= self._looked[slot, place] - _FRESH)
        far = self._crept[slot] if self._slowly(slot) else self._lead[slot]
        share = far / np.nan_to_num(self._span[slot], nan=1.0)
        return int(np.argmax(np.where(fresh, share, -np.inf)))

    def _slowly(self, slot: int) -> bool:
        """Return whether no span of time stands out: then a level has crept away."""
        return bool(self._strength[slot].max() < self._together[slot])

    def _why(self, slot: int, place: int, span: int) -> Reason:
        strength = self._strength[slot]
        if self._slowly(slot):
            return self._words.crept(slot, place, float(self._crept[slot, place]))
        one = np.array([slot]), np.array([place])
        normal = float(self._usual.deviation(*one, np.ones((1, SPANS), np.bool_))[0, span])
        heads = int((strength.max(axis=1) >= self._together[slot]).sum())
        now = float(self._now[slot, place])
        return self._words.risen(slot, place, Rise(float(self._lead[slot, place]), 2.0 * normal, span, now, heads))


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A group has no channel but those of its climate, or a limit is given that none of its heads can
            show.
    """
    for rule in rules:
        if all(channel.quantity in _options(rule).compensate for channel in rule.channels):
            names = ", ".join(channel.id for channel in rule.channels)
            problem = f"nothing is left to judge: {names} only tell of the climate (`compensate`)"
            raise ConfigError(("options", "compensate"), problem).under(*rule.path)
        _check_limit(rule)
    return Leak(rules)


def _check_limit(rule: Rule) -> None:
    limit, climate = _options(rule).limit, _options(rule).compensate
    heads = [channel for channel in rule.channels if channel.quantity not in climate]
    if limit is not None and not any(math.isnan(head.range_high) or limit <= head.range_high for head in heads):
        ends = max(heads, key=lambda head: head.range_high)
        problem = f"{limit:g} {ends.unit} lies beyond what {ends.id} can show, {ends.range_high:g} {ends.unit}"
        raise ConfigError(("options", "limit"), problem).under(*rule.path)
