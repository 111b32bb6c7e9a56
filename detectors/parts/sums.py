"""Sums of what lies beyond the allowed, upwards and downwards, that grow while it lasts and never go below nothing.

    >>> sums = Sums(1)
    >>> for k, step in enumerate([-0.3, 0.4, 0.4, 0.4]):
    ...     figure = sums.add(np.array([0]), np.array([step]), np.array([-step]), np.array([k * 1_000_000_000]))
    >>> figure.round(1).tolist(), sums.lasted_s(0, 3_000_000_000)
    ([1.2], 3.0)

References:
    E. S. Page, Continuous Inspection Schemes, Biometrika 41, 1954.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.parts.bank import Slots, Where
from gateway.core.clock import NS_PER_S
from gateway.core.model import Float64, Int64

CAP: Final = 2.0
"""Where a sum stops, in parts of its limit, so that it comes back after a long event."""


class Sums:
    """Two sums for each rule, in parts of its limit.

    Args:
        size: Number of rules.

    Attributes:
        up: float64[size + 1], the sum upwards.
        down: float64[size + 1], the sum downwards.
    """

    def __init__(self, size: int) -> None:
        self.up: Float64 = np.zeros(size + 1)
        self.down: Float64 = np.zeros(size + 1)
        self._since_ns: Int64 = np.zeros(size + 1, np.int64)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the state, for `Judge.columns`."""
        return {"sum_up": self.up, "sum_down": self.down, "sum_since_ns": self._since_ns}

    def add(self, slots: Where, up: Float64, down: Float64, time_ns: Int64) -> Float64:
        """Add one step each way and return the larger sum, downwards negative; a step of NaN begins anew."""
        up = np.minimum(np.fmax(self.up[slots] + up, 0.0), CAP)
        down = np.minimum(np.fmax(self.down[slots] + down, 0.0), CAP)
        self.up[slots], self.down[slots] = up, down
        figure: Float64 = np.where(up >= down, up, -down)
        rest = figure == 0.0
        if np.count_nonzero(rest):
            self._since_ns[slots] = np.where(rest, time_ns, self._since_ns[slots])
        return figure

    def lasted_s(self, slot: int, now_ns: int) -> float:
        """Return for how long the larger sum has been above nothing, in seconds."""
        return max(now_ns - int(self._since_ns[slot]), 0) / NS_PER_S

    def forget(self, slots: Slots) -> None:
        """Begin anew."""
        self.up[slots] = self.down[slots] = 0.0
