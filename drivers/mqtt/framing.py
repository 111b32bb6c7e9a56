"""MQTT control packets out of a stream of bytes, with a limit on what is kept of one.

paho-mqtt reads a packet with three system calls and keeps up to 256 MiB of it before anyone can refuse. Here a chunk of
the stream gives all its packets at once, and of a PUBLISH beyond the limit only the head is kept, enough to say which
topic it was for and to acknowledge it; the rest is counted off unseen.
"""

import msgspec

PUBLISH = 0x30
PUBACK = 0x40
PUBREC = 0x50
PUBREL = 0x60
PUBCOMP = 0x70

HEAD_BYTES = 4 + 65_535
"""Kept of a PUBLISH that is too long: the longest topic with its length, and the packet identifier."""
OTHER_BYTES_MAX = 1 << 20
"""Longest packet of any other kind; a SUBACK for 10,000 filters has 10 kB."""


class FramingError(Exception):
    """The stream is no MQTT, or breaks the agreed sizes: the connection cannot be used any further."""


class Publish(msgspec.Struct, frozen=True, gc=False):
    """One message; `payload` is None where it was longer than the limit, of `size` bytes."""

    topic: bytes
    payload: bytes | None
    mid: int
    qos: int
    dup: bool
    retain: bool
    size: int


class Framer:
    """Cuts a stream into packets.

    Args:
        payload_bytes_max: Longest payload that is kept.
        v5: PUBLISH packets carry properties (MQTT 5).
    """

    def __init__(self, payload_bytes_max: int, *, v5: bool) -> None:
        self._limit = payload_bytes_max
        self._v5 = v5
        self._rest = b""
        self._skip = 0
        self._head = (0, b"", 0)

    def feed(self, data: bytes) -> list[tuple[int, bytes, int]]:
        """Return the packets that end in `data`: first byte, body, and the body's length on the wire.

        A body shorter than its length is the head of a PUBLISH that was too long.

        Raises:
            FramingError: A length of more than four bytes, or a packet that is too long and no PUBLISH.
        """
        if self._rest:
            data = self._rest + data
        packets: list[tuple[int, bytes, int]] = []
        at, size = 0, len(data)
        while at < size:
            if self._skip:
                at = self._skipped(packets, at, size)
                continue
            # Most packets are short: a length of one byte is not worth a call.
            short = at + 1 < size and data[at + 1] < 0x80
            found = (data[at + 1], at + 2) if short else _length(data, at + 1)
            if found is None:
                break
            length, start = found
            if length > self._limit + HEAD_BYTES and data[at] & 0xF0 == PUBLISH:
                if size - start < HEAD_BYTES:
                    break
                self._head = data[at], data[start : start + HEAD_BYTES], length
                self._skip = length - HEAD_BYTES
                at = start + HEAD_BYTES
                continue
            if length > OTHER_BYTES_MAX and data[at] & 0xF0 != PUBLISH:
                raise FramingError(f"a packet of kind {data[at] >> 4} with {length} bytes")
            if start + length > size:
                break
            packets.append((data[at], data[start : start + length], length))
            at = start + length
        self._rest = data[at:]
        return packets

    def _skipped(self, packets: list[tuple[int, bytes, int]], at: int, size: int) -> int:
        """Count off bytes of a long PUBLISH; its head counts as a packet when the last one has gone by."""
        passed = min(self._skip, size - at)
        self._skip -= passed
        if not self._skip:
            packets.append(self._head)
        return at + passed

    def publish(self, command: int, body: bytes, length: int) -> Publish:
        """Return the message in a PUBLISH packet.

        Raises:
            FramingError: The packet ends before its topic, identifier or properties do, or its QoS is 3.
        """
        qos = command >> 1 & 3
        at = 2 + int.from_bytes(body[:2])
        topic = body[2:at]
        mid = 0
        if qos:
            mid = int.from_bytes(body[at : at + 2])
            at += 2
        if at > len(body) or len(body) < 2 or qos == 3 or (qos and not mid):
            raise FramingError(f"a PUBLISH of {length} bytes without topic or identifier")
        if len(body) < length:
            return Publish(topic, None, mid, qos, bool(command & 8), bool(command & 1), length - at)
        if self._v5:
            at = at + 1 if body[at : at + 1] == b"\0" else _past_properties(body, at)
        size = len(body) - at
        payload = body[at:] if size <= self._limit else None
        return Publish(topic, payload, mid, qos, bool(command & 8), bool(command & 1), size)


def _length(data: bytes, at: int) -> tuple[int, int] | None:
    """Return a variable byte integer (MQTT 5.0, 1.5.5) and where it ends, or None where bytes are still to come."""
    value = 0
    for i, byte in enumerate(data[at : at + 4]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, at + i + 1
    if len(data) - at >= 4:
        raise FramingError("a length of more than four bytes")
    return None


def _past_properties(body: bytes, at: int) -> int:
    """Return where the payload begins; nothing in a message's properties changes what it says."""
    found = _length(body, at)
    if found is None or sum(found) > len(body):
        raise FramingError("a PUBLISH that ends within its properties")
    return sum(found)


def acknowledgement(kind: int, mid: int) -> bytes:
    """Return a PUBACK, PUBREC or PUBCOMP; the form of four bytes is the same in both versions."""
    return bytes((kind, 2, mid >> 8, mid & 0xFF))
