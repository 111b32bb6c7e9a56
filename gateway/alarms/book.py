"""The alarm book: takes verdicts, commands and time, and answers with numbered events; no clock, no I/O."""

from collections.abc import Iterable, Sequence
from itertools import repeat

import msgspec
import numpy as np

from gateway.alarms import source
from gateway.alarms.areas import Areas, is_member
from gateway.alarms.level import BY_NAME, SEVERITY, is_covered, trigger_of
from gateway.alarms.source import SYSTEM, Source, Sources
from gateway.alarms.state import ACKNOWLEDGED, UNACKNOWLEDGED, Ignored, Refused, Trigger, outcome
from gateway.alarms.transition import (
    Cause,
    Reading,
    Seen,
    is_held,
    next_event,
    seen_before,
    seen_now,
    sounds_of,
    system_priority,
    system_triggers,
)
from gateway.alarms.words import because, one_line
from gateway.core.alarm import Alarm, AlarmEvent, AlarmState, Command, EventKind, Verb
from gateway.core.clock import NS_PER_S
from gateway.core.errors import CommandRefusedError, UnknownAlarmError
from gateway.core.model import Channel, Int8, Int32, Level, Priority, Reason, Rule, Verdicts

SHELVE_MAX_S = 12 * 3600.0
"""Longest shelving; a shift. What must stay aside for longer is out of service, with a permit."""

_LEVELS = tuple(Level)
_SHELVE_MAX_NS = round(SHELVE_MAX_S * NS_PER_S)
_TRIGGERS = {
    Verb.ACKNOWLEDGE: Trigger.ACKNOWLEDGE,
    Verb.RESET: Trigger.RESET,
    Verb.SHELVE: Trigger.SHELVE,
    Verb.UNSHELVE: Trigger.UNSHELVE,
    Verb.OUT_OF_SERVICE: Trigger.TAKE_OUT,
    Verb.RETURN_TO_SERVICE: Trigger.PUT_BACK,
}
_DONE = {Verb.SILENCE: "silenced"}
_DONE_ZH = {
    Verb.ACKNOWLEDGE: "确认",
    Verb.RESET: "复位",
    Verb.SILENCE: "消音",
    Verb.SHELVE: "搁置",
    Verb.UNSHELVE: "解除搁置",
    Verb.OUT_OF_SERVICE: "停用",
    Verb.RETURN_TO_SERVICE: "恢复使用",
}
_SHELVED_ENOUGH = Reason("the shelving is over", "搁置到期")
_CLOCK_SET_BACK = Reason("the shelving ends because the clock was set back", "时钟被回拨，搁置结束")
_NO_RULE = Reason(
    "the rule is no longer in the site file; its alarm ends without a reset", "规则已从站点文件删除，报警结束"
)


