"""A plant run ahead: what its instruments showed, and where they showed nothing."""

from pathlib import Path

import numpy as np
import pytest

from gateway.core.model import Quality
from simulators.loading import load_scenario
from simulators.past import run_ahead
from simulators.world import World

SCENARIO = """
seed: 3
step_s: 1
rooms: {hall: {volume_m3: 50, height_m: 3, air_changes_per_h: 2}}
buses: {plc: {type: modbus-tcp, port: 15099}, other: {type: modbus-tcp, port: 15098}}
instruments:
  gd-01: {bus: plc, unit: 1, at: hall, channels: {ch4: {address: 0, scale: 0.1}}}
  sd-01: {bus: other, unit: 1, at: hall,
    channels: {alarm: {quantity: smoke, above: 0.05, table: discrete, address: 0, type: bit}}}
events:
  - {at_s: 10, what: leak, where: hall, gas: ch4, flow_l_per_min: 300, for_s: 60}
  - {at_s: 30, what: dropout, where: gd-01, for_s: 10}
  - {at_s: 50, what: fault, where: gd-01, for_s: 10}
  - {at_s: 70, what: bus-down, where: other, for_s: 15}
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO)
    return World(load_scenario(path))


def test_values_rise_and_what_is_silent_or_faulty_has_none(world: World):
    past = run_ahead(world, 100)
    assert past.channels == ("gd-01.ch4", "sd-01.alarm")
    assert past.time_s.tolist() == [float(k) for k in range(1, 101)]
    gas, state = past.value[:, 0], past.quality[:, 0]
    assert gas[:9].max() < 1.0 < 5.0 < np.nanmax(gas)
    assert state[32:38].tolist() == [Quality.COMMS_LOST] * 6
    assert state[52:58].tolist() == [Quality.SENSOR_FAULT] * 6
    assert np.isnan(gas[32:38]).all()
    assert not np.isnan(gas[state == Quality.GOOD]).any()


def test_a_bus_that_is_gone_takes_its_instruments_and_is_told(world: World):
    past = run_ahead(world, 100)
    ((bus, begin_s, end_s),) = past.down
    assert (bus, round(end_s - begin_s)) == ("other", 15)
    assert set(past.quality[72:82, 1].tolist()) == {Quality.COMMS_LOST}
    assert set(past.value[:60, 1].tolist()) == {0.0}


def test_the_world_goes_on_where_the_past_ends(world: World):
    past = run_ahead(world, 60)
    shown = world.heads.shown[0]
    assert world.t_s == pytest.approx(60.0)
    assert np.isnan(past.value[-1, 0]) or past.value[-1, 0] == pytest.approx(shown)
    world.step()
    assert world.t_s == pytest.approx(61.0)


def test_the_file_gives_back_what_was_written(world: World, tmp_path: Path):
    past = run_ahead(world, 20, every_s=5)
    past.save(tmp_path / "past.npz")
    with np.load(tmp_path / "past.npz") as file:
        assert file["time_s"].tolist() == [5.0, 10.0, 15.0, 20.0]
        assert file["channels"].tolist() == ["gd-01.ch4", "sd-01.alarm"]
        assert np.array_equal(file["value"], past.value, equal_nan=True)


@pytest.mark.parametrize("seconds", [0.0, -5.0, 8 * 86_400.0])
def test_nowhere_and_too_far_are_refused(world: World, seconds: float):
    with pytest.raises(ValueError, match="s ahead"):
        run_ahead(world, seconds)
