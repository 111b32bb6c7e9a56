"""Finding events of the journal: every question gives what looking at each event in turn would give."""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.core.alarm import Action, AlarmEvent, AlarmState, Case, EventKind
from gateway.core.errors import StorageError
from gateway.store import journal as journal_module
from gateway.store import search
from gateway.store.journal import Journal
from gateway.store.search import Found, Past, Query

KINDS = (EventKind.RAISED, EventKind.ACKNOWLEDGED, EventKind.CLEARED, EventKind.NOTE, EventKind.SHELVED)
PEOPLE = ("", "王敏", "anna", "")
AREAS = ("burner", "store", "")


def made(seq: int) -> AlarmEvent:
    kind = KINDS[seq % len(KINDS)]
    # Every seventh tells of readings that a head had stored: its time lies before that of earlier numbers.
    time_ns = seq * 10 - (95 if seq % 7 == 0 else 0)
    return AlarmEvent(
        seq=seq,
        time_ns=max(1, time_ns),
        kind=kind,
        alarm="" if kind is EventKind.NOTE else f"gas:gd-{seq % 6}",
        state=AlarmState.NORMAL if kind is EventKind.CLEARED else AlarmState.UNACKED,
        area=AREAS[seq % 3],
        who=PEOPLE[seq % 4],
        why=f'CH4 at {seq} %LEL, "50 %" of range_{seq % 10}',
        why_zh=f"甲烷 {seq} %LEL",
    )


@pytest.fixture
def everything() -> list[AlarmEvent]:
    return [made(seq) for seq in range(1, 301)]


@pytest.fixture
def journal(tmp_path: Path, everything: list[AlarmEvent]) -> Iterator[Journal]:
    opened = Journal.open(tmp_path / "journal.db", "gw-1")
    for start in range(0, 300, 37):
        opened.append(everything[start : start + 37])
    yield opened
    opened.close()


@pytest.fixture
def past(journal: Journal) -> Past:
    return Past(journal.path)


def pages(past: Past, query: Query) -> list[AlarmEvent]:
    return list(past.events(query))


def looked_at_each(everything: Sequence[AlarmEvent], query: Query) -> list[AlarmEvent]:
    found = [event for event in everything if query.matches(event)]
    return found[::-1] if query.newest_first else found


TIMES = ({}, {"start_ns": 500, "end_ns": 2100}, {"start_ns": 2990}, {"end_ns": 60}, {"start_ns": 9_000})
NARROWINGS = (
    {},
    {"alarm": "gas:gd-3"},
    {"kinds": ("raised",)},
    {"kinds": ("raised", "note", "shelved")},
    {"area": "store"},
    {"who": "王敏"},
    {"area": "burner", "who": "anna"},
    {"alarm": "gas:gd-1", "kinds": ("cleared", "raised")},
    {"text": "range_7"},
    {"text": "甲烷 29"},
    {"text": '"50 %"', "area": "burner"},
    {"text": "ANNA"},
    {"who": "nobody"},
)


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_search_finds_what_looking_at_every_event_finds(
    past: Past, everything: list[AlarmEvent], newest_first: bool
) -> None:
    for time, narrowing in product(TIMES, NARROWINGS):
        query = Query(newest_first=newest_first, limit=11, **time, **narrowing)
        assert pages(past, query) == looked_at_each(everything, query), query


def test_a_percent_sign_or_underline_in_the_words_stands_for_itself(past: Past) -> None:
    assert pages(past, Query(text="range%7")) == []
    assert pages(past, Query(text="gas_gd")) == []


def test_words_of_a_case_are_found_too() -> None:
    case = Case(id="gas:gd-1#3", assignee="李雷", actions=(Action(at_ns=1, by="anna", text="closed valve V3"),))
    event = AlarmEvent(seq=1, time_ns=1, kind=EventKind.CASE, case=case)
    assert Query(text="VALVE v3").matches(event)
    assert Query(text="李雷").matches(event)
    assert not Query(text="V4").matches(event)


def test_events_from_before_the_files_were_kept_are_found_all_the_same(
    past: Past, journal: Journal, everything: list[AlarmEvent]
) -> None:
    journal.close()
    with sqlite3.connect(journal.path) as old:
        old.execute("DELETE FROM filed WHERE seq <= 200")
        old.execute("UPDATE meta SET value = '200' WHERE name = 'filed_after'")
    old.close()
    for newest_first, narrowing in product((True, False), NARROWINGS):
        query = Query(newest_first=newest_first, limit=9, **narrowing)
        assert pages(past, query) == looked_at_each(everything, query), query


def test_one_question_reads_only_so_far_and_says_where_to_go_on(
    past: Past, everything: list[AlarmEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "SEARCHED_MAX", 100)
    assert past.search(Query(text="at 5 %LEL")) == Found([], 201)
    for newest_first in (True, False):
        query = Query(text="at 5 %LEL", newest_first=newest_first)
        assert pages(past, query) == looked_at_each(everything, query) == [everything[4]]


def test_an_event_that_made_way_leaves_no_entry_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "EVENTS_MIN", 20)
    monkeypatch.setattr(journal_module, "TRIM_EVENTS", 30)
    journal = Journal.open(tmp_path / "j.db", "gw-1", events_max=50)
    for seq in range(1, 201):
        journal.append([made(seq)])
    first = journal.first_seq
    assert first > 100
    with sqlite3.connect(journal.path) as other:
        assert other.execute("SELECT min(seq) >= ? FROM filed", (first,)).fetchone() == (1,)
    other.close()
    query = Query(area="store")
    assert pages(Past(journal.path), query) == looked_at_each([made(seq) for seq in range(first, 201)], query)
    journal.close()


def test_the_past_state_is_the_fold_of_the_journal_up_to_then(past: Past, everything: list[AlarmEvent]) -> None:
    for time_ns in (0, 9, 10, 400, 1555, 2990, 99_999):
        then = [event for event in everything if event.time_ns <= time_ns]
        newest = max(then, key=lambda event: (event.time_ns, event.seq), default=None)
        known = newest.seq if newest else 0
        while 0 < known < 300 and everything[known].time_ns <= time_ns:
            known += 1
        last: dict[str, AlarmEvent] = {}
        for event in everything[:known]:
            if event.alarm:
                last[event.alarm] = event
        assert sorted(past.at(time_ns), key=lambda event: event.seq) == sorted(last.values(), key=lambda e: e.seq)


def test_the_past_state_knows_what_was_silenced(journal: Journal, past: Past) -> None:
    silence = replace(made(301), kind=EventKind.SILENCED, alarm="")
    journal.append([silence])
    assert silence in past.at(99_999)
    assert silence in past.latest()
    assert silence not in past.at(2_999)


def test_a_damaged_last_event_shows_the_one_before_and_not_nothing(
    journal: Journal, past: Past, everything: list[AlarmEvent]
) -> None:
    of_alarm = [event for event in everything if event.alarm == "gas:gd-3"]
    journal.close()
    with sqlite3.connect(journal.path) as other:
        other.execute("UPDATE events SET body = x'00' WHERE seq = ?", (of_alarm[-1].seq,))
    other.close()
    assert of_alarm[-2] in past.at(99_999)


def test_a_journal_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such file"):
        Past(tmp_path / "none.db").search(Query())
    assert not list(tmp_path.iterdir())
