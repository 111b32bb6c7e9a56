"""A driver for instruments that are numbers in this process: two heads a line, read once a second."""

import asyncio
import math
from collections.abc import Sequence

from simulated_hour import WORLDS, World

from gateway.core.clock import Clock
from gateway.core.errors import NotConnectedError
from gateway.core.model import Batch, Quality
from gateway.core.plugin import InstrumentPlan, PluginOptions


class Options(PluginOptions):
    world: str
    line: str


class InstrumentOptions(PluginOptions):
    pass


class ChannelOptions(PluginOptions):
    pass


class Line:
    def __init__(self, world: World, name: str, rows: dict[str, int], clock: Clock) -> None:
        self._world, self._name, self._rows, self._clock = world, name, rows, clock
        self._open = False

    async def connect(self) -> None:
        await self._clock.sleep(0.01)
        self._refuse_when_lost()
        self._open = True

    async def read(self) -> Batch:
        now_s = asyncio.get_running_loop().time()
        await self._clock.sleep(math.floor(now_s + 1e-6) + 1.0 - now_s)
        while self._world.has("hung", self._name, asyncio.get_running_loop().time()):
            await self._clock.sleep(1.0)
        self._refuse_when_lost()
        assert self._open
        at_s = asyncio.get_running_loop().time()
        values, qualities = [], []
        for head in self._rows:
            silent = self._world.has("silent", head, at_s)
            values.append(self._world.value(head, at_s))
            qualities.append(Quality.COMMS_LOST if silent else Quality.GOOD)
            if not silent:
                self._world.gave(head, values[-1], at_s)
        return Batch.of(list(self._rows.values()), self._clock.now_ns(), values, qualities)

    async def close(self) -> None:
        self._open = False

    def _refuse_when_lost(self) -> None:
        if self._world.has("lost", self._name, asyncio.get_running_loop().time()):
            self._open = False
            raise NotConnectedError(self._name, "link lost")


def create(options: Options, instruments: Sequence[InstrumentPlan], clock: Clock) -> Line:
    rows = {plan.id: plan.channels[0].channel.row for plan in instruments}
    return Line(WORLDS[options.world], options.line, rows, clock)
