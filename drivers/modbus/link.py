"""What the driver and its two kinds of link say to each other."""

from collections.abc import Callable
from enum import Enum
from typing import Generic, NamedTuple, Protocol, TypeVar

from drivers.modbus.frames import Refused, Request


class Ask(Protocol):
    """Whatever the driver hands to a link; the link only looks at the request."""

    @property
    def request(self) -> Request:
        """What to send."""
        ...


AskT = TypeVar("AskT", bound=Ask)
AskT_contra = TypeVar("AskT_contra", bound=Ask, contravariant=True)


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


class Link(Protocol, Generic[AskT_contra]):
    """A way to the instruments. Every request that was sent is answered within a known time, or missed."""

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent now."""
        ...

    async def open(self) -> None:
        """Connect, within a known time. Raises NotConnectedError."""
        ...

    def send(self, ask: AskT_contra) -> None:
        """Send a request; the outcome comes by callback. Only while open."""
        ...

    async def close(self) -> None:
        """Let go of everything; what is on the way is DROPPED."""
        ...
