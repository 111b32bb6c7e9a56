"""What can happen in a scenario, and to whom."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulators.fire import FUELS, GROWTH_KW_S2
from simulators.gases import GASES

Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Often(BaseModel):
    """A rhythm by chance: so many times an hour on average, at certain hours of certain days (0 is Monday)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    per_h: Positive
    from_h: Annotated[float, Field(ge=0.0, lt=24.0)] = 0.0
    to_h: Annotated[float, Field(gt=0.0, le=24.0)] = 24.0
    weekdays: tuple[Annotated[int, Field(ge=0, le=6)], ...] = (0, 1, 2, 3, 4, 5, 6)

    @model_validator(mode="after")
    def _rises(self) -> "Often":
        if self.from_h >= self.to_h:
            raise ValueError(f"from_h ({self.from_h:g}) must be below to_h ({self.to_h:g})")
        return self


class Happening(BaseModel):
    """Root of all events: at second `at_s` of the scenario, to `where`; undone after `for_s` where that is given."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    at_s: NotNegative
    where: str
    for_s: Positive | None = None
    every_s: Positive | None = None
    """It happens again every so many seconds, as long as the scenario lasts."""
    often: Often | None = None
    """It happens again and again at random, from `at_s` on."""

    @model_validator(mode="after")
    def _one_rhythm(self) -> "Happening":
        if self.every_s is not None and self.often is not None:
            raise ValueError("every_s and often exclude each other")
        if self.every_s is not None and self.for_s is not None and self.for_s >= self.every_s:
            raise ValueError(f"for_s ({self.for_s:g}) must be below every_s ({self.every_s:g})")
        return self


class Placed(Happening):
    """What happens somewhere: `x_m` and `y_m` from one corner of a room or yard, `height_m` above the floor."""

    x_m: NotNegative | None = None
    y_m: NotNegative | None = None
    height_m: NotNegative | None = None
    """Under the ceiling where left out, in a yard at 1 m."""

    @model_validator(mode="after")
    def _whole_place(self) -> "Placed":
        if (self.x_m is None) != (self.y_m is None):
            raise ValueError("x_m and y_m belong together")
        return self


class LeakEvent(Placed):
    """Gas escapes into a room or a yard: a flow, or a hole of `hole_mm` with `pressure_kpa` gauge behind it."""

    what: Literal["leak"]
    gas: str
    flow_l_per_min: Positive | None = None
    hole_mm: Positive | None = None
    pressure_kpa: Positive | None = None
    grow_s: NotNegative = 0.0

    @model_validator(mode="after")
    def _one_source(self) -> "LeakEvent":
        if self.gas not in GASES:
            raise ValueError(f"gas must be one of {sorted(GASES)}, not {self.gas!r}")
        hole = self.hole_mm is not None and self.pressure_kpa is not None
        if hole == (self.flow_l_per_min is not None):
            raise ValueError("a leak has either flow_l_per_min or hole_mm with pressure_kpa")
        return self


class FireEvent(Happening):
    """A fire that grows with the square of time to `peak_kw`; after `for_s` it is put out."""

    what: Literal["fire"]
    growth: str = "medium"
    alpha_kw_s2: Positive | None = None
    """Its growth as a figure, in place of `growth`."""
    peak_kw: Positive = 1000.0
    base_m: NotNegative = 0.0
    """Height above the floor of what burns."""
    fuel: str = "wood"

    @model_validator(mode="after")
    def _known(self) -> "FireEvent":
        if self.growth not in GROWTH_KW_S2:
            raise ValueError(f"growth must be one of {sorted(GROWTH_KW_S2)}, not {self.growth!r}")
        if self.fuel not in FUELS:
            raise ValueError(f"fuel must be one of {sorted(FUELS)}, not {self.fuel!r}")
        return self


class CookingEvent(Happening):
    """Frying: aerosol and some heat, no danger."""

    what: Literal["cooking"]
    heat_kw: NotNegative = 4.0
    aerosol_mg_s: NotNegative = 3.0
    co_mg_s: NotNegative = 0.5
    steam_g_s: NotNegative = 0.2


class SteamEvent(Happening):
    """Steam from a kettle, a shower, a leaking valve."""

    what: Literal["steam"]
    steam_g_s: Positive = 2.0
    heat_kw: NotNegative = 1.0


class VentilationEvent(Happening):
    """The fresh air of a room changes: a fan fails, a door opens."""

    what: Literal["ventilation"]
    air_changes_per_h: NotNegative


class DoorEvent(Happening):
    """A door or gate stands open: fresh air on top of the ventilation, and the room's warmth goes out."""

    what: Literal["door"]
    air_changes_per_h: Positive = 15.0


