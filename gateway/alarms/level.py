"""Levels over time: what a change of a rule's opinion means, which level an alarm holds, what a shelving covers."""

from collections.abc import Mapping

import numpy as np

from gateway.alarms.state import Trigger
from gateway.core.alarm import AlarmState
from gateway.core.model import Int8, Level, Priority

NAME: Mapping[Level, str] = {level: level.name.lower() for level in Level}
"""Levels as they stand in events."""
BY_NAME: Mapping[str, Level] = {name: level for level, name in NAME.items()}

SEVERITY: Mapping[Level, int] = {
    Level.NORMAL: 0,
    Level.WARNING: 1,
    Level.FAULT: 2,
    Level.LOW: 3,
    Level.HIGH: 4,
}
"""How bad a level is. Not the number of the level: gas that is there is worse than an instrument that is not."""
SEVERITIES: Int8 = np.array([SEVERITY[level] for level in Level], np.int8)
"""The same for columns of levels: `SEVERITIES[level]`."""

_HAZARDS = frozenset({Level.LOW, Level.HIGH})
_HAZARDOUS = {
    Level.LOW: Priority.ORANGE,
    Level.HIGH: Priority.RED,
    Level.FAULT: Priority.YELLOW,
    Level.WARNING: Priority.BLUE,
}
_OTHER = {
    Level.LOW: Priority.YELLOW,
    Level.HIGH: Priority.ORANGE,
    Level.FAULT: Priority.YELLOW,
    Level.WARNING: Priority.BLUE,
}


def is_hazard(level: Level) -> bool:
    """Whether the level says that something dangerous is there (LOW, HIGH), and not that nothing is known."""
    return level in _HAZARDS


def default_priorities(hazardous: bool) -> dict[Level, Priority]:  # noqa: FBT001 - the one question it answers
    """Return the priority of each level where a rule names none.

    Args:
        hazardous: The rule judges gas or fire.

    >>> default_priorities(True)[Level.HIGH].name, default_priorities(False)[Level.HIGH].name
    ('RED', 'ORANGE')
    """
    return dict(_HAZARDOUS if hazardous else _OTHER)


def trigger_of(before: Level, now: Level) -> Trigger:
    """Return what a changed condition means.

    Compared is what the rule said before, not what the alarm holds: gas that rises again to a level which the alarm
    has held since an earlier peak is news. An instrument that fails during an alarm counts as worse, and so does an
    alarm that comes out of a fault: nobody saw what happened in between. What sinks to a warning is seen again, and is
    less than any of the others.

    >>> trigger_of(Level.HIGH, Level.FAULT), trigger_of(Level.HIGH, Level.LOW)
    (<Trigger.ESCALATE: 'escalate'>, <Trigger.DE_ESCALATE: 'de_escalate'>)
    """
    if now is Level.NORMAL:
        return Trigger.RETURN
    if before is Level.NORMAL:
        return Trigger.RAISE
    better = now is Level.WARNING or (before, now) == (Level.HIGH, Level.LOW)
    return Trigger.DE_ESCALATE if better else Trigger.ESCALATE


def is_covered(shelved: Level, now: Level) -> bool:
    """Whether a shelving keeps a level quiet.

    It covers the level that the alarm held when it was shelved. Shelved while normal, it covers whatever comes
    first, but never HIGH.

    >>> is_covered(Level.LOW, Level.HIGH), is_covered(Level.FAULT, Level.LOW), is_covered(Level.NORMAL, Level.LOW)
    (False, False, True)
    """
    if shelved is Level.NORMAL:
        return now is not Level.HIGH
    return SEVERITY[now] <= SEVERITY[shelved]


def worse(one: Level, other: Level) -> Level:
    """Return the more severe of two levels."""
    return one if SEVERITY[one] >= SEVERITY[other] else other


def level_after(before: Level, condition: Level, old: AlarmState, new: AlarmState, *, latching: bool) -> Level:
    """Return the level that an alarm holds after a transition.

    Args:
        before: The level it held.
        condition: What the rule says now.
        old: The state before.
        new: The state after.
        latching: Its rule latches.

    A latching alarm keeps the highest level since it was LOW or HIGH until it is reset; faults and warnings are never
    latched. Any other follows its condition, except that an instrument which fails during an alarm lowers nothing: a
    missing value is no evidence of safety. What is out of service or suppressed keeps what it held before, so that a
    test gas leaves no latched alarm behind.
    """
    if new is AlarmState.NORMAL:
        return Level.NORMAL
    if new in (AlarmState.OUT_OF_SERVICE, AlarmState.SUPPRESSED):
        return before
    if new is AlarmState.SHELVED:
        return worse(before, condition)
    if new not in (AlarmState.UNACKED, AlarmState.ACKED):
        return before
    if latching and is_hazard(before):
        return worse(before, condition)
    blind = condition is Level.FAULT and is_hazard(before)
    return before if blind and old in (AlarmState.UNACKED, AlarmState.ACKED, AlarmState.SHELVED) else condition
