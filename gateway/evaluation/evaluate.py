"""Everything that is told of a detector on a set of recordings, in one place."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.evaluation.judge import Judged, judged
from gateway.evaluation.points import NabScores, Points, nab_scores, points, units
from gateway.evaluation.recording import Recording
from gateway.evaluation.rules import Judging, Rules
from gateway.evaluation.run import Run, run
from gateway.evaluation.together import judged_together, together


@dataclass(frozen=True, slots=True)
class Result:
    """One entry of the rules on all recordings.

    Attributes:
        run: What it said.
        judged: What it found, missed, and said for nothing.
        points: Moment by moment.
        nab: Scores of the Numenta benchmark; None where there are no windows.
    """

    run: Run = field(repr=False)
    judged: Judged
    points: Points
    nab: NabScores | None

    @property
    def id(self) -> str:
        """The rule's id in its file."""
        return self.run.entry.section.id

    @property
    def type(self) -> str:
        """The detector's name."""
        return self.run.entry.section.type

    def plain(self) -> dict[str, Any]:
        """Return it for a program."""
        found = self.judged
        return {
            "rule": self.id,
            "type": self.type,
            "rules": sum(len(told.rules) for told in self.run.told),
            "truths": len(found.findings),
            "found": found.found,
            "missed": found.missed,
            "by_kind": {kind: {"found": hit, "of": total} for kind, (hit, total) in found.by_kind().items()},
            "delay_median_s": found.delay_s(50),
            "delay_p90_s": found.delay_s(90),
            "episodes": found.episodes,
            "false": len(found.false),
            "clean_weeks": found.clean_weeks,
            "false_per_week": found.false_per_week,
            "f1": self.points.f1,
            "far_percent": self.points.far_percent,
            "mar_percent": self.points.mar_percent,
            "nab": None if self.nab is None else _plain(self.nab),
            "cost_us": self.run.cost_us,
            "batch_size": self.run.batch_size,
            "failed": list(self.run.failed),
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One set of rules on all recordings.

    Attributes:
        name: The rules' name.
        recordings: What they were run on.
        results: One for each entry of the rules that has channels in any recording.
        judging: How they were judged.
        together: All entries as one detector; None where there is only one.
    """

    name: str
    recordings: tuple[Recording, ...] = field(repr=False)
    results: tuple[Result, ...]
    judging: Judging
    together: Result | None = None

    def plain(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "rules": self.name,
            "recordings": len(self.recordings),
            "readings": sum(len(recording) for recording in self.recordings),
            "lead_s": self.judging.lead_s,
            "grace_s": self.judging.grace_s,
            "results": [result.plain() for result in self.results],
            "together": None if self.together is None else self.together.plain(),
        }


def evaluate(rules: Rules, recordings: Sequence[Recording], *, scores: bool = True) -> Evaluation:
    """Run rules over recordings and judge them.

    Args:
        rules: The rules.
        recordings: The recordings.
        scores: Keep the scores of detectors that learn, for charts and the Numenta score at the best threshold.

    Raises:
        SiteFileError: A rule cannot be bound to any recording, or its detector refuses it.
    """
    runs = [one for one in run(rules, recordings, scores=scores) if one.told]
    results = tuple(_result(one, rules.judging) for one in runs)
    whole = _whole(runs, results, rules.judging) if len(runs) > 1 else None
    return Evaluation(rules.name, tuple(recordings), results, rules.judging, whole)


def _whole(runs: Sequence[Run], results: Sequence[Result], judging: Judging) -> Result:
    """Return all entries as one, which is for whatever any of them is for."""
    made = together(runs)
    of = list(units(made, tuple(k for one in runs for k in judging.answers.get(one.entry.section.id, ("*",)))))
    return Result(made, judged_together([result.judged for result in results], made), points(of), nab_scores(of))


def _result(made: Run, judging: Judging) -> Result:
    of = list(units(made, judging.answers.get(made.entry.section.id)))
    return Result(made, judged(made, judging), points(of), nab_scores(of))


def _plain(scores: NabScores) -> dict[str, Any]:
    return {
        "alarms": scores.alarms,
        "best": scores.best,
        "held_out": scores.held_out,
        "threshold": scores.threshold,
    }
