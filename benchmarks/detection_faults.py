"""Faults of instruments: how many of those injected into real recordings are found, and how often nothing is told of.

    HAZGATE_RECORDINGS=… python -m benchmarks detection_faults

Reads the sub-folder `sensor_faults`, any part of the sets of de Bruijn et al., with the rules of
`config/evaluation/faults.yaml`. What a mote shows without faults is put together from its files: at each time the value
that one of them does not mark as a fault. On these clean recordings false episodes are counted, and they are the
neighbours of every faulty one.

A marked stretch counts as found where a rule stands raised at one of its readings or at the one after it: a spike is
told by its return. Rules are counted together. One factor for all limits of noise and neighbours is chosen on the motes
of odd numbers, and scored on the even ones, and the other way round: the boldest, which finds most at no more than one
false episode a sensor and week there, and the calmest, which still finds nine tenths there. The shipped rules as they
are, on all motes, are told beside it.

References:
    B. de Bruijn, T. A. Nguyen, D. Bucur, K. Tei, Benchmark Datasets for Fault Detection and Classification in Sensor
    Data, SENSORNETS 2016.
"""

import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML

from benchmarks.measure import Figure, SkippedError
from gateway.core.clock import NS_PER_S
from gateway.core.model import Batch, Channel, Rule
from gateway.core.plugin import Binding, Detector
from gateway.evaluation.loaders import faults
from gateway.evaluation.recording import Recording, typical_period_s

FOLDER = "HAZGATE_RECORDINGS"
RULES = Path("config/evaluation/faults.yaml")
KINDS = ("random", "malfunction", "bias", "drift", "polydrift")
WIDTH = len(KINDS) + 1
"""Recordings of a mote: without faults, and with those of each kind."""
SENSITIVITIES = (0.7, 1.0, 1.4)
SHORT = 6_000
"""Times of reading that the short form judges."""
MEAN_GOAL, EACH_GOAL, FALSE_GOAL = 90.0, 75.0, 1.0
WEEK_S = 7 * 86_400.0

Marks = NDArray[np.bool_]


@dataclass(frozen=True)
class Mote:
    """One sensor, with each of its recordings at the same times.

    Attributes:
        base: The set and quantity it belongs to; motes of one base are neighbours.
        number: Its number.
        time_ns: int64[n].
        value: float64[kinds + 1, n], without faults first, then with those of each kind; NaN where nothing is known.
        fault: bool[kinds + 1, n], what is marked as a fault.
    """

    base: str
    number: int
    time_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    fault: Marks

    @property
    def weeks(self) -> float:
        return float(self.time_ns[-1] - self.time_ns[0]) / NS_PER_S / WEEK_S


def motes(folder: Path) -> list[Mote]:
    """Return the motes of which there is a recording with faults of every kind."""
    found: dict[tuple[str, int], dict[str, tuple[Any, Any, Any]]] = {}
    for recording in faults.load(folder):
        base, _, quantity = recording.name.lower().rpartition(":")
        base, _, kind = base.partition("injected_")
        # The collection may hold everything twice, as it came and at even times; once is enough.
        if kind not in KINDS or "non" in base:
            continue
        for channel in recording.channels:
            number = int("".join(filter(str.isdigit, channel.id.partition(".")[0])))
            mine = found.setdefault((f"{base.strip('/')}:{quantity}", number), {})
            mine[kind] = _one(recording, channel)
    return [_mote(*key, kinds) for key, kinds in sorted(found.items()) if set(kinds) == set(KINDS)]


def _one(recording: Recording, channel: Channel) -> tuple[Any, Any, Any]:
    mine = recording.row == channel.row
    time_ns, first = np.unique(recording.time_ns[mine], return_index=True)
    fault = np.zeros(len(time_ns), np.bool_)
    for truth in recording.truths:
        if channel.id in truth.channels:
            fault |= (time_ns >= truth.start_ns) & (time_ns <= truth.end_ns)
    return time_ns, recording.value[mine][first], fault


def _mote(base: str, number: int, kinds: Mapping[str, tuple[Any, Any, Any]]) -> Mote:
    time_ns = kinds[KINDS[0]][0]
    for times, _, _ in kinds.values():
        time_ns = np.intersect1d(time_ns, times)
    at = {kind: np.searchsorted(times, time_ns) for kind, (times, _, _) in kinds.items()}
    value = np.stack([kinds[kind][1][at[kind]] for kind in KINDS])
    fault = np.stack([kinds[kind][2][at[kind]] for kind in KINDS])
    clean = np.full(len(time_ns), np.nan)
    for one, marked in zip(value, fault, strict=True):
        clean = np.where(np.isnan(clean) & ~marked, one, clean)
    none = np.zeros(len(time_ns), np.bool_)
    return Mote(base, number, time_ns, np.vstack([clean, value]), np.vstack([none, fault]))