class AlarmBook:
    """Keeps the state of every alarm of a site.

    All it knows of an alarm is the alarm's last event, so the last events restore it (`restore`). The same calls give
    the same events, to the byte. It keeps no past: whoever calls puts the returned events into the journal.

    Args:
        rules: The site's rules, `rules[k].index == k`.
        next_seq: Number of the next event in the journal's epoch.

    Attributes:
        condition: int8[len(rules)], the `Level` that each rule last reported, by `Rule.index`. Not to be written to.
        next_seq: Number of the next event.
        rechecks: Indexes of the rules whose alarm was reset while the condition persisted; `recheck` them when they
            have been evaluated again. Usually empty.
    """

    def __init__(self, rules: Sequence[Rule], next_seq: int = 1) -> None:
        self.condition: Int8 = np.zeros(len(rules), np.int8)
        self.next_seq = next_seq
        self.rechecks: frozenset[int] = frozenset()
        self._sources = Sources(rules)
        self._last: dict[str, AlarmEvent] = {}
        self._areas = Areas()
        self._silenced = 0
        self._orphans: list[str] = []
        # All below follows from the last events; kept so that the frequent questions are cheap.
        self._open: set[str] = set()
        self._sounding: set[str] = set()
        self._until: dict[str, int] = {}
        self._listing: list[Alarm] | None = None

    # What happens to alarms

    def judge(self, verdicts: Verdicts) -> list[AlarmEvent]:
        """Take changed levels in their order and return the events; a level that is no change makes none."""
        events: list[AlarmEvent] = []
        columns = (verdicts.rule, verdicts.level, verdicts.time_ns, verdicts.value, verdicts.limit, verdicts.quality)
        reasons = verdicts.reason or repeat(None, len(verdicts))
        for rule, level, *reading in zip(*(c.tolist() for c in columns), reasons, strict=True):
            now = _LEVELS[level]
            if now is not _LEVELS[self.condition[rule]]:
                self._change(events, self._sources.of(rule), now, Reading(*reading))
        return events

    def recheck(self, rules: Int32 | Sequence[int], time_ns: int) -> list[AlarmEvent]:
        """Raise again what was reset and is still there.

        Args:
            rules: Rules that have been evaluated since the reset, by index; those that do not wait are passed over.
            time_ns: Time of the reading they were evaluated with.
        """
        events: list[AlarmEvent] = []
        for rule in rules:
            if rule not in self.rechecks:
                continue
            alarm = self._sources.of(rule)
            last = self._last[alarm.id]
            seen = seen_before(last)
            why = alarm.words.still(seen.condition, seen.value, seen.limit)
            self._apply(events, alarm, Trigger.RAISE, seen, Cause(time_ns, why))
        return events

    def system(
        self,
        alarm: str,
        active: bool,  # noqa: FBT001 - reads as a statement where it is called: `system("system/disk", True, ...)`
        why: str | Reason,
        now_ns: int,
        *,
        priority: Priority = Priority.YELLOW,
        area: str = "",
        level: Level = Level.FAULT,
    ) -> list[AlarmEvent]:
        """Tell how one of the gateway's own parts is doing; its alarm follows it and is never latched.

        Args:
            alarm: `system/...`.
            active: Something is wrong.
            why: One line that says what, or the same in both languages.
            now_ns: The time.
            priority: What an operator attends to first. A higher one than before, while active, is an escalation.
            area: The area concerned, or empty.
            level: FAULT, or WARNING for what is to be read and not heard.

        Returns:
            Nothing where nothing changes; the words alone are no change.

        Raises:
            ValueError: The id does not begin with `system/`.
        """
        if not alarm.startswith(SYSTEM):
            raise ValueError(f"a system alarm's id begins with {SYSTEM}, not {alarm!r}")
        if alarm not in self._sources:
            if not active:
                return []
            self._sources[alarm] = source.of_system(alarm, area)
        known = self._sources[alarm]
        now = Seen(level if active else Level.NORMAL)
        events: list[AlarmEvent] = []
        for trigger in system_triggers(self._state(known), priority, active=active):
            last = self._state(known)
            seen = seen_before(last) if trigger is Trigger.EXCEED else now
            told = last.priority if trigger is Trigger.EXCEED else system_priority(last, priority)
            self._apply(events, known, trigger, seen, Cause(now_ns, _lines(why), priority=told))
        return events

    def suppress(
        self,
        alarm: str,
        active: bool,  # noqa: FBT001 - as in `system`
        why: str,
        now_ns: int,
    ) -> list[AlarmEvent]:
        """Put an alarm aside, or end that, by the site's own logic. Raises UnknownAlarmError."""
        known = self._find(alarm)
        trigger = Trigger.SUPPRESS if active else Trigger.UNSUPPRESS
        events: list[AlarmEvent] = []
        self._apply(events, known, trigger, seen_before(self._state(known)), Cause(now_ns, _lines(why)))
        return events

    def command(self, command: Command, now_ns: int) -> list[AlarmEvent]:
        """Carry out a person's or a platform's order.

        Acknowledging what is acknowledged already does nothing and is no error: two people press at the same time,
        and platforms repeat. Silencing where everything has been silenced does nothing either; what was only
        acknowledged has not, for a sounder on site goes on through an acknowledgement.

        Raises:
            CommandRefusedError: The alarm's state does not allow it, or who, why or duration is missing.
            UnknownAlarmError: There is no such alarm.
        """
        who, why = one_line(command.who), one_line(command.why)
        if not who:
            raise CommandRefusedError(f"{command.verb} needs the name of who gives it")
        if command.verb is Verb.SILENCE:
            return self._silence(who, _ordered(Verb.SILENCE, who, why), now_ns)
        if command.verb not in _TRIGGERS:
            raise CommandRefusedError(f"{command.verb} is no order about an alarm")
        alarm = self._find(command.alarm)
        _check(command, why)
        until_ns = now_ns + round(command.duration_s * NS_PER_S) if command.verb is Verb.SHELVE else 0
        events: list[AlarmEvent] = []
        seen = seen_before(self._state(alarm))
        cause = Cause(now_ns, _ordered(command.verb, who, why), who, until_ns)
        self._apply(events, alarm, _TRIGGERS[command.verb], seen, cause)
        return events

    def advance(self, now_ns: int) -> list[AlarmEvent]:
        """End the shelvings that are due.

        A shelving that would run for longer than is allowed at all ends too: the clock was set back, and nobody may
        keep an alarm quiet for a year by a wrong date.
        """
        events: list[AlarmEvent] = []
        due = [(t, a) for a, t in self._until.items() if t <= now_ns or t - now_ns > _SHELVE_MAX_NS]
        for until_ns, alarm in sorted(due):
            why = _SHELVED_ENOUGH if until_ns <= now_ns else _CLOCK_SET_BACK
            seen = seen_before(self._last[alarm])
            self._apply(events, self._sources[alarm], Trigger.EXPIRE, seen, Cause(now_ns, why))
        return events

    def note(self, why: str | Reason, now_ns: int, who: str = "") -> list[AlarmEvent]:
        """Return one event for something worth keeping that changes no alarm."""
        return [self._site_event(EventKind.NOTE, one_line(who), _lines(why), now_ns)]

    def number(self, event: AlarmEvent) -> AlarmEvent:
        """Give an event that changes no alarm the next number: one of a case, an account, a shift, a calibration."""
        event = msgspec.structs.replace(event, seq=self.next_seq)
        self.next_seq += 1
        return event

    def relearnt(self, channel: Channel, who: str, why: str, now_ns: int) -> list[AlarmEvent]:
        """Return one event that says who had a channel learned anew, and why."""
        event = self._site_event(EventKind.RELEARNT, one_line(who), Reason(one_line(why), one_line(why)), now_ns)
        return [
            msgspec.structs.replace(
                event, channel=channel.id, instrument=channel.instrument, area=channel.area, quantity=channel.quantity
            )
        ]

    # Restarts

    def restore(self, last_events: Iterable[AlarmEvent]) -> None:
        """Take over the last event of each alarm and the last `SILENCED` event; other events do no harm.

        Alarms whose rule is no longer in the site stay listed until `orphans` ends them.
        """
        for event in sorted(last_events, key=lambda e: e.seq):
            self.next_seq = max(self.next_seq, event.seq + 1)
            if event.kind is EventKind.SILENCED:
                self._silenced = event.seq
            if event.alarm:
                self._last[event.alarm] = event
        for alarm, event in list(self._last.items()):
            if alarm in self._sources:
                self._last[alarm] = source.as_now(self._sources[alarm], event)
                continue
            if alarm.startswith(SYSTEM):
                self._sources[alarm] = source.of_event(event)
            elif event.state is AlarmState.NORMAL:
                del self._last[alarm]
            else:
                self._sources[alarm] = source.of_event(event)
                self._orphans.append(alarm)
        self._rebuild()

    def succeed(self, before: "AlarmBook") -> None:
        """Go on in place of the book of the site as it was: with its alarms, its silence and its numbers.

        As after `restore`, alarms whose rule is gone stay listed until `orphans` ends them.
        """
        self._silenced, self.next_seq = before._silenced, before.next_seq  # noqa: SLF001 - a book like this one
        self.restore(before._last.values())  # noqa: SLF001 - as above

    def orphans(self, now_ns: int) -> list[AlarmEvent]:
        """End the restored alarms whose rule is no longer in the site, each by an event that says so."""
        events: list[AlarmEvent] = []
        for alarm in self._orphans:
            self._apply(events, self._sources[alarm], Trigger.REMOVE, Seen(Level.NORMAL), Cause(now_ns, _NO_RULE))
            del self._sources[alarm], self._last[alarm]
        self._orphans.clear()
        return events

    # Questions

    def alarms(self) -> list[Alarm]:
        """Return every alarm that is not normal, most urgent first.

        Unacknowledged before acknowledged before warnings before what is put aside; then by priority, level, whether
        the condition is still there, and the newest first.
        """
        if self._listing is None:
            self._listing = sorted((self._shown(self._last[alarm]) for alarm in self._open), key=_urgency)
        return self._listing.copy()

    def alarm(self, alarm: str) -> Alarm | None:
        """Return one alarm, also a normal one; None where it has never had an event."""
        last = self._last.get(alarm)
        return None if last is None else self._shown(last)

    def audible(self) -> bool:
        """Whether something sounds now: an unacknowledged alarm that nobody has silenced."""
        return bool(self._sounding)

    @property
    def silenced(self) -> int:
        """Number of the last `SILENCED` event, 0 where there was none."""
        return self._silenced

    def last_events(self) -> list[AlarmEvent]:
        """Return the last event of every alarm that has had one, in their order: what restores the book."""
        return sorted(self._last.values(), key=lambda event: event.seq)

    # The one way an alarm changes

    def _change(self, events: list[AlarmEvent], alarm: Source, now: Level, reading: Reading) -> None:
        last = self._state(alarm)
        before = BY_NAME[last.condition]
        if last.state is AlarmState.SHELVED and not is_covered(BY_NAME[last.level], now):
            more = Reason(
                f"unshelved: the condition rises to {now.name}, more than was shelved", "解除搁置：级别高于搁置时的级别"
            )
            self._apply(events, alarm, Trigger.EXCEED, seen_before(last), Cause(reading.time_ns, more))
        said = alarm.words.changed(
            before, now, reading.value, reading.limit, reading.quality, explained=reading.reason is not None
        )
        why = because(said, reading.reason)
        if now is Level.NORMAL and last.state in (AlarmState.UNACKED, AlarmState.ACKED) and is_held(alarm, last):
            why = Reason(f"{why.en}; the alarm is held until it is reset", f"{why.zh}；报警保持，待复位")
        seen = seen_now(now, reading, last)
        self._apply(events, alarm, trigger_of(before, now), seen, Cause(reading.time_ns, why))

    def _apply(self, events: list[AlarmEvent], alarm: Source, trigger: Trigger, seen: Seen, cause: Cause) -> None:
        """Look the trigger up in the table and append the event it makes, if any. Raises CommandRefusedError."""
        last = self._state(alarm)
        active = seen.condition is not Level.NORMAL
        found = outcome(last.state, trigger, active=active, held=is_held(alarm, last))
        if isinstance(found, Refused):
            raise CommandRefusedError(f"{alarm.id} is {last.state.replace('_', ' ')}: {found.reason}")
        if isinstance(found, Ignored):
            return
        event = next_event(alarm, last, found, seen, cause, seq=self.next_seq)
        was, now = is_member(last.state, last.level), is_member(event.state, event.level)
        if self._areas.move(alarm.area, alarm.id, was=was, now=now):
            event = msgspec.structs.replace(event, first=True)
        self.next_seq += 1
        self._keep(alarm, event)
        events.append(event)

    def _state(self, alarm: Source) -> AlarmEvent:
        return self._last.get(alarm.id, alarm.blank)

    def _keep(self, alarm: Source, event: AlarmEvent) -> None:
        """Make an event its alarm's last one, with all that follows from it."""
        self._last[alarm.id] = event
        self._listing = None
        if event.state is AlarmState.NORMAL:
            self._open.discard(alarm.id)
        else:
            self._open.add(alarm.id)
        if event.state in UNACKNOWLEDGED and event.sounded > self._silenced:
            self._sounding.add(alarm.id)
        else:
            self._sounding.discard(alarm.id)
        if event.state is AlarmState.SHELVED:
            self._until[alarm.id] = event.until_ns
        else:
            self._until.pop(alarm.id, None)
        if alarm.index >= 0:
            self.condition[alarm.index] = BY_NAME[event.condition]
            waits = event.state is AlarmState.NORMAL and event.condition != "normal"
            if waits != (alarm.index in self.rechecks):
                self.rechecks ^= {alarm.index}

    def _rebuild(self) -> None:
        self.condition[:] = Level.NORMAL
        self.rechecks = frozenset()
        for derived in (self._open, self._sounding, self._until):
            derived.clear()
        for alarm, event in self._last.items():
            self._keep(self._sources[alarm], event)
        by_number = sorted(self._last.values(), key=lambda e: e.seq)
        self._areas.restore((self._sources[event.alarm].area, event) for event in by_number)

    def _silence(self, who: str, why: Reason, now_ns: int) -> list[AlarmEvent]:
        told = (max(sounds_of(self._last[alarm]).values(), default=0) for alarm in self._open)
        if not any(seq > self._silenced for seq in told):
            return []
        event = self._site_event(EventKind.SILENCED, who, why, now_ns)
        self._silenced = event.seq
        self._sounding.clear()
        self._listing = None
        return [event]

    def _site_event(self, kind: EventKind, who: str, why: Reason, now_ns: int) -> AlarmEvent:
        event = AlarmEvent(seq=self.next_seq, time_ns=now_ns, kind=kind, who=who, why=why.en, why_zh=why.zh)
        self.next_seq += 1
        return event

    def _find(self, alarm: str) -> Source:
        if alarm not in self._sources:
            raise UnknownAlarmError(f"there is no alarm named {alarm[:200]!r}")
        return self._sources[alarm]

    def _shown(self, last: AlarmEvent) -> Alarm:
        alarm = self._sources[last.alarm]
        # The area may have become normal by another alarm's event since; the flag ended with that.
        if last.first and not self._areas.is_first(alarm.area, alarm.id):
            last = msgspec.structs.replace(last, first=False)
        return Alarm(
            id=alarm.id,
            event=last,
            silenced=last.state in UNACKNOWLEDGED and last.sounded > 0 and alarm.id not in self._sounding,
            latching=alarm.latching,
            response=alarm.response,
            delayed=alarm.delayed,
        )


