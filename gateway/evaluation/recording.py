"""One recording with its truth: what instruments showed, what really happened, and which part is only for learning."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.core.clock import NS_PER_S
from gateway.core.errors import HazgateError
from gateway.core.model import Batch, Channel, Float64, Int32, Int64, UInt8

READINGS_MAX: Final = 50_000_000
"""More readings than a machine of a few gigabytes holds with their scores."""
STALE_PERIODS: Final = 3.0


class RecordingError(HazgateError):
    """A recording that cannot be used; the message says which file, which line, and what was expected."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Something that really happened: a fire, a leak, a fault of an instrument, an anomaly.

    Attributes:
        kind: What it was, e.g. `fire`, `leak`, `fault:drift`, `anomaly`.
        start_ns: When it began.
        end_ns: The last moment at which it was so.
        channels: Ids of the channels that it concerns; empty for all of `area`.
        area: The area that it concerns; with no channels either, it concerns the whole recording.
        event_ns: The moment from which delays are counted, where that is not `start_ns`: when the first commercial
            alarm sounded, or the middle of a generous window.
        counted: Whether it is to be found. What happens in a window that is not counted is neither found nor false.
    """

    kind: str
    start_ns: int
    end_ns: int
    channels: tuple[str, ...] = ()
    area: str = ""
    event_ns: int | None = None
    counted: bool = True

    @property
    def from_ns(self) -> int:
        """The moment from which delays are counted."""
        return self.start_ns if self.event_ns is None else self.event_ns

    def concerns(self, channel: Channel) -> bool:
        """Return whether a channel should have shown it."""
        if self.channels:
            return channel.id in self.channels
        return not self.area or channel.area == self.area


@dataclass(frozen=True, slots=True)
class Recording:
    """Readings in the order in which they arrived, with the truth.

    Attributes:
        name: Unique among those that are evaluated together, e.g. `realKnownCause/nyc_taxi.csv`.
        format: Which loader made it.
        channels: Its channels; row k of every column is `channels[k]`.
        row: int32[n].
        time_ns: int64[n], UTC nanoseconds; where a recording tells only seconds from its start, from 1970 on.
        value: float64[n], NaN where BAD.
        quality: uint8[n].
        truths: What really happened, in order of time.
        learning_ns: Readings before this time are for learning: what is said then is neither found nor false.
        labelled: Whether the truth is known; where not, only what was said can be told, not whether it was right.
        together_s: Readings within so many seconds travel in one batch, as a poller's do; by default those of a moment.
    """

    name: str
    format: str
    channels: tuple[Channel, ...]
    row: Int32
    time_ns: Int64
    value: Float64
    quality: UInt8
    truths: tuple[Truth, ...] = ()
    learning_ns: int | None = None
    labelled: bool = True
    together_s: float = 0.0

    def __len__(self) -> int:
        return len(self.row)

    def __repr__(self) -> str:
        return (
            f"Recording({self.name!r}, {len(self.channels)} channels, {len(self)} readings, {len(self.truths)} truths)"
        )

    @property
    def begin_ns(self) -> int:
        """The time of the earliest reading."""
        return int(self.time_ns.min())

    @property
    def end_ns(self) -> int:
        """The time of the latest reading."""
        return int(self.time_ns.max())

    @property
    def judged_from_ns(self) -> int:
        """The time from which on it counts what is said."""
        return self.begin_ns if self.learning_ns is None else max(self.begin_ns, self.learning_ns)

    def of(self, row: int) -> tuple[Int64, Float64]:
        """Return the times and values of one channel."""
        mine = self.row == row
        return self.time_ns[mine], self.value[mine]

    def batches(self) -> NDArray[np.intp]:
        """Return intp[n], the number of the batch that each reading travels in, from 0 and never falling.

        A batch holds readings that follow one another, no channel twice, from one moment or from `together_s` seconds.
        """
        return batch_numbers(self.row, self.time_ns, len(self.channels), round(self.together_s * NS_PER_S))

    def with_channels(self, channels: Sequence[Channel]) -> "Recording":
        """Return the same readings with other words for its channels; rows stay."""
        assert len(channels) == len(self.channels), "as many channels as there are rows"
        return replace(self, channels=tuple(replace(c, row=k) for k, c in enumerate(channels)))


def batch_numbers(row: Int32, time_ns: Int64, channels: int, span_ns: int) -> NDArray[np.intp]:
    """Return the batch of each reading: a new one where a channel repeats or the time leaves the span.

    >>> batch_numbers(np.array([0, 1, 0, 0], np.int32), np.array([5, 5, 5, 6]), 2, 0).tolist()
    [0, 0, 1, 2]
    """
    found = np.empty(len(row), np.intp)
    seen = [-1] * channels
    number, first_ns = 0, int(time_ns[0]) if len(time_ns) else 0
    for k, (r, t) in enumerate(zip(row.tolist(), time_ns.tolist(), strict=True)):
        if seen[r] == number or not 0 <= t - first_ns <= span_ns:
            number, first_ns = number + 1, t
        seen[r] = number
        found[k] = number
    return found


@dataclass(slots=True)
class Series:
    """One channel before its recording is put together.

    Attributes:
        id: The channel's id, `instrument.quantity-like-name`.
        quantity: What is measured.
        unit: Its unit.
        area: Where it stands.
        time_ns: int64[n].
        value: float64[n]; NaN where there is no value.
        quality: uint8[n], or None for all good.
        range: Its measuring range where known.
        decimals: Digits that mean something.
        period_s: Seconds between readings; the median distance where left out.
    """

    id: str
    time_ns: Int64
    value: Float64
    quantity: str = ""
    unit: str = ""
    area: str = ""
    quality: UInt8 | None = None
    range: tuple[float, float] | None = None
    decimals: int = 3
    period_s: float | None = None

    def channel(self, row: int) -> Channel:
        """Return it as a row of the channel table."""
        instrument, _, name = self.id.partition(".")
        period_s = self.period_s if self.period_s is not None else typical_period_s(self.time_ns)
        low, high = self.range or (float("nan"), float("nan"))
        return Channel(
            row=row,
            id=self.id,
            instrument=instrument,
            quantity=self.quantity or name,
            unit=self.unit,
            range_low=low,
            range_high=high,
            decimals=self.decimals,
            period_s=period_s,
            stale_after_s=max(STALE_PERIODS * period_s, 10.0),
            area=self.area,
        )


def typical_period_s(time_ns: Int64) -> float:
    """Return the median distance between readings in seconds, at least 10 ms; 1 s where there are too few.

    >>> typical_period_s(np.array([0, 2, 4, 9]) * NS_PER_S)
    2.0
    """
    steps = np.diff(time_ns)
    steps = steps[steps > 0]
    return max(float(np.median(steps)) / NS_PER_S, 0.01) if len(steps) else 1.0


def assembled(
    name: str,
    kind: str,
    series: Sequence[Series],
    truths: Iterable[Truth] = (),
    *,
    learning_ns: int | None = None,
    labelled: bool = True,
    together_s: float = 0.0,
) -> Recording:
    """Put channels together in order of time; readings of one moment in the order of the channels.

    A channel whose own times step back keeps the order of its file: it is sorted in by its latest time so far.

    Raises:
        RecordingError: There is nothing, or too much.
    """
    total = sum(len(one.time_ns) for one in series)
    if not total:
        raise RecordingError(f"{name}: holds no readings")
    if total > READINGS_MAX:
        raise RecordingError(f"{name}: {total} readings; {READINGS_MAX} are the most, evaluate it in parts")
    row = np.concatenate([np.full(len(one.time_ns), k, np.int32) for k, one in enumerate(series)])
    time_ns = np.concatenate([one.time_ns for one in series])
    value = np.concatenate([one.value for one in series])
    quality = np.concatenate([_quality(one) for one in series])
    order = np.argsort(np.concatenate([np.maximum.accumulate(one.time_ns) for one in series]), kind="stable")
    good = Batch.of(row[order], time_ns[order], value[order], quality[order])
    return Recording(
        name=name,
        format=kind,
        channels=tuple(one.channel(k) for k, one in enumerate(series)),
        row=good.row,
        time_ns=good.time_ns,
        value=good.value,
        quality=good.quality,
        truths=tuple(sorted(truths, key=lambda truth: (truth.start_ns, truth.end_ns, truth.channels, truth.kind))),
        learning_ns=learning_ns,
        labelled=labelled,
        together_s=together_s,
    )


def _quality(one: Series) -> UInt8:
    return np.zeros(len(one.time_ns), np.uint8) if one.quality is None else one.quality


def runs(label: NDArray[np.generic], time_ns: Int64) -> Iterator[tuple[int, int, int]]:
    """Yield value, first and last time of each run of equal labels that are not 0.

    >>> list(runs(np.array([0, 4, 4, 0, 1]), np.array([10, 20, 30, 40, 50])))
    [(4, 20, 30), (1, 50, 50)]
    """
    edges = np.flatnonzero(np.diff(label)) + 1
    for part in np.split(np.arange(len(label)), edges):
        if len(part) and label[part[0]]:
            yield int(label[part[0]]), int(time_ns[part[0]]), int(time_ns[part[-1]])


def slug(text: str) -> str:
    """Return a name as part of a channel's id.

    >>> slug("Volume Flow RateRMS"), slug("温度 1")
    ('volume_flow_raterms', '温度_1')
    """
    return "_".join("".join(c if c.isalnum() or c == "-" else " " for c in text.lower()).split()) or "value"
