"""The book of cases: what is done about alarms, from receiving to archive; no clock, no I/O.

A case is opened by an alarm and gone through by people. The journal keeps each change whole, so that the last event of
each case restores the book. How an alarm itself stands is the alarm book's; a case never changes it, and a closed case
hides nothing: the alarm stays on the list as long as it stands.
"""

import heapq
from collections.abc import Iterable
from itertools import islice
from typing import Final

from msgspec.structs import replace

from gateway.alarms.case import (
    ACTIONS_MAX,
    STEP_WORDS,
    STEPS,
    Policy,
    due_ns,
    is_undone,
    missed,
    noted,
    of_alarm,
    opened_again,
    received,
    times_raised_again,
)
from gateway.alarms.state import ASIDE, ON_THE_LIST
from gateway.alarms.steps import Doing, Step
from gateway.alarms.words import one_line
from gateway.core.alarm import AlarmEvent, AlarmState, Case, EventKind
from gateway.core.clock import NS_PER_S
from gateway.core.errors import CommandRefusedError, IncompleteOrderError, UnknownAlarmError
from gateway.core.model import Priority, Reason

OPEN_MAX: Final = 10_000
"""Open cases; beyond it the longest untouched of the lowest priority are closed unattended, which is said."""
JOIN_S: Final = 600.0
"""An alarm that comes again within so many seconds of its end goes on in its open case; later, it opens another.

One chattering instrument must not open forty cases; and people who left an hour ago have not arrived at a new leak.
"""
TOLD_MAX: Final = 20
"""Missed steps that become events in one second; a flood must not fill the journal with them."""
OVERDUE_ALARM: Final = "system/overdue"
"""The alarm of all responses that are overdue; it opens no case itself."""
GATEWAY: Final = "gateway"
"""Who closes what nobody attended to."""

_COMING = frozenset(
    {
        EventKind.RAISED,
        EventKind.ESCALATED,
        EventKind.UNSHELVED,
        EventKind.UNSUPPRESSED,
        EventKind.RETURNED_TO_SERVICE,
    }
)
_SEEN = frozenset({EventKind.ACKNOWLEDGED, EventKind.RESET, EventKind.SHELVED, EventKind.OUT_OF_SERVICE})


class UnknownCaseError(UnknownAlarmError):
    """An order that names a case that does not exist."""


