"""What detectors share: finding a reading's rule, delays, the two-step level, verdicts. All in columns, all pure.

A detector keeps one slot of state for each of its rules, plus one spare slot at the end that serves every reading
without a rule. The spare slot's set points are such that nothing ever happens there, so that a batch needs no mask.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from gateway.core.clock import NS_PER_S
from gateway.core.model import (
    BAD_FROM,
    Batch,
    Float32,
    Float64,
    Int8,
    Int32,
    Int64,
    Level,
    Quality,
    Reason,
    Rule,
    UInt8,
    Verdicts,
)

Float = TypeVar("Float", np.float32, np.float64)
Slots = NDArray[np.intp]
Mask = NDArray[np.bool_]
Steps = tuple[Mask, Mask]
State = Mapping[str, NDArray[np.generic]]
Where = slice | Slots
"""Places in an array: a slice where they are without gaps and in order, so that what is taken there is a view."""
Places = tuple[Where, Where]
"""Where readings stand in a batch, and in the columns of a bank."""

NORMAL, LOW, HIGH, FAULT, WARNING = (np.int8(level) for level in Level)
OVER_RANGE: Final = np.uint8(Quality.OVER_RANGE)
IDLE: Final = np.int64(1 << 62)
"""The start of a delay that does not run: later than any reading, and far enough from both ends to subtract."""


def nanoseconds(seconds: float) -> int:
    """Return whole nanoseconds."""
    return round(seconds * NS_PER_S)


def float_column(rules: Sequence[Rule], take: Callable[[Rule], float | None], spare: float = float("nan")) -> Float64:
    """Return one figure a rule, None as NaN, and `spare` for the spare slot."""
    found = [take(rule) for rule in rules]
    return np.array([float("nan") if x is None else x for x in found] + [spare], np.float64)


def time_column(rules: Sequence[Rule], take: Callable[[Rule], float], spare: int = 0) -> Int64:
    """Return one duration a rule, given in seconds, in nanoseconds, and `spare` for the spare slot."""
    return np.array([nanoseconds(take(rule)) for rule in rules] + [spare], np.int64)


def shared(column: NDArray[Float]) -> NDArray[Float]:
    """Return a column of constants in as little memory as it takes.

    Rules of one section share their options: where all have the same figure, what is returned is that one number seen
    as a column, which must not be written to; its spare slot has it too.

    >>> shared(np.array([5.0, 5.0, np.nan])).strides, shared(np.array([5.0, 6.0, np.nan])).strides
    ((0,), (8,))
    """
    first, rules = column[..., :1].copy(), column[..., :-1]
    alike = rules.shape[-1] > 0 and np.array_equal(rules, np.broadcast_to(first, rules.shape), equal_nan=True)
    return np.broadcast_to(first, column.shape) if alike else column


def shared_ns(column: Int64) -> Int64:
    """Return a column of constant times or spans as `shared` does."""
    alike = len(column) > 1 and bool((column[:-1] == column[0]).all())
    return np.broadcast_to(column[:1].copy(), column.shape) if alike else column


def figures(rules: Sequence[Rule], take: Callable[[Rule], float | None], spare: float = float("nan")) -> Float64:
    """Return what `float_column` does, for a detector that never asks for the spare slot's: `shared`."""
    return shared(float_column(rules, take, spare))


def durations(rules: Sequence[Rule], take: Callable[[Rule], float], spare: int = 0) -> Int64:
    """Return what `time_column` does, for a detector that never asks for the spare slot's: `shared`."""
    return shared_ns(time_column(rules, take, spare))


TAME: Final = 1e60
"""Beyond any measured value, and small enough for sums of squares."""

_TINY: Final = 1e-200

LAYOUTS_MAX: Final = 64
"""Orders of rows that are remembered; beyond that, remembering begins anew."""


class Layout:
    """The rows of a batch in their order, known again when they come back; compared by identity."""

    __slots__ = ("known", "places", "rows")

    def __init__(self, rows: bytes) -> None:
        self.rows = rows
        self.known = False
        # Banks that judge the same rows with slots alike have the same places: told by identity.
        self.places: dict[tuple[int, int, int], Places] = {}

    def same(self, places: "Places") -> "Places":
        """Return the places that another bank has already, where they are slices."""
        at, slots = places
        if isinstance(at, slice) and isinstance(slots, slice):
            return self.places.setdefault((at.start, at.stop, slots.start), places)
        return places


