"""What was learned, forgotten and told too often, through the whole gateway and over its restarts."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from detectors import deviation
from gateway.app import App
from gateway.core.alarm import Command, EventKind, Verb
from gateway.core.model import Batch, Verdicts
from gateway.flow import load
from simulators.modbus_tcp import TcpEndpoint
from simulators.registers import Registers
from tests.integration.whole_gateway import life, until

HEADS = 2


class Plant:
    """Two heads; register 0 of each is gas in tenths of %LEL, which is never quite still."""

    def __init__(self) -> None:
        units = {unit: Registers() for unit in range(1, HEADS + 1)}
        for registers in units.values():
            registers.define("holding", range(1))
        self.endpoint = TcpEndpoint(units)
        self.base = dict.fromkeys(units, 10)

    async def breathe(self) -> None:
        k = 0
        while True:
            k += 1
            for unit, registers in self.endpoint.units.items():
                registers.write("holding", 0, (self.base[unit] + (k * 7 + unit) % 3).to_bytes(2, "big"))
            await asyncio.sleep(0.02)


@pytest.fixture
async def plant() -> AsyncIterator[Plant]:
    made = Plant()
    await made.endpoint.start()
    breathing = asyncio.create_task(made.breathe())
    yield made
    breathing.cancel()
    await asyncio.wait([breathing])
    await made.endpoint.stop()


@pytest.fixture
def site(plant: Plant, tmp_path: Path) -> Path:
    channel = {
        "id": "ch4",
        "unit": "%LEL",
        "range": [0, 100],
        "decimals": 1,
        "options": {"table": "holding", "address": 0, "type": "uint16", "scale": 0.1},
    }
    habits = {"learn_s": 2.5, "cell_s": 0.1, "smooth_s": 0, "limit": 20, "off_delay_s": 0.1}
    data = {
        "site": {"id": "learning"},
        "connections": [{"id": "plc", "type": "modbus", "options": {"endpoint": plant.endpoint.address}}],
        "instruments": [
            {
                "id": f"gd-{n}",
                "connection": "plc",
                "area": "hall",
                "period_s": 0.05,
                "options": {"unit": n},
                "channels": [channel],
            }
            for n in range(1, HEADS + 1)
        ],
        "rules": [
            {"id": "gas", "type": "threshold", "channels": ["*"], "options": {"low": 25, "high": 50}},
            {"id": "odd", "type": "deviation", "channels": ["*"], "options": habits},
        ],
        "storage": {"flush_s": 0.1},
        "api": {"enabled": False},
    }
    path = tmp_path / "site.yaml"
    path.write_text(json.dumps(data))
    return path


def ready(app: App) -> list[bool]:
    return [next(rule.ready for rule in app.rules_of(channel) if rule.type == "deviation") for channel in app.channels]


async def warn(app: App, plant: Plant, unit: int) -> None:
    """Let a head show more than usual, and less than any limit, and then its usual again."""
    before = app.statistics()["warnings_total"]
    plant.base[unit] = 150
    await until(lambda: app.statistics()["warnings_total"] == before + 1)
    plant.base[unit] = 10
    name = f"odd:gd-{unit}.ch4"
    await until(lambda: all(a.event.condition == "normal" for a in app.alarms() if a.id == name))


def degraded(app: App) -> list[str]:
    return [alarm.id for alarm in app.alarms() if alarm.id.startswith("system/")]


async def test_what_was_relearned_stays_forgotten_whenever_the_power_fails(plant: Plant, site: Path) -> None:
    checkpoint = site.parent / "data" / "spool" / "detectors.npz"
    async with life(site) as app:
        await until(lambda: ready(app) == [True, True])
    older = shutil.copy(checkpoint, site.parent / "older.npz")
    async with life(site) as app:
        assert ready(app) == [True, True], "a restart unlearns nothing"
        (event,) = await app.command(
            Command(verb=Verb.RELEARN, channel="gd-2.ch4", who="li", why="the head was exchanged")
        )
        assert event.kind is EventKind.RELEARNT
        assert ready(app) == [True, False]
        assert app.statistics()["rules_learning"] == 1
    async with life(site) as app:
        assert ready(app) == [True, False]
    # As if neither the checkpoint after the order nor that of the end had been written.
    shutil.copy(older, checkpoint)
    async with life(site) as app:
        assert ready(app) == [True, False]
        (kept,) = await app.events(0, 10, kind="relearnt")
        assert (kept.channel, kept.who, kept.why) == ("gd-2.ch4", "li", "the head was exchanged")
        await until(lambda: ready(app) == [True, True])


async def test_a_rule_that_warns_too_often_is_told_of_also_after_a_restart(plant: Plant, site: Path) -> None:
    async with life(site) as app:
        await until(lambda: ready(app) == [True, True])
        await warn(app, plant, 1)
        assert degraded(app) == []
        await warn(app, plant, 1)
        assert degraded(app) == ["system/budget/odd:gd-1.ch4"]
        assert not app.audible()
        assert app.statistics()["rules_over_budget"] == 1
    async with life(site) as app:
        assert degraded(app) == ["system/budget/odd:gd-1.ch4"]
        events = await app.events(0, 100, alarm="system/budget/odd:gd-1.ch4")
        assert [event.kind for event in events] == [EventKind.RAISED]


async def test_rules_that_fail_at_stored_readings_are_told_of_at_the_start(
    plant: Plant, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with life(site) as app:
        await until(lambda: app.statistics()["readings_total"] > 10)
    (site.parent / "data" / "spool" / "detectors.npz").unlink()

    def fails(_: object, batch: Batch) -> Verdicts:
        raise ZeroDivisionError(f"a mistake at {len(batch)} readings")

    monkeypatch.setattr(deviation.Deviation, "update", fails)
    async with life(site) as app:
        failed = {alarm.id for alarm in app.alarms() if alarm.event.condition == "fault"}
        assert failed == {"system/rule/odd:gd-1.ch4", "system/rule/odd:gd-2.ch4"}


async def test_a_detector_that_thinks_too_long_rests_and_the_limits_are_watched(
    plant: Plant, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "WINDOW_S", 1.0)
    async with life(site) as app:
        await until(lambda: ready(app) == [True, True])
        (bench,) = (bench for bench in app.pipeline.benches if bench.name.startswith("deviation"))
        update = bench.detector.update

        def slow(batch: Batch) -> Verdicts:
            begun_s = time.monotonic()
            while time.monotonic() - begun_s < 0.3:
                pass
            return update(batch)

        monkeypatch.setattr(bench.detector, "update", slow)
        await until(lambda: "system/load" in degraded(app), 60.0)
        assert app.pipeline.resting
        before = app.statistics()["readings_total"]
        plant.base[1] = 600
        await until(lambda: any(a.id == "gas:gd-1.ch4" and a.event.level == "high" for a in app.alarms()))
        assert app.statistics()["readings_total"] > before
