"""Outputs against an account that remembers everything: no sound dies by itself, no restart changes an output."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.alarms.annunciation import Annunciation, Selection
from gateway.alarms.book import AlarmBook
from gateway.core.alarm import AlarmEvent, AlarmState, Command, EventKind, Suppression, Verb
from gateway.core.errors import CommandRefusedError
from gateway.core.model import Channel, Level, Priority, Quality, Rule, Verdicts
from gateway.core.plugin import PluginOptions

T0 = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
ALARMS = ("gas:a.x", "gas:b.x", "heat:c.x")
SYSTEM = "system/disk"
ASIDE = {AlarmState.SHELVED, AlarmState.SUPPRESSED, AlarmState.OUT_OF_SERVICE}
SELECTIONS = (
    Selection("sounder"),
    Selection("evacuate", level="high"),
    Selection("all", alarms=("*", "system/*"), faults=True),
    Selection("beacon", release="reset"),
    Selection("beacon-high", level="high", faults=True, release="reset"),
)
LOGIC = [f"logic-{k}" for k in range(len(ALARMS))]
SEVERE = {"low": ("low", "high"), "high": ("high",)}
A_PERSON = {
    EventKind.SILENCED,
    EventKind.RESET,
    EventKind.ACKNOWLEDGED,
    EventKind.SHELVED,
    EventKind.OUT_OF_SERVICE,
    EventKind.SUPPRESSED,
}
"""Whose events may release a sounder, besides the end of an alarm that was acknowledged before."""


def site() -> list[Rule]:
    channels = [Channel(row=k, id=name[-3:], instrument=name[-3:-2], quantity="ch4") for k, name in enumerate(ALARMS)]
    return [
        Rule(k, name, "threshold", (channels[k],), PluginOptions(), latching=name.startswith("gas"))
        for k, name in enumerate(ALARMS)
    ]


def book_of(next_seq: int = 1) -> AlarmBook:
    logic = [Suppression(id=name, alarms=(alarm,), row=9) for name, alarm in zip(LOGIC, ALARMS, strict=True)]
    return AlarmBook(site(), next_seq, suppressions=logic)


def verdict(index: int, level: Level, now_ns: int) -> Verdicts:
    return Verdicts(
        np.array([index], np.int32),
        np.array([level], np.int8),
        np.zeros(1, np.float32),
        np.array([now_ns]),
        np.array([1.0]),
        np.array([10.0]),
        np.array([Quality.COMMS_LOST if level is Level.FAULT else Quality.GOOD], np.uint8),
    )


class Account:
    """What an output must be, told from all events one after the other, with a memory of its own."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.on: set[str] = set()
        self.normal: set[str] = set()

    def named(self, alarm: str) -> bool:
        return not alarm.startswith("system/") or "system/*" in self.selection.alarms

    def enough(self, alarm: str, level: str) -> bool:
        if level == "fault":
            return self.selection.faults or alarm.startswith("system/")
        return level in SEVERE[self.selection.level]

    def take(self, event: AlarmEvent) -> None:
        sounder = self.selection.release == "silence"
        if event.kind is EventKind.SILENCED and sounder:
            self.on.clear()
        if not event.alarm or not self.named(event.alarm):
            return
        if event.alarm in self.normal and event.state is not AlarmState.NORMAL:
            self.on.discard(event.alarm)  # what a person's reset ended counts no more
        (self.normal.add if event.state is AlarmState.NORMAL else self.normal.discard)(event.alarm)
        if event.annunciate and self.enough(event.alarm, event.level):
            self.on.add(event.alarm)
        elif event.state in ASIDE or (event.state is AlarmState.NORMAL and sounder):
            self.on.discard(event.alarm)
        elif event.state is AlarmState.NORMAL:
            still = event.condition != "normal" and self.enough(event.alarm, event.condition)
            (self.on.add if still else self.on.discard)(event.alarm)


