"""Functions beyond plain reads, against the requests and answers that the Modbus Application Protocol 1.1b3 prints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.registers import Registers


def printed():
    """A unit with what the specification's examples find in it."""
    unit = Registers()
    unit.define("coil", [*range(0x13, 0x13 + 10), 0xAC], writable=True)
    unit.define("holding", [1, 2, 4, *range(0x0E, 0x11)], writable=True)
    unit.define("holding", [3, *range(5, 0x0E)])
    unit.write("holding", 4, b"\x00\x12")
    unit.files = {4: bytes(2) + bytes.fromhex("0dfe0020"), 3: bytes(18) + bytes.fromhex("33cd0040")}
    unit.queues = {0x04DE: [0x01B8, 0x1284]}
    unit.identity = {0: b"Company identification", 1: b"Product code XX", 2: b"V2.11"}
    return unit


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("0500acff00", "0500acff00"),
        ("0600010003", "0600010003"),
        ("0f0013000a02cd01", "0f0013000a"),
        ("100001000204000a0102", "1000010002"),
        ("140e0600040001000206000300090002", "140c05060dfe0020050633cd0040"),
        ("16000400f20025", "16000400f20025"),
        ("1804de", "18000600" + "02" + "01b81284"),
        ("2b0e0100", "2b0e010100000300" + "16" + b"Company identification".hex() + "010f" + b"Product code XX".hex()
         + "0205" + b"V2.11".hex()),
    ],
)  # fmt: skip
def test_the_examples_of_the_specification_are_answered_as_printed(request_: str, answer: str):
    said = printed().answer(bytes.fromhex(request_)).hex()
    # The identity's conformity byte says that it can be asked one by one as well (0x80), which the example's cannot.
    assert said == answer.replace("2b0e0101", "2b0e0181")


@pytest.mark.parametrize(
    ("request_", "read", "shows"),
    [
        ("0500acff00", "0100ac0001", "010101"),
        ("0f0013000a02cd01", "010013000a", "0102cd01"),
        ("0600010003", "0300010001", "03020003"),
        ("100001000204000a0102", "0300010002", "0304000a0102"),
        ("16000400f20025", "0300040001", "03020017"),
    ],
)
def test_what_was_written_is_read_back(request_: str, read: str, shows: str):
    unit = printed()
    assert unit.answer(bytes.fromhex(request_))[0] < 0x80
    assert unit.answer(bytes.fromhex(read)).hex() == shows


def test_a_write_comes_before_the_read_of_the_same_request():
    unit = printed()
    said = unit.answer(bytes.fromhex("17 0003 0006 000e 0003 06 00ff00ff00ff"))
    assert said.hex() == "170c" + "0000" + "0012" + "0000" * 4
    assert unit.answer(bytes.fromhex("17 000e 0003 000e 0001 02 0abc")).hex() == "17060abc00ff00ff"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("0500acff01", 3),  # neither on nor off
        ("0500adff00", 2),  # no such coil
        ("0600030001", 2),  # there, but not to be written
        ("0f0013000a01cd", 3),  # ten coils need two bytes
        ("0f00130000", 3),
        ("100001000206000a01020000", 3),  # the count and the bytes differ
        ("1000010003060000" + "00000000", 2),  # the third of them may not be written
        ("16000300f20025", 2),
        ("14070600090000" + "0001", 2),  # no such file
        ("140706000400010009", 2),  # beyond its end
        ("1404060004", 3),
        ("180000", 2),
        ("2b0e0409", 2),
        ("2b0e0500", 3),
        ("2b0d0100", 1),
        ("0800000000", 1),
        ("1100", 1),
    ],
)
def test_what_cannot_be_is_refused_with_the_code_of_the_flow_chart(request_: str, code: int):
    said = printed().answer(bytes.fromhex(request_))
    assert said == bytes((int(request_[:2], 16) | 0x80, code))


def test_a_refused_write_writes_nothing_of_it():
    unit = printed()
    unit.answer(bytes.fromhex("100001000306aaaabbbbcccc"))
    assert unit.answer(bytes.fromhex("0300010002")).hex() == "030400000000"


@pytest.mark.parametrize("function", [5, 6, 15, 16, 20, 22, 23, 24, 43])
def test_a_transmitter_without_any_of_it_does_not_know_the_function(function: int):
    unit = Registers()
    unit.define("holding", range(8))
    assert unit.answer(bytes((function, 0, 0, 0, 1))) == bytes((function | 0x80, 1))


def test_a_relay_that_sticks_acknowledges_and_stays():
    unit = printed()
    unit.relays = "ignore"
    assert unit.answer(bytes.fromhex("0500acff00")).hex() == "0500acff00"
    assert unit.answer(bytes.fromhex("0100ac0001")).hex() == "010100"


def test_who_wants_to_know_is_told_what_the_bus_wrote():
    told: list[tuple[str, int, int]] = []
    unit = printed()
    unit.written = lambda *what: told.append(what)
    unit.answer(bytes.fromhex("0f0013000a02cd01"))
    unit.answer(bytes.fromhex("0600030001"))
    assert told == [("coil", 0x13, 10)]


def test_a_unit_gives_no_more_registers_in_a_reply_than_it_can():
    unit = Registers(registers_max=8)
    unit.define("holding", range(20))
    assert len(unit.answer(bytes.fromhex("0300000008"))) == 18
    assert unit.answer(bytes.fromhex("0300000009")).hex() == "8303"


def test_a_long_identity_comes_in_parts_that_follow_each_other():
    unit = printed()
    unit.identity = {number: bytes(100) for number in (0, 1, 2, 3)}
    seen, following, parts = [], 0, 0
    while True:
        said = unit.answer(bytes((0x2B, 14, 2, following)))
        assert len(said) <= 253
        seen += [said[7 + 102 * k] for k in range(said[6])]
        parts += 1
        if said[4] == 0:
            break
        following = said[5]
    assert seen == [0, 1, 2, 3]
    assert parts == 2


def test_registers_are_brought_up_to_date_before_they_are_read():
    unit = Registers()
    unit.define("holding", [0])
    unit.source = lambda: unit.write("holding", 0, b"\x12\x34")
    assert unit.answer(bytes.fromhex("0300000001")).hex() == "03020000"
    unit.stale = True
    assert unit.answer(bytes.fromhex("0300000001")).hex() == "03021234"


@given(st.binary(min_size=1, max_size=300))
def test_whatever_is_asked_is_answered_within_a_frame(pdu: bytes):
    said = printed().answer(pdu)
    assert 2 <= len(said) <= 253
    assert said[0] & 0x7F == pdu[0] & 0x7F
