import numpy as np
import pytest

from benchmarks import detection_skab
from benchmarks.detection_skab import File, changes, outliers, risen, windows, worth
from detectors import residual, shift
from gateway.core.model import Channel
from gateway.evaluation.recording import Recording


def file(rows: int, *moments: int) -> File:
    nothing = np.zeros(0)
    empty = Recording(
        "x", "skab", (Channel(0, "a.b", "a", "b"),), nothing.astype(np.int32), nothing.astype(np.int64), nothing,
        nothing.astype(np.uint8),
    )  # fmt: skip
    change = np.zeros(rows, bool)
    change[list(moments)] = True
    return File("x", empty, np.arange(rows, dtype=float), np.zeros(rows, bool), change)


def reports(rows: int, *moments: int) -> np.ndarray:
    found = np.zeros(rows, bool)
    found[list(moments)] = True
    return found


def test_outliers_are_counted_a_row_at_a_time_over_all_files() -> None:
    so, told = np.array([1, 1, 1, 0, 0], bool), np.array([1, 1, 0, 1, 0], bool)
    assert outliers([(so[:3], told[:3]), (so[3:], told[3:])]) == (pytest.approx(4 / 6), 0.5, pytest.approx(1 / 3))


def test_of_windows_that_meet_the_later_begins_where_the_earlier_ends() -> None:
    assert windows(file(300, 100, 140, 250)) == [(70.0, 130.0), (130.0, 170.0), (220.0, 280.0)]


def test_a_report_is_worth_the_more_the_earlier_it_comes_in_its_window() -> None:
    course = [worth(share, 1.0, -0.11) for share in np.linspace(0, 1, 50)]
    assert course == sorted(course, reverse=True)
    assert (course[0], course[-1]) == (pytest.approx(1.0), pytest.approx(-0.11))
    assert worth(0.5, 1.0, -0.11) == pytest.approx(0.445, abs=0.001)


def test_silence_is_worth_nothing_and_the_earliest_reports_a_hundred() -> None:
    one = file(400, 100, 300)
    assert changes([(one, reports(400))]).score == {"standard": 0.0, "low FP": 0.0, "low FN": 0.0}
    assert changes([(one, reports(400, 70, 270))]).score["standard"] == pytest.approx(100.0)


def test_only_the_first_report_in_a_window_counts_and_strays_cost() -> None:
    one = file(400, 100, 300)
    found = changes([(one, reports(400, 70, 75, 120, 200, 201))])
    assert (found.found, found.there, found.false) == (1, 2, 2)
    assert found.score["standard"] == pytest.approx(100 * (1.0 - 1.0 - 0.22 + 2) / 4)


def test_a_level_rises_where_it_was_not_raised_before() -> None:
    assert risen(np.array([1, 1, 0, 1], bool)).tolist() == [True, False, False, True]


def test_the_shipped_rules_have_options_that_their_detectors_take() -> None:
    assert detection_skab.options("residual", residual.Options).learn_s == 400
    assert detection_skab.options("shift", shift.Options).learn_s == 400
