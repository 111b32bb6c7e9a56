"""One look at every channel of a site, as the gateway itself would read it; nothing is kept and nothing is switched."""

import asyncio
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gateway import assembly
from gateway.commissioning.reasons import reason, why
from gateway.core.clock import Clock
from gateway.core.errors import EndOfRecordingError, NotConnectedError
from gateway.core.model import BAD_FROM, Channel, Quality
from gateway.core.plugin import Driver, Explaining, Timed
from gateway.site.load import Connection, Site

AS_A_GUEST = {"client_id": "", "clean_session": True, "share": ""}
"""Options of a connection that a look must not share with the running gateway: a broker would put the gateway out for a
second client of its name, and would give the look the messages that it keeps for the gateway, or its share of them."""
SECOND_S = 8.0
"""A channel that is doubtful is looked at for so long more: a heartbeat is believed only when it has been seen to move,
which takes the slowest of them five seconds. One that is bad gets a second reading."""
READINGS_MAX = 2
PORT = re.compile(r"(rtu://)?/")
"""What names a serial port: the endpoint of a line, or the port of a module that has one to itself."""
CONNECT_TIMEOUT_S = 15.0
TOLD = frozenset({Quality.COMMS_LOST, Quality.UNREADABLE})
"""Of these a driver may know more."""


@dataclass(slots=True)
class Looked:
    """What one channel showed.

    Attributes:
        channel: The channel.
        connection: The id of its connection.
        value: NaN where there is none.
        quality: A `Quality` code; None where nothing came.
        latency_s: Seconds from request to reply, where the driver knows.
        why: Why it is not good, in one line; empty where it is.
        readings: How often it was read.
    """

    channel: Channel
    connection: str
    value: float = float("nan")
    quality: int | None = None
    latency_s: float | None = None
    why: str = ""
    readings: int = 0

    @property
    def bad(self) -> bool:
        """Whether there is no value."""
        return self.quality is None or self.quality >= int(BAD_FROM)

    @property
    def settled(self) -> bool:
        """Whether a further reading would say nothing new."""
        return self.quality == Quality.GOOD or (self.bad and self.readings >= READINGS_MAX)


@dataclass
class _Bus:
    """One connection that is looked at."""

    connection: Connection
    driver: Driver
    rows: dict[int, Looked]
    reason: str = ""
    lost: bool = False
    tried: bool = field(default=False)


async def look(site: Site, clock: Clock, timeout_s: float) -> list[Looked]:
    """Return every channel as it was read within the time, in the order of the channel table.

    Args:
        site: The checked site.
        clock: Time.
        timeout_s: How long to wait for readings; it ends earlier when all channels have been read.

    Raises:
        SiteFileError: A driver refuses its options.
    """
    guests = tuple(_as_guest(connection) for connection in site.connections if connection.instruments)
    buses = [_bus(each, driver) for each, driver in assembly.drivers(replace(site, connections=guests), clock)]
    looks = [asyncio.create_task(_look(bus, clock), name=f"look[{bus.connection.id}]") for bus in buses]
    try:
        await asyncio.wait(looks, timeout=timeout_s)
    finally:
        for task in looks:
            task.cancel()
        ends = await asyncio.gather(*looks, return_exceptions=True)
        for bus in buses:
            await bus.driver.close()
    for end in ends:
        if isinstance(end, Exception):
            raise end
    found = {looked.channel.row: _explained(looked, bus, timeout_s) for bus in buses for looked in bus.rows.values()}
    return [found[row] for row in sorted(found)]


def _as_guest(connection: Connection) -> Connection:
    """Return a connection that switches nothing and takes nothing from the running gateway."""
    fields = type(connection.options).model_fields
    options = connection.options.model_copy(update={k: v for k, v in AS_A_GUEST.items() if k in fields})
    return replace(connection, options=options, outputs=())


def _bus(connection: Connection, driver: Driver) -> _Bus:
    channels = [plan.channel for instrument in connection.instruments for plan in instrument.channels]
    return _Bus(connection, driver, {channel.row: Looked(channel, connection.id) for channel in channels})


