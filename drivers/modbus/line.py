"""A serial line in the hands of one thread: true silences, and no late reply taken for another's answer.

A reply on a serial line says who speaks, not what was asked. After a time-out the instrument may still answer, and a
second question of the same function and length cannot tell that answer from its own. Three things keep them apart:

1. After a time-out the line is listened to for as long again (`quiet_s`); a reply that comes is recognised and dropped,
   and the line is in step again.
2. Where nothing came, the unit is in debt: a reply is owed that may still come. The next question to it is one whose
   answer has another length than every owed one (one register fewer, say). Instruments answer in the order they were
   asked, so its answer proves that nothing older will follow. Only then is the real question asked.
3. Where no such question exists or it is refused, the real question is asked once more often than replies are owed.
   By the same order the last of the answers belongs to one of these equal questions, whichever of the older replies
   were lost. Then the line is listened to once more, because that exchange may have left a surplus reply.

Debts are forgotten after `DEBT_S`: an instrument that answers half a minute late does not exist. A unit that keeps
silent gets no listening time after its first time-out, so that a dead unit costs the others no more than the time-out.
"""

import contextlib
import errno
import os
import select
import time
from collections.abc import Callable
from dataclasses import dataclass

from drivers.modbus.frames import FrameError, Request, rtu_frame
from drivers.modbus.link import Answer, Fault, Miss

DEBT_S = 30.0
"""How long an unanswered question counts as one that may still be answered."""
DEBTS_MAX = 32
"""Owed replies remembered a unit; beyond that the eldest is forgotten."""
GAP_S = 0.05
"""Silence within a frame that ends it. The standard's 1.5 characters cannot be seen through a USB adapter, which hands
over what it has every 16 ms."""
READ_BYTES = 512
BABBLE_S = 0.5
"""How long beyond its time a line may keep talking before it is given up for this request."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take on a line.

    Attributes:
        character_s: One character.
        silence_s: Between frames.
        timeout_s: From the end of a request to the first byte of its reply.
        quiet_s: Listening after a time-out, to which the reply's own time is added.
        gap_s: Silence within a frame that ends it.
        reopen: Close after a time-out that nothing followed: a TCP connection may be half-open, a port cannot.
        whole: Wait for the reply's own time as well, because adapters and serial servers may hand a reply over only
            when its last byte has come; where a person has set the time-out, it is kept to as it stands.
    """

    character_s: float
    silence_s: float
    timeout_s: float
    quiet_s: float
    gap_s: float = GAP_S
    reopen: bool = False
    whole: bool = False

    def first_byte_s(self, request: Request, timeout_s: float | None) -> float:
        """Seconds from the end of a request within which its reply must begin."""
        if timeout_s is not None:
            return timeout_s
        return self.timeout_s + (self.reply_s(request) if self.whole else 0.0)

    def reply_s(self, request: Request) -> float:
        """Seconds that the reply takes on the line."""
        return (request.length + 2) * self.character_s


class StoppedError(Exception):
    """The line is being closed."""


class Debts:
    """Replies that units still owe, by unit; survives the closing of a port, as the instruments do."""

    def __init__(self) -> None:
        self._owed: dict[int, list[tuple[float, Request]]] = {}

    def owed(self, unit: int, now_s: float) -> list[Request]:
        """Return the questions that a unit may still answer, eldest first."""
        entries = [entry for entry in self._owed.get(unit, ()) if now_s - entry[0] < DEBT_S]
        if entries:
            self._owed[unit] = entries
        else:
            self._owed.pop(unit, None)
        return [request for _, request in entries]

    def add(self, request: Request, now_s: float) -> None:
        """Note that a question was not answered."""
        entries = self._owed.setdefault(request.unit, [])
        entries.append((now_s, request))
        del entries[:-DEBTS_MAX]

    def clear(self, unit: int) -> None:
        """Note that nothing is owed any more."""
        self._owed.pop(unit, None)

    def pay(self, body: bytes) -> bool:
        """Strike the eldest question that a frame answers, and those before it; return whether there was one."""
        entries = self._owed.get(body[0], [])
        for i, (_, request) in enumerate(entries):
            if request.reply(body) is not None:
                del entries[: i + 1]
                return True
        return False


