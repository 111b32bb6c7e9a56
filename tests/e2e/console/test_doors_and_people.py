"""Who may do what, as people meet it: the first account, a wrong password, an order that lacks a person, tokens."""

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from gateway.api.server import ApiServer
from gateway.core.alarm import AlarmState
from gateway.core.model import Level
from tests.e2e.console.stage import PHONE, Stage

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

# A browser that starts on a busy machine takes its time.
pytestmark = pytest.mark.timeout(120)

PASSWORD = "green-river-lantern"


async def people(stage: Stage) -> None:
    """Make an administrator and an operator, both with passwords of their own."""
    made = stage.gateway.people
    await made.make("test", "zhao", "Zhao Min", "administrator", "first-river-lantern")
    await made.make("test", "wang", "Wang Lei", "operator", "first-river-lantern")
    for name in ("zhao", "wang"):
        _, signed = await made.sign_in(name, "first-river-lantern", "127.0.0.1")
        await made.change_password(signed, "first-river-lantern", PASSWORD, "127.0.0.1")


async def readable(stage: Stage) -> None:
    """Let anyone read; ordering needs a person."""
    port = stage.server.port
    await stage.server.stop()
    stage.server = ApiServer(stage.gateway, open_read=True)
    await stage.server.start(f"127.0.0.1:{port}")


def door(page: "Page") -> "Locator":
    return page.get_by_role("dialog")


async def knock(page: "Page") -> None:
    """Open the door from the header."""
    await page.locator(".shell-head").get_by_role("button", name=re.compile("Account|More")).click()
    await page.locator(".menu-list").get_by_role("button", name=re.compile("Sign in|Account")).click()


async def sign_in(page: "Page", name: str, password: str = PASSWORD) -> None:
    await door(page).get_by_label("Name").fill(name)
    await door(page).get_by_label("Password", exact=False).first.fill(password)
    await door(page).get_by_role("button", name="Sign in").click()


async def test_a_wrong_password_is_said_and_the_right_one_goes_on_with_the_order(stage: Stage) -> None:
    await people(stage)
    await readable(stage)
    stage.gateway.judge(0, Level.HIGH, 17.2)
    page = await stage.open("handover")
    await page.get_by_label("What the next shift must know").fill("valve V3 is closed")
    await page.get_by_role("button", name="Add note").click()
    await expect(door(page)).to_be_visible()
    await sign_in(page, "wang", "not-the-password")
    await expect(door(page).get_by_role("alert")).to_contain_text("wrong")
    await sign_in(page, "wang")
    await expect(door(page)).to_have_count(0)
    await expect(page.locator(".handover-note")).to_contain_text("valve V3 is closed")
    await expect(page.locator(".handover-note")).to_contain_text("wang")
    state = next(each for each in stage.gateway.alarms() if each.id == "high:gd-00.ch4").event.state
    assert state is AlarmState.UNACKED, "signing in acknowledges nothing"


async def test_a_gateway_that_shows_nothing_to_strangers_shows_the_door_first(stage: Stage) -> None:
    await people(stage)
    stage.gateway.judge(0, Level.HIGH, 17.2)
    page = await stage.open()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.locator(".now-row")).to_have_count(0)
    gate = page.locator(".signin-gate")
    await gate.get_by_label("Name").fill("wang")
    await gate.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.locator(".now-row")).to_have_count(1)
    await expect(gate).to_have_count(0)


async def test_too_many_wrong_passwords_say_how_long_to_wait(stage: Stage) -> None:
    await people(stage)
    await readable(stage)
    page = await stage.open("system")
    await knock(page)
    for _ in range(12):
        await sign_in(page, "wang", "not-the-password")
        await expect(door(page).get_by_role("alert")).to_contain_text(re.compile("wrong|Wait"))
        await expect(door(page).get_by_role("button", name="Sign in")).to_be_enabled()
        if "Wait" in await door(page).get_by_role("alert").inner_text():
            break
    await expect(door(page).get_by_role("alert")).to_contain_text(re.compile(r"Wait \d+ (s|min)"))


