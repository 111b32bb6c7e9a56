"""The quick way through payloads that are lists of numbers: a typed decoder that holds only what the channels need.

A payload of another shape than declared (a text among the numbers, a key that is missing) is not judged here: `take`
says so, and the general decoder finds out which reading it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from drivers.mqtt.channels import READINGS_MAX, ChannelDecoder
from drivers.mqtt.paths import Path, Step
from drivers.mqtt.readings import Readings
from gateway.core.model import Float64, Int64, UInt8

NO_TIMES: Int64 = np.empty(0, np.int64)
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
        time_type: What lists of times hold: int, or float.

    Raises:
        ValueError: Two paths do not go together.
    """

    def __init__(self, channels: Sequence[ChannelDecoder], time_type: type) -> None:
        self._whole = time_type is int
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

    def take(self, payload: bytes, arrival_ns: int, out: Readings) -> bool:
        """Append all readings and return True, or return False and append nothing."""
        try:
            document = self._decoder.decode(payload)
            found = [self._read(column, document, arrival_ns) for column in self._columns]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
            return False
        if any(item is None for item in found):
            return False
        for column, item in zip(self._columns, found, strict=True):
            if item is not None and len(item[1]):
                column.channel.columns(*item, out)
        return True

    def _read(self, column: Column, document: Any, arrival_ns: int) -> Found | None:
        channel = column.channel
        values = channel.convert.column(column.values.floats(document))
        if values is None or len(values) > READINGS_MAX:
            return None
        if not len(values):
            return NO_TIMES, values, None
        if column.times is None:
            base_ns = 0 if column.base is None else channel.reader.one(column.base(document))
            times = channel.stepped(base_ns, len(values), arrival_ns)
            return times, values, channel.doubt(times, arrival_ns)
        raw: Any = column.times.integers(document) if self._whole else column.times.floats(document)
        if len(raw) != len(values):
            return None
        if not self._whole:
            times = channel.reader.column(raw)
        elif channel.believes(int(raw.min()), int(raw.max()), arrival_ns):
            return raw * channel.reader.unit_ns, values, None
        else:
            times = channel.reader.integers(raw)
        return times, values, channel.doubt(times, arrival_ns)


def shapes(channels: Sequence[ChannelDecoder]) -> list[Shape]:
    """Return the shapes that can serve these channels, none unless all are lists of numbers found by keys."""
    if not channels or not all(map(_simple, channels)):
        return []
    floats = any(c.time is not None and c.time.many and c.unit != "ns" for c in channels)
    try:
        return [Shape(channels, kind) for kind in ((int, float) if floats else (int,))]
    except ValueError:
        return []


def _simple(channel: ChannelDecoder) -> bool:
    paths = [path for path in (channel.path, channel.time) if path is not None]
    return (
        channel.path is not None
        and channel.path.many
        and channel.convert.plain
        and all(path.steps and not any(isinstance(step, int) for step in path.steps) for path in paths)
        and (channel.time is None or not channel.time.many or channel.unit != "iso")
    )


def _plant(tree: Tree, steps: Sequence[Step], leaf: type) -> None:
    """Put a path into the tree. Raises ValueError where one path's end is another's way, or a list another's object."""
    for step in steps[:-1]:
        if tree and (None in tree) != (step is None):
            raise ValueError("a list and an object in one place")
        tree = tree.setdefault(step, {})
        if not isinstance(tree, dict):
            raise ValueError("a number and an object in one place")  # noqa: TRY004 - a finding about paths, not a type
    last = steps[-1]
    if tree and (None in tree) != (last is None):
        raise ValueError("a list and an object in one place")
    if tree.setdefault(last, leaf) is not leaf:
        raise ValueError("two kinds of number in one place")


def _type(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return Any if tree is object else tree
    if None in tree:
        return list[_type(tree[None])]  # type: ignore[misc]  # a type made at run time
    names = {key: f"f{i}" for i, key in enumerate(tree)}
    fields = [(names[key], _type(inner)) for key, inner in tree.items()]
    return msgspec.defstruct("Shape", fields, rename={name: str(key) for key, name in names.items()}, gc=False)


def _place(tree: Tree, path: Path) -> Place:
    parts: tuple[list[str], list[str]] = ([], [])
    side = 0
    here: Any = tree
    for step in path.steps:
        if step is None:
            side = 1
        else:
            parts[side].append(f"f{list(here).index(step)}")
        here = here[step]
    head, tail = (".".join(names) for names in parts)
    return Place(attrgetter(head) if head else _itself, attrgetter(tail) if tail else None)


def _itself(document: Any) -> Any:
    return document
