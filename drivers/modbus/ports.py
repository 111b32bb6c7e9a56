"""Opening what a line's thread reads from: a serial port, or a TCP connection to a transparent serial server."""

import fcntl
import os
import socket
import termios

from drivers.modbus.options import Options

CONNECT_TIMEOUT_MIN_S = 1.0


def speed(baud: int) -> int | None:
    """Return the terminal constant of a bit rate, or None where the system has none."""
    found = getattr(termios, f"B{baud}", None)
    return found if isinstance(found, int) else None


def open_port(path: str, options: Options) -> int:
    """Open a serial port raw, non-blocking and for this process alone.

    Raises:
        OSError: No such port, no permission, or another process has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _configure(descriptor, options)
    except termios.error as error:
        os.close(descriptor)
        raise OSError(*error.args) from error
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _configure(descriptor: int, options: Options) -> None:
    rate = speed(options.baud)
    assert rate is not None
    control = termios.CS8 | termios.CREAD | termios.CLOCAL
    if options.stop_bits == 2:
        control |= termios.CSTOPB
    checked = 0
    if options.parity != "N":
        control |= termios.PARENB | (termios.PARODD if options.parity == "O" else 0)
        checked = termios.INPCK
    characters = termios.tcgetattr(descriptor)[6]
    termios.tcsetattr(descriptor, termios.TCSANOW, [checked, 0, control, 0, rate, rate, characters])
    termios.tcflush(descriptor, termios.TCIOFLUSH)


def open_socket(host: str, port: int, timeout_s: float) -> int:
    """Connect to a serial server and return the non-blocking descriptor. Raises OSError."""
    connection = socket.create_connection((host, port), max(timeout_s, CONNECT_TIMEOUT_MIN_S))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(0)
    return connection.detach()
