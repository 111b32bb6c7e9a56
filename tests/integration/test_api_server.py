"""The API over real sockets: live streams, slow peers, floods of connections, and a prompt end."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import psutil
import pytest

from gateway.api import stream
from gateway.api.access import new_token
from gateway.api.connections import ConnectionLimits
from gateway.api.server import ApiServer
from gateway.core.alarm import Command, Verb
from gateway.core.errors import ConfigError
from gateway.core.model import Level, Quality
from tests.integration.memory_gateway import MemoryGateway

QUICK = ConnectionLimits(connections_max=40, per_address_max=20, request_s=1.0, unread_s=1.0)


@asynccontextmanager
async def serving(
    gateway: MemoryGateway, *, limits: ConnectionLimits | None = None, bind: str = "127.0.0.1:0"
) -> AsyncIterator[ApiServer]:
    server = ApiServer(gateway, local_operator=True, limits=limits)
    await server.start(bind)
    try:
        yield server
    finally:
        await server.stop()


class Reader:
    """Reads a live stream message by message."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self) -> tuple[str, int | None, Any]:
        """Return (event, id, data) of the next message."""
        async with asyncio.timeout(10):
            kind, number, data = "", None, None
            async for line in self._lines:
                name, _, text = line.partition(": ")
                if name == "event":
                    kind = text
                elif name == "id":
                    number = int(text)
                elif name == "data":
                    data = json.loads(text)
                elif not line and kind:
                    return kind, number, data
        raise EOFError

    async def until(self, kind: str) -> tuple[int | None, Any]:
        while True:
            got, number, data = await self.next()
            if got == kind:
                return number, data


@asynccontextmanager
async def reading(server: ApiServer, query: str = "", headers: dict[str, str] | None = None) -> AsyncIterator[Reader]:
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=10) as client,
        client.stream("GET", f"/api/v1/stream{query}", headers=headers or {}) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        yield Reader(answer.aiter_lines())


async def count(reader: Reader) -> int:
    """Return how many messages come until the stream ends or this is cancelled."""
    number = 0
    with suppress(EOFError, asyncio.CancelledError):
        while True:
            await reader.next()
            number += 1
    return number


async def ask(server: ApiServer, path: str = "/api/v1/alarms") -> httpx.Response:
    async with httpx.AsyncClient(timeout=5) as client:
        return await client.get(f"http://127.0.0.1:{server.port}{path}")


