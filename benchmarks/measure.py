"""How every benchmark measures: interleaved rounds, medians with their spread, figures beside their goals.

The machine is nobody's alone: what counts is a ratio to something measured in the same rounds, or CPU per item, which
neighbours disturb less than wall time.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


class SkippedError(Exception):
    """A peer that a benchmark needs is not on this machine; the message says which."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and greatest of some rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        found = list(values)
        return cls(statistics.median(found), min(found), max(found))

    def text(self, digits: int = 2, scale: float = 1.0, unit: str = "") -> str:
        """Return `median (min..max) unit`, or the one value there is."""
        median, low, high = (f"{x * scale:,.{digits}f}" for x in (self.median, self.low, self.high))
        spread = "" if low == high else f" ({low}..{high})"
        return f"{median}{spread}{unit and ' ' + unit}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One result beside its goal.

    Attributes:
        name: What was measured.
        goal: In words.
        measured: In words.
        met: Whether the goal is met; None where there is none, or the short form cannot tell.
    """

    name: str
    goal: str
    measured: str
    met: bool | None = None


def at_most(name: str, spread: Spread, limit: float, unit: str = "", digits: int = 2) -> Figure:
    """Return a figure whose median should be at most `limit`."""
    return Figure(name, f"≤ {limit:g}{unit and ' ' + unit}", spread.text(digits, unit=unit), met=spread.median <= limit)


def at_least(name: str, spread: Spread, limit: float, unit: str = "", digits: int = 2) -> Figure:
    """Return a figure whose median should be at least `limit`."""
    goal = f"≥ {limit:,.15g}{unit and ' ' + unit}"
    return Figure(name, goal, spread.text(digits, unit=unit), met=spread.median >= limit)


def interleaved(subjects: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Run all subjects in each round, each round beginning with another one; return their results by name."""
    names = list(subjects)
    found: dict[str, list[T]] = {name: [] for name in names}
    for k in range(rounds):
        for name in names[k % len(names) :] + names[: k % len(names)]:
            found[name].append(subjects[name]())
    return found


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value below which that part (0 to 1) of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table."""
    lines = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
    print(f"\n{title}")
    for k, line in enumerate(lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
        if not k:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
