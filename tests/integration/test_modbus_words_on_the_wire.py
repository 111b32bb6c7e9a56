"""Words, files, queues and selections of an instrument that answers on a real socket, through the whole driver."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from drivers.modbus import ChannelOptions, InstrumentOptions, Options, create
from gateway.core.clock import SystemClock
from gateway.core.model import Channel, Quality
from gateway.core.plugin import ChannelPlan, Driver, InstrumentPlan
from simulators.modbus_tcp import TcpEndpoint
from simulators.registers import Registers

GOOD = Quality.GOOD


def plan(channels: list[dict[str, Any]], **options: Any) -> InstrumentPlan:
    made = tuple(
        ChannelPlan(
            Channel(row, f"gd.c{row}", "gd", "co", unit="ppm", range_low=0, range_high=100, period_s=0.02),
            ChannelOptions.model_validate(channel),
        )
        for row, channel in enumerate(channels)
    )
    return InstrumentPlan("gd", 0.02, InstrumentOptions.model_validate(options), made)


@asynccontextmanager
async def reading(registers: Registers, instrument: InstrumentPlan) -> AsyncIterator[Driver]:
    endpoint = TcpEndpoint({1: registers})
    await endpoint.start()
    driver = create(Options(endpoint=endpoint.address, read_through=0), [instrument], SystemClock())
    try:
        await driver.connect()
        yield driver
    finally:
        await driver.close()
        await endpoint.stop()


def holding() -> Registers:
    registers = Registers()
    registers.define("holding", [0, 1, 40, 41, 42])
    return registers


async def until(driver: Driver, row: int, *wanted: tuple[float, Quality]) -> list[tuple[float, Quality]]:
    """Read until a channel shows the last of what is wanted; return what it has shown on the way, NaN as -1."""
    seen: list[tuple[float, Quality]] = []
    async with asyncio.timeout(5):
        while not seen or seen[-1] != wanted[-1]:
            batch = await driver.read()
            for at, value, quality in zip(batch.row, batch.value, batch.quality, strict=True):
                now = (float(value) if value == value else -1.0, Quality(int(quality)))
                if at == row and (not seen or seen[-1] != now):
                    seen.append(now)
    assert set(seen) <= set(wanted)
    return seen


async def test_an_inhibited_instruments_frozen_value_is_never_shown_as_good() -> None:
    registers = holding()
    registers.write("holding", 0, struct.pack(">H", 17))
    registers.write("holding", 40, struct.pack(">H", 3))
    status = {"address": 40, "values": {"3": "inhibited"}}
    async with reading(registers, plan([{"address": 0}], status=[status])) as driver:
        assert await until(driver, 0, (-1.0, Quality.INHIBITED)) == [(-1.0, Quality.INHIBITED)]
        registers.write("holding", 40, bytes(2))
        await until(driver, 0, (-1.0, Quality.INHIBITED), (17.0, GOOD))


async def test_a_status_register_that_the_instrument_does_not_have_leaves_doubt() -> None:
    registers = holding()
    registers.write("holding", 0, struct.pack(">H", 17))
    status = {"address": 90, "values": {"3": "inhibited"}}
    async with reading(registers, plan([{"address": 0}, {"address": 1}], status=[status])) as driver:
        doubted = (17.0, Quality.UNCERTAIN)
        assert await until(driver, 0, doubted) == [doubted]
        for _ in range(5):
            batch = await driver.read()
            assert set(batch.quality.tolist()) == {Quality.UNCERTAIN}


async def test_a_heartbeat_that_stops_freezes_the_values() -> None:
    registers = holding()
    instrument = plan([{"address": 0}], heartbeat={"address": 41, "stalls_after_s": 0.5})
    async with reading(registers, instrument) as driver:
        await until(driver, 0, (0.0, Quality.UNCERTAIN))
        registers.write("holding", 41, struct.pack(">H", 1))
        await until(driver, 0, (0.0, Quality.UNCERTAIN), (0.0, GOOD))
        assert await until(driver, 0, (0.0, GOOD), (-1.0, Quality.FROZEN)) == [(0.0, GOOD), (-1.0, Quality.FROZEN)]


async def test_scale_and_unit_are_the_instruments_own() -> None:
    registers = holding()
    registers.write("holding", 0, struct.pack(">H", 111))
    registers.write("holding", 40, struct.pack(">HH", 1, 4))
    channel = {
        "address": 0,
        "scale_from": {"address": 40, "values": {0: 1, 1: 0.1}},
        "unit_from": {"address": 41, "values": {4: "ppm", 5: "%LEL"}},
    }
    async with reading(registers, plan([channel])) as driver:
        assert await until(driver, 0, (11.1, GOOD)) == [(11.1, GOOD)]
        registers.write("holding", 41, struct.pack(">H", 5))
        await until(driver, 0, (11.1, GOOD), (-1.0, Quality.UNREADABLE))


async def test_files_queues_and_selected_registers_come_with_the_rest() -> None:
    registers = holding()
    registers.define("holding", [60], writable=True)
    registers.files[4] = struct.pack(">4H", 0, 21, 22, 23)
    registers.queues[70] = [31, 32, 33]
    registers.write("holding", 1, struct.pack(">H", 5))
    channels = [
        {"table": "file", "file": 4, "address": 2},
        {"table": "fifo", "address": 70},
        {"address": 60, "select": {"address": 60, "values": [9]}},
        {"address": 1},
        {"table": "file", "file": 5, "address": 0},
    ]
    expected = {0: 22.0, 1: 33.0, 2: 9.0, 3: 5.0}
    async with reading(registers, plan(channels)) as driver:
        found: dict[int, tuple[float, int]] = {}
        async with asyncio.timeout(5):
            while len(found) < len(channels):
                batch = await driver.read()
                for row, value, quality in zip(batch.row, batch.value, batch.quality, strict=True):
                    found[int(row)] = (float(value), int(quality))
        assert {row: found[row] for row in expected} == {row: (value, GOOD) for row, value in expected.items()}
        assert found[4][1] == Quality.REFUSED
        registers.queues[70].append(34)
        await until(driver, 1, (33.0, GOOD), (34.0, GOOD))


async def test_a_scale_that_is_read_once_a_minute_is_known_before_the_first_value() -> None:
    registers = holding()
    registers.write("holding", 0, struct.pack(">H", 123))
    registers.write("holding", 40, struct.pack(">H", 1))
    scale = {"address": 40, "period_s": 60, "values": {0: 1, 1: 0.1}}
    async with reading(registers, plan([{"address": 0, "scale_from": scale}])) as driver:
        assert await until(driver, 0, (12.3, GOOD)) == [(12.3, GOOD)]
