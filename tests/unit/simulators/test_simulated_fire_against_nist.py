"""What carries smoke and heat to instruments: lags, layers, doorways; and a simulated fire beside NIST's test SDC02."""

import math

import numpy as np
import pytest

from benchmarks.fire_against_nist import SHIPPED, TESTS, pairs, times
from gateway.core.errors import ConfigError
from gateway.evaluation.loaders.tables import read_table
from simulators.doorways import DISCHARGE, Doorway
from simulators.fire import GROWTH_KW_S2, jet_lag_s
from simulators.loading import checked
from simulators.mixing import Ambient
from simulators.rooms import Fire, Nuisance, Room, Spot
from simulators.smoke import Emission, SmokeLayer, loss_kw_m2_k
from simulators.world import World


def room(volume_m3: float, height_m: float) -> Room:
    air = Ambient(
        temperature_c=20, swing_k=0, humidity_rh=50, start_hour=9, weather_k=0, rng=np.random.default_rng(0)
    )  # fmt: skip
    return Room(volume_m3, height_m, 0.0, air)


def warm_layer(share: float, rise_k: float, soot_kg: float = 0.01) -> SmokeLayer:
    layer = SmokeLayer(50.0, 2.5, share=share, soot_kg=soot_kg)
    layer.heat_kj = rise_k * 1.2 * 1.005 * layer.layer_m3
    return layer


def test_the_lag_is_mowrers():
    # 27 kW, 2.1 m high, 1.3 m aside: (0.67 * 2.1^(4/3) + 1.2 * 1.3^(11/6) / 2.1^(1/2)) / 3 = 1.047 s.
    assert jet_lag_s(27.0, 1.3, 2.1) == pytest.approx(1.047, abs=0.002)
    assert jet_lag_s(27.0, 1.3, 8.0) > 3 * jet_lag_s(27.0, 1.3, 2.1)


def test_a_high_hall_hears_of_a_fire_only_after_the_lag():
    hall, steady_kw = room(12_000.0, 12.0), 60.0
    hall.fires.append(Fire(1e9, steady_kw, "wood", 0.0))
    near, far = Spot(11.9, 1.0), Spot(11.9, 10.0)
    felt: dict[Spot, float] = {}
    for step in range(1, 601):
        hall.step(step * 0.1, 0.1)
        for spot in (near, far):
            if spot not in felt and hall.layer.arrived(spot.radius_m).heat_kw > 0.0:
                felt[spot] = step * 0.1
    assert felt[near] == pytest.approx(jet_lag_s(steady_kw, 1.0, 12.0), abs=0.7)
    assert felt[far] == pytest.approx(jet_lag_s(steady_kw, 10.0, 12.0), abs=0.7)
    assert felt[far] > felt[near] + 3.0


def test_what_is_on_its_way_is_forgotten_a_minute_after_the_fire():
    layer = SmokeLayer(100.0, 3.0)
    for step in range(3000):
        layer.step(Emission(100.0, 65.0, 1e-3) if step < 1000 else Emission(), 0.0, 0.1)
        assert len(layer._past) <= 121
    assert not layer._past
    assert layer.arrived(2.0) == Emission()


def test_a_jet_brings_more_heat_where_it_has_risen_through_a_layer():
    def felt_k(share: float) -> float:
        layer = warm_layer(share, 30.0)
        layer.step(Emission(30.0, 20.0), 0.0, 0.1)
        for _ in range(100):
            layer._remember(Emission(30.0, 20.0), 0.1)
        return layer.rise_at(2.45, 2.0) - layer.rise_k

    # Above the layer's own temperature in both; the deeper layer leaves less cool air for the plume to draw.
    assert felt_k(0.6) > felt_k(0.2)
    assert felt_k(1.0) == pytest.approx(5.38 * 10.0 ** (2 / 3) / 2.5, rel=1e-6)


def test_the_loss_to_walls_grows_with_the_heat():
    # EN ISO 6946 takes 10 W/(m2 K) for a warm ceiling; fires of some 300 K have three times that.
    assert 7e-3 < loss_kw_m2_k(5.0) < 10e-3
    assert 25e-3 < loss_kw_m2_k(300.0) < 32e-3


def test_a_warm_layer_stays_up_and_a_cool_one_mixes_down():
    warm, cool = warm_layer(0.3, 40.0), warm_layer(0.3, 0.5)
    for _ in range(600):
        warm.step(Emission(), 0.0, 0.01)
        cool.step(Emission(), 0.0, 0.1)
    assert warm.share == pytest.approx(0.3)
    assert cool.share > 0.5


def test_a_fire_on_a_shelf_leaves_the_air_below_it_clear():
    place = room(60.0, 3.0)
    place.fires.append(Fire(GROWTH_KW_S2["fast"], 500.0, "wood", 0.0, base_m=1.5))
    for step in range(1, 4001):
        place.step(step * 0.1, 0.1)
    assert 1.5 <= place.layer.edge_m < 1.7
    assert place.value("smoke", "OD/m", Spot(1.0, 2.0)) == 0.0


