"""The routes of cases: list them, send somebody, arrive, act, close, open again; and report a problem."""

import asyncio
import base64
from typing import Annotated, Final, Literal

import msgspec
from fastapi import Query, Request, Response

from gateway.alarms import steps
from gateway.alarms.case import OUTCOMES
from gateway.alarms.response import OPEN_MAX
from gateway.alarms.words import one_line
from gateway.api.access import Role
from gateway.api.case_views import CaseView, case_view
from gateway.api.face import Gateway
from gateway.api.payloads import NoOrder, View
from gateway.api.problems import ProblemError
from gateway.api.replies import body_of, caller_of, reply
from gateway.api.routes import Route
from gateway.core.alarm import AlarmEvent, Case
from gateway.core.clock import rfc3339
from gateway.core.errors import CommandRefusedError
from gateway.core.model import Reason

LIST_MAX: Final = 500
_CLOSED: Final = "closed"
"""Where to go on in a list of all cases when the open ones are through."""
_PICTURE: Final = ("data:image/jpeg;base64,", "data:image/png;base64,")

Words = Annotated[str, msgspec.Meta(max_length=500)]
Name = Annotated[str, msgspec.Meta(max_length=100)]


class CaseList(View):
    """Cases; `next` is the `after` of the next part, null where there is none."""

    time: str
    cases: list[CaseView]
    next: str | None


class CaseDone(View):
    """The case after an order; `events` are the numbers of what the order made, none where nothing changed."""

    case: CaseView
    events: list[int]


class DispatchOrder(View, forbid_unknown_fields=True):
    """Who is sent."""

    assignee: Annotated[Name, msgspec.Meta(min_length=1, description="The person who is sent.")]
    phone: Annotated[Name, msgspec.Meta(description="That person's telephone number.")] = ""
    note: Annotated[Words, msgspec.Meta(description="What they are told.")] = ""


class ActOrder(View, forbid_unknown_fields=True):
    """What was done."""

    text: Annotated[Words, msgspec.Meta(min_length=1, description="What was done.")]


class CloseOrder(View, forbid_unknown_fields=True):
    """What it came to."""

    outcome: Annotated[
        Literal["real", "false", "maintenance", "test", "instrument_fault"], msgspec.Meta(description="What it was.")
    ]
    note: Annotated[Words, msgspec.Meta(description="What was found; needed while the alarm still stands.")] = ""


class CloseManyOrder(View, forbid_unknown_fields=True):
    """Which cases are closed, and what they came to: after a flood, one by one would take the night."""

    cases: Annotated[
        list[Annotated[str, msgspec.Meta(max_length=300)]], msgspec.Meta(min_length=1, max_length=OPEN_MAX)
    ]
    outcome: Annotated[
        Literal["real", "false", "maintenance", "test", "instrument_fault"], msgspec.Meta(description="What it was.")
    ]
    note: Annotated[Words, msgspec.Meta(description="What was found; needed where an alarm still stands.")] = ""


class RefusedCase(View):
    """A case that stays open, and why."""

    case: str
    reason: str


class CasesDone(View):
    """How many cases were closed, and each that was not."""

    done: int
    refused: list[RefusedCase]


class ReopenOrder(View, forbid_unknown_fields=True):
    """Why it is not over."""

    why: Annotated[Words, msgspec.Meta(min_length=1, description="The reason.")]


class ProblemOrder(View, forbid_unknown_fields=True):
    """What somebody saw, and where: one of channel, instrument and area."""

    text: Annotated[Words, msgspec.Meta(min_length=1, description="What was seen.")]
    channel: Name = ""
    instrument: Name = ""
    area: Name = ""
    photo: Annotated[
        str, msgspec.Meta(max_length=70_000, description="A JPEG or PNG of at most 48 KiB, as a data URL in base64.")
    ] = ""


_ABSENT: Final = {404: "There is no such case."}


