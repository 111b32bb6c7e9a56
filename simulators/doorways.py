"""Openings between rooms: hot smoke flows over from one room's layer into the next one's, where it is lighter."""

import math
from dataclasses import dataclass

from simulators.fire import AIR_DENSITY
from simulators.smoke import SmokeLayer

AIR_KELVIN = 293.15
GRAVITY_M_S2 = 9.81
DISCHARGE = 0.68
"""Of gas through a doorway (Steckler, Quintiere and Rinkinen 1982: 0.68 to 0.73)."""
_SLABS = 10
_STEP_SHARE_MAX = 0.2
"""Of a layer that may leave in one step, so that long steps do not empty it."""


@dataclass(slots=True)
class Doorway:
    """An opening from the floor to `height_m`, `width_m` wide, between two rooms with like air.

    Both rooms' air is lighter inside their layers and equal below them, so that the pressures differ by what the layers
    weigh less: zone models' way of door flows (Rockett 1976; Emmons, SFPE Handbook), with the pressures taken as equal
    below both layers. What flows over is made up for by clean air along the floor, and draws no air into itself on its
    way (no door plume).

    Args:
        one: A room's layer.
        other: The next room's layer.
        width_m: The opening's width.
        height_m: Its upper edge above the floor; what hangs above it stays.
    """

    one: SmokeLayer
    other: SmokeLayer
    width_m: float
    height_m: float

    def step(self, dt_s: float) -> None:
        """Move smoke for `dt_s`, in both directions where the layers differ so."""
        to_other, to_one = self.flows_m3_s()
        if to_other > 0.0 or to_one > 0.0:
            moved = min(to_other * dt_s / self.one.layer_m3, _STEP_SHARE_MAX)
            returned = min(to_one * dt_s / self.other.layer_m3, _STEP_SHARE_MAX)
            out, back = self.one.taken(moved), self.other.taken(returned)
            self.other.given(out)
            self.one.given(back)

    def flows_m3_s(self) -> tuple[float, float]:
        """Return how much of the first layer's gas flows to the second room, and of the second's to the first."""
        edges = self.one.edge_m, self.other.edge_m
        lowest = min(edges)
        if lowest >= self.height_m:
            return 0.0, 0.0
        density = _density(self.one.rise_k), _density(self.other.rise_k)
        thick, pressure, flows = (self.height_m - lowest) / _SLABS, 0.0, [0.0, 0.0]
        for slab in range(_SLABS):
            middle = lowest + (slab + 0.5) * thick
            inside = [middle >= edge for edge in edges]
            here = [density[k] if inside[k] else AIR_DENSITY for k in (0, 1)]
            half = GRAVITY_M_S2 * (here[1] - here[0]) * thick / 2.0
            pressure += half
            source = 0 if pressure > 0.0 else 1
            if inside[source]:
                speed = math.sqrt(2.0 * abs(pressure) / here[source])
                flows[source] += DISCHARGE * self.width_m * thick * speed
            pressure += half
        return flows[0], flows[1]


def _density(rise_k: float) -> float:
    return AIR_DENSITY * AIR_KELVIN / (AIR_KELVIN + rise_k)
