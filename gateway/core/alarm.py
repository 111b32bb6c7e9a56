"""Alarms as people and platforms see them: states, events, commands. How they change is `gateway.alarms`."""

from enum import StrEnum

import msgspec


class AlarmState(StrEnum):
    """States after ISA-18.2 / IEC 62682, with the two latched states that gas and fire alarms need."""

    NORMAL = "normal"
    UNACKED = "unacked"
    """Active and not acknowledged."""
    ACKED = "acked"
    """Active and acknowledged."""
    RETURNED = "returned"
    """The condition is gone, nobody has acknowledged."""
    LATCHED_UNACKED = "latched_unacked"
    """The condition is gone, the alarm is held, nobody has acknowledged."""
    LATCHED_ACKED = "latched_acked"
    """The condition is gone, the alarm is acknowledged and held until a manual reset."""
    SHELVED = "shelved"
    """Put aside by an operator for a limited time."""
    SUPPRESSED = "suppressed"
    """Put aside by the site's own logic."""
    OUT_OF_SERVICE = "out_of_service"
    """Taken out by a maintenance permit; never ends by itself."""


class EventKind(StrEnum):
    """What happened to an alarm, or was done by a person."""

    RAISED = "raised"
    ESCALATED = "escalated"
    DE_ESCALATED = "de_escalated"
    RETURNED = "returned"
    """The condition is gone; a latched or unacknowledged alarm stays listed."""
    CLEARED = "cleared"
    """The alarm is over."""
    ACKNOWLEDGED = "acknowledged"
    RESET = "reset"
    SILENCED = "silenced"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    OUT_OF_SERVICE = "out_of_service"
    RETURNED_TO_SERVICE = "returned_to_service"
    RELEARNT = "relearnt"
    """A person had a channel learned anew; concerns no alarm, names the channel."""
    NOTE = "note"
    """Something worth keeping that changes no alarm: start, stop, clock step, a new epoch."""


class AlarmEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One numbered transition. The journal is the list of these, and the present state is its fold.

    Each event tells all there is to know of its alarm after it, so the last event of each alarm restores the book.

    Attributes:
        seq: Number within the journal's epoch, from 1 without gaps; assigned by the alarm book.
        time_ns: The time of the reading or command that caused it, UTC nanoseconds since 1970.
        kind: What happened.
        alarm: The alarm's id (the rule's id, or `system/...`); empty for site-wide events.
        state: The alarm's state after it.
        level: The alarm's level after it: `normal`, `warning`, `fault`, `low` or `high`. For a latched alarm, the
            highest since it was raised.
        condition: What the rule says at this moment, whatever the alarm holds.
        priority: 1 to 4; 0 for site-wide events.
        occurrence: How often this alarm has been raised, this time included.
        raised_ns: When this occurrence began, 0 where none is running.
        first: This alarm was the first of its area; kept until the area is normal again.
        annunciate: The event starts the sound.
        channel: Channel id, or empty for system alarms and alarms of several channels.
        instrument: Instrument id, or empty.
        area: Area, or empty.
        quantity: What is measured, or empty.
        unit: Unit of `value` and `limit`.
        value: The judged value, or None.
        limit: What it was compared with, or None.
        quality: The reading's quality by name, or the fault found.
        test: The reading was made under test.
        who: The person, platform or part that acted; empty where the process itself did.
        why: The reason given, or one line that explains what happened.
        why_zh: The same in Chinese; empty where nobody has said it in Chinese.
        until_ns: When a shelving ends by itself, else 0.
        acked_by: Who acknowledged this occurrence, or empty.
        acked_ns: When, or 0.
        sounded: Number of the event that last started this alarm's sound, 0 where none did. The alarm is silent when
            a later `SILENCED` event exists, so that one event silences a whole site.
        sounds: The same apart for each level that sounded since the alarm was last normal or put aside, e.g.
            `{"low": 7, "high": 9}`: an output for HIGH alone must know, also after a restart, what has sunk to LOW.
            A warning is here too, though it never sounds: an output may follow warnings.
    """

    seq: int
    time_ns: int
    kind: EventKind
    alarm: str = ""
    state: AlarmState = AlarmState.NORMAL
    level: str = "normal"
    condition: str = "normal"
    priority: int = 0
    occurrence: int = 0
    raised_ns: int = 0
    first: bool = False
    annunciate: bool = False
    channel: str = ""
    instrument: str = ""
    area: str = ""
    quantity: str = ""
    unit: str = ""
    value: float | None = None
    limit: float | None = None
    quality: str = "good"
    test: bool = False
    who: str = ""
    why: str = ""
    why_zh: str = ""
    until_ns: int = 0
    acked_by: str = ""
    acked_ns: int = 0
    sounded: int = 0
    sounds: dict[str, int] = {}


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """Present state of one alarm, as the API and the console show it.

    Attributes:
        id: The rule's id, or `system/...`.
        event: The last event that changed it; its fields hold all that is known of the alarm.
        silenced: The sound was silenced and nothing new has come since.
        latching: It ends only by a manual reset.
        response: What the operator is told to do.
        delayed: The rule has an on-delay, which people must be shown (GB 16808).
    """

    id: str
    event: AlarmEvent
    silenced: bool = False
    latching: bool = False
    response: str = ""
    delayed: bool = False


class Verb(StrEnum):
    """What a person or a platform may tell the alarm book."""

    ACKNOWLEDGE = "acknowledge"
    RESET = "reset"
    SILENCE = "silence"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    OUT_OF_SERVICE = "out-of-service"
    RETURN_TO_SERVICE = "return-to-service"
    RELEARN = "relearn"
    """Forget what was learned of a channel, after its instrument was changed; carried out by the pipeline."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """An order to the alarm book, or to the pipeline.

    Attributes:
        verb: What to do.
        alarm: The alarm's id; empty for `SILENCE`, which is for the whole site, and `RELEARN`.
        who: The person or platform that gives it; never empty.
        why: The reason; mandatory for shelving, out of service and relearning.
        duration_s: How long to shelve.
        channel: The channel's id, for `RELEARN`.
    """

    verb: Verb
    alarm: str = ""
    who: str
    why: str = ""
    duration_s: float = 0.0
    channel: str = ""
