"""Which registers, type, byte order and scale give the values that a display showed; pure.

Every way of reading is tried at every address. A way is believed in so far as it explains the shown values within
their last digit; among those that explain all of them, the commoner type, order and scale come first. Ways that cannot
be told apart by what was seen, because a sign bit or an upper word never moved, are one guess with its twins named.
"""

import math
from collections.abc import Sequence
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
SURE = 0.99


@dataclass(frozen=True, slots=True)
class Way:
    """A way to read registers."""

    address: int
    type: str
    order: str
    scale: float

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


def rank(samples: Sequence[Sample], address: int, unit: str = "", full_scale: float | None = None) -> Verdict:
    """Return how registers are to be read so that they give what was shown.

    Args:
        samples: Looks at the same registers, each with what the display showed; any number.
        address: Of the first register.
        unit: The shown unit; it tells whether values may be negative.
        full_scale: The end of the instrument's range; by the unit where None.
    """
    if not samples:
        return Verdict((), unique=False, advice="Give a value that the display shows.")
    looks = np.concatenate([sample.words for sample in samples])
    owner = np.repeat(np.arange(len(samples)), [len(sample.words) for sample in samples])
    ways, costs, matched, values = _ways(samples, looks, owner, address)
    if not ways:
        return Verdict((), unique=False, advice=_nothing(samples))
    high = FULL_SCALES.get(unit, 0) if full_scale is None else full_scale
    guesses = _grouped(ways, costs, matched, values, Span(-1.0 if unit in SIGNED_UNITS else 0.0, high))
    return Verdict(guesses, unique=_is_unique(guesses, samples), advice=_advice(guesses, samples))


def _ways(
    samples: Sequence[Sample], looks: NDArray[np.int32], owner: NDArray[np.intp], address: int
) -> tuple[list[Way], Float64, NDArray[np.intp], Float64]:
    """Return the ways that explain most samples, each with its cost, its matches and its values look by look."""
    ways: list[Way] = []
    costs: list[float] = []
    matched: list[int] = []
    values: list[Float64] = []
    for kind, length in WORDS.items():
        if length > looks.shape[1]:
            continue
        for order in ORDERS if length > 1 else ("ABCD", "BADC"):
            raw = decode(looks, kind, order)
            odd = _odd_low_words(looks, kind, order, samples, owner)
            for scale in SCALES:
                with np.errstate(all="ignore"):
                    read = raw * scale
                penalty, explained = _explain(read, samples, owner)
                penalty += odd
                prior = RARE_TYPE[kind] + RARE_ORDER[order] + _scale_cost(kind, scale, samples)
                for at in np.flatnonzero(explained).tolist():
                    ways.append(Way(address + at, kind, order, scale))
                    costs.append(float(penalty[at]) + prior)
                    matched.append(int(explained[at]))
                    values.append(read[:, at])
    counts = np.array(matched, np.intp)
    # One mistyped value may not hide the answer; beyond that, a way that misses what another explains is out.
    best = counts.max(initial=0)
    if best * 2 <= len(samples) or (best < len(samples) and len(samples) < 3):
        return [], np.empty(0), counts, np.empty((0, 0))
    keep = np.flatnonzero(counts == best)
    keep = keep[np.argsort(np.array(costs)[keep], kind="stable")[:WAYS_MAX]]
    return [ways[i] for i in keep], np.array(costs)[keep], counts[keep], np.array([values[i] for i in keep])


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


def _grouped(
    ways: list[Way], costs: Float64, matched: NDArray[np.intp], values: Float64, span: Span
) -> tuple[Guess, ...]:
    """Return one guess for each set of ways that read the same out of the same registers."""
    signed = span.low < 0
    # Of twins of the same length the signed one where the quantity may go below zero, else the unsigned one.
    unsuited = np.array([way.type.startswith("uint") == signed and not way.type.startswith("float") for way in ways])
    order = np.lexsort((unsuited, costs))
    groups: list[list[int]] = []
    for i in order.tolist():
        home = next((g for g in groups if _are_twins(ways[i], ways[g[0]], values[i], values[g[0]])), None)
        if home is None:
            groups.append([i])
        else:
            home.append(i)
    weight = np.exp(costs[order[0]] - np.array([costs[group[0]] for group in groups]))
    shares = weight / weight.sum()
    return tuple(
        _guess(
            sorted((ways[i] for i in group), key=lambda way: not span.within(way)),
            float(values[group[0]][-1]),
            int(matched[group[0]]),
            float(share),
        )
        for group, share in list(zip(groups, shares, strict=True))[:GUESSES_MAX]
    )


def _are_twins(one: Way, other: Way, values: Float64, others: Float64) -> bool:
    touch = one.address < other.address + other.length and other.address < one.address + one.length
    return touch and bool(np.allclose(values, others, rtol=1e-7, atol=1e-9, equal_nan=True))


def _guess(group: list[Way], value: float, matched: int, share: float) -> Guess:
    first, *rest = group
    twins = tuple(f"{way}: {_difference(first, way)}" for way in rest)
    return Guess(first.address, first.type, first.order, first.scale, value, matched, share, twins)


def _difference(first: Way, other: Way) -> str:
    """Say when two ways that read the same so far would differ."""
    if first.length == other.length and first.order == other.order:
        return f"differs below 0 and from {2 ** (16 * first.length - 1) * first.scale:g} on"
    if first.length != other.length:
        return f"differs from {2 ** (16 * min(first.length, other.length)) * first.scale:g} on"
    return "differs once its other registers move"


def _is_unique(guesses: tuple[Guess, ...], samples: Sequence[Sample]) -> bool:
    return guesses[0].matched == len(samples) and (len(guesses) == 1 or guesses[0].share >= SURE)


def _nothing(samples: Sequence[Sample]) -> str:
    if len(samples) == 1:
        return "No register holds it: look at another range or table, or give the value again while it stands still."
    return (
        "No register holds most of them: look at another range or table, or begin again with values that stand still."
    )


def _advice(guesses: tuple[Guess, ...], samples: Sequence[Sample]) -> str:
    """Say what to do next."""
    if guesses[0].matched < len(samples):
        return "One of the values does not fit: mistyped, or the value moved. Give one more."
    if _is_unique(guesses, samples):
        return "Only one way of reading explains every value."
    if len({sample.value for sample in samples}) < max(2, len(samples)):
        return "Give a value that differs: let the instrument see test gas or warmth, then read its display again."
    return f"{len(guesses)} ways of reading explain the values so far. Give one more, as far from these as you can."
