"""Cases over HTTP: from the alarm to the archive, refusals, problems with a photo, and the stream."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from gateway.api.access import ANYBODY, Role, new_token
from gateway.api.application import create_api
from gateway.api.hub import Cursor, Hub
from gateway.core.alarm import Command, Verb
from gateway.core.clock import ManualClock
from gateway.core.model import Level
from gateway.site.operation import ResponseSection, StepLimitsSection
from gateway.store.photos import PHOTO_MAX, Photos
from tests.integration.memory_gateway import MemoryGateway

V1 = "/api/v1"
ALARM = "high:gd-00.ch4"
CASE = f"{V1}/cases/{quote(f'{ALARM}#1', safe='')}"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


class Room:
    """A gateway that responds to alarms, and two people at its API."""

    def __init__(self, photos: Path) -> None:
        self.gateway = MemoryGateway(clock=ManualClock(), responds=True)
        self.gateway.cases.photos = Photos(photos)
        self.tokens = {
            role: self.gateway.tokens.add(new_token()[0], name, role.name.lower())
            for role, name in ((Role.VIEWER, "guest"), (Role.OPERATOR, "wang"))
        }
        transport = httpx.ASGITransport(create_api(self.gateway), client=("192.0.2.7", 1))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gw.example")

    async def get(self, path: str, role: Role = Role.VIEWER) -> httpx.Response:
        return await self.client.get(path, headers={"Authorization": f"Bearer {self.tokens[role]}"})

    async def post(self, path: str, body: Any = None, role: Role = Role.OPERATOR) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        return await self.client.post(path, headers=headers, json=body or {})

    async def acknowledge(self, verb: Verb = Verb.ACKNOWLEDGE) -> None:
        await self.gateway.command(Command(verb=verb, alarm=ALARM, who="wang", why="seen"))


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    one = Room(tmp_path)
    yield one
    await one.client.aclose()


async def test_a_leak_goes_from_the_alarm_to_the_archive(room: Room) -> None:
    room.gateway.judge(0, Level.HIGH)
    (opened,) = (await room.get(f"{V1}/cases")).json()["cases"]
    assert (opened["id"], opened["state"], opened["priority"]) == (f"{ALARM}#1", "new", 1)
    assert opened["due"] == {"acknowledge": None, "dispatch": None, "arrive": None, "close": None}
    await room.acknowledge()
    assert (await room.get(CASE)).json()["received_by"] == "wang"
    sent = (await room.post(f"{CASE}/dispatch", {"assignee": "li", "phone": "138 0000"})).json()
    assert (sent["case"]["state"], sent["case"]["assignee"], len(sent["events"])) == ("dispatched", "li", 1)
    assert (await room.post(f"{CASE}/arrive")).json()["case"]["state"] == "arrived"
    assert (await room.post(f"{CASE}/arrive")).json()["events"] == []
    done = (await room.post(f"{CASE}/act", {"text": "closed V3"})).json()["case"]
    assert [(each["by"], each["text"]) for each in done["actions"]] == [("wang", "closed V3")]
    refused = await room.post(f"{CASE}/close", {"outcome": "real"})
    assert refused.status_code == 409
    assert "stands" in refused.json()["detail"]
    room.gateway.judge(0, Level.NORMAL)
    await room.acknowledge(Verb.RESET)
    closed = (await room.post(f"{CASE}/close", {"outcome": "real", "note": "flange tightened"})).json()["case"]
    assert (closed["state"], closed["outcome"], closed["closed_by"]) == ("closed", "real", "wang")
    assert (await room.get(f"{V1}/cases")).json()["cases"] == []
    (archived,) = (await room.get(f"{V1}/cases?state=closed")).json()["cases"]
    assert archived == (await room.get(CASE)).json() == closed
    again = await room.post(f"{CASE}/act", {"text": "and more"})
    assert (again.status_code, "open it again" in again.json()["detail"]) == (409, True)
    reopened = (await room.post(f"{CASE}/reopen", {"why": "it smells again"})).json()["case"]
    assert (reopened["state"], reopened["outcome"]) == ("arrived", "")
    assert (await room.get(f"{V1}/cases?state=closed")).json()["cases"] == []


async def test_who_only_reads_changes_nothing_and_unknown_cases_are_said(room: Room) -> None:
    room.gateway.judge(0, Level.HIGH)
    assert (await room.post(f"{CASE}/arrive", role=Role.VIEWER)).status_code == 403
    assert (await room.get(f"{V1}/cases/none%231")).status_code == 404
    assert (await room.post(f"{V1}/cases/none%231/arrive")).status_code == 404
    assert (await room.post(f"{CASE}/close", {"outcome": "whatever"})).status_code == 422
    assert (await room.post(f"{CASE}/dispatch", {"assignee": ""})).status_code == 422
    assert (await room.post(f"{CASE}/dispatch", {"assignee": "  "})).status_code == 422
    assert (await room.get(f"{V1}/cases?state=closed&after=nonsense")).status_code == 422


async def test_what_was_refused_is_journalled_with_name_and_reason(room: Room) -> None:
    room.gateway.judge(0, Level.HIGH)
    await room.post(f"{CASE}/close", {"outcome": "real"})
    (refused,) = [event for event in room.gateway.journal if event.kind == "refused"]
    assert (refused.who, "stands" in refused.why, refused.why_zh.startswith("处置单")) == ("wang", True, True)


async def test_many_cases_are_closed_alike_and_one_that_cannot_be_holds_up_no_other(room: Room) -> None:
    for row in (0, 1, 2):
        room.gateway.judge(row, Level.HIGH)
    ids = [case["id"] for case in (await room.get(f"{V1}/cases")).json()["cases"]]
    assert (await room.post(f"{V1}/cases/close", {"cases": ids, "outcome": "real"})).json()["done"] == 0
    order = {"cases": [*ids, "none#1", ids[0]], "outcome": "test", "note": "power test"}
    told = (await room.post(f"{V1}/cases/close", order)).json()
    assert (told["done"], [each["case"] for each in told["refused"]]) == (3, ["none#1"])
    assert (await room.get(f"{V1}/cases")).json()["cases"] == []


async def test_lists_go_on_where_they_ended(room: Room) -> None:
    for row in range(6):
        room.gateway.judge(row, Level.HIGH)
    parts, after = [], ""
    for _ in range(10):
        told = (await room.get(f"{V1}/cases?state=all&limit=2&after={quote(after)}")).json()
        parts.append([case["alarm"] for case in told["cases"]])
        if told["next"] is None:
            break
        after = told["next"]
    assert [len(part) for part in parts] == [2, 2, 2, 0]
    assert len({alarm for part in parts for alarm in part}) == 6
    (own,) = (await room.get(f"{V1}/cases?alarm={ALARM}")).json()["cases"]
    assert own["alarm"] == ALARM


async def test_a_reported_problem_is_a_case_with_a_photo(room: Room) -> None:
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    report = {"instrument": "gd-00", "text": " hose\n cracked ", "photo": url}
    case = (await room.post(f"{V1}/problems", report)).json()["case"]
    assert (case["title"], case["opened_by"], case["area"], case["priority"]) == (
        "hose cracked",
        "wang",
        "Tank farm",
        3,
    )
    photo = await room.get(f"{V1}/cases/{quote(case['id'], safe='')}/photo")
    assert (photo.content, photo.headers["content-type"]) == (PNG, "image/png")
    assert photo.headers["x-content-type-options"] == "nosniff"
    where = f"{V1}/cases/{quote(case['id'], safe='')}/close"
    assert (await room.post(where, {"outcome": "real"})).json()["case"]["state"] == "closed"


@pytest.mark.parametrize(
    ("report", "status"),
    [
        ({"text": "x"}, 422),
        ({"text": "x", "area": "Tank farm", "instrument": "gd-00"}, 422),
        ({"text": "x", "instrument": "none"}, 404),
        ({"text": " ", "area": "Tank farm"}, 422),
        ({"text": "x", "area": "Tank farm", "photo": "https://elsewhere/x.png"}, 422),
        ({"text": "x", "area": "Tank farm", "photo": "data:image/png;base64,%%%%"}, 422),
        ({"text": "x", "area": "Tank farm", "photo": "data:image/png;base64,PHN2Zz4="}, 422),
        ({"text": "x", "area": "Tank farm", "photo": "data:image/png;base64," + "A" * 65_600}, 422),
        ({"text": "x", "area": "Tank farm", "photo": "data:image/png;base64," + "A" * 90_000}, 413),
    ],
)
async def test_wrong_reports_are_refused_and_open_nothing(room: Room, report: dict[str, str], status: int) -> None:
    answer = await room.post(f"{V1}/problems", report)
    assert answer.status_code == status, answer.text
    assert (await room.get(f"{V1}/cases")).json()["cases"] == []


async def test_the_largest_photo_fits(room: Room) -> None:
    picture = PNG + bytes(PHOTO_MAX - len(PNG))
    url = "data:image/png;base64," + base64.b64encode(picture).decode()
    assert (await room.post(f"{V1}/problems", {"area": "Tank farm", "text": "x", "photo": url})).status_code == 200


async def test_a_case_without_a_photo_has_none(room: Room) -> None:
    room.gateway.judge(0, Level.HIGH)
    assert (await room.get(f"{CASE}/photo")).status_code == 404


async def test_alarms_name_their_open_case_and_events_carry_it(room: Room) -> None:
    room.gateway.judge(0, Level.HIGH)
    (alarm,) = (await room.get(f"{V1}/alarms")).json()["alarms"]
    assert alarm["case"] == f"{ALARM}#1"
    raised, opened = (await room.get(f"{V1}/events")).json()["events"]
    assert (raised["kind"], raised["case"]) == ("raised", None)
    assert (opened["kind"], opened["alarm"], opened["case"]["state"]) == ("case", "", "new")
    await room.post(f"{CASE}/close", {"outcome": "false", "note": "steam"})
    (alarm,) = (await room.get(f"{V1}/alarms")).json()["alarms"]
    assert (alarm["state"], alarm["case"]) == ("unacked", None)


async def test_the_stream_tells_cases_and_the_flood(room: Room) -> None:
    hub, cursor = Hub(room.gateway), Cursor()
    try:
        await hub.open()
        snapshot = (await hub.join(cursor, ANYBODY)).decode()
        assert json.loads(snapshot.partition("data: ")[2])["flood"]["active"] is False
        for number in range(12):
            room.gateway.system(f"system/uplink/{number}", "no answer")
        room.gateway.judge(0, Level.HIGH)
        told = (await hub.join(Cursor(), ANYBODY)).decode()
    finally:
        hub.close()
    flood = json.loads(told.partition("data: ")[2])["flood"]
    assert (flood["active"], flood["count"]) == (True, 13)
    assert [(area["area"], area["priority"], area["count"]) for area in flood["areas"]] == [
        ("Tank farm", 1, 1),
        ("", 3, 12),
    ]
    assert flood["areas"][0]["first"] == ALARM


async def test_limits_are_told_until_a_step_is_done(room: Room) -> None:
    limits = StepLimitsSection(acknowledge_s=60, arrive_s=180)
    room.gateway.cases.change(ResponseSection(limits=limits), room.gateway.clock.now_ns())
    room.gateway.judge(0, Level.HIGH)
    due = (await room.get(CASE)).json()["due"]
    assert (due["acknowledge"], due["dispatch"]) == ("2023-11-14T22:14:20.000+00:00", None)
    await room.acknowledge()
    told = (await room.get(CASE)).json()
    assert (told["due"]["acknowledge"], told["due"]["arrive"]) == (None, "2023-11-14T22:16:20.000+00:00")


async def test_figures_of_the_last_day(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    for level in (Level.HIGH, Level.NORMAL):
        room.gateway.judge(1, level)
    told = (await room.get(f"{V1}/statistics/alarms")).json()
    assert (told["raised"], told["by_priority"]["2"], told["cases"]["opened"]) == (0, 0, 0)  # not before now
    room.gateway.clock.advance(1)  # type: ignore[attr-defined] - a clock that is set
    told = (await room.get(f"{V1}/statistics/alarms?start=600")).json()
    assert (told["raised"], told["by_priority"]["2"], told["cases"]["opened"]) == (1, 1, 1)
    assert told["fleeting"] == [{"alarm": "high:gd-01.temperature", "count": 1, "raised": 1}]
    assert (await room.get(f"{V1}/statistics/alarms?start=0&end=600")).status_code == 422
    monkeypatch.setattr("gateway.figures.EVENTS_MAX", 2)
    answer = await room.get(f"{V1}/statistics/alarms?start=600")
    assert (answer.status_code, "at most 2" in answer.json()["detail"]) == (422, True)
    assert (await room.get(f"{V1}/statistics/alarms?start=yesterday")).status_code == 422
