"""Modbus TCP, RTU and RTU over TCP: our own polling master. It reads and never writes.

Not for TLS, ASCII, UDP or odd function codes. How it stays right is told in `docs/explanation/modbus.md`.
"""

from drivers.modbus.options import ChannelOptions, InstrumentOptions, Options
from drivers.modbus.wiring import create

__all__ = ["ChannelOptions", "InstrumentOptions", "Options", "create"]