def _lines(why: str | Reason) -> Reason:
    return Reason(one_line(why), "") if isinstance(why, str) else Reason(one_line(why.en), one_line(why.zh))


def _ordered(verb: Verb, who: str, why: str) -> Reason:
    """Return a person's own words, or who did what."""
    return Reason(why, why) if why else Reason(f"{_DONE.get(verb, verb)} by {who}", f"{who} {_DONE_ZH[verb]}")


def _check(command: Command, why: str) -> None:
    if command.verb in (Verb.SHELVE, Verb.OUT_OF_SERVICE) and not why:
        raise CommandRefusedError(f"{command.verb} of {command.alarm} needs a reason")
    if command.verb is Verb.SHELVE and not 0 < command.duration_s <= SHELVE_MAX_S:
        raise CommandRefusedError(
            f"shelve of {command.alarm} for {command.duration_s:g} s: more than 0 and at most {SHELVE_MAX_S:g} s"
        )


def _urgency(alarm: Alarm) -> tuple[int, int, int, bool, int, int]:
    event = alarm.event
    on_the_list = event.state in UNACKNOWLEDGED or event.state in ACKNOWLEDGED
    group = (event.state in ACKNOWLEDGED) + 2 * (event.level == "warning") if on_the_list else 4
    severity = SEVERITY[BY_NAME[event.level]]
    return group, event.priority, -severity, event.condition == "normal", -event.raised_ns, -event.seq
