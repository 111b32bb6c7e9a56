"""The values that a channel has shown, so far as they can be told apart, and how far a new one lies from them."""

from array import array
from bisect import bisect_left
from math import inf, nan
from typing import Final

import numpy as np
from numpy.typing import NDArray

VALUES_MAX: Final = 512
"""Values kept of each channel: 4 kB, and closer together than the noise of most instruments."""

_COARSER: Final = 1.5
"""How much the resolution grows where the values have become too many."""


class Known:
    """Values seen, sorted, at most `VALUES_MAX`; values closer than the resolution count as one.

    The resolution begins at nothing and grows where a channel shows more different values than are kept.

    Attributes:
        values: The values, rising.
        resolution: Values within this of a known one are known.
    """

    __slots__ = ("resolution", "values")

    def __init__(self) -> None:
        self.values = array("d")
        self.resolution = 0.0

    def gap(self, value: float) -> float:
        """Return how far a value lies from the nearest known one; 0 within the resolution, infinite while none is."""
        values = self.values
        k = bisect_left(values, value)
        gap = values[k] - value if k < len(values) else inf
        if k:
            below = value - values[k - 1]
            gap = min(gap, below)
        return gap if gap > self.resolution else 0.0

    def nearest(self, value: float) -> float:
        """Return the nearest known value; NaN where none is known."""
        return min(self.values, key=lambda known: abs(known - value), default=nan)

    def add(self, value: float) -> None:
        """Take a value in that has a gap to all known ones."""
        values = self.values
        values.insert(bisect_left(values, value), value)
        if len(values) >= VALUES_MAX:
            self._thin()

    def _thin(self) -> None:
        values = self.values
        # At least so coarse that half of the values would cover the whole span evenly: thinning is rare.
        span = values[-1] - values[0]
        self.resolution = max(self.resolution * _COARSER, span / VALUES_MAX)
        kept = array("d", values[:1])
        for value in values[1:-1]:
            if value - kept[-1] > self.resolution:
                kept.append(value)
        kept.append(values[-1])
        self.values = kept if len(kept) < VALUES_MAX else kept[::2]

    def save(self, into: NDArray[np.float64]) -> None:
        """Write the values into float64[VALUES_MAX], NaN behind the last."""
        into[: len(self.values)] = self.values
        into[len(self.values) :] = np.nan

    def restore(self, saved: NDArray[np.float64], resolution: float) -> None:
        """Take over what `save` has written, and the resolution that was."""
        self.values = array("d", saved[~np.isnan(saved)].tolist())
        self.resolution = resolution
