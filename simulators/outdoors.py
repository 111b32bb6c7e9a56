"""Open air: the wind over a yard, and the plume that it makes of a leak.

Downwind of a source the mean concentration is a Gaussian across and above the wind, and the ground reflects it:

    C = Q / (2 pi u sy sz) * exp(-y^2 / 2 sy^2) * [exp(-(z - h)^2 / 2 sz^2) + exp(-(z + h)^2 / 2 sz^2)]

with Briggs's widths for open country. At the source the plume is as wide as its gas needs, so that it is never more
than pure: sy^2 and sz^2 begin at Q / (2 pi u). What is let out passes every plane across the wind, neither more nor
less.

Those widths are means over ten minutes, in which the plume swings. A head does not wait so long. So the plume of the
moment is as narrow as a mean over 20 s, (20 / 600)^0.2 = 0.51 of it, and the wind's direction swings by what is left
over: its mean over ten minutes is the published plume again, and a head at its edge meets gas in gusts.

The plume points where the wind of the moment blows; what is released arrives after its way at the wind's speed. Not
modelled: gas that is lighter or heavier than air, the jet of a leak, the wakes of tanks and buildings, and calm: below
0.5 m/s the plume is that of 0.5 m/s.

References:
    G. Briggs, Diffusion estimation for small emissions, ATDL report 79 (1973): the widths, 100 m to 10 km; nearer to
    the source their straight beginnings are taken.
    F. Pasquill, The estimation of the dispersion of windborne material, Meteorol. Mag. 90 (1961) 33: the classes.
    TNO Yellow Book (CPR 14E, 2005) 4.5: averaging time, exponent 0.2, not below 20 s.
    US EPA, User's guide for the Industrial Source Complex models, EPA-454/B-95-003b: wind profile exponents.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulators.field import Place
from simulators.gases import GASES, in_unit
from simulators.mixing import DAY_S, Ambient, saturation_g_m3
from simulators.rooms import Leak, Spot

CLASSES: Final = "ABCDEF"
"""Pasquill's stability classes, from very unstable (a hot noon) to stable (a clear night)."""
CALM_M_S: Final = 0.5
"""A plume needs wind; with less than this it is that of this."""
ABOVE_GROUND_M: Final = 1.0
"""How high a leak or a head in a yard is where nobody says."""
_WIDTHS: Final = {
    "A": (0.22, 0.20, 0.0, 0.0),
    "B": (0.16, 0.12, 0.0, 0.0),
    "C": (0.11, 0.08, 2e-4, -0.5),
    "D": (0.08, 0.06, 1.5e-3, -0.5),
    "E": (0.06, 0.03, 3e-4, -1.0),
    "F": (0.04, 0.016, 3e-4, -1.0),
}
_PROFILE: Final = {"A": 0.07, "B": 0.07, "C": 0.10, "D": 0.15, "E": 0.35, "F": 0.55}
_MEASURED_M: Final = 10.0
"""Height that wind speeds are told for."""
_LOWEST_M: Final = 2.0
"""Below this the profile goes no further down: among pipes and tanks it is none."""
NARROW: Final = (20.0 / 600.0) ** 0.2
"""Width of the plume of the moment as a share of that of ten minutes."""
_SWING: Final = math.sqrt(1.0 - NARROW**2)
_GUST: Final = 0.2
"""Standard deviation of gusts as a share of the wind, usual over open country."""
_GUST_S: Final = 30.0
_WANDER_S: Final = 1800.0
_CLEARED_S: Final = 3600.0
"""So long after its end a leak's gas has left the yard: 1.8 km at the slowest wind."""
_SUNRISE_H, _SUNSET_H = 6.0, 18.0
_STRONG, _MODERATE = 0.85, 0.5
"""Height of the sun, as a share of noon's, from which its radiation is strong or moderate."""
_WINDS_M_S: Final = (2.0, 3.0, 5.0, 6.0)
# Where Pasquill gives two classes the more stable one is taken: its plume is the denser.
_BY_DAY: Final = {"strong": "ABBCC", "moderate": "BBCDD", "slight": "BCCDD"}
_BY_NIGHT: Final = "FFEDD"


def sigma_y_m(x_m: float, stability: str) -> float:
    """Return half the width of a plume, in metres, as a mean over ten minutes (Briggs 1973, open country).

    Args:
        x_m: Downwind of the source, at least 0.
        stability: One of `CLASSES`.

    >>> round(sigma_y_m(1000.0, "D"), 1)
    76.3
    """
    return _WIDTHS[stability][0] * x_m / math.sqrt(1.0 + 1e-4 * x_m)


def sigma_z_m(x_m: float, stability: str) -> float:
    """Return half the height of a plume, in metres; as `sigma_y_m`.

    >>> round(sigma_z_m(1000.0, "D"), 1)
    37.9
    """
    _, slope, bend, power = _WIDTHS[stability]
    return float(slope * x_m * (1.0 + bend * x_m) ** power)


