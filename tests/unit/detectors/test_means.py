from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.parts.bank import Bank
from detectors.parts.means import Closed, Means
from gateway.core.model import Batch, Channel, Quality, Rule
from gateway.core.plugin import PluginOptions

SECOND = 1_000_000_000


def rules(count: int, period_s: float = 1.0) -> list[Rule]:
    channels = [Channel(row, f"c{row}", "i", "x", range_high=100.0, period_s=period_s) for row in range(count)]
    return [Rule(row, f"r{row}", "x", (found,), PluginOptions()) for row, found in enumerate(channels)]


class Bench:
    def __init__(self, count: int, cell_s: float, *, period_s: float = 1.0, scatter: bool = False) -> None:
        made = rules(count, period_s)
        self.bank, self.means = Bank(made), Means(made, lambda rule: cell_s, scatter=scatter)
        self.size = count

    def take(self, batch: Batch) -> Closed | None:
        return self.means.take(self.bank.share(batch))

    def told(self, closed: Closed | None) -> list[tuple[Any, ...]]:
        if closed is None:
            return []
        columns = [closed.time_ns, closed.mean, closed.elapsed_s, closed.clean]
        columns += [closed.scatter] if len(closed.scatter) else []
        slots = np.arange(self.size)[closed.slots]
        return sorted((int(slot), *map(repr, entry)) for slot, *entry in zip(slots, *columns, strict=True))


def closings(bench: Bench, readings: list[tuple[float, float]], quality: int = 0) -> list[tuple[float, float, float]]:
    found = []
    for second, value in readings:
        closed = bench.take(Batch.of([0], round(second * SECOND), [value], quality))
        if closed is not None:
            found.append((second, float(closed.mean[0]), float(closed.elapsed_s[0])))
    return found


def test_a_cell_closes_with_the_last_reading_that_is_due_in_it() -> None:
    found = closings(Bench(1, 10), [(100 + k, float(k)) for k in range(30)])
    assert found == [(109, 4.5, 10), (119, 14.5, 10), (129, 24.5, 10)]


def test_an_instrument_read_more_seldom_than_a_cell_is_long_closes_one_with_each_reading() -> None:
    found = closings(Bench(1, 10, period_s=900), [(900 * k + 70, float(k)) for k in range(1, 5)])
    assert [mean for _, mean, _ in found[1:]] == [3.0, 4.0]
    assert [elapsed for *_, elapsed in found[1:]] == [900, 900]


def test_what_lies_before_a_gap_is_dropped_and_the_gap_counts_for_nothing() -> None:
    readings = [(100 + k, 1.0) for k in range(15)] + [(5000 + k, 9.0) for k in range(20)]
    found = closings(Bench(1, 10), readings)
    assert found == [(109, 1.0, 10), (5009, 9.0, 10), (5019, 9.0, 10)]


def test_a_clock_set_back_opens_a_new_cell_and_counts_no_time_twice() -> None:
    readings = [(1000 + k, 1.0) for k in range(15)] + [(500 + k, 9.0) for k in range(20)]
    assert closings(Bench(1, 10), readings) == [(1009, 1.0, 10), (509, 9.0, 10), (519, 9.0, 10)]


def test_bad_readings_are_in_no_cell_and_doubtful_ones_make_it_unclean() -> None:
    bench = Bench(2, 5)
    for second in range(10):
        quality = [0, Quality.COMMS_LOST if second == 2 else Quality.TEST if second == 7 else 0]
        closed = bench.take(Batch.of([0, 1], second * SECOND, [second, second], quality))
        if second == 4:
            assert closed is not None
            assert (closed.mean.tolist(), closed.clean.tolist()) == ([2.0, 2.0], [True, True])
    assert closed is not None
    assert (closed.mean.tolist(), closed.clean.tolist()) == ([7.0, 7.0], [True, False])


def test_over_range_counts_as_at_least_the_end_of_the_range() -> None:
    assert closings(Bench(1, 5), [(k, 40.0) for k in range(5)], Quality.OVER_RANGE)[0][1] == 100.0


def test_the_scatter_is_that_of_the_noise_and_not_of_the_trend() -> None:
    random = np.random.default_rng(3)
    bench = Bench(50, 500, scatter=True)
    for second in range(500):
        closed = bench.take(Batch.of(np.arange(50), second * SECOND, second + random.normal(0, 20.0, 50)))
    assert closed is not None
    assert np.median(closed.scatter) == pytest.approx(20.0, rel=0.03)


def stream(seed: int, size: int) -> list[Batch]:
    """Return ticks of a plant that is mostly regular, so that the quick way is taken, and sometimes not at all."""
    random = np.random.default_rng(seed)
    rows, second, batches = np.arange(size, dtype=np.int32), 1000, []
    dead = random.random(size) < 0.2
    for tick in range(150):
        second += int(random.choice([1] * 40 + [50, -40]))
        quality = np.where(dead, 129, 0)
        if tick % 50 > 40:
            quality = np.where(random.random(size) < 0.1, random.choice([64, 66, 67, 130]), quality)
        values = random.normal(50, 10, size)
        values[random.random(size) < 0.002] = 1e308
        there = rows if tick % 40 < 30 else random.permutation(rows)[: random.integers(0, size + 1)]
        batches.append(Batch.of(there, second * SECOND, values[there], quality[there]))
    return batches


@settings(max_examples=12)
@given(st.integers(0, 10_000), st.booleans())
def test_however_readings_are_cut_into_batches_the_cells_are_the_same(seed: int, scatter: bool) -> None:
    whole, split = (Bench(6, 10, scatter=scatter) for _ in range(2))
    for batch in stream(seed, 6):
        together = whole.told(whole.take(batch))
        apart = [split.told(split.take(batch.take(slice(k, k + 1)))) for k in range(len(batch))]
        assert sorted(cell for cells in apart for cell in cells) == together


def test_what_is_saved_is_all_there_is() -> None:
    batches = stream(5, 6)
    whole = Bench(6, 10, scatter=True)
    told = [whole.told(whole.take(batch)) for batch in batches]
    for cut in (7, 33, 60):
        first, second = Bench(6, 10, scatter=True), Bench(6, 10, scatter=True)
        for batch in batches[:cut]:
            first.take(batch)
        first.means.settle()
        for name, column in second.means.columns().items():
            column[...] = first.means.columns()[name]
        second.means.restored()
        assert [second.told(second.take(batch)) for batch in batches[cut:]] == told[cut:]
