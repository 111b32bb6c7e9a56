"""Opening what is read like a serial line: a port, or a TCP connection to a transparent serial server."""

import fcntl
import os
import socket
import termios

CONNECT_TIMEOUT_MIN_S = 1.0


def speed(baud: int) -> int | None:
    """Return the terminal constant of a bit rate, or None where the system has none."""
    found = getattr(termios, f"B{baud}", None)
    return found if isinstance(found, int) else None


def open_port(path: str, baud: int, parity: str, stop_bits: int) -> int:
    """Open a serial port raw, non-blocking and for this process alone, and return its descriptor.

    Args:
        path: The port.
        baud: Bits a second; one that `speed` knows.
        parity: `N`, `E` or `O`.
        stop_bits: 1 or 2.

    Raises:
        OSError: No such port, no permission, or another process has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _configure(descriptor, baud, parity, stop_bits)
    except termios.error as error:
        os.close(descriptor)
        raise OSError(*error.args) from error
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _configure(descriptor: int, baud: int, parity: str, stop_bits: int) -> None:
    rate = speed(baud)
    assert rate is not None
    control = termios.CS8 | termios.CREAD | termios.CLOCAL
    if stop_bits == 2:
        control |= termios.CSTOPB
    checked = 0
    if parity != "N":
        control |= termios.PARENB | (termios.PARODD if parity == "O" else 0)
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
