"""Whatever bytes arrive, lines, layouts, statuses and wills raise nothing and make no value that is not there."""

import base64
import json
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drivers import mqtt
from drivers.mqtt import topics
from drivers.mqtt.readings import Readings
from drivers.mqtt.vigil import Vigil
from drivers.mqtt.wiring import Instrument, Listener
from gateway.core.clock import ManualClock
from gateway.core.model import BAD_FROM, Batch, Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan

NOW = 1_700_000_000_000_000_000
TAGS: dict[str, Any] = {
    "order": "little",
    "tags": {
        "0175": {"size": 1, "fields": {"a": {}}},
        "0367": {"size": 2, "fields": {"b": {"type": "int16"}}},
        "20ce": {"size": 6, "history": {"type": "uint32"}, "fields": {"b": {"offset": 4, "type": "int16"}}},
    },
}
FIXED: dict[str, Any] = {
    "checksum": "sum8",
    "fields": {"a": {"bits": [0, 4]}, "b": {"offset": 1, "type": "float32"}},
    "time": {"offset": 5},
}


def listeners(*channels: dict[str, Any], **options: Any) -> list[Listener]:
    items = tuple(
        ChannelPlan(Channel(i, f"gd.{i}", "gd", "co"), mqtt.ChannelOptions.model_validate(where))
        for i, where in enumerate(channels)
    )
    made = mqtt.InstrumentOptions.model_validate({"topic": "t"} | options)
    return [t.listener for t in Instrument(InstrumentPlan("gd", 1.0, made, items), Vigil(ManualClock())).wire().targets]


FIELDS = {"field": "a"}, {"field": "b", "scale": 0.1}
STATUS = [{"path": "s", "values": {"1..5": "warm_up", "ok": "good"}, "flags": {3: "sensor_fault"}}]
CHIRPSTACK: dict[str, Any] = {
    "format": "base64",
    "payload_path": "data",
    "time": "time",
    "time_unit": "iso",
    "repeat_keys": [["id"], ["n", "data"]],
    "status": STATUS,
}
RAW = [
    *listeners(*FIELDS, format="bytes", layout=TAGS),
    *listeners(*FIELDS, format="bytes", layout=FIXED),
    *listeners(*FIELDS, format="hex", layout=TAGS | {"length_bytes": 2}),
    *listeners(*FIELDS, format="base64", layout=FIXED, status=[{"field": "a", "values": {"1..9": "inhibited"}}]),
    *listeners({"column": 1}, {"column": "b"}, format="csv", csv={"header": True, "time": 2}, time_unit="s"),
    *listeners({"column": 1}, format="csv", csv={"separator": " "}, status=[{"column": 2, "values": {1: "test"}}]),
    *listeners(
        {},
        format="text",
        availability=[{"topic": "w", "path": "a"}],
        heartbeat={"topic": "h", "path": "n", "silent_after_s": 1},
    ),
]
WRAPPED = [
    *listeners(*FIELDS, **CHIRPSTACK, layout=TAGS),
    *listeners({"path": "v", "history": "h[*].v"}, history_time="h[*].t", time_unit="s", status=STATUS),
]


def decode(made: Listener, payload: bytes) -> Batch:
    out = Readings()
    made.decode(payload, NOW, out)
    made.retained(payload, NOW, out)
    batch = out.batch()
    assert (np.isnan(batch.value) == (batch.quality >= BAD_FROM)).all()
    assert np.isfinite(batch.value[batch.quality < BAD_FROM]).all()
    live = batch.quality != Quality.BACKFILLED
    assert (np.abs(batch.time_ns[live] - NOW) <= 86_700 * 1_000_000_000).all()
    assert (batch.time_ns[~live] <= NOW + 300 * 1_000_000_000).all()
    return batch


frames = st.lists(
    st.sampled_from([b"\x01\x75", b"\x03\x67", b"\x20\xce", b"\0\1", b"\xff"]) | st.binary(max_size=6), max_size=12
).map(b"".join)


@given(payload=st.binary(max_size=60) | frames | frames.map(lambda f: f.hex().encode()), made=st.sampled_from(RAW))
def test_any_bytes_keep_the_law_of_values_and_times(payload: bytes, made: Listener) -> None:
    decode(made, payload)


@given(payload=st.text(alphabet='0123456789.,; \n\t-eE"abtest', max_size=60), made=st.sampled_from(RAW))
def test_any_lines_keep_the_law_of_values_and_times(payload: str, made: Listener) -> None:
    decode(made, payload.encode())


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just(1_699_999_000)
documents = st.fixed_dictionaries(
    {},
    optional={
        "data": leaves | frames.map(lambda frame: base64.b64encode(frame).decode()),
        "time": leaves | st.just("2023-11-14T22:13:20.5Z"),
        "v": leaves,
        "s": leaves,
        "id": leaves,
        "n": leaves,
        "h": leaves | st.lists(st.fixed_dictionaries({}, optional={"v": leaves, "t": leaves}), max_size=4),
    },
)


@given(document=documents, made=st.sampled_from(WRAPPED))
def test_any_document_around_them_does_too(document: object, made: Listener) -> None:
    decode(made, json.dumps(document).encode())


@given(value=st.integers(-0x8000, 0x7FFF), rest=st.binary(max_size=8))
def test_what_stands_before_an_unknown_tag_is_read_as_it_was_written(value: int, rest: bytes) -> None:
    batch = decode(RAW[0], b"\x03\x67" + value.to_bytes(2, "little", signed=True) + b"\x99\x99" + rest)
    assert batch.value[batch.row == 1].tolist()[0] == value * 0.1


levels = st.lists(st.sampled_from(["a", "b", "+", "", "$SYS", "$share"]), min_size=1, max_size=4)
filters = st.tuples(levels, st.booleans()).map(lambda drawn: "/".join(drawn[0] + (["#"] if drawn[1] else [])))


@given(texts=st.lists(filters, max_size=8))
def test_the_fewest_subscriptions_are_those_that_no_other_covers(texts: list[str]) -> None:
    unique = list(dict.fromkeys(text for text in texts if not text.startswith("$share/")))
    expected = [f for f in unique if not any(g != f and topics.covers(g, f) for g in unique)]
    assert topics.subscriptions(unique) == expected
