"""The example sites as the README runs them: a simulated plant in one process, the gateway in another."""

import asyncio
import json
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.e2e.gateway_process import ROOT, Process

EXAMPLES = {
    "boiler-room": "boiler-room-quiet",
    "tank-farm": "tank-farm-quiet",
    "kitchen-row": "kitchen-row-quiet",
    "demo": "quiet",
}
pytestmark = pytest.mark.timeout(120)


def taken(site: str) -> str | None:
    """Return a port of an example that somebody else on this machine listens on; examples have fixed ones."""
    text = (ROOT / "config" / "sites" / f"{site}.yaml").read_text(encoding="utf-8")
    for port in range(15000, 19000):
        if str(port) in text:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    return str(port)
    return None


async def bad_channels(client: httpx.AsyncClient) -> list[str]:
    answer = (await client.get("api/v1/channels")).json()
    rows = answer["channels"] if isinstance(answer, dict) else answer
    return [f"{row['id']} {row['quality']}" for row in rows if row["quality"] != "good"]


@pytest.mark.parametrize("site", EXAMPLES)
async def test_an_example_shows_every_channel_good_and_ends_promptly(site: str, tmp_path: Path) -> None:
    if port := taken(site):
        pytest.skip(f"port {port} of the example is taken on this machine")
    scenario = ROOT / "config" / "scenarios" / f"{EXAMPLES[site]}.yaml"
    with Process("simulate", str(scenario), log=tmp_path / "plant") as plant:
        await plant.said("127.0.0.1" if site != "boiler-room" else "line", 30)
        with Process(
            "run", str(ROOT / "config" / "sites" / f"{site}.yaml"), "--data", str(tmp_path / "data"),
            "--bind", "127.0.0.1:0", "--json-logs", log=tmp_path / "log",
        ) as gateway:  # fmt: skip
            async with httpx.AsyncClient(base_url=await gateway.url(), trust_env=False) as client:
                for _ in range(150):
                    if not (bad := await bad_channels(client)):
                        break
                    await asyncio.sleep(0.1)
                assert not bad
            gateway.signal(signal.SIGTERM)
            assert await gateway.ended(2.0) == 0
        assert "Traceback" not in gateway.output()
        plant.signal(signal.SIGTERM)
        await plant.ended(2.0)


async def test_a_console_whose_port_is_taken_is_told_and_the_gateway_runs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        gateway = Process(
            "run", str(ROOT / "config" / "sites" / "tank-farm.yaml"), "--data", str(tmp_path / "data"),
            "--bind", bind, "--json-logs", log=tmp_path / "log",
        )  # fmt: skip
        with gateway:
            assert bind in await gateway.said("console cannot be served")
            gateway.signal(signal.SIGTERM)
            assert await gateway.ended(5.0) == 0


@pytest.mark.parametrize("site", [*EXAMPLES, "profiles"])
async def test_an_example_is_a_valid_site(site: str, tmp_path: Path) -> None:
    with Process("check", str(ROOT / "config" / "sites" / f"{site}.yaml"), log=tmp_path / "log") as check:
        assert await check.ended(20) == 0
    assert "no mistakes" in check.output()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("period_s: 1\n", "period_s: fast\n"), "period_s"),
        (("connection: line1", "connection: line9"), "line9"),
        (("type: modbus,", "type: modbuss,"), "modbuss"),
        (("low: 10, high: 25", "low: 25, high: 10"), "low"),
    ],
)
async def test_a_mistake_in_the_site_file_ends_with_78_and_its_line(
    change: tuple[str, str], told: str, tmp_path: Path
) -> None:
    text = (ROOT / "config" / "sites" / "demo.yaml").read_text(encoding="utf-8")
    assert change[0] in text
    line = text[: text.index(change[0])].count("\n") + 1
    site = tmp_path / "site.yaml"
    site.write_text(text.replace(change[0], change[1], 1))
    for arguments in (["check", str(site)], ["run", str(site), "--data", str(tmp_path / "data")]):
        with Process(*arguments, log=tmp_path / "log") as process:
            assert await process.ended(20) == 78
        assert f"site.yaml:{line}:" in process.output()
        assert told in process.output()
        assert "Traceback" not in process.output()
    assert not (tmp_path / "data").exists()


async def test_a_site_file_that_is_not_there_ends_with_78(tmp_path: Path) -> None:
    with Process("check", str(tmp_path / "no.yaml"), log=tmp_path / "log") as process:
        assert await process.ended(20) == 78
    assert "no.yaml" in process.output()
    assert "Traceback" not in process.output()


async def test_a_second_gateway_in_a_data_folder_is_refused_in_words(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(json.dumps({"site": {"id": "alone"}, "api": {"bind": "127.0.0.1:0"}}))
    arguments = ("run", str(site), "--data", str(tmp_path / "data"), "--json-logs")
    with Process(*arguments, log=tmp_path / "log") as first:
        await first.url()
        with Process(*arguments, log=tmp_path / "log2") as second:
            assert await second.ended(20) == 1
        assert "in use by another gateway" in second.output()
        assert "Traceback" not in second.output()
