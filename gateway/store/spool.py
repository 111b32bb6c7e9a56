"""The spool: every reading, in order of arrival and by number, kept on disk until it is too old.

Numbers start at 0 and only grow. Readings numbered below `durable` are on disk, and only those are ever handed out,
so that no power cut can give an acknowledged number to another reading. A disk that loses what it promised to keep is
met by `floor`: numbering goes on behind the highest cursor, however little the spool still holds.
"""

import errno
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.core.model import Batch, Int32
from gateway.store.disk import Problems, free_bytes, make_folder, set_aside, storage_errors
from gateway.store.segment import RECORD_READINGS_MAX, SUFFIX, Segment, file_name
from gateway.store.table import Place, Table, row_map

PENDING_READINGS_MAX = 1_000_000
SEGMENT_BYTES_MIN = 256 << 10
SEGMENTS_MIN = 4
FREE_BYTES_MAX = 8 << 20
MAPS_MAX = 64
"""Maps from one channel table to another that are kept; more are made again when they are needed."""

_EMPTY = Batch.concat([])


class Waiting(NamedTuple):
    """Readings that are not on disk yet: the number of the first, the readings, and the table of their rows."""

    number: int
    batch: Batch
    table: Table

    def part(self, index: slice) -> "Waiting":
        """Return some of them."""
        return Waiting(self.number + (index.start or 0), self.batch.take(index), self.table)


