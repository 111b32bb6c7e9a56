"""What a site file says of a Modbus connection, its instruments and their channels."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.core.model import Quality
from gateway.core.plugin import PluginOptions

DEFAULT_PORTS = {"tcp": 502, "tls": 802, "udp": 502}
REGISTERS_MAX = 125
"""Registers that fit in one reply (Modbus Application Protocol V1.1b3, 6.3)."""
BITS_MAX = 2000
"""Coils or discrete inputs that fit in one reply (6.1)."""


class Scheme(StrEnum):
    """How frames travel."""

    TCP = "tcp"
    TLS = "tls"
    UDP = "udp"
    RTU = "rtu"
    RTU_TCP = "rtu+tcp"

    @property
    def serial(self) -> bool:
        """Whether frames are those of a serial line: one request at a time, no transaction ids."""
        return self in (Scheme.RTU, Scheme.RTU_TCP)


class Endpoint(NamedTuple):
    """An endpoint taken apart; `path` is the serial port, `host` and `port` are for the other schemes."""

    scheme: Scheme
    host: str = ""
    port: int = 0
    path: str = ""


def parse_endpoint(text: str) -> Endpoint:
    """Return an endpoint's parts.

    Raises:
        ValueError: Not one of `tcp://host[:port]`, `tls://host[:port]`, `udp://host[:port]`, `rtu:///dev/…`,
            `rtu+tcp://host:port`.

    >>> parse_endpoint("tcp://10.0.0.7")
    Endpoint(scheme=<Scheme.TCP: 'tcp'>, host='10.0.0.7', port=502, path='')
    >>> parse_endpoint("rtu:///dev/ttyUSB0").path
    '/dev/ttyUSB0'
    """
    parts = urlsplit(text)
    if parts.scheme == "rtu":
        if parts.netloc or len(parts.path) < 2:
            raise ValueError(f"{text!r} names no serial port; rtu:///dev/ttyUSB0 would")
        return Endpoint(Scheme.RTU, path=parts.path)
    if parts.scheme not in ("tcp", "tls", "udp", "rtu+tcp"):
        raise ValueError(
            f"{text!r} is not tcp://host:port, tls://host:port, udp://host:port, rtu:///dev/ttyUSB0 or"
            " rtu+tcp://host:port"
        )
    if not parts.hostname or parts.path.strip("/"):
        raise ValueError(f"{text!r} is not {parts.scheme}://host:port")
    port = parts.port if parts.port is not None else DEFAULT_PORTS.get(parts.scheme, 0)
    if not port:
        raise ValueError(f"{text!r} names no port")
    return Endpoint(Scheme(parts.scheme), host=parts.hostname, port=port)


def _checked(text: str) -> str:
    parse_endpoint(text)
    return text


DOUBTS_AND_FAULTS = [quality.name.lower() for quality in Quality if quality >= Quality.UNCERTAIN]


def _quality(name: str) -> str:
    if name not in DOUBTS_AND_FAULTS:
        raise ValueError(f"{name!r} is no doubt or fault; allowed: {', '.join(DOUBTS_AND_FAULTS)}")
    return name


QualityName = Annotated[str, AfterValidator(_quality)]
Order = Literal["ABCD", "BADC", "CDAB", "DCBA"]
Table = Literal["coil", "discrete", "holding", "input", "file", "fifo"]
Type = Literal["bit", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
Bits = tuple[Annotated[int, Field(ge=0, le=63)], Annotated[int, Field(ge=1, le=64)]]
RAW_SPAN = re.compile(r"(-?\d+)(?:\.\.(-?\d+))?")


def raw_span(text: str) -> tuple[int, int]:
    """Return the first and last raw value of a key of `StatusOptions.values`.

    >>> raw_span("1100..1199"), raw_span("-3")
    ((1100, 1199), (-3, -3))
    """
    span = RAW_SPAN.fullmatch(text)
    assert span is not None, "keys are checked when the options are"
    return int(span[1]), int(span[2] or span[1])


def _raw_spans(value: Any) -> Any:
    """Check keys that are raw values (`3`) or ranges of them (`"1100..1199"`), both ends included."""
    if isinstance(value, dict):
        for key in value:
            span = RAW_SPAN.fullmatch(str(key))
            if span is None or (span[2] is not None and int(span[1]) > int(span[2])):
                raise ValueError(f"{key!r} is no raw value and no range of raw values such as 1100..1199")
        return {str(key): item for key, item in value.items()}
    return value


def _state(name: str) -> str:
    if name not in ("good", *DOUBTS_AND_FAULTS):
        raise ValueError(f"{name!r} is no quality; allowed: good, {', '.join(DOUBTS_AND_FAULTS)}")
    return name


class WordOptions(PluginOptions):
    """Where a word stands that says something of other values; the instrument's `address_offset` counts here too."""

    table: Table = Field("holding", description="The table it stands in.", examples=["input"])
    address: int = Field(ge=0, le=65535, description="Address on the wire, from 0.", examples=[106])
    type: Type | None = Field(None, description="Its type; bit for coils and discrete inputs, else uint16.")
    order: Order | None = Field(None, description="Byte order, where it differs from the instrument's.")
    bit: int | None = Field(None, ge=0, le=63, description="Take this bit, 0 the least significant.", examples=[15])
    bits: Bits | None = Field(
        None, description="Take a field of bits: the lowest bit and the width.", examples=[[8, 4]]
    )
    period_s: float | None = Field(
        None,
        ge=0.01,
        le=86400,
        description="Seconds between readings of it; where left out, those of the channels that it speaks of.",
    )


