"""What the learned detectors of change have in common, and what each of them is there for."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Rule

SECOND = 1_000_000_000
START = 1_700_000_000
LEARN_S = 7200

OPTIONS: dict[str, dict[str, Any]] = {
    "deviation": {},
    "cusum": {},
    "page_hinkley": {"tolerance": 0.5, "limit": 10.0},
    "change_point": {"window_s": 300.0},
    "seasonal": {"cell_s": 60.0, "days": "alike", "learn_s": 7200.0},
}
"""Those that see a level that has changed; each by its usual parameters, but for a shorter time to learn."""


def make(name: str, *, decimals: int = 2, period_s: float = 5.0, **given: Any) -> Any:
    module = importlib.import_module(f"detectors.{name}")
    channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", "%LEL", 0.0, 100.0, decimals=decimals, period_s=period_s)
    options = module.Options(**{"learn_s": LEARN_S, "off_delay_s": 60.0, **OPTIONS.get(name, {}), **given})
    return module.create([Rule(4, "r", name, (channel,), options)])


def run(
    detector: Any, seconds: range, value: Callable[[int], float], *, seed: int = 1, noise: float = 0.2
) -> list[Any]:
    random = np.random.default_rng(seed)
    found = []
    for second in seconds:
        batch = Batch.of([0], (START + second) * SECOND, [value(second) + random.normal(0, noise)])
        verdicts = detector.update(batch)
        found += [(second, int(level), *verdicts.reason) for level in verdicts.level]
    return found


def learned(name: str, **given: Any) -> Any:
    detector = make(name, **given)
    assert run(detector, range(0, 2 * LEARN_S, 5), lambda _: 5.0) == []
    assert detector.ready.all()
    return detector


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "seasonal"])
def test_a_lasting_shift_is_one_warning_that_ends_when_it_is_gone(name: str) -> None:
    detector, begin = learned(name), 2 * LEARN_S
    raised = run(detector, range(begin, begin + 3600, 5), lambda _: 8.0, seed=2)
    assert [level for _, level, _ in raised][:1] == [Level.WARNING]
    over = run(detector, range(begin + 3600, begin + 9000, 5), lambda _: 5.0, seed=3)
    levels = [level for _, level, _ in raised + over]
    assert levels[-1] == Level.NORMAL
    # A change back is itself a change; nothing else is told twice.
    assert len(levels) == (4 if name == "change_point" else 2)


@pytest.mark.parametrize("name", OPTIONS)
def test_only_the_direction_asked_for_is_told(name: str) -> None:
    begin = 2 * LEARN_S
    for direction, expected in (("rise", False), ("fall", True)):
        detector = learned(name, direction=direction)
        found = run(detector, range(begin, begin + 1200, 5), lambda _: 2.0, seed=2)
        assert bool(found) is expected


@pytest.mark.parametrize("name", OPTIONS)
def test_a_week_of_noise_with_a_daily_rhythm_is_calm(name: str) -> None:
    # A window of ten minutes holds only two of these readings' cells; a step is seen over an hour.
    given = {"window_s": 3600.0} if name == "change_point" else {}
    detector = make(name, period_s=120.0, learn_s=2 * 86_400.0, off_delay_s=600.0, **given)
    found = run(detector, range(0, 7 * 86_400, 120), lambda s: 5.0 + 0.6 * np.sin(2 * np.pi * s / 86_400), noise=0.2)
    assert detector.ready.all()
    assert len(found) <= 2


@pytest.mark.parametrize("name", ["deviation", "cusum", "seasonal"])
def test_a_leak_that_grows_over_days_is_not_learned(name: str) -> None:
    detector, begin = learned(name), 2 * LEARN_S
    found = run(detector, range(begin, begin + 3 * 86_400, 120), lambda s: 5.0 + (s - begin) / 86_400 * 1.0, noise=0.2)
    assert found
    assert detector.level.tolist() == [Level.WARNING]


def test_the_score_is_the_share_of_the_past_below() -> None:
    detector = learned("deviation")
    begin = 2 * LEARN_S
    run(detector, range(begin, begin + 40_000, 5), lambda _: 5.0, seed=7)
    assert 0.0 <= detector.score[0] < 1.0
    run(detector, range(begin + 40_000, begin + 41_000, 5), lambda _: 9.0, seed=8)
    assert detector.score[0] > 0.98


def test_noise_that_grows_and_noise_that_dies_are_told_and_a_trend_is_not() -> None:
    begin, hours = 2 * LEARN_S, 4 * 3600
    quiet: dict[str, Any] = {"decimals": 3, "floor": 0.01, "window_s": 120.0}
    assert (
        run(learned("variance", **quiet), range(begin, begin + hours, 5), lambda s: 5.0 + (s - begin) / 1000, seed=2)
        == []
    )
    for noise, word in ((1.5, "times the most usual here"), (0.01, "gone deaf")):
        detector = learned("variance", **quiet)
        found = run(detector, range(begin, begin + hours, 5), lambda _: 5.0, seed=2, noise=noise)
        assert [level for _, level, _ in found] == [Level.WARNING]
        assert word in found[0][2].en
        assert "噪声" in found[0][2].zh


def test_what_was_never_more_than_the_resolution_cannot_become_too_quiet() -> None:
    detector, begin = make("variance", floor=0.5, window_s=120.0), 2 * LEARN_S
    run(detector, range(0, begin, 5), lambda _: 5.0, noise=0.2)
    assert run(detector, range(begin, begin + 4 * 3600, 5), lambda _: 5.0, noise=0.0) == []


def test_a_single_wild_cell_is_no_shift_to_a_median_and_no_sum() -> None:
    begin = 2 * LEARN_S
    for detector in (learned("deviation", method="robust"), learned("cusum"), learned("change_point")):
        found = run(detector, range(begin, begin + 1200, 5), lambda s: 60.0 if begin + 600 <= s < begin + 618 else 5.0)
        assert found == []


def test_an_hour_is_judged_by_what_it_usually_shows() -> None:
    detector = make("seasonal", learn_s=8 * 86_400.0, cell_s=600.0, period_s=300.0, utc_offset_h=8.0, days="alike")

    def busy(second: int) -> float:
        hour = ((START + second) / 3600 + 8) % 24
        return 50.0 if 8 <= hour < 18 else 5.0

    assert run(detector, range(0, 9 * 86_400, 300), busy) == []
    begin = 9 * 86_400
    night = next(s for s in range(begin, begin + 86_400, 300) if 1 <= ((START + s) / 3600 + 8) % 24 < 1.5)
    found = run(detector, range(begin, night + 1800, 300), lambda s: 50.0 if s >= night else busy(s))
    assert [level for _, level, _ in found] == [Level.WARNING]
    assert "its mean from 01:00" in found[0][2].en
    assert "01:00 时段均值" in found[0][2].zh


@pytest.mark.parametrize("name", [*OPTIONS, "variance"])
def test_too_short_a_time_to_learn_is_refused_with_its_place(name: str) -> None:
    with pytest.raises(ConfigError, match="learn_s"):
        make(name, learn_s=100.0)
