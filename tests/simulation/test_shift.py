"""The example shift: eight hours of a works on a quick clock, with its crew, judged by what the journal holds."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.cli.shift import PEOPLE, Past, live_through
from gateway.core.alarm import AlarmEvent, AlarmState, EventKind
from gateway.site.examples import shipped
from gateway.site.load import load_site
from gateway.store.journal import Journal
from simulators.loading import load_scenario
from simulators.past import run_ahead
from simulators.world import World

# Eight hours of physics and judging take half a minute; whichever test comes first waits for them, and none twice.
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("shift")]

ENDS_NS = 1_795_329_000_000_000_000
"""Half past two in the afternoon of 22 November 2026 in Foshan: the shifts have changed half an hour ago."""


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    folder = tmp_path_factory.mktemp("shift")
    past = run_ahead(World(load_scenario(shipped("scenarios", "shift.yaml"))), 28_830, every_s=2)
    past.save(folder / "past.npz")
    site = load_site(shipped("sites", "works.yaml"))
    live_through(site, folder / "data", Past.load(folder / "past.npz", ENDS_NS))
    return Journal.open(folder / "data" / "journal.db", "gw-1")


@pytest.fixture(scope="module")
def events(journal: Journal) -> Sequence[AlarmEvent]:
    found = journal.read(0, 10_000)
    journal.close()
    return found


def test_a_shift_has_alarms_of_every_kind_and_state(events: Sequence[AlarmEvent], tmp_path: Path):
    kinds = Counter(event.kind for event in events)
    wanted = {
        EventKind.RAISED, EventKind.ESCALATED, EventKind.RETURNED, EventKind.CLEARED, EventKind.ACKNOWLEDGED,
        EventKind.RESET, EventKind.SILENCED, EventKind.SHELVED, EventKind.SUPPRESSED, EventKind.UNSUPPRESSED,
        EventKind.OUT_OF_SERVICE, EventKind.CASE, EventKind.CALIBRATED, EventKind.HANDOVER, EventKind.ACCOUNT,
    }  # fmt: skip
    assert wanted <= set(kinds)
    last = {event.alarm: event for event in events if event.alarm}
    states = {event.state for event in last.values()}
    assert {AlarmState.UNACKED, AlarmState.ACKED, AlarmState.SHELVED, AlarmState.OUT_OF_SERVICE} <= states
    assert {event.level for event in last.values()} >= {"low", "high", "fault", "warning"}


def test_a_dead_bus_raises_one_alarm_and_not_a_dozen(events: Sequence[AlarmEvent]):
    (bus,) = (e for e in events if e.alarm == "system/connection/south" and e.kind is EventKind.RAISED)
    during = [e for e in events if bus.time_ns <= e.time_ns < bus.time_ns + 90 * 10**9 and e.kind is EventKind.RAISED]
    assert len(during) > 10
    assert [e.alarm for e in during if e.state is AlarmState.UNACKED] == ["system/connection/south"]


def test_there_is_a_flood_and_it_ends(events: Sequence[AlarmEvent]):
    told = [event.why for event in events if event.kind is EventKind.NOTE]
    assert any("flood begins" in why for why in told)
    assert any("flood is over" in why for why in told)


def test_cases_run_from_receiving_to_archive_and_one_is_still_open(events: Sequence[AlarmEvent]):
    last = {event.case.id: event.case for event in events if event.case}
    closed = [case for case in last.values() if case.closed_ns]
    assert {case.outcome for case in closed} >= {"real", "false", "test"}
    assert any(case.dispatched_ns and case.arrived_ns and case.actions for case in closed)
    assert any(case.alarm == "toxic:gd-41.h2s" for case in last.values() if not case.closed_ns)


def test_the_shift_before_was_signed_over_and_accepted_by_somebody_else(events: Sequence[AlarmEvent]):
    steps = [(event.handover.step, event.who) for event in events if event.handover]
    assert [step for step, _ in steps if step != "note"] == ["signed", "accepted"]
    assert len({who for step, who in steps if step != "note"}) == 2


def test_nothing_was_written_by_hand_and_the_chain_is_whole(journal: Journal, events: Sequence[AlarmEvent]):
    again = Journal.open(journal.path, "gw-1")
    checked, problem = again.verify()
    again.close()
    assert (checked, problem) == (len(events), "")
    assert {name for name, *_ in PEOPLE} >= {event.acked_by for event in events if event.acked_by}
