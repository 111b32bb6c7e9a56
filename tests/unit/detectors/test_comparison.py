from typing import Any

import numpy as np
import pytest

from detectors.comparison import Comparison, Options, create
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule

MINUTE = 60 * 1_000_000_000
WORK = Quality.MAINTENANCE


def make(count: int = 4, high: float = 100.0, **given: Any) -> Comparison:
    channels = [Channel(k, f"g{k}", f"g{k}", "ch4", "%LEL", 0.0, high, 1, 60.0, 300.0) for k in range(count)]
    options = Options(**{"settle_s": 600.0, "tolerance": 2.0, **given})
    detector = create([Rule(0, "r", "comparison", tuple(channels), options, path=("rules", 1))])
    assert isinstance(detector, Comparison)
    return detector


class Plant:
    def __init__(self, detector: Comparison, count: int = 4) -> None:
        self.detector, self.count, self.minute = detector, count, 0
        self.random = np.random.default_rng(2)
        self.told: list[tuple[int, int, str]] = []

    def run(self, minutes: int, away: float = 0.0, quality: int = 0, shared: float = 0.0) -> None:
        for _ in range(minutes):
            values = 5.0 + shared + self.random.normal(0, 0.1, self.count)
            values[0] += away
            qualities = [quality] + [0] * (self.count - 1)
            found = self.detector.update(Batch.of(range(self.count), self.minute * MINUTE, values, qualities))
            self.told += [
                (self.minute, int(level), why.en) for level, why in zip(found.level, found.reason, strict=True)
            ]
            self.minute += 1


def test_a_channel_that_is_elsewhere_after_work_on_it_is_told_when_it_has_settled() -> None:
    plant = Plant(make())
    plant.run(60)
    plant.run(10, quality=WORK)
    plant.run(30, away=6.0)
    ((minute, level, why),) = plant.told
    assert 79 <= minute <= 82
    assert level == Level.FAULT
    assert why.startswith("since the work on it, +5.9 %LEL from 3 neighbours") or "+6." in why


def test_it_ends_with_work_that_puts_it_right_or_when_it_agrees_again() -> None:
    plant = Plant(make())
    plant.run(60)
    plant.run(10, quality=Quality.CALIBRATION)
    plant.run(60, away=6.0)
    plant.run(10, away=6.0, quality=WORK)
    plant.run(60)
    assert [level for _, level, _ in plant.told] == [Level.FAULT, Level.NORMAL]
    plant.run(10, quality=WORK)
    plant.run(60, away=-5.0)
    plant.run(60)
    assert [level for _, level, _ in plant.told][2:] == [Level.FAULT, Level.NORMAL]


@pytest.mark.parametrize("quality", [Quality.TEST, WORK, Quality.CALIBRATION, Quality.WARM_UP])
def test_a_channel_that_agrees_after_work_says_nothing(quality: Quality) -> None:
    plant = Plant(make())
    for _ in range(4):
        plant.run(60)
        plant.run(10, away=40.0, quality=quality)
    plant.run(60)
    assert plant.told == []


def test_a_change_that_the_neighbours_share_is_not_the_works() -> None:
    plant = Plant(make())
    plant.run(60)
    plant.run(10, quality=WORK)
    plant.run(60, shared=20.0)
    assert plant.told == []


def test_without_neighbours_it_is_compared_with_itself() -> None:
    plant = Plant(make(1), 1)
    plant.run(60)
    plant.run(10, quality=WORK)
    plant.run(60, away=6.0)
    assert len(plant.told) == 1
    assert "neighbours" not in plant.told[0][2]


def test_a_drift_without_work_is_not_its_affair() -> None:
    plant = Plant(make())
    plant.run(60)
    plant.run(60, away=30.0)
    assert plant.told == []


def test_silence_after_the_work_decides_nothing() -> None:
    plant = Plant(make())
    plant.run(60)
    plant.run(10, quality=WORK)
    plant.run(60, quality=Quality.COMMS_LOST)
    assert plant.told == []
    plant.run(30, away=6.0)
    assert [level for _, level, _ in plant.told] == [Level.FAULT]


def test_a_tolerance_must_be_known() -> None:
    with pytest.raises(ConfigError, match="g0 has no range, so that the tolerance must be given"):
        make(high=float("nan"), tolerance=None)
