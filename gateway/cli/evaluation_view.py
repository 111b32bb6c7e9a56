"""What `hazgate evaluate` prints: tables of figures, and below them what they do not say by themselves."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from gateway.cli import asking
from gateway.evaluation import nab
from gateway.evaluation.compare import Pair
from gateway.evaluation.evaluate import Evaluation, Result
from gateway.evaluation.sweep import Step, Sweep

PROFILES = tuple(profile.name for profile in nab.PROFILES)
COLUMNS = ("rule", "second", "found", "delay", "p90", "false", "a week", "F1", "FAR", "MAR", "NAB", "low FP",
           "low FN", "µs")  # fmt: skip
SCORED = ("F1", "FAR", "MAR", "NAB", "low FP", "low FN")
"""Columns that stand in a table of their own where a terminal is too narrow for all."""
NONE = "–"
NAMES_SHOWN = 5
_ANY_WIDTH = 1_000
_BETTER = {"found": 1, "missed": -1, "later_s": -1, "false": -1, "false_per_week": -1,
           "f1": 1, "far_percent": -1, "cost_us": -1}  # fmt: skip
_WORDS = {"false_per_week": "false a week", "f1": "F1", "far_percent": "FAR", "cost_us": "cost"}


def print_evaluation(console: Console, evaluation: Evaluation) -> None:
    """Print one set of rules."""
    shown = [*evaluation.results, *([] if evaluation.together is None else [evaluation.together])]
    _print_rows(console, "detector", [_row(result, result.type) for result in shown])
    for line in remarks(shown):
        console.print(Text.assemble(("!", asking.MARK), " ", line))
    console.print(Text(_summary(evaluation)))


def print_comparison(console: Console, first: Evaluation, second: Evaluation, pairs: Sequence[Pair]) -> None:
    """Print two sets of rules, a pair of lines for each rule and what differs below."""
    sides = [(n, s) for p in pairs for n, s in ((first.name, p.first), (second.name, p.second)) if s is not None]
    _print_rows(console, "rules", [_row(side, name) for name, side in sides])
    for pair in pairs:
        console.print(Text.assemble((pair.id, "bold"), "  ", *_changes(pair)))
        for word, names in (("found", pair.newly_found), ("missed", pair.newly_missed)):
            if names and pair.first is not None and pair.second is not None:
                more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
                console.print(Text(f"  {word} by {second.name} alone: {'; '.join(names[:NAMES_SHOWN])}{more}"))
    console.print(Text(_summary(first)))


def print_sweep(console: Console, sweep: Sweep, steps: Sequence[Step]) -> None:
    """Print what came of each value."""
    _print_rows(console, sweep.option, [_row(step.result, f"{step.value:g}") for step in steps])


def _print_rows(console: Console, second: str, rows: Sequence[Sequence[str | Text]]) -> None:
    """Print one table, or one of what was said and one of the scores where they would not fit side by side."""
    whole = _table(second, rows, COLUMNS)
    if Measurement.get(console, console.options.update(width=_ANY_WIDTH), whole).maximum <= console.width:
        console.print(whole)
        return
    console.print(_table(second, rows, [name for name in COLUMNS if name not in SCORED]))
    console.print()
    console.print(_table(second, rows, [*COLUMNS[:2], *SCORED]))


def _table(second: str, rows: Sequence[Sequence[str | Text]], wanted: Sequence[str]) -> Table:
    """Return a table of those of the wanted columns that say something."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    columns = [
        column
        for column in zip(COLUMNS, *rows, strict=True)
        if column[0] in wanted and any(str(cell) != NONE for cell in column[1:])
    ]
    for name, *_ in columns:
        text = name in COLUMNS[:2]
        table.add_column(
            second if name == COLUMNS[1] else name,
            no_wrap=True,
            justify="left" if text else "right",
            overflow="ellipsis" if text else "fold",
            max_width=24 if text else None,
        )
    for cells in zip(*(column[1:] for column in columns), strict=True):
        table.add_row(*cells)
    return table


