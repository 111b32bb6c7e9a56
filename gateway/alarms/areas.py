"""First alarms: which alarm of an area came first, kept until the area is normal again, and which ones followed it.

GB 16808 and GB 4717-2024 5.4.1.7 want the first alarm shown apart and never overwritten by later ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from gateway.alarms.level import BY_NAME, is_hazard
from gateway.alarms.state import ASIDE
from gateway.core.alarm import AlarmEvent, AlarmState


@dataclass(slots=True)
class _Area:
    members: int = 0
    first: str = ""
    first_ns: int = 0


class Place(NamedTuple):
    """An alarm's place among those of its area.

    Attributes:
        first: It is the first one.
        follows: The first one, where this one came so soon after it that it is taken for its consequence; else empty.
    """

    first: bool
    follows: str


def is_member(state: AlarmState, level: str) -> bool:
    """Whether an alarm in this state keeps its area from being normal.

    Only LOW and HIGH count: faults and system alarms do not compete with gas and fire. What is put aside does not
    count either, or one instrument under repair would hold its area's first alarm for weeks.
    """
    return state is not AlarmState.NORMAL and state not in ASIDE and is_hazard(BY_NAME[level])


class Areas:
    """Counts each area's alarms and keeps which was first.

    The first alarm keeps its flag while its area is not normal, also where it is put aside or over itself before the
    others. No later alarm takes it.

    Args:
        within_ns: Alarms that come so long after the first one's last beginning follow it.
    """

    def __init__(self, within_ns: int = 0) -> None:
        self._within_ns = within_ns
        self._areas: dict[str, _Area] = {}

    def move(self, area: str, event: AlarmEvent, *, followed: str, was: bool, now: bool) -> Place:
        """Take note of an alarm's change and return its place after it.

        Args:
            area: The area.
            event: What changes it.
            followed: Which alarm it followed before, or empty.
            was: It was a member before.
            now: It is a member now.
        """
        here = self._areas.get(area)
        if here is None:
            here = self._areas[area] = _Area()
        if now and not here.members:
            here.first = event.alarm
        here.members += now - was
        if not here.members:
            here.first = ""
        if here.first == event.alarm:
            here.first_ns = event.raised_ns
            return Place(first=True, follows="")
        if not now:
            return Place(first=False, follows="")
        return Place(first=False, follows=followed if was else self._followed(here, event.time_ns))

    def _followed(self, here: _Area, time_ns: int) -> str:
        soon = here.first_ns > 0 and 0 <= time_ns - here.first_ns <= self._within_ns
        return here.first if soon else ""

    def is_first(self, area: str, alarm: str) -> bool:
        """Whether the alarm is the first of the area now."""
        here = self._areas.get(area)
        return here is not None and here.first == alarm

    def restore(self, alarms: Iterable[tuple[str, AlarmEvent]]) -> None:
        """Take over pairs of area and an alarm's last event, in the events' order.

        The latest flag of an area is the valid one: an older one belongs to an earlier time of alarm, which ended
        without an event of that alarm.
        """
        self._areas = {}
        for area, event in alarms:
            here = self._areas.setdefault(area, _Area())
            here.members += is_member(event.state, event.level)
            if event.first:
                here.first, here.first_ns = event.alarm, event.raised_ns
        for here in self._areas.values():
            if not here.members:
                here.first = ""
