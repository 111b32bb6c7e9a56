"""From a batch to alarm events: one synchronous, deterministic function without clock, socket or `await`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from gateway.alarms.book import AlarmBook
from gateway.alarms.level import SEVERITIES
from gateway.core.alarm import AlarmEvent, Command, EventKind, Verb
from gateway.core.errors import CommandRefusedError, UnknownAlarmError
from gateway.core.model import (
    BAD_FROM,
    NO_VERDICTS,
    Batch,
    Channel,
    Float64,
    Int32,
    Int64,
    Level,
    Priority,
    Quality,
    Reason,
    Rule,
    UInt8,
    Verdicts,
)
from gateway.core.status import RuleStatus
from gateway.flow.bench import Bench, Part, State, match, take_over
from gateway.flow.budget import Budgets, Finding
from gateway.flow.learning import Learners

log = structlog.get_logger()

PRINTS = "prints"
BUDGET_ALARM = "system/budget/"
"""How the id of the alarm of a rule that is raised too often begins; its end is the rule's id."""
RULE_ALARM = "system/rule/"
"""How the id of the alarm of a rule that has failed begins; its end is the rule's id."""


@dataclass(frozen=True, slots=True)
class Moves:
    """What of a site is still there after its file has changed; made from two pipelines before one succeeds the other.

    Attributes:
        there: intp[n], rows before of the channels that still measure the same.
        here: intp[n], their rows now.
        parts: For each bench now, where its rules stood.
        kept: Rules that are what they were, by id.
    """

    there: NDArray[np.intp]
    here: NDArray[np.intp]
    parts: tuple[tuple[Part, ...], ...]
    kept: frozenset[str]

    @classmethod
    def between(cls, before: "Pipeline", after: "Pipeline") -> "Moves":
        """Compare what does not change while a pipeline runs; may take long, and may be called in a thread."""
        rows = {_meaning(channel): channel.row for channel in before.channels}
        pairs = [(rows[key], c.row) for c in after.channels if (key := _meaning(c)) in rows]
        there, here = np.array(pairs, np.intp).reshape(-1, 2).T
        prints = {bench.name: bench.prints for bench in before.benches}
        parts = tuple(tuple(match(prints, bench)) for bench in after.benches)
        places = [(bench, k) for bench, found in zip(after.benches, parts, strict=True) for p in found for k in p.here]
        return cls(there, here, parts, frozenset(bench.rules[k].id for bench, k in places))


def _meaning(channel: Channel) -> tuple[str, str, str]:
    """Return what must stay the same for a reading to keep its meaning."""
    return channel.id, channel.quantity, channel.unit


class Latest:
    """The newest reading of every channel, in row order; a channel never read is BAD with time 0.

    Attributes:
        time_ns: int64[channels].
        value: float64[channels].
        quality: uint8[channels].
        count: int64[channels], readings so far.
        bad: int64[channels], how many of them were BAD.
        left: Readings of channels that have left the site since the start.
        left_bad: How many of them were BAD.
    """

    __slots__ = ("bad", "count", "left", "left_bad", "quality", "time_ns", "value")

    def __init__(self, channels: int) -> None:
        self.left = self.left_bad = 0
        self.count: Int64 = np.zeros(channels, np.int64)
        self.bad: Int64 = np.zeros(channels, np.int64)
        self.time_ns: Int64 = np.zeros(channels, np.int64)
        self.value: Float64 = np.full(channels, np.nan)
        self.quality: UInt8 = np.full(channels, Quality.BAD, np.uint8)

    def take(self, batch: Batch) -> None:
        """Take over readings in which no channel occurs twice."""
        row = batch.row
        self.time_ns[row] = batch.time_ns
        self.value[row] = batch.value
        self.quality[row] = batch.quality
        self.count[row] += 1
        bad = batch.quality >= BAD_FROM
        if bad.any():
            self.bad[row[bad]] += 1

    def succeed(self, before: "Latest", moves: Moves) -> None:
        """Take over the newest readings of the channels that still measure the same."""
        for name in ("time_ns", "value", "quality", "count", "bad"):
            getattr(self, name)[moves.here] = getattr(before, name)[moves.there]
        self.left = before.left + int(before.count.sum() - self.count.sum())
        self.left_bad = before.left_bad + int(before.bad.sum() - self.bad.sum())


