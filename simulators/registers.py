"""The register tables of one Modbus unit, kept as the bytes that go out, and how requests are answered from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Table = Literal["coil", "discrete", "holding", "input"]

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, NO_ANSWER_FROM_TARGET = 1, 2, 3, 11
READS: dict[int, Table] = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_BITS_MAX, _REGISTERS_MAX = 2000, 125
"""Most that one read may ask for (Modbus Application Protocol 1.1b3, 6.1 and 6.3)."""


@dataclass(frozen=True, slots=True)
class Read:
    """How to answer one read: `head`, then the bytes `start` to `stop` of `block` as they are at that moment."""

    head: bytes
    block: bytearray
    start: int
    stop: int


def refusal(function: int, code: int) -> bytes:
    """Return the answer that refuses a request with an exception code.

    >>> refusal(3, 2).hex()
    '8302'
    """
    return bytes((function & 0x7F | 0x80, code))


class Registers:
    """One unit's tables. Addresses that nobody defined are refused, as instruments do.

    Registers lie in blocks of bytes that never move, so that a read, once understood, is one slice. Bits lie one to a
    byte, packed when read.
    """

    def __init__(self) -> None:
        self._cells: dict[Table, set[int]] = {"coil": set(), "discrete": set(), "holding": set(), "input": set()}
        self._blocks: dict[Table, list[tuple[int, bytearray]]] = {}

    def define(self, table: Table, addresses: Iterable[int]) -> None:
        """Make addresses exist, with 0 in them. Before the first read only."""
        self._cells[table].update(addresses)
        self._blocks.clear()

    def write(self, table: Table, address: int, wire: bytes) -> None:
        """Put register bytes (two each) or bits (one byte each) at an address that exists."""
        width = _width(table)
        for first, block in self._of(table):
            at = (address - first) * width
            if at >= 0 and at + len(wire) <= len(block):
                block[at : at + len(wire)] = wire
                return
        raise KeyError(f"{table} {address} is not defined")

    def set_bit(self, table: Table, address: int, bit: int, *, on: bool) -> None:
        """Set one bit: of a register, or the whole of a coil or discrete input, where `bit` counts for nothing."""
        if table in {"coil", "discrete"}:
            self.write(table, address, b"\x01" if on else b"\x00")
            return
        for first, block in self._of(table):
            at = (address - first) * 2
            if 0 <= at < len(block):
                byte = at + (0 if bit > 7 else 1)
                mask = 1 << (bit & 7)
                block[byte] = block[byte] | mask if on else block[byte] & ~mask
                return
        raise KeyError(f"{table} {address} is not defined")

    def answer(self, pdu: bytes) -> bytes:
        """Return the answer to any request."""
        plan = self.plan(pdu)
        return plan if isinstance(plan, bytes) else plan.head + plan.block[plan.start : plan.stop]

    def plan(self, pdu: bytes) -> Read | bytes:
        """Return how to answer a register read from now on, or the answer itself for anything else."""
        function = pdu[0] if pdu else 0
        table = READS.get(function)
        if table is None:
            return refusal(function, ILLEGAL_FUNCTION)
        if len(pdu) != 5:
            return refusal(function, ILLEGAL_VALUE)
        address, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        if not 1 <= count <= (_BITS_MAX if function <= 2 else _REGISTERS_MAX):
            return refusal(function, ILLEGAL_VALUE)
        width = _width(table)
        for first, block in self._of(table):
            start = (address - first) * width
            stop = start + count * width
            if start >= 0 and stop <= len(block):
                if function <= 2:
                    return _packed(function, block[start:stop])
                return Read(bytes((function, 2 * count)), block, start, stop)
        return refusal(function, ILLEGAL_ADDRESS)

    def _of(self, table: Table) -> list[tuple[int, bytearray]]:
        """Return a table's blocks of neighbouring addresses as (first address, bytes)."""
        if table not in self._blocks:
            blocks: list[tuple[int, bytearray]] = []
            for address in sorted(self._cells[table]):
                if not blocks or blocks[-1][0] + len(blocks[-1][1]) // _width(table) != address:
                    blocks.append((address, bytearray()))
                blocks[-1][1].extend(bytes(_width(table)))
            self._blocks[table] = blocks
        return self._blocks[table]


def _width(table: Table) -> int:
    return 1 if table in {"coil", "discrete"} else 2


def _packed(function: int, bits: bytearray) -> bytes:
    number = sum(1 << place for place, bit in enumerate(bits) if bit)
    size = (len(bits) + 7) // 8
    return bytes((function, size)) + number.to_bytes(size, "little")
