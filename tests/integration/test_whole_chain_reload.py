"""What a reload changes and what it leaves alone, through the whole gateway with instruments on Modbus TCP.

Every head shows a value of its own, `100 * line + unit`, in register 0, and gas in register 1: a reading under a wrong
channel would show. A plant counts what it is asked and how often somebody connects.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.app import App
from gateway.core.alarm import Command, EventKind, Verb
from gateway.core.clock import SystemClock
from gateway.core.errors import CommandRefusedError
from gateway.core.model import Quality
from gateway.site.load import load_site
from gateway.store.spool import Spool
from simulators.modbus_tcp import TcpEndpoint
from simulators.registers import Registers
from tests.integration.whole_gateway import life, until

PERIOD_S = 0.05
UNITS = 6


class Plant(TcpEndpoint):
    """Six heads behind one address."""

    def __init__(self, line: int) -> None:
        super().__init__({unit: Registers() for unit in range(1, UNITS + 1)})
        self.line = line
        self.asked = Counter[int]()
        for unit, registers in self.units.items():
            registers.define("holding", range(2))
            registers.write("holding", 0, (100 * line + unit).to_bytes(2, "big"))

    def plan(self, request: bytes) -> None:
        """No answer is remembered: each is counted."""

    def answer(self, unit: int, pdu: bytes) -> bytes | None:
        self.asked[unit] += 1
        return super().answer(unit, pdu)

    def gas(self, unit: int, percent: float) -> None:
        self.units[unit].write("holding", 1, round(percent * 10).to_bytes(2, "big"))


@pytest.fixture
async def plants() -> AsyncIterator[list[Plant]]:
    made = [Plant(line) for line in range(3)]
    for plant in made:
        await plant.start()
    yield made
    for plant in made:
        await plant.stop()


class SiteUnderTest:
    """A site file that can be written anew."""

    def __init__(self, folder: Path, plants: list[Plant]) -> None:
        self.folder = folder
        self.path = folder / "site.yaml"
        self.plants = plants
        self.low = 10.0
        self.data: dict[str, Any] = {}
        self.set([(0, 1), (0, 2), (1, 1)])

    def set(self, heads: list[tuple[int, int]], **more: Any) -> None:
        """Write the file for these heads, as pairs of line and unit."""
        lines = list(dict.fromkeys(line for line, _ in heads))
        self.data = {
            "site": {"id": "reload"},
            "connections": [
                {"id": f"line{n}", "type": "modbus", "options": {"endpoint": self.plants[n].address}} for n in lines
            ],
            "instruments": [self.head(line, unit) for line, unit in heads],
            "rules": [self.rule()],
            "storage": {"flush_s": 0.05},
            "api": {"enabled": False},
            **more,
        }
        self.write()

    def rule(self, name: str = "gas") -> dict[str, Any]:
        limits = {"low": self.low, "high": 40}
        return {"id": name, "type": "threshold", "channels": ["*.ch4"], "latching": True, "options": limits}

    @staticmethod
    def head(line: int, unit: int) -> dict[str, Any]:
        channels = [
            {"id": "own", "quantity": "own", "options": {"table": "holding", "address": 0, "type": "uint16"}},
            {
                "id": "ch4",
                "unit": "%LEL",
                "range": [0, 100],
                "options": {"table": "holding", "address": 1, "type": "uint16", "scale": 0.1},
            },
        ]
        return {
            "id": f"gd-{line}{unit}",
            "connection": f"line{line}",
            "period_s": PERIOD_S,
            "options": {"unit": unit},
            "channels": channels,
        }

    def write(self) -> None:
        self.path.write_text(json.dumps(self.data, indent=1))


@pytest.fixture
def site(tmp_path: Path, plants: list[Plant]) -> SiteUnderTest:
    return SiteUnderTest(tmp_path, plants)


def value(app: App, channel: str) -> float:
    row = next((c.row for c in app.channels if c.id == channel), None)
    return float("nan") if row is None else float(app.pipeline.latest.value[row])


def good(app: App) -> bool:
    return bool((app.pipeline.latest.quality == Quality.GOOD).all())


def state(app: App, alarm: str) -> str:
    return next((a.event.state.value for a in app.alarms() if a.id == alarm), "normal")


def check_values(app: App) -> None:
    """Every head shows its own number, or nothing yet."""
    for channel in app.channels:
        shown = app.pipeline.latest.value[channel.row]
        if channel.id.endswith(".own") and not np.isnan(shown):
            assert shown == 100 * int(channel.id[3]) + int(channel.id[4]), channel.id


async def notes(app: App) -> list[str]:
    return [e.why for e in await app.events(0, 10_000, kind=EventKind.NOTE)]


async def order(app: App, verb: Verb, name: str, seconds: float = 0.0) -> None:
    await app.command(Command(verb=verb, alarm=name, who="li", why="on round", duration_s=seconds or 3600.0))


async def test_an_instrument_on_another_line_is_added_and_the_others_are_not_touched(
    site: SiteUnderTest, plants: list[Plant]
) -> None:
    async with life(site.path) as app:
        await until(lambda: good(app))
        sockets = [set(plant.connections) for plant in plants]
        site.set([(0, 1), (2, 4), (0, 2), (1, 1)])
        found = await app.reload("li")
        assert (found.applied, found.problems) == (True, ())
        assert found.what == "instrument gd-24 added, connection line2 added"
        await until(lambda: value(app, "gd-24.own") == 204)
        await until(lambda: good(app))
        check_values(app)
        assert [set(plant.connections) for plant in plants[:2]] == sockets[:2], "their sockets are the same ones"
        asked = [plant.asked.copy() for plant in plants]
        await asyncio.sleep(10 * PERIOD_S)
        for plant, before in zip(plants, asked, strict=True):
            for unit, count in before.items():
                assert plant.asked[unit] - count >= 7, "all are polled at their period"
        (event,) = [e for e in await app.events(0, 100, kind=EventKind.NOTE) if e.who]
        assert (event.who, event.why) == ("li", f"site file reloaded: {found.what}")


async def test_an_instrument_on_the_same_line_is_added_and_only_that_line_connects_anew(
    site: SiteUnderTest, plants: list[Plant]
) -> None:
    async with life(site.path) as app:
        await until(lambda: good(app))
        before = set(plants[1].connections)
        other = set(plants[0].connections)
        site.set([(0, 3), (0, 1), (0, 2), (1, 1)])
        await app.reload()
        await until(lambda: value(app, "gd-03.own") == 3 and good(app))
        check_values(app)
        assert set(plants[1].connections) == before
        assert set(plants[0].connections) != other


async def test_a_removed_channel_with_a_latched_alarm_ends_it_by_an_event_and_keeps_its_past(
    site: SiteUnderTest, plants: list[Plant]
) -> None:
    async with life(site.path) as app:
        await until(lambda: good(app))
        plants[0].gas(2, 30)
        await until(lambda: state(app, "gas:gd-02.ch4") == "unacked")
        plants[0].gas(2, 0)
        plants[1].gas(1, 20)
        await until(lambda: state(app, "gas:gd-02.ch4") == "latched_unacked")
        await until(lambda: state(app, "gas:gd-11.ch4") == "unacked")
        await order(app, Verb.ACKNOWLEDGE, "gas:gd-11.ch4")
        site.set([(1, 1), (0, 1)])
        await app.reload()
        assert state(app, "gas:gd-02.ch4") == "normal"
        assert state(app, "gas:gd-11.ch4") == "acked"
        ended = (await app.events(0, 1, alarm="gas:gd-02.ch4", newest_first=True))[0]
        assert (ended.kind, ended.state) == ("cleared", "normal")
        assert "no longer in the site file" in ended.why
        seqs = [e.seq for e in await app.events(0, 10_000)]
        assert seqs == list(range(1, len(seqs) + 1)), "numbers go on without a gap"
        past = await app.history("gd-02.own", 0, 1 << 62, 0)
        assert set(past.mean[~np.isnan(past.mean)].tolist()) == {2.0}
    async with life(site.path) as app:
        assert state(app, "gas:gd-11.ch4") == "acked"
        assert state(app, "gas:gd-02.ch4") == "normal"


async def test_a_changed_limit_applies_to_the_next_reading_and_touches_no_connection(
    site: SiteUnderTest, plants: list[Plant]
) -> None:
    async with life(site.path) as app:
        plants[0].gas(1, 15)
        await until(lambda: state(app, "gas:gd-01.ch4") == "unacked")
        sockets = [set(plant.connections) for plant in plants]
        site.low = 18.0
        site.set([(0, 1), (0, 2), (1, 1)])
        assert (await app.reload()).what == "rule gas changed"
        await until(lambda: state(app, "gas:gd-01.ch4") == "latched_unacked")
        plants[0].gas(2, 16)
        await until(lambda: value(app, "gd-02.ch4") == 16)
        site.low = 12.0
        site.set([(0, 1), (0, 2), (1, 1)])
        await app.reload()
        await until(lambda: state(app, "gas:gd-02.ch4") == "unacked")
        assert [set(plant.connections) for plant in plants] == sockets


async def test_shelving_acknowledgement_and_out_of_service_survive_and_a_silenced_site_stays_silent(
    site: SiteUnderTest, plants: list[Plant]
) -> None:
    async with life(site.path) as app:
        await until(lambda: good(app))
        for line, unit in ((0, 1), (0, 2), (1, 1)):
            plants[line].gas(unit, 30)
            name = f"gas:gd-{line}{unit}.ch4"
            await until(lambda name=name: state(app, name) == "unacked")  # type: ignore[misc]
        await order(app, Verb.SHELVE, "gas:gd-01.ch4", 3600)
        await order(app, Verb.OUT_OF_SERVICE, "gas:gd-11.ch4")
        await app.command(Command(verb=Verb.SILENCE, who="li"))
        before = {a.id: (a.event, a.silenced) for a in app.alarms()}
        site.set([(2, 1), (1, 1), (0, 2), (0, 1)], rules=[site.rule(), site.rule("second")])
        await app.reload()
        for name, kept in before.items():
            assert {a.id: (a.event, a.silenced) for a in app.alarms()}[name] == kept
        await until(lambda: state(app, "second:gd-01.ch4") == "unacked")
        assert app.audible(), "a new rule's alarm sounds"
        assert state(app, "gas:gd-01.ch4") == "shelved"


async def test_a_wrong_file_changes_nothing_and_every_mistake_is_told_with_its_line(
    site: SiteUnderTest, plants: list[Plant]
) -> None:
    async with life(site.path) as app:
        await until(lambda: good(app))
        sockets = [set(plant.connections) for plant in plants]
        table, channels = app.table, app.channels
        site.data["instruments"][0]["options"]["unit"] = "one"
        site.data["rules"][0]["options"]["low"] = 80
        site.data["connections"][1]["type"] = "modbux"
        site.write()
        found = await app.reload("li")
        assert not found.applied
        assert len(found.problems) >= 3
        assert all(line.startswith("site.yaml:") for line in found.problems)
        assert (app.table, app.channels) == (table, channels)
        told = [why for why in await notes(app) if "not reloaded" in why]
        assert len(told) == len(found.problems)
        assert found.problems[0] in told[0]
        site.path.write_text("site: [")
        assert (await app.reload()).problems[0].startswith("site.yaml:")
        site.path.unlink()
        assert not (await app.reload()).applied
        site.set([(0, 1), (0, 2), (1, 1)])
        assert (await app.reload()).what == "nothing changed"
        assert [set(plant.connections) for plant in plants] == sockets
        await until(lambda: good(app))


async def test_what_needs_a_restart_is_refused_whole(site: SiteUnderTest) -> None:
    async with life(site.path) as app:
        site.set([(0, 1), (2, 1)], site={"id": "other"}, storage={"flush_s": 2}, api={"enabled": True})
        found = await app.reload()
        assert not found.applied
        assert [line.split(": ")[1] for line in found.problems] == ["site.id", "storage.flush_s", "api.enabled"]
        assert all("needs a restart" in line for line in found.problems)
        assert [c.id for c in app.channels][:2] == ["gd-01.own", "gd-01.ch4"]
        assert app.site_id == "reload"


async def test_a_plugin_that_breaks_while_it_is_made_changes_nothing(
    site: SiteUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with life(site.path) as app:
        await until(lambda: good(app))

        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("a mistake in a driver")

        site.set([(0, 1), (2, 1)])
        with monkeypatch.context() as patched:
            patched.setattr("drivers.modbus.create", broken)
            found = await app.reload()
        assert (found.applied, found.problems) == (False, ("ZeroDivisionError: a mistake in a driver",))
        await until(lambda: good(app))


async def test_a_lost_connection_that_leaves_the_site_takes_its_system_alarm_along(
    site: SiteUnderTest, plants: list[Plant]
) -> None:
    async with life(site.path) as app:
        await until(lambda: good(app))
        await plants[1].stop()
        await until(lambda: state(app, "system/connection/line1") == "unacked")
        site.set([(0, 1), (0, 2)])
        await app.reload()
        ended = (await app.events(0, 1, alarm="system/connection/line1", newest_first=True))[0]
        assert ended.condition == "normal"
        assert "no longer in the site file" in ended.why
        await plants[1].start()


async def test_a_changed_profile_is_a_change_of_its_instruments(site: SiteUnderTest) -> None:
    profile = {
        "profile": "mine",
        "driver": "modbus",
        "maker": "Acme",
        "model": "GD-7",
        "source": "manual of 2024, page 12",
        "confidence": "medium",
        "channels": [{"id": "own", "quantity": "own", "options": {"table": "holding", "address": 0, "type": "uint16"}}],
    }
    own = site.folder / "mine.yaml"
    own.write_text(json.dumps(profile))
    site.set([(1, 1)], rules=[])
    head = {"id": "gd-02", "connection": "line0", "profile": "./mine.yaml", "period_s": 0.05, "options": {"unit": 2}}
    line = {"id": "line0", "type": "modbus", "options": {"endpoint": site.plants[0].address}}
    site.data["connections"].append(line)
    site.data["instruments"].append(head)
    site.write()
    async with life(site.path) as app:
        await until(lambda: value(app, "gd-02.own") == 2)
        untouched = set(site.plants[1].connections)
        profile["channels"][0]["options"]["scale"] = 0.5  # type: ignore[index]
        own.write_text(json.dumps(profile))
        assert (await app.reload()).what == "instrument gd-02 changed"
        await until(lambda: value(app, "gd-02.own") == 1)
        assert set(site.plants[1].connections) == untouched
        own.write_text(json.dumps({**profile, "channels": [{"id": "own", "options": {"type": "uint17"}}]}))
        found = await app.reload()
        assert not found.applied
        assert found.problems[0].startswith("mine.yaml:")


async def test_a_site_may_lose_all_its_instruments_and_get_them_back(site: SiteUnderTest, plants: list[Plant]) -> None:
    async with life(site.path) as app:
        await until(lambda: good(app))
        before = app.statistics()["readings_total"]
        site.set([], rules=[])
        assert (await app.reload()).applied
        assert (len(app.channels), app.instruments(), app.connections()) == (0, [], [])
        assert all(not plant.connections for plant in plants)
        assert app.statistics()["readings_total"] >= before, "a counter never falls"
        await asyncio.sleep(0.1)
        site.set([(1, 1), (0, 1)])
        assert (await app.reload()).applied
        await until(lambda: len(app.channels) == 4 and good(app))
        check_values(app)


async def test_many_who_ask_at_once_are_answered_or_refused_and_the_last_file_runs(site: SiteUnderTest) -> None:
    async with life(site.path) as app:
        await until(lambda: good(app))
        asking = [asyncio.create_task(app.reload(f"caller {n}")) for n in range(12)]
        gone = asyncio.create_task(app.reload("who goes away"))
        await asyncio.sleep(0)
        gone.cancel()
        found = await asyncio.gather(*asking, return_exceptions=True)
        refused = [one for one in found if isinstance(one, CommandRefusedError)]
        assert 0 < len(refused) < len(found)
        assert all("wait already" in str(one) for one in refused)
        site.set([(0, 1), (0, 4)])
        assert (await app.reload()).applied
        await until(lambda: value(app, "gd-04.own") == 4)


async def test_without_a_file_a_reload_is_refused(site: SiteUnderTest) -> None:
    app = App(load_site(site.path), site.folder / "data", SystemClock())
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(stop))
    await app.started.wait()
    with pytest.raises(CommandRefusedError, match="no site file"):
        await app.reload()
    stop.set()
    await running


async def test_running_delays_go_on_through_a_reload(site: SiteUnderTest, plants: list[Plant]) -> None:
    slow = {"low": 10, "on_delay_s": 1.5}
    rules = [{"id": "slow", "type": "threshold", "channels": ["*.ch4"], "options": slow}]
    site.set([(0, 1), (1, 1)], rules=rules)
    async with life(site.path) as app:
        await until(lambda: good(app))
        clock = SystemClock()
        plants[1].gas(1, 20)
        await until(lambda: value(app, "gd-11.ch4") == 20)
        began_s = clock.monotonic_s()
        for n in range(1, 6):
            await asyncio.sleep(0.2)
            site.set([(0, n), (1, 1), (2, n)], rules=rules)
            assert (await app.reload()).applied
        await until(lambda: state(app, "slow:gd-11.ch4") == "unacked")
        assert clock.monotonic_s() - began_s < 2.4, "the on-delay began anew"


@pytest.mark.parametrize("seed", [1, 2])
async def test_fifty_reloads_under_load_put_every_reading_under_its_own_channel(
    site: SiteUnderTest, plants: list[Plant], seed: int
) -> None:
    rng = random.Random(seed)
    every = [(line, unit) for line in (1, 2) for unit in range(1, UNITS + 1)]
    stays = [(0, 1), (0, 2)]
    async with life(site.path) as app:
        await until(lambda: good(app))
        socket = set(plants[0].connections)
        loop = asyncio.get_running_loop()
        began_s, asked, moved = loop.time(), plants[0].asked.copy(), set[int]()
        for _ in range(25):
            heads = rng.sample(every, rng.randrange(0, len(every)))
            site.low = rng.choice([10.0, 11.0, 12.0])
            # Where the line that stays stands in the file changes all the time; its own order does not.
            place = rng.randrange(0, len(heads) + 1)
            site.set([*heads[:place], *stays, *heads[place:]])
            assert (await app.reload()).applied
            for plant in plants:
                plant.gas(rng.randrange(1, UNITS + 1), rng.choice([0, 5, 20, 30]))
            await asyncio.sleep(rng.random() * 0.05)
            check_values(app)
            moved.add(next(c.row for c in app.channels if c.id == "gd-01.own"))
        lasted_s = loop.time() - began_s
        assert len(moved) > 5, "its rows were others again and again"
        assert set(plants[0].connections) == socket, "the line that stays was never closed"
        for unit in (1, 2):
            assert plants[0].asked[unit] - asked[unit] >= 0.8 * lasted_s / PERIOD_S, "and missed no poll"
        present = [channel.id for channel in app.channels]
        await until(lambda: good(app))
    names = [f"gd-{line}{unit}" for line in range(3) for unit in range(1, UNITS + 1)]
    spool = Spool.open(site.folder / "data" / "spool", present)
    try:
        for name in names:
            shown = spool.trend(f"{name}.own", 0, 1 << 62)
            values = set(shown.value[shown.quality == Quality.GOOD].tolist())
            assert values <= {100.0 * int(name[3]) + int(name[4])}, name
        kept = spool.trend("gd-01.own", 0, 1 << 62)
        assert int(kept.time_ns[1:].min()) > 0
        gaps_s = np.diff(kept.time_ns) / 1e9
        assert gaps_s.max() < 20 * PERIOD_S, "no reading of the line that stays was lost"
        assert (kept.quality == Quality.GOOD).all()
    finally:
        spool.close()
