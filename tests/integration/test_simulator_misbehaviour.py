"""How simulated buses misbehave, seen from raw sockets and a raw serial line."""

import asyncio
import os
import struct
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from simulators import modbus_tcp
from simulators.behaviour import Behaviour
from simulators.modbus_rtu import RtuLine, crc16
from simulators.modbus_tcp import TcpEndpoint
from simulators.registers import Registers

REQUEST = bytes.fromhex("030000 0002")


def units(*numbers: int) -> dict[int, Registers]:
    made = {}
    for number in numbers:
        made[number] = Registers()
        made[number].define("holding", range(2))
        made[number].write("holding", 0, struct.pack(">HH", number, 7))
    return made


def frame(number: int, unit: int, pdu: bytes = REQUEST) -> bytes:
    return struct.pack(">HHHB", number, 0, 1 + len(pdu), unit) + pdu


@asynccontextmanager
async def tcp(endpoint: TcpEndpoint) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    await endpoint.start()
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        await endpoint.stop()


async def answered(reader: asyncio.StreamReader) -> int:
    head = await asyncio.wait_for(reader.readexactly(6), 2)
    await reader.readexactly(int.from_bytes(head[4:6], "big"))
    return int.from_bytes(head[:2], "big")


async def test_requests_in_pieces_and_in_one_chunk_are_all_answered():
    async with tcp(TcpEndpoint(units(1, 2))) as (reader, writer):
        for byte in frame(1, 1):
            writer.write(bytes((byte,)))
            await asyncio.sleep(0.002)
        assert await answered(reader) == 1
        writer.write(frame(2, 1) + frame(3, 2) + frame(4, 1)[:5])
        assert [await answered(reader), await answered(reader)] == [2, 3]
        writer.write(frame(4, 1)[5:])
        assert await answered(reader) == 4


async def test_a_late_answer_comes_after_those_asked_later():
    endpoint = TcpEndpoint(units(1, 2))
    endpoint.odd[1] = Behaviour(late=1.0, late_s=0.15)
    async with tcp(endpoint) as (reader, writer):
        writer.write(frame(1, 1) + frame(2, 2))
        assert [await answered(reader), await answered(reader)] == [2, 1]


async def test_a_unit_refuses_with_its_code_and_behaves_again():
    endpoint = TcpEndpoint(units(1))
    async with tcp(endpoint) as (reader, writer):
        endpoint.odd[1] = Behaviour(refused=1.0, code=6)
        writer.write(frame(1, 1))
        assert await asyncio.wait_for(reader.readexactly(9), 2) == bytes.fromhex("000100000003018306")
        endpoint.odd.clear()
        writer.write(frame(2, 1))
        assert (await asyncio.wait_for(reader.readexactly(13), 2))[7] == 3


@pytest.mark.parametrize("behaviour", [Behaviour(silent=True), Behaviour(lost=1.0), Behaviour(garbled=1.0)])
async def test_what_is_lost_is_not_answered(behaviour: Behaviour):
    endpoint = TcpEndpoint(units(1, 2))
    endpoint.odd[1] = behaviour
    async with tcp(endpoint) as (reader, writer):
        writer.write(frame(1, 1) + frame(2, 2))
        assert await answered(reader) == 2
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)


@pytest.mark.parametrize("nonsense", [b"GET / HTTP/1.1\r\n\r\n", frame(1, 1)[:2] + b"\0\1" + frame(1, 1)[4:]])
async def test_a_peer_that_speaks_no_modbus_is_hung_up_on(nonsense: bytes):
    async with tcp(TcpEndpoint(units(1))) as (reader, writer):
        writer.write(nonsense)
        assert await asyncio.wait_for(reader.read(1), 2) == b""


