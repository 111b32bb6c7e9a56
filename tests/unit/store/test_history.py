"""The local history: minutes, late readings, hours, limits, restarts."""

import sqlite3
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from gateway.core.errors import StorageError
from gateway.core.model import BAD_FROM, Batch, Quality
from gateway.store import history as history_module
from gateway.store.history import History
from gateway.store.minutes import MINUTE_NS, Block

HOUR_NS = 60 * MINUTE_NS
START = 1_700_000_000_000_000_000 // HOUR_NS * HOUR_NS
IDS = [f"t-{n}.temperature" for n in range(50)]
SECOND = 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def at(minute: int, second: float = 0.0) -> int:
    return START + minute * MINUTE_NS + int(second * SECOND)


def one(row: int, minute: int, value: float, quality: int = 0, second: float = 0.0) -> Batch:
    return Batch.of([row], at(minute, second), [value], quality)


def test_a_minute_has_the_extremes_the_mean_and_the_counts(path: Path) -> None:
    history = History.open(path, IDS)
    for second, value in enumerate((3.0, 1.0, 8.0)):
        history.add(one(4, 0, value, second=second))
    history.add(one(4, 0, np.nan, Quality.COMMS_LOST, 4))
    history.add(one(4, 0, 9.5, Quality.OVER_RANGE, 5))
    found = history.query(IDS[4], START, at(1))
    assert found.minute_ns.tolist() == [START]
    assert (found.low[0], found.high[0], found.mean[0]) == (1.0, 9.5, pytest.approx(5.375))
    assert (found.count[0], found.bad[0], found.worst[0]) == (5, 1, Quality.COMMS_LOST)
    history.close()


def test_a_minute_of_bad_readings_has_no_value(path: Path) -> None:
    history = History.open(path, IDS)
    history.add(Batch.bad(np.array([4], np.int32), at(0), Quality.SENSOR_FAULT))
    for _ in range(2):
        found = history.query(IDS[4], START, at(1))
        assert np.isnan([found.low[0], found.mean[0], found.high[0]]).all()
        assert (found.count[0], found.bad[0], found.worst[0]) == (1, 1, Quality.SENSOR_FAULT)
        history.flush(at(10))
    history.close()


def expected(readings: list[Batch], row: int) -> dict[int, tuple[float, float, float, int, int, int]]:
    """The same by plain arithmetic."""
    whole = Batch.concat(readings)
    mine = whole.take(whole.row == row)
    minutes = mine.time_ns // MINUTE_NS
    out = {}
    for minute in np.unique(minutes).tolist():
        part = mine.take(minutes == minute)
        real = part.value[part.quality < BAD_FROM]
        low, mean, high = (real.min(), real.mean(), real.max()) if len(real) else (np.nan,) * 3
        out[minute * MINUTE_NS] = (low, mean, high, len(part), len(part) - len(real), int(part.quality.max()))
    return out


@pytest.mark.parametrize("shape", ["neighbours", "shuffled", "repeated", "across minutes"])
def test_any_batch_gives_what_plain_arithmetic_gives(path: Path, shape: str) -> None:
    rng = np.random.default_rng(5)
    history = History.open(path, IDS)
    given = []
    for step in range(200):
        rows = {"neighbours": np.arange(10, 40), "shuffled": rng.permutation(50)[:30]}.get(
            shape, rng.integers(0, 50, 60)
        )
        times = at(0, step * 2) + rng.integers(0, 10 * SECOND if shape == "across minutes" else SECOND, len(rows))
        quality = np.where(rng.random(len(rows)) < 0.2, rng.choice([64, 129, 135], len(rows)), 0)
        given.append(Batch.of(rows, times, np.round(rng.normal(20, 5, len(rows)), 1), quality))
        history.add(given[-1])
        if step % 50 == 0:
            history.flush(at(0, step * 2))
    history.flush(at(200))
    for row in (0, 11, 39, 49):
        found, should = history.query(IDS[row], 0, 1 << 62), expected(given, row)
        assert found.minute_ns.tolist() == sorted(should)
        columns = (found.low, found.mean, found.high, found.count, found.bad, found.worst)
        for place, minute in enumerate(sorted(should)):
            got = [float(column[place]) for column in columns]
            assert got == pytest.approx(should[minute], rel=1e-9, nan_ok=True)
            assert got[0] == pytest.approx(should[minute][0], rel=0, abs=0, nan_ok=True), "extremes are exact"
    history.close()


