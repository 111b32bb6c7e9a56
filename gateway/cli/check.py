"""`hazgate check SITE.yaml`: validate a site file, tell every mistake with its line; with --live read each channel."""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli import asking, logs

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.commissioning.live import Looked
    from gateway.core.alarm import Suppression
    from gateway.site.load import Site

FULL = 0.8
"""A line with less than a fifth of its time to spare has none for a retry."""
NAMES_SHOWN = 4
GROUP_SHOWN = 8


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
    from gateway.core.errors import SiteFileError  # noqa: PLC0415
    from gateway.site.load import load_site  # noqa: PLC0415

    try:
        loaded = load_site(site)
        assembly.check(loaded, SystemClock())
    except SiteFileError as error:
        if json_:
            asking.print_json({"mistakes": error.lines})
        raise
    remarks = list(_remarks(loaded))
    looked = _look(loaded, timeout_s) if live else []
    bad = sum(each.bad for each in looked)
    if json_:
        warnings = [remark.plain() for remark in remarks]
        channels = [_row(each) for each in looked]
        asking.print_json({"mistakes": [], **_counts(loaded), "warnings": warnings, "channels": channels})
    else:
        _print(site, loaded, remarks, looked, live=live)
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
        "rules": len(site.file.rules),
        "alarms": len(site.rules),
        "suppressions": len(site.suppressions),
        "tests": len(site.file.tests),
        "outputs": sum(len(connection.outputs) for connection in site.connections),
        "stores": len(site.stores),
        "uplinks": len(site.uplinks),
        "notifiers": len(site.notifiers),
    }


@dataclass(frozen=True, slots=True)
class Remark:
    """What is allowed and yet should be looked at.

    Attributes:
        where: Which part of the site.
        title: What it is about, where there is more to say; else empty.
        what: What is so.
        check: What to do.
    """

    where: str
    title: str
    what: str
    check: str

    def plain(self) -> dict[str, str]:
        """Return it for a program."""
        return {"where": self.where, "what": ": ".join(filter(None, (self.title, self.what))), "check": self.check}


def _remarks(site: "Site") -> Iterator[Remark]:
    """Yield what is allowed and yet should be looked at; what can be seen of the site first, then profiles' doubts."""
    from gateway.commissioning.live import line_loads, missing_ports, twins  # noqa: PLC0415

    for connection, path in missing_ports(site):
        yield Remark(connection, "", f"{path} is not there now", "plug it in; `hazgate ports` lists those there are")
    for line, load in line_loads(site):
        if load >= FULL:
            what = f"its polls need {load * 100:.0f} % of the line's time"
            yield Remark(line.id, "", what, "raise period_s or baud, or use a second line")
    for first, second, where in twins(site):
        check = "give each instrument a unit address of its own, or take one of them out"
        yield Remark(f"{first}, {second}", "", f"both read the same registers of {where}", check)
    yield from _untold(site)
    yield from _doubts(site)


def _untold(site: "Site") -> Iterator[Remark]:
    """Yield whom a site means to tell and does not."""
    from gateway.commissioning.reach import unreached, unused  # noqa: PLC0415

    for name in unused(site):
        yield Remark(name, "", "no route leads to this notifier", "name it in a route, or take it out")
    for each in unreached(site):
        where, what = each.area or "alarms without an area", f"alarms of priority {each.priority} reach nobody"
        hours = "" if each.when == "at any time" else f" and {len(each.hours) - 1} more hours of the week"
        yield Remark(where, "", f"{what} {each.when}{hours}", "add a route that is open then")


def _doubts(site: "Site") -> Iterator[Remark]:
    """Yield what is uncertain in profiles. Thirty heads of one kind share their doubts: each doubt is told once."""
    from gateway.site.profiles import doubts  # noqa: PLC0415

    who: dict[tuple[str, str, str, str], list[str]] = {}
    for doubt in doubts(site):
        who.setdefault((doubt.profile, doubt.what, doubt.why, doubt.check), []).append(doubt.instrument)
    for (profile, what, why, check), names in who.items():
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        yield Remark(f"{', '.join(names[:NAMES_SHOWN])}{more} ({profile})", what, why, check)


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


