"""A simulated plant on real sockets: the world, its buses, and the pace at which both move."""

import argparse
import asyncio
import contextlib
import json
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from gateway.core.clock import Clock, SystemClock, rfc3339
from simulators.broker import broker
from simulators.faces import RegisterFace
from simulators.loading import load_scenario
from simulators.messages import MessageFace
from simulators.modbus_rtu import RtuLine
from simulators.modbus_rtu_tcp import RtuOverTcp
from simulators.modbus_tcp import TcpEndpoint
from simulators.modbus_udp import UdpEndpoint
from simulators.mqtt import Publisher
from simulators.past import run_ahead
from simulators.registers import GATEWAY_PATH_UNAVAILABLE, NO_ANSWER_FROM_TARGET, Registers
from simulators.scenario import BusSpec, MqttSpec, RtuSpec, RtuTcpSpec, Scenario, TcpSpec
from simulators.truth import TruthFile
from simulators.world import World

_TICK_S = 0.02
"""Shortest wait between two looks at the clock."""
_STEPS_A_TICK = 200
"""Most steps between two turns of the event loop: a plant too fast for its machine falls behind but still answers."""

_UNKNOWN = {"answer": NO_ANSWER_FROM_TARGET, "no-path": GATEWAY_PATH_UNAVAILABLE, "silent": None}
Bus = TcpEndpoint | RtuLine | Publisher


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a bus listens on.

    Attributes:
        bus: Its id in the scenario.
        type: `modbus-tcp`, `modbus-udp`, `modbus-rtu`, `modbus-rtu-tcp` or `mqtt`.
        address: Where to connect to, e.g. `tcp://127.0.0.1:5020`.
        instruments: Who is there: instrument ids with their unit or topic.
    """

    bus: str
    type: str
    address: str
    instruments: Mapping[str, int | str]

    def __str__(self) -> str:
        there = ", ".join(f"{name} ({place})" for name, place in self.instruments.items())
        return f"{self.bus}  {self.address}  {there}"


class Plant:
    """A scenario, running.

    Args:
        scenario: What to run.
        truth: File for what is really so; None for none.
        speed: Scenario seconds in a real one; None takes the scenario's.
        seed: None takes the scenario's.
        free_ports: Take free ports and no links in place of the scenario's, so that several plants fit on a machine.
        clock: What it is paced by.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        truth: Path | None = None,
        speed: float | None = None,
        seed: int | None = None,
        free_ports: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.scenario = scenario
        self.world = World(scenario, seed)
        self.speed = scenario.speed if speed is None else speed
        if self.speed <= 0.0:
            raise ValueError(f"speed must be above 0, not {self.speed}")
        self._clock = clock or SystemClock()
        self._free_ports = free_ports
        self._truth = TruthFile(truth) if truth is not None else None
        self._truth_due_s = 0.0
        self._buses: dict[str, Bus] = {}
        self._down: set[str] = set()
        self._unplugged: set[str] = set()
        self._registers: list[tuple[str, int, RegisterFace]] = []
        self._units: list[Registers] = []
        self._messages: list[tuple[str, MessageFace]] = []
        self._stack = AsyncExitStack()
        self._behind_s = 0.0

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """What the plant listens on, once started; the broker for instruments on MQTT."""
        return tuple(
            Endpoint(
                name,
                self.scenario.buses[name].type,
                bus.address,
                {key: spec.place_on_bus for key, spec in self.scenario.instruments.items() if spec.bus == name},
            )
            for name, bus in self._buses.items()
        )

    @property
    def behind_s(self) -> float:
        """How many seconds of the scenario the plant is late, because the machine cannot keep its speed."""
        return self._behind_s

    async def start(self) -> None:
        """Open the buses, with the instruments' first values on them.

        Raises:
            OSError: A port or a link is taken, or the truth file cannot be made; nothing stays open.
            NotConnectedError: No broker can be started.
        """
        try:
            if self._truth is not None:
                await self._truth.open()
                self._stack.push_async_callback(self._truth.close)
                self._truth.add(self._header())
            for name, spec in self.scenario.buses.items():
                self._buses[name] = bus = await self._make(name, spec)
                self._stack.push_async_callback(bus.stop)
            self._show()
            for bus in self._buses.values():
                await bus.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close everything; may be called twice."""
        await self._stack.aclose()

    async def run(self) -> None:
        """Move the plant on at its speed until the scenario ends; for ever where it has no duration."""
        began_s, first_s = self._clock.monotonic_s(), self.world.t_s
        step_s = self.scenario.step_s
        pause_s = max(step_s / self.speed, _TICK_S)
        while not self.world.ended:
            due_s = first_s + (self._clock.monotonic_s() - began_s) * self.speed
            for _ in range(_STEPS_A_TICK):
                if self.world.t_s + step_s > due_s + 1e-9 or self.world.ended:
                    break
                self.world.step()
                self._note_truth()
                self._publish()
            self._behind_s = max(due_s - self.world.t_s - step_s, 0.0)
            self._show()
            await self._switch_buses()
            if self._truth is not None:
                await self._truth.flush()
            await self._clock.sleep(pause_s)

    def _header(self) -> dict[str, object]:
        return {
            "t_s": 0.0,
            "kind": "start",
            "scenario": self.scenario.name,
            "seed": self.world.seed,
            "speed": self.speed,
            "time": rfc3339(self._clock.now_ns()),
        }

    async def _make(self, name: str, spec: BusSpec) -> Bus:
        chance = np.random.default_rng([self.world.seed, 3, list(self.scenario.buses).index(name)])
        if isinstance(spec, MqttSpec):
            return await self._make_publisher(name, spec, chance)
        units = self._make_units(name)
        if isinstance(spec, TcpSpec):
            port = 0 if self._free_ports else spec.port
            kind = UdpEndpoint if spec.type == "modbus-udp" else TcpEndpoint
            return kind(units, host=spec.host, port=port, unknown=_UNKNOWN[spec.unknown_unit], rng=chance)
        return self._make_line(spec, units, chance)

    def _make_units(self, bus: str) -> dict[int, Registers]:
        faces: dict[int, list[RegisterFace]] = {}
        units: dict[int, Registers] = {}
        for key, instrument in self.scenario.instruments.items():
            if instrument.bus == bus:
                assert instrument.unit is not None
                registers = units.setdefault(instrument.unit, Registers())
                face = RegisterFace(key, instrument, self.world, registers)
                faces.setdefault(instrument.unit, []).append(face)
                self._registers.append((bus, instrument.unit, face))
        for unit, registers in units.items():
            registers.source = _shows(faces[unit])
        self._units.extend(units.values())
        return units

    def _make_line(
        self, spec: RtuSpec | RtuTcpSpec, units: Mapping[int, Registers], chance: np.random.Generator
    ) -> RtuLine:
        bits, turnaround_s = 9 + spec.stop_bits + (spec.parity != "none"), spec.turnaround_ms / 1000.0
        if isinstance(spec, RtuTcpSpec):
            return RtuOverTcp(
                units,
                host=spec.host,
                port=0 if self._free_ports else spec.port,
                baud=spec.baud,
                bits_per_char=bits,
                turnaround_s=turnaround_s,
                rng=chance,
            )
        return RtuLine(
            units,
            link="" if self._free_ports else spec.link,
            baud=spec.baud,
            bits_per_char=bits,
            turnaround_s=turnaround_s,
            exact=spec.exact,
            rng=chance,
        )

    async def _make_publisher(self, name: str, spec: MqttSpec, chance: np.random.Generator) -> Publisher:
        host, port = spec.host, spec.port
        if spec.broker == "own":
            wanted = 0 if self._free_ports else port
            host, port = "127.0.0.1", await self._stack.enter_async_context(broker(wanted, clock=self._clock))
        for key, instrument in self.scenario.instruments.items():
            if instrument.bus == name:
                self._messages.append((name, MessageFace(key, instrument, self.world, chance)))
        return Publisher(host, port, self._clock, qos=spec.qos, username=spec.username, password=spec.password)

    def _show(self) -> None:
        """Bring the units' behaviour up to the present; their registers follow when somebody asks for them."""
        for name, bus in self._buses.items():
            if not isinstance(bus, Publisher):
                bus.odd.clear()
            if isinstance(bus, RtuLine):
                bus.noisy = self.world.line_noise.get(name, 0.0)
        for name, unit, face in self._registers:
            behaviour = self.world.behaviours[face.name]
            # Of several instruments behind one unit, one that is silent silences it.
            if behaviour.odd:
                bus = self._buses[name]
                assert not isinstance(bus, Publisher)
                bus.odd[unit] = behaviour
        for registers in self._units:
            registers.stale = True

    def _publish(self) -> None:
        now_ns = self._clock.now_ns()
        for name, face in self._messages:
            publisher = self._buses[name]
            assert isinstance(publisher, Publisher)
            face.publish(publisher, now_ns)

    async def _switch_buses(self) -> None:
        for name in self.world.buses_down ^ self._down:
            bus, down = self._buses[name], name in self.world.buses_down
            if isinstance(bus, TcpEndpoint):
                await (bus.stop() if down else bus.start())
            else:
                bus.down = down
        for name in self.world.unplugged ^ self._unplugged:
            # The name is gone and whoever has it open is hung up on; back comes another port under the same name.
            await (self._buses[name].stop() if name in self.world.unplugged else self._buses[name].start())
        self._down, self._unplugged = set(self.world.buses_down), set(self.world.unplugged)

    def _note_truth(self) -> None:
        labels = self.world.labels()
        if self._truth is None:
            return
        for label in labels:
            self._truth.add(label)
        if self.world.t_s >= self._truth_due_s - 1e-9:
            self._truth_due_s += self.scenario.truth_every_s
            self._truth.add(self.world.state())


