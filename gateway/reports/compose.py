"""Says a report in a language: from what it holds to the blocks of its page."""

from collections.abc import Iterator

from gateway.alarms.calibration import DUTY_ALARMS
from gateway.alarms.words import one_line
from gateway.core.alarm import AlarmState
from gateway.core.clock import parse_rfc3339
from gateway.reports import lists
from gateway.reports.blocks import Bars, Block, Heading, Items, Page, Shares, Signatures, Signed, Tile, Tiles
from gateway.reports.language import Lang, Say, figure
from gateway.reports.model import Figures, Handed, Report

UNACKNOWLEDGED = frozenset({AlarmState.UNACKED, AlarmState.RETURNED, AlarmState.LATCHED_UNACKED})
FLOOD_AIM_PERCENT = 1.0
"""Of the time, a flood may last so long at most (ISA-18.2's aim)."""
TENTHS_BY_HOUR = 18 * 6
"""Longer spans are counted by the hour: bars of 10 minutes would be too thin to be read."""


def compose(report: Report, lang: Lang, standing: Handed | None = None, *, altered: bool = False) -> Page:
    """Return a report's page.

    Args:
        report: What it holds.
        lang: The language.
        standing: Of a signed handover: who signed and accepted it. None for a draft.
        altered: The kept report is not what was signed.
    """
    say = Say(lang, report.place.zone)
    title = say("handover_draft") if report.kind == "handover" and standing is None else say(report.kind)
    banner, tone = _banner(report, say, standing, altered=altered)
    blocks = [*_contents(report, say)]
    if report.kind == "handover":
        blocks += [Heading(say("signatures")), _signatures(say, standing)]
    proof = say("proof", report.seq, report.epoch, report.digest)
    if standing is not None:
        proof = f"{proof} {say('proof_report', standing.digest)}"
    site = report.place.name.said(lang) or report.place.id
    return Page(
        lang=lang,
        site=site,
        title=title,
        period=period_of(report, say),
        facts=_facts(report, say),
        banner=banner,
        banner_tone="bad" if tone == "bad" else "warn",
        blocks=tuple(blocks),
        foot=" · ".join(filter(None, (site, title, period_of(report, say)))),
        proof=proof,
    )


def period_of(report: Report, say: Say) -> str:
    """Return what a report is about: a shift, a date, a month."""
    start_ns, end_ns = report.period.start_ns, report.period.end_ns
    if report.kind == "daily":
        return say.moment(start_ns)[:10]
    if report.kind == "monthly":
        return say.moment(start_ns)[:7]
    name = report.period.name.said(say.lang) or say("last_hours")
    return f"{name} · {say.span(start_ns, end_ns)}"


def _facts(report: Report, say: Say) -> tuple[tuple[str, str], ...]:
    facts = [(say("made"), say.moment(report.made_ns)), (say("timezone"), report.place.timezone)]
    if report.kind != "handover":
        facts.insert(0, (say("period"), say.span(report.period.start_ns, report.period.end_ns)))
    return tuple(facts)


def _banner(report: Report, say: Say, standing: Handed | None, *, altered: bool) -> tuple[str, str]:
    if altered:
        return say("altered_banner"), "bad"
    if report.kind != "handover":
        over = report.period.end_ns <= report.made_ns
        return ("", "") if over else (say("partial_banner", say.minute(report.made_ns)), "warn")
    if standing is None:
        return say("draft_banner"), "warn"
    if standing.accepted is not None:
        return "", ""
    return say("superseded_banner" if standing.superseded else "waiting_banner"), "warn"


def _contents(report: Report, say: Say) -> Iterator[Block]:
    yield _tiles(report, say)
    if report.kind == "monthly":
        yield from _advice(report, say)
    if report.kind == "handover":
        yield from _notes(report, say)
        yield from _standing(report, say)
        yield from _figures(report, say)
    else:
        yield from _figures(report, say)
        yield from _standing(report, say)
        yield from lists.handovers(report, say)
    if report.kind != "monthly":
        yield from _advice(report, say)


