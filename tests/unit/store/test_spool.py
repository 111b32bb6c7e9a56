"""The spool: order, numbers, limits, damage."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from gateway.core.errors import StorageError
from gateway.core.model import Batch, Quality
from gateway.store import segment as segment_module
from gateway.store.spool import Spool
from gateway.store.table import Table

IDS = [f"gd-{n:03d}.ch4" for n in range(100)]
SMALL = {"bytes_max": 1 << 20, "segment_bytes": 256 << 10}
START = 1_700_000_000_000_000_000


def readings(first: int, count: int = 100) -> Batch:
    """Readings that tell their own number, in values that do not compress."""
    numbers = np.arange(first, first + count)
    return Batch.of(numbers % 100, START + numbers // 100 * 10**9, numbers + 1 / 3)


def all_of(spool: Spool, limit: int = 1000) -> list[tuple[int, int]]:
    """Return (row, number by its value) of everything kept."""
    found, number = [], 0
    while number < spool.durable:
        batch, number = spool.read(number, limit)
        found += list(zip(batch.row.tolist(), (batch.value - 1 / 3).round().astype(int).tolist(), strict=True))
    return found


def fill(spool: Spool, batches: int, first: int = 0) -> int:
    for n in range(batches):
        spool.append(readings(first + 100 * n))
        spool.flush()
    return first + 100 * batches


def test_readings_come_back_in_order_by_number_and_in_any_portion(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, IDS)
    fill(spool, 20)
    for limit in (1, 7, 100, 333, 5000):
        assert [n for _, n in all_of(spool, limit)] == list(range(2000))
    batch, number = spool.read(150, 10)
    assert number == 160
    assert batch.row.tolist() == list(range(50, 60))
    spool.close()


def test_only_what_is_on_disk_is_handed_out(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, IDS)
    spool.append(readings(0))
    assert (spool.next_number, spool.durable) == (100, 0)
    assert spool.read(0, 10)[1] == 0
    assert spool.flush() == 100
    assert len(spool.read(0, 1000)[0]) == 100
    spool.close()


def test_a_restart_goes_on_with_the_next_number(tmp_path: Path) -> None:
    for start in range(5):
        spool = Spool.open(tmp_path, IDS)
        assert spool.next_number == spool.durable == start * 300
        fill(spool, 3, spool.next_number)
        spool.close()
    assert len(list(tmp_path.iterdir())) == 1, "a restart must not cost a segment"


def test_a_process_that_ends_without_close_loses_nothing_flushed(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, IDS)
    end = fill(spool, 10)
    spool.append(readings(end))
    again = Spool.open(tmp_path, IDS)
    assert [n for _, n in all_of(again)] == list(range(1000))
    assert again.problems == []
    again.close()
    spool.close()


def test_the_limit_in_bytes_holds_and_every_lost_reading_is_counted(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, IDS, **SMALL)
    for n in range(1500):
        spool.append(readings(100 * n))
        spool.flush()
        if n % 50 == 0:
            used = sum(path.stat().st_size for path in tmp_path.iterdir())
            assert used == spool.bytes_used <= 1 << 20
    kept = [n for _, n in all_of(spool)]
    assert kept == list(range(spool.first_number, 150_000))
    assert spool.dropped == 150_000 - len(kept) > 0
    before = spool.dropped
    spool.close()
    again = Spool.open(tmp_path, IDS, **SMALL)
    assert again.dropped == before
    assert [n for _, n in all_of(again)] == kept
    again.close()


def test_a_full_segment_is_opened_by_its_index_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool.open(tmp_path, IDS, **SMALL)
    fill(spool, 800)
    spool.close()
    scanned = []
    recover = segment_module.Segment._recover
    monkeypatch.setattr(segment_module.Segment, "_recover", lambda s: (scanned.append(s.path), recover(s))[1])
    again = Spool.open(tmp_path, IDS, **SMALL)
    assert len(scanned) == 1
    assert [n for _, n in all_of(again)] == list(range(80_000))
    again.close()


def test_a_changed_channel_table_finds_old_readings_by_their_ids(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, IDS)
    fill(spool, 1)
    spool.close()
    changed = [IDS[7], "new.co", *IDS[50:]]
    spool = Spool.open(tmp_path, changed)
    found = all_of(spool)
    assert found == [(0, 7), *((row, row + 48) for row in range(2, 52))]
    spool.append(Batch.of([1], START, [5 + 1 / 3]))
    spool.flush()
    assert all_of(spool)[-1] == (1, 5)
    assert spool.trend(IDS[7], 0, 2 * START).value.tolist() == [7 + 1 / 3]
    assert len(spool.trend("new.co", 0, 2 * START)) == 1
    assert len(spool.trend(IDS[8], 0, 2 * START)) == 1, "a channel that is gone keeps its past"
    spool.close()


def test_a_table_that_changes_under_way_mixes_up_no_row(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, IDS)
    old = spool.table
    spool.append(readings(0))
    changed = [IDS[7], "new.co", *IDS[50:]]
    new = Table.of(changed)
    spool.change_table(new)
    spool.append(Batch.of([0, 1, 2], START, [7.5, 1.5, 50.5]))
    assert spool.trend("new.co", 0, 2 * START).value.tolist() == [1.5], "what waits is found by its own table"
    assert spool.trend(IDS[7], 0, 2 * START).value.tolist() == [7 + 1 / 3, 7.5]
    spool.flush()
    by_old, number = spool.read(0, 1000, old)
    assert number == 103
    assert by_old.row.tolist() == [*range(100), 7, 50], "the new channel has no row in the old table"
    by_new, number = spool.read(0, 1000, new)
    assert by_new.row.tolist() == [0, *range(2, 52), 0, 1, 2]
    spool.close()
    again = Spool.open(tmp_path, changed)
    assert again.read(0, 1000)[0].row.tolist() == by_new.row.tolist()
    assert again.trend(IDS[8], 0, 2 * START).value.tolist() == [8 + 1 / 3]
    again.close()


def test_readings_that_the_disk_refused_keep_their_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool.open(tmp_path, IDS)

    def refuse(*_: object) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(segment_module.Segment, "put", refuse)
        spool.append(Batch.of([3], START, [3.5]))
        with pytest.raises(StorageError):
            spool.flush()
    spool.change_table(Table.of(IDS[::-1]))
    spool.append(Batch.of([3], START, [96.5]))
    spool.flush()
    batch, _ = spool.read(0, 10)
    assert [(IDS[::-1][row], value) for row, value in zip(batch.row, batch.value, strict=True)] == [
        (IDS[3], 3.5),
        (IDS[96], 96.5),
    ]
    spool.close()


def test_reading_goes_on_where_all_channels_are_gone(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, IDS)
    fill(spool, 3)
    spool.close()
    spool = Spool.open(tmp_path, ["other"])
    batch, number = spool.read(0, 100)
    assert (len(batch), number) == (0, 100)
    assert all_of(spool) == []
    spool.close()


def test_numbers_go_on_behind_the_highest_cursor_although_the_folder_was_lost(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, IDS, floor=5000)
    assert spool.next_number == spool.durable == 5000
    spool.append(readings(5000))
    spool.flush()
    assert spool.read(0, 1000)[1] == 5100
    assert spool.read(5000, 1)[0].value[0] == pytest.approx(5000 + 1 / 3)
    spool.close()
    spool = Spool.open(tmp_path, IDS, floor=90_000)
    fill(spool, 1, 90_000)
    assert [n for _, n in all_of(spool)] == [*range(5000, 5100), *range(90_000, 90_100)]
    spool.close()


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_bit_costs_its_record_and_nothing_else(tmp_path: Path, seed: int) -> None:
    spool = Spool.open(tmp_path, IDS)
    fill(spool, 30)
    used = spool._segments[-1]._end
    spool.close()
    path = next(tmp_path.iterdir())
    rng = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    data[int(rng.integers(0, used))] ^= 1 << int(rng.integers(0, 8))
    path.write_bytes(data)
    again = Spool.open(tmp_path, IDS)
    found = all_of(again)
    numbers = [n for _, n in found]
    assert all(row == number % 100 for row, number in found), "a wrong value was delivered"
    lost = sorted(set(range(3000)) - set(numbers))
    in_header = again._segments[0].table is None
    assert len(lost) == (0 if in_header else 100) or (not again.problems and len(lost) == 0)
    assert again.problems or not lost
    fill(again, 1, again.next_number)
    assert again.read(again.next_number - 1, 1)[0].row.tolist() == [99]
    again.close()


def test_a_damaged_header_borrows_the_channel_table_of_another_segment(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, IDS, **SMALL)
    fill(spool, 600)
    spool.close()
    first = min(tmp_path.iterdir())
    with first.open("r+b") as file:
        file.write(b"\0" * 40)
    again = Spool.open(tmp_path, IDS, **SMALL)
    assert [n for _, n in all_of(again)] == list(range(60_000))
    assert "header is damaged" in again.problems[0]
    again.close()


@pytest.mark.parametrize("tail", [b"", b"\0" * 5000, b"HzR1", os.urandom(3000)])
def test_a_torn_tail_costs_the_torn_record_only(tmp_path: Path, tail: bytes) -> None:
    spool = Spool.open(tmp_path, IDS)
    fill(spool, 10)
    end = spool._segments[-1]._end
    spool.close()
    path = next(tmp_path.iterdir())
    with path.open("r+b") as file:
        file.seek(end - 30)
        file.write(b"\0" * 30 + tail)
    again = Spool.open(tmp_path, IDS)
    assert [n for _, n in all_of(again)] == list(range(900))
    assert "torn" in again.problems[0]
    fill(again, 2, again.next_number)
    again.close()
    once_more = Spool.open(tmp_path, IDS)
    assert [n for _, n in all_of(once_more)] == list(range(1100))
    once_more.close()


def test_a_file_that_is_no_segment_is_put_aside_and_counted(tmp_path: Path) -> None:
    (tmp_path / "notes.seg").write_bytes(b"x" * 5000)
    spool = Spool.open(tmp_path, IDS, **SMALL)
    assert spool.bytes_used == 5000
    assert "notes.seg" in spool.problems[0]
    fill(spool, 1200)
    assert spool.bytes_used == sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1 << 20
    spool.close()


def test_a_disk_that_refuses_keeps_readings_pending_and_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool.open(tmp_path, IDS)
    fill(spool, 3)

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(segment_module.os, "fdatasync", refuse)
        for n in range(3, 6):
            spool.append(readings(100 * n))
            with pytest.raises(StorageError, match="Input/output error"):
                spool.flush()
        assert spool.durable == 300
        assert [n for _, n in all_of(spool)] == list(range(300))
    assert spool.flush() == 600
    assert [n for _, n in all_of(spool)] == list(range(600))
    spool.close()


def test_pending_readings_have_a_limit_and_the_newest_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool.open(tmp_path, IDS, pending_max=1000)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(segment_module.Segment, "put", refuse)
        for n in range(50):
            spool.append(readings(100 * n))
            if n % 10 == 0:
                with pytest.raises(StorageError):
                    spool.flush()
    assert spool.dropped == 4000
    spool.flush()
    assert [n for _, n in all_of(spool)] == list(range(4000, 5000))
    assert spool.durable == spool.next_number == 5000
    spool.close()
    again = Spool.open(tmp_path, IDS)
    assert again.dropped == 4000
    again.close()


def test_one_flush_of_very_many_readings_becomes_several_records(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, IDS, bytes_max=8 << 20, segment_bytes=256 << 10)
    spool.append(readings(0, 200_000))
    spool.append(readings(200_000, 50_000))
    spool.flush()
    assert [n for _, n in all_of(spool, 70_000)] == list(range(250_000))
    spool.close()


def test_a_trend_is_one_channel_by_time_with_the_newest_when_cut(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, IDS, **SMALL)
    fill(spool, 600)
    spool.append(readings(60_000))
    whole = spool.trend(IDS[5], START + 10 * 10**9, START + 601 * 10**9)
    assert (whole.value - 1 / 3).round().tolist() == list(range(1005, 60_006, 100))
    assert set(whole.row.tolist()) == {0}, "one channel needs no rows"
    cut = spool.trend(IDS[5], 0, 2 * START, limit=3)
    assert (cut.value - 1 / 3).round().tolist() == [59_805, 59_905, 60_005]
    assert len(spool.trend(IDS[5], 0, START)) == 0
    spool.close()


def test_a_replay_begins_where_the_first_reading_of_that_time_may_be(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, IDS, **SMALL)
    fill(spool, 600)
    for tick in (0, 1, 77, 599):
        number = spool.number_since(START + tick * 10**9)
        assert 100 * tick - 2000 < number <= 100 * tick
    assert spool.number_since(START + 600 * 10**9) == spool.durable
    spool.close()


def test_bad_readings_stay_bad_and_keep_their_reason(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, IDS)
    spool.append(Batch.bad(np.arange(100, dtype=np.int32), START, Quality.COMMS_LOST))
    spool.append(Batch.of([1, 2], START, [1.5, 2.5], [0, Quality.OVER_RANGE]))
    spool.flush()
    batch, _ = spool.read(0, 1000)
    assert np.isnan(batch.value[:100]).all()
    assert batch.quality.tolist() == [129] * 100 + [0, 66]
    assert batch.value[100:].tolist() == [1.5, 2.5]
    spool.close()


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file/spool"):
        Spool.open(tmp_path / "file" / "spool", IDS)


def test_a_spool_too_small_to_be_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bytes_max 1000"):
        Spool.open(tmp_path, IDS, bytes_max=1000)
