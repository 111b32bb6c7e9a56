"""What instruments make of the truth: lag, noise, drift, range, warm-up and faults, all channels at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

T90_PER_TAU = 2.302585
"""A first-order lag reaches 90 % of a step after ln 10 time constants."""
_BODY_S = 240.0
"""How fast a head's body follows the climate around it; its zero moves with the body."""
_FLICKER_S = np.array([20.0, 200.0, 2000.0])
"""Times over which the parts of slow noise forget themselves: three to a decade each make it fall with frequency."""
_YEAR_S = 365.25 * 86_400.0
_WARM_UP_SHARE = 0.15
"""How far off, as a share of the span, a head reads when its heater is switched on."""


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """One channel's head; fields as in `quantities.Head`, with `owner`, the row of its instrument.

    A head ages with its time in service a, in years of clean air: where poisons are around it, da/dt = 1 + sum of
    k c, with each one's k and its ppm c. What it then shows of a concentration C, before lag and noise, is

        (1 - fade_per_year)^a C + zero_per_year a

    since sites that burn or bind gas are lost in proportion to those left, and zeros move steadily. `years` is a at
    the start; 0 is a head that has just been adjusted.
    """

    owner: int
    low: float
    high: float
    t90_s: float
    noise: float
    resolution: float
    walk_per_h: float = 0.0
    daily: float = 0.0
    length_m: float = 0.0
    rti: float = 0.0
    per_k: float = 0.0
    per_rh: float = 0.0
    flicker: float = 0.0
    zero_below: float = 0.0
    fade_per_year: float = 0.0
    zero_per_year: float = 0.0
    years: float = 0.0


