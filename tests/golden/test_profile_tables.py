"""Every shipped profile against a table of what its instrument says and what that means, worked out by hand.

A table holds what is on the wire at rest and what follows for each channel, then cases that change some of it. A number
is a GOOD value, a word the quality of a reading without value, a pair a quality and its value. `alive` is read first:
what a heartbeat held before, for one that has never been seen to change vouches for nothing.
"""

import base64
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from drivers.modbus.decode import Decoder
from drivers.modbus.plan import Block, plan_instrument
from drivers.modbus.status import InstrumentState
from drivers.mqtt.driver import MqttDriver
from drivers.mqtt.framing import Publish
from gateway import assembly
from gateway.core.clock import ManualClock, rfc3339
from gateway.core.errors import NotConnectedError
from gateway.core.model import BAD_FROM, Batch, quality_name
from gateway.site.expand import merged
from gateway.site.load import Site, load_site
from gateway.site.profiles import load_profile, profile_names, shipped_profiles

HERE = Path(__file__).parent / "profiles"
NOW = 1_700_000_000_000_000_000
UNUSED = 0xDEAD
"""What stands in registers that no table names: reading one of them as a value would be seen."""
CONNECTIONS = {
    "modbus": {"endpoint": "tcp://127.0.0.1:1502"},
    "mqtt": {"host": "127.0.0.1"},
    "uart": {"port": "/dev/ttyS0"},
}
QUALITIES = re.compile(
    r"\b(uncertain|over_range|test|maintenance|bad|comms_lost|sensor_fault|under_range|warm_up|calibration|inhibited"
    r"|frozen|refused|unreadable)\b"
)
Found = dict[str, Any]


