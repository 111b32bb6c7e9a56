import asyncio

import pytest

from gateway.core.model import Batch
from gateway.flow.inbox import Inbox


def readings(n: int, row: int = 0) -> Batch:
    return Batch.of([row] * n, 1, [1.0] * n)


async def test_all_that_arrives_in_one_turn_is_one_batch() -> None:
    taken: list[Batch] = []
    inbox = Inbox(taken.append)
    inbox.put(readings(2))
    inbox.put(readings(3))
    assert taken == []
    await asyncio.sleep(0)
    assert [len(batch) for batch in taken] == [5]
    assert len(inbox) == 0


async def test_a_full_inbox_is_emptied_in_the_callers_turn_and_drops_nothing() -> None:
    taken: list[Batch] = []
    inbox = Inbox(taken.append, readings_max=10)
    for _ in range(5):
        inbox.put(readings(4))
    await asyncio.sleep(0)
    assert sum(len(batch) for batch in taken) == 20
    assert len(taken[0]) == 12


async def test_a_burst_is_handed_on_in_slices_that_leave_the_loop_a_turn() -> None:
    turns: list[int] = []
    inbox = Inbox(lambda batch: turns.append(len(batch)), slice_max=10)
    for _ in range(6):
        inbox.put(readings(5))
    others = 0
    while len(turns) < 3:
        await asyncio.sleep(0)
        others += 1
    assert turns == [10, 10, 10]
    assert others >= 3


async def test_a_batch_larger_than_a_slice_goes_whole() -> None:
    taken: list[int] = []
    inbox = Inbox(lambda batch: taken.append(len(batch)), slice_max=10)
    inbox.put(readings(25))
    await asyncio.sleep(0)
    assert taken == [25]


async def test_an_empty_batch_wakes_nobody() -> None:
    inbox = Inbox(lambda _batch: pytest.fail("nothing came"))
    inbox.put(Batch.concat([]))
    await asyncio.sleep(0)
