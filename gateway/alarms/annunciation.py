"""Which outputs are to be on, as the alarms stand; pure, the wiring is `gateway.outputs`.

The whole answer follows from the last event of each alarm and the number of the last `SILENCED` event, so that it is
the same after a restart. What holds an output on, by what releases it:

| | released by silence (a sounder) | released by reset (a beacon) |
|---|---|---|
| alarm on the list | its level sounded after the last silence | its level was reached |
| alarm put aside | no | no |
| alarm normal | no | only where it was reset and its condition is still there |
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Literal

from gateway.alarms.source import SYSTEM
from gateway.alarms.state import ON_THE_LIST
from gateway.alarms.transition import sounds_of
from gateway.core.alarm import AlarmEvent, AlarmState, EventKind

OUTPUT_ALARM = SYSTEM + "output/"
"""How the id of an output's own alarm begins; its end is the output's id."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which alarms switch an output on, and what releases it.

    Attributes:
        output: The output's id.
        alarms: Patterns of alarm ids with `*` and `?`; system alarms only by patterns that begin with `system/`.
        areas: Only alarms of these areas; all where empty.
        level: Lowest level of an alarm that counts.
        faults: Alarms of level fault count too. System alarms, whose level that is, always do.
        warnings: Warnings count too.
        release: What releases it.
    """

    output: str
    alarms: Sequence[str] = ("*",)
    areas: Sequence[str] = ()
    level: Literal["low", "high"] = "low"
    faults: bool = False
    warnings: bool = False
    release: Literal["silence", "reset"] = "silence"

    def names(self, alarm: str, area: str) -> bool:
        """Whether the alarm is one of those that switch this output; never the output's own."""
        if alarm == OUTPUT_ALARM + self.output or (self.areas and area not in self.areas):
            return False
        return _any_of(tuple(self.alarms), alarm.startswith(SYSTEM)).match(alarm) is not None

    def counts(self, alarm: str, level: str) -> bool:
        """Whether an alarm of this level is enough, given that it is named."""
        if level == "fault":
            return self.faults or alarm.startswith(SYSTEM)
        if level == "warning":
            return self.warnings
        return level in ("high", self.level)

    def is_held_by(self, event: AlarmEvent, silenced: int) -> bool:
        """Whether an alarm holds the output on.

        Args:
            event: The alarm's last event; the alarm is one that the selection names.
            silenced: Number of the last `SILENCED` event.
        """
        if event.state in ON_THE_LIST:
            heard_to = silenced if self.release == "silence" else 0
            sounds = sounds_of(event).items()
            return any(seq > heard_to and self.counts(event.alarm, level) for level, seq in sounds)
        if event.state is AlarmState.NORMAL and self.release == "reset":
            # Reset while it is still there: the next reading raises it again, and a beacon has no gap in between.
            return event.condition != "normal" and self.counts(event.alarm, event.condition)
        return False


class Annunciation:
    """Follows the alarm events and knows which outputs are to be on.

    Args:
        selections: One for each output, their ids unique.
    """

    def __init__(self, selections: Sequence[Selection]) -> None:
        self._selections = tuple(selections)
        self._silenced = 0
        self._holding: dict[str, set[str]] = {each.output: set() for each in selections}
        self._named: dict[tuple[str, str], tuple[Selection, ...]] = {}

    def restore(self, last_events: Iterable[AlarmEvent], silenced: int) -> None:
        """Begin anew from an alarm book's `last_events()` and `silenced`."""
        self._silenced = silenced
        for holding in self._holding.values():
            holding.clear()
        for event in last_events:
            self.take(event)

    def take(self, event: AlarmEvent) -> None:
        """Take the next event, in the order of their numbers."""
        if event.kind is EventKind.SILENCED:
            self._silenced = event.seq
            for selection in self._selections:
                if selection.release == "silence":  # all that sounds has a smaller number
                    self._holding[selection.output].clear()
        elif event.alarm:
            for selection in self._naming(event):
                self._weigh(selection, event)

    def wanted(self, output: str) -> bool:
        """Whether the output is to be on. Raises KeyError for an unknown one."""
        return bool(self._holding[output])

    def holding(self, output: str) -> list[str]:
        """Return the ids of the alarms that hold the output on. Raises KeyError for an unknown one."""
        return sorted(self._holding[output])

    def _weigh(self, selection: Selection, event: AlarmEvent) -> None:
        holding = self._holding[selection.output]
        if selection.is_held_by(event, self._silenced):
            holding.add(event.alarm)
        else:
            holding.discard(event.alarm)

    def _naming(self, event: AlarmEvent) -> tuple[Selection, ...]:
        """Return the selections that name an alarm; remembered, as there are no more alarms than the site has rules."""
        key = event.alarm, event.area
        named = self._named.get(key)
        if named is None:
            named = self._named[key] = tuple(each for each in self._selections if each.names(*key))
        return named


@lru_cache(maxsize=256)
def _any_of(patterns: tuple[str, ...], system: bool) -> re.Pattern[str]:  # noqa: FBT001 - what kind of alarm it is for
    """Return what matches any of the patterns: ten thousand alarms at once each ask once."""
    allowed = [translate(one) for one in patterns if not system or one.startswith(SYSTEM)]
    return re.compile("|".join(allowed) or r"(?!)")
