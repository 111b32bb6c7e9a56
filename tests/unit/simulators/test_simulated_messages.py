"""What heads send over LoRaWAN, against bytes that their maker prints, and what smart homes publish of theirs."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from simulators.loading import checked
from simulators.lorawan import FRAMES, history
from simulators.messages import MessageFace
from simulators.mqtt import Publisher
from simulators.scenario import State
from simulators.smart_home import MESSAGES
from simulators.world import World

NOON_NS = 1_760_000_000_000_000_000


@pytest.mark.parametrize(
    ("head", "values", "states", "frame"),
    [
        # The maker's example for the GS301.
        (
            "gs301",
            {"temperature": 28.4, "humidity": 50, "nh3": 0, "h2s": 0.01},
            [],
            "01756402671c01036864047d0000057d0100",
        ),
        (
            "gs301",
            {"temperature": -1, "humidity": 50, "nh3": None, "h2s": None},
            ["warm_up"],
            "0175640267f6ff036864047dfeff057dfeff",
        ),
        ("gs301", {}, ["fault"], "017564026700000368" + "00047dffff057dffff"),
        # EM300-TH: 27.2 °C and 56.5 % (the units of the maker's table).
        ("em300-th", {"temperature": 27.2, "humidity": 56.5}, [], "01756403671001046871"),
        # The sum of all six bytes is 0 modulo 256.
        ("gs524n", {"smoke": 0, "temperature": 28}, [], "221764001c47"),
        ("gs524n", {"smoke": 12, "temperature": -5, "alarm": True}, [], "2211640cfb62"),
        ("gs101", {"gas": True}, [], "058e01060100070100089080016609"),
        ("gs101", {"gas": False}, ["fault"], "058e00060100070100089080016609ff3f02"),
    ],
)
def test_a_head_sends_the_bytes_of_its_data_sheet(
    head: str, values: dict[str, Any], states: Sequence[State], frame: str
):
    assert FRAMES[f"milesight-{head}"](values, states).hex() == frame


def test_the_sum_of_a_smoke_heads_bytes_is_nothing():
    for smoke in range(101):
        assert sum(FRAMES["milesight-gs524n"]({"smoke": smoke, "temperature": smoke - 50}, [])) % 256 == 0


def test_what_was_kept_comes_with_its_own_time_oldest_first():
    kept = [({"temperature": float(k), "humidity": 50.0}, (1000 + k) * 10**9) for k in range(6)]
    first, second = history("milesight-em300-th", kept)
    assert first[:10].hex() == "20ce" + (1000).to_bytes(4, "little").hex() + "0000" + "64" + "00"
    assert len(first) == 4 * 10
    assert second[10:].hex() == "20ce" + (1005).to_bytes(4, "little").hex() + "3200" + "64" + "00"
    # The maker's example.
    (printed,) = history("milesight-em300-th", [({"temperature": 27.2, "humidity": 46.5}, 1_665_561_758 * 10**9)])
    assert printed.hex() == "20ce9e74466310015d00"
    assert list(history("milesight-gs101", kept)) == []


def test_each_smart_home_says_it_in_its_own_words():
    values = {"gas": True, "concentration": 812.0}
    made = {
        kind: dict(MESSAGES[kind](values, frozenset({"gas"}), ["warm_up"], NOON_NS))
        for kind in ("zigbee2mqtt", "shelly-gas", "esphome")
    }
    object_ = json.loads(made["zigbee2mqtt"]["{topic}"])
    assert object_["gas"] is True
    assert object_["preheat"] is True
    assert made["shelly-gas"]["{topic}/sensor/operation"] == b"warmup"
    assert made["shelly-gas"]["{topic}/sensor/concentration"] == b"-1"
    assert made["shelly-gas"]["{topic}/sensor/gas"] == b"heavy"
    assert made["esphome"] == {
        "{topic}/binary_sensor/gas/state": b"ON",
        "{topic}/sensor/concentration/state": b"812",
    }
    well = dict(MESSAGES["shelly-gas"](values, frozenset({"gas"}), [], NOON_NS))
    assert well["{topic}/sensor/concentration"] == b"812"
    assert dict(MESSAGES["esphome"]({"co": None}, frozenset(), ["fault"], NOON_NS)) == {
        "{topic}/sensor/co/state": b"nan"
    }


def test_tasmota_writes_the_local_time_without_its_zone():
    made = dict(MESSAGES["tasmota"]({"AM2301.Temperature": 20.5}, frozenset(), [], NOON_NS))
    sensor = json.loads(made["tele/{topic}/SENSOR"])
    # 1,760,000,000 s is 08:53:20 UTC of 9 October 2025, and eight hours later in China.
    assert sensor == {"Time": "2025-10-09T16:53:20", "AM2301": {"Temperature": 20.5}, "TempUnit": "C"}


class Broker(Publisher):
    """Takes messages and keeps them."""

    def __init__(self) -> None:
        self.down = False
        self.taken: list[tuple[str, bytes, bool]] = []

    def put(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        self.taken.append((topic, payload, retained))

    def put_later(self, delay_s: float, topic: str, payload: bytes, *, retained: bool = False) -> None:
        self.put(topic, payload, retained=retained)


def published(seconds: float, payload: str, *events: dict[str, Any], **more: Any) -> list[tuple[str, bytes, bool]]:
    scenario = checked(
        {
            "name": "air",
            "rooms": {"room": {"volume_m3": 50}},
            "buses": {"air": {"type": "mqtt"}},
            "instruments": {"i": {"bus": "air", "at": "room", "payload": payload, "every_s": 5, **more}},
            "events": [{"where": "i", **event} for event in events],
            "step_s": 1.0,
        }
    )
    world, taken = World(scenario), Broker()
    face = MessageFace("i", scenario.instruments["i"], world, np.random.default_rng(1))
    while world.t_s < seconds:
        world.step()
        face.publish(taken, NOON_NS + int(world.t_s) * 10**9)
    return taken.taken


EM300 = {"dev_eui": "24e124710c140001", "channels": {"temperature": {}, "humidity": {}}}


def uplinks(taken: list[tuple[str, bytes, bool]]) -> list[tuple[int, str, str]]:
    events = [json.loads(payload) for _, payload, _ in taken]
    return [(e["fCnt"], base64.b64decode(e["data"]).hex()[:4], e["deduplicationId"]) for e in events]


def test_nothing_is_said_for_an_instrument_while_the_link_is_cut():
    data = {"dev_eui": "", "topic": "a/b", "channels": {"temperature": {}}}
    scenario = checked(
        {
            "name": "cut",
            "rooms": {"room": {"volume_m3": 50}},
            "buses": {"air": {"type": "mqtt"}},
            "instruments": {"i": {"bus": "air", "at": "room", "payload": "esphome", **data}},
        }
    )
    world, taken = World(scenario), Broker()
    face = MessageFace("i", scenario.instruments["i"], world, np.random.default_rng(1))
    taken.down = True
    face.publish(taken, NOON_NS)
    assert ("a/b/status", b"online", True) not in taken.taken
    taken.down = False
    face.publish(taken, NOON_NS)
    assert ("a/b/status", b"online", True) in taken.taken


def test_what_nobody_heard_comes_as_history_before_the_next_reading():
    dropout = {"at_s": 10, "what": "dropout", "for_s": 30}
    kinds = [kind for _, kind, _ in uplinks(published(60, "milesight-em300-th", dropout, **EM300))]
    assert kinds == ["0175"] * 3 + ["20ce"] * 2 + ["0175"] * 4


def test_a_repeated_uplink_has_the_same_counter_and_the_same_or_another_identifier():
    repeat = {"at_s": 0, "what": "repeat"}
    heard = uplinks(published(200, "milesight-em300-th", repeat, **EM300))
    pairs = list(zip(heard[::2], heard[1::2], strict=True))
    assert len(pairs) == 41
    assert all(first[:2] == again[:2] for first, again in pairs)
    same = sum(first[2] == again[2] for first, again in pairs)
    assert 5 < same < 35


def test_a_server_has_no_object_where_it_has_no_codec():
    (_, payload, _), *_ = published(6, "milesight-em300-th", **EM300)
    assert "object" not in json.loads(payload)


@pytest.mark.parametrize(
    ("payload", "topic", "online", "offline"),
    [
        ("zigbee2mqtt", "zigbee2mqtt/k/availability", b'{"state":"online"}', b'{"state":"offline"}'),
        ("tasmota", "tele/zigbee2mqtt/k/LWT", b"Online", b"Offline"),
        ("shelly-gas", "zigbee2mqtt/k/online", b"true", b"false"),
        ("esphome", "zigbee2mqtt/k/status", b"online", b"offline"),
    ],
)
def test_whether_an_instrument_is_there_is_retained_and_told_only_when_it_changes(
    payload: str, topic: str, online: bytes, offline: bytes
):
    dropout = {"at_s": 10, "what": "dropout", "for_s": 40}
    taken = published(90, payload, dropout, topic="zigbee2mqtt/k", channels={"temperature": {}})
    assert [(message, retained) for where, message, retained in taken if where == topic] == [
        (online, True),
        (offline, True),
        (online, True),
    ]
    assert not any(retained for where, _, retained in taken if where not in {topic, "zigbee2mqtt/bridge/state"})
