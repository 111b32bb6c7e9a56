"""Novelty on the Numenta Anomaly Benchmark: its score in three profiles, with thresholds of two kinds, and its cost.

    HAZGATE_RECORDINGS=… python -m benchmarks detection_nab

Reads the sub-folder `nab`: the repository or a part of it. The rule is that of `config/evaluation/nab.yaml`, one set
for all files. It sees each reading once, in order, and neither the range of a file nor its length.

The benchmark's own board chooses the threshold that is best for the very files it scores. Beside it stand thresholds
chosen on other files only (leave one category out; five folds, mean of ten shuffles), and the set point that is
shipped, chosen once. Where the folder has published detectors' scores (`scorer_check`, or the repository's `results`),
they are scored on the same files in the same way.
"""

import csv
import gzip
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML

from benchmarks.measure import Figure, SkippedError, Spread
from detectors import novelty
from gateway.core.model import Batch, Channel, Rule
from gateway.evaluation import nab
from gateway.evaluation.loaders import nab as loader
from gateway.evaluation.recording import Recording

RULES = Path(__file__).parents[1] / "config" / "evaluation" / "nab.yaml"
FOLDER = "HAZGATE_RECORDINGS"
FILES = 58
SHORT_READINGS = 2_100
CHUNK = 200
"""Batches that are timed together."""
CORPUS_GOAL, OTHERS_GOAL, FLOOR = 75.0, 72.0, 68.0
COST_GOAL_US, BYTES_GOAL = 10.0, 50_000
PUBLISHED = ("numenta", "ARTime", "CADose", "relativeEntropy", "windowedGaussian")

Float64 = NDArray[np.float64]
Windows = list[tuple[int, int]]
Scores = Mapping[str, Float64]


class Corpus(NamedTuple):
    """What is judged.

    Attributes:
        recordings: By name, `category/file.csv`.
        windows: Their labelled windows, by position.
    """

    recordings: Mapping[str, Recording]
    windows: Mapping[str, Windows]


def corpus(folder: Path) -> Corpus:
    recordings = {one.name: one for one in loader.load(folder)}
    windows = {
        name: nab.positions(one.time_ns, [(truth.start_ns, truth.end_ns) for truth in one.truths])
        for name, one in recordings.items()
    }
    return Corpus(recordings, windows)


def options() -> novelty.Options:
    written = YAML(typ="safe").load(RULES.read_text(encoding="utf-8"))["rules"]
    return novelty.Options.model_validate(written[0]["options"])


def batches(recordings: Sequence[Recording], readings: int) -> list[Batch]:
    """Return the k-th readings of all recordings in one batch each: they do not know one another."""
    found = []
    for k in range(min(readings, max(len(one.time_ns) for one in recordings))):
        rows = [row for row, one in enumerate(recordings) if k < len(one.time_ns)]
        times, values = ([getattr(recordings[row], name)[k] for row in rows] for name in ("time_ns", "value"))
        found.append(Batch.of(rows, times, values))
    return found


def judged(recordings: Sequence[Recording], readings: int) -> tuple[list[Float64], Spread, int]:
    """Return each recording's scores, the CPU time a reading in microseconds, and the saved bytes a channel.

    The time is that of batches in which at least half of the recordings have a reading.
    """
    given = options()
    rules = [
        Rule(row, one.name, "novelty", (Channel(row, one.name, one.name, "value", ""),), given)
        for row, one in enumerate(recordings)
    ]
    detector = novelty.create(rules)
    assert isinstance(detector, novelty.Novelty), "what its module creates"
    todo = batches(recordings, readings)
    found = np.full((len(todo), len(recordings)), np.nan)
    spent: list[tuple[int, int]] = []
    for k, batch in enumerate(todo):
        begun = time.process_time_ns()
        detector.update(batch)
        if len(batch) * 2 >= len(recordings):
            spent.append((time.process_time_ns() - begun, len(batch)))
        found[k] = detector.score
    chunks = [spent[k : k + CHUNK] for k in range(0, len(spent), CHUNK)]
    cost_us = Spread.of(sum(ns for ns, _ in chunk) / sum(n for _, n in chunk) / 1e3 for chunk in chunks)
    size = sum(column.nbytes for column in detector.save().values()) // len(recordings)
    return [found[: len(one.time_ns), row] for row, one in enumerate(recordings)], cost_us, size


