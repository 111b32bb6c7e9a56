"""The leak rule: who rises, what explains it, what is learned and what never is."""

import copy
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from detectors import leak
from detectors.parts.influence import Influence
from detectors.parts.trails import Means, Trails, middle
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule, Verdicts

NS = 1_000_000_000
Course = Callable[[float], Any]
EVERY_S = 20
CELL_S = 60.0
LEARN_S = 3600.0
LEARNED_S = 14_400
"""Two hours until the longest span is full, one of learning, and one to spare."""


def channel(row: int, name: str, quantity: str = "ch4", unit: str = "%LEL") -> Channel:
    return Channel(
        row, f"{name}.{quantity}", name, quantity, unit, range_low=0.0, range_high=100.0, decimals=1, period_s=EVERY_S
    )


CLIMATE = (channel(3, "th-01", "temperature", "°C"),)
HEADS = tuple(channel(k, f"gd-0{k + 1}") for k in range(3))


def rule(channels: tuple[Channel, ...] = HEADS, **options: object) -> Rule:
    given = leak.Options.model_validate({"cell_s": CELL_S, "learn_s": LEARN_S, **options})
    return Rule(0, "leak", "leak", channels, given, group=True)


class Plant:
    """Three heads and a thermometer with seeded noise, and a rule that judges them."""

    def __init__(
        self, judged: Rule | None = None, *, seed: int = 1, per_k: float = 0.0, every_s: int = EVERY_S
    ) -> None:
        self.judged = judged or rule()
        self.detector = leak.create([self.judged])
        self.rows = np.array([one.row for one in self.judged.channels], np.int32)
        self.random = np.random.default_rng(seed)
        self.per_k, self.t_s, self.every_s = per_k, 0, every_s

    def run(
        self, seconds: int, gas: Course = lambda _: 0.0, warmth: Course = lambda _: 0.0, quality: int = 0
    ) -> Iterator[Verdicts]:
        """Run on and yield what is told; `gas` and `warmth` are told the seconds since now."""
        begins = self.t_s
        while self.t_s < begins + seconds:
            since = self.t_s - begins
            kelvin = warmth(since)
            shown = np.broadcast_to(gas(since), (3,)) + self.per_k * kelvin + self.random.normal(0.0, 0.1, 3)
            values = np.append(shown, 20.0 + kelvin)[self.rows].round(1)
            quality_of = np.where(self.rows < 3, quality, 0)
            verdicts = self.detector.update(Batch.of(self.rows, self.t_s * NS, values, quality_of))
            self.t_s += self.every_s
            if len(verdicts):
                yield verdicts

    def told(self, seconds: int, *args: object, **more: object) -> list[tuple[int, str]]:
        found = self.run(seconds, *args, **more)
        return [(int(one.level[k]), one.reason[k].en) for one in found for k in range(len(one))]

    def learn(self, seconds: int = LEARNED_S) -> "Plant":
        assert self.told(seconds) == []
        assert self.detector.ready.all()
        return self


@cache
def taught() -> Plant:
    return Plant().learn()


def learned() -> Plant:
    """Return a plant of its own with the usual rule, learned."""
    return copy.deepcopy(taught())


def ramp(per_min: float, *, at: int = 0, others: float = 0.3):
    share = np.full(3, others)
    share[at] = 1.0
    return lambda since: share * per_min * since / 60.0


def test_a_slow_rise_warns_names_the_nearest_head_and_forecasts():
    plant = learned()
    told = plant.told(1800, ramp(0.1, at=1))
    assert [level for level, _ in told] == [Level.WARNING]
    assert "gd-02" in told[0][1]
    assert "normal here ±" in told[0][1]
    assert "reaches 25.0 %LEL in about" in told[0][1]


def test_a_leak_that_stays_stays_a_warning_for_days():
    plant = learned()
    assert len(plant.told(3600, ramp(0.1))) == 1
    assert plant.told(43_200, lambda _: 6.0) == []
    assert plant.detector.level.tolist() == [Level.WARNING]


