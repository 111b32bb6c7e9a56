"""What is found, missed, late and false, on recordings small enough to count by hand."""

import textwrap
from pathlib import Path

import numpy as np
import pytest

from gateway.core.clock import NS_PER_S
from gateway.core.errors import ConfigError, SiteFileError
from gateway.core.model import Level
from gateway.evaluation import nab
from gateway.evaluation.compare import pairs
from gateway.evaluation.evaluate import Evaluation, evaluate
from gateway.evaluation.judge import NS_PER_WEEK
from gateway.evaluation.recording import Recording, Series, Truth, assembled
from gateway.evaluation.rules import Rules, load_rules
from gateway.evaluation.sweep import Sweep, swept

LIMIT = "rules:\n  - {id: gas, type: threshold, channels: ['*'], options: {low: 10, deadband: 0}}\n"


def rules(tmp_path: Path, text: str = LIMIT) -> Rules:
    file = tmp_path / "rules.yaml"
    file.write_text(textwrap.dedent(text))
    return load_rules(file)


def recording(
    values: dict[str, list[float]], truths: list[Truth], *, learning_s: float | None = None, labelled: bool = True
) -> Recording:
    """Return a recording with a reading a second on each channel, areas by what stands before the channel's hyphen."""
    series = [
        Series(name, np.arange(len(column)) * NS_PER_S, np.array(column), "ch4", "%LEL", name.partition("-")[0])
        for name, column in values.items()
    ]
    learning = None if learning_s is None else round(learning_s * NS_PER_S)
    return assembled("hand", "csv", series, truths, learning_ns=learning, labelled=labelled)


def truth(start_s: float, end_s: float, kind: str = "leak", **more: object) -> Truth:
    return Truth(kind, round(start_s * NS_PER_S), round(end_s * NS_PER_S), **more)  # type: ignore[arg-type]


def judge(tmp_path: Path, made: Recording, text: str = LIMIT) -> Evaluation:
    return evaluate(rules(tmp_path, text), [made])


#            0  1  2   3   4  5  6   7  8  9
ONE_LEAK = [0, 0, 0, 20, 20, 0, 0, 20, 0, 0]


