"""Names of accounts: what one may be, and when two are the same."""

import unicodedata
from typing import Final

from gateway.core.model import Reason

NAME_MAX: Final = 64
_RESERVED: Final = frozenset({"local", "signal", "anybody", "gateway", "hazgate"})
"""Names that the journal uses for others than people."""
_FORBIDDEN: Final = frozenset('/\\?#%"<>')
_INVISIBLE: Final = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0})
"""Letters and marks without a picture; format characters (category Cf) are told by their category."""
_LOOK_ALIKE: Final = ("LATIN", "CYRILLIC", "GREEK")


class UnfitError(ValueError):
    """A name or a password that is not good enough.

    Args:
        reason: Why, in both languages; never the password.
    """

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.en)


def key_of(name: str) -> str:
    """Return what two names have in common that are the same to a reader: case, width and composition left out.

    >>> key_of("Wang") == key_of("ＷＡＮＧ") == key_of(" wang "), key_of("Straße") == key_of("STRASSE")
    (True, True)
    """
    text = unicodedata.normalize("NFKD", name.strip()[: NAME_MAX * 4])
    text = unicodedata.normalize("NFKC", text.casefold())
    return unicodedata.normalize("NFKC", text.casefold()).strip()


def checked_name(name: str) -> str:
    """Return a name for an account as it is kept.

    Raises:
        UnfitError: It is none; the message says why.
    """
    text = unicodedata.normalize("NFC", name.strip())
    if not 1 <= len(text) <= NAME_MAX:
        long = (f"a name has 1 to {NAME_MAX} characters, not {len(text)}", f"名称须为 1 至 {NAME_MAX} 个字符")
        raise UnfitError(Reason(*long))
    _check_characters(text, _FORBIDDEN)
    if key_of(text) in _RESERVED:
        raise UnfitError(
            Reason(f"{text!r} is not for people: the journal uses it", f"{text!r} 为日志保留名称，请换一个")
        )
    scripts = {script for script in _LOOK_ALIKE for char in text if unicodedata.name(char, "").startswith(script)}
    if len(scripts) > 1:
        # Such a name can look exactly like another person's.
        mixed = ", ".join(sorted(scripts)).lower()
        raise UnfitError(Reason(f"{text!r} mixes letters that look alike: {mixed}", f"{text!r} 混用了形近的不同文字"))
    return text


def checked_display_name(name: str, otherwise: str) -> str:
    """Return a name for the screen, on one line; `otherwise` where it is empty. Raises UnfitError."""
    text = unicodedata.normalize("NFC", name.strip())
    if len(text) > NAME_MAX:
        long = (f"a display name has at most {NAME_MAX} characters, not {len(text)}", f"显示名最多 {NAME_MAX} 个字符")
        raise UnfitError(Reason(*long))
    _check_characters(text, frozenset())
    return text or otherwise


def _check_characters(text: str, forbidden: frozenset[str]) -> None:
    for char in text:
        kind = unicodedata.category(char)
        blank = kind[0] in "CZ" and char != " "
        if blank or char in forbidden or ord(char) in _INVISIBLE or _is_variation(char):
            called = unicodedata.name(char, f"U+{ord(char):04X}").lower()
            raise UnfitError(Reason(f"a name has no {called}", f"名称中不得含有字符 U+{ord(char):04X}"))


def _is_variation(char: str) -> bool:
    return 0xFE00 <= ord(char) <= 0xFE0F or 0xE0100 <= ord(char) <= 0xE01EF


def hinted(name: str) -> str:
    """Return an unknown name for the journal: its beginning and length only, as people type passwords there by mistake.

    >>> hinted("administrator"), hinted("王")
    ("'adm…' (13 characters)", "'…' (1 character)")
    """
    text = "".join(char if char.isprintable() else "?" for char in name)
    shown = text[: min(3, len(text) // 3)]
    return f"'{shown}…' ({len(text)} character{'' if len(text) == 1 else 's'})"
