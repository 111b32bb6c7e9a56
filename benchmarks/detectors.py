"""Cost of the detectors, beside a bare numpy limit check and river's cheapest object in the same run.

    python -m benchmarks detectors

Prints nanoseconds a reading and rule, the least and the median of interleaved rounds, and the ratio to the bare
check: the least a detector could cost that looks up two limits and compares. Nothing is asserted.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.measure import Figure, Spread
from detectors import fault, rate, threshold
from gateway.core.model import Batch, Channel, Rule
from gateway.core.plugin import Detector

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
SIZES = (1, 10, 100, 1_000)


def rules(channels: int, options: Any) -> list[Rule]:
    return [
        Rule(
            index=row,
            id=f"r{row}",
            type="x",
            channels=(Channel(row, f"i{row}.t", f"i{row}", "temperature", "°C", 0.0, 100.0),),
            options=options,
        )
        for row in range(channels)
    ]


class Walk:
    """Batches that go through all channels in turn, once a second each, like a poller; time goes on between calls."""

    def __init__(self, channels: int, size: int, noise: float) -> None:
        self._random = np.random.default_rng(1)
        self._channels, self._size, self._noise = channels, size, noise
        self._at = 0

    def next(self, count: int) -> list[Batch]:
        return [self._batch() for _ in range(count)]

    def _batch(self) -> Batch:
        places = self._at + np.arange(self._size)
        self._at += self._size
        values = 21.0 + self._noise * self._random.standard_normal(self._size)
        return Batch.of(places % self._channels, START + places // self._channels * SECOND, values)


def bare(channels: int) -> Callable[[Batch], Any]:
    low, high = np.full(channels, 0.0), np.full(channels, 50.0)

    def check(batch: Batch) -> bool:
        value = batch.value
        return bool(((value >= high[batch.row]) | (value <= low[batch.row]) | np.isnan(value)).any())

    return check


def river(channels: int) -> Callable[[Batch], Any] | None:
    try:
        from river import stats  # noqa: PLC0415  # a second of CPU that only this reference needs
    except ImportError:
        return None
    means = [stats.EWMean() for _ in range(channels)]

    def judge(batch: Batch) -> int:
        crossed = 0
        for row, value in zip(batch.row.tolist(), batch.value.tolist(), strict=True):
            mean = means[row]
            mean.update(value)
            crossed += mean.get() >= 50.0
        return crossed

    return judge


def timed(judge: Callable[[Batch], Any], todo: list[Batch]) -> float:
    begun = time.process_time_ns()
    for batch in todo:
        judge(batch)
    return (time.process_time_ns() - begun) / sum(map(len, todo))


def subjects(channels: int) -> Mapping[str, tuple[Callable[[Batch], Any], float]]:
    """Return what is measured, with the noise of its readings."""

    def made(detector: Detector) -> Callable[[Batch], Any]:
        return detector.update

    quiet, noisy = 0.02, 1.0
    found: dict[str, tuple[Callable[[Batch], Any] | None, float]] = {
        "bare numpy check": (bare(channels), quiet),
        "river EWMean": (river(channels), quiet),
        "threshold": (made(threshold.create(rules(channels, threshold.Options(low=25, high=50)))), quiet),
        "threshold, alarm": (made(threshold.create(rules(channels, threshold.Options(low=10, high=50)))), quiet),
        "rate, quiet": (made(rate.create(rules(channels, rate.Options(low=5, high=8.3)))), quiet),
        "rate, noisy": (made(rate.create(rules(channels, rate.Options(low=80, high=90)))), noisy),
        "fault": (made(fault.create(rules(channels, fault.Options()))), quiet),
        "fault, all faulty": (made(fault.create(rules(channels, fault.Options(range=(50, 90))))), quiet),
        "fault, frozen": (made(fault.create(rules(channels, fault.Options(frozen_s=3600)))), quiet),
    }
    return {name: (judge, noise) for name, (judge, noise) in found.items() if judge is not None}


def main(short: bool = False) -> list[Figure]:
    most, rounds = (1_000, 1) if short else (10_000, 7)
    figures: list[Figure] = []
    print(f"{'':18} {'batch':>6} {'ns least':>9} {'median':>9} {'µs/batch':>9} {'ratio':>7}")
    for size in SIZES:
        # Few channels for small batches: a rule is past its first window in a moment, as on any day but the first.
        channels = min(most, 100 * size)
        all_subjects = {
            name: (judge, Walk(channels, size, noise)) for name, (judge, noise) in subjects(channels).items()
        }
        for judge, walk in all_subjects.values():
            for _ in range(3 if short else 45):
                timed(judge, walk.next(channels // size))
        results: dict[str, list[float]] = {name: [] for name in all_subjects}
        for _ in range(rounds):
            for name, (judge, walk) in all_subjects.items():
                results[name].append(timed(judge, walk.next(max(3, min(500, 50_000 // size)))))
        report(size, results)
        if size == SIZES[-1]:
            figures = [
                worth(name, results[name], results["bare numpy check"])
                for name in ("threshold", "rate, quiet", "fault")
            ]
    return figures


def worth(name: str, found: list[float], bare_check: list[float]) -> Figure:
    """Return a detector's cost a reading in batches of 1,000, with its ratio to the bare check; it has no goal."""
    ratio = Spread.of(ours / reference for ours, reference in zip(found, bare_check, strict=True))
    measured = f"{Spread.of(found).text(1)} ns a reading, {ratio.text(1)} × a bare numpy check"
    return Figure(f"{name}, batches of 1,000", "", measured)


def report(size: int, results: Mapping[str, list[float]]) -> None:
    reference = min(results["bare numpy check"])
    for name, found in results.items():
        least = min(found)
        print(
            f"{name:18} {size:6} {least:9.1f} {statistics.median(found):9.1f} {least * size / 1000:9.1f} "
            f"{least / reference:7.2f}"
        )
