"""Who may do what: sessions, bearer tokens, roles, and what people at this machine may do without either."""

import asyncio
import hashlib
import ipaddress
import math
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol, TypeVar, runtime_checkable

import structlog

from gateway.api.face import Tokens
from gateway.api.origin import is_forwarded, is_loopback, is_own_name, refuse_other_pages
from gateway.api.problems import ProblemError
from gateway.api.throttle import Throttle, address_key
from gateway.core.clock import Clock
from gateway.core.errors import ConfigError, StorageError
from gateway.people import words
from gateway.people.people import People, Signed, csrf_of, digest_of

log = structlog.get_logger()

PREFIX = "hzg_"
COOKIE: Final = "hazgate_session"
SECRET_LENGTH: Final = 43
"""32 random bytes in URL-safe base64."""
CSRF_HEADER: Final = "x-csrf-token"
TOKEN_LENGTH: Final = len(PREFIX) + 43
"""`hzg_` and 32 random bytes in URL-safe base64."""
BELIEVED_S = 2.0
"""How long a looked-up token is believed: a revoked one is refused within this time."""
BELIEVED_MAX = 256

T = TypeVar("T")


class Role(IntEnum):
    """What a caller may do; each role may do all that the ones before it may."""

    NOBODY = 0
    VIEWER = 1
    """Reads."""
    OPERATOR = 2
    """Acknowledges, resets, silences, shelves."""
    ENGINEER = 3
    """Takes alarms out of service."""
    ADMINISTRATOR = 4
    """Makes accounts and tokens."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: The account's or token's name; `local` for people at this machine, empty for anybody.
        role: What it may do.
        signed: The session, where a person has signed in.
        csrf: What the session's page has to show with each order; empty without a session.
    """

    name: str
    role: Role
    signed: Signed | None = None
    csrf: str = ""


ANYBODY = Caller("", Role.VIEWER)
LOCAL = Caller("local", Role.OPERATOR)


@runtime_checkable
class ListedTokens(Protocol):
    """Tokens that can also be listed; where they cannot, some are assumed to exist, which is the safe side."""

    def tokens(self) -> Sequence[object]:
        """Return all live tokens."""
        ...


def new_token() -> tuple[str, str]:
    """Return a new secret token, and the SHA-256 in hex that alone is kept of it.

    >>> token, digest = new_token()
    >>> token[:4], len(token), digest == token_digest(token)
    ('hzg_', 47, True)
    """
    token = PREFIX + secrets.token_urlsafe(32)
    return token, token_digest(token)


def token_digest(token: str) -> str:
    """Return a token's SHA-256 in hex. No slow hash: 256 random bits cannot be guessed, and a Pi has to check them."""
    return hashlib.sha256(token.encode()).hexdigest()


def has_token(tokens: Tokens) -> bool:
    """Return whether any token exists, as far as can be known."""
    return bool(tokens.tokens()) if isinstance(tokens, ListedTokens) else True


def parse_bind(bind: str) -> tuple[str, int]:
    """Return address and port of `address:port`; `localhost` is 127.0.0.1, an IPv6 address stands in brackets.

    Raises:
        ConfigError: It is something else. Host names are refused: what they resolve to may change, and with it who
            can reach the gateway.

    >>> parse_bind("localhost:8080"), parse_bind("[::1]:0")
    (('127.0.0.1', 8080), ('::1', 0))
    """
    host, _, port = bind.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        ipaddress.ip_address(bare)
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number <= 65535 or (":" in bare and bare == host):
        raise ConfigError(("api", "bind"), f"{bind!r} is no address and port such as 127.0.0.1:8080 or [::1]:8080")
    return bare, number


def check_bind(bind: str, *, protected: bool) -> None:
    """Refuse an address that others can reach while neither an account nor a token protects it.

    Raises:
        ConfigError: The address is no loopback address and neither exists, or it cannot be read.
    """
    host, _ = parse_bind(bind)
    if not protected and not ipaddress.ip_address(host).is_loopback:
        problem = f"{bind!r} can be reached from other machines and neither an account nor a token exists; make one"
        problem = f"{problem} with `hazgate account add NAME --role administrator` or `hazgate token add`"
        raise ConfigError(("api", "bind"), f"{problem}, or bind to 127.0.0.1")


