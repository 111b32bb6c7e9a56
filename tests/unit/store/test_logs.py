"""Journal and spool as an outbox sees them: the real ones, in a temporary folder."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.model import Batch, Channel, Quality
from gateway.store.journal import Journal
from gateway.store.logs import REASONS_MAX, EventLog, ReadingLog, Slice, ThreadLedger
from gateway.store.spool import Spool

CHANNELS = [Channel(row=0, id="gd-01.ch4", instrument="gd-01", quantity="ch4")]
T = TypeVar("T")


async def at_once(work: Callable[[], T], /) -> T:
    return work()


def events(count: int) -> list[AlarmEvent]:
    return [AlarmEvent(seq=seq, time_ns=1_000 + seq, kind=EventKind.NOTE) for seq in range(1, count + 1)]


@pytest.fixture
def journal(tmp_path: Path) -> "Journal":
    return Journal.open(tmp_path / "journal.db", "gw-1")


async def test_the_journal_is_read_by_number(journal: Journal) -> None:
    journal.append(events(5))
    log = EventLog(journal, at_once)
    assert (await log.first(), log.end()) == (1, 6)
    part = await log.read(2, 3)
    assert [event.seq for event in part.items] == [2, 3, 4]
    assert (part.count, part.next, part.first, part.oldest_ns) == (3, 5, 1, 1_002)
    journal.close()


async def test_a_damaged_event_at_the_end_does_not_hold_up_the_others(journal: Journal, tmp_path: Path) -> None:
    journal.append(events(3))
    with sqlite3.connect(tmp_path / "journal.db") as other:
        other.execute("UPDATE events SET body = x'00' WHERE seq = 3")
    other.close()
    part = await EventLog(journal, at_once).read(3, 100)
    assert (part.count, part.next) == (0, 4)
    journal.close()


async def test_cursors_and_dead_letters_are_kept_in_the_journal(journal: Journal) -> None:
    ledger = ThreadLedger(journal, at_once)
    assert await ledger.cursor("influx") is None
    await ledger.set_cursor("influx", "text")
    assert await ledger.cursor("influx") == "text"
    log = EventLog(journal, at_once)
    [letter] = log.dead_letters(Slice(events(3), 3, 4, 1, 0), {1: "410: gone"})
    await ledger.dead_letter("platform", letter.key, letter.payload, letter.reason, letter.time_ns)
    [row] = journal.dead_letters("platform")
    assert (row.key, row.reason, json.loads(row.payload)["seq"]) == (journal.key(2), "410: gone", 2)
    journal.close()


async def test_the_spool_is_read_by_number(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, ["gd-01.ch4"])
    spool.append(Batch.of([0] * 10, np.arange(10), np.arange(10) / 2))
    log = ReadingLog(spool, at_once, CHANNELS)
    assert log.end() == 0, "what is not on disk does not go out"
    spool.flush()
    assert (await log.first(), log.end()) == (0, 10)
    part = await log.read(4, 3)
    assert part.items.value.tolist() == [2.0, 2.5, 3.0]
    assert (part.count, part.next, part.oldest_ns) == (3, 7, 4)
    spool.close()


def refused(reasons: dict[int, str]) -> list[tuple[str, str, list[dict[str, object]]]]:
    batch = Batch.of([0] * 50, np.arange(50), np.ones(50), [Quality.COMMS_LOST] + [0] * 49)
    log = ReadingLog(Spool.__new__(Spool), at_once, CHANNELS)
    letters = log.dead_letters(Slice(batch, 50, 150, 0, 0), reasons)
    return [(letter.key, letter.reason, json.loads(letter.payload)) for letter in letters]


def test_readings_refused_in_the_same_words_share_a_letter() -> None:
    [(key, reason, content)] = refused({0: "too old", 7: "too old"})
    assert (key, reason) == ("reading:100", "too old")
    assert content == [
        {"channel": "gd-01.ch4", "time": "1970-01-01T00:00:00.000000000+00:00", "value": None, "quality": "comms_lost"},
        {"channel": "gd-01.ch4", "time": "1970-01-01T00:00:00.000000007+00:00", "value": 1.0, "quality": "good"},
    ]


def test_many_different_reasons_make_a_bounded_number_of_letters() -> None:
    letters = refused({index: f"reason {index}" for index in range(50)})
    assert len(letters) == REASONS_MAX + 1
    assert sum(len(content) for _, _, content in letters) == 50
