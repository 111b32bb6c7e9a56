"""Signing in, sessions, accounts and tokens through the API, and those who try without."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.api.access import COOKIE, token_digest
from gateway.api.application import Api, create_api, openapi_document
from gateway.core.alarm import EventKind
from gateway.core.clock import ManualClock
from gateway.core.model import Level
from gateway.people.proving import WAITING_MAX
from gateway.store.people import IDLE_NS
from tests.integration.memory_gateway import MemoryGateway

V1 = "/api/v1"
GOOD = "correct horse 9"
OTHER = "battery staple 7"
ALARM = "high:gd-00.ch4"


class Browser:
    """One browser at one address: keeps cookies, sends the CSRF token it was told."""

    def __init__(self, api: Api, address: str = "192.0.2.7", base: str = "http://gw.example") -> None:
        transport = httpx.ASGITransport(api, raise_app_exceptions=False, client=(address, 1))
        self.http = httpx.AsyncClient(transport=transport, base_url=base)
        self.csrf = ""

    async def sign_in(self, name: str, password: str, **more: Any) -> httpx.Response:
        answer = await self.http.post(f"{V1}/session", json={"name": name, "password": password}, **more)
        if answer.status_code == 200:
            self.csrf = answer.json()["csrf"]
        return answer

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.http.get(f"{V1}/{path}", **more)

    async def give(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        told = {"X-CSRF-Token": self.csrf} | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, f"{V1}/{path}", json={} if body is None else body, headers=told)


class Place:
    """A gateway with an administrator, an operator and a viewer."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.gateway = MemoryGateway(clock=self.clock)
        self.people = self.gateway.people
        self.gateway.tokens = self.people.ledger  # type: ignore[assignment]  # the true table, as in the application
        self.api = create_api(self.gateway)
        self.browsers: list[Browser] = []

    async def fill(self) -> None:
        for name, role in (("王敏", "administrator"), ("li", "operator"), ("guest", "viewer")):
            await self.people.make("test", name, "", role, GOOD)
            self.people.store.change(name, must_change=False)
        self.gateway.journal.clear()

    def browser(self, address: str = "192.0.2.7", base: str = "http://gw.example") -> Browser:
        self.browsers.append(Browser(self.api, address, base))
        return self.browsers[-1]

    async def signed_in(self, name: str, address: str = "192.0.2.7") -> Browser:
        browser = self.browser(address)
        assert (await browser.sign_in(name, GOOD)).status_code == 200
        return browser

    def noted(self, kind: EventKind) -> list[tuple[str, str]]:
        return [(event.who, event.why) for event in self.gateway.journal if event.kind is kind]


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    one = Place()
    yield one
    for browser in one.browsers:
        await browser.http.aclose()


@pytest.fixture
async def staffed(place: Place) -> Place:
    await place.fill()
    return place


# The first administrator


async def test_the_first_administrator_comes_by_the_code_on_the_terminal_and_by_nothing_else(place: Place) -> None:
    shown: list[str] = []
    place.people.setup._announce = shown.append
    place.people.setup.renew()
    browser = place.browser()
    assert (await browser.get("session")).json()["setup"] is True
    order = {"code": "AAAAA-AAAAA", "name": "王敏", "display_name": "值班长", "password": GOOD}
    assert (await browser.give("POST", "setup", order)).status_code == 403
    weak = await browser.give("POST", "setup", order | {"code": shown[0], "password": "password123"})
    assert (weak.status_code, weak.json()["detail"]) == (422, "the password is among the first that are guessed")
    assert weak.json()["detail_zh"] == "密码过于常见，极易被猜中"
    done = await browser.give("POST", "setup", order | {"code": shown[0].lower()})
    assert done.status_code == 200, done.text
    told = done.json()
    assert (told["signed_in"], told["name"], told["display_name"]) == (True, "王敏", "值班长")
    assert (told["role"], told["must_change"], told["setup"]) == ("administrator", False, False)
    assert not place.people.setup.alive
    again = await place.browser().give("POST", "setup", order | {"code": shown[0], "name": "eve"})
    assert again.status_code == 409
    assert (await browser.get("accounts")).json()["accounts"][0]["role"] == "administrator"
    assert place.noted(EventKind.ACCOUNT)[0] == ("王敏", "first administrator '王敏' made by the one-time code")