def test_smoke_stays_behind_a_lintel_until_it_reaches_below_it():
    one, other = warm_layer(0.1, 50.0), SmokeLayer(50.0, 2.5)
    door = Doorway(one, other, 0.9, 2.0)
    door.step(1.0)
    assert other.soot_kg == 0.0
    one.share = 0.5
    door.step(1.0)
    assert other.soot_kg > 0.0


def test_a_doorway_lets_through_what_bernoulli_says():
    one, other = warm_layer(0.6, 100.0), SmokeLayer(50.0, 2.5)
    out, back = Doorway(one, other, 0.9, 2.0).flows_m3_s()
    # The layer reaches 1.0 m below the lintel and is lighter by 293 / 393: 2/3 Cd b sqrt(2 g' h) h.
    lighter = 393.15 / 293.15 - 1.0
    assert out == pytest.approx(2 / 3 * DISCHARGE * 0.9 * math.sqrt(2 * 9.81 * lighter), rel=0.02)
    assert back == 0.0


def test_like_layers_do_not_flow_and_the_warmer_one_flows_out():
    same = Doorway(warm_layer(0.5, 40.0), warm_layer(0.5, 40.0), 0.9, 2.0)
    assert same.flows_m3_s() == (0.0, 0.0)
    there, back = Doorway(warm_layer(0.5, 20.0), warm_layer(0.5, 60.0), 0.9, 2.0).flows_m3_s()
    assert there == 0.0
    assert back > 0.0


def test_doorways_neither_make_nor_lose_smoke_and_heat():
    one, other = warm_layer(0.8, 100.0), warm_layer(0.2, 5.0, soot_kg=0.002)
    door = Doorway(one, other, 1.5, 2.1)
    soot, heat = one.soot_kg + other.soot_kg, one.heat_kj + other.heat_kj
    for _ in range(500):
        door.step(0.5)
    assert one.soot_kg + other.soot_kg == pytest.approx(soot)
    assert one.heat_kj + other.heat_kj == pytest.approx(heat)
    assert other.soot_kg > 0.004


def test_a_pan_comes_on_slowly_and_a_weld_at_once():
    pan, weld = Nuisance(10.0, 500.0, 3.0, warm_up_s=120.0), Nuisance(10.0, 500.0, 3.0)
    assert (pan.part(9.0), weld.part(9.0)) == (0.0, 0.0)
    assert weld.part(10.1) == 1.0
    assert pan.part(130.0) == pytest.approx(1.0 - math.exp(-1.0))
    assert pan.part(500.0) == 0.0


def plant(to: str) -> dict[str, object]:
    head = {"bus": "plc", "unit": 1, "at": "bed", "channels": {"smoke": {"address": 0, "type": "float32"}}}
    return {
        "name": "flat", "buses": {"plc": {"type": "modbus-tcp"}}, "instruments": {"sd": head},
        "ambient": {"swing_k": 0, "weather_k": 0},
        "rooms": {
            "living": {"volume_m3": 60, "height_m": 2.4, "doorways": [{"to": to}]},
            "bed": {"volume_m3": 30, "height_m": 2.4},
        },
        "events": [
            {"at_s": 0, "what": "fire", "where": "living", "alpha_kw_s2": 0.02, "peak_kw": 200, "base_m": 0.4}
        ],
    }  # fmt: skip


def test_smoke_of_a_scenario_comes_through_its_doorway():
    world = World(checked(plant("bed")))
    seen = []
    for _ in range(1500):
        world.step()
        seen.append(float(world.true[0]))
    assert seen[200] == 0.0
    assert seen[-1] > 0.1


@pytest.mark.parametrize("to", ["living", "garden"])
def test_a_doorway_to_nowhere_is_told_with_its_place(to: str):
    with pytest.raises(ConfigError) as caught:
        checked(plant(to))
    assert caught.value.path == ("rooms", "living", "doorways", 0, "to")


def test_the_simulated_chair_burns_much_like_the_recorded_one():
    found = list(pairs([TESTS[0]], {"SDC02": read_table(SHIPPED, ",")}))
    late = {(one.pair.head.letter, one.mark.text): one.late_s for one in times(found)}
    for letter in "EF":
        assert abs(late[letter, "+10 K"]) <= 20.0
        assert abs(late[letter, "8.3 K/min over 30 s"]) <= 15.0
    assert abs(late["F", "0.14 OD/m"]) <= 30.0
    assert abs(late["A", "+10 K"]) <= 30.0
    assert abs(late["B", "0.14 OD/m"]) <= 30.0
    for pair in found:
        measured, simulated = pair.measured.rise[-15:].max(), pair.simulated.rise[-15:].max()
        if pair.quantity == "temperature":
            assert 0.5 < simulated / measured < 1.6
        elif pair.quantity == "smoke":
            assert 0.3 < simulated / measured < 3.0
