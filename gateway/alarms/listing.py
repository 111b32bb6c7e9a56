"""What follows from the last events and is asked often: which alarms are open, sound, are out or shelved."""

from collections.abc import Iterable

import msgspec

from gateway.alarms.areas import Areas
from gateway.alarms.level import BY_NAME, SEVERITY
from gateway.alarms.source import SYSTEM, Sources
from gateway.alarms.state import ACKNOWLEDGED, UNACKNOWLEDGED
from gateway.core.alarm import Alarm, AlarmEvent, AlarmState


class Listing:
    """Keeps what the last events say, so that the frequent questions are cheap; pure.

    Args:
        sources: What each alarm is of.
        areas: Which alarm came first where.

    Attributes:
        out: Ids of the alarms that are out of service.
        ailing: Ids of the system alarms whose condition is there.
        until: When each shelving ends, by alarm.
    """

    def __init__(self, sources: Sources, areas: Areas) -> None:
        self._sources = sources
        self._areas = areas
        self._open: dict[str, AlarmEvent] = {}
        self._sounding: set[str] = set()
        self.out: set[str] = set()
        self.ailing: set[str] = set()
        self.until: dict[str, int] = {}
        self._listed: list[Alarm] | None = None

    def keep(self, event: AlarmEvent, silenced: int) -> None:
        """Take an alarm's new last event; `silenced` is the number of the last silencing."""
        alarm, state = event.alarm, event.state
        self._listed = None
        if state is AlarmState.NORMAL:
            self._open.pop(alarm, None)
        else:
            self._open[alarm] = event
        _enter(self._sounding, alarm, entered=state in UNACKNOWLEDGED and event.sounded > silenced)
        _enter(self.out, alarm, entered=state is AlarmState.OUT_OF_SERVICE)
        _enter(self.ailing, alarm, entered=event.condition != "normal" and alarm.startswith(SYSTEM))
        if state is AlarmState.SHELVED:
            self.until[alarm] = event.until_ns
        else:
            self.until.pop(alarm, None)

    def clear(self) -> None:
        """Forget everything."""
        for kept in (self._open, self._sounding, self.out, self.ailing, self.until):
            kept.clear()
        self._listed = None

    def silence(self) -> None:
        """Let nothing sound until something new does."""
        self._sounding.clear()
        self._listed = None

    def audible(self) -> bool:
        """Whether something sounds now."""
        return bool(self._sounding)

    def open(self) -> Iterable[AlarmEvent]:
        """Return the last event of every alarm that is not normal."""
        return self._open.values()

    def alarms(self) -> list[Alarm]:
        """Return every alarm that is not normal, most urgent first, as `AlarmBook.alarms` says."""
        if self._listed is None:
            self._listed = sorted(map(self.shown, self._open.values()), key=_urgency)
        return self._listed.copy()

    def shown(self, last: AlarmEvent) -> Alarm:
        """Return an alarm as people see it."""
        alarm = self._sources[last.alarm]
        # The area may have become normal by another alarm's event since; the flag ended with that.
        if last.first and not self._areas.is_first(alarm.area, alarm.id):
            last = msgspec.structs.replace(last, first=False)
        return Alarm(
            id=alarm.id,
            event=last,
            silenced=last.state in UNACKNOWLEDGED and last.sounded > 0 and alarm.id not in self._sounding,
            latching=alarm.latching,
            response=alarm.response,
            response_zh=alarm.response_zh,
            delayed=alarm.delayed,
            note_required=alarm.note_required,
        )


def _enter(group: set[str], alarm: str, *, entered: bool) -> None:
    if entered:
        group.add(alarm)
    else:
        group.discard(alarm)


def _urgency(alarm: Alarm) -> tuple[int, int, int, bool, int, int]:
    event = alarm.event
    on_the_list = event.state in UNACKNOWLEDGED or event.state in ACKNOWLEDGED
    group = (event.state in ACKNOWLEDGED) + 2 * (event.level == "warning") if on_the_list else 4
    severity = SEVERITY[BY_NAME[event.level]]
    return group, event.priority, -severity, event.condition == "normal", -event.raised_ns, -event.seq