class Pipeline:
    """Judges batches and keeps the alarm book.

    Args:
        channels: The channel table.
        benches: The detectors with their rules; `arrange` makes the sets.
        book: The alarm book, already restored where there is something to restore.

    Attributes:
        benches: The benches in the order in which they judge: those that learn last.
        budgets: How often rules were raised.
        warnings: Warnings raised since the start.
        resting: Rules that learn are passed over, as judging them takes longer than readings take to come.
    """

    def __init__(self, channels: Sequence[Channel], benches: Sequence[Bench], book: AlarmBook) -> None:
        self.book = book
        self.channels = channels
        self._learners = Learners(benches, len(channels))
        learning = {id(bench) for bench in self._learners.benches}
        self._plain = tuple(bench for bench in benches if id(bench) not in learning)
        # What learns comes last: it is told before whether its channels are in alarm.
        self.benches = (*self._plain, *self._learners.benches)
        self.budgets = Budgets([rule for bench in benches for rule in bench.rules])
        self.warnings = 0
        self.resting = False
        self.latest = Latest(len(channels))
        self._rows = len(channels)
        self._seen = np.empty(len(channels), np.intp)
        self._ranks = np.arange(1024, dtype=np.intp)
        self._row_of_rule: Int32 = np.zeros(sum(len(b.rules) for b in benches), np.int32)
        self._groups: dict[int, Int32] = {}
        for bench in benches:
            for rule in bench.rules:
                self._row_of_rule[rule.index] = rule.channel.row
                if rule.group:
                    self._groups[rule.index] = _rows(rule)

    def process(self, batch: Batch) -> list[AlarmEvent]:
        """Judge a batch and return what it changed.

        The readings are judged in their order; where a channel occurs more than once, one round after the other.
        BACKFILLED readings tell of the past: they are not judged, and are never a channel's newest.
        BAD readings count as readings. A detector's failure takes the one rule out of service that caused it, and
        says so by a system alarm; all other rules go on.
        """
        batch = _live(batch)
        if not len(batch):
            return []
        events: list[AlarmEvent] = []
        for part in self._rounds(batch):
            if self.book.decides:
                events += self.book.decide(part)
            for verdicts in self._judged(part, events):
                events += self.book.judge(verdicts)
            if self.book.rechecks:
                events += self._recheck(part)
            if self.book.unsettled:
                events += self.book.settle(part)
            self.latest.take(part)
        return self._counted(events) if events else events

    def command(self, command: Command, now_ns: int) -> list[AlarmEvent]:
        """Carry out a person's or a platform's command. Raises CommandRefusedError."""
        if command.verb is Verb.RELEARN:
            return self._relearn(command, now_ns)
        return self.book.command(command, now_ns)

    def advance(self, now_ns: int) -> list[AlarmEvent]:
        """Let time pass: ends shelvings that are due, and what is told of budgets that are kept again."""
        events = self.book.advance(now_ns)
        return events + self._tell(self.budgets.look(now_ns), now_ns)

    def rules_of(self, channel: Channel) -> list[RuleStatus]:
        """Return what each rule that judges a channel of this table says of it."""
        return self._learners.states(channel)

    @property
    def learning(self) -> int:
        """Rules that have not learned enough to judge yet."""
        return self._learners.learning()

    @property
    def failed(self) -> frozenset[str]:
        """The ids of the rules that are out of service because they failed."""
        return frozenset(rule.id for rule in self._failed())

    def catch_up(self, batch: Batch) -> None:
        """Judge readings that were stored before a restart, without telling the book: `reconcile` does that."""
        for part in self._rounds(_live(batch)):
            for _ in self._judged(part, None):
                pass
            self.latest.take(part)

    def recall(self, raised: Iterable[AlarmEvent], now_ns: int) -> list[AlarmEvent]:
        """Count again, after a restart, what was raised before it, and tell whose budget is exceeded.

        Args:
            raised: Events of the journal in their order, as far back as `budgets.span_ns`.
            now_ns: The time.
        """
        self.budgets.count(raised)
        self.budgets.look(now_ns)
        return self._tell(self.budgets.exceeded(), now_ns)

    def forget(self, channel: str) -> None:
        """Relearn a channel once more, on the way through stored readings; one that has left is passed over."""
        for each in self.channels:
            if each.id == channel:
                try:
                    self._learners.relearn(each)
                except Exception:
                    # Whatever ails what learns, the limits must be watched again.
                    log.exception("channel not relearned", channel=channel)

    def reconcile(self, now_ns: int) -> list[AlarmEvent]:
        """Bring detectors and book together after a restart, to the side of danger.

        A detector that says more than the book is believed and becomes an event. A book that says more than a
        detector (its last readings were lost in a power cut) keeps its alarm, and the detector is told, so that it
        reports the return by itself. Rules that failed at the stored readings are told of now.
        """
        events: list[AlarmEvent] = []
        for rule in self._failed():
            events += self._tell_failed(rule, now_ns)
        for bench in self.benches:
            index = np.array([rule.index for rule in bench.rules], np.intp)
            told = self.book.condition[index]
            found = bench.detector.level
            worse = SEVERITIES[found] > SEVERITIES[told]
            if worse.any():
                events += self.book.judge(self._as_verdicts(index[worse], found[worse], now_ns))
            better = SEVERITIES[found] < SEVERITIES[told]
            found[better] = told[better]
        self._learners.begin_anew()
        return events + self.book.reconsider(now_ns)

    def save(self) -> State:
        """Return all detectors' states, so that delays that run go on after a restart.

        One that cannot tell its state is left out, which is logged: its rules would begin afresh, all others go on.
        """
        state: State = {}
        for bench in self.benches:
            columns = _saved(bench)
            if columns is not None:
                state[f"{bench.name}/{PRINTS}"] = bench.prints
                state.update((f"{bench.name}/{key}", value) for key, value in columns.items())
        return state

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over saved states, each by its rule; a rule that was not there, or was another one, starts afresh."""
        saved: dict[str, dict[str, NDArray[np.generic]]] = {}
        for key, column in state.items():
            name, _, column_name = key.partition("/")
            saved.setdefault(name, {})[column_name] = column
        prints = {name: columns.pop(PRINTS).astype(np.uint8) for name, columns in saved.items() if PRINTS in columns}
        for bench in self.benches:
            take_over(bench, match(prints, bench), saved.__getitem__)
        self._learners.begin_anew()

    def succeed(self, before: "Pipeline", moves: "Moves") -> None:
        """Go on in place of the pipeline of the site as it was; touches no disk and costs little.

        Args:
            before: That pipeline; it judges nothing any more.
            moves: What has gone where.
        """
        states = {bench.name: columns for bench in before.benches if (columns := _saved(bench)) is not None}
        for bench, parts in zip(self.benches, moves.parts, strict=True):
            take_over(bench, parts, states.__getitem__)
        self.latest.succeed(before.latest, moves)
        self.budgets.succeed(before.budgets, moves.kept)
        self.warnings, self.resting = before.warnings, before.resting
        self._learners.begin_anew()
        for bench in before.benches:
            if bench.quarantined is not None:
                self._stay_in_quarantine({r.id for r in bench.rules if bench.quarantined[r.channel.row]} & moves.kept)

    def _stay_in_quarantine(self, rules: set[str]) -> None:
        for bench in self.benches:
            for rule in bench.rules:
                if rule.id in rules:
                    self._set_aside(bench, _rows(rule))

    def _rounds(self, batch: Batch) -> Iterator[Batch]:
        """Yield parts in which no channel occurs twice, each channel's readings in their order."""
        rows = batch.row
        n = len(rows)
        if n > len(self._ranks):
            self._ranks = np.arange(2 * n, dtype=np.intp)
        ranks = self._ranks[:n]
        self._seen[rows] = ranks
        if (self._seen[rows] == ranks).all():
            yield batch
            return
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        nth = np.empty(n, np.intp)
        nth[order] = np.arange(n) - np.repeat(starts, np.diff(np.r_[starts, n]))
        for k in range(int(nth.max()) + 1):
            yield batch.take(np.flatnonzero(nth == k))

    def _judged(self, batch: Batch, events: list[AlarmEvent] | None) -> Iterator[Verdicts]:
        """Yield what the detectors say; those that learn are told before whose alarms they must not learn from.

        What follows from a detector's failure is added to the events; with None nobody is told yet.
        """
        for bench in self._plain:
            yield from self._said(bench, batch, events)
        if self._learners.benches and not self.resting:
            for bench in self._learners.hold():
                for rule in bench.rules:
                    self._quarantine(bench, rule.channel.row, int(batch.time_ns[-1]), events)
            for bench in self._learners.benches:
                yield from self._said(bench, batch, events)

    def _said(self, bench: Bench, batch: Batch, events: list[AlarmEvent] | None) -> Iterator[Verdicts]:
        verdicts = self._judge(bench, batch, events)
        if len(verdicts):
            self._learners.moved = True
            yield verdicts

    def _relearn(self, command: Command, now_ns: int) -> list[AlarmEvent]:
        if not command.who.strip() or not command.why.strip():
            raise CommandRefusedError(f"{command.verb} of {command.channel} needs a name and a reason")
        channel = next((each for each in self.channels if each.id == command.channel), None)
        if channel is None:
            raise UnknownAlarmError(f"there is no channel named {command.channel[:200]!r}")
        if not self._learners.relearn(channel):
            raise CommandRefusedError(f"no rule learns what is normal of {channel.id}; there is nothing to relearn")
        return self.book.relearnt(channel, command.who, command.why, now_ns)

    def _counted(self, events: list[AlarmEvent]) -> list[AlarmEvent]:
        """Return the events with what follows from how often rules were raised."""
        self.warnings += sum(event.kind is EventKind.RAISED and event.level == "warning" for event in events)
        return events + self._tell(self.budgets.count(events), events[-1].time_ns) if self.budgets else events

    def _tell(self, findings: Iterable[Finding], now_ns: int) -> list[AlarmEvent]:
        events: list[AlarmEvent] = []
        for rule, active, why in findings:
            events += self.book.system(
                BUDGET_ALARM + rule.id,
                active=active,
                why=why,
                now_ns=now_ns,
                priority=Priority.BLUE,
                area=rule.area,
                level=Level.WARNING,
            )
        return events

    def _judge(self, bench: Bench, batch: Batch, events: list[AlarmEvent] | None) -> Verdicts:
        if bench.quarantined is not None:
            batch = batch.take(~bench.quarantined[batch.row])
            if not len(batch):
                return NO_VERDICTS
        try:
            return bench.detector.update(batch)
        except Exception:
            log.exception("detector failed", detector=bench.name, readings=len(batch))
            return self._isolate(bench, batch, events)

    def _isolate(self, bench: Bench, batch: Batch, events: list[AlarmEvent] | None) -> Verdicts:
        """Judge one reading at a time; whoever fails again is quarantined, the verdicts of the others count."""
        found: list[Verdicts] = []
        for k in range(len(batch)):
            one = batch.take(slice(k, k + 1))
            if bench.quarantined is not None and bench.quarantined[one.row[0]]:
                continue
            try:
                found.append(bench.detector.update(one))
            except Exception:  # noqa: BLE001 - logged with its traceback above; the rule is taken out of service
                self._quarantine(bench, int(one.row[0]), int(one.time_ns[0]), events)
        return _joined([v for v in found if len(v)])

    def _quarantine(self, bench: Bench, row: int, time_ns: int, events: list[AlarmEvent] | None) -> None:
        """Take the rules out of service that judge a channel here, with all their channels.

        A channel that no rule judges here is only compared with; then those that look at it go.
        """
        judging = [rule for rule in bench.rules if any(channel.row == row for channel in rule.judges)]
        failed = judging or [rule for rule in bench.rules if any(channel.row == row for channel in rule.channels)]
        self._set_aside(bench, np.array([row], np.int32))
        for rule in failed:
            self._set_aside(bench, _rows(rule))
            if events is not None:
                events += self._tell_failed(rule, time_ns)

    def _tell_failed(self, rule: Rule, now_ns: int) -> list[AlarmEvent]:
        return self.book.system(RULE_ALARM + rule.id, active=True, why=_failed(rule), now_ns=now_ns, area=rule.area)

    def _failed(self) -> Iterator[Rule]:
        for bench in self.benches:
            if bench.quarantined is not None:
                yield from (rule for rule in bench.rules if bench.quarantined[rule.channel.row])

    def _set_aside(self, bench: Bench, rows: Int32) -> None:
        if bench.quarantined is None:
            bench.quarantined = np.zeros(self._rows, bool)
        bench.quarantined[rows] = True

    def _recheck(self, batch: Batch) -> list[AlarmEvent]:
        waiting = np.fromiter(self.book.rechecks, np.intp)
        waiting.sort()
        seen = np.isin(self._row_of_rule[waiting], batch.row)
        for k, rule in enumerate(waiting.tolist()):
            if rule in self._groups:
                seen[k] = np.isin(self._groups[rule], batch.row).any()
        return self.book.recheck(waiting[seen].tolist(), int(batch.time_ns[-1])) if seen.any() else []

    def _as_verdicts(self, index: NDArray[np.intp], level: NDArray[np.int8], now_ns: int) -> Verdicts:
        rows = self._row_of_rule[index]
        times = self.latest.time_ns[rows]
        several = np.array([rule in self._groups for rule in index.tolist()], np.bool_)
        return Verdicts(
            rule=index.astype(np.int32),
            level=level.astype(np.int8),
            score=np.full(len(index), np.nan, np.float32),
            time_ns=np.where(times > 0, times, now_ns),
            # What a group judges is no reading of its first channel.
            value=np.where(several, np.nan, self.latest.value[rows]),
            limit=np.full(len(index), np.nan),
            quality=np.where(times > 0, self.latest.quality[rows], np.uint8(Quality.GOOD)),
        )