async def test_two_who_know_the_code_at_once_make_one_administrator(place: Place) -> None:
    shown: list[str] = []
    place.people.setup._announce = shown.append
    place.people.setup.renew()
    orders = [{"code": shown[0], "name": name, "password": GOOD} for name in ("wang", "eve")]
    answers = await asyncio.gather(*(place.browser().give("POST", "setup", order) for order in orders))
    assert sorted(answer.status_code for answer in answers) in ([200, 403], [200, 409])
    assert len(place.people.store.accounts()) == 1


async def test_guessing_the_code_is_slow_and_burns_it(place: Place) -> None:
    shown: list[str] = []
    place.people.setup._announce = shown.append
    place.people.setup.renew()
    order = {"code": "AAAAA-AAAAA", "name": "eve", "password": GOOD}
    got = [(await place.browser().give("POST", "setup", order)).status_code for _ in range(8)]
    assert got == [403] * 5 + [429] * 3
    assert place.noted(EventKind.REFUSED) == [("", "wrong one-time code from 192.0.2.7")] * 5
    assert len(shown) == 2
    place.clock.advance(2)
    assert (await place.browser().give("POST", "setup", order | {"code": shown[0]})).status_code == 403


# Signing in and out


async def test_a_person_signs_in_acts_by_name_and_signs_out(staffed: Place) -> None:
    browser = await staffed.signed_in("li")
    told = (await browser.get("session")).json()
    assert (told["signed_in"], told["name"], told["role"], told["csrf"]) == (True, "li", "operator", browser.csrf)
    staffed.gateway.judge(0, Level.HIGH)
    done = await browser.give("POST", f"alarms/{ALARM}/acknowledge")
    assert done.status_code == 200, done.text
    assert done.json()["events"][0]["who"] == "li"
    out = await browser.give("DELETE", "session")
    assert (out.status_code, out.json()["signed_in"]) == (200, False)
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert (await browser.get("alarms")).status_code == 401
    assert [why for _, why in staffed.noted(EventKind.ACCOUNT)] == ["signed in from 192.0.2.7", "signed out"]


async def test_the_cookie_is_out_of_reach_of_scripts_other_sites_and_plain_http(staffed: Place) -> None:
    plain = (await staffed.browser().sign_in("li", GOOD)).headers["set-cookie"]
    parts = {part.strip() for part in plain.split(";")}
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= parts
    assert not any(part.lower().startswith("domain") for part in parts)
    # A browser takes no Secure cookie over plain http: people could not sign in on a plant's own network.
    assert "Secure" not in parts
    secure = staffed.browser(base="https://gw.example")
    for more in ({}, {"x-forwarded-proto": "https"}, {"origin": "https://gw.example"}):
        answer = await secure.sign_in("li", GOOD, headers=more)
        assert "Secure" in answer.headers["set-cookie"]


async def test_the_secret_stands_nowhere_but_in_the_cookie(staffed: Place) -> None:
    answer = await staffed.browser().sign_in("li", GOOD)
    secret = answer.cookies[COOKIE]
    assert secret not in answer.text
    assert len(secret) == 43
    with staffed.people.database.read("looking") as connection:
        dump = "\n".join(connection.iterdump())
    assert secret not in dump
    assert answer.json()["csrf"] not in dump


async def test_a_planted_session_is_never_taken_up(staffed: Place) -> None:
    """Fixation: eve puts her own session's cookie, or a made-up one, into the browser before wang signs in."""
    eve = await staffed.signed_in("guest")
    planted = eve.http.cookies[COOKIE]
    for value in (planted, "x" * 43):
        browser = staffed.browser()
        browser.http.cookies.set(COOKIE, value, domain="gw.example")
        answer = await browser.sign_in("li", GOOD)
        assert answer.cookies[COOKIE] != value
        assert answer.json()["name"] == "li"
    assert (await eve.get("alarms")).status_code == 401


async def test_two_cookies_that_differ_are_nobody(staffed: Place) -> None:
    """A page at another port of the same host can set a second cookie: cookies know no ports."""
    mine, eves = await staffed.signed_in("li"), await staffed.signed_in("guest", "192.0.2.9")
    one, two = mine.http.cookies[COOKIE], eves.http.cookies[COOKIE]
    bare = staffed.browser()
    for cookie in (f"{COOKIE}={one}; {COOKIE}={two}", f"{COOKIE}={two}; {COOKIE}={one}"):
        assert (await bare.get("alarms", headers={"cookie": cookie})).status_code == 401
    assert (await bare.get("alarms", headers={"cookie": f"{COOKIE}={one}; {COOKIE}={one}"})).status_code == 200


