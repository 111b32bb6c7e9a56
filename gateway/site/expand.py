"""An instrument of the site file and its profile made one section, and back: who wrote what of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from gateway.core.errors import ConfigError, SiteFileError
from gateway.site.document import Document
from gateway.site.profiles import Profile, Ready, load_profile, plain, point_channel, point_word
from gateway.site.schema import read_points

Path = tuple[str | int, ...]
FROM_PROFILE = ("profile", "points", "omit", "channels")
"""Keys of the site file's instrument that are not simply laid over the profile's."""


class Entry(NamedTuple):
    """A channel of an expanded instrument.

    Attributes:
        section: The channel as a site file would have it; not yet checked.
        ready: The same as the profile has it, checked, where the site file changes nothing of it.
        mine: Where it stands in the profile, empty where the site file alone has it.
        site: Its number in the site file, or None where the profile alone has it.
    """

    section: Any
    ready: Ready | None = None
    mine: Path = ()
    site: int | None = None


@dataclass(frozen=True, slots=True)
class Expanded:
    """An instrument with its profile's contents.

    Attributes:
        section: The instrument as a site file would have it, without channels.
        channels: Its channels: the profile's in its order, then the panel's points, then the site file's own.
        problems: What of `points` and `omit` cannot be; the paths start at the instrument.
    """

    section: dict[str, Any]
    channels: tuple[Entry, ...]
    problems: tuple[ConfigError, ...]


def expand(profile: Profile, written: dict[str, Any], points: tuple[int, ...]) -> Expanded:
    """Lay an instrument of the site file over its profile.

    Args:
        profile: Its profile.
        written: The instrument as the site file has it; only `channels` needs to be a list.
        points: Its `points`, as numbers.
    """
    problems: list[ConfigError] = []
    points = _allowed(profile, points, problems)
    channels = _channels(profile, written, points, problems)
    under = {key: profile.document.data[key] for key in ("period_s", "options") if key in profile.document.data}
    if points and profile.file.point is not None and profile.file.point.status:
        under["options"] = _with_words(profile, points)
    if "options" in under:
        under["options"] = _of_channels(under["options"], {_name(entry.section) for entry in channels})
    over = {key: value for key, value in written.items() if key not in FROM_PROFILE}
    return Expanded({"profile": profile.name, **merged(under, over)}, channels, tuple(problems))


def _name(section: Any) -> str:
    return str(section.get("id")) if isinstance(section, dict) else ""


def _of_channels(options: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Return a profile's options without what they say of channels that this instrument does not have."""
    kept = {**options}
    if isinstance(options.get("status"), list):
        kept["status"] = [word for word in (_of(word, names) for word in options["status"]) if word is not None]
    if isinstance(options.get("heartbeat"), dict):
        kept["heartbeat"] = _of(options["heartbeat"], names)
    return kept


def _of(word: dict[str, Any], names: set[str]) -> dict[str, Any] | None:
    spoken_of = word.get("channels")
    if not spoken_of:
        return word
    left = [name for name in spoken_of if name in names]
    return {**word, "channels": left} if left else None


def _allowed(profile: Profile, points: tuple[int, ...], problems: list[ConfigError]) -> tuple[int, ...]:
    point = profile.file.point
    if not points:
        return ()
    if point is None:
        problems.append(ConfigError(("points",), f"the profile {profile.name} describes no points"))
        return ()
    beyond = [n for n in points if not point.first <= n <= point.last]
    if beyond:
        problems.append(ConfigError(("points",), f"{beyond[0]} is no point; there are {point.first} to {point.last}"))
    return tuple(n for n in points if point.first <= n <= point.last)


def _with_words(profile: Profile, points: tuple[int, ...]) -> dict[str, Any]:
    assert profile.file.point is not None
    options = profile.document.data.get("options") or {}
    first = profile.file.point.first
    words = [point_word(word, first, n) for n in points for word in profile.file.point.status]
    return {**options, "status": [*(options.get("status") or ()), *words]}


def _channels(
    profile: Profile, written: dict[str, Any], points: tuple[int, ...], problems: list[ConfigError]
) -> tuple[Entry, ...]:
    asked = _by_id(written.get("channels"))
    omitted = written.get("omit")
    omit = [name for name in omitted if isinstance(name, str)] if isinstance(omitted, list) else []
    found = []
    known = set()
    for section, ready, mine, extra in _offered(profile, points):
        name = section["id"]
        known.add(name)
        site = asked.pop(name, None)
        if name in omit or (extra and site is None):
            continue
        if site is None:
            found.append(Entry(section, ready, mine, None))
        else:
            found.append(Entry(merged(section, written["channels"][site]), None, mine, site))
    problems.extend(
        ConfigError(("omit", k), f"{name!r} is no channel of {profile.name}")
        for k, name in enumerate(omit)
        if name not in known
    )
    taken = {entry.site for entry in found}
    own = written.get("channels")
    return (
        *found,
        *(
            Entry(section, None, (), k)
            for k, section in enumerate(own if isinstance(own, list) else ())
            if k not in taken
        ),
    )


