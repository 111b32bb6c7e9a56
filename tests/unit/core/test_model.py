import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.model import BAD_FROM, Batch, Quality, quality_name


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1000),
            st.integers(0, 2**62),
            st.floats(),
            st.sampled_from([int(q) for q in Quality]),
        ),
        max_size=30,
    )
)
def test_a_value_is_nan_exactly_when_the_reading_is_bad(rows: list[tuple[int, int, float, int]]) -> None:
    batch = Batch.of([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], [r[3] for r in rows])
    assert (np.isnan(batch.value) == (batch.quality >= BAD_FROM)).all()
    assert np.isfinite(batch.value[batch.quality < BAD_FROM]).all()


def test_a_batch_cannot_be_written_to() -> None:
    batch = Batch.of([1], 5, [2.0])
    with pytest.raises(ValueError, match="read-only"):
        batch.value[0] = 3.0


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="columns of 1, 2, 1 and 1"):
        Batch(np.zeros(1, np.int32), np.zeros(2, np.int64), np.zeros(1), np.zeros(1, np.uint8))


def test_concat_keeps_the_order_and_of_nothing_is_empty() -> None:
    joined = Batch.concat([Batch.of([2, 1], 1, [1, 2]), Batch.of([3], 2, [3])])
    assert joined.row.tolist() == [2, 1, 3]
    assert len(Batch.concat([])) == 0


def test_silence_is_a_bad_reading_of_each_channel() -> None:
    batch = Batch.bad(np.array([4, 5], np.int32), 9, Quality.COMMS_LOST)
    assert np.isnan(batch.value).all()
    assert batch.quality.tolist() == [129, 129]


def test_an_unknown_quality_still_has_a_name() -> None:
    assert quality_name(200) == "quality_200"
