"""Who an instrument is: what it calls itself, and which profiles' fingerprints its registers carry."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from drivers.modbus.frames import BIT_FUNCTIONS, FUNCTIONS, Request
from drivers.modbus.link import Miss
from drivers.modbus.survey.bus import ModbusBus
from gateway.core.commissioning import Fingerprint, Found, Mark

QUESTIONS_MAX = 60
"""Questions to one instrument; the fingerprints that say most come first."""

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


async def identify(bus: ModbusBus, found: Found, fingerprints: Sequence[Fingerprint]) -> Found:
    """Return a find with what the instrument calls itself and the profiles that fit it, best first."""
    itself = await bus.identify(found.unit)
    marks = Marks(bus, found.unit)
    fitting: list[tuple[int, bool, str]] = []
    for fingerprint in sorted(fingerprints, key=lambda each: -each.weight):
        if fingerprint.weight and _is_called(itself, fingerprint.identification):
            fits = [await marks.fits(mark) for mark in fingerprint.marks]
            if all(fits):
                at_home = found.line is not None and fingerprint.line == found.line
                fitting.append((-fingerprint.weight, not at_home, fingerprint.profile))
    note = "went silent while it was asked who it is" if marks.silent else found.note
    profiles = tuple(profile for _, _, profile in sorted(fitting))
    return replace(found, identification=itself, profiles=profiles, note=note)


def _is_called(itself: Mapping[str, str], patterns: Mapping[str, str]) -> bool:
    return all(name in itself and re.search(pattern, itself[name]) for name, pattern in patterns.items())
