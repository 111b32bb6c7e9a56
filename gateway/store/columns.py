"""Readings as few bytes: exact columns of a batch, each in the narrowest form that gives every bit back.

Poll replies have one time for many neighbouring rows, and most instruments speak integers with a decimal point, so
runs and scaled integers take two to three bytes a reading where the plain columns take 21. What fits no such form is
stored as it is: nothing is ever rounded.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from gateway.core.model import BAD_FROM, Batch, Float64, Int32, Int64, UInt8

_INTS = struct.Struct("<BI")
_WIDTHS = (np.dtype("<i1"), np.dtype("<i2"), np.dtype("<i4"), np.dtype("<i8"))
_LIMITS = (1 << 7, 1 << 15, 1 << 31)
_TIME_STEPS = (1_000_000_000, 1_000_000, 1_000)

_PLAIN, _SINGLE, _SCALED = 0, 1, 2
_VALUES = struct.Struct("<BBI")  # form, candidate, exceptions
_DECIMALS = np.array([1.0, 10.0, 100.0, 1_000.0, 10_000.0])
# A driver's `raw * 0.1` and a parsed "12.3" differ in the last bit, so both ways back are candidates.
_FACTORS = np.array([0.1, 0.01, 0.001])
_SCALES = np.concatenate([_DECIMALS, 1.0 / _FACTORS])
_PROBES = 32
_INT_MAX = float(1 << 31)


class DamagedError(ValueError):
    """Bytes that are no columns; the record that holds them is given up."""


def encode(batch: Batch) -> bytes:
    """Return a batch of at least one reading as bytes; `decode` gives the same columns back, bit by bit.

    The values of BAD readings are not kept: they are NaN by the batch's own law.
    """
    real = batch.quality < BAD_FROM
    values = batch.value if real.all() else batch.value[real]
    return b"".join((_encode_quality(batch.quality), _encode_rows(batch.row), _encode_times(batch.time_ns),
                     _encode_values(values)))  # fmt: skip


def decode(data: bytes | memoryview, count: int) -> Batch:
    """Return the batch of `count` readings that `encode` was given.

    Raises:
        DamagedError: The bytes are not what `encode` returns for so many readings.
    """
    try:
        with np.errstate(all="ignore"):
            quality, at = _decode_quality(data, 0, count)
            rows, at = _decode_rows(data, at, count)
            times, at = _decode_times(data, at, count)
            real = quality < BAD_FROM
            values, at = _decode_values(data, at, int(real.sum()))
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        raise DamagedError(f"{count} readings: {error}") from error
    if len(values) == count:
        return Batch(rows, times, values, quality)
    column = np.full(count, np.nan)
    column[real] = values
    return Batch(rows, times, column, quality)


def _pack(values: Int64) -> bytes:
    """Return integers in the narrowest width that holds them all, behind width and count."""
    if not len(values):
        return _INTS.pack(0, 0)
    low, high = int(values.min()), int(values.max())
    code = sum(not (-limit <= low and high < limit) for limit in _LIMITS)
    return _INTS.pack(code, len(values)) + values.astype(_WIDTHS[code]).tobytes()


def _unpack(data: bytes | memoryview, at: int) -> tuple[Int64, int]:
    code, count = _INTS.unpack_from(data, at)
    at += _INTS.size
    width = _WIDTHS[code]
    return np.frombuffer(data, width, count, at).astype(np.int64), at + count * width.itemsize


def _starts(broken: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return where runs begin, given for each neighbouring pair whether a new run begins between them."""
    return np.concatenate([np.zeros(1, np.intp), np.flatnonzero(broken) + 1])


def _lengths(starts: NDArray[np.intp], count: int) -> Int64:
    """Return the lengths of the runs; an empty array says that every run is one reading long."""
    if len(starts) == count:
        return np.empty(0, np.int64)
    return np.diff(starts, append=count).astype(np.int64)


def _spread(values: NDArray[np.generic], lengths: Int64, count: int) -> NDArray[np.generic]:
    """Return each value as often as its run is long."""
    if len(lengths):
        if len(lengths) != len(values) or lengths.min() < 1 or int(lengths.sum()) != count:
            raise DamagedError("runs do not add up")
        return np.repeat(values, lengths)
    if len(values) != count:
        raise DamagedError(f"{len(values)} values")
    return values


def _encode_quality(quality: UInt8) -> bytes:
    if not quality.any():
        return b"\0"
    starts = _starts(quality[1:] != quality[:-1])
    return b"\1" + _pack(_lengths(starts, len(quality))) + quality[starts].tobytes()


def _decode_quality(data: bytes | memoryview, at: int, count: int) -> tuple[UInt8, int]:
    if data[at] == 0:
        return np.zeros(count, np.uint8), at + 1
    lengths, at = _unpack(data, at + 1)
    runs = len(lengths) or count
    codes = np.frombuffer(data, np.uint8, runs, at)
    return _spread(codes, lengths, count).astype(np.uint8), at + runs


def _encode_rows(row: Int32) -> bytes:
    """Rows as runs of neighbours: where each begins and how long it is."""
    starts = _starts(np.diff(row) != 1)
    return _pack(row[starts].astype(np.int64)) + _pack(_lengths(starts, len(row)))


