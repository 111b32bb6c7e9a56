"""Set points and parameters for a wished rate of false alarms, found on a site's own past.

A site's past is held to be calm but for what the engineer excepts, so every episode in it is a false one. For each rule
that speaks too often three kinds of change are tried in this order, each with the smallest step that is enough; only
where none is enough by itself are they put together:

1. *Calm*: a wider deadband, a longer off-delay or hold. The rule still raises as early as before; one event makes one
   alarm in place of many.
2. *Delay*: an on-delay. The rule raises later, by that much.
3. *Sensitivity*: a set point or a limit. The rule raises later, or no more, for what stays below the new one.

What weakens a limit alarm of gas or fire is said in plain words, a set point is never moved beyond what GB/T 50493
allows (detectors refuse that), and a rule is not touched when one instrument of many makes nearly all of its episodes:
then the instrument is to be looked at. A rule that only warns and is calmer than it need be is made more sensitive.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.core.clock import NS_PER_S
from gateway.core.errors import ConfigError, SiteFileError
from gateway.core.model import Level
from gateway.core.units import quantity
from gateway.evaluation.edit import Edit, number
from gateway.evaluation.history import during, of_channels
from gateway.evaluation.judge import Judged, judged
from gateway.evaluation.recording import Recording
from gateway.evaluation.rules import Entry, Rules
from gateway.evaluation.run import Run, run
from gateway.site.rules import HAZARDS

PROOF_MIN: Final = 3.0
"""Episodes that the wished rate would allow in the past there is, at the least, before its calm proves a rule too calm:
with fewer, none at all is what chance makes of a rule at the wished rate once in twenty times."""

CALM: Final = ("deadband", "off_delay_s", "hold_s")
DELAY: Final = ("on_delay_s",)
SENSITIVITY: Final = ("limit", "ratio", "deviations", "warn_at", "low", "high")
"""Options of which a greater value says less, where the danger is above."""

CALM_S: Final = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
DEADBAND_SHARES: Final = (0.05, 0.1, 0.2)
"""Of the lowest set point."""
DELAY_S: Final = (2.0, 5.0, 10.0, 20.0, 30.0)
HAZARD_DELAY_S: Final = (2.0, 5.0)
"""A gas or fire alarm waits for no longer than that on a program's word."""
WEAKER: Final = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0)
ONE_CULPRIT: Final = 0.8
"""Share of the episodes of one channel from which on the rule is not to blame."""
CULPRIT_OF: Final = 3
CULPRIT_EPISODES: Final = 5
"""Fewer channels or episodes than these blame nobody."""
MARGIN_S: Final = 1800.0
"""How much of the past around an episode is replayed: more than delays, windows and slopes of limits reach."""
WORTH: Final = 0.8
"""A step that leaves more than this share of the episodes is not taken."""


@dataclass(frozen=True, slots=True)
class Change:
    """One option of one rule, and what it does.

    Attributes:
        rule: The rule's id in the site file.
        edit: The change of the text.
        before: The option's value now; None where it is not set.
        episodes: Episodes in the past before and after this change, the changes before it made already.
        per_week: The same a rule and week of watched time.
        weakens: What the rule will do less well, in plain words; empty where nothing.
    """

    rule: str
    edit: Edit
    before: float | None
    episodes: tuple[int, int]
    per_week: tuple[float, float]
    weakens: str = ""

    @property
    def effect(self) -> str:
        """What is to be expected, in one line."""
        first, second = self.episodes
        return f"{first} → {second} episodes in the span, {self.per_week[0]:.2f} → {self.per_week[1]:.2f} a week"


@dataclass(frozen=True, slots=True)
class Advice:
    """What is found of one rule.

    Attributes:
        rule: The rule's id in the site file.
        episodes: Its episodes in the past.
        per_week: The same a rule and week of watched time.
        changes: What to change, in order; none where it is well or nothing helps.
        remark: What to know beside that.
    """

    rule: str
    episodes: int
    per_week: float
    changes: tuple[Change, ...] = ()
    remark: str = ""


def advise(rules: Rules, recording: Recording, per_week: float) -> Iterator[Advice]:
    """Yield what is found of each rule.

    Args:
        rules: The site's rules.
        recording: Its past, of which all but the excepted times were calm.
        per_week: The wished rate: false episodes a rule and week.

    Raises:
        SiteFileError: A rule cannot be bound.
    """
    for entry in rules.entries:
        yield _Tuning(rules, entry, recording, per_week).advice()


