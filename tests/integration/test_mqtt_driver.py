"""The MQTT driver against a real Mosquitto."""

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers import mqtt
from gateway.core.clock import SystemClock
from gateway.core.errors import ConfigError, NotConnectedError
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


@pytest.fixture(autouse=True)
def installed() -> None:
    must_be_installed()


@pytest.fixture
def broker(tmp_path: Path, installed: None) -> Iterator[Broker]:
    made = Broker(tmp_path)
    yield made
    made.stop()


@pytest.mark.parametrize("protocol", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_message_becomes_readings_of_its_channels(broker: Broker, protocol: str, qos: int) -> None:
    plan = instrument("plant/gd", {"path": "co", "scale": 0.1}, {"path": "state", "special": {"fault": "sensor_fault"}})
    async with opened(broker, plan, protocol=protocol, qos=qos) as driver:
        before = time.time_ns()
        await broker.publish("plant/gd", b'{"co": 125, "state": "fault"}', qos=qos)
        batch = await read(driver)
        assert batch.row.tolist() == [0, 1]
        assert batch.value[0] == 12.5
        assert batch.quality.tolist() == [Quality.GOOD, Quality.SENSOR_FAULT]
        assert np.isnan(batch.value[1])
        assert before < batch.time_ns[0] <= time.time_ns()
        assert driver.returned() == (1 if qos else 0)
        await driver.stored(driver.returned())


async def test_wildcards_and_suffixes_lead_each_topic_to_its_channels(broker: Broker) -> None:
    plans = (
        instrument("gas/+", {"path": "v"}),
        instrument("gas/one", {"path": "v"}, first_row=1),
        instrument("shellies/a", {"topic_suffix": "ppm"}, {"topic_suffix": "op", "words": {"normal": 0}}, first_row=2),
    )
    async with opened(broker, *plans) as driver:
        await broker.publish("gas/one", b'{"v": 1}')
        assert (await read(driver)).row.tolist() == [0, 1]
        await broker.publish("shellies/a/ppm", b"17")
        batch = await read(driver)
        assert (batch.row.tolist(), batch.value.tolist()) == ([2], [17.0])
        await broker.publish("shellies/a/op", b"normal")
        batch = await read(driver)
        assert (batch.row.tolist(), batch.value.tolist()) == ([3], [0.0])
        await broker.publish("shellies/b/op", b"normal")
        assert await nothing_comes(driver)


@pytest.mark.parametrize("protocol", VERSIONS)
async def test_a_retained_message_is_no_reading_unless_the_site_says_so(broker: Broker, protocol: str) -> None:
    await broker.publish("a", b"1", "-r", qos=1)
    await broker.publish("b", b"2", "-r", qos=1)
    plans = instrument("a", {}), instrument("b", {}, first_row=1, retained="accept")
    async with opened(broker, *plans, protocol=protocol) as driver:
        assert (await read(driver)).row.tolist() == [1]
        assert await nothing_comes(driver)
        assert driver.counters["retained"] == 1
        await broker.publish("a", b"3", "-r", qos=1)
        assert (await read(driver)).value.tolist() == [3.0]


async def test_hostile_payloads_spoil_only_their_own_channel(broker: Broker) -> None:
    plans = instrument("bad", {"path": "v"}), instrument("good", {"path": "v"}, first_row=1)
    hostile = [b"", b"\xff\xfe", b'{"v": 1', b'{"v": NaN}', b'{"v": 1e999}', b'{"v": "x"}', b'{"w": 1}', b"[" * 50_000]
    async with opened(broker, *plans) as driver:
        for payload in [*hostile, b'{"v": "' + b"x" * 10_000_000 + b'"}']:
            await broker.publish("bad", payload)
            await broker.publish("good", b'{"v": 5}')
            found = Batch.concat([b for b in [await read(driver)] if len(b)])
            while 1 not in found.row:
                found = Batch.concat([found, await read(driver)])
            assert found.row.tolist() == [0, 1], payload[:20]
            assert found.quality.tolist() == [Quality.UNREADABLE, Quality.GOOD]
        assert driver.counters["unreadable"] == len(hostile) + 1
        assert driver.counters["oversized"] == 1


@pytest.mark.parametrize("protocol", VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
async def test_what_was_not_stored_comes_again_to_the_next_process(broker: Broker, protocol: str, qos: int) -> None:
    plan = instrument("a", {})
    keep = {"protocol": protocol, "qos": qos, "client_id": "gw", "clean_session": False}
    first = make(broker, plan, **keep)
    await first.connect()
    await broker.publish_lines("a", [str(i) for i in range(10)], qos)
    assert await read_values(first, 10) == list(range(10))
    await first.stored(4)
    await asyncio.sleep(0.2)
    assert first._link is not None
    first._link.abort()  # as a kill does: no good-bye, nothing more sent
    async with opened(broker, plan, **keep) as second:
        assert await read_values(second, 6) == [4, 5, 6, 7, 8, 9]
        assert await nothing_comes(second)
        await second.stored(second.returned())
        await asyncio.sleep(0.2)
    await first.close()
    async with opened(broker, plan, **keep) as third:
        assert await nothing_comes(third)


@pytest.mark.parametrize("protocol", VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
async def test_a_reconnection_of_the_same_process_repeats_and_forgets_nothing(
    broker: Broker, protocol: str, qos: int
) -> None:
    plan = instrument("a", {})
    keep = {"protocol": protocol, "qos": qos, "client_id": "gw", "clean_session": False}
    async with opened(broker, plan, **keep) as driver:
        await broker.publish_lines("a", ["0", "1", "2"], qos)
        assert await read_values(driver, 3) == [0, 1, 2]
        assert driver._link is not None
        driver._link.abort()
        with pytest.raises(NotConnectedError):
            await read(driver)
        await driver.stored(1)
        await broker.publish_lines("a", ["3"], qos)
        await driver.connect()
        assert await read_values(driver, 1) == [3]
        assert await nothing_comes(driver)
        assert driver.counters["repeated"] >= 3
        await driver.stored(driver.returned())
        await asyncio.sleep(0.2)
        assert len(driver._ledger) == 0
        await driver.connect()
        assert await nothing_comes(driver)


@pytest.mark.parametrize("protocol", VERSIONS)
async def test_a_killed_broker_is_a_lost_connection_and_connect_finds_it_again(broker: Broker, protocol: str) -> None:
    async with opened(broker, instrument("a", {}), protocol=protocol) as driver:
        waiting = asyncio.create_task(driver.read())
        await asyncio.sleep(0.05)
        broker.kill()
        with pytest.raises(NotConnectedError, match=f"127.0.0.1:{broker.port}"):
            await asyncio.wait_for(waiting, 2)
        with pytest.raises(NotConnectedError):
            await driver.read()
        with pytest.raises(NotConnectedError, match="refused"):
            await driver.connect()
        broker.start()
        await driver.connect()
        await broker.publish("a", b"8", qos=1)
        assert (await read(driver)).value.tolist() == [8.0]


async def test_messages_that_came_before_the_loss_are_still_returned(broker: Broker) -> None:
    async with opened(broker, instrument("a", {})) as driver:
        await broker.publish_lines("a", ["1", "2"])
        await asyncio.sleep(0.2)
        broker.kill()
        await asyncio.sleep(0.1)
        assert await read_values(driver, 2) == [1, 2]
        with pytest.raises(NotConnectedError):
            await read(driver)


async def test_a_silent_broker_is_noticed_within_one_and_a_half_keepalives(broker: Broker) -> None:
    async with opened(broker, instrument("a", {}), keepalive_s=4) as driver:
        await broker.publish("a", b"1")
        await read(driver)
        broker.signal(signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(NotConnectedError):
            await read(driver, within_s=7)
        assert time.monotonic() - started <= 6.2
        started = time.monotonic()
        await driver.close()
        assert time.monotonic() - started < 1.5


async def test_a_connection_lives_through_many_quiet_keepalives(broker: Broker) -> None:
    async with opened(broker, instrument("a", {}), keepalive_s=4) as driver:
        assert await nothing_comes(driver, for_s=9)
        await broker.publish("a", b"1")
        assert (await read(driver)).value.tolist() == [1.0]


async def test_connecting_to_a_port_that_never_answers_is_prompt_to_cancel() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        options = mqtt.Options(port=silent.getsockname()[1])
        driver = mqtt.create(options, [instrument("a", {})], SystemClock())
        task = asyncio.create_task(driver.connect())
        await asyncio.sleep(0.2)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await driver.close()
        assert time.monotonic() - started < 0.5


async def test_a_broker_that_talks_something_else_is_not_connected() -> None:
    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        options = mqtt.Options(port=server.sockets[0].getsockname()[1])
        driver = mqtt.create(options, [instrument("a", {})], SystemClock())
        with pytest.raises(NotConnectedError):
            await asyncio.wait_for(driver.connect(), 8)
        await driver.close()


async def test_closing_twice_and_unopened_is_harmless(broker: Broker) -> None:
    driver = make(broker, instrument("a", {}))
    await driver.close()
    with pytest.raises(NotConnectedError):
        await driver.read()
    await driver.connect()
    await driver.close()
    await driver.close()


@pytest.mark.parametrize("protocol", VERSIONS)
async def test_a_password_comes_from_its_file(tmp_path: Path, protocol: str) -> None:
    passwords, secret = tmp_path / "passwords", tmp_path / "secret"
    passwords.write_text("gw:right\n")
    await asyncio.to_thread(subprocess.run, ["mosquitto_passwd", "-U", str(passwords)], check=True)
    broker = Broker(tmp_path, f"allow_anonymous false\npassword_file {passwords}\nuser root\n")
    try:
        secret.write_text("right\n")
        async with opened(broker, instrument("a", {}), protocol=protocol, username="gw", password_file=secret):
            pass
        secret.write_text("wrong\n")
        with pytest.raises(NotConnectedError, match=r"(?i)not authori[sz]ed"):
            async with opened(broker, instrument("a", {}), protocol=protocol, username="gw", password_file=secret):
                pass
    finally:
        broker.stop()


@contextlib.asynccontextmanager
async def refusing(answers: bytes) -> AsyncIterator[int]:
    """A peer that accepts the connection and answers the subscription with `answers`; Mosquitto refuses none."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for _ in range(2):
                kind, length = await reader.readexactly(2)
                body = await reader.readexactly(length)
                writer.write(
                    b"\x20\x02\x00\x00" if kind == 0x10 else bytes([0x90, 2 + len(answers)]) + body[:2] + answers
                )
            if answers[0] < 0x80:
                writer.write(b"\x30\x09\x00\x06open/a4")
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_refused_topic_gives_refused_readings_and_leaves_the_others() -> None:
    plans = instrument("open/a", {}), instrument("shut/b", {}, {}, first_row=1)
    async with refusing(b"\x01\x80") as port:
        driver = mqtt.create(mqtt.Options(port=port, protocol="3.1.1"), plans, SystemClock())
        await driver.connect()
        batch = await asyncio.wait_for(driver.read(), 2)
        assert (batch.row.tolist(), set(batch.quality.tolist())) == ([1, 2], {Quality.REFUSED})
        batch = await asyncio.wait_for(driver.read(), 2)
        assert (batch.row.tolist(), batch.value.tolist()) == ([0], [4.0])
        await driver.close()


async def test_a_broker_that_refuses_everything_is_not_connected() -> None:
    async with refusing(b"\x80") as port:
        driver = mqtt.create(mqtt.Options(port=port, protocol="3.1.1"), [instrument("a", {})], SystemClock())
        with pytest.raises(NotConnectedError, match="refuses every subscription, first 'a'"):
            await driver.connect()
        await driver.close()


async def test_a_full_queue_makes_the_broker_wait_and_loses_nothing(tmp_path: Path) -> None:
    broker = Broker(tmp_path, "max_inflight_messages 0\nmax_queued_messages 0\n")
    try:
        async with opened(broker, instrument("a", {}), protocol="3.1.1", queue_messages_max=50) as driver:
            await broker.publish_lines("a", [str(i) for i in range(20_000)])
            assert driver.counters["paused"] == 1
            assert len(driver._queue) < 20_000
            assert await read_values(driver, 20_000) == list(range(20_000))
            await driver.stored(driver.returned())
    finally:
        broker.stop()


async def test_mqtt_5_has_no_more_messages_under_way_than_the_queue_holds(tmp_path: Path) -> None:
    broker = Broker(tmp_path, "max_queued_messages 0\n")
    try:
        async with opened(broker, instrument("a", {}), protocol="5", queue_messages_max=50) as driver:
            await broker.publish_lines("a", [str(i) for i in range(500)])
            await asyncio.sleep(0.3)
            assert len(driver._queue) == 50
            found: list[float] = []
            while len(found) < 500:
                found += (await read(driver)).value.tolist()
                await driver.stored(driver.returned())
            assert found == list(range(500))
    finally:
        broker.stop()


async def test_a_backlog_larger_than_the_queue_does_not_stop_the_connection(tmp_path: Path) -> None:
    broker = Broker(tmp_path, "max_inflight_messages 0\nmax_queued_messages 0\n")
    keep: dict[str, Any] = {"protocol": "3.1.1", "client_id": "gw", "clean_session": False, "queue_messages_max": 10}
    try:
        async with opened(broker, instrument("a", {}), **keep):
            pass
        await broker.publish_lines("a", [str(i) for i in range(5_000)])
        async with opened(broker, instrument("a", {}), **keep) as driver:
            assert await read_values(driver, 5_000) == list(range(5_000))
            await driver.stored(driver.returned())
            await broker.publish("a", b"-1")
            assert await read_values(driver, 1) == [-1]
            assert driver._subscribing is None
    finally:
        broker.stop()


async def test_a_full_queue_of_qos_0_drops_the_oldest_and_counts_them(broker: Broker) -> None:
    async with opened(broker, instrument("a", {}), qos=0, queue_messages_max=10) as driver:
        await broker.publish_lines("a", [str(i) for i in range(40)], qos=0)
        await asyncio.sleep(0.3)
        assert await read_values(driver, 10) == list(range(30, 40))
        assert driver.counters["dropped"] == 30


@pytest.mark.parametrize("protocol", VERSIONS)
async def test_tls_checks_the_broker_and_shows_the_own_certificate(tmp_path: Path, protocol: str) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificates(tmp_path)
    broker = Broker(
        tmp_path,
        f"cafile {tmp_path}/ca.crt\ncertfile {tmp_path}/server.crt\nkeyfile {tmp_path}/server.key\n"
        "require_certificate true\nuser root\n",
    )
    own = {"tls_cert_file": tmp_path / "client.crt", "tls_key_file": tmp_path / "client.key"}
    trust = {"tls": True, "tls_ca_file": tmp_path / "ca.crt", "host": "localhost", "protocol": protocol}
    try:
        async with opened(broker, instrument("a", {}), **trust, **own) as driver:
            process = await asyncio.create_subprocess_exec(
                *("mosquitto_pub", "-h", "localhost", "-p", str(broker.port), "-t", "a", "-m", "6"),
                *("--cafile", str(tmp_path / "ca.crt")),
                *("--cert", str(tmp_path / "client.crt"), "--key", str(tmp_path / "client.key")),
            )
            assert await process.wait() == 0
            assert (await read(driver)).value.tolist() == [6.0]
        with pytest.raises(NotConnectedError):  # an authority that the gateway does not know
            async with opened(broker, instrument("a", {}), tls=True, host="localhost", protocol=protocol):
                pass
    finally:
        broker.stop()


def test_a_missing_password_file_is_a_configuration_error(tmp_path: Path) -> None:
    options = mqtt.Options(username="gw", password_file=tmp_path / "absent")
    with pytest.raises(ConfigError, match="absent") as caught:
        mqtt.create(options, [instrument("a", {})], SystemClock())
    assert caught.value.path == ("options", "password_file")
