"""How an instrument misbehaves on its bus: silent, late, lossy, garbled, refusing."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulators.functions import READS, refusal

SILENT = -1.0
"""What `delay_s` returns for an answer that never comes."""


@dataclass(slots=True)
class Behaviour:
    """Present misbehaviour of one instrument; the timeline sets it, the buses ask it.

    Attributes:
        silent: Answers nothing.
        lost: Share of the answers that never come.
        late: Share that comes late, by `late_s`.
        garbled: Share that is garbled; over TCP and MQTT, whose transport would repair that, it is lost.
        refused: Share that is answered with the exception `code`.
        wrong: Share of the answers that are another's: of another unit, function, length or transaction.
        slow_s: How long it thinks before every answer.
        repeated: Share of the messages that are published twice.
    """

    silent: bool = False
    lost: float = 0.0
    late: float = 0.0
    late_s: float = 0.0
    garbled: float = 0.0
    refused: float = 0.0
    code: int = 4
    wrong: float = 0.0
    slow_s: float = 0.0
    repeated: float = 0.0

    @property
    def odd(self) -> bool:
        """Whether anything is wrong at all."""
        return self.silent or self.lost + self.late + self.garbled + self.refused + self.wrong + self.slow_s > 0.0

    def delay_s(self, rng: np.random.Generator) -> float:
        """Return how late the next answer comes, 0 for at once, or `SILENT`."""
        if self.silent or rng.random() < self.lost:
            return SILENT
        return self.slow_s + (self.late_s if rng.random() < self.late else 0.0)

    def garbles(self, rng: np.random.Generator) -> bool:
        """Return whether the next answer is garbled."""
        return rng.random() < self.garbled

    def refuses(self, rng: np.random.Generator) -> bool:
        """Return whether the next request is refused with `code`."""
        return rng.random() < self.refused

    def reply(
        self, unit: int, request: bytes, answer: Callable[[], bytes], rng: np.random.Generator
    ) -> tuple[float, int, bytes] | None:
        """Return when, as which unit and with what an instrument answers that misbehaves; None for silence.

        Args:
            unit: Who is asked.
            request: The request's PDU.
            answer: What it would say; not called where it does not act on the request either.
            rng: Source of chance.
        """
        if self.silent:
            return None
        said = refusal(request[0] if request else 0, self.code) if self.refuses(rng) else answer()
        delay_s = self.delay_s(rng)
        if delay_s == SILENT:
            return None
        if rng.random() < self.wrong:
            unit, said = _mistaken(unit, said, rng)
        return delay_s, unit, said


def _mistaken(unit: int, pdu: bytes, rng: np.random.Generator) -> tuple[int, bytes]:
    """Return an answer that is sound in itself and answers something else: another unit, function or length."""
    kind = int(rng.integers(3))
    if kind == 0:
        return unit, bytes((pdu[0] ^ 0x07,)) + pdu[1:]
    if kind == 1 and pdu[0] in READS and len(pdu) >= 6:
        return unit, bytes((pdu[0], pdu[1] - 2)) + pdu[2:-2]
    return unit % 247 + 1, pdu
