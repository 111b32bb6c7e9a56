"""Whole instruments as the field has them, by options alone: what they publish in, readings out."""

import base64
import json
import math
import struct
from typing import Any

import pytest

from drivers import mqtt
from drivers.mqtt.driver import MqttDriver
from drivers.mqtt.framing import Publish
from gateway.core.clock import ManualClock, rfc3339
from gateway.core.errors import NotConnectedError
from gateway.core.model import Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan

S = 1_000_000_000
Found = list[tuple[str, float, Any, str]]


class Rig:
    """One instrument on a driver that is handed messages instead of a connection."""

    def __init__(
        self, options: dict[str, Any], channels: dict[str, dict[str, Any]], period_s: float = 10.0, **connection: Any
    ) -> None:
        self.clock = ManualClock()
        self.names = list(channels)
        plans = tuple(
            ChannelPlan(
                Channel(i, f"gd.{name}", "gd", "co", range_high=100.0, period_s=period_s, stale_after_s=3 * period_s),
                mqtt.ChannelOptions.model_validate(where),
                ("instruments", 0, "channels", i),
            )
            for i, (name, where) in enumerate(channels.items())
        )
        made = mqtt.create(
            mqtt.Options.model_validate(connection),
            [InstrumentPlan("gd", period_s, mqtt.InstrumentOptions.model_validate(options), plans, ("instruments", 0))],
            self.clock,
        )
        assert isinstance(made, MqttDriver)
        self.driver = made

    async def tell(self, topic: str, payload: object, *, retain: bool = False) -> Found:
        """Return (channel, seconds from now, value or None, quality) of what a message brings."""
        data = (
            payload
            if isinstance(payload, bytes)
            else (payload.encode() if isinstance(payload, str) else json.dumps(payload).encode())
        )
        self.driver.message(Publish(topic.encode(), data, 0, 0, dup=False, retain=retain, size=len(data)))
        return await self.read()

    async def after(self, seconds: float) -> Found:
        self.clock.advance(seconds)
        return await self.read()

    async def read(self) -> Found:
        try:
            batch = await self.driver.read()
        except NotConnectedError:  # nothing came, and there is no connection to wait on
            return []
        now = self.clock.now_ns()
        return [
            (self.names[r], (int(t) - now) / S, None if math.isnan(v) else float(v), Quality(int(q)).name.lower())
            for r, t, v, q in zip(batch.row, batch.time_ns, batch.value, batch.quality, strict=True)
        ]

    def now(self, offset_s: float = 0.0) -> float:
        return self.clock.now_ns() / S + offset_s


# ESPHome: one topic a channel, plain text; <node>/status by last will.

ESPHOME: dict[str, Any] = {
    "topic": "{node}",
    "fill": {"node": "boiler-1"},
    "availability": [{"topic": "{node}/status"}],
}


async def test_esphome_is_read_from_a_topic_a_channel() -> None:
    rig = Rig(
        ESPHOME, {"co": {"topic_suffix": "sensor/co/state"}, "smoke": {"topic_suffix": "binary_sensor/smoke/state"}}
    )
    assert await rig.tell("boiler-1/sensor/co/state", "12.5") == [("co", 0, 12.5, "good")]
    assert await rig.tell("boiler-1/binary_sensor/smoke/state", "ON") == [("smoke", 0, 1, "good")]
    assert await rig.tell("boiler-1/sensor/co/state", "nan") == [("co", 0, None, "unreadable")]
    assert await rig.tell("boiler-1/status", "offline", retain=True) == [
        ("co", 0, None, "comms_lost"),
        ("smoke", 0, None, "comms_lost"),
    ]


# Tasmota: the chip's name in the path, local time without zone, LWT.

TASMOTA: dict[str, Any] = {
    "topic": "tele/{name}/SENSOR",
    "fill": {"name": "cellar"},
    "time": "Time",
    "time_unit": "iso",
    "zone": "Asia/Shanghai",
    "availability": [{"topic": "tele/{name}/LWT"}],
}


