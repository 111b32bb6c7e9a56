"""What can be asked of a running gateway's past: searches, past lists, exports, reports, handovers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, Literal, Protocol, TypeVar

import structlog

from gateway.alarms.book import AlarmBook
from gateway.calibration import CalibrationDuty
from gateway.cases import Cases
from gateway.core.alarm import Alarm, AlarmEvent
from gateway.core.clock import Clock, rfc3339
from gateway.core.errors import CommandRefusedError, StorageError
from gateway.handover import Draft, Handovers
from gateway.recorder import Recorder
from gateway.reports import gather, periods
from gateway.reports.blocks import Page
from gateway.reports.compose import compose
from gateway.reports.gather import Present
from gateway.reports.language import Lang
from gateway.reports.model import Duty, Kind
from gateway.reports.place import Place, keep_place, place_of, read_place
from gateway.site.plans import Site
from gateway.store.export import csv_parts, jsonl_parts
from gateway.store.search import Found, Past, Query

log = structlog.get_logger()

T = TypeVar("T")

LONG_MAX: Final = 2
"""Reports, and exports, made at a time; others wait, and are refused where too many wait."""
WAITING_MAX: Final = 8


class Turns:
    """A few places for long questions; some more wait for one, and the rest are refused."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(LONG_MAX)
        self._waiting = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raises CommandRefusedError."""
        if self._waiting >= WAITING_MAX:
            raise CommandRefusedError(f"{WAITING_MAX} others wait for a report or an export already; ask again later")
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()


class Recording(Protocol):
    """What of a running gateway its records need; `gateway.app.App` has it."""

    clock: Clock
    site: Site
    calibrations: CalibrationDuty
    cases: Cases
    recorder: Recorder

    @property
    def book(self) -> AlarmBook:
        """The alarm book."""
        ...

    async def record(self, event: AlarmEvent) -> AlarmEvent:
        """Journal an event that changes no alarm."""
        ...


class Records:
    """Answers from the journal's file, in threads, so that no alarm waits for it.

    Args:
        data: The data folder.
        clock: Time.
        past: The journal.
        place: Returns the site as it is named now.
        present: Returns how things are now; called in the event loop.
        record: Journals an event and returns it with its number once it is on disk.
        unsaved: Returns published events that the disk has not taken yet.
    """

    def __init__(
        self,
        data: Path,
        clock: Clock,
        past: Past,
        *,
        place: Callable[[], Place],
        present: Callable[[], Present],
        record: Callable[[AlarmEvent], Awaitable[AlarmEvent]],
        unsaved: Callable[[], Sequence[AlarmEvent]] = tuple,
    ) -> None:
        self.past = past
        self.handovers = Handovers(data, clock, past, place=place, present=present, record=record)
        self._data = data
        self._clock = clock
        self._place = place
        self._present = present
        self._unsaved = unsaved
        self._reports = Turns()
        # Apart: whoever loads a large file slowly keeps nobody from a handover.
        self._exports = Turns()

    @classmethod
    def of(cls, app: "Recording", data: Path, past: Past) -> "Records":
        """Return the records of a running gateway."""
        return cls(
            data,
            app.clock,
            past,
            place=lambda: place_of(app.site.file, app.site.instruments.values()),
            present=lambda: Present(
                alarms=tuple(app.book.alarms()), cases=tuple(app.cases.open()), calibrations=tuple(_duties(app))
            ),
            record=app.record,
            unsaved=app.recorder.unsaved_events,
        )

    def keep_place(self) -> None:
        """Keep the site's names in the data folder where they have changed; blocks."""
        place = self._place()
        if read_place(self._data) == place:
            return
        try:
            keep_place(self._data, place)
        except StorageError as error:
            # Commands beside the gateway then name things as before; nothing else depends on it.
            log.warning("names of the site not kept", why=str(error))

    async def search(self, query: Query) -> Found:
        """Return published events that match, also those that the disk has not taken. Raises StorageError."""
        unsaved = list(self._unsaved())
        found = await asyncio.to_thread(self.past.search, query)
        stored = {event.seq for event in found.events}
        extra = [e for e in unsaved if e.seq not in stored and query.matches(e) and query.follows(e.seq)]
        if not extra:
            return found
        events = [*reversed(extra), *found.events] if query.newest_first else [*found.events, *extra]
        if len(events) <= query.limit:
            return Found(events, found.next)
        return Found(events[: query.limit], events[query.limit - 1].seq)

    async def alarms_at(self, time_ns: int) -> tuple[list[Alarm], bool]:
        """Return the alarms that were not normal at a time, most urgent first, and whether one sounded."""
        events = await asyncio.to_thread(self.past.at, time_ns)
        book = AlarmBook([])
        book.restore(events)
        return book.alarms(), book.audible()

    async def export(self, form: Literal["csv", "jsonl"], start_ns: int, end_ns: int) -> AsyncIterator[bytes]:
        """Yield the journal as a file, part by part; nothing is read ahead of who takes it. Raises StorageError."""
        async with self._exports.one():
            place = self._place()
            if form == "csv":
                parts = csv_parts(self.past, place.zone, start_ns, end_ns)
            else:
                about = {"site": place.id, "gateway": place.gateway, "exported": rfc3339(self._clock.now_ns())}
                parts = jsonl_parts(self.past, about, start_ns, end_ns)
            while (part := await asyncio.to_thread(next, parts, None)) is not None:
                yield part

    async def page(self, kind: Kind, lang: Lang, *, date: str = "", handover: str = "") -> Page:
        """Return a report, said in a language.

        Args:
            kind: Which report.
            lang: The language.
            date: The day or month; the one before this where empty.
            handover: A signed handover's id; the draft where empty.

        Raises:
            HazgateError: The date cannot be read, or the handover is not known.
        """
        async with self._reports.one():
            if kind == "handover":
                found = await (self.handovers.find(handover) if handover else self.handovers.draft())
                return await asyncio.to_thread(page_of, found, lang)
            now_ns, place, present = self._clock.now_ns(), self._place(), self._present()
            period = (periods.day if kind == "daily" else periods.month)(place, date, now_ns)
            make = partial(gather.make, kind, self.past, place, period, now_ns=now_ns, present=present)
            return await asyncio.to_thread(lambda: compose(make(), lang))

    async def drawn(self, draw: Callable[[Page], T], page: Page) -> T:
        """Return what a page is drawn as, drawn in a thread."""
        async with self._reports.one():
            return await asyncio.to_thread(draw, page)


def page_of(found: Draft, lang: Lang) -> Page:
    """Return a handover's page."""
    return compose(found.report, lang, found.handed, altered=found.altered)


def _duties(app: Recording) -> Iterator[Duty]:
    """Yield the tests of instruments that are due or overdue."""
    for status in app.calibrations.status():
        for owed in (status.calibration, status.bump):
            if owed.state in ("due", "overdue", "failed"):
                yield Duty(
                    instrument=status.instrument.id,
                    area=status.instrument.area,
                    kind=owed.kind,
                    due_ns=owed.due_ns,
                    state=owed.state,
                )
