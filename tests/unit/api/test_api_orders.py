"""Orders of people over the API: what was on their screen, many at once, permits, and each refusal told and kept."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.alarms.book import AlarmBook
from gateway.api.access import Role, new_token
from gateway.api.application import create_api
from gateway.core.clock import ManualClock
from gateway.core.model import Level
from tests.integration.memory_gateway import MemoryGateway, channel, rule

V1 = "/api/v1"
GAS, HEAT, CO = "high:gd-00.ch4", "high:gd-01.temperature", "high:gd-02.co"


class Site:
    """A gateway of six heads in two areas, and a client of any role."""

    def __init__(self, channels: int = 6) -> None:
        self.gateway = MemoryGateway(channels, clock=ManualClock())
        self.tokens = {
            role: self.gateway.tokens.add(new_token()[0], f"{role.name.lower()} zhang", role.name.lower())
            for role in (Role.VIEWER, Role.OPERATOR, Role.ENGINEER)
        }
        api = create_api(self.gateway)
        transport = httpx.ASGITransport(api, raise_app_exceptions=False, client=("192.0.2.7", 1))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gw.example")

    async def post(self, path: str, body: Any = None, role: Role = Role.OPERATOR) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        return await self.client.post(f"{V1}/{path}", headers=headers, json=body or {})

    def state(self, alarm: str) -> str:
        found = self.gateway.book.alarm(alarm)
        return found.event.state.value if found else "normal"

    def refusals(self) -> list[tuple[str, str]]:
        return [(event.who, event.why) for event in self.gateway.journal if event.kind == "refused"]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    one = Site()
    yield one
    await one.client.aclose()


async def test_an_acknowledgement_of_what_rose_meanwhile_is_refused_with_how_it_stands(site: Site) -> None:
    (low,) = site.gateway.judge(0, Level.LOW)
    (high,) = site.gateway.judge(0, Level.HIGH)
    answer = await site.post(f"alarms/{GAS}/acknowledge", {"seen": low.seq})
    assert answer.status_code == 409
    told = answer.json()
    assert told["detail"] == f"{GAS} is high since event {high.seq}, and you saw it as of event {low.seq}; look again"
    assert (told["alarm"]["state"], told["alarm"]["level"], told["alarm"]["seq"]) == ("unacked", "high", high.seq)
    assert site.state(GAS) == "unacked"
    assert site.refusals() == [("operator zhang", f"acknowledge: {told['detail']}")]
    answer = await site.post(f"alarms/{GAS}/acknowledge", {"seen": high.seq})
    assert (answer.status_code, answer.json()["alarm"]["acked_by"]) == (200, "operator zhang")


async def test_an_acknowledgement_of_an_earlier_occurrence_is_refused(site: Site) -> None:
    (first,) = site.gateway.judge(1, Level.LOW)
    site.gateway.judge(1, Level.NORMAL)
    site.gateway.judge(1, Level.LOW)
    assert (await site.post(f"alarms/{HEAT}/acknowledge", {"seen": first.seq})).status_code == 409


async def test_what_got_better_since_or_was_never_seen_may_be_acknowledged(site: Site) -> None:
    (high,) = site.gateway.judge(0, Level.HIGH)
    site.gateway.judge(0, Level.LOW)
    assert (await site.post(f"alarms/{GAS}/acknowledge", {"seen": high.seq})).status_code == 200
    site.gateway.judge(2, Level.LOW)
    assert (await site.post(f"alarms/{CO}/acknowledge")).status_code == 200


async def test_who_comes_second_is_told_who_was_first_and_makes_no_event(site: Site) -> None:
    (raised,) = site.gateway.judge(0, Level.HIGH)
    await site.post(f"alarms/{GAS}/acknowledge", {"seen": raised.seq}, Role.ENGINEER)
    answer = await site.post(f"alarms/{GAS}/acknowledge", {"seen": raised.seq})
    assert (answer.status_code, answer.json()["events"]) == (200, [])
    assert answer.json()["alarm"]["acked_by"] == "engineer zhang"
    assert site.refusals() == []


async def test_an_alarm_that_wants_a_note_is_not_acknowledged_without(site: Site) -> None:
    rules = [dataclasses.replace(rule(channel(row)), acknowledge_note=True, response_zh="撤离") for row in range(6)]
    site.gateway.book = AlarmBook(rules)
    site.gateway.judge(0, Level.HIGH)
    answer = await site.post(f"alarms/{GAS}/acknowledge", {"why": "  "})
    assert answer.status_code == 422
    assert answer.json()["detail"] == f"acknowledging {GAS} needs a note that says what was found"
    assert (answer.json()["alarm"]["note_required"], answer.json()["alarm"]["response_zh"]) == (True, "撤离")
    assert (await site.post(f"alarms/{GAS}/acknowledge", {"why": "valve V3 leaks"})).status_code == 200


async def test_an_operator_shelves_shorter_than_an_engineer_and_nothing_red(site: Site) -> None:
    site.gateway.judge(0, Level.HIGH)
    site.gateway.judge(1, Level.LOW)
    long, short = {"why": "noise", "duration_s": 8 * 3600}, {"why": "noise", "duration_s": 3600}
    answer = await site.post(f"alarms/{HEAT}/shelve", long)
    assert answer.status_code == 422
    assert "at most 14400 s for an operator" in answer.json()["detail"]
    assert (await site.post(f"alarms/{HEAT}/shelve", short)).status_code == 200
    answer = await site.post(f"alarms/{GAS}/shelve", short)
    assert (answer.status_code, answer.json()["alarm"]["state"]) == (409, "unacked")
    assert "has priority 1" in answer.json()["detail"]
    assert (await site.post(f"alarms/{GAS}/shelve", long, Role.ENGINEER)).status_code == 200
    assert len(site.refusals()) == 2


async def test_one_order_about_many_alarms_tells_which_were_refused_and_why(site: Site) -> None:
    seen = site.gateway.judge(0, Level.LOW)[0].seq
    site.gateway.judge(1, Level.LOW)
    newest = site.gateway.judge(2, Level.LOW)[0].seq
    site.gateway.judge(0, Level.HIGH)
    body = {"verb": "acknowledge", "alarms": [GAS, HEAT, CO, HEAT, "high:gd-05.co", "nosuch"], "seen": newest}
    answer = await site.post("orders", body)
    told = answer.json()
    assert (answer.status_code, told["done"]) == (200, 2)
    assert [(e["alarm"], e["kind"]) for e in told["events"]] == [(HEAT, "acknowledged"), (CO, "acknowledged")]
    assert [one["alarm"] for one in told["refused"]] == [GAS, "high:gd-05.co", "nosuch"]
    assert "look again" in told["refused"][0]["reason"]
    assert [site.state(alarm) for alarm in (GAS, HEAT, CO)] == ["unacked", "acked", "acked"]
    assert len(site.refusals()) == 3
    assert seen < newest


async def test_a_list_of_alarms_is_held_to_the_role_of_its_order(site: Site) -> None:
    order = {"verb": "out-of-service", "alarms": [GAS], "why": "permit 17", "duration_s": 60}
    answer = await site.post("orders", order)
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "'operator zhang' is operator; out-of-service needs engineer",
    )
    assert site.refusals()[0][0] == "operator zhang"
    assert (await site.post("orders", order, Role.ENGINEER)).json()["done"] == 1
    for verb in ("silence", "relearn"):
        assert (await site.post("orders", {"verb": verb, "alarms": [GAS]}, Role.ENGINEER)).status_code == 422
    assert (await site.post("orders", {"verb": "acknowledge", "alarms": []})).status_code == 422
    assert (await site.post("orders", {"verb": "shelve", "alarms": [GAS], "why": "x"})).status_code == 422


async def test_an_instrument_goes_out_of_service_under_one_permit_and_comes_back(site: Site) -> None:
    order = {"instrument": "gd-00", "permit": "permit 17: filter", "duration_s": 3600}
    assert (await site.post("out-of-service", order)).status_code == 403
    told = (await site.post("out-of-service", order, Role.ENGINEER)).json()
    assert (told["done"], told["refused"]) == (1, [])
    event = told["events"][0]
    assert (event["alarm"], event["state"], event["permit"], event["permit_for"]) == (
        GAS,
        "out_of_service",
        "permit 17: filter",
        "gd-00",
    )
    assert event["until"] is not None
    back = (await site.post("return-to-service", {"instrument": "gd-00", "why": "done"}, Role.ENGINEER)).json()
    assert (back["done"], [e["state"] for e in back["events"]]) == (1, ["normal"])
    assert (await site.post("return-to-service", {"instrument": "gd-00"}, Role.ENGINEER)).json()["done"] == 0


async def test_an_area_goes_out_whole_and_what_was_out_before_has_its_permit_replaced(site: Site) -> None:
    await site.post(f"alarms/{GAS}/out-of-service", {"why": "permit 1", "duration_s": 60}, Role.ENGINEER)
    order = {"area": "Tank farm", "why": "permit 2", "duration_s": 7200}
    told = (await site.post("out-of-service", order, Role.ENGINEER)).json()
    assert told["done"] == 3
    assert {(e["permit"], e["permit_for"]) for e in told["events"]} == {("permit 2", "Tank farm")}
    assert (await site.post("return-to-service", {"area": "Tank farm"}, Role.ENGINEER)).json()["done"] == 3


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"why": "17", "duration_s": 60}, 422, "exactly one of instrument, area and alarms, not none"),
        ({"instrument": "gd-00", "area": "Tank farm", "why": "17", "duration_s": 60}, 422, "not instrument and area"),
        ({"instrument": "gd-99", "why": "17", "duration_s": 60}, 404, "no instrument named 'gd-99'"),
        ({"instrument": "gd-00", "why": "17"}, 422, "needs a reason and a time"),
        ({"instrument": "gd-00", "duration_s": 60}, 422, "needs a reason and a time"),
    ],
)
async def test_an_order_for_a_whole_names_exactly_one_thing_that_exists(
    site: Site, body: dict[str, Any], status: int, why: str
) -> None:
    answer = await site.post("out-of-service", body, Role.ENGINEER)
    assert (answer.status_code, why in answer.json()["detail"]) == (status, True)
    assert site.gateway.journal == []


async def test_twenty_thousand_alarms_are_one_request_and_their_refusals_do_not_fill_the_journal() -> None:
    site = Site(1_000)
    alarms = [f"high:{channel(row).id}" for row in range(1_000)] + [f"no{k}" for k in range(19_000)]
    for row in range(1_000):
        site.gateway.judge(row, Level.LOW)
    answer = await site.post("orders", {"verb": "acknowledge", "alarms": alarms})
    told = answer.json()
    assert (told["done"], len(told["events"]), len(told["refused"])) == (1_000, 200, 19_000)
    assert len(site.refusals()) == 10, "a minute's worth; the others are counted"
    assert (await site.post("orders", {"verb": "acknowledge", "alarms": [*alarms, "one more"]})).status_code == 422
    await site.client.aclose()
