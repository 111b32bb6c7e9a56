"""`hazgate read ENDPOINT`: registers as they are, in every way that they can be read, side by side."""

import itertools
import math
import sys
from pathlib import Path
from typing import Any

import click
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway.cli import asking
from gateway.commissioning import paste
from gateway.core.commissioning import Bus, LineSettings, NoAnswerError, View, Words
from gateway.core.errors import NotConnectedError

ORDERS = ("ABCD", "BADC", "CDAB", "DCBA")
GROUPS = ("float32", "uint32", "int32")
GROUP_WIDTHS = {"float32": 10, "uint32": 11, "int32": 12}
NARROW = 27
"""Columns of address, hex, uint16 and int16."""
SANE = (1e-4, 1e7)
"""Floats beyond these are most likely no floats, and are shown faintly."""
CHANGED = "bold reverse"


@click.command()
@click.argument("endpoint", required=False, type=asking.EndpointType())
@click.option("--id", "--unit", "unit", default=1, show_default=True, type=click.IntRange(0, 255), help="Unit address.")
@click.option(
    "--table",
    default="holding",
    show_default=True,
    type=click.Choice(["holding", "input", "coil", "discrete"]),
    help="What to read.",
)
@click.option("--address", default=0, show_default=True, type=click.IntRange(0, 65535), help="First, from 0.")
@click.option("--count", default=16, show_default=True, type=click.IntRange(1, 2000), help="How many.")
@click.option("--show", type=click.Choice(GROUPS), help="Which 32-bit readings; as many as fit where left out.")
@click.option("--watch", "watch_s", type=click.FloatRange(0.1, 3600), help="Read again every so many seconds.")
@click.option("--times", type=click.IntRange(1), help="With --watch: end after so many.")
@asking.with_line
@asking.as_json
def command(*, endpoint: str | None, site: Path | None, connection: str | None, unit: int, table: str, address: int,
            count: int, show: str | None, watch_s: float | None, times: int | None, baud: int, parity: str,
            stop_bits: int, wait_s: float | None, json_: bool) -> None:  # fmt: skip
    """Read registers of an instrument; nothing is written.

    32-bit readings stand beside the first of their two registers, in the four byte orders: A is the most significant
    byte, and the letters say the order on the wire.
    """
    if address + count > 65536:
        raise click.BadParameter(f"{address} and {count} registers end beyond 65535", param_hint="--count")
    bus, where, line = asking.bus_for(endpoint, site, connection, (baud, parity, stop_bits), wait_s)
    look = Look(bus, unit, table, address, count)
    show_it = _json_lines if json_ else _Screen(show).draw
    try:
        asking.run(_watch(look, show_it, watch_s, times))
    except KeyboardInterrupt:
        if watch_s is None:
            raise
    except NotConnectedError as error:
        _fail(asking.unreachable(error))
    except NoAnswerError as error:
        _fail(asking.silent(error, line))
    if not json_ and look.last is not None:
        _print_yaml(look, where, line)


class Look:
    """What is read, and what was read last."""

    def __init__(self, bus: Bus, unit: int, table: str, address: int, count: int) -> None:
        self.bus = bus
        self.unit = unit
        self.table = table
        self.address = address
        self.count = count
        self.last: Words | None = None

    async def read(self) -> tuple[Words, Words | None]:
        """Return what stands there now, and what stood there before."""
        before = self.last
        self.last = await self.bus.read(self.unit, self.table, self.address, self.count)
        return self.last, before


async def _watch(look: Look, show: Any, watch_s: float | None, times: int | None) -> None:
    from gateway.core.clock import SystemClock  # noqa: PLC0415 - `--help` loads nothing heavy

    clock = SystemClock()
    try:
        await look.bus.open()
        done = 0
        while True:
            show(*await look.read())
            done += 1
            if watch_s is None or done == times:
                return
            await clock.sleep(watch_s)
    finally:
        await look.bus.close()
        if isinstance(getattr(show, "__self__", None), _Screen):
            show.__self__.end()


def _json_lines(words: Words, _: Words | None) -> None:
    views = _views(words)
    refused = {address: f"{code:#04x}" for address, code in words.refused.items()}
    asking.print_json(
        {"table": words.table, "latency_s": round(words.latency_s, 4), "refused": refused, "registers": views},
        lines=True,
    )


