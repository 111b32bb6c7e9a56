"""The quick ways through a payload find what the general way finds, or leave it to that."""

import json
from typing import Any

import numpy as np
import pytest

from drivers import mqtt
from drivers.mqtt.channels import ChannelDecoder
from drivers.mqtt.decode import MessageDecoder
from drivers.mqtt.readings import Readings
from drivers.mqtt.shape import ROW_MIN
from drivers.mqtt.times import TimeReader
from drivers.mqtt.trust import Source
from gateway.core.clock import parse_rfc3339
from gateway.core.model import Batch, Channel, Quality
from gateway.core.plugin import ChannelPlan

NOW = 1_700_000_000_000_000_000
MS = 1_699_999_999_000
COLUMNS = ["row", "time_ns", "value", "quality"]


def decoder(options: dict[str, Any], *channels: dict[str, Any]) -> MessageDecoder:
    instrument = mqtt.InstrumentOptions.model_validate({"topic": "t"} | options)
    made = [
        ChannelDecoder(ChannelPlan(Channel(i, f"gd.c{i}", "gd", "co"), mqtt.ChannelOptions(**where)), instrument)
        for i, where in enumerate(channels)
    ]
    return MessageDecoder(instrument, made)


def read(made: MessageDecoder, document: object) -> Batch:
    out = Readings()
    made.decode(json.dumps(document).encode(), NOW, out)
    return out.batch()


def both(options: dict[str, Any], document: object, *channels: dict[str, Any], quick: bool = True) -> Batch:
    """Read a document both ways; say whether the quick one had to serve."""
    made, slow = decoder(options, *channels), decoder(options, *channels)
    slow._shapes = []
    taken = any(shape.take(json.dumps(document).encode(), NOW, Readings()) for shape in made._shapes)
    assert taken == quick
    found, expected = read(made, document), read(slow, document)
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(found, column), getattr(expected, column), column)
    return found


def test_pairs_are_a_column() -> None:
    options = {"time": "d[*][0]"}
    where = {"path": "d[*][2]", "scale": 0.5}
    found = both(options, {"d": [[MS, "x", 4], [MS + 1, None, 5, "more"]]}, where)
    assert found.value.tolist() == [2.0, 2.5]
    both(options, {"d": [[MS, "x", 4], [MS]]}, where, quick=False)
    both(options, {"d": [{"0": MS}]}, where, quick=False)


def test_a_place_in_a_list_and_a_key_do_not_go_together() -> None:
    assert decoder({"time": "d[*][0]"}, {"path": "d[*].v"})._shapes == []
    assert decoder({"time": "d[*][0]"}, {"path": "d[*][99]"})._shapes == []


@pytest.mark.parametrize(
    "times",
    [
        ["2023-11-14T22:13:19Z", "2023-11-14T22:13:20Z"],
        ["2023-11-14T22:13:19.25Z", "2023-11-14T22:13:19.50Z"],
        ["2023-11-15 06:13:19.123456789+08:00", "2023-11-15 06:13:19.123456790+08:00"],
        ["2023-11-14T16:43:19-05:30", "2023-11-14T16:43:20-05:30"],
        ["2023-11-14T22:13:19Z", "1999-01-01T00:00:00Z"],
        ["2023-11-14T20:13:19Z", "2023-11-14T22:13:20Z"],
    ],
)
def test_iso_times_written_alike_are_read_at_once(times: list[str]) -> None:
    document = [{"t": text, "v": i} for i, text in enumerate(times)]
    both({"time": "[*].t", "time_unit": "iso"}, document, {"path": "[*].v"})


@pytest.mark.parametrize(
    "times",
    [
        ["2023-11-14T22:13:19Z", "2023-11-14T22:13:19.5Z"],
        ["2023-11-14T22:13:19Z", "2023-11-14T22:13:19"],
        ["2023-11-14T22:13:19Z", "2023-02-30T22:13:19Z"],
        ["2023-11-14T22:13:19", "2023-11-14T22:13:20"],
        ["9999-11-14T22:13:19Z", "9999-11-14T22:13:20Z"],
        ["NaT", "now"],
        ["2023-11-14T22:13:1٩Z", "2023-11-14T22:13:20Z"],
        ["", ""],
        [5, None],
    ],
)
def test_iso_times_that_differ_are_read_one_by_one(times: list[Any]) -> None:
    document = [{"t": text, "v": i} for i, text in enumerate(times)]
    both({"time": "[*].t", "time_unit": "iso"}, document, {"path": "[*].v"}, quick=False)


