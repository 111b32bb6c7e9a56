"""Driver for instruments that publish to an MQTT broker (3.1.1 and 5)."""

from collections.abc import Sequence

from drivers.mqtt.options import ChannelOptions, InstrumentOptions, Options
from gateway.core.clock import Clock
from gateway.core.plugin import Driver, InstrumentPlan

__all__ = ["ChannelOptions", "InstrumentOptions", "Options", "create"]


def create(options: Options, instruments: Sequence[InstrumentPlan], clock: Clock) -> Driver:
    """Return a driver that connects to nothing yet.

    Raises:
        ConfigError: Options that do not fit together, or files that cannot be read.
    """
    # Describing the options, as the reference pages do, needs neither the client library nor the decoders.
    from drivers.mqtt import driver  # noqa: PLC0415

    return driver.create(options, instruments, clock)
