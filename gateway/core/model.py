"""What travels through the gateway: channels, batches of readings, rules and verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
UInt8 = NDArray[np.uint8]


class Quality(IntEnum):
    """How far a value may be trusted, and why not; one byte a reading.

    Codes below 64 are GOOD, codes from 64 are UNCERTAIN (the value is real but doubtful, and is judged), codes from
    128 are BAD (there is no value; the reading's value is NaN). After OPC UA's Good, Uncertain and Bad.
    """

    GOOD = 0
    BACKFILLED = 1
    """Good, but told later from the instrument's own memory: stored under its own time, never judged, never "now"."""
    UNCERTAIN = 64
    CLOCK_DOUBTFUL = 65
    """The instrument's clock disagrees with the gateway's; the time is the arrival time."""
    OVER_RANGE = 66
    """Above the instrument's range. It may read low from here on, so the value counts as at least the range's end."""
    TEST = 67
    """A test in progress: judged, and marked as a test wherever it goes."""
    MAINTENANCE = 68
    BAD = 128
    COMMS_LOST = 129
    SENSOR_FAULT = 130
    UNDER_RANGE = 131
    """So far below zero that only a fault explains it."""
    WARM_UP = 132
    CALIBRATION = 133
    INHIBITED = 134
    """The instrument holds its value still; what it shows is no evidence of safety (Honeywell XRL manual)."""
    STALE = 135
    """Nothing has arrived for longer than the channel allows."""
    FROZEN = 136
    """The instrument's heartbeat stands still, or its value has not moved for longer than physics allows."""
    REFUSED = 137
    """The instrument answered that it has no such value."""
    UNREADABLE = 138
    """Something arrived that is no value: not a number, wrong type, out of the decoder's reach."""


UNCERTAIN_FROM = np.uint8(Quality.UNCERTAIN)
BAD_FROM = np.uint8(Quality.BAD)


def quality_name(code: int) -> str:
    """Return a quality's name as it is written in events, in the API and in stores.

    >>> quality_name(0), quality_name(129)
    ('good', 'comms_lost')
    """
    try:
        return Quality(code).name.lower()
    except ValueError:
        return f"quality_{code}"


class Level(IntEnum):
    """A rule's opinion now: normal, one of the two alarm steps of GB/T 50493, fault, or a warning of its own kind."""

    NORMAL = 0
    LOW = 1
    HIGH = 2
    FAULT = 3
    WARNING = 4
    """Something learned is unusual, or a limit will be reached: worth a look, and never a limit alarm."""


class Priority(IntEnum):
    """What an operator attends to first: the four risk colours."""

    RED = 1
    ORANGE = 2
    YELLOW = 3
    BLUE = 4


@dataclass(frozen=True, slots=True)
class Channel:
    """One measured quantity of one instrument; a row in the site's channel table.

    Attributes:
        row: Its row in the channel table, from 0 without gaps.
        id: `instrument.quantity-like-name`, unique in the site, e.g. `gd-01.ch4`.
        instrument: The instrument's id.
        quantity: What is measured, e.g. `ch4`, `co`, `o2`, `temperature`, `smoke`.
        unit: The engineering unit as displayed, e.g. `%LEL`, `ppm`, `°C`.
        range_low: Lower end of the measuring range in `unit`, or NaN where unknown.
        range_high: Upper end, or NaN.
        decimals: Digits after the point that mean something; stores and screens round to them.
        period_s: Seconds between readings in normal running: the poll period, or how often a pushing
            instrument reports.
        stale_after_s: A reading older than this is no longer believed.
        area: The part of the site it stands in; alarms are grouped by it.
        location: Where exactly, for people.
        label: Its name for people; the id where none was given.
        label_zh: The same in Chinese.
    """

    row: int
    id: str
    instrument: str
    quantity: str
    unit: str = ""
    range_low: float = float("nan")
    range_high: float = float("nan")
    decimals: int = 2
    period_s: float = 1.0
    stale_after_s: float = 10.0
    area: str = ""
    location: str = ""
    label: str = ""
    label_zh: str = ""


class Batch:
    """Columns of readings; the unit that travels. Immutable.

    Args:
        row: int32[n], each reading's channel row.
        time_ns: int64[n], UTC nanoseconds since 1970.
        value: float64[n] in the channel's unit; NaN exactly where `quality` is BAD.
        quality: uint8[n], `Quality` codes.

    Raises:
        ValueError: The columns differ in length.
    """

    __slots__ = ("quality", "row", "time_ns", "value")

    row: Int32
    time_ns: Int64
    value: Float64
    quality: UInt8

    def __init__(self, row: Int32, time_ns: Int64, value: Float64, quality: UInt8) -> None:
        if not len(row) == len(time_ns) == len(value) == len(quality):
            raise ValueError(f"columns of {len(row)}, {len(time_ns)}, {len(value)} and {len(quality)} readings")
        row.flags.writeable = time_ns.flags.writeable = value.flags.writeable = quality.flags.writeable = False
        self.row = row
        self.time_ns = time_ns
        self.value = value
        self.quality = quality

    def __len__(self) -> int:
        return len(self.row)

    def __repr__(self) -> str:
        return f"Batch({len(self)} readings)"

    @classmethod
    def of(cls, row: ArrayLike, time_ns: ArrayLike, value: ArrayLike, quality: ArrayLike = 0) -> "Batch":
        """Return a batch from anything numpy understands, keeping the law that NaN and BAD go together.

        A scalar time or quality serves all readings. A NaN or infinite value that is not BAD becomes UNREADABLE;
        a BAD reading's value becomes NaN.

        >>> batch = Batch.of([0, 1, 2], 5, [1.0, float("nan"), 3.0], [0, 0, 129])
        >>> batch.value.tolist(), batch.quality.tolist()
        ([1.0, nan, nan], [0, 138, 129])
        """
        rows = np.array(row, dtype=np.int32, ndmin=1)
        values = np.array(value, dtype=np.float64, ndmin=1)
        times = np.array(np.broadcast_to(np.asarray(time_ns, dtype=np.int64), rows.shape))
        qualities = np.array(np.broadcast_to(np.asarray(quality, dtype=np.uint8), rows.shape))
        bad = qualities >= BAD_FROM
        unreadable = ~bad & ~np.isfinite(values)
        qualities[unreadable] = Quality.UNREADABLE
        values[bad | unreadable] = np.nan
        return cls(rows, times, values, qualities)

    @classmethod
    def bad(cls, rows: Int32, time_ns: int, reason: Quality) -> "Batch":
        """Return one BAD reading for each of `rows`: silence, made a reading."""
        n = len(rows)
        return cls(
            rows.astype(np.int32),
            np.full(n, time_ns, np.int64),
            np.full(n, np.nan),
            np.full(n, reason, np.uint8),
        )

    @classmethod
    def concat(cls, batches: Sequence["Batch"]) -> "Batch":
        """Return the readings of several batches in their order."""
        if len(batches) == 1:
            return batches[0]
        return cls(
            np.concatenate([b.row for b in batches]) if batches else np.empty(0, np.int32),
            np.concatenate([b.time_ns for b in batches]) if batches else np.empty(0, np.int64),
            np.concatenate([b.value for b in batches]) if batches else np.empty(0, np.float64),
            np.concatenate([b.quality for b in batches]) if batches else np.empty(0, np.uint8),
        )

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Batch":
        """Return the readings at `index` (positions, mask or slice) in that order."""
        return Batch(self.row[index], self.time_ns[index], self.value[index], self.quality[index])


class Reason(NamedTuple):
    """Why a rule changed its opinion, in one short line with numbers for people.

    Attributes:
        en: In English, e.g. `+3.2 %LEL in 5 min; normal here ±0.4; reaches 25 %LEL in about 9 min`.
        zh: The same in Chinese.
    """

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Columns of changed opinions: one entry for each rule whose level changed in a batch.

    Attributes:
        rule: int32[n], `Rule.index`.
        level: int8[n], the new `Level`.
        score: float32[n], how sure or how far, in the detector's own terms; NaN where it has none.
        time_ns: int64[n], the time of the reading that changed the level.
        value: float64[n], that reading's value, or the rate or residual that was judged; NaN where there is none.
        limit: float64[n], what it was compared with; NaN where nothing.
        quality: uint8[n], that reading's quality, or the fault that the detector found, as a `Quality` code.
        reason: One for each entry, or empty where the detector gives none beyond value and limit.
    """

    rule: Int32
    level: Int8
    score: Float32
    time_ns: Int64
    value: Float64
    limit: Float64
    quality: UInt8
    reason: tuple[Reason, ...] = ()

    def __len__(self) -> int:
        return len(self.rule)


NO_VERDICTS = Verdicts(
    np.empty(0, np.int32),
    np.empty(0, np.int8),
    np.empty(0, np.float32),
    np.empty(0, np.int64),
    np.empty(0, np.float64),
    np.empty(0, np.float64),
    np.empty(0, np.uint8),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the values of a detector's verdicts are, where they are not the reading itself.

    Attributes:
        unit: Their unit; `{}` stands for the channel's, e.g. `{}/min`.
        en: What is said after the quantity: `change` makes `Temperature change at 9 K/min`.
        zh: The same in Chinese.
    """

    unit: str = "{}"
    en: str = ""
    zh: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A detector bound to one or more channels; its id is its alarm's id.

    Attributes:
        index: Its place in the site's list of rules, from 0 without gaps; what `Verdicts.rule` holds.
        id: Unique in the site. A rule written for several channels becomes one rule a channel, `<id>:<channel id>`.
        type: The detector's plugin name.
        channels: The channels it judges, at least one.
        options: The detector's `Options`, validated.
        latching: True when only a manual reset ends its alarm (gas and fire: GB 16808, GB 4717-2024 5.4.1.1).
        priority: The priority of each level but NORMAL.
        area: The group it belongs to for first-alarm keeping: its channels' area, empty where they stand in several.
        response: What the operator is told to do.
        response_zh: The same in Chinese, or empty.
        acknowledge_note: Acknowledging its alarm needs a note that says what was found.
        path: Where it stands in the site file, for `ConfigError`.
        judged: What its verdicts' values are, from its detector's module.
        levels: What it can report beside NORMAL, from its detector's module.
        group: It judges all its channels together (`Binding.GROUP`); otherwise the first, by what the others show.
        budget_per_week: How often it may warn in a week before that is told; None for no such limit.
    """

    index: int
    id: str
    type: str
    channels: tuple[Channel, ...]
    options: BaseModel
    latching: bool = False
    priority: Mapping[Level, Priority] = field(default_factory=dict)
    area: str = ""
    response: str = ""
    path: tuple[str | int, ...] = ()
    judged: Judged = Judged()
    levels: tuple[Level, ...] = (Level.LOW, Level.HIGH)
    group: bool = False
    budget_per_week: float | None = None
    response_zh: str = ""
    acknowledge_note: bool = False

    @property
    def judges(self) -> tuple[Channel, ...]:
        """The channels whose readings it gives its opinion of: all of a group, else the first."""
        return self.channels if self.group else self.channels[:1]

    @property
    def channel(self) -> Channel:
        """The first channel; the only one of a rule that judges one value at a time."""
        return self.channels[0]
