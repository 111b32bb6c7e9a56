"""Instruments that are silent, marked or beyond their range among others: judged as if each reading came alone."""

import importlib
from typing import Any

import numpy as np
import pytest

from detectors.parts.bank import Bank, shared, shared_ns
from detectors.parts.habits import Cells, looked_at
from gateway.core.model import Batch, Channel, Level, Quality, Rule
from gateway.core.plugin import Binding, Detector, PluginOptions

SECOND = 1_000_000_000
COUNT = 6
TICKS = 420

OPTIONS: dict[str, dict[str, Any]] = {
    "threshold": {"low": 30.0, "high": 40.0},
    "rate": {"low": 5.0, "high": 8.3},
    "forecast": {"above": 57.0},
    "exposure": {"stel": {"low": 1.0}},
    "fault": {"off_delay_s": 2.0},
    "frozen": {"least_s": 30.0, "settle_s": 100.0},
    "noise": {"window_s": 20.0, "settle_s": 60.0},
    "neighbours": {"window_s": 5.0, "settle_s": 100.0},
    "saturation": {"delay_s": 3.0},
    "bump_test": {"gas": 20.0, "zero_after_s": 30.0},
    "comparison": {"settle_s": 20.0},
}
"""Those that pass over silent instruments in place, with times short enough for a test."""

MARKS = (*(Quality.GOOD,) * 3, *(Quality.COMMS_LOST,) * 4, Quality.WARM_UP, Quality.TEST, Quality.MAINTENANCE,
         Quality.UNCERTAIN, Quality.OVER_RANGE)  # fmt: skip


def detector(name: str) -> Detector:
    module = importlib.import_module(f"detectors.{name}")
    channels = [
        Channel(k, f"i{k}.t", f"i{k}", "temperature", "°C", 0.0, 100.0, decimals=1, area="a") for k in range(COUNT)
    ]
    rules = []
    for channel in channels:
        peers = [each for each in channels if each is not channel]
        near = peers if getattr(module, "BINDING", Binding.EACH) == Binding.PEERS else []
        rules.append(Rule(channel.row, channel.id, name, (channel, *near), module.Options(**OPTIONS[name])))
    made: Detector = module.create(rules)
    return made


def plant() -> list[Batch]:
    """Return ticks of all channels; some fall silent together or alone for a while, some heat up, some stand still."""
    random = np.random.default_rng(7)
    rows, quality = np.arange(COUNT), np.zeros(COUNT, np.uint8)
    mean, rise, still = np.full(COUNT, 21.0), np.zeros(COUNT), np.zeros(COUNT, np.bool_)
    last, second, found = mean.copy(), 1000, []
    for tick in range(TICKS):
        second += 1 if tick % 97 else int(random.choice([5, 60, -2]))
        if tick % 13 == 0:
            quality[random.integers(0, COUNT, 2)] = random.choice(MARKS)
        if tick % 50 == 0:
            quality[:] = Quality.GOOD
            rise[:] = 0.0
            rise[random.integers(0, COUNT)], still[random.integers(0, COUNT)] = 0.3, tick % 100 == 0
        mean = np.where(mean > 99.0, 21.0, mean + rise)
        noise = np.where(np.arange(COUNT) == (tick > TICKS // 2) * 2, 0.2 if tick % 200 < 160 else 8.0, 0.2)
        value = np.where(still, last, np.round(mean + noise * random.standard_normal(COUNT), 1))
        last = value
        found.append(Batch.of(rows, second * SECOND, value, quality))
    return found


def opinions(judge: Detector, batches: list[Batch]) -> list[tuple[int, int, int, int]]:
    found = []
    for batch in batches:
        verdicts = judge.update(batch)
        columns = (verdicts.time_ns, verdicts.rule, verdicts.level, verdicts.quality)
        found += list(zip(*(column.tolist() for column in columns), strict=True))
    return found


@pytest.mark.parametrize("name", OPTIONS)
def test_whoever_is_silent_changes_nothing_for_the_others(name: str) -> None:
    batches = plant()
    alone = [batch.take(slice(k, k + 1)) for batch in batches for k in range(COUNT)]
    together, apart = opinions(detector(name), batches), opinions(detector(name), alone)
    # Sorted within a tick: the order of rules in one batch is nobody's concern.
    assert sorted(together) == sorted(apart)


def test_the_plant_makes_the_detectors_speak() -> None:
    batches = plant()
    silent = [name for name in OPTIONS if name != "bump_test" and not opinions(detector(name), batches)]
    assert silent == []


def test_a_fault_that_stands_is_told_again_after_its_level_was_forgotten() -> None:
    judge, rows = detector("fault"), np.arange(COUNT)
    quality = np.zeros(COUNT, np.uint8)
    quality[4] = Quality.COMMS_LOST
    batches = [Batch.of(rows, second * SECOND, np.full(COUNT, 21.0), quality) for second in range(60)]
    assert [rule for _, rule, _, _ in opinions(judge, batches[:40])] == [4]
    judge.level = np.zeros(COUNT, np.int8)
    assert [(rule, level) for _, rule, level, _ in opinions(judge, batches[40:])] == [(4, Level.FAULT)]


def test_a_fault_that_stands_hides_no_other_fault() -> None:
    judge, rows = detector("fault"), np.arange(COUNT)
    quality, value = np.zeros(COUNT, np.uint8), np.full(COUNT, 21.0)
    quality[4] = Quality.COMMS_LOST
    opinions(judge, [Batch.of(rows, second * SECOND, value, quality) for second in range(40)])
    value[5] = -50.0
    found = opinions(judge, [Batch.of(rows, second * SECOND, value, quality) for second in range(40, 60)])
    assert [(rule, level) for _, rule, level, _ in found] == [(5, Level.FAULT)]


def test_cells_of_silent_instruments_do_not_keep_the_others_waiting() -> None:
    rules = [Rule(k, f"r{k}", "x", (Channel(k, f"i{k}.x", f"i{k}", "x"),), PluginOptions()) for k in range(3)]
    bank, cells = Bank(rules), Cells(np.full(4, 10 * SECOND))
    closed = []
    for second in range(100, 140):
        quality = [0, Quality.COMMS_LOST if 105 <= second < 132 else 0, 0]
        share, aside = looked_at(bank.share(Batch.of([0, 1, 2], second * SECOND, [1.0, 2.0, 3.0], quality)))
        closing = cells.over(share, aside)
        if closing is not None:
            _, slots = share.pick(closing)
            closed.append((second, slots.tolist()))
            cells.begin(slots, share.time_ns[closing])
    assert closed == [(100, [0, 1, 2]), (110, [0, 2]), (120, [0, 2]), (130, [0, 2]), (132, [1])]


def test_figures_that_all_rules_share_take_the_room_of_one() -> None:
    column = shared(np.array([2.0, 2.0, 2.0, np.nan]))
    assert (column.strides, column.tolist()) == ((0,), [2.0] * 4)
    assert shared(np.array([np.nan, np.nan, 0.0])).strides == (0,)
    assert shared(np.array([1.0, 2.0, np.nan])).tolist()[:2] == [1.0, 2.0]
    assert shared_ns(np.array([5, 5, 0])).tolist() == [5, 5, 5]
    # Only the spare slot: it keeps what it was given.
    assert shared(np.array([7.0])).tolist() == [7.0]
