"""How unusual a figure is beside a rule's own past: its rank among all figures before, kept as counts.

Figures are counted in bins that grow by a twelfth, so that a rank is right to about a fourteenth of the figure; the
rank of a figure that no earlier one has reached tells how many there were.

    >>> past = Past(1)
    >>> for figure in range(1, 1000):
    ...     past.note(np.array([0]), np.array([figure / 1000]))
    >>> past.rank(np.array([0, 0, 0]), np.array([0.25, 0.9, 5.0])).round(2).tolist()
    [0.25, 0.9, 1.0]
"""

from typing import Final

import numpy as np

from detectors.parts.bank import Slots
from gateway.core.model import Float64, Int32

BINS: Final = 256
LEAST: Final = 1e-4
_PER_E_FOLD: Final = 12.5


class Past:
    """Counts of figures from 0.0001 to 70,000, one row a rule; beyond, the last bin at either end counts.

    Args:
        size: Number of rules; there is one spare slot more.

    Attributes:
        counts: int32[size + 1, 256], state. A row that is nearly full is halved, so that it never overflows.
    """

    def __init__(self, size: int) -> None:
        self.counts: Int32 = np.zeros((size + 1, BINS), np.int32)

    def note(self, slots: Slots, figure: Float64) -> None:
        """Count one figure for each entry; a rule may occur more than once."""
        bins = _bin(figure)
        np.add.at(self.counts, (slots, bins), 1)
        full = slots[self.counts[slots, bins] >= np.iinfo(np.int32).max - len(slots)]
        self.counts[full] //= 2

    def rank(self, slots: Slots, figure: Float64) -> Float64:
        """Return what share of a rule's past is smaller: 0.999 is reached by one in a thousand; NaN without a past.

        Within a bin, the share grows evenly.
        """
        counts = self.counts[slots]
        total = counts.sum(axis=1, dtype=np.float64)
        place = _place(figure)
        below = np.clip(place[:, None] - np.arange(BINS), 0.0, 1.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            # One more than there were: what has never been seen is one in so many, and never certain.
            rank: Float64 = np.where(total > 0, (counts * below).sum(axis=1) / (total + 1.0), np.nan)
        return rank


def _place(figure: Float64) -> Float64:
    place: Float64 = np.log(np.maximum(figure, LEAST) / LEAST) * _PER_E_FOLD
    return np.minimum(place, float(BINS))


def _bin(figure: Float64) -> Slots:
    return np.minimum(_place(figure).astype(np.intp), BINS - 1)
