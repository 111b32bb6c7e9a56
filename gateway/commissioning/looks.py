"""Looks at tables of an instrument around the moment at which its display shows a value."""

from collections.abc import Sequence
from typing import Final

from gateway.core.clock import Clock
from gateway.core.commissioning import Bus, NoAnswerError, Words

LOOKS: Final = 2
LOOK_EVERY_S: Final = 0.3


async def look(
    bus: Bus, unit: int, tables: Sequence[str], address: int, count: int, *, clock: Clock
) -> dict[str, list[Words]]:
    """Return two looks at each table; a table about which the instrument is silent is left out.

    Raises:
        NoAnswerError: It is silent about all of them.
        NotConnectedError: The endpoint cannot be reached.
    """
    found: dict[str, list[Words]] = {}
    silent: NoAnswerError | None = None
    for table in tables:
        try:
            found[table] = [await bus.read(unit, table, address, count)]
        except NoAnswerError as error:
            # Some instruments say nothing to a function that they do not know, instead of refusing it.
            silent = error
    if not found and silent is not None:
        raise silent
    for _ in range(LOOKS - 1):
        await clock.sleep(LOOK_EVERY_S)
        for table, words in found.items():
            words.append(await bus.read(unit, table, address, count))
    return found
