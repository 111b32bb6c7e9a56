"""TCP servers and lines that do everything wrong."""

import asyncio
import os
import random
import time
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

from gateway.core.errors import NotConnectedError
from gateway.core.model import Quality

LOST = Quality.COMMS_LOST


WRONG = [
    "foreign transaction",
    "transaction 0",
    "foreign unit",
    "foreign function",
    "one register less",
    "one register more",
    "byte count too small",
    "byte count too large",
    "exception with a tail",
    "exception to another function",
    "protocol 1",
    "length 0",
    "length 65535",
    "length short by one",
    "truncated",
    "noise",
    "text",
    "nothing",
]


async def bring(
    bench: Any, instrument: Any, behave: Any, units: dict[int, list[int]] | None = None, **options: Any
) -> Any:
    server = await instrument(behave)
    made = await bench(f"tcp://127.0.0.1:{server.port}", units or {1: [10, 11]}, **{"timeout_s": 0.1, **options})
    return made, server


def wrong_replies(wire: Any) -> dict[str, Any]:
    """Everything that is no answer to what was asked."""
    reply = wire.tcp_reply
    return {
        "foreign transaction": lambda a: reply(a, transaction=a.transaction ^ 0x1000),
        "transaction 0": lambda a: reply(a, transaction=0),
        "foreign unit": lambda a: reply(a, a.body(unit=a.unit + 1)),
        "foreign function": lambda a: reply(a, a.body(function=4)),
        "one register less": lambda a: reply(a, a.body(count=a.count - 1)),
        "one register more": lambda a: reply(a, a.body(count=a.count + 1)),
        "byte count too small": lambda a: reply(a, a.body()[:2] + b"\x02" + a.body()[3:]),
        "byte count too large": lambda a: reply(a, a.body()[:2] + b"\x08" + a.body()[3:]),
        "exception with a tail": lambda a: reply(a, bytes((a.unit, 0x83, 2, 0))),
        "exception to another function": lambda a: reply(a, bytes((a.unit, 0x84, 2))),
        "protocol 1": lambda a: reply(a)[:3] + b"\x01" + reply(a)[4:],
        "length 0": lambda a: reply(a)[:4] + b"\0\0" + reply(a)[6:],
        "length 65535": lambda a: reply(a)[:4] + b"\xff\xff" + reply(a)[6:],
        "length short by one": lambda a: reply(a)[:5] + bytes((reply(a)[5] - 1,)) + reply(a)[6:],
        "truncated": lambda a: reply(a)[:-1],
        "noise": lambda a: random.Random(a.number).randbytes(300),
        "text": lambda a: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "nothing": lambda a: b"",
    }


@pytest.mark.parametrize("kind", WRONG)
async def test_a_reply_that_is_none_becomes_a_lost_reading_and_a_right_one_is_taken_again(
    kind: str, bench: Any, tcp_instrument: Any, wire: Any
) -> None:
    wrong = True
    make = wrong_replies(wire)[kind]

    async def behave(asked: Any) -> None:
        asked.send(make(asked) if wrong else wire.tcp_reply(asked))

    made, _ = await bring(bench, tcp_instrument, behave)
    for _ in range(4):
        batch = await made.read()
        assert set(batch.quality.tolist()) == {LOST}, kind
    wrong = False
    await made.read_for(0.5)
    assert made.qualities(1)[-1] == Quality.GOOD
    assert made.count(wire.value)[1] == 0


async def test_wrong_replies_before_the_right_one_do_no_harm(bench: Any, tcp_instrument: Any, wire: Any) -> None:
    async def behave(asked: Any) -> None:
        for kind in ("foreign transaction", "transaction 0", "foreign unit", "foreign function", "one register less"):
            asked.send(wrong_replies(wire)[kind](asked))
        asked.send(wire.tcp_reply(asked))
        asked.send(wire.tcp_reply(asked))  # and once more

    made, server = await bring(bench, tcp_instrument, behave)
    for _ in range(30):
        assert set((await made.read()).quality.tolist()) == {Quality.GOOD}
    assert made.count(wire.value) == (60, 0)
    assert server.connections == 1


async def test_frames_may_come_byte_by_byte_or_all_at_once(bench: Any, tcp_instrument: Any, wire: Any) -> None:
    held: list[bytes] = []

    async def behave(asked: Any) -> None:
        if asked.number % 2:
            for byte in wire.tcp_reply(asked):
                asked.send(bytes((byte,)))
                await asyncio.sleep(0.0005)
            return
        held.append(wire.tcp_reply(asked))
        asked.send(wire.tcp_reply(asked, transaction=0) + held[-1] + held[0])

    made, _ = await bring(bench, tcp_instrument, behave, timeout_s=0.5)
    for _ in range(20):
        assert set((await made.read()).quality.tolist()) == {Quality.GOOD}
    assert made.count(wire.value) == (40, 0)


