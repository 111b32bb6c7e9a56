"""What every detector keeps, run over each module of `detectors/` that has `Options` and `create`.

A module shows itself by the examples of its `Options` (`model_config["json_schema_extra"]["examples"]`, else the
fields' own). An example must be normal in clean air (`AIR`) on a channel of 0 to 100, whatever it watches. A detector
that learns must have learned within some hours of quiet readings: its examples say so where its usual time is longer.

A detector of groups gets three channels a rule; one of peers, rules that look at one another's channels. A detector
that takes certain quantities only is given those.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import detectors
from gateway.alarms.level import SEVERITIES, SEVERITY
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Reason, Rule, Verdicts
from gateway.core.plugin import Binding, Detector, Learning, PluginOptions

AIR = {"x": 20.9, "temperature": 20.9, "smoke": 0.01, "co": 2.0, "ch4": 0.0, "o2": 20.9}
"""What clean air shows."""
UNITS = {"x": "u", "temperature": "°C", "smoke": "1/m", "co": "ppm", "ch4": "%LEL", "o2": "%vol"}
MEASURED = (("x", "x", "x"), ("ch4", "ch4", "ch4"), ("co", "co", "co"), ("temperature", "smoke", "co"), ("o2",) * 3)
"""What the channels of a rule measure: the first of these that the detector takes."""
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
RULES = 7
FIRST_ROW = 3
"""Judged channels stand at rows 3, 5, 7…, so that rows before, between and after have no rule."""
CHANNELS = 100
LEARNING_S = 3 * 3600
"""Quiet readings after which the examples of a detector that learns must have learned."""
STEP_S = 10
ENOUGH = 40
"""Changes of level that show a detector's words."""
UNTIL_TOLD = {"bump_test", "comparison"}
"""Detectors whose fault ends with the next good test of the instrument, and not by itself."""


def modules() -> Iterator[ModuleType]:
    for info in pkgutil.iter_modules(detectors.__path__):
        module = importlib.import_module(f"detectors.{info.name}")
        if hasattr(module, "Options") and hasattr(module, "create"):
            yield module


def examples(module: ModuleType) -> list[dict[str, Any]]:
    extra = module.Options.model_config.get("json_schema_extra") or {}
    fields = module.Options.model_fields.items()
    return extra.get("examples") or [{name: field.examples[0] for name, field in fields if field.examples}]


def channel(row: int, quantity: str) -> Channel:
    return Channel(
        row=row,
        id=f"i{row:02d}.{quantity}",
        instrument=f"i{row:02d}",
        quantity=quantity,
        unit=UNITS[quantity],
        range_low=0.0,
        range_high=100.0,
        period_s=1.0,
    )


