"""Gas near a leak, heads in a climate, and days that come again."""

import math
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ConfigError
from simulators.events import EVENTS_ON, NATURE, DoorEvent, Often, WeldingEvent
from simulators.field import GasField, Wafts, diffusion_m2_s
from simulators.loading import checked
from simulators.mixing import Ambient
from simulators.rhythm import occurrences
from simulators.rooms import Leak, Room, Spot
from simulators.world import World

SIZE = (12.0, 12.0, 12.0)
MIDDLE = (6.0, 6.0, 6.0)


def test_near_a_source_far_from_walls_the_field_is_that_of_diffusion_in_free_space():
    flow, diffusion, seconds, radius = 1e-4, 0.01, 100, 12.0 / 16.0
    field = GasField(*SIZE)
    for _ in range(seconds):
        field.step([(MIDDLE, flow)], 1e-9, diffusion, 1.0)
    mean = 100.0 * flow * seconds / math.prod(SIZE)
    for far in (0.5, 1.0, 2.0):
        # The heat kernel of a source as wide as the jet, summed over its age.
        age = np.arange(0.005, seconds, 0.01)
        width = radius**2 + 2.0 * diffusion * age
        free = 100.0 * flow * 0.01 * ((2.0 * math.pi * width) ** -1.5 * np.exp(-(far**2) / (2.0 * width))).sum()
        assert field.at((6.0 + far, 6.0, 6.0)) + mean == pytest.approx(free, rel=0.02, abs=1e-5)


def test_deviations_sum_to_nothing_over_the_room():
    field = GasField(6.0, 4.0, 3.0)
    for _ in range(60):
        field.step([((1.0, 1.0, 2.5), 1e-3)], 1e-4, 0.005, 1.0)
    # The midpoints of a fine grid integrate cosines exactly.
    axes = [(np.arange(4 * metres) + 0.5) / 4 for metres in (6, 4, 3)]
    values = np.array([field.at((x, y, z)) for x in axes[0] for y in axes[1] for z in axes[2]])
    assert values.max() > 0.1
    assert abs(values.mean()) < 1e-9


def test_many_short_steps_of_the_field_are_one_long_step():
    short, long = GasField(5.0, 5.0, 3.0), GasField(5.0, 5.0, 3.0)
    for _ in range(100):
        short.step([((1.0, 1.0, 1.0), 1e-4)], 1e-4, 0.004, 0.5)
    long.step([((1.0, 1.0, 1.0), 1e-4)], 1e-4, 0.004, 50.0)
    assert short.at((2.0, 1.5, 1.0)) == pytest.approx(long.at((2.0, 1.5, 1.0)), rel=1e-9)


def test_a_field_without_a_source_mixes_until_it_is_gone():
    field = GasField(5.0, 5.0, 3.0)
    field.step([((1.0, 1.0, 1.0), 1e-4)], 1e-4, 0.01, 10.0)
    for _ in range(400):
        field.step([], 1e-4, 0.01, 60.0)
    assert field.gone
    assert field.at((1.0, 1.0, 1.0)) == 0.0


@pytest.mark.parametrize(("volume", "changes"), [(158.0, 0.17), (215.0, 0.92)])
def test_turbulence_of_measured_houses_lies_in_the_measured_range(volume: float, changes: float):
    assert 0.001 <= diffusion_m2_s(volume, changes) <= 0.013


def test_wafts_have_the_mean_one_and_the_stated_width():
    wafts = Wafts(np.random.default_rng(1))
    found = []
    for _ in range(20_000):
        wafts.step(20.0)
        found.append(wafts.at(MIDDLE))
    assert np.mean(found) == pytest.approx(1.0, abs=0.02)
    assert np.std(found) == pytest.approx(0.4, abs=0.03)


def still_air() -> Ambient:
    return Ambient(temperature_c=5, swing_k=0, humidity_rh=50, start_hour=9, weather_k=0, rng=np.random.default_rng(0))