def plume_share(
    flow_m3_s: float,
    wind_m_s: float,
    stability: str,
    *,
    along_m: float,
    across_m: float,
    height_m: float,
    source_m: float,
    narrow: float = 1.0,
) -> float:
    """Return the share of gas in the air downwind of a steady source, 0 to 1; 0 upwind.

    Args:
        flow_m3_s: What is let out.
        wind_m_s: At the source, above 0.
        stability: One of `CLASSES`.
        along_m: Downwind of the source.
        across_m: Beside its axis.
        height_m: Above the ground.
        source_m: The source's height.
        narrow: Width of the plume as a share of that of ten minutes.
    """
    if along_m <= 0.0 or flow_m3_s <= 0.0:
        return 0.0
    begins = flow_m3_s / (2.0 * math.pi * wind_m_s)
    wide = (narrow * sigma_y_m(along_m, stability)) ** 2 + begins
    high = sigma_z_m(along_m, stability) ** 2 + begins
    upright = math.exp(-((height_m - source_m) ** 2) / (2.0 * high)) + math.exp(
        -((height_m + source_m) ** 2) / (2.0 * high)
    )
    share = begins / math.sqrt(wide * high) * math.exp(-(across_m**2) / (2.0 * wide)) * upright
    return min(share, 1.0)


def stability_class(hour: float, wind_m_s: float, *, overcast: bool = False) -> str:
    """Return Pasquill's class for an hour of the day and a mean wind at 10 m (Pasquill 1961).

    The sun rises at 6 and sets at 18; under an overcast sky it is always D.

    >>> stability_class(12.0, 1.5), stability_class(12.0, 7.0), stability_class(2.0, 1.5)
    ('A', 'C', 'F')
    """
    if overcast:
        return "D"
    row = sum(wind_m_s >= limit for limit in _WINDS_M_S)
    if not _SUNRISE_H <= hour < _SUNSET_H:
        return _BY_NIGHT[row]
    sun = math.sin(math.pi * (hour - _SUNRISE_H) / (_SUNSET_H - _SUNRISE_H))
    return _BY_DAY["strong" if sun >= _STRONG else "moderate" if sun >= _MODERATE else "slight"][row]


@dataclass(frozen=True, slots=True)
class Climate:
    """The usual wind of a yard.

    Attributes:
        wind_m_s: Mean speed at 10 m.
        from_deg: Where it comes from, clockwise from north, which is along y; 270 blows along x.
        daily_share: How much stronger it is in the warmest hour, and weaker in the coldest, as a share.
        daily_deg: How far it turns with the day, half of the swing: a breeze from the sea.
        wander_share: Standard deviation of the slow part of its speed, as a share; a memory of half an hour.
        wander_deg: The same of its direction.
        overcast: Whether the sky is.
        stability: A class that is always so; from hour and wind where empty.
    """

    wind_m_s: float = 3.0
    from_deg: float = 270.0
    daily_share: float = 0.3
    daily_deg: float = 0.0
    wander_share: float = 0.2
    wander_deg: float = 10.0
    overcast: bool = False
    stability: str = ""


class Wind:
    """The wind over a yard: the day, slow weather and gusts.

    Args:
        climate: What is usual.
        ambient: Tells the day's cycle.
        start_hour: The hour of the day at second 0.
        rng: Source of weather and gusts.

    Attributes:
        speed_m_s: Now, at 10 m.
        from_deg: Where it comes from now, 0 to 360.
        stability: The class now.
    """

    def __init__(self, climate: Climate, ambient: Ambient, start_hour: float, rng: np.random.Generator) -> None:
        self._climate, self._ambient, self._rng = climate, ambient, rng
        self._start_s = start_hour * 3600.0
        # Slow speed, slow direction, gusts of speed, gusts of direction, each with the standard deviation 1.
        self._memory_s = np.array([_WANDER_S, _WANDER_S, _GUST_S, _GUST_S])
        self._now = rng.standard_normal(4)
        self._was = self._becomes = (climate.wind_m_s, climate.from_deg)
        self._turns_at_s, self._turns_s = 0.0, 0.0
        self._blow(0.0)

    def step(self, t_s: float, dt_s: float) -> None:
        """Advance to second `t_s`, `dt_s` after the last step."""
        keep = np.exp(-dt_s / self._memory_s)
        self._now = self._now * keep + np.sqrt(1.0 - keep**2) * self._rng.standard_normal(4)
        self._blow(t_s)

    def change(self, t_s: float, wind_m_s: float | None, from_deg: float | None, over_s: float = 0.0) -> None:
        """Let the mean wind become another from second `t_s` on, by the shorter way round; None: the usual one."""
        was = self._mean(t_s)
        speed = self._climate.wind_m_s if wind_m_s is None else wind_m_s
        to_deg = self._climate.from_deg if from_deg is None else from_deg
        way = (to_deg - was[1] + 180.0) % 360.0 - 180.0
        self._was, self._becomes = was, (speed, was[1] + way)
        self._turns_at_s, self._turns_s = t_s, over_s

    def speed_at(self, height_m: float) -> float:
        """Return the wind at a height now, by a power of the height."""
        return float(self.speed_m_s * (max(height_m, _LOWEST_M) / _MEASURED_M) ** _PROFILE[self.stability])

    def along(self, source: Place, place: Place) -> tuple[float, float]:
        """Return how far downwind of a source a place is, and how far beside the plume's axis, in metres."""
        angle = math.radians(self.from_deg)
        x_m, y_m = place[0] - source[0], place[1] - source[1]
        return (
            -x_m * math.sin(angle) - y_m * math.cos(angle),
            x_m * math.cos(angle) - y_m * math.sin(angle),
        )

    def _mean(self, t_s: float) -> tuple[float, float]:
        done = 1.0 if self._turns_s <= 0.0 else min((t_s - self._turns_at_s) / self._turns_s, 1.0)
        (speed, angle), (speed_then, angle_then) = self._was, self._becomes
        return speed + done * (speed_then - speed), angle + done * (angle_then - angle)

    def _blow(self, t_s: float) -> None:
        climate, daily = self._climate, self._ambient.daily(t_s)
        slow, veer, gust, swing = self._now.tolist()
        mean, angle = self._mean(t_s)
        speed = mean * (1.0 + climate.daily_share * daily) * _with_mean_one(climate.wander_share, slow)
        hour = (self._start_s + t_s) % DAY_S / 3600.0
        self.stability = climate.stability or stability_class(hour, speed, overcast=climate.overcast)
        self.speed_m_s = speed * _with_mean_one(_GUST, gust)
        angle += climate.daily_deg * daily + climate.wander_deg * veer
        self.from_deg: float = (angle + math.degrees(_SWING * _WIDTHS[self.stability][0]) * swing) % 360.0


