"""Simulated fires beside NIST's full-scale tests of smoke alarms in a manufactured home that they imitate.

    python -m benchmarks fire_against_nist

Test SDC02 comes with the project (`config/recordings`); SDC05, SDC07 and SDC10 are read from the sub-folder
`nist_smoke_alarms` of the folder in `HAZGATE_RECORDINGS`. The full form also draws
`docs/images/fire-against-nist.svg`, for which it needs matplotlib (the extra `report`).

What is set is what an engineer could know beforehand: the home's plan and the place of heads and fire as in the
geometry that NIST published with its own calculations of these tests (firemodels/fds, Validation/NIST_Smoke_Alarms),
and from there the heat release of the chair and of the mattress and when flaming began, as the t-squared growth that
its curve is. Fuel is wood, which is nearest to the cellulose that NIST takes. Everything else is what the simulator
makes of it, with the same constants for every test.

Compared are the rises above what was read in the first ten seconds, until 180 s: NIST's heat releases end there.
"""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Figure, SkippedError, percentile, table
from gateway.evaluation.loaders.tables import Table, read_table
from simulators.doorways import Doorway
from simulators.mixing import Ambient
from simulators.rooms import Fire, Room, Spot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = "HAZGATE_RECORDINGS"
ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "config" / "recordings" / "nist_smoke_alarms_sdc02.csv"
PICTURE = ROOT / "docs" / "images" / "fire-against-nist.svg"
UNTIL_S, STEP_S, EVERY_S = 180.0, 0.1, 2.0
BASELINE_S = 10.0
FRESH_CO2_VOL = 0.2
"""An analyser that shows more before the fire, as room B's does with 1 to 6 %VOL, shows nothing to compare with."""
BASE_M = 0.3
"""Height of the seat and of the mattress."""
CEILING_M = 2.3
"""Mean of a ceiling that rises from 2.1 m at the walls to 2.5 m."""
LIVING_M3, REMOTE_M3, MAIN_M3 = 88.0, 29.0, 27.0
"""Living room with kitchen and the open passages on both sides, far bedroom, main bedroom with its closet."""
DOOR_M = (0.6, 2.0)
"""Width and height of both bedroom doors."""
RATE_S, RATE_K_PER_MIN = 30.0, 8.3
"""Rate of rise as EN 54-5 classes with R have it."""
FIXED_C = 57.0

Float64 = NDArray[np.float64]


class Burning(NamedTuple):
    """A test: where it burnt, its growth, when flaming began, and how warm the home was."""

    name: str
    room: str
    alpha_kw_s2: float
    flaming_s: float
    ambient_c: float


class Head(NamedTuple):
    """A place with instruments under the ceiling; letters as NIST's."""

    letter: str
    room: str
    from_chair_m: float
    from_mattress_m: float


TESTS = (
    Burning("SDC02", "living", 0.00404, 0.0, 21.0),
    Burning("SDC10", "living", 0.00404, 21.0, 26.0),
    Burning("SDC05", "main", 0.00528, 0.0, 22.0),
    Burning("SDC07", "main", 0.00987, 40.0, 24.0),
)
"""Growth as fitted to NIST's heat release at 90 and 177 s; SDC10 is SDC02's chair with flaming 21 s later."""
HEADS = (
    Head("E", "living", 1.15, math.inf),
    Head("F", "living", 3.05, math.inf),
    Head("B", "main", math.inf, 1.25),
    Head("A", "remote", math.inf, math.inf),
)


class Mark(NamedTuple):
    """Something that a detector would notice; `absolute` marks count from 0 and not from the first readings."""

    text: str
    quantity: str
    rise: float
    absolute: bool = False
    over_s: float = 0.0


MARKS = (
    Mark("+10 K", "temperature", 10.0),
    Mark("+30 K", "temperature", 30.0),
    Mark("8.3 K/min over 30 s", "temperature", RATE_K_PER_MIN * RATE_S / 60.0, over_s=RATE_S),
    Mark("57 °C", "temperature", FIXED_C, absolute=True),
    Mark("0.05 OD/m", "smoke", 0.05),
    Mark("0.14 OD/m", "smoke", 0.14),
    Mark("+500 ppm CO2", "co2", 0.05),
)
COLUMNS = {"temperature": "TC{}_1", "smoke": "SM{}_1", "co2": "GAS{}_3"}
COLOURS = {"E": "#b3261e", "F": "#1f5fa8", "B": "#7a4a00", "A": "#3b7a3b"}
UNITS = {"temperature": "K", "smoke": "OD/m", "co2": "%VOL"}


@dataclass(frozen=True, slots=True)
class Course:
    """How a quantity went at a head.

    Attributes:
        time_s: float64[n], from ignition.
        rise: float64[n], above the first readings.
        first: What the first readings were.
    """

    time_s: Float64
    rise: Float64
    first: float

    def reached_s(self, mark: Mark) -> float:
        """Return when a mark was reached, for two readings at least; infinite where it was not."""
        value = self.rise + self.first if mark.absolute else self.rise
        if mark.over_s:
            before = np.interp(self.time_s - mark.over_s, self.time_s, self.rise)
            value = self.rise - before
        over = value >= mark.rise
        both = np.flatnonzero(over[:-1] & over[1:])
        return float(self.time_s[both[0]]) if both.size else math.inf


