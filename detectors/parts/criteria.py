"""How each instrument of a fire rule stands against its own normal: criteria by quantity, in engineering units.

A criterion has two halves. The fixed half is a limit, and for heat a rate of rise: whoever reaches it needs nobody's
agreement. The learned half watches how far a reading lies above its reference, in floors, and adds that up over time
(a capped CUSUM): it is met once the sum has come to `PATIENCE_S` floors times seconds, after one reading two floors
above or several a little above. A floor is the least rise that can mean anything, or four times the noise where that
is more.

The reference begins as the mean of the first `SETTLE_S`, and from then on follows the readings by no more than `drift`
a minute: what rises slower is taken for the day's course, what rises faster is not. It begins anew after a silence in
which the day's course could have gone far (for temperature some minutes, for smoke hours), and where readings lie far
below it. While its rule is in alarm it stands still. Nothing is learned from BAD readings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from detectors.parts.bank import Mask, Slots, is_over_range
from detectors.parts.groups import GroupJudge, member_figures
from gateway.core.clock import NS_PER_S
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Float64, Int8, Int64, Rule
from gateway.core.plugin import PluginOptions

NEVER: Final = np.int64(-(1 << 62))
"""A time before every reading, far enough from both ends to subtract."""

KINDS: Final = ("heat", "smoke", "gas")
NO_KIND: Final = np.int8(-1)

BEYOND_LIMIT: Final = np.int8(1)
BEYOND_RATE: Final = np.int8(2)

SETTLE_S: Final = 10.0
"""How long a member is read before its learned half judges."""
PATIENCE_S: Final = 2.0
"""The sum, in floors times seconds, at which the learned half is met."""
RATE_WINDOW_S: Final = 30.0
"""The window of the rate of rise, as for heat detectors (EN 54-5)."""

_CAP: Final = 4.0
_STRONG: Final = 2.0
_STEP_S_MAX: Final = 5.0
_SUM_MAX: Final = 3.0 * PATIENCE_S
_GAIN_S_MAX: Final = 0.75 * PATIENCE_S
_NOISE: Final = 4.0
_NOISE_S: Final = 60.0
_FORGET: Final = 20.0
_FALL_FLOORS_PER_MIN: Final = 2.0
_TAU_S: Final = RATE_WINDOW_S / 2.0
_WEIGHT_MIN: Final = 1.5
_LIMIT_DEADBAND: Final = 0.1
_RATE_DEADBAND: Final = 0.2

Kind = Literal["heat", "smoke", "gas"]


class Criterion(PluginOptions):
    """What of one quantity speaks for fire; what is left out is the usual for the quantity and the channel's unit."""

    quantity: str = Field(description="The quantity it judges, by name, without a unit.", examples=["temperature"])
    kind: Kind | None = Field(
        default=None,
        description="Which of the three votes it belongs to: `heat`, `smoke` or `gas`; a word without a unit.",
        examples=["heat"],
    )
    floor: float | None = Field(
        default=None,
        gt=0.0,
        description="The least rise above its normal that can mean anything, in the channel's unit.",
        examples=[0.5],
    )
    drift: float | None = Field(
        default=None,
        gt=0.0,
        description="What rises slower than this is taken for the day's course, in the channel's unit per minute.",
        examples=[2.0],
    )
    limit: float | None = Field(
        default=None,
        description="A value at or above this is an alarm at once, without a vote, in the channel's unit.",
        examples=[57.0],
    )
    rate_limit: float | None = Field(
        default=None,
        gt=0.0,
        description="A rise over about 30 s at or above this is an alarm at once, without a vote, in the channel's "
        "unit per minute; needs readings every 15 s or faster.",
        examples=[8.3],
    )


class Figures(NamedTuple):
    """A criterion of one channel, with every figure settled; infinite where there is no limit."""

    kind: int
    floor: float
    drift: float
    limit: float = np.inf
    rate_limit: float = np.inf


def _scaled(figures: Figures, *units: tuple[str, float]) -> dict[str, Figures]:
    return {unit: Figures(figures.kind, *(figure * factor for figure in figures[1:])) for unit, factor in units}


_HEAT: Final = Figures(0, 0.5, 2.0, 57.0, 8.3)
_SMOKE: Final = Figures(1, 0.003, 0.0006, 0.14)
_CO: Final = Figures(2, 3.0, 0.25, 60.0)
_CO2: Final = Figures(2, 100.0, 50.0)
_TEMPERATURE: Final = {
    **_scaled(_HEAT, ("°C", 1.0), ("℃", 1.0), ("K", 1.0)),
    "°F": Figures(0, 0.9, 3.6, 134.6, 14.9),
}
_OBSCURATION: Final = Figures(1, 0.7, 0.14, 27.5)

