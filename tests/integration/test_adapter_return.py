"""A serial adapter that is pulled out under load and comes back under the same name as another terminal."""

import asyncio
import errno
import fcntl
import os
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from drivers.modbus import ChannelOptions, InstrumentOptions, Options, create
from gateway.core.clock import SystemClock
from gateway.core.errors import NotConnectedError
from gateway.core.model import Batch, Channel, Quality
from gateway.core.plugin import ChannelPlan, Driver, InstrumentPlan
from gateway.flow.supervisor import Supervisor

UNITS = (1, 2, 3)
PERIOD_S = 0.05
SIGN = 4660
RETURN_S = 2.0
"""Within how long a returned adapter is to be read again. Tests give slow machines as much again."""
NOT_SOONER_S = 0.2
"""A port that cannot be opened is not tried without pause."""


def checksum(data: bytes) -> bytes:
    """CRC-16/MODBUS bit by bit, as the standard's flow chart has it."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


class Adapter:
    """A USB adapter with three units behind it; register 0 of each says how often it was plugged in, 1 who it is.

    Attributes:
        link: The fixed name, as udev makes them.
        plugged: How often it was plugged in.
        asked: Requests seen.
    """

    def __init__(self, folder: Path) -> None:
        self.link = folder / "usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0"
        self.plugged = 0
        self.asked = 0
        self.cut_next = False
        self.paths: list[str] = []
        self._master = self._slave = -1
        self._spare: list[int] = []
        self._buffer = bytearray()

    def plug(self) -> None:
        self.plugged += 1
        self._master, self._slave = os.openpty()
        while os.ttyname(self._slave) in self.paths:
            # Free again already; an adapter that returns is most often another terminal.
            self._spare += (self._master, self._slave)
            self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.paths.append(os.ttyname(self._slave))
        self._buffer.clear()
        asyncio.get_running_loop().add_reader(self._master, self._hear)
        self.link.symlink_to(self.paths[-1])

    def pull(self) -> None:
        if self._master < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1
        self.link.unlink()

    def end(self) -> None:
        self.pull()
        for descriptor in self._spare:
            os.close(descriptor)

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            self._buffer += os.read(self._master, 1024)
        while len(self._buffer) >= 8:
            request = bytes(self._buffer[:8])
            del self._buffer[:8]
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        if self._master < 0 or checksum(request[:6]) != request[6:]:
            return
        self.asked += 1
        unit, first, count = request[0], int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        registers = {0: self.plugged, 1: SIGN + unit}
        data = b"".join(registers[first + k].to_bytes(2, "big") for k in range(count))
        reply = bytes((unit, request[1], len(data))) + data
        reply += checksum(reply)
        if self.cut_next:
            self.cut_next = False
            os.write(self._master, reply[: len(reply) // 2])
            self.pull()
        else:
            os.write(self._master, reply)


@pytest.fixture
async def adapter(tmp_path: Path) -> AsyncIterator[Adapter]:
    made = Adapter(tmp_path)
    yield made
    made.end()


def driver(endpoint: str) -> Driver:
    plans = []
    for k, unit in enumerate(UNITS):
        channels = [Channel(2 * k + a, f"u{unit}.r{a}", f"u{unit}", "t", period_s=PERIOD_S) for a in (0, 1)]
        places = [ChannelPlan(c, ChannelOptions.model_validate({"address": a})) for a, c in enumerate(channels)]
        plans.append(InstrumentPlan(f"u{unit}", PERIOD_S, InstrumentOptions(unit=unit), tuple(places)))
    return create(Options.model_validate({"endpoint": endpoint, "baud": 115200}), plans, SystemClock())


class Gateway:
    """A supervisor with its driver, and all it handed on with the adapter's state at that moment."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.taken: list[Batch] = []
        self.said: list[str] = []
        channels = [Channel(row, f"c{row}", "i", "t", period_s=PERIOD_S) for row in range(2 * len(UNITS))]
        self.supervisor = Supervisor(
            "line",
            driver(f"rtu://{adapter.link}"),
            channels,
            self.taken.append,
            SystemClock(),
            on_change=self.said.append,
        )
        self.task = asyncio.create_task(self.supervisor.run())

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def last(self, start: int = 0) -> dict[int, tuple[float, int]]:
        """Return value and quality of each row's last reading since a batch."""
        found: dict[int, tuple[float, int]] = {}
        for batch in self.taken[start:]:
            found |= {int(r): (float(v), int(q)) for r, v, q in zip(batch.row, batch.value, batch.quality, strict=True)}
        return found

    async def until(self, quality: Quality, start: int) -> float:
        """Wait until every channel's last reading since a batch has this quality; return the seconds."""
        began_s = asyncio.get_running_loop().time()
        async with asyncio.timeout(2 * RETURN_S + 4):
            while True:
                last = self.last(start)
                if len(last) == 2 * len(UNITS) and all(q == quality for _, q in last.values()):
                    return asyncio.get_running_loop().time() - began_s
                await asyncio.sleep(0.005)

    def good_since(self, start: int) -> int:
        return sum(int((batch.quality == Quality.GOOD).sum()) for batch in self.taken[start:])

    def check_values(self) -> None:
        """No value belongs to another register, and none to a time before the adapter was last plugged in."""
        plugged = 0.0
        for batch in self.taken:
            for row, value, quality in zip(batch.row, batch.value, batch.quality, strict=True):
                if quality == Quality.GOOD and row % 2:
                    assert value == SIGN + UNITS[row // 2]
                elif quality == Quality.GOOD:
                    assert value >= plugged
                    plugged = value


@pytest.fixture
async def gateway(adapter: Adapter) -> AsyncIterator[Gateway]:
    adapter.plug()
    made = Gateway(adapter)
    yield made
    await made.stop()


async def pulled(gateway: Gateway, *, mid_frame: bool) -> int:
    """Pull the adapter out and return the number of the first batch after that."""
    adapter = gateway.adapter
    if mid_frame:
        adapter.cut_next = True
        async with asyncio.timeout(5):
            while adapter.cut_next:
                await asyncio.sleep(0)
    else:
        adapter.pull()
    return len(gateway.taken)


async def test_readings_are_lost_with_the_adapter_and_good_again_soon_after_its_return(gateway: Gateway) -> None:
    adapter = gateway.adapter
    await gateway.until(Quality.GOOD, 0)
    for absent_s, mid_frame in ((0.3, False), (1.2, True)):
        gone = await pulled(gateway, mid_frame=mid_frame)
        await gateway.until(Quality.COMMS_LOST, gone)
        # What had arrived when the adapter went may still come; nothing after the loss was noticed.
        noticed = len(gateway.taken)
        await asyncio.sleep(absent_s)
        assert gateway.good_since(noticed) == 0
        assert len(gateway.taken) > noticed, "a lost line goes on saying so"
        back = len(gateway.taken)
        adapter.plug()
        took_s = await gateway.until(Quality.GOOD, back)
        assert took_s < 2 * RETURN_S, f"absent {absent_s} s, mid-frame {mid_frame}"
        assert {value for row, (value, _) in gateway.last(back).items() if row % 2 == 0} == {adapter.plugged}
    gateway.check_values()
    assert [bool(reason) for reason in gateway.said] == [False, True, False, True, False]


async def test_an_adapter_that_returns_while_it_was_never_missed_is_read_by_its_new_terminal(gateway: Gateway) -> None:
    await gateway.until(Quality.GOOD, 0)
    gateway.adapter.pull()
    gateway.adapter.plug()
    back = len(gateway.taken)
    async with asyncio.timeout(2 * RETURN_S + 4):
        while {v for row, (v, q) in gateway.last(back).items() if row % 2 == 0 and q == Quality.GOOD} != {2.0}:
            await asyncio.sleep(0.005)
    gateway.check_values()


def refused_by(folder: Path, kind: str) -> tuple[str, list[int]]:
    """Return a port that cannot be opened, and what to close."""
    if kind == "missing":
        return str(folder / "nothing"), []
    if kind == "dangling link":
        (folder / "link").symlink_to("/dev/pts/65000")
        return str(folder / "link"), []
    if kind == "no terminal":
        (folder / "file").touch()
        return str(folder / "file"), []
    master, slave = os.openpty()
    if kind == "locked by another":
        fcntl.flock(slave, fcntl.LOCK_EX)
        return os.ttyname(slave), [master, slave]
    Path(os.ttyname(slave)).chmod(0)
    return os.ttyname(slave), [master, slave]


@contextmanager
def as_nobody(*, really: bool) -> Iterator[None]:
    """The superuser may open everything; somebody else may not."""
    if not really or os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("kind", ["missing", "dangling link", "no terminal", "locked by another", "no permission"])
async def test_a_port_that_cannot_be_opened_is_tried_again_soon_but_not_without_pause(
    tmp_path: Path, kind: str
) -> None:
    path, descriptors = refused_by(tmp_path, kind)
    line = driver(f"rtu://{path}")
    try:
        for _ in range(2):
            with pytest.raises(NotConnectedError) as caught, as_nobody(really=kind == "no permission"):
                await line.connect()
            assert caught.value.retry_s is not None
            assert NOT_SOONER_S <= caught.value.retry_s < RETURN_S
            assert path in str(caught.value)
    finally:
        await line.close()
        for descriptor in descriptors:
            os.close(descriptor)


async def test_a_port_that_becomes_free_is_read_without_a_restart(tmp_path: Path, adapter: Adapter) -> None:
    adapter.plug()
    holder = os.open(adapter.link, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    gateway = Gateway(adapter)
    try:
        await gateway.until(Quality.COMMS_LOST, 0)
        assert adapter.asked == 0, "nobody speaks on a line that another process has"
        busy = os.strerror(errno.EWOULDBLOCK)
        assert busy in gateway.said[-1]
        os.close(holder)
        holder = -1
        took_s = await gateway.until(Quality.GOOD, len(gateway.taken))
        assert took_s < 2 * RETURN_S
    finally:
        await gateway.stop()
        if holder >= 0:
            os.close(holder)
    gateway.check_values()
