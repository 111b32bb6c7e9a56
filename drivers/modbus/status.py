"""What an instrument's words say of its values: status, heartbeat, scale and unit. Pure; time is passed in.

A word that was refused, never came or has not been confirmed for long says nothing, and saying nothing is never GOOD:
its channels are UNCERTAIN, and without their scale or unit UNREADABLE.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.modbus.options import HeartbeatOptions, ScaleOptions, StatusOptions, raw_span
from drivers.modbus.places import Place, as_read, exact, words
from gateway.core.model import Float64, Quality, UInt8
from gateway.core.plugin import InstrumentPlan
from gateway.core.units import gas_unit

IntP = NDArray[np.intp]

KEEP_PERIODS, KEEP_S = 3.0, 5.0
"""A word is believed for three of its periods and five seconds more: a lost reply or two is no lost instrument."""
COMPLAINTS_MAX = 256
"""Different complaints of one instrument that are told; a register that holds noise is not to fill the log."""


class Meaning(NamedTuple):
    """What a word says of each of its channels.

    Attributes:
        quality: How far the values can be trusted.
        factor: What the values are multiplied by; NaN where that is unknown.
        divisor: What they are divided by: 111 / 10 is 11.1, where 111 * 0.1 is not.
        known: Whether the word said it; False where it was never read.
    """

    quality: Quality = Quality.GOOD
    factor: float = 1.0
    divisor: float = 1.0
    known: bool = True


NOTHING_BAD = Meaning()
UNKNOWN = Meaning(Quality.UNCERTAIN, known=False)
NO_SCALE = Meaning(factor=math.nan)
WRONG_UNIT = Meaning(Quality.UNREADABLE)
STANDS_STILL = Meaning(Quality.FROZEN)


def outranks(new: int, old: int) -> bool:
    """Return whether a quality says more than another: BAD more than doubt, and over range more than other doubts.

    An instrument over its range may read low, so the value counts as at least the range's end: no other doubt may
    take that away.
    """
    return _rank(new) > _rank(old)


def _rank(quality: int) -> int:
    if quality >= Quality.BAD:
        return 3
    return 0 if quality < Quality.UNCERTAIN else 2 if quality == Quality.OVER_RANGE else 1


class _Entry:
    """One word: what it last said, and when.

    Attributes:
        raw: What it last held; None where that counts as never read.
        meaning: What that means.
    """

    __slots__ = ("channels", "heard_s", "keep_s", "meaning", "means", "raw", "unknown")

    def __init__(self, place: Place, means: Callable[[int], Meaning], unknown: Meaning) -> None:
        assert place.word is not None
        self.channels = place.word.channels
        self.keep_s = KEEP_PERIODS * place.period_s + KEEP_S
        self.means = means
        self.unknown = self.meaning = unknown
        self.raw: int | None = None

    def hear(self, raw: int, now_s: float) -> bool:  # noqa: ARG002 - a heartbeat's depends on the time
        """Take what the word holds now; return whether it means something else than before."""
        if raw == self.raw:
            return False
        self.raw = raw
        before, self.meaning = self.meaning, self.means(raw)
        return self.meaning != before

    def forget(self) -> bool:
        """Count it as never read; return whether it meant something."""
        self.raw = None
        before, self.meaning = self.meaning, self.unknown
        return self.meaning != before


class _Heartbeat(_Entry):
    """A word that must change.

    Only readings count: it stands still when it was read unchanged over the whole time, not when it could not be read.
    Until it has been seen to change there is no evidence of life, and none of death: UNCERTAIN. One that stood still
    before it was lost and comes back with the same value has not lived meanwhile.
    """

    __slots__ = ("changed_s", "last", "stalls_after_s", "still")

    def __init__(self, place: Place, options: HeartbeatOptions) -> None:
        super().__init__(place, lambda _: NOTHING_BAD, UNKNOWN)
        self.stalls_after_s = options.stalls_after_s
        self.last: int | None = None
        self.changed_s = math.inf
        self.still = False

    def hear(self, raw: int, now_s: float) -> bool:
        before = self.meaning
        if raw != self.last:
            self.meaning = UNKNOWN if self.last is None else NOTHING_BAD
            self.changed_s, self.still = now_s, False
        elif self.raw is None and not self.still:
            self.changed_s = now_s
        elif self.still or now_s - self.changed_s > self.stalls_after_s:
            self.meaning, self.still = STANDS_STILL, True
        self.raw = self.last = raw
        return self.meaning != before


class InstrumentState:
    """What the words of one instrument said last, and what follows for its channels.

    Whoever decodes keeps `version`: as long as it stands, so do `quality`, `factor` and `divisor`. What is not
    confirmed in time counts as never read, and so does all but heartbeats after a silence: the supply may have failed.

    Args:
        plan: The instrument.

    Attributes:
        version: Rises whenever something means something else.
        until_s: From then on `look` has something to do, monotonic seconds.
        quality: uint8[n], what the words say of each channel of the plan, GOOD where nothing.
        factor: float64[n], what its raw value is multiplied by as well; NaN where the scale is unknown.
        divisor: float64[n], what it is divided by as well.
        scaled: bool[n], whether a word says the channel's scale.
        positions: Each channel's position in those, by row.
        said: What contradicted the site file last, by the row of a channel that it made unreadable.

    Raises:
        ConfigError: Words that contradict themselves, as in `plan_instrument`.
    """

    def __init__(self, plan: InstrumentPlan) -> None:
        self._complaints: list[str] = []
        self._told: set[tuple[int, int]] = set()
        self.said: dict[int, str] = {}
        self._plan = plan
        self._entries = [self._entry(place) for place in words(plan)]
        self.positions = {channel.channel.row: i for i, channel in enumerate(plan.channels)}
        spoken_of = {position for entry in self._entries for position in entry.channels}
        scaled = {position for entry in self._entries if entry.unknown is NO_SCALE for position in entry.channels}
        self.scaled = np.array([i in scaled for i in range(len(plan.channels))], np.bool_)
        self._spoken_of = {row for row, position in self.positions.items() if position in spoken_of}
        self._heard_s: Float64 = np.full(len(self._entries), -math.inf)
        self._keep_s: Float64 = np.array([entry.keep_s for entry in self._entries])
        self.version = 0
        self.until_s = math.inf
        self.quality: UInt8
        self.factor: Float64
        self.divisor: Float64
        self._settle()

    def concerns(self, rows: Sequence[int]) -> bool:
        """Return whether any word speaks of one of these rows."""
        return not self._spoken_of.isdisjoint(rows)

    def hear(self, indexes: IntP, raws: Sequence[int], now_s: float) -> None:
        """Take what words hold.

        Args:
            indexes: intp[k], which words, by `Word.index`.
            raws: What they hold.
            now_s: When, monotonic.
        """
        self.confirm(indexes, now_s)
        self.until_s = min(self.until_s, now_s + float(self._keep_s[indexes].min()))
        # Every entry must hear, whatever the others say.
        if sum([self._entries[i].hear(raw, now_s) for i, raw in zip(indexes.tolist(), raws, strict=True)]):
            self._settle()

    def confirm(self, indexes: IntP, now_s: float) -> None:
        """Take that words hold what they held when `version` was the same; not for heartbeats, which count time."""
        self._heard_s[indexes] = now_s

    def refuse(self, indexes: IntP) -> None:
        """Take that the instrument refuses words: they count as never read."""
        self._forget([self._entries[i] for i in indexes.tolist()])

    def look(self, now_s: float) -> None:
        """Forget what has not been confirmed for too long; only needed from `until_s` on."""
        until_s = self._heard_s + self._keep_s
        self._forget([entry for entry, late in zip(self._entries, (until_s < now_s).tolist(), strict=True) if late])
        self.until_s = float(until_s[until_s >= now_s].min(initial=math.inf))

    def _forget(self, entries: Sequence[_Entry]) -> None:
        if sum([entry.forget() for entry in entries]):
            self._settle()

    def doubt(self) -> None:
        """Take that the instrument may have been started anew: words count as never read.

        But not heartbeats, which are believed only while they are seen to change.
        """
        self._forget([entry for entry in self._entries if not isinstance(entry, _Heartbeat)])

    def complaints(self) -> list[str]:
        """Return what people must know of units and scales that contradict the site file, each only once."""
        told, self._complaints = self._complaints, []
        return told

    def _settle(self) -> None:
        """Put together what all words say of each channel.

        A heartbeat that stands still comes first: the status is no fresher than it. Then the other words in their
        order; what was never read comes last, for any word that does speak tells more.
        """
        n = len(self._plan.channels)
        quality = [int(Quality.GOOD)] * n
        self.factor, self.divisor = np.ones(n), np.ones(n)
        for entry in sorted(self._entries, key=_precedence):
            for at in entry.channels:
                if outranks(entry.meaning.quality, quality[at]):
                    quality[at] = int(entry.meaning.quality)
                self.factor[at] *= entry.meaning.factor
                self.divisor[at] *= entry.meaning.divisor
        self.quality = np.array(quality, np.uint8)
        self.version += 1

    def _entry(self, place: Place) -> _Entry:
        word = place.word
        assert word is not None
        options = word.options
        if isinstance(options, HeartbeatOptions):
            return _Heartbeat(place, options)
        if isinstance(options, StatusOptions):
            return _Entry(place, _status(options, place), UNKNOWN)
        if isinstance(options, ScaleOptions):
            factors = {as_read(raw, place.type, place.width): factor for raw, factor in options.values.items()}
            return _Entry(place, partial(self._scaled, place, factors), NO_SCALE)
        units = {as_read(raw, place.type, place.width): unit for raw, unit in options.values.items()}
        return _Entry(place, partial(self._measured_in, place, units), WRONG_UNIT)

    def _scaled(self, place: Place, factors: Mapping[int, float], raw: int) -> Meaning:
        if raw in factors:
            factor, divisor = exact(factors[raw])
            return Meaning(factor=factor, divisor=divisor)
        self._complain(place, raw, "is no scale that the site file knows: its values are unreadable")
        return NO_SCALE

    def _measured_in(self, place: Place, units: Mapping[int, str], raw: int) -> Meaning:
        assert place.word is not None
        ours = self._plan.channels[place.word.channels[0]].channel.unit
        unit = units.get(raw)
        if unit is not None and _one_spelling(unit) == _one_spelling(ours):
            return NOTHING_BAD
        theirs = "is no unit that the site file knows" if unit is None else f"says {unit}"
        self._complain(place, raw, f"{theirs}, and the site file says {ours}: its values are unreadable")
        return WRONG_UNIT

    def _complain(self, place: Place, raw: int, problem: str) -> None:
        assert place.word is not None
        said = f"{raw} in {place.table} {place.address} {problem}"
        self.said.update(dict.fromkeys(place.word.rows, said))
        key = (place.word.index, raw)
        if key not in self._told and len(self._told) < COMPLAINTS_MAX:
            self._told.add(key)
            self._complaints.append(f"{place.word.name}: {said}")


def _precedence(entry: _Entry) -> int:
    return 0 if isinstance(entry, _Heartbeat) and entry.still else 1 if entry.meaning.known else 2


def _one_spelling(unit: str) -> str:
    return gas_unit(unit) or unit.strip()


def _status(options: StatusOptions, place: Place) -> Callable[[int], Meaning]:
    """Return what raw values of a status word mean: values in their order, then flags in theirs."""
    spans = [(raw_span(text), _named(name)) for text, name in options.values.items()]
    listed = [
        (as_read(first, place.type, place.width), as_read(last, place.type, place.width), meaning)
        for (first, last), meaning in spans
    ]
    other = NOTHING_BAD if options.other is None else _named(options.other)
    flags = [(bit, _named(name)) for bit, name in options.flags.items()]

    def means(raw: int) -> Meaning:
        found = next((meaning for first, last, meaning in listed if first <= raw <= last), other)
        for bit, meaning in flags:
            if raw >> bit & 1 and outranks(meaning.quality, found.quality):
                found = meaning
        return found

    return means


def _named(name: str) -> Meaning:
    return Meaning(Quality[name.upper()])
