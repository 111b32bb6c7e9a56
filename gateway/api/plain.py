"""The list of alarms as plain text: for a browser without scripts, and for whoever looks through a serial line."""

from collections.abc import Iterator, Sequence

from fastapi import Request, Response

from gateway.api.access import Role
from gateway.api.face import Gateway
from gateway.api.replies import packed
from gateway.api.routes import Route
from gateway.core.alarm import Alarm
from gateway.core.clock import rfc3339

_STATES = {
    "unacked": "NOT ACKNOWLEDGED",
    "returned": "GONE, NOT ACKNOWLEDGED",
    "latched_unacked": "HELD, NOT ACKNOWLEDGED",
}


class PlainText:
    """The route of the plain list.

    Args:
        gateway: Whose alarms.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route(path="/alarms.txt", call=self.alarms_text, role=Role.VIEWER, answer="text/plain")]

    async def alarms_text(self, request: Request) -> Response:
        """Return every alarm that is not normal, most urgent first, one a line; the page loads itself anew."""
        lines = plain_alarms(self._gateway.site_name, self._gateway.clock.now_ns(), self._gateway.alarms())
        answer = await packed(request, "\n".join([*lines, ""]).encode(), "text/plain; charset=utf-8")
        answer.headers["Refresh"] = "5"
        answer.headers["Cache-Control"] = "no-store"
        return answer


def plain_alarms(site: str, now_ns: int, alarms: Sequence[Alarm]) -> Iterator[str]:
    """Yield the lines: the site and the moment, how many, then the alarms.

    >>> list(plain_alarms("Plant 1", 1_700_000_000_000_000_000, []))
    ['Plant 1  2023-11-14T22:13:20.000+00:00', 'no alarms / 当前无报警']
    """
    yield f"{site}  {rfc3339(now_ns)}"
    yield f"{len(alarms)} alarms / {len(alarms)} 条报警" if alarms else "no alarms / 当前无报警"
    for alarm in alarms:
        event = alarm.event
        state = _STATES.get(event.state, event.state.value.replace("_", " "))
        raised = rfc3339(event.raised_ns) if event.raised_ns else "-"
        where = " / ".join(part for part in (event.area, event.instrument or alarm.id) if part)
        words = " | ".join(part for part in (event.why, event.why_zh) if part)
        by = f" by {event.acked_by}" if event.acked_by else ""
        yield f"[{event.priority}] {event.level.upper():7} {state}{by}  {raised}  {where}  {words}".rstrip()
