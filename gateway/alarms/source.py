"""What never changes of an alarm: where it comes from, what it measures, how it is told."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.alarms.level import default_priorities, is_hazard
from gateway.alarms.words import Words
from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.model import Level, Priority, Rule

SYSTEM = "system/"
"""How the id of every system alarm begins."""


@dataclass(frozen=True, slots=True)
class Source:
    """The fixed part of an alarm.

    Attributes:
        id: The alarm's id.
        blank: The alarm before its first event: normal, number 0, with all that never changes filled in.
        words: Its sentences.
        index: `Rule.index`, or -1 where no rule of the site stands behind it.
        latching: It ends only by a manual reset once it has reached LOW or HIGH.
        priority: The priority of each level; empty where each call says its own.
        response: What the operator is told to do.
        response_zh: The same in Chinese, or empty.
        delayed: The rule waits before it raises LOW or HIGH, which people must be shown (GB 16808).
        note_required: Acknowledging it needs a note.
    """

    id: str
    blank: AlarmEvent
    words: Words
    index: int = -1
    latching: bool = False
    priority: Mapping[Level, Priority] = field(default_factory=dict)
    response: str = ""
    response_zh: str = ""
    delayed: bool = False
    note_required: bool = False

    @property
    def area(self) -> str:
        """The area it belongs to."""
        return self.blank.area


def of_rule(rule: Rule) -> Source:
    """Return a rule's alarm; that of a group is of no channel, and of what its channels have in common."""
    channels = rule.judges
    quantity, instrument = (_common(getattr(c, name) for c in channels) for name in ("quantity", "instrument"))
    unit = rule.judged.unit.replace("{}", _common(c.unit for c in channels))
    group = "" if len(channels) == 1 else rule.id.partition(":")[0]
    return Source(
        id=rule.id,
        index=rule.index,
        latching=rule.latching,
        priority={**default_priorities(rule.latching), **rule.priority},
        words=Words(quantity, unit, max(c.decimals for c in channels), rule.judged, group=group),
        response=rule.response,
        response_zh=rule.response_zh,
        delayed=_waits(rule.options) and any(map(is_hazard, rule.levels)),
        note_required=rule.acknowledge_note,
        blank=_blank(
            rule.id,
            rule.area,
            channel=rule.channel.id if len(channels) == 1 else "",
            instrument=instrument,
            quantity=quantity,
            unit=unit,
        ),
    )


def _waits(options: object) -> bool:
    """Whether one reading beyond a limit is not enough: there is an on-delay, or several readings are asked for."""
    return (getattr(options, "on_delay_s", 0) or 0) > 0 or (getattr(options, "count", 1) or 1) > 1


def _common(words: Iterable[str]) -> str:
    first, *others = set(words)
    return "" if others else first


def of_system(alarm: str, area: str) -> Source:
    """Return a system alarm."""
    return Source(id=alarm, words=Words("", "", 0), blank=_blank(alarm, area))


def as_now(alarm: Source, event: AlarmEvent) -> AlarmEvent:
    """Return an alarm's last event as the site now is: in its present area, and without a value of something else.

    What was raised by another channel stays where it was raised: people are to go there.
    """
    blank = alarm.blank
    if alarm.index < 0:
        return event
    if event.channel != blank.channel:
        return msgspec.structs.replace(event, value=None, limit=None)
    if (event.quantity, event.unit) != (blank.quantity, blank.unit):
        event = msgspec.structs.replace(event, quantity=blank.quantity, unit=blank.unit, value=None, limit=None)
    if event.area != blank.area:
        event = msgspec.structs.replace(event, area=blank.area)
    return event


def of_event(event: AlarmEvent) -> Source:
    """Return the alarm of an event whose rule is unknown here: a system alarm, or one that left the site file."""
    return Source(
        id=event.alarm,
        words=Words(event.quantity, event.unit, 3),
        blank=_blank(
            event.alarm,
            event.area,
            channel=event.channel,
            instrument=event.instrument,
            quantity=event.quantity,
            unit=event.unit,
        ),
    )


def _blank(
    alarm: str, area: str, *, channel: str = "", instrument: str = "", quantity: str = "", unit: str = ""
) -> AlarmEvent:
    return AlarmEvent(
        seq=0,
        time_ns=0,
        kind=EventKind.CLEARED,
        alarm=alarm,
        priority=Priority.BLUE,
        channel=channel,
        instrument=instrument,
        area=area,
        quantity=quantity,
        unit=unit,
    )


class Sources:
    """The fixed parts of all alarms by id, a rule's made when it is first asked for: most rules never raise an alarm.

    Args:
        rules: The site's rules.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._index = {rule.id: rule.index for rule in rules}
        self._made: dict[str, Source] = {}

    def of(self, rule: int) -> Source:
        """Return a rule's alarm by the rule's index."""
        return self[self._rules[rule].id]

    def __contains__(self, alarm: str) -> bool:
        return alarm in self._made or alarm in self._index

    def __getitem__(self, alarm: str) -> Source:
        made = self._made.get(alarm)
        if made is None:
            made = self._made[alarm] = of_rule(self._rules[self._index[alarm]])
        return made

    def __setitem__(self, alarm: str, source: Source) -> None:
        self._made[alarm] = source

    def __delitem__(self, alarm: str) -> None:
        del self._made[alarm]
