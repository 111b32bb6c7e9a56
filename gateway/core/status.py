"""How the parts of the gateway are doing, for the API, the metrics and the command line."""

from typing import Protocol, runtime_checkable

import msgspec


class InstrumentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one instrument is doing.

    Attributes:
        id: The instrument's id.
        connection: The connection it is read over.
        type: The driver's plugin name.
        online: Its last reading of any channel was not COMMS_LOST and not STALE.
        last_ns: Time of its last reading that was not BAD, 0 where none has come yet.
        readings: Readings since the start, BAD ones included.
        bad: BAD readings since the start.
        reason: Why it is offline, or empty.
    """

    id: str
    connection: str
    type: str
    online: bool
    last_ns: int
    readings: int
    bad: int
    reason: str = ""


class SetPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A value of a channel at which a rule changes its mind, as trends draw it.

    Attributes:
        level: The level it raises, by name.
        side: `above` where values at or beyond it raise, `below` where values at or under it do.
        value: The value, in the channel's unit.
    """

    level: str
    side: str
    value: float


@runtime_checkable
class Limiting(Protocol):
    """Options of a detector whose limits are values of its channels; others have nothing that a trend could draw."""

    @property
    def set_points(self) -> tuple[SetPoint, ...]:
        """Its set points."""
        ...


class RuleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule says of a channel now.

    Attributes:
        id: The rule's id, which is its alarm's.
        type: The detector's plugin name.
        level: Its level by name.
        in_service: It judges; false where it failed and was taken out.
        learns: Its detector learns what is normal.
        ready: It has learned enough to judge; true where there is nothing to learn.
        score: How unusual its last reading was, 0 to 1; None where it does not learn or has not learned yet.
    """

    id: str
    type: str
    level: str
    in_service: bool
    learns: bool
    ready: bool
    score: float | None


class UplinkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How delivery to one store or platform is doing.

    Attributes:
        id: The store's or uplink's id.
        type: The plugin name.
        kind: `store` (readings) or `uplink` (events).
        up: The last attempt succeeded.
        delivered: Items acknowledged by the peer since the start.
        dead: Items refused for ever since the start.
        waiting: Items that the log holds and the peer has not acknowledged.
        oldest_ns: Time of the oldest waiting item, 0 where none waits.
        last_ns: When the peer last acknowledged something, 0 where never.
        reason: Why it is down, or empty.
    """

    id: str
    type: str
    kind: str
    up: bool
    delivered: int
    dead: int
    waiting: int
    oldest_ns: int
    last_ns: int
    reason: str = ""


class OutputStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one output is doing.

    Attributes:
        id: The output's id.
        connection: The connection it is written over.
        label: Name for people, or empty.
        wanted: The alarms ask for it to be on.
        shown: What it read back when it was last written; None where nobody knows, because it was never reached or
            the last attempt failed.
        alarms: How many alarms hold it on.
        last_ns: When it last read back as it was written, 0 where never.
        reason: Why it cannot be switched, or empty.
    """

    id: str
    connection: str
    label: str
    wanted: bool
    shown: bool | None
    alarms: int
    last_ns: int
    reason: str = ""


class NotifierStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one way to tell people is doing.

    Attributes:
        id: The notifier's id.
        type: The plugin name.
        up: The last attempt succeeded, or there has been none.
        sent: Messages that the channel took since the start.
        failed: Messages that it refused for ever since the start.
        waiting: Alarms and answers that still have to be told.
        last_ns: When it last took a message, 0 where never since the start.
        reason: Why the last attempt failed, or empty.
        health: `unknown` (nothing sent since the start), `ok`, `busy` (the channel takes no more in this minute) or
            `failing`.
    """

    id: str
    type: str
    up: bool
    sent: int
    failed: int
    waiting: int
    last_ns: int
    reason: str
    health: str