async def test_replies_out_of_order_find_their_requests(bench: Any, tcp_instrument: Any, wire: Any) -> None:
    rng = random.Random(6)

    async def behave(asked: Any) -> None:
        await asyncio.sleep(rng.uniform(0, 0.02))
        asked.send(wire.tcp_reply(asked))

    made, _ = await bring(
        bench, tcp_instrument, behave, {u: [0, 1, 50, 51] for u in range(1, 6)}, in_flight=8, timeout_s=1.0
    )
    await made.read_for(1.0)
    valued, wrong = made.count(wire.value)
    assert wrong == 0
    assert valued > 200
    assert not any(batch.quality.any() for _, batch in made.log)


async def test_a_half_open_connection_is_noticed_within_the_time_out(
    bench: Any, tcp_instrument: Any, wire: Any
) -> None:
    async def behave(asked: Any) -> None:
        """Accept and never answer."""

    made, server = await bring(bench, tcp_instrument, behave, {1: [0], 2: [0]}, timeout_s=0.2)
    start = time.monotonic()
    batch = await made.read()
    assert batch.quality.tolist() == [LOST]
    assert 0.15 < time.monotonic() - start < 1.0
    found = await made.read_for(2.0)
    for unit in (1, 2):
        assert set(made.qualities(unit, found)) == {LOST}
    gaps = [b - a for (a, _), (b, _) in pairwise(found)]
    assert max(gaps) < 0.5
    assert server.connections > 1


async def test_an_exception_storm_ends_in_refused_readings(bench: Any, tcp_instrument: Any, wire: Any) -> None:
    rng = random.Random(7)

    async def behave(asked: Any) -> None:
        asked.send(wire.tcp_reply(asked, bytes((asked.unit, 0x83, rng.choice((1, 2, 3, 4, 7, 8, 0, 255))))))

    made, server = await bring(bench, tcp_instrument, behave, {1: list(range(100))}, period_s=0.05)
    async with asyncio.timeout(20):
        before = -1
        while before < len(server.asked):  # the search ends, and then nothing is asked for a minute
            before = len(server.asked)
            await made.read_for(0.5)
    assert {q for _, batch in made.log for q in batch.quality.tolist()} == {Quality.REFUSED}
    assert 199 <= len(server.asked) < 300  # a hundred registers, and what it takes to find them all


async def test_a_peer_that_closes_after_each_reply_is_read_all_the_same(
    bench: Any, tcp_instrument: Any, wire: Any
) -> None:
    async def behave(asked: Any) -> None:
        asked.send(wire.tcp_reply(asked))
        await asyncio.sleep(0.005)
        asked.hang_up()

    made, server = await bring(bench, tcp_instrument, behave, period_s=0.05)
    for _ in range(10):
        assert set((await made.read()).quality.tolist()) == {Quality.GOOD}
    assert server.connections >= 10


async def test_a_peer_that_hangs_up_on_one_unit_is_read_for_the_others(
    bench: Any, tcp_instrument: Any, wire: Any
) -> None:
    async def behave(asked: Any) -> None:
        if asked.unit == 2:
            asked.hang_up()
        else:
            asked.send(wire.tcp_reply(asked))

    made, _ = await bring(bench, tcp_instrument, behave, {1: [0], 2: [0], 3: [0]}, period_s=0.05)
    await made.read_for(1.5)
    assert set(made.qualities(2)) == {LOST}
    for unit in (1, 3):
        assert set(made.qualities(unit)) == {Quality.GOOD}
        assert len(made.qualities(unit)) >= 27


