"""Modbus TCP as fast as it goes: 16 connections, 125 registers a read, one request on the way on each.

Ours beside a C client that does nothing else, and pymodbus; the server is the C one. `driver` is all of ours, from
the socket to a batch of scaled and range-checked readings; `link` is its connection alone. The `burst` ones have eight
requests on the way, as an instrument's options may allow; the C client and pymodbus do not pipeline.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable  # noqa: TC003 - one place for all imports
from pathlib import Path

from benchmarks.gateway import ROOT
from benchmarks.measure import Figure, Spread, at_least, interleaved, table
from benchmarks.peers import compiled, modbus_server

CONNECTIONS = 16
BURST = 8
Result = dict[str, float]


def main(short: bool = False) -> list[Figure]:
    rounds, seconds = (1, 0.3) if short else (5, 1.0)
    kinds = {
        "driver": ["driver"],
        "link": ["link"],
        "driver, burst": ["driver_burst"],
        "link, burst": ["link_burst"],
        "pymodbus": ["pymodbus"],
    }
    if importlib.util.find_spec("uvloop"):
        kinds |= {f"{label}, uvloop": [*words, "--uvloop"] for label, words in kinds.items()}
    else:
        print("without uvloop: it is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        client = compiled("modbus_client", folder)
        with modbus_server(folder, CONNECTIONS * BURST) as server:
            place = [str(server.port), str(CONNECTIONS), str(seconds)]
            subjects: dict[str, Callable[[], Result]] = {"C epoll": lambda: _run([str(client), *place])}
            for label, (kind, *more) in kinds.items():
                command = [sys.executable, "-m", "benchmarks.modbus_clients", kind, *place, *more]
                subjects[label] = lambda command=command: _run(command)
            results = interleaved(subjects, rounds)
    for name, found in results.items():
        if not all(r["reads"] for r in found):
            raise RuntimeError(f"{name} read nothing")
    _show(results)
    return _figures(results)


def _run(command: list[str]) -> Result:
    found: Result = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=60).stdout)
    found["per_s"] = found["reads"] / found["wall_s"]
    found["us"] = found["cpu_s"] / max(1, found["reads"]) * 1e6
    return found


def _ratio(results: dict[str, list[Result]], name: str, other: str = "C epoll", key: str = "per_s") -> Spread:
    return Spread.of(a[key] / b[key] for a, b in zip(results[name], results[other], strict=True))


def _show(results: dict[str, list[Result]]) -> None:
    table(
        f"{CONNECTIONS} connections, 125 registers a read, {len(results['C epoll'])} round(s)",
        ("client", "reads/s", "of C's", "µs CPU/read", "of pymodbus's CPU"),
        (
            (
                name,
                Spread.of(r["per_s"] for r in found).text(0),
                _ratio(results, name).text(3),
                Spread.of(r["us"] for r in found).text(1),
                _ratio(results, name, "pymodbus", "us").text(2),
            )
            for name, found in results.items()
        ),
    )


def _figures(results: dict[str, list[Result]]) -> list[Figure]:
    goals = {
        "link": 0.15,
        "driver": 0.15,
        "link, uvloop": 0.35,
        "driver, uvloop": 0.35,
        "link, burst, uvloop": 1.0,
    }
    return [
        at_least(f"{name}: reads/s, of the C client's", _ratio(results, name), goal, digits=3)
        for name, goal in goals.items()
        if name in results
    ]
