"""Judged reading by reading: F1, false and missing alarm rates, and the score of the Numenta benchmark.

A *unit* is what a truth is told of: a channel where truths name channels, an area where they name areas, else the
whole recording. In each unit, a moment at which there are readings is *said* where any of the detector's rules for it
is not normal, and *so* where it lies in a truth's window, without lead or grace. Only recordings that have truths
count, and nothing in their part for learning.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.core.model import Channel, Float64, Int64, Rule
from gateway.evaluation import nab
from gateway.evaluation.judge import answers_to, inside
from gateway.evaluation.recording import Recording
from gateway.evaluation.run import Run, Told

NAB_READINGS_MAX: Final = 5_000_000


@dataclass(frozen=True, slots=True)
class Points:
    """Counts of moments.

    Attributes:
        hit: Said and so.
        false: Said and not so.
        missed: So and not said.
        quiet: Neither.
    """

    hit: int = 0
    false: int = 0
    missed: int = 0
    quiet: int = 0

    def __add__(self, other: "Points") -> "Points":
        return Points(
            self.hit + other.hit, self.false + other.false, self.missed + other.missed, self.quiet + other.quiet
        )

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN where nothing was said or so."""
        whole = 2 * self.hit + self.false + self.missed
        return 2 * self.hit / whole if whole else float("nan")

    @property
    def far_percent(self) -> float:
        """Share of the moments that were not so and said nevertheless."""
        whole = self.false + self.quiet
        return 100.0 * self.false / whole if whole else float("nan")

    @property
    def mar_percent(self) -> float:
        """Share of the moments that were so and not said."""
        whole = self.hit + self.missed
        return 100.0 * self.missed / whole if whole else float("nan")


@dataclass(frozen=True, slots=True)
class NabScores:
    """Scores of the Numenta benchmark, in percent of the way from silence to perfection.

    Attributes:
        alarms: As the rule raised its alarms, by profile.
        best: At the threshold of its score that is best for all series; empty where it has no score.
        held_out: Standard profile, each category judged by the threshold that is best for all others; NaN as above.
        threshold: The best threshold of the standard profile; NaN as above.
    """

    alarms: dict[str, float]
    best: dict[str, float]
    held_out: float = float("nan")
    threshold: float = float("nan")


@dataclass(frozen=True, slots=True)
class Unit:
    """What truths are told of, with what a detector said of it.

    Attributes:
        name: The recording's name, and the unit's where there are several.
        time_ns: int64[n], the moments.
        said: bool[n], whether any rule was not normal.
        raised: bool[n], where an episode began.
        windows: The truths' windows.
        ignored: Windows of truths that are not counted, or that the detector is not for: they count neither way.
        judged_from_ns: What is before is for learning.
        score: float64[n], the rule's score at the moments; None where there are several rules, or none that learns.
    """

    name: str
    time_ns: Int64
    said: NDArray[np.bool_]
    raised: NDArray[np.bool_]
    windows: tuple[tuple[int, int], ...]
    ignored: tuple[tuple[int, int], ...]
    judged_from_ns: int
    score: Float64 | None = None

    def points(self) -> Points:
        """Count."""
        so = inside(self.time_ns, self.windows)
        counted = (self.time_ns >= self.judged_from_ns) & (so | ~inside(self.time_ns, self.ignored))
        so, said = so[counted], self.said[counted]
        sums = ((so & said).sum(), (~so & said).sum(), (so & ~said).sum(), (~so & ~said).sum())
        return Points(*(int(n) for n in sums))


def units(run: Run, answers: Sequence[str] | None = None) -> Iterator[Unit]:
    """Yield the units of all recordings for which the truth is known."""
    for told in run.told:
        if told.recording.labelled:
            yield from _units(told, answers)


def points(made: Sequence[Unit]) -> Points:
    """Return the counts over the units of recordings that have truths."""
    having = {unit.name.partition("|")[0] for unit in made if unit.windows}
    return sum((unit.points() for unit in made if unit.name.partition("|")[0] in having), Points())


