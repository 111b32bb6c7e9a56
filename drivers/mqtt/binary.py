"""From bytes, or the text that stands for them, to the readings of a layout's channels."""

import base64
from collections.abc import Sequence

from drivers.mqtt.channels import ChannelDecoder
from drivers.mqtt.layout import Frame, Layout
from drivers.mqtt.layout_options import BYTES_MAX
from drivers.mqtt.paths import MISSING
from drivers.mqtt.readings import Readings
from drivers.mqtt.trust import Status


def as_bytes(inner: object, form: str) -> bytes | None:
    r"""Return the bytes that a payload, or a text in one, stands for; None where it stands for none.

    Args:
        inner: Text, or bytes where the format is `bytes`.
        form: `bytes`, `hex` or `base64`.

    >>> as_bytes("0175 64", "hex"), as_bytes("AXVk", "base64"), as_bytes("AXVk!", "base64")
    (b'\x01ud', b'\x01ud', None)
    """
    if form == "bytes":
        return inner if type(inner) is bytes else None
    if type(inner) is not str or len(inner) > 4 * BYTES_MAX:
        return None
    text = inner.strip()
    try:
        return bytes.fromhex(text.removeprefix("0x")) if form == "hex" else base64.b64decode(text, validate=True)
    except ValueError:
        return None


class Binary:
    """Reads the bytes of one topic filter for one instrument.

    Args:
        form: `bytes`, `hex` or `base64`.
        layout: How they are cut.
        channels: Those with a field.
        statuses: Those with a field.
    """

    def __init__(
        self, form: str, layout: Layout, channels: Sequence[ChannelDecoder], statuses: Sequence[Status]
    ) -> None:
        self.channels = channels
        self._form = form
        self._layout = layout
        self._statuses = statuses

    def take(self, inner: object, document: object, arrival_ns: int, out: Readings) -> None:
        """Append the readings of a payload, or of a text within the document."""
        if document is not MISSING and (inner is MISSING or inner is None or inner == ""):
            # A network server passes on frames without payload; where a layout has tags they say nothing.
            for channel in self.channels:
                channel.lack(arrival_ns, out, "no bytes in the payload")
            return
        data = as_bytes(inner, self._form)
        if data is None:
            for status in self._statuses:
                status.doubt()
            for channel in self.channels:
                channel.bad(arrival_ns, out, f"no {self._form}")
            return
        frame = self._layout.read(data)
        for status in self._statuses:
            self._status(status, frame)
        for channel in self.channels:
            self._channel(channel, frame, document, arrival_ns, out)

    @staticmethod
    def _status(status: Status, frame: Frame) -> None:
        found = _named(frame, status.field)
        for number in found:
            status.told(number)
        if not found and not frame.cut:
            status.told(MISSING)
        elif not found and not status.optional:
            status.doubt()  # it may stand in what could not be read

    @staticmethod
    def _channel(channel: ChannelDecoder, frame: Frame, document: object, arrival_ns: int, out: Readings) -> None:
        found = _named(frame, channel.field)
        time_ns = channel.time_in(document) if frame.time_ns is None else frame.time_ns
        for number in found:
            channel.put(number, time_ns, arrival_ns, out)
        if not found and frame.cut and channel.required:
            # What stands behind an unknown tag may be an alarm: that it could not be read must be seen.
            channel.bad(arrival_ns, out, frame.cut)
        elif not found:
            channel.lack(arrival_ns, out, f"no {channel.field} in the payload")
        past = [(then_ns, number) for then_ns, name, number in frame.history if name == channel.field]
        if past:
            channel.remember([then_ns for then_ns, _ in past], [number for _, number in past], arrival_ns, out)


def _named(frame: Frame, name: str) -> list[float]:
    return [number for found, number in frame.values if found == name]
