"""Fire by several criteria against the commercial smoke alarms of NIST's home fires, and against what is no fire.

    HAZGATE_RECORDINGS=… python -m benchmarks detection_fires

Reads the sub-folders `nist_smoke_alarms`, `nist_fires` and `sensor_faults`, and says which are absent. The rules are
those of `config/evaluation/nist.yaml`, whose figures are the shipped ones. A delay is counted from the first ion or
photo alarm that sounded in the same room; negative is earlier. Beside the figure stand:

- the same rule with the analogue output of the room's own ionisation head as one more smoke channel,
- one rule for the whole house, as alarms are linked in homes: no longer a matter of one room's instruments,
- when the first instrument of each room left its normal at all, which no vote of two kinds can be ahead of,
- the rule with its floors chosen anew on all fires but the one that is judged,
- rooms without a fire: real temperatures with the quiet noise of the real smoke and gas meters, and simulated frying,
  steam and welding.

The baselines are short: the recordings begin with the fire, 24 to 151 s before the first alarm.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Figure, SkippedError, table
from detectors import fire
from detectors.parts.criteria import Criterion
from gateway.core.clock import NS_PER_S
from gateway.core.model import Batch, Channel, Level, Rule
from gateway.evaluation.loaders import faults, nist
from gateway.evaluation.loaders.tables import Table, read_table
from gateway.evaluation.recording import Recording
from gateway.evaluation.rules import Rules, load_rules
from simulators.loading import load_scenario
from simulators.world import World

FOLDER = "HAZGATE_RECORDINGS"
ROOT = Path(__file__).parents[1]
RULES = ROOT / "config" / "evaluation" / "nist.yaml"
SCENARIOS = ROOT / "config" / "scenarios"
PAIRS = 36
GOAL_S = -10.0
NEVER = float("inf")
QUIET_MIN = 8
"""Readings that tell what a meter's noise is."""
ION = Criterion(quantity="ion", kind="smoke", floor=0.05, drift=0.01)
"""An ionisation chamber's voltage, turned round as it falls with smoke; of its 2 V to the alarm, a fortieth."""
FLOORS = tuple(product((0.3, 0.5, 0.8), (1.0, 2.0), (0.003, 0.005, 0.01)))
"""Floors of heat, what counts as the day's course of heat, floors of smoke: what is chosen among for the check."""
NUISANCES = (("nuisance", 900), ("kitchen-row-quiet", 1300))
FIRES = (("fire", 30, 300), ("kitchen-row-fire", 60, 120))

Float64 = NDArray[np.float64]


class Heard(NamedTuple):
    """What rules said of one place: seconds from the start at which they first warned, and first raised an alarm."""

    warned_s: float
    alarmed_s: float


def say(rules: Sequence[Rule], batches: Iterator[Batch]) -> dict[str, Heard]:
    """Judge and return what was heard by rule, in seconds of the readings' own time."""
    detector = fire.create(rules)
    heard = {rule.index: Heard(NEVER, NEVER) for rule in rules}
    for batch in batches:
        found = detector.update(batch)
        for rule, level, time_ns in zip(found.rule.tolist(), found.level.tolist(), found.time_ns.tolist(), strict=True):
            before, now_s = heard[rule], time_ns / NS_PER_S
            if level == Level.HIGH:
                heard[rule] = Heard(min(before.warned_s, now_s), min(before.alarmed_s, now_s))
            elif level == Level.WARNING:
                heard[rule] = before._replace(warned_s=min(before.warned_s, now_s))
    return {rule.id: heard[rule.index] for rule in rules}


def batches(recording: Recording) -> Iterator[Batch]:
    numbers = recording.batches()
    for part in np.split(np.arange(len(recording)), np.flatnonzero(np.diff(numbers)) + 1):
        yield Batch.of(recording.row[part], recording.time_ns[part], recording.value[part], recording.quality[part])


class Said(NamedTuple):
    """What a rule said of a simulated room, and when."""

    at_s: float
    room: str
    level: Level
    reason: str

    @property
    def by_vote(self) -> bool:
        """Whether it is an alarm by the vote, and not by a fixed limit."""
        return self.level is Level.HIGH and "no vote needed" not in self.reason


