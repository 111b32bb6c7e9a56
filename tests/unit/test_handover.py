"""Handing a shift over: whose turn it is, what is kept, what is refused, what a restart finds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.core.alarm import Alarm, AlarmEvent, AlarmState, EventKind
from gateway.core.clock import NS_PER_S, ManualClock, parse_rfc3339
from gateway.core.errors import CommandRefusedError, StorageError
from gateway.handover import REPORTS_MAX, Handovers, UnknownHandoverError
from gateway.reports.gather import Present
from gateway.reports.place import Named, Place, ShiftRule
from gateway.store.journal import Journal
from gateway.store.search import Past

PLACE = Place(
    id="plant-1",
    name=Named("Plant 1", "一号厂"),
    timezone="Asia/Shanghai",
    shifts=(ShiftRule(Named("day", "白班"), "06:00"), ShiftRule(Named("night", "夜班"), "18:00")),
)


def at(text: str) -> int:
    return parse_rfc3339(f"{text}+08:00")


class Desk:
    """A journal with its handovers, and a clock; `again` is a restart."""

    def __init__(self, data: Path, place: Place = PLACE) -> None:
        self.data = data
        self.place = place
        self.clock = ManualClock(at("2026-11-22T12:00:00"))
        self.alarms: tuple[Alarm, ...] = ()
        self.journal = Journal.open(data / "journal.db", "gw-1")
        self.handovers = self.again()

    def again(self) -> Handovers:
        past = Past(self.journal.path)
        self.handovers = Handovers(
            self.data,
            self.clock,
            past,
            place=lambda: self.place,
            present=lambda: Present(alarms=self.alarms),
            record=self.record,
        )
        return self.handovers

    async def record(self, event: AlarmEvent) -> AlarmEvent:
        event = replace(event, seq=self.journal.last_seq + 1)
        self.journal.append([event])
        return event

    def now(self, text: str) -> None:
        self.clock.advance((at(text) - self.clock.now_ns()) / NS_PER_S)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.journal.close()


def alarm(name: str, state: AlarmState) -> Alarm:
    event = AlarmEvent(seq=1, time_ns=at("2026-11-22T11:00:00"), kind=EventKind.RAISED, alarm=name, state=state)
    return Alarm(id=name, event=event)


async def test_a_draft_lists_what_stands_apart_from_what_was_put_aside(desk: Desk) -> None:
    states = (AlarmState.UNACKED, AlarmState.SHELVED, AlarmState.OUT_OF_SERVICE, AlarmState.SUPPRESSED)
    desk.alarms = tuple(alarm(state.value, state) for state in states)
    report = (await desk.handovers.draft()).report
    lists = (report.open, report.shelved, report.out_of_service, report.suppressed)
    assert [[each.id for each in one] for one in lists] == [[state.value] for state in states]


async def test_what_is_out_of_service_is_handed_over_every_shift_until_it_is_back(desk: Desk) -> None:
    desk.alarms = (alarm("co", AlarmState.OUT_OF_SERVICE),)
    for time, who, other in (("2026-11-22T17:50:00", "anna", "王敏"), ("2026-11-23T05:50:00", "王敏", "anna")):
        desk.now(time)
        signed = await desk.handovers.sign(who, "")
        assert [each.id for each in (await desk.handovers.find(signed.id)).report.out_of_service] == ["co"]
        await desk.handovers.accept(signed.id, other, "")


async def test_the_signed_report_is_kept_as_it_was_whatever_comes_later(desk: Desk) -> None:
    desk.alarms = (alarm("gas", AlarmState.UNACKED),)
    await desk.handovers.note("anna", "valve 3 is closed")
    signed = await desk.handovers.sign("anna", "all told")
    desk.alarms = ()
    await desk.handovers.note("anna", "too late for that shift")
    desk.again()
    kept = await desk.handovers.find(signed.id)
    assert ([each.id for each in kept.report.open], [note.text for note in kept.report.notes]) == (
        ["gas"],
        ["valve 3 is closed"],
    )
    assert (kept.altered, kept.handed and kept.handed.signed.why) == (False, "all told")
    desk.now("2026-11-22T18:30:00")
    assert [note.text for note in (await desk.handovers.draft()).report.notes] == ["too late for that shift"]


async def test_a_report_altered_on_the_disk_is_said_to_be(desk: Desk) -> None:
    signed = await desk.handovers.sign("anna", "")
    file = desk.data / "handovers" / f"{signed.id}.json"
    assert file.stat().st_mode & 0o777 == 0o400
    content = file.read_bytes().replace(b"Plant 1", b"Plant 2")
    file.unlink()
    file.write_bytes(content)
    assert (await desk.handovers.find(signed.id)).altered
    assert (await desk.handovers.draft()).altered


async def test_whoever_signs_after_the_bell_signs_the_shift_that_has_ended(desk: Desk) -> None:
    desk.now("2026-11-22T18:10:00")
    assert (await desk.handovers.draft()).report.period.name.en == "day"
    desk.now("2026-11-22T20:10:00")
    assert (await desk.handovers.draft()).report.period.name.en == "night"
    desk.clock.step(-2 * 3600)
    signed = await desk.handovers.sign("anna", "")
    assert (signed.period.start_ns, signed.period.end_ns) == (at("2026-11-22T06:00:00"), at("2026-11-22T18:00:00"))
    assert (await desk.handovers.draft()).report.period.name.en == "night"


async def test_a_shift_is_signed_once_and_accepted_once_by_another(desk: Desk) -> None:
    signed = await desk.handovers.sign("anna", "")
    for again in ("anna", "王敏"):
        with pytest.raises(CommandRefusedError, match="signed over by anna already"):
            await desk.handovers.sign(again, "")
    with pytest.raises(CommandRefusedError, match="somebody else accepts it"):
        await desk.handovers.accept(signed.id, " Anna ", "")
    with pytest.raises(UnknownHandoverError):
        await desk.handovers.accept("20261122-000000", "王敏", "")
    accepted = await desk.handovers.accept(signed.id, "王敏", "")
    assert accepted.accepted is not None
    assert accepted.accepted.by == "王敏"
    with pytest.raises(CommandRefusedError, match="accepted by 王敏 already"):
        await desk.handovers.accept(signed.id, "李雷", "")
    with pytest.raises(CommandRefusedError, match="and accepted already"):
        await desk.handovers.sign("anna", "")
    assert (await desk.handovers.draft()).waiting is None


async def test_a_handover_that_a_later_one_has_replaced_is_not_accepted_any_more(desk: Desk) -> None:
    first = await desk.handovers.sign("anna", "")
    desk.now("2026-11-22T21:00:00")
    second = await desk.handovers.sign("anna", "")
    desk.again()
    with pytest.raises(CommandRefusedError, match=f"superseded by {second.id}"):
        await desk.handovers.accept(first.id, "王敏", "")
    waiting = (await desk.handovers.draft()).waiting
    assert waiting is not None
    assert waiting.id == second.id
    await desk.handovers.accept(second.id, "王敏", "")
    listed = await desk.handovers.listed()
    assert [(one.id, one.superseded, one.accepted is not None) for one in listed] == [
        (second.id, False, True),
        (first.id, True, False),
    ]
    assert [one.id for one in await desk.handovers.listed(before=second.seq)] == [first.id]


async def test_a_site_without_shifts_hands_over_the_last_eight_hours(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Place(id="plant-1"))
    signed = await desk.handovers.sign("anna", "")
    assert signed.period.seconds == 8 * 3600
    with pytest.raises(CommandRefusedError, match="waits to be accepted"):
        await desk.handovers.sign("王敏", "")
    await desk.handovers.accept(signed.id, "王敏", "")
    desk.clock.advance(60)
    assert (await desk.handovers.sign("王敏", "")).id != signed.id
    desk.journal.close()


async def test_a_disk_that_refuses_the_report_leaves_the_shift_unsigned(desk: Desk) -> None:
    (desk.data / "handovers").write_bytes(b"in the way")
    with pytest.raises(StorageError):
        await desk.handovers.sign("anna", "")
    assert await desk.handovers.listed() == []


async def test_a_note_without_words_or_name_is_refused(desk: Desk) -> None:
    for who, text in (("anna", "  "), ("", "words")):
        with pytest.raises(CommandRefusedError):
            await desk.handovers.note(who, text)
    assert desk.journal.last_seq == 0


async def test_old_reports_make_way_and_the_newest_stay(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert REPORTS_MAX >= 3 * 365
    monkeypatch.setattr("gateway.handover.REPORTS_MAX", 2)
    for day in (22, 23, 24, 25):
        desk.now(f"2026-11-{day}T17:00:00")
        await desk.handovers.sign("anna", "")
    kept = sorted(path.name for path in (desk.data / "handovers").glob("*.json"))
    assert kept == ["20261124-170000.json", "20261125-170000.json"]
