"""Modbus TCP, TLS, UDP, RTU and RTU over TCP: our own polling master. It writes nothing but outputs that a site names.

Not for ASCII. How it stays right is told in `docs/explanation/modbus.md`.
"""

from drivers.modbus.options import ChannelOptions, InstrumentOptions, Options, OutputOptions
from drivers.modbus.schedule import load
from drivers.modbus.wiring import create

__all__ = ["ChannelOptions", "InstrumentOptions", "Options", "OutputOptions", "create", "load"]
