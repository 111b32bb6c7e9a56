"""From gas to a relay that closes: the whole chain with relay boards on real sockets, one of them libmodbus in C."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.app import App
from gateway.core.alarm import Command, Verb
from gateway.core.clock import SystemClock
from gateway.core.model import Priority
from gateway.site.load import load_site
from simulators.modbus_tcp import TcpEndpoint
from simulators.registers import Registers

GAS = "gas:gd-1.ch4"
SOUNDER, BEACON = 1, 2
"""Coils."""
RELAY_UNIT = 9
REPEAT_S = 1.0
WITHIN_S = 12.0
"""Patience of these tests; what they wait for takes a fraction of a second on a quiet machine."""


class Chain:
    """A gateway as it runs, with what these tests ask of it."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def order(self, verb: Verb, alarm: str = "") -> None:
        await self.app.command(Command(verb=verb, alarm=alarm, who="li"))

    def ailing(self) -> dict[str, tuple[int, str]]:
        """Return priority and words of the outputs' alarms that are there."""
        found = {a.id: a.event for a in self.app.alarms() if a.id.startswith("system/output/")}
        return {name: (e.priority, e.why) for name, e in found.items() if e.condition != "normal"}

    def state(self, alarm: str = GAS) -> str:
        return next((a.event.state.value for a in self.app.alarms() if a.id == alarm), "normal")


@asynccontextmanager
async def running(site: Path) -> AsyncIterator[Chain]:
    """A gateway from its start to its orderly end."""
    app = App(load_site(site), site.parent / "data", SystemClock(), source=lambda: load_site(site))
    stop = asyncio.Event()
    task = asyncio.create_task(app.run(stop))
    try:
        await app.started.wait()
        yield Chain(app)
    finally:
        stop.set()
        await task


def site_file(folder: Path, instruments: str, relays: str, gas: dict[str, Any]) -> Path:
    """Return a site with one gas head, a sounder and a beacon."""
    outputs = [
        {"id": "sounder", "release": "silence", "options": {"unit": RELAY_UNIT, "address": SOUNDER}},
        {"id": "beacon", "release": "reset", "options": {"unit": RELAY_UNIT, "address": BEACON}},
    ]
    data = {
        "site": {"id": "outputs"},
        "connections": [
            {"id": "heads", "type": "modbus", "options": {"endpoint": instruments}},
            {"id": "board", "type": "modbus", "options": {"endpoint": relays, "timeout_s": 0.2}},
        ],
        "instruments": [
            {
                "id": "gd-1",
                "connection": "heads",
                "period_s": 0.1,
                "options": {"unit": 1},
                "channels": [{"id": "ch4", "unit": "%LEL", "range": [0, 100], "options": gas}],
            }
        ],
        "rules": [{"id": "gas", "type": "threshold", "channels": ["*.ch4"], "options": {"low": 10, "high": 25}}],
        "api": {"enabled": False},
        "outputs": [output | {"connection": "board", "repeat_s": REPEAT_S} for output in outputs],
    }
    path = folder / "site.yaml"
    path.write_text(json.dumps(data))
    return path


async def until(true: Callable[[], bool]) -> float:
    """Wait until something is so and return the seconds that took."""
    began_s = asyncio.get_running_loop().time()
    async with asyncio.timeout(WITHIN_S):
        while not true():
            await asyncio.sleep(0.005)
    return asyncio.get_running_loop().time() - began_s


# --- a relay board in this process, which can be unplugged and welded ---------------------------------------------


class Plant:
    """A gas head and a relay board, each on a socket of its own."""

    def __init__(self) -> None:
        head, self.relays = Registers(), Registers()
        head.define("holding", range(1))
        self.relays.define("coil", range(8), writable=True)
        self.heads = TcpEndpoint({1: head})
        self.board = TcpEndpoint({RELAY_UNIT: self.relays})

    def show(self, value: float) -> None:
        self.heads.units[1].write("holding", 0, round(value * 10).to_bytes(2, "big"))

    def closed(self) -> tuple[bool, bool]:
        """Return whether the contacts of sounder and beacon are closed."""
        coils = self.relays.held("coil", 0, 8)
        assert coils is not None
        return bool(coils[SOUNDER]), bool(coils[BEACON])


