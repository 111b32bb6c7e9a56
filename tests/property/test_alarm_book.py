"""Whatever instruments, people and power cuts do: no danger is listed nowhere, nothing held is lost, no sound dies."""

from collections.abc import Callable

import msgspec
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.alarms.book import AlarmBook
from gateway.core.alarm import AlarmEvent, AlarmState, Command, EventKind, Suppression, Verb
from gateway.core.errors import CommandRefusedError
from gateway.core.model import Batch, Channel, Level, Priority, Quality, Rule, Verdicts
from gateway.core.plugin import PluginOptions

SECOND = 1_000_000_000
NAMES = ("gas", "gas2", "smoke", "temp")
AREAS = ("tank", "tank", "hall", "tank")
LATCHING = (True, True, True, False)
INSTRUMENTS = ("head", "head", "smoke", "temp")
LINES = {"head": "bus", "smoke": "bus", "temp": "other"}
LOGIC = ("one", "two")
SYSTEM = ("system/disk", "system/clock", "system/connection/bus")
SET_ASIDE = {EventKind.SHELVED, EventKind.OUT_OF_SERVICE, EventKind.SUPPRESSED}
STOPS_SOUND = {EventKind.SILENCED, EventKind.ACKNOWLEDGED} | SET_ASIDE
WAITS = {AlarmState.UNACKED, AlarmState.RETURNED, AlarmState.LATCHED_UNACKED}
PRESENT = {AlarmState.UNACKED, AlarmState.ACKED, AlarmState.SHELVED}


def site() -> list[Rule]:
    channels = [
        Channel(row=k, id=f"{name}.x", instrument=INSTRUMENTS[k], quantity="ch4") for k, name in enumerate(NAMES)
    ]
    return [
        Rule(k, name, "threshold", (channels[k],), PluginOptions(), latching=LATCHING[k], area=AREAS[k])
        for k, name in enumerate(NAMES)
    ]


def book_of(next_seq: int = 1) -> AlarmBook:
    """A book with two suppressions of the site's own logic and two connections."""
    logic = [
        Suppression(id="one", alarms=("temp", "smoke"), row=9, channel="plc.burner", above=0.5, why="shut down"),
        Suppression(id="two", alarms=("temp",), alarm="gas2", why="gas2 tells more"),
    ]
    return AlarmBook(site(), next_seq, suppressions=logic, lines=LINES)


def spoken(changes: list[tuple[int, Level, Quality]], now_ns: int) -> Verdicts:
    n = len(changes)
    return Verdicts(
        np.array([index for index, _, _ in changes], np.int32),
        np.array([level for _, level, _ in changes], np.int8),
        np.zeros(n, np.float32),
        np.full(n, now_ns),
        np.array([np.nan if level is Level.FAULT else 7.5 * level for _, level, _ in changes]),
        np.full(n, 10.0),
        np.array([quality for _, _, quality in changes], np.uint8),
    )