USUAL: Final[Mapping[str, Mapping[str, Figures]]] = MappingProxyType(
    {
        "temperature": _TEMPERATURE,
        "heat": _TEMPERATURE,
        "smoke": {**_scaled(_SMOKE, ("OD/m", 1.0), ("1/m", 1.0), ("m⁻¹", 1.0), ("dB/m", 10.0)), "%/m": _OBSCURATION},
        "co": _scaled(_CO, ("ppm", 1.0), ("mg/m³", 1.165), ("%VOL", 1e-4)),
        "co2": _scaled(_CO2, ("ppm", 1.0), ("mg/m³", 1.83), ("%VOL", 1e-4)),
    }
)
"""The usual figures by quantity and unit. 57 °C and 8.3 K/min are common class A1R heat detectors' (EN 54-5); 0.14 per
metre and 60 ppm lie within what EN 54-7 and EN 54-26 allow; smoke's drift is a quarter of its limit an hour, the most
that EN 54-7 lets a compensation hide. Mass concentrations at 20 °C and 101.325 kPa."""

_CONTACT: Final = Figures(1, 1.0, 1.0, 0.5)


def figures_of(channel: Channel, given: Sequence[Criterion]) -> Figures:
    """Return a channel's criterion: what the site file gives, else the usual for its quantity and unit.

    A smoke channel of range 0 to 1 without a unit is an alarm contact: closed, it is beyond its limit.

    Raises:
        ConfigError: Nothing usual is known, and the site file does not give kind, floor and drift.
    """
    own = next((one for one in given if one.quantity == channel.quantity), None)
    usual = USUAL.get(channel.quantity, {}).get(channel.unit)
    if channel.quantity == "smoke" and not channel.unit and channel.range_high == 1.0:
        usual = _CONTACT
    if own is None and usual is not None:
        return _judgeable(usual, channel)
    if own is not None and (usual is not None or None not in (own.kind, own.floor, own.drift)):
        if own.rate_limit is not None and channel.period_s > _TAU_S:
            raise ConfigError(
                ("options", "criteria"),
                f"{channel.id} comes every {channel.period_s:g} s; a rate of rise needs readings every {_TAU_S:g} s",
            )
        return _judgeable(_merged(own, usual or Figures(0, 0.0, 0.0)), channel)
    raise ConfigError(
        ("options", "criteria"),
        f"nothing usual is known of {channel.quantity} in {channel.unit or 'no unit'} ({channel.id}); give it a "
        f"criterion with kind, floor and drift, or leave the channel out",
    )


def _merged(own: Criterion, usual: Figures) -> Figures:
    def settled(given: float | None, else_: float) -> float:
        return else_ if given is None else given

    return Figures(
        usual.kind if own.kind is None else KINDS.index(own.kind),
        settled(own.floor, usual.floor),
        settled(own.drift, usual.drift),
        settled(own.limit, usual.limit),
        settled(own.rate_limit, usual.rate_limit),
    )


def _judgeable(figures: Figures, channel: Channel) -> Figures:
    return figures if channel.period_s <= _TAU_S else figures._replace(rate_limit=np.inf)


@dataclass(slots=True)
class Sense:
    """State of members, one entry each: what `read` returns and `keep` takes over. Times in ns, ages in s.

    Attributes:
        reference: What is normal now.
        noise: Mean distance of one reading from the next while calm.
        sum_s: The learned half's sum, in floors times seconds.
        value: The last value.
        age_s: How long it has been read without a break.
        seen_ns: The time of the last reading with a value.
        met_ns: When the learned half was last met.
        onset_ns: When it was met first of those times.
        peak: The greatest rise above the reference since then.
        beyond: `BEYOND_LIMIT` and `BEYOND_RATE`, added.
        rate: The rate of rise per minute; NaN where it cannot be told.
        weight, time, square, height, product: Sums of the weighted readings behind the rate: 1, t, t², y and t·y, from
            the last reading.
    """

    reference: Float64
    noise: Float64
    sum_s: Float64
    value: Float64
    age_s: Float64
    seen_ns: Int64
    met_ns: Int64
    onset_ns: Int64
    peak: Float64
    beyond: Int8
    rate: Float64
    weight: Float64
    time: Float64
    square: Float64
    height: Float64
    product: Float64

    @property
    def met(self) -> Mask:
        """Where the learned half is met at the last reading."""
        met: Mask = (self.met_ns == self.seen_ns) & (self.seen_ns != NEVER)
        return met

    def only(self, mask: Mask) -> "Sense":
        """Return the entries where a mask holds."""
        return Sense(*(getattr(self, name)[mask] for name in _NAMES))


