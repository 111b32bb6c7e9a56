"""Instruments laid out as a profile says: the readers' own data, turned round by code that no reader has.

A profile tells how registers become values and qualities. Here the same file tells which registers an instrument has:
values go in where they are read, states go in as the raw numbers that mean them.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

import gateway.core
from gateway.core.errors import ConfigError
from simulators.encoding import register_count
from simulators.gases import GASES
from simulators.quantities import HEADS

Data = dict[str, Any]
POINTS_MAX = 2000
_STATES = {
    "warm_up": "warm_up",
    "sensor_fault": "fault",
    "over_range": "over_range",
    "inhibited": "inhibit",
    "calibration": "calibration",
}
"""Qualities that a simulated instrument can be in, and what the simulation calls them."""
_USUAL_GAS = {"combustible": "ch4", "toxic": "co"}
_PHYSICAL_UNITS = ("%LEL", "ppm", "%VOL")
_CONSTANTS = {"voltage": 24.0, "calibration_due": 90.0, "life": 8760.0, "flow": 500.0}
"""What channels show that no physics is behind; others show 0."""
_BEATS_A_STALL = 3.0
_GAP_MAX = 16
"""Registers between two that the profile knows which the instrument has as well: their maps are seldom sparse."""
_TAKEN = ("profile", "points", "alarms", "options", "gaps", "channels")


def laid_out(written: Data, folder: Path) -> Data:
    """Return a scenario's instrument with everything that its profile says of its registers written out.

    Args:
        written: The instrument, with `profile`. Its `channels` say what the profile leaves open (quantity, unit, range,
            noise, …), its `options` what an integrator would settle (`order`, `address_offset`), its `alarms` from
            which value each contact is made; `gaps: refused` leaves out the registers between those it names.
        folder: Where the scenario stands.

    Raises:
        ConfigError: There is no such profile, or it is none of Modbus, or the instrument does not fit it.
    """
    profile = read_profile(str(written["profile"]), folder)
    if profile.get("driver") != "modbus":
        raise ConfigError(("profile",), f"{written['profile']} is no profile of Modbus; a `payload` does its part")
    options = {**(profile.get("options") or {}), **(written.get("options") or {})}
    sections, words = list(profile.get("channels") or ()), list(options.get("status") or ())
    for section, word in _points(profile.get("point"), written.get("points") or ()):
        sections += section
        words += word
    layout = _Layout(options, written.get("channels") or {}, written.get("alarms") or {})
    spoken_of = {name for word in words for name in word.get("channels") or ()}
    found = {
        section["id"]: {
            "apart": bool(spoken_of) and section["id"] not in spoken_of,
            **layout.channel(section, sections),
        }
        for section in sections
    }
    strangers = set(written.get("channels") or {}) - set(found)
    if strangers or not found:
        raise ConfigError(("channels",), f"{sorted(strangers)} are none of {sorted(found)}; a panel needs `points`")
    layout.add_words(words, options.get("heartbeat"))
    layout.add_marks((profile.get("identify") or {}).get("registers") or (), written.get("unit"))
    if written.get("gaps", "zero") != "refused":
        layout.fill_gaps()
    rest = {key: value for key, value in written.items() if key not in _TAKEN}
    return {
        "registers_max": options.get("registers_max", 125),
        "identity": _identity(profile),
        **rest,
        "profile": written["profile"],
        "words": layout.words,
        "spare": layout.spare,
        "channels": found,
    }


def read_profile(name: str, folder: Path) -> Data:
    """Return a profile's data: a file beside the scenario, or a shipped one by name or alias. Raises ConfigError."""
    if "/" in name or name.endswith((".yaml", ".yml")):
        return _read(folder / name)
    shipped = shipped_profiles()
    if name not in shipped:
        raise ConfigError(("profile",), f"there is no profile {name!r}")
    return _read(shipped[name])


@cache
def shipped_profiles() -> Mapping[str, Path]:
    """Return the files of the shipped profiles by name and alias."""
    packages = Path(gateway.core.__file__).parents[2]
    inside = packages / "gateway" / "site" / "shipped" / "profiles"
    folder = inside if inside.is_dir() else packages / "config" / "profiles"
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.yaml")):
        aliases = re.search(r"^aliases: *\[([^\]]*)\]", path.read_text(encoding="utf-8"), re.MULTILINE)
        names = aliases[1].split(",") if aliases else []
        found |= {name.strip(): path for name in (path.stem, *names) if name.strip()}
    return found


