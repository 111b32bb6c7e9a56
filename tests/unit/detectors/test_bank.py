import numpy as np
import pytest

from detectors.parts.bank import IDLE, LAYOUTS_MAX, Bank, Delay, fill, margin
from gateway.core.model import Batch, Channel, Rule
from gateway.core.plugin import PluginOptions


def bank(*rows: int) -> Bank:
    channels = [Channel(row, f"c{row}", "i", "x") for row in rows]
    return Bank([Rule(10 + i, f"r{i}", "x", (found,), PluginOptions()) for i, found in enumerate(channels)])


def test_rows_without_a_rule_share_the_spare_slot() -> None:
    assert bank(5, 2).slots(np.array([2, 5, 0, 3, 6, 10_000], np.int32)).tolist() == [1, 0, 2, 2, 2, 2]
    assert bank().slots(np.array([0, 7], np.int32)).tolist() == [0, 0]


def test_the_level_is_a_view_that_may_be_written() -> None:
    found = bank(1, 2)
    found.level[1] = 2
    assert found.levels.tolist() == [0, 2, 0]
    assert found.changed(np.array([0, 1]), np.array([0, 1], np.int8)).tolist() == [1]


def due(delay: Delay, second: int, *, going: bool, hold: bool = False) -> bool:
    slots, time_ns = np.array([0]), np.array([second], np.int64)
    return bool(delay.due(slots, time_ns, np.array([going]), np.array([hold]))[0])


def test_a_delay_of_nothing_is_due_at_once() -> None:
    assert due(Delay(np.zeros(2, np.int64)), 5, going=True)


def test_a_delay_counts_only_while_the_condition_holds() -> None:
    delay = Delay(np.array([3, 0]))
    assert [due(delay, t, going=t != 2) for t in range(7)] == [False] * 6 + [True]


def test_a_delay_neither_ends_nor_restarts_while_held() -> None:
    delay = Delay(np.array([3, 0]))
    assert [due(delay, t, going=t in (0, 5), hold=t not in (0, 5)) for t in range(6)] == [False] * 5 + [True]


def test_a_delay_that_does_not_run_is_idle() -> None:
    delay = Delay(np.array([3, 0]))
    assert not delay.running().any()
    due(delay, 1, going=True)
    assert delay.running().tolist() == [True, False]
    due(delay, 2, going=False)
    assert delay.since_ns.tolist() == [IDLE, IDLE]


def test_the_margin_is_a_share_of_the_limit_or_nothing() -> None:
    found = margin(np.array([30.0, 20.0, 2.0, np.inf, np.nan, -30.0]), np.array([25.0, 25.0, 0.0, 1.0, 1.0, -25.0]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [0.2, -0.2, 2.0, np.nan, np.nan, -0.2], rtol=1e-6)


@pytest.mark.parametrize("saved", [np.zeros(3, np.int8), np.zeros(2, np.int16), np.zeros((2, 2), np.int8)])
def test_a_state_of_another_shape_is_refused(saved: np.ndarray) -> None:
    with pytest.raises(ValueError, match="not of 2 rules"):
        fill(np.zeros(3, np.int8), {"level": saved}, "level")


def batch(*rows: int, quality: int = 0) -> Batch:
    return Batch.of(list(rows), np.arange(len(rows)) + 100, np.array(rows) / 10, quality)


def test_rows_that_come_again_in_order_are_views_of_the_batch() -> None:
    found = bank(3, 4, 5)
    found.share(batch(1, 3, 4, 5))
    second = batch(1, 3, 4, 5)
    share = found.share(second)
    assert (share.at, share.slots) == (slice(1, 4), slice(0, 3))
    assert share.value.base is second.value
    assert share.value.tolist() == [0.3, 0.4, 0.5]


@pytest.mark.parametrize("rows", [(5, 3, 4), (3, 0, 5), (4, 5), (3, 4, 4711, 5), (0,), (), (3, 5, 4, 1)])
def test_a_share_is_the_same_however_often_its_rows_came(rows: tuple[int, ...]) -> None:
    found = bank(3, 4, 5)
    for _ in range(3):
        share = found.share(batch(*rows))
        every, places = np.arange(len(rows)), np.arange(4)
        mine = [k for k, row in enumerate(rows) if row in {3, 4, 5}]
        assert every[share.at].tolist() == mine
        assert places[share.slots].tolist() == [rows[k] - 3 for k in mine]
        assert share.value.tolist() == [rows[k] / 10 for k in mine]
        assert share.time_ns.tolist() == [100 + k for k in mine]
        at, slots = share.pick(np.arange(len(mine))[::-1])
        assert (at.tolist(), slots.tolist()) == (mine[::-1], [rows[k] - 3 for k in mine[::-1]])


def test_rows_alike_in_length_and_ends_are_told_apart() -> None:
    found = bank(1, 2, 3, 4, 5, 6)
    for rows in ((1, 2, 3, 4, 5, 6), (1, 2, 4, 3, 5, 6)) * 4:
        share = found.share(batch(*rows))
        assert np.arange(7)[share.slots].tolist() == [row - 1 for row in rows]


def test_a_share_without_bad_readings_is_itself() -> None:
    found = bank(1, 2, 3)
    share = found.share(batch(1, 2, 3))
    assert (share.worst, share.first_ns, share.last_ns) == (0, 100, 102)
    assert share.with_value() is share
    worse = found.share(Batch.of([1, 2, 3], 5, [1.0, 2.0, 3.0], [0, 129, 66]))
    assert worse.worst == 129
    good = worse.with_value()
    assert (good.slots.tolist(), good.at.tolist(), good.value.tolist()) == ([0, 2], [0, 2], [1.0, 3.0])


def test_remembered_layouts_have_a_limit() -> None:
    found = bank(*range(200))
    for row in range(200):
        for _ in range(2):
            share = found.share(batch(row))
        assert share.slots == slice(row, row + 1)
    assert len(found._places) <= LAYOUTS_MAX  # the limit is what this test is about


def test_a_level_that_is_not_normal_is_seen_wherever_it_was_set() -> None:
    found = bank(1, 2)
    assert not found.any_raised()
    found.level[1] = 4
    assert found.any_raised()
