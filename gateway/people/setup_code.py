"""The one-time code by which the first administrator shows that the terminal is theirs."""

import secrets
from collections.abc import Callable
from typing import Final

from gateway.core.clock import Clock
from gateway.people.passwords import LETTERS

LENGTH: Final = 10
LIFE_S: Final = 3600.0
TRIES: Final = 5


class SetupCode:
    """Ten characters, good once, for an hour and five tries.

    Args:
        clock: Time.
        announce: Shows a new code to whoever sits at the terminal.

    >>> from gateway.core.clock import ManualClock
    >>> shown = []
    >>> code = SetupCode(ManualClock(), shown.append)
    >>> code.renew()
    >>> code.matches("wrong"), code.matches(shown[0].lower().replace("-", " "))
    (False, True)
    """

    def __init__(self, clock: Clock, announce: Callable[[str], None]) -> None:
        self._clock = clock
        self._announce = announce
        self._code = ""
        self._made_s = 0.0
        self._tries = 0

    @property
    def alive(self) -> bool:
        """Whether there is a code that can be used."""
        return bool(self._code) and self._clock.monotonic_s() - self._made_s < LIFE_S

    def renew(self) -> None:
        """Make and announce another code; the one before is worth nothing."""
        self._code = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
        self._made_s, self._tries = self._clock.monotonic_s(), 0
        self._announce(f"{self._code[:5]}-{self._code[5:]}")

    def matches(self, given: str) -> bool:
        """Return whether it is the code; the fifth wrong one makes and announces another."""
        if not self.alive:
            return False
        plain = "".join(char for char in given[:64].upper() if char.isalnum())
        if secrets.compare_digest(plain.encode(), self._code.encode()):
            return True
        self._tries += 1
        if self._tries >= TRIES:
            self.renew()
        return False

    def use_up(self) -> None:
        """Let nobody use the code any more."""
        self._code = ""
