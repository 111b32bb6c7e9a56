"""A serial line on which everything goes wrong, with every function: no value but the question's own.

The instrument answers in the order it was asked, as instruments do; which answers are lost, late, garbled, doubled or
wrapped in noise is drawn. Every register has a value of its own, so that an answer in the wrong place is a wrong value.
"""

import select
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.modbus.frames import Refused, Request
from drivers.modbus.line import Debts, Line, Timing
from drivers.modbus.link import Miss

TIMING = Timing(character_s=1e-5, silence_s=2e-4, timeout_s=0.004, quiet_s=0.004, gap_s=0.003)
LATE_S = 0.006
DEEDS = [
    "answer", "answer", "answer", "nothing", "late", "refuse", "bad checksum", "cut short", "noise before",
    "noise after", "noise only", "doubled", "foreign unit", "foreign function", "in pieces",
]  # fmt: skip
LENGTHS = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 20: 12, 24: 6, 43: 7}


def value(function: int, file: int, address: int) -> int:
    return (function * 7919 + file * 104729 + address * 31 + 7) & 0xFFFF


def registers(function: int, file: int, address: int, count: int) -> bytes:
    return b"".join(value(function, file, address + i).to_bytes(2, "big") for i in range(count))


def answer_to(pdu: bytes) -> tuple[bytes, bytes]:
    """Return the right reply from the function on, and the data in it; written from the standard, not from ours."""
    function = pdu[0]
    if function == 20:
        file, record, count = struct.unpack(">HHH", pdu[3:9])
        data = registers(20, file, record, count)
        return bytes((20, len(data) + 2, len(data) + 1, 6)) + data, data
    if function == 24:
        (address,) = struct.unpack(">H", pdu[1:3])
        data = registers(24, 0, address, address % 5)
        return struct.pack(">BHH", 24, len(data) + 2, len(data) // 2) + data, data
    if function == 43:
        objects = bytes((pdu[3], 3)) + bytes((pdu[3], 0x55, 0xAA))
        return b"\x2b\x0e" + pdu[2:3] + b"\x01\x00\x00\x01" + objects, b"\x01\x00\x00\x01" + objects
    address, count = struct.unpack(">HH", pdu[1:5])
    if function in (5, 6):
        return pdu, b""
    if function == 23:
        data = registers(23, pdu[-1], address, count)
    else:
        data = registers(function, 0, address, count)
        data = data[: (count + 7) // 8] if function <= 2 else data
    return bytes((function, len(data))) + data, data


def checked(body: bytes) -> bytes:
    crc = 0xFFFF
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return body + crc.to_bytes(2, "little")


class Instruments(threading.Thread):
    """All units of the line, one request after the other."""

    def __init__(self, end: socket.socket, deeds: list[str]) -> None:
        super().__init__(daemon=True)
        self.end = end
        self.deeds = iter(deeds)

    def run(self) -> None:
        rest = b""
        while chunk := self.end.recv(512):
            rest += chunk
            while len(rest) >= 4 and len(rest) >= (size := LENGTHS.get(rest[1], 13 + (rest[10:11] or b"\2")[0])):
                request, rest = rest[:size], rest[size:]
                assert checked(request[:-2]) == request
                self.answer(request[0], request[1:-2])

    def answer(self, unit: int, pdu: bytes) -> None:
        good = checked(bytes((unit,)) + answer_to(pdu)[0])
        for part in self.told(next(self.deeds, "answer"), unit, pdu, good):
            if isinstance(part, float):
                time.sleep(part)
                continue
            with suppress(OSError):  # the line is closed already
                self.end.send(part)

    def told(self, deed: str, unit: int, pdu: bytes, good: bytes) -> list[bytes | float]:
        parts: dict[str, list[bytes | float]] = {
            "nothing": [],
            "late": [LATE_S, good],
            "refuse": [checked(bytes((unit, pdu[0] | 0x80, 2)))],
            "bad checksum": [good[:-1] + bytes((good[-1] ^ 0x10,))],
            "cut short": [good[:-2]],
            "noise before": [b"\x00", good],
            "noise after": [good, b"\x7f\x13\xee"],
            "noise only": [b"\x13\x7f\xee\x01\x03"],
            "doubled": [good, good],
            "foreign unit": [checked(bytes((unit ^ 3,)) + answer_to(pdu)[0])],
            "foreign function": [checked(bytes((unit, pdu[0] ^ 7)) + answer_to(pdu)[0][1:])],
            "in pieces": [good[:3], 0.0005, good[3:]],
        }
        return parts.get(deed, [good])


KINDS = [
    lambda unit, a: Request(unit, 3, a, 2),
    lambda unit, a: Request(unit, 3, a, 2),
    lambda unit, a: Request(unit, 4, a, 2),
    lambda unit, a: Request(unit, 1, a, 16),
    lambda unit, a: Request.file(unit, 1 + a % 3, a, 2),
    Request.fifo,
    lambda unit, a: Request.read_write(unit, a, 2, 9, [a % 256]),
    lambda unit, a: Request.identify(unit, 1, a % 7),
    lambda unit, a: Request.write_register(unit, a, a),
    lambda unit, a: Request.write_coil(unit, a, on=a % 2 == 0),
]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.integers(0, len(KINDS) - 1), st.integers(1, 2), st.integers(0, 400)), min_size=2, max_size=10
    ),
    st.lists(st.sampled_from(DEEDS), max_size=24),
)
def test_whatever_happens_on_a_line_no_question_gets_anothers_answer(asked: list[Any], deeds: list[str]) -> None:
    near, far = socket.socketpair()
    bell, rung = socket.socketpair()
    near.setblocking(False)
    instruments = Instruments(far, deeds)
    instruments.start()
    try:
        line = Line(near.fileno(), rung.fileno(), lambda: False, TIMING, Debts())
        for kind, unit, address in asked:
            request = KINDS[kind](unit, address)
            outcome = line.exchange(request)
            if isinstance(outcome, bytes):
                assert outcome == answer_to(request.rtu[1:-2])[1], request
            else:
                assert isinstance(outcome, (Miss, Refused))
    finally:
        near.shutdown(socket.SHUT_RDWR)
        instruments.join(5)
        for end in (near, far, bell, rung):
            end.close()


def test_what_is_said_in_time_and_right_is_heard_whatever_the_function() -> None:
    near, far = socket.socketpair()
    bell, rung = socket.socketpair()
    near.setblocking(False)
    instruments = Instruments(far, [])
    instruments.start()
    calm = Timing(character_s=1e-5, silence_s=2e-4, timeout_s=2.0, quiet_s=0.1, gap_s=0.5)
    line = Line(near.fileno(), rung.fileno(), lambda: False, calm, Debts())
    for make in KINDS:
        request = make(1, 77)
        assert line.exchange(request) == answer_to(request.rtu[1:-2])[1]
        assert 0 < line.took_s < 2.0
    assert select.select([near], [], [], 0)[0] == []
    near.shutdown(socket.SHUT_RDWR)
    instruments.join(5)
    for end in (near, far, bell, rung):
        end.close()
