"""A report in a real browser: its own style is allowed, nothing else is asked for, and it fits a phone."""

import pytest

from gateway.core.model import Level
from tests.e2e.console.stage import Stage


@pytest.mark.parametrize(("width", "head"), [(1280, "table-row"), (390, "block")])
async def test_a_report_is_shown_in_its_own_style_and_asks_for_nothing(stage: Stage, width: int, head: str) -> None:
    stage.gateway.judge(0, Level.HIGH, 38.0)
    tab = await stage.open(size={"width": width, "height": 800})
    stage.hosts.clear()
    await tab.goto(f"{stage.url}api/v1/reports/handover?lang=zh")
    shown = await tab.locator("h1").evaluate("e => getComputedStyle(e).fontSize")
    assert shown == "25px"
    row = tab.locator("tbody tr").first
    assert await row.evaluate("e => getComputedStyle(e).display") == head
    wide = await tab.locator("html").evaluate("e => e.scrollWidth - e.clientWidth")
    assert wide <= 0
    assert stage.hosts <= {stage.url.split("/")[2]}
    assert stage.complaints == []