async def test_a_peer_that_accepts_and_closes_at_once_is_lost_or_silent_but_never_a_busy_loop(
    bench: Any,
) -> None:
    accepted = 0

    async def close_at_once(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        writer.transport.abort()

    server = await asyncio.start_server(close_at_once, "127.0.0.1", 0)
    try:
        made = await bench(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", {1: [0]}, 0.1)
        with suppress(NotConnectedError):
            await made.read_for(1.0)
        assert {int(q) for _, batch in made.log for q in batch.quality} <= {LOST}
        assert accepted < 40
    finally:
        server.close()
        await server.wait_closed()


async def test_cancelling_a_read_is_prompt(bench: Any, tcp_instrument: Any, serial_instrument: Any) -> None:
    async def mute(asked: Any) -> None:
        """Never answer."""

    over_tcp, _ = await bring(bench, tcp_instrument, mute, timeout_s=5.0)
    line = await bench(f"rtu://{serial_instrument(mute).path}", {1: [0]}, timeout_s=5.0)
    for made in (over_tcp, line):
        task = asyncio.create_task(made.driver.read())
        await asyncio.sleep(0.05)
        start = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await made.driver.close()
        assert time.monotonic() - start < 0.3


# --- lines --------------------------------------------------------------------------------------------------------


async def test_no_request_begins_within_the_silence_after_a_reply(
    bench: Any, serial_instrument: Any, wire: Any
) -> None:
    said: list[float] = []

    async def behave(asked: Any) -> None:
        said.append(asyncio.get_running_loop().time())
        asked.send(wire.rtu_reply(asked))

    line = serial_instrument(behave)
    made = await bench(f"rtu://{line.path}", {1: [0], 2: [0], 3: [0]}, 0.001, baud=9600, timeout_s=5.0)
    await made.read_for(1.0)
    heard = [at for at, _ in line.heard]
    gaps = [b - a for a, b in zip(said, heard[1:], strict=False)]
    assert len(gaps) > 20
    assert min(gaps) >= 3.5 * 10 / 9600
    assert not any(batch.quality.any() for _, batch in made.log)


@pytest.mark.parametrize("kind", ["noise", "bad checksum", "foreign unit", "foreign function", "length", "truncated"])
async def test_a_garbled_line_brings_lost_readings_and_no_wrong_ones(
    kind: str, bench: Any, serial_instrument: Any, wire: Any
) -> None:
    rng = random.Random(8)

    def garble(asked: Any) -> bytes:
        good = wire.rtu_reply(asked)
        return {
            "noise": lambda: rng.randbytes(20),
            "bad checksum": lambda: good[:-1] + bytes((good[-1] ^ 1,)),
            "foreign unit": lambda: wire.rtu_reply(asked, asked.body(unit=9)),
            "foreign function": lambda: wire.rtu_reply(asked, asked.body(function=4)),
            "length": lambda: wire.rtu_reply(asked, asked.body(count=asked.count + 1)),
            "truncated": lambda: good[:-2],
        }[kind]()

    async def behave(asked: Any) -> None:
        asked.send(garble(asked) if rng.random() < 0.3 else wire.rtu_reply(asked))

    line = serial_instrument(behave)
    made = await bench(
        f"rtu://{line.path}", {1: [0, 1, 90, 91]}, 0.001, baud=115200, timeout_s=0.03, backoff_max_s=0.02
    )
    await made.read_for(2.0)
    valued, wrong = made.count(wire.value)
    assert wrong == 0
    assert valued > 20
    assert {int(q) for _, b in made.log for q in b.quality} == {Quality.GOOD, LOST}


async def test_a_false_byte_before_a_reply_is_forgiven(bench: Any, serial_instrument: Any, wire: Any) -> None:
    async def behave(asked: Any) -> None:
        asked.send(b"\0" + wire.rtu_reply(asked))

    made = await bench(f"rtu://{serial_instrument(behave).path}", {1: [0, 1]}, baud=115200)
    await made.read_for(0.3)
    assert made.count(wire.value)[0] > 10
    assert set(made.qualities(1)) == {Quality.GOOD}


async def test_a_line_that_never_stops_talking_is_given_up_each_time(bench: Any, serial_instrument: Any) -> None:
    async def mute(asked: Any) -> None:
        """Leave the talking to the babbler."""

    line = serial_instrument(mute)

    async def babble() -> None:
        while True:
            line.say(os.urandom(4))
            await asyncio.sleep(0.001)

    task = asyncio.create_task(babble())
    try:
        made = await bench(f"rtu://{line.path}", {1: [0]}, 0.05, baud=115200, timeout_s=0.05)
        start = time.monotonic()
        async with asyncio.timeout(10):
            for _ in range(3):
                assert set((await made.read()).quality.tolist()) == {LOST}
        assert time.monotonic() - start < 8
    finally:
        task.cancel()


async def test_a_dead_unit_on_a_line_leaves_the_other_its_readings(
    bench: Any, serial_instrument: Any, wire: Any
) -> None:
    async def behave(asked: Any) -> None:
        if asked.unit == 7:
            asked.send(wire.rtu_reply(asked))

    made = await bench(
        f"rtu://{serial_instrument(behave).path}",
        {7: [0], 8: [0]},
        0.2,
        baud=115200,
        timeout_s=0.08,
        backoff_first_s=1.0,
        backoff_max_s=60.0,
    )
    found = await made.read_for(6.0)
    assert made.qualities(7, found).count(Quality.GOOD) >= 0.97 * 30
    assert set(made.qualities(8, found)) == {LOST}
    assert len(made.qualities(8, found)) >= 27


async def test_an_adapter_that_is_pulled_out_is_a_lost_connection(
    bench: Any, serial_instrument: Any, wire: Any
) -> None:
    async def behave(asked: Any) -> None:
        asked.send(wire.rtu_reply(asked))

    line = serial_instrument(behave)
    made = await bench(f"rtu://{line.path}", {1: [0]}, 0.02, baud=115200)
    await made.read()
    line.unplug()
    with pytest.raises(NotConnectedError):
        await made.read_for(5.0)
    with pytest.raises(NotConnectedError):
        await made.driver.connect()


async def test_an_adapter_that_is_pulled_out_while_nothing_is_asked_is_noticed_at_once(
    bench: Any, serial_instrument: Any, wire: Any
) -> None:
    async def behave(asked: Any) -> None:
        asked.send(wire.rtu_reply(asked))

    line = serial_instrument(behave)
    made = await bench(f"rtu://{line.path}", {1: [0]}, 3600.0, baud=115200)
    await made.read()
    task = asyncio.create_task(made.driver.read())
    await asyncio.sleep(0.05)
    line.unplug()
    with pytest.raises(NotConnectedError) as caught:
        async with asyncio.timeout(5):
            await task
    assert caught.value.retry_s is not None
    assert caught.value.retry_s <= 1.0