async def _look(bus: _Bus, clock: Clock) -> None:
    """Read a connection until all of its channels are settled; one that is lost is tried again until time is out."""
    while True:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await bus.driver.connect()
            bus.reason, bus.lost = "", False
            await _read(bus, clock)
        except EndOfRecordingError:
            bus.reason = "the recording ended"
        except (NotConnectedError, TimeoutError) as error:
            bus.reason = f"no answer within {CONNECT_TIMEOUT_S:g} s"
            if isinstance(error, NotConnectedError):
                bus.reason = await asyncio.to_thread(reason, error)
            bus.lost = True
            if bus.tried:
                # Two attempts tell a refused connection from one that was being closed.
                return
            bus.tried = True
            await clock.sleep(0.5)
            continue
        return


async def _read(bus: _Bus, clock: Clock) -> None:
    waited_from_s: float | None = None
    while not all(looked.settled for looked in bus.rows.values()):
        if waited_from_s is None and all(looked.readings for looked in bus.rows.values()):
            waited_from_s = clock.monotonic_s()
        left_s = None if waited_from_s is None else waited_from_s + SECOND_S - clock.monotonic_s()
        if left_s is not None and left_s <= 0:
            return
        try:
            async with asyncio.timeout(left_s):
                batch = await bus.driver.read()
        except TimeoutError:
            return
        columns = (batch.row.tolist(), batch.value.tolist(), batch.quality.tolist())
        for row, value, quality in zip(*columns, strict=True):
            if quality != Quality.BACKFILLED:
                _take(bus, row, value, quality)


def _take(bus: _Bus, row: int, value: float, quality: int) -> None:
    looked = bus.rows[row]
    looked.value, looked.quality = value, quality
    looked.readings += 1
    if isinstance(bus.driver, Timed):
        looked.latency_s = bus.driver.latency_s(row)


def _explained(looked: Looked, bus: _Bus, timeout_s: float) -> Looked:
    if looked.quality is None and bus.lost:
        looked.quality = Quality.COMMS_LOST
    if looked.quality is None:
        looked.why = bus.reason or f"nothing came within {timeout_s:g} s"
    elif looked.quality == Quality.COMMS_LOST and bus.reason:
        looked.why = bus.reason
    elif said := _said(looked, bus):
        looked.why = said
    elif looked.quality != Quality.GOOD:
        looked.why = why(looked.quality)
    return looked


def _said(looked: Looked, bus: _Bus) -> str:
    """Return what the driver knows of a bad reading."""
    if looked.quality in TOLD and isinstance(bus.driver, Explaining):
        return bus.driver.why(looked.channel.row)
    return ""


def line_loads(site: Site) -> list[tuple[Connection, float]]:
    """Return each serial line's load by theory: the part of its time that its polls take; 1 and more is too much."""
    found: list[tuple[Connection, float]] = []
    for connection in site.connections:
        load: Any = getattr(connection.module, "load", None)
        share = load(connection.options, connection.instruments) if callable(load) and connection.instruments else None
        if share is not None:
            found.append((connection, float(share)))
    return found


def twins(site: Site) -> list[tuple[str, str, str]]:
    """Return pairs of instruments that read the same registers of the same unit, with where: one was pasted twice.

    Of two heads that are set to one address nobody can tell which has answered; of one that stands in the file twice,
    the other is not watched.
    """
    found: dict[tuple[str, str], str] = {}
    for connection in site.connections:
        seen: dict[tuple[Any, str], str] = {}
        for instrument in connection.instruments:
            unit = getattr(instrument.options, "unit", None)
            for plan in instrument.channels if unit is not None else ():
                first = seen.setdefault((unit, plan.options.model_dump_json()), instrument.id)
                if first != instrument.id:
                    found.setdefault((first, instrument.id), f"unit {unit} of {connection.id}")
    return [(first, second, where) for (first, second), where in found.items()]


def missing_ports(site: Site) -> list[tuple[str, str]]:
    """Return connections whose serial port is not there now, each with the port's path."""
    found: list[tuple[str, str]] = []
    for connection in site.connections:
        named = (str(getattr(connection.options, key, "")) for key in ("endpoint", "port"))
        path = next((Path(text.removeprefix("rtu://")) for text in named if PORT.match(text)), None)
        if path is not None and not path.exists():
            found.append((connection.id, str(path)))
    return found