def test_local_times_of_a_day_without_a_change_are_read_at_once() -> None:
    zone = mqtt.InstrumentOptions(topic="t", zone="Europe/Berlin").zone
    assert zone is not None
    options = {"time": "[*].t", "time_unit": "iso", "zone": zone}
    document = [{"t": f"2023-11-14 23:13:{s:02}", "v": s} for s in range(18, 21)]
    assert both(options, document, {"path": "[*].v"}).time_ns[2] == NOW


@pytest.mark.parametrize("day", ["2023-10-29", "2023-03-26"])
def test_local_times_around_a_change_of_summer_time_are_read_one_by_one(day: str) -> None:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - only here

    reader = TimeReader("iso", ZoneInfo("Europe/Berlin"))
    texts = [f"{day}T{hour:02}:30:00" for hour in range(24)]
    assert reader.texts(texts) is None
    summer = [f"2023-07-01T{hour:02}:30:00" for hour in range(24)]
    found = reader.texts(summer)
    assert found is not None
    assert found.tolist() == [parse_rfc3339(text, ZoneInfo("Europe/Berlin")) for text in summer]


@pytest.mark.parametrize("seconds", [1_699_999_999.123456, 1_699_999_999.9999999, 1_699_999_999, 0.5, -1.5, 1e300])
def test_decimal_seconds_are_read_to_the_microsecond_in_both_ways(seconds: float) -> None:
    document = [{"t": seconds, "v": 1}, {"t": 1_699_999_999.5, "v": 2}]
    both({"time": "[*].t", "time_unit": "s"}, document, {"path": "[*].v"})


def test_two_channels_of_the_same_list_share_its_times() -> None:
    document = [{"t": MS + i, "a": i, "b": -i} for i in range(5)]
    found = both({"time": "[*].t"}, document, {"path": "[*].a"}, {"path": "[*].b"})
    assert found.time_ns[:5].tolist() == found.time_ns[5:].tolist()
    both({"time": "t[*]"}, {"t": [MS, MS], "a": [1, 2], "b": [1]}, {"path": "a[*]"}, {"path": "b[*]"}, quick=False)
    both({"time": "t[*]"}, {"t": [], "a": [1]}, {"path": "a[*]"}, quick=False)
    both({"time": "t[*]"}, {"t": [], "a": []}, {"path": "a[*]"})
    both({}, {"a": [1, 2], "b": [1]}, {"path": "a[*]"}, {"path": "b[*]"})


MANY = [{"path": f"v.c{i}", "scale": 0.1 * i, "offset": float(i)} for i in range(ROW_MIN)]
VALUES = {f"c{i}": i * 1.5 for i in range(ROW_MIN)}


def test_many_values_of_one_object_are_a_row() -> None:
    found = both({"time": "t"}, {"t": MS, "v": VALUES}, *MANY)
    assert found.row.tolist() == list(range(ROW_MIN))
    assert found.value[2] == pytest.approx(0.2 * 3.0 + 2)
    both({}, {"v": VALUES | {"more": [1]}}, *MANY)
    assert set(both({"time": "t"}, {"t": 5, "v": VALUES}, *MANY).quality.tolist()) == {Quality.CLOCK_DOUBTFUL}


@pytest.mark.parametrize("value", ["1.5", "x", True, None, 10**400, float("nan"), 1e308])
def test_a_value_that_is_no_plain_number_is_left_to_the_general_way(value: object) -> None:
    channels = [*MANY[:3], MANY[3] | {"scale": 1e9}, *MANY[4:]]
    both({"time": "t"}, {"t": MS, "v": VALUES | {"c3": value}}, *channels, quick=False)


def test_a_row_without_one_of_its_values_or_its_time_is_left_to_the_general_way() -> None:
    both({"time": "t"}, {"t": MS, "v": {"c1": 1}}, *MANY, quick=False)
    both({"time": "t"}, {"v": VALUES}, *MANY, quick=False)


def test_a_row_of_which_something_is_said_is_not_taken_at_its_word() -> None:
    made = decoder({}, *MANY)
    made.channels[2].trust.listen(Source(int(Quality.STALE)))
    found = read(made, {"v": VALUES})
    assert found.quality.tolist() == [Quality.STALE if i == 2 else Quality.GOOD for i in range(ROW_MIN)]
    assert np.isnan(found.value[2])
