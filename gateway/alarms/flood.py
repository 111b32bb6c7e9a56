"""Alarm floods as they happen: more alarms than people can take, by EEMUA 191 and ISA-18.2; pure, no clock.

EEMUA 191 calls ten alarms in ten minutes after an upset the most that one operator can follow; ISA-18.2 / IEC 62682
begin a flood above ten in ten minutes and end it below five. Both numbers are the site's (`alarms.flood_begins`,
`alarms.flood_ends`). The ten minutes slide: a flood that straddles two of the clock's is no smaller for it.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.alarms.level import BY_NAME, SEVERITY
from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.clock import NS_PER_S
from gateway.core.model import Reason

SPAN_S: Final = 600
SPAN_NS: Final = SPAN_S * NS_PER_S
STEP_NS: Final = 60 * NS_PER_S
"""A time that lies so far before the newest alarm's is no late reading: the clock was set back."""
KEPT_MAX: Final = 50_000
"""Alarms of the last ten minutes that are remembered one by one; of more, the newest, and the count says so many."""


class Heard(Protocol):
    """What is asked of an event."""

    @property
    def kind(self) -> EventKind:
        """What happened."""
        ...

    @property
    def annunciate(self) -> bool:
        """It starts the sound."""
        ...

    @property
    def test(self) -> bool:
        """Made under test."""
        ...


def counts(event: Heard) -> bool:
    """Whether an event is an alarm put before the operator: raised and heard.

    Faults and the gateway's own alarms count like gas and fire: each asks for somebody's attention. Warnings, which
    are never heard, and what is raised under test do not; nor do steps up within an alarm that is there already.
    """
    return event.kind is EventKind.RAISED and event.annunciate and not event.test


@dataclass(frozen=True, slots=True)
class AreaFlood:
    """One area's part of the last ten minutes.

    Attributes:
        area: The area; empty for what belongs to none.
        count: Its alarms.
        priority: The highest of them.
        level: The worst level of them.
        first: The id of its first alarm; in a flood, since before it began.
        first_ns: When that was raised.
    """

    area: str
    count: int
    priority: int
    level: str
    first: str
    first_ns: int


@dataclass(frozen=True, slots=True)
class Flood:
    """How the last ten minutes stand.

    Attributes:
        active: There is a flood.
        count: Alarms of the last ten minutes.
        since_ns: When the flood began, 0 where there is none.
        areas: The areas they belong to, the most urgent and then the fullest first.
    """

    active: bool = False
    count: int = 0
    since_ns: int = 0
    areas: tuple[AreaFlood, ...] = ()


@dataclass(slots=True)
class _Area:
    alarms: deque[tuple[int, str, int, str]] = field(default_factory=deque)
    priorities: Counter[int] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    first: tuple[str, int] = ("", 0)


class FloodWatch:
    """Follows the alarm events and knows whether there is a flood.

    Args:
        begins: More alarms than this in ten minutes begin one.
        ends: Fewer than this in ten minutes end it.
    """

    def __init__(self, begins: int = 10, ends: int = 5) -> None:
        self.begins, self.ends = begins, ends
        self._areas: dict[str, _Area] = {}
        self._order: deque[tuple[int, str]] = deque()
        self._since_ns = 0
        self._total = 0
        self._newest_ns = 0

    @property
    def active(self) -> bool:
        """Whether there is a flood."""
        return self._since_ns > 0

    def take(self, events: Iterable[AlarmEvent]) -> list[Reason]:
        """Take events in their order and return what is to be noted: that a flood begins or ends."""
        notes: list[Reason] = []
        for event in events:
            if counts(event):
                # Late readings and clocks set back count now: the operator gets them now.
                now_ns = max(event.time_ns, self._newest_ns)
                notes += self.advance(now_ns)
                self._add(event, now_ns)
                if not self.active and len(self._order) > self.begins:
                    self._since_ns, self._total = now_ns, len(self._order)
                    notes.append(_began(len(self._order)))
        return notes

    def advance(self, now_ns: int) -> list[Reason]:
        """Let time pass and return what is to be noted.

        A time shortly before the newest alarm's changes nothing. Where the clock was set back by more than a minute,
        what was counted moves along with it: else a flood would last until the clock has caught up.
        """
        if now_ns < self._newest_ns - STEP_NS:
            self._shift(now_ns - self._newest_ns)
        self._newest_ns = max(self._newest_ns, now_ns)
        notes: list[Reason] = []
        while self._order and self._order[0][0] <= self._newest_ns - SPAN_NS:
            left_ns = self._drop()
            if self.active and len(self._order) < self.ends:
                notes.append(_ended(self._total, left_ns + SPAN_NS - self._since_ns))
                self._since_ns = 0
                for area in self._areas.values():
                    area.first = area.alarms[0][1], area.alarms[0][0]
        return notes

    def now(self) -> Flood:
        """Return how the last ten minutes stand, as of the newest event or `advance`."""
        areas = [
            AreaFlood(
                name,
                len(area.alarms),
                min(p for p, n in area.priorities.items() if n),
                max((level for level, n in area.levels.items() if n), key=_severity),
                *area.first,
            )
            for name, area in self._areas.items()
        ]
        areas.sort(key=lambda area: (area.priority, -area.count, area.area))
        return Flood(self.active, len(self._order), self._since_ns, tuple(areas))

    def _add(self, event: AlarmEvent, now_ns: int) -> None:
        if len(self._order) >= KEPT_MAX:
            self._drop()
        area = self._areas.setdefault(event.area, _Area())
        if not area.alarms:
            area.first = event.alarm, now_ns
        area.alarms.append((now_ns, event.alarm, event.priority, event.level))
        area.priorities[event.priority] += 1
        area.levels[event.level] += 1
        self._order.append((now_ns, event.area))
        self._total += 1

    def _shift(self, by_ns: int) -> None:
        self._newest_ns += by_ns
        self._since_ns += by_ns if self.active else 0
        self._order = deque((time_ns + by_ns, name) for time_ns, name in self._order)
        for area in self._areas.values():
            area.alarms = deque((one[0] + by_ns, *one[1:]) for one in area.alarms)
            area.first = area.first[0], area.first[1] + by_ns

    def _drop(self) -> int:
        """Forget the oldest alarm and return when it was raised."""
        time_ns, name = self._order.popleft()
        area = self._areas[name]
        _, _, priority, level = area.alarms.popleft()
        area.priorities[priority] -= 1
        area.levels[level] -= 1
        if not area.alarms:
            del self._areas[name]
        elif not self.active:
            area.first = area.alarms[0][1], area.alarms[0][0]
        return time_ns


def _severity(level: str) -> int:
    return SEVERITY[BY_NAME[level]]


def _began(count: int) -> Reason:
    return Reason(f"an alarm flood begins: {count} alarms in 10 minutes", f"报警洪泛开始：10 分钟内 {count} 条报警")


def _ended(count: int, lasted_ns: int) -> Reason:
    minutes = max(1, round(lasted_ns / (60 * NS_PER_S)))
    return Reason(
        f"the alarm flood is over: {count} alarms in {minutes} min",
        f"报警洪泛结束：{minutes} 分钟内共 {count} 条",
    )
