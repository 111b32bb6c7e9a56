"""The Modbus functions beyond plain reads, as instruments answer them: writes, masks, files, queues, identity.

Every check comes in the order of the specification's flow charts: function, quantity, address (Modbus Application
Protocol 1.1b3, 6.5 to 6.21).
"""

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

Table = Literal["coil", "discrete", "holding", "input"]
Reaction = Literal["obey", "ignore"]

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
READS: dict[int, Table] = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
WRITES = frozenset({5, 6, 15, 16, 22})
"""What a broadcast may ask for; function 23 has an answer and so no broadcast."""
COILS_MAX, WRITTEN_MAX, READ_WRITE_WRITTEN_MAX, QUEUE_MAX = 1968, 123, 121, 31
"""Limits of functions 15, 16, 23 and 24."""
_PDU_MAX = 253
_FILE_REFERENCE = 6
_DEVICE_IDENTIFICATION = 14
_IDENTITY_LAST = {1: 0x02, 2: 0x7F, 3: 0xFF}
"""The last object of the basic, regular and extended identity."""


class Unit(Protocol):
    """What is asked of a unit's registers; see `registers.Registers`."""

    registers_max: int
    stale: bool
    relays: Reaction
    written: Callable[[Table, int, int], None] | None
    identity: Mapping[int, bytes]
    files: dict[int, bytes]
    queues: dict[int, list[int]]
    writable: dict[Table, set[int]]

    def write(self, table: Table, address: int, wire: bytes) -> None:
        """Put bytes at an address."""
        ...

    def held(self, table: Table, address: int, count: int = 1) -> bytes | None:
        """Return what stands there."""
        ...

    def refresh(self) -> None:
        """Have the present values put in."""
        ...


