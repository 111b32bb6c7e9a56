"""Orders about many alarms at once: a marked list, an instrument, an area."""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from fastapi import Request, Response

from gateway.api.access import Caller, Role
from gateway.api.commands import ROLES, Duration, SeenEvent, Why, note_refusal
from gateway.api.face import Gateway
from gateway.api.payloads import EventView, View, event_view
from gateway.api.problems import ProblemError
from gateway.api.replies import body_of, caller_of, reply
from gateway.api.routes import Route
from gateway.core.alarm import Command, Verb
from gateway.orders import Done

ALARMS_MAX = 20_000
REFUSALS_NOTED = 10
"""Refused orders of one request that the journal is told of singly; of all others, the count."""

Ids = Annotated[list[Annotated[str, msgspec.Meta(min_length=1, max_length=300)]], msgspec.Meta(max_length=ALARMS_MAX)]


class BulkOrder(View, forbid_unknown_fields=True):
    """One order about a list of alarms; `seen` is the number of the newest event that the screen had."""

    verb: Verb
    alarms: Annotated[Ids, msgspec.Meta(min_length=1)]
    why: Why = ""
    duration_s: Duration = 0.0
    seen: SeenEvent = 0


class ServiceOrder(View, forbid_unknown_fields=True):
    """Whose alarms go out of service or come back: exactly one of `instrument`, `area` and `alarms`.

    `permit` and `why` are two names of one thing, as going out of service needs a permit's text, coming back a reason.
    """

    instrument: Annotated[str, msgspec.Meta(max_length=200)] = ""
    area: Annotated[str, msgspec.Meta(max_length=200)] = ""
    alarms: Ids = msgspec.field(default_factory=list)
    permit: Why = ""
    why: Why = ""
    duration_s: Duration = 0.0


class RefusedOrder(View):
    """An alarm about which an order was refused, and why."""

    alarm: str
    reason: str


class OrdersDone(View):
    """What became of the orders: how many were carried out, their first 200 events, and each that was refused."""

    done: int
    events: list[EventView]
    refused: list[RefusedOrder]


_ABSENT: Final = {404: "There is none of that name, or it has no alarm."}


class OrderRoutes:
    """The routes of orders about many alarms.

    Args:
        gateway: Who carries them out.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(path=path, call=call, role=role, answer=OrdersDone, order=order, refusals=_ABSENT)
            for path, call, role, order in (
                ("orders", self.order_many, Role.OPERATOR, BulkOrder),
                ("out-of-service", self.take_out_of_service, Role.ENGINEER, ServiceOrder),
                ("return-to-service", self.return_all_to_service, Role.ENGINEER, ServiceOrder),
            )
        ]

    async def order_many(self, request: Request) -> Response:
        """Give one order about many alarms; each that is refused is told, and holds up no other."""
        order = await body_of(request, BulkOrder)
        caller = caller_of(request)
        role = ROLES.get(order.verb)
        if role is None:
            raise ProblemError(422, f"verb: {order.verb} is no order about a list of alarms")
        if caller.role < role:
            raise self._forbidden(caller, order.verb, role)
        scope = order.alarms[0] if order.verb is Verb.OUT_OF_SERVICE else ""
        return await self._carry_out(
            request, order.verb, dict.fromkeys(order.alarms), order.why, order.duration_s, seen=order.seen, scope=scope
        )

    async def take_out_of_service(self, request: Request) -> Response:
        """Take the alarms of an instrument, an area or a list out under one permit, which has a text and an end."""
        order = await body_of(request, ServiceOrder)
        alarms, scope = self._named(order)
        why = order.permit or order.why
        return await self._carry_out(request, Verb.OUT_OF_SERVICE, alarms, why, order.duration_s, scope=scope)

    async def return_all_to_service(self, request: Request) -> Response:
        """Return to service what is out of an instrument, an area or a list; all else is passed over."""
        order = await body_of(request, ServiceOrder)
        alarms, _ = self._named(order)
        out = {event.alarm for event in self._gateway.orders.out_of_service()}
        asked = alarms if order.alarms else [alarm for alarm in alarms if alarm in out]
        return await self._carry_out(request, Verb.RETURN_TO_SERVICE, asked, order.why or order.permit, 0.0)

    def _named(self, order: ServiceOrder) -> tuple[list[str], str]:
        """Return the alarms that an order names, and what they are together."""
        given = [name for name in ("instrument", "area", "alarms") if getattr(order, name)]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ProblemError(422, f"give exactly one of instrument, area and alarms, not {found}")
        if order.alarms:
            return list(dict.fromkeys(order.alarms)), order.alarms[0]
        alarms = self._gateway.orders.alarms_of(instrument=order.instrument, area=order.area)
        if not alarms:
            raise ProblemError(404, f"there is no {given[0]} named {order.instrument or order.area!r} with an alarm")
        return alarms, order.instrument or order.area

    async def _carry_out(
        self,
        request: Request,
        verb: Verb,
        alarms: Sequence[str] | dict[str, None],
        why: str,
        duration_s: float,
        *,
        seen: int = 0,
        scope: str = "",
    ) -> Response:
        caller = caller_of(request)
        if verb in (Verb.SHELVE, Verb.OUT_OF_SERVICE) and not (why.strip() and duration_s > 0):
            raise ProblemError(422, f"{verb} needs a reason and a time: why and duration_s")
        role = caller.role.name.lower()
        done = await self._gateway.orders.carry_out(
            Command(
                verb=verb,
                alarm=alarm,
                who=caller.name,
                why=why,
                duration_s=duration_s,
                role=role,
                seen=seen,
                permit_for=scope,
            )
            for alarm in alarms
        )
        self._note(caller, verb, done)
        return await reply(
            request,
            OrdersDone(
                done=done.done,
                events=[event_view(event) for event in done.events],
                refused=[RefusedOrder(alarm=alarm, reason=reason) for alarm, reason in done.refused],
            ),
        )

    def _note(self, caller: Caller, verb: Verb, done: Done) -> None:
        for _, reason in done.refused[:REFUSALS_NOTED]:
            note_refusal(self._gateway, caller, verb, reason)
        more = len(done.refused) - REFUSALS_NOTED
        if more > 0:
            note_refusal(self._gateway, caller, verb, f"{more} more of one list")

    def _forbidden(self, caller: Caller, verb: Verb, role: Role) -> ProblemError:
        detail = f"{caller.name!r} is {caller.role.name.lower()}; {verb} needs {role.name.lower()}"
        note_refusal(self._gateway, caller, verb, detail)
        return ProblemError(403, detail)
