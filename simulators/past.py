"""The past of a plant: a scenario run ahead as fast as the machine can, with what its instruments would have shown."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.core.model import Quality
from simulators.world import World

SECONDS_MAX = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Past:
    """What the channels showed, once every so many seconds.

    Attributes:
        channels: Their ids, `instrument.channel`.
        time_s: float64[n], seconds of the scenario.
        value: float32[n, channels]; NaN where the instrument showed none.
        quality: uint8[n, channels], `Quality` codes.
        down: For each bus that was gone at times, the seconds from and to.
    """

    channels: tuple[str, ...]
    time_s: NDArray[np.float64]
    value: NDArray[np.float32]
    quality: NDArray[np.uint8]
    down: tuple[tuple[str, float, float], ...]

    def save(self, path: Path) -> None:
        """Write it into a file (numpy's own form)."""
        buses = np.array([(bus, str(begin), str(end)) for bus, begin, end in self.down], np.str_).reshape(-1, 3)
        with path.open("wb") as file:
            np.savez(
                file, channels=np.array(self.channels), time_s=self.time_s, value=self.value, quality=self.quality,
                down=buses,
            )  # fmt: skip


def run_ahead(world: World, seconds: float, every_s: float = 1.0) -> Past:
    """Advance a world and keep what its instruments show.

    Values are those of the channels, as an engineer reads them; how they would stand in registers is left out.

    Args:
        world: The world; its time goes on from where it is.
        seconds: How far; at most a week.
        every_s: Seconds between two rows.

    Raises:
        ValueError: That is too far, or nowhere.
    """
    if not 0 < seconds <= SECONDS_MAX:
        raise ValueError(f"{seconds:g} s ahead: more than 0 and at most {SECONDS_MAX} s")
    begin_s, rows = world.t_s, int(seconds // every_s)
    looker = _Looker(world)
    time_s = begin_s + (1.0 + np.arange(rows, dtype=np.float64)) * every_s
    value = np.empty((rows, len(world.channels)), np.float32)
    quality = np.empty((rows, len(world.channels)), np.uint8)
    down: dict[str, float] = {}
    gone: list[tuple[str, float, float]] = []
    for k in range(rows):
        while world.t_s < time_s[k] - 1e-9:
            world.step()
        for bus in world.buses_down | world.unplugged:
            down.setdefault(bus, world.t_s)
        back = set(down) - world.buses_down - world.unplugged
        gone.extend((bus, down.pop(bus), world.t_s) for bus in back)
        value[k], quality[k] = looker.look()
    gone += [(bus, since, world.t_s) for bus, since in down.items()]
    world.labels()  # told by the file, not by the truth that begins now
    names = tuple(channel.id for channel in world.channels)
    return Past(names, time_s, value, quality, tuple(sorted(gone, key=lambda one: one[1])))


class _Looker:
    """Reads all channels of a world at once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._owner = np.array([channel.instrument for channel in world.channels], np.intp)
        above = [np.nan if c.spec.above is None else c.spec.above for c in world.channels]
        self._above = np.array(above, np.float64)
        self._contact = ~np.isnan(self._above)
        buses = [world.scenario.instruments[name].bus for name in world.instruments]
        self._buses = np.array(buses)

    def look(self) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Return value and quality of every channel now."""
        heads, owner = self._world.heads, self._owner
        shown = heads.shown * heads.times[owner]
        shown = np.where(self._contact, (shown >= self._above).astype(np.float64), shown)
        quality = np.where(heads.over_range, Quality.OVER_RANGE, Quality.GOOD).astype(np.uint8)
        warming = np.array([heads.warms_up(k) for k in range(len(self._world.instruments))])
        calibrating = (heads.calibrating >= 0.0) & ~heads.untold
        # The gravest last: it is the one that is told.
        for state, code in (
            (warming, Quality.WARM_UP),
            (calibrating, Quality.CALIBRATION),
            (heads.inhibited, Quality.INHIBITED),
            (heads.fault, Quality.SENSOR_FAULT),
            (self._silent(), Quality.COMMS_LOST),
        ):
            quality[state[owner]] = code
        return np.where(quality >= Quality.BAD, np.nan, shown), quality

    def _silent(self) -> NDArray[np.bool_]:
        world = self._world
        gone = list(world.buses_down | world.unplugged)
        silent = np.array([world.behaviours[name].silent for name in world.instruments])
        return silent | np.isin(self._buses, gone)
