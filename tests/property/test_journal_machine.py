"""The journal against a plain list, through appends, failures, restarts, copies and damage to single rows."""

import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.core.alarm import AlarmEvent, AlarmState, EventKind
from gateway.core.errors import StorageError
from gateway.store.journal import Journal

KINDS = st.sampled_from([EventKind.RAISED, EventKind.CLEARED, EventKind.SILENCED, EventKind.NOTE])
ALARMS = st.sampled_from(["a", "b", "system/disk", "气体-1"])
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


class JournalMachine(RuleBasedStateMachine):
    """What is appended is there; what failed is not; keys never come back."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="journal-"))
        self.place = self.folder / "0"
        self.journal = Journal.open(self.place / "journal.db", "gw")
        self.model: list[AlarmEvent] = []
        self.keys: dict[str, AlarmEvent] = {}
        self.copies = 0

    def teardown(self) -> None:
        self.journal.close()
        shutil.rmtree(self.folder)

    def events(self, drawn: list[tuple[EventKind, str, str]]) -> list[AlarmEvent]:
        return [
            AlarmEvent(
                seq=len(self.model) + place,
                time_ns=place,
                kind=kind,
                alarm="" if kind in {EventKind.SILENCED, EventKind.NOTE} else alarm,
                state=AlarmState.UNACKED,
                why=why,
            )
            for place, (kind, alarm, why) in enumerate(drawn, 1)
        ]

    @rule(drawn=st.lists(st.tuples(KINDS, ALARMS, TEXTS), min_size=1, max_size=5))
    def append(self, drawn: list[tuple[EventKind, str, str]]) -> None:
        events = self.events(drawn)
        self.journal.append(events)
        self.model += events
        for event in events:
            assert self.keys.setdefault(self.journal.key(event.seq), event) == event, (
                "a key came back for another event"
            )

    @rule(drawn=st.lists(st.tuples(KINDS, ALARMS, TEXTS), min_size=1, max_size=3))
    def fail(self, drawn: list[tuple[EventKind, str, str]]) -> None:
        """The disk refuses; the events are sent from memory all the same, under their keys."""
        events = self.events(drawn)
        trim = self.journal._trim

        def refuse(*_: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        self.journal._trim = refuse  # type: ignore[assignment,method-assign]
        with pytest.raises(StorageError):
            self.journal.append(events)
        self.journal._trim = trim  # type: ignore[method-assign]
        for event in events:
            self.keys.setdefault(self.journal.key(event.seq), event)
        self.restart()

    @rule()
    def restart(self) -> None:
        self.journal.close()
        self.journal = Journal.open(self.place / "journal.db", "gw")

    @rule()
    def go_on_from_a_copy(self) -> None:
        self.journal.close()
        self.copies += 1
        copy = self.folder / str(self.copies)
        shutil.copytree(self.place, copy)
        epoch, self.place = self.journal.epoch, copy
        self.restart()
        assert self.journal.epoch != epoch

    @invariant()
    def everything_is_there(self) -> None:
        assert self.journal.read(0, 10_000) == self.model
        assert self.journal.last_seq == len(self.model)

    @invariant()
    def the_chain_holds(self) -> None:
        assert self.journal.verify() == (len(self.model), "")

    @invariant()
    def the_present_state_is_the_fold(self) -> None:
        last: dict[str, AlarmEvent] = {}
        for event in self.model:
            if event.alarm or event.kind == EventKind.SILENCED:
                last[event.alarm] = event
        assert self.journal.latest() == sorted(last.values(), key=lambda event: event.seq)


JournalMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
TestJournal = JournalMachine.TestCase
