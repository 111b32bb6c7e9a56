"""Columns of readings come back bit by bit, and no bytes whatever do harm."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.model import Batch
from gateway.store.columns import DamagedError, decode, encode

ROWS = st.integers(0, 2**31 - 1) | st.integers(0, 20)
TIMES = st.integers(-(2**62), 2**62) | st.integers(1_700_000_000_000, 1_700_000_000_100).map(lambda ms: ms * 10**6)
VALUES = (
    st.floats(width=64)
    | st.floats(width=32)
    | st.integers(-9999, 9999).map(lambda n: n / 10)
    | st.integers(-9999, 9999).map(lambda n: n * 0.1)
)
READINGS = st.lists(st.tuples(ROWS, TIMES, VALUES, st.sampled_from([0, 0, 0, 64, 66, 129, 138])), min_size=1)


def same(left: Batch, right: Batch) -> bool:
    return all(
        np.array_equal(getattr(left, name).view(np.uint8), getattr(right, name).view(np.uint8))
        for name in ("row", "time_ns", "value", "quality")
    )


@given(READINGS)
@example([(0, 0, -0.0, 0), (0, 0, 0.0, 0)])
@example([(0, 0, 5e-324, 0), (1, 0, 1.7976931348623157e308, 0)])
def test_every_batch_comes_back_bit_by_bit(readings: list[tuple[int, int, float, int]]) -> None:
    batch = Batch.of(*zip(*readings, strict=True))
    assert same(decode(encode(batch), len(batch)), batch)


@given(st.integers(0, 4), st.lists(st.integers(-30000, 30000), min_size=40, max_size=200), VALUES)
def test_decimals_with_a_stranger_among_them_come_back_bit_by_bit(k: int, raw: list[int], odd: float) -> None:
    values = [n / 10**k for n in raw]
    values[len(values) // 2] = odd
    batch = Batch.of(range(len(values)), 7, values)
    assert same(decode(encode(batch), len(batch)), batch)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_arbitrary_bytes_are_columns_or_refused_and_nothing_else(data: bytes, count: int) -> None:
    try:
        batch = decode(data, count)
    except DamagedError:
        return
    assert len(batch) == count


@given(READINGS, st.data())
def test_bytes_cut_short_are_refused(readings: list[tuple[int, int, float, int]], data: st.DataObject) -> None:
    batch = Batch.of(*zip(*readings, strict=True))
    whole = encode(batch)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DamagedError):
        decode(whole[:cut], len(batch))


def test_polls_of_decimals_take_less_than_three_bytes_a_reading() -> None:
    times = 1_700_000_000_000_000_000 + np.repeat(np.arange(100) * 9_876_543, 10)
    batch = Batch.of(np.arange(1000), times, np.round(np.linspace(0, 100, 1000), 1))
    assert len(encode(batch)) < 3000
