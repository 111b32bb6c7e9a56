"""A whole gateway in this process, from its start to its orderly end, and waiting for what it does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from gateway.app import App
from gateway.core.clock import SystemClock
from gateway.site.load import load_site


@asynccontextmanager
async def life(site: Path) -> AsyncIterator[App]:
    """Run the gateway of a site file with its data beside it; what changes in the file can be taken over."""
    app = App(load_site(site), site.parent / "data", SystemClock(), source=partial(load_site, site))
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(stop))
    try:
        await app.started.wait()
        yield app
    finally:
        stop.set()
        await running


async def until(true: Callable[[], bool], within_s: float = 8.0) -> None:
    """Wait until something is so; TimeoutError where it does not come."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.01)
