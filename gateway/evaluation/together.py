"""All rules of a set as one detector: what somebody hears who has all of them.

A truth is found by whichever rule finds it first. Where several rules judge the same channels, their episodes are put
together: while any of them is not normal there is one episode. So one event that three rules tell is one episode and
not three, and as a false one counts once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from gateway.core.model import Rule
from gateway.evaluation.episodes import SEVERITY, Episode
from gateway.evaluation.judge import Finding, Judged
from gateway.evaluation.recording import Recording, Truth
from gateway.evaluation.run import Run, Told
from gateway.site.schema import RuleSection

NAME: Final = "together"


def together(runs: Sequence[Run]) -> Run:
    """Return what several entries of the rules say as one."""
    entry = replace(runs[0].entry, section=RuleSection(id=NAME, type="any", channels=("*",)), path=())
    by_recording: dict[str, tuple[Recording, list[Told]]] = {}
    for run in runs:
        for told in run.told:
            by_recording.setdefault(told.recording.name, (told.recording, []))[1].append(told)
    merged = tuple(_merged(recording, parts) for recording, parts in by_recording.values())
    cost_s = sum(run.cost_s for run in runs)
    # A reading that three rules judge is one reading that costs three times.
    readings = max(run.readings for run in runs)
    failed = tuple(name for run in runs for name in run.failed)
    return Run(entry, merged, cost_s, readings, max(run.batch_size for run in runs), failed)


def judged_together(parts: Sequence[Judged], whole: Run) -> Judged:
    """Return what several entries found and said for nothing, as one.

    Args:
        parts: Each entry's own.
        whole: What they said as one, from `together`.
    """
    best: dict[tuple[str, Truth], Finding] = {}
    for finding in (finding for part in parts for finding in part.findings):
        key = (finding.recording, finding.truth)
        if key not in best or _sooner(finding, best[key]):
            best[key] = finding
    wrong: dict[tuple[str, tuple[str, ...]], list[Episode]] = {}
    for name, episode in (pair for part in parts for pair in part.false):
        wrong.setdefault((name, _judges(episode.rule)), []).append(episode)
    false = [(name, one) for (name, _), some in wrong.items() for one in united(some[0].rule, some)]
    counted = sum(
        e.start_ns >= t.recording.judged_from_ns for t in whole.told if t.recording.labelled for e in t.episodes
    )
    return Judged(
        findings=tuple(best.values()),
        false=tuple(sorted(false, key=lambda pair: (pair[0], pair[1].start_ns))),
        episodes=counted,
        clean_weeks=max(part.clean_weeks for part in parts),
    )


def _sooner(one: Finding, other: Finding) -> bool:
    if one.delay_s is None or other.delay_s is None:
        return other.delay_s is None and one.delay_s is not None
    return one.delay_s < other.delay_s


def _merged(recording: Recording, parts: Sequence[Told]) -> Told:
    of: dict[tuple[str, ...], tuple[list[Rule], list[Episode]]] = {}
    for told in parts:
        for rule in told.rules:
            of.setdefault(_judges(rule), ([], []))[0].append(rule)
        for episode in told.episodes:
            of[_judges(episode.rule)][1].append(episode)
    rules: list[Rule] = []
    episodes: list[Episode] = []
    for mine, said in of.values():
        levels = tuple(dict.fromkeys(level for rule in mine for level in rule.levels))
        rule = replace(mine[0], levels=levels)
        rules.append(rule)
        episodes += united(rule, said)
    episodes.sort(key=lambda episode: (episode.start_ns, episode.rule.index))
    return Told(recording, tuple(rules), tuple(episodes))


def _judges(rule: Rule) -> tuple[str, ...]:
    return tuple(channel.id for channel in rule.judges)


def united(rule: Rule, episodes: Iterable[Episode]) -> list[Episode]:
    """Return episodes of several rules as those of one; those that overlap or touch become one."""
    found: list[Episode] = []
    for episode in sorted(episodes, key=lambda one: (one.start_ns, one.end_ns)):
        last = found[-1] if found else None
        if last is None or not (last.open or episode.start_ns <= last.end_ns):
            found.append(replace(episode, rule=rule))
            continue
        found[-1] = replace(
            last,
            end_ns=max(last.end_ns, episode.end_ns),
            open=last.open or episode.open,
            level=max(last.level, episode.level, key=lambda level: SEVERITY[level]),
            rises_ns=tuple(sorted({*last.rises_ns, *episode.rises_ns})),
        )
    return found
