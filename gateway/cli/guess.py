"""`hazgate guess ENDPOINT --value 17.2 --unit %LEL`: which registers hold the shown value, and how to read them."""

import json
import re
import sys
import textwrap
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table
from rich.text import Text

from gateway.cli import asking
from gateway.commissioning import paste
from gateway.commissioning.looks import look
from gateway.core.clock import SystemClock
from gateway.core.commissioning import (
    UNKNOWN_WORD,
    Bus,
    Guess,
    NoAnswerError,
    Sample,
    Verdict,
)
from gateway.core.errors import NotConnectedError

TABLES = ("holding", "input")
SHOWN = 8
SHARE_SHOWN = 0.005
"""Less than that prints as 0 %."""
VALUES_MAX = 32
NOTHING = Verdict((), unique=False, advice="")
Run = Callable[[Coroutine[Any, Any, None]], None]
NUMBER = re.compile(r"-?\d+(?:\.(\d+))?")


class ValueType(click.ParamType[str]):
    """A number as the display shows it; its decimals count."""

    name = "value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the number as it was written."""
        if not NUMBER.fullmatch(str(value).strip()):
            self.fail(f"{value!r} is no number as a display shows it, such as 17.2", param, ctx)
        return str(value).strip()


class UnitType(click.ParamType[str]):
    """An engineering unit; a number is the other thing that is called unit."""

    name = "unit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the unit."""
        if str(value).isdecimal():
            self.fail(
                f"{value} is no unit of a value, such as %LEL; the instrument's address is --id {value}", param, ctx
            )
        return str(value)


@click.command()
@click.argument("endpoint", required=False, type=asking.EndpointType())
@click.option("--id", "unit_id", default=1, show_default=True, type=click.IntRange(0, 255), help="Unit address.")
@click.option("--value", "values", multiple=True, required=True, type=ValueType(),
              help="What the display shows, with all its decimals; more than once for values to come.")  # fmt: skip
@click.option("--unit", "--in", "unit", default="", type=UnitType(), help="Its unit, e.g. %LEL; °C may be negative.")
@click.option("--full-scale", type=float, help="The end of the instrument's range.")
@click.option("--table", "tables", type=click.Choice(TABLES), multiple=True, help="Only this table.")
@click.option("--address", default=0, show_default=True, type=click.IntRange(0, 65535), help="First register.")
@click.option("--count", default=64, show_default=True, type=click.IntRange(1, 512), help="How many.")
@click.option("--keep", type=click.Path(path_type=Path, dir_okay=False), help="A file that remembers between calls.")
@asking.with_line
@asking.as_json
def command(*, endpoint: str | None, site: Path | None, connection: str | None, unit_id: int, values: tuple[str, ...],
            unit: str, full_scale: float | None, tables: tuple[str, ...], address: int, count: int, keep: Path | None,
            baud: int, parity: str, stop_bits: int, wait_s: float | None, json_: bool) -> None:  # fmt: skip
    """Guess type, byte order, scale and address from what the instrument's display shows.

    Registers are read while the display shows the value. One value often leaves several ways of reading; each further
    value that differs rules some out. On a terminal you are asked for more; elsewhere give --keep FILE and call again.
    Ends with 0 when one way is left, with 1 before that.
    """
    if address + count > 65536:
        raise click.BadParameter(f"{address} and {count} registers end beyond 65535", param_hint="--count")
    asks = sys.stdin.isatty() and not json_
    if len(values) > 1 and not asks:
        raise click.UsageError("one --value a call where nobody can be asked; --keep FILE remembers the earlier ones")
    bus, where, line = asking.bus_for(endpoint, site, connection, (baud, parity, stop_bits), wait_s)
    question = Question(bus, unit_id, tables or TABLES, address, count, unit, full_scale)
    question.load(keep)
    try:
        with asking.runner() as runner:
            _guess(question, list(values), runner.run, asks=asks)
    except NotConnectedError as error:
        _fail(asking.unreachable(error))
    except NoAnswerError as error:
        _fail(asking.silent(error, line))
    question.save(keep)
    best = question.best
    if json_:
        asking.print_json(question.report())
    elif best is not None:
        channel = paste.of_channel(best.table, best, best.address, unit, full_scale)
        title = "for the site file" if question.verdict.unique else "perhaps; give further values before you rely on it"
        asking.print_yaml(paste.instrument(where, unit_id, line, channel), title)
    sys.exit(0 if question.verdict.unique else 1)


