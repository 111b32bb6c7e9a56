"""Lines of columns, layouts of bytes, and what options are refused for."""

import math
import struct
from typing import Any

import pytest
from pydantic import ValidationError

from drivers import mqtt
from drivers.mqtt.channels import READINGS_MAX, ChannelDecoder
from drivers.mqtt.decode import MessageDecoder
from drivers.mqtt.layout import Layout, crc16, sum8, xor8
from drivers.mqtt.layout_options import LayoutOptions
from drivers.mqtt.readings import Readings
from drivers.mqtt.repeats import KNOWN_MAX, Repeats
from drivers.mqtt.trust import Status
from drivers.mqtt.trust_options import StatusOptions
from drivers.mqtt.vigil import Vigil
from drivers.mqtt.wiring import Instrument
from gateway.core.clock import ManualClock
from gateway.core.errors import ConfigError
from gateway.core.model import Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan

S = 1_000_000_000
NOW = 1_700_000_000 * S
Found = list[tuple[int, float, float | None, int]]


def decoder(*channels: dict[str, Any], **options: Any) -> MessageDecoder:
    made = Instrument(plan(*channels, **options), Vigil(ManualClock())).wire().targets[0].listener
    assert isinstance(made, MessageDecoder)
    return made


def plan(*channels: dict[str, Any], **options: Any) -> InstrumentPlan:
    items = tuple(
        ChannelPlan(
            Channel(i, f"gd.c{i}", "gd", "co"),
            mqtt.ChannelOptions.model_validate(where),
            ("instruments", 0, "channels", i),
        )
        for i, where in enumerate(channels)
    )
    return InstrumentPlan(
        "gd", 1.0, mqtt.InstrumentOptions.model_validate({"topic": "t"} | options), items, ("instruments", 0)
    )


def read(made: MessageDecoder, payload: str | bytes) -> Found:
    """Return (row, seconds from now, value or None, quality) of each reading."""
    out = Readings()
    made.decode(payload.encode() if isinstance(payload, str) else payload, NOW, out)
    batch = out.batch()
    columns = zip(batch.row, batch.time_ns, batch.value, batch.quality, strict=True)
    return [(int(r), (int(t) - NOW) / S, None if math.isnan(v) else float(v), int(q)) for r, t, v, q in columns]


def test_columns_are_counted_from_one_or_named() -> None:
    assert read(decoder({"column": 2}, {"column": 1}, format="csv"), "4, 5.5\n") == [(0, 0, 5.5, 0), (1, 0, 4, 0)]
    made = decoder({"column": "h2s"}, format="csv", csv={"columns": ["co", "h2s"], "separator": ";"})
    assert read(made, "1;2") == [(0, 0, 2, 0)]
    made = decoder({"column": "h2s"}, format="csv", csv={"header": True, "separator": " "})
    assert read(made, "co   h2s\r\n1\t 2\r\n") == [(0, 0, 2, 0)]


def test_each_line_is_a_reading_with_its_own_time() -> None:
    csv = {"columns": ["ts", "co"], "time": "ts"}
    made = decoder({"column": "co"}, format="csv", time_unit="s", csv=csv)
    assert read(made, "1699999990,1\n\n1699999995,x\n 1700000000 ,3") == [
        (0, -10, 1, 0),
        (0, -5, None, Quality.UNREADABLE),
        (0, 0, 3, 0),
    ]
    assert read(made, "1699990000,1") == [(0, 0, 1, Quality.CLOCK_DOUBTFUL)]
    assert read(made, "yesterday,1") == [(0, 0, 1, Quality.CLOCK_DOUBTFUL)]


def test_a_decimal_comma_is_read_where_it_is_declared() -> None:
    csv = {"separator": ";", "decimal": ","}
    assert read(decoder({"column": 1}, {"column": 2}, format="csv", csv=csv), "1,5;-0,25") == [
        (0, 0, 1.5, 0),
        (1, 0, -0.25, 0),
    ]
    assert read(decoder({"column": 1}, format="csv", csv={"separator": ";"}), "1,5;2")[0][3] == Quality.UNREADABLE


