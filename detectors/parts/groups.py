"""What detectors of rules with several channels share: whose reading it is, rounds, state a member, words for reasons.

A rule's members are its channels, in the order of `Rule.channels`; a member is found by the rule's slot and its place.
State is kept in columns of one row a rule and one place a member. Rules of one detector have equally many members, as
the pipeline arranges them, or the shorter rows have empty places.

Any cut of readings into batches must give the same verdicts. What a member knows of itself may be worked out for a
whole batch at once, as no channel occurs twice in it; what a rule makes of its members is worked out in rounds.

    >>> from gateway.core.plugin import PluginOptions
    >>> channels = [Channel(row, f"c{row}", "i", "x") for row in range(4)]
    >>> rules = [Rule(k, f"r{k}", "x", tuple(channels[2 * k : 2 * k + 2]), PluginOptions()) for k in range(2)]
    >>> members = Members(rules)
    >>> for at, slots, places in members.rounds(np.array([3, 1, 0, 9], np.int32)):
    ...     print(at.tolist(), slots.tolist(), places.tolist())
    [0, 1] [1, 0] [1, 1]
    [2] [0] [0]
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.parts.bank import Judge, Mask, Slots
from gateway.core.model import NO_VERDICTS, Batch, Channel, Int32, Reason, Rule, Verdicts

Kind = TypeVar("Kind", bound=np.generic)

Round = tuple[Slots, Slots, Slots]
"""Positions in a batch, the slots of their rules, and their places among the rule's members."""

_WRITTEN_OUT_MAX: Final = 1e9
_CHANGE: Final = {"°C": "K", "℃": "K"}


class Members:
    """Which rule and which of its members each row of the channel table is.

    Args:
        rules: The rules; no channel occurs twice.

    Attributes:
        size: Number of rules; also the spare slot, which serves rows without a rule, at place 0.
        width: Places a rule, as many as the largest has members.
        there: bool[size + 1, width], the places that have a member.
        row: intp[size + 1, width], their channels' rows; 0 where there is none.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.size, self.width = len(rules), max((len(rule.channels) for rule in rules), default=1)
        self.there: Mask = np.zeros((self.size + 1, self.width), np.bool_)
        self.row: Slots = np.zeros((self.size + 1, self.width), np.intp)
        rows = [channel.row for rule in rules for channel in rule.channels]
        # The last entry serves all rows beyond.
        self._slot: Slots = np.full(max(rows, default=-1) + 2, self.size, np.intp)
        self._place: Slots = np.zeros(len(self._slot), np.intp)
        for slot, rule in enumerate(rules):
            count = len(rule.channels)
            mine = [channel.row for channel in rule.channels]
            self.there[slot, :count] = True
            self.row[slot, :count] = mine
            self._slot[mine] = slot
            self._place[mine] = np.arange(count)

    def find(self, rows: Int32) -> tuple[Slots, Slots]:
        """Return each row's slot and place; the spare slot for rows without a rule."""
        return self._slot.take(rows, mode="clip"), self._place.take(rows, mode="clip")

    def by_member(self, by_row: Mask) -> Mask:
        """Return bool[size + 1, width] from bool[channels]: what holds for each member; never where there is none."""
        long = np.zeros(max(len(by_row), len(self._slot)), np.bool_)
        long[: len(by_row)] = by_row
        found: Mask = long[self.row] & self.there
        return found

    def rounds(self, rows: Int32, only: Mask | None = None) -> Iterator[Round]:
        """Yield a batch in rounds: each rule has at most one reading a round, its readings come in their order.

        Args:
            rows: The batch's rows. Those without a rule are left out.
            only: bool[size + 1], the slots wanted; all by default.
        """
        slots, places = self.find(rows)
        wanted = slots < self.size if only is None else only[slots] & (slots < self.size)
        at = np.flatnonzero(wanted)
        if not len(at):
            return
        nth = _nth(slots[at])
        for k in range(int(nth.max()) + 1):
            now = at[nth == k]
            yield now, slots[now], places[now]


