"""A dead bus is one alarm: what is silent because of it is held down, and nothing else ever is."""

from dataclasses import replace

import numpy as np
import pytest

from gateway.alarms.book import AlarmBook
from gateway.core.alarm import AlarmEvent, Command, Verb
from gateway.core.model import Batch, Channel, Level, Priority, Quality, Rule, Verdicts
from gateway.core.plugin import PluginOptions

T0 = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
BUS = "system/connection/bus"
HEADS, CHANNELS = 3, 4
LINES = {"gd-0": "bus", "gd-1": "bus", "gd-2": "other"}


def rules() -> list[Rule]:
    """A fault rule for each channel, then a latching gas rule for each."""
    channels = [
        Channel(row=k, id=f"gd-{k // CHANNELS}.c{k}", instrument=f"gd-{k // CHANNELS}", quantity="ch4", area="hall")
        for k in range(HEADS * CHANNELS)
    ]
    n = len(channels)
    faults = [Rule(k, f"fault:{c.id}", "fault", (c,), PluginOptions(), area=c.area) for k, c in enumerate(channels)]
    gas = [
        Rule(n + k, f"gas:{c.id}", "threshold", (c,), PluginOptions(), latching=True, area=c.area)
        for k, c in enumerate(channels)
    ]
    return faults + gas


class Site:
    """A book; `restarts` puts a restored one in its place after each step."""

    def __init__(self, *, restarts: bool = False) -> None:
        self.restarts = restarts
        self.book = AlarmBook(rules(), lines=LINES)
        self.now_ns = T0

    def _after(self, events: list[AlarmEvent]) -> list[AlarmEvent]:
        self.now_ns += SECOND
        if self.restarts:
            told = AlarmBook(rules(), self.book.next_seq, lines=LINES)
            told.restore(self.book.last_events())
            assert [a.event for a in told.alarms()] == [a.event for a in self.book.alarms()]
            self.book = told
        return events

    def say(
        self, rows: list[int], level: Level, quality: Quality = Quality.GOOD, *, gas: bool = False
    ) -> list[AlarmEvent]:
        """Let the fault (or gas) rules of channels say something, then have the channels count as read."""
        n = len(rows)
        index = np.array(rows, np.int32) + gas * HEADS * CHANNELS
        verdicts = Verdicts(
            index.astype(np.int32),
            np.full(n, level, np.int8),
            np.zeros(n, np.float32),
            np.full(n, self.now_ns),
            np.full(n, np.nan if level is Level.FAULT else 20.0),
            np.full(n, 10.0),
            np.full(n, quality, np.uint8),
        )
        return self._after([*self.book.judge(verdicts), *self.read(rows)])

    def read(self, rows: list[int]) -> list[AlarmEvent]:
        rows = sorted(set(rows))
        return self.book.settle(Batch.bad(np.array(rows, np.int32), self.now_ns, Quality.COMMS_LOST))

    def lost(self, rows: list[int], quality: Quality = Quality.COMMS_LOST) -> list[AlarmEvent]:
        return self.say(rows, Level.FAULT, quality)

    def bus(self, *, dead: bool) -> list[AlarmEvent]:
        return self._after(self.book.system(BUS, dead, "no answer" if dead else "well again", self.now_ns))

    def order(self, verb: Verb, alarm: str) -> list[AlarmEvent]:
        return self._after(
            self.book.command(Command(verb=verb, alarm=alarm, who="li", why="x", duration_s=60), self.now_ns)
        )

    def on_the_list(self) -> list[str]:
        return sorted(a.id for a in self.book.alarms() if a.event.state != "suppressed")

    def held_by(self) -> dict[str, str]:
        return {a.id: a.event.suppressed_by for a in self.book.alarms() if a.event.state == "suppressed"}


ALL_ON_BUS = list(range(2 * CHANNELS))


@pytest.fixture(params=[False, True], ids=["running", "restarted after every step"])
def site(request: pytest.FixtureRequest) -> Site:
    return Site(restarts=request.param)


def sounds(events: list[AlarmEvent]) -> list[str]:
    return [event.alarm for event in events if event.annunciate]


