"""What was raised and what has arrived: the two sides of a demonstration, compared by key."""

from collections.abc import Callable
from typing import Any

import httpx

from gateway.app import App
from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.clock import NS_PER_S, Clock, parse_rfc3339

POLL_S = 0.25


class Deliveries:
    """Events of the gateway, each with the time at which the platform took it.

    Args:
        platform_url: The simulated platform.
        clock: Time.

    Attributes:
        events: What the gateway made so far, by number.
        arrived_ns: When the platform took it, by number.
        duplicates: Alerts that came to the platform again; harmless, for it knows their keys.
    """

    def __init__(self, platform_url: str, clock: Clock) -> None:
        self.events: dict[int, AlarmEvent] = {}
        self.arrived_ns: dict[int, int] = {}
        self.duplicates = 0
        self._url = platform_url
        self._clock = clock
        self._client = httpx.AsyncClient(timeout=2.0, trust_env=False)

    @property
    def complete(self) -> bool:
        """Whether something was raised and everything has arrived."""
        raised = any(event.kind is EventKind.RAISED for event in self.events.values())
        return raised and self.events.keys() <= self.arrived_ns.keys()

    def delay_s(self, seq: int) -> float | None:
        """Return the seconds from the reading to the platform, or None where it has not arrived."""
        if seq not in self.arrived_ns:
            return None
        return (self.arrived_ns[seq] - self.events[seq].time_ns) / NS_PER_S

    async def follow_events(self, app: App, told: Callable[[AlarmEvent], None]) -> None:
        """Take every event as it is published, for ever."""
        async for event in app.follow(0):
            if event is not None:
                self.events[event.seq] = event
                told(event)

    async def take_events(self, app: App) -> None:
        """Take what has been published since."""
        for event in await app.events(max(self.events, default=0), 10_000):
            self.events[event.seq] = event

    async def follow_platform(self, told: Callable[[int], None]) -> None:
        """Look at the platform again and again, for ever."""
        while True:
            for seq in await self.take_platform():
                told(seq)
            await self._clock.sleep(POLL_S)

    async def take_platform(self) -> list[int]:
        """Return the numbers of what has arrived since the last look."""
        try:
            kept = (await self._client.get(f"{self._url}/alerts")).json()
        except httpx.HTTPError:
            return []
        self.duplicates = kept["duplicates"]
        return [seq for alert in kept["alerts"] if (seq := self._arrived(alert)) is not None]

    def _arrived(self, alert: dict[str, Any]) -> int | None:
        seq = int(alert["key"].rpartition(":")[2])
        if seq in self.arrived_ns:
            return None
        self.arrived_ns[seq] = parse_rfc3339(alert["received_at"])
        return seq

    async def close(self) -> None:
        """Let go of the connection."""
        await self._client.aclose()
