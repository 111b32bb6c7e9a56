"""How much gas a hole lets out."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulators.gases import GAS_CONSTANT, GASES, STANDARD_PRESSURE_PA

SHARP_EDGE = 0.62
"""Discharge coefficient of a sharp-edged hole (TNO Yellow Book 2.22)."""


def orifice_kg_s(
    area_m2: ArrayLike,
    upstream_pa: ArrayLike,
    downstream_pa: ArrayLike,
    gas: str,
    *,
    temperature_k: float = 293.15,
    discharge: float = SHARP_EDGE,
) -> NDArray[np.float64]:
    """Return the mass flow of an ideal gas through a hole, choked or not (TNO Yellow Book 2.22).

    Args:
        area_m2: The hole's area.
        upstream_pa: Absolute pressure behind the hole; no flow where it is not above `downstream_pa`.
        downstream_pa: Absolute pressure before it.
        gas: A key of `GASES`.
        temperature_k: The gas's temperature behind the hole.
        discharge: Discharge coefficient, 0 to 1.

    Returns:
        kg/s, in the arguments' common shape.
    """
    k = GASES[gas].gamma
    p1, p2 = np.asarray(upstream_pa, np.float64), np.asarray(downstream_pa, np.float64)
    density = p1 * GASES[gas].molar_mass / 1000.0 / (GAS_CONSTANT * temperature_k)
    choked = density * p1 * k * (2.0 / (k + 1.0)) ** ((k + 1.0) / (k - 1.0))
    ratio = np.clip(p2 / p1, 0.0, 1.0)
    psi = (
        2.0 / (k - 1.0) * ((k + 1.0) / 2.0) ** ((k + 1.0) / (k - 1.0))
        * ratio ** (2.0 / k) * (1.0 - ratio ** ((k - 1.0) / k))
    )  # fmt: skip
    factor = np.where(ratio <= critical_ratio(gas), 1.0, psi)
    return np.asarray(discharge * np.asarray(area_m2) * np.sqrt(choked * factor), np.float64)


def critical_ratio(gas: str) -> float:
    """Return the pressure ratio p2/p1 below which the flow is choked and no longer depends on p2."""
    k = GASES[gas].gamma
    return float((2.0 / (k + 1.0)) ** (k / (k - 1.0)))


def volume_m3_s(mass_kg_s: float, gas: str, temperature_k: float = 293.15) -> float:
    """Return a mass flow as volume at the room's pressure.

    >>> round(volume_m3_s(0.001, "ch4") * 60_000)  # 1 g/s of methane in l/min
    90
    """
    moles = mass_kg_s * 1000.0 / GASES[gas].molar_mass
    return moles * GAS_CONSTANT * temperature_k / STANDARD_PRESSURE_PA


def hole_m3_s(hole_mm: float, gauge_kpa: float, gas: str, temperature_k: float = 293.15) -> float:
    """Return the volume a round hole lets out into a room.

    Args:
        hole_mm: Diameter.
        gauge_kpa: Pressure above the room's.
        gas: A key of `GASES`.
        temperature_k: Of gas and room.
    """
    area = np.pi * (hole_mm / 2000.0) ** 2
    mass = orifice_kg_s(
        area, STANDARD_PRESSURE_PA + gauge_kpa * 1000.0, STANDARD_PRESSURE_PA, gas, temperature_k=temperature_k
    )
    return volume_m3_s(float(mass), gas, temperature_k)
