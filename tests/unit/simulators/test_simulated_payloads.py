"""What heads publish over MQTT."""

import base64
import json

import pytest

from simulators.payloads import chirpstack_uplink, columns, json_object, nested, plain

NOW_NS = 1_700_000_000_123_000_000


def test_a_json_object_has_its_time_and_opened_paths():
    assert json.loads(json_object({"gas.ch4": 1.5, "status": "normal"}, NOW_NS)) == {
        "time": "2023-11-14T22:13:20.123+00:00",
        "gas": {"ch4": 1.5},
        "status": "normal",
    }


def test_columns_hold_one_list_a_path_with_times_in_milliseconds():
    rows = [{"t1": 20.0, "s": None}, {"t1": 20.5, "s": 0.1}]
    assert json.loads(columns(rows, [NOW_NS, NOW_NS + 500_000_000])) == {
        "t": [1_700_000_000_123, 1_700_000_000_623],
        "t1": [20.0, 20.5],
        "s": [None, 0.1],
    }


def test_an_uplink_has_what_an_application_of_chirpstack_reads():
    uplink = json.loads(
        chirpstack_uplink(
            {"gas": 3.0},
            name="kg-1",
            dev_eui="24e124710c140001",
            counter=7,
            time_ns=NOW_NS,
            deduplication="3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
        )
    )
    assert uplink["object"] == {"gas": 3.0}
    assert uplink["deviceInfo"]["devEui"] == "24e124710c140001"
    assert uplink["fCnt"] == 7
    assert uplink["time"].endswith("+00:00")
    assert base64.b64decode(uplink["data"]) == b'{"gas":3.0}'


@pytest.mark.parametrize("paths", [("a", "a.b"), ("a.b", "a")])
def test_a_path_through_a_value_is_refused(paths: tuple[str, ...]):
    with pytest.raises(ValueError, match="a"):
        nested(dict.fromkeys(paths, 1.0))


def test_plain_values_are_text():
    assert [plain(value) for value in (12.5, None, True, "ok")] == [b"12.5", b"null", b"1", b"ok"]
