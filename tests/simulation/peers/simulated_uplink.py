"""A platform in this process, which knows alerts by their keys and is away at times, even after taking one."""

import asyncio
from collections.abc import Sequence

from simulated_hour import WORLDS, World

from gateway.core.alarm import AlarmEvent
from gateway.core.clock import Clock
from gateway.core.errors import UnavailableError
from gateway.core.plugin import PluginOptions, SiteInfo


class Options(PluginOptions):
    world: str


class Platform:
    def __init__(self, world: World, epoch: str, clock: Clock) -> None:
        self._world, self._epoch, self._clock = world, epoch, clock

    async def write(self, items: Sequence[AlarmEvent]) -> None:
        for event in items:
            await self._clock.sleep(0.05)
            away = self._world.has("platform", "platform", asyncio.get_running_loop().time())
            if away and event.seq % 2:
                raise UnavailableError("away")
            key = f"{self._epoch}:{event.seq}"
            self._world.repeats += key in self._world.received
            assert self._world.received.setdefault(key, event) == event, "one key, two events"
            if away:
                raise UnavailableError("away after taking it")

    async def close(self) -> None:
        pass


def create(options: Options, site: SiteInfo, clock: Clock) -> Platform:
    return Platform(WORLDS[options.world], site.epoch, clock)
