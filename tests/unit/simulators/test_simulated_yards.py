"""Leaks on a yard as instruments there meet them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ConfigError
from simulators.gases import GASES
from simulators.loading import checked, load_scenario
from simulators.outdoors import NARROW, plume_share
from simulators.rooms import Leak, Spot
from simulators.world import World

STEADY = {"wind_m_s": 3, "from_deg": 270, "daily_share": 0, "wander_share": 0, "wander_deg": 0, "stability": "D"}
SCENARIOS = Path(__file__).parents[3] / "config" / "scenarios"


def head(x_m: float, y_m: float, **more: Any) -> dict[str, Any]:
    plain = {"address": 0, "noise": 0, "walk_per_h": 0, "daily": 0, "resolution": 0}
    return {"bus": "plc", "at": "yard", "x_m": x_m, "y_m": y_m, "channels": {"ch4": {**plain, **more}}}


def yard(*events: dict[str, Any], heads: dict[str, Any] | None = None, **more: Any) -> World:
    instruments = heads or {"east": head(40, 20), "north": head(20, 40), "west": head(1, 20)}
    numbered = {name: {"unit": k + 1, **spec} for k, (name, spec) in enumerate(instruments.items())}
    return World(
        checked(
            {
                "name": "yard",
                "step_s": 1.0,
                "yards": {"yard": STEADY},
                "buses": {"plc": {"type": "modbus-tcp"}},
                "instruments": numbered,
                "events": list(events),
                **more,
            }
        )
    )


def leak(**more: Any) -> dict[str, Any]:
    return {
        "at_s": 0,
        "what": "leak",
        "where": "yard",
        "gas": "ch4",
        "flow_l_per_min": 600,
        "x_m": 20,
        "y_m": 20,
        **more,
    }


def means(world: World, seconds: int) -> dict[str, float]:
    total = np.zeros(len(world.channels))
    for _ in range(seconds):
        world.step()
        total += world.true
    return dict(zip(world.row, total / seconds, strict=True))


def test_gas_goes_where_the_wind_blows_and_turns_with_it():
    world = yard(leak(), {"at_s": 300, "what": "wind", "where": "yard", "from_deg": 180, "turns_s": 60, "for_s": 600})
    before = means(world, 300)
    means(world, 120)
    turned = means(world, 400)
    means(world, 240)
    back = means(world, 300)
    clean = GASES["ch4"].background_vol / 5.0 * 100.0
    assert before["east.ch4"] > 0.3 > 10.0 * clean > before["north.ch4"]
    assert turned["north.ch4"] > 0.3 > 10.0 * clean > turned["east.ch4"]
    assert back["east.ch4"] > 0.3 > 10.0 * clean > back["north.ch4"]
    assert before["west.ch4"] == turned["west.ch4"] == pytest.approx(clean)


def test_what_a_head_meets_is_the_plume_of_the_wind_of_the_moment():
    world = yard(leak(height_m=1.5))
    for _ in range(100):
        world.step()
        wind = world.yards["yard"].wind
        along, across = wind.along((20.0, 20.0, 1.5), (40.0, 20.0, 1.0))
        share = plume_share(
            0.01, wind.speed_at(1.5), "D", along_m=along, across_m=across, height_m=1.0, source_m=1.5, narrow=NARROW
        )
        if world.t_s > 60.0:
            assert world.true[0] == pytest.approx(2000.0 * share + 0.004 * (1.0 - share), rel=1e-6)


def test_gas_arrives_after_its_way_and_is_gone_after_its_way():
    world = yard(leak(for_s=60), heads={"far": head(120, 20)})
    shown = []
    for _ in range(200):
        world.step()
        shown.append(world.true[0] > 0.1)
    arrived = shown.index(True)
    left = len(shown) - shown[::-1].index(True)
    # 100 m at some 2.4 m/s, more or less a gust.
    assert 25 < arrived < 60
    assert 25 < left - 60 < 75


def test_a_yard_forgets_leaks_whose_gas_has_left_it():
    world = yard(leak(for_s=60), step_s=10.0)
    for _ in range(300):
        world.step()
    assert len(world.yards["yard"].leaks) == 1
    for _ in range(80):
        world.step()
    assert not world.yards["yard"].leaks


def test_released_gas_takes_the_place_of_oxygen_and_two_leaks_at_one_place_are_no_more_than_pure():
    world = yard()
    air = world.yards["yard"]
    air.wind.from_deg = 270.0
    for _ in range(2):
        air.leaks.append(Leak("ch4", 5.0, -1e6, place=(20.0, 20.0, 1.0)))
    near, upwind = Spot(1.0, 2.0, 20.01, 20.0), Spot(1.0, 2.0, 10.0, 20.0)
    assert air.gas_vol("ch4", near) == pytest.approx(100.0, abs=0.1)
    assert air.gas_vol("o2", near) == pytest.approx(0.0, abs=0.1)
    assert air.gas_vol("o2", upwind) == GASES["o2"].background_vol
    downwind = Spot(1.0, 2.0, 80.0, 20.0)
    ch4, o2 = air.gas_vol("ch4", downwind), air.gas_vol("o2", downwind)
    assert o2 == pytest.approx(20.9 * (1.0 - (ch4 - 0.0002 * (1.0 - ch4 / 100.0)) / 100.0), rel=1e-6)


def test_a_wind_mast_shows_the_wind_at_its_height():
    mast = {
        "bus": "plc",
        "at": "yard",
        "height_m": 10,
        "channels": {"wind_speed": {"address": 0, "scale": 0.1}, "wind_direction": {"address": 1}},
    }
    world = yard(heads={"mast": mast})
    for _ in range(600):
        world.step()
        wind = world.yards["yard"].wind
        assert world.true == pytest.approx([wind.speed_m_s, wind.from_deg])
        assert abs(world.heads.shown[1] - wind.from_deg) < 6.0
    assert world.heads.shown[0] == pytest.approx(3.0, abs=2.5)
    assert world.state()["places"]["yard"]["stability"] == "D"


def test_a_vane_does_not_average_through_north():
    mast = {"bus": "plc", "at": "yard", "channels": {"wind_direction": {"address": 0}}}
    world = yard(heads={"mast": mast}, yards={"yard": {**STEADY, "from_deg": 0}})
    for _ in range(600):
        world.step()
        assert not 40.0 < world.heads.shown[0] < 320.0


def test_the_truth_names_the_head_nearest_to_a_leak_whatever_the_wind():
    world = yard(leak(x_m=4), heads={"east": head(40, 20), "west": head(1, 20)})
    world.step()
    started = next(label for label in world.labels() if label["event"] == "leak_started")
    assert started["nearest"] == "west"


def test_the_same_seed_gives_the_same_yard():
    first, second, other = (load_scenario(SCENARIOS / "yard-leak.yaml") for _ in range(3))
    worlds = [World(first), World(second), World(other, seed=99)]
    for world in worlds:
        for _ in range(200):
            world.step()
    assert (worlds[0].heads.shown == worlds[1].heads.shown).all()
    assert (worlds[0].true != worlds[2].true).any()


def test_the_example_shows_gas_first_at_the_heads_downwind_and_then_at_the_others():
    scenario = load_scenario(SCENARIOS / "yard-leak.yaml").model_copy(update={"step_s": 5.0})
    world = World(scenario)
    greatest = {}
    for name, until_s in (("before", 5400.0), ("first", 7200.0), ("turning", 8100.0), ("then", 9600.0)):
        greatest[name] = np.zeros(4)
        while world.t_s < until_s:
            world.step()
            greatest[name] = np.maximum(greatest[name], world.true[:4])
    assert (greatest["before"] == 0.0).all()
    assert (greatest["first"][:2] > 3.0).all()
    assert (greatest["first"][2:] < 0.1).all()
    assert (greatest["then"][2:] > 3.0).all()
    assert (greatest["then"][:2] < 0.1).all()


@pytest.mark.parametrize(
    ("change", "place", "problem"),
    [
        ({"events": [leak(x_m=None, y_m=None)]}, ("events", 0), "needs its place"),
        ({"events": [{"at_s": 0, "what": "fire", "where": "yard"}]}, ("events", 0, "where"), "is no room"),
        ({"events": [{"at_s": 0, "what": "wind", "where": "room"}]}, ("events", 0, "where"), "is no yard"),
        ({"rooms": {"yard": {"volume_m3": 10}}}, ("yards", "yard"), "already"),
        ({"yards": {"yard": {"stability": "G"}}}, ("yards", "yard", "stability"), "must be"),
        ({"instruments": {"gd": {**head(1, 1), "unit": 1, "x_m": None}}}, ("instruments", "gd", "x_m"), "place"),
        (
            {"instruments": {"sd": {"bus": "plc", "unit": 1, "at": "yard", "channels": {"smoke": {"address": 0}}}}},
            ("instruments", "sd", "channels", "smoke", "quantity"),
            "has no 'smoke'",
        ),
        (
            {"instruments": {"gd": {**head(1, 1, ageing={"poisons": {"soot": 1}}), "unit": 1}}},
            ("instruments", "gd", "channels", "ch4", "ageing"),
            "'soot' is none of",
        ),
    ],
)
def test_what_a_yard_cannot_have_is_told_with_its_place(change: dict[str, Any], place: tuple[Any, ...], problem: str):
    data = {
        "name": "yard",
        "yards": {"yard": STEADY},
        "buses": {"plc": {"type": "modbus-tcp"}},
        "instruments": {"gd": {**head(1, 1), "unit": 1}},
    }
    with pytest.raises(ConfigError) as caught:
        checked({**data, **change})
    assert caught.value.path[: len(place)] == place
    assert problem in str(caught.value)


def test_a_room_has_no_wind():
    mast = {"bus": "plc", "unit": 1, "at": "room", "channels": {"wind_speed": {"address": 0}}}
    with pytest.raises(ConfigError, match="room has no 'wind_speed'"):
        yard(heads={"mast": mast}, rooms={"room": {"volume_m3": 10}})


def test_sour_gas_around_a_head_ages_it_and_its_neighbour_stays_well():
    ageing = {"fade_per_year": 0.5, "poisons": {"h2s": 1e5}}
    world = yard(
        leak(gas="h2s", flow_l_per_min=60, for_s=3000),
        {"at_s": 4000, "what": "calibration", "where": "east", "gas": 0.5},
        {"at_s": 4000, "what": "calibration", "where": "west", "gas": 0.5},
        heads={"east": head(30, 20, ageing=ageing), "west": head(10, 20, ageing=ageing)},
        step_s=10.0,
    )
    while world.t_s < 4200.0:
        world.step()
    east, west = world.heads.shown
    assert west == pytest.approx(50.0, rel=1e-3)
    assert east < 40.0
