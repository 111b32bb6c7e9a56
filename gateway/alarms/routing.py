"""Who is told of which alarms, and when: routes as pure functions of alarm and time; no clock, no I/O."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from fnmatch import translate

from gateway.core.alarm import AlarmEvent
from gateway.core.clock import NS_PER_S
from gateway.site.operation import RouteSection

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS_LOOKED = 15
"""A window of one day a week that falls into the hour which a change of the clocks leaves out comes a week later."""
_MINUTE_NS = 60 * NS_PER_S
_DAY_NS = 24 * 3600 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Window:
    """Days and time of day; a window over midnight belongs to the day on which it begins.

    Attributes:
        days: 0 is Monday.
        begins: Minute of the day, in the site's zone.
        ends: Minute of the day at which it is over; at or before `begins`, on the next day.
    """

    days: frozenset[int]
    begins: int = 0
    ends: int = 0

    def open_at(self, time_ns: int, zone: tzinfo) -> bool:
        """Whether the window is open at a time.

        >>> night = Window(frozenset({4}), 18 * 60, 8 * 60)  # Friday, 18:00 to 08:00
        >>> saturday_7 = int(datetime(2026, 11, 21, 7, tzinfo=UTC).timestamp()) * NS_PER_S
        >>> night.open_at(saturday_7, UTC), night.open_at(saturday_7 + 3600 * NS_PER_S, UTC)
        (True, False)
        """
        local = datetime.fromtimestamp(time_ns // NS_PER_S, zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.begins < self.ends:
            return day in self.days and self.begins <= minute < self.ends
        return (day in self.days and minute >= self.begins) or ((day - 1) % 7 in self.days and minute < self.ends)

    def opens(self, time_ns: int, zone: tzinfo) -> int:
        """Return the first moment from a time on at which the window is open."""
        if self.open_at(time_ns, zone):
            return time_ns
        today = datetime.fromtimestamp(time_ns // NS_PER_S, zone).date()
        for days in range(_DAYS_LOOKED):
            found = self._opens_on(today + timedelta(days), time_ns, zone)
            if found is not None:
                return found
        raise AssertionError(f"{self} opens on no day")

    def _opens_on(self, day: date, from_ns: int, zone: tzinfo) -> int | None:
        """Return when it opens on a day, at a time or later; None where it does not."""
        midnight, next_midnight = (_moment(day + timedelta(days), 0, zone) for days in (0, 1))
        if next_midnight - midnight != _DAY_NS:
            # The clocks change: an hour is left out or comes twice, and a window may open twice or at no round time.
            begin = -(-max(midnight, from_ns) // _MINUTE_NS) * _MINUTE_NS
            minutes = range(begin, next_midnight, _MINUTE_NS)
            return next((minute for minute in minutes if self.open_at(minute, zone)), None)
        begin = _moment(day, self.begins, zone)
        return begin if day.weekday() in self.days and begin >= from_ns else None


def _moment(day: date, minute: int, zone: tzinfo) -> int:
    """Return the first moment at which the clocks show a time of a day."""
    return round(datetime.combine(day, time(minute // 60, minute % 60), zone).timestamp()) * NS_PER_S


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the site file, as one notifier sees it.

    Attributes:
        window: When it is open.
        areas: Areas it takes alarms of; all where empty.
        priorities: Priorities it takes; all where empty.
        alarms: Matches the ids of alarms it takes.
        after_ns: Time without acknowledgement before it tells.
        repeat_ns: Time after which it tells again, 0 for never.
        ends: It tells of the end too.
    """

    window: Window
    areas: frozenset[str]
    priorities: frozenset[int]
    alarms: re.Pattern[str]
    after_ns: int
    repeat_ns: int
    ends: bool

    @classmethod
    def of(cls, section: RouteSection) -> "Route":
        """Return a route as it is written in the site file."""
        days = frozenset(WEEKDAYS.index(day) for day in section.days) or frozenset(range(7))
        return cls(
            window=Window(days, _minutes(section.from_), _minutes(section.until)),
            areas=frozenset(section.areas),
            priorities=frozenset(section.priorities),
            alarms=re.compile("|".join(translate(pattern) for pattern in section.alarms)),
            after_ns=round(section.after_s * NS_PER_S),
            repeat_ns=round((section.repeat_s or 0.0) * NS_PER_S),
            ends=section.ends,
        )

    def takes(self, alarm: str, area: str, priority: int) -> bool:
        """Whether the route is about an alarm, at whatever time."""
        return (
            (not self.areas or area in self.areas)
            and (not self.priorities or priority in self.priorities)
            and self.alarms.match(alarm) is not None
        )

    def due_ns(self, since_ns: int, told_ns: int, zone: tzinfo) -> int | None:
        """Return when an unacknowledged alarm is to be told of next, or None.

        An alarm that is raised while the route is closed and still waits when it opens is told of then: nobody takes
        over a shift without hearing of what stands.

        Args:
            since_ns: When it began to wait for somebody.
            told_ns: When it was last told of since, 0 where never.
            zone: The site's zone.
        """
        first_ns = self.window.opens(since_ns + self.after_ns, zone)
        if first_ns > told_ns or not told_ns:
            return first_ns
        if not self.repeat_ns:
            return None
        again = (told_ns - first_ns) // self.repeat_ns + 1
        return self.window.opens(first_ns + again * self.repeat_ns, zone)


def _minutes(text: str | None) -> int:
    """Return a time of day as minutes.

    >>> _minutes("18:30"), _minutes(None)
    (1110, 0)
    """
    hour, _, minute = (text or "0:0").partition(":")
    return int(hour) * 60 + int(minute)


def routes_to(notifier: str, sections: Sequence[RouteSection]) -> tuple[Route, ...]:
    """Return the routes that lead to a notifier."""
    return tuple(Route.of(section) for section in sections if notifier in section.to)


def next_due(routes: Sequence[Route], event: AlarmEvent, since_ns: int, told_ns: int, zone: tzinfo) -> int | None:
    """Return when somebody is to be told next of an alarm that nobody has acknowledged, or None.

    Args:
        routes: The routes to one notifier.
        event: The alarm's last event.
        since_ns: When it began to wait for somebody.
        told_ns: When the notifier was last told since, 0 where never.
        zone: The site's zone.
    """
    found = [
        due
        for route in routes
        if route.takes(event.alarm, event.area, event.priority)
        and (due := route.due_ns(since_ns, told_ns, zone)) is not None
    ]
    return min(found, default=None)


def gaps(routes: Sequence[Route], zone: tzinfo, monday: datetime) -> list[int]:
    """Return the hours of a week in which none of the routes is open at once, as hours from Monday 00:00.

    Args:
        routes: Routes that take an alarm; those that wait for `after_ns` first count as well: somebody is told.
        zone: The site's zone.
        monday: Any Monday, 00:00 in the zone.
    """
    begin_ns = round(monday.astimezone(UTC).timestamp()) * NS_PER_S
    windows = {route.window for route in routes}
    times = [(hour, begin_ns + hour * 3600 * NS_PER_S) for hour in range(7 * 24)]
    return [hour for hour, time_ns in times if not any(window.open_at(time_ns, zone) for window in windows)]
