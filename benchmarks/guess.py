"""How often the guess of type, byte order, scale and address is right, after one to five shown values.

Simulated instruments of four kinds: a value somewhere among 40 registers, of any type, order and scale that can hold
its range, shown by a display with as many decimals as the register has, or fewer. Around it what real maps have: zeros,
status bits, counters, fixed limits of the same unit, and other channels that are as plausible as the right one, as
integers and floats. An answer counts only where it is the single one left and reads the whole range of the instrument
rightly, zero and negative values too; that another type would do as well for that range is no mistake.

Two ways of asking: values far apart, as with test gas, and values that wander within a twentieth of the span.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Figure, Spread, at_least, table
from drivers.modbus.survey.guess import ORDERS, WORDS, decode, rank
from gateway.core.commissioning import Guess, Sample

REGISTERS = 40
SAMPLES = 5
SCALES = (1.0, 0.1, 0.01, 0.001)
TYPES = ("uint16", "int16", "uint32", "int32", "float32")
CHECKED = 24


@dataclass(frozen=True, slots=True)
class Kind:
    """A quantity with its span and the decimals that its displays may show."""

    name: str
    unit: str
    low: float
    high: float
    decimals_max: int


KINDS = (
    Kind("%LEL 0-100", "%LEL", 0, 100, 1),
    Kind("ppm 0-2000", "ppm", 0, 2000, 1),
    Kind("°C -50-400", "°C", -50, 400, 1),
    Kind("kPa 0-1600", "kPa", 0, 1600, 2),
)
Way = tuple[str, str, float]


def main(short: bool = False) -> list[Figure]:
    trials = 20 if short else 300
    rng = np.random.default_rng(7)
    figures = []
    for style, spread in (("values far apart", 1.0), ("values within 5 % of the span", 0.05)):
        rows = []
        for kind in KINDS:
            shares, wrong = _shares(kind, trials, spread, rng)
            rows.append((kind.name, *(f"{share * 100:.1f} %" for share in (*shares, wrong))))
            if spread == 1.0:
                figures.append(
                    at_least(
                        f"uniquely right after five values, {kind.name}", Spread.of([shares[-1] * 100]), 95, "%", 1
                    )
                )
        heads = ("instrument", *(f"{n} value{'s' * (n > 1)}" for n in range(1, SAMPLES + 1)), "unique but wrong")
        table(f"uniquely right, {style}, {trials} instruments a kind", heads, rows)
    return figures


def _shares(kind: Kind, trials: int, spread: float, rng: np.random.Generator) -> tuple[NDArray[np.float64], float]:
    """Return the shares that were uniquely right after one to five values, and uniquely wrong after the last."""
    right = np.zeros(SAMPLES)
    wrong = 0
    for _ in range(trials):
        unique, good = _trial(kind, spread, rng)
        right += unique & good
        wrong += bool(unique[-1] and not good[-1])
    return right / trials, wrong / trials


def _trial(kind: Kind, spread: float, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for one to five samples whether the answer was unique, and whether its best guess was right."""
    way = _way(kind, rng)
    address = int(rng.integers(0, REGISTERS - WORDS[way[0]] + 1))
    around = _neighbours(kind, rng)
    span = (kind.high - kind.low) * spread
    base = rng.uniform(kind.low, kind.high - span)
    resolution = 9 if way[0] == "float32" else round(-np.log10(way[2]))
    decimals = int(rng.integers(0, min(kind.decimals_max, resolution) + 1))
    samples = []
    unique, good = [], []
    for _ in range(SAMPLES):
        value = rng.uniform(base, base + span)
        words = around()
        shown = _put(words, address, way, value)
        samples.append(Sample(words[None, :], round(shown, decimals), decimals))
        verdict = rank({"holding": samples}, 0, kind.unit)
        unique.append(verdict.unique)
        good.append(verdict.unique and _reads_all(verdict.guesses[0], kind, way, address, rng))
    return np.array(unique), np.array(good)


def _way(kind: Kind, rng: np.random.Generator) -> Way:
    """Return a type, order and scale that can hold the kind's span, all of them as likely."""
    while True:
        name = str(rng.choice(TYPES))
        order = str(rng.choice(ORDERS)) if WORDS[name] > 1 else str(rng.choice(("ABCD", "BADC")))
        scale = 1.0 if name == "float32" else float(rng.choice(SCALES))
        if name == "float32":
            return name, order, scale
        limits = np.iinfo(name)
        if limits.min <= kind.low / scale and kind.high / scale <= limits.max:
            return name, order, scale


def _put(words: NDArray[np.int32], address: int, way: Way, value: float) -> float:
    """Write a value into registers and return what they now say."""
    name, order, scale = way
    raw = np.array(value if name == "float32" else round(value / scale)).astype(name)
    parts = np.frombuffer(raw.astype(np.dtype(name).newbyteorder(">")).tobytes(), ">u2").astype(np.uint16)
    if order in ("CDAB", "DCBA"):
        parts = parts[::-1]
    if order in ("BADC", "DCBA"):
        parts = parts.byteswap()
    words[address : address + len(parts)] = parts
    return float(raw) * scale


def _neighbours(kind: Kind, rng: np.random.Generator) -> Callable[[], NDArray[np.int32]]:
    """Return what draws the registers around: fixed ones and others that move, of the same kind."""
    fixed = np.zeros(REGISTERS, np.int32)
    moving: list[tuple[int, Way]] = []
    counters: list[int] = []
    at = 0
    while at < REGISTERS - 1:
        what = rng.integers(0, 6)
        if what == 1:
            fixed[at] = rng.integers(0, 16)
        elif what == 2:
            counters.append(at)
        elif what == 3:
            # A limit: a round number of the same unit, as an integer with some scale.
            _put(fixed, at, ("int16", "ABCD", 1.0), round(rng.uniform(kind.low, kind.high)))
        elif what >= 4:
            name = "float32" if what == 4 else "int16"
            scale = 1.0 if name == "float32" or kind.high > 3000 else float(rng.choice((1.0, 0.1)))
            moving.append((at, (name, str(rng.choice(ORDERS[:2])) if name == "float32" else "ABCD", scale)))
            at += WORDS[name] - 1
        at += 1

    def draw() -> NDArray[np.int32]:
        words = fixed.copy()
        for place in counters:
            words[place] = rng.integers(0, 65536)
        for place, way in moving:
            _put(words, place, way, rng.uniform(kind.low, kind.high))
        return words

    return draw


def _reads_all(guess: Guess, kind: Kind, way: Way, address: int, rng: np.random.Generator) -> bool:
    """Return whether a guess reads values all over the span as the right way does."""
    around = _neighbours(kind, rng)
    values = [0.0, kind.low, kind.high, *rng.uniform(kind.low, kind.high, CHECKED)]
    for value in values:
        words = around()
        truth = _put(words, address, way, value)
        read = decode(words[None, :], guess.type, guess.order)[0, guess.address] * guess.scale
        if not abs(read - truth) <= 1e-6 * max(1.0, abs(truth)):
            return False
    return True


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="A few instruments, to see that it works.")
    main(parser.parse_args().short)
