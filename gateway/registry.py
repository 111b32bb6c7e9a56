"""Plugin name to module, without importing what no site names."""

import importlib
import importlib.util
import re
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from gateway.core.errors import ConfigError


class Kind(StrEnum):
    """The kinds of plugin; the value is the package that ours live in."""

    DRIVER = "drivers"
    DETECTOR = "detectors"
    UPLINK = "alerts"
    NOTIFIER = "alerts.people"
    STORE = "gateway.store"


ENTRY_POINTS = {
    Kind.DRIVER: "hazgate.drivers",
    Kind.DETECTOR: "hazgate.detectors",
    Kind.UPLINK: "hazgate.uplinks",
    Kind.NOTIFIER: "hazgate.notifiers",
    Kind.STORE: "hazgate.stores",
}
"""Where third parties offer theirs, as entry points that name a module."""

DATABASES = ("influxdb",)
"""Modules of `gateway.store` that a site file may name; the others are the gateway's own files."""


OFFERS_CREATE = re.compile(r"^def create\(|^from .* import .*\bcreate\b|^    create,$", re.MULTILINE)


def load(kind: Kind, name: str) -> ModuleType:
    """Return the plugin's module.

    Args:
        kind: What is wanted.
        name: The `type` of the site file, e.g. `modbus`.

    Raises:
        ConfigError: There is no such plugin, or it needs a package that is not installed; the message says which.
    """
    module = _module_name(kind, name)
    if module is None:
        raise ConfigError(("type",), f"there is no {_noun(kind)} {name!r}; there are {', '.join(names(kind))}")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(("type",), f"{name} needs the package {error.name!r}, which is not installed") from error


def names(kind: Kind) -> list[str]:
    """Return the names of all plugins of a kind, ours and third parties', without importing them."""
    own = DATABASES if kind is Kind.STORE else _own_modules(kind)
    return sorted({*own, *(point.name for point in entry_points(group=ENTRY_POINTS[kind]))})


def _module_name(kind: Kind, name: str) -> str | None:
    if name in (DATABASES if kind is Kind.STORE else _own_modules(kind)):
        return f"{kind.value}.{name}"
    for point in entry_points(group=ENTRY_POINTS[kind]):
        if point.name == name:
            return point.module
    return None


def _own_modules(kind: Kind) -> set[str]:
    """Modules that offer `create`: looked up in their text, so that listing costs no import."""
    spec = importlib.util.find_spec(kind.value)
    found: set[str] = set()
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in Path(folder).iterdir():
            source = path / "__init__.py" if path.is_dir() else path
            if path.stem.startswith("_") or source.suffix != ".py" or not source.is_file():
                continue
            if OFFERS_CREATE.search(source.read_text(encoding="utf-8")):
                found.add(path.stem)
    return found


def _noun(kind: Kind) -> str:
    return kind.name.lower()
