"""What the driver and its kinds of link say to each other."""

from collections.abc import Callable
from enum import Enum
from typing import Generic, NamedTuple, Protocol, TypeVar

from drivers.modbus.frames import Refused, Request


class Ask(Protocol):
    """Whatever the driver hands to a link; the link only looks at the request and how long it may take."""

    @property
    def request(self) -> Request:
        """What to send."""
        ...

    @property
    def timeout_s(self) -> float | None:
        """Seconds to wait for the reply; the link's own where None."""
        ...


AskT = TypeVar("AskT", bound=Ask)


class Fault(Enum):
    """Why there is no answer."""

    SILENT = "silent"
    """The instrument did not answer in time, or with what cannot be trusted."""
    CLOSED = "closed"
    """The peer closed the connection while the request was on its way."""
    DROPPED = "dropped"
    """The link was given up because of another request; this one is innocent and may be asked again."""


class Miss(NamedTuple):
    """No answer."""

    fault: Fault
    reason: str


Answer = bytes | Refused | Miss
"""The reply's data bytes, the instrument's exception, or nothing."""

Done = Callable[[AskT, Answer], None]
"""Told of each request exactly once, in the event loop, also when the link closes; it never raises."""


def nobody() -> None:
    """Do nothing: who is told of a lost link where nobody asked to be."""


class Link(Protocol, Generic[AskT]):
    """A way to the instruments. Every request that was sent is answered within a known time, or missed.

    Attributes:
        took_s: Seconds from request to reply of the answer that is just being told.
        on_lost: Called in the event loop when a link is lost while nothing is on its way, where it can be noticed.
    """

    took_s: float
    on_lost: Callable[[], None]

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent now."""
        ...

    async def open(self) -> None:
        """Connect, within a known time. Raises NotConnectedError."""
        ...

    def send(self, *asks: AskT) -> None:
        """Send requests, in one piece where the link can; the outcomes come by callback. Only while open."""
        ...

    def recall(self) -> AskT | None:
        """Take back the request that was sent last where it has not begun, or return None. It has no outcome then."""
        ...

    async def close(self) -> None:
        """Let go of everything; what is on the way is DROPPED."""
        ...
