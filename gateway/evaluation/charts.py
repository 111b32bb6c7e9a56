"""Charts of recordings and sweeps, drawn with matplotlib, which is an extra and imported only when a chart is made."""

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gateway.core.clock import NS_PER_S
from gateway.core.errors import HazgateError
from gateway.core.model import Int64, Level
from gateway.evaluation.episodes import Episode
from gateway.evaluation.evaluate import Evaluation
from gateway.evaluation.recording import Recording
from gateway.evaluation.run import Told
from gateway.evaluation.series import thinned
from gateway.evaluation.sweep import Step, Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS_MAX: Final = 5
"""Units of measure drawn of a recording, each in a panel of its own."""
LINES_MAX: Final = 8
"""Channels drawn in a panel."""
SCORES_MAX: Final = 4
RAREST: Final = 5
"""Scores are drawn as how rare a reading is, up to one in so many powers of ten."""
EPISODES_MAX: Final = 400

# Legible on white and on black: a report follows its reader's screen.
INK: Final = "#808890"
LINES: Final = ("#3b82c4", "#d97706", "#2f9e6e", "#a855c7", "#c2410c", "#0891b2", "#8a8f1f", "#be4b7b")
TRUTH: Final = "#2f9e6e"
COLOURS: Final = {Level.WARNING: "#3b82c4", Level.FAULT: "#a855c7", Level.LOW: "#d97706", Level.HIGH: "#dc2626"}
_DAY_S: Final = 86_400
_1971_NS: Final = 365 * _DAY_S * NS_PER_S


class ReportError(HazgateError):
    """A report that cannot be made; the message says what is missing."""


def plotting() -> Any:
    """Return matplotlib, set up to draw into memory. Raises ReportError where it is not installed."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra, and a second to import
    except ModuleNotFoundError as error:
        raise ReportError("reports with charts need matplotlib: pip install 'hazgate[report]'") from error
    mpl.use("Agg")
    # Names of channels and recordings are what they are, and no formulas: `$` would make one, or fail to.
    mpl.rcParams["text.parse_math"] = False
    return mpl


def recording_chart(evaluation: Evaluation, recording: Recording) -> "Figure":
    """Return a chart: channels by unit with the truth behind them, scores, and what each rule said and when."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - see `plotting`

    told = [one for result in evaluation.results for one in result.run.told if one.recording.name == recording.name]
    groups = _groups(recording, told)
    scored = any(np.isfinite(score).any() for one in told for score in one.scores.values())
    lanes = [one for one in told if one.rules]
    heights = [2.0] * len(groups) + ([1.2] if scored else []) + [0.35 + 0.22 * max(len(lanes), 1)]
    figure = Figure(figsize=(11, sum(heights) + 0.6), layout="constrained")
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    clock = _Axis(recording)
    for panel, (unit, rows) in zip(axes, groups, strict=False):
        _draw_channels(panel, recording, unit, rows, clock)
    if scored:
        _draw_scores(axes[len(groups)], recording, told, clock)
    _draw_episodes(axes[-1], lanes, clock)
    for panel in axes:
        _draw_truth(panel, recording, clock)
        _plain(panel)
    axes[-1].set_xlabel(clock.label, color=INK)
    return figure


class _Axis:
    """Times as numbers on an axis: seconds or hours from the start, or days with their dates."""

    def __init__(self, recording: Recording) -> None:
        span_s = (recording.end_ns - recording.begin_ns) / NS_PER_S
        self.begin_ns = recording.begin_ns
        self.scale_s, unit = (1, "s") if span_s < 1200 else (60, "min") if span_s < 18_000 else (3600, "h")
        if span_s > 5 * _DAY_S:
            self.scale_s, unit = _DAY_S, "days"
        since = ""
        if self.begin_ns > _1971_NS:
            since = f" from {datetime.fromtimestamp(self.begin_ns / NS_PER_S, UTC):%Y-%m-%d %H:%M:%S} UTC"
        self.label = f"{unit}{since}"

    def at(self, time_ns: int) -> float:
        return (time_ns - self.begin_ns) / NS_PER_S / self.scale_s

    def all(self, time_ns: Int64) -> "np.ndarray[Any, np.dtype[np.float64]]":
        return (time_ns - self.begin_ns) / (NS_PER_S * self.scale_s)


