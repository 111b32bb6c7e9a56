"""What a running gateway looks after by the clock: shelvings and permits that end, set clocks, files, checkpoints."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from gateway.alarms.permits import Permits
from gateway.checkpoint import save_checkpoint
from gateway.core.alarm import AlarmEvent
from gateway.core.clock import NS_PER_S, Clock, rfc3339
from gateway.disk import Disk
from gateway.flow.pipeline import Pipeline

log = structlog.get_logger()

CHECKPOINT_S = 300.0
CLOCK_STEP_S = 2.0


class Upkeep:
    """Does what is due.

    Args:
        disk: The files.
        clock: Time.
        pipeline: Returns the pipeline that judges now.
        tell: Hands on events.
        in_spool_thread: Runs what blocks.
        permits: Watches what is out of service.
    """

    def __init__(
        self,
        disk: Disk,
        clock: Clock,
        *,
        pipeline: Callable[[], Pipeline],
        tell: Callable[[Sequence[AlarmEvent]], None],
        in_spool_thread: Callable[[Callable[[], None]], Awaitable[None]],
        permits: Permits,
    ) -> None:
        self._disk = disk
        self._clock = clock
        self._pipeline = pipeline
        self._tell = tell
        self._in_spool_thread = in_spool_thread
        self.permits = permits
        self._told: set[str] = set()

    async def watch_time(self) -> None:
        """End shelvings, tell of permits, and when the machine's clock was set; for ever."""
        offset_ns = self._clock.now_ns() - round(self._clock.monotonic_s() * NS_PER_S)
        while True:
            await self._clock.sleep(1.0)
            now_ns = self._clock.now_ns()
            self._tell([*self._pipeline().advance(now_ns), *self.permits.look(self._pipeline().book, now_ns)])
            self.tell_damage()
            moved_s = (now_ns - round(self._clock.monotonic_s() * NS_PER_S) - offset_ns) / NS_PER_S
            if abs(moved_s) >= CLOCK_STEP_S:
                offset_ns += round(moved_s * NS_PER_S)
                log.warning("clock was set", by_s=round(moved_s, 3))
                self._note(f"the clock was set by {moved_s:+.3f} s to {rfc3339(now_ns)}")

    def tell_damage(self) -> None:
        """Put into the journal what the stores have found damaged or given up since the last look."""
        for problem in self._disk.problems():
            if problem not in self._told:
                self._told.add(problem)
                log.error("disk", problem=problem)
                self._note(problem)

    def _note(self, why: str) -> None:
        self._tell(self._pipeline().book.note(why, self._clock.now_ns()))

    async def save_checkpoints(self) -> None:
        """Save the detectors' states now and then; for ever."""
        while True:
            await self._clock.sleep(CHECKPOINT_S)
            await self.save_checkpoint()

    async def save_checkpoint(self) -> None:
        """Save the detectors' states."""
        await self._in_spool_thread(self.checkpoint())

    def checkpoint(self) -> Callable[[], None]:
        """Take the detectors' states with the numbers of the next reading and event, to be written in a thread."""
        pipeline, spool = self._pipeline(), self._disk.spool
        return partial(
            save_checkpoint, self._disk.checkpoint, pipeline.save(), spool.next_number, pipeline.book.next_seq
        )
