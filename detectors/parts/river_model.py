"""Models of the river library as judges of one stream: found by name, fed reading by reading, kept as bytes.

river is imported when a rule names a model, and never otherwise: it takes a second and 85 MiB.

A kept model is a pickle. Only what river's models are made of is taken from it: classes of river, plain containers, and
a few functions by name; so a data folder that was copied from elsewhere runs nothing.

References:
    J. Montiel et al., River: machine learning for streaming data in Python, JMLR 22 (2021); https://riverml.xyz.
"""

import difflib
import importlib
import inspect
import io
import math
import pickle
import re
import zlib
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from gateway.core.errors import ConfigError

FOLDERS: Final = ("anomaly", "drift")
"""Where the models are that judge; parts of them may come from anywhere in river."""
SEED: Final = 1
FAR: Final = 1e9
"""Values count as no more than this: squares of more overflow inside models."""
BYTES_MAX: Final = 57_344
"""The most that a kept model takes: a default HalfSpaceTrees fits, more trees do not."""

_NAME: Final = re.compile(r"[a-z_]+(\.[a-z_]+)*\.[A-Z]\w*")
_PARTS: Final[Mapping[str, frozenset[str]]] = {
    top: frozenset(names.split())
    for top, names in (
        ("builtins", "set frozenset range slice complex bytearray object dict list tuple int float bool str"),
        ("collections", "Counter OrderedDict defaultdict deque"),
        ("functools", "partial"),
        ("random", "Random"),
        ("statistics", "NormalDist"),
        ("numpy", "_reconstruct ndarray dtype scalar _frombuffer array ones zeros"),
    )
}
_GENERATORS: Final = frozenset(
    "RandomState MT19937 PCG64 Generator __randomstate_ctor __bit_generator_ctor __generator_ctor".split()  # noqa: SIM905  # easier to read than seven strings
)
_RIVER: Final = ("river", "river_rust")
_NO_MODELS: Final = ("river.datasets", "river.checks", "river.stream")
"""Parts of river that read files, or fetch them."""


class Kind(Enum):
    """How a model is asked."""

    FEATURES = "features"
    """By the values as features."""
    TARGET = "target"
    """By the first value as what is to be explained, and the others as features."""
    DRIFT = "drift"
    """By one value; it says only whether something has changed."""


def build(name: str, parameters: Mapping[str, Any], path: tuple[str | int, ...] = ("model",)) -> Any:
    """Return a river object.

    Args:
        name: Its name below `river`, e.g. `anomaly.HalfSpaceTrees`.
        parameters: Its parameters. One that is a mapping with `model` is an object of river of its own, and may have
            `parameters`.
        path: Where the name stands in the options.

    Raises:
        ConfigError: There is no such thing, or it refuses the parameters.
    """
    made = _class(name, path)
    given = {key: _part(key, value, path) for key, value in parameters.items()}
    known = inspect.signature(made).parameters
    for key in given:
        if key not in known:
            problem = f"{name} has no parameter {key!r}{_near(key, list(known))}"
            raise ConfigError((*path[:-1], "parameters"), problem)
    if "seed" in known:
        # A replayed day must alarm at the same readings.
        given.setdefault("seed", SEED)
    try:
        return made(**given)
    except Exception as error:
        raise ConfigError((*path[:-1], "parameters"), f"{name} refuses its parameters: {error}") from error


def _part(key: str, value: Any, path: tuple[str | int, ...]) -> Any:
    if isinstance(value, Mapping) and isinstance(value.get("model"), str):
        return build(value["model"], value.get("parameters", {}), (*path[:-1], "parameters", key, "model"))
    return value


def _class(name: str, path: tuple[str | int, ...]) -> type:
    if not _NAME.fullmatch(name):
        raise ConfigError(path, f"{name!r} is no name of a model, such as anomaly.HalfSpaceTrees")
    folder, _, last = name.rpartition(".")
    try:
        module = importlib.import_module(f"river.{folder}")
    except ModuleNotFoundError as error:
        if error.name == "river":
            raise ConfigError(path, "river is not installed: pip install river") from error
        raise ConfigError(path, f"river has nothing called {folder!r}; models that judge are in {_all()}") from error
    found = getattr(module, last, None)
    if not inspect.isclass(found) or inspect.isabstract(found):
        names = [each for each in dir(module) if inspect.isclass(getattr(module, each))]
        raise ConfigError(path, f"river.{folder} has no {last!r}{_near(last, names)}")
    return found


