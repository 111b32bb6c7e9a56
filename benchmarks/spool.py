"""Cost of the local stores: CPU and device bytes a reading of the spool, beside SQLite in the same run, and the rest.

    python -m benchmarks [--short] spool

Device bytes need root and a loop mount (ext4, blocks of 4 KiB); without, they are left out and that is said. What the
file system writes for itself is in them. Goals: at most 16 device bytes and 0.1 µs of CPU a reading, 1,000 readings a
flush; at most 0.05 µs a reading for the one-minute values; a week of one channel in 200 ms.
"""

import os
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.measure import Figure, Spread, at_most
from gateway.core.model import Batch
from gateway.store.columns import decode, encode
from gateway.store.history import History
from gateway.store.minutes import MINUTE_NS
from gateway.store.spool import Spool

READINGS = 1_000
START = 1_700_000_000_000_000_000 // (60 * MINUTE_NS) * (60 * MINUTE_NS)
IDS = [f"gd-{n // 4:03}.ch{n % 4}" for n in range(READINGS)]
SECOND = 1_000_000_000


def inputs() -> dict[str, Callable[[int], Batch]]:
    """One second of 1,000 channels each, as different sites have them."""
    rng = np.random.default_rng(1)
    rows = np.arange(READINGS)
    polls = np.repeat(np.sort(rng.integers(0, SECOND, 100)), 10)
    each = np.sort(rng.integers(0, 1000, READINGS)) * 1_000_000
    level = rng.random(READINGS) * 50
    singles = np.float32(level).astype(float)
    return {
        "polls, one decimal": lambda n: batch(rows, polls, n, np.round(level + rng.normal(0, 0.3, READINGS), 1)),
        "polls, raw times 0.1": lambda n: batch(rows, polls, n, np.rint(level * 10 + rng.normal(0, 3, READINGS)) * 0.1),
        "polls, float32": lambda n: batch(rows, polls, n, np.float32(singles + rng.normal(0, 0.3, READINGS))),
        "polls, float64": lambda n: batch(rows, polls, n, level + rng.normal(0, 0.3, READINGS)),
        "pushed one by one": lambda n: batch(
            rng.permutation(READINGS), each, n, np.round(level + rng.normal(0, 0.3, READINGS), 2)
        ),
    }


def batch(rows: np.ndarray, times: np.ndarray, second: int, values: np.ndarray) -> Batch:
    return Batch.of(rows, START + second * SECOND + times, values)


def per_reading(work: Callable[[], object], rounds: int, readings: int) -> float:
    """Return nanoseconds of CPU a reading: the least of five rounds."""
    found = []
    for _ in range(5):
        begun = time.process_time_ns()
        for _ in range(rounds):
            work()
        found.append((time.process_time_ns() - begun) / rounds / readings)
    return min(found)


@contextmanager
def disk(mebibytes: int) -> Iterator[tuple[Path, Callable[[], int]] | None]:
    """Give a fresh ext4 file system and a way to ask how many bytes its device has been written."""
    with tempfile.TemporaryDirectory() as folder:
        image, mount = Path(folder) / "disk.img", Path(folder) / "disk"
        mount.mkdir()
        try:
            with image.open("wb") as file:
                file.truncate(mebibytes << 20)
            # Inode tables are made now: the kernel would else write them during the measurement.
            quick = "lazy_itable_init=0,lazy_journal_init=0"
            run("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", quick, str(image))
            run("mount", "-o", "loop", str(image), str(mount))
        except (OSError, subprocess.CalledProcessError):
            yield None
            return
        try:
            device = run("findmnt", "-no", "SOURCE", str(mount)).strip().rpartition("/")[2]
            counter = Path(f"/sys/block/{device}/stat")
            os.sync()
            yield mount, lambda: int(counter.read_text().split()[6]) * 512
        finally:
            os.sync()
            run("umount", str(mount))


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def spool_bytes(make: Callable[[int], Batch], flushes: int, *, reused: bool) -> tuple[float, float] | None:
    """Return device bytes a reading and the median flush in milliseconds, preallocation and indexes included.

    Args:
        make: What to write.
        flushes: How many.
        reused: Measure after the limit was reached, when old segments are used again.
    """
    with disk(160) as place:
        if place is None:
            return None
        mount, written = place
        spool = Spool.open(mount / "spool", IDS, bytes_max=(4 if reused else 128) << 20, segment_bytes=1 << 20)
        turn = 0
        while reused and not spool.dropped:
            spool.append(make(turn))
            spool.flush()
            turn += 1
        os.sync()
        times, before = [], written()
        for n in range(flushes):
            spool.append(make(turn + n))
            begun = time.perf_counter()
            spool.flush()
            times.append(time.perf_counter() - begun)
        os.sync()
        after = written()
        spool.close()
        return (after - before) / flushes / READINGS, statistics.median(times) * 1e3


def sqlite_bytes(make: Callable[[int], Batch], flushes: int) -> tuple[float, float] | None:
    """The reference: one row a reading, one commit a flush, synchronous=FULL."""
    with disk(400) as place:
        if place is None:
            return None
        mount, written = place
        base = sqlite3.connect(mount / "readings.db", isolation_level=None)
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=FULL")
        base.execute("CREATE TABLE reading (id INTEGER PRIMARY KEY, row INT, time_ns INT, value REAL, quality INT)")
        times, before = [], written()
        for n in range(flushes):
            one = make(n)
            rows = zip(one.row.tolist(), one.time_ns.tolist(), one.value.tolist(), one.quality.tolist(), strict=True)
            begun = time.perf_counter()
            base.execute("BEGIN")
            base.executemany("INSERT INTO reading (row, time_ns, value, quality) VALUES (?, ?, ?, ?)", rows)
            base.execute("COMMIT")
            times.append(time.perf_counter() - begun)
        os.sync()
        after = written()
        base.close()
        return (after - before) / flushes / READINGS, statistics.median(times) * 1e3


