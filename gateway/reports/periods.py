"""Spans of time that people report on: shifts, days and months as the site's own clocks show them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

import msgspec

from gateway.core.clock import NS_PER_S
from gateway.core.errors import HazgateError
from gateway.reports.place import Named, Place, ShiftRule

ROLLING_S: Final = 8 * 3600
"""Length of a shift where the site has none."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """A span `[start_ns, end_ns)` with its name, e.g. a shift's."""

    start_ns: int
    end_ns: int
    name: Named = Named("")

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end_ns - self.start_ns) / NS_PER_S


def shifts_around(shifts: Sequence[ShiftRule], zone: tzinfo, now_ns: int) -> list[Period]:
    """Return the shift that runs and the one before it, in their order.

    A shift ends when the next one begins. On the days on which clocks are set, shifts are as long as they are: a
    night may have seven or nine hours. A beginning that the clocks leave out is at the moment they were set.

    Args:
        shifts: The site's; at least one.
        zone: The site's time zone.
        now_ns: The time.
    """
    today = datetime.fromtimestamp(now_ns // NS_PER_S, zone).date()
    begins = sorted(
        (_at(today + timedelta(days=days), shift.begins, zone), index)
        for days in range(-2, 3)
        for index, shift in enumerate(shifts)
    )
    running = max(k for k, (begin_ns, _) in enumerate(begins) if begin_ns <= now_ns)
    return [
        Period(start_ns=begins[k][0], end_ns=begins[k + 1][0], name=shifts[begins[k][1]].name)
        for k in (running - 1, running)
    ]


def rolling(now_ns: int) -> Period:
    """Return the last eight hours, for a site without shifts."""
    return Period(start_ns=now_ns - ROLLING_S * NS_PER_S, end_ns=now_ns)


def day(place: Place, text: str, now_ns: int) -> Period:
    """Return a day (`YYYY-MM-DD`; the one before today where empty), midnight to midnight. Raises HazgateError."""
    try:
        wanted = date.fromisoformat(text) if text else _today(place, now_ns) - timedelta(days=1)
        return _days(place, wanted, wanted + timedelta(days=1))
    except (ValueError, OverflowError) as error:
        raise HazgateError(f"date: {text!r} is no day such as 2026-11-22") from error


def month(place: Place, text: str, now_ns: int) -> Period:
    """Return a month (`YYYY-MM`; the one before this where empty). Raises HazgateError."""
    try:
        first = date.fromisoformat(f"{text}-01") if text else _before(_today(place, now_ns).replace(day=1))
        return _days(place, first, (first + timedelta(days=32)).replace(day=1))
    except (ValueError, OverflowError) as error:
        raise HazgateError(f"date: {text!r} is no month such as 2026-11") from error


def days_of(place: Place, period: Period) -> Iterator[tuple[str, int, int]]:
    """Yield every day of a period: its date, its begin and its end."""
    each = datetime.fromtimestamp(period.start_ns // NS_PER_S, place.zone).date()
    while (start_ns := _at(each, "00:00", place.zone)) < period.end_ns:
        following = each + timedelta(days=1)
        yield each.isoformat(), start_ns, _at(following, "00:00", place.zone)
        each = following


def _today(place: Place, now_ns: int) -> date:
    return datetime.fromtimestamp(now_ns // NS_PER_S, place.zone).date()


def _before(first: date) -> date:
    return (first - timedelta(days=1)).replace(day=1)


def _days(place: Place, first: date, end: date) -> Period:
    if not 1970 < first.year < 9999:
        raise ValueError(first)
    return Period(start_ns=_at(first, "00:00", place.zone), end_ns=_at(end, "00:00", place.zone))


def _at(on: date, clock: str, zone: tzinfo) -> int:
    """Return when a clock on the wall shows a time; the first of two, the moment of setting where it shows it never."""
    wall = datetime.combine(on, time.fromisoformat(clock), zone)
    seconds = (wall - _EPOCH) // timedelta(seconds=1)
    back = datetime.fromtimestamp(seconds, zone)
    if back.replace(tzinfo=None) != wall.replace(tzinfo=None):
        # Clocks were set forward over it: by the offset from before, it lies as far behind the gap as it lay in it.
        gap = back.replace(tzinfo=None) - wall.replace(tzinfo=None)
        start = seconds - 2 * 86_400
        seconds = _last_before(zone, start, seconds, gap)
    return seconds * NS_PER_S


def _last_before(zone: tzinfo, low: int, high: int, gap: timedelta) -> int:
    """Return the second at which the offset changes between two times."""
    after = datetime.fromtimestamp(high, zone).utcoffset()
    assert gap, "only called where clocks were set"
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == after:
            high = middle
        else:
            low = middle
    return high
