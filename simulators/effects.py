"""The timeline's hand: what each event does to the plant when it begins, and what is undone when it ends."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simulators.behaviour import Behaviour
from simulators.events import (
    BiasEvent,
    CalibrationEvent,
    CleaningEvent,
    CookingEvent,
    DoorEvent,
    DriftEvent,
    FireEvent,
    Happening,
    HeatingEvent,
    LateEvent,
    LeakEvent,
    LineNoiseEvent,
    LossEvent,
    NoiseEvent,
    PoisonEvent,
    PumpEvent,
    RefuseEvent,
    RepeatEvent,
    SlowEvent,
    SpikeEvent,
    SteamEvent,
    UnitChangedEvent,
    VentilationEvent,
    WarmUpEvent,
    WeldingEvent,
    WindEvent,
)
from simulators.field import Place
from simulators.fire import GROWTH_KW_S2
from simulators.instruments import Heads
from simulators.leak import hole_m3_s, volume_m3_s
from simulators.outdoors import ABOVE_GROUND_M, Yard
from simulators.rooms import Fire, Leak, Nuisance, Room
from simulators.scenario import Scenario
from simulators.tanks import Flow, Heating, Tank

_WARM_UP_S = 60.0
_DRY = 8.0
"""After so many times `dries_s` nothing is left of what was wiped on."""
_UNDER_CEILING = 0.98
_SHUT_PER_H = 1e-6


class Stage(Protocol):
    """What events act on; see `world.World`."""

    scenario: Scenario
    rooms: dict[str, Room]
    yards: dict[str, Yard]
    tanks: dict[str, Tank]
    instruments: list[str]
    heads: Heads
    behaviours: dict[str, Behaviour]
    buses_down: set[str]
    unplugged: set[str]
    line_noise: dict[str, float]
    unit_words: dict[str, int]
    relays_stuck: set[str]

    def air_of(self, where: str) -> Room | Yard:
        """Return a room or a yard by its name."""
        ...

    def rows_of(self, where: str) -> NDArray[np.intp]:
        """Return the rows of an instrument or a channel."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """One point of the timeline: an event begins or ends."""

    at_s: float
    event: Any
    begins: bool


def changes(events: Sequence[Happening]) -> list[Change]:
    """Return the timeline in order of time; what begins at the moment another ends comes after it."""
    points = [Change(event.at_s, event, begins=True) for event in events]
    points += [Change(event.at_s + event.for_s, event, begins=False) for event in events if event.for_s is not None]
    return sorted(points, key=lambda point: (point.at_s, point.begins))


def begin(event: Any, world: Stage) -> None:
    """Let an event happen."""
    if type(event) in _BEGIN:
        _BEGIN[type(event)](event, world)
    else:
        _switch(event, world, on=True)


def end(event: Any, world: Stage) -> None:
    """Undo an event; releases into rooms and tanks carry their own end."""
    if type(event) in _END:
        _END[type(event)](event, world)
    elif type(event) not in _BEGIN:
        _switch(event, world, on=False)


def _stop_s(event: Happening) -> float:
    return math.inf if event.for_s is None else event.at_s + event.for_s


def _leak(event: LeakEvent, world: Stage) -> None:
    air = world.air_of(event.where)
    if event.flow_l_per_min is not None:
        flow = event.flow_l_per_min / 60_000.0
    else:
        assert event.hole_mm is not None
        assert event.pressure_kpa is not None
        flow = hole_m3_s(event.hole_mm, event.pressure_kpa, event.gas, air.temperature_c + 273.15)
    air.leaks.append(Leak(event.gas, flow, event.at_s, event.grow_s, _stop_s(event), place_of(event, air)))


def place_of(event: LeakEvent | CleaningEvent, air: Room | Yard) -> Place | None:
    """Return where in a room or yard something happens; None where nobody said."""
    if event.x_m is None or event.y_m is None:
        return None
    usual_m = ABOVE_GROUND_M if isinstance(air, Yard) else air.height_m * _UNDER_CEILING
    return event.x_m, event.y_m, usual_m if event.height_m is None else event.height_m


def _clean(event: CleaningEvent, world: Stage) -> None:
    room = world.rooms[event.where]
    flow = volume_m3_s(event.grams / 1000.0 / event.dries_s, event.agent, room.temperature_c + 273.15)
    stop_s = event.at_s + _DRY * event.dries_s
    place = place_of(event, room)
    room.leaks.append(Leak(event.agent, flow, event.at_s, 0.0, stop_s, place, event.dries_s))


_COOKING_RISES = 0.5
"""Share of a cooker's heat that its plume takes up (VDI 2052 part 1)."""
_PAN_S = 120.0
"""How fast a pan heats up: a kilogram and a half of steel and food, losing some 10 W/K."""


