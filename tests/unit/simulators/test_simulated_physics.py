"""Physics against closed-form solutions and published constants."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.fire import FUELS, GROWTH_KW_S2, growing_kw, jet_rise_k, jet_speed_m_s, layer_height_m
from simulators.gases import GASES, catalytic_vol, in_unit
from simulators.leak import critical_ratio, hole_m3_s, orifice_kg_s
from simulators.mixing import Ambient, mixed
from simulators.rooms import Fire, Leak, Nuisance, Room, Spot
from simulators.smoke import Emission, SmokeLayer
from simulators.tanks import Flow, Heating, Tank

CEILING = Spot(2.9, 2.0)


def still_air(temperature_c: float = 20.0) -> Ambient:
    return Ambient(
        temperature_c=temperature_c,
        swing_k=0,
        humidity_rh=50,
        start_hour=9,
        weather_k=0,
        rng=np.random.default_rng(0),
    )


def room(air_changes_per_h: float = 2.0, volume_m3: float = 60.0) -> Room:
    return Room(volume_m3, 3.0, air_changes_per_h, still_air())


def run(place: Room | Tank, seconds: float, dt_s: float = 0.1, start_s: float = 0.0) -> None:
    for step in range(1, round(seconds / dt_s) + 1):
        place.step(start_s + step * dt_s, dt_s)


def test_a_room_reaches_the_steady_state_of_its_flows():
    place = room(air_changes_per_h=3)
    leak = 0.001
    place.leaks.append(Leak("ch4", leak, 0.0))
    run(place, 20 * 3600 / 3, dt_s=5)
    steady = (100 * leak + place.air_m3_s * GASES["ch4"].background_vol) / (place.air_m3_s + leak)
    assert place.gas_vol("ch4", CEILING) == pytest.approx(steady, rel=1e-6)


def test_a_room_is_63_percent_of_the_way_after_its_time_constant():
    volume, air, leak = 60.0, 0.05, 0.002
    tau = volume / (air + leak)
    steady = 100 * leak / (air + leak)
    after = mixed([0.0], [leak], [0.0], air_m3_s=air, volume_m3=volume, dt_s=tau)
    assert after[0] == pytest.approx(steady * (1 - math.exp(-1)), rel=1e-12)


def test_many_short_steps_are_one_long_step():
    place = [0.3, 20.9]
    once = mixed(place, [0.01, -0.001], [0.0, 20.9], air_m3_s=0.04, volume_m3=50, dt_s=100)
    for _ in range(1000):
        place = mixed(place, [0.01, -0.001], [0.0, 20.9], air_m3_s=0.04, volume_m3=50, dt_s=0.1)
    assert place == pytest.approx(once, rel=1e-9)


def test_a_sealed_room_without_flows_keeps_its_air():
    assert mixed([1.5], [0.0], [0.0], air_m3_s=0, volume_m3=50, dt_s=3600) == pytest.approx([1.5])


@given(
    now=st.floats(0, 100),
    source=st.floats(0, 1),
    air=st.floats(0, 10),
    volume=st.floats(1, 1e4),
    dt_s=st.floats(1e-3, 1e5),
)
def test_a_concentration_never_leaves_0_to_100_percent(
    now: float, source: float, air: float, volume: float, dt_s: float
):
    after = mixed([now], [source], [0.0], air_m3_s=air, volume_m3=volume, dt_s=dt_s)
    assert 0.0 <= after[0] <= 100.0


def test_a_leak_of_nitrogen_takes_the_oxygen_away():
    place = room(air_changes_per_h=0)
    place.leaks.append(Leak("n2", 0.01, 0.0))
    run(place, 600, dt_s=1)
    assert place.gas_vol("o2", CEILING) == pytest.approx(20.9 * math.exp(-0.01 * 600 / 60), rel=1e-6)


def test_choked_flow_of_a_diatomic_gas_is_the_textbook_constant():
    # m / A = 0.04042 p / sqrt(T) for gamma 1.4 and air; nitrogen's molar mass scales it by sqrt(M / 28.96).
    flow = float(orifice_kg_s(1.0, 1e6, 1e5, "n2", temperature_k=300, discharge=1.0))
    assert flow == pytest.approx(0.04042 * 1e6 / math.sqrt(300) * math.sqrt(28.01 / 28.96), rel=2e-3)


def test_slow_flow_is_bernoullis():
    flow = float(orifice_kg_s(1e-4, 101_825, 101_325, "ch4", temperature_k=293.15, discharge=0.62))
    density = 101_825 * 0.01604 / (8.314 * 293.15)
    assert flow == pytest.approx(0.62 * 1e-4 * math.sqrt(2 * density * 500), rel=5e-3)


def test_flow_is_continuous_where_it_chokes_and_constant_beyond():
    critical = critical_ratio("ch4")
    before, at, beyond, far = orifice_kg_s(
        1e-4, 1e6, np.array([critical + 1e-6, critical, critical - 1e-6, 0.1]) * 1e6, "ch4"
    )
    assert before == pytest.approx(at, rel=1e-6)
    assert at == pytest.approx(beyond, rel=1e-12)
    assert beyond == far


def test_nothing_flows_against_the_pressure():
    assert orifice_kg_s(1.0, 1e5, 2e5, "ch4") == 0.0
    assert hole_m3_s(20, 0, "ch4") == 0.0


@pytest.mark.parametrize(("growth", "seconds"), [("ultrafast", 75), ("fast", 150), ("medium", 300), ("slow", 600)])
def test_a_fire_has_1055_kilowatts_after_its_growth_time(growth: str, seconds: float):
    assert growing_kw(GROWTH_KW_S2[growth], seconds) == pytest.approx(1055, rel=0.005)
    assert Fire(GROWTH_KW_S2[growth], 1e9, "wood", 10.0).at(seconds + 10) == pytest.approx(1055, rel=0.005)


def test_a_fire_stops_growing_at_its_peak_and_dies_when_put_out():
    fire = Fire(GROWTH_KW_S2["fast"], 300.0, "wood", 0.0, stop_s=200.0)
    assert fire.at(199) == 300.0
    assert fire.at(215) == pytest.approx(300.0 * math.exp(-1))
    assert fire.at(400) == 0.0


def test_the_ceiling_jet_is_alperts():
    # 1 MW that rises under a 4 m ceiling: 167 K over the fire; 5.38 (1000/3)^(2/3) / 4 = 64.7 K at 3 m.
    assert jet_rise_k(1000, 0.1, 4) == pytest.approx(167.6, abs=0.5)
    assert jet_rise_k(1000, 3, 4) == pytest.approx(64.7, abs=0.1)
    assert jet_speed_m_s(1000, 3, 4) == pytest.approx(0.195 * 10 * 2 * 3 ** (-5 / 6), rel=1e-9)


def test_the_ceiling_jet_is_nearly_continuous_where_its_formula_changes():
    assert jet_rise_k(500, 0.1801 * 3, 3) == pytest.approx(jet_rise_k(500, 0.1799 * 3, 3), rel=0.01)
    assert jet_speed_m_s(500, 0.1501 * 3, 3) == pytest.approx(jet_speed_m_s(500, 0.1499 * 3, 3), rel=0.02)


def test_the_smoke_layer_sinks_as_the_formula_for_a_steady_fire_says():
    height, floor, heat, t = 3.0, 20.0, 200.0, 60.0
    edge = height
    for _ in range(600):
        edge = layer_height_m(edge, heat, floor, 0.1)
    k = 0.05 / 1.2
    closed = height * (1 + 2 * k * heat ** (1 / 3) * t * height ** (2 / 3) / (3 * floor)) ** -1.5
    assert edge == pytest.approx(closed, rel=1e-9)


def test_a_layer_without_ventilation_keeps_all_of_its_soot():
    layer = SmokeLayer(60.0, 3.0)
    for _ in range(1000):
        layer.step(Emission(heat_kw=100, rising_kw=65, soot_kg_s=1e-4), 0.0, 0.1)
    assert layer.soot_kg == pytest.approx(0.01, rel=1e-9)


def test_a_fire_warms_smokes_and_poisons_the_air_under_the_ceiling_only_at_first():
    place = room()
    floor = Spot(0.2, 2.0)
    place.fires.append(Fire(GROWTH_KW_S2["fast"], 500, "polyurethane", 0.0))
    run(place, 20)
    assert place.temperature_at(CEILING) > 25
    assert place.value("smoke", "OD/m", CEILING) > 0.05
    assert place.value("co", "ppm", CEILING) > 3
    assert place.temperature_at(floor) == pytest.approx(20)
    assert place.value("smoke", "OD/m", floor) == 0.0


def test_a_closed_room_smothers_its_fire():
    place = room(air_changes_per_h=0, volume_m3=30)
    place.fires.append(Fire(GROWTH_KW_S2["ultrafast"], 5000, "heptane", 0.0))
    run(place, 400)
    assert place.gas_vol("o2", CEILING) < 15.0
    assert place.layer.emission.heat_kw < 0.2 * 5000


def test_a_room_is_clean_again_after_a_fire_and_an_hour_of_fresh_air():
    place = room(air_changes_per_h=12)
    place.fires.append(Fire(GROWTH_KW_S2["fast"], 100, "wood", 0.0, stop_s=60.0))
    run(place, 2 * 3600, dt_s=0.5)
    assert place.temperature_at(CEILING) == pytest.approx(20, abs=0.1)
    assert place.value("smoke", "OD/m", CEILING) < 1e-4
    assert place.fires == []


def test_cooking_smokes_without_much_heat_and_steam_wets():
    place = room()
    place.nuisances.append(Nuisance(0.0, 300.0, heat_kw=3, aerosol_mg_s=6, steam_g_s=2))
    before = place.humidity_at(Spot(0.2, 2.0))
    run(place, 300)
    assert 0.02 < place.value("smoke", "OD/m", CEILING) < 0.5
    assert place.temperature_at(CEILING) < 35
    assert place.humidity_at(Spot(0.2, 2.0)) > before + 10


def test_fuels_make_no_more_than_they_burn():
    for fuel in FUELS.values():
        carbon = fuel.soot + fuel.co * 12 / 28 + fuel.co2 * 12 / 44
        assert carbon < 1.0


def test_a_catalytic_bead_reads_low_in_a_rich_mixture():
    assert catalytic_vol(4.0, "ch4") == 4.0
    rising = [catalytic_vol(vol, "ch4") for vol in np.linspace(0, 9.5, 20)]
    falling = [catalytic_vol(vol, "ch4") for vol in np.linspace(9.5, 100, 20)]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert in_unit(catalytic_vol(80, "ch4"), "ch4", "%LEL") < 50


def test_the_oxygen_has_no_lower_explosive_limit():
    with pytest.raises(ValueError, match="o2"):
        in_unit(20.9, "o2", "%LEL")


def test_the_day_is_warmest_at_three_in_the_afternoon():
    ambient = Ambient(
        temperature_c=20, swing_k=5, humidity_rh=50, start_hour=0, weather_k=0, rng=np.random.default_rng(0)
    )
    hours = []
    for hour in range(24):
        ambient.step(hour * 3600.0, 3600.0)
        hours.append(ambient.temperature_c)
    assert hours.index(max(hours)) == 15
    assert max(hours) == pytest.approx(25)
    assert min(hours) == pytest.approx(15)


def test_a_tank_fills_by_what_is_pumped_and_breathes_at_its_valve():
    tank = Tank(100.0, 0.5, 20.0, still_air())
    tank.flows.append(Flow(0.01, 0.0, 1000.0))
    run(tank, 2000, dt_s=1)
    assert tank.value("level") == pytest.approx(60)
    assert tank.pressure_kpa == tank.breathe_out_kpa
    assert tank.flows == []


def test_a_tank_that_is_emptied_draws_air_in_and_never_falls_below_nothing():
    tank = Tank(10.0, 0.5, 20.0, still_air())
    tank.flows.append(Flow(-1.0, 0.0))
    run(tank, 100, dt_s=1)
    assert tank.value("level") == 0.0
    assert tank.pressure_kpa == pytest.approx(tank.breathe_in_kpa)


def test_a_heated_tank_warms_by_the_heat_over_its_capacity():
    tank = Tank(100.0, 0.5, 20.0, still_air())
    tank.heatings.append(Heating(1000.0, 0.0))
    run(tank, 100, dt_s=1)
    assert tank.temperature_c == pytest.approx(21.0, abs=0.01)
