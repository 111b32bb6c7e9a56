"""What was said held against what was so: found, missed, how late, and how often for nothing.

The definitions, which every figure of this package follows:

- An *episode* is a rule's time away from normal, from raise to return. A rise to a graver level is news as a raise is.
- A *window* is the time of a truth, from `lead_s` before its beginning to `grace_s` after its end.
- A truth is *found* by the first news in its window from a rule that judges one of its channels. An episode that began
  in another truth's window and lasts into this one finds it too, at this window's beginning: somebody was looking. One
  that began before any window does not: a detector that always says so would find everything.
- The *delay* is counted from the truth's own moment (`Truth.from_ns`), so it may be negative.
- An episode is *false* where it begins outside of the windows of all truths that concern what its rule judges.
- *Clean time* is the time that a rule watched outside of all such windows; gaps in its readings do not count as
  watched. False episodes are given a rule and week of clean time; for a rule a channel that is a channel and week.
- Nothing that happens in the part for learning counts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

import numpy as np

from gateway.core.clock import NS_PER_S
from gateway.core.model import Channel, Int64, Level, Rule
from gateway.core.units import QUANTITIES, QuantityKind, quantity
from gateway.evaluation.episodes import Episode
from gateway.evaluation.recording import Recording, Truth
from gateway.evaluation.rules import Judging
from gateway.evaluation.run import Run, Told

NS_PER_WEEK: Final = 7 * 86_400 * NS_PER_S
GAP_PERIODS: Final = 10.0
"""A reading stands for the time until the next one, but for no more than so many periods."""
FAULTS: Final = "fault*"
FOR: Final = {"leak": ("leak",), "fire": ("fire",)}
"""Detectors that are made for one kind of truth."""
SHOWN_BY: Final = {
    "leak": frozenset({QuantityKind.COMBUSTIBLE, QuantityKind.TOXIC, QuantityKind.OXYGEN}),
    "fire": frozenset({QuantityKind.FIRE}),
}
"""What shows a leak or a fire at all: a thermometer misses no leak."""
ALSO_SHOW: Final = {"leak": frozenset({"voc"}), "fire": frozenset({"temperature", "co", "co2", "o2", "pm2_5"})}


@dataclass(frozen=True, slots=True)
class Finding:
    """One truth that a detector was to find.

    Attributes:
        recording: The recording's name.
        truth: The truth.
        delay_s: Seconds from the truth's moment to the first news; None where it was missed.
        episode: The episode that found it.
    """

    recording: str
    truth: Truth
    delay_s: float | None
    episode: Episode | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Judged:
    """How well an entry of the rules did on all recordings.

    Attributes:
        findings: All truths it was to find, found or missed.
        false: Episodes for nothing, with their recording's name.
        episodes: How many there were in all, those in the part for learning left out.
        clean_weeks: Weeks of clean time, summed over its rules.
    """

    findings: tuple[Finding, ...]
    false: tuple[tuple[str, Episode], ...]
    episodes: int
    clean_weeks: float

    @property
    def found(self) -> int:
        """How many truths were found."""
        return sum(finding.delay_s is not None for finding in self.findings)

    @property
    def missed(self) -> int:
        """How many were not."""
        return len(self.findings) - self.found

    @property
    def delays_s(self) -> list[float]:
        """The delays of those found, rising."""
        return sorted(finding.delay_s for finding in self.findings if finding.delay_s is not None)

    @property
    def false_per_week(self) -> float:
        """False episodes a rule and week of clean time; NaN where there was no clean time."""
        return len(self.false) / self.clean_weeks if self.clean_weeks > 0 else float("nan")

    def delay_s(self, percent: float) -> float:
        """Return a percentile of the delays, interpolated; NaN where nothing was found."""
        delays = self.delays_s
        return float(np.percentile(delays, percent)) if delays else float("nan")

    def by_kind(self) -> dict[str, tuple[int, int]]:
        """Return found and all, for each kind of truth."""
        found: dict[str, tuple[int, int]] = {}
        for finding in self.findings:
            hit, total = found.get(finding.truth.kind, (0, 0))
            found[finding.truth.kind] = (hit + (finding.delay_s is not None), total + 1)
        return dict(sorted(found.items()))


def judged(run: Run, judging: Judging) -> Judged:
    """Judge what an entry of the rules said of all recordings; those without a known truth are left out."""
    answers = judging.answers.get(run.entry.section.id)
    findings: list[Finding] = []
    false: list[tuple[str, Episode]] = []
    episodes, clean_ns = 0, 0
    for told in run.told:
        if not told.recording.labelled:
            continue
        one = _Bout(told, judging)
        findings += one.findings(answers)
        counted = [episode for episode in told.episodes if episode.start_ns >= told.recording.judged_from_ns]
        episodes += len(counted)
        false += [(told.recording.name, episode) for episode in counted if one.is_false(episode)]
        clean_ns += sum(one.clean_ns(rule) for rule in told.rules)
    return Judged(tuple(findings), tuple(false), episodes, clean_ns / NS_PER_WEEK)


class _Bout:
    """One entry of the rules against one recording."""

    def __init__(self, told: Told, judging: Judging) -> None:
        self.told = told
        self.recording: Recording = told.recording
        self.lead_ns, self.grace_ns = (round(s * NS_PER_S) for s in (judging.lead_s, judging.grace_s))
        self._windows = {
            rule.id: [self.window(t) for t in self.recording.truths if _of(rule, t)] for rule in told.rules
        }

    def window(self, truth: Truth) -> tuple[int, int]:
        return truth.start_ns - self.lead_ns, truth.end_ns + self.grace_ns

    def findings(self, answers: Sequence[str] | None) -> Iterator[Finding]:
        """Yield the truths that this entry was to find."""
        for truth in self.recording.truths:
            mine = [rule for rule in self.told.rules if _of(rule, truth)]
            asked = [rule for rule in mine if answers_to(rule, truth, self.recording, answers)]
            if not truth.counted or not asked or self.window(truth)[1] < self.recording.judged_from_ns:
                continue
            yield self._finding(truth, {rule.id for rule in asked})

    def _finding(self, truth: Truth, rules: set[str]) -> Finding:
        begin_ns, end_ns = self.window(truth)
        first_ns, by = end_ns + 1, None
        for episode in self.told.episodes:
            if episode.rule.id not in rules or episode.start_ns > end_ns or episode.end_ns < begin_ns:
                continue
            news_ns = self._news_ns(episode, begin_ns, end_ns)
            if news_ns is not None and news_ns < first_ns:
                first_ns, by = news_ns, episode
        if by is None:
            return Finding(self.recording.name, truth, None)
        return Finding(self.recording.name, truth, (first_ns - truth.from_ns) / NS_PER_S, by)

    def _news_ns(self, episode: Episode, begin_ns: int, end_ns: int) -> int | None:
        """Return when an episode told of what was in a window; None where it did not."""
        if episode.start_ns < begin_ns and not self.is_false(episode):
            return begin_ns
        return next((time_ns for time_ns in episode.rises_ns if begin_ns <= time_ns <= end_ns), None)

    def is_false(self, episode: Episode) -> bool:
        """Return whether an episode begins outside of all windows that concern its rule."""
        return not any(begin <= episode.start_ns <= end for begin, end in self._windows[episode.rule.id])

    def clean_ns(self, rule: Rule) -> int:
        """Return for how long a rule watched outside of all windows."""
        rows = [channel.row for channel in rule.judges]
        time_ns = np.unique(self.recording.time_ns[np.isin(self.recording.row, rows)])
        time_ns = time_ns[time_ns >= self.recording.judged_from_ns]
        if len(time_ns) < 2:
            return 0
        period_s = min(channel.period_s for channel in rule.judges)
        watched = np.minimum(np.diff(time_ns), round(GAP_PERIODS * period_s * NS_PER_S))
        return int(watched[~inside(time_ns[:-1], self._windows[rule.id])].sum())


def _of(rule: Rule, truth: Truth) -> bool:
    return any(truth.concerns(channel) for channel in rule.judges)


def answers_to(rule: Rule, truth: Truth, recording: Recording, answers: Sequence[str] | None) -> bool:
    """Return whether a rule is for a truth of a recording.

    Args:
        rule: The rule.
        truth: The truth.
        recording: The recording; where it has faults of instruments and nothing else, they are for every rule.
        answers: The kinds that the rules file says; None to go by what the rule can report.
    """
    if answers is None:
        answers = FOR.get(rule.type)
    if answers is not None:
        return any(fnmatchcase(truth.kind, pattern) for pattern in answers)
    if truth.kind in SHOWN_BY and not any(_shows(truth.kind, channel) for channel in rule.judges):
        return False
    levels, fault = set(rule.levels), fnmatchcase(truth.kind, FAULTS)
    if levels == {Level.FAULT}:
        return fault or truth.kind == "anomaly"
    limits = bool(levels & {Level.LOW, Level.HIGH})
    return not (fault and limits and any(not fnmatchcase(t.kind, FAULTS) for t in recording.truths if t.counted))


def _shows(kind: str, channel: Channel) -> bool:
    known = quantity(channel.quantity)
    # What a public set calls its channels says nothing of physics.
    return channel.quantity not in QUANTITIES or known.kind in SHOWN_BY[kind] or channel.quantity in ALSO_SHOW[kind]


def inside(time_ns: Int64, windows: Sequence[tuple[int, int]]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return where times lie in any window, both ends inside.

    >>> inside(np.array([1, 2, 3, 9]), [(2, 3), (3, 5)]).tolist()
    [False, True, True, False]
    """
    found = np.zeros(len(time_ns), np.bool_)
    for begin, end in windows:
        found |= (time_ns >= begin) & (time_ns <= end)
    return found