class Outputs(RuleBasedStateMachine):
    """People, instruments and power cuts in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = T0
        self.book = book_of()
        self.running = Annunciation(SELECTIONS)
        self.accounts = {each.output: Account(each) for each in SELECTIONS}
        self.states = dict.fromkeys((*ALARMS, SYSTEM), AlarmState.NORMAL)

    def take(self, events: list[AlarmEvent]) -> None:
        for event in events:
            before = {each.output: self.running.wanted(each.output) for each in SELECTIONS}
            self.running.take(event)
            for account in self.accounts.values():
                account.take(event)
            for each in SELECTIONS:
                if before[each.output] and not self.running.wanted(each.output):
                    self.released(each, event)
            if event.alarm:
                self.states[event.alarm] = event.state

    def released(self, selection: Selection, event: AlarmEvent) -> None:
        """Whatever goes off has a person's hand in it, or the site's own suppression."""
        if event.alarm and self.states[event.alarm] is AlarmState.NORMAL:
            # A person reset it while it was there; the next reading says it is gone, or less.
            assert selection.release == "reset"
        elif event.kind is EventKind.CLEARED:
            assert self.states[event.alarm] is AlarmState.ACKED
        elif event.kind is EventKind.UNSHELVED:
            raise AssertionError("what is shelved held nothing on")
        else:
            assert event.kind in A_PERSON or event.state is AlarmState.SUPPRESSED
        if selection.release == "reset":
            assert event.kind is not EventKind.SILENCED

    @rule(index=st.integers(0, len(ALARMS) - 1), level=st.sampled_from(Level))
    def an_instrument_reports(self, index: int, level: Level) -> None:
        self.take(self.book.judge(verdict(index, level, self.now_ns)))

    @rule(verb=st.sampled_from(Verb), alarm=st.sampled_from([*ALARMS, SYSTEM]))
    def a_person_orders(self, verb: Verb, alarm: str) -> None:
        order = Command(verb=verb, alarm="" if verb is Verb.SILENCE else alarm, who="wang", why="permit", duration_s=60)
        try:
            self.take(self.book.command(order, self.now_ns))
        except CommandRefusedError:
            return
        if verb is Verb.SILENCE:
            assert not any(self.running.wanted(each.output) for each in SELECTIONS if each.release == "silence")

    @precondition(lambda self: self.book.alarms())
    @rule(data=st.data(), verb=st.sampled_from([Verb.ACKNOWLEDGE, Verb.RESET, Verb.UNSHELVE]))
    def a_person_attends_to_the_list(self, data: st.DataObject, verb: Verb) -> None:
        self.a_person_orders(verb, data.draw(st.sampled_from([each.id for each in self.book.alarms()])))

    @rule(active=st.booleans(), priority=st.sampled_from(Priority))
    def a_part_of_the_gateway_reports(self, active: bool, priority: Priority) -> None:
        self.take(self.book.system(SYSTEM, active, "why", self.now_ns, priority=priority))

    @rule(index=st.integers(0, len(ALARMS) - 1), active=st.booleans())
    def the_sites_logic_suppresses(self, index: int, active: bool) -> None:
        self.take(self.book.suppress(ALARMS[index], active, "shut down", self.now_ns, by=LOGIC[index]))

    @rule(seconds=st.sampled_from([1, 40, -86_400]))
    def time_goes_by(self, seconds: int) -> None:
        self.now_ns += seconds * SECOND
        self.take(self.book.advance(self.now_ns))

    @precondition(lambda self: self.book.rechecks)
    @rule()
    def reset_rules_are_evaluated_again(self) -> None:
        self.take(self.book.recheck(sorted(self.book.rechecks), self.now_ns))

    @rule()
    def the_power_is_cut(self) -> None:
        told = book_of(self.book.next_seq)
        silenced = AlarmEvent(seq=self.book.silenced, time_ns=self.now_ns, kind=EventKind.SILENCED)
        told.restore([*self.book.last_events(), silenced])
        self.book = told
        self.running = Annunciation(SELECTIONS)
        self.running.restore(told.last_events(), told.silenced)

    @invariant()
    def the_outputs_are_as_the_account_says(self) -> None:
        for name, account in self.accounts.items():
            assert self.running.holding(name) == sorted(account.on), name

    @invariant()
    def gas_that_nobody_has_put_aside_shows_on_the_beacon(self) -> None:
        for alarm in self.book.alarms():
            if alarm.event.level in {"low", "high"} and alarm.event.state not in ASIDE:
                assert self.running.wanted("beacon")


TestOutputs = Outputs.TestCase
TestOutputs.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