def _groups(recording: Recording, told: Sequence[Told]) -> list[tuple[str, list[int]]]:
    """Return the rows that a rule judges by quantity; all where none is judged."""
    judged = {channel.row for one in told for rule in one.rules for channel in rule.judges}
    found: dict[str, list[int]] = {}
    # One of each area first: of many channels only a few are drawn.
    seen: dict[tuple[str, str], int] = {}
    turn: dict[int, int] = {}
    for row in sorted(judged) or range(len(recording.channels)):
        key = (recording.channels[row].quantity, recording.channels[row].area)
        turn[row] = seen[key] = seen.get(key, 0) + 1
    rows = sorted(turn, key=lambda row: (turn[row], row))
    for row in rows:
        channel = recording.channels[row]
        found.setdefault(f"{channel.quantity} {channel.unit}".strip(), []).append(row)
    return list(found.items())[:PANELS_MAX]


def _draw_channels(panel: "Axes", recording: Recording, unit: str, rows: Sequence[int], clock: _Axis) -> None:
    for k, row in enumerate(rows[:LINES_MAX]):
        drawn = thinned(*recording.of(row))
        panel.plot(
            clock.all(drawn.time_ns), drawn.value, color=LINES[k % len(LINES)], lw=0.8, label=recording.channels[row].id
        )
    more = f" (and {len(rows) - LINES_MAX} more)" if len(rows) > LINES_MAX else ""
    panel.set_ylabel(f"{unit}{more}", color=INK, fontsize=8)
    if len(rows) > 1:
        _name_lines(panel)


def _name_lines(panel: "Axes") -> None:
    """Name the lines above the panel, where no line runs through their names."""
    panel.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 0.98), borderpad=0, ncols=LINES_MAX // 2,
                 frameon=False, labelcolor=INK)  # fmt: skip


def _draw_scores(panel: "Axes", recording: Recording, told: Sequence[Told], clock: _Axis) -> None:
    k = 0
    for one in told:
        for rule in one.rules:
            if rule.id not in one.scores or k >= SCORES_MAX or not np.isfinite(one.scores[rule.id]).any():
                continue
            mine = np.isin(recording.row, [channel.row for channel in rule.judges])
            rare = -np.log10(np.maximum(1.0 - one.scores[rule.id].astype(np.float64), 10.0**-RAREST))
            drawn = thinned(recording.time_ns[mine], rare)
            panel.plot(clock.all(drawn.time_ns), drawn.value, color=LINES[k % len(LINES)], lw=0.7, label=rule.id)
            k += 1
    panel.set_ylim(-0.1, RAREST + 0.3)
    panel.set_yticks(range(RAREST + 1), ["", *(f"1 in {10**k:,}" for k in range(1, RAREST + 1))])
    panel.set_ylabel("score", color=INK, fontsize=8)
    _name_lines(panel)


def _draw_truth(panel: "Axes", recording: Recording, clock: _Axis) -> None:
    least = (clock.at(recording.end_ns) - clock.at(recording.begin_ns)) / 1000
    for begin, end in _union((t.start_ns, t.end_ns) for t in recording.truths if t.counted):
        panel.axvspan(clock.at(begin), max(clock.at(end), clock.at(begin) + least), color=TRUTH, alpha=0.15, lw=0,
                      zorder=0)  # fmt: skip
    for moment in {clock.at(truth.event_ns) for truth in recording.truths if truth.event_ns is not None}:
        panel.axvline(moment, color=TRUTH, lw=0.8, ls=":", zorder=0)
    if recording.learning_ns is not None:
        panel.axvspan(
            clock.at(recording.begin_ns), clock.at(recording.learning_ns), color=INK, alpha=0.12, lw=0, zorder=0
        )