def written() -> list[dict[str, Any]]:
    """Return the shipped rules as they are written."""
    found: list[dict[str, Any]] = YAML(typ="safe").load(RULES.read_text(encoding="utf-8"))["rules"]
    return found


class Judging:
    """The shipped rules on some motes of one base, each with all its recordings.

    Args:
        base: The motes.
        sensitivity: By what the limits of noise and neighbours are multiplied.
    """

    def __init__(self, base: Sequence[Mote], sensitivity: float) -> None:
        self._channels = {
            (mote.number, k): _channel(mote, k, i * WIDTH + k) for i, mote in enumerate(base) for k in range(WIDTH)
        }
        self._detectors = [made for entry in written() if (made := self._made(entry, sensitivity)) is not None]
        self._up = np.zeros((len(self._detectors), len(self._channels)), np.bool_)

    def _made(self, entry: Mapping[str, Any], sensitivity: float) -> Detector | None:
        module = importlib.import_module(f"detectors.{entry['type']}")
        given = dict(entry.get("options", {}))
        if entry["type"] in ("noise", "neighbours"):
            ratio = given.get("ratio", module.Options.model_fields["ratio"].default)
            given |= {"ratio": max(1.01, ratio * sensitivity), "floor": given["floor"] * sensitivity}
        options = module.Options.model_validate(given)
        rules = [
            Rule(
                channel.row, f"{entry['id']}:{channel.id}", entry["type"], (channel, *self._peers(module, key)), options
            )
            for key, channel in self._channels.items()
            if any(fnmatchcase(channel.id, pattern) for pattern in entry["channels"])
        ]
        # The index of a rule is its channel's row: what is raised is looked up by it.
        return module.create(rules) if rules else None

    def _peers(self, module: Any, key: tuple[int, int]) -> list[Channel]:
        if getattr(module, "BINDING", Binding.EACH) is not Binding.PEERS:
            return []
        return [channel for (number, k), channel in self._channels.items() if k == 0 and number != key[0]]

    def update(self, batch: Batch) -> Marks:
        """Judge a batch and return on which of its channels a rule stands raised."""
        for k, detector in enumerate(self._detectors):
            verdicts = detector.update(batch)
            self._up[k, verdicts.rule] = verdicts.level != 0
        found: Marks = self._up[:, batch.row].any(axis=0)
        return found


def _channel(mote: Mote, k: int, row: int) -> Channel:
    quantity = mote.base.rpartition(":")[2]
    period_s = typical_period_s(mote.time_ns)
    name = f"mote-{mote.number}-{k}"
    return Channel(row, f"{name}.{quantity}", name, quantity, period_s=period_s, stale_after_s=10.0 * period_s)


def raised(base: Sequence[Mote], sensitivity: float, most: int | None = None) -> list[Marks]:
    """Return bool[recordings, readings] for each mote of a base: where some rule stands raised.

    Args:
        base: The motes.
        sensitivity: By what limits are multiplied.
        most: How many times of reading are judged, from the beginning; all by default.
    """
    judging = Judging(base, sensitivity)
    stands = [np.zeros(mote.value.shape, np.bool_) for mote in base]
    order = [(int(time_ns), i, at) for i, mote in enumerate(base) for at, time_ns in enumerate(mote.time_ns)]
    order.sort()
    rows = [np.arange(i * WIDTH, (i + 1) * WIDTH) for i in range(len(base))]
    for time_ns, i, at in order[:most]:
        stands[i][:, at] = judging.update(Batch.of(rows[i], time_ns, base[i].value[:, at]))
    return stands


def runs(marks: Marks) -> list[tuple[int, int]]:
    """Return where each run of marks begins, and where the next reading after it is."""
    edges = np.flatnonzero(np.diff(np.r_[False, marks, False]))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


@dataclass(frozen=True)
class Score:
    """What was found on some motes.

    Attributes:
        false: False episodes a sensor and week.
        found: Of each kind, the faults found in per cent.
        strict: The same where the reading after a fault does not count.
        delay_min: Of each kind, the median delay of those found, in minutes.
        stands: The part of clean readings at which a rule stood raised.
    """

    false: float
    found: dict[str, float]
    strict: dict[str, float]
    delay_min: dict[str, float]
    stands: float

    @property
    def mean(self) -> float:
        return float(np.mean(list(self.found.values())))

    def text(self) -> str:
        kinds = ", ".join(f"{kind} {self.found[kind]:.1f} ({self.delay_min[kind]:.0f} min)" for kind in KINDS)
        return f"mean {self.mean:.1f} % at {self.false:.2f} false a sensor-week: {kinds}"


