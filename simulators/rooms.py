"""A room or an open area of the plant: its air, what is released into it, and what is true at an instrument there."""

import math
from dataclasses import dataclass

import numpy as np

from simulators.fire import FUELS, OXYGEN_MJ_KG, growing_kw, obscuration_per_m, optical_density_per_m
from simulators.gases import GASES, in_unit
from simulators.leak import volume_m3_s
from simulators.mixing import Ambient, mixed, saturation_g_m3
from simulators.smoke import Emission, SmokeLayer

_OXYGEN = "o2"
_OXYGEN_KG_M3 = 1.33
_SMOTHERED_VOL, _FREE_VOL = 12.0, 15.0
"""Oxygen between which flames die down in a closed room."""
_QUENCH_S = 15.0
"""How fast a fire dies once it is put out."""
_FOG_SHARE = 0.01
"""Share of boiling steam that reaches the ceiling as droplets."""


@dataclass(slots=True)
class Leak:
    """Gas let out at a rate that grows to `flow_m3_s` over `grow_s` and ends at `stop_s`."""

    gas: str
    flow_m3_s: float
    start_s: float
    grow_s: float = 0.0
    stop_s: float = math.inf

    def at(self, t_s: float) -> float:
        """Return the flow in m3/s at second `t_s`."""
        if not self.start_s <= t_s < self.stop_s:
            return 0.0
        return self.flow_m3_s * (min((t_s - self.start_s) / self.grow_s, 1.0) if self.grow_s > 0.0 else 1.0)


@dataclass(slots=True)
class Fire:
    """A fire that grows with the square of time and dies within a minute of being put out at `stop_s`."""

    alpha_kw_s2: float
    peak_kw: float
    fuel: str
    start_s: float
    stop_s: float = math.inf

    def at(self, t_s: float) -> float:
        """Return the heat release in kW at second `t_s` with enough air."""
        if t_s < self.start_s:
            return 0.0
        burning = growing_kw(self.alpha_kw_s2, min(t_s, self.stop_s) - self.start_s, self.peak_kw)
        dying = max(t_s - self.stop_s, 0.0)
        return burning * math.exp(-dying / _QUENCH_S) if dying < 10.0 * _QUENCH_S else 0.0


@dataclass(slots=True)
class Nuisance:
    """Cooking, welding, a shower: smoke-like and harmless, from `start_s` to `stop_s`."""

    start_s: float
    stop_s: float
    heat_kw: float = 0.0
    aerosol_mg_s: float = 0.0
    co_mg_s: float = 0.0
    steam_g_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Spot:
    """Where in its room an instrument sits: height above the floor, distance from whatever burns."""

    height_m: float
    radius_m: float


