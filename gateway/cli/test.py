"""`hazgate test SITE.yaml`: run the site's own tests of its rules."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli import asking, logs

if TYPE_CHECKING:
    from gateway.site.load import Site
    from gateway.trial import Outcome


@click.command()
@click.argument("site", type=click.Path(path_type=Path))
@click.argument("tests", nargs=-1, metavar="[TEST]...")
@click.option("--events", is_flag=True, help="Show what the alarms did in each test.")
@asking.as_json
def command(site: Path, tests: tuple[str, ...], *, events: bool, json_: bool) -> None:
    """Run the tests that a site file holds, or those named; ends with 1 where one fails.

    A test is readings and what the alarms must do with them, in the section `tests` of the site file. Nothing is
    connected, and the time is the readings': a day takes seconds.
    """
    logs.set_up(as_json=False, quiet=True, silent=True)
    from gateway.site.load import load_site  # noqa: PLC0415 - `--help` loads nothing heavy

    loaded = load_site(site)
    outcomes = _run(loaded, tests)
    if json_:
        asking.print_json({"tests": [_plain(outcome) for outcome in outcomes]})
    else:
        _print(outcomes, events=events)
    sys.exit(0 if all(outcome.passed for outcome in outcomes) else 1)


def _run(site: "Site", names: tuple[str, ...]) -> list["Outcome"]:
    from gateway import trial  # noqa: PLC0415

    known = {test.id: test for test in site.file.tests}
    for name in names:
        if name not in known:
            raise click.BadParameter(f"there is no test {name!r}; there are {', '.join(known) or 'none'}")
    return [trial.run(site, known[name]) for name in names or known]


def _print(outcomes: list["Outcome"], *, events: bool) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    if not outcomes:
        console.print("no tests: the site file has no section `tests`; docs/how-to/test-the-rules.md shows how")
        return
    width = max(len(outcome.test.id) for outcome in outcomes)
    for outcome in outcomes:
        mark, colour = ("✓", "green") if outcome.passed else ("✗", "red")
        counts = f"{outcome.readings} readings, {len(outcome.test.expect)} expectations"
        console.print(Text.assemble((mark, colour), f" {outcome.test.id:<{width}}  ", (counts, "dim")))
        for failure in outcome.failures:
            place = f"expect[{failure.expectation}]" if failure.expectation >= 0 else "acts"
            console.print(Text.assemble((f"    {failure.at_s:g} s  {place}  ", "dim"), failure.what))
            if failure.hint:
                console.print(Text.assemble(("        ", ""), (failure.hint, "dim")))
        for at_s, event in outcome.events if events else ():
            console.print(Text(f"    {at_s:>8g} s  {event.kind.value:<13} {event.level:<7} {event.alarm}  {event.why}"))
    failed = sum(not outcome.passed for outcome in outcomes)
    console.print(Text(f"{len(outcomes) - failed} passed, {failed} failed", style="red" if failed else "green"))


def _plain(outcome: "Outcome") -> dict[str, Any]:
    return {
        "id": outcome.test.id,
        "passed": outcome.passed,
        "readings": outcome.readings,
        "failures": [
            {"expectation": f.expectation, "at_s": f.at_s, "what": f.what, "hint": f.hint} for f in outcome.failures
        ],
        "events": [
            {"at_s": at_s, "kind": e.kind, "alarm": e.alarm, "level": e.level, "state": e.state, "why": e.why}
            for at_s, e in outcome.events
        ],
    }
