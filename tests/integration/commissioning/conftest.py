"""A bench of instruments to be found: the simulated plant as a process, on a line and a socket of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PLANT = """\
ambient: {{temperature_c: 20, swing_k: 3, humidity_rh: 50, start_hour: 10}}
rooms:
  bench: {{volume_m3: 40, height_m: 3, air_changes_per_h: 2}}
buses:
  line1: {{type: modbus-rtu, link: {line}, baud: 19200, exact: true}}
  gateway: {{type: modbus-tcp, port: 0}}
instruments:
  th-02: {{bus: line1, unit: 2, at: bench, height_m: 1.6, profile: xy-md02}}
  gd-03: {{bus: line1, unit: 3, at: bench, profile: honeywell-xcd, warm_up_s: 0}}
  gd-30:
    {{bus: line1, unit: 30, at: bench, height_m: 1.6, spare: {{holding: [[100, 131]]}}, channels: {{
       o2: {{address: 112, type: float32, order: CDAB}},
       temperature: {{address: 118, type: int16, scale: 0.01, resolution: 0.01}}}}}}
  th-02t: {{bus: gateway, unit: 2, at: bench, height_m: 1.6, profile: xy-md02}}
"""


@dataclass(frozen=True)
class Bench:
    """Where the instruments are."""

    line: str
    tcp: str


Ran = subprocess.CompletedProcess[str]
Hazgate = Callable[..., Ran]


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The bench, running."""
    folder = tmp_path_factory.mktemp("bench")
    line = folder / "line"
    (folder / "plant.yaml").write_text(PLANT.format(line=line))
    (folder / "bench.yaml").write_text("about: A bench.\nplant: plant.yaml\nseed: 7\n")
    process = subprocess.Popen(hazgate_words("simulate", str(folder / "bench.yaml")), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = [process.stdout.readline() for _ in range(2)]
        found = re.search(r"tcp://\S+", "".join(said))
        assert found, said
        yield Bench(f"rtu://{line}", found[0])
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        process.stdout.close()


def hazgate_words(*words: str) -> list[str]:
    """The command line of a `hazgate` of this checkout."""
    return [sys.executable, "-c", "from gateway.cli.main import main; main()", *words]


@pytest.fixture(scope="session")
def hazgate() -> Hazgate:
    """Run `hazgate` as a process and return what it said and how it ended."""

    def run(*words: str) -> Ran:
        here = Path(__file__).parents[3]
        environment = {**os.environ, "PYTHONPATH": str(here), "COLUMNS": "120"}
        return subprocess.run(
            hazgate_words(*words), capture_output=True, text=True, timeout=60, check=False, env=environment,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run
