"""Rules over recordings: the detectors that run on site, fed with readings in their own time; no clock, same result.

Recordings do not know one another, so they are judged side by side: the k-th batch of each travels in one batch, which
costs little more than one of them alone. Detectors keep a state for each rule and must judge alike however readings
are cut into batches; so nobody sees the difference.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gateway.alarms.book import AlarmBook
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Float32, Int8, Rule, Verdicts
from gateway.core.plugin import Detector, Learning
from gateway.evaluation.episodes import Episode, by_rule, episodes
from gateway.evaluation.recording import Recording
from gateway.evaluation.rules import Entry, Rules
from gateway.flow.bench import Bench, arrange
from gateway.flow.pipeline import Pipeline

SCORES_MAX: Final = 60_000_000
"""Scores kept at the most, one for each rule and batch; beyond, scores are left out and the run says so."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one entry of the rules said of one recording.

    Attributes:
        recording: The recording.
        rules: The rules that the entry became.
        episodes: What they raised, in order of time.
        scores: For rules of a detector that learns, its score at each reading of `Rule.judges`, by the rule's id.
    """

    recording: Recording
    rules: tuple[Rule, ...]
    episodes: tuple[Episode, ...]
    scores: Mapping[str, Float32] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Run:
    """What one entry of the rules said of all recordings, and what it cost.

    Attributes:
        entry: The rule as written.
        told: One for each recording that has channels for it.
        cost_s: Seconds spent in its detector.
        readings: Readings that it judged in that time.
        batch_size: Readings a call, on average: what the cost a reading depends on.
        failed: Rules that failed and were taken out of service, by id.
    """

    entry: Entry
    told: tuple[Told, ...]
    cost_s: float
    readings: int
    batch_size: float
    failed: tuple[str, ...] = ()

    @property
    def cost_us(self) -> float:
        """Microseconds a reading; NaN where there was none."""
        return self.cost_s / self.readings * 1e6 if self.readings else float("nan")


def run(rules: Rules, recordings: Sequence[Recording], *, scores: bool = True) -> list[Run]:
    """Judge recordings and return what each entry of the rules said, in their order.

    Args:
        rules: The rules.
        recordings: The recordings; what the rules know of their channels is taken over.
        scores: Keep what detectors that learn say between alarms.

    Raises:
        SiteFileError: A rule cannot be bound, matches nothing, or its detector refuses it.
    """
    rules.check_channels(recordings)
    known = [rules.known(recording) for recording in recordings]
    plan = _Plan(rules, known)
    feed = _Feed(known)
    watched = [[_watched(one, feed, scores=scores) for one in benches] for benches in plan.benches]
    benches = [one.bench for group in watched for one in group]
    pipeline = Pipeline(plan.channels, benches, AlarmBook(plan.rules))
    for step in range(feed.steps):
        feed.step = step
        pipeline.process(feed.batch(step))
    alarms = pipeline.book.alarms()
    failed = {one.id.removeprefix("system/rule/") for one in alarms if one.id.startswith("system/rule/")}
    return [_collect(plan, feed, k, group, failed) for k, group in enumerate(watched)]


class _Plan:
    """Rules of all recordings in one table of channels."""

    def __init__(self, rules: Rules, recordings: Sequence[Recording]) -> None:
        self.recordings = recordings
        self.entries = rules.entries
        self.own: list[list[list[Rule]]] = []
        self.rules: list[Rule] = []
        self.channels: list[Channel] = []
        by_entry: list[list[Rule]] = [[] for _ in rules.entries]
        for recording in recordings:
            own = rules.bind(recording, len(self.rules))
            self.own.append(own)
            shift = len(self.channels)
            for k, part in enumerate(own):
                moved = [_moved(rule, shift, recording.name, alone=len(recordings) == 1) for rule in part]
                by_entry[k] += moved
                self.rules += moved
            self.channels += [replace(channel, row=channel.row + shift) for channel in recording.channels]
        self.benches = [
            [_bench(rules, f"{entry.section.id}-{n}", part) for n, (_, part) in enumerate(arrange(found))]
            for entry, found in zip(rules.entries, by_entry, strict=True)
        ]


def _moved(rule: Rule, shift: int, recording: str, *, alone: bool) -> Rule:
    """Return a rule for the table of all channels, with an id of its own among all recordings."""
    channels = tuple(replace(channel, row=channel.row + shift) for channel in rule.channels)
    return replace(rule, channels=channels, id=rule.id if alone else f"{rule.id}@{recording}")


def _bench(rules: Rules, name: str, made: Sequence[Rule]) -> Bench:
    module: Any = next(e.module for e in rules.entries if e.section.type == made[0].type)
    try:
        return Bench(name, tuple(made), module.create(made))
    except ConfigError as error:
        path = error.path if error.path[:1] == ("rules",) else (*made[0].path, *error.path)
        raise rules.error(ConfigError(path, error.problem)) from error


class _Feed:
    """The readings of all recordings, step by step.

    Attributes:
        steps: How many batches there are.
        step: The one that is judged now.
        at: For each recording, intp[n]: the step in which each of its readings travels.
    """

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self.at = [recording.batches() for recording in recordings]
        shifts = np.cumsum([0, *(len(recording.channels) for recording in recordings)])
        at = np.concatenate(self.at)
        order = np.argsort(at, kind="stable")
        pairs = zip(recordings, shifts.tolist(), strict=False)
        self._row = np.concatenate([one.row + np.int32(shift) for one, shift in pairs])[order]
        self._time_ns, self._value, self._quality = (
            np.concatenate([getattr(one, name) for one in recordings])[order]
            for name in ("time_ns", "value", "quality")
        )
        self.steps = int(at.max()) + 1
        self._edges = np.searchsorted(at[order], np.arange(self.steps + 1)).tolist()
        self.step = 0

    def batch(self, step: int) -> Batch:
        """Return the readings of a step."""
        part = slice(self._edges[step], self._edges[step + 1])
        return Batch(self._row[part], self._time_ns[part], self._value[part], self._quality[part])


class _Watched:
    """A detector that is timed, and whose verdicts are written down; satisfies `Detector`."""

    def __init__(self, bench: Bench, feed: _Feed) -> None:
        self.inner = bench.detector
        self.bench = bench
        self.feed = feed
        self.verdicts: list[Verdicts] = []
        self.seconds, self.calls, self.handed = 0.0, 0, 0

    @property
    def level(self) -> Int8:
        return self.inner.level

    @level.setter
    def level(self, level: Int8) -> None:
        self.inner.level = level

    def update(self, batch: Batch) -> Verdicts:
        begun = time.perf_counter()
        verdicts = self.inner.update(batch)
        self.seconds += time.perf_counter() - begun
        self.calls += 1
        self.handed += len(batch)
        if len(verdicts):
            self.verdicts.append(verdicts)
        return verdicts

    def save(self) -> dict[str, NDArray[np.generic]]:
        return self.inner.save()

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        self.inner.restore(state)


class _WatchedLearner(_Watched):
    """The same of one that learns; its scores are kept; satisfies `Learning` too.

    Attributes:
        scores: float32[steps, rules], the score after each step; None where they would be too many.
    """

    def __init__(self, bench: Bench, feed: _Feed, *, scores: bool) -> None:
        super().__init__(bench, feed)
        few = feed.steps * len(bench.rules) <= SCORES_MAX
        self.scores: Float32 | None = None
        if scores and few:
            self.scores = np.full((feed.steps, len(bench.rules)), np.nan, np.float32)

    @property
    def _learner(self) -> Learning:
        assert isinstance(self.inner, Learning), "made for such only"
        return self.inner

    @property
    def score(self) -> NDArray[np.float64]:
        return self._learner.score

    @property
    def ready(self) -> NDArray[np.bool_]:
        return self._learner.ready

    def hold(self, held: NDArray[np.bool_]) -> None:
        self._learner.hold(held)

    def relearn(self, rules: NDArray[np.intp]) -> None:
        self._learner.relearn(rules)

    def update(self, batch: Batch) -> Verdicts:
        verdicts = super().update(batch)
        if self.scores is not None:
            self.scores[self.feed.step] = self._learner.score
        return verdicts


def _watched(bench: Bench, feed: _Feed, *, scores: bool) -> _Watched:
    learner = isinstance(bench.detector, Learning)
    found = _WatchedLearner(bench, feed, scores=scores) if learner else _Watched(bench, feed)
    detector: Detector = found
    found.bench = Bench(bench.name, bench.rules, detector)
    return found


def _collect(plan: _Plan, feed: _Feed, entry: int, group: Sequence[_Watched], failed: set[str]) -> Run:
    """Return what an entry's detectors said, recording by recording."""
    said = by_rule(verdicts for one in group for verdicts in one.verdicts)
    places = {rule.index: (one, k) for one in group for k, rule in enumerate(one.bench.rules)}
    told: list[Told] = []
    readings = 0
    for n, recording in enumerate(plan.recordings):
        own = plan.own[n][entry]
        if not own:
            continue
        told_of = [e for rule in own for e in episodes(rule, said.get(rule.index, ()), recording.end_ns)]
        told_of.sort(key=lambda episode: (episode.start_ns, episode.rule.index))
        scores = {
            rule.id: s for rule in own if (s := _scores(*places[rule.index], recording, feed.at[n], rule)) is not None
        }
        told.append(Told(recording, tuple(own), tuple(told_of), scores))
        rows = {channel.row for rule in own for channel in rule.judges}
        readings += int(np.isin(recording.row, list(rows)).sum())
    calls, handed = sum(one.calls for one in group), sum(one.handed for one in group)
    ids = tuple(rule.id for one in group for rule in one.bench.rules if rule.id in failed)
    cost_s = sum(one.seconds for one in group)
    return Run(plan.entries[entry], tuple(told), cost_s, readings, handed / calls if calls else 0.0, ids)


def _scores(one: _Watched, place: int, recording: Recording, at: NDArray[np.intp], rule: Rule) -> Float32 | None:
    if not isinstance(one, _WatchedLearner) or one.scores is None:
        return None
    mine = np.isin(recording.row, [channel.row for channel in rule.judges])
    found: Float32 = one.scores[at[mine], place]
    return found
