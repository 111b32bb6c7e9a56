"""Episodes: what a rule said from its raise to its return, made of the verdicts in which its level changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from gateway.core.model import Level, Reason, Rule, Verdicts

SEVERITY: Final = {Level.NORMAL: 0, Level.WARNING: 1, Level.FAULT: 2, Level.LOW: 3, Level.HIGH: 4}
"""How grave each level is: reaching a graver one within an episode is news, as a raise is."""


class Said(NamedTuple):
    """One change of a rule's level."""

    time_ns: int
    level: Level
    value: float
    limit: float
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Episode:
    """A rule's time away from normal, from raise to return.

    Attributes:
        rule: The rule, as bound to its recording; rows are the recording's own.
        start_ns: The reading that raised it.
        end_ns: The reading with which it returned; the recording's last one where it did not.
        open: It had not returned at the end.
        level: The gravest level that it reached.
        rises_ns: When it was raised and when it rose to a graver level, in order; the first is `start_ns`.
        value: What was judged when it was raised; NaN where there is none.
        limit: What it was compared with; NaN where nothing.
        reason: Why it was raised, where the detector says it.
    """

    rule: Rule
    start_ns: int
    end_ns: int
    open: bool
    level: Level
    rises_ns: tuple[int, ...]
    value: float = float("nan")
    limit: float = float("nan")
    reason: Reason | None = None


def by_rule(verdicts: Iterable[Verdicts]) -> dict[int, list[Said]]:
    """Return what each rule said, in the order in which it was said, by the rule's index."""
    found: dict[int, list[Said]] = {}
    for part in verdicts:
        columns = (part.rule, part.time_ns, part.level, part.value, part.limit)
        for k, (rule, time_ns, level, value, limit) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
            reason = part.reason[k] if part.reason else None
            found.setdefault(rule, []).append(Said(time_ns, Level(level), value, limit, reason))
    return found


def episodes(rule: Rule, said: Sequence[Said], end_ns: int) -> list[Episode]:
    """Return a rule's episodes in order.

    Args:
        rule: The rule.
        said: Its changes of level, in order.
        end_ns: The end of an episode that does not return.
    """
    found: list[Episode] = []
    now: Episode | None = None
    for one in said:
        if one.level is Level.NORMAL:
            if now is not None:
                found.append(replace(now, end_ns=max(one.time_ns, now.start_ns), open=False))
            now = None
        elif now is None:
            now = Episode(
                rule=rule,
                start_ns=one.time_ns,
                end_ns=max(end_ns, one.time_ns),
                open=True,
                level=one.level,
                rises_ns=(one.time_ns,),
                value=one.value,
                limit=one.limit,
                reason=one.reason,
            )
        elif SEVERITY[one.level] > SEVERITY[now.level]:
            now = replace(now, level=one.level, rises_ns=(*now.rises_ns, one.time_ns))
    return found if now is None else [*found, now]
