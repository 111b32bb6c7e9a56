"""The quick way through payloads that are lists of numbers: a typed decoder that holds only what the channels need.

A payload of another shape than declared (a text among the numbers, a key that is missing) is not judged here: `take`
says so, and the general decoder finds out which reading it was.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Protocol

import msgspec
import numpy as np

from drivers.mqtt.channels import READINGS_MAX, ChannelDecoder
from drivers.mqtt.paths import Path, Step
from drivers.mqtt.readings import Readings
from drivers.mqtt.trust import DOUBTFUL
from drivers.values import GOOD
from gateway.core.model import Float64, Int64, UInt8

ROW_MIN = 6
"""Channels of one payload from which columns are quicker than one channel after the other."""
CODE = attrgetter("code")
INDEX_MAX = 15
"""Highest index in a list of the quick way; a list of so many different things is no row of a table."""
Times = tuple[Int64, UInt8 | None]
Found = tuple[Int64, Float64, UInt8 | None]
Tree = dict[Step, Any]
"""Steps to what follows them; a leaf is a type."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path's list is in the decoded document, and where in each of its items."""

    items: Callable[[Any], Any]
    item: Callable[[Any], Any] | None

    def floats(self, document: Any) -> Float64:
        """Return the list as float64."""
        found = self.items(document)
        return np.fromiter(map(self.item, found) if self.item else found, np.float64, len(found))

    def texts(self, document: Any) -> list[str]:
        """Return the list."""
        found = self.items(document)
        return list(map(self.item, found)) if self.item else found

    def integers(self, document: Any) -> Int64:
        """Return the list as int64; the decoder has let none through that does not fit."""
        found = self.items(document)
        return np.fromiter(map(self.item, found) if self.item else found, np.int64, len(found))


@dataclass(frozen=True, slots=True)
class Column:
    """A channel, its values' place, and its times', or the one time that its times are counted from."""

    channel: ChannelDecoder
    values: Place
    times: Place | None
    base: Callable[[Any], Any] | None


class Shape:
    """Decodes the payloads of one topic filter whose channels are all plain lists of numbers.

    Args:
        channels: Such channels; see `shapes`.
        time_type: What lists of times hold: int, float or str.

    Raises:
        ValueError: Two paths do not go together.
    """

    def __init__(self, channels: Sequence[ChannelDecoder], time_type: type) -> None:
        self._time_type = time_type
        tree: Tree = {}
        for channel in channels:
            assert channel.path is not None
            _plant(tree, channel.path.steps, float)
            if channel.time is not None:
                _plant(tree, channel.time.steps, time_type if channel.time.many else object)
        self._decoder = msgspec.json.Decoder(_type(tree))
        self._columns = [
            Column(
                c,
                _place(tree, c.path),
                _place(tree, c.time) if c.time is not None and c.time.many else None,
                _place(tree, c.time).items if c.time is not None and not c.time.many else None,
            )
            for c in channels
            if c.path is not None
        ]
        # An instrument's options say what a time is written in: where the place is the same, so are the times.
        self._one_time = len({c.time.text for c in channels if c.time is not None}) == 1

    def take(self, payload: bytes, arrival_ns: int, out: Readings) -> bool:
        """Append all readings and return True, or return False and append nothing."""
        found: list[tuple[ChannelDecoder, Found]] = []
        times: Times | None = None
        try:
            document = self._decoder.decode(payload)
            for column in self._columns:
                values = column.channel.convert.column(column.values.floats(document))
                if values is None or len(values) > READINGS_MAX:
                    return False
                if not len(values):
                    continue
                if times is None or not self._one_time or column.times is None:
                    times = self._times(column, document, len(values), arrival_ns)
                if times is None or len(times[0]) != len(values):
                    return False
                found.append((column.channel, (times[0], values, times[1])))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
            return False
        for channel, readings in found:
            channel.columns(*readings, out)
        return True

    def _times(self, column: Column, document: Any, count: int, arrival_ns: int) -> Times | None:
        """Return the times of a column and what is to be thought of them; None where they must be read one by one."""
        channel = column.channel
        if column.times is None:
            base_ns = 0 if column.base is None else channel.reader.one(column.base(document))
            times = channel.stepped(base_ns, count, arrival_ns)
            if column.base is None or channel.near(base_ns, base_ns + channel.step_ns * (count - 1), arrival_ns):
                return times, None
            return times, channel.doubt(times, arrival_ns)
        if self._time_type is str:
            read = channel.reader.texts(column.times.texts(document))
            return None if read is None else (read, channel.doubt(read, arrival_ns))
        whole = self._time_type is int
        raw: Any = column.times.integers(document) if whole else column.times.floats(document)
        if not len(raw):
            return None
        low, high = np.minimum.reduce(raw), np.maximum.reduce(raw)
        first, last = (int(low), int(high)) if whole else (math.floor(low), math.ceil(high))
        if channel.believes(first, last, arrival_ns):
            return channel.reader.near(raw), None
        times = channel.reader.integers(raw) if whole else channel.reader.column(raw)
        return times, channel.doubt(times, arrival_ns)


