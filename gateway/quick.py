"""Time that passes as fast as the machine can: an event loop in which waiting costs nothing, and its clock.

What runs on site runs here unchanged, through hours in seconds: for a demonstration that needs a past, and for tests.
"""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from gateway.core.clock import NS_PER_S


class QuickSelector(selectors.SelectSelector):
    """Looks at sockets and never waits: where the loop would, time goes on instead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; without anything, let the time pass until the loop's next call is due."""
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing will ever happen any more: everybody waits for somebody")
        if not ready and timeout:
            self.now_s += timeout
        return ready


class QuickLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is its own; what belongs into a thread is done at once: nothing depends on chance."""

    def __init__(self) -> None:
        self._quick = QuickSelector()
        super().__init__(self._quick)

    def time(self) -> float:
        """Return the loop's seconds since it began."""
        return self._quick.now_s

    def run_in_executor(  # type: ignore[override]  # asyncio's own tells the arguments' types by type variables
        self,
        executor: Executor | None,  # noqa: ARG002 - asyncio's signature
        func: Callable[..., Any],
        *args: Any,
    ) -> asyncio.Future[Any]:
        """Do it now."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - handed to whoever waits, as a thread does
            done.set_exception(error)
        return done


class QuickClock:
    """The time of a `QuickLoop`.

    Args:
        loop: The loop.
        begin_ns: What the clock on the wall says when the loop begins.
    """

    def __init__(self, loop: QuickLoop, begin_ns: int) -> None:
        self._loop = loop
        self._begin_ns = begin_ns

    def now_ns(self) -> int:
        """Return the time on the wall, UTC nanoseconds."""
        return self._begin_ns + round(self._loop.time() * NS_PER_S)

    def monotonic_s(self) -> float:
        """Return the loop's seconds."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait, in the loop's time."""
        await asyncio.sleep(max(0.0, seconds))  # noqa: TID251 - this is a clock
