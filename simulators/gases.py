"""Gases of the simulated plants: their constants, and concentrations in the units that instruments show."""

from dataclasses import dataclass

GAS_CONSTANT = 8.314462618
"""J/(mol K)."""
STANDARD_PRESSURE_PA = 101_325.0


@dataclass(frozen=True, slots=True)
class Gas:
    """Constants of one gas.

    Attributes:
        molar_mass: g/mol.
        gamma: Ratio of specific heats near 20 °C.
        background_vol: %VOL in clean air.
        lel_vol: Lower explosive limit in %VOL (the table in use in China, after NFPA), None where it does not burn.
        stoichiometric_vol: %VOL at which air just suffices to burn it; where a catalytic bead reads highest.
    """

    molar_mass: float
    gamma: float
    background_vol: float = 0.0
    lel_vol: float | None = None
    stoichiometric_vol: float = 100.0


GASES: dict[str, Gas] = {
    "ch4": Gas(16.04, 1.31, 0.0002, 5.0, 9.5),
    "c3h8": Gas(44.10, 1.13, 0.0, 2.1, 4.0),
    "c4h10": Gas(58.12, 1.10, 0.0, 1.9, 3.1),
    "c6h14": Gas(86.18, 1.06, 0.0, 1.1, 2.2),
    "ethanol": Gas(46.07, 1.13, 0.0, 3.3, 6.5),
    "h2": Gas(2.016, 1.41, 0.00005, 4.0, 29.5),
    "co": Gas(28.01, 1.40, 0.0, 12.5, 29.5),
    "h2s": Gas(34.08, 1.32, 0.0, 4.0, 12.2),
    "nh3": Gas(17.03, 1.31, 0.0, 15.0, 21.8),
    "co2": Gas(44.01, 1.30, 0.042),
    "o2": Gas(32.00, 1.40, 20.9),
    "n2": Gas(28.01, 1.40, 78.1),
}
"""By chemical formula in lower case."""


def in_unit(vol: float, gas: str, unit: str) -> float:
    """Return a concentration in the unit that an instrument shows.

    Args:
        vol: %VOL.
        gas: A key of `GASES`.
        unit: `%VOL`, `ppm` or `%LEL`.

    Raises:
        ValueError: No such unit, or `%LEL` of a gas that does not burn.

    >>> in_unit(0.5, "ch4", "%LEL"), in_unit(0.003, "co", "ppm")
    (10.0, 30.0)
    """
    if unit == "%VOL":
        return vol
    if unit == "ppm":
        return vol * 10_000.0
    lel = GASES[gas].lel_vol
    if unit != "%LEL" or lel is None:
        raise ValueError(f"{gas} has no value in {unit!r}")
    return 100.0 * vol / lel


def catalytic_vol(vol: float, gas: str) -> float:
    """Return the %VOL that a catalytic bead takes a mixture for.

    Up to the stoichiometric mixture the bead burns what is there. Beyond it the oxygen runs short and the signal falls
    with the air that is left, down to nothing in pure gas: the reason why an over-range must latch (IEC 60079-29-1).

    >>> catalytic_vol(2.0, "ch4"), catalytic_vol(100.0, "ch4")
    (2.0, 0.0)
    """
    rich = GASES[gas].stoichiometric_vol
    return vol if vol <= rich or rich >= 100.0 else rich * (100.0 - vol) / (100.0 - rich)
