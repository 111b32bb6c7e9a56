"""The gas balance of a well-mixed room, solved exactly for one step, and the ambient air around it."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

DAY_S = 86_400.0
WARMEST_HOUR = 15.0


def mixed(
    concentration: ArrayLike,
    source_m3_s: ArrayLike,
    background: ArrayLike,
    *,
    air_m3_s: float,
    volume_m3: float,
    dt_s: float,
) -> NDArray[np.float64]:
    """Return the concentrations of a well-mixed room after a step of constant flows.

    Solves V dC/dt = 100 Q + Qa B - (Qa + sum of Q) C for each gas: what is released or let in pushes out the mixture.
    The solution is exact, so that the step's length does not matter as long as the flows stay the same.

    Args:
        concentration: %VOL of each gas.
        source_m3_s: Release of each gas; negative where it is used up (a fire's oxygen).
        background: %VOL of each gas in the air that comes in.
        air_m3_s: Fresh air, at least 0.
        volume_m3: The room's.
        dt_s: The step.

    Returns:
        %VOL of each gas, within 0 to 100.
    """
    now = np.asarray(concentration, np.float64)
    sources = np.asarray(source_m3_s, np.float64)
    gain = (100.0 * sources + air_m3_s * np.asarray(background, np.float64)) / volume_m3
    rate = (air_m3_s + max(float(sources.sum()), 0.0)) / volume_m3
    if rate * dt_s < 1e-12:
        return np.clip(now + gain * dt_s, 0.0, 100.0)
    steady = gain / rate
    return np.clip(steady + (now - steady) * math.exp(-rate * dt_s), 0.0, 100.0)


def saturation_g_m3(temperature_c: float) -> float:
    """Return the water vapour that air can hold (Magnus formula).

    >>> round(saturation_g_m3(20.0), 1)
    17.2
    """
    pressure_pa = 611.2 * math.exp(17.62 * temperature_c / (243.12 + temperature_c))
    return 2.1667 * pressure_pa / (temperature_c + 273.15)


class Ambient:
    """The air around the plant: a daily cycle with slow weather on top.

    Args:
        temperature_c: The day's mean.
        swing_k: Half the difference between the warmest hour, 15:00, and the coldest.
        humidity_rh: Relative humidity at the mean temperature; the vapour stays the same all day.
        start_hour: The hour of the day at second 0.
        weather_k: Standard deviation of the slow part, which forgets itself over half an hour.
        rng: Source of the weather.

    Attributes:
        temperature_c: Now.
        vapour_g_m3: Water vapour.
    """

    _FORGET_S = 1800.0

    def __init__(
        self,
        *,
        temperature_c: float,
        swing_k: float,
        humidity_rh: float,
        start_hour: float,
        weather_k: float,
        rng: np.random.Generator,
    ) -> None:
        self._mean, self._swing, self._weather_k, self._rng = temperature_c, swing_k, weather_k, rng
        self._start_s = start_hour * 3600.0
        self._weather = float(rng.standard_normal()) * weather_k
        self.vapour_g_m3 = saturation_g_m3(temperature_c) * humidity_rh / 100.0
        self.temperature_c = self._at(0.0)

    def step(self, t_s: float, dt_s: float) -> None:
        """Advance to second `t_s`, `dt_s` after the last step."""
        keep = math.exp(-dt_s / self._FORGET_S)
        self._weather = self._weather * keep + self._weather_k * math.sqrt(1.0 - keep * keep) * float(
            self._rng.standard_normal()
        )
        self.temperature_c = self._at(t_s)

    def daily(self, t_s: float) -> float:
        """Return the daily cycle, from -1 in the coldest hour to 1 in the warmest."""
        return math.cos(2.0 * math.pi * (self._start_s + t_s - WARMEST_HOUR * 3600.0) / DAY_S)

    def _at(self, t_s: float) -> float:
        return self._mean + self._swing * self.daily(t_s) + self._weather
