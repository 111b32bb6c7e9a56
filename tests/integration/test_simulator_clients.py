"""The functions of simulated instruments as mbpoll (libmodbus) and pymodbus use them, over TCP and a serial line."""

import asyncio
import json
import os
import shutil
import socket
import termios
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient, AsyncModbusUdpClient, ModbusSerialClient
from pymodbus.pdu.file_message import FileRecord

from simulators.behaviour import Behaviour
from simulators.loading import checked
from simulators.modbus_rtu import RtuLine, crc16
from simulators.modbus_tcp import TcpEndpoint
from simulators.modbus_udp import UdpEndpoint
from simulators.plant import Plant
from simulators.registers import Registers

READ = bytes.fromhex("0300000002")


def mbpoll() -> str:
    path = shutil.which("mbpoll")
    if path is None:
        if "CI" in os.environ:
            pytest.fail("mbpoll is not installed")
        pytest.skip("mbpoll is not installed")
    return path


async def output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    text, _ = await asyncio.wait_for(process.communicate(), 10)
    return text.decode(errors="replace")


def bench(**line: Any):
    instrument = {
        "at": "room",
        "unit": 9,
        "relays": {"sounder": {"address": 0}, "beacon": {"address": 1}, "dimmer": {"table": "holding", "address": 40}},
        "channels": {"co": {"address": 0, "type": "float32"}},
        "identity": {"vendor": "Hazard works", "product": "HW-1", "revision": "2.0"},
        "files": {4: [0x0DFE, 0x0020]},
        "queues": {100: [7, 8, 9]},
    }
    return checked(
        {
            "name": "bench",
            "rooms": {"room": {"volume_m3": 50}},
            "buses": {
                "tcp": {"type": "modbus-tcp", "unknown_unit": "no-path"},
                "line": {"type": "modbus-rtu", "baud": 115200, **line},
            },
            "instruments": {"t": {"bus": "tcp", **instrument}, "s": {"bus": "line", **instrument}},
        }
    )


@asynccontextmanager
async def running(plant: Plant) -> AsyncIterator[dict[str, str]]:
    await plant.start()
    task = asyncio.create_task(plant.run())
    try:
        yield {endpoint.bus: endpoint.address for endpoint in plant.endpoints}
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await plant.stop()


async def test_mbpoll_switches_relays_over_tcp_and_serial_and_reads_them_back(tmp_path: Path):
    program, truth = mbpoll(), tmp_path / "truth.jsonl"
    async with running(Plant(bench(), truth=truth)) as addresses:
        _, host, port = addresses["tcp"].replace("//", "").split(":")
        over_tcp = ([program, "-m", "tcp", "-p", port, "-a", "9", "-0", "-1", "-q"], host)
        serial = addresses["line"].removeprefix("rtu://")
        over_line = ([program, "-m", "rtu", "-b", "115200", "-P", "none", "-a", "9", "-0", "-1", "-q"], serial)
        for call, place in (over_tcp, over_line):
            assert "Written 2 references" in await output(*call, "-t", "0", "-r", "0", place, "1", "1")
            assert "Written 1 references" in await output(*call, "-t", "0", "-r", "1", place, "0")
            coils = await output(*call, "-t", "0", "-r", "0", "-c", "2", place)
            assert "[0]: \t1" in coils
            assert "[1]: \t0" in coils
            assert "Written 1 references" in await output(*call, "-t", "4", "-r", "40", place, "513")
            assert "[40]: \t513" in await output(*call, "-t", "4", "-r", "40", place)
            assert "Illegal data address" in await output(*call, "-t", "4", "-r", "0", place, "1")
        await asyncio.sleep(0.3)
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    told = [(line["where"], line["holds"]) for line in lines if line.get("event") == "relay_written"]
    for name in ("t", "s"):
        switched = [(f"{name}.sounder", 1), (f"{name}.beacon", 1), (f"{name}.beacon", 0), (f"{name}.dimmer", 513)]
        assert [pair for pair in told if pair[0].startswith(f"{name}.")] == switched