async def test_a_session_ends_after_a_shift_without_use_and_lives_on_while_it_is_used(staffed: Place) -> None:
    idle, used = await staffed.signed_in("li"), await staffed.signed_in("guest")
    for _ in range(13):
        staffed.clock.advance(IDLE_NS / 1e9 / 12)
        assert (await used.get("alarms")).status_code == 200
    assert (await idle.get("alarms")).status_code == 401


async def test_an_unknown_name_a_wrong_password_and_a_disabled_account_answer_alike(staffed: Place) -> None:
    staffed.people.store.change("guest", enabled=False)
    answers = [
        await staffed.browser(f"192.0.2.{number}").sign_in(name, password)
        for number, (name, password) in enumerate(
            [("li", "wrong"), ("nobody", GOOD), ("guest", GOOD), ("", ""), ("x" * 256, GOOD), ("li\0", GOOD)]
        )
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert all("set-cookie" not in answer.headers for answer in answers)


async def test_a_name_has_one_lock_whatever_its_form(staffed: Place) -> None:
    """Otherwise each way of writing a name would give a guesser five more tries."""
    for number, form in enumerate(("li", "LI", "ｌｉ", " li ", "Ｌi")):
        assert (await staffed.browser(f"198.51.100.{number}").sign_in(form, "wrong")).status_code == 401
    for form in ("li", "LI", "ｌｉ", " li\t"):
        locked = await staffed.browser("198.51.100.99").sign_in(form, GOOD)
        assert locked.status_code == 429
        assert int(locked.headers["retry-after"]) >= 1
    staffed.clock.advance(8)
    assert (await staffed.browser("198.51.100.98").sign_in("ＬＩ", GOOD)).status_code == 200
    assert any("locked for 1 s after 5 wrong" in why for _, why in staffed.noted(EventKind.ACCOUNT))


async def test_a_lock_does_not_reach_where_the_person_has_signed_in_before(staffed: Place) -> None:
    await staffed.signed_in("li", "192.0.2.7")
    for number in range(40):
        await staffed.browser(f"198.51.100.{number}").sign_in("li", "wrong")
    assert (await staffed.browser("198.51.100.99").sign_in("li", GOOD)).status_code == 429
    assert (await staffed.browser("192.0.2.7").sign_in("li", GOOD)).status_code == 200


async def test_one_address_is_slowed_down_whatever_names_it_tries(staffed: Place) -> None:
    guesser = staffed.browser("198.51.100.1")
    got = [(await guesser.sign_in(f"name {number}", "wrong")).status_code for number in range(9)]
    assert got == [401] * 5 + [429] * 4
    assert (await guesser.sign_in("li", GOOD)).status_code == 429
    assert (await staffed.browser("198.51.100.2").sign_in("li", GOOD)).status_code == 200


async def test_a_thousand_at_once_from_one_address_get_five_tries(staffed: Place) -> None:
    browser = staffed.browser("198.51.100.1")
    answers = await asyncio.gather(*(browser.sign_in("li", f"guess {number}") for number in range(1000)))
    counts = {status: [a.status_code for a in answers].count(status) for status in (401, 429, 503)}
    assert sum(counts.values()) == 1000
    assert counts[401] <= 5
    assert counts[429] >= 990


async def test_a_thousand_addresses_at_once_are_bounded_and_leave_nothing_behind(staffed: Place) -> None:
    operator = await staffed.signed_in("li")
    browsers = [staffed.browser(f"10.0.{number // 250}.{number % 250}") for number in range(400)]
    attempts = [asyncio.create_task(each.sign_in(f"n{number}", "x")) for number, each in enumerate(browsers)]
    while sum(staffed.people._proving._waiting.values()) < WAITING_MAX:
        await asyncio.sleep(0)
    # Places are kept for where somebody has signed in before.
    assert (await staffed.browser("192.0.2.7").sign_in("li", GOOD)).status_code == 200
    answers = await asyncio.gather(*attempts)
    told = [answer.status_code for answer in answers]
    assert set(told) == {401, 503}
    assert told.count(401) >= WAITING_MAX
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 503)
    assert (await operator.give("POST", "silence")).status_code == 200
    assert (await staffed.browser().sign_in("guest", GOOD)).status_code == 200