class CaseBook:
    """Keeps every case that is open, or that was closed while its alarm still stands.

    All its events are of kind `CASE` and have number 0: whoever calls numbers them, in their order.

    Args:
        policy: How the site responds.

    Attributes:
        policy: The same; `change` exchanges it.
        late_total: How many steps have been found overdue so far; it only grows.
        unattended: How many cases were closed unattended, for want of room.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.late_total = self.unattended = 0
        self._cases: dict[str, Case] = {}
        self._of_alarm: dict[str, str] = {}
        self._aside: set[str] = set()
        self._open: dict[int, dict[str, None]] = {}
        self._due: list[tuple[int, str, str]] = []
        self._late: dict[str, set[str]] = {}
        self._untold: dict[str, None] = {}

    # Alarms

    def follow(self, events: Iterable[AlarmEvent]) -> list[AlarmEvent]:
        """Take alarm events in their order and return what they change in cases."""
        told: list[AlarmEvent] = []
        for event in events:
            if event.alarm:
                self._follow(event, told)
        return told

    def _follow(self, event: AlarmEvent, told: list[AlarmEvent]) -> None:
        if event.state in ASIDE:
            self._aside.add(event.alarm)
        else:
            self._aside.discard(event.alarm)
        case = self._case_of(event.alarm)
        if event.kind in _COMING and self._wants(event):
            self._come(event, case, told)
        elif case is not None:
            self._go_on(event, case, told)

    def _wants(self, event: AlarmEvent) -> bool:
        """Whether an alarm in this state asks for a response: real, on the list, there, and urgent enough."""
        return (
            self.policy.enabled
            and event.priority in self.policy.priorities
            and event.state in ON_THE_LIST
            and event.condition != "normal"
            and event.level != "warning"
            and not event.test
            and event.alarm != OVERDUE_ALARM
        )

    def _come(self, event: AlarmEvent, case: Case | None, told: list[AlarmEvent]) -> None:
        again = event.kind is EventKind.RAISED or case is None or case.occurrence != event.occurrence
        if case is None or (again and not self._joins(event, case)):
            if case is not None and case.closed_ns:
                self._end(case, event.time_ns, told, "", _CAME_ANEW)
            self._begin(of_alarm(event), event.time_ns, told, "", _OPENED)
        elif case.closed_ns:
            self._put(opened_again(case, event.time_ns, "", _UP_AGAIN.en), event.time_ns, told, "", _UP_AGAIN)
        elif again:
            self._raise_again(event, case, told)
        elif event.priority < case.priority:
            self._put(replace(case, priority=event.priority), event.time_ns, told, "", _RISES)

    def _joins(self, event: AlarmEvent, case: Case) -> bool:
        if case.closed_ns:
            return False
        return not case.over or event.time_ns - case.over_ns <= JOIN_S * NS_PER_S

    def _raise_again(self, event: AlarmEvent, case: Case, told: list[AlarmEvent]) -> None:
        """Go on in the open case; its line about that is one, however often an instrument chatters."""
        case = replace(
            case,
            occurrence=event.occurrence,
            priority=min(case.priority, event.priority),
            over=False,
            actions=tuple(each for each in case.actions if each.by or not each.text.startswith(_AGAIN)),
        )
        if len(case.actions) < ACTIONS_MAX:
            case = noted(case, event.time_ns, "", f"{_AGAIN}{times_raised_again(case)} / 再次报警")
        self._put(case, event.time_ns, told, "", _RAISED_AGAIN)

    def _go_on(self, event: AlarmEvent, case: Case, told: list[AlarmEvent]) -> None:
        if event.state is AlarmState.NORMAL and not case.over:
            seen = received(case, event.who, event.time_ns) if event.who and not case.closed_ns else case
            self._end(seen, event.time_ns, told, event.who, _ENDED)
        elif event.kind in _SEEN and event.who and not case.received_ns and not case.closed_ns:
            self._put(received(case, event.who, event.time_ns), event.time_ns, told, event.who, _RECEIVED)

    def _begin(self, case: Case, now_ns: int, told: list[AlarmEvent], who: str, why: Reason) -> None:
        if self.open_count >= OPEN_MAX:
            self._close_unattended(now_ns, told)
        self._put(case, now_ns, told, who, why)

    def _close_unattended(self, now_ns: int, told: list[AlarmEvent]) -> None:
        """Make room: the longest untouched of the lowest priority is closed without an outcome, which its note says."""
        lowest = max(priority for priority, cases in self._open.items() if cases)
        case = self._cases[next(iter(self._open[lowest]))]
        self.unattended += 1
        self._put(replace(case, closed_by=GATEWAY, closed_ns=now_ns, note=_FULL.en), now_ns, told, "", _FULL)

    # Orders

    def order(self, case_id: str, step: Step, who: str, now_ns: int) -> list[AlarmEvent]:
        """Have a person go one step on in an open case; nothing where the step changes nothing.

        Args:
            case_id: The case.
            step: One of `gateway.alarms.steps`.
            who: By whom.
            now_ns: When.

        Raises:
            UnknownCaseError: There is no such case, or it is closed and its alarm has ended.
            CommandRefusedError: It is closed, or the step refuses.
        """
        case = self._cases.get(case_id)
        if case is None:
            raise UnknownCaseError(f"there is no open case {case_id[:200]!r}")
        if case.closed_ns:
            raise CommandRefusedError(f"{case_id} was closed by {case.closed_by}; open it again to go on")
        done = step(received(case, who, now_ns), Doing(who, now_ns, case.alarm in self._aside))
        if done is None:
            return []
        told: list[AlarmEvent] = []
        self._put(done[0], now_ns, told, who, done[1])
        return told

    def reopen(self, case: Case, who: str, now_ns: int, why: str) -> list[AlarmEvent]:
        """Open a closed case again.

        Args:
            case: The case as it was closed; of one that this book still keeps, its own state counts.
            who: By whom.
            now_ns: When.
            why: The reason; mandatory.

        Raises:
            CommandRefusedError: It is open, or no reason is given.
        """
        case, why = self._cases.get(case.id) or case, one_line(why)
        if not case.closed_ns:
            raise CommandRefusedError(f"{case.id} is open")
        if not why:
            raise IncompleteOrderError(f"opening {case.id} again needs a reason")
        told: list[AlarmEvent] = []
        self._begin(opened_again(case, now_ns, who, why), now_ns, told, who, _opened_because(why))
        return told

    def report(self, case: Case, now_ns: int) -> list[AlarmEvent]:
        """Open the case of a reported problem: its id, place, words and who reports it; all else is filled in here."""
        told: list[AlarmEvent] = []
        case = replace(case, priority=Priority.YELLOW, opened_ns=now_ns, over=True)
        self._begin(case, now_ns, told, case.opened_by, _reported(case.title))
        return told

    # Time

    def advance(self, now_ns: int) -> list[AlarmEvent]:
        """Find what is overdue by now and return it as events, at most twenty; the rest follows with the next calls.

        `late` and `overdue` know all of it at once.
        """
        while self._due and self._due[0][0] < now_ns:
            _, case_id, step = heapq.heappop(self._due)
            found = self._cases.get(case_id)
            if found is None or not is_undone(found, step) or found.due_ns.get(step, now_ns) >= now_ns:
                continue  # done, or an entry of limits that hold no more
            if step not in self._late.get(case_id, ()):
                self._late.setdefault(case_id, set()).add(step)
                self.late_total += 1
                if step not in found.overdue:
                    self._untold[case_id] = None
        told: list[AlarmEvent] = []
        for case_id in list(islice(self._untold, TOLD_MAX)):
            self._put(self._cases[case_id], now_ns, told, "", _overdue_words(self._late[case_id]))
        return told

    def change(self, policy: Policy) -> None:
        """Go on by another policy: its limits hold for the cases that are open, too."""
        self.policy = policy
        self._late.clear()
        self._untold.clear()
        self._due = []
        for case in list(self._cases.values()):
            self._cases[case.id] = self._limited(case)
            self._schedule(self._cases[case.id])

    # Restarts

    def restore(self, events: Iterable[AlarmEvent]) -> None:
        """Take over the last event of each case; other events do no harm."""
        for event in sorted((e for e in events if e.case is not None), key=lambda e: e.seq):
            assert event.case is not None
            self._keep(self._limited(event.case))

    def reconcile(self, alarms: Iterable[AlarmEvent], now_ns: int) -> list[AlarmEvent]:
        """Bring cases and alarms together after a restart or a change of policy.

        An alarm that asks for a response and has none (it was raised before there were responses, or the process
        ended between the two) opens its case now; a case whose alarm is gone is over.

        Args:
            alarms: The last event of every alarm that is not normal.
            now_ns: The time.
        """
        told: list[AlarmEvent] = []
        standing = {event.alarm: event for event in alarms}
        self._aside = {alarm for alarm, event in standing.items() if event.state in ASIDE}
        for gone in [c for c in self._cases.values() if not c.over and c.alarm not in standing]:
            self._end(gone, now_ns, told, "", _ENDED)
        for event in standing.values():
            case = self._case_of(event.alarm)
            if self._wants(event) and (case is None or case.occurrence != event.occurrence):
                self._come(replace(event, time_ns=now_ns), case, told)
        return told

    # Questions

    @property
    def open_count(self) -> int:
        """How many cases are open."""
        return sum(map(len, self._open.values()))

    def cases(self) -> list[Case]:
        """Return the open cases, the most urgent first, and of those the oldest."""
        found = [self._cases[case_id] for cases in self._open.values() for case_id in cases]
        return sorted(found, key=lambda case: (case.priority, case.opened_ns, case.id))

    def case(self, case_id: str) -> Case | None:
        """Return a case that is open, or closed while its alarm stands."""
        return self._cases.get(case_id)

    def open_case_of(self, alarm: str) -> str:
        """Return the id of an alarm's open case, the newest; empty where there is none."""
        case = self._case_of(alarm)
        return case.id if case is not None and not case.closed_ns else ""

    def late(self) -> int:
        """How many open cases have a step that is overdue now."""
        return len(self._late)

    def overdue(self) -> tuple[Reason, Priority] | None:
        """Return what is overdue in words and the highest priority of it; None where nothing is."""
        if not self._late:
            return None
        cases = [self._cases[case_id] for case_id in self._late]
        first = min(cases, key=lambda case: (case.priority, case.opened_ns, case.id))
        missed_of_first = _overdue_words(self._late[first.id])
        place = f" ({first.area})" if first.area else ""
        named = first.instrument or first.alarm or first.id
        count, noun = len(cases), "response is" if len(cases) == 1 else "responses are"
        return (
            Reason(
                f"{count} {noun} overdue; first {named}{place}, {missed_of_first.en}",
                f"{count} 项处置超时；首先 {named}，{missed_of_first.zh}",
            ),
            Priority(first.priority),
        )

    # The one way a case changes

    def _put(self, case: Case, now_ns: int, told: list[AlarmEvent], who: str, why: Reason) -> None:
        case = self._limited(case)
        case = replace(case, overdue=missed(case, now_ns))
        self._keep(case)
        told.append(
            AlarmEvent(
                seq=0,
                time_ns=now_ns,
                kind=EventKind.CASE,
                priority=case.priority,
                channel=case.channel,
                instrument=case.instrument,
                area=case.area,
                who=who,
                why=one_line(why.en),
                why_zh=one_line(why.zh),
                case=case,
            )
        )

    def _limited(self, case: Case) -> Case:
        """Return an open case with the limits of the present policy; a closed one keeps those it had."""
        return case if case.closed_ns else replace(case, due_ns=due_ns(case, self.policy))

    def _end(self, case: Case, now_ns: int, told: list[AlarmEvent], who: str, why: Reason) -> None:
        self._put(replace(case, over=True, over_ns=now_ns), now_ns, told, who, why)

    def _keep(self, case: Case) -> None:
        """Make a case what is known of it, with all that follows from it."""
        before = self._cases.get(case.id)
        if before is not None:
            self._open.get(before.priority, {}).pop(case.id, None)
        if case.closed_ns and case.over:
            self._forget(case)
            return
        self._cases[case.id] = case
        if case.alarm and self._is_newest(case):
            self._of_alarm[case.alarm] = case.id
        if not case.closed_ns:
            self._open.setdefault(case.priority, {})[case.id] = None
        if before is None or before.closed_ns:
            self._schedule(case)
        self._untold.pop(case.id, None)
        still = {step for step in self._late.pop(case.id, ()) if is_undone(case, step)}
        if still:
            self._late[case.id] = still

    def _forget(self, case: Case) -> None:
        for known in (self._cases, self._late, self._untold):
            known.pop(case.id, None)
        if self._of_alarm.get(case.alarm) == case.id:
            del self._of_alarm[case.alarm]

    def _is_newest(self, case: Case) -> bool:
        known = self._cases.get(self._of_alarm.get(case.alarm, ""))
        return known is None or case.occurrence >= known.occurrence

    def _schedule(self, case: Case) -> None:
        for step, until_ns in case.due_ns.items():
            if is_undone(case, step):
                heapq.heappush(self._due, (until_ns, case.id, step))

    def _case_of(self, alarm: str) -> Case | None:
        return self._cases.get(self._of_alarm.get(alarm, ""))


_AGAIN: Final = "raised again ×"
_OPENED = Reason("case opened", "已建单")
_RECEIVED = Reason("received", "已接警")
_ENDED = Reason("the alarm has ended", "报警已结束")
_RAISED_AGAIN = Reason("the alarm was raised again", "再次报警")
_RISES = Reason("the priority rises", "优先级升高")
_CAME_ANEW = Reason("the alarm was raised anew; another case follows", "再次报警，另行建单")
_UP_AGAIN = Reason("opened again: the alarm rises or is back on the list", "重新打开：报警升级或恢复")
_FULL = Reason(f"closed unattended: more than {OPEN_MAX} cases are open", f"未处理关闭：未结处置单超过 {OPEN_MAX} 项")


def _opened_because(why: str) -> Reason:
    return Reason(f"opened again: {why}", f"重新打开：{why}")


def _reported(title: str) -> Reason:
    return Reason(f"reported: {title}", f"上报：{title}")


def _overdue_words(steps: set[str]) -> Reason:
    named = [STEP_WORDS[step] for step in STEPS if step in steps]
    return Reason(f"overdue: {', '.join(n.en for n in named)}", f"超时：{'、'.join(n.zh for n in named)}")
