"""One-minute values in memory: the present minutes of all channels, and packed blocks of past ones."""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.core.model import BAD_FROM, Batch, Float64, Int32, Int64, UInt8

Slots = NDArray[np.intp]

MINUTE_NS = 60_000_000_000
MEAN_BITS_CUT = 20

_HEAD = struct.Struct("<III")  # crc, minutes, channels
_FLOATS, _COUNTS = np.dtype("<f8"), np.dtype("<u4")


@dataclass(frozen=True, slots=True)
class Block:
    """Values of some channels in some minutes; every array is [channels, minutes].

    Attributes:
        low: float64, minimum; +inf where there is none.
        high: float64, maximum; -inf where there is none.
        total: float64, sum of the values that are not BAD.
        count: int64, readings, BAD ones included.
        bad: int64, BAD readings.
        worst: uint8, the worst quality.
    """

    low: Float64
    high: Float64
    total: Float64
    count: Int64
    bad: Int64
    worst: UInt8

    @classmethod
    def empty(cls, channels: int, minutes: int) -> "Block":
        """Return a block without a single reading."""
        shape = (channels, minutes)
        return cls(
            np.full(shape, np.inf), np.full(shape, -np.inf), np.zeros(shape), np.zeros(shape, np.int64),
            np.zeros(shape, np.int64), np.zeros(shape, np.uint8),
        )  # fmt: skip

    def merge(self, other: "Block", at: tuple[NDArray[np.intp] | slice, NDArray[np.intp] | slice]) -> None:
        """Add the readings of a block to those at `at`, an index into this block of the other's shape."""
        self.low[at] = np.minimum(self.low[at], other.low)
        self.high[at] = np.maximum(self.high[at], other.high)
        self.total[at] += other.total
        self.count[at] += other.count
        self.bad[at] += other.bad
        self.worst[at] = np.maximum(self.worst[at], other.worst)

    def part(self, channels: slice | Slots, minutes: slice = slice(None)) -> "Block":
        """Return some of it; a view where `channels` is a slice."""
        at = (channels, minutes)
        return Block(self.low[at], self.high[at], self.total[at], self.count[at], self.bad[at], self.worst[at])

    def pack(self) -> bytes:
        """Return the block as bytes with a CRC; means keep 32 of their 52 bits, ten digits, all else every bit."""
        channels, minutes = self.low.shape
        real = self.count - self.bad
        with np.errstate(all="ignore"):
            mean = np.where(real > 0, self.total / np.maximum(real, 1), 0.0)
        bits = mean.view(np.int64)
        mean = ((bits + (1 << (MEAN_BITS_CUT - 1))) >> MEAN_BITS_CUT << MEAN_BITS_CUT).view(np.float64)
        body = b"".join((
            _shuffled(self.low, _FLOATS), _shuffled(mean, _FLOATS), _shuffled(self.high, _FLOATS),
            _shuffled(self.count, _COUNTS), _shuffled(self.bad, _COUNTS), self.worst.tobytes(),
        ))  # fmt: skip
        rest = struct.pack("<II", minutes, channels) + zlib.compress(body, 1)
        return struct.pack("<I", zlib.crc32(rest)) + rest

    @classmethod
    def unpack(cls, data: bytes) -> "Block":
        """Return what `pack` was called on.

        Raises:
            ValueError: The bytes are damaged.
        """
        if len(data) < _HEAD.size:
            raise ValueError(f"{len(data)} bytes are no block")
        crc, minutes, channels = _HEAD.unpack_from(data)
        if zlib.crc32(memoryview(data)[4:]) != crc:
            raise ValueError("check sum does not fit")
        body, shape = zlib.decompress(memoryview(data)[_HEAD.size :]), (channels, minutes)
        cells, at = channels * minutes, 0
        floats = []
        for _ in range(3):
            floats.append(_unshuffled(body[at : at + 8 * cells], _FLOATS).reshape(shape))
            at += 8 * cells
        count = _unshuffled(body[at : at + 4 * cells], _COUNTS).astype(np.int64).reshape(shape)
        bad = _unshuffled(body[at + 4 * cells : at + 8 * cells], _COUNTS).astype(np.int64).reshape(shape)
        worst = np.frombuffer(body, np.uint8, cells, at + 8 * cells).reshape(shape).copy()
        low, mean, high = floats
        return cls(low, high, mean * (count - bad), count, bad, worst)


