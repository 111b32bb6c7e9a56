"""What commissioning has found, as YAML for a site file."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def item(value: Mapping[str, Any], indent: str = "  ", width: int = WIDTH) -> list[str]:
    """Return an entry of a list: on one line where it fits, else one line a key.

    >>> item({"id": "line1", "type": "modbus"})
    ['  - {id: line1, type: modbus}']
    """
    line = f"{indent}- {flow(value)}"
    if len(line) <= width:
        return [line]
    lines = [f"{indent}  {flow(str(key))}: {flow(part)}" for key, part in value.items()]
    return [f"{indent}- {lines[0].lstrip()}", *lines[1:]]


def of_finds(finds: Sequence[Found], paths: Mapping[str, str]) -> str:
    """Return connections and instruments for what a scan has found; what is not sure is commented out.

    A port can be opened once, and with one setting: the first that an instrument answered at. Where others answer is
    told in a comment.

    Args:
        finds: What was found.
        paths: Endpoints and what to write in their place: a port's stable name.
    """
    lines: dict[str, LineSettings | None] = {}
    for found in finds:
        lines.setdefault(found.endpoint, found.line)
    names: dict[str, str] = {}
    for endpoint, line in lines.items():
        kind = "line" if line else "net"
        names[endpoint] = f"{kind}{1 + sum(name.startswith(kind) for name in names.values())}"
    text = ["connections:"]
    for endpoint, line in lines.items():
        options = {"endpoint": paths.get(endpoint, endpoint), **_unusual(line)}
        text += item({"id": names[endpoint], "type": "modbus", "options": options})
    text.append("instruments:")
    for found in finds:
        if found.line == lines[found.endpoint]:
            text += _instrument(found, names[found.endpoint])
    return "\n".join([*text, *_elsewhere(finds, lines)])


def _elsewhere(finds: Sequence[Found], lines: Mapping[str, LineSettings | None]) -> Iterator[str]:
    """Yield what has answered with other settings than the line's."""
    here = {(found.endpoint, found.unit) for found in finds if found.line == lines[found.endpoint]}
    others: dict[tuple[str, LineSettings | None, bool], list[int]] = {}
    for found in finds:
        if found.line != lines[found.endpoint]:
            key = (found.endpoint, found.line, (found.endpoint, found.unit) in here)
            others.setdefault(key, []).append(found.unit)
    for (endpoint, line, too), units in others.items():
        which = f"{'Unit' if len(units) == 1 else 'Units'} {', '.join(map(str, units))}"
        verb = "answers" if len(units) == 1 else "answer"
        if too:
            yield f"  # {which} {verb} at {line} too."
        else:
            yield f"  # {which} {verb} at {line} only, and a line has one setting: set to {lines[endpoint]}."


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
        f"  # Unit {found.unit} was not recognised: take its profile by its type plate,",
        "  # or find its channels with `hazgate read` and `hazgate guess`.",
        *_commented({**own, "options": options, "channels": []}),
    ]


def _commented(value: Mapping[str, Any]) -> list[str]:
    return [f"  # {line}" for line in item(value, "", WIDTH - len("  # "))]


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
