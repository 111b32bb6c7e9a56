import pytest

from drivers.modbus.frames import (
    FrameError,
    Identity,
    Refused,
    Request,
    crc16,
    identity,
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


@pytest.mark.parametrize(
    "start", ["070000", "070704", "070300", "07037ffc", "0714ff", "07ff01", "071801", "072b0d", "078702"]
)
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


# --- functions beyond the four tables; the bytes are those of the examples in MODBUS Application Protocol V1.1b3 ---

FILE = Request.file(0x11, 3, 9, 2)
FIFO = Request.fifo(0x11, 0x04DE)
READ_WRITE = Request.read_write(0x11, 3, 6, 14, [255, 255, 255])
IDENTIFY = Request.identify(0x11)


@pytest.mark.parametrize(
    ("request_", "printed"),
    [
        (FILE, "140706000300090002"),  # 6.14, one of its two groups
        (FIFO, "1804de"),  # 6.18
        (READ_WRITE, "1700030006000e00030600ff00ff00ff"),  # 6.17
        (IDENTIFY, "2b0e0100"),  # 6.21
        (Request.write_coil(0x11, 0xAC, on=True), "0500acff00"),  # 6.5
        (Request.write_coil(0x11, 0xAC, on=False), "0500ac0000"),
        (Request.write_register(0x11, 1, 3), "0600010003"),  # 6.6
        (Request.write_coils(0x11, 0x13, [bool(0x1CD >> i & 1) for i in range(10)]), "0f0013000a02cd01"),  # 6.11
        (Request.write_registers(0x11, 1, [10, 0x102]), "100001000204000a0102"),  # 6.12
        (Request.mask_register(0x11, 4, keep=0xF2, put=0x25), "16000400f20025"),  # 6.16
    ],
)
def test_requests_are_those_of_the_standards_examples(request_: Request, printed: str) -> None:
    assert request_.rtu == with_crc(b"\x11" + bytes.fromhex(printed))
    assert request_.tcp[4:] == b"\x11" + bytes.fromhex(printed)
    assert int.from_bytes(request_.tcp[2:4], "big") == len(request_.tcp) - 4


ODD_REPLIES = [
    (FILE, "1406050633cd0040", "33cd0040"),
    (FIFO, "180006000201b81284", "01b81284"),
    (FIFO, "1800020000", ""),
    (READ_WRITE, "170c00fe0acd00010003000d00ff", "00fe0acd00010003000d00ff"),
    (IDENTIFY, "2b0e0101000001000378797a", "01000001000378797a"),
    (IDENTIFY, "2b0e0101000000", "01000000"),
    (Request.write_coil(0x11, 0xAC, on=True), "0500acff00", ""),
    (Request.write_register(0x11, 1, 3), "0600010003", ""),
    (Request.write_coils(0x11, 0x13, [True] * 10), "0f0013000a", ""),
    (Request.write_registers(0x11, 1, [10, 0x102]), "1000010002", ""),
    (Request.mask_register(0x11, 4, keep=0xF2, put=0x25), "16000400f20025", ""),
]


@pytest.mark.parametrize(("request_", "pdu", "data"), ODD_REPLIES)
def test_a_right_reply_to_each_function_is_taken_whole_and_by_nobody_else(
    request_: Request, pdu: str, data: str
) -> None:
    adu = b"\x11" + bytes.fromhex(pdu)
    assert request_.reply(adu) == bytes.fromhex(data)
    assert request_.reply(b"\x12" + adu[1:]) is None
    assert request_.reply(bytes((0x11, adu[1] | 0x80, 4))) == Refused(4)
    assert rtu_frame(with_crc(adu) + b"\x11\x03") == (adu, len(adu) + 2)
    assert all(rtu_frame(with_crc(adu)[:n]) is None for n in range(len(adu) + 2))
    assert request_.length >= len(adu)
    for cut in range(len(adu)):
        assert request_.reply(adu[:cut]) is None
    assert request_.reply(adu + b"\0") is None
    for other, _, _ in ODD_REPLIES:
        if other is not request_ and other.function != request_.function:
            assert other.reply(adu) is None


@pytest.mark.parametrize(
    ("request_", "pdu"),
    [
        (FILE, "1406050733cd0040"),  # another reference type
        (FILE, "1406040633cd0040"),  # a group shorter than the reply
        (FIFO, "180006000101b81284"),  # the count contradicts the bytes
        (FIFO, "180008000201b81284"),
        (READ_WRITE, "170a00fe0acd00010003000d"),  # a register less
        (IDENTIFY, "2b0e0201000001000378797a"),  # another kind than was asked
        (IDENTIFY, "2b0d0101000001000378797a"),  # another type of encapsulation
        (IDENTIFY, "2b0e0101000002000378797a"),  # an object fewer than said
        (Request.write_coil(0x11, 0xAC, on=True), "0500ac0000"),  # the other state
        (Request.write_coil(0x11, 0xAC, on=True), "0500adff00"),  # another coil
        (Request.write_register(0x11, 1, 3), "0600010004"),
        (Request.write_registers(0x11, 1, [10, 0x102]), "1000010001"),
        (Request.mask_register(0x11, 4, keep=0xF2, put=0x25), "16000400f20024"),
    ],
)
def test_a_reply_that_differs_from_what_was_asked_is_none(request_: Request, pdu: str) -> None:
    assert request_.reply(b"\x11" + bytes.fromhex(pdu)) is None


def test_an_identification_tells_its_objects_and_what_follows() -> None:
    data = IDENTIFY.reply(bytes.fromhex("112b0e0101ff02020003616263010178"))
    assert isinstance(data, bytes)
    assert identity(data) == Identity({0: b"abc", 1: b"x"}, 2)
    back = IDENTIFY.reply(bytes.fromhex("112b0e0101ff01020003616263010178"))
    assert isinstance(back, bytes)
    assert identity(back).next is None  # it points back: asking on would never end


def test_writing_and_reading_functions_are_told_apart() -> None:
    assert not any(r.writes for r in (REQUEST, FILE, FIFO, IDENTIFY))
    assert READ_WRITE.writes
    assert all(request.writes for request, _, _ in ODD_REPLIES[6:])


def test_only_questions_that_change_nothing_can_be_asked_for_another_count() -> None:
    for request, count in ((REQUEST, 1), (FILE, 1), (READ_WRITE, 5)):
        other = request.resized(count)
        assert other is not None
        assert other.count == count
        assert other.size == 2 * count
        assert other.length == request.length - 2 * (request.count - count)
    assert all(r.resized(1) is None for r in (FIFO, IDENTIFY, Request.write_register(1, 1, 1)))
    last = Request(1, 3, 65535, 1).resized(3)
    assert last is not None
    assert last.address == 65533