def test_quoted_cells_may_hold_the_separator() -> None:
    made = decoder({"column": "co"}, format="csv", csv={"header": True})
    assert read(made, '"name, of it","co"\n"a, b","7"') == [(0, 0, 7, 0)]


@pytest.mark.parametrize("payload", ["", "\n \n", b"\xff\xfe", "1", '"1,2', "\0,\0", "1,2\n" * (READINGS_MAX + 1)])
def test_lines_that_have_no_such_column_are_unreadable(payload: str | bytes) -> None:
    found = read(decoder({"column": 2}, {"column": 3, "optional": True}, format="csv"), payload)
    assert found[0] == (0, 0, None, Quality.UNREADABLE)


def test_a_header_alone_is_no_reading() -> None:
    assert read(decoder({"column": "a"}, format="csv", csv={"header": True}), "a,b")[0][3] == Quality.UNREADABLE


def test_a_status_in_a_column_speaks_of_its_line() -> None:
    status = [{"column": 2, "values": {"ok": "good", "E1": "sensor_fault"}}]
    made = decoder({"column": 1}, format="csv", status=status)
    assert [(value, quality) for *_, value, quality in read(made, "1,ok\n2,e1\n3,ok\n4,?")] == [
        (1, Quality.GOOD),
        (None, Quality.SENSOR_FAULT),
        (3, Quality.GOOD),
        (4, Quality.UNCERTAIN),
    ]


def test_lines_within_json_take_the_time_around_them() -> None:
    made = decoder({"column": 1}, format="csv", payload_path="msg", time="at", time_unit="s", time_step=2)
    assert read(made, '{"at": 1699999990, "msg": "1\\n2"}') == [(0, -10, 1, 0), (0, -8, 2, 0)]
    assert read(made, '{"at": 1699999990}')[0][3] == Quality.UNREADABLE


def test_json_within_json_and_text_within_json_are_read() -> None:
    made = decoder({"path": "co"}, payload_path="body", time="t", time_unit="s")
    assert read(made, '{"t": 5, "body": "{\\"co\\": 3, \\"t\\": 1699999999}"}') == [(0, -1, 3, 0)]
    assert read(made, '{"body": {"co": 3}}')[0][3] == Quality.UNREADABLE
    made = decoder({}, format="text", payload_path="v")
    assert read(made, '{"v": "4.5"}') == [(0, 0, 4.5, 0)]
    assert read(made, "{}")[0][3] == Quality.UNREADABLE


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        ("uint8", "ff", 255),
        ("int8", "ff", -1),
        ("uint16", "0102", 0x0102),
        ("int16", "fffe", -2),
        ("uint24", "010203", 0x010203),
        ("int24", "ffffff", -1),
        ("uint32", "01020304", 0x01020304),
        ("int32", "fffffffe", -2),
        ("uint64", "0000000000000005", 5),
        ("int64", "fffffffffffffffb", -5),
        ("float32", struct.pack(">f", 1.5).hex(), 1.5),
        ("float64", struct.pack(">d", -2.25).hex(), -2.25),
    ],
)
def test_every_type_is_read_in_both_orders(kind: str, data: str, value: float) -> None:
    for order, text in (("big", data), ("little", bytes.fromhex(data)[::-1].hex())):
        layout = {"order": order, "fields": {"a": {"offset": 1, "type": kind}}}
        assert read(decoder({"field": "a"}, format="hex", layout=layout), "aa" + text) == [(0, 0, value, 0)]
        other = {"big": "little", "little": "big"}[order]
        layout = {"order": other, "fields": {"a": {"type": kind, "order": order}}}
        assert read(decoder({"field": "a"}, format="bytes", layout=layout), bytes.fromhex(text)) == [(0, 0, value, 0)]


def test_bits_are_counted_from_the_least_significant() -> None:
    layout = {"fields": {"low": {"type": "uint16", "bits": [0, 4]}, "high": {"type": "uint16", "bits": [12, 4]}}}
    made = decoder({"field": "low"}, {"field": "high"}, format="hex", layout=layout)
    assert read(made, "0xA00B") == [(0, 0, 11, 0), (1, 0, 10, 0)]


