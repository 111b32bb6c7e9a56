"""The whole chain as fast as it goes: 80 instruments of 125 registers, asked again as soon as the site file allows.

At 100 polls a second of each instrument a million readings a second are on offer, more than the gateway takes. What
counts is readings for each second of CPU that the process uses, all its threads together. Polling goes first: what is
read beyond what one core can also format and send waits in the spool. So a paced run of 200,000 a second, of which all
are acknowledged, tells what the whole chain costs.
"""

import tempfile
import time
from pathlib import Path

from benchmarks.gateway import GatewayProcess, Report, between, gateway
from benchmarks.measure import Figure, SkippedError, Spread, at_least, table
from benchmarks.peers import modbus_server, victoria_metrics
from benchmarks.sites import WINDOW_S, site, store

UNITS = 80
FAST_S = 0.01
PACED_S = 0.05
MODES: dict[str, tuple[float, str, bool]] = {
    "paced, with store": (PACED_S, "", True),
    "with store": (FAST_S, "", True),
    "with store, uvloop": (FAST_S, "--uvloop", True),
    "without store": (FAST_S, "", False),
}


def main(short: bool = False) -> list[Figure]:
    rounds, settle_s, window_s = (1, 0.5, 1.0) if short else (2, WINDOW_S + 1.0, 4.0)
    modes = {"paced, with store": MODES["paced, with store"]} if short else MODES
    results: dict[str, list[dict[str, float]]] = {mode: [] for mode in modes}
    for _ in range(rounds):
        for mode, how in modes.items():
            try:
                results[mode].append(_run(*how, settle_s, window_s))
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
    # A reading that waits in the spool has not been formatted and sent: only those that were count.
    paced = results["paced, with store"]
    whole = Spread.of(r["delivered"] / r["cpu_s"] for r in paced)
    figures = [at_least("whole chain, acknowledged readings a second of CPU", whole, 300_000, "readings/s", 0)]
    if not short:
        read = Spread.of(r["readings_per_core_s"] for r in results["with store"])
        figures.append(at_least("as fast as they come, readings a second of CPU", read, 300_000, "readings/s", 0))
    return figures


def _run(period_s: float, argument: str, stored: bool, settle_s: float, window_s: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with modbus_server(folder, UNITS) as server, victoria_metrics(folder) as database:
            wanted = site(server.port, UNITS, period_s=period_s, stores=[store(database.url)] if stored else [])
            with gateway(wanted, folder, *([argument] if argument else [])) as running:
                time.sleep(settle_s)
                before = _all_delivered(running)
                time.sleep(window_s)
                found = between(before, _all_delivered(running))
                running.stop()
    return found


def _all_delivered(running: GatewayProcess) -> Report:
    """Return a report of a moment when all that is on disk is acknowledged, if there is one within two seconds."""
    end_s = time.monotonic() + 2.0
    while True:
        found = running.ask()
        if not found["waiting"] or time.monotonic() > end_s:
            return found
        time.sleep(0.05)
