"""Outputs and single questions, on libmodbus and on instruments that record every request."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.modbus import ChannelOptions, InstrumentOptions, Options, OutputOptions, create
from drivers.modbus.frames import Refused, Request
from drivers.modbus.link import Miss
from gateway.core.clock import SystemClock
from gateway.core.errors import NotConnectedError, OutputError
from gateway.core.model import Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan, OutputPlan

READING = {1, 2, 3, 4, 20, 24, 43}
SOUNDER = {"sounder": {"unit": 9, "address": 4}}
Make = Callable[..., Awaitable[Any]]


def echo(asked: Any) -> bytes:
    return bytes((asked.unit, asked.function)) + asked.address.to_bytes(2, "big") + asked.count.to_bytes(2, "big")


@pytest.fixture
async def switching() -> AsyncIterator[Make]:
    """Connected drivers with outputs and, where asked for, one instrument; somebody is always in `read`."""
    made: list[Any] = []
    readers: list[asyncio.Task[None]] = []

    async def make(
        endpoint: str, outputs: dict[str, dict[str, Any]], addresses: tuple[int, ...] = (), **options: Any
    ) -> Any:
        plans = []
        if addresses:
            channels = tuple(
                ChannelPlan(Channel(i, f"u1.r{i}", "u1", "t", period_s=0.01), ChannelOptions(address=address))
                for i, address in enumerate(addresses)
            )
            plans = [InstrumentPlan("u1", 0.01, InstrumentOptions(unit=1), channels)]
        driver = create(
            Options.model_validate({"endpoint": endpoint, "timeout_s": 0.3, **options}),
            plans,
            SystemClock(),
            [OutputPlan(name, OutputOptions.model_validate(given)) for name, given in outputs.items()],
        )
        made.append(driver)
        await driver.connect()
        driver.batches = []

        async def read() -> None:
            while True:
                try:
                    driver.batches.append(await driver.read())
                except NotConnectedError:
                    return

        readers.append(asyncio.create_task(read()))
        return driver

    yield make
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    for driver in made:
        await driver.close()


@pytest.mark.parametrize(
    "options",
    [
        {"address": 7},
        {"address": 7, "function": 15},
        {"table": "holding", "address": 12},
        {"table": "holding", "address": 12, "function": 16, "on": 0xA5, "off": 0x5A},
        {"table": "holding", "address": 13, "bit": 3},
    ],
)
async def test_an_output_of_libmodbus_is_switched_and_read_back(
    options: dict[str, Any], switching: Make, peer: Path, started: Any
) -> None:
    _, port = started(str(peer), "tcp")
    driver = await switching(f"tcp://127.0.0.1:{port}", {"sounder": {"unit": 9, **options}})
    bits = options.get("table", "coil") == "coil"
    place = Request(9, 1 if bits else 3, options["address"], 1)
    before = await driver.ask(place)
    for on in (True, True, False, True):
        await driver.switch("sounder", on=on)
        seen = int.from_bytes(await driver.ask(place), "big")
        if bits:
            assert seen == on
        elif "bit" in options:  # the others are left as they were
            assert seen == int.from_bytes(before, "big") & ~8 | on << 3
        else:
            assert seen == (options.get("on", 1) if on else options.get("off", 0))


async def test_an_output_is_switched_while_its_line_is_being_read(
    switching: Make, serial_instrument: Any, wire: Any
) -> None:
    coils = {}

    async def behave(asked: Any) -> None:
        if asked.function == 5:
            coils[asked.address] = asked.count == 0xFF00
            body = echo(asked)
        elif asked.function == 1:
            body = bytes((asked.unit, 1, 1, coils.get(asked.address, False)))
        else:
            body = asked.body()
        asked.send(wire.rtu_reply(asked, body))

    line = serial_instrument(behave)
    driver = await switching(f"rtu://{line.path}", {"sounder": {"unit": 9, "address": 4}}, (0, 1), baud=115200)
    for on in (True, False, True):
        await driver.switch("sounder", on=on)
        assert coils == {4: on}
    assert len(driver.batches) > 1
    assert all(set(batch.quality.tolist()) == {Quality.GOOD} for batch in driver.batches)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (lambda a: bytes((a.unit, a.function | 0x80, 4)), "0x04"),
        (lambda a: b"", "no reply"),
        (lambda a: bytes((a.unit, 1, 1, 0)) if a.function == 1 else None, "shows off"),
        (lambda a: b"" if a.function == 1 else None, "not read back"),
        (
            lambda a: bytes((a.unit, 5)) + a.address.to_bytes(2, "big") + b"\0\0" if a.function == 5 else None,
            "no reply",
        ),
    ],
)
async def test_an_output_that_does_not_do_as_it_is_told_is_an_error(
    reply: Callable[[Any], bytes | None], said: str, switching: Make, tcp_instrument: Any, wire: Any
) -> None:
    async def behave(asked: Any) -> None:
        body = reply(asked)
        if body is None:
            body = (
                bytes((asked.unit, asked.function)) + asked.address.to_bytes(2, "big") + asked.count.to_bytes(2, "big")
            )
        if body:
            asked.send(wire.tcp_reply(asked, body))

    server = await tcp_instrument(behave)
    driver = await switching(f"tcp://127.0.0.1:{server.port}", {"sounder": {"address": 4}}, timeout_s=0.1)
    with pytest.raises(OutputError, match=said):
        await driver.switch("sounder", on=True)


async def test_an_output_without_a_connection_or_of_another_is_an_error(switching: Make, tcp_instrument: Any) -> None:
    async def behave(_asked: Any) -> None:
        """Never answer."""

    server = await tcp_instrument(behave)
    driver = await switching(f"tcp://127.0.0.1:{server.port}", {"sounder": {"address": 4}})
    with pytest.raises(OutputError, match="no such output"):
        await driver.switch("beacon", on=True)
    await driver.close()
    with pytest.raises(OutputError, match="not connected"):
        await driver.switch("sounder", on=True)
    with pytest.raises(NotConnectedError):
        await driver.ask(Request(1, 3, 0, 1))


async def test_a_switching_goes_before_all_that_waits(switching: Make, serial_instrument: Any, wire: Any) -> None:
    async def behave(asked: Any) -> None:
        await asyncio.sleep(0.02)
        if asked.function == 5:
            body = echo(asked)
        else:
            body = bytes((asked.unit, 1, 1, 1)) if asked.function == 1 else asked.body()
        asked.send(wire.rtu_reply(asked, body))

    line = serial_instrument(behave)
    spread = tuple(range(0, 2000, 200))
    driver = await switching(
        f"rtu://{line.path}", {"sounder": {"unit": 9, "address": 4}}, spread, baud=115200, read_through=0
    )
    while len(line.asked) < 3:
        await asyncio.sleep(0.005)
    before = len(line.asked)
    await driver.switch("sounder", on=True)
    functions = [asked.function for asked in line.asked[before:]]
    # At most one was on the line already; between writing and reading back the line may ask one more.
    assert functions.index(5) <= 1
    assert functions.index(1) <= functions.index(5) + 2


# --- nothing but a named output is ever written ------------------------------------------------------------------


async def test_polls_refusals_silences_and_questions_send_no_writing_function(
    switching: Make, tcp_instrument: Any, wire: Any
) -> None:
    turn = 0

    async def behave(asked: Any) -> None:
        nonlocal turn
        turn += 1
        if turn % 5 == 0:
            return
        refused = asked.address <= 90 < asked.address + asked.count
        body = bytes((asked.unit, asked.function | 0x80, 2)) if refused else asked.body()
        asked.send(wire.tcp_reply(asked, body))

    server = await tcp_instrument(behave)
    driver = await switching(
        f"tcp://127.0.0.1:{server.port}", {"sounder": {"unit": 9, "address": 4}}, (0, 1, 50, 90), timeout_s=0.05,
        backoff_first_s=0.02, backoff_max_s=0.05,
    )  # fmt: skip
    for _ in range(5):
        await driver.ask(Request(1, 4, 3, 2))
    with pytest.raises(ValueError, match="function 6"):
        await driver.ask(Request.write_register(1, 0, 1))
    with pytest.raises(ValueError, match="function 23"):
        await driver.ask(Request.read_write(1, 0, 1, 0, [1]))
    async with asyncio.timeout(15):
        while len(server.asked) < 60:
            await asyncio.sleep(0.02)
    assert {Quality.REFUSED, Quality.COMMS_LOST} <= {int(q) for batch in driver.batches for q in batch.quality}
    assert {asked.function for asked in server.asked} <= READING


# --- single questions --------------------------------------------------------------------------------------------


async def test_a_question_is_answered_between_the_polls(switching: Make, peer: Path, started: Any) -> None:
    _, port = started(str(peer), "tcp")
    driver = await switching(f"tcp://127.0.0.1:{port}", {}, (1, 2))
    assert await driver.ask(Request(1, 4, 10, 1)) == (65535 - 10).to_bytes(2, "big")
    assert await driver.ask(Request(77, 3, 0, 1)) == b"\0\x4d"
    assert await driver.ask(Request(1, 3, 5000, 1)) == Refused(2)
    answers = await asyncio.gather(*(driver.ask(Request(1, 3, a, 1)) for a in range(1, 40)))
    assert [int.from_bytes(answer, "big") for answer in answers] == list(range(1, 40))
    assert all(set(batch.quality.tolist()) == {Quality.GOOD} for batch in driver.batches)


async def test_a_question_without_an_answer_is_a_miss_and_costs_the_polls_nothing_but_its_time(
    switching: Make, peer: Path, started: Any
) -> None:
    _, port = started(str(peer), "tcp", "5")
    driver = await switching(f"tcp://127.0.0.1:{port}", {}, (1, 2))
    answer = await driver.ask(Request(5, 3, 0, 1), timeout_s=0.05)
    assert isinstance(answer, Miss)
    assert "0.05 s" in answer.reason
    before = len(driver.batches)
    while len(driver.batches) < before + 5:
        await asyncio.sleep(0.01)
    assert all(set(batch.quality.tolist()) == {Quality.GOOD} for batch in driver.batches)


async def test_a_question_that_is_given_up_is_not_asked_later(switching: Make, tcp_instrument: Any, wire: Any) -> None:
    async def behave(asked: Any) -> None:
        await asyncio.sleep(0.05)
        asked.send(wire.tcp_reply(asked))

    server = await tcp_instrument(behave)
    driver = await switching(f"tcp://127.0.0.1:{server.port}", SOUNDER)
    first = asyncio.create_task(driver.ask(Request(1, 3, 0, 1)))
    second = asyncio.create_task(driver.ask(Request(1, 3, 1, 1)))
    await asyncio.sleep(0.01)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert isinstance(await first, bytes)
    assert isinstance(await driver.ask(Request(1, 3, 2, 1)), bytes)
    assert [asked.address for asked in server.asked] == [0, 2]


async def test_questions_that_wait_when_the_connection_closes_are_told(switching: Make, tcp_instrument: Any) -> None:
    async def behave(_asked: Any) -> None:
        """Never answer."""

    server = await tcp_instrument(behave)
    driver = await switching(f"tcp://127.0.0.1:{server.port}", SOUNDER, timeout_s=5.0)
    tasks = [asyncio.create_task(driver.ask(Request(1, 3, 0, 1))) for _ in range(70)]
    await asyncio.sleep(0.05)
    refused = [task for task in tasks if task.done()]
    assert len(refused) == 6  # beyond what may wait
    await driver.close()
    answers = await asyncio.gather(*tasks)
    assert all(isinstance(answer, Miss) for answer in answers)


async def test_a_question_to_an_endpoint_that_went_away_is_told_at_once(
    switching: Make, peer: Path, started: Any
) -> None:
    process, port = started(str(peer), "tcp")
    driver = await switching(f"tcp://127.0.0.1:{port}", SOUNDER)
    assert isinstance(await driver.ask(Request(1, 3, 0, 1)), bytes)
    process.kill()
    process.wait()
    async with asyncio.timeout(5):
        assert isinstance(await driver.ask(Request(1, 3, 0, 1)), Miss)
        with pytest.raises(NotConnectedError):
            await driver.ask(Request(1, 3, 0, 1))
        with pytest.raises(OutputError, match="not connected"):
            await driver.switch("sounder", on=True)
