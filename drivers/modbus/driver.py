"""Decides what is asked when, and what a silence means; knows nothing of bytes on a wire."""

import asyncio
import heapq
import math
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import structlog

from drivers.modbus.decode import Decoder
from drivers.modbus.frames import BUSY, UNIT_ABSENT, Refused, Request
from drivers.modbus.link import Answer, Done, Fault, Link, Miss
from drivers.modbus.plan import Block
from gateway.core.clock import Clock
from gateway.core.errors import NotConnectedError
from gateway.core.model import Batch, Int32, Quality

log = structlog.get_logger()

BACKOFF_JITTER = 0.25
REFUSED_AGAIN_S = 60.0
"""After how long a refused register is asked again."""
SPLITS_MAX = 16
"""Cuts of refused blocks in one poll; the search goes on at the next, so that an instrument that refuses everything
cannot keep the line busy."""


class Backoff(NamedTuple):
    """How long an instrument that does not answer is left alone, in seconds."""

    first_s: float = 1.0
    max_s: float = 60.0


BACKOFF = Backoff()


class Leaf:
    """A block that is asked as it stands; a part of its root where that was refused as a whole.

    Attributes:
        refused: The instrument refuses it and it cannot be cut further.
        said: That has been logged.
    """

    __slots__ = ("block", "decoder", "refused", "request", "root", "said")

    def __init__(self, block: Block, root: "Root") -> None:
        self.block = block
        self.root = root
        self.request = block.request()
        self.decoder = Decoder(block)
        self.refused = self.said = False


class Root:
    """A planned block and the leaves it is asked in."""

    __slots__ = ("again_s", "leaves", "whole")

    def __init__(self, block: Block) -> None:
        self.whole = Leaf(block, self)
        self.leaves = [self.whole]
        self.again_s = 0.0

    @property
    def broken(self) -> bool:
        """Whether the instrument has refused it as a whole."""
        return self.leaves[0] is not self.whole or self.whole.refused

    def due(self, now_s: float) -> list[Leaf]:
        """Return what to ask: the leaves that are not refused or, from time to time, the whole again."""
        if not self.broken:
            return self.leaves
        if now_s >= self.again_s:
            self.again_s = now_s + REFUSED_AGAIN_S
            return [self.whole]
        return [leaf for leaf in self.leaves if not leaf.refused]

    def refused_rows(self) -> list[Int32]:
        """Return the rows of what is refused."""
        return [leaf.decoder.rows for leaf in self.leaves if leaf.refused]

    def mend(self) -> None:
        """Take the whole back into use."""
        self.leaves = [self.whole]
        self.whole.refused = False

    def cut(self, leaf: Leaf) -> list[Leaf]:
        """Replace a refused leaf by its halves and return them, or mark it where it cannot be cut."""
        halves = leaf.block.halves()
        if halves is None:
            leaf.refused = True
            return []
        new = [Leaf(half, self) for half in halves]
        at = self.leaves.index(leaf)
        self.leaves[at : at + 1] = new
        return new


class Poll:
    """One instrument: its blocks, when they are due, and whether it answers.

    Attributes:
        open: Requests of the running poll that are queued or on the way.
        failures: Polls in a row without an answer.
        retry_s: Until then it is left alone.
        free_s: Until then it needs its pause.
    """

    __slots__ = (
        "due_s",
        "failed",
        "failures",
        "free_s",
        "id",
        "open",
        "period_s",
        "retry_s",
        "roots",
        "rows",
        "splits",
        "turnaround_s",
    )

    def __init__(self, instrument: str, blocks: Sequence[Block], period_s: float, turnaround_s: float = 0.0) -> None:
        self.id = instrument
        self.period_s = period_s
        self.turnaround_s = turnaround_s
        self.roots = [Root(block) for block in blocks]
        self.rows: Int32 = np.concatenate([root.whole.decoder.rows for root in self.roots])
        self.open = 0
        self.failed = False
        self.failures = 0
        self.splits = 0
        self.due_s = self.retry_s = self.free_s = 0.0

    def fail(self, now_s: float, backoff: Backoff) -> None:
        """Count a poll without an answer.

        The first costs nothing but the poll: a single lost frame is no dead instrument. From the second on the
        instrument is left alone, each time twice as long, up to a quarter more or less so that several do not return in
        step; the same instrument always in the same way.
        """
        self.failures += 1
        if self.failures > 1:
            pause_s = min(backoff.max_s, backoff.first_s * 2.0 ** min(self.failures - 2, 20))
            part = zlib.crc32(f"{self.id}:{self.failures}".encode()) / 0xFFFFFFFF
            self.retry_s = now_s + pause_s * (1.0 + BACKOFF_JITTER * (2.0 * part - 1.0))

    def next_due_s(self, now_s: float) -> float:
        """Return the next poll's time on the instrument's own grid; periods that have passed are skipped."""
        late = now_s - self.due_s
        return self.due_s + self.period_s * max(1, math.floor(late / self.period_s) + 1)


