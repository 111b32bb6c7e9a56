"""Fire and what rises from it: growth, ceiling jet, hot layer, smoke. Engineering correlations, no field model."""

import math
from dataclasses import dataclass

AIR_DENSITY = 1.2
"""kg/m3 at 20 °C."""
AIR_HEAT = 1.005
"""kJ/(kg K)."""
OXYGEN_MJ_KG = 13.1
"""Heat from each kilogram of oxygen used, nearly the same for all fuels (Huggett 1980)."""
FLAMING_SMOKE_M2_KG = 8700.0
"""Extinction of light by smoke from flames (Mulholland and Croarkin 2000)."""
_PLUME_LAG, _JET_LAG = 0.67, 1.2
"""kW^(1/3) s over m^(4/3); Mowrer 1990, as the Fire Dynamics Tools of NIST use it for NIST's smoke alarm tests."""
GROWTH_KW_S2 = {"slow": 0.00293, "medium": 0.0117, "fast": 0.0469, "ultrafast": 0.1876}
"""Growth coefficients that reach 1055 kW at 600, 300, 150 and 75 s (NFPA 204)."""


@dataclass(frozen=True, slots=True)
class Fuel:
    """What burns.

    Attributes:
        heat_mj_kg: Effective heat of combustion.
        soot: kg of soot from each kg burnt.
        co: kg of carbon monoxide from each kg burnt.
        co2: kg of carbon dioxide from each kg burnt.
        radiative: Share of the heat that is radiated and does not rise.
    """

    heat_mj_kg: float
    soot: float
    co: float
    co2: float
    radiative: float = 0.35


FUELS = {
    "wood": Fuel(17.1, 0.015, 0.004, 1.27),
    "polyurethane": Fuel(25.3, 0.131, 0.010, 1.55),
    "heptane": Fuel(44.6, 0.037, 0.010, 2.85),
    "oil": Fuel(39.6, 0.060, 0.020, 2.64),
}
"""Well-ventilated yields (Tewarson, SFPE Handbook)."""


def growing_kw(alpha_kw_s2: float, t_s: float, peak_kw: float = math.inf) -> float:
    """Return the heat release of a growing fire, alpha t squared up to its peak.

    >>> [round(growing_kw(GROWTH_KW_S2[name], t)) for name, t in (("ultrafast", 75), ("fast", 150))]
    [1055, 1055]
    """
    return min(alpha_kw_s2 * max(t_s, 0.0) ** 2, peak_kw)


def jet_rise_k(convective_kw: float, radius_m: float, height_m: float) -> float:
    """Return how much hotter than the room the gas under the ceiling is (Alpert 1972; steady, unconfined).

    Args:
        convective_kw: The heat that rises.
        radius_m: Distance from the fire's axis.
        height_m: From the fire to the ceiling.
    """
    if radius_m / height_m <= 0.18:
        return float(16.9 * convective_kw ** (2.0 / 3.0) / height_m ** (5.0 / 3.0))
    return float(5.38 * (convective_kw / radius_m) ** (2.0 / 3.0) / height_m)


def jet_speed_m_s(total_kw: float, radius_m: float, height_m: float) -> float:
    """Return the gas's speed under the ceiling (Alpert 1972). Arguments as for `jet_rise_k`, with all of the heat."""
    if radius_m / height_m <= 0.15:
        return float(0.96 * (total_kw / height_m) ** (1.0 / 3.0))
    return float(0.195 * total_kw ** (1.0 / 3.0) * math.sqrt(height_m) * radius_m ** (-5.0 / 6.0))


def jet_lag_s(total_kw: float, radius_m: float, height_m: float) -> float:
    """Return how long what a fire releases is on its way up and along the ceiling (Mowrer 1990; steady fire).

    Args:
        total_kw: Heat release, above 0.
        radius_m: Distance from the fire's axis.
        height_m: From the fire to the ceiling.
    """
    rising = _PLUME_LAG * height_m ** (4.0 / 3.0)
    spreading = _JET_LAG * radius_m ** (11.0 / 6.0) / math.sqrt(height_m)
    return float((rising + spreading) / total_kw ** (1.0 / 3.0))


def layer_height_m(height_m: float, total_kw: float, floor_m2: float, dt_s: float) -> float:
    """Return how far the smoke layer's lower edge has sunk after a step of a steady fire (Yamana and Tanaka 1985).

    Exact for constant heat, so many short steps give what one long step gives.

    Args:
        height_m: The edge now, above the fire.
        total_kw: Heat release.
        floor_m2: The room's floor.
        dt_s: The step.
    """
    fill = 0.05 / AIR_DENSITY * total_kw ** (1.0 / 3.0) / floor_m2
    return float((height_m ** (-2.0 / 3.0) + 2.0 / 3.0 * fill * dt_s) ** -1.5)


def extinction_per_m(smoke_kg_m3: float, m2_kg: float = FLAMING_SMOKE_M2_KG) -> float:
    """Return the extinction coefficient of smoky air in 1/m."""
    return m2_kg * smoke_kg_m3


def optical_density_per_m(extinction: float) -> float:
    """Return decadic optical density per metre from the extinction coefficient.

    >>> round(optical_density_per_m(2.302585), 4)
    1.0
    """
    return extinction / math.log(10.0)


def obscuration_per_m(extinction: float) -> float:
    """Return the light lost over a metre in percent from the extinction coefficient.

    >>> round(obscuration_per_m(0.0513), 1)
    5.0
    """
    return 100.0 * (1.0 - math.exp(-extinction))
