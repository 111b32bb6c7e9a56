from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from detectors.fault import Options, create
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule
from gateway.core.plugin import Detector

SECOND = 1_000_000_000
NAN = float("nan")
BAD = [quality for quality in Quality if quality >= Quality.BAD]


def make(low: float = 0.0, high: float = 100.0, **given: Any) -> Detector:
    channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", "%LEL", low, high)
    return create([Rule(4, "r", "fault", (channel,), Options(**given), path=("rules", 2))])


def levels(
    detector: Detector, values: Sequence[float], quality: Sequence[int] | None = None, times: Sequence[float] = ()
) -> str:
    """Return the level after each reading as N or F."""
    text = ""
    for i, value in enumerate(values):
        time_ns = round((times[i] if times else i) * SECOND)
        detector.update(Batch.of([0], time_ns, [value], [quality[i] if quality else 0]))
        text += Level(int(detector.level[0])).name[0]
    return text


@pytest.mark.parametrize("reason", [*BAD, Quality.MAINTENANCE])
def test_what_is_no_evidence_is_a_fault_with_its_reason(reason: Quality) -> None:
    detector = make(delay_s=0)
    found = detector.update(Batch.of([0], 7, [3.0], reason))
    assert (found.rule.tolist(), found.level.tolist(), found.time_ns.tolist()) == ([4], [Level.FAULT], [7])
    assert found.quality.tolist() == [reason]
    assert np.isnan(found.limit).all()


@pytest.mark.parametrize("quality", [Quality.GOOD, Quality.CLOCK_DOUBTFUL, Quality.OVER_RANGE, Quality.TEST])
def test_live_readings_are_no_fault_and_clear_one(quality: Quality) -> None:
    detector = make(delay_s=0)
    assert levels(detector, [3, NAN, 3], [quality, Quality.COMMS_LOST, quality]) == "NFN"


def test_uncertain_readings_neither_raise_nor_clear() -> None:
    unsure = Quality.UNCERTAIN
    assert levels(make(delay_s=0), [3, NAN, 3, 3], [unsure, 129, unsure, 0]) == "NFFN"


def test_a_code_nobody_knows_never_clears() -> None:
    assert levels(make(delay_s=0), [NAN, 3, 3, NAN, 0], [129, 100, 7, 200, 0]) == "FFFFN"


def test_a_fault_must_last_for_the_delay() -> None:
    lost = Quality.COMMS_LOST
    assert levels(make(delay_s=2), [NAN, NAN, 3, NAN, NAN, NAN], [lost, lost, 0, lost, lost, lost]) == "NNNNNF"


def test_reasons_that_follow_one_another_are_one_fault() -> None:
    assert levels(make(delay_s=2), [NAN, NAN, NAN], [129, 130, 132]) == "NNF"


def test_a_fault_ends_after_sound_readings_for_the_off_delay() -> None:
    assert levels(make(delay_s=0, off_delay_s=2), [NAN, 3, 3, NAN, 3, 3, 3], [129, 0, 0, 129, 0, 0, 0]) == "FFFFFFN"


def test_a_value_far_below_the_range_is_a_fault() -> None:
    detector = make(delay_s=0)
    assert levels(detector, [-10.0, -10.1, -9.0]) == "NFN"
    found = make(delay_s=0).update(Batch.of([0], 0, [-12.0]))
    assert (found.quality.tolist(), found.limit.tolist(), found.value.tolist()) == (
        [Quality.UNDER_RANGE],
        [-10.0],
        [-12.0],
    )


def test_a_value_above_the_range_is_danger_and_no_fault() -> None:
    assert levels(make(delay_s=0), [100, 1000, 1e9]) == "NNN"


def test_an_unknown_range_has_no_ends() -> None:
    assert levels(make(NAN, NAN, delay_s=0), [-1e9, 1e9]) == "NN"


def test_a_given_range_has_two_ends() -> None:
    detector = make(delay_s=0, range=(-5, 110))
    assert levels(detector, [-5, -5.1, 110, 110.1]) == "NFNF"
    found = make(delay_s=0, range=(-5, 110)).update(Batch.of([0], 0, [200.0]))
    assert (found.quality.tolist(), found.limit.tolist()) == ([Quality.SENSOR_FAULT], [110.0])
    assert levels(make(delay_s=0, range=(-5, 110)), [120], [Quality.OVER_RANGE]) == "N"


def test_a_value_below_the_range_waits_for_the_delay() -> None:
    assert levels(make(delay_s=2), [-20, -20, -20, 0]) == "NNFN"


def test_a_still_value_is_believed_unless_asked_for() -> None:
    assert set(levels(make(delay_s=0), [0.0] * 500)) == {"N"}


def test_a_value_that_does_not_move_is_frozen_and_freed_by_moving() -> None:
    detector = make(frozen_s=5)
    assert levels(detector, [3.0] * 7 + [3.1] * 3) == "NNNNNFFNNN"


def test_frozen_is_told_as_such() -> None:
    detector = make(frozen_s=2)
    found = [detector.update(Batch.of([0], i * SECOND, [3.0])) for i in range(3)][-1]
    assert found.quality.tolist() == [Quality.FROZEN]
    assert found.value.tolist() == [3.0]


def test_small_moves_within_the_band_are_no_life() -> None:
    wobble = [3.0, 3.05, 2.96, 3.04, 3.0, 3.05]
    assert levels(make(frozen_s=5, frozen_band=0.1), wobble) == "NNNNNF"
    assert levels(make(frozen_s=5, frozen_band=0.01), wobble) == "NNNNNN"


def test_slow_drift_is_life() -> None:
    assert set(levels(make(frozen_s=5, frozen_band=0.1), [3 + 0.03 * i for i in range(60)])) == {"N"}


def test_bad_readings_do_not_free_a_frozen_instrument() -> None:
    detector = make(delay_s=0, frozen_s=3)
    assert levels(detector, [3, 3, 3, 3, NAN, 3, 3, 4], [0, 0, 0, 0, 129, 0, 0, 0]) == "NNNFFFFN"


def test_silence_is_no_stillness() -> None:
    detector = make(delay_s=100, frozen_s=5)
    assert levels(detector, [3, 3, 3, NAN, 3, 3, 3], [0, 0, 0, 129, 0, 0, 0]) == "NNNNNNN"
    assert levels(make(frozen_s=50), [3, 3, 3], times=[0, 1, 1000]) == "NNN"


def test_a_clock_set_back_neither_freezes_nor_frees() -> None:
    assert levels(make(frozen_s=3), [3] * 8, times=[100, 101, 102, 50, 51, 52, 53, 54]) == "NNNNNNFF"
    assert levels(make(frozen_s=3), [3] * 6, times=[100, 101, 102, 103, 50, 51]) == "NNNFFF"


def test_a_clock_set_back_restarts_the_delay() -> None:
    lost = [Quality.COMMS_LOST] * 5
    assert levels(make(delay_s=2), [NAN] * 5, lost, times=[100, 101, 50, 51, 52]) == "NNNNF"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"delay_s": 101}, "less than or equal to 100"),
        ({"range": [5, 5]}, "begins at 5"),
        ({"frozen_band": 0.1}, "needs frozen_s"),
        ({"frozen_s": 0}, "greater than 0"),
        ({"delay": 5}, "Extra inputs"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Options.model_validate(given)


def test_frozen_between_two_readings_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"rules\[2\]\.options\.frozen_s: 1 s is no longer"):
        make(frozen_s=1.0)
