"""Suppression by the site's own logic: it begins by a real reading only, every doubt ends it, nothing is hidden."""

import numpy as np
import pytest

from gateway.alarms.book import AlarmBook
from gateway.alarms.suppression import REBEGIN_NS, Logic
from gateway.core.alarm import AlarmEvent, AlarmState, Command, Suppression, Verb
from gateway.core.model import Batch, Channel, Level, Quality, Rule, Verdicts
from gateway.core.plugin import PluginOptions

T0 = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
BURNER = 5
OFF = Suppression(
    id="burner-off", alarms=("draught", "smoke"), row=BURNER, channel="plc.burner", below=1.0,
    why="No draught while the burner is off.", why_zh="燃烧器停机时无抽力。",
)  # fmt: skip
TEST_RUN = Suppression(
    id="test-run", alarms=("draught",), row=6, channel="plc.test", above=0.5, max_ns=60 * SECOND, why="t"
)
MAINS = Suppression(id="mains", alarms=("smoke",), alarm="power", why="The mains are off.")
NAMES = ("draught", "smoke", "power")


def rules() -> list[Rule]:
    return [
        Rule(
            k,
            name,
            "threshold",
            (Channel(row=k, id=f"{name}-1.x", instrument=f"{name}-1", quantity="pressure"),),
            PluginOptions(),
        )
        for k, name in enumerate(NAMES)
    ]


class Site:
    """A book with suppressions, told of readings a second apart."""

    def __init__(self, *suppressions: Suppression) -> None:
        self.suppressions = suppressions
        self.book = AlarmBook(rules(), suppressions=suppressions)
        self.now_ns = T0

    def shows(self, row: int, value: float, quality: Quality = Quality.GOOD, after_s: float = 20.0) -> list[AlarmEvent]:
        self.now_ns += round(after_s * SECOND)
        return self.book.decide(Batch.of([row], self.now_ns, [value], [quality]))

    def says(self, name: str, level: Level, quality: Quality = Quality.GOOD) -> list[AlarmEvent]:
        self.now_ns += SECOND
        value = np.nan if level is Level.FAULT else 7.0
        return self.book.judge(
            Verdicts(
                np.array([NAMES.index(name)], np.int32), np.array([level], np.int8), np.zeros(1, np.float32),
                np.array([self.now_ns]), np.array([value]), np.array([5.0]), np.array([quality], np.uint8),
            )
        )  # fmt: skip

    def wait(self, seconds: float) -> list[AlarmEvent]:
        self.now_ns += round(seconds * SECOND)
        return self.book.advance(self.now_ns)

    def restart(self) -> list[AlarmEvent]:
        told = AlarmBook(rules(), self.book.next_seq, suppressions=self.suppressions)
        told.restore(self.book.last_events())
        self.book = told
        return told.reconsider(self.now_ns)

    def state(self, name: str) -> str:
        found = self.book.alarm(name)
        return found.event.state.value if found else "normal"

    def running(self) -> list[str]:
        return [suppression.id for suppression, _ in self.book.running_suppressions()]


def told(events: list[AlarmEvent]) -> list[str]:
    return [f"{e.alarm} {e.kind} {e.state}{' sound' if e.annunciate else ''}" for e in events]


def test_the_alarms_are_put_aside_while_the_channel_says_so_and_come_back_as_they_then_are() -> None:
    site = Site(OFF)
    assert site.shows(BURNER, 1.0) == []
    events = site.shows(BURNER, 0.0)
    assert told(events) == ["draught suppressed suppressed", "smoke suppressed suppressed"]
    assert events[0].suppressed_by == "burner-off"
    assert events[0].why == "burner-off: No draught while the burner is off."
    assert events[0].why_zh == "burner-off：燃烧器停机时无抽力。"
    assert told(site.says("draught", Level.HIGH)) == ["draught raised suppressed"]
    assert [a.id for a in site.book.alarms()] == ["draught", "smoke"], "shown, not hidden"
    assert not site.book.audible()
    events = site.shows(BURNER, 1.0)
    assert told(events) == ["draught unsuppressed unacked sound", "smoke unsuppressed normal"]
    assert events[0].why == "burner-off: plc.burner at 1 is not below 1"
    assert events[0].suppressed_by == ""
    assert events[0].level == "high"


