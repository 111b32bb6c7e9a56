"""One channel in its instrument's messages: where its value and its time stand."""

from collections.abc import Sequence
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from drivers.mqtt.layout_options import CsvOptions
from drivers.mqtt.options import ChannelOptions, InstrumentOptions
from drivers.mqtt.paths import MISSING, Path
from drivers.mqtt.readings import Readings
from drivers.mqtt.times import DOUBTFUL, UNKNOWN_NS, TimeReader, believable, judge
from drivers.mqtt.trust import BAD, Trust, weigh
from drivers.values import GOOD, UNREADABLE, Converter
from gateway.core.clock import NS_PER_S
from gateway.core.errors import ConfigError
from gateway.core.model import Float64, Int64, Quality, UInt8
from gateway.core.plugin import ChannelPlan

READINGS_MAX = 10_000
"""Readings of one channel in one payload; a longer list is UNREADABLE."""
UNREADABLE_CODE = UNREADABLE[1]
BACKFILLED = int(Quality.BACKFILLED)


@lru_cache(maxsize=64)
def multiples(count: int, step_ns: int) -> Int64:
    """Return 0, 1, 2 … steps; not to be changed, for whoever asks for the same gets the same."""
    return np.arange(count) * step_ns


class ChannelDecoder:
    """Finds one channel's readings in a message.

    Attributes:
        row: The channel's.
        id: The channel's.
        whole: The payload itself, or the text within it, is the value.
        where: Its place in a payload, for people.
        trust: What the instrument says of its values.
        fed: It got a reading since somebody last set this to False.
        time: Where the time of its readings stands in a JSON document, or None.
        timed: Its payloads hold the times of its readings.
        optional: A payload may lack it.
        required: The site file does not say that it may.

    Raises:
        ConfigError: The options do not fit together; the path is the channel's in the site file.
    """

    def __init__(self, plan: ChannelPlan, instrument: InstrumentOptions) -> None:
        options = plan.options
        assert isinstance(options, ChannelOptions)
        self.row = plan.channel.row
        self.id = plan.channel.id
        self.trust = Trust()
        self.fed = False
        self.path = Path(options.path) if options.path else None
        self.field = options.field
        self.column = options.column
        self.whole = not (options.path or options.field or options.column is not None or options.history)
        self.where = options.path or options.field or ("the payload" if options.column is None else str(options.column))
        self.past = Path(options.history) if options.history else None
        self.optional = options.optional
        if options.field and instrument.layout is not None:
            # A payload with tags brings some of its fields each time.
            self.optional = options.optional or options.field not in instrument.layout.fields
        self.required = not options.optional
        time = options.time or instrument.time
        self.time = None if time == "arrival" else Path(time)
        zone = ZoneInfo(instrument.zone) if instrument.zone else None
        self.reader = TimeReader(instrument.time_unit, zone)
        in_lines = self.column is not None and instrument.csv is not None and instrument.csv.time is not None
        in_bytes = bool(self.field) and instrument.layout is not None and instrument.layout.time is not None
        self.timed = self.time is not None or in_lines or in_bytes
        self.past_time = Path(instrument.history_time) if instrument.history_time else None
        self.past_reader = TimeReader(instrument.history_time_unit or instrument.time_unit, zone)
        self.past_ns = round(instrument.history_max_age_s * NS_PER_S)
        self.unit = instrument.time_unit
        self.step_ns = round((instrument.time_step or 0.0) * NS_PER_S)
        self.tolerance_ns = round(instrument.clock_tolerance_s * NS_PER_S)
        self.backlog_ns = round(instrument.backlog_s * NS_PER_S)
        try:
            self._check(options, instrument)
            self.convert = Converter(options, plan.channel)
        except ConfigError as error:
            raise error.under(*plan.path, "options") from error

    def _check(self, options: ChannelOptions, instrument: InstrumentOptions) -> None:
        check_place(options, instrument)
        if self.past is not None and self.past_time is None:
            raise ConfigError(("history",), "history needs the instrument's history_time: without it nobody knows when")
        if self.time is None:
            return
        if self.path is None:
            if not instrument.payload_path or instrument.format == "json":
                raise ConfigError(("path",), f"a payload without path holds no time at {self.time.text!r}; give a path")
            if self.time.many:
                raise ConfigError(("time",), f"{self.time.text!r} are many times, and the payload is one reading")
            return
        if self.time.many and not self.path.many:
            raise ConfigError(
                ("path",), f"{options.path!r} is one value, {self.time.text!r} are many times; put [*] in"
            )
        if self.path.many and not self.time.many and not self.step_ns:
            raise ConfigError(
                ("path",), f"{options.path!r} are many values, {self.time.text!r} is one time: give time_step"
            )

    def put(self, raw: object, time_ns: int | None, arrival_ns: int, out: Readings) -> None:
        """Take one value.

        Args:
            raw: What stands in the channel's place.
            time_ns: When it was made, UNKNOWN_NS where that cannot be read; None for the arrival.
            arrival_ns: When the message came.
            out: Where the reading goes.
        """
        value, quality = self.convert(raw)
        code = self.trust.code
        if quality == UNREADABLE_CODE and code < BAD:
            self.fed = True
            out.bad(self.row, arrival_ns, f"{raw!r:.60} at {self.where}")
            return
        if time_ns is None:
            time_ns = arrival_ns
        elif abs(time_ns - arrival_ns) > self.tolerance_ns:
            time_ns = arrival_ns
            quality = DOUBTFUL if quality == GOOD else quality
        if code:
            value, quality = weigh(value, quality, code)
        self.fed = True
        out.add(self.row, time_ns, value, quality)

    def lack(self, arrival_ns: int, out: Readings, reason: str) -> None:
        """Take that a payload has nothing in the channel's place."""
        if not self.optional:
            self.bad(arrival_ns, out, reason)

    def bad(self, arrival_ns: int, out: Readings, reason: str) -> None:
        """Take that a payload cannot be read."""
        self.fed = True
        if self.trust.code >= BAD:  # what the instrument says of itself tells more
            out.add(self.row, arrival_ns, float("nan"), self.trust.code)
        else:
            out.bad(self.row, arrival_ns, reason)

    def json(self, document: object, arrival_ns: int, out: Readings) -> None:
        """Take the value, or all values of a list, from a document."""
        path = self.path
        assert path is not None
        raw = path.every(document) if path.many else path.one(document)
        if raw is MISSING:
            self.lack(arrival_ns, out, f"nothing at {self.where}")
        elif path.many:
            self._list(document, raw, arrival_ns, out)  # type: ignore[arg-type]  # `every` found a list
        else:
            self.put(raw, self.time_in(document), arrival_ns, out)

    def time_in(self, document: object) -> int | None:
        """Return the time that a document gives to the channel's one value, None where it has no place for it."""
        return None if self.time is None else self.reader.one(self.time.one(document))

    def _list(self, document: object, raws: Sequence[object], arrival_ns: int, out: Readings) -> None:
        if self._allowed(len(raws), arrival_ns, out):
            self.many(raws, self._times(document, len(raws), arrival_ns), arrival_ns, out)

    def _allowed(self, count: int, arrival_ns: int, out: Readings) -> bool:
        if count > READINGS_MAX:
            self.bad(arrival_ns, out, f"{count} readings in one payload; {READINGS_MAX} are allowed")
        return 0 < count <= READINGS_MAX

    def many(
        self,
        raws: Sequence[object],
        times: Int64,
        arrival_ns: int,
        out: Readings,
        *,
        codes: UInt8 | None = None,
        timed: bool = False,
    ) -> None:
        """Take several values with their times.

        Args:
            raws: What stands in the channel's place in each item.
            times: When each was made; may be changed.
            arrival_ns: When the message came.
            out: Where the readings go.
            codes: What was said of each; the present trust where left out.
            timed: The times are the payload's, and are to be judged, although the channel has no path to them.
        """
        pairs = [self.convert(None if raw is MISSING else raw) for raw in raws]
        values, qualities = np.array([v for v, _ in pairs]), np.array([q for _, q in pairs], np.uint8)
        if (qualities == UNREADABLE_CODE).any():
            out.trouble = out.trouble or f"unreadable items at {self.where}"
        doubt = self.doubt(times, arrival_ns, timed=timed)
        if doubt is not None:
            qualities = np.where(qualities == GOOD, doubt, qualities)
        self.columns(times, values, qualities, out, codes)

    def columns(
        self, times: Int64, values: Float64, qualities: UInt8 | None, out: Readings, codes: UInt8 | None = None
    ) -> None:
        """Append columns of readings in the light of what is said of the channel; no qualities means all GOOD."""
        self.fed = True
        if codes is None and self.trust.code:
            codes = np.full(len(values), self.trust.code, np.uint8)
        if codes is not None and codes.any():
            qualities = np.zeros(len(values), np.uint8) if qualities is None else qualities
            told_bad = codes >= BAD
            told = told_bad | ((codes != GOOD) & ((qualities == GOOD) | (qualities == DOUBTFUL)))
            values, qualities = np.where(told_bad, np.nan, values), np.where(told, codes, qualities)
        out.add_columns(self.row, times, values, qualities)

    def history(self, document: object, arrival_ns: int, out: Readings) -> None:
        """Take what a document holds out of the instrument's memory."""
        if self.past is None or self.past_time is None:
            return
        raws = self.past.every(document)
        times = self.past_time.every(document)
        if not isinstance(raws, list):
            return
        if not isinstance(times, list) or len(times) != len(raws) or len(raws) > READINGS_MAX:
            out.lost += len(raws)
            return
        self.remember([self.past_reader.one(raw) for raw in times], raws, arrival_ns, out)

    def remember(self, times: Sequence[int], raws: Sequence[object], arrival_ns: int, out: Readings) -> None:
        """Append values of the past as BACKFILLED; what is no value, or of no believable time, is counted and dropped.

        A BAD reading of the past would say nothing that anyone could act upon, and is no fault of the present.
        """
        oldest, newest = arrival_ns - self.past_ns, arrival_ns + self.tolerance_ns
        kept = [
            (time_ns, value)
            for time_ns, (value, quality) in zip(times, map(self.convert, raws), strict=True)
            if quality < BAD and oldest <= time_ns <= newest
        ]
        out.lost += len(raws) - len(kept)
        if kept:
            out.past += len(kept)
            out.add_columns(
                self.row,
                np.array([time_ns for time_ns, _ in kept], np.int64),
                np.array([value for _, value in kept], np.float64),
                np.full(len(kept), BACKFILLED, np.uint8),
            )

    def _times(self, document: object, count: int, arrival_ns: int) -> Int64:
        if self.time is not None and self.time.many:
            raws = self.time.every(document)
            if isinstance(raws, list) and len(raws) == count:
                return np.array([self.reader.one(raw) for raw in raws], np.int64)
            return np.full(count, UNKNOWN_NS)
        return self.stepped(
            UNKNOWN_NS if self.time is None else self.reader.one(self.time.one(document)), count, arrival_ns
        )

    def stepped(self, base_ns: int, count: int, arrival_ns: int) -> Int64:
        """Return times in equal steps from `base_ns`, or up to the arrival where the payload holds no time."""
        steps = multiples(count, self.step_ns)
        if self.time is None:
            return steps + (arrival_ns - self.step_ns * (count - 1))
        if base_ns == UNKNOWN_NS:
            return np.full(count, UNKNOWN_NS)
        return steps + base_ns

    def believes(self, low: int, high: int, arrival_ns: int) -> bool:
        """Whether no time between these two, in the payload's unit, is doubtful."""
        return self.near(low * self.reader.unit_ns, high * self.reader.unit_ns, arrival_ns)

    def near(self, low_ns: int, high_ns: int, arrival_ns: int) -> bool:
        """Whether no time between these two is doubtful."""
        return believable(low_ns, high_ns, arrival_ns, self.tolerance_ns, self.backlog_ns)

    def doubt(self, times: Int64, arrival_ns: int, *, timed: bool = False) -> UInt8 | None:
        """Judge times from the payload; see `times.judge`."""
        return None if self.time is None and not timed else judge(times, arrival_ns, self.tolerance_ns, self.backlog_ns)


