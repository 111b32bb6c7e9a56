"""`hazgate run` and `hazgate reload` as processes: what is told, and a kill -9 in the middle of a reload."""

import asyncio
import json
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.model import Quality
from gateway.store.history import History
from gateway.store.journal import Journal
from gateway.store.spool import Spool
from simulators.modbus_tcp import TcpEndpoint
from simulators.registers import Registers
from tests.e2e.gateway_process import Process

pytestmark = pytest.mark.timeout(120)
UNITS = 12
RELOADED = "site file reloaded"


@pytest.fixture
async def plant() -> AsyncIterator[TcpEndpoint]:
    """Twelve heads of which each shows its unit."""
    made = TcpEndpoint({unit: Registers() for unit in range(1, UNITS + 1)})
    for unit, registers in made.units.items():
        registers.define("holding", range(1))
        registers.write("holding", 0, unit.to_bytes(2, "big"))
    await made.start()
    yield made
    await made.stop()


def site(plant: TcpEndpoint, units: list[int], **more: Any) -> str:
    own = {"id": "own", "options": {"table": "holding", "address": 0, "type": "uint16"}}
    halves = {"even": [u for u in units if u % 2 == 0], "odd": [u for u in units if u % 2]}
    data = {
        "site": {"id": "reload-command"},
        "connections": [
            {"id": name, "type": "modbus", "options": {"endpoint": plant.address}} for name, of in halves.items() if of
        ],
        "instruments": [
            {"id": f"u-{unit}", "connection": name, "period_s": 0.02, "options": {"unit": unit}, "channels": [own]}
            for name, of in halves.items()
            for unit in of
        ],
        "rules": [{"id": "top", "type": "threshold", "channels": ["*"], "options": {"high": 100 + units[0]}}],
        "storage": {"flush_s": 0.05},
        "api": {"enabled": False},
        **more,
    }
    return json.dumps(data, indent=1)


async def reload(tmp_path: Path, path: Path, *more: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it says."""
    with Process("reload", str(path), "--data", str(tmp_path / "data"), *more, log=tmp_path / "reload") as command:
        code = await command.ended(30)
        return code, command.output()


async def announced(tmp_path: Path, gateway: Process) -> None:
    """Wait until the gateway takes reloads; one that was killed has left its own notice."""
    mine, notice = f'"pid":{gateway.pid},', tmp_path / "data" / "running.json"
    async with asyncio.timeout(30):
        while not notice.exists() or mine not in notice.read_text():
            assert gateway.process.poll() is None, gateway.output()[-2000:]
            await asyncio.sleep(0.02)


def run(tmp_path: Path, path: Path) -> Process:
    return Process("run", str(path), "--data", str(tmp_path / "data"), "--json-logs", log=tmp_path / "log")


async def test_the_command_says_what_changed_or_every_mistake_and_the_gateway_goes_on(
    plant: TcpEndpoint, tmp_path: Path
) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(site(plant, [1, 2]))
    code, said = await reload(tmp_path, path)
    assert code == 1, said
    with run(tmp_path, path) as gateway:
        await announced(tmp_path, gateway)
        assert await reload(tmp_path, path) == (0, "nothing changed\n")
        path.write_text(site(plant, [1, 2, 3]))
        assert await reload(tmp_path, path) == (0, "instrument u-3 added\n")
        path.write_text(site(plant, [1, 2, 3]).replace('"unit": 2', '"unit": "two"').replace("uint16", "uint17"))
        code, said = await reload(tmp_path, path)
        assert code == 78
        assert len(said.splitlines()) == 4
        assert all(line.startswith("site.yaml:") for line in said.splitlines())
        other = tmp_path / "other.yaml"
        other.write_text(site(plant, [1]))
        code, said = await reload(tmp_path, other)
        assert (code, str(path) in said) == (1, True)
        path.write_text(site(plant, [3, 2, 1]))
        gateway.signal(signal.SIGHUP)
        await gateway.said(RELOADED, 10)
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended(10) == 0
    journal = Journal.open(tmp_path / "data" / "journal.db", "gw-1")
    told = [event.why for event in journal.read(0, 1000, kind="note")]
    journal.close()
    assert "site file reloaded: instrument u-3 added" in told
    assert sum("not reloaded" in why for why in told) == 4


async def test_a_kill_in_the_middle_of_a_reload_leaves_every_reading_under_its_own_channel(
    plant: TcpEndpoint, tmp_path: Path
) -> None:
    path = tmp_path / "site.yaml"
    rng = random.Random(5)
    every = list(range(1, UNITS + 1))
    path.write_text(site(plant, every))
    for _ in range(4):
        with run(tmp_path, path) as gateway:
            await announced(tmp_path, gateway)
            for _ in range(rng.randrange(1, 4)):
                path.write_text(site(plant, rng.sample(every, rng.randrange(1, UNITS + 1))))
                gateway.signal(signal.SIGHUP)
                await asyncio.sleep(rng.random() * 0.2)
            gateway.kill()
    path.write_text(site(plant, every))
    with run(tmp_path, path) as gateway:
        await announced(tmp_path, gateway)
        await asyncio.sleep(0.5)
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended(10) == 0
    spool = Spool.open(tmp_path / "data" / "spool", [f"u-{unit}.own" for unit in every])
    history = History.open(tmp_path / "data" / "history.db", [])
    seen = 0
    for unit in every:
        kept = spool.trend(f"u-{unit}.own", 0, 1 << 62)
        good = kept.value[kept.quality == Quality.GOOD]
        assert set(good.tolist()) == {float(unit)}
        seen += len(good)
        minutes = history.query(f"u-{unit}.own", 0, 1 << 62)
        real = minutes.count > minutes.bad
        assert set(minutes.low[real].tolist()) | set(minutes.high[real].tolist()) == {float(unit)}
    assert seen > 200
    assert spool.problems == []
    assert history.problems == []
    spool.close()
    history.close()
    journal = Journal.open(tmp_path / "data" / "journal.db", "gw-1")
    assert journal.verify()[1] == ""
    numbers = [event.seq for event in journal.read(0, 10_000)]
    assert numbers == sorted(set(numbers))
    assert sum(RELOADED in event.why for event in journal.read(0, 10_000, kind="note")) >= 3
    journal.close()
