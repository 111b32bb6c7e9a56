"""A fleet of Modbus instruments for load tests: many units, moving values, next to no cost.

`python -m simulators.fleet --instruments 1000 --channels 4 --endpoints 8` prints its endpoints as one line of JSON and
runs until it is told to end. Every instrument has its channels as float32 (ABCD) in holding registers 0, 2, 4, …;
behind them stands a uint16 that counts the updates.
"""

import argparse
import asyncio
import contextlib
import json
import math
import signal
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.core.clock import Clock, SystemClock
from simulators.modbus_tcp import TcpEndpoint
from simulators.registers import Registers

UNITS_MAX = 247
CHANNELS_MAX = 62
"""So that one read of 125 registers takes them all, and the counter."""
_TURN_S = 60.0


@dataclass(frozen=True, slots=True)
class FleetEndpoint:
    """One endpoint of a fleet; its units are numbered from 1."""

    address: str
    units: int
    channels: int


class Fleet:
    """Instruments in one process behind several Modbus TCP endpoints.

    Args:
        instruments: How many in all; instrument i is unit `i // endpoints + 1` of endpoint `i % endpoints`.
        channels: float32 values of each, 1 to `CHANNELS_MAX`.
        endpoints: Over how many addresses they are spread; at most 247 units fit behind one.
        rate_hz: How often the values move.
        clock: What it is paced by.

    Raises:
        ValueError: The numbers do not fit together.
    """

    def __init__(
        self, instruments: int, channels: int = 4, endpoints: int = 8, rate_hz: float = 1.0, clock: Clock | None = None
    ) -> None:
        if not 1 <= channels <= CHANNELS_MAX:
            raise ValueError(f"channels must be 1 to {CHANNELS_MAX}, not {channels}")
        if not 1 <= endpoints <= instruments or math.ceil(instruments / endpoints) > UNITS_MAX:
            raise ValueError(f"{instruments} instruments do not fit behind {endpoints} endpoints of {UNITS_MAX} units")
        self.instruments, self.channels, self._rate_hz = instruments, channels, rate_hz
        self._clock = clock or SystemClock()
        self.updates = 0
        self._units = [Registers() for _ in range(instruments)]
        for unit in self._units:
            unit.define("holding", range(2 * channels + 1))
        self._servers = [
            TcpEndpoint({i // endpoints + 1: self._units[i] for i in range(first, instruments, endpoints)})
            for first in range(endpoints)
        ]
        self._phase = np.arange(instruments * channels, dtype=np.float64).reshape(instruments, channels) * 0.618
        self._move()

    @property
    def endpoints(self) -> tuple[FleetEndpoint, ...]:
        """What it listens on, once started."""
        return tuple(FleetEndpoint(server.address, len(server.units), self.channels) for server in self._servers)

    @property
    def requests(self) -> int:
        """How many requests have come in all."""
        return sum(server.requests for server in self._servers)

    def values(self, update: int) -> NDArray[np.float32]:
        """Return what all channels show after so many updates, as float32[instruments, channels], from 0 to 100."""
        turn = 2.0 * np.pi * (update / self._rate_hz / _TURN_S)
        return (50.0 + 50.0 * np.sin(self._phase + turn)).astype(np.float32)

    async def start(self) -> None:
        """Listen on free ports of 127.0.0.1."""
        for server in self._servers:
            await server.start()

    async def run(self) -> None:
        """Move the values at the rate until cancelled."""
        next_s = self._clock.monotonic_s()
        while True:
            next_s += 1.0 / self._rate_hz
            await self._clock.sleep(next_s - self._clock.monotonic_s())
            self._move()

    async def stop(self) -> None:
        """Close everything; may be called twice."""
        for server in self._servers:
            await server.stop()

    def _move(self) -> None:
        self.updates += 1
        wire = self.values(self.updates).astype(">f4").tobytes()
        count = (self.updates & 0xFFFF).to_bytes(2, "big")
        size = 4 * self.channels
        for number, unit in enumerate(self._units):
            unit.write("holding", 0, wire[number * size : (number + 1) * size] + count)


def main() -> None:
    """Run a fleet from the command line; ends on SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m simulators.fleet", description=main.__doc__)
    parser.add_argument("--instruments", type=int, default=1000)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--endpoints", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1.0, help="updates a second")
    wanted = parser.parse_args()

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        fleet = Fleet(wanted.instruments, wanted.channels, wanted.endpoints, wanted.rate)
        await fleet.start()
        try:
            print(json.dumps([asdict(endpoint) for endpoint in fleet.endpoints]), flush=True)  # noqa: T201 - its output
            await fleet.run()
        finally:
            await fleet.stop()

    with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
        asyncio.run(run())


if __name__ == "__main__":
    main()
