"""Routes of the past: events by time and person, the list as it stood, handover, reports, the journal as a file."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api.access import new_token
from gateway.api.application import create_api
from gateway.core.alarm import EventKind
from gateway.core.clock import NS_PER_S, ManualClock, rfc3339
from gateway.core.model import Level
from gateway.reports import pdf as pdf_module
from gateway.store.proof import verify_export
from tests.integration.memory_gateway import MemoryGateway

START = 1_763_793_900 * NS_PER_S
"""2025-11-22 06:45 UTC."""
ALARM = "high:gd-00.ch4"
V1 = "http://test/api/v1"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def gateway(clock: ManualClock) -> MemoryGateway:
    made = MemoryGateway(clock=clock)
    made.site_file = made.site_file.model_validate(
        {
            "site": {"id": "plant-1", "name": "Plant 1", "name_zh": "一号厂", "timezone": "Asia/Shanghai"},
            "shifts": [
                {"name": "day", "name_zh": "白班", "begins": "06:00"},
                {"name": "night", "name_zh": "夜班", "begins": "18:00"},
            ],
        }
    )
    return made


class People:
    """Callers of an API, each with a token."""

    def __init__(self, gateway: MemoryGateway, client: httpx.AsyncClient) -> None:
        self._client = client
        self._tokens = {
            name: gateway.tokens.add(new_token()[0], name, role)
            for name, role in (("王敏", "operator"), ("anna", "operator"), ("guest", "viewer"))
        }

    async def get(self, path: str, **params: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self._tokens['guest']}"}
        return await self._client.get(f"{V1}/{path}", headers=headers, params=params)

    async def post(self, path: str, who: str, **body: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self._tokens[who]}"}
        return await self._client.post(f"{V1}/{path}", headers=headers, json=body)


@pytest.fixture
async def people(gateway: MemoryGateway) -> AsyncIterator[People]:
    api = create_api(gateway)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api)) as client:
        yield People(gateway, client)
    api.close()


def leak(gateway: MemoryGateway, clock: ManualClock) -> None:
    """A leak that comes and goes, a minute each."""
    gateway.judge(0, Level.LOW, 12.0)
    clock.advance(60)
    gateway.judge(0, Level.HIGH, 30.0)
    clock.advance(60)
    gateway.judge(0, Level.NORMAL, 1.0)
    clock.advance(60)


async def test_events_are_found_by_time_kind_area_and_words(
    people: People, gateway: MemoryGateway, clock: ManualClock
) -> None:
    leak(gateway, clock)
    await people.post(f"alarms/{ALARM}/acknowledge", "王敏", why="seen from the gate")
    every = (await people.get("events")).json()["events"]

    async def found(**params: Any) -> list[int]:
        answer = await people.get("events", **params)
        assert answer.status_code == 200, answer.text
        return [event["seq"] for event in answer.json()["events"]]

    def chosen(kinds: set[str]) -> list[int]:
        return [event["seq"] for event in every if event["kind"] in kinds]

    assert await found(who="王敏") == chosen({"acknowledged"})
    assert await found(kind=["raised", "acknowledged"]) == chosen({"raised", "acknowledged"})
    assert await found(q="FROM THE GATE") == chosen({"acknowledged"})
    assert await found(area="Tank farm", newest_first=True, limit=1) == chosen({"acknowledged"})
    assert await found(area="Nowhere") == []
    first_minute = {"start": rfc3339(START), "end": rfc3339(START + 60 * NS_PER_S)}
    assert await found(**first_minute) == chosen({"raised"})
    assert (await people.get("events", start="yesterday")).status_code == 422


async def test_the_list_is_shown_as_it_stood(people: People, gateway: MemoryGateway, clock: ManualClock) -> None:
    leak(gateway, clock)

    async def then(seconds: float) -> list[tuple[str, str, str]]:
        answer = await people.get("alarms", at=rfc3339(START + round(seconds * NS_PER_S)))
        return [(alarm["id"], alarm["level"], alarm["state"]) for alarm in answer.json()["alarms"]]

    assert await then(-1) == []
    assert await then(30) == [(ALARM, "low", "unacked")]
    assert await then(90) == [(ALARM, "high", "unacked")]
    assert await then(150) == [(ALARM, "high", "latched_unacked")]
    assert (await people.get("alarms", at=rfc3339(START + NS_PER_S))).json()["audible"] is True


async def test_a_shift_is_noted_signed_and_accepted_by_somebody_else(
    people: People, gateway: MemoryGateway, clock: ManualClock
) -> None:
    leak(gateway, clock)
    assert (await people.post("handover/notes", "guest", text="x")).status_code == 403
    assert (await people.post("handover/notes", "王敏", text="B 区阀门已关闭")).status_code == 200
    draft = (await people.get("handover")).json()
    assert (draft["id"], draft["signed"], draft["waiting"]) == (None, None, None)
    assert draft["shift"]["name_zh"] == "白班"
    assert [alarm["id"] for alarm in draft["open"]] == [ALARM]
    assert [note["text"] for note in draft["notes"]] == ["B 区阀门已关闭"]

    signed = (await people.post("handover/sign", "王敏", why="一切正常")).json()
    assert (await people.post("handover/sign", "anna")).status_code == 409
    assert (await people.post("handover/accept", "王敏", id=signed["id"])).status_code == 409
    assert (await people.post("handover/accept", "anna", id="none")).status_code == 404
    waiting = (await people.get("handover")).json()
    assert (waiting["id"], waiting["waiting"]["id"], waiting["accepted"]) == (signed["id"], signed["id"], None)

    assert (await people.post("handover/accept", "anna", id=signed["id"], why="ok")).status_code == 200
    assert (await people.post("handover/accept", "anna", id=signed["id"])).status_code == 409
    kept = (await people.get(f"handovers/{signed['id']}")).json()
    assert (kept["signed"]["by"], kept["accepted"]["by"], kept["altered"]) == ("王敏", "anna", False)
    assert [one["id"] for one in (await people.get("handovers")).json()["handovers"]] == [signed["id"]]
    steps = [event.handover.step for event in gateway.journal if event.handover is not None]
    assert steps == ["note", "signed", "accepted"]
    refused = [event for event in gateway.journal if event.kind is EventKind.REFUSED]
    assert [event.who for event in refused if "shift" in event.why] == ["anna", "王敏", "anna", "anna"]


async def test_a_report_is_a_page_without_script_under_a_policy_that_allows_its_style_alone(
    people: People, gateway: MemoryGateway, clock: ManualClock
) -> None:
    leak(gateway, clock)
    await people.post("handover/notes", "anna", text="<script>alert(1)</script>")
    answer = await people.get("reports/handover", lang="zh")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "交接班报告" in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "<script" not in answer.text
    assert "http" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    for kind, date in (("daily", "2025-11-22"), ("daily", ""), ("monthly", "2025-10"), ("monthly", "")):
        assert (await people.get(f"reports/{kind}", date=date, lang="en")).status_code == 200
    assert (await people.get("reports/daily", date="tomorrow")).status_code == 422
    assert (await people.get("reports/handover", id="none")).status_code == 404
    assert (await people.get("reports/weekly")).status_code == 422


async def test_a_report_as_pdf_is_one_or_says_what_to_install(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = await people.get("reports/handover", form="pdf")
    assert answer.content.startswith(b"%PDF-")
    assert answer.headers["content-type"] == "application/pdf"

    def missing() -> None:
        raise pdf_module.PdfMissingError

    monkeypatch.setattr(pdf_module, "_kit", missing)
    refused = await people.get("reports/handover", form="pdf")
    assert refused.status_code == 501
    assert "hazgate[pdf]" in refused.json()["detail"]


async def test_the_journal_is_loaded_as_a_file_that_proves_itself(
    people: People, gateway: MemoryGateway, clock: ManualClock, tmp_path: Path
) -> None:
    leak(gateway, clock)
    answer = await people.get("export/journal")
    (tmp_path / "journal.jsonl").write_bytes(answer.content)
    assert verify_export(tmp_path / "journal.jsonl")[::4] == (len(gateway.journal), "")
    events = [json.loads(line)["event"] for line in answer.text.splitlines()[1:-1]]
    assert [event["seq"] for event in events] == [event.seq for event in gateway.journal]
    table = await people.get("export/journal", form="csv", start=rfc3339(START + 60 * NS_PER_S))
    assert table.text.count("\r\n") == len(gateway.journal)
    assert table.headers["content-disposition"] == 'attachment; filename="hazgate-journal.csv"'
    assert (await people.get("export/journal", start="10", end="20")).status_code == 422


async def test_a_time_far_away_is_the_end_of_all_and_no_mistake(people: People, gateway: MemoryGateway) -> None:
    gateway.judge(0, Level.HIGH)
    far = "9999-12-31T23:59:59Z"
    assert [a["id"] for a in (await people.get("alarms", at=far)).json()["alarms"]] == [ALARM]
    assert (await people.get("events", start="2024-01-01T00:00:00Z", end=far)).json()["events"]
    assert (await people.get("events", start=far)).json()["events"] == []
    assert "reached HIGH" in (await people.get("export/journal", form="csv", end=far)).text
    assert (await people.get("statistics/alarms", start="3600", end=far)).status_code == 200
