"""A way to an endpoint for a person's questions: its own link, or the link of a driver that is running."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Protocol

from pydantic import ValidationError

from drivers.modbus.frames import BIT_FUNCTIONS, FUNCTIONS, UNIT_ABSENT, Refused, Request, identity
from drivers.modbus.link import Answer, Fault, Miss
from drivers.modbus.options import Options
from drivers.modbus.wiring import link_maker
from gateway.core.clock import Clock
from gateway.core.commissioning import LineSettings, NoAnswerError, Words
from gateway.core.errors import ConfigError

READING = frozenset({1, 2, 3, 4, 43})
"""Functions that commissioning sends; whatever else is asked is a mistake of ours."""
REGISTERS_AT_ONCE = 64
"""Fewer than the standard's 125: many instruments give 32 or 64, and a look at registers is in no hurry."""
BITS_AT_ONCE = 512
QUESTIONS_MAX = 256
"""Questions of one look: where an instrument refuses every second register, the rest counts as refused."""
NO_SUCH_FUNCTION = 0x01
BUSY = (0x05, 0x06)
BUSY_TRIES = 5
BUSY_WAIT_S = 0.2
NAMES = {0: "vendor", 1: "product", 2: "revision", 3: "url", 4: "product_name", 5: "model", 6: "application"}
"""Objects of function 43/14, as a profile names them."""
BASIC, REGULAR = 1, 2
"""Which objects of an identification are asked for."""
OBJECTS_MAX = 8
"""Replies of an identification that are followed."""


class Asker(Protocol):
    """Whoever can put a question to an endpoint."""

    async def open(self) -> None:
        """Connect. Raises NotConnectedError."""
        ...

    async def ask(self, request: Request, timeout_s: float | None = None) -> Answer:
        """Return the answer to one question. Raises NotConnectedError."""
        ...

    async def close(self) -> None:
        """Let go; may be called twice."""
        ...


class Question:
    """One question on its way."""

    __slots__ = ("outcome", "request", "timeout_s")

    def __init__(self, request: Request, timeout_s: float | None) -> None:
        self.request = request
        self.timeout_s = timeout_s
        self.outcome: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()


