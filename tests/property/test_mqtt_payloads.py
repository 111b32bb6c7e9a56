"""Whatever arrives, the decoders raise nothing and never make a value of it that is not there."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drivers import mqtt
from drivers.mqtt import paths
from drivers.mqtt.channels import ChannelDecoder
from drivers.mqtt.decode import MessageDecoder
from drivers.mqtt.framing import HEAD_BYTES, Framer, FramingError
from drivers.mqtt.readings import Readings
from gateway.core.model import BAD_FROM, Batch, Channel, Quality
from gateway.core.plugin import ChannelPlan

NOW = 1_700_000_000_000_000_000


def decoder(time: str, unit: str, *places: str) -> MessageDecoder:
    options = mqtt.InstrumentOptions(topic="t", time=time, time_unit=unit)
    channels = [
        ChannelDecoder(ChannelPlan(Channel(i, str(i), "gd", "co"), mqtt.ChannelOptions(path=place)), options)
        for i, place in enumerate(places)
    ]
    return MessageDecoder(options, channels)


DECODERS = [
    decoder("arrival", "ms", "", "v", "r[*].v", "[*]"),
    decoder("t", "s", "v", "r.v"),
    decoder("r[*].t", "ms", "r[*].v"),
    decoder("t[*]", "ns", "v[*]", "t[*]"),
    decoder("[*].t", "iso", "[*].v"),
]


def decode(made: MessageDecoder, payload: bytes) -> Batch:
    out = Readings()
    made.decode(payload, NOW, out)
    batch = out.batch()
    assert (np.isnan(batch.value) == (batch.quality >= BAD_FROM)).all()
    assert np.isfinite(batch.value[batch.quality < BAD_FROM]).all()
    assert (np.abs(batch.time_ns - NOW) <= 86_400 * 1_000_000_000 + 300 * 1_000_000_000).all()
    return batch


@given(payload=st.binary(max_size=200), made=st.sampled_from(DECODERS[1:]))
def test_arbitrary_bytes_give_bad_readings_or_none(payload: bytes, made: MessageDecoder) -> None:
    batch = decode(made, payload)
    try:
        json.loads(payload)
    except (ValueError, RecursionError):
        assert (batch.quality == Quality.UNREADABLE).all()
        assert len(batch) == len(made.channels)


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.just(1_699_999_999_500),
    st.sampled_from(["ON", "12", "2023-11-14T22:13:20Z", "nan"]),
)
keys = st.sampled_from(["t", "v", "r", "x"])
documents = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4))


@given(document=documents, made=st.sampled_from(DECODERS))
def test_any_document_keeps_the_law_of_values_and_times(document: object, made: MessageDecoder) -> None:
    decode(made, json.dumps(document).encode())


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
items = st.fixed_dictionaries({"t": st.integers(1_699_999_000_000, 1_700_000_100_000), "v": numbers})


@given(found=st.lists(items, min_size=1, max_size=20))
def test_a_list_of_readings_comes_out_as_it_went_in(found: list[dict[str, float]]) -> None:
    found = [*found, {"t": 1_700_000_000_000, "v": 1}]
    batch = decode(DECODERS[2], json.dumps({"r": found}).encode())
    assert batch.value.tolist() == [float(item["v"]) for item in found]
    assert batch.time_ns.tolist() == [item["t"] * 1_000_000 for item in found]


@given(text=st.text(max_size=30))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    try:
        steps = paths.parse(text)
    except ValueError:
        return
    assert steps.count(None) <= 1


@given(stream=st.binary(max_size=400), cut=st.integers(1, 50), v5=st.booleans())
def test_an_arbitrary_stream_gives_messages_or_an_error_and_keeps_little(stream: bytes, cut: int, *, v5: bool) -> None:
    framer = Framer(64, v5=v5)
    try:
        for at in range(0, len(stream), cut):
            for command, body, length in framer.feed(stream[at : at + cut]):
                if command & 0xF0 == 0x30:
                    framer.publish(command, body, length)
            assert len(framer._rest) <= 64 + HEAD_BYTES + 5 + cut
    except FramingError:
        return
