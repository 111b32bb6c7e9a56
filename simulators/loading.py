"""Reading a scenario file: YAML to a checked scenario, or one clear error with its place."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gateway.core.errors import ConfigError
from simulators.encoding import register_count
from simulators.events import EVENTS_ON, LeakEvent
from simulators.gases import GASES
from simulators.profiles import laid_out
from simulators.quantities import HEADS
from simulators.repeats import repeated
from simulators.scenario import ChannelSpec, InstrumentSpec, MqttSpec, RtuSpec, RtuTcpSpec, Scenario

FILE_BYTES_MAX = 2_000_000
_IN_TANKS = frozenset({"level", "pressure"})
_IN_YARDS = frozenset({"wind_speed", "wind_direction"})
_ELSEWHERE = frozenset({"smoke"})
_PLANT_KEYS = ("ambient", "rooms", "yards", "tanks", "buses", "instruments")


def load_scenario(path: Path) -> Scenario:
    """Read and check a scenario file.

    A file may name another as its `plant`; the sections it has itself come before the plant's.

    Raises:
        ConfigError: The file cannot be read, is no YAML, or says something that cannot be; the path is the place.
    """
    data = _yaml(path)
    plant = data.pop("plant", None)
    if plant is not None:
        if not isinstance(plant, str):
            raise ConfigError(("plant",), f"must be the name of a file, not {plant!r}")
        below = _yaml(path.parent / plant)
        if foreign := set(below) - set(_PLANT_KEYS):
            raise ConfigError(("plant",), f"{plant} has {sorted(foreign)}; a plant has {list(_PLANT_KEYS)}")
        data = {**below, **data}
    data.setdefault("name", path.stem)
    return checked(data, path.parent)


def checked(data: Mapping[str, Any], folder: Path = Path()) -> Scenario:
    """Return the scenario that a mapping describes.

    Raises:
        ConfigError: Something cannot be; the path is the place, and further problems follow in the same line.
    """
    data = _with_profiles(repeated(dict(data)), folder)
    try:
        scenario = Scenario.model_validate({**data, "folder": folder})
    except ValidationError as error:
        first, *others = error.errors()
        place = tuple(key for key in first["loc"] if key not in _TAGS)
        more = f" (and {len(others)} more)" if others else ""
        raise ConfigError(place, f"{_problem(first)}{more}") from error
    _check_references(scenario)
    _check_registers(scenario)
    return scenario


def _with_profiles(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the sections with every instrument that has a profile laid out."""
    instruments = data.get("instruments")
    if not isinstance(instruments, dict):
        return data
    found = {}
    for name, spec in instruments.items():
        try:
            found[name] = laid_out(spec, folder) if isinstance(spec, dict) and spec.get("profile") else spec
        except ConfigError as error:
            raise error.under("instruments", name) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problem = f"the profile {spec['profile']} is not sound: {type(error).__name__} {error}"
            raise ConfigError(("instruments", name, "profile"), problem) from error
    return {**data, "instruments": found}


_TAGS = frozenset({"modbus-tcp", "modbus-udp", "modbus-rtu", "modbus-rtu-tcp", "mqtt", *EVENTS_ON})
"""Names that pydantic puts into a path for a choice; nobody wrote them there."""


def _problem(error: Mapping[str, Any]) -> str:
    given = error["input"]
    shown = f", not {given!r}" if isinstance(given, str | int | float | bool) else ""
    return str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "must be") + shown


