"""Driver that replays a recording: a CSV file with a header, as if its instruments were read now."""

import asyncio
import csv
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import Field

from drivers.values import NS_PER_UNIT, NUMBER, TEXT_MAX, Converter, ValueOptions, Zone
from gateway.core.clock import NS_PER_S, Clock, parse_rfc3339
from gateway.core.errors import ConfigError, EndOfRecordingError, NotConnectedError
from gateway.core.model import Batch
from gateway.core.plugin import InstrumentPlan, PluginOptions

CHUNK_ROWS = 1_000
LIMIT_NS = 1 << 61
"""Times more than 73 years from 1970, or from the start of their own count, are no times."""
STAMP_MAX = (1 << 63) - 1


class Options(PluginOptions):
    """A recording."""

    file: Path = Field(
        description="CSV file with a header, beside the site file unless absolute.", examples=["recordings/fire.csv"]
    )
    time_column: str = Field("time", description="Column of the time.", examples=["TIME"])
    time_unit: Literal["s", "ms", "us", "ns", "iso"] = Field(
        "s", description="What times are written in: numbers from any start, or ISO 8601 text.", examples=["ms"]
    )
    zone: Zone = Field(
        None, description="Zone of ISO times without offset; UTC where left out.", examples=["Asia/Shanghai"]
    )
    start: Literal["now", "file"] = Field(
        "now",
        description="`now`: the first row is stamped with the present time and the others keep their distance; `file`: "
        "times as in the file.",
    )
    offset_s: float = Field(
        0.0, ge=-1e9, le=1e9, description="Seconds added to every time of the recording.", examples=[3600]
    )
    speed: float = Field(
        1.0, ge=0, le=100_000, description="1 is real time, 10 ten times as fast, 0 as fast as possible.", examples=[10]
    )
    loop: bool = Field(
        default=False, description="Begin again at the end, one row's distance later, instead of ending."
    )
    delimiter: str = Field(",", min_length=1, max_length=1, description="What stands between cells.", examples=[";"])


class InstrumentOptions(PluginOptions):
    """An instrument of a recording; its channels say which columns they are."""


class ChannelOptions(ValueOptions):
    """A column of a recording; an empty cell is no reading, and one that is no value is UNREADABLE."""

    column: str = Field(min_length=1, description="The column's name in the header.", examples=["TCA_1"])


@dataclass(frozen=True, slots=True)
class Column:
    """A channel's place in the file."""

    row: int
    index: int
    convert: Converter


Rows = list[tuple[int, list[str]]]
"""Times in the file's own count, as nanoseconds, and the cells."""


class Recording:
    """A file that is being read, a chunk of rows at a time; its methods may be called from threads."""

    def __init__(self, options: Options, time_index: int) -> None:
        self._options = options
        self._index = time_index
        self._zone = ZoneInfo(options.zone or "UTC")
        self._lock = threading.Lock()
        self._text: TextIO | None = None
        self._cells: Iterator[list[str]] = iter(())
        self._last_ns: int | None = None
        self.skipped = 0

    def open(self) -> None:
        """Begin at the first row. Raises OSError."""
        with self._lock:
            self._shut()
            self._text = self._options.file.open(encoding="utf-8-sig", errors="replace", newline="")
            self._cells = csv.reader(self._text, delimiter=self._options.delimiter)
            next(self._cells, None)
            self._last_ns = None

    def rows(self) -> Rows:
        """Return the next rows, none at the end.

        A row whose time cannot be read is taken at the time of the one before; before any time it is left out.
        """
        found: Rows = []
        with self._lock:
            for cells in self._lines():
                time_ns = self._time_ns(cells[self._index]) if self._index < len(cells) else None
                self._last_ns = self._last_ns if time_ns is None else time_ns
                if self._last_ns is None:
                    self.skipped += bool(cells)
                elif cells:
                    found.append((self._last_ns, cells))
                if len(found) >= CHUNK_ROWS:
                    break
        return found

    def _lines(self) -> Iterator[list[str]]:
        """Yield the cells of each line, leaving out lines that are no CSV, such as one with a cell of a megabyte."""
        while True:
            try:
                yield next(self._cells)
            except StopIteration:
                return
            except csv.Error:
                self.skipped += 1

    def _time_ns(self, cell: str) -> int | None:
        text, unit = cell.strip(), self._options.time_unit
        try:
            if len(text) > TEXT_MAX:
                return None
            if unit == "iso":
                return parse_rfc3339(text, self._zone)
            if not NUMBER.fullmatch(text):
                return None
            found = int(text) * NS_PER_UNIT[unit] if text.isdigit() else round(float(text) * NS_PER_UNIT[unit])
        except (ValueError, OverflowError):
            return None
        return found if abs(found) < LIMIT_NS else None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._shut()

    def _shut(self) -> None:
        if self._text is not None:
            self._text.close()
        self._text, self._cells = None, iter(())


