"""What is refused before any connection, and where in the site file it stands."""

from pathlib import Path
from typing import Any

import pytest

from drivers.modbus import ChannelOptions, InstrumentOptions, Options, OutputOptions, create
from drivers.modbus.frames import Request
from drivers.modbus.line import Timing
from drivers.modbus.outputs import ModbusOutput, outputs_of
from drivers.modbus.wiring import _timing
from gateway.core.clock import ManualClock
from gateway.core.errors import ConfigError
from gateway.core.model import Channel
from gateway.core.plugin import ChannelPlan, InstrumentPlan, OutputPlan

TCP = "tcp://127.0.0.1:1"


def instrument(unit: int = 1, **options: Any) -> InstrumentPlan:
    channel = ChannelPlan(Channel(0, "a.x", "a", "t"), ChannelOptions(address=0), ("instruments", 0, "channels", 0))
    settings = InstrumentOptions.model_validate({"unit": unit, **options})
    return InstrumentPlan("a", 1.0, settings, (channel,), ("instruments", 0))


def output(name: str = "sounder", **options: Any) -> OutputPlan:
    return OutputPlan(name, OutputOptions.model_validate({"address": 4, **options}), ("outputs", name))


def problem(instruments: list[InstrumentPlan], outputs: list[OutputPlan] | None = None, **options: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        create(Options.model_validate({"endpoint": TCP, **options}), instruments, ManualClock(), outputs or [])
    return caught.value


def test_a_connection_with_nothing_on_it_is_a_mistake_and_one_with_outputs_only_is_not() -> None:
    assert problem([]).path == ()
    create(Options(endpoint=TCP), [], ManualClock(), [output()])


@pytest.mark.parametrize("scheme", ["rtu:///dev/ttyUSB0", "rtu+tcp://127.0.0.1:4001"])
def test_a_serial_line_carries_one_request_at_a_time_and_knows_no_unit_0(scheme: str) -> None:
    assert problem([instrument()], endpoint=scheme, in_flight=2).path == ("in_flight",)
    assert problem([instrument(0)], endpoint=scheme).path == ("instruments", 0, "options", "unit")
    assert problem([instrument(1, in_flight=2)], endpoint=scheme).path == ("instruments", 0, "options", "in_flight")


def test_files_of_tls_are_checked_before_anything_is_connected(tmp_path: Path) -> None:
    there = tmp_path / "there.pem"
    there.write_text("x")
    there.chmod(0o600)
    missing = tmp_path / "missing.pem"
    tls = {"endpoint": "tls://127.0.0.1:1"}
    assert problem([instrument()], tls_ca_file=there).path == ("tls_ca_file",)  # tcp:// is not encrypted
    assert problem([instrument()], tls_server_name="x").path == ("tls_server_name",)
    assert problem([instrument()], **tls, tls_ca_file=missing).path == ("tls_ca_file",)
    assert problem([instrument()], **tls, tls_cert_file=there).path == ("tls_cert_file",)
    there.chmod(0o644)
    wrong = problem([instrument()], **tls, tls_cert_file=there, tls_key_file=there)
    assert wrong.path == ("tls_key_file",)
    assert "600" in wrong.problem


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"function": 6}, "function"),
        ({"table": "holding", "function": 5}, "function"),
        ({"table": "holding", "function": 6, "bit": 3}, "function"),  # it would overwrite the other bits
        ({"bit": 3}, "bit"),
        ({"on": 3}, "on"),
        ({"table": "holding", "on": 5, "off": 5}, "on"),
        ({"read_back": {"table": "file", "address": 1}}, "read_back"),
        ({"read_back": {"address": 1, "type": "float32"}}, "read_back"),
        ({"read_back": {"address": 1, "bit": 16}}, "read_back"),
        ({"read_back": {"table": "coil", "address": 1, "bit": 1}}, "read_back"),
        ({"read_back": {"address": 65535, "type": "uint32"}}, "read_back"),
    ],
)
def test_an_output_that_contradicts_itself_is_a_mistake_in_its_place(options: dict[str, Any], key: str) -> None:
    assert problem([], [output(**options)]).path[:4] == ("outputs", "sounder", "options", key)


