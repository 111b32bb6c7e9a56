"""Plans and set points over HTTP: harmless pictures, points that an engineer moves, limits of all channels."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api.access import Role, new_token
from gateway.api.application import create_api
from gateway.api.setpoints import set_points
from gateway.core.clock import ManualClock
from gateway.core.model import Channel, Rule
from gateway.places import Places
from gateway.registry import Kind, load
from gateway.site.drawings import Drawings, read_drawing
from gateway.site.operation import PlanSection, PositionSection
from tests.integration.memory_gateway import MemoryGateway

V1 = "/api/v1"
EVIL = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 30"><script>alert(1)</script></svg>'


class Room:
    """A gateway with one plan, a viewer and an engineer."""

    def __init__(self, folder: Path) -> None:
        (folder / "floor.svg").write_text(EVIL, encoding="utf-8")
        drawing = read_drawing(PlanSection(id="floor", label="Floor", label_zh="一层", image="floor.svg"), folder)
        drawings = Drawings((drawing,), {"gd-00": PositionSection(plan="floor", x=0.25, y=0.75)})
        self.gateway = MemoryGateway(clock=ManualClock())
        self.gateway.places = Places(folder / "places.json", lambda: drawings)
        self.tokens = {
            role: self.gateway.tokens.add(new_token()[0], name, role.name.lower())
            for role, name in ((Role.OPERATOR, "wang"), (Role.ENGINEER, "li"))
        }
        transport = httpx.ASGITransport(create_api(self.gateway), client=("192.0.2.7", 1))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gw.example")

    async def ask(self, method: str, path: str, role: Role = Role.ENGINEER, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[role]}", **more.pop("headers", {})}
        return await self.client.request(method, f"{V1}/{path}", headers=headers, **more)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    one = Room(tmp_path)
    yield one
    await one.client.aclose()


async def test_plans_are_listed_with_their_shape_and_the_places(room: Room) -> None:
    said = (await room.ask("GET", "plans", Role.OPERATOR)).json()
    (plan,) = said["plans"]
    assert (plan["id"], plan["label"], plan["label_zh"], plan["width"], plan["height"]) == (
        "floor",
        "Floor",
        "一层",
        40,
        30,
    )
    assert said["places"] == {"gd-00": {"plan": "floor", "x": 0.25, "y": 0.75, "moved_by": ""}}
    picture = await room.ask("GET", plan["url"], Role.OPERATOR)
    assert picture.text == EVIL


async def test_a_script_in_a_drawing_cannot_run(room: Room) -> None:
    picture = await room.ask("GET", "plans/floor/image")
    policy = picture.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.headers["x-content-type-options"] == "nosniff"


async def test_a_drawing_that_the_browser_has_is_not_sent_again(room: Room) -> None:
    tag = (await room.ask("GET", "plans/floor/image")).headers["etag"]
    again = await room.ask("GET", "plans/floor/image", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


async def test_an_engineer_moves_a_point_and_the_journal_says_who(room: Room) -> None:
    done = await room.ask("PUT", "plans/places/gd-01", json={"plan": "floor", "x": 0.123456, "y": 0.5})
    assert done.json()["place"] == {"plan": "floor", "x": 0.1235, "y": 0.5, "moved_by": "li"}
    (event,) = room.gateway.journal
    assert (event.kind, event.who, event.instrument) == ("note", "li", "gd-01")
    assert "gd-01 moved" in event.why
    assert "一层" in event.why_zh
    assert (await room.ask("GET", "plans")).json()["places"]["gd-01"]["moved_by"] == "li"


async def test_the_same_place_again_is_no_news(room: Room) -> None:
    order = {"plan": "floor", "x": 0.5, "y": 0.5}
    await room.ask("PUT", "plans/places/gd-01", json=order)
    await room.ask("PUT", "plans/places/gd-01", json=order)
    assert len(room.gateway.journal) == 1


async def test_a_point_put_back_stands_where_the_site_file_has_it(room: Room) -> None:
    await room.ask("PUT", "plans/places/gd-00", json={"plan": "floor", "x": 0.5, "y": 0.5})
    done = await room.ask("DELETE", "plans/places/gd-00", json={})
    assert done.json()["place"] == {"plan": "floor", "x": 0.25, "y": 0.75, "moved_by": ""}
    assert [event.who for event in room.gateway.journal] == ["li", "li"]
    await room.ask("DELETE", "plans/places/gd-00", json={})
    assert len(room.gateway.journal) == 2
    await room.ask("PUT", "plans/places/gd-02", json={"plan": "floor", "x": 0.5, "y": 0.5})
    assert (await room.ask("DELETE", "plans/places/gd-02", json={})).json() == {"place": None}


@pytest.mark.parametrize(
    ("path", "order", "status"),
    [
        ("gd-77", {"plan": "floor", "x": 0.5, "y": 0.5}, 404),
        ("gd-01", {"plan": "roof", "x": 0.5, "y": 0.5}, 422),
        ("gd-01", {"plan": "floor", "x": 1.01, "y": 0.5}, 422),
        ("gd-01", {"plan": "floor", "x": 0.5}, 422),
        ("gd-01", {"plan": "floor", "x": 0.5, "y": 0.5, "z": 1}, 422),
    ],
)
async def test_what_cannot_be_placed_is_refused(room: Room, path: str, order: dict[str, Any], status: int) -> None:
    assert (await room.ask("PUT", f"plans/places/{path}", json=order)).status_code == status
    assert not room.gateway.journal


async def test_an_operator_moves_nothing(room: Room) -> None:
    order = {"plan": "floor", "x": 0.5, "y": 0.5}
    assert (await room.ask("PUT", "plans/places/gd-01", Role.OPERATOR, json=order)).status_code == 403
    assert "gd-01" not in room.gateway.places.all()


async def test_an_unknown_drawing_is_not_found(room: Room) -> None:
    assert (await room.ask("GET", "plans/roof/image")).status_code == 404


# Set points


def rule_of(type_: str, options: dict[str, Any]) -> Rule:
    channel = Channel(row=0, id="gd-01.o2", instrument="gd-01", quantity="o2", unit="%VOL")
    return Rule(index=0, id="r", type=type_, channels=(channel,), options=load(Kind.DETECTOR, type_).Options(**options))


@pytest.mark.parametrize(
    ("type_", "options", "found"),
    [
        ("threshold", {"low": 10, "high": 25}, [("low", "above", 10), ("high", "above", 25)]),
        ("threshold", {"side": "below", "high": 18}, [("high", "below", 18)]),
        (
            "threshold",
            {"below": {"low": 19.5, "high": 18}, "above": {"low": 23.5}},
            [("low", "above", 23.5), ("low", "below", 19.5), ("high", "below", 18)],
        ),
        ("vote", {"high": 18, "side": "below"}, [("high", "below", 18)]),
        ("rate", {"low": 5, "high": 8, "window_s": 30}, []),
        ("fault", {}, []),
    ],
)
def test_only_limits_that_are_values_of_the_channel_are_drawn(
    type_: str, options: dict[str, Any], found: list[tuple[str, str, float]]
) -> None:
    assert [(p.level, p.side, p.value) for p in set_points(rule_of(type_, options))] == found


async def test_set_points_of_all_channels_follow_the_channel_table(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def rules(gateway: MemoryGateway) -> list[Rule]:
        options = load(Kind.DETECTOR, "threshold").Options(low=10.0, high=25.0)
        both = tuple(gateway.channels[:2])
        return [Rule(index=0, id="gas", type="threshold", channels=both, options=options, latching=True, group=True)]

    monkeypatch.setattr(MemoryGateway, "rules", property(rules))
    said = (await room.ask("GET", "set-points", Role.OPERATOR)).json()
    assert said["table"] == room.gateway.table
    columns = list(
        zip(said["row"], said["rule"], said["level"], said["priority"], said["side"], said["value"], strict=True)
    )
    low, high = ("gas", "low", 2, "above", 10.0), ("gas", "high", 1, "above", 25.0)
    assert sorted(columns) == sorted([(0, *low), (1, *low), (0, *high), (1, *high)])
    assert said["row"]
    room.gateway.change(room.gateway.channels[:1])
    assert (await room.ask("GET", "set-points")).json()["table"] == room.gateway.table
