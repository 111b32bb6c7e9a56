"""`hazgate tune SITE.yaml`: what set points and parameters a site's own past suggests."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli import asking, logs

if TYPE_CHECKING:
    from gateway.evaluation.history import Past
    from gateway.evaluation.tune import Advice, Change
    from gateway.site.load import Site

SPANS = {"min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(min|h|d|w)")


@click.command()
@click.argument("site", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="Data folder; the user's state directory if not given.")
@click.option(
    "--from",
    "since",
    default="7d",
    show_default=True,
    metavar="TIME",
    help="A time such as 2026-05-01 or 2026-05-01T08:00+08:00, or how long before the end: 12h, 7d, 4w.",
)
@click.option("--to", "until", metavar="TIME", help="A time; the newest reading where left out.")
@click.option(
    "--except",
    "excepted",
    multiple=True,
    metavar="TIME/TIME",
    help="Leave a time out of every count: a real leak, a test of the alarms. May be given more than once.",
)
@click.option(
    "--false-alarms-per-week",
    "per_week",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 10_000),
    metavar="RATE",
    help="The wished rate: episodes a rule and week.",
)
@click.option("--rule", "only", multiple=True, metavar="ID", help="Only this rule. May be given more than once.")
@click.option("--write", is_flag=True, help="Write the changes into the site file; otherwise nothing is written.")
@click.option("--weaken", is_flag=True, help="With --write: write also what weakens an alarm.")
@asking.as_json
def command(
    *,
    site: Path,
    data: Path | None,
    since: str,
    until: str | None,
    excepted: tuple[str, ...],
    per_week: float,
    only: tuple[str, ...],
    write: bool,
    weaken: bool,
    json_: bool,
) -> None:
    """Replay a site's own past and propose set points and parameters for a wished rate of false alarms.

    All of that time is held to be calm, but for what is excepted: every alarm in it counts as a false one. Nothing is
    written without --write, and what would weaken an alarm is said in plain words. docs/how-to/tune-a-site.md
    """
    logs.set_up(as_json=False, quiet=True)
    from gateway.cli.run import state_folder  # noqa: PLC0415 - `--help` loads nothing heavy
    from gateway.site.load import load_site  # noqa: PLC0415

    loaded = load_site(site)
    folder = data or state_folder(loaded.file.site.id)
    found = _past(loaded, folder, since, until, excepted)
    for remark in found.remarks:
        click.echo(f"note: {remark}", err=True)
    advice = _advice(loaded, found, per_week, only)
    before, after = _texts(loaded, advice)
    if json_:
        asking.print_json(_plain(found, advice, _difference(before, after, site)))
    else:
        _print(found, advice, _difference(before, after, site), per_week)
    if write:
        _write_changes(site, before, [change for one in advice for change in one.changes], weaken=weaken)
    sys.exit(0)


def _write_changes(path: Path, before: str, changes: Sequence["Change"], *, weaken: bool) -> None:
    """Write the changes, without those that weaken an alarm unless somebody says that he means it."""
    from gateway.evaluation.edit import edited  # noqa: PLC0415

    taken = [change for change in changes if weaken or not change.weakens]
    if taken and path.suffix != ".json":
        _write(path, edited(before, [change.edit for change in taken]))
        click.echo(f"wrote {path}; `hazgate reload` applies it to a running gateway", err=True)
    if len(taken) < len(changes):
        count = len(changes) - len(taken)
        click.echo(
            f"not written: {count} that weaken{'s' if count == 1 else ''} an alarm; --weaken writes them", err=True
        )


def _past(site: "Site", folder: Path, since: str, until: str | None, excepted: Sequence[str]) -> "Past":
    from gateway.evaluation.history import newest_ns, past  # noqa: PLC0415

    end_ns = newest_ns(folder) + 1 if until is None else _time(until, site, 0)
    start_ns = _time(since, site, end_ns)
    if start_ns >= end_ns:
        raise click.UsageError(f"--from {since} is not before --to {until or 'the newest reading'}")
    spans = []
    for text in excepted:
        first, slash, last = text.partition("/")
        if not slash:
            raise click.UsageError(f"--except: {text!r} is no TIME/TIME")
        spans.append((_time(first, site, end_ns), _time(last, site, end_ns)))
    return past(folder, site.channels, start_ns, end_ns, spans)


def _time(text: str, site: "Site", end_ns: int) -> int:
    """Return a time of the site's zone, or one so long before the end."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    from gateway.core.clock import NS_PER_S, parse_rfc3339  # noqa: PLC0415

    span = _SPAN.fullmatch(text.strip())
    if span is not None and end_ns:
        return end_ns - round(float(span[1]) * SPANS[span[2]] * NS_PER_S)
    try:
        return parse_rfc3339(text, ZoneInfo(site.file.site.timezone))
    except ValueError as error:
        raise click.UsageError(f"{text!r} is no time; 2026-05-01, 2026-05-01T08:00, or 7d for --from") from error