# Orders of pages that are not ours


def writes(place: Place) -> list[tuple[str, str]]:
    paths = openapi_document(place.api.app)["paths"]
    return [
        (method.upper(), path.removeprefix(f"{V1}/").replace("{", "").replace("}", ""))
        for path, methods in paths.items()
        for method, one in methods.items()
        if method != "get" and one["x-role"] != "nobody"
    ]


async def test_no_order_goes_by_the_cookie_alone(staffed: Place) -> None:
    browser = await staffed.signed_in("王敏")
    other = await staffed.signed_in("li")
    assert len(writes(staffed)) > 15
    for method, path in [*writes(staffed), ("DELETE", "session")]:
        for token in ("", "x", other.csrf, browser.csrf + "x", "\u00e9"):
            answer = await browser.http.request(
                method, f"{V1}/{path}", json={}, headers={b"x-csrf-token": token.encode()}
            )
            assert answer.status_code == 403, (method, path, token, answer.text)
            assert "X-CSRF-Token" in answer.json()["detail"]
    assert (await browser.get("session")).json()["signed_in"]


OTHER_PAGES = (
    {"origin": "http://evil.example"},
    {"origin": "http://gw.example:9090"},
    {"origin": "http://gw.example.evil.example"},
    {"origin": "null"},
    {"sec_fetch_site": "same-site"},
    {"sec_fetch_site": "cross-site"},
)


async def test_no_page_of_another_origin_signs_in_or_orders(staffed: Place) -> None:
    """Another port of this host is another origin, though it is sent the same cookies."""
    browser = await staffed.signed_in("li")
    for headers in OTHER_PAGES:
        assert (await browser.give("POST", "silence", **headers)).status_code == 403
        sign_in = await browser.give("POST", "session", {"name": "guest", "password": GOOD}, **headers)
        assert sign_in.status_code == 403
        assert (await browser.give("POST", "setup", {}, **headers)).status_code == 403
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        assert (await browser.get("session", headers=told)).status_code == 403
    assert (await browser.give("POST", "silence")).status_code == 200


async def test_what_a_form_can_send_signs_nobody_in(staffed: Place) -> None:
    body = json.dumps({"name": "li", "password": GOOD})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = await staffed.browser().http.post(f"{V1}/session", content=body, headers={"content-type": kind})
        assert answer.status_code == 415


async def test_a_token_needs_no_csrf_and_goes_before_a_cookie(staffed: Place) -> None:
    browser = await staffed.signed_in("王敏")
    made = (await browser.give("POST", "tokens", {"name": "plc", "role": "operator"})).json()
    assert token_digest(made["token"]) in {row.digest for row in staffed.people.ledger.tokens()}
    bearer = {"Authorization": f"Bearer {made['token']}"}
    answer = await browser.http.post(f"{V1}/silence", json={}, headers=bearer)
    assert answer.status_code == 200
    told = (await browser.get("session", headers=bearer)).json()
    assert (told["signed_in"], told["name"], told["role"], told["csrf"]) == (False, "plc", "operator", "")
    assert (await browser.give("DELETE", "tokens/plc")).json() == {"name": "plc"}
    staffed.clock.advance(2.1)
    assert (await browser.http.post(f"{V1}/silence", json={}, headers=bearer)).status_code == 401


# What is allowed


async def test_roles_hold_and_what_is_refused_is_noted(staffed: Place) -> None:
    staffed.gateway.judge(0, Level.HIGH)
    guest = await staffed.signed_in("guest")
    assert (await guest.get("alarms")).status_code == 200
    assert (await guest.give("POST", f"alarms/{ALARM}/acknowledge")).status_code == 403
    li = await staffed.signed_in("li")
    assert (await li.give("POST", "accounts", {"name": "eve", "password": GOOD})).status_code == 403
    assert (await li.get("accounts")).status_code == 403
    assert staffed.noted(EventKind.REFUSED) == [
        ("guest", f"POST {V1}/alarms/{ALARM}/acknowledge refused: viewer is not operator"),
        ("li", f"POST {V1}/accounts refused: operator is not administrator"),
    ]


