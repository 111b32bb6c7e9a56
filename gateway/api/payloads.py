"""What the API says, as structures: they are encoded from here, and the OpenAPI page is made from them."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from gateway.alarms.words import about
from gateway.api.case_views import CaseView, case_view
from gateway.core.alarm import Alarm, AlarmEvent, Calibration
from gateway.core.clock import rfc3339
from gateway.core.model import Channel, Float64, Int64, Quality, UInt8, quality_name

QUALITIES = tuple(quality_name(code) for code in range(256))
KNOWN_QUALITIES = {str(int(quality)): quality.name.lower() for quality in Quality}


class Fixed(NamedTuple):
    """What does not change of an alarm while the site is the same, and does not stand in its events."""

    latching: bool = False
    response: str = ""
    delayed: bool = False
    response_zh: str = ""
    note_required: bool = False


UNKNOWN = Fixed()


class View(msgspec.Struct, kw_only=True):
    """Root of all payloads."""


class EventView(View):
    """One event of the journal. Times are RFC 3339 with offset; null where there is none.

    `case` is the whole case in an event of kind `case`; on the stream and in lists of alarms it is the id of the
    alarm's open case.
    """

    seq: int
    time: str
    kind: str
    alarm: str
    state: str
    level: str
    condition: str
    priority: int
    occurrence: int
    raised_at: str | None
    first: bool
    annunciate: bool
    channel: str
    instrument: str
    area: str
    quantity: str
    unit: str
    value: float | None
    limit: float | None
    quality: str
    test: bool
    who: str
    why: str
    why_zh: str
    until: str | None
    acked_by: str
    acked_at: str | None
    sounded: int
    permit: str
    permit_for: str
    suppressed_by: str
    follows: str
    said: str
    said_zh: str
    aside_by: str
    aside_why: str
    case: CaseView | str | None = None
    calibration: Calibration | None = None


class StreamEventView(EventView):
    """An event on the live stream, with what never changes of its alarm."""

    latching: bool = False
    response: str = ""
    delayed: bool = False
    response_zh: str = ""
    note_required: bool = False


class AlarmView(StreamEventView, kw_only=True):
    """Present state of an alarm: its last event, whether it was silenced, and what to do."""

    id: str
    silenced: bool


class Alarms(View):
    """All alarms that are not normal, most urgent first."""

    time: str
    audible: bool
    alarms: list[AlarmView]


class Events(View):
    """Part of the journal; `next` is the `after` of the next part, null where there is none yet."""

    epoch: str
    events: list[EventView]
    next: int | None


class ReloadDone(View):
    """What became of reading the site file again; where it was not applied, nothing has changed."""

    applied: bool
    what: str
    problems: list[str]


class CommandDone(View):
    """The events that a command made; none where everything was already as ordered. `alarm` is how it stands now."""

    events: list[EventView]
    alarm: AlarmView | None = None


class NoOrder(View, forbid_unknown_fields=True):
    """An order without contents."""


class ChannelView(View):
    """A channel and its newest reading; `value` is null exactly where the quality is bad."""

    id: str
    instrument: str
    quantity: str
    unit: str
    range_low: float | None
    range_high: float | None
    decimals: int
    area: str
    location: str
    label: str
    label_zh: str
    time: str | None
    value: float | None
    quality: str


class SetPointView(View):
    """A value at which a rule changes its mind: its level with the alarm's priority, and `above` or `below`."""

    level: str
    priority: int
    side: str
    value: float


class RuleView(View):
    """What a rule says of a channel; `score` is 0 to 1 (0.999: one in a thousand of its past), null while it learns."""

    id: str
    type: str
    level: str
    in_service: bool
    learns: bool
    ready: bool
    score: float | None
    set_points: list[SetPointView] = []


class ChannelDetail(ChannelView, kw_only=True):
    """A channel, its newest reading, and the rules that judge it."""

    rules: list[RuleView]


class Channels(View):
    """All channels in row order; `table` is the number of this channel table, as on the live stream."""

    time: str
    table: int
    channels: list[ChannelView]


class ChannelColumns(View):
    """The same as columns: a list for each field of `ChannelView`."""

    time: str
    table: int
    columns: dict[str, list[str | int | float | None]]


class History(View):
    """A channel's past as columns; null where all readings were bad. For a minute, the worst quality of it."""

    channel: str
    unit: str
    start: str
    end: str
    resolution_s: int
    time: list[str | None]
    low: list[float | None]
    mean: list[float | None]
    high: list[float | None]
    quality: list[str]


class Values(View):
    """Rows (places in the channel table) whose value or quality changed, with quality codes."""

    rows: list[int]
    value: list[float | None]
    quality: list[int]


class InstrumentView(View):
    """How an instrument is doing."""

    id: str
    connection: str
    type: str
    online: bool
    last: str | None
    readings: int
    bad: int
    reason: str


class Instruments(View):
    """All instruments."""

    time: str
    instruments: list[InstrumentView]


class UplinkView(View):
    """How delivery to a store or platform is doing."""

    id: str
    type: str
    kind: str
    up: bool
    delivered: int
    dead: int
    waiting: int
    oldest: str | None
    last: str | None
    reason: str


