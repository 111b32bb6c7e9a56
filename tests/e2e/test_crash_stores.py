"""The stores through kill -9, power cuts, a kill at the n-th write, a failing fsync and a full disk.

A worker process (this file, run as a program) writes to all three stores and says on its output what has been
promised to be on disk. Everything it writes follows from its number, so that the check needs no memory of its own.
"""

import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from gateway.core.alarm import AlarmEvent, AlarmState, EventKind
from gateway.core.errors import StorageError
from gateway.core.model import Batch
from gateway.store.history import History
from gateway.store.journal import Journal
from gateway.store.spool import Spool

ROOT = Path(__file__).parents[2]
IDS = [f"gd-{n}.ch4" for n in range(40)]
START = 1_700_000_000_000_000_000 // 3_600_000_000_000 * 3_600_000_000_000
STEP_NS = 2_000_000_000
FS_IOC_SHUTDOWN, NOLOGFLUSH = 0x8004587D, 2


def event(seq: int) -> AlarmEvent:
    kind, state = (EventKind.RAISED, AlarmState.UNACKED) if seq % 2 else (EventKind.CLEARED, AlarmState.NORMAL)
    return AlarmEvent(seq=seq, time_ns=START + seq, kind=kind, state=state, alarm=f"a{seq % 7}", value=seq / 7)


