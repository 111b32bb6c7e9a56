"""The gateway as `hazgate run` starts it, with a way to ask it what it has used.

    python -m benchmarks.gateway_process SITE DATA [--uvloop] [--profile FILE] [--quick]

Each line on standard input is answered by one line of JSON; the end of the input stops the gateway.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.app import App

HEAVY = ("river", "scipy", "influxdb_client", "reportlab", "pymodbus", "pandas", "fastapi")
FRAME_S = 0.05


def report(app: "App") -> dict[str, object]:
    stores = [status for status in app.uplinks() if status.kind == "store"]
    return {
        "wall_s": time.monotonic(),
        "cpu_s": time.process_time(),
        "threads_cpu_s": thread_times(),
        "delivered": sum(status.delivered for status in stores),
        "waiting": sum(status.waiting for status in stores),
        "readings": app.disk.spool.next_number,
        "durable": app.disk.spool.durable,
        "bad": int(app.pipeline.latest.bad.sum()),
        "events": app.book.next_seq - 1,
        "port": app.port,
        "modules": [name for name in HEAVY if name in sys.modules],
    }


def thread_times() -> dict[str, float]:
    """Return the CPU seconds of each of this process's threads, by its kernel name."""
    found: dict[str, float] = {}
    for task in Path("/proc/self/task").iterdir():
        spent = int((task / "schedstat").read_text().split()[0]) / 1e9
        name = (task / "comm").read_text().strip()
        found[f"{name}-{task.name}"] = spent
    return found


async def answer(app: "App", stop: asyncio.Event) -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        print(json.dumps(report(app)), flush=True)
    stop.set()


def tell_first_reading(app: "App") -> None:
    began_s = float(os.environ["BENCHMARK_BEGAN_S"])
    process = app.pipeline.process

    def first(batch: object) -> object:
        del app.pipeline.process
        passed = {"first_reading_s": time.monotonic() - began_s, "first_reading_cpu_s": time.process_time()}
        print(json.dumps(passed), flush=True)
        return process(batch)

    app.pipeline.process = first


async def run(app: "App", quick: bool) -> None:
    stop = asyncio.Event()
    asking = asyncio.create_task(answer(app, stop))
    hurrying = asyncio.create_task(hurry(app)) if quick else None
    await app.run(stop)
    if hurrying:
        hurrying.cancel()
    await asking


async def hurry(app: "App") -> None:
    """Have the live stream say twenty times a second what it says once: an hour of frames in three minutes."""
    from gateway.api import hub  # noqa: PLC0415 - only here

    hub.SECOND_S = FRAME_S / 2
    while True:
        await asyncio.sleep(FRAME_S)
        app.recorder.published_signal.give()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("site", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--quick", action="store_true", help="twenty frames a second on the live stream")
    given = parser.parse_args()
    from gateway.cli import logs, main  # noqa: F401, PLC0415 - what the command itself loads first

    logs.set_up(as_json=True, quiet=True)
    from gateway.app import App  # noqa: PLC0415 - as the command does
    from gateway.core.clock import SystemClock  # noqa: PLC0415
    from gateway.site.load import load_site  # noqa: PLC0415

    app = App(load_site(given.site), given.data, SystemClock())
    tell_first_reading(app)
    if given.profile:
        import cProfile  # noqa: PLC0415 - only here

        profile = cProfile.Profile()
        profile.runcall(asyncio.run, run(app, given.quick))
        profile.dump_stats(given.profile)
    elif given.uvloop:
        import uvloop  # noqa: PLC0415 - an extra

        uvloop.run(run(app, given.quick))
    else:
        asyncio.run(run(app, given.quick))


if __name__ == "__main__":
    main()
