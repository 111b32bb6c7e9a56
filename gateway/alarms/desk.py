"""What one notifier still has to tell: takes events and time, and answers with what to send next; no clock, no I/O.

An alarm is told of when it begins to wait for a person (raised, risen, back from being put aside), told again as its
routes say until somebody acknowledges it, and its acknowledgement and its end are told to those who heard of it. What
is shelved, suppressed or out of service is told to nobody.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import StrEnum
from typing import Any

from gateway.alarms.routing import Route, next_due
from gateway.alarms.state import ASIDE, UNACKNOWLEDGED
from gateway.core.alarm import Alarm, AlarmEvent, AlarmState, EventKind
from gateway.core.clock import NS_PER_S

FLOOD = 10
"""More notices than this for one notifier in `FLOOD_NS` are a flood: they are gathered."""
FLOOD_NS = 60 * NS_PER_S
OLD_NS = 1_800 * NS_PER_S
"""What could not be told for so long is news of the past: it is told as one message."""
WAITING_MAX = 500
"""Notices that wait for one notifier; beyond it those least urgent are counted and no longer named."""
STANDING_MAX = 20_000
"""Alarms that one notifier follows; beyond it new ones are counted and no longer named."""
STEP_NS = 5 * NS_PER_S
"""A wall clock that goes back by more was set."""
RED = 1

_NEWS = frozenset(
    {
        EventKind.RAISED,
        EventKind.ESCALATED,
        EventKind.UNSHELVED,
        EventKind.UNSUPPRESSED,
        EventKind.RETURNED_TO_SERVICE,
    }
)


class Occasion(StrEnum):
    """Why people are told of an alarm."""

    RAISED = "raised"
    ROSE = "rose"
    """It got worse."""
    BACK = "back"
    """It was put aside, and waits for somebody again."""
    STILL = "still"
    """Nobody has acknowledged it for a while."""
    ACKNOWLEDGED = "acknowledged"
    ASIDE = "aside"
    """Somebody shelved it or took it out of service."""
    GONE = "gone"
    """The condition is gone; the alarm is held, or waits to be acknowledged."""
    ENDED = "ended"


CALLS = frozenset({Occasion.RAISED, Occasion.ROSE, Occasion.BACK, Occasion.STILL})
"""Occasions on which somebody has to act."""
_OCCASION = {
    EventKind.RAISED: Occasion.RAISED,
    EventKind.ESCALATED: Occasion.ROSE,
    EventKind.UNSHELVED: Occasion.BACK,
    EventKind.UNSUPPRESSED: Occasion.BACK,
    EventKind.RETURNED_TO_SERVICE: Occasion.BACK,
}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to tell.

    Attributes:
        occasion: Why.
        event: The alarm's event that it tells of.
        since_ns: When the alarm began to wait for somebody.
        at_ns: Since when it is to be told.
        number: Its number, rising.
    """

    occasion: Occasion
    event: AlarmEvent
    since_ns: int
    at_ns: int
    number: int

    @property
    def urgent(self) -> bool:
        """It is never gathered and goes first."""
        return self.occasion in CALLS and self.event.priority == RED and not self.event.test


class Form(StrEnum):
    """How items are told."""

    SINGLE = "single"
    LIST = "list"
    """More red alarms than the channel takes messages: each is named, in one message."""
    DIGEST = "digest"
    LATE = "late"
    """Nobody could be told when it happened."""


@dataclass(frozen=True, slots=True)
class Message:
    """What to send next.

    Attributes:
        form: How the items are told.
        items: What is told, in order.
        unnamed: How many more could not be kept.
    """

    form: Form
    items: tuple[Item, ...]
    unnamed: int = 0


@dataclass(slots=True)
class _Standing:
    """An alarm that this notifier follows.

    Attributes:
        event: Its last event.
        since_ns: When it began to wait for somebody.
        told_ns: When this notifier was last told since, 0 where never.
        known: This notifier has been told of the occurrence.
        ends: It is to be told of the end.
        gone: It was told that the condition is gone.
        occasion: Why it is told of first.
        version: Number of its entry among those that are due.
    """

    event: AlarmEvent
    since_ns: int
    told_ns: int = 0
    known: bool = False
    ends: bool = False
    gone: bool = False
    occasion: Occasion = Occasion.RAISED
    version: int = 0