def spool_table(flushes: int) -> dict[str, float]:
    """Print the table; return the device bytes a reading of each kind of input, as far as they can be measured."""
    written: dict[str, float] = {}
    heads = f"{'payload B':>9} {'device B':>9} {'device B':>9} {'encode':>7} {'decode':>7}"
    print(f"{'spool, 1,000 readings a flush':32} {heads}")
    print(f"{'':32} {'/reading':>9} {'new':>9} {'reused':>9} {'ns':>7} {'ns':>7}")
    for name, make in inputs().items():
        one = make(0)
        packed = encode(one)
        fresh, worn = spool_bytes(make, flushes, reused=False), spool_bytes(make, flushes, reused=True)
        if fresh:
            written[name] = fresh[0]
        cells = [f"{found[0]:9.1f}" if found else f"{'-':>9}" for found in (fresh, worn)]
        print(
            f"{name:32} {len(packed) / READINGS:9.2f} {cells[0]} {cells[1]} "
            f"{per_reading(lambda one=one: encode(one), 200, READINGS):7.1f} "
            f"{per_reading(lambda p=packed: decode(p, READINGS), 200, READINGS):7.1f}"
        )
    make = next(iter(inputs().values()))
    ours, reference = spool_bytes(make, flushes, reused=False), sqlite_bytes(make, flushes // 4)
    if ours is None or reference is None:
        print("device bytes are left out: no loop mount without root")
        return written
    print(f"SQLite, one row a reading, FULL: {reference[0]:.1f} device bytes, {reference[1]:.2f} ms a flush; "
          f"ours {ours[1]:.2f} ms; ratio of bytes {ours[0] / reference[0]:.3f}")  # fmt: skip
    return written


def spool_reading(seconds: int) -> None:
    make = next(iter(inputs().values()))
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool.open(Path(folder), IDS)
        for n in range(seconds):
            spool.append(make(n))
            spool.flush()
        begun = time.perf_counter()
        number = 0
        while number < spool.durable:
            _, number = spool.read(number, 5_000)
        print(f"read {number} readings by 5,000: {(time.perf_counter() - begun) / number * 1e9:.1f} ns a reading")
        begun = time.perf_counter()
        found = spool.trend(IDS[5], 0, 1 << 62)
        print(f"trend of one channel among 1,000, {len(found)} records: {(time.perf_counter() - begun) * 1e3:.0f} ms")
        begun = time.perf_counter()
        found = spool.trend(IDS[5], START + 60 * SECOND, START + 120 * SECOND)
        print(f"trend of one minute of it, {len(found)} readings: {(time.perf_counter() - begun) * 1e3:.1f} ms")
        spool.close()
        begun = time.perf_counter()
        Spool.open(Path(folder), IDS).close()
        print(f"open with {number} readings: {(time.perf_counter() - begun) * 1e3:.0f} ms")


def history_costs(hours: int, channels: int) -> None:
    rng = np.random.default_rng(1)
    ids = [f"c{n}" for n in range(channels)]
    level = rng.random(channels) * 100
    with tempfile.TemporaryDirectory() as folder:
        history = History.open(Path(folder) / "history.db", ids)
        for shape, rows in (("neighbours", np.arange(READINGS)), ("shuffled", rng.permutation(READINGS))):
            one = Batch.of(rows, START, level[rows])
            print(f"add, {shape}: {per_reading(lambda one=one: history.add(one), 300, READINGS):.1f} ns a reading")
        minutes, packing = [], []
        for minute in range(hours * 60 + 20):
            for part in range(0, channels, READINGS):
                rows = np.arange(part, min(part + READINGS, channels))
                for second in (0, 30):
                    time_ns = START + minute * MINUTE_NS + second * SECOND
                    history.add(Batch.of(rows, time_ns, np.round(level[rows] + rng.random(len(rows)), 1)))
            begun = time.perf_counter()
            history.flush(START + minute * MINUTE_NS)
            (packing if minute % 60 == 13 else minutes).append((time.perf_counter() - begun) * 1e3)
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        print(f"flush of a minute of {channels} channels: {statistics.median(minutes):.1f} ms")
        print(f"flush that packs an hour of them: {max(packing):.0f} ms")
        print(f"{size / (hours * 60 + 20) / channels:.1f} bytes a channel and minute")
        begun = time.perf_counter()
        found = history.query("c77", 0, 1 << 62)
        spent = (time.perf_counter() - begun) * 1e3
        print(f"query of one channel, {len(found)} minutes ({hours} h): {spent:.1f} ms")
        history.close()


def main(short: bool = False) -> list[Figure]:
    written = spool_table(30 if short else 1_000)
    spool_reading(100 if short else 3_000)
    if not short:
        history_costs(2, 10_000)
    if not written:
        return [Figure("device bytes a reading", "≤ 16 bytes", "skipped: no loop mount without root")]
    return [
        at_most(f"device bytes a reading, {name}", Spread.of([found]), 16, "bytes", 1)
        for name, found in written.items()
    ]
