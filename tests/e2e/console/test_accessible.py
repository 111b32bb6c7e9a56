"""Every page against the rules that axe knows, by night and by day; and the pages' own limits of size."""

import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

import gateway.console
from tests.e2e.console.stage import DESK, PHONE, Stage, give_up, trouble

if TYPE_CHECKING:
    from playwright.async_api import Page

FOLDER = Path(gateway.console.__file__).parent
AXE = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
PAGES = (
    "now",
    "channels",
    "journal",
    "handover",
    "system",
    "statistics",
    "case",
    "commissioning",
    "people",
    "plan",
    "point/gd-00.ch4",
    "instrument/gd-00",
    "wall",
)
RUN = """() => axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
  violations.filter(({ impact }) => impact === "serious" || impact === "critical").flatMap(({ id, nodes }) =>
    nodes.slice(0, 3).map((node) => `${id}: ${node.html.slice(0, 160)} ${node.failureSummary.split("\\n")[1]}`)))"""

pytestmark = pytest.mark.timeout(120)


async def violations(page: "Page") -> list[str]:
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = await page.evaluate(RUN)
    return found


@pytest.mark.parametrize(("look", "size"), [("night", DESK), ("day", DESK), ("night", PHONE)], ids=str)
async def test_no_page_has_a_serious_violation(stage: Stage, look: str, size: dict[str, int]) -> None:
    if not AXE.is_file():
        give_up("axe-core is not installed: make console")
    trouble(stage.gateway)
    page = await stage.open(look=look, size=size)
    await expect(page.locator(".now-row").first).to_be_visible()
    found: dict[str, str] = {}
    for name in PAGES:
        await page.goto(f"{stage.url}#/{name}")
        await expect(page.locator("main > *").first).to_be_visible()
        await page.wait_for_timeout(300)
        for one in await violations(page):
            found.setdefault(one, name)
    assert not found, "\n".join(f"{name}: {one}" for one, name in found.items())


def test_what_is_loaded_at_first_stays_small() -> None:
    static = FOLDER / "static"
    if not (static / "index.html").is_file():
        give_up("the console is not built: make console")
    named = re.findall(r"assets/[\w.-]+\.js", (static / "index.html").read_text(encoding="utf-8"))
    files = [static / name for name in named] + sorted((static / "assets").glob("worker-*.js"))
    sizes = {file.name: len(gzip.compress(file.read_bytes(), 9)) for file in files}
    assert len(sizes) > 1
    assert sum(sizes.values()) <= 30_000, sizes
    charts = [file for file in (static / "assets").glob("*.js") if b"uplot" in file.read_bytes().lower()]
    assert charts
    assert all(len(gzip.compress(file.read_bytes(), 9)) <= 30_000 for file in charts)
