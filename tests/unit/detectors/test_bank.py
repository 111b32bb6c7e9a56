import numpy as np
import pytest

from detectors.bank import IDLE, Bank, Delay, fill, margin
from gateway.core.model import Channel, Rule
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
