"""Checks that a journal is whole, in its own file or in an exported one, and names the first place where it is not."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.core.errors import StorageError
from gateway.store.chain import ROOT, Link, Row, fault
from gateway.store.disk import reason

VERIFY_EVENTS: Final = 5_000
LINE_MAX: Final = 4 << 20
"""Longest line of an exported journal that is looked at; no event comes near it."""
EVENT_MARK: Final = b',"event":'
_COLUMNS: Final = "seq, time_ns, alarm, kind, body, digest, code"

Reading = Callable[[str], AbstractContextManager[sqlite3.Connection]]
"""Gives a connection for what is said; raises StorageError."""


class Proof(NamedTuple):
    """What a check found.

    Attributes:
        events: How many events are as they were written, from the first on.
        first: Number of the first event checked, 0 where there is none.
        seq: Number of the last event that is as it was written.
        digest: Its hash in hex: noted elsewhere, it proves later that nothing up to here was rewritten.
        problem: The first thing that is wrong, or empty.
    """

    events: int
    first: int
    seq: int
    digest: str
    problem: str


class Noted(NamedTuple):
    """Number and hash (hex) of an event, as somebody wrote them down: a head."""

    seq: int
    digest: str

    def missed_by(self, last: int) -> str:
        """Return what is wrong where a journal ends at event `last`, or empty."""
        return f"event {self.seq} was noted, but the journal ends at event {last}: truncated" if last < self.seq else ""

    def contradicts(self, seq: int, digest: str) -> str:
        """Return what is wrong with an event's hash, or empty."""
        if seq != self.seq or digest == self.digest:
            return ""
        return f"event {seq} has another hash than the one noted: rewritten"


def parse_head(text: str) -> Noted:
    """Return the head that somebody noted as `SEQ:DIGEST`. Raises ValueError.

    >>> parse_head("12:" + "ab" * 32).seq
    12
    """
    seq, _, digest = text.strip().partition(":")
    if not seq.isdecimal() or len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef"):
        raise ValueError(f"{text!r} is no head such as 1234:9f86…, a number and 64 hexadecimal digits")
    return Noted(int(seq), digest.lower())


# The journal itself


def verify_journal(read: Reading, noted: Noted | None = None) -> Proof:
    """Check that no event of a journal was edited, deleted, inserted, reordered or cut off.

    Args:
        read: Gives a connection to the database. What is checked may grow and make room meanwhile.
        noted: A head that somebody noted: the journal must contain it.
    """
    checked, first = 0, 0
    last = Link(0, ROOT, 0)
    try:
        (anchor, head), _ = _part(read, 0, 0)
        last = anchor
        while last.seq < head.seq:
            (anchor, now), rows = _part(read, last.seq, VERIFY_EVENTS)
            if anchor.seq > last.seq:
                last = anchor  # what was to be checked next made way meanwhile
                continue
            if not rows:
                break
            for row in rows:
                wrong = _fault_after(last, row, now)
                wrong = wrong or (noted.contradicts(row.seq, row.digest.hex()) if noted else "")
                if wrong:
                    return Proof(checked, first, last.seq, last.digest.hex(), wrong)
                checked, first = checked + 1, first or row.seq
                last = Link(row.seq, row.digest, last.events + 1)
            head = now
        wrong = _fault_at_end(read, last, head) or _fault_of_latest(read, anchor)
    except StorageError as error:
        wrong = str(error)
    wrong = wrong or (noted.missed_by(last.seq) if noted else "")
    return Proof(checked, first, last.seq, last.digest.hex(), wrong)


def _fault_after(previous: Link, row: Row, head: Link) -> str:
    """Return what is wrong with a row behind `previous`, or empty."""
    if row.seq > head.seq:
        return f"event {row.seq} stands beyond the head {head.seq}: inserted"
    wrong = fault(row, previous.digest)
    if wrong and row.seq != previous.seq + 1:
        return f"events {previous.seq + 1} to {row.seq - 1} are missing: deleted"
    return wrong


def _fault_at_end(read: Reading, last: Link, head: Link) -> str:
    """Return how the newest event differs from what the head says, or empty."""
    if last.seq < head.seq:
        return f"the journal ends at event {last.seq}, its head says {head.seq}: truncated"
    if last != head:
        return f"the journal has {last.events} events up to {last.seq}, its head says {head.events}: edited"
    (_, now), rows = _part(read, head.seq, 1)
    if rows and rows[0].seq > now.seq:
        return f"event {rows[0].seq} stands beyond the head {head.seq}: inserted"
    return ""


