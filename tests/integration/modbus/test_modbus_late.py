"""A late, foreign or repeated reply is never taken for the answer to another request.

Every register of these instruments holds another value, and each is read in blocks of equal length, so that a reply
in the wrong place is a wrong value. One in five replies comes after the driver has given up waiting.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from gateway.core.model import Quality

UNITS = {1: [0, 1, 500, 501], 2: [0, 1, 500, 501]}
TIMEOUT_S = 0.01
LATE = 0.2
SOME = 1_500
MANY = 20_000


def late(wire: Any, reply: Callable[..., bytes], rng: random.Random, seen: list[int], **changes: Any) -> Any:
    """Answer one in five requests between 1.2 and 5 time-outs late."""

    async def behave(asked: Any) -> None:
        if rng.random() < LATE:
            seen.append(asked.number)
            await asyncio.sleep(TIMEOUT_S * rng.uniform(1.2, 5.0))
        asked.send(reply(asked, **changes))

    return behave


async def read_until(bench: Any, reads: int, instrument: Any, wanted: Callable[[], int]) -> None:
    while wanted() < reads:
        await bench.read()
    assert len(instrument.asked) >= reads


async def check_tcp(bench: Any, instrument: Any, wire: Any, reads: int) -> None:
    seen: list[int] = []
    server = await instrument(late(wire, wire.tcp_reply, random.Random(1), seen))
    made = await bench(f"tcp://127.0.0.1:{server.port}", UNITS, 0.001, timeout_s=TIMEOUT_S)
    await read_until(made, reads, server, lambda: len(server.asked))
    valued, wrong = made.count(wire.value)
    assert wrong == 0
    assert valued > reads
    assert len(seen) > LATE * reads * 0.8


async def check_tcp_shared(bench: Any, instrument: Any, wire: Any, reads: int) -> None:
    seen: list[int] = []
    rng = random.Random(4)

    async def behave(asked: Any) -> None:
        if rng.random() < LATE:
            seen.append(asked.number)
            await asyncio.sleep(TIMEOUT_S * rng.uniform(1.2, 5.0))
            if server.writers:
                server.writers[-1].write(wire.tcp_reply(asked))  # on whatever connection stands by now
        else:
            asked.send(wire.tcp_reply(asked))

    server = await instrument(behave)
    made = await bench(f"tcp://127.0.0.1:{server.port}", UNITS, 0.001, timeout_s=TIMEOUT_S)
    await read_until(made, reads, server, lambda: len(server.asked))
    valued, wrong = made.count(wire.value)
    assert wrong == 0
    assert valued > reads
    assert len(seen) > LATE * reads * 0.8


async def check_zero(bench: Any, instrument: Any, wire: Any, reads: int) -> None:
    seen: list[int] = []
    server = await instrument(late(wire, wire.tcp_reply, random.Random(2), seen, transaction=0))
    made = await bench(
        f"tcp://127.0.0.1:{server.port}", UNITS, 0.001, timeout_s=TIMEOUT_S, backoff_first_s=0.01, backoff_max_s=0.01
    )
    await read_until(made, reads, server, lambda: len(server.asked))
    assert made.count(wire.value) == (0, 0)
    assert {int(q) for _, batch in made.log for q in batch.quality} == {Quality.COMMS_LOST}


async def check_line(made: Any, line: Any, wire: Any, reads: int, seen: list[int]) -> None:
    await read_until(made, reads, line, lambda: len(line.asked))
    valued, wrong = made.count(wire.value)
    assert wrong == 0
    assert valued > reads / 2
    assert len(seen) > LATE * reads * 0.8


async def check_rtu(bench: Any, instrument: Any, wire: Any, reads: int) -> None:
    seen: list[int] = []
    line = instrument(late(wire, wire.rtu_reply, random.Random(3), seen))
    made = await bench(
        f"rtu://{line.path}", UNITS, 0.001, timeout_s=TIMEOUT_S, baud=115200, backoff_first_s=0.01, backoff_max_s=0.02
    )
    await check_line(made, line, wire, reads, seen)


async def check_rtu_over_tcp(bench: Any, instrument: Any, wire: Any, reads: int) -> None:
    seen: list[int] = []
    line = await instrument(late(wire, wire.rtu_reply, random.Random(5), seen), serial=True, framing="rtu")
    made = await bench(
        f"rtu+tcp://127.0.0.1:{line.port}",
        UNITS,
        0.001,
        timeout_s=TIMEOUT_S,
        baud=115200,
        backoff_first_s=0.01,
        backoff_max_s=0.02,
    )
    await check_line(made, line, wire, reads, seen)


async def test_over_tcp_no_late_reply_becomes_a_value(bench: Any, tcp_instrument: Any, wire: Any) -> None:
    await check_tcp(bench, tcp_instrument, wire, SOME)


async def test_a_late_reply_on_the_next_connection_becomes_no_value(bench: Any, tcp_instrument: Any, wire: Any) -> None:
    await check_tcp_shared(bench, tcp_instrument, wire, SOME)


async def test_an_instrument_that_answers_transaction_0_is_never_believed(
    bench: Any, tcp_instrument: Any, wire: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    await check_zero(bench, tcp_instrument, wire, 150)
    assert capsys.readouterr().out.count("reply dropped") == 1


async def test_on_a_serial_line_no_late_reply_becomes_a_value(bench: Any, serial_instrument: Any, wire: Any) -> None:
    await check_rtu(bench, serial_instrument, wire, SOME)


async def test_behind_a_serial_server_no_late_reply_becomes_a_value(bench: Any, tcp_instrument: Any, wire: Any) -> None:
    await check_rtu_over_tcp(bench, tcp_instrument, wire, SOME)


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("check", [check_tcp, check_tcp_shared, check_zero, check_rtu_over_tcp])
async def test_twenty_thousand_reads_over_tcp_bring_no_wrong_value(
    check: Any, bench: Any, tcp_instrument: Any, wire: Any
) -> None:
    await check(bench, tcp_instrument, wire, MANY)


@pytest.mark.long
@pytest.mark.timeout(3000)
async def test_twenty_thousand_reads_of_a_line_bring_no_wrong_value(
    bench: Any, serial_instrument: Any, wire: Any
) -> None:
    await check_rtu(bench, serial_instrument, wire, MANY)
