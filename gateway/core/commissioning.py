"""What commissioning says to a driver's survey and hears from it: settings, fingerprints, finds, registers, guesses.

A driver that can be surveyed has a module `survey` beside it that satisfies `Survey`; the kernel reaches it by name.
Nothing here, and nothing that a survey sends, writes to an instrument.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from gateway.core.clock import Clock
from gateway.core.errors import HazgateError
from gateway.core.plugin import Driver

UNKNOWN_WORD = -1
"""Stands in a sample where a register was refused."""


class NoAnswerError(HazgateError):
    """An instrument did not answer a question.

    Args:
        what: What was asked, and of whom.
        reason: Why there is no answer.
    """

    def __init__(self, what: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{what}: {reason}")


@dataclass(frozen=True, slots=True, order=True)
class LineSettings:
    """How a serial line is set.

    >>> str(LineSettings(4800, "E", 1)), LineSettings().options()
    ('4800 8E1', {'baud': 9600, 'parity': 'N', 'stop_bits': 1})
    """

    baud: int = 9600
    parity: str = "N"
    stop_bits: int = 1

    def __str__(self) -> str:
        return f"{self.baud} 8{self.parity}{self.stop_bits}"

    def options(self) -> dict[str, Any]:
        """Return them as options of a connection."""
        return {"baud": self.baud, "parity": self.parity, "stop_bits": self.stop_bits}


@dataclass(frozen=True, slots=True)
class Mark:
    """Registers whose value gives a kind of instrument away.

    Attributes:
        table: The table they stand in.
        address: The first, on the wire.
        count: How many; each has to fit.
        spans: Ranges of a register, both ends included, any of which fits; none means that its answering is enough.
    """

    table: str
    address: int
    count: int = 1
    spans: tuple[tuple[int, int], ...] = ()

    def fits(self, words: Sequence[int]) -> bool:
        """Return whether registers carry the mark.

        >>> Mark("holding", 0, 2, ((0, 1), (7, 9))).fits([8, 1]), Mark("holding", 0, 1).fits([5])
        (True, True)
        """
        return all(any(low <= word <= high for low, high in self.spans) for word in words) or not self.spans


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """By what a profile's instrument is known.

    Attributes:
        profile: The profile's name.
        title: Maker and model, for people.
        line: Its factory settings; None where they are not known or it has no serial line.
        marks: All of them must fit.
        identification: Regular expressions by object (`vendor`, `product`, `model`, …) of its device identification.
        unit: Its factory unit address; None where it is not known.
    """

    profile: str
    title: str = ""
    line: LineSettings | None = None
    marks: tuple[Mark, ...] = ()
    identification: Mapping[str, str] = field(default_factory=dict)
    unit: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An instrument that answered.

    Attributes:
        endpoint: Where it was asked, as an endpoint of the site file.
        unit: Its unit address.
        line: How the line was set; None over a network.
        answer: What it answered first: `value` or `exception 0x02`.
        latency_s: Seconds to that answer.
        identification: What it calls itself, by object; empty where it does not say.
        profiles: Profiles that fit, best first.
        sure: The first of them fits too well for chance, and better than the others.
        note: What is odd about it, in one sentence.
    """

    endpoint: str
    unit: int
    line: LineSettings | None = None
    answer: str = "value"
    latency_s: float = 0.0
    identification: Mapping[str, str] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    sure: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is.

    Attributes:
        endpoint: What is asked now.
        line: With which settings; None over a network.
        unit: Which unit.
        done: Questions asked.
        total: Questions to ask, as far as can be known.
        left_s: Seconds that it will still take at the present rate.
    """

    endpoint: str
    line: LineSettings | None
    unit: int
    done: int
    total: int
    left_s: float


@dataclass(frozen=True, slots=True)
class Hint:
    """Something that a scan noticed beside its finds, e.g. bytes that are no frame: most likely a wrong bit rate."""

    endpoint: str
    line: LineSettings | None
    text: str


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """What to scan.

    Attributes:
        endpoints: Ports and hosts by name; never a network.
        units: Unit addresses, in the order they are asked.
        lines: Settings of serial lines, likeliest first.
        fingerprints: By what instruments are recognised.
        every_line: Go on with other settings after one at which something answered.
        thorough: Ask a silent unit a second kind of question too, which takes twice the time.
        wait_s: Seconds that an instrument may take before it answers; by the endpoint's kind where None.
    """

    endpoints: tuple[str, ...]
    units: tuple[int, ...]
    lines: tuple[LineSettings, ...] = (LineSettings(),)
    fingerprints: tuple[Fingerprint, ...] = ()
    every_line: bool = False
    thorough: bool = False
    wait_s: float | None = None


Tell = Callable[[Found | Progress | Hint], None]


@dataclass(frozen=True, slots=True)
class Words:
    """A run of registers, or of bits, as they were read.

    Attributes:
        table: The table.
        address: The first address.
        values: One a register or bit; None where the instrument refuses it.
        refused: Exception codes by address.
        latency_s: Seconds the first answer took.
    """

    table: str
    address: int
    values: tuple[int | None, ...]
    refused: Mapping[int, int] = field(default_factory=dict)
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True)
class View:
    """One register in every way it can be read; what needs the register after it is None where that is missing.

    Attributes:
        uint32: By byte order.
        int32: By byte order.
        float32: By byte order.
    """

    address: int
    word: int | None
    int16: int | None
    uint32: Mapping[str, int] | None
    int32: Mapping[str, int] | None
    float32: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class Sample:
    """What stood in the registers while the instrument's display showed a value.

    Attributes:
        words: int32[k, n]: k looks at the same n registers, taken around the moment; UNKNOWN_WORD where refused.
        value: What the display showed.
        decimals: Digits after the point that it showed.
    """

    words: NDArray[np.int32]
    value: float
    decimals: int


@dataclass(frozen=True, slots=True)
class Guess:
    """One way to read the registers that gives the shown values.

    Attributes:
        table: The table.
        address: Of the first register.
        type: Type of the value.
        order: Byte order.
        scale: The raw value is multiplied by this.
        value: What it reads in the last sample.
        matched: Samples that it explains.
        share: How likely it is among all that explain as many, 0 to 1.
        twins: Other ways that cannot be told from it by these samples, and when they would differ.
    """

    table: str
    address: int
    type: str
    order: str
    scale: float
    value: float
    matched: int
    share: float
    twins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the samples say.

    Attributes:
        guesses: Best first; those that explain fewer samples than the best are left out.
        unique: Only one way explains every sample.
        advice: What to do next, in one sentence.
    """

    guesses: tuple[Guess, ...]
    unique: bool
    advice: str


