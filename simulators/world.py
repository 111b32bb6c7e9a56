"""The whole plant without its buses: rooms, tanks, instruments, timeline, step by step; no clock, no I/O."""

import math
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.core.errors import ConfigError
from simulators.behaviour import Behaviour
from simulators.doorways import Doorway
from simulators.effects import Change, begin, changes, end, place_of
from simulators.events import NATURE, Happening, LeakEvent
from simulators.gases import GASES, catalytic_vol, in_unit
from simulators.instruments import Heads, HeadSpec
from simulators.mixing import DAY_S, Ambient
from simulators.outdoors import ABOVE_GROUND_M, Climate, Wind, Yard
from simulators.quantities import HEADS, Head
from simulators.recordings import Recording, load_column
from simulators.rhythm import occurrences
from simulators.rooms import Room, Spot
from simulators.scenario import ChannelSpec, InstrumentSpec, Scenario
from simulators.tanks import Tank

_MARK_HYSTERESIS = 0.005
"""A mark counts as left once the value is this share of the span below it: a value that hovers makes one line."""
_UNDER_CEILING = 0.98
_CONSTANT = Head("", -math.inf, math.inf, 0.0, 0.0, 0.0)
"""What shows a number that never changes."""


@dataclass(slots=True)
class SimChannel:
    """One channel: its place in the columns, and what it measures where."""

    id: str
    row: int
    instrument: int
    quantity: str
    unit: str
    spec: ChannelSpec
    head: Head
    spot: Spot
    recording: Recording | None


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
        unplugged: Ids of lines whose adapter is pulled out.
        line_noise: Share of the answers that noise comes with, by line.
        unit_words: What the words for the unit of instruments say that were set to another one, by instrument.
        relays_stuck: Instruments whose relays acknowledge and do nothing.
        rooms, yards, tanks: By id.
        faults: What is active now, as `where:what`.

    Raises:
        ConfigError: A recording cannot be used, or a quantity has no value in the unit wanted.
    """

    def __init__(self, scenario: Scenario, seed: int | None = None) -> None:
        self.scenario = scenario
        self.seed = scenario.seed if seed is None else seed
        self.t_s, self._steps = 0.0, 0
        air = scenario.ambient
        spec = air.model_dump(exclude={"start_weekday"})
        self.ambient = Ambient(**spec, rng=np.random.default_rng([self.seed, 1]))
        self.rooms = {
            name: Room(
                **room.model_dump(exclude={"doorways"}),
                ambient=self.ambient,
                rng=np.random.default_rng([self.seed, 5, number]),
            )
            for number, (name, room) in enumerate(scenario.rooms.items())
        }
        self._doorways = [
            Doorway(self.rooms[name].layer, self.rooms[door.to].layer, door.width_m, door.height_m)
            for name, room in scenario.rooms.items()
            for door in room.doorways
        ]
        self.yards = {
            name: Yard(
                Wind(
                    Climate(**yard.model_dump()),
                    self.ambient,
                    air.start_hour,
                    np.random.default_rng([self.seed, 6, number]),
                ),
                self.ambient,
            )
            for number, (name, yard) in enumerate(scenario.yards.items())
        }
        self.tanks = {
            name: Tank(filled=tank.level / 100.0, ambient=self.ambient, **tank.model_dump(exclude={"level"}))
            for name, tank in scenario.tanks.items()
        }
        self.instruments = list(scenario.instruments)
        self.behaviours = {
            name: Behaviour(slow_s=spec.turnaround_ms / 1000.0) for name, spec in scenario.instruments.items()
        }
        self.buses_down: set[str] = set()
        self.unplugged: set[str] = set()
        self.line_noise: dict[str, float] = {}
        self.unit_words: dict[str, int] = {}
        self.relays_stuck: set[str] = set()
        self.faults: set[str] = set()
        self.channels = self._make_channels()
        self._channels_of: list[list[SimChannel]] = [[] for _ in self.instruments]
        for channel in self.channels:
            self._channels_of[channel.instrument].append(channel)
        self.row = {channel.id: channel.row for channel in self.channels}
        self._points, self._point_of = self._make_points()
        self._airs, self._air_of = self._make_airs()
        self.heads = Heads(
            [_head_spec(channel) for channel in self.channels],
            [instrument.warm_up_s for instrument in scenario.instruments.values()],
            np.random.default_rng([self.seed, 2]),
        )
        self._marks = Marks(self.channels, self.heads.high - self.heads.low)
        since_monday_s = air.start_weekday * DAY_S + air.start_hour * 3600.0
        chance = np.random.default_rng([self.seed, 4])
        happens = occurrences(scenario.events, scenario.duration_s, since_monday_s, chance)
        self._timeline: deque[Change] = deque(changes(happens))
        self._labels: list[dict[str, Any]] = []
        self._climates, self._climate_of = self._make_climates()
        self._poisoned = [
            channel
            for channel in self.channels
            if channel.spec.ageing.poisons and self._place(channel) not in self.tanks
        ]
        self.true, felt = self._look()
        self.heads.settle(felt, self._climate())

    @property
    def ended(self) -> bool:
        """Whether the scenario's duration is over; one without a duration never ends."""
        return self.scenario.duration_s is not None and self.t_s >= self.scenario.duration_s - 1e-9

    def air_of(self, where: str) -> Room | Yard:
        """Return a room or a yard by its name."""
        return self.yards[where] if where in self.yards else self.rooms[where]

    def rows_of(self, where: str) -> NDArray[np.intp]:
        """Return the rows of an instrument, or of one channel `instrument.channel`."""
        if where in self.row:
            return np.array([self.row[where]], np.intp)
        number = self.instruments.index(where)
        return np.array([channel.row for channel in self._channels_of[number]], np.intp)

    def channels_of(self, instrument: int) -> list[SimChannel]:
        """Return an instrument's channels, by its number."""
        return self._channels_of[instrument]

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
        for doorway in self._doorways:
            doorway.step(dt_s)
        for yard in self.yards.values():
            yard.step(self.t_s, dt_s)
        for tank in self.tanks.values():
            tank.step(self.t_s, dt_s)
        self.true, felt = self._look()
        self.heads.step(felt, self._speeds(), self.ambient.daily(self.t_s), dt_s, self._climate(), wear=self._wear())
        self._watch_marks()

    def labels(self) -> list[dict[str, Any]]:
        """Return what has happened since the last call, for the truth file."""
        happened, self._labels = self._labels, []
        return happened

    def note(self, event: str, where: str, **details: Any) -> None:
        """Have something told in the truth file that came from outside, such as a relay that was switched."""
        self._labels.append({"t_s": round(self.t_s, 3), "kind": "event", "event": event, "where": where, **details})

    def state(self) -> dict[str, Any]:
        """Return the plant's state now, for the truth file."""
        return {
            "t_s": round(self.t_s, 3),
            "kind": "state",
            "places": {
                **{name: _room_state(room) for name, room in self.rooms.items()},
                **{name: _yard_state(yard) for name, yard in self.yards.items()},
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
                "nature": NATURE[event.what],
                **(details if change.begins else {}),
                **(self._nearest(event) if change.begins and isinstance(event, LeakEvent) else {}),
            }
        )

    def happen(self, event: Happening) -> None:
        """Add an event to the timeline of a world that runs, at its `at_s` or, where that is past, at once."""
        self._timeline = deque(sorted([*self._timeline, *changes([event])], key=lambda c: (c.at_s, c.begins)))

    def _nearest(self, event: LeakEvent) -> dict[str, str]:
        """Return the instrument for the gas that is nearest to where it leaks, as far as places are known."""
        place = place_of(event, self.air_of(event.where))
        heads = [
            (math.dist(place, channel.spot.place), self.instruments[channel.instrument])
            for channel in self.channels
            if place is not None
            and channel.spot.place is not None
            and channel.quantity == event.gas
            and self._place(channel) == event.where
        ]
        return {"nearest": min(heads)[1]} if heads else {}

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
        head = HEADS[quantity] if spec.shows is None else _CONSTANT
        height = instrument.height_m
        if height is None:
            room = self.scenario.rooms.get(instrument.at)
            height = room.height_m * _UNDER_CEILING if room else ABOVE_GROUND_M
        channel = SimChannel(
            name, row, number, quantity, spec.unit or head.unit, spec, head,
            Spot(height, instrument.radius_m, instrument.x_m, instrument.y_m), self._recording(spec),
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
        if channel.spec.shows is not None:
            return channel.spec.shows
        place = self._place(channel)
        if place in self.tanks:
            return self.tanks[place].value(channel.quantity)
        return self.air_of(place).value(channel.quantity, channel.unit, channel.spot)

    def _make_points(self) -> tuple[list[SimChannel], NDArray[np.intp]]:
        """Return one channel for each value that differs, and which of these values is each channel's.

        A thousand heads under one ceiling feel a few values: physics is asked once for each of these.
        """
        numbers: dict[Hashable, int] = {}
        points: list[SimChannel] = []
        of = np.empty(len(self.channels), np.intp)
        for channel in self.channels:
            spec, place = channel.spec, self._place(channel)
            sees = tuple(sorted(spec.sees.items()))
            rich = _chosen(spec.catalytic, channel.head.catalytic)
            same = (place, channel.quantity, channel.unit, channel.spot, spec.exposure, rich, sees)
            key: Hashable = same if channel.recording is None and channel.spec.shows is None else channel.row
            if key not in numbers:
                numbers[key] = len(points)
                points.append(channel)
            of[channel.row] = numbers[key]
        return points, of

    def _make_airs(self) -> tuple[list[tuple[Room | Yard, Spot]], NDArray[np.intp]]:
        """Return each place where air moves around a head, and which of these is each channel's; -1 where no air is."""
        numbers: dict[tuple[str, Spot], int] = {}
        of = np.full(len(self.channels), -1, np.intp)
        for channel in self.channels:
            place = self._place(channel)
            if place not in self.tanks:
                # In a room the air's speed differs with the distance from a fire, in a yard with the height.
                height_m = channel.spot.height_m if place in self.yards else 0.0
                spot = Spot(height_m, channel.spot.radius_m)
                of[channel.row] = numbers.setdefault((place, spot), len(numbers))
        return [(self.air_of(place), spot) for place, spot in numbers], of

    def _make_climates(self) -> tuple[list[tuple[Room | Yard, Spot]], NDArray[np.intp]]:
        """Return each place whose climate moves a head's zero, and which of these is each channel's; else the last."""
        places: dict[tuple[str, Spot], int] = {}
        of = np.full(len(self.channels), -1, np.intp)
        for channel in self.channels:
            place = self._place(channel)
            if place not in self.tanks and (channel.spec.per_k or channel.spec.per_rh):
                # The climate is the same all over the plan.
                spot = Spot(channel.spot.height_m, channel.spot.radius_m)
                of[channel.row] = places.setdefault((place, spot), len(places))
        return [(self.air_of(place), spot) for place, spot in places], of

    def _climate(self) -> NDArray[np.float64] | None:
        if not self._climates:
            return None
        felt = [(room.temperature_at(spot), room.humidity_at(spot)) for room, spot in self._climates]
        # The last one is for channels that do not feel it; their index is -1.
        return np.array([*felt, (0.0, 0.0)])[self._climate_of].T

    def _look(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what is true and what the heads feel of it: a bead in a rich mixture feels less."""
        pairs = np.array([self._look_at(channel) for channel in self._points])
        true, felt = pairs[self._point_of].T.copy()
        return true, felt

    def _look_at(self, channel: SimChannel) -> tuple[float, float]:
        if channel.quantity not in GASES or channel.recording is not None or channel.spec.shows is not None:
            value = self._true_value(channel)
            return value, value
        air = self.air_of(self._place(channel))
        vol = air.gas_vol(channel.quantity, channel.spot)
        vol = min(vol * channel.spec.exposure, 100.0)
        rich = _chosen(channel.spec.catalytic, channel.head.catalytic)
        seen = catalytic_vol(vol, channel.quantity) if rich else vol
        felt = in_unit(seen, channel.quantity, channel.unit)
        for other, share in channel.spec.sees.items():
            felt += share * in_unit(air.gas_vol(other, channel.spot), other, channel.unit)
        return in_unit(vol, channel.quantity, channel.unit), felt

    def _wear(self) -> NDArray[np.float64] | None:
        """Return how many times faster than in clean air each channel's head ages; None where it is clean for all."""
        if not self._poisoned:
            return None
        wear = np.ones(len(self.channels))
        for channel in self._poisoned:
            air = self.air_of(self._place(channel))
            for gas, per_ppm in channel.spec.ageing.poisons.items():
                wear[channel.row] += per_ppm * in_unit(air.gas_vol(gas, channel.spot), gas, "ppm")
        return wear

    def _speeds(self) -> NDArray[np.float64]:
        # The last one is for channels where no air moves; their index is -1.
        speeds = np.array([*(_air_speed(air, spot) for air, spot in self._airs), 1.0])
        return speeds[self._air_of]

    def _watch_marks(self) -> None:
        for channel, mark, up in self._marks.passed(self.true):
            if self._steps > 1:
                self._labels.append(_crossing(self.t_s, channel, mark, up=up))


class Marks:
    """Which marks the true values are above, all channels at once.

    Args:
        channels: Those of a world.
        span: float64[channels], the measuring ranges.
    """

    def __init__(self, channels: Sequence[SimChannel], span: NDArray[np.float64]) -> None:
        # A contact repeats what another channel measures; its crossings are told there.
        self._of = [
            (channel, mark)
            for channel in channels
            for mark in _chosen(channel.spec.marks, () if channel.spec.above is not None else channel.head.marks)
        ]
        self._row = np.array([channel.row for channel, _ in self._of], np.intp)
        self._mark = np.array([mark for _, mark in self._of], np.float64)
        self._left = self._mark - _MARK_HYSTERESIS * span[self._row]
        self._above = np.zeros(len(self._of), bool)

    def passed(self, true: NDArray[np.float64]) -> list[tuple[SimChannel, float, bool]]:
        """Return the channels and marks that the values have passed since the last call, and whether upwards."""
        value = true[self._row]
        above = value >= self._mark
        changed = (above != self._above) & (above | (value < self._left))
        self._above ^= changed
        return [(*self._of[k], bool(above[k])) for k in np.flatnonzero(changed)]


def _chosen(wanted: Any, usual: Any) -> Any:
    return usual if wanted is None else wanted


def _head_spec(channel: SimChannel) -> HeadSpec:
    spec, head = channel.spec, channel.head
    low, high = spec.range or (head.low, head.high)
    apart = channel.recording is not None or spec.shows is not None or channel.quantity in {"level", "pressure"}
    return HeadSpec(
        owner=channel.instrument,
        low=low,
        high=high,
        t90_s=_chosen(spec.t90_s, head.t90_s),
        noise=_chosen(spec.noise, head.noise),
        resolution=_chosen(spec.resolution, head.resolution),
        walk_per_h=_chosen(spec.walk_per_h, head.walk_per_h),
        daily=_chosen(spec.daily, head.daily),
        length_m=0.0 if apart else head.length_m,
        rti=0.0 if apart else head.rti,
        per_k=spec.per_k,
        per_rh=spec.per_rh,
        flicker=spec.flicker,
        zero_below=spec.zero_below,
        **spec.ageing.model_dump(exclude={"poisons"}),
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


def _yard_state(yard: Yard) -> dict[str, Any]:
    return {
        "temperature_c": _short(yard.temperature_c),
        "wind_m_s": _short(yard.wind.speed_m_s),
        "from_deg": _short(yard.wind.from_deg),
        "stability": yard.wind.stability,
    }


def _air_speed(air: Room | Yard, spot: Spot) -> float:
    return air.speed_at(spot) if isinstance(air, Yard) else air.layer.speed_at(spot.radius_m)


def _tank_state(tank: Tank) -> dict[str, Any]:
    return {
        "level": _short(100.0 * tank.filled),
        "temperature_c": _short(tank.temperature_c),
        "pressure_kpa": _short(tank.pressure_kpa),
    }


def _short(value: float) -> float:
    return float(f"{value:.6g}")
