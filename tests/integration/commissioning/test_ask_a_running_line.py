"""Questions over HTTP while the gateway's driver polls the same line: both get their answers."""

import asyncio
from contextlib import suppress

import httpx
import pytest

from drivers.modbus import ChannelOptions, InstrumentOptions, Options, create
from gateway.api.access import new_token
from gateway.api.application import create_api
from gateway.api.face import Running
from gateway.core.clock import SystemClock
from gateway.core.model import Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan
from tests.integration.commissioning.conftest import Bench
from tests.integration.memory_gateway import MemoryGateway

pytestmark = pytest.mark.xdist_group("commissioning")


async def test_registers_are_read_between_the_polls_of_a_running_line(bench: Bench) -> None:
    options = Options.model_validate({"endpoint": bench.line, "baud": 19200})
    where = ChannelOptions.model_validate({"table": "input", "address": 1, "type": "int16", "scale": 0.1})
    channel = ChannelPlan(Channel(0, "t.t", "t", "temperature", period_s=0.1), where)
    driver = create(options, [InstrumentPlan("t", 0.1, InstrumentOptions(unit=2), (channel,))], SystemClock())
    qualities: list[int] = []

    async def poll() -> None:
        await driver.connect()
        while True:
            qualities.extend((await driver.read()).quality.tolist())

    gateway = MemoryGateway()
    gateway.running = [Running("line1", "modbus", options, driver)]
    token = gateway.tokens.add(new_token()[0], "li", "engineer")
    transport = httpx.ASGITransport(create_api(gateway), client=("192.0.2.7", 1))
    polls = asyncio.create_task(poll())
    try:
        while not qualities:
            await asyncio.sleep(0.01)
        before = len(qualities)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://gw", headers={"Authorization": f"Bearer {token}"}, timeout=30
        ) as client:
            body = {"endpoint": bench.line, "unit": 30, "address": 98, "count": 24}
            answer = await client.post("/api/v1/commissioning/read", json=body)
            scan = await client.post("/api/v1/commissioning/scan", json={"endpoints": [bench.line]})
    finally:
        polls.cancel()
        with suppress(asyncio.CancelledError):
            await polls
        await driver.close()
    told = answer.json()
    assert answer.status_code == 200, told
    assert told["refused"] == {"98": 2, "99": 2}
    assert told["registers"][14]["float32"]["CDAB"] == pytest.approx(20.9, abs=0.5)
    assert scan.status_code == 409
    assert len(qualities) > before
    assert set(qualities) == {Quality.GOOD}
