"""From options to places: where each value, and each word that speaks of others, lies in its instrument. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from drivers.modbus.options import (
    ChannelOptions,
    HeartbeatOptions,
    InstrumentOptions,
    Order,
    ScaleOptions,
    StatusOptions,
    Table,
    Type,
    UnitOptions,
    WordOptions,
    raw_span,
)
from gateway.core.errors import ConfigError
from gateway.core.model import Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan

ADDRESSES = 65536
RECORDS = 10_000
"""Records of a file, counted from 0 (Modbus Application Protocol V1.1b3, 6.14)."""
QUEUE_MAX = 31
"""Registers of a queue that come in one reply (6.18)."""
LOOKS = 3
"""A heartbeat is read so often within the time that it may stand still: one reading can hit upon the same value."""
WIDTH_BITS: dict[Type, int] = {
    "bit": 1,
    "uint16": 16,
    "int16": 16,
    "uint32": 32,
    "int32": 32,
    "uint64": 64,
    "int64": 64,
    "float32": 32,
    "float64": 64,
}
FLOATS = ("float32", "float64")
BIT_TABLES = ("discrete", "coil")


class Select(NamedTuple):
    """Registers that are written in the request that reads a place (function 23)."""

    address: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Word:
    """What a word speaks of.

    Attributes:
        index: Its place among the instrument's words.
        name: For people: `gd-01 status[0]`.
        options: What its values mean.
        channels: The channels it speaks of, as positions in the instrument's plan.
        rows: The same channels' rows in the channel table.
    """

    index: int
    name: str
    options: StatusOptions | HeartbeatOptions | ScaleOptions | UnitOptions
    channels: tuple[int, ...]
    rows: frozenset[int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a channel's value, or a word that speaks of channels, lives and how its raw value is read.

    Attributes:
        channel: The channel whose value it is; None where it is a word.
        length: Bits or registers it takes; of a queue, the newest ones.
        shift: Lowest bit of a bit field.
        width: Bits of a bit field, 0 for the whole value.
        special: Raw values, in the type's own numbers, and the quality each stands for.
        period_s: Seconds between readings that it asks for; it may be read more often.
        urgent: An alarm depends on it.
        file: File number, where it is in a file.
        select: What is written in the request that reads it.
        word: What it speaks of, where it is no channel's value.
    """

    channel: Channel | None
    table: Table
    address: int
    length: int = 1
    type: Type = "uint16"
    order: Order = "ABCD"
    shift: int = 0
    width: int = 0
    scale: float = 1.0
    offset: float = 0.0
    special: tuple[tuple[int | float, Quality], ...] = ()
    period_s: float = 1.0
    urgent: bool = True
    file: int = 0
    select: Select | None = None
    word: Word | None = None

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.address + self.length

    @property
    def name(self) -> str:
        """What to call it in messages: the channel's id, or the word's name."""
        if self.channel is not None:
            return self.channel.id
        return self.word.name if self.word is not None else f"{self.table} {self.address}"


class _Layout(NamedTuple):
    """What `Place` has in common for values and words, in its order."""

    table: Table
    address: int
    length: int
    type: Type
    order: Order
    shift: int
    width: int


def places(instrument: InstrumentPlan) -> list[Place]:
    """Return where an instrument's channels live.

    Raises:
        ConfigError: A channel's options contradict one another; the path is the channel's, then `options` and the key.
    """
    options = instrument.options
    assert isinstance(options, InstrumentOptions)
    return [_place(plan, options) for plan in instrument.channels]


def words(instrument: InstrumentPlan) -> list[Place]:
    """Return where the words live that speak of an instrument's channels, `word.index` counting from 0.

    A word is as urgent as the most urgent channel it speaks of, and as frequent as the most frequent one unless it
    says otherwise; a heartbeat at least three times within the time that it may stand still.

    Raises:
        ConfigError: A word's options contradict one another or name a channel that is none.
    """
    options = instrument.options
    assert isinstance(options, InstrumentOptions)
    found: list[Place] = []
    if not instrument.channels:
        return found
    # Once, and not for each of a panel's thousand words.
    known = {plan.channel.id.removeprefix(f"{instrument.id}."): i for i, plan in enumerate(instrument.channels)}
    for keys, name, word, channels in _described(instrument, options):
        try:
            found.append(_word_place(len(found), name, word, channels, instrument, known=known))
        except ConfigError as error:
            raise error.under(*keys) from None
    return found