class Heads:
    """All channels' heads as columns, one row a channel, with their instruments' states.

    Args:
        specs: One for each channel.
        warm_up_s: One for each instrument.
        rng: Source of noise and drift.

    Attributes:
        shown: float64[channels], what the instruments show now.
        over_range: bool[channels], whether the value is held at the range's end.
        stuck, bias, drift_per_h, spike, noise_times, poison_per_s, poison_floor: float64 or bool[channels], faults;
            the timeline sets them.
        fault, inhibited, hung, stalled: bool[instruments], states; the timeline sets them.
        calibrating: float64[instruments], share of the range that test gas gives; NaN while nobody calibrates.
        untold: bool[instruments], whether its status word says nothing of the test gas.
        times: float64[instruments], what the shown numbers are multiplied by: 1 unless somebody changed the unit.
    """

    def __init__(self, specs: list[HeadSpec], warm_up_s: list[float], rng: np.random.Generator) -> None:
        def column(name: str) -> Float64:
            return np.array([getattr(spec, name) for spec in specs], np.float64)

        n, m = len(specs), len(warm_up_s)
        self._rng = rng
        self.owner = np.array([spec.owner for spec in specs], np.intp)
        self.low, self.high, self._noise, self._resolution = (
            column("low"), column("high"), column("noise"), column("resolution"))  # fmt: skip
        # A number that never changes has no range, and so neither a warm-up nor test gas.
        self._span = np.nan_to_num(self.high - self.low, posinf=0.0)
        self._tau, self._walk, self._daily = column("t90_s") / T90_PER_TAU, column("walk_per_h"), column("daily")
        self._length, self._rti = column("length_m"), column("rti")
        self._moving_air = (self._length > 0.0) | (self._rti > 0.0)
        self._lagged, self._wandered, self._ran = np.zeros(n), np.zeros(n), np.zeros(n)
        self._gain = np.ones(n)
        self._per_climate = np.stack([column("per_k"), column("per_rh")])
        self._moved_by_climate = bool(self._per_climate.any())
        self._zeroed, self._body = np.zeros((2, n)), np.zeros((2, n))
        self._flicker, self._zero_below = column("flicker") / np.sqrt(len(_FLICKER_S)), column("zero_below")
        # A source of its own: what other channels show does not depend on whether one flickers.
        self._slow_rng = rng.spawn(1)[0]
        self._slow = self._slow_rng.standard_normal((len(_FLICKER_S), n)) * self._flicker
        self._years, self._fade, self._zero_per_year = (
            column("years"), -np.log1p(-column("fade_per_year")), column("zero_per_year"))  # fmt: skip
        self._ages = bool(self._fade.any() or self._zero_per_year.any())
        self.shown = np.zeros(n)
        self.over_range = np.zeros(n, bool)
        self.stuck = np.zeros(n, bool)
        self.bias, self.drift_per_h, self.spike = np.zeros(n), np.zeros(n), np.zeros(n)
        self.noise_times = np.ones(n)
        self.poison_per_s, self.poison_floor = np.zeros(n), np.zeros(n)
        self._warm_up = np.array(warm_up_s, np.float64)
        self._on_s = np.zeros(m)
        self.fault, self.inhibited, self.hung = np.zeros(m, bool), np.zeros(m, bool), np.zeros(m, bool)
        self.stalled, self.calibrating, self.times = np.zeros(m, bool), np.full(m, np.nan), np.ones(m)
        self.untold = np.zeros(m, bool)
        self._beat = np.zeros(m)

    @property
    def warming_up(self) -> Bool:
        """bool[instruments], whether it has not been on for long enough."""
        return self._on_s < self._warm_up

    def warms_up(self, instrument: int) -> bool:
        """Return whether an instrument has not been on for long enough."""
        return bool(self._on_s[instrument] < self._warm_up[instrument])

    def beats_s(self, instrument: int) -> float:
        """Return how many seconds an instrument's processor has run."""
        return float(self._beat[instrument]) + 1e-6

    @property
    def feels_climate(self) -> bool:
        """Whether any head's zero moves with temperature or humidity."""
        return self._moved_by_climate

    def settle(self, felt: Float64, climate: Float64 | None = None) -> None:
        """Start with heads that have seen these values for long, and were zeroed in this climate."""
        self._lagged = self._left(felt)
        if climate is not None:
            self._zeroed, self._body = climate.copy(), climate.copy()
        self.shown = self._quantised(self._lagged + self._zero_per_year * self._years)

    def restart(self, instrument: int, warm_up_s: float | None = None) -> None:
        """Switch an instrument off and on: its warm-up begins anew, and takes `warm_up_s` where that is given."""
        if warm_up_s is not None:
            self._warm_up[instrument] = warm_up_s
        self._on_s[instrument] = 0.0
        self._beat[instrument] = 0.0

    def warm_up_s(self, instrument: int) -> float:
        """Return how long an instrument takes to warm up."""
        return float(self._warm_up[instrument])

    def unfault(self, rows: NDArray[np.intp]) -> None:
        """Give poisoned heads their sensitivity back and take off their drift: someone has replaced them."""
        self._years[rows] = 0.0
        self._gain[rows] = 1.0
        self._ran[rows] = 0.0
        self.poison_per_s[rows] = 0.0
        self.drift_per_h[rows] = 0.0

    def step(
        self,
        felt: Float64,
        speed: Float64,
        daily: float,
        dt_s: float,
        climate: Float64 | None = None,
        *,
        wear: Float64 | None = None,
    ) -> None:
        """Advance all heads by `dt_s`.

        Args:
            felt: float64[channels], what is true at each head.
            speed: float64[channels], speed of the air around it in m/s, above 0.
            daily: The day's cycle, -1 to 1.
            dt_s: The step.
            climate: float64[2, channels], temperature in °C and relative humidity in percent around each head; None
                where no head's zero moves with them.
            wear: float64[channels], how many times faster than in clean air each head ages; None where none does.
        """
        self._on_s += dt_s
        self._beat += np.where(self.hung | self.stalled, 0.0, dt_s)
        if not np.isnan(self.calibrating).all():
            share = self.calibrating[self.owner]
            felt = np.where(np.isnan(share) | (self._span == 0.0), felt, self.low + share * self._span)
        self._gain = np.maximum(self._gain * np.exp(-self.poison_per_s * dt_s), self.poison_floor)
        if self._ages:
            self._years += (1.0 if wear is None else wear) * (dt_s / _YEAR_S)
        self._lagged += (self._left(self._gain * felt) - self._lagged) * self._passed(speed, dt_s)
        draws = self._rng.standard_normal((2, len(felt)))
        self._wandered += self._walk * np.sqrt(dt_s / 3600.0) * draws[0]
        self._ran += self.drift_per_h * dt_s / 3600.0
        value = self._lagged + self._wandered + self._daily * daily + self._ran + self.bias + self.spike
        value += self._noise * self.noise_times * draws[1] + self._cold() + self._slowly(climate, dt_s)
        value += self._zero_per_year * self._years
        held = self.stuck | (self.inhibited | self.hung)[self.owner]
        self.over_range = np.where(held, self.over_range, value > self.high)
        self.shown = np.where(held, self.shown, self._quantised(value))

    def _left(self, felt: Float64) -> Float64:
        """Return what an aged head still feels."""
        return felt * np.exp(-self._fade * self._years) if self._ages else felt.copy()

    def _passed(self, speed: Float64, dt_s: float) -> Float64:
        """Return the share of the way to the new value that a step covers; all of it without a lag."""
        tau = self._tau
        if self._moving_air.any():
            tau = np.maximum(tau, np.maximum(self._length / speed, self._rti / np.sqrt(speed)))
        return np.asarray(np.where(tau > 0.0, -np.expm1(-dt_s / np.maximum(tau, 1e-9)), 1.0), np.float64)

    def _cold(self) -> Float64 | float:
        if not self.warming_up.any():
            return 0.0
        left = np.where(self.warming_up, np.exp(-4.0 * self._on_s / np.maximum(self._warm_up, 1e-9)), 0.0)
        return np.asarray(_WARM_UP_SHARE * self._span * left[self.owner], np.float64)

    def _slowly(self, climate: Float64 | None, dt_s: float) -> Float64 | float:
        """Return what climate and slow noise do to the zeros."""
        moved: Float64 | float = 0.0
        if climate is not None:
            self._body += (climate - self._body) * -np.expm1(-dt_s / _BODY_S)
            moved = (self._per_climate * (self._body - self._zeroed)).sum(axis=0)
        if self._flicker.any():
            keep = np.exp(-dt_s / _FLICKER_S)[:, None]
            draws = self._slow_rng.standard_normal(self._slow.shape)
            self._slow = self._slow * keep + self._flicker * np.sqrt(1.0 - keep**2) * draws
            moved = moved + self._slow.sum(axis=0)
        return moved

    def _quantised(self, value: Float64) -> Float64:
        step = np.where(self._resolution > 0.0, self._resolution, 1.0)
        rounded = np.where(self._resolution > 0.0, np.round(value / step) * step, value)
        shown = np.where(np.abs(rounded) < self._zero_below, 0.0, rounded)
        return np.asarray(np.clip(shown, self.low, self.high), np.float64)