class Spool:
    """An append-only log of readings in preallocated segments, bounded in bytes; the oldest readings make way.

    `append` and `change_table` belong to the event loop and touch memory only; all else blocks and belongs to worker
    threads. A segment's header holds the ids of its channels, so that a changed site file finds every old reading's
    channel again, and each reading waits together with the table that its row belongs to.

    Attributes:
        durable: All readings with a smaller number are on disk.
        bytes_used: Bytes that its files take; never more than `bytes_max`.
        problems: What was found damaged, in words.
    """

    def __init__(self, folder: Path, table: Table, bytes_max: int, segment_bytes: int, pending_max: int) -> None:
        self.durable = 0
        self.bytes_used = 0
        self.problems = Problems()
        self._folder = folder
        self._table = table
        self._bytes_max = bytes_max
        self._segment_bytes = max(SEGMENT_BYTES_MIN, min(segment_bytes, bytes_max // SEGMENTS_MIN))
        self._pending_max = pending_max
        self._pending: deque[Waiting] = deque()
        self._pending_readings = 0
        self._next_number = 0
        self._dropped = 0
        self._segments: list[Segment] = []
        self._damaged: list[Path] = []
        self._maps: dict[tuple[int, int], Int32] = {}
        self._tables: dict[int, Table] = {table.code: table}
        self._memory = threading.Lock()  # pending readings and counters: held for moments, never during I/O
        self._disk = threading.RLock()  # segments: held during I/O

    @classmethod
    def open(
        cls, folder: Path, channel_ids: Sequence[str], bytes_max: int = 1 << 30, segment_bytes: int = 16 << 20, *,
        floor: int = 0, pending_max: int = PENDING_READINGS_MAX,
    ) -> "Spool":  # fmt: skip
        """Open the spool of a site; damage is told in `problems` and passed over.

        Args:
            folder: Its folder; made where absent.
            channel_ids: The channel table: the id of row 0, 1, 2 …
            bytes_max: Bytes that the folder may take.
            segment_bytes: Size of one file, at most a quarter of `bytes_max`.
            floor: The highest number that any cursor holds; no new reading gets a smaller one.
            pending_max: Readings kept in memory while the disk does not take them.

        Raises:
            StorageError: The folder cannot be made or listed.
            ValueError: `bytes_max` is less than a mebibyte.
        """
        if bytes_max < SEGMENTS_MIN * SEGMENT_BYTES_MIN:
            raise ValueError(f"bytes_max {bytes_max}: a spool needs {SEGMENTS_MIN * SEGMENT_BYTES_MIN} bytes at least")
        make_folder(folder)
        spool = cls(folder, Table.of(channel_ids), bytes_max, segment_bytes, pending_max)
        with storage_errors(folder, "opening the spool"):
            spool._load()
        spool._next_number = spool.durable = max(spool.durable, floor)
        return spool

    # --- counters ---

    @property
    def next_number(self) -> int:
        """Number that the next appended reading gets; the first ever gets 0."""
        return self._next_number

    @property
    def first_number(self) -> int:
        """Number of the oldest reading still kept, or `durable` where none is."""
        with self._disk:
            return self._segments[0].number if self._segments and self._segments[0].readings else self.durable

    @property
    def dropped(self) -> int:
        """Readings lost to the limits on disk and in memory since the spool was made; survives a restart."""
        return self._dropped

    # --- taking ---

    def append(self, batch: Batch) -> None:
        """Take readings into memory; `flush` puts them on disk. Event loop; never blocks on the disk.

        Beyond the limit of pending readings the oldest pending batch is dropped and counted: the newest readings
        are those that tell of danger.
        """
        if not len(batch):
            return
        with self._memory:
            self._pending.append(Waiting(self._next_number, batch, self._table))
            self._next_number += len(batch)
            self._pending_readings += len(batch)
            self._trim_pending()

    def _trim_pending(self) -> None:
        while self._pending_readings > self._pending_max and len(self._pending) > 1:
            lost = self._pending.popleft().batch
            self._pending_readings -= len(lost)
            self._dropped += len(lost)

    def change_table(self, table: Table) -> None:
        """Take further readings by another channel table; what was taken before keeps its own.

        Event loop; waits for no disk. A table that is the same costs nothing on disk, another one a new segment.
        """
        with self._memory:
            self._table = table

    @property
    def table(self) -> Table:
        """The channel table that readings are taken by now."""
        return self._table

    def flush(self) -> int:
        """Put all pending readings on disk.

        Returns:
            `durable`.

        Raises:
            StorageError: The disk refuses; the readings stay pending, the next call tries again.
        """
        with self._disk:
            with self._memory:
                taken = list(self._pending)
                self._pending.clear()
                self._pending_readings = 0
                target = self._next_number
            if not taken:
                return self.durable
            try:
                with storage_errors(self._folder, "writing readings"):
                    for waiting in _records(taken):
                        self._write(waiting)
                    self._commit()
                    self.durable = target
            finally:
                if self.durable < target:
                    self._give_back(taken)
            return self.durable

    def _give_back(self, taken: list[Waiting]) -> None:
        """Put readings that are not on disk in front of those that came meanwhile."""
        if self._segments:
            self._segments[-1].rollback()
        rest = []
        for waiting in taken:
            done = max(0, self.durable - waiting.number)
            if done < len(waiting.batch):
                rest.append(waiting.part(slice(done, None)) if done else waiting)
        with self._memory:
            self._pending.extendleft(reversed(rest))
            self._pending_readings += sum(len(waiting.batch) for waiting in rest)
            self._trim_pending()

    def _write(self, waiting: Waiting) -> None:
        """Write one record, into a new segment where the present one is full or has another channel table."""
        number, batch, table = waiting
        last = self._segments[-1] if self._segments else None
        if last is not None and last.table == table and last.put(batch, number, self._dropped):
            return
        fresh = self._rotate(number, table)
        if fresh.put(batch, number, self._dropped):
            return
        half = len(batch) // 2
        if not half:
            raise OSError(errno.EFBIG, f"one reading does not fit a segment of {fresh.size} bytes")
        self._write(waiting.part(slice(0, half)))
        self._write(waiting.part(slice(half, None)))

    def _commit(self) -> None:
        last = self._segments[-1]
        last.commit()
        self.durable = max(self.durable, last.next_number)

    def close(self) -> None:
        """Put what is pending on disk and let go of the files; may be called twice.

        Raises:
            StorageError: The disk refuses the last readings; they are lost with the process.
        """
        with self._disk:
            try:
                self.flush()
            finally:
                for segment in self._segments:
                    segment.release()

    # --- segments ---

    def _load(self) -> None:
        for path in sorted(self._folder.iterdir()):
            damaged = ".damaged-" in path.name
            if damaged or path.suffix == SUFFIX:
                self.bytes_used += path.stat().st_size
            if damaged:
                self._damaged.append(path)
            elif path.suffix == SUFFIX:
                self._load_segment(path)
        for segment in self._segments:
            if segment.table is not None:
                self._tables[segment.table.code] = segment.table
        self._drop_empty_tail()
        if self._segments:
            last = self._segments[-1]
            self.durable = last.next_number
            # A segment deleted just before the power went is counted here: the numbers tell of it.
            self._dropped = last.dropped + max(0, self._segments[0].number - last.oldest)

    def _load_segment(self, path: Path) -> None:
        try:
            segment = Segment.load(path, self.problems)
        except (OSError, ValueError) as error:
            self.problems.tell(f"{path}: is no segment and was put aside: {error}")
            with suppress(OSError):
                self._damaged.append(set_aside(path))
            return
        if segment.table is None and segment.readings:
            self.problems.tell(f"{path}: its header is damaged; the channel table is taken from another segment")
        self._segments.append(segment)

    def _drop_empty_tail(self) -> None:
        """Delete segments that a power cut left without a single reading."""
        for segment in [s for s in self._segments if not s.readings]:
            self._segments.remove(segment)
            with suppress(OSError):
                segment.path.unlink()
                self.bytes_used -= segment.size

    def _rotate(self, number: int, table: Table) -> Segment:
        """Seal the last segment and make a new one of that table, whose first reading has `number`."""
        if self._segments:
            last = self._segments[-1]
            if not last.sealed:
                size = last.size
                self._commit()
                last.seal()
                self.bytes_used -= size - last.size
        worn = self._make_room(self._segment_bytes)
        fresh = self._create(number, worn, table)
        self._segments.append(fresh)
        self._tables[table.code] = table
        return fresh

    def _make_room(self, size: int) -> Path | None:
        """Delete the oldest until `size` more bytes are within the limit.

        Returns:
            A file of just that size to be used again, no longer counted, or None.
        """
        worn: Path | None = None
        while self.bytes_used + size > self._bytes_max and (self._damaged or self._segments):
            if worn is not None:
                worn.unlink()
            worn = self._drop_oldest(size)
        return worn

    def _drop_oldest(self, size: int) -> Path | None:
        """Give up one damaged file or else the oldest segment; returns its file where it fits to be used again."""
        if self._damaged:
            path = self._damaged.pop(0)
            self.bytes_used -= path.stat().st_size
            path.unlink()
            return None
        oldest = self._segments.pop(0)
        oldest.release()
        self.bytes_used -= oldest.size
        with self._memory:
            self._dropped += oldest.readings
        if oldest.size == size:
            return oldest.path
        oldest.path.unlink()
        return None

    def _create(self, number: int, worn: Path | None, table: Table) -> Segment:
        """Make a segment; on a full disk of the oldest one, or else a smaller one.

        Raises:
            OSError: Not even the smallest finds room.
        """
        size = self._segment_bytes
        while True:
            try:
                return self._try_create(number, size, worn, table)
            except OSError as error:
                if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                    raise
                if self._segments:
                    worn = self._drop_oldest(size)
                elif size // 2 >= SEGMENT_BYTES_MIN:
                    size //= 2
                else:
                    raise

    def _try_create(self, number: int, size: int, worn: Path | None, table: Table) -> Segment:
        if worn is None and free_bytes(self._folder) - size < self._reserve():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path = self._folder / file_name(number)
        oldest = self._segments[0].number if self._segments else number
        fresh = Segment.create(path, table, dropped=self._dropped, oldest=oldest, size=size, worn=worn,
                               problems=self.problems)  # fmt: skip
        self.bytes_used += fresh.size
        return fresh

    def _reserve(self) -> int:
        """Bytes left free for the journal: telemetry never takes the last block from the alarms."""
        state = os.statvfs(self._folder)
        return min(FREE_BYTES_MAX, state.f_blocks * state.f_frsize // 50)

    # --- reading ---

    def read(self, start: int, limit: int, table: Table | None = None) -> tuple[Batch, int]:
        """Return durable readings numbered from `start` on (or from the oldest kept), and the number to go on with.

        Readings of channels that the table does not have are left out, and damaged ones are passed over, so the
        batch may be empty while the number moves on; there is nothing more when the number equals `durable`.

        Args:
            start: Number of the first wanted reading.
            limit: At most so many readings, at least 1.
            table: By which channel table the rows are numbered; the present one where None. Whoever reads while the
                table may change names the one that it works by.
        """
        with self._disk:
            parts: list[Batch] = []
            wanted, number = max(1, limit), max(start, 0)
            for batch, first in self._durable_from(number, table or self._table):
                skip = max(0, number - first)
                part = batch.take(slice(skip, skip + wanted))
                number = first + skip + len(part)
                wanted -= len(part)
                parts.append(part)
                if wanted <= 0:
                    return _known(Batch.concat(parts)), number
            return _known(Batch.concat(parts)), max(number, self.durable)

    def number_since(self, time_ns: int) -> int:
        """Return a number before which no durable reading has that time or a later one; quick, and rarely the highest.

        Where to begin a replay: reading from here on finds every reading since then, and some older ones.
        """
        with self._disk:
            for segment in self._segments:
                index = segment.index()
                late = np.flatnonzero(index["last"] >= time_ns)
                if len(late):
                    return int(index["number"][late[0]])
            return self.durable

    def _durable_from(self, number: int, table: Table) -> Iterator[tuple[Batch, int]]:
        """Yield (readings with the table's rows, number of the first) of every record that reaches beyond `number`."""
        for segment in self._segments:
            if segment.next_number <= number or not segment.readings:
                continue
            index = segment.index()
            begin = max(0, int(np.searchsorted(index["number"], number, "right")) - 1)
            for group in range(begin, len(index)):
                for record, payload in segment.records(group, index):
                    if record.next_number <= number:
                        continue
                    batch = segment.decode(record, payload)
                    if batch is not None:
                        yield self._mapped(batch, record.table, table, segment), record.number

    def _mapped(self, batch: Batch, code: int, table: Table, segment: Segment) -> Batch:
        """Return the readings with their rows in a channel table, -1 for channels that it does not have."""
        if code == table.code:
            return batch
        rows = self._map(code, table)
        if rows is None or (len(batch) and int(batch.row.max()) >= len(rows)):
            self.problems.tell(f"{segment.path}: no channel table is left for its readings; they are passed over")
            return Batch(np.full(len(batch), -1, np.int32), batch.time_ns, batch.value, batch.quality)
        return Batch(rows[batch.row], batch.time_ns, batch.value, batch.quality)

    def _map(self, code: int, table: Table) -> Int32 | None:
        """Return the row in `table` of each row of an earlier table."""
        key = (code, table.code)
        if key not in self._maps and code in self._tables:
            if len(self._maps) >= MAPS_MAX:
                self._maps.clear()
            self._maps[key] = row_map(self._tables[code].ids, table.ids)
        return self._maps.get(key)

    def trend(self, channel: str, start_ns: int, end_ns: int, limit: int = 100_000) -> Batch:
        """Return one channel's readings in `[start_ns, end_ns)` by time, those not yet on disk included.

        A channel that has left the site is found as long as its readings are kept.

        Args:
            channel: The channel's id.
            start_ns: UTC nanoseconds.
            end_ns: UTC nanoseconds.
            limit: Beyond it the newest are returned: a cut chart must not end in the past.

        Returns:
            The readings; their rows are all 0.
        """
        parts: list[Batch] = []
        found = 0
        for batch, row in self._newest_first(Place(channel), start_ns, end_ns):
            mask = (batch.row == row) & (batch.time_ns >= start_ns) & (batch.time_ns < end_ns)
            if mask.any():
                parts.append(batch.take(mask))
                found += len(parts[-1])
            if found >= limit:
                break
        whole = Batch.concat(parts[::-1]) if parts else _EMPTY
        order = np.argsort(whole.time_ns, kind="stable")[max(0, len(whole) - limit) :]
        rows = np.zeros(len(order), np.int32)
        return Batch(rows, whole.time_ns[order], whole.value[order], whole.quality[order])

    def _newest_first(self, place: Place, start_ns: int, end_ns: int) -> Iterator[tuple[Batch, int]]:
        """Yield, newest record first, all batches that may hold the channel in that time, and its row in them.

        The disk is let go of between groups of records: a long look back must not hold up what is to be written.
        """
        with self._disk:
            with self._memory:
                pending = list(self._pending)
            segments = self._segments.copy()
        for waiting in reversed(pending):
            yield waiting.batch, place.row(waiting.table)
        for segment in reversed(segments):
            index = segment.index()
            bit = place.bit(segment.table)
            if not len(index) or not bit:
                continue
            near = (index["first"] < end_ns) & (index["last"] >= start_ns) & ((index["rows"] & np.uint64(bit)) != 0)
            for group in np.flatnonzero(near)[::-1].tolist():
                for batch, code in self._group(segment, group, index, start_ns, end_ns):
                    yield batch, place.row(self._tables.get(code))

    def _group(
        self, segment: Segment, group: int, index: NDArray[np.void], start_ns: int, end_ns: int
    ) -> list[tuple[Batch, int]]:
        """Return the batches of one group of records that touch that time, newest first, with their tables' codes."""
        with self._disk:
            if not any(segment is one for one in self._segments):
                return []  # made way meanwhile
            found = []
            for record, payload in segment.records(group, index):
                if record.first_ns < end_ns and record.last_ns >= start_ns:
                    batch = segment.decode(record, payload)
                    if batch is not None:
                        found.append((batch, record.table))
        return found[::-1]


def _known(batch: Batch) -> Batch:
    """Return the readings whose channel the site still has."""
    gone = batch.row < 0
    return batch.take(~gone) if gone.any() else batch


def _records(taken: list[Waiting]) -> Iterator[Waiting]:
    """Yield pieces that make one record each: consecutive numbers, one channel table, within the limit."""
    group: list[Batch] = []
    first = following = size = 0
    table = taken[0].table
    for number, batch, its_table in taken:
        if group and (number != following or its_table is not table or size + len(batch) > RECORD_READINGS_MAX):
            yield from _pieces(Waiting(first, Batch.concat(group), table))
            group, size = [], 0
        if not group:
            first, table = number, its_table
        group.append(batch)
        size += len(batch)
        following = number + len(batch)
    yield from _pieces(Waiting(first, Batch.concat(group), table))


def _pieces(waiting: Waiting) -> Iterator[Waiting]:
    if len(waiting.batch) <= RECORD_READINGS_MAX:
        yield waiting
        return
    for start in range(0, len(waiting.batch), RECORD_READINGS_MAX):
        yield waiting.part(slice(start, start + RECORD_READINGS_MAX))