def _ends(time_ns: Int64) -> tuple[int, int]:
    """Return the earliest and the latest time; 0 where there are none."""
    if not len(time_ns):
        return 0, 0
    # A poll's readings have one time, and bytes are compared three times as fast as ends are found.
    if time_ns[0] == time_ns[-1] and time_ns.tobytes() == time_ns[:1].tobytes() * len(time_ns):
        return int(time_ns[0]), int(time_ns[0])
    return int(np.minimum.reduce(time_ns)), int(np.maximum.reduce(time_ns))


class Facts:
    """What every detector asks of a batch, found once.

    Attributes:
        batch: The batch.
        layout: Its rows; `known` from the second batch with the same ones.
        worst: The highest quality code in it; 0 where all readings are GOOD, and where there are none.
        first_ns: The earliest time in it.
        last_ns: The latest time in it.
        marks: All qualities, to be compared as a whole.
        shares: What is known of it for banks with places that are slices.
        tame: Whether all values are such that sums and squares of them stay finite.
    """

    __slots__ = ("batch", "first_ns", "last_ns", "layout", "marks", "shares", "tame", "worst")

    def __init__(self, batch: Batch, layout: Layout) -> None:
        self.batch, self.layout = batch, layout
        self.marks = quality = batch.quality.tobytes()
        self.shares: dict[int, Share] = {}
        self.worst = 0 if quality == bytes(len(quality)) else int(np.maximum.reduce(batch.quality))
        self.first_ns, self.last_ns = _ends(batch.time_ns)
        # Made so small that squares of measured values vanish, and those of 1e308 are no overflow. A BAD reading makes
        # it NaN, which says nothing of the others.
        small = batch.value * _TINY
        self.tame = small.dot(small) < (TAME * _TINY) ** 2 or bool(
            quality and np.fmax.reduce(batch.value) < TAME and np.fmin.reduce(batch.value) > -TAME
        )


class Memory:
    """The facts of the last batch, and the layouts of those before: instruments answer in the same order again."""

    def __init__(self) -> None:
        self._last: Facts | None = None
        self._layouts: dict[tuple[int, bytes], Layout] = {}

    def facts(self, batch: Batch) -> Facts:
        """Return the facts of a batch. The last batch is kept, and is told by identity, as batches never change."""
        last = self._last
        if last is None or last.batch is not batch:
            self._last = last = Facts(batch, self._layout(batch.row))
        return last

    def _layout(self, rows: Int32) -> Layout:
        found = rows.tobytes()
        # Its length and ends instead of all of it, as a hash of all would cost more than the comparison that follows.
        key = (len(found), found[:8] + found[-8:])
        layout = self._layouts.get(key)
        if layout is not None and layout.rows == found:
            layout.known = True
            return layout
        if len(self._layouts) >= LAYOUTS_MAX:
            self._layouts.clear()
        self._layouts[key] = layout = Layout(found)
        return layout


_MEMORY: Final = Memory()


class Share:
    """What of a batch the rules of one detector judge: views wherever possible, and no spare slot.

    Attributes:
        at: The positions of these readings in the batch.
        slots: Their slots: `state[share.slots]` reads, and `state[share.slots] = …` and `+= …` write; never `take`.
        time_ns: int64[n].
        value: float64[n].
        quality: uint8[n].
        worst: The highest quality code in the whole batch: below BAD_FROM nothing here is BAD, 0 all is GOOD.
        first_ns: No reading here is earlier.
        last_ns: No reading here is later.
        marks: The qualities of the whole batch, to be compared at little cost.
        tame: Sums and squares of the values stay finite; False says that they may not.
    """

    __slots__ = (
        "_valued",
        "at",
        "first_ns",
        "last_ns",
        "marks",
        "quality",
        "slots",
        "tame",
        "time_ns",
        "value",
        "worst",
    )

    def __init__(self, facts: Facts, at: Where, slots: Where) -> None:
        batch = facts.batch
        self.at, self.slots = at, slots
        self.time_ns, self.value, self.quality = batch.time_ns[at], batch.value[at], batch.quality[at]
        self.worst, self.first_ns, self.last_ns, self.tame = facts.worst, facts.first_ns, facts.last_ns, facts.tame
        self.marks = facts.marks
        self._valued: Share | None = None

    def __len__(self) -> int:
        return len(self.value)

    def pick(self, chosen: Slots) -> tuple[Slots, Slots]:
        """Return the positions in the batch and the slots of some of these readings, chosen by their place here."""
        return _picked(self.at, chosen), _picked(self.slots, chosen)

    def awake(self, mask: Mask) -> tuple[Slots, Slots] | None:
        """Return `pick` of where a mask holds; None where it holds nowhere, which is asked at little cost."""
        return self.pick(np.flatnonzero(mask)) if np.count_nonzero(mask) else None

    def only(self, mask: Mask) -> "Share":
        """Return the share of those readings where a mask holds."""
        chosen = np.flatnonzero(mask)
        less = object.__new__(Share)
        less.at, less.slots = self.pick(chosen)
        less.time_ns, less.value, less.quality = self.time_ns[chosen], self.value[chosen], self.quality[chosen]
        less.worst, less.first_ns, less.last_ns, less.tame = self.worst, self.first_ns, self.last_ns, self.tame
        less.marks, less._valued = self.marks, None
        return less

    def with_value(self) -> "Share":
        """Return the share of the readings that are not BAD; itself where none is."""
        if self.worst < BAD_FROM:
            return self
        if self._valued is None:
            self._valued = self.only(self.quality < BAD_FROM)
        return self._valued

    def good(self) -> Mask | None:
        """Return which readings are not BAD, for those who write where they hold; None for all of them."""
        return None if self.worst < BAD_FROM else self.quality < BAD_FROM


