"""A block's data to a batch: compiled once, then one numpy pass a group of like channels."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from drivers.modbus.options import HeartbeatOptions, Order, Type
from drivers.modbus.places import BIT_TABLES, FLOATS, Place, exact
from drivers.modbus.plan import Block
from drivers.modbus.status import InstrumentState
from drivers.values import NO_LIMIT, limits
from gateway.core.model import BAD_FROM, UNCERTAIN_FROM, Batch, Channel, Float64, Int32, Quality, UInt8

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


class Decoder:
    """Turns the data bytes of one block's reply into readings, and tells the instrument's state what its words say.

    Float64 holds integers exactly up to 2**53; 64-bit counters beyond that are rounded.

    Args:
        block: What is read.
        state: What the instrument's words say; needed where the block has any. Without it, or where no word speaks of
            the block's channels, values are judged by themselves alone.

    Attributes:
        rows: int32[n], the channel rows in the order of the batch; none where the block holds only words.
    """

    def __init__(self, block: Block, state: InstrumentState | None = None) -> None:
        spots = _newest(block) if block.table == "fifo" else block.places
        order, self._groups = _grouped([place for place in spots if place.channel is not None], block.address)
        words = [(place, place.word) for place in spots if place.word is not None]
        beats = [isinstance(word.options, HeartbeatOptions) for _, word in words]
        self._beats = _Words([p for (p, _), beat in zip(words, beats, strict=True) if beat], block.address)
        self._words = _Words([p for (p, _), beat in zip(words, beats, strict=True) if not beat], block.address)
        self.rows: Int32 = np.array([place.channel.row for place in order if place.channel is not None], np.int32)
        assert state is not None or not words, "words speak to a state"
        self._bytes = (block.count + 7) // 8 if block.table in BIT_TABLES else 2 * block.count
        self._open_end = block.table == "fifo"
        self._size = len(order)
        factors = [exact(place.scale) for place in order]
        self._scale: Float64 | None = _unless([factor for factor, _ in factors], 1.0)
        self._divisor: Float64 | None = _unless([divisor for _, divisor in factors], 1.0)
        self._offset: Float64 | None = _unless([place.offset for place in order], 0.0)
        self._low, self._high = _limits([place.channel for place in order if place.channel is not None])
        self._bounded = bool((self._low > -NO_LIMIT).any() or (self._high < NO_LIMIT).any())
        self._floats = any(place.type in FLOATS for place in order)
        self._good: UInt8 = np.zeros(self._size, np.uint8)
        self._heed(state if state is not None and (words or state.concerns(self.rows.tolist())) else None)

    def decode(self, data: bytes, time_ns: int, now_s: float = 0.0) -> Batch:
        """Return the readings of a reply; none where the block holds only words.

        Args:
            data: The reply's data bytes: as many as the block's request asks for; of a queue, its registers, the
                eldest first. Too few or too many make everything UNREADABLE.
            time_ns: When it arrived.
            now_s: The same moment, monotonic, by which words grow old; only used with a state.
        """
        if len(data) != self._bytes:
            if not self._open_end or len(data) < self._bytes or len(data) % 2:
                self.refused(now_s)
                return Batch.bad(self.rows, time_ns, Quality.UNREADABLE)
            data = data[-self._bytes :]
        if self._state is not None:
            self._ask(self._state, data, now_s)
        if self._floats:
            # What an instrument sends may be a signalling NaN or overflow when scaled; both end as UNREADABLE below.
            with np.errstate(all="ignore"):
                value, marks = self._values(data)
        else:
            value, marks = self._values(data)
        times = np.empty(self._size, np.int64)
        times.fill(time_ns)
        quality = self._good if marks is None else marks
        if marks is not None or self._told is not None or ((self._bounded or self._floats) and not self._within(value)):
            quality = self._judged(value, marks)
        return Batch(self.rows, times, value, quality)

    def refused(self, now_s: float) -> None:
        """Take that the instrument refuses the block: what its words said before counts no longer."""
        if self._state is not None:
            self._state.look(now_s)
            self._state.refuse(np.concatenate((self._words.indexes, self._beats.indexes)))

    def _heed(self, state: InstrumentState | None) -> None:
        """Prepare for what the instrument's words say of the block's channels."""
        self._state = state
        self._version = -1
        self._raws: list[int] = []
        self._told: UInt8 | None = None
        self._factor: Float64 | None = None
        self._factor_divisor: Float64 | None = None
        if state is not None:
            self._at = np.array([state.positions[row] for row in self.rows.tolist()], np.intp)
            # A factor may overflow or be unknown, and then the value is no number.
            self._floats = self._floats or bool(state.scaled[self._at].any())

    def _ask(self, state: InstrumentState, data: bytes, now_s: float) -> None:
        """Tell the state what the words hold, and take what all words say of the values."""
        if now_s > state.until_s:
            state.look(now_s)
        if self._beats.indexes.size:
            state.hear(self._beats.indexes, self._beats.raws(data), now_s)
        if self._words.indexes.size:
            raws = self._words.raws(data)
            if raws == self._raws and state.version == self._version:
                state.confirm(self._words.indexes, now_s)
            else:
                self._raws = raws
                state.hear(self._words.indexes, raws, now_s)
        if state.version == self._version:
            return
        self._version = state.version
        told = state.quality[self._at]
        self._told = told if told.any() else None
        factor, divisor = state.factor[self._at], state.divisor[self._at]
        self._factor = None if (factor == 1.0).all() else factor
        self._factor_divisor = None if (divisor == 1.0).all() else divisor

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
        if self._factor is not None:
            value *= self._factor
        if self._factor_divisor is not None:
            value /= self._factor_divisor
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
        marked: NDArray[np.bool_] | None = None
        if marks is not None:
            # A mark that keeps the value cannot keep one that is none.
            marked = (marks > 0) & ((marks >= BAD_FROM) | np.isfinite(value))
            quality[marked] = marks[marked]
        if self._told is not None:
            _join(quality, marked, self._told)
        value[quality >= BAD_FROM] = np.nan
        return quality


def _join(quality: UInt8, marked: NDArray[np.bool_] | None, told: UInt8) -> None:
    """Put what the words say over what the values say for themselves where it is worse, in place.

    Of two BADs the words explain the other, as warm-up explains a value that is no number; but not a value that is a
    fault code by itself. A heartbeat that stands still explains both. Of two doubts the value's own stays, unless the
    word says over range.
    """
    bad, told_bad = quality >= BAD_FROM, told >= BAD_FROM
    explained = told_bad & ((told == Quality.FROZEN) | ~bad)
    explained |= told_bad if marked is None else told_bad & ~marked
    doubted = ~bad & (told >= UNCERTAIN_FROM) & ((quality < UNCERTAIN_FROM) | (told == Quality.OVER_RANGE))
    takes = explained | doubted
    quality[takes] = told[takes]


def _newest(block: Block) -> list[Place]:
    """Return a queue's places as they lie in its newest entries."""
    return [replace(place, address=block.address + block.count - place.length) for place in block.places]


