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

    The rules are the site's own and the time is the recordings': nothing waits, several recordings are judged in the
    order of their times, and the same recordings give the same events to the byte. Where a connection says
    `start: file`, events bear the recording's own times.
    """
    logs.set_up(as_json=False, quiet=True)
    for event in judged(site):
        if as_json:
            sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
        else:
            click.echo(_line(event))


def judged(path: Path) -> Iterator["AlarmEvent"]:
    """Yield the events that a site's recordings make, in order.

    Args:
        path: The site file.

    Raises:
        SiteFileError: The site cannot be, or a connection is no recording or has no end.
    """
    from gateway import assembly  # noqa: PLC0415 - `--help` loads nothing heavy
    from gateway.alarms.book import AlarmBook  # noqa: PLC0415
    from gateway.core.clock import ManualClock  # noqa: PLC0415
    from gateway.core.errors import ConfigError  # noqa: PLC0415
    from gateway.flow.pipeline import Pipeline  # noqa: PLC0415
    from gateway.site.load import load_site  # noqa: PLC0415

    site = load_site(path)
    pipeline = Pipeline(site.channels, assembly.detectors(site), AlarmBook(site.rules))
    recordings: list[list[Batch]] = []
    for connection, driver in assembly.drivers(site, ManualClock()):
        if connection.type != "replay":
            raise site.error(ConfigError((*connection.path, "type"), f"is {connection.type}; only replay has an end"))
        if getattr(connection.options, "loop", False):
            raise site.error(ConfigError((*connection.path, "options", "loop"), "a recording that loops has no end"))
        recordings.append(asyncio.run(_read_all(driver)))
    for batch in _in_order(recordings):
        yield from pipeline.process(batch)


def _in_order(recordings: list[list["Batch"]]) -> list["Batch"]:
    """Return the batches of one recording as they are, those of several as one, by time.

    Within a recording nothing changes places: its clock may have been set back, and what it showed then is the past
    of what came after.
    """
    import numpy as np  # noqa: PLC0415 - `--help` loads nothing heavy

    from gateway.core.model import Batch  # noqa: PLC0415

    if len(recordings) == 1:
        return recordings[0]
    whole = [Batch.concat(batches) for batches in recordings]
    newest = [np.maximum.accumulate(batch.time_ns) for batch in whole]
    order = np.argsort(np.concatenate(newest or [np.empty(0, np.int64)]), kind="stable")
    return [Batch.concat(whole).take(order)]


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

    return f"{rfc3339(event.time_ns)}  {event.kind.value:<13} {event.level:<7} {event.alarm:<32} {event.why}"
