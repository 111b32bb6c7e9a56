"""What one channel has shown so far: its values, and its departures from what is usual at that time of day.

Two views are kept, each with the values seen and their scatter. A reading is a surprise by as much as it lies from the
nearest value known in either of them.
"""

from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.parts.groups import amount
from detectors.parts.known import VALUES_MAX, Known
from detectors.parts.record import STEPS, Record
from gateway.core.clock import NS_PER_S
from gateway.core.model import Channel, Reason

HOURS: Final = 24
REMEMBERED_S: Final = 14 * 3600.0
"""How much of the past makes the mean of an hour of the day: that hour of the last two weeks."""
VALUE_WEIGHT: Final = 2.0
"""How much more a value never seen counts than the same distance from the usual at that time of day."""

_HOUR_S: Final = 3600.0
_HOUR_NS: Final = 3600 * NS_PER_S
_STEP_S_MAX: Final = 86_400.0
"""What lies between two readings counts as no more than this."""
_TIMES_MAX: Final = 99.0

Columns = dict[str, NDArray[np.generic]]


class View:
    """One way to look at a channel: what has been seen that way, and its scatter.

    Attributes:
        known: What has been seen.
        count: How many readings that were.
        mean: Their mean.
        squares: The sum of their squares about it.
    """

    __slots__ = ("count", "gap", "known", "mean", "squares")

    def __init__(self) -> None:
        self.known = Known()
        self.count, self.mean, self.squares = 0.0, 0.0, 0.0
        self.gap = 0.0

    def look(self, value: float) -> float:
        """Return how far a value lies from all seen, and keep it until the value is learned; 0 for the first."""
        self.gap = gap = self.known.gap(value)
        return gap if self.count else 0.0

    def scale(self, value: float, floor: float) -> float:
        """Return the standard deviation of all seen and this value, at least the floor.

        The value counts in it, as of a first one nobody knows how far they scatter.
        """
        more, off = self.count + 1.0, value - self.mean
        return max(sqrt((self.squares + off * off * self.count / more) / more), floor)

    def learn(self, value: float) -> None:
        """Take the value in that was looked at."""
        self.count += 1.0
        off = value - self.mean
        self.mean += off / self.count
        self.squares += off * (value - self.mean)
        if self.gap:
            self.known.add(value)

    def remember(self, value: float) -> None:
        """Know the value again that was looked at."""
        if self.gap:
            self.known.add(value)