def _union(windows: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return windows that overlap as one.

    >>> _union([(5, 9), (1, 3), (2, 4)])
    [(1, 4), (5, 9)]
    """
    found: list[tuple[int, int]] = []
    for begin, end in sorted(windows):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def _draw_episodes(panel: "Axes", lanes: Sequence[Told], clock: _Axis) -> None:
    for k, told in enumerate(lanes):
        for episode in told.episodes[:EPISODES_MAX]:
            width, left = _bar(episode, told.recording, clock)
            panel.barh(k, width, left=left, height=0.7, color=COLOURS[episode.level], lw=0, zorder=2)
    names = [told.rules[0].id.partition(":")[0] for told in lanes]
    panel.set_yticks(range(len(lanes)), names, fontsize=8)
    panel.set_ylim(len(lanes) - 0.4, -0.6)


def _bar(episode: Episode, recording: Recording, clock: _Axis) -> tuple[float, float]:
    """Return width and left end, wide enough to be seen."""
    begin, end = clock.at(episode.start_ns), clock.at(episode.end_ns)
    least = (clock.at(recording.end_ns) - clock.at(recording.begin_ns)) / 500
    return max(end - begin, least), begin


def _plain(panel: "Axes") -> None:
    panel.patch.set_alpha(0)
    panel.margins(x=0.005)
    panel.tick_params(colors=INK, labelsize=8)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        panel.spines[side].set_color(INK)


def sweep_chart(sweep: Sweep, steps: Sequence[Step]) -> "Figure":
    """Return a chart of delay against false episodes, a point a value; missed truths are told beside the point."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - see `plotting`

    figure = Figure(figsize=(9, 5.5), layout="constrained")
    panel = figure.subplots()
    ids = dict.fromkeys(step.result.id for step in steps)
    for k, rule in enumerate(ids):
        mine = [step for step in steps if step.result.id == rule]
        x = [_rate(step) for step in mine]
        y = [step.result.judged.delay_s(50) for step in mine]
        panel.plot(x, y, marker="o", ms=4, lw=1, color=LINES[k % len(LINES)], label=rule)
        for step, at_x, at_y in zip(mine, x, y, strict=True):
            if np.isfinite(at_y):
                missed = f", {step.result.judged.missed} missed" if step.result.judged.missed else ""
                panel.annotate(f"{step.value:g}{missed}", (at_x, at_y), fontsize=7, color=INK, xytext=(4, 4),
                               textcoords="offset points")  # fmt: skip
    panel.set_xlabel("false episodes a rule and week of clean time", color=INK)
    panel.set_ylabel("median delay, s", color=INK)
    panel.set_title(sweep.option, color=INK, fontsize=10)
    panel.legend(frameon=False, labelcolor=INK)
    _plain(panel)
    return figure


def _rate(step: Step) -> float:
    rate = step.result.judged.false_per_week
    return float(len(step.result.judged.false)) if np.isnan(rate) else rate


def as_svg(figure: "Figure") -> str:
    """Return a chart as an SVG element, transparent, the same bytes for the same chart."""
    buffer = io.StringIO()
    with plotting().rc_context({"svg.hashsalt": "hazgate", "svg.fonttype": "none"}):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def save_png(figures: Iterable["Figure"], path: Path) -> None:
    """Write charts one under another into a PNG file, on white as nobody knows where it goes. Raises OSError."""
    images = []
    for figure in figures:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, facecolor="white")
        buffer.seek(0)
        images.append(plotting().image.imread(buffer, format="png"))
    width = max(image.shape[1] for image in images)
    page = np.ones((sum(image.shape[0] for image in images), width, 4), np.float32)
    top = 0
    for image in images:
        page[top : top + image.shape[0], : image.shape[1], : image.shape[2]] = image
        top += image.shape[0]
    plotting().image.imsave(path, page)