class StatusOptions(WordOptions):
    """A word that tells how far an instrument's values can be trusted."""

    values: Annotated[dict[str, Annotated[str, AfterValidator(_state)]], BeforeValidator(_raw_spans)] = Field(
        default_factory=dict,
        max_length=256,
        description="Raw values, or ranges of them, and the quality each means; `good` where it means none.",
        examples=[{"2": "warm_up", "3": "inhibited", "1100..1199": "sensor_fault"}],
    )
    other: QualityName | None = Field(
        None, description="What a raw value means that `values` does not list; nothing where left out."
    )
    flags: dict[Annotated[int, Field(ge=0, le=63)], QualityName] = Field(
        default_factory=dict,
        description="Bits, 0 the least significant, and the quality that each means while it is set.",
        examples=[{4: "uncertain", 5: "sensor_fault"}],
    )
    channels: tuple[str, ...] = Field(
        (), description="The channels it speaks of; all of the instrument where empty.", examples=[["gas"]]
    )


class HeartbeatOptions(WordOptions):
    """A word that changes as long as the instrument is alive; where it stands still, so may everything it shows."""

    stalls_after_s: float = Field(
        15.0,
        gt=0,
        le=86400,
        description="Seconds without a change after which the instrument's values are FROZEN, and BAD.",
        examples=[15],
    )
    channels: tuple[str, ...] = Field((), description="The channels it vouches for; all where empty.")


class ScaleOptions(WordOptions):
    """A word that says by what a raw value is to be multiplied, such as its number of decimals."""

    values: dict[int, float] = Field(
        min_length=1,
        max_length=64,
        description="Raw words and the factor each means; any other makes the value UNREADABLE.",
        examples=[{0: 1, 1: 0.1, 2: 0.01}],
    )


class UnitOptions(WordOptions):
    """A word that says in which unit the instrument measures."""

    values: dict[int, str] = Field(
        min_length=1,
        max_length=64,
        description="Raw words and the unit each means; a unit other than the channel's makes the value UNREADABLE.",
        examples=[{1: "mg/m³", 5: "%LEL"}],
    )


