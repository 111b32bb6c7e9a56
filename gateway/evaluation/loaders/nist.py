"""NIST's fires: full-scale home fires of the smoke alarm project, and burners under a ceiling (Vettori).

A file `NIST_Smoke_Alarms_SDC02.csv` is one fire in a house; `Activation_Times.csv` tells when each commercial alarm
sounded, in seconds from the file's own start. Each room is an area. In each room that had such alarms and instruments,
the truth is one fire from ignition to the end of the file, its delays counted from the first ion or photo alarm of
that room: negative is earlier. Smoke reaches rooms without commercial alarms too; whatever is said there counts neither
way.

Channels are `room-a.temperature-1` (thermocouples, 1 under the ceiling and rising numbers below), `room-a.smoke-1`
(optical density per metre), and `room-a.co-1`, `room-a.co2-3`, `room-a.o2-5` where gas was analysed.

A file `Vettori_Flat_Ceiling_Test_23.csv` is a burner under a ceiling; `Vettori_Flat_Ceiling_Act.csv` tells when each
sprinkler opened. The truth is one fire, its delays counted from the first sprinkler; channels are
`tree-1.temperature-01` (thermocouples at and below the ceiling).

References:
    R. L. Vettori, Effect of an Obstructed Ceiling on the Activation Time of a Residential Sprinkler, NISTIR 6253, 1998.
    R. W. Bukowski et al., Performance of Home Smoke Alarms, NIST TN 1455-1, 2008.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from gateway.core.clock import NS_PER_S
from gateway.core.model import Float64, Int64
from gateway.evaluation.loaders.tables import Table, read_table
from gateway.evaluation.recording import Recording, RecordingError, Series, Truth, assembled

AREA: Final = "room"
ACTIVATIONS: Final = "Activation_Times.csv"
_FILE: Final = re.compile(r"NIST_Smoke_Alarms_(?P<test>\w+)\.csv")
_ALARM: Final = re.compile(r"(?P<test>\w+)-(?:Ion|Pho)\d*(?P<room>[A-Z])")
_COLUMN: Final = re.compile(r"(?P<kind>TC|SM|GAS)(?P<room>[A-Z])_(?P<place>\d)$")
_VETTORI: Final = re.compile(r"(?P<series>Vettori_\w+?)_Test_(?P<test>\d+)\.csv")
_TREE: Final = re.compile(r"TC_(?P<tree>\w)_(?P<place>\d+)$")
_GASES: Final = {"1": ("co", "ppm", 1e4), "3": ("co2", "ppm", 1e4), "5": ("o2", "%VOL", 1.0)}
"""Gas analysers by place: carbon monoxide, carbon dioxide and oxygen, all recorded in percent by volume."""
_PLAIN: Final = {"TC": ("temperature", "°C"), "SM": ("smoke", "1/m")}


def looks_like(path: Path) -> bool:
    """Return whether a file or folder is part of the project."""
    files = [path] if path.is_file() else path.rglob("*.csv")
    return any(_FILE.match(file.name) or _VETTORI.match(file.name) for file in files)


def load(path: Path) -> Iterator[Recording]:
    """Yield one recording a fire. Raises RecordingError."""
    files = [path] if path.is_file() else sorted(path.rglob("*.csv"))
    tests = [(match["test"], file) for file in files if (match := _FILE.match(file.name))]
    burners = [(match["series"], int(match["test"]), file) for file in files if (match := _VETTORI.match(file.name))]
    if not tests and not burners:
        raise RecordingError(f"{path}: holds neither NIST_Smoke_Alarms_….csv nor Vettori_…_Test_….csv")
    for test, file in tests:
        yield _recording(test, file, _first_alarms(file.parent / ACTIVATIONS).get(test, {}))
    for series, number, file in burners:
        yield _burner(file, _first_sprinkler_s(file.parent / f"{series}_Act.csv", number))


def _first_sprinkler_s(path: Path, test: int) -> float | None:
    table = read_table(path, ",")
    named = (name for name in table.names if name.startswith(f"Time-{test}-"))
    return min((float(table.numbers(name)[0]) for name in named), default=None)


def _burner(path: Path, first_s: float | None) -> Recording:
    table = read_table(path, ",")
    time_ns = table.times("TIME")
    series = [
        Series(f"tree-{match['tree'].lower()}.temperature-{match['place']}", time_ns, table.numbers(name),
               "temperature", "°C", AREA)
        for name in table.names
        if (match := _TREE.match(name)) is not None
    ]  # fmt: skip
    # Named apart, as other rules fit it: there is heat only.
    return assembled(path.stem, "vettori", series, [_truth(AREA, first_s, int(time_ns[-1]))])


def _first_alarms(path: Path) -> Mapping[str, Mapping[str, float]]:
    """Return when the first commercial smoke alarm of each test and room sounded, in seconds."""
    table = read_table(path, ",")
    found: dict[str, dict[str, float]] = {}
    for name in table.names:
        match = _ALARM.match(name)
        if match is None:
            continue
        times = table.numbers(name)
        seconds = float(np.nanmin(times)) if np.isfinite(times).any() else float("nan")
        if seconds >= 0.0:
            rooms = found.setdefault(match["test"], {})
            rooms[match["room"]] = min(seconds, rooms.get(match["room"], float("inf")))
    return found


def _recording(test: str, path: Path, first_s: Mapping[str, float]) -> Recording:
    table = read_table(path, ",")
    time_ns = table.times("TIME")
    series = [one for name in table.names if (one := _series(table, name, time_ns)) is not None]
    rooms = sorted({one.area for one in series})
    truths = [_truth(room, first_s.get(room.removeprefix("room-").upper()), int(time_ns[-1])) for room in rooms]
    return assembled(test, "nist", series, truths)


def _truth(room: str, first_s: float | None, end_ns: int) -> Truth:
    if first_s is None:
        return Truth("fire", 0, end_ns, area=room, counted=False)
    return Truth("fire", 0, end_ns, area=room, event_ns=round(first_s * NS_PER_S))


def _series(table: Table, name: str, time_ns: Int64) -> Series | None:
    """Return a column as a channel, or None where it is no instrument of a room, or never was alive."""
    match = _COLUMN.match(name)
    if match is None:
        return None
    kind, place, room = match["kind"], match["place"], f"room-{match['room'].lower()}"
    if kind == "GAS" and place not in _GASES:
        return None
    quantity, unit, scale = _GASES[place] if kind == "GAS" else (*_PLAIN[kind], 1.0)
    value: Float64 = table.numbers(name) * scale
    if not np.isfinite(value).any():
        return None
    return Series(f"{room}.{quantity}-{place}", time_ns, value, quantity, unit, room)
