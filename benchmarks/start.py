"""From the start of the process to the first reading, what it then holds in memory, and what it has not loaded."""

import tempfile
import time
import urllib.request
from collections.abc import Callable  # noqa: TC003 - one place for all imports
from pathlib import Path
from typing import Any

from benchmarks.gateway import ROOT, gateway
from benchmarks.measure import Figure, Spread, at_most, interleaved, table
from benchmarks.peers import ModbusServer, free_port, modbus_server
from benchmarks.sites import site

UNITS = 80
ABSENT = ("river", "scipy", "influxdb_client", "reportlab")
Result = dict[str, Any]


def main(short: bool = False) -> list[Figure]:
    rounds, wait_s = (1, 0.5) if short else (3, 4.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with modbus_server(folder, UNITS) as server:
            subjects: dict[str, Callable[[], Result]] = {
                "example site": lambda: _run(_example(server), folder, wait_s),
                "10,000 channels": lambda: _run(site(server.port, UNITS), folder, wait_s),
                "10,000 channels, API": lambda: _run(_with_api(server), folder, wait_s),
            }
            if not short:
                subjects["example site"]()  # so that all is compiled and cached
            results = interleaved(subjects, rounds)
    _show(results)
    return _figures(results)


def _example(server: ModbusServer) -> dict[str, Any]:
    """Return the boiler room, its line replaced by TCP."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - only here

    loaded: dict[str, Any] = YAML(typ="safe").load((ROOT / "config/sites/boiler-room.yaml").read_text("utf-8"))
    loaded["connections"][0]["options"] = {"endpoint": f"tcp://127.0.0.1:{server.port}"}
    loaded["api"] = {"bind": f"127.0.0.1:{free_port()}"}
    return loaded


def _with_api(server: ModbusServer) -> dict[str, Any]:
    return site(server.port, UNITS, api={"bind": f"127.0.0.1:{free_port()}"})


def _run(wanted: dict[str, Any], folder: Path, wait_s: float) -> Result:
    with gateway(wanted, folder) as running:
        time.sleep(wait_s)
        report = running.ask()
        if report["port"]:
            for path in ("/", "/api/v1/channels", "/api/v1/alarms"):
                address = f"http://127.0.0.1:{report['port']}{path}"
                request = urllib.request.Request(address, headers={"Authorization": f"Bearer {running.token}"})
                with urllib.request.urlopen(request, timeout=20) as answer:
                    answer.read()
        found = {
            "first_s": running.first_reading_s,
            "cpu_s": running.first_reading_cpu_s,
            "rss": running.rss_mib,
            "modules": running.ask()["modules"],
        }
        running.stop()
    return found


def _show(results: dict[str, list[Result]]) -> None:
    table(
        f"{len(next(iter(results.values())))} round(s)",
        ("site", "first reading s", "CPU s until then", "RSS MiB", "heavy modules loaded"),
        (
            (
                name,
                Spread.of(r["first_s"] for r in found).text(),
                Spread.of(r["cpu_s"] for r in found).text(),
                Spread.of(r["rss"] for r in found).text(0),
                ", ".join(found[0]["modules"]) or "none",
            )
            for name, found in results.items()
        ),
    )


def _figures(results: dict[str, list[Result]]) -> list[Figure]:
    figures = [
        at_most(f"start to first reading, {name}", Spread.of(r["first_s"] for r in results[name]), 1.0, "s")
        for name in ("example site", "10,000 channels")
    ]
    memory = {"10,000 channels, API": "API and console on", "10,000 channels": "headless"}
    figures += [
        at_most(f"memory, 10,000 channels, {how}", Spread.of(r["rss"] for r in results[name]), 110, "MiB", 0)
        for name, how in memory.items()
    ]
    loaded = {module for found in results.values() for r in found for module in r["modules"]} & set(ABSENT)
    figures.append(
        Figure(f"not loaded: {', '.join(ABSENT)}", "none loaded", ", ".join(loaded) or "none loaded", met=not loaded)
    )
    return figures
