"""Scenarios: what is refused, what the timeline does, what the truth says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ConfigError
from simulators.faces import RegisterFace
from simulators.loading import checked, load_scenario
from simulators.recordings import Recording, load_column
from simulators.registers import Registers
from simulators.rooms import Room
from simulators.world import World

SCENARIOS = sorted((Path(__file__).parents[3] / "config" / "scenarios").glob("*.yaml"))


def plant(*events: dict[str, Any], channels: dict[str, Any] | None = None, **more: Any):
    return {
        "name": "test",
        "ambient": {"swing_k": 0, "weather_k": 0},
        "rooms": {"room": {"volume_m3": 30, "air_changes_per_h": 1}},
        "tanks": {"tank": {"volume_m3": 100}},
        "buses": {"bus": {"type": "modbus-tcp"}, "air": {"type": "mqtt"}, "line": {"type": "modbus-rtu"}},
        "instruments": {
            "gd-01": {
                "bus": "bus",
                "unit": 1,
                "at": "room",
                "status": {"address": 5},
                "channels": channels or {"ch4": {"address": 0, "scale": 0.1, "fault_raw": 65535, "t90_s": 5}},
            }
        },
        "events": list(events),
        **more,
    }


def world_after(seconds: float, *events: dict[str, Any], **more: Any):
    world = World(checked(plant(*events, **more)))
    while world.t_s < seconds - 1e-9:
        world.step()
    return world


def refused(data: dict[str, Any]):
    with pytest.raises(ConfigError) as caught:
        checked(data)
    return caught.value


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_example_scenario_runs_its_timeline_from_end_to_end(path: Path):
    scenario = load_scenario(path)
    world = World(scenario)
    # Steps of a second are enough here and ten times as fast.
    world = World(scenario.model_copy(update={"step_s": 1.0}))
    last = max((event.at_s + (event.for_s or 0) for event in scenario.events), default=10.0)
    seen = set()
    while world.t_s < min(last + 2, 1800):
        world.step()
        seen |= {label["event"] for label in world.labels()}
    assert {f"{event.what.replace('-', '_')}_started" for event in scenario.events if event.at_s < 1800} <= seen


def test_in_the_demonstration_both_alarm_steps_are_shown_within_30_seconds():
    world = World(load_scenario(next(path for path in SCENARIOS if path.stem == "demo")))
    row, times = world.row["gd-01.ch4"], {}
    while world.t_s < 30:
        world.step()
        for limit in (10, 25):
            if world.heads.shown[row] >= limit:
                times.setdefault(limit, world.t_s)
    assert 5 < times[10] < times[25] < 30


@pytest.mark.parametrize(
    ("change", "path", "problem"),
    [
        ({"speed": 0}, "speed", "greater than 0"),
        ({"colour": 1}, "colour", "Extra"),
        ({"buses": {"bus": {"type": "modbus-tcp", "port": 70000}}}, "buses.bus.port", "65535"),
        ({"events": [{"at_s": 1, "what": "stuck", "where": "gd-99"}]}, "events[0].where", "'gd-99'"),
        ({"events": [{"at_s": 1, "what": "leak", "where": "room", "gas": "ch4"}]}, "events[0]", "hole_mm"),
        ({"events": [{"at_s": 1, "what": "explode", "where": "room"}]}, "events[0]", "explode"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(change: dict[str, Any], path: str, problem: str):
    error = refused({**plant(), **change})
    assert str(error).startswith(f"{path}: ")
    assert problem in error.problem


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"bus": "nowhere"}, "instruments.gd-01.bus"),
        ({"at": "attic"}, "instruments.gd-01.at"),
        ({"unit": None}, "instruments.gd-01.unit"),
        ({"bus": "air"}, "instruments.gd-01.topic"),
        ({"channels": {"ch4": {}}}, "instruments.gd-01.channels.ch4.address"),
        ({"channels": {"radon": {"address": 0}}}, "instruments.gd-01.channels.radon.quantity"),
        ({"channels": {"level": {"address": 0}}}, "instruments.gd-01.channels.level.quantity"),
        ({"status": {"address": 0}}, "instruments.gd-01.status.address"),
        ({"relays": {"horn": {"table": "holding", "address": 0}}}, "instruments.gd-01.relays.horn.address"),
        ({"channels": {}}, "instruments.gd-01"),
        ({"channels": {"co": {"address": 4, "type": "float32"}}}, "instruments.gd-01.status.address"),
    ],
)
def test_an_instrument_that_cannot_be_is_refused_with_its_place(change: dict[str, Any], path: str):
    data = plant()
    data["instruments"]["gd-01"] |= change
    assert str(refused(data)).startswith(f"{path}: ")


def test_only_a_serial_line_can_be_unplugged():
    error = refused(plant({"at_s": 1, "what": "unplug", "where": "bus"}))
    assert str(error).startswith("events[0].where: 'bus' is no line")


def test_physics_is_asked_once_for_heads_that_hang_alike_and_each_has_its_own_noise(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    gas_vol = Room.gas_vol
    monkeypatch.setattr(Room, "gas_vol", lambda room, gas, spot: asked.append(gas) or gas_vol(room, gas, spot))
    data = plant()
    data["instruments"] = {"head": {**data["instruments"]["gd-01"], "count": 50}}
    world = World(checked(data))
    asked.clear()
    for _ in range(10):
        world.step()
    assert asked == ["ch4"] * 10
    assert np.unique(world.true).size == 1
    assert np.unique(world.heads.shown).size > 1


def test_test_gas_is_shown_whatever_is_so_and_only_by_the_head_that_gets_it():
    during = world_after(60, {"at_s": 1, "what": "calibration", "where": "gd-01", "gas": 0.4})
    assert during.true[0] < 1
    assert during.heads.shown[0] == pytest.approx(40, abs=1)


def test_a_number_that_never_changes_is_shown_as_it_is_in_warm_up_too():
    world = World(checked(plant(channels={"supply": {"address": 0, "shows": 24.5, "type": "float32"}})))
    world.heads.restart(0, 100.0)
    for _ in range(20):
        world.step()
    assert world.heads.shown.tolist() == [24.5]


def test_a_unit_that_a_gas_does_not_have_is_refused():
    scenario = checked(plant(channels={"o2": {"address": 0, "unit": "%LEL"}}))
    with pytest.raises(ConfigError, match=r"instruments.gd-01.channels.o2.unit: o2"):
        World(scenario)


def test_a_file_that_is_no_yaml_or_not_there_is_refused(tmp_path: Path):
    broken = tmp_path / "s.yaml"
    broken.write_text("rooms: [")
    with pytest.raises(ConfigError, match="no YAML"):
        load_scenario(broken)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_scenario(tmp_path / "absent.yaml")


def test_a_leak_is_labelled_and_its_crossings_are_told_once():
    leak = {"at_s": 5, "what": "leak", "where": "room", "gas": "ch4", "flow_l_per_min": 900, "for_s": 60}
    world = world_after(120, leak)
    labels = world.labels()
    assert [label.get("label", label["event"]) for label in labels] == [
        "leak_started",
        "crossed 10 %LEL",
        "crossed 25 %LEL",
        "crossed 50 %LEL",
        "leak_ended",
    ]
    assert labels[0]["t_s"] == 5.0


def test_events_are_undone_when_their_time_is_over():
    events = [
        {"at_s": 1, "what": "dropout", "where": "gd-01", "for_s": 2},
        {"at_s": 1, "what": "late", "where": "gd-01", "by_s": 0.5, "for_s": 2},
        {"at_s": 1, "what": "garble", "where": "gd-01", "share": 0.5, "for_s": 2},
        {"at_s": 1, "what": "refuse", "where": "gd-01", "for_s": 2},
        {"at_s": 1, "what": "ventilation", "where": "room", "air_changes_per_h": 9, "for_s": 2},
        {"at_s": 1, "what": "bus-down", "where": "bus", "for_s": 2},
        {"at_s": 1, "what": "bias", "where": "gd-01.ch4", "by": 3, "for_s": 2},
        {"at_s": 1, "what": "inhibit", "where": "gd-01", "for_s": 2},
        {"at_s": 1, "what": "calibration", "where": "gd-01", "for_s": 2},
        {"at_s": 1, "what": "stall-heartbeat", "where": "gd-01", "for_s": 2},
        {"at_s": 1, "what": "unit-changed", "where": "gd-01", "to": 3, "times": 2, "for_s": 2},
        {"at_s": 1, "what": "slow", "where": "gd-01", "by_s": 0.2, "for_s": 2},
        {"at_s": 1, "what": "wrong", "where": "gd-01", "share": 0.5, "for_s": 2},
        {"at_s": 1, "what": "repeat", "where": "gd-01", "for_s": 2},
        {"at_s": 1, "what": "relay-stuck", "where": "gd-01", "for_s": 2},
        {"at_s": 1, "what": "unplug", "where": "line", "for_s": 2},
        {"at_s": 1, "what": "line-noise", "where": "line", "for_s": 2},
    ]
    during, after = world_after(2, *events), world_after(4, *events)
    assert len(during.faults) == len(events)
    assert during.behaviours["gd-01"].silent
    assert during.behaviours["gd-01"].odd
    assert during.rooms["room"].air_changes_per_h == 9
    assert during.buses_down == {"bus"}
    assert during.unplugged == {"line"}
    assert during.line_noise == {"line": 0.2}
    assert during.relays_stuck == {"gd-01"}
    assert during.unit_words == {"gd-01": 3}
    assert during.heads.times.tolist() == [2.0]
    assert after.faults == set()
    assert not after.behaviours["gd-01"].odd
    assert after.rooms["room"].air_changes_per_h == 1
    assert after.buses_down == after.unplugged == after.relays_stuck == set()
    assert after.unit_words == after.line_noise == {}
    assert after.heads.times.tolist() == [1.0]
    assert after.behaviours["gd-01"].repeated == 0.0
    assert after.heads.bias.tolist() == [0.0]
    assert after.heads.inhibited.tolist() == [False]


def test_a_fault_shows_in_the_register_and_in_the_status_word():
    world = World(checked(plant({"at_s": 1, "what": "fault", "where": "gd-01"})))
    registers = Registers()
    face = RegisterFace("gd-01", world.scenario.instruments["gd-01"], world, registers)
    for _ in range(20):
        world.step()
    face.show()
    assert registers.answer(bytes.fromhex("0300000001")).hex() == "0302ffff"
    assert registers.answer(bytes.fromhex("0300050001")).hex() == "03020002"


def test_a_contact_follows_its_value():
    contact = {"quantity": "o2", "table": "discrete", "address": 0, "type": "bit", "above": 20}
    world = World(checked(plant(channels={"air": contact})))
    registers = Registers()
    RegisterFace("gd-01", world.scenario.instruments["gd-01"], world, registers).show()
    assert registers.answer(bytes.fromhex("0200000001")).hex() == "020101"


def test_the_same_seed_gives_the_same_world_and_another_another():
    def states(seed: int):
        world = World(checked(plant(ambient={})), seed)
        seen = []
        for _ in range(50):
            world.step()
            seen.append(world.state())
        return seen

    assert states(1) == states(1)
    assert states(1) != states(2)


def test_a_recording_drives_a_channel_in_place_of_physics(tmp_path: Path):
    (tmp_path / "fire.csv").write_text("TIME,TC\n0,20\n10,30\nbad,1\n20,nan\n30,60\n")
    channel = {"quantity": "temperature", "address": 0, "recording": {"file": "fire.csv", "column": "TC", "start_s": 5}}
    scenario = checked(plant(channels={"t": channel}), tmp_path)
    world = World(scenario)
    assert world.true.tolist() == [25.0]
    for _ in range(150):
        world.step()
    assert world.true[0] == pytest.approx(45.0)


def test_a_recording_ends_with_its_last_value_or_starts_again(tmp_path: Path):
    (tmp_path / "r.csv").write_text("TIME,V\n0,0\n10,10\n")
    times, values = load_column(tmp_path / "r.csv", "V")
    assert Recording(times, values).at(25) == 10
    assert Recording(times, values, loop=True).at(25) == 5


@pytest.mark.parametrize(("file", "column"), [("r.csv", "W"), ("absent.csv", "V"), ("empty.csv", "V")])
def test_a_recording_that_cannot_be_used_is_refused(tmp_path: Path, file: str, column: str):
    (tmp_path / "r.csv").write_text("TIME,V\n0,0\n10,10\n")
    (tmp_path / "empty.csv").write_text("TIME,V\n")
    channel = {"quantity": "temperature", "address": 0, "recording": {"file": file, "column": column}}
    with pytest.raises(ConfigError, match=r"instruments.gd-01.channels.t.recording"):
        World(checked(plant(channels={"t": channel}), tmp_path))
