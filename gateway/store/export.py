"""The journal as a file for others: CSV for people, JSON Lines that prove themselves for whoever must trust them.

The JSON Lines: an opening line with the hash that the first event hangs on, one line an event,
`{"seq":N,"digest":"<64 hexadecimal digits>","event":<the event, byte for byte as it was chained>}`, and a closing line
with the last number, its hash and the count. The hash of an event is the SHA-256 of the hash before it and of the bytes
between `"event":` and the last brace; so the file alone shows what was edited, cut out, inserted, moved or cut off.
"""

import csv
import io
import json
from collections.abc import Iterator
from datetime import tzinfo
from typing import Any, Final

import msgspec

from gateway.core.alarm import AlarmEvent
from gateway.core.clock import rfc3339
from gateway.core.errors import StorageError
from gateway.store.chain import Link
from gateway.store.search import Past

PART_EVENTS: Final = 500
"""Events read and written at a time: some half a megabyte, whatever the length of the journal."""
VERSION: Final = 1
BOM: Final = "\ufeff"
_COLUMNS: Final = (
    "seq", "time", "time_local", "kind", "alarm", "area", "instrument", "channel", "quantity", "level", "state",
    "priority", "occurrence", "value", "unit", "limit", "quality", "test", "who", "why", "why_zh", "until", "permit",
    "suppressed_by", "case", "outcome",
)  # fmt: skip
_FORMULA: Final = tuple("=+-@\t\r")

_decode = msgspec.json.Decoder(AlarmEvent).decode


def jsonl_parts(past: Past, about: dict[str, Any], start_ns: int = 0, end_ns: int = 0) -> Iterator[bytes]:
    """Yield the journal as JSON Lines, part by part; blocks.

    Args:
        past: The journal.
        about: What the opening line says beside the chain: site, gateway, time.
        start_ns: From the first event of this time on.
        end_ns: To the last event before this time; to the end of the journal where 0. Events between the two are
            written whatever their own time is: a chain has no gaps.

    Raises:
        StorageError: The disk refuses, or the journal had to make room for new events faster than this could read.
    """
    first, last = past.span(start_ns, end_ns)
    anchor = _before(past, first) if first <= last else past.links()[1]
    opening = {"hazgate": "journal", "version": VERSION, **about, "epoch": past.meta().get("epoch", "")}
    yield _line({**opening, "anchor": _link(anchor)})
    head, count = anchor, 0
    while head.seq < last:
        rows = past.rows(head.seq, last, PART_EVENTS)
        if not rows:
            break
        if past.links()[0].seq > head.seq and count:
            raise StorageError(f"{past.path}: events after {head.seq} made way for new ones while they were exported")
        lines = [_event_line(seq, body, digest) for seq, body, digest in rows]
        seq, _, digest = rows[-1]
        head, count = Link(seq, digest, 0), count + len(rows)
        yield b"".join(lines)
    yield _line({"head": _link(head), "events": count})


def _before(past: Past, first: int) -> Link:
    """Return the link that event `first` hangs on."""
    anchor, _ = past.links()
    with past.read("reading the event before") as connection:
        row = connection.execute(
            "SELECT seq, digest FROM events WHERE seq < ? ORDER BY seq DESC LIMIT 1", (first,)
        ).fetchone()
    return anchor if row is None else Link(row[0], row[1], 0)


def _link(link: Link) -> dict[str, Any]:
    return {"seq": link.seq, "digest": link.digest.hex()}


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _event_line(seq: int, body: bytes, digest: bytes) -> bytes:
    # A damaged event with a line end in it would tear its line; without it, the check names it all the same.
    whole = body.replace(b"\n", b" ").replace(b"\r", b" ")
    return b'{"seq":%d,"digest":"%s","event":%s}\n' % (seq, digest.hex().encode(), whole)


def csv_parts(past: Past, zone: tzinfo, start_ns: int = 0, end_ns: int = 0) -> Iterator[bytes]:
    """Yield the journal as CSV (RFC 4180; UTF-8 with a mark, which spreadsheets need for Chinese), by parts; blocks.

    Args:
        past: The journal.
        zone: The site's time zone, for the second column of times.
        start_ns: Only events of this time and later.
        end_ns: Only events before this time; all where 0.

    Raises:
        StorageError: The disk refuses.
    """
    yield (BOM + _csv([_COLUMNS])).encode()
    first, last = past.span(start_ns, end_ns)
    after = first - 1
    while rows := past.rows(after, last, PART_EVENTS):
        after = rows[-1][0]
        yield _csv([_row(seq, body, zone, start_ns, end_ns) for seq, body, _ in rows]).encode()


def _csv(rows: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(row for row in rows if row)
    return text.getvalue()


def _row(seq: int, body: bytes, zone: tzinfo, start_ns: int, end_ns: int) -> tuple[object, ...]:
    """Return an event as a row; empty where its time is not wanted."""
    try:
        event = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return (seq, "", "", "damaged")
    if event.time_ns < start_ns or (end_ns and event.time_ns >= end_ns):
        return ()
    case = event.case
    return (
        event.seq, rfc3339(event.time_ns), rfc3339(event.time_ns, zone), event.kind.value, plain(event.alarm),
        plain(event.area), plain(event.instrument), plain(event.channel), plain(event.quantity), event.level,
        event.state.value, event.priority or "", event.occurrence or "", _number(event.value), plain(event.unit),
        _number(event.limit), event.quality, "yes" if event.test else "", plain(event.who), plain(event.why),
        plain(event.why_zh), rfc3339(event.until_ns) if event.until_ns else "", plain(event.permit),
        plain(event.suppressed_by), plain(case.id) if case else "", case.outcome if case else "",
    )  # fmt: skip


def plain(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula.

    >>> plain("=1+1"), plain("gas at 5 %LEL"), plain("-3")
    ("'=1+1", 'gas at 5 %LEL', "'-3")
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"
