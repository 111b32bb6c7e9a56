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
    CASE = "case"
    """A response went on: `AlarmEvent.case` has all of it; `alarm` is empty, as the alarm itself does not change."""
    CALIBRATED = "calibrated"
    """A bump test or calibration of an instrument was recorded; names the instrument, `AlarmEvent.calibration`."""
    REFUSED = "refused"
    """A person ordered what the role or the state does not allow; or somebody failed to sign in."""
    ACCOUNT = "account"
    """An account or token was made, changed, locked or revoked, or somebody signed in or out."""
    HANDOVER = "handover"
    """A shift was signed over or accepted."""
    RELEARNT = "relearnt"
    """A person had a channel learned anew; concerns no alarm, names the channel."""
    NOTE = "note"
    """Something worth keeping that changes no alarm: start, stop, clock step, a new epoch."""


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was done in a case.

    Attributes:
        at_ns: When.
        by: By whom.
        text: What.
    """

    at_ns: int
    by: str
    text: str


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """The response to one occurrence of an alarm, or to a problem that somebody reported at an instrument.

    Its steps are those of the supervision platforms: received, dispatched, arrived, acted, fed back, archived.

    Attributes:
        id: `<alarm>#<occurrence>`, or `problem#<number>`.
        alarm: The alarm's id, or empty for a reported problem.
        occurrence: The alarm's occurrence.
        channel: The channel, or empty.
        instrument: The instrument, or empty.
        area: The area, or empty.
        title: What it is about, on one line; the alarm's words, or the problem as reported.
        title_zh: The same in Chinese, or empty.
        priority: The highest of the occurrence.
        opened_ns: When the alarm was raised or the problem reported.
        opened_by: Who reported it; empty for an alarm.
        received_by: Who acknowledged it first, or empty.
        received_ns: When, or 0.
        assignee: Who was sent, or empty.
        phone: That person's telephone number, or empty.
        dispatched_by: Who sent them, or empty.
        dispatched_ns: When, or 0.
        arrived_ns: When they said that they are there, or 0.
        actions: What was done, in order; at most 100.
        outcome: `real`, `false`, `maintenance`, `test` or `instrument_fault`; empty while open.
        note: What was found, from whoever closed it.
        closed_by: Who closed it, or empty while open.
        closed_ns: When, or 0.
        over: The alarm has ended; a case is closed only then, or with a reason.
        over_ns: When it ended last, or 0.
        due_ns: Until when each step that has a time limit must be done: `acknowledge`, `dispatch`, `arrive`, `close`.
        overdue: Steps whose time limit passed before they were done, also where they were done later.
        photo: Name of the picture that came with the report, or empty.
    """

    id: str
    alarm: str = ""
    occurrence: int = 0
    channel: str = ""
    instrument: str = ""
    area: str = ""
    title: str = ""
    title_zh: str = ""
    priority: int = 0
    opened_ns: int = 0
    opened_by: str = ""
    received_by: str = ""
    received_ns: int = 0
    assignee: str = ""
    phone: str = ""
    dispatched_by: str = ""
    dispatched_ns: int = 0
    arrived_ns: int = 0
    actions: tuple[Action, ...] = ()
    outcome: str = ""
    note: str = ""
    closed_by: str = ""
    closed_ns: int = 0
    over: bool = False
    over_ns: int = 0
    due_ns: dict[str, int] = {}
    overdue: tuple[str, ...] = ()
    photo: str = ""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """One bump test or calibration of an instrument, as recorded.

    Attributes:
        kind: `bump` or `calibration`.
        passed: The response was as expected.
        expected: Reading that the test gas should give, or None.
        shown: Reading that it gave, or None.
        gas: The test gas, or empty.
        due_ns: When the next of this kind is due, or 0.
    """

    kind: str
    passed: bool
    expected: float | None = None
    shown: float | None = None
    gas: str = ""
    due_ns: int = 0


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """A step in handing a shift over.

    Attributes:
        step: `note` (something for the next shift, in `AlarmEvent.why`), `signed` or `accepted`.
        id: Which handover; empty for a note.
        shift: Name of the shift, or empty where the site has none.
        shift_zh: The same in Chinese, or empty.
        start_ns: When the shift began.
        end_ns: When it ended, or will.
        digest: SHA-256 of the signed report in hex; of a note empty.
        seq: Number of the newest event that the report stands on.
    """

    step: str
    id: str = ""
    shift: str = ""
    shift_zh: str = ""
    start_ns: int = 0
    end_ns: int = 0
    digest: str = ""
    seq: int = 0


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
        permit: The permit under which it is out of service, or empty.
        permit_for: What was taken out of service together under it: an instrument, an area, or an alarm's id (of
            several, the first); else empty.
        follows: The first alarm of its area, where this one came so soon after that it is taken for a consequence;
            else empty.
        said: What the alarm is about, in the words of the last event that its condition made; empty where `why` are
            those words.
        said_zh: The same in Chinese.
        aside_by: Who put it aside, while it is; empty where the site's own logic did.
        aside_why: Why, while it is.
        suppressed_by: The suppression of the site file, or the alarm that is its cause, while suppressed; else empty.
        case: With `CASE`: the whole case after it.
        calibration: With `CALIBRATED`: what was recorded.
        handover: With `HANDOVER`: what was signed, accepted or noted.
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
    permit: str = ""
    permit_for: str = ""
    follows: str = ""
    said: str = ""
    said_zh: str = ""
    aside_by: str = ""
    aside_why: str = ""
    suppressed_by: str = ""
    case: Case | None = None
    calibration: Calibration | None = None
    handover: Handover | None = None


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """Present state of one alarm, as the API and the console show it.

    Attributes:
        id: The rule's id, or `system/...`.
        event: The last event that changed it; its fields hold all that is known of the alarm.
        silenced: The sound was silenced and nothing new has come since.
        latching: It ends only by a manual reset.
        response: What the operator is told to do.
        response_zh: The same in Chinese, or empty.
        delayed: The rule waits before it raises, which people must be shown (GB 16808).
        note_required: Acknowledging it needs a note.
    """

    id: str
    event: AlarmEvent
    silenced: bool = False
    latching: bool = False
    response: str = ""
    response_zh: str = ""
    delayed: bool = False
    note_required: bool = False


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
        duration_s: How long to shelve, or how long the permit to be out of service runs.
        channel: The channel's id, for `RELEARN`.
        role: The giver's role (`operator`, `engineer`, `administrator`), which limits how long may be shelved; empty
            for platforms and parts of the gateway, which may what an engineer may.
        seen: Number of the alarm's event that the person had on the screen, 0 where unknown: an acknowledgement is
            refused where the alarm has been raised again or has risen since.
        permit_for: With `OUT_OF_SERVICE`: the instrument or area whose alarms are taken out together, or the first of
            several; the alarm itself where empty.
    """

    verb: Verb
    alarm: str = ""
    who: str
    why: str = ""
    duration_s: float = 0.0
    channel: str = ""
    role: str = ""
    seen: int = 0
    permit_for: str = ""


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """Alarms that the site's own logic puts aside while a condition holds.

    Attributes:
        id: Its id; what `AlarmEvent.suppressed_by` says.
        alarms: The ids of the alarms.
        row: The row of the channel that decides, or -1.
        channel: That channel's id, or empty.
        above: They are suppressed while the channel is above this, or None.
        below: They are suppressed while the channel is below this, or None.
        alarm: The id of the alarm that decides while it is active, or empty.
        max_ns: Ends after so many nanoseconds whatever the condition says, 0 for no such limit.
        why: Why that is right.
        why_zh: The same in Chinese, or empty.
    """

    id: str
    alarms: tuple[str, ...]
    row: int = -1
    channel: str = ""
    above: float | None = None
    below: float | None = None
    alarm: str = ""
    max_ns: int = 0
    why: str = ""
    why_zh: str = ""
