"""Cursors of the live stream: who was away gets all events and no old value."""

import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from gateway.api import hub as hub_module
from gateway.api.access import ANYBODY
from gateway.api.hub import Cursor, Hub
from gateway.core.clock import ManualClock
from gateway.core.model import Level, Quality
from tests.integration.memory_gateway import MemoryGateway


@pytest.fixture
async def live() -> AsyncIterator[tuple[MemoryGateway, Hub]]:
    gateway = MemoryGateway(clock=ManualClock())
    hub = Hub(gateway)
    hub.readers = 1
    await hub.open()
    yield gateway, hub
    hub.close()
    assert not hub.running


def messages(data: bytes) -> list[tuple[str, Any]]:
    """Return (event, data) of each message."""
    parts = []
    for text in data.decode().split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in text.split("\n"))
        parts.append((lines["event"], json.loads(lines["data"])))
    return parts


async def follow_up(gateway: MemoryGateway, hub: Hub) -> None:
    """Let the hub see all that the journal has."""
    while not hub._seqs or hub._seqs[-1] < gateway.journal[-1].seq:
        await hub.news()()


async def test_a_reader_that_missed_seconds_gets_each_newest_value_once(live: tuple[MemoryGateway, Hub]) -> None:
    gateway, hub = live
    quick, slow = Cursor(), Cursor()
    for cursor in (quick, slow):
        await hub.join(cursor, ANYBODY)
    for step, value in ((0, 50.0), (1, 51.0), (0, 60.0)):
        gateway.read(step, value)
        hub._look()
        ((kind, frame),) = messages(await hub.take(quick))
        assert (kind, frame["values"]["rows"], frame["values"]["value"]) == ("values", [step], [value])
    ((kind, frame),) = messages(await hub.take(slow))
    assert (frame["values"]["rows"], frame["values"]["value"]) == ([0, 1], [60.0, 51.0])
    assert await hub.take(slow) == b""


async def test_readers_at_the_same_place_share_one_encoding(live: tuple[MemoryGateway, Hub]) -> None:
    gateway, hub = live
    cursors = [Cursor(), Cursor()]
    for cursor in cursors:
        await hub.join(cursor, ANYBODY)
    gateway.read(0, 9.0)
    hub._look()
    for cursor in cursors:
        await hub.take(cursor)
    assert len(hub._frames) == 1


async def test_a_value_that_turns_bad_and_good_again_is_told_each_time(live: tuple[MemoryGateway, Hub]) -> None:
    gateway, hub = live
    cursor = Cursor()
    await hub.join(cursor, ANYBODY)
    for quality, value, code in ((Quality.COMMS_LOST, None, 129), (Quality.STALE, None, 135), (Quality.GOOD, 1.0, 0)):
        gateway.read(2, 1.0, quality)
        hub._look()
        ((_, frame),) = messages(await hub.take(cursor))
        assert frame["values"] == {"rows": [2], "value": [value], "quality": [code]}


async def test_memory_of_events_is_bounded_and_none_is_lost(
    live: tuple[MemoryGateway, Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "RECENT_EVENTS", 10)
    gateway, hub = live
    cursor = Cursor()
    await hub.join(cursor, ANYBODY)
    for number in range(100):
        gateway.system(f"system/uplink/{number}", "no answer")
    await follow_up(gateway, hub)
    assert len(hub._messages) <= 20
    got = []
    while data := await hub.take(cursor):
        got += [event["seq"] for kind, event in messages(data) if kind == "alarm"]
    # A hundred alarms at once are a flood, which one more event says.
    assert got == [event.seq for event in gateway.journal] == list(range(1, 102))


async def test_events_between_the_snapshot_and_the_stream_are_not_lost(live: tuple[MemoryGateway, Hub]) -> None:
    gateway, hub = live
    gateway.judge(0, Level.LOW)
    cursor = Cursor()
    ((_, snapshot),) = messages(await hub.join(cursor, ANYBODY))
    gateway.judge(0, Level.HIGH)
    await follow_up(gateway, hub)
    events = [event["seq"] for kind, event in messages(await hub.take(cursor)) if kind == "alarm"]
    assert (snapshot["seq"], events) == (1, [2])


async def test_a_hub_whose_source_fails_ends_and_can_be_opened_again(
    live: tuple[MemoryGateway, Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, hub = live

    async def broken(_: int | None) -> AsyncIterator[None]:
        yield None
        raise OSError("the journal is gone")

    monkeypatch.setattr(gateway, "follow", broken)
    again = Hub(gateway)
    await again.open()
    while again.running:
        await again.news()()
    monkeypatch.undo()
    await again.open()
    assert again.running
    again.close()
    assert hub.running, "hubs do not know one another"


async def test_a_reader_of_an_earlier_channel_table_is_sent_away_and_never_sees_a_row_of_the_new_one(
    live: tuple[MemoryGateway, Hub],
) -> None:
    gateway, hub = live
    reader = Cursor(rows=np.array([1], np.int32), table=gateway.table)
    ((_, snapshot),) = messages(await hub.join(reader, ANYBODY))
    assert snapshot["table"] == gateway.table
    gateway.change([gateway.channels[1], gateway.channels[0]])
    assert not hub.over(reader), "what the hub holds is still of the old table"
    assert snapshot["values"]["rows"] == [1]
    gateway.read(0, 5.0)
    hub._look()
    assert hub.over(reader)
    assert messages(hub.farewell()) == [("table", {"table": gateway.table, "channels": 2})]
    late = Cursor(rows=np.array([1], np.int32), table=gateway.table - 1)
    ((kind, _),) = messages(await hub.join(late, ANYBODY))
    assert kind == "table", "who asked before the change gets no row of another meaning"
    fresh = Cursor(table=gateway.table)
    ((_, snapshot),) = messages(await hub.join(fresh, ANYBODY))
    assert snapshot["values"] == {"rows": [0, 1], "value": [5.0, None], "quality": [0, 128]}


async def test_a_new_reader_finds_the_new_table_at_once(live: tuple[MemoryGateway, Hub]) -> None:
    gateway, hub = live
    gateway.change(gateway.channels[:3])
    reader = Cursor(table=gateway.table)
    ((kind, snapshot),) = messages(await hub.join(reader, ANYBODY))
    assert (kind, len(snapshot["values"]["rows"])) == ("snapshot", 3)


async def test_what_is_told_of_an_alarm_beside_its_events_is_learned_anew(live: tuple[MemoryGateway, Hub]) -> None:
    gateway, hub = live
    gateway.judge(0, Level.HIGH)
    await follow_up(gateway, hub)
    assert hub._fixed
    gateway.change(gateway.channels[::-1])
    hub._look()
    assert not hub._fixed
