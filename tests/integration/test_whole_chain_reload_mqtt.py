"""A reload while messages arrive with QoS 1: what a broker was told is stored has been stored."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway.app import App
from gateway.core.clock import SystemClock
from gateway.core.model import Quality
from gateway.site.load import load_site
from gateway.store.spool import Spool
from tests.integration.mosquitto import Broker, must_be_installed

MESSAGES = 300
PUBLISH_S = 0.005


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    must_be_installed()
    made = Broker(tmp_path, "max_queued_messages 0\nmax_inflight_messages 100\n")
    yield made
    made.stop()


@contextlib.asynccontextmanager
async def publisher(broker: Broker) -> AsyncIterator[paho.Client]:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.max_queued_messages_set(0)
    await asyncio.to_thread(client.connect, "127.0.0.1", broker.port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def site(broker: Broker, instruments: int, low: float) -> dict[str, Any]:
    options = {"host": "127.0.0.1", "port": broker.port, "client_id": "gw", "clean_session": False}
    heads = [
        {
            "id": f"m-{n}",
            "connection": "broker",
            "options": {"topic": f"heads/{n}"},
            "channels": [{"id": "n", "quantity": "n", "options": {"path": "n"}}],
        }
        for n in range(instruments)
    ]
    return {
        "site": {"id": "mqtt-reload"},
        "connections": [{"id": "broker", "type": "mqtt", "options": options}],
        "instruments": heads,
        "rules": [{"id": "top", "type": "threshold", "channels": ["*"], "options": {"high": low}}],
        "storage": {"flush_s": 0.05},
        "api": {"enabled": False},
    }


@pytest.mark.timeout(60)
async def test_no_message_is_lost_by_reloads_that_leave_a_connection_or_make_it_anew(
    broker: Broker, tmp_path: Path
) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(json.dumps(site(broker, 1, 1e6)))
    app = App(load_site(path), tmp_path / "data", SystemClock(), source=partial(load_site, path))
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(stop))
    await app.started.wait()
    try:
        async with publisher(broker) as client, asyncio.timeout(40):
            while not app.statistics()["connections_up"]:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            for n in range(MESSAGES):
                client.publish("heads/0", json.dumps({"n": n}), qos=1)
                await asyncio.sleep(PUBLISH_S)
                if n % 40 == 20:
                    # Now the rules alone change, now the broker's connection is made anew.
                    path.write_text(json.dumps(site(broker, 1 + n // 80, 1e6 + n)))
                    assert (await app.reload()).applied
            while app.pipeline.latest.value[0] != MESSAGES - 1:
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await running
    spool = Spool.open(tmp_path / "data" / "spool", ["m-0.n"])
    try:
        kept = spool.trend("m-0.n", 0, 1 << 62)
        good = kept.value[kept.quality == Quality.GOOD]
        assert set(good.astype(int).tolist()) == set(range(MESSAGES))
    finally:
        spool.close()
