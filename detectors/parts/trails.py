"""What every member of a group has read lately: medians over spans of cells of time, and how far they have risen.

A cell holds the mean of the readings that fell into it; it is closed by the first reading of a later cell. Medians over
cells are not moved by single wild readings, and cells in which nothing was read are left out. Memory is bounded by the
number of cells.

    >>> trails = Trails(np.array([10_000_000_000, 10_000_000_000]), width=1, cells=8)
    >>> slot, place = np.array([0]), np.array([0])
    >>> for second in range(0, 61, 5):
    ...     closing = trails.add(slot, place, np.array([second * 1_000_000_000]), np.array([float(second)]))
    ...     if len(closing):
    ...         _ = trails.close(slot, place, np.array([second * 1_000_000_000]), np.array([float(second)]))
    >>> trails.back(slot, place, trails.number[slot, place])[0, :3].tolist()
    [52.5, 42.5, 32.5]
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.parts.bank import Mask, Slots
from gateway.core.model import Float32, Float64, Int64

NOWHERE: Final = np.int64(-(1 << 40))
"""The number of the open cell of a member that has read nothing yet."""
_RECENT_SHARE: Final = 0.5
_BEFORE_SHARE: Final = 1.0 / 3.0
"""Shares of the cells of a span that must hold something."""


class Trails:
    """Cells of time of every member.

    Args:
        cell_ns: int64[rules + 1], how long each rule's cells are.
        width: Members a rule.
        cells: Cells that are kept.

    Attributes:
        number: int64[rules + 1, width], the open cell of each member, counted from 1970.
        held: float32[rules + 1, width, cells], means of closed cells by number modulo `cells`; NaN where empty.
        total: float64[rules + 1, width], sum of the open cell's readings.
        count: int32[rules + 1, width], their number.
        previous: int64[rules + 1, width], the cell that was open before the open one.
    """

    def __init__(self, cell_ns: Int64, width: int, cells: int) -> None:
        self._cell_ns, self._cells = cell_ns, cells
        shape = (len(cell_ns), width)
        self.number: Int64 = np.full(shape, NOWHERE, np.int64)
        self.held: Float32 = np.full((*shape, cells), np.nan, np.float32)
        self.total: Float64 = np.zeros(shape)
        self.count: NDArray[np.int32] = np.zeros(shape, np.int32)
        self.previous: Int64 = np.full(shape, NOWHERE, np.int64)

    def columns(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Return the state, for `Judge.columns`."""
        return {
            f"{name}_number": self.number,
            f"{name}_held": self.held,
            f"{name}_total": self.total,
            f"{name}_count": self.count,
            f"{name}_previous": self.previous,
        }

    def add(self, slots: Slots, places: Slots, time_ns: Int64, value: Float64) -> Slots:
        """Take readings, each member's at most once, and return the positions of those that close a cell instead."""
        open_ = time_ns // self._cell_ns[slots] == self.number[slots, places]
        inside = slots[open_], places[open_]
        self.total[inside] += value[open_]
        self.count[inside] += 1
        return np.flatnonzero(~open_)

    def close(self, slots: Slots, places: Slots, time_ns: Int64, value: Float64) -> Mask:
        """Close the open cells of these members, begin others with a reading each, and return where time went on.

        Where it stepped back, all cells are forgotten: what was read later than now says nothing of what comes.
        """
        number = time_ns // self._cell_ns[slots]
        before = self.number[slots, places]
        on = number > before
        known = on & (before != NOWHERE)
        at = slots[known], places[known]
        with np.errstate(over="ignore"):
            mean = self.total[at] / self.count[at]
            self.held[(*at, before[known] % self._cells)] = mean
        for k in np.flatnonzero(~known | (number > before + 1)):
            self._empty(int(slots[k]), int(places[k]), int(before[k]) + 1 if known[k] else None, int(number[k]))
        self.previous[slots, places] = np.where(known, before, NOWHERE)
        self.number[slots, places] = number
        self.total[slots, places] = value
        self.count[slots, places] = 1
        return np.asarray(known, np.bool_)

    def _empty(self, slot: int, place: int, first: int | None, end: int) -> None:
        """Empty the cells from `first` to before `end`; all of them where there is no first."""
        if first is None or end - first >= self._cells:
            self.held[slot, place] = np.nan
        else:
            self.held[slot, place, np.arange(first, end) % self._cells] = np.nan

    def forget(self, slot: int, place: int, first: int, end: int) -> None:
        """Empty the cells from number `first` to before `end`."""
        self._empty(slot, place, first, end)

    def begin_anew(self, slots: Slots, places: Slots) -> None:
        """Forget all that these members have read."""
        self.number[slots, places] = NOWHERE
        self.held[slots, places] = np.nan
        self.previous[slots, places] = NOWHERE
        self.total[slots, places], self.count[slots, places] = 0.0, 0

    def back(self, slots: Slots, places: Slots, number: Int64) -> Float64:
        """Return float64[n, cells]: the closed cells before `number`, the latest first, NaN where there is none.

        Args:
            slots: The rules.
            places: The members.
            number: Their open cells.
        """
        return self._before(slots, places, number, self.number[slots, places])

    def back_from(self, slots: Slots, places: Slots, number: Int64) -> Float64:
        """Return the same of members that others look at from their own cell `number`.

        Shown is what was closed before that cell began, so that it does not matter whose reading comes first.
        """
        open_ = self.number[slots, places]
        return self._before(slots, places, number, np.where(open_ < number, open_, self.previous[slots, places]))

    def _before(self, slots: Slots, places: Slots, number: Int64, end: Int64) -> Float64:
        wanted = number[:, None] - 1 - np.arange(self._cells)
        found = self.held[slots[:, None], places[:, None], wanted % self._cells].astype(np.float64)
        found[(wanted >= end[:, None]) | (wanted < end[:, None] - self._cells)] = np.nan
        return np.asarray(found, np.float64)


