"""Names of accounts: what one may be, and when two are the same."""

import unicodedata
from typing import Final

NAME_MAX: Final = 64
_RESERVED: Final = frozenset({"local", "signal", "anybody", "gateway", "hazgate"})
"""Names that the journal uses for others than people."""
_FORBIDDEN: Final = frozenset('/\\?#%"<>')
_INVISIBLE: Final = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0})
"""Letters and marks without a picture; format characters (category Cf) are told by their category."""
_LOOK_ALIKE: Final = ("LATIN", "CYRILLIC", "GREEK")


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
        ValueError: It is none; the message says why.
    """
    text = unicodedata.normalize("NFC", name.strip())
    if not 1 <= len(text) <= NAME_MAX:
        raise ValueError(f"a name has 1 to {NAME_MAX} characters, not {len(text)}")
    _check_characters(text, _FORBIDDEN)
    if key_of(text) in _RESERVED:
        raise ValueError(f"{text!r} is not for people: the journal uses it")
    scripts = {script for script in _LOOK_ALIKE for char in text if unicodedata.name(char, "").startswith(script)}
    if len(scripts) > 1:
        # Such a name can look exactly like another person's.
        raise ValueError(f"{text!r} mixes letters that look alike: {', '.join(sorted(scripts)).lower()}")
    return text


def checked_display_name(name: str, otherwise: str) -> str:
    """Return a name for the screen, on one line; `otherwise` where it is empty. Raises ValueError."""
    text = unicodedata.normalize("NFC", name.strip())
    if len(text) > NAME_MAX:
        raise ValueError(f"a display name has at most {NAME_MAX} characters, not {len(text)}")
    _check_characters(text, frozenset())
    return text or otherwise


def _check_characters(text: str, forbidden: frozenset[str]) -> None:
    for char in text:
        kind = unicodedata.category(char)
        blank = kind[0] in "CZ" and char != " "
        if blank or char in forbidden or ord(char) in _INVISIBLE or _is_variation(char):
            raise ValueError(f"a name has no {unicodedata.name(char, f'U+{ord(char):04X}').lower()}")


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
