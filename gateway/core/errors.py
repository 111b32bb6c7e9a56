"""Errors, named by who must act on them; each is caught in exactly one place."""

from collections.abc import Mapping, Sequence


class HazgateError(Exception):
    """Root of every error that the gateway raises on purpose."""


class ConfigError(HazgateError):
    """A site file or an option that cannot be used; the person who wrote it must act.

    Raised by site loading and by a plugin's `create`; caught by the command line, which prints it and ends with 78.

    Args:
        path: Where the value stands, as keys and list indexes from the nearest known root, e.g. `("options", "high")`.
            Whoever catches it on the way up puts its own keys in front with `under`.
        problem: What is wrong and what is allowed, in one line without the place.
    """

    def __init__(self, path: Sequence[str | int], problem: str) -> None:
        self.path = tuple(path)
        self.problem = problem
        super().__init__(f"{dotted(self.path)}: {problem}" if self.path else problem)

    def under(self, *keys: str | int) -> "ConfigError":
        """Return the same problem as seen from further up, with `keys` in front of its path."""
        return ConfigError((*keys, *self.path), self.problem)


class SiteFileError(HazgateError):
    """All problems of one site file, each line already in the form `site.yaml:14:7: rules[2].options.high: …`."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(lines))


class NotConnectedError(HazgateError):
    """The instrument, bus or broker cannot be reached; the supervisor backs off and calls `connect` again.

    Args:
        endpoint: What could not be reached.
        reason: Why, in the system's or the peer's words.
        retry_s: Longest wait before the next attempt that makes sense, where trying costs nothing and a return should
            be noticed soon (a serial adapter that was pulled out); None leaves it to the supervisor's back-off.
    """

    def __init__(self, endpoint: str, reason: str = "", retry_s: float | None = None) -> None:
        self.endpoint = endpoint
        self.reason = reason
        self.retry_s = retry_s
        super().__init__(f"{endpoint}: {reason}" if reason else endpoint)


class OutputError(HazgateError):
    """An output could not be switched, or does not read back as it was switched; it becomes a system alarm.

    Args:
        output: The output's id.
        reason: What happened, in one line.
    """

    def __init__(self, output: str, reason: str) -> None:
        self.output = output
        self.reason = reason
        super().__init__(f"{output}: {reason}")


class EndOfRecordingError(HazgateError):
    """A driver that replays a recording has no more readings; the supervisor lets its task end."""


class UnavailableError(HazgateError):
    """The peer cannot take items now; the outbox keeps them and tries again.

    Args:
        reason: The peer's words, or the transport's.
        retry_after_s: Seconds the peer asked to be left alone, or None where it did not say.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(reason)


class RejectedError(HazgateError):
    """The peer refuses some items for ever; they go to dead letters, the rest counts as delivered.

    Args:
        reasons: The refused items' indexes in the written list, each with the peer's words.
    """

    def __init__(self, reasons: Mapping[int, str]) -> None:
        self.reasons = dict(reasons)
        super().__init__(f"{len(self.reasons)} refused, first: {next(iter(self.reasons.values()), '')}")


class StorageError(HazgateError):
    """The machine's own disk refuses; alarms go on from memory and say that they are not on disk."""


class CommandRefusedError(HazgateError):
    """A command that the alarm's present state does not allow; the person who gave it must act.

    Args:
        reason: One sentence that names the alarm, its state and what would be allowed.
    """


class OutdatedOrderError(CommandRefusedError):
    """An order about an alarm that is no longer what its giver had on the screen."""


class IncompleteOrderError(CommandRefusedError):
    """An order that lacks a name, a reason, a note or a time."""


class UnknownAlarmError(CommandRefusedError):
    """A command that names an alarm that does not exist."""


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as people write it.

    >>> dotted(("rules", 2, "options", "high"))
    'rules[2].options.high'
    """
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text