class CaseRoutes:
    """The routes of cases.

    Args:
        gateway: The running gateway.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """Return the routes; the longer paths come first, as ids have slashes in them."""
        one, operator, viewer = "cases/{case_id:path}", Role.OPERATOR, Role.VIEWER
        found = (
            (f"{one}/dispatch", self.dispatch_case, operator, CaseDone, DispatchOrder),
            (f"{one}/arrive", self.arrive_at_case, operator, CaseDone, NoOrder),
            (f"{one}/act", self.act_in_case, operator, CaseDone, ActOrder),
            (f"{one}/close", self.close_case, operator, CaseDone, CloseOrder),
            (f"{one}/reopen", self.reopen_case, operator, CaseDone, ReopenOrder),
            ("cases/close", self.close_cases, operator, CasesDone, CloseManyOrder),
            ("problems", self.report_problem, operator, CaseDone, ProblemOrder),
            ("cases", self.cases, viewer, CaseList, None),
            (f"{one}/photo", self.case_photo, viewer, "image/jpeg", None),
            (one, self.case, viewer, CaseView, None),
        )
        return [
            Route(path=path, call=call, role=role, answer=answer, order=order, refusals=_ABSENT)
            for path, call, role, answer, order in found
        ]

    async def cases(
        self,
        request: Request,
        state: Literal["open", "closed", "all"] = "open",
        alarm: Annotated[str, Query(max_length=500, description="Only this alarm's.")] = "",
        limit: Annotated[int, Query(ge=1, le=LIST_MAX)] = 100,
        after: Annotated[str, Query(max_length=600, description="`next` of the part before.")] = "",
    ) -> Response:
        """List cases: open ones most urgent first, closed ones newest first, all: the open ones first."""
        found: list[Case] = []
        following: str | None = None
        if state != "closed" and not after.isdigit() and after != _CLOSED:
            found, following = _part(self._open(alarm), after, limit)
            if state == "all" and following is None:
                following = _CLOSED
        elif state != "open":
            if after and not (after.isdigit() and len(after) < 20) and after != _CLOSED:
                raise ProblemError(422, f"after: {after!r} is no place in the list of closed cases")
            past = await self._gateway.cases.closed(0 if after == _CLOSED else int(after or 0), limit, alarm)
            found = [event.case for event in past.events if event.case is not None]
            following = None if past.next is None else str(past.next)
        views = [case_view(case) for case in found]
        now = rfc3339(self._gateway.clock.now_ns())
        return await reply(request, CaseList(time=now, cases=views, next=following))

    def _open(self, alarm: str) -> list[Case]:
        return [case for case in self._gateway.cases.open() if not alarm or case.alarm == alarm]

    async def case(self, request: Request, case_id: str) -> Response:
        """Return a case, open or closed."""
        return await reply(request, case_view(await self._gateway.cases.find(case_id)))

    async def case_photo(self, _: Request, case_id: str) -> Response:
        """Return the picture that came with a reported problem."""
        case = await self._gateway.cases.find(case_id)
        photos = self._gateway.cases.photos
        found = await asyncio.to_thread(photos.read, case.photo)
        if found is None:
            detail = "the photo has made way for newer ones" if case.photo else f"{case_id[:200]!r} has no photo"
            raise ProblemError(404, detail)
        body, media_type = found
        headers = {"Cache-Control": "private, max-age=86400, immutable", "Content-Disposition": "inline"}
        return Response(body, headers=headers, media_type=media_type)

    async def dispatch_case(self, request: Request, case_id: str) -> Response:
        """Send somebody; another one later is allowed."""
        order = await body_of(request, DispatchOrder)
        return await self._go(request, case_id, steps.dispatch(order.assignee, order.phone, order.note))

    async def arrive_at_case(self, request: Request, case_id: str) -> Response:
        """Say that somebody is there."""
        await body_of(request, NoOrder)
        return await self._go(request, case_id, steps.arrive())

    async def act_in_case(self, request: Request, case_id: str) -> Response:
        """Write down what was done."""
        order = await body_of(request, ActOrder)
        return await self._go(request, case_id, steps.act(order.text))

    async def close_case(self, request: Request, case_id: str) -> Response:
        """Close a case with what it came to."""
        order = await body_of(request, CloseOrder)
        assert order.outcome in OUTCOMES
        return await self._go(request, case_id, steps.close(order.outcome, order.note))

    async def close_cases(self, request: Request) -> Response:
        """Close many cases alike; each that is refused is told, and holds up no other."""
        order = await body_of(request, CloseManyOrder)
        step, who = steps.close(order.outcome, order.note), caller_of(request).name
        done, refused = await self._gateway.cases.order_many(order.cases, step, who)
        if refused:
            self._note_refusal(who, f"{len(refused)} cases not closed, first: {refused[0][1]}")
        told = [RefusedCase(case=case_id, reason=reason) for case_id, reason in refused]
        return await reply(request, CasesDone(done=done, refused=told))

    async def reopen_case(self, request: Request, case_id: str) -> Response:
        """Open a closed case again."""
        order = await body_of(request, ReopenOrder)
        who = caller_of(request).name
        try:
            events = await self._gateway.cases.reopen(case_id, who, order.why)
        except CommandRefusedError as refusal:
            self._note_refusal(who, str(refusal))
            raise
        return await self._done(request, case_id, events)

    async def report_problem(self, request: Request) -> Response:
        """Report a problem that somebody saw; opens a case that must be closed."""
        order = await body_of(request, ProblemOrder)
        text = one_line(order.text)
        if not text:
            raise ProblemError(422, "text: says nothing")
        channel, instrument, area = self._place(order)
        photo = await self._kept(order.photo) if order.photo else ""
        events = await self._gateway.cases.report(
            caller_of(request).name, text, channel=channel, instrument=instrument, area=area, photo=photo
        )
        case = events[-1].case
        assert case is not None
        return await self._done(request, case.id, events)

    def _place(self, order: ProblemOrder) -> tuple[str, str, str]:
        """Return channel, instrument and area of a problem, from whichever of them was named. Raises ProblemError."""
        named = [name for name in ("channel", "instrument", "area") if getattr(order, name)]
        if len(named) != 1:
            raise ProblemError(422, f"name one of channel, instrument and area, not {' and '.join(named) or 'none'}")
        name = named[0]
        value = getattr(order, name)
        found = [c for c in self._gateway.channels if (c.id if name == "channel" else getattr(c, name)) == value]
        if not found:
            raise ProblemError(404, f"there is no {name} {value!r}")
        areas = {channel.area for channel in found}
        return (
            value if name == "channel" else "",
            "" if name == "area" else found[0].instrument,
            areas.pop() if len(areas) == 1 else "",
        )

    async def _kept(self, url: str) -> str:
        """Put a picture on disk and return its name. Raises ProblemError, StorageError."""
        if not url.startswith(_PICTURE):
            raise ProblemError(422, "photo: must be a data URL of a JPEG or PNG in base64")
        try:
            picture = base64.b64decode(url.partition(",")[2], validate=True)
            return await asyncio.to_thread(self._gateway.cases.photos.keep, picture)
        except ValueError as error:
            raise ProblemError(422, f"photo: {error}") from error

    async def _go(self, request: Request, case_id: str, step: steps.Step) -> Response:
        who = caller_of(request).name
        try:
            events = await self._gateway.cases.order(case_id, step, who)
        except CommandRefusedError as refusal:
            self._note_refusal(who, str(refusal))
            raise
        return await self._done(request, case_id, events)

    def _note_refusal(self, who: str, reason: str) -> None:
        """Journal what somebody ordered in vain."""
        self._gateway.people.audit.refused(who, Reason(f"case: {reason}", f"处置单：{reason}"))

    async def _done(self, request: Request, case_id: str, events: list[AlarmEvent]) -> Response:
        last = next((event.case for event in reversed(events) if event.case and event.case.id == case_id), None)
        case = last or await self._gateway.cases.find(case_id)
        return await reply(request, CaseDone(case=case_view(case), events=[event.seq for event in events]))


def _part(cases: list[Case], after: str, limit: int) -> tuple[list[Case], str | None]:
    """Return a part of the open cases behind the one of an id, and where to go on.

    Where that one was closed meanwhile, the list begins anew: better twice than never.
    """
    at = next((k + 1 for k, case in enumerate(cases) if case.id == after), 0) if after else 0
    part = cases[at : at + limit]
    return part, part[-1].id if at + limit < len(cases) else None
