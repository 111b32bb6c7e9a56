"""Register encoding against hand-made bytes, and the answers to requests."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.encoding import Order, RegisterType, encoded, register_count
from simulators.modbus_rtu import crc16
from simulators.registers import Registers


@pytest.mark.parametrize(
    ("order", "wire"), [("ABCD", "42f6e979"), ("BADC", "f64279e9"), ("CDAB", "e97942f6"), ("DCBA", "79e9f642")]
)
def test_a_float_of_123_456_lies_in_each_order_as_the_manuals_print_it(order: Order, wire: str):
    assert encoded(123.456, "float32", order).hex() == wire


@pytest.mark.parametrize(
    ("kind", "value", "wire"),
    [
        ("uint16", 258, "0102"),
        ("int16", -2, "fffe"),
        ("uint32", 0x01020304, "01020304"),
        ("int32", -1, "ffffffff"),
        ("uint64", 1, "0000000000000001"),
        ("int64", -2, "fffffffffffffffe"),
        ("float64", 1.0, "3ff0000000000000"),
    ],
)
def test_each_type_lies_most_significant_first(kind: RegisterType, value: float, wire: str):
    assert encoded(value, kind).hex() == wire
    assert len(encoded(value, kind)) == 2 * register_count(kind)


def test_four_registers_are_reversed_as_registers():
    assert encoded(0x0102030405060708, "uint64", "CDAB").hex() == "0708050603040102"
    assert encoded(0x0102030405060708, "uint64", "DCBA").hex() == "0807060504030201"


@pytest.mark.parametrize(("value", "wire"), [(-1, "0000"), (70_000, "ffff"), (float("nan"), "ffff"), (1.6, "0002")])
def test_integers_are_rounded_and_held_at_their_ends(value: float, wire: str):
    assert encoded(value, "uint16").hex() == wire


def test_a_value_beyond_float32_goes_out_as_infinity():
    assert struct.unpack(">f", encoded(1e300, "float32"))[0] == float("inf")


@given(st.floats(width=32, allow_nan=False))
def test_every_float_survives_the_wire(value: float):
    assert struct.unpack(">f", encoded(value, "float32"))[0] == value


def made():
    registers = Registers()
    registers.define("holding", [0, 1, 2, 10])
    registers.define("discrete", range(10))
    registers.write("holding", 0, bytes.fromhex("000100020003"))
    registers.set_bit("discrete", 0, 0, on=True)
    registers.set_bit("discrete", 9, 0, on=True)
    return registers


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("0300000003", "0306000100020003"),
        ("0300010001", "03020002"),
        ("02000000 0a", "02020102"),
        ("0200090001", "020101"),
        ("0300020002", "8302"),
        ("0300030001", "8302"),
        ("0400000001", "8402"),
        ("0300000000", "8303"),
        ("030000007e", "8303"),
        ("0600000001", "8601"),
        ("2b0e0100", "ab01"),
        ("0300", "8303"),
        ("", "8001"),
    ],
)
def test_requests_get_the_answer_that_the_specification_prints(request_: str, answer: str):
    assert made().answer(bytes.fromhex(request_)).hex() == answer


def test_a_planned_read_sees_what_is_written_after_it():
    registers = made()
    plan = registers.plan(bytes.fromhex("0300010001"))
    registers.write("holding", 1, b"\xab\xcd")
    assert plan.block[plan.start : plan.stop] == b"\xab\xcd"


def test_single_bits_of_a_register_can_be_set_and_cleared():
    registers = made()
    registers.set_bit("holding", 10, 15, on=True)
    registers.set_bit("holding", 10, 0, on=True)
    assert registers.answer(bytes.fromhex("03000a0001")).hex() == "03028001"
    registers.set_bit("holding", 10, 15, on=False)
    assert registers.answer(bytes.fromhex("03000a0001")).hex() == "03020001"


def test_writing_where_nothing_is_defined_is_a_mistake_of_ours():
    with pytest.raises(KeyError, match="holding 5"):
        made().write("holding", 5, b"\0\0")


@given(st.binary(max_size=300))
def test_any_request_gets_an_answer(pdu: bytes):
    assert made().answer(pdu)


def test_the_check_bytes_are_those_of_a_known_frame():
    # Request and answer printed in the manual of a humidity and temperature transmitter.
    assert crc16(bytes.fromhex("010300000002")).hex() == "c40b"
