"""The table of alarm states as data: what each trigger does in each state; book, tests and page read the same.

After ISA-18.2 / IEC 62682, with the latched states that GB 16808 and GB 4717-2024 5.4.1.1 ask of gas and fire alarms.
Silence is not in the table: it concerns the sound of the whole site and changes the state of no alarm.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from types import MappingProxyType

from gateway.core.alarm import AlarmState, EventKind

S = AlarmState
K = EventKind


class Trigger(StrEnum):
    """What can happen to an alarm."""

    RAISE = "raise"
    """The condition comes, or is still there after a reset."""
    ESCALATE = "escalate"
    """The condition gets worse: low to high, fault to low or high, or the instrument fails during an alarm."""
    DE_ESCALATE = "de_escalate"
    """The condition gets better and stays: high to low, anything to a warning."""
    RETURN = "return"
    """The condition goes."""
    ACKNOWLEDGE = "acknowledge"
    RESET = "reset"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    EXPIRE = "expire"
    """The time of the shelving is over."""
    EXCEED = "exceed"
    """The condition is about to rise above what was shelved."""
    TAKE_OUT = "take_out"
    """Out of service, by a person."""
    PUT_BACK = "put_back"
    """Return to service, by a person."""
    SUPPRESS = "suppress"
    """The site's own logic puts the alarm aside, or a cause that stands for it."""
    UNSUPPRESS = "unsuppress"
    REMOVE = "remove"
    """The rule is no longer in the site file."""


T = Trigger

ASIDE = frozenset({S.SHELVED, S.SUPPRESSED, S.OUT_OF_SERVICE})
"""Put aside: listed apart, silent, the condition is followed all the same."""
UNACKNOWLEDGED = frozenset({S.UNACKED, S.RETURNED, S.LATCHED_UNACKED})
"""Waits for a person; sounds until acknowledged or silenced, also after the condition has gone (ISA-18.1 lock-in)."""
ACKNOWLEDGED = frozenset({S.ACKED, S.LATCHED_ACKED})
ON_THE_LIST = UNACKNOWLEDGED | ACKNOWLEDGED
"""Neither normal nor put aside."""


@dataclass(frozen=True, slots=True)
class Step:
    """The trigger changes the alarm, by one event.

    Attributes:
        state: The state after it.
        kind: The event's kind.
        annunciate: The event starts the sound.
    """

    state: AlarmState
    kind: EventKind
    annunciate: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing changes and no event is made; `reason` says why that is right."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A person's command that the state does not allow; `reason` says why and what would be allowed."""

    reason: str


