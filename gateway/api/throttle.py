"""Slows down who guesses: a growing delay for each address that shows wrong tokens or passwords."""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from gateway.core.clock import Clock

FREE_FAILURES = 5
DELAY_S = 1.0
DELAY_MAX_S = 900.0
ADDRESSES_MAX = 1024


@dataclass(slots=True)
class _Guesser:
    failures: int = 0
    free_at_s: float = 0.0


class Throttle:
    """Counts wrong tokens, or passwords, by address.

    After five failures the address waits one second, and twice as long after each further one, up to 15 minutes. A
    success forgets it, and so does a quarter of an hour without failure. At most 1,024 addresses are remembered, the
    longest unseen is forgotten first.

    Args:
        clock: Time.
        delay_max_s: The longest wait, in place of the 15 minutes.

    >>> from gateway.core.clock import ManualClock
    >>> throttle = Throttle(ManualClock())
    >>> for _ in range(6): throttle.failed("10.0.0.9")
    >>> throttle.wait_s("10.0.0.9"), throttle.wait_s("10.0.0.8")
    (2.0, 0.0)
    """

    def __init__(self, clock: Clock, delay_max_s: float = DELAY_MAX_S) -> None:
        self._clock = clock
        self._delay_max_s = delay_max_s
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()

    def __len__(self) -> int:
        return len(self._guessers)

    def wait_s(self, address: str) -> float:
        """Return the seconds that the address has still to wait, 0 where it may try."""
        guesser = self._guessers.get(address)
        return max(0.0, guesser.free_at_s - self._clock.monotonic_s()) if guesser else 0.0

    def failed(self, address: str) -> None:
        """Count a failure."""
        now_s = self._clock.monotonic_s()
        guesser = self._guessers.pop(address, None)
        if guesser is None or now_s > guesser.free_at_s + self._delay_max_s:
            guesser = _Guesser()
        guesser.failures += 1
        doublings = guesser.failures - FREE_FAILURES
        # The exponent is bounded before the power: failures have no limit, floats have.
        delay_s = min(self._delay_max_s, DELAY_S * 2.0 ** min(doublings, 16)) if doublings >= 0 else 0.0
        guesser.free_at_s = now_s + delay_s
        self._guessers[address] = guesser
        if len(self._guessers) > ADDRESSES_MAX:
            self._guessers.popitem(last=False)

    def excused(self, address: str) -> None:
        """Take back one failure, counted for an attempt that was never looked at; the wait it began goes on."""
        guesser = self._guessers.get(address)
        if guesser and guesser.failures:
            guesser.failures -= 1

    def succeeded(self, address: str) -> None:
        """Forget the address."""
        self._guessers.pop(address, None)


def address_key(host: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 that one IPv6 subscriber has.

    >>> address_key("192.0.2.7"), address_key("2001:db8:1:2:3::4"), address_key("::ffff:192.0.2.7"), address_key("")
    ('192.0.2.7', '2001:db8:1:2::', '192.0.2.7', '')
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(address) >> 64 << 64))
