"""What instruments publish over MQTT: plain values, JSON objects, columns, uplinks in the shape of ChirpStack."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.clock import NS_PER_S, rfc3339

Value = float | str | bool | None

APPLICATION_ID = "17c82e96-be03-4f38-aef3-f83d48582d97"
"""The ChirpStack application that all simulated heads belong to."""


def nested(values: Mapping[str, Value]) -> dict[str, Any]:
    """Return an object with dotted paths opened up.

    Raises:
        ValueError: A path runs through another value.

    >>> nested({"gas.ch4": 1.5, "gas.co": 2, "status": "normal"})
    {'gas': {'ch4': 1.5, 'co': 2}, 'status': 'normal'}
    """
    root: dict[str, Any] = {}
    for path, value in values.items():
        *way, last = path.split(".")
        branch = root
        for key in way:
            branch = branch.setdefault(key, {})
            if not isinstance(branch, dict):
                raise ValueError(f"{path} runs through the value of {key}")  # noqa: TRY004 - the paths are wrong
        if last in branch:
            raise ValueError(f"{path} is there already")
        branch[last] = value
    return root


def plain(value: Value) -> bytes:
    """Return one value as text; an unknown one as `null`.

    >>> plain(12.5), plain(None), plain(True)
    (b'12.5', b'null', b'1')
    """
    if isinstance(value, bool):
        return b"1" if value else b"0"
    return str("null" if value is None else value).encode()


def json_object(values: Mapping[str, Value], time_ns: int) -> bytes:
    """Return an object of values by dotted path, with `time` in RFC 3339."""
    return _dumps({"time": rfc3339(time_ns), **nested(values)})


def columns(rows: Sequence[Mapping[str, Value]], times_ns: Sequence[int]) -> bytes:
    """Return several readings as one object of lists: `t` in milliseconds since 1970 and one list a path."""
    paths = rows[0].keys() if rows else ()
    lists: dict[str, Any] = {path: [row[path] for row in rows] for path in paths}
    return _dumps({"t": [time_ns // (NS_PER_S // 1000) for time_ns in times_ns], **lists})


def chirpstack_uplink(
    values: Mapping[str, Value] | None,
    *,
    name: str,
    dev_eui: str,
    counter: int,
    time_ns: int,
    deduplication: str,
    frame: bytes = b"",
) -> bytes:
    """Return an uplink event of a ChirpStack v4 server (`application/…/device/…/event/up`), codec output in `object`.

    Args:
        values: Decoded fields by dotted path; None where the server has no codec for the instrument: no `object` then.
        name: The instrument's name.
        dev_eui: 16 hexadecimal digits.
        counter: Frame counter.
        time_ns: When the LoRa gateway heard it.
        deduplication: A UUID, the same for one frame heard by several LoRa gateways.
        frame: The bytes that the instrument sent; with a codec something stands for them where left out.
    """
    decoded = None if values is None else nested(values)
    frame = frame or json.dumps(decoded, separators=(",", ":")).encode()[:51]
    moment = rfc3339(time_ns)
    return _dumps(
        {
            "deduplicationId": deduplication,
            "time": moment,
            "deviceInfo": {
                "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
                "tenantName": "Plant",
                "applicationId": APPLICATION_ID,
                "applicationName": "hazard",
                "deviceProfileId": "14855bf7-d10d-4aee-b618-ebfcb64dc7ad",
                "deviceProfileName": "detector head",
                "deviceName": name,
                "devEui": dev_eui,
                "tags": {},
            },
            "devAddr": dev_eui[-8:],
            "adr": True,
            "dr": 5,
            "fCnt": counter,
            "fPort": 85,
            "confirmed": False,
            "data": base64.b64encode(frame).decode(),
            **({} if decoded is None else {"object": decoded}),
            "rxInfo": [
                {"gatewayId": "0016c001f153a14c", "uplinkId": counter, "gwTime": moment, "rssi": -57, "snr": 9.5}
            ],
            "txInfo": {"frequency": 470_300_000, "modulation": {"lora": {"bandwidth": 125_000, "spreadingFactor": 7}}},
        }
    )


def _dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
