"""A report as one HTML file that needs nothing else: no script, no font, no picture from anywhere."""

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from gateway.reports.blocks import PRIORITY_SHAPES, Bars, Page, Shares
from gateway.reports.charts import bars_svg, shares_svg

if TYPE_CHECKING:
    from jinja2 import Template


def html(page: Page) -> str:
    """Return a report's page; every text in it is escaped."""
    template, style, safe = _loaded()
    return template.render(
        page=page,
        style=safe(style),
        shapes=PRIORITY_SHAPES,
        bars=lambda chart: safe(bars_svg(_bars(chart))),
        shares=lambda chart: safe(shares_svg(_shares(chart))),
    )


def content_policy() -> str:
    """Return the Content-Security-Policy under which a report is shown: its own style, and nothing else at all."""
    _, style, _ = _loaded()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )


@cache
def _loaded() -> "tuple[Template, str, Any]":
    """Return the template, the style, and what marks a text as markup already."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - only who makes a page loads it
    from markupsafe import Markup  # noqa: PLC0415

    folder = resources.files("gateway.reports")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((folder / "report.html.j2").read_text("utf-8"))
    return template, (folder / "report.css").read_text("utf-8"), Markup


def _bars(chart: Any) -> Bars:
    assert isinstance(chart, Bars), "the template draws bars of Bars alone"
    return chart


def _shares(chart: Any) -> Shares:
    assert isinstance(chart, Shares), "the template draws shares of Shares alone"
    return chart
