"""Cases in the running gateway: numbers, the alarm about what is overdue, and what a mistake in them may not do."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.alarms import response, steps
from gateway.alarms.book import AlarmBook
from gateway.alarms.response import OVERDUE_ALARM
from gateway.cases import FAILED_ALARM, Archive, Cases
from gateway.core.alarm import AlarmEvent, Command, EventKind, Verb
from gateway.core.clock import ManualClock
from gateway.core.model import Priority
from gateway.site.operation import ResponseSection, StepLimitsSection
from gateway.store.photos import Photos
from gateway.store.search import Past


class Site:
    """A book of system alarms, whose cases are followed; `journal` is what was told, in order."""

    def __init__(self, folder: Path, **limits: float) -> None:
        self.clock = ManualClock()
        self.book = AlarmBook([])
        self.journal: list[AlarmEvent] = []
        section = ResponseSection(limits=StepLimitsSection(**limits))
        archive = Archive(Past(folder / "journal.db"), Photos(folder / "photos"), self.committed)
        self.cases = Cases(section, self.clock, lambda: self.book, self.tell, archive)

    async def committed(self, seq: int) -> None:
        assert self.journal[-1].seq >= seq

    def tell(self, events: Sequence[AlarmEvent]) -> None:
        self.journal.extend(self.cases.follow(events))

    def fail(self, alarm: str, *, active: bool = True, priority: Priority = Priority.ORANGE) -> None:
        why, now_ns = "no power", self.clock.now_ns()
        self.tell(self.book.system(f"system/{alarm}", active=active, why=why, now_ns=now_ns, priority=priority))

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.tell(self.cases.look(self.clock.now_ns()))

    def told_of(self, alarm: str) -> list[str]:
        return [event.kind.value for event in self.journal if event.alarm == alarm]


def test_events_of_cases_have_their_place_in_one_row_of_numbers(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.fail("power")
    site.fail("pump")
    assert [event.kind.value for event in site.journal] == ["raised", "case", "raised", "case"]
    assert [event.seq for event in site.journal] == [1, 2, 3, 4]


def test_what_is_overdue_raises_one_alarm_and_again_for_more_but_not_all_the_time(tmp_path: Path) -> None:
    site = Site(tmp_path, arrive_s=60)
    site.fail("power")
    site.wait(30)
    site.fail("pump", priority=Priority.RED)
    site.wait(31)
    assert site.told_of(OVERDUE_ALARM) == ["raised"]
    site.wait(30)  # the second one: within a minute of the first telling
    assert site.told_of(OVERDUE_ALARM) == ["raised"]
    site.wait(31)
    assert site.told_of(OVERDUE_ALARM) == ["raised", "returned", "raised"]
    told = site.book.alarm(OVERDUE_ALARM)
    assert told is not None
    assert (told.event.priority, told.event.why[:2]) == (1, "2 ")
    site.wait(600)
    assert len(site.told_of(OVERDUE_ALARM)) == 3
    for case in site.cases.open():
        asyncio.run(site.cases.order(case.id, steps.arrive(), "li"))
    site.wait(1)
    assert site.told_of(OVERDUE_ALARM)[-1] == "returned"
    assert len(site.cases.open()) == 2, "the alarm about responses opens no case"


def test_a_mistake_in_cases_keeps_no_alarm_from_anybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path)

    def broken(*_: Any) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(response.CaseBook, "follow", broken)
    site.fail("power")
    assert [event.kind for event in site.journal] == [EventKind.RAISED]
    site.wait(1)
    failed = site.book.alarm(FAILED_ALARM)
    assert failed is not None
    assert "a mistake" in failed.event.why


def test_a_book_that_is_full_says_so_until_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "OPEN_MAX", 2)
    monkeypatch.setattr("gateway.cases.OPEN_MAX", 2)
    site = Site(tmp_path)
    for alarm in ("power", "pump", "fan"):
        site.fail(alarm)
    site.wait(1)
    assert site.told_of(FAILED_ALARM)[-1] == "raised"
    for case in site.cases.open():
        asyncio.run(site.cases.order(case.id, steps.close("false", "steam"), "li"))
    site.wait(1)
    site.wait(1)
    assert site.told_of(FAILED_ALARM)[-1] == "returned"


def test_acknowledging_the_alarm_receives_its_case(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.fail("power")
    command = Command(verb=Verb.ACKNOWLEDGE, alarm="system/power", who="wang")
    site.tell(site.book.command(command, site.clock.now_ns()))
    (case,) = site.cases.open()
    assert case.received_by == "wang"


def test_another_policy_opens_what_stands_and_leaves_what_is_open(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.fail("power", priority=Priority.YELLOW)
    assert site.cases.open() == []
    site.tell(site.cases.change(ResponseSection(priorities=(1, 2, 3)), site.clock.now_ns()))
    assert [case.alarm for case in site.cases.open()] == ["system/power"]
    site.tell(site.cases.change(ResponseSection(enabled=False), site.clock.now_ns()))
    assert len(site.cases.open()) == 1
