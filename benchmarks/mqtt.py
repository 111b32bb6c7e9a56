"""Cost of MQTT: a backlog of QoS 1 drained into the spool beside mosquitto_sub; 100 readings beside a msgspec decode.

    python -m benchmarks [--short] mqtt

The backlog waits in a real Mosquitto in two sessions, one for each. Ours decodes every message into columns and
acknowledges it after the spool has flushed it to the disk; mosquitto_sub prints it. Goals: at least 0.45 of its rate,
and for a payload of 100 readings at most twice the CPU of a bare msgspec decode.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.measure import Figure, Spread, at_least, at_most, interleaved, table
from benchmarks.peers import ended, free_port, program
from drivers import mqtt
from drivers.mqtt.channels import ChannelDecoder
from drivers.mqtt.decode import MessageDecoder
from drivers.mqtt.driver import MqttDriver
from drivers.mqtt.readings import Readings
from gateway.core.clock import SystemClock, rfc3339
from gateway.core.model import Batch, Channel
from gateway.core.plugin import ChannelPlan, InstrumentPlan
from gateway.store.spool import Spool

ROOT = Path(__file__).parent.parent
READINGS = 100
Result = dict[str, float]


def main(short: bool = False) -> list[Figure]:
    messages, rounds = (2_000, 1) if short else (60_000, 5)
    return [*_backlog(messages, rounds), *_payloads(20 if short else 400, 1 if short else 7)]


def _backlog(messages: int, rounds: int) -> list[Figure]:
    """Drain the same messages by both, in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = free_port()
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n"
        )
        command = [program("mosquitto"), "-c", str(folder / "mosquitto.conf")]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with ended(subprocess.Popen(command, text=True, **quiet)):  # type: ignore[call-overload]  # keywords of Popen
            _until_it_listens(port)
            subjects: dict[str, Callable[[], Result]] = {
                "mosquitto_sub": lambda: _kept(port, messages, "sub", lambda: _mosquitto_sub(port, messages)),
                "gateway": lambda: _kept(port, messages, "gw", lambda: _gateway(port, messages, folder)),
            }
            found = interleaved(subjects, rounds)
    table(
        f"Draining {messages:,} messages of 100 bytes, QoS 1, {rounds} round(s)",
        ("client", "messages/s", "µs CPU/message"),
        (
            (name, Spread.of(r["rate"] for r in results).text(0), Spread.of(r["cpu_us"] for r in results).text(2))
            for name, results in found.items()
        ),
    )
    rate = Spread.of(a["rate"] / b["rate"] for a, b in zip(found["gateway"], found["mosquitto_sub"], strict=True))
    cpu = Spread.of(a["cpu_us"] / b["cpu_us"] for a, b in zip(found["gateway"], found["mosquitto_sub"], strict=True))
    return [
        at_least("MQTT QoS 1 into the spool, of mosquitto_sub's rate", rate, 0.45),
        Figure("the same, CPU of mosquitto_sub's", "", cpu.text(2)),
    ]


def _until_it_listens(port: int) -> None:
    for _ in range(100):
        done = subprocess.run(
            ["mosquitto_pub", "-p", str(port), "-t", "x", "-n"], check=False, capture_output=True, timeout=10
        )
        if not done.returncode:
            return
        time.sleep(0.05)
    raise RuntimeError("Mosquitto does not start")


def _kept(port: int, messages: int, session: str, drain: Callable[[], Result]) -> Result:
    """Let the broker keep messages for a session, then drain it."""
    subprocess.run([*_subscriber(port, session), "-E"], check=True, stdout=subprocess.DEVNULL, timeout=20)
    lines = "\n".join(_reading(i) for i in range(messages)) + "\n"
    publish = [program("mosquitto_pub"), "-p", str(port), "-t", f"plant/{session}", "-q", "1", "-l"]
    subprocess.run(publish, input=lines, text=True, check=True, timeout=300)
    return drain()


