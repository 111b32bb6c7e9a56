"""Frames that makers and other programs have printed, against the gateway's own."""

import pytest

from drivers.modbus.frames import FrameError, Request, crc16, rtu_frame, with_crc

PRINTED_REPLY = bytes.fromhex("010314000000000064012C07D0000500000000450000000000B687")
"""Printed for the map of ten registers (mdbsliguo PROTOCOL.md): 20 bytes promised, 21 there, a wrong sum."""


@pytest.mark.parametrize(
    ("unit", "frame"),
    [
        (1, "01030000000ac5cd"),
        (2, "02030000000ac5fe"),
        (5, "05030000000ac449"),
        (6, "06030000000ac47a"),
    ],
)
def test_the_printed_questions_are_the_gateways_own(unit: int, frame: str) -> None:
    assert Request(unit, 3, 0, 10).rtu.hex() == frame


def test_the_corrupt_printed_reply_is_no_reply() -> None:
    with pytest.raises(FrameError):
        rtu_frame(PRINTED_REPLY)
    assert crc16(PRINTED_REPLY[:-2]).to_bytes(2, "little") != PRINTED_REPLY[-2:]


def test_the_reply_as_it_was_meant_is_taken() -> None:
    meant = with_crc(bytes.fromhex("010314" + "0000 0000 0064 012C 07D0 0005 0000 0000 4500 0000".replace(" ", "")))
    found = rtu_frame(meant)
    assert found is not None
    assert found[1] == len(meant)


@pytest.mark.parametrize("frame", ["fdfdfd0000e988", "fdfdfd030128b8"])
def test_a_configuration_frame_of_a_neighbour_is_never_taken_for_a_reply(frame: str) -> None:
    with pytest.raises(FrameError):
        rtu_frame(bytes.fromhex(frame))
