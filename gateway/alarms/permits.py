"""Permits to be out of service: who is told when one is over, and at each shift of what is out; pure.

Nothing that is out of service comes back by itself, so what is forgotten must be told again and again. A permit that is
over is a system alarm (`system/permit/<what is out>`) until the alarms are returned or the permit is prolonged, raised
anew at each begin of a shift. What is out under permits that run is told at each begin of a shift too, as a warning
(`system/out-of-service`) that ends when nothing is out any more.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

from gateway.alarms.book import AlarmBook
from gateway.alarms.orders import PERMIT_ALARM, REMINDER_ALARM
from gateway.core.alarm import AlarmEvent
from gateway.core.clock import NS_PER_S, rfc3339
from gateway.core.model import Level, Priority, Reason

USUAL_BEGINS: Final = ("00:00", "08:00", "16:00")
"""When shifts are taken to begin where the site file names none."""
NAMES_MAX: Final = 5
"""What is out of service that a reminder names; of all others it gives the count."""
LOOK_NS: Final = 5 * NS_PER_S
_DAY = timedelta(days=1)


class Permit(NamedTuple):
    """What is out of service together.

    Attributes:
        what: An instrument, an area, or an alarm's id.
        text: The permit.
        area: The area of its alarms, or empty where they stand in several.
        until_ns: When the first of its alarms should be back.
        alarms: How many.
    """

    what: str
    text: str
    area: str
    until_ns: int
    alarms: int


def shift_begun(begins: Sequence[str], zone: tzinfo, now_ns: int) -> int:
    """Return when the present shift began.

    Args:
        begins: Times of day as `HH:MM`; the usual ones where empty.
        zone: The site's time zone.
        now_ns: The time.

    >>> shift_begun(["08:00", "20:00"], UTC, 1_700_000_000 * NS_PER_S) // NS_PER_S % 86400 // 3600
    20
    """
    now = datetime.fromtimestamp(now_ns // NS_PER_S, zone)
    found = [_at(now + k * _DAY, clock) for k in (-1, 0) for clock in begins or USUAL_BEGINS]
    return max(moment for moment in found if moment <= now_ns)


def _at(day: datetime, clock: str) -> int:
    hour, minute = (int(part) for part in clock.split(":"))
    # A time that a change of the clocks leaves out is the one before it, moved; none is ever missing.
    moment = day.replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
    return round(moment.astimezone(UTC).timestamp()) * NS_PER_S


def permits(out: Sequence[AlarmEvent]) -> list[Permit]:
    """Return the permits of what is out of service, in the order of their names."""
    together: dict[str, list[AlarmEvent]] = {}
    for event in out:
        together.setdefault(event.permit_for or event.alarm, []).append(event)
    found: list[Permit] = []
    for what, events in sorted(together.items()):
        # An alarm that was taken out before permits had an end is due at once.
        first = min(events, key=lambda event: event.until_ns)
        areas = {event.area for event in events}
        found.append(Permit(what, first.permit, areas.pop() if len(areas) == 1 else "", first.until_ns, len(events)))
    return found


class Permits:
    """Watches the permits of an alarm book.

    Args:
        begins: When shifts begin, as `HH:MM`.
        zone: The site's time zone.
    """

    def __init__(self, begins: Sequence[str], zone: tzinfo) -> None:
        self.begins = begins
        self.zone = zone
        self._looked_ns = 0

    def restore(self, book: AlarmBook) -> set[str]:
        """Begin where the gateway ended: a shift that began meanwhile is told of.

        Returns:
            The alarms that stand for what is still so, and must not end because the gateway was started anew.
        """
        self._looked_ns = max((event.time_ns for event in book.last_events()), default=0)
        if not book.out_of_service():
            return set()
        return {REMINDER_ALARM, *(PERMIT_ALARM + permit.what for permit in permits(book.out_of_service()))}

    def succeed(self, after: "Permits") -> None:
        """Go on by the shifts of a changed site file."""
        self.begins, self.zone = after.begins, after.zone

    def look(self, book: AlarmBook, now_ns: int) -> list[AlarmEvent]:
        """Return what is to be told now; may be called every second."""
        begun = shift_begun(self.begins, self.zone, now_ns)
        told_again = self._looked_ns < begun <= now_ns
        if not told_again and 0 <= now_ns - self._looked_ns < LOOK_NS:
            return []
        self._looked_ns = now_ns
        standing, running = book.standing(PERMIT_ALARM), permits(book.out_of_service())
        if not running and not standing and not book.standing(REMINDER_ALARM):
            return []
        over = [permit for permit in running if _is_over(permit, now_ns, book.policy.out_of_service_max_s)]
        events = list(self._ended(book, running, over, now_ns))
        for permit in over:
            events += _demand(book, permit, now_ns, again=told_again)
        if told_again and running:
            events += _remind(book, running, now_ns)
        elif not running:
            events += book.system(REMINDER_ALARM, active=False, why=_NOTHING_OUT, now_ns=now_ns)
        return events

    @staticmethod
    def _ended(book: AlarmBook, running: Sequence[Permit], over: Sequence[Permit], now_ns: int) -> Iterator[AlarmEvent]:
        """Yield the ends of demands that were followed: returned, or prolonged."""
        demanded = {PERMIT_ALARM + permit.what for permit in over}
        prolonged = {PERMIT_ALARM + permit.what for permit in running} - demanded
        for alarm in book.standing(PERMIT_ALARM):
            if alarm not in demanded:
                why = _PROLONGED if alarm in prolonged else _RETURNED
                yield from book.system(alarm, active=False, why=why, now_ns=now_ns)


_NOTHING_OUT = Reason("nothing is out of service any more", "已无停用的报警")
_PROLONGED = Reason("the permit was prolonged", "许可已延期")
_RETURNED = Reason("returned to service", "已恢复使用")
_AGAIN = Reason("told again with the new shift", "新班次再次提示")


def in_service(book: AlarmBook, now_ns: int) -> list[AlarmEvent]:
    """Return a note of alarms that are in service though their instrument or area was taken out as a whole.

    A rule that is new in the site file is in service until a person takes it out; nobody may think otherwise.
    """
    events: list[AlarmEvent] = []
    out = book.out_of_service()
    names = {event.alarm for event in out}
    for permit in permits(out):
        whole = book.alarms_of(instrument=permit.what) or book.alarms_of(area=permit.what)
        others = [alarm for alarm in whole if alarm not in names]
        if others:
            told = _listed(others)
            why = Reason(
                f"in service, though {permit.what} is out of service: {told.en}",
                f"{permit.what} 已停用，但以下报警仍在使用：{told.zh}",
            )
            events += book.note(why, now_ns)
    return events


def _is_over(permit: Permit, now_ns: int, longest_s: float) -> bool:
    """Whether a permit is over; one that runs for longer than is allowed is too: the clock was set back."""
    return permit.until_ns <= now_ns or permit.until_ns - now_ns > longest_s * NS_PER_S


def _demand(book: AlarmBook, permit: Permit, now_ns: int, *, again: bool) -> list[AlarmEvent]:
    """Demand that an end be made, and where that was demanded before, do so anew with each shift."""
    alarm = PERMIT_ALARM + permit.what
    events = book.system(alarm, active=False, why=_AGAIN, now_ns=now_ns) if again else []
    count = f" ({permit.alarms} alarms)" if permit.alarms > 1 else ""
    count_zh = f"（{permit.alarms} 条报警）" if permit.alarms > 1 else ""
    end = rfc3339(permit.until_ns) if permit.until_ns else "?"
    why = Reason(
        f"{permit.what}{count} is still out of service and its permit ended at {end}; return it or prolong the permit:"
        f" {permit.text}",
        f"{permit.what}{count_zh}仍处于停用状态，许可已于 {end} 到期；请恢复使用或延期：{permit.text}",
    )
    return events + book.system(alarm, active=True, why=why, now_ns=now_ns, area=permit.area)


def _remind(book: AlarmBook, running: Sequence[Permit], now_ns: int) -> list[AlarmEvent]:
    told = _listed([permit.what for permit in running])
    why = Reason(f"out of service: {told.en}", f"停用中：{told.zh}")
    return [
        *book.system(REMINDER_ALARM, active=False, why=_AGAIN, now_ns=now_ns),
        *book.system(REMINDER_ALARM, active=True, why=why, now_ns=now_ns, priority=Priority.BLUE, level=Level.WARNING),
    ]


def _listed(names: Sequence[str]) -> Reason:
    shown, more = ", ".join(names[:NAMES_MAX]), len(names) - NAMES_MAX
    return Reason(
        shown + (f" and {more} more" if more > 0 else ""), shown + (f" 等 {len(names)} 项" if more > 0 else "")
    )