def test_an_alarm_on_the_list_is_put_aside_when_the_condition_begins() -> None:
    site = Site(OFF)
    site.says("draught", Level.LOW)
    assert told(site.shows(BURNER, 0.0)) == ["draught suppressed suppressed", "smoke suppressed suppressed"]
    assert not site.book.audible()


@pytest.mark.parametrize(
    "quality",
    [Quality.COMMS_LOST, Quality.STALE, Quality.SENSOR_FAULT, Quality.INHIBITED, Quality.TEST, Quality.MAINTENANCE],
)
def test_a_deciding_channel_that_cannot_be_believed_ends_it_and_begins_none(quality: Quality) -> None:
    site = Site(OFF)
    site.shows(BURNER, 0.0)
    site.says("draught", Level.HIGH)
    assert "draught unsuppressed unacked sound" in told(site.shows(BURNER, 0.0, quality))
    assert site.shows(BURNER, 0.0, quality) == []
    assert site.running() == []


def test_readings_of_other_channels_decide_nothing() -> None:
    site = Site(OFF)
    assert site.shows(3, 0.0) == []
    assert site.book.decides
    assert not Site(MAINS).book.decides


def test_the_time_limit_ends_it_and_it_begins_again_only_when_the_condition_was_gone() -> None:
    site = Site(TEST_RUN)
    site.shows(6, 0.0)
    (event,) = site.shows(6, 1.0)
    assert event.until_ns == site.now_ns + 60 * SECOND
    site.says("draught", Level.LOW)
    assert site.wait(58) == []
    (event,) = site.wait(1)
    assert told([event]) == ["draught unsuppressed unacked sound"]
    assert event.why == "test-run: its longest time of 60 s is over"
    assert site.shows(6, 1.0) == []
    assert site.shows(6, float("nan"), Quality.STALE) == []
    assert site.shows(6, 1.0) == [], "silence in between is no sight of its end"
    site.shows(6, 0.0)
    assert told(site.shows(6, 1.0)) == ["draught suppressed suppressed"]


def test_a_clock_set_back_does_not_make_it_longer() -> None:
    site = Site(TEST_RUN)
    site.shows(6, 0.0)
    site.shows(6, 1.0)
    assert told(site.wait(-3600)) == ["draught unsuppressed normal"]


def test_after_a_start_a_limited_one_waits_until_it_has_seen_its_condition_gone() -> None:
    site = Site(TEST_RUN)
    assert site.shows(6, 1.0) == []
    site.shows(6, 0.0)
    assert len(site.shows(6, 1.0)) == 1


def test_a_restart_gives_no_suppression_its_time_anew() -> None:
    site = Site(TEST_RUN)
    site.shows(6, 0.0)
    site.shows(6, 1.0)
    until = site.now_ns + 60 * SECOND
    site.now_ns += 30 * SECOND
    assert site.restart() == []
    assert site.running() == ["test-run"]
    assert site.shows(6, 1.0, after_s=1) == []
    assert site.book.alarm("draught").event.until_ns == until  # type: ignore[union-attr]
    assert told(site.wait(30)) == ["draught unsuppressed normal"]
    site.restart()
    assert site.shows(6, 1.0) == [], "it has run out before the restart"


def test_an_unlimited_one_goes_on_over_a_restart_until_its_channel_says_otherwise() -> None:
    site = Site(OFF)
    site.shows(BURNER, 0.0)
    site.says("draught", Level.HIGH)
    assert site.restart() == []
    assert site.state("draught") == "suppressed"
    assert "draught unsuppressed unacked sound" in told(site.shows(BURNER, float("nan"), Quality.COMMS_LOST))


def test_one_that_left_the_site_file_lets_go_with_the_next_reading() -> None:
    site = Site(OFF)
    site.shows(BURNER, 0.0)
    site.says("draught", Level.HIGH)
    site.suppressions = ()
    site.restart()
    assert site.book.unsettled
    events = site.book.settle(Batch.of([0, 1], site.now_ns, [7.0, 1.0]))
    assert told(events) == ["draught unsuppressed unacked sound", "smoke unsuppressed normal"]


