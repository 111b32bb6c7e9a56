"""Late replies: how many wrong values come of a fifth of the replies being later than the time-out.

Every request is numbered by the instrument that gets it, and the reply carries that number, the unit and the address
it was asked for: a value is wrong where it answers another question than the one it is handed out for, an earlier one
to the same registers included. Beside ours the same instruments read with pymodbus, with a shorter time-out than its
default but otherwise as it comes.
"""

import asyncio
import contextlib
import os
import random
import select
import threading
import time
import tty
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from benchmarks.measure import Figure, Spread, at_most, table
from drivers.modbus import ChannelOptions, InstrumentOptions, Options, create
from drivers.modbus.frames import with_crc
from gateway.core.clock import SystemClock
from gateway.core.errors import NotConnectedError
from gateway.core.model import Channel
from gateway.core.plugin import ChannelPlan, InstrumentPlan

TIMEOUT_S = 0.03
LATE_PART = 0.2
LATE_S = (1.1, 1.8)
"""A late reply comes after so many time-outs; a serial line is listened to for two in all."""
UNITS = 4
REGISTERS = 4
LINES = 8
BAUD = 115200


class Instruments:
    """The units behind one line: each reply has unit, address, and the unit's count of requests in two registers."""

    def __init__(self, seed: int) -> None:
        self.asked: Counter[int] = Counter()
        self.requests = self.late = 0
        self._dice = random.Random(seed)

    def answer(self, adu: bytes) -> tuple[bytes, float]:
        """Return the reply to a request (unit, function, address, count) and how late it is, in seconds."""
        unit, address, count = adu[0], adu[2] << 8 | adu[3], adu[4] << 8 | adu[5]
        self.asked[unit] += 1
        self.requests += 1
        number = self.asked[unit]
        words = [unit, address, number >> 16, number & 0xFFFF][:count]
        data = b"".join(word.to_bytes(2, "big") for word in words)
        late_s = 0.0
        if self._dice.random() < LATE_PART:
            self.late += 1
            late_s = TIMEOUT_S * self._dice.uniform(*LATE_S)
        return bytes([unit, adu[1], len(data)]) + data, late_s


class TcpSide(asyncio.Protocol):
    """Modbus TCP; `careless` instruments put 0 in place of the transaction id."""

    def __init__(self, instruments: Instruments, careless: bool) -> None:
        self._instruments, self._careless = instruments, careless
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        while len(data) >= 12:
            reply, late_s = self._instruments.answer(data[6:12])
            head = (b"\0\0" if self._careless else data[:2]) + b"\0\0" + len(reply).to_bytes(2, "big")
            asyncio.get_running_loop().call_later(late_s, self._send, head + reply)
            data = data[12:]
        self._rest = data

    def _send(self, frame: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(frame)


@asynccontextmanager
async def tcp(instruments: Instruments, careless: bool) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: TcpSide(instruments, careless), "127.0.0.1", 0)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@contextmanager
def serial(instruments: Instruments) -> Iterator[str]:
    """A pty with the instruments at its other end, in a thread that answers in the order it was asked."""
    near, far = os.openpty()
    tty.setraw(near)
    tty.setraw(far)
    stop = threading.Event()
    thread = threading.Thread(target=_answer, args=(near, instruments, stop), daemon=True)
    thread.start()
    try:
        yield f"rtu://{os.ttyname(far)}"
    finally:
        stop.set()
        thread.join(5)
        os.close(near)
        os.close(far)


def _answer(line: int, instruments: Instruments, stop: threading.Event) -> None:
    waiting: list[tuple[float, bytes]] = []
    held = b""
    while not stop.is_set():
        wait_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 0.1
        if select.select([line], [], [], wait_s)[0]:
            held += os.read(line, 512)
        while len(held) >= 8:
            if with_crc(held[:6]) == held[:8]:
                reply, late_s = instruments.answer(held[:6])
                due = max(time.monotonic() + late_s, waiting[-1][0] if waiting else 0.0)
                waiting.append((due, with_crc(reply)))
                held = held[8:]
            else:
                held = held[1:]
        while waiting and waiting[0][0] <= time.monotonic():
            os.write(line, waiting.pop(0)[1])


