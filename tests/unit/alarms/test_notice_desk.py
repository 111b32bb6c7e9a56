"""What one notifier has to tell: begin, answer and end, floods, old news, restarts."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarms.book import AlarmBook
from gateway.alarms.desk import FLOOD, STANDING_MAX, WAITING_MAX, Desk, Form, Message, Occasion, numbers_of
from gateway.alarms.routing import Route
from gateway.core.alarm import AlarmEvent, AlarmState, Command, EventKind, Verb
from gateway.core.clock import NS_PER_S, rfc3339
from gateway.core.model import Channel, Level, Priority, Rule, Verdicts
from gateway.core.plugin import PluginOptions
from gateway.site.operation import RouteSection

ZONE = ZoneInfo("Asia/Shanghai")
START = 1_700_000_000 * NS_PER_S
RED = dict.fromkeys(Level, Priority.RED)
YELLOW = dict.fromkeys(Level, Priority.YELLOW)


def rule(index: int, *, red: bool, latching: bool = False) -> Rule:
    channel = Channel(row=index, id=f"gd-{index:03d}.co", instrument=f"gd-{index:03d}", quantity="co", unit="ppm",
                      area=f"area-{index % 3}")  # fmt: skip
    return Rule(index=index, id=f"gas:{channel.id}", type="threshold", channels=(channel,), options=PluginOptions(),
                priority=RED if red else YELLOW, area=channel.area, latching=latching)  # fmt: skip


class Stage:
    """A real alarm book, a desk that hears of it, and time."""

    def __init__(
        self, *routes: dict[str, Any], red: bool = False, rules: int = 40, latching: bool = False, **desk: Any
    ) -> None:
        self.now = START
        self.book = AlarmBook([rule(k, red=red, latching=latching) for k in range(rules)])
        self.journal: dict[int, AlarmEvent] = {}
        made = [Route.of(RouteSection.model_validate({"to": ["duty"], **one})) for one in routes or ({},)]
        self.make = lambda: Desk("duty", made, ZONE, **desk)
        self.desk = self.make()
        self.told: list[tuple[Form, list[tuple[str, str]]]] = []
        self.room = 20

    def hear(self, events: list[AlarmEvent]) -> None:
        for event in events:
            self.journal[event.seq] = event
            self.desk.take(event, self.now)
        self.desk.advance(self.now)

    def judge(self, level: Level, *rules: int) -> None:
        n = len(rules)
        self.hear(self.book.judge(Verdicts(
            np.array(rules, np.int32), np.full(n, level, np.int8), np.ones(n, np.float32), np.full(n, self.now),
            np.full(n, 60.0), np.full(n, 50.0), np.zeros(n, np.uint8),
        )))  # fmt: skip

    def order(self, verb: Verb, rule_: int = 0, **more: Any) -> None:
        command = Command(verb=verb, alarm=f"gas:gd-{rule_:03d}.co", who="li", **more)
        self.hear(self.book.command(command, self.now))

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * NS_PER_S)
        self.desk.advance(self.now)

    def messages(self) -> list[Message]:
        """What goes out now."""
        found = []
        while (message := self.desk.next(self.room)) is not None:
            found.append(message)
            self.desk.done(message)
        return found

    def said(self) -> list[tuple[str, str]]:
        return [(item.event.alarm[-6:-3], item.occasion.value) for one in self.messages() for item in one.items]

    def restart(self) -> None:
        saved = msgspec.json.decode(msgspec.json.encode(self.desk.save()))
        assert set(numbers_of(saved)) <= set(self.journal) | {0}
        self.desk = self.make()
        self.desk.load(saved, self.journal.get)


def test_an_alarm_is_told_then_its_answer_then_its_end() -> None:
    stage = Stage()
    stage.judge(Level.HIGH, 0)
    assert stage.said() == [("000", "raised")]
    stage.order(Verb.ACKNOWLEDGE)
    assert stage.said() == [("000", "acknowledged")]
    stage.judge(Level.NORMAL, 0)
    assert stage.said() == [("000", "ended")]
    assert stage.desk.waiting == 0


def test_an_alarm_whose_condition_goes_first_still_waits_for_a_person() -> None:
    stage = Stage({"repeat_s": 600})
    stage.judge(Level.HIGH, 0)
    stage.judge(Level.NORMAL, 0)
    assert stage.said() == [("000", "raised"), ("000", "gone")]
    stage.wait(601)
    assert stage.said() == [("000", "still")]
    stage.order(Verb.ACKNOWLEDGE)
    assert stage.said() == [("000", "acknowledged")]
    stage.wait(10_000)
    assert stage.said() == []


def test_what_gets_worse_is_told_again_and_begins_its_escalation_anew() -> None:
    stage = Stage({}, {"after_s": 300})
    stage.judge(Level.LOW, 0)
    stage.order(Verb.ACKNOWLEDGE)
    stage.wait(200)
    stage.judge(Level.HIGH, 0)
    assert stage.said() == [("000", "raised"), ("000", "acknowledged"), ("000", "rose")]
    stage.wait(299)
    assert stage.said() == []
    stage.wait(2)
    assert stage.said() == [("000", "still")]


def test_an_escalation_is_told_once_after_its_time_and_never_where_somebody_acknowledged() -> None:
    stage = Stage({"after_s": 180})
    stage.judge(Level.HIGH, 0, 1)
    stage.wait(100)
    stage.order(Verb.ACKNOWLEDGE, 0)
    assert stage.said() == [], "who was not told of the begin hears of no answer"
    stage.wait(81)
    assert stage.said() == [("001", "still")]
    stage.judge(Level.NORMAL, 0)
    assert stage.said() == []
    stage.judge(Level.NORMAL, 1)
    assert stage.said() == [("001", "gone")]


def test_who_wants_no_end_is_told_none() -> None:
    stage = Stage({"ends": False})
    stage.judge(Level.HIGH, 0)
    stage.order(Verb.ACKNOWLEDGE)
    stage.judge(Level.NORMAL, 0)
    assert stage.said() == [("000", "raised"), ("000", "acknowledged")]


def test_what_is_put_aside_is_told_to_nobody_until_it_comes_back() -> None:
    stage = Stage({"repeat_s": 60})
    stage.order(Verb.OUT_OF_SERVICE, why="repair", duration_s=3600)
    stage.judge(Level.HIGH, 0)
    stage.hear(stage.book.suppress("gas:gd-001.co", active=True, why="burner off", now_ns=stage.now, by="off"))
    stage.judge(Level.HIGH, 1)
    stage.wait(3000)
    assert stage.said() == []
    stage.order(Verb.RETURN_TO_SERVICE, why="repaired")
    assert stage.said() == [("000", "back")]


def test_a_shelved_alarm_that_rises_is_told() -> None:
    stage = Stage()
    stage.judge(Level.LOW, 0)
    stage.order(Verb.SHELVE, why="known", duration_s=3600)
    assert stage.said() == [("000", "raised"), ("000", "aside")]
    stage.judge(Level.HIGH, 0)
    found = stage.messages()
    assert [(one.items[0].occasion, one.items[0].event.level) for one in found] == [(Occasion.ROSE, "high")]


def test_who_heard_of_an_alarm_hears_that_somebody_put_it_aside_and_no_repeat() -> None:
    stage = Stage({"repeat_s": 60})
    stage.judge(Level.HIGH, 0)
    stage.order(Verb.SHELVE, why="known leak", duration_s=1800)
    assert stage.said() == [("000", "raised"), ("000", "aside")]
    stage.wait(600)
    assert stage.said() == []


def test_a_latched_alarm_ends_once_for_people() -> None:
    stage = Stage(latching=True)
    stage.judge(Level.HIGH, 0)
    stage.order(Verb.ACKNOWLEDGE)
    stage.judge(Level.NORMAL, 0)
    stage.order(Verb.RESET)
    assert stage.said() == [("000", "raised"), ("000", "acknowledged"), ("000", "gone")]


def test_a_notifier_is_not_told_that_it_fails_itself() -> None:
    stage = Stage()
    for name in ("duty", "boss"):
        stage.hear(stage.book.system(f"system/notifier/{name}", active=True, why="no answer", now_ns=stage.now))
    assert [item.event.alarm for one in stage.messages() for item in one.items] == ["system/notifier/boss"]


def test_a_few_alarms_go_one_by_one_and_a_flood_is_gathered() -> None:
    stage = Stage(digest_s=10)
    stage.judge(Level.HIGH, *range(3))
    assert [one.form for one in stage.messages()] == [Form.SINGLE] * 3
    stage.judge(Level.HIGH, *range(3, 30))
    assert stage.messages() == []
    stage.wait(9)
    assert stage.messages() == []
    stage.wait(1.5)
    gathered = stage.messages()
    assert [one.form for one in gathered] == [Form.DIGEST]
    assert len(gathered[0].items) == 27
    stage.wait(61)
    stage.judge(Level.HIGH, 30)
    assert [one.form for one in stage.messages()] == [Form.SINGLE], "the flood is over"


def test_red_alarms_are_neither_delayed_nor_gathered() -> None:
    stage = Stage(red=True)
    stage.judge(Level.HIGH, *range(15))
    assert [one.form for one in stage.messages()] == [Form.SINGLE] * 15


def test_a_red_alarm_goes_before_what_waits() -> None:
    stage = Stage(digest_s=60)
    stage.judge(Level.HIGH, *range(20))
    assert stage.messages() == []
    stage.hear(stage.book.system("system/fire", active=True, why="fire", now_ns=stage.now, priority=Priority.RED))
    assert [(one.form, one.items[0].event.alarm) for one in stage.messages()] == [(Form.SINGLE, "system/fire")]
    assert stage.desk.waiting == 20


def test_more_red_alarms_than_the_channel_takes_are_named_in_one_message() -> None:
    stage = Stage(red=True)
    stage.judge(Level.HIGH, *range(25))
    stage.room = 3
    assert [(one.form, len(one.items)) for one in stage.messages()] == [(Form.LIST, 25)]


def test_nothing_goes_where_the_channel_takes_nothing_and_all_of_it_later() -> None:
    stage = Stage(red=True)
    stage.judge(Level.HIGH, 0, 1)
    stage.room = 0
    assert stage.messages() == []
    stage.room = 20
    assert len(stage.messages()) == 2


def test_the_last_room_of_a_minute_is_kept_for_red_alarms() -> None:
    stage = Stage(per_minute=20)
    stage.room = 6
    stage.judge(Level.HIGH, 0, 1)
    assert stage.messages() == [], "two wait to be gathered"
    stage.wait(10.1)
    assert [one.form for one in stage.messages()] == [Form.DIGEST]
    stage.room = 5
    stage.judge(Level.HIGH, 2)
    stage.wait(60)
    assert stage.messages() == []
    stage.hear(stage.book.system("system/fire", active=True, why="fire", now_ns=stage.now, priority=Priority.RED))
    assert [one.items[0].event.alarm for one in stage.messages()] == ["system/fire"]


def test_gathering_ends_in_its_time_also_where_more_comes_than_can_be_kept() -> None:
    stage = Stage(rules=12 * WAITING_MAX, digest_s=10)
    sent = []
    for second in range(12):
        stage.judge(Level.HIGH, *range(second * 500, (second + 1) * 500))
        stage.wait(1)
        sent += [second for _ in stage.messages()]
    assert sent == [9]


def test_red_alarms_that_come_to_the_channels_limit_wait_seconds_and_not_a_minute() -> None:
    stage = Stage(red=True, rules=1800, per_minute=20)
    sent: list[float] = []
    longest = 0.0
    for tick in range(600):
        stage.judge(Level.HIGH, 3 * tick, 3 * tick + 1, 3 * tick + 2)
        stage.now += NS_PER_S // 5
        stage.desk.advance(stage.now)
        now_s = (stage.now - START) / NS_PER_S
        while (message := stage.desk.next(20 - sum(at > now_s - 60 for at in sent))) is not None:
            longest = max(longest, *((stage.now - item.at_ns) / NS_PER_S for item in message.items))
            stage.desk.done(message)
            sent.append(now_s)
    assert longest <= 12.5, "a quarter of 20 messages a minute is one each 12 s"
    assert all(sum(at - 60 < other <= at for other in sent) <= 20 for at in sent)


def test_old_news_is_one_message_and_a_fresh_alarm_goes_first() -> None:
    stage = Stage(red=True)
    stage.judge(Level.HIGH, *range(8))
    stage.wait(3 * 3600)
    stage.judge(Level.HIGH, 9)
    found = stage.messages()
    assert [(one.form, len(one.items)) for one in found] == [(Form.SINGLE, 1), (Form.LATE, 8)]
    assert found[0].items[0].event.alarm == "gas:gd-009.co"


def test_an_alarm_that_comes_and_goes_is_told_each_time_until_that_is_a_flood() -> None:
    stage = Stage(digest_s=10)
    singles = digests = 0
    for _ in range(30):
        stage.judge(Level.HIGH, 0)
        stage.judge(Level.NORMAL, 0)
        stage.wait(1)
        for one in stage.messages():
            singles += one.form is Form.SINGLE
            digests += one.form is Form.DIGEST
    assert singles <= FLOOD
    assert 1 <= digests <= 4


def test_what_cannot_be_kept_is_counted_and_red_is_kept_longest() -> None:
    stage = Stage(rules=WAITING_MAX + 100)
    stage.hear(stage.book.system("system/fire", active=True, why="fire", now_ns=stage.now, priority=Priority.RED))
    stage.judge(Level.HIGH, *range(WAITING_MAX + 50))
    assert stage.desk.waiting == WAITING_MAX + 51
    found = stage.messages()
    assert found[0].items[0].event.alarm == "system/fire"
    stage.wait(11)
    last = stage.messages()[-1]
    assert last.unnamed == 51
    assert stage.desk.waiting == 0


def test_alarms_beyond_those_that_can_be_followed_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.alarms.desk.STANDING_MAX", 5)
    assert STANDING_MAX >= 10_000
    stage = Stage()
    stage.judge(Level.HIGH, *range(8))
    stage.wait(11)
    found = stage.messages()
    assert sum(len(one.items) for one in found) == 5
    assert sum(one.unnamed for one in found) == 3


def test_a_clock_that_is_set_back_stops_no_escalation() -> None:
    stage = Stage({}, {"after_s": 300})
    stage.judge(Level.HIGH, 0)
    assert stage.said() == [("000", "raised")]
    stage.wait(200)
    stage.wait(-365 * 24 * 3600)
    stage.wait(101)
    assert stage.said() == [("000", "still")]


def test_a_restart_forgets_neither_what_waits_nor_who_was_told() -> None:
    stage = Stage({}, {"after_s": 300})
    stage.judge(Level.HIGH, 0, 1)
    first = stage.desk.next(20)
    assert first is not None
    stage.desk.done(first)
    stage.restart()
    assert stage.said() == [("001", "raised")], "the other had been told"
    stage.restart()
    stage.wait(301)
    assert stage.said() == [("000", "still"), ("001", "still")]
    stage.order(Verb.ACKNOWLEDGE)
    stage.restart()
    assert stage.said() == [("000", "acknowledged")]
    stage.judge(Level.NORMAL, 0)
    assert stage.said() == [("000", "ended")]


def test_an_escalation_that_fell_due_while_the_gateway_was_down_is_told_at_the_start() -> None:
    stage = Stage({"after_s": 300})
    stage.judge(Level.HIGH, 0)
    stage.restart()
    stage.wait(3600)
    assert stage.said() == [("000", "still")]


def test_a_state_that_is_none_is_refused() -> None:
    for wrong in ({}, {"position": 1}, {"position": "x", "at": 0, "unnamed": 0, "standing": [], "waiting": []}):
        with pytest.raises(ValueError, match="no state"):
            Stage().desk.load(wrong, lambda _: None)
    with pytest.raises(ValueError, match="no state"):
        numbers_of({"standing": [[]], "waiting": []})


def test_a_new_notifier_is_told_of_what_stands_unacknowledged() -> None:
    stage = Stage()
    stage.judge(Level.HIGH, 0, 1, 2)
    stage.order(Verb.ACKNOWLEDGE, 1)
    stage.order(Verb.SHELVE, 2, why="x", duration_s=600)
    stage.desk = stage.make()
    stage.desk.find(stage.book.alarms(), stage.now)
    stage.desk.advance(stage.now)
    assert stage.said() == [("000", "raised")]


def test_what_the_book_told_already_is_not_told_again_by_the_journal() -> None:
    stage = Stage()
    stage.judge(Level.LOW, 0)
    stage.judge(Level.HIGH, 0)
    stage.desk = stage.make()
    stage.desk.find(stage.book.alarms(), stage.now)
    stage.hear(list(stage.journal.values()))
    assert stage.said() == [("000", "raised")]
    assert stage.desk.position == max(stage.journal)


def test_routes_decide_who_is_told() -> None:
    stage = Stage({"areas": ["area-1"], "priorities": [3]})
    stage.judge(Level.HIGH, 0, 1, 2)
    assert stage.said() == [("001", "raised")]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("judge"), st.integers(0, 5), st.sampled_from([Level.NORMAL, Level.LOW, Level.HIGH])),
        st.tuples(st.just("acknowledge"), st.integers(0, 5), st.none()),
        st.tuples(st.just("shelve"), st.integers(0, 5), st.none()),
        st.tuples(st.just("unshelve"), st.integers(0, 5), st.none()),
        st.tuples(st.just("wait"), st.integers(1, 4000), st.none()),
        st.tuples(st.just("send"), st.integers(0, 20), st.none()),
    ),
    max_size=60,
)


@given(steps, st.booleans())
def test_whatever_happens_nobody_is_left_untold_and_nobody_hears_only_the_end(
    happened: list[tuple[str, int, Any]], restarts: bool
) -> None:
    """Each unacknowledged alarm that stands at the end was told of since it began to wait; answers follow begins."""
    from gateway.core.errors import CommandRefusedError  # noqa: PLC0415 - of this story alone

    stage = Stage({}, {"after_s": 120, "repeat_s": 600}, latching=True, rules=6)
    heard: list[tuple[str, Occasion, int]] = []

    def send(room: int) -> None:
        stage.room = room
        for one in stage.messages():
            heard.extend((item.event.alarm, item.occasion, item.event.occurrence) for item in one.items)

    for verb, number, level in happened:
        if verb == "judge":
            stage.judge(level, number)
        elif verb == "wait":
            stage.wait(number)
        elif verb == "send":
            send(number)
            if restarts:
                stage.restart()
        else:
            try:
                stage.order(Verb(verb), number, **({"why": "x", "duration_s": 3600} if verb == "shelve" else {}))
            except CommandRefusedError:
                continue
    stage.wait(11)
    send(20)
    stage.wait(11)
    send(20)
    calls = {Occasion.RAISED, Occasion.ROSE, Occasion.BACK, Occasion.STILL}
    for index, (alarm, occasion, _) in enumerate(heard):
        if occasion not in calls:
            assert any(a == alarm and o in calls for a, o, _ in heard[:index]), (alarm, occasion)
    for alarm in stage.book.alarms():
        if alarm.event.state in (AlarmState.UNACKED, AlarmState.LATCHED_UNACKED, AlarmState.RETURNED):
            told = [n for a, o, n in heard if a == alarm.id and o in calls]
            assert alarm.event.occurrence in told, (alarm.id, rfc3339(stage.now))
    assert stage.desk.waiting == 0


def test_events_without_an_alarm_are_nobodys_business() -> None:
    stage = Stage()
    stage.hear([AlarmEvent(seq=7, time_ns=START, kind=EventKind.NOTE, why="x")])
    assert stage.said() == []
    assert stage.desk.position == 7
