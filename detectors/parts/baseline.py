"""What is normal for a channel: where its level has been, and how much it scatters about it, learned in calm.

The time of learning is cut into twelve blocks. Their means say where the level has been, whether by day and night or by
the plant's own rhythm; the scatter within them says how far a single figure lies off. Both are taken robustly over the
blocks, so that a door left open for an hour, or one leak, is not learned. Then it stands still. Where it may adapt,
its level moves by at most a stated part of the scatter a day, so that a slow leak is never learned as normal.

    >>> baseline = Baseline(learn_s=np.array([120.0, 1.0]), floor=np.array([0.1, 0.1]))
    >>> slots, random = np.array([0]), np.random.default_rng(1)
    >>> for _ in range(120):
    ...     baseline.learn(slots, 20.0 + random.normal(0, 0.5, 1), np.array([1.0]))
    >>> baseline.ready.tolist(), bool(abs(baseline.noise[0] - 0.5) < 0.15)
    ([True], True)
    >>> baseline.excess(slots, np.array([20.0])).tolist(), baseline.excess(slots, np.array([25.0])).round().tolist()
    ([0.0], [5.0])
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.parts.bank import Mask, Slots, Where
from detectors.parts.window import MAD_TO_SIGMA, median
from gateway.core.model import Channel, Float32, Float64, Int32

BLOCKS: Final = 12
"""Blocks of the time of learning: of a day, two hours each."""

BAND_MADS: Final = 5.0
"""How far from the middle of the blocks' means the band may reach, in their robust standard deviations."""

S_PER_DAY: Final = 86_400.0
_FEW = 6


def default_floor(channel: Channel) -> float:
    """Return the least scatter that is believed of a channel: a clean-air zero does not make any reading unusual.

    One unit of its last digit, and at least a thousandth of its range.

    >>> default_floor(Channel(0, "t", "i", "ch4", "%LEL", 0.0, 100.0, decimals=1))
    0.1
    """
    span = channel.range_high - channel.range_low
    return max(10.0**-channel.decimals, span / 1000.0 if np.isfinite(span) else 0.0)


