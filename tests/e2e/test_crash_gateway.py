"""The whole gateway through kill -9 and power cuts, with instruments that count and alarms that never rest.

Each head shows how often the plant has been read, so every reading has a number of its own, and gas that comes and
goes, so events are always on their way to the disk, to a platform and to a reader of the live stream.
"""

import asyncio
import json
import os
import random
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.alarm import AlarmEvent
from gateway.core.clock import parse_rfc3339
from gateway.store.journal import Journal
from gateway.store.spool import Spool
from simulators.modbus_tcp import TcpEndpoint
from simulators.platform import Behaviour, PlatformServer, serve
from simulators.registers import Registers
from tests.e2e.gateway_process import Process
from tests.e2e.test_crash_stores import Disk, absent

UNITS = 8
FLUSH_S = 0.25
DISK_S = 1.5
"""What a flush may take on a busy machine, from the decision to flush to its end."""
SECRET = "whsec_" + "c2VjcmV0" * 5


class CountingPlant(TcpEndpoint):
    """Eight heads: registers 0 and 1 count the reads of the whole plant, register 2 is gas in tenths of %LEL."""

    def __init__(self) -> None:
        super().__init__({unit: Registers() for unit in range(1, UNITS + 1)})
        for registers in self.units.values():
            registers.define("holding", range(3))
        self.read_s: list[float] = []
        self.calm = False

    def plan(self, request: bytes) -> None:
        """No answer is remembered: each is counted."""

    def answer(self, unit: int, pdu: bytes) -> bytes | None:
        self.read_s.append(time.monotonic())
        gas = 0 if self.calm or int(self.read_s[-1] / 0.4 + unit / UNITS) % 2 else 400
        self.units[unit].write("holding", 0, len(self.read_s).to_bytes(4, "big") + gas.to_bytes(2, "big"))
        return super().answer(unit, pdu)


def site(plant: CountingPlant, platform: PlatformServer) -> dict[str, Any]:
    table = {"table": "holding"}
    gas = {"address": 2, "type": "uint16", "scale": 0.1}
    steps = {"low": 10, "high": 25}
    channels = [
        {"id": "count", "quantity": "count", "decimals": 0, "options": {**table, "address": 0, "type": "uint32"}},
        {"id": "ch4", "unit": "%LEL", "range": [0, 100], "options": {**table, **gas}},
    ]
    return {
        "site": {"id": "crash"},
        "connections": [{"id": "plc", "type": "modbus", "options": {"endpoint": plant.address}}],
        "instruments": [
            {"id": f"gd-{n}", "connection": "plc", "period_s": 0.05, "options": {"unit": n}, "channels": channels}
            for n in range(1, UNITS + 1)
        ],
        "rules": [{"id": "gas", "type": "threshold", "channels": ["*.ch4"], "latching": False, "options": steps}],
        "uplinks": [{"id": "p", "type": "webhook", "options": {"url": f"{platform.url}/alerts", "secret": "p"}}],
        "secrets": {"p": {"env": "HAZGATE_PLATFORM_SECRET"}},
        "storage": {"flush_s": FLUSH_S},
        "api": {"bind": "127.0.0.1:0"},
    }


