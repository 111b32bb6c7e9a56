"""The pipeline alone: batches of readings of 10,000 channels with three rules each, on a quiet day.

From a batch to alarm events: `Pipeline.process` with its detectors, latest values and alarm book. The reference is a
bare numpy limit check of the same batches.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.detectors import Walk, bare
from benchmarks.measure import Figure, Spread, at_least, interleaved, table
from benchmarks.sites import site
from gateway import assembly
from gateway.alarms.book import AlarmBook
from gateway.core.model import Batch
from gateway.flow.pipeline import Pipeline
from gateway.site.document import Document
from gateway.site.load import site_from

CHANNELS = 10_000


def main(short: bool = False) -> list[Figure]:
    rounds, batches = (1, 50) if short else (7, 400)
    pipeline = make()
    walk = Walk(CHANNELS, 1_000, 0.02)
    # Windows fill before anything is measured: that is every day but the first minute.
    for batch in walk.next(10 if short else 450):
        pipeline.process(batch)
    check = bare(CHANNELS)
    subjects: dict[str, Callable[[], tuple[float, float]]] = {}
    for size in (1, 125, 1_000, 5_000):
        count = max(10, min(batches, 400_000 // size))
        subjects[f"{size}"] = lambda size=size, count=count: _timed(pipeline, check, next_batches(walk, size, count))
    results = interleaved(subjects, rounds)
    table(
        f"{CHANNELS:,} channels, three rules each, {rounds} round(s)",
        ("batch", "readings/s of CPU", "batches/s of CPU", "µs a batch", "of a bare check's time"),
        (
            (
                size,
                Spread.of(int(size) / ours for ours, _ in found).text(0),
                Spread.of(1 / ours for ours, _ in found).text(0),
                Spread.of(ours * 1e6 for ours, _ in found).text(1),
                Spread.of(ours / theirs for ours, theirs in found).text(1),
            )
            for size, found in results.items()
        ),
    )
    return [
        at_least("batches of 1,000", Spread.of(1000 / s for s, _ in results["1000"]), 5e6, "readings/s", 0),
        at_least("batches of 1", Spread.of(1 / s for s, _ in results["1"]), 5_000, "batches/s", 0),
    ]


def next_batches(walk: Walk, size: int, count: int) -> list[Batch]:
    """Return batches of a size that go on where the last ones ended, so that time never steps back."""
    walk._size = size
    return walk.next(count)


def make() -> Pipeline:
    """Return the pipeline of a site of 10,000 channels, built as the gateway builds it."""
    data: dict[str, Any] = site(1, CHANNELS // 125)
    loaded = site_from(Document(Path("bench.json"), data, ""))
    return Pipeline(loaded.channels, assembly.detectors(loaded), AlarmBook(loaded.rules, 1))


def _timed(pipeline: Pipeline, check: Callable[[Batch], Any], todo: list[Batch]) -> tuple[float, float]:
    """Return the CPU seconds of one batch, ours and the bare check's."""
    begun = time.process_time()
    for batch in todo:
        check(batch)
    middle = time.process_time()
    for batch in todo:
        pipeline.process(batch)
    return (time.process_time() - middle) / len(todo), (middle - begun) / len(todo)