class Job:
    """One request of one poll.

    Attributes:
        again: It was asked before and the connection broke under it.
    """

    __slots__ = ("again", "leaf", "poll", "request")

    def __init__(self, poll: Poll, leaf: Leaf) -> None:
        self.poll = poll
        self.leaf = leaf
        self.request: Request = leaf.request
        self.again = False


class ModbusDriver:
    """Polls the instruments of one endpoint.

    One request is on the way at a time unless `in_flight` says otherwise, and each instrument has its own schedule
    without drift. `read` returns what one reply brought, together with whatever else is ready: batches stay small and
    early, and a slow line delays nobody's alarm until its whole round is done.

    Args:
        endpoint: For messages.
        make_link: Makes the link, given whom to tell of outcomes.
        polls: The instruments.
        clock: Time.
        in_flight: Requests on the way at once.
        backoff: How long an instrument that does not answer is left alone.
    """

    def __init__(
        self,
        endpoint: str,
        make_link: Callable[[Done[Job]], Link[Job]],
        polls: Sequence[Poll],
        clock: Clock,
        *,
        in_flight: int = 1,
        backoff: Backoff = BACKOFF,
    ) -> None:
        self.endpoint = endpoint
        self._polls = list(polls)
        self._clock = clock
        self._in_flight = in_flight
        self._backoff = backoff
        self._link = make_link(self._done)
        self._schedule: list[tuple[float, int]] = []
        self._ready: deque[Job] = deque()
        self._on_the_way = 0
        self._finished: list[Batch] = []
        self._waiter: asyncio.Future[None] | None = None
        self._connected = False

    async def connect(self) -> None:
        """Open the endpoint; every instrument is due at once, also those that were left alone.

        Raises:
            NotConnectedError: It cannot be reached.
        """
        await self.close()
        await self._link.open()
        now_s = self._clock.monotonic_s()
        self._schedule = [(now_s, i) for i in range(len(self._polls))]
        for poll in self._polls:
            poll.due_s, poll.retry_s, poll.free_s, poll.open = now_s, 0.0, 0.0, 0
        self._connected = True

    async def read(self) -> Batch:
        """Wait for the next readings.

        A poll that is due while its predecessor is still under way is left out. Times are those of arrival; of a
        silence, when it was noticed.

        Raises:
            NotConnectedError: The endpoint is gone, or never was connected.
        """
        if not self._connected:
            raise NotConnectedError(self.endpoint, "not connected")
        while True:
            now_s = self._clock.monotonic_s()
            if self._schedule[0][0] <= now_s:
                self._begin_due(now_s)
            wake_s = await self._send(now_s) if self._ready else math.inf
            if self._finished:
                finished, self._finished = self._finished, []
                return Batch.concat(finished)
            if self._on_the_way:
                await self._outcome()
            else:
                await self._clock.sleep(min(wake_s, self._schedule[0][0]) - self._clock.monotonic_s())

    async def close(self) -> None:
        """Let go of the endpoint and of everything unfinished."""
        self._connected = False
        await self._link.close()
        self._ready.clear()
        self._finished.clear()
        self._on_the_way = 0

    async def _outcome(self) -> None:
        """Wait until a request has an outcome; links bound the time."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _begin_due(self, now_s: float) -> None:
        while self._schedule[0][0] <= now_s:
            index = self._schedule[0][1]
            poll = self._polls[index]
            if not poll.open:
                self._begin(poll, now_s)
            poll.due_s = poll.next_due_s(now_s)
            heapq.heapreplace(self._schedule, (poll.due_s, index))

    def _begin(self, poll: Poll, now_s: float) -> None:
        """Queue an instrument's requests or, while it is left alone, say that it is silent."""
        if now_s < poll.retry_s:
            self._say(poll.rows, Quality.COMMS_LOST)
            return
        poll.failed = False
        poll.splits = 0
        for root in poll.roots:
            jobs = [Job(poll, leaf) for leaf in root.due(now_s)]
            poll.open += len(jobs)
            self._ready.extend(jobs)
            if root.broken and not (jobs and jobs[0].leaf is root.whole):
                for rows in root.refused_rows():
                    self._say(rows, Quality.REFUSED)

    async def _send(self, now_s: float) -> float:
        """Send what may be sent; return when the next instrument has had its pause, or infinity."""
        if not self._link.is_open:
            # Given up after a time-out, or closed by the peer between two polls.
            await self._link.open()
            if not self._link.is_open:
                raise NotConnectedError(self.endpoint, "closed by the peer at once")
        wake_s = math.inf
        for _ in range(len(self._ready)):
            if self._on_the_way >= self._in_flight or not self._link.is_open:
                break
            job = self._ready.popleft()
            if job.poll.free_s > now_s:
                wake_s = min(wake_s, job.poll.free_s)
                self._ready.append(job)
                continue
            self._on_the_way += 1
            self._link.send(job)
        return wake_s

    def _done(self, job: Job, answer: Answer) -> None:
        """Take an outcome from the link."""
        if not self._connected:
            return
        self._on_the_way -= 1
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        poll = job.poll
        poll.open -= 1
        if poll.turnaround_s:
            poll.free_s = self._clock.monotonic_s() + poll.turnaround_s
        if isinstance(answer, bytes):
            self._read(job, answer)
        elif isinstance(answer, Refused):
            self._refused(job, answer.code)
        else:
            self._missed(job, answer)

    def _read(self, job: Job, data: bytes) -> None:
        leaf = job.leaf
        self._finished.append(leaf.decoder.decode(data, self._clock.now_ns()))
        if job.poll.failures:
            self._answered(job.poll)
        if leaf is leaf.root.whole and leaf.root.broken:
            log.info("register block is readable again", instrument=job.poll.id, block=repr(leaf.request))
            leaf.root.mend()

    def _answered(self, poll: Poll) -> None:
        if poll.failures > 1:
            log.info("instrument answers again", instrument=poll.id, endpoint=self.endpoint)
        poll.failures = 0

    def _missed(self, job: Job, miss: Miss) -> None:
        if miss.fault is Fault.DROPPED and not job.poll.failed:
            self._ask_again(job)
        elif miss.fault is Fault.CLOSED and not job.again:
            # Closed before it could answer, as after a long idle time; once is nobody's fault.
            job.again = True
            self._ask_again(job)
        else:
            self._silent(job, miss.reason)

    def _ask_again(self, job: Job) -> None:
        job.poll.open += 1
        self._ready.appendleft(job)

    def _silent(self, job: Job, reason: str) -> None:
        """Make the poll's missing readings BAD, and do not ask the instrument for the rest."""
        poll = job.poll
        waiting = [other for other in self._ready if other.poll is poll]
        for other in waiting:
            self._ready.remove(other)
        poll.open -= len(waiting)
        rows = [other.leaf.decoder.rows for other in (job, *waiting)]
        self._say(np.concatenate(rows), Quality.COMMS_LOST)
        if poll.failed:
            return
        poll.failed = True
        poll.fail(self._clock.monotonic_s(), self._backoff)
        if poll.failures == 2:
            log.warning("instrument does not answer", instrument=poll.id, endpoint=self.endpoint, reason=reason)

    def _refused(self, job: Job, code: int) -> None:
        """Find the register that the instrument does not have; the others go on being read."""
        poll, leaf = job.poll, job.leaf
        if code in UNIT_ABSENT:
            self._silent(job, f"the gateway answers exception {code:#04x}: it cannot reach unit {job.request.unit}")
            return
        if poll.failures:
            self._answered(poll)
        root = leaf.root
        if leaf is root.whole and root.broken:
            self._ask_parts(poll, root)
        elif code in BUSY or poll.splits >= SPLITS_MAX:
            self._say(leaf.decoder.rows, Quality.REFUSED)
        else:
            self._cut(poll, leaf, code)

    def _ask_parts(self, poll: Poll, root: Root) -> None:
        """Ask the parts of a block that is still refused as a whole, each once, the refused ones too."""
        jobs = [Job(poll, leaf) for leaf in root.leaves if leaf is not root.whole]
        for leaf in root.leaves:
            leaf.refused = False
        if not jobs:
            root.whole.refused = True
            self._say(root.whole.decoder.rows, Quality.REFUSED)
        poll.open += len(jobs)
        self._ready.extendleft(reversed(jobs))

    def _cut(self, poll: Poll, leaf: Leaf, code: int) -> None:
        poll.splits += 1
        root = leaf.root
        if not root.broken:
            root.again_s = self._clock.monotonic_s() + REFUSED_AGAIN_S
        parts = root.cut(leaf)
        if not parts:
            if not leaf.said:
                channels = [place.channel.id for place in leaf.block.places]
                log.warning("register refused", instrument=poll.id, channels=channels, code=code)
            leaf.said = True
            self._say(leaf.decoder.rows, Quality.REFUSED)
        poll.open += len(parts)
        self._ready.extendleft(reversed([Job(poll, part) for part in parts]))

    def _say(self, rows: Int32, reason: Quality) -> None:
        self._finished.append(Batch.bad(rows, self._clock.now_ns(), reason))
