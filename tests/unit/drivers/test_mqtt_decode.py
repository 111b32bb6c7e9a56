"""From one payload to readings."""

import json
import math
from typing import Any

import pytest

from drivers import mqtt
from drivers.mqtt.channels import READINGS_MAX, ChannelDecoder
from drivers.mqtt.decode import MessageDecoder
from drivers.mqtt.readings import Readings
from gateway.core.errors import ConfigError
from gateway.core.model import Channel, Quality
from gateway.core.plugin import ChannelPlan

S = 1_000_000_000
NOW = 1_700_000_000 * S
Found = list[tuple[int, float, float | None, int]]


def decoder(*channels: dict[str, Any], **options: Any) -> MessageDecoder:
    instrument = mqtt.InstrumentOptions(topic="t", **options)
    plans = [
        ChannelPlan(Channel(i, f"gd.c{i}", "gd", "co"), mqtt.ChannelOptions(**where), ("instruments", 0, "channels", i))
        for i, where in enumerate(channels)
    ]
    return MessageDecoder(instrument, [ChannelDecoder(plan, instrument) for plan in plans])


def read(made: MessageDecoder, payload: object) -> Found:
    """Return (row, seconds from now, value or None, quality) of each reading."""
    out = Readings()
    made.decode(payload if isinstance(payload, bytes) else json.dumps(payload).encode(), NOW, out)
    batch = out.batch()
    assert out.count == len(batch)
    columns = zip(batch.row, batch.time_ns, batch.value, batch.quality, strict=True)
    return [(int(r), (int(t) - NOW) / S, None if math.isnan(v) else float(v), int(q)) for r, t, v, q in columns]


def test_a_plain_payload_is_the_value() -> None:
    assert read(decoder({}), b" 12.5\n") == [(0, 0, 12.5, 0)]


def test_a_path_finds_the_value_and_the_time() -> None:
    made = decoder({"path": "data.co"}, time="ts", time_unit="s")
    assert read(made, {"ts": 1_699_999_990.5, "data": {"co": 7}}) == [(0, -9.5, 7, 0)]


@pytest.mark.parametrize("time", [0, 4_102_444_800, 1_699_999_699, None, "yesterday", [1], {}, True])
def test_a_time_that_cannot_be_believed_is_the_arrival_and_doubtful(time: object) -> None:
    made = decoder({"path": "v"}, time="ts", time_unit="s")
    assert read(made, {"ts": time, "v": 1}) == [(0, 0, 1, Quality.CLOCK_DOUBTFUL)]
    assert read(made, {"v": 1}) == [(0, 0, 1, Quality.CLOCK_DOUBTFUL)]


def test_a_doubtful_clock_hides_no_other_quality() -> None:
    made = decoder({"path": "v", "special": {"5": "test", "-1": "sensor_fault"}}, time="ts")
    assert read(made, {"v": 5})[0][3] == Quality.TEST
    assert read(made, {"v": -1})[0][2:] == (None, Quality.SENSOR_FAULT)


def test_a_missing_path_is_unreadable_unless_it_is_optional() -> None:
    made = decoder({"path": "a"}, {"path": "b", "optional": True}, {"path": "c"})
    assert read(made, {"c": 3}) == [(0, 0, None, Quality.UNREADABLE), (2, 0, 3, 0)]


@pytest.mark.parametrize("value", ["null", "[]", "{}", '"abc"', "NaN", "-Infinity", "1e999", "1" * 400])
def test_one_value_that_cannot_be_read_leaves_its_neighbour(value: str) -> None:
    payload = f'{{"a": {value}, "b": 2}}'.encode()
    assert read(decoder({"path": "a"}, {"path": "b"}), payload) == [(0, 0, None, Quality.UNREADABLE), (1, 0, 2, 0)]


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b'{"a": 1} 2', b"[" * 100_000, b'{"a":' * 3000, b"nan"])
def test_a_payload_that_is_no_json_makes_every_channel_unreadable_once(payload: bytes) -> None:
    found = read(decoder({"path": "a"}, {"path": "b", "optional": True}), payload)
    assert found == [(0, 0, None, Quality.UNREADABLE), (1, 0, None, Quality.UNREADABLE)]


def test_a_list_of_readings_keeps_order_and_times() -> None:
    made = decoder({"path": "r[*].v", "scale": 2}, time="r[*].t", time_unit="ms")
    items = [{"t": 1_699_999_000_000, "v": 1}, {"t": 1_699_999_999_250, "v": 2.5}]
    assert read(made, {"r": items}) == [(0, -1000, 2, 0), (0, -0.75, 5, 0)]


def test_two_lists_side_by_side_are_one_column_of_readings() -> None:
    made = decoder({"path": "v[*]"}, {"path": "w[*]"}, time="t[*]", time_unit="s")
    payload = {"t": [1_699_999_998, 1_699_999_999], "v": [1, 2], "w": [3, 4.5]}
    assert read(made, payload) == [(0, -2, 1, 0), (0, -1, 2, 0), (1, -2, 3, 0), (1, -1, 4.5, 0)]


def test_a_base_time_and_a_step_give_each_reading_its_time() -> None:
    made = decoder({"path": "v[*]"}, time="t0", time_unit="s", time_step=0.5)
    assert read(made, {"t0": 1_699_999_990, "v": [1, 2, 3]}) == [(0, -10, 1, 0), (0, -9.5, 2, 0), (0, -9, 3, 0)]


def test_a_step_without_a_time_ends_at_the_arrival() -> None:
    assert read(decoder({"path": "[*]"}, time_step=1), [5, 6]) == [(0, -1, 5, 0), (0, 0, 6, 0)]


