"""How far each head of a group has risen over several spans of time, and what its climate did meanwhile.

>>> import numpy as np
>>> from gateway.core.model import Channel, Rule
>>> from gateway.core.plugin import PluginOptions
>>> channels = Channel(0, "g.ch4", "g", "ch4"), Channel(1, "t.temperature", "t", "temperature")
>>> rules = [Rule(0, "leak", "leak", channels, PluginOptions(), group=True)]
>>> rises = Rises(rules, np.array([10, 10]) * 1_000_000_000, [("temperature",)])
>>> rises.head[0].tolist()
[True, False]
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.parts.bank import Mask, Slots
from detectors.parts.trails import Means, Trails, middle, rise
from gateway.core.model import Float64, Int64, Rule

CELLS: Final = 208
"""Cells of time a head: enough for the longest span and the climate's lag."""
LONG_CELL: Final = 30
"""Cells of time that make one of the long trail."""
LONG_CELLS: Final = 40
FINE: Final = ((3, 6, 30), (6, 12, 48), (12, 30, 90), (30, 90, 180))
"""In cells: how many make the present, and where the past begins and ends."""
LONG: Final = (3, 12, 36)
"""The same in cells of the long trail."""
SPANS: Final = len(FINE) + 1
REACH: Final = np.array([*(end for _, _, end in FINE), LONG[-1] * LONG_CELL])
"""How many cells each span reaches back."""
FAST, MIDDLE, SLOW = 0, 2, 3
LAGS: Final = (1, 25)
"""How many cells ago the climate is looked at, as a head's body follows it slowly. Never 0: the climate's latest cell
may not be closed yet when a head's is."""
CLIMATE_MAX: Final = 3
"""The most quantities of the climate that are taken into account."""
FEATURES: Final = CLIMATE_MAX * len(LAGS)
_PAST: Final = np.array([(late + gap, late + end) for _, gap, end in FINE for late in LAGS])
_RECENT: Final = np.array([(late, late + recent) for recent, _, _ in FINE[1:] for late in LAGS])
"""From which cell to which the climate's past and present reach, a span and a lag each."""


class Look(NamedTuple):
    """What some heads show at the end of a cell; NaN where too little was read.

    Attributes:
        number: int64[n], the cell that begins now.
        now: float64[n], the present level.
        rise: float64[n, SPANS], how far it is above the past of each span.
        before: float64[n, SPANS], that past's level.
        climate_now: float64[n, FEATURES], the climate; 0 for what the group does not measure.
        climate_rise: float64[n, SPANS, FEATURES], how far it has risen.
        climate_before: float64[n, SPANS, FEATURES], the climate of the past.
        level: float64[n], the level of the last quarter of an hour, in cells of the long trail.
    """

    number: Int64
    now: Float64
    rise: Float64
    before: Float64
    climate_now: Float64
    climate_rise: Float64
    climate_before: Float64
    level: Float64

    def of(self, heads: Mask | Slots) -> "Look":
        """Return what some of the heads show."""
        return Look(
            self.number[heads],
            self.now[heads],
            self.rise[heads],
            self.before[heads],
            self.climate_now[heads],
            self.climate_rise[heads],
            self.climate_before[heads],
            self.level[heads],
        )


