"""What is measured and in which unit: quantities, gas tables, conversions that name their basis, set point ceilings.

Nothing converts silently: a conversion is a call that names its molar mass and reference temperature, or its LEL
table. The gas data are the gateway's defaults; a site that answers to other figures states its set points directly.

References:
    GB/T 50493-2019, Design standard for detection and alarm of combustible gas and toxic gas in petrochemical
    industry: 5.5.2 (set points), annex B (exposure limits, IDLH).
    GBZ 2.1: occupational exposure limits are given at 20 °C and 101.325 kPa.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal


class QuantityKind(StrEnum):
    """What a quantity says about danger; decides latching, colours and which clauses apply."""

    COMBUSTIBLE = "combustible"
    TOXIC = "toxic"
    OXYGEN = "oxygen"
    FIRE = "fire"
    """Smoke, flame, heat and manual call points."""
    PROCESS = "process"
    """Temperature, pressure, level, humidity and whatever else is measured."""
    STATUS = "status"
    """Power, links, contacts and other states of equipment."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is measured.

    Attributes:
        name: The name in the site file, e.g. `ch4`.
        kind: What it says about danger.
        label: Its name for people.
        label_zh: The same in Chinese.
    """

    name: str
    kind: QuantityKind
    label: str
    label_zh: str


_NAMES: Final[Mapping[QuantityKind, str]] = {
    QuantityKind.COMBUSTIBLE: """
        ch4|Methane|甲烷
        c2h6|Ethane|乙烷
        c3h8|Propane|丙烷
        c4h10|Butane|丁烷
        c2h4|Ethylene|乙烯
        c2h2|Acetylene|乙炔
        h2|Hydrogen|氢气
        lpg|Liquefied petroleum gas|液化石油气
        natural_gas|Natural gas|天然气
        gasoline|Gasoline vapour|汽油蒸气
        ethanol|Ethanol vapour|乙醇蒸气
        combustible|Combustible gas|可燃气体
    """,
    QuantityKind.TOXIC: """
        co|Carbon monoxide|一氧化碳
        co2|Carbon dioxide|二氧化碳
        h2s|Hydrogen sulphide|硫化氢
        nh3|Ammonia|氨气
        cl2|Chlorine|氯气
        so2|Sulphur dioxide|二氧化硫
        no|Nitric oxide|一氧化氮
        no2|Nitrogen dioxide|二氧化氮
        o3|Ozone|臭氧
        hcn|Hydrogen cyanide|氰化氢
        hcl|Hydrogen chloride|氯化氢
        hf|Hydrogen fluoride|氟化氢
        hcho|Formaldehyde|甲醛
        cocl2|Phosgene|光气
        br2|Bromine|溴
        h2o2|Hydrogen peroxide|过氧化氢
        benzene|Benzene|苯
        toluene|Toluene|甲苯
        xylene|Xylene|二甲苯
        phenol|Phenol|苯酚
        methanol|Methanol vapour|甲醇蒸气
        acrylonitrile|Acrylonitrile|丙烯腈
        ethylene_oxide|Ethylene oxide|环氧乙烷
        vinyl_chloride|Vinyl chloride|氯乙烯
        toxic|Toxic gas|有毒气体
    """,
    QuantityKind.OXYGEN: "o2|Oxygen|氧气",
    QuantityKind.FIRE: """
        smoke|Smoke|烟雾
        flame|Flame|火焰
        heat|Heat|感温
        call_point|Manual call point|手动报警按钮
    """,
    QuantityKind.PROCESS: """
        temperature|Temperature|温度
        humidity|Relative humidity|相对湿度
        pressure|Pressure|压力
        level|Level|液位
        flow|Flow|流量
        wind_speed|Wind speed|风速
        wind_direction|Wind direction|风向
        voc|Volatile organic compounds|挥发性有机物
        pm2_5|PM2.5|细颗粒物
        pm10|PM10|可吸入颗粒物
        dust|Dust|粉尘
        vibration|Vibration|振动
        voltage|Voltage|电压
        current|Current|电流
        valve_position|Valve position|阀位
        earthing|Earthing resistance|接地电阻
    """,
    QuantityKind.STATUS: """
        power|Power supply|电源
        battery|Battery|电池
        signal|Signal quality|信号质量
        door|Door|门
        contact|Contact|触点
        status|Status|状态
    """,
}


def _table() -> Mapping[str, Quantity]:
    entries = {}
    for kind, text in _NAMES.items():
        for line in text.split("\n"):
            if line.strip():
                name, label, label_zh = line.strip().split("|")
                entries[name] = Quantity(name, kind, label, label_zh)
    return MappingProxyType(entries)


QUANTITIES: Final = _table()
"""Every quantity known by name."""


def quantity(name: str) -> Quantity:
    """Return what is known of a quantity; an unknown one is a process value labelled with its own name.

    >>> quantity("h2s").kind, quantity("ch4").label_zh, quantity("viscosity").kind
    (<QuantityKind.TOXIC: 'toxic'>, '甲烷', <QuantityKind.PROCESS: 'process'>)
    """
    known = QUANTITIES.get(name)
    return known or Quantity(name, QuantityKind.PROCESS, name, name)


@dataclass(frozen=True, slots=True)
class ToxicGas:
    """Exposure limits of one gas, in mg/m³.

    Attributes:
        molar_mass: In g/mol.
        mac: Maximum allowable concentration, or None.
        twa: Permissible time-weighted average over 8 h, or None.
        stel: Permissible short-term average over 15 min, or None.
        idlh: Immediately dangerous to life or health, or None where the table has none that can be trusted.
    """

    molar_mass: float
    mac: float | None = None
    twa: float | None = None
    stel: float | None = None
    idlh: float | None = None

    @property
    def oel(self) -> float:
        """The occupational exposure limit in mg/m³: MAC, else TWA, else STEL, the order of GB/T 50493-2019.

        >>> TOXIC_GASES["h2s"].oel, TOXIC_GASES["co"].oel
        (10.0, 20.0)
        """
        limit = next((value for value in (self.mac, self.twa, self.stel) if value is not None), None)
        assert limit is not None, "every entry of the table has at least one limit"
        return limit


TOXIC_TABLE_VERSION: Final = "GB/T 50493-2019 annex B, r1"
"""Names the table in messages and exports; changes with every change of a figure below."""

TOXIC_GASES: Final[Mapping[str, ToxicGas]] = MappingProxyType(
    {
        "co": ToxicGas(28.01, twa=20.0, stel=30.0, idlh=1700.0),
        "h2s": ToxicGas(34.08, mac=10.0, idlh=430.0),
        "nh3": ToxicGas(17.03, twa=20.0, stel=30.0, idlh=360.0),
        "cl2": ToxicGas(70.90, mac=1.0, idlh=88.0),
        "so2": ToxicGas(64.06, twa=5.0, stel=10.0, idlh=270.0),
        "no2": ToxicGas(46.01, twa=5.0, stel=10.0, idlh=96.0),
        "benzene": ToxicGas(78.11, twa=6.0, stel=10.0, idlh=9800.0),
        "hcn": ToxicGas(27.03, mac=1.0, idlh=56.0),
        "hcl": ToxicGas(36.46, mac=7.5, idlh=150.0),
        "o3": ToxicGas(48.00, mac=0.3, idlh=20.0),
        "co2": ToxicGas(44.01, twa=9000.0, stel=18000.0, idlh=92000.0),
        "methanol": ToxicGas(32.04, twa=25.0, stel=50.0, idlh=33000.0),
        # Copies of the annex print an IDLH of 500 mg/m³ for HF, some twenty times what is published elsewhere; a
        # ceiling must not rest on it.
        "hf": ToxicGas(20.01, mac=2.0),
        "hcho": ToxicGas(30.03, mac=2.0, idlh=37.0),
        "cocl2": ToxicGas(98.92, mac=0.5, idlh=8.0),
        "ethylene_oxide": ToxicGas(44.05, twa=0.6, stel=2.0, idlh=1500.0),
        "toluene": ToxicGas(92.14, twa=50.0, stel=100.0, idlh=7700.0),
        "h2o2": ToxicGas(34.01, twa=1.5, idlh=100.0),
        "vinyl_chloride": ToxicGas(62.50, twa=10.0),
        "br2": ToxicGas(159.81, twa=0.3, idlh=66.0),
        "no": ToxicGas(30.01, twa=5.0, idlh=120.0),
        "acrylonitrile": ToxicGas(53.06, twa=1.0, idlh=1100.0),
        "phenol": ToxicGas(94.11, twa=10.0, idlh=950.0),
        "xylene": ToxicGas(106.17, twa=50.0, idlh=4400.0),
    }
)
"""Exposure limits by quantity name."""

LelTable = Literal["china", "iec"]
"""`china`: figures common to Chinese and NFPA practice; `iec`: ISO/IEC 80079-20-1. They differ by up to a quarter."""

LEL_VOL: Final[Mapping[LelTable, Mapping[str, float]]] = MappingProxyType(
    {
        # Where practice names a span (methanol 5.5 to 6, gasoline 1.1 to 1.4), the lower end stands here: a ceiling
        # derived from it is the stricter one. LPG counts as butane, its heavier part, for the same reason.
        "china": MappingProxyType(
            {
                "ch4": 5.0, "natural_gas": 5.0, "c2h6": 3.0, "c3h8": 2.1, "c4h10": 1.9, "lpg": 1.9, "h2": 4.0,
                "c2h2": 2.5, "c2h4": 2.7, "co": 12.5, "nh3": 15.0, "h2s": 4.0, "methanol": 5.5, "ethanol": 3.3,
                "benzene": 1.2, "toluene": 1.1, "gasoline": 1.1,
            }
        ),
        "iec": MappingProxyType(
            {
                "ch4": 4.4, "natural_gas": 4.4, "c2h6": 2.4, "c3h8": 1.7, "c4h10": 1.4, "lpg": 1.4, "h2": 4.0,
                "c2h2": 2.3, "c2h4": 2.3, "co": 10.9, "nh3": 15.0, "h2s": 4.0, "methanol": 6.0, "ethanol": 3.1,
                "benzene": 1.2, "toluene": 1.0,
            }
        ),
    }
)  # fmt: skip
"""Lower explosive limits in %VOL by table and quantity name."""

PPM_PER_VOL: Final = 10_000.0
_GAS_CONSTANT: Final = 8.314462618
_PRESSURE_KPA: Final = 101.325
_ZERO_C: Final = 273.15
GBZ_REFERENCE_C: Final = 20.0
"""The temperature at which Chinese exposure limits in mg/m³ are meant (GBZ 2.1)."""


def molar_volume(reference_c: float) -> float:
    """Return litres per mole of an ideal gas at 101.325 kPa.

    Args:
        reference_c: °C. In daily use are 0 (mining, HJ 212), 20 (GBZ 2.1) and 25 (NIOSH, ACGIH).

    Raises:
        ValueError: The temperature is at or below absolute zero.

    >>> [round(molar_volume(t), 2) for t in (0, 20, 25)]
    [22.41, 24.06, 24.47]
    """
    kelvin = reference_c + _ZERO_C
    if not kelvin > 0:
        raise ValueError(f"reference temperature {reference_c} °C is not above absolute zero")
    return _GAS_CONSTANT * kelvin / _PRESSURE_KPA


def ppm_from_mg_m3(value: float, molar_mass: float, reference_c: float) -> float:
    """Return a concentration in ppm by volume.

    Args:
        value: mg/m³.
        molar_mass: g/mol.
        reference_c: The temperature, in °C, at which `value` is meant.

    10 mg/m³ of hydrogen sulphide are two different figures in ppm, by who says it:

    >>> round(ppm_from_mg_m3(10, 34.08, 0), 2), round(ppm_from_mg_m3(10, 34.08, 20), 2)
    (6.58, 7.06)
    """
    return value * molar_volume(reference_c) / molar_mass


def mg_m3_from_ppm(value: float, molar_mass: float, reference_c: float) -> float:
    """Return a concentration in mg/m³ at `reference_c` °C; the inverse of `ppm_from_mg_m3`."""
    return value * molar_mass / molar_volume(reference_c)


def lel_vol(name: str, table: LelTable) -> float:
    """Return a gas's lower explosive limit in %VOL.

    Raises:
        KeyError: The table does not have the gas.
    """
    try:
        return LEL_VOL[table][name]
    except KeyError:
        raise KeyError(f"no LEL of {name!r} in the table {table!r}") from None


def vol_from_lel(value: float, name: str, table: LelTable) -> float:
    """Return %VOL from %LEL by a named table.

    >>> vol_from_lel(25, "ch4", "china"), round(vol_from_lel(25, "ch4", "iec"), 3)
    (1.25, 1.1)
    """
    return value * lel_vol(name, table) / 100.0


def lel_from_vol(value: float, name: str, table: LelTable) -> float:
    """Return %LEL from %VOL by a named table."""
    return 100.0 * value / lel_vol(name, table)


def ppm_from_lel(value: float, name: str, table: LelTable) -> float:
    """Return ppm by volume from %LEL by a named table."""
    return vol_from_lel(value, name, table) * PPM_PER_VOL


def lel_from_ppm(value: float, name: str, table: LelTable) -> float:
    """Return %LEL from ppm by volume by a named table."""
    return lel_from_vol(value / PPM_PER_VOL, name, table)


_SPELLINGS: Final[Mapping[str, str]] = {
    "%lel": "%LEL", "lel%": "%LEL", "lel": "%LEL",
    "%vol": "%VOL", "vol%": "%VOL", "%": "%VOL", "%v/v": "%VOL", "vol": "%VOL",
    "ppm": "ppm", "ppmv": "ppm", "umol/mol": "ppm", "μmol/mol": "ppm",
    "ppb": "ppb", "ppbv": "ppb", "nmol/mol": "ppb",
    "mg/m3": "mg/m³", "ug/m3": "µg/m³", "μg/m3": "µg/m³",
    "%oel": "%OEL", "%idlh": "%IDLH",
    "lel·m": "LEL·m", "lel.m": "LEL·m", "lel*m": "LEL·m", "lelm": "LEL·m", "lel-m": "LEL·m",
    "%lel·m": "%LEL·m", "%lel.m": "%LEL·m", "%lel*m": "%LEL·m", "%lelm": "%LEL·m", "%lel-m": "%LEL·m",
}  # fmt: skip


def gas_unit(unit: str) -> str | None:
    """Return the one spelling of a concentration unit, or None where `unit` is none.

    A bare `%` is %VOL, the stricter reading where %LEL was meant.

    >>> gas_unit("LEL %"), gas_unit("mg/m³"), gas_unit("°C")
    ('%LEL', 'mg/m³', None)
    """
    # The micro sign and the Greek letter look the same and are two characters; lower() does not join them.
    key = unit.strip().lower().replace(" ", "").replace("³", "3").replace("^", "").replace("\u00b5", "μ")
    return _SPELLINGS.get(key)


CLAUSE: Final = "GB/T 50493-2019 5.5.2"


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The set points that GB/T 50493-2019 5.5.2 allows at most, in one channel's unit. Lower ones are always allowed.

    Attributes:
        low: Highest first set point against a rise.
        high: Highest second set point against a rise; None where the clause names only one step, so that the first
            step to come must keep `low`.
        unit: The unit of all of these, in its one spelling.
        basis: How they were come by, for messages.
        deficiency: Oxygen only: lowest first set point against a fall, else None.
        idlh_low: The clause's way out where a toxic instrument's range cannot cover the exposure limit, else None.
        idlh_high: The same for the second set point.
        clause: The clause.
    """

    low: float
    high: float | None
    unit: str
    basis: str
    deficiency: float | None = None
    idlh_low: float | None = None
    idlh_high: float | None = None
    clause: str = CLAUSE


