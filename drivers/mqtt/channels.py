"""One channel in its instrument's messages: where its value and its time stand."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np

from drivers.mqtt.options import ChannelOptions, InstrumentOptions
from drivers.mqtt.paths import MISSING, Path
from drivers.mqtt.readings import Readings
from drivers.mqtt.times import DOUBTFUL, UNKNOWN_NS, TimeReader, believable, judge
from drivers.values import GOOD, UNREADABLE, Converter
from gateway.core.clock import NS_PER_S
from gateway.core.errors import ConfigError
from gateway.core.model import Int64, UInt8
from gateway.core.plugin import ChannelPlan

READINGS_MAX = 10_000
"""Readings of one channel in one payload; a longer list is UNREADABLE."""
UNREADABLE_CODE = UNREADABLE[1]


class ChannelDecoder:
    """Finds one channel's readings in a message.

    Raises:
        ConfigError: The options do not fit together; the path is the channel's in the site file.
    """

    def __init__(self, plan: ChannelPlan, instrument: InstrumentOptions) -> None:
        options = plan.options
        assert isinstance(options, ChannelOptions)
        self.row = plan.channel.row
        self.path = Path(options.path) if options.path else None
        self.optional = options.optional
        time = options.time or instrument.time
        self.time = None if time == "arrival" else Path(time)
        self.reader = TimeReader(instrument.time_unit, ZoneInfo(instrument.zone) if instrument.zone else None)
        self.unit = instrument.time_unit
        self.step_ns = round((instrument.time_step or 0.0) * NS_PER_S)
        self.tolerance_ns = round(instrument.clock_tolerance_s * NS_PER_S)
        self.backlog_ns = round(instrument.backlog_s * NS_PER_S)
        try:
            self._check(options)
            self.convert = Converter(options, plan.channel)
        except ConfigError as error:
            raise error.under(*plan.path, "options") from error

    def _check(self, options: ChannelOptions) -> None:
        if self.time is None:
            return
        if self.path is None:
            raise ConfigError(("path",), f"a payload without path holds no time at {self.time.text!r}; give a path")
        if self.time.many and not self.path.many:
            raise ConfigError(
                ("path",), f"{options.path!r} is one value, {self.time.text!r} are many times; put [*] in"
            )
        if self.path.many and not self.time.many and not self.step_ns:
            raise ConfigError(
                ("path",), f"{options.path!r} are many values, {self.time.text!r} is one time: give time_step"
            )

    def plain(self, text: str, arrival_ns: int, out: Readings) -> None:
        """Take the whole payload as the value."""
        value, quality = self.convert.text(text)
        if quality == UNREADABLE_CODE:
            out.bad(self.row, arrival_ns, "the payload is no number")
        else:
            out.add(self.row, arrival_ns, value, quality)

    def json(self, document: object, arrival_ns: int, out: Readings) -> None:
        """Take the value, or all values of a list, from a document."""
        path = self.path
        assert path is not None
        raw = path.every(document) if path.many else path.one(document)
        if raw is MISSING:
            if not self.optional:
                out.bad(self.row, arrival_ns, f"nothing at {path.text}")
        elif path.many:
            self._list(document, raw, arrival_ns, out)  # type: ignore[arg-type]  # `every` found a list
        else:
            self._one(document, raw, arrival_ns, out)

    def _one(self, document: object, raw: object, arrival_ns: int, out: Readings) -> None:
        value, quality = self.convert(raw)
        if quality == UNREADABLE_CODE:
            out.bad(self.row, arrival_ns, f"{raw!r:.60} at {self.path and self.path.text}")
            return
        time_ns = arrival_ns
        if self.time is not None:
            time_ns = self.reader.one(self.time.one(document))
            if abs(time_ns - arrival_ns) > self.tolerance_ns:
                time_ns = arrival_ns
                quality = DOUBTFUL if quality == GOOD else quality
        out.add(self.row, time_ns, value, quality)

    def _list(self, document: object, raws: Sequence[object], arrival_ns: int, out: Readings) -> None:
        if len(raws) > READINGS_MAX:
            out.bad(self.row, arrival_ns, f"{len(raws)} readings in one payload; {READINGS_MAX} are allowed")
            return
        if not raws:
            return
        pairs = [self.convert(None if raw is MISSING else raw) for raw in raws]
        values, qualities = np.array([v for v, _ in pairs]), np.array([q for _, q in pairs], np.uint8)
        if (qualities == UNREADABLE_CODE).any():
            out.trouble = out.trouble or f"unreadable items at {self.path and self.path.text}"
        times = self._times(document, len(raws), arrival_ns)
        doubt = self.doubt(times, arrival_ns)
        if doubt is not None:
            qualities = np.where(qualities == GOOD, doubt, qualities)
        out.add_columns(self.row, times, values, qualities)

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
        if self.time is None:
            return np.arange(1 - count, 1) * self.step_ns + arrival_ns
        if base_ns == UNKNOWN_NS:
            return np.full(count, UNKNOWN_NS)
        return np.arange(count) * self.step_ns + base_ns

    def believes(self, low: int, high: int, arrival_ns: int) -> bool:
        """Whether no time between these two, in the payload's unit, is doubtful."""
        unit = self.reader.unit_ns
        return believable(low * unit, high * unit, arrival_ns, self.tolerance_ns, self.backlog_ns)

    def doubt(self, times: Int64, arrival_ns: int) -> UInt8 | None:
        """Judge times from the payload; see `times.judge`."""
        return None if self.time is None else judge(times, arrival_ns, self.tolerance_ns, self.backlog_ns)
