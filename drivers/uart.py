"""Driver of instruments that answer a fixed question on a serial line of their own and do not speak Modbus.

One question, one reply of a known length: a head, numbers in fixed places, a checksum. Nothing in such a reply says
which question it answers, so a line is never asked again before a late reply has had its time, and whatever has come
unasked is thrown away before each question.
"""

import asyncio
import contextlib
import os
import termios
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import xor
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from drivers.serial_port import open_port, speed
from drivers.values import Converter, ValueOptions
from gateway.core.clock import Clock
from gateway.core.errors import ConfigError, NotConnectedError
from gateway.core.model import Batch, Quality
from gateway.core.plugin import InstrumentPlan, PluginOptions

REPLY_BYTES_MAX = 256
BUFFER_BYTES_MAX = 4 * REPLY_BYTES_MAX
"""Bytes kept of what has come: noise beyond it pushes out the oldest."""
BACKOFF_MAX_S = 30.0
"""Longest time that an instrument that does not answer is left alone."""
REOPEN_S = 0.5
"""How soon an attempt to open a port that has vanished makes sense."""
SIZES = {"uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint24": 3, "uint32": 4, "int32": 4}


def _hex(text: str) -> str:
    try:
        found = bytes.fromhex(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no run of bytes in hex such as 'ff0186'") from error
    if len(found) > REPLY_BYTES_MAX:
        raise ValueError(f"{len(found)} bytes; {REPLY_BYTES_MAX} are allowed")
    return text


Hex = Annotated[str, AfterValidator(_hex)]


class Options(PluginOptions):
    """A serial line."""

    port: str = Field(
        min_length=2, description="The serial port, best by its id.", examples=["/dev/serial/by-id/usb-FTDI_…-port0"]
    )
    baud: int = Field(9600, ge=300, le=4_000_000, description="Bits a second.", examples=[9600])
    parity: Literal["N", "E", "O"] = Field("N", description="Parity: none, even or odd.")
    stop_bits: Literal[1, 2] = Field(1, description="Stop bits.")
    timeout_s: float = Field(
        1.0,
        ge=0.05,
        le=60,
        description="Seconds to wait for a whole reply; after a miss, the line is left alone for as long again, for the"
        " late reply.",
        examples=[1.0],
    )

    @model_validator(mode="after")
    def _possible(self) -> "Options":
        if speed(self.baud) is None:
            raise ValueError(f"{self.baud} baud is no speed that the system offers")
        return self


class InstrumentOptions(PluginOptions):
    """A question and what its reply looks like."""

    request: Hex = Field(min_length=2, description="The question, in hex.", examples=["ff0186000000000079"])
    reply_bytes: int = Field(ge=1, le=REPLY_BYTES_MAX, description="Bytes of the reply.", examples=[9])
    reply_head: Hex = Field(min_length=2, description="Bytes that each reply begins with, in hex.", examples=["ff86"])
    checksum: Literal["sum8", "xor8"] = Field(
        "sum8",
        description="What comes to 0 over the reply from `checksum_from` to its end: the sum of the bytes modulo 256,"
        " or their exclusive or.",
    )
    checksum_from: int = Field(0, ge=0, lt=REPLY_BYTES_MAX, description="First byte of that.", examples=[1])
    order: Literal["big", "little"] = Field("big", description="Byte order of its numbers.")

    @model_validator(mode="after")
    def _fits(self) -> "InstrumentOptions":
        shortest = max(len(bytes.fromhex(self.reply_head)), self.checksum_from) + 1
        if self.reply_bytes < shortest:
            raise ValueError(f"a reply of {self.reply_bytes} bytes has no room for its head and checksum")
        return self


class ChannelOptions(ValueOptions):
    """A number in the reply."""

    byte: int = Field(ge=0, lt=REPLY_BYTES_MAX, description="Its first byte, from 0.", examples=[2])
    type: Literal["uint8", "int8", "uint16", "int16", "uint24", "uint32", "int32"] = Field(
        "uint16", description="Its type."
    )


@dataclass(frozen=True, slots=True)
class Number:
    """A channel's place in the reply."""

    row: int
    begin: int
    end: int
    signed: bool
    convert: Converter


@dataclass(slots=True)
class Poll:
    """One instrument and when it is asked next."""

    name: str
    period_s: float
    options: InstrumentOptions
    numbers: tuple[Number, ...]
    request: bytes
    head: bytes
    due_s: float = 0.0
    misses: int = 0
    latency_s: float | None = None
    rows: "np.ndarray[Any, np.dtype[np.int32]]" = field(default_factory=lambda: np.empty(0, np.int32))

    def find(self, received: bytes) -> bytes | None:
        """Return the first whole reply with a right checksum in what has come, or None.

        >>> options = InstrumentOptions(request="ff", reply_bytes=9, reply_head="ff86", checksum_from=1)
        >>> poll = Poll("gd", 1.0, options, (), b"", bytes.fromhex("ff86"))
        >>> poll.find(bytes.fromhex("00ff" + "ff8600d100000000a9")).hex()
        'ff8600d100000000a9'
        """
        at = received.find(self.head)
        while at >= 0:
            frame = received[at : at + self.options.reply_bytes]
            if len(frame) == self.options.reply_bytes and self._checks(frame):
                return frame
            at = received.find(self.head, at + 1)
        return None

    def _checks(self, frame: bytes) -> bool:
        part = frame[self.options.checksum_from :]
        return not (sum(part) & 0xFF if self.options.checksum == "sum8" else reduce(xor, part, 0))

    def batch(self, frame: bytes, time_ns: int) -> Batch:
        """Return the readings of a reply."""
        order = self.options.order
        pairs = [n.convert.number(int.from_bytes(frame[n.begin : n.end], order, signed=n.signed)) for n in self.numbers]
        return Batch.of(self.rows, time_ns, [value for value, _ in pairs], [code for _, code in pairs])


class UartDriver:
    """One serial line and the instruments on it, asked one after the other; see `gateway.core.plugin.Driver`."""

    def __init__(self, options: Options, polls: Sequence[Poll], clock: Clock) -> None:
        self._options = options
        self._polls = tuple(polls)
        self._clock = clock
        self._descriptor: int | None = None
        self._received = bytearray()
        self._came = asyncio.Event()
        self._lost = ""
        self._not_before_s = 0.0

    async def connect(self) -> None:
        """Open the port; all instruments are due at once. Raises NotConnectedError."""
        await self.close()
        try:
            given = self._options
            self._descriptor = await asyncio.to_thread(open_port, given.port, given.baud, given.parity, given.stop_bits)
        except OSError as error:
            raise NotConnectedError(self._options.port, error.strerror or str(error), REOPEN_S) from error
        self._lost = ""
        asyncio.get_running_loop().add_reader(self._descriptor, self._arrived)
        for poll in self._polls:
            poll.due_s, poll.misses = self._clock.monotonic_s(), 0

    async def read(self) -> Batch:
        """Wait until an instrument is due, ask it and return its readings; BAD ones where no right reply comes."""
        poll = min(self._polls, key=lambda p: p.due_s)
        await self._clock.sleep(max(poll.due_s, self._not_before_s) - self._clock.monotonic_s())
        began_s = self._clock.monotonic_s()
        # A reply may still come to a question that was cancelled or whose port was lost, even after a reconnection.
        self._not_before_s = began_s + 2 * self._options.timeout_s
        frame = await self._ask(poll)
        now_s = self._clock.monotonic_s()
        if frame is not None:
            self._not_before_s = 0.0
            poll.misses, poll.latency_s = 0, now_s - began_s
            # From when it was due, so that the period holds; a poll that comes late is not caught up.
            poll.due_s = max(poll.due_s + poll.period_s, now_s)
            return poll.batch(frame, self._clock.now_ns())
        poll.misses += 1
        rest_s = min(BACKOFF_MAX_S, 0.25 * 2.0**poll.misses) if poll.misses > 1 else 0.0
        poll.due_s = now_s + max(poll.period_s, rest_s)
        self._not_before_s = now_s + self._options.timeout_s
        reason = Quality.UNREADABLE if self._received else Quality.COMMS_LOST
        return Batch.bad(poll.rows, self._clock.now_ns(), reason)

    async def close(self) -> None:
        """Close the port."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            await asyncio.to_thread(os.close, descriptor)

    def latency_s(self, row: int) -> float | None:
        """Return seconds from question to reply of a channel's last reading; None before the first."""
        return next((poll.latency_s for poll in self._polls if row in poll.rows), None)

    async def _ask(self, poll: Poll) -> bytes | None:
        """Return the reply, or None where none that is right has come in time. Raises NotConnectedError."""
        self._forget()
        if self._descriptor is None or self._lost:
            raise self._gone()
        try:
            written = os.write(self._descriptor, poll.request)
        except OSError as error:
            self._lost = error.strerror or str(error)
            raise self._gone() from error
        if written < len(poll.request):
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.timeout_s):
                while True:
                    await self._came.wait()
                    self._came.clear()
                    if self._lost:
                        raise self._gone()
                    frame = poll.find(bytes(self._received))
                    if frame is not None:
                        return frame
        return None

    def _forget(self) -> None:
        """Throw away what has come unasked, or too late."""
        if self._descriptor is not None:
            with contextlib.suppress(termios.error):
                termios.tcflush(self._descriptor, termios.TCIFLUSH)
        self._received.clear()
        self._came.clear()

    def _arrived(self) -> None:
        assert self._descriptor is not None
        try:
            found = os.read(self._descriptor, BUFFER_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError as error:
            found, self._lost = b"", error.strerror or str(error)
        if not found:
            self._lost = self._lost or "the port has vanished"
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self._received += found
        del self._received[:-BUFFER_BYTES_MAX]
        self._came.set()

    def _gone(self) -> NotConnectedError:
        return NotConnectedError(self._options.port, self._lost or "not open", REOPEN_S)


def create(options: Options, instruments: Sequence[InstrumentPlan], clock: Clock) -> UartDriver:
    """Return a driver that has not opened the port yet.

    Raises:
        ConfigError: A channel is not within its instrument's reply.
    """
    return UartDriver(options, [_poll(plan) for plan in instruments], clock)


def _poll(plan: InstrumentPlan) -> Poll:
    options = plan.options
    assert isinstance(options, InstrumentOptions)
    numbers = []
    for item in plan.channels:
        where = item.options
        assert isinstance(where, ChannelOptions)
        end = where.byte + SIZES[where.type]
        if end > options.reply_bytes:
            raise ConfigError(
                (*item.path, "options", "byte"), f"ends at byte {end} of a reply of {options.reply_bytes} bytes"
            )
        try:
            convert = Converter(where, item.channel)
        except ConfigError as error:
            raise error.under(*item.path, "options") from error
        numbers.append(Number(item.channel.row, where.byte, end, where.type.startswith("int"), convert))
    return Poll(
        name=plan.id,
        period_s=min([plan.period_s, *(item.channel.period_s for item in plan.channels)]),
        options=options,
        numbers=tuple(numbers),
        request=bytes.fromhex(options.request),
        head=bytes.fromhex(options.reply_head),
        rows=np.array([n.row for n in numbers], np.int32),
    )
