"""The page that is always open, in a real browser: what it tells of an alarm, and what an operator does there."""

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from gateway.core.alarm import AlarmState, Command, Verb
from gateway.core.model import Channel, Level, Quality, Reason
from tests.e2e.console.stage import DESK, PHONE, Stage, chromium_or_skip, plant, staged, trouble

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

# A browser that starts on a busy machine takes its time.
pytestmark = pytest.mark.timeout(120)

FITS = "document.documentElement.scrollWidth <= innerWidth"


def rows(page: "Page") -> "Locator":
    return page.locator(".now-row:not(.now-over)")


async def in_view(page: "Page", text: str) -> bool:
    """Whether a text can be read without a click or a scroll."""
    for place in await page.get_by_text(text).all():
        box = await place.bounding_box()
        size = page.viewport_size
        if box and size and box["y"] >= 0 and box["y"] + box["height"] <= size["height"] and box["x"] >= 0:
            return True
    return False


@pytest.mark.parametrize(("size", "lang"), [(DESK, "en"), (PHONE, "zh")])
async def test_all_that_must_be_known_is_seen_without_a_click(stage: Stage, size: dict[str, int], lang: str) -> None:
    page = await stage.open(size=size, lang=lang)
    await expect(page.locator(".now-calm")).to_be_visible()
    assert await page.title() == "Plant 1"
    trouble(stage.gateway)
    await expect(rows(page).first).to_be_visible()
    await expect(page).to_have_title("(7) Plant 1")
    english = (
        "CH4 high",
        "Workshop",
        "31.0",
        "%LEL ≥ 10",
        "first-out",
        "Leave the area against the wind",
        "0757-8888 0003",
    )
    chinese = ("甲烷 CH4 高限", "车间", "31.0", "%LEL ≥ 10", "首发", "Leave the area", "0757-8888 0003")
    for told in english if lang == "en" else chinese:
        assert await in_view(page, told), told
    await expect(page.locator(".shell-banner .mark")).to_have_attribute("aria-label", re.compile(" 1$"))
    await expect(page.locator(".shell-link-live")).to_be_visible()
    await expect(rows(page).first.get_by_role("button", name="Ack" if lang == "en" else "确认")).to_be_visible()
    assert await page.evaluate(FITS)
    assert stage.complaints == []
    assert stage.hosts == {stage.url.split("/")[2]}, "the page asks another host"


async def test_an_alarm_is_acknowledged_and_reset_by_the_keyboard_and_the_next_one_is_chosen(stage: Stage) -> None:
    gateway = stage.gateway
    gateway.judge(0, Level.HIGH, 17.2)
    gateway.judge(9, Level.HIGH, 31.0)
    page = await stage.open()
    await expect(rows(page)).to_have_count(2)
    await page.keyboard.press("a")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.type("on my way, a jam")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(rows(page).nth(1)).to_contain_text("Acknowledged")
    await expect(page.locator(".now-on")).to_contain_text("Tank farm")
    acked = next(alarm for alarm in gateway.alarms() if alarm.id == "high:gd-09.ch4").event
    assert (acked.state, acked.who, acked.why) == (AlarmState.ACKED, "local", "on my way, a jam")
    assert next(alarm for alarm in gateway.alarms() if alarm.id == "high:gd-00.ch4").event.state is AlarmState.UNACKED

    gateway.judge(9, Level.NORMAL, 1.0)
    await expect(rows(page).nth(1)).to_contain_text("Held until reset")
    await page.keyboard.press("j")
    await page.keyboard.press("r")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(rows(page)).to_have_count(1)
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("m")
    await expect(page.get_by_role("button", name="Silence")).to_be_disabled()
    assert not gateway.audible()
    assert stage.complaints == []


async def test_marked_alarms_are_acknowledged_at_once_and_their_number_is_told_before(stage: Stage) -> None:
    trouble(stage.gateway)
    page = await stage.open()
    await expect(rows(page)).to_have_count(7)
    await page.get_by_role("checkbox", name="Mark all").check()
    await expect(page.locator(".now-bulk")).to_contain_text("7 marked")
    await page.keyboard.press("A")
    await expect(page.locator(".order-about")).to_contain_text("7 alarms")
    await page.get_by_role("button", name="Acknowledge 7").last.click()
    await expect(page.locator(".now-bulk")).to_have_count(0)
    await expect(page.locator(".now-new")).to_have_count(0)
    assert {alarm.event.acked_by for alarm in stage.gateway.alarms()} == {"local"}


async def test_what_has_changed_is_not_acknowledged_unseen_and_the_note_is_kept(stage: Stage) -> None:
    gateway = stage.gateway
    gateway.judge(1, Level.LOW, 61.0)
    page = await stage.open()
    await expect(rows(page)).to_have_count(1)
    await page.keyboard.press("a")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.type("only a little")
    gateway.judge(1, Level.HIGH, 95.0)
    await expect(page.locator(".shell-banner")).to_contain_text("high")
    await page.keyboard.press("Enter")
    await expect(page.locator("dialog .refused")).to_be_visible()
    await expect(page.locator("#order-why")).to_have_value("only a little")
    assert gateway.alarms()[0].event.state is AlarmState.UNACKED


