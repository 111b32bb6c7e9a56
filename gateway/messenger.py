"""Delivery to people: one notifier's messages, kept until its channel has taken them, also across a restart.

How far it has come is kept beside the journal as one text: what it follows, what waits, and the number of the last
event that it has seen. At least once: a message may come twice after a power cut, none is lost.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec
import structlog

from gateway.alarms.desk import CALLS, Desk, Message, numbers_of
from gateway.alarms.telling import Teller
from gateway.core.alarm import Alarm, AlarmEvent
from gateway.core.clock import NS_PER_S, Clock
from gateway.core.errors import RejectedError, StorageError, UnavailableError
from gateway.core.notice import Notice, Notifier
from gateway.core.status import NotifierStatus
from gateway.outbox import Ledger

log = structlog.get_logger()

MINUTE_S = 60.0
SPACING_S = 0.25
"""Least time between two messages of one notifier: group robots take five a second at most."""
SEND_S = 60.0
"""A message that takes longer has failed; a notifier's own limit is shorter, and it may write to several people."""
ALARM_AFTER_S = 60.0
BACKOFF_MIN_S = 2.0
BACKOFF_MAX_S = 60.0
RETRY_AFTER_MAX_S = 300.0
SAVE_S = 5.0
"""At most how often it is kept what was seen while nothing was sent."""
SAVE_BYTES_A_SECOND = 100_000
"""A large state is kept less often: alarms share its disk."""
PAGE = 500


class Events(Protocol):
    """The journal as it is published; the recorder."""

    @property
    def published(self) -> int:
        """Number of the newest event that may be told, 0 before the first."""
        ...

    def follow(self, after: int | None) -> AsyncIterator[AlarmEvent | None]:
        """Yield events after a number, then new ones; None at least once a second."""
        ...

    async def read(self, after: int, limit: int) -> list[AlarmEvent]:
        """Return published events. Raises StorageError."""
        ...


class _MistakeError(RejectedError):
    """A notifier failed at a message by a mistake of its own."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a trial message: whether the channel took it, and its words or what to do."""

    ok: bool
    detail: str