async def test_tasmota_tells_local_time_without_saying_so() -> None:
    rig = Rig(TASMOTA, {"t": {"path": "SHT3X.Temperature"}, "rh": {"path": "SHT3X.Humidity"}}, period_s=300)
    payload = {"Time": "2023-11-15T06:13:10", "SHT3X": {"Temperature": 21.4, "Humidity": 40.2}, "TempUnit": "C"}
    assert await rig.tell("tele/cellar/SENSOR", payload) == [("t", -10, 21.4, "good"), ("rh", -10, 40.2, "good")]


async def test_tasmota_is_lost_by_its_last_will_until_it_speaks_again() -> None:
    rig = Rig(TASMOTA, {"t": {"path": "SHT3X.Temperature"}}, period_s=300)
    assert await rig.tell("tele/cellar/LWT", "Offline", retain=True) == [("t", 0, None, "comms_lost")]
    assert await rig.after(299) == []
    assert await rig.after(2) == [("t", 0, None, "comms_lost")]
    assert await rig.tell("tele/cellar/LWT", "Online") == []
    assert await rig.after(600) == []


# Shelly Gas, first generation: a topic a value, the state of the instrument on a topic of its own.

SHELLY: dict[str, Any] = {
    "topic": "shellies/shellygas-{id}",
    "fill": {"id": "5ECF7F0"},
    "availability": [{"topic": "shellies/shellygas-{id}/online"}],
    "status": [
        {
            "topic_suffix": "sensor/operation",
            "values": {"normal": "good", "warmup": "warm_up", "fault": "sensor_fault", "unknown": "uncertain"},
            "other": "sensor_fault",
        }
    ],
}
SHELLY_CHANNELS: dict[str, dict[str, Any]] = {
    "gas": {"topic_suffix": "sensor/concentration", "special": {"-1": "sensor_fault"}},
    "level": {
        "topic_suffix": "sensor/gas",
        "words": {"none": 0, "mild": 1, "heavy": 2},
        "special": {"test": "inhibited"},
    },
}
BASE = "shellies/shellygas-5ECF7F0"


async def test_shelly_is_in_doubt_until_it_says_that_it_works() -> None:
    rig = Rig(SHELLY, SHELLY_CHANNELS)
    assert await rig.tell(f"{BASE}/sensor/concentration", "0") == [("gas", 0, 0, "uncertain")]
    assert await rig.tell(f"{BASE}/sensor/operation", "normal") == []
    assert await rig.tell(f"{BASE}/sensor/concentration", "3") == [("gas", 0, 3, "good")]
    assert await rig.tell(f"{BASE}/sensor/gas", "heavy") == [("level", 0, 2, "good")]


async def test_shelly_warming_up_shows_no_concentration() -> None:
    rig = Rig(SHELLY, SHELLY_CHANNELS)
    bad = [("gas", 0, None, "warm_up"), ("level", 0, None, "warm_up")]
    assert await rig.tell(f"{BASE}/sensor/operation", "warmup") == bad
    assert await rig.tell(f"{BASE}/sensor/concentration", "0") == bad[:1]
    assert await rig.tell(f"{BASE}/sensor/concentration", "-1") == bad[:1]
    assert await rig.tell(f"{BASE}/sensor/operation", "normal") == []
    assert await rig.tell(f"{BASE}/sensor/concentration", "-1") == [("gas", 0, None, "sensor_fault")]


async def test_a_status_nobody_has_heard_of_is_no_good_one() -> None:
    rig = Rig(SHELLY, SHELLY_CHANNELS)
    assert (await rig.tell(f"{BASE}/sensor/operation", "exploded"))[0][3] == "sensor_fault"


async def test_a_kept_status_is_believed_only_where_it_speaks_against_the_values() -> None:
    rig = Rig(SHELLY, SHELLY_CHANNELS)
    assert await rig.tell(f"{BASE}/sensor/operation", "normal", retain=True) == []
    assert (await rig.tell(f"{BASE}/sensor/concentration", "0"))[0][3] == "uncertain"
    assert (await rig.tell(f"{BASE}/sensor/operation", "fault", retain=True))[0][3] == "sensor_fault"
    assert await rig.tell(f"{BASE}/sensor/concentration", "0", retain=True) == []
    assert rig.driver.counters["retained"] == 2


