"""Sections of the site file on how people run the site: areas, shifts, alarm policy, response, plans, notifications."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
PriorityNumber = Literal[1, 2, 3, 4]
HOUR_S = 3600.0
DAY_S = 86_400.0


class Section(BaseModel):
    """Root of every section of the site file: no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AreaSection(Section):
    """A part of the site, as people know it."""

    id: str = Field(description="The area as instruments name it.", examples=["boiler"], min_length=1, max_length=64)
    label: str = Field("", description="Name for people; the id where left out.", examples=["Boiler room"])
    label_zh: str = Field("", description="The same in Chinese.", examples=["锅炉房"])
    phone: str = Field("", description="Whom to call about an alarm here.", examples=["0757-8888 1234"])
    response: str = Field(
        "", description="What to do about an alarm here, where its rule does not say.", examples=["Leave, close V3."]
    )
    response_zh: str = Field("", description="The same in Chinese.", examples=["撤离，关闭 V3 阀。"])


class ShiftSection(Section):
    """A shift of the control room; it ends when the next one begins."""

    name: str = Field(description="Name of the shift.", examples=["night"], min_length=1)
    name_zh: str = Field("", description="The same in Chinese.", examples=["夜班"])
    begins: TimeOfDay = Field(description="When it begins, in the site's time zone.", examples=["22:00"])


class ShelvingSection(Section):
    """How long whom may put an alarm aside."""

    operator_s: float = Field(
        4 * HOUR_S, gt=0, le=12 * HOUR_S, description="Longest shelving by an operator, in seconds.", examples=[14400]
    )
    engineer_s: float = Field(
        12 * HOUR_S, gt=0, le=12 * HOUR_S, description="Longest shelving by an engineer, in seconds.", examples=[43200]
    )
    red_by_operator: bool = Field(
        default=False, description="An operator may shelve alarms of priority 1 too.", examples=[False]
    )


class AlarmsSection(Section):
    """How alarms are run on this site."""

    shelving: ShelvingSection = Field(default_factory=ShelvingSection, description="How long alarms may be shelved.")
    out_of_service_max_s: float = Field(
        30 * DAY_S, gt=0, le=366 * DAY_S, description="Longest permit to take alarms out of service, in seconds."
    )
    first_out_s: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="Alarms of an area within so many seconds of its first one are shown as its consequences.",
    )
    flood_begins: int = Field(10, ge=2, le=1000, description="More alarms than this in 10 minutes are a flood.")
    flood_ends: int = Field(5, ge=1, le=1000, description="Fewer alarms than this in 10 minutes end it.")

    @model_validator(mode="after")
    def _flood_can_end(self) -> Self:
        if self.flood_ends > self.flood_begins:
            raise ValueError(f"flood_ends {self.flood_ends} is above flood_begins {self.flood_begins}")
        return self


class StepLimitsSection(Section):
    """How long each step of a response may take, in seconds from the alarm; no limit where left out."""

    acknowledge_s: float | None = Field(None, gt=0, description="Until somebody acknowledges.", examples=[60])
    dispatch_s: float | None = Field(None, gt=0, description="Until somebody is sent.", examples=[120])
    arrive_s: float | None = Field(None, gt=0, description="Until somebody is there.", examples=[180])
    close_s: float | None = Field(None, gt=0, description="Until the case is closed.", examples=[86400])


class ResponseSection(Section):
    """The loop from alarm to archive: received, dispatched, arrived, acted, reported back, closed."""

    enabled: bool = Field(
        default=True, description="Alarms open cases that must be closed; false: acknowledging is enough."
    )
    priorities: tuple[PriorityNumber, ...] = Field(
        (1, 2), description="Priorities whose alarms open a case.", examples=[[1, 2]]
    )
    limits: StepLimitsSection = Field(
        default_factory=StepLimitsSection, description="Time limits of every case; overdue ones are alarms themselves."
    )


class SuppressionSection(Section):
    """Alarms put aside by the site's own logic while a condition holds; shown, counted and journalled all the same."""

    id: Id = Field(description="Identifier of the suppression.", examples=["burner-off"])
    alarms: tuple[str, ...] = Field(
        min_length=1,
        description="Alarms as `rule` or `rule:instrument.channel`, with * and ?.",
        examples=[["draught:*"]],
    )
    channel: str | None = Field(None, description="The channel that decides.", examples=["plc-1.burner"])
    above: float | None = Field(None, description="They are suppressed while the channel is above this.", examples=[1])
    below: float | None = Field(None, description="They are suppressed while the channel is below this.", examples=[1])
    alarm: str | None = Field(
        None, description="Or: they are suppressed while this alarm is active.", examples=["power:ups-1.mains"]
    )
    max_s: float | None = Field(
        None, gt=0, description="Ends after so many seconds, whatever the condition says.", examples=[3600]
    )
    why: str = Field(description="Why that is right, for people.", examples=["No draught while the burner is off."])
    why_zh: str = Field("", description="The same in Chinese.", examples=["燃烧器停机时无抽力。"])

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        by_channel = self.channel is not None and (self.above is None) != (self.below is None)
        by_alarm = self.alarm is not None and self.above is None and self.below is None
        if by_channel == by_alarm or (self.channel is not None and self.alarm is not None):
            raise ValueError("give either channel with one of above and below, or alarm")
        return self


