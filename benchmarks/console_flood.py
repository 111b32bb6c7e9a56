"""Ten thousand alarms in a minute, as when a site loses its power: is each one kept, and can the page still be used?

10,000 channels go over their limits, some 167 a second, a quarter of them over the high one. Meanwhile somebody works
with keyboard and mouse, and one reader of the live stream takes nothing until it is over.
"""

import asyncio
import contextlib
import itertools
import random
import re
import time
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.console_page import HIGH, LOW, SCREEN, Console, console, load, metrics, middle, stream, until, watched
from benchmarks.gateway import between
from benchmarks.measure import Figure, table

if TYPE_CHECKING:
    from playwright.async_api import Page

UNITS, MINUTE_S = 80, 60.0
PRESS_S = 0.35
KEYS = ("j", "j", "k", "x", "x")
LOUDEST_HZ, PAUSE_S = 770.0, 4.0
"""The tone of the most urgent alarms of this site, orange ones, which sounds every three seconds, and a second more."""


def main(short: bool = False) -> list[Figure]:
    return asyncio.run(_run(*((4, 3.0) if short else (UNITS, MINUTE_S))))


async def _run(units: int, span_s: float) -> list[Figure]:
    async with console(units) as stage:
        page = await stage.open()
        await until(page, "document.querySelector('.now-calm') !== null")
        await page.mouse.click(SCREEN["width"] / 2, 5)
        slow = stream(stage.port)
        await anext(slow)
        await asyncio.sleep(5)
        found = await _flood(stage, page, span_s)
        found["journal"] = await asyncio.to_thread(_journal, stage.port)
        found["slow"] = await _behind(slow, found["journal"]["last"])
        channels = stage.channels
    _show(channels, found)
    return _figures(channels, found)


async def _flood(stage: Console, page: "Page", span_s: float) -> dict[str, Any]:
    """Let it happen; return what the gateway and the page had to do, and what the page showed."""
    session, rss = await watched(page), [stage.gateway.rss_mib]
    asked, counted = [stage.gateway.ask()], [await metrics(session)]
    await page.evaluate("() => { bench.events.length = bench.long.length = bench.tones.length = 0; }")
    began_s = time.monotonic()
    using = asyncio.create_task(_use(page))
    await _raise(stage, span_s)
    put_s = time.monotonic() - began_s
    await until(page, f"{COUNT} >= {stage.channels}", 90)
    after_s = time.monotonic() - began_s - put_s
    await _rest(using)
    # The strip comes with the frames, one a second.
    await asyncio.sleep(2.5)
    asked.append(stage.gateway.ask())
    counted.append(await metrics(session))
    rss.append(stage.gateway.rss_mib)
    spent = {name: counted[1][name] - counted[0][name] for name in ("TaskDuration", "Timestamp")}
    return {
        "put_s": put_s,
        "after_s": after_s,
        "core": between(*asked)["core"],
        "rss": rss,
        "busy": spent["TaskDuration"] / spent["Timestamp"],
        "heap": counted[1]["JSHeapUsedSize"] / 1e6,
        "page": await page.evaluate("() => window.bench"),
        "strip": " ".join((await page.locator(".shell-flood").inner_text()).split()),
    }


def _show(channels: int, found: dict[str, Any]) -> None:
    page, slow = found["page"], found["slow"]
    kinds = found["journal"]["kinds"].most_common(5)
    table(
        f"{channels:,} alarms in {found['put_s']:.0f} s, {load()}",
        ("what", "measured"),
        [
            ("gateway: share of a core", f"{100 * found['core']:.0f} %"),
            ("gateway: memory before, after", "{:.0f}, {:.0f} MiB".format(*found["rss"])),
            ("page: main thread, heap", f"{100 * found['busy']:.0f} %, {found['heap']:.0f} MB"),
            ("page: tasks over 50 ms", f"{len(page['long'])}, the longest {max(page['long'] or [0]):.0f} ms"),
            ("key or click to frame, of those of 16 ms and more", _ms([one[2] for one in page["events"]])),
            ("input delay, of the same", _ms([one[1] for one in page["events"]])),
            ("events in the journal, by kind", ", ".join(f"{kind} {n:,}" for kind, n in kinds)),
            ("flood strip", found["strip"][:120]),
            ("tones, by Hz", str(dict(Counter(hertz for _, hertz in page["tones"])))),
            ("slow reader", f"{slow['events']:,} events after it woke up, {slow['gaps']} missing"),
        ],
    )


