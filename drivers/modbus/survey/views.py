"""A run of registers in every way that people read them: side by side, nothing chosen; pure."""

import math
import struct
from collections.abc import Callable
from typing import TypeVar

from gateway.core.commissioning import View, Words

T = TypeVar("T")

ORDERS = ("ABCD", "BADC", "CDAB", "DCBA")


def ordered(high: int, low: int, order: str) -> bytes:
    """Return two registers' four bytes, most significant first.

    >>> [ordered(0x4148, 0x0009, order).hex() for order in ORDERS]
    ['41480009', '48410900', '00094148', '09004841']
    """
    pair = bytes((high >> 8, high & 0xFF, low >> 8, low & 0xFF))
    return bytes(pair[i] for i in _PICK[order])


_PICK = {"ABCD": (0, 1, 2, 3), "BADC": (1, 0, 3, 2), "CDAB": (2, 3, 0, 1), "DCBA": (3, 2, 1, 0)}


def views(words: Words) -> list[View]:
    """Return one view a register or bit; 32-bit readings begin at their register and take the next one too."""
    values = words.values
    bits = words.table in ("coil", "discrete")
    return [
        _view(words.address + i, word, values[i + 1] if i + 1 < len(values) and not bits else None)
        for i, word in enumerate(values)
    ]


def _view(address: int, word: int | None, following: int | None) -> View:
    int16 = None if word is None else word - 0x10000 if word & 0x8000 else word
    if word is None or following is None:
        return View(address, word, int16, None, None, None)
    return View(
        address,
        word,
        int16,
        _read(word, following, lambda raw: int.from_bytes(raw, "big")),
        _read(word, following, lambda raw: int.from_bytes(raw, "big", signed=True)),
        _read(word, following, _float),
    )


def _read(high: int, low: int, decode: Callable[[bytes], T]) -> dict[str, T]:
    return {order: decode(ordered(high, low, order)) for order in ORDERS}


def _float(raw: bytes) -> float:
    value: float = struct.unpack(">f", raw)[0]
    return value if math.isfinite(value) else math.nan