class WeldingEvent(Happening):
    """Welding and cutting: fume, some carbon monoxide, heat at the arc."""

    what: Literal["welding"]
    heat_kw: NotNegative = 3.0
    aerosol_mg_s: NotNegative = 8.0
    co_mg_s: NotNegative = 2.0
    steam_g_s: NotNegative = 0.0


class CleaningEvent(Placed):
    """Somebody wipes with alcohol: `grams` of vapour that heads for combustible gas see, and no danger."""

    what: Literal["cleaning"]
    agent: str = "ethanol"
    grams: Positive = 20.0
    dries_s: Positive = 90.0

    @model_validator(mode="after")
    def _known(self) -> "CleaningEvent":
        if self.agent not in GASES:
            raise ValueError(f"agent must be one of {sorted(GASES)}, not {self.agent!r}")
        return self


class WindEvent(Happening):
    """The mean wind over a yard becomes another within `turns_s`, by the shorter way round; then it turns back."""

    what: Literal["wind"]
    wind_m_s: Positive | None = None
    from_deg: Annotated[float, Field(ge=0.0, le=360.0)] | None = None
    turns_s: NotNegative = 300.0


class PumpEvent(Happening):
    """Liquid is pumped into (positive) or out of a tank."""

    what: Literal["pump"]
    flow_m3_h: float


class HeatingEvent(Happening):
    """Heat goes into a tank's liquid."""

    what: Literal["heating"]
    heat_kw: float


class StuckEvent(Happening):
    """The value stands still; nothing else shows it."""

    what: Literal["stuck"]


class BiasEvent(Happening):
    """The value is off by a constant."""

    what: Literal["bias"]
    by: float


class DriftEvent(Happening):
    """The zero runs away."""

    what: Literal["drift"]
    per_hour: float


class SpikeEvent(Happening):
    """The value jumps for `for_s`, or for a moment."""

    what: Literal["spike"]
    by: float


class NoiseEvent(Happening):
    """The noise grows."""

    what: Literal["noise"]
    times: NotNegative = 10.0


class PoisonEvent(Happening):
    """The head loses its sensitivity, down to `left`, by half each `half_life_s`."""

    what: Literal["poison"]
    half_life_s: Positive = 600.0
    left: Share = 0.0


class StateEvent(Happening):
    """What an instrument does as a whole.

    It says that it has a fault; it is inhibited, and its value is held; it starts anew; it hangs, value and heartbeat;
    its heartbeat alone stalls; its relays acknowledge and do nothing.
    """

    what: Literal["fault", "inhibit", "restart", "hang", "stall-heartbeat", "relay-stuck"]


class WarmUpEvent(Happening):
    """The instrument is switched off and on, and takes `for_s` (else its own warm-up, at least a minute) to warm up."""

    what: Literal["warm-up"]


class CalibrationEvent(Happening):
    """The instrument says that it is being calibrated and gets test gas: that share of its range, whatever is so."""

    what: Literal["calibration"]
    gas: Share = 0.5
    told: bool = True
    """Whether it says so; a head that is only held under test gas does not know it."""


class UnitChangedEvent(Happening):
    """Somebody sets the instrument to another unit: its word for the unit changes to `to`, its numbers by `times`."""

    what: Literal["unit-changed"]
    to: Annotated[int, Field(ge=0, le=65_535)]
    times: Positive = 1.0


class DropoutEvent(Happening):
    """The instrument answers or publishes nothing."""

    what: Literal["dropout"]


