"""The hot, smoky layer under a ceiling: what fires, cooking and steam put there, and what an instrument meets in it."""

import math
from dataclasses import dataclass, field

from simulators.fire import (
    AIR_DENSITY,
    AIR_HEAT,
    extinction_per_m,
    jet_rise_k,
    jet_speed_m_s,
    layer_height_m,
)

DROPLET_M2_KG = 300.0
"""Extinction of light by fog: 3/(2 rho r) for droplets of 5 µm."""
_FIRST_LAYER = 0.05
"""Share of the height that the ceiling jet takes at once."""
_MIX_S = 120.0
"""How fast a layer without a fire under it mixes down into the room."""
_DROPLET_S = 30.0
"""How fast fog evaporates."""
_WALL_KW_M2_K = 0.03
"""Heat loss to plaster and brick."""
_HOTTEST_RISE_K = 1200.0
_STILL_AIR_M_S = 0.1


@dataclass(slots=True)
class Emission:
    """What all sources of a room release now.

    Attributes:
        heat_kw: Total heat.
        rising_kw: The part that rises.
        soot_kg_s: Soot, or the aerosol of frying and smouldering.
        droplets_kg_s: Fog.
        co_m3_s: Carbon monoxide.
        co2_m3_s: Carbon dioxide.
    """

    heat_kw: float = 0.0
    rising_kw: float = 0.0
    soot_kg_s: float = 0.0
    droplets_kg_s: float = 0.0
    co_m3_s: float = 0.0
    co2_m3_s: float = 0.0

    @property
    def any(self) -> bool:
        """Whether anything is released."""
        return self.heat_kw > 0.0 or self.soot_kg_s > 0.0 or self.droplets_kg_s > 0.0


