"""Responses through the whole gateway: opened by a real reading, kept over a restart, told upward, overdue said."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.alarms import steps
from gateway.app import App
from gateway.core.alarm import Case, Command, EventKind, Verb
from simulators.platform import PlatformServer, serve
from tests.integration.gas_heads import Plant, running_plant
from tests.integration.whole_gateway import life, until

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
HEADS = 12


@pytest.fixture
async def plant() -> AsyncIterator[Plant]:
    async with running_plant(HEADS) as plant:
        yield plant


@pytest.fixture
async def platform() -> AsyncIterator[PlatformServer]:
    server = await serve("127.0.0.1", 0, SECRET)
    yield server
    await server.close()


@pytest.fixture
def site(plant: Plant, platform: PlatformServer, tmp_path: Path) -> Path:
    register = {"table": "holding", "address": 0, "type": "uint16", "scale": 0.1}
    channel = {"id": "ch4", "unit": "%LEL", "range": [0, 100], "options": register}
    instruments = [
        {
            "id": f"gd-{n}",
            "connection": "plc",
            "area": "hall",
            "period_s": 0.1,
            "options": {"unit": n},
            "channels": [channel],
        }
        for n in range(1, HEADS + 1)
    ]
    data = {
        "site": {"id": "cases"},
        "connections": [{"id": "plc", "type": "modbus", "options": {"endpoint": plant.endpoint.address}}],
        "instruments": instruments,
        "rules": [
            {"id": "gas", "type": "threshold", "channels": ["*"], "latching": True, "options": {"low": 10, "high": 25}}
        ],
        "response": {"limits": {"arrive_s": 1.2}},
        "uplinks": [{"id": "park", "type": "webhook", "options": {"url": f"{platform.url}/alerts", "secret": "hook"}}],
        "secrets": {"hook": {"file": "hook.secret"}},
        "storage": {"flush_s": 0.1},
        "api": {"enabled": False},
    }
    (tmp_path / "hook.secret").write_text(SECRET)
    path = tmp_path / "site.yaml"
    path.write_text(json.dumps(data))
    return path


def only(app: App) -> Case:
    (case,) = app.cases.open()
    return case


def active(app: App, alarm: str) -> bool:
    return any(each.id == alarm and each.event.condition != "normal" for each in app.alarms())


async def test_a_response_outlives_a_restart_and_its_limits_go_on(
    plant: Plant, platform: PlatformServer, site: Path
) -> None:
    async with life(site) as app:
        plant.show(1, 30)
        await until(lambda: bool(app.cases.open()))
        case = only(app)
        assert (case.id, case.area, case.priority, case.over) == ("gas:gd-1.ch4#1", "hall", 1, False)
        await app.command(Command(verb=Verb.ACKNOWLEDGE, alarm=case.alarm, who="wang"))
        await app.cases.order(case.id, steps.dispatch("li", "138"), "wang")
    async with life(site) as app:
        case = only(app)
        assert (case.received_by, case.assignee, case.phone, case.arrived_ns) == ("wang", "li", "138", 0)
        await until(lambda: active(app, "system/overdue"))
        assert only(app).overdue == ("arrive",)
        await app.cases.order(case.id, steps.arrive(), "li")
        await until(lambda: not active(app, "system/overdue"))
        plant.show(1, 0)
        await until(lambda: any(a.event.state == "latched_acked" for a in app.alarms()))
        await app.command(Command(verb=Verb.RESET, alarm=case.alarm, who="wang"))
        assert only(app).over
        (done,) = await app.cases.order(case.id, steps.close("real", "flange tightened"), "wang")
        assert app.cases.open() == []
        archived = await app.cases.find(case.id)
        assert (archived.outcome, archived.overdue, archived.closed_by) == ("real", ("arrive",), "wang")
        assert [event.seq for event in (await app.cases.closed(0, 5)).events] == [done.seq]
        await until(lambda: app.uplinks()[0].waiting == 0)
        told = [alert.message["data"] for alert in platform.platform.summary()["alerts"]]
        responses = [each["case"] for each in told if each["kind"] == "case"]
        assert [each["note"] for each in responses][-1] == "flange tightened"
        assert any(each["alarm"] == "system/overdue" for each in told)
        assert app.disk.journal.verify()[1] == ""
    async with life(site) as app:
        assert app.cases.open() == []


async def test_a_flood_is_noted_once_and_every_alarm_has_its_case(plant: Plant, site: Path) -> None:
    async with life(site) as app:
        for head in range(1, HEADS + 1):
            plant.show(head, 15)
        await until(lambda: len(app.cases.open()) == HEADS)
        await app.recorder.committed(app.book.next_seq - 1)
        flood = app.figures.flood()
        assert (flood.active, flood.areas[0].area, flood.areas[0].count) == (True, "hall", HEADS)
        notes = [e for e in await app.events(0, 500, kind=EventKind.NOTE) if "flood" in e.why]
        assert [note.why for note in notes] == ["an alarm flood begins: 11 alarms in 10 minutes"]
        figures = await app.figures.of(app.clock.now_ns() - 3600 * 10**9, app.clock.now_ns() + 1)
        assert (figures.raised, figures.cases_opened, len(figures.floods)) == (HEADS, HEADS, 1)
    async with life(site) as app:
        assert app.figures.flood().active
        assert len(app.cases.open()) == HEADS