@pytest.fixture
async def plant() -> AsyncIterator[Plant]:
    made = Plant()
    await made.heads.start()
    await made.board.start()
    yield made
    await made.heads.stop()
    await made.board.stop()


@pytest.fixture
def site(plant: Plant, tmp_path: Path) -> Path:
    return site_file(tmp_path, plant.heads.address, plant.board.address, {"address": 0, "scale": 0.1})


async def test_gas_closes_the_relays_silence_opens_one_and_reset_the_other(plant: Plant, site: Path) -> None:
    plant.relays.write("coil", SOUNDER, b"\x01")
    async with running(site) as chain:
        await until(lambda: plant.closed() == (False, False))
        plant.show(17)
        await until(lambda: plant.closed() == (True, True))
        await chain.order(Verb.ACKNOWLEDGE, GAS)
        await chain.order(Verb.SILENCE)
        await until(lambda: plant.closed() == (False, True))
        plant.show(40)
        await until(lambda: plant.closed() == (True, True))
        plant.show(0)
        await until(lambda: chain.state() == "latched_unacked")
        await chain.order(Verb.ACKNOWLEDGE, GAS)
        await asyncio.sleep(1.5 * REPEAT_S)
        assert plant.closed() == (True, True)
        await chain.order(Verb.RESET, GAS)
        await until(lambda: plant.closed() == (False, False))
        assert not chain.ailing()


async def test_a_board_that_loses_its_power_during_an_alarm_is_told_and_right_again_after_it(
    plant: Plant, site: Path
) -> None:
    async with running(site) as chain:
        plant.show(40)
        await until(lambda: plant.closed() == (True, True))
        await plant.board.stop()
        plant.relays.write("coil", SOUNDER, b"\0\0")
        await until(lambda: len(chain.ailing()) == 2)
        assert {name: priority for name, (priority, _) in chain.ailing().items()} == {
            "system/output/sounder": Priority.RED,
            "system/output/beacon": Priority.RED,
        }
        assert [(s.wanted, s.shown) for s in chain.app.outputs()] == [(True, None)] * 2
        await plant.board.start()
        await until(lambda: plant.closed() == (True, True))
        await until(lambda: not chain.ailing())


async def test_a_welded_relay_is_found_by_reading_back(plant: Plant, site: Path) -> None:
    async with running(site) as chain:
        await until(lambda: all(status.last_ns for status in chain.app.outputs()))
        plant.relays.relays = "ignore"
        plant.show(40)
        await until(lambda: len(chain.ailing()) == 2)
        priority, why = chain.ailing()["system/output/sounder"]
        assert priority == Priority.RED
        assert "shows off" in why
        plant.relays.relays = "obey"
        await until(lambda: plant.closed() == (True, True))
        await until(lambda: not chain.ailing())


def recorded(plant: Plant) -> list[tuple[bool, bool]]:
    """Return a list that grows by the contacts' state with every write."""
    written: list[tuple[bool, bool]] = []
    plant.relays.written = lambda *_place: written.append(plant.closed())
    return written


async def test_a_restart_during_an_alarm_opens_no_contact(plant: Plant, site: Path) -> None:
    written = recorded(plant)
    async with running(site):
        plant.show(40)
        await until(lambda: plant.closed() == (True, True))
    assert plant.closed() == (True, True)
    written.clear()
    async with running(site) as again:
        await until(lambda: len(written) >= 2)
        assert set(written) == {(True, True)}
        await again.order(Verb.SILENCE)
        await until(lambda: plant.closed() == (False, True))


HAZGATE = (sys.executable, "-c", "from gateway.cli.main import main; main()")


async def test_a_killed_gateway_leaves_its_sounder_on_and_goes_on_with_it(plant: Plant, site: Path) -> None:
    written = recorded(plant)
    command = (*HAZGATE, "run", str(site), "--data", str(site.parent / "data"))
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    plant.show(40)
    try:
        await until(lambda: plant.closed() == (True, True))
        await until(lambda: len(written) >= 3)  # repeated, so what was raised has long been on disk
    finally:
        process.kill()
        await process.wait()
    assert plant.closed() == (True, True)
    written.clear()
    async with running(site):
        await until(lambda: len(written) >= 2)
    assert set(written) == {(True, True)}


