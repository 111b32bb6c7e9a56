"""What an answer means, and a silence: readings, back-off, and the search for a register that is refused."""

import numpy as np
import structlog

from drivers.modbus.frames import BUSY, NO_SUCH, UNIT_ABSENT
from drivers.modbus.link import Answer, Fault, Miss
from drivers.modbus.polls import Backoff, Job, Leaf, Poll, Root, Unit
from drivers.modbus.schedule import Waiting
from gateway.core.clock import Clock
from gateway.core.model import Batch, Int32, Quality

log = structlog.get_logger()

SPLITS_MAX = 16
"""Cuts of refused blocks in one poll; the search goes on at the next, so that an instrument that refuses everything
cannot keep the line busy."""


class Outcomes:
    """Turns the outcomes of polls into readings.

    Args:
        endpoint: For messages.
        waiting: Where further requests are queued, and withdrawn where an instrument is silent.
        clock: Time.
        backoff: How long an instrument that does not answer is left alone.

    Attributes:
        finished: Readings that nobody has taken yet, never empty batches.
    """

    def __init__(self, endpoint: str, waiting: Waiting, clock: Clock, backoff: Backoff) -> None:
        self.finished: list[Batch] = []
        self._endpoint = endpoint
        self._waiting = waiting
        self._clock = clock
        self._backoff = backoff

    def take(self, job: Job, poll: Poll, leaf: Leaf, answer: Answer, took_s: float) -> None:
        """Take the outcome of one request of a poll.

        Args:
            job: The request.
            poll: Its poll.
            leaf: What it asked for.
            answer: The outcome.
            took_s: Seconds from request to reply.
        """
        poll.open -= 1
        if isinstance(answer, Miss):
            self._missed(job, poll, answer)
            return
        leaf.took_s = took_s
        if isinstance(answer, bytes):
            self._read(poll, leaf, answer)
        else:
            self._refused(job, poll, leaf, answer.code)

    def _read(self, poll: Poll, leaf: Leaf, data: bytes) -> None:
        leaf.answered = True
        batch = leaf.decoder.decode(data, self._clock.now_ns(), self._clock.monotonic_s())
        if len(batch):
            self.finished.append(batch)
        if poll.unit.failures:
            self._answered(poll.unit)
        root = leaf.root
        if leaf is root.whole and root.broken:
            log.info("register block is readable again", instrument=poll.instrument, block=repr(leaf.request))
            root.mend()
        for complaint in poll.state.complaints():
            log.warning("an instrument contradicts the site file", instrument=poll.instrument, problem=complaint)

    def _answered(self, unit: Unit) -> None:
        if unit.failures > 1:
            log.info("instrument answers again", instrument=unit.name, endpoint=self._endpoint)
        unit.failures = 0

    def _missed(self, job: Job, poll: Poll, miss: Miss) -> None:
        if miss.fault is Fault.DROPPED and not poll.failed:
            self._ask_again(job, poll)
        elif miss.fault is Fault.CLOSED and not job.again:
            # Closed before it could answer, as after a long idle time; once is nobody's fault.
            job.again = True
            self._ask_again(job, poll)
        else:
            self._silent(job, poll, miss.reason)

    def _ask_again(self, job: Job, poll: Poll) -> None:
        poll.open += 1
        self._waiting.add(job, front=True)

    def _silent(self, job: Job, poll: Poll, reason: str) -> None:
        """Make the missing readings BAD, and do not ask the unit for anything else that was due."""
        unit = poll.unit
        first = not poll.failed
        waiting = self._waiting.withdraw(unit)
        rows = [other.leaf.decoder.rows for other in (job, *waiting) if other.leaf is not None]
        self.say(np.concatenate(rows), Quality.COMMS_LOST)
        for other in waiting:
            assert other.poll is not None
            other.poll.open -= 1
        # Also those whose requests are on the way: what is dropped with this one is not asked again.
        for other_poll in unit.polls:
            other_poll.failed = True
        if not first:
            return
        unit.reason = reason
        unit.fail(self._clock.monotonic_s(), self._backoff)
        if unit.failures == 2:
            unit.doubt()
            log.warning("instrument does not answer", instrument=unit.name, endpoint=self._endpoint, reason=reason)

    def _refused(self, job: Job, poll: Poll, leaf: Leaf, code: int) -> None:
        """Find the register that the instrument does not have; the others go on being read."""
        unit = poll.unit
        if code in UNIT_ABSENT:
            reason = f"the gateway answers exception {code:#04x}: it cannot reach unit {unit.address}"
            self._silent(job, poll, reason)
            return
        if unit.failures:
            self._answered(unit)
        root = leaf.root
        root.fails = code not in NO_SUCH
        if leaf is root.whole and root.broken:
            self._still_refused(poll, root)
        elif code in BUSY or poll.splits >= SPLITS_MAX:
            self.say_refused(leaf, self._clock.monotonic_s())
        else:
            self._cut(poll, leaf, code)

    def _still_refused(self, poll: Poll, root: Root) -> None:
        """Ask the parts of a block that is still refused as a whole, each once, the refused ones too."""
        if not root.thorough:
            for leaf in root.refused_leaves():
                self.say_refused(leaf, self._clock.monotonic_s())
            return
        parts = root.parts()
        if not parts:
            root.whole.refused = True
            self.say_refused(root.whole, self._clock.monotonic_s())
        self._waiting.add_leaves(poll, parts, front=True)

    def _cut(self, poll: Poll, leaf: Leaf, code: int) -> None:
        poll.splits += 1
        now_s = self._clock.monotonic_s()
        parts = leaf.root.cut(leaf, now_s)
        if not parts:
            new = [name for name in leaf.block.names if name not in leaf.root.told]
            if new:
                leaf.root.told.update(new)
                log.warning("register refused", instrument=poll.instrument, channels=new, code=code)
            self.say_refused(leaf, now_s)
        self._waiting.add_leaves(poll, parts, front=True)

    def say_refused(self, leaf: Leaf, now_s: float) -> None:
        """Make the readings of what is refused BAD, and tell its instrument's state."""
        leaf.decoder.refused(now_s)
        self.say(leaf.decoder.rows, Quality.REFUSED)

    def say(self, rows: Int32, reason: Quality) -> None:
        """Make readings BAD."""
        if len(rows):
            self.finished.append(Batch.bad(rows, self._clock.now_ns(), reason))
