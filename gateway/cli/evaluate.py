"""`hazgate evaluate SOURCE…`: detectors against recorded or simulated truth."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli import asking, logs

if TYPE_CHECKING:
    from gateway.evaluation.evaluate import Evaluation
    from gateway.evaluation.recording import Recording
    from gateway.evaluation.rules import Rules

FORMATS = ("auto", "nab", "skab", "nist", "faults", "scenario", "csv")
"""As in `gateway.evaluation.loaders`, which `--help` does not import."""


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SOURCE...")
@click.option(
    "--rules",
    "rules_file",
    type=click.Path(path_type=Path),
    metavar="RULES.yaml",
    help="A file with the section `rules` of a site file; those shipped for the format where left out.",
)
@click.option(
    "--site",
    type=click.Path(path_type=Path),
    metavar="SITE.yaml",
    help="Take the rules of a site, and what it says of its channels.",
)
@click.option("--format", "kind", type=click.Choice(FORMATS), default="auto", help="What the sources are.")
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="FILE", help="Write tables and charts, .html or .png."
)
@click.option("--sweep", metavar="OPTION=FROM:TO:COUNT", help="Run with each value, or with OPTION=VALUE,VALUE,…")
@click.option(
    "--compare", type=click.Path(path_type=Path), metavar="OTHER.yaml", help="Set another file of rules beside them."
)
@click.option("--lead", "lead_s", type=click.FloatRange(0), metavar="SECONDS", help="A window begins so much earlier.")
@click.option("--grace", "grace_s", type=click.FloatRange(0), metavar="SECONDS", help="A window ends so much later.")
@click.option("--seeds", type=click.IntRange(1, 1000), help="Run a scenario so many times, with seeds from 1.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.1, 900),
    default=1.0,
    show_default=True,
    help="Seconds between a scenario's readings.",
)
@asking.as_json
def command(
    *,
    sources: tuple[Path, ...],
    rules_file: Path | None,
    site: Path | None,
    kind: str,
    report: Path | None,
    sweep: str | None,
    compare: Path | None,
    lead_s: float | None,
    grace_s: float | None,
    seeds: int | None,
    every_s: float,
    json_: bool,
) -> None:
    """Hold detectors against recordings, or simulated plants, of which the truth is known.

    A SOURCE is a folder or file of the Numenta Anomaly Benchmark, of SKAB, of NIST's smoke alarm tests or of the
    injected sensor faults, a scenario of the simulator, or any CSV file. For each rule: what it found and missed, how
    late it was, and how often it spoke for nothing. docs/how-to/evaluate-detectors.md says how each figure is counted.
    """
    logs.set_up(as_json=False, quiet=True)
    if rules_file is not None and site is not None:
        raise click.UsageError("give either --rules or --site")
    if sweep is not None and compare is not None:
        raise click.UsageError("give either --sweep or --compare")
    if report is not None:
        from gateway.evaluation.report import check_report  # noqa: PLC0415 - `--help` loads nothing heavy

        check_report(report)
    recordings = _recordings(sources, kind, seeds, every_s)
    rules = _judged(_rules(rules_file, site, recordings), lead_s, grace_s)
    if sweep is not None:
        _sweep(rules, sweep, recordings, report, as_json=json_)
        return
    evaluations = [_evaluate(rules, recordings)]
    if compare is not None:
        from gateway.evaluation.rules import load_rules  # noqa: PLC0415

        evaluations.append(_evaluate(_judged(load_rules(compare), lead_s, grace_s), recordings))
    _tell(evaluations, as_json=json_)
    if report is not None:
        from gateway.evaluation.report import write_report  # noqa: PLC0415

        write_report(report, evaluations)
        _say(f"wrote {report}")
    sys.exit(1 if any(result.run.failed for one in evaluations for result in one.results) else 0)


def _say(text: str) -> None:
    click.echo(text, err=True)


def _recordings(sources: tuple[Path, ...], kind: str, seeds: int | None, every_s: float) -> list["Recording"]:
    from gateway.evaluation.loaders import load  # noqa: PLC0415 - `--help` loads nothing heavy

    wanted: list[int | None] = list(range(1, seeds + 1)) if seeds else [None]
    found: list[Recording] = []
    for source in sources:
        for recording in load(source, kind, seeds=wanted, every_s=every_s):
            found.append(recording)
            if sys.stderr.isatty():
                click.echo(f"\r\033[Kloaded {len(found)}: {recording.name}", err=True, nl=False)
    if sys.stderr.isatty():
        click.echo("\r\033[K", err=True, nl=False)
    return _apart(found)


def _apart(recordings: list["Recording"]) -> list["Recording"]:
    """Give recordings of one name a number each: results are told by name."""
    from dataclasses import replace  # noqa: PLC0415

    seen: dict[str, int] = {}
    found = []
    for recording in recordings:
        seen[recording.name] = count = seen.get(recording.name, 0) + 1
        found.append(recording if count == 1 else replace(recording, name=f"{recording.name} ({count})"))
    return found


def _rules(rules_file: Path | None, site: Path | None, recordings: list["Recording"]) -> "Rules":
    from gateway.core.errors import ConfigError  # noqa: PLC0415
    from gateway.evaluation.rules import default_rules, load_rules, site_rules  # noqa: PLC0415

    if rules_file is not None:
        return load_rules(rules_file)
    if site is not None:
        return site_rules(site)
    kinds = sorted({recording.format for recording in recordings})
    if len(kinds) > 1:
        raise click.UsageError(f"the sources are of {', '.join(kinds)}; name the rules for them with --rules")
    try:
        return default_rules(kinds[0])
    except ConfigError as error:
        raise click.UsageError(error.problem) from error


def _judged(rules: "Rules", lead_s: float | None, grace_s: float | None) -> "Rules":
    from dataclasses import replace  # noqa: PLC0415

    given = {key: value for key, value in (("lead_s", lead_s), ("grace_s", grace_s)) if value is not None}
    return replace(rules, judging=rules.judging.model_copy(update=given)) if given else rules


def _evaluate(rules: "Rules", recordings: list["Recording"]) -> "Evaluation":
    from gateway.evaluation.evaluate import evaluate  # noqa: PLC0415

    return evaluate(rules, recordings)


def _tell(evaluations: list["Evaluation"], *, as_json: bool) -> None:
    from gateway.cli import evaluation_view as view  # noqa: PLC0415
    from gateway.evaluation.compare import pairs  # noqa: PLC0415

    if len(evaluations) == 2:
        found = list(pairs(*evaluations))
        if as_json:
            asking.print_json({"first": evaluations[0].name, "second": evaluations[1].name,
                               "rules": [pair.plain() for pair in found]})  # fmt: skip
        else:
            view.print_comparison(asking.console(), evaluations[0], evaluations[1], found)
    elif as_json:
        asking.print_json(evaluations[0].plain())
    else:
        view.print_evaluation(asking.console(), evaluations[0])


def _sweep(rules: "Rules", text: str, recordings: list["Recording"], report: Path | None, *, as_json: bool) -> None:
    from gateway.cli import evaluation_view as view  # noqa: PLC0415
    from gateway.core.errors import ConfigError  # noqa: PLC0415
    from gateway.evaluation.sweep import Sweep, swept  # noqa: PLC0415

    try:
        sweep = Sweep.parse(text)
    except ValueError as error:
        raise click.UsageError(f"--sweep: {error}") from error
    steps = []
    try:
        for step in swept(rules, sweep, recordings):
            steps.append(step)
            if sys.stderr.isatty():
                click.echo(f"\r\033[K{sweep.option}={step.value:g}", err=True, nl=False)
    except ConfigError as error:
        raise click.UsageError(f"--sweep: {error}") from error
    finally:
        if sys.stderr.isatty():
            click.echo("\r\033[K", err=True, nl=False)
    if as_json:
        plain: list[dict[str, Any]] = [{"value": step.value, **step.result.plain()} for step in steps]
        asking.print_json({"option": sweep.option, "steps": plain})
    else:
        view.print_sweep(asking.console(), sweep, steps)
    if report is not None:
        from gateway.evaluation.report import write_sweep  # noqa: PLC0415

        write_sweep(report, sweep, steps)
        _say(f"wrote {report}")
