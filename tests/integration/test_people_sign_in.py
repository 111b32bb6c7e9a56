"""Signing in over real sockets, with real tables and true hashing costs, while alarms go on."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from gateway.api.connections import ConnectionLimits
from gateway.api.server import ApiServer
from gateway.core.errors import ConfigError
from gateway.core.model import Level
from gateway.people.passwords import Passwords
from gateway.people.people import People
from gateway.store.journal import Journal
from gateway.store.people import PeopleStore
from tests.integration.memory_gateway import MemoryGateway

GOOD = "correct horse 9"
V1 = "/api/v1"
MANY = ConnectionLimits(connections_max=400, per_address_max=400)


@asynccontextmanager
async def staffed(folder: Path, *, limits: ConnectionLimits | None = None) -> AsyncIterator[tuple[MemoryGateway, str]]:
    """Serve a gateway whose people are in a journal on the disk; gives it and its address."""
    gateway = MemoryGateway()
    journal = Journal.open(folder / "journal.db", "gw-1")
    gateway.people = People(  # type: ignore[assignment]  # the true one
        PeopleStore(journal.database),
        journal,
        gateway.clock,
        tell=lambda event: gateway.publish([gateway.book.number(event)]),
        passwords=Passwords(),
    )
    server = ApiServer(gateway, limits=limits)
    if not await gateway.people.has_accounts():
        for name, role in (("王敏", "administrator"), ("li", "operator")):
            await gateway.people.make("test", name, "", role, GOOD)
        for key in ("王敏", "li"):
            await asyncio.to_thread(PeopleStore(journal.database).change, key, must_change=False)
    await server.start("127.0.0.1:0")
    try:
        yield gateway, f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()
        journal.close()


async def sign_in(client: httpx.AsyncClient, name: str) -> dict[str, str]:
    """Sign in; returns the headers that orders need."""
    answer = await client.post(f"{V1}/session", json={"name": name, "password": GOOD})
    assert answer.status_code == 200, answer.text
    return {"X-CSRF-Token": answer.json()["csrf"]}


async def test_a_session_outlives_a_restart(tmp_path: Path) -> None:
    async with staffed(tmp_path) as (_, url), httpx.AsyncClient(base_url=url) as client:
        csrf = await sign_in(client, "li")
        cookie = client.cookies["hazgate_session"]
    async with staffed(tmp_path) as (_, url), httpx.AsyncClient(base_url=url) as client:
        client.cookies.set("hazgate_session", cookie)
        assert (await client.post(f"{V1}/silence", json={}, headers=csrf)).status_code == 200
        assert (await client.get(f"{V1}/session")).json()["name"] == "li"


async def test_a_revoked_session_loses_its_live_stream_within_seconds(tmp_path: Path) -> None:
    async with (
        staffed(tmp_path) as (_, url),
        httpx.AsyncClient(base_url=url, timeout=20) as li,
        httpx.AsyncClient(base_url=url, timeout=20) as admin,
    ):
        await sign_in(li, "li")
        csrf = await sign_in(admin, "王敏")
        async with li.stream("GET", f"{V1}/stream") as stream:
            assert stream.status_code == 200
            parts = stream.aiter_bytes()
            assert b"snapshot" in await anext(parts)
            began_s = time.monotonic()
            ended = await admin.post(f"{V1}/accounts/li/sign-out", json={}, headers=csrf)
            assert ended.json() == {"ended": 1}
            async for _ in parts:
                pass
        assert time.monotonic() - began_s < 10
        assert (await li.get(f"{V1}/alarms")).status_code == 401


async def test_an_account_protects_an_address_as_a_token_does(tmp_path: Path) -> None:
    async with staffed(tmp_path) as (gateway, _):
        server = ApiServer(gateway)
        await server.start("0.0.0.0:0")
        await server.stop()
        try:
            await ApiServer(MemoryGateway()).start("0.0.0.0:0")
        except ConfigError as error:
            assert "hazgate account add" in error.problem  # noqa: PT017 - the other half of one statement
        else:
            raise AssertionError("an open address was served")


async def attack(port: int, tries: int) -> list[int]:
    """Try wrong passwords one after another over one connection, as fast as the answers come; returns the statuses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    told = []
    for number in range(tries):
        body = b'{"name":"n%d","password":"wrong"}' % (number % 7)
        head = b"POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        told.append(int(answer.split()[1]))
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(int(length.partition(b":")[2]))
    writer.close()
    await writer.wait_closed()
    return told


async def test_a_thousand_wrong_sign_ins_hold_no_acknowledgement_up(tmp_path: Path) -> None:
    """Orders go on in the midst of them, each long before the attack is over; true hashing costs."""
    async with (
        staffed(tmp_path, limits=MANY) as (gateway, url),
        httpx.AsyncClient(base_url=url, timeout=30) as client,
    ):
        csrf = await sign_in(client, "li")
        attackers = [asyncio.create_task(attack(int(url.rpartition(":")[2]), 10)) for _ in range(100)]
        began_s, times = time.monotonic(), []
        while not all(attacker.done() for attacker in attackers):
            gateway.judge(0, Level.HIGH)
            ordered_s = time.monotonic()
            done = await client.post(f"{V1}/alarms/high:gd-00.ch4/acknowledge", json={}, headers=csrf)
            times.append(time.monotonic() - ordered_s)
            assert done.status_code == 200, done.text
            gateway.judge(0, Level.NORMAL)
            reset = await client.post(f"{V1}/alarms/high:gd-00.ch4/reset", json={}, headers=csrf)
            assert reset.status_code == 200, reset.text
        whole_s = time.monotonic() - began_s
        told = [status for attacker in attackers for status in await attacker]
        assert len(told) == 1000
        assert set(told) <= {401, 429, 503}
        # Five at once, then one whenever the growing wait is over.
        assert told.count(401) <= 12
        assert len(times) >= 3
        assert statistics.median(times) < whole_s / 3
        assert (await client.get(f"{V1}/session")).json()["signed_in"]


async def test_hashing_leaves_the_loop_free(tmp_path: Path) -> None:
    """Two hashings at once in threads of their own: the loop turns meanwhile."""
    async with staffed(tmp_path) as (gateway, _):
        turns = 0
        hashing = [asyncio.create_task(gateway.people._proving.hashed(GOOD)) for _ in range(4)]
        while not all(task.done() for task in hashing):
            await asyncio.sleep(0)
            turns += 1
        assert len({await task for task in hashing}) == 4
        assert turns > 50
