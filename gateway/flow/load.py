"""Whether judging keeps up with what arrives; where it does not, the rules that learn rest and the limits go on.

A model that thinks longer about a reading than the next one takes to come would hold up every alarm, and later ones
ever longer. So what learns, which only warns, gives way to what alarms.
"""

from typing import Final

WINDOW_S: Final = 10.0
"""How long judging is measured before it is found too slow."""
BUSY: Final = 0.8
"""The part of that time which it may take."""
REST_S: Final = 60.0
"""How long rules that learn rest before they are tried again, at first."""
REST_MAX_S: Final = 3600.0


class Load:
    """Measures judging, and says when what learns has to rest.

    Attributes:
        resting: Rules that learn are to be passed over.
    """

    def __init__(self) -> None:
        self.resting = False
        self._since_s = self._busy_s = 0.0
        self._until_s = 0.0
        self._rest_s = REST_S

    def note(self, begun_s: float, ended_s: float) -> bool:
        """Take note of one pass, by the monotonic clock; return whether `resting` has changed.

        A rest that was not enough is followed by one twice as long; a window that is not too busy begins with the
        shortest again.
        """
        if self.resting:
            if ended_s < self._until_s:
                return False
            self.resting = False
            self._since_s, self._busy_s = ended_s, 0.0
            return True
        if begun_s - self._since_s > 2 * WINDOW_S:
            # Nothing for a while: not what has been busy.
            self._since_s, self._busy_s = begun_s, 0.0
        self._busy_s += ended_s - begun_s
        passed_s = ended_s - self._since_s
        if passed_s < WINDOW_S:
            return False
        busy = self._busy_s / passed_s
        self._since_s, self._busy_s = ended_s, 0.0
        if busy <= BUSY:
            self._rest_s = REST_S
            return False
        self.resting, self._until_s = True, ended_s + self._rest_s
        self._rest_s = min(2 * self._rest_s, REST_MAX_S)
        return True
