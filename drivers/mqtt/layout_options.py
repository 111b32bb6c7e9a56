"""What the site file says of payloads that are neither JSON nor one number: lines of columns, and bytes."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from gateway.core.plugin import PluginOptions

BYTES_MAX = 4096
"""Longest payload that a layout can describe; a LoRaWAN frame has at most 242 bytes."""
HEX_TAG = re.compile(r"(?:[0-9a-fA-F]{2}){1,4}")
SIZES = {
    "uint8": 1,
    "int8": 1,
    "uint16": 2,
    "int16": 2,
    "uint24": 3,
    "int24": 3,
    "uint32": 4,
    "int32": 4,
    "uint64": 8,
    "int64": 8,
    "float32": 4,
    "float64": 8,
}
"""Bytes of each type of field."""

Order = Literal["big", "little"]
FieldType = Literal[
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint24",
    "int24",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float32",
    "float64",
]
Bits = tuple[Annotated[int, Field(ge=0, le=63)], Annotated[int, Field(ge=1, le=64)]]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Column = Annotated[int, Field(ge=1, le=1000)] | Name
"""A column by its number from 1, or by its name."""


class CsvOptions(PluginOptions):
    """Payloads of one or more lines with columns; each line is a reading of its own."""

    separator: str = Field(
        ",",
        min_length=1,
        max_length=1,
        description="What stands between two columns; a blank stands for any run of blanks and tabs.",
        examples=[";"],
    )
    header: bool = Field(default=False, description="The first line of each payload names the columns.")
    columns: tuple[Name, ...] = Field(
        (),
        max_length=1000,
        description="Names of the columns, where the payload has no header.",
        examples=[["ts", "co"]],
    )
    decimal: Literal[".", ","] = Field(".", description="What numbers have before their decimals.", examples=[","])
    time: Column | None = Field(
        None,
        description="The column with the time of its line, in `time_unit`; a number counts from 1.",
        examples=["ts"],
    )

    @model_validator(mode="after")
    def _fits(self) -> "CsvOptions":
        if self.header and self.columns:
            raise ValueError("header and columns both name the columns; give one of them")
        if self.decimal == self.separator:
            raise ValueError("decimal and separator are both a comma: no line could be cut into columns")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("two columns have the same name")
        return self


class FieldOptions(PluginOptions):
    """A number within bytes."""

    offset: int = Field(
        0, ge=0, lt=BYTES_MAX, description="Its first byte, from 0; within a tag, after the tag itself.", examples=[3]
    )
    type: FieldType = Field("uint8", description="Its type; floats are IEEE 754.", examples=["int16"])
    order: Order | None = Field(None, description="Byte order, where it differs from the layout's.")
    bits: Bits | None = Field(
        None, description="Take these bits of a whole number: the lowest, 0 the least significant, and how many."
    )

    @model_validator(mode="after")
    def _has_bits(self) -> "FieldOptions":
        if self.bits is not None:
            if self.type.startswith("float"):
                raise ValueError(f"a {self.type} has no bits to take; give the type of a whole number")
            if sum(self.bits) > 8 * SIZES[self.type]:
                raise ValueError(f"bits {self.bits[0]} to {sum(self.bits) - 1} do not exist in a {self.type}")
        return self

    @property
    def end(self) -> int:
        """The byte after its last."""
        return self.offset + SIZES[self.type]


class TimeFieldOptions(FieldOptions):
    """A time within bytes, counted since 1970 in UTC."""

    type: FieldType = Field("uint32", description="Its type.", examples=["uint32"])
    unit: Literal["s", "ms"] = Field("s", description="What it is counted in.")


class TagOptions(PluginOptions):
    """What follows one tag."""

    size: int | None = Field(
        None,
        ge=0,
        lt=BYTES_MAX,
        description="Bytes that follow the tag; may be left out only where the payload itself gives a length.",
        examples=[2],
    )
    fields: dict[Name, FieldOptions] = Field(
        default_factory=dict,
        max_length=64,
        description="What stands in it, by the name that channels use as `field`; the same name may stand in several"
        " tags.",
        examples=[{"temperature": {"type": "int16"}}],
    )
    history: TimeFieldOptions | None = Field(
        None,
        description="Where the time stands, if the tag holds values from the instrument's own memory: they are stored"
        " as BACKFILLED and never judged.",
        examples=[{"offset": 0, "type": "uint32"}],
    )

    @model_validator(mode="after")
    def _holds(self) -> "TagOptions":
        for name, field in [*self.fields.items(), ("history", self.history)]:
            if field is not None and self.size is not None and field.end > self.size:
                raise ValueError(f"{name!r} ends at byte {field.end} of {self.size}")
        return self


def _tags(value: Any) -> Any:
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"{key!r} is read as a number; put the tag in quotes, such as '0175'")  # noqa: TRY004 - pydantic collects ValueErrors
            if not HEX_TAG.fullmatch(key):
                raise ValueError(f"{key!r} is no tag of one to four bytes in hex such as '20ce'")
        if len({len(key) for key in value}) > 1:
            raise ValueError("tags of different lengths cannot be told apart")
        if len({key.lower() for key in value}) < len(value):
            raise ValueError("a tag is there twice")
        return {key.lower(): item for key, item in value.items()}
    return value


class LayoutOptions(PluginOptions):
    """How bytes are read: fields in fixed places, or tags each followed by its values, or both."""

    order: Order = Field("big", description="Byte order of its fields.", examples=["little"])
    size: int | None = Field(
        None, ge=1, le=BYTES_MAX, description="Bytes of each payload; one of another length is UNREADABLE."
    )
    checksum: Literal["sum8", "xor8", "crc16"] | None = Field(
        None,
        description="What must come to 0 over the whole payload: the sum of its bytes modulo 256, their exclusive or,"
        " or the CRC of Modbus; otherwise the payload is UNREADABLE.",
        examples=["sum8"],
    )
    fields: dict[Name, FieldOptions] = Field(
        default_factory=dict,
        max_length=256,
        description="Fields in fixed places, by the name that channels use as `field`.",
        examples=[{"smoke": {"offset": 3, "type": "uint8"}}],
    )
    time: TimeFieldOptions | None = Field(
        None, description="Where the payload's own time stands; the instrument's `time` counts where left out."
    )
    tags: Annotated[dict[str, TagOptions], BeforeValidator(_tags)] = Field(
        default_factory=dict,
        max_length=256,
        description="Tags in hex, in quotes, and what follows each. What comes after a tag that is not listed cannot be"
        " read; what came before it counts.",
        examples=[{"0267": {"size": 2, "fields": {"temperature": {"type": "int16"}}}}],
    )
    tags_from: int = Field(0, ge=0, lt=BYTES_MAX, description="The byte where the first tag begins.", examples=[2])
    length_bytes: Literal[0, 1, 2] = Field(
        0, description="Bytes between a tag and its values that say how many bytes of values follow.", examples=[1]
    )

    @model_validator(mode="after")
    def _complete(self) -> "LayoutOptions":
        if not self.fields and not self.tags:
            raise ValueError("a layout needs fields or tags")
        for tag, what in self.tags.items():
            if what.size is None and not self.length_bytes:
                raise ValueError(f"tag {tag!r} needs a size: the payload gives no lengths")
        for name, field in self.fields.items():
            if self.size is not None and field.end > self.size:
                raise ValueError(f"{name!r} ends at byte {field.end} of {self.size}")
        return self

    @property
    def names(self) -> set[str]:
        """All names of fields."""
        return set(self.fields).union(*(tag.fields for tag in self.tags.values()))
