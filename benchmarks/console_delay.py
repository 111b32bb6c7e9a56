"""How long it takes until a person sees it: an alarm, another person's acknowledgement, a gateway that stands still.

The way of an alarm is split: from the arrival of the reading (the event's own time) to the server-sent event outside
the gateway (judging, commit to disk, hub, network), on to the page (browser, its worker), on to the frame (state,
list, drawing).
"""

import asyncio
import datetime as dt
import os
import random
import signal
import time
from typing import TYPE_CHECKING, Any

from benchmarks.console_page import HIGH, Console, console, load, middle, stream, until
from benchmarks.measure import Figure, table

if TYPE_CHECKING:
    from playwright.async_api import Page

UNITS = 40
FROZEN_S, BACK_S = 12.0, 5.0


def main(short: bool = False) -> list[Figure]:
    alarms, orders, freezes = (5, 3, 1) if short else (100, 40, 3)
    return asyncio.run(_run(alarms, orders, freezes))


async def _run(alarms: int, orders: int, freezes: int) -> list[Figure]:
    async with console(UNITS) as stage:
        page, other = await stage.open(), await stage.open()
        for each in (page, other):
            await until(each, "document.querySelector('.now-calm') !== null")
        ways = await _alarms(stage, page, alarms)
        ways["Enter on an acknowledgement to the other's frame"] = await _orders(page, other, orders)
        lost, back = await _freezes(stage, page, freezes)
    table(
        f"{stage.channels:,} channels at 1 Hz, two browsers, {load()}",
        ("way", "n", "median ms", "p95 ms", "greatest ms"),
        ((way, len(ms), *(f"{x:,.1f}" for x in (*middle(ms), max(ms)))) for way, ms in ways.items()),
    )
    seen, other_seen = middle(ways["reading arrived to frame"]), middle(list(ways.values())[-1])
    return [
        Figure("reading arrived to frame in the browser, median", "< 50 ms", f"{seen[0]:.0f} ms", seen[0] < 50),
        Figure("the same, p95", "< 150 ms", f"{seen[1]:.0f} ms", seen[1] < 150),
        Figure("acknowledged, to the other's frame, p95", "< 150 ms", f"{other_seen[1]:.0f} ms", other_seen[1] < 150),
        Figure("gateway stopped (SIGSTOP) to `Disconnected`", "≤ 12 s", _list(lost), max(lost) <= FROZEN_S),
        Figure("going on (SIGCONT) to live", "≤ 5 s", _list(back), max(back) <= BACK_S),
    ]


def _list(seconds: list[float]) -> str:
    return ", ".join(f"{each:.1f}" for each in seconds) + " s"


async def _alarms(stage: Console, page: "Page", count: int) -> dict[str, list[float]]:
    arrived: dict[str, float] = {}
    reader = asyncio.create_task(_read(stage.port, arrived))
    await asyncio.sleep(3)
    dice = random.Random(1)
    changed = []
    for place in dice.sample(range(stage.channels), count):
        changed.append(stage.put(place, HIGH))
        await asyncio.sleep(dice.uniform(0.1, 0.4))
    await asyncio.sleep(4)
    found: dict[str, Any] = await page.evaluate("() => window.bench")
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    ways: dict[str, list[float]] = {name: [] for name in ("to the stream", "on to the page", "on to the frame", "all")}
    for channel in changed:
        alarm = f"limit:{channel}"
        at_page, time_text = found["messages"][alarm]
        began = dt.datetime.fromisoformat(time_text).timestamp() * 1000
        frame = found["frames"][channel]
        for way, ms in zip(
            ways, (arrived[alarm] - began, at_page - arrived[alarm], frame - at_page, frame - began), strict=True
        ):
            ways[way].append(ms)
    ways["reading arrived to frame"] = ways.pop("all")
    return ways


async def _read(port: int, arrived: dict[str, float]) -> None:
    async for kind, content in stream(port):
        if kind == "alarm":
            arrived.setdefault(content["alarm"], time.time() * 1000)


async def _orders(page: "Page", other: "Page", count: int) -> list[float]:
    delays = []
    for _ in range(count):
        await page.keyboard.press("a")
        await page.wait_for_selector("dialog")
        await asyncio.sleep(0.3)
        before = len(await other.evaluate("() => window.bench.counts"))
        await page.keyboard.press("Enter")
        await page.wait_for_selector("dialog", state="detached")
        await until(other, f"window.bench.counts.length > {before}")
        pressed = next(at for at, key in reversed(await page.evaluate("() => window.bench.keys")) if key == "Enter")
        delays.append((await other.evaluate("() => window.bench.counts"))[before][0] - pressed)
        await asyncio.sleep(random.Random(len(delays)).uniform(0, 0.5))
    return delays


async def _freezes(stage: Console, page: "Page", count: int) -> tuple[list[float], list[float]]:
    lost, back = [], []
    for _ in range(count):
        began_s = time.monotonic()
        os.kill(stage.gateway.pid, signal.SIGSTOP)
        try:
            await until(page, "document.querySelector('.shell-lost')?.textContent.includes('Disconnected')")
        finally:
            lost.append(time.monotonic() - began_s)
            os.kill(stage.gateway.pid, signal.SIGCONT)
        began_s = time.monotonic()
        await until(page, "document.querySelector('.shell-lost') === null")
        back.append(time.monotonic() - began_s)
        await asyncio.sleep(3)
    return lost, back
