"""One case: what its steps are, when they are due, what stands in it; pure functions on `gateway.core.alarm.Case`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from gateway.alarms.words import one_line
from gateway.core.alarm import Action, AlarmEvent, Case
from gateway.core.clock import NS_PER_S
from gateway.core.errors import CommandRefusedError
from gateway.core.model import Reason
from gateway.site.operation import ResponseSection

ACKNOWLEDGE, DISPATCH, ARRIVE, CLOSE = STEPS = ("acknowledge", "dispatch", "arrive", "close")
"""The steps that may have a time limit, in their order."""
OUTCOMES: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        "real": Reason("real", "真实报警"),
        "false": Reason("false alarm", "误报"),
        "maintenance": Reason("maintenance", "检修"),
        "test": Reason("test", "测试"),
        "instrument_fault": Reason("instrument fault", "仪表故障"),
    }
)
"""How a case may end, as it is written and as it is said."""
ACTIONS_MAX: Final = 100
PROBLEM: Final = "problem"
"""How the id of a case of a reported problem begins."""
STEP_WORDS: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        ACKNOWLEDGE: Reason("acknowledge", "接警"),
        DISPATCH: Reason("dispatch", "派单"),
        ARRIVE: Reason("arrive", "到场"),
        CLOSE: Reason("close", "归档"),
    }
)
"""The steps as they are said to people."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a site responds to alarms.

    Attributes:
        enabled: Alarms open cases; without, acknowledging them is enough.
        priorities: Priorities whose alarms do.
        limits_s: Seconds from the alarm until a step must be done, by step; a step without limit is not in it.
    """

    enabled: bool = True
    priorities: frozenset[int] = frozenset({1, 2})
    limits_s: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, section: ResponseSection) -> "Policy":
        """Return what the site file says."""
        limits = {step: getattr(section.limits, f"{step}_s") for step in STEPS}
        return cls(
            section.enabled,
            frozenset(section.priorities),
            MappingProxyType({step: limit_s for step, limit_s in limits.items() if limit_s is not None}),
        )


def state_of(case: Case) -> str:
    """Return how far a case is: `new`, `received`, `dispatched`, `arrived` or `closed`.

    >>> state_of(Case(id="a#1", received_ns=5))
    'received'
    """
    reached = (case.closed_ns, case.arrived_ns, case.dispatched_ns, case.received_ns)
    names = ("closed", "arrived", "dispatched", "received")
    return next((name for name, at_ns in zip(names, reached, strict=True) if at_ns), "new")


def due_ns(case: Case, policy: Policy) -> dict[str, int]:
    """Return until when each step must be done, done or not; a step without limit is not in it.

    Limits run from the alarm. A reported problem is no alarm: only its closing has one.

    >>> due_ns(Case(id="a#1", alarm="a", opened_ns=0), Policy(limits_s={"arrive": 180.0}))
    {'arrive': 180000000000}
    """
    limits = policy.limits_s.items() if policy.enabled else ()
    return {step: case.opened_ns + round(limit_s * NS_PER_S) for step, limit_s in limits if case.alarm or step == CLOSE}


def is_undone(case: Case, step: str) -> bool:
    """Whether a step still has to be done; of a closed case, none has."""
    return not case.closed_ns and not _done_ns(case, step)


def missed(case: Case, now_ns: int) -> tuple[str, ...]:
    """Return the steps whose limit passed before they were done, those done too late included, in their order.

    What was missed once stays so, also where the limits are changed or the case is opened again.
    """
    late = set(case.overdue)
    for step, until_ns in case.due_ns.items():
        at_ns = _done_ns(case, step) or case.closed_ns or now_ns
        if at_ns > until_ns:
            late.add(step)
    return tuple(step for step in STEPS if step in late)


def _done_ns(case: Case, step: str) -> int:
    done = {
        ACKNOWLEDGE: case.received_ns,
        DISPATCH: case.dispatched_ns,
        ARRIVE: case.arrived_ns,
        CLOSE: case.closed_ns,
    }
    return done[step]


def of_alarm(event: AlarmEvent) -> Case:
    """Return the new case of the occurrence that an alarm's event belongs to."""
    return Case(
        id=f"{event.alarm}#{event.occurrence}",
        alarm=event.alarm,
        occurrence=event.occurrence,
        channel=event.channel,
        instrument=event.instrument,
        area=event.area,
        title=event.why or event.alarm,
        title_zh=event.why_zh,
        priority=event.priority,
        opened_ns=event.raised_ns or event.time_ns,
        received_by=event.acked_by,
        received_ns=event.acked_ns,
    )


def received(case: Case, who: str, now_ns: int) -> Case:
    """Return the case with whoever did the first thing about it as the one who received it."""
    return case if case.received_ns else replace(case, received_by=who, received_ns=now_ns)


def noted(case: Case, now_ns: int, who: str, text: str) -> Case:
    """Return the case with one more action; at the limit the oldest of the gateway's own lines makes way.

    Raises:
        CommandRefusedError: There are a hundred that people have written.
    """
    actions = case.actions
    if len(actions) >= ACTIONS_MAX:
        own = next((k for k, each in enumerate(actions) if not each.by), None)
        if own is None:
            detail = f"{case.id} has {ACTIONS_MAX} actions, which is the limit; write the rest into the closing note"
            raise CommandRefusedError(detail)
        actions = (*actions[:own], *actions[own + 1 :])
    return replace(case, actions=(*actions, Action(at_ns=now_ns, by=who, text=one_line(text))))


def opened_again(case: Case, now_ns: int, who: str, why: str) -> Case:
    """Return a closed case as an open one; how it had been closed stays in its actions, the oldest making way."""
    ended = ": ".join(filter(None, (case.outcome or "unattended", case.note)))
    line = f"{why} (was closed by {case.closed_by} as {ended})"
    actions = (*case.actions[-ACTIONS_MAX + 1 :], Action(at_ns=now_ns, by=who, text=one_line(line)))
    return replace(case, outcome="", note="", closed_by="", closed_ns=0, actions=actions)


def times_raised_again(case: Case) -> int:
    """Return how often the alarm came again while its case was open.

    >>> times_raised_again(Case(id="gas:a#7", alarm="gas:a", occurrence=9))
    2
    """
    return max(1, case.occurrence - int(case.id.rpartition("#")[2]))
