"""Events as rows that prove one another: each hash covers the event and the hash before it.

Whoever edits, removes, inserts or reorders rows breaks the chain; whoever cuts its end off contradicts the head that
is kept apart. Whoever can rewrite the whole file can rewrite the whole chain: against that, send the head elsewhere.
"""

import hashlib
import zlib
from typing import NamedTuple

import msgspec

from gateway.core.alarm import AlarmEvent

ROOT = bytes(32)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AlarmEvent).decode


class Link(NamedTuple):
    """One end of the chain.

    Attributes:
        seq: Number of the last event up to here.
        digest: Its hash.
        events: How many events there are up to here.
    """

    seq: int
    digest: bytes
    events: int


class Row(NamedTuple):
    """One event as it is stored."""

    seq: int
    time_ns: int
    alarm: str
    kind: str
    body: bytes
    digest: bytes
    code: int


def digest_of(previous: bytes, body: bytes) -> bytes:
    """Return the hash of an event that follows one with the hash `previous`."""
    return hashlib.sha256(previous + body).digest()


def code_of(seq: int, body: bytes) -> int:
    """Return the check sum by which one row can be believed without its neighbours."""
    return zlib.crc32(body, seq & 0xFFFFFFFF)


def row_of(event: AlarmEvent, previous: bytes) -> Row:
    """Return the row of an event that follows one with the hash `previous`."""
    body = _encode(event)
    return Row(event.seq, event.time_ns, event.alarm, str(event.kind), body, digest_of(previous, body),
               code_of(event.seq, body))  # fmt: skip


def event_of(seq: object, body: object, code: object) -> AlarmEvent | None:
    """Return the event of a stored row, or None where a bit of it is not what was written."""
    if not isinstance(seq, int) or not isinstance(body, bytes) or code_of(seq, body) != code:
        return None
    try:
        event = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return event if event.seq == seq else None


def fault(row: Row, previous: bytes) -> str:
    """Return what is wrong with a row that should follow one with the hash `previous`, or empty."""
    if digest_of(previous, row.body) != row.digest:
        return f"event {row.seq} does not follow from the one before it: edited, or one was deleted or inserted there"
    try:
        event = _decode(row.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"event {row.seq} is no event"
    if event.seq != row.seq:
        return f"event {row.seq} holds event {event.seq}: reordered"
    if (event.time_ns, event.alarm, str(event.kind)) != (row.time_ns, row.alarm, row.kind):
        return f"event {row.seq} is filed under another time, alarm or kind than it tells: edited"
    return ""
