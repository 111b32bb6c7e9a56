"""What is wrong with the gateway stands first; alarms are measured against guides; an engineer looks at lines."""

import re

import pytest
from playwright.async_api import expect

from gateway.core.model import Level
from tests.e2e.console.stage import PHONE, Stage, trouble

# A browser that starts on a busy machine takes its time.
pytestmark = pytest.mark.timeout(120)

PASSWORD = "green-river-lantern"
FITS = "document.getElementById('main').scrollWidth <= innerWidth"


async def test_trouble_stands_first_and_goes_when_it_is_over(stage: Stage) -> None:
    page = await stage.open("system")
    await expect(page.get_by_role("heading", name="Instruments")).to_be_visible()
    stage.gateway.system("system/uplink/park", "the platform does not answer")
    troubles = page.locator(".sys-trouble li", has_text="Uplink park")
    await expect(troubles).to_contain_text("the platform does not answer")
    stage.gateway.system("system/uplink/park", "")
    await expect(troubles).to_have_count(0)
    assert stage.complaints == []


async def test_frequent_alarms_are_named_and_measured_in_both_languages(stage: Stage) -> None:
    trouble(stage.gateway)
    for n in range(4):
        stage.gateway.judge(2, Level.LOW, 30.0 + n)
        stage.gateway.judge(2, Level.NORMAL, 1.0)
    page = await stage.open("statistics", size=PHONE, lang="zh")
    await expect(page.locator(".stat-wide li").first).to_be_visible()
    raised = page.locator(".stat-tiles > div").first
    counted = int(await raised.locator("dd").first.inner_text())
    assert counted >= len(stage.gateway.alarms())
    await expect(page.locator(".stat-bar").first).to_be_attached()
    await page.get_by_role("button", name="7 天").click()
    await expect(page).to_have_url(re.compile("span=week"))
    await expect(page.locator(".stat-chart figcaption")).to_contain_text("每小时内")
    await expect(raised.locator("dd").first).to_have_text(str(counted))
    assert await page.evaluate(FITS)
    assert stage.complaints == []


async def test_a_line_that_nobody_answers_is_told_where_it_was_asked(stage: Stage) -> None:
    made = stage.gateway.people
    await made.make("test", "chen", "", "engineer", "first-river-lantern")
    _, signed = await made.sign_in("chen", "first-river-lantern", "127.0.0.1")
    await made.change_password(signed, "first-river-lantern", PASSWORD, "127.0.0.1")
    page = await stage.open("commissioning")
    gate = page.locator(".signin-gate")
    await gate.get_by_label("Name").fill("chen")
    await gate.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    registers = page.get_by_role("region", name="Registers")
    # Nobody listens at the port of the discard service.
    await registers.get_by_label("Line or host").fill("tcp://127.0.0.1:9")
    await registers.get_by_role("button", name="Read once").click()
    await expect(registers.get_by_role("alert")).to_contain_text("127.0.0.1:9")
    await expect(registers.get_by_label("Line or host")).to_have_value("tcp://127.0.0.1:9")
    finding = page.get_by_role("region", name="Find instruments")
    await finding.get_by_label("Line or host").fill("tcp://127.0.0.1:9")
    await finding.get_by_role("button", name="Begin").click()
    await expect(finding.get_by_role("alert")).to_contain_text("127.0.0.1:9")
    await finding.get_by_label("Line or host").fill("tcp://10.0.0.0/24")
    await finding.get_by_role("button", name="Begin").click()
    await expect(finding.get_by_role("alert")).to_contain_text("is a network")
