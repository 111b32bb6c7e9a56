"""What is usual for each head of a group: how far it rises by itself, and at which level it was commissioned.

The standard deviation of each span's rises is learned over a time of its own while all is calm, and may from then on
grow to twice that at most. The commissioned level moves by a stated amount a day at most.

    >>> usual = Usual(1, 1, spans=1, cells_learned=np.array([100, 100]), drift=np.zeros((2, 1)))
    >>> at = np.array([0]), np.array([0])
    >>> random = np.random.default_rng(1)
    >>> for rise in random.normal(0, 0.1, 300):
    ...     usual.learn(*at, np.array([[rise]]), np.array([[rise]]), np.array([2.0]))
    >>> usual.learned(*at).tolist(), usual.deviation(*at, np.array([[True]])).round(1).tolist()
    ([True], [[0.1]])
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.parts.bank import Slots
from gateway.core.model import Float64, Int64

_CLIP: Final = 4.0
"""A rise of more than so many standard deviations counts as this many."""
_FEW: Final = 30
"""Rises before the standard deviation is good enough to clip by."""
_GROWS: Final = 4.0
"""How far a variance may grow beyond what it was when commissioned."""
_MEMORY: Final = 60_000
"""Rises over which a variance fades: a week of 10 s."""
_CLIMATE_SHARE: Final = 4
"""The first quarter of the learning is left to the climate's influence; what is left of rises is learned after it."""


class Usual:
    """What is learned of every member.

    Args:
        rules: Number of rules; there is one spare slot more.
        width: Members a rule.
        spans: Spans of time that rises are taken over.
        cells_learned: int64[rules + 1], how many calm cells make a commissioning.
        drift: float64[rules + 1, width], by how much the commissioned level may follow in a cell.

    Attributes:
        seen: int64[rules + 1, width], calm cells so far.
    """

    def __init__(self, rules: int, width: int, spans: int, cells_learned: Int64, drift: Float64) -> None:
        shape = (rules + 1, width)
        self._wanted, self._drift = cells_learned, drift
        self.seen: Int64 = np.zeros(shape, np.int64)
        # Of rises less what the climate explains, of rises as they are, and both when commissioned.
        self._variance: Float64 = np.zeros((*shape, 2, spans))
        self._first: Float64 = np.zeros((*shape, 2, spans))
        self._centre: Float64 = np.zeros(shape)
        self._scatter: Float64 = np.zeros(shape)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the state, for `Judge.columns`."""
        return {
            "seen": self.seen,
            "variance": self._variance,
            "first": self._first,
            "centre": self._centre,
            "scatter": self._scatter,
        }

    def learned(self, slots: Slots, places: Slots) -> NDArray[np.bool_]:
        """Return which members are commissioned."""
        learned: NDArray[np.bool_] = self.seen[slots, places] >= self._wanted[slots]
        return learned

    def deviation(self, slots: Slots, places: Slots, explained: NDArray[np.bool_]) -> Float64:
        """Return float64[n, spans]: standard deviations of rises, or of what is left of them where `explained`."""
        variance = self._variance[slots, places]
        return np.asarray(np.sqrt(np.where(explained, variance[:, 0], variance[:, 1])), np.float64)

    def learn(self, slots: Slots, places: Slots, left: Float64, whole: Float64, level: Float64) -> None:
        """Take in a calm cell of these members.

        Args:
            slots: The rules.
            places: The members.
            left: float64[n, spans], rises less what the climate explains; NaN where not known.
            whole: float64[n, spans], rises as they are.
            level: float64[n], the present level; NaN where not known.
        """
        at = slots, places
        self.seen[at] += 1
        seen, wanted = self.seen[at], self._wanted[slots]
        self._learn_level(slots, places, level)
        counted = seen - wanted // _CLIMATE_SHARE
        late = counted > 0
        if not late.any():
            return
        slots, places = slots[late], places[late]
        self._learn_rises(slots, places, np.stack([left, whole], axis=1)[late], counted[late])
        done = seen[late] == wanted[late]
        self._first[slots[done], places[done]] = self._variance[slots[done], places[done]]

    def _learn_rises(self, slots: Slots, places: Slots, rises: Float64, counted: Int64) -> None:
        at = slots, places
        variance = self._variance[at]
        square = rises**2
        clipped = np.where((counted > _FEW)[:, None, None], np.minimum(square, _CLIP**2 * variance), square)
        # A variance that is 0, as of an instrument that stood still, would clip all that comes to 0.
        clipped = np.where(variance > 0.0, clipped, square)
        weight = 1.0 / np.minimum(counted, _MEMORY)[:, None, None]
        found = np.where(np.isnan(square), variance, variance + weight * (clipped - variance))
        commissioned = self.learned(*at)[:, None, None]
        self._variance[at] = np.where(commissioned, np.minimum(found, _GROWS * self._most(*at)), found)

    def _most(self, slots: Slots, places: Slots) -> Float64:
        """Return variances when commissioned; infinite in the very cell in which that ends, and where it was 0."""
        first = self._first[slots, places]
        return np.where(first > 0.0, first, np.inf)

    def _learn_level(self, slots: Slots, places: Slots, level: Float64) -> None:
        at = slots, places
        centre, scatter = self._centre[at], self._scatter[at]
        off = np.where(np.isnan(level), 0.0, level - centre)
        weight = 1.0 / self.seen[at]
        early = ~self.learned(*at)
        moved = np.where(early, weight * off, np.clip(off, -self._drift[at], self._drift[at]))
        self._centre[at] = centre + moved
        self._scatter[at] = np.where(early, scatter + weight * (off * (off - moved) - scatter), scatter)

    def above(self, slots: Slots, places: Slots, level: Float64) -> tuple[Float64, Float64]:
        """Return how far these members are above their commissioned level, and its standard deviation."""
        at = slots, places
        return level - self._centre[at], np.sqrt(self._scatter[at])

    def forget(self, slots: Slots) -> None:
        """Begin anew."""
        for column in self.columns().values():
            column[slots] = 0
