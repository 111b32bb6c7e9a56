"""Readings in short, as rule tests are written: `5x10 60x5 badx20 _x3`."""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.core.model import BAD_FROM, Float64, Quality, UInt8

READINGS_MAX: Final = 1_000_000
"""Readings of one channel in one test: eleven days at one a second."""

NOTHING: Final = "_"

_NUMBER = r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_PIECE = re.compile(
    rf"(?P<value>[-+]?{_NUMBER}|_|[a-z][a-z_]*?)(?P<step>[-+]{_NUMBER})?(?:~(?P<noise>{_NUMBER}))?"
    r"(?:@(?P<quality>[a-z_]+))?(?:x(?P<count>\d+))?"
)


@dataclass(frozen=True, slots=True)
class Series:
    """The readings of one channel, one for each tick of a test.

    Attributes:
        value: float64[n], NaN where BAD or missing.
        quality: uint8[n], `Quality` codes.
        there: bool[n], False where no reading arrives.
    """

    value: Float64
    quality: UInt8
    there: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.value)


def series(text: str, seed: int = 0) -> Series:
    """Read a series of pieces with blanks between: a value, how it changes, and how often it comes.

    `5` is one reading of 5 and `5x10` ten of them; `0+2x5` is 0 2 4 6 8; `20~0.3x60` is sixty readings about 20 with a
    noise of 0.3 (standard deviation, the same at each run); `bad`, or any quality's name, is a reading without value;
    `12@test` a value with a quality; `_` is no reading at all.

    Args:
        text: The series.
        seed: Of the noise.

    Raises:
        ValueError: A piece cannot be read, or there are more than `READINGS_MAX`; the message names it.

    >>> found = series("0+2x3 badx2 _ 12@test")
    >>> found.value.tolist(), found.quality.tolist(), found.there.tolist()[-2:]
    ([0.0, 2.0, 4.0, nan, nan, nan, 12.0], [0, 0, 0, 128, 128, 0, 67], [False, True])
    """
    noise = np.random.default_rng(seed)
    pieces = [_piece(word, noise) for word in text.split()]
    if not pieces:
        raise ValueError("no reading; `_` stands for one that does not arrive")
    if sum(len(piece) for piece in pieces) > READINGS_MAX:
        raise ValueError(f"more than {READINGS_MAX} readings")
    return Series(
        np.concatenate([piece.value for piece in pieces]),
        np.concatenate([piece.quality for piece in pieces]),
        np.concatenate([piece.there for piece in pieces]),
    )


def _piece(word: str, noise: np.random.Generator) -> Series:
    found = _PIECE.fullmatch(word)
    if found is None:
        raise ValueError(f"{word!r} is no reading; 5x10, 0+2x5, 20~0.3x60, badx20, 12@test and _x3 are")
    count = int(found["count"] or 1)
    if not 1 <= count <= READINGS_MAX:
        raise ValueError(f"{word!r} is {count} readings; 1 to {READINGS_MAX} are allowed")
    text = found["value"]
    if text == NOTHING or text[0].isalpha():
        if found["step"] or found["noise"] or found["quality"]:
            raise ValueError(f"{word!r} has no value that could change")
        quality = Quality.GOOD if text == NOTHING else _quality(text, word)
        if text != NOTHING and quality < BAD_FROM:
            raise ValueError(f"{word!r}: {text} comes with a value, as in 12@{text}")
        return _filled(np.full(count, np.nan), quality, there=text != NOTHING)
    value: Float64 = float(text) + float(found["step"] or 0.0) * np.arange(count, dtype=np.float64)
    if found["noise"]:
        value = value + noise.normal(0.0, float(found["noise"]), count)
    quality = Quality.GOOD if found["quality"] is None else _quality(found["quality"], word)
    if quality >= BAD_FROM:
        raise ValueError(f"{word!r}: a reading that is {found['quality']} has no value")
    return _filled(value, quality, there=True)


def _quality(name: str, word: str) -> Quality:
    try:
        return Quality[name.upper()]
    except KeyError:
        names = ", ".join(quality.name.lower() for quality in Quality)
        raise ValueError(f"{word!r}: there is no quality {name!r}; there are {names}") from None


def _filled(value: Float64, quality: Quality, *, there: bool) -> Series:
    n = len(value)
    return Series(value, np.full(n, quality, np.uint8), np.full(n, there))
