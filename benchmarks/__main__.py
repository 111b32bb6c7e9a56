"""Runs the benchmarks: `python -m benchmarks [--short] [NAME …]`.

The full form takes some minutes and gives the figures of `docs/performance.md`. The short form only shows that every
benchmark works; its figures mean nothing. Neither fails because a machine is slow.
"""

import argparse
import importlib
import logging
import os
import platform
import time

import structlog

from benchmarks.measure import Figure, SkippedError, table

NAMES = (
    "whole_chain",
    "modbus_tcp",
    "rtu_line",
    "requests_sent",
    "mqtt",
    "simulator_server",
    "pipeline",
    "start",
    "throughput",
    "latency",
    "dead_unit",
    "late_replies",
    "guess",
    "line_protocol",
    "detectors",
    "always_on",
    "detection_faults",
    "detection_fires",
    "detection_leaks",
    "detection_nab",
    "detection_skab",
    "fire_against_nist",
    "spool",
    "console_delay",
    "console_load",
    "console_flood",
)


def machine() -> str:
    """Return what the figures depend on: processor, cores, Python."""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "processor")
    return f"{os.cpu_count()} cores of {model}, {platform.system()}, Python {platform.python_version()}"


def run(name: str, short: bool) -> list[Figure]:
    """Run one benchmark and say how long it took; a missing peer is said and skips it."""
    print(f"\n## {name}", flush=True)
    began = time.monotonic()
    try:
        found: list[Figure] = importlib.import_module(f"benchmarks.{name}").main(short)
    except SkippedError as reason:
        print(f"skipped: {reason}")
        return [Figure(name, "", f"skipped: {reason}")]
    print(f"({time.monotonic() - began:.0f} s)")
    return found


def verdict(figure: Figure) -> str:
    return "" if figure.met is None else "met" if figure.met else "missed"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all by default")
    parser.add_argument("--short", action="store_true", help="a second or two each, to see that they work")
    given = parser.parse_args()
    # What ours and others' drivers say of instruments that are dead on purpose is no finding.
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    unknown = [name for name in given.names if name not in NAMES]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}")
    print(machine())
    figures = [(name, figure) for name in given.names or NAMES for figure in run(name, given.short)]
    table(
        "Short form: only shows that all of it works" if given.short else "Figures: median (least..greatest)",
        ("benchmark", "figure", "goal", "measured", ""),
        ((name, f.name, f.goal, f.measured, "" if given.short else verdict(f)) for name, f in figures),
    )


if __name__ == "__main__":
    main()