class LinkAsker:
    """Asks over a link of its own, one question at a time.

    Args:
        options: The connection's.
    """

    def __init__(self, options: Options) -> None:
        self._link = link_maker(options)(self._done)
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Connect. Raises NotConnectedError."""
        await self._link.open()

    async def ask(self, request: Request, timeout_s: float | None = None) -> Answer:
        """Return the answer; a connection that the peer closed between two questions is opened again, once."""
        async with self._turn:
            for last in (False, True):
                if not self._link.is_open:
                    await self._link.open()
                question = Question(request, timeout_s)
                self._link.send(question)
                answer = await question.outcome
                if last or not (isinstance(answer, Miss) and answer.fault is Fault.CLOSED):
                    break
        return answer

    async def close(self) -> None:
        """Let go."""
        await self._link.close()

    @staticmethod
    def _done(question: Question, answer: Answer) -> None:
        if not question.outcome.done():
            question.outcome.set_result(answer)


class Answering(Protocol):
    """A running driver that takes questions between its polls."""

    async def ask(self, request: Request, timeout_s: float | None = None) -> Answer:
        """Return the answer to one question. Raises NotConnectedError."""
        ...


class DriverAsker:
    """Asks through a running driver, which owns the line and keeps its polls.

    Args:
        driver: The driver.
    """

    def __init__(self, driver: Answering) -> None:
        self._driver = driver

    async def open(self) -> None:
        """Do nothing: the driver's connection is the supervisor's."""

    async def ask(self, request: Request, timeout_s: float | None = None) -> Answer:
        """Return the answer."""
        return await self._driver.ask(request, timeout_s)

    async def close(self) -> None:
        """Do nothing."""


class ModbusBus:
    """Reads tables and identifications; what an instrument refuses is found by halving and left out.

    Args:
        asker: Who puts the questions.
        endpoint: For messages.
        clock: For latencies and for the patience with a busy instrument.
    """

    def __init__(self, asker: Asker, endpoint: str, clock: Clock) -> None:
        self.endpoint = endpoint
        self._clock = clock
        self._asker = asker
        self._refused: dict[tuple[int, int], dict[int, int]] = {}

    async def open(self) -> None:
        """Connect. Raises NotConnectedError."""
        await self._asker.open()

    async def close(self) -> None:
        """Let go."""
        await self._asker.close()

    async def ask(self, request: Request, timeout_s: float | None = None) -> Answer:
        """Put one reading question; a busy instrument is asked again. Raises NotConnectedError."""
        assert request.function in READING
        answer = await self._asker.ask(request, timeout_s)
        for _ in range(BUSY_TRIES):
            if not (isinstance(answer, Refused) and answer.code in BUSY):
                break
            await self._clock.sleep(BUSY_WAIT_S)
            answer = await self._asker.ask(request, timeout_s)
        return answer

    async def read(self, unit: int, table: str, address: int, count: int) -> Words:
        """Return registers or bits from `address` on, in as many requests as it takes.

        What was refused once is not asked for again: a second look costs only what there is.

        Raises:
            NoAnswerError: The instrument is silent, or its gateway cannot reach it.
            NotConnectedError: The endpoint cannot be reached.
        """
        function = FUNCTIONS[table]
        refused = self._refused.setdefault((unit, function), {})
        look = Look(function, address, count, refused)
        began_s = self._clock.monotonic_s()
        latency_s = 0.0
        for asked in range(QUESTIONS_MAX):
            piece = look.next()
            if piece is None:
                break
            answer = await self.ask(Request(unit, function, *piece))
            if not asked:
                latency_s = self._clock.monotonic_s() - began_s
            if isinstance(answer, Miss):
                raise NoAnswerError(f"{self.endpoint} unit {unit}", answer.reason)
            if isinstance(answer, Refused) and answer.code in UNIT_ABSENT:
                raise NoAnswerError(f"{self.endpoint} unit {unit}", f"the gateway answers exception {answer.code:#04x}")
            look.take(piece, answer)
        return look.words(table, latency_s)

    async def identify(self, unit: int) -> dict[str, str]:
        """Return what an instrument calls itself, by object; empty where it does not know the function."""
        objects: dict[int, bytes] = {}
        following: int | None = 0
        # The regular objects hold the model. An instrument that has only the basic ones should say so by its answer;
        # some refuse the question instead.
        code = REGULAR
        for _ in range(OBJECTS_MAX):
            if following is None:
                break
            answer = await self.ask(Request.identify(unit, code, following))
            if isinstance(answer, Refused) and answer.code != NO_SUCH_FUNCTION and code == REGULAR and not objects:
                code = BASIC
                continue
            if not isinstance(answer, bytes):
                break
            told = identity(answer)
            objects.update(told.objects)
            following = told.next
        named = {NAMES.get(number, f"object_{number}"): _text(raw) for number, raw in sorted(objects.items())}
        return {name: text for name, text in named.items() if text}


Piece = tuple[int, int]
"""First address and length of a request."""


class Look:
    """What is still to be asked of a table, and what has come of it.

    Args:
        function: The reading function.
        address: First address.
        count: How many.
        refused: Exception codes by address, of earlier looks too; more are added.
    """

    def __init__(self, function: int, address: int, count: int, refused: dict[int, int]) -> None:
        self._function = function
        self._range = range(address, address + count)
        self._refused = refused
        self._values: dict[int, int] = {}
        most = BITS_AT_ONCE if function in BIT_FUNCTIONS else REGISTERS_AT_ONCE
        self._pieces = [
            (first, min(most, start + length - first))
            for start, length in _runs(a for a in self._range if a not in refused)
            for first in range(start, start + length, most)
        ]

    def next(self) -> Piece | None:
        """Return what to ask next, or None where nothing is left."""
        return self._pieces.pop(0) if self._pieces else None

    def take(self, piece: Piece, answer: bytes | Refused) -> None:
        """Take the answer to a piece; one that is refused is halved."""
        first, length = piece
        if isinstance(answer, bytes):
            self._values.update(enumerate(_values(self._function, answer, length), first))
        elif answer.code == NO_SUCH_FUNCTION:
            self._refused.update(dict.fromkeys(self._range, answer.code))
            self._pieces.clear()
        elif length == 1:
            self._refused[first] = answer.code
        else:
            half = length // 2
            self._pieces[:0] = [(first, half), (first + half, length - half)]

    def words(self, table: str, latency_s: float) -> Words:
        """Return what has come; what was not asked for is refused with code 0."""
        refused = {a: self._refused.get(a, 0) for a in self._range if a not in self._values}
        return Words(table, self._range.start, tuple(self._values.get(a) for a in self._range), refused, latency_s)


def _runs(addresses: Iterable[int]) -> Iterator[Piece]:
    """Yield runs of addresses without gaps."""
    start = end = -1
    for address in addresses:
        if address != end:
            if start >= 0:
                yield start, end - start
            start = address
        end = address + 1
    if start >= 0:
        yield start, end - start


def _values(function: int, data: bytes, count: int) -> list[int]:
    """Return the bits or registers of a reply's data."""
    if function in BIT_FUNCTIONS:
        return [data[i // 8] >> i % 8 & 1 for i in range(count)]
    return [data[i] << 8 | data[i + 1] for i in range(0, 2 * count, 2)]


def _text(raw: bytes) -> str:
    """Return an object's text without what cannot be printed, at most 80 characters."""
    text = raw.decode("utf-8", errors="replace")
    return "".join(c if c.isprintable() else "?" for c in text.strip("\0 \t\r\n"))[:80]


def options_of(
    endpoint: str, line: LineSettings | None = None, wait_s: float | None = None, quiet_s: float | None = None
) -> Options:
    """Return a connection's options for an endpoint. Raises ConfigError where it cannot be read."""
    values = {"endpoint": endpoint, "timeout_s": wait_s, "quiet_s": quiet_s, **(line.options() if line else {})}
    try:
        return Options.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(first["loc"], first["msg"].removeprefix("Value error, ")) from error
