"""Scores of the Numenta Anomaly Benchmark, as its own scorer gives them: pure functions on arrays.

A detector gives each reading a number; all readings at or above one threshold, the same for the whole corpus, are
alarms. Of each labelled window the earliest alarm earns between 0 and 1 point, the more the earlier; a window without
one costs; each alarm outside costs a little, less just behind a window. The first part of each series is not scored.
The sum is given as a percentage of the way from a detector that never alarms to one that is perfect.

`weigh` turns one series into what each of its readings would change, `sweep` adds these up over a corpus for every
threshold at once, in O(n log n), and `best`, `raw_at`, `normalised` and `held_out` make figures of that.

    >>> series = weigh(np.array([0.0] * 10 + [0.9] + [0.1] * 9), [(8, 12)], STANDARD)
    >>> found = best([series])
    >>> round(found.score, 1), found.threshold
    (95.9, 0.9)

References:
    A. Lavin, S. Ahmad, Evaluating Real-Time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark, ICMLA 2015.
    numenta/NAB v1.1, config/profiles.json: the weights of the three profiles.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Windows = Sequence[tuple[int, int]]
"""Labelled windows of one series: positions of the first and the last reading, both inside, in order."""

PROBATION_SHARE: Final = 0.15
PROBATION_READINGS_MAX: Final = 750
"""A share of 5,000 readings at most: longer series are not left unscored for longer."""

_FAR: Final = 3.0
"""Behind a window by more than so many of its widths, an alarm counts as wholly false."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What an alarm in a window, one outside, and a window without alarm count.

    Attributes:
        name: Its name in profiles.json.
        found: What the earliest possible alarm of a window earns.
        false: What an alarm far from any window costs.
        missed: What a window without alarm costs.
    """

    name: str
    found: float
    false: float
    missed: float


STANDARD: Final = Profile("standard", 1.0, 0.11, 1.0)
LOW_FP: Final = Profile("reward_low_FP_rate", 1.0, 0.22, 1.0)
LOW_FN: Final = Profile("reward_low_FN_rate", 1.0, 0.11, 2.0)
PROFILES: Final = (STANDARD, LOW_FP, LOW_FN)


class Weighed(NamedTuple):
    """One series, ready to be scored at any threshold.

    Attributes:
        score: float64[n], the readings' numbers beyond probation, falling.
        gain: float64[n], what each adds to the raw score once it is an alarm and all before it are.
        idle: The raw score while nothing is an alarm.
        perfect: The best raw score there is.
    """

    score: Float64
    gain: Float64
    idle: float
    perfect: float


class Best(NamedTuple):
    """The best that one threshold for all series reaches.

    Attributes:
        score: Percent of the way from silence to perfection.
        threshold: The least number that is an alarm; infinite where silence is best.
    """

    score: float
    threshold: float


def probation(readings: int) -> int:
    """Return how many readings at the beginning of a series are not scored."""
    return min(int(PROBATION_SHARE * readings), PROBATION_READINGS_MAX)


def positions(time_ns: Int64, limits: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return windows by position from windows by time.

    A limit that is the time of a reading means the first such reading, as in the benchmark's own scorer, whose files
    have an hour twice where clocks were set back. Other limits shrink to the readings inside; windows without any
    reading are left out.
    """
    found = []
    for begin, end in sorted(limits):
        first = _first(time_ns == begin, _first(time_ns >= begin, len(time_ns)))
        after = _first(time_ns > end, len(time_ns))
        last = _first(time_ns == end, after - 1)
        if first <= last:
            found.append((first, last))
    return found


def _first(where: NDArray[np.bool_], default: int) -> int:
    return int(where.argmax()) if where.any() else default


def _fades(x: Float64) -> Float64:
    """Return the benchmark's sigmoid: near 1 long before the end of a window, 0 at it, -1 far behind."""
    return np.where(x > _FAR, -1.0, 2.0 / (1.0 + np.exp(np.minimum(5.0 * x, 50.0))) - 1.0)


_EARLIEST: Final = float(_fades(np.array([-1.0]))[0])


