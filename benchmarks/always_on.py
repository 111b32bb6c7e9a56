"""Cost of everything that is always on, beside river's HalfSpaceTrees in the same run.

    python -m benchmarks always_on

All detectors of limits, change and instrument diagnostics, one rule of each for every channel, judge a tick of all
channels at once, as a line's poll brings it; learned ones have learned. Beside them, in rounds that take turns, river's
HalfSpaceTrees of ten trees and eight levels behind a MinMaxScaler judges one reading after the other. Prints each
detector's part, the sum, the ratio, and what a process needs for 10,000 channels.
"""

import contextlib
import importlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import Figure, SkippedError, Spread, at_least, at_most, interleaved
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Quality, Rule
from gateway.core.plugin import Binding, Detector

SECOND = 1_000_000_000
START = 1_700_000_000
NOISE = 0.03
TICKS = 600
"""A round: every cell that is closed once in ten minutes or oftener is closed in it."""
LEARN_S = 22_800.0
LEARNING = 23_000
"""A whole wave of the plant, and a little: what it does every six hours is no news to those who learn."""
HST_READINGS = 2_000

OPTIONS: dict[str, dict[str, Any]] = {
    "threshold": {"low": 40.0, "high": 57.0, "deadband": 1.0},
    "rate": {"low": 5.0, "high": 8.3},
    "forecast": {"above": 57.0},
    "exposure": {"stel": {"low": 45.0}, "twa": {"low": 40.0}},
    "fault": {},
    "deviation": {"learn_s": LEARN_S},
    "cusum": {"learn_s": LEARN_S},
    "page_hinkley": {"learn_s": LEARN_S},
    "variance": {"learn_s": LEARN_S},
    "seasonal": {"learn_s": LEARN_S},
    "change_point": {"learn_s": LEARN_S},
    "frozen": {},
    "noise": {},
    "neighbours": {},
    "saturation": {},
    "bump_test": {"gas": 60.0},
    "comparison": {},
}
"""Temperatures of a room. Left out: plausibility, a table of the site, and reversal, of catalytic instruments alone."""

GROUP = 10
"""Channels of an area, for those that look at neighbours."""


def channels(count: int) -> list[Channel]:
    return [
        Channel(row, f"i{row}.t", f"i{row}", "temperature", "°C", 0.0, 100.0, decimals=2, area=f"a{row // GROUP}")
        for row in range(count)
    ]


def made(name: str, all_channels: list[Channel]) -> Detector | None:
    """Return a detector with one rule for each channel; None where there is no such module."""
    try:
        module = importlib.import_module(f"detectors.{name}")
    except ImportError:
        return None
    options, peers = module.Options(**OPTIONS[name]), getattr(module, "BINDING", Binding.EACH) == Binding.PEERS
    rules = []
    for channel in all_channels:
        begin = channel.row // GROUP * GROUP
        others = tuple(c for c in all_channels[begin : begin + GROUP] if c is not channel) if peers else ()
        rules.append(Rule(channel.row, f"{name}:{channel.id}", name, (channel, *others), options))
    try:
        return module.create(rules)
    except ConfigError as refusal:
        print(f"{name} left out: {refusal}")
        return None


class Plant:
    """Ticks of all channels, one a second: a slow wave, noise, two decimals."""

    def __init__(self, count: int, *, dead: int = 0) -> None:
        self._random = np.random.default_rng(1)
        self._rows = np.arange(count, dtype=np.int32)
        self._mean = 21.0 + self._random.normal(0.0, 2.0, count)
        self._quality = np.zeros(count, np.uint8)
        self._quality[:dead] = Quality.COMMS_LOST
        self._second = START

    def next(self, ticks: int) -> list[Batch]:
        found = []
        for _ in range(ticks):
            wave = np.sin(self._second / 3600.0)
            values = self._mean + wave + NOISE * self._random.standard_normal(len(self._rows))
            found.append(Batch.of(self._rows, self._second * SECOND, np.round(values, 2), self._quality))
            self._second += 1
        return found


def timed(judge: Callable[[Batch], Any], batches: list[Batch]) -> float:
    """Return nanoseconds of CPU a reading."""
    begun = time.thread_time_ns()
    for batch in batches:
        judge(batch)
    return (time.thread_time_ns() - begun) / sum(map(len, batches))