def ceilings(name: str, unit: str) -> Ceilings | None:
    """Return the highest set points that the clause allows for a quantity in a unit.

    Args:
        name: The quantity's name.
        unit: The channel's unit. It tells what the instrument guards against: ammonia in %LEL is a combustible gas,
            ammonia in ppm a toxic one.

    Returns:
        None where the clause says nothing of such a quantity, or its table has no figure to convert by.

    >>> found = ceilings("ch4", "%VOL")
    >>> found.low, found.high, found.basis
    (1.25, 2.5, '25/50 %LEL, LEL 5 %VOL by the china table')
    >>> found = ceilings("h2s", "ppm")
    >>> round(found.low, 2), round(found.high, 2)
    (7.06, 14.12)
    """
    kind, spelling = quantity(name).kind, gas_unit(unit)
    if spelling is not None and spelling in _PLAIN:
        # Such a unit says by itself what is guarded against, whatever the site calls the gas.
        return _PLAIN[spelling]
    if spelling is None or kind not in _BY_KIND:
        return None
    return _BY_KIND[kind](name, spelling)


_PLAIN: Final[Mapping[str, Ceilings]] = {
    "%LEL": Ceilings(25.0, 50.0, "%LEL", "25/50 %LEL"),
    "LEL·m": Ceilings(1.0, 2.0, "LEL·m", "1/2 LEL·m, open path"),
    "%LEL·m": Ceilings(100.0, 200.0, "%LEL·m", "1/2 LEL·m, open path"),
    "%OEL": Ceilings(100.0, 200.0, "%OEL", "100/200 %OEL"),
    "%IDLH": Ceilings(5.0, 10.0, "%IDLH", "5/10 %IDLH"),
}


