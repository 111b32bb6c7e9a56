"""Topic filters: whether one is well formed, which topics it matches, and which filters must be subscribed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar

from paho.mqtt.matcher import MQTTMatcher
from pydantic import AfterValidator

TOPIC_BYTES_MAX = 65_535
CACHED_TOPICS_MAX = 4_096
"""Topics whose matches are remembered; a flood of new topics empties the memory instead of filling the machine's."""

NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")

END = "\0"
"""Marks where a filter ends; no level holds this character."""

T = TypeVar("T")
Levels = dict[str, Any]


def check_filter(text: str) -> str:
    """Return the filter.

    Raises:
        ValueError: It breaks the rules of MQTT 5.0, 4.7 (the same in 3.1.1).
    """
    levels = text.split("/")
    if not text or "\0" in text or len(text.encode()) > TOPIC_BYTES_MAX:
        raise ValueError(f"{text[:80]!r} is no topic filter: it is empty, too long or holds a null character")
    if any(("+" in level or "#" in level) and len(level) > 1 for level in levels) or "#" in levels[:-1]:
        raise ValueError(f"{text!r} is no topic filter: + stands alone between slashes, # alone at the end")
    if levels[0] == "$share" and (len(levels) < 3 or not levels[1] or levels[1] in {"+", "#"}):  # $share/group/filter
        raise ValueError(f"{text!r} is no shared subscription: write $share/group/filter")
    return text


def _template(text: str) -> str:
    if text:
        check_filter(NAME.sub("x", text))
    return text


def _suffix(text: str) -> str:
    if text.startswith("/"):
        raise ValueError(f"{text!r} begins with a slash; the slash after the topic is put in by itself")
    return _template(text)


Template = Annotated[str, AfterValidator(_template)]
"""A topic filter in options, in which `{name}` stands for what the instrument's `fill` says; or nothing."""
Suffix = Annotated[str, AfterValidator(_suffix)]
"""The end of one."""


def filled(template: str, fill: Mapping[str, str]) -> str:
    """Return a topic filter with its names replaced.

    Raises:
        KeyError: A name that `fill` lacks.
        ValueError: The result is no topic filter.

    >>> filled("zigbee2mqtt/{name}/availability", {"name": "kitchen-1"})
    'zigbee2mqtt/kitchen-1/availability'
    """
    return check_filter(NAME.sub(lambda found: fill[found[1]], template))


def check_group(text: str) -> str:
    """Return the name of a group of subscribers. Raises ValueError where it breaks MQTT 5.0, 4.8.2."""
    if any(character in text for character in "/+#\0"):
        raise ValueError(f"{text!r} is no name of a group: it holds no /, + or #")
    return text


def unshared(text: str) -> str:
    """Return what a filter matches, without the group of a shared subscription.

    >>> unshared("$share/gateways/gas/+")
    'gas/+'
    """
    return text.split("/", 2)[2] if text.startswith("$share/") else text


def covers(wide: str, narrow: str) -> bool:
    """Whether every topic that `narrow` matches is matched by `wide`.

    >>> covers("gas/#", "gas/+/co"), covers("gas/+", "gas/#"), covers("+/a", "$SYS/a")
    (True, False, False)
    """
    if narrow.startswith("$") != wide.startswith("$"):
        return False
    left, right = wide.split("/"), narrow.split("/")
    for i, level in enumerate(left):
        if level == "#":
            return True
        if i >= len(right) or right[i] == "#" or (level not in {"+", right[i]}):
            return False
    return len(left) == len(right)


class Wide:
    """Filters with wildcards, kept by level, so that thousands of others can be compared with thousands of them.

    Args:
        filters: Filters, of which those without wildcards, and shared subscriptions, cover no other.
    """

    def __init__(self, filters: Iterable[str]) -> None:
        self._root: Levels = {}
        for text in filters:
            if ("+" in text or "#" in text) and not text.startswith("$share/"):
                here = self._root
                for level in text.split("/"):
                    here = here.setdefault(level, {})
                here[END] = {}

    def covers(self, text: str) -> bool:
        """Whether one of them, other than the filter itself, matches all that it matches."""
        return self._search(self._root, text.split("/"), 0, same=True)

    def _search(self, here: "Levels", levels: Sequence[str], at: int, *, same: bool) -> bool:
        """Look below one node; `same` says that so far the way is the filter's own text."""
        system = at == 0 and levels[0].startswith("$")  # which no wildcard matches
        if "#" in here and not system and not (same and at == len(levels) - 1 and levels[at] == "#"):
            return True
        if at == len(levels):
            return END in here and not same
        level = levels[at]
        if level == "#":
            return False
        if level != "+" and level in here and self._search(here[level], levels, at + 1, same=same):
            return True
        return "+" in here and not system and self._search(here["+"], levels, at + 1, same=same and level == "+")


def subscriptions(filters: Iterable[str]) -> list[str]:
    """Return the fewest filters that bring everything: a broker may send a message once for each that matches."""
    unique = list(dict.fromkeys(filters))
    wide = Wide(unique)
    return [text for text in unique if text.startswith("$share/") or not wide.covers(text)]


class Routes(Generic[T]):
    """Finds what belongs to a topic: exact topics in a dict, wildcards in a trie, both remembered by topic.

    Args:
        targets: Filters (as subscribed) and what each leads to; a filter may occur more than once.
    """

    def __init__(self, targets: Sequence[tuple[str, T]]) -> None:
        self._targets = [(unshared(text), target) for text, target in targets]
        self._exact: dict[str, list[int]] = {}
        self._wild = MQTTMatcher()  # type: ignore[no-untyped-call]  # paho has no types here
        wild: dict[str, list[int]] = {}
        for i, (text, _) in enumerate(self._targets):
            group = wild if "+" in text or "#" in text else self._exact
            group.setdefault(text, []).append(i)
        for text, found in wild.items():
            self._wild[text] = found
        self._known: dict[bytes, tuple[str, tuple[T, ...]]] = {}

    def find(self, topic: bytes) -> tuple[str, tuple[T, ...]]:
        """Return the topic as text and its targets in the order they were given, none where nobody wants it."""
        known = self._known.get(topic)
        return known if known is not None else self._remember(topic)

    def behind(self, subscribed: str) -> list[T]:
        """Return the targets whose filters a subscription was to serve."""
        wide = unshared(subscribed)
        if wide in self._exact:
            return [self._targets[i][1] for i in self._exact[wide]]
        return [target for text, target in self._targets if text == wide or covers(wide, text)]

    def _remember(self, topic: bytes) -> tuple[str, tuple[T, ...]]:
        text = topic.decode("utf-8", "backslashreplace")
        found = list(self._exact.get(text, ()))
        for group in self._wild.iter_match(text):  # type: ignore[no-untyped-call]  # as above
            found += group
        if len(self._known) >= CACHED_TOPICS_MAX:
            self._known.clear()
        self._known[topic] = text, tuple(self._targets[i][1] for i in sorted(found))
        return self._known[topic]
