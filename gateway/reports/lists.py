"""The lists of a report as tables, said in a language."""

from collections.abc import Iterable, Iterator, Sequence

from gateway.alarms.words import about
from gateway.core.alarm import Alarm, AlarmEvent, Case
from gateway.core.clock import NS_PER_S, parse_rfc3339
from gateway.core.units import quantity
from gateway.reports.blocks import Block, Cell, Column, Heading, Item, Table, Tone
from gateway.reports.language import Say, figure
from gateway.reports.model import Aside, Report

ROWS_MAX = 300
"""Rows of a table that are drawn; how many more there are is said below it."""


def item(text: str, small: str = "") -> Item:
    """Return one line of a list."""
    return Item(text, small)


def _table(
    say: Say, columns: Iterable[Column], rows: Sequence[tuple[Cell, ...]], empty: str, left_out: int = 0
) -> Table:
    more = max(0, len(rows) - ROWS_MAX) + left_out
    return Table(tuple(columns), tuple(rows[:ROWS_MAX]), say(empty), say("more", more) if more else "")


def open_alarms(report: Report, say: Say) -> Iterator[Block]:
    """Yield the alarms that are not normal and not put aside."""
    yield Heading(say("open"), len(report.open) + report.left_out)
    columns = (
        Column(say("level"), 13),
        Column(say("where"), 25),
        Column(say("what"), 28),
        Column(say("since"), 15),
        Column(say("state"), 19),
    )
    rows = [
        (
            level(alarm.event, say),
            where(alarm.event, report, say),
            what(alarm.event, say),
            Cell(say.short(alarm.event.raised_ns)),
            state(alarm, say),
        )
        for alarm in report.open
    ]
    yield _table(say, columns, rows, "open_none", report.left_out)


def level(event: AlarmEvent, say: Say) -> Cell:
    """Return an alarm's priority mark and its level."""
    marks = [say(name) for name, on in (("first", event.first), ("under_test", event.test)) if on]
    return Cell(say.known(event.level), event.priority, small=" · ".join(marks))


def where(event: AlarmEvent, report: Report, say: Say) -> Cell:
    """Return where an alarm is: the area and the instrument by their names, and the alarm's id."""
    area = report.place.area(event.area, say.lang)
    place = report.place.label(event.instrument, say.lang) if event.instrument else ""
    names = " · ".join(filter(None, (area, place))) or say("system")
    return Cell(names, small=event.alarm)


def what(event: AlarmEvent, say: Say) -> Cell:
    """Return what is measured and against which limit, or what is said of the alarm."""
    if event.value is None:
        return Cell(say.of(*about(event)))
    measured = quantity(event.quantity).label_zh if say.lang == "zh" and event.quantity else ""
    name = measured or event.quantity.upper()
    value = f"{name} {event.value:.4g} {event.unit}".strip()
    return Cell(value, small=say("limit", f"{event.limit:.4g}") if event.limit is not None else "")


def state(alarm: Alarm, say: Say) -> Cell:
    """Return how an alarm stands, and who acknowledged it."""
    event = alarm.event
    tone: Tone = "" if event.acked_by else "bad"
    return Cell(
        say.known(event.state.value), tone=tone, small=say("acked_by", event.acked_by) if event.acked_by else ""
    )


def out_of_service(report: Report, say: Say) -> Iterator[Block]:
    """Yield what is out of service, with its permit and until when that runs."""
    yield Heading(say("out_of_service"), len(report.out_of_service))
    columns = (Column(say("where"), 27), Column(say("permit"), 27), Column(say("who"), 14), Column(say("since"), 16),
               Column(say("until"), 16))  # fmt: skip
    rows = [
        (
            where(alarm.event, report, say),
            Cell(alarm.event.permit or alarm.event.aside_why),
            Cell(alarm.event.aside_by),
            Cell(say.short(alarm.event.time_ns)),
            _until(alarm.event, report, say),
        )
        for alarm in report.out_of_service
    ]
    yield _table(say, columns, rows, "out_of_service_none")


def _until(event: AlarmEvent, report: Report, say: Say) -> Cell:
    left_s = (event.until_ns - report.made_ns) / NS_PER_S
    if not event.until_ns:
        return Cell("–")
    small = say.length(left_s) if left_s > 0 else say("over")
    return Cell(say.short(event.until_ns), tone="" if left_s > 0 else "bad", small=small)