def plain_python(count: int = 200_000) -> float:
    """Return microseconds for a reading of the plainest detector in Python: a mean that follows, and a limit."""
    mean, over, values = 0.0, 0, np.random.default_rng(1).normal(size=count).tolist()
    begun = time.process_time_ns()
    for value in values:
        mean += 0.01 * (value - mean)
        if value - mean > 3.0:
            over += 1
    return (time.process_time_ns() - begun) / count / 1e3


def published(folder: Path, detector: str, names: Sequence[str]) -> Scores | None:
    """Return a published detector's scores on these files; None where they are not all there."""
    check = folder / "scorer_check" / f"{detector}.json.gz"
    if check.is_file():
        found = json.loads(gzip.decompress(check.read_bytes()))
        return {name: np.array(found[name]) for name in names} if set(names) <= found.keys() else None
    scores: dict[str, Float64] = {}
    for name in names:
        category, _, file = name.partition("/")
        path = folder / "results" / detector / category / f"{detector}_{file}"
        if not path.is_file():
            return None
        with path.open(encoding="utf-8", newline="") as lines:
            scores[name] = np.array([float(line["anomaly_score"]) for line in csv.DictReader(lines)])
    return scores


class Row(NamedTuple):
    """A detector's scores: with the best threshold in three profiles, and with thresholds from other files."""

    standard: float
    low_fp: float
    low_fn: float
    categories: float
    folds: float

    @classmethod
    def of(cls, scores: Scores, windows: Mapping[str, Windows]) -> "Row":
        best = [
            nab.best([nab.weigh(scores[name], windows[name], profile) for name in windows]).score
            for profile in nab.PROFILES
        ]
        weighed = {name: nab.weigh(scores[name], windows[name], nab.STANDARD) for name in windows}
        shuffles = [nab.held_out(weighed, groups) for groups in nab.folds(list(windows))]
        return cls(*best, nab.held_out(weighed, nab.by_category(windows)), float(np.mean(shuffles)))

    def text(self) -> str:
        return " ".join(f"{value:7.2f}" for value in self)


def main(short: bool = False) -> list[Figure]:
    folder = Path(os.environ.get(FOLDER, "")) / "nab"
    if FOLDER not in os.environ or not folder.is_dir():
        raise SkippedError(f"{FOLDER} names no folder with the sub-folder nab")
    found = corpus(folder)
    recordings = list(found.recordings.values())
    if len(recordings) < FILES:
        print(f"{len(recordings)} of {FILES} files are here: scores are not those of the published board")
    scores, cost_us, size = judged(recordings, SHORT_READINGS if short else 10**9)
    if short:
        return [cost(cost_us, size)]
    ours = {name: np.nan_to_num(score) for name, score in zip(found.recordings, scores, strict=True)}
    print(f"{'':22} {'std':>7} {'low FP':>7} {'low FN':>7} {'categ.':>7} {'5 folds':>7}")
    row = Row.of(ours, found.windows)
    print(f"{'novelty':22} {row.text()}")
    for detector in PUBLISHED:
        theirs = published(folder, detector, list(found.windows))
        if theirs is not None:
            print(f"{detector:22} {Row.of(theirs, found.windows).text()}")
    weighed = [nab.weigh(ours[name], found.windows[name], nab.STANDARD) for name in found.windows]
    shipped = nab.at_threshold(weighed, options().warn_at)
    return [*figures(row, shipped), cost(cost_us, size)]


def figures(row: Row, shipped: float) -> list[Figure]:
    others = min(row.categories, row.folds)
    return [
        Figure(
            "NAB standard, threshold of the corpus",
            f"≥ {CORPUS_GOAL:g}",
            f"{row.standard:.2f}",
            row.standard >= CORPUS_GOAL,
        ),
        Figure("NAB low FP, low FN", "", f"{row.low_fp:.2f}, {row.low_fn:.2f}"),
        Figure(
            "NAB standard, threshold of other files",
            f"≥ {OTHERS_GOAL:g}",
            f"{row.categories:.2f} by category, {row.folds:.2f} in five folds",
            others >= OTHERS_GOAL,
        ),
        Figure("NAB standard, set point as shipped", f"≥ {FLOOR:g}", f"{shipped:.2f}", shipped >= FLOOR),
    ]


def cost(cost_us: Spread, size: int) -> Figure:
    times = cost_us.median / Spread.of(plain_python() for _ in range(5)).median
    measured = f"{cost_us.text(1)} µs a reading ({times:.0f} × a mean and a limit in Python), {size} B a channel"
    goal = f"≤ {COST_GOAL_US:g} µs, ≤ {BYTES_GOAL:,} B"
    return Figure("novelty, cost", goal, measured, cost_us.median <= COST_GOAL_US and size <= BYTES_GOAL)