def _reading(i: int) -> str:
    """Return a payload of 100 bytes."""
    text = json.dumps({"ts": time.time_ns() // 1_000_000, "co": round(i * 0.01, 2), "state": "ok", "pad": ""})
    return text[:-2] + "x" * (100 - len(text)) + text[-2:]


def _subscriber(port: int, session: str) -> list[str]:
    """Return the command of a client with a session and a topic of its own."""
    keep = ("-q", "1", "-i", session, "-c", "-V", "5", "-x", "3600")
    return [program("mosquitto_sub"), "-p", str(port), "-t", f"plant/{session}", *keep]


def _mosquitto_sub(port: int, messages: int) -> Result:
    import resource  # noqa: PLC0415 - not on every system

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    command = [*_subscriber(port, "sub"), "-C", str(messages)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=300)
    wall_s = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"rate": messages / wall_s, "cpu_us": cpu_s / messages * 1e6}


def _gateway(port: int, messages: int, folder: Path) -> Result:
    command = [sys.executable, "-m", "benchmarks.mqtt", str(port), str(messages), str(folder)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=300)
    found: Result = json.loads(done.stdout)
    return found


async def drain(port: int, messages: int, folder: Path) -> Result:
    """Read a backlog as the gateway does: into the spool, and acknowledged when that is flushed."""
    plan = InstrumentPlan(
        "gd-01",
        1.0,
        mqtt.InstrumentOptions(topic="plant/gw", time="ts"),
        (ChannelPlan(Channel(0, "gd-01.co", "gd-01", "co"), mqtt.ChannelOptions(path="co")),),
    )
    options = mqtt.Options(port=port, client_id="gw", clean_session=False)
    driver = mqtt.create(options, [plan], SystemClock())
    assert isinstance(driver, MqttDriver)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        spool = Spool.open(Path(name) / "spool", ["gd-01.co"], bytes_max=64 << 20, segment_bytes=4 << 20)
        begun, cpu = time.monotonic(), time.process_time()
        await driver.connect()
        seen, flushing = 0, None
        while seen < messages:
            batch = await driver.read()
            seen += len(batch)
            spool.append(batch)
            if flushing is None or flushing.done():
                flushing = asyncio.create_task(_flush(spool, driver))
        if flushing is not None:
            await flushing
        await _flush(spool, driver)
        wall_s, cpu_s = time.monotonic() - begun, time.process_time() - cpu
        await driver.close()
        spool.close()
    return {"rate": messages / wall_s, "cpu_us": cpu_s / messages * 1e6}


async def _flush(spool: Spool, driver: MqttDriver) -> None:
    returned = driver.returned()
    await asyncio.to_thread(spool.flush)
    await driver.stored(returned)


def forms(now_ms: int) -> dict[str, tuple[Any, dict[str, Any], list[str]]]:
    """Return payloads of 100 readings each: the document, the instrument's options and the channels' paths."""
    times = [now_ms - 100 * (READINGS - i) for i in range(READINGS)]
    values = [round(12.0 + 0.01 * (i % 37), 2) for i in range(READINGS)]
    pairs = list(zip(times, values, strict=True))
    iso = [rfc3339(t * 1_000_000) for t in times]
    return {
        "objects of 50 bytes": (
            {"r": [{"id": "gd-01", "t": t, "v": v, "s": "ok"} for t, v in pairs]},
            {"time": "r[*].t"},
            ["r[*].v"],
        ),
        "columns of times and values": ({"t": times, "v": values}, {"time": "t[*]"}, ["v[*]"]),
        "values, first time and step": (
            {"t0": times[0] / 1000, "v": values},
            {"time": "t0", "time_unit": "s", "time_step": 0.1},
            ["v[*]"],
        ),
        "objects with time": ({"r": [{"t": t, "v": v} for t, v in pairs]}, {"time": "r[*].t"}, ["r[*].v"]),
        "objects with decimal seconds": (
            {"r": [{"t": t / 1000, "v": v} for t, v in pairs]},
            {"time": "r[*].t", "time_unit": "s"},
            ["r[*].v"],
        ),
        "objects with ISO times": (
            {"r": [{"t": t, "v": v} for t, v in zip(iso, values, strict=True)]},
            {"time": "r[*].t", "time_unit": "iso"},
            ["r[*].v"],
        ),
        "pairs": ([[t, v] for t, v in pairs], {"time": "[*][0]"}, ["[*][1]"]),
        "bare list": (values, {"time_step": 0.1}, ["[*]"]),
        "50 objects of two channels": (
            [{"ts": t, "co": v, "h2s": v / 2} for t, v in pairs[::2]],
            {"time": "[*].ts"},
            ["[*].co", "[*].h2s"],
        ),
        "one object of 100 channels": (
            {"ts": now_ms, "values": {f"c{i}": v for i, v in enumerate(values)}},
            {"time": "ts"},
            [f"values.c{i}" for i in range(READINGS)],
        ),
    }


def _payloads(loops: int, rounds: int) -> list[Figure]:
    now_ns = time.time_ns()
    rows, figures = [], []
    for name, (document, options, paths) in forms(now_ns // 1_000_000).items():
        payload = json.dumps(document).encode()
        found = interleaved(_subjects(decoder(options, paths), payload, now_ns, loops), rounds)
        ratio = Spread.of(a / b for a, b in zip(found["ours"], found["bare"], strict=True))
        times = [Spread.of(found[subject]).text(1) for subject in ("bare", "ours")]
        rows.append((name, len(payload), *times, ratio.text()))
        figures.append(at_most(f"100 readings as {name}, of msgspec's CPU", ratio, 2.0))
    table("A payload of 100 readings", ("form", "bytes", "µs msgspec", "µs ours", "ratio"), rows)
    return figures


def _subjects(made: MessageDecoder, payload: bytes, now_ns: int, loops: int) -> dict[str, Callable[[], float]]:
    bare = msgspec.json.Decoder()

    def ours() -> Batch:
        out = Readings()
        made.decode(payload, now_ns, out)
        return out.batch()

    def theirs() -> object:
        return bare.decode(payload)

    found = ours()
    assert (len(found), int(found.quality.max())) == (READINGS, 0), payload[:80]
    return {"ours": lambda: _cpu_us(ours, loops), "bare": lambda: _cpu_us(theirs, loops)}


def decoder(options: dict[str, Any], paths: list[str]) -> MessageDecoder:
    instrument = mqtt.InstrumentOptions(topic="t", **options)
    plans = [
        ChannelPlan(Channel(i, f"gd.c{i}", "gd", "co"), mqtt.ChannelOptions(path=path)) for i, path in enumerate(paths)
    ]
    return MessageDecoder(instrument, [ChannelDecoder(plan, instrument) for plan in plans])


def _cpu_us(work: Callable[[], object], loops: int) -> float:
    begun = time.process_time_ns()
    for _ in range(loops):
        work()
    return (time.process_time_ns() - begun) / loops / 1000


if __name__ == "__main__":
    print(json.dumps(asyncio.run(drain(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))))