def test_an_episode_ends_when_the_head_is_back_and_the_next_leak_is_found():
    plant = learned()
    first = plant.told(1200, lambda since: 5.0 if since < 600 else 0.0)
    assert [level for level, _ in first] == [Level.WARNING, Level.NORMAL]
    assert plant.told(4 * 3600) == []
    again = plant.told(3600, ramp(0.2))
    assert [level for level, _ in again] == [Level.WARNING]


def test_harmless_episodes_widen_limits_by_steps_to_a_bound():
    plant = learned()
    for _ in range(6):
        plant.told(1200, lambda since: 5.0 if since < 600 else 0.0)
        plant.told(4 * 3600)
    wider = plant.detector.save()["wider"]
    assert (wider > 2.0).all()
    assert (wider <= 4.0).all()


def test_a_single_wild_reading_is_no_leak():
    plant = learned()
    assert plant.told(3600, lambda since: 60.0 if since == 1200 else 0.0) == []


def test_what_the_climate_explains_is_no_leak_and_a_leak_beside_it_is_one():
    def day(since: float) -> float:
        return 6.0 * np.sin(since / 1600.0 * np.pi)

    plant = Plant(rule((*HEADS, *CLIMATE)), per_k=0.1)
    list(plant.run(2 * LEARNED_S, warmth=day))
    assert plant.told(19_200, warmth=day) == []
    found = plant.told(3600, ramp(0.15), day)
    assert [level for level, _ in found] == [Level.WARNING]


def test_without_a_thermometer_the_same_climate_only_costs_sensitivity():
    def day(since: float) -> float:
        return 6.0 * np.sin(since / 1600.0 * np.pi)

    plant = Plant(per_k=0.1)
    list(plant.run(2 * LEARNED_S, warmth=day))
    assert plant.told(19_200, warmth=day) == []
    assert [level for level, _ in plant.told(3600, ramp(0.5), day)] == [Level.WARNING]


def test_a_level_that_creeps_warns_though_no_span_sees_it_rise():
    slow = rule(level_percent=0.5, cell_s=600.0, learn_s=36_000.0)
    plant = Plant(slow, every_s=300).learn(10 * LEARNED_S)
    told = plant.told(7 * 86_400, lambda since: np.array([0.2, 0.0, 0.0]) * since / 86_400)
    assert [level for level, _ in told] == [Level.WARNING]
    assert "above the commissioned level at gd-01" in told[0][1]


def test_before_it_has_learned_only_a_large_rise_warns():
    plant = Plant()
    assert plant.told(3600, ramp(0.02)) == []
    assert not plant.detector.ready.any()
    assert [level for level, _ in plant.told(3600, ramp(1.0))] == [Level.WARNING]


def test_after_a_calibration_the_new_zero_is_no_leak():
    plant = learned()
    list(plant.run(600, quality=Quality.CALIBRATION))
    assert plant.told(LEARNED_S, lambda _: 1.5) == []


def test_nothing_is_learned_from_a_head_under_hold_or_while_it_warns():
    plant = learned()
    before = plant.detector.save()["seen"].copy()
    plant.detector.hold(np.ones(4, np.bool_))
    plant.told(3600)
    assert (plant.detector.save()["seen"] == before).all()
    plant.detector.hold(np.zeros(4, np.bool_))
    plant.told(7200, ramp(0.3))
    during = plant.detector.save()["seen"]
    plant.told(7200, lambda _: 40.0)
    assert (plant.detector.save()["seen"] == during).all()


def test_heads_that_rise_together_are_told():
    plant = learned()
    told = plant.told(3600, ramp(0.08, others=1.0))
    assert len(told) == 1
    plant = learned()
    assert "heads rise" in plant.told(600, lambda since: 5.0 if since > 120 else 0.0)[0][1]


