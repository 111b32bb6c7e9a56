"""What can be read: health, channels, history, alarms, events, instruments, uplinks, outputs, figures, the stream."""

import asyncio
import math
from importlib import import_module
from typing import Annotated, Literal

import msgspec
import numpy as np
from fastapi import Header, Query, Request, Response

from gateway.api.access import Access, Role
from gateway.api.face import Gateway
from gateway.api.hub import Cursor, Hub
from gateway.api.payloads import (
    QUALITIES,
    Alarms,
    ChannelColumns,
    ChannelDetail,
    Channels,
    ChannelView,
    Events,
    Health,
    History,
    Instruments,
    InstrumentView,
    OutputList,
    OutputView,
    RuleView,
    Statistics,
    Uplinks,
    UplinkView,
    View,
    alarm_view,
    channel_columns,
    event_view,
    moment,
    moments,
    numbers,
)
from gateway.api.problems import ProblemError
from gateway.api.replies import reply
from gateway.api.routes import Route
from gateway.api.setpoints import SetPointColumns, SetPoints
from gateway.api.site import SiteView, site_view
from gateway.api.stream import LiveStream
from gateway.api.times import time_of
from gateway.core.alarm import AlarmState, EventKind
from gateway.core.clock import NS_PER_S, rfc3339
from gateway.core.model import Int32
from gateway.store.search import Query as JournalQuery

RAW_SPAN_MAX_S = 24 * 3600
MINUTE_SPAN_MAX_S = 92 * 24 * 3600
AUTOMATIC_RAW_S = 2 * 3600
SEQ_MAX = 2**62
HEALTH_S = 1.0
UNACKNOWLEDGED = frozenset({AlarmState.UNACKED, AlarmState.RETURNED, AlarmState.LATCHED_UNACKED})
SYSTEM = "system/"

Seconds = Annotated[str, Query(max_length=40, description="RFC 3339, or seconds ago.")]


