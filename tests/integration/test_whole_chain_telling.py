"""From a gas head on Modbus to a group's robot: told, answered, kept while the robot is away, across a restart."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api.access import new_token
from gateway.app import App
from gateway.core.alarm import Command, Verb
from gateway.core.status import NotifierStatus
from tests.integration import robots
from tests.integration.gas_heads import Plant, running_plant
from tests.integration.robots import Robot, serving
from tests.integration.whole_gateway import life, until


@pytest.fixture
async def plant() -> AsyncIterator[Plant]:
    async with running_plant(2) as plant:
        yield plant


@pytest.fixture
def group() -> Iterator[Robot]:
    with serving(robots.dingtalk()) as robot:
        yield robot


@pytest.fixture
def boss() -> Iterator[Robot]:
    with serving(robots.feishu()) as robot:
        yield robot


@pytest.fixture
def data(plant: Plant, group: Robot, boss: Robot, tmp_path: Path) -> dict[str, Any]:
    for name, secret in (
        ("ding_token", robots.DINGTALK_TOKEN),
        ("ding_secret", robots.DINGTALK_SECRET),
        ("fei_token", robots.FEISHU_TOKEN),
        ("fei_secret", robots.FEISHU_SECRET),
    ):
        (tmp_path / name).write_text(secret)
    channel = {
        "id": "ch4", "unit": "%LEL", "range": [0, 100],
        "options": {"table": "holding", "address": 0, "type": "uint16", "scale": 0.1},
    }  # fmt: skip
    return {
        "site": {"id": "telling", "name_zh": "一号站", "timezone": "Asia/Shanghai"},
        "connections": [{"id": "plc", "type": "modbus", "options": {"endpoint": plant.endpoint.address}}],
        "instruments": [
            {"id": f"gd-{n}", "connection": "plc", "area": "hall", "period_s": 0.1, "options": {"unit": n},
             "channels": [channel]}
            for n in (1, 2)
        ],
        "areas": [{"id": "hall", "label_zh": "大厅", "phone": "0757-1", "response_zh": "撤离。"}],
        "rules": [{"id": "gas", "type": "threshold", "channels": ["*"], "latching": True,
                   "options": {"low": 10, "high": 25}}],
        "notifications": {
            "link": "http://10.0.0.5:8080/",
            "notifiers": [
                {"id": "group", "type": "dingtalk",
                 "options": {"token": "ding_token", "secret": "ding_secret", "base_url": group.url}},
                {"id": "boss", "type": "feishu",
                 "options": {"token": "fei_token", "secret": "fei_secret", "base_url": boss.url, "format": "text"}},
            ],
            "routes": [
                {"to": ["group"], "alarms": ["gas:*"]},
                {"to": ["boss"], "alarms": ["gas:*"], "after_s": 1, "priorities": [1]},
                {"to": ["boss"], "alarms": ["system/notifier/*"]},
            ],
        },
        "secrets": {name: {"file": name} for name in ("ding_token", "ding_secret", "fei_token", "fei_secret")},
        "storage": {"flush_s": 0.1},
        "api": {"enabled": False},
    }  # fmt: skip


@pytest.fixture
def site(data: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(json.dumps(data))
    return path


def status(app: App, name: str) -> NotifierStatus:
    return next(one for one in app.notifications.status() if one.id == name)


def texts(robot: Robot) -> list[str]:
    return [json.dumps(message, ensure_ascii=False) for message in robot.messages]


async def order(app: App, verb: Verb) -> None:
    await app.command(Command(verb=verb, alarm="gas:gd-1.ch4", who="li"))


async def test_a_leak_is_told_to_the_group_then_to_the_boss_then_its_answer_to_both(
    plant: Plant, site: Path, group: Robot, boss: Robot
) -> None:
    async with life(site) as app:
        plant.show(1, 30)
        await until(lambda: len(group.messages) == 1)
        told = texts(group)[0]
        assert "【红】大厅 gd-1.ch4 高限报警" in told
        assert "撤离。" in told
        assert "0757-1" in told
        assert "http://10.0.0.5:8080/#/alarm/gas%3Agd-1.ch4" in told
        assert boss.messages == [], "nobody wakes the boss at once"
        await until(lambda: len(boss.messages) == 1)
        await order(app, Verb.ACKNOWLEDGE)
        await until(lambda: len(group.messages) == 2 and len(boss.messages) == 2)
        assert "li 于" in texts(group)[1]
        assert status(app, "group").health == "ok"


async def test_what_could_not_be_told_is_told_after_a_restart_and_nothing_twice(
    plant: Plant, site: Path, group: Robot
) -> None:
    group.says = (503, "maintenance")
    async with life(site) as app:
        plant.show(1, 30)
        await until(lambda: status(app, "group").waiting == 1 and not status(app, "group").up)
    group.says = None
    async with life(site) as app:
        await until(lambda: len(group.messages) == 1)
        assert "高限报警" in texts(group)[0]
        await order(app, Verb.ACKNOWLEDGE)
        # A gateway that is stopped before it has read the robot's answer tells again: at least once.
        await until(lambda: status(app, "group").sent == 2)
    async with life(site) as app:
        plant.show(1, 0)
        await until(lambda: len(group.messages) == 3)
        assert "条件已消失" in texts(group)[2]
        assert status(app, "group").waiting == 0


async def test_a_reload_takes_over_other_routes_and_loses_nothing(
    plant: Plant, site: Path, data: dict[str, Any], group: Robot, boss: Robot
) -> None:
    group.says = (503, "maintenance")
    async with life(site) as app:
        plant.show(1, 30)
        await until(lambda: status(app, "group").waiting == 1 and not status(app, "group").up)
        data["notifications"]["routes"] = [{"to": ["group", "boss"], "alarms": ["gas:*"]}]
        site.write_text(json.dumps(data))
        done = await app.reload("engineer")
        assert (done.applied, done.problems) == (True, ())
        group.says = None
        await until(lambda: len(group.messages) == 1)
        plant.show(2, 30)
        await until(lambda: any("gd-2" in text for text in texts(boss)))
        data["notifications"]["routes"][0]["to"] = ["nobody"]
        site.write_text(json.dumps(data))
        done = await app.reload("engineer")
        assert not done.applied
        assert "no notifier is called 'nobody'" in done.problems[0]
        assert len(app.notifications.routes()) == 1


async def test_a_trial_message_over_the_api_goes_out_and_is_journalled(
    site: Path, data: dict[str, Any], group: Robot
) -> None:
    data["api"] = {"enabled": True, "bind": "127.0.0.1:0"}
    site.write_text(json.dumps(data))
    async with life(site) as app:
        await until(lambda: app.port != 0)
        token, digest = new_token()
        await app.people.make_token("test", "wang", "engineer", digest)
        headers = {"Authorization": f"Bearer {token}"}
        base = f"http://127.0.0.1:{app.port}/api/v1"
        async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as client:
            answer = await client.post("/notifiers/group/test", json={})
            assert answer.json() == {"ok": True, "detail": "the channel took the message"}
            assert "【测试】" in texts(group)[0]
            group.says = (200, {"errcode": 310000, "errmsg": "sign not match"})
            answer = await client.post("/notifiers/group/test", json={})
            assert answer.json()["ok"] is False
            assert "sign not match" in answer.json()["detail"]
            assert (await client.post("/notifiers/nobody/test", json={})).status_code == 404
            shown = (await client.get("/notifiers")).json()
            assert [(one["id"], one["health"], one["sent"]) for one in shown["notifiers"]] == [
                ("group", "failing", 1),
                ("boss", "unknown", 0),
            ]
            assert shown["routes"][1]["to"] == ["boss"]
            assert shown["routes"][1]["from"] is None
            events = (await client.get("/events?newest_first=true&kind=note")).json()["events"]
        notes = [event["why"] for event in events if event["who"] == "wang"]
        assert notes[0].startswith("trial message through group: not taken: ")
        assert notes[1].startswith("trial message through group: taken")


async def test_a_gateway_with_a_slow_robot_alarms_as_fast_as_ever(plant: Plant, site: Path, group: Robot) -> None:
    loop = asyncio.get_running_loop()
    original = group.answer

    def slow(path: str, headers: dict[str, str], body: bytes) -> robots.Answer:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(1.5), loop).result()
        return original(path, headers, body)

    group.answer = slow  # type: ignore[method-assign]
    async with life(site) as app:
        plant.show(1, 30)
        await until(lambda: group.requests == 0 and any(a.id == "gas:gd-1.ch4" for a in app.alarms()))
        plant.show(2, 30)
        await until(lambda: any(a.id == "gas:gd-2.ch4" for a in app.alarms()))
        assert group.messages == [], "the robot has not even answered to the first one"
        await until(lambda: len(group.messages) == 2)
