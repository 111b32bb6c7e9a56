"""Figures of the alarms of a span, after EEMUA 191 and ISA-18.2 / IEC 62682: what load people had, and from what.

Definitions, for every figure here:

- *raised*: an alarm put before the operator, see `gateway.alarms.flood.counts`: each new occurrence that was heard.
  Faults and the gateway's own alarms count, warnings and tests do not. EEMUA 191: on average at most one in ten
  minutes; ISA-18.2: some 6 an hour are acceptable, 12 the most that can be managed.
- *per ten minutes*: by the clock's ten minutes; the *peak* is the most in any ten minutes, wherever they begin.
- *flood*: begins above ten in ten sliding minutes, ends below five (the site's numbers); its count is of all alarms
  from the ten minutes that made it one to its end. ISA-18.2: less than one percent of the time.
- *top*: the ten alarms that were raised most; one above 5 % of all deserves work (ISA-18.2: one to five percent).
- *chattering*: raised three times or more within one minute.
- *fleeting*: its condition went within ten seconds, before anybody had acknowledged it: nobody could act on it.
- *stale*: on the list for more than 24 hours at the end of the span, not put aside.
- *acknowledged*: from the raising to the first acknowledgement of occurrences raised in the span; *unacknowledged* are
  the alarms that wait for it at the end.
- *shelved, suppressed, out of service*: how long within the span, and how often, one that began before included.
- *cases*: opened and closed in the span; overdue are those opened in it that missed a limit; outcomes of those closed.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final, NamedTuple

import msgspec

from gateway.alarms.flood import SPAN_NS, counts
from gateway.alarms.state import ON_THE_LIST, UNACKNOWLEDGED
from gateway.core.alarm import AlarmEvent, AlarmState, Case, EventKind
from gateway.core.clock import NS_PER_S

CHATTERING: Final = 3
CHATTERING_NS: Final = 60 * NS_PER_S
FLEETING_NS: Final = 10 * NS_PER_S
STALE_NS: Final = 24 * 3600 * NS_PER_S
TOP: Final = 10
LISTED_MAX: Final = 100
"""Alarms in each list but the top ten; the worst come first."""
ALARMS_MAX: Final = 50_000
"""Alarms that are followed one by one; of more, only the totals are right."""


class CaseLine(msgspec.Struct, frozen=True, gc=False):
    """What figures need of a case."""

    id: str
    opened_ns: int = 0
    closed_ns: int = 0
    overdue: tuple[str, ...] = ()
    outcome: str = ""


class Line(msgspec.Struct, frozen=True, gc=False):
    """What figures need of an event: decoded from the journal in a fraction of the time that the whole takes."""

    time_ns: int
    kind: EventKind
    alarm: str = ""
    state: AlarmState = AlarmState.NORMAL
    level: str = "normal"
    condition: str = "normal"
    priority: int = 0
    occurrence: int = 0
    raised_ns: int = 0
    area: str = ""
    annunciate: bool = False
    test: bool = False
    case: CaseLine | None = None


class FloodSpan(NamedTuple):
    """One flood. `end_ns` is 0 where it still went on at the end of the span; `raised` is how many alarms it had."""

    start_ns: int
    end_ns: int
    raised: int


class Raised(NamedTuple):
    """How often an alarm was raised, and its share of all in percent."""

    alarm: str
    area: str
    raised: int
    share_percent: float


class Chattering(NamedTuple):
    """An alarm that was raised `CHATTERING` times or more within a minute: the most in one, and how often in all."""

    alarm: str
    max_per_min: int
    raised: int


class Fleeting(NamedTuple):
    """An alarm that went by itself too soon to act on: how often, of how many."""

    alarm: str
    fleeting: int
    raised: int


class Stale(NamedTuple):
    """An alarm that has stood for more than a day."""

    alarm: str
    since_ns: int


class Aside(NamedTuple):
    """An alarm that was put aside: seconds in all, and how often."""

    alarm: str
    total_s: float
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmFigures:
    """The figures of a span; see the module for what each means.

    Attributes:
        start_ns: The span's begin.
        end_ns: Its end, not in it.
        raised: Alarms raised.
        by_priority: The same by priority, 1 to 4.
        by_level: The same by the level at which they were raised.
        per_10_min: How many in each of the clock's ten minutes, the first and last cut by the span.
        peak_10_min: The most in any ten minutes.
        floods: The floods in their order.
        in_flood_percent: Share of the span that was flood.
        top: The ten raised most.
        chattering: The worst first.
        fleeting: The most frequent first.
        stale: The oldest first.
        acknowledge_median_s: None where none was acknowledged.
        acknowledge_p90_s: Nine of ten were acknowledged within this.
        unacknowledged: How many wait at the end.
        shelved: The longest first; so are the next two.
        suppressed: Put aside by the site's logic or by a cause.
        out_of_service: Under a permit.
        cases_opened: Cases opened.
        cases_closed: Cases closed.
        cases_overdue: Of those opened, how many missed a limit.
        outcomes: How those closed ended.
    """

    start_ns: int
    end_ns: int
    raised: int = 0
    by_priority: dict[int, int] = field(default_factory=dict)
    by_level: dict[str, int] = field(default_factory=dict)
    per_10_min: Sequence[tuple[int, int]] = ()
    peak_10_min: int = 0
    floods: Sequence[FloodSpan] = ()
    in_flood_percent: float = 0.0
    top: Sequence[Raised] = ()
    chattering: Sequence[Chattering] = ()
    fleeting: Sequence[Fleeting] = ()
    stale: Sequence[Stale] = ()
    acknowledge_median_s: float | None = None
    acknowledge_p90_s: float | None = None
    unacknowledged: int = 0
    shelved: Sequence[Aside] = ()
    suppressed: Sequence[Aside] = ()
    out_of_service: Sequence[Aside] = ()
    cases_opened: int = 0
    cases_closed: int = 0
    cases_overdue: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def hours(self) -> float:
        """The span in hours."""
        return (self.end_ns - self.start_ns) / (3600 * NS_PER_S)

    @property
    def per_hour(self) -> float:
        """Alarms an hour, on average."""
        return self.raised / self.hours if self.hours > 0 else 0.0


@dataclass(slots=True)
class _Alarm:
    """What is followed of one alarm."""

    area: str = ""
    raised: "array[int]" = field(default_factory=lambda: array("q"))
    fleeting: int = 0
    running_ns: int = 0
    """When the occurrence was raised that nobody has acknowledged and whose condition is still there; else 0."""
    waiting: tuple[int, int] = (0, 0)
    """Occurrence and time of what was raised in the span and not acknowledged yet."""
    state: AlarmState = AlarmState.NORMAL
    level: str = "normal"
    since_ns: int = 0
    """When the present state of being put aside began; else when the occurrence was raised."""
    aside: dict[AlarmState, list[int]] = field(default_factory=dict)
    """Nanoseconds and times, by state."""


class Tally:
    """Takes a span's events one after the other and says its figures; keeps none of them.

    Args:
        start_ns: The span's begin.
        end_ns: Its end, not in it.
        before: The last event of each alarm before the span; those of normal alarms may be missing.
        begins: More alarms than this in ten minutes begin a flood.
        ends: Fewer than this end it.
    """

    def __init__(
        self, start_ns: int, end_ns: int, before: Iterable[AlarmEvent] = (), *, begins: int = 10, ends: int = 5
    ) -> None:
        self._start_ns, self._end_ns = start_ns, end_ns
        self._begins, self._ends = begins, ends
        self._alarms: dict[str, _Alarm] = {}
        self._raised: array[int] = array("q")
        self._earlier: array[int] = array("q")
        self._priorities: Counter[int] = Counter()
        self._levels: Counter[str] = Counter()
        self._waits_s: list[float] = []
        self._cases: dict[str, tuple[int, int, bool, str]] = {}
        for event in before:
            if event.alarm and event.state is not AlarmState.NORMAL:
                self._stand(self._of(event), event, max(event.time_ns, 0))

    def take(self, event: AlarmEvent | Line) -> None:
        """Take the next event, in the order of their numbers; those of the ten minutes before the span may come too."""
        if event.time_ns >= self._end_ns:
            return
        if event.time_ns < self._start_ns:
            if counts(event):
                self._earlier.append(event.time_ns)
            return
        if event.case is not None:
            self._case(event.case)
        elif event.alarm and (event.alarm in self._alarms or len(self._alarms) < ALARMS_MAX):
            self._alarm(event)
        if event.kind is EventKind.RAISED and counts(event):
            self._raised.append(event.time_ns)
            self._priorities[event.priority] += 1
            self._levels[event.level] += 1

    def _of(self, event: AlarmEvent | Line) -> _Alarm:
        alarm = self._alarms.get(event.alarm)
        if alarm is None:
            alarm = self._alarms[event.alarm] = _Alarm(area=event.area)
        return alarm

    def _alarm(self, event: AlarmEvent | Line) -> None:
        alarm = self._of(event)
        if counts(event):
            alarm.raised.append(event.time_ns)
            alarm.running_ns = event.time_ns
            alarm.waiting = event.occurrence, event.time_ns
        elif event.kind is EventKind.ACKNOWLEDGED:
            alarm.running_ns = 0
            occurrence, at_ns = alarm.waiting
            if at_ns and occurrence == event.occurrence:
                self._waits_s.append(max(0, event.time_ns - at_ns) / NS_PER_S)
                alarm.waiting = (0, 0)
        elif event.condition == "normal" and alarm.running_ns:
            alarm.fleeting += event.time_ns - alarm.running_ns <= FLEETING_NS
            alarm.running_ns = 0
        self._stand(alarm, event, event.time_ns)

    def _stand(self, alarm: _Alarm, event: AlarmEvent | Line, now_ns: int) -> None:
        """Note how the alarm stands after an event; what it was put aside for before has ended then."""
        if event.state is alarm.state and event.state not in ON_THE_LIST:
            return
        self._leave(alarm, now_ns)
        alarm.state, alarm.level = event.state, event.level
        if event.state in ON_THE_LIST:
            alarm.since_ns = event.raised_ns or now_ns
        else:
            alarm.since_ns = now_ns
        if event.state in _ASIDE:
            alarm.aside.setdefault(event.state, [0, 0])[1] += 1

    def _leave(self, alarm: _Alarm, now_ns: int) -> None:
        if alarm.state in _ASIDE:
            spent_ns = now_ns - max(alarm.since_ns, self._start_ns)
            alarm.aside.setdefault(alarm.state, [0, 0])[0] += max(0, spent_ns)

    def _case(self, case: Case | CaseLine) -> None:
        self._cases[case.id] = (case.opened_ns, case.closed_ns, bool(case.overdue), case.outcome)

    # The figures

    def figures(self) -> AlarmFigures:
        """Return the figures; ask once, when all events are taken."""
        for alarm in self._alarms.values():
            self._leave(alarm, self._end_ns)
        raised, ranked = sorted(self._raised), self._ranked()
        floods = self._floods_of(raised)
        flooded_ns = sum((f.end_ns or self._end_ns) - max(f.start_ns, self._start_ns) for f in floods)
        opened = [c for c in self._cases.values() if self._start_ns <= c[0] < self._end_ns]
        closed = [c for c in self._cases.values() if self._start_ns <= c[1] < self._end_ns]
        waits = sorted(self._waits_s)
        return AlarmFigures(
            start_ns=self._start_ns,
            end_ns=self._end_ns,
            raised=len(raised),
            by_priority={priority: self._priorities[priority] for priority in (1, 2, 3, 4)},
            by_level=dict(sorted(self._levels.items())),
            per_10_min=_windows(raised, self._start_ns, self._end_ns),
            peak_10_min=_most_within(raised, SPAN_NS),
            floods=floods,
            in_flood_percent=_percent(flooded_ns, self._end_ns - self._start_ns),
            acknowledge_median_s=median(waits) if waits else None,
            acknowledge_p90_s=waits[(len(waits) * 9 + 9) // 10 - 1] if waits else None,
            unacknowledged=sum(a.state in UNACKNOWLEDGED and a.level != "warning" for a in self._alarms.values()),
            top=[Raised(n, a.area, len(a.raised), _percent(len(a.raised), len(raised))) for n, a in ranked[:TOP]],
            chattering=_worst_chattering(ranked),
            fleeting=_most_fleeting(ranked),
            stale=self._stale(),
            shelved=self._put_aside(AlarmState.SHELVED),
            suppressed=self._put_aside(AlarmState.SUPPRESSED),
            out_of_service=self._put_aside(AlarmState.OUT_OF_SERVICE),
            cases_opened=len(opened),
            cases_closed=len(closed),
            cases_overdue=sum(late for _, _, late, _ in opened),
            outcomes=dict(sorted(Counter(outcome or "unattended" for *_, outcome in closed).items())),
        )

    def _ranked(self) -> list[tuple[str, _Alarm]]:
        """Return the alarms that were raised, the most frequent first."""
        found = [(name, alarm) for name, alarm in self._alarms.items() if alarm.raised]
        return sorted(found, key=lambda each: (-len(each[1].raised), each[0]))

    def _floods_of(self, raised: list[int]) -> list[FloodSpan]:
        """Return the floods that touch the span, one that goes on at its end without an end."""
        earlier = sorted(self._earlier)
        earlier = earlier[bisect_left(earlier, self._start_ns - SPAN_NS) :]
        floods = [f for f in _floods([*earlier, *raised], self._begins, self._ends) if f.end_ns > self._start_ns]
        return [f._replace(end_ns=0) if f.end_ns >= self._end_ns else f for f in floods]

    def _stale(self) -> list[Stale]:
        found = [Stale(name, alarm.since_ns) for name, alarm in self._alarms.items() if self._is_stale(alarm)]
        return sorted(found, key=lambda each: (each.since_ns, each.alarm))[:LISTED_MAX]

    def _is_stale(self, alarm: _Alarm) -> bool:
        standing = alarm.state in ON_THE_LIST and alarm.level != "warning"
        return standing and self._end_ns - alarm.since_ns > STALE_NS

    def _put_aside(self, state: AlarmState) -> list[Aside]:
        found = [
            Aside(name, alarm.aside[state][0] / NS_PER_S, alarm.aside[state][1])
            for name, alarm in self._alarms.items()
            if state in alarm.aside
        ]
        return sorted(found, key=lambda each: (-each.total_s, each.alarm))[:LISTED_MAX]


_ASIDE: Final = frozenset({AlarmState.SHELVED, AlarmState.SUPPRESSED, AlarmState.OUT_OF_SERVICE})


def _worst_chattering(ranked: Sequence[tuple[str, _Alarm]]) -> list[Chattering]:
    often = [(name, alarm) for name, alarm in ranked if len(alarm.raised) >= CHATTERING]
    found = [Chattering(n, _most_within(sorted(a.raised), CHATTERING_NS), len(a.raised)) for n, a in often]
    found = [each for each in found if each.max_per_min >= CHATTERING]
    return sorted(found, key=lambda each: (-each.max_per_min, -each.raised, each.alarm))[:LISTED_MAX]


def _most_fleeting(ranked: Sequence[tuple[str, _Alarm]]) -> list[Fleeting]:
    found = [Fleeting(name, alarm.fleeting, len(alarm.raised)) for name, alarm in ranked if alarm.fleeting]
    return sorted(found, key=lambda each: (-each.fleeting, each.alarm))[:LISTED_MAX]


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 2) if whole > 0 else 0.0


def _windows(raised: Sequence[int], start_ns: int, end_ns: int) -> list[tuple[int, int]]:
    """Return begin and count of each of the clock's ten minutes in the span."""
    found = []
    for begin_ns in range(start_ns - start_ns % SPAN_NS, end_ns, SPAN_NS):
        first, last = bisect_left(raised, begin_ns), bisect_left(raised, begin_ns + SPAN_NS)
        found.append((max(begin_ns, start_ns), last - first))
    return found