def _with_mean_one(spread: float, normal: float) -> float:
    return math.exp(spread * normal - spread * spread / 2.0)


class Yard:
    """An open part of the plant: places on it are told in metres from its corner, x to the east and y to the north.

    Args:
        wind: What blows over it.
        ambient: Its air.

    Attributes:
        wind: See there.
        leaks: What is released; the timeline adds to them. Each needs a place.
    """

    def __init__(self, wind: Wind, ambient: Ambient) -> None:
        self.wind, self._ambient = wind, ambient
        self._t_s = 0.0
        self.leaks: list[Leak] = []

    @property
    def temperature_c(self) -> float:
        """Of its air."""
        return self._ambient.temperature_c

    def step(self, t_s: float, dt_s: float) -> None:
        """Advance to second `t_s`, `dt_s` after the last step."""
        self._t_s = t_s
        self.wind.step(t_s, dt_s)
        self.leaks = [leak for leak in self.leaks if leak.stop_s + _CLEARED_S > t_s]

    def gas_vol(self, gas: str, spot: Spot) -> float:
        """Return a gas's %VOL at an instrument; what is released takes the place of the air."""
        background = GASES[gas].background_vol
        if not self.leaks:
            return background
        shares = [(leak.gas, self._share(leak, spot)) for leak in self.leaks]
        whole = sum(share for _, share in shares)
        # Plumes of several leaks that overlap near their sources cannot be more than pure together.
        most = max(whole, 1.0)
        own = sum((share for released, share in shares if released == gas), 0.0)
        return 100.0 * own / most + background * (1.0 - whole / most)

    def _share(self, leak: Leak, spot: Spot) -> float:
        if leak.place is None or spot.place is None:
            return 0.0
        along_m, across_m = self.wind.along(leak.place, spot.place)
        if along_m <= 0.0:
            return 0.0
        speed = max(self.wind.speed_at(leak.place[2]), CALM_M_S)
        return plume_share(
            leak.at(self._t_s - along_m / speed),
            speed,
            self.wind.stability,
            along_m=along_m,
            across_m=across_m,
            height_m=spot.height_m,
            source_m=leak.place[2],
            narrow=NARROW,
        )

    def speed_at(self, spot: Spot) -> float:
        """Return the speed of the air around an instrument in m/s, at least 0.1."""
        return max(self.wind.speed_at(spot.height_m), 0.1)

    def temperature_at(self, _spot: Spot) -> float:
        """Return the air's temperature at an instrument in °C."""
        return self.temperature_c

    def humidity_at(self, _spot: Spot) -> float:
        """Return the relative humidity at an instrument in percent."""
        return min(100.0 * self._ambient.vapour_g_m3 / saturation_g_m3(self.temperature_c), 100.0)

    def value(self, quantity: str, unit: str, spot: Spot) -> float:
        """Return what is true at an instrument.

        Args:
            quantity: A gas of `GASES`, `temperature`, `humidity`, `wind_speed` or `wind_direction`.
            unit: For gases as `in_unit`; the others have one unit.
            spot: Where.

        Raises:
            ValueError: A yard has no such quantity.
        """
        if quantity in GASES:
            return in_unit(self.gas_vol(quantity, spot), quantity, unit)
        if quantity == "temperature":
            return self.temperature_c
        if quantity == "humidity":
            return self.humidity_at(spot)
        if quantity == "wind_speed":
            return self.wind.speed_at(spot.height_m)
        if quantity == "wind_direction":
            return self.wind.from_deg
        raise ValueError(f"a yard has no {quantity!r}")