def test_a_list_without_times_arrives_at_once() -> None:
    assert read(decoder({"path": "[*]"}), [5, 6]) == [(0, 0, 5, 0), (0, 0, 6, 0)]


def test_times_in_nanoseconds_are_kept_to_the_nanosecond() -> None:
    made = decoder({"path": "[*].v"}, time="[*].t", time_unit="ns")
    out = Readings()
    made.decode(json.dumps([{"t": NOW - 1, "v": 1}, {"t": NOW + 1, "v": 1}]).encode(), NOW, out)
    assert (out.batch().time_ns - NOW).tolist() == [-1, 1]


def test_iso_times_of_a_list_are_read_in_the_declared_zone() -> None:
    made = decoder({"path": "[*].v"}, time="[*].t", time_unit="iso", zone="Asia/Shanghai")
    assert read(made, [{"t": "2023-11-15 06:13:19", "v": 1}]) == [(0, -1, 1, 0)]


@pytest.mark.parametrize(
    ("item", "value", "quality"),
    [
        ({"t": 1_700_000_000, "v": "x"}, None, Quality.UNREADABLE),
        ({"t": 1_700_000_000, "v": None}, None, Quality.UNREADABLE),
        ({"t": 1_700_000_000}, None, Quality.UNREADABLE),
        ("no item", None, Quality.UNREADABLE),
        ({"t": 1_700_000_000, "v": "ON"}, 10.0, 0),
        ({"t": 1_700_000_000, "v": True}, 10.0, 0),
        ({"t": 1_700_000_000, "v": "1.5"}, 15.0, 0),
        ({"t": 1_700_000_000, "v": 10**30}, 1e31, 0),
        ({"t": 1e300, "v": 1}, 10.0, Quality.CLOCK_DOUBTFUL),
        ({"t": "x", "v": 1}, 10.0, Quality.CLOCK_DOUBTFUL),
        ({"v": 1}, 10.0, Quality.CLOCK_DOUBTFUL),
    ],
)
def test_an_odd_item_of_a_list_leaves_the_others(item: object, value: float | None, quality: int) -> None:
    made = decoder({"path": "[*].v", "scale": 10, "words": {"on": 10, "true": 10}}, time="[*].t", time_unit="s")
    good = {"t": 1_699_999_999, "v": 2}
    found = read(made, [good, item, good])
    assert [found[0], found[2]] == [(0, -1, 20, 0)] * 2
    assert found[1][2] == (None if value is None else pytest.approx(value))
    assert found[1][3] == quality


def test_a_special_number_in_a_list_has_its_quality() -> None:
    made = decoder({"path": "[*]", "special": {-1: "sensor_fault"}})
    assert [(v, q) for _, _, v, q in read(made, [1, -1])] == [(1, 0), (None, Quality.SENSOR_FAULT)]


def test_a_value_that_scaling_makes_infinite_is_unreadable_in_a_list_too() -> None:
    assert [q for *_, q in read(decoder({"path": "[*]", "scale": 1e10}), [1e308, 1.0])] == [Quality.UNREADABLE, 0]


def test_lists_of_different_length_have_doubtful_times() -> None:
    made = decoder({"path": "v[*]"}, time="t[*]", time_unit="s")
    assert read(made, {"t": [1_699_999_999], "v": [1, 2]}) == [(0, 0, v, Quality.CLOCK_DOUBTFUL) for v in (1, 2)]


def test_an_empty_list_says_nothing() -> None:
    assert read(decoder({"path": "v[*]"}), {"v": []}) == []


def test_a_list_beyond_the_limit_is_one_unreadable_reading() -> None:
    assert read(decoder({"path": "v[*]"}), {"v": [1] * (READINGS_MAX + 1)}) == [(0, 0, None, Quality.UNREADABLE)]
    assert len(read(decoder({"path": "v[*]"}), {"v": [1] * READINGS_MAX})) == READINGS_MAX


def test_a_value_where_a_list_should_be_is_unreadable() -> None:
    assert read(decoder({"path": "v[*]"}), {"v": 3}) == [(0, 0, None, Quality.UNREADABLE)]
    assert read(decoder({"path": "v"}), {"v": [3]}) == [(0, 0, None, Quality.UNREADABLE)]


@pytest.mark.parametrize(
    ("channel", "options", "words"),
    [
        ({}, {"time": "ts"}, "holds no time"),
        ({"path": "v"}, {"time": "r[*].t"}, "are many times"),
        ({"path": "v[*]"}, {"time": "ts"}, "give time_step"),
    ],
)
def test_paths_and_times_that_do_not_fit_are_configuration_errors(
    channel: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        decoder(channel, **options)
    assert caught.value.path == ("instruments", 0, "channels", 0, "options", "path")


@pytest.mark.parametrize(
    "options",
    [
        {"clean_session": False},
        {"clean_session": False, "client_id": "gw", "qos": 0},
        {"tls_ca_file": "ca.crt"},
        {"tls": True, "tls_cert_file": "a.crt"},
        {"password_file": "secret"},
        {"port": 0},
        {"keepalive_s": 3},
        {"protocol": "3.1"},
    ],
)
def test_connection_options_that_do_not_fit_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs?\b|go together|Input should be"):
        mqtt.Options(**options)


@pytest.mark.parametrize(
    "payload",
    [
        {"state": "ON", "smoke": True, "battery": 87},
        {"Time": "2024-02-24T22:20:38", "MQ2": {"Gas": 12.5}},
    ],
)
def test_payloads_of_common_home_gateways_are_read(payload: dict[str, Any]) -> None:
    made = decoder({"path": "smoke", "optional": True}, {"path": "MQ2.Gas", "optional": True})
    found = read(made, payload)
    assert [(row, value, quality) for row, _, value, quality in found] in ([(0, 1.0, 0)], [(1, 12.5, 0)])
