"""Group robots and text messages against servers that check keys, signatures and limits as vendors document them."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from alerts.people import dingtalk, feishu, sms, wecom
from gateway.core.clock import ManualClock, SystemClock
from gateway.core.errors import ConfigError, RejectedError, UnavailableError
from gateway.core.notice import Notice, Notifier, Text
from gateway.core.plugin import SiteInfo
from tests.integration import robots
from tests.integration.robots import Robot, serving

SITE = SiteInfo(
    "park-1",
    "gw-1",
    "e1",
    [],
    secrets={
        "wecom": robots.WECOM_KEY,
        "ding_token": robots.DINGTALK_TOKEN,
        "ding_secret": robots.DINGTALK_SECRET,
        "fei_token": robots.FEISHU_TOKEN,
        "fei_secret": robots.FEISHU_SECRET,
        "wrong": "SECwrong",
        "sms_token": "t0ken",
    },
)
NOTICE = Notice(
    key="park-1:duty:7-raised-1",
    title=Text("【红】锅炉房 一氧化碳 高限报警", "[RED] HIGH alarm, Boiler room, CO"),
    lines=(Text("数值：61.5 ppm", "Value 61.5 ppm"), Text("[点击](http://evil) *处置*", "[click](http://evil)")),
    priority=1,
    time_ns=1_700_000_000_000_000_000,
    link="http://10.0.0.5:8080/#/alarm/co",
)
LONG = replace(NOTICE, lines=tuple(Text(f"第 {n} 行：锅炉房一氧化碳超过高限", f"line {n}") for n in range(800)))
WAYS: dict[str, tuple[Callable[[], Robot], Any, dict[str, Any]]] = {
    "wecom": (robots.wecom, wecom, {"key": "wecom"}),
    "dingtalk": (robots.dingtalk, dingtalk, {"token": "ding_token", "secret": "ding_secret"}),
    "feishu": (robots.feishu, feishu, {"token": "fei_token", "secret": "fei_secret"}),
}


@pytest.fixture(params=sorted(WAYS))
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def robot(way: str) -> Iterator[Robot]:
    with serving(WAYS[way][0]()) as one:
        yield one


@asynccontextmanager
async def notifier_of(way: str, robot: Robot, **options: Any) -> AsyncIterator[Notifier]:
    _, module, own = WAYS[way]
    notifier = module.create(module.Options(base_url=robot.url, **{**own, **options}), SITE, SystemClock())
    try:
        yield notifier
    finally:
        await notifier.close()


@pytest.mark.parametrize("plain", [False, True])
async def test_a_robot_takes_a_signed_message(way: str, robot: Robot, plain: bool) -> None:
    async with notifier_of(way, robot, **({"format": "text"} if plain else {})) as notifier:
        await notifier.send(NOTICE)
        await notifier.send(NOTICE)
    assert len(robot.messages) == 2
    said = str(robot.messages[0])
    assert "一氧化碳" in said
    assert "61.5 ppm" in said
    assert NOTICE.link in said


async def test_a_message_of_any_length_is_cut_to_what_the_robot_takes(way: str, robot: Robot) -> None:
    async with notifier_of(way, robot, language="both") as notifier, notifier_of(way, robot, format="text") as plain:
        await notifier.send(LONG)
        await plain.send(LONG)
    assert [NOTICE.link in str(message) for message in robot.messages] == [True, True], "the link is what is kept"
    assert all("…" in str(message) for message in robot.messages)


async def test_what_people_wrote_becomes_no_link(way: str, robot: Robot) -> None:
    async with notifier_of(way, robot) as notifier:
        await notifier.send(NOTICE)
    assert "[点击](" not in str(robot.messages[0])


async def test_a_wrong_secret_is_told_in_the_vendors_words_and_the_message_kept(way: str, robot: Robot) -> None:
    wrong = {"wecom": {"key": "wrong"}}.get(way, {"secret": "wrong"})
    async with notifier_of(way, robot, **wrong) as notifier:
        with pytest.raises(UnavailableError, match=r"93000|sign") as caught:
            await notifier.send(NOTICE)
    for secret in SITE.secrets.values():
        assert secret not in str(caught.value)
    assert robot.messages == []


async def test_too_many_messages_are_kept_for_a_minute(way: str, robot: Robot) -> None:
    robot.per_minute = 1
    async with notifier_of(way, robot) as notifier:
        await notifier.send(NOTICE)
        with pytest.raises(UnavailableError, match=r"45009|130101|11232") as caught:
            await notifier.send(NOTICE)
    assert caught.value.retry_after_s == 60.0


@pytest.mark.parametrize(
    ("vendor", "said"),
    [
        ("wecom", {"errcode": 40058, "errmsg": "markdown.content exceed max length"}),
        ("dingtalk", {"errcode": 460101, "errmsg": "message too long"}),
        ("feishu", {"code": 9499, "msg": "Bad Request", "data": {}}),
    ],
)
async def test_a_message_that_is_wrong_in_itself_is_refused_for_ever(vendor: str, said: dict[str, Any]) -> None:
    with serving(WAYS[vendor][0]()) as robot:
        robot.says = (200, said)
        async with notifier_of(vendor, robot) as notifier:
            with pytest.raises(RejectedError) as caught:
                await notifier.send(NOTICE)
    assert str(next(iter(said.values()))) in caught.value.reasons[0]


@pytest.mark.parametrize("says", [(500, "oops"), (502, {}), (200, "<html>sign in to the network</html>"), (200, "[]")])
async def test_an_answer_that_says_nothing_of_the_message_is_no_delivery(
    way: str, robot: Robot, says: tuple[int, Any]
) -> None:
    robot.says = says
    async with notifier_of(way, robot) as notifier:
        with pytest.raises(UnavailableError):
            await notifier.send(NOTICE)


async def test_a_red_alarm_calls_everybody_where_that_is_asked(way: str, robot: Robot) -> None:
    async with notifier_of(way, robot, format="text", call_all=(1,)) as notifier:
        await notifier.send(NOTICE)
        await notifier.send(replace(NOTICE, priority=2))
    marks = {"wecom": "@all", "dingtalk": "'isAtAll': True", "feishu": 'user_id="all"'}
    assert [marks[way] in str(message) for message in robot.messages] == [True, False]


async def test_a_whole_address_serves_as_the_secret(way: str, robot: Robot) -> None:
    addresses = {
        "wecom": f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={robots.WECOM_KEY}",
        "dingtalk": f"https://oapi.dingtalk.com/robot/send?access_token={robots.DINGTALK_TOKEN}",
        "feishu": f"https://open.feishu.cn/open-apis/bot/v2/hook/{robots.FEISHU_TOKEN}",
    }
    _, module, own = WAYS[way]
    first = next(iter(own))
    site = replace(SITE, secrets={**SITE.secrets, own[first]: addresses[way]})
    notifier = module.create(module.Options(base_url=robot.url, **own), site, SystemClock())
    await notifier.send(NOTICE)
    await notifier.close()
    assert len(robot.messages) == 1


def test_a_secret_that_does_not_exist_is_a_mistake_of_the_site_file(way: str) -> None:
    _, module, own = WAYS[way]
    first = next(iter(own))
    with pytest.raises(ConfigError, match="no secret 'nothing'") as caught:
        module.create(module.Options(**{**own, first: "nothing"}), SITE, ManualClock())
    assert caught.value.path == ("options", first)


# Text messages


@asynccontextmanager
async def texting(robot: Robot, **options: Any) -> AsyncIterator[Notifier]:
    given = {"url": f"{robot.url}/send", "phones": ("+8613800000001", "+8613800000002"), **options}
    notifier = sms.create(sms.Options(**given), SITE, SystemClock())
    try:
        yield notifier
    finally:
        await notifier.close()


@pytest.fixture
def carrier() -> Iterator[Robot]:
    with serving(robots.provider()) as one:
        yield one


async def test_each_telephone_gets_the_text_after_the_template(carrier: Robot) -> None:
    async with texting(carrier, headers={"X-Token": "{{ secrets.sms_token }}"}, secrets=("sms_token",)) as notifier:
        await notifier.send(NOTICE)
    assert [content["phone"] for _, _, content in carrier.messages] == ["+8613800000001", "+8613800000002"]
    assert "一氧化碳" in carrier.messages[0][2]["text"]
    assert carrier.headers["X-Token"] == "t0ken"


async def test_a_form_and_an_address_are_templates_too(carrier: Robot) -> None:
    form = {
        "body": "to={{ phone | urlencode }}&m={{ text | urlencode }}",
        "content_type": "application/x-www-form-urlencoded",
    }
    async with texting(carrier, url=carrier.url + "/{{ priority }}?k={{ key | urlencode }}", **form) as notifier:
        await notifier.send(NOTICE)
    path, query, content = carrier.messages[0]
    assert path == "/1"
    assert query["k"] == NOTICE.key
    assert content.startswith("to=%2B8613800000001&m=%E3%80%90")


async def test_a_text_message_is_no_longer_than_is_allowed(carrier: Robot) -> None:
    async with texting(carrier, length_max=70) as notifier:
        await notifier.send(LONG)
    text = carrier.messages[0][2]["text"]
    assert len(text) <= 70
    assert text.startswith("【红】锅炉房 一氧化碳 高限报警")


async def test_a_telephone_that_has_the_message_does_not_get_it_twice(carrier: Robot) -> None:
    async with texting(carrier) as notifier:
        original = carrier.answer
        taken: list[str] = []

        def second_fails(path: str, headers: dict[str, str], body: bytes) -> robots.Answer:
            taken.append(body.decode())
            return (503, "busy") if len(taken) == 2 else original(path, headers, body)

        carrier.answer = second_fails  # type: ignore[method-assign]
        with pytest.raises(UnavailableError, match="503"):
            await notifier.send(NOTICE)
        await notifier.send(NOTICE)
    assert [content["phone"] for _, _, content in carrier.messages] == ["+8613800000001", "+8613800000002"]


async def test_a_providers_own_no_counts_where_the_site_file_says_where_it_stands(carrier: Robot) -> None:
    async with texting(carrier, ok_path="result.code", ok_values=("0",)) as notifier:
        await notifier.send(NOTICE)
        carrier.says = (200, {"result": {"code": "isv.BUSINESS_LIMIT_CONTROL"}})
        with pytest.raises(UnavailableError, match="BUSINESS_LIMIT"):
            await notifier.send(replace(NOTICE, key="other"))


async def test_a_number_that_is_refused_keeps_nobody_else_from_the_message(carrier: Robot) -> None:
    async with texting(carrier) as notifier:
        original = carrier.answer

        def first_is_none(path: str, headers: dict[str, str], body: bytes) -> robots.Answer:
            return (400, "no such number") if b"0001" in body else original(path, headers, body)

        carrier.answer = first_is_none  # type: ignore[method-assign]
        with pytest.raises(RejectedError, match="no such number"):
            await notifier.send(NOTICE)
    assert [content["phone"] for _, _, content in carrier.messages] == ["+8613800000002"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"body": "{{ text "}, "cannot be read"),
        ({"body": "{{ nobody }}"}, "nobody"),
        ({"body": "{{ secrets.other }}"}, "other"),
        ({"url": "ftp://{{ phone }}"}, "makes no URL"),
        ({"body": "{{ text.__class__.__mro__ }}"}, "unsafe|undefined|access"),
        ({"secrets": ("absent",)}, "no secret 'absent'"),
    ],
)
def test_a_template_with_a_mistake_stops_the_start(options: dict[str, Any], problem: str) -> None:
    given = {"url": "http://127.0.0.1:9/send", "phones": ("1",), **options}
    with pytest.raises(ConfigError, match=problem):
        sms.create(sms.Options(**given), SITE, ManualClock())