def _all() -> str:
    return " and ".join(FOLDERS)


def _near(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(sorted(known))}"


def kind_of(model: Any, name: str) -> Kind:
    """Return how a model is asked. Raises ConfigError where it does not judge at all."""
    base = importlib.import_module("river.base")
    inner = model.anomaly_detector if isinstance(model, base.AnomalyFilter) else model
    if isinstance(inner, base.SupervisedAnomalyDetector):
        return Kind.TARGET
    if isinstance(inner, base.AnomalyDetector):
        return Kind.FEATURES
    if isinstance(inner, base.DriftDetector):
        return Kind.DRIFT
    raise ConfigError(("model",), f"{name} judges nothing; models that do are in {_all()}")


class Stream:
    """A model, the scaler before it, and the values before: all that judges one stream.

    Args:
        model: An object of river.
        kind: How it is asked.
        scaler: An object of river that transforms features, or None.
        lags: How many values in a row are its features.
    """

    def __init__(self, model: Any, kind: Kind, scaler: Any = None, lags: int = 1) -> None:
        self.model, self.kind, self.scaler, self.lags = model, kind, scaler, lags
        self._learned = 0
        self._before: list[list[float]] = []

    def score(self, values: list[float]) -> float:
        """Return how unusual values are, by the model's own measure; NaN where it cannot tell.

        A drift detector learns from what it is asked, and says 1.0 or 0.0.
        """
        if self.kind is Kind.DRIFT:
            self.model.update(values[0])
            return float(self.model.drift_detected)
        if not self._learned:
            # Some models fail when asked before they have learned anything.
            return math.nan
        found = self.model.score_one(*self._features(values))
        return float(found) if found is not None and math.isfinite(found) else math.nan

    def learn(self, values: list[float]) -> None:
        """Learn values that are normal; nothing for a drift detector, which has learned them already."""
        if self.kind is Kind.DRIFT:
            return
        if self.scaler is not None:
            self.scaler.learn_one(self._named(values))
        self.model.learn_one(*self._features(values))
        self._learned += 1

    def follow(self, values: list[float]) -> None:
        """Remember values as those before the next ones."""
        if self.lags > 1:
            self._before = [values, *self._before][: self.lags - 1]

    def _named(self, values: list[float]) -> dict[str, float]:
        rows = [values, *self._before, *([values] * (self.lags - 1 - len(self._before)))]
        return {f"{lag}.{k}": value for lag, row in enumerate(rows) for k, value in enumerate(row)}

    def _features(self, values: list[float]) -> tuple[Any, ...]:
        if self.kind is Kind.TARGET:
            return {str(k): value for k, value in enumerate(values[1:])}, values[0]
        named = self._named(values)
        return (named if self.scaler is None else self.scaler.transform_one(named),)


def kept(stream: Stream) -> bytes | None:
    """Return all that a stream knows as bytes; None where that is more than `BYTES_MAX`."""
    found = zlib.compress(pickle.dumps(stream, protocol=5), 6)
    return found if len(found) <= BYTES_MAX else None


def returned(data: bytes) -> Stream:
    """Return what was kept. Raises ValueError where it was no stream, or is of another version of river."""
    try:
        found = _Reader(io.BytesIO(zlib.decompress(data))).load()
    except Exception as error:
        raise ValueError(f"a kept model cannot be read: {error}") from error
    if not isinstance(found, Stream):
        raise ValueError(f"a kept model is a {type(found).__name__}")  # noqa: TRY004  # the state is wrong, no argument
    return found


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        top = module.partition(".")[0]
        if (module, name) == ("builtins", "getattr"):
            return _method
        mine = module == __name__ and name in ("Stream", "Kind")
        known = name in _PARTS.get(top, ()) or (module.startswith("numpy.random") and name in _GENERATORS)
        known = known or (top in _RIVER and not module.startswith(_NO_MODELS))
        # A dot would lead on to whatever a module has imported.
        if "." not in name and (mine or known):
            found = super().find_class(module, name)
            if top not in _RIVER or _is_of_river(found):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a model")


def _is_of_river(found: Any) -> bool:
    return callable(found) and str(getattr(found, "__module__", "")).partition(".")[0] in _RIVER


def _method(of: Any, name: str) -> Any:
    """Return a model's own method: how a bound one is kept."""
    if not _is_of_river(type(of)) or name.startswith("__") or not inspect.ismethod(found := getattr(of, name, None)):
        raise pickle.UnpicklingError(f"{name} of {type(of).__name__} is no part of a model")
    return found