class Case:
    """One module with one of its examples."""

    def __init__(self, module: ModuleType, options: dict[str, Any]) -> None:
        self.module = module
        self.name = module.__name__.removeprefix("detectors.")
        self.options = module.Options.model_validate(options)
        self.binding = Binding(getattr(module, "BINDING", Binding.EACH))
        self.levels = tuple(getattr(module, "LEVELS", (Level.LOW, Level.HIGH)))
        self.top = max(self.levels, key=SEVERITY.__getitem__)

    @cached_property
    def rules(self) -> list[Rule]:
        for measured in MEASURED:
            rules = self.bound(measured)
            try:
                self.module.create(rules)
            except ConfigError:
                continue
            return rules
        raise AssertionError(f"{self.name} takes none of {MEASURED}")

    def bound(self, measured: tuple[str, ...]) -> list[Rule]:
        together = measured if self.binding is Binding.GROUP else measured[:1]
        size = len(together)
        rows = [FIRST_ROW + 2 * k for k in range(RULES * size)]
        channels = [channel(row, together[k % size]) for k, row in enumerate(rows)]
        return [
            Rule(
                index=100 + i,
                id=f"r{i}",
                type=self.name,
                channels=self.of_rule(channels, i, size),
                options=self.options,
                levels=self.levels,
                group=self.binding is Binding.GROUP,
            )
            for i in range(RULES)
        ]

    def of_rule(self, channels: list[Channel], i: int, size: int) -> tuple[Channel, ...]:
        own = channels[i * size : (i + 1) * size]
        others = [each for each in channels if each not in own] if self.binding is Binding.PEERS else []
        return (*own, *others)

    def make(self) -> Detector:
        return self.module.create(self.rules)

    @cached_property
    def judged(self) -> list[Channel]:
        return [each for rule in self.rules for each in rule.judges]

    @cached_property
    def rows(self) -> np.ndarray:
        return np.array([each.row for each in self.judged], np.int32)

    @cached_property
    def air(self) -> np.ndarray:
        return np.array([AIR[each.quantity] for each in self.judged])

    @cached_property
    def learns(self) -> bool:
        return isinstance(self.make(), Learning)

    def quiet(self, seconds: int, *, start_s: int = 0, seed: int = 0, shift: float = 0.0) -> list[Batch]:
        """Return readings of clean air with a little noise, all channels every ten seconds."""
        random = np.random.default_rng(seed)
        return [
            Batch.of(
                self.rows, START + (start_s + t) * SECOND, self.air + shift + random.normal(0, 0.05, len(self.air))
            )
            for t in range(0, seconds, STEP_S)
        ]

    @cached_property
    def learned(self) -> dict[str, np.ndarray]:
        """What the detector keeps after quiet hours."""
        detector = self.make()
        for batch in self.quiet(LEARNING_S):
            detector.update(batch)
        return detector.save()

    def taught(self) -> Detector:
        """Return a detector that has had its quiet hours."""
        detector = self.make()
        detector.restore(self.learned)
        return detector


CASES = [
    pytest.param(Case(module, options), id=f"{module.__name__.removeprefix('detectors.')}-{i}")
    for module in modules()
    for i, options in enumerate(examples(module))
]


