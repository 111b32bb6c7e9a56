"""A Modbus TCP endpoint with many units behind it, cheap enough that a benchmark measures its peer."""

import asyncio
from collections.abc import Mapping
from typing import cast

import numpy as np

from simulators.behaviour import Behaviour
from simulators.functions import refusal
from simulators.registers import NO_ANSWER_FROM_TARGET, Read, Registers

CONNECTIONS_MAX = 256
PLANS_MAX = 8192
Plan = tuple[bytes, bytearray, int, int, Registers]
_PLANNED = frozenset({3, 4})
"""Functions whose answer is the same slice each time."""
FRAME_MAX = 254
"""Largest length field: unit and PDU of at most 253 bytes (Modbus Messaging Implementation Guide 1.0b, 3.1.3)."""


class TcpEndpoint:
    """One listening address and the units behind it.

    At `CONNECTIONS_MAX` connections a further one is closed at once. Requests beyond what the peer reads answers for
    are left in its socket. A frame that is no Modbus TCP closes its connection.

    Args:
        units: The registers of each unit.
        host: Address to listen on.
        port: 0 takes a free one.
        unknown: The exception that answers for a unit that does not exist: 11 where the gateway has asked for it, 10
            where it has no way to it; None for silence.
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
        unknown: int | None = NO_ANSWER_FROM_TARGET,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.units = units
        self.odd: dict[int, Behaviour] = {}
        self.host, self.port = host, port
        self.unknown = unknown
        self.rng = rng or np.random.default_rng(0)
        self.requests = 0
        self.connections: set[_Connection] = set()
        self.plans: dict[bytes, Plan] = {}
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
        return None if self.unknown is None else refusal(pdu[0], self.unknown)

    def reply(self, head: bytes, request: bytes) -> tuple[float, bytes] | None:
        """Return after how many seconds which frame answers a request; None for silence.

        Args:
            head: The frame's transaction and protocol.
            request: Its unit and PDU.
        """
        self.requests += 1
        behaviour = self.odd.get(request[0])
        if behaviour is not None:
            return self._misbehaved(head, request, behaviour)
        planned = self.plans.get(request)
        if planned is None and len(request) > 1 and request[1] in _PLANNED:
            planned = self.plan(request)
        if planned is not None:
            if planned[4].stale:
                planned[4].refresh()
            return 0.0, head + planned[0] + planned[1][planned[2] : planned[3]]
        answer = self.answer(request[0], request[1:])
        return None if answer is None else (0.0, _framed(head, request[0], answer))

    def _misbehaved(self, head: bytes, request: bytes, behaviour: Behaviour) -> tuple[float, bytes] | None:
        registers = self.units[request[0]]
        reply = behaviour.reply(request[0], request[1:], lambda: registers.answer(request[1:]), self.rng)
        # The network would notice a garbled frame; what the client sees of it is that nothing comes.
        if reply is None or behaviour.garbles(self.rng):
            return None
        delay_s, unit, pdu = reply
        if self.rng.random() < behaviour.wrong / 2.0:
            # An answer to the transaction before this one.
            head = (int.from_bytes(head[:2], "big") - 1 & 0xFFFF).to_bytes(2, "big") + head[2:]
        return delay_s, _framed(head, unit, pdu)

    def plan(self, request: bytes) -> Plan | None:
        """Return a read's answer as header from the length field on, block, start, stop and unit, and remember it.

        None where the request is no register read of an existing unit: it takes the slow way.
        """
        registers = self.units.get(request[0])
        read = None if registers is None else registers.plan(request[1:])
        if registers is None or not isinstance(read, Read):
            return None
        length = 1 + len(read.head) + read.stop - read.start
        planned = (length.to_bytes(2, "big") + request[:1] + read.head, read.block, read.start, read.stop, registers)
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
                head, block, start, stop, registers = planned
                if registers.stale:
                    registers.refresh()
                self._endpoint.requests += 1
                transport.write(data[:4] + head + block[start:stop])
                return
        self._frames(self._rest + data)

    def _frames(self, data: bytes) -> None:
        at, answers = 0, []
        while len(data) - at >= 8:
            length = int.from_bytes(data[at + 4 : at + 6], "big")
            if data[at + 2 : at + 4] != b"\x00\x00" or not 2 <= length <= FRAME_MAX:
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
        reply = self._endpoint.reply(head, request)
        if reply is None:
            return None
        delay_s, frame = reply
        if delay_s > 0.0:
            asyncio.get_running_loop().call_later(delay_s, self._send, frame)
            return None
        return frame

    def _send(self, frame: bytes) -> None:
        if frame and self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)


def _framed(head: bytes, unit: int, pdu: bytes) -> bytes:
    return head + (1 + len(pdu)).to_bytes(2, "big") + bytes((unit,)) + pdu