class Reads:
    """The reading routes.

    Args:
        gateway: Where everything comes from.
        access: For the stream, which is checked again and again.
        hub: For the stream.
    """

    def __init__(self, gateway: Gateway, access: Access, hub: Hub) -> None:
        self._gateway = gateway
        self._access = access
        self._hub = hub
        self.set_points = SetPoints(gateway)
        self._rows: tuple[int, dict[str, int]] = (0, {})
        self._large = asyncio.Semaphore(2)
        self._health: tuple[float, Health | None] = (-math.inf, None)

    def routes(self) -> list[Route]:
        """Return the routes; the longer paths come first, as ids may have slashes in them."""
        one = "channels/{channel_id:path}"
        found = (
            ("channels", self.channels, Channels | ChannelColumns),
            (f"{one}/history", self.history, History),
            (one, self.channel, ChannelDetail),
            ("alarms", self.alarms, Alarms),
            ("events", self.events, Events),
            ("instruments", self.instruments, Instruments),
            ("uplinks", self.uplinks, Uplinks),
            ("outputs", self.outputs, OutputList),
            ("statistics", self.statistics, Statistics),
            ("site", self.site, SiteView),
            ("set-points", self.set_points.set_points, SetPointColumns),
            ("stream", self.stream, "text/event-stream"),
            ("/metrics", self.metrics, "text/plain"),
        )
        return [
            Route(path="health", call=self.health, role=Role.NOBODY, answer=Health),
            *(Route(path=path, call=call, role=Role.VIEWER, answer=answer) for path, call, answer in found),
        ]

    def _row_of(self) -> dict[str, int]:
        """Return each channel's row in the present table."""
        if self._rows[0] != self._gateway.table:
            self._rows = (self._gateway.table, {channel.id: channel.row for channel in self._gateway.channels})
        return self._rows[1]

    def _now(self) -> str:
        return rfc3339(self._gateway.clock.now_ns())

    async def health(self, request: Request) -> Response:
        """Tell whether the gateway is up and what is degraded; needs no token, and is looked up once a second."""
        now_s, (looked_s, health) = self._gateway.clock.monotonic_s(), self._health
        if health is None or now_s - looked_s >= HEALTH_S:
            health = self._look()
            self._health = (now_s, health)
        return await reply(request, health)

    def _look(self) -> Health:
        alarms, instruments = self._gateway.alarms(), self._gateway.instruments()
        # What is only a warning (a rule that cries wolf) keeps nothing from working.
        degraded = [alarm.id for alarm in alarms if alarm.id.startswith(SYSTEM) and alarm.event.condition == "fault"]
        offline = sum(not one.online for one in instruments)
        journal_ok = not self._gateway.statistics().get("events_not_on_disk", 0)
        journal_ok = journal_ok and not any("journal" in alarm for alarm in degraded)
        return Health(
            status="degraded" if degraded or offline or not journal_ok else "ok",
            time=self._now(),
            site=self._gateway.site_id,
            name=self._gateway.site_name,
            epoch=self._gateway.epoch,
            alarms={str(p): sum(a.event.priority == p for a in alarms) for p in (1, 2, 3, 4)},
            unacknowledged=sum(a.event.state in UNACKNOWLEDGED for a in alarms),
            journal_ok=journal_ok,
            instruments=len(instruments),
            instruments_offline=offline,
            degraded=degraded,
        )

    async def channels(self, request: Request, form: Literal["list", "columns"] = "list") -> Response:
        """List all channels with their newest readings, one object a channel or one list a field."""
        async with self._large:
            # Taken together: a reload in between would put values beside other channels' names.
            now, channels, latest = self._now(), self._gateway.channels, self._gateway.latest()
            table = self._gateway.table
            # In a thread: ten thousand channels take tens of milliseconds, and alarms do not wait for that.
            columns = await asyncio.to_thread(channel_columns, channels, latest.time_ns, latest.value, latest.quality)
            view = await asyncio.to_thread(_channels, now, table, columns, form)
            return await reply(request, view)

    async def channel(self, request: Request, channel_id: str) -> Response:
        """Return a channel with its newest reading and what each rule says of it."""
        row = self._row_of().get(channel_id)
        if row is None:
            raise ProblemError(404, f"there is no channel {channel_id!r}")
        channel, latest = self._gateway.channels[row], self._gateway.latest()
        one = slice(row, row + 1)
        columns = channel_columns([channel], latest.time_ns[one], latest.value[one], latest.quality[one])
        limits = self.set_points.of(channel)
        rules = [
            RuleView(**msgspec.structs.asdict(each), set_points=limits.get(each.id, []))
            for each in self._gateway.rules_of(channel)
        ]
        fields = {name: column[0] for name, column in columns.items()} | {"rules": rules}
        return await reply(request, msgspec.convert(fields, ChannelDetail))

    async def history(
        self,
        request: Request,
        channel_id: str,
        start: Seconds = "3600",
        end: Seconds = "0",
        resolution: Annotated[Literal["auto", "0", "60"], Query(description="Seconds; 0 is every reading.")] = "auto",
    ) -> Response:
        """Return a channel's past: readings of up to a day, or minutes of up to 92 days."""
        row = self._row_of().get(channel_id)
        unit = "" if row is None else self._gateway.channels[row].unit
        start_ns, end_ns = self._time("start", start), self._time("end", end)
        span_s = (end_ns - start_ns) / NS_PER_S
        if span_s <= 0:
            raise ProblemError(422, f"start {start!r} is not before end {end!r}")
        resolution_s = (0 if span_s <= AUTOMATIC_RAW_S else 60) if resolution == "auto" else int(resolution)
        longest_s = MINUTE_SPAN_MAX_S if resolution_s else RAW_SPAN_MAX_S
        if span_s > longest_s:
            detail = f"{span_s:.0f} s at resolution {resolution_s} is more than {longest_s} s; ask for less at a time"
            raise ProblemError(422, detail)
        async with self._large:
            trend = await self._gateway.history(channel_id, start_ns, end_ns, resolution_s)
            if row is None and not len(trend.time_ns):
                # One that has left the site is found as long as its past is kept.
                raise ProblemError(404, f"there is no channel {channel_id!r}")
            view = await asyncio.to_thread(
                lambda: History(
                    channel=channel_id,
                    unit=unit,
                    start=rfc3339(start_ns),
                    end=rfc3339(end_ns),
                    resolution_s=trend.resolution_s,
                    time=moments(trend.time_ns),
                    low=numbers(trend.low),
                    mean=numbers(trend.mean),
                    high=numbers(trend.high),
                    quality=[QUALITIES[code] for code in trend.quality.tolist()],
                )
            )
            return await reply(request, view)

    def _time(self, name: str, text: str) -> int:
        """Return a time in nanoseconds from RFC 3339 or seconds ago. Raises ProblemError."""
        return time_of(name, text, self._gateway.clock.now_ns())

    async def alarms(
        self,
        request: Request,
        at: Annotated[str, Query(max_length=40, description="As it stood then: RFC 3339, or seconds ago.")] = "",
    ) -> Response:
        """List every alarm that is not normal, most urgent first; now, or as the list stood at a time."""
        if not at:
            views = [alarm_view(alarm, self._gateway.cases.open_case_of(alarm.id)) for alarm in self._gateway.alarms()]
            return await reply(request, Alarms(time=self._now(), audible=self._gateway.audible(), alarms=views))
        time_ns = self._time("at", at)
        alarms, audible = await self._gateway.records.alarms_at(time_ns)
        views = [alarm_view(alarm) for alarm in alarms]
        return await reply(request, Alarms(time=rfc3339(time_ns), audible=audible, alarms=views))

    async def events(  # noqa: PLR0917 - query parameters; the web framework names them
        self,
        request: Request,
        after: Annotated[int, Query(ge=0, le=SEQ_MAX, description="The number of the last one you have.")] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        alarm: Annotated[str, Query(max_length=500, description="Only this alarm's.")] = "",
        kind: Annotated[tuple[EventKind, ...], Query(max_length=30, description="Only of these kinds.")] = (),
        newest_first: bool = False,  # noqa: FBT001, FBT002 - a query parameter; callers name it
        start: Annotated[str, Query(max_length=40, description="Not before: RFC 3339, or seconds ago.")] = "",
        end: Annotated[str, Query(max_length=40, description="Before: RFC 3339, or seconds ago.")] = "",
        area: Annotated[str, Query(max_length=200, description="Only of this area.")] = "",
        who: Annotated[str, Query(max_length=200, description="Only what this person or part did.")] = "",
        q: Annotated[str, Query(max_length=200, description="Only where these words stand.")] = "",
    ) -> Response:
        """Read the journal by parts: events after a number, or, newest first, before it.

        Where much has to be looked through, a part may hold fewer events than asked for, and `next` says where to go
        on; null only at the end.
        """
        if start or end or area or who or q or len(kind) > 1:
            start_ns = self._time("start", start) if start else 0
            end_ns = self._time("end", end) if end else 0
            query = JournalQuery(
                after=after, limit=limit, newest_first=newest_first, alarm=alarm, kinds=tuple(kind), area=area,
                who=who, text=q, start_ns=start_ns, end_ns=end_ns,
            )  # fmt: skip
            found, following = await self._gateway.records.search(query)
        else:
            only = kind[0].value if kind else ""
            found = await self._gateway.events(after, limit, alarm=alarm, kind=only, newest_first=newest_first)
            following = found[-1].seq if len(found) == limit else None
        views = [event_view(event) for event in found]
        return await reply(request, Events(epoch=self._gateway.epoch, events=views, next=following))

    async def instruments(self, request: Request) -> Response:
        """List the instruments and how they are doing."""
        views = [
            InstrumentView(
                id=one.id,
                connection=one.connection,
                type=one.type,
                online=one.online,
                last=moment(one.last_ns),
                readings=one.readings,
                bad=one.bad,
                reason=one.reason,
            )
            for one in self._gateway.instruments()
        ]
        return await reply(request, Instruments(time=self._now(), instruments=views))

    async def uplinks(self, request: Request) -> Response:
        """List stores and platforms, and what still waits for them."""
        views = [
            UplinkView(
                id=one.id,
                type=one.type,
                kind=one.kind,
                up=one.up,
                delivered=one.delivered,
                dead=one.dead,
                waiting=one.waiting,
                oldest=moment(one.oldest_ns),
                last=moment(one.last_ns),
                reason=one.reason,
            )
            for one in self._gateway.uplinks()
        ]
        return await reply(request, Uplinks(time=self._now(), uplinks=views))

    async def outputs(self, request: Request) -> Response:
        """List sounders and beacons: what the alarms ask of them, and what they do."""
        views = [
            OutputView(
                id=one.id,
                label=one.label,
                connection=one.connection,
                wanted=one.wanted,
                shown=one.shown,
                alarms=one.alarms,
                last=moment(one.last_ns),
                reason=one.reason,
            )
            for one in self._gateway.outputs()
        ]
        return await reply(request, OutputList(time=self._now(), outputs=views))

    async def site(self, request: Request) -> Response:
        """Tell what the site file says of the site's people: areas, shifts, how alarms are run."""
        return await reply(request, site_view(self._gateway.site_file))

    async def statistics(self, request: Request) -> Response:
        """Return counters and gauges by name."""
        figures = {name: float(value) for name, value in self._gateway.statistics().items()}
        return await reply(request, Statistics(time=self._now(), statistics=figures))

    async def stream(
        self,
        request: Request,
        channels: Annotated[
            str | None,
            Query(max_length=16_000, description="Ids with commas between; all where absent, none if empty."),
        ] = None,
        last_event_id: Annotated[int | None, Query(ge=0, le=SEQ_MAX, description="Resume after this event.")] = None,
        epoch: Annotated[str, Query(max_length=100, description="The epoch that number belongs to.")] = "",
        resume: Annotated[str, Header(alias="Last-Event-ID", max_length=40)] = "",
    ) -> Response:
        """Follow all live (server-sent events): `snapshot`, then `alarm` for each event, `values` each second."""
        last = int(resume) if resume.isascii() and resume.isdigit() else last_event_id
        if last is None or (epoch and epoch != self._gateway.epoch):
            last = -1
        rows = None if channels is None else self._wanted(channels)
        cursor = Cursor(seq=last, rows=rows, table=self._gateway.table)
        return LiveStream(request, self._hub, self._access, clock=self._gateway.clock, cursor=cursor)

    def _wanted(self, channels: str) -> Int32:
        names = [name for name in channels.split(",") if name]
        rows = self._row_of()
        if unknown := [name for name in names if name not in rows]:
            raise ProblemError(404, f"there is no channel {unknown[0]!r}")
        return np.unique(np.array([rows[name] for name in names], np.int32))

    async def metrics(self, _: Request) -> Response:
        """Return the gateway's figures for Prometheus."""
        # Loaded at the first scrape, if ever, and in a thread: an import reads files.
        metrics = await asyncio.to_thread(import_module, "gateway.api.metrics")
        figures = metrics.Figures.of(self._gateway, self._hub.readers)
        return Response(await asyncio.to_thread(figures.text), media_type=metrics.CONTENT_TYPE)


def _channels(now: str, table: int, columns: dict[str, list[str | int | float | None]], form: str) -> View:
    if form == "columns":
        return ChannelColumns(time=now, table=table, columns=columns)
    rows = zip(*columns.values(), strict=True)
    views = [ChannelView(**dict(zip(columns, row, strict=True))) for row in rows]
    return Channels(time=now, table=table, channels=views)
