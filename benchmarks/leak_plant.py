"""The plant of the leak figures: rooms with six heads each, a climate that moves their zeros, doors, and leaks.

Everything is the simulator's own (`simulators.world`): no reading is made here. Heads stand as GB/T 50493 wants them
for a covering radius of 5 m indoors; what disturbs them is worse than the books allow a certified head to be moved by
(IEC 60079-29-1 lets the zero of a combustible head move by a few %LEL over its temperature range).
"""

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.events import LeakEvent
from simulators.loading import checked
from simulators.world import World

ROOMS = 12
HEADS = [(x, y) for y in (2.5, 7.5) for x in (2.5, 7.5, 12.5)]
"""Places of a room's heads on its plan of 15 m by 10 m, in metres."""
STEP_S = 2.5
DAY_S = 86_400
VOLUME_M3, HEIGHT_M, LENGTH_M, AIR_CHANGES_PER_H = 600.0, 4.0, 15.0, 0.5
BRANCH_S = 1500.0
"""How long a leak is watched."""


@dataclass(frozen=True, slots=True)
class Head:
    """What kind of head hangs there; figures in %LEL."""

    resolution: float = 0.1
    low: float = -5.0
    noise: float = 0.1
    flicker: float = 0.06
    per_k_sd: float = 0.06
    per_rh_sd: float = 0.012


@dataclass(frozen=True, slots=True)
class Branch:
    """A leak in every room, begun at a moment of the clean record.

    Attributes:
        at: Index of the clean record's reading after which it begins.
        size: %LEL at which it settles.
        mixed: Whether it has no place, so that all heads meet the room's mean.
        values: float32[readings, channels].
        nearest: The place of the nearest head in each room; -1 where the leak has none.
    """

    at: int
    size: float
    mixed: bool
    values: NDArray[np.float32]
    nearest: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """Some days without a leak, and leaks that branch off."""

    channels: list[tuple[str, str, int]]
    clean: NDArray[np.float32]
    branches: list[Branch] = field(default_factory=list)


def scenario(
    seed: int, days: float, head: Head, *, cleaning: bool, climate: bool = True, rooms: int = ROOMS
) -> dict[str, Any]:
    """Return the plant: offices' hours, a heated hall, doors that let the cold in."""
    rng = np.random.default_rng([seed, 1])
    hours = {"from_h": 7, "to_h": 19, "weekdays": [0, 1, 2, 3, 4, 5]}
    instruments: dict[str, Any] = {}
    events: list[dict[str, Any]] = []
    for room in range(rooms):
        name = f"room-{room:02d}"
        for place, (x, y) in enumerate(HEADS):
            instruments[f"gd-{room:02d}{place}"] = {
                "bus": f"bus-{room}", "unit": place + 1, "at": name, "x_m": x, "y_m": y, "height_m": 3.7,
                "channels": {"ch4": {
                    "address": 0, "range": [head.low, 100.0], "t90_s": float(rng.uniform(8, 20)),
                    "noise": head.noise, "flicker": head.flicker, "resolution": head.resolution,
                    "per_k": float(rng.normal(0, head.per_k_sd)), "per_rh": float(rng.normal(0, head.per_rh_sd)),
                    "daily": 0.0, "sees": {"ethanol": 0.6}, "marks": []}},
            }  # fmt: skip
        if climate:
            instruments[f"th-{room:02d}"] = {
                "bus": f"bus-{room}", "unit": 99, "at": name, "height_m": 1.6,
                "channels": {"temperature": {"address": 0, "type": "int16", "t90_s": 60.0, "marks": []},
                             "humidity": {"address": 1, "t90_s": 30.0}},
            }  # fmt: skip
        events += [
            {"at_s": 0, "what": "door", "where": name, "for_s": 45, "air_changes_per_h": 20,
             "often": {"per_h": 4, **hours}},
            {"at_s": 0, "what": "door", "where": name, "for_s": 900, "air_changes_per_h": 15,
             "often": {"per_h": 0.2, **hours}},
        ]  # fmt: skip
        if cleaning:
            where = {"x_m": 5.0 + room, "y_m": 3.0 + room, "height_m": 1.0}
            events.append({"at_s": 0, "what": "cleaning", "where": name, "grams": 20, **where,
                           "often": {"per_h": 0.5, "from_h": 17, "to_h": 19}})  # fmt: skip
    return {
        "name": "leaks", "seed": seed, "step_s": STEP_S, "duration_s": days * DAY_S,
        "ambient": {"temperature_c": 8, "swing_k": 6, "weather_k": 0.8, "humidity_rh": 70, "start_hour": 0},
        "rooms": {f"room-{k:02d}": {"volume_m3": VOLUME_M3, "height_m": HEIGHT_M, "length_m": LENGTH_M,
                                "air_changes_per_h": AIR_CHANGES_PER_H, "warmer_k": 12} for k in range(rooms)},
        "buses": {f"bus-{k}": {"type": "modbus-tcp"} for k in range(rooms)},
        "instruments": instruments, "events": events,
    }  # fmt: skip