async def test_shelly_says_false_when_it_is_gone() -> None:
    rig = Rig(SHELLY, SHELLY_CHANNELS)
    assert (await rig.tell(f"{BASE}/online", "false", retain=True))[0] == ("gas", 0, None, "comms_lost")


# Zigbee2MQTT: one JSON of everything; availability by device and by bridge, in JSON or bare.

ZIGBEE: dict[str, Any] = {
    "topic": "zigbee2mqtt/{name}",
    "fill": {"name": "kitchen-1"},
    "availability": [
        {"topic": "zigbee2mqtt/{name}/availability", "path": "state"},
        {"topic": "zigbee2mqtt/bridge/state", "path": "state"},
    ],
}
LOST = [("smoke", 0, None, "comms_lost")]


async def test_a_smoke_detector_behind_zigbee2mqtt_is_a_boolean() -> None:
    rig = Rig(ZIGBEE, {"smoke": {"path": "smoke"}, "battery": {"path": "battery", "optional": True}})
    payload = {"smoke": True, "battery": 87, "battery_low": False, "tamper": False, "linkquality": 120}
    assert await rig.tell("zigbee2mqtt/kitchen-1", payload) == [("smoke", 0, 1, "good"), ("battery", 0, 87, "good")]
    assert await rig.tell("zigbee2mqtt/kitchen-1", {"smoke": False}) == [("smoke", 0, 0, "good")]


@pytest.mark.parametrize("offline", [{"state": "offline"}, "offline", "Offline"])
async def test_the_bridge_takes_all_its_instruments_with_it(offline: object) -> None:
    rig = Rig(ZIGBEE, {"smoke": {"path": "smoke"}})
    assert await rig.tell("zigbee2mqtt/bridge/state", offline, retain=True) == LOST
    assert await rig.tell("zigbee2mqtt/kitchen-1/availability", {"state": "online"}, retain=True) == []
    assert await rig.after(10) == LOST
    assert await rig.after(1) == []
    assert await rig.after(10) == LOST
    assert await rig.tell("zigbee2mqtt/kitchen-1", {"smoke": False}) == [("smoke", 0, 0, "good")]
    assert await rig.after(60) == []


async def test_an_instrument_that_comes_and_goes_is_told_as_often_as_ever() -> None:
    rig = Rig(ZIGBEE, {"smoke": {"path": "smoke"}})
    for _ in range(3):
        assert await rig.tell("zigbee2mqtt/bridge/state", "offline") == LOST
        assert await rig.tell("zigbee2mqtt/bridge/state", "online") == []
    assert await rig.tell("zigbee2mqtt/bridge/state", "offline") == LOST
    assert await rig.after(10) == LOST
    assert await rig.after(10) == LOST


async def test_a_word_that_is_neither_says_nothing() -> None:
    rig = Rig(ZIGBEE, {"smoke": {"path": "smoke"}})
    for payload in ("", "perhaps", b"\xff", {"state": None}, {"status": "offline"}, ["offline"]):
        assert await rig.tell("zigbee2mqtt/kitchen-1/availability", payload) == []


async def test_a_preheating_gas_detector_has_no_value() -> None:
    options = ZIGBEE | {"status": [{"path": "preheat", "values": {True: "warm_up", False: "good"}}]}
    rig = Rig(options, {"gas": {"path": "gas_value"}, "alarm": {"path": "gas"}})
    payload: dict[str, Any] = {"gas": False, "gas_value": 0, "preheat": True, "silence": False}
    bad = [("gas", 0, None, "warm_up"), ("alarm", 0, None, "warm_up")]
    assert await rig.tell("zigbee2mqtt/kitchen-1", payload) == bad
    assert await rig.tell("zigbee2mqtt/kitchen-1", payload | {"preheat": False}) == [
        ("gas", 0, 0, "good"),
        ("alarm", 0, 0, "good"),
    ]
    del payload["preheat"]
    assert [found[3] for found in await rig.tell("zigbee2mqtt/kitchen-1", payload)] == ["uncertain", "uncertain"]


