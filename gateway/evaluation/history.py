"""A site's own past as a recording: readings from the spool, and before they begin, the minutes of the local history.

The spool is read as it lies on the disk, also while a gateway runs and writes to it: nothing is changed, and a record
that is being written is not yet seen. The local history is a database that only one process uses; while a gateway runs
it is left alone, which is told.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from gateway.core.errors import StorageError
from gateway.core.model import BAD_FROM, Batch, Channel, Quality
from gateway.disk import FolderLock
from gateway.evaluation.judge import inside
from gateway.evaluation.recording import READINGS_MAX, Recording, RecordingError, Truth
from gateway.store.disk import Problems
from gateway.store.history import History, HistoryColumns
from gateway.store.segment import SUFFIX, Segment
from gateway.store.table import row_map

TOGETHER_S: Final = 1.0
"""Readings of a second travel together: a running gateway takes what has arrived, however little that is."""
_QUARTER_NS: Final = 15_000_000_000


@dataclass(frozen=True, slots=True)
class Past:
    """What a site remembers.

    Attributes:
        recording: Its readings; the truth is that nothing happened but what is excepted.
        remarks: What is missing or approximate, in words.
    """

    recording: Recording
    remarks: tuple[str, ...]


def past(
    folder: Path, channels: Sequence[Channel], start_ns: int, end_ns: int, excepted: Sequence[tuple[int, int]] = ()
) -> Past:
    """Read a site's past.

    Args:
        folder: The data folder.
        channels: The site's channels.
        start_ns: From when on.
        end_ns: Until when, not included.
        excepted: Times that are to be left out of every count: a real leak, a test of the alarms.

    Raises:
        RecordingError: Nothing is kept of that time, or too much.
    """
    problems = Problems()
    raw = _ordered(list(_spooled(folder / "spool", channels, start_ns, end_ns, problems)))
    begins_ns = int(raw.time_ns[0]) if len(raw) else end_ns
    remarks = list(problems)
    minutes = Batch.concat([])
    if begins_ns > start_ns + 2 * 60 * 1_000_000_000 and (folder / "history.db").is_file():
        minutes, remark = _minutes(folder, channels, start_ns, begins_ns)
        remarks.append(remark)
    whole = Batch.concat([minutes, raw])
    if not len(whole):
        raise RecordingError(f"{folder}: nothing is kept of that time")
    truths = tuple(Truth("excepted", begin, end, counted=False) for begin, end in sorted(excepted))
    recording = Recording(
        name=folder.name,
        format="site",
        channels=tuple(replace(channel, row=k) for k, channel in enumerate(channels)),
        row=whole.row,
        time_ns=whole.time_ns,
        value=whole.value,
        quality=whole.quality,
        truths=truths,
        together_s=TOGETHER_S,
    )
    return Past(recording, tuple(filter(None, remarks)))


def of_channels(recording: Recording, wanted: Sequence[Channel]) -> Recording:
    """Return the part of a recording that some channels are, by their ids."""
    ids = {channel.id for channel in wanted}
    kept = [channel for channel in recording.channels if channel.id in ids]
    rows = np.full(len(recording.channels), -1, np.int32)
    rows[[channel.row for channel in kept]] = np.arange(len(kept), dtype=np.int32)
    mine = rows[recording.row] >= 0
    return replace(
        recording,
        channels=tuple(replace(channel, row=k) for k, channel in enumerate(kept)),
        row=rows[recording.row[mine]],
        time_ns=recording.time_ns[mine],
        value=recording.value[mine],
        quality=recording.quality[mine],
    )


def during(recording: Recording, windows: Sequence[tuple[int, int]]) -> Recording:
    """Return the readings that lie in any of some windows."""
    mine = inside(recording.time_ns, windows)
    columns = {name: getattr(recording, name)[mine] for name in ("row", "time_ns", "value", "quality")}
    return replace(recording, **columns)


def newest_ns(folder: Path) -> int:
    """Return the time of the newest reading that the spool holds. Raises RecordingError where it holds none."""
    for path in sorted((folder / "spool").glob(f"*{SUFFIX}"), reverse=True):
        index = _segment(path, Problems()).index()
        if len(index):
            return int(index["last"].max())
    raise RecordingError(f"{folder}: its spool holds no readings")


def _spooled(
    folder: Path, channels: Sequence[Channel], start_ns: int, end_ns: int, problems: Problems
) -> Iterator[Batch]:
    ids = [channel.id for channel in channels]
    found = 0
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        segment = _segment(path, problems)
        index = segment.index()
        if segment.table is None:
            continue
        rows = row_map(segment.table.ids, ids)
        for group in np.flatnonzero((index["last"] >= start_ns) & (index["first"] < end_ns)).tolist():
            for record, payload in segment.records(group, index):
                batch = segment.decode(record, payload)
                if batch is not None:
                    batch = Batch(rows[batch.row], batch.time_ns, batch.value, batch.quality)
                    inside = (batch.row >= 0) & (batch.time_ns >= start_ns) & (batch.time_ns < end_ns)
                    kept = batch.take(inside & (batch.quality != Quality.BACKFILLED))
                    found += len(kept)
                    yield kept
        if found > READINGS_MAX:
            raise RecordingError(
                f"{folder}: more than {READINGS_MAX} readings; take a shorter time with --from and --to"
            )


def _segment(path: Path, problems: Problems) -> Segment:
    try:
        return Segment.load(path, problems)
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path}: cannot be read: {error}") from error


def _ordered(parts: Sequence[Batch]) -> Batch:
    """Return readings in the order of time: an instrument that pushes may have told some late."""
    whole = Batch.concat(parts)
    return whole.take(np.argsort(whole.time_ns, kind="stable"))


def _minutes(folder: Path, channels: Sequence[Channel], start_ns: int, end_ns: int) -> tuple[Batch, str]:
    """Return the least and the greatest value of each minute as two readings, and what to say of that."""
    try:
        lock = FolderLock(folder)
    except StorageError:
        return Batch.concat([]), "a gateway is running, so the minutes before the spool's first reading are left out"
    try:
        with closing(History.open(folder / "history.db", [channel.id for channel in channels])) as history:
            parts = [_extremes(c.row, history.query(c.id, start_ns, end_ns)) for c in channels]
    finally:
        lock.release()
    whole = _ordered(parts)
    said = "before the spool's first reading only the least and the greatest value of each minute are known"
    return whole, said if len(whole) else ""


def _extremes(row: int, minutes: HistoryColumns) -> Batch:
    """Return two readings a minute, a quarter from its beginning and from its end; one BAD one where all were."""
    bad = np.isnan(minutes.low)
    value = np.column_stack([minutes.low, minutes.high]).reshape(-1)
    time_ns = np.column_stack([minutes.minute_ns + _QUARTER_NS, minutes.minute_ns + 3 * _QUARTER_NS]).reshape(-1)
    quality = np.repeat(np.where(bad, BAD_FROM, np.uint8(Quality.GOOD)), 2)
    return Batch.of(np.full(len(value), row), time_ns, value, quality)
