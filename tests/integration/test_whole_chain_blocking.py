"""Nothing in the running gateway blocks the event loop: a call that would is an error here."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from blockbuster import BlockBuster

from gateway.app import App
from gateway.core.alarm import Command, Verb
from gateway.core.clock import SystemClock
from gateway.site.load import load_site
from simulators.fleet import Fleet
from simulators.platform import serve

SECRET = "whsec_" + "c2VjcmV0" * 5


async def test_reading_judging_storing_telling_and_commands_never_block_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet(4, channels=1, endpoints=1, rate_hz=10.0)
    await fleet.start()
    moving = asyncio.create_task(fleet.run())
    platform = await serve("127.0.0.1", 0, SECRET)
    monkeypatch.setenv("HAZGATE_PLATFORM_SECRET", SECRET)
    wire = {"table": "holding", "address": 0, "type": "float32"}
    data = {
        "site": {"id": "blocking"},
        "connections": [{"id": "c", "type": "modbus", "options": {"endpoint": fleet.endpoints[0].address}}],
        "instruments": [
            {
                "id": f"i{n}",
                "connection": "c",
                "period_s": 0.05,
                "options": {"unit": n + 1},
                "channels": [{"id": "v", "quantity": "value", "options": wire}],
            }
            for n in range(4)
        ],
        "rules": [{"id": "v", "type": "threshold", "channels": ["*"], "latching": True, "options": {"low": 0.5}}],
        "uplinks": [
            {"id": "p", "type": "webhook", "options": {"url": f"{platform.url}/alerts", "secret": "p"}},
        ],
        "secrets": {"p": {"env": "HAZGATE_PLATFORM_SECRET"}},
        "storage": {"flush_s": 0.1},
        "api": {"bind": "127.0.0.1:0", "local_operator": True},
    }
    path = tmp_path / "site.yaml"
    path.write_text(json.dumps(data))
    more = {**data, "instruments": [{**data["instruments"][0], "id": "new"}, *data["instruments"]]}
    files = iter([json.dumps(more), json.dumps(data), ""])
    changed = ["nothing changed", "instrument new added", "instrument new removed"]
    app = App(load_site(path), tmp_path / "data", SystemClock(), source=lambda: load_site(path))
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(stop))
    try:
        await app.started.wait()
        while not app.port or not app.alarms():
            await asyncio.sleep(0.05)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{app.port}", trust_env=False) as client:
            await client.get("/api/v1/health")
            watch = BlockBuster()
            watch.activate()
            try:
                with pytest.raises(Exception, match=r"[Bb]locking"):
                    _blocks()
                now_ns = app.clock.now_ns()
                for _ in range(20):
                    await asyncio.sleep(0.1)
                    for address in ("health", "channels", "alarms", "events", "instruments", "uplinks", "statistics"):
                        assert (await client.get(f"/api/v1/{address}")).status_code == 200
                await app.history("i0.v", now_ns - 10**10, now_ns + 10**10, 0)
                await app.history("i0.v", now_ns - 10**10, now_ns + 10**10, 60)
                name = app.alarms()[0].id
                await app.command(Command(verb=Verb.ACKNOWLEDGE, alarm=name, who="li"))
                for words in changed:
                    assert (await app.reload("li")).what == words
                    # The next file is put in its place by somebody else.
                    await asyncio.to_thread(path.write_text, next(files))
                    await asyncio.sleep(0.2)
                assert not running.done()
            finally:
                watch.deactivate()
        assert app.uplinks()[0].delivered > 0
    finally:
        stop.set()
        await running
        moving.cancel()
        await fleet.stop()
        await platform.close()


def _blocks() -> None:
    """Show that the watch bites."""
    import time  # noqa: PLC0415

    time.sleep(0.001)