async def test_pymodbus_masks_queues_files_and_identifies_over_tcp():
    async with running(Plant(bench())) as addresses:
        _, host, port = addresses["tcp"].replace("//", "").split(":")
        client = AsyncModbusTcpClient(host, port=int(port), timeout=1, retries=0)
        await client.connect()
        try:
            await client.write_register(40, 0x12, device_id=9)
            assert not (
                await client.mask_write_register(address=40, and_mask=0xF2, or_mask=0x25, device_id=9)
            ).isError()
            assert (await client.read_holding_registers(40, count=1, device_id=9)).registers == [0x17]
            both = await client.readwrite_registers(
                read_address=40, read_count=1, write_address=40, values=[77], device_id=9
            )
            assert both.registers == [77]
            assert (await client.read_fifo_queue(address=100, device_id=9)).values == [7, 8, 9]
            # pymodbus counts a record's length in bytes.
            record = FileRecord(file_number=4, record_number=0, record_length=4)
            files = await client.read_file_record([record], device_id=9)
            assert files.records[0].record_data == bytes.fromhex("0dfe0020")
            told = await client.read_device_information(read_code=1, object_id=0, device_id=9)
            assert told.information == {0: b"Hazard works", 1: b"HW-1", 2: b"2.0"}
            stranger = await client.read_holding_registers(0, count=1, device_id=8)
            assert stranger.exception_code == 10
        finally:
            client.close()


async def test_pymodbus_reads_and_switches_through_a_transparent_serial_server():
    scenario = bench()
    line = checked(
        {
            **scenario.model_dump(exclude={"folder", "buses"}, exclude_defaults=True),
            "buses": {"tcp": {"type": "modbus-tcp"}, "line": {"type": "modbus-rtu-tcp", "baud": 115200}},
        }
    )
    async with running(Plant(line)) as addresses:
        scheme, host, port = addresses["line"].replace("//", "").split(":")
        assert scheme == "rtu+tcp"
        client = AsyncModbusTcpClient(host, port=int(port), framer=FramerType.RTU, timeout=1, retries=0)
        await client.connect()
        try:
            assert not (await client.write_coil(1, True, device_id=9)).isError()
            assert (await client.read_coils(0, count=2, device_id=9)).bits[:2] == [False, True]
            assert (await client.read_holding_registers(500, count=1, device_id=9)).exception_code == 2
        finally:
            client.close()


async def test_pymodbus_reads_and_switches_over_udp_and_nonsense_gets_no_answer():
    registers = units(1)
    endpoint = UdpEndpoint(registers)
    await endpoint.start()
    client = AsyncModbusUdpClient("127.0.0.1", port=endpoint.port, timeout=1, retries=0)
    try:
        await client.connect()
        assert not (await client.write_coil(0, True, device_id=1)).isError()
        assert (await client.read_coils(0, count=1, device_id=1)).bits[0] is True
        registers[1].write("holding", 0, b"\x12\x34")
        assert (await client.read_holding_registers(0, count=1, device_id=1)).registers == [0x1234]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
            raw.setblocking(False)
            raw.connect(("127.0.0.1", endpoint.port))
            for nonsense in (b"", b"GET /", bytes(8), bytes.fromhex("000100000006010300000001ff")):
                raw.send(nonsense)
            await asyncio.sleep(0.1)
            with pytest.raises(BlockingIOError):
                raw.recv(100)
    finally:
        client.close()
        await endpoint.stop()
        await endpoint.stop()


async def test_pymodbus_identifies_and_masks_over_the_serial_line():
    def ask(path: str) -> tuple[Any, Any]:
        client = ModbusSerialClient(path, baudrate=115200, timeout=2, retries=3)
        assert client.connect()
        try:
            told = client.read_device_information(read_code=1, object_id=0, device_id=9).information
            client.mask_write_register(address=40, and_mask=0, or_mask=0x0102, device_id=9)
            return told, client.read_holding_registers(40, count=1, device_id=9).registers
        finally:
            client.close()

    async with running(Plant(bench())) as addresses:
        told, registers = await asyncio.to_thread(ask, addresses["line"].removeprefix("rtu://"))
    assert told == {0: b"Hazard works", 1: b"HW-1", 2: b"2.0"}
    assert registers == [0x0102]


def units(*numbers: int) -> dict[int, Registers]:
    made = {}
    for number in numbers:
        made[number] = Registers()
        made[number].define("holding", range(2))
        made[number].define("coil", [0], writable=True)
    return made


class Master:
    """The far end of a line, byte by byte."""

    def __init__(self, path: str, speed: int = termios.B9600) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        settings = termios.tcgetattr(self.fd)
        settings[4] = settings[5] = speed
        termios.tcsetattr(self.fd, termios.TCSANOW, settings)

    async def asks(self, unit: int, pdu: bytes = READ, within_s: float = 0.2) -> bytes:
        body = bytes((unit,)) + pdu
        os.write(self.fd, body + crc16(body))
        heard = b""
        end = asyncio.get_running_loop().time() + within_s
        while asyncio.get_running_loop().time() < end:
            try:
                heard += os.read(self.fd, 512)
            except BlockingIOError:
                await asyncio.sleep(0.002)
            if len(heard) > 4 and crc16(heard[:-2]) == heard[-2:]:
                break
        return heard


