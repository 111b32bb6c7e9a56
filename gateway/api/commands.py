"""What people may order: acknowledge, reset, silence, shelve, out of service, and the ways back."""

from typing import Annotated

import msgspec
from fastapi import Request, Response

from gateway.api.access import Caller, Role
from gateway.api.face import Gateway
from gateway.api.payloads import AlarmView, CommandDone, ReloadDone, View, alarm_view, event_view
from gateway.api.problems import ProblemError, status_of
from gateway.api.replies import body_of, caller_of, reply
from gateway.api.routes import Route
from gateway.core.alarm import Command, Verb
from gateway.core.errors import CommandRefusedError
from gateway.core.model import Reason

ROLES = {
    Verb.ACKNOWLEDGE: Role.OPERATOR,
    Verb.RESET: Role.OPERATOR,
    Verb.SHELVE: Role.OPERATOR,
    Verb.UNSHELVE: Role.OPERATOR,
    Verb.OUT_OF_SERVICE: Role.ENGINEER,
    Verb.RETURN_TO_SERVICE: Role.ENGINEER,
}
"""Verbs that name an alarm, and the least role that may use them; `SILENCE` is for the whole site."""

_DAY_S = 86_400

Why = Annotated[
    str, msgspec.Meta(max_length=500, description="The reason; shelving, out of service and relearning need one.")
]
Duration = Annotated[
    float,
    msgspec.Meta(ge=0, le=366 * _DAY_S, description="How long to shelve, or how long the permit runs, in seconds."),
]
SeenEvent = Annotated[
    int,
    msgspec.Meta(ge=0, description="Number of the alarm's event on the giver's screen; 0 where there is none."),
]


class Order(View, forbid_unknown_fields=True):
    """The body of every command; all of it may be left out where the verb needs none of it."""

    why: Why = ""
    duration_s: Duration = 0.0
    seen: SeenEvent = 0


class Commands:
    """The routes of commands.

    Args:
        gateway: Who carries them out.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """Return the routes; system alarms have slashes in their ids."""
        site = (
            ("silence", self.silence, Role.OPERATOR, CommandDone),
            ("reload", self.reload, Role.ENGINEER, ReloadDone),
            ("channels/{channel_id:path}/relearn", self.relearn, Role.ENGINEER, CommandDone),
        )
        alarms = (
            (f"alarms/{{alarm_id:path}}/{verb.value}", getattr(self, verb.value.replace("-", "_")), role, CommandDone)
            for verb, role in ROLES.items()
        )
        return [
            Route(path=path, call=call, role=role, answer=answer, order=Order, order_needed=False)
            for path, call, role, answer in (*site, *alarms)
        ]

    async def silence(self, request: Request) -> Response:
        """Silence the sound of the whole site; a new alarm sounds again."""
        return await self._carry_out(request, Verb.SILENCE, "")

    async def acknowledge(self, request: Request, alarm_id: str) -> Response:
        """Say that a person has seen the alarm."""
        return await self._carry_out(request, Verb.ACKNOWLEDGE, alarm_id)

    async def reset(self, request: Request, alarm_id: str) -> Response:
        """Reset an alarm that is held after its condition has gone."""
        return await self._carry_out(request, Verb.RESET, alarm_id)

    async def shelve(self, request: Request, alarm_id: str) -> Response:
        """Put an alarm aside for `duration_s`; needs a reason."""
        return await self._carry_out(request, Verb.SHELVE, alarm_id)

    async def unshelve(self, request: Request, alarm_id: str) -> Response:
        """End a shelving."""
        return await self._carry_out(request, Verb.UNSHELVE, alarm_id)

    async def out_of_service(self, request: Request, alarm_id: str) -> Response:
        """Take an alarm out for maintenance, or prolong that; needs a permit and its end, and never ends by itself."""
        return await self._carry_out(request, Verb.OUT_OF_SERVICE, alarm_id)

    async def return_to_service(self, request: Request, alarm_id: str) -> Response:
        """Bring an alarm back from maintenance."""
        return await self._carry_out(request, Verb.RETURN_TO_SERVICE, alarm_id)

    async def relearn(self, request: Request, channel_id: str) -> Response:
        """Forget what was learned of a channel, as after its instrument was changed; needs a reason."""
        return await self._carry_out(request, Verb.RELEARN, "", channel_id)

    async def reload(self, request: Request) -> Response:
        """Read the site file again and apply what changed; 422 with every mistake where it is refused."""
        await body_of(request, Order)
        done = await self._gateway.reload(caller_of(request).name)
        answer = await reply(request, ReloadDone(applied=done.applied, what=done.what, problems=list(done.problems)))
        answer.status_code = 200 if done.applied else 422
        return answer

    async def _carry_out(self, request: Request, verb: Verb, alarm: str, channel: str = "") -> Response:
        order = await body_of(request, Order)
        if verb in (Verb.SHELVE, Verb.OUT_OF_SERVICE, Verb.RELEARN) and not order.why.strip():
            raise ProblemError(422, f"why: {verb} needs a reason")
        if verb in (Verb.SHELVE, Verb.OUT_OF_SERVICE) and not order.duration_s:
            raise ProblemError(422, f"duration_s: {verb} needs a time in seconds")
        caller = caller_of(request)
        command = Command(
            verb=verb,
            alarm=alarm,
            who=caller.name,
            why=order.why,
            duration_s=order.duration_s,
            channel=channel,
            role=caller.role.name.lower(),
            seen=order.seen,
        )
        try:
            events = await self._gateway.command(command)
        except CommandRefusedError as refusal:
            note_refusal(self._gateway, caller, verb, str(refusal))
            # Whoever was refused sees at once how the alarm stands, and need not ask.
            raise ProblemError(status_of(refusal), str(refusal), alarm=self._truth(alarm)) from refusal
        return await reply(
            request, CommandDone(events=[event_view(event) for event in events], alarm=self._truth(alarm))
        )

    def _truth(self, alarm: str) -> AlarmView | None:
        found = self._gateway.orders.alarm(alarm) if alarm else None
        return None if found is None else alarm_view(found, self._gateway.cases.open_case_of(found.id))


def note_refusal(gateway: Gateway, caller: Caller, verb: Verb, reason: str) -> None:
    """Journal what somebody ordered in vain."""
    gateway.people.audit.refused(caller.name, Reason(f"{verb}: {reason}", f"{verb}：{reason}"))
