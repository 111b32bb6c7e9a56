"""Garbage on one bus takes nothing from another: a good instrument keeps its readings beside hostile peers."""

import asyncio
import contextlib
import json
import math
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from gateway.app import App
from gateway.core.clock import SystemClock
from gateway.core.model import BAD_FROM
from gateway.site.load import load_site
from simulators.broker import broker
from simulators.fleet import Fleet

PERIOD_S = 0.1
LENGTH_S = 8.0


@asynccontextmanager
async def hostile_modbus(seed: int) -> AsyncIterator[str]:
    """Answers with noise, wrong ids, halves, floods and hang-ups."""
    rng = random.Random(seed)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            while request := await reader.read(260):
                kind = rng.randrange(6)
                if kind == 0:
                    writer.write(rng.randbytes(rng.randrange(1, 600)))
                elif kind == 1:
                    writer.write(rng.randbytes(2) + request[2:])
                elif kind == 2:
                    writer.write(request[:5])
                elif kind == 3:
                    writer.write(bytes(1 << 20))
                elif kind == 4:
                    break
                else:
                    writer.write(request[:4] + b"\xff\xff" + request[6:8] + b"\xfe" + bytes(300))
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


async def publish_garbage(port: int) -> int:
    """Publish what no head should, again and again; return how many messages."""
    payloads: list[bytes] = [
        b"\xff\xfe\x00\x80" * 64,
        b'{"v": NaN}',
        b'{"v": 1e999, "t": 0}',
        b'{"v": 5, "t": 0}',
        b'{"v": 5, "t": 4102444800000}',
        b'{"v": 5, "t": -1}',
        b'{"v": "' + b"9" * 100_000 + b'"}',
        b"[" * 100_000,
        b'{"v": {"v": [null]}}',
        b"",
    ]
    sent = 0
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.publish("bad/head", bytes(10_000_000))
        while True:
            await client.publish("bad/head", payloads[sent % len(payloads)])
            sent += 1
            await asyncio.sleep(0.005)


async def beat(clock: SystemClock, beats: list[float]) -> None:
    """Wake on a grid as the polls do, and leave out what has passed: what this machine let the loop keep."""
    due_s = clock.monotonic_s()
    while True:
        due_s += PERIOD_S * max(1, math.floor((clock.monotonic_s() - due_s) / PERIOD_S) + 1)
        await clock.sleep(due_s - clock.monotonic_s())
        beats.append(due_s)


@pytest.mark.timeout(90)
async def test_a_good_instrument_keeps_its_readings_beside_hostile_peers(tmp_path: Path) -> None:
    fleet = Fleet(2, channels=1, endpoints=1, rate_hz=10.0)
    await fleet.start()
    wire = {"table": "holding", "address": 0, "type": "float32"}
    async with broker(0) as port, hostile_modbus(3) as hostile:
        data = {
            "site": {"id": "hostile"},
            "connections": [
                {"id": "good", "type": "modbus", "options": {"endpoint": fleet.endpoints[0].address}},
                {"id": "bad", "type": "modbus", "options": {"endpoint": hostile, "timeout_s": 0.2}},
                {"id": "heads", "type": "mqtt", "options": {"host": "127.0.0.1", "port": port}},
            ],
            "instruments": [
                {"id": "g1", "connection": "good", "period_s": PERIOD_S, "options": {"unit": 1},
                 "channels": [{"id": "v", "options": wire}]},
                {"id": "g2", "connection": "good", "period_s": PERIOD_S, "options": {"unit": 2},
                 "channels": [{"id": "v", "options": wire}]},
                {"id": "b1", "connection": "bad", "period_s": PERIOD_S, "options": {"unit": 1},
                 "channels": [{"id": "v", "options": wire}]},
                {"id": "h1", "connection": "heads", "options": {"topic": "bad/head", "time": "t", "time_unit": "ms"},
                 "channels": [{"id": "v", "options": {"path": "v"}}]},
            ],
            "api": {"enabled": False},
        }  # fmt: skip
        path = tmp_path / "site.yaml"
        path.write_text(json.dumps(data))
        app = App(load_site(path), tmp_path / "data", SystemClock())
        stop = asyncio.Event()
        running = asyncio.create_task(app.run(stop))
        garbage = asyncio.create_task(publish_garbage(port))
        try:
            await app.started.wait()
            await asyncio.sleep(1.0)
            latest = app.pipeline.latest
            before, beats = latest.count.copy(), list[float]()
            reference = asyncio.create_task(beat(SystemClock(), beats))
            await asyncio.sleep(LENGTH_S)
            reference.cancel()
            assert len(beats) > 0.5 * LENGTH_S / PERIOD_S, "the loop itself was held up"
            assert not running.done()
            assert not garbage.done()
            kept = (latest.count - before)[:2] / len(beats)
            assert (kept >= 0.97).all(), f"kept {kept} of the good readings"
            assert latest.bad[:2].sum() == 0
            assert latest.quality[2] >= BAD_FROM, "a peer that answers nothing but noise shows no value"
        finally:
            garbage.cancel()
            await asyncio.gather(garbage, return_exceptions=True)
            stop.set()
            await running
            await fleet.stop()
