"""Two sets of rules on the same recordings, side by side."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from gateway.evaluation.evaluate import Evaluation, Result
from gateway.evaluation.recording import Truth

FIGURES: Final = ("found", "missed", "false", "false_per_week", "f1", "far_percent", "cost_us")


@dataclass(frozen=True, slots=True)
class Pair:
    """A rule in both sets, or in one of them.

    Attributes:
        id: The rule's id.
        first: Its result in the first set; None where it is not there.
        second: The same in the second.
    """

    id: str
    first: Result | None
    second: Result | None

    def differences(self) -> dict[str, float]:
        """Return the second set's figures less the first's; those that either does not have are left out.

        `later_s` is the median of how much later the second set finds what both find: whoever finds more finds late
        what the other does not find at all, so medians of all delays would compare different things.
        """
        if self.first is None or self.second is None:
            return {}
        one, other = self.first.plain(), self.second.plain()
        found = {key: float(other[key] - one[key]) for key in FIGURES}
        first, second = _delays(self.first), _delays(self.second)
        later = [second[key] - first[key] for key in first if key in second]
        found["later_s"] = median(later) if later else math.nan
        return {key: value for key, value in found.items() if not math.isnan(value)}

    def plain(self) -> dict[str, Any]:
        """Return it for a program."""
        sides = [None if side is None else side.plain() for side in (self.first, self.second)]
        return {"rule": self.id, "first": sides[0], "second": sides[1], "differences": self.differences()}

    @property
    def newly_found(self) -> list[str]:
        """What the second set finds and the first misses, as `recording kind`."""
        return sorted(_found(self.second) - _found(self.first))

    @property
    def newly_missed(self) -> list[str]:
        """What the second set misses and the first finds."""
        return sorted(_found(self.first) - _found(self.second))


def _delays(result: Result) -> dict[tuple[str, Truth], float]:
    return {(f.recording, f.truth): f.delay_s for f in result.judged.findings if f.delay_s is not None}


def _found(result: Result | None) -> set[str]:
    hits = () if result is None else _delays(result)
    return {" ".join(filter(None, (name, truth.kind, truth.area, *truth.channels))) for name, truth in hits}


def pairs(first: Evaluation, second: Evaluation) -> Iterator[Pair]:
    """Yield the rules of both sets, those of the first in its order, then what only the second has."""
    theirs = {result.id: result for result in second.results}
    for result in first.results:
        yield Pair(result.id, result, theirs.pop(result.id, None))
    for result in theirs.values():
        yield Pair(result.id, None, result)
