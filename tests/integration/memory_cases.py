"""Cases and figures of the small gateway: the real ones, over a journal that is a list."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from gateway.alarms.book import AlarmBook
from gateway.cases import Archive, Cases
from gateway.core.alarm import AlarmEvent
from gateway.core.clock import Clock
from gateway.figures import Figures
from gateway.site.operation import ResponseSection
from gateway.site.schema import SiteFile
from gateway.store.photos import Photos
from gateway.store.search import Found, Past, Query


class Small(Protocol):
    """What is needed of the small gateway."""

    clock: Clock
    book: AlarmBook
    journal: list[AlarmEvent]
    site_file: SiteFile

    def publish(self, events: Sequence[AlarmEvent]) -> list[AlarmEvent]: ...


class MemoryPast(Past):
    """The journal's questions about cases and spans, of a list."""

    def __init__(self, journal: list[AlarmEvent]) -> None:
        super().__init__(Path(os.devnull))
        self._journal = journal

    def case(self, case_id: str) -> AlarmEvent | None:
        return next((e for e in reversed(self._journal) if e.case is not None and e.case.id == case_id), None)

    def closed_cases(self, after: int, limit: int, alarm: str = "") -> Found:
        last = {e.case.id: e for e in self._journal if e.case is not None}
        found = [
            e
            for e in reversed(last.values())
            if e.case and e.case.closed_ns and (not after or e.seq < after) and alarm in ("", e.case.alarm)
        ]
        found.sort(key=lambda e: -e.seq)
        return Found(found[:limit], found[limit - 1].seq if len(found) > limit else None)

    def search(self, query: Query) -> Found:
        chosen = [e for e in self._journal if query.matches(e) and query.follows(e.seq)]
        if query.newest_first:
            chosen.reverse()
        return Found(chosen[: query.limit], chosen[query.limit - 1].seq if len(chosen) > query.limit else None)

    def span(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        seqs = [e.seq for e in self._journal if start_ns <= e.time_ns < end_ns]
        return (min(seqs), max(seqs)) if seqs else (1, 0)

    def rows(self, after: int, last: int, limit: int) -> list[tuple[int, bytes, bytes]]:
        found = [e for e in self._journal if after < e.seq <= last]
        return [(e.seq, msgspec.json.encode(e), b"") for e in found[:limit]]

    def at(self, time_ns: int) -> list[AlarmEvent]:
        last = {e.alarm: e for e in self._journal if e.alarm and e.time_ns <= time_ns}
        return sorted(last.values(), key=lambda e: e.seq)


async def _at_once(_: int) -> None:
    """Everything is on this disk at once."""


def cases_and_figures(gateway: Small, *, responds: bool) -> tuple[Cases, Figures]:
    """Return both; without `responds`, alarms open no cases and acknowledging is enough."""

    def tell(events: Sequence[AlarmEvent]) -> None:
        gateway.publish(events)

    past = MemoryPast(gateway.journal)
    archive = Archive(past, Photos(Path(os.devnull) / "photos"), _at_once)
    cases = Cases(ResponseSection(enabled=responds), gateway.clock, lambda: gateway.book, tell, archive)
    return cases, Figures(gateway.site_file.alarms, gateway.clock, lambda: gateway.book, tell, past)