def _tiles(report: Report, say: Say) -> Tiles:
    figures = report.figures
    unacknowledged = sum(alarm.event.state in UNACKNOWLEDGED for alarm in report.open)
    listed = len(report.open) + report.left_out
    aside = (report.out_of_service, report.shelved, report.suppressed)
    many = len(figures.floods)
    flood = say("in_flood_one") if many == 1 else say("in_flood_meaning", many)
    crowded = figures.peak_10_min > report.place.flood_begins
    overdue = sum(bool(case.overdue) and not case.closed_ns for case in report.cases)
    # Made beside the gateway, a report has no calendar of tests: their alarms say what is due then.
    told = _told_of_tests(report)
    due = max(len(report.calibrations), len(told))
    lapsed = max(sum(duty.state != "due" for duty in report.calibrations), sum(told))
    still = sum(not case.closed_ns for case in report.cases)
    return Tiles(
        (
            Tile(say("open"), figure(listed), say("standing_meaning", unacknowledged), "bad" if unacknowledged else ""),
            Tile(say("raised"), figure(figures.raised), say("per_hour", figure(figures.per_hour))),
            Tile(
                say("peak"),
                figure(figures.peak_10_min),
                say("peak_limit", report.place.flood_begins),
                "warn" if crowded else "",
            ),
            Tile(
                say("in_flood"),
                f"{figure(figures.in_flood_percent)} %",
                flood,
                "warn" if figures.in_flood_percent > FLOOD_AIM_PERCENT else "",
            ),
            _answer(figures, say),
            Tile(say("cases"), figure(still), say("cases_open_meaning", overdue), "bad" if overdue else ""),
            Tile(
                say("put_aside"),
                figure(sum(map(len, aside))),
                say("put_aside_meaning", *map(len, aside)),
                "warn" if any(aside) else "",
            ),
            Tile(
                say("calibrations_tile"),
                figure(due),
                say("cases_open_meaning", lapsed),
                "bad" if lapsed else "",
            ),
        )
    )


def _told_of_tests(report: Report) -> list[bool]:
    """Return of each open alarm about a test of an instrument whether the test is overdue."""
    return [a.event.level == "fault" for a in report.open if a.event.alarm.startswith(tuple(DUTY_ALARMS.values()))]


def _answer(figures: Figures, say: Say) -> Tile:
    answered = figures.acknowledge
    if answered.median_s is None:
        return Tile(say("answer"), "–", say("answer_none"))
    meaning = say("answer_meaning", say.length(answered.p90_s or answered.median_s))
    return Tile(say("answer"), say.length(answered.median_s), meaning)


def _standing(report: Report, say: Say) -> Iterator[Block]:
    yield from lists.open_alarms(report, say)
    yield from lists.out_of_service(report, say)
    yield from lists.shelved(report, say)
    yield from lists.suppressed(report, say)
    yield from lists.cases(report, say)
    if report.calibrations or not _told_of_tests(report):
        yield from lists.calibrations(report, say)


def _notes(report: Report, say: Say) -> Iterator[Block]:
    yield Heading(say("notes"), len(report.notes))
    items = tuple(lists.item(note.text, f"{say.short(note.at_ns)} · {note.by}") for note in report.notes)
    yield Items(items, say("notes_none"))


def _figures(report: Report, say: Say) -> Iterator[Block]:
    figures = report.figures
    yield Heading(say("statistics"))
    yield _over_time(report, say)
    parts = tuple((p, figures.by_priority.get(str(p), 0), say(f"priority_{p}")) for p in (1, 2, 3, 4))
    yield Shares(say("by_priority"), parts)
    yield from lists.top(report, say)
    yield from lists.chattering(report, say)
    yield from lists.stale(report, say)
    yield from lists.floods(report, say)
    yield from lists.aside(report, say)


def _over_time(report: Report, say: Say) -> Bars:
    if report.kind == "monthly":
        counts, labels = [day.count for day in report.days], [day.start[8:].lstrip("0") for day in report.days]
        return _bars(say("per_day"), counts, labels, say)
    tenths = [each.count for each in report.figures.per_10_min]
    times = [parse_rfc3339(each.start) for each in report.figures.per_10_min]
    if len(tenths) <= TENTHS_BY_HOUR:
        labels = [say.clock(at) if say.clock(at).endswith(":00") else "" for at in times]
        return _bars(say("per_10_min"), tenths, labels, say, limit=report.place.flood_begins)
    hours = [sum(tenths[k : k + 6]) for k in range(0, len(tenths), 6)]
    labels = [say.clock(at) if k % 2 == 0 else "" for k, at in enumerate(times[::6])]
    return _bars(say("per_hour_chart"), hours, labels, say)


def _bars(title: str, counts: list[int], labels: list[str], say: Say, limit: float = 0.0) -> Bars:
    about = f"{title}: {say('chart_about', len(counts), max(counts, default=0), sum(counts))}"
    return Bars(title, tuple(counts), tuple(labels), limit, say("flood_line") if limit else "", about)


def _advice(report: Report, say: Say) -> Iterator[Block]:
    advice = report.figures.advice
    yield Heading(say("advice"), len(advice))
    yield Items(tuple(lists.item(say.of(one.en, one.zh), one.alarm) for one in advice), say("advice_none"))


def _signatures(say: Say, standing: Handed | None) -> Block:
    if standing is None:
        return Signatures(
            (Signed(say("outgoing"), empty=say("unsigned")), Signed(say("incoming"), empty=say("unaccepted")))
        )
    out, into = standing.signed, standing.accepted
    return Signatures(
        (
            Signed(say("outgoing"), one_line(out.by), say.moment(out.at_ns), one_line(out.why)),
            Signed(say("incoming"), one_line(into.by), say.moment(into.at_ns), one_line(into.why))
            if into
            else Signed(say("incoming"), empty=say("unaccepted")),
        )
    )