def _described(
    instrument: InstrumentPlan, options: InstrumentOptions
) -> Iterator[tuple[tuple[str | int, ...], str, WordOptions, tuple[str, ...] | int]]:
    """Yield each word's path, name, options, and its channels as names or as the position of its only one."""
    own = (*instrument.path, "options")
    for i, status in enumerate(options.status):
        yield (*own, "status", i), f"{instrument.id} status[{i}]", status, status.channels
    if options.heartbeat is not None:
        yield (*own, "heartbeat"), f"{instrument.id} heartbeat", options.heartbeat, options.heartbeat.channels
    for i, plan in enumerate(instrument.channels):
        assert isinstance(plan.options, ChannelOptions)
        for key in ("scale_from", "unit_from"):
            word: ScaleOptions | UnitOptions | None = getattr(plan.options, key)
            if word is not None:
                yield (*plan.path, "options", key), f"{plan.channel.id} {key}", word, i


def _word_place(
    index: int,
    name: str,
    options: WordOptions,
    named: tuple[str, ...] | int,
    instrument: InstrumentPlan,
    *,
    known: Mapping[str, int],
) -> Place:
    assert isinstance(options, StatusOptions | HeartbeatOptions | ScaleOptions | UnitOptions)
    settings = instrument.options
    assert isinstance(settings, InstrumentOptions)
    if options.table in ("file", "fifo"):
        raise ConfigError(("table",), f"a word in table {options.table}; coil, discrete, holding and input are allowed")
    layout = _layout(options, settings)
    if layout.type in FLOATS:
        raise ConfigError(("type",), f"{layout.type} is no word; bit and whole numbers are allowed")
    at = (named,) if isinstance(named, int) else _positions(named, known, instrument.id)
    spoken_of = [instrument.channels[i] for i in at]
    _check_word(options, layout, spoken_of)
    return Place(
        None,
        *layout,
        period_s=_word_period_s(options, spoken_of),
        urgent=any(plan.alarmed for plan in spoken_of),
        word=Word(index, name, options, at, frozenset(plan.channel.row for plan in spoken_of)),
    )


def _positions(named: Sequence[str], known: Mapping[str, int], instrument: str) -> tuple[int, ...]:
    for k, name in enumerate(named):
        if name not in known:
            raise ConfigError(("channels", k), f"{name!r} is no channel of {instrument}; {', '.join(known)} are")
    return tuple(known[name] for name in named) if named else tuple(known.values())


def _word_period_s(options: WordOptions, spoken_of: Sequence[ChannelPlan]) -> float:
    if options.period_s is not None:
        return options.period_s
    period_s = min(plan.channel.period_s for plan in spoken_of)
    if isinstance(options, HeartbeatOptions):
        return min(period_s, options.stalls_after_s / LOOKS)
    return period_s


def _check_word(options: WordOptions, layout: _Layout, spoken_of: Sequence[ChannelPlan]) -> None:
    if isinstance(options, StatusOptions):
        _check_status(options, layout)
    elif isinstance(options, HeartbeatOptions):
        if options.period_s is not None and options.period_s >= options.stalls_after_s:
            raise ConfigError(
                ("period_s",),
                f"read every {options.period_s:g} s it cannot be seen to stand still for {options.stalls_after_s:g} s",
            )
    elif isinstance(options, ScaleOptions):
        if 0 in options.values.values():
            raise ConfigError(("values",), "0 would make every value the same")
    elif isinstance(options, UnitOptions) and not spoken_of[0].channel.unit:
        raise ConfigError((), f"{spoken_of[0].channel.id} has no unit that it could be compared with")


def _check_status(options: StatusOptions, layout: _Layout) -> None:
    if not options.values and not options.flags and options.other is None:
        raise ConfigError((), "a status without values, flags or other says nothing")
    width = layout.width or WIDTH_BITS[layout.type]
    for bit in options.flags:
        if bit >= width:
            raise ConfigError(("flags",), f"bit {bit} of a word of {width} bits")
    low, high = raw_range(layout.type, layout.width)
    for span in options.values:
        first, last = raw_span(span)
        if first < low or last > max(high, (1 << width) - 1):
            raise ConfigError(("values",), f"{span} is no raw value of {layout.type}, {low} to {high}")


def _place(plan: ChannelPlan, instrument: InstrumentOptions) -> Place:
    options = plan.options
    assert isinstance(options, ChannelOptions)
    try:
        layout = _layout(options, instrument)
        _check_table(options)
        place = Place(
            plan.channel,
            *layout,
            scale=options.scale,
            offset=options.offset,
            special=_special(options, layout.type, layout.width) if options.special else (),
            period_s=plan.channel.period_s,
            urgent=plan.alarmed,
            file=options.file if options.table == "file" else 0,
            select=_select(options, instrument),
        )
        _check_scale(place)
    except ConfigError as error:
        raise error.under(*plan.path, "options") from None
    return place