def test_a_dead_bus_raises_one_alarm_whichever_comes_first(site: Site) -> None:
    assert sounds(site.bus(dead=True)) == [BUS]
    events = site.lost(ALL_ON_BUS)
    assert sounds(events) == []
    assert {event.state for event in events} == {"suppressed"}
    assert site.on_the_list() == [BUS]
    assert set(site.held_by().values()) == {BUS}


def test_faults_that_came_before_their_bus_was_known_to_be_lost_are_taken_aside(site: Site) -> None:
    events = site.lost(ALL_ON_BUS)
    assert sounds(events) == ["fault:gd-0.c0", "fault:gd-1.c4"]
    events = site.bus(dead=True)
    assert sounds(events) == [BUS]
    assert site.on_the_list() == [BUS]
    assert set(site.held_by().values()) == {BUS}
    assert len(site.held_by()) == len(ALL_ON_BUS)


def test_when_the_bus_is_back_nothing_sounds_that_the_next_reading_ends(site: Site) -> None:
    site.bus(dead=True)
    site.lost(ALL_ON_BUS)
    assert sounds(site.bus(dead=False)) == []
    assert site.on_the_list() == [BUS]
    events = site.say(ALL_ON_BUS, Level.NORMAL)
    assert sounds(events) == []
    assert site.held_by() == {}
    assert site.on_the_list() == [BUS], "nobody has acknowledged it"


def test_what_is_still_silent_when_the_bus_is_back_sounds_with_its_next_reading(site: Site) -> None:
    site.bus(dead=True)
    site.lost(ALL_ON_BUS)
    site.bus(dead=False)
    assert sounds(site.say(list(range(CHANNELS)), Level.NORMAL)) == []
    events = site._after(site.read(list(range(CHANNELS, 2 * CHANNELS))))
    assert sounds(events) == ["fault:gd-1.c4"]
    assert site.held_by() == {f"fault:gd-1.c{k}": "fault:gd-1.c4" for k in (5, 6, 7)}


def test_a_bus_that_flaps_before_anything_was_read_changes_nothing(site: Site) -> None:
    site.bus(dead=True)
    site.lost(ALL_ON_BUS)
    for _ in range(3):
        site.bus(dead=False)
        site.bus(dead=True)
    assert site._after(site.read(ALL_ON_BUS)) == []
    assert set(site.held_by().values()) == {BUS}


def test_of_a_silent_instrument_the_first_fault_stands_for_the_others(site: Site) -> None:
    assert sounds(site.lost([8, 9, 10, 11], Quality.STALE)) == ["fault:gd-2.c8"]
    assert set(site.held_by().values()) == {"fault:gd-2.c8"}
    assert sounds(site.lost([0])) == ["fault:gd-0.c0"], "another instrument is another matter"


def test_when_the_first_fault_goes_another_one_that_stays_takes_its_place(site: Site) -> None:
    site.lost([8, 9, 10, 11])
    events = site.say([8], Level.NORMAL)
    assert sounds(events) == []
    events = site._after(site.read([9, 10, 11]))
    assert sounds(events) == ["fault:gd-2.c10"], "by name"
    assert set(site.held_by().values()) == {"fault:gd-2.c10"}


@pytest.mark.parametrize("verb", [Verb.SHELVE, Verb.OUT_OF_SERVICE])
def test_a_fault_that_a_person_puts_aside_hides_no_other(site: Site, verb: Verb) -> None:
    site.lost([8, 9, 10, 11])
    site.order(verb, "fault:gd-2.c8")
    assert sounds(site._after(site.read([9, 10, 11]))) == ["fault:gd-2.c10"]


def test_an_acknowledged_fault_goes_on_standing_for_the_others(site: Site) -> None:
    site.lost([8])
    site.order(Verb.ACKNOWLEDGE, "fault:gd-2.c8")
    assert sounds(site.lost([9, 10])) == []


def test_a_dead_bus_that_is_shelved_goes_on_standing_for_its_channels(site: Site) -> None:
    site.bus(dead=True)
    site.lost(ALL_ON_BUS)
    site.order(Verb.SHELVE, BUS)
    assert site._after(site.read(ALL_ON_BUS)) == []
    assert len(site.held_by()) == len(ALL_ON_BUS)


