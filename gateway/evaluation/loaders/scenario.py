"""A simulated plant on virtual time: readings as its instruments show them, and the truth as the simulator knows it.

The simulator is reached by name only, as everywhere outside of it. A leak, a fire, and a fault of an instrument are
truth: leaks and fires for all channels where they happen, until what they have changed is nearly over there, and
faults for the channels that have them. Cooking, steam, ventilation, heating and calibration are no truth: what is said
of them is false.
"""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from gateway.core.clock import NS_PER_S
from gateway.core.model import Float64, Int64, Quality, UInt8
from gateway.evaluation.recording import Recording, RecordingError, Series, Truth, assembled

HAZARDS: Final = frozenset({"leak", "fire"})
FAULTS: Final = frozenset({"stuck", "bias", "drift", "spike", "noise", "poison", "hang", "unit_changed"})
"""Events that make an instrument show something else than what is so, without saying it."""
SAID: Final = frozenset(
    {"fault", "inhibit", "restart", "warm_up", "calibration", "dropout", "late", "loss", "garble", "wrong", "slow",
     "repeat", "refuse", "bus_down", "line_noise", "unplug", "stall_heartbeat"}
)  # fmt: skip
"""Events that an instrument, or its silence, tells by itself: whatever is said meanwhile counts neither way."""
OVER_SHARE: Final = 0.1
"""A hazard is over once every channel's true value is back within this share of its largest change."""
DURATION_S: Final = 3600.0
"""How long a scenario is watched that has no end of its own, beyond its last event."""
STEP_S: Final = 0.5
"""Seconds of physics a step, unless the scenario takes longer ones."""
START_NS: Final = 1_767_571_200 * NS_PER_S
"""Midnight before the scenario's first hour: a Monday, so that hours and weekdays mean something."""


def looks_like(path: Path) -> bool:
    """Return whether a file is a scenario: YAML with instruments, or with a plant that has them."""
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(line.startswith(("plant:", "buses:", "rooms:")) for line in text.splitlines())


def load(path: Path, seeds: Sequence[int | None] = (None,), every_s: float = 1.0) -> Iterator[Recording]:
    """Yield one recording for each seed; None is the scenario's own.

    Raises:
        RecordingError: The scenario would give too many readings.
        ConfigError: The scenario cannot be.
    """
    scenario = importlib.import_module("simulators.loading").load_scenario(path)
    for seed in seeds:
        name = path.name if seed is None else f"{path.name}#{seed}"
        yield Watch(scenario, seed, every_s).recording(name)


