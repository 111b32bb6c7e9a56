"""Passwords: which are good enough, and how they are kept."""

import re
import secrets
import unicodedata
from typing import TYPE_CHECKING, Final

from gateway.core.model import Reason
from gateway.people.names import UnfitError, key_of

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LENGTH_MIN: Final = 10
BYTES_MAX: Final = 256
CHARACTERS_MIN: Final = 5
"""Different characters; with fewer a password is a pattern of the keyboard."""
MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1
LETTERS: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Letters and digits that nobody mistakes for one another on a screen or a telephone."""

_FIRST_GUESSES: Final = """
0123456789 0987654321 1234567890 123123123 123456789 12345678 987654321 147258369 1029384756 1122334455 5201314
1q2w3e4r5t 1q2w3e4r 1qaz2wsx3edc 1qaz2wsx zaq12wsx qazwsxedc qazwsx q1w2e3r4t5 qwer1234 qwertyuiop qwertyuio
qwerty asdfghjkl asdfgh zxcvbnm zxcvbn asdf1234 a1b2c3d4e5 abcdefghij abcdefgh abc123456 abcd1234 aa123456 a123456
password passw0rd p@ssword p@ssw0rd pa55word passwd passwort contraseña mypassword yourpassword newpassword
secret topsecret changeme changeit letmein welcome iloveyou woaini woaini1314 default guest master superman
batman dragon monkey football baseball basketball princess sunshine shadow michael jennifer charlie freedom
trustno1 starwars pokemon computer internet samsung google admin adminadmin administrator root toor superuser
sysadmin operator engineer supervisor viewer service support system server test testtest tester hazgate gateway
modbus scada control alarm security safety fireman firealarm gasalarm instrument xiaoming wangwang zhongguo
"""
COMMON: Final = frozenset(_FIRST_GUESSES.split())
"""The most common passwords and what people of the trade take first; also refused with digits and signs around."""

_AROUND = re.compile(r"^[\W\d_]+|[\W\d_]+$")


def prepared(password: str) -> str:
    """Return a password as it is hashed: the same however an input method composes or widens its characters."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, *names: str) -> None:
    """Refuse a password that is too short, too long, common, a pattern, or holds the person's name.

    Args:
        password: As typed.
        names: The person's names.

    Raises:
        UnfitError: See above.
    """
    text = prepared(password)
    if len(text) < LENGTH_MIN:
        raise UnfitError(
            Reason(f"a password has at least {LENGTH_MIN} characters", f"密码至少需要 {LENGTH_MIN} 个字符")
        )
    if len(text.encode("utf-8", "surrogatepass")) > BYTES_MAX:
        raise UnfitError(Reason(f"a password has at most {BYTES_MAX} bytes", f"密码最多 {BYTES_MAX} 字节"))
    if len(set(text)) < CHARACTERS_MIN:
        raise UnfitError(Reason("the password repeats too few characters", "密码中不同的字符太少"))
    plain = key_of(text)
    if plain in COMMON or _AROUND.sub("", plain) in COMMON:
        raise UnfitError(Reason("the password is among the first that are guessed", "密码过于常见，极易被猜中"))
    for name in filter(None, map(key_of, names)):
        if name in plain if len(name) >= 4 else _AROUND.sub("", plain) == name:
            raise UnfitError(Reason("the password holds the person's name", "密码中不得包含姓名或账号"))


def new_password() -> str:
    """Return a random password that can be read out: 80 bits in four groups."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(4)).lower()


class Passwords:
    """Hashes with Argon2id as OWASP advises (19 MiB, two passes, one lane); all methods block for tens of milliseconds.

    Args:
        memory_kib: Memory of one hashing.
        passes: How often it is gone over.
    """

    def __init__(self, memory_kib: int = MEMORY_KIB, passes: int = PASSES) -> None:
        self._cost = (passes, memory_kib, LANES)
        self._made: PasswordHasher | None = None
        self._nobody = ""

    def _hasher(self) -> "PasswordHasher":
        if self._made is None:
            from argon2 import PasswordHasher  # noqa: PLC0415 - loaded by the first sign-in, in its thread

            self._made = PasswordHasher(*self._cost)
        return self._made

    def hash(self, password: str) -> str:
        """Return what is kept of a password."""
        return self._hasher().hash(prepared(password).encode("utf-8", "surrogatepass"))

    def verify(self, kept: str, password: str) -> bool:
        """Return whether it is the password; a hash that cannot be read has none.

        Args:
            kept: What `hash` returned; empty for nobody's, which takes as long and is never right.
            password: As typed.
        """
        from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 - as above

        if not self._nobody:
            self._nobody = self.hash(secrets.token_hex(16))
        try:
            given = prepared(password).encode("utf-8", "surrogatepass")
            return self._hasher().verify(kept or self._nobody, given) and bool(kept)
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, kept: str) -> bool:
        """Return whether it was hashed with other parameters than are used now."""
        return self._hasher().check_needs_rehash(kept)
