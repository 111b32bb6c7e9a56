"""Alarm statistics of a report's period, from the journal."""

from collections.abc import Iterable

from gateway.alarms import advice as advices
from gateway.alarms import statistics
from gateway.alarms.statistics import AlarmFigures
from gateway.core.clock import rfc3339
from gateway.figures import figures_of_span
from gateway.reports.model import (
    Advice,
    Answered,
    Aside,
    CaseCount,
    Chatter,
    Count,
    Figures,
    Flood,
    Since,
    Times,
    Top,
)
from gateway.reports.place import Place
from gateway.store.search import Past


def figures_of(past: Past, place: Place, start_ns: int, end_ns: int) -> Figures:
    """Return the statistics of a span, as far as the journal reaches back. Raises StorageError."""
    return said(figures_of_span(past, start_ns, end_ns, begins=place.flood_begins, ends=place.flood_ends))


def said(figures: AlarmFigures) -> Figures:
    """Return statistics with their times written, as a report keeps them."""
    return Figures(
        start=rfc3339(figures.start_ns),
        end=rfc3339(figures.end_ns),
        raised=figures.raised,
        by_priority={str(priority): count for priority, count in figures.by_priority.items()},
        by_level=dict(figures.by_level),
        per_10_min=tuple(Count(start=rfc3339(start), count=count) for start, count in figures.per_10_min),
        peak_10_min=figures.peak_10_min,
        floods=tuple(
            Flood(start=rfc3339(f.start_ns), end=rfc3339(f.end_ns) if f.end_ns else None, count=f.raised)
            for f in figures.floods
        ),
        in_flood_percent=figures.in_flood_percent,
        per_hour=figures.per_hour,
        top=tuple(Top(alarm=t.alarm, area=t.area, count=t.raised, share_percent=t.share_percent) for t in figures.top),
        chattering=tuple(Chatter(alarm=c.alarm, max_per_min=c.max_per_min, count=c.raised) for c in figures.chattering),
        fleeting=tuple(Times(alarm=f.alarm, count=f.fleeting) for f in figures.fleeting),
        stale=tuple(Since(alarm=s.alarm, since=rfc3339(s.since_ns)) for s in figures.stale),
        acknowledge=Answered(
            median_s=figures.acknowledge_median_s,
            p90_s=figures.acknowledge_p90_s,
            unacknowledged=figures.unacknowledged,
        ),
        shelved=_aside(figures.shelved),
        suppressed=_aside(figures.suppressed),
        out_of_service=_aside(figures.out_of_service),
        cases=CaseCount(
            opened=figures.cases_opened,
            closed=figures.cases_closed,
            overdue=figures.cases_overdue,
            by_outcome=dict(figures.outcomes),
        ),
        advice=tuple(Advice(en=a.text.en, zh=a.text.zh, alarm=a.alarm) for a in advices.advice(figures)),
    )


def _aside(found: Iterable[statistics.Aside]) -> tuple[Aside, ...]:
    return tuple(Aside(alarm=a.alarm, total_s=a.total_s, times=a.times) for a in found)