def _ms(values: list[float]) -> str:
    median, p95 = middle(values or [0.0])
    return f"median {median:.0f}, p95 {p95:.0f}, greatest {max(values or [0.0]):.0f} ms, n={len(values)}"


def _figures(channels: int, found: dict[str, Any]) -> list[Figure]:
    raised, slow = found["journal"]["raised"], found["slow"]["gaps"]
    delay = middle([one[1] for one in found["page"]["events"]] or [0.0])[1]
    shown, pause = _number(found["strip"]), max(_gaps(found["page"]["tones"]))
    return [
        Figure("channels over a limit whose alarm is in the journal", f"{channels}", f"{raised}", raised == channels),
        Figure("input delay, p95", "< 100 ms", f"{delay:.0f} ms", delay < 100),
        Figure("from the last alarm to all on the page, a poll a second", "–", f"{found['after_s']:.1f} s"),
        Figure("the flood strip's number", f"{channels}", shown, shown == str(channels)),
        Figure("pause between the loudest tones", f"≤ {PAUSE_S:g} s", f"{pause:.1f} s", pause <= PAUSE_S),
        Figure("events that a slow reader missed", "0", str(slow), slow == 0),
    ]


COUNT = "[...document.querySelectorAll('.shell-count b')].reduce((sum, one) => sum + Number(one.textContent), 0)"


async def _raise(stage: Console, span_s: float) -> None:
    """Let every channel go over a limit, as evenly as it goes."""
    places = list(range(stage.channels))
    random.Random(1).shuffle(places)
    began_s = time.monotonic()
    for n, place in enumerate(places):
        stage.put(place, HIGH if n % 4 == 0 else LOW)
        if (early_s := began_s + span_s * n / len(places) - time.monotonic()) > 0.01:
            await asyncio.sleep(early_s)


async def _use(page: "Page") -> None:
    """Press keys and click on rows until cancelled."""
    n = 0
    while True:
        await page.keyboard.press(KEYS[n % len(KEYS)])
        if n % 3 == 0:
            await page.mouse.click(300, 400 + 44 * (n % 5))
        n += 1
        await asyncio.sleep(PRESS_S)


async def _rest(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _journal(port: int) -> dict[str, Any]:
    """Read all events back by the API: numbers without a gap, and how many of each kind."""
    kinds: Counter[str] = Counter()
    raised: set[str] = set()
    after, seqs = 0, []
    while True:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/api/v1/events?after={after}&limit=1000", timeout=60
        ) as answer:
            page = msgspec.json.decode(answer.read())
        for event in page["events"]:
            seqs.append(event["seq"])
            kinds[event["kind"]] += 1
            if event["kind"] == "raised" and event["alarm"].startswith("limit:"):
                raised.add(event["alarm"])
        if page["next"] is None or not page["events"]:
            break
        after = page["next"]
    if seqs != list(range(seqs[0], seqs[0] + len(seqs))):
        raise RuntimeError("the journal's numbers have a gap")
    return {"kinds": kinds, "raised": len(raised), "last": seqs[-1]}


async def _behind(slow: Any, last: int) -> dict[str, int]:
    """Let the slow reader take what it has missed, up to an event's number."""
    seqs: list[int] = []
    async with asyncio.timeout(60):
        async for kind, content in slow:
            if kind == "alarm":
                seqs.append(content["seq"])
                if content["seq"] >= last:
                    break
    await slow.aclose()
    return {"events": len(seqs), "gaps": seqs[-1] - seqs[0] + 1 - len(seqs)}


def _gaps(tones: list[list[float]]) -> list[float]:
    """Return the seconds between the beginnings of the loudest tones, from their first on."""
    starts = [at for at, hertz in tones if hertz == LOUDEST_HZ]
    return [(b - a) / 1000 for a, b in itertools.pairwise(starts) if b - a > 50] or [float("inf")]


def _number(strip: str) -> str:
    found = re.search(r"\d[\d,]*", strip)
    return found.group().replace(",", "") if found else ""
