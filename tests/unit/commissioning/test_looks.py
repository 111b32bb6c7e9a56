"""Looks at several tables: one that an instrument is silent about does not hide the others."""

import pytest

from gateway.commissioning.looks import LOOKS, look
from gateway.core.clock import ManualClock
from gateway.core.commissioning import NoAnswerError, Words


class Bench:
    """A bus whose instrument is silent about some tables."""

    def __init__(self, *silent: str) -> None:
        self.silent = silent
        self.reads: list[str] = []

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def identify(self, unit: int) -> dict[str, str]:
        return {"model": str(unit)}

    async def read(self, unit: int, table: str, address: int, count: int) -> Words:
        self.reads.append(table)
        if table in self.silent:
            raise NoAnswerError(f"unit {unit}", "no reply")
        return Words(table, address, (0,) * count)


async def test_a_table_without_an_answer_is_left_out_and_asked_once() -> None:
    bench = Bench("input")
    found = await look(bench, 1, ("input", "holding"), 0, 4, clock=ManualClock())
    assert {table: len(words) for table, words in found.items()} == {"holding": LOOKS}
    assert bench.reads.count("input") == 1


async def test_an_instrument_that_is_silent_about_everything_is_silent() -> None:
    with pytest.raises(NoAnswerError):
        await look(Bench("input", "holding"), 1, ("input", "holding"), 0, 4, clock=ManualClock())