class LateEvent(Happening):
    """A share of the answers or messages comes late."""

    what: Literal["late"]
    share: Share = 1.0
    by_s: Positive


class LossEvent(Happening):
    """A share of the answers or messages is lost, or on a serial line garbled, or answers something else."""

    what: Literal["loss", "garble", "wrong"]
    share: Share


class SlowEvent(Happening):
    """Every answer takes longer."""

    what: Literal["slow"]
    by_s: Positive


class RepeatEvent(Happening):
    """A share of the messages is published twice, as a network with two LoRa gateways does."""

    what: Literal["repeat"]
    share: Share = 1.0


class RefuseEvent(Happening):
    """A share of the requests is answered with a Modbus exception."""

    what: Literal["refuse"]
    share: Share = 1.0
    code: Annotated[int, Field(ge=1, le=255)] = 4


class BusDownEvent(Happening):
    """The endpoint, the line or the publisher's link is gone."""

    what: Literal["bus-down"]


class LineNoiseEvent(Happening):
    """A serial line is badly terminated: a share of the answers has bytes of noise before or behind it."""

    what: Literal["line-noise"]
    share: Share = 0.2


class UnplugEvent(Happening):
    """A serial adapter is pulled out: its name is gone until it is plugged in again after `for_s`."""

    what: Literal["unplug"]


Event = Annotated[
    LeakEvent
    | FireEvent
    | CookingEvent
    | SteamEvent
    | WeldingEvent
    | CleaningEvent
    | DoorEvent
    | WindEvent
    | VentilationEvent
    | PumpEvent
    | HeatingEvent
    | StuckEvent
    | BiasEvent
    | DriftEvent
    | SpikeEvent
    | NoiseEvent
    | PoisonEvent
    | StateEvent
    | WarmUpEvent
    | CalibrationEvent
    | UnitChangedEvent
    | DropoutEvent
    | LateEvent
    | LossEvent
    | SlowEvent
    | RepeatEvent
    | RefuseEvent
    | BusDownEvent
    | LineNoiseEvent
    | UnplugEvent,
    Field(discriminator="what"),
]

_HEAD = ("instrument", "channel")
EVENTS_ON: Mapping[str, tuple[str, ...]] = {
    "leak": ("room", "yard"),
    "fire": ("room",),
    "cooking": ("room",),
    "steam": ("room",),
    "welding": ("room",),
    "cleaning": ("room",),
    "door": ("room",),
    "ventilation": ("room",),
    "wind": ("yard",),
    "pump": ("tank",),
    "heating": ("tank",),
    "stuck": _HEAD,
    "bias": _HEAD,
    "drift": _HEAD,
    "spike": _HEAD,
    "noise": _HEAD,
    "poison": _HEAD,
    "fault": ("instrument",),
    "inhibit": ("instrument",),
    "restart": ("instrument",),
    "hang": ("instrument",),
    "stall-heartbeat": ("instrument",),
    "relay-stuck": ("instrument",),
    "warm-up": ("instrument",),
    "calibration": ("instrument",),
    "unit-changed": ("instrument",),
    "dropout": ("instrument",),
    "late": ("instrument",),
    "loss": ("instrument",),
    "garble": ("instrument",),
    "wrong": ("instrument",),
    "slow": ("instrument",),
    "repeat": ("instrument",),
    "refuse": ("instrument",),
    "bus-down": ("bus",),
    "line-noise": ("line",),
    "unplug": ("line",),
}
"""What each event can happen to."""

Nature = Literal["hazard", "nuisance", "fault", "state"]
_NATURES: Mapping[Nature, str] = {
    "hazard": "leak fire",
    "nuisance": "cooking steam welding cleaning door ventilation wind",
    "fault": "stuck bias drift spike noise poison fault hang stall-heartbeat relay-stuck unit-changed dropout late "
    "loss garble wrong slow repeat refuse bus-down line-noise unplug",
    "state": "pump heating inhibit restart warm-up calibration",
}
NATURE: Mapping[str, Nature] = {what: nature for nature, whats in _NATURES.items() for what in whats.split()}
"""What an event is to a detector: to be found, to be borne, an instrument's fault, or something that is told."""
