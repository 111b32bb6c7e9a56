"""The site file as pydantic models; plugins' own options are validated by the plugins' models."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import (
    BeforeValidator,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from gateway.core.alarm import AlarmState, Verb
from gateway.site.operation import (
    AlarmsSection,
    AreaSection,
    CalibrationSection,
    CheckSection,
    Id,
    NotificationsSection,
    PlanSection,
    PositionSection,
    ResponseSection,
    Section,
    ShiftSection,
    SuppressionSection,
)

Options = dict[str, Any]
LevelName = Literal["normal", "low", "high", "fault", "warning"]
POINTS_MAX = 65_535


class SiteSection(Section):
    """Who and where this site is."""

    id: Id = Field(description="Identifier of the site in tags and messages.", examples=["boiler-room-3"])
    gateway: Id = Field("gw-1", description="Identifier of this gateway within the site.", examples=["gw-1"])
    name: str = Field("", description="Name of the site for people.", examples=["Boiler room 3"])
    name_zh: str = Field("", description="The same in Chinese.", examples=["3号锅炉房"])
    timezone: str = Field("UTC", description="IANA name of the site's time zone.", examples=["Asia/Shanghai"])

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"unknown time zone {value!r}; IANA names such as Asia/Shanghai are allowed")
        return value


class ConnectionSection(Section):
    """One bus: a TCP endpoint, a serial line, a broker or a recording."""

    id: Id = Field(description="Identifier of the connection.", examples=["line1"])
    type: str = Field(description="The driver that reads it.", examples=["modbus"])
    options: Options = Field(default_factory=dict, description="The driver's options.", examples=[{}])


def _range(value: Any) -> Any:
    if isinstance(value, (list, tuple)) and len(value) == 2 and value[0] >= value[1]:
        raise ValueError(f"the range must rise, not {value[0]} to {value[1]}")
    return value


class ChannelSection(Section):
    """One measured quantity of an instrument."""

    id: Id = Field(description="Identifier within the instrument.", examples=["ch4"])
    quantity: str = Field("", description="What is measured; the channel's id where left out.", examples=["ch4"])
    unit: str = Field("", description="Engineering unit as displayed.", examples=["%LEL"])
    range: Annotated[tuple[float, float], BeforeValidator(_range)] | None = Field(
        None, description="Lower and upper end of the measuring range in the channel's unit.", examples=[[0, 100]]
    )
    decimals: int = Field(2, ge=0, le=9, description="Digits after the point that stores and screens keep.")
    label: str = Field("", description="Name for people.", examples=["Gas at burner 1"])
    label_zh: str = Field("", description="The same in Chinese.", examples=["1号燃烧器燃气"])
    stale_after_s: float | None = Field(
        None, gt=0, description="Seconds after which a reading is no longer believed; three periods, at least 10 s."
    )
    period_s: float | None = Field(
        None,
        ge=0.01,
        le=86400,
        description="Seconds between readings of this channel; the instrument's where left out.",
        examples=[10],
    )
    options: Options = Field(default_factory=dict, description="Where on the bus it lives.", examples=[{}])


def read_points(value: Any) -> tuple[int, ...]:
    """Return the numbers of a list of points such as `[1, 2, "10-20"]`. Raises ValueError."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list of numbers and ranges, such as [1, 2, 10-20]")  # noqa: TRY004 - pydantic's kind
    found: list[int] = []
    for item in value:
        low, dash, high = str(item).partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise ValueError(f"{item!r} is no point; numbers and ranges such as 10-20 are allowed")
        first, last = int(low), int(high or low)
        if not 0 <= first <= last <= POINTS_MAX:
            raise ValueError(f"{item!r} is no range of points from 0 to {POINTS_MAX}")
        found.extend(range(first, last + 1))
    if len(set(found)) != len(found):
        raise ValueError(f"point {next(p for p in found if found.count(p) > 1)} is named twice")
    return tuple(found)