def values(readings: int, windows: Windows, profile: Profile) -> Float64:
    """Return what an alarm at each reading counts by itself: positive inside of windows, negative outside.

    Args:
        readings: Length of the series.
        windows: Its windows, not overlapping.
        profile: The weights.
    """
    worth = np.full(readings, -profile.false)
    for k, (first, last) in enumerate(windows):
        width = last - first + 1
        inside = -np.arange(width, 0, -1) / width
        worth[first : last + 1] = _fades(inside) * (profile.found / _EARLIEST)
        until = windows[k + 1][0] if k + 1 < len(windows) else readings
        behind = np.arange(1, until - last) / max(width - 1, 1)
        worth[last + 1 : until] = _fades(behind) * profile.false
    return worth


def weigh(score: Float64, windows: Windows, profile: Profile) -> Weighed:
    """Return what each reading of a series would change.

    Args:
        score: float64[n], a number for each reading, higher where more unusual; NaN is never an alarm.
        windows: The labelled windows.
        profile: The weights.

    Returns:
        The series without its probation; windows wholly within probation cannot be found and count as missed.
    """
    readings, begin = len(score), probation(len(score))
    gain = values(readings, windows, profile)
    order = np.argsort(-score, kind="stable")
    rank = np.empty(readings, np.intp)
    rank[order] = np.arange(readings)
    for first, last in windows:
        first_scored = max(first, begin)
        by_rank = first_scored + np.argsort(rank[first_scored : last + 1])
        reached = np.maximum.accumulate(gain[by_rank])
        gain[by_rank] = np.diff(reached, prepend=-profile.missed)
    order = order[(order >= begin) & ~np.isnan(score[order])]
    return Weighed(score[order], gain[order], -profile.missed * len(windows), profile.found * len(windows))


def sweep(corpus: Iterable[Weighed]) -> tuple[Float64, Float64]:
    """Return every threshold that makes a difference, falling from infinity, and the raw score at each."""
    parts = list(corpus)
    score = np.concatenate([np.array([np.inf]), *(part.score for part in parts)])
    gain = np.concatenate([np.array([sum(part.idle for part in parts)]), *(part.gain for part in parts)])
    order = np.argsort(-score, kind="stable")
    score, total = score[order], np.cumsum(gain[order])
    last_of_equals = np.append(score[1:] != score[:-1], True)  # numpy.append takes no keyword here
    return score[last_of_equals], total[last_of_equals]


def raw_at(series: Weighed, threshold: float) -> float:
    """Return the raw score of one series at a threshold."""
    alarms = int(np.searchsorted(-series.score, -threshold, side="right"))
    return series.idle + float(series.gain[:alarms].sum())


def normalised(raw: float, corpus: Iterable[Weighed]) -> float:
    """Return a raw score in percent of the way from silence (0) to perfection (100); NaN without any window."""
    parts = list(corpus)
    idle, perfect = sum(part.idle for part in parts), sum(part.perfect for part in parts)
    return 100.0 * (raw - idle) / (perfect - idle) if perfect > idle else float("nan")


def best(corpus: Sequence[Weighed]) -> Best:
    """Return the best score, and the highest threshold that reaches it: how the benchmark's own board is made."""
    threshold, total = sweep(corpus)
    at = int(total.argmax())
    return Best(normalised(float(total[at]), corpus), float(threshold[at]))


def at_threshold(corpus: Sequence[Weighed], threshold: float) -> float:
    """Return the score of a corpus at a threshold chosen elsewhere."""
    return normalised(sum(raw_at(series, threshold) for series in corpus), corpus)


def held_out(corpus: Mapping[str, Weighed], groups: Iterable[Iterable[str]]) -> float:
    """Return the score when each group of series is judged by the threshold that is best for all others.

    Args:
        corpus: Series by name.
        groups: Names; each series is in one group.
    """
    raw = 0.0
    for group in groups:
        left_out = set(group)
        threshold = best([series for name, series in corpus.items() if name not in left_out]).threshold
        raw += sum(raw_at(corpus[name], threshold) for name in left_out)
    return normalised(raw, corpus.values())


def by_category(names: Iterable[str]) -> list[list[str]]:
    """Return names in groups by what stands before the first slash."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.partition("/")[0], []).append(name)
    return list(found.values())


def folds(names: Sequence[str], count: int = 5, seeds: int = 10) -> Iterator[list[list[str]]]:
    """Return names in `count` groups of about one size, shuffled anew for each seed from 0."""
    for seed in range(seeds):
        shuffled = np.random.default_rng(seed).permutation(len(names))
        yield [[names[k] for k in part] for part in np.array_split(shuffled, count)]
