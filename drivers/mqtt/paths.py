"""Places in a JSON document, written as `data.readings[*].value`."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

Step = str | int | None
"""A key, a list index, or None for `[*]`: every item of a list."""

STEPS_MAX = 32
TOKEN = re.compile(r'\.?(?P<key>[^.\[\]"]+)|\[(?P<index>[0-9]{1,6})\]|\[(?P<star>\*)\]|\["(?P<quoted>[^"]+)"\]')


class Missing:
    """What a path finds where there is nothing."""

    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = Missing()


def parse(text: str) -> tuple[Step, ...]:
    """Return a path's steps.

    Args:
        text: Keys joined by dots, `[3]` for an item of a list, `[*]` for all of them, `["a.b"]` for a key with
            dots or brackets; `$` alone, or in front, is the document itself.

    Raises:
        ValueError: It is no path, has more than one `[*]`, or more than 32 steps.

    >>> parse("data[0].readings[*].v")
    ('data', 0, 'readings', None, 'v')
    >>> parse("$")
    ()
    """
    steps: list[Step] = []
    at = 1 if text.startswith("$") and text[1:2] in {"", ".", "["} else 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None or (found["key"] and (at == 0) == found[0].startswith(".")):
            raise ValueError(f"{text!r} is no path at {text[at:]!r}; write it like data.readings[*].value")
        steps.append(
            None if found["star"] else int(found["index"]) if found["index"] else found["key"] or found["quoted"]
        )
        at = found.end()
    if not text or len(steps) > STEPS_MAX or steps.count(None) > 1:
        raise ValueError(f"{text!r} is no path: one to {STEPS_MAX} steps with at most one [*] are allowed")
    return tuple(steps)


def _checked(text: str) -> str:
    if text:
        parse(text)
    return text


Place = Annotated[str, AfterValidator(_checked)]
"""A path in options, or nothing."""


def walk(found: object, steps: tuple[Step, ...]) -> object:
    """Return what stands at the end of `steps` (without `[*]`), or MISSING."""
    for step in steps:
        if type(step) is str:
            if type(found) is not dict or (found := found.get(step, MISSING)) is MISSING:
                return MISSING
        elif type(found) is list and type(step) is int and step < len(found):
            found = found[step]
        else:
            return MISSING
    return found


class Path:
    """A place in a document, or, with `[*]`, one place in every item of a list.

    Raises:
        ValueError: The text is no path.
    """

    __slots__ = ("_head", "_tail", "many", "steps", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.steps = parse(text)
        self.many = None in self.steps
        cut = self.steps.index(None) if self.many else len(self.steps)
        self._head = self.steps[:cut]
        self._tail = self.steps[cut + 1 :]

    def one(self, document: object) -> object:
        """Return what stands there, or MISSING; for a path without `[*]`."""
        return walk(document, self._head)

    def every(self, document: object) -> list[object] | Missing:
        """Return what stands there in each item, MISSING where an item lacks it, or MISSING without a list."""
        items = walk(document, self._head)
        if type(items) is not list:
            return MISSING
        return [walk(item, self._tail) for item in items] if self._tail else items