class Messenger:
    """Tells one notifier's people.

    Args:
        name: The notifier's id, under which its state is kept.
        type_: The plugin name, for the status.
        notifier: The channel.
        desk: What there is to tell.
        teller: How it is said.
        events: The journal.
        ledger: Keeps its state.
        clock: Time.
        alarms: Returns every alarm that is not normal, for a notifier that is new.
        on_change: Told why nobody can be told when that has lasted for a minute or a message was refused, and empty
            when a message was taken again.
        alarmed: `on_change` was told of a problem by whoever delivered before.
    """

    def __init__(
        self,
        name: str,
        *,
        type_: str,
        notifier: Notifier,
        desk: Desk,
        teller: Teller,
        events: Events,
        ledger: Ledger,
        clock: Clock,
        alarms: Callable[[], Sequence[Alarm]],
        on_change: Callable[[str], None],
        alarmed: bool = False,
    ) -> None:
        self.name = name
        self._type = type_
        self._notifier = notifier
        self._desk = desk
        self._teller = teller
        self._events = events
        self._ledger = ledger
        self._clock = clock
        self._alarms = alarms
        self._on_change = on_change
        self._alarmed = alarmed
        self._random = random.Random(name)  # noqa: S311 - spreads retries, keeps no secret
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._tried_s: deque[float] = deque(maxlen=notifier.per_minute)
        self._attempts = 0
        self._failing_since_s = 0.0
        self._reason = ""
        self._sent = self._failed = self._last_ns = 0
        self._dirty = False
        self._saved_s = clock.monotonic_s()
        self._saved_bytes = 0
        self._restored = False
        self._anew = False

    def status(self) -> NotifierStatus:
        """Return how it is doing."""
        busy = self._desk.waiting and not self._room()
        unknown = not (self._sent or self._failed)
        return NotifierStatus(
            id=self.name,
            type=self._type,
            up=not self._reason,
            sent=self._sent,
            failed=self._failed,
            waiting=self._desk.waiting,
            last_ns=self._last_ns,
            reason=self._reason,
            health="failing" if self._reason else "busy" if busy else "unknown" if unknown else "ok",
        )

    async def run(self) -> None:
        """Tell for ever. Ends by being cancelled, and then keeps its state."""
        await self._restore()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(), name=f"{self.name} listens")
                group.create_task(self._deliver(), name=f"{self.name} tells")
        finally:
            await self._save()

    def start_anew(self) -> None:
        """Have the next `run` leave aside what was kept: it may be what the last one failed at."""
        self._anew = True

    async def close(self) -> None:
        """Let go of the channel; may be called twice."""
        await self._notifier.close()

    async def try_out(self, who: str) -> Tried:
        """Send a trial message at once.

        Args:
            who: Who asks.
        """
        if not self._room():
            return Tried(ok=False, detail=f"the channel takes {self._notifier.per_minute} messages a minute; wait")
        async with self._turn:
            try:
                await self._send(self._teller.trial(who, self._clock.now_ns()))
            except UnavailableError as error:
                self._reason = str(error)
                return Tried(ok=False, detail=str(error))
            except RejectedError as error:
                self._reason = error.reasons[0]
                return Tried(ok=False, detail=error.reasons[0])
            self._heard()
        self._news.set()
        return Tried(ok=True, detail="the channel took the message")

    # Listening

    async def _listen(self) -> None:
        while True:
            try:
                await self._follow()
            except StorageError as error:
                log.warning("journal cannot be read", notifier=self.name, reason=str(error))
                await self._clock.sleep(SAVE_S)

    async def _follow(self) -> None:
        desk = self._desk
        async for event in self._events.follow(desk.position):
            if event is not None:
                # What was published together is taken together: it is told as it is after all of it.
                desk.take(event, self._clock.now_ns())
                self._dirty = True
                self._news.set()
                continue
            newest = desk.newest
            desk.advance(self._clock.now_ns())
            if desk.newest != newest:
                self._news.set()

    # Telling

    async def _deliver(self) -> None:
        while True:
            self._news.clear()
            self._desk.advance(self._clock.now_ns())
            message = self._desk.next(self._room())
            if message is None:
                await self._idle()
            else:
                await self._tell(message)

    def _room(self) -> int:
        """Return how many messages the channel takes now; attempts that failed count, as channels count them too."""
        horizon_s = self._clock.monotonic_s() - MINUTE_S
        return self._notifier.per_minute - sum(tried_s > horizon_s for tried_s in self._tried_s)

    async def _tell(self, message: Message) -> None:
        async with self._turn:
            began_s = self._clock.monotonic_s()
            notice = self._teller.notice(message, self._clock.now_ns())
            try:
                await self._send(notice)
            except UnavailableError as error:
                unavailable = error
            except RejectedError as error:
                calls = any(item.occasion in CALLS for item in message.items)
                if calls and not isinstance(error, _MistakeError):
                    await self._send_barely(notice)
                self._desk.done(message)
                self._dirty = True
                self._failed += 1
                self._reason = error.reasons.get(0, str(error))
                log.error("message refused", notifier=self.name, reason=self._reason)  # noqa: TRY400 - the channel's words
                self._raise(self._reason)
                return
            else:
                self._desk.done(message)
                self._dirty = True
                self._heard()
                await self._save_after(self._least_s() if self._saved_bytes > SAVE_BYTES_A_SECOND else 0.0)
                return
        await self._failed_once(unavailable, began_s)

    async def _send_barely(self, notice: Notice) -> None:
        """Send what was refused once more, its title alone: channels refuse words that people may have written.

        Whoever has to act then knows at least where, what and how bad; the refusal is told all the same.
        """
        if not notice.lines or not self._room():
            return
        with suppress(UnavailableError, RejectedError):
            await self._send(replace(notice, key=f"{notice.key}-bare", lines=()))
            self._sent += 1

    async def _send(self, notice: Notice) -> None:
        """Send, and turn what may not leave a notifier into what may."""
        wait_s = (self._tried_s[-1] + SPACING_S if self._tried_s else 0.0) - self._clock.monotonic_s()
        if wait_s > 0:
            await self._clock.sleep(wait_s)
        self._tried_s.append(self._clock.monotonic_s())
        try:
            async with asyncio.timeout(SEND_S):
                await self._notifier.send(notice)
        except TimeoutError as error:
            raise UnavailableError(f"no answer within {SEND_S:g} s") from error
        except (UnavailableError, RejectedError):
            raise
        except Exception as error:
            # A notifier's mistake is no reason to leave the site unwatched; the message has been tried and is given up.
            log.exception("notifier failed", notifier=self.name)
            raise _MistakeError({0: f"{type(error).__name__}: {error}"}) from error

    def _heard(self) -> None:
        self._sent += 1
        self._last_ns = self._clock.now_ns()
        if self._attempts:
            log.info("notifier back", notifier=self.name, waiting=self._desk.waiting)
        self._attempts, self._reason = 0, ""
        if self._alarmed:
            self._alarmed = False
            self._on_change("")

    def _raise(self, why: str) -> None:
        if not self._alarmed:
            self._alarmed = True
            self._on_change(f"people cannot be told: {why}")

    async def _failed_once(self, error: UnavailableError, began_s: float) -> None:
        """Wait before the next attempt, raising the alarm on the way when its time has come."""
        self._reason = str(error)
        if not self._attempts:
            self._failing_since_s = began_s
            log.warning("notifier lost", notifier=self.name, reason=self._reason, waiting=self._desk.waiting)
        self._attempts += 1
        asked_s = min(error.retry_after_s or 0.0, RETRY_AFTER_MAX_S)
        longest_s = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2.0 ** min(self._attempts - 1, 10))
        begin_s = self._clock.monotonic_s()
        end_s = begin_s + (asked_s or longest_s * self._random.uniform(0.5, 1.0))
        urgent = self._desk.newest_urgent
        while (now_s := self._clock.monotonic_s()) < end_s and self._attempts:
            self._news.clear()
            self._desk.advance(self._clock.now_ns())
            if self._desk.newest_urgent != urgent and not asked_s:
                # A red alarm does not wait for the end of a back-off that an earlier message began.
                urgent, end_s = self._desk.newest_urgent, min(end_s, begin_s + BACKOFF_MIN_S)
            due_s = self._failing_since_s + ALARM_AFTER_S
            if now_s >= due_s:
                self._raise(self._reason)
            until_s = end_s if self._alarmed else min(end_s, due_s)
            await self._wait(until_s - now_s)
            await self._save_after(self._least_s())

    async def _idle(self) -> None:
        """Wait for news, for what is due, for room, or for the time to keep what was seen."""
        await self._save_after(self._least_s())
        now_s, wake_ns = self._clock.monotonic_s(), self._desk.wakes_ns()
        waits = [] if wake_ns is None else [(wake_ns - self._clock.now_ns()) / NS_PER_S]
        if not self._room():
            waits = [self._tried_s[0] + MINUTE_S - now_s]
        if self._dirty:
            waits.append(self._saved_s + self._least_s() - now_s)
        # What is ready and does not go waits for room, which comes by the second.
        soonest = min(waits, default=None)
        await self._wait(1.0 if soonest is not None and soonest <= 0 else soonest)

    async def _wait(self, seconds: float | None) -> None:
        """Wait so long by the clock, None for ever, or until there is news."""
        if seconds is None:
            await self._news.wait()
            return
        tasks = [asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(self._news.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    # Its state

    def _least_s(self) -> float:
        """Return how long to leave between two times of keeping what was merely seen."""
        return max(SAVE_S, self._saved_bytes / SAVE_BYTES_A_SECOND)

    async def _save_after(self, seconds: float) -> None:
        """Keep the state where it has changed and was last kept so long ago."""
        if self._dirty and self._clock.monotonic_s() - self._saved_s >= seconds:
            await self._save()

    async def _save(self) -> None:
        if not self._restored:
            return
        text = msgspec.json.encode(self._desk.save()).decode()
        self._dirty, self._saved_s, self._saved_bytes = False, self._clock.monotonic_s(), len(text)
        try:
            await self._ledger.set_cursor(_place(self.name), text)
        except StorageError as error:
            # What was sent may then be sent again after a restart; that the disk refuses is told by the recorder.
            log.error("state of a notifier not kept", notifier=self.name, reason=str(error))  # noqa: TRY400 - says all

    async def _restore(self) -> None:
        """Go on where the last run ended; a notifier that is new is told of what stands."""
        try:
            text = None if self._anew else await self._ledger.cursor(_place(self.name))
            if text:
                await self._load(text)
        except (StorageError, ValueError) as error:
            log.warning("state of a notifier unreadable, telling what stands", notifier=self.name, problem=str(error))
            text = None
        if not text or self._desk.position > self._events.published:
            # The second: the journal is another one than the state speaks of.
            self._desk.forget(self._events.published)
            self._desk.find(self._alarms(), self._clock.now_ns())
            self._dirty = True
        self._restored, self._anew = True, False

    async def _load(self, text: str) -> None:
        """Take over a kept state. Raises ValueError and StorageError."""
        try:
            saved: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error
        found: dict[int, AlarmEvent] = {}
        wanted = [number for number in numbers_of(saved) if number]
        while wanted:
            page = await self._events.read(wanted[0] - 1, PAGE)
            found |= {event.seq: event for event in page}
            reached = page[-1].seq if page else wanted[-1]
            wanted = [number for number in wanted if number > reached]
        self._desk.load(saved, found.get)


def _place(name: str) -> str:
    """Return the name of a notifier's state; no store or uplink can be called so."""
    return f"notifier/{name}"
