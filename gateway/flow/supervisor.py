"""Keeps one connection read: connects, backs off, and makes silence a reading."""

import asyncio
import math
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import structlog

from gateway.core.clock import Clock
from gateway.core.errors import EndOfRecordingError, NotConnectedError
from gateway.core.model import Batch, Channel, Float64, Int32, Quality
from gateway.core.plugin import Driver, Timed

log = structlog.get_logger()

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
SWITCHING_BACKOFF_MAX_S = 2.0
"""The same where a connection carries outputs: a sounder that is wanted waits for it."""
RETRY_MIN_S = 0.1
"""Shortest wait before the next attempt, whatever a driver says makes sense."""
CONNECT_TIMEOUT_S = 15.0
HELD_S = 5.0
"""A connection that stood for so long, or brought a reading, was one; a peer that accepts and closes is tried less and
less often."""


class Supervisor:
    """Runs one driver.

    While the connection is lost, each channel gets a BAD reading (COMMS_LOST) at its own period. While it stands, a
    channel that has been quiet for longer than its `stale_after_s` gets STALE readings, whatever the reason: a
    pushing instrument that stopped, or a driver that hangs. So "no data" can never look safe. A BACKFILLED reading
    tells of the past and does not count as having been heard.

    Args:
        name: The connection's id.
        driver: The driver; nobody else calls it.
        channels: The channels it reads.
        put: Where readings go.
        clock: Time.
        on_change: Told the reason when the connection is lost, and an empty text when it is back.
        backoff_max_s: Longest wait between attempts to connect.
    """

    def __init__(
        self,
        name: str,
        driver: Driver,
        channels: Sequence[Channel],
        put: Callable[[Batch], None],
        clock: Clock,
        *,
        on_change: Callable[[str], None] = lambda _reason: None,
        backoff_max_s: float = BACKOFF_MAX_S,
    ) -> None:
        self.name = name
        self.driver = driver
        self.connected = False
        self.reason = "not connected yet"
        self._put = put
        self._clock = clock
        self._on_change = on_change
        self._backoff_max_s = backoff_max_s
        self._rows: Int32 = np.array([c.row for c in channels], np.int32)
        self._period_s: Float64 = np.array([c.period_s for c in channels])
        self._stale_after_s: Float64 = np.array([c.stale_after_s for c in channels])
        self._site_rows = self._rows
        self._site_row_of: Int32 | None = None
        self._slot = np.full(int(self._rows.max(initial=-1)) + 1, -1, np.intp)
        self._slot[self._rows] = np.arange(len(channels))
        self._heard_s: Float64 = np.full(len(channels), clock.monotonic_s())
        self._emitted_s: Float64 = np.full(len(channels), -np.inf)
        self._lost_said = self._has_read = False

    async def run(self) -> None:
        """Read until cancelled; errors other than a lost connection leave, for they are mistakes in the program."""
        watch = asyncio.create_task(self._watch(), name=f"silence[{self.name}]")
        try:
            await self._keep_connected()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await self.driver.close()

    async def _keep_connected(self) -> None:
        attempt = 0
        while True:
            since_s = math.inf
            try:
                # Not `wait_for`: on Python 3.11 it can swallow a cancellation that meets the result.
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await self.driver.connect()
                since_s = self._clock.monotonic_s()
                self._found()
                await self._read_on()
            except EndOfRecordingError:
                log.info("recording ended", connection=self.name)
                await asyncio.Event().wait()
            except (NotConnectedError, TimeoutError) as error:
                self._lost(str(error) or f"no answer within {CONNECT_TIMEOUT_S:g} s")
                if self._has_read or self._clock.monotonic_s() - since_s >= HELD_S:
                    attempt = 0
                await self._clock.sleep(self._wait_s(error, attempt))
                attempt += 1

    async def _read_on(self) -> None:
        while True:
            batch = await self.driver.read()
            self._has_read = True
            live = batch.row[batch.quality != Quality.BACKFILLED]
            self._heard_s[self._slot[live]] = self._clock.monotonic_s()
            self._put(self._in_site_rows(batch))

    def renumber(self, channels: Sequence[Channel]) -> None:
        """Hand on readings by other rows; the driver keeps its own, and is left alone.

        Args:
            channels: The channels it reads, in the order in which they were given first, with their present rows.
        """
        assert len(channels) == len(self._rows), f"{self.name}: {len(channels)} channels instead of {len(self._rows)}"
        rows = np.array([c.row for c in channels], np.int32)
        self._site_rows, self._site_row_of = rows, None
        if not np.array_equal(rows, self._rows):
            self._site_row_of = np.full(len(self._slot), -1, np.int32)
            self._site_row_of[self._rows] = rows

    def latencies_s(self) -> dict[int, float]:
        """Return seconds from request to reply of the channels' last readings, by the site's rows, where known."""
        if not isinstance(self.driver, Timed):
            return {}
        known = ((row, self.driver.latency_s(int(own))) for own, row in zip(self._rows, self._site_rows, strict=True))
        return {int(row): took_s for row, took_s in known if took_s is not None}

    def _in_site_rows(self, batch: Batch) -> Batch:
        if self._site_row_of is None:
            return batch
        return Batch(self._site_row_of[batch.row], batch.time_ns, batch.value, batch.quality)

    def _wait_s(self, error: Exception, attempt: int) -> float:
        """Back off, unless the driver knows that trying costs nothing and a return should be noticed soon."""
        wait_s = self._backoff_s(attempt)
        asked_s = error.retry_s if isinstance(error, NotConnectedError) else None
        return wait_s if asked_s is None else min(wait_s, max(RETRY_MIN_S, asked_s))

    def _backoff_s(self, attempt: int) -> float:
        """Double up to the ceiling, less up to a quarter that differs by connection, so that they do not march."""
        full = min(self._backoff_max_s, BACKOFF_FIRST_S * 2.0 ** min(attempt, 16))
        return full * (1.0 - zlib.crc32(f"{self.name}{attempt}".encode()) / 2**34)

    def _found(self) -> None:
        if self._lost_said:
            log.info("connection is back", connection=self.name)
        self._lost_said = self._has_read = False
        self.connected, self.reason = True, ""
        self._heard_s[:] = self._clock.monotonic_s()
        self._on_change("")

    def _lost(self, reason: str) -> None:
        self.connected, self.reason = False, reason
        if not self._lost_said:
            self._lost_said = True
            log.warning("connection lost", connection=self.name, reason=reason)
            self._on_change(reason)
            self._silence()

    async def _watch(self) -> None:
        tick_s = float(np.clip(self._period_s.min(initial=1.0), 0.1, 1.0))
        while True:
            await self._clock.sleep(tick_s)
            self._silence()

    def _silence(self) -> None:
        """Emit BAD readings for the channels that are due one."""
        now_s = self._clock.monotonic_s()
        due = now_s - self._emitted_s >= self._period_s - 0.01
        if self.connected or not self._lost_said:
            due &= now_s - self._heard_s >= self._stale_after_s
        if due.any():
            self._emitted_s[due] = now_s
            reason = Quality.STALE if self.connected else Quality.COMMS_LOST
            self._put(Batch.bad(self._site_rows[due], self._clock.now_ns(), reason))