def _most_within(times: Sequence[int], span_ns: int) -> int:
    """Return the most of ascending times that lie within one span, its end not in it."""
    most = first = 0
    for k, time_ns in enumerate(times):
        while times[first] <= time_ns - span_ns:
            first += 1
        most = max(most, k - first + 1)
    return most


def _floods(times: Sequence[int], begins: int, ends: int) -> list[FloodSpan]:
    """Return the floods of ascending times, as `FloodWatch` finds them when it is told each moment.

    A flood ends at the moment when the count falls below `ends`: ten minutes after the alarm that leaves then.
    """
    found: list[FloodSpan] = []
    since_ns = counted_from = 0
    first = 0
    for k, time_ns in enumerate(times):
        first, ended_ns = _drop(times, first, k, time_ns, ends)
        if since_ns and ended_ns:
            found.append(FloodSpan(since_ns, ended_ns, k - counted_from))
            since_ns = 0
        if not since_ns and k + 1 - first > begins:
            since_ns, counted_from = time_ns, first
    if since_ns:
        left = max(len(times) - ends, first)
        found.append(FloodSpan(since_ns, times[left] + SPAN_NS, len(times) - counted_from))
    return found


def _drop(times: Sequence[int], first: int, end: int, now_ns: int, ends: int) -> tuple[int, int]:
    """Return the first time that is still within ten minutes of now, and when the count fell below `ends`, or 0."""
    still = bisect_right(times, now_ns - SPAN_NS, first, end)
    if end - still >= ends:
        return still, 0
    leaving = max(first, end - ends)
    return still, times[leaving] + SPAN_NS if leaving < still else 0
