"""Modbus frames to bytes and back: pure, strict and without I/O.

Source: MODBUS Application Protocol V1.1b3; MODBUS over Serial Line V1.02; MODBUS Messaging on TCP/IP V1.0b.
What writes is here too, since an output has to be switched; who may send it is decided in `driver.py` and
`outputs.py`.
"""

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

FUNCTIONS = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
BIT_FUNCTIONS = (1, 2)
READ_FILE = 20
MASK_WRITE = 22
READ_WRITE = 23
READ_FIFO = 24
IDENTIFY = 43
READING = frozenset((1, 2, 3, 4, READ_FILE, READ_FIFO, IDENTIFY))
"""Functions that change nothing in an instrument."""
WRITING = frozenset((5, 6, 15, 16, MASK_WRITE, READ_WRITE))
"""Functions that write, also where they read in the same request."""
KNOWN = READING | WRITING
FIFO_MAX = 31
"""Registers of a queue in one reply (6.18)."""
FILE_MAX = 121
"""Registers of one record that fit in a reply, whose data may be 245 bytes (6.14)."""
EXCEPTION = 0x80
UNIT_ABSENT = (0x0A, 0x0B)
"""Exceptions of a gateway that cannot reach the unit: path unavailable, target failed to respond."""
NO_SUCH = (0x01, 0x02, 0x03)
"""Exceptions that say what an instrument does not have: function, address, value (so many registers)."""
BUSY = (0x05, 0x06)
"""Exceptions that pass by themselves: acknowledge, server busy."""
MBAP_SIZE = 6
TCP_LENGTH_MAX = 254
"""Unit, function and the longest PDU (253 bytes)."""
RTU_SIZE_MAX = 256
COIL_ON, COIL_OFF = 0xFF00, 0x0000

_HEAD = struct.Struct(">HHH")
_MEI = 0x0E
"""Device identification, the one use of function 43 that is known here (6.21)."""


class FrameError(ValueError):
    """Bytes that cannot be a Modbus reply; whatever follows them cannot be trusted either."""


class Refused(NamedTuple):
    """The instrument answered with an exception."""

    code: int