async def test_a_changed_site_file_during_an_alarm_opens_no_contact(plant: Plant, site: Path) -> None:
    written = recorded(plant)
    async with running(site) as chain:
        plant.show(40)
        await until(lambda: plant.closed() == (True, True))
        written.clear()
        data = json.loads(site.read_text())
        data["outputs"][1] |= {"level": "high", "label": "Beacon above the door"}
        site.write_text(json.dumps(data))
        assert (await chain.app.reload("li")).applied
        await until(lambda: len(written) >= 2)
        assert set(written) == {(True, True)}
        assert [status.label for status in chain.app.outputs()] == ["", "Beacon above the door"]
        await chain.order(Verb.SILENCE)
        await until(lambda: plant.closed() == (False, True))


# --- a relay board that shares no code with us ----------------------------------------------------------------------


def lacking(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{what} is needed and CI has it not")
    pytest.skip(f"{what} is not installed")


@pytest.fixture(scope="module")
def libmodbus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc")
    if compiler is None or not Path("/usr/include/modbus/modbus.h").exists():
        lacking("gcc with libmodbus-dev")
    if shutil.which("mbpoll") is None:
        lacking("mbpoll")
    program = tmp_path_factory.mktemp("outputs") / "modbus_server"
    source = Path(__file__).parent / "peers" / "modbus_server.c"
    words = [str(compiler), "-O1", "-o", str(program), str(source), "-I/usr/include/modbus", "-lmodbus"]
    subprocess.run(words, check=True, timeout=60)
    return program


@pytest.fixture
def server(libmodbus: Path) -> Iterator["subprocess.Popen[str]"]:
    """A board with registers and coils that anybody may write, as a process; its port is in its first line."""
    process = subprocess.Popen([str(libmodbus), "tcp"], stdout=subprocess.PIPE, text=True)
    yield process
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


class Hand:
    """Another master on the same board: it sets the gas, reads the coils and switches them as it likes."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def poll(self, *place: str, write: str = "") -> str:
        words = ["-m", "tcp", "-p", str(self.port), "-a", str(RELAY_UNIT), "-0", "-1", *place, "127.0.0.1"]
        process = await asyncio.create_subprocess_exec(
            "mbpoll", *words, *([write] if write else []), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, out
        return out.decode()

    async def gas(self, tenths: int) -> None:
        await self.poll("-t", "4", "-r", "10", write=str(tenths))

    async def switch(self, coil: int, *, on: bool) -> None:
        await self.poll("-t", "0", "-r", str(coil), write=str(int(on)))

    async def closed(self) -> tuple[bool, bool]:
        told = await self.poll("-t", "0", "-r", str(SOUNDER), "-c", "2")
        values = dict(re.findall(r"^\[(\d+)\]:\s+(\d)", told, re.MULTILINE))
        return values[str(SOUNDER)] == "1", values[str(BEACON)] == "1"

    async def until(self, closed: tuple[bool, bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while await self.closed() != closed:
                await asyncio.sleep(0.02)


async def test_libmodbus_shows_what_the_alarms_ask_for_whoever_else_switches_it(
    server: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    assert server.stdout is not None
    port = int(server.stdout.readline())
    hand = Hand(port)
    endpoint = f"tcp://127.0.0.1:{port}"
    await hand.switch(BEACON, on=True)
    async with running(site_file(tmp_path, endpoint, endpoint, {"address": 10, "scale": 0.1})) as chain:
        await hand.until((False, False))
        await hand.gas(170)
        await hand.until((True, True))
        await hand.switch(SOUNDER, on=False)
        await hand.until((True, True))
        await chain.order(Verb.SILENCE)
        await hand.until((False, True))
        await hand.switch(SOUNDER, on=True)
        await hand.until((False, True))
        assert not chain.ailing()
        # The board hangs: connected, and silent.
        server.send_signal(signal.SIGSTOP)
        await until(lambda: "system/output/beacon" in chain.ailing())
        assert chain.ailing()["system/output/beacon"][0] == Priority.RED
        server.send_signal(signal.SIGCONT)
        await until(lambda: not chain.ailing())
        await hand.until((True, True) if chain.app.outputs()[0].wanted else (False, True))
