"""Who an instrument is: what it calls itself, and which profiles' fingerprints its registers carry."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from drivers.modbus.frames import BIT_FUNCTIONS, FUNCTIONS, Request
from drivers.modbus.link import Miss
from drivers.modbus.survey.bus import ModbusBus
from gateway.core.commissioning import Fingerprint, Found, Mark

QUESTIONS_MAX = 60
"""Questions to one instrument; the fingerprints that say most come first."""
SURE_BITS = 7.0
"""A fingerprint that one in 128 other instruments would carry by chance is believed; a weaker one is a suggestion."""
LEAD_BITS = 3.0
"""By so much the best has to be ahead of the next."""
ITSELF_BITS = 20.0
"""What an instrument calls itself is no chance."""
NOUGHT, SMALL, SMALL_MAX = 0.3, 0.4, 1000
"""How often a register of some other instrument holds 0, or a number up to 1000, of which the smaller are commoner."""
ANSWERS = 0.6
"""How often some other instrument answers for a register at all, and does not refuse it."""

Key = tuple[str, int, int]


class Marks:
    """Registers of one instrument, each asked for once."""

    def __init__(self, bus: ModbusBus, unit: int) -> None:
        self._bus = bus
        self._unit = unit
        self._known: dict[Key, tuple[int, ...] | None] = {}
        self.silent = False

    async def fits(self, mark: Mark) -> bool:
        """Return whether the instrument carries a mark; one that has become silent carries none."""
        key = (mark.table, mark.address, mark.count)
        if key not in self._known:
            self._known[key] = await self._ask(key)
        words = self._known[key]
        return words is not None and mark.fits(words)

    async def _ask(self, key: Key) -> tuple[int, ...] | None:
        table, address, count = key
        if self.silent or len(self._known) >= QUESTIONS_MAX:
            return None
        function = FUNCTIONS[table]
        answer = await self._bus.ask(Request(self._unit, function, address, count))
        if isinstance(answer, Miss):
            # An instrument that is silent about what it does not have would cost a time-out for every mark.
            self.silent = True
        if not isinstance(answer, bytes):
            return None
        if function in BIT_FUNCTIONS:
            return tuple(answer[i // 8] >> i % 8 & 1 for i in range(count))
        return tuple(answer[i] << 8 | answer[i + 1] for i in range(0, 2 * count, 2))


def bits(fingerprint: Fingerprint) -> float:
    """Return how much a fit says, in bits: how rarely an instrument of another kind would fit by chance."""
    return ITSELF_BITS * len(fingerprint.identification) - sum(
        mark.count * math.log2(_chance(mark)) for mark in fingerprint.marks
    )


def _chance(mark: Mark) -> float:
    """Return how often a register of some other instrument would fit."""
    if not mark.spans:
        return ANSWERS
    chance = 0.0
    whole = math.log(SMALL_MAX + 1)
    for low, high in mark.spans:
        chance += NOUGHT * (low == 0) + (1 - NOUGHT - SMALL) * (high - low + 1) / 65536
        # Numbers from 1 on, each half as common as the one of half its size.
        first, last = max(low, 1), min(high, SMALL_MAX)
        if first <= last:
            chance += SMALL * math.log((last + 1) / first) / whole
    return ANSWERS * min(1.0, chance)


async def identify(bus: ModbusBus, found: Found, fingerprints: Sequence[Fingerprint]) -> Found:
    """Return a find with what the instrument calls itself and the profiles that fit it, best first."""
    itself = await bus.identify(found.unit)
    marks = Marks(bus, found.unit)
    fitting: list[tuple[float, bool, str]] = []
    for fingerprint in sorted(fingerprints, key=lambda each: -bits(each)):
        has_any = fingerprint.marks or fingerprint.identification
        if has_any and _is_called(itself, fingerprint.identification):
            fits = [await marks.fits(mark) for mark in fingerprint.marks]
            if all(fits):
                at_home = found.line is not None and fingerprint.line == found.line
                fitting.append((-bits(fingerprint), not at_home, fingerprint.profile))
    fitting.sort()
    best = -fitting[0][0] if fitting else 0.0
    next_best = -fitting[1][0] if len(fitting) > 1 else 0.0
    return replace(
        found,
        identification=itself,
        profiles=tuple(profile for _, _, profile in fitting),
        sure=best >= SURE_BITS and best >= next_best + LEAD_BITS,
        note="went silent while it was asked who it is" if marks.silent else found.note,
    )


def _is_called(itself: Mapping[str, str], patterns: Mapping[str, str]) -> bool:
    return all(name in itself and re.search(pattern, itself[name]) for name, pattern in patterns.items())
