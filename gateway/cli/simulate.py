"""`hazgate simulate SCENARIO.yaml`: a plant on real sockets, until Ctrl-C or the scenario's end."""

import asyncio
import importlib
from contextlib import suppress
from pathlib import Path

import click

from gateway.cli import logs


@click.command()
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--truth", type=click.Path(path_type=Path), help="Write what is really so, one JSON object a line.")
@click.option("--speed", type=float, help="1 is real time; more is faster.")
@click.option("--seed", type=int, help="Other noise than the scenario's own.")
def command(scenario: Path, truth: Path | None, speed: float | None, seed: int | None) -> None:
    """Run a simulated plant that speaks Modbus TCP, Modbus RTU and MQTT."""
    logs.set_up(as_json=False, quiet=True)
    plant = importlib.import_module("simulators.plant")
    with suppress(KeyboardInterrupt):
        asyncio.run(plant.run_scenario(scenario, truth=truth, speed=speed, seed=seed, announce=click.echo))
