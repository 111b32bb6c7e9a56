"""What is wrong with the `notifications` of a site file: notifiers, areas and alarms that there are none of."""

from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase

from gateway.core.errors import ConfigError
from gateway.site.findings import near
from gateway.site.operation import NotificationsSection, RouteSection

SECTION = "notifications"


def problems(
    section: NotificationsSection, areas: Collection[str], alarms: Sequence[str], *, incomplete: bool
) -> Iterator[ConfigError]:
    """Yield the mistakes of the section.

    Args:
        section: As written.
        areas: The site's areas.
        alarms: The ids of all rules' alarms.
        incomplete: Some channels are missing for their own mistakes: that an area or alarm is unknown says nothing.
    """
    ids = [one.id for one in section.notifiers]
    for index, name in enumerate(ids):
        if name in ids[:index]:
            problem = f"{name!r} is already the id of notifications.notifiers[{ids.index(name)}]"
            yield ConfigError((SECTION, "notifiers", index, "id"), problem)
    for index, route in enumerate(section.routes):
        path = (SECTION, "routes", index)
        for k, name in enumerate(route.to):
            if name not in ids:
                known = ", ".join(ids) or "none"
                yield ConfigError((*path, "to", k), f"no notifier is called {name!r}; there are: {known}")
        if not incomplete:
            yield from _unanswered(route, path, areas, alarms)
        if route.from_ is not None and route.from_ == route.until:
            yield ConfigError((*path, "until"), f"from and until are both {route.until}; leave both out for all day")


def _unanswered(
    route: RouteSection, path: tuple[str | int, ...], areas: Collection[str], alarms: Sequence[str]
) -> Iterator[ConfigError]:
    for k, area in enumerate(route.areas):
        if area not in areas:
            yield ConfigError((*path, "areas", k), f"no area is called {area!r}{near(area, areas)}")
    for k, pattern in enumerate(route.alarms):
        if pattern.startswith(("*", "system/")):
            continue
        if not any(fnmatchcase(alarm, pattern) for alarm in alarms):
            yield ConfigError((*path, "alarms", k), f"no alarm is called {pattern!r}{near(pattern, alarms)}")
