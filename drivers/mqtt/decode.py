"""From one message to readings: every channel of an instrument that its topic speaks of."""

import json
from collections.abc import Sequence
from typing import Final

import msgspec

from drivers.mqtt.channels import ChannelDecoder
from drivers.mqtt.options import InstrumentOptions
from drivers.mqtt.readings import Readings
from drivers.mqtt.shape import shapes

LENIENT_BYTES_MAX = 1 << 16
"""Longest payload that is read a second time when it is no strict JSON."""


class Broken:
    """Stands for a payload that is no JSON."""


BROKEN: Final = Broken()
STRICT = msgspec.json.Decoder()


def parse(payload: bytes) -> object:
    """Return the document in a payload, or BROKEN.

    Instruments programmed in Python or C++ write NaN and Infinity, which are no JSON: such a payload is read all the
    same, so that one channel's NaN takes no other channel's value with it.
    """
    try:
        return STRICT.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    if len(payload) > LENIENT_BYTES_MAX:
        return BROKEN
    try:
        return json.loads(payload.decode())
    except (ValueError, RecursionError):
        return BROKEN


class MessageDecoder:
    """Reads the messages of one topic filter for one instrument.

    Args:
        options: The instrument's.
        channels: Its channels on that filter.
    """

    def __init__(self, options: InstrumentOptions, channels: Sequence[ChannelDecoder]) -> None:
        self.accepts_retained = options.retained == "accept"
        self.channels = tuple(channels)
        self._plain = tuple(c for c in channels if c.path is None)
        self._json = tuple(c for c in channels if c.path is not None)
        self._shapes = shapes(self._json)

    def decode(self, payload: bytes, arrival_ns: int, out: Readings) -> None:
        """Append the message's readings; whatever the payload is, nothing is raised."""
        if self._plain:
            try:
                text = payload.decode()
            except UnicodeDecodeError:
                text = ""
            for channel in self._plain:
                channel.plain(text, arrival_ns, out)
        if self._json and not self._quickly(payload, arrival_ns, out):
            document = parse(payload)
            if document is BROKEN:
                self.refuse("the payload is no JSON", arrival_ns, out, self._json)
                return
            for channel in self._json:
                channel.json(document, arrival_ns, out)

    def _quickly(self, payload: bytes, arrival_ns: int, out: Readings) -> bool:
        for i, shape in enumerate(self._shapes):
            if shape.take(payload, arrival_ns, out):
                if i:  # an instrument that writes times with decimals goes on doing so
                    self._shapes.reverse()
                return True
        return False

    def refuse(
        self, reason: str, arrival_ns: int, out: Readings, channels: Sequence[ChannelDecoder] | None = None
    ) -> None:
        """Append one UNREADABLE reading for each channel."""
        for channel in self.channels if channels is None else channels:
            out.bad(channel.row, arrival_ns, reason)
