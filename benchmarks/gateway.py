"""Starts the gateway in a process of its own and asks it what it has used."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.peers import ended
from gateway.api.access import new_token
from gateway.store.people import open_people

ROOT = Path(__file__).parent.parent
Report = dict[str, Any]


class GatewayProcess:
    """A running gateway.

    Attributes:
        token: For its API.
        first_reading_s: From the start of the process to the first reading that the pipeline was handed.
        first_reading_cpu_s: The CPU seconds that this took.
    """

    def __init__(self, process: "subprocess.Popen[str]", token: str) -> None:
        self.token = token
        self._process = process
        first = self._line()
        self.first_reading_s = float(first["first_reading_s"])
        self.first_reading_cpu_s = float(first["first_reading_cpu_s"])

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def rss_mib(self) -> float:
        """Resident memory now."""
        return float(psutil.Process(self.pid).memory_info().rss) / (1 << 20)

    def ask(self) -> Report:
        """Return what it has used and done so far."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._line()

    def stop(self) -> None:
        """End it as a person would, and wait."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._process.wait(30):
            raise RuntimeError(f"the gateway ended with {self._process.returncode}")

    def _line(self) -> Report:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the gateway has ended")
        found: Report = json.loads(line)
        return found


@contextlib.contextmanager
def gateway(site: dict[str, Any], folder: Path, *arguments: str, token: bool = True) -> Iterator[GatewayProcess]:
    """Run a gateway with a fresh data folder and wait for its first reading; without a token nobody has to show one."""
    file, data = folder / "site.json", folder / f"data-{time.monotonic_ns()}"
    file.write_text(json.dumps(site))
    given = access(data) if token else ""
    environment = os.environ | {"BENCHMARK_BEGAN_S": str(time.monotonic())}
    command = [sys.executable, "-m", "benchmarks.gateway_process", str(file), str(data), *arguments]
    with ended(
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
    ) as process:
        yield GatewayProcess(process, given)
    shutil.rmtree(data, ignore_errors=True)


def access(data: Path) -> str:
    """Make a data folder and return a token for the API of the gateway that will use it."""
    token, digest = new_token()
    with open_people(data / "journal.db") as (_, tokens):
        tokens.add_token("benchmark", "viewer", digest, time.time_ns())
    return token


def between(before: Report, after: Report) -> dict[str, float]:
    """Return CPU and counts of the time between two reports."""
    cpu_s, wall_s = after["cpu_s"] - before["cpu_s"], after["wall_s"] - before["wall_s"]
    readings, delivered = after["readings"] - before["readings"], after["delivered"] - before["delivered"]
    return {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "core": cpu_s / wall_s,
        "readings": readings,
        "delivered": delivered,
        "us_per_reading": cpu_s / max(1, readings) * 1e6,
        "readings_per_s": readings / wall_s,
        "readings_per_core_s": readings / cpu_s,
    }