def telling_request(request: Request, owed: list[Request]) -> Request | None:
    """Return a question whose answer cannot be mistaken for an owed one: the request itself, or one of another length.

    Fewer registers are tried first, since they are known to exist; None where the lengths are used up.
    """
    taken = {other.size for other in owed if other.function == request.function}
    if request.size not in taken:
        return request
    step = 8 if request.function <= 2 else 1
    counts = [*range(request.count - 1, 0, -1), *range(request.count + step, request.count + 16 * step, step)]
    for count in counts:
        other = request.resized(count)
        if other is None:
            return None
        if other.size not in taken and other.size <= 250:
            return other
    return None


class Line:
    """An open line, used by one thread: asks, listens, keeps silence.

    Args:
        descriptor: Non-blocking file descriptor of the line.
        bell: Non-blocking descriptor that becomes readable when there is something to do, or to stop for.
        stopped: Whether the line is being closed.
        timing: How long things take.
        debts: Owed replies, kept between openings.

    Attributes:
        spent: The line should be opened anew before the next request.
        took_s: Seconds from the last request to the end of its reply.
    """

    def __init__(self, descriptor: int, bell: int, stopped: Callable[[], bool], timing: Timing, debts: Debts) -> None:
        self.spent = False
        self.took_s = 0.0
        self._descriptor = descriptor
        self._bell = bell
        self._stopped = stopped
        self._timing = timing
        self._debts = debts
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._poll.register(bell, select.POLLIN)
        self._idle = select.poll()
        self._idle.register(descriptor, select.POLLRDHUP)
        self._idle.register(bell, select.POLLIN)
        self._busy_until_s = time.monotonic()
        self._heard = False
        self._timeout_s: float | None = None

    def rest(self) -> None:
        """Wait until the bell rings.

        Raises:
            OSError: The line went away meanwhile.
            StoppedError: The line is being closed.
        """
        for descriptor, _ in self._idle.poll():
            if descriptor == self._descriptor:
                raise OSError(errno.EIO, "the line went away")
            self._answer_bell()

    def _answer_bell(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell, READ_BYTES)
        if self._stopped():
            raise StoppedError

    def exchange(self, request: Request, timeout_s: float | None = None) -> Answer:
        """Ask until the answer is surely the request's own; see the module's text.

        Args:
            request: What to ask.
            timeout_s: Seconds to the reply's first byte; as the line's timing has it where None.

        Raises:
            OSError: The line is gone.
            StoppedError: The line is being closed.
        """
        self._timeout_s = timeout_s
        owed = self._debts.owed(request.unit, time.monotonic())
        if not owed:
            return self._ask(request)
        telling = telling_request(request, owed)
        if telling is not None:
            answer = self._ask(telling)
            if isinstance(answer, Miss):
                return answer
            if isinstance(answer, bytes):
                self._debts.clear(request.unit)
                return answer if telling is request else self._ask(request)
            owed = [*owed, telling]
        return self._ask_often(request, len(owed) + 1)

    def _ask_often(self, request: Request, times: int) -> Answer:
        answer: Answer = Miss(Fault.SILENT, "not asked")
        for _ in range(times):
            answer = self._ask(request)
            if isinstance(answer, Miss):
                return answer
        self._listen(self._timing.quiet_s + self._timing.reply_s(request))
        self._debts.clear(request.unit)
        return answer

    def _ask(self, request: Request) -> Answer:
        first = not self._debts.owed(request.unit, time.monotonic())
        try:
            self._write(request)
            began_s = self._busy_until_s - len(request.rtu) * self._timing.character_s
            answer = self._await(request)
            self.took_s = time.monotonic() - began_s
        except FrameError as error:
            # What was garbled was most likely the reply: no long listening, but the debt stands until proven paid.
            self._debts.add(request, time.monotonic())
            self._listen(self._timing.silence_s)
            return Miss(Fault.SILENT, f"garbled: {error}")
        if not isinstance(answer, Miss):
            return answer
        self._debts.add(request, time.monotonic())
        if first:
            self._listen(self._timing.quiet_s + self._timing.reply_s(request), request.unit)
        self.spent = self._timing.reopen and not self._heard
        return answer

    def _write(self, request: Request) -> None:
        """Send after the silence that ends the previous frame, dropping what came unasked.

        Raises:
            FrameError: Somebody talks without end.
        """
        give_up_s = time.monotonic() + self._timing.timeout_s + BABBLE_S
        while self.hush():
            if time.monotonic() > give_up_s:
                raise FrameError("the line is never silent")
        self._heard = False
        frame = request.rtu
        while frame:
            try:
                frame = frame[os.write(self._descriptor, frame) :]
            except BlockingIOError as error:
                if time.monotonic() > give_up_s:
                    raise FrameError("the line takes no bytes") from error
                time.sleep(0.001)
        self._busy_until_s = time.monotonic() + len(request.rtu) * self._timing.character_s

    def hush(self) -> bool:
        """Wait until the line has been silent for 3.5 characters; return whether something came meanwhile."""
        # Not awake at its end either: a spinning thread keeps the event loop from running, and lost more than it won.
        while (wait_s := self._busy_until_s + self._timing.silence_s - time.monotonic()) > 0:
            time.sleep(wait_s)
        chunk = self._read(0.0)
        self._strike(bytearray(chunk))
        return bool(chunk)

    def _await(self, request: Request) -> Answer:
        """Return the request's answer; frames of others are dropped.

        Raises:
            FrameError: Something came that is no frame.
        """
        timing = self._timing
        begin_by_s = self._busy_until_s + timing.first_byte_s(request, self._timeout_s)
        end_by_s = begin_by_s + timing.reply_s(request) + timing.gap_s
        buffer = bytearray()
        while True:
            until_s = min(end_by_s, self._busy_until_s + timing.gap_s + timing.reply_s(request))
            chunk = self._read((until_s if buffer else begin_by_s) - time.monotonic())
            if not chunk:
                return Miss(Fault.SILENT, f"no more than {len(buffer)} bytes of a reply" if buffer else "no reply")
            buffer += chunk
            answer = self._take(buffer, request)
            if answer is not None:
                return answer

    def _take(self, buffer: bytearray, request: Request) -> Answer | None:
        if buffer[0] in (0x00, 0xFF) and request.unit != buffer[0]:
            # A line that changes hands may make one false byte; no unit on a serial line has these addresses.
            del buffer[0]
        while (frame := rtu_frame(buffer)) is not None:
            body, size = frame
            del buffer[:size]
            answer = request.reply(body)
            if answer is not None:
                return answer
            self._debts.pay(body)
        return None

    def _listen(self, seconds: float, unit: int | None = None) -> None:
        """Drain the line for so long, or until the unit owes nothing any more."""
        end_s = time.monotonic() + seconds
        last_s = end_s + BABBLE_S
        buffer = bytearray()
        while (left_s := end_s - time.monotonic()) > 0:
            buffer += self._read(left_s)
            self._strike(buffer)
            if unit is not None and not self._debts.owed(unit, time.monotonic()):
                return
            if buffer:  # a frame is coming in: hear it to its end
                end_s = min(last_s, max(end_s, self._busy_until_s + self._timing.gap_s))

    def _strike(self, buffer: bytearray) -> None:
        """Strike the debts that drained frames pay."""
        try:
            while (frame := rtu_frame(buffer)) is not None:
                self._debts.pay(frame[0])
                del buffer[: frame[1]]
        except FrameError:
            buffer.clear()

    def _read(self, seconds: float) -> bytes:
        """Return what comes within so many seconds, or nothing. Raises OSError and StoppedError."""
        until_s = time.monotonic() + seconds
        ready = self._poll.poll(max(0.0, seconds) * 1000)
        while any(descriptor == self._bell for descriptor, _ in ready):
            # Rung for what comes after this request, unless it is to stop.
            self._answer_bell()
            ready = self._poll.poll(max(0.0, until_s - time.monotonic()) * 1000)
        if not ready:
            return b""
        try:
            chunk = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return b""
        if not chunk:
            raise OSError("the line was closed")
        self._busy_until_s = time.monotonic()
        self._heard = True
        return chunk
