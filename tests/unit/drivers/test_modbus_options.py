"""What options of words accept and refuse before any instrument is known."""

from typing import Any

import pytest
from pydantic import ValidationError

from drivers.modbus.options import (
    ChannelOptions,
    HeartbeatOptions,
    InstrumentOptions,
    Options,
    ScaleOptions,
    Scheme,
    SelectOptions,
    StatusOptions,
    UnitOptions,
    raw_span,
)


@pytest.mark.parametrize(
    ("key", "span"),
    [("3", (3, 3)), ("-3", (-3, -3)), ("1100..1199", (1100, 1199)), ("-7..-2", (-7, -2)), ("5..5", (5, 5))],
)
def test_raw_values_and_ranges_of_them_are_keys_of_a_status(key: str, span: tuple[int, int]) -> None:
    options = StatusOptions.model_validate({"address": 0, "values": {key: "warm_up"}})
    assert raw_span(next(iter(options.values))) == span


def test_a_raw_value_may_be_written_as_a_number() -> None:
    assert StatusOptions.model_validate({"address": 0, "values": {3: "good"}}).values == {"3": "good"}


@pytest.mark.parametrize("key", ["", "x", "1.5", "9..3", "1..", "..2", "1...2", "0x10"])
def test_what_is_no_raw_value_is_refused_by_name(key: str) -> None:
    with pytest.raises(ValidationError, match="no raw value and no range") as caught:
        StatusOptions.model_validate({"address": 0, "values": {key: "warm_up"}})
    assert repr(key) in str(caught.value)


@pytest.mark.parametrize(
    "entry", [{"values": {"1": "fine"}}, {"other": "good"}, {"flags": {3: "good"}}, {"flags": {64: "bad"}}]
)
def test_a_quality_that_is_none_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StatusOptions.model_validate({"address": 0, **entry})


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (HeartbeatOptions, {"address": 0, "stalls_after_s": 0}),
        (ScaleOptions, {"address": 0, "values": {}}),
        (ScaleOptions, {"address": 0, "values": {0: "nan"}}),
        (UnitOptions, {"address": 0, "values": {}}),
        (SelectOptions, {"address": 0, "values": []}),
        (SelectOptions, {"address": 0, "values": [65536]}),
        (SelectOptions, {"address": 0, "values": [0] * 122}),
        (InstrumentOptions, {"status": [{"address": 0, "other": "bad"}] * 4097}),
        (ChannelOptions, {"address": 0, "table": "queue"}),
    ],
)
def test_words_without_sense_are_refused(model: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(options)


def test_keys_of_yaml_and_of_json_mean_the_same() -> None:
    for key in (4, "4"):
        assert StatusOptions.model_validate({"address": 0, "flags": {key: "bad"}}).flags == {4: "bad"}
        assert ScaleOptions.model_validate({"address": 0, "values": {key: 0.1}}).values == {4: 0.1}


@pytest.mark.parametrize(
    ("endpoint", "scheme", "port"),
    [
        ("tls://x", Scheme.TLS, 802),
        ("udp://x", Scheme.UDP, 502),
        ("tls://x:1", Scheme.TLS, 1),
        ("udp://x:7", Scheme.UDP, 7),
    ],
)
def test_encrypted_and_datagram_endpoints_have_their_ports(endpoint: str, scheme: Scheme, port: int) -> None:
    parts = Options(endpoint=endpoint).parts
    assert (parts.scheme, parts.host, parts.port, parts.scheme.serial) == (scheme, "x", port, False)