class _Tuning:
    """One rule and its past."""

    def __init__(self, rules: Rules, entry: Entry, recording: Recording, per_week: float) -> None:
        self.rules = replace(rules, entries=(entry,))
        self.id = entry.section.id
        self.wished = per_week
        bound = [rule for part in self.rules.bind(recording, 0) for rule in part]
        self.bound = bound
        self.recording = of_channels(recording, [channel for rule in bound for channel in rule.channels])
        self.hazard = any(quantity(channel.quantity).kind in HAZARDS for rule in bound for channel in rule.judges)
        self.counted: dict[str, tuple[Run, Judged]] = {}
        self.weeks = 0.0
        self.limits = any({Level.LOW, Level.HIGH} & set(rule.levels) for rule in bound)

    @property
    def entry(self) -> Entry:
        return self.rules.entries[0]

    def advice(self) -> Advice:
        if not len(self.recording):
            return Advice(self.id, 0, float("nan"), remark="nothing is kept of its channels in that time")
        made, now = self.count(self.rules)
        if made.failed:
            return Advice(self.id, len(now.false), now.false_per_week, remark="it failed on these readings")
        first = Advice(self.id, len(now.false), now.false_per_week)
        if now.false_per_week <= self.wished:
            calm_warning = not self.limits and {Level.WARNING} == {lv for r in self.bound for lv in r.levels}
            return self.sharpened(first, now) if calm_warning else first
        culprit = _culprit(now)
        if culprit and len(self.bound) >= CULPRIT_OF:
            count, channel = culprit
            remark = f"{count} of its {len(now.false)} episodes are of {channel}: look at that instrument first"
            return replace(first, remark=remark)
        self.look_closer(now)
        return self.calmed(first, now)

    def count(self, rules: Rules) -> tuple[Run, Judged]:
        """Return what a rule says of the past; its clean time is always that of the whole past."""
        key = rules.entries[0].options.model_dump_json()
        if key not in self.counted:
            (made,) = run(rules, [self.recording], scores=False)
            found = judged(made, rules.judging)
            self.weeks = self.weeks or found.clean_weeks
            self.counted[key] = (made, replace(found, clean_weeks=self.weeks))
        return self.counted[key]

    def look_closer(self, now: Judged) -> None:
        """Keep of the past only what is around the episodes, where a rule that says less can say anything at all.

        A rule that learns needs its whole past.
        """
        if self.limits:
            margin_ns = round(MARGIN_S * NS_PER_S)
            windows = [(e.start_ns - margin_ns, e.end_ns + margin_ns) for _, e in now.false]
            self.recording = during(self.recording, windows)

    def calmed(self, first: Advice, now: Judged) -> Advice:
        """Return the changes that bring the rule to the wished rate, or as near as they can."""
        options = (*CALM, *DELAY, *SENSITIVITY)
        for option in options:
            found = self.step(option, now)
            if found is not None and found[2].false_per_week <= self.wished:
                return replace(first, changes=(found[1],))
        changes: list[Change] = []
        for option in options:
            found = self.step(option, now)
            if found is not None and now.false_per_week > self.wished:
                self.rules, change, now = found
                changes.append(change)
        remark = "" if now.false_per_week <= self.wished else (
            "no change of this rule reaches the wished rate: look at the episodes themselves"
        )  # fmt: skip
        return replace(first, changes=tuple(changes), remark=remark)

    def step(self, option: str, now: Judged) -> tuple[Rules, Change, Judged] | None:
        """Return the smallest change of an option that is enough, else the best that is worth it."""
        best: tuple[Rules, Change, Judged] | None = None
        for value in self.weaker(option):
            try:
                rules = self.rules.changed(option, value, self.rules.name)
                _, then = self.count(rules)
            except (ConfigError, SiteFileError):
                break  # The detector refuses it, and would refuse more of it.
            found = (rules, self.change(option, value, now, then), then)
            if then.false_per_week <= self.wished:
                return found
            least = len(now.false) * WORTH if best is None else len(best[2].false) * WORTH
            if len(then.false) <= least:
                best = found
        return best

    def weaker(self, option: str) -> Sequence[float]:
        """Return values of an option that say less and less."""
        present = self.value(option)
        if option not in type(self.entry.options).model_fields:
            return ()
        if option in DELAY:
            return [value for value in (HAZARD_DELAY_S if self.hazard else DELAY_S) if value > (present or 0.0)]
        if option == "deadband":
            return self.deadbands(present or 0.0)
        if option in CALM:
            return [value for value in CALM_S if value > (present or 0.0)]
        if present is None:
            return ()
        return [_beyond(option, present, factor, below=self.below) for factor in WEAKER]

    def deadbands(self, present: float) -> Sequence[float]:
        """Deadbands are in the channel's unit where set points are; a share of the limit elsewhere."""
        if self.entry.section.type != "threshold":
            return [share for share in (0.3, 0.5) if share > present]
        points = [abs(p) for name in ("low", "high") if (p := self.value(name)) is not None]
        return [v for share in DEADBAND_SHARES if points and (v := _rounded(share * min(points))) > present]

    @property
    def unit(self) -> str:
        first = self.bound[0]
        return f" {first.judged.unit.format(first.channel.unit)}".rstrip()

    @property
    def below(self) -> bool:
        return getattr(self.entry.options, "side", None) == "below"

    def value(self, option: str) -> float | None:
        found = getattr(self.entry.options, option, None)
        return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None

    def change(self, option: str, value: float, now: Judged, then: Judged) -> Change:
        place = self.entry.path[-1]
        assert isinstance(place, int), "a rule's path ends in its place in the list"
        return Change(
            rule=self.id,
            edit=Edit(place, option, value),
            before=self.value(option),
            episodes=(len(now.false), len(then.false)),
            per_week=(now.false_per_week, then.false_per_week),
            weakens=self.weakens(option, value),
        )

    def weakens(self, option: str, value: float) -> str:
        """Say in plain words what a change costs."""
        if option in CALM or not self.limits:
            return ""
        what = "gas or fire alarm" if self.hazard else "limit alarm"
        if option in DELAY:
            return f"WEAKENS a {what}: it is raised {number(value)} s later"
        side = "above" if self.below else "below"
        return f"WEAKENS a {what}: nothing is raised any more {side} {option} {number(value)}{self.unit}"

    def sharpened(self, first: Advice, now: Judged) -> Advice:
        """Return the most sensitive limit of a rule that only warns which the wished rate still allows."""
        if now.clean_weeks * self.wished < PROOF_MIN:
            return first
        best: tuple[float, str, Judged] | None = None
        for option in SENSITIVITY:
            present = self.value(option)
            if present is None or option not in type(self.entry.options).model_fields:
                continue
            for factor in WEAKER[:4]:
                value = _beyond(option, present, 1.0 / factor, below=False)
                try:
                    _, then = self.count(self.rules.changed(option, value, self.rules.name))
                except (ConfigError, SiteFileError):
                    break
                if then.false_per_week > self.wished:
                    break
                best = (value, option, then)
            break
        if best is None:
            return first
        value, option, then = best
        return replace(first, changes=(self.change(option, value, now, then),), remark="it can warn earlier")