async def test_whoever_was_given_a_password_chooses_another_and_sees_the_alarms_meanwhile(stage: Stage) -> None:
    await stage.gateway.people.make("test", "zhao", "Zhao Min", "administrator", "first-river-lantern")
    await readable(stage)
    stage.gateway.judge(0, Level.HIGH, 17.2)
    page = await stage.open("system", size=PHONE)
    await knock(page)
    await sign_in(page, "zhao", "first-river-lantern")
    await expect(door(page)).to_contain_text("only you know")
    await door(page).get_by_role("button", name="Later").click()
    await expect(page.locator(".shell-banner")).to_be_visible()
    await knock(page)
    await door(page).get_by_role("button", name="Change password").click()
    await door(page).get_by_label("Present password").fill("first-river-lantern")
    await door(page).get_by_label("New password").fill(PASSWORD)
    await door(page).get_by_label("Password once more").fill("another-lantern")
    await door(page).get_by_role("button", name="Change password").click()
    await expect(door(page).get_by_role("alert")).to_contain_text("not the same")
    await door(page).get_by_label("Password once more").fill(PASSWORD)
    await door(page).get_by_role("button", name="Change password").click()
    await expect(door(page)).to_have_count(0)
    accounts = await stage.gateway.people.accounts()
    assert [account.row.must_change for account in accounts] == [False]


async def test_an_administrator_adds_a_person_and_makes_a_token_that_is_shown_once(stage: Stage) -> None:
    await people(stage)
    await readable(stage)
    page = await stage.open("people")
    await page.get_by_role("main").get_by_role("button", name="Sign in").click()
    await sign_in(page, "zhao")
    await expect(page.locator(".people-person")).to_have_count(2)
    await page.get_by_role("button", name="Add a person").click()
    await door(page).get_by_label("Name", exact=True).fill("li")
    await door(page).get_by_label("Name as others read it").fill("Li Na")
    await door(page).get_by_text("Engineer").click()
    await door(page).get_by_role("button", name="Make").click()
    await expect(page.locator(".people-person")).to_have_count(3)
    made = {account.row.name: account.row for account in await stage.gateway.people.accounts()}
    assert (made["li"].role, made["li"].display_name, made["li"].must_change) == ("engineer", "Li Na", True)
    await page.get_by_role("button", name="Make a token").click()
    await door(page).get_by_label("Name").fill("scada")
    await door(page).get_by_role("button", name="Make").click()
    shown = await door(page).locator("input[readonly]").input_value()
    assert re.fullmatch(r"hzg_[\w-]{43}", shown)
    await door(page).get_by_role("button", name="I have kept it").click()
    await expect(page.locator(".people-token")).to_contain_text("scada")
    assert shown not in await page.content(), "a token is shown once"
    await page.locator(".people-token").get_by_role("button", name="Revoke").click()
    await door(page).get_by_role("button", name="Revoke").click()
    await expect(page.locator(".people-token")).to_have_count(0)
    assert await stage.gateway.people.tokens() == []


async def test_the_last_administrator_keeps_the_role_and_is_told_why(stage: Stage) -> None:
    await people(stage)
    await readable(stage)
    page = await stage.open("people")
    await page.get_by_role("main").get_by_role("button", name="Sign in").click()
    await sign_in(page, "zhao")
    mine = page.locator(".people-person", has_text="Zhao Min")
    await mine.get_by_role("combobox").select_option("viewer")
    await expect(mine.get_by_role("alert")).to_contain_text("administrator")
    await expect(mine.get_by_role("combobox")).to_have_value("administrator")
    roles = {account.row.name: account.row.role for account in await stage.gateway.people.accounts()}
    assert roles["zhao"] == "administrator"
