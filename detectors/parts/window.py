"""Readings of a window of time for each rule, kept in cells, and the slopes they make: by least squares and robust.

A window is cut into cells of time, and the first reading of each cell is kept; with the reading that is judged they
make the slope. So memory is bounded whatever an instrument sends, a burst does not push the window's beginning out,
and readings need not be evenly spaced.

    >>> import numpy as np
    >>> from detectors.parts.bank import Bank
    >>> from gateway.core.model import Batch, Channel, Rule
    >>> from gateway.core.plugin import PluginOptions
    >>> bank = Bank([Rule(0, "r", "x", (Channel(0, "i.x", "i", "x"),), PluginOptions())])
    >>> window = Window(np.array([60_000_000_000, 60_000_000_000]))
    >>> for second in range(0, 61, 5):
    ...     batch = Batch.of([0], second * 1_000_000_000, [20.0 + 0.1 * second])
    ...     window.keep(bank.share(batch))
    >>> window.slopes(np.array([0]), batch.time_ns, batch.value).round(3).tolist()
    [6.0]

References:
    H. Theil, A rank-invariant method of linear and polynomial regression analysis (1950); P. K. Sen, Estimates of the
    regression coefficient based on Kendall's tau, JASA 63 (1968).
    P. J. Rousseeuw, C. Croux, Alternatives to the median absolute deviation, JASA 88 (1993): its scale.
"""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.parts.bank import Mask, Slots, Where, shared_ns
from gateway.core.clock import NS_PER_S
from gateway.core.model import Float64, Int64

CELLS: Final = 40
"""Cells of time a window: one for each reading of the usual 30 s at 1 Hz, with some to spare for uneven ones."""

NEVER: Final = np.int64(-(1 << 62))
"""The time of an empty cell: outside every window, and far enough from both ends to subtract."""

READINGS_MIN: Final = 3
"""Fewest readings that make a slope."""

NS_PER_MINUTE: Final = 60.0 * NS_PER_S

MAD_TO_SIGMA: Final = 1.4826
"""What a median absolute deviation of normal noise is multiplied by to be its standard deviation."""

_MEDIAN_TO_MEAN: Final = 1.2533
"""How much wider the standard error of a median is than that of a mean, for normal noise: the root of half pi."""


Good = tuple[Mask, bytes]
"""Which readings of a batch have a value, and the marks by which that is known again."""

_NONE: Final[tuple[Where, int, bytes]] = (slice(0, 0), 0, b"")


class Readings(Protocol):
    """What a window keeps: a share of a batch, or cells that have closed."""

    slots: Where
    time_ns: Int64
    first_ns: int
    last_ns: int

    @property
    def value(self) -> Float64:
        """What is kept."""

    def __len__(self) -> int: ...

    def pick(self, chosen: Slots) -> tuple[Slots, Slots]:
        """Return positions in the batch and slots of some of them."""


