"""Keeps requests on their way, and knows what a silence means; knows nothing of bytes on a wire."""

import asyncio
import heapq
import math
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from drivers.modbus.frames import Refused, Request
from drivers.modbus.link import Answer, Done, Fault, Link, Miss
from drivers.modbus.outcomes import Outcomes
from drivers.modbus.overload import Overload
from drivers.modbus.polls import BACKOFF, Backoff, Job, Poll, Unit
from drivers.modbus.schedule import QUESTION_PATIENCE_S, REST, SWITCHING, Waiting
from gateway.core.clock import Clock
from gateway.core.errors import NotConnectedError, OutputError
from gateway.core.model import Batch, Quality

log = structlog.get_logger()

QUESTIONS_MAX = 64
"""Single questions that may wait; a further one is not asked."""
QUESTION_LIMIT_S = 20.0
"""So long does a single question wait for its turn and its answer together."""
UNREAD_MAX = 512
"""Batches that nobody has read; polling pauses until somebody does."""


class Output(Protocol):
    """A relay or coil; knows how it is written and what its reply and its own place say."""

    id: str
    unit: int

    def write(self, *, on: bool) -> Request:
        """Return the request that switches it."""
        ...

    def look(self) -> Request:
        """Return the request that reads it back."""
        ...

    def shows(self, data: bytes) -> bool | None:
        """Return whether the reply shows it on, or None where it shows neither state."""
        ...


