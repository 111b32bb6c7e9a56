"""Fixed set points in two steps, against a rise, a fall or both: the judge that no statistics overrule.

A reading at or beyond a set point raises, after the on-delay; one clear of it by more than the deadband clears, after
the off-delay. With `count`, so many readings at or beyond it within `window_s` raise, and fewer are let pass. A BAD
reading does neither: an on-delay that runs goes on and ends with the next reading that agrees, an off-delay starts
again. A reading marked OVER_RANGE counts as at least the end of the instrument's range, as catalytic instruments read
low above it, and clears nothing; against a fall it says nothing.

    >>> import numpy as np
    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(row=0, id="gd-01.ch4", instrument="gd-01", quantity="ch4", unit="%LEL")
    >>> rule = Rule(index=0, id="gas", type="threshold", channels=(channel,), options=Options(low=25, high=50))
    >>> detector = create([rule])
    >>> for second, value in enumerate([3.0, 25.0, float("nan"), 61.0, 12.0]):
    ...     for level in detector.update(Batch.of([0], second * 1_000_000_000, [value])).level:
    ...         print(second, Level(level).name)
    1 LOW
    3 HIGH
    4 NORMAL

References:
    GB/T 50493-2019 5.5.2: the highest set points of combustible and toxic gas, and of oxygen.
    GB 16808-2008: low and high alarm; a delay must be shown to people.
    ISA-18.2 / IEC 62682: deadband, on-delay and off-delay.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, StringConstraints, model_validator

from detectors.parts.bank import (
    OVER_RANGE,
    Judge,
    Ladder,
    Mask,
    Slots,
    durations,
    figures,
    is_bad,
    is_over_range,
    margin,
    shared,
)
from gateway.core.errors import ConfigError
from gateway.core.model import NO_VERDICTS, Batch, Channel, Float64, Int8, Rule, Verdicts
from gateway.core.plugin import Detector, PluginOptions
from gateway.core.status import SetPoint
from gateway.core.units import Ceilings, ceilings

DELAY_S_MAX = 3600.0
COUNT_MAX = 20
NEVER = np.iinfo(np.int64).min


class Steps(PluginOptions):
    """The two set points of one side."""

    low: float | None = Field(
        default=None, description="First set point (level LOW), in the channel's unit.", examples=[19.5]
    )
    high: float | None = Field(
        default=None, description="Second set point (level HIGH), in the channel's unit.", examples=[18.0]
    )


class Options(PluginOptions):
    """Set points of one side as `low` and `high`; of both sides as `above` and `below`, the way oxygen needs it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"low": 25.0, "high": 50.0, "deadband": 2.0},
                {"below": {"low": 19.5, "high": 18.0}, "above": {"low": 23.5}, "deadband": 0.2, "off_delay_s": 10.0},
                {"side": "below", "low": 15.0, "high": 10.0, "on_delay_s": 5.0},
                {"low": 60.0, "count": 3, "window_s": 30.0},
            ]
        }
    )

    low: float | None = Field(
        default=None,
        description="First set point (level LOW) on the side that `side` names, in the channel's unit.",
        examples=[25.0],
    )
    high: float | None = Field(
        default=None,
        description="Second set point (level HIGH) on the side that `side` names, in the channel's unit.",
        examples=[50.0],
    )
    side: Literal["above", "below", "both"] | None = Field(
        default=None,
        description="Which side is dangerous: `above` (the default) raises at or above `low` and `high`, `below` at or "
        "below them; `both` takes its set points from `above` and `below` instead.",
        examples=["above"],
    )
    above: Steps | None = Field(
        default=None,
        description="Set points against a rise, in the channel's unit, where both sides are dangerous.",
        examples=[{"low": 23.5}],
    )
    below: Steps | None = Field(
        default=None,
        description="Set points against a fall, in the channel's unit, where both sides are dangerous.",
        examples=[{"low": 19.5, "high": 18.0}],
    )
    deadband: float = Field(
        default=0.0,
        ge=0.0,
        description="How far a value must come back behind a set point before the step is over, in the channel's unit.",
        examples=[2.0],
    )
    on_delay_s: float = Field(
        default=0.0,
        ge=0.0,
        le=DELAY_S_MAX,
        description="How long a value must stand at or beyond a set point before the step is raised, in seconds; 0 for "
        "gas and fire.",
        examples=[0.0],
    )
    off_delay_s: float = Field(
        default=0.0,
        ge=0.0,
        le=DELAY_S_MAX,
        description="How long a value must stand clear of a set point before the step is over, in seconds.",
        examples=[10.0],
    )
    count: int = Field(
        default=1,
        ge=1,
        le=COUNT_MAX,
        description="How many readings at or beyond a set point within `window_s` raise the step, a count without a "
        "unit; 1 for gas and fire, and where more, the delay is shown with the alarm.",
        examples=[3],
    )
    window_s: float | None = Field(
        default=None,
        gt=0.0,
        le=DELAY_S_MAX,
        description="Within which time `count` readings must come, in seconds.",
        examples=[30.0],
    )
    above_ceiling_because: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] | None = Field(
        default=None,
        description="Why the set points may lie beyond those that GB/T 50493-2019 5.5.2 allows, in words and without a "
        "unit; without it they are refused.",
        examples=["Sampled annealing furnace, alarm plan 2024-17."],
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_form()
        if (self.count > 1) != (self.window_s is not None):
            raise ValueError("count above 1 and window_s belong together")
        if self.count > 1 and self.on_delay_s > 0:
            raise ValueError("give either on_delay_s or count with window_s: each waits in its own way")
        rising, falling = self.rising, self.falling
        if None not in (rising.low, rising.high) and not rising.low < rising.high:  # type: ignore[operator]  # not None
            raise ValueError(f"against a rise, low ({rising.low}) must be below high ({rising.high})")
        if None not in (falling.low, falling.high) and not falling.low > falling.high:  # type: ignore[operator]  # not None
            raise ValueError(f"against a fall, low ({falling.low}) must be above high ({falling.high})")
        ceiling, floor = _first(rising), _first(falling)
        if ceiling is not None and floor is not None and not floor + self.deadband < ceiling - self.deadband:
            raise ValueError(
                f"no value is normal between {floor} and {ceiling} with a deadband of {self.deadband} on both sides"
            )
        return self

    def _check_form(self) -> None:
        one_sided = self.low is not None or self.high is not None
        blocks = [steps for steps in (self.above, self.below) if steps is not None]
        if one_sided and (blocks or self.side == "both"):
            raise ValueError("give either low and high with side above or below, or the blocks above and below")
        if not one_sided and (not blocks or any(_first(steps) is None for steps in blocks)):
            raise ValueError("low or high must be given, for one side or in each of the blocks above and below")
        if blocks and self.side not in (None, "both"):
            raise ValueError(f"side {self.side} takes low and high, not the blocks above and below")
        if self.side == "both" and len(blocks) < 2:
            raise ValueError("side both needs the blocks above and below")

    @property
    def keeps(self) -> int:
        """How many times of past readings are kept for each step; rules that keep as many are judged together."""
        return self.count if self.count > 1 else 0

    @property
    def rising(self) -> Steps:
        """The set points against a rise, empty where there are none."""
        if self.above is not None:
            return self.above
        return Steps() if self.side == "below" else Steps(low=self.low, high=self.high)

    @property
    def falling(self) -> Steps:
        """The set points against a fall, empty where there are none."""
        if self.below is not None:
            return self.below
        return Steps(low=self.low, high=self.high) if self.side == "below" else Steps()

    @property
    def set_points(self) -> tuple[SetPoint, ...]:
        """The set points of both sides, as trends draw them."""
        return (*_set_points(self.rising, "above"), *_set_points(self.falling, "below"))


def _set_points(steps: Steps, side: str) -> list[SetPoint]:
    both = (("low", steps.low), ("high", steps.high))
    return [SetPoint(level=level, side=side, value=value) for level, value in both if value is not None]


def _first(steps: Steps) -> float | None:
    return steps.high if steps.low is None else steps.low


def _options(rule: Rule) -> Options:
    assert isinstance(rule.options, Options), f"{rule.id}: options of another type"
    return rule.options


def _check_rule(channel: Channel, options: Options) -> None:
    for side, steps in (("above", options.rising), ("below", options.falling)):
        block = ("options",) if getattr(options, side) is None else ("options", side)
        for step in ("low", "high"):
            value = getattr(steps, step)
            if value is not None:
                _check_range((*block, step), side, value, options.deadband, channel)
    allowed = ceilings(channel.quantity, channel.unit)
    if allowed is not None and options.above_ceiling_because is None:
        _check_ceilings(allowed, options)


def _check_range(path: tuple[str, ...], side: str, value: float, deadband: float, channel: Channel) -> None:
    """Refuse a set point that no value of the instrument reaches, or that none comes back from."""
    low, high, unit = channel.range_low, channel.range_high, channel.unit
    if value > high or value < low:
        raise ConfigError(path, f"{value:g} {unit} lies outside the range of {channel.id}, {low:g} to {high:g} {unit}")
    if (side == "above" and value - deadband <= low) or (side == "below" and value + deadband >= high):
        raise ConfigError(
            path,
            f"with a deadband of {deadband:g} {unit} the alarm at {value:g} {unit} could never clear within the range "
            f"of {channel.id}, {low:g} to {high:g} {unit}",
        )


def _check_ceilings(allowed: Ceilings, options: Options) -> None:
    rising, falling = options.rising, options.falling
    block = ("options",) if options.above is None else ("options", "above")
    high_limit = allowed.low if allowed.high is None and rising.low is None else allowed.high
    for step, value, most, way_out in (
        ("low", rising.low, allowed.low, allowed.idlh_low),
        ("high", rising.high, high_limit, allowed.idlh_high),
    ):
        if value is not None and most is not None and value > _printed(most):
            idlh = "" if way_out is None else f" (where the range cannot cover that, {way_out:.4g} {allowed.unit})"
            raise ConfigError((*block, step), _refusal(value, f"at most {most:.4g} {allowed.unit}{idlh}", allowed))
    first, step = _first(falling), "high" if falling.low is None else "low"
    if allowed.deficiency is not None and first is not None and first < allowed.deficiency:
        block = ("options",) if options.below is None else ("options", "below")
        raise ConfigError((*block, step), _refusal(first, f"at least {allowed.deficiency:g} {allowed.unit}", allowed))


def _printed(most: float) -> float:
    """Return the ceiling as the message prints it, where that is higher: nobody is refused the figure he was told."""
    return max(most, float(f"{most:.4g}"))


def _refusal(value: float, allowed: str, ceiling: Ceilings) -> str:
    return (
        f"{value:g} {ceiling.unit}, but {ceiling.clause} allows {allowed} [{ceiling.basis}]; move the set point or "
        "say why in above_ceiling_because"
    )


class Threshold(Judge):
    """All threshold rules at once; satisfies `Detector`."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self._ladder = Ladder(
            self._bank,
            durations(rules, lambda rule: _options(rule).on_delay_s),
            durations(rules, lambda rule: _options(rule).off_delay_s),
        )
        self.columns |= self._ladder.columns()
        self._counts = _Counts(rules)
        if self._counts.kept:
            self.columns["times_ns"] = self._counts.times_ns
        self._above: Float64 = shared(
            np.stack(
                [
                    figures(rules, lambda rule: _options(rule).rising.low),
                    figures(rules, lambda rule: _options(rule).rising.high),
                ]
            )
        )
        self._below: Float64 = shared(
            np.stack(
                [
                    figures(rules, lambda rule: _options(rule).falling.low),
                    figures(rules, lambda rule: _options(rule).falling.high),
                ]
            )
        )
        deadband = figures(rules, lambda rule: _options(rule).deadband)
        self._above_clear, self._below_clear = shared(self._above - deadband), shared(self._below + deadband)
        # What a rule that is NORMAL and at rest can be woken by: its nearest set points, if it has any on that side.
        self._trip_above = shared(np.fmin(np.fmin(*self._above), np.inf))
        self._trip_below = shared(np.fmax(np.fmax(*self._below), -np.inf))
        self._any_below = bool(np.isfinite(self._trip_below).any())
        # An instrument of unknown range that says it is beyond it is beyond any set point.
        self._range_high = shared(np.nan_to_num(figures(rules, lambda rule: rule.channel.range_high), nan=np.inf))

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        share = self._bank.share(batch)
        slots = share.slots
        awake = share.value >= self._trip_above[slots]
        if self._any_below:
            awake |= share.value <= self._trip_below[slots]
        if self._ladder.any_awake():
            awake |= self._ladder.awake(slots)
        if OVER_RANGE in share.marks:
            awake |= is_over_range(share.quality)
        found = share.awake(awake)
        return NO_VERDICTS if found is None else self._judge(batch, *found)

    def _judge(self, batch: Batch, at: Slots, slots: Slots) -> Verdicts:
        quality = batch.quality[at]
        over_range = is_over_range(quality)
        value = np.where(is_bad(quality), np.nan, batch.value[at])
        judged = np.where(over_range, np.fmax(value, self._range_high[slots]), value)
        before = self._bank.levels[slots]
        over = _either(judged >= self._above[:, slots], judged <= self._below[:, slots])
        after = self._ladder.step(
            slots,
            batch.time_ns[at],
            self._counts.enough(slots, batch.time_ns[at], over) if self._counts.kept else over,
            _neither(judged >= self._above_clear[:, slots], judged <= self._below_clear[:, slots]),
            over_range | is_bad(quality),
        )
        changed = self._bank.changed(slots, after)
        if not len(changed):
            return NO_VERDICTS
        at, slots, after, value, judged = at[changed], slots[changed], after[changed], value[changed], judged[changed]
        limit = self._limit(slots, judged, np.where(after > before[changed], after, after + 1) - 1)
        return self._bank.report(batch, at, slots, after, judged=(value, limit, margin(judged, limit)))

    def _limit(self, slots: Slots, judged: Float64, step: Int8) -> Float64:
        """Return the set point that a change of level was about: the nearer one where a step has two.

        Args:
            slots: The rules.
            judged: The values judged.
            step: 0 for the first, 1 for the second step; the other one serves a rule that does not have it.
        """
        above, below = self._above[step, slots], self._below[step, slots]
        lacks = np.isnan(above) & np.isnan(below)
        above = np.where(lacks, self._above[1 - step, slots], above)
        below = np.where(lacks, self._below[1 - step, slots], below)
        with np.errstate(over="ignore"):
            nearer_below = np.abs(judged - below) < np.abs(judged - above)
        return np.where(np.isnan(above) | nearer_below, below, above)

    def _restored(self) -> None:
        self._ladder.restored()


class _Counts:
    """The newest readings beyond each step's set point, as many as the rules of one detector count.

    Args:
        rules: The rules.

    Attributes:
        kept: How many, 0 where one reading is enough for every rule.
        times_ns: int64[rules + 1, 2, kept], their times, the oldest first.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.kept = max((_options(rule).keeps for rule in rules), default=0)
        self._first = np.array([self.kept - _options(rule).count for rule in rules] + [0], np.intp)
        self.times_ns: NDArray[np.int64] = np.full((len(rules) + 1, 2, self.kept), NEVER, np.int64)
        self._window_ns = durations(rules, lambda rule: _options(rule).window_s or 0.0)

    def enough(self, slots: Slots, time_ns: NDArray[np.int64], over: tuple[Mask, Mask]) -> tuple[Mask, Mask]:
        """Take readings and return where each step has enough of them beyond its set point."""
        found: list[Mask] = []
        for step, beyond in enumerate(over):
            # A clock that was set back makes what was newer as old as what comes now.
            times = np.minimum(self.times_ns[slots, step], time_ns[:, None])
            times = np.where(beyond[:, None], np.column_stack((times[:, 1:], time_ns)), times)
            self.times_ns[slots, step] = times
            oldest = times[np.arange(len(slots)), self._first[slots]]
            found.append(beyond & (oldest != NEVER) & (oldest >= time_ns - self._window_ns[slots]))
        return found[0], found[1]


def _either(above: NDArray[np.bool_], below: NDArray[np.bool_]) -> tuple[Mask, Mask]:
    both = above | below
    return both[0], both[1]


def _neither(above: NDArray[np.bool_], below: NDArray[np.bool_]) -> tuple[Mask, Mask]:
    gone = ~(above | below)
    return gone[0], gone[1]


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: A set point lies beyond what GB/T 50493-2019 5.5.2 allows, outside the instrument's range, or so
            that its alarm could never clear.
    """
    for rule in rules:
        try:
            _check_rule(rule.channel, _options(rule))
        except ConfigError as error:
            raise error.under(*rule.path) from None
    return Threshold(rules)
