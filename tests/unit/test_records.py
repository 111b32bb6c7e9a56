"""What is asked of the past is answered a few at a time, and whoever goes away leaves the place to the next."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.clock import ManualClock
from gateway.core.errors import CommandRefusedError
from gateway.records import LONG_MAX, WAITING_MAX, Records
from gateway.reports.gather import Present
from gateway.reports.place import FOLDER, Named, Place, read_place
from gateway.store.journal import Journal
from gateway.store.search import Past, Query


def note(seq: int) -> AlarmEvent:
    return AlarmEvent(seq=seq, time_ns=seq, kind=EventKind.NOTE, why=f"note {seq}", who="anna")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.open(tmp_path / "journal.db", "gw-1")
    opened.append([note(seq) for seq in range(1, 1300)])
    yield opened
    opened.close()


async def nobody(event: AlarmEvent) -> AlarmEvent:
    return event


@pytest.fixture
def records(journal: Journal) -> Records:
    return made(journal)


def made(journal: Journal, unsaved: tuple[AlarmEvent, ...] = (), name: str = "Plant") -> Records:
    place = Place(id="plant", name=Named(name))
    return Records(
        journal.path.parent,
        ManualClock(),
        Past(journal.path),
        place=lambda: place,
        present=Present,
        record=nobody,
        unsaved=lambda: unsaved,
    )


async def test_exports_take_turns_and_who_leaves_frees_the_place(records: Records) -> None:
    held = [records.export("jsonl", 0, 0) for _ in range(LONG_MAX)]
    for parts in held:
        await anext(parts)
    waiting = [asyncio.ensure_future(anext(records.export("csv", 0, 0))) for _ in range(WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(CommandRefusedError, match="others wait"):
        await anext(records.export("csv", 0, 0))
    assert not any(one.done() for one in waiting)
    assert "No alarm is open." in str(await records.page("handover", "en")), "reports have turns of their own"
    for parts in held:
        await parts.aclose()  # type: ignore[attr-defined] # what `export` returns is a generator
    await asyncio.wait_for(waiting[0], 5.0)
    for one in waiting[1:]:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_what_is_not_on_disk_stands_in_its_place_among_what_is(journal: Journal) -> None:
    records = made(journal, unsaved=tuple(note(seq) for seq in range(1298, 1303)))

    async def seqs(**asked: int | bool) -> list[int]:
        found = await records.search(Query(who="anna", **asked))  # type: ignore[arg-type]
        return [event.seq for event in found.events]

    assert await seqs(limit=5) == [1302, 1301, 1300, 1299, 1298]
    assert await seqs(limit=2, after=1301) == [1300, 1299]
    assert await seqs(limit=9, after=1297, newest_first=False) == [1298, 1299, 1300, 1301, 1302]
    found = await records.search(Query(who="anna", limit=2))
    assert found.next == 1301


def test_the_names_of_the_site_are_kept_once_and_a_full_disk_is_no_reason_to_stop(
    journal: Journal,
) -> None:
    folder = journal.path.parent
    made(journal).keep_place()
    before = (folder / FOLDER / "site.json").stat().st_mtime_ns
    made(journal).keep_place()
    assert (folder / FOLDER / "site.json").stat().st_mtime_ns == before
    (folder / FOLDER / ".site.json.part").mkdir()
    made(journal, name="Other").keep_place()
    assert read_place(folder).name.en == "Plant"
