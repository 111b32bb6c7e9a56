"""What happens to a broker and around it: restarts under load, wills, groups, permissions."""

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from drivers.mqtt.driver import MqttDriver
from gateway.core.errors import NotConnectedError
from gateway.core.model import Batch, Quality
from tests.integration.mosquitto import (
    VERSIONS,
    Broker,
    certificates,
    instrument,
    make,
    must_be_installed,
    nothing_comes,
    opened,
    read,
    read_values,
)

KEPT: dict[str, Any] = {"client_id": "gw", "clean_session": False}


@pytest.fixture(autouse=True)
def installed() -> None:
    must_be_installed()


@pytest.fixture
def broker(tmp_path: Path, installed: None) -> Iterator[Broker]:
    made = Broker(
        tmp_path,
        f"user root\npersistence true\npersistence_location {tmp_path}/\nmax_queued_messages 0\n"
        "max_inflight_messages 100\n",
    )
    yield made
    made.stop()


class Reading:
    """Reads a driver as the supervisor does: again and again, through lost connections, storing now and then."""

    def __init__(self, driver: MqttDriver) -> None:
        self.values: list[float] = []
        self.lost = 0
        self._driver = driver

    async def until(self, count: int) -> None:
        while len(self.values) < count:
            try:
                self._take(await self._driver.read())
                # One is always left that is not stored when the connection is lost, and comes again.
                await self._driver.stored(self._driver.returned() - 1)
            except NotConnectedError:
                self.lost += 1
                await self._again()

    async def _again(self) -> None:
        for _ in range(200):
            with contextlib.suppress(NotConnectedError):
                await self._driver.connect()
                return
            await asyncio.sleep(0.05)

    def _take(self, batch: Batch) -> None:
        assert (batch.quality == Quality.GOOD).all()
        self.values += batch.value.tolist()


