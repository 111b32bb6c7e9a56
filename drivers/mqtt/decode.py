"""From one message to readings: every channel and status of an instrument that its topic speaks of."""

import json
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from drivers.mqtt.binary import Binary
from drivers.mqtt.channels import ChannelDecoder
from drivers.mqtt.layout import Layout
from drivers.mqtt.layout_options import CsvOptions
from drivers.mqtt.lines import Lines
from drivers.mqtt.options import InstrumentOptions
from drivers.mqtt.paths import MISSING, Path
from drivers.mqtt.readings import Readings
from drivers.mqtt.repeats import Repeats
from drivers.mqtt.shape import shapes
from drivers.mqtt.trust import BAD, Status

LENIENT_BYTES_MAX = 1 << 16
"""Longest payload that is read a second time when it is no strict JSON."""


class Broken:
    """Stands for a payload that is no JSON."""


BROKEN: Final = Broken()
STRICT = msgspec.json.Decoder()
Said = tuple[Status, Sequence[ChannelDecoder]]
"""A status, and the channels that it speaks of."""


def parse(payload: bytes | str) -> object:
    """Return the document in a payload, or BROKEN.

    Instruments programmed in Python or C++ write NaN and Infinity, which are no JSON: such a payload is read all the
    same, so that one channel's NaN takes no other channel's value with it.
    """
    try:
        return STRICT.decode(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    if len(payload) > LENIENT_BYTES_MAX:
        return BROKEN
    try:
        return json.loads(payload if isinstance(payload, str) else payload.decode())
    except (ValueError, RecursionError):
        return BROKEN


def text_of(payload: bytes) -> str:
    """Return a payload as text, empty where it is none."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return ""


class Part(Protocol):
    """Reads those channels and statuses of a message that stand in one kind of place."""

    channels: Sequence[ChannelDecoder]

    def take(self, inner: object, document: object, arrival_ns: int, out: Readings) -> None:
        """Append readings.

        Args:
            inner: The payload, or the text within the document, in the instrument's format.
            document: The JSON document, MISSING where there is none.
            arrival_ns: When the message came.
            out: Where the readings go.
        """
        ...


class Documented:
    """What has a path."""

    def __init__(self, channels: Sequence[ChannelDecoder], statuses: Sequence[Status]) -> None:
        self.channels = [c for c in channels if c.path is not None]
        self._past = [c for c in channels if c.past is not None]
        self._statuses = [(status, status.path) for status in statuses if status.path is not None]

    def take(self, inner: object, document: object, arrival_ns: int, out: Readings) -> None:  # noqa: ARG002 - a Part
        """See `Part`; statuses come first, for they speak of the message's own values too."""
        for status, path in self._statuses:
            status.told(path.one(document))
        for channel in self.channels:
            channel.json(document, arrival_ns, out)
        for channel in self._past:
            channel.history(document, arrival_ns, out)


class Whole:
    """What takes the payload, or the text within it, as its value."""

    def __init__(self, channels: Sequence[ChannelDecoder], statuses: Sequence[Status]) -> None:
        self.channels = channels
        self._statuses = statuses

    def take(self, inner: object, document: object, arrival_ns: int, out: Readings) -> None:
        """See `Part`."""
        if type(inner) is bytes:
            inner = text_of(inner)
        for status in self._statuses:
            status.told(inner)
        for channel in self.channels:
            if inner is MISSING:
                channel.lack(arrival_ns, out, "nothing at the payload's path")
            else:
                channel.put(inner, channel.time_in(document), arrival_ns, out)


class MessageDecoder:
    """Reads the messages of one topic filter for one instrument.

    Args:
        options: The instrument's.
        channels: Its channels on that filter.
        said: Its statuses on that filter, and the channels that each speaks of, on whatever filter they are.
        repeats: What the instrument has sent lately, where repeats are to be dropped.

    Attributes:
        channels: As given.
        accepts_retained: What the broker has kept is read like anything else.
    """

    def __init__(
        self,
        options: InstrumentOptions,
        channels: Sequence[ChannelDecoder],
        said: Sequence[Said] = (),
        repeats: Repeats | None = None,
    ) -> None:
        self.channels = tuple(channels)
        self._said = tuple(said)
        self._repeats = repeats or None
        self.accepts_retained = options.retained == "accept"
        self._raw = options.format == "bytes"
        self._live = [c for c in channels if c.whole or c.path is not None or c.field or c.column is not None]
        # A status on a topic of its own is what that topic brings, not packed as the values are.
        packed = bool(channels) or any(status.field or status.column is not None for status, _ in said)
        self._inner = Path(options.payload_path) if options.payload_path and packed else None
        self._inner_json = self._inner is not None and options.format == "json"
        statuses = [status for status, _ in said]
        self._whole = [s for s in statuses if s.whole]
        self._pathed = [(s, s.path) for s in statuses if s.path is not None]
        documented = Documented(channels, statuses)
        self._parts = _parts(options, channels, statuses)
        self._document: Documented | None = None
        if documented.channels or self._pathed or any(c.past for c in channels):
            self._document = documented
        self._is_json = bool(self._document or self._inner or self._repeats)
        simple = not (said or self._repeats or self._inner or any(c.past for c in channels))
        self._shapes = list(shapes(documented.channels)) if simple else []

    def decode(self, payload: bytes, arrival_ns: int, out: Readings) -> None:
        """Append the message's readings; whatever the payload is, nothing is raised."""
        if not self._said:
            self._take(payload, arrival_ns, out)
            return
        self._begin()
        self._take(payload, arrival_ns, out)
        self._speak(arrival_ns, out)

    def retained(self, payload: bytes, arrival_ns: int, out: Readings) -> bool:
        """Take what the broker has kept; return whether it was worth anything.

        Of a message that is not to be accepted, only a status that speaks against the values is believed: it was
        the last word, and a good one may be older than the next fault.
        """
        if self.accepts_retained:
            self.decode(payload, arrival_ns, out)
            return True
        believed = [status.remembered(text_of(payload)) for status in self._whole]
        if self._pathed and (document := parse(payload)) is not BROKEN:
            believed += [status.remembered(path.one(document)) for status, path in self._pathed]
        if any(believed):
            self._begin()
            self._speak(arrival_ns, out)
        return any(believed)

    def refuse(self, reason: str, arrival_ns: int, out: Readings) -> None:
        """Append one UNREADABLE reading for each channel; whatever it said of their state is unknown as well."""
        self.overlook()
        for channel in self._live:
            channel.bad(arrival_ns, out, reason)

    def overlook(self) -> None:
        """Take that a message is lost: what it would have said of the values is unknown, and no good word stands."""
        for status, _ in self._said:
            status.doubt()

    def deny(self) -> list[int]:
        """Take that the broker refuses the topic; return the rows of which nothing can be had."""
        for status, _ in self._said:
            status.deny()
        return [channel.row for channel in self.channels]

    def _begin(self) -> None:
        for _, channels in self._said:
            for channel in channels:
                channel.fed = False

    def _speak(self, arrival_ns: int, out: Readings) -> None:
        """Say BAD of the channels that the message had no reading of: what it says of them is news all the same."""
        for status, channels in self._said:
            if status.code >= BAD:
                for channel in channels:
                    if not channel.fed:
                        channel.bad(arrival_ns, out, "")

    def _take(self, payload: bytes, arrival_ns: int, out: Readings) -> None:
        if not self._is_json:
            inner = payload if self._raw else text_of(payload)
            for part in self._parts:
                part.take(inner, MISSING, arrival_ns, out)
        elif not self._quickly(payload, arrival_ns, out):
            self._json(payload, arrival_ns, out)

    def _quickly(self, payload: bytes, arrival_ns: int, out: Readings) -> bool:
        for i, shape in enumerate(self._shapes):
            if shape.take(payload, arrival_ns, out):
                if i:  # an instrument that writes times with decimals goes on doing so
                    self._shapes.reverse()
                if self._parts:
                    self._rest(text_of(payload), MISSING, arrival_ns, out)
                return True
        return False

    def _json(self, payload: bytes, arrival_ns: int, out: Readings) -> None:
        document = parse(payload)
        if document is BROKEN:
            self._broken("the payload is no JSON", payload, arrival_ns, out)
            return
        if self._repeats is not None and self._repeats.known(document, arrival_ns):
            out.repeated += 1
            return
        inner: object = MISSING
        if self._inner is not None:
            inner = self._inner.one(document)
        elif self._parts:
            inner = text_of(payload)
        if self._inner_json:
            document = parse(inner) if type(inner) is str else BROKEN
            if document is BROKEN:
                self.refuse("no JSON at the payload's path", arrival_ns, out)
                return
        if self._document is not None:
            self._document.take(inner, document, arrival_ns, out)
        self._rest(inner, document, arrival_ns, out)

    def _rest(self, inner: object, document: object, arrival_ns: int, out: Readings) -> None:
        for part in self._parts:
            part.take(inner, document, arrival_ns, out)

    def _broken(self, reason: str, payload: bytes, arrival_ns: int, out: Readings) -> None:
        """Read what asks for no JSON all the same; a number with a path elsewhere may share its topic."""
        for status, _ in self._pathed:
            status.doubt()
        if self._inner is not None:
            self.overlook()
        for channel in self._live:
            if not channel.whole or self._inner is not None:
                channel.bad(arrival_ns, out, reason)
        if self._inner is None:
            self._rest(text_of(payload), MISSING, arrival_ns, out)


def _parts(options: InstrumentOptions, channels: Sequence[ChannelDecoder], statuses: Sequence[Status]) -> list[Part]:
    """Return the parts that a message has, other than what has a path."""
    parts: list[Part] = []
    whole = Whole([c for c in channels if c.whole], [s for s in statuses if s.whole])
    columned = [c for c in channels if c.column is not None], [s for s in statuses if s.column is not None]
    fields = [c for c in channels if c.field], [s for s in statuses if s.field]
    if any((whole.channels, [s for s in statuses if s.whole])):
        parts.append(whole)
    if any(columned):
        parts.append(Lines(options.csv or CsvOptions(), *columned))
    if any(fields) and options.layout is not None:
        parts.append(Binary(options.format, Layout(options.layout), *fields))
    return parts
