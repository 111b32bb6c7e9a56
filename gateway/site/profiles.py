"""Profiles: what the models of instruments say and where, one YAML file each, shipped or beside the site file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ValidationError

from gateway.core.errors import ConfigError, SiteFileError
from gateway.registry import Kind, load
from gateway.site.document import Document, parse
from gateway.site.examples import shipped
from gateway.site.explain import problems
from gateway.site.schema import ChannelSection

if TYPE_CHECKING:  # its models take as long to make as all others of a site file together, and most sites have none
    from gateway.site.profile_schema import IdentifySection, ProfileFile

ALIASES = re.compile(r"^aliases: *\[([^\]]*)\]", re.MULTILINE)
"""Shipped profiles write their aliases in one line, so that finding one needs no parsing of all files."""
OF_PROFILES_ONLY = frozenset({"extra", "stride"})
"""Keys of a profile's channel that a site file's channel does not have."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A channel as the profile has it, already checked: instruments that change nothing of it share it."""

    section: ChannelSection
    options: BaseModel


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile, checked.

    Attributes:
        file: Its sections.
        document: Its data as written, and its text, which knows the lines.
        ready: Its channels, in the order of the file.
    """

    file: "ProfileFile"
    document: Document = field(repr=False)
    ready: tuple[Ready, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """The name it gives itself."""
        return self.file.profile

    @property
    def identify(self) -> "IdentifySection | None":
        """What a scan knows it by."""
        return self.file.identify


def load_profile(name: str, folder: Path) -> Profile:
    """Return a profile.

    Args:
        name: A shipped one's name or alias, or a file as `./mine.yaml`.
        folder: What a file's name starts at: the site file's folder.

    Raises:
        ConfigError: There is no such profile; the path is empty.
        SiteFileError: All that is wrong in its file, one line a problem.
    """
    if "/" in name or name.endswith((".yaml", ".yml")):
        path = folder / name
        if not path.is_file():
            raise ConfigError((), f"there is no file {path}")
        return read_profile(path)
    return _shipped(name)


def profile_names() -> list[str]:
    """Return the names of the shipped profiles."""
    return sorted(path.stem for path in shipped("profiles").glob("*.yaml"))


def shipped_profiles() -> list[Profile]:
    """Return all shipped profiles, by name; takes a second the first time."""
    return [_shipped(name) for name in profile_names()]


@cache
def _shipped(name: str) -> Profile:
    path = shipped("profiles", f"{name}.yaml")
    if not path.is_file():
        aliases = _aliases()
        if name not in aliases:
            known = [*profile_names(), *aliases]
            parts = [each for each in known if name in each.split("-")][:3]
            near = parts or get_close_matches(name, known, n=3, cutoff=0.4)
            hint = f"; did you mean {' or '.join(near)}?" if near else "; `hazgate profiles` lists them"
            raise ConfigError((), f"there is no profile {name!r}{hint}")
        return _shipped(aliases[name])
    return read_profile(path)


def _aliases() -> dict[str, str]:
    """Return the shipped profiles' names by their aliases."""
    found = {}
    for path in sorted(shipped("profiles").glob("*.yaml")):
        match = ALIASES.search(path.read_text(encoding="utf-8"))
        names = match[1].split(",") if match else []
        found.update({alias.strip(): path.stem for alias in names if alias.strip()})
    return found


def read_profile(path: Path) -> Profile:
    """Read and check a profile file. Raises SiteFileError with every mistake's line."""
    from gateway.site.profile_schema import ProfileFile  # noqa: PLC0415 - a site without profiles needs none of it

    document = parse(path, "a profile is a mapping with the key `profile`")
    try:
        file = ProfileFile.model_validate(document.data)
    except ValidationError as error:
        mistakes = [*problems(ProfileFile, error), *_options_as_written(document)]
        raise SiteFileError(document.lines(mistakes)) from error
    found: list[ConfigError] = []
    ready: tuple[Ready, ...] = ()
    try:
        ready = _ready(file, document, load(Kind.DRIVER, file.driver), found)
    except ConfigError as error:
        found.append(ConfigError(("driver",), error.problem))
    if found:
        raise SiteFileError(document.lines(found))
    return Profile(file, document, ready)


def _options_as_written(document: Document) -> Iterator[ConfigError]:
    """Yield what the driver finds wrong in a file whose own keys are wrong: whoever mends it sees all at once."""
    data, folder = document.data, document.path.parent
    if not isinstance(data.get("driver"), str):
        return
    try:
        module = load(Kind.DRIVER, data["driver"])
    except ConfigError as error:
        yield ConfigError(("driver",), error.problem)
        return
    channels = data.get("channels")
    parts: list[tuple[type[BaseModel], Any, tuple[str | int, ...]]] = [(module.InstrumentOptions, data, ())]
    for i, channel in enumerate(channels if isinstance(channels, list) else ()):
        parts.append((module.ChannelOptions, channel, ("channels", i)))
    for model, section, path in parts:
        values = section.get("options") if isinstance(section, dict) else None
        if isinstance(values, dict):
            try:
                model.model_validate(values, context={"folder": folder})
            except ValidationError as error:
                yield from (problem.under(*path, "options") for problem in problems(model, error))


