"""The wind over a yard and the plume in it."""

import math

import numpy as np
import pytest

from simulators.mixing import Ambient
from simulators.outdoors import CLASSES, NARROW, Climate, Wind, plume_share, sigma_y_m, sigma_z_m, stability_class

SAMPLING_10_MIN = {
    # Martin 1976 (sy) and Pasquill-Gifford as Turner gives them (sz), in m at 100 m and 1 km.
    "A": (27, 215, 14, None),
    "B": (19, 155, 11, 110),
    "C": (13, 105, 7.5, 61),
    "D": (8, 68, 4.7, 32),
    "E": (6, 51, 3.6, 21),
    "F": (4, 34, 2.3, 14),
}


@pytest.mark.parametrize("stability", CLASSES)
def test_widths_are_those_that_others_publish_for_ten_minutes(stability: str):
    y_100, y_1000, z_100, z_1000 = SAMPLING_10_MIN[stability]
    assert sigma_y_m(100.0, stability) == pytest.approx(y_100, rel=0.2)
    assert sigma_y_m(1000.0, stability) == pytest.approx(y_1000, rel=0.15)
    assert sigma_z_m(100.0, stability) == pytest.approx(z_100, rel=0.45)
    if z_1000 is not None:
        assert sigma_z_m(1000.0, stability) == pytest.approx(z_1000, rel=0.2)


@pytest.mark.parametrize(
    ("stability", "at_100", "at_1000"),
    [("A", (21.89, 20.0), (209.8, 200.0)), ("D", (7.96, 5.60), (76.3, 37.9)), ("F", (3.98, 1.553), (38.1, 12.31))],
)
def test_widths_at_100_m_and_1_km_are_briggs_by_hand(
    stability: str, at_100: tuple[float, float], at_1000: tuple[float, float]
):
    assert (sigma_y_m(100.0, stability), sigma_z_m(100.0, stability)) == pytest.approx(at_100, rel=2e-3)
    assert (sigma_y_m(1000.0, stability), sigma_z_m(1000.0, stability)) == pytest.approx(at_1000, rel=2e-3)


@pytest.mark.parametrize("stability", CLASSES)
@pytest.mark.parametrize("along_m", [3.0, 30.0, 300.0])
def test_every_plane_across_the_wind_passes_what_leaks(stability: str, along_m: float):
    flow, wind, source = 0.01, 2.5, 1.5
    wide = 8.0 * (NARROW * sigma_y_m(along_m, stability) + 0.1)
    high = source + 8.0 * (sigma_z_m(along_m, stability) + 0.1)
    across, across_step = np.linspace(-wide, wide, 161, retstep=True)
    heights, height_step = np.linspace(0.0, high, 161, retstep=True)
    weight = np.where((heights == 0.0) | (heights == high), 0.5, 1.0)
    at = {"along_m": along_m, "source_m": source, "narrow": NARROW}
    share = np.array(
        [[plume_share(flow, wind, stability, across_m=y, height_m=z, **at) for z in heights] for y in across]
    )
    passed = wind * (share * weight).sum() * across_step * height_step
    assert passed == pytest.approx(flow, rel=1e-3)


def test_on_the_axis_of_a_high_source_the_share_is_the_closed_form_and_at_the_ground_it_is_twice_it():
    far = {"along_m": 400.0, "across_m": 0.0}
    expected = 0.05 / (2.0 * math.pi * 4.0 * sigma_y_m(400.0, "D") * sigma_z_m(400.0, "D"))
    aloft = plume_share(0.05, 4.0, "D", height_m=200.0, source_m=200.0, **far)
    ground = plume_share(0.05, 4.0, "D", height_m=0.0, source_m=0.0, **far)
    assert aloft == pytest.approx(expected, rel=1e-4)
    assert ground == pytest.approx(2.0 * aloft, rel=1e-6)
    beside = plume_share(
        0.05, 4.0, "D", along_m=400.0, across_m=sigma_y_m(400.0, "D"), height_m=0.0, source_m=0.0
    )  # fmt: skip
    assert beside / ground == pytest.approx(math.exp(-0.5), rel=1e-4)


def test_twice_the_wind_is_half_the_gas_and_upwind_there_is_none():
    def at(wind: float, along_m: float) -> float:
        return plume_share(0.01, wind, "C", along_m=along_m, across_m=0.0, height_m=1.0, source_m=1.0)

    assert at(2.0, 100.0) == pytest.approx(2.0 * at(4.0, 100.0), rel=1e-3)
    assert at(2.0, -1.0) == at(2.0, 0.0) == 0.0