# ChirpStack v4: LoRaWAN frames as base64 in JSON, or decoded by the server.


def uplink(rig: Rig, data: bytes | None = None, count: int = 1, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "deduplicationId": f"id-{count}-{more.get('devAddr', '00189440')}",
        "time": rfc3339(rig.clock.now_ns() - S, digits=9),
        "deviceInfo": {"tenantId": "t", "applicationId": "a", "deviceName": "gd", "devEui": "24e124136b502217"},
        "devAddr": "00189440",
        "adr": True,
        "dr": 5,
        "fCnt": count,
        "fPort": 85,
        "confirmed": False,
        "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -57, "snr": 9.5}],
    }
    if data is not None:
        made["data"] = base64.b64encode(data).decode()
    return made | more


CHIRPSTACK: dict[str, Any] = {
    "topic": "application/+/device/{dev_eui}/event/up",
    "fill": {"dev_eui": "24e124136b502217"},
    "format": "base64",
    "payload_path": "data",
    "time": "time",
    "time_unit": "iso",
    "repeat_keys": [["deduplicationId"], ["deviceInfo.devEui", "devAddr", "fCnt", "data"]],
}
UP = "application/4e4a/device/24e124136b502217/event/up"
TH = {
    "order": "little",
    "tags": {
        "0175": {"size": 1, "fields": {"battery": {"type": "uint8"}}},
        "0367": {"size": 2, "fields": {"temperature": {"type": "int16"}}},
        "0468": {"size": 1, "fields": {"humidity": {"type": "uint8"}}},
        "20ce": {
            "size": 8,
            "history": {"offset": 0, "type": "uint32"},
            "fields": {"temperature": {"offset": 4, "type": "int16"}, "humidity": {"offset": 6, "type": "uint8"}},
        },
    },
}
TH_CHANNELS: dict[str, dict[str, Any]] = {
    "t": {"field": "temperature", "scale": 0.1},
    "rh": {"field": "humidity", "scale": 0.5},
    "battery": {"field": "battery"},
}


def th_rig() -> Rig:
    return Rig(CHIRPSTACK | {"layout": TH}, TH_CHANNELS, period_s=600)


async def test_a_lorawan_frame_is_read_tag_by_tag() -> None:
    rig = th_rig()
    frame = b"\x01\x75\x5c" + b"\x03\x67" + struct.pack("<h", -52) + b"\x04\x68" + bytes([113])
    assert await rig.tell(UP, uplink(rig, frame)) == [
        ("t", -1, pytest.approx(-5.2), "good"),
        ("rh", -1, 56.5, "good"),
        ("battery", -1, 92, "good"),
    ]
    assert await rig.tell(UP, uplink(rig, b"\x04\x68\x10", 2)) == [("rh", -1, 8, "good")]


async def test_what_an_instrument_remembers_is_backfilled_under_its_own_time() -> None:
    rig = th_rig()
    then = int(rig.now(-3600))
    item = b"\x20\xce" + struct.pack("<IhBx", then, 251, 80)
    live = b"\x03\x67" + struct.pack("<h", 300)
    assert await rig.tell(UP, uplink(rig, item + item + live)) == [
        ("t", -1, 30, "good"),
        ("t", -3600, pytest.approx(25.1), "backfilled"),
        ("t", -3600, pytest.approx(25.1), "backfilled"),
        ("rh", -3600, 40, "backfilled"),
        ("rh", -3600, 40, "backfilled"),
    ]


@pytest.mark.parametrize("then_s", [-400 * 86_400, 3600])
async def test_a_past_that_cannot_have_been_is_dropped_and_counted(then_s: int) -> None:
    rig = th_rig()
    item = b"\x20\xce" + struct.pack("<IhBx", int(rig.now(then_s)), 251, 80)
    assert await rig.tell(UP, uplink(rig, item)) == []
    assert rig.driver.counters["history_lost"] == 2


