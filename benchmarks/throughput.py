"""The whole chain as fast as it goes: 80 instruments of 125 registers, asked again as soon as the site file allows.

At 100 polls a second of each instrument a million readings a second are on offer, more than the gateway takes. What
counts is readings for each second of CPU that the process uses, all its threads together. The database has one core
left for itself and the server, and may fall behind: what it has not yet taken waits in the spool.
"""

import tempfile
import time
from pathlib import Path

from benchmarks.gateway import between, gateway
from benchmarks.measure import Figure, SkippedError, Spread, at_least, table
from benchmarks.peers import modbus_server, victoria_metrics
from benchmarks.sites import site, store

UNITS = 80
MODES = {"with store": (), "with store, uvloop": ("--uvloop",), "without store": ()}


def main(short: bool = False) -> list[Figure]:
    rounds, settle_s, window_s = (1, 0.5, 1.0) if short else (3, 2.0, 4.0)
    modes = {"with store": ()} if short else MODES
    results: dict[str, list[dict[str, float]]] = {mode: [] for mode in modes}
    for _ in range(rounds):
        for mode, arguments in modes.items():
            try:
                results[mode].append(_run(mode, arguments, settle_s, window_s))
            except RuntimeError as error:
                raise SkippedError(f"{mode}: {error}") from error
    table(
        f"10,000 channels as fast as they come, {rounds} round(s)",
        ("gateway", "readings/s", "% of a core", "readings/s of CPU", "of them acknowledged"),
        (
            (
                mode,
                Spread.of(r["readings_per_s"] for r in found).text(0),
                Spread.of(r["core"] for r in found).text(0, 100),
                Spread.of(r["readings_per_core_s"] for r in found).text(0),
                Spread.of(r["delivered"] / r["readings"] for r in found).text(2),
            )
            for mode, found in results.items()
        ),
    )
    # A reading that waits in the spool has not been formatted and sent: only those that were count as the whole chain.
    whole = Spread.of(r["delivered"] / r["cpu_s"] for r in results["with store"])
    read = Spread.of(r["readings_per_core_s"] for r in results["with store"])
    return [
        at_least("whole chain, readings a second of CPU", read, 300_000, "readings/s", 0),
        at_least("the same, only the acknowledged ones counted", whole, 300_000, "readings/s", 0),
    ]


def _run(mode: str, arguments: tuple[str, ...], settle_s: float, window_s: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with modbus_server(folder, UNITS) as server, victoria_metrics(folder) as database:
            stores = [store(database.url)] if "with store" in mode else []
            with gateway(site(server.port, UNITS, period_s=0.01, stores=stores), folder, *arguments) as running:
                time.sleep(settle_s)
                before = running.ask()
                time.sleep(window_s)
                found = between(before, running.ask())
                running.stop()
    return found
