"""The book's answers in full: events, refusals, order, restarts with another site file, size."""

import copy
import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest

from detectors import rate
from gateway.alarms.book import SHELVE_MAX_S, AlarmBook
from gateway.core.alarm import AlarmEvent, AlarmState, Command, EventKind, Verb
from gateway.core.errors import CommandRefusedError, UnknownAlarmError
from gateway.core.model import NO_VERDICTS, Channel, Judged, Level, Priority, Quality, Reason, Rule, Verdicts
from gateway.core.plugin import PluginOptions

T0 = 1_700_000_000_000_000_000
NAN = float("nan")


def ordered(verb: Verb, alarm: str = "gas", **more: Any) -> Command:
    return Command(verb=verb, alarm=alarm, **{"who": "wang", "why": "as agreed", **more})


def one(rule: int, level: Level, value: float = NAN, limit: float = NAN, quality: int = 0) -> Verdicts:
    return many([rule], [level], value, limit, quality)


def many(rules: list[int], levels: list[Level], value: float = NAN, limit: float = NAN, quality: int = 0) -> Verdicts:
    n = len(rules)
    return Verdicts(
        np.array(rules, np.int32),
        np.array(levels, np.int8),
        np.zeros(n, np.float32),
        np.full(n, T0),
        np.full(n, value),
        np.full(n, limit),
        np.full(n, quality, np.uint8),
    )


def test_an_event_tells_all_there_is_to_know(story: Any):
    (event,) = story.book.judge(one(0, Level.LOW, 17.2, 10.0))
    assert event == AlarmEvent(
        seq=1,
        time_ns=T0,
        kind=EventKind.RAISED,
        alarm="gas",
        state=AlarmState.UNACKED,
        level="low",
        condition="low",
        priority=Priority.ORANGE,
        occurrence=1,
        raised_ns=T0,
        first=True,
        annunciate=True,
        channel="gas-01.ch4",
        instrument="gas-01",
        area="tank",
        quantity="ch4",
        unit="%LEL",
        value=17.2,
        limit=10.0,
        why="CH4 at 17.2 %LEL reached LOW limit 10",
        why_zh="甲烷 17.2 %LEL，达到低限 10",
        sounded=1,
        sounds={"low": 1},
    )
    (event,) = story.book.command(ordered(Verb.ACKNOWLEDGE, why=" seen,\n on my way "), T0 + 5)
    assert (event.who, event.why, event.acked_by, event.acked_ns) == ("wang", "seen, on my way", "wang", T0 + 5)
    assert (event.value, event.limit, event.raised_ns, event.sounded) == (17.2, 10.0, T0, 1)
    (event,) = story.book.judge(one(0, Level.NORMAL, 4.0, 10.0))
    assert event.why == "CH4 at 4 %LEL is back to normal; the alarm is held until it is reset"
    (event,) = story.book.command(ordered(Verb.RESET, why=""), T0 + 9)
    assert (event.level, event.priority, event.why) == ("normal", Priority.ORANGE, "reset by wang")
    assert (event.raised_ns, event.acked_by, event.sounded, event.sounds) == (T0, "wang", 0, {})


def test_an_escalation_takes_the_acknowledgement_away(story: Any):
    story.book.judge(one(0, Level.LOW))
    story.book.command(ordered(Verb.ACKNOWLEDGE), T0)
    (event,) = story.book.judge(one(0, Level.HIGH))
    assert (event.acked_by, event.acked_ns, event.occurrence, event.raised_ns) == ("", 0, 1, T0)


def test_what_is_over_leaves_no_trace_but_its_number_in_the_next_event(story: Any):
    story.book.judge(one(2, Level.LOW, 70.0, 60.0))
    story.book.command(ordered(Verb.ACKNOWLEDGE, "temp"), T0)
    (event,) = story.book.judge(one(2, Level.NORMAL, 50.0, 60.0))
    assert (event.state, event.raised_ns, event.acked_by) == ("normal", T0, "wang")
    (event,) = story.book.command(ordered(Verb.SHELVE, "temp", duration_s=60), T0 + 1)
    assert (event.occurrence, event.raised_ns, event.acked_by, event.value, event.limit) == (1, 0, "", None, None)
    assert event.until_ns == T0 + 60_000_000_001
    (event,) = story.book.command(ordered(Verb.UNSHELVE, "temp"), T0 + 2)
    assert (event.state, event.until_ns) == ("normal", 0)


