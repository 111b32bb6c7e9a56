"""The route of alarm figures: the load of a span, and what to fix; and the flood of this moment for the stream."""

from typing import Annotated, Final

import msgspec
from fastapi import Query, Request, Response

from gateway.alarms.advice import advice
from gateway.alarms.flood import Flood
from gateway.alarms.statistics import AlarmFigures, Aside
from gateway.api.access import Role
from gateway.api.face import Gateway
from gateway.api.problems import ProblemError
from gateway.api.replies import reply
from gateway.api.routes import Route
from gateway.api.times import time_of
from gateway.core.clock import NS_PER_S, rfc3339
from gateway.figures import TooManyEventsError

SPAN_MAX_S: Final = 92 * 24 * 3600


class _View(msgspec.Struct, kw_only=True):
    """Root of these payloads."""


class TenMinutesView(_View):
    """Alarms raised in ten minutes of the clock."""

    start: str
    count: int


class FloodSpanView(_View):
    """A flood; `end` is null where it went on."""

    start: str
    end: str | None
    count: int


class TopView(_View):
    """How often an alarm was raised."""

    alarm: str
    area: str
    count: int
    share_percent: float


class ChatteringView(_View):
    """An alarm raised three times or more in a minute."""

    alarm: str
    max_per_min: int
    count: int


class FleetingView(_View):
    """An alarm that went by itself within ten seconds: `count` times of `raised`."""

    alarm: str
    count: int
    raised: int


class StaleView(_View):
    """An alarm that has stood for more than a day."""

    alarm: str
    since: str


class AcknowledgeView(_View):
    """Seconds from raising to acknowledgement; null where none was acknowledged."""

    median_s: float | None
    p90_s: float | None
    unacknowledged: int


class AsideView(_View):
    """How long and how often an alarm was put aside."""

    alarm: str
    total_s: float
    times: int


class CaseCountsView(_View):
    """Cases opened and closed, how many of those opened missed a time limit, and how those closed ended."""

    opened: int
    closed: int
    overdue: int
    by_outcome: dict[str, int]


class AdviceView(_View):
    """What to fix, in both languages; the alarm it is about, or empty."""

    en: str
    zh: str
    alarm: str


class AlarmStatistics(_View):
    """Figures of the alarms of a span, after EEMUA 191 and ISA-18.2."""

    start: str
    end: str
    raised: int
    by_priority: dict[str, int]
    by_level: dict[str, int]
    per_10_min: list[TenMinutesView]
    peak_10_min: int
    floods: list[FloodSpanView]
    in_flood_percent: float
    per_hour: float
    top: list[TopView]
    chattering: list[ChatteringView]
    fleeting: list[FleetingView]
    stale: list[StaleView]
    acknowledge: AcknowledgeView
    shelved: list[AsideView]
    suppressed: list[AsideView]
    out_of_service: list[AsideView]
    cases: CaseCountsView
    advice: list[AdviceView]


class FloodAreaView(_View):
    """One area's part of a flood; `first` is its first alarm."""

    area: str
    priority: int
    level: str
    count: int
    first: str
    first_at: str


class FloodNow(_View):
    """The last ten minutes: `count` alarms; the areas only while there is a flood."""

    active: bool
    count: int
    since: str | None
    areas: list[FloodAreaView]


class AlarmStatisticsRoutes:
    """The route of alarm figures.

    Args:
        gateway: The running gateway.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """Return the route."""
        call = self.alarm_statistics
        return [Route(path="statistics/alarms", call=call, role=Role.VIEWER, answer=AlarmStatistics)]

    async def alarm_statistics(
        self,
        request: Request,
        start: Annotated[str, Query(max_length=40, description="RFC 3339, or seconds ago.")] = "86400",
        end: Annotated[str, Query(max_length=40, description="RFC 3339, or seconds ago.")] = "0",
    ) -> Response:
        """Return the figures of a span of at most 92 days; of the last 24 hours where none is named."""
        now_ns = self._gateway.clock.now_ns()
        start_ns, end_ns = time_of("start", start, now_ns), min(time_of("end", end, now_ns), now_ns)
        span_s = (end_ns - start_ns) / NS_PER_S
        if not 0 < span_s <= SPAN_MAX_S:
            raise ProblemError(422, f"{start!r} to {end!r}: a span is more than 0 and at most {SPAN_MAX_S} s")
        try:
            figures = await self._gateway.figures.of(start_ns, end_ns)
        except TooManyEventsError as error:
            raise ProblemError(422, f"{error}; ask for less") from error
        return await reply(request, alarm_statistics_view(figures))


def alarm_statistics_view(figures: AlarmFigures) -> AlarmStatistics:
    """Return figures as the API says them."""
    return AlarmStatistics(
        start=rfc3339(figures.start_ns),
        end=rfc3339(figures.end_ns),
        raised=figures.raised,
        by_priority={str(priority): count for priority, count in figures.by_priority.items()},
        by_level=dict(figures.by_level),
        per_10_min=[TenMinutesView(start=rfc3339(at_ns), count=count) for at_ns, count in figures.per_10_min],
        peak_10_min=figures.peak_10_min,
        floods=[
            FloodSpanView(start=rfc3339(f.start_ns), end=rfc3339(f.end_ns) if f.end_ns else None, count=f.raised)
            for f in figures.floods
        ],
        in_flood_percent=figures.in_flood_percent,
        per_hour=round(figures.per_hour, 2),
        top=[TopView(alarm=t.alarm, area=t.area, count=t.raised, share_percent=t.share_percent) for t in figures.top],
        chattering=[
            ChatteringView(alarm=c.alarm, max_per_min=c.max_per_min, count=c.raised) for c in figures.chattering
        ],
        fleeting=[FleetingView(alarm=f.alarm, count=f.fleeting, raised=f.raised) for f in figures.fleeting],
        stale=[StaleView(alarm=s.alarm, since=rfc3339(s.since_ns)) for s in figures.stale],
        acknowledge=AcknowledgeView(
            median_s=figures.acknowledge_median_s,
            p90_s=figures.acknowledge_p90_s,
            unacknowledged=figures.unacknowledged,
        ),
        shelved=[_aside(each) for each in figures.shelved],
        suppressed=[_aside(each) for each in figures.suppressed],
        out_of_service=[_aside(each) for each in figures.out_of_service],
        cases=CaseCountsView(
            opened=figures.cases_opened,
            closed=figures.cases_closed,
            overdue=figures.cases_overdue,
            by_outcome=dict(figures.outcomes),
        ),
        advice=[AdviceView(en=each.text.en, zh=each.text.zh, alarm=each.alarm) for each in advice(figures)],
    )


def flood_view(flood: Flood) -> FloodNow:
    """Return a flood as the stream says it."""
    areas = [
        FloodAreaView(
            area=each.area,
            priority=each.priority,
            level=each.level,
            count=each.count,
            first=each.first,
            first_at=rfc3339(each.first_ns),
        )
        for each in flood.areas
    ]
    return FloodNow(
        active=flood.active,
        count=flood.count,
        since=rfc3339(flood.since_ns) if flood.since_ns else None,
        areas=areas if flood.active else [],
    )


def _aside(each: Aside) -> AsideView:
    return AsideView(alarm=each.alarm, total_s=round(each.total_s, 1), times=each.times)
