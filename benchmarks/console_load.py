"""What the console costs: its files, a browser's main thread and memory, many tabs, the gateway with many readers."""

import asyncio
import gzip
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.console_page import CALM, HIGH, Console, console, load, metrics, stream, until, watched
from benchmarks.gateway import ROOT, between
from benchmarks.measure import Figure, Spread, at_most, table

if TYPE_CHECKING:
    from playwright.async_api import CDPSession

UNITS = 40
STATIC = ROOT / "gateway/console/static"
TABS, CLIENTS = 12, 30
FRAMES, FRAMES_PER_S = 3_600, 20


def main(short: bool = False) -> list[Figure]:
    rounds, span_s, frames = (1, 1.0, 40) if short else (3, 10.0, FRAMES)
    figures = files()
    figures += asyncio.run(_moving(rounds, span_s))
    return figures + asyncio.run(_soak(frames))


def files(static: Path = STATIC) -> list[Figure]:
    """Return the sizes of the scripts that the first page needs, and of those that the first trend adds."""
    sizes = [("script at the start, worker included", initial(static)), ("script of the trend", trend(static))]
    return [at_most(name, Spread.of([packed(found) / 1000]), 30, "kB gz", 1) for name, found in sizes]


def initial(static: Path) -> list[Path]:
    """Return the scripts that the page names, those that they import at once, and the worker."""
    page = (static / "index.html").read_text("utf-8")
    waiting = [static / each for each in re.findall(r'(?:src|href)="\./(assets/[^"]+\.js)"', page)]
    found: list[Path] = []
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.append(file)
            # `import(…)` is for later: only what stands without a bracket is needed at once.
            named = re.findall(r'\b(?:from|import)\s*["`]\./([^"`]+\.js)["`]', file.read_text("utf-8"))
            waiting += [file.parent / each for each in named]
    return found + sorted((static / "assets").glob("worker-*.js"))


def trend(static: Path) -> list[Path]:
    """Return the scripts of the trend: the drawing library and what is around it."""
    return [path for name in ("chart", "trend") for path in sorted((static / "assets").glob(f"{name}-*.js"))]


def packed(paths: list[Path]) -> int:
    """Return the bytes that files have in the network, each compressed by itself."""
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in paths)


async def _moving(rounds: int, span_s: float) -> list[Figure]:
    """All values move once a second: main thread by page, readers, tabs."""
    pages: dict[str, list[float]] = {"now": [], "channels": []}
    readers: dict[int, list[float]] = {0: [], CLIENTS: []}
    async with console(UNITS, moving=True) as stage:
        page = await stage.open()
        session = await watched(page)
        for _ in range(rounds):
            for name, busy in pages.items():
                await page.goto(f"http://127.0.0.1:{stage.port}/#/{name}")
                await asyncio.sleep(4)
                busy.append(await _busy(session, span_s))
        heap = (await metrics(session))["JSHeapUsedSize"] / 1e6
        await page.context.close()
        for _ in range(rounds):
            for count, cores in readers.items():
                cores.append(await _read_by(stage, count, span_s))
        live_s = await _tabs(stage)
        channels = stage.channels
    added = [100 * (many - none) for none, many in zip(readers[0], readers[CLIENTS], strict=True)]
    table(
        f"{channels:,} channels, all of them moving, a frame a second, {load()}",
        ("what", "measured"),
        [
            *((f"main thread, page {name}", Spread.of(busy).text(1, unit="%")) for name, busy in pages.items()),
            ("heap of the page", f"{heap:.1f} MB"),
            *((f"gateway, {n} readers", Spread.of(cores).text(1, 100, "% of a core")) for n, cores in readers.items()),
        ],
    )
    figures = [at_most(f"main thread, page {name}", Spread.of(busy), 3, "%", 1) for name, busy in pages.items()]
    figures.append(
        at_most(f"gateway's CPU for {CLIENTS} readers of all channels", Spread.of(added), 3, "% of a core", 1)
    )
    return [*figures, Figure(f"{TABS} tabs of one browser, all live", "≤ 12 s", f"{live_s:.1f} s", live_s <= 12)]


async def _busy(session: "CDPSession", span_s: float) -> float:
    before = await metrics(session)
    await asyncio.sleep(span_s)
    after = await metrics(session)
    return 100 * (after["TaskDuration"] - before["TaskDuration"]) / (after["Timestamp"] - before["Timestamp"])


async def _read_by(stage: Console, count: int, span_s: float) -> float:
    """Return the gateway's share of a core with so many readers of the live stream."""
    reading = [asyncio.create_task(_drain(stage.port)) for _ in range(count)]
    await asyncio.sleep(3)
    before = stage.gateway.ask()
    await asyncio.sleep(span_s)
    share = between(before, stage.gateway.ask())["core"]
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    await asyncio.sleep(1)
    return share


async def _drain(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    try:
        while await reader.read(1 << 18):
            pass
    finally:
        writer.close()


async def _tabs(stage: Console) -> float:
    """Return the seconds until all tabs of one browser have been opened and are live."""
    began_s = time.monotonic()
    first = await stage.open()
    tabs = [first, *[await stage.tab(first.context) for _ in range(TABS - 1)]]
    for tab in tabs:
        await until(
            tab, "document.querySelector('.now-calm') !== null && document.querySelector('.shell-lost') === null"
        )
    return time.monotonic() - began_s


async def _soak(frames: int) -> list[Figure]:
    """Heap over an hour's frames, twenty a second, with values that move and alarms that come and go."""
    sizes: list[float] = []
    async with console(8, period_s=0.05, quick=True) as stage:
        page = await stage.open()
        session = await watched(page)
        await until(page, "document.querySelector('.now-calm') !== null")
        counting = asyncio.create_task(_count(stage.port, frames))
        n = 0
        while not counting.done():
            began_s, quarter = time.monotonic(), max(1.0, frames / FRAMES_PER_S / 6)
            while time.monotonic() - began_s < quarter and not counting.done():
                n += 1
                stage.server.registers[:] = (CALM + n % 100).to_bytes(2, "big") * (len(stage.server.registers) // 2)
                stage.put(n % 7, HIGH if n % 2 else CALM)
                await asyncio.sleep(0.1)
            await session.send("HeapProfiler.collectGarbage")
            sizes.append((await metrics(session))["JSHeapUsedSize"] / 1e6)
        told = counting.result()
    print("heap in MB:", ", ".join(f"{size:.2f}" for size in sizes))
    return [
        at_most(f"heap growth over {told:,} frames, after the first sixth", Spread.of([sizes[-1] - sizes[0]]), 1, "MB")
    ]


async def _count(port: int, frames: int) -> int:
    count = 0
    async for kind, _ in stream(port):
        count += kind == "values"
        if count >= frames:
            break
    return count
