from typing import Any

import numpy as np
import pytest

from detectors.frozen import Frozen, Options, create
from gateway.core.model import Batch, Channel, Level, Quality, Rule, Verdicts

MINUTE = 60 * 1_000_000_000
NAN = float("nan")


def make(**given: Any) -> Frozen:
    channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", "%LEL", 0.0, 100.0, 1, 60.0, 600.0)
    detector = create([Rule(4, "r", "frozen", (channel,), Options(**{"settle_s": 3600.0, **given}))])
    assert isinstance(detector, Frozen)
    return detector


class Plant:
    """A channel read once a minute."""

    def __init__(self, detector: Frozen) -> None:
        self.detector, self.minute, self.told = detector, 0, list[tuple[int, Verdicts]]()
        self.random = np.random.default_rng(1)

    def read(self, value: float, quality: int = 0) -> None:
        verdicts = self.detector.update(Batch.of([0], self.minute * MINUTE, [value], quality))
        if len(verdicts):
            self.told.append((self.minute, verdicts))
        self.minute += 1

    def lively(self, minutes: int) -> None:
        for _ in range(minutes):
            self.read(5.0 + self.random.normal(0, 1.0))

    def still(self, minutes: int, value: float = 7.0, quality: int = 0) -> None:
        for _ in range(minutes):
            self.read(value, quality)


def test_a_lively_channel_that_stands_still_is_frozen_within_the_hour() -> None:
    plant = Plant(make())
    plant.lively(600)
    plant.still(60)
    ((minute, verdicts),) = plant.told
    assert 630 <= minute <= 640
    assert verdicts.level.tolist() == [Level.FAULT]
    assert verdicts.quality.tolist() == [Quality.FROZEN]
    assert verdicts.value.tolist() == [7.0]
    assert verdicts.reason[0].en.startswith("stands still at 7.0 %LEL for 3")


def test_only_a_value_that_moves_shows_that_it_is_alive() -> None:
    plant = Plant(make())
    plant.lively(600)
    plant.still(60)
    plant.still(60, NAN, Quality.COMMS_LOST)
    plant.still(60)
    assert len(plant.told) == 1
    plant.lively(10)
    assert [int(verdicts.level[0]) for _, verdicts in plant.told] == [Level.FAULT, Level.NORMAL]


def test_clean_air_may_stand_at_zero_for_weeks() -> None:
    plant = Plant(make())
    for _ in range(3):
        plant.still(1000, 0.0)
        plant.lively(30)
    plant.still(2500, 0.0)
    assert plant.told == []


def test_the_same_channel_may_not_stand_still_anywhere_else() -> None:
    plant = Plant(make())
    for _ in range(3):
        plant.still(1000, 0.0)
        plant.lively(30)
    plant.still(120, 12.0)
    assert [int(verdicts.level[0]) for _, verdicts in plant.told] == [Level.FAULT]


def test_a_channel_that_never_moved_is_not_judged() -> None:
    plant = Plant(make())
    plant.still(4000, 0.0)
    assert plant.told == []
    assert np.isnan(plant.detector.score[0])


def test_what_moves_within_its_last_digit_stands_still() -> None:
    plant = Plant(make())
    plant.lively(600)
    for k in range(60):
        plant.read(7.0 + 0.04 * (k % 2))
    assert len(plant.told) == 1


def test_stillness_is_measured_by_the_channels_own_longest() -> None:
    plant = Plant(make(ratio=2.0, settle_s=86_400.0))
    for k in range(15):
        plant.still(120, float(k % 7))
        plant.lively(10)
    assert plant.told == []
    plant.still(200, 31.0)
    assert plant.told == []
    plant.still(100, 31.0)
    assert len(plant.told) == 1


def test_a_fault_that_was_told_is_not_learned() -> None:
    plant = Plant(make())
    plant.lively(600)
    for _ in range(6):
        plant.still(300)
        plant.lively(300)
    levels = [int(verdicts.level[0]) for _, verdicts in plant.told]
    assert levels == [Level.FAULT, Level.NORMAL] * 6
    begun = [minute % 600 for minute, verdicts in plant.told if verdicts.level[0]]
    assert max(begun) - min(begun) <= 6


@pytest.mark.parametrize("gap_minutes", [60, 600])
def test_a_gap_is_no_stillness(gap_minutes: int) -> None:
    plant = Plant(make())
    plant.lively(600)
    for _ in range(10):
        plant.still(15)
        plant.minute += gap_minutes
    assert plant.told == []


def test_test_readings_are_no_stillness() -> None:
    plant = Plant(make())
    plant.lively(600)
    plant.still(300, 50.0, Quality.TEST)
    assert plant.told == []


def test_the_quiet_of_clean_air_is_no_fault_though_the_first_day_was_busy() -> None:
    plant = Plant(make())
    for _ in range(20):
        plant.still(10, 0.0)
        plant.lively(20)
    plant.still(2 * 24 * 60, 0.0)
    assert not plant.told
    plant.lively(10)
    plant.still(2 * 24 * 60, 0.4)
    assert len(plant.told) == 1
