"""Signing in and out, one's own password, and the first administrator."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import msgspec
from fastapi import Request, Response

from gateway.api.access import COOKIE, Access, Caller, Role, check_csrf, session_secret, slow_down
from gateway.api.face import Gateway
from gateway.api.origin import is_encrypted
from gateway.api.payloads import View
from gateway.api.problems import ProblemError
from gateway.api.replies import body_of, caller_of, reply
from gateway.api.routes import Route
from gateway.api.throttle import Throttle, address_key
from gateway.core.clock import rfc3339
from gateway.core.errors import StorageError
from gateway.people.names import UnfitError
from gateway.people.people import digest_of
from gateway.people.proving import BusyError, LockedError, WrongPasswordError
from gateway.store.people import (
    LIFE_NS,
    LOCK_MAX_S,
    LastAdministratorError,
    NameTakenError,
    NotFirstError,
    TooManyError,
)

Text = Annotated[str, msgspec.Meta(max_length=256)]
Secret = Annotated[str, msgspec.Meta(max_length=1024, description="As typed; at most 256 bytes.")]
LIFE_S: Final = LIFE_NS // 1_000_000_000


class SignIn(View, forbid_unknown_fields=True):
    """Name and password."""

    name: Text
    password: Secret


class NewPassword(View, forbid_unknown_fields=True):
    """One's own password, and what takes its place."""

    old: Secret
    new: Secret


class Setup(View, forbid_unknown_fields=True):
    """The first administrator; the one-time code stands on the terminal of the gateway."""

    code: Text
    name: Text
    password: Secret
    display_name: Text = ""


class SessionView(View):
    """Who has signed in, and what may be done without.

    Attributes:
        signed_in: By name and password; false for tokens too.
        name: The account's or token's name; `local` for people at this machine, empty for anybody.
        display_name: For the screen.
        role: What may be done: `nobody`, `viewer`, `operator`, `engineer` or `administrator`.
        csrf: Sent as `X-CSRF-Token` with every order of this session.
        expires_at: When the session ends if nobody uses it.
        must_change: No orders until the password is changed.
        setup: No account exists yet; `POST /setup` makes the first administrator.
        read: Who may read: `signed-in` or `anyone`.
    """

    signed_in: bool
    name: str
    display_name: str
    role: str
    csrf: str
    expires_at: str | None
    must_change: bool
    setup: bool
    read: str


REFUSED: Final = {403: "Refused.", 409: "The present state does not allow it."}
SLOWED: Final = {401: "Not known here.", 429: "Too many wrong attempts.", 503: "Too many sign in at this moment."}

_STATES_ZH: Final[dict[type[Exception], str]] = {
    NameTakenError: "该名称已被使用",
    NotFirstError: "已有账号，请联系管理员",
    LastAdministratorError: "这是最后一位管理员，请先设立另一位",
    TooManyError: "账号数已达上限，请先删除不用的账号",
}


@contextmanager
def as_problems(wrong: int = 403) -> Iterator[None]:
    """Turn what people are refused with into problem answers.

    Args:
        wrong: Status for a wrong name, password or code.
    """
    try:
        yield
    except WrongPasswordError as error:
        challenge = {"WWW-Authenticate": "Bearer"} if wrong == 401 else {}
        raise ProblemError(wrong, str(error), challenge, detail_zh="账号、密码或一次性代码错误") from error
    except LockedError as error:
        wait = str(math.ceil(error.wait_s))
        told = f"该账号密码错误次数过多，请 {wait} 秒后再试"
        raise ProblemError(429, str(error), {"Retry-After": wait}, detail_zh=told) from error
    except BusyError as error:
        raise ProblemError(503, str(error), {"Retry-After": "1"}, detail_zh="同时登录的人过多，请稍后再试") from error
    except (NameTakenError, NotFirstError, LastAdministratorError, TooManyError) as error:
        raise ProblemError(409, str(error), detail_zh=_STATES_ZH[type(error)]) from error
    except UnfitError as error:
        raise ProblemError(422, error.reason.en, detail_zh=error.reason.zh) from error
    except ValueError as error:
        raise ProblemError(422, str(error)) from error


