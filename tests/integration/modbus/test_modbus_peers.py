"""The driver against other people's instruments: libmodbus over TCP, RTU and a serial server, and pymodbus."""

import asyncio
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.modbus import ChannelOptions, InstrumentOptions, Options, create
from gateway.core.clock import SystemClock
from gateway.core.errors import NotConnectedError
from gateway.core.model import Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan

GOOD = Quality.GOOD


def values(bench: Any) -> dict[int, float]:
    """Return the newest value of each row."""
    found = {}
    for _, batch in bench.log:
        found.update(zip(batch.row.tolist(), batch.value.tolist(), strict=True))
    return found


async def read_all(bench: Any) -> dict[int, float]:
    async with asyncio.timeout(10):
        while len(values(bench)) < len(bench.places):
            await bench.read()
    return values(bench)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("holding", lambda a: a),
        ("input", lambda a: 65535 - a),
        ("coil", lambda a: a % 3 == 0),
        ("discrete", lambda a: a % 5 == 0),
    ],
)
async def test_every_table_of_libmodbus_is_read(
    table: str, expected: Callable[[int], float], bench: Any, peer: Path, started: Any
) -> None:
    _, port = started(str(peer), "tcp")
    made = await bench(f"tcp://127.0.0.1:{port}", {1: list(range(1, 200))}, channel={"table": table})
    assert await read_all(made) == {a - 1: float(expected(a)) for a in range(1, 200)}


@pytest.mark.parametrize(("order", "address"), [("ABCD", 200), ("BADC", 202), ("CDAB", 204), ("DCBA", 206)])
async def test_floats_are_in_the_order_of_their_name(
    order: str, address: int, bench: Any, peer: Path, started: Any
) -> None:
    _, port = started(str(peer), "tcp")
    made = await bench(
        f"tcp://127.0.0.1:{port}", {1: [address]}, channel={"type": "float32"}, instrument={"order": order}
    )
    assert await read_all(made) == {0: 12.5 + 9 * 2.0**-20}


async def test_registers_that_libmodbus_does_not_have_spoil_their_channels_only(
    bench: Any, peer: Path, started: Any
) -> None:
    _, port = started(str(peer), "tcp")
    made = await bench(f"tcp://127.0.0.1:{port}", {1: [*range(290, 300), 300, 301]})
    await made.read_for(0.5)
    for _, batch in made.log:
        for row, value, quality in zip(batch.row, batch.value, batch.quality, strict=True):
            assert (value, quality) == (290 + row, GOOD) if row < 10 else quality == Quality.REFUSED
    rows = [row for _, batch in made.log for row in batch.row.tolist()]
    assert min(rows.count(row) for row in range(12)) >= 10


@pytest.mark.parametrize("in_flight", [1, 4])
async def test_one_dead_unit_of_ten_costs_the_others_next_to_nothing(
    in_flight: int, bench: Any, peer: Path, started: Any
) -> None:
    _, port = started(str(peer), "tcp", "5")
    made = await bench(
        f"tcp://127.0.0.1:{port}",
        {unit: [0, 1, 2] for unit in range(1, 11)},
        0.2,
        timeout_s=0.1,
        backoff_first_s=1.0,
        backoff_max_s=60.0,
        in_flight=in_flight,
    )
    seconds = 10.0
    found = await made.read_for(seconds)
    for unit in (1, 2, 3, 4, 6, 7, 8, 9, 10):
        qualities = made.qualities(unit, found)
        assert qualities.count(GOOD) >= 0.97 * seconds / 0.2, f"unit {unit}: {qualities.count(GOOD)} polls"
        row = next(i for i, place in enumerate(made.places) if place[0] == unit)
        assert {float(v) for _, b in found for v in b.value[b.row == row]} == {float(unit)}
    dead = made.qualities(5, found)
    assert set(dead) == {Quality.COMMS_LOST}
    assert len(dead) >= 0.9 * seconds / 0.2


def test_the_driver_runs_on_uvloop_too(peer: Path, started: Any) -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is an optional extra")
    _, port = started(str(peer), "tcp")
    channel = ChannelPlan(Channel(0, "i.c", "i", "t", period_s=0.01), ChannelOptions(address=17))
    plan = InstrumentPlan("i", 0.01, InstrumentOptions(unit=1), (channel,))

    async def read_thrice() -> list[float]:
        driver = create(Options(endpoint=f"tcp://127.0.0.1:{port}"), [plan], SystemClock())
        await driver.connect()
        found = [float((await driver.read()).value[0]) for _ in range(3)]
        await driver.close()
        return found

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(read_thrice()) == [17.0] * 3


