"""One dead unit among ten behind one endpoint: how many of their polls the nine healthy ones get.

Beside it the plain way: one pymodbus client, the units one after the other. Its defaults wait three seconds and try
three times more before they give a unit up.
"""

import asyncio
import contextlib
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.measure import Figure, Spread, at_least, table
from benchmarks.peers import modbus_server
from drivers.modbus import ChannelOptions, InstrumentOptions, Options, create
from gateway.core.clock import SystemClock
from gateway.core.model import Channel
from gateway.core.plugin import ChannelPlan, InstrumentPlan

UNITS = 10
REGISTERS = 10
PERIOD_S = 1.0


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
    return [at_least("healthy units' share of their polls", Spread.of([shares["ours"] * 100]), 97, "%", 1)]


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