class Believed(OrderedDict[str, tuple[float, T]]):
    """Looked-up answers by key, believed for two seconds; the oldest goes when there are too many."""

    def fresh(self, key: str, now_s: float) -> tuple[T] | None:
        """Return the answer in a tuple, or None where there is none that is fresh."""
        found = self.get(key)
        return (found[1],) if found and now_s - found[0] < BELIEVED_S else None

    def keep(self, key: str, now_s: float, answer: T) -> T:
        """Keep and return an answer."""
        self[key] = (now_s, answer)
        self.move_to_end(key)
        if len(self) > BELIEVED_MAX:
            self.popitem(last=False)
        return answer


class Access:
    """Decides who a caller is and whether the role suffices.

    Without any account and token on this gateway, people at this machine may read, and with `local_operator` also
    acknowledge, reset, silence and shelve as `local`. As soon as one exists, everything needs a session or a token,
    but reading with `open_read`.

    Args:
        tokens: Where tokens are looked up; may block, and is asked in a thread.
        clock: For throttling.
        people: Whose sessions are looked up and in whose journal refusals are noted.
        open_read: Everyone who can reach the gateway may read.
        local_operator: See above.
    """

    def __init__(
        self,
        tokens: Tokens,
        clock: Clock,
        people: People | None = None,
        *,
        open_read: bool = False,
        local_operator: bool = False,
    ) -> None:
        self.throttle = Throttle(clock)
        self.open_read = open_read
        self._tokens = tokens
        self._clock = clock
        self._people = people
        self._local_operator = local_operator
        self._callers: Believed[Caller] = Believed()
        self._signed: Believed[Signed | None] = Believed()
        self._protected: Believed[bool] = Believed()

    async def admit(self, headers: Mapping[str, str], host: str, role: Role, order: str = "") -> Caller:
        """Return who calls.

        Args:
            headers: The request's headers.
            host: The caller's address.
            role: The least role that suffices; `NOBODY` admits everyone.
            order: Method and path of what changes something; empty for what only reads. With a session's cookie it
                needs the session's CSRF token.

        Raises:
            ProblemError: 401 for a missing or wrong token or session, 403 for a role that does not suffice, a missing
                CSRF token or a request sent by another site's page, 421 for a host name that another site may have
                chosen, 429 for a guesser.
        """
        refuse_other_pages(headers)
        if role is Role.NOBODY:
            return ANYBODY
        token = _bearer(headers)
        if token:
            caller = await self._by_token(token, host)
        else:
            caller = await self.by_session(headers) or await self._without_token(headers, host, role)
        if order and caller.signed:
            check_csrf(headers, caller)
        self._check_role(caller, role, order)
        return caller

    def _check_role(self, caller: Caller, role: Role, order: str) -> None:
        if caller.role < role:
            if order and self._people:
                why = words.not_allowed(order, caller.role.name.lower(), role.name.lower())
                self._people.audit.refused(caller.name, why)
            detail = f"{caller.name!r} is {caller.role.name.lower()}; this needs {role.name.lower()}"
            raise ProblemError(403, detail, detail_zh=f"需要{words.ROLES_ZH[role.name.lower()]}权限")
        if role > Role.VIEWER and caller.signed and caller.signed.must_change:
            raise ProblemError(403, f"{caller.name!r} has to change the password first", detail_zh="请先修改密码")

    async def who(self, headers: Mapping[str, str], host: str) -> Caller:
        """Return who calls and the most that is allowed; the role is NOBODY where a session or token is needed.

        Raises:
            ProblemError: 401 for a wrong token, 403 for another site's page, 429 for a guesser.
        """
        refuse_other_pages(headers)
        if token := _bearer(headers):
            return await self._by_token(token, host)
        if caller := await self.by_session(headers):
            return caller
        for role in (LOCAL.role, Role.VIEWER):
            with suppress(ProblemError):
                return await self._without_token(headers, host, role)
        return Caller("", Role.NOBODY)

    async def by_session(self, headers: Mapping[str, str]) -> Caller | None:
        """Return who has signed in by the request's cookie; None where nobody has, or the session has ended."""
        secret = session_secret(headers)
        if self._people is None or not secret:
            return None
        digest, now_s = digest_of(secret), self._clock.monotonic_s()
        if kept := self._signed.fresh(digest, now_s):
            signed = kept[0]
        else:
            try:
                signed = self._signed.keep(digest, now_s, await self._people.session(digest))
            except StorageError:
                # As with tokens: a broken card keeps nobody out who was known a moment ago.
                known = self._signed.get(digest)
                if known is None:
                    raise
                signed = known[1]
        if signed is None or (role := _role(signed.role)) is None:
            return None
        return Caller(signed.name, role, signed, csrf_of(secret))

    def forget_sessions(self) -> None:
        """Look all sessions up again, and whether accounts exist: something has changed."""
        self._signed.clear()
        self._protected.clear()

    async def _by_token(self, token: str, host: str) -> Caller:
        digest, address = token_digest(token), address_key(host)
        # Tokens in use are looked up all the same: a guesser behind the same address must not lock out the operator.
        if (wait_s := self.throttle.wait_s(address)) and digest not in self._callers:
            raise slow_down(address, wait_s)
        caller = await self._find(digest) if len(token) == TOKEN_LENGTH else None
        if caller is None:
            self.throttle.failed(address)
            if self._people:
                self._people.audit.refused("", words.wrong_token(address), address)
            if self.throttle.wait_s(address):
                log.warning("wrong tokens are slowed down", address=address)
            raise ProblemError(401, "the token is not known here or was revoked", {"WWW-Authenticate": "Bearer"})
        self.throttle.succeeded(address)
        return caller

    async def _find(self, digest: str) -> Caller | None:
        now_s = self._clock.monotonic_s()
        if kept := self._callers.fresh(digest, now_s):
            return kept[0]
        try:
            found = await asyncio.to_thread(self._tokens.find_token, digest)
        except StorageError:
            # A broken card must not keep those from acknowledging who were known a moment ago.
            known = self._callers.get(digest)
            if known is None:
                raise
            return known[1]
        if found is None or (role := _role(found[1])) is None:
            self._callers.pop(digest, None)
            return None
        return self._callers.keep(digest, now_s, Caller(found[0], role))

    async def _without_token(self, headers: Mapping[str, str], host: str, role: Role) -> Caller:
        local = is_loopback(host) and not is_forwarded(headers) and not await self._is_protected()
        if local and self._local_operator and role <= LOCAL.role:
            caller = LOCAL
        elif role is Role.VIEWER and (local or self.open_read):
            caller = ANYBODY
        else:
            detail = "this needs a session or a token; sign in"
            raise ProblemError(401, detail, {"WWW-Authenticate": "Bearer"}, detail_zh="请先登录")
        if not is_own_name(headers.get("host", "")):
            # DNS rebinding: a foreign page resolves its own name to this machine; the browser then says that name.
            detail = f"{headers.get('host', '')!r} is not this gateway; use its address, or sign in"
            raise ProblemError(421, detail)
        return caller

    async def _is_protected(self) -> bool:
        now_s = self._clock.monotonic_s()
        if kept := self._protected.fresh("", now_s):
            return kept[0]
        try:
            protected = await asyncio.to_thread(has_token, self._tokens)
            if not protected and self._people:
                protected = await self._people.has_accounts()
        except StorageError:
            known = self._protected.get("")
            return known[1] if known else True
        return self._protected.keep("", now_s, protected)


