"""What every detector keeps, run over each module of `detectors/` that has `Options` and `create`.

A module shows itself by the examples of its `Options` (`model_config["json_schema_extra"]["examples"]`, else the
fields' own). An example must be normal at `AIR` on a channel of 0 to 100, whatever it watches.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import detectors
from gateway.core.model import Batch, Channel, Level, Quality, Rule, Verdicts
from gateway.core.plugin import Detector, PluginOptions

AIR = 20.9
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
RULES = 7
FIRST_ROW = 3
"""Rules stand at rows 3, 5, 7…, so that rows before, between and after have none."""


def modules() -> Iterator[ModuleType]:
    for info in pkgutil.iter_modules(detectors.__path__):
        module = importlib.import_module(f"detectors.{info.name}")
        if hasattr(module, "Options") and hasattr(module, "create"):
            yield module


def examples(module: ModuleType) -> list[dict[str, Any]]:
    extra = module.Options.model_config.get("json_schema_extra") or {}
    fields = module.Options.model_fields.items()
    return extra.get("examples") or [{name: field.examples[0] for name, field in fields if field.examples}]


def channel(row: int) -> Channel:
    return Channel(
        row=row,
        id=f"i{row:02d}.x",
        instrument=f"i{row:02d}",
        quantity="x",
        unit="u",
        range_low=0.0,
        range_high=100.0,
        period_s=1.0,
    )


class Case:
    """One module with one of its examples."""

    def __init__(self, module: ModuleType, options: dict[str, Any]) -> None:
        self.module = module
        self.options = module.Options.model_validate(options)
        self.rules = [
            Rule(index=100 + i, id=f"r{i}", type="x", channels=(channel(FIRST_ROW + 2 * i),), options=self.options)
            for i in range(RULES)
        ]

    def make(self) -> Detector:
        return self.module.create(self.rules)

    @property
    def rows(self) -> np.ndarray:
        return np.array([rule.channel.row for rule in self.rules], np.int32)


CASES = [
    pytest.param(Case(module, options), id=f"{module.__name__.removeprefix('detectors.')}-{i}")
    for module in modules()
    for i, options in enumerate(examples(module))
]


def stream(case: Case, seed: int, steps: int, *, rough: bool = True) -> list[Batch]:
    """Return batches of a wild but seeded plant: jumps, ramps, every quality, gaps, clocks set back, strange rows."""
    random = np.random.default_rng(seed)
    codes = np.array([q.value for q in Quality], np.uint8)
    time_ns, values = START, np.full(RULES, AIR)
    batches = []
    for _ in range(steps):
        time_ns += int(random.choice([1, 1, 1, 1, 5, 60, -30 if rough else 1]) * SECOND)
        values = np.clip(values + random.normal(0, 1.5, RULES) + random.choice([0, 0, 0, 25, -25], RULES), -30, 130)
        values = np.where(random.random(RULES) < 0.1, AIR, values)
        sent = np.where(random.random(RULES) < 0.01, random.choice([1e308, -1e308], RULES), values)
        seen = random.random(RULES) < 0.8
        quality = np.where(random.random(RULES) < 0.25, random.choice(codes, RULES), 0)
        rows = np.concatenate([case.rows[seen], [0, 4, 999]])
        order = random.permutation(len(rows))
        batches.append(
            Batch.of(
                rows[order],
                time_ns,
                np.concatenate([sent[seen], [1e9, -1e9, 50.0]])[order],
                np.concatenate([quality[seen], [0, 129, 66]])[order],
            )
        )
    return batches


def told(verdicts: Verdicts) -> list[tuple[Any, ...]]:
    """Return verdicts as comparable tuples, in rule order; NaN compares as text."""
    columns = (verdicts.rule, verdicts.level, verdicts.score, verdicts.time_ns, verdicts.value, verdicts.limit)
    return sorted(tuple(map(repr, entry)) for entry in zip(*columns, verdicts.quality, strict=True))


def run(detector: Detector, batches: list[Batch]) -> list[list[tuple[Any, ...]]]:
    return [told(detector.update(batch)) for batch in batches]


def check_only_changes_are_reported(case: Case) -> None:
    detector = case.make()
    level = {rule.index: 0 for rule in case.rules}
    for batch in stream(case, 1, 400):
        verdicts = detector.update(batch)
        assert len(set(verdicts.rule.tolist())) == len(verdicts)
        for rule, new, time_ns in zip(verdicts.rule, verdicts.level, verdicts.time_ns, strict=True):
            assert new != level[int(rule)]
            assert new in set(Level)
            assert time_ns in batch.time_ns
            level[int(rule)] = int(new)
        assert detector.level.tolist() == list(level.values())
        assert detector.level.dtype == np.int8
        kinds = (verdicts.rule.dtype, verdicts.level.dtype, verdicts.score.dtype, verdicts.time_ns.dtype)
        assert kinds == (np.int32, np.int8, np.float32, np.int64)
        assert (verdicts.value.dtype, verdicts.limit.dtype, verdicts.quality.dtype) == (float, float, np.uint8)


def check_the_stream_moves_levels(case: Case) -> None:
    detector = case.make()
    assert sum(len(found) for found in run(detector, stream(case, 1, 400))) > 0


def check_bad_never_clears(case: Case) -> None:
    for reason in (quality for quality in Quality if quality >= Quality.BAD):
        detector = case.make()
        detector.level = np.array([Level.FAULT if i % 2 else Level.HIGH for i in range(RULES)], np.int8)
        if "fault" not in case.module.__name__:
            detector.level[:] = Level.HIGH
        before = detector.level.copy()
        for second in range(0, 600, 30):
            detector.update(Batch.bad(case.rows, START + second * SECOND, reason))
            assert (detector.level >= before).all(), reason


def check_bad_raises_no_alarm(case: Case) -> None:
    for reason in (quality for quality in Quality if quality >= Quality.BAD):
        detector = case.make()
        for second in range(0, 600, 30):
            detector.update(Batch.bad(case.rows, START + second * SECOND, reason))
        assert set(detector.level.tolist()) <= {Level.NORMAL, Level.FAULT}


def check_constant_input_stays_normal(case: Case) -> None:
    detector = case.make()
    for second in range(600):
        assert len(detector.update(Batch.of(case.rows, START + second * SECOND, np.full(RULES, AIR)))) == 0


def check_deterministic(case: Case) -> None:
    batches = stream(case, 2, 300)
    assert run(case.make(), batches) == run(case.make(), batches)


def check_save_and_restore_midway(case: Case) -> None:
    batches = stream(case, 3, 300)
    whole = run(case.make(), batches)
    for cut in (0, 1, 77, 150):
        first, second = case.make(), case.make()
        run(first, batches[:cut])
        state = {name: column.copy() for name, column in first.save().items()}
        run(first, batches[cut : cut + 40])
        second.restore(state)
        assert run(second, batches[cut:]) == whole[cut:]


def check_state_moves_by_rule(case: Case) -> None:
    """Row k of every saved array is all there is of rule k: rules may move to another detector, among other rules."""
    batches = stream(case, 10, 300)
    whole = run(case.make(), batches)
    moved = [5, 1, 6, 2]
    rules = [case.rules[k] for k in moved]
    for cut in (1, 77, 150):
        first, second = case.make(), case.module.create([*rules, case.rules[0]])
        run(first, batches[:cut])
        there, here = first.save(), second.save()
        assert there.keys() == here.keys()
        for name, column in here.items():
            assert len(there[name]) == RULES, name
            assert len(column) == len(moved) + 1, name
            here[name] = np.concatenate([there[name][moved], column[len(moved) :]])
        second.restore(here)
        mine = {repr(np.int32(rule.index)) for rule in rules}
        for batch, should in zip(batches[cut:], whole[cut:], strict=True):
            found = told(second.update(batch))
            assert [entry for entry in found if entry[0] in mine] == [entry for entry in should if entry[0] in mine]


def check_saved_state_is_its_own(case: Case) -> None:
    detector = case.make()
    run(detector, stream(case, 4, 50))
    state = detector.save()
    kept = {name: column.copy() for name, column in state.items()}
    run(detector, stream(case, 5, 50))
    assert all(np.array_equal(state[name], kept[name], equal_nan=kept[name].dtype.kind == "f") for name in kept)


def check_state_of_other_rules_is_refused(case: Case) -> None:
    other = case.module.create(case.rules[:-1])
    with pytest.raises(ValueError, match="rules"):
        case.make().restore(other.save())


def check_memory_is_bounded(case: Case) -> None:
    detector = case.make()
    run(detector, stream(case, 6, 20))
    before = sum(column.nbytes for column in detector.save().values())
    run(detector, stream(case, 7, 500))
    assert sum(column.nbytes for column in detector.save().values()) == before < RULES * 4096


def check_gap_is_no_answer(case: Case) -> None:
    """After a day of silence the old readings count for nothing, and air is still normal."""
    detector = case.make()
    for day in range(3):
        for second in range(120):
            time_ns = START + (day * 86400 + second) * SECOND
            assert len(detector.update(Batch.of(case.rows, time_ns, np.full(RULES, AIR)))) == 0


def check_time_may_step_back(case: Case) -> None:
    detector = case.make()
    for second in [*range(100), *range(-3600, -3400), *range(3600, 3700)]:
        verdicts = detector.update(Batch.of(case.rows, START + second * SECOND, np.full(RULES, AIR)))
        assert len(verdicts) == 0


def check_input_is_unchanged(case: Case) -> None:
    detector = case.make()
    for batch in stream(case, 8, 100):
        columns = [c.copy() for c in (batch.row, batch.time_ns, batch.value, batch.quality)]
        detector.update(batch)
        now = (batch.row, batch.time_ns, batch.value, batch.quality)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(columns, now, strict=True))


def check_splitting_a_batch_does_not_matter(case: Case) -> None:
    whole, split = case.make(), case.make()
    for batch in stream(case, 9, 300):
        together = told(whole.update(batch))
        apart = [told(split.update(batch.take(slice(i, i + 1)))) for i in range(len(batch))]
        assert sorted(entry for found in apart for entry in found) == together


def check_rows_without_rules_are_ignored(case: Case) -> None:
    detector = case.make()
    before = detector.save()
    rows = [0, 1, 2, 4, 6, 16 + FIRST_ROW, 100_000]
    for second, value in enumerate([0.0, 1e12, -1e12, 50.0, float("nan"), 99.0] * 20):
        batch = Batch.of(rows, START + second * SECOND, [value] * 7, [0, 65, 66, 67, 68, 129, 138])
        assert len(detector.update(batch)) == 0
    after = detector.save()
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)


def check_empty_batch(case: Case) -> None:
    detector = case.make()
    before = detector.save()
    assert len(detector.update(Batch.of([], [], []))) == 0
    assert all(before[name].tobytes() == column.tobytes() for name, column in detector.save().items())


def check_a_restored_level_is_believed(case: Case) -> None:
    """The pipeline may set the level; the detector goes on from there and says when it is over."""
    top = Level.FAULT if "fault" in case.module.__name__ else Level.HIGH
    detector = case.make()
    detector.level[:] = top
    levels = set()
    for second in range(300):
        levels |= set(detector.update(Batch.of(case.rows, START + second * SECOND, np.full(RULES, AIR))).level.tolist())
    assert set(detector.level.tolist()) == {Level.NORMAL}
    assert top not in levels


def check_options_describe_themselves(case: Case) -> None:
    assert issubclass(case.module.Options, PluginOptions)
    for name, field in case.module.Options.model_fields.items():
        assert field.description is not None, name
        assert field.description.endswith("."), name
        assert field.examples, name
    assert case.module.__doc__
    assert ">>>" in case.module.__doc__
    assert "References:" in case.module.__doc__


CHECKS = [check for name, check in list(globals().items()) if name.startswith("check_") and inspect.isfunction(check)]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("case", CASES)
def test_detector(case: Case, check: Callable[[Case], None]) -> None:
    check(case)


def test_the_shipped_detectors_are_found() -> None:
    assert {"detectors.threshold", "detectors.rate", "detectors.fault"} <= {module.__name__ for module in modules()}