def _ready(file: "ProfileFile", document: Document, module: ModuleType, found: list[ConfigError]) -> tuple[Ready, ...]:
    """Check what only the driver understands, and return the channels."""
    folder = document.path.parent
    sections = document.data.get("channels") or []

    def options(model: type[BaseModel], values: dict[str, Any], *path: str | int) -> BaseModel | None:
        try:
            return model.model_validate(values, context={"folder": folder})
        except ValidationError as error:
            found.extend(problem.under(*path) for problem in problems(model, error))
            return None

    options(module.InstrumentOptions, file.options, "options")
    found.extend(_strangers(file))
    ready = [options(module.ChannelOptions, c.options, "channels", i, "options") for i, c in enumerate(file.channels)]
    if file.point is not None:
        for k, written in enumerate(document.data["point"]["channels"]):
            values = point_channel(written, file.point.first, file.point.first).get("options", {})
            options(module.ChannelOptions, values, "point", "channels", k, "options")
        for k, values in enumerate(file.point.status):
            word = {"status": [point_word(values, file.point.first, file.point.first)]}
            before = len(found)
            options(module.InstrumentOptions, {**file.options, **word})
            found[before:] = [
                ConfigError(("point", "status", k, *p.path[2:]), p.problem)
                for p in found[before:]
                if p.path[:1] == ("status",)
            ]
    return tuple(
        Ready(ChannelSection.model_validate(plain(written)), made)
        for written, made in zip(sections, ready, strict=True)
        if made is not None
    )


def _strangers(file: "ProfileFile") -> Iterator[ConfigError]:
    """Yield what the profile's words say of channels that it does not have."""
    names = {channel.id for channel in file.channels}
    words: list[tuple[tuple[str | int, ...], Any]] = [
        (("options", "status", i), word) for i, word in enumerate(file.options.get("status") or ())
    ]
    words.append((("options", "heartbeat"), file.options.get("heartbeat")))
    for path, word in words:
        for k, name in enumerate(word.get("channels") or () if isinstance(word, dict) else ()):
            if name not in names:
                yield ConfigError((*path, "channels", k), f"{name!r} is no channel of the profile")


def plain(channel: dict[str, Any]) -> dict[str, Any]:
    """Return a profile's channel as a site file would have it."""
    return {key: value for key, value in channel.items() if key not in OF_PROFILES_ONLY}


def point_channel(written: dict[str, Any], first: int, n: int) -> dict[str, Any]:
    """Return a channel of point `n`: its number in the texts, its own addresses in the options."""
    shift = written.get("stride", 1) * (n - first)
    channel = {key: _numbered(value, n) if isinstance(value, str) else value for key, value in plain(written).items()}
    return {**channel, "options": _shifted(written.get("options") or {}, shift)}


def point_word(written: dict[str, Any], first: int, n: int) -> dict[str, Any]:
    """Return a status word of point `n`."""
    word: dict[str, Any] = _shifted(plain(written), written.get("stride", 1) * (n - first))
    return {**word, "channels": [_numbered(name, n) for name in word.get("channels", ())]}


def _numbered(text: str, n: int) -> str:
    from gateway.site.profile_schema import PLACES  # noqa: PLC0415 - as above

    for place, value in zip(PLACES, (n, n >> 8, n & 0xFF), strict=True):
        text = text.replace(place, str(value))
    return text


def _shifted(options: Any, shift: int) -> Any:
    """Return options with every `address` in them moved."""
    if not isinstance(options, dict):
        return options
    return {
        key: value + shift if key == "address" and isinstance(value, int) else _shifted(value, shift)
        for key, value in options.items()
    }


@dataclass(frozen=True, slots=True)
class Doubt:
    """What nobody has verified of an instrument that is read by a profile.

    Attributes:
        instrument: The instrument's id.
        profile: The profile's name.
        what: What is uncertain.
        why: Why it is.
        check: How to find out on site.
    """

    instrument: str
    profile: str
    what: str
    why: str
    check: str


class Documented(Protocol):
    """What `doubts` asks of a site."""

    @property
    def document(self) -> Document:
        """The site file, with its text."""
        ...


def doubts(site: Documented) -> list[Doubt]:
    """Return what is uncertain of a site's instruments and what its file does not settle.

    Args:
        site: A checked site, not yet lean: a lean one has no text and no doubts.
    """
    document = site.document
    data = document.again()
    written = data.get("instruments") if isinstance(data, dict) else None
    lines = {c.get("id"): c.get("options") or {} for c in (data.get("connections") or []) if isinstance(c, dict)}
    return [
        doubt
        for instrument in written or ()
        if isinstance(instrument, dict) and instrument.get("profile")
        for doubt in _doubts(instrument, lines.get(instrument.get("connection"), {}), document.path.parent)
    ]


def _doubts(instrument: dict[str, Any], line: dict[str, Any], folder: Path) -> Iterator[Doubt]:
    profile = load_profile(instrument["profile"], folder)
    name = instrument["id"]
    for item in profile.file.uncertain:
        if not item.settled_by or not all(_written(instrument, key) for key in item.settled_by):
            yield Doubt(name, profile.name, item.what, item.why, item.check)
    factory = profile.file.line
    baud = line.get("baud", 9600)
    if factory.baud is not None and str(line.get("endpoint", "")).startswith("rtu:") and baud != factory.baud:
        yield Doubt(
            name,
            profile.name,
            "line speed",
            f"it leaves the factory with {factory.baud} baud, the line runs with {baud}",
            "set the instrument to the line's speed",
        )


def _written(instrument: dict[str, Any], key: str) -> bool:
    """Whether a site file's instrument has a key such as `options.order` or `channels.gas.unit`."""
    here: Any = instrument
    for part in key.split("."):
        if isinstance(here, list):
            here = next((item for item in here if isinstance(item, dict) and item.get("id") == part), None)
        elif isinstance(here, dict) and part in here:
            here = here[part]
        else:
            return False
    return here is not None
