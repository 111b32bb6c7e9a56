"""Channels, points, trends, the journal and the plan in a real browser."""

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from playwright.async_api import expect

from gateway.core.model import Level, Quality
from gateway.places import Places
from gateway.site.drawings import Drawings, read_drawing
from gateway.site.operation import PlanSection, PositionSection
from tests.e2e.console.stage import PHONE, Stage, chromium_or_skip, plant, staged

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

# A browser that starts on a busy machine takes its time.
pytestmark = pytest.mark.timeout(120)

PASSWORD = "correct horse 9"
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300">
<script>parent.document.title = "broken in"</script><rect width="400" height="300" fill="#7d8894"/></svg>"""


def row(page: "Page", channel: str) -> "Locator":
    return page.locator(f"a.channels-row[href='#/point/{channel}']")


# Channels and points


async def test_a_value_that_may_not_be_believed_is_no_number_and_says_why(stage: Stage) -> None:
    page = await stage.open("channels")
    await expect(row(page, "gd-00.ch4").locator(".channels-value")).to_contain_text("1.0")
    stage.gateway.read(0, 0.0, Quality.SENSOR_FAULT)
    await expect(row(page, "gd-00.ch4").locator(".channels-value")).to_contain_text("— —")
    await expect(row(page, "gd-00.ch4").locator(".channels-quality")).to_have_text("sensor fault")
    await expect(row(page, "gd-00.ch4").locator(".bar-fill")).to_have_count(0)
    assert stage.complaints == []


async def test_the_table_is_filtered_by_words_quality_and_alarm(stage: Stage) -> None:
    page = await stage.open("channels", lang="zh")
    await expect(page.locator(".channels-count")).to_have_text("共 24 个测点")
    await page.keyboard.press("/")
    await page.keyboard.type("锅炉房 co")
    await expect(page.locator(".channels-count")).to_have_text("2 / 24 个测点")
    await page.keyboard.press("Escape")
    await expect(page.locator(".channels-count")).to_have_text("共 24 个测点")
    stage.gateway.read(3, 0.0, Quality.COMMS_LOST)
    stage.gateway.judge(6, Level.HIGH, 31.0)
    await page.get_by_role("button", name=re.compile("无数值")).click()
    await expect(page.locator("a.channels-row")).to_have_count(1)
    await expect(row(page, "gd-03.ch4")).to_be_visible()
    await page.get_by_role("button", name=re.compile("无数值")).click()
    await page.get_by_role("button", name=re.compile("报警中")).click()
    await expect(page.locator("a.channels-row")).to_have_count(1)
    await row(page, "gd-06.ch4").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("CH4 装卸站台 6")
    await expect(page.locator(".point-alarm .chip").first).to_have_text("未确认")


async def test_on_a_phone_the_table_is_cards_that_fit(stage: Stage) -> None:
    page = await stage.open("channels", size=PHONE, lang="zh", look="day")
    await expect(row(page, "gd-00.ch4")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await row(page, "gd-00.ch4").tap()
    await expect(page.locator(".point-value")).to_contain_text("1.0")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_trend_is_read_and_zoomed_by_the_keyboard_and_goes_on_by_itself(stage: Stage) -> None:
    page = await stage.open("point/gd-00.ch4")
    chart = page.get_by_role("group", name="Trend of CH4 Tank farm 0")
    await expect(chart.locator("canvas")).to_be_visible()
    await expect(page.locator(".trend-read")).to_contain_text("lowest")
    stage.gateway.read(0, 7.7)
    await expect(page.locator(".point-value")).to_contain_text("7.7")
    await chart.focus()
    # The newest reading is the one that the stream brought; the chart takes it within its next second.
    for _ in range(20):
        await page.keyboard.press("Escape")
        await page.keyboard.press("ArrowRight")
        if "7.7" in await page.locator(".trend-read b").first.inner_text():
            break
        await page.wait_for_timeout(250)
    await expect(page.locator(".trend-read b").first).to_have_text("7.7 %LEL")
    await page.keyboard.press("+")
    await expect(page.get_by_role("button", name="Whole time")).to_be_visible()
    await page.keyboard.press("0")
    await expect(page.get_by_role("button", name="Whole time")).to_have_count(0)
    assert stage.complaints == []


async def test_what_a_trend_draws_is_said_in_words_too(stage: Stage) -> None:
    stage.gateway.judge(0, Level.HIGH, 17.2)
    page = await stage.open("point/gd-00.ch4")
    said = page.locator(".trend-read .hidden-text")
    # The stand-in's past begins with a reading that was lost with the connection, and no reading came before it.
    await expect(said).to_contain_text(re.compile(r"no connection \d\d:\d\d:\d\d – \d\d:\d\d:\d\d"))
    await expect(said).to_contain_text(re.compile(r"high \d\d:\d\d:\d\d – "))


async def test_a_link_to_an_alarm_opens_its_point_with_what_to_do(stage: Stage) -> None:
    stage.gateway.judge(9, Level.HIGH, 31.0)
    page = await stage.open("alarm/high%3Agd-09.ch4")
    await expect(page.locator(".point-alarm h2")).to_contain_text("CH4 high")
    await expect(page.locator(".point-alarm")).to_contain_text("31.0 %LEL ≥ 10")
    await expect(page.locator(".point-respond")).to_contain_text("0757-8888 0003")
    await page.locator(".point-alarm").get_by_role("button", name="Acknowledge").click()
    await page.locator("dialog").get_by_role("button", name="Acknowledge").click()
    await expect(page.locator(".point-alarm .chip").first).to_have_text("Acknowledged")
    await expect(page.locator(".point-event").first).to_contain_text("acknowledged · local")


async def test_a_channel_that_does_not_exist_is_told(stage: Stage) -> None:
    page = await stage.open("point/gd-99.ch4")
    await expect(page.get_by_text("There is no channel gd-99.ch4.")).to_be_visible()


async def test_without_a_link_no_value_is_shown(stage: Stage) -> None:
    page = await stage.open("channels")
    await row(page, "gd-00.ch4").click()
    await expect(page.locator(".point-value")).to_contain_text("1.0")
    await stage.server.stop()
    await expect(page.locator(".point-value")).to_contain_text("— —", timeout=20_000)
    await page.evaluate("location.hash = '#/channels'")
    await expect(row(page, "gd-00.ch4").locator(".channels-value")).to_contain_text("— —")
    await stage.server.start("127.0.0.1:0")


# The journal


async def test_the_journal_goes_on_by_itself_and_is_narrowed_by_kind(stage: Stage) -> None:
    stage.gateway.judge(0, Level.HIGH, 17.2)
    page = await stage.open("journal")
    lines = page.locator("button.journal-row")
    await expect(lines).to_have_count(1)
    stage.gateway.judge(0, Level.NORMAL, 1.0)
    await expect(lines).to_have_count(2)
    await expect(lines.first).to_contain_text("condition gone")
    await page.get_by_role("button", name="Refused").click()
    await expect(page.get_by_text("No event matches.")).to_be_visible()
    stage.gateway.judge(3, Level.HIGH, 17.2)
    await page.get_by_role("link", name="Clear the filter").click()
    await expect(lines).to_have_count(3)
    await lines.first.click()
    await expect(page.locator("dialog")).to_contain_text("UTC")
    await expect(page.locator("dialog")).to_contain_text("high:gd-03.ch4")
    assert stage.complaints == []


async def test_times_are_typed_in_24_hours_of_the_site(stage: Stage) -> None:
    asked: list[str] = []
    page = await stage.open("journal")
    page.on("request", lambda request: asked.append(unquote(request.url)))
    await page.get_by_role("button", name="As of a time").click()
    field = page.get_by_role("textbox", name="At")
    await field.fill("2026-11-22 25:00")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await field.fill("2026-11-22 23:00")
    async with page.expect_request("**/alarms?at=*"):
        await page.get_by_role("button", name="Show").click()
    assert asked[-1].endswith("/alarms?at=2026-11-22T15:00:00.000Z")


# The plan


@pytest.fixture
async def drawn(tmp_path: Path) -> AsyncIterator[Stage]:
    """A site with a drawing, one instrument placed on it, an engineer and an operator."""
    executable = chromium_or_skip()
    (tmp_path / "floor.svg").write_text(SVG, encoding="utf-8")
    floor = read_drawing(PlanSection(id="floor", label="Floor", label_zh="一层", image="floor.svg"), tmp_path)
    drawings = Drawings((floor,), {"gd-00": PositionSection(plan="floor", x=0.25, y=0.75)})
    gateway = plant(6)
    gateway.places = Places(tmp_path / "places.json", lambda: drawings)
    gateway.tokens = gateway.people.ledger  # type: ignore[assignment]  # the true table, as in the application
    for name, role in (("li", "engineer"), ("wang", "operator")):
        await gateway.people.make("test", name, "", role, PASSWORD)
        gateway.people.store.change(name, must_change=False)
    gateway.journal.clear()
    async with staged(gateway, executable) as one:
        yield one


async def signed_in(stage: Stage, name: str, page: str) -> "Page":
    tab = await stage.open("now")
    answer = await tab.context.request.post(
        f"{stage.url}api/v1/session",
        data={"name": name, "password": PASSWORD},
        headers={"Origin": stage.url.rstrip("/")},
    )
    assert answer.ok, await answer.text()
    await tab.goto(f"{stage.url}#/{page}")
    await tab.reload()
    return tab


def point(page: "Page", instrument: str) -> "Locator":
    return page.locator(f".plan-sheet [data-instrument='{instrument}']")


async def test_an_engineer_places_points_by_mouse_and_keys_and_others_see_it(drawn: Stage) -> None:
    page = await signed_in(drawn, "li", "plan")
    await expect(point(page, "gd-00")).to_be_visible()
    other = await signed_in(drawn, "wang", "plan")
    await expect(point(other, "gd-00")).to_be_visible()
    assert await other.get_by_role("button", name="Place points").count() == 0

    await page.get_by_role("button", name="Place points").click()
    # What an engineer needs beside it makes the plan a little smaller.
    await expect(page.locator(".plan-tray")).to_be_visible()
    await page.wait_for_timeout(200)
    sheet = await page.locator(".plan-sheet").bounding_box()
    dot = await point(page, "gd-00").bounding_box()
    assert sheet
    assert dot
    await page.mouse.move(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2)
    await page.mouse.down()
    await page.mouse.move(sheet["x"] + sheet["width"] * 0.5, sheet["y"] + sheet["height"] * 0.5, steps=4)
    await page.mouse.up()
    await expect(point(other, "gd-00")).to_have_attribute("style", re.compile(r"left: (49|50)\.?\d*%; top: (49|50)"))
    place = drawn.gateway.places.all()["gd-00"]
    assert (place.x, place.y) == pytest.approx((0.5, 0.5), abs=0.01)
    assert place.moved_by == "li"
    assert [event.who for event in drawn.gateway.journal if event.instrument == "gd-00"] == ["li"]

    await point(page, "gd-00").focus()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    await expect(point(other, "gd-00")).to_have_attribute("style", re.compile(rf"left: {(place.x + 0.01) * 100:.0f}"))
    assert drawn.gateway.places.all()["gd-00"].y == place.y

    await page.get_by_role("button", name=re.compile("^Put .* on this plan")).first.click()
    await expect(point(other, "gd-01")).to_be_visible()
    await page.get_by_role("button", name="Site file lines").click()
    await expect(page.locator("textarea")).to_have_value(re.compile("position: {plan: floor, x: 0.5, y: 0.5}"))
    await page.keyboard.press("Escape")
    assert await page.title() != "broken in"


async def test_a_place_that_the_gateway_refuses_goes_back_with_the_reason(drawn: Stage, tmp_path: Path) -> None:
    page = await signed_in(drawn, "li", "plan")
    await page.get_by_role("button", name="Place points").click()
    shutil.rmtree(tmp_path)
    tmp_path.write_text("where the folder was")
    await point(page, "gd-00").focus()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("alert").filter(has_text="places.json")).to_be_visible()
    await expect(point(page, "gd-00")).to_have_attribute("style", re.compile("top: 75%"))
    assert drawn.gateway.places.all()["gd-00"].moved_by == ""


async def test_an_alarm_on_the_plan_has_shape_and_number_and_stays_under_the_pointer_that_zooms(
    drawn: Stage,
) -> None:
    page = await signed_in(drawn, "wang", "plan")
    await expect(point(page, "gd-00").locator(".plan-dot")).to_be_visible()
    drawn.gateway.judge(0, Level.HIGH, 31.0)
    await expect(point(page, "gd-00").locator(".mark-sign")).to_have_text("1")
    await expect(point(page, "gd-00").locator(".plan-halo")).to_have_count(1)
    await expect(point(page, "gd-00")).to_have_attribute("aria-label", re.compile("high"))
    before = await point(page, "gd-00").bounding_box()
    assert before
    await page.mouse.move(before["x"] + before["width"] / 2, before["y"] + before["height"] / 2)
    await page.mouse.wheel(0, -240)
    await expect(page.get_by_role("button", name="Whole plan")).to_be_visible()
    after = await point(page, "gd-00").bounding_box()
    assert after
    assert (after["x"], after["y"]) == pytest.approx((before["x"], before["y"]), abs=3)
    assert after["width"] == pytest.approx(before["width"], abs=0.5)


async def test_a_site_without_a_drawing_has_rooms(stage: Stage) -> None:
    page = await stage.open("plan", lang="zh")
    await expect(page.locator(".plan-room")).to_have_count(4)
    await expect(page.locator(".plan-room").first).to_contain_text("储罐区")
