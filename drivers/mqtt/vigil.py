"""Waits for what does not come: looks at instruments at the time when one of them is due to be looked at."""

import heapq
from itertools import count
from typing import Protocol

from drivers.mqtt.readings import Readings
from gateway.core.clock import Clock


class Watch(Protocol):
    """Something that is to be looked at from time to time."""

    def look(self, now_s: float, now_ns: int, out: Readings) -> float | None:
        """Append what is to be said, and return when to look again by the monotonic clock; None: not any more."""
        ...


class Vigil:
    """All watches of one connection, the next one first.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._order = count()
        self._due: list[tuple[float, int, Watch]] = []

    @property
    def next_s(self) -> float | None:
        """When the next is due by the monotonic clock; None where there is none."""
        return self._due[0][0] if self._due else None

    def now_s(self) -> float:
        """Return the monotonic time."""
        return self._clock.monotonic_s()

    def add(self, watch: Watch, due_s: float) -> None:
        """Look at it then."""
        heapq.heappush(self._due, (due_s, next(self._order), watch))

    def look(self, out: Readings) -> None:
        """Look at everything that is due, each once."""
        now_s = self._clock.monotonic_s()
        if not self._due or self._due[0][0] > now_s:
            return
        now_ns = self._clock.now_ns()
        again: list[tuple[float, Watch]] = []
        while self._due and self._due[0][0] <= now_s:
            watch = heapq.heappop(self._due)[2]
            due_s = watch.look(now_s, now_ns, out)
            if due_s is not None:
                again.append((due_s, watch))
        for due_s, watch in again:
            self.add(watch, due_s)
