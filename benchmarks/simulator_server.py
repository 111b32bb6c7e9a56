"""What a simulated instrument costs: CPU of the Modbus TCP server a read, beside a C server that does nothing else.

The same C client drives both, 16 connections with one request on the way on each, 125 and 10 registers a read. Then a
thousand instruments of a simulated plant, four channels each, are read once a second: physics, registers and answers
in one process.
"""

import json
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.gateway import ROOT
from benchmarks.measure import Figure, Spread, at_most, interleaved, table
from benchmarks.peers import compiled, modbus_server

CONNECTIONS, REGISTERS = 16, 125
INSTRUMENTS, ENDPOINTS = 1000, 8
_PLANT = """\
rooms: {hall: {volume_m3: 5000, height_m: 6}}
buses: {plc: {type: modbus-tcp, count: %(endpoints)d}}
instruments:
  head:
    {bus: plc, count: %(count)d, at: hall, channels: {
       ch4: {address: 0, scale: 0.1}, co: {address: 1}, temperature: {address: 2, type: float32},
       smoke: {address: 4, type: float32}}}
"""


def main(short: bool = False) -> list[Figure]:
    rounds, seconds = (1, 0.3) if short else (5, 1.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        client = compiled("modbus_client", folder)
        with modbus_server(folder, CONNECTIONS) as c_server, _ours() as (port, pid):
            servers = {"C": (c_server.port, c_server.pid), "simulator": (port, pid)}
            subjects: dict[str, Callable[[], float]] = {
                f"{server}, {count} registers": lambda place=place, count=count: _us_a_read(
                    client, *place, seconds, count
                )
                for server, place in servers.items()
                for count in (REGISTERS, 10)
            }
            found = interleaved(subjects, rounds)
        share = Spread.of(_plant_share(folder, 2.0 if short else 10.0) for _ in range(1 if short else 3))
    table("CPU of the server", ("server", "µs a read"), ((k, Spread.of(v).text(1)) for k, v in found.items()))
    return [
        *(
            at_most(f"simulator's Modbus TCP server, {n} registers: CPU a read, of the C server's", _ratio(found, n), 4)
            for n in (REGISTERS, 10)
        ),
        at_most(f"{INSTRUMENTS} simulated instruments read at 1 Hz: share of a core", share, 0.3),
    ]


def _ratio(found: dict[str, list[float]], count: int) -> Spread:
    ours, theirs = found[f"simulator, {count} registers"], found[f"C, {count} registers"]
    return Spread.of(a / b for a, b in zip(ours, theirs, strict=True))


def on_cpu_s(pid: int) -> float:
    """Return how long a process has been on a CPU, to the nanosecond, over all its threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _us_a_read(client: Path, port: int, pid: int, seconds: float, count: int) -> float:
    before = on_cpu_s(pid)
    command = [str(client), str(port), str(CONNECTIONS), str(seconds), str(count)]
    reads = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60).stdout)["reads"]
    if not reads:
        raise RuntimeError("nothing was read")
    return (on_cpu_s(pid) - before) / reads * 1e6


@contextmanager
def _process(*command: str) -> Iterator[tuple[subprocess.Popen[str], list[dict[str, str]]]]:
    process = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def _port(endpoint: dict[str, str]) -> int:
    return int(endpoint["address"].rpartition(":")[2])


@contextmanager
def _ours() -> Iterator[tuple[int, int]]:
    # 62 float32 channels and the counter are the 125 registers that a read can take.
    size = ("--instruments", str(CONNECTIONS), "--channels", "62", "--endpoints", "1")
    with _process("simulators.fleet", *size) as (process, (endpoint,)):
        yield _port(endpoint), process.pid


def _plant_share(folder: Path, seconds: float) -> float:
    """Return the share of a core that a plant takes whose instruments are all read once a second."""
    (folder / "plant.yaml").write_text(_PLANT % {"count": INSTRUMENTS, "endpoints": ENDPOINTS})
    with _process("simulators.plant", str(folder / "plant.yaml")) as (process, endpoints):
        sockets = [socket.create_connection(("127.0.0.1", _port(endpoint)), timeout=10) for endpoint in endpoints]
        try:
            _read_paced(sockets, INSTRUMENTS, 1.0)
            before, began = on_cpu_s(process.pid), time.monotonic()
            _read_paced(sockets, INSTRUMENTS, seconds)
            return (on_cpu_s(process.pid) - before) / (time.monotonic() - began)
        finally:
            for one in sockets:
                one.close()


def _read_paced(sockets: list[socket.socket], instruments: int, seconds: float) -> None:
    """Read six registers of every instrument once a second, one after the other, evenly spread over it."""
    began = time.monotonic()
    for k in range(int(seconds * instruments)):
        one, unit = sockets[k % len(sockets)], k % instruments // len(sockets) + 1
        one.sendall(struct.pack(">HHHBBHH", k & 0xFFFF, 0, 6, unit, 3, 0, 6))
        reply = one.recv(64)
        if len(reply) != 21 or reply[7] != 3:
            raise RuntimeError(f"unit {unit} answers {reply.hex()}")
        time.sleep(max(0.0, began + (k + 1) / instruments - time.monotonic()))
