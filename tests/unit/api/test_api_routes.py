"""Every route, without a socket: roles, answers, refusals, and the page that describes them."""

import gzip
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.api import limits
from gateway.api.access import Role, new_token
from gateway.api.application import Api, create_api, openapi_document
from gateway.api.face import Reloaded
from gateway.core.clock import ManualClock, rfc3339
from gateway.core.model import Level, Quality
from gateway.store.photos import Photos
from tests.integration.memory_gateway import MemoryGateway

ALARM = "high:gd-00.ch4"
V1 = "/api/v1"

# The whole contract in one table. A new route must be written here, or the walk over all routes fails.
ROLES = {
    ("GET", f"{V1}/health"): Role.NOBODY,
    ("GET", f"{V1}/openapi.json"): Role.NOBODY,
    ("GET", "/"): Role.NOBODY,
    ("GET", "/assets/{path}"): Role.NOBODY,
    ("GET", "/icon.svg"): Role.NOBODY,
    ("GET", "/alarms.txt"): Role.VIEWER,
    ("GET", "/metrics"): Role.VIEWER,
    ("GET", f"{V1}/channels"): Role.VIEWER,
    ("GET", f"{V1}/channels/{{channel_id}}/history"): Role.VIEWER,
    ("GET", f"{V1}/channels/{{channel_id}}"): Role.VIEWER,
    ("POST", f"{V1}/channels/{{channel_id}}/relearn"): Role.ENGINEER,
    ("GET", f"{V1}/alarms"): Role.VIEWER,
    ("GET", f"{V1}/events"): Role.VIEWER,
    ("GET", f"{V1}/instruments"): Role.VIEWER,
    ("GET", f"{V1}/handover"): Role.VIEWER,
    ("POST", f"{V1}/handover/notes"): Role.OPERATOR,
    ("POST", f"{V1}/handover/sign"): Role.OPERATOR,
    ("POST", f"{V1}/handover/accept"): Role.OPERATOR,
    ("GET", f"{V1}/handovers"): Role.VIEWER,
    ("GET", f"{V1}/handovers/{{handover_id}}"): Role.VIEWER,
    ("GET", f"{V1}/reports/{{kind}}"): Role.VIEWER,
    ("GET", f"{V1}/export/journal"): Role.VIEWER,
    ("GET", f"{V1}/instruments/{{instrument_id}}"): Role.VIEWER,
    ("POST", f"{V1}/instruments/{{instrument_id}}/calibrated"): Role.OPERATOR,
    ("POST", f"{V1}/instruments/{{instrument_id}}/checks"): Role.OPERATOR,
    ("GET", f"{V1}/calibrations"): Role.VIEWER,
    ("GET", f"{V1}/site"): Role.VIEWER,
    ("GET", f"{V1}/uplinks"): Role.VIEWER,
    ("GET", f"{V1}/outputs"): Role.VIEWER,
    ("GET", f"{V1}/statistics"): Role.VIEWER,
    ("GET", f"{V1}/stream"): Role.VIEWER,
    ("GET", f"{V1}/set-points"): Role.VIEWER,
    ("GET", f"{V1}/plans"): Role.VIEWER,
    ("GET", f"{V1}/plans/{{plan_id}}/image"): Role.VIEWER,
    ("PUT", f"{V1}/plans/places/{{instrument_id}}"): Role.ENGINEER,
    ("DELETE", f"{V1}/plans/places/{{instrument_id}}"): Role.ENGINEER,
    ("POST", f"{V1}/silence"): Role.OPERATOR,
    ("POST", f"{V1}/reload"): Role.ENGINEER,
    ("POST", f"{V1}/alarms/{{alarm_id}}/acknowledge"): Role.OPERATOR,
    ("POST", f"{V1}/alarms/{{alarm_id}}/reset"): Role.OPERATOR,
    ("POST", f"{V1}/alarms/{{alarm_id}}/shelve"): Role.OPERATOR,
    ("POST", f"{V1}/alarms/{{alarm_id}}/unshelve"): Role.OPERATOR,
    ("POST", f"{V1}/alarms/{{alarm_id}}/out-of-service"): Role.ENGINEER,
    ("POST", f"{V1}/alarms/{{alarm_id}}/return-to-service"): Role.ENGINEER,
    ("POST", f"{V1}/orders"): Role.OPERATOR,
    ("POST", f"{V1}/out-of-service"): Role.ENGINEER,
    ("POST", f"{V1}/return-to-service"): Role.ENGINEER,
    ("GET", f"{V1}/commissioning/ports"): Role.ENGINEER,
    ("GET", f"{V1}/commissioning/scan"): Role.ENGINEER,
    ("GET", f"{V1}/commissioning/check"): Role.ENGINEER,
    ("POST", f"{V1}/commissioning/scan"): Role.ENGINEER,
    ("POST", f"{V1}/commissioning/scan/stop"): Role.ENGINEER,
    ("POST", f"{V1}/commissioning/read"): Role.ENGINEER,
    ("POST", f"{V1}/commissioning/guess"): Role.ENGINEER,
    ("GET", f"{V1}/notifiers"): Role.VIEWER,
    ("POST", f"{V1}/notifiers/{{notifier_id}}/test"): Role.ENGINEER,
    ("GET", f"{V1}/cases"): Role.VIEWER,
    ("GET", f"{V1}/cases/{{case_id}}"): Role.VIEWER,
    ("GET", f"{V1}/cases/{{case_id}}/photo"): Role.VIEWER,
    ("POST", f"{V1}/cases/{{case_id}}/dispatch"): Role.OPERATOR,
    ("POST", f"{V1}/cases/{{case_id}}/arrive"): Role.OPERATOR,
    ("POST", f"{V1}/cases/{{case_id}}/act"): Role.OPERATOR,
    ("POST", f"{V1}/cases/{{case_id}}/close"): Role.OPERATOR,
    ("POST", f"{V1}/cases/{{case_id}}/reopen"): Role.OPERATOR,
    ("POST", f"{V1}/cases/close"): Role.OPERATOR,
    ("POST", f"{V1}/problems"): Role.OPERATOR,
    ("GET", f"{V1}/statistics/alarms"): Role.VIEWER,
    ("GET", f"{V1}/session"): Role.NOBODY,
    ("POST", f"{V1}/session"): Role.NOBODY,
    ("DELETE", f"{V1}/session"): Role.NOBODY,
    ("POST", f"{V1}/session/password"): Role.VIEWER,
    ("POST", f"{V1}/setup"): Role.NOBODY,
    ("GET", f"{V1}/accounts"): Role.ADMINISTRATOR,
    ("POST", f"{V1}/accounts"): Role.ADMINISTRATOR,
    ("POST", f"{V1}/accounts/{{name}}/sign-out"): Role.ADMINISTRATOR,
    ("PATCH", f"{V1}/accounts/{{name}}"): Role.ADMINISTRATOR,
    ("DELETE", f"{V1}/accounts/{{name}}"): Role.ADMINISTRATOR,
    ("GET", f"{V1}/tokens"): Role.ADMINISTRATOR,
    ("POST", f"{V1}/tokens"): Role.ADMINISTRATOR,
    ("DELETE", f"{V1}/tokens/{{name}}"): Role.ADMINISTRATOR,
}


