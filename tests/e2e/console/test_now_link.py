"""What is old says so, what is not known is not shown, and what comes back is believed only when it goes on."""

import pytest
from playwright.async_api import expect

from gateway.core.model import Level
from tests.e2e.console.stage import Stage

pytestmark = pytest.mark.timeout(120)


async def test_a_lost_link_takes_values_and_orders_away_and_comes_back_by_itself(stage: Stage) -> None:
    gateway = stage.gateway
    gateway.judge(0, Level.HIGH, 17.2)
    page = await stage.open()
    row = page.locator(".now-row")
    await expect(row).to_contain_text("17.2")
    port = stage.server.port
    await stage.server.stop()
    await expect(page.locator(".shell-lost")).to_contain_text("Disconnected from the gateway")
    await expect(page).to_have_title("⚠ Plant 1")
    await expect(row).to_contain_text("— —")
    assert "17.2" not in await page.locator(".now-list").inner_text()
    await expect(page.locator(".shell-banner")).to_have_count(0)
    await expect(row.get_by_role("button")).to_be_disabled()
    await page.keyboard.press("a")
    assert await page.get_by_role("dialog").count() == 0, "nothing is ordered without a link"

    gateway.judge(1, Level.LOW, 61.0)
    stage.server = type(stage.server)(gateway, local_operator=True)
    await stage.server.start(f"127.0.0.1:{port}")
    await expect(row).to_have_count(2)
    await expect(page.locator(".shell-lost")).to_have_count(0)
    await expect(row.first.get_by_role("button")).to_be_enabled()


@pytest.mark.long
async def test_silence_is_shown_as_stale_and_then_as_lost(stage: Stage) -> None:
    gateway = stage.gateway
    gateway.judge(0, Level.HIGH, 17.2)
    page = await stage.open()
    row = page.locator(".now-row")
    await expect(row).to_contain_text("17.2")
    gateway.silent = True
    await expect(page.locator(".shell-lost")).to_contain_text("Data is stale", timeout=8000)
    await expect(row).to_contain_text("17.2")
    await expect(page.locator(".shell-lost")).to_contain_text("Disconnected", timeout=12_000)
    await expect(row).to_contain_text("— —")
    gateway.silent = False
    await expect(page.locator(".shell-lost")).to_have_count(0, timeout=8000)
    await expect(row).to_contain_text("17.2")


async def test_a_changed_site_never_shows_a_value_under_another_name(stage: Stage) -> None:
    gateway = stage.gateway
    gateway.judge(0, Level.HIGH, 17.2)
    page = await stage.open()
    row = page.locator(".now-row")
    await expect(row).to_contain_text("17.2")
    gateway.change([gateway.channels[4], gateway.channels[0]])
    gateway.read(0, 33.3)
    gateway.read(1, 21.4)
    await expect(row).to_contain_text("21.4")
    assert "33.3" not in await row.inner_text()


@pytest.mark.long
async def test_more_tabs_than_a_browser_has_connections_are_all_live(stage: Stage) -> None:
    first = await stage.open()
    tabs = [first, *[await stage.tab(first.context) for _ in range(11)]]
    for tab in tabs:
        await expect(tab.locator(".now-calm")).to_be_visible()
    stage.gateway.judge(0, Level.HIGH, 17.2)
    for tab in tabs:
        await expect(tab.locator(".now-row")).to_contain_text("CH4 high")
    assert stage.complaints == []


async def test_who_acknowledges_first_is_seen_by_the_other(stage: Stage) -> None:
    stage.gateway.judge(0, Level.HIGH, 17.2)
    one, other = await stage.open(), await stage.open(lang="zh")
    for page in (one, other):
        await expect(page.locator(".now-row")).to_have_count(1)
        await page.keyboard.press("a")
        await expect(page.get_by_role("dialog")).to_be_visible()
    await one.keyboard.press("Enter")
    await expect(other.locator(".now-row")).to_contain_text("已确认")
    await other.keyboard.press("Enter")
    await expect(other.get_by_role("dialog")).to_have_count(0)
    assert [event.kind for event in stage.gateway.journal].count("acknowledged") == 1