class Window:
    """The readings of each rule's window.

    Args:
        window_ns: int64[size + 1], how far back each looks; the spare slot's any positive figure.
        cells: Cells a window.

    Attributes:
        window_ns: As given.
        cells: As given.
    """

    def __init__(self, window_ns: Int64, cells: int = CELLS) -> None:
        self.window_ns, self.cells = window_ns, cells
        self._cell_ns = shared_ns(window_ns // (cells - 1) + 1)
        # One cell length for all, as is usual: then one division serves a whole batch.
        self._common_ns = int(self._cell_ns[0]) if (self._cell_ns[:-1] == self._cell_ns[0]).all() else 0
        # Cells first: readings of one tick all go to one cell, which is then written as one run.
        self._time_ns: Int64 = np.full((cells, len(window_ns)), NEVER, np.int64)
        self._value: Float64 = np.zeros((cells, len(window_ns)))
        self._last_ns: Int64 = np.full(len(window_ns), NEVER, np.int64)
        self._opened = _NONE
        self._latest_ns = int(NEVER)

    def columns(self, name: str = "window") -> dict[str, NDArray[np.generic]]:
        """Return the state, for `Judge.columns`."""
        return {f"{name}_time_ns": self._time_ns.T, f"{name}_value": self._value.T, f"{name}_last_ns": self._last_ns}

    def restored(self) -> None:
        """Forget what is known of the last batch, after the columns have been filled."""
        self._opened = _NONE
        self._latest_ns = int(self._last_ns.max())

    def since_last(self, share: Readings) -> Int64:
        """Return how long before these readings the last ones lie, in nanoseconds; call it before `keep`."""
        since: Int64 = share.time_ns - self._last_ns[share.slots]
        return since

    def keep(self, share: Readings, value: Float64 | None = None, good: Good | None = None) -> Slots | None:
        """Take readings, and return the slots whose time has stepped back, where there are any.

        What was read later than now makes no slope with what comes: there the window begins anew.

        Args:
            share: The readings.
            value: What to keep instead of their values.
            good: Which of them to take, of those whose slots are a slice; None for all, and then none is BAD.
        """
        mask, back = None if good is None else good[0], None
        if share.first_ns < self._latest_ns:
            earlier = share.time_ns < self._last_ns[share.slots]
            if mask is not None:
                earlier &= mask
            if np.count_nonzero(earlier):
                _, back = share.pick(np.flatnonzero(earlier))
                self._time_ns[:, back] = NEVER
                self._opened = _NONE
        self._latest_ns = max(self._latest_ns, share.last_ns)
        if mask is None:
            self._last_ns[share.slots] = share.time_ns
        else:
            np.copyto(self._last_ns[share.slots], share.time_ns, where=mask)
        self._store(share, share.value if value is None else value, good)
        return back

    def _store(self, share: Readings, value: Float64, good: Good | None) -> None:
        if self._common_ns:
            cell = share.first_ns // self._common_ns
            if cell == share.last_ns // self._common_ns:
                self._store_together(share, value, cell, good)
                return
        self._opened = _NONE
        every = np.arange(len(share)) if good is None else np.flatnonzero(good[0])
        slots, time_ns, value = share.pick(every)[1], share.time_ns[every], value[every]
        cell_ns = self._cell_ns[slots]
        count = time_ns // cell_ns
        place = count % self.cells
        new = self._time_ns[place, slots] < count * cell_ns
        place, slots = place[new], slots[new]
        self._time_ns[place, slots] = time_ns[new]
        self._value[place, slots] = value[new]

    def _store_together(self, share: Readings, value: Float64, cell: int, good: Good | None) -> None:
        """Store readings that all fall into one cell; nothing to do where these rules have theirs already."""
        slots = share.slots
        regular = isinstance(slots, slice)
        mask, marks = (None, b"") if good is None else good
        alike = regular and self._opened[0] is slots and self._opened[2] == marks
        if alike and self._opened[1] == cell:
            return
        place = cell % self.cells
        times, values = self._time_ns[place], self._value[place]
        # Where the same rules opened the cell before, and none of them came alone since, all open this one.
        follows = alike and self._opened[1] < cell
        old = mask if follows else times[slots] < cell * self._common_ns
        if old is not None and mask is not None:
            old = old & mask
        if old is None or np.count_nonzero(old) == len(old):
            times[slots], values[slots] = share.time_ns, value
        else:
            _, chosen = share.pick(np.flatnonzero(old))
            times[chosen], values[chosen] = share.time_ns[old], value[old]
        self._opened = (slots, cell, marks) if regular else _NONE

    def slopes(self, slots: Slots, now_ns: Int64, now: Float64, readings_min: Float64 | int = READINGS_MIN) -> Float64:
        """Return each rule's slope by least squares, in units per minute.

        NaN where fewer than `readings_min` readings lie in the window, or do not span half of it.

        Args:
            slots: The rules.
            now_ns: The times of the readings judged, which `keep` has taken.
            now: Their values.
            readings_min: Fewest readings, for each rule or all of them.
        """
        age_ns, y, inside, enough = self._read(slots, now_ns, now, self.window_ns[slots], readings_min)
        x = inside * age_ns
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            # einsum, as its sums, unlike BLAS, do not depend on how many rows there are: a batch split in two must
            # judge the same.
            count = np.einsum("ij->i", inside)
            x_mean = np.einsum("ij->i", x) / count
            covariance = np.einsum("ij,ij->i", x, y) - x_mean * np.einsum("ij,ij->i", inside, y)
            slope: Float64 = covariance / (np.einsum("ij,ij->i", x, x) - count * x_mean * x_mean) * -NS_PER_MINUTE
        return np.where(enough, slope, np.nan)

    def robust(
        self,
        slots: Slots,
        now_ns: Int64,
        now: Float64,
        window_ns: Int64 | None = None,
        readings_min: Float64 | int = READINGS_MIN,
    ) -> tuple[Float64, Float64]:
        """Return each rule's robust slope and its standard error, both in units per minute.

        The slope is the median of those between readings half a window apart, so that a fifth of the readings may be
        anything at all. The error is that of independent noise, taken from how far those slopes lie apart; where
        readings are few or stand still it comes out too small, so a caller adds a floor. NaN as in `slopes`.

        Args:
            slots: The rules.
            now_ns: The times of the readings judged, which `keep` has taken.
            now: Their values.
            window_ns: How far back to look, for each, at most what is kept; by default all of it.
            readings_min: Fewest readings, for each rule or all of them.
        """
        window_ns = self.window_ns[slots] if window_ns is None else window_ns
        age_ns, y, inside, enough = self._read(slots, now_ns, now, window_ns, readings_min)
        count = np.count_nonzero(inside, axis=1)
        # The newest first, and what lies outside the window behind everything.
        order = np.argsort(np.where(inside > 0, age_ns, np.inf), axis=1, kind="stable")
        age_ns, y = np.take_along_axis(age_ns, order, 1), np.take_along_axis(y, order, 1)
        half = count // 2
        near = np.arange(self.cells // 2 + 1)
        used = near < half[:, None]
        far = np.minimum(near + (count - half)[:, None], self.cells)
        near = np.broadcast_to(near, far.shape)
        rise = np.take_along_axis(y, near, 1) - np.take_along_axis(y, far, 1)
        span = (np.take_along_axis(age_ns, far, 1) - np.take_along_axis(age_ns, near, 1)) / NS_PER_MINUTE
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            each = np.where(used, rise / span, np.nan)
            slope = median(each, half)
            error = median(np.abs(each - slope[:, None]), half) * (MAD_TO_SIGMA * _MEDIAN_TO_MEAN) / np.sqrt(half)
        return np.where(enough, slope, np.nan), np.where(enough, error, np.nan)

    def _read(
        self, slots: Slots, now_ns: Int64, now: Float64, window_ns: Int64, readings_min: Float64 | int
    ) -> tuple[Float64, Float64, Float64, Mask]:
        """Return ages, values less the newest one, 1.0 where inside the window, and which rules have enough readings.

        The first column is the reading judged; where that is itself the first of its cell, its cell does not count.
        Values are taken relative to it, so that a slope of 0.1 at 100,000 does not drown in rounding.
        """
        n = len(slots)
        age_ns = np.zeros((n, self.cells + 1), np.int64)
        np.subtract(now_ns[:, None], self._time_ns.take(slots, axis=1).T, out=age_ns[:, 1:])
        inside = (age_ns <= window_ns[:, None]).astype(np.float64)
        inside[:, 1:] *= age_ns[:, 1:] > 0
        y = np.zeros((n, self.cells + 1))
        with np.errstate(over="ignore", invalid="ignore"):
            np.subtract(self._value.take(slots, axis=1).T, now[:, None], out=y[:, 1:])
        y[inside == 0] = 0.0
        ages = age_ns.astype(np.float64)
        count = np.count_nonzero(inside, axis=1)
        span = np.max(inside * ages, axis=1)
        # A BAD reading's value is NaN, and makes no slope.
        return ages, y, inside, (count >= readings_min) & (span * 2.0 >= window_ns) & ~np.isnan(now)


def median(values: Float64, count: NDArray[np.intp]) -> Float64:
    """Return each row's median of its `count` figures; the rest of the row is NaN, and so is that of none.

    >>> median(np.array([[3.0, 1.0, 2.0], [4.0, np.nan, 2.0]]), np.array([3, 2])).tolist()
    [2.0, 3.0]
    """
    ordered = np.sort(values, axis=1)
    low, high = np.maximum(count - 1, 0) // 2, np.maximum(count // 2, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        middle: Float64 = np.take_along_axis(ordered, low[:, None], 1)[:, 0] * 0.5
        middle += np.take_along_axis(ordered, np.minimum(high, ordered.shape[1] - 1)[:, None], 1)[:, 0] * 0.5
    return middle
