"""Suppression by design: which conditions of the site file hold now, and so which alarms are put aside by its logic.

Every doubt ends a suppression: a deciding channel without a value, one under test or maintenance, a deciding alarm
whose rule has a fault or that is out of service. One that has ended begins again after ten seconds at the earliest, so
that a deciding value that flickers cannot fill the journal; one that has run out (`max_ns`) begins again only when its
condition has been seen gone. After a start, one with such a limit goes on only where its alarms still say so: a restart
must not give it its whole time anew.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from gateway.alarms.source import SYSTEM
from gateway.core.alarm import AlarmEvent, AlarmState, Suppression
from gateway.core.clock import NS_PER_S
from gateway.core.model import Batch, Int32, Quality, Reason, quality_name

REBEGIN_NS: Final = 10 * NS_PER_S
"""How long a suppression that has ended stays so."""
BELIEVED: Final = frozenset({Quality.GOOD, Quality.UNCERTAIN, Quality.CLOCK_DOUBTFUL, Quality.OVER_RANGE})
"""Qualities of a deciding reading that says how the plant is."""


_UNSAID = Reason("", "")


class Turn(NamedTuple):
    """A suppression begins or ends.

    Attributes:
        suppression: Which.
        begins: It begins; else it ends.
        time_ns: When.
        why: Why, in both languages.
        until_ns: When it ends by itself, or 0.
    """

    suppression: Suppression
    begins: bool
    time_ns: int
    why: Reason
    until_ns: int = 0


@dataclass(slots=True)
class _State:
    """How one suppression stands."""

    suppression: Suppression
    on: bool = False
    holds: bool = False
    until_ns: int = 0
    ended_ns: int = 0
    spent: bool = False


class Logic:
    """Follows the deciding channels and alarms of a site's suppressions.

    Args:
        suppressions: What the site file says; their ids unique, none an alarm's id.

    Attributes:
        rows: int32, the rows of the deciding channels, ascending.
    """

    def __init__(self, suppressions: Sequence[Suppression]) -> None:
        self._states = {each.id: _State(each, spent=each.max_ns > 0) for each in suppressions}
        self._by_row: dict[int, list[_State]] = {}
        self._by_alarm: dict[str, list[_State]] = {}
        for state in self._states.values():
            if state.suppression.alarm:
                self._by_alarm.setdefault(state.suppression.alarm, []).append(state)
            else:
                self._by_row.setdefault(state.suppression.row, []).append(state)
        self.rows: Int32 = np.array(sorted(self._by_row), np.int32)

    def __contains__(self, suppression: str) -> bool:
        return suppression in self._states

    def suppressions(self) -> list[Suppression]:
        """Return all of them, in the order of the site file."""
        return [state.suppression for state in self._states.values()]

    def deciders(self) -> Iterable[str]:
        """Return the ids of the alarms that decide."""
        return self._by_alarm.keys()

    def running(self) -> list[tuple[Suppression, int]]:
        """Return those that hold now, each with when it ends by itself, 0 where it does not."""
        return [(state.suppression, state.until_ns) for state in self._states.values() if state.on]

    def read(self, batch: Batch) -> Iterator[Turn]:
        """Take readings in their order; those of channels that decide nothing are passed over."""
        if not len(self.rows):
            return
        at = np.flatnonzero(np.isin(batch.row, self.rows))
        columns = (batch.row[at], batch.time_ns[at], batch.value[at], batch.quality[at])
        for row, time_ns, value, quality in zip(*(column.tolist() for column in columns), strict=True):
            for state in self._by_row[row]:
                yield from self._read(state, time_ns, value, quality)

    def heard(self, event: AlarmEvent) -> Iterator[Turn]:
        """Take an alarm's event; those of alarms that decide nothing are passed over."""
        for state in self._by_alarm.get(event.alarm, ()):
            active = _is_active(event)
            if event.condition == "normal":
                state.spent = False
            over = Reason(f"{event.alarm} is active no more", f"{event.alarm} 不再有效")
            yield from self._weigh(state, event.time_ns, over, holds=active)

    def advance(self, now_ns: int) -> Iterator[Turn]:
        """End those whose time is over, and begin those whose condition has waited for that."""
        for state in self._states.values():
            if state.holds and not state.on:
                yield from self._weigh(state, now_ns, _UNSAID, holds=True)
            # A clock that was set back must not make it longer than the site file allows.
            over = state.until_ns <= now_ns or state.until_ns - now_ns > state.suppression.max_ns
            if state.on and state.until_ns and over:
                state.spent = True
                seconds = f"{state.suppression.max_ns / NS_PER_S:g}"
                why = Reason(f"its longest time of {seconds} s is over", f"已达最长时间 {seconds} 秒")
                yield from self._end(state, now_ns, why)

    def restore(self, last_events: Iterable[AlarmEvent]) -> list[Turn]:
        """Take over, from the last event of every alarm, which suppressions held; returns them as begun.

        What their conditions say now is known with the next reading, or with `heard`.
        """
        found: dict[str, int] = {}
        for event in last_events:
            if event.state is AlarmState.SUPPRESSED and event.suppressed_by in self._states:
                found[event.suppressed_by] = max(event.until_ns, found.get(event.suppressed_by, 0))
        turns: list[Turn] = []
        for name, until_ns in found.items():
            state = self._states[name]
            if state.suppression.max_ns and not until_ns:
                continue  # it had no limit before; a fresh beginning gives it one
            state.on, state.spent = True, False
            state.until_ns = until_ns if state.suppression.max_ns else 0
            turns.append(_begin(state, 0))
        return turns

    def _read(self, state: _State, time_ns: int, value: float, quality: int) -> Iterator[Turn]:
        believed = quality in BELIEVED
        holds = believed and _holds(state.suppression, value)
        if believed and not holds:
            state.spent = False
        yield from self._weigh(state, time_ns, _over(state.suppression, value, quality, believed=believed), holds=holds)

    def _weigh(self, state: _State, time_ns: int, over: Reason, *, holds: bool) -> Iterator[Turn]:
        state.holds = holds
        if state.on and not holds:
            yield from self._end(state, time_ns, over)
        elif holds and not state.on and not state.spent and not 0 <= time_ns - state.ended_ns < REBEGIN_NS:
            state.on = True
            state.until_ns = time_ns + state.suppression.max_ns if state.suppression.max_ns else 0
            yield _begin(state, time_ns)

    @staticmethod
    def _end(state: _State, time_ns: int, over: Reason) -> Iterator[Turn]:
        name = state.suppression.id
        state.on, state.until_ns, state.ended_ns = False, 0, time_ns
        why = Reason(f"{name}: {over.en}", f"{name}：{over.zh}")
        yield Turn(state.suppression, begins=False, time_ns=time_ns, why=why)