def test_a_payload_that_ends_early_spoils_only_what_it_lacks() -> None:
    layout = {"fields": {"a": {}, "b": {"offset": 1, "type": "uint16"}}}
    assert read(decoder({"field": "a"}, {"field": "b"}, format="hex", layout=layout), "0102") == [
        (0, 0, 1, 0),
        (1, 0, None, Quality.UNREADABLE),
    ]


@pytest.mark.parametrize("payload", ["", "0", "zz", "0x", b"\xff", "00" * 5000])
def test_text_that_is_no_hex_is_unreadable(payload: str | bytes) -> None:
    made = decoder({"field": "a"}, format="hex", layout={"fields": {"a": {}}})
    assert read(made, payload) == [(0, 0, None, Quality.UNREADABLE)]


def test_a_float_that_is_no_number_is_unreadable() -> None:
    made = decoder({"field": "a"}, format="hex", layout={"fields": {"a": {"type": "float32"}}})
    assert read(made, "7fc00000")[0][3] == read(made, "7f800000")[0][3] == Quality.UNREADABLE


def test_lengths_in_the_payload_skip_what_nobody_knows() -> None:
    layout = {"tags": {"0a": {"fields": {"a": {}}}}, "length_bytes": 1, "tags_from": 2}
    made = decoder({"field": "a"}, format="hex", layout=layout)
    assert read(made, "ffff" + "0b03010203" + "0a0107") == [(0, 0, 7, 0)]
    assert read(made, "ffff" + "0b03010203") == []
    assert read(made, "ffff" + "0b0301") == [(0, 0, None, Quality.UNREADABLE)]
    assert read(made, "ffff" + "0a00") == []


def test_a_time_within_the_bytes_counts() -> None:
    layout = {"fields": {"a": {"offset": 4}}, "time": {"offset": 0}}
    made = decoder({"field": "a"}, format="bytes", layout=layout)
    assert read(made, struct.pack(">IB", 1_699_999_990, 9)) == [(0, -10, 9, 0)]
    assert read(made, struct.pack(">IB", 1_000_000_000, 9)) == [(0, 0, 9, Quality.CLOCK_DOUBTFUL)]


def test_checksums_come_to_nought_over_the_whole() -> None:
    assert sum8(bytes([200, 50, 6])) == 0
    assert xor8(bytes([5, 6, 3])) == 0
    assert crc16(bytes.fromhex("010300000001840a")) == 0  # a Modbus request from its specification's examples
    options = LayoutOptions.model_validate({"checksum": "crc16", "fields": {"a": {}}})
    assert Layout(options).read(bytes.fromhex("010300000001840b")).cut == "its checksum is wrong"


def test_a_tag_told_a_thousand_times_ends_the_frame() -> None:
    options = LayoutOptions.model_validate({"tags": {"0a": {"size": 0}}})
    assert Layout(options).read(b"\x0a" * 1001).cut == "more than 1000 tags"


def test_a_status_knows_texts_numbers_ranges_and_bits() -> None:
    status = Status(
        StatusOptions.model_validate(
            {"values": {"Run": "good", 0: "good", "10..19": "calibration", True: "test"}, "flags": {6: "sensor_fault"}}
        )
    )
    raws: list[object] = ["run ", "RUN", 0, "0", 10, 19.5, "15", True, 64, 64.5]
    raws += [-1, 2**70, False, None, [], "x" * 5000, 20]
    judged = [Quality(status.judge(raw)).name for raw in raws]
    assert judged == [
        *("GOOD", "GOOD", "GOOD", "GOOD", "CALIBRATION", "UNCERTAIN", "CALIBRATION", "TEST", "SENSOR_FAULT"),
        *("UNCERTAIN", "UNCERTAIN", "UNCERTAIN", "UNCERTAIN", "UNCERTAIN", "UNCERTAIN", "UNCERTAIN", "GOOD"),
    ]


def test_bad_outranks_doubt_and_the_earlier_the_later() -> None:
    status = [
        {"path": "a", "values": {1: "maintenance", 0: "good"}},
        {"path": "b", "values": {1: "warm_up", 0: "good"}},
        {"path": "c", "values": {1: "sensor_fault", 0: "good"}, "channels": ["c0"]},
    ]
    made = decoder({"path": "v"}, {"path": "v"}, status=status)
    for a, b, c, first, second in [
        (0, 0, 0, Quality.GOOD, Quality.GOOD),
        (1, 0, 0, Quality.MAINTENANCE, Quality.MAINTENANCE),
        (1, 1, 1, Quality.WARM_UP, Quality.WARM_UP),
        (1, 0, 1, Quality.SENSOR_FAULT, Quality.MAINTENANCE),
    ]:
        found = read(made, f'{{"v": 5, "a": {a}, "b": {b}, "c": {c}}}')
        assert [quality for *_, quality in found] == [first, second]


