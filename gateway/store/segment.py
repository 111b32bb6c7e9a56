"""One file of the spool: a header with the channel table, then records of readings, then an index when it is full.

The file has its full size from the start, filled with noughts, and is used again when its readings are too old: a
write that changes no size and no block map costs the card one block instead of four. Records are recognised by the
segment's own number, so that what an earlier use left behind is never taken for readings.
"""

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.core.model import Batch, Int32
from gateway.store.columns import DamagedError, decode, encode
from gateway.store.disk import Problems, sync_folder
from gateway.store.table import Table

SUFFIX = ".seg"
GROUP_BYTES = 16 << 10
RECORD_READINGS_MAX = 1 << 16

_HEADER_MAGIC, _RECORD_MAGIC, _TRAILER_MAGIC = b"HzS1", b"HzR1", b"HzE1"
_HEADER = struct.Struct("<4sIqqqII")  # magic, crc, first number, dropped, oldest, table, length of the table
_RECORD = struct.Struct("<4sIqIIIqqqQq")  # magic, crc, segment, table, length, readings, number, times, rows, dropped
_TRAILER = struct.Struct("<4sIqIIqqq")  # magic, crc, segment, end, length of the index, readings, number, dropped
_CRC_FROM = 8
_INDEX = np.dtype([("offset", "<u4"), ("number", "<i8"), ("first", "<i8"), ("last", "<i8"), ("rows", "<u8")])
_ZEROS = bytes(1 << 20)


class Record(NamedTuple):
    """What stands in front of each record; `number` is that of its first reading, times are in nanoseconds.

    `rows` has bit `row % 64` set for each row that occurs, so that a search for one channel can pass most records by.
    """

    magic: bytes
    crc: int
    segment: int
    table: int
    length: int
    readings: int
    number: int
    first_ns: int
    last_ns: int
    rows: int
    dropped: int

    @property
    def next_number(self) -> int:
        """The number after its last reading."""
        return self.number + self.readings


def file_name(number: int) -> str:
    """Return the name of the segment whose first reading has that number; names sort as numbers do."""
    return f"{number:020d}{SUFFIX}"


def _row_bits(row: Int32) -> int:
    return int(np.bitwise_or.reduce(np.left_shift(np.uint64(1), (row & 63).astype(np.uint64))))


