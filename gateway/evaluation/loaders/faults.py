"""Injected faults in real sensors (de Bruijn et al.): motes of one base set side by side, faults row by row.

A file `mote=19_sensortype=temperature_faulttype=bias.txt` (or `.txt.gz`) is one mote. All motes of one folder and
sensor type are one recording, as neighbours of one another, so that a fault can be seen by what the others show. The
folder is the whole collection, a base set (`intel`), or any part of it. Files of the folder `clean` have no faults.

References:
    B. de Bruijn, T. A. Nguyen, D. Bucur, K. Tei, Benchmark Datasets for Fault Detection and Classification in Sensor
    Data, SENSORNETS 2016.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.evaluation.loaders.tables import Table, read_table
from gateway.evaluation.recording import Recording, RecordingError, Series, Truth, assembled, runs, typical_period_s

KINDS: Final = {1: "random", 2: "malfunction", 4: "bias", 8: "drift", 16: "polydrift", 32: "polydrift"}
"""What the codes of the column `has_fault_type` mean; 32 is a polynomial drift with noise."""
UNITS: Final = {"temperature": "°C", "light": "lx", "humidity": "%RH"}
_INJECTED: Final = re.compile(r"mote=(?P<mote>[^_]+)_sensortype=(?P<quantity>[^_]+)_faulttype=(?P<fault>[^.]+)\.txt")
_CLEAN: Final = re.compile(r"(?P<mote>[\w-]+?)(?:_(?:non)?interpolated)?\.txt")
CLEAN_FOLDER: Final = "clean"
_BASES: Final = ("intel", "santander", "sensorscope")


def looks_like(path: Path) -> bool:
    """Return whether a file or folder is part of the collection."""
    return any(_INJECTED.match(file.name) for file in _files(path)) or bool(_clean_files(path))


def load(path: Path) -> Iterator[Recording]:
    """Yield one recording a folder and sensor type. Raises RecordingError."""
    groups: dict[tuple[Path, str], list[Path]] = {}
    for file in _files(path):
        if (match := _INJECTED.match(file.name)) is not None:
            groups.setdefault((file.parent, match["quantity"]), []).append(file)
    clean = _clean_files(path)
    if not groups and not clean:
        raise RecordingError(f"{path}: holds no mote=…_sensortype=…_faulttype=….txt")
    for (folder, quantity), files in groups.items():
        motes = [(_INJECTED.sub(r"\g<mote>", file.name.removesuffix(".gz")), read_table(file, ",")) for file in files]
        yield _recording(folder, quantity, motes)
    for folder in dict.fromkeys(file.parent for file in clean):
        motes = [
            (_CLEAN.sub(r"\g<mote>", file.name.removesuffix(".gz")), read_table(file, ","))
            for file in clean
            if file.parent == folder
        ]
        for quantity in (name for name in motes[0][1].names if name in UNITS):
            yield _recording(folder, quantity, motes)


def _clean_files(path: Path) -> list[Path]:
    return [file for file in _files(path) if file.parent.name == CLEAN_FOLDER and _CLEAN.match(file.name)]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for ending in ("*.txt", "*.txt.gz") for file in path.rglob(ending))


def _recording(folder: Path, quantity: str, motes: list[tuple[str, Table]]) -> Recording:
    base = next((part for part in reversed(folder.parts) if part.lower() in _BASES), folder.name)
    series: list[Series] = []
    truths: list[Truth] = []
    for mote, table in motes:
        one = _series(table, mote, quantity, base)
        series.append(one)
        truths += _truths(table, one)
    parts = folder.parts
    where = "/".join(parts[parts.index(base) :]) if base in parts else folder.name
    # Motes report each at their own time: half a period of theirs is one batch, as a gateway would take them.
    together_s = min(typical_period_s(one.time_ns) for one in series) / 2
    return assembled(f"{where}:{quantity}", "faults", series, truths, together_s=together_s)


def _series(table: Table, mote: str, quantity: str, base: str) -> Series:
    column = quantity if table.has(quantity) else table.names[-1]
    return Series(
        f"mote-{mote}.{quantity}",
        table.times("timestamp"),
        table.numbers(column),
        quantity,
        UNITS.get(quantity, ""),
        base,
    )


def _truths(table: Table, one: Series) -> Iterator[Truth]:
    for code, begin_ns, end_ns in runs(table.integers("has_fault_type"), one.time_ns):
        yield Truth(f"fault:{KINDS.get(code, code)}", begin_ns, end_ns, (one.id,))
