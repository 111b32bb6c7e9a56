"""HTTP connections with deadlines: who is slow to ask or slow to read is cut off, and who opens too many."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.api.throttle import address_key

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one listener bears.

    Attributes:
        connections_max: Connections in all.
        per_address_max: Connections of one address (IPv6: of one /64).
        request_s: Seconds until a request has arrived whole, from the connection or its first byte.
        unread_s: Seconds for which a reader may leave what it was sent untaken.
    """

    connections_max: int = 256
    per_address_max: int = 128
    request_s: float = 10.0
    unread_s: float = 15.0


class Guard:
    """Knows all connections of one listener, and cuts those off that are beyond a limit.

    Where a new connection is one too many, the one that has waited longest for its request makes room: a crowd of
    slow openers pushes out one another, not the operator, whose request comes at once. Only where all are busy the
    new one is refused.

    Args:
        limits: The limits.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.cut_off = 0
        self._connections: dict[GuardedConnection, str] = {}

    def __len__(self) -> int:
        return len(self._connections)

    def admit(self, connection: "GuardedConnection", host: str) -> bool:
        """Return whether there is room for a connection, after making it where that is possible."""
        address = address_key(host)
        same = [known for known, key in self._connections.items() if key == address]
        crowd = same if len(same) >= self.limits.per_address_max else list(self._connections)
        if len(same) >= self.limits.per_address_max or len(crowd) >= self.limits.connections_max:
            waiting = [known for known in crowd if known.waiting_since_s is not None]
            if not waiting:
                return False
            self._cut(min(waiting, key=lambda known: known.waiting_since_s or 0.0))
        self._connections[connection] = address
        return True

    def forget(self, connection: "GuardedConnection") -> None:
        """Drop a connection that has ended."""
        self._connections.pop(connection, None)

    def sweep(self, now_s: float) -> None:
        """Cut off all that are beyond their deadline; called once a second."""
        late = [known for known in self._connections if known.is_late(now_s, self.limits)]
        for connection in late:
            self._cut(connection)

    def cut_all(self) -> None:
        """Cut off everyone: the listener ends."""
        for connection in list(self._connections):
            self._cut(connection)

    def _cut(self, connection: "GuardedConnection") -> None:
        self.cut_off += 1
        self.forget(connection)
        connection.transport.abort()


class GuardedConnection(H11Protocol):
    """uvicorn's connection, with the times that a `Guard` looks at. uvicorn itself waits for a request for ever."""

    guard: Guard

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting_since_s: float | None = None
        self.unread_since_s: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Take a new connection, or refuse it."""
        super().connection_made(transport)
        self.waiting_since_s = self.loop.time()
        if not self.guard.admit(self, self.client[0] if self.client else ""):
            self.waiting_since_s = None
            transport.write(b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.guard.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; from the first one of a request its time runs, until its last."""
        super().data_received(data)
        if self._is_answering() and not self.cycle.more_body:
            self.waiting_since_s = None
        elif self.waiting_since_s is None:
            self.waiting_since_s = self.loop.time()

    def pause_writing(self) -> None:
        """Note since when the reader takes nothing."""
        super().pause_writing()
        self.unread_since_s = self.loop.time()

    def resume_writing(self) -> None:
        """Note that the reader has taken what waited."""
        super().resume_writing()
        self.unread_since_s = None

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def is_late(self, now_s: float, limits: ConnectionLimits) -> bool:
        """Return whether the peer has let a deadline pass."""
        asking, reading = self.waiting_since_s, self.unread_since_s
        return (asking is not None and now_s - asking > limits.request_s) or (
            reading is not None and now_s - reading > limits.unread_s
        )


def guarded_by(guard: Guard) -> type[GuardedConnection]:
    """Return the connection class of one listener, as uvicorn wants it: a class of its own for each guard."""
    return type("Connection", (GuardedConnection,), {"guard": guard})


def every_second(guard: Guard, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Sweep once a second; returns what ends it."""
    handle: asyncio.TimerHandle

    def turn() -> None:
        nonlocal handle
        guard.sweep(loop.time())
        handle = loop.call_later(1.0, turn)

    handle = loop.call_later(1.0, turn)

    def end() -> None:
        handle.cancel()

    return end