def flow_l_per_min(settles_lel: float) -> float:
    """Return the leak whose room settles at so many %LEL of methane."""
    share = settles_lel * 0.05 / 100.0
    air = AIR_CHANGES_PER_H * VOLUME_M3 * 1000.0 / 60.0
    return air * share / (1.0 - share)


def record(
    seed: int,
    days: float,
    *,
    learn_days: float,
    leaks: int,
    sizes: tuple[float, ...],
    head: Head | None = None,
    cleaning: bool = False,
    climate: bool = True,
    rooms: int = ROOMS,
) -> Record:
    """Run the plant.

    Args:
        seed: Of everything.
        days: Length of the clean record.
        learn_days: No leak begins before.
        leaks: Moments at which leaks begin; at each, one of every size, with a place and without.
        sizes: %LEL at which they settle.
        head: What hangs there.
        cleaning: Whether somebody wipes with alcohol most evenings.
        climate: Whether temperature and humidity are measured in the rooms.
        rooms: How many.
    """
    world = World(checked(scenario(seed, days, head or Head(), cleaning=cleaning, climate=climate, rooms=rooms)))
    count = round(days * DAY_S / STEP_S)
    rng = np.random.default_rng([seed, 2])
    begins = set(np.sort(rng.integers(round(learn_days * DAY_S / STEP_S), count, leaks)).tolist())
    clean = np.empty((count, len(world.channels)), np.float32)
    branches: list[Branch] = []
    for k in range(count):
        world.step()
        world.labels()
        clean[k] = world.heads.shown
        if k in begins:
            branches += [_branch(world, k, size, rng, mixed=mixed) for size in sizes for mixed in (False, True)]
    channels = [(c.id, c.quantity, int(c.id[3:5])) for c in world.channels]
    return Record(channels, clean, branches)


def _branch(world: World, at: int, size: float, rng: np.random.Generator, *, mixed: bool) -> Branch:
    world = copy.deepcopy(world)
    nearest: list[int] = []
    for room in range(len(world.rooms)):
        place: dict[str, float] = {}
        if not mixed:
            x, y = rng.uniform(0.5, LENGTH_M - 0.5), rng.uniform(0.5, VOLUME_M3 / HEIGHT_M / LENGTH_M - 0.5)
            place = {"x_m": float(x), "y_m": float(y), "height_m": float(rng.uniform(2.0, 3.8))}
            nearest.append(int(np.argmin([(x - a) ** 2 + (y - b) ** 2 for a, b in HEADS])))
        flow = flow_l_per_min(size)
        event = {"at_s": world.t_s, "what": "leak", "where": f"room-{room:02d}", "gas": "ch4", "flow_l_per_min": flow}
        world.happen(LeakEvent.model_validate({**event, **place}))
    values = np.empty((round(BRANCH_S / STEP_S), len(world.channels)), np.float32)
    for k in range(len(values)):
        world.step()
        values[k] = world.heads.shown
    return Branch(at, size, mixed, values, tuple(nearest) if nearest else (-1,) * len(world.rooms))
