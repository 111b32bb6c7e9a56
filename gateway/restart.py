"""What a gateway finds again at its start: alarms from the journal, detectors from checkpoint and spool."""

from collections.abc import Collection, Iterable
from functools import partial

from gateway.alarms.book import AlarmBook
from gateway.alarms.causes import CONNECTION_ALARM
from gateway.alarms.permits import in_service
from gateway.checkpoint import catch_up, refill
from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.model import Reason
from gateway.disk import Disk
from gateway.flow.pipeline import BUDGET_ALARM, RULE_ALARM, Pipeline
from gateway.store.journal import Journal

EVENTS_AGAIN = 1_000
"""Events read from the journal at once for what follows from them after a start."""
RAISED_MAX = 10_000
"""Events looked at after a start for how often rules were raised; older ones count no more."""


def bring_back(disk: Disk, pipeline: Pipeline, latest: Iterable[AlarmEvent], now_ns: int) -> list[AlarmEvent]:
    """Bring back alarms and detectors and return what is due; blocking.

    Args:
        disk: The journal, the spool, the checkpoint and the history.
        pipeline: Fresh; its book has the next event's number already.
        latest: Each alarm's newest event, as `Journal.latest` returned it.
        now_ns: The present.
    """
    book = pipeline.book
    book.restore(latest)
    catch_up(disk.checkpoint, disk.spool, pipeline, partial(_relearnt, disk.journal))
    refill(disk.spool, disk.history)
    events = [*pipeline.reconcile(now_ns), *book.orphans(now_ns), *book.advance(now_ns)]
    raised = _raised_since(disk.journal, pipeline, now_ns - pipeline.budgets.span_ns)
    return [*events, *pipeline.recall([*raised, *events], now_ns)]


def standing(pipeline: Pipeline, connections: Iterable[str]) -> set[str]:
    """Return the system alarms of rules and connections that do not end by a start.

    Until it is tried again, a dead bus is dead, and its channels' faults are no forty alarms.
    """
    rules = {BUDGET_ALARM + rule for rule in pipeline.budgets.over} | {RULE_ALARM + rule for rule in pipeline.failed}
    return rules | {CONNECTION_ALARM + connection for connection in connections}


def ended(book: AlarmBook, still: Collection[str], now_ns: int) -> list[AlarmEvent]:
    """End every system alarm but those that still stand: what ails will say so again, what no longer exists cannot."""
    why = Reason("the gateway was started anew", "网关重新启动")
    over = [alarm.id for alarm in book.alarms() if alarm.id.startswith("system/") and alarm.id not in still]
    return [event for alarm in over for event in book.system(alarm, active=False, why=why, now_ns=now_ns)]


def noted(book: AlarmBook, journal: Journal, now_ns: int) -> list[AlarmEvent]:
    """Note the start, and put in order what was out of service when the gateway ended."""
    reason = f": {journal.epoch_reason}" if journal.epoch_reason else ""
    told = Reason(f"gateway started, epoch {journal.epoch}{reason}", f"网关启动，日志链 {journal.epoch}{reason}")
    return [*book.note(told, now_ns), *in_service(book, now_ns)]


def _relearnt(journal: Journal, from_: int) -> list[AlarmEvent]:
    """Return what people had learned anew from an event's number on; of more than a thousand, the newest."""
    found = journal.read(0, EVENTS_AGAIN, kind=EventKind.RELEARNT, newest_first=True)
    return [event for event in reversed(found) if event.seq >= from_]


def _raised_since(journal: Journal, pipeline: Pipeline, time_ns: int) -> list[AlarmEvent]:
    """Return what was raised since a time, as far as anything counts it; at most the newest ten thousand."""
    found: list[AlarmEvent] = []
    while pipeline.budgets and len(found) < RAISED_MAX:
        before = found[-1].seq if found else 0
        page = journal.read(before, EVENTS_AGAIN, kind=EventKind.RAISED, newest_first=True)
        found += page
        if len(page) < EVENTS_AGAIN or page[-1].time_ns < time_ns:
            break
    return found[::-1]
