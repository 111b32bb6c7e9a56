"""The first administrator, as whoever installs a gateway meets it."""

import pytest
from playwright.async_api import expect

from tests.e2e.console.stage import Stage

# A browser that starts on a busy machine takes its time.
pytestmark = pytest.mark.timeout(120)


async def test_whoever_reads_the_code_on_the_terminal_becomes_the_first_administrator(stage: Stage) -> None:
    setup = stage.gateway.people.setup
    codes: list[str] = []
    setup._announce = codes.append
    setup.renew()
    page = await stage.open("people")
    await page.get_by_role("button", name="Make the first account").click()
    gate = page.get_by_role("dialog")
    await expect(gate.get_by_role("heading", name="First administrator")).to_be_visible()
    await gate.get_by_label("One-time code").fill("WRONG-CODES")
    await gate.get_by_label("Name", exact=True).fill("zhao")
    await gate.get_by_label("Password", exact=True).fill("short")
    await gate.get_by_label("Password once more").fill("short")
    await gate.get_by_role("button", name="Make the account").click()
    await expect(gate.get_by_role("alert")).to_contain_text("fewer than 10")
    await gate.get_by_label("Password", exact=True).fill("green-river-lantern")
    await gate.get_by_label("Password once more").fill("green-river-lantern")
    await gate.get_by_role("button", name="Make the account").click()
    await expect(gate.get_by_role("alert")).to_contain_text("The code is wrong")
    await gate.get_by_label("One-time code").fill(codes[0].lower())
    await gate.get_by_role("button", name="Make the account").click()
    await expect(gate).to_have_count(0)
    await expect(page.locator(".shell-head")).to_contain_text("zhao")
    accounts = await stage.gateway.people.accounts()
    assert [(one.row.name, one.row.role, one.row.must_change) for one in accounts] == [("zhao", "administrator", False)]
