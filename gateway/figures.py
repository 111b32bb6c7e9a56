"""How alarms load the people of a running gateway: the flood of this moment, and figures of any span of the journal."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import msgspec

from gateway.alarms.book import AlarmBook
from gateway.alarms.flood import SPAN_NS, Flood, FloodWatch
from gateway.alarms.statistics import AlarmFigures, Line, Tally
from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.clock import Clock
from gateway.core.errors import HazgateError
from gateway.core.model import Reason
from gateway.site.operation import AlarmsSection
from gateway.store.search import Past, Query

_decode = msgspec.json.Decoder(Line).decode

LOOK_S = 1.0
EVENTS_MAX = 500_000
"""Events that one question over the API may be about: some seconds of work."""
PART_EVENTS = 2_000
"""Events read at once."""


class TooManyEventsError(HazgateError):
    """A span with more events than one question may be about."""


class Figures:
    """Watches for floods, journals their begin and end, and answers for the past.

    Args:
        section: When a flood begins and ends.
        clock: Time.
        book: Returns the alarm book, which numbers all events.
        tell: Hands events on, in their order.
        past: The journal.
    """

    def __init__(
        self,
        section: AlarmsSection,
        clock: Clock,
        book: Callable[[], AlarmBook],
        tell: Callable[[Sequence[AlarmEvent]], None],
        past: Past,
    ) -> None:
        self._section = section
        self._watch = FloodWatch(section.flood_begins, section.flood_ends)
        self._clock = clock
        self._book = book
        self._tell = tell
        self._past = past
        self._turn = asyncio.Lock()

    def follow(self, events: Sequence[AlarmEvent]) -> Sequence[AlarmEvent]:
        """Return the events; behind them a note where a flood begins or has ended."""
        notes = self._watch.take(events)
        return [*events, *self._noted(notes)] if notes else events

    def restore(self, now_ns: int) -> None:
        """Count again what was raised in the ten minutes before a start; blocks. Raises StorageError."""
        raised = Query(kinds=(EventKind.RAISED,), start_ns=now_ns - SPAN_NS, newest_first=False, limit=1000)
        self._watch.take(self._past.events(raised))

    def change(self, section: AlarmsSection) -> None:
        """Go on as another site file says."""
        self._section = section
        self._watch.begins, self._watch.ends = section.flood_begins, section.flood_ends

    async def run(self) -> None:
        """Let time pass, so that a flood ends by itself; for ever."""
        while True:
            await self._clock.sleep(LOOK_S)
            self._tell(self.look(self._clock.now_ns()))

    def look(self, now_ns: int) -> list[AlarmEvent]:
        """Return the note that a flood has ended, where it has; not told to anybody yet."""
        return self._noted(self._watch.advance(now_ns))

    def flood(self) -> Flood:
        """Return how the last ten minutes stand."""
        return self._watch.now()

    async def of(self, start_ns: int, end_ns: int) -> AlarmFigures:
        """Return the figures of a span; reads the journal in a thread, one question at a time.

        Raises:
            TooManyEventsError: The span has more than `EVENTS_MAX`.
            StorageError: The disk refuses.
        """
        async with self._turn:
            first, last = await asyncio.to_thread(self._past.span, start_ns, end_ns)
            if last - first >= EVENTS_MAX:
                raise TooManyEventsError(f"the span has {last - first + 1} events; at most {EVENTS_MAX} at a time")
            return await asyncio.to_thread(self.compute, start_ns, end_ns)

    def compute(self, start_ns: int, end_ns: int) -> AlarmFigures:
        """Return the figures of a span; blocks. Raises StorageError."""
        section = self._section
        return figures_of_span(self._past, start_ns, end_ns, begins=section.flood_begins, ends=section.flood_ends)

    def _noted(self, notes: Iterable[Reason]) -> list[AlarmEvent]:
        return [event for note in notes for event in self._book().note(note, self._clock.now_ns())]


def figures_of_span(past: Past, start_ns: int, end_ns: int, *, begins: int, ends: int) -> AlarmFigures:
    """Return the figures of a span of a journal; blocks.

    Args:
        past: The journal.
        start_ns: The span's begin.
        end_ns: Its end, not in it.
        begins: More alarms than this in ten minutes begin a flood.
        ends: Fewer than this end it.

    Raises:
        StorageError: The disk refuses.
    """
    before = past.at(start_ns - 1)
    tally = Tally(start_ns, end_ns, before, begins=begins, ends=ends)
    first, last = past.span(start_ns - SPAN_NS, end_ns)
    after = first - 1
    while after < last and (rows := past.rows(after, last, PART_EVENTS)):
        for _, body, _ in rows:
            # What is damaged counts for nothing here; the journal's own proof is what tells of it.
            with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                tally.take(_decode(body))
        after = rows[-1][0]
    return tally.figures()
