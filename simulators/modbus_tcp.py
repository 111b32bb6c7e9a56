"""A Modbus TCP endpoint with many units behind it, cheap enough that a benchmark measures its peer."""

import asyncio
from collections.abc import Mapping
from typing import cast

import numpy as np

from simulators.behaviour import SILENT, Behaviour
from simulators.registers import NO_ANSWER_FROM_TARGET, Read, Registers, refusal

CONNECTIONS_MAX = 256
PLANS_MAX = 8192
_FRAME_MAX = 254
"""Largest length field: unit and PDU of at most 253 bytes (Modbus Messaging Implementation Guide 1.0b, 3.1.3)."""


class TcpEndpoint:
    """One listening address and the units behind it.

    At `CONNECTIONS_MAX` connections a further one is closed at once. Requests beyond what the peer reads answers for
    are left in its socket. A frame that is no Modbus TCP closes its connection.

    Args:
        units: The registers of each unit.
        host: Address to listen on.
        port: 0 takes a free one.
        unknown_silent: Whether a unit that does not exist answers nothing, in place of exception 11.
        rng: Source of chance for misbehaviour.

    Attributes:
        port: What it listens on, once started.
        odd: The units that misbehave now, and how; whoever runs the plant keeps it.
        requests: How many requests have come.
    """

    def __init__(
        self,
        units: Mapping[int, Registers],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        unknown_silent: bool = False,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.units = units
        self.odd: dict[int, Behaviour] = {}
        self.host, self.port = host, port
        self.unknown_silent = unknown_silent
        self.rng = rng or np.random.default_rng(0)
        self.requests = 0
        self.connections: set[_Connection] = set()
        self.plans: dict[bytes, tuple[bytes, bytearray, int, int]] = {}
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """Where to connect to."""
        return f"tcp://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and every connection; may be called twice. `start` opens the same port again."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for connection in list(self.connections):
                connection.close()
            await server.wait_closed()

    def answer(self, unit: int, pdu: bytes) -> bytes | None:
        """Return the answer to a request, None for silence."""
        registers = self.units.get(unit)
        if registers is not None:
            return registers.answer(pdu)
        return None if self.unknown_silent else refusal(pdu[0], NO_ANSWER_FROM_TARGET)

    def plan(self, request: bytes) -> tuple[bytes, bytearray, int, int] | None:
        """Return a read's answer as header from the length field on, block, start and stop, and remember it.

        None where the request is no register read of an existing unit: it takes the slow way.
        """
        registers = self.units.get(request[0])
        read = None if registers is None else registers.plan(request[1:])
        if not isinstance(read, Read):
            return None
        length = 1 + len(read.head) + read.stop - read.start
        planned = (length.to_bytes(2, "big") + request[:1] + read.head, read.block, read.start, read.stop)
        if len(self.plans) < PLANS_MAX:
            self.plans[request] = planned
        return planned


class _Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, endpoint: TcpEndpoint) -> None:
        self._endpoint = endpoint
        self._plans, self._odd = endpoint.plans, endpoint.odd
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast and no isinstance: uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        if len(self._endpoint.connections) >= CONNECTIONS_MAX:
            self._transport.abort()
        else:
            self._endpoint.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        self._endpoint.connections.discard(self)

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        # Nearly always one whole read request arrives alone; its answer is then one look-up and one slice.
        if len(data) == 12 and not self._rest and data[6] not in self._odd:
            planned = self._plans.get(data[6:])
            if planned is not None and data[2:6] == b"\x00\x00\x00\x06":
                head, block, start, stop = planned
                self._endpoint.requests += 1
                transport.write(data[:4] + head + block[start:stop])
                return
        self._frames(self._rest + data)

    def _frames(self, data: bytes) -> None:
        at, answers = 0, []
        while len(data) - at >= 8:
            length = int.from_bytes(data[at + 4 : at + 6], "big")
            if data[at + 2 : at + 4] != b"\x00\x00" or not 2 <= length <= _FRAME_MAX:
                self.close()
                return
            end = at + 6 + length
            if len(data) < end:
                break
            answer = self._answer(data[at : at + 4], data[at + 6 : end])
            if answer is not None:
                answers.append(answer)
            at = end
        self._rest = data[at:]
        self._send(b"".join(answers))

    def _answer(self, head: bytes, request: bytes) -> bytes | None:
        """Return what goes out now for a request of unit and PDU, None where that is nothing (or nothing yet)."""
        endpoint = self._endpoint
        endpoint.requests += 1
        behaviour, delay_s = self._odd.get(request[0]), 0.0
        if behaviour is None:
            planned = self._plans.get(request) or endpoint.plan(request)
            if planned is not None:
                return head + planned[0] + planned[1][planned[2] : planned[3]]
        answer = endpoint.answer(request[0], request[1:])
        if behaviour is not None:
            delay_s = behaviour.delay_s(endpoint.rng)
            if behaviour.refuses(endpoint.rng):
                answer = refusal(request[1], behaviour.code)
            # TCP would notice a garbled frame; what the client sees of it is that nothing comes.
            if behaviour.garbles(endpoint.rng):
                delay_s = SILENT
        if answer is None or delay_s == SILENT:
            return None
        frame = head + (1 + len(answer)).to_bytes(2, "big") + request[:1] + answer
        if delay_s > 0.0:
            asyncio.get_running_loop().call_later(delay_s, self._send, frame)
            return None
        return frame

    def _send(self, frame: bytes) -> None:
        if frame and self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)
