"""Detectors that learn what is normal: told what not to learn from, made to forget, asked how far they are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.alarms.level import NAME, SEVERITIES, SEVERITY
from gateway.core.model import Channel, Level, Rule
from gateway.core.plugin import Learning
from gateway.core.status import RuleStatus
from gateway.flow.bench import Bench

_WORSE = SEVERITY[Level.FAULT]
_LEVELS = tuple(Level)


class _Watched(NamedTuple):
    """Which rows the rules of a bench judge: `row[k]` is judged by its rule `rule[k]`."""

    bench: Bench
    rule: NDArray[np.intp]
    row: NDArray[np.intp]


class Learners:
    """The benches that learn, and what the others say of their channels.

    Args:
        benches: All benches of a site.
        channels: How many channels it has.

    Attributes:
        benches: Those that learn.
        moved: Some rule may have changed its level since `hold` was called; to be set by whoever judges.
    """

    def __init__(self, benches: Sequence[Bench], channels: int) -> None:
        self.benches = tuple(bench for bench in benches if isinstance(bench.detector, Learning))
        self.moved = True
        self._watched = [_watched(bench) for bench in benches]
        self._channels = channels
        self._told: dict[int, NDArray[np.bool_]] = {}

    def hold(self) -> list[Bench]:
        """Tell the learning detectors which channels are in alarm or fault, where that has changed.

        By the detectors' own levels, so that it holds also for readings that are judged again after a restart. A
        warning holds nothing, and no detector is held by what it says itself: it knows not to learn from that.

        Returns:
            The benches whose detector failed at it.
        """
        if not self.moved:
            return []
        self.moved = False
        worse = {id(one.bench): _in_alarm(one) for one in self._watched}
        failed: list[Bench] = []
        for bench in self.benches:
            held = np.zeros(self._channels, np.bool_)
            for rows in (rows for key, rows in worse.items() if key != id(bench)):
                held[rows] = True
            told = self._told.get(id(bench))
            if told is None or not np.array_equal(told, held):
                self._told[id(bench)] = held
                if not _tell(bench, held):
                    failed.append(bench)
        return failed

    def begin_anew(self) -> None:
        """Tell everything again next time: levels were restored, or detectors have taken over others' states."""
        self.moved = True
        self._told.clear()

    def relearn(self, channel: Channel) -> list[Rule]:
        """Have all rules that judge a channel forget what they learned, and return them."""
        found: list[Rule] = []
        for bench, rule, row in self._watched:
            places = rule[row == channel.row]
            if len(places) and isinstance(bench.detector, Learning):
                bench.detector.relearn(places)
                found += [bench.rules[k] for k in places.tolist()]
        return found

    def learning(self) -> int:
        """Return how many rules have not learned enough to judge."""
        detectors = [bench.detector for bench in self.benches]
        return sum(int((~each.ready).sum()) for each in detectors if isinstance(each, Learning))

    def states(self, channel: Channel) -> list[RuleStatus]:
        """Return what each rule that judges a channel says of it, in the order of the site file."""
        found = [
            (bench.rules[k].index, _state(bench, k))
            for bench, rule, row in self._watched
            for k in rule[row == channel.row].tolist()
        ]
        return [state for _, state in sorted(found, key=lambda pair: pair[0])]


def _watched(bench: Bench) -> _Watched:
    pairs = [(k, channel.row) for k, rule in enumerate(bench.rules) for channel in rule.judges]
    rule, row = np.array(pairs, np.intp).reshape(-1, 2).T
    return _Watched(bench, rule, row)


def _in_alarm(watched: _Watched) -> NDArray[np.intp]:
    """Return the rows of channels that some rule of a bench has at FAULT, LOW or HIGH."""
    bench, rule, row = watched
    return row[(SEVERITIES[bench.detector.level] >= _WORSE)[rule]]


def _tell(bench: Bench, held: NDArray[np.bool_]) -> bool:
    assert isinstance(bench.detector, Learning)
    try:
        bench.detector.hold(held.copy())
    except Exception:  # noqa: BLE001 - the pipeline takes its rules out of service, as for any failure of a detector
        return False
    return True


def _state(bench: Bench, k: int) -> RuleStatus:
    rule, detector = bench.rules[k], bench.detector
    learns = isinstance(detector, Learning)
    score = float(detector.score[k]) if isinstance(detector, Learning) else np.nan
    return RuleStatus(
        id=rule.id,
        type=rule.type,
        level=NAME[_LEVELS[int(detector.level[k])]],
        in_service=bench.quarantined is None or not bench.quarantined[rule.channel.row],
        learns=learns,
        ready=bool(detector.ready[k]) if isinstance(detector, Learning) else True,
        score=score if np.isfinite(score) else None,
    )