def test_at_the_source_the_gas_is_pure_and_never_more():
    shares = [
        plume_share(0.5, 1.0, "F", along_m=x, across_m=0.0, height_m=0.0, source_m=0.0) for x in (1e-6, 0.1, 1.0, 10.0)
    ]
    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(
    ("hour", "wind", "overcast", "expected"),
    [
        (12.0, 1.0, False, "A"),
        (12.0, 4.0, False, "B"),
        (12.0, 8.0, False, "C"),
        (9.0, 4.0, False, "C"),
        (6.5, 1.0, False, "B"),
        (17.5, 5.5, False, "D"),
        (23.0, 1.0, False, "F"),
        (23.0, 4.0, False, "E"),
        (3.0, 7.0, False, "D"),
        (12.0, 1.0, True, "D"),
        (3.0, 1.0, True, "D"),
    ],
)
def test_the_class_is_that_of_pasquills_table(hour: float, wind: float, overcast: bool, expected: str):
    assert stability_class(hour, wind, overcast=overcast) == expected


def air(start_hour: float = 12.0) -> Ambient:
    return Ambient(
        temperature_c=20, swing_k=0, humidity_rh=50, start_hour=start_hour, weather_k=0, rng=np.random.default_rng(0)
    )


def wind(climate: Climate, seed: int = 1, start_hour: float = 12.0) -> Wind:
    return Wind(climate, air(start_hour), start_hour, np.random.default_rng(seed))


STEADY = Climate(wind_m_s=3.0, daily_share=0.0, wander_share=0.0, wander_deg=0.0, stability="D")


def test_the_swinging_plume_is_the_published_one_on_average():
    blowing, along_m = wind(STEADY), 50.0
    means = {0.0: 0.0, 4.0: 0.0, 8.0: 0.0}
    looks = 40_000
    for k in range(looks):
        blowing.step(10.0 * (k + 1), 10.0)
        for beside in means:
            along, across = blowing.along((0.0, 0.0, 1.0), (along_m, beside, 1.0))
            means[beside] += plume_share(
                0.01, 3.0, "D", along_m=along, across_m=across, height_m=1.0, source_m=1.0, narrow=NARROW
            ) / looks  # fmt: skip
    for beside, mean in means.items():
        published = plume_share(0.01, 3.0, "D", along_m=along_m, across_m=beside, height_m=1.0, source_m=1.0)
        assert mean == pytest.approx(published, rel=0.06)


def test_the_wind_keeps_its_mean_and_its_gusts():
    blowing, speeds = wind(STEADY), []
    for k in range(20_000):
        blowing.step(30.0 * (k + 1), 30.0)
        speeds.append(blowing.speed_m_s)
    assert np.mean(speeds) == pytest.approx(3.0, rel=0.02)
    assert np.std(speeds) == pytest.approx(0.6, rel=0.06)


def test_the_same_seed_blows_the_same_and_another_does_not():
    def blown(seed: int) -> list[float]:
        blowing = wind(Climate(), seed)
        found = []
        for k in range(50):
            blowing.step(k + 1.0, 1.0)
            found += [blowing.speed_m_s, blowing.from_deg]
        return found

    assert blown(1) == blown(1)
    assert blown(1) != blown(2)


def test_the_wind_is_strongest_in_the_afternoon_and_nights_are_stable():
    still = Climate(wind_m_s=3.0, wander_share=0.0, wander_deg=0.0)
    day, night = wind(still, start_hour=15.0), wind(still, start_hour=3.0)
    assert day.stability in "ABC"
    assert night.stability in "EF"
    speeds = {}
    for name, blowing in (("day", day), ("night", night)):
        found = []
        for k in range(200):
            blowing.step(5.0 * (k + 1), 5.0)
            found.append(blowing.speed_m_s)
        speeds[name] = np.mean(found)
    assert speeds["day"] > 1.5 * speeds["night"]


def test_a_west_wind_blows_along_x_and_a_south_wind_along_y():
    here = (0.0, 0.0, 1.0)
    west = wind(Climate(from_deg=270.0, wander_deg=0.0, stability="F"))
    south = wind(Climate(from_deg=180.0, wander_deg=0.0, stability="F"))
    west.from_deg, south.from_deg = 270.0, 180.0
    assert west.along(here, (10.0, 3.0, 1.0)) == pytest.approx((10.0, 3.0))
    assert south.along(here, (10.0, 3.0, 1.0)) == pytest.approx((3.0, -10.0))


def test_the_wind_turns_by_the_shorter_way_and_back():
    blowing = wind(Climate(wind_m_s=3.0, from_deg=350.0, daily_share=0.0, wander_deg=0.0, stability="F"))
    blowing.change(0.0, 6.0, 10.0, over_s=100.0)
    half = []
    for k in range(50):
        blowing.step(k + 1.0, 1.0)
        half.append(blowing.from_deg)
    assert all(angle > 340.0 or angle < 20.0 for angle in half)
    for k in range(50, 2000):
        blowing.step(k + 1.0, 1.0)
    assert blowing._mean(2000.0) == (6.0, 370.0)
    blowing.change(2000.0, None, None)
    assert blowing._mean(2000.0) == (3.0, 350.0)


def test_wind_grows_with_height_but_not_below_two_metres():
    blowing = wind(STEADY)
    assert blowing.speed_at(0.1) == blowing.speed_at(2.0) == pytest.approx(blowing.speed_m_s * 0.2**0.15)
    assert blowing.speed_at(10.0) == blowing.speed_m_s
