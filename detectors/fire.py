"""Fire by several criteria at once: heat, smoke and gas of one area, of which two must agree, unless one is certain.

Each channel of the area is judged against its own normal (`parts.criteria`). A kind (heat, smoke, gas) votes from the
moment at which one of its channels shows a rise that is not the day's course, until `within_s` after. Then:

- HIGH where two kinds vote, or where one channel is beyond its own fixed limit or rate of rise: that needs no vote.
- WARNING where one kind alone has shown a rise for `warning_delay_s`: dust, steam, a heater, or the begin of a fire.

A channel without a value (BAD) does not vote; a vote that it had given stands until it has a value again. While it is
away, the vote is among the kinds that are left, still two of them; where one kind is left, its fixed limit decides,
and with `alone: alarm` its learned half too. Reasons say which kinds are missing. That a channel has no value is told
by its `fault` rule, never here.

It cannot see: smouldering that stays within smoke's floor or drift and below every limit; fires that no channel of the
area meets; and, where there is only one kind, anything before that kind's own limit but as a WARNING.

    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channels = (
    ...     Channel(0, "ht-01.temperature", "ht-01", "temperature", "°C", decimals=1),
    ...     Channel(1, "sm-01.smoke", "sm-01", "smoke", "OD/m", decimals=3),
    ... )
    >>> detector = create([Rule(0, "fire", "fire", channels, Options(), group=True)])
    >>> for second in range(0, 180, 2):
    ...     grown = max(second - 60, 0)
    ...     batch = Batch.of([0, 1], second * 1_000_000_000, [21.0 + 0.1 * grown, 0.001 + 0.00005 * grown])
    ...     for level, reason in zip((found := detector.update(batch)).level, found.reason):
    ...         print(second, Level(level).name, reason.en)
    132 WARNING temperature +4.9 K; nothing else yet
    152 HIGH temperature +6.2 K and smoke +0.004 OD/m within 80 s

References:
    D. T. Gottuk et al., Advanced fire detection using multi-signature alarm algorithms, Fire Safety Journal 37 (2002):
    smoke and carbon monoxide together give fewer false alarms, and earlier true ones.
    M. J. Cestari, C. Worrell, J. A. Milke, Advanced fire detection algorithms using data from the home smoke detector
    project, Fire Safety Journal 40 (2005).
    EN 54-5 (heat), EN 54-7 (smoke), EN 54-29, -30 and -31 (several sensors).
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from pydantic import ConfigDict, Field

from detectors.parts.bank import HIGH, IDLE, NORMAL, WARNING, Delay, Mask, Slots, is_bad, is_over_range, time_column
from detectors.parts.criteria import BEYOND_LIMIT, KINDS, NEVER, Criterion, Senses
from detectors.parts.groups import RoundJudge, amount, listed
from gateway.core.clock import NS_PER_S
from gateway.core.errors import ConfigError
from gateway.core.model import (
    NO_VERDICTS,
    Batch,
    Channel,
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
from gateway.core.units import quantity

BINDING: Final = Binding.GROUP
LEVELS: Final = (Level.WARNING, Level.HIGH)
JUDGED: Final = Judged("", "criteria met", "判据成立数")
HAZARD: Final = True

_VOTES: Final = 2
_RANK: Final = np.array([0, 1, 3, 2, 1], np.int8)
"""How bad each level is: a BAD reading never makes it less."""
_KIND_WORDS: Final = (Reason("heat", "温度"), Reason("smoke", "烟雾"), Reason("gas", "气体"))


class Options(PluginOptions):
    """How the vote is taken; the criteria of the usual quantities need nothing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"within_s": 60.0},
                {"criteria": [{"quantity": "co", "limit": 80.0, "drift": 0.5}], "alone": "alarm"},
            ]
        }
    )

    criteria: tuple[Criterion, ...] = Field(
        default=(),
        description="Criteria that differ from the usual, one a quantity; figures in the channel's unit.",
        examples=[[{"quantity": "temperature", "limit": 70.0}]],
    )
    within_s: float = Field(
        default=60.0,
        gt=0.0,
        le=3600.0,
        description="How long a vote counts after the rise was last seen, in seconds.",
        examples=[60.0],
    )
    warning_delay_s: float = Field(
        default=60.0,
        ge=0.0,
        le=3600.0,
        description="How long one kind alone must show a rise before that is a warning, in seconds; as "
        "long as a vote counts, so that it is told when nobody has agreed.",
        examples=[60.0],
    )
    alone: Literal["warn", "alarm"] = Field(
        default="warn",
        description="What the rise of one kind is while no other kind has a value, a word without a unit: `warn`, so "
        "that only its fixed limit is an alarm, or `alarm`.",
        examples=["warn"],
    )


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


