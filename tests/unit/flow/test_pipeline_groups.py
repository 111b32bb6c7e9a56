"""Real detectors of groups and of habits in one site: a fire, a changed site file, a restart."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway import assembly
from gateway.core.alarm import AlarmEvent
from gateway.core.model import Batch
from gateway.flow.pipeline import Moves, Pipeline
from gateway.site.load import load_site

S = 1_000_000_000
NORMAL = {"temperature": 21.0, "smoke": 0.001, "co": 1.0}
UNITS = {"temperature": "°C", "smoke": "OD/m", "co": "ppm"}


def instrument(number: int, area: str, quantity: str) -> dict[str, Any]:
    channel = {
        "id": quantity,
        "unit": UNITS[quantity],
        "decimals": 3,
        "range": [0, 100],
        "options": {"table": "holding", "address": 0, "type": "uint16"},
    }
    name = f"{quantity[:2]}-{number}"
    return {"id": name, "connection": "plc", "area": area, "options": {"unit": number}, "channels": [channel]}


def written(halls: int = 2, **more: Any) -> dict[str, Any]:
    areas = [f"hall-{k}" for k in range(halls)]
    places = [(area, quantity) for area in areas for quantity in NORMAL]
    return {
        "site": {"id": "groups"},
        "connections": [{"id": "plc", "type": "modbus", "options": {"endpoint": "tcp://127.0.0.1:502"}}],
        "instruments": [instrument(k + 1, area, quantity) for k, (area, quantity) in enumerate(places)],
        "rules": [
            {"id": "fire", "type": "fire", "channels": ["*"]},
            {"id": "room", "type": "residual", "channels": ["*"], "options": {"learn_s": 600, "smooth_s": 2}},
            {"id": "heat", "type": "threshold", "channels": ["te-*"], "options": {"high": 57}},
        ],
        **more,
    }


def pipeline(folder: Path, data: dict[str, Any]) -> Pipeline:
    path = folder / "site.yaml"
    path.write_text(json.dumps(data))
    return assembly.pipeline(load_site(path))


def plant(line: Pipeline, seconds: range, hall: str = "", growth: float = 0.0) -> Iterator[AlarmEvent]:
    """Let time pass; in one hall heat, smoke and carbon monoxide grow together."""
    rise = {"temperature": 0.2, "smoke": 0.0005, "co": 0.3}
    rows = np.arange(len(line.channels), dtype=np.int32)
    normal = np.array([NORMAL[channel.quantity] for channel in line.channels])
    grows = np.array([rise[c.quantity] * growth * (c.area == hall) for c in line.channels])
    for second in seconds:
        ripple = 1.0 + 0.002 * np.sin(second + rows)
        yield from line.process(Batch.of(rows, second * S, normal * ripple + grows * (second - seconds[0])))


@pytest.fixture
def line(tmp_path: Path) -> Pipeline:
    return pipeline(tmp_path, written())


def test_rules_of_groups_are_one_an_area_and_share_a_detector(line: Pipeline) -> None:
    found = {bench.name: [rule.id for rule in bench.rules] for bench in line.benches}
    assert found["fire-0"] == ["fire:hall-0", "fire:hall-1"]
    assert found["residual-0"] == ["room:hall-0", "room:hall-1"]


def test_a_fire_is_high_by_agreement_before_its_heat_limit_and_latched_in_its_own_hall(line: Pipeline) -> None:
    assert list(plant(line, range(0, 900, 3))) == []
    events = list(plant(line, range(900, 1100, 2), "hall-1", growth=1.0))
    high = next(event for event in events if event.level == "high")
    heat = next(event for event in events if event.alarm.startswith("heat:"))
    assert (high.alarm, high.area, high.channel, high.first, high.annunciate) == (
        "fire:hall-1",
        "hall-1",
        "",
        True,
        True,
    )
    assert high.time_ns < heat.time_ns
    assert high.why.startswith("fire reached HIGH: ")
    assert "temperature" in high.why
    assert high.why_zh.startswith("fire 达到高限：")
    warned = [event for event in events if event.level == "warning"]
    assert {event.alarm for event in warned} <= {"fire:hall-1", "room:hall-1"}
    assert not any(event.annunciate for event in warned)
    assert not any("hall-0" in event.alarm for event in events)
    fire = line.book.alarm("fire:hall-1")
    assert fire is not None
    assert fire.latching


def test_a_hall_more_leaves_what_the_others_have_learned_alone(line: Pipeline, tmp_path: Path) -> None:
    list(plant(line, range(0, 900, 3)))
    assert ready(line) == {"room:hall-0": True, "room:hall-1": True}
    after = pipeline(tmp_path, written(3))
    after.succeed(line, Moves.between(line, after))
    after.book.succeed(line.book)
    assert ready(after) == {"room:hall-0": True, "room:hall-1": True, "room:hall-2": False}
    events = list(plant(after, range(900, 1100, 2), "hall-0", growth=1.0))
    assert "fire:hall-0" in {event.alarm for event in events if event.level == "high"}
    assert "room:hall-0" in {event.alarm for event in events if event.level == "warning"}


def test_a_head_more_in_one_hall_begins_anew_there_and_nowhere_else(line: Pipeline, tmp_path: Path) -> None:
    list(plant(line, range(0, 900, 3)))
    data = written()
    data["instruments"].append(instrument(99, "hall-1", "temperature"))
    after = pipeline(tmp_path, data)
    after.succeed(line, Moves.between(line, after))
    assert ready(after) == {"room:hall-0": True, "room:hall-1": False}


def test_a_restart_amid_a_fire_neither_forgets_nor_repeats_it(line: Pipeline, tmp_path: Path) -> None:
    list(plant(line, range(0, 900, 3)))
    before = list(plant(line, range(900, 1000, 2), "hall-1", growth=1.0))
    again = pipeline(tmp_path, written())
    again.book.restore(line.book.last_events())
    again.restore(line.save())
    assert again.reconcile(1000 * S) == []
    assert ready(again) == ready(line)
    assert {event.alarm for event in before if event.level == "high"} == {"fire:hall-1"}
    following = list(plant(again, range(1000, 1010, 2), "hall-1", growth=20.0))
    assert not any(event.alarm == "fire:hall-1" and event.kind == "raised" for event in following)


def ready(line: Pipeline) -> dict[str, bool]:
    states = (state for channel in line.channels for state in line.rules_of(channel) if state.type == "residual")
    return {state.id: state.ready for state in states}
