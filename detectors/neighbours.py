"""Drift against the neighbours: a channel that leaves the median of those of its quantity and area.

The residual is how far a reading lies from the median of its neighbours' newest ones, taken once a window; the median
of three such residuals is judged, so that single spikes count for nothing. Every place has its own offset, and its own
rhythm, of sun or of doors: the offset and the largest deviation from it are learned when the channel is commissioned,
and then they are frozen. A drift, however slow, cannot become a habit; only an episode that people were told, and that
went little beyond the limit, widens it. A channel that does not go with its neighbours at all is not judged.

A neighbour counts while it is read and tells something: BAD, in test, in maintenance, over its range or stale ones do
not. With fewer of them than `peers_min` there is no opinion: nothing is raised, nothing cleared, and `ready` says so.
An event that all share moves the median as well. One that only this channel sees, such as a leak at its place, is a
warning here, and for the limits to judge.

    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channels = [Channel(k, f"t{k}", f"t{k}", "temperature", "°C", 0.0, 100.0, 1, period_s=60) for k in range(4)]
    >>> options = Options(settle_s=7200, window_s=300)
    >>> rule = Rule(0, "drift", "neighbours", tuple(channels), options)
    >>> detector = create([rule])
    >>> for minute in range(600):
    ...     drift = max(0.0, 0.05 * (minute - 300))
    ...     batch = Batch.of([0, 1, 2, 3], minute * 60_000_000_000, [20.0 + drift, 20.5, 21.0, 19.8])
    ...     verdicts = detector.update(batch)
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(minute, Level(level).name, reason.en)
    360 WARNING +2.2 K from the median of 3 neighbours; -0.5 ±2.5 K here

References:
    A. B. Sharma, L. Golubchik, R. Govindan, Sensor Faults: Detection Methods and Prevalence in Real-World Datasets, ACM
    TOSN 6(3), 2010: estimation from neighbours finds what no rule on one channel can.
    B. de Bruijn et al., Benchmark Datasets for Fault Detection and Classification in Sensor Data, SENSORNETS 2016: slow
    drift.
"""

from collections.abc import Mapping, Sequence
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
    shared,
)
from detectors.parts.groups import amount
from detectors.parts.habits import FIT, Aside, Cells, looked_at
from gateway.core.errors import ConfigError
from gateway.core.model import (
    NO_VERDICTS,
    Batch,
    Float64,
    Int8,
    Int32,
    Int64,
    Judged,
    Level,
    Reason,
    Rule,
    Verdicts,
)
from gateway.core.plugin import Binding, Detector, PluginOptions

BINDING: Final = Binding.PEERS
LEVELS: Final = (Level.WARNING,)
JUDGED: Final = Judged("{}", "deviation from neighbours", "与邻近测点偏差")

PEERS_MAX: Final = 15
"""The most neighbours of a channel that are looked at, the first ones of its area; their median needs no more."""

_WAIT_S: Final = 10_800.0
"""How long a deviation waits before it is learned: what turns out to be the beginning of a drift is not."""
_UNEXPLAINED_MAX: Final = 0.3
"""The largest deviation, as a part of how far the channel itself moves, with which neighbours can be compared."""
_LITTLE: Final = 1.5
"""How many times its limit an episode may reach and be taken for a habit."""
_BEYOND: Final = 1.1
"""How far beyond such an episode the next one begins, in parts of it."""
_SAMPLES: Final = 3
"""Residuals whose median is judged."""


