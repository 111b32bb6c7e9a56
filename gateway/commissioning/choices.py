"""What a person names in a scan: units, endpoints, line settings; and in which order settings are tried."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from gateway.core.commissioning import Fingerprint, LineSettings

UNITS_MAX: Final = 256
BAUDS: Final = (9600, 4800, 19200, 38400, 115200, 57600, 2400, 1200)
"""Bit rates that instruments have, likeliest first."""
PARITIES: Final = ("N", "E", "O")
FIRST: Final = (LineSettings(9600, "N"), LineSettings(4800, "N"), LineSettings(19200, "N"), LineSettings(19200, "E"))
"""What most instruments leave the factory with; 19200 8E1 is the standard's own default (Serial Line V1.02, 2.5.1)."""


def units(text: str) -> tuple[int, ...]:
    """Return the unit addresses of a list of numbers and ranges.

    Raises:
        ValueError: It is no such list, or names an address beyond 255.

    >>> units("1-3,7")
    (1, 2, 3, 7)
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise ValueError(f"{part!r} is no unit address; numbers and ranges such as 1-32,40 are allowed")
        first, last = int(low), int(high or low)
        if not 0 <= first <= last < UNITS_MAX:
            raise ValueError(f"{part!r} is no range of unit addresses from 0 to 255")
        found.update(dict.fromkeys(range(first, last + 1)))
    return tuple(found)


def endpoint(text: str) -> str:
    """Return an endpoint as a site file has it: a device file becomes `rtu://…`.

    Raises:
        ValueError: It names a network; only hosts by name or address are asked.

    >>> endpoint("/dev/ttyUSB0"), endpoint("tcp://10.0.0.7")
    ('rtu:///dev/ttyUSB0', 'tcp://10.0.0.7')
    """
    if text.startswith("/"):
        return f"rtu://{text}"
    _, sign, rest = text.partition("://")
    host, slash, tail = rest.partition("/")
    if sign and slash and host and tail.isdecimal():
        raise ValueError(f"{text!r} is a network; only hosts are asked, each by its name or address")
    return text


def lines(
    bauds: Sequence[int], parities: Sequence[str], stops: Sequence[int], known: Sequence[Fingerprint] = ()
) -> tuple[LineSettings, ...]:
    """Return line settings, likeliest first.

    Args:
        bauds: In the order to try them; all usual ones where empty.
        parities: The same.
        stops: Stop bits; 1 where empty, because a receiver set to 2 hears a sender of 1.
        known: Profiles, whose factory settings come early.
    """
    wanted = [
        LineSettings(baud, parity, stop)
        for stop in stops or (1,)
        for parity in parities or PARITIES
        for baud in bauds or BAUDS
    ]
    factory = Counter(each.line for each in known if each.line is not None)

    def unlikely(setting: LineSettings) -> tuple[int, int, int]:
        place = FIRST.index(setting) if setting in FIRST else len(FIRST)
        return (0 if place == 0 else 1, -factory[setting], place)

    # What a person has listed is tried in that order.
    return tuple(wanted if bauds else sorted(wanted, key=unlikely))
