"""The driver of question-and-answer instruments against a pseudo-terminal that answers, errs, is late and vanishes."""

import asyncio
import os
import pty
import tty
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from drivers import uart
from gateway.core.clock import SystemClock
from gateway.core.errors import NotConnectedError
from gateway.core.model import Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan

QUESTION = bytes.fromhex("ff0186000000000079")
TIMEOUT_S = 0.15


def reply(value: int) -> bytes:
    body = b"\x86" + value.to_bytes(2, "big") + bytes(4)
    return b"\xff" + body + bytes([-sum(body) & 0xFF])


@dataclass
class Head:
    """The other end of the line: writes what `answer` says to each question."""

    master: int
    port: str
    answer: Callable[[int], bytes]
    questions: list[bytes] = field(default_factory=list)

    def heard(self) -> None:
        self.questions.append(os.read(self.master, 256))
        self.write(self.answer(len(self.questions)))

    def write(self, data: bytes) -> None:
        if data:
            os.write(self.master, data)


@pytest.fixture
async def head() -> AsyncIterator[Head]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    made = Head(master, os.ttyname(slave), reply)
    loop = asyncio.get_running_loop()
    loop.add_reader(master, made.heard)
    yield made
    loop.remove_reader(master)
    os.close(slave)
    if made.master >= 0:
        os.close(made.master)


def driver(head: Head, period_s: float = 0.02) -> uart.UartDriver:
    options = uart.InstrumentOptions(request=QUESTION.hex(), reply_bytes=9, reply_head="ff86", checksum_from=1)
    channel = ChannelPlan(Channel(3, "gd.gas", "gd", "co", period_s=period_s), uart.ChannelOptions(byte=2))
    plan = InstrumentPlan("gd", period_s, options, (channel,))
    return uart.create(uart.Options(port=head.port, timeout_s=TIMEOUT_S), [plan], SystemClock())


def _plan(row: int, **where: Any) -> ChannelPlan:
    return ChannelPlan(
        Channel(row, f"gd.c{row}", "gd", "co", period_s=0.02), uart.ChannelOptions(**{"byte": 2, **where})
    )


async def readings(made: uart.UartDriver, count: int) -> list[tuple[float, Quality]]:
    found = []
    for _ in range(count):
        batch = await made.read()
        assert batch.row.tolist() == [3]
        found.append((float(batch.value[0]), Quality(int(batch.quality[0]))))
    return found


async def test_each_question_is_asked_as_it_stands_and_its_reply_becomes_a_reading(head: Head) -> None:
    made = driver(head)
    await made.connect()
    assert await readings(made, 3) == [(1.0, Quality.GOOD), (2.0, Quality.GOOD), (3.0, Quality.GOOD)]
    assert head.questions == [QUESTION] * 3
    latency_s = made.latency_s(3)
    assert latency_s is not None
    assert 0 < latency_s < TIMEOUT_S
    await made.close()
    await made.close()


async def test_a_reply_in_pieces_and_noise_before_it_are_read(head: Head) -> None:
    head.answer = lambda _: b""
    made = driver(head)
    await made.connect()
    reading = asyncio.create_task(readings(made, 1))
    for part in (b"\x00\xff", reply(77)[:4], reply(77)[4:]):
        await asyncio.sleep(0.02)
        head.write(part)
    assert await reading == [(77.0, Quality.GOOD)]
    await made.close()


async def test_silence_and_garbage_are_no_values_and_a_head_that_returns_is_read_again(head: Head) -> None:
    answers = {1: b"", 2: reply(2)[:-1] + b"\x00"}
    head.answer = lambda n: answers.get(n, reply(n))
    made = driver(head)
    await made.connect()
    found = await readings(made, 3)
    assert [quality for _, quality in found] == [Quality.COMMS_LOST, Quality.UNREADABLE, Quality.GOOD]
    assert found[2][0] == 3.0
    await made.close()


async def test_a_late_reply_is_never_taken_for_the_next_questions(head: Head) -> None:
    late = 999
    head.answer = lambda n: b"" if n == 1 else reply(n)
    made = driver(head)
    await made.connect()
    assert await readings(made, 1) == [(pytest.approx(float("nan"), nan_ok=True), Quality.COMMS_LOST)]
    head.write(reply(late))
    assert await readings(made, 2) == [(2.0, Quality.GOOD), (3.0, Quality.GOOD)]
    await made.close()


async def test_a_port_that_vanishes_or_never_was_is_not_connected(head: Head) -> None:
    made = driver(head)
    await made.connect()
    await readings(made, 1)
    asyncio.get_running_loop().remove_reader(head.master)
    os.close(head.master)
    head.master = -1
    with pytest.raises(NotConnectedError) as caught:
        await readings(made, 5)
    assert caught.value.retry_s == uart.REOPEN_S
    await made.close()
    gone = uart.create(uart.Options(port="/dev/hazgate-none"), [], SystemClock())
    with pytest.raises(NotConnectedError, match="No such file"):
        await gone.connect()


async def test_a_read_that_is_cancelled_ends_at_once_and_the_next_is_whole(head: Head) -> None:
    head.answer = lambda n: b"" if n == 1 else reply(n)
    made = driver(head)
    await made.connect()
    reading = asyncio.create_task(made.read())
    await asyncio.sleep(0.02)
    reading.cancel()
    await asyncio.wait([reading], timeout=TIMEOUT_S / 2)
    assert reading.cancelled()
    asyncio.get_running_loop().call_later(TIMEOUT_S / 2, head.write, reply(999))  # late, and to nobody's question
    assert await readings(made, 1) == [(2.0, Quality.GOOD)]
    await made.close()


async def test_two_questions_on_one_line_are_asked_one_after_the_other(head: Head) -> None:
    head.answer = lambda _: b""
    other = {"request": "aa01", "reply_bytes": 4, "reply_head": "aa"}
    plans = [
        InstrumentPlan(name, 0.02, uart.InstrumentOptions(**given), (channel,))
        for name, given, channel in (
            ("a", {"request": QUESTION.hex(), "reply_bytes": 9, "reply_head": "ff86", "checksum_from": 1}, _plan(0)),
            ("b", other, _plan(1, byte=1, type="int8")),
        )
    ]
    made = uart.create(uart.Options(port=head.port, timeout_s=TIMEOUT_S), plans, SystemClock())
    await made.connect()

    def answer(_: int) -> bytes:
        asked = head.questions[-1]
        return reply(5) if asked == QUESTION else bytes.fromhex("aafe0058") if asked == b"\xaa\x01" else b""

    head.answer = answer
    found = [await made.read() for _ in range(4)]
    assert [(b.row.tolist(), b.value.tolist()) for b in found] == [([0], [5.0]), ([1], [-2.0])] * 2
    await made.close()


async def test_a_port_that_another_process_holds_is_refused(head: Head) -> None:
    first, second = driver(head), driver(head)
    await first.connect()
    with pytest.raises(NotConnectedError):
        await second.connect()
    await first.close()
    await second.connect()
    assert len(await readings(second, 1)) == 1
    await second.close()
