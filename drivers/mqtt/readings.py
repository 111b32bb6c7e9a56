"""Collects the readings of a burst of messages into one batch."""

import math
from functools import lru_cache

import numpy as np

from gateway.core.model import Batch, Float64, Int32, Int64, Quality, UInt8


@lru_cache(maxsize=256)
def constants(row: int, count: int) -> tuple[Int32, UInt8]:
    """Return the row column and the all-GOOD column of so many readings; batches are immutable, so they share them."""
    return np.full(count, row, np.int32), np.zeros(count, np.uint8)


class Readings:
    """Readings in the order they are added: single ones in lists, columns as they are.

    Attributes:
        count: Readings so far.
        past: How many of them are BACKFILLED.
        unreadable: UNREADABLE readings added by `bad`.
        repeated: Messages dropped because they had come before.
        lost: Values of the past that could not be kept.
        trouble: What is wrong with the present message, or empty; set and emptied by the driver and the decoders.
    """

    def __init__(self) -> None:
        self.count = self.past = 0
        self.unreadable = 0
        self.repeated = 0
        self.lost = 0
        self.trouble = ""
        self._parts: list[Batch] = []
        self._row: list[int] = []
        self._time: list[int] = []
        self._value: list[float] = []
        self._quality: list[int] = []

    def add(self, row: int, time_ns: int, value: float, quality: int) -> None:
        """Append one reading; `value` is NaN exactly where `quality` is BAD."""
        self._row.append(row)
        self._time.append(time_ns)
        self._value.append(value)
        self._quality.append(quality)
        self.count += 1

    def bad(self, row: int, time_ns: int, reason: str) -> None:
        """Append one UNREADABLE reading."""
        self.unreadable += 1
        self.trouble = self.trouble or reason
        self.add(row, time_ns, math.nan, int(Quality.UNREADABLE))

    def add_columns(self, row: int, time_ns: Int64, value: Float64, quality: UInt8 | None) -> None:
        """Append readings of one channel; no qualities means all GOOD."""
        self._close()
        count = len(value)
        rows, good = constants(row, count)
        self._parts.append(Batch(rows, time_ns, value, good if quality is None else quality))
        self.count += count

    def add_rows(self, rows: Int32, time_ns: int, values: Float64, quality: int) -> None:
        """Append one reading of each of several channels, all of one time and quality."""
        self._close()
        count = len(values)
        self._parts.append(Batch(rows, np.full(count, time_ns), values, np.full(count, quality, np.uint8)))
        self.count += count

    def _close(self) -> None:
        if self._row:
            self._parts.append(
                Batch(
                    np.array(self._row, np.int32),
                    np.array(self._time, np.int64),
                    np.array(self._value, np.float64),
                    np.array(self._quality, np.uint8),
                )
            )
            self._row, self._time, self._value, self._quality = [], [], [], []

    def batch(self) -> Batch:
        """Return all that was added."""
        self._close()
        return Batch.concat(self._parts)
