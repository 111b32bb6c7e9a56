"""Orders about many alarms at once: carried out piece by piece, so that twenty thousand keep nothing waiting."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.alarms.book import AlarmBook
from gateway.core.alarm import Alarm, AlarmEvent, Command
from gateway.core.clock import Clock
from gateway.core.errors import CommandRefusedError

CHUNK: Final = 250
"""Orders carried out before others have their turn: some ten milliseconds' worth on a small machine."""
EVENTS_MAX: Final = 200
"""Events that an answer tells; all are in the journal."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of several orders.

    Attributes:
        done: How many were carried out, or had been already.
        events: Their first events.
        refused: Which alarms' orders were refused, each with the reason.
    """

    done: int
    events: tuple[AlarmEvent, ...]
    refused: tuple[tuple[str, str], ...]


class Orders:
    """Gives orders to the alarm book.

    Args:
        book: Returns the alarm book that keeps the alarms now.
        clock: Time.
        tell: Hands on events.
        committed: Waits until an event is on disk.
    """

    def __init__(
        self,
        book: Callable[[], AlarmBook],
        clock: Clock,
        tell: Callable[[Sequence[AlarmEvent]], object],
        committed: Callable[[int], Awaitable[object]],
    ) -> None:
        self._book = book
        self._clock = clock
        self._tell = tell
        self._committed = committed

    def alarm(self, alarm: str) -> Alarm | None:
        """Return one alarm, also a normal one; None where it has never had an event."""
        return self._book().alarm(alarm)

    def alarms_of(self, *, instrument: str = "", area: str = "") -> list[str]:
        """Return the ids of the alarms of an instrument or an area, in the order of the site file."""
        return self._book().alarms_of(instrument=instrument, area=area)

    def out_of_service(self) -> list[AlarmEvent]:
        """Return the last event of every alarm that is out of service."""
        return self._book().out_of_service()

    async def carry_out(self, commands: Iterable[Command]) -> Done:
        """Carry out orders one after the other; returns when all their events are on disk.

        One that is refused holds up no other. Up to `CHUNK` of them are one turn and one commit of the journal; of
        more, each such piece is, with whatever happens between.
        """
        done, last_seq = 0, 0
        first: list[AlarmEvent] = []
        refused: list[tuple[str, str]] = []
        waiting = list(commands)
        for k in range(0, len(waiting), CHUNK):
            if k:
                await self._clock.sleep(0)
            events: list[AlarmEvent] = []
            for command in waiting[k : k + CHUNK]:
                try:
                    events += self._book().command(command, self._clock.now_ns())
                except CommandRefusedError as refusal:
                    refused.append((command.alarm, str(refusal)))
                else:
                    done += 1
            if events:
                self._tell(events)
                first += events[: EVENTS_MAX - len(first)]
                last_seq = events[-1].seq
        if last_seq:
            await self._committed(last_seq)
        return Done(done, tuple(first), tuple(refused))
