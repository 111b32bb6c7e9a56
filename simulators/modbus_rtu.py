"""A serial line with several Modbus RTU units, on a pseudo-terminal and at the pace of its baud rate."""

import asyncio
import os
import termios
import tty
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simulators.functions import WRITES
from simulators.registers import Registers

if TYPE_CHECKING:
    from simulators.behaviour import Behaviour

FRAME_MAX = 256
"""Longest frame there is; of a longer run of noise its end is kept."""
_UART_BYTES = 16
"""Bytes that a serial adapter hands over at a time: a reply arrives in pieces, as it does from a real one."""
_FIXED_SILENCE_S = 0.00175
"""Silence between frames above 19200 baud (Modbus over Serial Line 1.02, 2.5.1.1)."""
_FIXED_LENGTH = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 7: 4, 11: 4, 12: 4, 17: 4, 22: 10, 24: 6, 43: 7}
_COUNTED_LENGTH = {15: (6, 9), 16: (6, 9), 20: (2, 5), 21: (2, 5), 23: (10, 13)}
"""Length of a whole request by function; where it varies, where its byte count stands and what comes to that."""
_POLL_CHARS = 64
_NOISE_BYTES_MAX = 8


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def crc16(frame: bytes) -> bytes:
    """Return the two check bytes of a frame as they go out, low byte first.

    >>> crc16(bytes.fromhex("010300000001")).hex()
    '840a'
    """
    value = 0xFFFF
    for byte in frame:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value.to_bytes(2, "little")


