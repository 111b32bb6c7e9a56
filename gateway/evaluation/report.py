"""The report of an evaluation: one page with its figures and charts, that needs nothing else and follows the screen."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway import __version__
from gateway.evaluation import charts
from gateway.evaluation.charts import ReportError
from gateway.evaluation.compare import Pair, pairs
from gateway.evaluation.evaluate import Evaluation, Result
from gateway.evaluation.recording import Recording
from gateway.evaluation.sweep import Step, Sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHARTS_MAX: Final = 40
"""Charts in a report at the most: recordings with a miss or a false episode come first."""
PNG_CHARTS_MAX: Final = 12
ROWS_MAX: Final = 200
"""Episodes and misses listed for a rule at the most."""
_SUFFIXES: Final = (".html", ".htm", ".png")

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2126; --dim: #6b747d; --paper: #fff; --line: #d9dee3; }
@media (prefers-color-scheme: dark) { :root { --ink: #dde3e8; --dim: #8b959e; --paper: #14181c; --line: #333b42; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .45rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--dim); font-weight: 500; white-space: normal; vertical-align: bottom; }
td.text, th.text { text-align: left; } td.wrap { white-space: normal; }
.wide { overflow-x: auto; } .dim { color: var(--dim); } figure { margin: 0 0 1rem; overflow-x: auto; }
svg { width: 100%; min-width: 45rem; height: auto; display: block; }
details { margin: .4rem 0; }
"""
_HEADINGS: Final = (
    "rule", "detector", "found", "missed", "median delay", "p90 delay", "false", "false a week", "clean weeks", "F1",
    "FAR", "MAR", "NAB", "NAB low FP", "NAB low FN", "µs a reading",
)  # fmt: skip


def check_report(path: Path) -> None:
    """Refuse before the work begins what could not be written after it. Raises ReportError."""
    if path.suffix.lower() not in _SUFFIXES:
        raise ReportError(f"{path}: a report ends in {', '.join(_SUFFIXES)}")
    if not path.resolve().parent.is_dir():
        raise ReportError(f"{path}: there is no folder {path.resolve().parent}")
    charts.plotting()


