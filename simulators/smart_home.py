"""What instruments of the smart home publish: Zigbee2MQTT, Tasmota, Shelly Gas, ESPHome, each in its own words.

Topics are patterns in which `{topic}` is the instrument's own.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core.clock import NS_PER_S
from simulators.payloads import Value, nested
from simulators.scenario import State

TASMOTA_ZONE = ZoneInfo("Asia/Shanghai")
"""Tasmota writes the time of its place without saying which; this is where the simulated ones stand."""
Values = Mapping[str, Value]
Contacts = frozenset[str]
Made = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Online:
    """How it is told, in a retained message, whether an instrument is there; `relay` is who passes its messages on."""

    topic: str
    online: bytes
    offline: bytes
    relay: str = ""


ONLINE = {
    "zigbee2mqtt": Online(
        "{topic}/availability", b'{"state":"online"}', b'{"state":"offline"}', relay="zigbee2mqtt/bridge/state"
    ),
    "tasmota": Online("tele/{topic}/LWT", b"Online", b"Offline"),
    "shelly-gas": Online("{topic}/online", b"true", b"false"),
    "esphome": Online("{topic}/status", b"online", b"offline"),
}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def zigbee2mqtt(values: Values, contacts: Contacts, states: Sequence[State], time_ns: int) -> Made:
    """Return one object with contacts as true and false; a head that warms up says `preheat`."""
    said: dict[str, Any] = {key: bool(value) if key in contacts else value for key, value in values.items()}
    said |= {
        "preheat": "warm_up" in states,
        "self_test_result": "failure" if "fault" in states else "success",
        "battery": 100,
        "battery_low": False,
        "test": False,
        "tamper": False,
        "linkquality": 90 + time_ns // NS_PER_S % 60,
    }
    return [("{topic}", _json(said))]


def tasmota(values: Values, contacts: Contacts, states: Sequence[State], time_ns: int) -> Made:  # noqa: ARG001 - all alike
    """Return SENSOR and STATE, each with the local time without its zone."""
    local = datetime.fromtimestamp(time_ns // NS_PER_S, TASMOTA_ZONE).replace(tzinfo=None).isoformat()
    sensor = {"Time": local, **nested(values), "TempUnit": "C"}
    state = {"Time": local, "Heap": 25, "SleepMode": "Dynamic", "LoadAvg": 19, "Wifi": {"RSSI": 76, "Signal": -62}}
    return [("tele/{topic}/STATE", _json(state)), ("tele/{topic}/SENSOR", _json(sensor))]


def shelly_gas(values: Values, contacts: Contacts, states: Sequence[State], time_ns: int) -> Made:  # noqa: ARG001 - all alike
    """Return a topic for each word; the concentration is -1 while there is none."""
    concentration = next((value for key, value in values.items() if key not in contacts), None)
    operation = "fault" if "fault" in states else "warmup" if "warm_up" in states else "normal"
    valid = operation == "normal" and isinstance(concentration, float)
    ppm = round(float(concentration or 0.0)) if valid else -1
    alarm = "heavy" if any(values[key] for key in contacts) else "none"
    return [
        ("{topic}/sensor/operation", operation.encode()),
        ("{topic}/sensor/gas", alarm.encode()),
        ("{topic}/sensor/self_test", b"not_completed"),
        ("{topic}/sensor/concentration", str(ppm).encode()),
    ]


def esphome(values: Values, contacts: Contacts, states: Sequence[State], time_ns: int) -> Made:  # noqa: ARG001 - all alike
    """Return a topic for each value, as text; what has none is `nan`."""
    made = []
    for key, value in values.items():
        if key in contacts:
            made.append((f"{{topic}}/binary_sensor/{key}/state", b"ON" if value else b"OFF"))
        else:
            made.append((f"{{topic}}/sensor/{key}/state", b"nan" if value is None else f"{value:g}".encode()))
    return made


MESSAGES: Mapping[str, Callable[[Values, Contacts, Sequence[State], int], Made]] = {
    "zigbee2mqtt": zigbee2mqtt,
    "tasmota": tasmota,
    "shelly-gas": shelly_gas,
    "esphome": esphome,
}
