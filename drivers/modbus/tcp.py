"""Modbus TCP: a transaction table, one deadline timer, and a new connection after every time-out.

How a reply is bound to its request. The transaction id is new for each request (never 0, which careless instruments
put into every reply; and counted on across connections), and unit, function and byte count must be the request's own.
What does not fit is dropped and the request goes on waiting. After a time-out the connection is given up, so that a
late reply finds nobody to mistake it; the instrument's next answer comes over a connection that has never seen the
question it may still be working on.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Generic, cast

import structlog

from drivers.modbus.frames import MBAP_SIZE, FrameError, Request, tcp_frame
from drivers.modbus.link import AskT, Done, Fault, Miss, nobody
from gateway.core.errors import NotConnectedError

log = structlog.get_logger()

CONNECT_TIMEOUT_MIN_S = 1.0
"""A TCP handshake's first repetition comes after a second; less would give up on one lost packet."""
TLS_TIMEOUT_MIN_S = 5.0
"""A small instrument's processor may need seconds for the signatures of a TLS handshake."""
KINDS_OF_WRONG_MAX = 64


class Complaints:
    """Says in the log what a peer does wrong, once for each kind of wrong."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._said: set[str] = set()

    def say(self, what: str, request: Request | None = None) -> None:
        """Log a dropped reply, unless this kind of wrong has been logged."""
        if what not in self._said and len(self._said) < KINDS_OF_WRONG_MAX:
            self._said.add(what)
            log.warning("reply dropped", endpoint=self._endpoint, reason=what, request=repr(request) if request else "")


class Transactions:
    """Numbers from 1 to 65535 in turn: a reply with transaction 0 is nobody's."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """Return the next number."""
        self._last = number = self._last % 0xFFFF + 1
        return number


class TcpLink(Generic[AskT]):
    """A TCP endpoint with one connection at a time.

    Args:
        name: The endpoint, for messages.
        host: Name or address.
        port: TCP port.
        timeout_s: Seconds from request to reply.
        done: Told of each request's outcome.
        tls: Makes the TLS context; called in a thread at each connection, so that renewed certificates are taken.
        server_name: Name that the peer's certificate must have, where it is not the host.
    """

    def __init__(
        self,
        host: str,
        port: int,
        timeout_s: float,
        done: Done[AskT],
        *,
        name: str = "",
        tls: Callable[[], ssl.SSLContext] | None = None,
        server_name: str = "",
    ) -> None:
        self.name = name or f"tcp://{host}:{port}"
        self.timeout_s = timeout_s
        self.done = done
        self.took_s = 0.0
        self.on_lost = nobody
        self.complaints = Complaints(self.name)
        self._host = host
        self._port = port
        self._tls = tls
        self._server_name = server_name
        self._connection: Connection[AskT] | None = None
        self._transactions = Transactions()

    @property
    def is_open(self) -> bool:
        """Whether a connection stands."""
        return self._connection is not None and self._connection.transport is not None

    async def open(self) -> None:
        """Connect anew. Raises NotConnectedError."""
        await self.close()
        connection = Connection(self)
        limit_s = max(self.timeout_s, CONNECT_TIMEOUT_MIN_S if self._tls is None else TLS_TIMEOUT_MIN_S)
        try:
            async with asyncio.timeout(limit_s):
                await self._connect(connection)
        except TimeoutError as error:
            raise NotConnectedError(self.name, "no answer to the connection request") from error
        except ssl.SSLError as error:
            raise NotConnectedError(self.name, f"TLS: {getattr(error, 'verify_message', '') or error}") from error
        except OSError as error:
            raise NotConnectedError(self.name, error.strerror or str(error)) from error
        self._connection = connection

    async def _connect(self, connection: "Connection[AskT]") -> None:
        loop = asyncio.get_running_loop()
        if self._tls is None:
            await loop.create_connection(lambda: connection, self._host, self._port)
            return
        context = await asyncio.to_thread(self._tls)
        name = self._server_name or self._host
        await loop.create_connection(
            lambda: connection, self._host, self._port, ssl=context, server_hostname=name,
            ssl_shutdown_timeout=CONNECT_TIMEOUT_MIN_S,
        )  # fmt: skip

    def send(self, *asks: AskT) -> None:
        """Send requests in one piece."""
        assert self._connection is not None
        self._connection.send([(self._transactions.next(), ask) for ask in asks])

    def recall(self) -> AskT | None:
        """Return None: what was sent is on the wire."""
        return None

    async def close(self) -> None:
        """Drop the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()


class Connection(asyncio.Protocol, Generic[AskT]):
    """One TCP connection and what is on its way over it; dies for good at the first time-out."""

    def __init__(self, link: TcpLink[AskT]) -> None:
        self.transport: asyncio.Transport | None = None
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._pending: dict[int, tuple[float, float, AskT]] = {}
        """By transaction: deadline, time of sending, who asked."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0
        self._rest = b""
        self._hint = ""

    def send(self, asks: list[tuple[int, AskT]]) -> None:
        """Write requests and remember each until its deadline."""
        now_s = self._loop.time()
        frames = []
        first_s = now_s + 1e9
        for transaction, ask in asks:
            deadline_s = now_s + (ask.timeout_s or self._link.timeout_s)
            first_s = min(first_s, deadline_s)
            self._pending[transaction] = (deadline_s, now_s, ask)
            frames.append(transaction.to_bytes(2, "big") + ask.request.tcp)
        if self._timer is None or first_s < self._timer_s:
            self._watch(first_s)
        if self.transport is not None:
            self.transport.write(b"".join(frames))

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
        _, sent_s, ask = entry
        answer = ask.request.reply(adu)
        if answer is None:
            self._foreign(f"unit {adu[0]}, function {adu[1]}, {len(adu) - 3} bytes answer another question", ask)
            return
        del self._pending[transaction]
        self._link.took_s = self._loop.time() - sent_s
        self._link.done(ask, answer)

    def _foreign(self, what: str, ask: AskT | None) -> None:
        self._hint = what
        self._link.complaints.say(what, ask.request if ask else None)

    def _watch(self, deadline_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = deadline_s
        self._timer = self._loop.call_at(deadline_s, self._sweep)

    def _sweep(self) -> None:
        """Give up where a request is late; else wait for the next deadline. One timer serves all requests."""
        self._timer = None
        if not self._pending:
            return
        late, (deadline_s, sent_s, ask) = min(self._pending.items(), key=lambda item: item[1][0])
        if deadline_s > self._loop.time():
            self._watch(deadline_s)
            return
        # First in line is who is blamed.
        self._pending = {late: (deadline_s, sent_s, ask), **self._pending}
        hint = f"; dropped: {self._hint}" if self._hint else ""
        self._give_up(Fault.SILENT, f"no reply within {deadline_s - sent_s:g} s{hint}")

    def _give_up(self, fault: Fault, reason: str) -> None:
        """Close, blame the first request and let the others go free."""
        transport, self.transport = self.transport, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if transport is not None:
            transport.abort()
        pending, self._pending = self._pending, {}
        for _, _, ask in pending.values():
            self._link.done(ask, Miss(fault, reason))
            fault, reason = Fault.DROPPED, "connection dropped with another request"