class Bank:
    """All detectors on their channels, past their learning."""

    def __init__(self, count: int, *, dead: int = 0, learning: int = LEARNING) -> None:
        everything = channels(count)
        self.detectors = {name: found for name in OPTIONS if (found := made(name, everything)) is not None}
        self.plant = Plant(count, dead=dead)
        for _ in range(learning):
            self.update(*self.plant.next(1))

    def update(self, batch: Batch) -> None:
        for detector in self.detectors.values():
            detector.update(batch)

    def round(self, ticks: int) -> dict[str, float]:
        """Return nanoseconds a reading of each detector."""
        batches = self.plant.next(ticks)
        return {name: timed(detector.update, batches) for name, detector in self.detectors.items()}

    def together(self, ticks: int) -> float:
        """Return nanoseconds a reading of all detectors, batch after batch."""
        return timed(self.update, self.plant.next(ticks))


def half_space_trees() -> Callable[[int], float]:
    try:
        from river import anomaly, compose, preprocessing  # noqa: PLC0415  # a second of CPU that only this one needs
    except ImportError as error:
        raise SkippedError("river is not installed") from error
    model = compose.Pipeline(preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(n_trees=10, height=8, seed=1))
    random = np.random.default_rng(1)

    def judge(readings: int) -> float:
        values = (21.0 + NOISE * random.standard_normal(readings)).tolist()
        begun = time.thread_time_ns()
        for value in values:
            reading = {"x": value}
            model.score_one(reading)
            model.learn_one(reading)
        return (time.thread_time_ns() - begun) / readings

    judge(500)
    return judge


MEMORY = """
import json, sys
sys.path[:0] = {path!r}
from benchmarks.always_on import Bank, resident_mib
bank = Bank({count}, learning=30)
print(json.dumps([resident_mib(), len(bank.detectors)]))
"""


def resident_mib() -> float:
    """Return the memory that this process holds now, in MiB."""
    with contextlib.suppress(OSError), open("/proc/self/statm", encoding="ascii") as text:
        return int(text.read().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def memory_mib(count: int) -> float:
    """Return what a fresh process holds with all detectors on so many channels."""
    code = MEMORY.format(path=[path or "." for path in sys.path], count=count)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: float = json.loads(done.stdout.splitlines()[-1])[0]
    return found


def main(short: bool = False) -> list[Figure]:
    count, rounds, ticks, learning = (1000, 3, 60, 200) if short else (1000, 7, TICKS, LEARNING)
    judge = half_space_trees()
    quiet, dead, few = (Bank(n, dead=k, learning=learning) for n, k in ((count, 0), (count, 1), (35, 0)))
    parts = [quiet.round(ticks) for _ in range(2 if short else 3)]
    print(f"{'':16} {'ns a reading':>14}")
    for name in quiet.detectors:
        print(f"{name:16} {Spread.of(part[name] for part in parts).text(1):>24}")
    found = interleaved(
        {
            "trees": lambda: judge(HST_READINGS // 4 if short else HST_READINGS),
            "bank": lambda: quiet.together(ticks),
            "dead": lambda: dead.together(ticks),
            "few": lambda: few.together(ticks),
        },
        rounds,
    )

    def ratio(name: str) -> Spread:
        return Spread.of(theirs / ours for theirs, ours in zip(found["trees"], found[name], strict=True))

    print(f"HalfSpaceTrees: {Spread.of(found['trees']).text(2, 1e-3, 'µs')} a reading")
    detectors = len(quiet.detectors)
    return [
        Figure(
            f"{detectors} detectors, {count:,} channels a tick",
            "",
            Spread.of(found["bank"]).text(1, unit="ns a reading"),
        ),
        at_least("HalfSpaceTrees' cost, in that of all of them", ratio("bank"), 300, "×", 0),
        Figure("the same with one instrument dead", "", ratio("dead").text(0, unit="×")),
        Figure("the same with 35 channels a tick", "", ratio("few").text(1, unit="×")),
        at_most("memory with 10,000 channels", Spread.of([memory_mib(1000 if short else 10_000)]), 60, "MiB", 1),
    ]