class Pair(NamedTuple):
    """A quantity at a head: measured and simulated."""

    test: Burning
    head: Head
    quantity: str
    measured: Course
    simulated: Course

    @property
    def same_room(self) -> bool:
        """Whether the head hangs in the room where it burns."""
        return self.head.room == self.test.room


class Timed(NamedTuple):
    """When a mark was reached in the recording and in the simulation."""

    pair: Pair
    mark: Mark
    measured_s: float
    simulated_s: float

    @property
    def late_s(self) -> float:
        """How much later it was reached in the simulation."""
        return self.simulated_s - self.measured_s


def home(ambient_c: float) -> tuple[dict[str, Room], list[Doorway]]:
    """Return the home's rooms, and the doors between them."""
    ambient = Ambient(
        temperature_c=ambient_c, swing_k=0.0, humidity_rh=50.0, start_hour=9.0, weather_k=0.0,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    volumes = {"living": LIVING_M3, "remote": REMOTE_M3, "main": MAIN_M3}
    rooms = {name: Room(volume, CEILING_M, 0.5, ambient) for name, volume in volumes.items()}
    return rooms, [Doorway(rooms["living"].layer, rooms[name].layer, *DOOR_M) for name in ("remote", "main")]


def spot_of(head: Head, burning: Burning) -> Spot:
    """Return where a head hangs; where nothing burns in its room, its distance does not matter."""
    radius_m = head.from_chair_m if burning.room == "living" else head.from_mattress_m
    return Spot(CEILING_M - 0.02, radius_m if math.isfinite(radius_m) else 3.0)


def simulate(burning: Burning, fuel: str = "wood") -> dict[tuple[str, str], Course]:
    """Return the courses at all heads, by their letter and quantity."""
    rooms, doors = home(burning.ambient_c)
    rooms[burning.room].fires.append(Fire(burning.alpha_kw_s2, math.inf, fuel, burning.flaming_s, base_m=BASE_M))
    spots = [(head, rooms[head.room], spot_of(head, burning)) for head in HEADS]
    rows = []
    for step in range(1, round(UNTIL_S / STEP_S) + 1):
        for room in rooms.values():
            room.step(step * STEP_S, STEP_S)
        for door in doors:
            door.step(STEP_S)
        if step % round(EVERY_S / STEP_S) == 0:
            rows.append([value for _, room, spot in spots for value in _read(room, spot)])
    values = np.array(rows, np.float64).T
    time_s = np.arange(1, len(rows) + 1, dtype=np.float64) * EVERY_S
    keys = [(head.letter, quantity) for head in HEADS for quantity in COLUMNS]
    firsts = {"temperature": burning.ambient_c, "smoke": 0.0, "co2": 0.0}
    return {key: Course(time_s, row, firsts[key[1]]) for key, row in zip(keys, values, strict=True)}


def _read(room: Room, spot: Spot) -> tuple[float, float, float]:
    rise = room.temperature_at(spot) - room.temperature_c
    smoke = room.value("smoke", "OD/m", spot)
    return rise, smoke, room.layer.co2_vol_at(spot.height_m, spot.radius_m)


def measured(recording: Table, letter: str, quantity: str) -> Course | None:
    """Return what was recorded; None where it was not, the instrument was dead, or its zero was not fresh air's."""
    name = COLUMNS[quantity].format(letter)
    if not recording.has(name):
        return None
    time_s, value = recording.numbers("TIME"), recording.numbers(name)
    known = np.isfinite(value) & (time_s <= UNTIL_S)
    time_s, value = time_s[known], value[known]
    if len(value) < 2 or not np.ptp(value):
        return None
    first = float(np.median(value[time_s <= BASELINE_S]))
    if quantity == "co2" and first > FRESH_CO2_VOL:
        return None
    return Course(time_s, value - first, first)


def recordings() -> dict[str, Table]:
    """Return the tests at hand by name."""
    found = {"SDC02": read_table(SHIPPED, ",")}
    folder = Path(os.environ.get(FOLDER, "")) / "nist_smoke_alarms"
    for test in TESTS:
        path = folder / f"NIST_Smoke_Alarms_{test.name}.csv"
        if os.environ.get(FOLDER) and path.is_file():
            found[test.name] = read_table(path, ",")
    return found


def pairs(tests: Sequence[Burning], tables: dict[str, Table], fuel: str = "wood") -> Iterator[Pair]:
    """Yield all quantities at all heads of the tests, measured beside simulated."""
    for test in tests:
        simulated = simulate(test, fuel)
        for head in HEADS:
            for quantity in COLUMNS:
                course = measured(tables[test.name], head.letter, quantity)
                if course is not None:
                    yield Pair(test, head, quantity, course, simulated[head.letter, quantity])


def times(found: Sequence[Pair]) -> list[Timed]:
    """Return when the marks were reached, but for those that neither reached."""
    timed = [
        Timed(pair, mark, pair.measured.reached_s(mark), pair.simulated.reached_s(mark))
        for pair in found
        for mark in MARKS
        if mark.quantity == pair.quantity
    ]
    return [time for time in timed if math.isfinite(min(time.measured_s, time.simulated_s))]


def main(short: bool) -> list[Figure]:
    """Return how far apart simulation and recordings are; the full form draws SDC02."""
    tables = recordings()
    absent = [test.name for test in TESTS if test.name not in tables]
    if absent:
        print(f"absent: {', '.join(absent)} (set {FOLDER} to a folder with nist_smoke_alarms)")
    tests = [test for test in TESTS if test.name in tables][: 1 if short else None]
    found = list(pairs(tests, tables))
    timed = times(found)
    table(
        "When marks were reached, s from ignition",
        ("test", "head", "mark", "measured", "simulated", "later"),
        ((t.pair.test.name, f"{t.pair.head.letter}{'' if t.pair.same_room else ', next room'}", t.mark.text,
          _time(t.measured_s), _time(t.simulated_s), _signed(t.late_s)) for t in timed),
    )  # fmt: skip
    table(
        f"Rises at {UNTIL_S:g} s",
        ("test", "head", "quantity", "measured", "simulated"),
        ((p.test.name, p.head.letter, f"{p.quantity}, {UNITS[p.quantity]}",
          f"{_last(p.measured):.3g}", f"{_last(p.simulated):.3g}") for p in found),
    )  # fmt: skip
    if not short:
        draw([pair for pair in found if pair.test.name == "SDC02"])
    return figures(timed, found)


def _time(seconds: float) -> str:
    return f"{seconds:.0f}" if math.isfinite(seconds) else "not"


def _signed(seconds: float) -> str:
    return f"{seconds:+.0f}" if math.isfinite(seconds) else ""


def _last(course: Course) -> float:
    """Return the mean of the last ten seconds: readings flicker."""
    return float(course.rise[course.time_s > UNTIL_S - 10.0].mean())


def figures(timed: Sequence[Timed], found: Sequence[Pair]) -> list[Figure]:
    """Return a figure for each quantity in the burning room, and in the next rooms."""
    result = []
    for same_room, where in ((True, "in the burning room"), (False, "in the next rooms")):
        for quantity in COLUMNS:
            mine = [t for t in timed if t.pair.same_room == same_room and t.pair.quantity == quantity]
            late = sorted(t.late_s for t in mine if math.isfinite(t.late_s))
            ratios = sorted(
                _last(p.simulated) / _last(p.measured)
                for p in found
                if p.same_room == same_room and p.quantity == quantity and _last(p.measured) > 0.0
            )
            if not late or not ratios:
                continue
            text = (
                f"{percentile(late, 0.5):+.0f} s ({late[0]:+.0f}..{late[-1]:+.0f}; {len(late)} of {len(mine)} reached "
                f"by both); rise at {UNTIL_S:g} s {percentile(ratios, 0.5):.2f} ({ratios[0]:.2f}..{ratios[-1]:.2f}) "
                "of the measured"
            )
            result.append(Figure(f"{quantity} {where}: simulated later than measured", "-", text))
    return result


def draw(found: Sequence[Pair]) -> None:
    """Draw the courses of one test: a column a quantity; above where it burns, below the next rooms."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra, and a second to import
    except ImportError as error:
        raise SkippedError("matplotlib is not installed (pip install 'hazgate[report]')") from error
    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    # The same picture from the same numbers: no random names, no date.
    mpl.rcParams.update({"svg.hashsalt": "hazgate", "svg.fonttype": "none", "font.size": 8})
    figure, axes = plt.subplots(2, len(COLUMNS), figsize=(10, 5.6), sharex=True, layout="constrained")
    for column, quantity in enumerate(COLUMNS):
        for row, same_room in enumerate((True, False)):
            mine = [p for p in found if p.quantity == quantity and p.same_room == same_room]
            _panel(axes[row, column], mine)
            axes[row, column].set_ylabel(f"{quantity}, {'rise in ' if quantity != 'smoke' else ''}{UNITS[quantity]}")
        axes[1, column].set_xlabel("s from ignition")
    axes[0, 0].set_title("Room with the fire", loc="left")
    axes[1, 0].set_title("Bedrooms", loc="left")
    figure.suptitle("NIST smoke alarm test SDC02: measured (points), simulated (lines)")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, format="svg", metadata={"Date": None})
    plt.close(figure)
    print(f"drawn: {PICTURE.relative_to(ROOT)}")


def _panel(axes: "Axes", mine: Sequence[Pair]) -> None:
    for pair in mine:
        colour = COLOURS[pair.head.letter]
        distance = f", {pair.head.from_chair_m:g} m from the fire" if pair.same_room else ""
        label = f"{pair.head.letter}{distance}" if pair.same_room else f"{pair.head.letter} ({pair.head.room})"
        axes.plot(pair.measured.time_s[::2], pair.measured.rise[::2], ".", color=colour, markersize=3)
        axes.plot(pair.simulated.time_s, pair.simulated.rise, "-", color=colour, label=label)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")