def test_gas_that_stands_or_is_latched_is_never_held_down_by_a_dead_bus(site: Site) -> None:
    site.say([0, 1], Level.HIGH, gas=True)
    site.say([1], Level.NORMAL, gas=True)
    site.order(Verb.ACKNOWLEDGE, "gas:gd-0.c0")
    events = site.bus(dead=True)
    assert [event.alarm for event in events] == [BUS]
    # A rule that judges gas and its instrument's silence at once: the fault makes the alarm louder, not quieter.
    events = site.say([0, 1], Level.FAULT, Quality.COMMS_LOST, gas=True)
    assert sounds(events) == ["gas:gd-0.c0", "gas:gd-0.c1"]
    assert site.on_the_list() == ["gas:gd-0.c0", "gas:gd-0.c1", BUS]


def test_danger_that_shows_while_the_cause_stands_sounds_at_once(site: Site) -> None:
    site.bus(dead=True)
    site.say([0], Level.FAULT, Quality.COMMS_LOST, gas=True)
    assert site.held_by() == {"gas:gd-0.c0": BUS}
    events = site.say([0], Level.HIGH, gas=True)
    assert sounds(events) == ["gas:gd-0.c0"]
    assert events[-1].state == "unacked"
    assert events[-1].level == "high"


@pytest.mark.parametrize("quality", [Quality.SENSOR_FAULT, Quality.FROZEN, Quality.UNDER_RANGE, Quality.INHIBITED])
def test_a_fault_of_the_instrument_itself_is_no_consequence(site: Site, quality: Quality) -> None:
    site.bus(dead=True)
    assert sounds(site.lost([0, 1], quality)) == ["fault:gd-0.c0", "fault:gd-0.c1"]


def test_what_is_shelved_stays_shelved_and_is_held_down_when_that_ends(site: Site) -> None:
    site.lost([0])
    site.order(Verb.SHELVE, "fault:gd-0.c0")
    site.bus(dead=True)
    assert site.book.alarm("fault:gd-0.c0").event.state == "shelved"  # type: ignore[union-attr]
    (event,) = site._after(site.book.advance(site.now_ns + 3600 * SECOND))
    assert (event.kind, event.state, event.suppressed_by, event.annunciate) == ("unshelved", "suppressed", BUS, False)


def test_what_comes_back_from_maintenance_to_a_dead_bus_does_not_sound(site: Site) -> None:
    site.order(Verb.OUT_OF_SERVICE, "fault:gd-0.c0")
    site.bus(dead=True)
    site.lost([0])
    events = site.order(Verb.RETURN_TO_SERVICE, "fault:gd-0.c0")
    assert [(event.kind, event.state, event.suppressed_by) for event in events] == [
        ("returned_to_service", "suppressed", BUS)
    ]


def test_without_known_lines_a_connection_is_no_cause_but_an_instrument_still_is() -> None:
    book = AlarmBook(rules())
    book.system(BUS, True, "no answer", T0)
    site = Site()
    site.book = book
    assert sounds(site.lost([0, 1, 2])) == ["fault:gd-0.c0"]