def test_a_fault_is_told_by_its_quality(story: Any):
    (event,) = story.book.judge(one(0, Level.FAULT, quality=Quality.COMMS_LOST))
    assert (event.why, event.quality, event.value, event.limit) == ("CH4 fault: comms lost", "comms_lost", None, None)
    assert (event.level, event.priority) == ("fault", Priority.YELLOW)


def test_priorities_of_the_rule_come_before_the_defaults():
    gas = rule(0, latching=True, priority={Level.LOW: Priority.BLUE})
    book = AlarmBook([gas])
    assert [book.judge(one(0, level))[0].priority for level in (Level.LOW, Level.HIGH)] == [4, 1]


def test_a_rate_is_told_in_units_a_minute():
    channel = Channel(row=0, id="ht-01.temperature", instrument="ht-01", quantity="temperature", unit="°C", decimals=1)
    book = AlarmBook([Rule(0, "rise", "rate", (channel,), PluginOptions(), judged=rate.JUDGED)])
    (event,) = book.judge(one(0, Level.HIGH, 8.63, 8.3))
    assert (event.unit, event.why) == ("°C/min", "Temperature change at 8.6 °C/min reached HIGH limit 8.3")


def test_a_repeated_opinion_and_an_infinite_value_do_no_harm(story: Any):
    (event,) = story.book.judge(one(0, Level.HIGH, float("inf"), 50.0))
    assert event.value is None
    assert story.book.judge(one(0, Level.HIGH, 70.0, 50.0)) == []
    assert story.book.judge(NO_VERDICTS) == []


