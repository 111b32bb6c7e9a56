"""The whole plant without its buses: rooms, tanks, instruments, timeline, step by step; no clock, no I/O."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.core.errors import ConfigError
from simulators.behaviour import Behaviour
from simulators.effects import Change, begin, changes, end
from simulators.gases import GASES, catalytic_vol, in_unit
from simulators.instruments import Heads, HeadSpec
from simulators.mixing import Ambient
from simulators.quantities import HEADS, Head
from simulators.recordings import Recording, load_column
from simulators.rooms import Room, Spot
from simulators.scenario import ChannelSpec, InstrumentSpec, Scenario
from simulators.tanks import Tank

_MARK_HYSTERESIS = 0.005
"""A mark counts as left once the value is this share of the span below it: a value that hovers makes one line."""
_UNDER_CEILING = 0.98


@dataclass(slots=True)
class SimChannel:
    """One channel: its place in the columns, what it measures where, and the marks its true value is above."""

    id: str
    row: int
    instrument: int
    quantity: str
    unit: str
    spec: ChannelSpec
    head: Head
    spot: Spot
    recording: Recording | None
    passed: set[float] = field(default_factory=set)


class World:
    """A scenario as a deterministic machine: the same scenario and seed give the same numbers.

    Args:
        scenario: What to build.
        seed: Takes the place of the scenario's.

    Attributes:
        t_s: Seconds of the scenario so far.
        channels: All channels in the order of the scenario; row i of every column is channel i.
        instruments: Their ids; the order of the instruments' states in `heads`.
        true: float64[channels], what is so.
        heads: What the instruments show of it.
        behaviours: How each instrument behaves on its bus, by id.
        buses_down: Ids of buses that are gone.
        rooms, tanks: By id.
        faults: What is active now, as `where:what`.

    Raises:
        ConfigError: A recording cannot be used, or a quantity has no value in the unit wanted.
    """

    def __init__(self, scenario: Scenario, seed: int | None = None) -> None:
        self.scenario = scenario
        self.seed = scenario.seed if seed is None else seed
        self.t_s, self._steps = 0.0, 0
        spec = scenario.ambient
        self.ambient = Ambient(**spec.model_dump(), rng=np.random.default_rng([self.seed, 1]))
        self.rooms = {name: Room(**room.model_dump(), ambient=self.ambient) for name, room in scenario.rooms.items()}
        self.tanks = {
            name: Tank(filled=tank.level / 100.0, ambient=self.ambient, **tank.model_dump(exclude={"level"}))
            for name, tank in scenario.tanks.items()
        }
        self.instruments = list(scenario.instruments)
        self.behaviours = {name: Behaviour() for name in self.instruments}
        self.buses_down: set[str] = set()
        self.faults: set[str] = set()
        self.channels = self._make_channels()
        self.row = {channel.id: channel.row for channel in self.channels}
        self.heads = Heads(
            [_head_spec(channel) for channel in self.channels],
            [instrument.warm_up_s for instrument in scenario.instruments.values()],
            np.random.default_rng([self.seed, 2]),
        )
        self._timeline: deque[Change] = deque(changes(scenario.events))
        self._labels: list[dict[str, Any]] = []
        self.true, felt = self._look()
        self.heads.settle(felt)

    @property
    def ended(self) -> bool:
        """Whether the scenario's duration is over; one without a duration never ends."""
        return self.scenario.duration_s is not None and self.t_s >= self.scenario.duration_s - 1e-9

    def rows_of(self, where: str) -> NDArray[np.intp]:
        """Return the rows of an instrument, or of one channel `instrument.channel`."""
        if where in self.row:
            return np.array([self.row[where]], np.intp)
        number = self.instruments.index(where)
        return np.array([channel.row for channel in self.channels if channel.instrument == number], np.intp)

    def step(self) -> None:
        """Advance everything by the scenario's step."""
        dt_s = self.scenario.step_s
        while self._timeline and self._timeline[0].at_s <= self.t_s + 1e-9:
            self._apply(self._timeline.popleft())
        self._steps += 1
        self.t_s = self._steps * dt_s
        self.ambient.step(self.t_s, dt_s)
        for room in self.rooms.values():
            room.step(self.t_s, dt_s)
        for tank in self.tanks.values():
            tank.step(self.t_s, dt_s)
        self.true, felt = self._look()
        self.heads.step(felt, self._speeds(), self.ambient.daily(self.t_s), dt_s)
        self._watch_marks()

    def labels(self) -> list[dict[str, Any]]:
        """Return what has happened since the last call, for the truth file."""
        happened, self._labels = self._labels, []
        return happened

    def state(self) -> dict[str, Any]:
        """Return the plant's state now, for the truth file."""
        return {
            "t_s": round(self.t_s, 3),
            "kind": "state",
            "places": {
                **{name: _room_state(room) for name, room in self.rooms.items()},
                **{name: _tank_state(tank) for name, tank in self.tanks.items()},
            },
            "channels": {
                channel.id: {
                    "true": _short(self.true[channel.row]),
                    "shown": _short(self.heads.shown[channel.row]),
                }
                for channel in self.channels
            },
            "faults": sorted(self.faults),
        }

    def _apply(self, change: Change) -> None:
        event = change.event
        (begin if change.begins else end)(event, self)
        key = f"{event.where}:{event.what}"
        (self.faults.add if change.begins else self.faults.discard)(key)
        details = event.model_dump(exclude={"at_s", "what", "where", "for_s"}, exclude_none=True)
        self._labels.append(
            {
                "t_s": round(self.t_s, 3),
                "kind": "event",
                "event": f"{event.what.replace('-', '_')}_{'started' if change.begins else 'ended'}",
                "where": event.where,
                **(details if change.begins else {}),
            }
        )

    def _make_channels(self) -> list[SimChannel]:
        channels: list[SimChannel] = []
        for number, (name, instrument) in enumerate(self.scenario.instruments.items()):
            for key, spec in instrument.channels.items():
                try:
                    channels.append(self._make_channel(len(channels), number, f"{name}.{key}", instrument, spec))
                except ConfigError as error:
                    raise error.under("instruments", name, "channels", key) from error
        return channels

    def _make_channel(
        self, row: int, number: int, name: str, instrument: InstrumentSpec, spec: ChannelSpec
    ) -> SimChannel:
        quantity = spec.quantity or name.rpartition(".")[2]
        head = HEADS[quantity]
        height = instrument.height_m
        if height is None:
            room = self.scenario.rooms.get(instrument.at)
            height = room.height_m * _UNDER_CEILING if room else 0.0
        channel = SimChannel(
            name, row, number, quantity, spec.unit or head.unit, spec, head,
            Spot(height, instrument.radius_m), self._recording(spec),
        )  # fmt: skip
        try:
            self._true_value(channel)
        except ValueError as error:
            raise ConfigError(("unit",), str(error)) from error
        return channel

    def _recording(self, spec: ChannelSpec) -> Recording | None:
        wanted = spec.recording
        if wanted is None:
            return None
        try:
            times, values = load_column(self.scenario.folder / wanted.file, wanted.column, wanted.time_column)
        except ConfigError as error:
            raise error.under("recording") from error
        return Recording(times, values * wanted.scale + wanted.offset, wanted.start_s, wanted.loop)

    def _place(self, channel: SimChannel) -> str:
        return self.scenario.instruments[self.instruments[channel.instrument]].at

    def _true_value(self, channel: SimChannel) -> float:
        if channel.recording is not None:
            return channel.recording.at(self.t_s)
        place = self._place(channel)
        if place in self.tanks:
            return self.tanks[place].value(channel.quantity)
        return self.rooms[place].value(channel.quantity, channel.unit, channel.spot)

    def _look(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what is true and what the heads feel of it: a bead in a rich mixture feels less."""
        true = np.empty(len(self.channels))
        felt = np.empty(len(self.channels))
        for channel in self.channels:
            if channel.quantity in GASES and channel.recording is None:
                vol = self.rooms[self._place(channel)].gas_vol(channel.quantity, channel.spot)
                vol = min(vol * channel.spec.exposure, 100.0)
                true[channel.row] = in_unit(vol, channel.quantity, channel.unit)
                rich = _chosen(channel.spec.catalytic, channel.head.catalytic)
                seen = catalytic_vol(vol, channel.quantity) if rich else vol
                felt[channel.row] = in_unit(seen, channel.quantity, channel.unit)
            else:
                true[channel.row] = felt[channel.row] = self._true_value(channel)
        return true, felt

    def _speeds(self) -> NDArray[np.float64]:
        speeds = np.ones(len(self.channels))
        for channel in self.channels:
            room = self.rooms.get(self._place(channel))
            if room is not None:
                speeds[channel.row] = room.layer.speed_at(channel.spot.radius_m)
        return speeds

    def _watch_marks(self) -> None:
        for channel in self.channels:
            value, row = float(self.true[channel.row]), channel.row
            near = _MARK_HYSTERESIS * float(self.heads.high[row] - self.heads.low[row])
            # A contact repeats what another channel measures; its crossings are told there.
            for mark in _chosen(channel.spec.marks, () if channel.spec.above is not None else channel.head.marks):
                above = value >= mark
                if above != (mark in channel.passed) and (above or value < mark - near):
                    (channel.passed.add if above else channel.passed.discard)(mark)
                    if self._steps > 1:
                        self._labels.append(_crossing(self.t_s, channel, mark, up=above))


def _chosen(wanted: Any, usual: Any) -> Any:
    return usual if wanted is None else wanted


def _head_spec(channel: SimChannel) -> HeadSpec:
    spec, head = channel.spec, channel.head
    low, high = spec.range or (head.low, head.high)
    in_tank_or_recorded = channel.recording is not None or channel.quantity in {"level", "pressure"}
    return HeadSpec(
        owner=channel.instrument,
        low=low,
        high=high,
        t90_s=_chosen(spec.t90_s, head.t90_s),
        noise=_chosen(spec.noise, head.noise),
        resolution=_chosen(spec.resolution, head.resolution),
        walk_per_h=_chosen(spec.walk_per_h, head.walk_per_h),
        daily=_chosen(spec.daily, head.daily),
        length_m=0.0 if in_tank_or_recorded else head.length_m,
        rti=0.0 if in_tank_or_recorded else head.rti,
    )


def _crossing(t_s: float, channel: SimChannel, mark: float, *, up: bool) -> dict[str, Any]:
    return {
        "t_s": round(t_s, 3),
        "kind": "event",
        "event": "crossed",
        "direction": "up" if up else "down",
        "label": f"{'crossed' if up else 'fell below'} {mark:g} {channel.unit}",
        "where": channel.id,
        "limit": mark,
    }


def _room_state(room: Room) -> dict[str, Any]:
    return {
        "temperature_c": _short(room.temperature_c),
        "layer_c": _short(room.temperature_c + room.layer.rise_k),
        "layer_share": _short(room.layer.share),
        "heat_kw": _short(room.layer.emission.heat_kw),
        "air_changes_per_h": _short(room.air_changes_per_h),
        "vol": {
            gas: float(f"{vol:.4g}")
            for gas, vol in zip(GASES, room.vol.tolist(), strict=True)
            if abs(vol - GASES[gas].background_vol) > 1e-6
        },
    }


def _tank_state(tank: Tank) -> dict[str, Any]:
    return {
        "level": _short(100.0 * tank.filled),
        "temperature_c": _short(tank.temperature_c),
        "pressure_kpa": _short(tank.pressure_kpa),
    }


def _short(value: float) -> float:
    return float(f"{value:.6g}")