def check_place(options: ChannelOptions, instrument: InstrumentOptions) -> None:
    """Refuse a place that the instrument's payloads do not have.

    Raises:
        ConfigError: The path starts at the channel's options.
    """
    form = instrument.format
    if options.field:
        names = instrument.layout.names if instrument.layout is not None else set()
        if options.field not in names:
            known = ", ".join(sorted(names)) or "none, for there is no layout"
            raise ConfigError(("field",), f"{options.field!r} is no field of the layout; there are {known}")
    if options.column is not None:
        if form != "csv":
            raise ConfigError(("column",), f"a payload of format {form} has no columns")
        check_column(options.column, instrument.csv or CsvOptions(), "column")
    if (options.path or options.history) and form != "json" and not instrument.payload_path:
        raise ConfigError(("path",), f"a payload of format {form} has no paths")
    placed = options.path or options.field or options.column is not None or options.history
    if not placed and form not in {"json", "text"}:
        raise ConfigError(("path",), f"a payload of format {form} is no single number: give a field, column or path")


def check_column(column: int | str, options: CsvOptions, key: str) -> None:
    """Refuse a column that cannot be found. Raises ConfigError at `key`."""
    if isinstance(column, str) and not options.header and column not in options.columns:
        known = ", ".join(options.columns) or "none, and no header"
        raise ConfigError((key,), f"{column!r} is no column; named are {known}")
