"""One dead unit: what it costs its neighbours behind one endpoint, and on one serial line.

Ten units over TCP: how many of their polls the nine healthy ones get. Beside it the plain way: one pymodbus client, the
units one after the other. Its defaults wait three seconds and try three times more before they give a unit up.
Thirty-two units on a line at 19200 baud that is used to its limit: how much longer the other thirty-one wait for their
turn, against the same line with thirty-one units alone. A line at its limit is where a lost time-out hurts most.
"""

import asyncio
import contextlib
import functools
import statistics
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks import rtu_line
from benchmarks.measure import Figure, Spread, at_least, at_most, table
from benchmarks.peers import modbus_server
from drivers.modbus import ChannelOptions, InstrumentOptions, Options, create
from gateway.core.clock import SystemClock
from gateway.core.model import Channel
from gateway.core.plugin import ChannelPlan, InstrumentPlan

UNITS = 10
REGISTERS = 10
PERIOD_S = 1.0
LINE_BAUD = 19200
LINE_UNITS = 32


def main(short: bool = False) -> list[Figure]:
    seconds = 2.0 if short else 60.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with modbus_server(folder, UNITS, dead=UNITS) as server:
            ours, theirs = asyncio.run(_both(server.port, seconds))
    wanted = (UNITS - 1) * round(seconds / PERIOD_S)
    shares = {"ours": ours / wanted, "pymodbus": theirs / wanted}
    table(
        f"{UNITS} units, one dead, polled every {PERIOD_S:g} s for {seconds:g} s",
        ("client", "healthy units' polls answered", "share"),
        ((name, round(share * wanted), f"{share * 100:.1f} %") for name, share in shares.items()),
    )
    return [
        at_least("healthy units' share of their polls", Spread.of([shares["ours"] * 100]), 97, "%", 1),
        _line(short),
    ]


def _line(short: bool) -> Figure:
    """Measure the others' cycle on a line with one dead unit of 32, once the gateway leaves that alone."""
    seconds = 3.0 if short else 60.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Due far more often than the line can carry, so that it never rests.
        reader = functools.partial(rtu_line.ours, period_s=0.05)
        alone = rtu_line.measured(folder, reader, LINE_BAUD, LINE_UNITS - 1, seconds / 4)
        # Long enough that the dead unit's back-off has grown; the first time-outs are in the figure.
        with_dead = rtu_line.measured(folder, reader, LINE_BAUD, LINE_UNITS, seconds, dead=LINE_UNITS)
    cycles = [statistics.mean(found.cycles_s) for found in (alone, with_dead)]
    table(
        f"{LINE_UNITS} units on a line of {LINE_BAUD} baud, one dead, {seconds:g} s",
        ("line", "cycle of the others"),
        ((f"{LINE_UNITS - 1} units", f"{cycles[0]:.3f} s"), ("and a dead one", f"{cycles[1]:.3f} s")),
    )
    return at_most(
        "a line's cycle with one dead unit of 32, of the others alone", Spread.of([cycles[1] / cycles[0]]), 1.1
    )


async def _both(port: int, seconds: float) -> tuple[int, int]:
    counts: Counter[str] = Counter()
    tasks = [asyncio.create_task(_ours(port, counts)), asyncio.create_task(_pymodbus(port, counts))]
    await asyncio.sleep(seconds - 0.05)
    found = counts["ours"], counts["pymodbus"]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=5)
    return found


async def _ours(port: int, counts: Counter[str]) -> None:
    plans = [
        InstrumentPlan(
            f"u{unit}",
            PERIOD_S,
            InstrumentOptions(unit=unit),
            tuple(
                ChannelPlan(
                    Channel((unit - 1) * REGISTERS + k, f"u{unit}.r{k}", f"u{unit}", "temperature", period_s=PERIOD_S),
                    ChannelOptions(address=k),
                )
                for k in range(REGISTERS)
            ),
        )
        for unit in range(1, UNITS + 1)
    ]
    driver = create(Options(endpoint=f"tcp://127.0.0.1:{port}"), plans, SystemClock())
    await driver.connect()
    try:
        while True:
            batch = await driver.read()
            counts["ours"] += int((batch.quality == 0).sum()) // REGISTERS
    finally:
        await driver.close()


async def _pymodbus(port: int, counts: Counter[str]) -> None:
    from pymodbus.client import AsyncModbusTcpClient  # noqa: PLC0415 - only where it is measured
    from pymodbus.exceptions import ModbusException  # noqa: PLC0415

    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    await client.connect()
    due = loop.time()
    try:
        while not task.cancelling():
            for unit in range(1, UNITS + 1):
                with contextlib.suppress(ModbusException):
                    answer = await client.read_holding_registers(0, count=REGISTERS, device_id=unit)
                    counts["pymodbus"] += not answer.isError()
                if not client.connected:
                    await client.connect()
            due = max(due + PERIOD_S, loop.time())
            await asyncio.sleep(due - loop.time())
    finally:
        client.close()
