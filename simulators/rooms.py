"""A room or an open area of the plant: its air, what is released into it, and what is true at an instrument there."""

import math
from dataclasses import dataclass

import numpy as np

from simulators.field import GasField, Place, Wafts, diffusion_m2_s
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
_SETTLED_K = 1e-4
_WALLS_S = 900.0
"""How fast walls and heating bring a room's air back to its own temperature after a draught."""


@dataclass(slots=True)
class Leak:
    """Gas let out at a rate that grows to `flow_m3_s` over `grow_s` and ends at `stop_s`; or dries up over `dries_s`.

    Where it has a `place`, the air near it differs from the room's mean (`field`).
    """

    gas: str
    flow_m3_s: float
    start_s: float
    grow_s: float = 0.0
    stop_s: float = math.inf
    place: Place | None = None
    dries_s: float = math.inf

    def at(self, t_s: float) -> float:
        """Return the flow in m3/s at second `t_s`."""
        if not self.start_s <= t_s < self.stop_s:
            return 0.0
        grown = min((t_s - self.start_s) / self.grow_s, 1.0) if self.grow_s > 0.0 else 1.0
        return self.flow_m3_s * grown * math.exp(-(t_s - self.start_s) / self.dries_s)


@dataclass(slots=True)
class Fire:
    """A fire `base_m` above the floor that grows with the square of time and dies within a minute of `stop_s`."""

    alpha_kw_s2: float
    peak_kw: float
    fuel: str
    start_s: float
    stop_s: float = math.inf
    base_m: float = 0.0

    def at(self, t_s: float) -> float:
        """Return the heat release in kW at second `t_s` with enough air."""
        if t_s < self.start_s:
            return 0.0
        burning = growing_kw(self.alpha_kw_s2, min(t_s, self.stop_s) - self.start_s, self.peak_kw)
        dying = max(t_s - self.stop_s, 0.0)
        return burning * math.exp(-dying / _QUENCH_S) if dying < 10.0 * _QUENCH_S else 0.0


@dataclass(slots=True)
class Nuisance:
    """Cooking, welding, a shower: smoke-like and harmless, from `start_s` to `stop_s`.

    Of its heat `rising` goes up in its plume; the rest is radiated, or stays in pans. What it releases comes on with
    the time constant `warm_up_s`: a pan smokes and heats the air when it is hot, and not with the turn of the knob.
    """

    start_s: float
    stop_s: float
    heat_kw: float = 0.0
    aerosol_mg_s: float = 0.0
    co_mg_s: float = 0.0
    steam_g_s: float = 0.0
    rising: float = 1.0
    warm_up_s: float = 0.0

    def part(self, t_s: float) -> float:
        """Return how much of what it releases when hot it releases at second `t_s`, 0 to 1."""
        if not self.start_s <= t_s < self.stop_s:
            return 0.0
        return 1.0 - math.exp(-(t_s - self.start_s) / self.warm_up_s) if self.warm_up_s > 0.0 else 1.0


@dataclass(frozen=True, slots=True)
class Spot:
    """Where in its room an instrument sits: height above the floor, distance from whatever burns, place on the plan.

    Without a place on the plan (`x_m`, `y_m`) it meets the room's mean, as if the air were mixed.
    """

    height_m: float
    radius_m: float
    x_m: float | None = None
    y_m: float | None = None

    @property
    def place(self) -> Place | None:
        """Its place in the room, where that is known."""
        return None if self.x_m is None or self.y_m is None else (self.x_m, self.y_m, self.height_m)


