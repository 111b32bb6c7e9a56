"""A serial line used to its limit: how long a round of 1, 8 and 32 units takes, beside what the wire itself needs.

The instruments are a C program behind a pseudo-terminal that takes a line's time over every byte. It also sees which
requests come before the line has been silent for 3.5 characters, which the standard forbids. Ten registers a unit;
theory is (13 + 2 × 10) characters and two silences. Beside ours pymodbus, which knows no silence: a round shorter than
theory is no achievement.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Figure, Spread, at_most, table
from benchmarks.peers import compiled, ended
from drivers.modbus import ChannelOptions, InstrumentOptions, Options, create
from gateway.core.clock import SystemClock
from gateway.core.model import Channel
from gateway.core.plugin import ChannelPlan, InstrumentPlan

REGISTERS = 10
BITS = 11
GOALS = {9600: 1.02, 19200: 1.02, 115200: 1.05}
UNITS = (1, 8, 32)
Reader = Callable[[str, int, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Found:
    """What the instruments saw.

    Attributes:
        ratio: Seconds a request, of theory.
        requests: Requests measured.
        early: Those that came within the silence.
        cycles_s: Seconds between requests to each healthy unit.
    """

    ratio: float
    requests: int
    early: int
    cycles_s: list[float]


def theory_s(baud: int) -> float:
    """Return the seconds of one request, its reply and two silences."""
    character_s = BITS / baud
    silence_s = 3.5 * character_s if baud <= 19200 else 0.00175
    return (13 + 2 * REGISTERS) * character_s + 2 * silence_s


def main(short: bool = False) -> list[Figure]:
    rounds, seconds = (1, 0.4) if short else (3, 4.0)
    rows, figures = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for baud, goal in GOALS.items():
            for units in UNITS[-1:] if short else UNITS:
                found = [measured(folder, ours, baud, units, seconds) for _ in range(rounds)]
                rows.append(_row("ours", baud, units, found))
                figures += _figures(baud, units, found, goal)
        theirs = [measured(folder, pymodbus, 115200, 8, seconds) for _ in range(rounds)]
        rows.append(_row("pymodbus", 115200, 8, theirs))
    table("A line used to its limit", ("master", "baud", "units", "cycle / theory", "early", "requests"), rows)
    return figures


def _row(name: str, baud: int, units: int, found: list[Found]) -> tuple[object, ...]:
    ratios = Spread.of(f.ratio for f in found).text(4)
    return name, baud, units, ratios, sum(f.early for f in found), sum(f.requests for f in found)


def _figures(baud: int, units: int, found: list[Found], goal: float) -> list[Figure]:
    early = Spread.of(float(f.early) for f in found)
    return [
        at_most(f"{baud} baud, {units} units: cycle / theory", Spread.of(f.ratio for f in found), goal, digits=3),
        at_most(f"{baud} baud, {units} units: requests inside the silence", early, 0, digits=0),
    ]


def measured(folder: Path, reader: Reader, baud: int, units: int, seconds: float, dead: int = -1) -> Found:
    """Read a line for so long with one master and return what the instruments saw."""
    requests = max(2 * units, round(seconds / theory_s(baud)))
    with _neighbours_kept_out(), instruments(folder, baud, requests, dead) as (process, port):
        seen = json.loads(asyncio.run(_findings(process, reader(port, baud, units))))
    ratio = seen["seconds"] / (seen["requests"] - 1) / theory_s(baud)
    return Found(ratio, seen["requests"], seen["early"], seen["cycles"])


@contextlib.contextmanager
def instruments(
    folder: Path, baud: int, requests: int, dead: int = -1
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run the C instruments. Raises SkippedError."""
    command = [str(compiled("rtu_line", folder)), str(baud), str(BITS), str(requests), str(dead)]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()


@contextlib.contextmanager
def _neighbours_kept_out() -> Iterator[None]:
    """Let other programs wait while we measure, where that is allowed; a sleeping master costs them next to nothing."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


async def _findings(process: "subprocess.Popen[str]", work: Awaitable[None]) -> str:
    task = asyncio.ensure_future(work)
    assert process.stdout is not None
    line = asyncio.ensure_future(asyncio.to_thread(process.stdout.readline))
    await asyncio.wait((task, line), return_when=asyncio.FIRST_COMPLETED)
    if not line.done():
        process.kill()  # the master failed: nobody will ask any more
    found = await line
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return found


def plans(units: int, period_s: float) -> list[InstrumentPlan]:
    """Return units with ten registers each, to be read every `period_s`."""
    return [
        InstrumentPlan(
            f"u{unit}",
            period_s,
            InstrumentOptions(unit=unit),
            tuple(
                ChannelPlan(
                    Channel(unit * REGISTERS + k, f"u{unit}.r{k}", f"u{unit}", "temperature", period_s=period_s),
                    ChannelOptions(address=k),
                )
                for k in range(REGISTERS)
            ),
        )
        for unit in range(1, units + 1)
    ]


async def ours(port: str, baud: int, units: int, period_s: float = 1e-6) -> None:
    """Read all units with our driver; as they come to be due again at once, as fast as the line carries."""
    options = Options(endpoint=f"rtu://{port}", baud=baud, parity="E")
    driver = create(options, plans(units, period_s), SystemClock())
    await driver.connect()
    try:
        while True:
            await driver.read()
    finally:
        await driver.close()


async def pymodbus(port: str, baud: int, units: int) -> None:
    from pymodbus.client import AsyncModbusSerialClient  # noqa: PLC0415 - only where it is measured
    from pymodbus.exceptions import ModbusException  # noqa: PLC0415

    # Without parity, which its serial library cannot set on a pseudo-terminal; the line is as slow as with it.
    client = AsyncModbusSerialClient(port, baudrate=baud)
    await client.connect()
    try:
        while not asyncio.current_task().cancelling():
            for unit in range(1, units + 1):
                with contextlib.suppress(ModbusException):
                    await client.read_holding_registers(0, count=REGISTERS, device_id=unit)
    finally:
        client.close()
