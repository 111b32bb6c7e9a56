"""The notifiers: how each way to tell people is doing, who is told of what, and a trial message on request."""

import msgspec
from fastapi import Request, Response

from gateway.api.access import Role
from gateway.api.face import Gateway
from gateway.api.payloads import NoOrder, View, moment
from gateway.api.problems import ProblemError
from gateway.api.replies import body_of, caller_of, reply
from gateway.api.routes import Route
from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.clock import rfc3339
from gateway.core.status import NotifierStatus


class NotifierView(View):
    """How one way to tell people is doing; `health` is `unknown`, `ok`, `busy` or `failing`."""

    id: str
    type: str
    up: bool
    sent: int
    failed: int
    waiting: int
    last_at: str | None
    reason: str
    health: str


class RouteView(View):
    """Who is told of which alarms, when; as the site file says it."""

    to: list[str]
    areas: list[str]
    priorities: list[int]
    alarms: list[str]
    days: list[str]
    from_: str | None = msgspec.field(name="from")
    until: str | None
    after_s: float
    repeat_s: float | None
    ends: bool


class Notifiers(View):
    """All notifiers, and the routes that lead to them."""

    time: str
    notifiers: list[NotifierView]
    routes: list[RouteView]


class NotifierTried(View):
    """Whether a trial message was taken, and the channel's words or what to do."""

    ok: bool
    detail: str


class NotifierRoutes:
    """The routes of notifiers.

    Args:
        gateway: Where everything comes from.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """Return the routes."""
        trial = "notifiers/{notifier_id}/test"
        absent = {404: "There is no such notifier."}
        return [
            Route(path="notifiers", call=self.notifiers, role=Role.VIEWER, answer=Notifiers),
            Route(
                path=trial,
                call=self.try_notifier,
                role=Role.ENGINEER,
                answer=NotifierTried,
                order=NoOrder,
                refusals=absent,
            ),
        ]

    async def notifiers(self, request: Request) -> Response:
        """List the ways to tell people and how they are doing, and who is told of what."""
        notifications = self._gateway.notifications
        view = Notifiers(
            time=rfc3339(self._gateway.clock.now_ns()),
            notifiers=[_view(one) for one in notifications.status()],
            routes=[msgspec.convert(route, RouteView) for route in notifications.routes()],
        )
        return await reply(request, view)

    async def try_notifier(self, request: Request, notifier_id: str) -> Response:
        """Send a trial message now; it says that it is one. What became of it is journalled."""
        await body_of(request, NoOrder)
        who = caller_of(request).name
        tried = await self._gateway.notifications.try_out(notifier_id, who)
        if tried is None:
            raise ProblemError(404, f"there is no notifier {notifier_id!r}")
        outcome = "taken" if tried.ok else "not taken"
        await self._gateway.record(
            AlarmEvent(
                seq=0,
                kind=EventKind.NOTE,
                time_ns=self._gateway.clock.now_ns(),
                who=who,
                why=f"trial message through {notifier_id}: {outcome}: {tried.detail}",
                why_zh=f"经 {notifier_id} 发送测试消息：{'成功' if tried.ok else '失败'}：{tried.detail}",
            )
        )
        return await reply(request, NotifierTried(ok=tried.ok, detail=tried.detail))


def _view(status: NotifierStatus) -> NotifierView:
    return NotifierView(
        id=status.id,
        type=status.type,
        up=status.up,
        sent=status.sent,
        failed=status.failed,
        waiting=status.waiting,
        last_at=moment(status.last_ns),
        reason=status.reason,
        health=status.health,
    )