def stream(case: Case, seed: int, steps: int, *, rough: bool = True) -> list[Batch]:
    """Return batches of a wild but seeded plant: jumps, ramps, every quality, gaps, clocks set back, strange rows.

    A detector that learns is given some quiet time before, which counts among the steps.
    """
    random = np.random.default_rng(seed)
    codes = np.array([q.value for q in Quality], np.uint8)
    n = len(case.rows)
    calm = case.quiet(steps // 2 * STEP_S, seed=seed) if case.learns else []
    time_ns, values = START + len(calm) * STEP_S * SECOND, case.air.copy()
    batches = calm
    for _ in range(steps - len(calm)):
        time_ns += int(random.choice([1, 1, 1, 1, 5, 60, -30 if rough else 1]) * SECOND)
        values = np.clip(values + random.normal(0, 1.5, n) + random.choice([0, 0, 0, 25, -25], n), -30, 130)
        values = np.where(random.random(n) < 0.1, case.air, values)
        sent = np.where(random.random(n) < 0.01, random.choice([1e308, -1e308], n), values)
        seen = random.random(n) < 0.8
        quality = np.where(random.random(n) < 0.25, random.choice(codes, n), 0)
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


def plants(case: Case) -> Iterator[list[Batch]]:
    """Yield what a detector may wait for: a wild plant, values that stand still, a leak, an instrument that drifts."""
    yield stream(case, 1, 400)
    quiet, times = case.quiet(LEARNING_S), np.arange(LEARNING_S, 2 * LEARNING_S, STEP_S)
    shape = (len(times), len(case.rows))
    some = np.arange(shape[1]) % 2
    random = np.random.default_rng(8)
    still = np.full(shape, 0.5)
    leak = random.normal(0, 0.05, shape) + some * np.minimum(0.02 * (times - LEARNING_S), 70.0)[:, np.newaxis]
    loud = random.normal(0, 8.0, shape) * some
    for values in (still, leak, loud):
        yield [
            *quiet,
            *(
                Batch.of(case.rows, START + t * SECOND, case.air + v)
                for t, v in zip(times.tolist(), values, strict=True)
            ),
        ]
    yield [*quiet, *bump_tests(case)]


def bump_tests(case: Case) -> Iterator[Batch]:
    """Yield three days with a test gas every four hours that shows less and less, and leaves a zero that rises."""
    for t in range(LEARNING_S, LEARNING_S + 3 * 86400, 60):
        days, second = (t - LEARNING_S) / 86400, t % 14400
        testing = second < 300
        gas = 50.0 * (1 - days / 4) if testing else 3.0 * days
        noise = 0.05 * np.sin(t + np.arange(len(case.rows)))
        yield Batch.of(case.rows, START + t * SECOND, case.air + gas + noise, Quality.TEST if testing else Quality.GOOD)


def told(verdicts: Verdicts) -> list[tuple[Any, ...]]:
    """Return verdicts as comparable tuples, in rule order; NaN compares as text."""
    columns = (verdicts.rule, verdicts.level, verdicts.score, verdicts.time_ns, verdicts.value, verdicts.limit)
    reasons = verdicts.reason or [""] * len(verdicts)
    return sorted(tuple(map(repr, entry)) for entry in zip(*columns, verdicts.quality, reasons, strict=True))


def says_why(reason: Reason) -> None:
    for text in reason:
        assert text == " ".join(text.split()) != ""
        assert len(text) <= 200
    assert any("\u4e00" <= letter <= "\u9fff" for letter in reason.zh), reason.zh
    assert not any("\u4e00" <= letter <= "\u9fff" for letter in reason.en), reason.en


def run(detector: Detector, batches: list[Batch]) -> list[list[tuple[Any, ...]]]:
    return [told(detector.update(batch)) for batch in batches]


def check_only_changes_are_reported(case: Case) -> None:
    detector = case.make()
    level = {rule.index: 0 for rule in case.rules}
    for batch in stream(case, 1, 200):
        verdicts = detector.update(batch)
        # Readings of a group stand one behind the other in a batch: only there may a rule change more than once.
        assert len(set(verdicts.rule.tolist())) == len(verdicts) or case.binding is not Binding.EACH
        for rule, new, time_ns in zip(verdicts.rule, verdicts.level, verdicts.time_ns, strict=True):
            assert new != level[int(rule)]
            assert new in {Level.NORMAL, *case.levels}
            assert time_ns in batch.time_ns
            level[int(rule)] = int(new)
        assert detector.level.tolist() == list(level.values())
        assert detector.level.dtype == np.int8
        kinds = (verdicts.rule.dtype, verdicts.level.dtype, verdicts.score.dtype, verdicts.time_ns.dtype)
        assert kinds == (np.int32, np.int8, np.float32, np.int64)
        assert (verdicts.value.dtype, verdicts.limit.dtype, verdicts.quality.dtype) == (float, float, np.uint8)


def check_it_can_be_moved_and_says_why_in_lines_for_people(case: Case) -> None:
    for batches in plants(case):
        detector, found = case.make(), 0
        for verdicts in map(detector.update, batches):
            assert len(verdicts.reason) in ((len(verdicts),) if case.top is Level.WARNING else (0, len(verdicts)))
            for reason in verdicts.reason:
                says_why(reason)
            found += len(verdicts)
            if found >= ENOUGH:
                break
        if found:
            return
    pytest.fail("nothing moves it")


def check_bad_never_clears(case: Case) -> None:
    for reason in (quality for quality in Quality if quality >= Quality.BAD):
        detector = case.make()
        detector.level = np.full(RULES, case.top, np.int8)
        for second in range(0, 600, 30):
            detector.update(Batch.bad(case.rows, START + second * SECOND, reason))
            assert (SEVERITIES[detector.level] >= SEVERITY[case.top]).all(), reason


def check_bad_raises_no_alarm(case: Case) -> None:
    for reason in (quality for quality in Quality if quality >= Quality.BAD):
        detector = case.make()
        for second in range(0, 600, 30):
            detector.update(Batch.bad(case.rows, START + second * SECOND, reason))
        assert set(detector.level.tolist()) <= {Level.NORMAL, Level.FAULT}


def check_constant_input_stays_normal(case: Case) -> None:
    detector = case.make()
    for second in range(0, 600, 2):
        assert len(detector.update(Batch.of(case.rows, START + second * SECOND, case.air))) == 0


def check_deterministic(case: Case) -> None:
    batches = stream(case, 2, 150)
    assert run(case.make(), batches) == run(case.make(), batches)


def check_save_and_restore_midway(case: Case) -> None:
    batches = stream(case, 3, 160)
    whole = run(case.make(), batches)
    for cut in (0, 1, 100):
        first, second = case.make(), case.make()
        run(first, batches[:cut])
        state = {name: column.copy() for name, column in first.save().items()}
        run(first, batches[cut : cut + 20])
        second.restore(state)
        assert run(second, batches[cut:]) == whole[cut:]


def check_state_moves_by_rule(case: Case) -> None:
    """Row k of every saved array is all there is of rule k: rules may move to another detector, among other rules."""
    batches = stream(case, 10, 160)
    whole = run(case.make(), batches)
    moved = [5, 1, 6, 2]
    rules = [case.rules[k] for k in moved]
    for cut in (1, 100):
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


def check_the_shape_of_its_state_does_not_depend_on_others(case: Case) -> None:
    """A rule that stays keeps its state whatever rules come or go beside it, those with other options too."""
    other = next(
        (each for each in examples(case.module) if case.module.Options.model_validate(each) != case.options), {}
    )
    strangers = Case(case.module, other).rules[1:3]
    alone = case.make().save()
    mixed = case.module.create([case.rules[0], *strangers]).save()
    assert {name: (column.dtype, column.shape[1:]) for name, column in alone.items()} == {
        name: (column.dtype, column.shape[1:]) for name, column in mixed.items()
    }


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
    run(detector, stream(case, 7, 250))
    assert sum(column.nbytes for column in detector.save().values()) == before
    assert before <= (RULES * 65536 if case.learns else sum(len(rule.channels) for rule in case.rules) * 4096)


def check_gap_is_no_answer(case: Case) -> None:
    """After a day of silence the old readings count for nothing, and air is still normal."""
    detector = case.make()
    for day in range(3):
        for second in range(0, 120, 2):
            time_ns = START + (day * 86400 + second) * SECOND
            assert len(detector.update(Batch.of(case.rows, time_ns, case.air))) == 0


def check_time_may_step_back(case: Case) -> None:
    detector = case.make()
    for second in [*range(0, 100, 2), *range(-3600, -3400, 2), *range(3600, 3700, 2)]:
        assert len(detector.update(Batch.of(case.rows, START + second * SECOND, case.air))) == 0


def check_input_is_unchanged(case: Case) -> None:
    detector = case.make()
    for batch in stream(case, 8, 60):
        columns = [c.copy() for c in (batch.row, batch.time_ns, batch.value, batch.quality)]
        detector.update(batch)
        now = (batch.row, batch.time_ns, batch.value, batch.quality)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(columns, now, strict=True))