class SelectOptions(PluginOptions):
    """Registers that are written in the request that reads a channel (function 23)."""

    address: int = Field(ge=0, le=65535, description="First register written.", examples=[100])
    values: tuple[Annotated[int, Field(ge=0, le=65535)], ...] = Field(
        min_length=1, max_length=121, description="What is written there.", examples=[[3]]
    )


class Options(PluginOptions):
    """A Modbus connection: a TCP endpoint, a serial line, or a serial line behind a transparent TCP server."""

    endpoint: Annotated[str, AfterValidator(_checked)] = Field(
        description="Where the instruments are: `tcp://host:port`, `tls://host:port`, `udp://host:port`,"
        " `rtu:///dev/serial/by-id/…` or `rtu+tcp://host:port`.",
        examples=["tcp://192.168.1.20:502"],
    )
    timeout_s: float | None = Field(
        None,
        ge=0.01,
        le=60,
        description="Seconds to wait for the first byte of a reply; on a serial line the frame's own time is added."
        " Half a second where left out, and on a serial line what its speed and the longest frame ask for.",
        examples=[0.5],
    )
    tls_ca_file: Path | None = Field(
        None,
        description="Certificates of the authorities that are trusted with tls://; the machine's own where left out.",
    )
    tls_cert_file: Path | None = Field(
        None, description="The gateway's own certificate, where the instrument asks for it (Modbus/TCP Security does)."
    )
    tls_key_file: Path | None = Field(None, description="The key of that certificate; mode 0600.")
    tls_server_name: str = Field(
        "", description="Name in the instrument's certificate, where it is not the endpoint's host."
    )
    baud: int = Field(9600, ge=300, le=4_000_000, description="Bits a second of the serial line.", examples=[9600])
    parity: Literal["N", "E", "O"] = Field(
        "N", description="Parity of the serial line: none, even or odd.", examples=["E"]
    )
    stop_bits: Literal[1, 2] = Field(1, description="Stop bits of the serial line.", examples=[1])
    read_through: int | None = Field(
        None,
        ge=0,
        le=REGISTERS_MAX - 2,
        description="Unused registers read through rather than asking twice; by the line's speed where left out.",
        examples=[8],
    )
    in_flight: int | None = Field(
        None,
        ge=1,
        le=16,
        description="Requests on the way at once over TCP; as many as its instruments allow where left out.",
        examples=[1],
    )
    quiet_s: float | None = Field(
        None,
        gt=0,
        le=60,
        description="Seconds to listen after a serial time-out for the late reply; as long as the time-out where left"
        " out. Set it to the slowest instrument's worst reply time.",
        examples=[1.0],
    )
    backoff_first_s: float = Field(
        1.0,
        ge=0.01,
        le=60,
        description="Seconds that an instrument is left alone after its second poll in a row without an answer; doubled"
        " with each further one.",
        examples=[1.0],
    )
    backoff_max_s: float = Field(
        60.0,
        ge=0.01,
        le=3600,
        description="Longest time in seconds that an instrument that does not answer is left alone.",
        examples=[60.0],
    )

    @property
    def parts(self) -> Endpoint:
        """The endpoint taken apart."""
        return parse_endpoint(self.endpoint)


class InstrumentOptions(PluginOptions):
    """An instrument on a Modbus connection."""

    unit: int = Field(
        1, ge=0, le=255, description="Unit address; 0 is for TCP instruments that ask for it.", examples=[1]
    )
    registers_max: int = Field(
        REGISTERS_MAX,
        ge=1,
        le=REGISTERS_MAX,
        description="Registers that the instrument gives in one reply.",
        examples=[32],
    )
    turnaround_s: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Seconds that the instrument needs between its reply and the next request to it.",
        examples=[0.04],
    )
    timeout_s: float | None = Field(
        None, ge=0.01, le=60, description="Seconds to wait for its replies, where they differ from the connection's."
    )
    in_flight: int = Field(
        1,
        ge=1,
        le=16,
        description="Requests to it on the way at once over TCP; more than 1 only where its manual allows it.",
        examples=[8],
    )
    order: Order = Field(
        "ABCD", description="Byte order of its values, most significant byte A first on the wire.", examples=["CDAB"]
    )
    address_offset: int = Field(
        0,
        ge=-65535,
        le=65535,
        description="Added to every address: -1 where a manual or profile counts from 1, or the base of a block.",
        examples=[-1],
    )
    status: tuple[StatusOptions, ...] = Field(
        (),
        max_length=4096,
        description="Words that tell how far its values can be trusted; where two speak, BAD outranks doubt, over range"
        " other doubts, and else the earlier the later. One that cannot be read leaves its channels UNCERTAIN.",
    )
    heartbeat: HeartbeatOptions | None = Field(
        None,
        description="A word that changes while the instrument is alive; until it has, values are UNCERTAIN.",
    )