def nab_scores(made: Sequence[Unit]) -> NabScores | None:
    """Return the benchmark's scores; None where all is window or nothing is, or for too many readings."""
    if not any(unit.windows for unit in made) or sum(len(unit.time_ns) for unit in made) > NAB_READINGS_MAX:
        return None
    if all(inside(unit.time_ns, (*unit.windows, *unit.ignored)).all() for unit in made):
        return None
    alarms: dict[str, float] = {}
    best: dict[str, float] = {}
    held_out = threshold = float("nan")
    windows = [nab.positions(unit.time_ns, unit.windows) for unit in made]
    scored = all(unit.score is not None for unit in made)
    for profile in nab.PROFILES:
        raised = [nab.weigh(u.raised.astype(float), w, profile) for u, w in zip(made, windows, strict=True)]
        alarms[profile.name] = nab.at_threshold(raised, 0.5)
        if not scored:
            continue
        corpus = {
            unit.name: nab.weigh(unit.score, found, profile)
            for unit, found in zip(made, windows, strict=True)
            if unit.score is not None
        }
        at_best = nab.best(list(corpus.values()))
        best[profile.name] = at_best.score
        if profile is nab.STANDARD:
            threshold = at_best.threshold
            groups = nab.by_category(corpus)
            held_out = nab.held_out(corpus, groups) if len(groups) > 1 else float("nan")
    return NabScores(alarms, best, held_out, threshold)


def _units(told: Told, answers: Sequence[str] | None) -> Iterator[Unit]:
    recording = told.recording
    for name, channels in _parts(recording):
        ids = {channel.id for channel in channels}
        rules = [rule for rule in told.rules if any(channel.id in ids for channel in rule.judges)]
        windows: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        for truth in recording.truths:
            if any(truth.concerns(channel) for channel in channels):
                asked = truth.counted and any(answers_to(rule, truth, recording, answers) for rule in rules)
                windows[not asked].append((truth.start_ns, truth.end_ns))
        if rules:
            yield _unit(told, f"{recording.name}|{name}" if name else recording.name, channels, rules, windows)


def _parts(recording: Recording) -> list[tuple[str, tuple[Channel, ...]]]:
    truths = [truth for truth in recording.truths if truth.counted]
    if any(truth.channels for truth in truths):
        return [(channel.id, (channel,)) for channel in recording.channels]
    if any(truth.area for truth in truths):
        areas = dict.fromkeys(channel.area for channel in recording.channels)
        return [(area, tuple(c for c in recording.channels if c.area == area)) for area in areas]
    return [("", recording.channels)]


def _unit(
    told: Told,
    name: str,
    channels: Sequence[Channel],
    rules: Sequence[Rule],
    windows: tuple[list[tuple[int, int]], list[tuple[int, int]]],
) -> Unit:
    recording = told.recording
    mine = np.isin(recording.row, [channel.row for channel in channels])
    only = rules[0] if len(rules) == 1 and rules[0].id in told.scores else None
    if only is not None and len(channels) == 1:
        time_ns, score = recording.time_ns[mine], told.scores[only.id].astype(np.float64)
    else:
        time_ns, score = np.unique(recording.time_ns[mine]), None
        if only is not None and set(only.judges) >= set(channels):
            moments = recording.time_ns[np.isin(recording.row, [c.row for c in only.judges])]
            last = np.searchsorted(np.sort(moments), time_ns, side="right") - 1
            score = told.scores[only.id].astype(np.float64)[np.argsort(moments, kind="stable")][last]
    names = {rule.id for rule in rules}
    said, raised = np.zeros(len(time_ns), np.bool_), np.zeros(len(time_ns), np.bool_)
    for episode in told.episodes:
        if episode.rule.id in names:
            until = time_ns <= episode.end_ns if episode.open else time_ns < episode.end_ns
            said |= (time_ns >= episode.start_ns) & until
            raised |= time_ns == episode.start_ns
    so, ignored = (tuple(some) for some in windows)
    return Unit(name, time_ns, said, raised, so, ignored, recording.judged_from_ns, score)