_NAMES: Final = tuple(field.name for field in fields(Sense))
_FILLS: Final[Mapping[str, int]] = {"seen_ns": int(NEVER), "met_ns": int(NEVER), "onset_ns": int(NEVER)}
_INTEGERS: Final = frozenset(_FILLS)


class Senses:
    """All members of a detector's rules against their criteria.

    Args:
        judge: The detector, whose columns the state becomes.
        rules: Its rules.
        given: The criteria of each rule's site file section.
        within_s: How long a criterion counts after it was last met, by rule.

    Attributes:
        kind: int8[rules + 1, members], place in `KINDS`; `NO_KIND` where there is no member.
        floor: float64[rules + 1, members], the least rise that can mean anything.
        limit: float64[rules + 1, members], the fixed limit, infinite where there is none.
        rate_limit: float64[rules + 1, members], likewise, per minute.
        state: The columns, float64, int64 or int8[rules + 1, members].
    """

    def __init__(self, judge: GroupJudge, rules: Sequence[Rule], given: Sequence[Sequence[Criterion]]) -> None:
        figures = [
            [_placed(channel, rule, own) for channel in rule.channels] for rule, own in zip(rules, given, strict=True)
        ]
        width = judge.members.width
        table = np.full((len(rules) + 1, width, len(Figures._fields)), np.inf)
        table[..., 0] = NO_KIND
        for slot, row in enumerate(figures):
            table[slot, : len(row)] = row
        self.kind: Int8 = table[..., 0].astype(np.int8)
        self.floor, self._drift = table[..., 1], table[..., 2] / 60.0
        self.limit, self.rate_limit = table[..., 3], table[..., 4]
        self._limit_end = self.limit - _LIMIT_DEADBAND * np.abs(np.where(np.isfinite(self.limit), self.limit, 0.0))
        self._fall = np.fmax(self._drift, _FALL_FLOORS_PER_MIN * self.floor / 60.0)
        self._top = member_figures(rules, lambda _, channel: channel.range_high, np.nan)
        # The fields of a Sense by their name: float64 but for times and flags.
        self._columns = [_column(judge, name) for name in _NAMES]
        self.state = Sense(*self._columns)

    def read(self, slots: Slots, places: Slots, readings: Batch, frozen: Mask) -> Sense:
        """Return the state of members after these readings; nothing is kept yet.

        Args:
            slots: Their rules; no member twice.
            places: Their places.
            readings: One reading of each, none BAD.
            frozen: Where the rule is in alarm, so that nothing is learned.
        """
        time_ns, value = readings.time_ns, readings.value
        at = (slots, places)
        old = Sense(*(column[at] for column in self._columns))
        over_range = is_over_range(readings.quality)
        value = np.where(over_range, np.fmax(value, self._top[at]), value)
        floor, drift = self.floor[at], self._drift[at]
        first, gap_s = old.seen_ns == NEVER, (time_ns - old.seen_ns) / NS_PER_S
        dt = np.where(first | (gap_s < 0.0), 0.0, gap_s)
        with np.errstate(over="ignore", invalid="ignore"):
            scale = np.fmax(floor, _NOISE * old.noise)
            # A value far below what was normal says that this was never so, or is no more: it begins anew from below.
            stale = (dt * drift > _FORGET * floor) | (value - old.reference < -_FORGET * scale)
            fresh = first | (stale & ~frozen)
            age_s = np.where(fresh, 0.0, old.age_s + dt)
            reference = np.where(fresh, value, old.reference)
            rise = value - reference
            height = np.clip(np.nan_to_num(rise / scale, nan=0.0), -_CAP, _CAP)
            settled = age_s >= SETTLE_S
            gain_s = (height - 1.0) * np.fmin(dt, _STEP_S_MAX)
            # No single reading meets it but one two floors above: seldom readings would else count more than many.
            gain_s = np.where(height < _STRONG, np.fmin(gain_s, _GAIN_S_MAX), gain_s)
            sum_s = np.clip(old.sum_s + gain_s, 0.0, _SUM_MAX)
            sum_s = np.where(settled & ~fresh, sum_s, 0.0)
            met = settled & (sum_s >= PATIENCE_S)
            share = np.where(settled, 1.0 - np.exp(-dt / _NOISE_S), dt / np.fmax(age_s, 1e-9))
            learns = ~fresh & ((height < 1.0) | ~settled)
            step = np.fmin(np.abs(value - old.value), 2.0 * scale)
            noise = np.where(learns & ~frozen, old.noise + share * (step - old.noise), old.noise)
            follow = np.where(settled, np.clip(rise, -self._fall[at] * dt, drift * dt), share * rise)
            reference = np.where(frozen, reference, reference + np.where(fresh, 0.0, follow))
        live = met & (old.met_ns != NEVER) & (old.sum_s >= PATIENCE_S)
        new = Sense(
            reference=reference,
            noise=noise,
            sum_s=sum_s,
            value=value,
            age_s=age_s,
            seen_ns=time_ns,
            met_ns=np.where(met, time_ns, np.minimum(old.met_ns, time_ns - 1)),
            onset_ns=np.where(met & ~live, time_ns, np.minimum(old.onset_ns, time_ns)),
            peak=np.where(live, np.fmax(old.peak, rise), np.where(met, rise, old.peak)),
            beyond=old.beyond,
            rate=old.rate,
            **_sums(old, dt, value, fresh | (gap_s < 0.0)),
        )
        self._look_beyond(new, at, over_range)
        return new

    def _look_beyond(self, new: Sense, at: tuple[Slots, Slots], over_range: Mask) -> None:
        """Set the rate, and what lies beyond its limits: once beyond, until below by the deadband."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            spread = new.weight * new.square - new.time * new.time
            rate = 60.0 * (new.weight * new.product - new.time * new.height) / spread
        told = (new.weight >= _WEIGHT_MIN) & (new.age_s >= _TAU_S) & np.isfinite(rate)
        new.rate = np.where(told, rate, np.nan)
        was_limit, was_rate = (new.beyond & BEYOND_LIMIT) != 0, (new.beyond & BEYOND_RATE) != 0
        stays = over_range | (new.value >= self._limit_end[at])
        # What is beyond its range is beyond its limit, also where the limit lies higher, or the range is unknown.
        limit = (new.value >= self.limit[at]) | (over_range & np.isfinite(self.limit[at])) | (was_limit & stays)
        end = (1.0 - _RATE_DEADBAND) * self.rate_limit[at]
        steep = (new.rate >= self.rate_limit[at]) | (was_rate & (new.rate >= end))
        new.beyond = (limit * BEYOND_LIMIT + steep * BEYOND_RATE).astype(np.int8)

    def keep(self, slots: Slots, places: Slots, new: Sense) -> None:
        """Take over what `read` returned."""
        for column, name in zip(self._columns, _NAMES, strict=True):
            column[slots, places] = getattr(new, name)

    def rise(self, slot: int, place: int) -> float:
        """Return how far a member's last reading lies above its reference."""
        return float(self.state.value[slot, place] - self.state.reference[slot, place])


