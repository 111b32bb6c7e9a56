"""What the commissioning commands share: endpoints and line settings as options, consoles, an end by Ctrl-C."""

import asyncio
import json
import math
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich.console import Console

from gateway.cli import logs
from gateway.commissioning import choices
from gateway.commissioning.reasons import reason
from gateway.core.commissioning import Bus, LineSettings, NoAnswerError
from gateway.core.errors import ConfigError, NotConnectedError

T = TypeVar("T")
CommandT = TypeVar("CommandT", bound=Callable[..., Any])

EXIT_STOPPED: Final = 130
MARK: Final = "black on yellow"
"""Style of what is to be looked at: readable on dark and light terminals, which yellow letters are not."""
PIPE_WIDTH: Final = 160
"""Columns where nobody looks at a terminal."""


class EndpointType(click.ParamType[str]):
    """An endpoint: a URL, or the device file of a serial port."""

    name = "endpoint"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the endpoint as a site file has it."""
        from gateway.commissioning.wing import survey  # noqa: PLC0415 - `--help` loads nothing heavy

        try:
            text = choices.endpoint(str(value))
            survey().place(text)
        except (ValueError, ConfigError) as error:
            self.fail(str(error), param, ctx)
        return text


class UnitsType(click.ParamType[tuple[int, ...]]):
    """Unit addresses as `1-32,40`."""

    name = "units"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the addresses."""
        if isinstance(value, tuple):
            return value
        try:
            return choices.units(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class ListType(click.ParamType[tuple[Any, ...]]):
    """A comma-separated list of allowed words or numbers."""

    name = "list"

    def __init__(self, kind: type, allowed: tuple[Any, ...] = ()) -> None:
        self._kind = kind
        self._allowed = allowed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        """Return the items."""
        if isinstance(value, tuple):
            return value
        try:
            items = tuple(self._kind(part.strip().upper()) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of numbers, such as 9600,19200", param, ctx)
        for item in items:
            if self._allowed and item not in self._allowed:
                self.fail(f"{item!r}; allowed: {', '.join(map(str, self._allowed))}", param, ctx)
        return items


def with_line(call: CommandT) -> CommandT:
    """Add the options that tell how one serial line is set and where a connection of a site file stands."""
    for option in (
        click.option("--wait", "wait_s", type=click.FloatRange(0.01, 60), help="Seconds to wait for a reply."),
        click.option("--stop", "stop_bits", default=1, show_default=True, type=click.IntRange(1, 2), help="Stop bits."),
        click.option("--parity", default="N", show_default=True, type=click.Choice(["N", "E", "O"]), help="Parity."),
        click.option("--baud", default=9600, show_default=True, help="Bits a second of a serial line."),
        click.option("--connection", help="Connection of that site file."),
        click.option("--site", type=click.Path(path_type=Path), help="Ask over a connection of this site file."),
    ):
        call = option(call)
    return call


def as_json(call: CommandT) -> CommandT:
    """Add `--json`."""
    return click.option("--json", "json_", is_flag=True, help="Print JSON in place of tables.")(call)


def line_of(endpoint: str, baud: int, parity: str, stop_bits: int) -> LineSettings | None:
    """Return the settings of a serial line; None for a host."""
    return LineSettings(baud, parity, stop_bits) if endpoint.startswith("rtu:") else None


def bus_for(endpoint: str | None, site: Path | None, connection: str | None, line: tuple[int, str, int],
            wait_s: float | None) -> tuple[Bus, str, LineSettings | None]:  # fmt: skip
    """Return the way to what was named, its endpoint and its line settings. Raises UsageError and SiteFileError."""
    from gateway.commissioning.wing import survey  # noqa: PLC0415 - `--help` loads nothing heavy

    if (endpoint is None) == (site is None):
        raise click.UsageError("name an endpoint such as tcp://192.168.1.20, or a connection with --site")
    if endpoint is not None:
        settings = line_of(endpoint, *line)
        return survey().bus(endpoint, settings, wait_s), endpoint, settings
    from gateway.site.load import load_site  # noqa: PLC0415

    assert site is not None
    loaded = load_site(site)
    known = {each.id: each for each in loaded.connections}
    chosen = known.get(connection or (next(iter(known)) if len(known) == 1 else ""))
    if chosen is None:
        raise click.UsageError(f"--connection: {connection!r} is none of {', '.join(known) or 'none'}")
    options: Any = chosen.options
    try:
        way = survey(chosen.type).bus_of(options)
    except ConfigError as error:
        raise click.UsageError(f"connection {chosen.id}: {error.problem}") from error
    where = str(options.endpoint)
    return way, where, line_of(where, options.baud, options.parity, options.stop_bits)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's work with as little in the log as possible. Ctrl-C ends it with KeyboardInterrupt."""
    logs.set_up(as_json=False, silent=True)
    return asyncio.run(main)


def runner() -> asyncio.Runner:
    """Return what runs several pieces of work in one loop, with people being asked in between."""
    logs.set_up(as_json=False, silent=True)
    return asyncio.Runner()


def console(*, error: bool = False) -> Console:
    """Return a console; without a terminal it is wide and has no colours."""
    stream = sys.stderr if error else sys.stdout
    if stream.isatty():
        return Console(file=stream, highlight=False, soft_wrap=False)
    return _Plain(file=stream, width=PIPE_WIDTH, highlight=False, soft_wrap=False)


class _Plain(Console):
    """Prints without the spaces that fill a table up to its width: they would wrap wherever the text is read."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, each line without the spaces at its end."""
        with self.capture() as drawn:
            super().print(*objects, **options)
        self.file.write("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()))


def print_json(value: Any, *, lines: bool = False) -> None:
    """Print a value as JSON, on one line where many follow one another."""
    click.echo(json.dumps(_plain(value), ensure_ascii=False, indent=None if lines else 2, allow_nan=False))


def print_yaml(text: str, title: str) -> None:
    """Print what goes into a site file, as it is, so that it can be copied."""
    click.echo(f"\n# {title}")
    click.echo(text)


def silent(error: NoAnswerError, line: LineSettings | None) -> str:
    """Return what to look at where an instrument does not answer."""
    also = f", and does the line run at {line}" if line else ""
    return f"{error}; is the unit address right{also}? `hazgate scan` finds those that answer"


def unreachable(error: NotConnectedError) -> str:
    """Return which endpoint cannot be asked, why, and what to do about the usual reasons."""
    return f"{error.endpoint}: {reason(error)}"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {key: _plain(item) for key, item in asdict(value).items()}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    # JSON has no NaN and no infinity: a register that is no number as a float says null, a threshold never reached too.
    return None if isinstance(value, float) and not math.isfinite(value) else value
