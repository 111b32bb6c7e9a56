"""A whole gateway whose console is open in a real browser: instruments in C, the gateway in a process of its own.

What is measured in the page is measured by the page: when a message of the live stream reached it, and when the frame
that shows it was on its way to the screen.
"""

import asyncio
import contextlib
import json
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.gateway import GatewayProcess, gateway
from benchmarks.measure import SkippedError
from benchmarks.peers import REGISTERS, ModbusServer, modbus_server
from benchmarks.sites import RULES, site

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, CDPSession, Page, ViewportSize

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
)
SCREEN: "ViewportSize" = {"width": 1366, "height": 768}
LOW, HIGH, CALM = 600, 900, 100
"""Raw values above the low and the high limit, and below both."""

# Runs before the page's own script. All times are in ms since 1970, by the clock that the gateway has too.
PROBE = """(() => {
  const at = () => performance.timeOrigin + performance.now();
  const bench = window.bench = { messages: {}, frames: {}, counts: [], keys: [], tones: [], events: [], long: [] };
  const note = ({ kind, text }) => {
    if (kind !== "alarm") return;
    const [, name, what] = /"kind":"(\\w+)","alarm":"([^"]+)"/.exec(text) ?? [];
    if (name === "raised") bench.messages[what] ??= [at(), /"time":"([^"]+)"/.exec(text)[1]];
  };
  const port = Object.getOwnPropertyDescriptor(MessagePort.prototype, "onmessage");
  Object.defineProperty(MessagePort.prototype, "onmessage", { ...port, set(told) {
    port.set.call(this, (event) => { if (event.data?.kind) note(event.data); told.call(this, event); });
  } });
  const { port1, port2 } = new MessageChannel();
  port1.addEventListener("message", () => look());
  port1.start();
  let waits = false;
  const look = () => {
    waits = false;
    const now = at();
    for (const one of document.querySelectorAll(".now-row .now-two small")) bench.frames[one.textContent] ??= now;
    const counts = [...document.querySelectorAll(".shell-count b")].map((one) => one.textContent).join(" ");
    if (counts !== bench.counts.at(-1)?.[1]) bench.counts.push([now, counts]);
  };
  // After the change waits for the frame that shows it, and for what is next when that frame is drawn.
  const changed = () => { if (!waits) { waits = true; requestAnimationFrame(() => port2.postMessage(0)); } };
  addEventListener("DOMContentLoaded", () =>
    new MutationObserver(changed).observe(document.body, { subtree: true, childList: true, characterData: true }));
  addEventListener("keydown", (event) => bench.keys.push([performance.timeOrigin + event.timeStamp, event.key]), true);
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (when) {
    bench.tones.push([at(), this.frequency.value]);
    start.call(this, when);
  };
  new PerformanceObserver((list) => { for (const one of list.getEntries())
    bench.events.push([one.name, one.processingStart - one.startTime, one.duration]); })
    .observe({ type: "event", durationThreshold: 16, buffered: true });
  new PerformanceObserver((list) => { for (const one of list.getEntries()) bench.long.push(one.duration); })
    .observe({ type: "longtask" });
})()"""


@dataclass
class Console:
    """A gateway, its instruments, and a browser.

    Attributes:
        gateway: The running gateway.
        server: The instruments.
        units: How many.
        port: Where the console is.
        browser: Opens pages.
    """

    gateway: GatewayProcess
    server: ModbusServer
    units: int
    port: int
    browser: "Browser"
    _contexts: list["BrowserContext"] = field(default_factory=list)

    @property
    def channels(self) -> int:
        return self.units * REGISTERS

    async def open(self, page: str = "now") -> "Page":
        """Return a page of a browser session of its own that has its first values."""
        context = await self.browser.new_context(viewport=SCREEN, locale="en-GB", color_scheme="dark")
        await context.add_init_script(PROBE)
        self._contexts.append(context)
        return await self.tab(context, page)

    async def tab(self, context: "BrowserContext", page: str = "now") -> "Page":
        """Return another tab of the same session."""
        tab = await context.new_page()
        tab.set_default_timeout(30_000)
        await tab.goto(f"http://127.0.0.1:{self.port}/#/{page}")
        await tab.wait_for_selector(".shell-count")
        return tab

    async def close(self) -> None:
        """Close all pages."""
        for context in self._contexts:
            await context.close()

    def put(self, place: int, raw: int) -> str:
        """Let a channel have a value; returns its id."""
        unit, address = divmod(place, REGISTERS)
        self.server.put(unit + 1, address, raw)
        return f"th-{unit + 1:03}.t{address:03}"


