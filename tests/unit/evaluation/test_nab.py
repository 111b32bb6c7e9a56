"""The benchmark's scores: against its definition written out as a loop, by hand, and on published detectors."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from gateway.evaluation import nab
from gateway.evaluation.nab import LOW_FN, LOW_FP, PROFILES, STANDARD, Profile

PUBLISHED = Path(__file__).parents[2] / "data" / "nab"


def sigmoid(x: float) -> float:
    return -1.0 if x > 3.0 else 2.0 / (1.0 + np.exp(5.0 * x)) - 1.0


def written_out(score: np.ndarray, windows: list[tuple[int, int]], profile: Profile, threshold: float) -> float:
    """Return the raw score, reading by reading as the benchmark's paper has it."""
    begin = min(int(0.15 * len(score)), 750)
    found: dict[int, float] = {}
    false = 0.0
    for i in range(begin, len(score)):
        if not score[i] >= threshold:
            continue
        inside = [k for k, (first, last) in enumerate(windows) if first <= i <= last]
        before = [k for k, (_, last) in enumerate(windows) if last < i]
        if inside:
            first, last = windows[inside[0]]
            worth = sigmoid(-(last - i + 1) / (last - first + 1)) / sigmoid(-1.0)
            found[inside[0]] = max(found.get(inside[0], -9.0), worth * profile.found)
        elif before:
            first, last = windows[before[-1]]
            false += sigmoid((i - last) / (last - first)) * profile.false
        else:
            false -= profile.false
    return false + sum(found.get(k, -profile.missed) for k in range(len(windows)))


def random_case(seed: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    random = np.random.default_rng(seed)
    n = int(random.integers(60, 400))
    edges = np.sort(random.choice(np.arange(1, n), 2 * int(random.integers(0, 5)), replace=False)).tolist()
    windows = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]
    return random.choice([random.random(n), np.round(random.random(n), 1)]), windows


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_every_threshold_scores_as_written_out(seed: int, profile: Profile) -> None:
    score, windows = random_case(seed)
    weighed = nab.weigh(score, windows, profile)
    for threshold, raw in zip(*nab.sweep([weighed]), strict=True):
        assert raw == pytest.approx(written_out(score, windows, profile, threshold), abs=1e-9)
        assert nab.raw_at(weighed, threshold) == pytest.approx(raw, abs=1e-9)


def test_the_sweep_over_several_series_is_the_sum_of_each() -> None:
    cases = [random_case(seed) for seed in range(5)]
    weighed = [nab.weigh(score, windows, STANDARD) for score, windows in cases]
    for threshold, raw in list(zip(*nab.sweep(weighed), strict=True))[::17]:
        assert raw == pytest.approx(sum(written_out(s, w, STANDARD, threshold) for s, w in cases), abs=1e-9)


def test_the_first_reading_of_a_window_earns_everything_and_silence_nothing() -> None:
    score = np.zeros(100)
    score[40] = 1.0
    assert nab.best([nab.weigh(score, [(40, 60)], STANDARD)]) == (pytest.approx(100.0), 1.0)
    assert nab.best([nab.weigh(np.zeros(100), [(40, 60)], STANDARD)]).threshold == np.inf
    assert nab.best([nab.weigh(np.zeros(100), [(40, 60)], STANDARD)]).score == 0.0


def test_an_alarm_far_from_windows_costs_the_profile_s_price() -> None:
    score = np.zeros(100)
    score[[30, 40]] = 1.0
    for profile, price in ((STANDARD, 0.11), (LOW_FP, 0.22)):
        weighed = nab.weigh(score, [(40, 60)], profile)
        assert nab.at_threshold([weighed], 0.5) == pytest.approx(100.0 * (2.0 - price) / 2.0)
    assert nab.at_threshold([nab.weigh(score, [(40, 60)], LOW_FN)], 0.5) == pytest.approx(100.0 * (3.0 - 0.11) / 3.0)


def test_alarms_in_probation_count_for_nothing() -> None:
    score = np.zeros(1000)
    score[:150] = 1.0
    assert nab.probation(1000) == 150
    assert nab.probation(20_000) == 750
    assert nab.raw_at(nab.weigh(score, [(500, 600)], STANDARD), 0.5) == -1.0
    assert nab.raw_at(nab.weigh(score, [(100, 140)], STANDARD), 0.5) == -1.0


def test_a_reading_without_a_number_is_never_an_alarm() -> None:
    score = np.full(100, np.nan)
    score[50] = 0.5
    assert len(nab.weigh(score, [(40, 60)], STANDARD).score) == 1


def test_windows_are_found_by_time() -> None:
    time_ns = np.array([0, 10, 20, 30, 20, 30, 40, 50], np.int64)
    assert nab.positions(time_ns, [(20, 30)]) == [(2, 3)]
    assert nab.positions(time_ns, [(31, 44), (1, 11)]) == [(1, 1), (6, 6)]
    assert nab.positions(time_ns, [(60, 70), (41, 42)]) == []


def test_a_threshold_from_other_series_is_worse_than_one_s_own() -> None:
    loud, quiet = np.zeros(200), np.zeros(200)
    loud[100], loud[20:90], quiet[100] = 0.9, 0.6, 0.5
    corpus = {"a/1": nab.weigh(loud, [(95, 120)], STANDARD), "b/1": nab.weigh(quiet, [(95, 120)], STANDARD)}
    groups = nab.by_category(corpus)
    assert groups == [["a/1"], ["b/1"]]
    # Chosen on `quiet` the threshold is 0.5 and 60 false alarms cost more than `loud` earns; chosen on `loud`, 0.9,
    # `quiet` is missed.
    assert nab.held_out(corpus, groups) < 0.0 < nab.best(list(corpus.values())).score


def test_folds_hold_each_name_once_and_come_again_the_same() -> None:
    names = [f"n{k}" for k in range(13)]
    for parts in nab.folds(names, 5, 3):
        assert [len(part) for part in parts] == [3, 3, 3, 2, 2]
        assert sorted(name for part in parts for name in part) == sorted(names)
    assert list(nab.folds(names)) == list(nab.folds(names))


@pytest.mark.parametrize("detector", ["numenta", "relativeEntropy"])
def test_published_detectors_score_as_published(detector: str) -> None:
    expected = json.loads((PUBLISHED / "expected.json").read_bytes())[detector]
    files = json.loads((PUBLISHED / "windows.json").read_bytes())
    scores = json.loads(gzip.decompress((PUBLISHED / f"{detector}.json.gz").read_bytes()))
    for profile in PROFILES:
        corpus = [nab.weigh(np.array(scores[n]), files[n]["windows"], profile) for n in files]
        found = nab.best(corpus)
        assert found.score == pytest.approx(expected[profile.name]["score"], abs=0.01)
        assert found.threshold == pytest.approx(expected[profile.name]["threshold"])
        assert all(len(scores[n]) == files[n]["readings"] for n in files)
