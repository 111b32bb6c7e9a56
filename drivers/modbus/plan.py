"""Places to requests: the cheapest set of requests that reads them all, in the order of asking. Pure.

What a request costs is told in registers, since a register has its price on every wire: a request costs `read_through`
registers (the frames' own characters, the silences and the instrument's turnaround) and those it reads, needed or not.
With one period that is the whole of it, and `_cheapest` finds the least sum. With several, a request costs that much
every period, and values read seldom join a request that is sent often where that is cheaper for the line.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from drivers.modbus.frames import FUNCTIONS, Request
from drivers.modbus.options import BITS_MAX, InstrumentOptions, Options, Table
from drivers.modbus.places import BIT_TABLES, QUEUE_MAX, WIDTH_BITS, Place, Select, places, words
from gateway.core.plugin import InstrumentPlan

__all__ = [
    "WIDTH_BITS",
    "Block",
    "Place",
    "blocks",
    "character_s",
    "places",
    "plan_instrument",
    "read_through",
    "silence_s",
    "words",
]

TCP_READ_THROUGH = 16
"""Over TCP a request costs a round trip and two bytes cost nothing, so the line's formula would read through almost
anything; but unused registers are what instruments refuse."""
FILE_MAX = 121
"""Registers of a file in one reply, whose data may be 245 bytes (Modbus Application Protocol V1.1b3, 6.14)."""
TABLES: dict[Table, int] = {"discrete": 0, "coil": 1, "input": 2, "holding": 3, "file": 4, "fifo": 5}
"""Tables in the order of asking: alarm contacts live in bits."""

Address = tuple[Table, int]
NONE_REFUSED: frozenset[Address] = frozenset()


@dataclass(frozen=True, slots=True)
class Block:
    """Places read by one request, in address order.

    Attributes:
        places: At least one, all of one table (one file, one queue, one selection).
        address: First bit or register read.
        count: Bits or registers read; of a queue, the newest ones that are looked at.
        period_s: Seconds between readings: what its most frequent place asks for.
        urgent: An alarm depends on one of its places.
    """

    unit: int
    places: tuple[Place, ...]
    address: int = field(init=False)
    count: int = field(init=False)
    period_s: float = field(init=False)
    urgent: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", self.places[0].address)
        object.__setattr__(self, "count", max(place.end for place in self.places) - self.places[0].address)
        object.__setattr__(self, "period_s", min(place.period_s for place in self.places))
        object.__setattr__(self, "urgent", any(place.urgent for place in self.places))

    @property
    def table(self) -> Table:
        """The table it is read from."""
        return self.places[0].table

    @property
    def names(self) -> list[str]:
        """What it reads, for messages: ids of channels, names of words."""
        return [place.name for place in self.places]

    @property
    def leads(self) -> bool:
        """Whether it holds a word that speaks of a value in another block."""
        rows = {place.channel.row for place in self.places if place.channel is not None}
        return any(place.word is not None and not place.word.rows <= rows for place in self.places)

    def request(self) -> Request:
        """Return the request that reads it."""
        first = self.places[0]
        if first.select is not None:
            return Request.read_write(self.unit, self.address, self.count, *first.select)
        if first.table == "file":
            return Request.file(self.unit, first.file, self.address, self.count)
        if first.table == "fifo":
            return Request.fifo(self.unit, self.address)
        return Request(self.unit, FUNCTIONS[first.table], self.address, self.count)

    def halves(self) -> tuple["Block", "Block"] | None:
        """Return two smaller blocks without the unused registers between them, or None where it cannot be cut."""
        cuts = [i for i in range(1, len(self.places)) if self.places[i].address != self.places[i - 1].address]
        if not cuts:
            return None
        cut = min(cuts, key=lambda i: abs(2 * i - len(self.places)))
        return Block(self.unit, self.places[:cut]), Block(self.unit, self.places[cut:])

    def unanswered(self, answered: Iterable["Block"]) -> frozenset[Address]:
        """Return what of a refused block none of its answered parts holds: where the refused registers are.

        Unused registers that were read through are among them: a plan that avoids all of these meets no refusal that
        is known.
        """
        read = {address for part in answered for address in range(part.address, part.address + part.count)}
        return frozenset((self.table, a) for a in range(self.address, self.address + self.count) if a not in read)


def plan_instrument(options: Options, plan: InstrumentPlan, refused: Collection[Address] = NONE_REFUSED) -> list[Block]:
    """Return all requests of an instrument, in the order of asking.

    Args:
        options: The connection's.
        plan: The instrument.
        refused: Addresses that the instrument has refused, with their tables; none of them is read through, and a
            place that holds one is asked alone.

    Raises:
        ConfigError: Options that contradict one another; the path begins with the instrument's.
    """
    instrument = plan.options
    assert isinstance(instrument, InstrumentOptions)
    through = read_through(options, instrument.turnaround_s)
    return blocks(instrument.unit, [*words(plan), *places(plan)], instrument.registers_max, through, refused)


def blocks(
    unit: int,
    places: Sequence[Place],
    registers_max: int,
    read_through: int,
    refused: Collection[Address] = NONE_REFUSED,
) -> list[Block]:
    """Return the requests that read all places, in the order of asking.

    What alarms depend on comes first, words before the values they speak of, and bits before registers.

    Args:
        unit: Unit address.
        places: In any order; they may overlap.
        registers_max: Registers a reply may hold; bit tables are limited in proportion.
        read_through: Longest run of unused addresses read rather than asking again: what a request costs.
        refused: Addresses, with their tables, that no request may cross to reach another place.
    """
    kinds: dict[_Kind, list[Place]] = {}
    for place in places:
        kinds.setdefault(_Kind(place.table, place.file, place.select, _queue(place)), []).append(place)
    found: list[Block] = []
    for kind in sorted(kinds, key=lambda kind: TABLES[kind.table]):
        barriers = sorted(address for table, address in refused if table == kind.table)
        runs = _runs(kinds[kind], _Terms.of(kind, registers_max, read_through), barriers)
        found.extend(Block(unit, tuple(run.places)) for run in sorted(runs, key=lambda run: run.start))
    return sorted(found, key=lambda block: (not block.urgent, not block.leads))


def _queue(place: Place) -> int | None:
    return place.address if place.table == "fifo" else None


class _Kind(NamedTuple):
    """What one request can read together: one table, one file, one selection, one queue."""

    table: Table
    file: int
    select: Select | None
    queue: int | None


class _Terms(NamedTuple):
    """What requests of a kind may and cost, in addresses of its table.

    Attributes:
        limit: Addresses one reply may hold.
        price: What a request costs beyond the addresses it reads.
    """

    limit: int
    price: int

    @classmethod
    def of(cls, kind: _Kind, registers_max: int, read_through: int) -> "_Terms":
        if kind.table in BIT_TABLES:
            return cls(min(BITS_MAX, registers_max * 16), read_through * 16)
        if kind.table == "fifo":
            return cls(QUEUE_MAX, 0)
        return cls(min(FILE_MAX, registers_max) if kind.table == "file" else registers_max, read_through)


class _Run:
    """Places that one request reads.

    Attributes:
        alone: It holds a refused address; nothing is to join it.
    """

    __slots__ = ("alone", "end", "period_s", "places", "start", "urgent")

    def __init__(self, places: list[Place], *, alone: bool = False) -> None:
        self.places = places
        self.start = places[0].address
        self.end = max(place.end for place in places)
        self.period_s = places[0].period_s
        self.urgent = places[0].urgent
        self.alone = alone

    def holds(self, place: Place) -> bool:
        return not self.alone and self.start <= place.address and place.end <= self.end

    def serves(self, rider: "Place | _Run") -> bool:
        """Return whether that may ride on it; a request that can wait does not become urgent by a rider."""
        return self.urgent or not rider.urgent

    def take(self, places: Iterable[Place]) -> None:
        self.places = sorted((*self.places, *places), key=_by_address)
        self.start = self.places[0].address
        self.end = max(self.end, *(place.end for place in self.places))


def _by_address(place: Place) -> tuple[int, int]:
    return place.address, place.length


def _runs(places: Sequence[Place], terms: _Terms, barriers: list[int]) -> list[_Run]:
    """Return the runs of one kind: classes of one period and urgency, the most frequent first, each on its own.

    A place of a later class that lies within an earlier request costs nothing there. Then each of a later class's
    requests joins an earlier one where lengthening that costs the line less than sending both.
    """
    runs, rest = _apart(places, barriers)
    classes: dict[tuple[float, bool], list[Place]] = {}
    for place in rest:
        classes.setdefault((place.period_s, not place.urgent), []).append(place)
    for key in sorted(classes):
        left = _ridden(runs, sorted(classes[key], key=_by_address))
        for run in [_Run(group) for group in _cheapest(left, terms, barriers)]:
            host = _host(run, runs, terms, barriers)
            if host is None:
                runs.append(run)
            else:
                host.take(run.places)
    return runs


def _apart(places: Sequence[Place], barriers: list[int]) -> tuple[list[_Run], list[Place]]:
    """Return the places that hold refused addresses, each span on its own, and the other places."""
    if not barriers:
        return [], list(places)
    refused: dict[tuple[int, int], list[Place]] = {}
    rest = []
    for place in places:
        if _crosses(place.address, place.end, barriers):
            refused.setdefault((place.address, place.end), []).append(place)
        else:
            rest.append(place)
    return [_Run(group, alone=True) for group in refused.values()], rest


def _crosses(start: int, end: int, barriers: list[int]) -> bool:
    k = bisect_left(barriers, start)
    return k < len(barriers) and barriers[k] < end


def _ridden(runs: list[_Run], places: list[Place]) -> list[Place]:
    """Give places to requests that read them anyhow; return the others."""
    if not runs:
        return places
    riders: dict[int, list[Place]] = {}
    left = []
    for place in places:
        host = next((i for i, run in enumerate(runs) if run.serves(place) and run.holds(place)), None)
        if host is None:
            left.append(place)
        else:
            riders.setdefault(host, []).append(place)
    for i, group in riders.items():
        runs[i].take(group)
    return left


def _host(run: _Run, runs: list[_Run], terms: _Terms, barriers: list[int]) -> _Run | None:
    """Return the request that `run` joins, the one where it saves most, or None where it is better sent by itself.

    Alone it costs its price and length every period of its own; lengthening another costs the added length every
    period of the other's. An urgent request is not lengthened for others by more than a further request would cost:
    on a line too slow for everything, what can wait must not take the time of what cannot.
    """
    best, most = None, 0.0
    own = (terms.price + run.end - run.start) / run.period_s
    for other in runs:
        start, end = min(run.start, other.start), max(run.end, other.end)
        added = (end - start) - (other.end - other.start)
        if end - start > terms.limit or not other.serves(run):
            continue
        if other.urgent and not run.urgent and added > terms.price:
            continue
        saved = own - added / other.period_s
        if saved > most and not _crosses(start, end, barriers):
            best, most = other, saved
    return best


def _cheapest(places: Sequence[Place], terms: _Terms, barriers: list[int]) -> list[list[Place]]:
    """Return places of one class in the runs of least cost; where costs are equal, the fewest.

    Args:
        places: In address order.
        terms: What a request may and costs.
        barriers: Addresses that no run may cross, in order; none lies in a place.

    An exact dynamic programme in one pass. Places within others are set aside first, so that starts and ends both
    rise; then a run is a stretch of neighbours (whatever crosses can be exchanged at no cost), the least cost of the
    places before `j` is a least value over a window that only moves on, and a queue of candidates keeps it at hand.
    """
    groups = _outer(places)
    starts = [group[0].address for group in groups]
    ends = [group[0].end for group in groups]
    # One request less outranks nothing but equality: costs are counted in units that no number of requests fills.
    unit = len(groups) + 1
    price = terms.price * unit + 1
    costs, cuts = [0], [0]
    window: deque[tuple[int, int]] = deque()
    for j, end in enumerate(ends):
        if j and _crosses(ends[j - 1], starts[j], barriers):
            window.clear()
        value = costs[j] - starts[j] * unit
        while window and window[-1][0] >= value:
            window.pop()
        window.append((value, j))
        while end - starts[window[0][1]] > terms.limit:
            window.popleft()
        least, cut = window[0]
        costs.append(least + end * unit + price)
        cuts.append(cut)
    runs: list[list[Place]] = []
    j = len(groups)
    while j:
        runs.append(sorted((place for group in groups[cuts[j] : j] for place in group), key=_by_address))
        j = cuts[j]
    return runs[::-1]


def _outer(places: Sequence[Place]) -> list[list[Place]]:
    """Return groups of places that a first one covers wholly, the first ones' starts and ends both rising."""
    groups: list[list[Place]] = []
    for place in sorted(places, key=lambda p: (p.address, -p.length)):
        if groups and place.end <= groups[-1][0].end:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def character_s(options: Options) -> float:
    """Seconds a character takes on the line: start bit, eight data bits, parity, stop bits."""
    bits = 1 + 8 + (options.parity != "N") + options.stop_bits
    return bits / options.baud


def silence_s(options: Options) -> float:
    """Seconds of silence between frames: 3.5 characters, fixed above 19200 baud (Serial Line V1.02, 2.5.1.1)."""
    return 3.5 * character_s(options) if options.baud <= 19200 else 0.00175


def read_through(options: Options, turnaround_s: float) -> int:
    """Return how many unused registers are cheaper to read than a further request: what a request costs.

    A further request costs 8 characters out, 5 of frame back, two silences and the instrument's turnaround; an
    unused register costs 2 characters.
    """
    if options.read_through is not None:
        return options.read_through
    if not options.parts.scheme.serial:
        return TCP_READ_THROUGH
    character = character_s(options)
    return min(64, int((13 * character + 2 * silence_s(options) + turnaround_s) / (2 * character)))
