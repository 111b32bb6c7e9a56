"""A block's data to a batch: compiled once, then one numpy pass a group of like channels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drivers.modbus.options import Order, Type
from drivers.modbus.plan import Block, Place
from gateway.core.model import BAD_FROM, Batch, Float64, Int32, Quality, UInt8

RAW: dict[Type, str] = {
    "bit": "u1",
    "uint16": ">u2",
    "int16": ">i2",
    "uint32": ">u4",
    "int32": ">i4",
    "uint64": ">u8",
    "int64": ">i8",
    "float32": ">f4",
    "float64": ">f8",
}
UNDER_RANGE_PART = 0.1
"""Below the range by more than this part of its span, a value is a fault and not a small negative drift."""
ROUNDING = 1e-9
"""3 × 0.1 is more than 0.3 in binary: so much of the range's end is rounding and not over-range."""
NO_LIMIT = float(np.finfo(np.float64).max)
"""Stands for an unknown end of range; infinity is still beyond it."""


class Decoder:
    """Turns the data bytes of one block's reply into readings.

    Float64 holds integers exactly up to 2**53; 64-bit counters beyond that are rounded.

    Args:
        block: What is read.

    Attributes:
        rows: int32[n], the channel rows in the order of the batch.
    """

    def __init__(self, block: Block) -> None:
        groups: dict[tuple[Type, bool], list[Place]] = {}
        for place in block.places:
            groups.setdefault((place.type, bool(place.width)), []).append(place)
        order = [place for group in groups.values() for place in group]
        self.rows: Int32 = np.array([place.channel.row for place in order], np.int32)
        self._groups: list[_Group] = []
        start = 0
        for group in groups.values():
            self._groups.append(_Group(group, block.address, start))
            start += len(group)
        self._size = len(order)
        factors = [_exact(place.scale) for place in order]
        self._scale: Float64 | None = _unless([factor for factor, _ in factors], 1.0)
        self._divisor: Float64 | None = _unless([divisor for _, divisor in factors], 1.0)
        self._offset: Float64 | None = _unless([place.offset for place in order], 0.0)
        self._low, self._high = _limits(order)
        self._bounded = bool((self._low > -NO_LIMIT).any() or (self._high < NO_LIMIT).any())
        self._floats = any(place.type.startswith("float") for place in order)
        self._special = any(place.special for place in order)
        self._good: UInt8 = np.zeros(self._size, np.uint8)

    def decode(self, data: bytes, time_ns: int) -> Batch:
        """Return the readings of a reply.

        Args:
            data: The reply's data bytes, exactly as many as the block's request asks for.
            time_ns: When it arrived.
        """
        if self._floats:
            # What an instrument sends may be a signalling NaN or overflow when scaled; both end as UNREADABLE below.
            with np.errstate(all="ignore"):
                value, marks = self._values(data)
        else:
            value, marks = self._values(data)
        times = np.empty(self._size, np.int64)
        times.fill(time_ns)
        quality = self._good if marks is None else marks
        if marks is not None or ((self._bounded or self._floats) and not self._within(value)):
            quality = self._judged(value, marks)
        return Batch(self.rows, times, value, quality)

    def _values(self, data: bytes) -> tuple[Float64, UInt8 | None]:
        """Return scaled values, and the qualities of special raw values where there are any."""
        value = np.empty(self._size)
        marks: UInt8 | None = None
        for group in self._groups:
            raw = group.raw(data)
            value[group.where] = raw
            if group.special_at is not None:
                hit = raw[group.special_at] == group.special_raw
                if hit.any():
                    marks = np.zeros(self._size, np.uint8) if marks is None else marks
                    marks[group.special_at[hit] + group.where.start] = group.special_quality[hit]
        if self._scale is not None:
            value *= self._scale
        if self._divisor is not None:
            value /= self._divisor
        if self._offset is not None:
            value += self._offset
        return value, marks

    def _within(self, value: Float64) -> bool:
        # NaN compares false with everything, so one test finds it together with what is out of range.
        return bool(np.count_nonzero((value <= self._high) & (value >= self._low)) == self._size)

    def _judged(self, value: Float64, marks: UInt8 | None) -> UInt8:
        """Return the qualities, and make BAD values NaN in place. A special raw value outranks the range."""
        quality = np.zeros(self._size, np.uint8)
        quality[value > self._high] = Quality.OVER_RANGE
        quality[value < self._low] = Quality.UNDER_RANGE
        quality[~np.isfinite(value)] = Quality.UNREADABLE
        if marks is not None:
            # A mark that keeps the value cannot keep one that is none.
            marked = (marks > 0) & ((marks >= BAD_FROM) | np.isfinite(value))
            quality[marked] = marks[marked]
        value[quality >= BAD_FROM] = np.nan
        return quality