class Options(PluginOptions):
    """How far a channel may leave its neighbours."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"window_s": 5.0, "settle_s": 60.0, "floor": 1.0}, {"window_s": 300.0, "settle_s": 7200.0}]
        }
    )

    window_s: float = Field(
        default=300.0,
        gt=0.0,
        le=86_400.0,
        description="How often the channel is compared with its neighbours, in seconds; at least every second reading.",
        examples=[300.0],
    )
    ratio: float = Field(
        default=2.2,
        gt=1.0,
        le=1000.0,
        description="How many times the largest deviation that was commissioned is too much, without a unit.",
        examples=[2.2],
    )
    floor: float | None = Field(
        default=None,
        gt=0.0,
        description="A deviation below this is never too much, in the channel's unit; by default a fortieth of the "
        "instrument's range, or ten times the last digit that means something where the range is unknown.",
        examples=[2.0],
    )
    peers_min: int = Field(
        default=2,
        ge=2,
        le=PEERS_MAX,
        description="Fewest neighbours with a value that can be compared with, a count without a unit.",
        examples=[2],
    )
    settle_s: float = Field(
        default=86_400.0,
        gt=0.0,
        le=2_678_400.0,
        description="How long a channel is commissioned: its offset and its largest deviation are learned, in seconds "
        "of readings; until then the limit is wider.",
        examples=[86400.0],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def _window_s(rule: Rule) -> float:
    return max(_options(rule).window_s, 2.0 * rule.channel.period_s)


def _floor(rule: Rule) -> float:
    floor, channel = _options(rule).floor, rule.channel
    if floor is not None:
        return floor
    span = channel.range_high - channel.range_low
    return span / 40.0 if span > 0 else 10.0 * 10.0**-channel.decimals


def _wait(rule: Rule) -> float:
    """Return how many comparisons a deviation waits before it is learned."""
    return min(_WAIT_S, _options(rule).settle_s / 4.0) / _window_s(rule)


class Newest:
    """The newest telling value of every channel of some rules, and of whom each rule's neighbours are.

    Args:
        rules: The rules, each with its neighbours behind its first channel.

    Attributes:
        value: float64[channels + 1], NaN where there is none; the rules' first channels stand first, in their order.
        time_ns: int64[channels + 1].
        peers: int32[rules + 1, most neighbours], the places of each rule's; the last place, without a value, for none.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        place = {rule.channel.row: slot for slot, rule in enumerate(rules)}
        for rule in rules:
            for peer in rule.channels[1 : 1 + PEERS_MAX]:
                place.setdefault(peer.row, len(place))
        none = len(place)
        self.value: Float64 = np.full(none + 1, np.nan)
        self.time_ns: Int64 = np.zeros(none + 1, np.int64)
        self.stale_ns: Int64 = np.zeros(none + 1, np.int64)
        most = max((len(rule.channels) - 1 for rule in rules), default=0)
        width = min(max(most, 1), PEERS_MAX)
        self.peers: Int32 = np.full((len(rules) + 1, width), none, np.int32)
        for slot, rule in enumerate(rules):
            near = rule.channels[1 : 1 + PEERS_MAX]
            self.peers[slot, : len(near)] = [place[peer.row] for peer in near]
            for channel in rule.channels[: 1 + PEERS_MAX]:
                stale_s = max(channel.stale_after_s, 3.0 * channel.period_s)
                self.stale_ns[place[channel.row]] = nanoseconds(stale_s)
        self._place: Slots = np.full(max(place, default=-1) + 2, none, np.intp)
        self._place[list(place)] = list(place.values())
        self._others = none > len(rules)
        self._none = none

    def take(self, batch: Batch, share: Share, aside: Aside | None = None) -> None:
        """Take over the newest values: those of the rules' own channels come as a share, the others are looked up.

        Args:
            batch: The readings.
            share: Those of the rules' own channels.
            aside: Where it is known, what of them tells nothing.
        """
        value, slots, time_ns = share.value, share.slots, share.time_ns
        if self._others:
            slots = self._place.take(batch.row, mode="clip")
            value, time_ns = batch.value, batch.time_ns
        # What is set aside is NaN already.
        if share.worst and (aside is None or self._others):
            quality = batch.quality if self._others else share.quality
            value = np.where(FIT[quality], value, np.nan)
        self.value[slots] = value
        self.time_ns[slots] = time_ns
        self.value[self._none] = np.nan

    def around(self, batch: Batch, at: Slots, slots: Slots) -> tuple[Float64, NDArray[np.intp]]:
        """Return the median of each rule's neighbours as they were when its reading came, and of how many it is.

        Called before `take`: of neighbours in the same batch, those before the reading count with their new values.
        """
        places = self._place.take(batch.row, mode="clip")
        position = np.full(self._none + 1, len(batch), np.intp)
        position[places] = np.arange(len(batch))
        position[self._none] = len(batch)
        peers = self.peers[slots]
        came = position[peers]
        new = came < at[:, None]
        came[~new] = 0
        fresh = np.where(FIT[batch.quality], batch.value, np.nan)
        value = np.where(new, fresh[came], self.value[peers])
        age = batch.time_ns[at][:, None] - np.where(new, batch.time_ns[came], self.time_ns[peers])
        value[np.abs(age) > self.stale_ns[peers]] = np.nan
        return median_of(value)

    def save(self) -> dict[str, NDArray[np.generic]]:
        """Return the newest values of each rule's own channel and of its neighbours."""
        own = len(self.peers) - 1
        # A rule's state has one shape, however many neighbours those beside it have.
        near = np.full((own, PEERS_MAX), self._none, np.int32)
        near[:, : self.peers.shape[1]] = self.peers[:-1]
        return {
            "own_value": self.value[:own].copy(),
            "own_time_ns": self.time_ns[:own].copy(),
            "peer_value": self.value[near],
            "peer_time_ns": self.time_ns[near],
        }

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over what `save` returned."""
        own = len(self.peers) - 1
        for name, column in (("value", self.value), ("time_ns", self.time_ns)):
            column[self.peers[:-1]] = state[f"peer_{name}"][:, : self.peers.shape[1]]
            column[:own] = state[f"own_{name}"]
        self.value[-1], self.time_ns[-1] = np.nan, 0


def median_of(value: Float64) -> tuple[Float64, NDArray[np.intp]]:
    """Return the median of each row's numbers and how many they are; NaN where there is none."""
    value = np.sort(value, axis=1)
    count = value.shape[1] - np.isnan(value).sum(axis=1)
    lower = np.take_along_axis(value, np.maximum(count - 1, 0)[:, None] // 2, 1)[:, 0]
    upper = np.take_along_axis(value, (count // 2)[:, None].clip(max=value.shape[1] - 1), 1)[:, 0]
    return lower + 0.5 * (upper - lower), count


class Neighbours(Judge):
    """All rules of this type at once; satisfies `Detector` and `Learning`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        size = self._bank.size
        self._channels = tuple(rule.channel for rule in rules)
        self._newest = Newest(rules)
        window_ns = durations(rules, _window_s, spare=nanoseconds(1.0))
        self._cells = Cells(window_ns)
        self._switch = Switch(self._bank, Level.WARNING, np.zeros(size + 1, np.int64), window_ns)
        self._settle = figures(rules, lambda rule: _options(rule).settle_s / _window_s(rule), spare=1.0)
        self._floor = figures(rules, _floor, spare=1.0)
        self._ratio = figures(rules, lambda rule: _options(rule).ratio, spare=2.0)
        self._peers_min = figures(rules, lambda rule: _options(rule).peers_min, spare=2.0)
        self._samples: Float64 = np.full((size + 1, _SAMPLES), np.nan)
        self._centre: Float64 = np.zeros(size + 1)
        self._waiting: Float64 = np.zeros((size + 1, 2))
        self._own_low: Float64 = np.full(size + 1, np.inf)
        self._own_high: Float64 = np.full(size + 1, -np.inf)
        self._wait = shared(np.ceil(figures(rules, _wait, spare=1.0)))
        self._record: Float64 = np.zeros(size + 1)
        self._age: Float64 = np.zeros(size + 1)
        self._worst: Float64 = np.zeros(size + 1)
        self._compared: Mask = np.zeros(size + 1, np.bool_)
        self._held: Mask = np.zeros(size + 1, np.bool_)
        self.columns |= {
            "cell_end_ns": self._cells.end_ns,
            "samples": self._samples,
            "centre": self._centre,
            "record": self._record,
            "waiting": self._waiting,
            "own_low": self._own_low,
            "own_high": self._own_high,
            "age": self._age,
            "worst": self._worst,
            "compared": self._compared,
            **self._switch.columns(),
        }

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        share = self._bank.share(batch)
        own, aside = looked_at(share) if share.worst else (share, None)
        closing = self._cells.over(own, aside)
        verdicts = NO_VERDICTS if closing is None else self._compare(batch, own, closing)
        self._newest.take(batch, share, aside)
        return verdicts

    def _compare(self, batch: Batch, share: Share, closing: Slots) -> Verdicts:
        at, slots = share.pick(closing)
        time_ns = share.time_ns[closing]
        self._cells.begin(slots, time_ns)
        middle, count = self._newest.around(batch, at, slots)
        compared = count >= self._peers_min[slots]
        self._compared[slots] = compared
        at, slots, time_ns = at[compared], slots[compared], time_ns[compared]
        with np.errstate(over="ignore"):
            self._samples[slots] = np.column_stack([self._samples[slots, 1:], batch.value[at] - middle[compared]])
        residual, known = median_of(self._samples[slots])
        full = known == _SAMPLES
        return self._judge(batch, at[full], slots[full], residual[full], count[compared][full])

    def _judge(self, batch: Batch, at: Slots, slots: Slots, residual: Float64, count: NDArray[np.intp]) -> Verdicts:
        away = np.abs(residual - self._centre[slots])
        limit = self._limit(slots)
        over = (away > limit) & (self._age[slots] >= _SAMPLES) & self._akin(slots)
        after = self._switch.step(slots, batch.time_ns[at], over, away < 0.8 * limit, np.zeros(len(at), np.bool_))
        calm = (after == NORMAL) & (self._bank.levels[slots] == NORMAL)
        self._commission(slots[calm], batch.value[at[calm]], residual[calm])
        self._follow(slots[~calm], after[~calm], (away / limit)[~calm])
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        reason = tuple(self._reason(int(slots[k]), float(residual[k]), float(limit[k]), int(count[k])) for k in changed)
        at, slots, residual, limit = at[changed], slots[changed], residual[changed], limit[changed]
        judged = (residual, limit, margin(away[changed], limit))
        return self._bank.report(batch, at, slots, after[changed], judged=judged, reason=reason)

    def _limit(self, slots: Slots) -> Float64:
        limit: Float64 = np.maximum(self._ratio[slots] * self._record[slots], self._floor[slots])
        return limit

    def _akin(self, slots: Slots) -> Mask:
        """Return which channels go with their neighbours at all: those of which they explain the most part."""
        record = self._record[slots]
        explained = record <= _UNEXPLAINED_MAX * (self._own_high[slots] - self._own_low[slots])
        akin: Mask = explained | (self._ratio[slots] * record <= self._floor[slots])
        return akin

    def _commission(self, slots: Slots, value: Float64, residual: Float64) -> None:
        """Learn the mean of the residuals and the largest deviation from it; nothing once that is done.

        A deviation is learned only when nothing has been raised for some hours after it.
        """
        self._own_low[slots] = np.minimum(self._own_low[slots], value)
        self._own_high[slots] = np.maximum(self._own_high[slots], value)
        learns = ~self._held[slots] & (self._age[slots] < self._settle[slots])
        slots, residual = slots[learns], residual[learns]
        age = self._age[slots]
        self._age[slots] = age + 1.0
        self._centre[slots] += (residual - self._centre[slots]) / (age + 1.0)
        # From the centre with this residual in it: the first one is the whole offset of the place, and no deviation.
        away = np.abs(residual - self._centre[slots])
        ripe = age % self._wait[slots] == self._wait[slots] - 1.0
        self._record[slots[ripe]] = np.maximum(self._record[slots[ripe]], self._waiting[slots[ripe], 0])
        self._waiting[slots[ripe], 0] = self._waiting[slots[ripe], 1]
        self._waiting[slots[ripe], 1] = 0.0
        self._waiting[slots, 1] = np.maximum(self._waiting[slots, 1], away)

    def _follow(self, slots: Slots, after: Int8, share: Float64) -> None:
        """Follow episodes, and take one that is over and went little beyond its limit for a habit not known before."""
        self._waiting[slots] = 0.0
        worst = np.maximum(self._worst[slots], share)
        self._worst[slots] = np.where(after == NORMAL, 0.0, worst)
        habit = (after == NORMAL) & (worst <= _LITTLE) & ~self._held[slots]
        slots, worst = slots[habit], worst[habit]
        self._record[slots] = self._limit(slots) * worst / self._ratio[slots] * _BEYOND

    def _reason(self, slot: int, residual: float, limit: float, count: int) -> Reason:
        channel = self._channels[slot]
        here = amount(channel, float(self._centre[slot]), signed=True, change=True)
        usual = amount(channel, limit, change=True)
        found = amount(channel, residual, signed=True, change=True)
        number = here.partition(" ")[0]
        return Reason(
            f"{found} from the median of {count} neighbours; {number} ±{usual} here",
            f"与 {count} 个邻近测点的中位数相差 {found}；此处正常 {number} ±{usual}",
        )

    @property
    def score(self) -> Float64:
        """float64[rules], how far each channel lies from its neighbours, as a share of its limit, at most 1."""
        every = np.arange(self._bank.size)
        residual, known = median_of(self._samples[:-1])
        share = np.minimum(np.abs(residual - self._centre[:-1]) / self._limit(every), 1.0)
        return np.where(self.ready & (known == _SAMPLES), share, np.nan)

    @property
    def ready(self) -> NDArray[np.bool_]:
        """bool[rules], whether each channel is commissioned and has enough neighbours to be compared with."""
        commissioned = self._age[:-1] >= self._settle[:-1]
        ready: Mask = self._compared[:-1] & commissioned & self._akin(np.arange(self._bank.size))
        return ready

    def hold(self, held: NDArray[np.bool_]) -> None:
        """Learn nothing from these channels until told otherwise."""
        self._held = self._bank.by_slot(held)

    def relearn(self, rules: NDArray[np.intp]) -> None:
        """Forget what was learned of these rules."""
        self._centre[rules] = self._record[rules] = self._age[rules] = self._worst[rules] = 0.0
        self._samples[rules] = np.nan
        self._waiting[rules] = 0.0
        self._own_low[rules], self._own_high[rules] = np.inf, -np.inf

    def save(self) -> dict[str, NDArray[np.generic]]:
        """Return all state; of each rule also what it knows of its neighbours."""
        return super().save() | self._newest.save()

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over what `save` returned. Raises ValueError where it was saved for other rules."""
        super().restore(state)
        self._newest.restore(state)

    def _restored(self) -> None:
        self._switch.restored()
        self._cells.restored()


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A channel has too few neighbours of its quantity and unit in its area, so that the rule could never
            judge.
    """
    for rule in rules:
        near, least = len(rule.channels) - 1, _options(rule).peers_min
        if near < least:
            raise ConfigError(
                ("channels",),
                f"{rule.channel.id} has {near} neighbours of its quantity in its area, and {least} are needed",
            ).under(*rule.path)
    return Neighbours(rules)