class InstrumentSection(Section):
    """A transmitter or detector head on a bus."""

    id: Id = Field(description="Identifier of the instrument.", examples=["gd-01"])
    connection: Id = Field(description="The connection it is read over.", examples=["line1"])
    profile: str = Field(
        "",
        description="Its profile: a shipped one by name, or a file beside the site file as `./mine.yaml`. What the site"
        " file says of a channel or option outranks the profile.",
        examples=["honeywell-xcd"],
    )
    points: Annotated[
        tuple[int, ...],
        BeforeValidator(read_points),
        WithJsonSchema({"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}),
    ] = Field((), description="Points of a panel to read, where the profile describes one.", examples=[[1, 2, "10-20"]])
    omit: tuple[str, ...] = Field(
        (), description="Channels of the profile that this instrument does not have.", examples=[["temperature"]]
    )
    label: str = Field("", description="Name for people.", examples=["CH4 detector"])
    label_zh: str = Field("", description="The same in Chinese.", examples=["甲烷探测器"])
    area: str = Field("", description="Part of the site it stands in; alarms are grouped by it.", examples=["burner"])
    location: str = Field("", description="Where exactly, for people.", examples=["above burner 1"])
    period_s: float = Field(
        1.0, ge=0.01, le=86400, description="Seconds between polls, or between reports of an instrument that pushes."
    )
    options: Options = Field(default_factory=dict, description="The driver's options for an instrument.", examples=[{}])
    calibration: CalibrationSection | None = Field(None, description="When it must be calibrated and bump-tested.")
    checklist: tuple[CheckSection, ...] = Field((), description="What to look at when somebody stands before it.")
    position: PositionSection | None = Field(None, description="Where it stands on a plan.")
    channels: tuple[ChannelSection, ...] = Field(
        (), description="What it measures; at least one, here or in its profile."
    )


class OutputSection(Section):
    """A relay or coil for a sounder or beacon: the only thing the gateway ever writes, and only where one is named."""

    id: Id = Field(description="Identifier of the output.", examples=["sounder"])
    connection: Id = Field(description="The connection it is written over.", examples=["line1"])
    label: str = Field("", description="Name for people.", examples=["Sounder at the gate"])
    label_zh: str = Field("", description="The same in Chinese.", examples=["门口声光报警器"])
    alarms: tuple[str, ...] = Field(
        ("*",),
        min_length=1,
        description="Alarms that switch it on, as `rule` or `rule:instrument.channel`, with * and ? as wildcards;"
        " system alarms only where a pattern begins with `system/`.",
        examples=[["gas:*", "smoke:*"]],
    )
    areas: tuple[str, ...] = Field(
        (), description="Only alarms of these areas; all where empty.", examples=[["boiler"]]
    )
    level: Literal["low", "high"] = Field(
        "low", description="Lowest level that switches it on; a fault does not, unless `faults` says so."
    )
    faults: bool = Field(default=False, description="Alarms of level fault switch it on too.")
    warnings: bool = Field(default=False, description="Warnings switch it on too: a lamp, not a sounder.")
    release: Literal["silence", "reset"] = Field(
        "silence",
        description="What releases it: silence (a sounder), or only the end of every such alarm, which takes a reset"
        " where alarms latch (a beacon).",
    )
    repeat_s: float = Field(
        10.0, ge=1, le=3600, description="Seconds after which its state is written and read back again."
    )
    options: Options = Field(default_factory=dict, description="The driver's options for an output.", examples=[{}])


class RuleSection(Section):
    """A detector bound to channels."""

    id: Id = Field(
        description="Identifier of the rule; its alarm is `<id>:<channel>`, or `<id>:<area>` where channels are"
        " judged together.",
        examples=["gas"],
    )
    type: str = Field(description="The detector that judges.", examples=["threshold"])
    channels: tuple[str, ...] = Field(
        min_length=1, description="Channels as `instrument.channel`, with * and ? as wildcards.", examples=[["*.ch4"]]
    )
    options: Options = Field(default_factory=dict, description="The detector's options.", examples=[{}])
    priority: Literal[1, 2, 3, 4] | None = Field(
        None, description="1 red to 4 blue for every level; by quantity and level where left out.", examples=[1]
    )
    latching: bool | None = Field(
        None,
        description="True: only a manual reset ends the alarm; gas and fire latch where left out, warnings and"
        " faults never do.",
    )
    response: str = Field("", description="What the operator is told to do.", examples=["Close valve V3, ventilate."])
    response_zh: str = Field("", description="The same in Chinese.", examples=["关闭 V3 阀，通风。"])
    acknowledge_note: bool = Field(
        default=False, description="Acknowledging needs a note that says what was found.", examples=[False]
    )
    per: Literal["area", "instrument", "all"] | None = Field(
        None,
        description="For detectors that judge channels together: the channels of each area, of each instrument, or all"
        " that the rule names; of each area where left out.",
        examples=["area"],
    )
    budget_per_week: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="How often an alarm of this rule may be raised in a week before the gateway says that it cries"
        " wolf; 1 for detectors that only warn, no limit for others, where left out.",
        examples=[1.0],
    )


class HeldSection(Section):
    """How an alarm stands."""

    level: LevelName = Field(description="The level that the alarm holds.", examples=["high"])
    state: AlarmState | None = Field(
        None, description="Its state; any where left out.", examples=[AlarmState.LATCHED_UNACKED]
    )


class ExpectationSection(Section):
    """What must be so: all open alarms at a time (`at_s` and `alarms`), or when one changes (`between_s`, `alarm`)."""

    at_s: float | None = Field(
        None, ge=0.0, description="Seconds from the first reading; what has arrived until then counts.", examples=[12.0]
    )
    alarms: dict[str, LevelName | HeldSection] | None = Field(
        None,
        description="Every alarm that is then not normal, with its level, or with `level` and `state`; empty for none.",
        examples=[{"gas": "low"}],
    )
    between_s: tuple[float, float] | None = Field(
        None,
        description="First and last second within which `alarm` comes to the level `becomes`.",
        examples=[[60, 90]],
    )
    alarm: str | None = Field(None, description="The alarm that changes.", examples=["gas"])
    becomes: LevelName | None = Field(
        None, description="The level that it comes to, and not before `between_s` begins.", examples=["low"]
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        state = self.at_s is not None and self.alarms is not None
        change = self.between_s is not None and self.alarm is not None and self.becomes is not None
        given = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if not (state and given == {"at_s", "alarms"}) and not (change and given == {"between_s", "alarm", "becomes"}):
            raise ValueError("give either at_s and alarms, or between_s, alarm and becomes")
        if self.between_s is not None and not 0.0 <= self.between_s[0] <= self.between_s[1]:
            raise ValueError("between_s begins at 0 or later and ends after it begins")
        return self


class ActSection(Section):
    """What a person does during a test."""

    at_s: float = Field(ge=0.0, description="Seconds from the first reading; done after that reading.", examples=[30.0])
    verb: Verb = Field(description="What is done.", examples=[Verb.ACKNOWLEDGE])
    alarm: str = Field("", description="The alarm it is done to; none for `silence`.", examples=["gas"])
    duration_s: float = Field(0.0, ge=0.0, description="With `shelve`: for how long.", examples=[600.0])


class TestSection(Section):
    """A test of the site's own rules: readings, and what the alarms must do."""

    __test__ = False  # no class of pytest's

    id: Id = Field(description="Identifier of the test.", examples=["leak-raises-low-then-high"])
    about: str = Field("", description="What it shows, for people.", examples=["A leak of a minute."])
    every_s: float = Field(1.0, gt=0.0, le=86_400.0, description="Seconds between readings.", examples=[1.0])
    readings: dict[str, str] = Field(
        min_length=1,
        description="For each channel its readings one after the other: `5x10` ten times 5, `0+2x5` rising by 2, "
        "`20~0.3x60` with noise, `badx20` without value (or any quality's name), `12@test` with a quality, `_x3` none. "
        "No reading for longer than `stale_after_s` is `comms_lost`, as on site.",
        examples=[{"gd-01.ch4": "2x10 30x5 60x5 badx20 _x3"}],
    )
    acts: tuple[ActSection, ...] = Field((), description="What people do meanwhile.")
    expect: tuple[ExpectationSection, ...] = Field(min_length=1, description="What must be so.")


class DestinationSection(Section):
    """A database that takes readings, or a platform that takes alarms."""

    id: Id = Field(description="Identifier.", examples=["platform"])
    type: str = Field(description="The plugin.", examples=["webhook"])
    options: Options = Field(default_factory=dict, description="The plugin's options.", examples=[{}])


class StorageSection(Section):
    """Limits of what is kept on this machine."""

    spool_bytes_max: int = Field(1 << 30, ge=1 << 25, description="Bytes of raw readings kept on disk.")
    history_days: int = Field(400, ge=1, le=4000, description="Days of one-minute values.")
    history_bytes_max: int = Field(2 << 30, ge=1 << 22, description="Bytes of one-minute values.")
    flush_s: float = Field(
        1.0, ge=0.05, le=60, description="Seconds between writes of readings: what a power cut can cost."
    )


class ApiSection(Section):
    """The HTTP interface and the console."""

    enabled: bool = Field(default=True, description="Serve the API and the console.")
    bind: str = Field(
        "127.0.0.1:8080",
        description="Address and port; other addresses than loopback need an account or a token.",
        pattern=r".+:\d+$",
    )
    read: Literal["signed-in", "anyone"] = Field(
        "signed-in", description="Who may read: people who have signed in, or everybody who reaches the address."
    )
    local_operator: bool = Field(
        default=False,
        description="Without account and token, let people at this machine acknowledge, reset and silence as `local`.",
    )


class SecretSection(Section):
    """Where one secret comes from: never the site file itself."""

    env: str | None = Field(None, description="Name of an environment variable.", examples=["PLATFORM_SECRET"])
    file: Path | None = Field(None, description="A file, beside the site file unless absolute; mode 0600.")


class SiteFile(Section):
    """The whole site file."""

    site: SiteSection = Field(description="Who and where this site is.")
    connections: tuple[ConnectionSection, ...] = Field((), description="The buses.")
    instruments: tuple[InstrumentSection, ...] = Field((), description="The instruments.")
    areas: tuple[AreaSection, ...] = Field((), description="Names and phone numbers of the areas.")
    shifts: tuple[ShiftSection, ...] = Field((), description="Shifts of the control room, in the order of the day.")
    rules: tuple[RuleSection, ...] = Field((), description="What is judged, and how.")
    alarms: AlarmsSection = Field(default_factory=AlarmsSection, description="How alarms are run.")
    suppressions: tuple[SuppressionSection, ...] = Field((), description="Alarms put aside by the site's own logic.")
    response: ResponseSection = Field(default_factory=ResponseSection, description="From alarm to archive.")
    plans: tuple[PlanSection, ...] = Field((), description="Drawings of the site.")
    notifications: NotificationsSection = Field(
        default_factory=NotificationsSection, description="Who is told of alarms beside the platform."
    )
    tests: tuple[TestSection, ...] = Field((), description="Tests of the rules, run by `hazgate test`.")
    outputs: tuple[OutputSection, ...] = Field((), description="Relays and coils that alarms switch; none by default.")
    stores: tuple[DestinationSection, ...] = Field((), description="Databases that take the readings.")
    uplinks: tuple[DestinationSection, ...] = Field((), description="Platforms that take the alarms.")
    secrets: dict[Id, SecretSection] = Field(default_factory=dict, description="Secrets by name.")
    storage: StorageSection = Field(default_factory=StorageSection, description="Limits on this machine.")
    api: ApiSection = Field(default_factory=ApiSection, description="The HTTP interface and the console.")
