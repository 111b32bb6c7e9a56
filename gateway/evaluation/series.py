"""Series made short enough to be drawn: the least and the greatest of each stretch, so that no spike is lost."""

from typing import NamedTuple

import numpy as np

from gateway.core.model import Float64, Int64


class Thinned(NamedTuple):
    """A series to be drawn.

    Attributes:
        time_ns: int64[n].
        value: float64[n]; NaN breaks the line.
    """

    time_ns: Int64
    value: Float64


def thinned(time_ns: Int64, value: Float64, stretches: int = 600) -> Thinned:
    """Return at most two values of each stretch of equal count, and NaN where a stretch has none.

    >>> thinned(np.arange(6), np.array([1.0, 9.0, 2.0, 3.0, 0.0, 3.0]), 2).value.tolist()
    [1.0, 9.0, 3.0, 0.0]
    """
    if len(value) <= 2 * stretches:
        return Thinned(time_ns, value)
    at: list[int] = []
    for part in np.array_split(np.arange(len(value)), stretches):
        known = part[~np.isnan(value[part])]
        if len(known):
            at += sorted({int(known[value[known].argmin()]), int(known[value[known].argmax()])})
        else:
            at.append(int(part[0]))
    return Thinned(time_ns[at], value[at])