class SessionRoutes:
    """The routes of a person's own session.

    Args:
        gateway: Whose people sign in.
        access: Who decides by sessions.
    """

    def __init__(self, gateway: Gateway, access: Access) -> None:
        self._people = gateway.people
        self._access = access
        # Apart from the one for tokens: a machine with an old token must not keep people from signing in.
        self.throttle = Throttle(gateway.clock, LOCK_MAX_S)

    def routes(self) -> list[Route]:
        """Return the routes."""
        anyone, slowed = Role.NOBODY, REFUSED | SLOWED
        return [
            Route(path=path, call=call, role=role, answer=SessionView, order=order, method=method, refusals=refusals)
            for method, path, call, role, order, refusals in (
                ("GET", "session", self.session, anyone, None, REFUSED),
                ("POST", "session", self.sign_in, anyone, SignIn, slowed),
                ("DELETE", "session", self.sign_out, anyone, None, REFUSED),
                ("POST", "session/password", self.change_password, Role.VIEWER, NewPassword, slowed),
                ("POST", "setup", self.set_up, anyone, Setup, slowed),
            )
        ]

    async def session(self, request: Request) -> Response:
        """Return who has signed in here, and what may be done without."""
        return await self._view(request, await self._access.who(request.headers, _host(request)))

    async def sign_in(self, request: Request) -> Response:
        """Sign in; the session is in the cookie, and its CSRF token in the answer. Slow for whoever guesses."""
        order = await body_of(request, SignIn)
        with self._attempt(request) as address, as_problems(wrong=401):
            secret, signed = await self._people.sign_in(order.name, order.password, address)
        return await self._begin(request, secret, signed.role)

    async def sign_out(self, request: Request) -> Response:
        """End the session; nothing where there is none."""
        caller = await self._access.by_session(request.headers)
        if caller and caller.signed:
            check_csrf(request.headers, caller)
            await self._people.sign_out(caller.signed)
            self._access.forget_sessions()
        return _with_cookie(await self._view(request, Caller("", Role.NOBODY)), "", request)

    async def change_password(self, request: Request) -> Response:
        """Change one's own password; all other sessions of the same person end."""
        order = await body_of(request, NewPassword)
        caller = caller_of(request)
        if caller.signed is None:
            raise ProblemError(409, "only a person who has signed in has a password")
        with self._attempt(request) as address, as_problems():
            signed = await self._people.change_password(caller.signed, order.old, order.new, address)
        self._access.forget_sessions()
        return await self._view(request, Caller(caller.name, caller.role, signed, caller.csrf))

    async def set_up(self, request: Request) -> Response:
        """Make the first administrator by the one-time code on the terminal, and sign in."""
        order = await body_of(request, Setup)
        with self._attempt(request) as address, as_problems():
            await self._people.make_first(order.code, order.name, order.display_name, order.password, address)
            secret, signed = await self._people.sign_in(order.name, order.password, address)
        return await self._begin(request, secret, signed.role)

    @contextmanager
    def _attempt(self, request: Request) -> Iterator[str]:
        """Count an attempt before its end is known: a thousand at once are counted too. Gives the address."""
        address = address_key(_host(request))
        if wait_s := self.throttle.wait_s(address):
            raise slow_down(address, wait_s)
        self.throttle.failed(address)
        try:
            yield address
        except ProblemError as error:
            if error.status in (409, 422, 503):
                self.throttle.excused(address)
            raise
        except StorageError:
            self.throttle.excused(address)
            raise
        self.throttle.succeeded(address)

    async def _begin(self, request: Request, secret: str, role: str) -> Response:
        """Answer with a new session's cookie; the one the browser had before ends, so that nobody can plant one."""
        if before := session_secret(request.headers):
            await self._people.end_session(digest_of(before))
        self._access.forget_sessions()
        caller = await self._access.by_session({"cookie": f"{COOKIE}={secret}"})
        return _with_cookie(await self._view(request, caller or Caller("", Role[role.upper()])), secret, request)

    async def _view(self, request: Request, caller: Caller) -> Response:
        signed = caller.signed
        try:
            setup = signed is None and not await self._people.has_accounts()
        except StorageError:
            setup = False
        view = SessionView(
            signed_in=signed is not None,
            name=caller.name,
            display_name=signed.display_name if signed else caller.name,
            role=caller.role.name.lower(),
            csrf=caller.csrf,
            expires_at=rfc3339(signed.until_ns, digits=0) if signed else None,
            must_change=bool(signed and signed.must_change),
            setup=setup,
            read="anyone" if self._access.open_read else "signed-in",
        )
        return await reply(request, view)


def _host(request: Request) -> str:
    return request.client.host if request.client else ""


def _with_cookie(response: Response, secret: str, request: Request) -> Response:
    """Set the session's cookie, or take it away where the secret is empty."""
    parts = [f"{COOKIE}={secret}", "Path=/", f"Max-Age={LIFE_S if secret else 0}", "HttpOnly", "SameSite=Strict"]
    if is_encrypted(request.headers, request.url.scheme):
        parts.append("Secure")
    response.headers["set-cookie"] = "; ".join(parts)
    return response
