"""`hazgate check SITE.yaml`: validate a site file, tell every mistake with its line; with --live read each channel."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli import asking, logs

if TYPE_CHECKING:
    from gateway.commissioning.live import Looked
    from gateway.site.load import Site

FULL = 0.8
"""A line with less than a fifth of its time to spare has none for a retry."""
DOUBTS_SHOWN = 20
NAMES_SHOWN = 4


@click.command()
@click.argument("site", type=click.Path(path_type=Path))
@click.option("--live", is_flag=True, help="Read each channel once and show it; nothing is written or kept.")
@click.option("--timeout", "timeout_s", default=10.0, show_default=True, type=click.FloatRange(0.1, 3600),
              help="With --live: seconds to wait for readings.")  # fmt: skip
@asking.as_json
def command(site: Path, timeout_s: float, *, live: bool, json_: bool) -> None:
    """Validate a site file and say what it holds.

    With --live connect to every instrument and show one reading of each channel; ends with 1 where one is bad.
    """
    logs.set_up(as_json=False, quiet=True, silent=live)
    from gateway import assembly  # noqa: PLC0415 - `--help` loads nothing heavy
    from gateway.core.clock import SystemClock  # noqa: PLC0415
    from gateway.site.load import load_site  # noqa: PLC0415

    loaded = load_site(site)
    assembly.check(loaded, SystemClock())
    warnings = list(_warnings(loaded))
    looked = _look(loaded, timeout_s) if live else []
    bad = sum(each.bad for each in looked)
    if json_:
        asking.print_json({**_counts(loaded), "warnings": warnings, "channels": [_row(each) for each in looked]})
    else:
        _print(site, loaded, warnings, looked)
    sys.exit(1 if bad else 0)


def _look(site: "Site", timeout_s: float) -> list["Looked"]:
    from gateway.commissioning.live import look  # noqa: PLC0415
    from gateway.core.clock import SystemClock  # noqa: PLC0415

    return asking.run(look(site, SystemClock(), timeout_s))


def _counts(site: "Site") -> dict[str, Any]:
    return {
        "connections": len(site.connections),
        "instruments": sum(len(connection.instruments) for connection in site.connections),
        "channels_total": len(site.channels),
        "rules": len(site.rules),
        "outputs": sum(len(connection.outputs) for connection in site.connections),
        "stores": len(site.stores),
        "uplinks": len(site.uplinks),
    }


def _warnings(site: "Site") -> Iterator[dict[str, str]]:
    """Yield what is allowed and yet should be looked at, each with where, what and what to do."""
    from gateway.commissioning.live import line_loads, missing_ports  # noqa: PLC0415
    from gateway.site.profiles import doubts  # noqa: PLC0415

    for connection, path in missing_ports(site):
        todo = "plug it in; `hazgate ports` lists those there are"
        yield {"where": connection, "what": f"{path} is not there now", "check": todo}
    for line, load in line_loads(site):
        if load >= FULL:
            what = f"its polls need {load * 100:.0f} % of the line's time"
            yield {"where": line.id, "what": what, "check": "raise period_s or baud, or use a second line"}
    # Thirty heads of one kind share their doubts: each doubt is told once.
    who: dict[tuple[str, str, str], list[str]] = {}
    for doubt in doubts(site):
        what = f"{doubt.what}{f': {doubt.why}' if doubt.why else ''}"
        who.setdefault((doubt.profile, what, doubt.check), []).append(doubt.instrument)
    for (profile, what, check), names in who.items():
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        yield {"where": f"{', '.join(names[:NAMES_SHOWN])}{more} ({profile})", "what": what, "check": check}


def _row(looked: "Looked") -> dict[str, Any]:
    from gateway.core.model import quality_name  # noqa: PLC0415

    return {
        "channel": looked.channel.id,
        "connection": looked.connection,
        "value": looked.value,
        "unit": looked.channel.unit,
        "quality": "none" if looked.quality is None else quality_name(looked.quality),
        "latency_s": looked.latency_s,
        "why": looked.why,
    }


def _print(path: Path, site: "Site", warnings: list[dict[str, str]], looked: list["Looked"]) -> None:
    from rich.text import Text  # noqa: PLC0415

    console = asking.console()
    if warnings:
        console.print(_marked(warnings[:DOUBTS_SHOWN]))
    if len(warnings) > DOUBTS_SHOWN:
        console.print(Text(f"! and {len(warnings) - DOUBTS_SHOWN} more; --json lists all", "bold"))
    if looked:
        console.print(_table(looked))
    _say_total(path, site, looked)


def _marked(warnings: list[dict[str, str]]) -> Any:
    """Return warnings with their marks in a column of their own, so that one begins where the eye looks for it."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 1, 0, 0))
    for warning in warnings:
        check = f" {_sentence(warning['check'])}" if warning["check"] else ""
        text = Text.assemble((warning["where"], "bold"), f"  {_sentence(warning['what'])}{check}")
        grid.add_row(Text("!", asking.MARK), text)
    return grid


def _sentence(text: str) -> str:
    """Return words of a profile or of ours as a sentence."""
    text = text.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def _say_total(path: Path, site: "Site", looked: list["Looked"]) -> None:
    count = _counts(site)
    text = (
        f"{path}: {count['connections']} connections, {count['instruments']} instruments, "
        f"{count['channels_total']} channels, {count['rules']} rules, {count['stores']} stores, "
        f"{count['uplinks']} uplinks: all right"
    )
    click.echo(text)
    if looked:
        bad = sum(each.bad for each in looked)
        doubtful = sum(not each.bad and bool(each.why) for each in looked)
        good = len(looked) - bad - doubtful
        click.echo(f"live: {good} good, {doubtful} doubtful, {bad} bad; nothing was written")


def _table(looked: list["Looked"]) -> Any:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("channel", no_wrap=True, overflow="ellipsis", max_width=28)
    table.add_column("value", no_wrap=True, justify="right")
    table.add_column("unit", no_wrap=True)
    table.add_column("quality", no_wrap=True)
    table.add_column("latency", no_wrap=True, justify="right")
    table.add_column("why", overflow="fold")
    for each in looked:
        row = _row(each)
        style = "bold red" if each.bad else asking.MARK if each.why else "green"
        value = "— —" if math.isnan(each.value) else f"{each.value:.{each.channel.decimals}f}"
        latency = "" if each.latency_s is None else f"{each.latency_s * 1000:.0f} ms"
        table.add_row(
            each.channel.id, Text(value, "bold"), each.channel.unit, Text(row["quality"], style), latency, each.why
        )
    return table