class House:
    """One fire: its recording, when the first alarm of each room sounded, and the rooms' ionisation heads."""

    def __init__(self, recording: Recording, table_: Table) -> None:
        self.recording = recording
        self.name = recording.name
        self.first_s = {t.area: t.from_ns / NS_PER_S for t in recording.truths if t.counted}
        self.table = table_

    def heads(self, room: str) -> list[tuple[Channel, Float64]]:
        """Return the ionisation heads of a room whose output was recorded: Ion1 of it, or of it and its neighbour."""
        letter = room.removeprefix("room-").upper()
        names = [name for name in self.table.names if re.fullmatch(rf"Ion1[A-Z]*{letter}[A-Z]*", name)]
        period_s = self.recording.channels[0].period_s
        return [
            (Channel(0, f"{room}.{name.lower()}", room, "ion", "V", decimals=2, period_s=period_s, area=room),
             -self.table.numbers(name))
            for name in names
        ]  # fmt: skip


def houses(folder: Path) -> list[House]:
    return [
        House(recording, read_table(folder / f"NIST_Smoke_Alarms_{recording.name}.csv", ","))
        for recording in nist.load(folder)
    ]


def of_rooms(rules: Rules, house: House) -> list[Rule]:
    """Return the shipped rule of each room that has had a commercial alarm."""
    return [rule for rule in rules.bind(house.recording, 0)[0] if rule.area in house.first_s]


def delays(house: House, heard: Mapping[str, Heard], rules: Sequence[Rule], what: str = "alarmed_s") -> list[float]:
    """Return seconds from the first commercial alarm of each room; what came without instruments never came."""
    by_room = {rule.area: getattr(heard[rule.id], what) for rule in rules}
    return [by_room.get(room, NEVER) - first_s for room, first_s in house.first_s.items()]


def with_options(rules: Sequence[Rule], options: fire.Options) -> list[Rule]:
    return [replace(rule, options=options) for rule in rules]


def fused(rules: Rules, all_: Sequence[House], options: fire.Options | None = None) -> dict[str, list[float]]:
    found = {}
    for house in all_:
        mine = of_rooms(rules, house)
        mine = mine if options is None else with_options(mine, options)
        found[house.name] = delays(house, say(mine, batches(house.recording)), mine)
    return found


def first_signs(rules: Rules, all_: Sequence[House]) -> list[float]:
    """Return when the first criterion of each room was met, agreed with or not."""
    options = fire.Options(warning_delay_s=0.0)
    found: list[float] = []
    for house in all_:
        mine = with_options(of_rooms(rules, house), options)
        found += delays(house, say(mine, batches(house.recording)), mine, "warned_s")
    return found


def in_the_house(rules: Rules, all_: Sequence[House]) -> list[float]:
    found: list[float] = []
    for house in all_:
        (rule,) = rules.bind(house.recording, 0)[1]
        alarmed_s = say([rule], batches(house.recording))[rule.id].alarmed_s
        found += [alarmed_s - first_s for first_s in house.first_s.values()]
    return found


def with_heads(rules: Rules, all_: Sequence[House]) -> list[float]:
    found: list[float] = []
    options = fire.Options(criteria=(ION,))
    for house in all_:
        mine: list[Rule] = []
        more: list[tuple[Channel, Float64]] = []
        rows = len(house.recording.channels)
        for rule in of_rooms(rules, house):
            heads = [
                (replace(head, row=rows + len(more) + k), values)
                for k, (head, values) in enumerate(house.heads(rule.area))
            ]
            more += heads
            mine.append(replace(rule, channels=(*rule.channels, *[head for head, _ in heads]), options=options))
        found += delays(house, say(mine, _widened(house, more)), mine)
    return found


def _widened(house: House, heads: Sequence[tuple[Channel, Float64]]) -> Iterator[Batch]:
    """Yield a house's readings with those of its heads; a head that serves two rooms is a channel of each."""
    rows = [head.row for head, _ in heads]
    for k, batch in enumerate(batches(house.recording)):
        more = Batch.of(rows, batch.time_ns[0], [values[k] for _, values in heads])
        yield Batch.concat([batch, more])


