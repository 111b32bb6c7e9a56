"""Where readings wait for the pipeline: a bounded list and one scheduled call, not a queue of readings."""

import asyncio
from collections.abc import Callable

from gateway.core.model import Batch


class Inbox:
    """Collects batches and hands on, in one call, whatever has arrived when the loop comes round.

    A quiet site so has the least delay and a busy one the most throughput, with no timer and no batch size to set.
    Nothing is ever dropped: when full, the inbox is emptied in the caller's turn, which slows the callers down.

    Args:
        process: Takes a batch; called in the event loop.
        readings_max: When this many wait, they are processed at once.
        slice_max: Readings handed on in one call; more are left for the loop's next turn, so that it stays prompt.
    """

    def __init__(self, process: Callable[[Batch], None], readings_max: int = 100_000, slice_max: int = 5_000) -> None:
        self._process = process
        self._readings_max = readings_max
        self._slice_max = slice_max
        self._waiting: list[Batch] = []
        self._readings = 0
        self._scheduled = False

    def __len__(self) -> int:
        return self._readings

    def put(self, batch: Batch) -> None:
        """Take a batch; call it in the event loop."""
        if not len(batch):
            return
        self._waiting.append(batch)
        self._readings += len(batch)
        if self._readings >= self._readings_max:
            self.drain()
        elif not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def drain(self) -> None:
        """Hand on everything now."""
        while self._waiting:
            self._hand_on()

    def _turn(self) -> None:
        self._scheduled = False
        if self._waiting:
            self._hand_on()
        if self._waiting and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _hand_on(self) -> None:
        count = readings = 0
        for batch in self._waiting:
            if count and readings + len(batch) > self._slice_max:
                break
            count += 1
            readings += len(batch)
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self._readings -= readings
        self._process(Batch.concat(taken))
