"""Suppressions of the site file bound to the alarms that they name, with every mistake at its place."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from gateway.core.alarm import Suppression
from gateway.core.model import Channel, Level, Priority, Rule
from gateway.core.units import quantity
from gateway.site.findings import Findings, near
from gateway.site.operation import SuppressionSection
from gateway.site.rules import HAZARDS

SYSTEM: Final = "system/"
NS_PER_S: Final = 1_000_000_000


def bound(
    findings: Findings, sections: Sequence[SuppressionSection], channels: Sequence[Channel], rules: Sequence[Rule]
) -> tuple[Suppression, ...]:
    """Return the suppressions of a site; what cannot be is told in `findings`.

    Args:
        findings: Takes the mistakes.
        sections: As written.
        channels: The channel table.
        rules: The site's rules, whose ids are their alarms'.
    """
    by_id = {channel.id: channel for channel in channels}
    alarms = {rule.id: rule for rule in rules}
    written = {rule.id.partition(":")[0] for rule in rules}
    found: list[Suppression] = []
    for k, section in enumerate(sections):
        path = ("suppressions", k)
        if section.id in written or section.id in alarms:
            findings.complain((*path, "id"), f"{section.id!r} is already the id of a rule; events must tell them apart")
        named = _named(findings, section, alarms, path)
        _check_deciders(findings, section, by_id, alarms, named, path)
        channel = by_id.get(section.channel or "")
        found.append(
            Suppression(
                id=section.id,
                alarms=tuple(named),
                row=channel.row if channel else -1,
                channel=section.channel or "",
                above=section.above,
                below=section.below,
                alarm=section.alarm or "",
                max_ns=round((section.max_s or 0) * NS_PER_S),
                why=section.why,
                why_zh=section.why_zh,
            )
        )
    _check_circles(findings, found)
    return tuple(found)


def _named(
    findings: Findings, section: SuppressionSection, alarms: Mapping[str, Rule], path: tuple[str | int, ...]
) -> list[str]:
    """Return the alarms that a suppression names, in the order of the site file."""
    named: dict[str, None] = {}
    for k, pattern in enumerate(section.alarms):
        place = (*path, "alarms", k)
        if pattern.startswith(SYSTEM):
            findings.complain(place, f"{pattern!r}: what the gateway says of itself is never suppressed")
            continue
        matched = [pattern] if pattern in alarms else [alarm for alarm in alarms if fnmatchcase(alarm, pattern)]
        if not matched and not findings.incomplete:
            findings.complain(place, f"no alarm is called {pattern!r}{near(pattern, alarms)}")
        for alarm in matched:
            if alarm != pattern and alarm not in section.alarms and _is_grave(alarms[alarm]):
                problem = (
                    f"{pattern!r} catches {alarm}, a gas or fire alarm of priority 1; name it exactly or leave it out"
                )
                findings.complain(place, problem)
                break
        named.update(dict.fromkeys(matched))
    return [alarm for alarm in alarms if alarm in named]


def _is_grave(rule: Rule) -> bool:
    """Whether a rule's HIGH is of priority 1 and says that gas or fire is there: nobody may suppress it by accident."""
    if Level.HIGH not in rule.levels:
        return False
    hazard = rule.latching or any(quantity(channel.quantity).kind in HAZARDS for channel in rule.judges)
    usual = Priority.RED if rule.latching else Priority.ORANGE
    return hazard and rule.priority.get(Level.HIGH, usual) is Priority.RED


def _check_deciders(  # noqa: PLR0917 - all that one section is checked against
    findings: Findings,
    section: SuppressionSection,
    channels: Mapping[str, Channel],
    alarms: Mapping[str, Rule],
    named: Sequence[str],
    path: tuple[str | int, ...],
) -> None:
    if section.channel is not None and section.channel not in channels and not findings.incomplete:
        problem = f"no channel is called {section.channel!r}{near(section.channel, channels)}"
        findings.complain((*path, "channel"), problem)
    if section.channel is not None:
        fault = next((a for a in named if _is_about(alarms[a], section.channel)), None)
        if fault is not None:
            problem = f"{fault} judges {section.channel}, which would decide whether it may be heard"
            findings.complain((*path, "channel"), problem)
    decider = section.alarm
    if decider is None:
        return
    if decider in named:
        findings.complain((*path, "alarm"), f"{decider!r} would decide about itself")
    elif decider not in alarms and not decider.startswith(SYSTEM) and not findings.incomplete:
        findings.complain((*path, "alarm"), f"no alarm is called {decider!r}{near(decider, alarms)}")


def _is_about(rule: Rule, channel: str) -> bool:
    return any(each.id == channel for each in rule.judges)


def _check_circles(findings: Findings, found: Sequence[Suppression]) -> None:
    """Refuse suppressions whose deciding alarms are suppressed by one another."""
    leads = {
        k: [n for n, other in enumerate(found) if other.alarm and other.alarm in set(each.alarms)]
        for k, each in enumerate(found)
    }
    for k, each in enumerate(found):
        seen: set[int] = set()
        waiting = [n for n in leads[k] if n != k]
        while waiting:
            n = waiting.pop()
            if n == k:
                problem = (
                    f"{each.alarm!r} is suppressed by what {each.id!r} suppresses: the two decide about each other"
                )
                findings.complain(("suppressions", k, "alarm"), problem)
                break
            if n not in seen:
                seen.add(n)
                waiting += leads[n]
