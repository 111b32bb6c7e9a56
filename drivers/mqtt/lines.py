"""Reads payloads of lines with columns: each line is a reading of its own."""

import csv
from collections.abc import Sequence

import numpy as np

from drivers.mqtt.channels import READINGS_MAX, ChannelDecoder
from drivers.mqtt.layout_options import CsvOptions
from drivers.mqtt.paths import MISSING
from drivers.mqtt.readings import Readings
from drivers.mqtt.trust import Status
from gateway.core.model import Int64


class Table:
    """The lines of one payload, cut into columns.

    Args:
        text: The lines.
        options: How they are cut.

    Raises:
        csv.Error: Quotes that are not closed, or a cell beyond all measure.
    """

    def __init__(self, text: str, options: CsvOptions) -> None:
        lines = [line for line in text.splitlines() if line.strip()]
        names: Sequence[str] = options.columns
        if options.separator == " ":
            self.rows = [line.split() for line in lines]
        else:
            self.rows = list(csv.reader(lines, delimiter=options.separator, skipinitialspace=True, strict=True))
        if options.header and self.rows:
            names = [name.strip() for name in self.rows.pop(0)]
        self._places = {name: i for i, name in enumerate(names)}

    def __len__(self) -> int:
        return len(self.rows)

    def cell(self, row: Sequence[str], column: int | str | None) -> object:
        """Return a cell of a line, or MISSING."""
        at = column - 1 if isinstance(column, int) else self._places.get(column or "", -1)
        return row[at] if 0 <= at < len(row) else MISSING

    def column(self, column: int | str | None) -> list[object]:
        """Return a cell of each line."""
        return [self.cell(row, column) for row in self.rows]


class Lines:
    """Reads the lines of one topic filter for one instrument.

    Args:
        options: How lines are cut.
        channels: Those with a column.
        statuses: Those with a column; what one says in a line holds from that line on.
    """

    def __init__(self, options: CsvOptions, channels: Sequence[ChannelDecoder], statuses: Sequence[Status]) -> None:
        self.channels = channels
        self._options = options
        self._statuses = statuses

    def take(self, inner: object, document: object, arrival_ns: int, out: Readings) -> None:
        """Append the readings of a payload, or of a text within the document."""
        try:
            table = Table(inner if type(inner) is str else "", self._options)
        except csv.Error as error:
            self._refuse(f"no lines of columns: {error}", arrival_ns, out)
            return
        if not 0 < len(table) <= READINGS_MAX:
            self._refuse(f"{len(table)} lines; 1 to {READINGS_MAX} are allowed", arrival_ns, out)
            return
        codes = np.array([self._codes(table, row) for row in table.rows], np.uint8)
        for i, channel in enumerate(self.channels):
            raws = [self._number(raw) for raw in table.column(channel.column)]
            times = self._times(channel, table, document, arrival_ns)
            if all(raw is MISSING for raw in raws):
                channel.lack(arrival_ns, out, f"no column {channel.where}")
            elif len(raws) == 1:
                channel.put(raws[0], None if times is None else int(times[0]), arrival_ns, out)
            else:
                stamped = np.full(len(raws), arrival_ns) if times is None else times
                channel.many(raws, stamped, arrival_ns, out, codes=codes[:, i], timed=self._options.time is not None)

    def _times(self, channel: ChannelDecoder, table: Table, document: object, arrival_ns: int) -> Int64 | None:
        """Return the lines' times, None where they are all of the arrival."""
        if self._options.time is not None:
            return np.array([channel.reader.one(_bare(raw)) for raw in table.column(self._options.time)], np.int64)
        base_ns = channel.time_in(document)
        if base_ns is None and not channel.step_ns:
            return None
        return channel.stepped(base_ns or 0, len(table), arrival_ns)

    def _codes(self, table: Table, row: Sequence[str]) -> list[int]:
        """Take what a line's statuses say, and return what is then said of each channel."""
        for status in self._statuses:
            status.told(table.cell(row, status.column))
        return [channel.trust.code for channel in self.channels]

    def _number(self, raw: object) -> object:
        return raw.replace(",", ".") if type(raw) is str and self._options.decimal == "," else raw

    def _refuse(self, reason: str, arrival_ns: int, out: Readings) -> None:
        for status in self._statuses:
            status.doubt()
        for channel in self.channels:
            channel.bad(arrival_ns, out, reason)


def _bare(raw: object) -> object:
    return raw.strip() if type(raw) is str else raw