async def slow_opener(server: ApiServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /api/v1/alarms HTTP/1.1\r\nHost: 127")
    await writer.drain()
    return reader, writer


async def shut(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def test_a_stream_begins_with_everything_and_goes_on_with_what_changes() -> None:
    gateway = MemoryGateway()
    gateway.judge(3, Level.LOW)
    async with serving(gateway) as server, reading(server) as reader:
        kind, number, snapshot = await reader.next()
        assert (kind, number) == ("snapshot", 1)
        assert [alarm["id"] for alarm in snapshot["alarms"]] == ["high:gd-03.ch4"]
        assert snapshot["values"]["rows"] == list(range(6))
        assert (snapshot["caller"], snapshot["role"], snapshot["epoch"]) == ("local", "operator", "e1")

        gateway.judge(0, Level.HIGH, 17.2)
        gateway.read(1, 0.0, Quality.COMMS_LOST)
        number, event = await reader.until("alarm")
        assert number == 2
        assert (event["alarm"], event["level"], event["value"], event["latching"]) == (
            "high:gd-00.ch4",
            "high",
            17.2,
            True,
        )
        assert event["response"].startswith("Leave")
        _, frame = await reader.until("values")
        assert frame["values"] == {"rows": [0, 1], "value": [17.2, None], "quality": [0, 129]}
        assert (frame["alarms"], frame["audible"]) == (2, True)
        _, frame = await reader.until("values")
        assert frame["values"]["rows"] == []


async def test_a_stream_of_chosen_channels_tells_only_of_them() -> None:
    gateway = MemoryGateway()
    async with serving(gateway) as server, reading(server, "?channels=gd-04.temperature,gd-02.co") as reader:
        assert (await reader.next())[2]["values"]["rows"] == [2, 4]
        gateway.read(0, 5.0)
        gateway.read(4, 6.0)
        assert (await reader.until("values"))[1]["values"]["rows"] == [4]
        async with reading(server, "?channels=") as other:
            assert (await other.next())[2]["values"]["rows"] == []


@pytest.mark.parametrize("way", ["header", "query"])
async def test_thirty_events_of_an_absence_all_come_after_it_in_their_order(way: str) -> None:
    gateway = MemoryGateway()
    async with serving(gateway) as server:
        gateway.judge(0, Level.LOW)
        async with reading(server) as reader:
            last, _ = await reader.until("snapshot")
        for number in range(15):
            gateway.system(f"system/uplink/{number}", "no answer")
            gateway.system(f"system/uplink/{number}", "")
        missed = [event.seq for event in gateway.journal if event.seq > (last or 0)]
        assert len(missed) >= 30
        query, headers = ("", {"Last-Event-ID": str(last)}) if way == "header" else (f"?last_event_id={last}", None)
        async with reading(server, query, headers) as reader:
            kind, number, _ = await reader.next()
            assert (kind, number) == ("snapshot", None), "a second break must not lose what this one missed"
            assert [(await reader.until("alarm"))[0] for _ in missed] == missed


async def test_events_older_than_memory_come_from_the_journal() -> None:
    gateway = MemoryGateway()
    for _ in range(300):
        gateway.judge(0, Level.LOW)
        gateway.judge(0, Level.NORMAL)
        await gateway.command(Command(verb=Verb.ACKNOWLEDGE, alarm="high:gd-00.ch4", who="x"))
        await gateway.command(Command(verb=Verb.RESET, alarm="high:gd-00.ch4", who="x"))
    total = gateway.journal[-1].seq
    async with serving(gateway) as server, reading(server, "?last_event_id=0") as reader:
        assert [(await reader.until("alarm"))[0] for _ in range(total)] == list(range(1, total + 1))


async def test_a_place_in_another_epoch_or_in_the_future_is_no_place() -> None:
    gateway = MemoryGateway()
    gateway.judge(0, Level.LOW)
    async with serving(gateway) as server:
        for query in ("?last_event_id=0&epoch=old", "?last_event_id=999"):
            async with reading(server, query) as reader:
                assert (await reader.next())[:2] == ("snapshot", 1)


async def test_a_reader_that_stands_still_is_cut_off_and_disturbs_nobody() -> None:
    gateway = MemoryGateway(3000)
    async with serving(gateway, limits=QUICK) as server, reading(server) as reader:
        await reader.until("snapshot")
        stalled = socket.socket()
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(stalled, ("127.0.0.1", server.port))
        await loop.sock_sendall(stalled, b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        started_s, frames = loop.time(), 0
        while not server.guard.cut_off:
            assert loop.time() - started_s < 20
            gateway.value += 1.0
            _, frame = await reader.until("values")
            assert len(frame["values"]["rows"]) == 3000
            frames += 1
        assert frames / (loop.time() - started_s) > 0.7, "the other reader has its second"
        stalled.close()
        await reader.until("values")


async def test_a_gateway_that_stands_still_looks_still() -> None:
    gateway = MemoryGateway()
    async with serving(gateway) as server, reading(server) as reader:
        await reader.until("values")
        gateway.silent = True
        # One frame may have been on its way.
        frames = asyncio.create_task(count(reader))
        await asyncio.wait((frames,), timeout=3.0)
        assert not frames.done(), "the stream stays open"
        frames.cancel()
        assert await frames <= 1


async def test_the_server_ends_within_a_second_with_fifty_open_streams() -> None:
    gateway = MemoryGateway()
    server = ApiServer(gateway, local_operator=True)
    await server.start("127.0.0.1:0")
    pairs = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(50)]
    for _, writer in pairs:
        writer.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    for reader, _ in pairs:
        await reader.readuntil(b"event: snapshot")
    started_s = asyncio.get_running_loop().time()
    await server.stop()
    assert asyncio.get_running_loop().time() - started_s < 1.0
    for reader, writer in pairs:
        with suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 1)
        await shut(writer)
    await server.stop()


async def test_one_stream_too_many_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STREAMS_MAX", 2)
    async with serving(MemoryGateway()) as server:
        async with reading(server) as one, reading(server) as two:
            await one.next()
            await two.next()
            answer = await ask(server, "/api/v1/stream")
            assert answer.status_code == 503
            assert answer.json()["detail"] == "all 2 live streams are taken"
        await asyncio.sleep(1.2)
        async with reading(server) as again:
            await again.next()


async def test_the_stream_of_a_revoked_token_ends_within_five_seconds() -> None:
    gateway = MemoryGateway()
    token = gateway.tokens.add(new_token()[0], "wang", "viewer")
    async with serving(gateway) as server, reading(server, headers={"Authorization": f"Bearer {token}"}) as reader:
        await reader.until("snapshot")
        gateway.tokens.by_digest.clear()
        gateway.tokens.add(new_token()[0], "other", "viewer")
        async with asyncio.timeout(6):
            assert await count(reader) <= 6


async def test_slow_openers_are_cut_off_and_everyone_else_is_served() -> None:
    async with serving(MemoryGateway(), limits=QUICK) as server:
        crowd = [await slow_opener(server) for _ in range(60)]
        assert len(server.guard) <= QUICK.per_address_max
        for _ in range(5):
            assert (await ask(server)).status_code == 200
        for reader, writer in crowd:
            # The oldest were pushed out, the rest are beyond their second soon.
            with suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 4) == b""
            await shut(writer)
        assert server.guard.cut_off >= 60


