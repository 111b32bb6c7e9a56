"""Channels to requests: neighbours are read together, bits first. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from drivers.modbus.frames import FUNCTIONS, Request
from drivers.modbus.options import BITS_MAX, ChannelOptions, InstrumentOptions, Options, Order, Scheme, Table, Type
from gateway.core.errors import ConfigError
from gateway.core.model import Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan

ADDRESSES = 65536
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
TCP_READ_THROUGH = 16
"""Over TCP a request costs a round trip and two bytes cost nothing, so the line's formula would read through almost
anything; but unused registers are what instruments refuse."""


@dataclass(frozen=True, slots=True)
class Place:
    """A channel, where it lives and how its raw value is read.

    Attributes:
        length: Bits or registers it takes.
        shift: Lowest bit of a bit field.
        width: Bits of a bit field, 0 for the whole value.
        special: Raw values, in the type's own numbers, and the quality each stands for.
    """

    channel: Channel
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

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.address + self.length


@dataclass(frozen=True, slots=True)
class Block:
    """Places read by one request, in address order.

    Attributes:
        places: At least one, all of one table.
    """

    unit: int
    places: tuple[Place, ...]
    address: int = field(init=False)
    count: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", self.places[0].address)
        object.__setattr__(self, "count", max(place.end for place in self.places) - self.places[0].address)

    @property
    def table(self) -> Table:
        """The table it is read from."""
        return self.places[0].table

    def request(self) -> Request:
        """Return the request that reads it."""
        return Request(self.unit, FUNCTIONS[self.table], self.address, self.count)

    def halves(self) -> tuple["Block", "Block"] | None:
        """Return two smaller blocks without the unused registers between them, or None where it cannot be cut."""
        cuts = [i for i in range(1, len(self.places)) if self.places[i].address != self.places[i - 1].address]
        if not cuts:
            return None
        cut = min(cuts, key=lambda i: abs(2 * i - len(self.places)))
        return Block(self.unit, self.places[:cut]), Block(self.unit, self.places[cut:])


def blocks(unit: int, places: Sequence[Place], registers_max: int, read_through: int) -> list[Block]:
    """Return the requests that read all places, bit tables first because alarm contacts live there.

    Args:
        unit: Unit address.
        places: In any order; they may overlap.
        registers_max: Registers a reply may hold; bit tables are limited in proportion.
        read_through: Longest run of unused addresses read rather than asking again.
    """
    found: list[Block] = []
    for table, (function, limit) in _limits(registers_max).items():
        mine = sorted((p for p in places if p.table == table), key=lambda p: (p.address, p.length))
        gap = read_through * 16 if function <= 2 else read_through
        found.extend(Block(unit, tuple(run)) for run in _runs(mine, limit, gap))
    return found


def _limits(registers_max: int) -> dict[Table, tuple[int, int]]:
    bits = min(BITS_MAX, registers_max * 16)
    return {"discrete": (2, bits), "coil": (1, bits), "input": (4, registers_max), "holding": (3, registers_max)}


def _runs(places: Sequence[Place], limit: int, gap: int) -> list[list[Place]]:
    runs: list[list[Place]] = []
    start = end = 0
    for place in places:
        if not runs or place.address - end > gap or max(end, place.end) - start > limit:
            runs.append([])
            start, end = place.address, place.end
        runs[-1].append(place)
        end = max(end, place.end)
    return runs


def character_s(options: Options) -> float:
    """Seconds a character takes on the line: start bit, eight data bits, parity, stop bits."""
    bits = 1 + 8 + (options.parity != "N") + options.stop_bits
    return bits / options.baud


def silence_s(options: Options) -> float:
    """Seconds of silence between frames: 3.5 characters, fixed above 19200 baud (Serial Line V1.02, 2.5.1.1)."""
    return 3.5 * character_s(options) if options.baud <= 19200 else 0.00175


def read_through(options: Options, turnaround_s: float) -> int:
    """Return how many unused registers are cheaper to read than a further request.

    A further request costs 8 characters out, 5 of frame back, two silences and the instrument's turnaround; an
    unused register costs 2 characters.
    """
    if options.read_through is not None:
        return options.read_through
    if options.parts.scheme is Scheme.TCP:
        return TCP_READ_THROUGH
    character = character_s(options)
    return min(64, int((13 * character + 2 * silence_s(options) + turnaround_s) / (2 * character)))


def places(instrument: InstrumentPlan) -> list[Place]:
    """Return where an instrument's channels live.

    Raises:
        ConfigError: A channel's options contradict one another; the path is the channel's, then `options` and the key.
    """
    options = instrument.options
    assert isinstance(options, InstrumentOptions)
    return [_place(plan, options) for plan in instrument.channels]


def _place(plan: ChannelPlan, instrument: InstrumentOptions) -> Place:
    options = plan.options
    assert isinstance(options, ChannelOptions)
    try:
        return _checked(plan.channel, options, instrument)
    except ConfigError as error:
        raise error.under(*plan.path, "options") from None


def _checked(channel: Channel, options: ChannelOptions, instrument: InstrumentOptions) -> Place:
    bit_table = options.table in ("coil", "discrete")
    kind: Type = options.type or ("bit" if bit_table else "uint16")
    if bit_table and kind != "bit":
        raise ConfigError(("type",), f"{kind} in table {options.table}, which holds bits; type bit is allowed")
    if kind == "bit" and not bit_table:
        raise ConfigError(
            ("type",), f"bit in table {options.table}, which holds registers; leave type out and give bit: 0 to 15"
        )
    length = max(1, WIDTH_BITS[kind] // 16)
    if options.address + length > ADDRESSES:
        raise ConfigError(("address",), f"{kind} at {options.address} ends beyond 65535")
    if not bit_table and length > instrument.registers_max:
        raise ConfigError(("type",), f"{kind} takes {length} registers, registers_max is {instrument.registers_max}")
    shift, width = _bit_field(options, kind)
    place = Place(
        channel=channel,
        table=options.table,
        address=options.address,
        length=length,
        type=kind,
        order=options.order or instrument.order,
        shift=shift,
        width=width,
        scale=options.scale,
        offset=options.offset,
        special=_special(options, kind, width),
    )
    _check_scale(place)
    return place


def _bit_field(options: ChannelOptions, kind: Type) -> tuple[int, int]:
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
        if kind in ("float32", "float64"):
            found.append((float(raw), quality))
            continue
        low, high = raw_range(kind, width)
        value = int(raw)
        if value != raw or not low <= value <= (1 << (width or WIDTH_BITS[kind])) - 1:
            raise ConfigError(("special",), f"{raw} is no raw value of {kind}, {low} to {high}")
        # Manuals print fault codes of signed registers as they lie on the wire: 0xFFFF is the int16 -1.
        found.append((value if value <= high else value - (1 << WIDTH_BITS[kind]), quality))
    return tuple(found)


def raw_range(kind: Type, width: int = 0) -> tuple[int, int]:
    """Return the least and greatest raw value of an integer type, or of a bit field of it."""
    bits = width or WIDTH_BITS[kind]
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if kind.startswith("int") else (0, (1 << bits) - 1)


def _check_scale(place: Place) -> None:
    if place.scale == 0:
        raise ConfigError(("scale",), "0 would make every value the same")
    if place.type not in ("float32", "float64"):
        for raw in raw_range(place.type, place.width):
            if not abs(raw * place.scale + place.offset) < 1e300:
                raise ConfigError(("scale",), f"{place.scale} makes {raw} too large a number")