class Row:
    """Decodes the payloads of one topic filter with one number for each of many channels.

    Args:
        channels: Such channels, at least two, with the same time; see `shapes`.

    Raises:
        ValueError: Two paths do not go together.
    """

    def __init__(self, channels: Sequence[ChannelDecoder]) -> None:
        self._first = channels[0]
        self._trusts = [channel.trust for channel in channels]
        self._rows = np.array([channel.row for channel in channels], np.int32)
        tree: Tree = {}
        for channel in channels:
            assert channel.path is not None
            _plant(tree, channel.path.steps, float)
        time = self._first.time
        if time is not None:
            _plant(tree, time.steps, object)
        self._decoder = msgspec.json.Decoder(_type(tree))
        self._values = attrgetter(*(_dotted(tree, c.path)[0] for c in channels if c.path is not None))
        self._base = None if time is None else attrgetter(_dotted(tree, time)[0])
        self._scale = np.array([channel.convert.scale for channel in channels])
        self._offset = np.array([channel.convert.offset for channel in channels])
        self._floor = np.array([channel.convert.floor for channel in channels])
        self._ceiling = np.array([channel.convert.ceiling for channel in channels])
        self._plain = bool((self._scale == 1.0).all() and (self._offset == 0.0).all())

    def take(self, payload: bytes, arrival_ns: int, out: Readings) -> bool:
        """Append all readings and return True, or return False and append nothing."""
        if any(map(CODE, self._trusts)):
            return False
        try:
            document = self._decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        values = np.fromiter(self._values(document), np.float64, len(self._rows))
        if not self._plain:
            with np.errstate(over="ignore"):
                values = values * self._scale + self._offset
        # NaN and infinity compare false with every limit.
        if not ((values >= self._floor) & (values <= self._ceiling)).all():
            return False
        time_ns, quality = arrival_ns, GOOD
        if self._base is not None:
            time_ns = self._first.reader.one(self._base(document))
            if abs(time_ns - arrival_ns) > self._first.tolerance_ns:
                time_ns, quality = arrival_ns, DOUBTFUL
        out.add_rows(self._rows, time_ns, values, quality)
        return True


class Quick(Protocol):
    """A quick way through payloads of one shape."""

    def take(self, payload: bytes, arrival_ns: int, out: Readings) -> bool:
        """Append all readings and return True, or return False and append nothing."""
        ...


def shapes(channels: Sequence[ChannelDecoder]) -> Sequence[Quick]:
    """Return the quick ways that can serve these channels: all are lists of numbers, or many are one number each."""
    if not channels or not all(map(_simple, channels)):
        return []
    if not any(c.path is not None and c.path.many for c in channels):
        return _rows(channels)
    if not all(c.path is not None and c.path.many for c in channels):
        return []
    units = {c.unit for c in channels if c.time is not None and c.time.many}
    kinds: tuple[type, ...] = (int, float) if units - {"ns", "iso"} else (int,)
    try:
        return [Shape(channels, kind) for kind in ((str,) if units == {"iso"} else kinds)]
    except ValueError:
        return []


def _simple(channel: ChannelDecoder) -> bool:
    paths = [path for path in (channel.path, channel.time) if path is not None]
    return channel.path is not None and channel.convert.plain and all(map(_quick, paths))


def _rows(channels: Sequence[ChannelDecoder]) -> Sequence[Quick]:
    times = {c.time.text if c.time is not None else "" for c in channels}
    if len(channels) < ROW_MIN or len(times) > 1 or any(c.optional for c in channels):
        return []
    try:
        return [Row(channels)]
    except ValueError:
        return []


def _quick(path: Path) -> bool:
    return bool(path.steps) and not any(isinstance(step, int) and step > INDEX_MAX for step in path.steps)


def _plant(tree: Tree, steps: Sequence[Step], leaf: type) -> None:
    """Put a path into the tree. Raises ValueError where one path's end is another's way, or a list another's object."""
    for step in steps[:-1]:
        if tree and type(next(iter(tree))) is not type(step):
            raise ValueError("a list and an object in one place")
        tree = tree.setdefault(step, {})
        if not isinstance(tree, dict):
            raise ValueError("a number and an object in one place")  # noqa: TRY004 - a finding about paths, not a type
    last = steps[-1]
    if tree and type(next(iter(tree))) is not type(last):
        raise ValueError("a list and an object in one place")
    if tree.setdefault(last, leaf) is not leaf:
        raise ValueError("two kinds of number in one place")


def _type(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return Any if tree is object else tree
    if None in tree:
        return list[_type(tree[None])]  # type: ignore[misc]  # a type made at run time
    if isinstance(next(iter(tree)), int):
        inner = [_type(tree[i]) if i in tree else Any for i in range(max(tree) + 1)]
        return msgspec.defstruct("Shape", [(f"f{i}", kind) for i, kind in enumerate(inner)], array_like=True, gc=False)
    names = {key: f"f{i}" for i, key in enumerate(tree)}
    fields = [(names[key], _type(inner)) for key, inner in tree.items()]
    return msgspec.defstruct("Shape", fields, rename={name: str(key) for key, name in names.items()}, gc=False)


def _dotted(tree: Tree, path: Path) -> tuple[str, str]:
    """Return the attributes that lead to a path's list, or to its value, and on to the place in each item."""
    parts: tuple[list[str], list[str]] = ([], [])
    side = 0
    here: Any = tree
    for step in path.steps:
        if step is None:
            side = 1
        else:
            parts[side].append(f"f{step if isinstance(step, int) else list(here).index(step)}")
        here = here[step]
    return ".".join(parts[0]), ".".join(parts[1])


def _place(tree: Tree, path: Path) -> Place:
    head, tail = _dotted(tree, path)
    return Place(attrgetter(head) if head else _itself, attrgetter(tail) if tail else None)


def _itself(document: Any) -> Any:
    return document
