"""`hazgate scan ENDPOINT…`: find Modbus instruments, tell what they are, and print the YAML for a site file."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import click

from gateway.cli import asking
from gateway.commissioning import choices
from gateway.core.commissioning import Found, Hint, Progress, ScanPlan
from gateway.core.errors import NotConnectedError

if TYPE_CHECKING:
    from rich.progress import TaskID

UNITS = tuple(range(1, 33))


@click.command()
@click.argument("endpoints", nargs=-1, required=True, type=asking.EndpointType(), metavar="ENDPOINT...")
@click.option("--units", "--ids", "units", type=asking.UnitsType(), help="Unit addresses.  [default: 1-32]")
@click.option("--baud", "bauds", type=asking.ListType(int), help="Bit rates, in the order to try them.")
@click.option("--parity", "parities", type=asking.ListType(str, ("N", "E", "O")), help="Parities.  [default: N,E,O]")
@click.option("--stop", "stops", type=asking.ListType(int, (1, 2)), help="Stop bits.  [default: 1]")
@click.option("--wait", "wait_s", type=click.FloatRange(0.01, 60), help="Seconds an instrument may take to answer.")
@click.option("--all", "every_line", is_flag=True, help="Go on with other line settings after one has answered.")
@click.option("--thorough", is_flag=True, help="Ask silent units for input registers too; takes twice the time.")
@asking.as_json
def command(
    *,
    endpoints: tuple[str, ...],
    units: tuple[int, ...] | None,
    bauds: tuple[int, ...] | None,
    parities: tuple[str, ...] | None,
    stops: tuple[int, ...] | None,
    wait_s: float | None,
    every_line: bool,
    thorough: bool,
    json_: bool,
) -> None:
    """Find Modbus instruments on serial lines and hosts.

    An ENDPOINT is rtu:///dev/ttyUSB0 (or just the device file), tcp://HOST[:PORT] or rtu+tcp://HOST:PORT. Only reading
    requests are sent. The likeliest line settings come first, and those after one that answered are left out unless
    --all is given. Ctrl-C stops and prints what was found so far.
    """
    from gateway.commissioning.wing import fingerprints  # noqa: PLC0415 - `--help` loads nothing heavy

    known = fingerprints()
    plan = ScanPlan(
        endpoints=tuple(dict.fromkeys(endpoints)),
        units=units or UNITS,
        lines=choices.lines(bauds or (), parities or (), stops or (), known),
        fingerprints=known,
        every_line=every_line or bauds is not None,
        thorough=thorough,
        wait_s=wait_s,
    )
    view = Bar() if sys.stderr.isatty() else Lines()
    stopped = failed = ""
    with view:
        try:
            asking.run(_scan(plan, view))
        except KeyboardInterrupt:
            stopped = "stopped; this is what was found so far"
        except NotConnectedError as error:
            failed = asking.unreachable(error)
    _print(view, stopped, failed, as_json=json_)
    sys.exit(asking.EXIT_STOPPED if stopped else 0 if view.found else 1)


async def _scan(plan: ScanPlan, view: "Lines") -> None:
    from gateway.commissioning.wing import survey  # noqa: PLC0415
    from gateway.core.clock import SystemClock  # noqa: PLC0415

    await survey().scan(plan, SystemClock(), view.tell)


class Lines:
    """Says on standard error what happens, one line each: for pipes and logs."""

    def __init__(self) -> None:
        self.found: list[Found] = []
        self.hints: list[Hint] = []
        self._setting: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tell(self, news: Found | Progress | Hint) -> None:
        """Take what the scan says."""
        if isinstance(news, Found):
            self.found.append(news)
            self.say(f"found {describe(news)}")
        elif isinstance(news, Hint):
            self.hints.append(news)
        else:
            self.progress(news)

    def progress(self, news: Progress) -> None:
        """Say when another setting begins."""
        setting = (news.endpoint, news.line)
        if setting != self._setting:
            self._setting = setting
            self.say(f"{_where(news)}: {news.total - news.done + 1} questions to go, {_time(news.left_s)} left")

    def say(self, text: str) -> None:
        """Print a line."""
        click.echo(text, err=True)


class Bar(Lines):
    """A bar that fills: for terminals."""

    def __init__(self) -> None:
        super().__init__()
        from rich.progress import BarColumn, TextColumn  # noqa: PLC0415 - only where there is a terminal
        from rich.progress import Progress as RichProgress  # noqa: PLC0415

        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[left]:>6} left, {task.fields[found]} found"),
            console=asking.console(error=True),
            transient=True,
            expand=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def progress(self, news: Progress) -> None:
        """Move the bar."""
        if self._task is None:
            self._task = self._bar.add_task("", total=news.total, left="", found=0)
        where = news.endpoint.rpartition("/")[2]
        text = f"{where[-24:]} {news.line or ''} unit {news.unit:>3}"
        left = _time(news.left_s)
        self._bar.update(
            self._task, description=text, completed=news.done, total=news.total, left=left, found=len(self.found)
        )

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, markup=False)


def describe(found: Found) -> str:
    """Return a find in one line."""
    guess = f"perhaps {found.profiles[0]}" if found.profiles else "not recognised"
    name = found.profiles[0] if found.sure else " ".join(found.identification.values()) or guess
    line = f" {found.line}" if found.line else ""
    return f"{found.endpoint}{line} unit {found.unit}: {name}"


def _where(news: Progress) -> str:
    return f"{news.endpoint}{f' {news.line}' if news.line else ''}"


def _time(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min"


def _print(view: Lines, stopped: str, failed: str, *, as_json: bool) -> None:
    from gateway.commissioning.adapters import stable_path  # noqa: PLC0415

    names: dict[str, str] = {}
    for found in view.found:
        if found.endpoint.startswith("rtu:"):
            with suppress(OSError):
                names[found.endpoint] = f"rtu://{stable_path(found.endpoint.removeprefix('rtu://'))}"
    if as_json:
        from gateway.commissioning.paste import of_finds  # noqa: PLC0415

        yaml = of_finds(view.found, names) if view.found else ""
        asking.print_json(
            {
                "found": view.found,
                "hints": view.hints,
                "stopped": bool(stopped),
                "failed": failed,
                "yaml": yaml,
            }
        )
        if failed:
            click.echo(f"hazgate: {failed}", err=True)
        return
    _print_tables(view, names, stopped or failed)


def _print_tables(view: Lines, names: dict[str, str], end: str) -> None:
    from rich.text import Text  # noqa: PLC0415

    from gateway.commissioning.paste import of_finds  # noqa: PLC0415

    console = asking.console()
    if view.found:
        console.print(_table(view.found))
    elif not end:
        console.print("nothing answered")
    for hint in view.hints:
        where = f"{hint.endpoint}{f' {hint.line}' if hint.line else ''}"
        console.print(Text.assemble(("!", asking.MARK), " ", f"{where}: {hint.text}"))
    if any(not found.profiles for found in view.found):
        console.print(Text.assemble(("!", asking.MARK), " ", _unmarked()))
    if end:
        console.print(Text(end, "bold"))
    if view.found:
        asking.print_yaml(of_finds(view.found, names), "for the site file")


def _unmarked() -> str:
    """Return which profiles a scan cannot recognise: their instruments may well be there."""
    from gateway.commissioning.wing import fingerprints  # noqa: PLC0415

    names = [known.profile for known in fingerprints() if not known.marks and not known.identification]
    return f"not recognised: may still be one of {', '.join(names)}, which only the type plate tells"


def _table(finds: list[Found]) -> Any:
    """Return the finds as a table of the columns that say something."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    columns: list[tuple[str, list[Any]]] = [
        ("endpoint", [found.endpoint for found in finds]),
        ("unit", [str(found.unit) for found in finds]),
        ("line", [str(found.line or "") for found in finds]),
        ("answered", [found.answer for found in finds]),
        ("after", [f"{found.latency_s * 1000:.0f} ms" for found in finds]),
        ("profile", [_profile(found) for found in finds]),
        ("says of itself", [" ".join(found.identification.values()) for found in finds]),
        ("note", [found.note for found in finds]),
    ]
    if len(set(columns[0][1])) == 1:
        del columns[0]
    columns = [(name, cells) for name, cells in columns if any(cells)]
    for name, _ in columns:
        right = name in ("unit", "after")
        table.add_column(name, no_wrap=True, overflow="ellipsis", justify="right" if right else "left")
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*row)
    return table


def _profile(found: Found) -> Any:
    from rich.text import Text  # noqa: PLC0415

    if not found.profiles:
        return Text("not recognised", "dim")
    return Text(found.profiles[0], "green") if found.sure else Text(f"perhaps {found.profiles[0]}")