@dataclass(slots=True)
class _Queue:
    """Items that wait, and when the last ones came."""

    items: deque[Item] = field(default_factory=deque)
    came_ns: deque[int] = field(default_factory=lambda: deque(maxlen=FLOOD + 1))
    unnamed: int = 0
    begun_ns: int = 0
    """When the oldest item came of those that wait, also where it is no longer named."""


class Desk:
    """Follows the alarms of one notifier.

    Args:
        notifier: The notifier's id; its own system alarm is not told to it.
        routes: The routes that lead to it.
        zone: The site's zone.
        digest_s: Seconds that notices are gathered in a flood.
        per_minute: Messages that the channel takes in a minute.

    Attributes:
        position: Number of the last event taken.
        newest: Number of the newest item, 0 before the first.
        newest_urgent: Number of the newest urgent one.
    """

    def __init__(
        self, notifier: str, routes: Sequence[Route], zone: tzinfo, *, digest_s: float = 10.0, per_minute: int = 20
    ) -> None:
        self.position = self.newest = self.newest_urgent = 0
        self._own = f"system/notifier/{notifier}"
        self._routes = routes
        self._zone = zone
        self._digest_ns = round(digest_s * NS_PER_S)
        # Kept for red alarms; once they have come to it, it must last for a minute.
        self._reserve = per_minute // 4
        self._pace_ns = round(60 * NS_PER_S / self._reserve) if self._reserve else 0
        self._red_ns = 0
        self._standing: dict[str, _Standing] = {}
        self._due: list[tuple[int, int, str]] = []
        self._queue = _Queue()
        self._version = 0
        self._now_ns = 0

    # What happens

    def forget(self, position: int) -> None:
        """Begin anew behind an event: follow nothing, tell nothing of what was before."""
        self.position = position
        self._standing.clear()
        self._due.clear()
        self._queue = _Queue()

    def take(self, event: AlarmEvent, now_ns: int) -> None:
        """Take the next event of the journal."""
        self.position = max(self.position, event.seq)
        if not event.alarm or event.alarm == self._own:
            return
        known = self._standing.get(event.alarm)
        if known is not None and event.seq <= known.event.seq:
            # `find` was told by the alarm book, which is ahead of the journal.
            return
        if event.kind in _NEWS and event.state in UNACKNOWLEDGED:
            self._news(event, min(event.time_ns, now_ns), _OCCASION[event.kind])
        elif known is not None:
            self._changed(known, event, now_ns)

    def find(self, alarms: Iterable[Alarm], now_ns: int) -> None:
        """Take over the alarms that wait for a person already, as a notifier does that is new."""
        for alarm in alarms:
            event = alarm.event
            if event.state in UNACKNOWLEDGED and event.alarm != self._own:
                self._news(event, min(event.raised_ns or event.time_ns, now_ns), Occasion.RAISED)

    def advance(self, now_ns: int) -> None:
        """Let time go on: what is due is to be told."""
        if now_ns < self._now_ns - STEP_NS:
            self._shift(now_ns - self._now_ns)
        self._now_ns = now_ns
        while self._due and self._due[0][0] <= now_ns:
            due_ns, version, alarm = heapq.heappop(self._due)
            standing = self._standing.get(alarm)
            if standing is not None and standing.version == version:
                self._tell(standing, due_ns)

    def _news(self, event: AlarmEvent, since_ns: int, occasion: Occasion) -> None:
        before = self._standing.get(event.alarm)
        if before is None and not any(r.takes(event.alarm, event.area, event.priority) for r in self._routes):
            return
        if before is None and len(self._standing) >= STANDING_MAX:
            self._queue.unnamed += 1
            return
        standing = _Standing(event, since_ns, occasion=occasion)
        if before is not None:
            standing.known, standing.ends = before.known, before.ends
        self._standing[event.alarm] = standing
        self._plan(standing)

    def _changed(self, standing: _Standing, event: AlarmEvent, now_ns: int) -> None:
        standing.event = event
        over = event.state is AlarmState.NORMAL
        if standing.known:
            occasion = _answer(standing, event)
            if occasion is not None:
                standing.gone |= occasion is Occasion.GONE
                self._put(Item(occasion, event, standing.since_ns, now_ns, 0))
        if over:
            del self._standing[event.alarm]
        else:
            self._plan(standing)

    def _plan(self, standing: _Standing) -> None:
        """Note when an alarm is to be told of next, if ever."""
        self._version += 1
        standing.version = self._version
        event = standing.event
        if event.state in UNACKNOWLEDGED:
            due_ns = next_due(self._routes, event, standing.since_ns, standing.told_ns, self._zone)
            if due_ns is not None:
                heapq.heappush(self._due, (due_ns, standing.version, event.alarm))

    def _tell(self, standing: _Standing, due_ns: int) -> None:
        event, now_ns = standing.event, self._now_ns
        waited = due_ns - standing.since_ns >= FLOOD_NS
        occasion = Occasion.STILL if standing.told_ns or waited else standing.occasion
        at_ns = now_ns if standing.told_ns else due_ns
        standing.ends |= any(r.ends for r in self._routes if r.takes(event.alarm, event.area, event.priority))
        standing.told_ns, standing.known, standing.gone = now_ns, True, False
        self._put(Item(occasion, event, standing.since_ns, at_ns, 0))
        self._plan(standing)

    def _put(self, item: Item) -> None:
        queue = self._queue
        if not queue.items and not queue.unnamed:
            queue.begun_ns = item.at_ns
        self.newest += 1
        if item.urgent:
            self.newest_urgent = self.newest
        queue.items.append(Item(item.occasion, item.event, item.since_ns, item.at_ns, self.newest))
        queue.came_ns.append(self._now_ns)
        if len(queue.items) > WAITING_MAX:
            queue.unnamed += 1
            least = next((one for one in queue.items if not one.urgent), queue.items[0])
            queue.items.remove(least)

    def _shift(self, by_ns: int) -> None:
        """Move all times along with a clock that was set back, or nobody would be told again until it has caught up."""
        self._due.clear()
        for standing in self._standing.values():
            standing.since_ns += by_ns
            standing.told_ns += by_ns if standing.told_ns else 0
            self._plan(standing)
        queue = self._queue
        moved = [Item(i.occasion, i.event, i.since_ns + by_ns, i.at_ns + by_ns, i.number) for i in queue.items]
        queue.items = deque(moved)
        queue.came_ns.clear()
        queue.begun_ns += by_ns
        self._red_ns = 0

    # What to send

    def next(self, room: int) -> Message | None:
        """Return what to send now, or None; it stays the next until it is `done`.

        Args:
            room: How many messages the channel takes in this minute.
        """
        items = self._queue.items
        if room <= 0 or not (items or self._queue.unnamed):
            return None
        fresh_ns = self._now_ns - OLD_NS
        urgent = tuple(item for item in items if item.urgent and item.at_ns >= fresh_ns)
        if urgent:
            return self._red(urgent, room)
        old = tuple(item for item in items if item.at_ns < fresh_ns)
        if room <= self._reserve:
            return None
        if len(old) > 1:
            return Message(Form.LATE, old, self._queue.unnamed)
        if self._gathers(room):
            ready = self._queue.begun_ns + self._digest_ns <= self._now_ns
            return Message(Form.DIGEST, tuple(items), self._queue.unnamed) if ready else None
        return Message(Form.SINGLE, (items[0],))

    def _red(self, urgent: tuple[Item, ...], room: int) -> Message | None:
        """Return red alarms, each by itself as long as the channel takes that many, then all that wait in a list."""
        if len(urgent) <= room - self._reserve:
            return Message(Form.SINGLE, urgent[:1])
        if room <= self._reserve and self._now_ns < self._red_ns + self._pace_ns:
            return None
        return Message(Form.SINGLE, urgent) if len(urgent) == 1 else Message(Form.LIST, urgent, self._queue.unnamed)

    def _gathers(self, room: int) -> bool:
        queue = self._queue
        recent = sum(came_ns > self._now_ns - FLOOD_NS for came_ns in queue.came_ns)
        return recent > FLOOD or len(queue.items) > room - self._reserve or bool(queue.unnamed)

    def done(self, message: Message) -> None:
        """Take away what was sent, or refused for ever."""
        queue = self._queue
        told = {item.number for item in message.items}
        queue.items = deque(item for item in queue.items if item.number not in told)
        queue.unnamed -= message.unnamed
        queue.begun_ns = queue.items[0].at_ns if queue.items else self._now_ns
        if any(item.urgent for item in message.items):
            self._red_ns = self._now_ns

    @property
    def waiting(self) -> int:
        """How much still has to be told."""
        return len(self._queue.items) + self._queue.unnamed

    def wakes_ns(self) -> int | None:
        """Return when something is due next, or a gathering is over; None where only an event changes anything."""
        due = [self._due[0][0]] if self._due else []
        if self._queue.items:
            due.append(self._queue.begun_ns + self._digest_ns)
            if any(item.urgent for item in self._queue.items):
                due.append(self._red_ns + self._pace_ns)
        return min(due, default=None)

    # Restarts

    def save(self) -> dict[str, Any]:
        """Return all that a restart needs, for JSON; events by their numbers."""
        return {
            "position": self.position,
            "at": self._now_ns,
            "unnamed": self._queue.unnamed,
            "standing": [
                [one.event.seq, one.since_ns, one.told_ns, one.known, one.ends, one.gone, one.occasion.value]
                for one in self._standing.values()
            ],
            "waiting": [[item.occasion.value, item.event.seq, item.since_ns, item.at_ns] for item in self._queue.items],
        }

    def load(self, saved: Mapping[str, Any], event_of: Callable[[int], AlarmEvent | None]) -> None:
        """Go on from what `save` returned.

        Args:
            saved: That.
            event_of: Returns an event of the journal by its number, None where it can no longer be read.

        Raises:
            ValueError: It is nothing that `save` returned.
        """
        try:
            self.position, self._now_ns = int(saved["position"]), int(saved["at"])
            self._queue.unnamed = int(saved["unnamed"])
            for seq, since_ns, told_ns, known, ends, gone, occasion in saved["standing"]:
                event = event_of(seq)
                if event is not None:
                    standing = _Standing(event, since_ns, told_ns, known, ends, gone, Occasion(occasion))
                    self._standing[event.alarm] = standing
                    self._plan(standing)
            for occasion, seq, since_ns, at_ns in saved["waiting"]:
                event = event_of(seq)
                if event is None:
                    self._queue.unnamed += 1
                    continue
                self.newest += 1
                self._queue.items.append(Item(Occasion(occasion), event, since_ns, at_ns, self.newest))
            self._queue.begun_ns = self._queue.items[0].at_ns if self._queue.items else self._now_ns
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no state of a notifier: {error}") from error


def numbers_of(saved: Mapping[str, Any]) -> list[int]:
    """Return the numbers of the events that `Desk.load` will ask for. Raises ValueError where it is no such state."""
    try:
        return sorted({*(int(one[0]) for one in saved["standing"]), *(int(one[1]) for one in saved["waiting"])})
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"no state of a notifier: {error}") from error


def _answer(standing: _Standing, event: AlarmEvent) -> Occasion | None:
    """Return why those are told who heard of the alarm, or None."""
    if event.kind is EventKind.ACKNOWLEDGED:
        return Occasion.ACKNOWLEDGED
    if event.kind in (EventKind.SHELVED, EventKind.OUT_OF_SERVICE) and event.who:
        return Occasion.ASIDE
    if not standing.ends or standing.gone or event.state in ASIDE:
        return None
    if event.state is AlarmState.NORMAL:
        return Occasion.ENDED
    return Occasion.GONE if event.kind is EventKind.RETURNED else None
