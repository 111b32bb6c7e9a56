"""What the site file says of a broker, of the instruments that publish to it, and of their channels."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from drivers.mqtt import paths
from drivers.mqtt.layout_options import Column, CsvOptions, LayoutOptions
from drivers.mqtt.paths import Place
from drivers.mqtt.topics import Suffix, Template, check_group
from drivers.mqtt.trust_options import AvailabilityOptions, HeartbeatOptions, StatusOptions
from drivers.values import ValueOptions, Zone
from gateway.core.plugin import PluginOptions


def _time(text: str) -> str:
    if text != "arrival":
        paths.parse(text)
    return text


def _many(text: str) -> str:
    if text and "[*]" not in text:
        raise ValueError(f"{text!r} is one value; history is a list: put [*] in")
    return text


Time = Annotated[str, AfterValidator(_time)]
HistoryPlace = Annotated[Place, AfterValidator(_many)]
TimeUnit = Literal["s", "ms", "us", "ns", "iso"]


class Options(PluginOptions):
    """An MQTT broker."""

    host: str = Field("127.0.0.1", min_length=1, description="Name or address of the broker.", examples=["10.0.0.5"])
    port: int = Field(1883, ge=1, le=65535, description="Its TCP port; 8883 is usual for TLS.", examples=[8883])
    protocol: Literal["3.1.1", "5"] = Field(
        "5",
        description="Version of MQTT. With 5 the gateway says how many messages may be under way, with 3.1.1 the "
        "broker does, and Mosquitto sends 20 between two flushes.",
        examples=["3.1.1"],
    )
    client_id: str = Field(
        "",
        max_length=128,
        description="Identifier at the broker, different for each gateway; the broker chooses one where it is empty.",
        examples=["hazgate-boiler-room-3"],
    )
    username: str = Field("", description="User name, where the broker asks for one.", examples=["gateway"])
    password_file: Path | None = Field(
        None, description="File that holds the password on its first line; mode 0600.", examples=["broker.password"]
    )
    tls: bool = Field(default=False, description="Encrypt, and check the broker's certificate and name.")
    tls_ca_file: Path | None = Field(
        None, description="Certificates of the authorities that are trusted; the machine's own where left out."
    )
    tls_cert_file: Path | None = Field(None, description="The gateway's own certificate, where the broker asks for it.")
    tls_key_file: Path | None = Field(None, description="The key of that certificate; mode 0600.")
    keepalive_s: int = Field(
        30,
        ge=4,
        le=3600,
        description="Seconds; a broker that has fallen silent is noticed within one and a half of it.",
        examples=[10],
    )
    clean_session: bool = Field(
        default=True,
        description="False: the broker keeps messages while the gateway is away; needs client_id and QoS 1 or 2.",
    )
    session_expiry_s: int = Field(
        604_800, ge=60, le=0xFFFF_FFFE, description="MQTT 5: seconds that the broker keeps a session that is away."
    )
    share: Annotated[str, AfterValidator(check_group)] = Field(
        "",
        max_length=128,
        description="Group of gateways among which the broker shares out readings, each to one of them. What tells of "
        "an instrument's state (status, availability, heartbeat on topics of their own) still goes to all of them.",
        examples=["hazgate"],
    )
    qos: Literal[0, 1, 2] = Field(1, description="Quality of service that is subscribed with.", examples=[1])
    payload_bytes_max: int = Field(
        1 << 20,
        ge=64,
        le=1 << 24,
        description="Longest payload in bytes; a longer one is UNREADABLE.",
        examples=[65536],
    )
    queue_messages_max: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="Messages that wait to be read; beyond it the broker waits (QoS 0: the oldest are dropped).",
    )
    queue_bytes_max: int = Field(
        16 << 20, ge=1024, le=1 << 30, description="Bytes of payload that wait to be read; the same at the limit."
    )

    @model_validator(mode="after")
    def _fits(self) -> "Options":
        if not self.clean_session and not self.client_id:
            raise ValueError("clean_session false needs a client_id: by it the broker finds the session again")
        if not self.clean_session and self.qos == 0:
            raise ValueError("clean_session false needs qos 1 or 2: a broker keeps nothing of QoS 0")
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file go together")
        if not self.tls and (self.tls_ca_file or self.tls_cert_file):
            raise ValueError("tls_ca_file and tls_cert_file need tls true")
        if self.password_file is not None and not self.username:
            raise ValueError("password_file needs a username")
        return self


class InstrumentOptions(PluginOptions):
    """An instrument that publishes to the broker."""

    topic: Template = Field(
        min_length=1,
        description="Topic it publishes to; + and # are wildcards, a name in braces is taken from `fill`.",
        examples=["plant/boiler-3/gd-01", "gas/+/up", "zigbee2mqtt/{name}"],
    )
    fill: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = Field(
        default_factory=dict,
        max_length=32,
        description="What stands for each name in braces in this instrument's topics.",
        examples=[{"name": "kitchen-1"}],
    )
    format: Literal["json", "text", "csv", "hex", "base64", "bytes"] = Field(
        "json",
        description="What a payload is: JSON (a channel without a path takes the payload itself as its number), text, "
        "lines of columns, or bytes in hex, in base64 or as they are.",
        examples=["csv"],
    )
    payload_path: Place = Field(
        "",
        description="Place in a JSON payload of the text that is in `format`; channels with a `path` and `time` are "
        "then found in the JSON around it, except where `format` is json too.",
        examples=["data"],
    )
    csv: CsvOptions | None = Field(
        None, description="Columns, where `format` is csv; without it they are numbered and separated by commas."
    )
    layout: LayoutOptions | None = Field(None, description="Fields, where `format` is hex, base64 or bytes.")
    retained: Literal["ignore", "accept"] = Field(
        "ignore", description="A retained message is the broker's memory and no fresh reading; accept reads it as one."
    )
    time: Time = Field(
        "arrival",
        description="When readings were made: `arrival`, or the path of the time in the payload.",
        examples=["ts", "readings[*].t"],
    )
    time_unit: TimeUnit = Field(
        "ms", description="What the time is written in: since 1970, or ISO 8601 text.", examples=["s"]
    )
    time_step: float | None = Field(
        None,
        gt=0,
        le=86_400,
        description="Seconds between the readings of a list; `time` is the first one's, or the arrival the last one's.",
        examples=[0.5],
    )
    zone: Zone = Field(
        None,
        description="Zone of ISO times without offset; without it such a time is not believed.",
        examples=["Asia/Shanghai"],
    )
    clock_tolerance_s: float = Field(
        300.0,
        ge=1,
        le=31_536_000,
        description="Seconds between the payload's time and its arrival beyond which the arrival counts, and the "
        "reading is CLOCK_DOUBTFUL.",
    )
    backlog_s: float = Field(
        86_400.0,
        ge=0,
        le=31_536_000,
        description="Seconds by which a reading may be older than the newest of its list and keep its own time.",
    )
    history_time: HistoryPlace = Field(
        "",
        description="Place of the times of the channels' `history`.",
        examples=["object.history[*].timestamp"],
    )
    history_time_unit: TimeUnit | None = Field(
        None, description="What they are written in, where that differs from `time_unit`.", examples=["s"]
    )
    history_max_age_s: float = Field(
        31_536_000.0,
        gt=0,
        le=315_360_000,
        description="Seconds beyond which history is too old to be believed; it is dropped and counted.",
    )
    repeat_keys: tuple[Annotated[tuple[Place, ...], Field(min_length=1, max_length=8)], ...] = Field(
        (),
        max_length=8,
        description="Places in the JSON payload whose values together make a message known: one that has the same as "
        "an earlier one, for any of these lists, is dropped and counted.",
        examples=[[["deduplicationId"], ["deviceInfo.devEui", "devAddr", "fCnt", "data"]]],
    )
    repeat_window_s: float = Field(
        300.0, gt=0, le=86_400, description="Seconds for which a message is known; at most 1000 of a topic are."
    )
    status: tuple[StatusOptions, ...] = Field(
        (),
        max_length=64,
        description="What tells how far its values can be trusted; where two speak, BAD outranks doubt and the earlier "
        "the later.",
    )
    availability: tuple[AvailabilityOptions, ...] = Field(
        (),
        max_length=8,
        description="Topics on which it is said to be gone: its last will, and that of whoever relays its messages.",
    )
    heartbeat: HeartbeatOptions | None = Field(
        None, description="A topic on which something comes as long as it works."
    )

    @model_validator(mode="after")
    def _fits(self) -> "InstrumentOptions":
        binary = self.format in {"hex", "base64", "bytes"}
        if binary != (self.layout is not None):
            raise ValueError(f"format {self.format} and a layout " + ("go together" if binary else "do not fit"))
        if self.format == "bytes" and self.payload_path:
            raise ValueError("JSON holds no bytes: with payload_path the format is hex or base64")
        if self.format != "csv" and self.csv is not None:
            raise ValueError(f"csv says nothing of format {self.format}")
        inside = self.format == "json" or self.payload_path
        for key in ("time", "history_time", "repeat_keys"):
            if not inside and getattr(self, key) not in {"", (), "arrival"}:
                raise ValueError(f"{key} is a place in JSON, and {self.format} is none")
        return self


class ChannelOptions(ValueOptions):
    """Where a channel stands in what its instrument publishes."""

    path: Place = Field(
        "",
        description="Place in the JSON payload, [*] for every item of a list; empty where the payload is the number.",
        examples=["data.co", "readings[*].v", "values[0]"],
    )
    field: str = Field(
        "", max_length=64, description="Field in the layout of a binary payload.", examples=["temperature"]
    )
    column: Column | None = Field(
        None, description="Column in a CSV payload, by number from 1 or by name.", examples=["co", 2]
    )
    history: HistoryPlace = Field(
        "",
        description="Place in the JSON payload of values from the instrument's own memory, whose times are at the "
        "instrument's `history_time`: stored as BACKFILLED, never judged.",
        examples=["object.history[*].temperature"],
    )
    topic_suffix: Suffix = Field(
        "",
        description="What follows the instrument's topic, for one topic a channel.",
        examples=["sensor/concentration"],
    )
    time: Annotated[str | None, AfterValidator(lambda text: None if text is None else _time(text))] = Field(
        None,
        description="The same as the instrument's, where this channel's time stands elsewhere.",
        examples=["co.ts"],
    )
    optional: bool = Field(
        default=False,
        description="A payload without the path, field or column says nothing of this channel, instead of UNREADABLE; "
        "the same without this where a layout has tags, for each payload brings only some of them.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> "ChannelOptions":
        if sum((bool(self.path), bool(self.field), self.column is not None)) > 1:
            raise ValueError("path, field and column are three places; give one of them")
        return self