def _yaml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigError((), f"{path} is larger than {FILE_BYTES_MAX} bytes")
        data = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError((), f"{path} cannot be read: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError((), f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise ConfigError((), f"{path} must hold sections such as rooms, buses, instruments")
    return data


def _check_references(scenario: Scenario) -> None:
    for twice in set(scenario.rooms) & set(scenario.tanks):
        raise ConfigError(("tanks", twice), "is a room already")
    for twice in {*scenario.rooms, *scenario.tanks} & set(scenario.yards):
        raise ConfigError(("yards", twice), "is a room or a tank already")
    for name, room in scenario.rooms.items():
        for place, door in enumerate(room.doorways):
            if door.to not in scenario.rooms or door.to == name:
                others = sorted(set(scenario.rooms) - {name})
                raise ConfigError(("rooms", name, "doorways", place, "to"), f"{door.to!r} is none of {others}")
    for name, spec in scenario.instruments.items():
        try:
            _check_instrument(scenario, spec)
        except ConfigError as error:
            raise error.under("instruments", name) from error
    for place, event in enumerate(scenario.events):
        kinds = EVENTS_ON[event.what]
        if not any(exists(scenario, event.where) for exists in (_WHERE[kind] for kind in kinds)):
            raise ConfigError(("events", place, "where"), f"{event.where!r} is no {' or '.join(kinds)} of this plant")
        if isinstance(event, LeakEvent) and event.where in scenario.yards and event.x_m is None:
            raise ConfigError(("events", place), "a leak in a yard needs its place, x_m and y_m")


def _is_channel(scenario: Scenario, where: str) -> bool:
    instrument, _, channel = where.rpartition(".")
    return instrument in scenario.instruments and channel in scenario.instruments[instrument].channels


_WHERE: Mapping[str, Callable[[Scenario, str], bool]] = {
    "room": lambda scenario, where: where in scenario.rooms,
    "yard": lambda scenario, where: where in scenario.yards,
    "tank": lambda scenario, where: where in scenario.tanks,
    "bus": lambda scenario, where: where in scenario.buses,
    "line": lambda scenario, where: isinstance(scenario.buses.get(where), RtuSpec | RtuTcpSpec),
    "instrument": lambda scenario, where: where in scenario.instruments,
    "channel": _is_channel,
}


def _check_instrument(scenario: Scenario, spec: InstrumentSpec) -> None:
    bus = scenario.buses.get(spec.bus)
    if bus is None:
        raise ConfigError(("bus",), f"{spec.bus!r} is none of {sorted(scenario.buses)}")
    places = {*scenario.rooms, *scenario.yards, *scenario.tanks}
    if spec.at not in places:
        raise ConfigError(("at",), f"{spec.at!r} is none of {sorted(places)}")
    if isinstance(bus, MqttSpec):
        _check_topic(spec)
    elif spec.unit is None:
        raise ConfigError(("unit",), "an instrument on Modbus needs its unit, 1 to 247")
    for name, channel in spec.channels.items():
        if not isinstance(bus, MqttSpec) and channel.address is None:
            raise ConfigError(("channels", name, "address"), "a channel on Modbus needs its address")
        if channel.shows is None:
            _check_channel(scenario, spec, name, channel)


def _check_channel(scenario: Scenario, spec: InstrumentSpec, name: str, channel: ChannelSpec) -> None:
    for key, others in (("sees", channel.sees), ("ageing", channel.ageing.poisons)):
        for other in sorted(set(others) - set(GASES)):
            raise ConfigError(("channels", name, key), f"{other!r} is none of {sorted(GASES)}")
    quantity = channel.quantity or name
    if quantity not in HEADS:
        raise ConfigError(("channels", name, "quantity"), f"{quantity!r} is none of {sorted(HEADS)}")
    if not _has(scenario, spec.at, quantity):
        raise ConfigError(("channels", name, "quantity"), f"{spec.at} has no {quantity!r}")
    if spec.at in scenario.yards and quantity in GASES and (spec.x_m is None or spec.y_m is None):
        raise ConfigError(("x_m",), f"a head for {quantity} in a yard needs its place, x_m and y_m")


def _has(scenario: Scenario, place: str, quantity: str) -> bool:
    """Return whether a room, yard or tank has a quantity."""
    if quantity == "temperature":
        return True
    if place in scenario.tanks:
        return quantity in _IN_TANKS
    return quantity not in _IN_TANKS and quantity not in (_ELSEWHERE if place in scenario.yards else _IN_YARDS)


def _check_topic(spec: InstrumentSpec) -> None:
    topic = spec.place_on_bus
    if not isinstance(topic, str) or not topic or any(sign in topic for sign in "+#\0"):
        raise ConfigError(("topic",), f"on MQTT it must be a topic without wildcards (and no unit), not {topic!r}")
    if spec.payload == "chirpstack" and (len(spec.dev_eui) != 16 or not _is_hex(spec.dev_eui)):
        raise ConfigError(("dev_eui",), f"must be 16 hexadecimal digits, not {spec.dev_eui!r}")


def _is_hex(text: str) -> bool:
    return all(sign in "0123456789abcdefABCDEF" for sign in text)


def _check_registers(scenario: Scenario) -> None:
    """Refuse two channels in one register: only one of them could be true."""
    taken: dict[tuple[str, int, str, int, int], str] = {}
    for name, spec in scenario.instruments.items():
        if isinstance(scenario.buses[spec.bus], MqttSpec):
            continue
        for place, path, cells in _cells(spec):
            for table, address, bit in cells:
                key = (spec.bus, spec.unit or 0, table, address, bit)
                whole = (*key[:4], -1)
                other = taken.get(key) or taken.get(whole)
                if bit == -1:
                    other = other or next((taken[(*key[:4], b)] for b in range(16) if (*key[:4], b) in taken), None)
                if other is not None:
                    raise ConfigError(("instruments", name, *path), f"{table} {address} belongs to {other} already")
                taken[key] = f"{name}.{place}"


def _cells(spec: InstrumentSpec) -> list[tuple[str, tuple[str, ...], list[tuple[str, int, int]]]]:
    found: list[tuple[str, tuple[str, ...], list[tuple[str, int, int]]]] = []
    for name, channel in spec.channels.items():
        if channel.address is not None:
            bit = channel.bit if channel.type == "bit" and channel.table in {"holding", "input"} else -1
            cells = [(str(channel.table), channel.address + i, bit) for i in range(register_count(channel.type))]
            found.append((name, ("channels", name, "address"), cells))
    for name, relay in spec.relays.items():
        found.append((name, ("relays", name, "address"), [(relay.table, relay.address, -1)]))
    for name, word in (("status", spec.status), ("heartbeat", spec.heartbeat)):
        if word is not None:
            if word.address is None:
                raise ConfigError((name, "address"), "a word on Modbus needs its address")
            found.append((name, (name, "address"), [(word.table, word.address, -1)]))
    return found
