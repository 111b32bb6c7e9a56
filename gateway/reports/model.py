"""What a report holds, before it is said in a language: the same for the page, the PDF and the API."""

from typing import Literal

import msgspec

from gateway.core.alarm import Alarm, Case
from gateway.reports.periods import Period
from gateway.reports.place import Place

Kind = Literal["handover", "daily", "monthly"]


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How often something happened, in a span that begins at `start`."""

    start: str
    count: int


class Flood(msgspec.Struct, frozen=True, kw_only=True):
    """A time with more alarms than anybody can follow; `end` is None where it goes on."""

    start: str
    end: str | None = None
    count: int = 0


class Top(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm and its part of all."""

    alarm: str
    area: str = ""
    count: int = 0
    share_percent: float = 0.0


class Chatter(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that came and went in quick turn."""

    alarm: str
    max_per_min: int = 0
    count: int = 0


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm and how often something happened to it."""

    alarm: str
    count: int = 0


class Since(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that has stood since a time."""

    alarm: str
    since: str = ""


class Aside(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm and how long it was put aside."""

    alarm: str
    total_s: float = 0.0
    times: int = 0


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """How long alarms waited for somebody; None where none was acknowledged."""

    median_s: float | None = None
    p90_s: float | None = None
    unacknowledged: int = 0


class CaseCount(msgspec.Struct, frozen=True, kw_only=True):
    """Cases of the span."""

    opened: int = 0
    closed: int = 0
    overdue: int = 0
    by_outcome: dict[str, int] = {}


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What to fix, in both languages."""

    en: str
    zh: str = ""
    alarm: str = ""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Alarm statistics of a span, as `GET /statistics/alarms` answers them."""

    start: str = ""
    end: str = ""
    raised: int = 0
    by_priority: dict[str, int] = {}
    by_level: dict[str, int] = {}
    per_10_min: tuple[Count, ...] = ()
    peak_10_min: int = 0
    floods: tuple[Flood, ...] = ()
    in_flood_percent: float = 0.0
    per_hour: float = 0.0
    top: tuple[Top, ...] = ()
    chattering: tuple[Chatter, ...] = ()
    fleeting: tuple[Times, ...] = ()
    stale: tuple[Since, ...] = ()
    acknowledge: Answered = Answered()
    shelved: tuple[Aside, ...] = ()
    suppressed: tuple[Aside, ...] = ()
    out_of_service: tuple[Aside, ...] = ()
    cases: CaseCount = CaseCount()
    advice: tuple[Advice, ...] = ()


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wrote down for the next shift; `seq` is the number of its event."""

    at_ns: int
    by: str
    text: str
    seq: int = 0


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed or accepted, when, and what they said."""

    by: str
    at_ns: int
    why: str = ""


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """A calibration or bump test that is due or overdue."""

    instrument: str
    area: str = ""
    kind: str = "calibration"
    due_ns: int = 0
    state: str = "due"


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """A handover in a list."""

    id: str
    period: Period
    signed: Signature
    accepted: Signature | None = None
    superseded: bool = False
    digest: str = ""
    seq: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report says.

    Attributes:
        kind: Which report.
        id: A handover's id; empty for the others, and for a draft.
        place: The site.
        period: What it is about.
        made_ns: When it was made; what is listed as open was so then, or at the period's end where that is earlier.
        epoch: The journal's epoch.
        seq: Number of the newest event that it stands on.
        digest: That event's hash in hex; with `hazgate verify --head`, it proves later what the journal then held.
        open: Alarms that are not normal and not put aside, most urgent first.
        left_out: How many more of these there are than are listed.
        shelved: Put aside by a person for a time.
        out_of_service: Taken out under a permit.
        suppressed: Put aside by the site's own logic.
        cases: Open cases; of a day or month, those opened in it too.
        calibrations: What is due.
        figures: Alarm statistics of the period.
        notes: What the shift wrote down.
        handovers: Of a day or month: its handovers.
        days: Of a month: alarms raised on each day.
    """

    kind: Kind
    id: str = ""
    place: Place
    period: Period
    made_ns: int
    epoch: str = ""
    seq: int = 0
    digest: str = ""
    open: tuple[Alarm, ...] = ()
    left_out: int = 0
    shelved: tuple[Alarm, ...] = ()
    out_of_service: tuple[Alarm, ...] = ()
    suppressed: tuple[Alarm, ...] = ()
    cases: tuple[Case, ...] = ()
    calibrations: tuple[Duty, ...] = ()
    figures: Figures = Figures()
    notes: tuple[Note, ...] = ()
    handovers: tuple[Handed, ...] = ()
    days: tuple[Count, ...] = ()