def test_a_raise_in_the_window_finds_it_and_its_delay_counts_from_the_windows_beginning(tmp_path: Path) -> None:
    (result,) = judge(tmp_path, recording({"a-1.ch4": ONE_LEAK}, [truth(2, 5)])).results
    found = result.judged
    assert (found.found, found.missed, found.delays_s) == (1, 0, [1.0])
    assert [(name, e.start_ns // NS_PER_S, e.end_ns // NS_PER_S, e.level) for name, e in found.false] == [
        ("hand", 7, 8, Level.LOW)
    ]
    # Readings at 0, 1, 6, 7 and 8 s stand for a second each; 2 to 5 is the window, and 9 is the last.
    assert found.clean_weeks == pytest.approx(5 * NS_PER_S / NS_PER_WEEK)
    assert found.false_per_week == pytest.approx(7 * 86_400 / 5)
    # Said at 3, 4 and 7 s; so from 2 to 5 s.
    assert (result.points.hit, result.points.false, result.points.missed, result.points.quiet) == (2, 1, 2, 5)
    assert result.points.f1 == pytest.approx(4 / 7)
    assert result.points.far_percent == pytest.approx(100 / 6)
    assert result.points.mar_percent == pytest.approx(50)


def test_delays_count_from_the_events_own_moment_and_may_be_negative(tmp_path: Path) -> None:
    made = recording({"a-1.ch4": ONE_LEAK}, [truth(2, 8, event_ns=6 * NS_PER_S)])
    assert judge(tmp_path, made).results[0].judged.delays_s == [-3.0]


def test_an_alarm_that_stood_before_finds_nothing_and_is_false(tmp_path: Path) -> None:
    (result,) = judge(tmp_path, recording({"a-1.ch4": [20.0] * 10}, [truth(4, 6)])).results
    assert (result.judged.found, result.judged.missed, len(result.judged.false)) == (0, 1, 1)


def test_a_rise_to_a_graver_level_within_the_window_is_news(tmp_path: Path) -> None:
    text = LIMIT.replace("low: 10", "low: 10, high: 50")
    values = [20.0, 20.0, 20.0, 60.0, 60.0, 20.0, 20.0]
    (result,) = judge(tmp_path, recording({"a-1.ch4": values}, [truth(2, 4)]), text).results
    assert (result.judged.delays_s, len(result.judged.false)) == ([1.0], 1)


def test_an_episode_that_lasts_from_one_window_into_the_next_finds_both(tmp_path: Path) -> None:
    values = [0.0, 20.0, 20.0, 20.0, 20.0, 20.0, 0.0]
    (result,) = judge(tmp_path, recording({"a-1.ch4": values}, [truth(0, 2), truth(4, 5)])).results
    assert [f.delay_s for f in result.judged.findings] == [1.0, 0.0]
    assert not result.judged.false


@pytest.mark.parametrize(("lead", "grace", "found", "false"), [(0, 0, 0, 2), (1, 0, 1, 1), (0, 2, 1, 1), (1, 2, 1, 0)])
def test_lead_and_grace_widen_the_window(tmp_path: Path, lead: int, grace: int, found: int, false: int) -> None:
    text = f"{LIMIT}judging: {{lead_s: {lead}, grace_s: {grace}}}\n"
    (result,) = judge(tmp_path, recording({"a-1.ch4": ONE_LEAK}, [truth(4, 5)]), text).results
    assert (result.judged.found, len(result.judged.false)) == (found, false)


def test_what_is_said_in_the_part_for_learning_is_neither_found_nor_false(tmp_path: Path) -> None:
    made = recording({"a-1.ch4": ONE_LEAK}, [truth(0, 1), truth(8, 9)], learning_s=6)
    (result,) = judge(tmp_path, made).results
    assert [(f.truth.start_ns, f.delay_s) for f in result.judged.findings] == [(8 * NS_PER_S, None)]
    assert [e.start_ns // NS_PER_S for _, e in result.judged.false] == [7]
    assert result.judged.episodes == 1


def test_a_truth_of_a_channel_or_an_area_concerns_no_other(tmp_path: Path) -> None:
    values = {"a-1.ch4": ONE_LEAK, "b-1.ch4": ONE_LEAK, "b-2.ch4": [0.0] * 10}
    of_channel = truth(3, 4, channels=("b-2.ch4",))
    of_area = truth(7, 8, area="a")
    (result,) = judge(tmp_path, recording(values, [of_channel, of_area])).results
    assert [(f.truth.start_ns // NS_PER_S, f.delay_s) for f in result.judged.findings] == [(3, None), (7, 0.0)]
    assert sorted((e.rule.id, e.start_ns // NS_PER_S) for _, e in result.judged.false) == [
        ("gas:a-1.ch4", 3), ("gas:b-1.ch4", 3), ("gas:b-1.ch4", 7)
    ]  # fmt: skip


def test_a_truth_that_is_not_counted_makes_nothing_false_and_is_not_to_be_found(tmp_path: Path) -> None:
    made = recording({"a-1.ch4": ONE_LEAK}, [truth(2, 5, counted=False), truth(7, 8)])
    (result,) = judge(tmp_path, made).results
    assert (len(result.judged.findings), len(result.judged.false)) == (1, 0)
    assert (result.points.hit, result.points.false) == (1, 0)


def test_a_limit_is_for_no_instruments_fault_where_there_is_a_leak_to_find(tmp_path: Path) -> None:
    both = recording({"a-1.ch4": ONE_LEAK}, [truth(2, 5), truth(7, 8, "fault:drift")])
    assert judge(tmp_path, both).results[0].judged.by_kind() == {"leak": (1, 1)}
    fault = recording({"a-1.ch4": ONE_LEAK}, [truth(7, 8, "fault:drift")])
    assert judge(tmp_path, fault).results[0].judged.by_kind() == {"fault:drift": (1, 1)}
    told = f"{LIMIT}judging: {{answers: {{gas: ['fault:*']}}}}\n"
    assert judge(tmp_path, both, told).results[0].judged.by_kind() == {"fault:drift": (1, 1)}


def test_gaps_do_not_count_as_watched(tmp_path: Path) -> None:
    made = assembled("gap", "csv", [Series("a.x", np.array([0, 1, 2, 1000, 1001]) * NS_PER_S, np.zeros(5))], [])
    (result,) = judge(tmp_path, made).results
    # 1 s, 1 s, ten periods of 1 s for the gap, 1 s.
    assert result.judged.clean_weeks == pytest.approx(13 * NS_PER_S / NS_PER_WEEK)


def test_without_known_truth_nothing_is_judged(tmp_path: Path) -> None:
    (result,) = judge(tmp_path, recording({"a-1.ch4": ONE_LEAK}, [], labelled=False)).results
    assert (result.judged.findings, result.judged.false, result.points.hit, result.nab) == ((), (), 0, None)
    assert len(result.run.told[0].episodes) == 2, "what was said can still be seen"


def test_medians_and_percentiles_are_interpolated(tmp_path: Path) -> None:
    values = [0.0] * 100
    for at in (12, 24, 38, 50):
        values[at] = 20.0
    made = recording({"a-1.ch4": values}, [truth(at, at + 9) for at in (10, 20, 30, 50)])
    found = judge(tmp_path, made).results[0].judged
    assert found.delays_s == [0.0, 2.0, 4.0, 8.0]
    assert (found.delay_s(50), found.delay_s(90)) == (3.0, pytest.approx(6.8))


def test_recordings_side_by_side_say_what_each_says_alone(tmp_path: Path) -> None:
    text = """
        rules:
          - {id: gas, type: threshold, channels: ['*'], options: {low: 10, high: 40}}
          - {id: rise, type: rate, channels: ['*'], options: {low: 60, window_s: 4, readings_min: 3}}
    """
    noise = np.random.default_rng(5)
    made = [
        recording({"a-1.ch4": (noise.random(n) * 30).tolist(), "a-2.ch4": (noise.random(n) * 60).tolist()}, [])
        for n in (50, 80, 30)
    ]
    chosen = rules(tmp_path, text)
    together = evaluate(chosen, made)
    for k, one in enumerate(made):
        alone = evaluate(chosen, [one])
        for result, single in zip(together.results, alone.results, strict=True):
            said = [(e.rule.id, e.start_ns, e.end_ns, e.level) for e in result.run.told[k].episodes]
            assert said == [(e.rule.id, e.start_ns, e.end_ns, e.level) for e in single.run.told[0].episodes]
            assert said


def test_the_numenta_score_of_alarms_is_that_of_a_score_of_one_where_they_were_raised(tmp_path: Path) -> None:
    values = [0.0] * 100
    values[52] = values[90] = 20.0
    (result,) = judge(tmp_path, recording({"a-1.ch4": values}, [truth(50, 59)])).results
    said = np.zeros(100)
    said[[52, 90]] = 1.0
    assert result.nab is not None
    for profile in nab.PROFILES:
        expected = nab.at_threshold([nab.weigh(said, [(50, 59)], profile)], 0.5)
        assert result.nab.alarms[profile.name] == pytest.approx(expected)
    assert not result.nab.best, "a limit has no score of its own"


def test_a_sweep_gives_a_step_for_each_value_and_only_for_rules_with_the_option(tmp_path: Path) -> None:
    text = """
        rules:
          - {id: gas, type: threshold, channels: ['*'], options: {low: 10}}
          - {id: rise, type: rate, channels: ['*'], options: {low: 60, window_s: 4, readings_min: 3}}
    """
    values = [0.0, 0.0, 5.0, 15.0, 25.0, 0.0, 12.0, 0.0]
    made = recording({"a-1.ch4": values}, [truth(2, 5)])
    steps = list(swept(rules(tmp_path, text), Sweep.parse("gas.low=4:24:3"), [made]))
    assert [(s.value, s.result.judged.delays_s, len(s.result.judged.false)) for s in steps] == [
        (4.0, [0.0], 1), (14.0, [1.0], 0), (24.0, [2.0], 0)
    ]  # fmt: skip
    both = list(swept(rules(tmp_path, text), Sweep.parse("low=4,24"), [made]))
    assert [(s.value, s.result.id) for s in both] == [(4.0, "gas"), (4.0, "rise"), (24.0, "gas"), (24.0, "rise")]
    with pytest.raises(ConfigError, match=r"no rule has the option 'gas\.lwo'; there are gas\.low"):
        list(swept(rules(tmp_path, text), Sweep.parse("gas.lwo=1,2"), [made]))


@pytest.mark.parametrize("text", ["low", "low=", "=1:2:3", "low=1:2", "low=1:2:1", "low=a,b", "low=1:2:100000"])
def test_a_sweep_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"OPTION=|FROM:TO:COUNT|are the most"):
        Sweep.parse(text)


def test_a_comparison_tells_what_each_side_alone_finds(tmp_path: Path) -> None:
    made = recording({"a-1.ch4": [0.0, 12.0, 0.0, 0.0, 30.0, 0.0]}, [truth(1, 2), truth(4, 5, area="a")])
    first = evaluate(rules(tmp_path), [made])
    second = evaluate(rules(tmp_path, LIMIT.replace("low: 10", "low: 20")), [made])
    (pair,) = pairs(first, second)
    assert (pair.newly_found, pair.newly_missed) == ([], ["hand leak"])
    assert (pair.differences()["found"], pair.differences()["later_s"]) == (-1, 0.0)
    other = evaluate(rules(tmp_path, LIMIT.replace("id: gas", "id: other")), [made])
    assert [(p.id, p.first is None, p.second is None) for p in pairs(first, other)] == [
        ("gas", False, True), ("other", True, False)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules:\n  - {id: gas, type: threshhold, channels: ['*']}\n", "rules.yaml:2:.*there is no detector"),
        ("rules:\n  - {id: gas, type: threshold, channels: ['*'], options: {lwo: 3}}\n", "options.lwo: unknown key"),
        ("rules:\n  - {id: a, type: threshold, channels: ['*.x'], options: {low: 3}}\n", "no channel is called"),
        (f"{LIMIT}{LIMIT[7:]}", "'gas' is already the id"),
        (f"{LIMIT}judging: {{grace: 3}}\n", "judging.grace: unknown key"),
        ("rules: []\n", "rules"),
        ("[]", "a file of rules is a mapping"),
        (
            "rules:\n  - {id: r, type: rate, channels: ['*'], options: {low: 3, window_s: 1}}\n",
            "rules.yaml:2:.*fewer than",
        ),
    ],
)
def test_a_mistake_in_the_rules_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SiteFileError, match=said):
        judge(tmp_path, recording({"a-1.ch4": ONE_LEAK}, []), text)


def test_delays_are_compared_only_where_both_find(tmp_path: Path) -> None:
    values = [0.0, 0.0, 12.0, 25.0, 0.0, *[0.0] * 20, 0.0, 12.0, 12.0, 12.0, 12.0]
    made = recording({"a-1.ch4": values}, [truth(1, 4), truth(20, 29)])
    low, high = (evaluate(rules(tmp_path, LIMIT.replace("low: 10", f"low: {at}")), [made]) for at in (10, 20))
    (pair,) = pairs(high, low)
    assert pair.differences()["later_s"] == -1.0
    assert low.results[0].judged.delay_s(50) > high.results[0].judged.delay_s(50)


def test_rules_that_tell_one_event_make_one_episode_together(tmp_path: Path) -> None:
    text = """
        rules:
          - {id: gas, type: threshold, channels: ['*'], options: {low: 10}}
          - {id: early, type: threshold, channels: ['*'], options: {low: 5}}
          - {id: much, type: threshold, channels: ['a-1.ch4'], options: {low: 24}}
    """
    #         0    1    2     3    4    5    6    7     8    9
    first = [0.0, 6.0, 12.0, 6.0, 0.0, 0.0, 6.0, 0.0, 40.0, 0.0]
    made = recording({"a-1.ch4": first, "b-1.ch4": [0.0] * 10}, [truth(2, 3), truth(8, 9)])
    evaluation = judge(tmp_path, made, text)
    assert [len(result.judged.false) for result in evaluation.results] == [0, 2, 0]
    assert evaluation.together is not None
    found = evaluation.together.judged
    # The episode from 1 to 4 s began in clean time, but gas was raised within the window, at 2 s.
    assert (found.delays_s, [e.start_ns // NS_PER_S for _, e in found.false]) == ([0.0, 0.0], [1, 6])
    assert found.episodes == 3
    assert found.clean_weeks == pytest.approx(evaluation.results[0].judged.clean_weeks)
    (open_end,) = [e for e in evaluation.together.run.told[0].episodes if e.start_ns == 8 * NS_PER_S]
    assert (open_end.end_ns // NS_PER_S, open_end.open, open_end.level) == (9, False, Level.LOW)


def test_a_thermometer_misses_no_leak_and_a_gas_head_no_fire(tmp_path: Path) -> None:
    text = """
        rules:
          - {id: gas, type: threshold, channels: ['*.ch4'], options: {low: 10}}
          - {id: heat, type: threshold, channels: ['*.temperature'], options: {low: 60}}
    """
    series = [
        Series("a-1.ch4", np.arange(10) * NS_PER_S, np.array(ONE_LEAK, float), "ch4", "%LEL", "a"),
        Series("a-1.temperature", np.arange(10) * NS_PER_S, np.full(10, 20.0), "temperature", "°C", "a"),
    ]
    made = assembled("both", "csv", series, [truth(2, 5), truth(6, 9, "fire")])
    gas, heat = judge(tmp_path, made, text).results
    assert (gas.judged.by_kind(), heat.judged.by_kind()) == ({"leak": (1, 1)}, {"fire": (0, 1)})
