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
    start_weekday: Annotated[int, Field(ge=0, le=6)] = 0
    """0 is Monday."""
    weather_k: NotNegative = 0.2


class DoorwaySpec(Part):
    """An opening into another room, through which smoke flows over; told for one of the two rooms."""

    to: str
    width_m: Positive = 0.9
    height_m: Positive = 2.0


class RoomSpec(Part):
    """A room, or an open area as a room with many air changes."""

    volume_m3: Positive
    height_m: Positive = 3.0
    air_changes_per_h: NotNegative = 1.0
    warmer_k: float = 0.0
    length_m: Positive | None = None
    """The width follows from it; square where left out. Places in the room are told in metres from one corner."""
    doorways: tuple[DoorwaySpec, ...] = ()


class YardSpec(Part):
    """An open area with wind: places are metres from its south-west corner; see `Climate`."""

    wind_m_s: Positive = 3.0
    from_deg: Annotated[float, Field(ge=0.0, le=360.0)] = 270.0
    """Clockwise from north; 270 blows along x."""
    daily_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.3
    daily_deg: float = 0.0
    wander_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2
    wander_deg: NotNegative = 10.0
    overcast: bool = False
    stability: Literal["", "A", "B", "C", "D", "E", "F"] = ""
    """Pasquill's class; from the hour and the wind where empty."""


class TankSpec(Part):
    """A storage tank; `level` in percent."""

    volume_m3: Positive
    level: Annotated[float, Field(ge=0.0, le=99.0)] = 60.0
    temperature_c: float = 20.0
    pressure_kpa: Annotated[float, Field(gt=-101.0)] = 0.5
    breathe_out_kpa: float = 2.0
    breathe_in_kpa: float = -0.3


class TcpSpec(Part):
    """A Modbus TCP or UDP endpoint with any number of units behind it; port 0 takes a free one."""

    type: Literal["modbus-tcp", "modbus-udp"]
    host: str = "127.0.0.1"
    port: Address = 0
    unknown_unit: Literal["answer", "no-path", "silent"] = "answer"
    """What a gateway says of a unit that does not exist: exception 11 (`answer`), exception 10, or nothing."""


class RtuSpec(Part):
    """A serial line with any number of units on it, on a pseudo-terminal; `link` is a second, fixed name for it."""

    type: Literal["modbus-rtu"]
    link: str = ""
    baud: Annotated[int, Field(ge=300, le=1_000_000)] = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1
    turnaround_ms: NotNegative = 2.0
    exact: bool = False
    """Whether only a master that has set this baud rate is understood; for commands that search for it."""


class RtuTcpSpec(Part):
    """A serial line behind a transparent serial server; port 0 takes a free one."""

    type: Literal["modbus-rtu-tcp"]
    host: str = "127.0.0.1"
    port: Address = 0
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


BusSpec = Annotated[TcpSpec | RtuSpec | RtuTcpSpec | MqttSpec, Field(discriminator="type")]
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


class AgeingSpec(Part):
    """What time in service does to a head; see `HeadSpec`."""

    fade_per_year: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of its sensitivity that it loses in a year of clean air."""
    zero_per_year: float = 0.0
    """How far its zero moves in a year of clean air, in its unit."""
    years: NotNegative = 0.0
    """How long it has been in service since it was last adjusted, at second 0."""
    poisons: Mapping[str, NotNegative] = {}
    """How many times faster it ages for each ppm of another gas: `h2s: 100`."""


State = Literal["warm_up", "fault", "over_range", "inhibit", "calibration"]


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
    per_k: float = 0.0
    """How far the zero moves for each kelvin that the head gets warmer than at second 0."""
    per_rh: float = 0.0
    """The same for each percent of relative humidity."""
    flicker: NotNegative = 0.0
    """Standard deviation of slow noise, spread over times from 20 s to half an hour."""
    sees: Mapping[str, float] = {}
    """Other gases that it takes for its own, and the share of each that it shows: `ethanol: 0.6`."""
    zero_below: NotNegative = 0.0
    """Values nearer to 0 than this are shown as 0, as many heads do."""
    ageing: AgeingSpec = AgeingSpec()
    marks: tuple[float, ...] | None = None
    catalytic: bool | None = None
    exposure: Positive = 1.0
    """How much stronger the gas is here than in the room on average."""
    above: float | None = None
    """Turns the channel into a contact: 1 while the value is at or above this, else 0."""
    recording: RecordingSpec | None = None
    shows: float | None = None
    """A number that never changes, in place of physics: a supply voltage, days to the next calibration."""
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
    apart: bool = False
    """Whether it goes on as it is while the instrument has a fault or warms up: its supply voltage, its clock."""

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
    bits: Mapping[State, Annotated[int, Field(ge=0, le=15)]] = {
        "warm_up": 0,
        "fault": 1,
        "over_range": 2,
        "inhibit": 3,
        "calibration": 4,
    }


class HeartbeatSpec(Part):
    """A register that counts up while the instrument's processor runs."""

    table: Literal["holding", "input"] = "holding"
    address: Address | None = None
    path: str = "heartbeat"
    every_s: Positive = 1.0


