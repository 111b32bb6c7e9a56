"""The journal: one commit an append, proof, restoration, limits."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.core.alarm import AlarmEvent, AlarmState, EventKind
from gateway.core.errors import StorageError
from gateway.store import journal as journal_module
from gateway.store.journal import Journal

ALARMS = 10


def event(seq: int, *, why: str = "") -> AlarmEvent:
    """Raised, cleared, raised … for ten alarms in turn, and each 23rd silences the site."""
    if seq % 23 == 0:
        return AlarmEvent(seq=seq, time_ns=seq * 10, kind=EventKind.SILENCED, who="anna", why=why)
    raised = seq // ALARMS % 2 == 0
    return AlarmEvent(
        seq=seq,
        time_ns=seq * 10,
        kind=EventKind.RAISED if raised else EventKind.CLEARED,
        alarm=f"gas-{seq % ALARMS}",
        state=AlarmState.UNACKED if raised else AlarmState.NORMAL,
        value=seq / 3,
        occurrence=seq // 20 + 1,
        why=why,
    )


def events(first: int, last: int) -> list[AlarmEvent]:
    return [event(seq) for seq in range(first, last + 1)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened = Journal.open(path, "gw-1")
    yield opened
    opened.close()


def seqs(found: list[AlarmEvent]) -> list[int]:
    return [one.seq for one in found]


def test_events_come_back_whole_and_in_order(journal: Journal) -> None:
    journal.append(events(1, 7))
    journal.append(events(8, 40))
    assert journal.last_seq == 40
    assert journal.read(0, 100) == events(1, 40)
    assert journal.read(10, 5) == events(11, 15)
    assert seqs(journal.read(0, 3, newest_first=True)) == [40, 39, 38]
    assert seqs(journal.read(10, 3, newest_first=True)) == [9, 8, 7]
    assert seqs(journal.read(1, 9, newest_first=True)) == []
    assert seqs(journal.read(0, 100, alarm="gas-3")) == [3, 13, 33]
    assert seqs(journal.read(0, 100, kind="silenced")) == [23]
    assert seqs(journal.read(13, 100, alarm="gas-3", kind="raised")) == []
    assert seqs(journal.read(0, 1, alarm="gas-3", newest_first=True)) == [33]


def test_what_another_process_would_find_is_there_when_append_returns(journal: Journal, path: Path) -> None:
    journal.append(events(1, 5))
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT COUNT(*) FROM events").fetchone() == (5,)
    other.close()


def test_a_number_that_does_not_grow_is_refused(journal: Journal) -> None:
    journal.append(events(1, 5))
    for wrong in ([event(5)], [event(6), event(6)], [event(7), event(6)]):
        with pytest.raises(ValueError, match="comes after event"):
            journal.append(wrong)
    assert journal.read(0, 100) == events(1, 5)


def test_numbers_given_up_by_a_full_memory_are_told_and_the_chain_holds(journal: Journal) -> None:
    journal.append(events(1, 5))
    journal.append(events(9, 12))
    assert "events 6 to 8 were never written" in journal.problems[0]
    assert journal.verify() == (9, "")


def test_a_restart_goes_on_in_the_same_epoch(journal: Journal, path: Path) -> None:
    journal.append(events(1, 30))
    journal.close()
    again = Journal.open(path, "gw-1")
    assert (again.epoch, again.last_seq, again.epoch_reason) == (journal.epoch, 30, "")
    assert again.problems == []
    again.append(events(31, 40))
    assert again.verify() == (40, "")
    assert again.key(31) == f"gw-1:{journal.epoch}:31"
    again.close()


def test_latest_is_the_last_event_of_each_alarm_and_the_last_silence(journal: Journal) -> None:
    everything = events(1, 500)
    for start in range(0, 500, 9):
        journal.append(everything[start : start + 9])
    last: dict[str, AlarmEvent] = {}
    for one in everything:
        last[one.alarm] = one
    assert journal.latest() == sorted(last.values(), key=lambda one: one.seq)
    assert journal.latest()[-1].kind == "raised"


def test_the_oldest_make_way_in_blocks_and_the_rest_still_proves_itself(path: Path) -> None:
    journal = Journal.open(path, "gw-1", events_max=3000)
    for first in range(1, 7001, 50):
        journal.append(events(first, first + 49))
        assert journal.last_seq - journal.first_seq + 1 <= 3000
    assert seqs(journal.read(0, 1)) == [journal.first_seq]
    assert journal.verify() == (journal.last_seq - journal.first_seq + 1, "")
    journal.close()


def test_the_last_999_events_stay_whatever_the_limit(path: Path) -> None:
    journal = Journal.open(path, "gw-1", events_max=1)
    for first in range(1, 3001, 500):
        journal.append(events(first, first + 499))
    assert journal.last_seq - journal.first_seq + 1 >= 999
    assert journal.verify()[1] == ""
    journal.close()


def test_an_alarm_whose_event_made_way_is_still_restored(path: Path) -> None:
    journal = Journal.open(path, "gw-1", events_max=1000)
    held = AlarmEvent(seq=1, time_ns=1, kind=EventKind.OUT_OF_SERVICE, alarm="old", state=AlarmState.OUT_OF_SERVICE)
    journal.append([held])
    for first in range(2, 4000, 500):
        journal.append(events(first, first + 499))
    assert journal.first_seq > 1
    assert journal.latest()[0] == held
    journal.close()


TAMPERINGS: dict[str, tuple[str, str]] = {
    "edit": (
        "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), 'raised', 'noticed') AS BLOB) WHERE seq = 42",
        "event 42 does not follow",
    ),
    "edit time": ("UPDATE events SET time_ns = 1 WHERE seq = 42", "event 42 is filed under another time"),
    "delete": ("DELETE FROM events WHERE seq = 42", "events 42 to 42 are missing: deleted"),
    "delete first": ("DELETE FROM events WHERE seq < 4", "events 1 to 3 are missing: deleted"),
    "truncate": ("DELETE FROM events WHERE seq > 90", "ends at event 90, its head says 100: truncated"),
    "insert": (
        "INSERT INTO events SELECT 101, time_ns, alarm, kind, body, digest, code FROM events WHERE seq = 42",
        "event 101 stands beyond the head 100: inserted",
    ),
    "reorder": (
        """UPDATE events SET (time_ns, alarm, kind, body, digest, code) = (SELECT time_ns, alarm, kind, body, digest,
        code FROM events AS other WHERE other.seq = 85 - events.seq) WHERE seq IN (42, 43)""",
        "event 42 does not follow",
    ),
    "edit state": ("UPDATE latest SET body = '{}' WHERE key = 'gas-3'", "the state kept of 'gas-3' is not its event"),
    "empty": ("DELETE FROM events", "ends at event 0, its head says 100: truncated"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
@pytest.mark.parametrize("reopened", [False, True])
def test_tampering_is_found(journal: Journal, path: Path, name: str, reopened: bool) -> None:
    journal.append(events(1, 100))
    assert journal.verify() == (100, "")
    statement, expected = TAMPERINGS[name]
    other = sqlite3.connect(path)
    with other:
        other.execute(statement)
    other.close()
    if reopened:
        journal.close()
        journal = Journal.open(path, "gw-1")
    assert expected in journal.verify()[1]
    journal.close()


def test_a_copied_folder_has_an_epoch_of_its_own(journal: Journal, path: Path, tmp_path: Path) -> None:
    journal.append(events(1, 10))
    journal.close()
    shutil.copytree(path.parent, tmp_path / "copy")
    copy = Journal.open(tmp_path / "copy" / "journal.db", "gw-1")
    assert copy.epoch != journal.epoch
    assert "copied" in copy.epoch_reason
    assert copy.last_seq == 10
    assert copy.verify() == (10, "")
    copy.close()
    again = Journal.open(tmp_path / "copy" / "journal.db", "gw-1")
    assert (again.epoch, again.epoch_reason) == (copy.epoch, "")
    again.close()
    original = Journal.open(path, "gw-1")
    assert original.epoch == journal.epoch
    original.close()


def test_a_folder_put_back_in_place_has_a_new_epoch(journal: Journal, path: Path, tmp_path: Path) -> None:
    journal.append(events(1, 10))
    journal.close()
    shutil.copytree(path.parent, tmp_path / "backup")
    for file in (tmp_path / "backup").iterdir():
        (path.parent / file.name).write_bytes(file.read_bytes())
    again = Journal.open(path, "gw-1")
    assert again.epoch != journal.epoch
    assert (again.last_seq, again.verify()) == (10, (10, ""))
    again.close()


def test_an_older_database_put_back_has_a_new_epoch(journal: Journal, path: Path, tmp_path: Path) -> None:
    journal.append(events(1, 10))
    journal.close()
    backup = path.read_bytes()
    later = Journal.open(path, "gw-1")
    later.append(events(11, 20))
    later.close()
    path.write_bytes(backup)
    again = Journal.open(path, "gw-1")
    assert again.last_seq == 10
    assert again.epoch != journal.epoch
    assert "event 20 was given out already" in again.epoch_reason
    again.append(events(11, 12))
    assert again.verify() == (12, "")
    again.close()


def test_numbers_that_never_reached_the_disk_are_not_used_again(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(events(1, 10))

    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(journal, "_insert", refuse)
        with pytest.raises(StorageError, match=r"journal\.db: writing event 14: disk I/O error"):
            journal.append(events(11, 14))
    journal.close()
    again = Journal.open(path, "gw-1")
    assert again.last_seq == 10
    assert again.epoch != journal.epoch, "the platform may have got 11 to 14 from memory"
    again.close()


def test_the_same_events_are_taken_when_the_disk_is_well_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(events(1, 10))
    insert = journal._insert

    def fail_late(connection: sqlite3.Connection, new: list[AlarmEvent]) -> object:
        insert(connection, new)
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(journal, "_insert", fail_late)
        for _ in range(3):
            with pytest.raises(StorageError):
                journal.append(events(11, 14))
        assert journal.read(0, 100) == events(1, 10)
    journal.append(events(11, 16))
    assert journal.read(0, 100) == events(1, 16)
    assert journal.verify() == (16, "")


def test_a_commit_that_failed_and_is_there_all_the_same_is_not_written_twice(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(events(1, 10))
    write = journal._write_events

    def lose_the_answer(new: list[AlarmEvent]) -> object:
        write(new)
        journal._database.in_doubt = True
        raise StorageError("the answer was lost")

    with monkeypatch.context() as broken:
        broken.setattr(journal, "_write_events", lose_the_answer)
        with pytest.raises(StorageError):
            journal.append(events(11, 12))
    journal.append(events(11, 14))
    assert journal.read(0, 100) == events(1, 14)
    assert journal.verify() == (14, "")


def test_a_nearly_full_disk_uses_the_reserve_and_leaves_the_rest_to_cursors(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = path.with_suffix(".reserve")
    assert reserve.stat().st_size == journal_module.RESERVE_BYTES
    monkeypatch.setattr(journal_module, "free_bytes", lambda _: (1 << 20) * (not reserve.exists()))
    journal.append(events(1, 3))
    assert not reserve.exists()
    assert "reserve" in journal.problems[0]
    monkeypatch.setattr(journal_module, "free_bytes", lambda _: 1000)
    with pytest.raises(StorageError, match="the disk is full: 1000 bytes are free"):
        journal.append(events(4, 5))
    journal.set_cursor("uplink", "still kept")
    assert journal.cursor("uplink") == "still kept"
    assert journal.read(0, 10) == events(1, 3)
    monkeypatch.setattr(journal_module, "free_bytes", lambda _: 1 << 30)
    journal.append(events(4, 5))
    assert reserve.exists()
    assert journal.verify() == (5, "")


def damage(path: Path, do: Callable[[bytearray], None]) -> None:
    data = bytearray(path.read_bytes())
    do(data)
    path.write_bytes(data)


@pytest.mark.parametrize("content", [b"", b"not a database at all, " * 500])
def test_a_file_that_is_no_database_never_refuses_the_start(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    journal = Journal.open(path, "gw-1")
    journal.append(events(1, 3))
    assert journal.verify() == (3, "")
    assert bool(journal.problems) == bool(content)
    journal.close()


def test_what_a_damaged_page_leaves_is_taken_over(journal: Journal, path: Path) -> None:
    everything = events(1, 3000)
    journal.append(everything)
    journal.set_cursor("uplink", "at 5")
    journal.add_token("anna", "operator", "d1", 1)
    journal.close()

    def spoil(data: bytearray) -> None:
        where = data.find(b'"seq":1500,') // 4096 * 4096
        data[where : where + 200] = b"\xff" * 200

    damage(path, spoil)
    again = Journal.open(path, "gw-1")
    found = again.read(0, 5000)
    assert len(found) > 2900
    assert all(one == everything[one.seq - 1] for one in found)
    assert again.last_seq == 3000
    assert again.cursor("uplink") == "at 5"
    assert again.find_token("d1") == ("anna", "operator")
    assert again.problems
    again.append(events(3001, 3002))
    assert again.read(3000, 5) == events(3001, 3002)
    again.close()


def test_a_damaged_first_page_moves_the_file_aside_and_starts(journal: Journal, path: Path) -> None:
    journal.append(events(1, 300))
    journal.close()

    def spoil(data: bytearray) -> None:
        data[0:100] = b"\xff" * 100

    damage(path, spoil)
    again = Journal.open(path, "gw-1")
    assert again.epoch != journal.epoch
    assert "put aside as journal.db.damaged-1" in again.problems[0]
    assert path.with_name("journal.db.damaged-1").exists()
    again.append(events(again.last_seq + 1, again.last_seq + 2))
    again.close()


def test_a_changed_row_is_passed_over_and_told(journal: Journal, path: Path) -> None:
    journal.append(events(1, 50))
    other = sqlite3.connect(path)
    with other:
        other.execute("UPDATE events SET body = CAST(replace(CAST(body AS TEXT), '\"seq\"', '\"sEq\"') AS BLOB) "
                      "WHERE seq IN (20, 50)")  # fmt: skip
        other.execute("UPDATE latest SET body = x'00' WHERE key IN ('gas-9', char(0) || 'silenced')")
    other.close()
    assert seqs(journal.read(18, 3)) == [19, 21, 22]
    assert seqs(journal.read(0, 2, newest_first=True)) == [49, 48]
    assert "event 20 is damaged" in journal.problems[0]
    assert {one.alarm: one.seq for one in journal.latest()}["gas-9"] == 49
    assert {one.alarm: one.seq for one in journal.latest()}[""] == 46


def test_cursors_are_kept_and_damaged_ones_count_as_none(journal: Journal, path: Path) -> None:
    assert journal.cursor("a") is None
    journal.set_cursor("a", '{"head":5}')
    journal.set_cursor("a", '{"head":6}')
    journal.set_cursor("b", "x")
    assert journal.cursor("a") == '{"head":6}'
    assert journal.cursors() == {"a": '{"head":6}', "b": "x"}
    other = sqlite3.connect(path)
    with other:
        other.execute("UPDATE cursors SET value = replace(value, '6', '7')")
    other.close()
    assert journal.cursor("a") is None
    assert len(journal.problems) == 1


def test_dead_letters_are_bounded_and_the_dropped_ones_counted(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.ledger.DEAD_LETTERS_MAX", 5)
    for n in range(8):
        journal.dead_letter("platform" if n % 2 else "store", f"k{n}", b"{}" if n else "{}", "refused", n)
    assert [letter.key for letter in journal.dead_letters()] == ["k7", "k6", "k5", "k4", "k3"]
    assert [letter.key for letter in journal.dead_letters("store", 1)] == ["k6"]
    assert journal.dead_letters("store")[0].payload == b"{}"
    assert journal.dead_letters_dropped() == 3


def test_tokens_are_found_by_their_hash_until_revoked_by_whomever(journal: Journal, path: Path) -> None:
    journal.add_token("anna", "operator", "d1", 5)
    with pytest.raises(ValueError, match="'anna'"):
        journal.add_token("anna", "viewer", "d2", 6)
    assert journal.find_token("d1") == ("anna", "operator")
    assert journal.find_token("d2") is None
    assert [(token.name, token.role, token.created_ns) for token in journal.tokens()] == [("anna", "operator", 5)]
    command_line = Journal.open(path, "gw-1")
    assert command_line.epoch == journal.epoch
    assert command_line.revoke_token("anna")
    assert not command_line.revoke_token("anna")
    command_line.close()
    assert journal.find_token("d1") is None


def test_the_write_ahead_log_stays_small(journal: Journal, path: Path) -> None:
    for n in range(1, 1500):
        journal.append([event(n)])
    assert path.with_name("journal.db-wal").stat().st_size < 2 << 20