def _begin(state: _State, time_ns: int) -> Turn:
    why, why_zh = state.suppression.why, state.suppression.why_zh
    name = state.suppression.id
    said = Reason(f"{name}: {why}", f"{name}：{why_zh or why}")
    return Turn(state.suppression, begins=True, time_ns=time_ns, why=said, until_ns=state.until_ns)


def _holds(suppression: Suppression, value: float) -> bool:
    if suppression.above is not None:
        return value > suppression.above
    return suppression.below is not None and value < suppression.below


def _is_active(event: AlarmEvent) -> bool:
    """Whether a deciding alarm says that something is so, and not that nobody knows."""
    if event.state is AlarmState.OUT_OF_SERVICE or event.test:
        return False
    return event.condition != "normal" and (event.condition != "fault" or event.alarm.startswith(SYSTEM))


def _over(suppression: Suppression, value: float, quality: int, *, believed: bool) -> Reason:
    if not believed:
        name = quality_name(quality).replace("_", " ")
        return Reason(f"{suppression.channel} is {name}", f"{suppression.channel} 的读数不可信（{name}）")
    side = ("above", "高于") if suppression.above is not None else ("below", "低于")
    limit = suppression.above if suppression.above is not None else suppression.below
    return Reason(
        f"{suppression.channel} at {value:g} is not {side[0]} {limit:g}",
        f"{suppression.channel} 为 {value:g}，不再{side[1]} {limit:g}",
    )