def _fire(event: FireEvent, world: Stage) -> None:
    alpha = event.alpha_kw_s2 or GROWTH_KW_S2[event.growth]
    world.rooms[event.where].fires.append(
        Fire(alpha, event.peak_kw, event.fuel, event.at_s, _stop_s(event), event.base_m)
    )


def _cooking(event: CookingEvent | WeldingEvent, world: Stage) -> None:
    source = Nuisance(
        event.at_s, _stop_s(event), event.heat_kw, event.aerosol_mg_s, event.co_mg_s, event.steam_g_s
    )  # fmt: skip
    if isinstance(event, CookingEvent):
        source.rising, source.warm_up_s = _COOKING_RISES, _PAN_S
    world.rooms[event.where].nuisances.append(source)


def _steam(event: SteamEvent, world: Stage) -> None:
    source = Nuisance(event.at_s, _stop_s(event), heat_kw=event.heat_kw, steam_g_s=event.steam_g_s)
    world.rooms[event.where].nuisances.append(source)


def _open(event: DoorEvent, world: Stage) -> None:
    world.rooms[event.where].doors_per_h += event.air_changes_per_h


def _shut(event: DoorEvent, world: Stage) -> None:
    left = world.rooms[event.where].doors_per_h - event.air_changes_per_h
    world.rooms[event.where].doors_per_h = left if left > _SHUT_PER_H else 0.0


def _ventilate(event: VentilationEvent, world: Stage) -> None:
    world.rooms[event.where].air_changes_per_h = event.air_changes_per_h


def _unventilate(event: VentilationEvent, world: Stage) -> None:
    world.rooms[event.where].air_changes_per_h = world.scenario.rooms[event.where].air_changes_per_h


def _blow(event: WindEvent, world: Stage) -> None:
    world.yards[event.where].wind.change(event.at_s, event.wind_m_s, event.from_deg, event.turns_s)


def _blow_as_usual(event: WindEvent, world: Stage) -> None:
    world.yards[event.where].wind.change(_stop_s(event), None, None, event.turns_s)


def _pump(event: PumpEvent, world: Stage) -> None:
    world.tanks[event.where].flows.append(Flow(event.flow_m3_h / 3600.0, event.at_s, _stop_s(event)))


def _heat(event: HeatingEvent, world: Stage) -> None:
    world.tanks[event.where].heatings.append(Heating(event.heat_kw, event.at_s, _stop_s(event)))


def _column(name: str, value: Callable[[Any], float]) -> Callable[[Any, Stage], None]:
    def put(event: Any, world: Stage) -> None:
        getattr(world.heads, name)[world.rows_of(event.where)] = value(event)

    return put


def _poison(event: PoisonEvent, world: Stage) -> None:
    rows = world.rows_of(event.where)
    world.heads.poison_per_s[rows] = math.log(2.0) / event.half_life_s
    world.heads.poison_floor[rows] = event.left


def _replace(event: Any, world: Stage) -> None:
    world.heads.unfault(world.rows_of(event.where))


def _late(event: LateEvent, world: Stage) -> None:
    world.behaviours[event.where].late, world.behaviours[event.where].late_s = event.share, event.by_s


def _on_time(event: LateEvent, world: Stage) -> None:
    world.behaviours[event.where].late = 0.0


_SHARES = {"loss": "lost", "garble": "garbled", "wrong": "wrong"}


def _loss(event: LossEvent, world: Stage) -> None:
    setattr(world.behaviours[event.where], _SHARES[event.what], event.share)


def _no_loss(event: LossEvent, world: Stage) -> None:
    setattr(world.behaviours[event.where], _SHARES[event.what], 0.0)


def _slow(event: SlowEvent, world: Stage) -> None:
    world.behaviours[event.where].slow_s += event.by_s


def _quick(event: SlowEvent, world: Stage) -> None:
    world.behaviours[event.where].slow_s = max(world.behaviours[event.where].slow_s - event.by_s, 0.0)


def _repeat(event: RepeatEvent, world: Stage) -> None:
    world.behaviours[event.where].repeated = event.share


