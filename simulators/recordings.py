"""Recorded CSV files that drive an instrument in place of physics."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.core.errors import ConfigError

FILE_BYTES_MAX = 64_000_000
ROWS_MIN = 2


@dataclass(frozen=True, slots=True)
class Recording:
    """One column of a recording.

    Attributes:
        time_s: float64[n], rising.
        value: float64[n].
        start_s: The recording's second at which the scenario starts.
        loop: Whether it starts again at its end; otherwise its last value stays.
    """

    time_s: NDArray[np.float64]
    value: NDArray[np.float64]
    start_s: float = 0.0
    loop: bool = False

    def at(self, t_s: float) -> float:
        """Return the value at second `t_s` of the scenario, interpolated between rows."""
        moment = self.start_s + t_s
        if self.loop:
            first, last = float(self.time_s[0]), float(self.time_s[-1])
            moment = first + (moment - first) % (last - first)
        return float(np.interp(moment, self.time_s, self.value))


def load_column(path: Path, column: str, time_column: str = "TIME") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the times and values of a column; rows where either is no number are left out.

    Raises:
        ConfigError: The file, or a column in it, is not there; it is too large; or it has too few numbers.
    """
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigError(("file",), f"{path} is larger than {FILE_BYTES_MAX} bytes")
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            names = [name.strip() for name in next(rows, [])]
            for key, name in (("time_column", time_column), ("column", column)):
                if name not in names:
                    raise ConfigError((key,), f"{path} has no column {name!r}")
            places = (names.index(time_column), names.index(column))
            pairs = [pair for row in rows if (pair := _numbers(row, *places)) is not None]
    except OSError as error:
        raise ConfigError(("file",), f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(("file",), f"{path} is no CSV file: {error}") from error
    if len(pairs) < ROWS_MIN:
        raise ConfigError(("column",), f"{path} has {len(pairs)} numbers in {column!r}, {ROWS_MIN} are the least")
    columns = np.array(sorted(pairs), np.float64)
    return columns[:, 0], columns[:, 1]


def _numbers(row: list[str], time_place: int, value_place: int) -> tuple[float, float] | None:
    try:
        pair = float(row[time_place]), float(row[value_place])
    except (ValueError, IndexError):
        return None
    return pair if np.isfinite(pair).all() else None