async def test_a_cut_piece_of_the_past_is_no_fault_of_the_present() -> None:
    rig = th_rig()
    assert await rig.tell(UP, uplink(rig, b"\x20\xce\x01\x02")) == []


async def test_what_stands_behind_an_unknown_tag_is_unreadable_and_what_stood_before_counts() -> None:
    rig = th_rig()
    frame = b"\x03\x67\xc8\x00" + b"\x99\x99\x01" + b"\x04\x68\x10"
    assert await rig.tell(UP, uplink(rig, frame)) == [
        ("t", -1, 20, "good"),
        ("rh", 0, None, "unreadable"),
        ("battery", 0, None, "unreadable"),
    ]


@pytest.mark.parametrize("data", ["A", "====", "nö", 5, [], {}])
async def test_a_frame_that_is_no_base64_is_unreadable(data: object) -> None:
    rig = th_rig()
    found = await rig.tell(UP, uplink(rig, data=None) | {"data": data})
    assert [quality for *_, quality in found] == ["unreadable"] * 3


async def test_a_frame_without_payload_says_nothing() -> None:
    rig = th_rig()
    assert await rig.tell(UP, uplink(rig)) == []
    assert await rig.tell(UP, uplink(rig, b"", 2)) == []


async def test_a_frame_heard_twice_is_read_once() -> None:
    rig = th_rig()
    frame = b"\x04\x68\x10"
    assert len(await rig.tell(UP, uplink(rig, frame))) == 1
    assert await rig.tell(UP, uplink(rig, frame)) == []
    assert await rig.tell(UP, uplink(rig, frame, deduplicationId="another")) == []
    assert rig.driver.counters["repeated"] == 2


async def test_a_rejoined_instrument_counts_anew_and_is_heard() -> None:
    rig = th_rig()
    for count in range(3):
        assert len(await rig.tell(UP, uplink(rig, b"\x04\x68\x10", count))) == 1
    for count in range(3):
        assert len(await rig.tell(UP, uplink(rig, b"\x04\x68\x10", count, devAddr="01aa0000"))) == 1


async def test_a_repeat_is_forgotten_after_a_while() -> None:
    rig = th_rig()
    assert len(await rig.tell(UP, uplink(rig, b"\x04\x68\x10"))) == 1
    rig.clock.advance(301)
    assert len(await rig.tell(UP, uplink(rig, b"\x04\x68\x10"))) == 1


async def test_what_the_server_has_decoded_is_read_with_its_history() -> None:
    options = {
        "topic": CHIRPSTACK["topic"],
        "fill": CHIRPSTACK["fill"],
        "time": "time",
        "time_unit": "iso",
        "history_time": "object.history[*].timestamp",
        "history_time_unit": "s",
    }
    where = {"path": "object.temperature", "history": "object.history[*].temperature", "optional": True}
    rig = Rig(options, {"t": where})
    then = int(rig.now(-7200))
    past = [{"timestamp": then, "temperature": 21.5}, {"timestamp": then + 600, "temperature": "broken"}]
    body = {"temperature": 23.5, "history": past}
    assert await rig.tell(UP, uplink(rig, object=body)) == [("t", -1, 23.5, "good"), ("t", -7200, 21.5, "backfilled")]
    assert await rig.tell(UP, uplink(rig, object={"history": past[:1]})) == [("t", -7200, 21.5, "backfilled")]
    assert await rig.tell(UP, uplink(rig, object={"history": [{"temperature": 4}]})) == []
    assert rig.driver.counters["history_lost"] == 2


