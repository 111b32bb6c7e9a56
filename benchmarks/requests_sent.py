"""Requests: how many the Modbus plan sends for scattered channels, and the line time they take, against the optimum.

    python -m benchmarks requests_sent

1,000 channels on 32 units, in tables and types as instruments mix them, some in clusters as register maps have them and
some anywhere. The optimum is found here by other means than the plan's: a table of all stretches of neighbours in the
line's own seconds, and with two periods every way to share requests between them. It knows nothing of the plan but its
limits. One request a channel is what a client without a plan sends.
"""

import math
import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks.measure import Figure, Spread, at_most
from drivers.modbus.options import ChannelOptions, InstrumentOptions, Options
from drivers.modbus.plan import Block, plan_instrument
from gateway.core.model import Channel
from gateway.core.plugin import ChannelPlan, InstrumentPlan

BAUD = 9600
CHARACTER_S = 11 / BAUD
REQUEST_S = (8 + 5) * CHARACTER_S + 2 * 3.5 * CHARACTER_S
"""Request and the frame around its reply, and the silences after both (MODBUS over Serial Line V1.02, 2.5.1.1)."""
LENGTHS = {"uint16": 1, "int16": 1, "uint32": 2, "float32": 2, "float64": 4}
OPTIONS = Options(endpoint="rtu:///dev/null", baud=BAUD, parity="E")
UNITS, CHANNELS = 32, 1_000
SLOW_S = 10.0


class Spot(NamedTuple):
    """Where a channel lies."""

    table: str
    address: int
    length: int
    type: str
    period_s: float

    @property
    def end(self) -> int:
        return self.address + self.length


def unit_spots(dice: random.Random, n: int, slow: float) -> list[Spot]:
    """Return the channels of one unit: stretches of values with holes in them, and strays."""
    found: list[Spot] = []
    while len(found) < n:
        table = dice.choices(("holding", "input", "discrete", "coil"), (6, 3, 1, 1))[0]
        bits = table in ("discrete", "coil")
        address = dice.randrange(0, 2000 if bits else 600)
        for _ in range(dice.choice((1, 1, 3, 5, 8, 12))):
            kind = "bit" if bits else dice.choice(list(LENGTHS))
            period_s = SLOW_S if dice.random() < slow else 1.0
            found.append(Spot(table, address, LENGTHS.get(kind, 1), kind, period_s))
            address += found[-1].length + dice.choice((0, 0, 0, 1, 2, 3, 6, 9, 14)) * (
                dice.randint(1, 16) if bits else 1
            )
    return found[:n]


def instrument(unit: int, spots: Sequence[Spot], registers_max: int) -> InstrumentPlan:
    plans = []
    for row, spot in enumerate(spots):
        options: dict[str, Any] = {"table": spot.table, "address": spot.address, "type": spot.type}
        channel = Channel(row, f"u{unit}.c{row}", f"u{unit}", "t", period_s=spot.period_s)
        plans.append(ChannelPlan(channel, ChannelOptions.model_validate(options)))
    return InstrumentPlan(f"u{unit}", 1.0, InstrumentOptions(unit=unit, registers_max=registers_max), tuple(plans))


def reply_s(table: str, count: int) -> float:
    """Return the time of a reply's data."""
    return (math.ceil(count / 8) if table in ("discrete", "coil") else 2 * count) * CHARACTER_S


def limit(table: str, registers_max: int) -> int:
    return min(2000, 16 * registers_max) if table in ("discrete", "coil") else registers_max


def block_s(block: Block) -> float:
    return REQUEST_S + reply_s(block.table, block.count)


def optimum(spots: Sequence[Spot], registers_max: int) -> tuple[float, int]:
    """Return the least line time of a cycle, and the requests of it; one period."""
    seconds, requests = 0.0, 0
    for table in sorted({spot.table for spot in spots}):
        mine = sorted(spot for spot in spots if spot.table == table)
        best: list[tuple[float, int]] = [(0.0, 0)] + [(math.inf, 0)] * len(mine)
        for first in range(len(mine)):
            end = 0
            for last in range(first, len(mine)):
                end = max(end, mine[last].end)
                if end - mine[first].address > limit(table, registers_max):
                    break
                cost = REQUEST_S + reply_s(table, end - mine[first].address)
                best[last + 1] = min(best[last + 1], (best[first][0] + cost, best[first][1] + 1))
        seconds += best[-1][0]
        requests += best[-1][1]
    return seconds, requests


