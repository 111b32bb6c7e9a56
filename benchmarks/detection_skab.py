"""Rules of groups on the Skoltech Anomaly Benchmark: how much of its anomalies they tell, and how rightly.

    HAZGATE_RECORDINGS=… python -m benchmarks detection_skab

Reads the sub-folder `skab`: the repository's `data` or a part of it. The rules are those of
`config/evaluation/skab.yaml`, one set for all files; they learn from the first 400 rows of each, without labels, and
are scored on the rest.

Outliers are scored a row at a time, as the benchmark does: F1, false and missed share. Changes are scored by the
benchmark's variant of the Numenta score: windows of 60 s around each change, cut where they meet; what counts is the
first report in a window, by how early it is. That score can be had by nonsense: a report every 50 seconds, without
looking at anything, is measured beside ours, and false reports are told with every score.

References:
    I. D. Katser, V. O. Kozitsin, Skoltech Anomaly Benchmark, 2020, and the scorer that its notebooks use.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML

from benchmarks.measure import Figure, SkippedError
from detectors import residual, shift
from gateway.core.clock import NS_PER_S
from gateway.core.model import Batch, Level, Rule
from gateway.core.plugin import Detector, PluginOptions
from gateway.evaluation.loaders import skab
from gateway.evaluation.recording import Recording

RULES = Path("config/evaluation/skab.yaml")
FOLDER = "HAZGATE_RECORDINGS"
PROFILES = {"standard": (1.0, -0.11, -1.0), "low FP": (1.0, -0.22, -1.0), "low FN": (1.0, -0.11, -2.0)}
"""What a report in time, a false report and a missed change count."""
WINDOW_S = 60.0
CLOCK_ROWS = 50
F1_GOAL, FALSE_GOAL, CHANGES_GOAL = 0.85, 0.15, 40.0

Marks = NDArray[np.bool_]
KINDS: tuple[tuple[Callable[[Sequence[Rule]], Detector], str, type[PluginOptions]], ...] = (
    (residual.create, "residual", residual.Options),
    (shift.create, "shift", shift.Options),
)


class File(NamedTuple):
    """One file of the benchmark, by its rows.

    Attributes:
        name: Folder and file.
        recording: Its readings.
        seconds: float64[rows], the time of each row.
        anomaly: bool[rows].
        change: bool[rows].
    """

    name: str
    recording: Recording
    seconds: NDArray[np.float64]
    anomaly: Marks
    change: Marks


def files(folder: Path) -> list[File]:
    """Return the benchmark's files that have labels."""
    found = []
    for recording in skab.load(folder):
        if recording.truths:
            # The files tell more digits than the rig's instruments have; what its noise is, is learned.
            channels = [replace(channel, decimals=6) for channel in recording.channels]
            found.append(_file(recording.with_channels(channels)))
    return found


def _file(recording: Recording) -> File:
    times = np.unique(recording.time_ns)
    anomaly, change = np.zeros(len(times), bool), np.zeros(len(times), bool)
    for truth in recording.truths:
        if truth.kind == skab.CHANGE:
            change |= times == truth.start_ns
        else:
            anomaly |= (times >= truth.start_ns) & (times <= truth.end_ns)
    return File(recording.name, recording, times / NS_PER_S, anomaly, change)


def options(kind: str, model: type[PluginOptions]) -> Any:
    """Return the options that the shipped rules give a type."""
    written = YAML(typ="safe").load(RULES.read_text(encoding="utf-8"))["rules"]
    return model.model_validate(next(rule for rule in written if rule["type"] == kind).get("options", {}))


def calm(folder: Path) -> Figure:
    """Return how often both rules warn where nothing is wrong; they learn from the first rows of it."""
    found, hours = [0, 0], 0.0
    for recording in (one for one in skab.load(folder) if not one.truths):
        channels = [replace(channel, decimals=6) for channel in recording.channels]
        file = _file(recording.with_channels(channels))
        hours += (file.seconds[-1] - file.seconds[skab.LEARNING_ROWS]) / 3600
        for k, (create, kind, model) in enumerate(KINDS):
            found[k] += int(risen(raised(file, create, options(kind, model))).sum())
    told = f"{found[0]} unusual, {found[1]} changes in {hours:.1f} h" if hours else "no file without anomalies here"
    return Figure("warnings where nothing is wrong", "", told)


def raised(file: File, create: Callable[[Sequence[Rule]], Detector], given: PluginOptions) -> Marks:
    """Return bool[rows]: the rows at whose end the rule stands raised."""
    recording = file.recording
    rule = Rule(0, "rig", "x", recording.channels, given, group=True)
    detector = create([rule])
    numbers = recording.batches()
    starts = np.flatnonzero(np.r_[True, np.diff(numbers) > 0, True])
    found = []
    for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        part = slice(begin, end)
        detector.update(
            Batch(recording.row[part], recording.time_ns[part], recording.value[part], recording.quality[part])
        )
        found.append(detector.level[0] == Level.WARNING)
    return np.array(found)


def outliers(judged: Sequence[tuple[Marks, Marks]]) -> tuple[float, float, float]:
    """Return F1, the share of false rows and the share of missed rows.

    Args:
        judged: For each file, what was so and what was told, from the first row that counts.
    """
    so, told = (np.concatenate(part) for part in zip(*judged, strict=True))
    hit, false, missed = int((so & told).sum()), int((~so & told).sum()), int((so & ~told).sum())
    return 2 * hit / (2 * hit + false + missed), false / int((~so).sum()), missed / int(so.sum())