async def test_an_odour_meter_that_warms_up_says_so_in_its_value() -> None:
    layout = {
        "order": "little",
        "tags": {
            "0175": {"size": 1},
            "0267": {"size": 2},
            "0368": {"size": 1},
            "047d": {"size": 2, "fields": {"nh3": {"type": "uint16"}}},
            "057d": {"size": 2, "fields": {"h2s": {"type": "uint16"}}},
        },
    }
    special = {65534: "warm_up", 65535: "sensor_fault"}
    channels = {name: {"field": name, "scale": 0.01, "special": special} for name in ("nh3", "h2s")}
    rig = Rig(CHIRPSTACK | {"layout": layout}, channels)
    frame = b"\x01\x75\x64\x02\x67\x1c\x01\x03\x68\x64\x04\x7d%b\x05\x7d%b"
    assert await rig.tell(UP, uplink(rig, frame % (struct.pack("<H", 120), b"\x01\x00"))) == [
        ("nh3", -1, pytest.approx(1.2), "good"),
        ("h2s", -1, pytest.approx(0.01), "good"),
    ]
    assert await rig.tell(UP, uplink(rig, frame % (b"\xfe\xff", b"\xff\xff"), 2)) == [
        ("nh3", -1, None, "warm_up"),
        ("h2s", -1, None, "sensor_fault"),
    ]


SMOKE_LAYOUT = {
    "size": 6,
    "checksum": "sum8",
    "fields": {
        "message": {"offset": 1, "bits": [0, 4]},
        "battery": {"offset": 2},
        "concentration": {"offset": 3},
        "temperature": {"offset": 4, "type": "int8"},
    },
}
SMOKE_CHANNELS: dict[str, dict[str, Any]] = {
    "smoke": {"field": "message", "words": {1: 1, 2: 1, 4: 0, 7: 0, 14: 1}, "listed_only": True},
    "density": {"field": "concentration"},
    "t": {"field": "temperature"},
}
SMOKE_STATUS = [
    {"field": "message", "values": {5: "sensor_fault", 10: "inhibited", "14..15": "test"}, "other": "good"},
]


def smoke_frame(message: int, concentration: int = 0, temperature: int = 20) -> bytes:
    body = bytes([0x22, 0x10 | message, 100, concentration, temperature & 0xFF])
    return body + bytes([-sum(body) & 0xFF])


async def test_a_smoke_detector_of_six_bytes_is_read_by_its_layout() -> None:
    rig = Rig(CHIRPSTACK | {"layout": SMOKE_LAYOUT, "status": SMOKE_STATUS}, SMOKE_CHANNELS)
    assert await rig.tell(UP, uplink(rig, smoke_frame(7, temperature=-3))) == [
        ("smoke", -1, 0, "good"),
        ("density", -1, 0, "good"),
        ("t", -1, -3, "good"),
    ]
    assert (await rig.tell(UP, uplink(rig, smoke_frame(1, 35), 2)))[:2] == [
        ("smoke", -1, 1, "good"),
        ("density", -1, 35, "good"),
    ]
    assert [q for *_, q in await rig.tell(UP, uplink(rig, smoke_frame(5), 3))] == ["sensor_fault"] * 3
    assert (await rig.tell(UP, uplink(rig, smoke_frame(14), 4)))[0] == ("smoke", -1, 1, "test")
    assert (await rig.tell(UP, uplink(rig, smoke_frame(12), 5)))[0] == ("smoke", 0, None, "unreadable")


@pytest.mark.parametrize("frame", [smoke_frame(7)[:5], smoke_frame(7) + b"\0", smoke_frame(7)[:5] + b"\x01"])
async def test_a_frame_that_is_too_short_or_does_not_add_up_is_unreadable(frame: bytes) -> None:
    rig = Rig(CHIRPSTACK | {"layout": SMOKE_LAYOUT}, SMOKE_CHANNELS)
    assert [found[1:] for found in await rig.tell(UP, uplink(rig, frame))] == [(0, None, "unreadable")] * 3


# A heartbeat of one's own.