def _row(result: Result, second: str) -> tuple[str | Text, ...]:
    found = result.judged
    nab_scores = result.nab
    scores = [NONE] * 3 if nab_scores is None else [figure(nab_scores.alarms[name], 1) for name in PROFILES]
    share = f"{found.found}/{len(found.findings)}"
    style = "green" if found.findings and not found.missed else asking.MARK if found.missed else ""
    return (
        Text(result.id, "bold"), second, Text(share, style), seconds(found.delay_s(50)), seconds(found.delay_s(90)),
        Text(str(len(found.false)), "" if found.false else "green"), figure(found.false_per_week, 2),
        figure(result.points.f1, 3), figure(result.points.far_percent, 1, " %"),
        figure(result.points.mar_percent, 1, " %"), *scores, figure(result.run.cost_us, 2),
    )  # fmt: skip


def remarks(results: Sequence[Result]) -> Iterator[str]:
    """Yield what the table does not show."""
    for result in results:
        kinds = result.judged.by_kind()
        if len(kinds) > 1:
            parts = ", ".join(f"{kind} {hit}/{total}" for kind, (hit, total) in kinds.items())
            yield f"{result.id}: {parts}"
        if result.run.failed:
            yield f"{result.id}: failed and was taken out of service: {', '.join(result.run.failed[:NAMES_SHOWN])}"
        if result.nab is not None and result.nab.best:
            best, held = (figure(score, 1) for score in (result.nab.best["standard"], result.nab.held_out))
            yield (
                f"{result.id}: by its score in place of its alarms NAB {best} at the best threshold "
                f"({result.nab.threshold:.6g}), {held} with each category judged by the others' threshold"
            )


def _summary(evaluation: Evaluation) -> str:
    readings = sum(len(recording) for recording in evaluation.recordings)
    labelled = sum(recording.labelled for recording in evaluation.recordings)
    unlabelled = len(evaluation.recordings) - labelled
    truth = f"; of {unlabelled} the truth is not known: what was said there is not judged" if unlabelled else ""
    window = f"; windows begin {evaluation.judging.lead_s:g} s early and end {evaluation.judging.grace_s:g} s late"
    padded = evaluation.judging.lead_s or evaluation.judging.grace_s
    count = len(evaluation.recordings)
    return (
        f"{evaluation.name}: {count} recording{'s' if count != 1 else ''}, {readings} readings"
        f"{window if padded else ''}{truth}"
    )


def _changes(pair: Pair) -> Iterator[Text]:
    if pair.first is None or pair.second is None:
        yield Text("only in one of them", "dim")
        return
    changes = {key: value for key, value in pair.differences().items() if key != "cost_us" and abs(value) > 1e-9}
    if not changes:
        yield Text("no difference", "dim")
    for k, (key, value) in enumerate(changes.items()):
        shown = f"{_WORDS.get(key, key)} {value:+.4g}"
        if key == "later_s":
            shown = f"{'later' if value > 0 else 'earlier'} by {seconds(abs(value))}"
        yield Text(f"{', ' if k else ''}{shown}", "green" if value * _BETTER[key] > 0 else "red")


def figure(value: float, digits: int, unit: str = "") -> str:
    """Return a number for people; a dash where there is none.

    >>> figure(0.8136, 3), figure(float("nan"), 1)
    ('0.814', '–')
    """
    return NONE if math.isnan(value) else f"{value:.{digits}f}{unit}"


def seconds(value: float) -> str:
    """Return a duration in the unit that people would use.

    >>> seconds(6.0), seconds(-90.0), seconds(5400.0), seconds(-200000.0), seconds(float("nan"))
    ('6 s', '-90 s', '90 min', '-2.3 d', '–')
    """
    if math.isnan(value):
        return NONE
    for limit, scale, unit, digits in ((300, 1, "s", 0), (10_800, 60, "min", 0), (172_800, 3600, "h", 1)):
        if abs(value) < limit:
            precise = 1 if unit == "s" and abs(value) < 10 and value != round(value) else digits
            return f"{value / scale:.{precise}f} {unit}"
    return f"{value / 86_400:.1f} d"