def check_splitting_a_batch_does_not_matter(case: Case) -> None:
    whole, split = case.make(), case.make()
    for batch in stream(case, 9, 160 if case.binding is Binding.EACH else 80):
        together = told(whole.update(batch))
        apart = [told(split.update(batch.take(slice(i, i + 1)))) for i in range(len(batch))]
        assert sorted(entry for found in apart for entry in found) == together


def check_rows_without_rules_are_ignored(case: Case) -> None:
    detector = case.make()
    before = detector.save()
    rows = [0, 1, 2, 4, 6, int(case.rows[-1]) + 1, 100_000]
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
    detector = case.make()
    detector.level[:] = case.top
    levels = set()
    for batch in [*case.quiet(3000), *(case.quiet(LEARNING_S, start_s=3000) if case.learns else ())]:
        levels |= set(detector.update(batch).level.tolist())
    assert set(detector.level.tolist()) == {case.top if case.name in UNTIL_TOLD else Level.NORMAL}
    assert case.top not in levels


def check_learning_begins_with_nothing_and_ends(case: Case) -> None:
    detector = case.make()
    if not isinstance(detector, Learning):
        return
    assert (detector.score.dtype, detector.score.shape) == (np.float64, (RULES,))
    assert (detector.ready.dtype, detector.ready.shape) == (np.bool_, (RULES,))
    assert np.isnan(detector.score).all()
    assert not detector.ready.any()
    for batch in case.quiet(LEARNING_S):
        assert len(detector.update(batch)) == 0
    assert detector.ready.all()
    assert ((detector.score >= 0.0) & (detector.score <= 1.0)).all()