def _shows(faces: Sequence[RegisterFace]) -> Callable[[], None]:
    def show() -> None:
        for face in faces:
            face.show()

    return show


async def run_scenario(
    path: Path,
    *,
    truth: Path | None = None,
    speed: float | None = None,
    seed: int | None = None,
    announce: Callable[[str], None],
) -> None:
    """Run a scenario file until it ends, SIGTERM comes or the task is cancelled; nothing stays behind.

    Args:
        path: The scenario file.
        truth: File for what is really so.
        speed: In place of the scenario's.
        seed: In place of the scenario's.
        announce: Called with one line for each endpoint when everything listens.

    Raises:
        ConfigError: The scenario cannot be.
        OSError: A port, link or file cannot be had.
        NotConnectedError: No broker can be started.
    """
    scenario = await asyncio.to_thread(load_scenario, path)
    plant = Plant(scenario, truth=truth, speed=speed, seed=seed)

    def say() -> None:
        for endpoint in plant.endpoints:
            announce(str(endpoint))

    await _run_until_told(plant, say, signal.SIGTERM)


async def _run_until_told(plant: Plant, started: Callable[[], None], *signals: signal.Signals) -> None:
    """Run a plant from start to stop; a signal ends it as if its scenario were over."""
    loop = asyncio.get_running_loop()
    await plant.start()
    running = asyncio.create_task(plant.run(), name=f"plant {plant.scenario.name}")
    for number in signals:
        loop.add_signal_handler(number, running.cancel)
    try:
        started()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
        running.cancel()
        await asyncio.wait([running])
        await plant.stop()


def main() -> None:
    """Run a scenario from the command line and print its endpoints as one line of JSON; ends on SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m simulators.plant", description=main.__doc__)
    parser.add_argument("scenario", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--speed", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--past", type=Path, help="run ahead first, and write what was shown into this file")
    parser.add_argument("--past-s", type=float, default=28_800.0, help="how far")
    wanted = parser.parse_args()

    def say(plant: Plant) -> None:
        print(json.dumps([asdict(endpoint) for endpoint in plant.endpoints]), flush=True)  # noqa: T201 - its output

    async def run() -> None:
        scenario = await asyncio.to_thread(load_scenario, wanted.scenario)
        plant = Plant(scenario, truth=wanted.truth, speed=wanted.speed, seed=wanted.seed)
        if wanted.past is not None:
            past = await asyncio.to_thread(run_ahead, plant.world, wanted.past_s)
            await asyncio.to_thread(past.save, wanted.past)
        await _run_until_told(plant, lambda: say(plant), signal.SIGTERM, signal.SIGINT)

    with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
        asyncio.run(run())


if __name__ == "__main__":
    main()
