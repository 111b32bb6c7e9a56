"""Replies of instruments that are asked over a line of their own: what is a reply, and what is noise."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers import uart
from gateway.core.clock import ManualClock
from gateway.core.errors import ConfigError
from gateway.core.model import Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan

GOOD = bytes.fromhex("ff8600d100000000a9")
WINSEN = {"request": "ff0186000000000079", "reply_bytes": 9, "reply_head": "ff86", "checksum_from": 1}


def poll(*channels: dict[str, Any], **options: Any) -> uart.Poll:
    plans = tuple(
        ChannelPlan(Channel(i, f"gd.c{i}", "gd", "co"), uart.ChannelOptions(**c), ("instruments", 0, "channels", i))
        for i, c in enumerate(channels or ({"byte": 2},))
    )
    plan = InstrumentPlan("gd", 1.0, uart.InstrumentOptions(**{**WINSEN, **options}), plans)
    driver = uart.create(uart.Options(port="/dev/none"), [plan], ManualClock())
    return driver._polls[0]


def test_the_makers_own_example_reads_209() -> None:
    batch = poll().batch(GOOD, 5)
    assert (batch.value.tolist(), batch.quality.tolist(), batch.time_ns.tolist()) == ([209.0], [0], [5])


def test_the_question_bears_its_own_checksum() -> None:
    assert sum(poll().request[1:]) & 0xFF == 0


@pytest.mark.parametrize("before", [b"", b"\xff", b"\x00\xff\x86\x00", GOOD[:5]])
def test_a_reply_is_found_behind_noise(before: bytes) -> None:
    assert poll().find(before + GOOD) == GOOD


@pytest.mark.parametrize(
    "received",
    [
        GOOD[:-1],
        GOOD[:-1] + b"\xaa",
        bytes.fromhex("ff0400d1000000002b"),  # unasked, of the active mode: another head, its checksum right
        b"",
    ],
)
def test_what_is_short_altered_or_unasked_is_no_reply(received: bytes) -> None:
    assert poll().find(received) is None


@given(place=st.integers(0, 8), bit=st.integers(0, 7))
def test_no_single_wrong_bit_passes(place: int, bit: int) -> None:
    altered = bytearray(GOOD)
    altered[place] ^= 1 << bit
    assert poll().find(bytes(altered)) is None


@given(st.binary(max_size=64))
def test_arbitrary_bytes_never_raise(received: bytes) -> None:
    found = poll().find(received)
    assert found is None or (found in received and sum(found[1:]) & 0xFF == 0)


def test_numbers_of_every_size_sign_and_order_are_read_where_they_stand() -> None:
    body = bytes([0xAA, 0x80, 0x00, 0x01, 0xFE])
    reply = body + bytes([-sum(body) & 0xFF])
    made = poll(
        {"byte": 1, "type": "int8"},
        {"byte": 1, "type": "uint24"},
        {"byte": 3, "type": "int16"},
        {"byte": 1, "type": "uint32", "scale": 0.5},
        reply_bytes=6,
        reply_head="aa",
        checksum_from=0,
    )
    assert made.find(reply) == reply
    assert made.batch(reply, 0).value.tolist() == [-128.0, 0x800001, 0x01FE, 0x800001FE / 2]
    little = poll({"byte": 1, "type": "uint16"}, reply_bytes=6, reply_head="aa", checksum_from=0, order="little")
    assert little.batch(reply, 0).value.tolist() == [0x80]


def test_a_number_that_is_no_measurement_is_bad() -> None:
    batch = poll({"byte": 2, "special": {"209": "warm_up"}}).batch(GOOD, 0)
    assert np.isnan(batch.value[0])
    assert batch.quality[0] == Quality.WARM_UP


def test_a_channel_beyond_the_reply_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError) as caught:
        poll({"byte": 8})
    assert caught.value.path == ("instruments", 0, "channels", 0, "options", "byte")
    assert "ends at byte 10 of a reply of 9 bytes" in str(caught.value)


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (uart.InstrumentOptions, {**WINSEN, "request": "xyz"}, "no run of bytes"),
        (uart.InstrumentOptions, {**WINSEN, "reply_bytes": 2}, "no room for its head and checksum"),
        (uart.Options, {"port": "/dev/ttyS0", "baud": 12345}, "no speed"),
    ],
)
def test_what_cannot_be_is_refused(model: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        model(**options)