def summary(found: Sequence[float]) -> str:
    values = np.sort(np.array(found))
    low, high = values[round(0.1 * (len(values) - 1))], values[round(0.9 * (len(values) - 1))]
    heard = int(np.isfinite(values).sum())
    return (
        f"{heard} of {len(values)}, median {np.median(values):+.0f} s (10 %..90 %: {low:+.0f}..{high:+.0f}), "
        f"{int((values < 0).sum())} earlier"
    )


def chosen_on_others(rules: Rules, all_: Sequence[House]) -> list[float]:
    """Return each fire's delays with the floors that were best on the other fires."""
    tried = {}
    for heat, drift, smoke in FLOORS:
        criteria = (
            Criterion(quantity="temperature", floor=heat, drift=drift),
            Criterion(quantity="smoke", floor=smoke),
        )
        tried[heat, drift, smoke] = fused(rules, all_, fire.Options(criteria=criteria))
    found: list[float] = []
    for house in all_:

        def on_others(floors: tuple[float, float, float], out: str = house.name) -> tuple[float, float]:
            others = [one for name, values in tried[floors].items() if name != out for one in values]
            return float(np.median(others)), float(np.mean(np.clip(others, -60.0, 120.0)))

        best = min(tried, key=on_others)
        print(f"  {house.name}: heat {best[0]} K, {best[1]} K/min, smoke {best[2]} per metre were best on the others")
        found += tried[best][house.name]
    return found


def plain(rules: Rules, all_: Sequence[House]) -> tuple[list[float], list[float]]:
    """Return when a temperature under the ceiling of each room came to 57 °C, and rose by 8.3 K/min over 30 s."""
    heat: list[float] = []
    rise: list[float] = []
    for house in all_:
        bound = rules.bind(house.recording, 0)
        for entry, into in zip((2, 3), (heat, rise), strict=True):
            module = rules.entries[entry].module
            detector, first = module.create(bound[entry]), dict.fromkeys((rule.area for rule in bound[entry]), NEVER)
            areas = {rule.index: rule.area for rule in bound[entry]}
            for batch in batches(house.recording):
                found = detector.update(batch)
                for rule, level in zip(found.rule.tolist(), found.level.tolist(), strict=True):
                    if level == Level.HIGH:
                        first[areas[rule]] = min(first[areas[rule]], float(found.time_ns[0]) / NS_PER_S)
            into += [first.get(room, NEVER) - first_s for room, first_s in house.first_s.items()]
    return heat, rise


def quiet_noise(all_: Sequence[House]) -> dict[str, list[Float64]]:
    """Return what smoke and carbon dioxide meters show before a fire could have reached them, one array a meter."""
    pools: dict[str, list[Float64]] = {"smoke": [], "co2": []}
    for house in all_:
        for channel in house.recording.channels:
            if channel.quantity in pools and channel.area in house.first_s:
                time_ns, value = house.recording.of(channel.row)
                early = value[time_ns < 0.4 * house.first_s[channel.area] * NS_PER_S]
                if len(early) >= QUIET_MIN:
                    pools[channel.quantity].append(early - np.median(early))
    return pools


def clean_rooms(folder: Path, noise: Mapping[str, Sequence[Float64]], most: int) -> tuple[float, int, int]:
    """Return sensor-days, alarms and warnings of rooms without fire.

    Each is one mote's temperatures, without those in which a fault was injected, beside a smoke and a gas channel that
    show the quiet noise of the real meters.
    """
    random = np.random.default_rng(1)
    days, alarms, warnings = 0.0, 0, 0
    seen: set[str] = set()
    for recording in faults.load(folder):
        for channel in recording.channels:
            mote = f"{recording.name.split('/')[0]} {channel.instrument}"
            if channel.quantity != "temperature" or mote in seen:
                continue
            seen.add(mote)
            time_ns, value = recording.of(channel.row)
            sound = np.isfinite(value)
            for truth in recording.truths:
                if truth.concerns(channel):
                    sound &= ~((time_ns >= truth.start_ns) & (time_ns <= truth.end_ns))
            time_ns, value = time_ns[sound][:most], value[sound][:most]
            gaps = np.fmin(np.diff(time_ns) / NS_PER_S, 600.0)
            days += float(gaps.sum()) / 86_400.0
            # One meter's noise to a room: a mixture of good and bad meters would be like none of them.
            smoke, gas = (pool[len(seen) % len(pool)] for pool in (noise["smoke"], noise["co2"]))
            meters = random.choice(smoke, len(value)), random.choice(gas, len(value))
            found = _clean_room(channel.period_s, time_ns, value, meters)
            alarms, warnings = alarms + found[0], warnings + found[1]
    return days, alarms, warnings


