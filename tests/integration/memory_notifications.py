"""Notifiers without a disk: the journal is a list, what a restart needs is a dictionary; all else is the real thing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from gateway.alarms.book import AlarmBook
from gateway.core.alarm import AlarmEvent
from gateway.core.clock import Clock
from gateway.core.model import Channel
from gateway.core.notice import Notice
from gateway.core.plugin import PluginOptions
from gateway.notifications import Notifications
from gateway.site.document import Document
from gateway.site.plans import Destination, Site
from gateway.site.schema import SiteFile


class MemoryLedger:
    """Keeps cursors; counts how often."""

    def __init__(self) -> None:
        self.cursors: dict[str, str] = {}
        self.kept = 0

    async def cursor(self, name: str) -> str | None:
        return self.cursors.get(name)

    async def set_cursor(self, name: str, text: str) -> None:
        self.cursors[name] = text
        self.kept += 1

    async def dead_letter(self, sink: str, key: str, payload: str, reason: str, time_ns: int) -> None:
        raise AssertionError(f"{sink} has no dead letters: {key} {payload} {reason} {time_ns}")


class MemoryEvents:
    """A journal that is a list."""

    def __init__(self, journal: list[AlarmEvent] | None = None) -> None:
        self.journal: list[AlarmEvent] = [] if journal is None else journal
        self._news = asyncio.Event()

    @property
    def published(self) -> int:
        return self.journal[-1].seq if self.journal else 0

    def publish(self, events: Sequence[AlarmEvent]) -> None:
        self.journal.extend(events)
        self._news.set()
        self._news = asyncio.Event()

    async def read(self, after: int, limit: int) -> list[AlarmEvent]:
        return [event for event in self.journal if event.seq > after][:limit]

    async def follow(self, after: int | None) -> AsyncIterator[AlarmEvent | None]:
        last = self.published if after is None else after
        while True:
            news = self._news
            for event in await self.read(last, 500):
                last = event.seq
                yield event
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await news.wait()
            if news is self._news:
                yield None


class Told:
    """A channel that keeps what it was told; `fail` is raised instead where it is set."""

    def __init__(self, per_minute: int = 20) -> None:
        self.per_minute = per_minute
        self.notices: list[Notice] = []
        self.tried: list[Notice] = []
        self.fail: Exception | None = None
        self.closed = 0

    async def send(self, notice: Notice) -> None:
        self.tried.append(notice)
        if self.fail is not None:
            raise self.fail
        self.notices.append(notice)

    async def close(self) -> None:
        self.closed += 1

    @property
    def titles(self) -> list[str]:
        return [notice.title.en for notice in self.notices]


def destination(name: str) -> Destination:
    return Destination(name, "told", ModuleType("told"), PluginOptions(), ("notifications", "notifiers", 0))


def notifications(
    events: MemoryEvents, book: AlarmBook, clock: Clock, ledger: MemoryLedger | None = None
) -> tuple[Notifications, list[tuple[str, str]]]:
    """Return notifications that have no notifier yet, and where their problems are told."""
    told: list[tuple[str, str]] = []
    made = Notifications(
        events,
        ledger or MemoryLedger(),
        clock,
        alarms=book.alarms,
        find=book.alarm,
        on_change=lambda name, why: told.append((name, why)),
    )
    return made, told


def site_of(file: SiteFile, channels: Sequence[Channel] = ()) -> Site:
    """A site that nothing was read from."""
    return Site(file, tuple(channels), (), (), (), (), {}, Document(Path("site.yaml"), {}, ""))


def notifications_of(file: SiteFile, journal: list[AlarmEvent], book: AlarmBook, clock: Clock) -> Notifications:
    """Notifications of a gateway that the API is tried with: one notifier, `duty`, whose channel keeps all."""
    made, _ = notifications(MemoryEvents(journal), book, clock)
    made.start(site_of(file), [(destination("duty"), Told())])
    return made