def _part(read: Reading, after: int, limit: int) -> tuple[tuple[Link, Link], list[Row]]:
    """Return the two ends of the chain, and rows, as of one moment."""
    with read("checking events") as connection:
        connection.execute("BEGIN")
        try:
            links = {name: Link(*link) for name, *link in connection.execute("SELECT * FROM links")}
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT ?",  # noqa: S608  # our own names
                (after, limit),
            ).fetchall()
        finally:
            connection.execute("COMMIT")
    anchor = links.get("anchor", Link(0, ROOT, 0))
    return (anchor, links.get("head", anchor)), [Row(*row) for row in rows]


def _fault_of_latest(read: Reading, anchor: Link) -> str:
    """Return which alarm's kept state is not the event of that number, or empty."""
    with read("checking the present state") as connection:
        row = connection.execute(
            "SELECT latest.key FROM latest LEFT JOIN events USING (seq) WHERE latest.seq > ? AND "
            "events.body IS NOT latest.body LIMIT 1",
            (anchor.seq,),
        ).fetchone()
    return f"the state kept of {row[0]!r} is not its event: edited" if row else ""


# An exported journal: one JSON object a line, see `gateway.store.export`


def verify_export(path: Path, noted: Noted | None = None) -> Proof:
    """Check an exported journal by itself: every line follows from the one before it, and the closing line is there.

    Args:
        path: The file, one JSON object a line.
        noted: A head that somebody noted: the file must contain it.

    Raises:
        StorageError: The file cannot be read.
    """
    try:
        return _Export(noted).check(_lines(path))
    except OSError as error:
        raise StorageError(f"{path}: reading: {reason(error)}") from error


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(LINE_MAX):
            yield line


class _Export:
    """One pass over an exported journal."""

    def __init__(self, noted: Noted | None) -> None:
        self._noted = noted
        self._seq = 0
        self._digest = ROOT
        self._events = 0
        self._first = 0

    def check(self, lines: Iterator[bytes]) -> Proof:
        """Return what was found."""
        problem = self._opening(next(lines, b""))
        closed = False
        for number, line in enumerate(lines, start=2):
            if problem:
                break
            if closed:
                problem = f"line {number} stands behind the closing line: inserted"
            elif line.startswith(b'{"head":'):
                problem, closed = self._closing(number, line), True
            else:
                problem = self._event(number, line)
        if not problem and not closed:
            problem = f"the closing line is missing: the file ends at event {self._seq}: truncated"
        if not problem and self._noted:
            problem = self._noted.missed_by(self._seq)
        return Proof(self._events, self._first, self._seq, self._digest.hex(), problem)

    def _opening(self, line: bytes) -> str:
        try:
            about = json.loads(line)
            anchor = about["anchor"]
            self._seq, self._digest = int(anchor["seq"]), bytes.fromhex(anchor["digest"])
        except (ValueError, TypeError, KeyError, RecursionError):
            return "line 1 is not the opening line of an exported journal"
        return "" if about.get("hazgate") == "journal" else "line 1 is not the opening line of an exported journal"

    def _event(self, number: int, line: bytes) -> str:
        head, mark, rest = line.rstrip(b"\r\n").partition(EVENT_MARK)
        try:
            told = json.loads(head + b"}")
            seq, digest = int(told["seq"]), bytes.fromhex(told["digest"])
            body = rest[:-1]
            event: Any = json.loads(body)
            own = event["seq"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return f"line {number} holds no event that can be read"
        if not mark or hashlib.sha256(self._digest + body).digest() != digest:
            return (
                f"line {number}, event {seq}, does not follow from the line before it, event {self._seq}: "
                "edited, or a line was cut out, inserted or moved there"
            )
        if own != seq or seq <= self._seq:
            return f"line {number} is filed as event {seq} behind {self._seq} and holds event {own}: edited"
        if wrong := self._noted.contradicts(seq, digest.hex()) if self._noted else "":
            return f"line {number}: {wrong}"
        self._seq, self._digest = seq, digest
        self._events, self._first = self._events + 1, self._first or seq
        return ""

    def _closing(self, number: int, line: bytes) -> str:
        try:
            told = json.loads(line)
            head = Link(int(told["head"]["seq"]), bytes.fromhex(told["head"]["digest"]), int(told["events"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            return f"line {number} is no closing line that can be read"
        if head.seq != self._seq or head.events != self._events:
            return (
                f"line {number} closes at event {head.seq} after {head.events} events, but {self._events} up to event "
                f"{self._seq} are here: truncated or edited"
            )
        return "" if head.digest == self._digest else f"line {number} closes with another hash: edited"