def _print(path: Path, site: "Site", remarks: list[Remark], looked: list["Looked"], *, live: bool) -> None:
    console = asking.console()
    if remarks:
        console.print(_marked(remarks, short=live))
    if looked:
        console.print(_table(looked))
    elif site.suppressions or any(rule.group for rule in site.rules):
        console.print(_groups(site))
    _say_total(console, path, site, remarks, looked)


def _groups(site: "Site") -> Any:
    """Return a line for each rule of several channels, and for each suppression: what patterns catch, nobody sees."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 2, 0, 0))
    for rule in site.rules:
        if rule.group:
            names = [channel.id for channel in rule.channels]
            more = f" and {len(names) - GROUP_SHOWN} more" if len(names) > GROUP_SHOWN else ""
            together = f"{', '.join(names[:GROUP_SHOWN])}{more}"
            grid.add_row(Text(rule.id, "bold"), Text(rule.type, "dim"), Text(f"judges together {together}"))
    for each in site.suppressions:
        more = f" and {len(each.alarms) - GROUP_SHOWN} more" if len(each.alarms) > GROUP_SHOWN else ""
        what = f"puts aside {', '.join(each.alarms[:GROUP_SHOWN])}{more} {_while(each)}"
        grid.add_row(Text(each.id, "bold"), Text("suppression", "dim"), Text(what))
    return grid


def _while(suppression: "Suppression") -> str:
    """Return when a suppression holds, in words."""
    if suppression.alarm:
        when = f"while {suppression.alarm} is active"
    elif suppression.above is not None:
        when = f"while {suppression.channel} is above {suppression.above:g}"
    else:
        when = f"while {suppression.channel} is below {suppression.below:g}"
    return f"{when}, at most {suppression.max_ns / 1e9:g} s" if suppression.max_ns else when


def _marked(remarks: list[Remark], *, short: bool) -> Any:
    """Return remarks by the part of the site that they are about, each part with a mark where the eye looks for it.

    Args:
        remarks: The remarks.
        short: Leave of doubts their titles only: a table is to follow.
    """
    from rich.padding import Padding  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    parts: dict[str, list[Remark]] = {}
    for remark in remarks:
        parts.setdefault(remark.where, []).append(remark)
    grid = Table.grid(padding=(0, 1, 0, 0))
    for where, told in parts.items():
        mark, name = Text("!", asking.MARK), Text(where, "bold")
        if all(not remark.title for remark in told):
            text = " ".join(_sentence(part) for remark in told for part in (remark.what, remark.check))
            grid.add_row(mark, Text.assemble(name, "  ", text))
        elif short:
            grid.add_row(mark, Text.assemble(name, "  not verified: ", "; ".join(remark.title for remark in told)))
        else:
            grid.add_row(mark, name)
            for remark in told:
                rest = " ".join(_sentence(part) for part in (remark.what, remark.check) if part)
                grid.add_row("", Padding(Text(f"{remark.title}: {rest}"), (0, 0, 0, 2)))
    return grid


def _sentence(text: str) -> str:
    """Return words of a profile or of ours as a sentence."""
    text = text.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def _say_total(console: "Console", path: Path, site: "Site", remarks: list[Remark], looked: list["Looked"]) -> None:
    """Say the verdict, last of all so that nothing scrolls it away."""
    from rich.text import Text  # noqa: PLC0415

    counts = ", ".join(f"{count} {_noun(name, count)}" for name, count in _counts(site).items())
    console.print(Text(f"{path}: no mistakes; {counts}"))
    if remarks:
        hint = f"; `hazgate check {path}` says how to settle them" if looked else ""
        console.print(Text(f"to look at: {len(remarks)}, above{hint}"))
    if looked:
        bad = sum(each.bad for each in looked)
        doubtful = sum(not each.bad and bool(each.why) for each in looked)
        good = len(looked) - bad - doubtful
        console.print(Text(f"live: {good} good, {doubtful} doubtful, {bad} bad; nothing was written", "bold"))


def _noun(name: str, count: int) -> str:
    noun = name.removesuffix("_total")
    return noun.removesuffix("s") if count == 1 else noun


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
        # A silent instrument's latency is that of its last answer: here it would say that it had answered.
        none = each.latency_s is None or row["quality"] == "comms_lost"
        latency = "" if none else f"{(each.latency_s or 0.0) * 1000:.0f} ms"
        table.add_row(
            each.channel.id, Text(value, "bold"), each.channel.unit, Text(row["quality"], style), latency, each.why
        )
    return table
