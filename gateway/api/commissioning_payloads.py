"""What commissioning is ordered to do over the API and what it answers, as structures."""

from typing import Annotated, Literal

import msgspec

from gateway.api.payloads import View

ENDPOINTS_MAX = 8
SAMPLES_MAX = 16

Parity = Literal["N", "E", "O"]
Count = Annotated[int, msgspec.Meta(ge=1, le=512)]
Register = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Table = Literal["holding", "input", "coil", "discrete"]


class PlaceOrder(View, forbid_unknown_fields=True):
    """Which instrument is asked: on a running connection, or at an endpoint."""

    connection: str = ""
    endpoint: str = ""
    unit: Annotated[int, msgspec.Meta(ge=0, le=255, description="Unit address.")] = 1
    baud: Annotated[int, msgspec.Meta(ge=300, le=4_000_000)] = 9600
    parity: Parity = "N"
    stop_bits: Literal[1, 2] = 1
    wait_s: Annotated[float, msgspec.Meta(gt=0, le=10)] | None = None


class ReadOrder(PlaceOrder):
    """Registers to be read."""

    table: Table = "holding"
    address: Register = 0
    count: Count = 16


class SampleView(View, forbid_unknown_fields=True):
    """What stood in the registers while the display showed a value; null where one was refused."""

    value: Annotated[str, msgspec.Meta(pattern=r"^-?\d+(\.\d+)?$", max_length=24)]
    looks: Annotated[dict[str, list[list[int | None]]], msgspec.Meta(max_length=2)]


class GuessOrder(PlaceOrder):
    """A shown value, and what earlier answers told; send their `samples` back."""

    value: Annotated[str, msgspec.Meta(pattern=r"^-?\d+(\.\d+)?$", max_length=24, description="As displayed.")] = ""
    value_unit: Annotated[str, msgspec.Meta(max_length=32)] = ""
    full_scale: float | None = None
    tables: Annotated[list[Literal["holding", "input"]], msgspec.Meta(min_length=1, max_length=2)] = msgspec.field(
        default_factory=lambda: ["holding", "input"]
    )
    address: Register = 0
    count: Annotated[int, msgspec.Meta(ge=1, le=128)] = 64
    samples: Annotated[list[SampleView], msgspec.Meta(max_length=SAMPLES_MAX)] = msgspec.field(default_factory=list)


class ScanOrder(View, forbid_unknown_fields=True):
    """What to scan; hosts and ports by name, never a network. Empty lists stand for all usual settings."""

    endpoints: Annotated[list[str], msgspec.Meta(min_length=1, max_length=ENDPOINTS_MAX)]
    units: Annotated[str, msgspec.Meta(max_length=200)] = "1-32"
    baud: Annotated[list[int], msgspec.Meta(max_length=16)] = msgspec.field(default_factory=list)
    parity: Annotated[list[Parity], msgspec.Meta(max_length=3)] = msgspec.field(default_factory=list)
    stop_bits: Annotated[list[Literal[1, 2]], msgspec.Meta(max_length=2)] = msgspec.field(default_factory=list)
    wait_s: Annotated[float, msgspec.Meta(gt=0, le=10)] | None = None
    every_line: bool = False
    thorough: bool = False


class CheckedView(View):
    """What one channel shows; `value` is null exactly where its quality is bad, and `why` says why it is not good."""

    channel: str
    value: float | None
    unit: str
    quality: str
    time: str | None
    latency_s: float | None
    why: str


class Checked(View):
    """Every channel of a connection as it stands."""

    time: str
    connection: str
    channels: list[CheckedView]


class PortView(View):
    """A serial port of this machine; `path` is the name that lasts."""

    device: str
    path: str
    by_id: str
    by_path: str
    driver: str
    product: str
    vendor_id: str
    product_id: str
    serial: str
    group: str
    allowed: bool
    users: list[str]
    warnings: list[str]


class Ports(View):
    """The serial ports of this machine."""

    ports: list[PortView]


class FoundView(View):
    """An instrument that answered a scan."""

    endpoint: str
    unit: int
    line: str
    answer: str
    latency_s: float
    identification: dict[str, str]
    profiles: list[str]
    sure: bool
    note: str


class ScanView(View):
    """The scan that runs, or the last one."""

    running: bool = False
    ended: str = ""
    done: int = 0
    total: int = 0
    left_s: float = 0.0
    found: list[FoundView] = msgspec.field(default_factory=list)
    hints: list[str] = msgspec.field(default_factory=list)
    yaml: str = ""


class RegisterView(View):
    """A register in every way it can be read, 32-bit readings by byte order; null where there is no value."""

    address: int
    word: int | None
    int16: int | None
    uint32: dict[str, int] | None
    int32: dict[str, int] | None
    float32: dict[str, float] | None


class Registers(View):
    """What was read; exception codes of what was refused, by address."""

    table: str
    latency_s: float
    registers: list[RegisterView]
    refused: dict[int, int]


class GuessView(View):
    """A way to read registers that gives the shown values."""

    table: str
    address: int
    type: str
    order: str
    scale: float
    value: float
    matched: int
    share: float
    twins: list[str]


class Guesses(View):
    """All ways that are left, best first, and what to send with the next value."""

    unique: bool
    advice: str
    guesses: list[GuessView]
    samples: list[SampleView]
    yaml: str