class Rises:
    """The trails of all members, heads and climate alike.

    Args:
        rules: The rules.
        cell_ns: int64[rules + 1], the length of each rule's cells.
        climate: For each rule the quantities that belong to the climate, at most `CLIMATE_MAX`.

    Attributes:
        head: bool[rules + 1, width], which members are heads.
        fine: Their cells.
        long: The same, `LONG_CELL` times as long.
    """

    def __init__(self, rules: Sequence[Rule], cell_ns: Int64, climate: Sequence[Sequence[str]]) -> None:
        width = max((len(rule.channels) for rule in rules), default=1)
        self.fine, self.long = Trails(cell_ns, width, CELLS), Trails(cell_ns * LONG_CELL, width, LONG_CELLS)
        self.head: Mask = np.zeros((len(rules) + 1, width), np.bool_)
        self._climate: Slots = np.full((len(rules) + 1, width, CLIMATE_MAX), -1, np.intp)
        for slot, (rule, quantities) in enumerate(zip(rules, climate, strict=True)):
            for place, channel in enumerate(rule.channels):
                self.head[slot, place] = channel.quantity not in quantities
                self._climate[slot, place, : len(quantities)] = [_nearest(rule, place, name) for name in quantities]

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the state, for `Judge.columns`."""
        return {**self.fine.columns("fine"), **self.long.columns("long")}

    def close(self, slots: Slots, places: Slots, time_ns: Int64, value: Float64) -> Mask:
        """Close cells of the fine trail, hand them on to the long one, and return where a cell is known."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.fine.total[slots, places] / self.fine.count[slots, places]
        known = self.fine.close(slots, places, time_ns, value)
        at = np.flatnonzero(known)
        ended = self.long.add(slots[at], places[at], time_ns[at], mean[at])
        if len(ended):
            at = at[ended]
            self.long.close(slots[at], places[at], time_ns[at], mean[at])
        return known

    def look(self, slots: Slots, places: Slots) -> Look:
        """Return what these heads show now."""
        number = self.fine.number[slots, places]
        cells = self.fine.back(slots, places, number)
        far = self.long.back(slots, places, self.long.number[slots, places])
        found = [rise(cells, *span) for span in FINE] + [rise(far, *LONG)]
        climate = [self._climate_of(slots, places, k) for k in range(CLIMATE_MAX)]
        return Look(
            number,
            middle(cells[:, : FINE[0][0]], 0.5),
            np.stack([each for each, _ in found], axis=1),
            np.stack([before for _, before in found], axis=1),
            np.concatenate([now for now, _, _ in climate], axis=1),
            np.concatenate([up for _, up, _ in climate], axis=2),
            np.concatenate([before for _, _, before in climate], axis=2),
            middle(far[:, :3], 0.5),
        )

    def _climate_of(self, slots: Slots, places: Slots, k: int) -> tuple[Float64, Float64, Float64]:
        """Return the k-th quantity now, its rises, and what it was before, each with its lags last."""
        there, n = self._climate[slots, places, k], len(slots)
        now, up, before = np.zeros((n, len(LAGS))), np.zeros((n, SPANS, len(LAGS))), np.zeros((n, SPANS, len(LAGS)))
        some = np.flatnonzero(there >= 0)
        if len(some):
            # The heads of an area look at one and the same climate: it is worked out once.
            key = np.stack([slots[some], there[some], self.fine.number[slots[some], places[some]]])
            one, of = np.unique(key, axis=1, return_inverse=True)
            heads = some[np.unique(of, return_index=True)[1]]
            found = self._climate_at(one[0], one[1], one[2], self.long.number[slots[heads], places[heads]])
            now[some], up[some], before[some] = (column[of] for column in found)
        return now, up, before

    def _climate_at(
        self, slots: Slots, there: Slots, number: Int64, far_number: Int64
    ) -> tuple[Float64, Float64, Float64]:
        cells = self.fine.back_from(slots, there, number)
        long, long_before = rise(self.long.back_from(slots, there, far_number), *LONG)
        # Means will do, but for the present, in which one wild reading would count: sums serve all spans at once.
        past, recent = Means(cells, _PAST), Means(cells, _RECENT)
        now = np.stack([middle(cells[:, late : late + FINE[0][0]], 0.5) for late in LAGS], axis=1)
        present = np.concatenate([now[:, None], recent.found.reshape(len(now), len(FINE) - 1, len(LAGS))], axis=1)
        before = past.found.reshape(len(now), len(FINE), len(LAGS))
        each = len(LAGS)
        up = np.concatenate([present - before, np.repeat(long[:, None, None], each, axis=2)], axis=1)
        before = np.concatenate([before, np.repeat(long_before[:, None, None], each, axis=2)], axis=1)
        return now, up, before

    def forget(self, slot: int, place: int, first: int, end: int) -> None:
        """Empty a member's cells from number `first` to before `end`, as if nothing had been read."""
        self.fine.forget(slot, place, first, end)
        self.long.forget(slot, place, first // LONG_CELL, end // LONG_CELL + 1)

    def begin_anew(self, slots: Slots, places: Slots) -> None:
        """Forget all that these members have read: somebody's hands were on the instrument."""
        for trails in (self.fine, self.long):
            trails.begin_anew(slots, places)


def _nearest(rule: Rule, place: int, quantity: str) -> int:
    """Return the member that measures a quantity of the climate for another one: of the same instrument, else any."""
    found = [k for k, channel in enumerate(rule.channels) if channel.quantity == quantity]
    own = [k for k in found if rule.channels[k].instrument == rule.channels[place].instrument]
    return (own or found or [-1])[0]
