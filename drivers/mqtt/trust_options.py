"""What the site file says of how far an instrument's messages can be trusted, and of its link to the broker."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from drivers.mqtt.layout_options import Column, Name
from drivers.mqtt.paths import Place
from drivers.mqtt.topics import Suffix, Template
from drivers.values import SPECIAL_NAMES, SpecialQuality, as_text
from gateway.core.model import Quality
from gateway.core.plugin import PluginOptions

RANGE = re.compile(r"([+-]?\d+(?:\.\d+)?)\.\.([+-]?\d+(?:\.\d+)?)")
STATE_NAMES = ["good", *SPECIAL_NAMES]


def _state(value: Any) -> Any:
    if isinstance(value, Quality):
        return value
    if value not in STATE_NAMES:
        raise ValueError(f"{value!r} is no quality; allowed are {', '.join(STATE_NAMES)}")
    return Quality[value.upper()]


def _texts(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    texts = {as_text(key): item for key, item in value.items()}
    for text in texts:
        if (span := RANGE.fullmatch(text)) is not None and float(span[1]) > float(span[2]):
            raise ValueError(f"{text!r} is an empty range: its first number is the greater one")
    return texts


def _words(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(as_text(word) for word in value)


def _text_list(value: Any) -> Any:
    """Let YAML's own booleans and numbers through: `offline: [false]` is what some instruments write."""
    return [as_text(item) for item in value] if isinstance(value, list | tuple) else value


State = Annotated[Quality, BeforeValidator(_state), WithJsonSchema({"type": "string", "enum": STATE_NAMES})]
Words = Annotated[tuple[str, ...], BeforeValidator(_text_list), AfterValidator(_words), Field(max_length=64)]


class StatusOptions(PluginOptions):
    """A text or number that tells how far values can be trusted; it holds until another may have come."""

    topic: Template = Field(
        "", description="Topic it comes on, where that is not the instrument's.", examples=["stat/{name}/STATUS"]
    )
    topic_suffix: Suffix = Field(
        "", description="What follows the instrument's topic, where it has a topic of its own.", examples=["operation"]
    )
    path: Place = Field(
        "", description="Its place in the JSON payload; empty where the payload is the status.", examples=["preheat"]
    )
    field: str = Field("", max_length=64, description="Its field in the layout of a binary payload.")
    column: Column | None = Field(None, description="Its column in a CSV payload, by number from 1 or by name.")
    values: Annotated[dict[str, State], BeforeValidator(_texts)] = Field(
        default_factory=dict,
        max_length=256,
        description="Texts, numbers or ranges of numbers, and the quality each means; `good` where it means none.",
        examples=[{"normal": "good", "warmup": "warm_up", "fault": "sensor_fault", "100..199": "sensor_fault"}],
    )
    other: State = Field(
        Quality.UNCERTAIN, description="What anything means that `values` does not list.", examples=["good"]
    )
    flags: dict[Annotated[int, Field(ge=0, le=63)], SpecialQuality] = Field(
        default_factory=dict,
        description="Bits of a whole number, 0 the least significant, and the quality that each means while it is set.",
        examples=[{0: "sensor_fault"}],
    )
    assume: State = Field(
        Quality.UNCERTAIN,
        description="What holds until the instrument has told it: `good` only for a status that is told when something"
        " is wrong and never otherwise.",
        examples=["good"],
    )
    optional: bool = Field(
        default=False,
        description="A payload without it leaves what was told before; otherwise it then counts as never told.",
    )
    channels: tuple[Name, ...] = Field(
        (),
        description="The channels it speaks of, by id or the part after the instrument; all where empty.",
        examples=[["gas"]],
    )

    @model_validator(mode="after")
    def _one_place(self) -> "StatusOptions":
        if self.topic and self.topic_suffix:
            raise ValueError("topic and topic_suffix say the same thing; give one of them")
        if sum((bool(self.path), bool(self.field), self.column is not None)) > 1:
            raise ValueError("path, field and column are three places; give one of them")
        if not self.values and not self.flags:
            raise ValueError("a status needs values or flags: without them it says nothing")
        return self


class AvailabilityOptions(PluginOptions):
    """A topic on which a last will, or whoever relays the instrument's messages, says that it is gone."""

    topic: Template = Field(
        min_length=1, description="The topic; a retained message is believed here.", examples=["tele/{name}/LWT"]
    )
    path: Place = Field(
        "",
        description="Place of the word in a JSON payload; a payload that is no JSON is the word itself.",
        examples=["state"],
    )
    online: Words = Field(
        ("online", "true", "1"), description="Words that say it is there; case does not matter.", examples=[["Online"]]
    )
    offline: Words = Field(
        ("offline", "false", "0"),
        min_length=1,
        description="Words that say it is gone: all its channels are COMMS_LOST until a reading comes.",
        examples=[["Offline"]],
    )

    @model_validator(mode="after")
    def _apart(self) -> "AvailabilityOptions":
        both = set(self.online) & set(self.offline)
        if both:
            raise ValueError(f"{min(both)!r} cannot mean both online and offline")
        return self


class HeartbeatOptions(PluginOptions):
    """A topic on which something comes as long as the instrument works."""

    topic: Template = Field(min_length=1, description="The topic.", examples=["plant/{name}/heartbeat"])
    path: Place = Field(
        "",
        description="Place in a JSON payload of what must have changed, such as a counter.",
        examples=["n"],
    )
    silent_after_s: float = Field(
        gt=0,
        le=604_800,
        description="Seconds without it after which the instrument's values are STALE, whatever they show.",
        examples=[60],
    )