def test_hours_are_packed_and_read_the_same(path: Path) -> None:
    history = History.open(path, IDS)
    for minute in range(300):
        history.add(Batch.of(np.arange(50), at(minute), np.arange(50) + minute / 8))
        history.flush(at(minute))
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT COUNT(*) FROM hours").fetchone()[0] == 4 * 2
        assert raw.execute("SELECT COUNT(*) FROM minutes").fetchone()[0] < 70
    raw.close()
    for row in (0, 31, 32, 49):
        found = history.query(IDS[row], 0, 1 << 62)
        assert found.minute_ns.tolist() == [at(minute) for minute in range(300)]
        assert found.low.tolist() == [row + minute / 8 for minute in range(300)]
        assert found.mean.tolist() == found.high.tolist() == found.low.tolist()
    part = history.query(IDS[3], at(50), at(70))
    assert part.minute_ns.tolist() == [at(minute) for minute in range(50, 70)]
    history.close()


def test_a_late_reading_joins_its_own_minute_on_disk_and_in_the_hour(path: Path) -> None:
    history = History.open(path, IDS)
    for minute in range(6):
        history.add(one(0, minute, 5.0))
    history.flush(at(5))
    history.add(one(0, 1, 50.0, second=30))
    history.flush(at(6))
    found = history.query(IDS[0], START, at(6))
    assert found.high.tolist() == [5, 50, 5, 5, 5, 5]
    assert found.count.tolist() == [1, 2, 1, 1, 1, 1]
    history.flush(at(200))
    assert history.query(IDS[0], START, at(6)).count.tolist() == [1, 2, 1, 1, 1, 1]
    history.close()


def test_what_an_instrument_tells_of_its_past_joins_minutes_of_any_age(path: Path) -> None:
    history = History.open(path, IDS, days=2)
    for minute in range(300):
        history.add(one(0, minute, 5.0))
        history.flush(at(minute))
    history.add(one(0, 10, 50.0, Quality.BACKFILLED))
    history.add(Batch.concat([one(0, 11, 60.0, Quality.BACKFILLED), one(0, 299, 70.0, second=30)]))
    history.add(one(3, 250, 9.0, Quality.BACKFILLED))
    history.add(one(0, -60 * 24 * 3, 1.0, Quality.BACKFILLED))
    history.flush(at(301))
    history.close()
    assert history.late == 1, "what is older than the history keeps is left to the spool"
    again = History.open(path, IDS)
    found = again.query(IDS[0], at(9), at(13))
    assert found.high.tolist() == [5, 50, 60, 5]
    assert found.count.tolist() == [1, 2, 2, 1]
    assert again.query(IDS[0], at(299), at(300)).high.tolist() == [70.0]
    assert again.query(IDS[3], 0, 1 << 62).mean.tolist() == [9.0]
    again.close()


def test_more_of_the_past_than_fits_in_memory_is_counted_and_left_out(path: Path) -> None:
    history = History.open(path, IDS)
    count = history_module.BACKFILLED_MAX + 5
    history.add(Batch.of(np.zeros(count, np.int32), at(0), np.ones(count), Quality.BACKFILLED))
    history.close()
    assert history.late == 5
    again = History.open(path, IDS)
    assert again.query(IDS[0], at(0), at(1)).count.tolist() == [history_module.BACKFILLED_MAX]
    again.close()


def test_readings_much_too_late_or_from_the_future_are_ignored_and_counted(path: Path) -> None:
    history = History.open(path, IDS)
    history.flush(at(60))
    history.add(one(0, 49, 1.0))
    history.add(one(0, 50, 2.0))
    history.add(one(0, 65, 3.0))
    history.add(one(0, 71, 4.0))
    history.add(one(0, 60 * 24 * 365, 5.0))
    assert (history.late, history.early) == (1, 2)
    assert history.query(IDS[0], 0, 1 << 62).low.tolist() == [2.0, 3.0]
    history.close()