class CheckSection(Section):
    """One line of the checklist at an instrument."""

    id: Id = Field(description="Identifier of the line.", examples=["filter"])
    text: str = Field(description="What to look at.", examples=["Filter clean?"])
    text_zh: str = Field("", description="The same in Chinese.", examples=["滤网是否清洁？"])


class CalibrationSection(Section):
    """When an instrument must be calibrated and bump-tested, and what a bump test must show."""

    every_days: int | None = Field(
        None, ge=1, le=3650, description="Days between calibrations; no duty where left out.", examples=[180]
    )
    bump_every_days: int | None = Field(
        None, ge=1, le=3650, description="Days between bump tests; no duty where left out.", examples=[30]
    )
    last: date | None = Field(None, description="The last calibration before the gateway knew of any.")
    last_bump: date | None = Field(None, description="The last bump test before the gateway knew of any.")
    warn_days: int = Field(7, ge=0, le=90, description="Days before the due date from which it is shown as due.")
    gas: str = Field("", description="Test gas, for people.", examples=["CH4 50 %LEL in air"])
    expected: float | None = Field(None, description="Reading that the test gas must give.", examples=[50])
    tolerance_percent: float = Field(
        20.0, gt=0, le=100, description="How far from it, in percent of it, still passes.", examples=[20]
    )


class PositionSection(Section):
    """Where an instrument stands on a plan."""

    plan: Id = Field(description="The plan.", examples=["ground-floor"])
    x: float = Field(ge=0, le=1, description="From the left edge, 0 to 1.", examples=[0.25])
    y: float = Field(ge=0, le=1, description="From the upper edge, 0 to 1.", examples=[0.4])


class PlanSection(Section):
    """A drawing of the site."""

    id: Id = Field(description="Identifier of the plan.", examples=["ground-floor"])
    label: str = Field("", description="Name for people.", examples=["Ground floor"])
    label_zh: str = Field("", description="The same in Chinese.", examples=["一层"])
    image: str = Field(
        description="SVG, PNG or JPEG beside the site file, at most 4 MiB.", examples=["ground-floor.svg"], min_length=1
    )


class NotifierSection(Section):
    """A way to tell people: a group chat, mail, text messages."""

    id: Id = Field(description="Identifier.", examples=["duty-group"])
    type: str = Field(description="The plugin.", examples=["wecom"])
    options: dict[str, Any] = Field(default_factory=dict, description="The plugin's options.", examples=[{}])


class RouteSection(Section):
    """Who is told of which alarms, when."""

    to: tuple[Id, ...] = Field(min_length=1, description="The notifiers.", examples=[["duty-group"]])
    areas: tuple[str, ...] = Field(
        (), description="Only alarms of these areas; all where empty.", examples=[["boiler"]]
    )
    priorities: tuple[PriorityNumber, ...] = Field(
        (), description="Only alarms of these priorities; all where empty.", examples=[[1, 2]]
    )
    alarms: tuple[str, ...] = Field(
        ("*",), min_length=1, description="Only these alarms, with * and ?.", examples=[["gas:*"]]
    )
    days: tuple[Weekday, ...] = Field((), description="Only on these days; every day where empty.")
    from_: TimeOfDay | None = Field(
        None, alias="from", description="Only from this time of day, in the site's time zone.", examples=["18:00"]
    )
    until: TimeOfDay | None = Field(None, description="Only until this time of day.", examples=["08:00"])
    after_s: float = Field(
        0.0, ge=0, le=DAY_S, description="Seconds without acknowledgement before they are told: an escalation."
    )
    repeat_s: float | None = Field(
        None, ge=60, le=DAY_S, description="Told again after so many seconds until acknowledged.", examples=[600]
    )
    ends: bool = Field(default=True, description="They are told of the end of an alarm too.")

    @model_validator(mode="after")
    def _both_times(self) -> Self:
        if (self.from_ is None) != (self.until is None):
            raise ValueError("give both from and until, or neither")
        return self


class NotificationsSection(Section):
    """Who is told of alarms beside the platform."""

    notifiers: tuple[NotifierSection, ...] = Field((), description="The ways to tell people.")
    routes: tuple[RouteSection, ...] = Field((), description="Who is told of which alarms.")
    digest_s: float = Field(
        10.0,
        ge=1,
        le=600,
        description="In a flood, seconds that alarms are gathered into one message; never priority 1.",
    )
    link: str = Field(
        "",
        description="Address of the console as people reach it, put into messages.",
        examples=["http://10.0.0.5:8080/"],
    )