class ModbusDriver:
    """Polls the instruments of one endpoint.

    Each poll has its own schedule without drift, and what alarms depend on goes first. `read` returns what one reply
    brought, together with whatever else is ready: batches stay small and early, and a slow line delays nobody's alarm
    until its whole round is done.

    Args:
        endpoint: For messages.
        make_link: Makes the link, given whom to tell of outcomes.
        polls: What is read, of each instrument; none where the endpoint has only outputs.
        clock: Time.
        in_flight: Requests on the way at once, all units together.
        ahead: Requests handed to the link beyond that, so that it has the next one waiting.
        backoff: How long an instrument that does not answer is left alone.
        outputs: The only things that are ever written.
        load: Part of its time that a line needs for all polls, for messages.
    """

    def __init__(
        self,
        endpoint: str,
        make_link: Callable[[Done[Job]], Link[Job]],
        polls: Sequence[Poll],
        clock: Clock,
        *,
        in_flight: int = 1,
        ahead: int = 0,
        backoff: Backoff = BACKOFF,
        outputs: Sequence[Output] = (),
        load: float | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._polls = list(polls)
        self._clock = clock
        self._room = in_flight + ahead
        self._ahead = ahead
        self._outputs = {output.id: output for output in outputs}
        self._overload = Overload(endpoint, load)
        self._units = {poll.unit.address: poll.unit for poll in polls}
        self._link = make_link(self._done)
        self._link.on_lost = self._lost
        self._schedule: list[tuple[float, int]] = []
        self._overdue: list[int] = []
        self._waiting = Waiting()
        self._outcomes = Outcomes(endpoint, self._waiting, clock, backoff)
        self._flying: list[Job] = []
        self._questions: dict[Job, asyncio.Future[Answer]] = {}
        self._waiter: asyncio.Future[None] | None = None
        self._woken = False
        self._gone = False
        self._connected = False

    # --- what the supervisor calls ---------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Open the endpoint; every instrument is due at once, also those that were left alone.

        Raises:
            NotConnectedError: It cannot be reached.
        """
        await self.close()
        await self._link.open()
        now_s = self._clock.monotonic_s()
        self._schedule = [(now_s, i) for i in range(len(self._polls))]
        self._overdue = []
        for unit in self._units.values():
            unit.begin()
        for poll in self._polls:
            poll.due_s, poll.open = now_s, 0
        self._gone = False
        self._connected = True

    async def read(self) -> Batch:
        """Wait for the next readings.

        A poll that is due while its predecessor is still under way is left out. Times are those of arrival; of a
        silence, when it was noticed.

        Raises:
            NotConnectedError: The endpoint is gone, or never was connected.
        """
        while True:
            if not self._connected:
                raise NotConnectedError(self.endpoint, "not connected")
            wake_s = self._pump()
            if finished := self._outcomes.finished:
                self._outcomes.finished = []
                return finished[0] if len(finished) == 1 else Batch.concat(finished)
            if (self._waiting or self._gone) and not self._link.is_open:
                await self._reopen()
            else:
                await self._rest(wake_s)

    async def close(self) -> None:
        """Let go of the endpoint and of everything unfinished."""
        self._connected = False
        await self._link.close()
        self._waiting.clear()
        self._flying.clear()
        self._outcomes.finished.clear()
        for future in self._questions.values():
            if not future.done():
                future.set_result(Miss(Fault.DROPPED, "connection closed"))
        self._questions.clear()
        self._wake()

    # --- what people and outputs ask for ---------------------------------------------------------------------------

    async def ask(self, request: Request, timeout_s: float | None = None) -> Answer:
        """Ask one question between the polls; it delays what alarms depend on by no more than itself.

        May be called while another task is in `read`. A question to an instrument that is left alone is asked all the
        same.

        Args:
            request: One that only reads.
            timeout_s: Seconds to wait for the reply; the connection's where None.

        Returns:
            The reply's data, the instrument's exception, or why there is no answer.

        Raises:
            NotConnectedError: The endpoint is gone.
            ValueError: The request writes.
        """
        if request.writes:
            raise ValueError(f"function {request.function} writes; only outputs that the site names are written")
        return await self._question(request, REST, timeout_s)

    async def switch(self, output: str, *, on: bool) -> None:
        """Switch an output and read it back; returns when the instrument shows it as asked.

        Goes before everything else that waits.

        Raises:
            OutputError: It could not be switched, or does not show what it was switched to.
        """
        found = self._outputs.get(output)
        if found is None:
            raise OutputError(output, f"{self.endpoint} has no such output")
        try:
            written = await self._question(found.write(on=on), SWITCHING, None)
            if not isinstance(written, bytes):
                raise OutputError(output, f"not switched {_state(on)}: {_why(written)}")
            seen = await self._question(found.look(), SWITCHING, None)
        except NotConnectedError as error:
            raise OutputError(output, f"not connected: {error}") from error
        if not isinstance(seen, bytes):
            raise OutputError(output, f"not read back: {_why(seen)}")
        if found.shows(seen) is not on:
            raise OutputError(output, f"switched {_state(on)}, and shows {_state(found.shows(seen))}")

    def latency_s(self, row: int) -> float | None:
        """Return seconds from request to reply of a channel's last reading; None before the first."""
        for poll in self._polls:
            if row in poll.rows:
                for root in poll.roots:
                    for leaf in (*root.leaves, root.whole):
                        if row in leaf.decoder.rows and leaf.took_s is not None:
                            return leaf.took_s
        return None

    def why(self, row: int) -> str:
        """Return what contradicts the site file of a channel, or why its instrument does not answer."""
        polls = [poll for poll in self._polls if row in poll.rows]
        silent = (poll.unit.reason for poll in polls if poll.unit.failures)
        return next(silent, "") or next((poll.state.said[row] for poll in polls if row in poll.state.said), "")

    async def _question(self, request: Request, rank: int, timeout_s: float | None) -> Answer:
        if not self._connected:
            raise NotConnectedError(self.endpoint, "not connected")
        if len(self._questions) >= QUESTIONS_MAX:
            return Miss(Fault.DROPPED, f"{QUESTIONS_MAX} questions are waiting")
        unit = self._units.get(request.unit)
        if unit is None:
            unit = self._units[request.unit] = Unit(request.unit, f"unit {request.unit}")
        now_s = self._clock.monotonic_s()
        job = Job(unit, request, rank, now_s, now_s + QUESTION_PATIENCE_S, timeout_s=timeout_s)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._questions[job] = future
        self._waiting.add(job)
        self._wake()
        try:
            async with asyncio.timeout(QUESTION_LIMIT_S):
                return await future
        except TimeoutError:
            return Miss(Fault.DROPPED, f"not asked within {QUESTION_LIMIT_S:g} s")
        finally:
            self._questions.pop(job, None)
            self._waiting.remove(job)

    # --- sending ---------------------------------------------------------------------------------------------------

    async def _reopen(self) -> None:
        """Open a link that was given up after a time-out, or closed by the peer between two polls."""
        self._gone = False
        try:
            await self._link.open()
        except NotConnectedError:
            await self.close()  # whoever has a question is told now, and not when his time is up
            raise
        if not self._link.is_open:
            await self.close()
            raise NotConnectedError(self.endpoint, "closed by the peer at once")

    async def _rest(self, wake_s: float) -> None:
        """Wait until a request has an outcome, somebody has a question, or the time has come."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        sleeper = None
        if wake_s < math.inf:
            sleeper = loop.create_task(self._clock.sleep(wake_s - self._clock.monotonic_s()))
            sleeper.add_done_callback(self._slept)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if sleeper is not None:
                sleeper.cancel()

    def _slept(self, sleeper: asyncio.Task[None]) -> None:
        # One that was cancelled belongs to a rest that is over; waking the next by it would go on for ever.
        if not sleeper.cancelled():
            self._wake()

    def _wake(self) -> None:
        """Have the work looked at: by whoever is in `read`, else from the event loop."""
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
        elif not self._woken and self._connected:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._pump_unread)

    def _pump_unread(self) -> None:
        self._woken = False
        if self._connected and len(self._outcomes.finished) < UNREAD_MAX:
            self._pump()

    def _lost(self) -> None:
        """Take from the link that it is lost while it had nothing to do."""
        self._gone = True
        self._wake()

    def _pump(self) -> float:
        """Queue what is due and send what may be sent; return when to look again, infinity after an outcome only."""
        now_s = self._clock.monotonic_s()
        if self._overdue:
            self._resume_overdue(now_s)
        if self._schedule and self._schedule[0][0] <= now_s:
            self._begin_due(now_s)
        if self._waiting and self._link.is_open:
            self._send(now_s)
        if len(self._flying) >= self._room:
            return math.inf
        due_s = self._schedule[0][0] if self._schedule else math.inf
        return min(due_s, self._waiting.free_s(now_s)) if self._waiting else due_s

    def _send(self, now_s: float) -> None:
        if self._ahead and len(self._flying) == self._room:
            self._make_room(now_s)
        jobs: list[Job] = []
        while len(self._flying) < self._room and (job := self._waiting.take(now_s)) is not None:
            job.unit.flying += 1
            self._flying.append(job)
            jobs.append(job)
        if jobs:
            self._link.send(*jobs)

    def _make_room(self, now_s: float) -> None:
        """Take back what has not begun where something more urgent has come up meanwhile."""
        rank = self._waiting.rank(now_s)
        if rank is None or rank >= self._flying[-1].rank:
            return
        job = self._link.recall()
        if job is not None:
            self._flying.remove(job)
            job.unit.flying -= 1
            self._waiting.add(job, front=True)

    def _begin_due(self, now_s: float) -> None:
        schedule = self._schedule
        while schedule and schedule[0][0] <= now_s:
            index = schedule[0][1]
            poll = self._polls[index]
            if poll.open:
                # Left out; it is due again on its grid when this one has ended, and until then nobody looks at it.
                if not poll.unit.failures:
                    self._overload.missed(poll, now_s)
                heapq.heappop(schedule)
                self._overdue.append(index)
                continue
            if self._overload.lasts:
                self._overload.kept(poll, now_s)
            self._begin(poll, now_s)
            poll.due_s = poll.next_due_s(now_s)
            heapq.heapreplace(schedule, (poll.due_s, index))

    def _resume_overdue(self, now_s: float) -> None:
        overdue, self._overdue = self._overdue, []
        for index in overdue:
            poll = self._polls[index]
            if poll.open:
                self._overdue.append(index)
            else:
                poll.due_s = poll.next_due_s(now_s)
                heapq.heappush(self._schedule, (poll.due_s, index))

    def _begin(self, poll: Poll, now_s: float) -> None:
        """Queue a poll's requests or, while its unit is left alone, say that it is silent."""
        if now_s < poll.unit.retry_s:
            self._outcomes.say(poll.rows, Quality.COMMS_LOST)
            return
        poll.failed = False
        poll.splits = 0
        poll.begun_s = poll.due_s
        for root in poll.roots:
            leaves = root.due(now_s)
            self._waiting.add_leaves(poll, leaves)
            if root.broken and not (leaves and leaves[0] is root.whole):
                for leaf in root.refused_leaves():
                    self._outcomes.say_refused(leaf, now_s)
        poll.first = False

    # --- outcomes --------------------------------------------------------------------------------------------------

    def _done(self, job: Job, answer: Answer) -> None:
        """Take an outcome from the link."""
        if not self._connected:
            return
        self._flying.remove(job)
        unit = job.unit
        unit.flying -= 1
        if unit.turnaround_s:
            unit.free_s = self._clock.monotonic_s() + unit.turnaround_s
        if job.poll is None or job.leaf is None:
            self._answer_question(job, answer)
        else:
            silent = unit.failures > 1
            self._outcomes.take(job, job.poll, job.leaf, answer, self._link.took_s)
            if silent and not unit.failures:
                self._ask_words(unit)
        self._wake()

    def _ask_words(self, unit: Unit) -> None:
        """Have a unit that is back asked at once for the words that it said before its silence."""
        now_s = self._clock.monotonic_s()
        for poll in unit.polls:
            if poll.first and poll.leads:
                poll.due_s = now_s
        self._schedule = [(self._polls[index].due_s, index) for _, index in self._schedule]
        heapq.heapify(self._schedule)

    def _answer_question(self, job: Job, answer: Answer) -> None:
        future = self._questions.get(job)
        if future is None or future.done():
            return
        if isinstance(answer, Miss) and answer.fault is not Fault.SILENT and not job.again:
            # Not its own fault, or closed before it could answer: once more, over a new connection.
            job.again = True
            self._waiting.add(job, front=True)
            return
        if not isinstance(answer, Miss):
            job.unit.retry_s = 0.0  # it lives: no reason to leave its polls alone any longer
        future.set_result(answer)


def _state(on: bool | None) -> str:  # noqa: FBT001 - it is the thing that is put into words
    return "neither on nor off" if on is None else "on" if on else "off"


def _why(answer: Refused | Miss) -> str:
    return f"refused with exception {answer.code:#04x}" if isinstance(answer, Refused) else answer.reason
