"""Days and weeks in a scenario: events that come again, by the clock or by chance within hours and days of the week."""

from collections.abc import Iterator, Sequence

import numpy as np

from gateway.core.errors import ConfigError
from simulators.events import Happening, Often
from simulators.mixing import DAY_S

OCCURRENCES_MAX = 100_000
"""The most times one event of a scenario may happen."""


def occurrences(
    events: Sequence[Happening], until_s: float | None, start_s: float, rng: np.random.Generator
) -> list[Happening]:
    """Return the events with those that come again written out; each one's chance is its own.

    Args:
        events: The timeline of a scenario.
        until_s: The scenario's end; None where it has none.
        start_s: Seconds from Monday 00:00 to second 0 of the scenario.
        rng: Source of chance.

    Raises:
        ConfigError: An event comes again without end, or too often.
    """
    chances = rng.spawn(len(events))
    found: list[Happening] = []
    for place, (event, chance) in enumerate(zip(events, chances, strict=True)):
        if event.every_s is None and event.often is None:
            found.append(event)
            continue
        if until_s is None:
            raise ConfigError(("events", place), "comes again and again, so the scenario needs duration_s")
        for count, at_s in enumerate(_times(event, until_s, start_s, chance)):
            if count == OCCURRENCES_MAX:
                raise ConfigError(("events", place), f"happens more than {OCCURRENCES_MAX} times")
            found.append(event.model_copy(update={"at_s": at_s, "every_s": None, "often": None}))
    return found


def _times(event: Happening, until_s: float, start_s: float, rng: np.random.Generator) -> Iterator[float]:
    at_s = event.at_s
    if event.every_s is not None:
        count = 0
        while event.at_s + count * event.every_s < until_s:
            yield event.at_s + count * event.every_s
            count += 1
        return
    assert event.often is not None
    # Chance at the full rate, thinned to the hours and days meant: exact, whatever the hours are.
    while (at_s := at_s + float(rng.exponential(3600.0 / event.often.per_h))) < until_s:
        if _within(event.often, start_s + at_s):
            yield at_s


def _within(often: Often, since_monday_s: float) -> bool:
    hour = since_monday_s % DAY_S / 3600.0
    return often.from_h <= hour < often.to_h and int(since_monday_s // DAY_S) % 7 in often.weekdays
