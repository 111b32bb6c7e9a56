"""The whole chain: 10,000 channels at 1 Hz from Modbus TCP to acknowledged points in a database.

80 instruments of 125 registers, a connection each, three rules a channel. The gateway runs as `hazgate run` starts it;
beside it, in the same rounds and against the same server, the plain stack of well-known libraries.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable  # noqa: TC003 - one place for all imports
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.gateway import ROOT, GatewayProcess, Report, between, gateway
from benchmarks.measure import Figure, SkippedError, Spread, at_most, interleaved, table
from benchmarks.peers import Database, ModbusServer, cpu_s, influxd, modbus_server, victoria_metrics
from benchmarks.sites import WINDOW_S, site, store

UNITS = 80
Result = dict[str, float]


def main(short: bool = False) -> list[Figure]:
    rounds, settle_s, window_s = (1, 1.5, 2.0) if short else (3, WINDOW_S + 2.0, 8.0)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(modbus_server(folder, UNITS))
        databases = _databases(folder, stack)
        subjects: dict[str, Callable[[], Result]] = {
            f"gateway to {db.name}": lambda db=db: _gateway(folder, server, db, settle_s, window_s) for db in databases
        }
        subjects["plain stack"] = lambda: _plain(server, databases[0], min(settle_s, 3.0), window_s)
        results = interleaved(subjects, rounds)
    _show(results)
    return _figures(results)


def _databases(folder: Path, stack: ExitStack) -> list[Database]:
    found = [stack.enter_context(victoria_metrics(folder))]
    try:
        found.append(stack.enter_context(influxd(folder)))
    except SkippedError as reason:
        print(f"without InfluxDB: {reason}")
    return found


def _gateway(folder: Path, server: ModbusServer, database: Database, settle_s: float, window_s: float) -> Result:
    held = _held(database)
    wanted = site(server.port, UNITS, stores=[store(database.url)])
    with gateway(wanted, folder) as running:
        time.sleep(settle_s)
        before, database_before = running.ask(), cpu_s(database.pid)
        time.sleep(window_s)
        after, database_after = running.ask(), cpu_s(database.pid)
        missing = _missing(running, database, held)
        found = between(before, after)
        found["rss_mib"] = running.rss_mib
        found["heavy_modules"] = len(after["modules"])
        running.stop()
    found["missing"] = missing
    found["database_us"] = (database_after - database_before) / max(1.0, found["delivered"]) * 1e6
    return found


def _held(database: Database) -> int:
    """Return how many points a database holds when it rests."""
    held = -1
    while (now := database.points()) != held:
        held = now
        time.sleep(0.5)
    return held


def _missing(running: GatewayProcess, database: Database, held: int) -> float:
    """Return how many acknowledged readings the database does not have, looked at while nothing is on its way."""
    missing = float("nan")
    for _ in range(25):
        before: Report = running.ask()
        points = database.points() - held
        after: Report = running.ask()
        if before["delivered"] == after["delivered"] == before["durable"]:
            missing = float(before["durable"] - points)
            if missing == 0:
                break
        # A database may take some seconds until it shows new series.
        time.sleep(0.33)
    return missing


def _plain(server: ModbusServer, database: Database, settle_s: float, window_s: float) -> Result:
    held = _held(database)
    arguments = [server.port, UNITS, database.url, settle_s + 1, window_s]
    command = [sys.executable, "-m", "benchmarks.plain_stack", *map(str, arguments)]
    answer = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=180)
    found: dict[str, Any] = json.loads(answer.stdout)
    found["core"] = found["cpu_s"] / found["wall_s"]
    found["us_per_reading"] = found["cpu_s"] / max(1, found["readings"]) * 1e6
    found["readings_per_s"] = found["readings"] / found["wall_s"]
    found["missing"] = found["all_readings"] - (_held(database) - held)
    return found


def _show(results: dict[str, list[Result]]) -> None:
    def cell(found: list[Result], key: str, digits: int, scale: float = 1.0) -> str:
        return Spread.of(r[key] for r in found).text(digits, scale) if key in found[0] else "-"

    table(
        f"10,000 channels at 1 Hz, {len(next(iter(results.values())))} round(s)",
        ("stack", "readings/s", "% of a core", "µs CPU/reading", "database µs CPU/point", "missing points", "RSS MiB"),
        (
            (
                name,
                cell(found, "readings_per_s", 0),
                cell(found, "core", 2, 100),
                cell(found, "us_per_reading", 2),
                cell(found, "database_us", 2),
                cell(found, "missing", 0),
                cell(found, "rss_mib", 0),
            )
            for name, found in results.items()
        ),
    )


def _figures(results: dict[str, list[Result]]) -> list[Figure]:
    plain = results.pop("plain stack")
    first = next(iter(results.values()))
    core = Spread.of(r["core"] * 100 for r in first)
    ratio = Spread.of(
        ours["us_per_reading"] / theirs["us_per_reading"] for ours, theirs in zip(first, plain, strict=True)
    )
    figures = [
        at_most("10,000 channels at 1 Hz", core, 4, "% of a core"),
        at_most("CPU per reading, of the plain stack's", ratio, 0.125, digits=3),
    ]  # fmt: skip
    for name, found in results.items():
        share = Spread.of(r["us_per_reading"] / r["database_us"] for r in found)
        figures.append(at_most(f"CPU per reading, of {name.rpartition(' ')[2]}'s per point", share, 0.5))
        figures.append(at_most(f"{name}: points missing", Spread.of(r["missing"] for r in found), 0, digits=0))
    return figures
