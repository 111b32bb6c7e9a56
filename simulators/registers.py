"""The register tables of one Modbus unit, kept as the bytes that go out, and how reads are answered from them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from simulators import functions
from simulators.functions import READS, Reaction, Table, refusal

GATEWAY_PATH_UNAVAILABLE, NO_ANSWER_FROM_TARGET = 10, 11
REGISTERS_MAX = 125
_BITS_MAX = 2000
"""Most that one read may ask for (Modbus Application Protocol 1.1b3, 6.1 and 6.3)."""


@dataclass(frozen=True, slots=True)
class Read:
    """How to answer one read: `head`, then the bytes `start` to `stop` of `block` as they are at that moment."""

    head: bytes
    block: bytearray
    start: int
    stop: int


class Registers:
    """One unit's tables. Addresses that nobody defined are refused, as instruments do.

    Registers lie in blocks of bytes that never move, so that a read, once understood, is one slice. Bits lie one to a
    byte, packed when read. Only what was defined as writable can be written from the bus.

    Args:
        registers_max: Most registers that this unit gives in one reply; a longer read is refused with exception 3.

    Attributes:
        source: Called before an answer while `stale`: puts the present values in. None where nobody does.
        stale: Whether the values are older than what they show.
        written: Told what the bus wrote: table, first address, how many.
        relays: `ignore` acknowledges writes and does nothing, as a welded relay would.
        identity: What function 43/14 tells, by object number; where empty the function is refused.
        files: Record files of function 20: file number to its registers, two bytes each.
        queues: FIFO queues of function 24: pointer address to its registers, oldest first.
    """

    def __init__(self, registers_max: int = REGISTERS_MAX) -> None:
        self.registers_max = registers_max
        self.source: Callable[[], None] | None = None
        self.stale = False
        self.written: Callable[[Table, int, int], None] | None = None
        self.relays: Reaction = "obey"
        self.identity: Mapping[int, bytes] = {}
        self.files: dict[int, bytes] = {}
        self.queues: dict[int, list[int]] = {}
        self.writable: dict[Table, set[int]] = {"coil": set(), "holding": set()}
        self._cells: dict[Table, set[int]] = {"coil": set(), "discrete": set(), "holding": set(), "input": set()}
        self._blocks: dict[Table, list[tuple[int, bytearray]]] = {}

    def define(self, table: Table, addresses: Iterable[int], *, writable: bool = False) -> None:
        """Make addresses exist, with 0 in them. Before the first read only.

        Args:
            table: Where.
            addresses: Which.
            writable: Whether the bus may write them; coils and holding registers only.
        """
        wanted = set(addresses)
        self._cells[table].update(wanted)
        if writable:
            self.writable[table].update(wanted)
        self._blocks.clear()

    def refresh(self) -> None:
        """Have the present values put in."""
        self.stale = False
        if self.source is not None:
            self.source()

    def write(self, table: Table, address: int, wire: bytes) -> None:
        """Put register bytes (two each) or bits (one byte each) at an address that exists."""
        block, at = self._at(table, address, len(wire))
        block[at : at + len(wire)] = wire

    def set_bit(self, table: Table, address: int, bit: int, *, on: bool) -> None:
        """Set one bit: of a register, or the whole of a coil or discrete input, where `bit` counts for nothing."""
        if table in {"coil", "discrete"}:
            self.write(table, address, b"\x01" if on else b"\x00")
            return
        block, at = self._at(table, address, 2)
        at += 0 if bit > 7 else 1
        mask = 1 << (bit & 7)
        block[at] = block[at] | mask if on else block[at] & ~mask

    def held(self, table: Table, address: int, count: int = 1) -> bytes | None:
        """Return what stands at addresses, as `write` takes it; None where one of them does not exist."""
        try:
            block, at = self._at(table, address, count * width(table))
        except KeyError:
            return None
        return bytes(block[at : at + count * width(table)])

    def answer(self, pdu: bytes) -> bytes:
        """Return the answer to any request; what it writes is written."""
        plan = self.plan(pdu)
        return plan if isinstance(plan, bytes) else plan.head + plan.block[plan.start : plan.stop]

    def plan(self, pdu: bytes) -> Read | bytes:
        """Return how to answer a register read from now on, or the answer itself for anything else."""
        if self.stale:
            self.refresh()
        function = pdu[0] if pdu else 0
        table = READS.get(function)
        if table is None:
            return functions.answer(self, pdu)
        if len(pdu) != 5:
            return refusal(function, functions.ILLEGAL_VALUE)
        address, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        if not 1 <= count <= (_BITS_MAX if function <= 2 else self.registers_max):
            return refusal(function, functions.ILLEGAL_VALUE)
        try:
            block, start = self._at(table, address, count * width(table))
        except KeyError:
            return refusal(function, functions.ILLEGAL_ADDRESS)
        stop = start + count * width(table)
        if function <= 2:
            return functions.packed(function, block[start:stop])
        return Read(bytes((function, 2 * count)), block, start, stop)

    def _at(self, table: Table, address: int, size: int) -> tuple[bytearray, int]:
        """Return the block that holds `size` bytes from an address on, and where in it. Raises KeyError."""
        for first, block in self._of(table):
            at = (address - first) * width(table)
            if at >= 0 and at + size <= len(block):
                return block, at
        raise KeyError(f"{table} {address} is not defined")

    def _of(self, table: Table) -> list[tuple[int, bytearray]]:
        """Return a table's blocks of neighbouring addresses as (first address, bytes)."""
        if table not in self._blocks:
            blocks: list[tuple[int, bytearray]] = []
            for address in sorted(self._cells[table]):
                if not blocks or blocks[-1][0] + len(blocks[-1][1]) // width(table) != address:
                    blocks.append((address, bytearray()))
                blocks[-1][1].extend(bytes(width(table)))
            self._blocks[table] = blocks
        return self._blocks[table]


def width(table: Table) -> int:
    """Return how many bytes one address of a table takes."""
    return 1 if table in {"coil", "discrete"} else 2