def _once(event: RepeatEvent, world: Stage) -> None:
    world.behaviours[event.where].repeated = 0.0


def _warm_up(event: WarmUpEvent, world: Stage) -> None:
    number = world.instruments.index(event.where)
    took_s = max(world.heads.warm_up_s(number), _WARM_UP_S) if event.for_s is None else event.for_s
    world.heads.restart(number, took_s)


def _calibrate(event: CalibrationEvent, world: Stage) -> None:
    number = world.instruments.index(event.where)
    world.heads.calibrating[number] = event.gas
    world.heads.untold[number] = not event.told


def _calibrated(event: CalibrationEvent, world: Stage) -> None:
    world.heads.calibrating[world.instruments.index(event.where)] = math.nan


def _change_unit(event: UnitChangedEvent, world: Stage) -> None:
    world.unit_words[event.where] = event.to
    world.heads.times[world.instruments.index(event.where)] = event.times


def _unit_as_before(event: UnitChangedEvent, world: Stage) -> None:
    world.unit_words.pop(event.where, None)
    world.heads.times[world.instruments.index(event.where)] = 1.0


def _line_noise(event: LineNoiseEvent, world: Stage) -> None:
    world.line_noise[event.where] = event.share


def _line_quiet(event: LineNoiseEvent, world: Stage) -> None:
    world.line_noise.pop(event.where, None)


def _refuse(event: RefuseEvent, world: Stage) -> None:
    world.behaviours[event.where].refused, world.behaviours[event.where].code = event.share, event.code


def _accept(event: RefuseEvent, world: Stage) -> None:
    world.behaviours[event.where].refused = 0.0


def _switch(event: Any, world: Stage, *, on: bool) -> None:
    """Set or take back what is either so or not."""
    match event.what:
        case "bus-down":
            (world.buses_down.add if on else world.buses_down.discard)(event.where)
        case "unplug":
            (world.unplugged.add if on else world.unplugged.discard)(event.where)
        case "relay-stuck":
            (world.relays_stuck.add if on else world.relays_stuck.discard)(event.where)
        case "dropout":
            world.behaviours[event.where].silent = on
        case "stuck":
            world.heads.stuck[world.rows_of(event.where)] = on
        case "restart":
            if on:
                world.heads.restart(world.instruments.index(event.where))
        case state:
            heads = world.heads
            columns = {
                "fault": heads.fault,
                "inhibit": heads.inhibited,
                "hang": heads.hung,
                "stall-heartbeat": heads.stalled,
            }
            columns[state][world.instruments.index(event.where)] = on


_BEGIN: dict[type, Callable[[Any, Stage], None]] = {
    LeakEvent: _leak,
    FireEvent: _fire,
    CookingEvent: _cooking,
    SteamEvent: _steam,
    WeldingEvent: _cooking,
    CleaningEvent: _clean,
    DoorEvent: _open,
    VentilationEvent: _ventilate,
    WindEvent: _blow,
    PumpEvent: _pump,
    HeatingEvent: _heat,
    BiasEvent: _column("bias", lambda event: event.by),
    DriftEvent: _column("drift_per_h", lambda event: event.per_hour),
    SpikeEvent: _column("spike", lambda event: event.by),
    NoiseEvent: _column("noise_times", lambda event: event.times),
    PoisonEvent: _poison,
    LateEvent: _late,
    LossEvent: _loss,
    SlowEvent: _slow,
    LineNoiseEvent: _line_noise,
    RepeatEvent: _repeat,
    WarmUpEvent: _warm_up,
    CalibrationEvent: _calibrate,
    UnitChangedEvent: _change_unit,
    RefuseEvent: _refuse,
}
_END: dict[type, Callable[[Any, Stage], None]] = {
    DoorEvent: _shut,
    VentilationEvent: _unventilate,
    WindEvent: _blow_as_usual,
    BiasEvent: _column("bias", lambda _: 0.0),
    DriftEvent: _replace,
    SpikeEvent: _column("spike", lambda _: 0.0),
    NoiseEvent: _column("noise_times", lambda _: 1.0),
    PoisonEvent: _replace,
    LateEvent: _on_time,
    LossEvent: _no_loss,
    SlowEvent: _quick,
    LineNoiseEvent: _line_quiet,
    RepeatEvent: _once,
    CalibrationEvent: _calibrated,
    UnitChangedEvent: _unit_as_before,
    RefuseEvent: _accept,
}