class Familiar:
    """What one channel has shown so far.

    Attributes:
        floor: The least change that is believed, in the channel's unit.
        learned_s: Seconds of good readings learned from.
        last_ns: When its last reading was, of whatever quality.
        values: Its values.
        departures: How far they lay from the mean of their hour of the day.
        usual: That mean, by hour.
        usual_s: How many seconds it stands for; 0 for an hour never seen.
        record: Its surprises.
        ready: Whether enough has been learned to judge; not saved here.
    """

    __slots__ = ("departures", "floor", "last_ns", "learned_s", "ready", "record", "usual", "usual_s", "values")

    def __init__(self, floor: float) -> None:
        self.floor = floor
        self.learned_s, self.last_ns = 0.0, 0
        self.values, self.departures = View(), View()
        self.usual, self.usual_s = [0.0] * HOURS, [0.0] * HOURS
        self.record = Record()
        self.ready = False

    @property
    def views(self) -> tuple[View, View]:
        """Both views."""
        return self.values, self.departures

    def surprise(self, value: float, time_ns: int) -> tuple[float, float]:
        """Return how much of a surprise a reading is, and the least record it is to be held against.

        What is learned or remembered next is this reading.
        """
        hour = time_ns // _HOUR_NS % HOURS
        values, departures, off = self.values, self.departures, 0.0
        gap, off_gap = values.look(value), 0.0
        if known := self.usual_s[hour] > 0.0:
            off = value - self.usual[hour]
            off_gap = departures.look(off)
        if gap == off_gap == 0.0:
            return 0.0, 0.0
        scale = values.scale(value, self.floor) / VALUE_WEIGHT
        surprise, least = gap / scale, max(self.floor, values.known.resolution) / scale
        if known:
            scale = departures.scale(off, self.floor)
            surprise += off_gap / scale
            least += max(self.floor, departures.known.resolution) / scale
        return surprise, least

    def remember(self, value: float, time_ns: int) -> None:
        """Know a reading again, and learn nothing from it of what is usual: it is told of once."""
        hour = time_ns // _HOUR_NS % HOURS
        self.values.remember(value)
        if self.usual_s[hour] > 0.0:
            self.departures.remember(value - self.usual[hour])

    def learn(self, value: float, time_ns: int) -> None:
        """Learn from a reading."""
        hour = time_ns // _HOUR_NS % HOURS
        usual, stands = self.usual[hour], self.usual_s[hour]
        if stands > 0.0:
            self.departures.learn(value - usual)
        # The first one stands for its hour until the next one comes.
        step_s = _HOUR_S
        if self.values.count:
            step_s = min(max((time_ns - self.last_ns) * 1e-9, 0.0), _STEP_S_MAX)
            self.learned_s += step_s
            step_s = min(step_s, _HOUR_S)
        self.values.learn(value)
        stands = min(stands + step_s, REMEMBERED_S)
        if stands > 0.0:
            self.usual_s[hour] = stands
            self.usual[hour] = usual + (value - usual) * (step_s / stands)

    def why(self, channel: Channel, value: float, time_ns: int, ratio: float) -> tuple[float, Reason]:
        """Return the nearest value known, and what is unusual of a reading that has not been learned."""
        hour = time_ns // _HOUR_NS % HOURS
        closest = self.values.known.nearest(value)
        is_, nearest = amount(channel, value), amount(channel, closest)
        usual = amount(channel, self.usual[hour]) if self.usual_s[hour] > 0.0 else ""
        if self.values.known.gap(value) > 0.0:
            en, zh = f"{is_} never seen, the nearest was {nearest}", f"{is_} 从未出现过，最接近的为 {nearest}"
            en, zh = (f"{en}; usual at this hour {usual}", f"{zh}；此时段通常为 {usual}") if usual else (en, zh)
        else:
            en, zh = f"{is_} when {usual} is usual at this hour", f"{is_}，而此时段通常为 {usual}"
        times = f"{ratio:.1f}" if ratio < _TIMES_MAX else f"{_TIMES_MAX:.0f}+"
        return closest, Reason(
            f"{en}; {times} × its greatest surprise so far", f"{zh}；为该通道以往最大意外的 {times} 倍"
        )

    def save(self, into: Columns, k: int) -> None:
        """Write everything into row `k` of the columns that `empty` has made."""
        record = self.record
        into["figures"][k] = [
            *(self.learned_s, record.most, record.event),
            *(x for view in self.views for x in (view.count, view.mean, view.squares, view.known.resolution)),
        ]
        into["times"][k] = [self.last_ns, record.event_ns, record.readings]
        into["counts"][k] = record.counts
        into["usual"][k], into["usual_s"][k] = self.usual, self.usual_s
        for view, name in zip(self.views, VIEWS, strict=True):
            view.known.save(into[name][k])

    def restore(self, saved: Columns, k: int) -> None:
        """Take over what `save` has written."""
        record = self.record
        self.learned_s, record.most, record.event, *figures = saved["figures"][k].tolist()
        self.last_ns, record.event_ns, record.readings = saved["times"][k].tolist()
        record.counts = saved["counts"][k].tolist()
        record.counted = sum(record.counts)
        self.usual, self.usual_s = saved["usual"][k].tolist(), saved["usual_s"][k].tolist()
        for n, (view, name) in enumerate(zip(self.views, VIEWS, strict=True)):
            view.count, view.mean, view.squares, resolution = figures[4 * n : 4 * n + 4]
            view.known.restore(saved[name][k], resolution)


VIEWS: Final = ("values", "departures")


def empty(size: int) -> Columns:
    """Return columns for `size` channels, for `Familiar.save`."""
    return {
        "figures": np.zeros((size, 11)),
        "times": np.zeros((size, 3), np.int64),
        "counts": np.zeros((size, STEPS), np.int64),
        "usual": np.zeros((size, HOURS)),
        "usual_s": np.zeros((size, HOURS)),
        **{name: np.full((size, VALUES_MAX), np.nan) for name in VIEWS},
    }
