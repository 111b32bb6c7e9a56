"""Whole stories as people live through them, from the first beep to the archive, before a gateway that really runs."""

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.e2e.console.site_of_stories import Story, asked, entered, readable, rows, told
from tests.e2e.console.stage import DESK, PHONE, chromium_or_skip

if TYPE_CHECKING:
    from playwright.async_api import Page

# A browser and a gateway that start on a busy machine take their time.
pytestmark = pytest.mark.timeout(180)

LOST_WITHIN_MS = 12_000
BACK_WITHIN_MS = 5_000
SLOW = 3
"""What a machine with two busy cores may need more than one that has nothing else to do."""

WORDS = {
    "en": {
        "online": "3 channels online",
        "low": "CH4 low",
        "high": "CH4 high",
        "where": "Boiler room",
        "do": "Leave, close valve V3",
        "first": "first-out",
        "ack": "Acknowledge",
        "dispatch": "Dispatch",
        "who": "Who is sent",
        "phone": "Telephone",
        "arrive": "Is on site",
        "act": "Note an action",
        "did": "What was done",
        "write": "Write down",
        "stale": "Data is stale",
        "lost": "Disconnected from the gateway",
        "held": "Held until reset",
        "reset": "Reset",
        "whole": "Open response",
        "report": "Report and close",
        "real": "Real alarm",
        "found": "What was found",
        "close": "Close",
        "silence": "Silence",
    },
    "zh": {
        "online": "3 个测点在线",
        "low": "低限",
        "high": "高限",
        "where": "锅炉房",
        "do": "撤离，关闭室外 V3 阀",
        "first": "首发",
        "ack": "确认",
        "dispatch": "派单",
        "who": "处置人",
        "phone": "电话",
        "arrive": "已到场",
        "act": "记录处置",
        "did": "处置措施",
        "write": "记录",
        "stale": "数据陈旧",
        "lost": "与网关断开",
        "held": "保持",
        "reset": "复位",
        "whole": "打开处置单",
        "report": "反馈并归档",
        "real": "真实报警",
        "found": "情况反馈",
        "close": "归档",
        "silence": "消音",
    },
}


@pytest.mark.parametrize(("size", "lang"), [(DESK, "zh"), (PHONE, "en")], ids=["desk-zh", "phone-en"])
async def test_a_leak_goes_from_the_first_beep_to_the_archive_though_the_link_fails_in_between(
    tmp_path: Path, known: Path, size: dict[str, int], lang: str
) -> None:
    async with told(tmp_path, known, chromium_or_skip()) as story:
        page = await story.open(size=size, lang=lang)
        await entered(page, "wang")
        await expect(page.locator(".now-calm")).to_contain_text(WORDS[lang]["online"])
        await leak_is_seen(story, page, lang)
        await acknowledged_and_risen(story, page, lang)
        await sent(page, lang)
        await link_fails(story, page, lang)
        await arrived_and_mended(story, page, lang)
        await archived(page, lang)
        story.check()
        events = (await asked(page, "events?limit=200"))["events"]
        kinds = [event["kind"] for event in events if event["alarm"] == "gas:gd-01.ch4"]
        wanted = {"raised": 1, "escalated": 1, "acknowledged": 2, "reset": 1}
        assert {kind: kinds.count(kind) for kind in wanted} == wanted


async def leak_is_seen(story: Story, page: "Page", lang: str) -> None:
    """What, how bad, where, since when, who is on it, what to do: before anybody has touched anything."""
    words = WORDS[lang]
    story.plant.show("gd-01", 17.2)
    await expect(rows(page)).to_have_count(1)
    await expect(page).to_have_title(re.compile(r"^\(1\) "))
    await readable(page, words["low"], words["where"], "17.2", "10", words["first"], words["do"], "0757-8888 1201")
    await expect(page.locator(".shell-banner .mark")).to_have_attribute("aria-label", re.compile(r"\b2$"))
    await expect(page.locator(".shell-banner-facts")).to_contain_text(re.compile(r"\d\d:\d\d:\d\d"))
    await expect(page.locator(".shell-link-live")).to_be_visible()
    await expect(page.locator(".shell-sound-on")).to_be_visible()
    await expect(page.get_by_role("button", name=words["silence"])).to_be_enabled()
    if page.viewport_size == DESK:
        await expect(page.locator(".plan-point-2, [class*=plan] .mark").first).to_be_visible()


async def acknowledged_and_risen(story: Story, page: "Page", lang: str) -> None:
    """An acknowledged alarm that gets worse is unacknowledged and heard again."""
    words = WORDS[lang]
    await acknowledge(page, lang)
    await expect(page.get_by_role("button", name=words["silence"])).to_be_disabled()
    story.plant.show("gd-01", 31.4)
    await expect(page.locator(".shell-banner")).to_contain_text(words["high"])
    await expect(page.locator(".shell-banner .mark")).to_have_attribute("aria-label", re.compile(r"\b1$"))
    await expect(page.get_by_role("button", name=words["silence"])).to_be_enabled()
    await acknowledge(page, lang)


