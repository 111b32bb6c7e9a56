"""The box of many makers' instruments, read by their profiles: drivers and simulated plant share only data."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gateway.core.clock import SystemClock
from gateway.core.model import Quality
from gateway.core.plugin import Driver
from gateway.registry import Kind, load
from gateway.site.load import load_site
from gateway.site.plans import Site
from simulators.loading import load_scenario
from simulators.plant import Plant

CONFIG = Path(__file__).parents[2] / "config"
SPEED = 10.0
pytestmark = pytest.mark.timeout(60)


class Reader:
    """Reads all connections of a site and keeps the last reading of each channel."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.value: dict[str, float] = {}
        self.quality: dict[str, Quality] = {}
        self.backfilled: dict[str, list[int]] = {}

    async def read(self, driver: Driver) -> None:
        while True:
            batch = await driver.read()
            for row, time_ns, value, quality in zip(batch.row, batch.time_ns, batch.value, batch.quality, strict=True):
                name = self.site.channels[int(row)].id
                if quality == Quality.BACKFILLED:
                    self.backfilled.setdefault(name, []).append(int(time_ns))
                else:
                    self.value[name], self.quality[name] = float(value), Quality(int(quality))

    async def until(self, so: Callable[[], bool], within_s: float) -> None:
        """Wait until something is so, or as long as that."""
        end = asyncio.get_running_loop().time() + within_s
        while not so() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[tuple[Plant, Reader]]:
    """Run the box on free ports with everything of the example site reading it."""
    scenario = load_scenario(CONFIG / "scenarios" / "commissioning.yaml")
    plant = Plant(scenario, speed=SPEED, free_ports=True)
    async with AsyncExitStack() as stack:
        await plant.start()
        stack.push_async_callback(plant.stop)
        text = (CONFIG / "sites" / "profiles.yaml").read_text(encoding="utf-8")
        for endpoint in plant.endpoints:
            old = {"line1": "rtu:///tmp/hazgate-box-line1", "gateway": "tcp://127.0.0.1:15030"}.get(
                endpoint.bus, "18833"
            )
            new = endpoint.address.rpartition(":")[2] if endpoint.bus == "broker" else endpoint.address
            assert old in text
            text = text.replace(old, new)
        (folder / "site.yaml").write_text(text, encoding="utf-8")
        site = await asyncio.to_thread(load_site, folder / "site.yaml")
        reader = Reader(site)
        tasks = [asyncio.create_task(plant.run())]
        for connection in site.connections:
            driver = load(Kind.DRIVER, connection.type).create(
                connection.options, connection.instruments, SystemClock()
            )
            stack.push_async_callback(driver.close)
            await driver.connect()
            tasks.append(asyncio.create_task(reader.read(driver)))
        try:
            yield plant, reader
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


UNVERIFIED = {"gd-22.gas"}
"""Of which the profile itself says that no reading can be trusted until somebody has looked."""


async def test_every_instrument_of_the_box_is_read_rightly_by_its_profile(tmp_path: Path):
    async with bench(tmp_path) as (plant, reader):
        names = {channel.id for channel in reader.site.channels}

        def all_well() -> bool:
            return all(reader.quality.get(name) is Quality.GOOD for name in names - UNVERIFIED)

        await reader.until(all_well, 25.0)
        doubtful = {name: quality for name, quality in reader.quality.items() if quality is not Quality.GOOD}
        assert doubtful == dict.fromkeys(UNVERIFIED, Quality.UNCERTAIN)
        assert set(reader.value) == names
        units = {channel.id: channel.unit for channel in reader.site.channels}
        measured = [c for c in plant.world.channels if c.id in names and c.spec.above is None and c.spec.shows is None]
        for channel in measured:
            noise = channel.head.noise if channel.spec.noise is None else channel.spec.noise
            # What was read is some seconds of the plant old; it has wandered by its noise and a little more.
            near = 10.0 * noise + 1.0
            shown = float(plant.world.heads.shown[channel.row])
            assert reader.value[channel.id] == pytest.approx(shown, abs=near), f"{channel.id} {units[channel.id]}"
        assert len(measured) >= 15


async def test_what_instruments_say_of_themselves_becomes_the_quality_of_their_readings(tmp_path: Path):
    async with bench(tmp_path) as (plant, reader):
        heads, number = plant.world.heads, plant.world.instruments.index
        heads.inhibited[number("gd-03")] = True
        heads.fault[number("gd-04")] = True
        plant.world.unit_words["gd-05"] = 0
        heads.restart(number("gd-06"), 10_000.0)
        heads.calibrating[number("gd-21")] = 0.0
        heads.restart(number("gd-42"), 10_000.0)
        heads.restart(number("gd-43"), 10_000.0)
        heads.restart(number("gd-47"), 10_000.0)
        heads.inhibited[number("gc-24")] = True
        plant.world.behaviours["sd-41"].silent = True
        expected = {
            "gd-03.gas": Quality.INHIBITED,
            "gd-04.gas": Quality.SENSOR_FAULT,
            "gd-05.gas": Quality.UNREADABLE,
            "gd-06.gas": Quality.WARM_UP,
            "gd-21.gas": Quality.CALIBRATION,
            "gd-42.gas": Quality.WARM_UP,
            "gd-43.gas": Quality.WARM_UP,
            "gd-47.nh3": Quality.WARM_UP,
            "gc-24.p2": Quality.INHIBITED,
            "sd-41.alarm": Quality.COMMS_LOST,
        }
        await reader.until(lambda: all(reader.quality.get(name) is q for name, q in expected.items()), 20.0)
        assert {name: reader.quality.get(name) for name in expected} == expected
        # No value stands beside any of these, whatever the registers hold: a frozen number is no evidence of safety.
        assert all(math.isnan(reader.value[name]) for name in expected)


async def test_what_nobody_heard_arrives_as_history_with_its_own_time(tmp_path: Path):
    async with bench(tmp_path) as (plant, reader):
        await reader.until(lambda: "th-49.temperature" in reader.value, 10.0)
        silent_ns = SystemClock().now_ns()
        plant.world.behaviours["th-49"].silent = True
        # Three reports of ten seconds of the plant each; history tells whole seconds.
        await asyncio.sleep(3.5)
        plant.world.behaviours["th-49"].silent = False
        heard_ns = SystemClock().now_ns()
        await reader.until(lambda: "th-49.humidity" in reader.backfilled, 5.0)
        times = reader.backfilled["th-49.temperature"]
        assert len(times) >= 3
        assert all(silent_ns - 10**9 <= time_ns <= heard_ns for time_ns in times)
        assert reader.backfilled["th-49.humidity"] == times
        assert set(reader.backfilled) == {"th-49.temperature", "th-49.humidity"}
