"""What a restart brings back, through the whole gateway with its data folder and instruments on Modbus TCP."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.app import App
from gateway.core.alarm import Alarm, Command, Verb
from gateway.core.clock import SystemClock
from gateway.core.errors import StorageError
from gateway.site.load import load_site
from tests.integration.gas_heads import Plant, running_plant
from tests.integration.whole_gateway import life, until

PERIOD_S = 0.1
HEADS = 4


@pytest.fixture
async def plant() -> AsyncIterator[Plant]:
    async with running_plant(HEADS) as plant:
        yield plant


@pytest.fixture
def site(plant: Plant, tmp_path: Path) -> Path:
    channel = {
        "id": "ch4",
        "unit": "%LEL",
        "range": [0, 100],
        "options": {"table": "holding", "address": 0, "type": "uint16", "scale": 0.1},
    }
    delays = {"low": 5, "on_delay_s": 2.0, "off_delay_s": 2.0}
    data = {
        "site": {"id": "restart"},
        "connections": [{"id": "plc", "type": "modbus", "options": {"endpoint": plant.endpoint.address}}],
        "instruments": [
            {
                "id": f"gd-{n}",
                "connection": "plc",
                "area": "hall",
                "period_s": PERIOD_S,
                "options": {"unit": n},
                "channels": [channel],
            }
            for n in range(1, HEADS + 1)
        ],
        "rules": [
            {"id": "gas", "type": "threshold", "channels": ["*"], "latching": True, "options": {"low": 10, "high": 25}},
            {"id": "slow", "type": "threshold", "channels": ["gd-4.ch4"], "latching": False, "options": delays},
        ],
        "storage": {"flush_s": 0.1},
        "api": {"enabled": False},
    }
    path = tmp_path / "site.yaml"
    path.write_text(json.dumps(data))
    return path


def alarm(app: App, name: str) -> Alarm | None:
    return next((a for a in app.alarms() if a.id == name), None)


def state(app: App, name: str) -> str:
    found = alarm(app, name)
    return found.event.state.value if found else "normal"


async def order(app: App, verb: Verb, name: str = "", seconds: float = 0.0) -> None:
    await app.command(Command(verb=verb, alarm=name, who="li", why="on round", duration_s=seconds or 3600.0))


async def test_acknowledgement_latch_and_first_alarm_come_back(plant: Plant, site: Path) -> None:
    async with life(site) as app:
        plant.show(1, 30)
        await until(lambda: state(app, "gas:gd-1.ch4") == "unacked")
        plant.show(2, 30)
        await until(lambda: state(app, "gas:gd-2.ch4") == "unacked")
        await order(app, Verb.ACKNOWLEDGE, "gas:gd-1.ch4")
        plant.show(2, 0)
        await until(lambda: state(app, "gas:gd-2.ch4") == "latched_unacked")
        before = {a.id: a.event for a in app.alarms()}
    async with life(site) as app:
        assert {a.id: a.event for a in app.alarms()} == before
        first = alarm(app, "gas:gd-1.ch4")
        assert first is not None
        assert (first.event.first, first.event.acked_by, first.event.level) == (True, "li", "high")
        assert not before["gas:gd-2.ch4"].first
        plant.show(1, 0)
        await until(lambda: state(app, "gas:gd-1.ch4") == "latched_acked")
        await order(app, Verb.RESET, "gas:gd-1.ch4")
        assert state(app, "gas:gd-1.ch4") == "normal"


async def test_shelving_ends_at_its_time_also_after_a_restart_and_out_of_service_stays(
    plant: Plant, site: Path
) -> None:
    async with life(site) as app:
        plant.show(1, 30)
        await until(lambda: state(app, "gas:gd-1.ch4") == "unacked")
        await order(app, Verb.SHELVE, "gas:gd-1.ch4", 3.0)
        await order(app, Verb.OUT_OF_SERVICE, "gas:gd-3.ch4")
        assert state(app, "gas:gd-1.ch4") == "shelved"
    async with life(site) as app:
        assert state(app, "gas:gd-1.ch4") == "shelved"
        assert state(app, "gas:gd-3.ch4") == "out_of_service"
        await until(lambda: state(app, "gas:gd-1.ch4") == "unacked", 8.0)
        plant.show(3, 60)
        await until(lambda: app.pipeline.latest.value[2] == 60)
        assert state(app, "gas:gd-3.ch4") == "out_of_service"


async def test_a_silenced_site_is_silent_after_a_restart_and_a_new_alarm_sounds(plant: Plant, site: Path) -> None:
    async with life(site) as app:
        plant.show(1, 30)
        await until(app.audible)
        await order(app, Verb.SILENCE)
        assert not app.audible()
    async with life(site) as app:
        await until(lambda: app.pipeline.latest.value[0] == 30)
        assert state(app, "gas:gd-1.ch4") == "unacked"
        assert not app.audible()
        plant.show(2, 30)
        await until(app.audible)


async def test_an_alarm_that_sounded_sounds_after_a_restart(plant: Plant, site: Path) -> None:
    async with life(site) as app:
        plant.show(1, 30)
        await until(app.audible)
    async with life(site) as app:
        assert app.audible()


async def test_running_delays_go_on_after_a_restart(plant: Plant, site: Path) -> None:
    clock = SystemClock()
    async with life(site) as app:
        await until(lambda: app.pipeline.latest.value[3] == 0)
        began_s = clock.monotonic_s()
        plant.show(4, 60)
        await until(lambda: app.pipeline.latest.value[3] == 60)
        await asyncio.sleep(1.2)
        assert state(app, "slow") == "normal"
    async with life(site) as app:
        restarted_s = clock.monotonic_s()
        await until(lambda: state(app, "slow") == "unacked")
        event = alarm(app, "slow")
        assert event is not None
        assert clock.monotonic_s() - restarted_s < 1.9, "the on-delay began anew"
        assert clock.monotonic_s() - began_s >= 2.0, "the on-delay was cut short"
        plant.show(4, 0)
        await until(lambda: app.pipeline.latest.value[3] == 0)
        await asyncio.sleep(1.2)
        assert state(app, "slow") == "unacked"
    async with life(site) as app:
        restarted_s = clock.monotonic_s()
        await until(lambda: state(app, "slow") == "returned")
        assert clock.monotonic_s() - restarted_s < 1.9, "the off-delay began anew"


async def test_danger_that_came_while_the_gateway_was_off_is_raised_at_the_first_reading(
    plant: Plant, site: Path
) -> None:
    async with life(site) as app:
        await until(lambda: app.pipeline.latest.count.min() > 0)
    plant.show(1, 55)
    async with life(site) as app:
        await until(lambda: state(app, "gas:gd-1.ch4") == "unacked", 3.0)


async def test_a_second_gateway_in_the_same_folder_is_refused(plant: Plant, site: Path) -> None:

    async with life(site):
        with pytest.raises(StorageError, match="in use by another gateway"):
            App(load_site(site), site.parent / "data", SystemClock())
