"""A YAML or JSON text that can tell on which line a value stands."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.core.errors import ConfigError, SiteFileError, dotted

BYTES_MAX = 64 << 20


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file.

    Attributes:
        path: The file.
        data: Plain dicts, lists and scalars.
        text: The text, read again for positions only when something is wrong.
    """

    path: Path
    data: Any
    text: str

    def line(self, problem: ConfigError) -> str:
        """Return a problem as `site.yaml:14:7: rules[2].options.high: …`."""
        return self.lines([problem])[0]

    def lines(self, problems: Iterable[ConfigError]) -> list[str]:
        """Return each problem with its line; the text is read again for its positions once for all of them."""
        tree = _tree(self.text)
        return [self._line(problem, _position(tree, problem.path)) for problem in problems]

    def _line(self, problem: ConfigError, place: tuple[int, int] | None) -> str:
        where = f"{self.path.name}:{place[0]}:{place[1]}" if place else self.path.name
        return f"{where}: {dotted(problem.path)}: {problem.problem}" if problem.path else f"{where}: {problem.problem}"

    def again(self) -> Any:
        """Return the data as written, read from the text once more: loading a site takes `data` apart."""
        try:
            return _data(self.path, self.text) if self.text else self.data
        except SiteFileError:
            return self.data


def parse(path: Path, whole: str = "a site file is a mapping with the key `site`") -> Document:
    """Read a file; JSON by its suffix, else YAML.

    Args:
        path: The file.
        whole: What the file should be, for the message where it is no mapping.

    Raises:
        SiteFileError: The text cannot be read or parsed, or is no mapping.
    """
    try:
        if path.stat().st_size > BYTES_MAX:
            raise SiteFileError([f"{path.name}: larger than {BYTES_MAX >> 20} MiB"])
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SiteFileError([f"{path}: cannot be read: {why}"]) from error
    data = _data(path, text)
    if not isinstance(data, dict):
        raise SiteFileError([f"{path.name}:1:1: {whole}, not {type(data).__name__}"])
    return Document(path, data, text)


def _data(path: Path, text: str) -> Any:
    return _json(path, text) if path.suffix == ".json" else _yaml(path, text)


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise SiteFileError([f"{path.name}:{error.lineno}:{error.colno}: {error.msg}"]) from error


def _yaml(path: Path, text: str) -> Any:
    from ruamel.yaml import YAML  # noqa: PLC0415 - a JSON site file needs none of it
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    try:
        return YAML(typ="safe").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path.name}:{mark.line + 1}:{mark.column + 1}" if mark else path.name
        problem = str(error.problem or error.context or error).splitlines()[0]
        raise SiteFileError([f"{where}: {problem}"]) from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise SiteFileError([f"{path.name}: {str(error).splitlines()[0]}"]) from error


def _tree(text: str) -> Any:
    """Return the text's nodes with their marks, or None where it cannot be parsed."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - only when something is wrong
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        return YAML(typ="rt").load(text)
    except (YAMLError, ValueError, RecursionError):
        return None


def _position(tree: Any, path: tuple[str | int, ...]) -> tuple[int, int] | None:
    """Return line and column, from 1, of the deepest part of `path` that stands in the text."""
    if tree is None:
        return None
    node = tree
    place: tuple[int, int] = (0, 0)
    for key in path:
        marks = getattr(node, "lc", None)
        try:
            found = marks.key(key) if isinstance(node, dict) else marks.item(key)  # type: ignore[union-attr]
            place = place if found is None else found  # an empty mapping has no marks
            node = node[key]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return place[0] + 1, place[1] + 1