class _RefusedError(Exception):
    """A request that is answered with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


def refusal(function: int, code: int) -> bytes:
    """Return the answer that refuses a request with an exception code.

    >>> refusal(3, 2).hex()
    '8302'
    """
    return bytes((function & 0x7F | 0x80, code))


def packed(function: int, bits: bytes | bytearray) -> bytes:
    """Return the answer to a read of bits, which come one a byte."""
    number = sum(1 << place for place, bit in enumerate(bits) if bit)
    size = (len(bits) + 7) // 8
    return bytes((function, size)) + number.to_bytes(size, "little")


def answer(unit: Unit, pdu: bytes) -> bytes:
    """Return a unit's answer to anything that is no plain read; what the request writes is written.

    Args:
        unit: Whose registers.
        pdu: Function and data, of any length and sense.
    """
    function = pdu[0] if pdu else 0
    if function not in _SERVED:
        return refusal(function, ILLEGAL_FUNCTION)
    try:
        return _SERVED[function](unit, pdu)
    except _RefusedError as refused:
        return refusal(function, refused.code)


def _word(pdu: bytes, at: int) -> int:
    return int.from_bytes(pdu[at : at + 2], "big")


def _check(sound: object, code: int = ILLEGAL_VALUE) -> None:
    if not sound:
        raise _RefusedError(code)


def _put(unit: Unit, table: Table, address: int, wire: bytes, count: int) -> None:
    """Write where every address may be written, or refuse the whole."""
    writable = unit.writable[table]
    _check(all(at in writable for at in range(address, address + count)), ILLEGAL_ADDRESS)
    if unit.relays == "obey":
        step = len(wire) // count
        for k in range(count):
            unit.write(table, address + k, wire[k * step : (k + 1) * step])
    if unit.written is not None:
        unit.written(table, address, count)


def _has(unit: Unit, table: Table) -> None:
    """Refuse the function where a unit has nothing of the kind at all: it does not know the function then."""
    _check(unit.writable[table], ILLEGAL_FUNCTION)


def _write_coil(unit: Unit, pdu: bytes) -> bytes:
    _has(unit, "coil")
    _check(len(pdu) == 5 and pdu[3:] in {b"\xff\x00", b"\x00\x00"})
    _put(unit, "coil", _word(pdu, 1), bytes((pdu[3] == 0xFF,)), 1)
    return pdu


def _write_register(unit: Unit, pdu: bytes) -> bytes:
    _has(unit, "holding")
    _check(len(pdu) == 5)
    _put(unit, "holding", _word(pdu, 1), pdu[3:], 1)
    return pdu


def _write_coils(unit: Unit, pdu: bytes) -> bytes:
    _has(unit, "coil")
    count = _word(pdu, 3)
    _check(len(pdu) >= 6 and 1 <= count <= COILS_MAX and pdu[5] == (count + 7) // 8 == len(pdu) - 6)
    number = int.from_bytes(pdu[6:], "little")
    _put(unit, "coil", _word(pdu, 1), bytes(number >> k & 1 for k in range(count)), count)
    return pdu[:5]


def _write_registers(unit: Unit, pdu: bytes) -> bytes:
    _has(unit, "holding")
    count = _word(pdu, 3)
    _check(len(pdu) >= 6 and 1 <= count <= WRITTEN_MAX and pdu[5] == 2 * count == len(pdu) - 6)
    _put(unit, "holding", _word(pdu, 1), pdu[6:], count)
    return pdu[:5]


def _mask_register(unit: Unit, pdu: bytes) -> bytes:
    _has(unit, "holding")
    _check(len(pdu) == 7)
    address, keep, put = _word(pdu, 1), _word(pdu, 3), _word(pdu, 5)
    now = unit.held("holding", address)
    _check(now is not None, ILLEGAL_ADDRESS)
    number = int.from_bytes(now or b"", "big") & keep | put & ~keep & 0xFFFF
    _put(unit, "holding", address, number.to_bytes(2, "big"), 1)
    return pdu


def _write_and_read(unit: Unit, pdu: bytes) -> bytes:
    _has(unit, "holding")
    read, written = _word(pdu, 3), _word(pdu, 7)
    _check(len(pdu) >= 10 and 1 <= read <= unit.registers_max and 1 <= written <= READ_WRITE_WRITTEN_MAX)
    _check(pdu[9] == 2 * written == len(pdu) - 10)
    _check(unit.held("holding", _word(pdu, 1), read) is not None, ILLEGAL_ADDRESS)
    _put(unit, "holding", _word(pdu, 5), pdu[10:], written)
    if unit.stale:
        unit.refresh()
    # The write comes first, and what is read shows it (6.17).
    return bytes((23, 2 * read)) + (unit.held("holding", _word(pdu, 1), read) or b"")


def _read_files(unit: Unit, pdu: bytes) -> bytes:
    _check(unit.files, ILLEGAL_FUNCTION)
    _check(len(pdu) >= 9 and pdu[1] == len(pdu) - 2 and pdu[1] % 7 == 0)
    found = b""
    for at in range(2, len(pdu), 7):
        file, record, length = unit.files.get(_word(pdu, at + 1)), _word(pdu, at + 3), _word(pdu, at + 5)
        _check(pdu[at] == _FILE_REFERENCE and file is not None and length > 0, ILLEGAL_ADDRESS)
        part = (file or b"")[2 * record : 2 * (record + length)]
        _check(len(part) == 2 * length, ILLEGAL_ADDRESS)
        found += bytes((len(part) + 1 & 0xFF, _FILE_REFERENCE)) + part
        _check(2 + len(found) <= _PDU_MAX)
    return bytes((20, len(found))) + found


def _read_queue(unit: Unit, pdu: bytes) -> bytes:
    _check(unit.queues, ILLEGAL_FUNCTION)
    _check(len(pdu) == 3)
    queue = unit.queues.get(_word(pdu, 1))
    _check(queue is not None, ILLEGAL_ADDRESS)
    held = queue or []
    _check(len(held) <= QUEUE_MAX)
    words = b"".join(word.to_bytes(2, "big") for word in held)
    return b"\x18" + (2 + len(words)).to_bytes(2, "big") + len(held).to_bytes(2, "big") + words


def _identify(unit: Unit, pdu: bytes) -> bytes:
    _check(unit.identity and pdu[1:2] == bytes((_DEVICE_IDENTIFICATION,)), ILLEGAL_FUNCTION)
    _check(len(pdu) == 4 and 1 <= pdu[2] <= 4)
    code, wanted = pdu[2], pdu[3]
    if code == 4:
        _check(wanted in unit.identity, ILLEGAL_ADDRESS)
        objects = [wanted]
    else:
        objects = sorted(number for number in unit.identity if number <= _IDENTITY_LAST[code])
        # An object that is not there begins the stream anew (6.21).
        objects = [number for number in objects if number >= wanted] if wanted in objects else objects
    body, sent = b"", 0
    for number in objects:
        text = unit.identity[number]
        if 7 + len(body) + 2 + len(text) > _PDU_MAX:
            break
        body += bytes((number, len(text))) + text
        sent += 1
    more = sent < len(objects)
    conformity = 0x80 | max(level for level, last in ((1, 0), (2, 3), (3, 0x80)) if max(unit.identity) >= last)
    following = objects[sent] if more else 0
    return bytes((0x2B, _DEVICE_IDENTIFICATION, code, conformity, 0xFF * more, following, sent)) + body


_SERVED: dict[int, Callable[[Unit, bytes], bytes]] = {
    5: _write_coil,
    6: _write_register,
    15: _write_coils,
    16: _write_registers,
    20: _read_files,
    22: _mask_register,
    23: _write_and_read,
    24: _read_queue,
    43: _identify,
}
