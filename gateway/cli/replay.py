"""`hazgate replay SITE.yaml`: judge a recording as fast as the machine can, and print its events."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from gateway.cli import logs

if TYPE_CHECKING:
    from gateway.core.alarm import AlarmEvent
    from gateway.core.model import Batch
    from gateway.core.plugin import Driver


@click.command()
@click.argument("site", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print each event whole, as one JSON object a line.")
def command(site: Path, *, as_json: bool) -> None:
    """Judge the recordings that a site's `replay` connections name, and print the events.

    The rules are the site's own, and so is the time: nothing waits, and the same recording gives the same events to
    the byte. Set the connections' `speed` to 0 and `start` to `file`.
    """
    logs.set_up(as_json=False, quiet=True)
    for event in _judged(site):
        if as_json:
            sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
        else:
            click.echo(_line(event))


def _judged(path: Path) -> Iterator["AlarmEvent"]:
    from gateway import assembly  # noqa: PLC0415 - `--help` loads nothing heavy
    from gateway.alarms.book import AlarmBook  # noqa: PLC0415
    from gateway.core.clock import ManualClock  # noqa: PLC0415
    from gateway.flow.pipeline import Pipeline  # noqa: PLC0415
    from gateway.site.load import load_site  # noqa: PLC0415

    site = load_site(path)
    pipeline = Pipeline(site.channels, assembly.detectors(site), AlarmBook(site.rules))
    for connection, driver in assembly.drivers(site, ManualClock()):
        if connection.type != "replay":
            raise click.UsageError(f"connection {connection.id} is of type {connection.type}; only recordings replay")
        for batch in asyncio.run(_read_all(driver)):
            yield from pipeline.process(batch)


async def _read_all(driver: "Driver") -> list["Batch"]:
    from gateway.core.errors import EndOfRecordingError  # noqa: PLC0415

    batches: list[Batch] = []
    await driver.connect()
    try:
        while True:
            batches.append(await driver.read())
    except EndOfRecordingError:
        return batches
    finally:
        await driver.close()


def _line(event: "AlarmEvent") -> str:
    from gateway.core.clock import rfc3339  # noqa: PLC0415

    return f"{rfc3339(event.time_ns)}  {event.kind.value:<13} {event.level:<6} {event.alarm:<32} {event.why}"