class RtuLine:
    """One RS-485 line.

    The line is half duplex: what a master sends while an answer is on its way is a collision and is lost, and the
    answer goes on. Broadcasts get no answer.

    Args:
        units: The registers of each unit.
        link: A second, fixed name for the pseudo-terminal, a symbolic link; empty for none. One that is left over
            from an earlier line is replaced, a file of any other kind is not.
        baud: Bits a second.
        bits_per_char: With start, parity and stop bits: 10 or 11, 12 at most.
        turnaround_s: How long a unit thinks.
        exact: Whether the units understand only a master that has set the line's own speed. (Parity cannot be told on
            a pseudo-terminal.)
        rng: Source of chance for misbehaviour.

    Attributes:
        odd: The units that misbehave now, and how; whoever runs the plant keeps it.
        down: Whether the cable is cut: nothing arrives.
        noisy: Share of the answers with bytes of noise before or behind them, as from a bad termination.
        path: The pseudo-terminal that a master opens, once started.
        requests: Whole requests seen.
        early: Those that began less than the 3.5 characters of silence after an answer.
        collisions: Chunks that came while an answer was on its way.
        noise: Bytes thrown away as no request.
    """

    def __init__(
        self,
        units: Mapping[int, Registers],
        *,
        link: str = "",
        baud: int = 9600,
        bits_per_char: int = 10,
        turnaround_s: float = 0.002,
        exact: bool = False,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.units, self.link = units, link
        self.odd: dict[int, Behaviour] = {}
        self.rng = rng or np.random.default_rng(0)
        self.char_s = bits_per_char / baud
        self._speed = getattr(termios, f"B{baud}", None) if exact else None
        self.silence_s = 3.5 * self.char_s if baud <= 19200 else _FIXED_SILENCE_S
        self.turnaround_s = turnaround_s
        self.down = False
        self.noisy = 0.0
        self.path = ""
        self.requests = self.early = self.collisions = self.noise = 0
        self._master = self._slave = -1
        self._heard = b""
        self._busy = False
        self._free_at_s = 0.0
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def address(self) -> str:
        """Where to connect to."""
        return f"rtu://{self.link or self.path}"

    async def start(self) -> None:
        """Open the pseudo-terminal.

        Raises:
            OSError: There is none left, or `link` is the name of something else.
        """
        self._master, self._slave = os.openpty()
        # Our own hold on the far end keeps the line alive while no master has it open.
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        try:
            if self.link:
                await asyncio.to_thread(_point, Path(self.link), self.path)
        except OSError:
            await self.stop()
            raise
        asyncio.get_running_loop().add_reader(self._master, self._readable)

    async def stop(self) -> None:
        """Close the pseudo-terminal and take the link away; may be called twice."""
        if self._master < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        self.forget()
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1
        if self.link:
            await asyncio.to_thread(_unpoint, Path(self.link), self.path)

    def forget(self) -> None:
        """Drop what was heard and what was about to be said."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._heard, self._busy = b"", False

    def _readable(self) -> None:
        try:
            data = os.read(self._master, 4096)
        except (BlockingIOError, OSError):
            return
        if self._speed is not None and termios.tcgetattr(self._slave)[5] != self._speed:
            # At another speed the units see other bits: to them it is noise.
            self.noise += len(data)
            return
        self.hear(data)

    def hear(self, data: bytes) -> None:
        """Take what a master has put on the line."""
        if self.down:
            return
        now_s = asyncio.get_running_loop().time()
        if self._busy:
            self.collisions += 1
            return
        if not self._heard and now_s < self._free_at_s:
            self.early += 1
        self._heard = (self._heard + data)[-FRAME_MAX:]
        frame = self._request()
        if frame is None:
            # A frame that never becomes whole ends with the silence after it; late bytes of one chunk are no silence.
            self._later(max(self.silence_s, _POLL_CHARS * self.char_s), self._drop, self._heard)
            return
        self._heard = b""
        self.requests += 1
        self._serve(frame)

    def _request(self) -> bytes | None:
        """Return the whole request at the end of what was heard: noise may stand in front of it."""
        heard = self._heard
        for start in range(max(len(heard) - 3, 0)):
            frame = heard[start:]
            if len(frame) == _length(frame) and crc16(frame[:-2]) == frame[-2:]:
                self.noise += start
                return frame
        return None

    def _drop(self, heard: bytes) -> None:
        if heard == self._heard:
            self.noise += len(heard)
            self._heard = b""

    def _serve(self, frame: bytes) -> None:
        unit, pdu = frame[0], frame[1:-2]
        if unit == 0:
            self._broadcast(pdu)
            return
        registers, behaviour = self.units.get(unit), self.odd.get(unit)
        if registers is None:
            return
        extra_s, answer, garbled = 0.0, b"", False
        if behaviour is None:
            answer = registers.answer(pdu)
        else:
            reply = behaviour.reply(unit, pdu, lambda: registers.answer(pdu), self.rng)
            if reply is None:
                return
            extra_s, unit, answer = reply
            garbled = behaviour.garbles(self.rng)
        wire = bytes((unit,)) + answer
        wire += crc16(wire)
        if garbled:
            wire = self._garbled(wire)
        # The pseudo-terminal took no time for the request: the wire would have, and so would the silence after it.
        self._busy = extra_s == 0.0
        self._later(len(frame) * self.char_s + self.silence_s + self.turnaround_s + extra_s, self._send, wire)

    def _broadcast(self, pdu: bytes) -> None:
        """Have every unit do what a broadcast asks for; none of them answers."""
        if pdu[0] in WRITES:
            for number, registers in self.units.items():
                if not (number in self.odd and self.odd[number].silent):
                    registers.answer(pdu)

    def _garbled(self, reply: bytes) -> bytes:
        place = int(self.rng.integers(len(reply)))
        return reply[:place] + bytes((reply[place] ^ 1 << int(self.rng.integers(8)),)) + reply[place + 1 :]

    def _send(self, reply: bytes) -> None:
        self._busy = True
        if self.noisy and self.rng.random() < self.noisy:
            noise = self.rng.bytes(int(self.rng.integers(1, _NOISE_BYTES_MAX + 1)))
            reply = noise + reply if self.rng.random() < 0.5 else reply + noise
        for start in range(0, len(reply), _UART_BYTES):
            piece = reply[start : start + _UART_BYTES]
            self._later((start + len(piece)) * self.char_s, self.put, piece)
        self._later(len(reply) * self.char_s, self._sent)

    def put(self, piece: bytes) -> None:
        """Put a piece of an answer on the line."""
        # A master that went away without reading leaves the buffer full; the bytes are lost, as on a wire.
        with suppress(BlockingIOError):
            os.write(self._master, piece)

    def _sent(self) -> None:
        self._busy = False
        self._free_at_s = asyncio.get_running_loop().time() + self.silence_s

    def _later(self, delay_s: float, call: Callable[..., None], *args: object) -> None:
        def run() -> None:
            self._timers.discard(timer)
            call(*args)

        timer = asyncio.get_running_loop().call_later(delay_s, run)
        self._timers.add(timer)


def _length(frame: bytes) -> int:
    """Return how long a request of this function is in all; 0 where nobody can know yet."""
    function = frame[1]
    if function in _FIXED_LENGTH:
        return _FIXED_LENGTH[function]
    if function in _COUNTED_LENGTH:
        place, more = _COUNTED_LENGTH[function]
        return more + frame[place] if len(frame) > place else 0
    # Functions that we do not have are refused; their end is wherever the check bytes fit.
    return len(frame)


def _point(link: Path, target: str) -> None:
    if link.is_symlink():
        link.unlink()
    link.symlink_to(target)


def _unpoint(link: Path, target: str) -> None:
    if link.is_symlink() and str(link.readlink()) == target:
        link.unlink()