def _picked(where: Where, chosen: Slots) -> Slots:
    return chosen + where.start if isinstance(where, slice) else where[chosen]


def _where(places: Slots) -> Where:
    """Return places as a slice where they are without gaps and in order."""
    n = len(places)
    if n and places[-1] - places[0] == n - 1 and (np.diff(places) == 1).all():
        return slice(int(places[0]), int(places[0]) + n)
    return places


class Bank:
    """The rules of one detector: which slot judges a row, their levels, and the verdicts on them.

    Args:
        rules: The rules, each judging `rule.channel`; no channel occurs twice.

    Attributes:
        size: Number of rules; also the spare slot.
        levels: int8[size + 1], the level last reported, the spare slot's always NORMAL.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        rows = [rule.channel.row for rule in rules]
        self.size = len(rules)
        self.levels: Int8 = np.zeros(self.size + 1, np.int8)
        self._index: Int32 = np.array([rule.index for rule in rules], np.int32)
        # intp, not int32: numpy casts any other index type at every take. The last entry serves all rows beyond.
        self._slot: Slots = np.full(max(rows, default=-1) + 2, self.size, np.intp)
        self._slot[rows] = np.arange(self.size)
        self._places: dict[Layout, Places] = {}
        self._none_raised = self.levels.tobytes()

    def share(self, batch: Batch) -> Share:
        """Return what of a batch these rules judge; cheap when its rows have come in this order before."""
        facts = _MEMORY.facts(batch)
        places = self._places.get(facts.layout)
        if places is None:
            return Share(facts, *self._find(facts))
        share = facts.shares.get(id(places))
        if share is None:
            facts.shares[id(places)] = share = Share(facts, *places)
        return share

    def _find(self, facts: Facts) -> Places:
        slots = self.slots(facts.batch.row)
        at = np.flatnonzero(slots < self.size)
        places: Places = at, slots[at]
        if facts.layout.known:
            # What comes once is not worth remembering, nor a look at whether it could be a slice.
            if len(self._places) >= LAYOUTS_MAX:
                self._places.clear()
            self._places[facts.layout] = places = facts.layout.same((_where(at), _where(slots[at])))
        return places

    def any_raised(self) -> bool:
        """Return whether any rule's level is not NORMAL, ten times cheaper than to ask for which."""
        return self.levels.tobytes() != self._none_raised

    def slots(self, rows: Int32) -> Slots:
        """Return the slot of each row; the spare slot for rows without a rule."""
        return self._slot.take(rows, mode="clip")

    def by_slot(self, by_row: Mask) -> Mask:
        """Return bool[size + 1] from bool[channels]: what holds for each rule's first channel; never for the spare."""
        found: Mask = np.zeros(self.size + 1, np.bool_)
        found[self._slot[: len(by_row)]] = by_row[: len(self._slot)]
        found[self.size] = False
        return found

    @property
    def level(self) -> Int8:
        """int8[size], a view: the level last reported for each rule."""
        return self.levels[: self.size]

    def set_level(self, level: Int8) -> None:
        """Set what was last reported, as the pipeline does when it restores alarms without their readings."""
        self.levels[: self.size] = level

    def changed(self, slots: Slots, after: Int8) -> Slots:
        """Return the positions at which a new level differs from the one last reported."""
        return np.flatnonzero(after != self.levels[slots])

    def report(
        self,
        batch: Batch,
        at: Slots,
        slots: Slots,
        level: Int8,
        *,
        judged: tuple[Float64, Float64, Float32],
        quality: UInt8 | None = None,
        reason: tuple[Reason, ...] = (),
    ) -> Verdicts:
        """Take over new levels and return the verdicts.

        Args:
            batch: The readings.
            at: Positions in the batch of those that changed a level.
            slots: Their slots.
            level: The new levels.
            judged: The values judged, what they were compared with, and the scores.
            quality: The faults found; by default the readings' own qualities.
            reason: Why, one for each, or none.
        """
        self.levels[slots] = level
        value, limit, score = judged
        found = batch.quality[at] if quality is None else quality
        return Verdicts(self._index[slots], level, score, batch.time_ns[at], value, limit, found, reason)