def _nth(slots: Slots) -> Slots:
    """Return how often each entry's slot has occurred before it."""
    order = np.argsort(slots, kind="stable")
    ordered = slots[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    nth: Slots = np.empty(len(slots), np.intp)
    nth[order] = np.arange(len(slots)) - np.repeat(starts, np.diff(np.r_[starts, len(slots)]))
    return nth


class GroupJudge(Judge):
    """A detector of rules with several channels: its bank, its members, and columns that are saved and restored.

    Args:
        rules: The rules.

    Attributes:
        members: Whose reading is whose.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self.members = Members(rules)

    def member_column(self, name: str, fill: float, dtype: type[Kind]) -> NDArray[Kind]:
        """Return a new state column of one value a member, saved and restored by that name.

        Shape (rules + 1, width), filled with `fill`, the spare slot last.
        """
        column = np.full((self.members.size + 1, self.members.width), fill, dtype)
        self.columns[name] = column
        return column

    def rule_column(self, name: str, fill: float, dtype: type[Kind]) -> NDArray[Kind]:
        """Return a new state column of one value a rule, saved and restored by that name; the spare slot last."""
        column = np.full(self.members.size + 1, fill, dtype)
        self.columns[name] = column
        return column


class RoundJudge(GroupJudge, ABC):
    """A detector whose rules are calm most of the time, and are judged reading by reading while they are not."""

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels, in the order in which they changed."""
        slots, places = self.members.find(batch.row)
        mine = np.flatnonzero(slots < self.members.size)
        if not len(mine):
            return NO_VERDICTS
        stirred = self._calm(batch, mine, slots[mine], places[mine])
        if not stirred.any():
            return NO_VERDICTS
        return joined([self._round(batch, *found) for found in self.members.rounds(batch.row, stirred)])

    @abstractmethod
    def _calm(self, batch: Batch, mine: Slots, slots: Slots, places: Slots) -> Mask:
        """Take over the readings of rules that are calm and stay so; return bool[rules + 1], which rules are not."""

    @abstractmethod
    def _round(self, batch: Batch, at: Slots, slots: Slots, places: Slots) -> Verdicts:
        """Judge at most one reading of each rule."""


def member_figures(rules: Sequence[Rule], take: Callable[[Rule, Channel], float], spare: float) -> NDArray[np.float64]:
    """Return float64[rules + 1, width]: one figure a member, and `spare` where there is none."""
    width = max((len(rule.channels) for rule in rules), default=1)
    figures = np.full((len(rules) + 1, width), spare)
    for slot, rule in enumerate(rules):
        figures[slot, : len(rule.channels)] = [take(rule, channel) for channel in rule.channels]
    return figures


def joined(parts: Sequence[Verdicts]) -> Verdicts:
    """Return the verdicts of several rounds as one, in their order; a rule may have changed in more than one."""
    some = [part for part in parts if len(part)]
    if len(some) < 2:
        return some[0] if some else NO_VERDICTS
    columns = ("rule", "level", "score", "time_ns", "value", "limit", "quality")
    together = {name: np.concatenate([getattr(part, name) for part in some]) for name in columns}
    return Verdicts(**together, reason=tuple(reason for part in some for reason in part.reason))


def amount(channel: Channel, value: float, *, signed: bool = False, change: bool = False) -> str:
    """Return a value in words for people, rounded to the channel's decimals; a change of °C is told in K.

    >>> channel = Channel(0, "t", "i", "temperature", "°C", decimals=1)
    >>> amount(channel, 61.24), amount(channel, 6.06, signed=True, change=True)
    ('61.2 °C', '+6.1 K')
    """
    unit = _CHANGE.get(channel.unit, channel.unit) if change else channel.unit
    # Values beyond all reason come from broken instruments; written out they would fill the line.
    form = f".{channel.decimals}f" if abs(value) < _WRITTEN_OUT_MAX else ".3g"
    number = f"{value:+{form}}" if signed else f"{value:{form}}"
    return f"{number} {unit}".rstrip()


def named(channel: Channel) -> Reason:
    """Return what a channel is called, in both languages: its label, else its id."""
    return Reason(channel.label or channel.id, channel.label_zh or channel.label or channel.id)


def listed(parts: Sequence[Reason]) -> Reason:
    """Return several things as one, in both languages.

    >>> listed([Reason("heat", "温度"), Reason("smoke", "烟雾"), Reason("CO", "一氧化碳")])
    Reason(en='heat, smoke and CO', zh='温度、烟雾和一氧化碳')
    """
    if len(parts) < 2:
        return parts[0] if parts else Reason("", "")
    *first, last = parts
    return Reason(
        ", ".join(part.en for part in first) + f" and {last.en}", "、".join(part.zh for part in first) + f"和{last.zh}"
    )
