"""Find the instruments of a line or a host, one question a unit address; what answers is asked who it is.

An exception is an answer too: only an instrument that is there can refuse. On a serial line every setting has its own
pass, likeliest first. A unit that is silent costs one short time-out; its late reply is never taken for the next
unit's, because a reply says whose it is.
"""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from drivers.modbus.frames import FUNCTIONS, UNIT_ABSENT, Refused, Request
from drivers.modbus.link import Answer, Miss
from drivers.modbus.options import Scheme, parse_endpoint
from drivers.modbus.survey.bus import LinkAsker, ModbusBus, options_of
from drivers.modbus.survey.identify import identify
from drivers.serial_port import speed
from gateway.core.clock import Clock
from gateway.core.commissioning import Found, Hint, LineSettings, Progress, ScanPlan, Tell
from gateway.core.errors import ConfigError, NotConnectedError

SERIAL_WAIT_S = 0.2
"""From the end of a request to the reply's first byte; instruments on a line take 5 to 150 ms."""
NETWORK_WAIT_S = 1.0
"""A gateway waits for its own line before it says that a unit is not there."""
QUIET_S = 0.001
"""No listening for a late reply: the next question goes to another unit, whose replies are its own."""
EVERY_UNIT_FROM = 3
"""So many neighbouring units in a row over a network are suspected of being one instrument that ignores the unit."""
GARBAGE = ("garbled", "no more than")
"""How a link begins the reason of a reply that was no frame."""


@dataclass(frozen=True, slots=True)
class Step:
    """One pass over the unit addresses of an endpoint."""

    endpoint: str
    line: LineSettings | None
    units: tuple[int, ...]


class Finds:
    """Finds of one pass; the first few are held back until it is clear that they are not one and the same.

    Args:
        tell: Told of each.
        held: How many are held back.
    """

    def __init__(self, tell: Tell, held: int) -> None:
        self.count = 0
        self._tell = tell
        self._held = held
        self._waiting: list[Found] = []

    @property
    def suspicious(self) -> bool:
        """Whether so many have answered alike that they may be one."""
        return self.count == self._held and len({found.answer for found in self._waiting}) == 1

    def add(self, found: Found) -> None:
        """Take a find."""
        if self.count == self._held:
            self.tell()
        self.count += 1
        self._waiting.append(found)
        if self.count > self._held:
            self.tell()

    def join(self, note: str) -> None:
        """Take all that are held back for one, and say why."""
        self._waiting = [replace(self._waiting[0], note=note)]
        self.count = 1

    def tell(self) -> None:
        """Tell what is held back."""
        for found in self._waiting:
            self._tell(found)
        self._waiting.clear()


def _said(error: NotConnectedError) -> str:
    """Return the system's words, which asyncio hides behind its own; a name that does not resolve has no number."""
    number = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
    return os.strerror(number) if number and number > 0 else error.reason