class Story:
    """A plant, a platform and a data folder through many lives of a gateway."""

    def __init__(self, folder: Path, data: Path, seed: int) -> None:
        self.folder, self.data, self.seed = folder, data, seed
        self.rng = random.Random(seed)
        self.plant = CountingPlant()
        self.seen: dict[int, dict[str, Any]] = {}
        self.epoch = ""
        self.lost: set[int] = set()
        self.lives = 0
        self.dark = False
        self.spooled: set[int] = set()

    @asynccontextmanager
    async def told(self) -> AsyncIterator["Story"]:
        await self.plant.start()
        self.platform = await serve("127.0.0.1", 0, SECRET)
        self.site = self.folder / "site.yaml"
        self.site.write_text(json.dumps(site(self.plant, self.platform)))
        try:
            yield self
        finally:
            await self.platform.close()
            await self.plant.stop()

    async def live(self, ending: Callable[["Process"], None], *, power: bool = False) -> None:
        """Start the gateway, follow it for a moment, and end it as told; then look at what is on disk.

        A power cut here leaves the process alive for a moment on a disk that is gone, and a flush in that moment may
        still return. What it says then nobody would have heard: with `power`, reader and platform go dark first.
        """
        self.lives += 1
        first = len(self.plant.read_s)
        with self._started() as process:
            url = await process.url()
            follower = asyncio.create_task(self._follow(url))
            await asyncio.sleep(self.rng.uniform(0.0, 1.6))
            ended_s = time.monotonic()
            self.go_dark(dark=power)
            ending(process)
            process.kill()
            await follower
            await asyncio.sleep(0.1)
            self.go_dark(dark=False)
        self.check(first, ended_s)

    def go_dark(self, *, dark: bool) -> None:
        self.dark = dark
        self.platform.platform.behave(Behaviour(away=dark))

    def _started(self) -> Process:
        return Process(
            "run", str(self.site), "--data", str(self.data), "--json-logs",
            log=self.folder / "log", environment={"HAZGATE_PLATFORM_SECRET": SECRET},
        )  # fmt: skip

    async def _follow(self, url: str) -> None:
        with suppress(httpx.HTTPError):
            async with (
                httpx.AsyncClient(trust_env=False) as client,
                client.stream("GET", f"{url}api/v1/stream") as lines,
            ):
                seq = 0
                async for line in lines.aiter_lines():
                    word, _, rest = line.partition(": ")
                    if word == "id":
                        seq = int(rest)
                    elif word == "data" and seq and not self.dark and "kind" in (told := json.loads(rest)):
                        self.seen[seq] = told
                    elif not line:
                        seq = 0

    def check(self, first: int, ended_s: float) -> list[AlarmEvent]:
        """Compare what is on disk with what anybody has seen."""
        journal = Journal.open(self.data / "journal.db", "gw-1")
        try:
            events = journal.read(0, 1_000_000)
            where = f"seed {self.seed}, life {self.lives}"
            assert journal.verify() == (len(events), ""), where
            assert [event.seq for event in events] == list(range(1, len(events) + 1)), where
            assert journal.epoch == (self.epoch or journal.epoch), f"{where}: {journal.problems}"
            self.epoch = journal.epoch
        finally:
            journal.close()
        by_seq = {event.seq: event for event in events}
        for alert in self.alerts():
            event = by_seq.get(alert["sequence"])
            assert event is not None, f"{where}: the platform has event {alert['sequence']}, the journal has not"
            assert (alert["data"]["alarm"], alert["data"]["kind"]) == (event.alarm, event.kind), where
            assert parse_rfc3339(alert["timestamp"]) == event.time_ns // 1_000_000 * 1_000_000, where
        for seq, told in self.seen.items():
            assert seq in by_seq, f"{where}: event {seq} was shown and is not in the journal"
            assert told["kind"] == by_seq[seq].kind, where
        self._check_readings(first, ended_s, where)
        return events

    def _check_readings(self, first: int, ended_s: float, where: str) -> None:
        ids = [f"gd-{n}.{name}" for n in range(1, UNITS + 1) for name in ("count", "ch4")]
        spool = Spool.open(self.data / "spool", ids, bytes_max=1 << 30)
        try:
            found: list[int] = []
            number = spool.first_number
            while number < spool.durable:
                batch, number = spool.read(number, 50_000)
                counts = batch.value[(batch.row % 2 == 0) & (batch.quality == 0)]
                found += counts.astype(int).tolist()
            assert spool.problems == [], where
        finally:
            spool.close()
        assert len(found) == len(set(found)), f"{where}: a reading is there twice"
        self.spooled = set(found)
        lost = set(range(first + 1, len(self.plant.read_s) + 1)) - self.spooled
        assert lost - {n for n in lost if self.plant.read_s[n - 1] > ended_s - FLUSH_S - DISK_S} == set(), where
        self.lost |= lost
        everything = set(range(1, len(self.plant.read_s) + 1))
        assert everything - self.spooled == self.lost, f"{where}: readings of an earlier life are gone"

    def alerts(self) -> list[Any]:
        summary: Any = self.platform.platform.summary()
        return [alert.message for alert in summary["alerts"]]

    async def end_well(self) -> None:
        """Live once more without gas, until everybody has everything."""
        self.plant.calm = True
        self.lives += 1
        first = len(self.plant.read_s)
        with self._started() as process:
            await process.url()
            deadline, count = time.monotonic() + 30, -1
            while count != len(self.alerts()) and time.monotonic() < deadline:
                count = len(self.alerts())
                await asyncio.sleep(2.0)
            process.signal(15)
            assert await process.ended(5.0) == 0
        events = self.check(first, time.monotonic())
        keys = [alert["key"] for alert in self.alerts()]
        assert len(keys) == len(set(keys))
        assert sorted(int(key.rpartition(":")[2]) for key in keys)[: len(events) - 1] == list(range(1, len(events)))
        assert len(self.seen) > 10 * self.lives / 4, "the follower of the live stream has seen next to nothing"
        print(  # noqa: T201 - pytest shows it with a failure, and `-s` always
            f"seed {self.seed}: {self.lives} lives, {len(events)} events, {len(self.seen)} seen live, "
            f"{len(self.plant.read_s)} readings, {len(self.lost)} lost with the last flush"
        )


def new_seed() -> int:
    return int(os.environ.get("HAZGATE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)


async def kill_again_and_again(folder: Path, times: int) -> None:
    seed = new_seed()
    print(f"HAZGATE_SEED={seed}")  # noqa: T201 - pytest shows it with a failure
    async with Story(folder, folder / "data", seed).told() as story:
        for _ in range(times):
            await story.live(lambda process: process.kill())
        await story.end_well()


@pytest.mark.timeout(240)
async def test_nobody_loses_anything_by_kill_9_of_the_gateway(tmp_path: Path) -> None:
    await kill_again_and_again(tmp_path, 12)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_nobody_loses_anything_by_two_hundred_kills_of_the_gateway(tmp_path: Path) -> None:
    await kill_again_and_again(tmp_path, 200)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        absent("mounting a file system needs root")
    try:
        made = Disk(tmp_path, 256)
    except (OSError, subprocess.CalledProcessError) as error:
        absent(f"no loop mount here: {error}")
    yield made
    made.off()


async def cut_again_and_again(disk: Disk, folder: Path, times: int) -> None:
    seed = new_seed()
    print(f"HAZGATE_SEED={seed}")  # noqa: T201 - pytest shows it with a failure
    async with Story(folder, disk.mount / "data", seed).told() as story:

        def cut(process: Process) -> None:
            disk.cut()
            process.kill()
            disk.off()
            disk.on()

        for _ in range(times):
            await story.live(cut, power=True)
        await story.end_well()


@pytest.mark.timeout(180)
async def test_nobody_loses_anything_by_a_power_cut(disk: Disk, tmp_path: Path) -> None:
    await cut_again_and_again(disk, tmp_path, 3)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_nobody_loses_anything_by_fifty_power_cuts(disk: Disk, tmp_path: Path) -> None:
    await cut_again_and_again(disk, tmp_path, 50)