@dataclass(slots=True)
class SmokeLayer:
    """The layer of one room. Its contents are kept as amounts, so nothing appears or vanishes when it grows.

    Simplified on purpose: one temperature, ventilation removes the layer's contents at the room's mean concentration,
    the ceiling jet reaches an instrument without delay.

    Args:
        volume_m3: The room's volume.
        height_m: The room's height.

    Attributes:
        share: The part of the room's height that the layer fills.
        heat_kj: Heat above the room's temperature.
        soot_kg: Soot in it.
        droplets_kg: Fog in it.
        co_m3: Carbon monoxide in it.
        co2_m3: Carbon dioxide in it.
        emission: What feeds it.
    """

    volume_m3: float
    height_m: float
    share: float = _FIRST_LAYER
    heat_kj: float = 0.0
    soot_kg: float = 0.0
    droplets_kg: float = 0.0
    co_m3: float = 0.0
    co2_m3: float = 0.0
    emission: Emission = field(default_factory=Emission)

    @property
    def layer_m3(self) -> float:
        """The layer's volume."""
        return self.share * self.volume_m3

    @property
    def rise_k(self) -> float:
        """How much hotter than the ambient air the layer is."""
        return min(self.heat_kj / (AIR_DENSITY * AIR_HEAT * self.layer_m3), _HOTTEST_RISE_K)

    def step(self, emission: Emission, air_m3_s: float, dt_s: float) -> None:
        """Advance by `dt_s` with constant emission and fresh air."""
        self.emission = emission
        self._grow(emission, dt_s)
        keep = math.exp(-air_m3_s / self.volume_m3 * dt_s)
        self.soot_kg = self.soot_kg * keep + emission.soot_kg_s * dt_s
        self.co_m3 = self.co_m3 * keep + emission.co_m3_s * dt_s
        self.co2_m3 = self.co2_m3 * keep + emission.co2_m3_s * dt_s
        self.droplets_kg = self.droplets_kg * keep * math.exp(-dt_s / _DROPLET_S) + emission.droplets_kg_s * dt_s
        self._heat(emission, air_m3_s, dt_s)

    def _grow(self, emission: Emission, dt_s: float) -> None:
        if emission.heat_kw > 0.0:
            floor_m2 = self.volume_m3 / self.height_m
            edge = layer_height_m(max(1.0 - self.share, 1e-3) * self.height_m, emission.heat_kw, floor_m2, dt_s)
            self.share = min(1.0 - edge / self.height_m, 1.0)
        elif emission.any or self._visible():
            self.share = 1.0 - (1.0 - self.share) * math.exp(-dt_s / _MIX_S)
        else:
            self.share = _FIRST_LAYER

    def _visible(self) -> bool:
        return self.heat_kj > 1.0 or self.soot_kg > 1e-9 or self.droplets_kg > 1e-9 or self.co_m3 > 1e-9

    def _heat(self, emission: Emission, air_m3_s: float, dt_s: float) -> None:
        floor_m2 = self.volume_m3 / self.height_m
        # Ceiling and the walls beside the layer of a square room.
        walls_m2 = floor_m2 + 4.0 * math.sqrt(floor_m2) * self.share * self.height_m
        capacity = AIR_DENSITY * AIR_HEAT * self.layer_m3
        rate = (_WALL_KW_M2_K * walls_m2 + AIR_DENSITY * AIR_HEAT * air_m3_s * self.share) / capacity
        steady = emission.rising_kw / rate
        self.heat_kj = steady + (self.heat_kj - steady) * math.exp(-rate * dt_s)

    def reaches(self, height_m: float) -> bool:
        """Whether an instrument at that height hangs in the layer."""
        return height_m >= (1.0 - self.share) * self.height_m

    def rise_at(self, height_m: float, radius_m: float) -> float:
        """Return how much hotter than the ambient air it is at an instrument: layer or ceiling jet, the hotter one."""
        if not self.reaches(height_m):
            return 0.0
        return max(self.rise_k, self._jet_k(radius_m))

    def speed_at(self, radius_m: float) -> float:
        """Return the speed of the air under the ceiling in m/s; in a still room that of a draught."""
        if self.emission.heat_kw <= 0.0:
            return _STILL_AIR_M_S
        return max(jet_speed_m_s(self.emission.heat_kw, max(radius_m, 0.05), self.height_m), _STILL_AIR_M_S)

    def extinction_at(self, height_m: float, radius_m: float) -> float:
        """Return the extinction coefficient of the air at an instrument in 1/m."""
        if not self.reaches(height_m):
            return 0.0
        dilution = self._jet_m3_s(radius_m)
        soot = max(self.soot_kg / self.layer_m3, self.emission.soot_kg_s * dilution)
        fog = max(self.droplets_kg / self.layer_m3, self.emission.droplets_kg_s * dilution)
        return extinction_per_m(soot) + extinction_per_m(fog, DROPLET_M2_KG)

    def co_vol_at(self, height_m: float, radius_m: float) -> float:
        """Return the fire's carbon monoxide at an instrument in %VOL."""
        return self._vol(self.co_m3, self.emission.co_m3_s, height_m, radius_m)

    def co2_vol_at(self, height_m: float, radius_m: float) -> float:
        """Return the fire's carbon dioxide at an instrument in %VOL."""
        return self._vol(self.co2_m3, self.emission.co2_m3_s, height_m, radius_m)

    def _vol(self, amount_m3: float, source_m3_s: float, height_m: float, radius_m: float) -> float:
        if not self.reaches(height_m):
            return 0.0
        return min(100.0 * max(amount_m3 / self.layer_m3, source_m3_s * self._jet_m3_s(radius_m)), 100.0)

    def _jet_k(self, radius_m: float) -> float:
        if self.emission.rising_kw <= 0.0:
            return 0.0
        rise = jet_rise_k(self.emission.rising_kw, max(radius_m, 0.05), self.height_m)
        return min(rise, _HOTTEST_RISE_K)

    def _jet_m3_s(self, radius_m: float) -> float:
        """Return what a source strength is multiplied with to be a concentration in the jet.

        Smoke and heat are diluted alike on their way, so their ratio stays (the temperature analogy, Heskestad).
        """
        if self.emission.rising_kw <= 0.0:
            return 0.0
        return AIR_DENSITY * AIR_HEAT * self._jet_k(radius_m) / self.emission.rising_kw
