"""Charts of a report as SVG that stands in its page: bars over time, and a bar divided by priority."""

from html import escape
from itertools import accumulate

from gateway.reports.blocks import PRIORITY_COLOURS, PRIORITY_SHAPES, Bars, Shares, axis_top

WIDTH = 680.0
HEIGHT = 128.0
LEFT = 30.0
BOTTOM = 16.0
TOP = 8.0
CALM = "#6b7780"
CROWDED = "#cc6a00"


def bars_svg(chart: Bars) -> str:
    """Return a bar chart; bars beyond the limit have another colour and stand above a line."""
    top = axis_top(chart.values, chart.limit)
    floor, high = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP
    step = (WIDTH - LEFT) / max(1, len(chart.values))
    gap = min(2.0, step * 0.2)
    parts = [f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(chart.about)}">']
    for share in (0.0, 0.5, 1.0):
        y = floor - high * share
        parts.append(f'<line x1="{LEFT:g}" x2="{WIDTH:g}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d5dade"/>')
        parts.append(f'<text x="{LEFT - 5:g}" y="{y + 3:.1f}" text-anchor="end">{top * share:g}</text>')
    for k, (value, label) in enumerate(zip(chart.values, chart.labels, strict=True)):
        x, tall = LEFT + k * step, high * value / top
        colour = CROWDED if chart.limit and value > chart.limit else CALM
        if value:
            parts.append(
                f'<rect x="{x + gap / 2:.2f}" y="{floor - tall:.2f}" width="{max(0.5, step - gap):.2f}" '
                f'height="{tall:.2f}" fill="{colour}"/>'
            )
        if label:
            parts.append(f'<text x="{x + step / 2:.1f}" y="{HEIGHT - 4:g}" text-anchor="middle">{escape(label)}</text>')
    if chart.limit:
        y = floor - high * chart.limit / top
        parts.append(
            f'<line x1="{LEFT:g}" x2="{WIDTH:g}" y1="{y:.1f}" y2="{y:.1f}" stroke="{CROWDED}" stroke-dasharray="4 3"/>'
            f'<text x="{WIDTH:g}" y="{y - 3:.1f}" text-anchor="end">'
            f"{escape(chart.limit_label)} &gt; {chart.limit:g}</text>"
        )
    return "".join([*parts, "</svg>"])


def shares_svg(chart: Shares) -> str:
    """Return one bar, divided by priority, with each part's shape, number and count below it."""
    total = sum(count for _, count, _ in chart.parts)
    widths = [WIDTH * count / total if total else 0.0 for _, count, _ in chart.parts]
    starts = [0.0, *accumulate(widths)]
    about = escape(", ".join(f"{label} {count}" for _, count, label in chart.parts))
    parts = [f'<svg viewBox="0 0 {WIDTH:g} 40" role="img" aria-label="{escape(chart.title)}: {about}">']
    parts.append(f'<rect x="0.5" y="0.5" width="{WIDTH - 1:g}" height="15" fill="#f3f5f6" stroke="#d5dade"/>')
    column = WIDTH / len(chart.parts)
    for k, (priority, count, label) in enumerate(chart.parts):
        colour = PRIORITY_COLOURS[priority][0]
        if count:
            parts.append(
                f'<rect x="{starts[k]:.2f}" y="0" width="{widths[k]:.2f}" height="16" fill="{colour}" stroke="#fff"/>'
            )
        share = f"{100 * count / total:.0f} %" if total else "–"
        x = k * column
        name = f"{PRIORITY_SHAPES[priority]} {priority} {escape(label)}"
        parts.append(
            f'<rect x="{x:.1f}" y="24" width="10" height="10" fill="{colour}" stroke="#1b1f23" stroke-width="0.5"/>'
            f'<text x="{x + 15:.1f}" y="33"><tspan class="on">{name}</tspan>&#160;&#160;{count} · {share}</text>'
        )
    return "".join([*parts, "</svg>"])
