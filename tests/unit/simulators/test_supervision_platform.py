"""The simulated platform's judgement, without sockets: signatures made by an independent library."""

import base64
import json
from datetime import UTC, datetime

from standardwebhooks import Webhook

from gateway.core.clock import NS_PER_S, ManualClock
from simulators.platform import Platform, Request

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NOW_S = 1_700_000_000


def post(key: str = "gw:e:1", at_s: int = NOW_S, secret: str = SECRET, body: bytes | None = None) -> Request:
    body = (
        body if body is not None else json.dumps({"key": key, "type": "alarm.raised", "data": {"alarm": "a"}}).encode()
    )
    headers = {
        "webhook-id": key,
        "webhook-timestamp": str(at_s),
        "webhook-signature": Webhook(secret).sign(key, datetime.fromtimestamp(at_s, UTC), body.decode()),
    }
    return Request("POST", "/alerts", headers, body)


def platform() -> Platform:
    return Platform(SECRET, ManualClock(NOW_S * NS_PER_S))


async def test_a_signed_alert_is_kept_once_by_its_key() -> None:
    there = platform()
    assert [(await there.answer(post())).status for _ in range(2)] == [200, 200]
    assert (there.summary()["count"], there.summary()["duplicates"]) == (1, 1)


async def test_a_foreign_signature_a_changed_body_and_another_time_are_refused() -> None:
    there = platform()
    foreign = post(secret="whsec_" + base64.b64encode(bytes(32)).decode())
    changed = Request("POST", "/alerts", post().headers, post().body + b" ")
    for request in (
        foreign,
        changed,
        post(at_s=NOW_S - 301),
        post(at_s=NOW_S + 301),
        Request("POST", "/alerts", {}, b""),
    ):
        assert (await there.answer(request)).status == 401
    assert (there.summary()["count"], there.summary()["unsigned"]) == (0, 5)
    assert (await there.answer(post(at_s=NOW_S - 299))).status == 200


async def test_a_signed_body_that_is_no_alert_is_refused() -> None:
    there = platform()
    for body in (b"[]", b"{", b'{"key": "another"}', b"{}"):
        assert (await there.answer(post(body=body))).status == 400


async def test_the_page_shows_the_last_word_on_each_alarm() -> None:
    there = platform()
    for seq, state in ((1, "unacked"), (2, "acked")):
        body = json.dumps(
            {"key": f"gw:e:{seq}", "site": "park", "data": {"alarm": "co", "state": state, "level": "high"}}
        )
        await there.answer(post(key=f"gw:e:{seq}", body=body.encode()))
    page = there.page()
    assert " acked " in page
    assert "unacked" not in page