def _combustible(name: str, unit: str) -> Ceilings | None:
    per_vol = {"%VOL": 1.0, "ppm": PPM_PER_VOL, "ppb": PPM_PER_VOL * 1000.0}.get(unit)
    limit = LEL_VOL["china"].get(name)
    if per_vol is None or limit is None:
        return None
    basis = f"25/50 %LEL, LEL {limit:g} %VOL by the china table"
    return Ceilings(limit * 0.25 * per_vol, limit * 0.5 * per_vol, unit, basis)


def _toxic(name: str, unit: str) -> Ceilings | None:
    gas = TOXIC_GASES.get(name)
    if gas is None:
        return None
    ppm = ppm_from_mg_m3(1.0, gas.molar_mass, GBZ_REFERENCE_C)
    per_mg_m3 = {"mg/m³": 1.0, "µg/m³": 1000.0, "ppm": ppm, "ppb": 1000.0 * ppm, "%VOL": ppm / PPM_PER_VOL}.get(unit)
    if per_mg_m3 is None:
        return None
    at = "" if unit.endswith("m³") else f" at {GBZ_REFERENCE_C:g} °C"
    idlh = None if gas.idlh is None else gas.idlh * per_mg_m3
    return Ceilings(
        gas.oel * per_mg_m3,
        2.0 * gas.oel * per_mg_m3,
        unit,
        f"100/200 %OEL, OEL {gas.oel:g} mg/m³{at} ({TOXIC_TABLE_VERSION})",
        idlh_low=None if idlh is None else 0.05 * idlh,
        idlh_high=None if idlh is None else 0.10 * idlh,
    )


def _oxygen(_name: str, unit: str) -> Ceilings | None:
    if unit != "%VOL":
        return None
    return Ceilings(23.5, None, unit, "enrichment 23.5 %VOL, deficiency 19.5 %VOL", deficiency=19.5)


_BY_KIND: Final = {
    QuantityKind.COMBUSTIBLE: _combustible,
    QuantityKind.TOXIC: _toxic,
    QuantityKind.OXYGEN: _oxygen,
}