def check_what_was_learned_survives_a_restart(case: Case) -> None:
    if not case.learns:
        return
    detector, other = case.taught(), case.taught()
    assert detector.ready.all()
    quiet = case.quiet(600, start_s=LEARNING_S)
    run(detector, quiet[:30])
    other.restore(detector.save())
    assert other.ready.tolist() == detector.ready.tolist()
    assert run(detector, quiet[30:]) == run(other, quiet[30:])
    assert np.array_equal(detector.score, other.score, equal_nan=True)


def check_nothing_is_learned_from_bad_readings(case: Case) -> None:
    detector = case.make()
    if not isinstance(detector, Learning):
        return
    for second in range(0, LEARNING_S, STEP_S):
        detector.update(Batch.bad(case.rows, START + second * SECOND, Quality.SENSOR_FAULT))
    assert not detector.ready.any()
    assert np.isnan(detector.score).all()


def check_nothing_is_learned_while_held(case: Case) -> None:
    """What follows a stretch under hold is judged as if that stretch had been as quiet as ever."""
    if not case.learns:
        return
    strange, usual = case.taught(), case.taught()
    spell_s, everything = 1800, np.ones(CHANNELS, np.bool_)
    at_s = LEARNING_S
    for detector, shift in ((strange, 30.0), (usual, 0.0)):
        detector.hold(everything)
        run(detector, case.quiet(spell_s, start_s=at_s, shift=shift))
        run(detector, case.quiet(spell_s, start_s=at_s + spell_s, seed=5))
        detector.hold(~everything)
        run(detector, case.quiet(spell_s, start_s=at_s + 2 * spell_s, seed=6))
        detector.level[:] = Level.NORMAL
    raised = [
        {
            entry[0]
            for found in run(detector, case.quiet(spell_s, start_s=at_s + 3 * spell_s, shift=30.0))
            for entry in found
        }
        for detector in (strange, usual)
    ]
    assert raised[0] == raised[1]
    assert strange.ready.all()


def check_a_held_beginner_learns_nothing(case: Case) -> None:
    detector = case.make()
    if not isinstance(detector, Learning):
        return
    detector.hold(np.ones(CHANNELS, np.bool_))
    run(detector, case.quiet(LEARNING_S))
    assert not detector.ready.any()


def check_what_is_relearned_begins_anew_and_the_others_go_on(case: Case) -> None:
    if not case.learns:
        return
    detector = case.taught()
    before = detector.save()
    detector.relearn(np.array([0, 2], np.intp))
    assert detector.ready.tolist() == [False, True, False, True, True, True, True]
    assert np.isnan(detector.score[[0, 2]]).all()
    others = [1, 3, 4, 5, 6]
    assert all(before[name][others].tobytes() == column[others].tobytes() for name, column in detector.save().items())
    run(detector, case.quiet(LEARNING_S, start_s=LEARNING_S))
    assert detector.ready.all()


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
    names = {module.__name__.removeprefix("detectors.") for module in modules()}
    assert {"threshold", "rate", "fault"} <= names
