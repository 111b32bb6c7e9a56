from typing import Any

import numpy as np

from detectors.shift import Options, create
from gateway.core.model import Batch, Channel, Level, Quality, Rule

SECOND = 1_000_000_000
CHANNELS = tuple(Channel(row, f"pump.{row}", "pump", "x", "u", decimals=2, label=f"P{row}") for row in range(2))


def told(course: Any, **options: Any) -> list[tuple[int, Level, str]]:
    """Return what is said of two channels that show `course(second)` and a little noise."""
    rule = Rule(0, "pump", "shift", CHANNELS, Options(learn_s=200.0, **options), group=True)
    detector, random, found = create([rule]), np.random.default_rng(2), []
    for second in range(1000):
        value = np.asarray(course(second)) + 0.1 * random.standard_normal(2)
        verdicts = detector.update(Batch.of([0, 1], second * SECOND, value))
        found += [(second, Level(v), r.en) for v, r in zip(verdicts.level, verdicts.reason, strict=True)]
    return found


def starts(found: list[tuple[int, Level, str]]) -> list[int]:
    return [second for second, level, _ in found if level is Level.WARNING]


def test_each_change_of_state_is_told_once() -> None:
    found = told(lambda second: [10.0 + 3.0 * (400 <= second < 700), 5.0])
    began, ended = starts(found)
    assert 400 <= began < 415
    assert 700 <= ended < 715
    assert found[0][2].startswith("P0 +")
    assert "from where it stood, 10.0" in found[0][2]


def test_a_change_is_over_when_the_group_has_had_its_time_to_settle() -> None:
    found = told(lambda second: [10.0 + 3.0 * (second >= 400), 5.0], settle_s=50.0)
    assert [level for _, level, _ in found] == [Level.WARNING, Level.NORMAL]
    assert 50 <= found[1][0] - found[0][0] <= 53


def test_what_creeps_is_no_change() -> None:
    assert told(lambda second: [10.0 + 0.0005 * second, 5.0]) == []


def test_a_ramp_is_told_again_while_it_lasts() -> None:
    found = told(lambda second: [10.0 + 0.1 * np.clip(second - 400, 0, 300), 5.0])
    assert len(starts(found)) > 2
    assert max(starts(found)) < 730


def test_bad_readings_change_nothing() -> None:
    rule = Rule(0, "pump", "shift", CHANNELS, Options(learn_s=200.0), group=True)
    detector, random = create([rule]), np.random.default_rng(2)
    for second in range(600):
        quality = [Quality.COMMS_LOST if second > 350 else Quality.GOOD, Quality.GOOD]
        value = [10.0, 5.0] + 0.1 * random.standard_normal(2)
        assert len(detector.update(Batch.of([0, 1], second * SECOND, value, quality))) == 0
    assert detector.level.tolist() == [Level.NORMAL]