def write_report(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Write the report of one evaluation, or of two side by side. Raises ReportError."""
    first = evaluations[0]
    chosen = _chosen(evaluations)
    if path.suffix.lower() == ".png":
        _save(path, [_titled(r, one) for r in chosen[:PNG_CHARTS_MAX] for one in evaluations])
        return
    parts = [_header(first)]
    parts += [f"<h2>{escape(one.name)}</h2>{_table(_shown(one))}" for one in evaluations]
    if len(evaluations) == 2:
        parts.append(_differences(list(pairs(*evaluations))))
    parts += [_misses(result) for result in first.results]
    left_out = len(first.recordings) - len(chosen)
    parts.append(f"<h2>Recordings</h2>{_legend(left_out)}")
    parts += [_chart(recording, evaluations) for recording in chosen]
    _write(path, f"Evaluation of {first.name}", parts)


def write_sweep(path: Path, sweep: Sweep, steps: Sequence[Step]) -> None:
    """Write the report of a sweep. Raises ReportError."""
    figure = charts.sweep_chart(sweep, steps)
    if path.suffix.lower() == ".png":
        _save(path, [figure])
        return
    rows = _rows([(f"{step.result.id} {sweep.option}={step.value:g}", step.result) for step in steps])
    _write(path, f"Sweep of {sweep.option}", [f"<figure>{charts.as_svg(figure)}</figure>", rows])


def _titled(recording: Recording, evaluation: Evaluation) -> "Figure":
    figure = charts.recording_chart(evaluation, recording)
    figure.suptitle(f"{recording.name}, {evaluation.name}", color=charts.INK, fontsize=10)
    return figure


def _save(path: Path, figures: "list[Figure]") -> None:
    try:
        charts.save_png(figures, path)
    except OSError as error:
        raise ReportError(f"{path}: cannot be written: {error.strerror}") from error


def _write(path: Path, title: str, parts: Iterable[str]) -> None:
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1>{''.join(parts)}</html>\n"
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{path}: cannot be written: {error.strerror}") from error


def _header(evaluation: Evaluation) -> str:
    readings = sum(len(recording) for recording in evaluation.recordings)
    truths = sum(truth.counted for recording in evaluation.recordings for truth in recording.truths)
    judging = evaluation.judging
    return (
        f'<p class="dim">{_counted(len(evaluation.recordings), "recording")}, {_counted(readings, "reading")}, '
        f"{_counted(truths, 'truth')}. "
        f"Windows begin {judging.lead_s:g} s early and end {judging.grace_s:g} s late. Hazgate {__version__}.</p>"
    )


def _chosen(evaluations: Sequence[Evaluation]) -> list[Recording]:
    """Return the recordings to draw: those first where something was missed or false."""
    worth: dict[str, int] = {}
    for evaluation in evaluations:
        for result in evaluation.results:
            for finding in result.judged.findings:
                worth[finding.recording] = worth.get(finding.recording, 0) + (2 if finding.delay_s is None else 0)
            for name, _ in result.judged.false:
                worth[name] = worth.get(name, 0) + 1
    return sorted(evaluations[0].recordings, key=lambda recording: -worth.get(recording.name, 0))[:CHARTS_MAX]


def _shown(evaluation: Evaluation) -> list[Result]:
    return [*evaluation.results, *([] if evaluation.together is None else [evaluation.together])]


def _table(results: Sequence[Result]) -> str:
    return _rows([(result.id, result) for result in results])


def _rows(named: Sequence[tuple[str, Result]]) -> str:
    rows = [_cells(name, result) for name, result in named]
    kept = [k for k in range(len(_HEADINGS)) if any(row[k] != "–" for row in rows)]
    head = "".join(f"<th{_class(k)}>{escape(_HEADINGS[k])}</th>" for k in kept)
    body = "".join(f"<tr>{''.join(f'<td{_class(k)}>{row[k]}</td>' for k in kept)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _class(column: int) -> str:
    return ' class="text"' if column < 2 else ""


def _cells(name: str, result: Result) -> list[str]:
    found, points = result.judged, result.points
    scores = {} if result.nab is None else result.nab.alarms
    return [
        escape(name), escape(result.type), f"{found.found}/{len(found.findings)}", str(found.missed),
        _number(found.delay_s(50), 1, " s"), _number(found.delay_s(90), 1, " s"), str(len(found.false)),
        _number(found.false_per_week, 3), _number(found.clean_weeks, 2), _number(points.f1, 3),
        _number(points.far_percent, 1, " %"), _number(points.mar_percent, 1, " %"),
        *(_number(scores.get(key, float("nan")), 2) for key in
          ("standard", "reward_low_FP_rate", "reward_low_FN_rate")),
        _number(result.run.cost_us, 2),
    ]  # fmt: skip


def _number(value: float, digits: int, unit: str = "") -> str:
    return "–" if value != value else f"{value:.{digits}f}{unit}"  # noqa: PLR0124 - the test for NaN


def _counted(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> _counted(1, "truth"), _counted(12000, "reading")
    ('1 truth', '12,000 readings')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _differences(found: Sequence[Pair]) -> str:
    rows = []
    for pair in found:
        changes = {key: value for key, value in pair.differences().items() if key != "cost_us" and abs(value) > 1e-9}
        text = ", ".join(
            f"{key.replace('_s', ' by, s').replace('_', ' ')} {value:+.4g}" for key, value in changes.items()
        )
        only = "" if pair.first is not None and pair.second is not None else "only in one of them"
        cell = escape(only or text or "no difference")
        rows.append(f'<tr><td class="text">{escape(pair.id)}</td><td class="text wrap">{cell}</td></tr>')
    title = "What the second has more or less than the first"
    return f'<h2>{title}</h2><div class="wide"><table>{"".join(rows)}</table></div>'


def _misses(result: Result) -> str:
    lines = [
        f"missed {f.truth.kind} in {f.recording} {' '.join((f.truth.area, *f.truth.channels))}".strip()
        for f in result.judged.findings
        if f.delay_s is None
    ]
    for name, episode in result.judged.false:
        why = "" if episode.reason is None else f": {episode.reason.en}"
        lines.append(f"false {episode.level.name.lower()} of {episode.rule.id} in {name}{why}")
    if not lines:
        return ""
    more = f"<li>and {len(lines) - ROWS_MAX} more</li>" if len(lines) > ROWS_MAX else ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines[:ROWS_MAX])
    told = len(result.judged.false)
    title = f"{escape(result.id)}: {result.judged.missed} missed, {_counted(told, 'false episode')}"
    return f"<details><summary>{title}</summary><ul>{items}{more}</ul></details>"


def _legend(left_out: int) -> str:
    more = f" Not drawn: {_counted(left_out, 'more recording')}." if left_out > 0 else ""
    return (
        '<p class="dim">Green behind a line: the truth; dotted: the moment from which delays are counted; grey: the '
        "part for learning. Bars below: what each rule said, blue a warning, orange low, red high, "
        f"violet a fault.{more}</p>"
    )


def _chart(recording: Recording, evaluations: Sequence[Evaluation]) -> str:
    drawn = "".join(f"<figure>{charts.as_svg(charts.recording_chart(one, recording))}</figure>" for one in evaluations)
    return f"<h3>{escape(recording.name)}</h3>{drawn}"
