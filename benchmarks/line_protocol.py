"""Line protocol: CPU per reading of our writer against influxdb-client's `Point`, both in the same run.

    python -m benchmarks line_protocol

The two write the same readings with the same series; the goal is a ratio of at most 0.08.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
from influxdb_client import Point

from benchmarks.measure import Figure, Spread, at_most
from gateway.core.model import Batch, Channel
from gateway.store.line_protocol import LineProtocol

READINGS = 2_000
ROUNDS = 15


def channels() -> list[Channel]:
    return [
        Channel(
            row=row,
            id=f"gd-{row // 4:03}.ch{row % 4}",
            instrument=f"gd-{row // 4:03}",
            quantity="ch4",
            unit="%LEL",
            decimals=row % 4,
            area="tank farm",
        )
        for row in range(200)
    ]


def readings(n: int) -> Batch:
    noise = np.random.default_rng(1)
    return Batch.of(np.arange(n) % 200, 1_700_000_000_000_000_000 + np.arange(n) // 10, noise.normal(20, 5, n))


def as_points(table: list[Channel], batch: Batch) -> list[str]:
    lines = []
    for row, time_ns, value, quality in zip(
        batch.row.tolist(), batch.time_ns.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True
    ):
        channel = table[row]
        point = Point("reading").tag("area", channel.area).tag("channel", channel.id)
        point = point.tag("instrument", channel.instrument).tag("quantity", channel.quantity)
        point = point.tag("site", "park-1").tag("unit", channel.unit)
        lines.append(point.field("quality", quality).field("value", value).time(time_ns).to_line_protocol())
    return lines


def cpu_ns(work: Callable[[], object]) -> float:
    start = time.process_time_ns()
    work()
    return (time.process_time_ns() - start) / READINGS


def main(short: bool = False) -> list[Figure]:
    table, batch = channels(), readings(READINGS)
    ours = LineProtocol("park-1", table)
    rounds = [
        (
            cpu_ns(lambda: ours.lines(batch)),
            cpu_ns(lambda: b"\n".join(ours.lines(batch))),
            cpu_ns(lambda: as_points(table, batch)),
        )
        for _ in range(2 if short else ROUNDS)
    ]
    lines, body, points = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"lines {lines:.0f} ns, as a request body {body:.0f} ns, Point {points:.0f} ns of CPU per reading")
    ratio = Spread.of(mine / theirs for _, mine, theirs in rounds)
    return [at_most("CPU per line as sent, of influxdb-client's Point", ratio, 0.08, digits=3)]