class Uplinks(View):
    """All stores and uplinks."""

    time: str
    uplinks: list[UplinkView]


class OutputView(View):
    """How a sounder or beacon is doing; `shown` is null while nobody knows what it does."""

    id: str
    label: str
    connection: str
    wanted: bool
    shown: bool | None
    alarms: int
    last: str | None
    reason: str


class OutputList(View):
    """All sounders and beacons."""

    time: str
    outputs: list[OutputView]


class Statistics(View):
    """Counters and gauges by name."""

    time: str
    statistics: dict[str, float]


class Health(View):
    """Whether the gateway is up, and what is not as it should be.

    `alarms` counts by priority (`1` to `4`); `degraded` holds the ids of active system alarms; `journal_ok` is false
    while events cannot be written to disk.
    """

    status: str
    time: str
    site: str
    name: str
    epoch: str
    alarms: dict[str, int]
    unacknowledged: int
    journal_ok: bool
    instruments: int
    instruments_offline: int
    degraded: list[str]


def moment(time_ns: int) -> str | None:
    """Return a time as RFC 3339 in UTC, None for 0.

    >>> moment(0), moment(1_700_000_000_000_000_000)
    (None, '2023-11-14T22:13:20.000+00:00')
    """
    return rfc3339(time_ns) if time_ns else None


def moments(time_ns: Int64) -> list[str | None]:
    """Return times as `moment` does, for a column: each different time is written once."""
    different, place = np.unique(time_ns, return_inverse=True)
    texts = np.datetime_as_string(different.astype("datetime64[ns]"), unit="ms").tolist()
    words = [f"{text}+00:00" if ns else None for text, ns in zip(texts, different.tolist(), strict=True)]
    return [words[k] for k in place.tolist()]


def numbers(column: Float64) -> list[float | None]:
    """Return a column with None in place of what is no number."""
    return [x if x == x else None for x in column.tolist()]  # noqa: PLR0124 - NaN is the one value unlike itself


def number(value: float | None) -> float | None:
    """Return a value, or None where it is no finite number."""
    return value if value is not None and math.isfinite(value) else None


_SAME = tuple(name for name in EventView.__struct_fields__ if name in AlarmEvent.__struct_fields__)


def _event_fields(event: AlarmEvent) -> dict[str, Any]:
    """Return an event's fields as `EventView` has them."""
    fields = {name: getattr(event, name) for name in _SAME}
    fields["time"] = rfc3339(event.time_ns)
    fields["value"], fields["limit"] = number(event.value), number(event.limit)
    fields["raised_at"], fields["acked_at"] = moment(event.raised_ns), moment(event.acked_ns)
    fields["until"] = moment(event.until_ns)
    fields["said"], fields["said_zh"] = about(event)
    fields["case"] = None if event.case is None else case_view(event.case)
    fields["calibration"] = event.calibration
    return fields


def event_view(event: AlarmEvent) -> EventView:
    """Return an event as the API says it."""
    return EventView(**_event_fields(event))


def stream_event_view(event: AlarmEvent, fixed: Fixed, case: str = "") -> StreamEventView:
    """Return an event as the stream says it; `case` is the id of its alarm's open case, or empty."""
    view = StreamEventView(**_event_fields(event), **fixed._asdict())
    if event.alarm:
        view.case = case or None
    return view


def alarm_view(alarm: Alarm, case: str = "") -> AlarmView:
    """Return an alarm as the API says it; `case` is the id of its open case, or empty."""
    own = {name: getattr(alarm, name) for name in ("id", "silenced", *Fixed._fields)}
    return AlarmView(**{**_event_fields(alarm.event), "case": case or None}, **own)


def channel_columns(
    channels: Sequence[Channel], time_ns: Int64, value: Float64, quality: UInt8
) -> dict[str, list[str | int | float | None]]:
    """Return the channel table with the newest readings as columns, values rounded to what means something."""
    fixed = ("id", "instrument", "quantity", "unit", "decimals", "area", "location", "label_zh")
    columns: dict[str, list[str | int | float | None]] = {n: [getattr(c, n) for c in channels] for n in fixed}
    columns["label"] = [c.label or c.id for c in channels]
    columns["range_low"] = [number(c.range_low) for c in channels]
    columns["range_high"] = [number(c.range_high) for c in channels]
    columns["time"] = list(moments(time_ns))
    columns["value"] = list(numbers(rounded(value, decimals_of(channels))))
    columns["quality"] = [QUALITIES[code] for code in quality.tolist()]
    return columns


def decimals_of(channels: Sequence[Channel]) -> Int64:
    """Return each channel's decimals as a column, at most 12."""
    return np.minimum(np.array([c.decimals for c in channels], np.int64), 12)


def rounded(value: Float64, decimals: Int64) -> Float64:
    """Return values rounded to their channels' decimals."""
    result = value.copy()
    for digits in np.unique(decimals).tolist():
        at = decimals == digits
        result[at] = np.round(value[at], digits)
    return result
