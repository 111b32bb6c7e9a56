from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from detectors.vote import Options, create
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule
from gateway.core.plugin import Detector

SECOND = 1_000_000_000
NAN = float("nan")


def heads(count: int, unit: str = "%LEL") -> tuple[Channel, ...]:
    return tuple(
        Channel(k, f"gd-{k + 1}.ch4", f"gd-{k + 1}", "ch4", unit, range_high=100.0, decimals=0) for k in range(count)
    )


def vote(count: int, **options: Any) -> Detector:
    return create([Rule(3, "trip", "vote", heads(count), Options(**options), group=True, path=("rules", 1))])


def say(detector: Detector, second: float, *values: float, quality: int = 0) -> list[tuple[str, str]]:
    """Read all heads at once; NaN is a lost value. Return what changed, with its reason."""
    rows = np.arange(len(values))
    codes = [Quality.COMMS_LOST if np.isnan(value) else quality for value in values]
    found = detector.update(Batch.of(rows, round(second * SECOND), list(values), codes))
    return [(Level(int(level)).name, reason.en) for level, reason in zip(found.level, found.reason, strict=True)]


def test_one_head_of_three_is_no_alarm_and_two_are() -> None:
    detector = vote(3, high=40)
    assert say(detector, 0, 50, 3, 3) == []
    assert say(detector, 1, 50, 45, 3) == [
        ("HIGH", "2 of 3 beyond 40 %LEL within 10 s: gd-1.ch4 50 %LEL and gd-2.ch4 45 %LEL")
    ]


def test_heads_that_see_the_cloud_one_after_the_other_agree_within_the_window() -> None:
    detector = vote(3, high=40, within_s=10)
    say(detector, 0, 50, 3, 3)
    say(detector, 1, 5, 3, 3)
    assert [level for level, _ in say(detector, 10, 5, 50, 3)] == ["HIGH"]
    late = vote(3, high=40, within_s=10)
    say(late, 0, 50, 3, 3)
    say(late, 1, 5, 3, 3)
    assert say(late, 11, 5, 50, 3) == []


def test_a_head_that_stays_beyond_keeps_its_vote_however_seldom_it_is_read() -> None:
    detector = vote(2, high=40, within_s=1)
    say(detector, 0, 50)
    assert [Level(int(level)) for level in detector.update(Batch.of([1], 300 * SECOND, [50.0])).level] == [Level.HIGH]


def test_each_step_has_its_own_vote() -> None:
    detector = vote(3, low=20, high=40)
    assert [level for level, _ in say(detector, 0, 50, 25, 3)] == ["LOW"]
    assert [level for level, _ in say(detector, 1, 50, 45, 3)] == ["HIGH"]
    assert [level for level, _ in say(detector, 20, 50, 25, 3)] == ["LOW"]
    assert say(detector, 25, 5, 4, 3) == []
    assert say(detector, 31, 5, 4, 3) == [("NORMAL", "0 of 3 beyond 20 %LEL")]


def test_of_two_heads_the_one_that_is_left_decides() -> None:
    detector = vote(2, high=40)
    assert say(detector, 0, 50, 3) == []
    assert say(detector, 1, 50, NAN) == [
        ("HIGH", "1 of 2 beyond 40 %LEL within 10 s: gd-1.ch4 50 %LEL; 1 without a value")
    ]


def test_of_three_heads_both_that_are_left_must_agree() -> None:
    detector = vote(3, high=40)
    assert say(detector, 0, 50, 3, NAN) == []
    assert [level for level, _ in say(detector, 1, 50, 41, NAN)] == ["HIGH"]


def test_a_strict_vote_is_as_strict_without_a_head() -> None:
    detector = vote(2, high=40, bad="keep")
    assert say(detector, 0, 50, NAN) == []
    assert [level for level, _ in say(detector, 1, 50, 50)] == ["HIGH"]


def test_a_vote_given_before_the_value_was_lost_stands() -> None:
    detector = vote(3, high=40, within_s=5)
    say(detector, 0, 50, 45, 3)
    for second in range(1, 100):
        assert say(detector, second, NAN, NAN, 3) == []
    assert say(detector, 100, 5, 4, 3) == []
    assert [level for level, _ in say(detector, 106, 5, 4, 3)] == ["NORMAL"]