def middle(cells: Float64, share: float = 0.0) -> Float64:
    """Return the median of each row's cells; NaN where fewer than `share` of them, or none, hold something.

    >>> middle(np.array([[3.0, 1.0, 2.0], [4.0, np.nan, 2.0], [np.nan, np.nan, 1.0]]), 0.5).tolist()
    [2.0, 3.0, nan]
    """
    ordered = np.sort(cells, axis=1)
    n = ordered.shape[1]
    # NaN is sorted to the end: without any there, the row is whole.
    if not np.isnan(ordered[:, -1]).any():
        return np.asarray((ordered[:, (n - 1) // 2] + ordered[:, n // 2]) * 0.5, np.float64)
    count = n - np.isnan(ordered).sum(axis=1)
    rows = np.arange(len(ordered))
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, n - 1)
    found = (ordered[rows, low] + ordered[rows, high]) * 0.5
    found[(count == 0) | (count < share * n)] = np.nan
    return np.asarray(found, np.float64)


class Means:
    """Means of spans of cells, all at once.

    Args:
        cells: float64[n, cells], NaN where empty.
        spans: int[m, 2], from which cell to before which.

    Attributes:
        found: float64[n, m]; NaN where less than a third of a span holds something.
    """

    def __init__(self, cells: Float64, spans: NDArray[np.int_]) -> None:
        empty = np.isnan(cells)
        sums = np.zeros((len(cells), cells.shape[1] + 1))
        counts = sums.copy()
        np.cumsum(np.where(empty, 0.0, cells), axis=1, out=sums[:, 1:])
        np.cumsum(~empty, axis=1, out=counts[:, 1:])
        count = counts[:, spans[:, 1]] - counts[:, spans[:, 0]]
        enough = (count > 0) & (count >= (spans[:, 1] - spans[:, 0]) * _BEFORE_SHARE)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            found = (sums[:, spans[:, 1]] - sums[:, spans[:, 0]]) / count
        self.found: Float64 = np.where(enough, found, np.nan)


def rise(cells: Float64, recent: int, gap: int, end: int, late: int = 0) -> tuple[Float64, Float64]:
    """Return how far each row has risen, and the level it has risen from; NaN where too little was read.

    Args:
        cells: Rows of cells, the latest first.
        recent: The cells that make the present.
        gap: Where the cells begin that make the past.
        end: Where they end.
        late: How many cells ago the present is.
    """
    before = middle(cells[:, late + gap : late + end], _BEFORE_SHARE)
    return middle(cells[:, late : late + recent], _RECENT_SHARE) - before, before
