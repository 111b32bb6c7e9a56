"""The buses that are read: a supervisor with a task of its own for each, started and stopped while the others run."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from gateway.core.clock import Clock
from gateway.core.model import Batch, Channel
from gateway.core.plugin import Driver
from gateway.flow.supervisor import BACKOFF_MAX_S, SWITCHING_BACKOFF_MAX_S, Supervisor
from gateway.site.plans import Connection

log = structlog.get_logger()

STOP_S = 5.0
"""How long a driver may take to let go of its bus; its successor then tries, and backs off, beside it."""


@dataclass(slots=True)
class _Line:
    """A connection that is read."""

    connection: Connection
    driver: Driver
    supervisor: Supervisor
    task: asyncio.Task[None] | None = None


class Connections:
    """Runs the supervisors of a site.

    Args:
        put: Where readings go, by the site's rows.
        clock: Time.
        on_change: Told a connection's id and why it is lost, with an empty text when it is back.
    """

    def __init__(self, put: Callable[[Batch], None], clock: Clock, on_change: Callable[[str, str], None]) -> None:
        self._put = put
        self._clock = clock
        self._on_change = on_change
        self._lines: dict[str, _Line] = {}
        self._group: asyncio.TaskGroup | None = None

    def start(self, connection: Connection, driver: Driver) -> None:
        """Begin to read a connection that is not read yet; before `run`, it begins with that."""
        channels = [plan.channel for instrument in connection.instruments for plan in instrument.channels]
        supervisor = Supervisor(
            connection.id,
            driver,
            channels,
            self._put,
            self._clock,
            on_change=lambda reason: self._on_change(connection.id, reason),
            backoff_max_s=SWITCHING_BACKOFF_MAX_S if connection.outputs else BACKOFF_MAX_S,
        )
        line = self._lines[connection.id] = _Line(connection, driver, supervisor)
        if self._group is not None:
            self._begin(self._group, line)

    async def run(self) -> None:
        """Read until cancelled; a mistake in a driver leaves, and ends all of them."""
        async with asyncio.TaskGroup() as self._group:
            for line in self._lines.values():
                self._begin(self._group, line)
            await asyncio.Event().wait()

    def _begin(self, group: asyncio.TaskGroup, line: _Line) -> None:
        line.task = group.create_task(line.supervisor.run(), name=f"connection {line.connection.id}")

    async def stop(self, ids: Iterable[str]) -> None:
        """End connections and wait until their buses are free; those that are not read are passed over."""
        tasks = [line.task for name in ids if (line := self._lines.pop(name, None)) is not None and line.task]
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_S)
            for task in late:
                log.warning("does not let go of its bus", task=task.get_name(), after_s=STOP_S)

    def renumber(self, connections: Iterable[Connection]) -> None:
        """Hand on the readings of connections that go on by the rows that their channels have now."""
        for connection in connections:
            line = self._lines.get(connection.id)
            if line is not None:
                line.connection = connection
                channels: list[Channel] = [p.channel for plan in connection.instruments for p in plan.channels]
                line.supervisor.renumber(channels)

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def up(self) -> int:
        """How many of them are connected."""
        return sum(line.supervisor.connected for line in self._lines.values())

    def reasons(self) -> Mapping[str, str]:
        """Return why each connection is down, by its id; empty where it is up."""
        return {name: line.supervisor.reason for name, line in self._lines.items()}

    def running(self) -> list[tuple[Connection, Supervisor]]:
        """Return the connections that are read, with what reads them."""
        return [(line.connection, line.supervisor) for line in self._lines.values()]

    def drivers(self) -> dict[str, Driver]:
        """Return the drivers by connection."""
        return {name: line.driver for name, line in self._lines.items()}
