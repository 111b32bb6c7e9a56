"""What a channel usually does, kept small: how large a figure has been, in half octaves, and cells of time.

A limit made of a channel's own record calibrates itself: what is much for one instrument is nothing for another one. A
record fades slowly, and what is learned in one step is bounded by who calls, so that a fault is not learned as a habit.

    >>> import numpy as np
    >>> habits = Habits(2, least=np.full(3, 0.01), memory=np.full(3, 1000.0))
    >>> for figure in (0.02, 0.03, 0.3, 0.02):
    ...     habits.learn(np.array([0]), np.array([figure]), times=ENOUGH)
    >>> habits.record(np.array([0, 1])).round(2).tolist()
    [0.32, 0.0]
    >>> habits.share_below(np.array([0]), np.array([0.1])).round(2).tolist()
    [0.75]
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.parts.bank import Mask, Share, Slots, shared
from gateway.core.model import BAD_FROM, Float32, Float64, Int64, Quality

BINS: Final = 48
"""Half octaves: figures up to 2^24 times the least one are told apart."""

_ENDLESS_NS: Final = (1 << 63) - 1

ENOUGH: Final = 24.0
"""How many figures at least as large make a record: what comes now and then is not yet a habit."""


class Habits:
    """How large a figure of each rule has been, as fading counts in half octaves.

    Args:
        size: Number of rules; there is one spare slot more.
        least: float64[size + 1], the figure that is next to nothing; all below fall into one bin.
        memory: float64[size + 1], how many figures are remembered; older ones fade.

    Attributes:
        counts: float32[size + 1, 48], state.
    """

    def __init__(self, size: int, least: Float64, memory: Float64) -> None:
        self.counts: Float32 = np.zeros((size + 1, BINS), np.float32)
        self._least = shared(least)
        self._keep: Float32 = shared((1.0 - 1.0 / np.maximum(memory, 2.0)).astype(np.float32))

    def learn(self, slots: Slots, figure: Float64, times: float | Float64 = 1.0) -> None:
        """Take in one figure for each of these rules, as if seen so many times; no rule occurs twice."""
        self.counts[slots] *= self._keep[slots, None]
        self.counts[slots, self._bin(slots, figure)] += np.asarray(times, np.float32)

    def record(self, slots: Slots) -> Float64:
        """Return what enough of the remembered figures reached, to half an octave upwards; 0 where they are few."""
        below = np.cumsum(self.counts[slots], axis=1)
        # The last bin above and in which there are enough: all but so many lie below it.
        above_ok = below[:, -1:] - np.float32(ENOUGH - 1.0)
        highest = np.minimum(np.count_nonzero(below <= above_ok, axis=1), BINS - 1)
        edge: Float64 = self._least[slots] * 2.0 ** (highest / 2.0)
        return np.where(above_ok[:, 0] >= 0, edge, 0.0)

    def share_below(self, slots: Slots, figure: Float64) -> Float64:
        """Return what share of the remembered figures is smaller, at most as fine as their number; NaN without any.

        Within a bin, the share grows evenly.
        """
        counts = self.counts[slots].astype(np.float64)
        total = counts.sum(axis=1)
        place = self._place(slots, figure)
        below = np.minimum(np.maximum(place[:, None] - np.arange(BINS), 0.0), 1.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            share: Float64 = np.where(total > 0, (counts * below).sum(axis=1) / total, np.nan)
        return share

    def least(self, slots: Slots, share: float = 0.01) -> Float64:
        """Return the figure that all but this share of the remembered ones reach, to half an octave downwards."""
        counts = self.counts[slots]
        reached = np.cumsum(counts, axis=1) > share * counts.sum(axis=1, keepdims=True)
        lowest = np.argmax(reached, axis=1)
        edge: Float64 = self._least[slots] * 2.0 ** ((lowest - 1) / 2.0)
        return np.where(reached.any(axis=1) & (lowest > 0), edge, 0.0)

    def amount(self, slots: Slots) -> Float64:
        """Return how many figures are remembered."""
        found: Float64 = self.counts[slots].sum(axis=1, dtype=np.float64)
        return found

    def forget(self, slots: Slots) -> None:
        """Begin anew."""
        self.counts[slots] = 0.0

    def _place(self, slots: Slots, figure: Float64) -> Float64:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            place = 2.0 * np.log2(figure / self._least[slots]) + 1.0
        return np.clip(np.nan_to_num(place, nan=0.0, posinf=BINS, neginf=0.0), 0.0, BINS)

    def _bin(self, slots: Slots, figure: Float64) -> NDArray[np.intp]:
        found: NDArray[np.intp] = np.clip(np.ceil(self._place(slots, figure)).astype(np.intp), 1, BINS) - 1
        return found


def _fit() -> Mask:
    fit = np.zeros(256, np.bool_)
    fit[[Quality.GOOD, Quality.UNCERTAIN, Quality.CLOCK_DOUBTFUL]] = True
    return fit


FIT: Final = _fit()


def telling(share: Share, spoiled: Mask) -> Share:
    """Return the readings that tell how an instrument is doing: no BAD ones, no test, no maintenance, not over range.

    Args:
        share: Some readings.
        spoiled: bool[size + 1], set for each rule that has had another one than GOOD or CLOCK_DOUBTFUL.
    """
    odd = (share.quality != Quality.GOOD) & (share.quality != Quality.CLOCK_DOUBTFUL)
    _, slots = share.pick(np.flatnonzero(odd))
    spoiled[slots] = True
    return share.only(FIT[share.quality])


class Aside(NamedTuple):
    """Readings of a share that do not tell how an instrument is doing; of a share without gaps in its slots.

    Attributes:
        odd: Places of those that are neither GOOD nor CLOCK_DOUBTFUL.
        unfit: Places of those that tell nothing; none of them has a value.
    """

    odd: Slots
    unfit: Slots


_NOWHERE: Final = np.empty(0, np.intp)


class _Asides:
    """What was set aside of the last batch: instruments that are silent stay so for a while."""

    def __init__(self) -> None:
        self._marks, self._slots, self._found = b"", slice(0, 0), Aside(_NOWHERE, _NOWHERE)

    def of(self, share: Share) -> Aside | None:
        """Return what is set aside; None where that is no matter of a few: then `telling` takes the rest."""
        slots = share.slots
        if not isinstance(slots, slice):
            return None
        if slots is not self._slots or share.marks != self._marks:
            quality = share.quality
            odd = (quality != Quality.GOOD) & (quality != Quality.CLOCK_DOUBTFUL)
            unfit = ~FIT[quality]
            if np.count_nonzero(unfit & (quality < BAD_FROM)):
                # What tells nothing but has a value, as in a test, is not seen by its value.
                return None
            self._marks, self._slots = share.marks, slots
            self._found = Aside(np.flatnonzero(odd), np.flatnonzero(unfit))
        return self._found


_ASIDES: Final = _Asides()


def set_aside(share: Share, spoiled: Mask) -> tuple[Share, Aside | None]:
    """Return what `telling` does, or where that costs less, the share as it is and what of it is not to be judged.

    Args:
        share: Some readings.
        spoiled: bool[size + 1], set for each rule that has had another one than GOOD or CLOCK_DOUBTFUL.
    """
    aside = _ASIDES.of(share)
    if aside is None:
        return telling(share, spoiled), None
    spoiled[share.slots][aside.odd] = True
    return share, aside


def looked_at(share: Share) -> tuple[Share, Aside | None]:
    """Return the same for those who take no note of it."""
    aside = _ASIDES.of(share)
    return (share, aside) if aside is not None else (share.only(FIT[share.quality]), None)


class Cells:
    """Time cut into cells of each rule's own length, on one grid, so that no cut of readings into batches moves them.

    A reading at or after its cell's end closes the cell and belongs to the next one; so does one from before the cell
    began, as then the clock was set back. Cells in which nothing was read are not told.

    Args:
        length_ns: int64[size + 1], the lengths.

    Attributes:
        end_ns: int64[size + 1], when each rule's cell ends; state. 0 before the first reading.
    """

    def __init__(self, length_ns: Int64) -> None:
        self.length_ns = length_ns
        self.end_ns: Int64 = np.zeros(len(length_ns), np.int64)
        self._aside: Aside | None = None
        self._others_ns = 0
        self.restored()

    def over(self, share: Share, aside: Aside | None = None) -> Slots | None:
        """Return the places in a share of the readings that close a cell; None where none does, at little cost.

        Args:
            share: The readings.
            aside: Those of them that close none.
        """
        if self._begun_ns <= share.first_ns:
            if share.last_ns < self._next_ns:
                return None
            # The cells of instruments that are silent never end: those of the others decide.
            if aside is self._aside and aside is not None and share.last_ns < self._others_ns:
                return None
        slots = share.slots
        left = np.subtract(self.end_ns[slots], share.time_ns).view(np.uint64)
        closing: Slots = np.flatnonzero(left - np.uint64(1) >= self.length_ns[slots].view(np.uint64))
        if aside is not None and len(closing):
            closing = closing[~np.isin(closing, aside.unfit)]
            if not len(closing):
                ends = self.end_ns[slots].copy()
                ends[aside.unfit] = _ENDLESS_NS
                self._aside, self._others_ns = aside, int(ends.min(initial=_ENDLESS_NS))
        return closing if len(closing) else None

    def begin(self, slots: Slots, time_ns: Int64) -> None:
        """Begin the cells that hold these times."""
        length = self.length_ns[slots]
        self.end_ns[slots] = (time_ns // length + 1) * length
        self.restored()

    def restored(self) -> None:
        """Set what follows from the ends, after they have been filled."""
        ends = self.end_ns[:-1]
        self._aside, self._others_ns = None, 0
        self._next_ns = int(ends.min(initial=_ENDLESS_NS))
        self._begun_ns = int((ends - self.length_ns[:-1]).max(initial=0))
