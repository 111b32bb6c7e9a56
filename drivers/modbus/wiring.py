"""From a site's options to a driver, with everything checked that can be without a connection."""

from collections.abc import Callable, Sequence

from drivers.modbus.driver import Backoff, ModbusDriver, Poll
from drivers.modbus.link import AskT, Done, Link
from drivers.modbus.options import InstrumentOptions, Options, Scheme
from drivers.modbus.plan import blocks, character_s, places, read_through, silence_s
from drivers.modbus.ports import open_port, open_socket, speed
from drivers.modbus.rtu import GAP_S, SerialLink, Timing
from drivers.modbus.tcp import TcpLink
from gateway.core.clock import Clock
from gateway.core.errors import ConfigError
from gateway.core.plugin import Driver, InstrumentPlan


def create(options: Options, instruments: Sequence[InstrumentPlan], clock: Clock) -> Driver:
    """Return a driver that polls the instruments of one endpoint.

    Args:
        options: The connection's options.
        instruments: What is on it; at least one, each with at least one channel.
        clock: Time.

    Raises:
        ConfigError: Options that contradict one another; a channel's or instrument's path begins with its plan's.
    """
    if not instruments:
        raise ConfigError((), "a connection without instruments has nothing to read")
    _check_line(options)
    return ModbusDriver(
        options.endpoint,
        link_maker(options),
        [_poll(options, plan) for plan in instruments],
        clock,
        in_flight=options.in_flight or 1,
        backoff=Backoff(options.backoff_first_s, max(options.backoff_first_s, options.backoff_max_s)),
    )


def _check_line(options: Options) -> None:
    scheme = options.parts.scheme
    if scheme is Scheme.RTU and speed(options.baud) is None:
        raise ConfigError(("baud",), f"{options.baud} is no rate of a serial port; 9600, 19200, 115200 are")
    if scheme is not Scheme.TCP and (options.in_flight or 1) != 1:
        raise ConfigError(("in_flight",), f"{options.in_flight} on a serial line, which carries one request at a time")


def _poll(options: Options, plan: InstrumentPlan) -> Poll:
    instrument = plan.options
    assert isinstance(instrument, InstrumentOptions)
    if options.parts.scheme is not Scheme.TCP and instrument.unit == 0:
        raise ConfigError(
            (*plan.path, "options", "unit"), "0 is a broadcast on a serial line and has no answer; 1 to 247 are allowed"
        )
    if not plan.channels:
        raise ConfigError((*plan.path, "channels"), f"{plan.id} has no channels")
    gap = read_through(options, instrument.turnaround_s)
    planned = blocks(instrument.unit, places(plan), instrument.registers_max, gap)
    return Poll(plan.id, planned, plan.period_s, instrument.turnaround_s)


def link_maker(options: Options) -> Callable[[Done[AskT]], Link[AskT]]:
    """Return what makes the link of an endpoint, given whom to tell of outcomes; the survey's too."""
    scheme, host, port, path = options.parts

    def make(done: Done[AskT]) -> Link[AskT]:
        if scheme is Scheme.TCP:
            return TcpLink(host, port, _timeout_s(options), done)
        if scheme is Scheme.RTU:
            return SerialLink(options.endpoint, lambda: open_port(path, options), _timing(options), done)
        return SerialLink(
            options.endpoint, lambda: open_socket(host, port, _timeout_s(options)), _timing(options), done
        )

    return make


def _timing(options: Options) -> Timing:
    over_tcp = options.parts.scheme is Scheme.RTU_TCP
    return Timing(
        character_s=character_s(options),
        silence_s=silence_s(options),
        timeout_s=_timeout_s(options),
        quiet_s=options.quiet_s or _timeout_s(options),
        # A network may pause within a frame for as long as before it.
        gap_s=_timeout_s(options) if over_tcp else GAP_S,
        reopen=over_tcp,
    )


def _timeout_s(options: Options) -> float:
    return options.timeout_s or 0.5
