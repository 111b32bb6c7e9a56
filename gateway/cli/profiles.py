"""`hazgate profiles`: the instruments that are known by name, what each profile says, and what nobody has verified."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli import asking

if TYPE_CHECKING:
    from rich.table import Table

    from gateway.site.profiles import Profile


WIDEST = {"name": 28, "confidence": 10, "driver": 6, "channel": 15, "unit": 5, "measures": 15, "read": 10}
"""Columns of a terminal that a column has, whatever the terminal has."""


@click.command()
@click.argument("name", required=False)
@asking.as_json
def command(name: str | None, *, json_: bool) -> None:
    """List the profiles, or show NAME: a shipped one, or a file of your own such as ./mine.yaml."""
    from gateway.core.errors import ConfigError  # noqa: PLC0415 - `--help` loads nothing heavy
    from gateway.site.profiles import load_profile, shipped_profiles  # noqa: PLC0415

    if name is None:
        _list(shipped_profiles(), json_=json_)
        return
    try:
        profile = load_profile(name, Path())
    except ConfigError as error:
        raise click.UsageError(error.problem) from error
    if json_:
        asking.print_json(profile.file.model_dump(mode="json"))
    else:
        _show(profile)


def _list(profiles: "list[Profile]", *, json_: bool) -> None:
    if json_:
        keys = {"profile", "aliases", "maker", "model", "name_zh", "kind", "driver", "confidence"}
        asking.print_json({"profiles": [profile.file.model_dump(mode="json", include=keys) for profile in profiles]})
        return
    table = _table("name", "confidence", "driver", "maker and model", cut="maker and model")
    for profile in profiles:
        file = profile.file
        table.add_row(file.profile, file.confidence, file.driver, f"{file.maker} {file.model}")
    console = asking.console()
    console.print(table)
    console.print("\n`hazgate profiles NAME` shows one, and the YAML to paste.")


def _table(*columns: str, cut: str) -> "Table":
    """Return an empty table of which only the column `cut` gives way on a narrow terminal."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, expand=sys.stdout.isatty())
    for name in columns:
        width, ratio = (None, 1) if name == cut else (WIDEST[name], None)
        table.add_column(name, no_wrap=True, overflow="ellipsis", width=width, ratio=ratio)
    return table


def _show(profile: "Profile") -> None:
    from rich.padding import Padding  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from gateway.site.profile_text import example, place  # noqa: PLC0415

    file = profile.file
    console = asking.console()
    console.print(Text.assemble((f"{file.maker} {file.model}", "bold"), f"  {file.name_zh}"))
    console.print(Text(f"{file.kind}, read by {file.driver}; confidence {file.confidence}: {file.source}"))
    if file.aliases:
        console.print(f"also called {', '.join(file.aliases)}")
    line = file.line
    if line.baud:
        unit = f", unit {line.unit}" if line.unit is not None else ""
        console.print(f"leaves the factory with {line.baud} baud 8{line.parity or 'N'}{line.stop_bits or 1}{unit}")
    table = _table("channel", "measures", "unit", "where", "read", cut="where")
    for channel in file.channels:
        read = "when named" if channel.extra else "always"
        table.add_row(channel.id, channel.quantity or channel.id, channel.unit, place(channel, file.driver), read)
    for each in file.point.channels if file.point else ():
        table.add_row(each.id, each.quantity or each.id, each.unit, place(each, file.driver), "each point")
    console.print()
    console.print(table)
    for doubt in file.uncertain:
        console.print(Text(f"\nnot verified: {doubt.what}", "bold"))
        for text in filter(None, (doubt.why, doubt.check)):
            console.print(Padding(Text(text), (0, 0, 0, 2)))
    if file.notes:
        console.print(Text(f"\n{file.notes}"))
    asking.print_yaml(example(profile), "paste into the site file")