@contextlib.asynccontextmanager
async def publisher(broker: Broker) -> AsyncIterator[paho.Client]:
    """A client that keeps what is not acknowledged and sends it again after a lost connection."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="meter", clean_session=False)
    client.max_inflight_messages_set(100)
    client.max_queued_messages_set(0)
    client.reconnect_delay_set(min_delay=1, max_delay=1)
    await asyncio.to_thread(client.connect, "127.0.0.1", broker.port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)


@pytest.mark.parametrize("protocol", VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
async def test_a_backlog_over_a_restart_of_the_broker_comes_once_and_in_order(
    broker: Broker, protocol: str, qos: int
) -> None:
    driver = make(broker, instrument("a", {}), protocol=protocol, qos=qos, queue_messages_max=200, **KEPT)
    try:
        await driver.connect()
        await driver.close()
        await broker.publish_lines("a", [str(i) for i in range(3_000)], qos)
        await driver.connect()
        reading = Reading(driver)
        await reading.until(1)
        await asyncio.to_thread(broker.stop)
        await asyncio.to_thread(broker.start)
        assert len(reading.values) < 3_000
        await reading.until(3_000)
        assert reading.lost == 1
        assert await nothing_comes(driver)
        assert reading.values == list(range(3_000))
        await driver.stored(driver.returned())
    finally:
        await driver.close()


async def test_a_broker_restarted_under_load_loses_nothing_and_nothing_is_read_twice(broker: Broker) -> None:
    plan = instrument("a", {"path": "v"}, repeat_keys=[["v"]])
    driver = make(broker, plan, **KEPT)
    try:
        await driver.connect()
        async with publisher(broker) as client:
            reading = Reading(driver)
            task = asyncio.create_task(reading.until(3_000))
            for i in range(3_000):
                client.publish("a", f'{{"v": {i}}}', qos=1)
                if i % 100 == 0:
                    await asyncio.sleep(0.01)
                if i == 1_500:
                    await asyncio.to_thread(broker.stop)
                    await asyncio.to_thread(broker.start)
            await asyncio.wait_for(task, 20)
            assert reading.lost >= 1
            # What the meter sent again, not knowing that it had arrived, is the only thing that may change places.
            assert sorted(reading.values) == list(range(3_000))
            assert await nothing_comes(driver)
    finally:
        await driver.close()


async def test_a_last_will_is_a_lost_instrument_until_it_speaks_again(broker: Broker) -> None:
    plan = instrument("gd/v", {}, availability=[{"topic": "gd/lwt"}])
    will = ("--will-topic", "gd/lwt", "--will-payload", "offline", "--will-retain", "--will-qos", "1")
    async with opened(broker, plan) as driver:
        meter = await asyncio.create_subprocess_exec(
            *("mosquitto_sub", "-p", str(broker.port), "-t", "nothing", *will), stdout=subprocess.DEVNULL
        )
        await broker.publish("gd/v", b"1")
        assert (await read(driver)).quality.tolist() == [Quality.GOOD]
        meter.kill()
        await meter.wait()
        assert (await read(driver)).quality.tolist() == [Quality.COMMS_LOST]
        assert (await read(driver)).quality.tolist() == [Quality.COMMS_LOST]  # said again, without any message
        await broker.publish("gd/v", b"2")
        assert (await read(driver)).value.tolist() == [2.0]
        assert await nothing_comes(driver, 1.5)
    async with opened(broker, plan) as driver:  # the broker has kept the will
        assert (await read(driver)).quality.tolist() == [Quality.COMMS_LOST]


async def test_a_heartbeat_that_stops_is_noticed_without_any_message(broker: Broker) -> None:
    plan = instrument("gd/v", {}, heartbeat={"topic": "gd/alive", "silent_after_s": 1.0})
    async with opened(broker, plan) as driver:
        await broker.publish("gd/alive", b"1")
        await broker.publish("gd/v", b"1")
        assert (await read(driver)).quality.tolist() == [Quality.GOOD]
        assert (await read(driver)).quality.tolist() == [Quality.STALE]
        await broker.publish("gd/v", b"2")
        assert (await read(driver)).quality.tolist() == [Quality.STALE]
        await broker.publish("gd/alive", b"")
        await broker.publish("gd/v", b"3")
        found = await read(driver)
        while found.quality[-1] == Quality.STALE:  # the second word of its silence may have been under way
            found = await read(driver)
        assert found.value.tolist() == [3.0]


@pytest.mark.parametrize("protocol", VERSIONS)
async def test_a_group_shares_out_readings_but_each_knows_how_far_to_trust_them(broker: Broker, protocol: str) -> None:
    plan = instrument("gd/v", {}, status=[{"topic": "gd/state", "values": {"ok": "good", "bad": "sensor_fault"}}])
    keep = {"protocol": protocol, "share": "gateways"}
    async with opened(broker, plan, **keep) as one, opened(broker, plan, **keep) as two:
        await broker.publish("gd/state", b"ok", qos=1)
        await broker.publish_lines("gd/v", [str(i) for i in range(100)])
        await asyncio.sleep(0.3)
        batches = [await read(one), await read(two)]
        assert sorted(batches[0].value.tolist() + batches[1].value.tolist()) == list(range(100))
        assert all(len(batch) and (batch.quality == Quality.GOOD).all() for batch in batches)
        await broker.publish("gd/state", b"bad", qos=1)
        for driver in (one, two):
            assert (await read(driver)).quality.tolist() == [Quality.SENSOR_FAULT]


@pytest.mark.parametrize("protocol", VERSIONS)
async def test_a_gateway_without_the_certificate_that_the_broker_asks_for_is_not_connected(
    tmp_path: Path, protocol: str
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificates(tmp_path)
    files = f"cafile {tmp_path}/ca.crt\ncertfile {tmp_path}/server.crt\nkeyfile {tmp_path}/server.key\n"
    broker = Broker(tmp_path, f"{files}require_certificate true\nuse_identity_as_username true\nuser root\n")
    trust: dict[str, Any] = {"tls": True, "tls_ca_file": tmp_path / "ca.crt", "host": "localhost"}
    own = {"tls_cert_file": tmp_path / "client.crt", "tls_key_file": tmp_path / "client.key"}
    stranger = {"tls_cert_file": tmp_path / "other.crt", "tls_key_file": tmp_path / "other.key"}
    certificates(tmp_path, "other")
    try:
        for bad in ({}, stranger):
            with pytest.raises(NotConnectedError):
                async with opened(broker, instrument("a", {}), protocol=protocol, **trust, **bad):
                    pass
        async with opened(broker, instrument("a", {}), protocol=protocol, **trust, **own):
            pass
    finally:
        broker.stop()


async def test_a_topic_that_the_broker_keeps_for_others_gives_no_reading(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("topic readwrite open/#\ntopic write shut/#\n")
    broker = Broker(tmp_path, f"acl_file {tmp_path}/acl\nuser root\n")
    try:
        plans = instrument("open/a", {}), instrument("shut/b", {}, first_row=1)
        async with opened(broker, *plans) as driver:
            await broker.publish("shut/b", b"1", qos=1)
            await broker.publish("open/a", b"2", qos=1)
            found = await read(driver)
            while 0 not in found.row:
                assert found.quality.tolist() == [Quality.REFUSED]
                found = await read(driver)
            assert found.value[found.row == 0].tolist() == [2.0]
            assert await nothing_comes(driver)
    finally:
        broker.stop()


async def test_what_the_broker_kept_is_no_fresh_status_heartbeat_or_value(broker: Broker) -> None:
    for topic, payload in (("gd/v", b"1"), ("gd/state", b"ok"), ("gd/alive", b"1")):
        await broker.publish(topic, payload, "-r", qos=1)
    plan = instrument(
        "gd/v",
        {},
        status=[{"topic": "gd/state", "values": {"ok": "good"}}],
        heartbeat={"topic": "gd/alive", "silent_after_s": 60},
    )
    async with opened(broker, plan) as driver:
        assert await nothing_comes(driver)
        assert driver.counters["retained"] == 3
        await broker.publish("gd/v", b"2")
        assert (await read(driver)).quality.tolist() == [Quality.UNCERTAIN]
        await broker.publish("gd/state", b"ok")
        await broker.publish("gd/v", b"3")
        assert await read_values(driver, 1) == [3.0]
