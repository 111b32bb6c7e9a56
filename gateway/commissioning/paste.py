"""What commissioning has found, as YAML for a site file."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.core.commissioning import Found, Guess, LineSettings
from gateway.core.units import gas_unit

PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
WIDTH = 80
"""Longer lines would be wrapped by a terminal, and not every terminal copies them whole."""
WORDS = frozenset({"", "true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def flow(value: Any) -> str:
    """Return a value in YAML's flow style.

    >>> flow({"id": "line1", "options": {"endpoint": "tcp://a:502", "unit": 3}})
    '{id: line1, options: {endpoint: "tcp://a:502", unit: 3}}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(str(key))}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, str) and set(value) <= PLAIN and value.lower() not in WORDS and not value[0].isdigit():
        return value if value[0] != "-" else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)


def item(value: Mapping[str, Any], indent: str = "  ") -> list[str]:
    """Return an entry of a list: on one line where it fits, else one line a key.

    >>> item({"id": "line1", "type": "modbus"})
    ['  - {id: line1, type: modbus}']
    """
    line = f"{indent}- {flow(value)}"
    if len(line) <= WIDTH:
        return [line]
    lines = [f"{indent}  {flow(str(key))}: {flow(part)}" for key, part in value.items()]
    return [f"{indent}- {lines[0].lstrip()}", *lines[1:]]


def of_finds(finds: Sequence[Found], paths: Mapping[str, str]) -> str:
    """Return connections and instruments for what a scan has found; what no profile fits is commented out.

    Args:
        finds: What was found.
        paths: Endpoints and what to write in their place: a port's stable name.
    """
    buses: dict[tuple[str, LineSettings | None], str] = {}
    for found in finds:
        kind = "line" if found.line else "net"
        number = 1 + sum(name.startswith(kind) for name in buses.values())
        buses.setdefault((found.endpoint, found.line), f"{kind}{number}")
    text = ["connections:"]
    for (endpoint, line), name in buses.items():
        options = {"endpoint": paths.get(endpoint, endpoint), **_unusual(line)}
        text += item({"id": name, "type": "modbus", "options": options})
    text.append("instruments:")
    for found in finds:
        text += _instrument(found, buses[found.endpoint, found.line])
    return "\n".join(text)


def _unusual(line: LineSettings | None) -> dict[str, Any]:
    """Return what differs from the defaults; the bit rate always, because people look for it."""
    if line is None:
        return {}
    usual = LineSettings().options()
    return {key: value for key, value in line.options().items() if key == "baud" or value != usual[key]}


def _instrument(found: Found, bus: str) -> list[str]:
    """Return an instrument's lines; a profile that only may be the right one stays a comment: it could read wrongly."""
    options = {"unit": found.unit}
    if found.sure:
        best = found.profiles[0]
        section = {"id": f"{best[:56]}-{found.unit}", "connection": bus, "profile": best, "options": options}
        return item(section)
    own = {"id": f"unit-{found.unit}", "connection": bus}
    if found.profiles:
        return [
            f"  # Unit {found.unit} may be {' or '.join(found.profiles)}: see its type plate.",
            *_commented({**own, "profile": found.profiles[0], "options": options}),
        ]
    return [
        f"  # No profile fits unit {found.unit}: `hazgate read` and `guess` find its channels.",
        *_commented({**own, "options": options, "channels": []}),
    ]


def _commented(value: Mapping[str, Any]) -> list[str]:
    return [f"  # {line}" for line in item(value, "")]


def of_channel(
    table: str, guess: Guess | None, address: int, unit: str = "", full_scale: float | None = None
) -> list[str]:
    """Return a channel's lines for a guess, or a pattern to be filled in where there is none."""
    options: dict[str, Any] = {"table": table, "address": guess.address if guess else address}
    if table in ("holding", "input"):
        options["type"] = guess.type if guess else "uint16"
    if guess and guess.order != "ABCD":
        options["order"] = guess.order
    if guess and guess.scale != 1:
        options["scale"] = guess.scale
    channel: dict[str, Any] = {"id": "value", "unit": unit}
    if full_scale is not None and gas_unit(unit) is not None:
        # Concentrations begin at nought; where others begin is not known here.
        channel["range"] = [0, round(full_scale) if full_scale == round(full_scale) else full_scale]
    return item({**channel, "options": options}, "      ")


def instrument(endpoint: str, unit: int, line: LineSettings | None, channels: Iterable[str]) -> str:
    """Return a connection and an instrument around channels' lines."""
    options = {"endpoint": endpoint, **_unusual(line)}
    bus = "line1" if line else "net1"
    return "\n".join(
        [
            "connections:",
            *item({"id": bus, "type": "modbus", "options": options}),
            "instruments:",
            f"  - id: unit-{unit}",
            f"    connection: {bus}",
            f"    options: {flow({'unit': unit})}",
            "    channels:",
            *channels,
        ]
    )
