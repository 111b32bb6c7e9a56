"""What reaches databases and platforms through reloads: everything, once, under its own name."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core.alarm import EventKind
from gateway.core.model import Quality
from gateway.outbox import EVENT_PACE
from gateway.store.spool import Spool
from simulators.platform import Behaviour, serve
from tests.integration.test_influxdb import Server, influxd
from tests.integration.test_whole_chain_reload import Plant, SiteUnderTest, good, state, value
from tests.integration.whole_gateway import life, until

SECRET = "whsec_" + "c2VjcmV0" * 5


@pytest.fixture
async def plants() -> AsyncIterator[list[Plant]]:
    made = [Plant(line) for line in range(3)]
    for plant in made:
        await plant.start()
    yield made
    for plant in made:
        await plant.stop()


def influx_values(server: Server) -> dict[str, Counter[float]]:
    """Return how often each value is kept of each channel that tells its own number."""
    query = "SELECT value FROM reading WHERE quality = 0 GROUP BY channel"
    found = server.query("/query", db="hazgate", q=query)["results"][0].get("series", [])
    return {
        one["tags"]["channel"]: Counter(float(row[1]) for row in one["values"])
        for one in found
        if one["tags"]["channel"].endswith(".own")
    }


@pytest.mark.timeout(120)
async def test_a_database_gets_every_reading_under_its_own_channel_also_of_those_that_have_left(
    tmp_path: Path, plants: list[Plant]
) -> None:
    server = influxd(tmp_path)
    await asyncio.to_thread(server.start)
    stores = [{"id": "db", "type": "influxdb", "options": {"url": server.url, "database": "hazgate"}}]
    site, rng = SiteUnderTest(tmp_path, plants), random.Random(3)
    every = [(line, unit) for line in range(3) for unit in range(1, 5)]
    site.set(every, stores=stores)
    try:
        async with life(site.path) as app:
            await until(lambda: good(app))
            for turn in range(8):
                if turn == 3:
                    await asyncio.to_thread(server.end)
                if turn == 6:
                    # Whatever has left by now, its last readings are still on their way.
                    await asyncio.to_thread(server.start)
                site.set(rng.sample(every, rng.randrange(1, len(every))), stores=stores)
                assert (await app.reload()).applied
                await asyncio.sleep(0.2)
            await until(lambda: good(app))
            await until(lambda: app.uplinks()[0].up and not app.uplinks()[0].waiting, 40)
            await app.reload()
            await asyncio.sleep(0.5)
            await until(lambda: app.uplinks()[0].waiting < 200, 20)
            present = [channel.id for channel in app.channels]
        found = await asyncio.to_thread(influx_values, server)
    finally:
        await asyncio.to_thread(server.end)
    spool = Spool.open(tmp_path / "data" / "spool", present)
    try:
        for line, unit in every:
            name = f"gd-{line}{unit}.own"
            kept = spool.trend(name, 0, 1 << 62)
            count = int((kept.quality == Quality.GOOD).sum())
            assert set(found.get(name, ())) <= {100.0 * line + unit}, name
            if name in present:
                # The last flush before the end may not have been delivered yet.
                assert 0 <= count - found[name].total() < 40, name
            else:
                assert count == found.get(name, Counter()).total(), name
        assert sum(counter.total() for counter in found.values()) > 300
    finally:
        spool.close()


@pytest.mark.timeout(120)
async def test_a_platform_gets_every_event_in_order_through_reloads_that_change_its_connection(
    tmp_path: Path, plants: list[Plant], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATFORM_SECRET", SECRET)
    platform = await serve("127.0.0.1", 0, SECRET)
    site = SiteUnderTest(tmp_path, plants)

    def more(turn: int) -> dict[str, Any]:
        options = {"url": f"{platform.url}/alerts", "secret": "platform"}
        return {
            "site": {"id": "reload", "name": f"turn {turn // 2}"},
            "uplinks": [{"id": "park", "type": "webhook", "options": options}],
            "secrets": {"platform": {"env": "PLATFORM_SECRET"}},
        }

    try:
        site.set([(0, 1), (0, 2), (1, 1)], **more(0))
        async with life(site.path) as app:
            await until(lambda: good(app))
            for turn in range(1, 11):
                plants[0].gas(1, 30 if turn % 2 else 0)
                plants[1].gas(1, 0 if turn % 3 else 50)
                site.low = 10.0 + turn
                site.set([(0, 1), (1, 1), *([(0, 2)] if turn % 4 else [])], **more(turn))
                assert (await app.reload()).applied
                await asyncio.sleep(0.1)
            raised = [e.seq for e in await app.events(0, 10_000)]
            await until(lambda: platform.platform.summary()["count"] >= len(raised), 20)  # type: ignore[operator]
            assert any(e.kind is EventKind.RAISED for e in await app.events(0, 10_000))
        alerts: Any = platform.platform.summary()["alerts"]
        told = [alert.message["sequence"] for alert in alerts]
        assert told[: len(raised)] == raised, "in order, none missing"
    finally:
        await platform.close()


async def test_the_alarm_of_a_platform_that_is_away_stays_through_a_reload_and_ends_when_it_is_back(
    tmp_path: Path, plants: list[Plant], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATFORM_SECRET", SECRET)
    hasty = replace(EVENT_PACE, alarm_after_s=0.5, backoff_min_s=0.1, backoff_max_s=0.3)
    monkeypatch.setattr("gateway.outgoing.EVENT_PACE", hasty)
    platform = await serve("127.0.0.1", 0, SECRET)
    site = SiteUnderTest(tmp_path, plants)
    options = {"url": f"{platform.url}/alerts", "secret": "platform"}
    uplinks = [{"id": "park", "type": "webhook", "options": options}]
    more: dict[str, Any] = {"uplinks": uplinks, "secrets": {"platform": {"env": "PLATFORM_SECRET"}}}
    alarm = "system/uplink/park"
    try:
        site.set([(0, 1)], **more)
        async with life(site.path) as app:
            await until(lambda: good(app))
            platform.platform.behave(Behaviour(away=True))
            plants[0].gas(1, 30)
            await until(lambda: state(app, alarm) == "unacked")
            site.set([(0, 1), (0, 2)], **more)
            await app.reload()
            assert state(app, alarm) == "unacked", "a reload is no sign of life"
            platform.platform.behave(Behaviour())
            await until(lambda: state(app, alarm) == "returned", 15)
            # An outage that begins before a reload can deliver anything is told by whoever delivers after it.
            platform.platform.behave(Behaviour(away=True))
            site.set([(0, 1), (1, 2)], **more)
            await app.reload()
            await until(lambda: state(app, alarm) == "unacked", 15)
            site.set([(0, 1), (0, 2)])
            await app.reload()
            ended = (await app.events(0, 1, alarm=alarm, newest_first=True))[0]
            assert ended.condition == "normal"
            assert "no longer in the site file" in ended.why
            assert app.uplinks() == []
            await until(lambda: value(app, "gd-02.own") == 2)
    finally:
        await platform.close()
