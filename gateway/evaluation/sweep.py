"""One option through a range of values: how much later a detector is for how many fewer false alarms."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from gateway.core.errors import ConfigError
from gateway.evaluation.evaluate import Result, evaluate
from gateway.evaluation.recording import Recording
from gateway.evaluation.rules import Rules

VALUES_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Sweep:
    """An option and the values it is to take.

    Attributes:
        option: The option, or `<rule id>.<option>`.
        values: The values in the order given.
    """

    option: str
    values: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> "Sweep":
        """Read `low=5:30:6` (six values from 5 to 30) or `low=5,10,25`.

        Raises:
            ValueError: It is neither; the message says what is wrong.

        >>> Sweep.parse("gas.low=5:30:6").values
        (5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
        >>> Sweep.parse("score=0.99,0.999")
        Sweep(option='score', values=(0.99, 0.999))
        """
        option, sign, given = text.partition("=")
        if not sign or not option:
            raise ValueError(f"{text!r} is neither OPTION=FROM:TO:COUNT nor OPTION=VALUE,VALUE,…")
        try:
            values = _range(given) if ":" in given else tuple(float(part) for part in given.split(","))
        except ValueError as error:
            raise ValueError(f"{given!r} is neither FROM:TO:COUNT nor numbers with commas: {error}") from None
        if len(values) > VALUES_MAX:
            raise ValueError(f"{len(values)} values; {VALUES_MAX} are the most")
        return cls(option.strip(), values)


def _range(text: str) -> tuple[float, ...]:
    if text.count(":") != 2:
        raise ValueError("a range has three numbers, as in 5:30:6")
    first, last, count = text.split(":")
    if int(count) < 2:
        raise ValueError("at least 2 values make a sweep")
    return tuple(float(value) for value in np.linspace(float(first), float(last), int(count)).round(12))


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one value.

    Attributes:
        value: The option's value.
        result: The detector's result.
    """

    value: float
    result: Result


def swept(rules: Rules, sweep: Sweep, recordings: Sequence[Recording]) -> Iterator[Step]:
    """Yield a step for each value, and for each rule that has the option.

    Raises:
        ConfigError: No rule has the option, or its detector refuses a value.
        SiteFileError: A rule cannot be bound.
    """
    rule_id, _, key = sweep.option.rpartition(".")
    having = tuple(e for e in rules.entries if rule_id in ("", e.section.id) and key in type(e.options).model_fields)
    if not having:
        rules.changed(sweep.option, sweep.values[0], rules.name)
        raise ConfigError((), f"no rule has the option {sweep.option!r}")
    only = replace(rules, entries=having)
    for value in sweep.values:
        changed = only.changed(sweep.option, value, f"{sweep.option}={value:g}")
        for result in evaluate(changed, recordings, scores=False).results:
            yield Step(value, result)
