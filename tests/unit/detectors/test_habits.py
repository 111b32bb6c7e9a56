import numpy as np
import pytest

from detectors.parts.bank import Bank
from detectors.parts.habits import BINS, ENOUGH, Cells, Habits, telling
from gateway.core.model import Batch, Channel, Quality, Rule
from gateway.core.plugin import PluginOptions

SECOND = 1_000_000_000
ONE = np.array([0])


def habits(memory: float = 1000.0) -> Habits:
    return Habits(1, np.full(2, 0.01), np.full(2, memory))


def bank(count: int) -> Bank:
    return Bank([Rule(k, f"r{k}", "x", (Channel(k, f"c{k}", "i", "x"),), PluginOptions()) for k in range(count)])


def test_what_came_once_is_no_record_and_what_came_often_is() -> None:
    past = habits()
    past.learn(ONE, np.array([5.0]))
    assert past.record(ONE)[0] == 0.0
    past.learn(ONE, np.array([5.0]), ENOUGH)
    assert past.record(ONE)[0] == pytest.approx(5.0, rel=0.45)
    assert past.record(ONE)[0] >= 5.0


def test_a_record_fades_with_its_memory() -> None:
    past = habits(memory=100.0)
    past.learn(ONE, np.array([5.0]), 2 * ENOUGH)
    for _ in range(200):
        past.learn(ONE, np.array([0.1]))
    assert past.record(ONE)[0] < 0.2


def test_the_share_below_grows_from_nothing_to_all() -> None:
    past = habits()
    for figure in np.geomspace(0.02, 20.0, 400):
        past.learn(ONE, np.array([figure]))
    shares = [past.share_below(ONE, np.array([x]))[0] for x in (0.001, 0.1, 1.0, 5.0, 1000.0)]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert np.isnan(habits().share_below(ONE, np.array([1.0]))[0])


@pytest.mark.parametrize("figure", [0.0, -1.0, np.inf, np.nan, 1e308])
def test_figures_beyond_all_bins_fall_into_the_last_ones(figure: float) -> None:
    past = habits()
    past.learn(ONE, np.array([figure]))
    assert past.counts[0].sum() == 1.0
    assert past.counts[0, [0, BINS - 1]].sum() == 1.0


def test_a_cell_is_over_at_its_end_and_where_the_clock_was_set_back() -> None:
    rules, cells = bank(1), Cells(np.full(2, 10 * SECOND, np.int64))

    def over(second: int) -> bool:
        share = rules.share(Batch.of([0], second * SECOND, [1.0]))
        closing = cells.over(share)
        if closing is not None:
            cells.begin(share.pick(closing)[1], share.time_ns[closing])
        return closing is not None

    assert [over(s) for s in (1003, 1004, 1009, 1010, 1019, 1025, 1005, 1006, 1010)] == [
        True,
        False,
        False,
        True,
        False,
        True,
        True,
        False,
        True,
    ]


def test_a_channel_that_is_silent_does_not_close_the_cells_of_others() -> None:
    rules, cells = bank(2), Cells(np.full(3, 10 * SECOND, np.int64))
    share = rules.share(Batch.of([0], 1001 * SECOND, [1.0]))
    assert cells.over(share) is not None
    cells.begin(np.array([0]), share.time_ns)
    assert cells.over(rules.share(Batch.of([0], 1002 * SECOND, [1.0]))) is None


def test_readings_that_tell_nothing_are_left_out_and_remembered() -> None:
    qualities = [Quality.GOOD, Quality.UNCERTAIN, Quality.MAINTENANCE, Quality.CLOCK_DOUBTFUL, Quality.COMMS_LOST]
    spoiled = np.zeros(6, np.bool_)
    left = telling(bank(5).share(Batch.of(range(5), 5, [1.0, 2.0, 3.0, 4.0, np.nan], qualities)), spoiled)
    assert left.value.tolist() == [1.0, 2.0, 4.0]
    assert spoiled.tolist() == [False, True, True, False, True, False]
