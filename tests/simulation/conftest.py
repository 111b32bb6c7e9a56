"""A virtual clock for the whole gateway: an event loop in which waiting costs nothing."""

import asyncio
import selectors
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from gateway.core.errors import StorageError

sys.path.insert(0, str(Path(__file__).parent / "peers"))

EPOCH_NS = 1_750_000_000_000_000_000


class VirtualSelector(selectors.SelectSelector):
    """Looks at sockets and never waits: where the loop would, time goes on instead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("nothing will ever happen any more: everybody waits for somebody")
        if not ready and timeout:
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """The same seed gives the same run: time is virtual, and what belongs into a thread is done at once.

    Attributes:
        dead: The power is gone: what belongs into a thread is not done any more, so nothing more reaches the disk.
    """

    def __init__(self) -> None:
        self._virtual = VirtualSelector()
        self.dead = False
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        done = self.create_future()
        if self.dead:
            done.set_exception(StorageError("the power is gone"))
            return done
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - handed to whoever waits, as a thread does
            done.set_exception(error)
        return done


class VirtualClock:
    """The loop's time; the wall clock can be set."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._set_by_ns = 0

    def now_ns(self) -> int:
        return EPOCH_NS + round(self._loop.time() * 1e9) + self._set_by_ns

    def monotonic_s(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def step(self, seconds: float) -> None:
        self._set_by_ns += round(seconds * 1e9)


@contextmanager
def virtual_time() -> Iterator[tuple[VirtualLoop, VirtualClock]]:
    """A loop with its clock; what still runs at the end is cancelled."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        yield loop, VirtualClock(loop)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(1000))
        asyncio.set_event_loop(None)
        loop.close()


@pytest.fixture
def virtual() -> Iterator[tuple[VirtualLoop, VirtualClock]]:
    with virtual_time() as both:
        yield both


@pytest.fixture
def another_virtual() -> Iterator[tuple[VirtualLoop, VirtualClock]]:
    with virtual_time() as both:
        yield both


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder that costs no disk; what a disk does to the data is tested elsewhere."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if shared.is_dir() else None, prefix="hazgate-") as folder:
        yield Path(folder)