class Fire(RoundJudge):
    """All fire rules at once; satisfies `Detector`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self._rules = tuple(rules)
        self._senses = Senses(self, rules, [_options(rule).criteria for rule in rules])
        self._within_ns = time_column(rules, lambda rule: _options(rule).within_s)
        self._delay = Delay(time_column(rules, lambda rule: _options(rule).warning_delay_s))
        self._alone = np.array([_options(rule).alone == "alarm" for rule in rules] + [False], np.bool_)
        self._gone: Mask = self.member_column("gone", 0, np.bool_)
        self.columns["warning_ns"] = self._delay.since_ns
        # Which rules must be judged reading by reading: not calm before, or not known to be.
        self._awake: Mask = np.zeros(len(rules) + 1, np.bool_)
        kinds = range(len(KINDS))
        self._of_kind: Mask = np.stack([self._senses.kind == kind for kind in kinds])

    def _calm(self, batch: Batch, mine: Slots, slots: Slots, places: Slots) -> Mask:
        """Take over the readings of rules that are calm and stay so; return the rules that are not."""
        stirred: Mask = self._awake | (self._bank.levels != NORMAL)
        asleep = np.flatnonzero(~stirred[slots])
        if not len(asleep):
            return stirred
        mine, slots, places = mine[asleep], slots[asleep], places[asleep]
        bad = is_bad(batch.quality[mine])
        good = np.flatnonzero(~bad)
        new = self._senses.read(slots[good], places[good], batch.take(mine[good]), np.zeros(len(good), np.bool_))
        stirred[slots[good[new.met | (new.beyond != 0)]]] = True
        stirred[-1] = False
        calm = ~stirred[slots]
        kept = calm[good]
        if kept.any():
            self._senses.keep(slots[good[kept]], places[good[kept]], new.only(kept))
        self._gone[slots[calm], places[calm]] = bad[calm]
        return stirred

    def _round(self, batch: Batch, at: Slots, slots: Slots, places: Slots) -> Verdicts:
        """Judge at most one reading of each rule."""
        time_ns, before = batch.time_ns[at], self._bank.levels[slots]
        bad = is_bad(batch.quality[at])
        self._gone[slots, places] = bad
        live = self._live(slots, time_ns)
        good = np.flatnonzero(~bad)
        if len(good):
            new = self._senses.read(slots[good], places[good], batch.take(at[good]), before[good] == HIGH)
            self._senses.keep(slots[good], places[good], new)
        # The vote of a member that has lost its value stands until it has one again.
        state, stands = self._senses.state, np.flatnonzero(bad & live[np.arange(len(at)), places])
        state.met_ns[slots[stands], places[stands]] = state.seen_ns[slots[stands], places[stands]]
        votes = self._votes(slots, time_ns)
        after = self._decide(slots, time_ns, before, votes)
        holds = bad | is_over_range(batch.quality[at])
        after = np.where(holds & (_RANK[after] < _RANK[before]), before, after)
        self._awake[slots] = (after != NORMAL) | votes.any(axis=0) | (self._delay.since_ns[slots] != IDLE)
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        return self._report(batch, at[changed], slots[changed], after[changed])

    def _live(self, slots: Slots, time_ns: Int64) -> Mask:
        """Return bool[n, members]: whose vote counts at these times."""
        state, now_ns = self._senses.state, time_ns[:, None]
        met = self._met(slots)
        # What lies ahead of now was read before a clock was set back, and counts from now. What has run out is
        # forgotten, so that no clock set back brings it to life again.
        since = np.where(met, state.met_ns[slots], np.minimum(state.met_ns[slots], now_ns))
        live: Mask = met | ((now_ns - since <= self._within_ns[slots][:, None]) & (since != NEVER))
        state.met_ns[slots] = np.where(live, since, NEVER)
        return live

    def _met(self, slots: Slots) -> Mask:
        """Return bool[n, members]: who shows a rise at its last reading."""
        state = self._senses.state
        met: Mask = (state.met_ns[slots] == state.seen_ns[slots]) & (state.seen_ns[slots] != NEVER)
        return met

    def _votes(self, slots: Slots, time_ns: Int64) -> Mask:
        """Return bool[kinds, n]: which kinds vote."""
        votes: Mask = np.logical_or.reduce(self._of_kind[:, slots] & self._live(slots, time_ns), axis=2)
        return votes

    def _decide(self, slots: Slots, time_ns: Int64, before: Int8, votes: Mask) -> Int8:
        count = votes.sum(axis=0)
        high = (count >= self._needed(slots)) | (self._senses.state.beyond[slots] != 0).any(axis=1)
        going: Mask = np.any(self._met(slots), axis=1)
        due = self._delay.due(slots, time_ns, going)
        lingers = (before != NORMAL) & (count > 0)
        level: Int8 = np.where(high, HIGH, np.where(due | lingers, WARNING, NORMAL))
        return level

    def _needed(self, slots: Slots) -> Slots:
        """Return how many kinds must agree: two, or one where that is wished and no other kind has a value."""
        present = (self._of_kind[:, slots] & ~self._gone[slots]).any(axis=2).sum(axis=0)
        needed: Slots = np.where(self._alone[slots] & (present < _VOTES), 1, _VOTES)
        return needed

    def _report(self, batch: Batch, at: Slots, slots: Slots, after: Int8) -> Verdicts:
        time_ns = batch.time_ns[at]
        count = self._votes(slots, time_ns).sum(axis=0).astype(np.float64)
        needed = self._needed(slots).astype(np.float64)
        reasons = tuple(
            self._reason(slot, int(now), level) for slot, now, level in zip(slots, time_ns, after, strict=True)
        )
        judged: tuple[Float64, Float64, Float32] = (count, needed, (count / needed).astype(np.float32))
        return self._bank.report(batch, at, slots, after, judged=judged, reason=reasons)

    def _reason(self, slot: int, now_ns: int, level: int) -> Reason:
        """Return why a rule changed its opinion; read after its members' state was brought up to `now_ns`."""
        beyond = np.flatnonzero(self._senses.state.beyond[slot])
        if level == HIGH and len(beyond):
            said = self._certain(slot, int(beyond[0]))
        elif level == NORMAL:
            within_s = self._within_ns[slot] / NS_PER_S
            said = Reason(f"no rise for {within_s:g} s", f"{within_s:g} 秒内无上升")
        else:
            said = self._agreed(slot, now_ns)
        missing = self._missing(slot)
        return Reason(said.en + missing.en, said.zh + missing.zh)

    def _certain(self, slot: int, place: int) -> Reason:
        senses, channel = self._senses, self._rules[slot].channels[place]
        name = _called(channel)
        if senses.state.beyond[slot, place] & BEYOND_LIMIT:
            value = amount(channel, float(senses.state.value[slot, place]))
            limit = amount(channel, float(senses.limit[slot, place]))
            return Reason(f"{name.en} {value}, limit {limit}: no vote needed", f"{name.zh}{value},限值{limit}:无需表决")
        unit = amount(channel, 0.0, change=True).partition(" ")[2]
        rate = f"{senses.state.rate[slot, place]:+.3g} {unit}/min"
        limit = f"{senses.rate_limit[slot, place]:g} {unit}/min"
        return Reason(f"{name.en} {rate}, limit {limit}: no vote needed", f"{name.zh}{rate},限值{limit}:无需表决")

    def _agreed(self, slot: int, now_ns: int) -> Reason:
        """Return what each kind that votes has shown, and how far apart they began to."""
        state, live = self._senses.state, self._live(np.array([slot]), np.array([now_ns]))[0]
        height = np.where(live, state.peak[slot] / self._senses.floor[slot], -np.inf)
        best = [
            int(np.argmax(np.where(mine, height, -np.inf))) for mine in self._of_kind[:, slot] if (mine & live).any()
        ]
        shown = [self._shown(slot, place) for place in best]
        if len(best) < _VOTES:
            one = listed(shown)
            return Reason(f"{one.en}; nothing else yet", f"{one.zh};暂无其他判据")
        onset_s = state.onset_ns[slot, best] / NS_PER_S
        span_s = float(np.ptp(onset_s))
        all_ = listed(shown)
        return Reason(f"{all_.en} within {span_s:.0f} s", f"{all_.zh},相隔{span_s:.0f}秒")

    def _shown(self, slot: int, place: int) -> Reason:
        channel = self._rules[slot].channels[place]
        rise = amount(channel, float(self._senses.state.peak[slot, place]), signed=True, change=True)
        name = _called(channel)
        return Reason(f"{name.en} {rise}", f"{name.zh}{rise}")

    def _missing(self, slot: int) -> Reason:
        """Return which kinds have no value in any of their channels."""
        of_kind = self._of_kind[:, slot]
        gone = [kind for kind, mine in enumerate(of_kind) if mine.any() and self._gone[slot][mine].all()]
        if not gone:
            return Reason("", "")
        words = listed([_KIND_WORDS[kind] for kind in gone])
        return Reason(f"; {words.en} has no value", f";{words.zh}无数值")

    def _restored(self) -> None:
        # Whatever was under way is looked at in full once; what is calm falls asleep again.
        self._awake[:-1] = True


