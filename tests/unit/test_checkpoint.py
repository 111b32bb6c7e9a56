"""A start after a restart: nothing that is wrong with what was kept may keep the limits unwatched."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import deviation, threshold
from gateway.alarms.book import AlarmBook
from gateway.checkpoint import catch_up, save_checkpoint
from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.model import Batch, Channel, Level, Rule, Verdicts
from gateway.core.plugin import Detector, Learning
from gateway.flow.bench import Bench, arrange
from gateway.flow.pipeline import Pipeline

S = 1_000_000_000
CHANNELS = tuple(
    Channel(row=k, id=f"gd-{k}.ch4", instrument=f"gd-{k}", quantity="ch4", unit="%LEL", range_low=0, range_high=100)
    for k in range(3)
)
MODULES = {"threshold": threshold, "deviation": deviation}


class Readings:
    """A spool of readings that were stored after the checkpoint."""

    first_number = 0

    def __init__(self, *batches: Batch) -> None:
        self.batches = batches
        self.durable = len(batches)

    def read(self, position: int, _limit: int) -> tuple[Batch, int]:
        return self.batches[position], position + 1


def pipeline() -> Pipeline:
    limits, habits = threshold.Options(low=10, high=25, on_delay_s=30), deviation.Options(learn_s=60, cell_s=1)
    rules = [
        Rule(len(CHANNELS) * n + k, f"{kind}:{channel.id}", kind, (channel,), options, levels=levels)
        for n, (kind, options, levels) in enumerate(
            (("threshold", limits, (Level.LOW, Level.HIGH)), ("deviation", habits, deviation.LEVELS))
        )
        for k, channel in enumerate(CHANNELS)
    ]
    benches = [Bench(name, tuple(part), MODULES[part[0].type].create(part)) for name, part in arrange(rules)]
    return Pipeline(CHANNELS, benches, AlarmBook(rules))


def gas(second: int, value: float = 30.0) -> Batch:
    return Batch.of([0, 1, 2], second * S, [value] * 3)


def start(file: Path, spool: Readings) -> tuple[Pipeline, list[AlarmEvent]]:
    line = pipeline()
    catch_up(file, spool, line)  # type: ignore[arg-type]  # only what is asked of a spool here
    return line, line.reconcile(60 * S)


def raised(events: list[AlarmEvent]) -> set[str]:
    return {event.alarm for event in events if event.kind is EventKind.RAISED}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    line = pipeline()
    line.process(gas(0))
    path = tmp_path / "detectors.npz"
    save_checkpoint(path, line.save(), 0, 1)
    return path


def offsets(file: Path) -> tuple[int, int]:
    """Return where the first member's local header and the first central one begin."""
    with zipfile.ZipFile(file) as members:
        return members.infolist()[0].header_offset, members.start_dir


def flip(data: bytearray, bits: int, *places: int) -> None:
    for at in places:
        data[at] ^= bits


DAMAGES: dict[str, Callable[[bytearray, int, int], None]] = {
    "encrypted": lambda data, local, central: flip(data, 1, local + 6, central + 8),
    "patched": lambda data, local, central: flip(data, 32, local + 6, central + 8),
    "compressed otherwise": lambda data, local, central: flip(data, 99, local + 8, central + 10),
    "newer zip": lambda data, _, central: flip(data, 200, central + 6),
    "no Python any more": lambda data, *_: flip(data, ord("]") ^ ord("l"), data.index(b"False") + 2),
    "of another size": lambda data, *_: flip(data, ord("3") ^ ord("9"), data.index(b"(3,)") + 1),
    "cut off": lambda data, *_: data.__delitem__(slice(len(data) // 2, None)),
    "empty": lambda data, *_: data.clear(),
    "something else": lambda data, *_: data.__setitem__(slice(None), b"\x80\x04" * 300),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_damage_to_a_checkpoint_keeps_the_gateway_from_starting(file: Path, damage: str) -> None:
    data = bytearray(file.read_bytes())
    DAMAGES[damage](data, *offsets(file))
    file.write_bytes(data)
    _, events = start(file, Readings(gas(0), gas(31)))
    assert raised(events) == {f"threshold:{channel.id}" for channel in CHANNELS}


def test_a_whole_checkpoint_is_used(file: Path) -> None:
    line, events = start(file, Readings(gas(31)))
    assert raised(events) == {f"threshold:{channel.id}" for channel in CHANNELS}, "the delay began before it"
    assert not line.failed


class Inner(Detector, Learning, Protocol):
    """What learns."""


class Broken:
    """A detector that learns, in which one thing does not work."""

    def __init__(self, inner: Inner, what: str) -> None:
        self.inner, self.what = inner, what

    @property
    def level(self) -> NDArray[np.int8]:
        return self.inner.level

    @property
    def score(self) -> NDArray[np.float64]:
        return self.inner.score

    @property
    def ready(self) -> NDArray[np.bool_]:
        return self.inner.ready

    def _unless(self, what: str) -> None:
        if what == self.what:
            raise TypeError(f"a mistake in {what}")

    def update(self, batch: Batch) -> Verdicts:
        if len(batch):
            self._unless("update")
        return self.inner.update(batch)

    def hold(self, held: NDArray[np.bool_]) -> None:
        self._unless("hold")
        self.inner.hold(held)

    def relearn(self, rules: NDArray[np.intp]) -> None:
        self._unless("relearn")
        self.inner.relearn(rules)

    def save(self) -> dict[str, NDArray[np.generic]]:
        self._unless("save")
        return self.inner.save()

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        self._unless("restore")
        self.inner.restore(state)


def broken(what: str) -> Pipeline:
    line = pipeline()
    (bench,) = (bench for bench in line.benches if bench.name.startswith("deviation"))
    bench.detector = cast("Detector", Broken(cast("Inner", bench.detector), what))
    return line


@pytest.mark.parametrize("what", ["update", "hold", "restore", "relearn"])
def test_a_detector_that_fails_at_the_start_keeps_no_limit_from_being_watched(file: Path, what: str) -> None:
    line = broken(what)
    line._learners.begin_anew()
    relearnt = AlarmEvent(seq=1, time_ns=S, kind=EventKind.RELEARNT, channel="gd-1.ch4")
    catch_up(file, Readings(gas(0), gas(31)), line, lambda _: [relearnt])  # type: ignore[arg-type]  # as above
    assert {f"threshold:{channel.id}" for channel in CHANNELS} <= raised(line.reconcile(60 * S))


def test_rules_that_fail_at_stored_readings_are_told_of_at_the_start() -> None:
    line = broken("update")
    line.catch_up(gas(0))
    assert line.book.next_seq == 1, "nothing is numbered that nobody writes down"
    events = line.reconcile(60 * S)
    failed = {f"deviation:{channel.id}" for channel in CHANNELS}
    assert raised(events) == {f"system/rule/{rule}" for rule in failed}
    assert line.failed == failed


def test_a_detector_that_cannot_be_saved_costs_its_own_state_only(tmp_path: Path) -> None:
    line = broken("save")
    line.process(gas(0))
    save_checkpoint(tmp_path / "detectors.npz", line.save(), 0, 1)
    _, events = start(tmp_path / "detectors.npz", Readings(gas(31)))
    assert raised(events) == {f"threshold:{channel.id}" for channel in CHANNELS}, "the delay began before it"