def _by_id(sections: Any) -> dict[str, int]:
    """Return the number of each channel of the site file by its id, the first where two have the same."""
    found: dict[str, int] = {}
    for k, section in enumerate(sections if isinstance(sections, list) else ()):
        if isinstance(section, dict) and isinstance(section.get("id"), str):
            found.setdefault(section["id"], k)
    return found


def _offered(profile: Profile, points: tuple[int, ...]) -> list[tuple[dict[str, Any], Ready | None, Path, bool]]:
    """Return the profile's channels, checked ones, then those of the points, each with its place in the profile."""
    data = profile.document.data
    found: list[tuple[dict[str, Any], Ready | None, Path, bool]] = [
        (plain(section), profile.ready[i], ("channels", i), profile.file.channels[i].extra)
        for i, section in enumerate(data.get("channels") or ())
    ]
    if profile.file.point is not None:
        first = profile.file.point.first
        for n in points:
            for k, section in enumerate(data["point"]["channels"]):
                found.append((point_channel(section, first, n), None, ("point", "channels", k), False))
    return found


def merged(under: Any, over: Any) -> Any:
    """Return `over` laid over `under`: mappings key by key, anything else whole.

    >>> merged({"a": 1, "b": {"c": 2}}, {"b": {"d": 3}})
    {'a': 1, 'b': {'c': 2, 'd': 3}}
    """
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return {**under, **{key: merged(under[key], value) if key in under else value for key, value in over.items()}}


def told(document: Document, problems: list[ConfigError]) -> list[str]:
    """Return each problem of a site with the line of whoever wrote it, the site file or a profile."""
    data = document.again()
    find = cache(lambda name: load_profile(name, document.path.parent))
    lines: dict[int, str] = {}
    own: list[tuple[int, ConfigError]] = []
    for i, problem in enumerate(problems):
        at, found = _written_by(document, data, problem, find)
        if at is document:
            own.append((i, found))
        else:
            lines[i] = at.line(found)
    lines.update(zip([i for i, _ in own], document.lines([p for _, p in own]), strict=True))
    return list(dict.fromkeys(lines[i] for i in range(len(problems))))


def _written_by(
    document: Document, data: Any, problem: ConfigError, find: Callable[[str], Profile]
) -> tuple[Document, ConfigError]:
    """Return the file that a problem stands in, and the problem as seen from that file's root."""
    path = problem.path
    if path[:1] != ("instruments",) or path[2:3] not in (("channels",), ("options",), ("period_s",)):
        return document, problem
    try:
        instrument = data["instruments"][path[1]]
        profile = find(str(instrument["profile"]))
        points = read_points(instrument.get("points", []))
    except (KeyError, IndexError, TypeError, ValueError, ConfigError, SiteFileError):
        return document, problem
    rest = path[2:]
    if rest[0] == "channels" and len(rest) > 1:
        return _in_channel(document, profile, expand(profile, instrument, points), problem, instrument)
    mine = _in_point_status(profile, rest)
    if mine and not _has(instrument, rest[:2]):
        return profile.document, ConfigError(mine, problem.problem)
    # What neither has is the site file's to add.
    if rest[0] != "channels" and _has(profile.document.data, rest) and not _has(instrument, rest):
        return profile.document, ConfigError(rest, problem.problem)
    return document, problem


def _in_channel(
    document: Document, profile: Profile, expanded: Expanded, problem: ConfigError, instrument: dict[str, Any]
) -> tuple[Document, ConfigError]:
    index, tail = problem.path[3], problem.path[4:]
    if not isinstance(index, int) or index >= len(expanded.channels):
        return document, problem
    entry = expanded.channels[index]
    place: Path = (*entry.mine, *tail)
    if entry.site is None or (
        entry.mine and _has(profile.document.data, place) and not _has(instrument["channels"][entry.site], tail)
    ):
        return profile.document, ConfigError(place, problem.problem)
    return document, ConfigError((*problem.path[:3], entry.site, *tail), problem.problem)


def _in_point_status(profile: Profile, rest: Path) -> Path:
    """Return where a status word of a point stands in the profile, or nothing for any other path."""
    point = profile.file.point
    if rest[:2] != ("options", "status") or len(rest) < 3 or point is None or not isinstance(rest[2], int):
        return ()
    beyond = rest[2] - len((profile.document.data.get("options") or {}).get("status") or ())
    return ("point", "status", beyond % len(point.status), *rest[3:]) if beyond >= 0 and point.status else ()


def _has(data: Any, path: Path) -> bool:
    for key in path:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True
