"""The alarm book: takes verdicts, commands and time, and answers with numbered events; no clock, no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

import msgspec
import numpy as np

from gateway.alarms import causes, orders, source
from gateway.alarms.areas import Areas, is_member
from gateway.alarms.inhibition import Inhibition
from gateway.alarms.level import BY_NAME, is_covered, trigger_of
from gateway.alarms.listing import Listing
from gateway.alarms.policy import Policy
from gateway.alarms.source import SYSTEM, Source, Sources
from gateway.alarms.state import Ignored, Refused, Trigger, outcome
from gateway.alarms.suppression import Turn
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
from gateway.core.alarm import Alarm, AlarmEvent, AlarmState, Command, EventKind, Suppression, Verb
from gateway.core.clock import NS_PER_S
from gateway.core.errors import CommandRefusedError, IncompleteOrderError, UnknownAlarmError
from gateway.core.model import BAD_FROM, Batch, Channel, Int8, Int32, Level, Priority, Reason, Rule, Verdicts

SHELVE_MAX_S = 12 * 3600.0
"""Longest shelving whatever the site file says; a shift. What must stay aside for longer is out of service, with a
permit."""

_LEVELS = tuple(Level)
_NOT_HELD_DOWN = frozenset({Trigger.SUPPRESS, Trigger.UNSUPPRESS, Trigger.REMOVE})
_SHELVED_ENOUGH = Reason("the shelving is over", "搁置到期")
_CLOCK_SET_BACK = Reason(
    "the shelving ends because it would run for longer than is allowed, as after the clock was set back",
    "搁置结束：剩余时间超过允许值（例如时钟被回拨）",
)
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
        policy: Who may shelve what for how long, and the like.
        suppressions: The site's own logic.
        lines: The connection of each instrument; without it, no connection is known to be a cause.

    Attributes:
        condition: int8[len(rules)], the `Level` that each rule last reported, by `Rule.index`. Not to be written to.
        next_seq: Number of the next event.
        rechecks: Indexes of the rules whose alarm was reset while the condition persisted; `recheck` them when they
            have been evaluated again. Usually empty.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        next_seq: int = 1,
        *,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        suppressions: Sequence[Suppression] = (),
        lines: Mapping[str, str] | None = None,
    ) -> None:
        self.condition: Int8 = np.zeros(len(rules), np.int8)
        self.next_seq = next_seq
        self.rechecks: frozenset[int] = frozenset()
        self.policy = policy
        self._rules = rules
        self._sources = Sources(rules)
        self._last: dict[str, AlarmEvent] = {}
        self._areas = Areas(round(policy.first_out_s * NS_PER_S))
        self._inhibition = Inhibition(suppressions, lines or {})
        self._silenced = 0
        self._orphans: list[str] = []
        self._listing = Listing(self._sources, self._areas)

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
        why: str | Reason,
        now_ns: int,
        *,
        by: str,
        until_ns: int = 0,
    ) -> list[AlarmEvent]:
        """Put an alarm aside, or end that, by the site's own logic. Raises UnknownAlarmError.

        Args:
            alarm: The alarm.
            active: It is to be suppressed.
            why: Why that is so, or is so no more.
            now_ns: The time.
            by: What suppresses it; each such reason for itself, and the alarm comes back when the last is over.
            until_ns: When that ends, for people; ending it is the caller's.
        """
        known = self._find(alarm)
        self._inhibition.hold(alarm, by, until_ns, begins=active)
        events: list[AlarmEvent] = []
        last = self._state(known)
        if not active:
            if last.state is AlarmState.SUPPRESSED and last.suppressed_by == by:
                self._let_go(events, known, Cause(now_ns, _lines(why)))
        elif last.state is not AlarmState.SUPPRESSED or not self._inhibition.is_designed(alarm, last.suppressed_by):
            cause = Cause(now_ns, _lines(why), until_ns=until_ns, suppressed_by=by)
            self._apply(events, known, Trigger.SUPPRESS, seen_before(last), cause)
        return events

    def decide(self, batch: Batch) -> list[AlarmEvent]:
        """Let the site's own logic see readings, before they are judged: what it puts aside must not sound."""
        events: list[AlarmEvent] = []
        for turn in self._inhibition.logic.read(batch):
            self._turn(events, turn)
        return events

    @property
    def decides(self) -> bool:
        """Whether any channel decides what is suppressed."""
        return len(self._inhibition.logic.rows) > 0

    def reconsider(self, now_ns: int) -> list[AlarmEvent]:
        """Let the site's own logic see how the alarms stand that decide, after a start or a change of the site."""
        events: list[AlarmEvent] = []
        for alarm in self._inhibition.logic.deciders():
            last = self._last.get(alarm) or AlarmEvent(seq=0, time_ns=now_ns, kind=EventKind.CLEARED, alarm=alarm)
            for turn in self._inhibition.logic.heard(msgspec.structs.replace(last, time_ns=now_ns)):
                self._turn(events, turn)
        return events

    @property
    def unsettled(self) -> bool:
        """Whether alarms wait for `settle`; usually not."""
        return bool(self._inhibition.loose)

    def settle(self, batch: Batch) -> list[AlarmEvent]:
        """Let go of what a cause held down that is over, for channels that have been judged since.

        A rule with an off-delay says that its fault is over only some time after the first sound reading: so long it
        is left alone.

        Args:
            batch: Readings that have just been judged; no channel occurs twice.
        """
        bad = dict(zip(batch.row.tolist(), (batch.quality >= BAD_FROM).tolist(), strict=True))
        time_ns = int(batch.time_ns[-1])
        events: list[AlarmEvent] = []
        for alarm, since_ns in sorted(self._inhibition.loose.items()):
            known = self._sources[alarm]
            judges = self._rules[known.index].judges if known.index >= 0 else ()
            read = [bad[channel.row] for channel in judges if channel.row in bad]
            if (judges and not read) or self._inhibition.still(alarm, known.blank.instrument):
                continue
            if read and not any(read) and time_ns - (since_ns or time_ns) < self._off_delay_ns(known):
                self._inhibition.loose[alarm] = since_ns or time_ns
                continue
            self._let_go(events, known, Cause(time_ns, causes.ends(self._last[alarm].suppressed_by)))
        return events

    def _off_delay_ns(self, alarm: Source) -> int:
        return round(getattr(self._rules[alarm.index].options, "off_delay_s", 0.0) * NS_PER_S)

    def command(self, command: Command, now_ns: int) -> list[AlarmEvent]:
        """Carry out a person's or a platform's order.

        Acknowledging what is acknowledged already does nothing and is no error: two people press at the same time,
        and platforms repeat. Silencing where everything has been silenced does nothing either; what was only
        acknowledged has not, for a sounder on site goes on through an acknowledgement.

        Raises:
            CommandRefusedError: The alarm's state or the giver's role does not allow it.
            IncompleteOrderError: Who, why or duration is missing, or the duration too long.
            OutdatedOrderError: The alarm was raised again or has risen since the giver saw it.
            UnknownAlarmError: There is no such alarm.
        """
        who, why = one_line(command.who), one_line(command.why)
        if not who:
            raise IncompleteOrderError(f"{command.verb} needs the name of who gives it")
        if command.verb is Verb.SILENCE:
            return self._silence(who, orders.told(Verb.SILENCE, who, why), now_ns)
        if command.verb not in orders.TRIGGERS:
            raise CommandRefusedError(f"{command.verb} is no order about an alarm")
        alarm = self._find(command.alarm)
        last = self._state(alarm)
        orders.check(command, why, alarm, last, self.policy)
        events: list[AlarmEvent] = []
        trigger = orders.TRIGGERS[command.verb]
        self._apply(events, alarm, trigger, seen_before(last), orders.cause(command, who, why, now_ns))
        return events

    def advance(self, now_ns: int) -> list[AlarmEvent]:
        """End the shelvings and suppressions that are due.

        A shelving that would run for longer than is allowed at all ends too: the clock was set back, and nobody may
        keep an alarm quiet for a year by a wrong date.
        """
        events: list[AlarmEvent] = []
        # First: what is put aside by the site's logic must not sound because its shelving ends at the same moment.
        for turn in self._inhibition.logic.advance(now_ns):
            self._turn(events, turn)
        longest_ns = round(min(SHELVE_MAX_S, self.policy.engineer_s) * NS_PER_S)
        due = [(t, a) for a, t in self._listing.until.items() if t <= now_ns or t - now_ns > longest_ns]
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
        return self._listing.alarms()

    def alarm(self, alarm: str) -> Alarm | None:
        """Return one alarm, also a normal one; None where it has never had an event."""
        last = self._last.get(alarm)
        return None if last is None else self._listing.shown(last)

    def audible(self) -> bool:
        """Whether something sounds now: an unacknowledged alarm that nobody has silenced."""
        return self._listing.audible()

    @property
    def silenced(self) -> int:
        """Number of the last `SILENCED` event, 0 where there was none."""
        return self._silenced

    def out_of_service(self) -> list[AlarmEvent]:
        """Return the last event of every alarm that is out of service, in the order of their ids."""
        return [self._last[alarm] for alarm in sorted(self._listing.out)]

    def standing(self, prefix: str) -> list[str]:
        """Return the ids, with a prefix, of system alarms whose condition is there, in their order."""
        return sorted(alarm for alarm in self._listing.ailing if alarm.startswith(prefix))

    def alarms_of(self, *, instrument: str = "", area: str = "") -> list[str]:
        """Return the ids of the alarms of an instrument or an area, in the order of the site file.

        What judges channels of several instruments together is no one instrument's, and stays in service with the
        others.
        """
        if area:
            return [rule.id for rule in self._rules if rule.area == area]
        return [rule.id for rule in self._rules if {channel.instrument for channel in rule.judges} == {instrument}]

    def running_suppressions(self) -> list[tuple[Suppression, int]]:
        """Return the suppressions that hold now, each with when it ends by itself, 0 where it does not."""
        return self._inhibition.logic.running()

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
        holder = None if trigger in _NOT_HELD_DOWN else self._inhibition.holder(alarm, last.level, seen)
        found = outcome(last.state, trigger, active=active, held=is_held(alarm, last), inhibited=holder is not None)
        if isinstance(found, Refused):
            raise CommandRefusedError(f"{alarm.id} is {last.state.replace('_', ' ')}: {found.reason}")
        if isinstance(found, Ignored):
            return
        if holder is not None and found.state is AlarmState.SUPPRESSED and last.state is not AlarmState.SUPPRESSED:
            cause = cause._replace(suppressed_by=holder.by, until_ns=holder.until_ns)
        event = next_event(alarm, last, found, seen, cause, seq=self.next_seq)
        was, now = is_member(last.state, last.level), is_member(event.state, event.level)
        first, follows = self._areas.move(alarm.area, event, followed=last.follows, was=was, now=now)
        if first or follows:
            event = msgspec.structs.replace(event, first=first, follows=follows)
        self.next_seq += 1
        self._keep(alarm, event)
        events.append(event)
        self._follow(events, alarm, event)

    def _follow(self, events: list[AlarmEvent], alarm: Source, event: AlarmEvent) -> None:
        """Do what an alarm's event means for other alarms, and for what held this one down."""
        for other in self._inhibition.take(event):
            self._hold_down(events, self._sources[other], event.alarm, event.time_ns)
        if self._inhibition.is_over(event):
            self._let_go(events, alarm, Cause(event.time_ns, causes.ends(event.suppressed_by)))
        for turn in self._inhibition.logic.heard(event):
            self._turn(events, turn)

    def _hold_down(self, events: list[AlarmEvent], alarm: Source, cause: str, time_ns: int) -> None:
        """Put a consequence aside whose cause is told now."""
        last = self._last[alarm.id]
        holder = self._inhibition.holder(alarm, last.level, seen_before(last))
        held = last.state is AlarmState.SUPPRESSED and last.suppressed_by == cause
        if held or holder is None or holder.by != cause:
            return  # the site's own logic holds it down, or it is too urgent for this cause to stand for it
        why = Cause(time_ns, causes.begins(cause), suppressed_by=cause)
        self._apply(events, alarm, Trigger.SUPPRESS, seen_before(last), why)

    def _let_go(self, events: list[AlarmEvent], alarm: Source, why: Cause) -> None:
        """End a suppression, unless something else holds the alarm down: that takes over."""
        last = self._last[alarm.id]
        seen = seen_before(last)
        holder = self._inhibition.holder(alarm, last.level, seen)
        if holder is None:
            self._apply(events, alarm, Trigger.UNSUPPRESS, seen, why)
            return
        after = why._replace(suppressed_by=holder.by, until_ns=holder.until_ns)
        self._apply(events, alarm, Trigger.SUPPRESS, seen, after)

    def _turn(self, events: list[AlarmEvent], turn: Turn) -> None:
        """Carry out that a suppression of the site's own logic begins or ends."""
        suppression = turn.suppression
        # A trial of the site's rules has only those that it reaches.
        for alarm in filter(self._sources.__contains__, suppression.alarms):
            events += self.suppress(
                alarm, turn.begins, turn.why, turn.time_ns, by=suppression.id, until_ns=turn.until_ns
            )

    def _state(self, alarm: Source) -> AlarmEvent:
        return self._last.get(alarm.id, alarm.blank)

    def _keep(self, alarm: Source, event: AlarmEvent) -> None:
        """Make an event its alarm's last one, with all that follows from it."""
        self._last[alarm.id] = event
        self._listing.keep(event, self._silenced)
        if alarm.index >= 0:
            self.condition[alarm.index] = BY_NAME[event.condition]
            waits = event.state is AlarmState.NORMAL and event.condition != "normal"
            if waits != (alarm.index in self.rechecks):
                self.rechecks ^= {alarm.index}

    def _rebuild(self) -> None:
        self.condition[:] = Level.NORMAL
        self.rechecks = frozenset()
        self._listing.clear()
        for alarm, event in self._last.items():
            self._keep(self._sources[alarm], event)
        by_number = sorted(self._last.values(), key=lambda e: e.seq)
        self._areas.restore((self._sources[event.alarm].area, event) for event in by_number)
        self._inhibition.restore(by_number)

    def _silence(self, who: str, why: Reason, now_ns: int) -> list[AlarmEvent]:
        told = (max(sounds_of(event).values(), default=0) for event in self._listing.open())
        if not any(seq > self._silenced for seq in told):
            return []
        event = self._site_event(EventKind.SILENCED, who, why, now_ns)
        self._silenced = event.seq
        self._listing.silence()
        return [event]

    def _site_event(self, kind: EventKind, who: str, why: Reason, now_ns: int) -> AlarmEvent:
        event = AlarmEvent(seq=self.next_seq, time_ns=now_ns, kind=kind, who=who, why=why.en, why_zh=why.zh)
        self.next_seq += 1
        return event

    def _find(self, alarm: str) -> Source:
        if alarm not in self._sources:
            raise UnknownAlarmError(f"there is no alarm named {alarm[:200]!r}")
        return self._sources[alarm]


def _lines(why: str | Reason) -> Reason:
    return Reason(one_line(why), "") if isinstance(why, str) else Reason(one_line(why.en), one_line(why.zh))
