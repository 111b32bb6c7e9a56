"""How often a rule may be raised in a week before the gateway itself says that it cries wolf.

Who is warned too often no longer looks (EEMUA 191, IEC 62682 clause 16): a rule that only warns has a budget, and one
that spends more of it is told of by a system alarm until a quiet week has passed.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.clock import NS_PER_S
from gateway.core.model import Reason, Rule

KEPT: Final = 64
"""Times kept of each rule at the most, or one more than its budget: how often it was raised is told up to this."""
WEEK_NS: Final = 7 * 86_400 * NS_PER_S
SPAN_MAX_NS: Final = 52 * WEEK_NS
"""Longest time over which a budget of less than one a week is counted."""


class Finding(NamedTuple):
    """A rule's budget is exceeded, or no longer."""

    rule: Rule
    active: bool
    why: Reason


class Budgets:
    """Counts how often rules were raised.

    Args:
        rules: The site's rules; those without a budget are passed over.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = {rule.id: rule for rule in rules if rule.budget_per_week is not None}
        self._times: dict[str, deque[int]] = {}
        self._over: set[str] = set()

    def __bool__(self) -> bool:
        """Whether any rule has a budget."""
        return bool(self._rules)

    @property
    def span_ns(self) -> int:
        """The longest time that any budget is counted over; 0 where there is none."""
        return max((_span_ns(rule) for rule in self._rules.values()), default=0)

    @property
    def over(self) -> frozenset[str]:
        """The ids of the rules that have spent more than they may."""
        return frozenset(self._over)

    def count(self, events: Iterable[AlarmEvent]) -> list[Finding]:
        """Take note of what was raised, in the events' order, and return whose budget is exceeded by it."""
        found: list[Finding] = []
        for event in events:
            rule = self._rules.get(event.alarm)
            if rule is None or event.kind is not EventKind.RAISED or event.test:
                continue
            times = self._times.setdefault(rule.id, deque(maxlen=_kept(rule)))
            times.append(event.time_ns)
            _forget(times, event.time_ns - _span_ns(rule))
            if len(times) > _allowed(rule) and rule.id not in self._over:
                self._over.add(rule.id)
                found.append(Finding(rule, active=True, why=_told(rule, len(times))))
        return found

    def look(self, now_ns: int) -> list[Finding]:
        """Return whose budget is no longer exceeded."""
        found: list[Finding] = []
        for name in sorted(self._over):
            rule, times = self._rules[name], self._times[name]
            _forget(times, now_ns - _span_ns(rule))
            if len(times) <= _allowed(rule):
                self._over.discard(name)
                found.append(Finding(rule, active=False, why=Reason("within the budget again", "已回到预警额度以内")))
        return found

    def exceeded(self) -> list[Finding]:
        """Return all whose budget is exceeded, by rule id."""
        return [
            Finding(rule := self._rules[n], active=True, why=_told(rule, len(self._times[n])))
            for n in sorted(self._over)
        ]

    def succeed(self, before: "Budgets", kept: Iterable[str]) -> None:
        """Go on counting for the rules that are what they were; their budgets may be others now."""
        for name in kept:
            if name in self._rules and name in before._times:  # noqa: SLF001 - one of this kind
                self._times[name] = deque(before._times[name], maxlen=_kept(self._rules[name]))  # noqa: SLF001 - as above
                if name in before._over:  # noqa: SLF001 - as above
                    self._over.add(name)


def _allowed(rule: Rule) -> int:
    return max(1, math.floor(rule.budget_per_week or 0.0))


def _kept(rule: Rule) -> int:
    return max(KEPT, _allowed(rule) + 1)


def _span_ns(rule: Rule) -> int:
    """Return the time that the budget is counted over: a week, or longer where less than one a week is allowed."""
    budget = rule.budget_per_week or 1.0
    return WEEK_NS if budget >= 1 else min(round(WEEK_NS / budget), SPAN_MAX_NS)


def _forget(times: deque[int], before_ns: int) -> None:
    while times and times[0] < before_ns:
        times.popleft()


def _told(rule: Rule, count: int) -> Reason:
    days, budget = round(_span_ns(rule) / (WEEK_NS / 7)), f"{rule.budget_per_week:g}"
    return Reason(
        f"{rule.id} was raised {count} times in {days} days, {budget} a week are allowed:"
        " look at its instrument, set it less sharp or have it learn anew, or allow more",
        f"{rule.id} 在 {days} 天内报出 {count} 次，每周限额 {budget} 次：请检查仪表，调低灵敏度或重新学习，或放宽限额",
    )