def test_two_outputs_do_not_share_a_place() -> None:
    holding = {"table": "holding"}
    assert problem([], [output("one"), output("two")]).path == ("outputs", "two", "options", "address")
    assert problem([], [output("one", **holding), output("two", **holding, bit=1)]).path[1] == "two"
    for pair in ([{}, {"unit": 2}], [{}, holding], [holding | {"bit": 0}, holding | {"bit": 1}]):
        assert len(outputs_of([output("one", **pair[0]), output("two", **pair[1])])) == 2


@pytest.mark.parametrize(
    ("options", "request_on", "request_off"),
    [
        ({}, "050004ff00", "0500040000"),
        ({"function": 15}, "0f000400010101", "0f000400010100"),
        ({"table": "holding"}, "0600040001", "0600040000"),
        ({"table": "holding", "function": 16, "on": 0xA5}, "100004000102 00a5", "100004000102 0000"),
        ({"table": "holding", "bit": 3}, "160004fff70008", "160004fff70000"),
    ],
)
def test_an_output_is_written_by_its_function(options: dict[str, Any], request_on: str, request_off: str) -> None:
    made = outputs_of([output(**options)])[0]
    assert made.write(on=True).rtu[1:-2] == bytes.fromhex(request_on)
    assert made.write(on=False).rtu[1:-2] == bytes.fromhex(request_off)


@pytest.mark.parametrize(
    ("options", "look", "shown"),
    [
        ({}, "0100040001", {"01": True, "00": False, "fe": False}),
        ({"table": "holding"}, "0300040001", {"0001": True, "0000": False, "0002": None}),
        ({"table": "holding", "bit": 3}, "0300040001", {"0008": True, "0007": False, "ffff": True}),
        ({"read_back": {"table": "discrete", "address": 9}}, "0200090001", {"01": True, "00": False}),
        ({"read_back": {"table": "input", "address": 9}}, "0400090001", {"0000": False, "8000": True}),
        (
            {"table": "holding", "on": 2, "off": 1, "read_back": {"address": 9, "bits": [8, 4]}},
            "0300090001",
            {"0200": True, "0100": False, "0300": None, "f2ff": True},
        ),
        (
            {"table": "holding", "on": 2, "off": 0, "read_back": {"address": 9, "type": "uint32", "order": "CDAB"}},
            "0300090002",
            {"00020000": True, "00000000": False, "00000002": None},
        ),
    ],
)
def test_an_output_is_read_back_where_its_options_say(
    options: dict[str, Any], look: str, shown: dict[str, Any]
) -> None:
    made = outputs_of([output(**options)])[0]
    assert made.look().rtu[1:-2] == bytes.fromhex(look)
    assert not made.look().writes
    assert {data: made.shows(bytes.fromhex(data)) for data in shown} == shown


def test_outputs_write_and_only_they_do() -> None:
    made = ModbusOutput("sounder", OutputOptions(address=4))
    assert made.write(on=True).writes
    assert made.write(on=False).writes


def timing(**options: Any) -> Timing:
    return _timing(Options.model_validate({"endpoint": "rtu:///dev/ttyUSB0", **options}))


def test_a_serial_time_out_follows_from_speed_and_frame_unless_it_is_given() -> None:
    long, short = (Request(1, 3, 0, count) for count in (125, 1))
    slow, fast = timing(baud=1200), timing(baud=115200)
    assert slow.first_byte_s(long, None) > 2.0  # 255 characters of 10 bits take 2.1 s
    assert 0.25 < fast.first_byte_s(short, None) < 0.26
    assert slow.first_byte_s(long, None) > slow.first_byte_s(short, None) > fast.first_byte_s(short, None)
    assert slow.first_byte_s(long, 0.1) == 0.1  # the instrument's own
    assert timing(baud=1200, timeout_s=0.4).first_byte_s(long, None) == 0.4
