"""A channel's own record of surprises: what makes one threshold serve channels of every kind.

How far a reading lies from what was expected means little by itself: some channels surprise every hour, others once a
year. Here each surprise is told in parts of the greatest that the same channel has shown before. That record fades as
readings go by without a greater one, faster while they are few, so that the tail of every channel calibrates itself;
and it grows by a limited step only, so that one wild reading does not make it deaf. An event makes one alert: its own
readings set the record that the next of them must beat, and for some hours nothing smaller counts.

    >>> record = Record()
    >>> for second in range(1000):
    ...     record.take(float(second % 10), second * 10**9, learned=True)
    >>> round(record.ratio(9.0, 1000 * 10**9), 2), round(record.ratio(30.0, 1000 * 10**9), 2)
    (1.0, 3.33)
"""

from math import exp, log2
from typing import Final

FADES: Final = 2.0
"""The record of n readings fades as n to the power of minus this."""
READINGS_FEW: Final = 10
"""Readings that a channel is given to begin with, so that its first record does not fade at once."""
GROWS_MAX: Final = 1.5
"""How much a surprise may raise the record at most, once something is known."""
EVENT_S: Final = 6 * 3600.0
"""How long an event's surprise takes to fade to a third."""
RARE: Final = 1e-3
"""What share of readings a surprise as great as the record is taken for."""
STEPS: Final = 32
"""Half octaves below the record in which past readings are counted."""


class Record:
    """The record of one channel.

    Attributes:
        readings: How many readings have been taken.
        most: The greatest surprise, faded.
        event: The surprise of the last event.
        event_ns: When that was.
        counts: How many readings came how near to the record: at it or beyond, within half an octave below it, and
            so on; the last one has all the others.
        counted: Their sum.
    """

    __slots__ = ("counted", "counts", "event", "event_ns", "most", "readings")

    def __init__(self) -> None:
        self.readings = 0
        self.most = 0.0
        self.event, self.event_ns = 0.0, 0
        self.counts, self.counted = [0] * STEPS, 0

    def ratio(self, surprise: float, time_ns: int, floor: float = 0.0) -> float:
        """Return a surprise in parts of the record; at least 0, and infinite where nothing ever was a surprise.

        Args:
            surprise: How far the reading lies from what was expected, in any unit, the same for all readings.
            time_ns: When.
            floor: The least that a record is believed, in the same unit.
        """
        if surprise <= 0.0:
            return 0.0
        least = max(floor, self.most)
        if self.event > least:
            least = max(least, self._event_at(time_ns))
        return surprise / least if least > 0.0 else float("inf")

    def _event_at(self, time_ns: int) -> float:
        return self.event * exp(min(self.event_ns - time_ns, 0) / (EVENT_S * 1e9))

    def take(self, surprise: float, time_ns: int, *, learned: bool) -> None:
        """Take a reading's surprise in.

        Args:
            surprise: As for `ratio`.
            time_ns: When.
            learned: Whether enough is known to tell surprises; before that, the record grows as it must.
        """
        self.readings += 1
        self.most *= 1.0 - FADES / (self.readings + READINGS_FEW)
        if surprise <= 0.0:
            return
        if surprise > self.most:
            most = surprise
            if learned and self.most > 0.0:
                most = min(surprise, GROWS_MAX * self.most)
            self.most = most
        if surprise > self.event or surprise > self._event_at(time_ns):
            self.event, self.event_ns = surprise, time_ns

    def count(self, ratio: float) -> None:
        """Count a reading's ratio among those that scores are told from."""
        self.counts[_step(ratio)] += 1
        self.counted += 1

    def score(self, ratio: float) -> float:
        """Return how unusual a ratio is: 0 not at all, 0.999 what one in a thousand past readings reached.

        Beyond the record there are no past readings to count. There the score goes on to rise with the ratio, and
        never reaches 1: 0.999 at the record, 0.99975 at twice the record.
        """
        if ratio >= 1.0:
            return 1.0 - RARE / (ratio * ratio)
        if ratio <= 0.0:
            return 0.0
        reached = sum(self.counts[: _step(ratio) + 1])
        return min(1.0 - (reached + 1) / (self.counted + 1), 1.0 - RARE)


def _step(ratio: float) -> int:
    if ratio <= 0.0:
        return STEPS - 1
    return 0 if ratio >= 1.0 else min(int(-2.0 * log2(ratio)) + 1, STEPS - 1)
