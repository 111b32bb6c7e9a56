"""Puts a report together from the journal and from what is so at this moment; blocks, so it is called in a thread."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from gateway.alarms.book import AlarmBook
from gateway.core.alarm import Alarm, AlarmEvent, AlarmState, Case, EventKind
from gateway.core.clock import parse_rfc3339
from gateway.reports.figures import figures_of
from gateway.reports.model import Count, Duty, Figures, Handed, Kind, Note, Report, Signature
from gateway.reports.periods import Period, days_of
from gateway.reports.place import Named, Place
from gateway.store.search import Past, Query

LISTED_MAX: Final = 2_000
"""Alarms and cases that a report lists of each kind; how many there are beyond it is said."""
NOTES_MAX: Final = 200
CASES_SEARCHED: Final = 20_000
ASIDE: Final = (AlarmState.SHELVED, AlarmState.OUT_OF_SERVICE, AlarmState.SUPPRESSED)


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """What is so at a moment, beside what the journal tells.

    Attributes:
        alarms: Every alarm that is not normal, most urgent first.
        cases: Cases that are open.
        calibrations: Tests of instruments that are due.
    """

    alarms: tuple[Alarm, ...] = ()
    cases: tuple[Case, ...] = ()
    calibrations: tuple[Duty, ...] = ()


def present_of(past: Past) -> Present:
    """Return how things stand at the journal's end, for a gateway that does not run."""
    return Present(alarms=tuple(alarms_of(past.latest())), cases=tuple(open_cases(past)))


def alarms_of(events: Iterable[AlarmEvent]) -> list[Alarm]:
    """Return the alarms that are not normal, most urgent first, from the last event of each."""
    book = AlarmBook([])
    book.restore(events)
    return book.alarms()


def open_cases(past: Past) -> list[Case]:
    """Return the cases that are open at the journal's end, the oldest first."""
    found = [event.case for event in past.kept(EventKind.CASE) if event.case is not None and not event.case.closed_ns]
    return sorted(found, key=lambda case: case.opened_ns)


def cases_of(past: Past, period: Period, still_open: Sequence[Case]) -> list[Case]:
    """Return the cases that something happened to in a period, each as it last was then, and those still open."""
    query = Query(kinds=(EventKind.CASE,), start_ns=period.start_ns, end_ns=period.end_ns, limit=CASES_SEARCHED)
    found: dict[str, Case] = {}
    for event in past.search(query).events:
        if event.case is not None:
            found.setdefault(event.case.id, event.case)
    for case in still_open:
        if case.opened_ns < period.end_ns:
            found.setdefault(case.id, case)
    return sorted(found.values(), key=lambda case: case.opened_ns)


def notes_after(past: Past, seq: int) -> list[Note]:
    """Return what was written down since event `seq`, the oldest first; of more than two hundred, the newest."""
    query = Query(kinds=(EventKind.HANDOVER,), limit=1_000)
    notes: list[Note] = []
    for event in past.search(query).events:
        if event.seq <= seq or len(notes) >= NOTES_MAX:
            break
        if event.handover is not None and event.handover.step == "note":
            notes.append(Note(at_ns=event.time_ns, by=event.who, text=event.why, seq=event.seq))
    return notes[::-1]


def handed(events: Iterable[AlarmEvent]) -> list[Handed]:
    """Return the handovers that events tell of, the newest first; in whatever order they come."""
    signed: dict[str, Handed] = {}
    accepted: dict[str, Signature] = {}
    for event in sorted(events, key=lambda one: one.seq):
        step = event.handover
        if step is None:
            continue
        signature = Signature(by=event.who, at_ns=event.time_ns, why=event.why)
        if step.step == "signed":
            period = Period(start_ns=step.start_ns, end_ns=step.end_ns, name=Named(step.shift, step.shift_zh))
            signed[step.id] = Handed(id=step.id, period=period, signed=signature, digest=step.digest, seq=event.seq)
        elif step.step == "accepted":
            accepted.setdefault(step.id, signature)
    listed = sorted(signed.values(), key=lambda one: one.seq, reverse=True)
    return [
        msgspec.structs.replace(one, accepted=accepted.get(one.id), superseded=k > 0 and one.id not in accepted)
        for k, one in enumerate(listed)
    ]


def handovers_in(past: Past, period: Period) -> list[Handed]:
    """Return the handovers signed in a period, the oldest first, also where they were accepted after it."""
    query = Query(kinds=(EventKind.HANDOVER,), start_ns=period.start_ns, limit=5_000, newest_first=False)
    found = handed(past.search(query).events)
    return [one for one in reversed(found) if one.signed.at_ns < period.end_ns]


def make(
    kind: Kind,
    past: Past,
    place: Place,
    period: Period,
    *,
    now_ns: int,
    present: Present,
    notes: Sequence[Note] = (),
) -> Report:
    """Return a report.

    Args:
        kind: Which.
        past: The journal.
        place: The site.
        period: What it is about; where it ended before `now_ns`, alarms are listed as they were at its end, but for
            a handover, whose incoming shift needs to know how things are.
        now_ns: The time.
        present: How things are now.
        notes: What the shift wrote down.

    Raises:
        StorageError: The journal cannot be read.
    """
    alarms = list(present.alarms)
    if kind != "handover" and period.end_ns <= now_ns:
        alarms = alarms_of(past.at(period.end_ns - 1))
    cases = list(present.cases) if kind == "handover" else cases_of(past, period, present.cases)
    head = past.links()[1]
    figures = figures_of(past, place, period.start_ns, min(period.end_ns, now_ns))
    aside = {state: tuple(a for a in alarms if a.event.state is state)[:LISTED_MAX] for state in ASIDE}
    standing = [alarm for alarm in alarms if alarm.event.state not in ASIDE]
    return Report(
        kind=kind,
        place=place,
        period=period,
        made_ns=now_ns,
        epoch=past.meta().get("epoch", ""),
        seq=head.seq,
        digest=head.digest.hex(),
        open=tuple(standing[:LISTED_MAX]),
        left_out=max(0, len(standing) - LISTED_MAX),
        shelved=aside[AlarmState.SHELVED],
        out_of_service=aside[AlarmState.OUT_OF_SERVICE],
        suppressed=aside[AlarmState.SUPPRESSED],
        cases=tuple(cases[:LISTED_MAX]),
        calibrations=present.calibrations,
        figures=figures,
        notes=tuple(notes),
        handovers=tuple(handovers_in(past, period)) if kind != "handover" else (),
        days=tuple(_days(place, period, figures, now_ns)) if kind == "monthly" else (),
    )


def _days(place: Place, period: Period, figures: Figures, now_ns: int) -> Iterable[Count]:
    """Yield the alarms raised on each day that has begun."""
    counted = [(parse_rfc3339(each.start), each.count) for each in figures.per_10_min]
    for date, start_ns, end_ns in days_of(place, period):
        if start_ns < now_ns:
            yield Count(start=date, count=sum(count for at_ns, count in counted if start_ns <= at_ns < end_ns))