@asynccontextmanager
async def serial(line: RtuLine, speed: int = termios.B9600) -> AsyncIterator[Master]:
    await line.start()
    master = Master(line.path, speed)
    try:
        yield master
    finally:
        os.close(master.fd)
        await line.stop()


async def test_an_exact_line_is_silent_at_another_speed():
    async with serial(RtuLine(units(1), baud=9600, exact=True), termios.B19200) as master:
        assert await master.asks(1) == b""
    async with serial(RtuLine(units(1), baud=9600, exact=True)) as master:
        assert len(await master.asks(1)) == 9


async def test_a_broadcast_is_obeyed_by_all_and_answered_by_none():
    registers = units(1, 2)
    async with serial(RtuLine(registers, baud=115200)) as master:
        assert await master.asks(0, bytes.fromhex("050000ff00"), within_s=0.05) == b""
        assert [unit.held("coil", 0) for unit in registers.values()] == [b"\x01", b"\x01"]


@pytest.mark.parametrize("bus", ["tcp", "line"])
async def test_a_silent_or_refusing_instrument_switches_nothing_and_one_whose_answer_is_lost_does(bus: str):
    registers = units(1)
    put = bytes.fromhex("050000ff00")

    async def tried(behaviour: Behaviour) -> bool:
        registers[1].write("coil", 0, b"\x00")
        it = TcpEndpoint(registers) if bus == "tcp" else RtuLine(registers, baud=115200)
        it.odd[1] = behaviour
        if isinstance(it, RtuLine):
            async with serial(it) as master:
                await master.asks(1, put, within_s=0.05)
        else:
            await it.start()
            reader, writer = await asyncio.open_connection(it.host, it.port)
            writer.write(bytes.fromhex("0001 0000 0006 01") + put)
            await asyncio.wait([asyncio.ensure_future(reader.read(1))], timeout=0.05)
            writer.close()
            await it.stop()
        return registers[1].held("coil", 0) == b"\x01"

    assert not await tried(Behaviour(silent=True))
    assert not await tried(Behaviour(refused=1.0))
    assert await tried(Behaviour(lost=1.0))


async def test_a_wrong_answer_is_whole_and_never_the_one_that_was_asked_for():
    registers = units(1)
    registers[1].write("holding", 0, b"\x12\x34\x56\x78")
    line = RtuLine(registers, baud=115200)
    line.odd[1] = Behaviour(wrong=1.0)
    right = bytes.fromhex("010304 12345678")
    async with serial(line) as master:
        for _ in range(8):
            heard = await master.asks(1)
            assert crc16(heard[:-2]) == heard[-2:]
            assert heard[:-2] != right


async def test_noise_on_the_line_stands_before_or_behind_a_whole_answer():
    line = RtuLine(units(1), baud=115200)
    line.noisy = 1.0
    answer = bytes.fromhex("010304 00000000")
    answer += crc16(answer)
    async with serial(line) as master:
        before = behind = 0
        for _ in range(12):
            heard = await master.asks(1, within_s=0.05)
            assert answer in heard
            assert len(answer) < len(heard) <= len(answer) + 8
            before, behind = before + heard.endswith(answer), behind + heard.startswith(answer)
        assert before > 0
        assert behind > 0


async def test_a_slow_instrument_takes_its_time():
    line = RtuLine(units(1), baud=115200)
    line.odd[1] = Behaviour(slow_s=0.15)
    async with serial(line) as master:
        assert await master.asks(1, within_s=0.1) == b""


async def test_an_adapter_that_is_pulled_out_is_gone_and_comes_back_under_its_name(tmp_path: Path):
    link = tmp_path / "line"
    scenario = checked(
        {
            "name": "pulled",
            "rooms": {"room": {"volume_m3": 50}},
            "buses": {"line": {"type": "modbus-rtu", "link": str(link), "baud": 115200}},
            "instruments": {
                "g": {"bus": "line", "unit": 1, "at": "room", "channels": {"co": {"address": 0, "type": "float32"}}}
            },
            "events": [{"at_s": 2, "what": "unplug", "where": "line", "for_s": 8}],
        }
    )
    async with running(Plant(scenario, speed=10)), asyncio.timeout(10):
        first = Master(str(link))
        assert len(await first.asks(1)) == 9
        while link.is_symlink():
            await asyncio.sleep(0.02)
        with pytest.raises(OSError, match="Input/output"):
            await first.asks(1)
        os.close(first.fd)
        while not link.is_symlink():
            await asyncio.sleep(0.02)
        again = Master(str(link))
        assert len(await again.asks(1)) == 9
        os.close(again.fd)