def test_no_value_at_all_raises_and_clears_nothing() -> None:
    detector = vote(2, high=40, votes=1)
    for second in range(50):
        assert say(detector, second, NAN, NAN) == []
    say(detector, 50, 60, 3)
    for second in range(51, 100):
        assert say(detector, second, NAN, NAN) == []
    assert detector.level[0] == Level.HIGH


def test_below_votes_at_or_below_and_over_range_says_nothing_there() -> None:
    detector = vote(2, high=18, side="below")
    assert say(detector, 0, 17, 20) == []
    assert [level for level, _ in say(detector, 1, 17, 18)] == ["HIGH"]
    assert say(detector, 60, 17, 5, quality=Quality.OVER_RANGE) == []
    assert say(vote(2, high=18, side="below"), 0, 17, 5, quality=Quality.OVER_RANGE) == []


def test_over_range_counts_as_the_end_of_the_range() -> None:
    assert [level for level, _ in say(vote(2, high=90), 0, 5, 5, quality=Quality.OVER_RANGE)] == ["HIGH"]


def test_a_vote_ends_only_below_the_deadband() -> None:
    detector = vote(2, high=40, deadband=5, within_s=0)
    say(detector, 0, 50, 50)
    assert say(detector, 1, 36, 36) == []
    assert [level for level, _ in say(detector, 2, 34, 36)] == ["NORMAL"]


def test_delays_count_the_time_of_readings() -> None:
    detector = vote(2, high=40, on_delay_s=5, off_delay_s=5, within_s=0)
    assert say(detector, 0, 50, 50) == []
    assert [level for level, _ in say(detector, 5, 50, 50)] == ["HIGH"]
    assert say(detector, 6, 5, 5) == []
    assert [level for level, _ in say(detector, 11, 5, 5)] == ["NORMAL"]


def test_a_dead_head_does_not_keep_the_others_alarm_for_ever_and_its_silence_clears_nothing() -> None:
    detector = vote(3, high=40, off_delay_s=5, within_s=0)
    dead = [Quality.GOOD, Quality.GOOD, Quality.COMMS_LOST]

    def tell(second: float, value: float, quality: list[Quality]) -> list[int]:
        return detector.update(Batch.of([0, 1, 2], round(second * SECOND), [value] * 3, quality)).level.tolist()

    assert tell(0, 50, dead) == [Level.HIGH]
    assert [tell(second, 5, dead) for second in range(1, 6)] == [[]] * 5
    assert tell(6, 5, dead) == [Level.NORMAL]
    assert tell(10, 50, dead) == [Level.HIGH]
    assert tell(11, 5, dead) == []
    assert [tell(second, 5, [Quality.COMMS_LOST] * 3) for second in range(12, 60)] == [[]] * 48
    assert tell(60, 5, dead) == [], "nobody saw what was there meanwhile"
    assert tell(66, 5, dead) == [Level.NORMAL]


def test_a_set_point_beyond_what_a_member_can_show_is_refused() -> None:
    with pytest.raises(ConfigError, match="140 %LEL lies outside the range of gd-1"):
        vote(2, high=140)


def test_a_vote_that_has_run_out_is_not_revived_by_a_clock_set_back() -> None:
    detector = vote(2, high=40, within_s=10)
    say(detector, 1000, 50, 3)
    say(detector, 1001, 5, 3)
    say(detector, 1020, 5, 3)
    assert say(detector, 1005, 5, 50) == []


def test_reasons_are_in_chinese_too() -> None:
    found = vote(3, high=40).update(Batch.of([0, 1], 0, [50.0, 45.0]))
    assert found.reason[0].zh == "3个中2个越过40 %LEL(10秒内):gd-1.ch4 50 %LEL和gd-2.ch4 45 %LEL"
    assert (found.value.tolist(), found.limit.tolist()) == ([2.0], [2.0])


def test_votes_that_cannot_be_reached_are_refused_with_their_place() -> None:
    with pytest.raises(ConfigError, match=r"2 votes of 1 members \(gd-1.ch4\) can never be reached") as found:
        vote(1, high=40)
    assert found.value.path == ("rules", 1, "options", "votes")
    mixed = (*heads(1), *[Channel(1, "x.y", "x", "ch4", "%VOL")])
    with pytest.raises(ConfigError, match="members in %LEL, %VOL"):
        create([Rule(0, "trip", "vote", mixed, Options(high=40), group=True)])


@pytest.mark.parametrize("options", [{}, {"low": 50, "high": 40}, {"low": 18, "high": 19, "side": "below"}])
def test_set_points_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="low"):
        Options(**options)
