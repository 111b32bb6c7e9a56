"""One instrument as whoever stands before it needs it: its channels, its tests, its checklist."""

from typing import Annotated, Any, Final

import msgspec
from fastapi import Request, Response

from gateway.alarms.calibration import Owed
from gateway.api.access import Role
from gateway.api.face import Gateway
from gateway.api.payloads import EventView, View, event_view, moment
from gateway.api.replies import body_of, caller_of, reply
from gateway.api.routes import Route
from gateway.calibration import CalibrationReport, CalibrationStatus
from gateway.core.clock import rfc3339


class OwedView(View):
    """How one kind of test stands: `none` is not asked for; `overdue` also where nobody knows of one."""

    state: str
    last_at: str | None
    due_at: str | None
    by: str


class CalibrationView(View):
    """How the tests of an instrument stand."""

    instrument: str
    label: str
    label_zh: str
    area: str
    location: str
    bump: OwedView
    calibration: OwedView
    gas: str
    expected: float | None
    tolerance_percent: float
    unit: str


class CalibrationList(View):
    """Every instrument that owes tests."""

    time: str
    calibrations: list[CalibrationView]


class CheckView(View):
    """One line of a checklist."""

    id: str
    text: str
    text_zh: str


class InstrumentDetail(CalibrationView, kw_only=True):
    """An instrument as people know it, its channels by id, its tests and its checklist."""

    connection: str
    profile: str
    channels: list[str]
    checklist: list[CheckView]


class TestOrder(View, forbid_unknown_fields=True):
    """A bump test or calibration as it was done; without `passed` the figures judge."""

    __test__ = False  # no class of pytest's

    kind: Annotated[str, msgspec.Meta(description="`bump` or `calibration`.")]
    shown: Annotated[float | None, msgspec.Meta(description="Reading that the test gas gave.")] = None
    passed: bool | None = None
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""


class CheckOrder(View, forbid_unknown_fields=True):
    """What of a checklist was found in order; what is not named was not."""

    done: Annotated[list[str], msgspec.Meta(max_length=100)]
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Recorded(View):
    """The event that was journalled."""

    event: EventView


_ABSENT: Final = {404: "There is no such instrument."}


class InstrumentRoutes:
    """The routes of instruments, their tests and their checklists.

    Args:
        gateway: Who knows the instruments.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """Return the routes."""
        one = "instruments/{instrument_id}"
        return [
            Route(path=path, call=call, role=role, answer=answer, order=order, refusals=_ABSENT)
            for path, call, role, answer, order in (
                ("calibrations", self.calibrations, Role.VIEWER, CalibrationList, None),
                (one, self.instrument, Role.VIEWER, InstrumentDetail, None),
                (f"{one}/calibrated", self.calibrated, Role.OPERATOR, Recorded, TestOrder),
                (f"{one}/checks", self.checks, Role.OPERATOR, Recorded, CheckOrder),
            )
        ]

    async def calibrations(self, request: Request) -> Response:
        """List how the tests of all instruments stand that owe any."""
        now = rfc3339(self._gateway.clock.now_ns())
        kept = [CalibrationView(**_fields(status)) for status in self._gateway.calibrations.status()]
        return await reply(request, CalibrationList(time=now, calibrations=kept))

    async def instrument(self, request: Request, instrument_id: str) -> Response:
        """Tell all of an instrument that its label leads to."""
        status = self._gateway.calibrations.status_of(instrument_id)
        known = status.instrument
        detail = InstrumentDetail(
            **_fields(status),
            connection=known.connection,
            profile=known.profile,
            channels=[channel.id for channel in self._gateway.channels if channel.instrument == instrument_id],
            checklist=[CheckView(**line.model_dump()) for line in known.checklist],
        )
        return await reply(request, detail)

    async def calibrated(self, request: Request, instrument_id: str) -> Response:
        """Record a bump test or calibration."""
        order = await body_of(request, TestOrder)
        tested = CalibrationReport(
            instrument_id, order.kind, caller_of(request).name, order.shown, passed=order.passed, note=order.note
        )
        return await reply(request, Recorded(event=event_view(await self._gateway.calibrations.tested(tested))))

    async def checks(self, request: Request, instrument_id: str) -> Response:
        """Record a walk to the instrument with its checklist."""
        order = await body_of(request, CheckOrder)
        who = caller_of(request).name
        event = await self._gateway.calibrations.checked(instrument_id, order.done, who, order.note)
        return await reply(request, Recorded(event=event_view(event)))


def _fields(status: CalibrationStatus) -> dict[str, Any]:
    known, duty = status.instrument, status.duty
    return {
        "instrument": known.id,
        "label": known.label,
        "label_zh": known.label_zh,
        "area": known.area,
        "location": known.location,
        "bump": _owed(status.bump),
        "calibration": _owed(status.calibration),
        "gas": duty.gas,
        "expected": duty.expected,
        "tolerance_percent": duty.tolerance_percent,
        "unit": duty.unit,
    }


def _owed(owed: Owed) -> OwedView:
    return OwedView(state=owed.state, last_at=moment(owed.last_ns), due_at=moment(owed.due_ns), by=owed.by)
