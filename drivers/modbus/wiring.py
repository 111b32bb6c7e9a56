"""From a site's options to a driver, with everything checked that can be without a connection."""

import os
import ssl
from collections.abc import Callable, Collection, Sequence
from functools import partial

from drivers.modbus.driver import ModbusDriver
from drivers.modbus.line import GAP_S, Timing
from drivers.modbus.link import AskT, Done, Link
from drivers.modbus.options import InstrumentOptions, Options, Scheme
from drivers.modbus.outputs import outputs_of
from drivers.modbus.plan import Address, Block, blocks, character_s, plan_instrument, read_through, silence_s
from drivers.modbus.polls import Backoff, Poll, Unit
from drivers.modbus.rtu import SerialLink
from drivers.modbus.schedule import load
from drivers.modbus.status import InstrumentState
from drivers.modbus.tcp import TcpLink
from drivers.modbus.udp import UdpLink
from drivers.serial_port import open_port, open_socket, speed
from gateway.core.clock import Clock
from gateway.core.errors import ConfigError
from gateway.core.plugin import Driver, InstrumentPlan, OutputPlan

TCP_TIMEOUT_S = 0.5
SERIAL_TIMEOUT_S = 0.25
"""From the end of a request to the reply's first byte. Instruments think for up to 0.2 s; the reply's own time on the
line is added, because USB adapters may hand a frame over only when it is whole."""
PORT_RETRY_S = 0.5
"""A serial adapter that was pulled out is looked for so often; looking costs nothing."""
AHEAD = 1
"""Requests that a line's thread has waiting beyond the one on the line."""


def create(
    options: Options, instruments: Sequence[InstrumentPlan], clock: Clock, outputs: Sequence[OutputPlan] = ()
) -> Driver:
    """Return a driver that polls the instruments of one endpoint and switches its outputs.

    Args:
        options: The connection's options.
        instruments: What is on it, each with at least one channel; may be empty where there are outputs.
        clock: Time.
        outputs: The only things that are ever written.

    Raises:
        ConfigError: Options that contradict one another; a channel's, instrument's or output's path begins with its
            plan's.
    """
    if not instruments and not outputs:
        raise ConfigError((), "a connection without instruments and outputs has nothing to do")
    _check_line(options)
    _check_tls(options)
    serial = options.parts.scheme.serial
    return ModbusDriver(
        options.endpoint,
        link_maker(options),
        _polls(options, instruments),
        clock,
        in_flight=1 if serial else options.in_flight or _most_in_flight(instruments),
        ahead=AHEAD if serial else 0,
        backoff=Backoff(options.backoff_first_s, max(options.backoff_first_s, options.backoff_max_s)),
        outputs=outputs_of(outputs),
        load=load(options, instruments),
    )


def _check_line(options: Options) -> None:
    scheme = options.parts.scheme
    if scheme is Scheme.RTU and speed(options.baud) is None:
        raise ConfigError(("baud",), f"{options.baud} is no rate of a serial port; 9600, 19200, 115200 are")
    if scheme.serial and (options.in_flight or 1) != 1:
        raise ConfigError(("in_flight",), f"{options.in_flight} on a serial line, which carries one request at a time")


def _check_tls(options: Options) -> None:
    """Check that files of a TLS connection belong to one and can be read; what is in them is seen when connecting."""
    files = {key: getattr(options, key) for key in ("tls_ca_file", "tls_cert_file", "tls_key_file")}
    given = {key: path for key, path in files.items() if path is not None}
    if options.parts.scheme is not Scheme.TLS:
        if given or options.tls_server_name:
            raise ConfigError(
                (next(iter(given), "tls_server_name"),), f"{options.endpoint} is not encrypted; tls:// is"
            )
        return
    if (options.tls_cert_file is None) != (options.tls_key_file is None):
        raise ConfigError(
            ("tls_cert_file" if options.tls_key_file is None else "tls_key_file",),
            "a certificate and its key go together",
        )
    for key, path in given.items():
        if not path.is_file() or not os.access(path, os.R_OK):
            raise ConfigError((key,), f"{path} is no file that can be read")
    if options.tls_key_file is not None and options.tls_key_file.stat().st_mode & 0o077:
        raise ConfigError(("tls_key_file",), f"{options.tls_key_file} can be read by others; chmod 600 it")


def _most_in_flight(instruments: Sequence[InstrumentPlan]) -> int:
    return max((_options(plan).in_flight for plan in instruments), default=1)


