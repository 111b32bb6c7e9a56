"""The scenario file: a plant, its buses and instruments, and what happens to them on a timeline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulators.encoding import Order, RegisterType
from simulators.events import Event
from simulators.payloads import APPLICATION_ID

INSTRUMENTS_MAX = 10_000

Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Address = Annotated[int, Field(ge=0, le=65_535)]


class Part(BaseModel):
    """Root of all parts of a scenario: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AmbientSpec(Part):
    """The air around the plant; see `Ambient`."""

    temperature_c: float = 20.0
    swing_k: NotNegative = 4.0
    humidity_rh: Annotated[float, Field(ge=0.0, le=100.0)] = 50.0
    start_hour: Annotated[float, Field(ge=0.0, lt=24.0)] = 9.0
    weather_k: NotNegative = 0.2


class RoomSpec(Part):
    """A room, or an open area as a room with many air changes."""

    volume_m3: Positive
    height_m: Positive = 3.0
    air_changes_per_h: NotNegative = 1.0
    warmer_k: float = 0.0


class TankSpec(Part):
    """A storage tank; `level` in percent."""

    volume_m3: Positive
    level: Annotated[float, Field(ge=0.0, le=99.0)] = 60.0
    temperature_c: float = 20.0
    pressure_kpa: Annotated[float, Field(gt=-101.0)] = 0.5
    breathe_out_kpa: float = 2.0
    breathe_in_kpa: float = -0.3


class TcpSpec(Part):
    """A Modbus TCP endpoint with any number of units behind it; port 0 takes a free one."""

    type: Literal["modbus-tcp"]
    host: str = "127.0.0.1"
    port: Address = 0
    unknown_unit: Literal["answer", "silent"] = "answer"
    """What a unit that does not exist does: `answer` with exception 11, as gateways do, or nothing."""


class RtuSpec(Part):
    """A serial line with any number of units on it, on a pseudo-terminal; `link` is a second, fixed name for it."""

    type: Literal["modbus-rtu"]
    link: str = ""
    baud: Annotated[int, Field(ge=300, le=1_000_000)] = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1
    turnaround_ms: NotNegative = 2.0


class MqttSpec(Part):
    """The broker that instruments publish to: one of our own on `port`, or `theirs` at `host`."""

    type: Literal["mqtt"]
    host: str = "127.0.0.1"
    port: Address = 0
    broker: Literal["own", "theirs"] = "own"
    qos: Literal[0, 1] = 1
    username: str = ""
    password: str = ""


BusSpec = Annotated[TcpSpec | RtuSpec | MqttSpec, Field(discriminator="type")]
Table = Literal["coil", "discrete", "holding", "input"]


class RecordingSpec(Part):
    """A column of a recorded CSV file that takes the place of physics; file names are relative to the scenario's."""

    file: str
    column: str
    time_column: str = "TIME"
    scale: float = 1.0
    offset: float = 0.0
    start_s: float = 0.0
    """Second of the recording at which the scenario starts."""
    loop: bool = False


class ChannelSpec(Part):
    """One channel: what it measures, how well, and where it stands on the bus. What is left out is the usual head's."""

    quantity: str = ""
    unit: str = ""
    range: tuple[float, float] | None = None
    t90_s: NotNegative | None = None
    noise: NotNegative | None = None
    resolution: NotNegative | None = None
    walk_per_h: NotNegative | None = None
    daily: float | None = None
    marks: tuple[float, ...] | None = None
    catalytic: bool | None = None
    exposure: Positive = 1.0
    """How much stronger the gas is here than in the room on average."""
    above: float | None = None
    """Turns the channel into a contact: 1 while the value is at or above this, else 0."""
    recording: RecordingSpec | None = None
    table: Table = "holding"
    address: Address | None = None
    type: RegisterType = "uint16"
    order: Order = "ABCD"
    bit: Annotated[int, Field(ge=0, le=15)] = 0
    scale: float = 1.0
    offset: float = 0.0
    fault_raw: float | None = None
    """The raw number, or the JSON value, that stands for a sensor fault."""
    warm_up_raw: float | None = None
    """The same for an instrument that still warms up; where left out it shows what it reads."""
    path: str = ""
    """MQTT: dotted path in the JSON object; the channel's id where empty."""

    @model_validator(mode="after")
    def _sound(self) -> "ChannelSpec":
        if self.scale == 0.0:
            raise ValueError("scale must not be 0")
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError(f"range must rise, not {list(self.range)}")
        if self.type == "bit" and self.above is None:
            raise ValueError("a channel of type bit needs `above`, the value at which it becomes 1")
        if self.table in {"coil", "discrete"} and self.type != "bit":
            raise ValueError(f"table {self.table} holds type bit, not {self.type}")
        return self


class StatusSpec(Part):
    """A status word: Modbus at `address`, with the number of each state's bit; MQTT at `path` as a word of text."""

    table: Literal["holding", "input"] = "holding"
    address: Address | None = None
    path: str = "status"
    bits: Mapping[Literal["warm_up", "fault", "over_range", "inhibit"], Annotated[int, Field(ge=0, le=15)]] = {
        "warm_up": 0,
        "fault": 1,
        "over_range": 2,
        "inhibit": 3,
    }


class HeartbeatSpec(Part):
    """A register that counts up once a second while the instrument's processor runs."""

    table: Literal["holding", "input"] = "holding"
    address: Address | None = None
    path: str = "heartbeat"


class InstrumentSpec(Part):
    """One instrument: where it hangs, which bus it speaks on and as whom, and its channels."""

    bus: str
    at: str
    height_m: NotNegative | None = None
    """Above the floor; under the ceiling where left out."""
    radius_m: NotNegative = 2.0
    """From the axis of any fire in the room."""
    warm_up_s: NotNegative = 0.0
    unit: Annotated[int, Field(ge=1, le=247)] | None = None
    topic: str = ""
    payload: Literal["json", "plain", "columns", "chirpstack"] = "json"
    every_s: Positive = 1.0
    """MQTT: seconds between messages."""
    rows: Annotated[int, Field(ge=1, le=1000)] = 10
    """MQTT columns: readings in a message."""
    dev_eui: str = ""
    status: StatusSpec | None = None
    heartbeat: HeartbeatSpec | None = None
    channels: Annotated[dict[str, ChannelSpec], Field(min_length=1)]

    @property
    def place_on_bus(self) -> int | str:
        """Its unit, or the topic it publishes to; LoRaWAN heads have the topic that ChirpStack gives them."""
        if self.unit is not None:
            return self.unit
        if self.payload == "chirpstack" and not self.topic:
            return f"application/{APPLICATION_ID}/device/{self.dev_eui.lower()}/event/up"
        return self.topic


class Scenario(Part):
    """A whole scenario, checked."""

    name: str
    about: str = ""
    seed: Annotated[int, Field(ge=0)] = 1
    speed: Annotated[float, Field(gt=0.0, le=1000.0)] = 1.0
    duration_s: Positive | None = None
    step_s: Annotated[float, Field(ge=0.01, le=10.0)] = 0.1
    truth_every_s: Positive = 1.0
    ambient: AmbientSpec = AmbientSpec()
    rooms: dict[str, RoomSpec] = {}
    tanks: dict[str, TankSpec] = {}
    buses: Annotated[dict[str, BusSpec], Field(min_length=1)]
    instruments: Annotated[dict[str, InstrumentSpec], Field(min_length=1, max_length=INSTRUMENTS_MAX)]
    events: list[Event] = []
    folder: Path = Path()
    """Where the file stands; recordings are found from here."""
