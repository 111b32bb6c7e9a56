"""How instruments put values into 16-bit registers; shared with no reader, or a mistake would hide on both sides."""

import math
import struct
from typing import Literal

RegisterType = Literal["bit", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
Order = Literal["ABCD", "BADC", "CDAB", "DCBA"]

_PACKING = {
    "uint16": (">H", 0, 0xFFFF),
    "int16": (">h", -0x8000, 0x7FFF),
    "uint32": (">I", 0, 0xFFFF_FFFF),
    "int32": (">i", -0x8000_0000, 0x7FFF_FFFF),
    "uint64": (">Q", 0, 0xFFFF_FFFF_FFFF_FFFF),
    "int64": (">q", -0x8000_0000_0000_0000, 0x7FFF_FFFF_FFFF_FFFF),
}


def register_count(kind: RegisterType) -> int:
    """Return how many 16-bit registers a type takes; a bit takes the one it lives in.

    >>> register_count("float32"), register_count("bit")
    (2, 1)
    """
    if kind == "float64":
        return 4
    if kind in {"float32", "uint32", "int32"}:
        return 2
    return 4 if kind in {"uint64", "int64"} else 1


def raw_number(value: float, scale: float, offset: float) -> float:
    """Return the number that stands in the register for a value: value = raw * scale + offset."""
    return (value - offset) / scale


def encoded(raw: float, kind: RegisterType, order: Order = "ABCD") -> bytes:
    """Return a number as it lies on the wire.

    Integers are rounded and held at the ends of their type, as converters in instruments do. NaN goes out as the NaN
    of a float type, and as the highest number of an integer type.

    Args:
        raw: The number, already scaled.
        kind: Any type but `bit`.
        order: ABCD most significant first; BADC bytes of each register swapped; CDAB registers in reverse; DCBA both.

    >>> encoded(1.0, "float32", "CDAB").hex(), encoded(258, "uint16", "BADC").hex()
    ('00003f80', '0201')
    """
    if kind in {"float32", "float64"}:
        wire = _float_bytes(raw, kind)
    else:
        packing, low, high = _PACKING[kind]
        number = high if math.isnan(raw) else low if raw <= low else high if raw >= high else round(raw)
        wire = struct.pack(packing, number)
    if order in {"CDAB", "DCBA"}:
        wire = b"".join(wire[i : i + 2] for i in range(len(wire) - 2, -2, -2))
    if order in {"BADC", "DCBA"}:
        wire = b"".join(wire[i + 1 : i + 2] + wire[i : i + 1] for i in range(0, len(wire), 2))
    return wire


def _float_bytes(raw: float, kind: str) -> bytes:
    try:
        return struct.pack(">f" if kind == "float32" else ">d", raw)
    except OverflowError:
        return struct.pack(">f", math.copysign(math.inf, raw))