class Bus(Protocol):
    """An endpoint that a person asks: reads only, one question at a time."""

    async def open(self) -> None:
        """Connect. Raises NotConnectedError."""
        ...

    async def read(self, unit: int, table: str, address: int, count: int) -> Words:
        """Return registers or bits; what is refused is found and left out. Raises NoAnswerError, NotConnectedError."""
        ...

    async def identify(self, unit: int) -> dict[str, str]:
        """Return what an instrument calls itself, by object; empty where it has no such function."""
        ...

    async def close(self) -> None:
        """Let go; may be called twice."""
        ...


class Survey(Protocol):
    """What a driver's `survey` module offers."""

    def bus(self, endpoint: str, line: LineSettings | None = None, wait_s: float | None = None) -> Bus:
        """Return a way to an endpoint. Raises ConfigError where the endpoint cannot be read."""
        ...

    def bus_of(self, options: BaseModel) -> Bus:
        """Return a way to a site file's connection."""
        ...

    def bus_through(self, driver: Driver) -> Bus | None:
        """Return a way through a running driver, or None where it takes no questions."""
        ...

    def place(self, endpoint: str) -> str:
        """Return what two endpoints have in common where they are the same port or socket. Raises ConfigError."""
        ...

    def place_of(self, options: BaseModel) -> str:
        """Return the same for a connection's options."""
        ...

    async def scan(self, plan: ScanPlan, clock: Clock, tell: Tell) -> None:
        """Look for instruments and tell each as soon as it is known. Prompt to cancel. Raises NotConnectedError."""
        ...

    def views(self, words: Words) -> list[View]:
        """Return registers in every way they can be read."""
        ...

    def rank(
        self, seen: Mapping[str, Sequence[Sample]], address: int, unit: str = "", full_scale: float | None = None
    ) -> Verdict:
        """Return how tables' registers from `address` on are to be read so that they give what was shown."""
        ...