def _clean_room(
    period_s: float, time_ns: NDArray[np.int64], heat: Float64, noise: tuple[Float64, Float64]
) -> tuple[int, int]:
    members = (
        Channel(0, "room.temperature", "room", "temperature", "°C", period_s=period_s),
        Channel(1, "room.smoke", "room", "smoke", "1/m", period_s=period_s),
        Channel(2, "room.co2", "room", "co2", "ppm", period_s=period_s),
    )
    detector = fire.create([Rule(0, "fire", "fire", members, fire.Options(), group=True)])
    levels = [
        level
        for now_ns, *values in zip(time_ns.tolist(), heat, 0.003 + noise[0], 600.0 + noise[1], strict=True)
        for level in detector.update(Batch.of([0, 1, 2], now_ns, values)).level.tolist()
    ]
    return levels.count(Level.HIGH), levels.count(Level.WARNING)


def simulated(name: str, seconds: float, every_s: float = 2.0) -> list[Said]:
    """Return what fire rules of a scenario's rooms said: when, where, what and why."""
    world = World(load_scenario(SCENARIOS / f"{name}.yaml"))
    rooms = {key: spec.at for key, spec in world.scenario.instruments.items()}
    channels = [
        Channel(one.row, one.id, one.id.partition(".")[0], one.quantity, one.unit, decimals=3, period_s=every_s)
        for one in world.channels
        if one.quantity in {"temperature", "smoke", "co", "co2"} and one.spec.above is None
    ]
    groups: dict[str, list[Channel]] = {}
    for channel in channels:
        groups.setdefault(rooms[channel.instrument], []).append(channel)
    rules = [
        Rule(k, room, "fire", tuple(members), fire.Options(), group=True)
        for k, (room, members) in enumerate(groups.items())
    ]
    detector, rows = fire.create(rules), np.array([channel.row for channel in channels], np.int32)
    said: list[Said] = []
    steps = round(every_s / world.scenario.step_s)
    for k in range(round(seconds / world.scenario.step_s)):
        world.step()
        if k % steps:
            continue
        found = detector.update(Batch.of(rows, round(world.t_s * NS_PER_S), world.heads.shown[rows]))
        said += [
            Said(world.t_s, rules[rule].id, Level(level), reason.en)
            for rule, level, reason in zip(found.rule.tolist(), found.level.tolist(), found.reason, strict=True)
        ]
    return said


def vettori(folder: Path) -> list[float]:
    """Return seconds by which heat alone raises an alarm before the first sprinkler of each burner fire (negative)."""
    (activations,) = folder.glob("*_Act.csv")
    acts = read_table(activations, ",")
    found: list[float] = []
    for file in sorted(folder.glob("*_Test_*.csv")):
        test = int(file.stem.rpartition("_")[2])
        times = [acts.numbers(name)[0] for name in acts.names if re.fullmatch(rf"Time-0*{test}-\d+", name)]
        columns = read_table(file, ",")
        names = [name for name in columns.names if re.fullmatch(r"TC_[1-4]_01", name)]
        if not times or not names:
            continue
        time_ns = columns.times("TIME")
        period_s = float(np.median(np.diff(time_ns))) / NS_PER_S
        members = tuple(
            Channel(k, f"ceiling.{name.lower()}", "ceiling", "temperature", "°C", period_s=period_s)
            for k, name in enumerate(names)
        )
        values = np.stack([columns.numbers(name) for name in names], axis=1)
        rule = Rule(0, "fire", "fire", members, fire.Options(), group=True)
        rows = np.arange(len(names))
        parts = (Batch.of(rows, int(now), row) for now, row in zip(time_ns, values, strict=True))
        found.append(say([rule], parts)["fire"].alarmed_s - min(times))
    return found


