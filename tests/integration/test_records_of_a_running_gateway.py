"""The past of a running gateway: handed over, reported, exported and proved while it runs, and after a restart."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.app import App
from gateway.core.alarm import Command, Verb
from gateway.core.clock import NS_PER_S
from gateway.core.errors import StorageError
from gateway.store.proof import verify_export
from gateway.store.search import Query
from simulators.modbus_tcp import TcpEndpoint
from simulators.registers import Registers
from tests.integration.whole_gateway import life, until

GAS = "gas:gd-1.ch4"


@pytest.fixture
async def plant() -> AsyncIterator[TcpEndpoint]:
    registers = Registers()
    registers.define("holding", range(1))
    endpoint = TcpEndpoint({1: registers})
    await endpoint.start()
    yield endpoint
    await endpoint.stop()


@pytest.fixture
def site(plant: TcpEndpoint, tmp_path: Path) -> Path:
    channel = {"id": "ch4", "unit": "%LEL", "range": [0, 100], "options": {"table": "holding", "address": 0}}
    head = {"id": "gd-1", "connection": "plc", "area": "hall", "period_s": 0.1, "options": {"unit": 1}}
    data = {
        "site": {"id": "past", "name": "Hall", "name_zh": "大厅", "timezone": "Asia/Shanghai"},
        "connections": [{"id": "plc", "type": "modbus", "options": {"endpoint": plant.address}}],
        "instruments": [{**head, "label": "CH4 head", "label_zh": "甲烷探头", "channels": [channel]}],
        "areas": [{"id": "hall", "label": "Hall", "label_zh": "大厅"}],
        "rules": [
            {"id": "gas", "type": "threshold", "channels": ["*"], "latching": True, "options": {"low": 10, "high": 25}}
        ],
        "storage": {"flush_s": 0.1},
        "api": {"enabled": False},
    }
    path = tmp_path / "site.yaml"
    path.write_text(json.dumps(data))
    return path


async def hazgate(*words: str | Path) -> str:
    """Run the command beside the gateway."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from gateway.cli.main import main; main()", *map(str, words),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def leak(app: App, plant: TcpEndpoint) -> None:
    plant.units[1].write("holding", 0, (30).to_bytes(2, "big"))
    await until(lambda: any(a.event.state == "unacked" and a.id == GAS for a in app.alarms()))
    await app.command(Command(verb=Verb.ACKNOWLEDGE, alarm=GAS, who="王敏", why="已派人"))


async def test_a_shift_outlives_the_gateway_that_it_was_signed_in(
    site: Path, plant: TcpEndpoint, tmp_path: Path
) -> None:
    async with life(site) as app:
        await leak(app, plant)
        await app.records.handovers.note("王敏", "阀门 V3 已关闭")
        signed = await app.records.handovers.sign("王敏", "")
    async with life(site) as app:
        kept = await app.records.handovers.find(signed.id)
        assert not kept.altered
        assert [alarm.id for alarm in kept.report.open if not alarm.id.startswith("system/")] == [GAS]
        await app.records.handovers.accept(signed.id, "李雷", "")
        # The commands work beside the gateway that holds the folder.
        told = await hazgate("verify", tmp_path / "data", "--head", f"{kept.report.seq}:{kept.report.digest}")
        assert "all as they were written" in told
        page = tmp_path / "report.html"
        await hazgate("report", "handover", "--data", tmp_path / "data", "--id", signed.id, "--html", page)
        for words in ("大厅", "甲烷探头", "阀门 V3 已关闭", "李雷", "30 %LEL"):
            assert words in page.read_text("utf-8"), words
        file = tmp_path / "journal.jsonl"
        await hazgate("export", "--data", tmp_path / "data", file)
        assert not verify_export(file).problem
    await hazgate("report", "daily", "--data", tmp_path / "data", "--pdf", tmp_path / "d.pdf", "--lang", "en")
    assert (tmp_path / "d.pdf").read_bytes().startswith(b"%PDF-")


async def test_the_list_of_a_moment_is_what_was_listed_at_that_moment(site: Path, plant: TcpEndpoint) -> None:
    async with life(site) as app:
        await leak(app, plant)
        await app.recorder.committed(app.book.next_seq - 1)
        listed, at_ns = app.alarms(), app.clock.now_ns()
        plant.units[1].write("holding", 0, (0).to_bytes(2, "big"))
        await until(lambda: any(a.event.state == "latched_acked" for a in app.alarms()))
        await app.command(Command(verb=Verb.RESET, alarm=GAS, who="王敏"))
        then, _ = await app.records.alarms_at(at_ns)
        assert [(a.id, a.event.state, a.event.acked_by) for a in then] == [
            (a.id, a.event.state, a.event.acked_by) for a in listed
        ]
        now, _ = await app.records.alarms_at(app.clock.now_ns() + NS_PER_S)
        assert [a.id for a in now] == [a.id for a in app.alarms()]


async def test_what_a_broken_disk_has_not_taken_is_found_all_the_same(
    site: Path, plant: TcpEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with life(site) as app:
        await until(lambda: bool(app.latest().time_ns[0]))

        def refuse(_: object) -> None:
            raise StorageError("no room")

        with monkeypatch.context() as broken:
            broken.setattr(app.disk.journal, "append", refuse)
            await leak(app, plant)
            found = await app.records.search(Query(who="王敏", alarm=GAS))
            assert [event.kind.value for event in found.events] == ["acknowledged"]
            assert (await app.records.search(Query(who="王敏", alarm=GAS, after=found.events[0].seq))).events == []