class Watch:
    """A plant that is looked at regularly.

    Args:
        scenario: The simulator's scenario.
        seed: Its noise; None for its own.
        every_s: Seconds between looks at instruments on a bus; those that push do it at their own period.
    """

    def __init__(self, scenario: Any, seed: int | None, every_s: float) -> None:
        # A plant on sockets moves in tenths of a second, so that its polls are smooth; physics needs no more than this.
        step_s = max(scenario.step_s, min(every_s / 2, STEP_S))
        self.scenario = scenario = scenario.model_copy(update={"step_s": step_s})
        self.world = importlib.import_module("simulators.world").World(scenario, seed)
        self.owner = np.array([channel.instrument for channel in self.world.channels], np.intp)
        specs = [scenario.instruments[name] for name in self.world.instruments]
        self.period_s = [spec.every_s if spec.topic or spec.dev_eui else every_s for spec in specs]
        self.duration_s = scenario.duration_s or DURATION_S + max((event.at_s for event in scenario.events), default=0)
        looks = self.duration_s / min(self.period_s)
        if looks * len(self.world.channels) > _READINGS_MAX:
            raise RecordingError(
                f"{scenario.name}: {looks:.0f} looks at {len(self.world.channels)} channels are more than "
                f"{_READINGS_MAX} readings; look less often with --every"
            )

    def recording(self, name: str) -> Recording:
        """Run the scenario to its end."""
        world, step_s = self.world, self.scenario.step_s
        due_s = np.zeros(len(self.period_s))
        times: list[float] = []
        shown: list[Float64] = []
        quality: list[UInt8] = []
        true: list[Float64] = []
        taken: list[np.ndarray[Any, np.dtype[np.bool_]]] = []
        happened: list[dict[str, Any]] = []
        while world.t_s < self.duration_s - step_s / 2:
            world.step()
            happened += world.labels()
            due = due_s <= world.t_s + step_s / 2
            if not due.any():
                continue
            due_s[due] += np.array(self.period_s)[due]
            times.append(world.t_s)
            shown.append(world.heads.shown.copy())
            quality.append(self._quality())
            true.append(world.true.copy())
            taken.append(due[self.owner])
        ambient = self.scenario.ambient
        start_ns = START_NS + round((ambient.start_weekday * 24 + ambient.start_hour) * 3600) * NS_PER_S
        time_ns = start_ns + np.rint(np.array(times) * NS_PER_S).astype(np.int64)
        mask = np.array(taken)
        columns = (np.array(shown), np.array(quality))
        series = [
            self._series(k, time_ns[mask[:, k]], *(c[mask[:, k], k] for c in columns)) for k in range(mask.shape[1])
        ]
        truths = Happenings(self, happened, start_ns, time_ns, np.array(true)).truths()
        return assembled(name, "scenario", series, truths)

    def _quality(self) -> UInt8:
        """Return what each channel's quality is, as a driver would make it of the instrument's state."""
        heads = self.world.heads
        found = np.where(heads.over_range, np.uint8(Quality.OVER_RANGE), np.uint8(Quality.GOOD))
        for mask, code in (
            (heads.inhibited, Quality.INHIBITED),
            (~np.isnan(heads.calibrating), Quality.CALIBRATION),
            (heads.warming_up, Quality.WARM_UP),
            (heads.fault, Quality.SENSOR_FAULT),
            (self._silent(), Quality.COMMS_LOST),
        ):
            found = np.where(mask[self.owner], np.uint8(code), found)
        return found

    def _silent(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        world, specs = self.world, self.scenario.instruments
        gone = world.buses_down | world.unplugged
        return np.array([world.behaviours[name].silent or specs[name].bus in gone for name in world.instruments])

    def _series(self, row: int, time_ns: Int64, value: Float64, quality: UInt8) -> Series:
        channel = self.world.channels[row]
        low, high = float(self.world.heads.low[row]), float(self.world.heads.high[row])
        return Series(
            channel.id,
            time_ns,
            value,
            channel.quantity,
            channel.unit,
            self.area(row),
            quality,
            (low, high) if np.isfinite([low, high]).all() else None,
            period_s=self.period_s[channel.instrument],
        )

    def area(self, row: int) -> str:
        """Return the room or tank in which a channel is."""
        name = self.world.instruments[self.world.channels[row].instrument]
        return str(self.scenario.instruments[name].at)


class Happenings:
    """The truth file's events as windows.

    Args:
        watch: What was watched.
        events: What happened, as `World.labels` tells it.
        start_ns: The time of the scenario's second 0.
        time_ns: int64[looks].
        true: float64[looks, channels].
    """

    def __init__(
        self, watch: Watch, events: Sequence[dict[str, Any]], start_ns: int, time_ns: Int64, true: Float64
    ) -> None:
        self.watch, self.events = watch, events
        self.start_ns, self.time_ns, self.true = start_ns, time_ns, true

    def truths(self) -> Iterator[Truth]:
        """Yield a window for each event that began."""
        for k, event in enumerate(self.events):
            what, started, _ = str(event.get("event", "")).partition("_started")
            if not started:
                continue
            begin_ns, end_ns = self._ns(event["t_s"]), self._ended_ns(k, what, event["where"])
            if what in HAZARDS:
                yield self._hazard(what, event["where"], begin_ns, end_ns)
            elif what in FAULTS | SAID:
                yield Truth(f"fault:{what}", begin_ns, end_ns, self._channels(event["where"]), counted=what in FAULTS)

    def _ns(self, t_s: float) -> int:
        return self.start_ns + round(t_s * NS_PER_S)

    def _ended_ns(self, begun: int, what: str, where: str) -> int:
        """Return when an event ended; the last look where it did not."""
        ended = (e for e in self.events[begun + 1 :] if e.get("event") == f"{what}_ended" and e["where"] == where)
        found = next(ended, None)
        return int(self.time_ns[-1]) if found is None else self._ns(found["t_s"])

    def _channels(self, where: str) -> tuple[str, ...]:
        world = self.watch.world
        if where in world.row or where in world.instruments:
            return tuple(world.channels[row].id for row in world.rows_of(where))
        on_bus = [name for name, spec in self.watch.scenario.instruments.items() if spec.bus == where]
        return tuple(c.id for c in world.channels if world.instruments[c.instrument] in on_bus)

    def _hazard(self, what: str, where: str, begin_ns: int, end_ns: int) -> Truth:
        rows = [c.row for c in self.watch.world.channels if self.watch.area(c.row) == where]
        from_, until = (int(np.searchsorted(self.time_ns, at)) for at in (begin_ns, end_ns))
        change = np.abs(self.true[:, rows] - self.true[max(from_ - 1, 0), rows])
        largest = change[from_:].max(axis=0, initial=0.0)
        going = (change > OVER_SHARE * largest).any(axis=1)
        going[:until] = True
        over = np.flatnonzero(~going[until:])
        last = until + int(over[0]) if len(over) else len(self.time_ns) - 1
        return Truth(what, begin_ns, int(self.time_ns[min(last, len(self.time_ns) - 1)]), area=where)


_READINGS_MAX: Final = 20_000_000