def score(of: Sequence[Mote], stands: Sequence[Marks]) -> Score:
    """Score some motes by where rules stood raised."""
    weeks = sum(mote.weeks for mote in of)
    episodes = sum(len(runs(marks[0])) for marks in stands)
    found, strict, delay = {}, {}, {}
    for k, kind in enumerate(KINDS, start=1):
        seen: list[float] = []
        total = sharp = 0
        for mote, marks in zip(of, stands, strict=True):
            for begin, end in runs(mote.fault[k]):
                total += 1
                sharp += bool(marks[k, begin:end].any())
                if marks[k, begin : end + 1].any():
                    at = begin + int(np.argmax(marks[k, begin : end + 1]))
                    seen.append(float(mote.time_ns[at] - mote.time_ns[begin]) / NS_PER_S / 60.0)
        found[kind], strict[kind] = 100.0 * len(seen) / max(total, 1), 100.0 * sharp / max(total, 1)
        delay[kind] = float(np.median(seen)) if seen else float("nan")
    part = float(np.mean([marks[0].mean() for marks in stands]))
    return Score(episodes / weeks, found, strict, delay, part)


def boldest(scores: Mapping[float, Score]) -> float:
    """Return the factor that finds most at no more false episodes than allowed; the least sensitive, if none."""
    allowed = {k: one for k, one in scores.items() if one.false <= FALSE_GOAL}
    return max(allowed, key=lambda k: allowed[k].mean) if allowed else max(scores)


def calmest(scores: Mapping[float, Score]) -> float:
    """Return the least sensitive factor that still finds as much as wished; the most sensitive, if none."""
    enough = [k for k, one in scores.items() if one.mean >= MEAN_GOAL]
    return max(enough, default=min(scores))


def quantities(found: Sequence[Mote]) -> Iterator[tuple[str, list[Mote]]]:
    """Yield the motes by what they measure, of what there are rules for."""
    judged = [pattern for entry in written() for pattern in entry["channels"]]
    for quantity in sorted({mote.base.rpartition(":")[2] for mote in found}):
        if not any(fnmatchcase(f"mote-1.{quantity}", pattern) for pattern in judged):
            print(f"{quantity}: no rules")
            continue
        yield quantity, [mote for mote in found if mote.base.endswith(f":{quantity}")]


def measured(of: Sequence[Mote], short: bool) -> dict[float, list[Marks]]:
    """Return where rules stood raised on each mote, by sensitivity; neighbours are the motes of the same base."""
    found: dict[float, list[Marks]] = {}
    for sensitivity in (1.0,) if short else SENSITIVITIES:
        marks: dict[int, Marks] = {}
        bases = list(dict.fromkeys(mote.base for mote in of))
        for base in bases:
            mine = [mote for mote in of if mote.base == base]
            made = raised(mine, sensitivity, SHORT // len(bases) if short else None)
            marks |= {id(mote): one for mote, one in zip(mine, made, strict=True)}
        found[sensitivity] = [marks[id(mote)] for mote in of]
    return found


def halves(of: Sequence[Mote], marks: Mapping[float, list[Marks]]) -> Iterator[tuple[str, Score]]:
    """Yield the scores of each half of the motes, with factors that were chosen on the other half."""
    for name, odd in (("even motes", 0), ("odd motes", 1)):
        here = [k for k, mote in enumerate(of) if mote.number % 2 == odd]
        there = [k for k, mote in enumerate(of) if mote.number % 2 != odd]
        if here and there:
            scores = {s: score([of[k] for k in there], [one[k] for k in there]) for s, one in marks.items()}
            for how, choose in (("boldest", boldest), ("calmest", calmest)):
                best = choose(scores)
                mine = score([of[k] for k in here], [marks[best][k] for k in here])
                yield f"{name}, {how} on the others (limits × {best:g})", mine


def main(short: bool = False) -> list[Figure]:
    folder = Path(os.environ.get(FOLDER, "")) / "sensor_faults"
    if not os.environ.get(FOLDER) or not folder.is_dir():
        raise SkippedError(f"{FOLDER} names no folder with sensor_faults")
    figures: list[Figure] = []
    for quantity, of in quantities(motes(folder)):
        weeks = sum(mote.weeks for mote in of)
        print(f"{quantity}: {len(of)} motes, {sum(len(m.time_ns) for m in of):,} clean readings, {weeks:.1f} weeks")
        marks = measured(of, short)
        whole = score(of, marks[1.0])
        print(f"shipped rules, all: {whole.text()}; raised at {100 * whole.stands:.1f} % of clean readings")
        print("  without the reading after: " + ", ".join(f"{k} {v:.1f}" for k, v in whole.strict.items()))
        goal = f"≥ {MEAN_GOAL:g} %, each ≥ {EACH_GOAL:g} %, ≤ {FALSE_GOAL:g} false a sensor-week"
        figures.append(_figure(f"{quantity}, shipped rules", goal, whole, short))
        for name, half in () if short else halves(of, marks):
            print(f"{name}: {half.text()}")
            figures.append(_figure(f"{quantity}, {name}", goal, half, short))
    return figures


def _figure(name: str, goal: str, found: Score, short: bool) -> Figure:
    met = found.mean >= MEAN_GOAL and min(found.found.values()) >= EACH_GOAL and found.false <= FALSE_GOAL
    return Figure(name, goal, found.text(), met=None if short else met)