@dataclass
class Question:
    """What is looked for, and all that was seen so far."""

    bus: Bus
    unit_id: int
    tables: tuple[str, ...]
    address: int
    count: int
    unit: str
    full_scale: float | None
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    verdict: Verdict = NOTHING
    asked: int = 0

    async def look(self, value: str) -> None:
        """Read the registers twice while the display shows a value, and think again."""
        looks = await look(self.bus, self.unit_id, self.tables, self.address, self.count, clock=SystemClock())
        # Tables that the instrument is silent about cost a time-out each: they are not asked again.
        self.tables = tuple(looks)
        self.samples = {table: self.samples.get(table, []) for table in looks}
        self.asked += 1
        for table, read in looks.items():
            words = np.array([[UNKNOWN_WORD if v is None else v for v in one.values] for one in read], np.int32)
            self.samples[table].append(Sample(words, float(value), decimals(value)))
        self.think()

    def think(self) -> None:
        """Rank anew."""
        from gateway.commissioning.wing import survey  # noqa: PLC0415 - `--help` loads nothing heavy

        self.verdict = survey().rank(self.samples, self.address, self.unit, self.full_scale)

    @property
    def best(self) -> Guess | None:
        """The likeliest guess, or None where nothing fits."""
        return next(iter(self.verdict.guesses), None)

    def report(self) -> dict[str, Any]:
        """Return everything for a program."""
        best = self.best
        channel = paste.of_channel(best.table, best, best.address, self.unit, self.full_scale) if best else []
        return {"values": self.asked, **asdict(self.verdict), "yaml": textwrap.dedent("\n".join(channel))}

    def load(self, path: Path | None) -> None:
        """Take up what an earlier call saw. Raises UsageError where it looked somewhere else."""
        if path is None or not path.exists():
            return
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            place, seen = kept["place"], kept["samples"]
            for table, samples in seen.items():
                self.samples[table] = [Sample(np.array(w, np.int32), float(v), int(d)) for w, v, d in samples]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise click.UsageError(f"--keep: {path} was not written by this command") from error
        if place != self._place():
            raise click.UsageError(f"--keep: {path} remembers {place}, not {self._place()}; name another file")
        self.asked = max((len(samples) for samples in self.samples.values()), default=0)

    def save(self, path: Path | None) -> None:
        """Keep what was seen for the next call, at most `VALUES_MAX` values."""
        if path is None:
            return
        seen = {
            table: [[s.words.tolist(), s.value, s.decimals] for s in samples[-VALUES_MAX:]]
            for table, samples in self.samples.items()
        }
        path.write_text(json.dumps({"place": self._place(), "samples": seen}), encoding="utf-8")

    def _place(self) -> str:
        return f"unit {self.unit_id}, {self.count} registers from {self.address}, {' and '.join(self.tables)}"


def decimals(text: str) -> int:
    """Return the digits after the point of a shown value.

    >>> decimals("17.20"), decimals("-4")
    (2, 0)
    """
    match = NUMBER.fullmatch(text)
    return len(match[1]) if match and match[1] else 0


def _guess(
    question: Question, values: list[str], run: Callable[[Coroutine[Any, Any, None]], None], *, asks: bool
) -> None:
    """Take the given values, then ask for more until one way is left.

    The loop runs only while registers are read: inside of it a prompt would not hear Ctrl-C.
    """
    try:
        run(question.bus.open())
        run(question.look(values[0]))
        for value in values[1:]:
            click.prompt(f"press Enter when the display shows {value}", default="", show_default=False)
            run(question.look(value))
        while asks:
            _print(question)
            if question.verdict.unique or question.asked >= VALUES_MAX:
                return
            shown = _ask()
            if not shown:
                return
            run(question.look(shown))
        if not asks:
            _print(question, error=True)
    finally:
        run(question.bus.close())


def _ask() -> str:
    """Return the next value that the display shows; empty when there is to be none, Ctrl-C included."""
    while True:
        try:
            value = str(click.prompt("the display now shows (Enter ends)", default="", show_default=False)).strip()
        except click.Abort:
            click.echo()
            return ""
        if not value or NUMBER.fullmatch(value):
            return value
        click.echo(f"{value!r} is no number as a display shows it, such as 17.2")


def _print(question: Question, *, error: bool = False) -> None:
    """Show what is left."""
    console = asking.console(error=error)
    guesses = question.verdict.guesses
    if guesses:
        table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
        for name, justify in (("table", "left"), ("address", "right"), ("type", "left"), ("order", "left"),
                              ("scale", "right"), ("reads", "right"), ("likely", "right")):  # fmt: skip
            table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # rich's literal
        shown = [guess for guess in guesses[:SHOWN] if guess.share >= SHARE_SHOWN] or guesses[:1]
        for guess in shown:
            table.add_row(guess.table, str(guess.address), guess.type, guess.order, f"{guess.scale:g}",
                          f"{guess.value:.6g}", f"{guess.share * 100:.0f} %")  # fmt: skip
        console.print(table)
        if len(guesses) > len(shown):
            console.print(Text(f"and {len(guesses) - len(shown)} less likely", "dim"))
        for twin in guesses[0].twins[:3]:
            console.print(Text.assemble(("  the same so far: ", "dim"), twin))
    console.print(Text(question.verdict.advice, "bold green" if question.verdict.unique else "bold"))


def _fail(why: str) -> None:
    click.echo(f"hazgate: {why}", err=True)
    sys.exit(1)
