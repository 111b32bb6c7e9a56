"""Open cases are found again after a restart, archived ones on request."""

import sqlite3
from pathlib import Path

from gateway.core.alarm import AlarmEvent, Case, EventKind
from gateway.store.journal import Journal
from gateway.store.search import Past


def case_event(seq: int, case: Case) -> AlarmEvent:
    return AlarmEvent(seq=seq, time_ns=seq, kind=EventKind.CASE, case=case)


def of(alarm: str, occurrence: int = 1, *, closed_ns: int = 0, over: bool = False) -> Case:
    return Case(id=f"{alarm}#{occurrence}", alarm=alarm, occurrence=occurrence, closed_ns=closed_ns, over=over)


def test_what_is_open_or_stands_is_kept_and_what_is_archived_is_not(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", "g1")
    journal.append([case_event(1, of("a")), case_event(2, of("b")), case_event(3, of("c"))])
    journal.append([case_event(4, of("a", over=True)), case_event(5, of("b", closed_ns=5))])
    journal.append([case_event(6, of("c", closed_ns=6, over=True))])
    assert [event.case.id for event in journal.latest() if event.case] == ["a#1", "b#1"]
    assert journal.verify() == (6, "")
    journal.close()


def test_a_case_is_found_by_its_id_and_closed_ones_newest_first(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", "g1")
    steps = [of("a"), of("a", closed_ns=2, over=True), of("b", closed_ns=3, over=True), of("a", 2), of("b", over=True)]
    journal.append([case_event(seq, case) for seq, case in enumerate(steps, start=1)])
    past = Past(journal.path)
    found = past.case("a#1")
    assert found is not None
    assert found.seq == 2
    assert past.case("a#9") is None
    assert [event.seq for event in past.closed_cases(0, 10).events] == [2]
    assert past.closed_cases(0, 10, "b").events == []
    journal.append([case_event(6, of("b", closed_ns=6, over=True))])
    assert [event.seq for event in past.closed_cases(0, 1).events] == [6]
    assert [event.seq for event in past.closed_cases(6, 5).events] == [2]
    assert [event.seq for event in past.closed_cases(0, 5, "b").events] == [6]
    journal.close()


def test_a_damaged_state_of_a_case_is_looked_up_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal.open(path, "g1")
    journal.append([case_event(1, of("a")), case_event(2, of("a", over=True))])
    journal.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE latest SET body = 'x'")
    connection.close()
    journal = Journal.open(path, "g1")
    assert [event.seq for event in journal.latest()] == [2]
    assert any("damaged" in problem for problem in journal.problems)
    journal.close()