class Room:
    """One room with a smoke layer, mixed but near leaks that have a place; an open area has many air changes.

    Args:
        volume_m3: Its volume.
        height_m: Its height.
        air_changes_per_h: Fresh air in room volumes an hour.
        ambient: The air that comes in.
        warmer_k: How much warmer than the ambient air it is kept (a boiler room).
        length_m: Its length; its width follows from the volume. Square where left out.
        rng: Source of the wafts near a leak that has a place; without one the gas spreads evenly.

    Attributes:
        doors_per_h: Air changes through doors that stand open, on top of `air_changes_per_h`; they let the heat out.
        vol: %VOL of each gas, in the order of `GASES`.
        leaks, fires, nuisances: What is released; the timeline adds to them.
    """

    def __init__(
        self,
        volume_m3: float,
        height_m: float,
        air_changes_per_h: float,
        ambient: Ambient,
        *,
        warmer_k: float = 0.0,
        length_m: float | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.volume_m3, self.height_m, self.air_changes_per_h = volume_m3, height_m, air_changes_per_h
        floor_m2 = volume_m3 / height_m
        self.length_m = math.sqrt(floor_m2) if length_m is None else length_m
        self.width_m = floor_m2 / self.length_m
        self.doors_per_h, self._cooled_k = 0.0, 0.0
        self._fields: dict[str, GasField] = {}
        self._wafts = None if rng is None else Wafts(rng)
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
        return (self.air_changes_per_h + self.doors_per_h) * self.volume_m3 / 3600.0

    @property
    def temperature_c(self) -> float:
        """Of the room's lower part."""
        return self._ambient.temperature_c + self._warmer_k - self._cooled_k

    def step(self, t_s: float, dt_s: float) -> None:
        """Advance to second `t_s`, `dt_s` after the last step."""
        # What is released is taken from the middle of the step, so that starts and ends count in full.
        emission, steam_kg_s = self._emission(t_s - dt_s / 2.0)
        self._mix(t_s - dt_s / 2.0, emission, dt_s)
        self._spread(t_s - dt_s / 2.0, dt_s)
        self._cool(dt_s)
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

    def _spread(self, t_s: float, dt_s: float) -> None:
        """Move on what differs from the mean, for each gas that comes from a place."""
        if self._fields and self._wafts is not None:
            self._wafts.step(dt_s)
        placed: dict[str, list[tuple[Place, float]]] = {gas: [] for gas in self._fields}
        for leak in self.leaks:
            if leak.place is not None:
                placed.setdefault(leak.gas, []).append((leak.place, leak.at(t_s)))
        for gas, sources in placed.items():
            if gas not in self._fields:
                self._fields[gas] = GasField(self.length_m, self.width_m, self.height_m)
            rate = (self.air_m3_s + sum(flow for _, flow in sources)) / self.volume_m3
            diffusion = diffusion_m2_s(self.volume_m3, self.air_changes_per_h + self.doors_per_h)
            self._fields[gas].step(sources, rate, diffusion, dt_s)
        self._fields = {gas: field for gas, field in self._fields.items() if placed[gas] or not field.gone}

    def _cool(self, dt_s: float) -> None:
        """Let open doors take the room's air towards the ambient air's temperature, and walls and heating back."""
        if self.doors_per_h <= 0.0 and self._cooled_k == 0.0:
            return
        doors, rate = self.doors_per_h / 3600.0, self.doors_per_h / 3600.0 + 1.0 / _WALLS_S
        steady = self._warmer_k * doors / rate
        self._cooled_k = steady + (self._cooled_k - steady) * math.exp(-rate * dt_s)
        if self.doors_per_h <= 0.0 and abs(self._cooled_k) < _SETTLED_K:
            self._cooled_k = 0.0

    def _emission(self, t_s: float) -> tuple[Emission, float]:
        emission, steam_kg_s, greatest_kw = Emission(), 0.0, 0.0
        oxygen = self.vol[self._index[_OXYGEN]]
        fed = min(max((float(oxygen) - _SMOTHERED_VOL) / (_FREE_VOL - _SMOTHERED_VOL), 0.0), 1.0)
        for fire in self.fires:
            heat, fuel = fire.at(t_s) * fed, FUELS[fire.fuel]
            burnt_kg_s = heat / (fuel.heat_mj_kg * 1000.0)
            # Where several burn, one plume stands for all: the greatest one's.
            if heat > greatest_kw:
                greatest_kw, emission.base_m = heat, fire.base_m
            emission.heat_kw += heat
            emission.rising_kw += heat * (1.0 - fuel.radiative)
            emission.soot_kg_s += burnt_kg_s * fuel.soot
            emission.co_m3_s += volume_m3_s(burnt_kg_s * fuel.co, "co")
            emission.co2_m3_s += volume_m3_s(burnt_kg_s * fuel.co2, "co2")
        for nuisance in self.nuisances:
            part = nuisance.part(t_s)
            emission.heat_kw += nuisance.heat_kw * part
            emission.rising_kw += nuisance.heat_kw * nuisance.rising * part
            emission.soot_kg_s += nuisance.aerosol_mg_s * 1e-6 * part
            emission.droplets_kg_s += nuisance.steam_g_s * 1e-3 * _FOG_SHARE * part
            emission.co_m3_s += volume_m3_s(nuisance.co_mg_s * 1e-6 * part, "co")
            steam_kg_s += nuisance.steam_g_s * 1e-3 * part
        return emission, steam_kg_s

    def _forget(self, t_s: float) -> None:
        """Drop what has ended, so that a plant that runs for months does not slow down."""
        self.leaks = [leak for leak in self.leaks if leak.stop_s > t_s]
        self.fires = [fire for fire in self.fires if fire.stop_s + 10.0 * _QUENCH_S > t_s]
        self.nuisances = [nuisance for nuisance in self.nuisances if nuisance.stop_s > t_s]

    def gas_vol(self, gas: str, spot: Spot) -> float:
        """Return a gas's %VOL at an instrument."""
        vol = float(self.vol[self._index[gas]])
        if gas in self._fields and spot.place is not None:
            more = self._fields[gas].at(spot.place)
            if more > 0.0 and self._wafts is not None:
                more *= self._wafts.at(spot.place)
            vol = min(max(vol + more, 0.0), 100.0)
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
