"""Which registers, type, byte order and scale give the values that a display showed; pure.

Every way of reading is tried at every address. A way is believed in so far as it explains the shown values within
their last digit; among those that explain all of them, the commoner type, order and scale come first. Ways that cannot
be told apart by what was seen, because a sign bit or an upper word never moved, are one guess with its twins named.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.core.commissioning import UNKNOWN_WORD, Guess, Sample, Verdict
from gateway.core.model import Float64

SCALES = (1.0, 0.1, 0.01, 0.001)
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
RARE_ORDER = {"ABCD": 0.0, "CDAB": 0.5, "BADC": 2.5, "DCBA": 2.0}
RARE_TYPE = {
    "uint16": 0.0,
    "int16": 0.0,
    "float32": 0.0,
    "uint32": 1.0,
    "int32": 1.0,
    "float64": 4.0,
    "uint64": 5.0,
    "int64": 5.0,
}
"""How much rarer than the commonest each is, as a logarithm: what is known of 27 instruments' manuals, by hand."""
COARSE = 3.0
"""The register says less than the display: scale 1 where the display has decimals."""
FINER = 0.7
"""A digit more than the display shows."""
SCALED_FLOAT = 3.0
LOOSE = 1.5
"""A value that is off by up to a whole last digit: a display that cuts off, or a value that moved meanwhile."""
MISSED = 8.0
ROUND_FLOATS = 5.0
"""Floats that hold whole numbers only, whose lower word is therefore nought."""
FULL_SCALES = {"%LEL": 100, "%VOL": 100, "%RH": 100, "%": 100, "ppm": 2000, "°C": 500, "degC": 500, "kPa": 2000}
"""How far a quantity may go that nobody gave the range of: a type that ends before that is no better for being short.
Too long a type reads wildly high once its upper word moves; too short a one reads low, and that looks safe."""
SIGNED_UNITS = ("°C", "°F", "degC", "Cel", "C", "K", "Pa", "hPa", "kPa", "MPa", "mbar", "bar", "psi", "mm", "m")
"""Units of quantities that go below zero, or may: of two twins the signed one is proposed."""
GUESSES_MAX = 32
WAYS_MAX = 800
"""Ways that are compared with one another; a display that shows nought fits every empty register in every way."""
VALUES_ENOUGH = 4
DIGITS_ENOUGH = 2.5
"""So many different values, or two so many of their last digits apart, tell the right register from one nearby."""
TINY = 1e-6
"""Floats that are no measurement but something else read as a float."""
SURE = 0.95
"""So likely a way has to be to be called the one."""


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A way to read registers, and how well it does.

    Attributes:
        cost: What speaks against it, as a logarithm.
        matched: Samples that it explains.
        read: float64[looks], what it reads.
    """

    table: str
    address: int
    type: str
    order: str
    scale: float
    cost: float
    matched: int
    read: Float64

    @property
    def length(self) -> int:
        """Registers that it takes."""
        return WORDS[self.type]

    def __str__(self) -> str:
        order = f" {self.order}" if self.length > 1 or self.order != "ABCD" else ""
        return f"{self.type}{order} at {self.address}{'' if self.scale == 1 else f' × {self.scale:g}'}"


class Span(NamedTuple):
    """What a way should be able to read."""

    low: float
    high: float

    def within(self, way: Way) -> bool:
        """Return whether a way's type reaches over it."""
        if way.type.startswith("float"):
            return True
        limits = np.iinfo(way.type)
        return bool(limits.min * way.scale <= self.low and self.high <= limits.max * way.scale)


