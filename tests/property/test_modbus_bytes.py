"""Arbitrary bytes into every decoder, and requests and values there and back."""

import math
import struct
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.decode import Decoder
from drivers.modbus.frames import FrameError, Refused, Request, rtu_frame, tcp_frame, with_crc
from drivers.modbus.line import Debts, telling_request
from drivers.modbus.plan import WIDTH_BITS, Block, Place, blocks
from gateway.core.model import BAD_FROM, Channel, Quality

requests = st.builds(
    Request,
    unit=st.integers(0, 255),
    function=st.integers(1, 4),
    address=st.integers(0, 65411),
    count=st.integers(1, 125),
)
KINDS = ["uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]


@given(st.binary(max_size=600), st.integers(0, 20))
def test_any_bytes_are_a_tcp_frame_or_wait_or_are_refused(data: bytes, start: int) -> None:
    try:
        found = tcp_frame(data, start)
    except FrameError:
        return
    if found is not None:
        transaction, end = found
        assert 0 <= transaction <= 0xFFFF
        assert start + 9 <= end <= len(data)
        assert end - start <= 260


@given(st.binary(max_size=600))
def test_any_bytes_are_a_serial_frame_or_wait_or_are_refused(data: bytes) -> None:
    try:
        found = rtu_frame(data)
    except FrameError:
        return
    if found is None:
        assert len(data) < 256
    else:
        assert with_crc(found[0]) == data[: found[1]]


@given(requests, st.binary(max_size=300))
def test_only_bytes_of_the_right_unit_function_and_length_are_an_answer(request: Request, adu: bytes) -> None:
    answer = request.reply(adu)
    if isinstance(answer, bytes):
        assert adu == bytes((request.unit, request.function, request.size)) + answer
        assert len(answer) == request.size
    elif isinstance(answer, Refused):
        assert adu == bytes((request.unit, request.function | 0x80, answer.code))


@given(requests, st.data(), st.integers(0, 40))
def test_a_reply_survives_any_cut_of_the_stream(request: Request, data: Any, noise: int) -> None:
    body = bytes((request.unit, request.function, request.size)) + data.draw(
        st.binary(min_size=request.size, max_size=request.size)
    )
    frame = with_crc(body)
    cut = data.draw(st.integers(0, len(frame) - 1))
    assert rtu_frame(frame[:cut]) is None
    assert rtu_frame(frame + bytes(noise)) == (body, len(frame))
    assert request.reply(body) == body[3:]


@given(st.lists(requests, max_size=8), requests)
def test_a_telling_requests_answer_is_never_like_an_owed_one(owed: list[Request], request: Request) -> None:
    mine = [Request(request.unit, r.function, r.address, r.count) for r in owed]
    telling = telling_request(request, mine)
    if telling is None:
        return
    assert telling.unit == request.unit
    assert telling.address + telling.count <= 65536
    assert telling.size <= 250
    answer = bytes((telling.unit, telling.function, telling.size)) + bytes(telling.size)
    assert telling.reply(answer) is not None
    assert all(r.reply(answer) is None for r in mine)


@given(st.lists(requests, max_size=6), st.binary(min_size=3, max_size=60))
def test_no_bytes_break_the_book_of_owed_replies(owed: list[Request], body: bytes) -> None:
    debts = Debts()
    for request in owed:
        debts.add(request, 0.0)
    before = len(debts.owed(body[0], 1.0))
    paid = debts.pay(body)
    assert len(debts.owed(body[0], 1.0)) < before if paid else len(debts.owed(body[0], 1.0)) == before


def place(row: int, kind: Any, address: int, order: Any, **options: Any) -> Place:
    channel = Channel(
        row, f"i.c{row}", "i", "t", range_low=options.pop("low", 0.0), range_high=options.pop("high", 100.0)
    )
    return Place(channel, "holding", address, WIDTH_BITS[kind] // 16, kind, order, **options)


@st.composite
def blocks_of_places(draw: Any) -> Block:
    places, address = [], 0
    for row in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(KINDS))
        special = ((7, draw(st.sampled_from([q for q in Quality if q]))),) if draw(st.booleans()) else ()
        places.append(
            place(
                row,
                kind,
                address,
                draw(st.sampled_from(["ABCD", "BADC", "CDAB", "DCBA"])),
                scale=draw(st.sampled_from([1.0, 0.1, -2.0, 1e6])),
                offset=draw(st.sampled_from([0.0, -50.0])),
                special=special,
            )
        )
        address += draw(st.integers(0, 6)) or places[-1].length
    return Block(1, tuple(sorted(places, key=lambda p: (p.address, p.length))))


@given(blocks_of_places(), st.data())
def test_any_register_contents_become_lawful_readings(block: Block, data: Any) -> None:
    size = block.request().size
    batch = Decoder(block).decode(data.draw(st.binary(min_size=size, max_size=size)), 9)
    assert sorted(batch.row.tolist()) == list(range(len(block.places)))
    assert np.array_equal(np.isnan(batch.value), batch.quality >= BAD_FROM)
    assert not np.isinf(batch.value).any()
    assert set(batch.quality.tolist()) <= {int(q) for q in Quality}


@given(
    st.sampled_from(KINDS),
    st.sampled_from(["ABCD", "BADC", "CDAB", "DCBA"]),
    st.data(),
)
def test_a_value_written_register_by_register_comes_back(kind: Any, order: str, data: Any) -> None:
    code = {"uint": "BHIQ", "int": "bhiq"}.get(kind.rstrip("0123456789"), "..fd")[int(math.log2(WIDTH_BITS[kind])) - 3]
    raw = data.draw(st.binary(min_size=WIDTH_BITS[kind] // 8, max_size=WIDTH_BITS[kind] // 8))
    (expected,) = struct.unpack(f">{code}", raw)
    words = [raw[i : i + 2] if order in ("ABCD", "CDAB") else raw[i : i + 2][::-1] for i in range(0, len(raw), 2)]
    wire = b"".join(words if order in ("ABCD", "BADC") else reversed(words))
    nan = float("nan")
    batch = Decoder(Block(1, (place(0, kind, 0, order, low=nan, high=nan),))).decode(wire, 1)
    if math.isfinite(expected):
        assert batch.value[0] == float(expected)
        assert batch.quality[0] == Quality.GOOD
    else:
        assert batch.quality[0] == Quality.UNREADABLE


@given(
    st.lists(st.tuples(st.integers(0, 65000), st.sampled_from(KINDS)), min_size=1, max_size=60),
    st.integers(4, 125),
    st.integers(0, 20),
)
def test_every_place_is_read_exactly_once_within_the_limit(spots: list[Any], limit: int, gap: int) -> None:
    places = [place(row, kind, address, "ABCD") for row, (address, kind) in enumerate(spots)]
    found = blocks(1, places, limit, gap)
    assert sorted(p.channel.row for block in found for p in block.places) == list(range(len(places)))
    for block in found:
        assert block.count <= limit
        assert all(block.address <= p.address and p.end <= block.address + block.count for p in block.places)
        covered = {a for p in block.places for a in range(p.address, p.end)}
        assert block.count - len(covered) <= gap * max(0, len(block.places) - 1)


@given(blocks_of_places())
def test_cutting_a_block_loses_no_channel(block: Block) -> None:
    halves = block.halves()
    if halves is None:
        assert len({p.address for p in block.places}) == 1
        return
    assert [p for half in halves for p in half.places] == list(block.places)
    assert all(half.count <= block.count for half in halves)