async def test_a_given_password_is_changed_before_the_first_order(staffed: Place) -> None:
    admin = await staffed.signed_in("王敏")
    made = await admin.give("POST", "accounts", {"name": "Zhao", "role": "operator", "password": OTHER})
    assert (made.status_code, made.json()["must_change"]) == (200, True)
    zhao = staffed.browser()
    assert (await zhao.sign_in("zhao", OTHER)).json()["must_change"] is True
    assert (await zhao.get("alarms")).status_code == 200
    refused = await zhao.give("POST", "silence")
    assert (refused.status_code, refused.json()["detail"]) == (403, "'Zhao' has to change the password first")
    for old, new, status in (("wrong", GOOD, 403), (OTHER, "short", 422), (OTHER, OTHER, 422), (OTHER, GOOD, 200)):
        got = await zhao.give("POST", "session/password", {"old": old, "new": new})
        assert got.status_code == status, got.text
    assert (await zhao.get("session")).json()["must_change"] is False
    assert (await zhao.give("POST", "silence")).status_code == 200


async def test_a_new_password_ends_the_sessions_of_all_other_browsers(staffed: Place) -> None:
    here, there = await staffed.signed_in("li"), await staffed.signed_in("li")
    changed = await here.give("POST", "session/password", {"old": GOOD, "new": OTHER})
    assert (changed.status_code, changed.json()["csrf"]) == (200, here.csrf)
    assert (await there.get("alarms")).status_code == 401
    assert (await here.get("alarms")).status_code == 200
    assert (await staffed.browser().sign_in("li", GOOD)).status_code == 401
    assert (await staffed.browser().sign_in("li", OTHER)).status_code == 200


async def test_guessing_the_old_password_is_slow_too(staffed: Place) -> None:
    """Who finds a browser signed in must not find out the password by it."""
    browser = await staffed.signed_in("li")
    order = {"old": "wrong", "new": OTHER}
    got = [(await browser.give("POST", "session/password", order)).status_code for _ in range(7)]
    assert got == [403] * 5 + [429] * 2


async def test_an_administrator_keeps_accounts(staffed: Place) -> None:
    admin, li = await staffed.signed_in("王敏"), await staffed.signed_in("li")
    names = [one["name"] for one in (await admin.get("accounts")).json()["accounts"]]
    assert names == ["guest", "li", "王敏"]
    changed = await admin.give("PATCH", "accounts/LI", {"role": "engineer", "display_name": "李伟"})
    assert (changed.json()["role"], changed.json()["display_name"], changed.json()["sessions"]) == (
        "engineer",
        "李伟",
        1,
    )
    assert (await li.get("session")).json()["role"] == "engineer"
    assert (await admin.give("POST", "accounts/li/sign-out")).json() == {"ended": 1}
    assert (await li.get("alarms")).status_code == 401
    reset = await admin.give("PATCH", "accounts/li", {"password": OTHER})
    assert reset.json()["must_change"] is True
    assert (await li.sign_in("li", OTHER)).status_code == 200
    assert (await admin.give("PATCH", "accounts/li", {"enabled": False})).json()["enabled"] is False
    assert (await li.get("alarms")).status_code == 401
    assert (await admin.give("DELETE", "accounts/li")).json() == {"name": "li"}
    for method, path in (("PATCH", "accounts/li"), ("DELETE", "accounts/li"), ("POST", "accounts/li/sign-out")):
        assert (await admin.give(method, path)).status_code == 404
    assert (await admin.give("DELETE", "tokens/none")).status_code == 404
    whys = [why for who, why in staffed.noted(EventKind.ACCOUNT) if who == "王敏"]
    assert whys == [
        "signed in from 192.0.2.7",
        "account 'li' is now engineer",
        "account 'li' is shown as '李伟'",
        "1 session of 'li' ended",
        "password of 'li' set anew; all sessions ended",
        "account 'li' disabled; all sessions ended",
        "account 'li' removed",
    ]


async def test_the_last_administrator_cannot_leave(staffed: Place) -> None:
    admin = await staffed.signed_in("王敏")
    for method, body in (("DELETE", {}), ("PATCH", {"role": "engineer"}), ("PATCH", {"enabled": False})):
        answer = await admin.give(method, "accounts/%E7%8E%8B%E6%95%8F", body)
        assert answer.status_code == 409, answer.text
    own = await admin.give("PATCH", "accounts/%E7%8E%8B%E6%95%8F", {"password": OTHER})
    assert own.status_code == 409
    assert (await admin.get("accounts")).status_code == 200


