"""The Numenta Anomaly Benchmark: one channel a file, windows in `labels/combined_windows.json`.

The folder is the repository's own (`data/<category>/<file>.csv`) or one that has the categories at its top; a single
category or file does too, as long as `labels` is found above it.

References:
    A. Lavin, S. Ahmad, Evaluating Real-Time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark, ICMLA 2015.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gateway.evaluation.loaders.tables import read_table
from gateway.evaluation.nab import probation
from gateway.evaluation.recording import Recording, RecordingError, Series, Truth, assembled, slug

WINDOWS = Path("labels", "combined_windows.json")
LABELS = Path("labels", "combined_labels.json")


def looks_like(path: Path) -> bool:
    """Return whether a file or folder is part of the benchmark."""
    root = _root(path)
    return root is not None and (path.is_dir() or _key(root, path) in _json(root / WINDOWS))


def load(path: Path) -> Iterator[Recording]:
    """Yield one recording a file, in the order of their names. Raises RecordingError."""
    root = _root(path)
    if root is None:
        raise RecordingError(f"{path}: {WINDOWS} is neither in it nor above it")
    windows = _json(root / WINDOWS)
    labels = _json(root / LABELS) if (root / LABELS).is_file() else {}
    files = [path] if path.is_file() else sorted(path.rglob("*.csv"))
    known = [(key, file) for file in files if (key := _key(root, file)) in windows]
    if not known:
        raise RecordingError(f"{path}: none of its files is named in {root / WINDOWS}")
    for key, file in known:
        yield _recording(key, file, windows[key], labels.get(key, []))


def _recording(key: str, path: Path, windows: Any, labels: Any) -> Recording:
    table = read_table(path, ",")
    time_ns = table.times("timestamp")
    category, _, name = key.partition("/")
    series = Series(f"{slug(name.removesuffix('.csv'))}.value", time_ns, table.numbers("value"), "value", area=category)
    moments = sorted(_ns(text) for text in labels)
    truths = [_truth(_ns(begin), _ns(end), moments) for begin, end in windows]
    learning = probation(len(time_ns))
    return assembled(key, "nab", [series], truths, learning_ns=int(time_ns[learning]) if learning else None)


def _truth(begin_ns: int, end_ns: int, moments: list[int]) -> Truth:
    """Windows are padded on both sides of what happened: delays are counted from what happened."""
    event_ns = next((moment for moment in moments if begin_ns <= moment <= end_ns), None)
    return Truth("anomaly", begin_ns, end_ns, event_ns=event_ns)


def _ns(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


def _root(path: Path) -> Path | None:
    return next((each for each in (path, *path.resolve().parents) if (each / WINDOWS).is_file()), None)


def _key(root: Path, file: Path) -> str:
    inside = file.resolve().relative_to(root.resolve()).parts
    return "/".join(inside[1:] if inside[:1] == ("data",) else inside)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path}: cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise RecordingError(f"{path}: must be an object with one key a file")
    return found
