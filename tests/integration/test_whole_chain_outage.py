"""A real InfluxDB that goes away under the whole gateway: what was read is what it holds in the end."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.app import App
from gateway.core.clock import SystemClock
from gateway.site.load import load_site
from simulators.fleet import Fleet
from tests.integration.test_influxdb import influxd


@pytest.mark.timeout(120)
async def test_after_an_outage_the_database_holds_every_reading_once(tmp_path: Path) -> None:
    server = influxd(tmp_path)
    fleet = Fleet(6, channels=2, endpoints=2, rate_hz=10.0)
    await fleet.start()
    moving = asyncio.create_task(fleet.run())
    channels = [
        {"id": f"v{k}", "quantity": "value", "options": {"table": "holding", "address": 2 * k, "type": "float32"}}
        for k in range(2)
    ]
    data = {
        "site": {"id": "outage"},
        "connections": [
            {"id": f"e{n}", "type": "modbus", "options": {"endpoint": endpoint.address}}
            for n, endpoint in enumerate(fleet.endpoints)
        ],
        "instruments": [
            {"id": f"i{n}", "connection": f"e{n % 2}", "period_s": 0.1, "options": {"unit": n // 2 + 1},
             "channels": channels}
            for n in range(6)
        ],
        "stores": [{"id": "db", "type": "influxdb", "options": {"url": server.url, "database": "hazgate"}}],
        "storage": {"flush_s": 0.2},
        "api": {"enabled": False},
    }  # fmt: skip
    path = tmp_path / "site.yaml"
    path.write_text(json.dumps(data))
    app = App(load_site(path), tmp_path / "gateway", SystemClock())
    stop = asyncio.Event()
    await asyncio.to_thread(server.start)
    running = asyncio.create_task(app.run(stop))
    try:
        await asyncio.sleep(3)
        assert await asyncio.to_thread(server.count) > 100
        await asyncio.to_thread(server.end)
        before = int(app.pipeline.latest.count.sum())
        await asyncio.sleep(5)
        assert int(app.pipeline.latest.count.sum()) - before > 12 * 10 * 5 * 0.8, "reading went on meanwhile"
        assert not app.uplinks()[0].up
        await asyncio.to_thread(server.start)
        await asyncio.sleep(1)
        await fleet.stop()
        await asyncio.sleep(0.5)
        good = int(app.pipeline.latest.count.sum() - app.pipeline.latest.bad.sum())
        for _ in range(200):
            if await asyncio.to_thread(server.count) >= good:
                break
            await asyncio.sleep(0.2)
        assert await asyncio.to_thread(server.count) == good
        assert app.uplinks()[0].up
        assert app.uplinks()[0].dead == 0
    finally:
        stop.set()
        await running
        moving.cancel()
        await fleet.stop()
        await asyncio.to_thread(server.end)
