"""Delivery: one task a sink, each a cursor into a log; store-and-forward, resume and back-fill are the same lines.

Delivery is at least once. A cursor moves only when the peer has acknowledged, and sinks are idempotent. Events go out
in strict order; readings newest first, with what an outage has left behind filled in beside them.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

import structlog

from gateway.core.clock import Clock, first_of
from gateway.core.errors import RejectedError, StorageError, UnavailableError
from gateway.core.plugin import Sink
from gateway.core.status import UplinkStatus
from gateway.store.backlog import Backlog, Range
from gateway.store.logs import Log, Slice

log = structlog.get_logger()

ItemsT = TypeVar("ItemsT")


class Ledger(Protocol):
    """Where cursors and dead letters are kept; the journal."""

    async def cursor(self, name: str) -> str | None:
        """Return what `set_cursor` was last given for the name, or nothing."""
        ...

    async def set_cursor(self, name: str, text: str) -> None:
        """Keep a cursor."""
        ...

    async def dead_letter(self, sink: str, key: str, payload: str, reason: str, time_ns: int) -> None:
        """Keep what a sink refused for ever."""
        ...


@runtime_checkable
class Supervised(Protocol):
    """A sink that can ask its peer for a sign of life; asked when nothing was written for `check_s`."""

    async def check(self) -> None:
        """Return when the peer has answered. Raises UnavailableError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast, how patiently and in which order an outbox delivers.

    Attributes:
        slice_max: Most items in one write.
        slice_min: Items in the first write after a failed one; it doubles with each success. A slice of one gets
            through a peer that fails often, where a hundred would for ever start again.
        live_s: The newest items go first where the oldest waiting one is older than this; None keeps strict order.
        rewind_s: What was acknowledged in the last so many seconds before a lost connection is written again.
        save_s: The cursor is kept at most so often; nought keeps it after each write.
        backoff_min_s: Mean of the first wait after a failed write; doubles with each. A wait is drawn from a third of
            its longest to its longest, so that many gateways do not come back in step.
        backoff_max_s: The longest wait.
        retry_after_max_s: The longest wait that a peer may ask for.
        eager: New items end a wait early, though not before `backoff_min_s` and not where the peer asked for it: an
            alarm must not wait for the end of a back-off that an earlier one began.
        write_timeout_s: A write that takes longer has failed: the peer is a black hole.
        alarm_after_s: Without any acknowledgement for so long while something waits, `on_change` is called.
            EN 54-21 allows 100.
        check_s: How long nothing is written before the peer is asked for a sign of life.
    """

    slice_max: int
    slice_min: int
    live_s: float | None = None
    rewind_s: float = 0.0
    save_s: float = 0.0
    backoff_min_s: float = 1.0
    backoff_max_s: float = 30.0
    retry_after_max_s: float = 300.0
    eager: bool = False
    write_timeout_s: float = 30.0
    alarm_after_s: float = 30.0
    check_s: float = 60.0


EVENT_PACE = Pace(slice_max=100, slice_min=1, eager=True)
"""Events: in order, the cursor kept after each write, one at a time through a peer that fails."""

READING_PACE = Pace(slice_max=5_000, slice_min=500, live_s=5.0, rewind_s=30.0, save_s=1.0)
"""Readings: newest first, back-fill beside them."""


class Outbox(Generic[ItemsT]):
    """Delivers one log to one sink.

    Args:
        name: The store's or uplink's id, under which its cursor is kept.
        kind: `store` or `uplink`, for the status.
        type_: The plugin name, for the status.
        source: The log.
        sink: The peer.
        ledger: Keeps the cursor and what the peer refuses for ever.
        clock: Time.
        pace: `EVENT_PACE`, `READING_PACE` or one made from them.
        on_change: Told False and why when nothing was acknowledged for `alarm_after_s`, and True when it is again.
        on_lost: Told how many items the log had to drop before they could be delivered, once for each time.
        seed: Of the jitter; the gateway's id, so that the gateways of a park do not come back in step.
        alarmed: `on_change` has been told False by whoever delivered before; it is told True by the first sign of life.

    Attributes:
        lost: Items that the log dropped before they could be delivered.
        passed_over: Items that the log could not read, or that belong to channels that are gone.
    """

    def __init__(
        self,
        name: str,
        *,
        kind: str,
        type_: str,
        source: Log[ItemsT],
        sink: Sink[ItemsT],
        ledger: Ledger,
        clock: Clock,
        pace: Pace,
        on_change: Callable[[bool, str], None] = lambda _up, _reason: None,
        on_lost: Callable[[int], None] = lambda _count: None,
        seed: str = "",
        alarmed: bool = False,
    ) -> None:
        self.name = name
        self.lost = 0
        self.passed_over = 0
        self._kind = kind
        self._type = type_
        self._source = source
        self._sink = sink
        self._supervised = sink if isinstance(sink, Supervised) else None
        self._ledger = ledger
        self._clock = clock
        self._pace = pace
        self._on_change = on_change
        self._on_lost = on_lost
        self._random = random.Random(f"{seed}/{name}")  # noqa: S311 - spreads retries, keeps no secret
        self._news = asyncio.Event()
        self._backlog: Backlog | None = None
        self._limit = pace.slice_max
        self._backfill_next = False
        self._durable: list[tuple[float, int]] = []
        self._saved = ""
        self._saved_s = clock.monotonic_s()
        self._heard_s = clock.monotonic_s()
        self._waiting_since_s: float | None = None
        self._attempts = 0
        self._disk_refuses = False
        self._alarmed = alarmed
        self._reason = ""
        self._delivered = 0
        self._dead = 0
        self._oldest_ns = 0
        self._last_ns = 0

    def notify(self) -> None:
        """Say that the log has grown; called on the loop's thread. Cheap, and never blocks."""
        self._news.set()

    def status(self) -> UplinkStatus:
        """Return how delivery is doing."""
        waiting = self._backlog.waiting(self._source.end()) if self._backlog else 0
        return UplinkStatus(
            id=self.name,
            type=self._type,
            kind=self._kind,
            up=not self._attempts,
            delivered=self._delivered,
            dead=self._dead,
            waiting=waiting,
            oldest_ns=self._oldest_ns if waiting else 0,
            last_ns=self._last_ns,
            reason=self._reason,
        )

    async def run(self) -> None:
        """Deliver for ever. Ends by being cancelled, and then keeps its cursor; any other exception is a bug."""
        self._backlog = await self._restored()
        # How far the log was and when, the oldest first. What it holds at the start counts as old.
        self._durable = [(self._clock.monotonic_s(), self._source.end())]
        try:
            while True:
                self._news.clear()
                await self._step(self._backlog)
        finally:
            await self._save(self._backlog)

    async def close(self) -> None:
        """Let go of the sink; may be called twice."""
        await self._sink.close()

    async def _restored(self) -> Backlog:
        first, end = await self._source.first(), self._source.end()
        text = await self._ledger.cursor(self.name)
        if not text:
            return Backlog(first, self._pace.rewind_s)
        try:
            backlog = Backlog.parse(text, self._pace.rewind_s)
        except ValueError as error:
            log.warning("cursor unreadable, delivering all that is held", sink=self.name, problem=str(error))
            return Backlog(first, self._pace.rewind_s)
        if backlog.head > end:
            # The log was replaced or lost its tail: its numbers mean other items now. Repeats are harmless.
            log.warning(
                "cursor beyond the log, delivering all that is held", sink=self.name, head=backlog.head, end=end
            )
            return Backlog(first, self._pace.rewind_s)
        self._saved = text
        return backlog

    async def _step(self, backlog: Backlog) -> None:
        """Write one slice, or wait until there is something to write."""
        if self._clock.monotonic_s() - self._saved_s >= self._pace.save_s:
            await self._save(backlog)
        end = self._source.end()
        self._let_live_ahead(backlog, end)
        job = backlog.next(end, backfill=self._backfill_next)
        if job:
            await self._deliver(backlog, job)
        else:
            await self._idle()

    def _let_live_ahead(self, backlog: Backlog, end: int) -> None:
        """Jump to the newest items where the live end has fallen behind by more than one write and `live_s`."""
        if self._pace.live_s is None:
            return
        horizon = self._clock.monotonic_s() - self._pace.live_s
        while len(self._durable) > 1 and self._durable[1][0] <= horizon:
            del self._durable[0]
        if end - backlog.head > self._pace.slice_max and backlog.head < self._durable[0][1]:
            backlog.jump(end - self._limit)
        newest_s, newest = self._durable[-1]
        if end > newest and self._clock.monotonic_s() - newest_s >= self._pace.live_s / 10:
            self._durable.append((self._clock.monotonic_s(), end))

    async def _deliver(self, backlog: Backlog, job: Range) -> None:
        try:
            part = await self._source.read(job.start, min(self._limit, job.stop - job.start))
        except StorageError as error:
            await self._failed(backlog, UnavailableError(str(error)), self._clock.monotonic_s())
            return
        if part.first > job.start:
            self._drop(backlog.clip(part.first))
            return
        assert part.next > job.start, f"{self.name}: the log has nothing at {job.start} of {job.start} to {job.stop}"
        if job.start == backlog.oldest():
            self._oldest_ns = part.oldest_ns
        began_s = self._clock.monotonic_s()
        refused: Mapping[int, str] = {}
        try:
            if part.count:
                await self._limited(self._sink.write(part.items))
        except UnavailableError as error:
            await self._failed(backlog, error, began_s)
            return
        except RejectedError as error:
            refused = error.reasons
            await self._bury(part, refused)
        self._acknowledged(backlog, job, part, len(refused))

    async def _limited(self, write: Awaitable[None]) -> None:
        """Wait for a peer, but not for ever. The loop's own clock keeps this limit: a set wall clock moves nothing."""
        try:
            async with asyncio.timeout(self._pace.write_timeout_s):
                await write
        except TimeoutError as error:
            raise UnavailableError(f"no acknowledgement within {self._pace.write_timeout_s:g} s") from error

    def _acknowledged(self, backlog: Backlog, job: Range, part: Slice[ItemsT], refused: int) -> None:
        stop = min(part.next, job.stop)
        passed_over = max(0, stop - job.start - part.count)
        fresh = backlog.done(job.start, stop, self._clock.monotonic_s())
        self.passed_over += passed_over
        self._delivered += max(0, fresh - passed_over - refused)
        self._dead += refused
        self._backfill_next = not self._backfill_next
        self._limit = min(self._pace.slice_max, self._limit * 2)
        if part.count:
            self._last_ns = self._clock.now_ns()
            self._heard(backlog)

    def _heard(self, backlog: Backlog) -> None:
        """Note a sign of life."""
        self._heard_s = self._clock.monotonic_s()
        self._waiting_since_s = None
        if self._attempts:
            log.info("sink back", sink=self.name, waiting=backlog.waiting(self._source.end()))
            self._attempts, self._reason = 0, ""
        if self._alarmed:
            self._alarmed = False
            self._on_change(True, "")  # noqa: FBT003 - the callback's two states are its contract

    async def _failed(self, backlog: Backlog, error: UnavailableError, began_s: float) -> None:
        """Back off after a write that the peer did not acknowledge."""
        if self._waiting_since_s is None:
            self._waiting_since_s = began_s
        self._reason = str(error)
        self._limit = self._pace.slice_min
        if not self._attempts:
            # A peer that says when to come back is alive and has kept what it acknowledged.
            again = backlog.rewind() if error.retry_after_s is None else 0
            waiting = backlog.waiting(self._source.end())
            log.warning("sink lost", sink=self.name, reason=self._reason, waiting=waiting, again=again)
        self._attempts += 1
        await self._pause(error.retry_after_s)

    def _backoff_s(self) -> float:
        longest = 1.5 * self._pace.backoff_min_s * 2.0 ** min(self._attempts - 1, 30)
        return min(self._pace.backoff_max_s, longest) * self._random.uniform(1 / 3, 1.0)

    async def _pause(self, retry_after_s: float | None) -> None:
        """Wait for the next attempt, raising the alarm on the way when its time has come."""
        asked = retry_after_s is not None and retry_after_s > 0
        eager = self._pace.eager and not asked
        start_s = self._clock.monotonic_s()
        end_s = start_s + (min(retry_after_s or 0.0, self._pace.retry_after_max_s) if asked else self._backoff_s())
        early_s = start_s + self._pace.backoff_min_s
        while (now_s := self._clock.monotonic_s()) < end_s:
            self._raise_when_due(now_s)
            news = eager and self._news.is_set()
            if news and now_s >= early_s:
                return
            until_s = min(early_s, end_s) if news else end_s
            await self._wait(min(until_s, self._alarm_due_s(until_s)) - now_s, listening=eager and not news)
        self._raise_when_due(self._clock.monotonic_s())

    def _alarm_due_s(self, default_s: float) -> float:
        if self._alarmed or self._waiting_since_s is None:
            return default_s
        return self._waiting_since_s + self._pace.alarm_after_s

    def _raise_when_due(self, now_s: float) -> None:
        if not self._alarmed and now_s >= self._alarm_due_s(now_s + 1.0):
            self._alarmed = True
            self._on_change(False, self._reason)  # noqa: FBT003 - the callback's two states are its contract

    async def _idle(self) -> None:
        """Wait for news, for the cursor's time to be kept, or for the time to ask for a sign of life."""
        now_s = self._clock.monotonic_s()
        dirty = self._backlog is not None and self._backlog.text() != self._saved
        due_s = self._saved_s + self._pace.save_s if dirty else float("inf")
        if self._supervised:
            if now_s - self._heard_s >= self._pace.check_s:
                await self._check(self._supervised)
                return
            due_s = min(due_s, self._heard_s + self._pace.check_s)
        await self._wait(due_s - now_s, listening=True)

    async def _check(self, sink: Supervised) -> None:
        assert self._backlog is not None
        began_s = self._clock.monotonic_s()
        try:
            await self._limited(sink.check())
        except UnavailableError as error:
            await self._failed(self._backlog, error, began_s)
        else:
            self._heard(self._backlog)

    async def _wait(self, seconds: float, *, listening: bool) -> None:
        """Wait so long by the clock, or, where `listening`, until the log has grown."""
        if not listening:
            await self._clock.sleep(seconds)
        else:
            await first_of(self._clock, None if seconds == float("inf") else seconds, self._news)

    async def _bury(self, part: Slice[ItemsT], refused: Mapping[int, str]) -> None:
        assert refused, f"{self.name}: a refusal that names no item"
        assert all(0 <= index < part.count for index in refused), f"{self.name}: refused {max(refused)}"
        log.error("items refused", sink=self.name, count=len(refused), reason=next(iter(refused.values())))
        for letter in self._source.dead_letters(part, refused):
            await self._keep(
                self._ledger.dead_letter(self.name, letter.key, letter.payload, letter.reason, letter.time_ns)
            )

    def _drop(self, count: int) -> None:
        if count > 0:
            self.lost += count
            log.warning("items dropped before they were delivered", sink=self.name, count=count)
            self._on_lost(count)

    async def _save(self, backlog: Backlog) -> None:
        text = backlog.text()
        if text != self._saved and await self._keep(self._ledger.set_cursor(self.name, text)):
            self._saved = text
        self._saved_s = self._clock.monotonic_s()

    async def _keep(self, keeping: Awaitable[None]) -> bool:
        """Wait for the disk. One that refuses stops no delivery: what was sent may then be sent again."""
        try:
            await keeping
        except StorageError as error:
            if not self._disk_refuses:
                log.error("cursor not kept", sink=self.name, reason=str(error))  # noqa: TRY400 - the disk's own words say all
            self._disk_refuses = True
            return False
        self._disk_refuses = False
        return True
