"""Which items of a log a peer still has to get: arithmetic on numbers, without I/O and without a clock.

A log numbers its items without gaps. What has not been acknowledged is everything from `head` on (the live end) and
the `gaps` before it (the back-fill). All ranges are half open.
"""

import bisect
from typing import NamedTuple

import msgspec

GAPS_MAX = 32
"""More gaps than this are merged, nearest first; what lies between them is then written once more."""

REWINDS_MAX = 3
"""A range is opened again at most so often, so that a peer that fails after every write still gets further."""

MERGE_S = 1.0
"""Acknowledgements of one lane within this time are remembered as one."""

LANES = 2
"""The live end and the back-fill."""


class Range(NamedTuple):
    """Numbers `start` to `stop - 1`."""

    start: int
    stop: int


class Recent(NamedTuple):
    """What was acknowledged lately, and how often it had been opened again before."""

    time_s: float
    start: int
    stop: int
    rewinds: int


class Again(NamedTuple):
    """What was acknowledged, has been opened again, and so is not counted a second time."""

    start: int
    stop: int
    rewinds: int


class Saved(msgspec.Struct, frozen=True):
    """The cursor as it is written to disk."""

    head: int
    gaps: list[tuple[int, int]] = []
    recent: list[tuple[int, int]] = []


class Backlog:
    """What a peer has not acknowledged.

    Args:
        head: The first number that has not been given to the peer.
        rewind_s: How long an acknowledged item may still be lost on the peer's side.
    """

    def __init__(self, head: int, rewind_s: float = 0.0) -> None:
        self.head = head
        self.gaps: list[Range] = []
        self._rewind_s = rewind_s
        self._recent: list[Recent] = []
        self._again: list[Again] = []

    @classmethod
    def parse(cls, text: str, rewind_s: float = 0.0) -> "Backlog":
        """Return the backlog that `text()` wrote, with what was acknowledged last opened again.

        The machine and its database often lose power together, so a start counts as a lost connection.

        Raises:
            ValueError: The text is no cursor.
        """
        try:
            saved = msgspec.json.decode(text, type=Saved)
        except msgspec.DecodeError as error:
            raise ValueError(f"{text!r} is no cursor: {error}") from error
        backlog = cls(saved.head, rewind_s)
        backlog.gaps = _union([Range(*pair) for pair in saved.gaps])
        backlog._recent = [Recent(0.0, start, stop, 0) for start, stop in saved.recent]
        backlog.rewind()
        return backlog

    def text(self) -> str:
        """Return the cursor as JSON; at most some 2 kB."""
        recent = _squeeze(_union([Range(start, stop) for _, start, stop, _ in self._recent]))[0]
        return msgspec.json.encode(Saved(self.head, list(self.gaps), list(recent))).decode()

    def waiting(self, end: int) -> int:
        """Return how many items wait, `end` being the number after the newest."""
        return max(0, end - self.head) + sum(stop - start for start, stop in self.gaps)

    def oldest(self) -> int:
        """Return the lowest number that has not been acknowledged."""
        return self.gaps[0].start if self.gaps else self.head

    def next(self, end: int, *, backfill: bool) -> Range | None:
        """Return the range to write from, or None where nothing waits.

        Args:
            end: The number after the newest item.
            backfill: It is the back-fill's turn; it also gets every turn that the live end does not need.
        """
        live = Range(self.head, end) if self.head < end else None
        if self.gaps and (backfill or live is None):
            return self.gaps[0]
        return live

    def jump(self, to: int) -> None:
        """Go on at `to` and leave everything before it to the back-fill."""
        if to > self.head:
            self._open(Range(self.head, to))
            self.head = to

    def clip(self, first: int) -> int:
        """Forget what the log no longer has, everything below `first`; return how many items that were."""
        if first <= self.oldest():
            return 0
        before = self.waiting(max(self.head, first))
        self.gaps = [Range(max(start, first), stop) for start, stop in self.gaps if stop > first]
        self.head = max(self.head, first)
        self._recent = [entry._replace(start=max(entry.start, first)) for entry in self._recent if entry.stop > first]
        delivered_before, _ = self._count_again(0, first)
        return before - self.waiting(self.head) - delivered_before

    def done(self, start: int, stop: int, now_s: float) -> int:
        """Note that a slice of a range returned by `next` was acknowledged; return how many of it for the first time.

        Args:
            start: The slice's first number, which is `head` or the start of a gap.
            stop: The number after its last.
            now_s: Monotonic time.
        """
        if start == self.head:
            self.head = stop
        else:
            self._close(start, stop)
        repeated, rewinds = self._count_again(start, stop)
        self._remember(Recent(now_s, start, stop, rewinds))
        return stop - start - repeated

    def rewind(self) -> int:
        """Open again what was acknowledged last, after a lost connection; return how many items that are.

        A database that has answered and then dies may have lost its last writes. The time counts back from the last
        acknowledgement, not from now: nobody knows when between the two the peer died.
        """
        opened = [entry for entry in self._recent if entry.rewinds < REWINDS_MAX]
        self._recent = []
        for _, start, stop, rewinds in opened:
            self._open(Range(start, stop))
            self._again.append(Again(start, stop, rewinds + 1))
        return sum(entry.stop - entry.start for entry in opened)

    def _open(self, gap: Range) -> None:
        gaps, bridges = _squeeze(_union([*self.gaps, gap]))
        self.gaps = gaps
        self._again += [Again(start, stop, REWINDS_MAX) for start, stop in bridges]

    def _close(self, start: int, stop: int) -> None:
        place = bisect.bisect_right(self.gaps, start, key=lambda gap: gap.start) - 1
        gap = self.gaps[place]
        assert gap.start == start, f"{start} to {stop} is no part of the backlog {self.gaps}"
        if stop < gap.stop:
            self.gaps[place] = Range(stop, gap.stop)
        else:
            del self.gaps[place]

    def _count_again(self, start: int, stop: int) -> tuple[int, int]:
        """Take a range out of what was opened again; return how many items of it that were, and how often."""
        repeated, rewinds, left = 0, 0, []
        for entry in self._again:
            low, high = max(start, entry.start), min(stop, entry.stop)
            if low >= high:
                left.append(entry)
                continue
            repeated += high - low
            rewinds = max(rewinds, entry.rewinds)
            left += [entry._replace(stop=low)] if entry.start < low else []
            left += [entry._replace(start=high)] if high < entry.stop else []
        self._again = left
        return repeated, rewinds

    def _remember(self, entry: Recent) -> None:
        if self._rewind_s <= 0:
            return
        horizon = entry.time_s - self._rewind_s - MERGE_S
        self._recent = [old for old in self._recent if old.time_s >= horizon]
        for place in range(len(self._recent) - 1, max(-1, len(self._recent) - 1 - LANES), -1):
            old = self._recent[place]
            if old.stop == entry.start and old.rewinds == entry.rewinds and entry.time_s - old.time_s < MERGE_S:
                self._recent[place] = old._replace(stop=entry.stop)
                return
        self._recent.append(entry)


def head_of(text: str | None) -> int:
    """Return the highest number that a cursor holds, 0 where there is none; the spool numbers on from there."""
    try:
        return msgspec.json.decode(text or "", type=Saved).head
    except msgspec.DecodeError:
        return 0


def _union(ranges: list[Range]) -> list[Range]:
    """Return sorted ranges that do not touch, covering the same numbers."""
    merged: list[Range] = []
    for start, stop in sorted(ranges):
        if merged and start <= merged[-1].stop:
            merged[-1] = Range(merged[-1].start, max(stop, merged[-1].stop))
        elif start < stop:
            merged.append(Range(start, stop))
    return merged


def _squeeze(ranges: list[Range]) -> tuple[list[Range], list[Range]]:
    """Merge the nearest of sorted ranges until at most `GAPS_MAX` are left; return them, and what was added."""
    ranges, bridges = list(ranges), []
    while len(ranges) > GAPS_MAX:
        place = min(range(len(ranges) - 1), key=lambda at: ranges[at + 1].start - ranges[at].stop)
        bridges.append(Range(ranges[place].stop, ranges[place + 1].start))
        ranges[place : place + 2] = [Range(ranges[place].start, ranges[place + 1].stop)]
    return ranges, bridges
