import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.parts.bank import Bank
from detectors.parts.window import CELLS, Window, median
from gateway.core.model import Batch, Channel, Rule
from gateway.core.plugin import PluginOptions

SECOND = 1_000_000_000
ONE = np.array([0])


def bank(rules: int) -> Bank:
    channels = [Channel(row, f"c{row}", "i", "x") for row in range(rules)]
    return Bank([Rule(row, f"r{row}", "x", (found,), PluginOptions()) for row, found in enumerate(channels)])


def window(seconds: float, rules: int = 1) -> Window:
    return Window(np.full(rules + 1, round(seconds * SECOND)))


def fed(readings: list[tuple[float, float]], seconds: float) -> tuple[Window, np.ndarray, np.ndarray]:
    found, rules = window(seconds), bank(1)
    for second, value in readings:
        found.keep(rules.share(Batch.of([0], round(second * SECOND), [value])))
    return found, np.array([round(readings[-1][0] * SECOND)]), np.array([readings[-1][1]])


def test_both_slopes_are_that_of_a_straight_line() -> None:
    found = fed([(0.7 * k, 100_000 + 0.1 * 0.7 * k / 60) for k in range(60)], 30)
    assert found[0].slopes(ONE, *found[1:])[0] == pytest.approx(0.1, rel=1e-6)
    slope, error = found[0].robust(ONE, *found[1:])
    assert slope[0] == pytest.approx(0.1, rel=1e-6)
    assert error[0] == pytest.approx(0.0, abs=1e-6)


def test_the_robust_slope_forgets_what_a_fifth_of_the_readings_say() -> None:
    random = np.random.default_rng(1)
    wild = random.choice(38, 8, replace=False)
    readings = [(k, 6.0 * k / 60 + (500.0 if k in wild else 0.0)) for k in range(38)]
    found = fed(readings, 40)
    assert found[0].robust(ONE, *found[1:])[0][0] == pytest.approx(6.0, abs=1e-6)
    assert abs(found[0].slopes(ONE, *found[1:])[0] - 6.0) > 50


def test_the_error_is_what_slopes_of_noise_scatter_by() -> None:
    random = np.random.default_rng(2)
    rules, found = bank(400), window(39, 400)
    rows = np.arange(400)
    for second in range(40):
        batch = Batch.of(rows, second * SECOND, random.normal(0, 1.0, 400))
        found.keep(rules.share(batch))
    slope, error = found.robust(rows, batch.time_ns, batch.value)
    assert np.median(error) == pytest.approx(np.std(slope), rel=0.25)


def test_a_shorter_window_sees_only_what_is_in_it() -> None:
    readings = [(k, 0.0 if k < 60 else (k - 60) * 0.1) for k in range(81)]
    found = fed(readings, 80)
    whole = found[0].robust(ONE, *found[1:])[0][0]
    late = found[0].robust(ONE, *found[1:], window_ns=np.array([20 * SECOND]))[0][0]
    assert late == pytest.approx(6.0, abs=0.01)
    assert whole < 2.0


def test_too_few_readings_or_too_short_a_span_make_no_slope() -> None:
    found = fed([(0, 0.0), (1, 1.0)], 2)
    assert np.isnan(found[0].slopes(ONE, *found[1:])[0])
    assert np.isnan(found[0].robust(ONE, *found[1:])[0][0])
    found = fed([(k / 10, float(k)) for k in range(14)], 3)
    assert np.isnan(found[0].slopes(ONE, *found[1:])[0])
    assert np.isnan(found[0].robust(ONE, *found[1:])[0][0])


def test_time_that_steps_back_begins_the_window_anew_for_that_rule_alone() -> None:
    rules, found = bank(2), window(10, 2)
    for second in range(20):
        found.keep(rules.share(Batch.of([0, 1], second * SECOND, [second, second])))
    batch = Batch.of([0, 1], [5 * SECOND, 20 * SECOND], [5.0, 20.0])
    back = found.keep(rules.share(batch))
    assert back is not None
    assert back.tolist() == [0]
    slope = found.slopes(np.array([0, 1]), batch.time_ns, batch.value)
    assert np.isnan(slope[0])
    assert slope[1] == pytest.approx(60.0)


@given(st.integers(0, 1000), st.sampled_from([0.1, 0.7, 3.0, 60.0]))
def test_however_readings_are_cut_into_batches_the_same_ones_are_kept(seed: int, period: float) -> None:
    random = np.random.default_rng(seed)
    rules, whole, split = bank(3), window(30, 3), window(30, 3)
    for tick in range(60):
        rows = random.permutation(3)[: random.integers(1, 4)]
        times = round(tick * period * SECOND) + random.integers(0, 2) * random.integers(0, SECOND, len(rows))
        batch = Batch.of(rows, times, random.normal(size=len(rows)))
        whole.keep(rules.share(batch))
        for k in range(len(rows)):
            split.keep(rules.share(batch.take(slice(k, k + 1))))
    for name, column in whole.columns().items():
        assert np.array_equal(column[:-1], split.columns()[name][:-1]), name


def test_memory_is_that_of_the_cells() -> None:
    found, rules = window(30), bank(1)
    before = {name: column.shape for name, column in found.columns().items()}
    for k in range(3000):
        found.keep(rules.share(Batch.of([0], k * SECOND // 100, [1.0])))
    assert {name: column.shape for name, column in found.columns().items()} == before
    assert before["window_value"] == (2, CELLS)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=7), min_size=1, max_size=4))
def test_the_median_of_rows_of_any_length(rows: list[list[float]]) -> None:
    values = np.array([row + [np.nan] * (7 - len(row)) for row in rows])
    found = median(values, np.array([len(row) for row in rows]))
    for row, one in zip(rows, found, strict=True):
        assert one == pytest.approx(np.median(row)) if row else np.isnan(one)
