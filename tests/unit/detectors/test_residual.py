from typing import Any

import numpy as np
import pytest

from detectors.residual import Options, Residual, create
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule, Verdicts

SECOND = 1_000_000_000
USUAL = np.array([32.0, 0.1, 60.0])
NOISE = np.array([0.3, 0.01, 0.05])
LEARN_S = 200


def channels(**changes: Any) -> tuple[Channel, ...]:
    names = (("flow", "L/min", 1), ("vibration", "g", 3), ("temperature", "°C", 1))
    return tuple(
        Channel(row, f"pump.{name}", "pump", name, unit, decimals=digits, label=name.title(), **changes)
        for row, (name, unit, digits) in enumerate(names)
    )


def rule(**options: Any) -> Rule:
    return Rule(0, "pump", "residual", channels(), Options(learn_s=LEARN_S, **options), group=True)


class Pump:
    """A detector of one group, fed once a second; every verdict is noted with its second."""

    def __init__(self, **options: Any) -> None:
        self.detector = create([rule(**options)])
        assert isinstance(self.detector, Residual)
        self._random = np.random.default_rng(4)
        self.second = 0
        self.told: list[tuple[int, Level, str]] = []

    def run(self, seconds: int, offset: Any = 0.0, quality: Any = Quality.GOOD) -> "Pump":
        for _ in range(seconds):
            value = USUAL + NOISE * self._random.standard_normal(3) + np.asarray(offset)
            self.note(self.detector.update(Batch.of([0, 1, 2], self.second * SECOND, value, quality)))
            self.second += 1
        return self

    def note(self, verdicts: Verdicts) -> None:
        for level, reason in zip(verdicts.level, verdicts.reason, strict=True):
            self.told.append((self.second, Level(level), reason.en))

    @property
    def levels(self) -> list[Level]:
        return [level for _, level, _ in self.told]


def test_a_group_that_stays_as_it_was_is_never_warned_of() -> None:
    assert Pump().run(2000).told == []


def test_the_channel_that_strays_is_named_with_numbers() -> None:
    pump = Pump().run(400).run(60, [-5.0, 0.0, 0.0])
    ((second, level, reason),) = pump.told
    assert level is Level.WARNING
    assert second < 420
    assert reason.startswith("Flow -")
    assert "L/min from its usual 32.0 (usual ±" in reason
    assert "Vibration" not in reason


def test_a_warning_is_one_event_until_what_raised_it_is_back() -> None:
    pump = Pump().run(400).run(300, [-5.0, 0.0, 0.0]).run(150)
    assert pump.levels == [Level.WARNING, Level.NORMAL]
    assert 700 < pump.told[1][0] < 780
    assert pump.told[1][2].startswith("back to usual: Flow 3")


def test_an_after_effect_neither_keeps_a_warning_nor_raises_it_again() -> None:
    pump = Pump(joins_s=60).run(400).run(200, [-5.0, 0.0, 0.0]).run(100, [-5.0, 0.0, 2.0]).run(400, [0.0, 0.0, 2.0])
    assert pump.levels == [Level.WARNING, Level.NORMAL]


def test_an_after_effect_that_grows_on_warns_again() -> None:
    pump = Pump(joins_s=60).run(400).run(200, [-5.0, 0.0, 0.0]).run(100, [-5.0, 0.0, 2.0]).run(300, [0.0, 0.0, 2.0])
    pump.run(100, [0.0, 0.0, 8.0])
    assert pump.levels == [Level.WARNING, Level.NORMAL, Level.WARNING]
    assert pump.told[2][2].startswith("Temperature +")


def test_a_slow_leak_is_never_learned() -> None:
    pump = Pump().run(400)
    for step in range(40):
        pump.run(30, [-0.05 * step, 0.0, 0.0])
    assert pump.levels[-1] is Level.WARNING
    assert pump.run(300, [-2.0, 0.0, 0.0]).levels[-1] is Level.WARNING


def test_a_channel_that_wandered_while_learned_is_believed_less() -> None:
    def after(wander: float) -> list[Level]:
        pump = Pump(wander=wander)
        for step in range(6):
            pump.run(60, [0.0, 0.0, 0.1 * step])
        return pump.run(120, [0.0, 0.0, 1.5]).levels

    assert after(0.0) == [Level.WARNING]
    assert after(2.0) == []


def test_one_wild_reading_while_learning_blinds_nobody() -> None:
    pump = Pump().run(150)
    pump.run(1, [1e9, 0.0, 0.0]).run(450).run(60, [-5.0, 0.0, 0.0])
    assert pump.levels == [Level.WARNING]


def test_a_bad_channel_does_not_keep_the_others_from_being_judged() -> None:
    quality = [Quality.GOOD, Quality.SENSOR_FAULT, Quality.GOOD]
    pump = Pump().run(400).run(60, [-5.0, 0.0, 0.0], quality)
    assert pump.levels == [Level.WARNING]


def test_a_warning_does_not_end_while_what_raised_it_is_bad() -> None:
    pump = Pump().run(400).run(60, [-5.0, 0.0, 0.0])
    pump.run(400, 0.0, [Quality.COMMS_LOST, Quality.GOOD, Quality.GOOD])
    assert pump.levels == [Level.WARNING]
    assert pump.run(100).levels == [Level.WARNING, Level.NORMAL]


def test_bad_and_held_and_doubtful_readings_teach_nothing() -> None:
    bad = Pump().run(400, 0.0, Quality.COMMS_LOST)
    doubtful = Pump().run(400, 0.0, Quality.MAINTENANCE)
    held = Pump()
    held.detector.hold(np.ones(3, np.bool_))
    held.run(400)
    for pump in (bad, doubtful, held):
        assert not pump.detector.ready.any()
        assert np.isnan(pump.detector.score).all()


def test_a_group_is_ready_without_a_channel_that_never_shows_anything() -> None:
    pump = Pump().run(400, 0.0, [Quality.GOOD, Quality.COMMS_LOST, Quality.GOOD])
    assert pump.detector.ready.all()


def test_relearning_forgets_what_was_usual() -> None:
    pump = Pump().run(400)
    pump.detector.relearn(np.array([0]))
    assert not pump.detector.ready.any()
    assert pump.run(400, [9.0, 0.0, 0.0]).told == []
    assert pump.detector.ready.all()
    assert pump.run(60).levels == [Level.WARNING]


def test_the_score_is_the_rank_among_its_own_past() -> None:
    pump = Pump().run(1000)
    assert 0.0 <= pump.detector.score[0] < 1.0
    pump.run(30, [-5.0, 0.0, 0.0]).detector.update(Batch.of([0], pump.second * SECOND, [26.0]))
    assert pump.detector.score[0] > 0.999


def test_members_may_report_one_by_one_and_at_their_own_pace() -> None:
    detector = create([rule()])
    random = np.random.default_rng(3)
    told = []
    for second in range(900):
        for row in range(3):
            if row < 2 or second % 7 == 0:
                low = 5.0 if row == 0 and second > 800 else 0.0
                value = USUAL[row] + NOISE[row] * random.standard_normal() - low
                told += detector.update(Batch.of([row], second * SECOND + row, [value])).level.tolist()
    assert told == [Level.WARNING]


def test_a_learning_time_that_holds_too_few_readings_is_refused() -> None:
    slow = Rule(0, "r", "residual", channels(period_s=60.0), Options(learn_s=600.0), path=("rules", 3), group=True)
    with pytest.raises(ConfigError, match=r"600 s hold fewer than 40 readings of pump\.flow") as caught:
        create([slow])
    assert caught.value.path == ("rules", 3, "options", "learn_s")