class ChannelOptions(PluginOptions):
    """Where a channel lives in its instrument, and how its registers become a value."""

    table: Table = Field(
        "holding",
        description="The table: coil (function 1), discrete (2), holding (3), input (4), file (20) or fifo (24).",
        examples=["input"],
    )
    address: int = Field(
        ge=0,
        le=65535,
        description="Address on the wire, from 0: the manual's 40001 is holding 0, its 30001 is input 0. In a file, the"
        " record; of a queue, its pointer, and the value is the newest entry.",
        examples=[0],
    )
    file: int = Field(1, ge=1, le=65535, description="File number, where table is file.", examples=[4])
    select: SelectOptions | None = Field(
        None,
        description="Written in the same request (function 23), where an instrument shows different values by a"
        " selector. It is a write: name it only where the manual asks for it.",
    )
    type: Type | None = Field(
        None, description="Type of the value; bit for coils and discrete inputs, else uint16.", examples=["float32"]
    )
    order: Order | None = Field(None, description="Byte order, where it differs from the instrument's.")
    bit: int | None = Field(None, ge=0, le=63, description="Take this bit, 0 the least significant.", examples=[3])
    bits: Bits | None = Field(
        None, description="Take a field of bits: the lowest bit and the width.", examples=[[8, 4]]
    )
    scale: float = Field(1.0, description="The raw value is multiplied by this.", examples=[0.1])
    offset: float = Field(0.0, description="This is added after scaling.", examples=[-50.0])
    special: dict[int | float, QualityName] = Field(
        default_factory=dict,
        max_length=64,
        description="Raw values that are no measurement, and the quality they stand for.",
        examples=[{65535: "sensor_fault", 65534: "warm_up"}],
    )
    scale_from: ScaleOptions | None = Field(
        None, description="A word of the instrument that says by what the raw value is multiplied as well."
    )
    unit_from: UnitOptions | None = Field(
        None, description="A word of the instrument that says its unit, checked against the channel's."
    )


class OutputOptions(PluginOptions):
    """A relay or coil of an instrument on a Modbus connection."""

    unit: int = Field(1, ge=1, le=247, description="Unit address.", examples=[9])
    table: Literal["coil", "holding"] = Field("coil", description="Whether it is a coil or in a holding register.")
    address: int = Field(ge=0, le=65535, description="Address on the wire, from 0.", examples=[0])
    function: Literal[5, 6, 15, 16, 22] | None = Field(
        None,
        description="How it is written: 5 or 15 a coil, 6 or 16 a register, 22 one bit of a register; the first of"
        " each where left out, 22 where `bit` is given.",
    )
    bit: int | None = Field(None, ge=0, le=15, description="The bit of a holding register.", examples=[3])
    on: int = Field(1, ge=0, le=65535, description="What a register holds while it is on.", examples=[1])
    off: int = Field(0, ge=0, le=65535, description="What a register holds while it is off.", examples=[0])
    read_back: WordOptions | None = Field(
        None,
        description="Where its state is read back; in its own place where left out. A bit or value that is not 0 is on,"
        " unless `on` says which value is.",
    )
