"""The responses of a running gateway: cases follow the alarms, people go through them, time limits are watched."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from gateway.alarms.book import AlarmBook
from gateway.alarms.case import PROBLEM, Policy
from gateway.alarms.response import OPEN_MAX, OVERDUE_ALARM, CaseBook, UnknownCaseError
from gateway.alarms.steps import Step
from gateway.core.alarm import AlarmEvent, Case
from gateway.core.clock import NS_PER_S, Clock
from gateway.core.errors import CommandRefusedError
from gateway.core.model import Reason
from gateway.site.operation import ResponseSection
from gateway.store.photos import Photos
from gateway.store.search import Found, Past

log = structlog.get_logger()

LOOK_S = 1.0
AGAIN_S = 60.0
"""What becomes overdue while the alarm about that stands raises it anew, at most so often."""
CHUNK = 250
"""Cases gone through before others have their turn."""
FAILED_ALARM = "system/cases"
_WELL = Reason("responses follow the alarms", "处置流程恢复正常")
_IN_TIME = Reason("no response is overdue any more", "处置超时已解除")
_NEWS = Reason("more responses are overdue", "又有处置超时")


@dataclass(frozen=True, slots=True)
class Archive:
    """What cases need of the disk.

    Attributes:
        past: The journal, for what is closed.
        photos: Pictures of reported problems.
        committed: Waits until the event of a number is on disk.
    """

    past: Past
    photos: Photos
    committed: Callable[[int], Awaitable[None]]


class Cases:
    """Keeps the book of cases beside the alarm book, and journals what changes in it.

    Args:
        section: How the site responds.
        clock: Time.
        book: Returns the alarm book, which numbers all events.
        tell: Hands events on, in their order.
        archive: What is on disk.
    """

    def __init__(
        self,
        section: ResponseSection,
        clock: Clock,
        book: Callable[[], AlarmBook],
        tell: Callable[[Sequence[AlarmEvent]], None],
        archive: Archive,
    ) -> None:
        self.photos = archive.photos
        self._cases = CaseBook(Policy.of(section))
        self._clock = clock
        self._book = book
        self._tell = tell
        self._committed = archive.committed
        self._past = archive.past
        self._failed = ""
        self._told = (0, 0)
        self._unattended = 0

    # What alarms do

    def follow(self, events: Sequence[AlarmEvent]) -> Sequence[AlarmEvent]:
        """Return the events with those of cases that follow from them behind.

        A mistake in here must not keep an alarm from anybody: it is logged, said by a system alarm, and the events go
        on without cases.
        """
        try:
            follows = self._cases.follow(events)
        except Exception as error:
            log.exception("cases do not follow the alarms")
            self._failed = f"responses do not follow the alarms: {type(error).__name__}: {error}"
            return events
        return [*events, *self._numbered(follows)] if follows else events

    def restore(self, latest: Iterable[AlarmEvent]) -> None:
        """Take over what the journal says is open."""
        self._cases.restore(latest)

    def begin(self, events: Sequence[AlarmEvent], now_ns: int) -> Sequence[AlarmEvent]:
        """Follow the first events after a start, and bring cases and alarms together."""
        first = self.follow(events)
        return [*first, *self._reconciled(now_ns)]

    def change(self, section: ResponseSection, now_ns: int) -> list[AlarmEvent]:
        """Go on as another site file says."""
        policy = Policy.of(section)
        if policy != self._cases.policy:
            self._cases.change(policy)
        return self._reconciled(now_ns)

    def _reconciled(self, now_ns: int) -> list[AlarmEvent]:
        standing = [alarm.event for alarm in self._book().alarms()]
        return self._numbered(self._cases.reconcile(standing, now_ns))

    # Time

    async def run(self) -> None:
        """Watch the time limits; for ever."""
        while True:
            await self._clock.sleep(LOOK_S)
            self._tell(self.look(self._clock.now_ns()))

    def look(self, now_ns: int) -> list[AlarmEvent]:
        """Return what has become overdue, and the alarm about that; not told to anybody yet."""
        events = self._numbered(self._cases.advance(now_ns))
        events += self._overdue(now_ns)
        wrong = self._failed or self._too_many()
        return events + self._book().system(FAILED_ALARM, active=bool(wrong), why=wrong or _WELL, now_ns=now_ns)

    def _too_many(self) -> str:
        unattended, self._unattended = self._cases.unattended - self._unattended, self._cases.unattended
        if not unattended and self._cases.open_count < OPEN_MAX:
            return ""
        return (
            f"{self._cases.open_count} cases are open, which is the limit; {self._cases.unattended} closed unattended"
        )

    def _overdue(self, now_ns: int) -> list[AlarmEvent]:
        book, late = self._book(), self._cases.late()
        alarm = book.alarm(OVERDUE_ALARM)
        active = alarm is not None and alarm.event.condition != "normal"
        if not late:
            return book.system(OVERDUE_ALARM, active=False, why=_IN_TIME, now_ns=now_ns) if active else []
        count, at_ns = self._told
        more = self._cases.late_total > count and abs(now_ns - at_ns) >= AGAIN_S * NS_PER_S
        if active and not more:
            return []
        found = self._cases.overdue()
        assert found is not None
        self._told = self._cases.late_total, now_ns
        events = book.system(OVERDUE_ALARM, active=False, why=_NEWS, now_ns=now_ns) if active else []
        return events + book.system(OVERDUE_ALARM, active=True, why=found[0], now_ns=now_ns, priority=found[1])

    # What people do

    async def order(self, case_id: str, step: Step, who: str) -> list[AlarmEvent]:
        """Go one step on in a case and return its events once they are on disk.

        Raises:
            UnknownCaseError: There is no such case.
            CommandRefusedError: It is closed, or the step refuses.
        """
        if self._cases.case(case_id) is None and (case := await self.find(case_id)).closed_ns:
            raise CommandRefusedError(f"{case_id} was closed by {case.closed_by}; open it again to go on")
        return await self._journalled(self._cases.order(case_id, step, who, self._clock.now_ns()))

    async def order_many(self, case_ids: Iterable[str], step: Step, who: str) -> tuple[int, list[tuple[str, str]]]:
        """Go the same step on in many cases, piece by piece, so that ten thousand keep nothing waiting.

        Returns:
            In how many it was gone, and those in which it was refused, each with the reason; known when all is on disk.
        """
        done, refused, last = 0, [], 0
        for number, case_id in enumerate(dict.fromkeys(case_ids), start=1):
            try:
                events = self._numbered(self._cases.order(case_id, step, who, self._clock.now_ns()))
            except CommandRefusedError as refusal:
                refused.append((case_id, str(refusal)))
                continue
            done += 1
            self._tell(events)
            last = events[-1].seq if events else last
            if number % CHUNK == 0:
                await self._clock.sleep(0)
        if last:
            await self._committed(last)
        return done, refused

    async def reopen(self, case_id: str, who: str, why: str) -> list[AlarmEvent]:
        """Open a closed case again; as `order`."""
        case = await self.find(case_id)
        return await self._journalled(self._cases.reopen(case, who, self._clock.now_ns(), why))

    async def report(
        self, who: str, title: str, *, channel: str = "", instrument: str = "", area: str = "", photo: str = ""
    ) -> list[AlarmEvent]:
        """Open a case for a problem that somebody saw; return its events once they are on disk."""
        case = Case(
            id=f"{PROBLEM}#{self._book().next_seq}",
            channel=channel,
            instrument=instrument,
            area=area,
            title=title,
            title_zh=title,
            opened_by=who,
            photo=photo,
        )
        return await self._journalled(self._cases.report(case, self._clock.now_ns()))

    async def _journalled(self, events: list[AlarmEvent]) -> list[AlarmEvent]:
        events = self._numbered(events)
        self._tell(events)
        if events:
            await self._committed(events[-1].seq)
        return events

    def _numbered(self, events: Iterable[AlarmEvent]) -> list[AlarmEvent]:
        number = self._book().number
        return [number(event) for event in events]

    # Questions

    @property
    def policy(self) -> Policy:
        """How the site responds."""
        return self._cases.policy

    def open(self) -> list[Case]:
        """Return the open cases, the most urgent first."""
        return self._cases.cases()

    def open_case_of(self, alarm: str) -> str:
        """Return the id of an alarm's open case, or empty."""
        return self._cases.open_case_of(alarm)

    async def find(self, case_id: str) -> Case:
        """Return a case, open or closed. Raises UnknownCaseError, StorageError."""
        known = self._cases.case(case_id)
        if known is not None:
            return known
        event = await asyncio.to_thread(self._past.case, case_id)
        if event is None or event.case is None:
            raise UnknownCaseError(f"there is no case {case_id[:200]!r}")
        return event.case

    async def closed(self, after: int, limit: int, alarm: str = "") -> Found:
        """Return the last events of closed cases, newest first; see `Past.closed_cases`. Raises StorageError."""
        return await asyncio.to_thread(self._past.closed_cases, after, limit, alarm)
