"""What people are told: a notice in both languages, how it is cut to a channel's limit, and what a notifier owes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

from pydantic import Field

from gateway.core.plugin import PluginOptions

MORE = "…"
"""What stands where something was cut off."""


class Language(StrEnum):
    """The language of a notifier's messages."""

    ZH = "zh"
    EN = "en"
    BOTH = "both"
    """Chinese first, then English."""


class Text(NamedTuple):
    """One line in both languages; the same where only one is known.

    Attributes:
        zh: In Chinese.
        en: In English.
    """

    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message to people, before it has a channel's form.

    Attributes:
        key: The same key is the same message, sent again: `site:notifier:number`.
        title: What, where and how bad, on one line.
        lines: Everything else, each on a line, the most important first.
        priority: The highest priority of the alarms it speaks of, 1 to 4; 4 for a trial.
        time_ns: When it was made, UTC nanoseconds since 1970.
        link: Where the alarm is found in the console, or empty.
        test: Nothing of it is real: a trial message, or an alarm under test.
    """

    key: str
    title: Text
    lines: tuple[Text, ...] = field(default=())
    priority: int = 4
    time_ns: int = 0
    link: str = ""
    test: bool = False


@runtime_checkable
class Notifier(Protocol):
    """A way to tell people; what a notifier's `create(options, site, clock)` returns.

    Attributes:
        per_minute: Messages that the channel takes in 60 seconds; whoever calls `send` keeps to it.
    """

    per_minute: int

    async def send(self, notice: Notice) -> None:
        """Deliver and return when the channel has said that it took the message. Prompt to cancel.

        Raises:
            UnavailableError: It was not taken, or nobody knows; time or a person can change that. The message is kept.
            RejectedError: The channel refuses this message for ever, in the words given.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; may be called twice, and without a `send`."""
        ...


class NotifierOptions(PluginOptions):
    """What every notifier takes."""

    language: Language = Field(
        default=Language.ZH,
        description="Language of the messages: `zh`, `en` or `both`, Chinese first.",
        examples=["both"],
    )
    timeout_s: float = Field(
        default=10.0, gt=0, le=30, description="Seconds that the channel may take to answer.", examples=[10.0]
    )


def in_language(text: Text, language: Language, between: str = " / ") -> str:
    """Return a line in a notifier's language; in both, once where they are the same.

    >>> in_language(Text("锅炉房", "Boiler room"), Language.BOTH), in_language(Text("CO", "CO"), Language.BOTH)
    ('锅炉房 / Boiler room', 'CO')
    """
    if language is Language.BOTH and text.zh != text.en:
        return between.join(filter(None, text))
    return text.en if language is Language.EN else text.zh


def body(notice: Notice, language: Language) -> list[str]:
    """Return a notice's lines in a language; in both, all in Chinese and then what differs in English."""
    if language is not Language.BOTH:
        return [in_language(line, language) for line in notice.lines]
    zh = [line.zh for line in notice.lines]
    return [*zh, *(line.en for line in notice.lines if line.en != line.zh)]


def plain(notice: Notice, language: Language, bytes_max: int) -> str:
    """Return a notice as plain text: title, lines, link; cut in the middle where it is longer than `bytes_max`."""
    return fitted(in_language(notice.title, language), body(notice, language), notice.link, bytes_max)


def fitted(head: str, lines: Sequence[str], tail: str, bytes_max: int, between: str = "\n") -> str:
    r"""Join a message's parts so that it has at most `bytes_max` bytes of UTF-8.

    Head and tail stay as long as there is room for them; whole lines go first, from the last one on.

    Args:
        head: The title.
        lines: What can be left out.
        tail: The link, or empty.
        bytes_max: Bytes that the channel takes.
        between: What stands between the parts.

    >>> fitted("head", ["one", "two"], "link", 100)
    'head\none\ntwo\nlink'
    >>> fitted("head", ["one", "two", "three"], "link", 17)
    'head\none\n…\nlink'
    """
    whole = between.join((head, *lines, *filter(None, (tail,))))
    if len(whole.encode()) <= bytes_max:
        return whole
    end = [MORE, *filter(None, (tail,))]
    kept: list[str] = []
    used = len(between.join((head, *end)).encode())
    for line in lines:
        used += len((between + line).encode())
        if used > bytes_max:
            break
        kept.append(line)
    text = between.join((head, *kept, *end))
    return text if len(text.encode()) <= bytes_max else cut(text, bytes_max)


def cut(text: str, bytes_max: int) -> str:
    """Return a text's beginning of at most `bytes_max` bytes of UTF-8, whole characters, with `…` where it was cut.

    >>> cut("锅炉房 CO", 9), cut("锅炉房", 9)
    ('锅炉…', '锅炉房')
    """
    raw = text.encode()
    if len(raw) <= bytes_max:
        return text
    room = bytes_max - len(MORE.encode())
    return raw[: max(0, room)].decode(errors="ignore") + (MORE if room >= 0 else "")