def windows(file: File) -> list[tuple[float, float]]:
    """Return the window around each change; the later of two that meet begins where the earlier ends."""
    found: list[tuple[float, float]] = []
    for moment in file.seconds[file.change].tolist():
        begin, end = moment - WINDOW_S / 2, moment + WINDOW_S / 2
        found.append((max(begin, found[-1][1]) if found and found[-1][1] >= begin else begin, end))
    return found


def worth(share: float, hit: float, false: float) -> float:
    """Return what a report is worth by how far into its window it comes, from `hit` at the begin to `false`."""
    x = np.pi * (min(int(share * 1000), 999) / 999 - 0.5)
    return float((hit - false) / 2 * (1 - np.tanh(x) / np.tanh(np.pi / 2)) + false)


class Changes(NamedTuple):
    """How changes were told: the score of each profile, changes told, changes there were, false reports."""

    score: dict[str, float]
    found: int
    there: int
    false: int

    @property
    def text(self) -> str:
        scores = " / ".join(f"{score:.1f}" for score in self.score.values())
        return f"{scores}; {self.found} of {self.there} changes, {self.false} false reports"


def changes(judged: Sequence[tuple[File, Marks]]) -> Changes:
    """Return the benchmark's score for reports of changes, per hundred of what a perfect detector gets."""
    points, there, found, false = dict.fromkeys(PROFILES, 0.0), 0, 0, 0
    for file, reports in judged:
        moments, all_windows = file.seconds[reports], windows(file)
        inside = [moments[(moments >= begin) & (moments <= end)] for begin, end in all_windows]
        stray = len(moments) - len(np.unique(np.concatenate([*inside, moments[:0]])))
        there, found, false = there + len(inside), found + sum(len(part) > 0 for part in inside), false + stray
        for name, (hit, miss_fire, missed) in PROFILES.items():
            points[name] += miss_fire * stray
            for (begin, end), part in zip(all_windows, inside, strict=True):
                points[name] += worth((part[0] - begin) / (end - begin), hit, miss_fire) if len(part) else missed
    score = {
        name: 100 * (points[name] - missed * there) / ((hit - missed) * there)
        for name, (hit, _, missed) in PROFILES.items()
    }
    return Changes(score, found, there, false)


def risen(levels: Marks) -> Marks:
    """Return where a level becomes raised."""
    found: Marks = levels & ~np.r_[False, levels[:-1]]
    return found


def counting(marks: Marks) -> Marks:
    """Return marks without those in the rows that are for learning."""
    found = marks.copy()
    found[: skab.LEARNING_ROWS] = False
    return found


def main(short: bool = False) -> list[Figure]:
    folder = Path(os.environ.get(FOLDER, "")) / "skab"
    if not os.environ.get(FOLDER) or not folder.is_dir():
        raise SkippedError(f"{FOLDER} names no folder that has skab")
    todo = files(folder)[:: 4 if short else 1]
    begun = time.process_time()
    first = skab.LEARNING_ROWS
    levels = {file.name: raised(file, residual.create, options("residual", residual.Options)) for file in todo}
    moved = {file.name: raised(file, shift.create, options("shift", shift.Options)) for file in todo}
    spent = time.process_time() - begun
    told = outliers([(file.anomaly[first:], levels[file.name][first:]) for file in todo])
    always = outliers([(file.anomaly[first:], np.ones(len(file.anomaly) - first, bool)) for file in todo])
    ours = changes([(file, counting(risen(moved[file.name]))) for file in todo])
    edges = changes([(file, counting(np.r_[False, np.diff(levels[file.name])])) for file in todo])
    clock = changes([(file, counting(np.arange(len(file.change)) % CLOCK_ROWS == 0)) for file in todo])
    for file in todo:
        f1, false, missed = outliers([(file.anomaly[first:], levels[file.name][first:])])
        one = changes([(file, counting(risen(moved[file.name])))])
        print(f"{file.name:18} F1 {f1:.3f}  false {false:6.1%}  missed {missed:6.1%}  changes {one.text}")
    readings = 2 * sum(len(file.recording) for file in todo)
    return [
        Figure(
            f"outliers of {len(todo)} files: F1 at a false share",
            f"≥ {F1_GOAL} at ≤ {FALSE_GOAL:.0%}",
            f"{told[0]:.3f} at {told[1]:.1%}, missed {told[2]:.1%} (always alarmed: {always[0]:.3f})",
            met=told[0] >= F1_GOAL and told[1] <= FALSE_GOAL,
        ),
        Figure(
            "changes: score standard / low FP / low FN",
            f"≥ {CHANGES_GOAL:g}",
            ours.text,
            met=ours.score["standard"] >= CHANGES_GOAL,
        ),
        Figure("changes, from begin and end of the residual rule", "", edges.text),
        Figure(f"changes, from a clock that strikes every {CLOCK_ROWS} rows", "", clock.text),
        *([] if short else [calm(folder)]),
        Figure("cost of both rules", "", f"{spent / readings * 1e6:.1f} µs a reading"),
    ]