def _advice(site: "Site", found: "Past", per_week: float, only: Sequence[str]) -> list["Advice"]:
    from dataclasses import replace  # noqa: PLC0415

    from gateway.evaluation.rules import rules_of  # noqa: PLC0415
    from gateway.evaluation.tune import advise  # noqa: PLC0415

    rules = rules_of(site)
    known = [entry.section.id for entry in rules.entries]
    for name in only:
        if name not in known:
            raise click.UsageError(f"--rule: there is no rule {name!r}; there are {', '.join(known)}")
    if only:
        rules = replace(rules, entries=tuple(entry for entry in rules.entries if entry.section.id in only))
    advice = []
    for one in advise(rules, found.recording, per_week):
        advice.append(one)
        if sys.stderr.isatty():
            click.echo(f"\r\033[K{len(advice)} of {len(rules.entries)}: {one.rule}", err=True, nl=False)
    if sys.stderr.isatty():
        click.echo("\r\033[K", err=True, nl=False)
    return advice


def _texts(site: "Site", advice: Sequence["Advice"]) -> tuple[str, str]:
    """Return the site file's text as it is and as proposed."""
    from gateway.evaluation.edit import edited  # noqa: PLC0415

    before = site.document.text
    edits = [change.edit for one in advice for change in one.changes]
    if edits and site.document.path.suffix == ".json":
        click.echo("note: a JSON file is not changed by this command; the changes are listed", err=True)
        return before, before
    return before, edited(before, edits)


def _difference(before: str, after: str, path: Path) -> str:
    from gateway.evaluation.edit import difference  # noqa: PLC0415

    return difference(before, after, path)


def _write(path: Path, text: str) -> None:
    """Check the new text as a site file, then put it in the old one's place. Raises SiteFileError."""
    from gateway.site.load import load_site  # noqa: PLC0415

    fresh = path.with_name(f".{path.name}.tuned{path.suffix}")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(path.stat().st_mode & 0o777)
        load_site(fresh)
        fresh.replace(path)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)


def _plain(found: "Past", advice: Sequence["Advice"], diff: str) -> dict[str, Any]:
    from gateway.core.clock import rfc3339  # noqa: PLC0415

    return {
        "from": rfc3339(found.recording.begin_ns),
        "to": rfc3339(found.recording.end_ns),
        "readings": len(found.recording),
        "remarks": found.remarks,
        "rules": [
            {
                "rule": one.rule,
                "episodes": one.episodes,
                "per_week": one.per_week,
                "remark": one.remark,
                "changes": [
                    {
                        "option": change.edit.option,
                        "before": change.before,
                        "after": change.edit.value,
                        "episodes": change.episodes,
                        "per_week": change.per_week,
                        "weakens": change.weakens,
                    }
                    for change in one.changes
                ],
            }
            for one in advice
        ],
        "diff": diff,
    }


def _print(found: "Past", advice: Sequence["Advice"], diff: str, wished: float) -> None:
    from rich.text import Text  # noqa: PLC0415

    from gateway.core.clock import rfc3339  # noqa: PLC0415

    console = asking.console()
    recording = found.recording
    begin, end = (rfc3339(at, digits=0) for at in (recording.begin_ns, recording.end_ns))
    console.print(Text(f"{begin} to {end}: {len(recording)} readings of {len(recording.channels)} channels", "bold"))
    console.print(_table(advice, wished))
    for one in advice:
        for change in one.changes:
            value = "not set" if change.before is None else f"{change.before:g}"
            line = f"  {change.edit.option}: {value} → {change.edit.value:g}   {change.effect}"
            console.print(Text.assemble((one.rule, "bold"), line))
            if change.weakens:
                console.print(Text.assemble("  ", ("!", asking.MARK), f" {change.weakens}"))
        if one.remark:
            console.print(Text.assemble((one.rule, "bold"), f"  {one.remark}"))
    if diff:
        click.echo()
        click.echo(diff, nl=False)
    else:
        console.print(Text("nothing to change"))


def _table(advice: Sequence["Advice"], wished: float) -> Any:
    import math  # noqa: PLC0415

    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for name, side in (("rule", "left"), ("episodes", "right"), ("a week", "right"), ("", "left")):
        table.add_column(name, no_wrap=True, justify="right" if side == "right" else "left")
    for one in advice:
        rate = "–" if math.isnan(one.per_week) else f"{one.per_week:.2f}"
        much = one.per_week > wished
        word = Text("more than wished", asking.MARK) if much else Text("as wished", "green")
        table.add_row(Text(one.rule, "bold"), str(one.episodes), rate, "" if math.isnan(one.per_week) else word)
    return table
