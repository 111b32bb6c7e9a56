"""Changes to a site file's text that leave everything else as it is: comments, order, spaces, style.

A value is put where it stands, a new key beside the others of its mapping. What comes out is read again and must say
exactly what was wanted, so that a file is never written that says something else.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from gateway.core.errors import ConfigError

_SCALAR: Final = re.compile(r"[^,}\]\s#]+")


@dataclass(frozen=True, slots=True)
class Edit:
    """One option of one rule.

    Attributes:
        rule: The rule's place in the file's list.
        option: The option's name.
        value: Its new value.
    """

    rule: int
    option: str
    value: float


def edited(text: str, edits: Sequence[Edit]) -> str:
    """Return a YAML text with options of rules changed or added.

    Raises:
        ConfigError: The text cannot be changed so that it says just that; it must be edited by hand.
    """
    for edit in edits:
        wanted = _data(text)
        options = wanted["rules"][edit.rule].get("options") or {}
        wanted["rules"][edit.rule]["options"] = {**options, edit.option: edit.value}
        text = _one(text, edit)
        if _data(text) != wanted:
            raise ConfigError(("rules", edit.rule, "options", edit.option), f"write {edit.value:g} here by hand")
    return text


def difference(before: str, after: str, path: Path) -> str:
    """Return what changes, as a unified diff."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), path.name, path.name, n=2
    )
    return "".join(lines)


def _data(text: str) -> Any:
    try:
        return YAML(typ="safe").load(text)
    except YAMLError as error:
        raise ConfigError((), f"the text cannot be changed by a program: {error}") from error


def _one(text: str, edit: Edit) -> str:
    tree = YAML(typ="rt").load(text)
    rule = tree["rules"][edit.rule]
    lines = text.splitlines(keepends=True)
    options = rule.get("options")
    if isinstance(options, CommentedMap) and edit.option in options:
        line, column = options.lc.value(edit.option)
        _replace(lines, line, column, number(edit.value))
    elif isinstance(options, CommentedMap) and len(options):
        _add(lines, options, f"{edit.option}: {number(edit.value)}")
    elif "options" in rule:
        line, column = rule.lc.value("options")
        _replace(lines, line, column, f"{{{edit.option}: {number(edit.value)}}}")
    else:
        _add(lines, rule, f"options: {{{edit.option}: {number(edit.value)}}}")
    return "".join(lines)


def number(value: float) -> str:
    """Return a number as people write it.

    >>> number(25.0), number(0.5), number(1e-7)
    ('25', '0.5', '1e-07')
    """
    return f"{value:.10g}"


def _replace(lines: list[str], line: int, column: int, text: str) -> None:
    """Put a text where a scalar, or an empty flow mapping, stands."""
    old = lines[line]
    found = re.compile(r"\{\s*\}").match(old, column) or _SCALAR.match(old, column)
    end = found.end() if found else column
    lines[line] = old[:column] + text + old[end:]


def _add(lines: list[str], mapping: CommentedMap, entry: str) -> None:
    """Put an entry in front of a mapping's last one, which in block style begins a line of its own."""
    last = list(mapping)[-1]
    line, column = mapping.lc.key(last)
    if mapping.fa.flow_style():
        lines[line] = f"{lines[line][:column]}{entry}, {lines[line][column:]}"
    elif lines[line][:column].strip():
        # The only key, behind the dash of its list: the entry goes below it where the value ends on this line.
        lines.insert(line + 1, f"{' ' * column}{entry}\n")
    else:
        lines.insert(line, f"{' ' * column}{entry}\n")