def test_the_head_next_to_a_leak_meets_it_first_and_the_mean_is_that_of_the_mixed_room():
    placed, mixed = (Room(600.0, 4.0, 0.5, still_air(), length_m=15.0) for _ in range(2))
    placed.leaks.append(Leak("ch4", 1e-3, 0.0, place=(7.5, 5.0, 3.5)))
    mixed.leaks.append(Leak("ch4", 1e-3, 0.0))
    for second in range(1, 121):
        placed.step(second, 1.0)
        mixed.step(second, 1.0)
    near, far = Spot(3.7, 2.0, 8.5, 5.0), Spot(3.7, 2.0, 1.0, 1.0)
    assert placed.gas_vol("ch4", near) > 3.0 * mixed.gas_vol("ch4", near) > 3.0 * placed.gas_vol("ch4", far)
    assert placed.gas_vol("ch4", Spot(3.7, 2.0)) == mixed.gas_vol("ch4", far)


def test_an_open_door_lets_the_warmth_out_and_walls_bring_it_back():
    room = Room(100.0, 3.0, 0.5, still_air(), warmer_k=15.0)
    room.doors_per_h = 20.0
    for second in range(1, 121):
        room.step(second, 1.0)
    assert 10.0 < room.temperature_c < 15.0
    room.doors_per_h = 0.0
    for second in range(121, 9000):
        room.step(second, 1.0)
    assert room.temperature_c == pytest.approx(20.0, abs=0.01)


def hall(*events: dict[str, Any], head: dict[str, Any] | None = None, **more: Any) -> World:
    plain = {"noise": 0.0, "walk_per_h": 0.0, "daily": 0.0, "range": [-5, 100], "resolution": 0.0}
    channels = {"ch4": {"address": 0, **plain, **(head or {})}}
    heads = {
        f"gd-{k}": {"bus": "plc", "unit": k + 1, "at": "hall", "x_m": 3.0 + 4.0 * k, "y_m": 3.0, "channels": channels}
        for k in range(2)
    }
    return World(checked({
        "name": "hall", "step_s": 1.0, "ambient": {"temperature_c": 5, "swing_k": 0, "weather_k": 0},
        "rooms": {"hall": {"volume_m3": 180, "length_m": 10, "warmer_k": 15}}, "buses": {"plc": {"type": "modbus-tcp"}},
        "instruments": heads, "events": list(events), **more,
    }))  # fmt: skip


def after(world: World, seconds: float) -> World:
    while world.t_s < seconds:
        world.step()
    return world


def test_the_truth_names_the_head_nearest_to_a_leak_and_what_events_are():
    leak = {"at_s": 5, "what": "leak", "where": "hall", "gas": "ch4", "flow_l_per_min": 5, "x_m": 6.4, "y_m": 1.0}
    world = hall(leak, {"at_s": 2, "what": "door", "where": "hall", "for_s": 5})
    labels = after(world, 10).labels()
    assert [(label["event"], label["nature"], label.get("nearest")) for label in labels] == [
        ("door_started", "nuisance", None),
        ("leak_started", "hazard", "gd-1"),
        ("door_ended", "nuisance", None),
    ]


def test_every_event_is_of_one_nature():
    assert set(NATURE) == set(EVENTS_ON)


def test_a_zero_moves_with_the_climate_around_the_head_and_comes_back():
    door = {"at_s": 0, "what": "door", "where": "hall", "air_changes_per_h": 30, "for_s": 900}
    world = after(hall(door, head={"per_k": 0.1}, step_s=10.0), 900)
    colder = 20.0 - world.rooms["hall"].temperature_c
    assert colder > 5.0
    assert -0.1 * colder < world.heads.shown[0] < -0.06 * colder
    assert after(world, 12_000).heads.shown[0] == pytest.approx(0.0, abs=0.02)


def test_slow_noise_is_as_wide_as_told_and_slower_than_white():
    world = hall(head={"flicker": 0.3}, step_s=10.0)
    found = np.array([after(world, second).heads.shown.copy() for second in range(0, 40_000, 10)])
    assert np.std(found) == pytest.approx(0.3, rel=0.25)
    assert np.std(np.diff(found, axis=0)) < 0.6 * np.std(found)


def test_a_head_shows_a_share_of_what_it_takes_for_its_own_gas():
    wiped = {"at_s": 0, "what": "cleaning", "where": "hall", "grams": 40, "dries_s": 30}
    world = after(hall(wiped, head={"sees": {"ethanol": 0.5}, "t90_s": 0}), 600)
    share = 100.0 * world.rooms["hall"].gas_vol("ethanol", Spot(2.9, 2.0)) / 3.3
    assert share > 0.1
    assert world.heads.shown[0] == pytest.approx(0.5 * share + 0.004, abs=0.01)
    assert world.true[0] < 0.01