def _beyond(option: str, present: float, factor: float, *, below: bool) -> float:
    """Return an option's value that says less by a factor above 1, more by one below.

    >>> _beyond("low", 20.0, 1.25, below=False), _beyond("low", 19.5, 1.5, below=True)
    (25.0, 13.0)
    >>> _beyond("warn_at", 0.999, 2.0, below=False)
    0.9995
    """
    if option == "warn_at" and present < 1.0:
        # A calibrated score: 0.999 is one reading in a thousand, so twice as rare is 0.9995.
        return round(1.0 - (1.0 - present) / factor, 9)
    return _rounded(present / factor if below else present * factor)


def _rounded(value: float) -> float:
    """Return a value with three digits that mean something."""
    return float(f"{value:.3g}")


def _culprit(found: Judged) -> tuple[int, str] | None:
    """Return how many episodes are of one channel, and which, where that is nearly all of them."""
    counts: dict[str, int] = {}
    for _, episode in found.false:
        counts[episode.rule.channel.id] = counts.get(episode.rule.channel.id, 0) + 1
    channel = max(counts, key=lambda name: counts[name], default="")
    most = counts.get(channel, 0)
    return (most, channel) if most >= max(CULPRIT_EPISODES, ONE_CULPRIT * len(found.false)) else None