async def test_a_row_under_the_pointer_never_moves(stage: Stage) -> None:
    gateway = stage.gateway
    gateway.judge(1, Level.LOW, 61.0)
    gateway.judge(4, Level.LOW, 63.0)
    page = await stage.open()
    await expect(rows(page)).to_have_count(2)
    below = rows(page).nth(1)
    before = await below.bounding_box()
    words = await below.inner_text()
    assert before
    await page.mouse.move(before["x"] + 300, before["y"] + 10)
    await page.mouse.move(before["x"] + 310, before["y"] + 12)
    gateway.judge(0, Level.HIGH, 17.2)
    await expect(page.get_by_role("button", name="1 new")).to_be_visible()
    after = await below.bounding_box()
    assert after
    assert words.split("\n")[0] == (await below.inner_text()).split("\n")[0]
    # The banner may have come above the list; within the list the row stays.
    assert await rows(page).count() == 2
    await page.get_by_role("button", name="1 new").click()
    await expect(rows(page)).to_have_count(3)
    await expect(rows(page).first).to_contain_text("CH4 high")


async def test_a_warning_is_calm_and_a_fault_has_no_value(stage: Stage) -> None:
    gateway = stage.gateway
    gateway.judge(12, Level.WARNING, 4.4, Reason("CH4: +3.2 %LEL in 5 min", "甲烷：5 分钟内 +3.2 %LEL"))
    page = await stage.open(lang="zh", look="day")
    await expect(rows(page)).to_have_count(1)
    await expect(rows(page)).to_contain_text("5 分钟内 +3.2 %LEL")
    await expect(page.locator(".shell-banner")).to_have_count(0)
    assert await rows(page).locator(".flash").count() == 0
    await expect(page.get_by_role("button", name="消音")).to_be_disabled()
    gateway.judge(7, Level.FAULT, float("nan"))
    gateway.read(7, 0.0, Quality.COMMS_LOST)
    await expect(rows(page).first).to_contain_text("通信中断")
    await expect(rows(page).first.locator(".gone")).to_have_text("— —")
    await expect(page.get_by_role("button", name="故障 1", exact=True)).to_be_visible()


async def test_shelved_alarms_have_a_list_of_their_own_with_the_time_that_is_left(stage: Stage) -> None:
    gateway = stage.gateway
    gateway.judge(1, Level.LOW, 61.0)
    page = await stage.open()
    await expect(rows(page)).to_have_count(1)
    await page.keyboard.press("s")
    await page.get_by_role("button", name="15 min").click()
    await page.get_by_role("button", name="Chattering").click()
    await page.get_by_role("button", name="Shelve", exact=True).last.click()
    await expect(page.locator(".now-calm")).to_be_visible()
    assert gateway.alarms()[0].event.state is AlarmState.SHELVED
    await page.get_by_role("button", name="Shelved 1").click()
    await expect(rows(page)).to_contain_text("ends in 14:")
    await rows(page).get_by_role("button", name="Unshelve").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.get_by_role("button", name="All 1", exact=True).click()
    await expect(rows(page).first).to_contain_text("Unacknowledged")


async def test_names_of_instruments_cannot_run_as_a_program() -> None:
    gateway = plant(1)
    evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    one = gateway.channels[0]
    gateway.channels = (Channel(row=0, id=one.id, instrument=evil, quantity="ch4", unit=evil, area=evil, label=evil),)
    async with staged(gateway, chromium_or_skip()) as stage:
        gateway.system("system/uplink/" + evil, evil)
        gateway.judge(0, Level.HIGH, 17.2)
        page = await stage.open()
        await expect(rows(page)).to_have_count(2)
        assert await page.locator("img, #app script").count() == 0
        assert await page.title() == "(2) Plant 1"
        await expect(rows(page).last).to_contain_text("<img")


@pytest.mark.parametrize("size", [DESK, PHONE])
async def test_a_flood_stays_usable_and_is_told_by_area(stage: Stage, size: dict[str, int]) -> None:
    gateway = stage.gateway
    page = await stage.open(size=size)
    await expect(page.locator(".now-calm")).to_be_visible()
    for number in range(450):
        gateway.system(f"system/uplink/p{number:03d}", "no answer")
    for row in range(16):
        gateway.judge(row, Level.HIGH, 90.0 + row)
    await expect(page.locator(".shell-flood")).to_contain_text("466")
    await expect(page.get_by_role("button", name="All 466")).to_be_visible()
    await expect(rows(page).first).to_contain_text("CH4 high")
    assert await page.locator(".now-row").count() < 40, "only what is seen exists"
    await page.locator(".shell-flood-area", has_text="Tank farm").click()
    await expect(page.get_by_role("button", name="460 open alarms are not shown")).to_be_visible()
    assert await page.evaluate(FITS)
    await gateway.command(Command(verb=Verb.SILENCE, who="li"))
    assert stage.complaints == []
