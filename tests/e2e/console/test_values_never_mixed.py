"""What the stream tells while the channel table is still being fetched is neither lost nor shown under another name."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.e2e.console.stage import Stage

if TYPE_CHECKING:
    from playwright.async_api import Route

pytestmark = pytest.mark.timeout(60)


async def test_a_value_that_changes_while_the_table_is_fetched_is_shown(stage: Stage) -> None:
    gateway = stage.gateway
    gateway.read(0, 1.5)
    page = await stage.open("about:blank")
    held, go = asyncio.Event(), asyncio.Event()

    async def slow(route: "Route") -> None:
        held.set()
        await go.wait()
        await route.continue_()

    await page.route("**/channels?form=columns", slow)
    await page.goto("about:blank")
    await page.goto(f"{stage.url}#/channels")
    await asyncio.wait_for(held.wait(), 10)
    await asyncio.sleep(1.2)  # the snapshot is there, and its frame
    gateway.read(0, 62.5)
    await asyncio.sleep(2.2)  # frames of one second each
    go.set()
    await expect(page.locator("main")).to_contain_text("62.5")


async def test_a_table_that_cannot_be_fetched_at_first_is_asked_for_again_and_shows_no_value_meanwhile(
    stage: Stage,
) -> None:
    gateway = stage.gateway
    gateway.read(0, 17.3)
    page = await stage.open("channels")
    await expect(page.locator("main")).to_contain_text("17.3")
    refused = 0

    async def refuse(route: "Route") -> None:
        nonlocal refused
        refused += 1
        await route.fulfill(status=503, json={"detail": "busy"})

    await page.route("**/channels?form=columns", refuse)
    gateway.change([gateway.channels[4], gateway.channels[0]])
    gateway.read(0, 33.3)
    gateway.read(1, 21.4)
    while not refused:
        await asyncio.sleep(0.1)  # until the page has asked
    await asyncio.sleep(2.2)  # frames of the new table come
    shown = await page.locator("main").inner_text()
    assert "33.3" not in shown, "the first row of the new table is another channel"
    assert "17.3" not in shown, "nobody knows whether it is still so"
    await page.unroute("**/channels?form=columns")
    await expect(page.locator("main")).to_contain_text("21.4")
    await expect(page.locator("main")).to_contain_text("33.3")