class Baseline:
    """What is normal for each rule; everything is NaN until it has been learned.

    Args:
        learn_s: float64[size + 1], how long each learns, in seconds of calm.
        floor: float64[size + 1], the least scatter, in the channel's unit.
        adapt_per_day: float64[size + 1], by how many scatters its level may move a day once learned; nothing by
            default.

    Attributes:
        low: float64[size + 1], the lower end of where the level has been.
        high: float64[size + 1], the upper end.
        noise: float64[size + 1], standard deviation about the level, at least the floor.
        learned_s: float64[size + 1], seconds learned so far.
    """

    def __init__(self, learn_s: Float64, floor: Float64, adapt_per_day: Float64 | None = None) -> None:
        n = len(learn_s)
        self._learn_s, self._floor = learn_s, floor
        self._adapt_per_s = None if adapt_per_day is None or not adapt_per_day.any() else adapt_per_day / S_PER_DAY
        self.low: Float64 = np.full(n, np.nan)
        self.high: Float64 = np.full(n, np.nan)
        self.noise: Float64 = np.full(n, np.nan)
        self.learned_s: Float64 = np.zeros(n)
        # Figures are counted from the first one, so that float32 holds them and sums of squares do not cancel.
        self._origin: Float64 = np.zeros(n)
        self._count: Int32 = np.zeros(n, np.int32)
        self._sum: Float64 = np.zeros(n)
        self._squares: Float64 = np.zeros(n)
        self._means: Float32 = np.full((n, BLOCKS), np.nan, np.float32)
        self._scatters: Float32 = np.full((n, BLOCKS), np.nan, np.float32)
        self._all_ready = False

    def columns(self, name: str = "normal") -> dict[str, NDArray[np.generic]]:
        """Return the state, for `Judge.columns`."""
        own: dict[str, NDArray[np.generic]] = {
            "low": self.low,
            "high": self.high,
            "noise": self.noise,
            "learned_s": self.learned_s,
            "origin": self._origin,
            "count": self._count,
            "sum": self._sum,
            "squares": self._squares,
            "means": self._means,
            "scatters": self._scatters,
        }
        return {f"{name}_{key}": column for key, column in own.items()}

    def restored(self) -> None:
        """Take note of what has been filled in."""
        self._all_ready = bool(self.ready.all())

    @property
    def ready(self) -> Mask:
        """bool[size], which rules have learned what is normal."""
        ready: Mask = np.isfinite(self.noise[:-1])
        return ready

    def excess(self, slots: Where, value: Float64) -> Float64:
        """Return how far values lie beyond where the level has been: above positive, below negative, within 0."""
        return np.maximum(value - self.high[slots], 0.0) + np.minimum(value - self.low[slots], 0.0)

    def edge(self, slots: Slots, value: Float64, scatters: Float64) -> Float64:
        """Return the level that is so many scatters beyond the usual, on the side where the values lie."""
        reach = scatters * self.noise[slots]
        above = value > (self.low[slots] + self.high[slots]) / 2.0
        return np.where(above, self.high[slots] + reach, self.low[slots] - reach)

    @property
    def idle(self) -> bool:
        """Whether `learn` does nothing, as all is learned and stands still."""
        return self._all_ready and self._adapt_per_s is None

    def learn(self, slots: Slots, value: Float64, elapsed_s: Float64) -> None:
        """Take in calm, finite figures of rules, of which none occurs twice, and how long each stands for."""
        if self.idle:
            return
        done = np.isfinite(self.noise[slots])
        if self._adapt_per_s is not None and np.count_nonzero(done):
            self._adapt(slots[done], value[done], elapsed_s[done])
        if np.count_nonzero(done) < len(done):
            self._gather(slots[~done], value[~done], elapsed_s[~done])

    def forget(self, slots: Slots) -> None:
        """Learn these rules anew."""
        self.low[slots] = self.high[slots] = self.noise[slots] = np.nan
        self._means[slots] = self._scatters[slots] = np.nan
        self.learned_s[slots] = self._origin[slots] = self._sum[slots] = self._squares[slots] = 0.0
        self._count[slots] = 0
        self._all_ready = False

    def _adapt(self, slots: Slots, value: Float64, elapsed_s: Float64) -> None:
        assert self._adapt_per_s is not None, "the caller asks only where something adapts"
        most = self._adapt_per_s[slots] * self.noise[slots] * elapsed_s
        step = np.clip(self.excess(slots, value), -most, most)
        self.low[slots] += step
        self.high[slots] += step

    def _gather(self, slots: Slots, value: Float64, elapsed_s: Float64) -> None:
        first = self.learned_s[slots] == 0
        self._origin[slots[first]] = value[first]
        off = np.clip(value - self._origin[slots], -1e18, 1e18)
        block_s = self._learn_s[slots] / BLOCKS
        before = self.learned_s[slots]
        self.learned_s[slots] = after = before + elapsed_s
        self._count[slots] += 1
        self._sum[slots] += off
        self._squares[slots] += off * off
        ends = np.minimum(after // block_s, BLOCKS) > before // block_s
        if np.count_nonzero(ends):
            self._end_block(slots[ends], (before // block_s)[ends].astype(np.intp))
        done = after >= self._learn_s[slots]
        if np.count_nonzero(done):
            self._settle(slots[done])

    def _end_block(self, slots: Slots, block: Slots) -> None:
        count = self._count[slots]
        mean = self._sum[slots] / count
        self._means[slots, block] = mean
        variance = np.maximum(self._squares[slots] / count - mean * mean, 0.0)
        # Of one figure alone nobody knows how much it scatters.
        self._scatters[slots, block] = np.where(count > 1, np.sqrt(variance * count / np.maximum(count - 1, 1)), np.nan)
        self._count[slots], self._sum[slots], self._squares[slots] = 0, 0.0, 0.0

    def _settle(self, slots: Slots) -> None:
        """Say what is normal, from the blocks."""
        means, scatters = self._means[slots].astype(np.float64), self._scatters[slots].astype(np.float64)
        count = np.count_nonzero(~np.isnan(means), axis=1)
        centre = median(means, count)
        spread = median(np.abs(means - centre[:, None]), count) * MAD_TO_SIGMA
        within = np.nan_to_num(median(scatters, np.count_nonzero(~np.isnan(scatters), axis=1)), nan=0.0)
        # Blocks of one figure each tell the scatter only by how far they lie apart.
        noise = np.maximum(np.where(within > 0, within, spread), self._floor[slots])
        ordered = np.sort(means, axis=1)
        every, trim = np.arange(len(slots)), (count >= _FEW).astype(np.intp)
        reach = BAND_MADS * np.maximum(spread, noise)
        self.low[slots] = self._origin[slots] + np.maximum(ordered[every, trim], centre - reach)
        self.high[slots] = self._origin[slots] + np.minimum(ordered[every, count - 1 - trim], centre + reach)
        self.noise[slots] = noise
        self._all_ready = bool(self.ready.all())
