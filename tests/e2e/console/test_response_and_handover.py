"""A response from the first beep to the archive on a phone, and a shift handed from one person to another."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from gateway.core.alarm import Command, Verb
from gateway.core.model import Level
from tests.e2e.console.stage import PHONE, Stage, chromium_or_skip, site_file, staged
from tests.integration.memory_gateway import MemoryGateway

if TYPE_CHECKING:
    from playwright.async_api import Page

# A browser that starts on a busy machine takes its time.
pytestmark = pytest.mark.timeout(120)

PASSWORD = "green-river-lantern"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A site whose alarms open cases."""
    gateway = MemoryGateway(24, responds=True)
    gateway.site_file = site_file()
    async with staged(gateway, chromium_or_skip()) as one:
        yield one


async def press(page: "Page", name: str) -> None:
    await page.locator(".case-whole").get_by_role("button", name=name, exact=True).click()


async def test_a_response_goes_from_the_alarm_to_the_archive_on_a_phone(stage: Stage) -> None:
    gateway = stage.gateway
    gateway.judge(0, Level.HIGH, 17.2)
    page = await stage.open("case", size=PHONE, lang="zh")
    await page.locator(".case-row").click()
    await press(page, "接警（确认）")
    await press(page, "派单")
    await page.get_by_label("处置人").fill("李强")
    await page.get_by_label("电话", exact=True).fill("138 0000 1234")
    await press(page, "派单")
    await expect(page.locator(".case-step .case-phone")).to_have_attribute("href", "tel:13800001234")
    await press(page, "已到场")
    await press(page, "记录处置")
    await page.get_by_label("处置措施").fill("关闭 V3 阀")
    await press(page, "记录")
    await expect(page.locator(".case-actions")).to_contain_text("关闭 V3 阀")
    await press(page, "反馈并归档")
    await expect(page.get_by_role("radio", name="真实报警")).to_be_disabled()
    await expect(page.locator(".case-stands")).to_contain_text("仍未消除")
    gateway.judge(0, Level.NORMAL, 1.0)
    await gateway.command(Command(verb=Verb.RESET, alarm="high:gd-00.ch4", who="wang"))
    await page.get_by_role("radio", name="真实报警").check()
    await page.get_by_label("情况反馈").fill("阀杆密封已更换")
    await press(page, "归档")
    await expect(page.locator(".case-steps > .done")).to_have_count(6)
    assert gateway.cases.open() == []
    closed = next(event.case for event in reversed(gateway.journal) if event.case)
    assert (closed.outcome, closed.note, closed.assignee) == ("real", "阀杆密封已更换", "李强")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert stage.complaints == []


async def test_what_is_done_elsewhere_is_seen_here_and_a_lost_link_gives_no_orders(stage: Stage) -> None:
    stage.gateway.judge(0, Level.HIGH, 17.2)
    one = await stage.open("case")
    other = await stage.open("case")
    await expect(other.locator(".case-detail h1")).to_be_visible()
    await press(one, "Dispatch")
    await one.get_by_label("Who is sent").fill("Li Qiang")
    await press(one, "Dispatch")
    await expect(other.locator(".case-steps")).to_contain_text("Li Qiang")
    await press(other, "Note an action")
    await other.get_by_label("What was done").fill("valve V3 closed")
    await stage.server.stop()
    await expect(other.locator(".shell-link-lost")).to_be_visible(timeout=20_000)
    await expect(other.get_by_role("button", name="Write down")).to_be_disabled()
    await expect(other.get_by_label("What was done")).to_have_value("valve V3 closed")


async def test_a_shift_is_signed_over_by_one_and_accepted_by_another(stage: Stage) -> None:
    made = stage.gateway.people
    for name in ("wang", "li"):
        await made.make("test", name, "", "operator", "first-river-lantern")
        _, signed = await made.sign_in(name, "first-river-lantern", "127.0.0.1")
        await made.change_password(signed, "first-river-lantern", PASSWORD, "127.0.0.1")
    stage.gateway.judge(0, Level.HIGH, 17.2)
    going, coming = await entered(stage, "wang"), await entered(stage, "li")
    await expect(going.locator(".handover-tile").first).to_contain_text("1")
    await going.get_by_label("What the next shift must know").fill("pump 2 is out for repair")
    await going.get_by_role("button", name="Add note").click()
    await expect(going.locator(".handover-note")).to_contain_text("pump 2 is out for repair")
    await going.get_by_role("button", name="Sign over this shift").click()
    await expect(going.locator(".handover-card")).to_contain_text("Signed over")
    await expect(going.locator(".handover-card")).to_contain_text("somebody of the incoming shift")
    await coming.get_by_role("link", name="Read and accept").first.click()
    await expect(coming.locator("#handover-open")).to_contain_text("CH4 high")
    await expect(coming.locator(".handover-note")).to_contain_text("pump 2 is out for repair")
    await coming.get_by_role("button", name="I have read this and take over").click()
    await expect(coming.locator(".handover-past")).to_contain_text("li")
    (last,) = await stage.gateway.records.handovers.listed(5, 0)
    assert last.accepted is not None
    assert (last.signed.by, last.accepted.by) == ("wang", "li")


async def entered(stage: Stage, name: str) -> "Page":
    page = await stage.open("handover")
    gate = page.locator(".signin-gate")
    await gate.get_by_label("Name").fill(name)
    await gate.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(gate).to_have_count(0)
    return page