async def test_values_without_a_heartbeat_are_stale_whatever_they_show() -> None:
    rig = Rig(
        {"topic": "plant/{n}", "fill": {"n": "1"}, "heartbeat": {"topic": "plant/{n}/alive", "silent_after_s": 60}},
        {"co": {"path": "co"}},
    )
    for heartbeat in rig.driver._heartbeats:
        heartbeat.listen()
    assert await rig.tell("plant/1", {"co": 4}) == [("co", 0, 4, "uncertain")], "nothing vouches for it yet"
    assert await rig.tell("plant/1/alive", "1") == []
    assert await rig.tell("plant/1", {"co": 4}) == [("co", 0, 4, "good")]
    for heartbeat in rig.driver._heartbeats:
        heartbeat.listen()
    assert await rig.tell("plant/1", {"co": 4}) == [("co", 0, 4, "uncertain")], "over a new connection neither"
    assert await rig.after(59) == []
    assert await rig.tell("plant/1/alive", "1", retain=True) == []
    assert await rig.after(2) == [("co", 0, None, "stale")]
    assert await rig.tell("plant/1", {"co": 4}) == [("co", 0, None, "stale")]
    assert await rig.tell("plant/1/alive", "") == []
    assert await rig.tell("plant/1", {"co": 4}) == [("co", 0, 4, "good")]
    assert await rig.after(61) == [("co", 0, None, "stale")]


async def test_a_counter_that_stands_still_is_no_heartbeat() -> None:
    rig = Rig({"topic": "a", "heartbeat": {"topic": "a", "path": "n", "silent_after_s": 60}}, {"co": {"path": "co"}})
    for heartbeat in rig.driver._heartbeats:
        heartbeat.listen()
    assert await rig.tell("a", {"co": 4, "n": 1}) == [("co", 0, 4, "good")]
    rig.clock.advance(50)
    assert await rig.tell("a", {"co": 4, "n": 1}) == [("co", 0, 4, "good")]
    assert await rig.after(11) == [("co", 0, None, "stale")]
    assert await rig.tell("a", {"co": 5, "n": 1}) == [("co", 0, None, "stale")]
    assert await rig.tell("a", {"co": 5, "n": 2}) == [("co", 0, 5, "good")]


# What an instrument said before somebody stopped listening.


async def test_a_good_word_from_before_a_lost_connection_vouches_for_nothing() -> None:
    rig = Rig(SHELLY, SHELLY_CHANNELS)
    await rig.tell(f"{BASE}/sensor/operation", "normal")
    assert await rig.tell(f"{BASE}/sensor/concentration", "3") == [("gas", 0, 3, "good")]
    rig.driver.session(resumed=True)  # meanwhile it has said that it is warming up
    assert await rig.tell(f"{BASE}/sensor/concentration", "0") == [("gas", 0, 0, "uncertain")]
    await rig.tell(f"{BASE}/sensor/operation", "normal")
    assert await rig.tell(f"{BASE}/sensor/concentration", "3") == [("gas", 0, 3, "good")]


async def test_a_good_word_is_believed_again_where_it_is_still_the_last_that_the_broker_has_kept() -> None:
    rig = Rig(SHELLY, SHELLY_CHANNELS)
    await rig.tell(f"{BASE}/sensor/operation", "normal")
    rig.driver.session(resumed=True)
    assert await rig.tell(f"{BASE}/sensor/operation", "normal", retain=True) == []
    assert await rig.tell(f"{BASE}/sensor/concentration", "3") == [("gas", 0, 3, "good")]


async def test_a_bad_word_stands_through_a_lost_connection() -> None:
    rig = Rig(SHELLY, SHELLY_CHANNELS)
    await rig.tell(f"{BASE}/sensor/operation", "fault")
    rig.driver.session(resumed=True)
    assert await rig.tell(f"{BASE}/sensor/concentration", "0") == [("gas", 0, None, "sensor_fault")]
    await rig.tell(f"{BASE}/sensor/operation", "normal", retain=True)
    assert await rig.tell(f"{BASE}/sensor/concentration", "0") == [("gas", 0, None, "sensor_fault")]