@cache
def _read(path: Path) -> Data:
    try:
        data = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(("profile",), f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise ConfigError(("profile",), f"{path} is no profile")
    return data


def _points(point: Data | None, numbers: Any) -> Iterator[tuple[list[Data], list[Data]]]:
    """Yield the channels and the status words of each point of a panel."""
    if not numbers:
        return
    if point is None or len(numbers) > POINTS_MAX:
        raise ConfigError(("points",), f"the profile has no points, or these are more than {POINTS_MAX}")
    first = point.get("first", 1)
    for number in numbers:
        texts = {"{n}": str(number), "{high}": str(number >> 8), "{low}": str(number & 0xFF)}
        yield (
            [_of_point(section, number - first, texts) for section in point["channels"]],
            [_of_point(word, number - first, texts) for word in point.get("status") or ()],
        )


def _of_point(section: Data, steps: int, texts: Mapping[str, str]) -> Data:
    shift = steps * section.get("stride", 1)

    def moved(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: moved(item, name) for name, item in value.items()}
        if isinstance(value, str):
            for place, text in texts.items():
                value = value.replace(place, text)
            return value
        return value + shift if key == "address" else value

    found: Data = moved(section)
    return found


def _identity(profile: Data) -> Data:
    """Return what 43/14 tells of an instrument whose profile is known by it."""
    if not (profile.get("identify") or {}).get("device_identification"):
        return {}
    return {"vendor": str(profile.get("maker", "")), "product": str(profile.get("model", "")), "revision": "1.0"}


class _Layout:
    """The registers of one instrument, as they are gathered from its profile."""

    def __init__(self, options: Data, overrides: Data, alarms: Data) -> None:
        self._order = options.get("order", "ABCD")
        self._offset = int(options.get("address_offset", 0))
        self._overrides, self._alarms = overrides, alarms
        self._held: set[tuple[str, int]] = set()
        self.words: list[Data] = []
        self.spare: dict[str, list[tuple[int, int]]] = {}

    def channel(self, section: Data, all_sections: list[Data]) -> Data:
        """Return a channel of the scenario for a channel of the profile."""
        options, own = section.get("options") or {}, self._overrides.get(section["id"]) or {}
        if _is_contact(section):
            return {**self._place(options, contact=True), **self._contact(section, all_sections), **own}
        quantity, unit = self._measured(section)
        place = self._place(options, contact=False)
        scale, offset = float(options.get("scale", 1.0)), float(options.get("offset", 0.0))
        if quantity not in HEADS:
            self._fix_unit(options.get("unit_from"), unit)
            return {**place, "scale": scale, "offset": offset, "shows": _constant(section), **own}
        self._fix_unit(options.get("unit_from"), unit)
        factor = self._fix_scale(options.get("scale_from"), own.get("resolution", HEADS[quantity].resolution))
        ranged = {} if "quantity" in own or not section.get("range") else {"range": section["range"]}
        special = {value: key for key, value in (options.get("special") or {}).items()}
        raws = {"fault_raw": special.get("sensor_fault"), "warm_up_raw": special.get("warm_up")}
        known = {"quantity": quantity, "unit": unit, "scale": scale * factor, "offset": offset, **ranged, **raws}
        return {**place, **known, **own}

    def add_words(self, words: list[Data], heartbeat: Data | None) -> None:
        """Add the status words and the heartbeat."""
        for word in words:
            values, normal = _raws(word)
            flags = {_STATES[quality]: bit for bit, quality in (word.get("flags") or {}).items() if quality in _STATES}
            self._add(word, values=values, normal=normal, flags=flags)
        if heartbeat is not None:
            self._add(heartbeat, beat_s=float(heartbeat.get("stalls_after_s", 15.0)) / _BEATS_A_STALL)

    def add_marks(self, marks: Any, unit: int | None) -> None:
        """Add the registers by which a scan knows the instrument, where nothing else stands in them."""
        for mark in marks:
            low, high = _span((mark.get("expect") or [0])[0])
            fixed = unit if unit is not None and low <= unit <= high and mark["address"] else low
            for k in range(mark.get("count", 1)):
                if (mark.get("table", "holding"), mark["address"] + k + self._offset) not in self._held:
                    self._add({**mark, "address": mark["address"] + k}, fixed=fixed)

    def fill_gaps(self) -> None:
        """Have the registers between those that are named, where they are few."""
        for table in ("holding", "input"):
            there = {address for held, address in self._held if held == table}
            there |= {address for low, high in self.spare.get(table, ()) for address in range(low, high + 1)}
            for low, high in pairwise(sorted(there)):
                if 1 < high - low <= _GAP_MAX + 1:
                    self.spare.setdefault(table, []).append((low + 1, high - 1))

    def _place(self, options: Data, *, contact: bool) -> Data:
        """Return where a value stands; a bit of a longer type is the bit of the register that it falls into."""
        table = options.get("table", "holding")
        kind: Any = options.get("type") or ("bit" if table in {"coil", "discrete"} else "uint16")
        order, address = options.get("order") or self._order, options["address"] + self._offset
        bit = options.get("bit", (options.get("bits") or [None])[0] if contact else None)
        if bit is not None and kind != "bit":
            count = register_count(kind)
            if count > 1:
                self.spare.setdefault(table, []).append((address, address + count - 1))
            address += count - 1 - bit // 16 if order in {"ABCD", "BADC"} else bit // 16
            bit = bit % 16 ^ (8 if order in {"BADC", "DCBA"} else 0)
            kind = "bit"
        self._held |= {(table, address + k) for k in range(register_count(kind))}
        return {"table": table, "address": address, "type": kind, "order": order, "bit": bit or 0}

    def _measured(self, section: Data) -> tuple[str, str]:
        """Return a channel's quantity and unit in the plant: what the scenario says, else what such a head measures."""
        own, named = self._overrides.get(section["id"]) or {}, str(section.get("quantity", ""))
        quantity = str(own.get("quantity") or _USUAL_GAS.get(named, named))
        unit = str(section.get("unit") or "")
        if quantity in HEADS and (quantity not in GASES or unit not in _PHYSICAL_UNITS or "quantity" in own):
            unit = HEADS[quantity].unit
        return quantity, str(own.get("unit") or unit)

    def _contact(self, section: Data, sections: list[Data]) -> Data:
        """Return what makes a contact: the gas or smoke that it belongs to, from a value on."""
        name = section["id"]
        near = [
            other
            for other in sections
            if name.startswith(f"{other['id']}_") and (not _is_contact(other) or other.get("quantity") == "smoke")
        ]
        of = next(iter(near or [other for other in sections if not _is_contact(other)]), section)
        if section.get("quantity") == "smoke":
            of = section
        quantity, unit = self._measured(of)
        if quantity not in HEADS:
            return {"shows": 0.0, "above": 1.0}
        step, marks = re.search(r"a(\d)(?:_latched)?$", name), HEADS[quantity].marks
        usual = marks[0] if name.endswith("_pre") else marks[min(int(step[1]) if step else len(marks), len(marks)) - 1]
        return {"quantity": quantity, "unit": unit, "above": float(self._alarms.get(name, usual))}

    def _fix_unit(self, word: Data | None, unit: str) -> None:
        """Have a word say a unit; the first it knows where it has none for this."""
        if word is not None:
            raws = {_plain(name): raw for raw, name in word["values"].items()}
            raw = raws.get(_plain(unit), next(iter(word["values"])))
            self._add(word, fixed=int(raw), tells_unit=True)

    def _fix_scale(self, word: Data | None, resolution: float) -> float:
        """Have a word say a number of decimals, the one that shows the head's resolution; return its factor."""
        if word is None:
            return 1.0
        raw, factor = min(word["values"].items(), key=lambda pair: (pair[1] > resolution * 1.001, -pair[1]))
        self._add(word, fixed=int(raw))
        return float(factor)

    def _add(self, word: Data, **said: Any) -> None:
        table = word.get("table", "holding")
        kind: Any = word.get("type") or ("bit" if table in {"coil", "discrete"} else "uint16")
        address = word["address"] + self._offset
        cells = {(table, address + k) for k in range(register_count(kind))}
        if not any(said.values()):
            # It tells nothing that is simulated; it is only there to be read.
            self.spare.setdefault(table, []).append((address, address + register_count(kind) - 1))
            return
        self._held |= cells
        if "bit" in word:
            place = {"shift": word["bit"], "width": 1}
        elif "bits" in word:
            place = {"shift": word["bits"][0], "width": word["bits"][1]}
        else:
            place = {}
        order = word.get("order") or self._order
        self.words.append({"table": table, "address": address, "type": kind, "order": order, **place, **said})


def _is_contact(section: Data) -> bool:
    options = section.get("options") or {}
    if "bit" in options or options.get("table") in {"coil", "discrete"} or section.get("quantity") == "contact":
        return True
    return section.get("quantity") == "smoke" and section.get("decimals") == 0


def _constant(section: Data) -> float:
    low, high = section.get("range") or (float("-inf"), float("inf"))
    return min(max(_CONSTANTS.get(section.get("quantity", ""), 0.0), low), high)


def _plain(unit: str) -> str:
    return unit.replace("³", "3").replace("%RH", "%").casefold()


def _span(text: Any) -> tuple[int, int]:
    low, _, high = str(text).partition("..")
    return int(low), int(high or low)


def _raws(word: Data) -> tuple[dict[str, int], int]:
    """Return the raw number for each state that a status word can tell, and the one for all being well."""
    spans = [(_span(key), quality) for key, quality in (word.get("values") or {}).items()]
    values: dict[str, int] = {}
    for (low, _), quality in spans:
        if quality in _STATES:
            values.setdefault(_STATES[quality], low)
    unlisted = (raw for raw in range(1 << 16) if not any(low <= raw <= high for (low, high), _ in spans))
    good = [low for (low, _), quality in spans if quality == "good"]
    normal = good[0] if good else next(unlisted, 0)
    if word.get("other") in _STATES:
        values.setdefault(_STATES[word["other"]], next(unlisted))
    return values, normal