def _decode_rows(data: bytes | memoryview, at: int, count: int) -> tuple[Int32, int]:
    firsts, at = _unpack(data, at)
    lengths, at = _unpack(data, at)
    rows = _spread(firsts, lengths, count).astype(np.int32)
    if len(lengths):
        ends = np.cumsum(lengths)
        rows += (np.arange(count) - np.repeat(ends - lengths, lengths)).astype(np.int32)
    return rows, at


def _encode_times(times: Int64) -> bytes:
    """Times as runs of equal ones: the first, then the steps in the coarsest unit that divides them all."""
    starts = _starts(times[1:] != times[:-1])
    steps = np.diff(times[starts])
    unit = next((u for u in _TIME_STEPS if len(steps) and not (steps % u).any()), 1)
    head = struct.pack("<qI", int(times[0]), unit)
    return head + _pack(steps // unit if unit > 1 else steps) + _pack(_lengths(starts, len(times)))


def _decode_times(data: bytes | memoryview, at: int, count: int) -> tuple[Int64, int]:
    first, unit = struct.unpack_from("<qI", data, at)
    steps, at = _unpack(data, at + 12)
    lengths, at = _unpack(data, at)
    moments = np.concatenate([np.array([first], np.int64), steps * unit]).cumsum()
    return _spread(moments, lengths, count).astype(np.int64), at


def _restore(numbers: Float64 | NDArray[np.generic], candidate: int) -> Float64:
    """Return scaled integers as the values they stand for."""
    floats = numbers.astype(np.float64)
    if candidate == 0:
        return floats
    if candidate < len(_DECIMALS):
        return np.asarray(floats / _DECIMALS[candidate], np.float64)
    return np.asarray(floats * _FACTORS[candidate - len(_DECIMALS)], np.float64)


def _same(left: Float64, right: Float64) -> NDArray[np.bool_]:
    """Compare bit by bit: minus nought is not nought, and a NaN is itself."""
    return np.asarray(left.view(np.int64) == right.view(np.int64))


def _whole(values: Float64, candidate: int) -> Int64:
    """Return the integers that might stand for `values`; nonsense where none does."""
    scaled = np.rint(values * _SCALES[candidate])
    return np.where(np.abs(scaled) < _INT_MAX, scaled, 0.0).astype(np.int64)


def _candidate(values: Float64) -> int:
    """Return the scale that gives most of a few probes back exactly, or -1 where none gives three quarters."""
    probes = np.ascontiguousarray(values[:: max(1, len(values) // _PROBES)][:_PROBES])
    whole = np.rint(probes * _SCALES[:, np.newaxis])
    back = np.concatenate([whole[: len(_DECIMALS)] / _DECIMALS[:, np.newaxis],
                           whole[len(_DECIMALS) :] * _FACTORS[:, np.newaxis]])  # fmt: skip
    fits = (back.view(np.int64) == probes.view(np.int64)) & (np.abs(whole) < _INT_MAX)
    hits = fits.sum(axis=1)
    best = int(hits.argmax())
    return best if hits[best] * 4 > len(probes) * 3 else -1


def _encode_values(values: Float64) -> bytes:
    """Return values as scaled integers, as singles or as they are, with the few that do not fit kept whole."""
    with np.errstate(all="ignore"):
        candidate = _candidate(values) if len(values) else -1
        if candidate >= 0:
            numbers = _whole(values, candidate)
            odd = np.flatnonzero(~_same(_restore(numbers, candidate), values))
            if len(odd) <= len(values) // 4:
                numbers[odd] = 0
                return _head(_SCALED, candidate, values, odd) + _pack(numbers)
        singles = values.astype("<f4")
        odd = np.flatnonzero(~_same(singles.astype(np.float64), values))
        if len(odd) <= len(values) // 4:
            return _head(_SINGLE, 0, values, odd) + singles.tobytes()
    return _VALUES.pack(_PLAIN, 0, 0) + values.astype("<f8").tobytes()


def _head(form: int, candidate: int, values: Float64, odd: NDArray[np.intp]) -> bytes:
    head = _VALUES.pack(form, candidate, len(odd))
    if not len(odd):
        return head
    return head + odd.astype("<u4").tobytes() + values[odd].astype("<f8").tobytes()


def _decode_values(data: bytes | memoryview, at: int, count: int) -> tuple[Float64, int]:
    form, candidate, odd = _VALUES.unpack_from(data, at)
    at += _VALUES.size
    places = np.frombuffer(data, "<u4", odd, at)
    whole = np.frombuffer(data, "<f8", odd, at + 4 * odd)
    at += 12 * odd
    if form == _SCALED:
        numbers, at = _unpack(data, at)
        values = _restore(numbers, candidate)
    else:
        width = np.dtype("<f4" if form == _SINGLE else "<f8")
        values = np.frombuffer(data, width, count, at).astype(np.float64)
        at += count * width.itemsize
    if len(values) != count:
        raise DamagedError(f"{len(values)} values for {count} readings")
    if odd:
        values[places] = whole
    return values, at
