"""A serial line behind a transparent serial server: the frames of Modbus RTU in a TCP stream, at the line's pace."""

import asyncio
from collections.abc import Mapping
from typing import cast

import numpy as np

from simulators.modbus_rtu import RtuLine
from simulators.registers import Registers

CONNECTIONS_MAX = 4
"""What small serial servers allow; a further connection is closed at once."""


class RtuOverTcp(RtuLine):
    """An RS-485 line whose bytes go to and come from TCP connections; what units say is heard on all of them.

    Args:
        units: The registers of each unit.
        host: Address to listen on.
        port: 0 takes a free one.
        baud: Bits a second.
        bits_per_char: With start, parity and stop bits.
        turnaround_s: How long a unit thinks.
        rng: Source of chance for misbehaviour.
    """

    def __init__(
        self,
        units: Mapping[int, Registers],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        baud: int = 9600,
        bits_per_char: int = 10,
        turnaround_s: float = 0.002,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__(units, baud=baud, bits_per_char=bits_per_char, turnaround_s=turnaround_s, rng=rng)
        self.host, self.port = host, port
        self.connections: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """Where to connect to."""
        return f"rtu+tcp://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and every connection; may be called twice. `start` opens the same port again."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        self.forget()
        for connection in list(self.connections):
            connection.abort()
        await server.wait_closed()

    def put(self, piece: bytes) -> None:
        """Put a piece of an answer on the line."""
        for connection in self.connections:
            connection.write(piece)


class _Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, line: RtuOverTcp) -> None:
        self._line = line
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if len(self._line.connections) >= CONNECTIONS_MAX:
            self._transport.abort()
        else:
            self._line.connections.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._transport is not None:
            self._line.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._line.hear(data)