def shelved(report: Report, say: Say) -> Iterator[Block]:
    """Yield what is shelved, by whom, why, and for how long still."""
    yield Heading(say("shelved"), len(report.shelved))
    columns = (Column(say("level"), 13), Column(say("where"), 25), Column(say("why"), 30), Column(say("who"), 14),
               Column(say("until"), 18))  # fmt: skip
    rows = [
        (
            level(alarm.event, say),
            where(alarm.event, report, say),
            Cell(alarm.event.aside_why or say.of(alarm.event.why, alarm.event.why_zh)),
            Cell(alarm.event.aside_by or alarm.event.who),
            _until(alarm.event, report, say),
        )
        for alarm in report.shelved
    ]
    yield _table(say, columns, rows, "shelved_none")


def suppressed(report: Report, say: Say) -> Iterator[Block]:
    """Yield what the site's logic puts aside, and by which of its rules."""
    yield Heading(say("suppressed"), len(report.suppressed))
    columns = (Column(say("where"), 36), Column(say("by"), 24), Column(say("why"), 24), Column(say("since"), 16))
    rows = [
        (
            where(alarm.event, report, say),
            Cell(alarm.event.suppressed_by),
            Cell(say.of(alarm.event.why, alarm.event.why_zh)),
            Cell(say.short(alarm.event.time_ns)),
        )
        for alarm in report.suppressed
    ]
    yield _table(say, columns, rows, "suppressed_none")


def cases(report: Report, say: Say) -> Iterator[Block]:
    """Yield the responses to alarms: who went, when they were there, how it ended."""
    suffix = "" if report.kind == "handover" else "_period"
    yield Heading(say(f"cases{suffix}"), len(report.cases))
    columns = (Column(say("case"), 32), Column(say("opened"), 16), Column(say("received"), 16),
               Column(say("responder"), 18), Column(say("outcome"), 18))  # fmt: skip
    rows = [
        (
            Cell(say.of(case.title, case.title_zh) or case.id, case.priority, small=case.id),
            Cell(say.short(case.opened_ns)),
            Cell(case.received_by or "–", small=say.short(case.received_ns)),
            Cell(
                " ".join(filter(None, (case.assignee, case.phone))) or "–",
                small=f"{say('arrived')} {say.short(case.arrived_ns)}" if case.arrived_ns else "",
            ),
            _outcome(case, say),
        )
        for case in report.cases
    ]
    yield _table(say, columns, rows, f"cases{suffix}_none")


def _outcome(case: Case, say: Say) -> Cell:
    if case.closed_ns:
        return Cell(say.known(case.outcome), small=say("closed_by", case.closed_by))
    if case.overdue:
        steps = ", ".join(say.known(f"{step}_step") for step in case.overdue)
        return Cell(say("open_one"), tone="bad", small=say("overdue_steps", steps))
    return Cell(say("open_one"))


def calibrations(report: Report, say: Say) -> Iterator[Block]:
    """Yield the tests of instruments that are due or overdue."""
    title = "calibrations" if report.kind == "handover" else "calibrations_now"
    yield Heading(say(title), len(report.calibrations))
    columns = (Column(say("instrument"), 40), Column(say("duty"), 20), Column(say("due"), 20), Column(say("state"), 20))
    rows = [
        (
            Cell(
                " · ".join(
                    filter(None, (report.place.area(d.area, say.lang), report.place.label(d.instrument, say.lang)))
                ),
                small=d.instrument,
            ),
            Cell(say("bump_one" if d.kind == "bump" else "calibration_one")),
            Cell(say.moment(d.due_ns)[:10] or "–"),
            Cell(say.known(f"{d.state}_state"), tone="warn" if d.state == "due" else "bad"),
        )
        for d in report.calibrations
    ]
    yield _table(say, columns, rows, "calibrations_none")


