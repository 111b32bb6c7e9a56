"""The webhook uplink and its outbox against the supervision platform, which refuses, delays, hangs up and forgets."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest

from alerts.webhook import Options, WebhookUplink, create
from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.clock import ManualClock, SystemClock
from gateway.core.errors import RejectedError, UnavailableError
from gateway.core.plugin import SiteInfo
from gateway.outbox import EVENT_PACE, Outbox
from gateway.store.logs import EventLog
from simulators.platform import Behaviour, PlatformServer, serve

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
SITE = SiteInfo("park-1", "gw-1", "e1", [], secrets={"hook": SECRET})


def event(seq: int, alarm: str = "co:gd-01.co") -> AlarmEvent:
    return AlarmEvent(seq=seq, time_ns=1_700_000_000_000_000_000 + seq, kind=EventKind.RAISED, alarm=alarm)


@pytest.fixture
async def platform() -> AsyncIterator[PlatformServer]:
    server = await serve("127.0.0.1", 0, SECRET)
    yield server
    await server.close()


@contextlib.asynccontextmanager
async def uplink_to(url: str, **options: Any) -> AsyncIterator[WebhookUplink]:
    uplink = create(Options(url=f"{url}/alerts", secret="hook", **options), SITE, SystemClock())
    try:
        yield uplink
    finally:
        await uplink.close()


def kept(server: PlatformServer) -> Any:
    """What `GET /alerts` says."""
    return json.loads(msgspec.json.encode(server.platform.summary()))


async def test_a_platform_keeps_what_it_was_told(platform: PlatformServer) -> None:
    async with uplink_to(platform.url) as uplink:
        await uplink.write([event(1), event(2)])
        await uplink.write([event(2)])
        await uplink.check()
    found = kept(platform)
    assert [alert["key"] for alert in found["alerts"]] == ["gw-1:e1:1", "gw-1:e1:2"]
    assert (found["duplicates"], found["heartbeats"], found["unsigned"]) == (1, 1, 0)
    assert found["alerts"][0]["message"]["data"]["alarm"] == "co:gd-01.co"


@pytest.mark.parametrize("status", [401, 403, 404, 408, 425, 429, 500, 502, 503, 301, 302])
async def test_what_a_person_or_time_can_end_is_tried_again(platform: PlatformServer, status: int) -> None:
    platform.platform.behave(Behaviour(status=status))
    async with uplink_to(platform.url) as uplink:
        with pytest.raises(UnavailableError, match=str(status)) as caught:
            await uplink.write([event(1)])
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize("status", [400, 405, 410, 413, 422])
async def test_what_is_refused_for_ever_is_named_in_the_platforms_words(platform: PlatformServer, status: int) -> None:
    platform.platform.behave(Behaviour(status=status))
    async with uplink_to(platform.url) as uplink:
        with pytest.raises(RejectedError) as caught:
            await uplink.write([event(1), event(2)])
    assert caught.value.reasons == dict.fromkeys((0, 1), f'{status}: {{"error":"told to"}}')


async def test_an_event_known_already_is_delivered(platform: PlatformServer) -> None:
    platform.platform.behave(Behaviour(status=409))
    async with uplink_to(platform.url) as uplink:
        await uplink.write([event(1)])


@pytest.mark.parametrize(("header", "low", "high"), [("7", 7.0, 7.0), ("Fri, 31 Dec 2100 23:59:59 GMT", 1e9, 1e10)])
async def test_retry_after_is_understood(platform: PlatformServer, header: str, low: float, high: float) -> None:
    platform.platform.behave(Behaviour(status=503, retry_after=header))
    async with uplink_to(platform.url) as uplink:
        with pytest.raises(UnavailableError) as caught:
            await uplink.write([event(1)])
    assert caught.value.retry_after_s is not None
    assert low <= caught.value.retry_after_s <= high


@pytest.mark.parametrize("behaviour", [Behaviour(half=True), Behaviour(away=True), Behaviour(delay_s=5.0)])
async def test_half_an_answer_and_no_answer_are_none(platform: PlatformServer, behaviour: Behaviour) -> None:
    platform.platform.behave(behaviour)
    async with uplink_to(platform.url, timeout_s=0.3) as uplink:
        with pytest.raises(UnavailableError, match=platform.url):
            await uplink.write([event(1)])


async def test_an_endless_answer_is_cut() -> None:
    ended = asyncio.Event()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while not writer.is_closing():
                writer.write(b"x" * 65_536)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    async with server, uplink_to(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as uplink:
        await asyncio.wait_for(uplink.write([event(1)]), 5)
        await uplink.close()
        await asyncio.wait_for(ended.wait(), 5)


async def test_a_wrong_secret_keeps_the_event_until_it_is_put_right(platform: PlatformServer) -> None:
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    uplink = create(
        Options(url=f"{platform.url}/alerts", secret="hook"), replace(SITE, secrets={"hook": other}), SystemClock()
    )
    with pytest.raises(UnavailableError, match="401"):
        await uplink.write([event(1)])
    await uplink.close()
    assert kept(platform)["unsigned"] == 1
    assert kept(platform)["alerts"] == []


async def test_a_message_of_another_time_is_not_believed(platform: PlatformServer) -> None:
    uplink = create(Options(url=f"{platform.url}/alerts", secret="hook"), SITE, ManualClock())
    with pytest.raises(UnavailableError, match="401"):
        await uplink.write([event(1)])
    await uplink.close()


class MemoryJournal:
    first_seq = 1

    def __init__(self) -> None:
        self.events: list[AlarmEvent] = []

    @property
    def last_seq(self) -> int:
        return len(self.events)

    def key(self, seq: int) -> str:
        return f"gw-1:e1:{seq}"

    def read(self, after: int, limit: int) -> Sequence[AlarmEvent]:
        return self.events[after : after + limit]


class MemoryLedger:
    def __init__(self) -> None:
        self.text: str | None = None
        self.dead: list[str] = []

    async def cursor(self, name: str) -> str | None:
        return self.text

    async def set_cursor(self, name: str, text: str) -> None:
        self.text = text

    async def dead_letter(self, sink: str, key: str, payload: str, reason: str, time_ns: int) -> None:
        self.dead.append(key)


def outbox_of(journal: MemoryJournal, ledger: MemoryLedger, uplink: WebhookUplink) -> Outbox[Sequence[AlarmEvent]]:
    return Outbox(
        "platform", kind="uplink", type_="webhook", source=EventLog(journal, asyncio.to_thread),
        sink=uplink, ledger=ledger, clock=SystemClock(),
        pace=replace(EVENT_PACE, backoff_min_s=0.002, backoff_max_s=0.01, write_timeout_s=5.0),
    )  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_platform_that_fails_four_times_in_ten_gets_everything_once_and_in_order(
    platform: PlatformServer, seed: int
) -> None:
    platform.platform.behave(Behaviour(fault_rate=0.4, seed=seed))
    journal, ledger, count = MemoryJournal(), MemoryLedger(), 400
    journal.events = [event(seq, f"rule-{seq % 7}") for seq in range(1, count // 2 + 1)]
    restarts = 0
    while len(journal.events) < count or kept(platform)["count"] < count or restarts < 3:
        async with uplink_to(platform.url) as uplink:
            outbox = outbox_of(journal, ledger, uplink)
            task = asyncio.create_task(outbox.run())
            await asyncio.sleep(0.3)
            grown = len(journal.events)
            journal.events += [event(seq, f"rule-{seq % 7}") for seq in range(grown + 1, min(count, grown + 70) + 1)]
            outbox.notify()
            await asyncio.sleep(0.3)
            task.cancel()  # at any point, as a power cut would
            with contextlib.suppress(asyncio.CancelledError):
                await task
        restarts += 1
        assert restarts < 60, f"only {kept(platform)['count']} of {count} arrived"
    found = kept(platform)
    keys = [alert["key"] for alert in found["alerts"]]
    assert len(keys) == len(set(keys)) == count
    assert [alert["message"]["sequence"] for alert in found["alerts"]] == list(range(1, count + 1))
    assert found["faults"] > count / 5
    assert found["duplicates"] > 0, "faults after keeping make repeats, which the key absorbs"
    assert ledger.dead == []


@pytest.fixture
def process() -> Iterator[str]:
    environment = {**os.environ, "HAZGATE_PLATFORM_SECRET": SECRET}
    command = [sys.executable, "-m", "simulators.platform", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        yield json.loads(child.stdout.readline())["url"]
        child.terminate()


async def test_the_platform_runs_as_a_process_and_says_where(process: str) -> None:
    async with uplink_to(process) as uplink, httpx.AsyncClient(base_url=process, trust_env=False) as person:
        await uplink.write([event(1)])
        assert (await person.post("/behaviour", json={"status": 500})).status_code == 200
        with pytest.raises(UnavailableError):
            await uplink.write([event(2)])
        assert (await person.post("/behaviour", json={"statuss": 500})).status_code == 400
        assert (await person.post("/behaviour", json={})).status_code == 200
        await uplink.write([event(2)])
        assert (await person.get("/alerts")).json()["count"] == 2
        page = await person.get("/")
        assert "co:gd-01.co" in page.text
        assert (await person.get("/nothing")).status_code == 404


async def test_alerts_are_accepted_fast_while_nothing_is_wrong(platform: PlatformServer) -> None:
    journal, ledger = MemoryJournal(), MemoryLedger()
    async with uplink_to(platform.url) as uplink:
        outbox = outbox_of(journal, ledger, uplink)
        task = asyncio.create_task(outbox.run())
        delays = []
        for seq in itertools.count(1):
            journal.events.append(event(seq))
            began = time.monotonic()
            outbox.notify()
            for _ in range(5_000):
                if outbox.status().delivered >= seq:
                    break
                await asyncio.sleep(0.001)
            delays.append(time.monotonic() - began)
            if seq == 50:
                break
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert max(delays) < 1.0
