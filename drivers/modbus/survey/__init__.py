"""Commissioning of Modbus instruments: find them, look at their registers, guess how those are to be read.

Satisfies `gateway.core.commissioning.Survey`. Nothing here is imported by the driver, and nothing here writes.
"""

import os
from typing import Any, cast

from pydantic import BaseModel

from drivers.modbus.options import Options, Scheme, parse_endpoint
from drivers.modbus.survey.bus import Answering, DriverAsker, LinkAsker, ModbusBus, options_of
from drivers.modbus.survey.guess import rank
from drivers.modbus.survey.scan import Scan
from drivers.modbus.survey.views import views
from gateway.core.clock import Clock, SystemClock
from gateway.core.commissioning import Bus, LineSettings, ScanPlan, Tell
from gateway.core.errors import ConfigError
from gateway.core.plugin import Driver

__all__ = ["bus", "bus_of", "bus_through", "place", "place_of", "rank", "scan", "views"]


def bus(endpoint: str, line: LineSettings | None = None, wait_s: float | None = None) -> Bus:
    """Return a way to an endpoint. Raises ConfigError where the endpoint cannot be read."""
    return ModbusBus(LinkAsker(options_of(endpoint, line, wait_s)), endpoint, SystemClock())


def bus_of(options: BaseModel) -> Bus:
    """Return a way to a site file's connection."""
    assert isinstance(options, Options)
    return ModbusBus(LinkAsker(options), options.endpoint, SystemClock())


def bus_through(driver: Driver) -> Bus | None:
    """Return a way through a running driver, or None where it takes no questions."""
    if not callable(getattr(driver, "ask", None)):
        return None
    endpoint: Any = getattr(driver, "endpoint", "the connection")
    return ModbusBus(DriverAsker(cast("Answering", driver)), str(endpoint), SystemClock())


def place(endpoint: str) -> str:
    """Return what two endpoints have in common where they are the same port or socket. Raises ConfigError.

    Two names of one serial port are one place; two names of one host are not, but for the machine's own.

    >>> place("rtu+tcp://Box:4001") == place("tcp://box:4001")
    True
    """
    try:
        parts = parse_endpoint(endpoint)
    except ValueError as error:
        raise ConfigError((), str(error)) from error
    if parts.scheme is Scheme.RTU:
        return os.path.realpath(parts.path)
    host = "127.0.0.1" if parts.host.lower() == "localhost" else parts.host.lower()
    return f"{host}:{parts.port}"


def place_of(options: BaseModel) -> str:
    """Return the same for a connection's options."""
    assert isinstance(options, Options)
    return place(options.endpoint)


async def scan(plan: ScanPlan, clock: Clock, tell: Tell) -> None:
    """Look for instruments and tell each as soon as it is known. Raises NotConnectedError and ConfigError."""
    await Scan(plan, clock, tell).run()
