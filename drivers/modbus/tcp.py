"""Modbus TCP: a transaction table, one deadline timer, and a new connection after every time-out.

How a reply is bound to its request. The transaction id is new for each request (never 0, which careless instruments
put into every reply; and counted on across connections), and unit, function and byte count must be the request's own.
What does not fit is dropped and the request goes on waiting. After a time-out the connection is given up, so that a
late reply finds nobody to mistake it; the instrument's next answer comes over a connection that has never seen the
question it may still be working on.
"""

import asyncio
from typing import Generic, cast

import structlog

from drivers.modbus.frames import MBAP_SIZE, FrameError, Request, tcp_frame
from drivers.modbus.link import AskT, Done, Fault, Miss
from gateway.core.errors import NotConnectedError

log = structlog.get_logger()

CONNECT_TIMEOUT_MIN_S = 1.0
"""A TCP handshake's first repetition comes after a second; less would give up on one lost packet."""


class TcpLink(Generic[AskT]):
    """A TCP endpoint with one connection at a time.

    Args:
        host: Name or address.
        port: TCP port.
        timeout_s: Seconds from request to reply.
        done: Told of each request's outcome.
    """

    def __init__(self, host: str, port: int, timeout_s: float, done: Done[AskT]) -> None:
        self.name = f"tcp://{host}:{port}"
        self.timeout_s = timeout_s
        self.done = done
        self._host = host
        self._port = port
        self._connection: Connection[AskT] | None = None
        self._transaction = 0
        self._said: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether a connection stands."""
        return self._connection is not None and self._connection.transport is not None

    async def open(self) -> None:
        """Connect anew. Raises NotConnectedError."""
        await self.close()
        connection = Connection(self)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(max(self.timeout_s, CONNECT_TIMEOUT_MIN_S)):
                await loop.create_connection(lambda: connection, self._host, self._port)
        except TimeoutError as error:
            raise NotConnectedError(self.name, "no answer to the connection request") from error
        except OSError as error:
            raise NotConnectedError(self.name, error.strerror or str(error)) from error
        self._connection = connection

    def send(self, ask: AskT) -> None:
        """Send a request."""
        assert self._connection is not None
        # 1 to 65535: a reply with transaction 0 is nobody's.
        self._transaction = transaction = self._transaction % 0xFFFF + 1
        self._connection.send(transaction, ask)

    async def close(self) -> None:
        """Drop the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()

    def say_once(self, what: str, request: Request | None = None) -> None:
        """Log what a peer does wrong, once for each kind of wrong."""
        if what not in self._said and len(self._said) < 64:
            self._said.add(what)
            log.warning("reply dropped", endpoint=self.name, reason=what, request=repr(request) if request else "")


class Connection(asyncio.Protocol, Generic[AskT]):
    """One TCP connection and what is on its way over it; dies for good at the first time-out."""

    def __init__(self, link: TcpLink[AskT]) -> None:
        self.transport: asyncio.Transport | None = None
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._pending: dict[int, tuple[float, AskT]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._rest = b""
        self._hint = ""

    def send(self, transaction: int, ask: AskT) -> None:
        """Write a request and remember it until its deadline."""
        deadline = self._loop.time() + self._link.timeout_s
        self._pending[transaction] = (deadline, ask)
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._sweep)
        if self.transport is not None:
            self.transport.write(transaction.to_bytes(2, "big") + ask.request.tcp)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # Not by isinstance: uvloop's transports are none of asyncio's.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take frames out of the stream, however it is cut."""
        if self._rest:
            data = self._rest + data
        start = 0
        try:
            while (frame := tcp_frame(data, start)) is not None:
                transaction, end = frame
                self._take(transaction, data[start + MBAP_SIZE : end])
                start = end
        except FrameError as error:
            self._give_up(Fault.SILENT, f"not Modbus TCP: {error}")
            return
        # At most one unfinished frame stays: tcp_frame refuses lengths beyond 254.
        self._rest = data[start:] if start < len(data) else b""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the eldest request that it was the last, and the others that they were not to blame."""
        self._give_up(Fault.CLOSED, f"connection closed by the peer{f': {exc}' if exc else ''}")

    def drop(self) -> None:
        """Close at once; what is on the way is DROPPED."""
        self._give_up(Fault.DROPPED, "connection dropped")

    def _take(self, transaction: int, adu: bytes) -> None:
        entry = self._pending.get(transaction)
        if entry is None:
            self._foreign(
                f"reply with transaction id {transaction if transaction == 0 else 'that was not asked'}", None
            )
            return
        ask = entry[1]
        answer = ask.request.reply(adu)
        if answer is None:
            self._foreign(f"unit {adu[0]}, function {adu[1]}, {len(adu) - 3} bytes answer another question", ask)
            return
        del self._pending[transaction]
        self._link.done(ask, answer)

    def _foreign(self, what: str, ask: AskT | None) -> None:
        self._hint = what
        self._link.say_once(what, ask.request if ask else None)

    def _sweep(self) -> None:
        """Look at the eldest request only: all wait equally long, so it is the first to be late."""
        self._timer = None
        if not self._pending:
            return
        deadline = next(iter(self._pending.values()))[0]
        if deadline > self._loop.time():
            self._timer = self._loop.call_at(deadline, self._sweep)
            return
        hint = f"; dropped: {self._hint}" if self._hint else ""
        self._give_up(Fault.SILENT, f"no reply within {self._link.timeout_s:g} s{hint}")

    def _give_up(self, fault: Fault, reason: str) -> None:
        """Close, blame the eldest request and let the others go free."""
        transport, self.transport = self.transport, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if transport is not None:
            transport.abort()
        pending, self._pending = self._pending, {}
        for _, ask in pending.values():
            self._link.done(ask, Miss(fault, reason))
            fault, reason = Fault.DROPPED, "connection dropped with another request"