def site_file(port: int, units: int, *, period_s: float = 1.0) -> dict[str, Any]:
    """Return a site that anyone at this machine may operate, with limits and fault supervision on each channel."""
    api = {"bind": "127.0.0.1:0", "read": "anyone", "local_operator": True}
    rules = [rule for rule in RULES if rule["type"] != "rate"]
    return site(port, units, period_s=period_s, api=api, rules=rules)


@contextlib.asynccontextmanager
async def console(
    units: int, *, period_s: float = 1.0, moving: bool = False, quick: bool = False
) -> AsyncIterator[Console]:
    """Run it all.

    Args:
        units: Instruments, of 125 channels each.
        period_s: How often they are read.
        moving: Every value is another one each time it is read.
        quick: The console gets twenty frames a second and not one.

    Raises:
        SkippedError: A browser, its driver or a C compiler is missing.
    """
    executable, driver = chromium()
    with tempfile.TemporaryDirectory() as name, modbus_server(Path(name), units, still=not moving) as server:
        if not moving:
            server.registers[:] = CALM.to_bytes(2, "big") * (len(server.registers) // 2)
        arguments = ["--quick"] if quick else []
        with gateway(site_file(server.port, units, period_s=period_s), Path(name), *arguments, token=False) as running:
            port = await _port(running)
            async with driver() as play:
                browser = await play.chromium.launch(executable_path=executable, args=list(FLAGS))
                found = Console(running, server, units, port, browser)
                try:
                    yield found
                finally:
                    await found.close()
                    await browser.close()
            running.stop()


def chromium() -> tuple[str, Callable[[], Any]]:
    """Return a browser's path and what drives it. Raises SkippedError."""
    try:
        from playwright.async_api import async_playwright  # noqa: PLC0415 - not everywhere installed
    except ImportError:
        raise SkippedError("the package playwright is not installed") from None
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise SkippedError("no Chromium is installed")
    return found, async_playwright


async def _port(running: GatewayProcess) -> int:
    for _ in range(300):
        if port := int(running.ask()["port"]):
            return port
        await asyncio.sleep(0.1)
    raise RuntimeError("the gateway did not serve its console within 30 s")


async def metrics(session: "CDPSession") -> dict[str, float]:
    """Return what the browser counts of a page: `TaskDuration` and `Timestamp` in s, `JSHeapUsedSize` in bytes."""
    found = await session.send("Performance.getMetrics")
    return {one["name"]: one["value"] for one in found["metrics"]}


async def watched(page: "Page") -> "CDPSession":
    """Return a session with a page in which the browser counts."""
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    return session


async def until(page: "Page", expression: str, within_s: float = 30.0) -> None:
    """Wait until something is so in a page; asks seldom, so that asking disturbs nothing."""
    end_s = time.monotonic() + within_s
    while not await page.evaluate(expression):
        if time.monotonic() > end_s:
            raise RuntimeError(f"not within {within_s:g} s: {expression}")
        await asyncio.sleep(0.3)


async def stream(port: int, after: int | None = None) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
    """Yield the name and content of each server-sent event; reads no faster than it is asked."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26, family=socket.AF_INET)
    since = [] if after is None else [f"Last-Event-ID: {after}"]
    head = ["GET /api/v1/stream HTTP/1.1", f"Host: 127.0.0.1:{port}", *since, "", ""]
    writer.write("\r\n".join(head).encode())
    kind = ""
    try:
        while line := await reader.readline():
            name, _, value = line.decode().rstrip("\r\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                with contextlib.suppress(ValueError):
                    yield kind, json.loads(value)
    finally:
        writer.close()


def load() -> str:
    """Return what else the machine had to do: figures of a busy machine say so."""
    return f"load {psutil.getloadavg()[0]:.1f} of {psutil.cpu_count()} cores"


def middle(values: Sequence[float]) -> tuple[float, float]:
    """Return median and 95th percentile."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
