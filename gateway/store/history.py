"""The local history: minimum, mean and maximum of every channel by the minute, without any server.

Closed minutes are written as blobs of 512 channels; once an hour is over they are turned into blobs of 32 channels by
60 minutes. So a minute of all channels is a few rows to write, and a week of one channel is 168 rows to read.
"""

import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from gateway.core.errors import StorageError
from gateway.core.model import Batch, Float64, Int64, Quality, UInt8
from gateway.store.database import PAGE_BYTES, Database, is_full, open_database
from gateway.store.disk import Problems
from gateway.store.minutes import MINUTE_NS, Block, Minute, Slots, rows_by

BYTES_MIN: Final = 4 << 20
LATE_MINUTES: Final = 10
"""Readings older than this are left to the spool and the stores."""
EARLY_MINUTES: Final = 5
"""Readings from further in the future have a clock that cannot be believed."""
OPEN_MINUTES: Final = 2
"""Minutes that stay in memory after they have ended, so that most late readings cost no second write."""
WAITING_MINUTES_MAX: Final = 60
BACKFILLED_MAX: Final = 20_000
"""Readings of the past that wait for a flush at the most; more of them are left to the spool and the stores."""
MINUTE_PART: Final = 512
HOUR_PART: Final = 32
HOUR_MINUTES: Final = 60
ROOM_TRIES: Final = 200
_HOUR_SETTLES: Final = LATE_MINUTES + OPEN_MINUTES + 1
_KEY_BITS: Final = 16
_PART_MASK: Final = (1 << _KEY_BITS) - 1

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS minutes (key INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS hours (key INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS channels (key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL)
"""
_TABLES: Final = ("minutes", "hours", "channels", "meta")


@dataclass(frozen=True, slots=True)
class HistoryColumns:
    """One channel by the minute; only minutes with readings, in order.

    Attributes:
        minute_ns: int64[n], starts of the minutes, UTC nanoseconds.
        low: float64[n], minimum; NaN where all readings were BAD.
        mean: float64[n], mean of the readings that were not BAD, to ten digits; NaN where all were.
        high: float64[n], maximum; NaN where all were BAD.
        count: int64[n], readings, BAD ones included.
        bad: int64[n], BAD readings.
        worst: uint8[n], the worst quality.
    """

    minute_ns: Int64
    low: Float64
    mean: Float64
    high: Float64
    count: Int64
    bad: Int64
    worst: UInt8

    def __len__(self) -> int:
        return len(self.minute_ns)


class History:
    """One-minute values in `history.db`, bounded in days and bytes; the oldest hours make way.

    `add` belongs to the event loop and touches memory only; all else blocks and belongs to one worker thread.

    A process that is killed loses the minutes in memory. The spool has their readings: before the first `add`, hand
    every batch of the spool to `replay`; what is in the file already is left out, by `resume_from_ns`.

    Attributes:
        problems: What was found damaged or given up, in words.
        late: Readings ignored because they came more than ten minutes late and not as BACKFILLED, or were too many.
        early: Readings ignored because they are from more than five minutes in the future.
        dropped_hours: Hours that made way because the file or the disk was full.
        lost_minutes: Minutes given up in memory because the disk took none for an hour.
    """

    def __init__(self, database: Database, problems: Problems, days: int, bytes_max: int) -> None:
        self.problems = problems
        self.late = 0
        self.early = 0
        self.lost_minutes = 0
        self.dropped_hours = 0
        self._database = database
        self._days = days
        self._pages_max = (bytes_max - 2 * _wal_bytes(bytes_max)) // PAGE_BYTES
        self._keys: Slots = np.empty(0, np.intp)
        self._key_of: dict[str, int] = {}
        self._unsaved_ids: list[str] = []
        self._stamp: Int64 = np.empty(0, np.int64)
        self._resume_ns = 0
        self._newest_ns = 0
        self._present = 0  # the minute that late and early are counted from; 0 before the first reading
        self._open: dict[int, Minute] = {}
        self._waiting: dict[int, Minute] = {}
        self._writing: dict[int, Minute] = {}
        self._backfilled: list[Batch] = []
        self._memory = threading.Lock()  # minutes and counters: held for moments, never during I/O
        self._disk = threading.RLock()  # the file: held during I/O
        self._closed = False

    @classmethod
    def open(cls, path: Path, channel_ids: Sequence[str], days: int = 400, bytes_max: int = 2 << 30) -> "History":
        """Open a site's history, or a new one; a damaged file is put aside.

        Args:
            path: The database.
            channel_ids: The channel table: the id of row 0, 1, 2 and so on.
            days: How long values are kept.
            bytes_max: Bytes that the file and its log may take.

        Raises:
            StorageError: The folder cannot be used.
            ValueError: `bytes_max` is less than 4 MiB.
        """
        if bytes_max < BYTES_MIN:
            raise ValueError(f"bytes_max {bytes_max}: a history needs {BYTES_MIN} bytes at least")
        problems = Problems()
        database, _ = open_database(
            path, _SCHEMA, problems, synchronous="NORMAL", wal_bytes_max=_wal_bytes(bytes_max), tables=_TABLES
        )
        history = cls(database, problems, days, bytes_max)
        try:
            history._load(channel_ids)
        except BaseException:
            database.close()
            raise
        return history

    def _load(self, ids: Sequence[str]) -> None:
        with self._database.read("reading the channels") as connection:
            self._key_of = dict(connection.execute("SELECT id, key FROM channels").fetchall())
            row = connection.execute("SELECT value FROM meta WHERE name = 'resume_ns'").fetchone()
        self._resume_ns = int(row[0]) if row else 0
        self.change_table(ids)

    def change_table(self, channel_ids: Sequence[str]) -> None:
        """Take further readings by another channel table; what is in memory stays with its channels.

        Event loop; never touches the disk. A channel that is new gets a key of its own, written with the next minute.

        Args:
            channel_ids: The channel table: the id of row 0, 1, 2 and so on.
        """
        with self._memory:
            following = max(self._key_of.values(), default=-1) + 1
            fresh = [name for name in channel_ids if name not in self._key_of]
            self._key_of.update((name, following + place) for place, name in enumerate(fresh))
            self._unsaved_ids = [*self._unsaved_ids, *fresh]
            own = np.array([self._key_of[name] for name in channel_ids], np.intp)
            # Channels that left have rows behind the present ones as long as a minute in memory tells of them.
            self._number_by(np.concatenate([own, np.setdiff1d(self._keys_in_memory(), own)]))

    def _keys_in_memory(self) -> Slots:
        """Return the keys of the channels that have readings in memory."""
        keys = [place.keys[place.block.count[:, 0] > 0] for _, place in self._places()]
        keys += [self._keys[batch.row] for batch in self._backfilled]
        return np.unique(np.concatenate(keys)) if keys else np.empty(0, np.intp)

    def _number_by(self, keys: Slots) -> None:
        """Number rows by these keys from now on, those in memory too; what is being written keeps its own."""
        self._backfilled = [_numbered(batch, self._keys, keys) for batch in self._backfilled]
        self._keys = keys
        self._stamp = np.empty(len(keys), np.int64)
        for minutes in (self._open, self._waiting):
            for minute, place in minutes.items():
                minutes[minute] = place.numbered(keys)

    @property
    def resume_from_ns(self) -> int:
        """Readings older than this are in the file, or too old for it; `replay` leaves them out."""
        return self._resume_ns

    # --- taking ---

    def add(self, batch: Batch) -> None:
        """Take readings into their minutes, by their own time. Event loop; never touches the disk."""
        late = batch.quality == Quality.BACKFILLED
        if late.any():
            self._keep_backfilled(batch.take(late))
            batch = batch.take(~late)
        if not len(batch):
            return
        with self._memory:
            first, last = int(batch.time_ns.min()), int(batch.time_ns.max())
            if first // MINUTE_NS == last // MINUTE_NS:
                self._add_minute(first // MINUTE_NS, batch)
            else:
                minutes = batch.time_ns // MINUTE_NS
                for minute in np.unique(minutes).tolist():
                    self._add_minute(minute, batch.take(minutes == minute))
            if self._present:
                self._newest_ns = max(self._newest_ns, min(last, (self._present + 1) * MINUTE_NS - 1))

    def replay(self, batch: Batch) -> None:
        """Take readings of the spool that the file does not have yet; before the first `add`, oldest first.

        Blocks, since it writes what is complete: however long the file was behind, the memory stays small.

        Raises:
            StorageError: The disk refuses.
        """
        fresh = batch.time_ns >= self._resume_ns
        if not fresh.any():
            return
        rest = batch if fresh.all() else batch.take(fresh)
        minutes = rest.time_ns // MINUTE_NS
        for minute in np.unique(minutes).tolist():
            part = rest.take(minutes == minute)
            with self._memory:
                # A replay knows no late and early: the spool has every age.
                self._present = minute
                self._add_minute(minute, part)
                self._newest_ns = max(self._newest_ns, int(part.time_ns.max()))
            if len(self._waiting) > WAITING_MINUTES_MAX // 2:
                with self._disk:
                    self._write_waiting()
        self._present = 0

    def _keep_backfilled(self, batch: Batch) -> None:
        """Keep what an instrument told of its past until the next flush; what is too much counts as late."""
        with self._memory:
            room = BACKFILLED_MAX - sum(len(part) for part in self._backfilled)
            self._backfilled.append(batch.take(slice(0, max(0, room))))
            self.late += max(0, len(batch) - room)

    def _write_backfilled(self) -> None:
        """Merge readings of the past into their minutes; one transaction for all of them."""
        with self._memory:
            waiting, self._backfilled, keys = Batch.concat(self._backfilled), [], self._keys
        minutes = waiting.time_ns // MINUTE_NS
        present = self._present or int(minutes.max(initial=0))
        wanted = (minutes > present - self._days * 24 * HOUR_MINUTES) & (minutes <= present + EARLY_MINUTES)
        self.late += int(np.count_nonzero(~wanted))
        if not wanted.any():
            return

        def write(connection: sqlite3.Connection) -> None:
            for minute in np.unique(minutes[wanted]).tolist():
                place = Minute(keys)
                place.add(waiting.take(wanted & (minutes == minute)), np.empty(len(keys), np.int64))
                self._write_minute(minute, _by_key(place), self._resume_ns, connection)

        try:
            self._with_room(write, "writing readings of the past")
        except StorageError:
            self._keep_backfilled(_numbered(waiting, keys, self._keys))
            raise

    def _add_minute(self, minute: int, batch: Batch) -> None:
        present = self._present or minute
        if minute > present + EARLY_MINUTES:
            self.early += len(batch)
            return
        if minute < present - LATE_MINUTES:
            self.late += len(batch)
            return
        self._present = max(present, minute)
        place = self._open.get(minute)
        if place is None:
            place = self._open[minute] = Minute(self._keys)
            self._close_minutes(self._present - LATE_MINUTES)
        place.add(batch, self._stamp)

    def _close_minutes(self, before: int) -> None:
        """Have the minutes before that one written; where the disk takes none for an hour, give up the oldest."""
        for minute in [m for m in self._open if m < before]:
            closed = self._open.pop(minute)
            if minute in self._waiting:
                self._waiting[minute].block.merge(closed.block, (slice(None), slice(None)))
            else:
                self._waiting[minute] = closed
        while len(self._waiting) > WAITING_MINUTES_MAX:
            del self._waiting[min(self._waiting)]
            self.lost_minutes += 1

    # --- writing ---

    def flush(self, now_ns: int) -> None:
        """Write the minutes that are over, turn hours that are over into their own form, and drop what is too old.

        Args:
            now_ns: The present UTC time; late and early are counted from it, also when it was set back.

        Raises:
            StorageError: The disk refuses; the minutes stay in memory, the next call tries again.
        """
        minute = now_ns // MINUTE_NS
        with self._memory:
            self._present = minute
            self._close_minutes(minute - OPEN_MINUTES)
        with self._disk:
            self._write_waiting()
            self._write_backfilled()
            self._pack_hours(minute)
            self._drop_old(minute)

    def close(self) -> None:
        """Write everything, the present minutes too, and let go of the file; may be called twice.

        Raises:
            StorageError: The disk refuses; what was in memory is lost with the process.
        """
        if self._closed:
            return
        self._closed = True
        with self._memory:
            self._close_minutes(1 << 62)
        with self._disk:
            try:
                self._write_waiting()
                self._write_backfilled()
            finally:
                self._database.close()

    def _write_waiting(self) -> None:
        """Write closed minutes, oldest first, each with the position that a restart goes on from."""
        while True:
            with self._memory:
                if not self._waiting:
                    return
                minute = min(self._waiting)
                self._writing = {minute: self._waiting.pop(minute)}
            resume_ns = max(self._resume_ns, min((minute + 1) * MINUTE_NS, self._newest_ns + 1))
            unsaved = self._unsaved_ids
            block = _by_key(self._writing[minute])
            try:
                self._with_room(partial(self._write_minute, minute, block, resume_ns), "writing a minute")
            except StorageError:
                with self._memory:
                    self._open[minute], late = self._writing[minute].numbered(self._keys), self._open.get(minute)
                    if late is not None:
                        self._open[minute].block.merge(late.block, (slice(None), slice(None)))
                    self._writing = {}
                    self._close_minutes(self._present - OPEN_MINUTES)
                raise
            with self._memory:
                self._writing = {}
                # A change of the channel table may have brought more meanwhile; `_write_minute` wrote these at least.
                self._unsaved_ids = self._unsaved_ids[len(unsaved) :]
            self._resume_ns = resume_ns

    def _write_minute(self, minute: int, block: Block, resume_ns: int, connection: sqlite3.Connection) -> None:
        ids = [(self._key_of[name], name) for name in self._unsaved_ids]
        connection.executemany("INSERT OR IGNORE INTO channels VALUES (?, ?)", ids)
        for part, start in enumerate(range(0, len(block.low), MINUTE_PART)):
            piece = block.part(slice(start, start + MINUTE_PART))
            if piece.count.any():
                self._merge_into(connection, "minutes", _key(minute, part), piece)
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('resume_ns', ?)", (resume_ns,))

    def _merge_into(self, connection: sqlite3.Connection, table: str, key: int, block: Block) -> None:
        """Write a block, together with what is there under its key already."""
        row = connection.execute(f"SELECT body FROM {table} WHERE key = ?", (key,)).fetchone()  # noqa: S608  # our own names
        there = self._unpack(table, key, row[0]) if row else None
        if there is not None:
            channels = max(len(there.low), len(block.low))
            whole = Block.empty(channels, block.low.shape[1])
            for one in (there, block):
                whole.merge(one, (slice(0, len(one.low)), slice(None)))
            block = whole
        connection.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (key, block.pack()))  # noqa: S608  # as above

    def _unpack(self, table: str, key: int, body: object) -> Block | None:
        """Return a stored block, or None where it is damaged."""
        try:
            return Block.unpack(body if isinstance(body, bytes) else b"")
        except (ValueError, zlib.error) as error:
            self.problems.tell(f"{self._database.path}: {table} {key}: {error}; its values are left out")
            return None

    def _with_room(self, work: Callable[[sqlite3.Connection], None], doing: str) -> None:
        """Do something in a transaction; where the file or the disk is full, the oldest hours make way for it.

        Raises:
            StorageError: The disk refuses, or is full and nothing more can be deleted.
        """
        for _ in range(ROOM_TRIES):
            try:
                with self._database.write(doing) as connection:
                    connection.execute(f"PRAGMA max_page_count={self._pages_max}")
                    work(connection)
            except StorageError as error:
                if not isinstance(error.__cause__, sqlite3.Error) or not is_full(error.__cause__):
                    raise
                if not self._drop_oldest():
                    raise
            else:
                return
        raise StorageError(f"{self._database.path}: {doing}: no room after {ROOM_TRIES} of the oldest hours made way")

    def _drop_oldest(self) -> bool:
        """Delete the oldest hour; returns whether there was one."""
        with self._database.write("making room") as connection:
            for table in ("hours", "minutes"):
                row = connection.execute(f"SELECT MIN(key) FROM {table}").fetchone()  # noqa: S608  # our own names
                if row[0] is not None:
                    end = (row[0] >> _KEY_BITS) + 1
                    connection.execute(f"DELETE FROM {table} WHERE key < ?", (_key(end, 0),))  # noqa: S608  # as above
                    self.dropped_hours += table == "hours"
                    return True
        return False

    def _pack_hours(self, present: int) -> None:
        """Turn the minutes of hours that are over, and will hardly get late readings, into blocks by the hour."""
        settled = (present - _HOUR_SETTLES) // HOUR_MINUTES
        while True:
            with self._database.read("looking for hours") as connection:
                row = connection.execute("SELECT MIN(key) FROM minutes").fetchone()
            hour = (row[0] >> _KEY_BITS) // HOUR_MINUTES if row[0] is not None else settled
            if hour >= settled:
                return
            with self._database.read("looking for channels") as connection:
                keys = connection.execute(
                    "SELECT key FROM minutes WHERE key >= ? AND key < ?",
                    (_key(hour * HOUR_MINUTES, 0), _key((hour + 1) * HOUR_MINUTES, 0)),
                ).fetchall()
            for part in sorted({key & _PART_MASK for (key,) in keys}):
                self._with_room(partial(self._pack_part, hour, part), "packing an hour")

    def _pack_part(self, hour: int, part: int, connection: sqlite3.Connection) -> None:
        """Turn 512 channels of one hour into 16 blocks."""
        keys = [_key(hour * HOUR_MINUTES + minute, part) for minute in range(HOUR_MINUTES)]
        whole = Block.empty(MINUTE_PART, HOUR_MINUTES)
        for minute, key in enumerate(keys):
            row = connection.execute("SELECT body FROM minutes WHERE key = ?", (key,)).fetchone()
            block = self._unpack("minutes", key, row[0]) if row else None
            if block is not None:
                whole.merge(block, (slice(0, len(block.low)), slice(minute, minute + 1)))
        first = part * MINUTE_PART // HOUR_PART
        for place in range(MINUTE_PART // HOUR_PART):
            piece = whole.part(slice(place * HOUR_PART, (place + 1) * HOUR_PART))
            if piece.count.any():
                self._merge_into(connection, "hours", _key(hour, first + place), piece)
        connection.executemany("DELETE FROM minutes WHERE key = ?", ((key,) for key in keys))

    def _drop_old(self, present: int) -> None:
        hour = present // HOUR_MINUTES - self._days * 24
        with self._database.read("looking for old hours") as connection:
            row = connection.execute("SELECT MIN(key) FROM hours").fetchone()
        if row[0] is not None and row[0] >> _KEY_BITS < hour:
            with self._database.write("dropping old hours") as connection:
                connection.execute("DELETE FROM hours WHERE key < ?", (_key(hour, 0),))

    # --- reading ---

    def query(self, channel_id: str, start_ns: int, end_ns: int) -> HistoryColumns:
        """Return a channel's minutes that begin in `[start_ns, end_ns)`, those in memory included.

        A channel that the site no longer has is found by its id as long as its values are kept; one that never was
        has no minutes.

        Raises:
            StorageError: The disk refuses.
        """
        start, end = -(-start_ns // MINUTE_NS), -(-end_ns // MINUTE_NS)
        key = self._key_of.get(channel_id)
        if key is None:
            return _columns(Block.empty(1, 0), 0)
        with self._disk:
            with self._memory:
                pieces = [(m, self._in_memory(channel_id, place)) for m, place in self._places() if start <= m < end]
            with self._database.read("reading the history") as connection:
                pieces += self._stored_minutes(connection, key, start, end)
                pieces += self._stored_hours(connection, key, start, end)
        if not pieces:
            return _columns(Block.empty(1, 0), 0)
        first = max(start, min(minute for minute, _ in pieces))
        last = min(end, max(minute + block.low.shape[1] for minute, block in pieces))
        whole = Block.empty(1, last - first)
        for minute, block in pieces:
            cut = block.part(slice(None), slice(max(0, first - minute), max(0, last - minute)))
            place = max(0, minute - first)
            whole.merge(cut, (slice(None), slice(place, place + cut.low.shape[1])))
        return _columns(whole, first)

    def _places(self) -> list[tuple[int, Minute]]:
        return [*self._writing.items(), *self._waiting.items(), *self._open.items()]

    def _in_memory(self, channel_id: str, place: Minute) -> Block:
        """Return a copy of one channel's values of a minute in memory."""
        rows = np.flatnonzero(place.keys == self._key_of[channel_id])
        copy = Block.empty(1, 1)
        for row in rows.tolist():
            copy.merge(place.block.part(slice(row, row + 1)), (slice(None), slice(None)))
        return copy

    def _stored_minutes(
        self, connection: sqlite3.Connection, key: int, start: int, end: int
    ) -> Iterator[tuple[int, Block]]:
        part, place = divmod(key, MINUTE_PART)
        rows = connection.execute(
            "SELECT key, body FROM minutes WHERE key >= ? AND key < ? AND key & ? = ?",
            (_key(start, 0), _key(end, 0), _PART_MASK, part),
        )
        for at, body in rows:
            block = self._unpack("minutes", at, body)
            if block is not None and place < len(block.low):
                yield at >> _KEY_BITS, block.part(slice(place, place + 1))

    def _stored_hours(
        self, connection: sqlite3.Connection, key: int, start: int, end: int
    ) -> Iterator[tuple[int, Block]]:
        part, place = divmod(key, HOUR_PART)
        bounds = connection.execute("SELECT MIN(key), MAX(key) FROM hours").fetchone()
        if bounds[0] is None:
            return
        first = max(start // HOUR_MINUTES, bounds[0] >> _KEY_BITS)
        last = min((end - 1) // HOUR_MINUTES, bounds[1] >> _KEY_BITS)
        for hour in range(first, last + 1):
            at = _key(hour, part)
            row = connection.execute("SELECT body FROM hours WHERE key = ?", (at,)).fetchone()
            block = self._unpack("hours", at, row[0]) if row else None
            if block is not None and place < len(block.low):
                yield hour * HOUR_MINUTES, block.part(slice(place, place + 1))


def _by_key(place: Minute) -> Block:
    """Return a minute's values by the channels' keys in the file instead of their rows."""
    keys = place.keys
    width = int(keys.max(initial=-1)) + 1
    if width == len(keys) and bool((keys == np.arange(width)).all()):
        return place.block
    whole = Block.empty(width, 1)
    whole.merge(place.block, (keys, slice(None)))
    return whole


def _numbered(batch: Batch, old: Slots, new: Slots) -> Batch:
    """Return readings with their rows by other keys; those of channels without a row there are left out."""
    if old is new:
        return batch
    rows = rows_by(old, new)[batch.row]
    return Batch(rows.astype(np.int32), batch.time_ns, batch.value, batch.quality).take(rows >= 0)


def _key(time: int, part: int) -> int:
    """Return the key of a part of a minute or hour; keys sort by time first."""
    return min(max(time, 0), (1 << 46) - 1) << _KEY_BITS | part


def _wal_bytes(bytes_max: int) -> int:
    return min(4 << 20, bytes_max // 8)


def _columns(block: Block, first: int) -> HistoryColumns:
    """Return one channel's block as columns, without the minutes that have no readings."""
    at = np.flatnonzero(block.count[0])
    real = (block.count[0] - block.bad[0])[at]
    low = np.where(real > 0, block.low[0][at], np.nan)
    high = np.where(real > 0, block.high[0][at], np.nan)
    mean = np.where(real > 0, block.total[0][at] / np.maximum(real, 1), np.nan)
    # The mean is kept to ten digits: of equal values it must not come out above the highest.
    mean = np.clip(mean, low, high)
    minutes = (at.astype(np.int64) + first) * MINUTE_NS
    return HistoryColumns(minutes, low, mean, high, block.count[0][at], block.bad[0][at], block.worst[0][at])
