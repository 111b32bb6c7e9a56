"""A line of simulated gas heads for tests that run the whole gateway; no test of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from simulators.modbus_tcp import TcpEndpoint
from simulators.registers import Registers


class Plant:
    """Heads on one Modbus TCP endpoint; register 0 of each is gas in tenths of %LEL."""

    def __init__(self, heads: int) -> None:
        units = {unit: Registers() for unit in range(1, heads + 1)}
        for registers in units.values():
            registers.define("holding", range(1))
        self.endpoint = TcpEndpoint(units)

    def show(self, head: int, value: float) -> None:
        """Let a head measure a value in %LEL."""
        self.endpoint.units[head].write("holding", 0, round(value * 10).to_bytes(2, "big"))


@asynccontextmanager
async def running_plant(heads: int) -> AsyncIterator[Plant]:
    """Run a plant for the time of the block."""
    plant = Plant(heads)
    await plant.endpoint.start()
    try:
        yield plant
    finally:
        await plant.endpoint.stop()
