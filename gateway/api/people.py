"""Accounts of people and tokens of machines, as administrators keep them."""

from typing import Annotated, Final, Literal

import msgspec
from fastapi import Request, Response

from gateway.api.access import Access, Role, new_token
from gateway.api.face import Gateway
from gateway.api.payloads import NoOrder, View
from gateway.api.problems import ProblemError
from gateway.api.replies import body_of, caller_of, reply
from gateway.api.routes import Route
from gateway.api.session import REFUSED, SLOWED, Secret, Text, as_problems
from gateway.core.clock import rfc3339
from gateway.people.names import key_of
from gateway.people.people import AccountView as Account
from gateway.store.ledger import TokenRow

RoleName = Literal["viewer", "operator", "engineer", "administrator"]
TokenRole = Literal["viewer", "operator", "engineer"]
Name = Annotated[str, msgspec.Meta(max_length=256, description="1 to 64 characters; case and width do not matter.")]


class AccountView(View):
    """One person's account. Times are RFC 3339; null where there is none.

    Attributes:
        name: Signs in with it.
        display_name: For the screen.
        role: `viewer`, `operator`, `engineer` or `administrator`.
        enabled: May sign in.
        created_at: When it was made.
        last_at: When the person last signed in.
        locked_until: Until when the name is locked for addresses it has not signed in from.
        sessions: How many live.
        must_change: The password was set by somebody else and has to be changed.
    """

    name: str
    display_name: str
    role: str
    enabled: bool
    created_at: str | None
    last_at: str | None
    locked_until: str | None
    sessions: int
    must_change: bool


class Accounts(View):
    """All accounts by name."""

    accounts: list[AccountView]


class NewAccount(View, forbid_unknown_fields=True):
    """A person's new account; the person has to change the password first of all."""

    name: Name
    password: Secret
    role: RoleName = "viewer"
    display_name: Text = ""


class AccountChange(View, forbid_unknown_fields=True):
    """What is to change of an account; what is left out stays."""

    role: RoleName | None = None
    display_name: Text | None = None
    password: Secret | None = None
    enabled: bool | None = None


class Ended(View):
    """How many sessions were ended."""

    ended: int


class TokenView(View):
    """A machine's token; the token itself is shown once, when it is made."""

    name: str
    role: str
    created_at: str


class Tokens(View):
    """All tokens by name."""

    tokens: list[TokenView]


class NewToken(View, forbid_unknown_fields=True):
    """A new token; machines administer nobody."""

    name: Name
    role: TokenRole = "viewer"


class MadeToken(View):
    """The new token, shown this once."""

    name: str
    role: str
    created_at: str
    token: str


class Gone(View):
    """What was removed."""

    name: str


_ABSENT: Final = {404: "There is none of that name."}


class PeopleRoutes:
    """The routes of accounts and tokens.

    Args:
        gateway: Whose.
        access: Told of changes, so that they hold at once.
    """

    def __init__(self, gateway: Gateway, access: Access) -> None:
        self._people = gateway.people
        self._access = access

    def routes(self) -> list[Route]:
        """Return the routes; all are for administrators."""
        found = (
            ("GET", "accounts", self.accounts, Accounts, None),
            ("POST", "accounts", self.make_account, AccountView, NewAccount),
            ("POST", "accounts/{name:path}/sign-out", self.end_sessions, Ended, NoOrder),
            ("PATCH", "accounts/{name:path}", self.change_account, AccountView, AccountChange),
            ("DELETE", "accounts/{name:path}", self.remove_account, Gone, None),
            ("GET", "tokens", self.tokens, Tokens, None),
            ("POST", "tokens", self.make_token, MadeToken, NewToken),
            ("DELETE", "tokens/{name:path}", self.revoke_token, Gone, None),
        )
        return [
            Route(
                path=path,
                call=call,
                role=Role.ADMINISTRATOR,
                answer=answer,
                order=order,
                method=method,
                refusals=REFUSED | (SLOWED if order else {}) | (_ABSENT if "{" in path else {}),
            )
            for method, path, call, answer, order in found
        ]

    async def accounts(self, request: Request) -> Response:
        """Return all accounts with their sessions and locks."""
        views = [_account_view(account) for account in await self._people.accounts()]
        return await reply(request, Accounts(accounts=views))

    async def make_account(self, request: Request) -> Response:
        """Make an account for a person."""
        order = await body_of(request, NewAccount)
        with as_problems():
            made = await self._people.make(
                caller_of(request).name, order.name, order.display_name, order.role, order.password
            )
        self._access.forget_sessions()
        return await self._account(request, made.name)

    async def change_account(self, request: Request, name: str) -> Response:
        """Change an account; a new password and being disabled end its sessions."""
        order = await body_of(request, AccountChange)
        by = caller_of(request).name
        if order.password is not None and key_of(name) == key_of(by):
            raise ProblemError(409, "one's own password is changed with the old one, at /session/password")
        with as_problems():
            found = await self._people.change(
                by,
                name,
                role=order.role,
                display_name=order.display_name,
                password=order.password,
                enabled=order.enabled,
            )
        if not found:
            raise _no_account(name)
        self._access.forget_sessions()
        return await self._account(request, name)

    async def remove_account(self, request: Request, name: str) -> Response:
        """Remove an account and end its sessions; what the person did stays in the journal."""
        with as_problems():
            if not await self._people.remove(caller_of(request).name, name):
                raise _no_account(name)
        self._access.forget_sessions()
        return await reply(request, Gone(name=name))

    async def end_sessions(self, request: Request, name: str) -> Response:
        """End all sessions of a person."""
        await body_of(request, NoOrder)
        ended = await self._people.end_sessions(caller_of(request).name, name)
        if ended is None:
            raise _no_account(name)
        self._access.forget_sessions()
        return await reply(request, Ended(ended=ended))

    async def tokens(self, request: Request) -> Response:
        """Return the tokens of machines, without the tokens themselves."""
        return await reply(request, Tokens(tokens=[_token_view(row) for row in await self._people.tokens()]))

    async def make_token(self, request: Request) -> Response:
        """Make a token for a machine and show it, this once."""
        order = await body_of(request, NewToken)
        token, digest = new_token()
        with as_problems():
            row = await self._people.make_token(caller_of(request).name, order.name, order.role, digest)
        view = _token_view(row)
        return await reply(request, MadeToken(name=view.name, role=view.role, created_at=view.created_at, token=token))

    async def revoke_token(self, request: Request, name: str) -> Response:
        """Revoke a token; it is refused within seconds."""
        if not await self._people.revoke_token(caller_of(request).name, name):
            raise ProblemError(404, f"no token is called {name!r}")
        return await reply(request, Gone(name=name))

    async def _account(self, request: Request, name: str) -> Response:
        for account in await self._people.accounts():
            if account.row.key == key_of(name):
                return await reply(request, _account_view(account))
        raise _no_account(name)


def _no_account(name: str) -> ProblemError:
    return ProblemError(404, f"no account is called {name!r}")


def _account_view(account: Account) -> AccountView:
    row = account.row
    return AccountView(
        name=row.name,
        display_name=row.display_name,
        role=row.role,
        enabled=row.enabled,
        created_at=_time(row.created_ns),
        last_at=_time(row.last_ns),
        locked_until=_time(account.locked_ns),
        sessions=account.sessions,
        must_change=row.must_change,
    )


def _token_view(row: TokenRow) -> TokenView:
    return TokenView(name=row.name, role=row.role, created_at=rfc3339(row.created_ns, digits=0))


def _time(time_ns: int) -> str | None:
    return rfc3339(time_ns, digits=0) if time_ns else None
