"""A Modbus UDP endpoint: the frames of Modbus TCP, one in each datagram."""

import asyncio
from typing import Any, cast

from simulators.modbus_tcp import FRAME_MAX, TcpEndpoint


class UdpEndpoint(TcpEndpoint):
    """One address that takes datagrams, and the units behind it; a datagram that is no Modbus gets no answer."""

    _socket: asyncio.DatagramTransport | None = None

    @property
    def address(self) -> str:
        """Where to send to."""
        return f"udp://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=(self.host, self.port))
        self._socket, self.port = transport, transport.get_extra_info("sockname")[1]

    async def stop(self) -> None:
        """Close; may be called twice. `start` opens the same port again."""
        transport, self._socket = self._socket, None
        if transport is not None:
            transport.abort()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, endpoint: UdpEndpoint) -> None:
        self._endpoint = endpoint
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        length = int.from_bytes(data[4:6], "big")
        if len(data) < 8 or data[2:4] != b"\0\0" or not 2 <= length <= FRAME_MAX or len(data) != 6 + length:
            return
        reply = self._endpoint.reply(data[:4], data[6:])
        if reply is not None:
            delay_s, frame = reply
            asyncio.get_running_loop().call_later(delay_s, self._send, frame, addr)

    def _send(self, frame: bytes, addr: tuple[str | Any, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(frame, addr)
