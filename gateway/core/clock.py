"""Time, which enters the gateway here and nowhere else."""

import asyncio
import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Protocol

NS_PER_S = 1_000_000_000


class Clock(Protocol):
    """Source of time for everything on the asynchronous rim; the core is handed times and never asks."""

    def now_ns(self) -> int:
        """Return the present UTC time in nanoseconds since 1970; it may step when the machine's clock is set."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds from an arbitrary start; never steps, for durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long; nought and less still lets others run."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ns(self) -> int:
        """Return the machine's UTC time in nanoseconds since 1970."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Return the machine's monotonic time in seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(max(0.0, seconds))


class ManualClock:
    """A clock that moves only when told to, for replay and tests; `sleep` advances it at once.

    >>> clock = ManualClock(now_ns=5)
    >>> clock.advance(2.0)
    >>> clock.now_ns()
    2000000005
    """

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = now_ns
        self._monotonic_s = 0.0

    def now_ns(self) -> int:
        """Return the set time."""
        return self._now_ns

    def monotonic_s(self) -> float:
        """Return the seconds advanced so far."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Move both wall and monotonic time forward."""
        self._now_ns += round(seconds * NS_PER_S)
        self._monotonic_s += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or NTP would; monotonic time goes on as it was."""
        self._now_ns += round(seconds * NS_PER_S)

    async def sleep(self, seconds: float) -> None:
        """Advance by that much and let others run."""
        self.advance(max(0.0, seconds))
        await asyncio.sleep(0)


async def first_of(clock: Clock, seconds: float | None, news: asyncio.Event) -> None:
    """Wait so long by a clock, None for ever, or until an event is set, whichever comes first; the event stays set."""
    if seconds is None:
        await news.wait()
        return
    tasks = [asyncio.ensure_future(clock.sleep(seconds)), asyncio.ensure_future(news.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def rfc3339(time_ns: int, zone: tzinfo = UTC, digits: int = 3) -> str:
    """Return a time as RFC 3339 with its offset.

    Args:
        time_ns: UTC nanoseconds since 1970.
        zone: The zone to write it in.
        digits: Decimals of the second, 0 to 9, cut and not rounded.

    >>> rfc3339(1_700_000_000_123_456_789)
    '2023-11-14T22:13:20.123+00:00'
    """
    seconds, nanos = divmod(time_ns, NS_PER_S)
    moment = datetime.fromtimestamp(seconds, zone)
    offset = moment.strftime("%z")
    fraction = f".{nanos:09d}"[: digits + 1] if digits else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{offset[:3]}:{offset[3:5]}"


def parse_rfc3339(text: str, zone: tzinfo | None = None) -> int:
    """Return UTC nanoseconds since 1970 of an ISO 8601 time, kept to the nanosecond.

    Args:
        text: The time; `T` or a blank between date and time, `Z` or an offset at the end.
        zone: The zone of a text without offset; None refuses such a text.

    Raises:
        ValueError: The text is no time, or has no offset and `zone` is None.

    >>> parse_rfc3339("2023-11-14T22:13:20.123456789Z")
    1700000000123456789
    """
    head, nanos = text.strip(), 0
    dot = head.find(".")
    if dot >= 0:
        end = dot + 1
        while end < len(head) and head[end].isdigit():
            end += 1
        nanos = int(head[dot + 1 : end].ljust(9, "0")[:9] or 0)
        head = head[:dot] + head[end:]
    moment = datetime.fromisoformat(head)
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError(f"{text!r} has no offset and no zone is given")
        moment = moment.replace(tzinfo=zone)
    epoch = datetime(1970, 1, 1, tzinfo=timezone(timedelta(0)))
    return (moment - epoch) // timedelta(seconds=1) * NS_PER_S + nanos