async def test_a_machine_and_a_person_never_share_a_name_and_no_machine_administers(staffed: Place) -> None:
    admin = await staffed.signed_in("王敏")
    assert (await admin.give("POST", "tokens", {"name": "LI"})).status_code == 409
    assert (await admin.give("POST", "tokens", {"name": "plc"})).status_code == 200
    assert (await admin.give("POST", "tokens", {"name": "PLC"})).status_code == 409
    assert (await admin.give("POST", "accounts", {"name": "Plc", "password": GOOD})).status_code == 409
    assert (await admin.give("POST", "tokens", {"name": "x", "role": "administrator"})).status_code == 422
    assert [one["name"] for one in (await admin.get("tokens")).json()["tokens"]] == ["plc"]
    assert "token" not in (await admin.get("tokens")).json()["tokens"][0]


async def test_reading_without_signing_in_goes_only_where_the_site_allows_it(staffed: Place) -> None:
    assert (await staffed.browser().get("alarms")).status_code == 401
    assert (await staffed.browser("127.0.0.1", "http://127.0.0.1:8080").get("alarms")).status_code == 401
    staffed.api = create_api(staffed.gateway, open_read=True)
    anybody = staffed.browser(base="http://192.0.2.1:8080")
    told = (await anybody.get("session")).json()
    assert (told["read"], told["role"], told["signed_in"], told["setup"]) == ("anyone", "viewer", False, False)
    assert (await anybody.get("alarms")).status_code == 200
    assert (await anybody.give("POST", "silence")).status_code == 401
    anybody.http.cookies.set(COOKIE, "y" * 43)
    assert (await anybody.get("alarms")).status_code == 200


async def test_the_first_account_ends_what_was_open_at_this_machine(place: Place) -> None:
    place.api = create_api(place.gateway, local_operator=True)
    local = place.browser("127.0.0.1", "http://127.0.0.1:8080")
    assert (await local.get("session")).json()["role"] == "operator"
    assert (await local.give("POST", "silence")).status_code == 200
    await place.fill()
    place.clock.advance(2.1)
    assert (await local.give("POST", "silence")).status_code == 401
    assert (await local.get("session")).json()["role"] == "nobody"


# Broken disks and hostile bodies


async def test_a_disk_that_takes_nothing_keeps_nobody_from_signing_in_and_acting(staffed: Place) -> None:
    staffed.people.database.refuses = True
    browser = staffed.browser()
    assert (await browser.sign_in("li", "wrong")).status_code == 401
    assert (await browser.sign_in("li", GOOD)).status_code == 200
    assert (await browser.give("POST", "silence")).status_code == 200
    got = [(await staffed.browser(f"10.0.0.{n}").sign_in("guest", "wrong")).status_code for n in range(7)]
    assert got == [401] * 5 + [429] * 2
    assert (await browser.give("DELETE", "session")).status_code in (200, 503)
    staffed.clock.advance(2.1)
    assert (await browser.get("alarms")).status_code == 401


async def test_who_was_known_a_moment_ago_acts_on_while_the_disk_cannot_be_read(staffed: Place) -> None:
    browser = await staffed.signed_in("li")
    assert (await browser.give("POST", "silence")).status_code == 200
    staffed.people.database.broken = True
    staffed.clock.advance(60)
    assert (await browser.give("POST", "silence")).status_code == 200
    assert (await staffed.browser().sign_in("guest", GOOD)).status_code == 503


BOMBS = [
    b"[" * 30_000,
    b'{"name":' * 8_000,
    b'{"name":"' + b"x" * 60_000 + b'","password":"x"}',
    b'{"name":"li","password":"' + b"x" * 60_000 + b'"}',
    b'{"name":"li"}',
    b'{"name":null,"password":1}',
    b'{"name":"li","password":"x","role":"administrator"}',
    b'{"name":"\xff","password":"x"}',
    b"null",
    b'"' + b"\\ud800" * 100 + b'"',
]