def _grouped(places: Sequence[Place], address: int) -> "tuple[list[Place], list[_Group]]":
    """Return places in the order of their groups, and the groups: one type each, with or without bits to take."""
    kinds: dict[tuple[Type, bool], list[Place]] = {}
    for place in places:
        kinds.setdefault((place.type, bool(place.width)), []).append(place)
    groups, start = [], 0
    for group in kinds.values():
        groups.append(_Group(group, address, start))
        start += len(group)
    return [place for group in kinds.values() for place in group], groups


class _Words:
    """The words of one block.

    Attributes:
        indexes: intp[k], which of the instrument's words, in the order of `raws`.
    """

    def __init__(self, places: Sequence[Place], address: int) -> None:
        order, self._groups = _grouped(places, address)
        self.indexes = np.array([place.word.index for place in order if place.word is not None], np.intp)

    def raws(self, data: bytes) -> list[int]:
        """Return what the words hold."""
        return [raw for group in self._groups for raw in group.raw(data).tolist()]


class _Group:
    """Places of one type in one block."""

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
        """Return the raw values of the group's places."""
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


def _unless(values: list[float], neutral: float) -> Float64 | None:
    return None if all(value == neutral for value in values) else np.array(values)


def _limits(channels: Sequence[Channel]) -> tuple[Float64, Float64]:
    ends = [limits(channel) for channel in channels]
    return np.array([low for low, _ in ends]), np.array([high for _, high in ends])
