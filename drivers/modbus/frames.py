"""Modbus frames to bytes and back: pure, strict and without I/O.

Source: MODBUS Application Protocol V1.1b3; MODBUS over Serial Line V1.02; MODBUS Messaging on TCP/IP V1.0b.
Only the four reading functions are here: this gateway writes nothing.
"""

import struct
from typing import NamedTuple

FUNCTIONS = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
BIT_FUNCTIONS = (1, 2)
EXCEPTION = 0x80
UNIT_ABSENT = (0x0A, 0x0B)
"""Exceptions of a gateway that cannot reach the unit: path unavailable, target failed to respond."""
BUSY = (0x05, 0x06)
"""Exceptions that pass by themselves: acknowledge, server busy."""
MBAP_SIZE = 6
TCP_LENGTH_MAX = 254
"""Unit, function and the longest PDU (253 bytes)."""
RTU_SIZE_MAX = 256

_HEAD = struct.Struct(">HHH")


class FrameError(ValueError):
    """Bytes that cannot be a Modbus reply; whatever follows them cannot be trusted either."""


class Refused(NamedTuple):
    """The instrument answered with an exception."""

    code: int


class Request:
    """One reading request, encoded once and sent many times.

    Args:
        unit: Unit address, 0 to 255.
        function: 1 to 4.
        address: First bit or register, 0 to 65535.
        count: How many bits or registers.

    Attributes:
        size: Data bytes of the reply.
        tcp: The request on TCP, less the transaction id in front.
        rtu: The request on a serial line.
    """

    __slots__ = ("address", "count", "function", "rtu", "size", "tcp", "unit")

    def __init__(self, unit: int, function: int, address: int, count: int) -> None:
        self.unit = unit
        self.function = function
        self.address = address
        self.count = count
        self.size = (count + 7) // 8 if function in BIT_FUNCTIONS else 2 * count
        body = struct.pack(">BBHH", unit, function, address, count)
        self.tcp = struct.pack(">HH", 0, len(body)) + body
        self.rtu = with_crc(body)

    def __repr__(self) -> str:
        return f"Request(unit={self.unit}, function={self.function}, address={self.address}, count={self.count})"

    def reply(self, adu: bytes) -> bytes | Refused | None:
        """Return the data of a reply, the exception it carries, or None where it answers another request.

        Args:
            adu: Unit, function and data, without header and checksum.
        """
        if len(adu) < 3 or adu[0] != self.unit:
            return None
        if adu[1] == self.function:
            return adu[3:] if adu[2] == self.size == len(adu) - 3 else None
        if adu[1] == self.function | EXCEPTION and len(adu) == 3:
            return Refused(adu[2])
        return None


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
        FrameError: No reply to a reading request begins like this.
    """
    if len(data) < 3:
        return None
    function = data[1]
    if function & EXCEPTION and 1 <= function & 0x7F <= 4:
        return 5
    if 1 <= function <= 4 and 1 <= data[2] <= RTU_SIZE_MAX - 5:
        return data[2] + 5
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