class ReplayDriver:
    """One recording; see `gateway.core.plugin.Driver`.

    With `speed` 0, each `read` gives up to 1,000 rows; otherwise the rows that have become due.
    """

    def __init__(self, options: Options, recording: Recording, columns: Sequence[Column], clock: Clock) -> None:
        self._options = options
        self._recording = recording
        self._columns = tuple(columns)
        self._clock = clock
        self._waiting: Rows = []
        self._open = False
        self._first_ns: int | None = None
        self._shift_ns = 0
        self._started_s = 0.0
        self._newest_ns = 0
        self._distance_ns = 0
        self._pass_readings = 0

    async def connect(self) -> None:
        """Open the file at its first row."""
        await self.close()
        try:
            await asyncio.to_thread(self._recording.open)
        except OSError as error:
            raise NotConnectedError(str(self._options.file), error.strerror or str(error)) from error
        self._open = True
        self._waiting, self._first_ns, self._pass_readings = [], None, 0

    async def read(self) -> Batch:
        """Wait until rows are due and return their readings. Raises EndOfRecordingError after the last."""
        if not self._open:
            raise NotConnectedError(str(self._options.file), "not open")
        while True:
            if not self._waiting:
                await self._refill()
            rows = await self._due()
            batch = self._batch(rows)
            if len(batch):
                self._pass_readings += len(batch)
                return batch

    async def close(self) -> None:
        """Let go of the file."""
        self._open = False
        await asyncio.to_thread(self._recording.close)

    async def _refill(self) -> None:
        self._waiting = await self._next_rows()
        if not self._waiting:
            if not self._options.loop or not self._pass_readings:
                self._open = False
                await asyncio.to_thread(self._recording.close)
                raise EndOfRecordingError(f"{self._options.file}: the recording ends")
            await self._again()
        if self._first_ns is None:
            self._begin(self._waiting[0][0])

    async def _next_rows(self) -> Rows:
        try:
            return await asyncio.to_thread(self._recording.rows)
        except OSError as error:
            raise NotConnectedError(str(self._options.file), str(error)) from error

    async def _again(self) -> None:
        """Begin the next pass one row's distance after the last row of this one."""
        try:
            await asyncio.to_thread(self._recording.open)
        except OSError as error:
            raise NotConnectedError(str(self._options.file), error.strerror or str(error)) from error
        self._waiting = await self._next_rows()
        if not self._waiting:
            raise NotConnectedError(str(self._options.file), "the file has become empty")
        self._shift_ns += self._newest_ns + max(self._distance_ns, 1) - (self._waiting[0][0] + self._shift_ns)
        self._pass_readings = 0

    def _begin(self, first_ns: int) -> None:
        start = self._options.start
        self._shift_ns = (self._clock.now_ns() - first_ns if start == "now" else 0) + round(
            self._options.offset_s * NS_PER_S
        )
        self._first_ns = first_ns + self._shift_ns
        self._newest_ns = self._first_ns
        self._started_s = self._clock.monotonic_s()

    async def _due(self) -> Rows:
        """Take the rows that are due, waiting for the first of them."""
        if self._options.speed == 0:
            rows, self._waiting = self._waiting, []
        else:
            await self._clock.sleep(self._delay_s(self._waiting[0][0]))
            count = next(
                (i for i, (t, _) in enumerate(self._waiting) if i and self._delay_s(t) > 0), len(self._waiting)
            )
            rows, self._waiting = self._waiting[:count], self._waiting[count:]
        for time_ns, _ in rows:
            stamp = time_ns + self._shift_ns
            if stamp > self._newest_ns:
                self._distance_ns, self._newest_ns = stamp - self._newest_ns, stamp
        return rows

    def _delay_s(self, time_ns: int) -> float:
        """Return how long a row is still to wait; a time that goes back is due at once."""
        assert self._first_ns is not None
        elapsed_s = self._clock.monotonic_s() - self._started_s
        return (time_ns + self._shift_ns - self._first_ns) / NS_PER_S / self._options.speed - elapsed_s

    def _batch(self, rows: Rows) -> Batch:
        """Return the rows' readings: row after row, so that the time rises where the recording's does."""
        row: list[int] = []
        time: list[int] = []
        value: list[float] = []
        quality: list[int] = []
        for time_ns, cells in rows:
            stamp = min(time_ns + self._shift_ns, STAMP_MAX)
            for column in self._columns:
                cell = cells[column.index] if column.index < len(cells) else ""
                if not cell or cell.isspace():
                    continue
                found, code = column.convert.text(cell)
                row.append(column.row)
                time.append(stamp)
                value.append(found)
                quality.append(code)
        return Batch(
            np.array(row, np.int32), np.array(time, np.int64), np.array(value, np.float64), np.array(quality, np.uint8)
        )


def create(options: Options, instruments: Sequence[InstrumentPlan], clock: Clock) -> ReplayDriver:
    """Return a driver that has looked at the header and nothing else.

    Raises:
        ConfigError: The file cannot be read, or has no such column.
    """
    header = _header(options)
    if options.time_column not in header:
        raise ConfigError(("options", "time_column"), _unknown(options.time_column, header))
    columns: list[Column] = []
    for plan in instruments:
        for item in plan.channels:
            where = item.options
            assert isinstance(where, ChannelOptions)
            if where.column not in header:
                raise ConfigError((*item.path, "options", "column"), _unknown(where.column, header))
            try:
                convert = Converter(where, item.channel)
            except ConfigError as error:
                raise error.under(*item.path, "options") from error
            columns.append(Column(item.channel.row, header.index(where.column), convert))
    return ReplayDriver(options, Recording(options, header.index(options.time_column)), columns, clock)


def _header(options: Options) -> list[str]:
    try:
        with options.file.open(encoding="utf-8-sig", errors="replace", newline="") as text:
            cells = next(csv.reader(text, delimiter=options.delimiter), [])
    except (OSError, csv.Error) as error:
        raise ConfigError(("options", "file"), f"cannot read {options.file}: {error}") from error
    return [cell.strip() for cell in cells]


def _unknown(name: str, header: Sequence[str]) -> str:
    shown = ", ".join(header[:40]) + (", …" if len(header) > 40 else "")
    return f"no column is called {name!r}; there are {shown or 'none'}"
