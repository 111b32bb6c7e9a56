"""Modbus over UDP: the frames of Modbus TCP, one in a datagram; what is lost is a time-out.

A datagram may come late, twice or never. The transaction id tells a late or repeated one from the answer: it is new
for each request and comes round only after 65,535 others. So a time-out spoils nothing, and the socket stays.
"""

import asyncio
from typing import Generic, cast

from drivers.modbus.frames import MBAP_SIZE, FrameError, tcp_frame
from drivers.modbus.link import Answer, AskT, Done, Fault, Miss, nobody
from drivers.modbus.tcp import CONNECT_TIMEOUT_MIN_S, Complaints, Transactions
from gateway.core.errors import NotConnectedError


class UdpLink(Generic[AskT]):
    """A UDP endpoint.

    Args:
        host: Name or address.
        port: UDP port.
        timeout_s: Seconds from request to reply.
        done: Told of each request's outcome.
    """

    def __init__(self, host: str, port: int, timeout_s: float, done: Done[AskT]) -> None:
        self.name = f"udp://{host}:{port}"
        self.timeout_s = timeout_s
        self.done = done
        self.took_s = 0.0
        self.on_lost = nobody
        self.complaints = Complaints(self.name)
        self._host = host
        self._port = port
        self._socket: _Socket[AskT] | None = None
        self._transactions = Transactions()

    @property
    def is_open(self) -> bool:
        """Whether the socket stands."""
        return self._socket is not None and self._socket.transport is not None

    async def open(self) -> None:
        """Make a socket; only looking up the name can fail. Raises NotConnectedError."""
        await self.close()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(max(self.timeout_s, CONNECT_TIMEOUT_MIN_S)):
                _, made = await loop.create_datagram_endpoint(
                    lambda: _Socket(self), remote_addr=(self._host, self._port)
                )
        except TimeoutError as error:
            raise NotConnectedError(self.name, "the name was not found in time") from error
        except OSError as error:
            raise NotConnectedError(self.name, error.strerror or str(error)) from error
        self._socket = made

    def send(self, *asks: AskT) -> None:
        """Send requests, each in its datagram."""
        assert self._socket is not None
        for ask in asks:
            self._socket.send(self._transactions.next(), ask)

    def recall(self) -> AskT | None:
        """Return None: what was sent is on its way."""
        return None

    async def close(self) -> None:
        """Close the socket."""
        made, self._socket = self._socket, None
        if made is not None:
            made.drop("socket closed")


class _Socket(asyncio.DatagramProtocol, Generic[AskT]):
    """One socket and what is on its way."""

    def __init__(self, link: UdpLink[AskT]) -> None:
        self.transport: asyncio.DatagramTransport | None = None
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._pending: dict[int, tuple[asyncio.TimerHandle, float, AskT]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def send(self, transaction: int, ask: AskT) -> None:
        now_s = self._loop.time()
        timeout_s = ask.timeout_s or self._link.timeout_s
        timer = self._loop.call_at(now_s + timeout_s, self._late, transaction, timeout_s)
        self._pending[transaction] = (timer, now_s, ask)
        if self.transport is not None:
            self.transport.sendto(transaction.to_bytes(2, "big") + ask.request.tcp)

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - asyncio's signature; the socket is connected to its one peer
        try:
            frame = tcp_frame(data, 0)
        except FrameError as error:
            self._link.complaints.say(f"not Modbus: {error}")
            return
        if frame is None or frame[1] != len(data):
            self._link.complaints.say("a datagram that is not one whole frame")
            return
        transaction, end = frame
        entry = self._pending.get(transaction)
        if entry is None:
            self._link.complaints.say(
                f"reply with transaction id {transaction if transaction == 0 else 'that nobody waits for'}"
            )
            return
        answer = entry[2].request.reply(data[MBAP_SIZE:end])
        if answer is None:
            self._link.complaints.say("a reply to another question", entry[2].request)
        else:
            self._finish(transaction, answer)

    def error_received(self, exc: Exception) -> None:
        """Take the network's word that nobody listens there; it does not say to which request."""
        reason = getattr(exc, "strerror", None) or str(exc)
        for transaction in list(self._pending):
            self._finish(transaction, Miss(Fault.SILENT, reason))

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop(str(exc) if exc else "socket closed")

    def drop(self, reason: str) -> None:
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()
        for transaction in list(self._pending):
            self._finish(transaction, Miss(Fault.DROPPED, reason))

    def _late(self, transaction: int, timeout_s: float) -> None:
        self._finish(transaction, Miss(Fault.SILENT, f"no reply within {timeout_s:g} s"))

    def _finish(self, transaction: int, answer: Answer) -> None:
        timer, sent_s, ask = self._pending.pop(transaction)
        timer.cancel()
        self._link.took_s = self._loop.time() - sent_s
        self._link.done(ask, answer)