def test_a_deciding_value_that_flickers_does_not_fill_the_journal_and_ends_on_the_side_of_danger() -> None:
    site = Site(OFF)
    site.shows(BURNER, 1.0)
    events = [event for k in range(60) for event in site.shows(BURNER, float(k % 2), after_s=0.5)]
    assert len(events) <= 2 * 2 * (30 * SECOND // REBEGIN_NS + 1)
    site.shows(BURNER, 1.0, after_s=0.1)
    site.shows(BURNER, 0.0, after_s=0.1)
    assert site.state("draught") == "normal"
    assert told(site.wait(10)) == ["draught suppressed suppressed", "smoke suppressed suppressed"]


def test_an_alarm_decides_while_it_is_active_and_not_by_its_fault() -> None:
    site = Site(MAINS)
    assert told(site.says("power", Level.LOW)) == ["power raised unacked sound", "smoke suppressed suppressed"]
    site.says("smoke", Level.HIGH)
    assert told(site.says("power", Level.FAULT))[-1] == "smoke unsuppressed unacked sound"
    site.says("power", Level.NORMAL)
    site.wait(20)
    assert "smoke suppressed suppressed" in told(site.says("power", Level.HIGH))


def test_an_alarm_that_is_under_test_or_out_of_service_decides_nothing() -> None:
    site = Site(MAINS)
    assert told(site.says("power", Level.LOW, Quality.TEST)) == ["power raised unacked sound"]
    site.says("power", Level.NORMAL)
    site.wait(20)
    site.says("power", Level.LOW)
    assert site.state("smoke") == "suppressed"
    order = Command(verb=Verb.OUT_OF_SERVICE, alarm="power", who="li", why="17", duration_s=60)
    assert told(site.book.command(order, site.now_ns))[-1] == "smoke unsuppressed normal"


def test_an_alarm_that_decides_is_asked_again_after_a_restart() -> None:
    site = Site(MAINS)
    site.says("power", Level.LOW)
    site.suppressions = (MAINS, OFF)
    assert site.restart() == []
    assert site.running() == ["mains"]
    site.book = AlarmBook(rules(), site.book.next_seq, suppressions=[MAINS])
    assert site.book.reconsider(site.now_ns) == []


def test_of_two_reasons_the_second_goes_on_when_the_first_is_over() -> None:
    site = Site(OFF, TEST_RUN)
    site.shows(6, 0.0)
    site.shows(BURNER, 0.0)
    assert site.shows(6, 1.0) == []
    site.says("draught", Level.HIGH)
    events = site.shows(BURNER, 1.0)
    assert told(events) == ["draught suppressed suppressed", "smoke unsuppressed normal"]
    assert events[0].suppressed_by == "test-run"
    assert events[0].until_ns > 0
    assert told(site.wait(60)) == ["draught unsuppressed unacked sound"]


def test_what_a_person_has_shelved_stays_so_and_is_suppressed_when_that_ends() -> None:
    site = Site(OFF)
    order = Command(verb=Verb.SHELVE, alarm="draught", who="li", why="noise", duration_s=600)
    site.book.command(order, site.now_ns)
    assert told(site.shows(BURNER, 0.0)) == ["smoke suppressed suppressed"]
    (event,) = site.wait(600)
    assert (event.kind, event.state, event.suppressed_by) == ("unshelved", "suppressed", "burner-off")


def test_out_of_service_is_stronger_and_a_return_goes_into_the_suppression() -> None:
    site = Site(OFF)
    order = Command(verb=Verb.OUT_OF_SERVICE, alarm="draught", who="li", why="17", duration_s=600)
    site.book.command(order, site.now_ns)
    site.shows(BURNER, 0.0)
    assert site.state("draught") == "out_of_service"
    site.says("draught", Level.HIGH)
    (event,) = site.book.command(Command(verb=Verb.RETURN_TO_SERVICE, alarm="draught", who="li"), site.now_ns)
    assert (event.state, event.suppressed_by, event.annunciate) == (AlarmState.SUPPRESSED, "burner-off", False)


def test_readings_of_one_batch_are_taken_in_their_order() -> None:
    logic = Logic([OFF])
    batch = Batch.of([BURNER, 2, BURNER], [T0, T0, T0 + SECOND], [0.0, 9.0, 1.0])
    assert [turn.begins for turn in logic.read(batch)] == [True, False]
