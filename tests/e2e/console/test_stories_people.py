"""Stories of several people at one gateway: a race, a handover, a wrong password, no mouse, and a label on a wall."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.e2e.console.site_of_stories import PASSWORD, Story, asked, entered, hazgate, rows, told
from tests.e2e.console.stage import PHONE, chromium_or_skip

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

# A browser and a gateway that start on a busy machine take their time.
pytestmark = pytest.mark.timeout(180)


def dialog(page: "Page") -> "Locator":
    return page.get_by_role("dialog")


async def test_two_operators_race_for_one_acknowledgement_and_one_of_them_wins(tmp_path: Path, known: Path) -> None:
    async with told(tmp_path, known, chromium_or_skip()) as story:
        pages = {name: await story.open(lang=lang) for name, lang in (("wang", "en"), ("li", "zh"))}
        for name, page in pages.items():
            await entered(page, name)
        story.plant.show("gd-01", 31.4)
        for page in pages.values():
            await expect(rows(page)).to_have_count(1)
            await page.keyboard.press("a")
            await expect(dialog(page)).to_be_visible()
        # Both press within the same moment: the second order leaves before the first one's event has come.
        enter = "document.querySelector('dialog form').requestSubmit()"
        for page in pages.values():
            await page.evaluate(f"setTimeout(() => {enter}, 300)")
        for page in pages.values():
            await expect(rows(page)).to_contain_text(re.compile("by (wang|li)|已确认.*(wang|li)", re.DOTALL))
        events = (await asked(pages["wang"], "events?limit=200"))["events"]
        acknowledged = [event for event in events if event["kind"] == "acknowledged"]
        assert len(acknowledged) == 1, acknowledged
        winner = acknowledged[0]["who"]
        loser = pages["li" if winner == "wang" else "wang"]
        await expect(dialog(pages[winner])).to_have_count(0)
        await expect(rows(loser)).to_contain_text(winner)
        cases = (await asked(loser, "cases"))["cases"]
        assert [one["received_by"] for one in cases] == [winner]
        story.check()


async def test_a_shift_is_signed_over_by_one_and_accepted_by_another_and_never_by_the_same(
    tmp_path: Path, known: Path
) -> None:
    async with told(tmp_path, known, chromium_or_skip()) as story:
        going, coming = await story.open("handover"), await story.open(lang="zh")
        await entered(going, "wang")
        await entered(coming, "li")
        story.plant.show("gd-02", 14.0)
        await expect(rows(coming)).to_have_count(1)
        await going.get_by_label("What the next shift must know").fill("pump 2 is out for repair")
        await going.get_by_role("button", name="Add note").click()
        await expect(going.locator(".handover-note")).to_contain_text("pump 2 is out for repair")
        await going.get_by_role("button", name="Sign over this shift").click()
        await expect(going.locator(".handover-card")).to_contain_text("somebody of the incoming shift must")
        assert await going.get_by_role("button", name="I have read this and take over").count() == 0
        refused = await accepted_by_hand(going)
        assert refused["status"] == 409, refused

        await coming.get_by_role("link", name="查看并接班").first.click()
        await expect(coming.locator("#handover-open")).to_contain_text("锅炉房")
        await expect(coming.locator(".handover-note")).to_contain_text("pump 2 is out for repair")
        await coming.get_by_role("button", name="已阅读，确认接班").click()
        await expect(going.locator(".handover-past")).to_contain_text("li")
        (last,) = (await asked(coming, "handovers"))["handovers"]
        assert (last["signed"]["by"], last["accepted"]["by"]) == ("wang", "li")
        story.check()


async def accepted_by_hand(page: "Page") -> dict[str, object]:
    """Accept as whoever signed, past the page that offers no button for it."""
    script = """async () => {
        const session = await (await fetch("api/v1/session")).json();
        const [last] = (await (await fetch("api/v1/handovers")).json()).handovers;
        const headers = { "Content-Type": "application/json", "X-CSRF-Token": session.csrf };
        const body = JSON.stringify({ id: last.id, why: "" });
        const answer = await fetch("api/v1/handover/accept", { method: "POST", headers, body });
        return { status: answer.status, ...await answer.json() };
    }"""
    found: dict[str, object] = await page.evaluate(script)
    return found


async def test_an_order_without_a_person_waits_at_the_door_through_wrong_passwords_and_then_goes_on(
    tmp_path: Path, known: Path
) -> None:
    async with told(tmp_path, known, chromium_or_skip(), read="anyone") as story:
        story.plant.show("gd-01", 31.4)
        page = await story.open(lang="zh")
        await expect(rows(page)).to_have_count(1)
        await page.keyboard.press("a")
        await expect(dialog(page)).to_be_visible()
        await page.keyboard.type("正在前往")
        await page.keyboard.press("Enter")
        door = dialog(page).filter(has_text="密码")
        await door.get_by_label("用户名").fill("wang")
        locked = 0
        for _ in range(8):
            await knocked(page, door, "not-the-password")
            said = await door.get_by_role("alert").inner_text()
            assert re.search("密码错误|请等待", said), said
            locked += "请等待" in said
            if locked:
                break
        assert locked, "nobody is kept waiting"
        await expect(rows(page)).to_contain_text("未确认")
        async with page.expect_response(lambda answer: answer.url.endswith("/acknowledge") and answer.ok):
            while await door.count():
                await knocked(page, door, PASSWORD)
        await expect(dialog(page)).to_have_count(0)
        await expect(rows(page)).to_contain_text("已确认")
        events = (await asked(page, "events?limit=200"))["events"]
        given = [(event["who"], event["why"]) for event in events if event["kind"] == "acknowledged"]
        assert given == [("wang", "正在前往")]
        story.check()


ANSWERED = """() => {
    const door = [...document.querySelectorAll("dialog")].find((each) => each.querySelector(".signin-password"));
    return !door || !door.querySelector("button[type=submit]").disabled;
}"""


async def knocked(page: "Page", door: "Locator", password: str) -> None:
    """Try a password, and wait for what the gateway says to it."""
    async with page.expect_response(lambda answer: answer.url.endswith("/session")):
        await door.locator("input[type=password]").fill(password)
        await door.get_by_role("button", name="登录").click()
    await page.wait_for_function(ANSWERED)


async def test_no_mouse_is_needed_for_anything(tmp_path: Path, known: Path) -> None:
    async with told(tmp_path, known, chromium_or_skip()) as story:
        page = await story.open()
        # The name has the focus already; Tab leads to the password.
        await expect(page.get_by_label("Name")).to_be_focused()
        await page.keyboard.type("wang")
        await page.keyboard.press("Tab")
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.locator(".now-calm")).to_be_visible()
        story.plant.show("gd-01", 31.4)
        await expect(rows(page)).to_have_count(1)
        story.plant.show("gd-02", 12.0)
        await expect(rows(page)).to_have_count(2)
        await by_keys_acknowledged_and_shelved(page)
        await by_keys_through_all_pages(page)
        await by_keys_handed_over(page)
        story.check()


async def by_keys_acknowledged_and_shelved(page: "Page") -> None:
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    await expect(page.locator(".now-on")).to_contain_text("CH4 high")
    await page.keyboard.press("m")
    await expect(page.get_by_role("button", name="Silence")).to_be_disabled()
    await page.keyboard.press("a")
    await page.keyboard.type("on my way, jam at the gate")
    await page.keyboard.press("Enter")
    await expect(dialog(page)).to_have_count(0)
    await expect(page.locator(".now-on")).to_contain_text("CH4 low")
    await page.keyboard.press("s")
    await expect(dialog(page)).to_contain_text("Shelve")
    await page.keyboard.type("known cause, being mended")
    await page.keyboard.press("Enter")
    await expect(rows(page)).to_have_count(1)
    await expect(page.get_by_role("button", name="Shelved 1")).to_be_visible()
    await expect(page.locator(".now-on")).to_contain_text("CH4 high")
    await page.keyboard.press("x")
    await expect(page.locator(".now-bulk")).to_contain_text("1 marked")
    await page.keyboard.press("Escape")
    await expect(page.locator(".now-bulk")).to_have_count(0)
    await page.keyboard.press("?")
    await expect(dialog(page)).to_contain_text("Keyboard")
    await page.keyboard.press("Escape")
    await expect(dialog(page)).to_have_count(0)
    await page.keyboard.press("o")
    await expect(page.locator("main h1")).to_contain_text("gd-01")


async def by_keys_through_all_pages(page: "Page") -> None:
    for key, name in (("c", "Channels"), ("j", "Journal"), ("h", "Handover"), ("s", "System"), ("n", "Now")):
        await page.keyboard.press("g")
        await page.keyboard.press(key)
        await expect(page.locator(".shell-tab[aria-current=page]")).to_have_text(re.compile(f"^{name}"))
    await page.keyboard.press("g")
    await page.keyboard.press("c")
    await expect(page.locator("[data-filter]")).to_be_visible()
    await page.keyboard.press("/")
    await page.keyboard.type("gd-03")
    await expect(page.locator("a.channels-row")).to_have_count(1)
    await page.keyboard.press("Escape")


async def by_keys_handed_over(page: "Page") -> None:
    await page.keyboard.press("g")
    await page.keyboard.press("h")
    note = page.get_by_label("What the next shift must know")
    await expect(note).to_be_visible()
    await tabbed_to(page, note)
    await page.keyboard.type("nothing but gd-01")
    await page.keyboard.press("Enter")
    await expect(page.locator(".handover-note")).to_contain_text("nothing but gd-01")
    await tabbed_to(page, page.get_by_role("button", name="Sign over this shift"))
    await page.keyboard.press("Enter")
    await expect(page.locator(".handover-card")).to_contain_text("Signed over")
    # The ways that have no letter are reached by Tab, and the menu by its arrows.
    await tabbed_to(page, page.locator(".shell-head").get_by_role("button", name=re.compile("Account")))
    await page.keyboard.press("Enter")
    await expect(page.locator(".menu-list").locator("a, button").first).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(".menu-list").get_by_role("link", name="Responses")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator(".case-whole")).to_be_visible()


TABS_MAX = 80


async def tabbed_to(page: "Page", wanted: "Locator") -> None:
    """Press Tab until something has the focus, and see that it shows it."""
    for _ in range(TABS_MAX):
        await page.keyboard.press("Tab")
        if await wanted.evaluate("one => one === document.activeElement"):
            ring = await wanted.evaluate("one => getComputedStyle(one).outlineStyle")
            assert ring != "none", "what has the focus does not show it"
            return
    raise AssertionError(f"{wanted} cannot be reached by Tab")


async def test_a_label_leads_a_phone_to_its_instrument_where_a_test_a_list_and_a_problem_are_told(
    tmp_path: Path, known: Path
) -> None:
    async with told(tmp_path, known, chromium_or_skip(), owed=True) as story:
        page = await story.open(size=PHONE, lang="en")
        await entered(page, "zhao")
        await expect(rows(page)).to_contain_text("gd-03")
        await page.goto(scanned(story, "gd-03"))
        await expect(page.locator(".instrument-head")).to_contain_text("CH4 head gd-03")
        await expect(page.locator(".instrument-figure")).to_contain_text("1.2")
        await expect(page.locator(".instrument-under")).to_contain_text("≥ 10 · ≥ 25")
        await bump_tested(page)
        await ticked(page)
        case = await reported(story, page)
        await page.get_by_role("link", name="To the response").click()
        await expect(page.locator(".case-photo img")).to_be_visible()
        await expect(page.locator(".case-title")).to_contain_text("housing cracked")
        whole = page.locator(".case-whole")
        await whole.get_by_role("button", name="I am on site").click()
        await whole.get_by_role("button", name="Report and close").click()
        await whole.get_by_role("radio", name="Instrument fault").check()
        await whole.get_by_label("What was found").fill("housing changed")
        await whole.get_by_role("button", name="Close", exact=True).click()
        await expect(page.locator(".case-since")).to_contain_text("Closed")
        found = await asked(page, f"cases/{case}")
        assert (found["state"], found["outcome"], found["opened_by"]) == ("closed", "instrument_fault", "zhao")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        story.check()


def scanned(story: Story, instrument: str) -> str:
    """Print the sheet of labels and read what the code of one of them says, as the camera of a phone does."""
    sheet = story.folder / "labels.pdf"
    hazgate("labels", str(story.folder / "site.yaml"), "--url", story.url, "--only", instrument, "--out", str(sheet))
    if shutil.which("zbarimg") is None or shutil.which("pdftoppm") is None:
        pytest.skip("reading a printed code back needs zbarimg (zbar-tools) and pdftoppm (poppler-utils)")
    subprocess.run(["pdftoppm", "-r", "200", "-png", str(sheet), str(story.folder / "label")], check=True)
    images = [str(image) for image in story.folder.glob("label*.png")]
    read = subprocess.run(["zbarimg", "--quiet", "--raw", *images], capture_output=True, text=True, check=True)
    return read.stdout.splitlines()[0]


async def bump_tested(page: "Page") -> None:
    """A bump test whose reading is wrong is no test; one that is right ends the alarm of the one that was owed."""
    await expect(page.locator(".instrument-test").first).to_contain_text("overdue")
    for shown, said in (("20", "not passed"), ("49.5", "in order")):
        await page.get_by_role("button", name="Record a test").click()
        await dialog(page).get_by_label("Reading with test gas").fill(shown)
        await dialog(page).get_by_role("button", name="Record", exact=True).click()
        await expect(dialog(page)).to_have_count(0)
        await expect(page.locator(".instrument-test").first).to_contain_text(said)
    await expect(page.locator(".instrument-test").first).to_contain_text("zhao")


async def ticked(page: "Page") -> None:
    await page.get_by_label("Inlet free?").check()
    await page.get_by_label("Note").fill("lamp is dark")
    async with page.expect_response(lambda answer: answer.url.endswith("/checks")) as sent:
        await page.get_by_role("button", name="Send the checklist").click()
    assert (await sent.value).ok


async def reported(story: Story, page: "Page") -> str:
    """A problem, with a picture far larger than a request may be: the phone makes it small."""
    picture = story.folder / "photo.jpg"
    await page.screenshot(path=picture, type="jpeg", quality=100, full_page=True)
    await page.get_by_role("button", name="Report a problem").click()
    await dialog(page).get_by_label("What did you see?").fill("housing cracked")
    await dialog(page).locator("input[type=file]").set_input_files(picture)
    await expect(page.locator(".instrument-photo canvas")).to_be_visible()
    await dialog(page).get_by_role("button", name="Report", exact=True).click()
    link = page.get_by_role("link", name="To the response")
    await expect(link).to_be_visible()
    address = await link.get_attribute("href")
    assert address
    return address.removeprefix("#/case/")