async def test_an_endpoint_that_dies_is_lost_and_found_again(bench: Any, peer: Path, started: Any) -> None:
    process, port = started(str(peer), "tcp")
    made = await bench(f"tcp://127.0.0.1:{port}", {1: [1]}, 0.02)
    await made.read()
    process.kill()
    process.wait()
    with pytest.raises(NotConnectedError):
        await made.read_for(3.0)
    with pytest.raises(NotConnectedError):
        await made.driver.connect()
    await made.driver.close()


@pytest.fixture
async def ptys(tmp_path: Path, started: Any) -> tuple[str, str]:
    """A pair of serial ports, wired to each other."""
    return await wired(tmp_path, started, ["pty,raw,echo=0,link={}", "pty,raw,echo=0,link={}"])


async def wired(folder: Path, started: Any, ends: list[str], wire: Any = None) -> tuple[str, str]:
    socat = shutil.which("socat")
    if socat is None:
        if os.environ.get("CI"):
            pytest.fail("socat is needed and CI has it not")
        pytest.skip("socat is not installed")
    links = (str(folder / "a"), str(folder / "b"))
    started(socat, *(end.format(link) for end, link in zip(ends, links, strict=True)), wait_line=False)
    deadline = time.monotonic() + 5
    while not all(Path(link).exists() for link, end in zip(links, ends, strict=True) if "link" in end):
        assert time.monotonic() < deadline, "socat made no ports"
        await asyncio.sleep(0.02)
    return links


@pytest.mark.parametrize(("baud", "parity"), [(9600, "N"), (115200, "N"), (19200, "E")])
async def test_a_serial_line_is_read(
    baud: int, parity: str, ptys: tuple[str, str], bench: Any, peer: Path, started: Any
) -> None:
    started(str(peer), "rtu", ptys[0], str(baud), "7")
    made = await bench(f"rtu://{ptys[1]}", {7: [*range(1, 20), 150]}, baud=baud, parity=parity, timeout_s=0.5)
    assert await read_all(made) == {**{a - 1: float(a) for a in range(1, 20)}, 19: 150.0}


async def test_a_line_behind_a_serial_server_is_read(tmp_path: Path, bench: Any, peer: Path, started: Any) -> None:
    port = free_port()
    links = await wired(
        tmp_path, started, ["pty,raw,echo=0,link={}", f"tcp-listen:{port},bind=127.0.0.1,reuseaddr,fork"]
    )
    started(str(peer), "rtu", links[0], "19200", "3")
    made = await bench(f"rtu+tcp://127.0.0.1:{port}", {3: [0, 5, 6, 280]}, baud=19200, timeout_s=0.5, connect=False)
    await connected(made)
    assert await read_all(made) == {0: 3.0, 1: 5.0, 2: 6.0, 3: 280.0}


async def connected(bench: Any) -> None:
    """Connect to a peer that is still starting."""
    for _ in range(100):
        try:
            await bench.driver.connect()
        except NotConnectedError:
            await asyncio.sleep(0.05)
        else:
            return
    pytest.fail("the peer does not start")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_port_has_one_master(ptys: tuple[str, str], bench: Any) -> None:
    await bench(f"rtu://{ptys[1]}", {1: [0]})
    second = await bench(f"rtu://{ptys[1]}", {1: [0]}, connect=False)
    with pytest.raises(NotConnectedError, match="temporarily unavailable"):
        await second.driver.connect()


async def test_a_port_that_does_not_exist_is_not_connected(bench: Any) -> None:
    made = await bench("rtu:///dev/no-such-port", {1: [0]}, connect=False)
    with pytest.raises(NotConnectedError, match="No such file"):
        await made.driver.connect()


@pytest.fixture
async def pymodbus_port() -> AsyncIterator[int]:
    """A pymodbus server: units 1 and 2 with sixteen registers each."""
    units = [
        SimDevice(unit, [SimData(0, values=[unit * 100 + a for a in range(16)], datatype=DataType.REGISTERS)])
        for unit in (1, 2)
    ]
    port = free_port()
    server = ModbusTcpServer(units, address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    yield port
    await server.shutdown()


async def test_pymodbus_is_read_and_its_missing_unit_is_silent(pymodbus_port: int, bench: Any) -> None:
    made = await bench(f"tcp://127.0.0.1:{pymodbus_port}", {1: list(range(16)), 2: [3], 9: [0]}, timeout_s=0.3)
    await read_all(made)
    newest = values(made)
    assert [newest[row] for row in range(17)] == [*(float(100 + a) for a in range(16)), 203.0]
    assert made.qualities(9)[0] >= Quality.BAD
