"""`hazgate demo`: plant, gateway, console and platform on this machine, and a view of what happens."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli import logs

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.cli.ledger import Deliveries
    from gateway.core.clock import Clock
    from gateway.site.document import Document

SHIFT = "shift"
PAST_S = 28_830.0
"""Eight hours, and the half minute in which the last alarm has just come."""
GRACE_S = 10.0
"""How long the last alerts may take to arrive after the end."""


@click.command()
@click.option("--port", default=8080, show_default=True, help="Port of the console; a free one where it is taken.")
@click.option(
    "--instruments", default=0, help="So many more instruments, as a load; up to 1,900.", type=click.IntRange(0, 1900)
)
@click.option(
    "--scenario",
    default="demo",
    show_default=True,
    help="Name of an example scenario; `shift` begins with eight hours that have passed already.",
)
@click.option("--for", "seconds", type=float, help="End by itself after so many seconds and print what was delivered.")
@click.option("--plain", is_flag=True, help="One line an event in place of the live view.")
def command(port: int, instruments: int, scenario: str, seconds: float | None, *, plain: bool) -> None:
    """Run the whole chain on this machine: simulated plant, gateway, console, supervision platform.

    Ends with 0 only if everything that was raised has arrived at the platform.
    """
    logs.set_up(as_json=False, quiet=True)
    with tempfile.TemporaryDirectory(prefix="hazgate-demo-") as folder:
        plan = Plan(Path(folder), _free_port(port), instruments, scenario, seconds, plain)
        arrived = asyncio.run(_demo(plan))
    sys.exit(0 if arrived else 1)


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for."""

    folder: Path
    port: int
    instruments: int
    scenario: str
    seconds: float | None
    plain: bool


async def _demo(plan: Plan) -> bool:
    from gateway.app import App  # noqa: PLC0415 - `--help` loads nothing heavy
    from gateway.cli import peers  # noqa: PLC0415
    from gateway.cli.ledger import Deliveries  # noqa: PLC0415
    from gateway.core.clock import SystemClock  # noqa: PLC0415
    from gateway.site.load import site_from  # noqa: PLC0415

    stop = _stop_on_signals()
    secret = os.environ["HAZGATE_PLATFORM_SECRET"] = peers.new_secret()
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(peers.platform(secret))
        past_s = PAST_S if plan.scenario == SHIFT else 0.0
        if past_s:
            click.echo("eight hours of a shift pass in about half a minute …", err=True)
        plant = await stack.enter_async_context(peers.plant(plan.scenario, plan.folder, past_s))
        url = platform.said["url"]
        document = peers.demo_site(plan.scenario, plant.said, f"{url}/alerts", f"127.0.0.1:{plan.port}")
        if past_s:
            await _live_through(plan, document, clock)
        if plan.instruments:
            fleet = await stack.enter_async_context(peers.fleet(plan.instruments))
            peers.add_fleet(document, fleet.said)
        app = App(site_from(document), plan.folder / "data", clock)
        deliveries = Deliveries(url, clock)
        gateway_stop = asyncio.Event()
        running = asyncio.create_task(app.run(gateway_stop), name="gateway")
        try:
            await _watch(app, deliveries, stop, plan.seconds, plain=plan.plain)
            await _let_arrive(app, deliveries, stop)
        finally:
            gateway_stop.set()
            await running
            await deliveries.close()
    _print_summary(deliveries)
    return deliveries.complete


async def _live_through(plan: Plan, document: "Document", clock: "Clock") -> None:
    """Have the gateway live through the plant's past, in a thread, as that has an event loop of its own."""
    from copy import deepcopy  # noqa: PLC0415 - only where a shift is played

    from gateway.cli import peers, shift  # noqa: PLC0415
    from gateway.site.load import site_from  # noqa: PLC0415

    past = shift.Past.load(plan.folder / peers.PAST_FILE, clock.now_ns())
    site = site_from(replace(document, data=deepcopy(document.data)))
    await asyncio.to_thread(shift.live_through, site, plan.folder / "data", past)
    names = ", ".join(f"{name} ({role})" for name, _, role in shift.PEOPLE)
    click.echo(f"sign in as {names}; password {shift.PASSWORD}", err=True)


async def _watch(
    app: "App", deliveries: "Deliveries", stop: asyncio.Event, seconds: float | None, *, plain: bool
) -> None:
    """Show what happens until told to stop, or for so many seconds."""
    from gateway.cli.view import LiveView, PlainView  # noqa: PLC0415

    view: Any = PlainView() if plain or not sys.stdout.isatty() else LiveView()
    tasks = [
        asyncio.create_task(deliveries.follow_events(app, view.event)),
        asyncio.create_task(deliveries.follow_platform(view.delivered)),
        asyncio.create_task(_refresh(app, deliveries, view.show)),
    ]
    try:
        with view:
            ended = asyncio.create_task(stop.wait())
            await asyncio.wait([ended, *tasks], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _refresh(app: "App", deliveries: "Deliveries", show: Callable[..., None]) -> None:
    while True:
        show(app, deliveries)
        await app.clock.sleep(0.5)


async def _let_arrive(app: "App", deliveries: "Deliveries", stop: asyncio.Event) -> None:
    """Give the last alerts time to arrive, unless somebody is impatient."""
    end_s = app.clock.monotonic_s() + (0.5 if stop.is_set() else GRACE_S)
    await deliveries.take_events(app)
    while not deliveries.complete and app.clock.monotonic_s() < end_s:
        await deliveries.take_platform()
        await app.clock.sleep(0.1)


def _print_summary(deliveries: "Deliveries") -> None:
    from gateway.cli.view import print_summary  # noqa: PLC0415

    print_summary(deliveries)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _free_port(wanted: int) -> int:
    """Return the wanted port, or 0 for a free one where it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            click.echo(f"port {wanted} is taken; the console gets a free one", err=True)
            return 0
    return wanted
