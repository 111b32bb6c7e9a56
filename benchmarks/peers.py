"""The real programs that benchmarks run against: a Modbus server in C, InfluxDB, VictoriaMetrics."""

import contextlib
import json
import mmap
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.measure import SkippedError

SOURCES = Path(__file__).parent / "c"
REGISTERS = 125


def program(name: str) -> str:
    """Return a program's path. Raises SkippedError."""
    path = shutil.which(name)
    if path is None:
        raise SkippedError(f"{name} is not installed")
    return path


def compiled(name: str, folder: Path) -> Path:
    """Compile one of our C programs and return it. Raises SkippedError."""
    target = folder / name
    if not target.exists():
        subprocess.run([program("gcc"), "-O2", "-o", target, SOURCES / f"{name}.c"], check=True)
    return target


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End a process when the block is left."""
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used, in user and kernel."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@dataclass(frozen=True, slots=True)
class ModbusServer:
    """The C server: 125 holding registers for each of its units.

    Attributes:
        port: On 127.0.0.1.
        pid: Its process.
        registers: What it answers with, mapped: uint16 big-endian, unit after unit.
    """

    port: int
    pid: int
    registers: mmap.mmap

    def put(self, unit: int, address: int, raw: int) -> None:
        """Set a register; what is asked from now on shows it."""
        at = 2 * ((unit - 1) * REGISTERS + address)
        self.registers[at : at + 2] = raw.to_bytes(2, "big")


@contextlib.contextmanager
def modbus_server(folder: Path, units: int, *, still: bool = False, dead: int = -1) -> Iterator[ModbusServer]:
    """Run the C server. Raises SkippedError."""
    file = folder / f"registers-{units}-{dead}-{time.monotonic_ns()}"
    command = [str(compiled("modbus_server", folder)), str(file), str(units), str(int(still)), str(dead)]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with file.open("r+b") as held, mmap.mmap(held.fileno(), 0) as registers:
            yield ModbusServer(port, process.pid, registers)


@dataclass(frozen=True, slots=True)
class Database:
    """A running database."""

    name: str
    url: str
    pid: int

    def points(self) -> int:
        """Return how many readings it holds, as it counts them itself when asked."""
        if self.name == "influxd":
            found = self._query("/query", db="hazgate", q="SELECT COUNT(value) FROM reading")
            series = found["results"][0].get("series")
            return int(series[0]["values"][0][1]) if series else 0
        self._get("/internal/force_flush")
        # Without a time it would look no further than the last whole second.
        soon = str(int(time.time()) + 10)
        found = self._query("/api/v1/query", query="sum(count_over_time(reading_value[1d]))", time=soon)
        result = found["data"]["result"]
        return int(float(result[0]["value"][1])) if result else 0

    def _query(self, path: str, **parameters: str) -> dict[str, dict[str, list[dict[str, list[list[str]]]]]]:
        return json.loads(self._get(f"{path}?{urllib.parse.urlencode(parameters)}"))

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return answer.read()


@contextlib.contextmanager
def victoria_metrics(folder: Path) -> Iterator[Database]:
    """Run VictoriaMetrics in a folder. Raises SkippedError."""
    port = free_port()
    command = [
        program("victoria-metrics"), f"-storageDataPath={folder}/vm-{port}", f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y", "-loggerLevel=ERROR", "-search.latencyOffset=0s", "-selfScrapeInterval=0",
        "-search.maxUniqueTimeseries=1000000", "-search.maxQueryDuration=60s", "-search.disableCache",
    ]  # fmt: skip
    with _database("victoria-metrics", command, port, {}) as database:
        yield database


@contextlib.contextmanager
def influxd(folder: Path) -> Iterator[Database]:
    """Run InfluxDB 1.x in a folder. Raises SkippedError."""
    port, rpc = free_port(), free_port()
    environment = {
        "INFLUXDB_REPORTING_DISABLED": "true",
        "INFLUXDB_BIND_ADDRESS": f"127.0.0.1:{rpc}",
        "INFLUXDB_META_DIR": f"{folder}/influx-{port}/meta",
        "INFLUXDB_DATA_DIR": f"{folder}/influx-{port}/data",
        "INFLUXDB_DATA_WAL_DIR": f"{folder}/influx-{port}/wal",
        "INFLUXDB_DATA_QUERY_LOG_ENABLED": "false",
        "INFLUXDB_HTTP_BIND_ADDRESS": f"127.0.0.1:{port}",
        "INFLUXDB_HTTP_LOG_ENABLED": "false",
        "INFLUXDB_MONITOR_STORE_ENABLED": "false",
    }
    with _database("influxd", [program("influxd"), "run", "-config", "/dev/null"], port, environment) as database:
        yield database


@contextlib.contextmanager
def _database(name: str, command: Sequence[str], port: int, environment: Mapping[str, str]) -> Iterator[Database]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=os.environ | environment, stdout=quiet, stderr=quiet, text=True)
    with ended(process):
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(f"{url}/ping", timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SkippedError(f"{name} does not answer") from None
                time.sleep(0.05)
        yield Database(name, url, process.pid)
