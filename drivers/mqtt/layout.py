"""Cuts bytes into numbers: fields in fixed places, and tags each followed by its values."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import xor

from drivers.mqtt.layout_options import BYTES_MAX, SIZES, FieldOptions, LayoutOptions, TimeFieldOptions
from drivers.values import NS_PER_UNIT

TAGS_MAX = 1_000
"""Tags that one payload may hold; what follows is not read."""
Reader = Callable[[bytes], float]


@dataclass(slots=True)
class Frame:
    """What one payload holds.

    Attributes:
        values: Names of fields and their numbers, as they stand in the payload.
        history: The same with their times, from the instrument's own memory.
        time_ns: The payload's own time, or None.
        cut: Why the rest of the payload could not be read, or empty.
    """

    values: list[tuple[str, float]] = field(default_factory=list)
    history: list[tuple[int, str, float]] = field(default_factory=list)
    time_ns: int | None = None
    cut: str = ""


@dataclass(frozen=True, slots=True)
class Tag:
    """What follows a tag, ready to be read."""

    size: int | None
    fields: tuple[tuple[str, int, Reader], ...]
    history: Reader | None
    history_end: int
    history_ns: int


class Layout:
    """Reads payloads of one layout.

    Args:
        options: The layout.
    """

    def __init__(self, options: LayoutOptions) -> None:
        self._options = options
        self._fields = _readers(options.fields, options.order)
        self._time = None if options.time is None else _reader(options.time, options.order)
        self._time_end = 0 if options.time is None else options.time.end
        self._time_ns = 0 if options.time is None else NS_PER_UNIT[options.time.unit]
        self._check = {"sum8": sum8, "xor8": xor8, "crc16": crc16}.get(options.checksum or "")
        self._tag_bytes = len(next(iter(options.tags), "")) // 2
        self._tags = {
            bytes.fromhex(text): Tag(
                tag.size, _readers(tag.fields, options.order), *_history(tag.history, options.order)
            )
            for text, tag in options.tags.items()
        }

    def read(self, data: bytes) -> Frame:
        """Return what a payload holds; whatever it is, nothing is raised.

        A payload of a wrong length or with a wrong checksum holds nothing, and `cut` says so.
        """
        size = self._options.size
        if len(data) > BYTES_MAX or (size is not None and len(data) != size):
            return Frame(cut=f"{len(data)} bytes; {size or f'at most {BYTES_MAX}'} are allowed")
        if self._check is not None and self._check(data):
            return Frame(cut="its checksum is wrong")
        frame = Frame()
        frame.values += [(name, read(data)) for name, end, read in self._fields if end <= len(data)]
        if self._time is not None and self._time_end <= len(data):
            frame.time_ns = int(self._time(data)) * self._time_ns
        if self._tags:
            frame.cut = self._walk(data, frame)
        return frame

    def _walk(self, data: bytes, frame: Frame) -> str:
        """Read tag after tag; return why it ended before the payload did, or nothing."""
        at = self._options.tags_from
        for _ in range(TAGS_MAX):
            if at >= len(data):
                return ""
            begin = at + self._tag_bytes
            name = data[at:begin]
            tag = self._tags.get(name)
            size = tag.size if tag is not None else None
            if self._options.length_bytes:
                size = int.from_bytes(data[begin : begin + self._options.length_bytes], self._options.order)
                begin += self._options.length_bytes
            if size is None:
                return f"unknown tag {name.hex()} at byte {at}"
            if begin + size > len(data):
                if tag is not None and tag.history is not None:
                    return ""  # what is missing is of the past, and no live channel's
                return f"the payload ends within tag {name.hex()} at byte {at}"
            if tag is not None:
                _take(tag, data[begin : begin + size], frame)
            at = begin + size
        return f"more than {TAGS_MAX} tags"


def _take(tag: Tag, part: bytes, frame: Frame) -> None:
    found = [(name, read(part)) for name, end, read in tag.fields if end <= len(part)]
    if tag.history is None:
        frame.values += found
    elif tag.history_end <= len(part):
        time_ns = int(tag.history(part)) * tag.history_ns
        frame.history += [(time_ns, name, number) for name, number in found]


def _readers(fields: dict[str, FieldOptions], order: str) -> tuple[tuple[str, int, Reader], ...]:
    return tuple((name, options.end, _reader(options, order)) for name, options in fields.items())


def _history(options: TimeFieldOptions | None, order: str) -> tuple[Reader | None, int, int]:
    return (None, 0, 0) if options is None else (_reader(options, order), options.end, NS_PER_UNIT[options.unit])


def _reader(options: FieldOptions, order: str) -> Reader:
    """Return what takes a field's number out of bytes that are long enough."""
    begin, end = options.offset, options.end
    little = (options.order or order) == "little"
    if options.type.startswith("float"):
        unpack = struct.Struct(("<" if little else ">") + {4: "f", 8: "d"}[SIZES[options.type]]).unpack
        return lambda data: float(unpack(data[begin:end])[0])
    way, signed = ("little" if little else "big"), options.type.startswith("int")
    if options.bits is None:
        return lambda data: int.from_bytes(data[begin:end], way, signed=signed)  # type: ignore[arg-type]  # a literal
    low, mask = options.bits[0], (1 << options.bits[1]) - 1
    return lambda data: int.from_bytes(data[begin:end], way) >> low & mask  # type: ignore[arg-type]  # as above


def sum8(data: bytes) -> int:
    """Return the sum of all bytes modulo 256."""
    return sum(data) & 0xFF


def xor8(data: bytes) -> int:
    """Return the exclusive or of all bytes."""
    return reduce(xor, data, 0)


def crc16(data: bytes) -> int:
    """Return the CRC of Modbus over all bytes, which is 0 where the last two are the CRC of the others."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc
