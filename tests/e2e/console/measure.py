"""Figures of the console: `python -m tests.e2e.console.measure [delay|flood|load|soak]`. It asserts nothing."""

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gateway.api import hub
from gateway.core.alarm import AlarmEvent
from tests.e2e.console.stage import Stage, chromium_or_skip, plant, staged
from tests.integration.memory_gateway import MemoryGateway

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

# Notes when the name of an alarm is first in a frame: after the change, at the start of the frame that follows it.
WATCH = """() => { window.seen = {}; window.acked = {};
  new MutationObserver(() => requestAnimationFrame(() => setTimeout(() => {
  const at = performance.timeOrigin + performance.now();
  for (const one of document.querySelectorAll(".now-what, .now-two small")) window.seen[one.textContent] ??= at;
  window.acked[document.querySelectorAll(".shell-count b")[2].textContent] ??= at; })))
  .observe(document.body, { subtree: true, childList: true, characterData: true }); }"""
PRESSES = """() => { window.delays = []; new PerformanceObserver((list) => { for (const one of list.getEntries())
  window.delays.push([one.name, one.processingStart - one.startTime, one.duration]); })
  .observe({ type: "event", durationThreshold: 16, buffered: true });
  window.long = [];
  new PerformanceObserver((list) => { for (const one of list.getEntries()) window.long.push(one.duration); })
  .observe({ type: "longtask" }); }"""


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def told(name: str, values: Sequence[float], unit: str) -> None:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    middle = statistics.median(ordered)
    say(f"{name}: median {middle:.1f}, p95 {p95:.1f}, most {ordered[-1]:.1f} {unit}, n={len(ordered)}")


async def noted(page: "Page", where: str, name: str) -> float:
    """Return when a page noted something, in ms; asks seldom, so that asking does not delay it."""
    for _ in range(25):
        await asyncio.sleep(0.4)
        found: dict[str, float] = await page.evaluate(f"() => window.{where}")
        if name in found:
            return found[name]
    raise AssertionError(f"{name} was never shown")


async def delay(stage: Stage) -> None:
    """From the moment an alarm is raised, and from one person's order, to the frame in (another's) browser."""
    page, other = await stage.open(), await stage.open()
    await page.wait_for_selector(".now-calm")
    for each in (page, other):
        await each.evaluate(WATCH)
    raised = []
    for n in range(60):
        await asyncio.sleep(0.1 + 0.13 * (n % 5))
        began_s = time.time()
        stage.gateway.system(f"system/uplink/m{n}", "no answer")
        raised.append(await noted(page, "seen", f"Uplink m{n}") - 1000 * began_s)
    told("alarm raised to frame", raised, "ms")
    ordered = []
    # Each number was there before, on the way up.
    await other.evaluate("() => { window.acked = {}; }")
    for _ in range(30):
        await page.keyboard.press("a")
        await page.wait_for_selector("dialog")
        left = int(await page.locator(".shell-count b").nth(2).inner_text()) - 1
        began_s = time.time()
        await page.keyboard.press("Enter")
        ordered.append(await noted(other, "acked", str(left)) - 1000 * began_s)
    told("acknowledged in one browser to the other's frame", ordered, "ms")


async def flood(stage: Stage) -> None:
    """10,000 alarms in a minute, with a key pressed and a row clicked each second."""
    page = await stage.open()
    await page.wait_for_selector(".now-calm")
    await page.evaluate(PRESSES)
    began_s = time.monotonic()

    async def press() -> None:
        while time.monotonic() - began_s < 60:
            await page.keyboard.press("j")
            await page.mouse.click(300, 400)
            await asyncio.sleep(0.7)

    pressing = asyncio.create_task(press())
    for n in range(10_000):
        stage.gateway.system(f"system/uplink/m{n}", "the power of the whole site has failed")
        if n % 10 == 9:
            await asyncio.sleep(max(0.0, began_s + (n + 1) * 0.006 - time.monotonic()))
    await pressing
    delays: list[list[Any]] = await page.evaluate("() => window.delays")
    long: list[float] = await page.evaluate("() => window.long")
    say(f"journalled {len(stage.gateway.journal)}, shown {await page.locator('.chip-filter').first.inner_text()}")
    say(f"strip: {(await page.locator('.shell-flood-title').inner_text())!r}")
    told("input delay", [one[1] for one in delays] or [0.0], "ms (of those that took 16 ms or more)")
    told("input to frame", [one[2] for one in delays] or [0.0], "ms")
    told("long tasks", long or [0.0], "ms")


async def load(stage: Stage) -> None:
    """Main thread at one frame a second with all values moving."""
    page = await stage.open()
    await page.wait_for_selector(".now-calm")
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    generator = np.random.default_rng(1)
    stop = asyncio.Event()

    async def move() -> None:
        while not stop.is_set():
            stage.gateway.value[:] = generator.normal(5.0, 1.0, len(stage.gateway.value))
            await asyncio.sleep(0.5)

    moving = asyncio.create_task(move())
    for name in ("now", "channels"):
        await page.goto(f"{stage.url}#/{name}")
        await asyncio.sleep(4)
        before = await metrics(session)
        await asyncio.sleep(20)
        after = await metrics(session)
        busy = 100 * (after["TaskDuration"] - before["TaskDuration"]) / (after["Timestamp"] - before["Timestamp"])
        heap = after["JSHeapUsedSize"] / 1e6
        say(f"{name}, {len(stage.gateway.channels)} channels: main thread {busy:.1f} %, heap {heap:.1f} MB")
    stop.set()
    await moving


async def soak(stage: Stage) -> None:
    """Heap after 3,600 frames, twenty a second, with alarms that come and go."""
    page = await stage.open()
    await page.wait_for_selector(".now-calm")
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    sizes = []
    for turn in range(5):
        for n in range(90):
            stage.gateway.system(f"system/uplink/m{n % 7}", "no answer" if n % 2 else "")
            stage.gateway.value[:] = n + turn
            await asyncio.sleep(0.4)
        await session.send("HeapProfiler.collectGarbage")
        sizes.append((await metrics(session))["JSHeapUsedSize"] / 1e6)
        say(f"heap after {720 * (turn + 1)} frames: {sizes[-1]:.2f} MB")
    say(f"growth after the first fifth: {sizes[-1] - sizes[0]:.2f} MB")


async def metrics(session: "CDPSession") -> dict[str, float]:
    found = await session.send("Performance.getMetrics")
    return {one["name"]: one["value"] for one in found["metrics"]}


class QuickGateway(MemoryGateway):
    """Says something twenty times a second."""

    async def follow(self, after: int | None) -> AsyncIterator[AlarmEvent | None]:
        last = after or 0
        while True:
            for event in [each for each in self.journal if each.seq > last]:
                last = event.seq
                yield event
            await asyncio.sleep(0.05)
            yield None


FIGURES: dict[str, tuple[Callable[[Stage], Awaitable[None]], int]] = {
    "delay": (delay, 24),
    "flood": (flood, 24),
    "load": (load, 5000),
    "soak": (soak, 500),
}


async def main(names: list[str]) -> None:
    for name in names or list(FIGURES):
        measured, channels = FIGURES[name]
        gateway = plant(channels)
        if name == "soak":
            hub.SECOND_S = 0.04
            gateway.__class__ = QuickGateway
        say(f"-- {name}")
        async with staged(gateway, chromium_or_skip()) as stage:
            await measured(stage)
            if stage.complaints:
                say("complaints:", stage.complaints[:3])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
