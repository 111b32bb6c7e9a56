"""Whether somebody is told: notifiers that nothing leads to, and alarms that reach nobody at some hour of the week."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gateway.alarms.level import default_priorities
from gateway.alarms.routing import WEEKDAYS, Route, gaps
from gateway.core.model import Level, Rule
from gateway.site.plans import Site

WATCHED = (1, 2)
"""Priorities that somebody should hear of at any hour."""
_MONDAY = datetime(2024, 1, 8)  # noqa: DTZ001 - any Monday without a change of the clocks; its zone is put on below


class Unreached(NamedTuple):
    """Alarms that nobody is told of.

    Attributes:
        area: Their area, or empty.
        priority: Their priority.
        hours: Hours of a week in which no route to them is open, from Monday 00:00; all 168 where there is none.
    """

    area: str
    priority: int
    hours: tuple[int, ...]

    @property
    def when(self) -> str:
        """The first of the hours in words.

        >>> Unreached("boiler", 1, (27, 28)).when, Unreached("boiler", 1, tuple(range(168))).when
        ('tue 03:00', 'at any time')
        """
        if len(self.hours) == 7 * 24:
            return "at any time"
        day, hour = divmod(self.hours[0], 24)
        return f"{WEEKDAYS[day]} {hour:02}:00"


def unused(site: Site) -> list[str]:
    """Return the notifiers that no route leads to."""
    used = {name for route in site.file.notifications.routes for name in route.to}
    return [one.id for one in site.file.notifications.notifiers if one.id not in used]


def unreached(site: Site) -> Iterator[Unreached]:
    """Yield, for each area, red and orange alarms of which nobody is told at some hour; nothing without notifiers."""
    section = site.file.notifications
    if not section.notifiers:
        return
    routes = [Route.of(route) for route in section.routes]
    zone = ZoneInfo(site.file.site.timezone)
    monday = _MONDAY.replace(tzinfo=zone)
    worst: dict[tuple[str, int], tuple[int, ...]] = {}
    known: dict[frozenset[int], tuple[int, ...]] = {}
    for rule in site.rules:
        for priority in _priorities(rule):
            taking = frozenset(k for k, one in enumerate(routes) if one.takes(rule.id, rule.area, priority))
            if taking not in known:
                known[taking] = tuple(gaps([routes[k] for k in taking], zone, monday))
            key = (rule.area, priority)
            worst[key] = max(worst.get(key, ()), known[taking], key=len)
    for (area, priority), hours in sorted(worst.items()):
        if hours:
            yield Unreached(area, priority, hours)


def _priorities(rule: Rule) -> list[int]:
    """Return the watched priorities that a rule's alarms of LOW and HIGH can have."""
    by_level = {**default_priorities(rule.latching), **rule.priority}
    found = {int(by_level[level]) for level in rule.levels if level in (Level.LOW, Level.HIGH) and level in by_level}
    return [priority for priority in WATCHED if priority in found]