class Room:
    """One well-mixed room with a smoke layer; an open area is a room with many air changes.

    Args:
        volume_m3: Its volume.
        height_m: Its height.
        air_changes_per_h: Fresh air in room volumes an hour.
        ambient: The air that comes in.
        warmer_k: How much warmer than the ambient air it is kept (a boiler room).

    Attributes:
        vol: %VOL of each gas, in the order of `GASES`.
        leaks, fires, nuisances: What is released; the timeline adds to them.
    """

    def __init__(
        self, volume_m3: float, height_m: float, air_changes_per_h: float, ambient: Ambient, warmer_k: float = 0.0
    ) -> None:
        self.volume_m3, self.height_m, self.air_changes_per_h = volume_m3, height_m, air_changes_per_h
        self._ambient, self._warmer_k = ambient, warmer_k
        self._index = {gas: place for place, gas in enumerate(GASES)}
        self._background = np.array([gas.background_vol for gas in GASES.values()])
        self.vol = self._background.copy()
        self.vapour_g_m3 = ambient.vapour_g_m3
        self.layer = SmokeLayer(volume_m3, height_m)
        self.leaks: list[Leak] = []
        self.fires: list[Fire] = []
        self.nuisances: list[Nuisance] = []

    @property
    def air_m3_s(self) -> float:
        """Fresh air."""
        return self.air_changes_per_h * self.volume_m3 / 3600.0

    @property
    def temperature_c(self) -> float:
        """Of the room's lower part."""
        return self._ambient.temperature_c + self._warmer_k

    def step(self, t_s: float, dt_s: float) -> None:
        """Advance to second `t_s`, `dt_s` after the last step."""
        # What is released is taken from the middle of the step, so that starts and ends count in full.
        emission, steam_kg_s = self._emission(t_s - dt_s / 2.0)
        self._mix(t_s - dt_s / 2.0, emission, dt_s)
        rate = self.air_m3_s / self.volume_m3
        gain = steam_kg_s * 1000.0 / self.volume_m3
        self.vapour_g_m3 += (gain + rate * (self._ambient.vapour_g_m3 - self.vapour_g_m3)) * dt_s
        self.vapour_g_m3 = min(self.vapour_g_m3, saturation_g_m3(self.temperature_c))
        self.layer.step(emission, self.air_m3_s, dt_s)
        self._forget(t_s)

    def _mix(self, t_s: float, emission: Emission, dt_s: float) -> None:
        # Most rooms hold clean air nearly all the time; then the balance changes nothing.
        if not self.leaks and not emission.heat_kw and np.array_equal(self.vol, self._background):
            return
        sources = np.zeros(len(GASES))
        for leak in self.leaks:
            sources[self._index[leak.gas]] += leak.at(t_s)
        sources[self._index[_OXYGEN]] -= emission.heat_kw / (OXYGEN_MJ_KG * 1000.0) / _OXYGEN_KG_M3
        self.vol = mixed(
            self.vol, sources, self._background, air_m3_s=self.air_m3_s, volume_m3=self.volume_m3, dt_s=dt_s
        )

    def _emission(self, t_s: float) -> tuple[Emission, float]:
        emission, steam_kg_s = Emission(), 0.0
        oxygen = self.vol[self._index[_OXYGEN]]
        fed = min(max((float(oxygen) - _SMOTHERED_VOL) / (_FREE_VOL - _SMOTHERED_VOL), 0.0), 1.0)
        for fire in self.fires:
            heat, fuel = fire.at(t_s) * fed, FUELS[fire.fuel]
            burnt_kg_s = heat / (fuel.heat_mj_kg * 1000.0)
            emission.heat_kw += heat
            emission.rising_kw += heat * (1.0 - fuel.radiative)
            emission.soot_kg_s += burnt_kg_s * fuel.soot
            emission.co_m3_s += volume_m3_s(burnt_kg_s * fuel.co, "co")
            emission.co2_m3_s += volume_m3_s(burnt_kg_s * fuel.co2, "co2")
        for nuisance in self.nuisances:
            if nuisance.start_s <= t_s < nuisance.stop_s:
                emission.heat_kw += nuisance.heat_kw
                emission.rising_kw += nuisance.heat_kw
                emission.soot_kg_s += nuisance.aerosol_mg_s * 1e-6
                emission.droplets_kg_s += nuisance.steam_g_s * 1e-3 * _FOG_SHARE
                emission.co_m3_s += volume_m3_s(nuisance.co_mg_s * 1e-6, "co")
                steam_kg_s += nuisance.steam_g_s * 1e-3
        return emission, steam_kg_s

    def _forget(self, t_s: float) -> None:
        """Drop what has ended, so that a plant that runs for months does not slow down."""
        self.leaks = [leak for leak in self.leaks if leak.stop_s > t_s]
        self.fires = [fire for fire in self.fires if fire.stop_s + 10.0 * _QUENCH_S > t_s]
        self.nuisances = [nuisance for nuisance in self.nuisances if nuisance.stop_s > t_s]

    def gas_vol(self, gas: str, spot: Spot) -> float:
        """Return a gas's %VOL at an instrument."""
        vol = float(self.vol[self._index[gas]])
        if gas == "co":
            vol += self.layer.co_vol_at(spot.height_m, spot.radius_m)
        elif gas == "co2":
            vol += self.layer.co2_vol_at(spot.height_m, spot.radius_m)
        return vol

    def temperature_at(self, spot: Spot) -> float:
        """Return the air's temperature at an instrument in °C."""
        return self.temperature_c + self.layer.rise_at(spot.height_m, spot.radius_m)

    def humidity_at(self, spot: Spot) -> float:
        """Return the relative humidity at an instrument in percent."""
        return min(100.0 * self.vapour_g_m3 / saturation_g_m3(self.temperature_at(spot)), 100.0)

    def value(self, quantity: str, unit: str, spot: Spot) -> float:
        """Return what is true at an instrument.

        Args:
            quantity: A gas of `GASES`, `temperature`, `humidity` or `smoke`.
            unit: For gases as `in_unit`; `OD/m` or `%/m` for smoke; the others have one unit.
            spot: Where.

        Raises:
            ValueError: A room has no such quantity.
        """
        if quantity in GASES:
            return in_unit(self.gas_vol(quantity, spot), quantity, unit)
        if quantity == "temperature":
            return self.temperature_at(spot)
        if quantity == "humidity":
            return self.humidity_at(spot)
        if quantity == "smoke":
            extinction = self.layer.extinction_at(spot.height_m, spot.radius_m)
            return obscuration_per_m(extinction) if unit == "%/m" else optical_density_per_m(extinction)
        raise ValueError(f"a room has no {quantity!r}")