class _Group:
    """Channels of one type in one block."""

    def __init__(self, places: Sequence[Place], address: int, start: int) -> None:
        self.where = slice(start, start + len(places))
        self._bits = places[0].type == "bit"
        self._dtype = np.dtype(RAW[places[0].type])
        self._index: NDArray[np.intp] | None = None
        self._offset = 0
        if self._bits:
            self._index = np.array([place.address - address for place in places], np.intp)
        else:
            self._lay_out(places, address)
        self._shift = self._mask = None
        if places[0].width:
            native = self._dtype.newbyteorder("=")
            self._shift = np.array([place.shift for place in places], native)
            self._mask = np.array([(1 << place.width) - 1 for place in places], native)
        self._take_special(places)

    def _lay_out(self, places: Sequence[Place], address: int) -> None:
        index = np.array([2 * (p.address - address) + wire_order(p.order, p.length) for p in places], np.intp)
        self._offset = int(index[0, 0])
        flat = index.ravel()
        if not np.array_equal(flat, np.arange(self._offset, self._offset + flat.size)):
            self._index = index

    def _take_special(self, places: Sequence[Place]) -> None:
        listed = [(i, raw, quality) for i, place in enumerate(places) for raw, quality in place.special]
        self.special_at: NDArray[np.intp] | None = None
        if listed:
            self.special_at = np.array([i for i, _, _ in listed], np.intp)
            self.special_raw = np.array([raw for _, raw, _ in listed], self._dtype.newbyteorder("="))
            self.special_quality: UInt8 = np.array([quality for _, _, quality in listed], np.uint8)

    def raw(self, data: bytes) -> NDArray[np.generic]:
        """Return the raw values of the group's channels."""
        if self._bits:
            return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[self._index]
        if self._index is None:
            raw = np.frombuffer(data, self._dtype, self.where.stop - self.where.start, self._offset)
        else:
            raw = np.frombuffer(data, np.uint8)[self._index].view(self._dtype)[:, 0]
        return raw if self._shift is None else raw >> self._shift & self._mask


def wire_order(order: Order, registers: int) -> NDArray[np.intp]:
    """Return where on the wire the bytes of a value lie, most significant first.

    ABCD is big-endian throughout; B before A means the bytes of each register are swapped, C before A that the
    registers come in reverse. Values of four registers follow the same two swaps.

    >>> wire_order("CDAB", 2).tolist(), wire_order("BADC", 1).tolist()
    ([2, 3, 0, 1], [1, 0])
    """
    index = np.arange(2 * registers, dtype=np.intp).reshape(registers, 2)
    if order in ("CDAB", "DCBA"):
        index = index[::-1]
    if order in ("BADC", "DCBA"):
        index = index[:, ::-1]
    return index.ravel()


def _exact(scale: float) -> tuple[float, float]:
    """Return a scale as factor and divisor: 111 / 10 is 11.1, where 111 * 0.1 is 11.100000000000001.

    >>> _exact(0.1), _exact(2.5)
    ((1.0, 10.0), (2.5, 1.0))
    """
    divisor = round(1.0 / scale) if 1e-12 < abs(scale) < 1.0 else 1
    return (1.0, float(divisor)) if 1.0 / divisor == scale else (scale, 1.0)


def _unless(values: list[float], neutral: float) -> Float64 | None:
    return None if all(value == neutral for value in values) else np.array(values)


def _limits(places: Sequence[Place]) -> tuple[Float64, Float64]:
    low = np.array([place.channel.range_low for place in places])
    high = np.array([place.channel.range_high for place in places])
    span = high - low
    floor = np.where(np.isfinite(span), low - UNDER_RANGE_PART * span, -NO_LIMIT)
    ceiling = np.where(
        np.isfinite(high), high + ROUNDING * np.maximum(np.abs(high), np.nan_to_num(np.abs(span))), np.nan
    )
    return floor, np.where(np.isnan(ceiling), NO_LIMIT, ceiling)