def _options(plan: InstrumentPlan) -> InstrumentOptions:
    assert isinstance(plan.options, InstrumentOptions)
    return plan.options


def _polls(options: Options, instruments: Sequence[InstrumentPlan]) -> list[Poll]:
    """Return all polls: of each instrument one for each period and urgency."""
    units: dict[int, Unit] = {}
    found: list[Poll] = []
    for plan in instruments:
        instrument = _checked(options, plan)
        unit = units.get(instrument.unit)
        if unit is None:
            unit = Unit(instrument.unit, plan.id, instrument.turnaround_s, instrument.in_flight)
            units[instrument.unit] = unit
        else:
            unit.join(plan.id, instrument.turnaround_s, instrument.in_flight)
        found.extend(_polls_of(options, plan, unit))
    return found


def _checked(options: Options, plan: InstrumentPlan) -> InstrumentOptions:
    instrument = _options(plan)
    if options.parts.scheme.serial and instrument.unit == 0:
        raise ConfigError(
            (*plan.path, "options", "unit"), "0 is a broadcast on a serial line and has no answer; 1 to 247 are allowed"
        )
    if options.parts.scheme.serial and instrument.in_flight != 1:
        raise ConfigError(
            (*plan.path, "options", "in_flight"),
            f"{instrument.in_flight} on a serial line, which carries one request at a time",
        )
    if not plan.channels:
        raise ConfigError((*plan.path, "channels"), f"{plan.id} has no channels")
    return instrument


def _polls_of(options: Options, plan: InstrumentPlan, unit: Unit) -> list[Poll]:
    instrument = _options(plan)
    through = read_through(options, instrument.turnaround_s)

    def replan(block: Block, refused: Collection[Address]) -> list[Block]:
        return blocks(instrument.unit, block.places, instrument.registers_max, through, refused)

    state = InstrumentState(plan)
    groups: dict[tuple[bool, float], list[Block]] = {}
    for block in plan_instrument(options, plan):
        # In the order of the plan, which has a word before the values that it speaks of.
        groups.setdefault((block.urgent, block.period_s), []).append(block)
    stale_after_s = min(channel.channel.stale_after_s for channel in plan.channels)
    return [
        Poll(
            plan.id, unit, group, state,
            timeout_s=instrument.timeout_s, replan=replan, stale_after_s=stale_after_s,
        )
        for group in groups.values()
    ]  # fmt: skip


def link_maker(options: Options) -> Callable[[Done[AskT]], Link[AskT]]:
    """Return what makes the link of an endpoint, given whom to tell of outcomes; the survey's too."""
    scheme, host, port, path = options.parts
    timeout_s = options.timeout_s or TCP_TIMEOUT_S

    def make(done: Done[AskT]) -> Link[AskT]:
        if scheme is Scheme.TCP:
            return TcpLink(host, port, timeout_s, done)
        if scheme is Scheme.TLS:
            name = options.tls_server_name
            tls = partial(_tls_context, options)
            return TcpLink(host, port, timeout_s, done, name=options.endpoint, tls=tls, server_name=name)
        if scheme is Scheme.UDP:
            return UdpLink(host, port, timeout_s, done)
        if scheme is Scheme.RTU:
            opener = partial(open_port, path, options.baud, options.parity, options.stop_bits)
            return SerialLink(options.endpoint, opener, _timing(options), done, retry_s=PORT_RETRY_S)
        return SerialLink(options.endpoint, lambda: open_socket(host, port, timeout_s), _timing(options), done)

    return make


def _tls_context(options: Options) -> ssl.SSLContext:
    """Return the context of a connection; reads files, so in a thread."""
    authorities = None if options.tls_ca_file is None else str(options.tls_ca_file)
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if options.tls_cert_file is not None and options.tls_key_file is not None:
        context.load_cert_chain(str(options.tls_cert_file), str(options.tls_key_file))
    return context


def _timing(options: Options) -> Timing:
    over_tcp = options.parts.scheme is Scheme.RTU_TCP
    timeout_s = options.timeout_s or (TCP_TIMEOUT_S if over_tcp else SERIAL_TIMEOUT_S)
    return Timing(
        character_s=character_s(options),
        silence_s=silence_s(options),
        timeout_s=timeout_s,
        quiet_s=options.quiet_s or timeout_s,
        # A network may pause within a frame for as long as before it.
        gap_s=timeout_s if over_tcp else GAP_S,
        reopen=over_tcp,
        whole=options.timeout_s is None,
    )