async def test_a_body_that_is_a_bomb_is_refused_and_counts_as_no_try(staffed: Place) -> None:
    browser = staffed.browser()
    for body, path in itertools.product(BOMBS, ("session", "setup")):
        answer = await browser.http.post(f"{V1}/{path}", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422, answer.text
        assert len(answer.content) < 500
    assert (await browser.sign_in("li", GOOD)).status_code == 200


BREAKING = ("a\r\nSet-Cookie: x=y", "a\x00", "a\u2028b", "<script>", "x" * 65, "", "local", "../x")


async def test_a_name_that_breaks_out_of_anything_makes_no_account(staffed: Place) -> None:
    admin = await staffed.signed_in("王敏")
    for name in BREAKING:
        answer = await admin.give("POST", "accounts", {"name": name, "password": GOOD})
        assert answer.status_code == 422
        assert "set-cookie" not in answer.headers
    assert len(staffed.people.store.accounts()) == 3


ODD = (
    None, True, 0, -1, 1e308, [], {}, [[]], {"a": {}}, "", " ", "\ud800", "\x00", "\r\n", "' OR 1=1 --", "%00",
    "x" * 257, "x" * 2000, "𝕏" * 200, "\u202e", "administrator", GOOD, "li", "../..", "\N{PILE OF POO}" * 16,
)  # fmt: skip


async def test_odd_orders_and_odd_names_are_refused_and_break_nothing(staffed: Place) -> None:
    admin = await staffed.signed_in("王敏")
    chance = random.Random(20261122)
    paths = openapi_document(staffed.api.app)["paths"]
    bodies = {
        "accounts": ("name", "password", "role", "display_name", "more"),
        "accounts/{name}": ("role", "display_name", "password", "enabled"),
        "accounts/{name}/sign-out": ("all",),
        "tokens": ("name", "role"),
        "tokens/{name}": (),
        "session/password": ("old", "new"),
        "setup": ("code", "name", "password"),
    }
    for _ in range(150):
        path = chance.choice(list(bodies))
        methods = [method for method in paths[f"{V1}/{path}"] if method != "get"]
        body = {key: chance.choice(ODD) for key in bodies[path] if chance.random() < 0.8}
        name = quote(str(chance.choice(ODD)), errors="replace")
        where = f"{V1}/{path.format(name=name)}"
        answer = await admin.http.request(
            chance.choice(methods).upper(),
            where,
            content=json.dumps(body),
            headers={"X-CSRF-Token": admin.csrf, "content-type": "application/json"},
        )
        assert answer.status_code < 500, (path, body, name, answer.text)
    told = (await admin.get("session")).json()
    assert (told["name"], told["role"]) == ("王敏", "administrator")


async def test_no_password_token_or_secret_reaches_a_log_an_event_or_an_answer(staffed: Place) -> None:
    with capture_logs() as logs:
        browser = staffed.browser()
        typed = "hunter2 typed as a name"
        answers = [await browser.sign_in(typed, "x"), await browser.sign_in("li", "Wr0ng secret!")]
        answers.append(await browser.sign_in("王敏", GOOD))
        answers.append(await browser.give("POST", "session/password", {"old": "Wr0ng secret!", "new": OTHER}))
        answers.append(await browser.give("POST", "accounts", {"name": "zhao", "password": "Wr0ng sec"}))
        answers.append(await browser.give("PATCH", "accounts/li", {"password": OTHER}))
        token = (await browser.give("POST", "tokens", {"name": "plc"})).json()["token"]
        bad = {"authorization": f"Bearer {token[:-1]}!"}
        answers.append(await browser.http.get(f"{V1}/alarms", headers=bad))
    written = json.dumps(logs, default=str) + repr(staffed.gateway.journal) + "".join(a.text for a in answers)
    secrets = [typed, "Wr0ng secret!", "Wr0ng sec", GOOD, OTHER, token, token[:-1], browser.http.cookies[COOKIE]]
    for secret in secrets:
        assert secret not in written
    assert "'hun…' (23 characters)" in repr(staffed.gateway.journal)


async def test_a_password_that_is_reset_while_the_old_one_is_checked_lets_nobody_in(
    staffed: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checking takes long enough to be raced: the session would outlive the reset that ended all others."""
    proving, reset = staffed.people._proving, False
    checked = proving._checked

    async def slow(key: str, password: str, address: str) -> Any:
        nonlocal reset
        found = await checked(key, password, address)
        if not reset:
            reset = True
            await staffed.people.change("王敏", "li", password=OTHER)
        return found

    monkeypatch.setattr(proving, "_checked", slow)
    thief = staffed.browser("198.51.100.4")
    assert (await thief.sign_in("li", GOOD)).status_code == 401
    assert reset
    assert (await staffed.browser().sign_in("li", OTHER)).status_code == 200