async def acknowledge(page: "Page", lang: str) -> None:
    await page.locator(".shell-banner-ack").click()
    await page.get_by_role("dialog").get_by_role("button", name=WORDS[lang]["ack"], exact=True).click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(rows(page)).to_contain_text("wang")
    await expect(page.locator(".shell-banner")).to_have_count(0)


async def sent(page: "Page", lang: str) -> None:
    """Somebody is sent, from beside the alarm."""
    words = WORDS[lang]
    if page.viewport_size == PHONE:
        await rows(page).locator(".now-what").click()
    steps = page.locator(".case-compact")
    await steps.get_by_role("button", name=words["dispatch"], exact=True).click()
    await steps.get_by_label(words["who"]).fill("李强")
    await steps.get_by_label(words["phone"], exact=True).fill("138 0000 1234")
    await steps.get_by_role("button", name=words["dispatch"], exact=True).click()
    await expect(steps.locator(".case-line")).to_contain_text("李强")


async def link_fails(story: Story, page: "Page", lang: str) -> None:
    """A gateway that hangs (desk), a line that is cut (phone): no value and no order, then the full truth."""
    words, hangs = WORDS[lang], page.viewport_size == DESK
    story.plant.show("gd-01", 29.9)
    await expect(page.locator(".now-detail .now-big")).to_contain_text("29.9")
    if hangs:
        story.gateway.signal(signal.SIGSTOP)
        await expect(page.locator(".shell-lost")).to_contain_text(words["stale"], timeout=LOST_WITHIN_MS)
    else:
        await story.cut()
    await expect(page.locator(".shell-lost")).to_contain_text(words["lost"], timeout=LOST_WITHIN_MS)
    await expect(page).to_have_title(re.compile("^⚠ "))
    await expect(page.locator(".now-detail .now-big")).to_contain_text("— —")
    assert "29.9" not in await page.locator("main").inner_text(), "a value that is not known is shown"
    await expect(page.locator(".case-compact").get_by_role("button", name=words["arrive"])).to_be_disabled()
    story.plant.show("gd-01", 33.8)
    story.plant.show("gd-02", 12.6)
    if hangs:
        story.gateway.signal(signal.SIGCONT)
    else:
        await story.mend()
    await expect(page.locator(".shell-lost")).to_have_count(0, timeout=BACK_WITHIN_MS * SLOW)
    await expect(page.locator(".now-detail .now-big")).to_contain_text("33.8")
    await expect(page.locator(".shell-banner")).to_contain_text("12.6")
    story.plant.show("gd-02", 1.0)


async def arrived_and_mended(story: Story, page: "Page", lang: str) -> None:
    """The responder is there, does something, the gas goes, and a person resets what is held."""
    words, steps = WORDS[lang], page.locator(".case-compact")
    await steps.get_by_role("button", name=words["arrive"]).click()
    await steps.get_by_role("button", name=words["act"]).click()
    await steps.get_by_label(words["did"]).fill("V3 closed, vented")
    await steps.get_by_role("button", name=words["write"], exact=True).click()
    await expect(steps.get_by_role("button", name=words["report"])).to_be_visible()
    story.plant.show("gd-01", 1.0)
    detail = page.locator(".now-detail")
    await expect(detail).to_contain_text(words["held"])
    await detail.get_by_role("button", name=re.compile(words["reset"])).click()
    await steps.get_by_role("link", name=words["whole"]).evaluate("link => { window.storyOfCase = link.href; }")
    await page.get_by_role("dialog").get_by_role("button", name=words["reset"], exact=True).click()
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def archived(page: "Page", lang: str) -> None:
    """What was found is reported back, and the response is closed with all its six steps."""
    words = WORDS[lang]
    await page.evaluate("location.hash = new URL(window.storyOfCase).hash")
    whole = page.locator(".case-whole")
    await whole.get_by_role("button", name=words["report"]).click()
    await whole.get_by_role("radio", name=words["real"]).check()
    await whole.get_by_label(words["found"]).fill("阀杆密封已更换 / stem seal changed")
    await whole.get_by_role("button", name=words["close"], exact=True).click()
    await expect(whole.locator(".case-steps > .done")).to_have_count(6)
    closed = (await asked(page, "cases?state=closed"))["cases"]
    told_of = [(one["outcome"], one["assignee"], one["closed_by"], one["received_by"]) for one in closed]
    assert told_of == [("real", "李强", "wang", "wang")]