def test_a_clock_that_was_set_back_is_followed_and_hours_are_merged(path: Path) -> None:
    history = History.open(path, IDS)
    for minute in range(200):
        history.add(one(0, minute, 1.0))
        history.flush(at(minute))
    history.flush(at(30))
    history.add(one(0, 30, 7.0))
    assert history.late == 0
    history.flush(at(200))
    found = history.query(IDS[0], at(30), at(31))
    assert (found.low[0], found.high[0], found.count[0]) == (1.0, 7.0, 2)
    history.close()


def test_a_clean_restart_goes_on_in_the_same_minute_and_replays_nothing(path: Path) -> None:
    history = History.open(path, IDS)
    batch = Batch.of(range(50), at(7, 20), np.arange(50.0))
    history.add(batch)
    history.close()
    history.close()
    again = History.open(path, IDS)
    again.replay(batch)
    again.add(one(3, 7, 100.0, second=40))
    found = again.query(IDS[3], 0, 1 << 62)
    assert (found.low[0], found.high[0], found.count[0]) == (3.0, 100.0, 2)
    again.close()


def test_a_killed_process_gets_its_minutes_from_the_spool_without_counting_twice(path: Path) -> None:
    spool = [Batch.of(range(50), at(minute, second), np.arange(50.0)) for minute in range(90) for second in (0, 30)]
    history = History.open(path, IDS)
    for batch in spool:
        history.add(batch)
        if batch.time_ns[0] % MINUTE_NS == 0:
            history.flush(int(batch.time_ns[0]))
    again = History.open(path, IDS)
    assert again.resume_from_ns == at(87)
    again.replay(Batch.concat(spool))
    assert again.query(IDS[7], 0, 1 << 62).count.tolist() == [2] * 90
    again.add(one(7, 500, 1.0))
    assert again.early == again.late == 0, "live readings may come long after those of the spool"
    again.close()
    history._database.close()


def test_a_lost_history_is_made_again_from_the_spool_in_one_go(path: Path) -> None:
    history = History.open(path, IDS)
    for start in range(0, 600, 300):
        minutes = np.repeat(np.arange(start, start + 300), 50)
        times = START + minutes * MINUTE_NS
        history.replay(Batch.of(np.tile(np.arange(50), 300), times, minutes.astype(float)))
    history.close()
    assert history.lost_minutes == history.late == 0
    again = History.open(path, IDS)
    assert again.query(IDS[7], 0, 1 << 62).low.tolist() == [float(minute) for minute in range(600)]
    again.close()


def test_a_changed_channel_table_keeps_each_channel_s_own_past(path: Path) -> None:
    history = History.open(path, IDS)
    history.add(Batch.of(range(50), at(0), np.arange(50.0)))
    history.close()
    history = History.open(path, ["new.co", IDS[9], IDS[4]])
    history.add(Batch.of([0, 1, 2], at(1), [100.0, 101.0, 102.0]))
    history.flush(at(20))
    assert history.query("new.co", 0, 1 << 62).low.tolist() == [100.0]
    assert history.query(IDS[9], 0, 1 << 62).low.tolist() == [9.0, 101.0]
    assert history.query(IDS[4], 0, 1 << 62).low.tolist() == [4.0, 102.0]
    assert history.query(IDS[5], 0, 1 << 62).low.tolist() == [5.0]
    assert len(history.query("never.was", 0, 1 << 62)) == 0
    history.close()


def test_values_older_than_the_days_are_dropped(path: Path) -> None:
    history = History.open(path, IDS, days=1)
    for minute in range(0, 60 * 50, 10):
        history.flush(at(minute))
        history.add(one(0, minute, 1.0))
    found = history.query(IDS[0], 0, 1 << 62)
    assert at(60 * 25) <= found.minute_ns[0] <= at(60 * 27)
    assert found.minute_ns[-1] == at(60 * 50 - 10)
    history.close()


def test_the_limit_in_bytes_holds_and_the_oldest_hours_make_way(tmp_path: Path) -> None:
    ids = [f"c{n}" for n in range(2000)]
    rng = np.random.default_rng(3)
    history = History.open(tmp_path / "history.db", ids, bytes_max=4 << 20)
    most = 0
    for minute in range(240):
        history.add(Batch.of(np.arange(2000), at(minute), rng.normal(20, 5, 2000)))
        history.flush(at(minute))
        most = max(most, sum(file.stat().st_size for file in tmp_path.iterdir()))
    assert 3 << 20 < most <= 4 << 20
    found = history.query("c5", 0, 1 << 62)
    assert found.minute_ns[-1] == at(239)
    assert 20 < len(found) < 240
    assert np.diff(found.minute_ns).max() == MINUTE_NS
    history.close()