class Judge:
    """What every detector is made of: its bank, and state columns that are saved and restored by name.

    A detector adds its columns to `columns`, each with one slot for each rule and the spare one last, and where other
    things follow from them, sets those anew in `_restored`.

    Args:
        rules: The rules.

    Attributes:
        columns: All state, by name; `level` is there already.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._bank = Bank(rules)
        self.columns: dict[str, NDArray[np.generic]] = {"level": self._bank.levels}

    @property
    def level(self) -> Int8:
        """int8[len(rules)], the level last reported for each rule; may be set."""
        return self._bank.level

    @level.setter
    def level(self, level: Int8) -> None:
        self._bank.set_level(level)

    def save(self) -> dict[str, NDArray[np.generic]]:
        """Return all state but the spare slot's."""
        return {name: column[:-1].copy() for name, column in self.columns.items()}

    def restore(self, state: State) -> None:
        """Take over what `save` returned. Raises ValueError where it was saved for other rules."""
        for name, column in self.columns.items():
            fill(column, state, name)
        self._restored()

    def _restored(self) -> None:
        """Set what follows from the columns, after they have been filled."""


def margin(judged: Float64, limit: Float64) -> Float32:
    """Return how far each value lies from its limit, as a share of the limit; from a limit of 0, the distance itself.

    Positive above the limit, negative below it; NaN where either is not finite.

    >>> margin(np.array([30.0, 2.0]), np.array([25.0, 0.0])).round(2).tolist()
    [0.20000000298023224, 2.0]
    """
    scale = np.abs(limit)
    with np.errstate(over="ignore", invalid="ignore"):
        share = ((judged - limit) / np.where(scale > 0, scale, 1.0)).astype(np.float32)
    return np.where(np.isfinite(share), share, np.float32(np.nan))


class Delay:
    """A delay of each rule, counted in the time of readings and never by a clock.

    A replayed day must alarm at the same readings, and a silent instrument must not count as one that agrees.

    Args:
        delay_ns: int64[size + 1], how long each rule waits.
    """

    def __init__(self, delay_ns: Int64) -> None:
        self._delay_ns = delay_ns
        self.since_ns: Int64 = np.full(len(delay_ns), IDLE, np.int64)

    def due(self, slots: Slots, time_ns: Int64, going: Mask, hold: Mask | None = None) -> Mask:
        """Return where the condition has held for its whole delay.

        Args:
            slots: The rules.
            time_ns: The times of their readings. One earlier than the delay's start becomes its start.
            going: Where the condition holds.
            hold: Where the reading says nothing: the delay is neither counted nor started again.
        """
        since = self.since_ns[slots]
        rest = IDLE if hold is None else np.where(hold, since, IDLE)
        since = np.where(going, np.minimum(since, time_ns), rest)
        self.since_ns[slots] = since
        result: Mask = going & (time_ns - since >= self._delay_ns[slots])
        return result

    def running(self) -> Mask:
        """Return which delays run."""
        running: Mask = self.since_ns != IDLE
        return running


