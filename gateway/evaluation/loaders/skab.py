"""The Skoltech Anomaly Benchmark: eight channels of a water circuit, once a second; 400 rows to learn from.

The folder is the repository's `data` or any part of it; files without the column `anomaly` are free of anomalies.

References:
    I. Katser, V. Kozitsin, Skoltech Anomaly Benchmark (SKAB), 2020, https://github.com/waico/SKAB.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.core.model import Float64, Int64
from gateway.evaluation.loaders.tables import read_table
from gateway.evaluation.recording import Recording, RecordingError, Series, Truth, assembled, runs, slug

LEARNING_ROWS: Final = 400
RIG: Final = "rig"
DECIMALS: Final = 6
"""Digits that the files have; the instruments' own resolution is not told."""
TRUTH: Final = ("anomaly", "changepoint")
CHANGE: Final = "change"
"""Kind of the moments at which the circuit changes; not counted, as the anomaly around each is."""

_WHAT: Final = {
    "Accelerometer1RMS": ("vibration", "g"),
    "Accelerometer2RMS": ("vibration", "g"),
    "Current": ("current", "A"),
    "Pressure": ("pressure", "bar"),
    "Temperature": ("temperature", "°C"),
    "Thermocouple": ("temperature", "°C"),
    "Voltage": ("voltage", "V"),
    "Volume Flow RateRMS": ("flow", "l/min"),
}


def looks_like(path: Path) -> bool:
    """Return whether a file or folder is part of the benchmark."""
    file = path if path.is_file() else next(iter(sorted(path.rglob("*.csv"))), None)
    if file is None or file.suffix != ".csv":
        return False
    with file.open(encoding="utf-8", errors="replace") as lines:
        return lines.readline().startswith("datetime;Accelerometer1RMS;")


def load(path: Path) -> Iterator[Recording]:
    """Yield one recording a file, in the order of their names. Raises RecordingError."""
    files = [path] if path.is_file() else sorted(path.rglob("*.csv"), key=lambda file: (file.parent, _number(file)))
    if not files:
        raise RecordingError(f"{path}: holds no *.csv")
    for file in files:
        yield _recording(file)


def _number(file: Path) -> tuple[int, str]:
    return (int(file.stem), "") if file.stem.isdecimal() else (0, file.stem)


def _recording(path: Path) -> Recording:
    table = read_table(path, ";")
    time_ns = table.times("datetime")
    series = [_series(name, table.numbers(name), time_ns) for name in table.names if name not in ("datetime", *TRUTH)]
    truths = []
    if table.has("anomaly"):
        truths = [Truth("anomaly", begin, end) for _, begin, end in runs(table.integers("anomaly"), time_ns)]
    if table.has("changepoint"):
        points = time_ns[table.integers("changepoint") != 0].tolist()
        truths += [Truth(CHANGE, moment, moment, counted=False) for moment in points]
    learning_ns = int(time_ns[LEARNING_ROWS]) if len(time_ns) > LEARNING_ROWS else int(time_ns[-1]) + 1
    return assembled(f"{path.parent.name}/{path.name}", "skab", series, truths, learning_ns=learning_ns)


def _series(name: str, value: Float64, time_ns: Int64) -> Series:
    quantity, unit = _WHAT.get(name, (slug(name), ""))
    return Series(f"{RIG}.{slug(name)}", time_ns, value, quantity, unit, RIG, decimals=DECIMALS)