class Life(RuleBasedStateMachine):
    """Every call goes to the book that ran all the time and to one restored from its last events; both answer alike."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 1_700_000_000_000_000_000
        self.books = [book_of()]
        self.journal: list[AlarmEvent] = []
        self.condition = [Level.NORMAL] * len(NAMES)
        self.held: set[str] = set()
        self.out: set[str] = set()
        self.decided = Batch.of([9], 0, [0.0])

    @property
    def book(self) -> AlarmBook:
        return self.books[0]

    def call(self, ask: Callable[[AlarmBook], list[AlarmEvent]]) -> list[AlarmEvent]:
        was_audible = self.book.audible()
        answers = [self.answer(book, ask) for book in self.books]
        assert all(msgspec.json.encode(each) == msgspec.json.encode(answers[0]) for each in answers)
        events = answers[0] if isinstance(answers[0], list) else []
        self.journal += events
        kinds = {event.kind for event in events}
        aside = any(event.state is AlarmState.SUPPRESSED for event in events)
        if was_audible and not self.book.audible():
            assert kinds & STOPS_SOUND or aside
        if any(event.annunciate for event in events):
            assert self.book.audible() or aside
        self.follow(events)
        return events

    @staticmethod
    def answer(book: AlarmBook, ask: Callable[[AlarmBook], list[AlarmEvent]]) -> list[AlarmEvent] | str:
        before = msgspec.json.encode((book.alarms(), book.next_seq, book.condition.tolist()))
        try:
            return ask(book)
        except CommandRefusedError as refusal:
            assert msgspec.json.encode((book.alarms(), book.next_seq, book.condition.tolist())) == before
            return str(refusal)

    def follow(self, events: list[AlarmEvent]) -> None:
        """Keep apart from the book what may end only by a person's hand."""
        for event in events:
            if event.kind is EventKind.RESET:
                self.held.discard(event.alarm)
            if event.kind is EventKind.OUT_OF_SERVICE:
                self.out.add(event.alarm)
            if event.kind is EventKind.RETURNED_TO_SERVICE:
                self.out.discard(event.alarm)
            latching = event.alarm in NAMES and LATCHING[NAMES.index(event.alarm)]
            if latching and event.state in PRESENT and event.condition in {"low", "high"}:
                self.held.add(event.alarm)

    @rule(
        changes=st.lists(
            st.tuples(
                st.integers(0, len(NAMES) - 1),
                st.sampled_from(Level),
                st.sampled_from([Quality.GOOD, Quality.TEST, Quality.COMMS_LOST]),
            ),
            min_size=1,
            max_size=4,
        )
    )
    def instruments_report(self, changes: list[tuple[int, Level, Quality]]) -> None:
        verdicts = spoken(changes, self.now_ns)
        self.call(lambda book: book.judge(verdicts))
        for index, level, _ in changes:
            self.condition[index] = level

    @rule(
        verb=st.sampled_from([verb for verb in Verb if verb is not Verb.SILENCE]),
        alarm=st.sampled_from([*NAMES, *SYSTEM, "nosuch"]),
        why=st.sampled_from(["", "permit 17"]),
        duration_s=st.sampled_from([0.0, 30.0, 3600.0, 1e9]),
    )
    def a_person_orders(self, verb: Verb, alarm: str, why: str, duration_s: float) -> None:
        order = Command(verb=verb, alarm=alarm, who="wang", why=why, duration_s=duration_s)
        self.call(lambda book: book.command(order, self.now_ns))

    @precondition(lambda self: self.book.alarms())
    @rule(data=st.data(), verb=st.sampled_from([Verb.ACKNOWLEDGE, Verb.ACKNOWLEDGE, Verb.RESET, Verb.UNSHELVE]))
    def a_person_attends_to_the_list(self, data: st.DataObject, verb: Verb) -> None:
        alarm = data.draw(st.sampled_from([each.id for each in self.book.alarms()]))
        self.a_person_orders(verb, alarm, "", 0.0)

    @rule()
    def a_person_silences(self) -> None:
        self.call(lambda book: book.command(Command(verb=Verb.SILENCE, who="wang"), self.now_ns))
        assert not self.book.audible()

    @rule(alarm=st.sampled_from(SYSTEM), active=st.booleans(), priority=st.sampled_from(Priority))
    def a_part_of_the_gateway_reports(self, alarm: str, active: bool, priority: Priority) -> None:
        self.call(lambda book: book.system(alarm, active, "why", self.now_ns, priority=priority))
        repeated = self.call(lambda book: book.system(alarm, active, "again", self.now_ns, priority=priority))
        assert repeated == []

    @rule(value=st.sampled_from([0.0, 1.0, 1.0, np.nan]), quality=st.sampled_from([Quality.GOOD, Quality.TEST]))
    def the_channel_that_decides_reports(self, value: float, quality: Quality) -> None:
        self.decided = Batch.of([9], self.now_ns, [value], [quality])
        self.call(lambda book: book.decide(self.decided))

    @rule(row=st.integers(0, len(NAMES) - 1))
    def a_channel_has_been_read(self, row: int) -> None:
        batch = Batch.of([row], self.now_ns, [0.0], [Quality.COMMS_LOST])
        self.call(lambda book: book.settle(batch))
        for alarm in self.book.alarms():
            event = alarm.event
            if alarm.id == NAMES[row] and event.state is AlarmState.SUPPRESSED and event.suppressed_by not in LOGIC:
                assert self.is_told(event.suppressed_by)

    def is_told(self, alarm: str) -> bool:
        found = self.book.alarm(alarm)
        return found is not None and found.event.condition == "fault"

    @rule(seconds=st.sampled_from([1, 20, 40, 3601, -86_400]))
    def time_goes_by(self, seconds: int) -> None:
        self.now_ns += seconds * SECOND
        self.call(lambda book: book.advance(self.now_ns))
        for alarm in self.book.alarms():
            if alarm.event.state is AlarmState.SHELVED:
                assert 0 < alarm.event.until_ns - self.now_ns <= 12 * 3600 * SECOND

    @precondition(lambda self: self.book.rechecks)
    @rule()
    def reset_rules_are_evaluated_again(self) -> None:
        waiting = sorted(self.book.rechecks)
        events = self.call(lambda book: book.recheck(waiting, self.now_ns))
        assert [NAMES.index(event.alarm) for event in events] == waiting
        assert all(event.kind is EventKind.RAISED and not event.acked_by for event in events)
        assert all(event.annunciate or event.level == "warning" for event in events)
        assert not self.book.rechecks

    @rule()
    def something_is_noted(self) -> None:
        (event,) = self.call(lambda book: book.note("the clock was set", self.now_ns))
        assert event.alarm == ""

    @rule()
    def the_power_is_cut(self) -> None:
        # Longer ago than a suppression that has ended must stay so: what nobody has written down has no part in it.
        self.time_goes_by(11)
        last = {event.alarm or event.kind: event for event in self.journal}
        told = book_of(self.book.next_seq)
        told.restore(last.values())
        assert told.orphans(self.now_ns) == []
        # What decides is read again at once; what it put aside has not been heard of meanwhile.
        assert told.decide(self.decided) == []
        assert told.reconsider(self.now_ns) == []
        self.books = [self.book, told]

    @invariant()
    def the_books_agree(self) -> None:
        views = [
            msgspec.json.encode(
                (book.alarms(), book.condition.tolist(), sorted(book.rechecks), book.audible(), book.next_seq)
            )
            for book in self.books
        ]
        assert views[0] == views[-1]

    @invariant()
    def the_journal_has_no_gaps(self) -> None:
        assert [event.seq for event in self.journal] == list(range(1, len(self.journal) + 1))

    @invariant()
    def the_book_knows_what_each_rule_said_last(self) -> None:
        assert self.book.condition.tolist() == self.condition

    @invariant()
    def only_silence_is_held_down_by_a_cause_and_nothing_held_down_sounds(self) -> None:
        for alarm in self.book.alarms():
            event = alarm.event
            assert bool(event.suppressed_by) is (event.state is AlarmState.SUPPRESSED)
            if event.suppressed_by and event.suppressed_by not in LOGIC:
                assert (event.condition, event.quality) == ("fault", "comms_lost")
                assert event.level not in {"low", "high"}
        assert not any(e.annunciate and e.state is AlarmState.SUPPRESSED for e in self.journal[-9:])

    @invariant()
    def a_permit_has_a_name_and_an_end(self) -> None:
        for event in self.book.out_of_service():
            assert event.permit == "permit 17"
            assert event.permit_for == event.alarm
            assert event.until_ns > 0

    @invariant()
    def a_consequence_follows_the_first_alarm_of_its_area(self) -> None:
        for alarm in self.book.alarms():
            event = alarm.event
            assert not (event.first and event.follows)
            if event.follows:
                assert self.book.alarm(event.follows).event.area == event.area

    @invariant()
    def a_present_danger_is_listed_or_about_to_be_raised_again(self) -> None:
        listed = {alarm.id for alarm in self.book.alarms()}
        for index, name in enumerate(NAMES):
            if self.condition[index] is not Level.NORMAL:
                assert name in listed or index in self.book.rechecks

    @invariant()
    def what_is_held_stays_listed_until_its_reset(self) -> None:
        assert self.held <= {alarm.id for alarm in self.book.alarms()}

    @invariant()
    def what_is_out_of_service_stays_so_until_a_person_returns_it(self) -> None:
        states = {alarm.id: alarm.event.state for alarm in self.book.alarms()}
        assert {name for name, state in states.items() if state is AlarmState.OUT_OF_SERVICE} == self.out

    @invariant()
    def an_area_has_at_most_one_first_alarm_and_faults_have_no_part_in_it(self) -> None:
        firsts = [alarm.event for alarm in self.book.alarms() if alarm.event.first]
        assert len({event.area for event in firsts}) == len(firsts)
        assert not any(event.alarm in SYSTEM for event in firsts)

    @invariant()
    def whatever_waits_for_a_person_sounds_or_was_silenced_or_is_a_warning(self) -> None:
        waiting = [alarm for alarm in self.book.alarms() if alarm.event.state in WAITS]
        assert self.book.audible() is any(alarm.event.sounded > 0 and not alarm.silenced for alarm in waiting)
        assert all(alarm.event.sounded > 0 or "warning" in alarm.event.sounds for alarm in waiting)
        assert not any(event.annunciate and event.level == "warning" for event in self.journal[-9:])


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