def main(short: bool = False) -> list[Figure]:
    root = Path(os.environ.get(FOLDER, ""))
    if not os.environ.get(FOLDER) or not (root / "nist_smoke_alarms").is_dir():
        raise SkippedError(f"{FOLDER} names no folder with nist_smoke_alarms")
    rules, all_ = load_rules(RULES), houses(root / "nist_smoke_alarms")[: 1 if short else None]
    by_test = fused(rules, all_)
    per_room = [one for values in by_test.values() for one in values]
    table(
        f"Seconds to the alarm from the first commercial one of the same room ({len(per_room)} of {PAIRS} rooms)",
        ("fire", *sorted({room for house in all_ for room in house.first_s})),
        _rows(all_, by_test),
    )
    met = len(per_room) == sum(np.isfinite(per_room)) and float(np.median(per_room)) <= GOAL_S
    goal = f"all, median ≤ {GOAL_S:g} s"
    figures = [
        Figure("one rule a room: heat, smoke, CO2", goal, summary(per_room), met=met),
        Figure("the same, with the room's ionisation head", goal, summary(with_heads(rules, all_))),
        Figure("one rule for the house", "", summary(in_the_house(rules, all_))),
        Figure("first sign of any kind in the room", "", summary(first_signs(rules, all_))),
    ]
    heat, rise = plain(rules, all_)
    figures += [Figure("57 °C", "", summary(heat)), Figure("8.3 K/min over 30 s", "", summary(rise))]
    if not short:
        figures.append(Figure("floors chosen on the other fires", "", summary(chosen_on_others(rules, all_))))
    return figures + _no_fire(root, all_, short) + _burners(root)


def _rows(all_: Sequence[House], by_test: Mapping[str, Sequence[float]]) -> Iterator[tuple[str, ...]]:
    rooms = sorted({room for house in all_ for room in house.first_s})
    for house in all_:
        mine = dict(zip(house.first_s, by_test[house.name], strict=True))
        yield house.name, *(f"{mine[room]:+.0f}" if room in mine else "" for room in rooms)


def _no_fire(root: Path, all_: Sequence[House], short: bool) -> list[Figure]:
    figures = []
    if (root / "sensor_faults").is_dir():
        days, alarms, warnings = clean_rooms(root / "sensor_faults", quiet_noise(all_), 300 if short else 1 << 60)
        clean = f"{alarms} alarms, {warnings} warnings in {days:.1f} room-days"
        figures.append(Figure("rooms without fire, real heat and quiet meters", "0 alarms", clean, met=not alarms))
    else:
        print(f"absent: {root / 'sensor_faults'}")
    for name, seconds in NUISANCES if not short else NUISANCES[:1]:
        said = simulated(name, 300 if short else seconds)
        voted = [one for one in said if one.by_vote]
        beyond = [one for one in said if one.level is Level.HIGH and not one.by_vote]
        warned = sum(one.level is Level.WARNING for one in said)
        measured = f"{len(voted)} by vote, {len(beyond)} by a fixed limit; {warned} warnings"
        figures.append(Figure(f"simulated, {name}", "0 alarms by vote", measured, met=not voted))
        for one in voted + beyond:
            print(f"  {name}: {one.at_s:.0f} s, {one.room}: {one.reason}")
    for name, begins_s, seconds in FIRES if not short else ():
        found = [one for one in simulated(name, begins_s + seconds) if one.level is Level.HIGH and one.at_s >= begins_s]
        measured = f"{found[0].at_s - begins_s:.0f} s after ignition: {found[0].reason}" if found else "not found"
        figures.append(Figure(f"simulated, {name}", "found", measured, met=bool(found)))
    return figures


def _burners(root: Path) -> list[Figure]:
    folder = root / "nist_fires" / "Vettori_Flat_Ceiling"
    if not folder.is_dir():
        print(f"absent: {folder}")
        return []
    return [Figure("heat alone, before the first sprinkler (Vettori)", "all", summary(vettori(folder)))]
