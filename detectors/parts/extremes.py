"""How rare a score is among all of a rule's past, with the tail kept exactly: the highest of each run of readings.

A thousand and some places hold the highest score of one reading each. When they are full, neighbours are joined and
each place stands for twice as many readings, so that the whole past fits for ever, and no high score is ever lost.

    >>> extremes = Extremes(1)
    >>> for score in np.random.default_rng(1).random(20_000).tolist():
    ...     extremes.note(0, score)
    >>> [round(extremes.rank(0, score), 4) for score in (0.9, 0.999, 1.0)]
    [0.9008, 0.9989, 1.0]
"""

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from gateway.core.model import Float32, Int32

PLACES: Final = 1500


class Extremes:
    """The highest scores of runs of readings, one row a rule.

    Args:
        size: Number of rules; there is one spare slot more.

    Attributes:
        highest: float32[size + 1, 1500], state: the highest score of each run.
        shape: int32[size + 1, 3], state: places in use, readings a run, readings in the run that is open.
    """

    def __init__(self, size: int) -> None:
        self.highest: Float32 = np.full((size + 1, PLACES), -np.inf, np.float32)
        self.shape: Int32 = np.zeros((size + 1, 3), np.int32)
        self.shape[:, 1] = 1

    def note(self, slot: int, score: float) -> None:
        """Count a score."""
        used, run, open_ = self.shape[slot].tolist()
        if not open_ and used == PLACES:
            self.highest[slot, : PLACES // 2] = self.highest[slot].reshape(-1, 2).max(axis=1)
            self.highest[slot, PLACES // 2 :] = -np.inf
            used, run = PLACES // 2, 2 * run
        place = used - 1 if open_ else used
        self.highest[slot, place] = max(self.highest[slot, place], np.float32(score))
        self.shape[slot] = place + 1, run, (open_ + 1) % run

    def count(self, slot: int) -> int:
        """Return how many scores have been counted, rounded up to whole runs."""
        used, run, _ = self.shape[slot].tolist()
        return int(used * run)

    def quantile(self, slot: int, rank: float) -> float:
        """Return the score that this rank reaches; the highest where the past is too short, NaN where there is none."""
        used, run, _ = self.shape[slot].tolist()
        if not used:
            return math.nan
        place = min(math.ceil(rank**run * (used + 1)), used) - 1
        return float(np.partition(self.highest[slot, :used], place)[place])

    def rank(self, slot: int, score: float) -> float:
        """Return the share of the past that is lower: 0.999 is what one in a thousand reaches; NaN without a past.

        Scores are compared as they are kept, in single precision, so that one like those before is not above them.
        """
        used, run, _ = self.shape[slot].tolist()
        if not used or math.isnan(score):
            return math.nan
        # The highest of a run is lower only where all of the run are. One more than there were: never certain.
        lower = int(np.count_nonzero(self.highest[slot, :used] < np.float32(score)))
        return float((lower / (used + 1.0)) ** (1.0 / run))