def rows_by(old: Slots, new: Slots) -> Slots:
    """Return the row in `new` of each key of `old`, -1 where it has none; no key is in either twice.

    >>> rows_by(np.array([7, 3, 5]), np.array([5, 7])).tolist()
    [1, -1, 0]
    """
    place = np.full(max(int(old.max(initial=-1)), int(new.max(initial=-1))) + 1, -1, np.intp)
    place[new] = np.arange(len(new))
    return place[old]


def _shuffled(values: NDArray[np.generic], width: np.dtype[np.generic]) -> bytes:
    """Return all first bytes, then all second ones and so on: neighbours are alike, so they compress well."""
    flat = np.ascontiguousarray(values, width).view(np.uint8)
    return flat.reshape(-1, width.itemsize).T.tobytes()


def _unshuffled(data: bytes, width: np.dtype[np.generic]) -> NDArray[np.generic]:
    planes = np.frombuffer(data, np.uint8).reshape(width.itemsize, -1)
    return np.ascontiguousarray(planes.T).reshape(-1).view(width)


class Minute:
    """The readings of one minute so far, one place a channel row.

    Args:
        keys: intp[rows], the key in the file of each row's channel; none twice.
    """

    __slots__ = ("block", "keys")

    def __init__(self, keys: Slots) -> None:
        self.keys = keys
        self.block = Block.empty(len(keys), 1)

    def numbered(self, keys: Slots) -> "Minute":
        """Return the same readings with rows by other keys; those of channels without a row there are left out."""
        if keys is self.keys:
            return self
        rows = rows_by(self.keys, keys)
        kept = np.flatnonzero(rows >= 0)
        other = Minute(keys)
        other.block.merge(self.block.part(kept), (rows[kept], slice(None)))
        return other

    def add(self, batch: Batch, stamp: Int64) -> None:
        """Add readings of this minute.

        Args:
            batch: At least one reading.
            stamp: int64[rows], scratch space; what it holds does not matter.
        """
        rows = _place(batch.row)
        if isinstance(rows, slice) or _unique(rows, stamp):
            self._add_unique(batch, rows)
        else:
            self._add_repeated(batch)

    def _add_unique(self, batch: Batch, rows: Int32 | slice) -> None:
        block, value, quality = self.block, batch.value, batch.quality
        low, high, total = block.low[:, 0], block.high[:, 0], block.total[:, 0]
        block.count[:, 0][rows] += 1
        if quality.any():
            bad = quality >= BAD_FROM
            block.bad[:, 0][rows] += bad
            worst = block.worst[:, 0]
            worst[rows] = np.maximum(worst[rows], quality)
            total[rows] += np.where(bad, 0.0, value)
            low[rows] = np.fmin(low[rows], value)
            high[rows] = np.fmax(high[rows], value)
            return
        total[rows] += value
        low[rows] = np.minimum(low[rows], value)
        high[rows] = np.maximum(high[rows], value)

    def _add_repeated(self, batch: Batch) -> None:
        """Add readings among which a channel occurs more than once: sorted by channel, one run each."""
        order = np.argsort(batch.row, kind="stable")
        rows, value, quality = batch.row[order], batch.value[order], batch.quality[order]
        starts = np.concatenate([np.zeros(1, np.intp), np.flatnonzero(rows[1:] != rows[:-1]) + 1])
        bad = quality >= BAD_FROM
        runs = Block(
            np.minimum.reduceat(np.where(bad, np.inf, value), starts)[:, np.newaxis],
            np.maximum.reduceat(np.where(bad, -np.inf, value), starts)[:, np.newaxis],
            np.add.reduceat(np.where(bad, 0.0, value), starts)[:, np.newaxis],
            np.diff(starts, append=len(rows)).astype(np.int64)[:, np.newaxis],
            np.add.reduceat(bad.astype(np.int64), starts)[:, np.newaxis],
            np.maximum.reduceat(quality, starts)[:, np.newaxis],
        )
        self.block.merge(runs, (rows[starts].astype(np.intp), slice(None)))


def _unique(rows: Int32, stamp: Int64) -> bool:
    """Return whether no row occurs twice: each place then still holds the number of its only visitor."""
    visitors = np.arange(len(rows))
    stamp[rows] = visitors
    return bool((stamp[rows] == visitors).all())


def _place(rows: Int32) -> Int32 | slice:
    """Return rows as a slice where they are neighbours, which is several times quicker to index by."""
    first, count = int(rows[0]), len(rows)
    if int(rows[-1]) - first == count - 1 and (count < 3 or bool((np.diff(rows) == 1).all())):
        return slice(first, first + count)
    return rows