WORDS = {name: np.dtype(name).itemsize // 2 for name in RARE_TYPE}


def decode(words: NDArray[np.int32], kind: str, order: str) -> Float64:
    """Return every address of `words` read as a type.

    Args:
        words: int32[k, n] registers; UNKNOWN_WORD where there is none.
        kind: A type of `RARE_TYPE`.
        order: Of `ORDERS`; for one register BADC is the one with its bytes swapped.

    Returns:
        float64[k, n - length + 1]; NaN where a register is missing or a float is no number.
    """
    length = WORDS[kind]
    windows = np.lib.stride_tricks.sliding_window_view(words, length, axis=1)
    known = (windows != UNKNOWN_WORD).all(axis=2)
    parts = windows.astype(np.uint16)
    if order in ("CDAB", "DCBA"):
        parts = parts[..., ::-1]
    if order in ("BADC", "DCBA"):
        parts = parts.byteswap()
    raw = np.ascontiguousarray(parts.astype(">u2")).view(np.dtype(kind).newbyteorder(">"))[..., 0]
    with np.errstate(all="ignore"):
        return np.where(known, raw.astype(np.float64), np.nan)


def rank(
    seen: Mapping[str, Sequence[Sample]], address: int, unit: str = "", full_scale: float | None = None
) -> Verdict:
    """Return how registers are to be read so that they give what was shown.

    Args:
        seen: By table, looks at the same registers, each with what the display showed; the same values in each table.
        address: Of the first register.
        unit: The shown unit; it tells whether values may be negative.
        full_scale: The end of the instrument's range; by the unit where None.
    """
    samples = next(iter(seen.values()), ())
    if not samples:
        return Verdict((), unique=False, advice="Give a value that the display shows.")
    ways = [way for table, own in seen.items() for way in _ways(table, own, address)]
    best = max((way.matched for way in ways), default=0)
    # One mistyped value may not hide the answer; beyond that, a way that misses what another explains is out.
    if best * 2 <= len(samples) or (best < len(samples) and len(samples) < 3):
        return Verdict((), unique=False, advice=_nothing(samples))
    kept = sorted((way for way in ways if way.matched == best), key=lambda way: way.cost)[:WAYS_MAX]
    high = FULL_SCALES.get(unit, 0) if full_scale is None else full_scale
    guesses = _grouped(kept, Span(-1.0 if unit in SIGNED_UNITS else 0.0, high))
    return Verdict(guesses, unique=_is_unique(guesses, samples), advice=_advice(guesses, samples))


def _ways(table: str, samples: Sequence[Sample], address: int) -> Iterator[Way]:
    """Yield the ways of reading a table that explain any sample."""
    looks = np.concatenate([sample.words for sample in samples])
    owner = np.repeat(np.arange(len(samples)), [len(sample.words) for sample in samples])
    for kind, length in WORDS.items():
        if length > looks.shape[1]:
            continue
        for order in ORDERS if length > 1 else ("ABCD", "BADC"):
            raw = decode(looks, kind, order)
            if kind.startswith("float"):
                raw[(raw != 0) & (np.abs(raw) < TINY)] = np.nan
            odd = _odd_low_words(looks, kind, order, samples, owner)
            for scale in SCALES:
                with np.errstate(all="ignore"):
                    read = raw * scale
                penalty, explained = _explain(read, samples, owner)
                prior = RARE_TYPE[kind] + RARE_ORDER[order] + _scale_cost(kind, scale, samples)
                cost = penalty + odd + prior
                for at in np.flatnonzero(explained).tolist():
                    yield Way(table, address + at, kind, order, scale, float(cost[at]), int(explained[at]), read[:, at])


def _explain(read: Float64, samples: Sequence[Sample], owner: NDArray[np.intp]) -> tuple[Float64, NDArray[np.intp]]:
    """Return for each address what the samples speak against it, and how many samples it explains."""
    penalty = np.zeros(read.shape[1])
    explained = np.zeros(read.shape[1], np.intp)
    for i, sample in enumerate(samples):
        mine = read[owner == i]
        # NaN is below and above nothing, so a look without a value explains nothing.
        low, high = mine.min(axis=0), mine.max(axis=0)
        digit = 10.0**-sample.decimals
        far = np.maximum(np.maximum(low - sample.value, sample.value - high), 0.0)
        slack = 1e-6 * max(1.0, abs(sample.value))
        with np.errstate(invalid="ignore"):
            close, near = far <= 0.5 * digit + slack, far < digit - slack
        penalty += np.where(close, 0.0, np.where(near, LOOSE, MISSED))
        explained += close | near
    return penalty, explained


def _odd_low_words(
    looks: NDArray[np.int32], kind: str, order: str, samples: Sequence[Sample], owner: NDArray[np.intp]
) -> Float64:
    """Return for each address what speaks against its lower words being those of a float that moves.

    The upper word alone explains a display of three digits, so a float in another order that begins one register
    away does as well. But the lower word of a moving float lies anywhere from 0 to 65535, and what stands beside a
    float (a counter's start, a small integer, a neighbour's upper word) does not: the chance that so many lie so close
    together by accident is what it costs.
    """
    places = looks.shape[1] - WORDS[kind] + 1
    firsts = _first_of_each(samples, owner)
    if not kind.startswith("float") or len(firsts) < 2:
        return np.zeros(places)
    at = 0 if order in ("CDAB", "DCBA") else WORDS[kind] - 1
    low = looks[firsts, at : at + places].astype(np.float64)
    spread = low.max(axis=0) - low.min(axis=0)
    n = len(firsts)
    cost: Float64 = np.maximum(0.0, (n - 1) * np.log(65536 / (spread + 1)) - np.log(n))
    if all(sample.value == round(sample.value) for sample in samples):
        cost[(low == 0).all(axis=0)] = ROUND_FLOATS
    return cost


def _first_of_each(samples: Sequence[Sample], owner: NDArray[np.intp]) -> list[int]:
    """Return the first look of each shown value that differs from those before."""
    seen: dict[float, int] = {}
    for i, sample in enumerate(samples):
        seen.setdefault(sample.value, int(np.argmax(owner == i)))
    return list(seen.values())


def _scale_cost(kind: str, scale: float, samples: Sequence[Sample]) -> float:
    if kind.startswith("float"):
        return 0.0 if scale == 1 else SCALED_FLOAT
    digits = -round(math.log10(scale))
    shown = max(sample.decimals for sample in samples)
    return COARSE * (shown - digits) if digits < shown else FINER * (digits - shown)


def _grouped(ways: list[Way], span: Span) -> tuple[Guess, ...]:
    """Return one guess for each set of ways that read the same out of the same registers.

    Args:
        ways: Those that explain most, cheapest first.
        span: What the proposed way of a set should be able to read.
    """
    signed = span.low < 0
    # Of twins of the same length the signed one where the quantity may go below zero, else the unsigned one.
    ways = sorted(ways, key=lambda way: (way.cost, way.type.startswith("uint") == signed))
    groups: list[list[Way]] = []
    for way in ways:
        home = next((group for group in groups if _are_twins(way, group[0])), None)
        if home is None:
            groups.append([way])
        else:
            home.append(way)
    weight = np.exp(ways[0].cost - np.array([group[0].cost for group in groups]))
    shares = (weight / weight.sum()).tolist()
    return tuple(
        _guess(sorted(group, key=lambda way: not span.within(way)), share)
        for group, share in list(zip(groups, shares, strict=True))[:GUESSES_MAX]
    )


def _are_twins(one: Way, other: Way) -> bool:
    touch = one.address < other.address + other.length and other.address < one.address + one.length
    return (
        touch and one.table == other.table and np.allclose(one.read, other.read, rtol=1e-7, atol=1e-9, equal_nan=True)
    )


def _guess(group: list[Way], share: float) -> Guess:
    first, *rest = group
    twins = tuple(f"{way}: {_difference(first, way)}" for way in rest)
    value = float(first.read[-1])
    return Guess(first.table, first.address, first.type, first.order, first.scale, value, first.matched, share, twins)


def _difference(first: Way, other: Way) -> str:
    """Say when two ways that read the same so far would differ."""
    if (first.address, first.length, first.order) == (other.address, other.length, other.order):
        return f"differs below 0 and from {2 ** (16 * first.length - 1) * first.scale:g} on"
    if first.length != other.length:
        return f"differs from {2 ** (16 * min(first.length, other.length)) * first.scale:g} on"
    return "differs once its other registers move"


def _is_unique(guesses: tuple[Guess, ...], samples: Sequence[Sample]) -> bool:
    return guesses[0].matched == len(samples) and _is_alone(guesses) and _has_moved(samples)


def _is_alone(guesses: tuple[Guess, ...]) -> bool:
    return len(guesses) == 1 or guesses[0].share >= SURE


def _has_moved(samples: Sequence[Sample]) -> bool:
    """Return whether the values differ so that a register which stands still, or nearly, cannot explain them all."""
    values = {sample.value for sample in samples}
    digit = 10.0 ** -min(sample.decimals for sample in samples)
    return len(values) >= VALUES_ENOUGH or (len(values) > 1 and max(values) - min(values) > DIGITS_ENOUGH * digit)


def _nothing(samples: Sequence[Sample]) -> str:
    if len(samples) == 1:
        return "No register holds it: look at another range or table, or give the value again while it stands still."
    return (
        "No register holds most of them: look at another range or table, or begin again with values that stand still."
    )


def _same_place(one: Guess, other: Guess) -> bool:
    places = [(each.address, each.type, each.order, each.scale) for each in (one, other)]
    return one.table != other.table and places[0] == places[1]


def _advice(guesses: tuple[Guess, ...], samples: Sequence[Sample]) -> str:
    """Say what to do next."""
    if guesses[0].matched < len(samples):
        return "One of the values does not fit: mistyped, or the value moved. Give one more."
    if _is_unique(guesses, samples):
        sure = "Only one way of reading explains every value."
        return sure if len(guesses) == 1 else "One way of reading is by far the likeliest; the others are chance."
    if not _has_moved(samples):
        left = "One way is left, and may be chance. " if _is_alone(guesses) else ""
        return f"{left}Give a value that differs: apply test gas or warmth, then read the display again."
    if any(_same_place(guesses[0], other) for other in guesses[1:]):
        return "Two tables hold it at the same address: take the one that the manual names."
    return f"{len(guesses)} ways of reading explain the values so far. Give one more, as far from these as you can."