def main(short: bool = False) -> list[Figure]:
    wanted = {"TCP": 20_000, "TCP, transaction id 0": 2_000, "RTU": 20_000} if not short else {}
    wanted = wanted or {"TCP": 300, "TCP, transaction id 0": 100, "RTU": 200}
    rows, figures = [], []
    for kind, reads in wanted.items():
        counts = asyncio.run(_run(kind, reads, _ours))
        # A careless instrument's replies are all dropped: no value is better than a value that may be another's.
        rows.append((kind, "ours", *_cells(counts)))
        wrong = Spread.of([float(counts["wrong"])])
        answered = f"{counts['answered']:,} of {counts['answered'] + counts['missed']:,} reads"
        figures.append(at_most(f"{kind}: wrong values, {answered} answered", wrong, 0, digits=0))
        theirs = asyncio.run(_run(kind.removesuffix("0"), reads // 20, _pymodbus, careless="0" in kind))
        rows.append((kind, "pymodbus", *_cells(theirs)))
    table(
        f"{LATE_PART:.0%} of replies {LATE_S[0]} to {LATE_S[1]} time-outs late, {LINES} lines of {UNITS} units",
        ("bus", "client", "requests", "late", "reads answered", "reads missed", "reads with wrong values"),
        rows,
    )
    return figures


def _cells(counts: Counter[str]) -> tuple[str, ...]:
    return tuple(f"{counts[name]:,}" for name in ("requests", "late", "answered", "missed", "wrong"))


async def _run(kind: str, reads: int, reader: Callable[..., object], *, careless: bool = False) -> Counter[str]:
    counts: Counter[str] = Counter()
    async with contextlib.AsyncExitStack() as stack:
        tasks, all_instruments = [], []
        for k in range(LINES):
            instruments = Instruments(k)
            all_instruments.append(instruments)
            if kind == "RTU":
                endpoint = stack.enter_context(serial(instruments))
            else:
                endpoint = await stack.enter_async_context(tcp(instruments, "0" in kind or careless))
            tasks.append(asyncio.create_task(reader(endpoint, instruments, counts)))
        end_s = time.monotonic() + 90
        # A careless instrument gets no read answered at all.
        told = "missed" if "0" in kind else "answered"
        while counts[told] < reads and time.monotonic() < end_s:  # noqa: ASYNC110 - eight count together
            await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        done, _ = await asyncio.wait(tasks, timeout=5)
        for task in done:
            if not task.cancelled() and task.exception():
                raise task.exception()
    for instruments in all_instruments:
        counts["requests"] += instruments.requests
        counts["late"] += instruments.late
    return counts


def _right(words: list[int], unit: int, instruments: Instruments) -> bool:
    return words == [unit, 0, instruments.asked[unit] >> 16, instruments.asked[unit] & 0xFFFF]


async def _ours(endpoint: str, instruments: Instruments, counts: Counter[str]) -> None:
    plans = [
        InstrumentPlan(
            f"u{unit}",
            0.001,
            InstrumentOptions(unit=unit),
            tuple(
                ChannelPlan(
                    Channel((unit - 1) * REGISTERS + k, f"u{unit}.r{k}", f"u{unit}", "count"), ChannelOptions(address=k)
                )
                for k in range(REGISTERS)
            ),
        )
        for unit in range(1, UNITS + 1)
    ]
    options = Options(endpoint=endpoint, timeout_s=TIMEOUT_S, baud=BAUD, backoff_first_s=0.01, backoff_max_s=0.02)
    driver = create(options, plans, SystemClock())
    try:
        while True:
            with contextlib.suppress(NotConnectedError):
                await driver.connect()
                while True:
                    batch = await driver.read()
                    for start in range(0, len(batch), REGISTERS):
                        unit = int(batch.row[start]) // REGISTERS + 1
                        if batch.quality[start]:
                            counts["missed"] += 1
                            continue
                        counts["answered"] += 1
                        words = [int(value) for value in batch.value[start : start + REGISTERS]]
                        counts["wrong"] += not _right(words, unit, instruments)
            await asyncio.sleep(0.01)
    finally:
        await driver.close()


async def _pymodbus(endpoint: str, instruments: Instruments, counts: Counter[str]) -> None:
    from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient  # noqa: PLC0415 - only where measured
    from pymodbus.exceptions import ModbusException  # noqa: PLC0415

    scheme, _, place = endpoint.partition("://")
    if scheme == "rtu":
        client = AsyncModbusSerialClient(place, baudrate=BAUD, timeout=TIMEOUT_S)
    else:
        client = AsyncModbusTcpClient("127.0.0.1", port=int(place.rpartition(":")[2]), timeout=TIMEOUT_S)
    task = asyncio.current_task()
    try:
        while not task.cancelling():
            if not client.connected:
                await client.connect()
            for unit in range(1, UNITS + 1):
                try:
                    answer = await client.read_holding_registers(0, count=REGISTERS, device_id=unit)
                except ModbusException:
                    counts["missed"] += 1
                    await asyncio.sleep(0)
                    continue
                counts["answered"] += 1
                counts["wrong"] += not _right(answer.registers, unit, instruments)
    finally:
        client.close()