def test_one_batch_may_change_a_rule_more_than_once(story: Any):
    events = story.book.judge(many([0, 3, 0], [Level.LOW, Level.HIGH, Level.HIGH]))
    assert [(e.seq, e.alarm, e.kind) for e in events] == [
        (1, "gas", "raised"),
        (2, "smoke", "raised"),
        (3, "gas", "escalated"),
    ]
    assert story.book.condition.tolist() == [Level.HIGH, Level.NORMAL, Level.NORMAL, Level.HIGH]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (ordered(Verb.ACKNOWLEDGE, who="  "), "acknowledge needs the name of who gives it"),
        (ordered(Verb.SILENCE, "", who=""), "silence needs the name of who gives it"),
        (ordered(Verb.SHELVE, duration_s=60, why=" "), "shelve of gas needs a reason"),
        (ordered(Verb.OUT_OF_SERVICE, why=""), "out-of-service of gas needs a reason"),
        (ordered(Verb.SHELVE), "more than 0 and at most 43200 s"),
        (ordered(Verb.SHELVE, duration_s=-1), "shelve of gas for -1 s"),
        (ordered(Verb.SHELVE, duration_s=NAN), "shelve of gas for nan s"),
        (ordered(Verb.SHELVE, duration_s=SHELVE_MAX_S + 1), "shelve of gas for 43201 s"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_a_command_without_what_it_needs_is_refused_and_changes_nothing(story: Any, command: Command, words: str):
    story.book.judge(one(0, Level.LOW))
    before = msgspec.json.encode(story.book.alarms())
    with pytest.raises(CommandRefusedError, match=words):
        story.book.command(command, T0)
    assert msgspec.json.encode(story.book.alarms()) == before
    assert story.book.next_seq == 2


def test_an_unknown_alarm_is_named_and_a_known_one_can_be_asked_for(story: Any):
    with pytest.raises(UnknownAlarmError, match="'nosuch'"):
        story.book.command(ordered(Verb.ACKNOWLEDGE, "nosuch"), T0)
    with pytest.raises(UnknownAlarmError, match="''"):
        story.book.command(ordered(Verb.ACKNOWLEDGE, ""), T0)
    with pytest.raises(UnknownAlarmError):
        story.book.suppress("nosuch", True, "", T0, by="x")
    assert story.book.alarm("nosuch") is None
    assert story.book.alarm("gas") is None
    story.book.judge(one(0, Level.LOW))
    shown = story.book.alarm("gas")
    assert (shown.id, shown.latching, shown.response, shown.silenced) == ("gas", True, "leave the building", False)


def test_a_system_alarm_has_its_own_names(story: Any):
    with pytest.raises(ValueError, match="begins with system/, not 'disk'"):
        story.book.system("disk", True, "full", T0)
    (event,) = story.book.system("system/disk", True, "the disk\nis full", T0, priority=Priority.ORANGE, area="tank")
    assert (event.alarm, event.area, event.why, event.priority) == ("system/disk", "tank", "the disk is full", 2)
    assert not event.first
    (event,) = story.book.judge(one(0, Level.LOW))
    assert event.first


def test_a_note_is_numbered_and_changes_nothing(story: Any):
    (event,) = story.book.note("the clock was set back by 3 s", T0)
    assert (event.seq, event.kind, event.alarm, event.priority, event.who) == (1, "note", "", 0, "")
    assert story.book.alarms() == []


def test_the_most_urgent_alarm_stands_first():
    rules = [rule(k, latching=k < 5, name=f"r{k}", area=f"a{k}") for k in range(7)]
    book = AlarmBook(rules)
    for index, level in ((5, Level.FAULT), (6, Level.LOW), (0, Level.LOW), (1, Level.HIGH), (2, Level.HIGH)):
        book.judge(one(index, level))
    book.judge(many([3, 4], [Level.HIGH, Level.HIGH]))
    book.command(ordered(Verb.ACKNOWLEDGE, "r3"), T0)
    book.command(ordered(Verb.OUT_OF_SERVICE, "r4", duration_s=60), T0)
    book.judge(one(1, Level.NORMAL))
    # r2 and r1 are HIGH, r1 is gone; r0 is LOW gas; r6 LOW comes before a fault of the same priority.
    assert [alarm.id for alarm in book.alarms()] == ["r2", "r1", "r0", "r6", "r5", "r3", "r4"]


def test_of_two_equal_alarms_the_newer_stands_first_and_the_list_is_the_callers_own(story: Any):
    story.book.judge(many([0, 1], [Level.LOW, Level.LOW]))
    listed = story.book.alarms()
    assert [alarm.id for alarm in listed] == ["gas2", "gas"]
    listed.clear()
    assert len(story.book.alarms()) == 2


def test_a_clock_set_back_ends_a_shelving_instead_of_making_it_last(story: Any):
    story.book.judge(one(0, Level.LOW))
    story.book.command(ordered(Verb.SHELVE, duration_s=SHELVE_MAX_S), T0)
    assert story.book.advance(T0) == []
    (event,) = story.book.advance(T0 - 86_400_000_000_000)
    assert (event.kind, event.annunciate) == (EventKind.UNSHELVED, True)
    assert event.why == (
        "the shelving ends because it would run for longer than is allowed, as after the clock was set back"
    )


def test_shelvings_end_in_the_order_of_their_times(story: Any):
    for alarm, duration_s in (("temp", 30.0), ("gas", 20.0), ("smoke", 10.0)):
        story.book.command(ordered(Verb.SHELVE, alarm, duration_s=duration_s), T0)
    assert [e.alarm for e in story.book.advance(T0 + 60_000_000_000)] == ["smoke", "gas", "temp"]


def test_an_alarm_whose_rule_left_the_site_stays_listed_until_an_event_ends_it(story: Any):
    events = story.book.judge(many([0, 1, 2], [Level.HIGH, Level.LOW, Level.LOW]))
    smaller = AlarmBook([rule(0, latching=True, name="gas2", area="tank")])
    smaller.restore(events)
    assert [alarm.id for alarm in smaller.alarms()] == ["gas", "gas2", "temp"]
    ended = smaller.orphans(T0 + 1)
    assert [(e.seq, e.alarm, e.kind, e.state) for e in ended] == [
        (4, "gas", "cleared", "normal"),
        (5, "temp", "cleared", "normal"),
    ]
    assert "no longer in the site file" in ended[0].why
    assert smaller.orphans(T0 + 2) == []
    assert [alarm.id for alarm in smaller.alarms()] == ["gas2"]
    with pytest.raises(UnknownAlarmError):
        smaller.command(ordered(Verb.ACKNOWLEDGE, "gas"), T0)
    # The first alarm is gone from the site; no later one takes its flag while the area is not normal.
    assert not smaller.judge(one(0, Level.HIGH))[0].first


def test_a_rule_that_moved_in_the_site_file_keeps_its_alarm(story: Any):
    events = story.book.judge(many([0, 3], [Level.HIGH, Level.LOW]))
    moved = AlarmBook([rule(0, latching=True, name="smoke", area="hall"), rule(1, latching=True, name="gas")])
    moved.restore(events)
    assert moved.condition.tolist() == [Level.LOW, Level.HIGH]
    assert moved.orphans(T0) == []


def test_a_rule_that_no_longer_latches_lets_its_latched_alarm_be_reset(story: Any):
    events = story.book.judge(one(0, Level.HIGH)) + story.book.judge(one(0, Level.NORMAL))
    book = AlarmBook([rule(0, name="gas", area="tank")])
    book.restore(events)
    book.command(ordered(Verb.ACKNOWLEDGE), T0)
    (event,) = book.command(ordered(Verb.RESET), T0)
    assert event.state is AlarmState.NORMAL


def test_a_whole_journal_restores_as_well_as_its_last_events(story: Any):
    events = story.book.judge(many([0, 1], [Level.HIGH, Level.LOW]))
    events += story.book.command(ordered(Verb.SILENCE, ""), T0)
    events += story.book.command(ordered(Verb.ACKNOWLEDGE), T0)
    events += story.book.note("stop", T0)
    told = AlarmBook(
        [rule(0, latching=True, name="gas", area="tank"), rule(1, latching=True, name="gas2", area="tank")]
    )
    told.restore(reversed(events))
    assert told.next_seq == story.book.next_seq
    assert not told.audible()
    facts = [(a.id, a.event.seq, a.event.state, a.event.level, a.event.sounds) for a in story.book.alarms()]
    assert [(a.id, a.event.seq, a.event.state, a.event.level, a.event.sounds) for a in told.alarms()] == facts


def test_an_on_delay_is_shown_with_the_alarm():
    class Delayed(PluginOptions):
        on_delay_s: float = 0.0

    rules = [rule(k, name=f"r{k}", options=Delayed(on_delay_s=seconds)) for k, seconds in enumerate((0.0, 5.0))]
    book = AlarmBook(rules)
    book.judge(many([0, 1], [Level.LOW, Level.LOW]))
    assert {alarm.id: alarm.delayed for alarm in book.alarms()} == {"r0": False, "r1": True}


def test_a_flood_of_ten_thousand_alarms_is_numbered_without_gaps():
    n = 10_000
    book = AlarmBook([rule(k, latching=True, name=f"r{k}", area=f"a{k % 10}") for k in range(n)])
    events = book.judge(many(list(range(n)), [Level.HIGH] * n, 60.0, 50.0))
    assert [e.seq for e in events] == list(range(1, n + 1))
    assert sum(e.first for e in events) == 10
    assert len(book.alarms()) == n


def test_the_same_calls_give_the_same_bytes(story: Any):
    def life(book: AlarmBook) -> bytes:
        events = book.judge(many([0, 1, 2, 3], [Level.HIGH, Level.LOW, Level.FAULT, Level.HIGH], 61.5, 50.0))
        for alarm in ("gas2", "temp", "smoke"):
            events += book.command(ordered(Verb.SHELVE, alarm, duration_s=9), T0)
        return msgspec.json.encode([*events, *book.advance(T0 + 10_000_000_000)])

    assert life(copy.deepcopy(story.book)) == life(story.book)


def rule(index: int, *, latching: bool = False, name: str = "gas", area: str = "", **more: Any) -> Rule:
    channel = Channel(row=index, id=f"{name}.x", instrument=name, quantity="ch4")
    return Rule(index, name, "threshold", (channel,), more.pop("options", PluginOptions()), latching, area=area, **more)


def test_a_detectors_reason_stands_behind_the_sentence_in_both_languages(story: Any):
    reason = Reason("+3.2 %LEL in 5 min; normal here ±0.4", "5 分钟内 +3.2 %LEL；此处正常波动 ±0.4")
    (event,) = story.book.judge(dataclasses.replace(one(0, Level.WARNING, 3.4), reason=(reason,)))
    assert event.why == "CH4 at 3.4 %LEL gives a warning: +3.2 %LEL in 5 min; normal here ±0.4"
    assert event.why_zh == "甲烷 3.4 %LEL，预警：5 分钟内 +3.2 %LEL；此处正常波动 ±0.4"
    assert (event.priority, event.annunciate, event.first) == (4, False, False)


def test_a_persons_own_words_stand_in_both_languages_and_what_nobody_translated_in_one(story: Any):
    story.book.judge(one(0, Level.LOW))
    (event,) = story.book.command(ordered(Verb.ACKNOWLEDGE, why=""), T0)
    assert (event.why, event.why_zh) == ("acknowledge by wang", "wang 确认")
    (event,) = story.book.command(ordered(Verb.SHELVE, why="泵房检修", duration_s=60), T0)
    assert (event.why, event.why_zh) == ("泵房检修", "泵房检修")
    (event,) = story.book.system("system/disk", active=True, why="the disk is full", now_ns=T0)
    assert (event.why, event.why_zh) == ("the disk is full", "")


def test_the_alarm_of_a_group_is_of_what_its_channels_have_in_common():
    heads = tuple(Channel(row=k, id=f"gd-{k}.ch4", instrument=f"gd-{k}", quantity="ch4", unit="%LEL") for k in range(2))
    heat = Channel(row=2, id="th-1.t", instrument="th-1", quantity="temperature", unit="°C")
    leak = Rule(0, "leak", "leak", heads, PluginOptions(), area="hall", group=True)
    fire = Rule(1, "fire", "fire", (*heads, heat), PluginOptions(), group=True, judged=Judged("", "criteria", "判据"))
    book = AlarmBook([leak, fire])
    first, second = book.judge(many([0, 1], [Level.WARNING, Level.HIGH], 2.0, 2.0))
    assert (first.channel, first.instrument, first.quantity, first.unit) == ("", "", "ch4", "%LEL")
    assert (second.channel, second.quantity, second.unit) == ("", "", "")
    assert (second.why, second.why_zh) == ("fire reached HIGH", "fire 达到高限")


def test_an_event_of_a_journal_that_knew_no_chinese_is_read_as_it_was():
    event = AlarmEvent(seq=1, time_ns=T0, kind=EventKind.NOTE, why="gateway started")
    old = {name: value for name, value in msgspec.to_builtins(event).items() if name != "why_zh"}
    assert msgspec.json.decode(msgspec.json.encode(old), type=AlarmEvent) == event


def test_warnings_stand_below_all_that_has_reached_a_limit_and_above_what_is_put_aside(story: Any):
    story.book.judge(many([0, 1, 2, 3], [Level.WARNING, Level.LOW, Level.FAULT, Level.HIGH]))
    for alarm in ("gas2", "temp"):
        story.book.command(ordered(Verb.ACKNOWLEDGE, alarm), T0)
    story.book.command(ordered(Verb.SHELVE, "smoke", duration_s=60), T0)
    assert [alarm.id for alarm in story.book.alarms()] == ["gas2", "temp", "gas", "smoke"]


def test_an_acknowledged_alarm_still_says_what_it_is_about():
    book = AlarmBook([])
    (raised,) = book.system("system/uplink/park", active=True, why=Reason("no answer", "无应答"), now_ns=T0)
    (acked,) = book.command(Command(verb=Verb.ACKNOWLEDGE, alarm=raised.alarm, who="wang"), T0 + 1)
    assert (raised.said, acked.said, acked.said_zh) == ("", "no answer", "无应答")
    (shelved,) = book.command(
        Command(verb=Verb.SHELVE, alarm=raised.alarm, who="li", why="known", duration_s=60.0), T0 + 2
    )
    assert (shelved.said, shelved.aside_by, shelved.aside_why) == ("no answer", "li", "known")
    (gone,) = book.system(raised.alarm, active=False, why="well again", now_ns=T0 + 3)
    assert (gone.state, gone.why, gone.said, gone.aside_by, gone.aside_why) == (
        AlarmState.SHELVED, "well again", "", "li", "known",
    )  # fmt: skip
    (back,) = book.command(Command(verb=Verb.UNSHELVE, alarm=raised.alarm, who="li"), T0 + 4)
    assert (back.state, back.said, back.aside_by) == (AlarmState.NORMAL, "", "")
