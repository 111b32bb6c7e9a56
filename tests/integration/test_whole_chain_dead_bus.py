"""A dead bus is one alarm, through the whole gateway with forty channels on Modbus TCP, also across a restart."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.app import App
from gateway.core.alarm import AlarmEvent, Command, Verb
from gateway.core.errors import OutdatedOrderError
from simulators.behaviour import Behaviour
from simulators.modbus_tcp import TcpEndpoint
from simulators.registers import Registers
from tests.integration.whole_gateway import life, until

HEADS, CHANNELS = 10, 4
BUS = "system/connection/plc"


class Plant:
    """Ten heads of four channels, each a register in tenths of a unit."""

    def __init__(self) -> None:
        self.units = {unit: Registers() for unit in range(1, HEADS + 1)}
        for registers in self.units.values():
            registers.define("holding", range(CHANNELS))
        self.endpoint = TcpEndpoint(self.units)

    def show(self, head: int, channel: int, value: float) -> None:
        self.units[head].write("holding", channel, round(value * 10).to_bytes(2, "big"))


@pytest.fixture
async def plant() -> AsyncIterator[Plant]:
    made = Plant()
    await made.endpoint.start()
    yield made
    await made.endpoint.stop()


@pytest.fixture
def site(plant: Plant, tmp_path: Path) -> Path:
    channels = [
        {"id": f"c{k}", "quantity": "ch4", "unit": "%LEL", "range": [0, 100],
         "options": {"table": "holding", "address": k, "type": "uint16", "scale": 0.1}}
        for k in range(CHANNELS)
    ]  # fmt: skip
    data = {
        "site": {"id": "dead-bus"},
        "connections": [{"id": "plc", "type": "modbus", "options": {"endpoint": plant.endpoint.address}}],
        "instruments": [
            {"id": f"gd-{n}", "connection": "plc", "area": "hall", "period_s": 0.1, "options": {"unit": n},
             "channels": channels}
            for n in range(1, HEADS + 1)
        ],
        "rules": [
            {"id": "gas", "type": "threshold", "channels": ["*"], "options": {"low": 10, "high": 25}},
            {"id": "fault", "type": "fault", "channels": ["*"], "options": {"delay_s": 0}},
        ],
        "storage": {"flush_s": 0.1},
        "api": {"enabled": False},
    }  # fmt: skip
    path = tmp_path / "site.yaml"
    path.write_text(json.dumps(data))
    return path


def good(app: App) -> bool:
    return bool((app.pipeline.latest.quality == 0).all())


def state(app: App, name: str) -> str:
    found = app.orders.alarm(name)
    return found.event.state.value if found else "normal"


def on_the_list(app: App) -> list[str]:
    return sorted(alarm.id for alarm in app.alarms() if alarm.event.state != "suppressed")


def held(app: App) -> list[str]:
    return [alarm.event.suppressed_by for alarm in app.alarms() if alarm.event.state == "suppressed"]


async def events_of(app: App) -> list[AlarmEvent]:
    await app.recorder.committed(app.book.next_seq - 1)
    return await app.events(0, 10_000)


async def order(app: App, verb: Verb, name: str, seen: int = 0) -> None:
    await app.command(Command(verb=verb, alarm=name, who="li", why="on round", duration_s=3600, seen=seen))


@pytest.mark.timeout(60)
async def test_forty_channels_on_a_dead_bus_are_one_alarm_and_standing_gas_stays(plant: Plant, site: Path) -> None:
    async with life(site) as app:
        await until(lambda: good(app))
        plant.show(3, 0, 30)
        plant.show(4, 1, 30)
        await until(lambda: [state(app, f"gas:gd-{n}") for n in ("3.c0", "4.c1")] == ["unacked"] * 2)
        plant.show(4, 1, 0)
        await until(lambda: state(app, "gas:gd-4.c1") == "latched_unacked")
        await plant.endpoint.stop()
        await until(lambda: len(held(app)) == HEADS * CHANNELS, 20.0)
        assert set(held(app)) == {BUS}
        gas = ["gas:gd-3.c0", "gas:gd-4.c1"]
        assert on_the_list(app) == [*gas, BUS]
        assert [a.event.level for a in app.alarms() if a.id in gas] == ["high", "high"]
        sounded = [event.alarm for event in await events_of(app) if event.annunciate]
        assert sounded == [*gas, BUS], "no fault has sounded, not even for a moment"
        plant.show(3, 0, 30)
        await plant.endpoint.start()
        await until(lambda: good(app) and not held(app), 40.0)
        assert [state(app, name) for name in (*gas, BUS)] == ["unacked", "latched_unacked", "returned"]
        assert on_the_list(app) == [*gas, BUS]
        sounded = [event.alarm for event in await events_of(app) if event.annunciate]
        assert sounded == [*gas, BUS], "nor when the bus came back"


@pytest.mark.timeout(60)
async def test_a_restart_during_a_dead_bus_is_no_flood_either_way(plant: Plant, site: Path) -> None:
    async with life(site) as app:
        await until(lambda: good(app))
        await plant.endpoint.stop()
        await until(lambda: len(held(app)) == HEADS * CHANNELS, 20.0)
        newest = app.book.next_seq - 1
    async with life(site) as app:
        await until(lambda: bool(app.pipeline.latest.count.min() > 0))
        assert on_the_list(app) == [BUS]
        assert len(held(app)) == HEADS * CHANNELS
    await plant.endpoint.start()
    async with life(site) as app:
        await until(lambda: good(app) and not held(app), 40.0)
        assert on_the_list(app) == [BUS], "nobody has acknowledged it"
        assert not [event.alarm for event in await app.events(newest, 10_000) if event.annunciate]


@pytest.mark.timeout(60)
async def test_one_silent_instrument_on_a_living_bus_is_one_alarm(plant: Plant, site: Path) -> None:
    async with life(site) as app:
        await until(lambda: good(app))
        plant.endpoint.odd[5] = Behaviour(silent=True)
        await until(lambda: len(held(app)) == CHANNELS - 1, 20.0)
        assert on_the_list(app) == ["fault:gd-5.c0"]
        assert set(held(app)) == {"fault:gd-5.c0"}
        del plant.endpoint.odd[5]
        await until(lambda: good(app) and not held(app), 40.0)
        sounded = [event.alarm for event in await events_of(app) if event.annunciate]
        assert sounded == ["fault:gd-5.c0"]


@pytest.mark.timeout(60)
async def test_what_rose_while_the_gateway_was_off_is_unacknowledged_again_and_sounds(plant: Plant, site: Path) -> None:
    name = "gas:gd-1.c0"
    async with life(site) as app:
        plant.show(1, 0, 15)
        await until(lambda: state(app, name) == "unacked")
        low = app.orders.alarm(name)
        assert low is not None
        await order(app, Verb.ACKNOWLEDGE, name, low.event.seq)
        assert not app.audible()
    plant.show(1, 0, 30)
    plant.show(2, 0, 15)
    async with life(site) as app:
        await until(lambda: state(app, name) == "unacked")
        await until(lambda: state(app, "gas:gd-2.c0") == "unacked")
        assert app.audible()
        high = app.orders.alarm(name)
        assert high is not None
        assert (high.event.level, high.event.acked_by, high.event.occurrence) == ("high", "", 1)
        with pytest.raises(OutdatedOrderError):
            await order(app, Verb.ACKNOWLEDGE, name, low.event.seq)
        second = app.orders.alarm("gas:gd-2.c0")
        assert second is not None
        assert second.event.follows == name


@pytest.mark.timeout(60)
async def test_a_shelving_that_ended_while_the_gateway_was_off_is_over_with_its_start(plant: Plant, site: Path) -> None:
    name = "gas:gd-1.c0"
    async with life(site) as app:
        plant.show(1, 0, 15)
        await until(lambda: state(app, name) == "unacked")
        await app.command(Command(verb=Verb.SHELVE, alarm=name, who="li", why="noise", duration_s=0.5))
    await asyncio.sleep(0.6)
    async with life(site) as app:
        # Before anything has been read: the journal and the clock alone decide.
        assert state(app, name) == "unacked"
        assert app.audible()