def _saved(bench: Bench) -> State | None:
    try:
        return bench.detector.save()
    except Exception:
        # The gateway must not end because one detector cannot be kept.
        log.exception("detector cannot be saved", detector=bench.name)
        return None


def _failed(rule: Rule) -> Reason:
    several = len(rule.judges)
    en, zh = (rule.channel.id, rule.channel.id) if several == 1 else (f"its {several} channels", f"其 {several} 个测点")
    return Reason(f"rule {rule.id} failed and judges {en} no more", f"规则 {rule.id} 出错，不再判断{zh}")


def _rows(rule: Rule) -> Int32:
    """Return the rows of the channels that a rule judges."""
    return np.array([channel.row for channel in rule.judges], np.int32)


def _live(batch: Batch) -> Batch:
    """Leave out what an instrument told later from its own memory."""
    late = batch.quality == Quality.BACKFILLED
    return batch.take(~late) if late.any() else batch


def _joined(parts: Sequence[Verdicts]) -> Verdicts:
    if not parts:
        return NO_VERDICTS

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    return Verdicts(
        rule=column("rule"),
        level=column("level"),
        score=column("score"),
        time_ns=column("time_ns"),
        value=column("value"),
        limit=column("limit"),
        quality=column("quality"),
        # A detector gives a reason for each of its verdicts or for none.
        reason=tuple(reason for part in parts for reason in part.reason),
    )
