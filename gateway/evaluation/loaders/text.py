"""Plain CSV: long (one reading a row) or wide (one channel a column), with or without labels.

Long: `time,channel,value` and, where there are, `quality`, `label`, `area`, `quantity`, `unit`. Wide: a time column and
one column a channel. What is called `label`, `anomaly`, `fault` or `is_anomaly` is truth: rows that hold neither 0 nor
nothing are a window, of the whole file in a wide table and of the row's channel in a long one; a word there, such as
`leak`, is the kind of truth. Times are seconds (from 1970 or any start) or ISO 8601; qualities are words as `good`,
`comms_lost`, or their numbers; a missing value is a BAD reading.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from gateway.core.model import Int64, Quality, UInt8
from gateway.evaluation.loaders.tables import MISSING, Table, read_table
from gateway.evaluation.recording import Recording, RecordingError, Series, Truth, assembled, slug

TIMES: Final = ("time", "timestamp", "datetime", "date", "t", "time_s", "seconds")
LABELS: Final = ("label", "anomaly", "fault", "is_anomaly", "truth")
_LONG: Final = ("channel", "value")
_WORDS: Final = {quality.name.lower(): int(quality) for quality in Quality}
_TRUE: Final = frozenset({"1", "1.0", "true", "yes"})
_FALSE: Final = frozenset({"0", "0.0", "false", "no", "normal", *MISSING})


def looks_like(path: Path) -> bool:
    """Return whether a file is a table at all."""
    return path.is_file() and path.name.endswith((".csv", ".tsv", ".csv.gz"))


def load(path: Path) -> Iterator[Recording]:
    """Yield one recording a file. Raises RecordingError."""
    files = [path] if path.is_file() else sorted(path.rglob("*.csv"))
    if not files:
        raise RecordingError(f"{path}: holds no *.csv")
    for file in files:
        table = read_table(file)
        lower = {name.lower(): name for name in table.names}
        name = file.name if path.is_file() else file.relative_to(path).as_posix()
        long = all(word in lower for word in _LONG)
        yield _long(name, table, lower) if long else _wide(name, table, lower)


def _time_column(table: Table, lower: dict[str, str]) -> str:
    found = next((lower[name] for name in TIMES if name in lower), None)
    if found is None:
        raise RecordingError(f"{table.path}:1: no time column; one must be called {', '.join(TIMES)}")
    return found


def _wide(name: str, table: Table, lower: dict[str, str]) -> Recording:
    clock = _time_column(table, lower)
    time_ns = table.times(clock)
    labels = [lower[label] for label in LABELS if label in lower]
    columns = [column for column in table.names if column != clock and column not in labels]
    if not columns:
        raise RecordingError(f"{table.path}:1: no channel beside {clock}; every other column is one")
    series = [Series(_id(column), time_ns, table.numbers(column)) for column in columns]
    truths = [truth for label in labels for truth in _windows(table.column(label), time_ns, ())]
    return assembled(name, "csv", series, truths, labelled=bool(labels))


def _long(name: str, table: Table, lower: dict[str, str]) -> Recording:
    time_ns, value = table.times(_time_column(table, lower)), table.numbers(lower["value"])
    quality = _qualities(table, lower["quality"]) if "quality" in lower else None
    label = next((lower[each] for each in LABELS if each in lower), None)
    rows: dict[str, list[int]] = {}
    for k, channel in enumerate(table.column(lower["channel"])):
        rows.setdefault(channel.strip(), []).append(k)
    series: list[Series] = []
    truths: list[Truth] = []
    for channel, places in rows.items():
        at = np.array(places, np.intp)
        quantity, unit, area = (
            table.column(lower[each])[places[0]] if each in lower else "" for each in ("quantity", "unit", "area")
        )
        doubts = None if quality is None else quality[at]
        one = Series(_id(channel), time_ns[at], value[at], quantity, unit, area, doubts)
        series.append(one)
        if label is not None:
            cells = table.column(label)
            truths += _windows([cells[k] for k in places], one.time_ns, (one.id,))
    return assembled(name, "csv", series, truths, labelled=label is not None)


def _id(column: str) -> str:
    """Return a column's name as a channel's id: as it is where it already is one."""
    return column if "." in column and " " not in column else f"{slug(column)}.value"


def _windows(cells: Sequence[str], time_ns: Int64, channels: tuple[str, ...]) -> Iterator[Truth]:
    """Yield runs of cells that say that something was so, each of one kind."""
    kinds = [_kind(cell) for cell in cells]
    start = 0
    for k in range(1, len(kinds) + 1):
        if k == len(kinds) or kinds[k] != kinds[start]:
            if kinds[start]:
                yield Truth(kinds[start], int(time_ns[start]), int(time_ns[k - 1]), channels)
            start = k


def _kind(cell: str) -> str:
    word = cell.strip().lower()
    return "" if word in _FALSE else "anomaly" if word in _TRUE else word


def _qualities(table: Table, column: str) -> UInt8:
    cells = table.column(column)
    return np.array([_quality(table, cell.strip().lower(), k) for k, cell in enumerate(cells)], np.uint8)


def _quality(table: Table, word: str, row: int) -> int:
    if not word:
        return int(Quality.GOOD)
    if word.isdecimal() and int(word) < 256:
        return int(word)
    if word not in _WORDS:
        known = ", ".join(_WORDS)
        raise RecordingError(f"{table.where(row)}: quality {word!r} is unknown; a number to 255 or one of {known}")
    return _WORDS[word]
