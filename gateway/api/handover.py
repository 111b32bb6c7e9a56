"""Routes of the shift handover: the draft, notes, signing, accepting, and what was handed over before."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import msgspec
from fastapi import Query, Request, Response

from gateway.api.access import Role
from gateway.api.case_views import CaseView, case_view
from gateway.api.face import Gateway
from gateway.api.payloads import AlarmView, View, alarm_view, moment
from gateway.api.replies import body_of, caller_of, reply
from gateway.api.routes import Route
from gateway.core.alarm import Alarm
from gateway.core.clock import rfc3339
from gateway.core.errors import CommandRefusedError
from gateway.core.model import Reason
from gateway.handover import TEXT_MAX, Draft
from gateway.reports.model import Duty, Figures, Handed, Signature

SEQ_MAX = 2**62


class SignatureView(View):
    """Who signed or accepted, when, and with which words."""

    by: str
    at: str
    why: str


class ShiftView(View):
    """A shift, or the last hours where the site has none; `name` is empty then."""

    name: str
    name_zh: str
    start: str
    end: str


class HandedView(View):
    """A handover that was signed; `accepted` is null while nobody has accepted it."""

    id: str
    shift: ShiftView
    signed: SignatureView
    accepted: SignatureView | None
    superseded: bool
    digest: str
    seq: int


class NoteView(View):
    """What somebody wrote down for the next shift."""

    at: str
    by: str
    text: str


class DutyView(View):
    """A test of an instrument that is due or overdue; `due` is null where it was never done."""

    instrument: str
    area: str
    kind: str
    due: str | None
    state: str


class HandoverView(View):
    """A handover: the draft of the shift to be signed now where `id` is null, else as it was signed.

    `left_out` is how many more open alarms there are than `open` lists. `altered`: the kept report is not what was
    signed. `waiting`: the handover that was signed and that nobody has accepted yet.
    """

    id: str | None
    shift: ShiftView
    made_at: str
    open: list[AlarmView]
    left_out: int
    shelved: list[AlarmView]
    out_of_service: list[AlarmView]
    suppressed: list[AlarmView]
    cases: list[CaseView]
    calibrations: list[DutyView]
    statistics: dict[str, Any]
    notes: list[NoteView]
    signed: SignatureView | None
    accepted: SignatureView | None
    superseded: bool
    altered: bool
    waiting: HandedView | None
    journal_seq: int
    journal_digest: str


class HandoverList(View):
    """Past handovers, the newest first; `next` is the `before` of the next part, null where there is none."""

    handovers: list[HandedView]
    next: int | None


class NoteOrder(View, forbid_unknown_fields=True):
    """Something for the next shift."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_MAX, description="What is to be known.")]


class SignOrder(View, forbid_unknown_fields=True):
    """The signature of whoever goes."""

    why: Annotated[str, msgspec.Meta(max_length=500, description="What is to be said beside the report.")] = ""


class AcceptOrder(View, forbid_unknown_fields=True):
    """The signature of whoever comes."""

    id: Annotated[str, msgspec.Meta(max_length=100, description="The handover.")]
    why: Annotated[str, msgspec.Meta(max_length=500, description="What is to be said.")] = ""


class NoteDone(View):
    """The note as it was journalled."""

    note: NoteView
    seq: int


_ABSENT: Final = {404: "There is no such handover."}