def slow_down(address: str, wait_s: float) -> ProblemError:
    """Return the refusal of an address that has tried too often."""
    seconds = str(math.ceil(wait_s))
    detail = f"too many wrong attempts from {address}; try again in {seconds} s"
    told = f"该地址错误次数过多，请 {seconds} 秒后再试"
    return ProblemError(429, detail, {"Retry-After": seconds}, detail_zh=told)


def check_csrf(headers: Mapping[str, str], caller: Caller) -> None:
    """Refuse an order that came with a session's cookie and without its CSRF token. Raises ProblemError."""
    given = headers.get(CSRF_HEADER, "")
    if not secrets.compare_digest(given.encode("utf-8", "replace"), caller.csrf.encode()):
        detail = "orders of a signed-in page carry its X-CSRF-Token; load the page again"
        raise ProblemError(403, detail, detail_zh="页面已过期，请刷新后重试")


def session_secret(headers: Mapping[str, str]) -> str:
    """Return the secret in the session's cookie; empty where there is none, or two that differ.

    Cookies do not tell ports apart: a page at another port of this host can put a second one beside ours.

    >>> secret = "x" * 43
    >>> session_secret({"cookie": f"a=b; hazgate_session={secret}"}) == secret, session_secret({"cookie": "a"})
    (True, '')
    """
    parts = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
    secrets_given = {value.strip('"') for name, _, value in parts if name == COOKIE}
    secret = secrets_given.pop() if len(secrets_given) == 1 else ""
    return secret if len(secret) == SECRET_LENGTH else ""


def _role(name: str) -> Role | None:
    role = Role.__members__.get(name.upper())
    return role or None


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