class Site:
    """A gateway, its API, and a client that may be anybody."""

    def __init__(self) -> None:
        self.gateway = MemoryGateway(clock=ManualClock())
        self.tokens = {
            role: self.gateway.tokens.add(new_token()[0], f"{role.name.lower()} zhang", role.name.lower())
            for role in (Role.VIEWER, Role.OPERATOR, Role.ENGINEER, Role.ADMINISTRATOR)
        }
        self.api: Api = create_api(self.gateway)
        transport = httpx.ASGITransport(self.api, raise_app_exceptions=False, client=("192.0.2.7", 1))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gw.example")

    def headers(self, role: Role) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[role]}"} if role in self.tokens else {}

    async def get(self, path: str, role: Role = Role.VIEWER, **more: Any) -> httpx.Response:
        return await self.client.get(path, headers=self.headers(role), **more)

    async def post(self, path: str, body: Any = None, role: Role = Role.ENGINEER) -> httpx.Response:
        return await self.client.post(path, headers=self.headers(role), json=body or {})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    one = Site()
    yield one
    await one.client.aclose()


def problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["title"]
    return str(told["detail"])


def routes(site: Site) -> set[tuple[str, str]]:
    paths = openapi_document(site.api.app)["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


async def test_every_route_times_every_role_gives_what_the_table_says(site: Site, tmp_path: Path) -> None:
    assert routes(site) == set(ROLES)
    site.gateway.judge(0, Level.HIGH)
    # An endless stream cannot be read to its end: closed, it answers 503 to whom it would have served.
    site.api.close()
    await site.gateway.people.make("test", "li", "", "viewer", "long enough 1")
    await site.gateway.people.make_token("test", "plc", "viewer", "0" * 64)
    names = {"accounts": "li", "tokens": "plc"}
    photos = site.gateway.cases.photos = Photos(tmp_path)
    reported = await site.gateway.cases.report("li", "a hose", photo=photos.keep(b"\x89PNG\r\n\x1a\n"))
    case = quote(reported[-1].case.id, safe="")  # type: ignore[union-attr] - it is one
    for (method, path), least in ROLES.items():
        named = next((name for group, name in names.items() if group in path), "")
        where = path.format_map(
            {
                "alarm_id": ALARM,
                "channel_id": "gd-00.ch4",
                "name": named,
                "notifier_id": "duty",
                "case_id": case,
                "handover_id": "none",
                "kind": "daily",
                "plan_id": "none",
                "instrument_id": "gd-00",
                "path": "none.js",
            }
        )
        for role in Role:
            answer = await site.client.request(
                method, where, headers=site.headers(role), json={} if method in ("POST", "PATCH") else None
            )
            expected = {401} if role is Role.NOBODY and least > role else {403} if role < least else None
            got = answer.status_code
            # A memory gateway has no instruments, plans and handovers, and the page no such file.
            absent = (404,) if re.search(r"/assets|instrument_id|handover_id|plan_id", path) else ()
            wrong = {401, 403, 404, 405, 500} - set(absent)
            assert got in expected if expected else got not in wrong, (method, path, role, got)


async def test_the_description_lists_every_route_that_answers(site: Site) -> None:
    served = set()
    for route in site.api.app.routes:
        for path in [getattr(route, "path", None)] if getattr(route, "methods", None) else []:
            served |= {(method, re.sub(r":path}", "}", path)) for method in route.methods if method != "HEAD"}  # type: ignore[attr-defined]
    # Newer web frameworks keep included routes in groups; those that are listed must be in the table either way.
    assert served <= set(ROLES)
    document = (await site.get(f"{V1}/openapi.json", Role.NOBODY)).json()
    text = json.dumps(document)
    names = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert names <= set(document["components"]["schemas"])
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    assert len({one["operationId"] for one in operations}) == len(ROLES)
    for (method, path), least in ROLES.items():
        assert document["paths"][path][method.lower()]["x-role"] == least.name.lower()


async def test_health_needs_no_token_and_names_what_is_degraded(site: Site) -> None:
    assert (await site.get(f"{V1}/health", Role.NOBODY)).json()["status"] == "ok"
    site.gateway.system("system/uplink/park", "no answer")
    site.gateway.judge(0, Level.HIGH)
    site.gateway.read(1, 0, Quality.COMMS_LOST)
    site.gateway.clock.advance(1.1)  # type: ignore[attr-defined]
    told = (await site.get(f"{V1}/health", Role.NOBODY)).json()
    assert told["status"] == "degraded"
    assert told["degraded"] == ["system/uplink/park"]
    assert told["alarms"] == {"1": 1, "2": 0, "3": 1, "4": 0}
    assert (told["unacknowledged"], told["instruments_offline"], told["journal_ok"]) == (2, 1, True)


async def test_a_journal_that_does_not_take_events_is_said(site: Site) -> None:
    site.gateway.system("system/disk/journal", "disk full")
    assert (await site.get(f"{V1}/health", Role.NOBODY)).json()["journal_ok"] is False


async def test_a_bad_reading_is_null_with_its_reason(site: Site) -> None:
    site.gateway.read(0, 1.0, Quality.SENSOR_FAULT)
    site.gateway.read(1, 21.04)
    first, second = (await site.get(f"{V1}/channels")).json()["channels"][:2]
    assert (first["value"], first["quality"]) == (None, "sensor_fault")
    assert (second["value"], second["quality"]) == (21.0, "good")
    assert second["time"] == rfc3339(site.gateway.clock.now_ns())
    columns = (await site.get(f"{V1}/channels?form=columns")).json()["columns"]
    assert columns["value"][:2] == [None, 21.0]
    assert columns["id"][0] == first["id"]


async def test_a_channel_never_read_has_no_time(site: Site) -> None:
    site.gateway.time_ns[:] = 0
    site.gateway.quality[:] = Quality.BAD
    site.gateway.value[:] = np.nan
    told = (await site.get(f"{V1}/channels")).json()["channels"][0]
    assert (told["time"], told["value"], told["quality"]) == (None, None, "bad")


async def test_a_large_answer_is_compressed_for_who_can_read_it() -> None:
    site = Site()
    site.gateway = MemoryGateway(2000, ManualClock())
    site.gateway.tokens.add(site.tokens[Role.VIEWER], "v", "viewer")
    transport = httpx.ASGITransport(create_api(site.gateway), client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://gw.example") as client:
        for coding in ("gzip", "identity"):
            headers = site.headers(Role.VIEWER) | {"Accept-Encoding": coding}
            async with client.stream("GET", f"{V1}/channels", headers=headers) as answer:
                raw = b"".join([part async for part in answer.aiter_raw()])
            assert answer.headers.get("content-encoding") == ("gzip" if coding == "gzip" else None)
            body = gzip.decompress(raw) if coding == "gzip" else raw
            assert len(json.loads(body)["channels"]) == 2000
            assert coding != "gzip" or len(raw) < len(body) / 8


async def test_alarms_with_slashes_and_colons_in_their_ids_are_commanded(site: Site) -> None:
    site.gateway.system("system/uplink/park", "no answer")
    site.gateway.judge(0, Level.HIGH)
    for alarm in ("system/uplink/park", "high:gd-00.ch4", "system%2Fuplink%2Fpark"):
        answer = await site.post(f"{V1}/alarms/{alarm}/acknowledge", role=Role.OPERATOR)
        assert answer.status_code == 200, answer.text
    assert [alarm.event.state for alarm in site.gateway.alarms()] == ["acked", "acked"]
    event = site.gateway.journal[-1]
    assert event.who == "operator zhang"


async def test_a_command_answers_with_its_events_and_repeats_make_none(site: Site) -> None:
    site.gateway.judge(0, Level.HIGH)
    first = (await site.post(f"{V1}/alarms/{ALARM}/acknowledge", {"why": "seen"})).json()["events"]
    assert [(e["kind"], e["why"], e["state"]) for e in first] == [("acknowledged", "seen", "acked")]
    again = (await site.post(f"{V1}/alarms/{ALARM}/acknowledge")).json()
    assert (again["events"], again["alarm"]["acked_by"]) == ([], "engineer zhang")


async def test_a_reload_tells_what_changed_or_every_mistake(site: Site) -> None:
    answer = await site.post(f"{V1}/reload", role=Role.ENGINEER)
    assert (answer.status_code, answer.json()["what"]) == (200, "rule gas changed")
    lines = ("site.yaml:3:1: rules[0]: no", "site.yaml:9:1: rules[1]: no")
    site.gateway.reloaded = Reloaded(applied=False, what="nothing changed", problems=lines)
    answer = await site.post(f"{V1}/reload", role=Role.ENGINEER)
    assert (answer.status_code, answer.json()["applied"], tuple(answer.json()["problems"])) == (422, False, lines)
    assert len(site.gateway.reloaded_by) == 2
    assert all(site.gateway.reloaded_by), "who asked is told"


async def test_silence_keeps_the_alarm_and_ends_the_sound(site: Site) -> None:
    site.gateway.judge(0, Level.HIGH)
    assert (await site.get(f"{V1}/alarms")).json()["audible"] is True
    await site.post(f"{V1}/silence", role=Role.OPERATOR)
    told = (await site.get(f"{V1}/alarms")).json()
    assert told["audible"] is False
    assert [(a["id"], a["silenced"], a["state"], a["latching"]) for a in told["alarms"]] == [
        (ALARM, True, "unacked", True)
    ]


async def test_refusals_are_problems_with_one_sentence(site: Site) -> None:
    site.gateway.judge(0, Level.HIGH)
    assert "high:gd-00.ch4" in problem(await site.post(f"{V1}/alarms/{ALARM}/reset"), 409)
    assert "'x/y'" in problem(await site.post(f"{V1}/alarms/x/y/acknowledge"), 404)
    assert "reason" in problem(await site.post(f"{V1}/alarms/{ALARM}/shelve", {"duration_s": 60}), 422)
    assert "duration_s" in problem(await site.post(f"{V1}/alarms/{ALARM}/shelve", {"why": "x"}), 422)
    assert "colour" in problem(await site.post(f"{V1}/silence", {"colour": "red"}), 422)
    assert "/nowhere" in problem(await site.get("/nowhere"), 404)
    assert problem(await site.client.put(f"{V1}/alarms", headers=site.headers(Role.VIEWER)), 405)
    assert "zz" in problem(await site.get(f"{V1}/channels/zz/history"), 404)
    assert problem(await site.get(f"{V1}/events?limit=0"), 422).startswith("query.limit")
    assert problem(await site.get(f"{V1}/events?kind=lost"), 422)
    assert problem(await site.get(f"{V1}/stream?channels=zz"), 404)


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"why":"\xff"}', b'{"duration_s":NaN}', b"[" * 50_000])
async def test_a_body_that_is_no_order_is_refused_and_breaks_nothing(site: Site, body: bytes) -> None:
    headers = site.headers(Role.OPERATOR) | {"Content-Type": "application/json"}
    problem(await site.client.post(f"{V1}/silence", headers=headers, content=body), 422)


async def test_a_form_of_another_page_is_no_command(site: Site) -> None:
    headers = site.headers(Role.OPERATOR)
    assert "application/json" in problem(await site.client.post(f"{V1}/silence", headers=headers, data={"a": "b"}), 415)
    assert problem(await site.client.post(f"{V1}/silence", headers=headers), 415)


async def test_a_body_beyond_the_limit_is_refused_announced_or_not(site: Site) -> None:
    headers = site.headers(Role.OPERATOR) | {"Content-Type": "application/json"}
    large = b"x" * (limits.BODY_MAX + 1)

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 8192

    problem(await site.client.post(f"{V1}/silence", headers=headers, content=large), 413)
    problem(await site.client.post(f"{V1}/silence", headers=headers, content=parts()), 413)


async def test_an_answer_that_does_not_come_is_a_problem_and_not_a_hang(site: Site) -> None:
    site.gateway.delay_s = 5.0
    app = limits.Limits(site.api.app, answer_s=0.05)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gw.example") as client:
        answer = await client.post(f"{V1}/silence", headers=site.headers(Role.OPERATOR), json={})
        assert "may have been carried out" in problem(answer, 503)


async def test_a_defect_tells_the_caller_nothing_of_the_inside(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("secret path /data")

    monkeypatch.setattr(site.gateway, "uplinks", broken)
    assert "secret" not in problem(await site.get(f"{V1}/uplinks"), 500)


async def test_a_sounder_that_nobody_has_heard_of_is_neither_on_nor_off(site: Site) -> None:
    (horn,) = (await site.get(f"{V1}/outputs")).json()["outputs"]
    assert (horn["id"], horn["wanted"], horn["shown"], horn["last"]) == ("horn", True, None, None)


async def test_the_journal_is_read_by_parts_both_ways(site: Site) -> None:
    for row in range(6):
        site.gateway.judge(row, Level.LOW)
    seen, after = [], 0
    while after is not None:
        part = (await site.get(f"{V1}/events?after={after}&limit=4")).json()
        seen += [event["seq"] for event in part["events"]]
        after = part["next"]
    assert seen == [1, 2, 3, 4, 5, 6]
    newest = (await site.get(f"{V1}/events?newest_first=true&limit=2")).json()
    assert [event["seq"] for event in newest["events"]] == [6, 5]
    assert newest["next"] == 5
    only = (await site.get(f"{V1}/events", params={"alarm": ALARM, "kind": "raised"})).json()["events"]
    assert [event["alarm"] for event in only] == [ALARM]


async def test_history_takes_seconds_ago_and_rfc_3339(site: Site) -> None:
    now_ns = site.gateway.clock.now_ns()
    told = (await site.get(f"{V1}/channels/gd-00.ch4/history?start=3600&end=0")).json()
    assert told["resolution_s"] == 0
    assert (told["start"], told["end"]) == (rfc3339(now_ns - 3600 * 10**9), rfc3339(now_ns))
    assert (told["low"][0], told["quality"][0]) == (None, "comms_lost")
    assert len({len(told[key]) for key in ("time", "low", "mean", "high", "quality")}) == 1
    times = {"start": rfc3339(now_ns - 86_400 * 10**9), "end": rfc3339(now_ns)}
    long = (await site.get(f"{V1}/channels/gd-00.ch4/history", params=times)).json()
    assert long["resolution_s"] == 60
    assert long["time"][0] == times["start"]


@pytest.mark.parametrize(
    "query",
    [
        "start=0&end=60",
        "start=yesterday",
        "start=nan",
        "start=inf",
        "start=1e300",
        "start=2023-11-14T00:00:00",
        "resolution=0&start=90000",
        "start=9000000",
        "resolution=7",
    ],
)
async def test_a_history_that_makes_no_sense_or_is_too_long_is_refused(site: Site, query: str) -> None:
    problem(await site.get(f"{V1}/channels/gd-00.ch4/history?{query}"), 422)


async def test_prometheus_reads_the_metrics(site: Site) -> None:
    site.gateway.judge(0, Level.HIGH)
    site.gateway.read(1, 0, Quality.COMMS_LOST)
    text = (await site.get("/metrics")).text
    samples = {
        (one.name, *sorted(one.labels.values())): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }
    assert samples["hazgate_alarms", "1", "unacked"] == 1
    assert samples["hazgate_instrument_up", "bus-1", "gd-01"] == 0
    assert samples["hazgate_instrument_up", "bus-1", "gd-02"] == 1
    assert samples["hazgate_uplink_waiting", "park", "uplink"] == 2
    assert samples["hazgate_uplink_oldest_age_seconds", "park", "uplink"] == pytest.approx(5.0)
    assert samples["hazgate_output_wanted", "horn"] == 1
    assert samples["hazgate_output_follows", "horn"] == 0, "nobody knows what it does: it does not follow"
    assert samples[("hazgate_readings_total",)] == 42
    assert samples[("hazgate_uptime_seconds",)] == 3.5


async def test_every_answer_keeps_browsers_strict(site: Site) -> None:
    for path in ("/", f"{V1}/health", "/nowhere"):
        headers = (await site.get(path, Role.NOBODY)).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


async def test_the_page_is_fetched_once_and_names_no_other_host(site: Site) -> None:
    page = await site.get("/", Role.NOBODY)
    parts = re.findall(r"(?:src|href)=\"\./([^\"]+)\"", page.text)
    assert any(part.endswith(".js") for part in parts)
    for path in ("", *parts):
        answer = await site.get(f"/{path}", Role.NOBODY)
        assert answer.status_code == 200, path
        assert not re.search(r"(?:src|href|url\()\W*https?://", answer.text), path
        again = await site.client.get(f"/{path}", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        kept = "immutable" if path.startswith("assets/") else "no-cache"
        assert kept in answer.headers["cache-control"]


async def test_a_file_that_is_no_part_of_the_page_is_not_there(site: Site) -> None:
    for path in ("/assets/../index.html", "/assets/..%2f..%2fpages.py", "/assets/none.js", "/console.py"):
        assert (await site.get(path, Role.NOBODY)).status_code == 404, path


async def test_a_channel_is_told_with_its_reading_and_what_each_rule_says_of_it(site: Site) -> None:
    site.gateway.read(0, 12.34)
    told = (await site.get(f"{V1}/channels/gd-00.ch4")).json()
    assert (told["id"], told["value"], told["quality"], told["unit"]) == ("gd-00.ch4", 12.3, "good", "%LEL")
    limit, habit = told["rules"]
    assert (limit["id"], limit["level"], limit["learns"], limit["score"]) == ("high:gd-00.ch4", "normal", False, None)
    assert (habit["type"], habit["ready"], habit["score"], habit["in_service"]) == ("novelty", True, 0.5, True)
    assert "no channel 'gd-99.ch4'" in problem(await site.get(f"{V1}/channels/gd-99.ch4"), 404)


async def test_relearning_needs_a_reason_and_a_rule_that_learns(site: Site) -> None:
    path = f"{V1}/channels/gd-00.ch4/relearn"
    assert problem(await site.post(path), 422) == "why: relearn needs a reason"
    problem(await site.post(path, {"why": "new head"}), 409)
    problem(await site.post(path, {"why": "new head"}, Role.OPERATOR), 403)


async def test_a_rule_that_cries_wolf_does_not_make_the_gateway_look_degraded(site: Site) -> None:
    site.gateway.book.system("system/budget/odd", active=True, why="too often", now_ns=1, level=Level.WARNING)
    told = (await site.get(f"{V1}/health")).json()
    assert (told["status"], told["degraded"], told["unacknowledged"]) == ("ok", [], 1)
