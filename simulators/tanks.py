"""A storage tank: level, liquid temperature and the pressure of its gas space."""

import math
from dataclasses import dataclass, field

from simulators.mixing import Ambient

_LIQUID_KJ_M3_K = 2000.0
"""Heat capacity of a light hydrocarbon by volume."""
_FULL = 0.999
_BAR_KPA = 101.325


@dataclass(slots=True)
class Flow:
    """Liquid pumped in (positive) or out, from `start_s` to `stop_s`."""

    m3_s: float
    start_s: float
    stop_s: float = math.inf


@dataclass(slots=True)
class Heating:
    """Heat into the liquid (a steam coil left on, a fire next door), from `start_s` to `stop_s`."""

    kw: float
    start_s: float
    stop_s: float = math.inf


@dataclass(slots=True)
class Tank:
    """One tank with a gas blanket between two breather valves.

    Args:
        volume_m3: The tank's.
        filled: Share of liquid, 0 to 1.
        temperature_c: The liquid's.
        ambient: The air around it.
        breathe_out_kpa: Gauge pressure at which the breather valve lets gas out.
        breathe_in_kpa: Gauge pressure (negative) at which it lets air in.
        loss_kw_k: Heat exchanged with the air for each kelvin.

    Attributes:
        pressure_kpa: Gauge pressure of the gas space.
        flows, heatings: What happens to it; the timeline adds to them.
    """

    volume_m3: float
    filled: float
    temperature_c: float
    ambient: Ambient
    breathe_out_kpa: float = 2.0
    breathe_in_kpa: float = -0.3
    loss_kw_k: float = 0.5
    pressure_kpa: float = 0.5
    flows: list[Flow] = field(default_factory=list)
    heatings: list[Heating] = field(default_factory=list)

    def step(self, t_s: float, dt_s: float) -> None:
        """Advance to second `t_s`, `dt_s` after the last step."""
        gas_before = self.volume_m3 * (1.0 - self.filled)
        kelvin_before = self.temperature_c + 273.15
        middle_s = t_s - dt_s / 2.0
        flow = sum(flow.m3_s for flow in self.flows if flow.start_s <= middle_s < flow.stop_s)
        self.filled = min(max(self.filled + flow * dt_s / self.volume_m3, 0.0), _FULL)
        self._warm(middle_s, dt_s)
        # The blanket is an ideal gas that is squeezed and warmed, and the valves hold it between two pressures.
        squeezed = gas_before / (self.volume_m3 * (1.0 - self.filled))
        absolute = (self.pressure_kpa + _BAR_KPA) * squeezed * (self.temperature_c + 273.15) / kelvin_before
        self.pressure_kpa = min(max(absolute - _BAR_KPA, self.breathe_in_kpa), self.breathe_out_kpa)
        self.flows = [flow for flow in self.flows if flow.stop_s > t_s]
        self.heatings = [heating for heating in self.heatings if heating.stop_s > t_s]

    def _warm(self, t_s: float, dt_s: float) -> None:
        heat_kw = sum(heating.kw for heating in self.heatings if heating.start_s <= t_s < heating.stop_s)
        capacity = _LIQUID_KJ_M3_K * max(self.filled, 0.01) * self.volume_m3
        steady = self.ambient.temperature_c + heat_kw / self.loss_kw_k
        self.temperature_c = steady + (self.temperature_c - steady) * math.exp(-self.loss_kw_k / capacity * dt_s)

    def value(self, quantity: str) -> float:
        """Return `level` in percent, `temperature` in °C or `pressure` in kPa gauge.

        Raises:
            ValueError: A tank has no such quantity.
        """
        if quantity == "level":
            return 100.0 * self.filled
        if quantity == "temperature":
            return self.temperature_c
        if quantity == "pressure":
            return self.pressure_kpa
        raise ValueError(f"a tank has no {quantity!r}")