def table(name: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


def site_of(folder: Path, name: str, given: dict[str, Any]) -> Site:
    """Return a site whose only instrument is the profile's, with what the table's site file says of it."""
    driver = load_profile(name, folder).file.driver
    instrument = {"id": "i", "connection": "c", "profile": name}
    instrument |= {key: given[key] for key in ("options", "channels", "points", "omit") if key in given}
    data = {
        "site": {"id": "s"},
        "connections": [{"id": "c", "type": driver, "options": CONNECTIONS[driver]}],
        "instruments": [instrument],
    }
    path = folder / "site.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    site = load_site(path)
    assembly.check(site, ManualClock())
    return site


def told(site: Site, batch: Batch) -> Iterator[tuple[str, Any]]:
    for row, value, code in zip(batch.row.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True):
        assert math.isnan(value) == (code >= BAD_FROM)
        name = quality_name(code)
        as_told = value if name == "good" else name if math.isnan(value) else (name, value)
        yield site.channels[row].id.removeprefix("i."), as_told


class Registers:
    """Reads a Modbus instrument from registers instead of a line."""

    def __init__(self, site: Site) -> None:
        self.site = site
        (connection,) = site.connections
        (plan,) = connection.instruments
        self.state = InstrumentState(plan)
        options: Any = connection.options
        self.blocks = [(block, Decoder(block, self.state)) for block in plan_instrument(options, plan)]

    def read(self, step: dict[str, Any]) -> Found:
        found: Found = {}
        for block, decoder in self.blocks:
            batch = decoder.decode(_data(block, step["registers"]), NOW, float(step.get("at_s", 0)))
            found.update(told(self.site, batch))
        return found


def _data(block: Block, registers: dict[str, Any]) -> bytes:
    held: dict[int, int] = {}
    for address, value in registers.get(block.table, {}).items():
        for i, word in enumerate(value if isinstance(value, list) else [value]):
            held[address + i] = word
    at = range(block.address, block.address + block.count)
    if block.table in ("coil", "discrete"):
        bits = sum(held.get(address, 1) << i for i, address in enumerate(at))
        return bits.to_bytes((block.count + 7) // 8, "little")
    return b"".join((held.get(address, UNUSED) & 0xFFFF).to_bytes(2, "big") for address in at)


class Topics:
    """Hands messages to the MQTT driver instead of a connection."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.clock = ManualClock(NOW)
        (connection,) = site.connections
        made = connection.module.create(connection.options, connection.instruments, self.clock)
        assert isinstance(made, MqttDriver)
        self.driver = made

    async def read(self, step: dict[str, Any]) -> Found:
        found: Found = {}
        for message in step["messages"]:
            payload = message["payload"]
            if isinstance(payload, dict):
                payload = {key: self._filled(value) for key, value in payload.items()}
            data = (payload if isinstance(payload, str) else json.dumps(payload)).encode()
            topic = message["topic"].encode()
            self.driver.message(Publish(topic, data, 0, 0, dup=False, retain=False, size=len(data)))
            try:
                batch = await self.driver.read()
            except NotConnectedError:  # the message has no reading
                continue
            found.update(told(self.site, batch))
        return found

    def _filled(self, value: Any) -> Any:
        """`{hex: …}` stands for bytes in base64, `{now: …}` for the present time."""
        if isinstance(value, dict) and "hex" in value:
            return base64.b64encode(bytes.fromhex(value["hex"])).decode()
        return rfc3339(NOW) if value == "now" else value


class Replies:
    """Hands replies to a question to the driver that asks it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        (connection,) = site.connections
        made = connection.module.create(connection.options, connection.instruments, ManualClock(NOW))
        self.poll: Any = made._polls[0]

    def read(self, step: dict[str, Any]) -> Found:
        frame = self.poll.find(bytes.fromhex(step["reply"]))
        return {} if frame is None else dict(told(self.site, self.poll.batch(frame, NOW)))


@dataclass(frozen=True)
class Case:
    """A case of a table."""

    profile: str
    table: dict[str, Any]
    case: dict[str, Any]

    def steps(self) -> Iterator[dict[str, Any]]:
        base = {key: self.table[key] for key in ("registers", "messages", "reply", "expect") if key in self.table}
        alive = {**self.table, **self.case}.get("alive")
        if alive:
            yield merged(base, {"registers": alive, "at_s": -1, "expect": None})
        for step in self.case.get("steps", [self.case]):
            base = merged(base, {key: value for key, value in step.items() if key != "name"})
            yield base

    def __str__(self) -> str:
        return f"{self.profile}: {self.case['name']}"


TABLES = {path.stem: table(path.stem) for path in sorted(HERE.glob("*.yaml"))}
CASES = [Case(name, found, case) for name, found in TABLES.items() for case in found["cases"]]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_what_the_instrument_says_becomes_the_readings_of_the_table(case: Case, tmp_path: Path) -> None:
    site = site_of(tmp_path, case.profile, {**case.table, **case.case})
    driver = site.connections[0].type
    reader = {"modbus": Registers, "mqtt": Topics, "uart": Replies}[driver](site)
    for step in case.steps():
        found = await reader.read(step) if isinstance(reader, Topics) else reader.read(step)
        if step["expect"] is None:
            continue
        expected = {name: tuple(v) if isinstance(v, list) else v for name, v in step["expect"].items() if v is not None}
        assert {k: _close(v) for k, v in found.items()} == {k: _close(v) for k, v in expected.items()}


def _close(value: Any) -> Any:
    if isinstance(value, tuple):
        return value[0], _close(value[1])
    return round(float(value), 6) if isinstance(value, (int, float)) else value


def test_every_shipped_profile_has_a_table_and_every_table_a_profile() -> None:
    assert sorted(TABLES) == profile_names()


@pytest.mark.parametrize("name", profile_names())
def test_every_quality_that_a_profile_speaks_of_occurs_in_its_table(name: str) -> None:
    file = load_profile(name, HERE).file
    written = json.dumps([file.options, [c.options for c in file.channels], file.point and file.point.model_dump()])
    spoken_of = set(QUALITIES.findall(written.replace('"path": "test"', "").replace("self_test", "")))
    for word, quality in {
        "scale_from": "unreadable",
        "unit_from": "unreadable",
        '"heartbeat": {': "frozen",
        '"availability"': "comms_lost",
    }.items():
        spoken_of |= {quality} if word in written else set()
    assert spoken_of <= set(QUALITIES.findall(json.dumps([TABLES[name]["expect"], TABLES[name]["cases"]])))


@pytest.mark.parametrize("profile", shipped_profiles(), ids=lambda p: p.name)
def test_a_shipped_profile_says_who_made_it_where_it_was_read_and_what_is_uncertain(profile: Any) -> None:
    file = profile.file
    assert profile.document.path.stem == file.profile
    assert all((file.maker, file.model, file.name_zh, file.kind, file.source, file.period_s))
    assert file.confidence == "high" or file.uncertain
    assert all(item.why and item.check for item in file.uncertain)