def tick(number: int) -> Batch:
    """All channels' readings of one poll; `number` is that of the first."""
    return Batch.of(np.arange(40), START + number // 40 * STEP_NS, (np.arange(40) + number) / 10)


@dataclass
class Stores:
    """The three stores of one data folder, opened as the application does."""

    journal: Journal
    spool: Spool
    history: History

    @classmethod
    def open(cls, folder: Path) -> "Stores":
        journal = Journal.open(folder / "journal.db", "gw")
        spool = Spool.open(folder / "spool", IDS, bytes_max=4 << 20, segment_bytes=256 << 10)
        history = History.open(folder / "history.db", IDS)
        number = spool.first_number
        while number < spool.durable:
            batch, number = spool.read(number, 20_000)
            history.replay(batch)
        return cls(journal, spool, history)

    def close(self) -> None:
        self.journal.close()
        self.spool.close()
        self.history.close()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def work(folder: Path) -> None:
    """Write as fast as the disk allows; say what is safe after each commit. Never ends by itself."""
    stores = Stores.open(folder)
    rng = random.Random(os.getpid())
    waiting: list[AlarmEvent] = []
    say("ready")
    for turn in range(1_000_000):
        following = (waiting[-1].seq if waiting else stores.journal.last_seq) + 1
        waiting += [event(seq) for seq in range(following, following + rng.randint(1, 10))]
        batch = tick(stores.spool.next_number)
        stores.spool.append(batch)
        stores.history.add(batch)
        try:
            stores.journal.append(waiting)
            waiting.clear()
            say(f"E {stores.journal.last_seq}")
            say(f"R {stores.spool.flush()}")
            if turn % 10 == 0:
                stores.history.flush(int(batch.time_ns[-1]))
            say(f"N {stores.spool.next_number}")
        except StorageError as error:
            say(f"X {error}")


@dataclass
class Promised:
    """The highest numbers that the worker said were on disk, and how many errors it told."""

    events: int = 0
    readings: int = 0
    errors: int = 0

    def take(self, output: bytes) -> None:
        for line in output.decode().splitlines():
            word, _, number = line.partition(" ")
            if word == "E":
                self.events = max(self.events, int(number))
            elif word == "R":
                self.readings = max(self.readings, int(number))
            elif word == "X":
                self.errors += 1


class Worker:
    """The worker process and what it has promised."""

    def __init__(self, folder: Path, prefix: tuple[str, ...] = ()) -> None:
        self._output = b""
        self._process = subprocess.Popen(
            [*prefix, sys.executable, __file__, str(folder)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def wait_until(self, done: Callable[[bytes], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not done(self.read()) and self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)

    def run_for(self, seconds: float) -> None:
        self.wait_until(lambda output: b"\nR " in output)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.read()
            time.sleep(0.001)

    def read(self) -> bytes:
        """Take all that has been said so far."""
        assert self._process.stdout is not None
        while part := self._process.stdout.read(1 << 16):
            self._output += part
        return self._output

    def promised(self) -> Promised:
        promised = Promised()
        promised.take(self._output[: self._output.rfind(b"\n") + 1])
        return promised

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with suppress(ValueError):
            self.read()
            assert self._process.stdout is not None
            self._process.stdout.close()

    def ended(self) -> int | None:
        return self._process.poll()


def check(folder: Path, promised: Promised, epoch: str) -> str:
    """Open the stores as a restart does and compare them with the promises; returns the epoch."""
    stores = Stores.open(folder)
    try:
        journal, spool = stores.journal, stores.spool
        assert journal.last_seq >= promised.events, "an event that was told to be on disk is lost"
        assert journal.read(0, 1 << 20) == [event(seq) for seq in range(1, journal.last_seq + 1)]
        assert journal.verify() == (journal.last_seq, "")
        assert epoch in {"", journal.epoch}, f"a new epoch without need: {journal.problems}"
        assert spool.durable >= promised.readings, "readings that were told to be on disk are lost"
        number = spool.first_number
        counts: dict[int, int] = {}
        while number < spool.durable:
            batch, following = spool.read(number, 40)
            assert following == number + 40
            should = tick(number)
            assert batch.value.tolist() == should.value.tolist()
            assert batch.time_ns.tolist() == should.time_ns.tolist()
            minute = int(batch.time_ns[0]) // 60_000_000_000 * 60_000_000_000
            counts[minute] = counts.get(minute, 0) + 1
            number = following
        found = stores.history.query(IDS[3], min(counts, default=0) + 60_000_000_000, 1 << 62)
        kept = dict(zip(found.minute_ns.tolist(), found.count.tolist(), strict=True))
        for minute, count in list(counts.items())[1:]:
            assert kept[minute] == count, "a minute was counted twice or not at all"
        return journal.epoch
    finally:
        stores.close()


def kill_again_and_again(folder: Path, times: int) -> None:
    """Kill and look; a folder serves ten times, since each look reads all of it."""
    rng = random.Random(times)
    epoch, base = "", folder
    for turn in range(times):
        if turn % 10 == 0:
            folder, epoch = base / str(turn), ""
        worker = Worker(folder)
        worker.run_for(rng.uniform(0.0, 0.4))
        worker.kill()
        epoch = check(folder, worker.promised(), epoch)


def test_nothing_promised_is_lost_by_kill_9(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 10)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_nothing_promised_is_lost_by_two_hundred_kills(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 200)


# --- on a file system of its own ---


def absent(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Disk:
    """An ext4 file system in a file, which can lose its power."""

    def __init__(self, folder: Path, mebibytes: int) -> None:
        self.image, self.mount = folder / "disk.img", folder / "disk"
        self.mount.mkdir()
        with self.image.open("wb") as file:
            file.truncate(mebibytes << 20)
        _run("mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", str(self.image))
        self.on()

    def on(self) -> None:
        _run("mount", "-o", "loop", str(self.image), str(self.mount))

    def cut(self) -> None:
        """Take the power away: nothing that was not synced is written any more."""
        handle = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, FS_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(handle)

    def off(self) -> None:
        for _ in range(50):
            if subprocess.run(["umount", self.mount], capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.05)
        subprocess.run(["umount", "-l", self.mount], check=False)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    if os.geteuid() != 0:
        absent("mounting a file system needs root")
    try:
        made = Disk(tmp_path, getattr(request, "param", 64))
    except (OSError, subprocess.CalledProcessError) as error:
        absent(f"no loop mount here: {error}")
    yield made
    made.off()


def cut_again_and_again(disk: Disk, times: int) -> None:
    rng = random.Random(times)
    folder, epoch = disk.mount / "data", ""
    for turn in range(times):
        if turn % 10 == 0:
            shutil.rmtree(folder, ignore_errors=True)
            epoch = ""
        worker = Worker(folder)
        worker.run_for(rng.uniform(0.0, 0.3))
        worker.read()  # only what was promised before the cut counts; a sync may return while the disk goes
        promised = worker.promised()
        disk.cut()
        worker.kill()
        disk.off()
        disk.on()
        epoch = check(folder, promised, epoch)


def test_nothing_promised_is_lost_by_a_power_cut(disk: Disk) -> None:
    cut_again_and_again(disk, 5)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_nothing_promised_is_lost_by_fifty_power_cuts(disk: Disk) -> None:
    cut_again_and_again(disk, 50)


def test_a_power_cut_at_the_very_first_start_leaves_a_folder_that_opens(disk: Disk) -> None:
    for delay in (0.0, 0.02, 0.05):
        worker = Worker(disk.mount / "data")
        worker.wait_until(lambda _: (disk.mount / "data").exists())
        time.sleep(delay)
        disk.cut()
        worker.kill()
        disk.off()
        disk.on()
        check(disk.mount / "data", Promised(), "")
        shutil.rmtree(disk.mount / "data")


# --- at a chosen system call ---


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        absent("strace is not installed")
    return str(found)


def kill_at_write(strace: str, folder: Path, call: int) -> None:
    where = ("-e", "trace=pwrite64", "-e", f"inject=pwrite64:signal=KILL:when={call}")
    worker = Worker(folder, (strace, "-f", "-qq", "-o", "/dev/null", *where))
    worker.wait_until(lambda _: worker.ended() is not None, 60)
    assert worker.ended() is not None, "the worker never came to that write"
    worker.kill()
    check(folder, worker.promised(), "")


@pytest.mark.parametrize("call", [1, 9, 30, 77])
def test_a_kill_at_any_write_loses_nothing_promised(strace: str, tmp_path: Path, call: int) -> None:
    kill_at_write(strace, tmp_path / "data", call)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_kill_at_every_write_loses_nothing_promised(strace: str, tmp_path: Path) -> None:
    for call in range(1, 201):
        kill_at_write(strace, tmp_path / str(call), call)


def test_a_failing_sync_is_told_and_what_was_promised_stays(strace: str, tmp_path: Path) -> None:
    where = ("-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=20+7")
    worker = Worker(tmp_path, (strace, "-f", "-qq", "-o", "/dev/null", *where))
    worker.wait_until(lambda output: output.count(b"\nX ") >= 8, 30)
    worker.kill()
    promised = worker.promised()
    assert promised.errors >= 8
    assert promised.events > 8
    assert promised.readings > 40 * 8
    check(tmp_path, promised, "")


# --- full ---


@pytest.mark.parametrize("disk", [24], indirect=True)
def test_on_a_full_disk_alarms_go_on_longest_and_all_goes_on_when_there_is_room(disk: Disk) -> None:
    folder = disk.mount / "data"
    stores = Stores.open(folder)
    stores.journal.append([event(1)])
    stores.spool.append(tick(0))
    stores.spool.flush()
    ballast = disk.mount / "ballast"
    with ballast.open("wb") as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    taken, refused = 1, ""
    while not refused and taken < 100_000:
        new = [event(seq) for seq in range(taken + 1, taken + 11)]
        try:
            stores.journal.append(new)
            taken += len(new)
        except StorageError as error:
            refused = str(error)
    assert "journal.db" in refused
    assert taken > 500, "the reserve should carry hundreds of events"
    stores.journal.set_cursor("uplink", "delivered on a full disk")
    assert stores.journal.cursor("uplink") == "delivered on a full disk"
    for _ in range(3000):
        stores.spool.append(tick(stores.spool.next_number))
        with suppress(StorageError):
            stores.spool.flush()
    assert stores.spool.read(0, 40)[1] == 40 or stores.spool.first_number > 0
    ballast.unlink()
    stores.journal.append([event(seq) for seq in range(taken + 1, taken + 11)])
    stores.spool.flush()
    assert stores.spool.durable == stores.spool.next_number == 40 * 3001
    assert stores.journal.verify() == (taken + 10, "")
    epoch = stores.journal.epoch
    stores.close()
    check(folder, Promised(taken + 10, 40 * 3001), epoch)


if __name__ == "__main__":
    work(Path(sys.argv[1]))
