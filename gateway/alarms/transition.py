"""One alarm's next event: from its last event, the table's step and what caused it; pure."""

import math
from typing import NamedTuple

from gateway.alarms.level import BY_NAME, NAME, is_hazard, level_after
from gateway.alarms.source import Source
from gateway.alarms.state import ACKNOWLEDGED, ASIDE, ON_THE_LIST, UNACKNOWLEDGED, Step, Trigger
from gateway.core.alarm import AlarmEvent, AlarmState, EventKind
from gateway.core.model import Level, Priority, Quality, Reason, quality_name

_SHELVED_NORMAL = Priority.ORANGE
_NEWS = frozenset({EventKind.RAISED, EventKind.ESCALATED, EventKind.DE_ESCALATED})
_OF_THE_CONDITION = _NEWS | {EventKind.RETURNED}
_PUT_ASIDE = frozenset({EventKind.SHELVED, EventKind.OUT_OF_SERVICE, EventKind.SUPPRESSED})


class Reading(NamedTuple):
    """What a verdict was made of: one line of `Verdicts`."""

    time_ns: int
    value: float
    limit: float
    quality: int
    reason: Reason | None = None


class Seen(NamedTuple):
    """What a rule says, and of what, as it stands in events."""

    condition: Level
    value: float | None = None
    limit: float | None = None
    quality: str = "good"
    test: bool = False


class Cause(NamedTuple):
    """Why an alarm changes: when, in which words, by whom.

    Attributes:
        time_ns: The time of the reading or command.
        why: One line, in English and in Chinese where somebody has said it so.
        who: The person or platform, or empty.
        until_ns: When a shelving, suppression or permit ends, else 0.
        priority: The priority where the caller knows it, 0 where the rule does.
        permit_for: What is taken out of service together under the permit `why`, or empty.
        suppressed_by: What holds the alarm down, or empty.
    """

    time_ns: int
    why: Reason
    who: str = ""
    until_ns: int = 0
    priority: int = 0
    permit_for: str = ""
    suppressed_by: str = ""


def seen_now(level: Level, reading: Reading, last: AlarmEvent) -> Seen:
    """Return what a verdict says.

    An alarm counts as a test only while no real reading has had a part in it, so that a test on top of a real alarm
    never makes the alarm look like a test.
    """
    test = reading.quality == Quality.TEST and (last.level == "normal" or last.test)
    return Seen(level, _finite(reading.value), _finite(reading.limit), quality_name(reading.quality), test)


def seen_before(last: AlarmEvent) -> Seen:
    """Return what an alarm's last event saw, for an event that no reading causes."""
    if last.state is AlarmState.NORMAL and last.condition == "normal":
        return Seen(Level.NORMAL)
    return Seen(BY_NAME[last.condition], last.value, last.limit, last.quality, last.test)


def is_held(alarm: Source, last: AlarmEvent) -> bool:
    """Whether the alarm's latch holds it: a latching rule, and LOW or HIGH since the last reset."""
    return alarm.latching and is_hazard(BY_NAME[last.level])


def next_event(alarm: Source, last: AlarmEvent, step: Step, seen: Seen, cause: Cause, *, seq: int) -> AlarmEvent:
    """Return the event that a step of the table makes; all but `first` and `follows`, which depend on its area.

    An event that ends an occurrence still tells when that began and who acknowledged it.
    """
    level = level_after(BY_NAME[last.level], seen.condition, last.state, step.state, latching=alarm.latching)
    raised = step.kind is EventKind.RAISED
    annunciate = step.annunciate and not _is_quiet(step, seen.condition, level)
    acked_by, acked_ns = _acked(last, step, cause)
    permit, permit_for = _permit(last, step, cause)
    suppressed_by = cause.suppressed_by or last.suppressed_by if step.state is AlarmState.SUPPRESSED else ""
    said = _said(last, step)
    aside_by, aside_why = _aside(last, step, cause)
    return AlarmEvent(
        seq=seq,
        time_ns=cause.time_ns,
        kind=step.kind,
        alarm=alarm.id,
        state=step.state,
        level=NAME[level],
        condition=NAME[seen.condition],
        priority=cause.priority or alarm.priority.get(level, last.priority),
        occurrence=last.occurrence + raised,
        raised_ns=cause.time_ns if raised else 0 if last.state is AlarmState.NORMAL else last.raised_ns,
        annunciate=annunciate,
        channel=alarm.blank.channel,
        instrument=alarm.blank.instrument,
        area=alarm.blank.area,
        quantity=alarm.blank.quantity,
        unit=alarm.blank.unit,
        value=seen.value,
        limit=seen.limit,
        quality=seen.quality,
        test=seen.test,
        who=cause.who,
        why=cause.why.en,
        why_zh=cause.why.zh,
        until_ns=_until_ns(last, step, cause),
        permit=permit,
        permit_for=permit_for,
        said=said.en,
        said_zh=said.zh,
        aside_by=aside_by,
        aside_why=aside_why,
        suppressed_by=suppressed_by,
        acked_by=acked_by,
        acked_ns=acked_ns,
        sounded=seq if annunciate else _sounded_before(last, step),
        sounds=_sounds(last, step, level if annunciate else seen.condition, seq),
    )