class HandoverRoutes:
    """The routes of the shift handover.

    Args:
        gateway: The running gateway.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(path=path, call=call, role=role, answer=answer, order=order, refusals=_ABSENT)
            for path, call, role, answer, order in (
                ("handover", self.handover, Role.VIEWER, HandoverView, None),
                ("handover/notes", self.handover_note, Role.OPERATOR, NoteDone, NoteOrder),
                ("handover/sign", self.handover_sign, Role.OPERATOR, HandedView, SignOrder),
                ("handover/accept", self.handover_accept, Role.OPERATOR, HandedView, AcceptOrder),
                ("handovers", self.handovers, Role.VIEWER, HandoverList, None),
                ("handovers/{handover_id}", self.handover_past, Role.VIEWER, HandoverView, None),
            )
        ]

    async def handover(self, request: Request) -> Response:
        """Return the handover of the shift that has to be signed now: its draft, or as it was signed."""
        return await reply(request, handover_view(await self._gateway.records.handovers.draft()))

    async def handover_note(self, request: Request) -> Response:
        """Write something down for the next shift."""
        order = await body_of(request, NoteOrder)
        event = await self._gateway.records.handovers.note(caller_of(request).name, order.text)
        note = NoteView(at=rfc3339(event.time_ns), by=event.who, text=event.why)
        return await reply(request, NoteDone(note=note, seq=event.seq))

    async def handover_sign(self, request: Request) -> Response:
        """Sign the shift over; its report is kept as it is now. 409 where it was signed already."""
        order = await body_of(request, SignOrder)
        with self._journalled(request, "sign the shift over", "交班签字"):
            done = await self._gateway.records.handovers.sign(caller_of(request).name, order.why)
        return await reply(request, handed_view(done))

    async def handover_accept(self, request: Request) -> Response:
        """Accept a shift that somebody else signed over. 409 where that is not what is to be accepted."""
        order = await body_of(request, AcceptOrder)
        with self._journalled(request, "accept the shift", "接班确认"):
            done = await self._gateway.records.handovers.accept(order.id, caller_of(request).name, order.why)
        return await reply(request, handed_view(done))

    @contextmanager
    def _journalled(self, request: Request, what: str, what_zh: str) -> Iterator[None]:
        """Journal what is refused inside the block."""
        try:
            yield
        except CommandRefusedError as error:
            self._gateway.people.audit.refused(
                caller_of(request).name, Reason(f"{what}: {error}", f"{what_zh}：{error}")
            )
            raise

    async def handovers(
        self,
        request: Request,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        before: Annotated[int, Query(ge=0, le=SEQ_MAX, description="The `seq` of the last one you have.")] = 0,
    ) -> Response:
        """List past handovers, the newest first."""
        found = await self._gateway.records.handovers.listed(limit, before)
        following = found[-1].seq if len(found) == limit else None
        return await reply(request, HandoverList(handovers=[handed_view(one) for one in found], next=following))

    async def handover_past(self, request: Request, handover_id: str) -> Response:
        """Return a handover as it was signed."""
        return await reply(request, handover_view(await self._gateway.records.handovers.find(handover_id)))


def handover_view(draft: Draft) -> HandoverView:
    """Return a handover as the API says it."""
    report, handed = draft.report, draft.handed
    return HandoverView(
        id=handed.id if handed else None,
        shift=_shift(report.period.name.en, report.period.name.zh, report.period.start_ns, report.period.end_ns),
        made_at=rfc3339(report.made_ns),
        open=_alarms(report.open),
        left_out=report.left_out,
        shelved=_alarms(report.shelved),
        out_of_service=_alarms(report.out_of_service),
        suppressed=_alarms(report.suppressed),
        cases=[case_view(case) for case in report.cases],
        calibrations=[_duty(duty) for duty in report.calibrations],
        statistics=figures_view(report.figures),
        notes=[NoteView(at=rfc3339(note.at_ns), by=note.by, text=note.text) for note in report.notes],
        signed=_signature(handed.signed) if handed else None,
        accepted=_signature(handed.accepted) if handed and handed.accepted else None,
        superseded=handed.superseded if handed else False,
        altered=draft.altered,
        waiting=handed_view(draft.waiting) if draft.waiting else None,
        journal_seq=report.seq,
        journal_digest=report.digest,
    )


def handed_view(handed: Handed) -> HandedView:
    """Return a signed handover as the API says it in lists."""
    period = handed.period
    return HandedView(
        id=handed.id,
        shift=_shift(period.name.en, period.name.zh, period.start_ns, period.end_ns),
        signed=_signature(handed.signed),
        accepted=_signature(handed.accepted) if handed.accepted else None,
        superseded=handed.superseded,
        digest=handed.digest,
        seq=handed.seq,
    )


def figures_view(figures: Figures) -> dict[str, Any]:
    """Return statistics as plain values."""
    plain: dict[str, Any] = msgspec.to_builtins(figures)
    return plain


def _shift(name: str, name_zh: str, start_ns: int, end_ns: int) -> ShiftView:
    return ShiftView(name=name, name_zh=name_zh, start=rfc3339(start_ns), end=rfc3339(end_ns))


def _signature(signature: Signature) -> SignatureView:
    return SignatureView(by=signature.by, at=rfc3339(signature.at_ns), why=signature.why)


def _alarms(alarms: tuple[Alarm, ...]) -> list[AlarmView]:
    return [alarm_view(alarm) for alarm in alarms]


def _duty(duty: Duty) -> DutyView:
    return DutyView(
        instrument=duty.instrument, area=duty.area, kind=duty.kind, due=moment(duty.due_ns), state=duty.state
    )