class _Screen:
    """Draws a table, in place where there is a terminal."""

    def __init__(self, show: str | None) -> None:
        self._console = asking.console()
        self._show = show
        self._live: Live | None = None

    def draw(self, words: Words, before: Words | None) -> None:
        """Draw the registers; what has changed since is marked."""
        table = register_table(words, before, self._groups())
        if not self._console.is_terminal:
            self._console.print(table)
            return
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._live.start()
        self._live.update(table, refresh=True)

    def end(self) -> None:
        """Leave the last table standing."""
        if self._live is not None:
            self._live.stop()

    def _groups(self) -> list[str]:
        """Return the 32-bit readings that fit beside one another; at least one."""
        if self._show:
            return [self._show]
        room = self._console.width - NARROW
        chosen: list[str] = []
        for group in GROUPS:
            room -= 4 * GROUP_WIDTHS[group]
            if chosen and room < 0:
                break
            chosen.append(group)
        return chosen


def register_table(words: Words, before: Words | None, groups: list[str]) -> Table:
    """Return registers as a table.

    Args:
        words: What stands there now.
        before: What stood there before, or None.
        groups: Which 32-bit readings to show.
    """
    bits = words.table in ("coil", "discrete")
    table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False, header_style="bold")
    heads = ["addr", "bit"] if bits else ["addr", "hex", "uint16", "int16"]
    heads += (
        [] if bits else [f"{group if i == 0 else ''}\n{order}" for group in groups for i, order in enumerate(ORDERS)]
    )
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    old = dict(enumerate((before or words).values, words.address))
    for code, run in itertools.groupby(_views(words), lambda view: _refusal(words, view)):
        views = list(run)
        if code is not None:
            table.add_row(*_gap(views[0].address, views[-1].address, code, bits=bits))
            continue
        for view in views:
            style = CHANGED if view.word != old[view.address] else ""
            table.add_row(
                *([Text(str(view.address)), Text(str(view.word), style)] if bits else _cells(view, groups, style))
            )
    return table


def _refusal(words: Words, view: View) -> int | None:
    """Return the exception that a register was refused with, 0 where it was not asked, None where it has a value."""
    return None if view.word is not None else words.refused.get(view.address, 0)


def _gap(first: int, last: int, code: int, *, bits: bool) -> list[Text]:
    """Return one row for neighbours that have no value: a refused table would push what there is off the screen."""
    address = str(first) if first == last else f"{first}-{last}"
    said = ["refused", f"{code:#04x}"] if code else ["not asked", ""]
    return [Text(address), *(Text(cell, "dim") for cell in ([" ".join(said).strip()] if bits else ["", *said]))]


def _cells(view: View, groups: list[str], style: str) -> list[Text]:
    cells = [
        Text(str(view.address)),
        Text(f"{view.word:04x}", style),
        Text(str(view.word), style),
        Text(str(view.int16), style),
    ]
    for group in groups:
        by_order: dict[str, float] = getattr(view, group) or {}
        cells += [_number(by_order.get(order), floating=group == "float32") for order in ORDERS]
    return cells


def _number(value: float | None, *, floating: bool) -> Text:
    if value is None:
        return Text("")
    if not floating:
        return Text(str(value))
    if math.isnan(value):
        return Text("no number", "dim")
    sane = value == 0 or SANE[0] <= abs(value) < SANE[1]
    return Text(f"{value:.6g}" if sane else f"{value:.2e}", "" if sane else "dim")


def _views(words: Words) -> list[View]:
    from gateway.commissioning.wing import survey  # noqa: PLC0415 - `--help` loads nothing heavy

    return survey().views(words)


def _print_yaml(look: Look, where: str, line: LineSettings | None) -> None:
    assert look.last is not None
    there = [look.address + i for i, word in enumerate(look.last.values) if word is not None]
    if not there:
        _fail("every register was refused: look at another address or --table")
    channel = paste.of_channel(look.table, None, there[0], "?")
    text = paste.instrument(where, look.unit, line, channel)
    asking.print_yaml(text, "for the site file; id, unit and type are yours to say")


def _fail(why: str) -> None:
    click.echo(f"hazgate: {why}", err=True)
    sys.exit(1)
