"""Knows messages that have come before: a network server sends one again, or two gateways hear the same frame."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence

from drivers.mqtt.paths import Path
from gateway.core.clock import NS_PER_S

KNOWN_MAX = 1_000
"""Keys that are remembered of one topic; beyond it the oldest is forgotten."""
TEXT_MAX = 1_024
"""Characters of a text that may be part of a key."""


class Repeats:
    """The keys of the messages on one topic in the last while.

    Args:
        keys: Lists of places, each a key of its own.
        window_s: How long a key is known.
    """

    def __init__(self, keys: Sequence[Sequence[str]], window_s: float) -> None:
        self._keys = [tuple(Path(text) for text in key) for key in keys]
        self._window_ns = round(window_s * NS_PER_S)
        self._known: OrderedDict[Hashable, int] = OrderedDict()

    def __bool__(self) -> bool:
        """Whether there are keys at all."""
        return bool(self._keys)

    def known(self, document: object, arrival_ns: int) -> bool:
        """Return whether the message has come before, and remember it; a key with a part missing says nothing."""
        found = [key for i, paths in enumerate(self._keys) if (key := _key(i, paths, document)) is not None]
        self._forget(arrival_ns)
        seen = any(key in self._known for key in found)
        for key in found:
            self._known.setdefault(key, arrival_ns)
        return seen

    def _forget(self, now_ns: int) -> None:
        """Let go of what is too old, or from a future that a clock set back has left behind."""
        while self._known:
            key, then_ns = next(iter(self._known.items()))
            if len(self._known) < KNOWN_MAX and 0 <= now_ns - then_ns <= self._window_ns:
                return
            del self._known[key]


def _key(index: int, paths: Sequence[Path], document: object) -> Hashable | None:
    parts: list[Hashable] = [index]
    for path in paths:
        raw = path.one(document)
        if (type(raw) is str and len(raw) <= TEXT_MAX) or type(raw) is int or type(raw) is float:
            parts.append(raw)
        else:
            return None
    return tuple(parts)
