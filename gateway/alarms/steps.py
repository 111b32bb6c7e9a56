"""What a person does in an open case: send somebody, arrive, act, close; each a function from case to case."""

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from gateway.alarms.case import OUTCOMES, noted
from gateway.alarms.words import one_line
from gateway.core.alarm import Case
from gateway.core.errors import CommandRefusedError, IncompleteOrderError
from gateway.core.model import Reason


class Doing(NamedTuple):
    """Who goes a step.

    Attributes:
        who: The person.
        at_ns: When.
        aside: The case's alarm is put aside at that time.
    """

    who: str
    at_ns: int
    aside: bool


Step = Callable[[Case, Doing], tuple[Case, Reason] | None]
"""Returns the case after the step and what was done, or None where nothing changes. Raises CommandRefusedError."""


def dispatch(assignee: str, phone: str = "", note: str = "") -> Step:
    """Send somebody. Sending another one later is allowed; who was sent first stays in the actions."""
    assignee, phone, note = one_line(assignee), one_line(phone), one_line(note)

    def step(case: Case, by: Doing) -> tuple[Case, Reason] | None:
        if not assignee:
            raise IncompleteOrderError(f"dispatch of {case.id} needs the name of who is sent")
        if (case.assignee, case.phone) == (assignee, phone) and not note:
            return None
        before, sent = _person(case.assignee, case.phone), _person(assignee, phone)
        if before not in ("", sent):
            case = noted(case, by.at_ns, by.who, f"instead of {before} / 原派：{before}")
        if note:
            case = noted(case, by.at_ns, by.who, note)
        case = replace(case, assignee=assignee, phone=phone, dispatched_by=by.who, dispatched_ns=by.at_ns)
        return case, Reason(f"sent: {sent}", f"已派：{sent}")

    return step


def arrive() -> Step:
    """Say that somebody is there; who was never sent has sent himself. Saying it twice changes nothing."""

    def step(case: Case, by: Doing) -> tuple[Case, Reason] | None:
        if case.arrived_ns:
            return None
        if not case.dispatched_ns:
            case = replace(case, assignee=by.who, dispatched_by=by.who, dispatched_ns=by.at_ns)
        there = _person(case.assignee, "")
        return replace(case, arrived_ns=by.at_ns), Reason(f"arrived: {there}", f"已到场：{there}")

    return step


def act(text: str) -> Step:
    """Write down what was done."""
    text = one_line(text)

    def step(case: Case, by: Doing) -> tuple[Case, Reason]:
        if not text:
            raise IncompleteOrderError(f"an action in {case.id} needs words that say what was done")
        return noted(case, by.at_ns, by.who, text), Reason(text, text)

    return step


def close(outcome: str, note: str = "") -> Step:
    """Close a case with what it came to.

    While the alarm stands a case cannot be closed as real: what is real is dealt with first, and the alarm reset; or it
    is put aside under a permit. With another outcome it can, with a note that says why. The alarm stays on the list.
    """
    note = one_line(note)

    def step(case: Case, by: Doing) -> tuple[Case, Reason]:
        if outcome not in OUTCOMES:
            raise CommandRefusedError(f"{outcome[:50]!r} is no outcome; choose one of {', '.join(OUTCOMES)}")
        if not case.over and outcome == "real" and not by.aside:
            detail = f"{case.id} cannot be closed as real while {case.alarm} stands; wait for its end, or reset it"
            raise CommandRefusedError(detail)
        if not case.over and not note:
            raise IncompleteOrderError(f"{case.alarm} still stands; closing {case.id} needs a note that says why")
        en, zh = OUTCOMES[outcome]
        said = (
            Reason(f"closed as {en}: {note}", f"归档（{zh}）：{note}")
            if note
            else Reason(f"closed as {en}", f"归档（{zh}）")
        )
        return replace(case, outcome=outcome, note=note, closed_by=by.who, closed_ns=by.at_ns), said

    return step


def _person(name: str, phone: str) -> str:
    return " ".join(filter(None, (name, phone)))
