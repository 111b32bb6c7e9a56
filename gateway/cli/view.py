"""The terminal view of a demonstration: instruments, alarms and deliveries as they happen."""

from datetime import UTC, datetime
from typing import Self

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.app import App
from gateway.cli.ledger import Deliveries
from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.clock import NS_PER_S, rfc3339
from gateway.core.model import BAD_FROM, quality_name

MARKS = {
    1: ("◆ 1", "bold white on red"),
    2: ("▲ 2", "bold black on orange1"),
    3: ("● 3", "black on yellow"),
    4: ("■ 4", "black on deep_sky_blue1"),
}
EVENTS_SHOWN = 10
CHANNELS_SHOWN = 24


class PlainView:
    """One line an event: for pipes, logs and terminals that cannot redraw."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def event(self, event: AlarmEvent) -> None:
        """Print an event."""
        level, name = ("", event.case.id) if event.case else (event.level, event.alarm)
        print(
            f"{_clock_time(event.time_ns)}  {event.kind.value:<12} {level:<7} {name:<26} {event.why}",
            flush=True,
        )

    def delivered(self, seq: int) -> None:
        """Print nothing: the summary tells the delays."""

    def show(self, app: App, deliveries: Deliveries) -> None:
        """Print nothing between the events."""


class LiveView:
    """Redraws instruments, alarms and the last events twice a second."""

    def __init__(self) -> None:
        self._live = Live(console=Console(), screen=False, auto_refresh=False, vertical_overflow="crop")
        self._recent: list[AlarmEvent] = []

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def event(self, event: AlarmEvent) -> None:
        """Keep an event for the next drawing."""
        self._recent = [*self._recent, event][-EVENTS_SHOWN:]

    def delivered(self, seq: int) -> None:
        """Deliveries are looked up when drawing."""

    def show(self, app: App, deliveries: Deliveries) -> None:
        """Draw."""
        self._live.update(
            Group(
                Text.assemble(
                    ("Hazgate demonstration  ", "bold"),
                    ("console ", "dim"),
                    f"http://127.0.0.1:{app.port}/",
                    ("   Ctrl-C ends", "dim"),
                ),
                alarms_table(app),
                events_table(self._recent, deliveries),
                # Last: a low terminal cuts off what is below, and that must not be an alarm.
                instruments_table(app),
            ),
            refresh=True,
        )


def instruments_table(app: App) -> Panel:
    """Return every channel with its value, or with the reason why there is none."""
    table = Table.grid(padding=(0, 2))
    latest = app.latest()
    cells: list[Text] = []
    for channel in app.channels[:CHANNELS_SHOWN]:
        bad = latest.quality[channel.row] >= BAD_FROM
        value = latest.value[channel.row]
        shown = "— —" if bad or np.isnan(value) else f"{value:.{channel.decimals}f}"
        reason = quality_name(int(latest.quality[channel.row])) if latest.quality[channel.row] else ""
        cells.append(
            Text.assemble(
                f"{channel.id:<18}",
                (f"{shown:>8} ", "bold" if not bad else "dim"),
                # The reason stands where the unit would: a value that is none has no unit.
                (f"{reason:<10.10}", "yellow") if bad else (f"{channel.unit:<10}", "dim"),
            )
        )
    if len(app.channels) > CHANNELS_SHOWN:
        cells.append(Text(f"and {len(app.channels) - CHANNELS_SHOWN} more channels", "dim"))
    columns = max(1, min(3, Console().width // 38))
    for start in range(0, len(cells), columns):
        table.add_row(*cells[start : start + columns])
    return Panel(table, title="instruments", title_align="left", border_style="dim")


def alarms_table(app: App) -> Panel:
    """Return the alarms that are not normal."""
    table = Table(box=None, padding=(0, 1), expand=True, show_edge=False)
    for name in ("", "since", "alarm", "value", "limit", "state"):
        table.add_column(name, no_wrap=True)
    alarms = app.alarms()
    for alarm in alarms[:8]:
        event = alarm.event
        mark, style = MARKS.get(event.priority, ("  ", ""))
        unit = f" {event.unit}" if event.unit else ""
        table.add_row(
            Text(f" {mark} ", style),
            _clock_time(event.raised_ns or event.time_ns),
            alarm.id + ("  first" if event.first else ""),
            "" if event.value is None else f"{event.value:.4g}{unit}",
            "" if event.limit is None else f"{event.limit:g}{unit}",
            event.state.value.replace("_", " "),
        )
    if len(alarms) > 8:
        table.add_row("", "", f"and {len(alarms) - 8} more", "", "", "")
    body = table if alarms else Text("no alarms", "dim")
    return Panel(body, title=f"alarms ({len(alarms)})", title_align="left", border_style="red" if alarms else "dim")


def events_table(events: list[AlarmEvent], deliveries: Deliveries) -> Panel:
    """Return the last events, each with how long it took to the platform."""
    table = Table(box=None, padding=(0, 1), expand=True, show_edge=False)
    table.add_column("time", no_wrap=True, min_width=10)
    table.add_column("event", no_wrap=True, min_width=12)
    table.add_column("what", no_wrap=True, ratio=1)
    table.add_column("delivered", no_wrap=True, min_width=9)
    for event in events:
        delay_s = deliveries.delay_s(event.seq)
        table.add_row(
            _clock_time(event.time_ns),
            event.kind.value.replace("_", " "),
            event.why,
            Text("waiting", "yellow") if delay_s is None else f"{delay_s:.2f} s",
        )
    return Panel(table, title="events and deliveries", title_align="left", border_style="dim")


def print_summary(deliveries: Deliveries) -> None:
    """Print what was raised and delivered, with the delays from reading to platform."""
    events = list(deliveries.events.values())
    table = Table(title="raised and delivered", title_justify="left", box=None, padding=(0, 1))
    for name in ("time", "event", "level", "alarm", "delivered after"):
        table.add_column(name, no_wrap=True)
    for event in events:
        if event.kind in (EventKind.RAISED, EventKind.ESCALATED):
            delay_s = deliveries.delay_s(event.seq)
            table.add_row(
                _clock_time(event.time_ns),
                event.kind.value,
                event.level,
                event.alarm,
                "NOT DELIVERED" if delay_s is None else f"{delay_s:.3f} s",
            )
    console = Console()
    console.print(table)
    delays = sorted(d for event in events if (d := deliveries.delay_s(event.seq)) is not None)
    line = f"{len(events)} events, {len(delays)} delivered, {deliveries.duplicates} came twice"
    if delays:
        line += f"; from reading to platform: median {delays[len(delays) // 2]:.3f} s, longest {delays[-1]:.3f} s"
    console.print(line)
    if not deliveries.complete:
        console.print("NOT everything arrived" if events else "nothing was raised")


def _clock_time(time_ns: int) -> str:
    """Return the time of day as the person at this machine reads it."""
    here = datetime.fromtimestamp(time_ns / NS_PER_S, UTC).astimezone().tzinfo
    return rfc3339(time_ns, here or UTC, digits=1)[11:21]