def test_a_damaged_block_costs_its_own_values_only(path: Path) -> None:
    history = History.open(path, IDS)
    for minute in range(200):
        history.add(Batch.of(range(50), at(minute), np.arange(50.0)))
        history.flush(at(minute))
    raw = sqlite3.connect(path)
    with raw:
        raw.execute("UPDATE hours SET body = CAST(substr(body, 1, 50) || x'00' || substr(body, 52) AS BLOB) "
                    "WHERE key = (SELECT MIN(key) FROM hours)")  # fmt: skip
    raw.close()
    assert len(history.query(IDS[0], 0, 1 << 62)) == 140
    assert "hours" in history.problems[0]
    assert len(history.query(IDS[40], 0, 1 << 62)) == 200
    history.close()


@pytest.mark.parametrize("seed", range(30))
def test_a_flipped_bit_in_a_block_never_gives_a_wrong_value(seed: int) -> None:
    rng = np.random.default_rng(seed)
    block = Block.empty(32, 60)
    block.count[:], block.total[:], block.low[:], block.high[:] = 1, 5.0, 5.0, 5.0
    data = bytearray(block.pack())
    data[int(rng.integers(0, len(data)))] ^= 1 << int(rng.integers(0, 8))
    with pytest.raises(ValueError, match="check sum"):
        Block.unpack(bytes(data))


def test_a_file_that_is_no_database_never_refuses_the_start(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)
    history = History.open(path, IDS)
    history.add(one(0, 0, 1.0))
    history.flush(at(5))
    assert history.query(IDS[0], 0, 1 << 62).low.tolist() == [1.0]
    assert "put aside" in history.problems[0]
    history.close()


def test_a_channel_table_that_changes_under_way_mixes_up_no_channel(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(11)
    ids, given = list(IDS), dict[str, list[float]]()
    history = History.open(path, ids)

    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    for step in range(120):
        if step % 4 == 3:
            names = [*IDS, *(f"new-{n}" for n in range(step))]
            ids = rng.permutation(names)[: rng.integers(1, len(names))].tolist()
            history.change_table(ids)
        rows = rng.choice(len(ids), rng.integers(1, len(ids) + 1), replace=False)
        values = rng.normal(20, 5, len(rows)).round(1)
        for row, value in zip(rows, values, strict=True):
            given.setdefault(ids[row], []).append(value)
        history.add(Batch.of(rows, at(0, step * 15), values, Quality.BACKFILLED if step % 7 == 0 else Quality.GOOD))
        if step % 9 == 8:
            with monkeypatch.context() as broken, suppress(StorageError):
                if step % 2:
                    broken.setattr(History, "_write_minute", refuse)
                history.flush(at(0, step * 15))
    assert len(given) > 100

    def check(asked: History) -> None:
        for name, values in given.items():
            found = asked.query(name, 0, 1 << 62)
            assert (int(found.count.sum()), found.low.min(), found.high.max()) == (
                len(values),
                min(values),
                max(values),
            )

    # What an instrument told of its past is found after the next flush.
    history.flush(at(31))
    check(history)
    history.flush(at(200))
    again = History.open(path, IDS[:3])
    check(again)
    again.close()
    history.close()


def test_a_disk_that_refuses_costs_no_minute_for_an_hour(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History.open(path, IDS)

    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(history, "_write_minute", refuse)
        for minute in range(100):
            history.add(one(0, minute, float(minute)))
            if minute >= 3:
                with pytest.raises(StorageError, match="disk I/O error"):
                    history.flush(at(minute))
        assert history.query(IDS[0], 0, 1 << 62).low.tolist()[-1] == 99.0
    history.flush(at(100))
    found = history.query(IDS[0], 0, 1 << 62)
    assert history.lost_minutes + len(found) == 100
    assert len(found) >= history_module.WAITING_MINUTES_MAX
    assert found.low.tolist() == [float(minute) for minute in range(history.lost_minutes, 100)]
    history.close()


def test_a_history_too_small_to_be_one_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="bytes_max 1000"):
        History.open(path, IDS, bytes_max=1000)