def _said(last: AlarmEvent, step: Step) -> Reason:
    """Return what the alarm is about, where the event itself says something else: who did what."""
    if step.kind in _OF_THE_CONDITION or AlarmState.NORMAL in (step.state, last.state):
        return Reason("", "")
    told = last.kind in _OF_THE_CONDITION
    return Reason(last.why, last.why_zh) if told else Reason(last.said, last.said_zh)


def _aside(last: AlarmEvent, step: Step, cause: Cause) -> tuple[str, str]:
    """Return who has put the alarm aside and why, however its condition changes meanwhile."""
    if step.state not in ASIDE:
        return "", ""
    if step.kind in _PUT_ASIDE:
        return cause.who, cause.why.en
    return last.aside_by, last.aside_why


def _is_quiet(step: Step, condition: Level, level: Level) -> bool:
    """Whether a step starts no sound whatever the table says: a warning is to be read, not heard.

    An alarm that a latch holds at LOW or HIGH and that comes back from being put aside sounds all the same.
    """
    return condition is Level.WARNING and (level is Level.WARNING or step.kind in _NEWS)


def _sounded_before(last: AlarmEvent, step: Step) -> int:
    """Return what goes on to sound after an event that starts no sound itself.

    A warning takes the acknowledgement of a latched alarm away; what was acknowledged must not sound by that.
    """
    woken = last.state in ACKNOWLEDGED and step.state in UNACKNOWLEDGED
    return last.sounded if step.state in ON_THE_LIST and not woken else 0


def sounds_of(event: AlarmEvent) -> dict[str, int]:
    """Return `event.sounds`; for an event of a journal that knew only `sounded`, what follows from that."""
    return event.sounds or ({event.level: event.sounded} if event.sounded else {})


def system_triggers(last: AlarmEvent, priority: Priority, *, active: bool) -> list[Trigger]:
    """Return what a report about one of the gateway's own parts does to its alarm; nothing where it is no news.

    A system alarm has one level; its priority stands in for the steps. A shelving covers the priority that was
    shelved, and where the alarm was normal then, any but RED.
    """
    was = last.condition != "normal"
    shelved = last.state is AlarmState.SHELVED
    if not active:
        return [Trigger.RETURN] if was else []
    covered = _SHELVED_NORMAL if last.level == "normal" else last.priority
    exceed = [Trigger.EXCEED] if shelved and priority < covered else []
    if not was:
        return [*exceed, Trigger.RAISE]
    if priority == last.priority or (last.state in ASIDE and not exceed):
        return []
    return [*exceed, Trigger.ESCALATE if priority < last.priority else Trigger.DE_ESCALATE]


def system_priority(last: AlarmEvent, priority: Priority) -> int:
    """Return the priority that a system alarm shows: the one reported, or the worse one that a shelving covers."""
    shelved = last.state is AlarmState.SHELVED and last.level != "normal"
    return min(priority, last.priority) if shelved else priority


def _until_ns(last: AlarmEvent, step: Step, cause: Cause) -> int:
    """Return when the state ends or should: as the cause says, else as before while it lasts."""
    if step.state not in ASIDE:
        return 0
    goes_on = step.state is last.state and cause.suppressed_by in ("", last.suppressed_by)
    return cause.until_ns or (last.until_ns if goes_on else 0)


def _permit(last: AlarmEvent, step: Step, cause: Cause) -> tuple[str, str]:
    if step.state is not AlarmState.OUT_OF_SERVICE:
        return "", ""
    if step.kind is EventKind.OUT_OF_SERVICE:
        return cause.why.en, cause.permit_for
    return last.permit, last.permit_for


def _acked(last: AlarmEvent, step: Step, cause: Cause) -> tuple[str, int]:
    if step.kind is EventKind.ACKNOWLEDGED:
        return cause.who, cause.time_ns
    if step.state in UNACKNOWLEDGED or last.state is AlarmState.NORMAL:
        return "", 0
    return last.acked_by, last.acked_ns


def _sounds(last: AlarmEvent, step: Step, told: Level, seq: int) -> dict[str, int]:
    """Return when which level was last told; a warning too, silent as it is, for outputs that follow warnings."""
    if step.state not in ON_THE_LIST:
        return {}
    before = sounds_of(last)
    return {**before, NAME[told]: seq} if step.annunciate else before


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