def _placed(channel: Channel, rule: Rule, given: Sequence[Criterion]) -> Figures:
    try:
        return figures_of(channel, given)
    except ConfigError as error:
        raise error.under(*rule.path) from None


def _column(judge: GroupJudge, name: str) -> NDArray[Any]:
    if name in _INTEGERS:
        return judge.member_column(name, _FILLS[name], np.int64)
    if name == "beyond":
        return judge.member_column(name, 0, np.int8)
    return judge.member_column(name, 0.0, np.float64)


def _sums(old: Sense, dt: Float64, value: Float64, anew: Mask) -> dict[str, Float64]:
    """Return the sums behind the rate, seen from this reading: older readings weigh less by e in half a window."""
    anew = anew | ~np.isfinite(old.height) | ~np.isfinite(old.product)
    weigh = np.where(anew, 0.0, np.exp(-dt / _TAU_S))
    with np.errstate(over="ignore", invalid="ignore"):
        up = np.where(anew, 0.0, value - old.value)
        return {
            "weight": weigh * old.weight + 1.0,
            "time": weigh * (old.time - dt * old.weight),
            "square": weigh * (old.square - 2.0 * dt * old.time + dt * dt * old.weight),
            "height": np.where(anew, 0.0, weigh * (old.height - up * old.weight)),
            "product": np.where(
                anew, 0.0, weigh * (old.product - up * old.time - dt * old.height + dt * up * old.weight)
            ),
        }