Outcome = Step | Ignored | Refused


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        state: The state before.
        trigger: What happens.
        outcome: What it does.
        active: Holds only where the condition is there after the trigger (True) or not (False); None: either way.
        held: Holds only where the alarm's latch holds it (True) or not (False); None: either way. The latch holds an
            alarm of a latching rule from the moment it reaches LOW or HIGH; a fault is never latched.
        inhibited: Holds only where the site's own logic or a cause holds the alarm down (True) or not (False); None:
            either way. So what must not sound is never on the list, not even for a moment.
    """

    state: AlarmState
    trigger: Trigger
    outcome: Outcome
    active: bool | None = None
    held: bool | None = None
    inhibited: bool | None = None

    def matches(self, *, active: bool, held: bool, inhibited: bool) -> bool:
        """Whether the row holds for these circumstances."""
        return self.active in (None, active) and self.held in (None, held) and self.inhibited in (None, inhibited)


def _rows() -> Iterator[Row]:
    yield from _from_normal()
    yield from _from_unacked()
    yield from _from_acked()
    yield from _from_returned()
    yield from _from_latched()
    yield from _from_shelved()
    yield from _from_suppressed()
    yield from _from_out_of_service()
    for state in S:
        yield from _removal(state)


def _from_normal() -> Iterator[Row]:
    # A reset while the condition persists leaves NORMAL with a condition until the rule is evaluated again.
    for trigger in (T.RAISE, T.ESCALATE, T.DE_ESCALATE):
        yield from _unless_inhibited(S.NORMAL, trigger, K.RAISED)
    yield Row(S.NORMAL, T.RETURN, Step(S.NORMAL, K.CLEARED))
    yield Row(S.NORMAL, T.ACKNOWLEDGE, Refused("there is nothing to acknowledge"))
    yield Row(S.NORMAL, T.RESET, Refused("there is nothing to reset"))
    yield from _can_be_put_aside(S.NORMAL)
    yield from _is_not_aside(S.NORMAL)


def _from_unacked() -> Iterator[Row]:
    yield Row(S.UNACKED, T.RAISE, Ignored("The alarm is raised already."))
    yield from _unless_inhibited(S.UNACKED, T.ESCALATE, K.ESCALATED)
    yield Row(S.UNACKED, T.DE_ESCALATE, Step(S.UNACKED, K.DE_ESCALATED))
    yield Row(S.UNACKED, T.RETURN, Step(S.LATCHED_UNACKED, K.RETURNED), held=True)
    yield Row(S.UNACKED, T.RETURN, Step(S.RETURNED, K.RETURNED), held=False)
    yield Row(S.UNACKED, T.ACKNOWLEDGE, Step(S.ACKED, K.ACKNOWLEDGED))
    yield Row(S.UNACKED, T.RESET, Refused("acknowledge it first, then reset it"))
    yield from _can_be_put_aside(S.UNACKED)
    yield from _is_not_aside(S.UNACKED)


def _from_acked() -> Iterator[Row]:
    yield Row(S.ACKED, T.RAISE, Ignored("The alarm is raised already."))
    yield from _unless_inhibited(S.ACKED, T.ESCALATE, K.ESCALATED)
    yield Row(S.ACKED, T.DE_ESCALATE, Step(S.ACKED, K.DE_ESCALATED))
    yield Row(S.ACKED, T.RETURN, Step(S.LATCHED_ACKED, K.RETURNED), held=True)
    yield Row(S.ACKED, T.RETURN, Step(S.NORMAL, K.CLEARED), held=False)
    yield Row(S.ACKED, T.ACKNOWLEDGE, Ignored("Somebody was quicker; what the person wants is done."))
    # GB 16808: the alarm comes back within 20 s of a reset where the gas is still there; here with the next reading.
    yield Row(S.ACKED, T.RESET, Step(S.NORMAL, K.RESET), held=True)
    yield Row(S.ACKED, T.RESET, Refused("it is not latched and ends by itself when the condition goes"), held=False)
    yield from _can_be_put_aside(S.ACKED)
    yield from _is_not_aside(S.ACKED)


def _from_returned() -> Iterator[Row]:
    yield from _unless_inhibited(S.RETURNED, T.RAISE, K.RAISED)
    yield from _has_no_condition(S.RETURNED)
    yield Row(S.RETURNED, T.ACKNOWLEDGE, Step(S.NORMAL, K.ACKNOWLEDGED))
    yield Row(S.RETURNED, T.RESET, Refused("it is not latched; acknowledge it, and it ends"))
    yield from _can_be_put_aside(S.RETURNED)
    yield from _is_not_aside(S.RETURNED)


def _from_latched() -> Iterator[Row]:
    for state in (S.LATCHED_UNACKED, S.LATCHED_ACKED):
        yield Row(state, T.RAISE, Step(S.UNACKED, K.RAISED, annunciate=True))
        yield from _has_no_condition(state)
        yield from _can_be_put_aside(state)
        yield from _is_not_aside(state)
    yield Row(S.LATCHED_UNACKED, T.ACKNOWLEDGE, Step(S.LATCHED_ACKED, K.ACKNOWLEDGED))
    yield Row(S.LATCHED_UNACKED, T.RESET, Refused("acknowledge it first, then reset it"))
    yield Row(S.LATCHED_ACKED, T.ACKNOWLEDGE, Ignored("Somebody was quicker; what the person wants is done."))
    yield Row(S.LATCHED_ACKED, T.RESET, Step(S.NORMAL, K.RESET))


def _from_shelved() -> Iterator[Row]:
    yield from _follows_silently(S.SHELVED)
    yield Row(S.SHELVED, T.ACKNOWLEDGE, Refused("unshelve it first, then acknowledge it"))
    yield Row(S.SHELVED, T.RESET, Refused("a shelving survives a reset; unshelve it first"))
    yield Row(S.SHELVED, T.SHELVE, Step(S.SHELVED, K.SHELVED))
    for trigger in (T.UNSHELVE, T.EXPIRE, T.EXCEED):
        yield from _comes_back(S.SHELVED, trigger, K.UNSHELVED)
    yield Row(S.SHELVED, T.TAKE_OUT, Step(S.OUT_OF_SERVICE, K.OUT_OF_SERVICE))
    yield Row(S.SHELVED, T.PUT_BACK, Refused("it is shelved, not out of service; unshelve it"))
    yield Row(S.SHELVED, T.SUPPRESS, Ignored("What was shelved by a person stays so; when that ends, this follows."))
    yield Row(S.SHELVED, T.UNSUPPRESS, Ignored("The alarm is not suppressed."))


def _from_suppressed() -> Iterator[Row]:
    yield from _follows_silently(S.SUPPRESSED)
    by_logic = "the site's own logic suppresses it and ends that by itself"
    for trigger in (T.ACKNOWLEDGE, T.RESET, T.SHELVE, T.UNSHELVE, T.PUT_BACK):
        yield Row(S.SUPPRESSED, trigger, Refused(by_logic))
    yield from _no_shelving_ends(S.SUPPRESSED)
    yield Row(S.SUPPRESSED, T.TAKE_OUT, Step(S.OUT_OF_SERVICE, K.OUT_OF_SERVICE))
    # Another condition takes over, or the same one tells another end.
    yield Row(S.SUPPRESSED, T.SUPPRESS, Step(S.SUPPRESSED, K.SUPPRESSED))
    # Whoever ends a suppression has looked whether another one holds.
    yield from _comes_back(S.SUPPRESSED, T.UNSUPPRESS, K.UNSUPPRESSED, inhibited=None)


def _from_out_of_service() -> Iterator[Row]:
    yield from _follows_silently(S.OUT_OF_SERVICE)
    yield Row(S.OUT_OF_SERVICE, T.ACKNOWLEDGE, Refused("return it to service first, then acknowledge it"))
    # GB 4717-2024 5.4.4.7: a shield is set and ended by hand only and survives a reset.
    yield Row(S.OUT_OF_SERVICE, T.RESET, Refused("out of service survives a reset; return it to service"))
    yield Row(S.OUT_OF_SERVICE, T.SHELVE, Refused("out of service is more than shelved; return it to service first"))
    yield Row(S.OUT_OF_SERVICE, T.UNSHELVE, Refused("it is not shelved; return it to service"))
    yield from _no_shelving_ends(S.OUT_OF_SERVICE)
    # A permit that is prolonged, or replaced by another.
    yield Row(S.OUT_OF_SERVICE, T.TAKE_OUT, Step(S.OUT_OF_SERVICE, K.OUT_OF_SERVICE))
    yield from _comes_back(S.OUT_OF_SERVICE, T.PUT_BACK, K.RETURNED_TO_SERVICE)
    yield Row(S.OUT_OF_SERVICE, T.SUPPRESS, Ignored("Out of service is the stronger of the two."))
    yield Row(S.OUT_OF_SERVICE, T.UNSUPPRESS, Ignored("The alarm is not suppressed."))


def _can_be_put_aside(state: AlarmState) -> Iterator[Row]:
    yield Row(state, T.SHELVE, Step(S.SHELVED, K.SHELVED))
    yield Row(state, T.TAKE_OUT, Step(S.OUT_OF_SERVICE, K.OUT_OF_SERVICE))
    yield Row(state, T.SUPPRESS, Step(S.SUPPRESSED, K.SUPPRESSED))


def _is_not_aside(state: AlarmState) -> Iterator[Row]:
    yield Row(state, T.UNSHELVE, Refused("it is not shelved"))
    yield Row(state, T.PUT_BACK, Refused("it is in service"))
    yield Row(state, T.UNSUPPRESS, Ignored("The alarm is not suppressed."))
    yield from _no_shelving_ends(state)


def _no_shelving_ends(state: AlarmState) -> Iterator[Row]:
    for trigger in (T.EXPIRE, T.EXCEED):
        yield Row(state, trigger, Ignored("No shelving is running."))


def _has_no_condition(state: AlarmState) -> Iterator[Row]:
    for trigger in (T.ESCALATE, T.DE_ESCALATE):
        yield Row(state, trigger, Ignored("Without a condition nothing rises or falls; it can only be raised."))
    yield Row(state, T.RETURN, Ignored("The condition is gone already."))


def _follows_silently(state: AlarmState) -> Iterator[Row]:
    yield Row(state, T.RAISE, Step(state, K.RAISED))
    yield Row(state, T.ESCALATE, Step(state, K.ESCALATED))
    yield Row(state, T.DE_ESCALATE, Step(state, K.DE_ESCALATED))
    yield Row(state, T.RETURN, Step(state, K.RETURNED))


def _unless_inhibited(state: AlarmState, trigger: Trigger, kind: EventKind) -> Iterator[Row]:
    yield Row(state, trigger, Step(S.UNACKED, kind, annunciate=True), inhibited=False)
    yield Row(state, trigger, Step(S.SUPPRESSED, kind), inhibited=True)


def _comes_back(
    state: AlarmState, trigger: Trigger, kind: EventKind, *, inhibited: bool | None = False
) -> Iterator[Row]:
    """Yield what brings an alarm back: only where nothing else holds it down, unless that is not asked."""
    if inhibited is not None:
        yield Row(state, trigger, Step(S.SUPPRESSED, kind), inhibited=True)
    for row in (
        Row(state, trigger, Step(S.UNACKED, kind, annunciate=True), active=True),
        Row(state, trigger, Step(S.LATCHED_UNACKED, kind, annunciate=True), active=False, held=True),
        Row(state, trigger, Step(S.NORMAL, kind), active=False, held=False),
    ):
        yield replace(row, inhibited=inhibited)


def _removal(state: AlarmState) -> Iterator[Row]:
    if state is S.NORMAL:
        yield Row(state, T.REMOVE, Ignored("There is nothing to end."))
    else:
        yield Row(state, T.REMOVE, Step(S.NORMAL, K.CLEARED))


TABLE: tuple[Row, ...] = tuple(_rows())
"""Every row, grouped by state."""


_Circumstances = tuple[AlarmState, Trigger, bool, bool, bool]


def _indexed() -> Mapping[_Circumstances, Outcome]:
    index: dict[_Circumstances, Outcome] = {}
    for row in TABLE:
        for active, held, inhibited in product((False, True), repeat=3):
            if row.matches(active=active, held=held, inhibited=inhibited):
                key = (row.state, row.trigger, active, held, inhibited)
                assert key not in index, f"two rows for {key}"
                index[key] = row.outcome
    return MappingProxyType(index)


_INDEX = _indexed()


def outcome(state: AlarmState, trigger: Trigger, *, active: bool, held: bool, inhibited: bool = False) -> Outcome:
    """Return what a trigger does.

    Args:
        state: The state before.
        trigger: What happens.
        active: Whether the condition is there after the trigger.
        held: Whether the alarm's latch holds it: a latching rule's alarm that has reached LOW or HIGH.
        inhibited: Whether the site's own logic or a cause holds the alarm down.

    >>> outcome(AlarmState.ACKED, Trigger.RETURN, active=False, held=True).state
    <AlarmState.LATCHED_ACKED: 'latched_acked'>
    """
    return _INDEX[state, trigger, active, held, inhibited]
