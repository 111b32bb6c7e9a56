"""What alarm events say to people: one plain English line each."""

import math
import re

from gateway.alarms.level import is_hazard
from gateway.core.model import Judged, Level, quality_name

_FORMULA = re.compile(r"(?:[a-z]{1,2}\d+)+[a-z]*\d*|co|no|hf|hcn|hcl|lel|tvoc|voc")
_WHY_MAX = 500
_THE_READING = Judged()


def spoken(quantity: str) -> str:
    """Return a quantity as it stands at the head of a sentence.

    >>> spoken("ch4"), spoken("cl2"), spoken("temperature"), spoken("")
    ('CH4', 'Cl2', 'Temperature', 'Value')
    """
    if _FORMULA.fullmatch(quantity):
        return quantity.upper().replace("CL", "Cl").replace("BR", "Br")
    return quantity[:1].upper() + quantity[1:] if quantity else "Value"


def number(value: float, decimals: int) -> str:
    """Return a value with the digits that mean something and no zeros behind.

    >>> number(17.204, 2), number(30.0, 2), number(-0.001, 1)
    ('17.2', '30', '0')
    """
    text = f"{value:.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def one_line(text: str) -> str:
    """Return a person's words on one line, blanks and line ends made one blank each, cut at 500 characters."""
    return " ".join(text.split())[:_WHY_MAX]


class Words:
    """The sentences of one alarm.

    Args:
        quantity: What is measured.
        unit: Its unit.
        decimals: Digits after the point that mean something.
        judged: What the judged values are, where they are not the reading itself.
    """

    __slots__ = ("_decimals", "_head", "_unit")

    def __init__(self, quantity: str, unit: str, decimals: int, judged: Judged = _THE_READING) -> None:
        self._head = f"{spoken(quantity)} {judged.en}".rstrip() if quantity or not judged.en else spoken(judged.en)
        self._unit = f" {unit}" if unit else ""
        self._decimals = decimals

    def seen(self, value: float) -> str:
        """Return what was measured, e.g. `CH4 at 17.2 %LEL`; without the value where there is none."""
        return self._head if math.isnan(value) else f"{self._head} at {number(value, self._decimals)}{self._unit}"

    def changed(self, before: Level, now: Level, value: float, limit: float, quality: int) -> str:
        """Return what a changed condition means.

        Args:
            before: What the rule said.
            now: What it says.
            value: The judged value, or NaN.
            limit: What it was compared with, or NaN.
            quality: The reading's `Quality` code, or the fault found.

        >>> Words("ch4", "%LEL", 1).changed(Level.NORMAL, Level.LOW, 17.2, 10.0, 0)
        'CH4 at 17.2 %LEL reached LOW limit 10'
        >>> Words("ch4", "%LEL", 1).changed(Level.HIGH, Level.FAULT, float("nan"), float("nan"), 129)
        'CH4 fault while HIGH: comms lost'
        """
        if now is Level.FAULT:
            during = f" while {before.name}" if is_hazard(before) else ""
            found = f": {quality_name(quality).replace('_', ' ')}" if quality else ""
            return f"{self._head} fault{during}{found}"
        if now is Level.NORMAL:
            return f"{self.seen(value)} is back to normal"
        if is_hazard(before) and (now is Level.WARNING or before is Level.HIGH):
            return f"{self.seen(value)} went from {before.name} to {now.name}"
        if now is Level.WARNING:
            return f"{self.seen(value)} gives a warning"
        return f"{self.seen(value)} reached {now.name}{_limit(limit)}"

    def still(self, now: Level, value: float | None, limit: float | None) -> str:
        """Return what is found after a reset: the condition is still there."""
        seen = self._head if value is None else self.seen(value)
        return f"{seen} is still {now.name} after the reset{'' if limit is None else _limit(limit)}"


def _limit(limit: float) -> str:
    return "" if math.isnan(limit) else f" limit {limit:.10g}"