def _layout(options: ChannelOptions | WordOptions, instrument: InstrumentOptions) -> _Layout:
    bit_table = options.table in BIT_TABLES
    kind: Type = options.type or ("bit" if bit_table else "uint16")
    if bit_table and kind != "bit":
        raise ConfigError(("type",), f"{kind} in table {options.table}, which holds bits; type bit is allowed")
    if kind == "bit" and not bit_table:
        raise ConfigError(
            ("type",), f"bit in table {options.table}, which holds registers; leave type out and give bit: 0 to 15"
        )
    length = max(1, WIDTH_BITS[kind] // 16)
    if not bit_table and length > instrument.registers_max:
        raise ConfigError(("type",), f"{kind} takes {length} registers, registers_max is {instrument.registers_max}")
    shift, width = _bit_field(options, kind)
    address = _address(options.address, kind, length, options.table, instrument.address_offset)
    return _Layout(options.table, address, length, kind, options.order or instrument.order, shift, width)


def _address(given: int, kind: str, length: int, table: Table, offset: int) -> int:
    """Return the address on the wire, checked there: a manual that counts from 1 may well say 65536."""
    address = given + offset
    moved = f" (address_offset {offset} makes it {address})" if offset else ""
    if address < 0:
        raise ConfigError(("address",), f"{given} lies before the first address{moved}")
    end = RECORDS if table == "file" else ADDRESSES
    # A queue's pointer is one register, however many of its entries make a value.
    if address + (1 if table == "fifo" else length) > end:
        raise ConfigError(("address",), f"{kind} at {given} ends beyond {end - 1}{moved}")
    return address


def _check_table(options: ChannelOptions) -> None:
    if "file" in options.model_fields_set and options.table != "file":
        raise ConfigError(("file",), f"a file number, and table is {options.table}; table: file would read it")
    if options.select is not None and options.table != "holding":
        raise ConfigError(("select",), f"function 23 reads holding registers, and table is {options.table}")


def _select(options: ChannelOptions, instrument: InstrumentOptions) -> Select | None:
    if options.select is None:
        return None
    given = options.select
    try:
        address = _address(
            given.address, f"{len(given.values)} registers", len(given.values), "holding", instrument.address_offset
        )
    except ConfigError as error:
        raise error.under("select") from None
    return Select(address, given.values)


def _bit_field(options: ChannelOptions | WordOptions, kind: Type) -> tuple[int, int]:
    if options.bit is None and options.bits is None:
        return 0, 0
    if options.bit is not None and options.bits is not None:
        raise ConfigError(("bits",), "bit and bits exclude one another")
    key = "bit" if options.bits is None else "bits"
    shift, width = options.bits or (options.bit or 0, 1)
    if kind not in ("uint16", "uint32", "uint64"):
        raise ConfigError((key,), f"{kind} has no bits to take; uint16, uint32 and uint64 have")
    if shift + width > WIDTH_BITS[kind]:
        raise ConfigError((key,), f"bits {shift} to {shift + width - 1} of {kind}, which has {WIDTH_BITS[kind]}")
    return shift, width


def _special(options: ChannelOptions, kind: Type, width: int) -> tuple[tuple[int | float, Quality], ...]:
    found: list[tuple[int | float, Quality]] = []
    for raw, name in options.special.items():
        quality = Quality[name.upper()]
        if kind in FLOATS:
            found.append((float(raw), quality))
            continue
        low, high = raw_range(kind, width)
        value = int(raw)
        if value != raw or not low <= value <= (1 << (width or WIDTH_BITS[kind])) - 1:
            raise ConfigError(("special",), f"{raw} is no raw value of {kind}, {low} to {high}")
        found.append((as_read(value, kind, width), quality))
    return tuple(found)


def as_read(raw: int, kind: Type, width: int = 0) -> int:
    """Return a raw value as the type reads it: manuals print codes of signed registers as they lie on the wire.

    >>> as_read(0xFFFF, "int16"), as_read(0xFFFF, "uint16"), as_read(-2, "int16")
    (-1, 65535, -2)
    """
    return raw if raw <= raw_range(kind, width)[1] else raw - (1 << WIDTH_BITS[kind])


def exact(scale: float) -> tuple[float, float]:
    """Return a scale as factor and divisor: 111 / 10 is 11.1, where 111 * 0.1 is 11.100000000000001.

    >>> exact(0.1), exact(2.5)
    ((1.0, 10.0), (2.5, 1.0))
    """
    divisor = round(1.0 / scale) if 1e-12 < abs(scale) < 1.0 else 1
    return (1.0, float(divisor)) if 1.0 / divisor == scale else (scale, 1.0)


def raw_range(kind: Type, width: int = 0) -> tuple[int, int]:
    """Return the least and greatest raw value of an integer type, or of a bit field of it."""
    bits = width or WIDTH_BITS[kind]
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if kind.startswith("int") else (0, (1 << bits) - 1)


def _check_scale(place: Place) -> None:
    if place.scale == 0:
        raise ConfigError(("scale",), "0 would make every value the same")
    if place.type not in FLOATS:
        for raw in raw_range(place.type, place.width):
            if not abs(raw * place.scale + place.offset) < 1e300:
                raise ConfigError(("scale",), f"{place.scale} makes {raw} too large a number")
