"""What messages to people say: what, where, how bad, since when, what to do, whom to call; in both languages."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarms.desk import Form, Item, Message, Occasion
from gateway.alarms.telling import Place, Surroundings, Teller
from gateway.core.alarm import AlarmEvent, AlarmState, EventKind
from gateway.core.clock import NS_PER_S
from gateway.core.notice import Language, Notice, Text, cut, fitted, plain

T0 = 1_700_000_000 * NS_PER_S
EVENT = AlarmEvent(
    seq=7, time_ns=T0, kind=EventKind.RAISED, alarm="gas:gd-01.co", state=AlarmState.UNACKED, level="high",
    condition="high", priority=1, occurrence=2, raised_ns=T0, channel="gd-01.co", instrument="gd-01", area="boiler",
    quantity="co", unit="ppm", value=61.5, limit=50.0, why="CO at 61.5 ppm reached HIGH limit 50",
    why_zh="一氧化碳61.5 ppm达到高限50",
)  # fmt: skip
AROUND = Surroundings(
    Text("一号站", "Site one"),
    "one",
    ZoneInfo("Asia/Shanghai"),
    "http://10.0.0.5:8080",
    {"boiler": Place(Text("锅炉房", "Boiler room"), "0757-8888", Text("撤离。", "Leave."))},
    {"gd-01.co": Text("一氧化碳 1 号", "CO head 1")},
)
TELLER = Teller("duty", AROUND)


def changed(**fields: Any) -> AlarmEvent:
    return msgspec.structs.replace(EVENT, **fields)


def single(occasion: Occasion, event: AlarmEvent = EVENT, later_s: int = 0) -> Notice:
    item = Item(occasion, event, event.raised_ns, event.time_ns, 1)
    return TELLER.notice(Message(Form.SINGLE, (item,)), event.time_ns + later_s * NS_PER_S)


def test_a_new_alarm_says_all_that_somebody_needs_who_must_act() -> None:
    notice = single(Occasion.RAISED)
    assert plain(notice, Language.ZH, 4000).split("\n") == [
        "【红】锅炉房 一氧化碳 1 号 高限报警",
        "一氧化碳61.5 ppm达到高限50",
        "数值：61.5 ppm，限值：50 ppm",
        "发生时间：2023-11-15 06:13:20",
        "处置：撤离。",
        "电话：0757-8888",
        "站点：一号站",
        "http://10.0.0.5:8080/#/alarm/gas%3Agd-01.co",
    ]
    assert plain(notice, Language.EN, 4000).split("\n") == [
        "[RED] HIGH alarm, Boiler room, CO head 1",
        "CO at 61.5 ppm reached HIGH limit 50",
        "Value 61.5 ppm, limit 50 ppm",
        "Since 2023-11-15 06:13:20",
        "What to do: Leave.",
        "Phone: 0757-8888",
        "Site: Site one",
        "http://10.0.0.5:8080/#/alarm/gas%3Agd-01.co",
    ]


def test_the_rules_own_response_goes_before_the_areas() -> None:
    teller = Teller("duty", Surroundings(AROUND.site, "one", AROUND.zone, places=AROUND.places,
                                         response=lambda alarm: Text(f"看 {alarm}", f"see {alarm}")))  # fmt: skip
    item = Item(Occasion.RAISED, EVENT, T0, T0, 1)
    lines = teller.notice(Message(Form.SINGLE, (item,)), T0).lines
    assert Text("处置：看 gas:gd-01.co", "What to do: see gas:gd-01.co") in lines
    assert not any("撤离" in line.zh for line in lines)


def test_a_test_says_so_first_of_all() -> None:
    notice = single(Occasion.RAISED, changed(test=True))
    assert notice.title.zh.startswith("【测试】")
    assert notice.title.en.startswith("[TEST]")
    assert notice.test


def test_an_escalation_says_how_long_nobody_has_answered() -> None:
    notice = single(Occasion.STILL, later_s=430)
    assert notice.title.en == "[RED] still unacknowledged: HIGH alarm, Boiler room, CO head 1"
    assert any("nobody has acknowledged for 7 min" in line.en for line in notice.lines)


def test_an_answer_is_short_and_says_who() -> None:
    event = changed(kind=EventKind.ACKNOWLEDGED, state=AlarmState.ACKED, acked_by="li")
    notice = single(Occasion.ACKNOWLEDGED, event)
    assert [line.en for line in notice.lines] == ["By li, 2023-11-15 06:13:20.", "Site: Site one"]
    over = single(Occasion.ACKNOWLEDGED, msgspec.structs.replace(event, state=AlarmState.NORMAL))
    assert over.lines[0].en == "By li, 2023-11-15 06:13:20, and it is over."


def test_a_condition_that_is_gone_is_not_told_as_the_end_where_the_alarm_is_held() -> None:
    notice = single(Occasion.GONE, changed(kind=EventKind.RETURNED, state=AlarmState.LATCHED_UNACKED, why="back"))
    assert "The alarm is held until it is reset." in [line.en for line in notice.lines]


def test_a_missing_value_is_said_to_be_missing() -> None:
    lines = single(Occasion.RAISED, changed(value=None, quality="comms_lost", level="fault")).lines
    assert Text("无测量值", "No value") in lines


def test_a_system_alarm_is_named_by_itself() -> None:
    event = changed(alarm="system/connection/line1", channel="", instrument="", area="", level="fault", priority=3)
    title = single(Occasion.RAISED, event).title
    assert title == Text("【黄】system/connection/line1 故障", "[YELLOW] FAULT, system/connection/line1")


def test_the_same_message_tried_again_has_the_same_key_and_another_one_another() -> None:
    keys = [single(Occasion.RAISED, later_s=later).key for later in (0, 600)]
    assert keys[0] == keys[1]
    assert single(Occasion.ACKNOWLEDGED).key != keys[0]
    assert single(Occasion.RAISED, changed(seq=8)).key != keys[0]


def gathered(form: Form, count: int, unnamed: int = 0, areas: int = 3) -> Notice:
    items = tuple(
        Item(Occasion.RAISED if k % 4 else Occasion.ACKNOWLEDGED,
             changed(seq=k, alarm=f"gas:gd-{k}.co", channel=f"gd-{k}.co", area=f"area-{k % areas}", priority=k % 4 + 1),
             T0, T0 + k * NS_PER_S, k)
        for k in range(count)
    )  # fmt: skip
    return TELLER.notice(Message(form, items, unnamed), T0)


def test_a_gathered_message_counts_by_area_and_names_the_first() -> None:
    notice = gathered(Form.DIGEST, 30, unnamed=4)
    assert notice.title.en == "[ORANGE] 34 alarms gathered (8 orange, 7 yellow, 7 blue)"
    heads = [line.en for line in notice.lines if line.en.startswith("area-")]
    assert len(heads) == 3
    assert all("alarms (" in head and "answered" in head for head in heads)
    assert sum(" and 4 more" in line.en for line in notice.lines) == 3, "ten of each area, six of them named"
    assert any(line.en == "4 more are not named; see the console." for line in notice.lines)
    assert notice.priority == 2


def test_an_alarm_that_was_raised_and_answered_meanwhile_stands_once() -> None:
    begin = Item(Occasion.RAISED, EVENT, T0, T0, 1)
    end = Item(Occasion.ENDED, changed(kind=EventKind.CLEARED, state=AlarmState.NORMAL), T0, T0, 2)
    notice = TELLER.notice(Message(Form.DIGEST, (begin, end)), T0)
    assert sum("CO head 1" in line.en for line in notice.lines) == 1
    assert notice.title.en == "1 alarm gathered"


def test_old_news_says_from_when_to_when() -> None:
    notice = gathered(Form.LATE, 30)
    assert "could not be told from 2023-11-15 06:13:20 to 2023-11-15 06:13:49" in notice.title.en


def test_a_message_names_no_more_than_people_read() -> None:
    assert len(gathered(Form.LIST, 500, areas=1).lines) < 70


@pytest.mark.parametrize("language", list(Language))
def test_a_trial_says_that_nothing_is_to_be_done(language: Language) -> None:
    notice = TELLER.trial("li", T0)
    text = plain(notice, language, 2000)
    assert notice.test
    assert ("测试" in text) == (language is not Language.EN)
    assert ("no alarm" in text) == (language is not Language.ZH)


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=20), st.text(max_size=60), st.integers(3, 400))
def test_a_message_never_exceeds_what_a_channel_takes(head: str, lines: list[str], tail: str, bytes_max: int) -> None:
    text = fitted(head, lines, tail, bytes_max)
    assert len(text.encode()) <= bytes_max
    whole = "\n".join([head, *lines, *([tail] if tail else [])])
    assert text == whole or "…" in text


@given(st.text(), st.integers(0, 50))
def test_cutting_keeps_whole_characters(text: str, bytes_max: int) -> None:
    found = cut(text, bytes_max)
    assert len(found.encode()) <= bytes_max
    assert text.startswith(found.removesuffix("…"))
