"""Scans of hosts whose behaviour is set: who counts as found, and what is sent at all."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.commissioning.wing import fingerprints, survey
from gateway.core.clock import SystemClock
from gateway.core.commissioning import Fingerprint, Found, Hint, Mark, Progress, ScanPlan
from gateway.core.errors import ConfigError, NotConnectedError

Pdu = bytes | None
Answers = Callable[[int, bytes], Pdu]
"""The reply to a unit's question, without header; None is silence."""


@asynccontextmanager
async def host(answers: Answers) -> AsyncIterator[tuple[str, list[int]]]:
    """A Modbus TCP host, and the functions that it was asked for."""
    functions: list[int] = []
    open_ones: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        try:
            while True:
                head = await reader.readexactly(6)
                body = await reader.readexactly(int.from_bytes(head[4:6], "big"))
                functions.append(body[1])
                reply = answers(body[0], body[1:])
                if reply is not None:
                    writer.write(head[:4] + (len(reply) + 1).to_bytes(2, "big") + body[:1] + reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            open_ones.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", functions
    finally:
        server.close()
        for writer in list(open_ones):
            writer.transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)


def word(value: int) -> bytes:
    """A reply with one register."""
    return bytes((3, 2)) + value.to_bytes(2, "big")


async def scanned(*ends: str, units: tuple[int, ...] = (1, 2, 3, 4), known: tuple[Fingerprint, ...] = (),
                  thorough: bool = False) -> tuple[list[Found], list[Hint], list[Progress]]:  # fmt: skip
    told: list[Found | Hint | Progress] = []
    plan = ScanPlan(ends, units, fingerprints=known, thorough=thorough, wait_s=0.1)
    await survey().scan(plan, SystemClock(), told.append)
    return (
        [each for each in told if isinstance(each, Found)],
        [each for each in told if isinstance(each, Hint)],
        [each for each in told if isinstance(each, Progress)],
    )


async def test_a_refusal_is_an_answer_and_a_gateways_apology_is_none() -> None:
    def answers(unit: int, _: bytes) -> Pdu:
        return {1: bytes((0x83, 0x0B)), 2: bytes((0x83, 0x02)), 3: bytes((0x83, 0x0A)), 4: word(7)}.get(unit)

    async with host(answers) as (end, _):
        found, _, progress = await scanned(end)
    assert [(each.unit, each.answer) for each in found] == [(2, "exception 0x02"), (4, "value")]
    assert [each.done for each in progress] == [1, 2, 3, 4]
    assert progress[-1].left_s == 0


async def test_a_host_that_answers_to_every_unit_is_one_instrument() -> None:
    async with host(lambda _, __: word(7)) as (end, functions):
        found, _, _ = await scanned(end, units=tuple(range(1, 33)))
    assert [(each.unit, each.note) for each in found] == [(1, "answers to every unit address")]
    assert len(functions) < 32


async def test_a_gateway_with_many_instruments_is_not_taken_for_one() -> None:
    async with host(lambda unit, _: word(unit) if unit <= 5 else bytes((0x83, 0x0B))) as (end, _):
        found, _, _ = await scanned(end, units=tuple(range(1, 9)))
    assert [each.unit for each in found] == [1, 2, 3, 4, 5]
    assert not any(each.note for each in found)


async def test_an_instrument_that_knows_input_registers_only_takes_a_thorough_scan() -> None:
    def answers(unit: int, pdu: bytes) -> Pdu:
        return bytes((4, 2, 0, 9)) if unit == 2 and pdu[0] == 4 else None

    async with host(answers) as (end, _):
        assert (await scanned(end, units=(2,)))[0] == []
        found, _, _ = await scanned(end, units=(2,), thorough=True)
    assert [each.unit for each in found] == [2]


async def test_an_answer_of_another_unit_is_nobodys() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(64):
            writer.write(data[:4] + bytes((0, 5, 99, 3, 2, 0, 1)))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        end = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        found, _, _ = await scanned(end, units=(1, 2))
    assert found == []


async def test_a_host_that_is_down_keeps_the_others_from_nothing() -> None:
    async with host(lambda unit, _: word(1) if unit == 2 else None) as (end, _):
        found, hints, _ = await scanned("tcp://127.0.0.1:1", end, units=(2,))
    assert [each.endpoint for each in found] == [end]
    assert [(each.endpoint, each.text) for each in hints] == [
        ("tcp://127.0.0.1:1", "cannot be opened: Connection refused")
    ]


async def test_a_scan_of_nothing_that_can_be_reached_fails() -> None:
    with pytest.raises(NotConnectedError):
        await scanned("tcp://127.0.0.1:1", units=(1,))


async def test_an_endpoint_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="tcp://host:port"):
        await scanned("ftp://127.0.0.1")


async def test_whatever_an_instrument_answers_only_reading_functions_are_sent() -> None:
    answer = iter([word(1), bytes((0x83, 0x06)), bytes((0x83, 0x06)), bytes((0xAB, 0x01))])

    def answers(unit: int, pdu: bytes) -> Pdu:
        return next(answer, bytes((pdu[0] | 0x80, 0x02))) if unit == 1 else None

    async with host(answers) as (end, functions):
        await scanned(end, units=(1,), known=fingerprints(), thorough=True)
    assert set(functions) <= {1, 2, 3, 4, 43}
    assert 43 in functions


async def test_what_an_instrument_calls_itself_is_told_and_matched() -> None:
    objects = bytes((0x0E, 2, 0x82, 0, 0, 2, 0, 4)) + b"Acme" + bytes((5, 3)) + b"G-7"

    def answers(_: int, pdu: bytes) -> Pdu:
        return bytes((43,)) + objects if pdu[0] == 43 else word(3)

    known = Fingerprint("acme-g7", marks=(Mark("holding", 0, 1, ((3, 3),)),), identification={"model": "^G-"})
    async with host(answers) as (end, _):
        [found], _, _ = await scanned(end, units=(1,), known=(known,))
    assert (found.profiles, found.sure) == (("acme-g7",), True)
    assert found.identification == {"vendor": "Acme", "model": "G-7"}