class Scan:
    """A scan that is under way.

    Args:
        plan: What to scan.
        clock: Time.
        tell: Told of each find, of the progress after each question, and of what is odd.
    """

    def __init__(self, plan: ScanPlan, clock: Clock, tell: Tell) -> None:
        self._plan = plan
        self._clock = clock
        self._tell = tell
        self._began_s = clock.monotonic_s()
        self._done = 0
        self._steps = [step for endpoint in plan.endpoints for step in steps(plan, endpoint)]
        self._total = sum(len(step.units) for step in self._steps)

    async def run(self) -> None:
        """Scan everything. Raises NotConnectedError where none of the endpoints can be opened."""
        unreached: list[NotConnectedError] = []
        reached = False
        for endpoint, passes in itertools.groupby(self._steps, lambda step: step.endpoint):
            try:
                await self._endpoint(list(passes))
                reached = True
            except NotConnectedError as error:
                unreached.append(error)
                if len(self._plan.endpoints) == 1:
                    raise
                self._tell(Hint(endpoint, None, f"cannot be opened: {_said(error)}"))
        if unreached and not reached:
            raise unreached[0]

    async def _endpoint(self, passes: list[Step]) -> None:
        """Try one setting after another until instruments have answered at one."""
        for i, step in enumerate(passes):
            if await self._pass(step) and i + 1 < len(passes) and not self._plan.every_line:
                left = len(passes) - i - 1
                self._skip(sum(len(other.units) for other in passes[i + 1 :]))
                self._tell(Hint(step.endpoint, step.line, f"{left} other line settings were not tried"))
                return

    async def _pass(self, step: Step) -> int:
        """Ask every unit with one setting; return how many answered."""
        serial = parse_endpoint(step.endpoint).scheme.serial
        wait_s = self._plan.wait_s or (SERIAL_WAIT_S if serial else NETWORK_WAIT_S)
        asker = LinkAsker(options_of(step.endpoint, step.line, wait_s, QUIET_S))
        bus = ModbusBus(asker, step.endpoint, self._clock)
        finds = Finds(self._tell, 0 if serial else EVERY_UNIT_FROM)
        garbage = 0
        try:
            await bus.open()
            for i, unit in enumerate(step.units):
                answer, latency_s = await self._probe(bus, unit)
                garbage += isinstance(answer, Miss) and answer.reason.startswith(GARBAGE)
                if _is_there(answer):
                    finds.add(await self._found(bus, step, unit, answer, latency_s))
                    if finds.suspicious and await self._is_everyone(bus, step):
                        finds.join("answers to every unit address")
                        self._skip(len(step.units) - i - 1)
                        break
                self._progress(step, unit)
        finally:
            await bus.close()
            finds.tell()
        if garbage:
            self._tell(Hint(step.endpoint, step.line, _noise(garbage)))
        return finds.count

    async def _probe(self, bus: ModbusBus, unit: int) -> tuple[Answer, float]:
        began_s = self._clock.monotonic_s()
        answer = await bus.ask(Request(unit, FUNCTIONS["holding"], 0, 1))
        latency_s = self._clock.monotonic_s() - began_s
        if isinstance(answer, Miss) and self._plan.thorough:
            began_s = self._clock.monotonic_s()
            answer = await bus.ask(Request(unit, FUNCTIONS["input"], 0, 1))
            latency_s = self._clock.monotonic_s() - began_s
        return answer, latency_s

    async def _found(self, bus: ModbusBus, step: Step, unit: int, answer: Answer, latency_s: float) -> Found:
        said = f"exception {answer.code:#04x}" if isinstance(answer, Refused) else "value"
        found = Found(step.endpoint, unit, step.line, said, latency_s)
        return await identify(bus, found, self._plan.fingerprints)

    @staticmethod
    async def _is_everyone(bus: ModbusBus, step: Step) -> bool:
        """Return whether the host answers to any unit at all: then it is one instrument, not a gateway with many."""
        strangers = [unit for unit in (246, 219, 187) if unit not in step.units]
        answers = [await bus.ask(Request(unit, FUNCTIONS["holding"], 0, 1)) for unit in strangers]
        return bool(answers) and all(_is_there(answer) for answer in answers)

    def _skip(self, questions: int) -> None:
        self._total -= questions

    def _progress(self, step: Step, unit: int) -> None:
        self._done += 1
        each_s = (self._clock.monotonic_s() - self._began_s) / self._done
        left_s = each_s * (self._total - self._done)
        self._tell(Progress(step.endpoint, step.line, unit, self._done, self._total, left_s))


def steps(plan: ScanPlan, endpoint: str) -> Iterator[Step]:
    """Yield the passes over an endpoint. Raises ConfigError for an endpoint or a setting that cannot be."""
    try:
        scheme = parse_endpoint(endpoint).scheme
    except ValueError as error:
        raise ConfigError((), str(error)) from error
    units = tuple(unit for unit in plan.units if unit or not scheme.serial)
    if scheme is not Scheme.RTU:
        yield Step(endpoint, None, units)
        return
    for line in plan.lines:
        if speed(line.baud) is None:
            raise ConfigError(("baud",), f"{line.baud} is no rate of a serial port; 9600, 19200, 115200 are")
        yield Step(endpoint, line, units)


def _is_there(answer: Answer) -> bool:
    return isinstance(answer, bytes) or (isinstance(answer, Refused) and answer.code not in UNIT_ABSENT)


def _noise(times: int) -> str:
    return (
        f"bytes that are no Modbus frame came {times} times: wrong bit rate or parity, wires A and B swapped,"
        " two instruments with one address, or another master on the line"
    )