def _called(channel: Channel) -> Reason:
    known = quantity(channel.quantity)
    return Reason(known.label.lower(), known.label_zh)


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: Nothing usual is known of a channel's quantity and unit, and no criterion is given for it; or a
            criterion is of a quantity that nothing measures, or of a limit that its channel can never show.
    """
    sections: dict[int, list[Rule]] = {}
    for rule in rules:
        # The groups of one section of the site file share its options; not each area needs each quantity.
        sections.setdefault(id(rule.options), []).append(rule)
    for section in sections.values():
        _check_criteria(section)
    return Fire(rules)


def _check_criteria(section: Sequence[Rule]) -> None:
    """Raise ConfigError for a criterion that would judge nothing: a misspelt one must not pass for a limit."""
    first, channels = section[0], [channel for rule in section for channel in rule.channels]
    for k, criterion in enumerate(_options(first).criteria):
        own = [channel for channel in channels if channel.quantity == criterion.quantity]
        if not own:
            there = ", ".join(sorted({channel.quantity for channel in channels}))
            problem = f"no channel of the rule measures {criterion.quantity!r}; there are {there}"
            raise ConfigError(("options", "criteria", k, "quantity"), problem).under(*first.path)
        for channel in own:
            if criterion.limit is not None and criterion.limit > channel.range_high:
                problem = (
                    f"{criterion.limit:g} {channel.unit} lies beyond the range of {channel.id}, which ends at "
                    f"{channel.range_high:g} {channel.unit}"
                )
                raise ConfigError(("options", "criteria", k, "limit"), problem).under(*first.path)