def test_ten_thousand_silent_channels_make_one_alarm_each_instrument() -> None:
    n = 10_000
    channels = [Channel(row=k, id=f"i{k // 4}.c{k}", instrument=f"i{k // 4}", quantity="ch4") for k in range(n)]
    book = AlarmBook(
        [Rule(k, f"fault:{c.id}", "fault", (c,), PluginOptions()) for k, c in enumerate(channels)],
        lines={f"i{k}": "bus" for k in range(n // 4)},
    )
    book.system(BUS, True, "no answer", T0)
    everything = np.arange(n, dtype=np.int32)
    verdicts = Verdicts(
        everything, np.full(n, Level.FAULT, np.int8), np.zeros(n, np.float32), np.full(n, T0), np.full(n, np.nan),
        np.full(n, np.nan), np.full(n, Quality.COMMS_LOST, np.uint8),
    )  # fmt: skip
    events = book.judge(verdicts)
    assert len(events) == n
    assert sounds(events) == []
    book.system(BUS, False, "well again", T0)
    assert book.unsettled
    events = book.settle(Batch.bad(everything, T0, Quality.COMMS_LOST))
    assert len(sounds(events)) == n // 4, "one for each instrument that is still silent"
    assert not book.unsettled


def test_a_rule_with_an_off_delay_is_given_its_time_to_say_that_its_fault_is_over() -> None:
    class Delayed(PluginOptions):
        off_delay_s: float = 10.0

    channel = Channel(row=0, id="gd-0.c0", instrument="gd-0", quantity="ch4")
    site = Site()
    site.book = AlarmBook([Rule(0, "fault:gd-0.c0", "fault", (channel,), Delayed())], lines=LINES)
    site.bus(dead=True)
    site.lost([0])
    site.bus(dead=False)
    for _ in range(10):
        assert site._after(site.book.settle(Batch.of([0], site.now_ns, [1.0]))) == []
    (event,) = site.book.settle(Batch.of([0], site.now_ns, [1.0]))
    assert (event.kind, event.annunciate) == ("unsuppressed", True), "it says fault for longer than its delay explains"


@pytest.mark.parametrize("verb", [Verb.SHELVE, Verb.OUT_OF_SERVICE])
def test_a_bus_that_dies_while_its_alarm_is_put_aside_hides_no_channel(site: Site, verb: Verb) -> None:
    site.bus(dead=True)
    site.bus(dead=False)
    site.order(verb, BUS)
    assert sounds(site.bus(dead=True)) == []
    assert sounds(site.lost(ALL_ON_BUS)) == ["fault:gd-0.c0", "fault:gd-1.c4"], "nobody else tells of it"
    back = Verb.UNSHELVE if verb is Verb.SHELVE else Verb.RETURN_TO_SERVICE
    assert sounds(site.order(back, BUS)) == [BUS]
    assert site.on_the_list() == [BUS]


def test_a_bus_that_comes_and_goes_under_a_shelving_stands_for_nothing_any_more(site: Site) -> None:
    site.bus(dead=True)
    site.lost(ALL_ON_BUS)
    site.order(Verb.SHELVE, BUS)
    site.bus(dead=False)
    site.say(ALL_ON_BUS, Level.NORMAL)
    site.bus(dead=True)
    assert sounds(site.lost(ALL_ON_BUS)) == ["fault:gd-0.c0", "fault:gd-1.c4"]


def test_a_bus_whose_alarm_the_sites_logic_puts_aside_hides_no_channel(site: Site) -> None:
    site.bus(dead=True)
    site.lost([0, 1])
    site._after(site.book.suppress(BUS, True, "line off", site.now_ns, by="night"))
    assert "fault:gd-0.c0" in sounds(site._after(site.read([0, 1])))


@pytest.mark.parametrize("first", ["bus", "channels"])
def test_no_cause_stands_for_a_fault_that_is_more_urgent(first: str) -> None:
    urgent = rules()
    urgent[1] = replace(urgent[1], priority={Level.FAULT: Priority.RED})
    book = AlarmBook(urgent, lines=LINES)
    site = Site()
    site.book = book
    steps = [lambda: site.bus(dead=True), lambda: site.lost([0, 1, 2])]
    for step in steps if first == "bus" else reversed(steps):
        step()
    assert site.on_the_list() == ["fault:gd-0.c1", BUS], "a yellow alarm says nothing to who is told of red ones"
    assert site.held_by() == {"fault:gd-0.c0": BUS, "fault:gd-0.c2": BUS}


def test_of_a_silent_instrument_a_calm_fault_does_not_stand_for_an_urgent_one() -> None:
    urgent = rules()
    urgent[9] = replace(urgent[9], priority={Level.FAULT: Priority.RED})
    site = Site()
    site.book = AlarmBook(urgent, lines=LINES)
    assert sounds(site.lost([8, 9, 10])) == ["fault:gd-2.c8", "fault:gd-2.c9"]
    assert site.held_by() == {"fault:gd-2.c10": "fault:gd-2.c8"}
