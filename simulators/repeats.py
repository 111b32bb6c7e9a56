"""Many like ones in a few lines of a scenario: a bus or an instrument with a `count` stands for so many of them."""

from typing import Any

from gateway.core.errors import ConfigError
from simulators.scenario import INSTRUMENTS_MAX

_UNITS = range(1, 248)
BUSES_MAX = 1000


def repeated(data: dict[str, Any]) -> dict[str, Any]:
    """Return a scenario's sections with everything that has a `count` written out.

    A bus `plc` with `count: 8` becomes `plc-1` to `plc-8`, each on the next port, or each on a free one; a serial
    line's link gets the number behind it. An instrument `head` with `count: 1000` becomes `head-0001` to `head-1000`.
    On a bus with a count they are dealt out in turn; on each bus their units count on from their own (1 where left
    out) over those that are free. In their topic and dev_eui `{n}` is the number.

    Raises:
        ConfigError: A count is no number from 1, or there are not enough units.
    """
    buses, groups = _buses(data.get("buses"))
    instruments = data.get("instruments")
    if not isinstance(instruments, dict) or buses is None:
        return data
    taken = {(spec.get("bus"), spec.get("unit")) for spec in instruments.values() if isinstance(spec, dict)}
    written: dict[str, Any] = {}
    for name, spec in instruments.items():
        if not isinstance(spec, dict) or "count" not in spec:
            written[name] = spec
            continue
        count = _count(spec["count"], INSTRUMENTS_MAX, "instruments", name)
        try:
            on = groups.get(spec.get("bus"), [spec.get("bus")])
            addressed = isinstance(buses.get(on[0]), dict) and buses[on[0]].get("type") != "mqtt"
            units = _Units(spec.get("unit") or 1, on, taken) if addressed else None
            written.update(_dealt(str(name), spec, count, on, units))
        except ConfigError as error:
            raise error.under("instruments", name) from error
    return {**data, "buses": buses, "instruments": written}


def _count(given: Any, most: int, *place: str) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= most:
        raise ConfigError((*place, "count"), f"must be a number from 1 to {most}, not {given!r}")
    return given


def _buses(given: Any) -> tuple[dict[str, Any] | None, dict[Any, list[Any]]]:
    """Return the buses written out, and the names that each one with a count has become."""
    if not isinstance(given, dict):
        return None, {}
    buses: dict[str, Any] = {}
    groups: dict[Any, list[Any]] = {}
    for name, spec in given.items():
        if not isinstance(spec, dict) or "count" not in spec:
            buses[name] = spec
            continue
        count = _count(spec["count"], BUSES_MAX, "buses", name)
        one = {key: value for key, value in spec.items() if key != "count"}
        for k in range(count):
            numbered = dict(one)
            if isinstance(one.get("port"), int) and one["port"]:
                numbered["port"] = one["port"] + k
            if one.get("link"):
                numbered["link"] = f"{one['link']}-{k + 1}"
            buses[f"{name}-{k + 1}"] = numbered
        groups[name] = [f"{name}-{k + 1}" for k in range(count)]
    return buses, groups


class _Units:
    """The units that are still free on some buses, from a first one on."""

    def __init__(self, first: int, on: list[Any], taken: set[Any]) -> None:
        self._first, self._taken = first, taken
        self._free = {bus: iter([unit for unit in _UNITS if unit >= first and (bus, unit) not in taken]) for bus in on}

    def next(self, bus: Any) -> int:
        """Return the next free unit of a bus. Raises ConfigError."""
        unit = next(self._free[bus], None)
        if unit is None:
            raise ConfigError(("count",), f"too many: {bus} has no unit left from {self._first} to 247")
        self._taken.add((bus, unit))
        return unit


def _dealt(name: str, spec: dict[str, Any], count: int, on: list[Any], units: _Units | None) -> dict[str, Any]:
    one = {key: value for key, value in spec.items() if key != "count"}
    digits, found = len(str(count)), {}
    for k in range(count):
        number, bus = f"{k + 1:0{digits}}", on[k % len(on)]
        numbered = {**one, "bus": bus}
        if units is not None:
            numbered["unit"] = units.next(bus)
        for key, text in (("topic", number), ("dev_eui", f"{k + 1:04x}")):
            if isinstance(one.get(key), str):
                numbered[key] = one[key].replace("{n}", text)
        found[f"{name}-{number}"] = numbered
    return found