def test_a_doubt_of_the_status_leaves_the_doubt_of_a_value() -> None:
    made = decoder(
        {"path": "v", "special": {100: "over_range"}}, time="t", status=[{"path": "s", "values": {1: "maintenance"}}]
    )
    assert read(made, '{"v": 100, "s": 1, "t": 1700000000000}')[0][2:] == (100, Quality.OVER_RANGE)
    assert read(made, '{"v": 1, "s": 1, "t": 5}')[0][2:] == (1, Quality.MAINTENANCE)


def test_a_status_speaks_of_lists_too() -> None:
    made = decoder({"path": "v[*]"}, status=[{"path": "s", "values": {0: "good", 1: "warm_up", 2: "test"}}])
    assert [q for *_, q in read(made, '{"v": [1, 2], "s": 0}')] == [0, 0]
    assert read(made, '{"v": [1, "x"], "s": 2}')[0][2:] == (1, Quality.TEST)
    assert read(made, '{"v": [1, "x"], "s": 2}')[1][2:] == (None, Quality.UNREADABLE)
    assert [(v, q) for *_, v, q in read(made, '{"v": [1, 2], "s": 1}')] == [(None, Quality.WARM_UP)] * 2


def test_a_status_that_is_assumed_good_is_good_until_it_is_told() -> None:
    status = [{"path": "fault", "values": {"lamp": "sensor_fault"}, "assume": "good", "optional": True}]
    made = decoder({"path": "v"}, status=status)
    assert read(made, '{"v": 1}')[0][3] == Quality.GOOD
    assert read(made, '{"v": 1, "fault": "lamp"}')[0][3] == Quality.SENSOR_FAULT
    assert read(made, '{"v": 1}')[0][3] == Quality.SENSOR_FAULT
    assert read(made, "no JSON")[0][3] == Quality.SENSOR_FAULT


def test_a_refused_status_is_never_good() -> None:
    status = [{"topic": "x", "values": {"bad": "sensor_fault"}, "assume": "good"}]
    wired = Instrument(plan({"path": "v"}, status=status), Vigil(ManualClock())).wire()
    values, told = (target.listener for target in wired.targets)
    assert isinstance(values, MessageDecoder)
    assert read(values, '{"v": 1}')[0][3] == Quality.GOOD
    assert told.deny() == []
    assert read(values, '{"v": 1}')[0][3] == Quality.UNCERTAIN


def test_a_code_that_is_not_listed_is_no_value() -> None:
    made = decoder({"path": "v", "words": {1: 100, "off": 0}, "special": {9: "sensor_fault"}, "listed_only": True})
    assert [read(made, f'{{"v": {raw}}}')[0][2:] for raw in (1, '"1"', '"OFF"', 9, 2, '"2"')] == [
        (100, 0),
        (100, 0),
        (0, 0),
        (None, Quality.SENSOR_FAULT),
        (None, Quality.UNREADABLE),
        (None, Quality.UNREADABLE),
    ]


def test_repeats_forget_the_oldest_at_their_limit_and_a_clock_set_back() -> None:
    known = Repeats([("id",)], 60.0)
    assert not known.known({"id": "first"}, NOW)
    assert known.known({"id": "first"}, NOW + S)
    for i in range(KNOWN_MAX):
        assert not known.known({"id": i}, NOW + S)
    assert not known.known({"id": "first"}, NOW + S)
    assert not known.known({"id": KNOWN_MAX - 1}, NOW - 3600 * S)


def test_a_key_with_a_part_missing_makes_no_message_known() -> None:
    known = Repeats([("a", "b")], 60.0)
    documents: list[object] = [{"a": 1}, {}, [], {"a": 1, "b": None}, {"a": 1, "b": [1]}, {"a": 1, "b": True}]
    for document in documents:
        assert not known.known(document, NOW)
        assert not known.known(document, NOW)


