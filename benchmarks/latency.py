"""From a change in a register to the alarm event that people and platforms get, with 10,000 channels at 1 Hz.

The registers are a file that the server has mapped: the benchmark changes one channel after another and follows the
gateway's events. The event is on disk (fsync) before anybody sees it; that is part of what is measured.
"""

import asyncio
import contextlib
import json
import random
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from benchmarks.gateway import access
from benchmarks.measure import Figure, Spread, at_most, percentile, table
from benchmarks.peers import REGISTERS, ModbusServer, modbus_server
from benchmarks.sites import site
from gateway.app import App
from gateway.core.clock import SystemClock
from gateway.site.document import Document
from gateway.site.load import site_from

UNITS = 80
PERIOD_S = 1.0
ALARM_RAW = 900


def main(short: bool = False) -> list[Figure]:
    changes, gap_s = (20, 0.05) if short else (1_000, 0.02)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with modbus_server(folder, UNITS, still=True) as server:
            found = asyncio.run(_run(server, folder, changes, gap_s))
    table(
        f"{changes} changes, each of another channel, polled every {PERIOD_S:g} s",
        ("way", "p50 ms", "p99 ms", "greatest ms"),
        (
            (way, *(f"{percentile(seconds, part) * 1e3:,.1f}" for part in (0.5, 0.99, 1.0)))
            for way, seconds in found.items()
            if seconds
        ),
    )
    goal_s = PERIOD_S + 0.05
    return [
        at_most(f"{way}, p99", Spread.of([percentile(seconds, 0.99)]), goal_s, "s", 3)
        for way, seconds in found.items()
        if way.startswith("change") and seconds
    ]


async def _run(server: ModbusServer, folder: Path, changes: int, gap_s: float) -> dict[str, list[float]]:
    data = site(server.port, UNITS, api={"bind": "127.0.0.1:0"})
    token = access(folder / "data")
    app = App(site_from(Document(folder / "site.json", data, "")), folder / "data", SystemClock())
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(stop))
    await app.started.wait()
    await _all_read(app)
    changed: dict[str, float] = {}
    seen: dict[str, dict[str, float]] = {"stream in the process": {}, "server-sent events": {}}
    processing: list[float] = []
    readers = [
        asyncio.create_task(_follow(app, seen["stream in the process"], processing)),
        asyncio.create_task(_follow_sse(app.port, token, seen["server-sent events"])),
    ]
    await asyncio.sleep(1.0)
    dice = random.Random(1)
    for place in dice.sample(range(UNITS * REGISTERS), changes):
        unit, address = divmod(place, REGISTERS)
        server.put(unit + 1, address, ALARM_RAW)
        changed[f"limit:th-{unit + 1:03}.t{address:03}"] = time.monotonic()
        await asyncio.sleep(dice.uniform(0, 2 * gap_s))
    end_s = time.monotonic() + 15
    while any(set(changed) - set(t) for t in seen.values()) and time.monotonic() < end_s:  # noqa: ASYNC110 - two readers
        await asyncio.sleep(0.1)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    stop.set()
    await running
    missing = set(changed) - set(seen["stream in the process"])
    if missing:
        raise RuntimeError(f"{len(missing)} changes made no event, {min(missing)} among them")
    found = {
        f"change to event, {way}": [at - changed[alarm] for alarm, at in times.items() if alarm in changed]
        for way, times in seen.items()
    }
    return found | {"reply read to event, stream in the process": processing}


async def _all_read(app: App) -> None:
    """Wait until every channel has been read and the API is served."""
    while not (app.port and app.pipeline.latest.count.all()):  # noqa: ASYNC110 - the columns of a pipeline give no sign
        await asyncio.sleep(0.05)


async def _follow(app: App, seen: dict[str, float], processing: list[float]) -> None:
    async for event in app.follow(None):
        if event is not None and event.alarm.startswith("limit:"):
            seen.setdefault(event.alarm, time.monotonic())
            processing.append((time.time_ns() - event.time_ns) / 1e9)


async def _follow_sse(port: int, token: str, seen: dict[str, float]) -> None:
    async for kind, content in _stream(port, token):
        alarm = content.get("alarm", "") if kind == "alarm" and isinstance(content, dict) else ""
        if isinstance(alarm, str) and alarm.startswith("limit:"):
            seen.setdefault(alarm, time.monotonic())


async def _stream(port: int, token: str) -> AsyncIterator[tuple[str, Any]]:
    """Yield the name and content of each server-sent event."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26, family=socket.AF_INET)
    head = ["GET /api/v1/stream HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Authorization: Bearer {token}", "", ""]
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