Open = tuple[int, int] | None
"""The first and last address of the newest request of a period."""


def optimum_of_two(spots: Sequence[Spot], registers_max: int) -> float:
    """Return the least share of the line's time, with two periods, by keeping every way that could still be best.

    In the order of addresses each value joins the newest request of a period that is short enough, or begins one.
    """
    total = 0.0
    for table in sorted({spot.table for spot in spots}):
        most = limit(table, registers_max)
        ways: dict[tuple[Open, Open], float] = {(None, None): 0.0}
        for spot in sorted(spot for spot in spots if spot.table == table):
            grown: dict[tuple[Open, Open], float] = {}
            for state, cost in ways.items():
                for k, period_s in enumerate((1.0, SLOW_S)):
                    if period_s > spot.period_s:
                        continue
                    for now, added in extended(table, state[k], spot, most):
                        after = (now, state[1]) if k == 0 else (state[0], now)
                        grown[after] = min(grown.get(after, math.inf), cost + added / period_s)
            ways = lasting(grown, spot.address, most)
        total += min(ways.values())
    return total


def extended(table: str, now: Open, spot: Spot, most: int) -> list[tuple[Open, float]]:
    """Return what the newest request may become by a value, and the line time that adds."""
    found: list[tuple[Open, float]] = [
        ((spot.address, spot.end), REQUEST_S + reply_s(table, spot.length)),
    ]
    if now is not None:
        start, end = now[0], max(now[1], spot.end)
        if end - start <= most:
            found.append(((start, end), reply_s(table, end - start) - reply_s(table, now[1] - start)))
    return found


def lasting(ways: dict[tuple[Open, Open], float], address: int, most: int) -> dict[tuple[Open, Open], float]:
    """Return the ways without requests that nothing further can join, the cheaper of what is then the same."""
    found: dict[tuple[Open, Open], float] = {}
    for state, cost in ways.items():
        kept = tuple(None if now is None or address - now[0] >= most else now for now in state)
        key = (kept[0], kept[1])
        found[key] = min(found.get(key, math.inf), cost)
    return found


class Round(NamedTuple):
    """One site: ours against the optimum, and against one request a channel."""

    requests: float
    line: float
    unplanned: float
    shared: float
    plan_us: float


def one_site(seed: int, units: int, channels: int) -> Round:
    dice = random.Random(seed)
    ours_s = best_s = shared_s = shared_best_s = plan_s = 0.0
    sent = best_sent = 0
    for unit in range(units):
        registers_max = dice.choice((125, 125, 32, 16))
        spots = unit_spots(dice, channels // units + (unit < channels % units), 0.0)
        plan = instrument(unit + 1, spots, registers_max)
        began = time.process_time()
        found = plan_instrument(OPTIONS, plan)
        plan_s += time.process_time() - began
        sent += len(found)
        ours_s += sum(block_s(block) for block in found)
        seconds, requests = optimum(spots, registers_max)
        best_s += seconds
        best_sent += requests
        mixed = unit_spots(dice, channels // units, 0.6)
        two = plan_instrument(OPTIONS, instrument(unit + 1, mixed, registers_max))
        shared_s += sum(block_s(block) / block.period_s for block in two)
        shared_best_s += optimum_of_two(mixed, registers_max)
    return Round(sent / best_sent, ours_s / best_s, sent / channels, shared_s / shared_best_s, 1e6 * plan_s / channels)


def main(short: bool = False) -> list[Figure]:
    rounds = [one_site(seed, *((4, 100) if short else (UNITS, CHANNELS))) for seed in range(2 if short else 8)]
    requests, line, unplanned, shared, plan_us = (Spread.of(column) for column in zip(*rounds, strict=True))
    print(f"planning: {plan_us.text(1)} µs of CPU a channel")
    return [
        at_most("requests a cycle, of the optimum's", requests, 1.1, digits=3),
        at_most("line time a cycle, of the optimum's", line, 1.1, digits=4),
        at_most("line time with periods of 1 s and 10 s, of the optimum's", shared, 1.1, digits=3),
        Figure("requests, of one a channel", "", unplanned.text(3)),
    ]
