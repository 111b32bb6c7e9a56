"""Who may do what: bearer tokens, roles, and what people at this machine may do without a token."""

import asyncio
import hashlib
import ipaddress
import math
import secrets
import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol, TypeVar, runtime_checkable

import structlog

from gateway.api.face import Tokens
from gateway.api.problems import ProblemError
from gateway.api.throttle import Throttle, address_key
from gateway.core.clock import Clock
from gateway.core.errors import ConfigError, StorageError

log = structlog.get_logger()

PREFIX = "hzg_"
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


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the token's name (`local` for people at this machine, empty for anybody) and role."""

    name: str
    role: Role


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


def check_bind(bind: str, *, has_token: bool) -> None:
    """Refuse an address that others can reach while no token protects it.

    Raises:
        ConfigError: The address is no loopback address and no token exists, or it cannot be read.
    """
    host, _ = parse_bind(bind)
    if not has_token and not ipaddress.ip_address(host).is_loopback:
        problem = f"{bind!r} can be reached from other machines and no token exists; make one with `hazgate token add`"
        raise ConfigError(("api", "bind"), f"{problem} or bind to 127.0.0.1")


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

    Without any token on this gateway, people at this machine may read, and with `local_operator` also acknowledge,
    reset, silence and shelve as `local`. As soon as a token exists, everything needs one, but reading with `open_read`.

    Args:
        tokens: Where tokens are looked up; may block, and is asked in a thread.
        clock: For throttling.
        open_read: Everyone who can reach the gateway may read.
        local_operator: See above.
    """

    def __init__(self, tokens: Tokens, clock: Clock, *, open_read: bool = False, local_operator: bool = False) -> None:
        self.throttle = Throttle(clock)
        self._tokens = tokens
        self._clock = clock
        self._open_read = open_read
        self._local_operator = local_operator
        self._callers: Believed[Caller] = Believed()
        self._protected: Believed[bool] = Believed()

    async def admit(self, headers: Mapping[str, str], host: str, role: Role) -> Caller:
        """Return who calls.

        Args:
            headers: The request's headers.
            host: The caller's address.
            role: The least role that suffices; `NOBODY` admits everyone.

        Raises:
            ProblemError: 401 for a missing or wrong token, 403 for a role that does not suffice or a request sent by
                another site's page, 421 for a host name that another site may have chosen, 429 for a guesser.
        """
        _refuse_other_pages(headers)
        if role is Role.NOBODY:
            return ANYBODY
        token = _bearer(headers)
        caller = await self._by_token(token, host) if token else await self._without_token(headers, host, role)
        if caller.role < role:
            raise ProblemError(403, f"{caller.name!r} is {caller.role.name.lower()}; this needs {role.name.lower()}")
        return caller

    async def _by_token(self, token: str, host: str) -> Caller:
        digest, address = token_digest(token), address_key(host)
        # Tokens in use are looked up all the same: a guesser behind the same address must not lock out the operator.
        if (wait_s := self.throttle.wait_s(address)) and digest not in self._callers:
            detail = f"too many wrong tokens from {address}; try again in {math.ceil(wait_s)} s"
            raise ProblemError(429, detail, {"Retry-After": str(math.ceil(wait_s))})
        caller = await self._find(digest) if len(token) == TOKEN_LENGTH else None
        if caller is None:
            self.throttle.failed(address)
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
        local = is_loopback(host) and not _is_forwarded(headers) and not await self._is_protected()
        if local and self._local_operator and role <= LOCAL.role:
            caller = LOCAL
        elif role is Role.VIEWER and (local or self._open_read):
            caller = ANYBODY
        else:
            raise ProblemError(401, "this needs a token; sign in", {"WWW-Authenticate": "Bearer"})
        if not is_own_name(headers.get("host", "")):
            # DNS rebinding: a foreign page resolves its own name to this machine; the browser then says that name.
            detail = f"{headers.get('host', '')!r} is not this gateway; use its address, or a token"
            raise ProblemError(421, detail)
        return caller

    async def _is_protected(self) -> bool:
        now_s = self._clock.monotonic_s()
        if kept := self._protected.fresh("", now_s):
            return kept[0]
        try:
            protected = await asyncio.to_thread(has_token, self._tokens)
        except StorageError:
            known = self._protected.get("")
            return known[1] if known else True
        return self._protected.keep("", now_s, protected)


def _role(name: str) -> Role | None:
    role = Role.__members__.get(name.upper())
    return role or None


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _refuse_other_pages(headers: Mapping[str, str]) -> None:
    """Refuse what another site's page sends (CSRF): nothing here is meant for other origins."""
    origin, host = headers.get("origin"), headers.get("host", "")
    # A proxy that ends TLS changes the scheme, so host and port decide.
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        raise ProblemError(403, f"a page of {origin!r} may not use this gateway")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise ProblemError(403, "a page of another site may not use this gateway")


def _is_forwarded(headers: Mapping[str, str]) -> bool:
    """Whether a proxy passed the request on: then the caller is somewhere else, whatever the address says."""
    return any(name in headers for name in ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"))


def is_loopback(host: str) -> bool:
    """Return whether an address is this machine's own.

    >>> is_loopback("127.0.0.1"), is_loopback("::ffff:127.0.0.1"), is_loopback("192.0.2.1"), is_loopback("")
    (True, True, False, False)
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def is_own_name(host: str, own: Callable[[], str] = socket.gethostname) -> bool:
    """Return whether a `Host` header can only mean this machine: an IP address, `localhost`, or its own name.

    >>> is_own_name("127.0.0.1:8080"), is_own_name("[::1]:80"), is_own_name("evil.example:8080")
    (True, True, False)
    """
    name = host.lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    try:
        ipaddress.ip_address(name)
    except ValueError:
        mine = own().lower()
        return name in ("localhost", mine, f"{mine}.local")
    return True
