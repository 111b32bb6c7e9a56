"""What the API needs of the running gateway; `gateway.app` provides it, tests provide a small one."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel

from gateway.calibration import CalibrationDuty
from gateway.cases import Cases
from gateway.core.alarm import Alarm, AlarmEvent, Command
from gateway.core.clock import Clock
from gateway.core.model import Channel, Float64, Int64, Rule, UInt8
from gateway.core.plugin import Driver
from gateway.core.status import InstrumentStatus, OutputStatus, RuleStatus, UplinkStatus
from gateway.figures import Figures
from gateway.notifications import Notifications
from gateway.orders import Orders
from gateway.people.people import People
from gateway.places import Places
from gateway.records import Records
from gateway.site.schema import SiteFile


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest reading of every channel, as columns in row order; a channel never read is BAD with time 0."""

    time_ns: Int64
    value: Float64
    quality: UInt8


@dataclass(frozen=True, slots=True)
class Trend:
    """A channel's past as columns.

    Attributes:
        time_ns: int64[n]: reading times, or minute starts.
        low: float64[n]: minimum (equal to `mean` and `high` for raw readings); NaN where all readings were BAD.
        mean: float64[n].
        high: float64[n].
        quality: uint8[n]: the reading's quality; for a minute, the worst of it.
        resolution_s: 0 for raw readings, else 60.
    """

    time_ns: Int64
    low: Float64
    mean: Float64
    high: Float64
    quality: UInt8
    resolution_s: int


@dataclass(frozen=True, slots=True)
class Running:
    """A connection that the gateway reads: commissioning asks its instruments through the driver that owns the line.

    Attributes:
        id: The connection's id.
        type: Its driver's name.
        options: The connection's options, validated.
        driver: What reads it; may be down at any time.
        latencies_s: Returns seconds from request to reply of its channels' last readings, by row, where known.
    """

    id: str
    type: str
    options: BaseModel
    driver: Driver
    latencies_s: Callable[[], Mapping[int, float]] = dict


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What became of reading the site file again.

    Attributes:
        applied: The gateway runs what the file says; where not, nothing has changed.
        what: What changed, in words.
        problems: Why it was refused, each with its place in the file.
    """

    applied: bool
    what: str
    problems: tuple[str, ...] = ()


class Tokens(Protocol):
    """Where bearer tokens are looked up; only their hashes are kept."""

    def find_token(self, digest: str) -> tuple[str, str] | None:
        """Return (name, role) of a live token by its SHA-256 in hex, or None."""
        ...


class Gateway(Protocol):
    """The running gateway as the API sees it. All methods are cheap; those that wait are coroutines."""

    clock: Clock
    tokens: Tokens
    cases: Cases
    """What is done about alarms."""
    figures: Figures
    """How alarms load people."""
    people: People
    """Accounts, sessions, and what is noted of people in the journal."""
    orders: Orders
    """Orders about many alarms, and questions about single ones."""
    table: int
    """Number of the channel table; another one after each start and each change of the site."""

    @property
    def notifications(self) -> Notifications:
        """The ways to tell people."""
        ...

    @property
    def records(self) -> Records:
        """What can be asked of the past: searches, past lists, exports, reports, handovers."""
        ...

    @property
    def calibrations(self) -> CalibrationDuty:
        """The instruments' tests."""
        ...

    @property
    def site_id(self) -> str:
        """The site's id."""
        ...

    @property
    def site_name(self) -> str:
        """The site's name for people."""
        ...

    @property
    def site_file(self) -> SiteFile:
        """The site file as it runs now; instruments may be left out."""
        ...

    @property
    def epoch(self) -> str:
        """The journal's epoch."""
        ...

    @property
    def rules(self) -> Sequence[Rule]:
        """All rules of the site."""
        ...

    @property
    def places(self) -> Places:
        """Where instruments stand on the plans."""
        ...

    @property
    def channels(self) -> Sequence[Channel]:
        """The channel table in row order."""
        ...

    def latest(self) -> Latest:
        """Return the newest readings; the arrays are copies."""
        ...

    def alarms(self) -> list[Alarm]:
        """Return every alarm that is not normal, most urgent first."""
        ...

    def audible(self) -> bool:
        """Whether something sounds now: an unacknowledged, unsilenced alarm."""
        ...

    def instruments(self) -> list[InstrumentStatus]:
        """Return the state of every instrument."""
        ...

    def uplinks(self) -> list[UplinkStatus]:
        """Return the state of every store and uplink."""
        ...

    def outputs(self) -> list[OutputStatus]:
        """Return the state of every sounder and beacon."""
        ...

    def rules_of(self, channel: Channel) -> list[RuleStatus]:
        """Return what each rule that judges a channel of the table says of it."""
        ...

    def connections(self) -> list[Running]:
        """Return every connection that is read now, with its driver."""
        ...

    def statistics(self) -> Mapping[str, float]:
        """Return counters and gauges by name, e.g. `readings_total`, `spool_bytes`, `uptime_s`."""
        ...

    async def command(self, command: Command) -> list[AlarmEvent]:
        """Carry out a command and return its events once they are on disk. Raises CommandRefusedError."""
        ...

    async def record(self, event: AlarmEvent) -> AlarmEvent:
        """Journal an event that changes no alarm; its number is given here. Returns it once it is on disk."""
        ...

    async def reload(self, who: str = "") -> Reloaded:
        """Read the site file again and apply what changed. Raises CommandRefusedError."""
        ...

    async def events(
        self, after: int, limit: int, *, alarm: str = "", kind: str = "", newest_first: bool = False
    ) -> list[AlarmEvent]:
        """Return journalled events with `seq > after` (or, newest first, `seq < after` where `after` is not 0)."""
        ...

    async def history(self, channel: str, start_ns: int, end_ns: int, resolution_s: int) -> Trend:
        """Return a channel's readings in `[start_ns, end_ns)`; resolution 0 is raw, 60 is by the minute."""
        ...

    def follow(self, after: int | None) -> AsyncIterator[AlarmEvent | None]:
        """Yield events with `seq > after` (None: only new ones) and then each new one once it is on disk.

        Yields None at least every second, so that the reader can send its values and heartbeat. An event is never
        skipped: a reader that falls behind is served from the journal.
        """
        ...