class Ladder:
    """The two alarm steps of rules, with a delay before each step up and each step down.

    Args:
        bank: The rules' levels; read here, set by `Bank.verdicts`.
        on_delay_ns: int64[size + 1], before a step up.
        off_delay_ns: int64[size + 1], before a step down.
    """

    def __init__(self, bank: Bank, on_delay_ns: Int64, off_delay_ns: Int64) -> None:
        self._bank = bank
        self._low_on, self._high_on = Delay(on_delay_ns), Delay(on_delay_ns)
        self._low_off, self._high_off = Delay(off_delay_ns), Delay(off_delay_ns)
        self._delays = {
            "low_on_ns": self._low_on,
            "high_on_ns": self._high_on,
            "low_off_ns": self._low_off,
            "high_off_ns": self._high_off,
        }
        self._busy: Mask = np.zeros(bank.size + 1, np.bool_)
        self._any_busy = False

    def any_awake(self) -> bool:
        """Return whether `awake` holds for any rule, at little cost."""
        return self._any_busy or self._bank.any_raised()

    def awake(self, slots: Where) -> Mask:
        """Return which of `slots` must be judged in full: in alarm, or with a delay that runs."""
        awake: Mask = self._bank.levels[slots] != NORMAL
        if self._any_busy:
            awake |= self._busy[slots]
        return awake

    def step(self, slots: Slots, time_ns: Int64, over: Steps, under: Steps, hold: Mask) -> Int8:
        """Return the levels after these readings.

        Args:
            slots: The rules.
            time_ns: The times of their readings.
            over: Where the first and the second step's condition holds.
            under: Where the first and the second step's condition is gone, deadband included.
            hold: Where the reading clears nothing, and where not `over`, says nothing at all.
        """
        before = self._bank.levels[slots]
        low_on = self._low_on.due(slots, time_ns, over[0], hold)
        high_on = self._high_on.due(slots, time_ns, over[1], hold)
        low_off = self._low_off.due(slots, time_ns, under[0] & ~hold & (before >= Level.LOW))
        high_off = self._high_off.due(slots, time_ns, under[1] & ~hold & (before >= Level.HIGH))
        self._note_busy(slots)
        up = np.where(high_on, HIGH, np.where(low_on, LOW, NORMAL))
        floor = np.where(low_off, NORMAL, LOW)
        down = np.where(before >= HIGH, np.where(high_off, floor, before), np.minimum(floor, before))
        level: Int8 = np.maximum(up, down)
        return level

    def _note_busy(self, slots: Slots) -> None:
        self._busy[slots] = (self._low_on.since_ns[slots] != IDLE) | (self._high_on.since_ns[slots] != IDLE)
        self._any_busy = bool(self._busy.any())

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the running delays, for `Judge.columns`."""
        return {name: delay.since_ns for name, delay in self._delays.items()}

    def restored(self) -> None:
        """Take note of delays that were filled in."""
        self._busy[:] = self._low_on.running() | self._high_on.running()
        self._any_busy = bool(self._busy.any())


class Switch:
    """One step with its delays: what most warnings and faults need.

    Args:
        bank: The rules' levels; read here, set by `Bank.report`.
        level: The level that the step raises.
        on_delay_ns: int64[size + 1], before it is raised.
        off_delay_ns: int64[size + 1], before it is over.
    """

    def __init__(self, bank: Bank, level: Level, on_delay_ns: Int64, off_delay_ns: Int64) -> None:
        self._bank, self._level = bank, np.int8(level)
        self._on, self._off = Delay(on_delay_ns), Delay(off_delay_ns)
        self._any_on = False

    def any_awake(self) -> bool:
        """Return whether `awake` holds for any rule, at little cost."""
        return self._any_on or self._bank.any_raised()

    def awake(self, slots: Where) -> Mask:
        """Return which of `slots` must be judged in full: raised, or with an on-delay that runs."""
        awake: Mask = self._bank.levels[slots] != NORMAL
        if self._any_on:
            awake |= self._on.since_ns[slots] != IDLE
        return awake

    def step(self, slots: Slots, time_ns: Int64, over: Mask, under: Mask, hold: Mask) -> Int8:
        """Return the levels after these readings.

        Args:
            slots: The rules.
            time_ns: The times of their readings.
            over: Where the condition holds.
            under: Where it is gone, deadband included.
            hold: Where the reading clears nothing, and where not `over`, says nothing at all.
        """
        before = self._bank.levels[slots]
        on = self._on.due(slots, time_ns, over, hold)
        off = self._off.due(slots, time_ns, under & ~hold & (before != NORMAL))
        self._any_on = bool(self._on.running().any())
        level: Int8 = np.where(on, self._level, np.where(off, NORMAL, before))
        return level

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the running delays, for `Judge.columns`."""
        return {"on_ns": self._on.since_ns, "off_ns": self._off.since_ns}

    def restored(self) -> None:
        """Take note of delays that were filled in."""
        self._any_on = bool(self._on.running().any())


def fill(column: NDArray[np.generic], state: State, name: str) -> None:
    """Copy a saved array into a state column, which has one slot more.

    Raises:
        ValueError: It was saved for other rules.
    """
    saved = state[name]
    if saved.shape != (len(column) - 1, *column.shape[1:]) or saved.dtype != column.dtype:
        raise ValueError(f"saved {name} is {saved.dtype}{list(saved.shape)}, not of {len(column) - 1} rules")
    column[:-1] = saved


def is_bad(quality: UInt8) -> Mask:
    """Return where there is no value."""
    bad: Mask = quality >= BAD_FROM
    return bad


def is_over_range(quality: UInt8) -> Mask:
    """Return where the instrument says that it is beyond its range."""
    over_range: Mask = quality == OVER_RANGE
    return over_range
