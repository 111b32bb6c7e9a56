"""Gas that has not mixed yet: how a room's air differs from its mean near a leak, so that some head is the nearest.

Turbulence of a room spreads gas like diffusion with a coefficient of some 0.001 to 0.02 m2/s. In a box whose walls
reflect, the concentration is a sum of cosines, and each of them obeys an equation of its own:

    dA/dt = -(rate + D k^2) A + 100 Q / V * w * phi(source) * exp(-k^2 s^2 / 2)

The constant cosine is the well-mixed room of `mixing`; this module keeps all others. Each step is solved exactly, so
its length does not matter, and nothing appears or vanishes: the deviations have the mean 0 over the room.

What is solved is the mean over many equal leaks. One leak comes in wafts: `Wafts` lets what a head meets of the
deviation come and go around it, lognormal, with a standard
deviation of 0.4 of it and a memory of 20 s: assumptions of the order that is found near sources.

References:
    K.-C. Cheng et al., Modeling exposure close to air pollution sources in naturally ventilated residences:
    association of turbulent diffusion coefficient with air change rate, Environ. Sci. Technol. 45 (2011) 4016:
    D = V^(2/3) (0.52 n + 0.31 / h), with n the air changes an hour; measured 0.001 to 0.013 m2/s.
    P. Drivas, P. Valberg, B. Murphy, R. Wilson, Modeling indoor air exposure from short-term point source releases,
    Indoor Air 6 (1996) 271: the box with reflecting walls.
    J. Crank, The Mathematics of Diffusion (1975), 2.2: reflection and superposition.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Place = tuple[float, float, float]
"""Metres along the room, across it, and above its floor."""

_SOURCE_M: Final = 0.5
"""Radius over which a jet has mixed with air before turbulence takes it on."""
_SOURCE_SHARE: Final = 1.0 / 16.0
"""The same in large rooms, as a share of their size; it keeps the number of cosines in bounds."""
_FINEST: Final = 3.2
"""Cosines finer than this over the source's radius weigh less than 0.6 % and are left out."""
_GONE_VOL: Final = 1e-9
_WAFT: Final = 0.4
"""Standard deviation of what a head meets, as a share of its mean."""
_WAFT_S: Final = 20.0


def diffusion_m2_s(volume_m3: float, air_changes_per_h: float) -> float:
    """Return the turbulent diffusion coefficient of a room (Cheng et al. 2011).

    >>> round(diffusion_m2_s(158.0, 0.5), 4)
    0.0046
    """
    return float(volume_m3 ** (2.0 / 3.0) * (0.52 * air_changes_per_h + 0.31) / 3600.0)


class GasField:
    """How much more of one gas is somewhere in a room than on average.

    Args:
        length_m: The room's length, width and height.
        width_m: See there.
        height_m: See there.
    """

    def __init__(self, length_m: float, width_m: float, height_m: float) -> None:
        self._size = np.array([length_m, width_m, height_m])
        self._volume = float(self._size.prod())
        radius = max(_SOURCE_M, self._volume ** (1.0 / 3.0) * _SOURCE_SHARE)
        finest = _FINEST / radius
        count = np.floor(finest * self._size / math.pi).astype(int)
        grid = np.meshgrid(*(np.arange(n + 1) for n in count), indexing="ij")
        numbers = np.stack([axis.ravel() for axis in grid])
        waves = numbers * math.pi / self._size[:, None]
        square = (waves**2).sum(axis=0)
        kept = (square <= finest**2) & (square > 0.0)
        self._waves, self._square = waves[:, kept], square[kept]
        weight = 2.0 ** (numbers[:, kept] > 0).sum(axis=0)
        self._gain = 100.0 / self._volume * weight * np.exp(-self._square * radius**2 / 2.0)
        self._amount: Float64 = np.zeros(len(self._square))
        self._shapes: dict[Place, Float64] = {}
        self._kept: tuple[tuple[float, float], Float64, Float64] | None = None

    @property
    def gone(self) -> bool:
        """Whether the room's air is the same everywhere again."""
        return not self._amount.any()

    def step(self, sources: list[tuple[Place, float]], rate_per_s: float, diffusion: float, dt_s: float) -> None:
        """Advance by `dt_s` of constant flows.

        Args:
            sources: Where gas comes from, and how much in m3/s.
            rate_per_s: At which fresh air and gas push out what is there.
            diffusion: m2/s, as from `diffusion_m2_s`.
            dt_s: The step.
        """
        if not sources and self.gone:
            return
        keep, reach = self._factors(rate_per_s, diffusion, dt_s)
        self._amount *= keep
        for place, flow in sources:
            self._amount += reach * (flow * self.shape(place))
        if not sources and np.abs(self._amount).sum() < _GONE_VOL:
            self._amount[:] = 0.0

    def at(self, place: Place) -> float:
        """Return by how many %VOL the gas there differs from the room's mean."""
        return 0.0 if self.gone else float(self.shape(place) @ self._amount)

    def shape(self, place: Place) -> Float64:
        """Return the value of each cosine at a place; worked out once."""
        if place not in self._shapes:
            where = np.clip(place, 0.0, self._size)
            self._shapes[place] = np.cos(self._waves * where[:, None]).prod(axis=0)
        return self._shapes[place]

    def _factors(self, rate_per_s: float, diffusion: float, dt_s: float) -> tuple[Float64, Float64]:
        """Return what a step leaves of each cosine, and what it adds for each m3/s; kept while nothing changes."""
        # A leak's own flow changes the rate by little; to 0.1 % the same factors serve.
        key = (float(f"{rate_per_s:.3g}"), diffusion * dt_s)
        if self._kept is None or self._kept[0] != key:
            decay = rate_per_s + diffusion * self._square
            keep = np.exp(-decay * dt_s)
            self._kept = (key, keep, (1.0 - keep) / decay * self._gain)
        return self._kept[1], self._kept[2]


class Wafts:
    """How a leak's gas comes and goes at each place: factors with the mean 1, no two places alike.

    Args:
        rng: Source of chance.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._now: dict[Place, float] = {}
        self._width = math.sqrt(math.log(1.0 + _WAFT**2))

    def step(self, dt_s: float) -> None:
        """Advance by `dt_s`."""
        keep = math.exp(-dt_s / _WAFT_S)
        for place, now in self._now.items():
            self._now[place] = now * keep + math.sqrt(1.0 - keep * keep) * float(self._rng.standard_normal())

    def at(self, place: Place) -> float:
        """Return the factor at a place now."""
        if place not in self._now:
            self._now[place] = float(self._rng.standard_normal())
        return math.exp(self._width * self._now[place] - self._width**2 / 2.0)