def targets(**options: Any) -> list[str]:
    share = options.pop("share", "")
    wired = Instrument(plan({"path": "v"}, {"path": "w", "topic_suffix": "x"}, **options), Vigil(ManualClock()), share)
    return [target.filter for target in wired.wire().targets]


def test_topics_are_filled_and_readings_alone_are_shared_out() -> None:
    options: dict[str, Any] = {
        "topic": "a/{n}",
        "fill": {"n": "7"},
        "status": [{"topic_suffix": "s/{n}", "values": {1: "good"}}, {"path": "s", "values": {1: "good"}}],
        "availability": [{"topic": "{n}/lwt"}],
        "heartbeat": {"topic": "{n}/beat", "silent_after_s": 5},
    }
    assert targets(**options) == ["7/beat", "a/7", "a/7/x", "a/7/s/7", "7/lwt"]
    assert targets(**options, share="g") == ["7/beat", "$share/g/a/7", "$share/g/a/7/x", "a/7/s/7", "7/lwt"]


@pytest.mark.parametrize(
    ("channel", "options", "path"),
    [
        ({"path": "v"}, {"topic": "a/{n}"}, ("instruments", 0, "options", "fill", "n")),
        ({"path": "v"}, {"topic": "a/{n}", "fill": {"n": "a+"}}, ("instruments", 0, "options", "topic")),
        (
            {"path": "v"},
            {"availability": [{"topic": "{x}/lwt"}]},
            ("instruments", 0, "options", "fill", "x"),
        ),
        ({"path": "v", "topic_suffix": "{y}"}, {}, ("instruments", 0, "options", "fill", "y")),
        ({"field": "v"}, {}, ("instruments", 0, "channels", 0, "options", "field")),
        ({"column": 1}, {}, ("instruments", 0, "channels", 0, "options", "column")),
        ({"column": "v"}, {"format": "csv"}, ("instruments", 0, "channels", 0, "options", "column")),
        ({"path": "v"}, {"format": "csv"}, ("instruments", 0, "channels", 0, "options", "path")),
        ({}, {"format": "csv"}, ("instruments", 0, "channels", 0, "options", "path")),
        ({"path": "v", "history": "h[*].v"}, {}, ("instruments", 0, "channels", 0, "options", "history")),
        ({"column": 1, "time": "t"}, {"format": "csv"}, ("instruments", 0, "channels", 0, "options", "path")),
        (
            {"path": "v"},
            {"status": [{"path": "s", "values": {1: "good"}, "channels": ["nobody"]}]},
            ("instruments", 0, "options", "status", 0, "channels"),
        ),
        (
            {"path": "v"},
            {"status": [{"field": "s", "values": {1: "good"}}]},
            ("instruments", 0, "options", "status", 0, "field"),
        ),
        (
            {"column": 1},
            {"format": "csv", "status": [{"column": "s", "values": {1: "good"}}]},
            ("instruments", 0, "options", "status", 0, "column"),
        ),
    ],
)
def test_options_that_do_not_fit_are_refused_with_their_place(
    channel: dict[str, Any], options: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    with pytest.raises(ConfigError) as refused:
        Instrument(plan(channel, **options), Vigil(ManualClock())).wire()
    assert refused.value.path == path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "hex"}, "layout go together"),
        ({"layout": {"fields": {"a": {}}}}, "layout do not fit"),
        ({"format": "bytes", "layout": {"fields": {"a": {}}}, "payload_path": "a"}, "JSON holds no bytes"),
        ({"csv": {}}, "csv says nothing"),
        ({"format": "text", "time": "t"}, "time is a place in JSON"),
        ({"format": "csv", "repeat_keys": [["id"]]}, "repeat_keys is a place in JSON"),
        ({"format": "hex", "layout": {}}, "needs fields or tags"),
        ({"format": "hex", "layout": {"tags": {1: {"size": 1}}}}, "in quotes"),
        ({"format": "hex", "layout": {"tags": {"0x1": {"size": 1}}}}, "no tag"),
        ({"format": "hex", "layout": {"tags": {"01": {"size": 1}, "0203": {"size": 1}}}}, "different lengths"),
        ({"format": "hex", "layout": {"tags": {"0a": {"size": 1}, "0A": {"size": 1}}}}, "twice"),
        ({"format": "hex", "layout": {"tags": {"01": {}}}}, "needs a size"),
        ({"format": "hex", "layout": {"tags": {"01": {"size": 1, "fields": {"a": {"type": "int16"}}}}}}, "byte 2 of 1"),
        ({"format": "hex", "layout": {"size": 1, "fields": {"a": {"type": "int16"}}}}, "byte 2 of 1"),
        ({"format": "hex", "layout": {"fields": {"a": {"type": "float32", "bits": [0, 1]}}}}, "no bits"),
        ({"format": "hex", "layout": {"fields": {"a": {"bits": [4, 5]}}}}, "do not exist"),
        ({"format": "csv", "csv": {"header": True, "columns": ["a"]}}, "both name"),
        ({"format": "csv", "csv": {"decimal": ","}}, "both a comma"),
        ({"format": "csv", "csv": {"columns": ["a", "a"]}}, "same name"),
        ({"history_time": "a"}, "put \\[\\*\\] in"),
        ({"status": [{"path": "a"}]}, "needs values or flags"),
        ({"status": [{"path": "a", "values": {1: "perfect"}}]}, "no quality"),
        ({"status": [{"path": "a", "values": {"5..1": "good"}}]}, "empty range"),
        ({"status": [{"path": "a", "column": 1, "values": {1: "good"}}]}, "three places"),
        ({"status": [{"topic": "a", "topic_suffix": "b", "values": {1: "good"}}]}, "same thing"),
        ({"availability": [{"topic": "a", "online": ["x"], "offline": ["X"]}]}, "both online and offline"),
        ({"topic": "a/{n}#"}, "no topic filter"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        mqtt.InstrumentOptions.model_validate({"topic": "t"} | options)


def test_a_group_is_a_name() -> None:
    with pytest.raises(ValidationError, match="name of a group"):
        mqtt.Options(share="a/b")


def test_a_channel_is_decoded_alone_as_well() -> None:
    item = plan({"path": "v"})
    assert isinstance(item.options, mqtt.InstrumentOptions)
    assert ChannelDecoder(item.channels[0], item.options).where == "v"


@pytest.mark.parametrize(
    "options",
    [
        {"format": "bytes", "layout": {"fields": {"a": {}}}},
        {"format": "base64", "layout": {"fields": {"a": {}}}, "payload_path": "data"},
        {"format": "hex", "layout": {"fields": {"a": {}}}, "payload_path": "data", "repeat_keys": [["id"]]},
    ],
)
def test_a_status_on_a_topic_of_its_own_is_not_packed_as_the_values_are(options: dict[str, Any]) -> None:
    status = [{"topic": "s", "values": {"run": "good", "stop": "inhibited"}}]
    wired = Instrument(plan({"field": "a"}, status=status, **options), Vigil(ManualClock())).wire()
    told = wired.targets[1].listener
    assert isinstance(told, MessageDecoder)
    assert read(told, "stop") == [(0, 0, None, Quality.INHIBITED)]
    assert read(told, "run") == []


def test_a_channel_of_history_alone_is_never_unreadable() -> None:
    made = decoder({"history": "h[*].v"}, {"path": "v"}, history_time="h[*].t", time_unit="s")
    assert read(made, "no JSON") == [(1, 0, None, Quality.UNREADABLE)]
    found = read(made, '{"v": 1, "h": [{"t": 1699990000, "v": 5}]}')
    assert found == [(1, 0, 1, 0), (0, -10_000, 5, Quality.BACKFILLED)]


def test_a_key_known_from_one_topic_hides_nothing_on_another() -> None:
    made = plan({"path": "v"}, {"path": "w", "topic_suffix": "x"}, repeat_keys=[["id"]])
    for target in Instrument(made, Vigil(ManualClock())).wire().targets:
        assert isinstance(target.listener, MessageDecoder)
        assert len(read(target.listener, '{"id": 1, "v": 2, "w": 3}')) == 1
        assert read(target.listener, '{"id": 1, "v": 2, "w": 3}') == []
