"""What a site file says of a Modbus connection, its instruments and their channels."""

from enum import StrEnum
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from gateway.core.model import Quality
from gateway.core.plugin import PluginOptions

TCP_PORT = 502
REGISTERS_MAX = 125
"""Registers that fit in one reply (Modbus Application Protocol V1.1b3, 6.3)."""
BITS_MAX = 2000
"""Coils or discrete inputs that fit in one reply (6.1)."""


class Scheme(StrEnum):
    """How frames travel."""

    TCP = "tcp"
    RTU = "rtu"
    RTU_TCP = "rtu+tcp"


class Endpoint(NamedTuple):
    """An endpoint taken apart; `path` is the serial port, `host` and `port` are for the other schemes."""

    scheme: Scheme
    host: str = ""
    port: int = 0
    path: str = ""


def parse_endpoint(text: str) -> Endpoint:
    """Return an endpoint's parts.

    Raises:
        ValueError: Not one of `tcp://host[:port]`, `rtu:///dev/…`, `rtu+tcp://host:port`.

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
    if parts.scheme not in ("tcp", "rtu+tcp"):
        raise ValueError(f"{text!r} is not tcp://host:port, rtu:///dev/ttyUSB0 or rtu+tcp://host:port")
    if not parts.hostname or parts.path.strip("/"):
        raise ValueError(f"{text!r} is not {parts.scheme}://host:port")
    port = parts.port if parts.port is not None else TCP_PORT if parts.scheme == "tcp" else 0
    if not port:
        raise ValueError(f"{text!r} names no port")
    return Endpoint(Scheme(parts.scheme), host=parts.hostname, port=port)


def _checked(text: str) -> str:
    parse_endpoint(text)
    return text


def _quality(name: str) -> str:
    known = [quality.name.lower() for quality in Quality if quality is not Quality.GOOD]
    if name not in known:
        raise ValueError(f"{name!r} is no doubt or fault; allowed: {', '.join(known)}")
    return name


QualityName = Annotated[str, AfterValidator(_quality)]
Order = Literal["ABCD", "BADC", "CDAB", "DCBA"]
Table = Literal["coil", "discrete", "holding", "input"]
Type = Literal["bit", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]


class Options(PluginOptions):
    """A Modbus connection: a TCP endpoint, a serial line, or a serial line behind a transparent TCP server."""

    endpoint: Annotated[str, AfterValidator(_checked)] = Field(
        description="Where the instruments are: `tcp://host:port`, `rtu:///dev/ttyUSB0` or `rtu+tcp://host:port`.",
        examples=["tcp://192.168.1.20:502"],
    )
    timeout_s: float = Field(
        0.5,
        ge=0.01,
        le=60,
        description="Seconds to wait for the first byte of a reply; on a serial line the frame's own time is added.",
        examples=[0.5],
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
    in_flight: int = Field(
        1,
        ge=1,
        le=16,
        description="Requests on the way at once over TCP; more than 1 only where the instrument's manual allows it.",
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
    order: Order = Field(
        "ABCD", description="Byte order of its values, most significant byte A first on the wire.", examples=["CDAB"]
    )


class ChannelOptions(PluginOptions):
    """Where a channel lives in its instrument, and how its registers become a value."""

    table: Table = Field(
        "holding",
        description="The table: coil (function 1), discrete (2), holding (3) or input (4).",
        examples=["input"],
    )
    address: int = Field(
        ge=0,
        le=65535,
        description="Address on the wire, from 0: the manual's 40001 is holding 0, its 30001 is input 0.",
        examples=[0],
    )
    type: Type | None = Field(
        None, description="Type of the value; bit for coils and discrete inputs, else uint16.", examples=["float32"]
    )
    order: Order | None = Field(None, description="Byte order, where it differs from the instrument's.")
    bit: int | None = Field(None, ge=0, le=63, description="Take this bit, 0 the least significant.", examples=[3])
    bits: tuple[Annotated[int, Field(ge=0, le=63)], Annotated[int, Field(ge=1, le=64)]] | None = Field(
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