def top(report: Report, say: Say) -> Iterator[Block]:
    """Yield the alarms that were raised most."""
    yield Heading(say("top"))
    columns = (Column(say("alarm"), 50), Column(say("where"), 26), Column(say("count"), 12, figures=True),
               Column(say("share"), 12, figures=True))  # fmt: skip
    rows = [
        (
            Cell(one.alarm),
            Cell(report.place.area(one.area, say.lang)),
            Cell(figure(one.count)),
            Cell(f"{figure(one.share_percent)} %"),
        )
        for one in report.figures.top
    ]
    yield _table(say, columns, rows, "top_none")


def chattering(report: Report, say: Say) -> Iterator[Block]:
    """Yield the alarms that come and go faster than anybody can act on them."""
    yield Heading(say("chattering"))
    columns = (Column(say("alarm"), 50), Column(say("kind"), 20), Column(say("count"), 14, figures=True),
               Column(say("per_minute"), 16, figures=True))  # fmt: skip
    rows = [
        (Cell(one.alarm), Cell(say("chattering_one")), Cell(figure(one.count)), Cell(figure(one.max_per_min)))
        for one in report.figures.chattering
    ]
    rows += [
        (Cell(one.alarm), Cell(say("fleeting_one")), Cell(figure(one.count)), Cell("–"))
        for one in report.figures.fleeting
    ]
    yield _table(say, columns, rows, "chattering_none")


def stale(report: Report, say: Say) -> Iterator[Block]:
    """Yield the alarms that have stood for more than a day."""
    yield Heading(say("stale"), len(report.figures.stale))
    columns = (Column(say("alarm"), 60), Column(say("since"), 22), Column(say("length"), 18, figures=True))
    rows: list[tuple[Cell, ...]] = []
    for one in report.figures.stale:
        since_ns = parse_rfc3339(one.since)
        length = say.length(max(0, min(report.made_ns, report.period.end_ns) - since_ns) / NS_PER_S)
        rows.append((Cell(one.alarm), Cell(say.moment(since_ns)), Cell(length)))
    yield _table(say, columns, rows, "stale_none")


def floods(report: Report, say: Say) -> Iterator[Block]:
    """Yield the times with more alarms than anybody can follow."""
    yield Heading(say("floods"), len(report.figures.floods))
    columns = (Column(say("begin"), 30), Column(say("end"), 30), Column(say("length"), 20, figures=True),
               Column(say("count"), 20, figures=True))  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for one in report.figures.floods:
        start_ns, end_ns = parse_rfc3339(one.start), parse_rfc3339(one.end) if one.end else 0
        length = say.length(((end_ns or report.made_ns) - start_ns) / NS_PER_S)
        end = Cell(say.moment(end_ns)) if end_ns else Cell(say("now"), tone="bad")
        rows.append((Cell(say.moment(start_ns)), end, Cell(length), Cell(figure(one.count))))
    yield _table(say, columns, rows, "floods_none")


def aside(report: Report, say: Say) -> Iterator[Block]:
    """Yield how long alarms were shelved, suppressed or out of service."""
    yield Heading(say("aside"))
    columns = (Column(say("alarm"), 48), Column(say("kind"), 24), Column(say("times"), 12, figures=True),
               Column(say("total"), 16, figures=True))  # fmt: skip
    kinds = ("shelved", "suppressed", "out_of_service")
    rows = [row for kind in kinds for row in _aside(getattr(report.figures, kind), say(kind), say)]
    yield _table(say, columns, rows, "aside_none")


def _aside(found: Iterable[Aside], kind: str, say: Say) -> Iterator[tuple[Cell, ...]]:
    for one in found:
        yield Cell(one.alarm), Cell(kind), Cell(figure(one.times)), Cell(say.length(one.total_s))


def handovers(report: Report, say: Say) -> Iterator[Block]:
    """Yield who signed over which shift, and who accepted."""
    yield Heading(say("handovers"), len(report.handovers))
    columns = (Column(say("shift"), 36), Column(say("signed_by"), 32), Column(say("accepted_by"), 32))
    rows = [
        (
            Cell(one.period.name.said(say.lang) or "–", small=say.span(one.period.start_ns, one.period.end_ns)),
            Cell(one.signed.by, small=say.moment(one.signed.at_ns)),
            Cell(one.accepted.by, small=say.moment(one.accepted.at_ns))
            if one.accepted
            else Cell(say("notaccepted"), tone="bad"),
        )
        for one in report.handovers
    ]
    yield _table(say, columns, rows, "handovers_none")
