"""What holds alarms down: the site's own logic, and causes that other alarms tell; who it is, and when it is over."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gateway.alarms.causes import CONNECTION_ALARM, Causes, is_consequence
from gateway.alarms.level import BY_NAME
from gateway.alarms.source import Source
from gateway.alarms.suppression import Logic, Turn
from gateway.alarms.transition import Seen
from gateway.core.alarm import AlarmEvent, AlarmState, Suppression
from gateway.core.model import Level, Priority


class Holder(NamedTuple):
    """What holds an alarm down.

    Attributes:
        by: The id of a suppression, or of the alarm that is the cause.
        until_ns: When that ends by itself, 0 where it does not.
    """

    by: str
    until_ns: int = 0


class Inhibition:
    """Keeps, from the alarms' events, what holds which alarm down.

    Args:
        suppressions: The site's own logic.
        lines: The connection of each instrument.

    Attributes:
        logic: The site's own logic.
        loose: Alarms whose cause is over and that wait for a reading of their own, so that nothing sounds which the
            next reading would end; with the time since when sound readings have come, or 0.
    """

    def __init__(self, suppressions: Sequence[Suppression], lines: Mapping[str, str]) -> None:
        self.logic = Logic(suppressions)
        self.loose: dict[str, int] = {}
        self._causes = Causes(lines)
        self._held: dict[str, set[str]] = {}
        self._under: dict[str, str] = {}
        self._designed: dict[str, dict[str, int]] = {}

    def holder(self, alarm: Source, level: str, seen: Seen) -> Holder | None:
        """Return what holds an alarm down, or None; the site's logic before any cause.

        Args:
            alarm: The alarm.
            level: The level it holds.
            seen: What its rule says.
        """
        designed = self._designed.get(alarm.id)
        if designed:
            return Holder(*min(designed.items()))
        if alarm.blank.channel and is_consequence(seen.condition, level, seen.quality):
            urgency = alarm.priority.get(Level.FAULT, Priority.BLUE)
            cause = self._causes.cause_of(alarm.id, alarm.blank.instrument, urgency)
            return Holder(cause) if cause else None
        return None

    def turn(self, turn: Turn) -> None:
        """Take note that a suppression begins or ends."""
        for alarm in turn.suppression.alarms:
            self.hold(alarm, turn.suppression.id, turn.until_ns, begins=turn.begins)

    def hold(self, alarm: str, by: str, until_ns: int = 0, *, begins: bool) -> None:
        """Take note that the site's logic begins or ends to hold an alarm down."""
        holders = self._designed.setdefault(alarm, {})
        if begins:
            holders[by] = until_ns
            return
        holders.pop(by, None)
        if not holders:
            del self._designed[alarm]

    def is_designed(self, alarm: str, by: str) -> bool:
        """Whether it is the site's logic, and not a cause, that an alarm's event names as what holds it down."""
        return by in self.logic or by in self._designed.get(alarm, ())

    def take(self, event: AlarmEvent) -> Iterable[str]:
        """Take note of an alarm's event; returns consequences that stand on the list and have a cause now."""
        by_cause = event.state is AlarmState.SUPPRESSED and not self.is_designed(event.alarm, event.suppressed_by)
        self._move(event.alarm, event.suppressed_by if by_cause else "")
        consequences = self._causes.take(event)
        held = self._held.get(event.alarm)
        if held and not self._stands(event):
            self.loose |= dict.fromkeys(held, 0)
        return consequences

    def is_over(self, event: AlarmEvent) -> bool:
        """Whether an alarm that a cause holds down says something now that is no consequence."""
        return self._under.get(event.alarm) is not None and not is_consequence(
            BY_NAME[event.condition], event.level, event.quality
        )

    def still(self, alarm: str, instrument: str) -> bool:
        """Whether the cause of a loose alarm has come back; it is loose no more then."""
        if not self._causes.stands(self._under.get(alarm, ""), alarm, instrument):
            return False
        self.loose.pop(alarm, None)
        return True

    def restore(self, last_events: Sequence[AlarmEvent]) -> None:
        """Begin anew from the last event of every alarm, in their order."""
        for kept in (self.loose, self._held, self._under, self._designed):
            kept.clear()
        self._causes.clear()
        for turn in self.logic.restore(last_events):
            self.turn(turn)
        for event in last_events:
            self.take(event)
        # What was held down by something that is not there any more waits for its next reading.
        self.loose = {
            event.alarm: 0
            for event in last_events
            if (cause := self._under.get(event.alarm)) and not self._causes.stands(cause, event.alarm, event.instrument)
        }

    def _stands(self, event: AlarmEvent) -> bool:
        """Whether an alarm is still a cause after its event."""
        if event.alarm.startswith(CONNECTION_ALARM):
            return self._causes.is_lost(event.alarm)
        return self._causes.stands(event.alarm, "", event.instrument)

    def _move(self, alarm: str, cause: str) -> None:
        before = self._under.get(alarm, "")
        if before == cause:
            return
        if before:
            del self._under[alarm]
            self.loose.pop(alarm, None)
            self._held[before].discard(alarm)
            if not self._held[before]:
                del self._held[before]
        if cause:
            self._under[alarm] = cause
            self._held.setdefault(cause, set()).add(alarm)
