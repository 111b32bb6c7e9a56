import math

import pytest

from gateway.core import units
from gateway.core.units import QuantityKind, ceilings, quantity


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ch4", QuantityKind.COMBUSTIBLE),
        ("lpg", QuantityKind.COMBUSTIBLE),
        ("h2", QuantityKind.COMBUSTIBLE),
        ("co", QuantityKind.TOXIC),
        ("nh3", QuantityKind.TOXIC),
        ("o2", QuantityKind.OXYGEN),
        ("smoke", QuantityKind.FIRE),
        ("call_point", QuantityKind.FIRE),
        ("temperature", QuantityKind.PROCESS),
        ("battery", QuantityKind.STATUS),
        ("never_heard_of", QuantityKind.PROCESS),
    ],
)
def test_a_quantity_knows_what_it_says_about_danger(name: str, kind: QuantityKind) -> None:
    assert quantity(name).kind is kind


def test_an_unknown_quantity_is_labelled_with_its_own_name() -> None:
    found = quantity("viscosity")
    assert (found.name, found.label, found.label_zh) == ("viscosity", "viscosity", "viscosity")


def test_every_known_quantity_has_labels_in_both_languages() -> None:
    assert len(units.QUANTITIES) > 50
    for name, found in units.QUANTITIES.items():
        assert found.name == name
        assert found.label.strip()
        assert any("\u4e00" <= letter <= "\u9fff" for letter in found.label_zh), name


def test_every_toxic_gas_is_a_known_toxic_quantity_with_a_limit() -> None:
    for name, gas in units.TOXIC_GASES.items():
        assert quantity(name).kind is QuantityKind.TOXIC
        assert gas.oel > 0
        assert gas.idlh is None or gas.idlh > gas.oel


def test_the_limit_is_mac_then_twa_then_stel() -> None:
    assert units.ToxicGas(1.0, mac=3.0, twa=1.0, stel=2.0).oel == 3.0
    assert units.ToxicGas(1.0, twa=1.0, stel=2.0).oel == 1.0
    assert units.ToxicGas(1.0, stel=2.0).oel == 2.0


# Printed figures for 0, 20 and 25 °C, made with molar volumes of 22.41, 24.05 and 24.45 l/mol.
@pytest.mark.parametrize(
    ("gas", "at_0", "at_20", "at_25"),
    [
        ("h2s", 6.58, 7.06, 7.17),
        ("nh3", 26.3, 28.2, 28.7),
        ("cl2", 0.316, 0.339, 0.345),
        ("so2", 1.75, 1.88, 1.91),
        ("hcl", 4.61, 4.95, 5.03),
        ("co2", 4580, 4920, 5000),
        ("cocl2", 0.113, 0.122, 0.124),
    ],
)
def test_ppm_follows_the_reference_temperature(gas: str, at_0: float, at_20: float, at_25: float) -> None:
    found = units.TOXIC_GASES[gas]
    for reference_c, expected in ((0, at_0), (20, at_20), (25, at_25)):
        assert units.ppm_from_mg_m3(found.oel, found.molar_mass, reference_c) == pytest.approx(expected, rel=0.005)


def test_mg_m3_and_back_is_the_same() -> None:
    there = units.ppm_from_mg_m3(12.5, 28.01, 25)
    assert units.mg_m3_from_ppm(there, 28.01, 25) == pytest.approx(12.5)


def test_a_reference_below_absolute_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="-300"):
        units.ppm_from_mg_m3(1.0, 28.01, -300)


def test_one_percent_lel_of_methane_depends_on_the_table() -> None:
    assert units.ppm_from_lel(1, "ch4", "china") == pytest.approx(500)
    assert units.ppm_from_lel(1, "ch4", "iec") == pytest.approx(440)


def test_lel_there_and_back_is_the_same() -> None:
    assert units.lel_from_vol(units.vol_from_lel(37, "c3h8", "iec"), "c3h8", "iec") == pytest.approx(37)
    assert units.lel_from_ppm(units.ppm_from_lel(37, "h2", "china"), "h2", "china") == pytest.approx(37)


def test_a_gas_without_lel_is_refused_by_name() -> None:
    with pytest.raises(KeyError, match=r"cl2.*china"):
        units.lel_vol("cl2", "china")


@pytest.mark.parametrize(
    ("unit", "spelling"),
    [
        ("%lel", "%LEL"),
        ("LEL %", "%LEL"),
        ("LEL%", "%LEL"),
        ("% vol", "%VOL"),
        ("%", "%VOL"),
        ("mg/m3", "mg/m³"),
        ("mg/m^3", "mg/m³"),
        ("\u00b5g/m³", "µg/m³"),
        ("\u03bcg/m³", "µg/m³"),
        ("umol/mol", "ppm"),
        ("LEL.m", "LEL·m"),
        ("°C", None),
        ("", None),
    ],
)
def test_spellings_of_one_unit_are_one(unit: str, spelling: str | None) -> None:
    assert units.gas_unit(unit) == spelling


@pytest.mark.parametrize(
    ("name", "unit", "low", "high"),
    [
        ("ch4", "%LEL", 25, 50),
        ("ch4", "%VOL", 1.25, 2.5),
        ("ch4", "ppm", 12_500, 25_000),
        ("h2", "%VOL", 1, 2),
        ("c3h8", "%VOL", 0.525, 1.05),
        ("nh3", "%LEL", 25, 50),
        ("isobutane", "%LEL", 25, 50),
        ("h2s", "mg/m³", 10, 20),
        ("h2s", "ppm", 7.06, 14.12),
        ("co", "ppm", 17.2, 34.3),
        ("cl2", "ppb", 339, 679),
        ("co2", "%VOL", 0.492, 0.984),
        ("h2s", "%OEL", 100, 200),
        ("h2s", "%IDLH", 5, 10),
        ("ch4", "LEL·m", 1, 2),
    ],
)
def test_ceilings_follow_the_clause(name: str, unit: str, low: float, high: float) -> None:
    found = ceilings(name, unit)
    assert found is not None
    assert found.high is not None
    assert found.low == pytest.approx(low, rel=0.003)
    assert found.high == pytest.approx(high, rel=0.003)
    assert found.clause == "GB/T 50493-2019 5.5.2"
    assert found.deficiency is None


def test_the_idlh_way_out_is_named_for_toxic_gas() -> None:
    found = ceilings("cocl2", "mg/m³")
    assert found is not None
    assert (found.idlh_low, found.idlh_high) == (pytest.approx(0.4), pytest.approx(0.8))


def test_oxygen_has_one_ceiling_and_one_floor() -> None:
    found = ceilings("o2", "%")
    assert found is not None
    assert (found.low, found.high, found.deficiency) == (23.5, None, 19.5)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("temperature", "°C"), ("ch4", "mg/m³"), ("combustible", "%VOL"), ("toxic", "ppm"), ("o2", "ppm"), ("ch4", "")],
)
def test_no_ceiling_is_invented(name: str, unit: str) -> None:
    assert ceilings(name, unit) is None


def test_molar_volumes_are_those_of_an_ideal_gas() -> None:
    assert [round(units.molar_volume(t), 2) for t in (0, 20, 25)] == [22.41, 24.06, 24.47]
    assert math.isfinite(units.molar_volume(-273))
