from typing import Any

import numpy as np
import pytest

from detectors.neighbours import Neighbours, Options, create, median_of
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule, Verdicts

MINUTE = 60 * 1_000_000_000
NAN = float("nan")


def channels(count: int = 4) -> list[Channel]:
    return [Channel(k, f"t{k}", f"t{k}", "temperature", "°C", -40.0, 60.0, 1, 60.0, 300.0) for k in range(count)]


def make(count: int = 4, **given: Any) -> Neighbours:
    all_channels = channels(count)
    options = Options(**{"settle_s": 6 * 3600.0, "floor": 1.0, **given})
    rules = [
        Rule(k, f"r{k}", "neighbours", (own, *(c for c in all_channels if c is not own)), options, path=("rules", 1))
        for k, own in enumerate(all_channels)
    ]
    detector = create(rules)
    assert isinstance(detector, Neighbours)
    return detector


class Plant:
    """Four thermometers of one room, read together once a minute; each has its own offset and noise."""

    def __init__(self, detector: Neighbours, count: int = 4) -> None:
        self.detector, self.count, self.minute = detector, count, 0
        self.random = np.random.default_rng(1)
        self.told: list[tuple[int, Verdicts]] = []

    def read(self, away: float = 0.0, quality: list[int] | None = None, shared: float = 0.0) -> None:
        day = 5.0 * np.sin(self.minute / 1440 * 2 * np.pi) + shared
        values = 20.0 + day + 0.3 * np.arange(self.count) + self.random.normal(0, 0.05, self.count)
        values[0] += away
        verdicts = self.detector.update(Batch.of(range(self.count), self.minute * MINUTE, values, quality or 0))
        if len(verdicts):
            self.told.append((self.minute, verdicts))
        self.minute += 1

    def run(self, minutes: int, **given: Any) -> None:
        for _ in range(minutes):
            self.read(**given)

    @property
    def levels(self) -> list[tuple[int, int]]:
        return [(int(r), int(level)) for _, v in self.told for r, level in zip(v.rule, v.level, strict=True)]


def test_a_slow_drift_is_told_and_only_of_the_channel_that_drifts() -> None:
    plant = Plant(make())
    plant.run(600)
    for k in range(2880):
        plant.read(away=0.001 * k)
    assert plant.levels == [(0, Level.WARNING)]
    (minute, verdicts) = plant.told[0]
    assert 0.9 < 0.001 * (minute - 600) < 1.7
    assert "neighbours" in verdicts.reason[0].en
    assert "邻近测点" in verdicts.reason[0].zh


def test_what_all_of_them_see_is_no_drift() -> None:
    plant = Plant(make())
    plant.run(600)
    for k in range(600):
        plant.read(shared=0.1 * k)
    assert plant.told == []


def test_a_spike_is_no_drift() -> None:
    plant = Plant(make())
    plant.run(600)
    for _ in range(10):
        plant.read(away=30.0)
        plant.run(7)
    assert plant.told == []


def test_a_drift_is_over_when_the_channel_comes_back() -> None:
    plant = Plant(make())
    plant.run(600)
    plant.run(60, away=8.0)
    plant.run(60)
    assert plant.levels == [(0, Level.WARNING), (0, Level.NORMAL)]


def test_neighbours_that_tell_nothing_do_not_count() -> None:
    plant = Plant(make(6), 6)
    plant.run(600)
    gone, working, testing = Quality.COMMS_LOST, Quality.MAINTENANCE, Quality.TEST
    assert plant.detector.ready.all()
    plant.run(60, away=8.0, quality=[0, gone, working, testing, testing, 0])
    assert plant.told == []
    assert not plant.detector.ready[0]
    plant.run(20, away=8.0, quality=[0, 0, testing, 0, 0, 0])
    assert plant.levels == [(0, Level.WARNING)]
    plant.run(60, quality=[0, gone, gone, gone, gone, 0])
    assert plant.levels == [(0, Level.WARNING)]


def test_a_neighbour_that_has_been_silent_does_not_count() -> None:
    detector = make(3)
    plant = Plant(detector, 3)
    plant.run(600)
    for k in range(30):
        detector.update(Batch.of([0, 1], (600 + k) * MINUTE, [35.0, 20.3]))
    assert detector.level.tolist() == [0, 0, 0]
    assert not detector.ready[0]


def test_a_fault_while_commissioning_is_told_and_not_commissioned() -> None:
    plant = Plant(make(settle_s=24 * 3600.0))
    plant.run(120)
    for k in range(200):
        plant.read(away=0.1 * k)
    plant.run(2000)
    assert plant.levels == [(0, Level.WARNING), (0, Level.NORMAL)]
    plant.run(60, away=4.0)
    assert plant.levels[2:] == [(0, Level.WARNING)]


def test_a_channel_that_does_not_go_with_the_others_is_not_judged() -> None:
    plant = Plant(make(settle_s=12 * 3600.0))
    for k in range(1500):
        plant.read(away=40.0 * float(np.sin(k / 97.0)) * (k > 300))
    plant.told.clear()
    for k in range(1500):
        plant.read(away=40.0 * float(np.sin(k / 53.0)))
    assert len(plant.told) <= 2


def test_the_offset_of_a_place_is_its_own() -> None:
    plant = Plant(make())
    plant.run(900, away=12.0)
    assert plant.told == []
    plant.run(60)
    assert plant.levels == [(0, Level.WARNING)]


def test_too_few_neighbours_are_refused() -> None:
    with pytest.raises(ConfigError, match="t0 has 1 neighbours of its quantity in its area, and 2 are needed"):
        make(2)


def test_the_median_leaves_out_what_is_no_number() -> None:
    middle, count = median_of(np.array([[3.0, NAN, 1.0], [NAN, NAN, NAN], [4.0, 1.0, 3.0], [2.0, NAN, NAN]]))
    assert np.array_equal(middle, [2.0, NAN, 3.0, 2.0], equal_nan=True)
    assert count.tolist() == [2, 0, 3, 1]