class Request:
    """One request, encoded once and sent many times. The plain form reads a table.

    Other functions have constructors of their own: `file`, `fifo`, `read_write`, `identify` and the `write_…` ones.

    Args:
        unit: Unit address, 0 to 255.
        function: 1 to 4 in the plain form.
        address: First bit or register, 0 to 65535.
        count: How many bits or registers.
        body: All bytes from the function on, where the plain form does not say them.
        head: What a right reply begins with, unit and function included; the plain form's where left out.
        size: Data bytes of the reply after its head, the most that can come where the length is open.
        open_end: The reply's length is told by the reply alone.
        vary: Makes the same question for another count, where that changes nothing in the instrument.

    Attributes:
        size: Data bytes of the reply.
        length: Bytes of the reply from the unit on, without header and checksum; the most where it is open.
        tcp: The request on TCP, less the transaction id in front.
        rtu: The request on a serial line.
    """

    __slots__ = ("_head", "_open_end", "_vary", "address", "count", "function", "length", "rtu", "size", "tcp", "unit")

    def __init__(
        self,
        unit: int,
        function: int,
        address: int,
        count: int,
        *,
        body: bytes | None = None,
        head: bytes | None = None,
        size: int | None = None,
        open_end: bool = False,
        vary: "Callable[[int], Request] | None" = None,
    ) -> None:
        assert body is not None or 1 <= function <= 4
        self.unit = unit
        self.function = function
        self.address = address
        self.count = count
        if size is None:
            size = (count + 7) // 8 if function in BIT_FUNCTIONS else 2 * count
        self.size = size
        self._head = bytes((unit, function, size & 0xFF)) if head is None else head
        self._open_end = open_end
        self._vary = vary
        self.length = len(self._head) + size
        whole = bytes((unit,)) + (struct.pack(">BHH", function, address, count) if body is None else body)
        self.tcp = struct.pack(">HH", 0, len(whole)) + whole
        self.rtu = with_crc(whole)

    def __repr__(self) -> str:
        return f"Request(unit={self.unit}, function={self.function}, address={self.address}, count={self.count})"

    @classmethod
    def file(cls, unit: int, file: int, record: int, count: int) -> "Request":
        """Return a request for registers of a file (function 20); the data are the registers.

        Args:
            unit: Unit address.
            file: File number, 1 to 65535.
            record: First register of the file.
            count: Registers, 1 to 121.
        """
        assert 1 <= count <= FILE_MAX
        body = struct.pack(">BBBHHH", READ_FILE, 7, 6, file, record, count)
        head = bytes((unit, READ_FILE, 2 * count + 2, 2 * count + 1, 6))
        vary = lambda other: cls.file(unit, file, record, other)  # noqa: E731 - a closure a request, kept in a slot
        return cls(unit, READ_FILE, record, count, body=body, head=head, size=2 * count, vary=vary)

    @classmethod
    def fifo(cls, unit: int, address: int) -> "Request":
        """Return a request for a queue's contents (function 24); the data are 0 to 31 registers, the eldest first.

        Args:
            unit: Unit address.
            address: The queue's pointer.
        """
        body = struct.pack(">BH", READ_FIFO, address)
        head = bytes((unit, READ_FIFO))
        return cls(unit, READ_FIFO, address, FIFO_MAX, body=body, head=head, size=4 + 2 * FIFO_MAX, open_end=True)

    @classmethod
    def read_write(cls, unit: int, address: int, count: int, write_address: int, values: Sequence[int]) -> "Request":
        """Return a request that writes registers and then reads holding registers (function 23).

        Args:
            unit: Unit address.
            address: First register read.
            count: Registers read, 1 to 125.
            write_address: First register written.
            values: What is written, 1 to 121 registers.
        """
        assert 1 <= len(values) <= 121
        body = struct.pack(
            f">BHHHHB{len(values)}H", READ_WRITE, address, count, write_address, len(values), 2 * len(values), *values
        )
        # The same registers are written, so that asking for more or fewer changes nothing.
        vary = lambda other: cls.read_write(unit, min(address, 65536 - other), other, write_address, values)  # noqa: E731
        return cls(unit, READ_WRITE, address, count, body=body, size=2 * count, vary=vary)

    @classmethod
    def identify(cls, unit: int, code: int = 1, first: int = 0) -> "Request":
        """Return a request for device identification (function 43, type 14); the data are for `identity`.

        Args:
            unit: Unit address.
            code: 1 basic, 2 regular, 3 extended, 4 one object.
            first: The object to begin with, as the last reply said where more follow.
        """
        body = bytes((IDENTIFY, _MEI, code, first))
        head = bytes((unit, IDENTIFY, _MEI, code))
        return cls(unit, IDENTIFY, first, 1, body=body, head=head, size=TCP_LENGTH_MAX - len(head), open_end=True)

    @classmethod
    def write_coil(cls, unit: int, address: int, *, on: bool) -> "Request":
        """Return a request that sets one coil (function 5); the reply is its echo, without data."""
        return cls._write(unit, 5, address, struct.pack(">BHH", 5, address, COIL_ON if on else COIL_OFF), 5)

    @classmethod
    def write_register(cls, unit: int, address: int, value: int) -> "Request":
        """Return a request that sets one holding register (function 6)."""
        return cls._write(unit, 6, address, struct.pack(">BHH", 6, address, value), 5)

    @classmethod
    def write_coils(cls, unit: int, address: int, states: Sequence[bool]) -> "Request":
        """Return a request that sets neighbouring coils (function 15)."""
        assert 1 <= len(states) <= 1968
        bits = sum(1 << i for i, state in enumerate(states) if state).to_bytes((len(states) + 7) // 8, "little")
        return cls._write(unit, 15, address, struct.pack(">BHHB", 15, address, len(states), len(bits)) + bits, 5)

    @classmethod
    def write_registers(cls, unit: int, address: int, values: Sequence[int]) -> "Request":
        """Return a request that sets neighbouring holding registers (function 16)."""
        assert 1 <= len(values) <= 123
        data = struct.pack(f">{len(values)}H", *values)
        return cls._write(unit, 16, address, struct.pack(">BHHB", 16, address, len(values), len(data)) + data, 5)

    @classmethod
    def mask_register(cls, unit: int, address: int, *, keep: int, put: int) -> "Request":
        """Return a request that changes bits of a holding register (function 22): `(old & keep) | (put & ~keep)`."""
        return cls._write(unit, MASK_WRITE, address, struct.pack(">BHHH", MASK_WRITE, address, keep, put), 7)

    @classmethod
    def _write(cls, unit: int, function: int, address: int, body: bytes, echoed: int) -> "Request":
        """Return a writing request; a right reply repeats the first `echoed` bytes of its body."""
        return cls(unit, function, address, 1, body=body, head=bytes((unit,)) + body[:echoed], size=0)

    @property
    def writes(self) -> bool:
        """Whether it changes something in the instrument."""
        return self.function in WRITING

    def resized(self, count: int) -> "Request | None":
        """Return the same question for another count, or None where there is none."""
        if self.function <= 4:
            return Request(self.unit, self.function, min(self.address, 65536 - count), count)
        return self._vary(count) if self._vary is not None and 1 <= count <= FILE_MAX else None

    def reply(self, adu: bytes) -> bytes | Refused | None:
        """Return the data of a reply, the exception it carries, or None where it answers another request.

        Args:
            adu: Unit, function and data, without header and checksum.
        """
        head = self._head
        if len(adu) == self.length and adu.startswith(head) and not self._open_end:
            return adu[len(head) :]
        if len(adu) == 3 and adu[0] == self.unit and adu[1] == self.function | EXCEPTION:
            return Refused(adu[2])
        if self._open_end and adu.startswith(head):
            return self._open(adu)
        return None

    def _open(self, adu: bytes) -> bytes | None:
        """Return the data of a reply whose length it says itself."""
        if self.function == READ_FIFO:
            if len(adu) < 6 or len(adu) % 2 or len(adu) > 6 + 2 * FIFO_MAX:
                return None
            size, count = struct.unpack_from(">HH", adu, 2)
            return adu[6:] if size == len(adu) - 4 and 2 * count == len(adu) - 6 else None
        return adu[len(self._head) :] if _identity_end(adu) == len(adu) else None


class Identity(NamedTuple):
    """What one reply to function 43/14 tells.

    Attributes:
        objects: The raw text of each object by its number: 0 maker, 1 product, 2 revision, 4 product name, 5 model.
        next: The object to ask for next, or None where this was all.
    """

    objects: dict[int, bytes]
    next: int | None


def identity(data: bytes) -> Identity:
    """Return what the data of a reply to `Request.identify` say.

    >>> identity(bytes.fromhex("01000002" "0003616263" "010178"))
    Identity(objects={0: b'abc', 1: b'x'}, next=None)
    """
    objects: dict[int, bytes] = {}
    at = 4
    for _ in range(data[3]):
        number, size = data[at], data[at + 1]
        objects[number] = data[at + 2 : at + 2 + size]
        at += 2 + size
    # A reply that points back would be asked for ever.
    more = data[1] == 0xFF and (not objects or data[2] > max(objects))
    return Identity(objects, data[2] if more else None)


def _identity_end(data: bytes | bytearray) -> int | None:
    """Return where the objects of an identification end, counted from the unit, or None where too little has come."""
    if len(data) < 8:
        return None
    at = 8
    for _ in range(data[7]):
        if len(data) < at + 2:
            return None
        at += 2 + data[at + 1]
    return at


def tcp_frame(data: bytes, start: int) -> tuple[int, int] | None:
    """Return the transaction id and the end of the TCP frame that begins at `start`, or None where more must come.

    Raises:
        FrameError: The header is not Modbus; the stream is out of step.
    """
    if len(data) - start < MBAP_SIZE:
        return None
    transaction, protocol, length = _HEAD.unpack_from(data, start)
    if protocol or not 3 <= length <= TCP_LENGTH_MAX:
        raise FrameError(f"protocol {protocol}, length {length}")
    end = start + MBAP_SIZE + length
    return (transaction, end) if end <= len(data) else None


def rtu_size(data: bytes | bytearray) -> int | None:
    """Return the whole size of the reply that `data` begins with, or None where too little has come to tell.

    Raises:
        FrameError: No reply to a request of ours begins like this.
    """
    if len(data) < 3:
        return None
    function = data[1]
    if 1 <= function <= 4 or function == READ_WRITE:
        if 1 <= data[2] <= RTU_SIZE_MAX - 5:
            return data[2] + 5
    elif function & EXCEPTION:
        if function & 0x7F in KNOWN:
            return 5
    elif function in (5, 6, 15, 16):
        return 8
    elif function == MASK_WRITE:
        return 10
    else:
        return _odd_size(data)
    raise FrameError(f"function {function}, byte count {data[2]}")


def _odd_size(data: bytes | bytearray) -> int | None:
    function = data[1]
    if function == READ_FILE and 4 <= data[2] <= RTU_SIZE_MAX - 5 and data[2] % 2 == 0:
        return data[2] + 5
    if function == READ_FIFO and data[2] == 0:
        if len(data) < 4:
            return None
        if 2 <= data[3] <= 2 + 2 * FIFO_MAX and data[3] % 2 == 0:
            return data[3] + 6
    if function == IDENTIFY and data[2] == _MEI:
        end = _identity_end(data)
        if end is None:
            if len(data) < RTU_SIZE_MAX:
                return None
        elif end + 2 <= RTU_SIZE_MAX:
            return end + 2
    raise FrameError(f"function {function}, byte count {data[2]}")


def rtu_frame(data: bytes | bytearray) -> tuple[bytes, int] | None:
    """Return the first reply in `data` without its checksum, and its end, or None where more must come.

    Raises:
        FrameError: The checksum is wrong, or no reply begins like this.
    """
    size = rtu_size(data)
    if size is None or len(data) < size:
        return None
    body = bytes(data[: size - 2])
    if crc16(body) != data[size - 2] | data[size - 1] << 8:
        raise FrameError(f"checksum of {size} bytes")
    return body, size


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()


def crc16(data: bytes) -> int:
    """Return the checksum of a serial frame (MODBUS over Serial Line V1.02, 6.2.2).

    >>> hex(crc16(bytes.fromhex("02030000000a")))
    '0xfec5'
    """
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc


def with_crc(body: bytes) -> bytes:
    """Return a serial frame: the body and its checksum, low byte first."""
    return body + crc16(body).to_bytes(2, "little")
