"""One Modbus TCP client in a process of its own, for `modbus_tcp`.

    python -m benchmarks.modbus_clients KIND PORT CONNECTIONS SECONDS [--uvloop]

KIND is `driver` (our driver, to batches of readings), `link` (its connection alone, to the reply's bytes), or
`pymodbus`. Each reads 125 registers with one request on the way per connection, and prints one line of JSON.
`driver_burst` and `link_burst` have eight on the way, of eight units behind each connection.
"""

import argparse
import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog

from benchmarks.peers import REGISTERS
from drivers.modbus import ChannelOptions, InstrumentOptions, Options, create
from drivers.modbus.frames import Request
from drivers.modbus.link import Answer
from drivers.modbus.tcp import TcpLink
from gateway.core.clock import SystemClock
from gateway.core.model import Channel
from gateway.core.plugin import ChannelPlan, InstrumentPlan

BURST = 8


def plan(unit: int) -> InstrumentPlan:
    """Return an instrument that is due again as soon as it has answered."""
    channels = tuple(
        ChannelPlan(
            Channel(
                (unit - 1) * REGISTERS + k,
                f"u{unit}.r{k}",
                f"u{unit}",
                "temperature",
                "°C",
                -40.0,
                1000.0,
                period_s=1e-6,
            ),
            ChannelOptions(address=k, scale=0.1),
        )
        for k in range(REGISTERS)
    )
    return InstrumentPlan(f"u{unit}", 1e-6, InstrumentOptions(unit=unit), channels)


async def driver(port: int, unit: int, reads: list[int], burst: int = 1) -> None:
    options = Options(endpoint=f"tcp://127.0.0.1:{port}", in_flight=burst)
    ours = create(options, [plan(other) for other in behind(unit, burst)], SystemClock())
    await ours.connect()
    try:
        while True:
            batch = await ours.read()
            reads[0] += len(batch) // REGISTERS
    finally:
        await ours.close()


def behind(connection: int, burst: int) -> range:
    """Return the units behind a connection."""
    return range((connection - 1) * burst + 1, connection * burst + 1)


class Ask:
    def __init__(self, request: Request) -> None:
        self.request = request
        self.timeout_s = None


async def link(port: int, unit: int, reads: list[int], burst: int = 1) -> None:
    asks = [Ask(Request(other, 3, 0, REGISTERS)) for other in behind(unit, burst)]
    answered = 0

    def done(_ask: Ask, answer: Answer) -> None:
        nonlocal answered
        if isinstance(answer, bytes):
            reads[0] += 1
            answered += 1
            if answered % burst == 0:
                ours.send(*asks)

    ours: TcpLink[Ask] = TcpLink("127.0.0.1", port, 1.0, done)
    await ours.open()
    ours.send(*asks)
    try:
        await asyncio.Event().wait()
    finally:
        await ours.close()


async def pymodbus(port: int, unit: int, reads: list[int]) -> None:
    from pymodbus.client import AsyncModbusTcpClient  # noqa: PLC0415 - only where it is measured

    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    try:
        # It takes a cancellation for a failed read, so that cancelling alone would not end it.
        while not asyncio.current_task().cancelling():
            answer = await client.read_holding_registers(0, count=REGISTERS, device_id=unit)
            assert len(answer.registers) == REGISTERS
            reads[0] += 1
    finally:
        client.close()


CLIENTS: dict[str, Callable[[int, int, list[int]], Coroutine[Any, Any, None]]] = {
    "driver": driver,
    "link": link,
    "driver_burst": partial(driver, burst=BURST),
    "link_burst": partial(link, burst=BURST),
    "pymodbus": pymodbus,
}


async def run(kind: str, port: int, connections: int, seconds: float) -> dict[str, float]:
    reads = [0]
    tasks = [asyncio.create_task(CLIENTS[kind](port, unit, reads)) for unit in range(1, connections + 1)]
    await asyncio.sleep(0.3)
    began = (time.monotonic(), time.process_time(), reads[0])
    await asyncio.sleep(seconds)
    found = {
        "wall_s": time.monotonic() - began[0],
        "cpu_s": time.process_time() - began[1],
        "reads": reads[0] - began[2],
    }
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=5)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=CLIENTS)
    parser.add_argument("port", type=int)
    parser.add_argument("connections", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--uvloop", action="store_true")
    given = parser.parse_args()
    # Nobody can keep a period of a microsecond, and the driver would say so.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    work = run(given.kind, given.port, given.connections, given.seconds)
    if given.uvloop:
        import uvloop  # noqa: PLC0415 - an extra

        print(json.dumps(uvloop.run(work)))
    else:
        print(json.dumps(asyncio.run(work)))


if __name__ == "__main__":
    main()
