"""Text tables with a header: columns by name, times in every usual form, and errors that name the line."""

import csv
import gzip
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Final, TextIO

import numpy as np
from numpy.typing import NDArray

from gateway.core.clock import NS_PER_S, parse_rfc3339
from gateway.core.model import Float64, Int64
from gateway.evaluation.recording import RecordingError

FILE_BYTES_MAX: Final = 1 << 30
MISSING: Final = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "bad"})
"""What stands for a reading without a value, in any case of letters."""

_LATEST_S: Final = 1 << 33
"""Seconds up to the year 2242; larger numbers are milli-, micro- or nanoseconds."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as text.

    Attributes:
        path: The file.
        names: The header.
        columns: The cells by column, all of one length.
        line: The line of the first row.
    """

    path: Path
    names: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    line: int = 2

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def has(self, name: str) -> bool:
        """Return whether there is such a column."""
        return name in self.names

    def column(self, name: str) -> tuple[str, ...]:
        """Return a column's cells. Raises RecordingError."""
        if name not in self.names:
            raise RecordingError(f"{self.path}:1: no column {name!r}; there are {', '.join(self.names)}")
        return self.columns[self.names.index(name)]

    def numbers(self, name: str) -> Float64:
        """Return a column as numbers, missing ones as NaN. Raises RecordingError."""
        cells = self.column(name)
        try:
            return np.array(cells, np.float64)
        except ValueError:
            return np.array([self._number(cell, name, k) for k, cell in enumerate(cells)], np.float64)

    def integers(self, name: str) -> NDArray[np.int64]:
        """Return a column of labels as whole numbers, missing ones as 0. Raises RecordingError."""
        return np.nan_to_num(self.numbers(name)).astype(np.int64)

    def times(self, name: str) -> Int64:
        """Return a column as UTC nanoseconds. Raises RecordingError.

        Numbers are seconds from 1970 or from any start; those beyond the year 2242 are milliseconds, microseconds or
        nanoseconds. Texts are ISO 8601, and UTC where they have no offset.
        """
        cells = [cell.strip(" '\"") for cell in self.column(name)]
        try:
            return _stamps(np.array(cells, np.float64), cells)
        except ValueError:
            pass
        if _is_number(cells[0]):
            odd = next(k for k, cell in enumerate(cells) if not _is_number(cell))
            raise RecordingError(f"{self.where(odd)}: {name}: {cells[odd]!r} is no number, as the times before it are")
        if all(cell.count("-") == 2 and "+" not in cell and cell[-1:].isdigit() for cell in cells):
            # Quick: whole columns of times without offset, as most public recordings have them.
            with suppress(ValueError):
                return np.array(cells, "datetime64[ns]").astype(np.int64)
        return np.array([self._time(cell, name, k) for k, cell in enumerate(cells)], np.int64)

    def where(self, row: int) -> str:
        """Return the place of a row, for messages."""
        return f"{self.path}:{self.line + row}"

    def _number(self, cell: str, name: str, row: int) -> float:
        if cell.strip().lower() in MISSING:
            return float("nan")
        try:
            return float(cell)
        except ValueError:
            raise RecordingError(f"{self.where(row)}: {name}: {cell!r} is no number") from None

    def _time(self, cell: str, name: str, row: int) -> int:
        try:
            return parse_rfc3339(cell, UTC)
        except (ValueError, OverflowError):
            raise RecordingError(
                f"{self.where(row)}: {name}: {cell!r} is no time; seconds or ISO 8601 such as 2026-05-01T12:00:00Z"
            ) from None


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _stamps(numbers: Float64, cells: Sequence[str]) -> Int64:
    if not np.isfinite(numbers).all():
        raise ValueError("not all are numbers")
    largest = float(np.abs(numbers).max()) if len(numbers) else 0.0
    scale = NS_PER_S
    while largest >= _LATEST_S and scale > 1:
        largest, scale = largest / 1000, scale // 1000
    if all(cell.strip().lstrip("-").isdecimal() for cell in cells[:100]):
        # Whole numbers keep every digit: nanoseconds do not fit into a float.
        with suppress(ValueError):
            return np.array([int(cell) for cell in cells], np.int64) * scale
    return np.rint(numbers * scale).astype(np.int64)


def read_table(path: Path, delimiter: str | None = None) -> Table:
    """Read a table, plain or gzipped; the delimiter is found in the header where it is not given.

    Raises:
        RecordingError: It cannot be read, is too large, has no header or no rows, or a row of another length.
    """
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise RecordingError(f"{path}: larger than {FILE_BYTES_MAX} bytes; evaluate it in parts")
        with _opened(path) as file:
            return _parsed(path, file, delimiter)
    except (OSError, EOFError) as error:
        raise RecordingError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"{path}: is no text table: {error}") from error


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _parsed(path: Path, file: TextIO, delimiter: str | None) -> Table:
    first = file.readline()
    sign = delimiter or max(",;\t", key=first.count)
    names = tuple(name.strip() for name in next(csv.reader([first], delimiter=sign), []))
    if not any(names):
        raise RecordingError(f"{path}:1: a header with the names of the columns is missing")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RecordingError(f"{path}:1: two columns are called {twice!r}")
    rows = [row for row in csv.reader(file, delimiter=sign) if row]
    if not rows:
        raise RecordingError(f"{path}: has a header and no rows")
    odd = next((k for k, row in enumerate(rows) if len(row) != len(names)), None)
    if odd is not None:
        raise RecordingError(f"{path}:{odd + 2}: {len(rows[odd])} cells, and {len(names)} columns in the header")
    return Table(path, names, tuple(zip(*rows, strict=True)))
