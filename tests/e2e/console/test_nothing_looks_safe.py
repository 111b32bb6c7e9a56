"""No page says that all is well where nobody knows, or where somebody has put an alarm aside."""

import pytest
from playwright.async_api import Route, expect

from gateway.core.alarm import Command, Verb
from gateway.core.model import Level
from tests.e2e.console.stage import Stage

pytestmark = pytest.mark.timeout(60)


async def test_an_area_whose_only_alarm_is_put_aside_has_no_tick(stage: Stage) -> None:
    gateway = stage.gateway
    gateway.judge(0, Level.HIGH, 17.2)
    alarm = gateway.alarms()[0]
    order = Command(verb=Verb.OUT_OF_SERVICE, alarm=alarm.id, who="li", why="permit 7", duration_s=3600)
    await gateway.command(order)
    page = await stage.open()
    tile = page.locator(".now-tile", has_text="Tank farm")
    await expect(tile).to_have_count(1)
    await expect(tile.locator(".mark")).to_have_count(1)
    other = page.locator(".now-tile").filter(has_not_text="Tank farm").first
    await expect(other.locator(".mark")).to_have_count(0)


async def test_the_page_of_an_instrument_says_nothing_of_its_alarms_without_a_link(stage: Stage) -> None:
    owed = {"state": "none", "last_at": None, "due_at": None, "by": ""}
    texts = dict.fromkeys(("label", "label_zh", "area", "location", "connection", "profile", "gas", "unit"), "")
    one = {"instrument": "gd-00", **texts, "channels": ["gd-00.ch4"], "bump": owed, "calibration": owed}
    one |= {"expected": None, "tolerance_percent": 10, "checklist": []}

    async def told(route: Route) -> None:
        await route.fulfill(json=one)

    page = await stage.open("now")
    await page.route("**/api/v1/instruments/gd-00", told)
    await page.goto(f"{stage.url}#/instrument/gd-00")
    await expect(page.locator(".instrument")).to_contain_text("No alarm.")
    await stage.server.stop()
    await expect(page.locator(".shell-lost")).to_be_visible()
    await expect(page.locator(".instrument")).to_contain_text("Not known")
    await expect(page.locator(".instrument")).not_to_contain_text("No alarm.")
    said = page.locator("[role=status].hidden-text")
    await expect(said).not_to_contain_text("No unacknowledged alarms")