class Segment:
    """One segment; used by one thread at a time.

    Attributes:
        number: Number of its first reading, which its name also holds.
        next_number: Number after its last reading.
        readings: How many readings it holds.
        size: Bytes the file takes on the disk.
        dropped: Readings the spool had lost when the last record was written.
        oldest: Number of the spool's oldest reading when the segment was made.
        table: Its channel table, None where its header is damaged.
        sealed: It takes no more records.
    """

    def __init__(self, path: Path, problems: Problems) -> None:
        self.path = path
        self.number = int(path.name.removesuffix(SUFFIX))
        self.next_number = self.number
        self.readings = 0
        self.size = 0
        self.dropped = 0
        self.oldest = 0
        self.table: Table | None = None
        self.sealed = False
        self._problems = problems
        self._start = 0
        self._end = 0
        self._index: list[tuple[int, int, int, int, int]] = []
        self._sealed_index: NDArray[np.void] | None = None
        self._written: list[tuple[int, Record]] = []
        self._handle = -1

    # --- making and opening ---

    @classmethod
    def create(
        cls, path: Path, table: Table, *, dropped: int, oldest: int, size: int, worn: Path | None, problems: Problems
    ) -> "Segment":
        """Make a segment.

        Args:
            path: Its file, named by `file_name`.
            table: The channel table of its readings.
            dropped: Readings the spool has lost so far.
            oldest: Number of the oldest reading still kept.
            size: Bytes of the file.
            worn: A file of that size to be used again, or None.
            problems: Where damage is told.

        Raises:
            OSError: The disk refuses; nothing is left behind, the worn file neither.
        """
        try:
            if worn is not None:
                # The folder first: were the header first, a power cut could leave new readings under the old name.
                worn.rename(path)
            else:
                _fill(path, size)
            sync_folder(path.parent)
            segment = cls(path, problems)
            segment.table, segment.dropped, segment.oldest, segment.size = table, dropped, oldest, size
            segment._write_header()
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        return segment

    def _write_header(self) -> None:
        assert self.table is not None
        rest = struct.pack("<qqqII", self.number, self.dropped, self.oldest, self.table.code, len(self.table.body))
        rest += self.table.body
        head = _HEADER_MAGIC + struct.pack("<I", zlib.crc32(rest)) + rest
        _write_all(self._writer(), head, 0)
        os.fdatasync(self._writer())
        self._start = self._end = len(head)

    @classmethod
    def load(cls, path: Path, problems: Problems) -> "Segment":
        """Open a segment that is there; damage is told, never raised.

        Raises:
            OSError: The file cannot be opened at all.
            ValueError: Its name is none of ours.
        """
        segment = cls(path, problems)
        segment.size = path.stat().st_size
        segment._load_header()
        if not segment._load_trailer():
            segment._recover()
        return segment

    def _load_header(self) -> None:
        head = self._bytes(0, _HEADER.size)
        if len(head) == _HEADER.size:
            magic, crc, number, dropped, oldest, code, length = _HEADER.unpack(head)
            body = self._bytes(_HEADER.size, min(length, self.size))
            if magic == _HEADER_MAGIC and number == self.number and crc == zlib.crc32(head[_CRC_FROM:] + body):
                self.table = Table(tuple(json.loads(zlib.decompress(body))), body, code)
                self.dropped, self.oldest, self._start = dropped, oldest, _HEADER.size + length
        self._end = self._start

    def _load_trailer(self) -> bool:
        """Take the index of a full segment, so that a start need not read whole segments."""
        tail = self._bytes(self.size - _TRAILER.size, _TRAILER.size) if self.size >= _TRAILER.size else b""
        if len(tail) < _TRAILER.size:
            return False
        magic, crc, number, end, length, readings, following, dropped = _TRAILER.unpack(tail)
        if magic != _TRAILER_MAGIC or number != self.number or length > self.size:
            return False
        packed = self._bytes(end, length)
        if crc != zlib.crc32(tail[_CRC_FROM:] + packed):
            return False
        self._sealed_index = np.frombuffer(zlib.decompress(packed), _INDEX)
        self._end, self.readings, self.next_number, self.sealed = end, readings, following, True
        self.dropped = max(self.dropped, dropped)
        return True

    def _recover(self) -> None:
        """Find all whole records of a segment that was in use when the process ended."""
        data = self._bytes(self._start, self.size - self._start)
        for offset, record, _ in self._walk(data, self._start):
            self._take(offset, record)

    # --- writing ---

    def put(self, batch: Batch, number: int, dropped: int) -> bool:
        """Write a record behind the last one; it counts only after `commit`.

        Returns:
            False where the record has no room left; nothing was written then.

        Raises:
            OSError: The disk refuses.
        """
        payload = encode(batch)
        offset = self._written[-1][0] + _RECORD.size + self._written[-1][1].length if self._written else self._end
        index = (len(self._index) + len(self._written) + 1) * _INDEX.itemsize + 64
        if (
            self.sealed
            or self.table is None
            or offset + _RECORD.size + len(payload) + index + _TRAILER.size > self.size
        ):
            return False
        times = batch.time_ns
        rest = struct.pack(
            "<qIIIqqqQq", self.number, self.table.code, len(payload), len(batch), number,
            int(times.min()), int(times.max()), _row_bits(batch.row), dropped,
        )  # fmt: skip
        crc = zlib.crc32(payload, zlib.crc32(rest))
        head = _RECORD_MAGIC + struct.pack("<I", crc) + rest
        _write_all(self._writer(), head + payload, offset)
        self._written.append((offset, Record._make(_RECORD.unpack(head))))
        return True

    def commit(self) -> None:
        """Make sure that all written records are on disk.

        Raises:
            OSError: They may not be; they do not count, and the next `put` writes over them.
        """
        try:
            if self._written:
                os.fdatasync(self._writer())
        except OSError:
            self.rollback()
            raise
        for offset, record in self._written:
            self._take(offset, record)
        self._written.clear()

    def rollback(self) -> None:
        """Forget what was written since the last `commit`, and the file handle, which may be of a broken disk."""
        self._written.clear()
        self.release()

    def seal(self) -> None:
        """Write the index and take no more records; a segment with much room left gives it back to the disk.

        Raises:
            OSError: The disk refuses; the segment stays readable, a start will have to read all of it.
        """
        self.commit()
        index = np.array(self._index, _INDEX)
        packed = zlib.compress(index.tobytes(), 6)
        needed = self._end + len(packed) + _TRAILER.size
        if needed < self.size - self.size // 8:
            os.ftruncate(self._writer(), needed)
            self.size = needed
        rest = struct.pack(
            "<qIIqqq", self.number, self._end, len(packed), self.readings, self.next_number, self.dropped
        )
        tail = _TRAILER_MAGIC + struct.pack("<I", zlib.crc32(rest + packed)) + rest
        _write_all(self._writer(), packed, self._end)
        _write_all(self._writer(), tail, self.size - _TRAILER.size)
        os.fdatasync(self._writer())
        self.sealed, self._sealed_index = True, index
        self._index = []
        self.release()

    def release(self) -> None:
        """Close the file until it is needed again."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            with contextlib.suppress(OSError):
                os.close(handle)

    def _take(self, offset: int, record: Record) -> None:
        """Count a record that is on disk."""
        self._end = offset + _RECORD.size + record.length
        self.next_number = record.next_number
        self.readings += record.readings
        self.dropped = max(self.dropped, record.dropped)
        if self._index and offset - self._index[-1][0] < GROUP_BYTES:
            place, number, first, last, rows = self._index[-1]
            self._index[-1] = (
                place,
                number,
                min(first, record.first_ns),
                max(last, record.last_ns),
                rows | record.rows,
            )
        else:
            self._index.append((offset, record.number, record.first_ns, record.last_ns, record.rows))

    # --- reading ---

    def index(self) -> NDArray[np.void]:
        """Return the groups of neighbouring records: offset, first number, first and last time, rows."""
        return self._sealed_index if self._sealed_index is not None else np.array(self._index, _INDEX)

    def records(self, group: int, index: NDArray[np.void]) -> Iterator[tuple[Record, memoryview]]:
        """Yield the whole records of one group; what is damaged is told and passed over."""
        start = int(index["offset"][group])
        end = int(index["offset"][group + 1]) if group + 1 < len(index) else self._end
        try:
            data = self._bytes(start, end - start)
        except OSError as error:
            self._problems.tell(f"{self.path}: bytes {start} to {end} cannot be read: {error.strerror}")
            return
        for _, record, payload in self._walk(data, start):
            yield record, payload

    def decode(self, record: Record, payload: memoryview) -> Batch | None:
        """Return a record's readings with the rows of its own table, or None where its columns make no sense."""
        try:
            return decode(payload, record.readings)
        except DamagedError as error:
            self._problems.tell(f"{self.path}: readings from {record.number}: {error}")
            return None

    def _walk(self, data: bytes, base: int) -> Iterator[tuple[int, Record, memoryview]]:
        """Yield (offset, record, payload) for each whole record in `data`, finding the next one after damage."""
        view, at = memoryview(data), 0
        while at + _RECORD.size <= len(data):
            record = self._record_at(view, at)
            if record is None:
                found = self._next_record(data, view, at + 1)
                if found < 0:
                    self._tell_tail(data, at, base)
                    return
                self._problems.tell(f"{self.path}: {found - at} bytes at {base + at} are damaged; passed over")
                at = found
                continue
            end = at + _RECORD.size + record.length
            yield base + at, record, view[at + _RECORD.size : end]
            at = end

    def _record_at(self, view: memoryview, at: int) -> Record | None:
        """Return the record that begins at `at`, or None where none does or its CRC does not fit."""
        record = Record._make(_RECORD.unpack_from(view, at))
        end = at + _RECORD.size + record.length
        if record.magic != _RECORD_MAGIC or record.segment != self.number or end > len(view):
            return None
        if not 0 < record.readings <= RECORD_READINGS_MAX:
            return None
        return record if zlib.crc32(view[at + _CRC_FROM : end]) == record.crc else None

    def _next_record(self, data: bytes, view: memoryview, at: int) -> int:
        """Return where the next whole record begins, or -1: one bad record must not cost those behind it."""
        while (at := data.find(_RECORD_MAGIC, at)) >= 0:
            if at + _RECORD.size <= len(data) and self._record_at(view, at) is not None:
                return at
            at += 1
        return -1

    def _tell_tail(self, data: bytes, at: int, base: int) -> None:
        """Say so where a record was begun and not finished; noughts and leftovers of an earlier use are no news."""
        if data[at : at + 4] == _RECORD_MAGIC and Record._make(_RECORD.unpack_from(data, at)).segment == self.number:
            self._problems.tell(f"{self.path}: the record at {base + at} is torn; its readings are lost")

    # --- bytes ---

    def _bytes(self, start: int, length: int) -> bytes:
        with self._open(os.O_RDONLY) as handle:
            parts: list[bytes] = []
            while length > 0 and (part := os.pread(handle, length, start)):
                parts.append(part)
                start += len(part)
                length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @contextlib.contextmanager
    def _open(self, flags: int) -> Iterator[int]:
        if self._handle >= 0:
            yield self._handle
            return
        handle = os.open(self.path, flags | os.O_CLOEXEC)
        try:
            yield handle
        finally:
            os.close(handle)

    def _writer(self) -> int:
        if self._handle < 0:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        return self._handle


def _write_all(handle: int, data: bytes, offset: int) -> None:
    """Write all of `data`; a disk that takes only a part of it is full and says so on the next try."""
    while data:
        done = os.pwrite(handle, data, offset)
        data, offset = data[done:], offset + done


def _fill(path: Path, size: int) -> None:
    """Make a file of noughts, on disk, or none at all."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        for at in range(0, size, len(_ZEROS)):
            _write_all(handle, _ZEROS[: size - at], at)
        os.fsync(handle)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