def test_small_values_are_shown_as_nothing_where_a_head_does_so():
    bias = {"at_s": 0, "what": "bias", "where": "gd-0", "by": 1.5}
    world = after(hall(bias, head={"zero_below": 2.0}), 5)
    assert world.heads.shown[0] == 0.0


def test_test_gas_can_come_untold():
    gas = {"at_s": 0, "what": "calibration", "where": "gd-0", "gas": 0.5, "told": False}
    world = after(hall(gas, head={"t90_s": 1}), 30)
    assert world.heads.shown[0] == pytest.approx(47.5, abs=0.5)
    assert world.heads.untold.tolist() == [True, False]


def test_events_come_again_by_the_clock_and_by_chance_within_their_hours():
    by_clock = WeldingEvent(at_s=100, what="welding", where="hall", for_s=60, every_s=3600)
    hours = Often(per_h=6, from_h=8, to_h=18, weekdays=(0, 2))
    by_chance = DoorEvent(at_s=0, what="door", where="hall", for_s=30, often=hours)
    happens = occurrences([by_clock, by_chance], 3 * 86_400.0, 0.0, np.random.default_rng(1))
    welding = [event.at_s for event in happens if event.what == "welding"]
    days, hour = np.divmod(np.array([event.at_s for event in happens if event.what == "door"]) / 3600.0, 24.0)
    assert welding == [100.0 + 3600.0 * k for k in range(72)]
    assert set(days) == {0.0, 2.0}
    assert 8.0 <= hour.min() < hour.max() < 18.0
    assert 80 < len(hour) < 160
    assert all(event.often is None and event.every_s is None for event in happens)


def test_an_event_that_comes_too_often_is_refused():
    event = DoorEvent(at_s=0, what="door", where="hall", every_s=0.001)
    with pytest.raises(ConfigError, match="more than 100000 times"):
        occurrences([event], 86_400.0, 0.0, np.random.default_rng(1))


def test_what_comes_again_happens_in_the_world():
    welding = {"at_s": 100, "what": "welding", "where": "hall", "for_s": 60, "every_s": 600}
    labels = after(hall(welding, duration_s=1500.0), 1500).labels()
    assert [label["t_s"] for label in labels if label["event"] == "welding_started"] == [100.0, 700.0, 1300.0]


def test_the_same_seed_gives_the_same_days():
    often = {"at_s": 0, "what": "door", "where": "hall", "for_s": 30, "often": {"per_h": 20}}
    leak = {"at_s": 60, "what": "leak", "where": "hall", "gas": "ch4", "flow_l_per_min": 5, "x_m": 6.4, "y_m": 1.0}
    head = {"flicker": 0.1, "per_k": 0.1}
    one, two = (after(hall(often, leak, head=head, duration_s=7200.0), 600) for _ in range(2))
    assert one.heads.shown.tobytes() == two.heads.shown.tobytes()


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({"what": "door", "every_s": 60}, "duration_s"),
        ({"what": "door", "every_s": 60, "for_s": 60}, "below every_s"),
        ({"what": "door", "every_s": 60, "often": {"per_h": 1}}, "exclude"),
        ({"what": "door", "often": {"per_h": 1, "from_h": 9, "to_h": 9}}, "below to_h"),
        ({"what": "leak", "gas": "ch4", "flow_l_per_min": 1, "x_m": 1}, "belong together"),
        ({"what": "cleaning", "agent": "soap"}, "agent"),
    ],
)
def test_a_rhythm_or_a_place_that_cannot_be_is_refused(event: dict[str, Any], problem: str):
    with pytest.raises(ConfigError) as caught:
        hall({"at_s": 0, "where": "hall", **event})
    assert problem in str(caught.value)


def test_a_gas_that_nobody_knows_is_seen_by_no_head():
    with pytest.raises(ConfigError) as caught:
        hall(head={"sees": {"perfume": 1.0}})
    assert "instruments.gd-0.channels.ch4.sees" in str(caught.value)