def test_a_head_that_shows_whole_digits_does_not_warn_of_one():
    judged = rule()
    plant = Plant(judged)
    rows = plant.rows
    random, told = np.random.default_rng(3), []
    for k in range(0, 30_000, EVERY_S):
        zero = 0.45 + 0.1 * np.sin(k / 4000.0)
        values = (zero + random.normal(0.0, 0.1, 3)).round()
        told += plant.detector.update(Batch.of(rows, k * NS, values)).level.tolist()
    assert told == []


def test_a_head_of_unknown_range_is_calm_until_something_leaks():
    head = Channel(0, "gd-1.ch4", "gd-1", "ch4", decimals=3)
    detector = leak.create([rule((head,), learn_s=3600.0)])
    random, found = np.random.default_rng(3), []
    for second in range(0, LEARNED_S + 1_800, EVERY_S):
        value = 1.0 + random.normal(0.0, 0.1) + 0.01 * max(second - LEARNED_S, 0)
        verdicts = detector.update(Batch.of([0], second * NS, [round(value, 1)]))
        found += [(second, level) for level in verdicts.level.tolist()]
    (at, level), *later = found
    assert level == Level.WARNING
    assert LEARNED_S < at < LEARNED_S + 600
    assert not later


def test_a_group_of_climate_alone_is_refused():
    with pytest.raises(ConfigError, match=r"th-01\.temperature only tell of the climate"):
        leak.create([rule(CLIMATE)])


def test_cells_that_others_look_at_do_not_depend_on_whose_reading_comes_first():
    slot, place = np.array([0]), np.array([0])
    early, late = (Trails(np.array([10 * NS, 10 * NS]), width=1, cells=8) for _ in range(2))
    for trails in (early, late):
        for second in (1, 11, 21):
            at = np.array([second * NS])
            trails.add(slot, place, at, np.array([float(second)]))
            trails.close(slot, place, at, np.array([float(second)]))
    late.close(slot, place, np.array([31 * NS]), np.array([31.0]))
    number = np.array([3])
    assert np.array_equal(early.back_from(slot, place, number), late.back_from(slot, place, number), equal_nan=True)


def test_cells_are_forgotten_where_time_steps_back_and_empty_where_nothing_was_read():
    slot, place = np.array([0]), np.array([0])
    trails = Trails(np.array([10 * NS, 10 * NS]), width=1, cells=8)
    for second in (1, 11, 51):
        trails.close(slot, place, np.array([second * NS]), np.array([float(second)]))
    assert np.isnan(trails.back(slot, place, trails.number[slot, place])[0, :3]).all()
    assert trails.back(slot, place, trails.number[slot, place])[0, 3:5].tolist() == [11.0, 1.0]
    assert trails.close(slot, place, np.array([5 * NS]), np.array([5.0])).tolist() == [False]
    assert np.isnan(trails.back(slot, place, trails.number[slot, place])).all()


def test_medians_and_means_of_cells_leave_out_what_is_empty():
    random = np.random.default_rng(4)
    cells = random.normal(0.0, 1.0, (50, 20))
    cells[random.random(cells.shape) < 0.3] = np.nan
    assert np.allclose(middle(cells), np.nanmedian(cells, axis=1))
    means = Means(cells, np.array([(0, 20), (5, 12)])).found
    assert np.allclose(means[:, 0], np.nanmean(cells, axis=1))


def test_influence_finds_the_share_that_the_climate_has():
    influence, random = Influence(1, 1, features=2, memory=5000.0), np.random.default_rng(5)
    slot, place = np.array([0]), np.array([0])
    for _ in range(500):
        change = random.normal(0.0, 1.0, (1, 2))
        influence.learn(slot, place, change, 0.2 * change[:, 0] - 0.05 * change[:, 1] + random.normal(0.0, 0.02, 1))
    assert influence.coefficients[0, 0].round(2).tolist() == [0.2, -0.05]
