"""Recordings made by others, simulated plants, and plain tables, all as `Recording`; one module a format."""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from gateway.evaluation.recording import Recording, RecordingError

FORMATS: Final = ("nab", "skab", "nist", "faults", "scenario", "csv")
"""In the order in which they are tried; `csv` takes any table."""

_MODULES: Final = {"csv": "text"}


def load(
    path: Path, kind: str = "auto", *, seeds: Sequence[int | None] = (None,), every_s: float = 1.0
) -> Iterator[Recording]:
    """Yield the recordings of a file or folder.

    Args:
        path: What to load.
        kind: One of `FORMATS`, or `auto` to look.
        seeds: For scenarios: one recording for each; None is the scenario's own.
        every_s: For scenarios: seconds between looks at the instruments.

    Raises:
        RecordingError: Nothing there, not of this format, or broken; with the line where there is one.
        ConfigError: A scenario cannot be.
    """
    if not path.exists():
        raise RecordingError(f"{path}: no such file or folder")
    found = format_of(path) if kind == "auto" else kind
    module = _module(found)
    if found == "scenario":
        yield from module.load(path, seeds, every_s)
    else:
        yield from module.load(path)


def format_of(path: Path) -> str:
    """Return which format a file or folder has. Raises RecordingError."""
    for kind in FORMATS:
        if _module(kind).looks_like(path):
            return kind
    raise RecordingError(f"{path}: not recognised; name its format, one of {', '.join(FORMATS)}, with --format")


def _module(kind: str) -> ModuleType:
    if kind not in FORMATS:
        raise RecordingError(f"there is no format {kind!r}; there are {', '.join(FORMATS)}")
    return importlib.import_module(f"{__name__}.{_MODULES.get(kind, kind)}")
