"""How an instrument misbehaves on its bus: silent, late, lossy, garbled, refusing."""

from dataclasses import dataclass

import numpy as np

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
    """

    silent: bool = False
    lost: float = 0.0
    late: float = 0.0
    late_s: float = 0.0
    garbled: float = 0.0
    refused: float = 0.0
    code: int = 4

    @property
    def odd(self) -> bool:
        """Whether anything is wrong at all."""
        return self.silent or self.lost + self.late + self.garbled + self.refused > 0.0

    def delay_s(self, rng: np.random.Generator) -> float:
        """Return how late the next answer comes, 0 for at once, or `SILENT`."""
        if self.silent or rng.random() < self.lost:
            return SILENT
        return self.late_s if rng.random() < self.late else 0.0

    def garbles(self, rng: np.random.Generator) -> bool:
        """Return whether the next answer is garbled."""
        return rng.random() < self.garbled

    def refuses(self, rng: np.random.Generator) -> bool:
        """Return whether the next request is refused with `code`."""
        return rng.random() < self.refused