async def test_one_connection_too_many_is_closed_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(modbus_tcp, "CONNECTIONS_MAX", 1)
    endpoint = TcpEndpoint(units(1))
    async with tcp(endpoint) as (reader, writer):
        writer.write(frame(1, 1))
        assert await answered(reader) == 1
        extra_reader, extra = await asyncio.open_connection(endpoint.host, endpoint.port)
        assert await asyncio.wait_for(extra_reader.read(1), 2) == b""
        extra.close()
        await extra.wait_closed()
        writer.write(frame(2, 1))
        assert await answered(reader) == 2


class Master:
    """The far end of a line, byte by byte."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        self.heard = bytearray()

    def send(self, unit: int, pdu: bytes = REQUEST) -> None:
        body = bytes((unit,)) + pdu
        os.write(self.fd, body + crc16(body))

    async def listen(self, seconds: float) -> bytes:
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            try:
                self.heard += os.read(self.fd, 512)
            except BlockingIOError:
                await asyncio.sleep(0.002)
        heard, self.heard = bytes(self.heard), bytearray()
        return heard


@asynccontextmanager
async def serial(line: RtuLine) -> AsyncIterator[Master]:
    await line.start()
    master = Master(line.path)
    try:
        yield master
    finally:
        os.close(master.fd)
        await line.stop()


def whole(reply: bytes) -> bool:
    return len(reply) > 2 and crc16(reply[:-2]) == reply[-2:]


async def test_a_line_answers_its_units_and_nobody_else():
    async with serial(RtuLine(units(1, 2), baud=115200)) as master:
        for unit in (1, 2):
            master.send(unit)
            reply = await master.listen(0.1)
            assert whole(reply)
            assert reply[:2] == bytes((unit, 3))
            assert reply[4] == unit
        for stranger in (3, 0):
            master.send(stranger)
            assert await master.listen(0.1) == b""


async def test_noise_before_a_request_is_thrown_away_and_so_is_a_torn_one():
    line = RtuLine(units(1), baud=115200)
    async with serial(line) as master:
        os.write(master.fd, b"\xff\x00\x13")
        master.send(1)
        assert whole(await master.listen(0.1))
        os.write(master.fd, b"\x01\x03\x00\x00")
        assert await master.listen(0.1) == b""
        master.send(1)
        assert whole(await master.listen(0.1))
        assert line.noise == 3 + 4


async def test_garbled_late_and_lost_answers_are_just_that():
    line = RtuLine(units(1), baud=115200)
    async with serial(line) as master:
        line.odd[1] = Behaviour(garbled=1.0)
        master.send(1)
        reply = await master.listen(0.1)
        assert len(reply) == 9
        assert not whole(reply)
        line.odd[1] = Behaviour(late=1.0, late_s=0.15)
        master.send(1)
        assert await master.listen(0.1) == b""
        assert whole(await master.listen(0.15))
        line.odd[1] = Behaviour(silent=True)
        master.send(1)
        assert await master.listen(0.1) == b""


async def test_a_master_that_talks_over_an_answer_or_skips_the_silence_is_counted():
    line = RtuLine(units(1), baud=1200)
    async with serial(line) as master:
        master.send(1)
        await asyncio.sleep(0.05)
        master.send(1)
        # 8 characters there, the silence, the unit's 2 ms, 9 characters back at 8.3 ms each: one answer only.
        assert len(await master.listen(0.3)) == 9
        assert line.collisions == 1
        assert line.early == 0
        master.send(1)
        while len(master.heard) < 9:
            master.heard += await master.listen(0.002)
        master.send(1)
        await master.listen(0.02)
        assert line.early == 1


async def test_a_cut_line_is_silent_and_comes_back():
    line = RtuLine(units(1), baud=115200)
    async with serial(line) as master:
        line.down = True
        master.send(1)
        assert await master.listen(0.1) == b""
        line.down = False
        master.send(1)
        assert whole(await master.listen(0.1))


async def test_a_link_never_takes_the_place_of_a_file(tmp_path: Path):
    file = tmp_path / "precious"
    file.write_text("keep me")
    line = RtuLine(units(1), link=str(file))
    with pytest.raises(FileExistsError):
        await line.start()
    assert file.read_text() == "keep me"
    await line.stop()