async def test_a_good_word_from_before_its_last_will_vouches_for_nothing() -> None:
    rig = Rig(SHELLY, SHELLY_CHANNELS)
    await rig.tell(f"{BASE}/sensor/operation", "normal")
    await rig.tell(f"{BASE}/online", "false")
    await rig.tell(f"{BASE}/online", "true")
    assert await rig.tell(f"{BASE}/sensor/concentration", "0") == [("gas", 0, 0, "uncertain")]
    await rig.tell(f"{BASE}/sensor/operation", "normal", retain=True)
    assert await rig.tell(f"{BASE}/sensor/concentration", "0") == [("gas", 0, 0, "uncertain")]


TAGGED: dict[str, Any] = {
    "topic": "t",
    "format": "hex",
    "layout": {
        "order": "little",
        "tags": {"01": {"size": 1, "fields": {"co": {}}}, "02": {"size": 1, "fields": {"state": {}}}},
    },
    "status": [{"field": "state", "values": {"1": "good", "2": "warm_up"}}],
}


async def test_a_frame_without_the_status_leaves_none_that_is_good() -> None:
    rig = Rig(TAGGED, {"co": {"field": "co"}})
    assert await rig.tell("t", "02010105") == [("co", 0, 5, "good")]
    assert await rig.tell("t", "0105") == [("co", 0, 5, "uncertain")]
    optional = TAGGED | {"status": [TAGGED["status"][0] | {"optional": True}]}
    rig = Rig(optional, {"co": {"field": "co"}})
    assert await rig.tell("t", "02010105") == [("co", 0, 5, "good")]
    assert await rig.tell("t", "0105") == [("co", 0, 5, "good")]


APART: dict[str, Any] = {
    "topic": "t",
    "status": [{"topic": "t/state", "path": "mode", "values": {"run": "good", "heat": "warm_up"}}],
}


async def heard(rig: Rig) -> str:
    await rig.tell("t/state", {"mode": "run"})
    ((_, _, _, quality),) = await rig.tell("t", {"co": 5})
    assert quality == "good"
    return quality


@pytest.mark.parametrize("payload", ["{mode", "", b"\xff\xfe", "17"])
async def test_a_status_that_cannot_be_read_leaves_none_that_is_good(payload: object) -> None:
    rig = Rig(APART, {"co": {"path": "co"}})
    await heard(rig)
    await rig.tell("t/state", payload)
    assert await rig.tell("t", {"co": 5}) == [("co", 0, 5, "uncertain")]


async def test_a_status_too_long_to_be_read_leaves_none_that_is_good() -> None:
    rig = Rig(APART, {"co": {"path": "co"}})
    await heard(rig)
    rig.driver.message(Publish(b"t/state", None, 0, 0, dup=False, retain=False, size=9_999_999))
    await rig.read()
    assert await rig.tell("t", {"co": 5}) == [("co", 0, 5, "uncertain")]


async def test_a_status_that_had_to_be_dropped_leaves_none_that_is_good() -> None:
    rig = Rig(APART, {"co": {"path": "co"}}, qos=0, queue_messages_max=10)
    await heard(rig)
    for payload in [b'{"mode": "heat"}', *[b""] * 10]:
        rig.driver.message(
            Publish(b"t/state" if payload else b"other", payload, 0, 0, dup=False, retain=False, size=len(payload))
        )
    await rig.read()
    assert rig.driver.counters["dropped"] == 1
    assert await rig.tell("t", {"co": 5}) == [("co", 0, 5, "uncertain")]


async def test_what_an_instrument_remembers_does_not_say_that_it_is_there() -> None:
    rig = Rig(CHIRPSTACK | {"layout": TH, "availability": [{"topic": "gone"}]}, TH_CHANNELS, period_s=10)
    assert {q for *_, q in await rig.tell("gone", "offline")} == {"comms_lost"}
    past = b"\x20\xce" + struct.pack("<Ih", int(rig.now(-600)), 215) + bytes([90, 0])
    assert {q for *_, q in await rig.tell(UP, uplink(rig, past))} == {"backfilled"}
    assert {q for *_, q in await rig.after(11)} == {"comms_lost"}, "told again, for it is still gone"
