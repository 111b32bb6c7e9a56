"""The plain way to build the same chain from well-known libraries: what `whole_chain` compares with.

    python -m benchmarks.plain_stack PORT UNITS URL SETTLE_S WINDOW_S

pymodbus's asynchronous client, an object and an `asyncio.Queue` per reading, a river mean and a limit per channel, and
influxdb-client's `Point` through its batching writer. Prints one line of JSON.
"""

import asyncio
import json
import logging
import sys
import time
from dataclasses import dataclass

from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import WriteApi, WriteOptions
from pymodbus.client import AsyncModbusTcpClient
from river import stats

REGISTERS = 125
LIMIT = 50.0


@dataclass
class Reading:
    channel: int
    time_ns: int
    value: float
    quality: int


async def poll(port: int, unit: int, waiting: "asyncio.Queue[Reading]") -> None:
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    due_s = time.monotonic()
    while True:
        answer = await client.read_holding_registers(0, count=REGISTERS, device_id=unit)
        now_ns = time.time_ns()
        for place, raw in enumerate(answer.registers):
            await waiting.put(Reading((unit - 1) * REGISTERS + place, now_ns, raw * 0.1, 0))
        due_s += 1.0
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))


class Judge:
    def __init__(self, channels: int, writer: WriteApi) -> None:
        self.readings = 0
        self.alarms = 0
        self._means = [stats.EWMean() for _ in range(channels)]
        self._writer = writer

    async def run(self, waiting: "asyncio.Queue[Reading]") -> None:
        while True:
            reading = await waiting.get()
            mean = self._means[reading.channel]
            mean.update(reading.value)
            self.alarms += mean.get() >= LIMIT
            unit, place = divmod(reading.channel, REGISTERS)
            point = Point("reading").tag("area", f"hall-{unit % 8}").tag("channel", f"th-{unit:03}.t{place:03}")
            point = point.tag("instrument", f"th-{unit:03}").tag("quantity", "temperature").tag("site", "bench")
            point = point.field("quality", reading.quality).field("value", reading.value)
            self._writer.write("hazgate", "bench", point.time(reading.time_ns, WritePrecision.NS))
            self.readings += 1


async def run(port: int, units: int, writer: WriteApi, settle_s: float, window_s: float) -> dict[str, float]:
    waiting: asyncio.Queue[Reading] = asyncio.Queue()
    judge = Judge(units * REGISTERS, writer)
    tasks = [asyncio.create_task(poll(port, unit, waiting)) for unit in range(1, units + 1)]
    tasks.append(asyncio.create_task(judge.run(waiting)))
    await asyncio.sleep(settle_s)
    began = (time.monotonic(), time.process_time(), judge.readings)
    await asyncio.sleep(window_s)
    wall_s, cpu_s, readings = time.monotonic() - began[0], time.process_time() - began[1], judge.readings - began[2]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {"wall_s": wall_s, "cpu_s": cpu_s, "readings": readings, "all_readings": judge.readings}


def main() -> None:
    port, units, url, settle_s, window_s = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    with InfluxDBClient(url, "token", org="bench") as client:
        writer = client.write_api(WriteOptions(batch_size=5_000, flush_interval=1_000))
        found = asyncio.run(run(int(port), int(units), writer, float(settle_s), float(window_s)))
        writer.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