async def test_one_byte_now_and_then_does_not_extend_the_deadline() -> None:
    async with serving(MemoryGateway(), limits=QUICK) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        started_s = asyncio.get_running_loop().time()
        ended = asyncio.create_task(reader.read())
        with suppress(ConnectionError):
            for byte in b"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n":
                if ended.done():
                    break
                writer.write(bytes([byte]))
                await asyncio.sleep(0.1)
            await ended
        assert asyncio.get_running_loop().time() - started_s < 3.0
        await shut(writer)


async def test_a_body_that_never_comes_is_cut_off_too() -> None:
    async with serving(MemoryGateway(), limits=QUICK) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /api/v1/silence HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        writer.write(b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n")
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 4) == b""
        await shut(writer)


async def test_where_all_are_busy_the_next_one_is_refused() -> None:
    limits = ConnectionLimits(connections_max=3, per_address_max=3)
    async with (
        serving(MemoryGateway(), limits=limits) as server,
        reading(server) as one,
        reading(server) as two,
        reading(server) as three,
    ):
        for busy in (one, two, three):
            await busy.next()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert (await asyncio.wait_for(reader.read(), 2)).startswith(b"HTTP/1.1 503")
        await shut(writer)


async def test_only_the_named_address_listens() -> None:
    async with serving(MemoryGateway()) as server:
        listening = [c.laddr for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN]
        assert [(where.ip) for where in listening if where.port == server.port] == ["127.0.0.1"]


async def test_an_address_that_is_taken_or_open_to_others_is_a_configuration_error() -> None:
    async with serving(MemoryGateway()) as server:
        for bind, words in ((f"127.0.0.1:{server.port}", "in use"), ("0.0.0.0:0", "nor a token exists")):
            with pytest.raises(ConfigError, match=words):
                await ApiServer(MemoryGateway()).start(bind)


async def test_the_server_starts_again_on_the_port_it_had() -> None:
    gateway = MemoryGateway()
    async with serving(gateway) as server:
        port = server.port
        async with reading(server) as reader:
            await reader.next()
            await server.stop()
    async with serving(gateway, bind=f"127.0.0.1:{port}") as server:
        assert (await ask(server)).status_code == 200
