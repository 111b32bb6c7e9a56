"""Which faults are consequences: a dead bus is one alarm and not one for each channel on it.

A channel whose connection is lost, or whose instrument says nothing at all, has a fault of its own, and forty such
faults hide the one that matters. While the cause is told by an alarm, they are held down by it. Only faults without
any reading (COMMS_LOST, STALE) are consequences: a LOW or HIGH alarm that stands, also one that is merely latched, is
never held down by a cause. Nor does a cause stand for a fault that the site holds to be more urgent than the cause.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from gateway.alarms.source import SYSTEM
from gateway.alarms.state import ASIDE, ON_THE_LIST
from gateway.core.alarm import AlarmEvent, AlarmState, EventKind
from gateway.core.model import Level, Reason

CONNECTION_ALARM = SYSTEM + "connection/"
"""How the id of a connection's own alarm begins; its end is the connection's id."""
SILENT = frozenset({"comms_lost", "stale"})
"""Qualities that say that nothing came at all."""

_HAZARDS = frozenset({"low", "high"})
_BY_PERSON = frozenset({EventKind.SHELVED, EventKind.OUT_OF_SERVICE})


def is_consequence(condition: Level, level: str, quality: str) -> bool:
    """Whether an alarm says no more than that nothing comes from its channel.

    Args:
        condition: What its rule says.
        level: The level it holds.
        quality: The quality it was judged by.
    """
    return condition is Level.FAULT and quality in SILENT and level not in _HAZARDS


class _Silent(NamedTuple):
    """How a fault without readings stands."""

    state: AlarmState
    priority: int


class Causes:
    """Keeps which connections are lost and which instruments are silent, from the events of their alarms.

    The first fault of a silent instrument stands for its others while it is on the list: one that a person has put
    aside stands for nothing. A lost connection stands for all its channels, also where a person who saw it lost has put
    its alarm aside since; one that is lost while its alarm is aside already is told to nobody, and stands for nothing.

    Args:
        lines: The connection of each instrument.
    """

    def __init__(self, lines: Mapping[str, str]) -> None:
        self._lines = {instrument: CONNECTION_ALARM + connection for instrument, connection in lines.items()}
        self._lost: dict[str, int] = {}
        self._silent: dict[str, dict[str, _Silent]] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._lost.clear()
        self._silent.clear()

    def cause_of(self, alarm: str, instrument: str, priority: int) -> str:
        """Return the alarm that stands for a consequence, or an empty text where none does.

        Args:
            alarm: The consequence.
            instrument: Its instrument.
            priority: The consequence's own; what is told less urgently does not stand for it.
        """
        line = self._lines.get(instrument, "")
        if self._lost.get(line, priority + 1) <= priority:
            return line
        others = self._silent.get(instrument, {}).items()
        told = (name for name, one in others if one.state in ON_THE_LIST and one.priority <= priority)
        return min((name for name in told if name != alarm), default="")

    def is_lost(self, line: str) -> bool:
        """Whether a connection's alarm stands for its channels."""
        return line in self._lost

    def stands(self, cause: str, alarm: str, instrument: str) -> bool:
        """Whether what held a consequence down still does."""
        if cause in self._lost:
            return self._lines.get(instrument, "") == cause
        one = self._silent.get(instrument, {}).get(cause)
        return cause != alarm and one is not None and one.state in ON_THE_LIST

    def take(self, event: AlarmEvent) -> Iterable[str]:
        """Take note of an alarm's event; returns the consequences of a connection that it tells to be lost."""
        if event.alarm.startswith(CONNECTION_ALARM):
            return self._line(event)
        if event.instrument and event.channel:
            self._channel(event)
        return ()

    def _line(self, event: AlarmEvent) -> Iterable[str]:
        if event.condition == "normal" or (event.state in ASIDE and event.kind not in _BY_PERSON):
            self._lost.pop(event.alarm, None)
            return ()
        known = event.alarm in self._lost
        self._lost[event.alarm] = event.priority
        return () if known else list(self._on(event.alarm))

    def _on(self, line: str) -> Iterator[str]:
        for instrument, silent in self._silent.items():
            if self._lines.get(instrument) == line:
                yield from silent

    def _channel(self, event: AlarmEvent) -> None:
        silent = self._silent.get(event.instrument)
        if event.condition == "fault" and is_consequence(Level.FAULT, event.level, event.quality):
            if silent is None:
                silent = self._silent[event.instrument] = {}
            silent[event.alarm] = _Silent(event.state, event.priority)
        elif silent is not None and silent.pop(event.alarm, None) is not None and not silent:
            del self._silent[event.instrument]


def begins(cause: str) -> Reason:
    """Return why a consequence is held down."""
    if cause.startswith(CONNECTION_ALARM):
        name = cause.removeprefix(CONNECTION_ALARM)
        return Reason(f"connection {name} is lost; its alarm stands for this one", f"连接 {name} 中断，由其报警代表")
    return Reason(f"its instrument is silent; {cause} stands for this one", f"仪表无数据，由 {cause} 代表")


def ends(cause: str) -> Reason:
    """Return why a consequence is held down no more."""
    return Reason(f"{cause} stands for it no more", f"{cause} 不再代表此报警")
