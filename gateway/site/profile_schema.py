"""A profile file as pydantic models: what one model of instrument says, and where; its driver checks the options."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from gateway.site.operation import Id, Section
from gateway.site.schema import POINTS_MAX, ChannelSection, Options

PointId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9{][A-Za-z0-9_{}-]{0,63}$")]
Confidence = Literal["high", "medium", "low"]
PLACES = ("{n}", "{high}", "{low}")
RAW = re.compile(r"(\d+)(?:\.\.(\d+))?")


class UncertainSection(Section):
    """Something of a profile that nobody has verified; `hazgate check` shows it until the site file settles it."""

    what: str = Field(min_length=1, description="What is uncertain.", examples=["address base"])
    why: str = Field("", description="Why it is.", examples=["The manual numbers registers from 40001."])
    check: str = Field("", description="How to find out on site.", examples=["Compare the reading with the display."])
    settled_by: tuple[str, ...] = Field(
        (),
        description="Keys of the instrument which, once written in the site file, settle it; channels by their id.",
        examples=[["options.order", "channels.gas.unit"]],
    )


class LineSection(Section):
    """How the instrument leaves the factory."""

    over: Literal["rtu", "tcp"] = Field("rtu", description="How a Modbus instrument is reached as a rule.")
    baud: int | None = Field(None, ge=300, le=4_000_000, description="Bits a second.", examples=[9600])
    parity: Literal["N", "E", "O"] | None = Field(None, description="Parity.", examples=["N"])
    stop_bits: Literal[1, 2] | None = Field(None, description="Stop bits.", examples=[1])
    unit: int | None = Field(None, ge=0, le=255, description="Unit address.", examples=[1])


def _expected(value: Any) -> Any:
    """Take numbers and ranges such as `"0..100"` to pairs of both ends."""
    if not isinstance(value, (list, tuple)):
        raise ValueError('a list of numbers and ranges, such as [1, 2, "10..20"]')  # noqa: TRY004 - pydantic's kind
    found = []
    for item in value:
        span = RAW.fullmatch(str(item))
        low, high = (int(span[1]), int(span[2] or span[1])) if span else (1, 0)
        if not 0 <= low <= high <= 0xFFFF:
            raise ValueError(f"{item!r} is no register value from 0 to 65535 and no range such as 10..20")
        found.append((low, high))
    return tuple(found)


class MarkSection(Section):
    """Registers that tell the instrument from others: they answer, and hold nothing but what is expected."""

    table: Literal["coil", "discrete", "holding", "input"] = Field("holding", description="The table they stand in.")
    address: int = Field(ge=0, le=65535, description="First address on the wire, from 0.", examples=[106])
    count: int = Field(1, ge=1, le=125, description="How many; each has to be as expected.", examples=[1])
    expect: Annotated[
        tuple[tuple[int, int], ...],
        BeforeValidator(_expected),
        WithJsonSchema({"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}),
    ] = Field(
        (),
        description="What each register may hold, unsigned; anything where empty: that it answers is enough.",
        examples=[[1, 2, 3, "10..20"]],
    )


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error
    return text


class IdentifySection(Section):
    """What a scan knows the instrument by; all of it has to fit."""

    registers: tuple[MarkSection, ...] = Field((), max_length=16, description="Registers, in the order of asking.")
    device_identification: dict[
        Literal["vendor", "product", "revision", "url", "product_name", "model", "application"],
        Annotated[str, AfterValidator(_pattern)],
    ] = Field(
        default_factory=dict,
        description="Objects of Modbus function 43/14 and the regular expression that each matches somewhere.",
        examples=[{"vendor": "Honeywell"}],
    )


class ProfileChannelSection(ChannelSection):
    """A channel of the instrument."""

    extra: bool = Field(default=False, description="Only read when the site file names it.")


class PointChannelSection(ChannelSection):
    """A channel of each point of a panel."""

    id: PointId = Field(description="Identifier within the panel, with the point's number.", examples=["p{n}"])
    stride: int = Field(1, ge=0, le=65535, description="Addresses from one point to the next.", examples=[1])


class PointSection(Section):
    """What a panel says of each of its points; `{n}` is the point's number, `{high}` and `{low}` its two bytes."""

    first: int = Field(1, ge=0, le=POINTS_MAX, description="Lowest point; the addresses are this one's.")
    last: int = Field(POINTS_MAX, ge=0, le=POINTS_MAX, description="Highest point.")
    channels: tuple[PointChannelSection, ...] = Field(min_length=1, description="What is read of each point.")
    status: tuple[Options, ...] = Field(
        (),
        description="Status words of each point, as the driver's `status` with a `stride`.",
        examples=[[{"table": "input", "address": 3000, "stride": 1, "channels": ["p{n}"]}]],
    )

    @model_validator(mode="after")
    def _apart(self) -> "PointSection":
        if self.last < self.first:
            raise ValueError(f"points from {self.first} to {self.last}: the last is below the first")
        for channel in self.channels:
            if not any(place in channel.id for place in PLACES):
                raise ValueError(f"the channel {channel.id!r} needs {{n}} in its id: each point has its own")
        return self


class ProfileFile(Section):
    """One model of instrument: what it measures, where that stands, and how far it can be believed."""

    profile: Id = Field(description="Its name.", examples=["honeywell-sensepoint-xrl"])
    aliases: tuple[Id, ...] = Field((), description="Other names of a shipped profile.", examples=[["honeywell-xrl"]])
    driver: str = Field(description="The driver that reads it.", examples=["modbus"])
    maker: str = Field("", description="Who makes it.", examples=["Honeywell"])
    model: str = Field("", description="What it is called.", examples=["Sensepoint XRL"])
    name_zh: str = Field("", description="Maker and model in Chinese.", examples=["霍尼韦尔 Sensepoint XRL"])
    kind: str = Field("", description="What it is for.", examples=["gas"])
    source: str = Field("", description="Where its registers were read.", examples=["manual 2017M1220, p. 57"])
    confidence: Confidence = Field("low", description="How far the source can be believed.")
    uncertain: tuple[UncertainSection, ...] = Field((), description="What nobody has verified.")
    line: LineSection = Field(default_factory=LineSection, description="How it leaves the factory.")
    period_s: float | None = Field(
        None, ge=0.01, le=86400, description="Seconds between polls or reports, where the site file says nothing."
    )
    options: Options = Field(default_factory=dict, description="The driver's options for an instrument.", examples=[{}])
    channels: tuple[ProfileChannelSection, ...] = Field((), description="What it measures.")
    point: PointSection | None = Field(None, description="What it says of each of its points, where it is a panel.")
    identify: IdentifySection | None = Field(None, description="What a scan knows it by; nothing where left out.")
    notes: str = Field("", description="What the integrator should know besides.")

    @field_validator("channels")
    @classmethod
    def _once(cls, value: tuple[ProfileChannelSection, ...]) -> tuple[ProfileChannelSection, ...]:
        seen: set[str] = set()
        for channel in value:
            if channel.id in seen:
                raise ValueError(f"the channel {channel.id!r} is there twice")
            seen.add(channel.id)
        return value
