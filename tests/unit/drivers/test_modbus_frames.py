import pytest

from drivers.modbus.frames import (
    FrameError,
    Refused,
    Request,
    crc16,
    rtu_frame,
    rtu_size,
    tcp_frame,
    with_crc,
)

# Requests as printed in mdbsliguo/stm32_template_SPL, Examples/Bus/Bus01_ModBusRTU_GasSensor/PROTOCOL.md.
PRINTED_REQUESTS = [("02030000000ac5fe", 2), ("05030000000ac449", 5), ("06030000000ac47a", 6)]
# The same document's example reply is broken: 21 data bytes under a byte count of 20, and a checksum of something else.
PRINTED_BROKEN_REPLY = "010314000000000064012C07D0000500000000450000000000B687"


@pytest.mark.parametrize(("printed", "unit"), PRINTED_REQUESTS)
def test_serial_requests_are_those_that_gas_detector_manuals_print(printed: str, unit: int) -> None:
    assert Request(unit, 3, 0, 10).rtu.hex() == printed


def test_a_broken_reply_from_a_manual_is_refused() -> None:
    with pytest.raises(FrameError):
        rtu_frame(bytes.fromhex(PRINTED_BROKEN_REPLY))


def test_the_standards_example_of_a_tcp_request_is_reproduced() -> None:
    # MODBUS Messaging on TCP/IP V1.0b, 4.4.2.1: read register 5 of unit 255.
    assert Request(255, 4, 4, 1).tcp.hex() == "00000006ff0400040001"


@pytest.mark.parametrize(
    ("function", "count", "size"),
    [(1, 1, 1), (1, 8, 1), (2, 9, 2), (1, 2000, 250), (3, 1, 2), (4, 125, 250)],
)
def test_the_expected_size_follows_from_function_and_count(function: int, count: int, size: int) -> None:
    assert Request(1, function, 0, count).size == size


REQUEST = Request(7, 3, 100, 2)


@pytest.mark.parametrize(
    ("adu", "answer"),
    [
        ("070304 01020304", bytes.fromhex("01020304")),
        ("0783 02", Refused(2)),
        ("080304 01020304", None),  # another unit
        ("070404 01020304", None),  # another function
        ("070302 0102", None),  # another length
        ("070304 010203", None),  # byte count beyond the frame
        ("070304 0102030405", None),  # bytes beyond the byte count
        ("0784 02", None),  # an exception to another function
        ("078302 00", None),  # an exception with more than its code
        ("07", None),
        ("", None),
    ],
)
def test_only_the_requests_own_reply_is_taken(adu: str, answer: object) -> None:
    assert REQUEST.reply(bytes.fromhex(adu)) == answer


def test_a_tcp_frame_waits_for_its_last_byte() -> None:
    frame = bytes.fromhex("00090000000707030401020304")
    assert all(tcp_frame(frame[:n], 0) is None for n in range(len(frame)))
    assert tcp_frame(b"xx" + frame + b"more", 2) == (9, 2 + len(frame))


@pytest.mark.parametrize("header", ["000900010006", "000900000000", "000900000002", "0009000000ff"])
def test_a_tcp_header_that_is_not_modbus_is_an_error(header: str) -> None:
    with pytest.raises(FrameError):
        tcp_frame(bytes.fromhex(header), 0)


def test_a_serial_frame_waits_for_its_last_byte_and_is_checked() -> None:
    frame = with_crc(bytes.fromhex("07030401020304"))
    assert all(rtu_frame(frame[:n]) is None for n in range(len(frame)))
    assert rtu_frame(frame + b"\x07") == (frame[:-2], len(frame))
    for i in range(len(frame)):
        broken = bytearray(frame)
        broken[i] ^= 0x10
        try:
            found = rtu_frame(broken)
        except FrameError:
            continue
        assert found is None


@pytest.mark.parametrize("start", ["070000", "070504", "070300", "07037ffc", "070fff", "07ff01"])
def test_what_no_reading_reply_begins_with_is_refused_or_waited_for(start: str) -> None:
    data = bytes.fromhex(start)
    if data[1] == 3 and data[2]:
        assert rtu_size(data) == data[2] + 5
    else:
        with pytest.raises(FrameError):
            rtu_size(data)


def test_the_checksum_is_the_standards() -> None:
    # MODBUS over Serial Line V1.02, 6.2.2: unit 2, function 7 gives 41 12 on the wire.
    assert crc16(bytes.fromhex("0207")).to_bytes(2, "little").hex() == "4112"
    assert with_crc(bytes.fromhex("0207")).hex() == "02074112"
