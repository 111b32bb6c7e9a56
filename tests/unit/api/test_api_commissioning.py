"""Commissioning over HTTP: through the driver that owns the line, never beside it; one scan at a time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import httpx
import pytest

from drivers.modbus.frames import Refused, Request
from drivers.modbus.link import Answer, Fault, Miss
from drivers.modbus.options import Options
from gateway.api import commissioning
from gateway.api.access import new_token
from gateway.api.application import Api, create_api
from gateway.api.face import Running
from gateway.core.clock import Clock, ManualClock
from gateway.core.commissioning import Found, Progress, ScanPlan, Tell
from gateway.core.errors import NotConnectedError
from gateway.core.model import Quality
from tests.integration.memory_gateway import MemoryGateway

V1 = "/api/v1/commissioning"


class Line:
    """A running driver that takes questions: unit 3 has ten registers, the others are silent."""

    endpoint = "rtu:///dev/ttyUSB0"

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.up = True
        self.words: dict[int, int] = {a: 100 + a for a in range(10)}

    async def ask(self, request: Request, timeout_s: float | None = None) -> Answer:
        assert timeout_s is None
        self.asked.append(request)
        if not self.up:
            raise NotConnectedError(self.endpoint, "not connected")
        if request.unit != 3:
            return Miss(Fault.SILENT, "no reply")
        if request.function != 3 or request.address + request.count > 10:
            return Refused(2)
        here = range(request.address, request.address + request.count)
        return b"".join(self.words[a].to_bytes(2, "big") for a in here)


class Site:
    """A gateway that reads one line, and a client who is an engineer there."""

    def __init__(self) -> None:
        self.gateway = MemoryGateway(clock=ManualClock())
        self.line = Line()
        options = Options.model_validate({"endpoint": Line.endpoint})
        plain = Options.model_validate({"endpoint": "tcp://10.9.9.9:502"})
        self.gateway.running = [
            Running("line1", "modbus", options, cast("Any", self.line)),
            Running("mute", "modbus", plain, cast("Any", object())),
            Running("day", "replay", plain, cast("Any", object())),
        ]
        token = self.gateway.tokens.add(new_token()[0], "engineer li", "engineer")
        self.api: Api = create_api(self.gateway)
        transport = httpx.ASGITransport(self.api, raise_app_exceptions=False, client=("192.0.2.7", 1))
        headers = {"Authorization": f"Bearer {token}"}
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gw.example", headers=headers)

    async def post(self, what: str, body: Mapping[str, Any]) -> httpx.Response:
        return await self.client.post(f"{V1}/{what}", json=dict(body))


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    one = Site()
    yield one
    one.api.close()
    await one.client.aclose()
    await asyncio.sleep(0)


@pytest.mark.parametrize("where", [{"connection": "line1"}, {"endpoint": "rtu:///dev/ttyUSB0"}])
async def test_registers_of_a_running_connection_are_read_through_its_driver(site: Site, where: dict[str, str]) -> None:
    answer = await site.post("read", {**where, "unit": 3, "address": 8, "count": 4})
    told = answer.json()
    assert answer.status_code == 200, told
    assert [register["word"] for register in told["registers"]] == [108, 109, None, None]
    assert told["refused"] == {"10": 2, "11": 2}
    assert told["registers"][0]["float32"]["ABCD"] is not None
    assert site.line.asked


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "either a connection or an endpoint"),
        ({"connection": "line1", "endpoint": "tcp://a"}, 422, "either"),
        ({"connection": "nix"}, 422, "'nix'"),
        ({"connection": "day"}, 422, "'day'"),
        ({"connection": "mute"}, 409, "takes no questions"),
        ({"connection": "line1", "unit": 4}, 504, "no reply"),
        ({"connection": "line1", "unit": 300}, 422, "unit"),
        ({"connection": "line1", "address": 65535, "count": 2}, 422, "65535"),
        ({"endpoint": "http://x"}, 422, "tcp://host:port"),
        ({"endpoint": "tcp://10.0.0.0/8"}, 422, "network"),
        ({"connection": "line1", "function": 6}, 422, "function"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_the_reason(
    site: Site, body: dict[str, Any], status: int, said: str
) -> None:
    answer = await site.post("read", body)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]


async def test_a_line_that_is_down_is_said_to_be_down(site: Site) -> None:
    site.line.up = False
    answer = await site.post("read", {"connection": "line1", "unit": 3})
    assert answer.status_code == 502
    assert "not connected" in answer.json()["detail"]


async def test_a_guess_goes_on_from_the_samples_that_are_sent_back(site: Site) -> None:
    order = {"connection": "line1", "unit": 3, "count": 10, "tables": ["holding"], "value_unit": "%LEL"}
    site.line.words[4] = 172
    first = (await site.post("guess", {**order, "value": "17.2"})).json()
    site.line.words[4] = 418
    second = (await site.post("guess", {**order, "value": "41.8", "samples": first["samples"]})).json()
    best = second["guesses"][0]
    assert (best["address"], best["type"], best["scale"], best["matched"]) == (4, "uint16", 0.1, 2)
    assert second["unique"]
    assert "address: 4" in second["yaml"]
    assert len(second["samples"]) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"value": ""},
        {"value": "hot"},
        {"value": "1", "samples": [{"value": "1", "looks": {"holding": [[1, 2]]}}]},
        {"value": "1", "samples": [{"value": "1", "looks": {"holding": [[70000] * 10]}}]},
        {"value": "1", "samples": [{"value": "1", "looks": {"input": [[1] * 10]}}]},
    ],
)
async def test_samples_that_do_not_fit_are_refused(site: Site, body: dict[str, Any]) -> None:
    order = {"connection": "line1", "unit": 3, "count": 10, "tables": ["holding"]}
    assert (await site.post("guess", {**order, **body})).status_code == 422


async def test_a_line_that_is_being_read_is_not_scanned(site: Site) -> None:
    answer = await site.post("scan", {"endpoints": ["/dev/ttyUSB0"]})
    assert answer.status_code == 409
    assert "'line1'" in answer.json()["detail"]
    assert site.line.asked == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"endpoints": []},
        {"endpoints": ["tcp://10.0.0.0/24"]},
        {"endpoints": ["tcp://a"], "units": "1-300"},
        {"endpoints": [f"rtu:///dev/ttyUSB{i}" for i in range(1, 9)], "units": "0-255", "every_line": True},
        {"endpoints": ["tcp://a"] * 9},
    ],
)
async def test_a_scan_beyond_its_limits_is_refused(site: Site, body: dict[str, Any]) -> None:
    assert (await site.post("scan", body)).status_code == 422


class Endless:
    """A survey whose scan finds one instrument and then waits for ever; no socket is opened."""

    @staticmethod
    def place(endpoint: str) -> str:
        return endpoint

    @staticmethod
    def place_of(options: Options) -> str:
        return options.endpoint

    @staticmethod
    async def scan(plan: ScanPlan, clock: Clock, tell: Tell) -> None:
        tell(Progress(plan.endpoints[0], None, 1, 1, len(plan.units), 60.0))
        tell(Found(plan.endpoints[0], 1, profiles=("xy-md02",), sure=True))
        await asyncio.Event().wait()


async def test_one_scan_runs_at_a_time_and_what_it_found_stays_when_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commissioning, "survey", lambda _="modbus": Endless())
    site = Site()
    assert (await site.client.get(f"{V1}/scan")).json()["running"] is False
    body = {"endpoints": ["tcp://192.0.2.1"], "units": "1-32"}
    assert (await site.post("scan", body)).json()["running"] is True
    await asyncio.sleep(0)
    state = (await site.client.get(f"{V1}/scan")).json()
    assert (state["done"], state["total"], state["left_s"]) == (1, 32, 60.0)
    assert (await site.post("scan", body)).status_code == 409
    stopped = (await site.post("scan/stop", {})).json()
    assert (stopped["running"], stopped["ended"], stopped["left_s"]) == (False, "stopped", 0.0)
    assert "profile: xy-md02" in stopped["yaml"]
    assert (await site.post("scan", body)).status_code == 200
    site.api.close()
    await asyncio.sleep(0.01)
    assert (await site.client.get(f"{V1}/scan")).json()["running"] is False
    await site.client.aclose()


async def test_ports_are_listed(site: Site) -> None:
    answer = await site.client.get(f"{V1}/ports")
    assert answer.status_code == 200
    assert isinstance(answer.json()["ports"], list)


async def test_an_operator_may_not_take_time_of_the_line(site: Site) -> None:
    token = site.gateway.tokens.add(new_token()[0], "operator wang", "operator")
    answer = await site.client.post(
        f"{V1}/read", json={"connection": "line1"}, headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 403
    assert site.line.asked == []


async def test_a_connection_is_checked_channel_by_channel(site: Site) -> None:
    plain = Options.model_validate({"endpoint": "tcp://10.9.9.9:502"})
    site.gateway.running.append(Running("bus-1", "modbus", plain, cast("Any", object()), lambda: {0: 0.025}))
    site.gateway.read(0, 17.2, Quality.GOOD)
    site.gateway.read(1, 0, Quality.INHIBITED)
    answer = await site.client.get(f"{V1}/check", params={"connection": "bus-1"})
    good, bad, *_ = answer.json()["channels"]
    assert (good["value"], good["quality"], good["latency_s"], good["why"]) == (17.2, "good", 0.025, "")
    assert (bad["value"], bad["quality"], bad["latency_s"]) == (None, "inhibited", None)
    assert "held" in bad["why"]
    assert (await site.client.get(f"{V1}/check", params={"connection": "nix"})).status_code == 404
    assert (await site.client.get(f"{V1}/check")).status_code == 422
