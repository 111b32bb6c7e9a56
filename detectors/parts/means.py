"""Means of readings over cells of time: what learned detectors judge instead of single readings.

A mean of ten readings has a third of their noise, and whoever judges it works a tenth as often. A cell closes with the
last reading that is due before its end, so that nothing waits for a reading to come; where an instrument is read more
seldom than a cell is long, each reading is its own cell, also where its period is given wrong. BAD readings belong to
no cell.

    >>> import numpy as np
    >>> from detectors.parts.bank import Bank
    >>> from gateway.core.model import Batch, Channel, Rule
    >>> from gateway.core.plugin import PluginOptions
    >>> rules = [Rule(0, "r", "x", (Channel(0, "i.x", "i", "x", period_s=1.0),), PluginOptions())]
    >>> bank, means = Bank(rules), Means(rules, lambda rule: 10.0)
    >>> for second in range(20, 40):
    ...     closed = means.take(bank.share(Batch.of([0], second * 1_000_000_000, [float(second)])))
    ...     if closed is not None:
    ...         print(second, closed.mean.tolist(), closed.elapsed_s.tolist())
    29 [24.5] [10.0]
    39 [34.5] [10.0]
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.parts.bank import OVER_RANGE, Mask, Share, Slots, Where, durations, figures, is_over_range
from detectors.parts.window import NEVER
from gateway.core.clock import NS_PER_S
from gateway.core.model import BAD_FROM, Float64, Int32, Int64, Rule

_MOST: Final = 1e100
_NO_SCATTER: Final = np.empty(0)

GAP_CELLS: Final = 3
"""The longest time that one cell stands for, in cells: a longer one is a gap, and nobody knows what was in it."""


class Closed:
    """Cells that are complete.

    Attributes:
        at: Positions in the batch of the readings that closed them.
        slots: Their slots, for `state[closed.slots]`.
        time_ns: int64[n], the times of those readings.
        mean: float64[n], always finite.
        elapsed_s: float64[n], how long each stands for: since the rule's cell before, or less after a gap.
        apart: bool[n], whether nothing lies right before it: it is the first, or follows a gap or a clock set back.
        whole: Whether none is apart; told at no cost.
        clean: bool[n], whether every reading of the cell was GOOD: only such ones are learned from.
        first_ns: No time here is earlier.
        last_ns: No time here is later.
        scatter: float64[n], standard deviation from one reading to the next; empty where that was not asked for.
    """

    __slots__ = (
        "apart",
        "at",
        "clean",
        "elapsed_s",
        "first_ns",
        "last_ns",
        "mean",
        "scatter",
        "slots",
        "time_ns",
        "whole",
    )

    at: Where
    slots: Where
    time_ns: Int64
    mean: Float64
    elapsed_s: Float64
    apart: Mask
    clean: Mask
    scatter: Float64

    first_ns: int
    last_ns: int
    whole: bool

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def value(self) -> Float64:
        """The means, for a window that keeps them as readings."""
        return self.mean

    def pick(self, chosen: Slots) -> tuple[Slots, Slots]:
        """Return the positions in the batch and the slots of some of these cells, chosen by their place here."""
        every = np.arange(len(self))[chosen]
        at = every + self.at.start if isinstance(self.at, slice) else self.at[chosen]
        return at, every + self.slots.start if isinstance(self.slots, slice) else self.slots[chosen]


class Means:
    """The open cell of each rule.

    Args:
        rules: The rules.
        cell_s: Returns how long a rule's cells are, in seconds; lengthened to its channel's period.
        scatter: Also measure how much readings differ from one to the next.
    """

    def __init__(self, rules: Sequence[Rule], cell_s: Callable[[Rule], float], *, scatter: bool = False) -> None:
        size = len(rules)
        self.length_ns = durations(rules, lambda rule: max(cell_s(rule), rule.channel.period_s), spare=NS_PER_S)
        # A reading less than a period before a cell's end is the last one that is due in it.
        self._period_ns = durations(rules, lambda rule: rule.channel.period_s)
        self._range_high = figures(rules, lambda rule: rule.channel.range_high)
        self.sum: Float64 = np.zeros(size + 1)
        self.count: Int32 = np.zeros(size + 1, np.int32)
        self.due_ns: Int64 = np.full(size + 1, NEVER, np.int64)
        self.closed_ns: Int64 = np.full(size + 1, NEVER, np.int64)
        self.rough: Mask = np.zeros(size + 1, np.bool_)
        # Cells that a reading opened which came too late for the one before: twice in a row is no gap but the pace.
        self.sparse: Mask = np.zeros(size + 1, np.bool_)
        self.scatter = _Scatter(size) if scatter else None
        self._steady: _Steady | None = None
        self._before: Where | None = None

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the state, for `Judge.columns`; call `settle` before it is saved."""
        found: dict[str, NDArray[np.generic]] = {
            "cell_sum": self.sum,
            "cell_count": self.count,
            "cell_due_ns": self.due_ns,
            "cell_closed_ns": self.closed_ns,
            "cell_rough": self.rough,
            "cell_sparse": self.sparse,
        }
        return found if self.scatter is None else found | self.scatter.columns()

    def restored(self) -> None:
        """Forget what is known of the last batch, after the columns have been filled."""
        self._steady = None

    def forget(self, slots: Slots) -> None:
        """Open new cells for these rules."""
        self.settle()
        self.due_ns[slots] = self.closed_ns[slots] = NEVER
        self.sparse[slots] = False

    def take(self, share: Share) -> Closed | None:
        """Take readings and return the cells that they close; None where there are none."""
        steady = self._steady
        if steady is not None and steady.alike(share):
            if steady.holds(share):
                steady.add(share.value)
                return None
            if steady.ends_with(share):
                return steady.close(share, self)
        self.settle()
        kept = share.with_value()
        closed = self._take(kept) if len(kept) else None
        if share.slots is self._before:
            even = closed is not None and len(closed) == len(share) and not share.worst
            self._steady = _Steady.of(share, self, even=even)
        self._before = share.slots
        return closed

    def settle(self) -> None:
        """Write down what the last batches have left to be counted."""
        if self._steady is not None:
            self._steady.settle(self)
            self._steady = None

    def _take(self, share: Share) -> Closed | None:
        slots, time_ns, value = share.slots, share.time_ns, share.value
        if share.worst >= OVER_RANGE:
            beyond = is_over_range(share.quality)
            value = np.where(beyond, np.fmax(value, self._range_high[slots]), value)
        due_ns, length_ns = self.due_ns[slots], self.length_ns[slots]
        # A reading long after its cell, or before it began, is of another one; what the old one held is dropped.
        late, early = time_ns >= due_ns + length_ns, time_ns < due_ns - 2 * length_ns
        alone = None
        if np.count_nonzero(late | early):
            alone = late & self.sparse[slots] & (self.count[slots] <= 1)
            strange = np.flatnonzero(late | early)
            self._open(share.pick(strange)[1], time_ns[strange], late[strange])
            due_ns = self.due_ns[slots]
        if self.scatter is not None:
            self.scatter.take(slots, value)
        with np.errstate(over="ignore"):
            self.sum[slots] += value
        self.count[slots] += 1
        if share.worst:
            self.rough[slots] |= share.quality != 0
        closing = time_ns >= due_ns if alone is None else alone | (time_ns >= due_ns)
        n = np.count_nonzero(closing)
        return self._close(share, None if n == len(closing) else np.flatnonzero(closing)) if n else None

    def _open(self, slots: Slots, time_ns: Int64, late: Mask) -> None:
        self.sparse[slots] = late & (self.due_ns[slots] != NEVER)
        length_ns, period_ns = self.length_ns[slots], self._period_ns[slots]
        self.due_ns[slots] = ((time_ns + period_ns) // length_ns + 1) * length_ns - period_ns
        self.sum[slots], self.count[slots], self.rough[slots] = 0.0, 0, False
        if self.scatter is not None:
            self.scatter.open(slots)

    def _close(self, share: Share, chosen: Slots | None) -> Closed:
        """Return complete cells, all of a share or some, and open the next ones."""
        closed = Closed()
        if chosen is None:
            closed.at, closed.slots, closed.time_ns = share.at, share.slots, share.time_ns
        else:
            closed.at, closed.slots = share.pick(chosen)
            closed.time_ns = share.time_ns[chosen]
        closed.first_ns, closed.last_ns = share.first_ns, share.last_ns
        slots, time_ns = closed.slots, closed.time_ns
        length_ns, period_ns = self.length_ns[slots], self._period_ns[slots]
        # A driver's 1e308 is no measured value, but a number: who judges the mean need not think of infinity.
        closed.mean = np.clip(self.sum[slots] / self.count[slots], -_MOST, _MOST)
        closed.clean = ~self.rough[slots]
        closed.scatter = _NO_SCATTER if self.scatter is None else self.scatter.close(slots)
        elapsed_ns = time_ns - self.closed_ns[slots]
        longest_ns = length_ns * GAP_CELLS
        # Where readings are sparse, each looks like a gap.
        several = self.count[slots] > 1
        closed.apart = (elapsed_ns <= 0) | ((elapsed_ns > longest_ns) & (several | ~self.sparse[slots]))
        self.sparse[slots] &= ~several
        closed.whole = not np.count_nonzero(closed.apart)
        # After a gap nobody knows what was in it, as before the first cell and after a clock was set back.
        odd = closed.apart | (self.closed_ns[slots] == NEVER)
        elapsed_ns = np.where(odd, length_ns, np.minimum(elapsed_ns, longest_ns))
        closed.elapsed_s = elapsed_ns / NS_PER_S
        self.closed_ns[slots] = time_ns
        self.due_ns[slots] = ((time_ns + period_ns) // length_ns + 1) * length_ns - period_ns
        self.sum[slots], self.count[slots], self.rough[slots] = 0.0, 0, False
        return closed


class _Scatter:
    """Squares of the differences between readings that follow one another: noise, whatever the trend."""

    def __init__(self, size: int) -> None:
        self.last: Float64 = np.full(size + 1, np.nan)
        self.squares: Float64 = np.zeros(size + 1)
        self.pairs: Int32 = np.zeros(size + 1, np.int32)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        return {"cell_last": self.last, "cell_squares": self.squares, "cell_pairs": self.pairs}

    def take(self, slots: Where, value: Float64) -> None:
        with np.errstate(over="ignore"):
            step = value - self.last[slots]
            step *= step
        known = ~np.isnan(step)
        self.squares[slots] += np.where(known, step, 0.0)
        self.pairs[slots] += known
        self.last[slots] = value

    def open(self, slots: Slots) -> None:
        self.squares[slots], self.pairs[slots], self.last[slots] = 0.0, 0, np.nan

    def close(self, slots: Where) -> Float64:
        """Return the standard deviations, NaN of less than two readings, and begin anew with the last reading."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Float64 = np.minimum(np.sqrt(self.squares[slots] / (2.0 * self.pairs[slots])), _MOST)
        self.squares[slots], self.pairs[slots] = 0.0, 0
        return found


class _Steady:
    """Batches alike: the same rules with the same qualities, none of them strange. Only sums are left to do.

    Where all readings are GOOD and these rules' cells began together (`even`), whole cells close here too, as long as
    they do so together; every figure is the same as by the long way.
    """

    __slots__ = (
        "_calm",
        "_closed",
        "_due",
        "_even",
        "_from_ns",
        "_good",
        "_last",
        "_length",
        "_marks",
        "_rough",
        "_slots",
        "_squares",
        "_sum",
        "_ticks",
    )

    def __init__(self, share: Share, means: Means, good: Mask | None, *, even: bool) -> None:
        slots = share.slots
        self._slots, self._marks, self._good = slots, share.marks, good
        self._rough = share.quality != 0 if share.worst else None
        self._sum = means.sum[slots]
        scatter = means.scatter
        self._squares = None if scatter is None else scatter.squares[slots]
        self._last = None if scatter is None else scatter.last[slots]
        due_ns, length_ns = means.due_ns[slots], means.length_ns[slots]
        begun_ns = due_ns - 2 * length_ns
        if good is not None:
            due_ns, begun_ns = due_ns[good], begun_ns[good]
        self._from_ns = int(begun_ns.max(initial=NEVER))
        self._due = int(due_ns.min(initial=-NEVER)), int(due_ns.max(initial=NEVER))
        self._length = int(length_ns.min())
        # With one length for all, the next cells' ends follow from these.
        self._even = even and self._length == int(length_ns.max()) and not means.sparse[slots].any()
        self._closed = share.first_ns, share.last_ns
        self._calm = np.zeros(len(share), np.bool_), np.ones(len(share), np.bool_)
        for mask in self._calm:
            mask.flags.writeable = False
        self._ticks = 0

    @classmethod
    def of(cls, share: Share, means: Means, *, even: bool) -> "_Steady | None":
        """Return what to do with batches like this one; None where each must be looked at.

        Args:
            share: The batch.
            means: What it has been taken into.
            even: All of it was GOOD and has just closed a cell.
        """
        if not isinstance(share.slots, slice) or not share.tame:
            return None
        if share.worst < OVER_RANGE:
            return cls(share, means, None, even=even)
        if is_over_range(share.quality).any():
            return None
        return cls(share, means, share.quality < BAD_FROM, even=False)

    def alike(self, share: Share) -> bool:
        """Return whether a batch is of the same rules, with the same qualities, and not from before the cells."""
        return (
            share.slots is self._slots and self._from_ns <= share.first_ns and share.tame and share.marks == self._marks
        )

    def holds(self, share: Share) -> bool:
        """Return whether a batch alike closes no cell."""
        return share.last_ns < self._due[0]

    def ends_with(self, share: Share) -> bool:
        """Return whether a batch alike closes all cells, none of them late or after a gap."""
        return (
            self._even
            and self._due[1] <= share.first_ns
            and share.last_ns < self._due[0] + self._length
            and share.first_ns > self._closed[1]
            and share.last_ns - self._closed[0] <= GAP_CELLS * self._length
        )

    def add(self, value: Float64) -> None:
        """Count these readings."""
        self._ticks += 1
        good = self._good
        if good is None:
            self._sum += value
        else:
            np.add(self._sum, value, out=self._sum, where=good)
        if self._squares is None or self._last is None:
            return
        step = value - self._last
        step *= step
        if good is None:
            self._squares += step
            self._last[:] = value
        else:
            np.add(self._squares, step, out=self._squares, where=good)
            np.copyto(self._last, value, where=good)

    def close(self, share: Share, means: Means) -> Closed:
        """Count these readings and return their cells, all of them complete."""
        self.add(share.value)
        slots, closed = self._slots, Closed()
        closed.at, closed.slots, closed.time_ns = share.at, slots, share.time_ns
        closed.first_ns, closed.last_ns, closed.whole = share.first_ns, share.last_ns, True
        closed.apart, closed.clean = self._calm
        closed.mean = self._sum / self._ticks
        closed.elapsed_s = (share.time_ns - means.closed_ns[slots]) / NS_PER_S
        closed.scatter = _NO_SCATTER
        self._sum[:] = 0.0
        if self._squares is not None:
            closed.scatter = np.sqrt(self._squares / (2.0 * self._ticks))
            self._squares[:] = 0.0
        means.closed_ns[slots] = share.time_ns
        means.due_ns[slots] += self._length
        self._from_ns += self._length
        self._due = self._due[0] + self._length, self._due[1] + self._length
        self._closed = share.first_ns, share.last_ns
        self._ticks = 0
        return closed

    def settle(self, means: Means) -> None:
        """Write down how many there were."""
        if not self._ticks:
            return
        slots, good = self._slots, self._good
        ticks = np.int32(self._ticks) if good is None else good * np.int32(self._ticks)
        means.count[slots] += ticks
        if means.scatter is not None:
            means.scatter.pairs[slots] += ticks
        if self._rough is not None:
            rough = self._rough
            means.rough[slots] |= rough if good is None else rough & good
        self._ticks = 0
