"""The hot, smoky layer under a ceiling: what fires, cooking and steam put there, and what an instrument meets in it."""

import math
from collections import deque
from dataclasses import dataclass, field

from simulators.fire import (
    AIR_DENSITY,
    AIR_HEAT,
    extinction_per_m,
    jet_lag_s,
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
_STRATIFIED_K = 2.0
"""Warmer than this, a layer stays above the room's air instead of mixing with it."""
_CEILING_W_M2_K43 = 1.52
"""Free convection to a ceiling, times the cube root of the temperature difference (Holman, Heat Transfer)."""
_SURFACE_EMISSIVITY = 0.9
_STEFAN_W_M2_K4 = 5.67e-8
_AMBIENT_K = 293.15
_HOTTEST_RISE_K = 1200.0
_AXIS_M = 0.05
"""Nearer to a fire's axis than this there is no difference."""
_LEAST_RISE_M = 0.3
"""The least height that a fire has above it, as on top of a high shelf."""
_DRAWS_NOT_M = 0.01
_APART_S, _UNDERWAY_S = 0.5, 60.0
"""How finely, and how long, is remembered what is on its way to the instruments."""
_STILL_AIR_M_S = 0.1


def loss_kw_m2_k(rise_k: float) -> float:
    """Return a layer's heat loss to ceiling and walls in kW/(m2 K): free convection, and radiation between surfaces.

    Near the 10 W/(m2 K) of EN ISO 6946 for a ceiling at room temperature, and 30 W/(m2 K) some 300 K above it. The
    layer is taken to radiate as surfaces do, and the walls to stay at the ambient temperature.

    >>> [round(1000 * loss_kw_m2_k(rise), 1) for rise in (10, 300)]
    [8.7, 27.9]
    """
    mean_k = _AMBIENT_K + max(rise_k, 0.0) / 2.0
    convected = _CEILING_W_M2_K43 * max(rise_k, 0.0) ** (1.0 / 3.0)
    return float(convected + 4.0 * _SURFACE_EMISSIVITY * _STEFAN_W_M2_K4 * mean_k**3) / 1000.0


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
        base_m: The height of what burns above the floor.
    """

    heat_kw: float = 0.0
    rising_kw: float = 0.0
    soot_kg_s: float = 0.0
    droplets_kg_s: float = 0.0
    co_m3_s: float = 0.0
    co2_m3_s: float = 0.0
    base_m: float = 0.0

    @property
    def any(self) -> bool:
        """Whether anything is released."""
        return self.heat_kw > 0.0 or self.soot_kg_s > 0.0 or self.droplets_kg_s > 0.0


@dataclass(frozen=True, slots=True)
class Gas:
    """A part of a layer on its way to another one: its volume, and what is in it as in `SmokeLayer`."""

    volume_m3: float
    heat_kj: float
    soot_kg: float
    droplets_kg: float
    co_m3: float
    co2_m3: float


_CONTENTS = ("heat_kj", "soot_kg", "droplets_kg", "co_m3", "co2_m3")


@dataclass(slots=True)
class SmokeLayer:
    """The layer of one room. Its contents are kept as amounts, so nothing appears or vanishes when it grows.

    An instrument under the ceiling meets the ceiling jet, which brings what the fire released `jet_lag_s` ago and has
    drawn in gas of the layer where it rose through it (the two layers of Evans 1984: what a plume draws in has the
    heat and smoke of the layer it is drawn from).

    Simplified on purpose: one temperature, ventilation removes the layer's contents at the room's mean concentration,
    the layer itself is fed without delay.

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
    _t_s: float = 0.0
    _past: deque[tuple[float, Emission]] = field(default_factory=deque)
    _arrived: dict[float, Emission] = field(default_factory=dict)

    @property
    def layer_m3(self) -> float:
        """The layer's volume."""
        return self.share * self.volume_m3

    @property
    def rise_k(self) -> float:
        """How much hotter than the ambient air the layer is."""
        return min(self.heat_kj / (AIR_DENSITY * AIR_HEAT * self.layer_m3), _HOTTEST_RISE_K)

    @property
    def edge_m(self) -> float:
        """The height of its lower edge above the floor."""
        return (1.0 - self.share) * self.height_m

    def taken(self, part: float) -> "Gas":
        """Take that part (0 to 1) of the layer out of it, and return it."""
        gas = Gas(
            self.layer_m3 * part,
            *(getattr(self, name) * part for name in _CONTENTS),
        )
        self._add(gas, -1.0)
        return gas

    def given(self, gas: "Gas") -> None:
        """Take in what flows from another room's layer."""
        self._add(gas, 1.0)

    def _add(self, gas: "Gas", sign: float) -> None:
        self.share = min(max(self.share + sign * gas.volume_m3 / self.volume_m3, _FIRST_LAYER), 1.0)
        for name in _CONTENTS:
            setattr(self, name, getattr(self, name) + sign * getattr(gas, name))

    def step(self, emission: Emission, air_m3_s: float, dt_s: float) -> None:
        """Advance by `dt_s` with constant emission and fresh air."""
        self.emission = emission
        self._remember(emission, dt_s)
        self._grow(emission, dt_s)
        keep = math.exp(-air_m3_s / self.volume_m3 * dt_s)
        self.soot_kg = self.soot_kg * keep + emission.soot_kg_s * dt_s
        self.co_m3 = self.co_m3 * keep + emission.co_m3_s * dt_s
        self.co2_m3 = self.co2_m3 * keep + emission.co2_m3_s * dt_s
        self.droplets_kg = self.droplets_kg * keep * math.exp(-dt_s / _DROPLET_S) + emission.droplets_kg_s * dt_s
        self._heat(emission, air_m3_s, dt_s)

    def _remember(self, emission: Emission, dt_s: float) -> None:
        """Keep what is on its way to the instruments: half a second apart, a minute at most."""
        self._t_s += dt_s
        self._arrived.clear()
        # The first step without emission is kept too: it ends what came before.
        ending = bool(self._past) and self._past[-1][1].any
        if (emission.any or ending) and (not self._past or self._t_s - self._past[-1][0] >= _APART_S):
            self._past.append((self._t_s, emission))
        while self._past and self._past[0][0] < self._t_s - _UNDERWAY_S:
            self._past.popleft()

    def arrived(self, radius_m: float) -> Emission:
        """Return the emission whose jet is at that distance now: that of `jet_lag_s` ago, none before the first."""
        if radius_m not in self._arrived:
            self._arrived[radius_m] = self._last_arrived(radius_m)
        return self._arrived[radius_m]

    def _last_arrived(self, radius_m: float) -> Emission:
        for then_s, emission in reversed(self._past):
            height_m = self._over_m(emission)
            # What smokes without heat hangs in the layer; nothing carries it to the ceiling faster.
            lag_s = jet_lag_s(emission.heat_kw, radius_m, height_m) if emission.heat_kw > 0.0 else 0.0
            if then_s + min(lag_s, _UNDERWAY_S - _APART_S) <= self._t_s:
                return emission
        return Emission()

    def _over_m(self, emission: Emission) -> float:
        return max(self.height_m - emission.base_m, _LEAST_RISE_M)

    def _grow(self, emission: Emission, dt_s: float) -> None:
        if emission.heat_kw > 0.0:
            floor_m2 = self.volume_m3 / self.height_m
            # Air is drawn in between the fire and the layer's edge; at the fire's base there is none left to draw.
            above_m = self.edge_m - emission.base_m
            if above_m > _DRAWS_NOT_M:
                edge = layer_height_m(above_m, emission.heat_kw, floor_m2, dt_s) + emission.base_m
                self.share = min(1.0 - edge / self.height_m, 1.0)
        elif self.rise_k > _STRATIFIED_K:
            return
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
        rate = (loss_kw_m2_k(self.rise_k) * walls_m2 + AIR_DENSITY * AIR_HEAT * air_m3_s * self.share) / capacity
        steady = emission.rising_kw / rate
        self.heat_kj = steady + (self.heat_kj - steady) * math.exp(-rate * dt_s)

    def reaches(self, height_m: float) -> bool:
        """Whether an instrument at that height hangs in the layer."""
        return height_m >= (1.0 - self.share) * self.height_m

    def rise_at(self, height_m: float, radius_m: float) -> float:
        """Return how much hotter than the ambient air it is at an instrument: layer or ceiling jet, the hotter one."""
        if not self.reaches(height_m):
            return 0.0
        return min(self._jet_k(radius_m) + self._drawn(radius_m) * self.rise_k, _HOTTEST_RISE_K)

    def speed_at(self, radius_m: float) -> float:
        """Return the speed of the air under the ceiling in m/s; in a still room that of a draught."""
        jet = self.arrived(radius_m)
        if jet.heat_kw <= 0.0:
            return _STILL_AIR_M_S
        return max(jet_speed_m_s(jet.heat_kw, max(radius_m, _AXIS_M), self._over_m(jet)), _STILL_AIR_M_S)

    def extinction_at(self, height_m: float, radius_m: float) -> float:
        """Return the extinction coefficient of the air at an instrument in 1/m."""
        if not self.reaches(height_m):
            return 0.0
        jet = self.arrived(radius_m)
        soot = self._mixed(self.soot_kg, jet.soot_kg_s, radius_m)
        fog = self._mixed(self.droplets_kg, jet.droplets_kg_s, radius_m)
        return extinction_per_m(soot) + extinction_per_m(fog, DROPLET_M2_KG)

    def co_vol_at(self, height_m: float, radius_m: float) -> float:
        """Return the fire's carbon monoxide at an instrument in %VOL."""
        return self._vol(self.co_m3, self.arrived(radius_m).co_m3_s, height_m, radius_m)

    def co2_vol_at(self, height_m: float, radius_m: float) -> float:
        """Return the fire's carbon dioxide at an instrument in %VOL."""
        return self._vol(self.co2_m3, self.arrived(radius_m).co2_m3_s, height_m, radius_m)

    def _vol(self, amount_m3: float, source_m3_s: float, height_m: float, radius_m: float) -> float:
        if not self.reaches(height_m):
            return 0.0
        return min(100.0 * self._mixed(amount_m3, source_m3_s, radius_m), 100.0)

    def _mixed(self, amount: float, source_s: float, radius_m: float) -> float:
        """Return the concentration in the jet: what the source adds, and what was drawn in from the layer.

        Smoke and heat are diluted alike on their way, so their ratio stays (the temperature analogy, Heskestad).
        """
        jet, brought = self.arrived(radius_m), 0.0
        if jet.rising_kw > 0.0:
            brought = source_s * AIR_DENSITY * AIR_HEAT * self._jet_k(radius_m) / jet.rising_kw
        return amount / self.layer_m3 * self._drawn(radius_m) + brought

    def _jet_k(self, radius_m: float) -> float:
        jet = self.arrived(radius_m)
        if jet.rising_kw <= 0.0:
            return 0.0
        return min(jet_rise_k(jet.rising_kw, max(radius_m, _AXIS_M), self._over_m(jet)), _HOTTEST_RISE_K)

    def _drawn(self, radius_m: float) -> float:
        """Return how much of the gas at an instrument was drawn in from the layer, the rest being from below it.

        A plume's flow grows with the height to the power of 5/3, so what it has drawn from below the layer is a part
        of what arrives at the ceiling; on the way along the ceiling that part is diluted as its heat is.
        """
        jet = self.arrived(radius_m)
        if jet.rising_kw <= 0.0:
            return 1.0
        over_m = self._over_m(jet)
        at_axis, here = (jet_rise_k(1.0, radius, over_m) for radius in (0.0, max(radius_m, _AXIS_M)))
        below = min(max((self.edge_m - jet.base_m) / over_m, 0.0), 1.0) ** (5.0 / 3.0)
        return float(1.0 - below * here / at_axis)
