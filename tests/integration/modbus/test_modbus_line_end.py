"""A serial line's thread lets go of everything, also where nobody waits for it any more."""

import asyncio
import gc
import os
import threading
import warnings

from drivers.modbus.line import Timing
from drivers.modbus.rtu import SerialLink


async def test_a_line_whose_closing_is_cancelled_leaves_nothing_open() -> None:
    lead, follower = os.openpty()
    try:
        link: SerialLink = SerialLink(  # type: ignore[type-arg]
            "line",
            lambda: os.dup(follower),
            Timing(character_s=0.001, silence_s=0.004, timeout_s=0.2, quiet_s=0.2),
            lambda *_: None,
        )
        os.set_blocking(follower, False)
        await link.open()
        closing = asyncio.create_task(link.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        while any(thread.name == "modbus-line" for thread in threading.enumerate()):
            await asyncio.sleep(0.01)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            del link, closing
            gc.collect()
        assert not [w for w in told if issubclass(w.category, ResourceWarning)]
    finally:
        os.close(lead)
        os.close(follower)
