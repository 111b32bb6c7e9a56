"""Instruments on real sockets and pseudo-terminals; none shares code with the driver."""

import asyncio
import os
import shutil
import subprocess
import tty
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.modbus import ChannelOptions, InstrumentOptions, Options, create
from gateway.core.clock import SystemClock
from gateway.core.model import Batch, Channel
from gateway.core.plugin import ChannelPlan, Driver, InstrumentPlan

PEERS = Path(__file__).parents[1] / "peers"


def lacking(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{what} is needed and CI has it not")
    pytest.skip(f"{what} is not installed")


# --- the driver, and what it reads -------------------------------------------------------------------------------


@dataclass
class Bench:
    """A driver with the place of each of its rows."""

    driver: Driver
    places: list[tuple[int, int]]
    """(unit, address) of each row."""
    log: list[tuple[float, Batch]] = field(default_factory=list)

    async def read(self) -> Batch:
        batch = await self.driver.read()
        self.log.append((asyncio.get_running_loop().time(), batch))
        return batch

    async def read_for(self, seconds: float) -> list[tuple[float, Batch]]:
        """Read for so long; the read that is then under way is cancelled."""
        start = len(self.log)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await self.read()
        return self.log[start:]

    def qualities(self, unit: int, batches: list[tuple[float, Batch]] | None = None) -> list[int]:
        """Return the qualities of the first row of a unit, in order."""
        row = next(i for i, place in enumerate(self.places) if place[0] == unit)
        return [
            int(q) for _, batch in (self.log if batches is None else batches) for q in batch.quality[batch.row == row]
        ]

    def count(self, expected: Callable[[int, int], float]) -> tuple[int, int]:
        """Return how many readings have a value, and how many of those another register's."""
        want = np.array([expected(unit, address) for unit, address in self.places])
        valued = wrong = 0
        for _, batch in self.log:
            has = ~np.isnan(batch.value)
            valued += int(has.sum())
            wrong += int((batch.value[has] != want[batch.row[has]]).sum())
        return valued, wrong


MakeBench = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def bench() -> AsyncIterator[MakeBench]:
    """Connected drivers of an endpoint and its units' addresses; further words are the driver's options."""
    made: list[Driver] = []

    async def make(
        endpoint: str,
        units: dict[int, list[int]],
        period_s: float = 0.01,
        *,
        channel: dict[str, Any] | None = None,
        instrument: dict[str, Any] | None = None,
        connect: bool = True,
        **options: Any,
    ) -> Bench:
        places: list[tuple[int, int]] = []
        plans = []
        for unit, addresses in units.items():
            channels = []
            for address in addresses:
                row = len(places)
                places.append((unit, address))
                where = ChannelOptions.model_validate({"address": address, **(channel or {})})
                channels.append(ChannelPlan(Channel(row, f"u{unit}.r{row}", f"u{unit}", "t", period_s=period_s), where))
            settings = InstrumentOptions.model_validate({"unit": unit, **(instrument or {})})
            plans.append(InstrumentPlan(f"u{unit}", period_s, settings, tuple(channels)))
        settled = {"timeout_s": 0.2, "read_through": 0, "backoff_first_s": 0.02, "backoff_max_s": 0.1, **options}
        driver = create(Options.model_validate({"endpoint": endpoint, **settled}), plans, SystemClock())
        made.append(driver)
        if connect:
            await driver.connect()
        return Bench(driver, places)

    yield make
    for driver in made:
        await driver.close()


# --- libmodbus ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The libmodbus server, compiled."""
    compiler = shutil.which("gcc")
    if compiler is None or not Path("/usr/include/modbus/modbus.h").exists():
        lacking("gcc with libmodbus-dev")
    program = tmp_path_factory.mktemp("modbus") / "modbus_server"
    source = str(PEERS / "modbus_server.c")
    subprocess.run(
        [str(compiler), "-O1", "-o", str(program), source, "-I/usr/include/modbus", "-lmodbus"], check=True, timeout=60
    )
    return program


@pytest.fixture
def started() -> Iterator[Callable[..., tuple["subprocess.Popen[str]", str]]]:
    """Start programs and return each with its first line; all are stopped at the end, by their ids."""
    with ExitStack() as stack:

        def start(*words: str, wait_line: bool = True) -> tuple["subprocess.Popen[str]", str]:
            process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            stack.callback(stop, process)
            assert process.stdout is not None
            return process, process.stdout.readline().strip() if wait_line else ""

        yield start


def stop(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait(10)
    if process.stdout is not None:
        process.stdout.close()


# --- instruments written for the occasion -------------------------------------------------------------------------


def value(unit: int, address: int) -> int:
    """What these instruments hold: another value in every register."""
    return (unit * 4099 + address * 7 + 1) & 0xFFFF


@dataclass
class Asked:
    """A request as an instrument sees it, and the way back."""

    transaction: int
    unit: int
    function: int
    address: int
    count: int
    send: Callable[[bytes], None]
    hang_up: Callable[[], None]
    number: int

    def body(self, unit: int | None = None, function: int | None = None, count: int | None = None) -> bytes:
        """Return unit, function, byte count and registers, as asked or otherwise."""
        count = self.count if count is None else count
        data = b"".join(value(self.unit, self.address + i).to_bytes(2, "big") for i in range(count))
        return bytes((self.unit if unit is None else unit, function or self.function, len(data))) + data


Behaviour = Callable[[Asked], Awaitable[None]]


def tcp_reply(asked: Asked, body: bytes | None = None, transaction: int | None = None) -> bytes:
    body = asked.body() if body is None else body
    number = asked.transaction if transaction is None else transaction
    return number.to_bytes(2, "big") + b"\0\0" + len(body).to_bytes(2, "big") + body


def checksum(data: bytes) -> bytes:
    """CRC-16/MODBUS bit by bit, as the standard's flow chart has it."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def rtu_reply(asked: Asked, body: bytes | None = None) -> bytes:
    body = asked.body() if body is None else body
    return body + checksum(body)


class TcpInstrument:
    """A TCP server that does with each request what a test says, many at once or one after the other.

    Attributes:
        writers: Open connections, the newest last.
        asked: Every request seen.
    """

    def __init__(self, behave: Behaviour, *, serial: bool = False, framing: str = "tcp") -> None:
        self.behave = behave
        self.serial = serial
        self.framing = framing
        self.asked: list[Asked] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.connections = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.server: asyncio.Server | None = None
        self.port = 0
        self.turn = asyncio.Lock()

    async def start(self, port: int = 0) -> None:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.connections += 1
        size = 12 if self.framing == "tcp" else 8
        try:
            while True:
                request = await reader.readexactly(size)
                self.take(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.writers.remove(writer)
            writer.close()

    def take(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        transaction = int.from_bytes(request[:2], "big") if self.framing == "tcp" else 0
        pdu = request[6:] if self.framing == "tcp" else request[:-2]
        if self.framing != "tcp":
            assert checksum(pdu) == request[-2:]

        def send(data: bytes) -> None:
            # A serial server hands what comes from its line to whoever is connected now.
            to = self.writers[-1] if self.framing != "tcp" and self.writers else writer
            if not to.is_closing():
                to.write(data)

        asked = Asked(
            transaction,
            pdu[0],
            pdu[1],
            int.from_bytes(pdu[2:4], "big"),
            int.from_bytes(pdu[4:6], "big"),
            send,
            writer.transport.abort,
            len(self.asked),
        )
        self.asked.append(asked)
        task = asyncio.create_task(self.run(asked))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def run(self, asked: Asked) -> None:
        if self.serial:
            async with self.turn:
                await self.behave(asked)
        else:
            await self.behave(asked)

    async def stop(self) -> None:
        if self.server is not None:
            self.server.close()
        for writer in list(self.writers):
            writer.transport.abort()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.server is not None:
            await self.server.wait_closed()


@pytest.fixture
async def tcp_instrument() -> AsyncIterator[Callable[..., Awaitable[TcpInstrument]]]:
    made: list[TcpInstrument] = []

    async def make(behave: Behaviour, *, port: int = 0, **options: Any) -> TcpInstrument:
        instrument = TcpInstrument(behave, **options)
        made.append(instrument)
        await instrument.start(port)
        return instrument

    yield make
    for instrument in made:
        await instrument.stop()


class SerialInstrument:
    """All units of a line on a pseudo-terminal; works off requests in the order they came, as instruments do."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.asked: list[Asked] = []
        self.heard: list[tuple[float, bytes]] = []
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self.slave = slave
        os.set_blocking(self.master, False)
        self.buffer = bytearray()
        self.queue: asyncio.Queue[Asked] = asyncio.Queue()
        self.loop = asyncio.get_running_loop()
        self.loop.add_reader(self.master, self.hear)
        self.worker = asyncio.create_task(self.work())
        self.closed = False

    def hear(self) -> None:
        try:
            data = os.read(self.master, 1024)
        except BlockingIOError:
            return
        except OSError:
            self.loop.remove_reader(self.master)
            return
        self.heard.append((self.loop.time(), data))
        self.buffer += data
        while len(self.buffer) >= 8:
            request = bytes(self.buffer[:8])
            assert checksum(request[:6]) == request[6:]
            del self.buffer[:8]
            asked = Asked(
                0,
                request[0],
                request[1],
                int.from_bytes(request[2:4], "big"),
                int.from_bytes(request[4:6], "big"),
                self.say,
                lambda: None,
                len(self.asked),
            )
            self.asked.append(asked)
            self.queue.put_nowait(asked)

    def say(self, data: bytes) -> None:
        with suppress(BlockingIOError):
            os.write(self.master, data)

    async def work(self) -> None:
        while True:
            await self.behave(await self.queue.get())

    def unplug(self) -> None:
        """Pull the adapter out."""
        if not self.closed:
            self.closed = True
            self.loop.remove_reader(self.master)
            os.close(self.master)
            os.close(self.slave)

    async def stop(self) -> None:
        self.worker.cancel()
        await asyncio.gather(self.worker, return_exceptions=True)
        self.unplug()


@pytest.fixture
async def serial_instrument() -> AsyncIterator[Callable[[Behaviour], SerialInstrument]]:
    made: list[SerialInstrument] = []

    def make(behave: Behaviour) -> SerialInstrument:
        made.append(SerialInstrument(behave))
        return made[-1]

    yield make
    for instrument in made:
        await instrument.stop()


class Wire:
    """What tests need by name, since test modules cannot import one another."""

    value = staticmethod(value)
    tcp_reply = staticmethod(tcp_reply)
    rtu_reply = staticmethod(rtu_reply)
    checksum = staticmethod(checksum)
    lacking = staticmethod(lacking)


@pytest.fixture(scope="session")
def wire() -> type[Wire]:
    return Wire