class WordSpec(Part):
    """A field of bits in a word that an instrument keeps beside its values; fields of one word are put together.

    What it holds is the sum of all that applies: `fixed`, the number of the gravest state (or of `normal`), the flags
    of all states, and the heartbeat's count.
    """

    table: Table = "holding"
    address: Address
    type: RegisterType = "uint16"
    order: Order = "ABCD"
    shift: Annotated[int, Field(ge=0, le=63)] = 0
    width: Annotated[int, Field(ge=1, le=64)] = 64
    fixed: Annotated[int, Field(ge=0)] = 0
    tells_unit: bool = False
    """Whether this is the word that the event `unit-changed` changes."""
    normal: Annotated[int, Field(ge=0)] = 0
    values: Mapping[State, Annotated[int, Field(ge=0)]] = {}
    flags: Mapping[State, Annotated[int, Field(ge=0, le=63)]] = {}
    beat_s: Positive | None = None
    """Seconds from one count to the next."""


class RelaySpec(Part):
    """A coil or register that the bus may write and read back: a relay, a sounder, a set point."""

    table: Literal["coil", "holding"] = "coil"
    address: Address


IDENTITY = ("vendor", "product", "revision", "url", "product_name", "model", "application")
"""What function 43/14 tells, by object number."""


Payload = Literal[
    "json",
    "plain",
    "columns",
    "chirpstack",
    "zigbee2mqtt",
    "tasmota",
    "shelly-gas",
    "esphome",
    "milesight-gs101",
    "milesight-gs301",
    "milesight-gs524n",
    "milesight-em300-th",
]
"""What an instrument on MQTT publishes; the milesight heads as ChirpStack passes their bytes on."""
CHIRPSTACK = frozenset({"chirpstack", "milesight-gs101", "milesight-gs301", "milesight-gs524n", "milesight-em300-th"})


class InstrumentSpec(Part):
    """One instrument: where it hangs, which bus it speaks on and as whom, and its channels."""

    bus: str
    at: str
    height_m: NotNegative | None = None
    """Above the floor; under the ceiling where left out."""
    radius_m: NotNegative = 2.0
    """From the axis of any fire in the room."""
    x_m: NotNegative | None = None
    """Its place on the plan. A head with one meets a leak that has one the sooner the nearer it is."""
    y_m: NotNegative | None = None
    warm_up_s: NotNegative = 0.0
    profile: str = ""
    """Its registers are laid out as this profile says, a shipped one by name or a file as `./mine.yaml`."""
    points: tuple[Annotated[int, Field(ge=0, le=65_535)], ...] = ()
    """Points of a panel to simulate, where the profile describes one."""
    alarms: Mapping[str, float] = {}
    """Values from which the contacts of a profile are made, by channel."""
    unit: Annotated[int, Field(ge=1, le=247)] | None = None
    topic: str = ""
    payload: Payload = "json"
    every_s: Positive = 1.0
    """MQTT: seconds between messages."""
    rows: Annotated[int, Field(ge=1, le=1000)] = 10
    """MQTT columns: readings in a message."""
    dev_eui: str = ""
    status: StatusSpec | None = None
    heartbeat: HeartbeatSpec | None = None
    words: tuple[WordSpec, ...] = ()
    relays: dict[str, RelaySpec] = {}
    spare: Mapping[Table, tuple[tuple[Address, Address], ...]] = {}
    """Further addresses that exist and hold 0, as ranges with both ends; whatever is nowhere named is refused."""
    registers_max: Annotated[int, Field(ge=1, le=125)] = 125
    turnaround_ms: NotNegative = 0.0
    """How long it thinks before each answer, beside the line's own turnaround."""
    identity: Mapping[Literal["vendor", "product", "revision", "url", "product_name", "model", "application"], str] = {}
    """What it says to function 43/14; where empty it does not know the function."""
    files: Mapping[Annotated[int, Field(ge=1, le=65_535)], tuple[Address, ...]] = {}
    """Record files of function 20: their registers by file number."""
    queues: Mapping[Address, tuple[Address, ...]] = {}
    """FIFO queues of function 24: their registers by pointer address."""
    channels: dict[str, ChannelSpec] = {}

    @model_validator(mode="after")
    def _has_something(self) -> "InstrumentSpec":
        if not self.channels and not self.relays:
            raise ValueError("an instrument needs channels, or relays")
        return self

    @property
    def place_on_bus(self) -> int | str:
        """Its unit, or the topic it publishes to; LoRaWAN heads have the topic that ChirpStack gives them."""
        if self.unit is not None:
            return self.unit
        if self.payload in CHIRPSTACK and not self.topic:
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
    yards: dict[str, YardSpec] = {}
    tanks: dict[str, TankSpec] = {}
    buses: Annotated[dict[str, BusSpec], Field(min_length=1)]
    instruments: Annotated[dict[str, InstrumentSpec], Field(min_length=1, max_length=INSTRUMENTS_MAX)]
    events: list[Event] = []
    folder: Path = Path()
    """Where the file stands; recordings are found from here."""
