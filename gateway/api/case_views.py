"""Cases as the API says them."""

import msgspec

from gateway.alarms.case import STEPS, is_undone, state_of
from gateway.core.alarm import Case
from gateway.core.clock import rfc3339


class ActionView(msgspec.Struct, kw_only=True):
    """One thing that was done; `by` is empty where the gateway itself wrote it."""

    at: str
    by: str
    text: str


class CaseView(msgspec.Struct, kw_only=True):
    """The response to an alarm or a reported problem; times are RFC 3339 with offset, null where there is none.

    `state` is `new`, `received`, `dispatched`, `arrived` or `closed`. `due` has, for `acknowledge`, `dispatch`,
    `arrive` and `close`, until when it must be done; null where it is done or has no limit. `overdue` names the steps
    that were not done in time, also where they were done since. `photo` is a name, or empty; the picture is at
    `/photo`. A closed case without an `outcome` was closed by the gateway for want of room.
    """

    id: str
    alarm: str
    occurrence: int
    channel: str
    instrument: str
    area: str
    title: str
    title_zh: str
    priority: int
    state: str
    opened_at: str | None
    opened_by: str
    received_by: str
    received_at: str | None
    assignee: str
    phone: str
    dispatched_by: str
    dispatched_at: str | None
    arrived_at: str | None
    actions: list[ActionView]
    outcome: str
    note: str
    closed_by: str
    closed_at: str | None
    over: bool
    overdue: list[str]
    due: dict[str, str | None]
    photo: str


_SAME = tuple(
    name for name in CaseView.__struct_fields__ if name in Case.__struct_fields__ and name not in ("actions", "overdue")
)


def case_view(case: Case) -> CaseView:
    """Return a case as the API says it."""
    return CaseView(
        **{name: getattr(case, name) for name in _SAME},
        state=state_of(case),
        opened_at=_moment(case.opened_ns),
        received_at=_moment(case.received_ns),
        dispatched_at=_moment(case.dispatched_ns),
        arrived_at=_moment(case.arrived_ns),
        closed_at=_moment(case.closed_ns),
        actions=[ActionView(at=rfc3339(each.at_ns), by=each.by, text=each.text) for each in case.actions],
        overdue=list(case.overdue),
        due={step: _moment(case.due_ns.get(step, 0)) if is_undone(case, step) else None for step in STEPS},
    )


def _moment(time_ns: int) -> str | None:
    return rfc3339(time_ns) if time_ns else None
